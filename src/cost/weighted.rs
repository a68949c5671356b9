//! The binary cross-entropy with a weight for the positive targets of each output.

use super::formulas::{curvature, ratio, x_ln_a};
use super::{BinaryCrossEntropy, Cost, Link, Outputs, Violation};
use crate::error::{Error, ranges::not_negative};
use crate::scalar::{Scalar, real, sigmoid, sigmoid_derivative, softplus};
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// −Σ \[p y ln a + (1 − y) ln(1 − a)]: [`BinaryCrossEntropy`] with a weight p for the positive
/// targets of each output.
///
/// A weight above 1 raises the recall of its output, and a weight below 1 its precision. For rare
/// labels, a common choice is p = (negative examples)/(positive examples), which gives both the
/// same total weight. This is `BCEWithLogitsLoss(pos_weight=p)` of PyTorch, with `reduction="sum"`
/// over the outputs. The weights of the classes of a
/// [`CategoricalCrossEntropy`](crate::CategoricalCrossEntropy) are weights of the examples:
/// [`class_weights`](crate::data::class_weights).
///
/// Its canonical activation is [`Sigmoid`](crate::activation::Sigmoid). With it, the cost of one
/// unit is p y ln(1 + e⁻ᶻ) + (1 − y) ln(1 + eᶻ). Its derivatives with respect to z are
/// (1 − y) σ(z) − p y σ(−z), which is δ, and (1 − y + p y) σ′(z). With respect to a they are
/// (1 − y)/(1 − a) − p y/a and p y/a² + (1 − y)/(1 − a)². Targets and outputs are those of
/// [`BinaryCrossEntropy`].
///
/// It is not the negative log-likelihood of targets with mean a, so
/// [`GaussNewton::Fisher`](crate::GaussNewton::Fisher) refuses it.
///
/// A pass refuses a number of weights that is not the number of outputs ([`Error::Length`]), and
/// weights outside \[0, ∞) ([`Error::Hyperparameter`]).
///
/// # Example
/// At z = 0, a positive target of the first output costs 3 ln 2, a negative one of the second ln 2:
/// ```
/// use backprop::cost::{Cost, Outputs, WeightedBinaryCrossEntropy};
/// use backprop::nalgebra::DMatrix;
///
/// let cost = WeightedBinaryCrossEntropy::new([3.0, 5.0]);
/// let (z, a) = (DMatrix::zeros(2, 1), DMatrix::repeat(2, 1, 0.5));
/// let y = DMatrix::from_row_slice(2, 1, &[1.0, 0.0]);
/// let at = Outputs::new(Some(z.as_view()), a.as_view(), y.as_view());
/// let (mut values, mut delta) = ([0.0], a.clone());
/// cost.values(&at, &mut values);
/// cost.delta(&at, delta.as_view_mut());
/// assert!((values[0] - 4.0 * 2.0_f64.ln()).abs() < 1e-15);
/// assert_eq!(delta.as_slice(), [-1.5, 0.5]);
/// ```
#[doc(alias("pos_weight", "BCEWithLogitsLoss"))]
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct WeightedBinaryCrossEntropy {
    pos_weight: Vec<f64>,
}

impl WeightedBinaryCrossEntropy {
    /// Creates the cost with a weight p ≥ 0 for each output.
    #[must_use]
    pub fn new(pos_weight: impl Into<Vec<f64>>) -> Self {
        let pos_weight = pos_weight.into();
        Self { pos_weight }
    }

    /// Writes f(p, i, k) to every entry; p is the weight of output i.
    fn write<T: Scalar>(
        &self,
        at: &Outputs<'_, T>,
        out: &mut DMatrixViewMut<'_, T>,
        f: impl Fn(T, usize, usize) -> T,
    ) {
        for k in 0..out.ncols() {
            for i in 0..out.nrows() {
                out[(i, k)] = f(self.weight(at, i, k), i, k);
            }
        }
    }

    /// Returns p. Every call that reaches the cost has checked that there is one.
    fn weight<T: Scalar>(&self, at: &Outputs<'_, T>, i: usize, k: usize) -> T {
        let weight = self.pos_weight.get(at.unit(i, k));
        real(weight.copied().unwrap_or(f64::NAN))
    }
}

impl<T: Scalar> Cost<T> for WeightedBinaryCrossEntropy {
    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
        let term = |i, k| {
            let (p, y): (T, T) = (self.weight(at, i, k), at.y[(i, k)]);
            match at.z {
                Some(z) => p * y * softplus(-z[(i, k)]) + (T::one() - y) * softplus(z[(i, k)]),
                None => {
                    let (a, rest) = (at.a[(i, k)], at.complement(i, k));
                    -p * x_ln_a(y, a, rest) - x_ln_a(T::one() - y, rest, a)
                }
            }
        };
        for (k, value) in values.iter_mut().enumerate() {
            let terms = (0..at.y.nrows()).map(|i| term(i, k));
            *value = terms.fold(T::zero(), |sum, term| sum + term);
        }
    }

    fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        self.write(at, &mut delta, |p, i, k| {
            let y = at.y[(i, k)];
            match at.z {
                Some(z) => (T::one() - y) * sigmoid(z[(i, k)]) - p * y * sigmoid(-z[(i, k)]),
                None => ratio(T::one() - y, at.complement(i, k)) - p * ratio(y, at.a[(i, k)]),
            }
        });
    }

    fn link(&self) -> Option<Link> {
        Some(Link::Logit)
    }

    fn target_domain(&self) -> (f64, f64) {
        Cost::<T>::target_domain(&BinaryCrossEntropy)
    }

    fn check_outputs(&self, a: DMatrixView<'_, T>, y: DMatrixView<'_, T>) -> Result<(), Violation> {
        BinaryCrossEntropy.check_outputs(a, y)
    }

    fn check_count(&self, outputs: usize) -> Result<(), Error> {
        crate::examples::check_length("the weights of the cost", outputs, self.pos_weight.len())
    }

    fn target_group(&self, unit: usize, outputs: usize) -> Range<usize> {
        Cost::<T>::target_group(&BinaryCrossEntropy, unit, outputs)
    }

    fn validate(&self) -> Result<(), Error> {
        let mut weights = self.pos_weight.iter();
        weights.try_for_each(|&p| not_negative::<T>("a weight of positive targets", p))
    }

    fn delta_tangent(
        &self,
        at: &Outputs<'_, T>,
        tangent: DMatrixView<'_, T>,
        mut out: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        self.write(at, &mut out, |p, i, k| {
            let y = at.y[(i, k)];
            let slope = match at.z {
                Some(z) => (T::one() - y + p * y) * sigmoid_derivative(z[(i, k)]),
                None => {
                    let rest = at.complement(i, k);
                    p * curvature(y, at.a[(i, k)]) + curvature(T::one() - y, rest)
                }
            };
            slope * tangent[(i, k)]
        });
        Ok(())
    }
}
