//! How ONNX files are written.

/// How an ONNX file is written.
///
/// # Example
/// A parameter takes 4 bytes, or 8 in double precision:
/// ```
/// use backprop::interchange::onnx::{self, WriteOptions};
/// use backprop::{Network, activation::Tanh};
///
/// let network = Network::<f64>::builder(100).dense(100, Tanh).zeros()?;
/// let single = onnx::to_bytes(&network, &WriteOptions::new())?;
/// let double = onnx::to_bytes(&network, &WriteOptions::new().double())?;
/// assert!(double.len() - single.len() > 4 * network.parameters() - 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct WriteOptions {
    pub(super) is_double: bool,
}

impl WriteOptions {
    /// Creates options for a file of `f32`, which every runtime reads. Parameters of `f64` are
    /// rounded to it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `f64`, so that a network of `f64` keeps every bit of its parameters. The inputs and
    /// outputs of the graph are `f64` too.
    pub fn double(self) -> Self {
        Self { is_double: true }
    }
}
