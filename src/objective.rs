//! What is minimised: a cost and a penalty.

use crate::cost::AnyCost;
use crate::cost::Cost;
use crate::error::Error;
use crate::layout::Layout;
use crate::regularization::Penalty;
use crate::scalar::Scalar;

/// The objective J(θ) = (1/m) (Σₖ costₖ + Ω(θ)): a cost and a penalty.
///
/// Derivation: [(6)](crate::derivation#objective).
///
/// Its constants are `f64` whatever the network computes in, so that one objective serves `f32`, `f64` and dual
/// numbers.
///
/// # Example
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
    /// A cost without penalty.
    #[must_use]
    pub fn new(cost: C) -> Self {
        Self {
            cost,
            penalty: Penalty::none(),
        }
    }

    /// With the course's penalty λ/(2m) Σ Θ², biases exempt. Sets the penalty's λ₂ and leaves the rest of it as it is.
    #[doc(alias("weight_decay", "alpha", "ridge"))]
    #[must_use]
    pub fn l2(mut self, lambda: f64) -> Self {
        self.penalty.general().l2 = lambda;
        self
    }

    /// With λ/m Σ |Θ|, biases exempt. Sets the penalty's λ₁ and leaves the rest of it as it is.
    #[doc(alias = "lasso")]
    #[must_use]
    pub fn l1(mut self, lambda: f64) -> Self {
        self.penalty.general().l1 = lambda;
        self
    }

    /// With any [`Penalty`], one by layers or blocks too, in place of the present one.
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
