//! The state of a layer: numbers beside θ that a pass reads and a step replaces.

use std::borrow::Cow;

/// One vector of a layer's state, such as the running means of a batch norm.
///
/// State is not differentiated. A pass reads it ([`At::state`](super::At::state)), and a training
/// pass writes the state after the step ([`Forward::new_state`](super::Forward::new_state)).
/// [`Network::take_state`](crate::Network::take_state) and a trainer then replace the network's
/// state.
///
/// # Example
/// The running variances of three units start at 1 and are never negative:
/// ```
/// use backprop::layer::StateBlock;
///
/// let variance = StateBlock::new("σ²", 3, 1.0).at_least(0.0);
/// assert_eq!((variance.len, variance.least), (3, 0.0));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StateBlock {
    /// The symbol in messages, which add the number of the layer.
    pub name: Cow<'static, str>,
    /// The number of entries.
    pub len: usize,
    /// The value of every entry in a new network.
    pub start: f64,
    /// The least value that an entry may be set to; −∞ if there is none.
    pub least: f64,
}

impl StateBlock {
    /// Creates a vector whose entries start at a value.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, len: usize, start: f64) -> Self {
        Self {
            name: name.into(),
            len,
            start,
            least: f64::NEG_INFINITY,
        }
    }

    /// Refuses smaller entries when the state is set or read from a file.
    #[must_use]
    pub fn at_least(mut self, least: f64) -> Self {
        self.least = least;
        self
    }
}
