//! The objective J: a cost and a penalty.

use crate::cost::{AnyCost, Cost};
use crate::error::Error;
use crate::layout::Layout;
use crate::regularization::Penalty;
use crate::scalar::Scalar;

/// The objective J(θ) = (1/m) (Σₖ costₖ + Ω(θ)): a cost and a penalty.
///
/// costₖ is the cost of example k, and Ω(θ) is a [`Penalty`] on large parameters. A penalty
/// counteracts overfitting: without it, a network with many parameters may fit the noise of its
/// training examples. With example weights, costₖ is multiplied by wₖ, and m is their sum.
///
/// Derivation: [(6)](crate::derivation#objective).
///
/// The strengths λ of penalties and the constants of costs are `f64` for every scalar type, so one
/// objective works with `f32`, `f64` and dual numbers.
///
/// # Example
/// The L2 penalty with λ = 3 is Ω = 3/2 Σ Θ² over all weights, excluding the biases:
/// ```
/// use backprop::{BinaryCrossEntropy, Objective, Penalty};
///
/// let objective = Objective::new(BinaryCrossEntropy).l2(3.0);
/// assert_eq!(objective.penalty, Penalty::l2(3.0));
/// ```
#[doc(alias = "loss")]
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Objective<C = AnyCost> {
    /// The cost of one example.
    pub cost: C,
    /// The penalty on the parameters.
    pub penalty: Penalty,
}

impl<C> Objective<C> {
    /// Creates an objective without a penalty.
    #[must_use]
    pub fn new(cost: C) -> Self {
        Self {
            cost,
            penalty: Penalty::none(),
        }
    }

    /// Sets the strength λ of the L2 penalty λ/(2m) Σ Θ², which exempts the biases.
    ///
    /// A second call replaces λ. An L1 penalty remains, and so do the strengths of
    /// individual layers.
    /// Other libraries use other divisors. m is the number of examples (with example weights, their
    /// sum); in a [`Trainer`](crate::training::Trainer) it is the number of *all* training
    /// examples, whatever the batch size:
    ///
    /// | elsewhere | λ here |
    /// |---|---|
    /// | Keras `L2(r)`, for example `L2(1e-4)` | 2 r m |
    /// | `weight_decay=w` of PyTorch's SGD and Adam, biases in a group without it | w m |
    /// | scikit-learn `alpha`, full batch (`lbfgs`) | `alpha` |
    /// | scikit-learn `alpha`, mini-batches | `alpha` × (number of batches) |
    ///
    /// The decoupled decay of PyTorch's AdamW is not a penalty: it is
    /// [`AdamW::decay`](crate::training::AdamW::decay).
    ///
    /// # Example
    /// Keras' `L2(1e-4)` with 1000 examples adds 1e-4 Σ Θ², so λ is 2 · 1e-4 · 1000 = 0.2. With one
    /// weight, 3, J is 0.2/2000 · 3² = 1e-4 · 9:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[0.0, 3.0])?;
    /// let (x, y) = (DMatrix::zeros(1, 1000), DMatrix::zeros(1, 1000)); // predicted exactly
    /// let objective = Objective::new(SquaredError).l2(2.0 * 1e-4 * 1000.0);
    /// let j = network.cost(&Examples::new(&x, &y)?, &objective)?;
    /// assert!((j - 1e-4 * 9.0).abs() < 1e-15);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("weight_decay", "alpha", "ridge"))]
    #[must_use]
    pub fn l2(mut self, lambda: f64) -> Self {
        self.penalty.general().l2 = lambda;
        self
    }

    /// Sets the strength λ of the L1 penalty λ/m Σ |Θ|, which exempts the biases.
    ///
    /// A second call replaces λ. An L2 penalty remains, and so do the strengths of
    /// individual layers.
    #[doc(alias = "lasso")]
    #[must_use]
    pub fn l1(mut self, lambda: f64) -> Self {
        self.penalty.general().l1 = lambda;
        self
    }

    /// Replaces the penalty, for example by one with strengths for individual layers or blocks.
    #[must_use]
    pub fn penalty(mut self, penalty: Penalty) -> Self {
        self.penalty = penalty;
        self
    }

    pub(crate) fn validate<T: Scalar>(&self, layout: &Layout) -> Result<(), Error>
    where
        C: Cost<T>,
    {
        self.cost.validate()?;
        self.penalty.validate::<T>(layout)
    }
}
