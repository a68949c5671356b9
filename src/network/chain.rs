//! The layers in sequence, forward and backward, on the buffers of a part.

use super::Network;
use crate::activation::AnyActivation;
use crate::cost::{Cost, Outputs};
use crate::error::{Error, Location};
use crate::examples::{Examples, check_finite};
use crate::kernels::{self, first_non_finite};
use crate::layer::{At, Backward, Forward, Frame, Head, Keep, Layer, LayerGradient, Linked, Plan};
use crate::scalar::{Scalar, real, to_f64};
use crate::shape::Shape;
use crate::workspace::{Part, Workspace};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// The layers at one θ, and the mode of the passes.
#[derive(Clone, Copy)]
pub(crate) struct Chain<'a, T: Scalar, L> {
    pub(crate) network: &'a Network<T, L>,
    pub(crate) theta: &'a [T],
    /// The seed of a training pass.
    pub(crate) training: Option<u64>,
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

    /// The outputs that the cost reads, if they are one head.
    #[inline]
    pub(crate) fn head(&self) -> Option<&'a Head> {
        self.plan().single_head()
    }

    pub(crate) fn depth(&self) -> usize {
        self.network.depth()
    }

    #[inline]
    pub(crate) fn at<'b>(&self, first: usize, scratch: &'b [usize]) -> At<'b, T>
    where
        'a: 'b,
    {
        let mut at = At::new(self.plan(), self.theta);
        at.keep = self.keep;
        (at.training, at.seed) = (self.training.is_some(), self.training.unwrap_or(0));
        (at.first_example, at.scratch) = (first, scratch);
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
        self.network.root.forward(Forward {
            at: self.at(first, &part.scratch_lens),
            input: x,
            output: DMatrixViewMut::from_slice(output, rows, m),
            kept,
            room: &mut part.room,
            scratch: &mut part.scratch,
        });
        let outcome = Outcome {
            kept: &part.kept,
            output: &part.output[..rows * m],
            keep: self.keep,
            m,
        };
        check_activations(plan, outcome, first)
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

    /// Returns the arguments of a cost for this part.
    #[inline]
    pub(crate) fn outputs<'b, C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'b, T>,
        cost: &C,
        part: &'b Part<T>,
    ) -> Outputs<'b, T> {
        let mut frame = self.frame(examples.len(), &part.output, &part.kept);
        frame.input = Some(examples.x);
        outputs_at(self.head(), cost, &frame, examples.y)
    }

    /// Returns the matrices of all layers, or their derivatives, in these buffers of a part.
    #[inline]
    pub(crate) fn frame<'b>(&self, m: usize, output: &'b [T], kept: &'b [T]) -> Frame<'b, T> {
        Frame::new(self.plan(), self.keep, m, output, kept)
    }

    /// Computes the cost of each example, and checks the outputs and the costs.
    #[inline]
    pub(crate) fn costs<C: Cost<T> + ?Sized>(
        &self,
        first: usize,
        at: Outputs<'_, T>,
        cost: &C,
        values: &mut [T],
    ) -> Result<(), Error> {
        self.check_domain(first, at, cost)?;
        cost.values(at, values);
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
        at: Outputs<'_, T>,
        cost: &C,
    ) -> Result<(), Error> {
        if at.z.is_some() {
            return Ok(());
        }
        cost.check_outputs(at.a, at.y).map_err(|found| {
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

    /// Writes δ of the last layer, multiplied by the example weights. Returns whether it is
    /// ∂cost/∂z.
    #[inline]
    pub(crate) fn cost_delta<C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'_, T>,
        cost: &C,
        part: &mut Part<T>,
    ) -> bool {
        let mut frame = self.frame(examples.len(), &part.output, &part.kept);
        frame.input = Some(examples.x);
        let at = outputs_at(self.head(), cost, &frame, examples.y);
        self.cost_delta_at(examples, &at, cost, &mut part.delta)
    }

    /// Computes the costs in `values`, then δ of the last layer as [`cost_delta`](Self::cost_delta)
    /// does, if it is wanted.
    #[inline]
    pub(crate) fn costs_and_delta<C: Cost<T> + ?Sized>(
        &self,
        first: usize,
        examples: &Examples<'_, T>,
        cost: &C,
        part: &mut Part<T>,
        (values, wants_delta): (&mut [T], bool),
    ) -> Result<bool, Error> {
        let mut frame = self.frame(examples.len(), &part.output, &part.kept);
        frame.input = Some(examples.x);
        let at = outputs_at(self.head(), cost, &frame, examples.y);
        self.costs(first, at, cost, values)?;
        Ok(wants_delta && self.cost_delta_at(examples, &at, cost, &mut part.delta))
    }

    #[inline]
    fn cost_delta_at<C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'_, T>,
        at: &Outputs<'_, T>,
        cost: &C,
        delta: &mut [T],
    ) -> bool {
        let (rows, m) = at.a.shape();
        let delta = &mut delta[..rows * m];
        cost.delta(*at, DMatrixViewMut::from_slice(delta, rows, m));
        weigh(examples, rows, delta);
        at.z.is_some()
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
        linked: bool,
        wanted: Wanted<'_, T>,
    ) {
        let (plan, m) = (self.plan(), x.ncols());
        let (rows, inputs) = (plan.outputs(), plan.inputs());
        let delta = &mut part.delta[..rows * m];
        let input_delta = wanted.input_delta.map(|below| &mut below[..inputs * m]);
        self.network.root.backward(Backward {
            at: self.at(first, &part.scratch_lens),
            input: x,
            output: DMatrixView::from_slice(&part.output[..rows * m], rows, m),
            kept: &part.kept[..plan.kept_in(self.keep, m)],
            delta: DMatrixViewMut::from_slice(delta, rows, m),
            linked: Linked(&[linked]),
            gradient: wanted.gradient,
            input_delta: input_delta.map(|below| DMatrixViewMut::from_slice(below, inputs, m)),
            room: &mut part.room,
            scratch: &mut part.scratch,
        });
    }
}

/// Returns the arguments of a cost at the outputs of a frame: z if the pair is canonical, and the
/// activation that computed a.
#[inline(always)]
pub(crate) fn outputs_at<'b, T: Scalar, C: Cost<T> + ?Sized>(
    head: Option<&Head>,
    cost: &C,
    frame: &Frame<'b, T>,
    y: DMatrixView<'b, T>,
) -> Outputs<'b, T> {
    let at = Outputs::new(None, frame.output, y);
    let Some(head) = head else {
        return at;
    };
    // A softmax along the last axis is not one of the whole column.
    let by_column = head.units == head.rows || head.activation != Some(AnyActivation::Softmax);
    let Some(z) = head
        .z
        .filter(|_| by_column)
        .and_then(|z| frame.get(z, head.rows))
    else {
        return at;
    };
    let linked = head.link.is_some() && head.link == cost.link();
    let at = Outputs::new(linked.then_some(z), frame.output, y);
    match head.activation {
        Some(activation) => at.activated_by(activation, z),
        None => at,
    }
}

/// What a pass over m examples left.
#[derive(Clone, Copy)]
struct Outcome<'a, T> {
    kept: &'a [T],
    output: &'a [T],
    keep: Keep,
    m: usize,
}

/// Checks the outputs of all layers, from the first on.
#[inline]
fn check_activations<T: Scalar>(
    plan: &Plan,
    of: Outcome<'_, T>,
    first: usize,
) -> Result<(), Error> {
    for (layer, child) in plan.children.iter().enumerate() {
        let (start, output) = child.found(of.keep, of.m);
        let output = match output {
            Some(range) => &of.kept[range],
            None => of.output,
        };
        if !child.plan.children.is_empty() {
            let kept = &of.kept[start..];
            check_activations(&child.plan, Outcome { kept, output, ..of }, first)
                .map_err(|error| error.inside(layer))?;
        }
        if let Some(index) = first_non_finite(output) {
            let rows = child.plan.outputs();
            return Err(Error::NonFinite {
                at: Location::Activation {
                    layer: layer.into(),
                    unit: index % rows,
                    example: first + index / rows,
                },
                value: to_f64(output[index]),
            });
        }
    }
    Ok(())
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
        if self.part_size(x.ncols(), workspace.training.is_some()) == x.ncols() {
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
