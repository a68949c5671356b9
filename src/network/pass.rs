//! One pass: forward, costs, backward. Everything public on [`Network`] is a thin wrapper over this.

use super::Network;
use super::parts::Results;
use crate::cost::{Cost, Outputs};
use crate::error::Error;
use crate::examples::{Examples, check_finite};
use crate::kernels::{self, first_non_finite, parallel};
use crate::layer::{Backward, Forward, Layer};
use crate::scalar::{Scalar, real, to_f64};
use crate::workspace::{Buffers, Part, Wants, Workspace};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// Parts that are computed at the same time, for each thread: more than one, so that an uneven thread waits less.
const PARTS_A_THREAD: usize = 4;

/// What a pass computes: of one batch, at one θ.
pub(super) struct Pass<'a, T: Scalar, L, C: ?Sized> {
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

impl<'a, T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized> Pass<'a, T, L, C> {
    pub(super) fn new(
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
    pub(super) fn run(
        mut self,
        workspace: &mut Workspace<T>,
        gradient: Option<&mut [T]>,
        input_delta: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let m = self.x.ncols();
        self.training = workspace.training;
        let shared = parallel::is_worth_a_thread(m, self.network.parameters());
        let run = || match self.size == m {
            true => self.run_whole(workspace, gradient, input_delta),
            false => self.run_parts(workspace, gradient, input_delta, shared),
        };
        if shared { parallel::enter(run) } else { run() }
    }

    fn run_whole(
        &self,
        workspace: &mut Workspace<T>,
        gradient: Option<&mut [T]>,
        input_delta: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let (network, m) = (self.network, self.x.ncols());
        if self.objective.is_none() {
            // Examples are checked when they are made, mere inputs here.
            check_finite_inputs(0, self.x)?;
        }
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
        shared: bool,
    ) -> Result<(), Error> {
        let (network, m, size) = (self.network, self.x.ncols(), self.size);
        let parts = m.div_ceil(size);
        let threads = if shared { parallel::threads() } else { 1 };
        let at_once = match threads {
            1 => 1,
            _ => parts.min(PARTS_A_THREAD * threads),
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
            // Products are shared out only where there are fewer parts than threads.
            let serial = buffers.len() >= threads;
            self.round(first, examples, (&mut *buffers, serial), now)?;
            if let Some(gradient) = &mut gradient {
                for (i, part) in buffers.iter().enumerate() {
                    match first == 0 && i == 0 {
                        true => gradient.copy_from_slice(&part.gradient),
                        false => kernels::add(gradient, &part.gradient),
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
        (buffers, serial): (&mut [Part<T>], bool),
        results: Results<'_, T>,
    ) -> Result<(), Error> {
        if let [part] = buffers {
            let part = || self.part(first, part, results, None);
            return if serial {
                parallel::serially(part)
            } else {
                part()
            };
        }
        let half = buffers.len() / 2;
        let now = half * self.size;
        let (left, right) = buffers.split_at_mut(half);
        let (near, far) = results.split(now, examples);
        let (near, far) = parallel::join(
            || self.round(first, now, (left, serial), near),
            || self.round(first + now, examples - now, (right, serial), far),
        );
        near.and(far)
    }

    /// One part, from its inputs to its gradient, which is the part's own unless another is given. Errors count the examples of the whole batch.
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
        if self.objective.is_none() && self.size < self.x.ncols() {
            // Where they come into the cache for the first product.
            check_finite_inputs(first, x)?;
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
            let results = (gradient, results.input_delta);
            self.backward(first, &examples, cost, part, results);
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
                let scratch = &mut part.scratch[..buffers.scratch];
                dense.forward_fused(theta, input, output, &mut buffers.cache, scratch);
            } else {
                let output = DMatrixViewMut::from_slice(output, rows, m);
                let cache = &mut buffers.cache[..layer.cache_len(m)];
                let mut pass = Forward::new(theta, input, output, cache);
                pass.scratch = &mut part.scratch[..buffers.scratch];
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
        layers: &'b [Buffers<T>],
    ) -> Outputs<'b, T> {
        let last = self.network.depth() - 1;
        let (sizes, last) = (&self.network.layout.layers()[last], &layers[last]);
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
        let at = self.outputs(examples, cost, &part.layers);
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
        (gradient, mut input_delta): (Option<&mut [T]>, Option<&mut [T]>),
    ) {
        let (network, m) = (self.network, examples.len());
        let layers = &part.layers;
        let mut gradient = self
            .gradient
            .then(|| gradient.unwrap_or(&mut part.gradient));
        let [mut delta, mut below] = part.deltas.each_mut();
        let at = self.outputs(examples, cost, layers);
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
            let buffers = &layers[l];
            let input = match l.checked_sub(1) {
                Some(l) => {
                    let below = &layers[l].output[..sizes.inputs * m];
                    DMatrixView::from_slice(below, sizes.inputs, m)
                }
                None => examples.x,
            };
            let rows = sizes.outputs;
            let output = DMatrixView::from_slice(&buffers.output[..rows * m], rows, m);
            let fused = sizes.fused.filter(|_| l + 1 < network.depth());
            let cache = match fused {
                Some(_) => &buffers.cache[..],
                None => &buffers.cache[..layer.cache_len(m)],
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
            pass.scratch = &mut part.scratch[..buffers.scratch];
            (pass.training, pass.seed) = mode(self.training, l);
            pass.first_example = first;
            match fused {
                Some(dense) => dense.backward_fused(pass),
                None => layer.backward(pass),
            }
            std::mem::swap(&mut delta, &mut below);
        }
    }
}

/// Whether all inputs are finite; the error counts the examples of the whole batch.
fn check_finite_inputs<T: Scalar>(first: usize, x: DMatrixView<'_, T>) -> Result<(), Error> {
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
