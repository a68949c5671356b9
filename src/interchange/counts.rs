//! Numbers of batches, which files hold and networks do not.

use crate::path::Path;
use std::collections::BTreeMap;

/// How many batches the batch norms of a file have seen: PyTorch's `num_batches_tracked`.
///
/// A batch norm with a momentum does not use this number, so a network does not hold it. The
/// functions that read files return it, so that the tensors can be written again bit for bit. The
/// number of a [cumulative](crate::layer::BatchNorm::cumulative) batch norm is in the state of the
/// network instead.
///
/// # Example
#[cfg_attr(feature = "safetensors", doc = "```")]
#[cfg_attr(not(feature = "safetensors"), doc = "```text")]
/// use backprop::Network;
/// use backprop::interchange::{BatchCounts, Options, safetensors};
///
/// let mut network = Network::<f64>::builder(2).batch_norm().zeros()?;
/// let seen = BatchCounts::new().with(0, 7);
/// let bytes = safetensors::to_bytes(&network, &Options::new().batches(&seen))?;
///
/// let found = safetensors::from_bytes(&bytes, &mut network, &Options::new())?;
/// assert_eq!(found.of(0), Some(7));
/// // Without them, 0 is written.
/// let bytes = safetensors::to_bytes(&network, &Options::new())?;
/// let found = safetensors::from_bytes(&bytes, &mut network, &Options::new())?;
/// assert_eq!(found.of(0), Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts(BTreeMap<Path, u64>);

impl BatchCounts {
    /// Creates an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of the batch norm at a position.
    #[must_use]
    pub fn with(mut self, layer: impl Into<Path>, batches: u64) -> Self {
        self.0.insert(layer.into(), batches);
        self
    }

    /// Returns the number of the batch norm at a position, or `None` if there is none.
    #[must_use]
    pub fn of(&self, layer: impl Into<Path>) -> Option<u64> {
        self.0.get(&layer.into()).copied()
    }
}
