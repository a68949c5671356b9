//! Costs: the trait, the built-in ones in one table, and the canonical pairs.
//!
//! The cost of one example, with a = a⁽ᴸ⁾ the network's outputs, y the targets, d = a − y, and sums over the K output units:
//!
//! | [`AnyCost`] | cost of an example | ∂cost/∂a | ∂²cost/∂a² | targets | outputs | canonical activation | δ⁽ᴸ⁾ = ∂cost/∂z there | ∂²cost/∂z² there |
//! |---|---|---|---|---|---|---|---|---|
//! | [`BinaryCrossEntropy`] | −Σ \[y ln a + (1 − y) ln(1 − a)] | (1 − y)/(1 − a) − y/a | y/a² + (1 − y)/(1 − a)² | \[0, 1] | \[0, 1] | sigmoid | a − y | a (1 − a) |
//! | [`CategoricalCrossEntropy`] | −Σ y ln a | −y/a | y/a² | \[0, ∞) | \[0, ∞) | softmax | a Σy − y | ∂²cost/∂zᵢ∂zⱼ = aᵢ ([i = j] − aⱼ) Σy |
//! | [`SquaredError`] | ½ Σ d² | d | 1 | ℝ | ℝ | identity | a − y | 1 |
//! | [`Huber`] | Σ ½d² if \|d\| ≤ δ, else δ(\|d\| − ½δ) | d, clipped to ±δ | 1 if \|d\| ≤ δ, else 0 | ℝ | ℝ | identity | the same | the same |
//! | [`LogCosh`] | Σ ln cosh d | tanh d | 1 − tanh² d | ℝ | ℝ | identity | tanh d | 1 − tanh² d |
//! | [`Poisson`] | Σ a − y ln a (without ln y!) | 1 − y/a | y/a² | \[0, ∞) | \[0, ∞) | exponential | a − y | a |
//!
//! Where y = 0 a term y ln a is 0, and so are its derivatives: an example whose targets are all 0 costs nothing by the categorical cross-entropy. An output on the edge of its interval is accepted where
//! the cost is finite there (a = 0 with y = 0), else it is an [`Error::Output`], never clamped.
//!
//! **Canonical pairs.** With its canonical activation a cost is computed from z, not from a: ln(1 + e^(−|z|)) and
//! the log-sum-exp of z instead of a logarithm of something that has rounded to 0 or 1. So it is
//! finite and accurate for any z, even |z| = 1e4 in `f32`; only Poisson overflows, where eᶻ does.
//! Every other pairing of activation and cost takes the general path ∂cost/∂a. It gives the same
//! derivative as long as a is inside the domain.
//!
//! **Outputs that have rounded to their targets.** σ(40) rounds to 1; its true value is
//! 1 − 4.2·10⁻¹⁸. A network tells its cost which function of z the output is (a [`Squash`]). The cost
//! then computes a − y and 1 − a from z wherever outputs round to a constant: 0, ½ and 1 for
//! sigmoid; 0, 1/n and 1 for softmax; ±1 for tanh and softsign; 1 for the exponential; −α for ELU.
//! Costs and δ are within 4 units in the last place of their largest term. For y = 1 that term is
//! a − y itself, so J, ∇J and ∂J/∂X of a saturated unit are accurate instead of 0. The same holds for
//! δ of [`BinaryCrossEntropy`] near z = 0 with y = ½, and of [`Poisson`] with y = 1. A custom cost gets
//! a − y from [`Outputs::difference`].
//!
//! The domain is checked on the rounded output: [`BinaryCrossEntropy`] after a tanh that has rounded to 1
//! is an [`Error::Output`] for y < 1. An intermediate result that underflows becomes 0. For a
//! sigmoid with the squared error this makes δ 0 from z = ±355 on, and from ±44 in `f32`.
//!
//! # A cost of your own
//! ```
//! use backprop::cost::{Cost, Outputs};
//! use backprop::gradient_check::GradientCheck;
//! use backprop::nalgebra::{DMatrix, DMatrixViewMut, convert};
//! use backprop::{Scalar, activation::Tanh};
//!
//! /// Σ d⁴/4.
//! #[derive(Debug)]
//! struct Quartic;
//!
//! impl<T: Scalar> Cost<T> for Quartic {
//!     fn values(&self, at: Outputs<'_, T>, values: &mut [T]) {
//!         for (k, value) in values.iter_mut().enumerate() {
//!             // a − y, accurate even where a sigmoid or tanh has rounded to y.
//!             let terms = (0..at.a.nrows()).map(|i| at.difference(i, k).powi(4));
//!             *value = terms.fold(T::zero(), |sum, term| sum + term) * convert(0.25);
//!         }
//!     }
//!
//!     fn delta(&self, at: Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
//!         for k in 0..delta.ncols() {
//!             for i in 0..delta.nrows() {
//!                 delta[(i, k)] = at.difference(i, k).powi(3);
//!             }
//!         }
//!     }
//! }
//!
//! let z = DMatrix::from_fn(2, 3, |i, j| i as f64 - 0.4 * j as f64);
//! let y = DMatrix::from_fn(2, 3, |i, j| 0.3 * (i + j) as f64);
//! GradientCheck::new().cost(&Quartic, &Tanh, &z, &y)?.assert_passed();
//! # Ok::<(), backprop::Error>(())
//! ```

mod builtin;
mod outputs;
mod tangent;

use crate::error::{Error, unsupported};
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::fmt::Debug;

pub use crate::kernels::squash::Squash;
pub use builtin::AnyCost;
pub use builtin::AnyCost::{
    BinaryCrossEntropy, CategoricalCrossEntropy, Huber, LogCosh, Poisson, SquaredError,
};
pub use outputs::Outputs;
#[cfg(feature = "num-dual")]
pub(crate) use outputs::{Exact, Known};

/// The link function of a canonical pair: an activation inverts it, a cost is computed through it.
///
/// If the output layer's activation and the cost name the same link, the cost gets z and gives ∂cost/∂z itself.
/// Named as in generalised linear models (McCullagh, Nelder, *Generalized Linear Models*, 1989).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Link {
    /// z = a: identity with the regression costs.
    Identity,
    /// z = ln(a/(1 − a)): sigmoid with cross-entropy.
    Logit,
    /// zᵢ = ln aᵢ + any constant: softmax with categorical cross-entropy.
    Softmax,
    /// z = ln a: exponential with Poisson.
    Log,
    /// A pair of your own, by name.
    Custom(&'static str),
}

/// Where an output lies outside the domain of a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The output unit.
    pub unit: usize,
    /// The example.
    pub example: usize,
    /// What was expected, in words: `"in (0, 1)"`.
    pub expected: &'static str,
}

/// The cost of one example as a function of the network's outputs and the targets, for every example of a batch.
///
/// All matrices of a call have equal shapes (with others an implementation may panic). A cost knows nothing of m, weights or penalties: those are applied in one place, for all costs alike. The
/// [module documentation](self) has the formulas of the built-in ones, and an example of one of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cost for numbers of type `{T}`",
    label = "`Cost<{T}>` is not implemented for `{Self}`",
    note = "the built-in costs are in `backprop::cost`: `BinaryCrossEntropy`, `SquaredError`, …; an \
            `Objective` holds one, and is not one itself",
    note = "for a type of your own implement `Cost<{T}>`, best for every `T: Scalar`"
)]
pub trait Cost<T: Scalar>: Debug + Send + Sync {
    /// The cost of each example, written to `values` (of length m).
    ///
    /// Derivation: [(5)](crate::derivation#cross-entropy).
    fn values(&self, at: Outputs<'_, T>, values: &mut [T]);

    /// If `at.z` is present ∂cost/∂z, else ∂cost/∂a, written to every entry of `delta` (K × m).
    ///
    /// Derivation: [(9)](crate::derivation#output-error) and [(12)](crate::derivation#output-error-general).
    fn delta(&self, at: Outputs<'_, T>, delta: DMatrixViewMut<'_, T>);

    /// The link through which this cost can be computed from z, if it can.
    fn link(&self) -> Option<Link> {
        None
    }

    /// The closed interval of the targets; (−∞, ∞) unless overridden.
    fn target_domain(&self) -> (f64, f64) {
        (f64::NEG_INFINITY, f64::INFINITY)
    }

    /// The first output at which the cost is not defined. Not asked for a canonical pair.
    ///
    /// # Errors
    /// A [`Violation`] with the unit, the example, and the domain in words.
    fn check_outputs(&self, a: DMatrixView<'_, T>, y: DMatrixView<'_, T>) -> Result<(), Violation> {
        let _ = (a, y);
        Ok(())
    }

    /// Whether the cost's own constants are in their ranges.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`] if a constant is out of range.
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Whether the cost of an example is −ln p(y | a) + terms free of a, linear in y where a has a part in it, with E\[y] = a.
    ///
    /// Then the Fisher information of the outputs is ∂²cost/∂a² at y = a: 1/(a (1 − a)) for a unit of [`BinaryCrossEntropy`], 1/a for one of [`CategoricalCrossEntropy`] (with Σy = 1)
    /// and of [`Poisson`], 1 for one of [`SquaredError`] (of unit variance).
    ///
    /// # Example
    /// ```
    /// use backprop::cost::{Cost, Huber, Poisson};
    ///
    /// assert!(Cost::<f64>::is_log_likelihood(&Poisson));
    /// assert!(!Cost::<f64>::is_log_likelihood(&Huber { delta: 1.0 }));
    /// ```
    fn is_log_likelihood(&self) -> bool {
        false
    }

    /// The derivative of [`delta`](Self::delta) along the direction `tangent` of z (if `at.z` is present) or of a.
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless the implementation provides it.
    fn delta_tangent(
        &self,
        at: Outputs<'_, T>,
        tangent: DMatrixView<'_, T>,
        delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        let _ = (at, tangent, delta_tangent);
        Err(unsupported::<Self>("Cost::delta_tangent"))
    }
}

/// Delegates every method.
impl<T: Scalar, C: Cost<T> + ?Sized> Cost<T> for Box<C> {
    fn values(&self, at: Outputs<'_, T>, values: &mut [T]) {
        (**self).values(at, values);
    }

    fn delta(&self, at: Outputs<'_, T>, delta: DMatrixViewMut<'_, T>) {
        (**self).delta(at, delta);
    }

    fn link(&self) -> Option<Link> {
        (**self).link()
    }

    fn target_domain(&self) -> (f64, f64) {
        (**self).target_domain()
    }

    fn check_outputs(&self, a: DMatrixView<'_, T>, y: DMatrixView<'_, T>) -> Result<(), Violation> {
        (**self).check_outputs(a, y)
    }

    fn validate(&self) -> Result<(), Error> {
        (**self).validate()
    }

    fn is_log_likelihood(&self) -> bool {
        (**self).is_log_likelihood()
    }

    fn delta_tangent(
        &self,
        at: Outputs<'_, T>,
        tangent: DMatrixView<'_, T>,
        delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        (**self).delta_tangent(at, tangent, delta_tangent)
    }
}
