//! Passes of one layer outside a network, into buffers that hold NaN.

use super::nan;
use crate::allocation::allocate;
use crate::derivatives::Tangent;
use crate::error::Error;
use crate::examples::{check_finite, check_length, check_rows};
use crate::layer::{
    At, Backward, BackwardTangent, Forward, ForwardTangent, Frame, Keep, Layer, LayerGradient,
    Linked, Place, Plan, Site,
};
use crate::layout::Layout;
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DMatrixView};

/// The parameters, state and inputs of a layer.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a, T: Scalar> {
    pub(super) theta: &'a [T],
    pub(super) state: &'a [T],
    pub(super) x: DMatrixView<'a, T>,
}

/// One layer on m examples.
#[derive(Debug)]
pub(super) struct SingleLayer<'a, L> {
    pub(super) layer: &'a L,
    pub(super) plan: &'a Plan,
    pub(super) layout: &'a Layout,
    /// The seed of a training pass.
    pub(super) training: Option<u64>,
    pub(super) keep: Keep,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) examples: usize,
    pub(super) parameters: usize,
    /// Whether δ is ∂cost/∂z.
    pub(super) linked: bool,
    /// The number of the first example in its batch.
    pub(super) first: usize,
}

/// The results of a forward pass.
pub(super) struct Forwarded<T> {
    pub(super) output: DMatrix<T>,
    pub(super) kept: Vec<T>,
    /// The state after a training pass; empty outside training.
    pub(super) new_state: Vec<T>,
}

/// The results of a backward pass: Δ, the δ of the layer below, and the final content of `delta`.
pub(super) struct Backwarded<T> {
    pub(super) gradient: Vec<T>,
    pub(super) below: DMatrix<T>,
    pub(super) delta: DMatrix<T>,
}

/// The arguments of a backward pass along a direction.
#[derive(Clone, Copy)]
pub(super) struct TangentStart<'a, T: Scalar> {
    pub(super) at: Arguments<'a, T>,
    pub(super) motion: Tangent<'a, T>,
    pub(super) forward: &'a Forwarded<T>,
    pub(super) forward_tangent: &'a Forwarded<T>,
    pub(super) delta: &'a DMatrix<T>,
    pub(super) delta_tangent: &'a DMatrix<T>,
}

/// The results of a backward pass along a direction: those of `backward`, and their derivatives.
pub(super) struct BackwardedTangent<T> {
    pub(super) plain: Backwarded<T>,
    pub(super) tangent: Backwarded<T>,
}

/// Room and scratch of a pass.
struct Memory<T> {
    room: Vec<T>,
    scratch: Vec<T>,
    lens: Vec<usize>,
}

impl<T: Scalar> Backwarded<T> {
    /// Copies δ, and makes room for the results.
    fn new(parameters: usize, inputs: usize, delta: &DMatrix<T>) -> Self {
        Self {
            gradient: vec![nan(); parameters],
            below: DMatrix::repeat(inputs, delta.ncols(), nan()),
            delta: delta.clone(),
        }
    }
}

impl<'a, L> SingleLayer<'a, L> {
    /// Returns the layout of the layer as a network of its own, with inputs like x.
    pub(super) fn layout<T: Scalar>(layer: &L, x: DMatrixView<'_, T>) -> Result<Layout, Error>
    where
        L: Layer<T>,
    {
        let site = Site::new(x.nrows());
        let mut root = Plan::new(site, site.input);
        let plan = layer.plan(site).map_err(|error| error.inside(0))?;
        plan.check(site).map_err(|error| error.inside(0))?;
        root.set_output(plan.output());
        root.adopt(layer.name(), plan, Place::Input, false);
        Layout::from_plan::<T>(root.in_sequence()?)
    }

    /// Returns the layer, if θ and x fit it.
    pub(super) fn new<T: Scalar>(
        layer: &'a L,
        layout: &'a Layout,
        at: Arguments<'_, T>,
    ) -> Result<Self, Error>
    where
        L: Layer<T>,
    {
        let Arguments { theta, x, .. } = at;
        check_length("θ", layout.parameters(), theta.len())?;
        check_finite("θ", DMatrixView::from_slice(theta, theta.len(), 1))?;
        check_rows("X", x, layout.inputs())?;
        if x.ncols() == 0 {
            return Err(Error::NoExamples);
        }
        check_finite("X", x)?;
        layout.plan().check_ids(x)?;
        let plan = &layout.plan().children[0].plan;
        Self::in_layout(layer, (plan, layout), x.ncols())
    }

    /// Returns the layer of this plan, for m examples.
    pub(super) fn in_layout<T: Scalar>(
        layer: &'a L,
        (plan, layout): (&'a Plan, &'a Layout),
        m: usize,
    ) -> Result<Self, Error>
    where
        L: Layer<T>,
    {
        let single = Self {
            layout,
            training: None,
            layer,
            plan,
            keep: Keep::Curvature,
            inputs: layout.inputs(),
            outputs: layout.outputs(),
            examples: m,
            parameters: layout.parameters(),
            linked: false,
            first: 0,
        };
        // A size that is too large is an error here, so the passes may allocate without checks.
        let sizes = [
            ("a layer's output", (single.outputs, m)),
            ("what a layer keeps", (single.plan.kept(single.keep, m), 1)),
            ("the room of a layer", (single.plan.room_len(m), 1)),
            ("the scratch", (single.scratch_lens::<T>()[0], 1)),
            ("the state", (single.plan.state_len(), 1)),
        ];
        for (what, size) in sizes {
            drop(allocate::<T>(what, size, nan())?);
        }
        Ok(single)
    }

    fn scratch_lens<T: Scalar>(&self) -> Vec<usize> {
        let mut lens = Vec::with_capacity(self.plan.nodes());
        self.plan.scratch::<T>(self.examples, &mut lens);
        lens
    }

    /// Returns exactly the room and the scratch that the layer has requested for a kind of pass.
    fn memory<T: Scalar>(&self, room: impl Fn(&Plan, usize) -> usize) -> Memory<T> {
        let lens = self.scratch_lens::<T>();
        Memory {
            room: vec![nan(); room(self.plan, self.examples)],
            scratch: vec![nan(); lens[0]],
            lens,
        }
    }

    /// Returns the arguments of a pass with these lengths of scratch.
    fn at<'b, T: Scalar>(&self, from: Arguments<'b, T>, lens: &'b [usize]) -> At<'b, T>
    where
        'a: 'b,
    {
        let mut at = At::new(self.plan, from.theta);
        at.state = from.state;
        (at.training, at.seed) = (self.training.is_some(), self.training.unwrap_or(0));
        (at.keep, at.first_example, at.scratch) = (self.keep, self.first, lens);
        at
    }

    /// Returns whether the layer declares z, and takes δ of z in place of δ of a.
    pub(super) fn has_link(&self) -> bool {
        let head = self.plan.single_head();
        head.is_some_and(|head| head.z.is_some() && head.link.is_some())
    }

    /// Returns whether the layer declares z. The check of a layer does not look at several heads.
    pub(super) fn has_z(&self) -> bool {
        let head = self.plan.single_head();
        head.is_some_and(|head| head.z.is_some())
    }

    /// Returns z, if the layer has it, at inputs x; or its derivative, with the direction of x.
    pub(super) fn z<'b, T: Scalar>(
        &self,
        x: Option<DMatrixView<'b, T>>,
        forward: &'b Forwarded<T>,
    ) -> Option<Vec<T>> {
        let place = self.plan.single_head()?.z?;
        let (output, kept) = (forward.output.as_slice(), &forward.kept);
        let mut frame = Frame::new(self.plan, self.keep, self.examples, output, kept);
        frame.input = x;
        // The derivative of an input that does not move is 0.
        let z = frame.get(place, self.outputs);
        Some(z.map_or_else(
            || vec![T::zero(); forward.output.len()],
            |z| z.iter().copied().collect(),
        ))
    }

    pub(super) fn forward<T: Scalar>(&self, at: Arguments<'_, T>) -> Forwarded<T>
    where
        L: Layer<T>,
    {
        let mut output = DMatrix::repeat(self.outputs, self.examples, nan());
        let mut kept = vec![nan(); self.plan.kept(self.keep, self.examples)];
        let mut memory = self.memory(Plan::plain_room);
        let place = self.at(at, &memory.lens);
        let mut pass = Forward::new(place, at.x, output.as_view_mut(), &mut kept);
        (pass.room, pass.scratch) = (&mut memory.room, &mut memory.scratch);
        let mut new_state = Vec::new();
        if self.training.is_some() && !at.state.is_empty() {
            new_state.extend_from_slice(at.state);
            let fixed = self.plan.fixed_statistics();
            pass.new_state = Some(&mut new_state[..]).filter(|_| !fixed);
        }
        self.layer.forward(pass);
        Forwarded {
            output,
            kept,
            new_state,
        }
    }

    /// Runs a backward pass with this gradient, and returns δ of the layer below.
    pub(super) fn backward_each<T: Scalar>(
        &self,
        at: Arguments<'_, T>,
        forward: &Forwarded<T>,
        delta: &DMatrix<T>,
        gradient: LayerGradient<'_, T>,
    ) -> DMatrix<T>
    where
        L: Layer<T>,
    {
        let mut back = Backwarded::new(0, self.inputs, delta);
        let mut memory = self.memory(Plan::room_of_each);
        let place = self.at(at, &memory.lens);
        let linked = [self.linked];
        let (output, delta) = (forward.output.as_view(), back.delta.as_view_mut());
        let mut pass = Backward::new(place, at.x, output, &forward.kept, delta);
        pass.linked = Linked(&linked);
        (pass.room, pass.scratch) = (&mut memory.room, &mut memory.scratch);
        pass.gradient = gradient;
        pass.input_delta = Some(back.below.as_view_mut());
        self.layer.backward_each(pass);
        back.below
    }

    pub(super) fn backward<T: Scalar>(
        &self,
        at: Arguments<'_, T>,
        forward: &Forwarded<T>,
        delta: &DMatrix<T>,
    ) -> Backwarded<T>
    where
        L: Layer<T>,
    {
        let mut back = Backwarded::new(self.parameters, self.inputs, delta);
        let mut memory = self.memory(Plan::plain_room);
        let place = self.at(at, &memory.lens);
        let linked = [self.linked];
        let (output, delta) = (forward.output.as_view(), back.delta.as_view_mut());
        let mut pass = Backward::new(place, at.x, output, &forward.kept, delta);
        pass.linked = Linked(&linked);
        (pass.room, pass.scratch) = (&mut memory.room, &mut memory.scratch);
        pass.gradient = LayerGradient::Sum(&mut back.gradient);
        pass.input_delta = Some(back.below.as_view_mut());
        self.layer.backward(pass);
        back
    }

    /// Returns the derivatives of the results of [`forward`](Self::forward).
    pub(super) fn forward_tangent<T: Scalar>(
        &self,
        at: Arguments<'_, T>,
        forward: &Forwarded<T>,
        motion: Tangent<'_, T>,
    ) -> Result<Forwarded<T>, Error>
    where
        L: Layer<T>,
    {
        let mut output = DMatrix::repeat(self.outputs, self.examples, nan());
        let mut kept = vec![nan(); forward.kept.len()];
        let mut memory = self.memory(Plan::tangent_room);
        let place = self.at(at, &memory.lens);
        let (a, a_dot) = (forward.output.as_view(), output.as_view_mut());
        let mut pass = ForwardTangent::new(place, at.x, a, &forward.kept, a_dot, &mut kept);
        (pass.theta_tangent, pass.input_tangent) = (motion.parameters, motion.inputs);
        (pass.room, pass.scratch) = (&mut memory.room, &mut memory.scratch);
        self.layer.forward_tangent(pass)?;
        Ok(Forwarded {
            output,
            kept,
            new_state: Vec::new(),
        })
    }

    /// Returns the results of [`backward`](Self::backward), and their derivatives along the motion
    /// and δ̇.
    pub(super) fn backward_tangent<T: Scalar>(
        &self,
        from: TangentStart<'_, T>,
    ) -> Result<BackwardedTangent<T>, Error>
    where
        L: Layer<T>,
    {
        self.run_backward_tangent(from, true)
    }

    /// Like [`backward_tangent`](Self::backward_tangent), but requests only the final δ and δ̇.
    pub(super) fn delta_tangent<T: Scalar>(
        &self,
        from: TangentStart<'_, T>,
    ) -> Result<BackwardedTangent<T>, Error>
    where
        L: Layer<T>,
    {
        self.run_backward_tangent(from, false)
    }

    fn run_backward_tangent<T: Scalar>(
        &self,
        from: TangentStart<'_, T>,
        gradients: bool,
    ) -> Result<BackwardedTangent<T>, Error>
    where
        L: Layer<T>,
    {
        let mut plain = Backwarded::new(self.parameters, self.inputs, from.delta);
        let mut dot = Backwarded::new(self.parameters, self.inputs, from.delta_tangent);
        let mut memory = self.memory(Plan::tangent_room);
        let place = self.at(from.at, &memory.lens);
        let linked = [self.linked];
        let (a, delta) = (from.forward.output.as_view(), plain.delta.as_view_mut());
        let mut pass = Backward::new(place, from.at.x, a, &from.forward.kept, delta);
        pass.linked = Linked(&linked);
        (pass.room, pass.scratch) = (&mut memory.room, &mut memory.scratch);
        let Forwarded { output, kept, .. } = from.forward_tangent;
        let delta_dot = dot.delta.as_view_mut();
        let mut tangent = BackwardTangent::new(pass, output.as_view(), kept, delta_dot);
        tangent.theta_tangent = from.motion.parameters;
        tangent.input_tangent = from.motion.inputs;
        if gradients {
            tangent.pass.gradient = LayerGradient::Sum(&mut plain.gradient);
            tangent.pass.input_delta = Some(plain.below.as_view_mut());
            tangent.gradient_tangent = Some(&mut dot.gradient);
            tangent.input_delta_tangent = Some(dot.below.as_view_mut());
        }
        self.layer.backward_tangent(tangent)?;
        Ok(BackwardedTangent {
            plain,
            tangent: dot,
        })
    }
}
