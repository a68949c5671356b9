//! Passes of one layer outside a network, into buffers that hold NaN.

use super::nan;
use crate::derivatives::Tangent;
use crate::error::Error;
use crate::examples::{check_finite, check_length, check_rows};
use crate::layer::{Backward, BackwardTangent, Forward, ForwardTangent, Layer};
use crate::layout::{Layout, allocate};
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};

/// The parameters and inputs of a layer.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a, T: Scalar> {
    pub(super) theta: &'a [T],
    pub(super) x: DMatrixView<'a, T>,
}

/// One layer on m examples.
#[derive(Debug)]
pub(super) struct SingleLayer<'a, L> {
    pub(super) layer: &'a L,
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
    pub(super) cache: Vec<T>,
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
    /// Returns the layer and its layout, if θ and x fit the layer.
    pub(super) fn new<T: Scalar>(
        layer: &'a L,
        theta: &[T],
        x: DMatrixView<'_, T>,
    ) -> Result<(Self, Layout), Error>
    where
        L: Layer<T>,
    {
        let layout = Layout::new(layer.inputs(), std::slice::from_ref(layer))?;
        check_length("θ", layout.parameters(), theta.len())?;
        check_finite("θ", DMatrixView::from_slice(theta, theta.len(), 1))?;
        check_rows("X", x, layout.inputs())?;
        if x.ncols() == 0 {
            return Err(Error::NoExamples);
        }
        check_finite("X", x)?;
        let single = Self {
            layer,
            inputs: layout.inputs(),
            outputs: layout.outputs(),
            examples: x.ncols(),
            parameters: theta.len(),
            linked: false,
            first: 0,
        };
        // A size that is too large is an error here, so the passes may allocate without checks.
        let m = x.ncols();
        let sizes = [
            ("a layer's output", (single.outputs, m)),
            ("a layer's cache", (layer.cache_len(m), 1)),
            ("the scratch", (layer.scratch_len(m), 1)),
        ];
        for (what, size) in sizes {
            drop(allocate::<T>(what, size, nan())?);
        }
        Ok((single, layout))
    }

    fn scratch<T: Scalar>(&self) -> Vec<T>
    where
        L: Layer<T>,
    {
        vec![nan(); self.layer.scratch_len(self.examples)]
    }

    pub(super) fn forward<T: Scalar>(&self, at: Arguments<'_, T>) -> Forwarded<T>
    where
        L: Layer<T>,
    {
        let mut output = DMatrix::repeat(self.outputs, self.examples, nan());
        let mut cache = vec![nan(); self.layer.cache_len(self.examples)];
        let mut scratch = self.scratch();
        let mut pass = Forward::new(at.theta, at.x, output.as_view_mut(), &mut cache);
        pass.scratch = &mut scratch;
        pass.first_example = self.first;
        self.layer.forward(pass);
        Forwarded { output, cache }
    }

    /// Returns a backward pass with no results requested yet.
    pub(super) fn pass<'b, T: Scalar>(
        &self,
        at: Arguments<'b, T>,
        forward: &'b Forwarded<T>,
        delta: DMatrixViewMut<'b, T>,
    ) -> Backward<'b, T> {
        let output = forward.output.as_view();
        let mut pass = Backward::new(at.theta, at.x, output, &forward.cache, delta);
        (pass.linked, pass.first_example) = (self.linked, self.first);
        pass
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
        let mut scratch = self.scratch();
        let mut pass = self.pass(at, forward, back.delta.as_view_mut());
        pass.scratch = &mut scratch;
        pass.gradient = Some(&mut back.gradient);
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
        let mut cache = vec![nan(); forward.cache.len()];
        let mut scratch = self.scratch();
        let (a, a_dot) = (forward.output.as_view(), output.as_view_mut());
        let (theta, x) = (at.theta, at.x);
        let mut pass = ForwardTangent::new(theta, x, a, &forward.cache, a_dot, &mut cache);
        (pass.theta_tangent, pass.input_tangent) = (motion.parameters, motion.inputs);
        pass.scratch = &mut scratch;
        pass.first_example = self.first;
        self.layer.forward_tangent(pass)?;
        Ok(Forwarded { output, cache })
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
        let mut scratch = self.scratch();
        let mut pass = self.pass(from.at, from.forward, plain.delta.as_view_mut());
        pass.scratch = &mut scratch;
        let Forwarded { output, cache } = from.forward_tangent;
        let delta_dot = dot.delta.as_view_mut();
        let mut tangent = BackwardTangent::new(pass, output.as_view(), cache, delta_dot);
        tangent.theta_tangent = from.motion.parameters;
        tangent.input_tangent = from.motion.inputs;
        if gradients {
            tangent.pass.gradient = Some(&mut plain.gradient);
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
