//! One pass: forward, costs, backward. Everything public on [`Network`] is a thin wrapper over this.

use super::Network;
use crate::cost::{AnyCost, Cost, Outputs};
use crate::error::Error;
use crate::examples::{Examples, check_finite, check_length, check_rows};
use crate::gradient::{CostParts, check_gradient, finish};
use crate::kernels::{self, first_non_finite, parallel};
use crate::layer::{Backward, Forward, Layer};
use crate::layout::resize;
use crate::objective::Objective;
use crate::scalar::{Scalar, real, to_f64};
use crate::workspace::{Part, Wants, Workspace};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// The examples of the smallest part that a batch is cut into, and of the largest: below, adding up the gradients of the parts shows,
/// above, activations leave the cache.
const PART: (usize, usize) = (256, 1024);

/// The memory of the inputs, activations and errors of a part, in bytes: what a second-level cache holds beside the parameters.
const PART_BYTES: usize = 640 << 10;

/// Networks with more parameters than this compute a batch as a whole, and share out each product instead.
const PART_PARAMETERS: usize = 1 << 18;

/// Parts that are computed at the same time, for each thread: more than one, so that an uneven thread waits less.
const PARTS_A_THREAD: usize = 4;

/// What a pass computes: of one batch, at one θ.
struct Pass<'a, T: Scalar, L, C: ?Sized> {
    network: &'a Network<T, L>,
    theta: &'a [T],
    x: DMatrixView<'a, T>,
    /// Targets, weights and cost; without them the pass ends with the outputs.
    objective: Option<(&'a Examples<'a, T>, &'a C)>,
    gradient: bool,
    training: Option<u64>,
    /// Examples of a part; the last may have fewer.
    size: usize,
}

/// What the parts of a pass write to, beside the buffers of their own.
struct Results<'a, T> {
    outputs: &'a mut [T],
    values: &'a mut [T],
    /// w·∂cost/∂X, if asked for.
    input_delta: Option<&'a mut [T]>,
}

impl<'a, T: Scalar> Results<'a, T> {
    /// Those of the first `examples` of m, and the rest.
    fn split(self, examples: usize, m: usize) -> (Self, Self) {
        fn cut<T>(slice: &mut [T], examples: usize, m: usize) -> (&mut [T], &mut [T]) {
            slice.split_at_mut(slice.len() / m * examples)
        }
        let (outputs, later_outputs) = cut(self.outputs, examples, m);
        let (values, later_values) = cut(self.values, examples, m);
        let (input_delta, later_input_delta) = match self.input_delta {
            Some(input_delta) => {
                let (first, later) = cut(input_delta, examples, m);
                (Some(first), Some(later))
            }
            None => (None, None),
        };
        (
            Self {
                outputs,
                values,
                input_delta,
            },
            Self {
                outputs: later_outputs,
                values: later_values,
                input_delta: later_input_delta,
            },
        )
    }
}

impl<'a, T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized> Pass<'a, T, L, C> {
    fn new(
        network: &'a Network<T, L>,
        theta: &'a [T],
        x: DMatrixView<'a, T>,
        objective: Option<(&'a Examples<'a, T>, &'a C)>,
        gradient: bool,
    ) -> Self {
        Self {
            network,
            theta,
            x,
            objective,
            gradient,
            training: None,
            size: network.part_size(x.ncols()),
        }
    }

    fn wants(&self, input_delta: bool) -> Wants {
        Wants {
            values: self.objective.is_some(),
            gradient: self.gradient,
            backward: self.gradient || input_delta,
        }
    }

    /// Computes the pass; the sum of the gradients of all parts goes to `gradient`, if it was asked for, w·∂cost/∂X to `input_delta`.
    fn run(
        mut self,
        workspace: &mut Workspace<T>,
        gradient: Option<&mut [T]>,
        input_delta: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let m = self.x.ncols();
        self.training = workspace.training;
        // Less work than this is done before another thread has woken.
        let work = m.saturating_mul(self.network.parameters());
        if self.size == m {
            return match work < 1_000_000 {
                true => self.run_whole(workspace, gradient, input_delta),
                false => parallel::enter(|| self.run_whole(workspace, gradient, input_delta)),
            };
        }
        parallel::enter(|| self.run_parts(workspace, gradient, input_delta))
    }

    fn run_whole(
        &self,
        workspace: &mut Workspace<T>,
        gradient: Option<&mut [T]>,
        input_delta: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let (network, m) = (self.network, self.x.ncols());
        let wants = self.wants(input_delta.is_some());
        workspace.fit(&network.layout, &network.layers, (1, m, m), wants)?;
        let Some(part) = workspace.parts.first_mut() else {
            return Ok(());
        };
        let results = Results {
            outputs: &mut [],
            values: match self.objective {
                Some(_) => &mut workspace.values,
                None => &mut [],
            },
            input_delta,
        };
        self.part(0, part, results, gradient)
    }

    /// Some parts at a time, whose gradients are added in the order of the parts: any number at a time gives the same bits.
    fn run_parts(
        &self,
        workspace: &mut Workspace<T>,
        mut gradient: Option<&mut [T]>,
        input_delta: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let (network, m, size) = (self.network, self.x.ncols(), self.size);
        let parts = m.div_ceil(size);
        let at_once = match parallel::threads() {
            1 => 1,
            threads => parts.min(PARTS_A_THREAD * threads),
        };
        let wants = self.wants(input_delta.is_some());
        let sizes = (at_once, size, m);
        workspace.fit(&network.layout, &network.layers, sizes, wants)?;
        let buffers = &mut workspace.parts[..at_once];
        let mut results = Results {
            outputs: &mut workspace.outputs,
            values: match self.objective {
                Some(_) => &mut workspace.values,
                None => &mut [],
            },
            input_delta,
        };
        let mut first = 0;
        while first < m {
            let examples = (at_once * size).min(m - first);
            let (now, later) = results.split(examples, m - first);
            let buffers = &mut buffers[..examples.div_ceil(size)];
            self.round(first, examples, buffers, now)?;
            if let Some(gradient) = &mut gradient {
                for (i, part) in buffers.iter().enumerate() {
                    match first + i {
                        0 => gradient.copy_from_slice(&part.gradient),
                        _ => kernels::add(gradient, &part.gradient),
                    }
                }
            }
            results = later;
            first += examples;
        }
        Ok(())
    }

    /// Parts at the same time; the error is that of the first part that has one.
    fn round(
        &self,
        first: usize,
        examples: usize,
        buffers: &mut [Part<T>],
        results: Results<'_, T>,
    ) -> Result<(), Error> {
        if let [part] = buffers {
            let mut gradient = std::mem::take(&mut part.gradient);
            let done = self.part(first, part, results, Some(&mut gradient));
            part.gradient = gradient;
            return done;
        }
        let half = buffers.len() / 2;
        let now = half * self.size;
        let (left, right) = buffers.split_at_mut(half);
        let (near, far) = results.split(now, examples);
        let (near, far) = parallel::join(
            || self.round(first, now, left, near),
            || self.round(first + now, examples - now, right, far),
        );
        near.and(far)
    }

    /// One part, from its inputs to its gradient. Errors count the examples of the whole batch.
    fn part(
        &self,
        first: usize,
        part: &mut Part<T>,
        results: Results<'_, T>,
        gradient: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let examples = self.size.min(self.x.ncols() - first);
        let x = match examples == self.x.ncols() {
            true => self.x,
            false => self.x.columns(first, examples),
        };
        let backward = self.wants(results.input_delta.is_some()).backward;
        if self.objective.is_none() {
            // Examples are checked when they are made; mere inputs here, where they come into the cache for the first product.
            check_inputs(first, x)?;
        }
        self.forward(first, x, part, backward)?;
        if !results.outputs.is_empty()
            && let Some(last) = part.layers.last()
        {
            let outputs = results.outputs;
            outputs.copy_from_slice(&last.output[..outputs.len()]);
        }
        let Some((all, cost)) = self.objective else {
            return Ok(());
        };
        let examples = match examples == all.len() {
            true => *all,
            false => all.part(first, examples),
        };
        self.costs(first, &examples, cost, part, results.values)?;
        if backward {
            let gradient = gradient.filter(|_| self.gradient);
            self.backward(
                first,
                &examples,
                cost,
                part,
                (gradient, results.input_delta),
            );
        }
        Ok(())
    }

    /// z and a of every layer; the first a that is not finite ends the pass. If `backward` follows, hidden layers keep g′(z), not z.
    fn forward(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        part: &mut Part<T>,
        backward: bool,
    ) -> Result<(), Error> {
        let (network, m) = (self.network, x.ncols());
        for (l, (layer, sizes)) in network
            .layers
            .iter()
            .zip(network.layout.layers())
            .enumerate()
        {
            let (below, rest) = part.layers.split_at_mut(l);
            let input = match below.last() {
                Some(buffers) => {
                    DMatrixView::from_slice(&buffers.output[..sizes.inputs * m], sizes.inputs, m)
                }
                None => x,
            };
            let Some(buffers) = rest.first_mut() else {
                break;
            };
            let rows = sizes.outputs;
            let output = &mut buffers.output[..rows * m];
            let theta = &self.theta[sizes.theta.clone()];
            let fused = sizes.fused.filter(|_| backward && l + 1 < network.depth());
            if let Some(dense) = fused {
                dense.forward_fused(theta, input, output, &mut buffers.cache, &mut part.scratch);
            } else {
                let output = DMatrixViewMut::from_slice(output, rows, m);
                let cache = match m == self.size {
                    true => &mut buffers.cache[..],
                    false => &mut buffers.cache[..layer.cache_len(m)],
                };
                let mut pass = Forward::new(theta, input, output, cache);
                pass.scratch = &mut part.scratch;
                (pass.training, pass.seed) = mode(self.training, l);
                pass.first_example = first;
                layer.forward(pass);
            }
            let output = &buffers.output[..rows * m];
            if let Some(index) = first_non_finite(output) {
                return Err(Error::NonFinite {
                    layer: l,
                    unit: index % rows,
                    example: first + index / rows,
                    value: to_f64(output[index]),
                });
            }
        }
        Ok(())
    }

    /// What the cost is evaluated at after a forward pass: with z exactly if the pair is canonical.
    fn outputs<'b>(
        &self,
        examples: &Examples<'b, T>,
        cost: &C,
        part: &'b Part<T>,
    ) -> Outputs<'b, T> {
        let last = self.network.depth() - 1;
        let (sizes, last) = (&self.network.layout.layers()[last], &part.layers[last]);
        let (rows, m) = (sizes.outputs, examples.len());
        let a = DMatrixView::from_slice(&last.output[..rows * m], rows, m);
        let linked = sizes.link.is_some() && sizes.link == cost.link();
        let z = last.cache.get(..rows * m).filter(|_| linked);
        let z = z.map(|z| DMatrixView::from_slice(z, rows, m));
        Outputs::new(z, a, examples.y)
    }

    /// The cost of each example, which has to be defined and finite.
    fn costs(
        &self,
        first: usize,
        examples: &Examples<'_, T>,
        cost: &C,
        part: &Part<T>,
        values: &mut [T],
    ) -> Result<(), Error> {
        let at = self.outputs(examples, cost, part);
        if at.z.is_none() {
            self.check_domain(first, at, cost)?;
        }
        cost.values(at, values);
        match first_non_finite(values) {
            None => Ok(()),
            Some(example) => Err(Error::NonFiniteCost {
                example: first + example,
                value: to_f64(values[example]),
            }),
        }
    }

    fn check_domain(&self, first: usize, at: Outputs<'_, T>, cost: &C) -> Result<(), Error> {
        cost.check_outputs(at.a, at.y).map_err(|found| {
            let value = at.a.get((found.unit, found.example));
            Error::Output {
                layer: self.network.depth() - 1,
                unit: found.unit,
                example: first + found.example,
                value: value.map_or(f64::NAN, |&a| to_f64(a)),
                expected: found.expected,
            }
        })
    }

    /// The backward pass: Δ of every layer, and w·∂cost/∂X, each if asked for.
    fn backward(
        &self,
        first: usize,
        examples: &Examples<'_, T>,
        cost: &C,
        part: &mut Part<T>,
        (mut gradient, mut input_delta): (Option<&mut [T]>, Option<&mut [T]>),
    ) {
        let (network, m) = (self.network, examples.len());
        let [mut delta, mut below] = std::mem::take(&mut part.deltas);
        let at = self.outputs(examples, cost, part);
        let linked = at.z.is_some();
        {
            let rows = network.outputs();
            let delta = &mut delta[..rows * m];
            cost.delta(at, DMatrixViewMut::from_slice(delta, rows, m));
            if let Some(weights) = examples.weights {
                for (column, &w) in delta.chunks_exact_mut(rows).zip(weights) {
                    column.iter_mut().for_each(|d| *d *= real::<T>(w));
                }
            }
        }
        for (l, layer) in network.layers.iter().enumerate().rev() {
            let sizes = &network.layout.layers()[l];
            let buffers = &part.layers[l];
            let input = match l.checked_sub(1) {
                Some(l) => {
                    let below = &part.layers[l].output[..sizes.inputs * m];
                    DMatrixView::from_slice(below, sizes.inputs, m)
                }
                None => examples.x,
            };
            let rows = sizes.outputs;
            let output = DMatrixView::from_slice(&buffers.output[..rows * m], rows, m);
            let fused = sizes.fused.filter(|_| l + 1 < network.depth());
            let cache = match m == self.size || fused.is_some() {
                true => &buffers.cache[..],
                false => &buffers.cache[..layer.cache_len(m)],
            };
            let delta_l = DMatrixViewMut::from_slice(&mut delta[..rows * m], rows, m);
            let theta = &self.theta[sizes.theta.clone()];
            let mut pass = Backward::new(theta, input, output, cache, delta_l);
            pass.linked = linked && l + 1 == network.depth();
            pass.gradient = gradient.as_deref_mut().map(|g| &mut g[sizes.theta.clone()]);
            pass.input_delta = match l {
                0 => input_delta.as_deref_mut(),
                _ => Some(&mut below[..sizes.inputs * m]),
            }
            .map(|below| DMatrixViewMut::from_slice(below, sizes.inputs, m));
            pass.scratch = &mut part.scratch;
            (pass.training, pass.seed) = mode(self.training, l);
            pass.first_example = first;
            match fused {
                Some(dense) => dense.backward_fused(pass),
                None => layer.backward(pass),
            }
            std::mem::swap(&mut delta, &mut below);
        }
        part.deltas = [delta, below];
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Examples of a part of a batch of m: by the shapes alone, so that the results do not depend on the machine's threads.
    fn part_size(&self, m: usize) -> usize {
        let (least, most) = PART;
        let layout = &self.layout;
        if m < 2 * least || self.parameters() > PART_PARAMETERS || layout.couples_examples() {
            return m;
        }
        let units: usize = layout.layers().iter().map(|sizes| sizes.outputs).sum();
        let entries = layout.inputs() + 2 * (units + layout.widest());
        let bytes = entries * size_of::<T>();
        let fits = (PART_BYTES / bytes).clamp(least, most);
        // An even number of parts, and all of one size: two threads have as much to do.
        let parts = m.div_ceil(fits).next_multiple_of(2);
        m.div_ceil(parts)
    }

    pub(super) fn check_inputs(&self, x: DMatrixView<'_, T>) -> Result<(), Error> {
        check_rows("X", x, self.inputs())?;
        if x.ncols() == 0 {
            return Err(Error::NoExamples);
        }
        Ok(())
    }

    /// z and a of every layer into the workspace; the first a that is not finite ends the pass.
    pub(super) fn run_forward(
        &self,
        x: DMatrixView<'_, T>,
        workspace: &mut Workspace<T>,
    ) -> Result<(), Error> {
        let nothing = None::<(_, &AnyCost)>;
        Pass::new(self, self.theta.as_slice(), x, nothing, false).run(workspace, None, None)
    }

    /// Σ w·cost, and w·Δ and w·∂cost/∂X, each if asked for.
    fn sum<C: Cost<T> + ?Sized>(
        &self,
        theta: &[T],
        (examples, cost): (&Examples<'_, T>, &C),
        workspace: &mut Workspace<T>,
        gradient: Option<&mut [T]>,
        input_delta: Option<&mut [T]>,
    ) -> Result<T, Error> {
        examples.check(self.inputs(), self.outputs(), cost.target_domain())?;
        let objective = Some((examples, cost));
        let pass = Pass::new(self, theta, examples.x, objective, gradient.is_some());
        pass.run(workspace, gradient, input_delta)?;
        let sum = match examples.weights {
            None => kernels::sum(&workspace.values),
            Some(weights) => weighted_sum(weights, &workspace.values),
        };
        match sum.is_finite() {
            true => Ok(sum),
            false => Err(Error::NonFiniteObjective { value: to_f64(sum) }),
        }
    }

    pub(crate) fn cost_at<C: Cost<T>>(
        &self,
        theta: &[T],
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
    ) -> Result<CostParts<T>, Error> {
        objective.validate(&self.layout)?;
        let sum = self.sum(theta, (examples, &objective.cost), workspace, None, None)?;
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
        let at = (examples, &objective.cost);
        let sum = self.sum(theta, at, workspace, Some(&mut *gradient), None)?;
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
        resize(delta, "Δ", (self.parameters(), 1), T::zero())?;
        let theta = self.theta.as_slice();
        let sum = self.sum(theta, (examples, cost), workspace, Some(&mut *delta), None)?;
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
        let at = (examples, &objective.cost);
        self.sum(theta, at, workspace, None, Some(&mut *gradient))?;
        // The penalty does not depend on X: only the division by m is left of `finish`.
        let weight: T = real(examples.weight);
        let finite = kernels::divide(gradient, weight);
        match first_non_finite(gradient).filter(|_| !finite) {
            None => Ok(()),
            Some(index) => Err(Error::NonFiniteInputGradient {
                row: index % rows,
                example: index / rows,
                value: to_f64(gradient[index]),
            }),
        }
    }
}

/// Whether all inputs are finite; the error counts the examples of the whole batch.
fn check_inputs<T: Scalar>(first: usize, x: DMatrixView<'_, T>) -> Result<(), Error> {
    if kernels::flat(&x).is_some_and(kernels::all_finite) {
        return Ok(());
    }
    check_finite("X", x).map_err(|error| match error {
        Error::NonFiniteInput {
            what,
            row,
            col,
            value,
        } => Error::NonFiniteInput {
            what,
            row,
            col: first + col,
            value,
        },
        other => other,
    })
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
