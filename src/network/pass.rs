//! One pass: forward, costs, backward. Everything public on [`Network`] is a thin wrapper over this.

use super::Network;
use crate::cost::{Cost, Outputs};
use crate::error::Error;
use crate::examples::{Examples, check_finite, check_length, check_rows};
use crate::gradient::{CostParts, check_gradient, finish};
use crate::kernels;
use crate::layer::{Backward, Forward, Layer};
use crate::layout::resize;
use crate::objective::Objective;
use crate::scalar::{Scalar, first_non_finite, real, to_f64};
use crate::workspace::Workspace;
use nalgebra::{DMatrixView, DMatrixViewMut};

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    pub(super) fn check_inputs(&self, x: DMatrixView<'_, T>) -> Result<(), Error> {
        check_rows("X", x, self.inputs())?;
        if x.ncols() == 0 {
            return Err(Error::NoExamples);
        }
        check_finite("X", x)
    }

    /// z and a of every layer into the workspace; the first a that is not finite ends the pass.
    pub(super) fn run_forward(
        &self,
        theta: &[T],
        x: DMatrixView<'_, T>,
        workspace: &mut Workspace<T>,
    ) -> Result<(), Error> {
        let m = x.ncols();
        workspace.fit(&self.layout, &self.layers, m)?;
        let training = workspace.training;
        for (l, (layer, sizes)) in self.layers.iter().zip(self.layout.layers()).enumerate() {
            let (below, rest) = workspace.layers.split_at_mut(l);
            let input = match below.last() {
                Some(buffers) => DMatrixView::from_slice(&buffers.output, sizes.inputs, m),
                None => x,
            };
            let Some(buffers) = rest.first_mut() else {
                break;
            };
            let rows = sizes.outputs;
            let output = DMatrixViewMut::from_slice(&mut buffers.output, rows, m);
            let theta = &theta[sizes.theta.clone()];
            let mut pass = Forward::new(theta, input, output, &mut buffers.cache);
            (pass.training, pass.seed) = mode(training, l);
            layer.forward(pass);
            if let Some(index) = first_non_finite(&buffers.output) {
                return Err(Error::NonFinite {
                    layer: l,
                    unit: index % rows,
                    example: index / rows,
                    value: to_f64(buffers.output[index]),
                });
            }
        }
        Ok(())
    }

    /// What the cost is evaluated at after a forward pass: with z exactly if the pair is canonical.
    fn outputs_of<'a, C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'a, T>,
        cost: &C,
        workspace: &'a Workspace<T>,
    ) -> Outputs<'a, T> {
        let last = self.depth() - 1;
        let (sizes, last) = (&self.layout.layers()[last], &workspace.layers[last]);
        let (rows, m) = (sizes.outputs, examples.len());
        let a = DMatrixView::from_slice(&last.output, rows, m);
        let linked = sizes.link.is_some() && sizes.link == cost.link();
        let z = last.cache.get(..rows * m).filter(|_| linked);
        let z = z.map(|z| DMatrixView::from_slice(z, rows, m));
        Outputs::new(z, a, examples.y)
    }

    /// Forward pass and Σ w·cost; the cost of each example stays in the workspace.
    fn sum_costs<C: Cost<T> + ?Sized>(
        &self,
        theta: &[T],
        examples: &Examples<'_, T>,
        cost: &C,
        workspace: &mut Workspace<T>,
    ) -> Result<T, Error> {
        examples.check(self.inputs(), self.outputs(), cost.target_domain())?;
        self.run_forward(theta, examples.x, workspace)?;
        workspace.fit_values(examples.len())?;
        let mut values = std::mem::take(&mut workspace.values);
        let at = self.outputs_of(examples, cost, workspace);
        let defined = match at.z {
            Some(_) => Ok(()),
            None => self.check_domain(at, cost),
        };
        if defined.is_ok() {
            cost.values(at, &mut values);
        }
        workspace.values = values;
        defined?;
        let sum = match examples.weights {
            None => kernels::sum(&workspace.values),
            Some(weights) => weighted_sum(weights, &workspace.values),
        };
        if sum.is_finite() {
            return Ok(sum);
        }
        Err(match first_non_finite(&workspace.values) {
            Some(example) => Error::NonFiniteCost {
                example,
                value: to_f64(workspace.values[example]),
            },
            None => Error::NonFiniteObjective { value: to_f64(sum) },
        })
    }

    fn check_domain<C: Cost<T> + ?Sized>(&self, at: Outputs<'_, T>, cost: &C) -> Result<(), Error> {
        cost.check_outputs(at.a, at.y).map_err(|found| {
            let value = at.a.get((found.unit, found.example));
            Error::Output {
                layer: self.depth() - 1,
                unit: found.unit,
                example: found.example,
                value: value.map_or(f64::NAN, |&a| to_f64(a)),
                expected: found.expected,
            }
        })
    }

    /// The backward pass: Δ of every layer into `gradient`, w·∂cost/∂X into `input_delta`, each if asked for.
    fn run_backward<C: Cost<T> + ?Sized>(
        &self,
        theta: &[T],
        examples: &Examples<'_, T>,
        cost: &C,
        workspace: &mut Workspace<T>,
        mut gradient: Option<&mut [T]>,
        mut input_delta: Option<DMatrixViewMut<'_, T>>,
    ) -> Result<(), Error> {
        let m = examples.len();
        workspace.fit_deltas(&self.layout, m)?;
        let training = workspace.training;
        let [mut delta, mut below] = std::mem::take(&mut workspace.deltas);
        let at = self.outputs_of(examples, cost, workspace);
        let linked = at.z.is_some();
        {
            let delta = &mut delta[..self.outputs() * m];
            cost.delta(at, DMatrixViewMut::from_slice(delta, self.outputs(), m));
            if let Some(weights) = examples.weights {
                for (column, &w) in delta.chunks_exact_mut(self.outputs()).zip(weights) {
                    column.iter_mut().for_each(|d| *d *= real::<T>(w));
                }
            }
        }
        for (l, layer) in self.layers.iter().enumerate().rev() {
            let sizes = &self.layout.layers()[l];
            let buffers = &workspace.layers[l];
            let input = match l.checked_sub(1) {
                Some(l) => DMatrixView::from_slice(&workspace.layers[l].output, sizes.inputs, m),
                None => examples.x,
            };
            let (rows, cache) = (sizes.outputs, &buffers.cache);
            let output = DMatrixView::from_slice(&buffers.output, rows, m);
            let delta_l = DMatrixViewMut::from_slice(&mut delta[..rows * m], rows, m);
            let mut pass =
                Backward::new(&theta[sizes.theta.clone()], input, output, cache, delta_l);
            pass.linked = linked && l + 1 == self.layers.len();
            pass.gradient = gradient.as_deref_mut().map(|g| &mut g[sizes.theta.clone()]);
            pass.input_delta = match l {
                0 => input_delta.as_mut().map(DMatrixViewMut::as_view_mut),
                _ => Some(DMatrixViewMut::from_slice(
                    &mut below[..sizes.inputs * m],
                    sizes.inputs,
                    m,
                )),
            };
            (pass.training, pass.seed) = mode(training, l);
            layer.backward(pass);
            std::mem::swap(&mut delta, &mut below);
        }
        workspace.deltas = [delta, below];
        Ok(())
    }

    pub(crate) fn cost_at<C: Cost<T>>(
        &self,
        theta: &[T],
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
    ) -> Result<CostParts<T>, Error> {
        objective.validate(&self.layout)?;
        let sum = self.sum_costs(theta, examples, &objective.cost, workspace)?;
        let sums = (sum, examples.weight);
        finish(&self.layout, &objective.penalty, theta, sums, None)
    }

    pub(crate) fn gradient_at<C: Cost<T>>(
        &self,
        theta: &[T],
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
        gradient: &mut [T],
    ) -> Result<CostParts<T>, Error> {
        check_length("the gradient", self.parameters(), gradient.len())?;
        objective.validate(&self.layout)?;
        let cost = &objective.cost;
        let sum = self.sum_costs(theta, examples, cost, workspace)?;
        self.run_backward(theta, examples, cost, workspace, Some(&mut *gradient), None)?;
        let sums = (sum, examples.weight);
        finish(
            &self.layout,
            &objective.penalty,
            theta,
            sums,
            Some(gradient),
        )
    }

    /// Σ w·cost, and Δ into `delta`, both unscaled: what an accumulator adds.
    pub(crate) fn sum_batch<C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'_, T>,
        cost: &C,
        workspace: &mut Workspace<T>,
        delta: &mut Vec<T>,
    ) -> Result<T, Error> {
        let theta = self.theta.as_slice();
        resize(delta, "Δ", (self.parameters(), 1), T::zero())?;
        let sum = self.sum_costs(theta, examples, cost, workspace)?;
        self.run_backward(theta, examples, cost, workspace, Some(&mut *delta), None)?;
        check_gradient(&self.layout, delta)?;
        Ok(sum)
    }

    pub(super) fn input_gradient_at<C: Cost<T>>(
        &self,
        theta: &[T],
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
        gradient: &mut [T],
    ) -> Result<(), Error> {
        let (rows, m) = examples.x.shape();
        check_length("the gradient with respect to X", rows * m, gradient.len())?;
        objective.validate(&self.layout)?;
        let cost = &objective.cost;
        self.sum_costs(theta, examples, cost, workspace)?;
        let view = Some(DMatrixViewMut::from_slice(gradient, rows, m));
        self.run_backward(theta, examples, cost, workspace, None, view)?;
        // The penalty does not depend on X: only the division by m is left of `finish`.
        let weight: T = real(examples.weight);
        gradient.iter_mut().for_each(|g| *g /= weight);
        match first_non_finite(gradient) {
            None => Ok(()),
            Some(index) => Err(Error::NonFiniteInputGradient {
                row: index % rows,
                example: index / rows,
                value: to_f64(gradient[index]),
            }),
        }
    }
}

/// Whether a pass serves training, and the seed of layer l in it: layers of one pass differ.
fn mode(training: Option<u64>, layer: usize) -> (bool, u64) {
    /// 2⁶⁴/φ, the step of SplitMix64: multiples of it spread over all bits.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let seed = training.unwrap_or(0);
    (
        training.is_some(),
        seed.wrapping_add(STEP.wrapping_mul(layer as u64)),
    )
}

/// Σ wₖ vₖ by halves, as [`kernels::sum`].
fn weighted_sum<T: Scalar>(weights: &[f64], values: &[T]) -> T {
    if values.len() <= 32 {
        let pairs = weights.iter().zip(values);
        return pairs.fold(T::zero(), |sum, (&w, &v)| sum + real::<T>(w) * v);
    }
    let half = values.len() / 2;
    weighted_sum(&weights[..half], &values[..half])
        + weighted_sum(&weights[half..], &values[half..])
}
