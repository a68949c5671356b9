//! Costs: the trait, the 6 built-in costs and the canonical pairs.
//!
//! The cost of one example is a function of the outputs a = a⁽ᴸ⁾ and the targets y. Sums are over
//! the K output units, and d = a − y.
//!
//! | [`AnyCost`] | cost of an example | targets | outputs | canonical activation |
//! |---|---|---|---|---|
//! | [`BinaryCrossEntropy`] | −Σ \[y ln a + (1 − y) ln(1 − a)] | \[0, 1] | \[0, 1] | [`Sigmoid`] |
//! | [`CategoricalCrossEntropy`] | −Σ y ln a | \[0, ∞) | \[0, ∞) | [`Softmax`] |
//! | [`SquaredError`] | ½ Σ d² | ℝ | ℝ | [`Identity`] |
//! | [`Huber`] | Σ ½ d² if \|d\| ≤ δ, else δ (\|d\| − ½ δ) | ℝ | ℝ | [`Identity`] |
//! | [`LogCosh`] | Σ ln cosh d | ℝ | ℝ | [`Identity`] |
//! | [`Poisson`] | Σ a − y ln a, without ln y! | \[0, ∞) | \[0, ∞) | [`Exponential`] |
//!
//! A term y ln a is 0 where y = 0, and so are its derivatives. An example whose targets are all 0
//! has categorical cross-entropy 0. An output at the edge of its interval is accepted where the
//! cost is finite there, such as a = 0 with y = 0. Otherwise it is an [`Error::Output`]. Outputs
//! are never clamped.
//!
//! Other costs are made of these: [`WeightedBinaryCrossEntropy`] has a weight for the positive
//! targets of each output (`pos_weight`), and [`Heads`] is a weighted sum of costs.
//!
//! # Derivatives
//! The table has the derivatives of the cost of one unit; \[i = j] is 1 if i = j, else 0. The
//! derivatives with respect to z are for the canonical activation, where ∂cost/∂z is δ⁽ᴸ⁾. For
//! other activations they follow from those with respect to a by the chain rule.
//!
//! | | ∂cost/∂a | ∂²cost/∂a² | ∂cost/∂z | ∂²cost/∂z² |
//! |---|---|---|---|---|
//! | [`BinaryCrossEntropy`] | (1 − y)/(1 − a) − y/a | y/a² + (1 − y)/(1 − a)² | a − y | a (1 − a) |
//! | [`CategoricalCrossEntropy`] | −y/a | y/a² | a Σy − y | ∂²cost/∂zᵢ∂zⱼ = aᵢ ([i = j] − aⱼ) Σy |
//! | [`SquaredError`] | d | 1 | d | 1 |
//! | [`Huber`] | d, clipped to ±δ | 1 if \|d\| ≤ δ, else 0 | as ∂cost/∂a | as ∂²cost/∂a² |
//! | [`LogCosh`] | tanh d | 1 − tanh² d | tanh d | 1 − tanh² d |
//! | [`Poisson`] | 1 − y/a | y/a² | a − y | a |
//!
//! # Canonical pairs
//! With its canonical activation, a cost is computed from z instead of a. It uses ln(1 + e^(−|z|)),
//! or the log-sum-exp of z, instead of the logarithm of a number that has rounded to 0 or 1. The
//! cost is therefore finite and accurate for any z, even for |z| = 10⁴ in `f32`. Only Poisson
//! overflows, where eᶻ does. Every other pair of activation and cost goes through ∂cost/∂a, which
//! gives the same derivative as long as a is inside the domain.
//!
//! # Saturated outputs
//! σ(40) rounds to 1; its true value is 1 − 4.2·10⁻¹⁸. A network passes its cost the activation
//! that computed the outputs ([`Outputs::activated_by`]). The cost then computes a − y and 1 − a
//! from z wherever outputs round to a constant: 0, ½ and 1 for sigmoid; 0, 1/n and 1 for softmax;
//! ±1 for tanh and softsign; 1 for the exponential; −α for ELU. Custom costs get a − y from
//! [`Outputs::difference`].
//!
//! Costs and δ are within 4 units in the last place of their largest term. For y = 1 that term is a
//! − y itself, so J, ∇J and ∂J/∂X of a saturated unit are accurate instead of 0. The same holds for
//! δ of [`BinaryCrossEntropy`] near z = 0 with y = ½, and of [`Poisson`] with y = 1.
//!
//! The domain is checked on the rounded output: [`BinaryCrossEntropy`] after a tanh that has
//! rounded to 1 gives an [`Error::Output`] for y < 1. An intermediate result that underflows is
//! rounded to 0. For a sigmoid with the squared error, δ is therefore 0 beyond z = ±355, and beyond
//! ±44 in `f32`.
//!
//! # Custom costs
//! Implement [`Cost`], and check it with a
//! [`GradientCheck`](crate::gradient_check::GradientCheck):
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
//!     fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
//!         for (k, value) in values.iter_mut().enumerate() {
//!             // a − y, accurate even where a sigmoid or tanh has rounded to y.
//!             let terms = (0..at.a.nrows()).map(|i| at.difference(i, k).powi(4));
//!             *value = terms.fold(T::zero(), |sum, term| sum + term) * convert(0.25);
//!         }
//!     }
//!
//!     fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
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
//!
//! [`Exponential`]: crate::activation::Exponential
//! [`Identity`]: crate::activation::Identity
//! [`Sigmoid`]: crate::activation::Sigmoid
//! [`Softmax`]: crate::activation::Softmax

mod builtin;
mod exact;
mod formulas;
mod heads;
mod missing;
mod outputs;
mod readout;
mod weighted;

use crate::error::{Error, unsupported};
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::fmt::Debug;
use std::ops::Range;

pub use crate::link::Link;
pub use builtin::AnyCost;
pub use builtin::AnyCost::{
    BinaryCrossEntropy, CategoricalCrossEntropy, Huber, LogCosh, Poisson, SquaredError,
};
#[cfg(feature = "num-dual")]
pub(crate) use exact::{Exact, Known};
pub use heads::Heads;
pub(crate) use missing::Present;
pub use outputs::Outputs;
pub(crate) use readout::HeadOutputs;
pub use weighted::WeightedBinaryCrossEntropy;

/// The place at which an output lies outside the domain of a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The output unit.
    pub unit: usize,
    /// The example.
    pub example: usize,
    /// The domain in words, such as `"in (0, 1)"`.
    pub expected: &'static str,
}

/// The cost of each example of a batch, as a function of outputs and targets.
///
/// All matrices in a call are K × m, for K outputs (or one
/// [group](Self::target_group) of them) and m examples. If their shapes differ, an
/// implementation may panic. A cost ignores the division by m, example weights and penalties, which
/// are applied to all costs in one place. The [module documentation](self) has the formulas of the
/// built-in costs, and an example of a custom one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cost for numbers of type `{T}`",
    label = "`Cost<{T}>` is not implemented for `{Self}`",
    note = "the built-in costs are in `backprop::cost`: `BinaryCrossEntropy`, `SquaredError`, …; \
            an `Objective` holds one, and is not one itself",
    note = "for a custom type, implement `Cost<{T}>`, preferably for every `T: Scalar`"
)]
pub trait Cost<T: Scalar>: Debug + Send + Sync {
    /// Writes the cost of each example to `values`, which has length m.
    ///
    /// Derivation: [(5)](crate::derivation#cross-entropy).
    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]);

    /// Writes ∂cost/∂z to `delta` (K × m) if `at.z` is present, otherwise ∂cost/∂a.
    ///
    /// It must write every entry.
    ///
    /// Derivation: [(9)](crate::derivation#output-error) and
    /// [(12)](crate::derivation#output-error-general).
    fn delta(&self, at: &Outputs<'_, T>, delta: DMatrixViewMut<'_, T>);

    /// Returns the link with which this cost can be computed from z, if there is one.
    fn link(&self) -> Option<Link> {
        None
    }

    /// Returns the built-in cost to which this one is identical, if there is one. A
    /// [page](crate::TracePage) then shows its formula.
    fn as_builtin(&self) -> Option<AnyCost> {
        None
    }

    /// Returns the closed interval of valid targets. The default is (−∞, ∞).
    fn target_domain(&self) -> (f64, f64) {
        (f64::NEG_INFINITY, f64::INFINITY)
    }

    /// Checks that the cost is defined at all outputs. It is not called for a canonical pair.
    ///
    /// # Errors
    /// Returns a [`Violation`] for the first output outside the domain, with its unit and example.
    fn check_outputs(&self, a: DMatrixView<'_, T>, y: DMatrixView<'_, T>) -> Result<(), Violation> {
        let _ = (a, y);
        Ok(())
    }

    /// Returns the link with which this cost can be computed from z of one head, which has exactly
    /// these rows of the `outputs` of a network. The default is [`link`](Self::link) for a head
    /// with all outputs.
    fn link_of(&self, rows: Range<usize>, outputs: usize) -> Option<Link> {
        self.link().filter(|_| rows == (0..outputs))
    }

    /// Returns whether the cost is one of several heads, as [`Heads`] is.
    fn is_of_heads(&self) -> bool {
        false
    }

    /// Returns the number of outputs that the cost needs at least.
    fn outputs(&self) -> usize {
        0
    }

    /// Checks that the cost fits a network with this number of outputs.
    ///
    /// # Errors
    /// Returns [`Error::HeadRows`] if they are fewer than [`outputs`](Self::outputs), and
    /// [`Error::Length`] if a cost has a constant for each output and their number differs.
    fn check_count(&self, outputs: usize) -> Result<(), Error> {
        if self.outputs() <= outputs {
            return Ok(());
        }
        Err(Error::HeadRows {
            expected: self.outputs(),
            found: outputs,
        })
    }

    /// Returns the closed interval of valid targets of one output.
    fn target_domain_of(&self, unit: usize) -> (f64, f64) {
        let _ = unit;
        self.target_domain()
    }

    /// Returns the group of outputs that contains `unit`. The targets of a group are all present or
    /// all missing ([`Examples::with_missing`](crate::Examples::with_missing)).
    ///
    /// The groups must cut the outputs into ranges in order, the cost of an example must be a sum
    /// over them, and each term may depend only on its own group. For an example with missing
    /// targets, the other methods get the rows of one group alone. The default is one group, of
    /// all `outputs`.
    fn target_group(&self, unit: usize, outputs: usize) -> Range<usize> {
        let _ = unit;
        0..outputs
    }

    /// Checks that the cost is defined at all outputs that it does not compute from z.
    ///
    /// # Errors
    /// Returns a [`Violation`] for the first output outside the domain, with its unit and example.
    fn check_at(&self, at: &Outputs<'_, T>) -> Result<(), Violation> {
        at.check(self)
    }

    /// Checks the constants of this cost.
    ///
    /// # Errors
    /// Returns [`Error::Hyperparameter`] if a constant is out of range.
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Returns whether the cost is the negative log-likelihood of an exponential family with mean
    /// a.
    ///
    /// [`GaussNewton::Fisher`](crate::GaussNewton::Fisher) requires it; `false` is always safe.
    ///
    /// Such a cost is −ln p(y | a) up to terms that do not depend on a, and the terms that do are
    /// linear in y. Then the Fisher information of the outputs is ∂²cost/∂a² at y = a. For one unit
    /// it is 1/(a (1 − a)) with [`BinaryCrossEntropy`], 1/a with [`CategoricalCrossEntropy`] (for
    /// Σy = 1) and [`Poisson`], and 1 with [`SquaredError`] (for unit variance).
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

    /// Writes the derivative of [`delta`](Self::delta) along `tangent`, a direction of z if `at.z`
    /// is present, otherwise of a.
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] unless the implementation provides it.
    fn delta_tangent(
        &self,
        at: &Outputs<'_, T>,
        tangent: DMatrixView<'_, T>,
        delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        let _ = (at, tangent, delta_tangent);
        Err(unsupported::<Self>("Cost::delta_tangent"))
    }
}

/// Delegates every method to the boxed cost.
impl<T: Scalar, C: Cost<T> + ?Sized> Cost<T> for Box<C> {
    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
        (**self).values(at, values);
    }

    fn delta(&self, at: &Outputs<'_, T>, delta: DMatrixViewMut<'_, T>) {
        (**self).delta(at, delta);
    }

    fn link(&self) -> Option<Link> {
        (**self).link()
    }

    fn as_builtin(&self) -> Option<AnyCost> {
        (**self).as_builtin()
    }

    fn target_domain(&self) -> (f64, f64) {
        (**self).target_domain()
    }

    fn check_outputs(&self, a: DMatrixView<'_, T>, y: DMatrixView<'_, T>) -> Result<(), Violation> {
        (**self).check_outputs(a, y)
    }

    fn link_of(&self, rows: Range<usize>, outputs: usize) -> Option<Link> {
        (**self).link_of(rows, outputs)
    }

    fn is_of_heads(&self) -> bool {
        (**self).is_of_heads()
    }

    fn outputs(&self) -> usize {
        (**self).outputs()
    }

    fn check_count(&self, outputs: usize) -> Result<(), Error> {
        (**self).check_count(outputs)
    }

    fn target_domain_of(&self, unit: usize) -> (f64, f64) {
        (**self).target_domain_of(unit)
    }

    fn target_group(&self, unit: usize, outputs: usize) -> Range<usize> {
        (**self).target_group(unit, outputs)
    }

    fn check_at(&self, at: &Outputs<'_, T>) -> Result<(), Violation> {
        (**self).check_at(at)
    }

    fn validate(&self) -> Result<(), Error> {
        (**self).validate()
    }

    fn is_log_likelihood(&self) -> bool {
        (**self).is_log_likelihood()
    }

    fn delta_tangent(
        &self,
        at: &Outputs<'_, T>,
        tangent: DMatrixView<'_, T>,
        delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        (**self).delta_tangent(at, tangent, delta_tangent)
    }
}
