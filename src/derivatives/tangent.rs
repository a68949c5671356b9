//! Passes along a direction: the derivative of the forward pass, and that of the backward pass.

use super::Tangent;
use crate::cost::{Cost, HeadOutputs, Outputs};
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::given::Given;
use crate::layer::{
    Backward, BackwardTangent, ForwardTangent, Frame, Layer, LayerGradient, Linked,
};
use crate::network::chain::{Chain, Wanted, outputs_at, weigh};
use crate::scalar::Scalar;
use crate::workspace::Part;
use nalgebra::{DMatrixView, DMatrixViewMut};

impl<T: Scalar, L: Layer<T>> Chain<'_, T, L> {
    /// Computes the derivatives of all layers along a direction.
    pub(super) fn forward_tangent(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        part: &mut Part<T>,
        direction: Tangent<'_, T>,
    ) -> Result<(), Error> {
        let (plan, m) = (self.plan(), x.ncols());
        if let Some(x_tangent) = &direction.inputs {
            self.check_contiguous("Ẋ", x_tangent)?;
        }
        let (rows, kept) = (plan.outputs(), plan.kept(self.keep, m));
        let output_tangent = &mut part.output_tangent[..rows * m];
        let mut pass = ForwardTangent::new(
            self.at(first, &part.scratch_lens, Given::new(&part.given)),
            x,
            self.output(m, &part.output),
            &part.kept[..kept],
            DMatrixViewMut::from_slice(output_tangent, rows, m),
            &mut part.kept_tangent[..kept],
        );
        (pass.theta_tangent, pass.input_tangent) = (direction.parameters, direction.inputs);
        (pass.room, pass.scratch) = (&mut part.room, &mut part.scratch);
        self.network.root().forward_tangent(pass)
    }

    /// Writes δ of the outputs and its derivative, and marks the heads where they are those of
    /// ∂cost/∂z.
    pub(super) fn cost_delta_tangent<C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'_, T>,
        cost: &C,
        part: &mut Part<T>,
    ) -> Result<(), Error> {
        self.cost_delta(examples, cost, part);
        let of = self.heads(examples.x, &part.output, &part.kept);
        let at = outputs_at(&of, cost, examples);
        let m = examples.len();
        let tangent = self.frame(m, &part.output_tangent, &part.kept_tangent);
        self.delta_tangent((at, tangent), cost, &mut part.delta_tangent)?;
        let rows = self.plan().outputs();
        weigh(examples, rows, &mut part.delta_tangent[..rows * m]);
        Ok(())
    }

    /// Writes the derivative of the cost's δ at these outputs, along the derivatives of all layers.
    pub(super) fn delta_tangent<C: Cost<T> + ?Sized>(
        &self,
        (at, tangent): (Outputs<'_, T>, Frame<'_, T>),
        cost: &C,
        to: &mut [T],
    ) -> Result<(), Error> {
        let plan = self.plan();
        let (rows, m) = (plan.outputs(), tangent.output.ncols());
        let to = DMatrixViewMut::from_slice(&mut to[..rows * m], rows, m);
        let of = HeadOutputs {
            heads: &plan.heads,
            frame: tangent,
        };
        let z = plan.single_head().and_then(|head| head.z);
        let along = match z.filter(|_| at.z.is_some()) {
            Some(z) => tangent.get(z, rows).unwrap_or(tangent.output),
            None => tangent.output,
        };
        let at = Outputs {
            tangents: Some(&of),
            ..at
        };
        at.delta_tangent(cost, &along, to)
    }

    /// Passes δ and its derivative down, and writes the requested derivatives.
    pub(super) fn backward_tangent(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        part: &mut Part<T>,
        direction: Tangent<'_, T>,
        mut wanted: Wanted<'_, T>,
    ) -> Result<(), Error> {
        let (plan, m) = (self.plan(), x.ncols());
        let (rows, kept) = (plan.outputs(), plan.kept(self.keep, m));
        let delta = &mut part.delta[..rows * m];
        let mut pass = Backward::new(
            self.at(first, &part.scratch_lens, Given::new(&part.given)),
            x,
            self.output(m, &part.output),
            &part.kept[..kept],
            DMatrixViewMut::from_slice(delta, rows, m),
        );
        pass.linked = Linked(&part.linked[..plan.heads.len()]);
        (pass.room, pass.scratch) = (&mut part.room, &mut part.scratch);
        let dot = &mut part.delta_tangent[..rows * m];
        let mut along = BackwardTangent::new(
            pass,
            self.output(m, &part.output_tangent),
            &part.kept_tangent[..kept],
            DMatrixViewMut::from_slice(dot, rows, m),
        );
        (along.theta_tangent, along.input_tangent) = (direction.parameters, direction.inputs);
        if let LayerGradient::Sum(sums) = &mut wanted.gradient {
            along.gradient_tangent = Some(sums);
        }
        let inputs = plan.inputs();
        along.input_delta_tangent = wanted
            .input_delta
            .as_deref_mut()
            .map(|below| DMatrixViewMut::from_slice(&mut below[..inputs * m], inputs, m));
        self.network.root().backward_tangent(along)?;
        self.clear_frozen(&mut wanted.gradient, m);
        self.clear_ids(wanted.input_delta, m);
        Ok(())
    }

    /// Replaces δ by the derivative of ∂cost/∂z, where the pass has left that of ∂cost/∂a.
    ///
    /// Without parameters and inputs to reach, the backward pass along the direction ends at z.
    pub(super) fn to_z(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        part: &mut Part<T>,
    ) -> Result<(), Error> {
        let nothing = Wanted::gradient(LayerGradient::None);
        self.backward_tangent(first, x, part, Tangent::default(), nothing)?;
        part.linked.fill(true);
        let len = self.plan().outputs() * x.ncols();
        part.delta[..len].copy_from_slice(&part.delta_tangent[..len]);
        Ok(())
    }
}
