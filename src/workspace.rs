//! The buffers of one pass.

use crate::error::Error;
use crate::layer::Layer;
use crate::layout::{Layout, resize};
use crate::scalar::Scalar;
use nalgebra::DMatrixView;

/// The buffers of a pass, reused from call to call: after the first call with the largest batch nothing is allocated.
///
/// A workspace fits itself to the network and the batch of each call, and may be used with any of them in turn. After a
/// pass it can be read: a⁽ˡ⁾ of every layer, and the cost of each example. After an error its contents are unspecified.
///
/// # Example
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Network, Workspace, activation::Identity};
///
/// let network = Network::<f64>::builder(1).dense(2, Identity).with_theta(&[1.0, 2.0, 3.0, 4.0])?;
/// let mut workspace = Workspace::new();
/// let x = DMatrix::from_row_slice(1, 2, &[0.0, 1.0]);
/// let a = network.forward_into(&x, &mut workspace)?;
/// assert_eq!(a, DMatrix::from_row_slice(2, 2, &[1.0, 4.0, 2.0, 6.0]));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Workspace<T: Scalar> {
    pub(crate) layers: Vec<Buffers<T>>,
    /// δ of the current layer and of the one below, in turns.
    pub(crate) deltas: [Vec<T>; 2],
    /// The cost of each example.
    pub(crate) values: Vec<T>,
    /// Σ over a batch of the gradient, before it is added to an accumulator.
    pub(crate) gradient: Vec<T>,
    pub(crate) training: Option<u64>,
}

/// The buffers of one layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers<T> {
    pub(crate) output: Vec<T>,
    pub(crate) cache: Vec<T>,
    rows: usize,
}

impl<T: Scalar> Default for Workspace<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Scalar> Workspace<T> {
    /// A workspace without buffers: the first pass allocates them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            layers: Vec::new(),
            deltas: [Vec::new(), Vec::new()],
            values: Vec::new(),
            gradient: Vec::new(),
            training: None,
        }
    }

    /// Whether the next passes serve training, and with which seed: what stochastic layers of your own are told.
    ///
    /// `None`, the default, makes every layer a plain function, as finite differences need it. None of our own
    /// layers is stochastic.
    pub fn set_training(&mut self, seed: Option<u64>) {
        self.training = seed;
    }

    /// Fills every buffer with `value`. Tests fill with NaN before a pass, to show that nothing is read before it is written.
    pub fn fill(&mut self, value: T) {
        for layer in &mut self.layers {
            layer.output.fill(value);
            layer.cache.fill(value);
        }
        self.deltas.iter_mut().for_each(|delta| delta.fill(value));
        self.values.fill(value);
        self.gradient.fill(value);
    }

    /// a of the last layer after a pass, K × m; `None` before the first.
    #[must_use]
    pub fn output(&self) -> Option<DMatrixView<'_, T>> {
        self.activation(self.layers.len().checked_sub(1)?)
    }

    /// The output a⁽ˡ⁺²⁾ of layer l (from 0) after a pass, s × m; `None` if there was none.
    #[must_use]
    pub fn activation(&self, layer: usize) -> Option<DMatrixView<'_, T>> {
        let Buffers { output, rows, .. } = self.layers.get(layer)?;
        Some(DMatrixView::from_slice(output, *rows, output.len() / rows))
    }

    /// What layer l (from 0) kept of a pass for its backward pass. Of a [`Dense`](crate::Dense) layer at the end of a network it is
    /// z⁽ᴸ⁾, the logits, column-major; of others it is the layer's own business.
    #[must_use]
    pub fn cache(&self, layer: usize) -> Option<&[T]> {
        Some(&self.layers.get(layer)?.cache)
    }

    /// The cost of each example in the last pass that computed costs, without weights and penalty.
    #[must_use]
    pub fn costs(&self) -> &[T] {
        &self.values
    }

    /// Fits the buffers of a forward pass.
    pub(crate) fn fit<L: Layer<T>>(
        &mut self,
        layout: &Layout,
        layers: &[L],
        examples: usize,
    ) -> Result<(), Error> {
        self.layers.resize_with(layers.len(), || Buffers {
            output: Vec::new(),
            cache: Vec::new(),
            rows: 1,
        });
        for (buffers, (sizes, layer)) in self
            .layers
            .iter_mut()
            .zip(layout.layers().iter().zip(layers))
        {
            let shape = (sizes.outputs, examples);
            resize(&mut buffers.output, "a layer's output", shape, T::zero())?;
            buffers.rows = sizes.outputs;
            let cache = (layer.cache_len(examples), 1);
            resize(&mut buffers.cache, "a layer's cache", cache, T::zero())?;
        }
        Ok(())
    }

    /// Fits the buffer for the cost of each example.
    pub(crate) fn fit_values(&mut self, examples: usize) -> Result<(), Error> {
        resize(&mut self.values, "the costs", (examples, 1), T::zero())
    }

    /// Fits the two buffers that δ alternates between.
    pub(crate) fn fit_deltas(&mut self, layout: &Layout, examples: usize) -> Result<(), Error> {
        let widest = layout
            .layers()
            .iter()
            .map(|sizes| sizes.inputs.max(sizes.outputs))
            .fold(0, usize::max);
        for delta in &mut self.deltas {
            resize(delta, "δ", (widest, examples), T::zero())?;
        }
        Ok(())
    }
}
