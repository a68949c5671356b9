//! How files of tensors are read and written.

use super::{BatchCounts, TensorPlace};
use std::fmt::{self, Debug, Formatter};

/// A function for the name of a tensor.
type Naming<'a> = dyn Fn(&TensorPlace) -> String + Send + Sync + 'a;

/// How files of tensors are read and written: the names, whether numbers may be rounded, and what
/// is written besides the numbers of the network.
///
/// # Example
/// The tensors of a network that is part of a larger model:
/// ```
/// use backprop::interchange::{Options, tensors};
/// use backprop::{Network, activation::Tanh};
///
/// let network = Network::<f64>::builder(2).dense(1, Tanh).zeros()?;
/// let options = Options::new().names(|tensor| format!("encoder.{}", tensor.name));
/// assert_eq!(tensors(&network, &options)?[1].name, "encoder.0.bias");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
#[must_use]
pub struct Options<'a> {
    names: Option<Box<Naming<'a>>>,
    pub(super) rounded: bool,
    pub(super) batches: Option<&'a BatchCounts>,
}

impl<'a> Options<'a> {
    /// Creates options with the names of PyTorch and without rounding.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the names. The function receives each tensor with its PyTorch name, and returns the
    /// name to use.
    ///
    /// # Example
    /// Names made from the layer and the parameter:
    /// ```
    /// use backprop::interchange::{Options, tensors};
    /// use backprop::{Network, activation::Tanh};
    ///
    /// let network = Network::<f64>::builder(2).dense(3, Tanh).dense(1, Tanh).zeros()?;
    /// let options = Options::new().names(|t| format!("layer{}/{}", t.layer, t.parameter));
    /// assert_eq!(tensors(&network, &options)?[2].name, "layer1/weight");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn names(self, names: impl Fn(&TensorPlace) -> String + Send + Sync + 'a) -> Self {
        let names: Option<Box<Naming<'a>>> = Some(Box::new(names));
        Self { names, ..self }
    }

    /// Accepts numbers that the scalar type of the network cannot hold, and rounds them to the
    /// nearest one. A number that would become infinite is still an error.
    ///
    /// # Example
    /// The `f64` nearest to 0.1 is not an `f32`:
    #[cfg_attr(feature = "safetensors", doc = "```")]
    #[cfg_attr(not(feature = "safetensors"), doc = "```text")]
    /// use backprop::interchange::{InterchangeError, Options, safetensors};
    /// use backprop::{Network, activation::Identity};
    ///
    /// let file = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[0.5, 0.1])?;
    /// let bytes = safetensors::to_bytes(&file, &Options::new())?;
    /// let mut network = Network::<f32>::builder(1).dense(1, Identity).zeros()?;
    ///
    /// let refused = safetensors::from_bytes(&bytes, &mut network, &Options::new());
    /// assert!(matches!(refused, Err(InterchangeError::Inexact { .. })));
    /// safetensors::from_bytes(&bytes, &mut network, &Options::new().rounded())?;
    /// assert_eq!(network.theta().as_slice(), &[0.5, 0.1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rounded(self) -> Self {
        Self {
            rounded: true,
            ..self
        }
    }

    /// Writes these values of `num_batches_tracked` for batch norms with a momentum, instead of 0.
    ///
    /// # Example
    /// A PyTorch file is read and written again without a change of any bit:
    #[cfg_attr(feature = "safetensors", doc = "```")]
    #[cfg_attr(not(feature = "safetensors"), doc = "```text")]
    /// use backprop::Network;
    /// use backprop::interchange::{BatchCounts, Options, safetensors};
    ///
    /// let mut network = Network::<f32>::builder(3).batch_norm().zeros()?;
    /// # let bytes = BatchCounts::new().with(0, 12);
    /// # let bytes = safetensors::to_bytes(&network, &Options::new().batches(&bytes))?;
    /// let batches = safetensors::from_bytes(&bytes, &mut network, &Options::new())?;
    /// let same = safetensors::to_bytes(&network, &Options::new().batches(&batches))?;
    /// assert_eq!(same, bytes);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn batches(self, batches: &'a BatchCounts) -> Self {
        Self {
            batches: Some(batches),
            ..self
        }
    }

    /// Gives a tensor its name.
    pub(super) fn rename(&self, place: &mut TensorPlace) {
        if let Some(names) = &self.names {
            place.name = names(place);
        }
    }
}

impl Debug for Options<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = if self.names.is_some() {
            "custom"
        } else {
            "PyTorch"
        };
        f.debug_struct("Options")
            .field("names", &names)
            .field("rounded", &self.rounded)
            .field("batches", &self.batches)
            .finish()
    }
}
