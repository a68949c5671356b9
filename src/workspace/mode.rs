//! The mode of passes: training with a seed, and random numbers in its place.

use super::Workspace;
use crate::allocation::owned;
use crate::columns::Columns;
use crate::error::Error;
use crate::layer::given::GivenNode;
use crate::path::Path;
use crate::scalar::Scalar;
use std::sync::Arc;

impl<T: Scalar> Workspace<T> {
    /// Creates a workspace for a single call in the mode of this one.
    pub(crate) fn with_same_mode(&self) -> Self {
        Self {
            training: self.training,
            replaces_statistics: self.replaces_statistics,
            given: self.given.clone(),
            given_changed: true,
            ..Self::for_one_call()
        }
    }

    /// Marks the next passes as training passes with this seed.
    ///
    /// In a training pass, [`BatchNorm`](crate::layer::BatchNorm) uses the statistics of the batch,
    /// and stochastic layers such as [`Dropout`](crate::layer::Dropout) draw numbers that follow
    /// from the seed: the same seed repeats a pass. Use another seed for each step. With `None`,
    /// the default, passes evaluate the network.
    ///
    /// # Example
    /// A training loop of your own: gradient, step, state.
    /// ```
    /// use backprop::activation::{Identity, Tanh};
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::training::GradientDescent;
    /// use backprop::{Examples, Network, Objective, SquaredError, Workspace};
    ///
    /// let builder = Network::<f64>::builder(1).dense(4, Tanh).batch_norm().dropout(0.1);
    /// let mut network = builder.dense(1, Identity).zeros()?;
    /// let x = DMatrix::from_row_slice(1, 3, &[0.0, 1.0, 2.0]);
    /// let y = DMatrix::from_row_slice(1, 3, &[1.0, 3.0, 5.0]);
    /// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
    /// let mut optimizer = GradientDescent::new(0.1);
    /// let (mut workspace, mut gradient) = (Workspace::new(), vec![0.0; network.parameters()]);
    /// for step in 0..10 {
    ///     workspace.set_training(Some(step));
    ///     network.gradient_into(&examples, &objective, &mut workspace, &mut gradient)?;
    ///     network.step(&mut optimizer, &gradient)?;
    ///     network.take_state(&workspace)?;
    /// }
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("train", "eval"))]
    pub fn set_training(&mut self, seed: Option<u64>) {
        self.training = seed;
    }

    /// Sets the random numbers of a stochastic layer for the next training passes, in place of
    /// those that it would draw from the seed.
    ///
    /// The matrix has one column for each example of the batch. For
    /// [`Dropout`](crate::layer::Dropout), it is outputs × m, with 1 where an entry is kept and 0
    /// where it is dropped. For [`GaussianNoise`](crate::layer::GaussianNoise), it holds the
    /// standard normal numbers. A pass with another number of examples returns an error.
    /// [`clear_random_numbers`](Self::clear_random_numbers) restores the layers' own draws.
    ///
    /// # Errors
    /// Returns [`Error::TooLarge`] if there is no memory for a copy. The next training pass returns
    /// [`Error::Index`], [`Error::Shape`] or [`Error::NonFinite`] if the numbers do not fit.
    ///
    /// # Example
    /// Half of the units are dropped, and the others doubled:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Network, Workspace};
    ///
    /// let network = Network::<f64>::builder(2).dropout(0.5).zeros()?;
    /// let mut workspace = Workspace::new();
    /// workspace.set_training(Some(0));
    /// workspace.set_random_numbers(0, &DMatrix::from_column_slice(2, 1, &[1.0, 0.0]))?;
    /// let a = network.forward_into(&[3.0, 5.0], &mut workspace)?;
    /// assert_eq!((a[0], a[1]), (6.0, 0.0));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn set_random_numbers<'a>(
        &mut self,
        layer: impl Into<Path>,
        numbers: impl Columns<'a, T>,
    ) -> Result<(), Error> {
        let numbers = owned(
            "the random numbers given to a layer",
            numbers.columns_view(),
        )?;
        let mut all = match &self.given {
            Some(given) => GivenNode::clone(given),
            None => GivenNode::new(),
        };
        all.set(layer.into().indices(), numbers);
        (self.given, self.given_changed) = (Some(Arc::new(all)), true);
        Ok(())
    }

    /// Clears all random numbers that were [set](Self::set_random_numbers): layers draw their own
    /// again.
    pub fn clear_random_numbers(&mut self) {
        (self.given, self.given_changed) = (None, true);
    }
}
