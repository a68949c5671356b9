//! A cost for each head of a network.

use super::readout::GATHERED;
use super::{AnyCost, Cost, Link, Outputs, Violation};
use crate::error::{Error, hyperparameter};
use crate::kernels;
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// A weighted sum of costs, each of some rows of the outputs: Σₕ wₕ costₕ.
///
/// Each cost whose rows are one branch of a [`Concat`](crate::layer::Concat) at the end of the
/// network is computed from z if the pair is canonical, as for a network with one head: δ is
/// wₕ (a − y), exact for saturated outputs too. Outputs in no head have δ = 0.
///
/// A metric sees all outputs; [`OfHead`](crate::metrics::OfHead) is the metric of one head.
///
/// Derivation: [(37)](crate::derivation#heads).
///
/// # Example
/// Two classes and a number, which counts a tenth:
/// ```
/// use backprop::activation::{Identity, Softmax, Tanh};
/// use backprop::layer::{AnyLayer, Axis, Concat, Sequential};
/// use backprop::cost::{CategoricalCrossEntropy, Heads, SquaredError};
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Dense, Examples, Network, Objective};
///
/// let branch = |dense| Sequential::new(vec![AnyLayer::Dense(dense)]);
/// let branches = vec![
///     branch(Dense::new(2, 2, Softmax)),
///     branch(Dense::new(2, 1, Identity)),
/// ];
/// let layers = vec![AnyLayer::Concat(Concat::new(branches, Axis::First))];
/// let network = Network::<f64>::from_layers(2, layers, &[0.0; 9])?;
///
/// let cost = Heads::new()
///     .head(0..2, CategoricalCrossEntropy, 1.0)
///     .head(2..3, SquaredError, 0.1);
/// let (x, y) = (DMatrix::zeros(2, 1), DMatrix::from_row_slice(3, 1, &[1.0, 0.0, 2.0]));
/// let j = network.cost(&Examples::new(&x, &y)?, &Objective::new(cost))?;
/// assert!((j - (2.0_f64.ln() + 0.1 * 2.0)).abs() < 1e-15);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Heads<C = AnyCost> {
    heads: Vec<HeadCost<C>>,
}

/// One cost of several.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct HeadCost<C> {
    rows: Range<usize>,
    cost: C,
    weight: f64,
}

impl<C> Default for Heads<C> {
    fn default() -> Self {
        Self { heads: Vec::new() }
    }
}

impl<C> Heads<C> {
    /// Creates a sum of no costs: add at least one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the cost of the outputs in `rows`, multiplied by `weight`.
    ///
    /// The heads must be in the order of their rows, which must not overlap. A pass checks this.
    #[must_use]
    pub fn head(mut self, rows: Range<usize>, cost: C, weight: f64) -> Self {
        self.heads.push(HeadCost { rows, cost, weight });
        self
    }
}

impl<C> HeadCost<C> {
    fn weight<T: Scalar>(&self) -> T {
        real(self.weight)
    }
}

/// Views the rows of a matrix that is written.
fn rows_mut<'a, T: Scalar>(
    matrix: &'a mut DMatrixViewMut<'_, T>,
    rows: &Range<usize>,
) -> DMatrixViewMut<'a, T> {
    matrix.rows_mut(rows.start, rows.len())
}

impl<T: Scalar, C: Cost<T>> Cost<T> for Heads<C> {
    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
        values.fill(T::zero());
        for head in &self.heads {
            let at = at.in_rows(&head.rows, head.cost.link());
            at.add_values(&head.cost, head.weight(), values);
        }
    }

    fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        delta.fill(T::zero());
        for head in &self.heads {
            let mut delta = rows_mut(&mut delta, &head.rows);
            let (rows, weight) = (head.rows.len(), head.weight::<T>());
            let at = at.in_rows(&head.rows, head.cost.link());
            at.gathered(|columns, at| {
                let mut delta = delta.columns_mut(columns.start, columns.len());
                let len = rows * columns.len();
                if len > GATHERED {
                    at.delta(&head.cost, delta.as_view_mut());
                    delta *= weight;
                    return;
                }
                let mut buffer = [T::zero(); GATHERED];
                let own = &mut buffer[..len];
                let to = DMatrixViewMut::from_slice(&mut *own, rows, columns.len());
                at.delta(&head.cost, to);
                for (mut to, from) in delta.column_iter_mut().zip(own.chunks_exact(rows)) {
                    let entries = to.iter_mut().zip(from);
                    entries.for_each(|(to, &d)| *to = d * weight);
                }
            });
        }
    }

    fn link_of(&self, rows: Range<usize>, _outputs: usize) -> Option<Link> {
        let head = self.heads.iter().find(|head| head.rows == rows)?;
        head.cost.link()
    }

    fn is_of_heads(&self) -> bool {
        true
    }

    fn outputs(&self) -> usize {
        let ends = self.heads.iter().map(|head| head.rows.end);
        ends.fold(0, usize::max)
    }

    fn check_count(&self, outputs: usize) -> Result<(), Error> {
        let expected = Cost::<T>::outputs(self);
        if expected > outputs {
            let found = outputs;
            return Err(Error::HeadRows { expected, found });
        }
        let mut heads = self.heads.iter();
        heads.try_for_each(|head| head.cost.check_count(head.rows.len()))
    }

    /// The targets that every head accepts.
    fn target_domain(&self) -> (f64, f64) {
        let domains = self.heads.iter().map(|head| head.cost.target_domain());
        let all = (f64::NEG_INFINITY, f64::INFINITY);
        domains.fold(all, |(low, high), (least, most)| {
            (low.max(least), high.min(most))
        })
    }

    fn target_domain_of(&self, unit: usize) -> (f64, f64) {
        let head = self.heads.iter().find(|head| head.rows.contains(&unit));
        let all = (f64::NEG_INFINITY, f64::INFINITY);
        head.map_or(all, |head| head.cost.target_domain())
    }

    fn target_group(&self, unit: usize, _outputs: usize) -> Range<usize> {
        let head = self.heads.iter().find(|head| head.rows.contains(&unit));
        let Some(HeadCost { rows, cost, .. }) = head else {
            return unit..unit + 1;
        };
        let group = cost.target_group(unit - rows.start, rows.len());
        rows.start + group.start..rows.start + group.end
    }

    fn check_at(&self, at: &Outputs<'_, T>) -> Result<(), Violation> {
        for head in &self.heads {
            let at = at.in_rows(&head.rows, head.cost.link());
            at.check(&head.cost).map_err(|found| Violation {
                unit: head.rows.start + found.unit,
                ..found
            })?;
        }
        Ok(())
    }

    fn validate(&self) -> Result<(), Error> {
        if self.heads.is_empty() {
            let expected = "at least one";
            return Err(hyperparameter("the number of heads", 0.0, expected));
        }
        let mut end = 0;
        for head in &self.heads {
            head.cost.validate()?;
            let weight = head.weight;
            if !(weight >= 0.0 && real::<T>(weight).is_finite()) {
                let expected = "a number in [0, ∞)";
                return Err(hyperparameter("the weight of a head", weight, expected));
            }
            let Range { start, end: next } = head.rows;
            if start < end || start >= next {
                return Err(hyperparameter(
                    "the first row of a head",
                    start as f64,
                    "a row before its end and after the head before it",
                ));
            }
            end = next;
        }
        Ok(())
    }

    /// Whether all heads are, with weight 1.
    fn is_log_likelihood(&self) -> bool {
        let mut heads = self.heads.iter();
        heads.all(|head| head.cost.is_log_likelihood() && head.weight == 1.0)
    }

    fn delta_tangent(
        &self,
        at: &Outputs<'_, T>,
        tangent: DMatrixView<'_, T>,
        mut to: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        to.fill(T::zero());
        for head in &self.heads {
            let mut to = rows_mut(&mut to, &head.rows);
            let of_head = at.in_rows(&head.rows, head.cost.link());
            let tangent = match at.z_tangent(&head.rows).filter(|_| of_head.z.is_some()) {
                Some(tangent) => tangent,
                None => kernels::rows(tangent, head.rows.clone()),
            };
            of_head.delta_tangent(&head.cost, &tangent, to.as_view_mut())?;
            to *= head.weight::<T>();
        }
        Ok(())
    }
}
