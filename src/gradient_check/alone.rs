//! Passes of one layer outside a network, into buffers that hold NaN.

use super::nan;
use crate::error::Error;
use crate::examples::{check_finite, check_length, check_rows};
use crate::layer::{Backward, BackwardTangent, Forward, ForwardTangent, Layer};
use crate::layout::{Layout, allocate};
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};

/// A layer by itself, on m examples.
#[derive(Debug)]
pub(super) struct Alone<'a, L> {
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

/// What a forward pass leaves.
pub(super) struct After<T> {
    pub(super) output: DMatrix<T>,
    pub(super) cache: Vec<T>,
}

/// What a backward pass leaves: Δ, the error of the layer below, and the contents of its own `delta`.
pub(super) struct Back<T> {
    pub(super) gradient: Vec<T>,
    pub(super) below: DMatrix<T>,
    pub(super) delta: DMatrix<T>,
}

/// θ̇ and ẋ, each if it moves.
pub(super) type Moves<'a, T> = (Option<&'a [T]>, Option<DMatrixView<'a, T>>);

impl<T: Scalar> Back<T> {
    /// δ of all entries, and room for the results.
    fn new(parameters: usize, inputs: usize, delta: &DMatrix<T>) -> Self {
        Self {
            gradient: vec![nan(); parameters],
            below: DMatrix::repeat(inputs, delta.ncols(), nan()),
            delta: delta.clone(),
        }
    }
}

impl<'a, L> Alone<'a, L> {
    /// The layer, if θ and x fit it, and its layout.
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
        let alone = Self {
            layer,
            inputs: layout.inputs(),
            outputs: layout.outputs(),
            examples: x.ncols(),
            parameters: theta.len(),
            linked: false,
            first: 0,
        };
        // Tried once with an error in place of an abort, as the pass of a network is; then the sizes are known to be sound.
        let m = x.ncols();
        drop(allocate::<T>(
            "a layer's output",
            (alone.outputs, m),
            nan(),
        )?);
        drop(allocate::<T>(
            "a layer's cache",
            (layer.cache_len(m), 1),
            nan(),
        )?);
        drop(allocate::<T>(
            "the scratch",
            (layer.scratch_len(m), 1),
            nan(),
        )?);
        Ok((alone, layout))
    }

    fn scratch<T: Scalar>(&self) -> Vec<T>
    where
        L: Layer<T>,
    {
        vec![nan(); self.layer.scratch_len(self.examples)]
    }

    pub(super) fn forward<T: Scalar>(&self, theta: &[T], x: DMatrixView<'_, T>) -> After<T>
    where
        L: Layer<T>,
    {
        let mut output = DMatrix::repeat(self.outputs, self.examples, nan());
        let mut cache = vec![nan(); self.layer.cache_len(self.examples)];
        let mut scratch = self.scratch();
        let mut pass = Forward::new(theta, x, output.as_view_mut(), &mut cache);
        pass.scratch = &mut scratch;
        pass.first_example = self.first;
        self.layer.forward(pass);
        After { output, cache }
    }

    /// The backward pass that is asked for nothing yet.
    pub(super) fn pass<'b, T: Scalar>(
        &self,
        theta: &'b [T],
        x: DMatrixView<'b, T>,
        after: &'b After<T>,
        delta: DMatrixViewMut<'b, T>,
    ) -> Backward<'b, T> {
        let mut pass = Backward::new(theta, x, after.output.as_view(), &after.cache, delta);
        (pass.linked, pass.first_example) = (self.linked, self.first);
        pass
    }

    pub(super) fn backward<T: Scalar>(
        &self,
        theta: &[T],
        x: DMatrixView<'_, T>,
        after: &After<T>,
        delta: &DMatrix<T>,
    ) -> Back<T>
    where
        L: Layer<T>,
    {
        let mut back = Back::new(self.parameters, self.inputs, delta);
        let mut scratch = self.scratch();
        let mut pass = self.pass(theta, x, after, back.delta.as_view_mut());
        pass.scratch = &mut scratch;
        pass.gradient = Some(&mut back.gradient);
        pass.input_delta = Some(back.below.as_view_mut());
        self.layer.backward(pass);
        back
    }

    /// The derivative of what [`forward`](Self::forward) leaves.
    pub(super) fn forward_tangent<T: Scalar>(
        &self,
        theta: &[T],
        x: DMatrixView<'_, T>,
        after: &After<T>,
        (theta_tangent, input_tangent): Moves<'_, T>,
    ) -> Result<After<T>, Error>
    where
        L: Layer<T>,
    {
        let mut output = DMatrix::repeat(self.outputs, self.examples, nan());
        let mut cache = vec![nan(); after.cache.len()];
        let mut scratch = self.scratch();
        let (of, to) = (after.output.as_view(), output.as_view_mut());
        let mut pass = ForwardTangent::new(theta, x, of, &after.cache, to, &mut cache);
        (pass.theta_tangent, pass.input_tangent) = (theta_tangent, input_tangent);
        pass.scratch = &mut scratch;
        pass.first_example = self.first;
        self.layer.forward_tangent(pass)?;
        Ok(After { output, cache })
    }

    /// What [`backward`](Self::backward) leaves, and its derivative along (θ̇, ẋ, δ̇). If not `wanted`, nothing is asked for but what becomes of δ.
    pub(super) fn backward_tangent<T: Scalar>(
        &self,
        (theta, x): (&[T], DMatrixView<'_, T>),
        (after, along): (&After<T>, &After<T>),
        moves: Moves<'_, T>,
        (delta, delta_dot): (&DMatrix<T>, &DMatrix<T>),
        wanted: bool,
    ) -> Result<(Back<T>, Back<T>), Error>
    where
        L: Layer<T>,
    {
        let mut back = Back::new(self.parameters, self.inputs, delta);
        let mut dot = Back::new(self.parameters, self.inputs, delta_dot);
        let mut scratch = self.scratch();
        let mut pass = self.pass(theta, x, after, back.delta.as_view_mut());
        pass.scratch = &mut scratch;
        let (output, to) = (along.output.as_view(), dot.delta.as_view_mut());
        let mut tangent = BackwardTangent::new(pass, output, &along.cache, to);
        (tangent.theta_tangent, tangent.input_tangent) = moves;
        if wanted {
            tangent.pass.gradient = Some(&mut back.gradient);
            tangent.pass.input_delta = Some(back.below.as_view_mut());
            tangent.gradient_tangent = Some(&mut dot.gradient);
            tangent.input_delta_tangent = Some(dot.below.as_view_mut());
        }
        self.layer.backward_tangent(tangent)?;
        Ok((back, dot))
    }
}
