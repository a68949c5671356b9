//! The layers in sequence, forward and backward, on the buffers of a part.

use super::Network;
use super::outcome::{Outcome, check_activations};
use crate::cost::{Cost, HeadOutputs, Outputs};
use crate::error::{Error, Location};
use crate::examples::{Examples, check_finite};
use crate::kernels::{self, first_non_finite};
use crate::layer::given::Given;
use crate::layer::{At, Backward, Forward, Frame, Keep, Layer, LayerGradient, Linked, Plan};
use crate::point::{Point, check_finite_state};
use crate::scalar::{Scalar, real, to_f64};
use crate::shape::Shape;
use crate::workspace::{Part, Workspace};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// The largest number of kept scalars that is scanned at once.
const SCANNED: usize = 1 << 10;

/// The layers at one point, and the mode of the passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain<'a, T: Scalar, L> {
    pub(crate) network: &'a Network<T, L>,
    pub(crate) point: Point<'a, T>,
    /// The seed of a training pass.
    pub(crate) training: Option<u64>,
    /// See [`At::replaces_statistics`].
    pub(crate) replaces_statistics: bool,
    /// What forward passes keep.
    pub(crate) keep: Keep,
}

/// What a backward pass computes.
pub(crate) struct Wanted<'a, T> {
    pub(crate) gradient: LayerGradient<'a, T>,
    pub(crate) input_delta: Option<&'a mut [T]>,
}

impl<'a, T> Wanted<'a, T> {
    pub(crate) fn gradient(gradient: LayerGradient<'a, T>) -> Self {
        Self {
            gradient,
            input_delta: None,
        }
    }
}

impl<'a, T: Scalar, L: Layer<T>> Chain<'a, T, L> {
    /// The plan of all layers.
    #[inline]
    pub(crate) fn plan(&self) -> &'a Plan {
        self.network.layout.plan()
    }

    pub(crate) fn depth(&self) -> usize {
        self.network.depth()
    }

    /// Takes the mode of a workspace, for m examples with weights or without.
    #[inline]
    pub(crate) fn set_mode(
        &mut self,
        workspace: &Workspace<T>,
        m: usize,
        weights: Option<&[f64]>,
    ) -> Result<(), Error> {
        self.training = workspace.training;
        self.replaces_statistics = workspace.replaces_statistics;
        if self.training.is_none() {
            return Ok(());
        }
        let plan = self.plan();
        if let Some(given) = &workspace.given {
            given.check(plan, m)?;
        }
        // The path is built only for the error.
        if weights.is_some()
            && let Some(layer) = plan.gathering()
        {
            return Err(Error::WeightedStatistics { layer });
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn at<'b>(
        &self,
        first: usize,
        scratch: &'b [usize],
        given: Given<'b, T>,
    ) -> At<'b, T>
    where
        'a: 'b,
    {
        let mut at = At::new(self.plan(), self.point.theta);
        at.state = self.point.state;
        at.keep = self.keep;
        at.replaces_statistics = self.replaces_statistics;
        (at.training, at.seed) = (self.training.is_some(), self.training.unwrap_or(0));
        (at.first_example, at.scratch, at.given) = (first, scratch, given);
        at
    }

    /// Computes z and a of every layer for the examples from `first` on. The first a that is not
    /// finite ends the pass.
    #[inline]
    pub(crate) fn forward(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        part: &mut Part<T>,
    ) -> Result<(), Error> {
        let (plan, m) = (self.plan(), x.ncols());
        self.check_contiguous("X", &x)?;
        let rows = plan.outputs();
        let kept = &mut part.kept[..plan.kept_in(self.keep, m)];
        let output = &mut part.output[..rows * m];
        let state = self.point.state;
        let writes_state = self.training.is_some() && !state.is_empty();
        // Not before it is complete and checked.
        part.has_new_state = false;
        let new_state = writes_state.then(|| {
            let new_state = &mut part.new_state[..state.len()];
            new_state.copy_from_slice(state);
            new_state
        });
        self.network.root.forward(Forward {
            at: self.at(first, &part.scratch_lens, Given::new(&part.given)),
            input: x,
            output: DMatrixViewMut::from_slice(output, rows, m),
            kept,
            new_state,
            room: &mut part.room,
            scratch: &mut part.scratch,
        });
        let (kept, output) = (
            &part.kept[..plan.kept_in(self.keep, m)],
            &part.output[..rows * m],
        );
        // A short pass is checked with one scan of everything it wrote.
        if kept.len() > SCANNED || !kernels::all_finite(kept) || !kernels::all_finite(output) {
            let outcome = Outcome {
                kept,
                output,
                keep: self.keep,
                m,
            };
            check_activations(plan, outcome, first)?;
        }
        if writes_state {
            let places = self.network.layout.state_places();
            check_finite_state(places, &part.new_state[..state.len()])?;
            part.has_new_state = true;
        }
        Ok(())
    }

    /// Checks that the columns of a matrix of inputs are contiguous, if an example has several
    /// axes.
    #[inline]
    pub(crate) fn check_contiguous(
        &self,
        what: &'static str,
        x: &DMatrixView<'_, T>,
    ) -> Result<(), Error> {
        if matches!(self.plan().input(), Shape::Units(_)) || kernels::flat(x).is_some() {
            Ok(())
        } else {
            Err(Error::Gaps { what })
        }
    }

    /// Returns what the heads left in these buffers of a part, for the examples with inputs x.
    #[inline]
    pub(crate) fn heads<'b>(
        &self,
        x: DMatrixView<'b, T>,
        output: &'b [T],
        kept: &'b [T],
    ) -> HeadOutputs<'b, T>
    where
        'a: 'b,
    {
        let mut frame = self.frame(x.ncols(), output, kept);
        frame.input = Some(x);
        HeadOutputs {
            heads: &self.plan().heads,
            frame,
        }
    }

    /// Marks the heads whose δ this cost leaves at z.
    #[inline]
    pub(crate) fn link<C: Cost<T> + ?Sized>(&self, cost: &C, linked: &mut [bool]) {
        let plan = self.plan();
        let mut start = 0;
        for (head, linked) in plan.heads.iter().zip(linked) {
            let rows = start..start + head.rows;
            start = rows.end;
            *linked = head.z.is_some()
                && head.link.is_some()
                && head.link == cost.link_of(rows, plan.outputs());
        }
    }

    /// Returns the matrices of all layers, or their derivatives, in these buffers of a part.
    #[inline]
    pub(crate) fn frame<'b>(&self, m: usize, output: &'b [T], kept: &'b [T]) -> Frame<'b, T> {
        Frame::new(self.plan(), self.keep, m, output, kept)
    }

    /// Computes the cost of each example, and checks the outputs and the costs.
    #[inline]
    fn costs<C: Cost<T> + ?Sized>(
        &self,
        first: usize,
        at: &Outputs<'_, T>,
        cost: &C,
        values: &mut [T],
    ) -> Result<(), Error> {
        self.check_domain(first, at, cost)?;
        at.values(cost, values);
        match first_non_finite(values) {
            None => Ok(()),
            Some(example) => Err(Error::NonFinite {
                at: Location::Cost {
                    example: first + example,
                },
                value: to_f64(values[example]),
            }),
        }
    }

    pub(crate) fn check_domain<C: Cost<T> + ?Sized>(
        &self,
        first: usize,
        at: &Outputs<'_, T>,
        cost: &C,
    ) -> Result<(), Error> {
        if at.z.is_some() {
            return Ok(());
        }
        cost.check_at(at).map_err(|found| {
            let value = at.a.get((found.unit, found.example));
            Error::Output {
                layer: (self.depth() - 1).into(),
                unit: found.unit,
                example: first + found.example,
                value: value.map_or(f64::NAN, |&a| to_f64(a)),
                expected: found.expected,
            }
        })
    }

    /// Writes δ of the outputs, multiplied by the example weights, and marks the heads where it is
    /// ∂cost/∂z.
    #[inline]
    pub(crate) fn cost_delta<C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'_, T>,
        cost: &C,
        part: &mut Part<T>,
    ) {
        let of = self.heads(examples.x, &part.output, &part.kept);
        let at = outputs_at(&of, cost, examples);
        self.cost_delta_at(examples, &at, cost, &mut part.delta);
        self.link(cost, &mut part.linked);
    }

    /// Computes the costs in `values`, then δ as [`cost_delta`](Self::cost_delta) does, if it is
    /// wanted.
    #[inline]
    pub(crate) fn costs_and_delta<C: Cost<T> + ?Sized>(
        &self,
        first: usize,
        examples: &Examples<'_, T>,
        cost: &C,
        part: &mut Part<T>,
        (values, wants_delta): (&mut [T], bool),
    ) -> Result<(), Error> {
        let of = self.heads(examples.x, &part.output, &part.kept);
        let at = outputs_at(&of, cost, examples);
        self.costs(first, &at, cost, values)?;
        if wants_delta {
            self.cost_delta_at(examples, &at, cost, &mut part.delta);
            self.link(cost, &mut part.linked);
        }
        Ok(())
    }

    #[inline]
    fn cost_delta_at<C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'_, T>,
        at: &Outputs<'_, T>,
        cost: &C,
        delta: &mut [T],
    ) {
        let (rows, m) = (self.plan().outputs(), examples.len());
        let delta = &mut delta[..rows * m];
        at.delta(cost, DMatrixViewMut::from_slice(delta, rows, m));
        weigh(examples, rows, delta);
    }

    /// Sets the entries of frozen layers to 0. Containers do not write them.
    #[inline]
    pub(crate) fn clear_frozen(&self, gradient: &mut LayerGradient<'_, T>, m: usize) {
        let layout = self.network.layout();
        match gradient {
            LayerGradient::Sum(sum) => layout.clear_frozen(sum),
            LayerGradient::Each { gradients, stride } if !layout.frozen().is_empty() => {
                for gradient in gradients.chunks_mut(*stride).take(m) {
                    layout.clear_frozen(gradient);
                }
            }
            _ => {}
        }
    }

    #[inline]
    pub(crate) fn output<'b>(&self, m: usize, entries: &'b [T]) -> DMatrixView<'b, T> {
        let rows = self.plan().outputs();
        DMatrixView::from_slice(&entries[..rows * m], rows, m)
    }

    /// Passes δ of the last layer down to the inputs, and computes what is wanted on the way.
    #[inline]
    pub(crate) fn backward(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        part: &mut Part<T>,
        wanted: Wanted<'_, T>,
    ) {
        let (plan, m) = (self.plan(), x.ncols());
        let (rows, inputs) = (plan.outputs(), plan.inputs());
        let delta = &mut part.delta[..rows * m];
        let mut input_delta = wanted.input_delta;
        let below = input_delta.as_deref_mut().map(|below| {
            let below = &mut below[..inputs * m];
            DMatrixViewMut::from_slice(below, inputs, m)
        });
        let mut gradient = wanted.gradient;
        self.network.root.backward(Backward {
            at: self.at(first, &part.scratch_lens, Given::new(&part.given)),
            input: x,
            output: DMatrixView::from_slice(&part.output[..rows * m], rows, m),
            kept: &part.kept[..plan.kept_in(self.keep, m)],
            delta: DMatrixViewMut::from_slice(delta, rows, m),
            linked: Linked(&part.linked[..plan.heads.len()]),
            gradient: gradient.reborrow(),
            input_delta: below,
            room: &mut part.room,
            scratch: &mut part.scratch,
        });
        self.clear_frozen(&mut gradient, m);
        self.clear_ids(input_delta, m);
    }

    /// Sets the entries of ids to 0 in the derivative with respect to m examples: a layer that
    /// takes them as numbers too may have written others.
    #[inline]
    pub(crate) fn clear_ids(&self, below: Option<&mut [T]>, m: usize) {
        let plan = self.plan();
        if let Some(below) = below.filter(|_| plan.reads_ids()) {
            let below = &mut below[..plan.inputs() * m];
            plan.clear_ids(DMatrixViewMut::from_slice(below, plan.inputs(), m));
        }
    }
}

/// Returns the arguments of a cost: those of the only head, or all outputs with what the heads
/// left.
#[inline(always)]
pub(crate) fn outputs_at<'b, T: Scalar, C: Cost<T> + ?Sized>(
    of: &'b HeadOutputs<'b, T>,
    cost: &C,
    examples: &Examples<'b, T>,
) -> Outputs<'b, T> {
    let y = examples.y;
    let mut at = match of.heads {
        [head] if !cost.is_of_heads() => Outputs::of_head(head, cost.link(), &of.frame, y),
        _ => {
            let mut at = Outputs::new(None, of.frame.output, y);
            at.heads = Some(of);
            at
        }
    };
    at.present = examples.present;
    at
}

/// Multiplies the columns by the weights of the examples, if they have any.
pub(crate) fn weigh<T: Scalar>(examples: &Examples<'_, T>, rows: usize, columns: &mut [T]) {
    if let Some(weights) = examples.weights {
        for (column, &w) in columns.chunks_exact_mut(rows).zip(weights) {
            column.iter_mut().for_each(|d| *d *= real::<T>(w));
        }
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Checks that all inputs are finite if the batch is computed as a whole, before anything of
    /// its size is allocated.
    pub(crate) fn check_whole_inputs(
        &self,
        x: DMatrixView<'_, T>,
        workspace: &Workspace<T>,
    ) -> Result<(), Error> {
        if self.cut(x.ncols(), workspace.training.is_some()).parts() <= 1 {
            check_finite_inputs(0, x)
        } else {
            Ok(())
        }
    }
}

/// Checks that all inputs of a part of a batch are finite, just before the first product reads them
/// into the cache anyway.
pub(crate) fn check_part_inputs<T: Scalar>(
    first: usize,
    part: DMatrixView<'_, T>,
    whole: DMatrixView<'_, T>,
) -> Result<(), Error> {
    if part.ncols() < whole.ncols() {
        check_finite_inputs(first, part)
    } else {
        Ok(())
    }
}

/// Checks that all inputs are finite. The error counts the examples of the whole batch.
fn check_finite_inputs<T: Scalar>(first: usize, x: DMatrixView<'_, T>) -> Result<(), Error> {
    if kernels::flat(&x).is_some_and(kernels::all_finite) {
        return Ok(());
    }
    check_finite("X", x).map_err(|mut error| {
        if let Error::NonFinite {
            at: Location::Input { col, .. },
            ..
        } = &mut error
        {
            *col += first;
        }
        error
    })
}
