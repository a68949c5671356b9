//! ∂a⁽ᴸ⁾/∂x of every example.

use super::{Tangent, check_finite_result, fill_with_unit};
use crate::allocation::allocate;
use crate::columns::Columns;
use crate::error::Error;
use crate::examples::check_length;
use crate::kernels::columns;
use crate::layer::{Keep, Layer, LayerGradient};
use crate::network::Network;
use crate::network::chain::{Chain, Wanted, check_part_inputs};
use crate::network::job::{Job, JobResults, PartResults};
use crate::scalar::Scalar;
use crate::workspace::{Part, Wants, Workspace};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// The Jacobians of a batch.
struct Jacobian<'a, T: Scalar, L> {
    chain: Chain<'a, T, L>,
    x: DMatrixView<'a, T>,
}

impl<T: Scalar, L: Layer<T>> Jacobian<'_, T, L> {
    /// Returns whether to compute row by row, with K backward passes, rather than column by column,
    /// with n passes, each along one input.
    fn by_rows(&self) -> bool {
        let network = self.chain.network;
        network.outputs() <= network.inputs()
    }
}

impl<T: Scalar, L: Layer<T>> Job<T> for Jacobian<'_, T, L> {
    fn part(
        &self,
        range: Range<usize>,
        part: &mut Part<T>,
        results: PartResults<'_, T>,
        room: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let (first, m, chain) = (range.start, range.len(), &self.chain);
        let x = columns(self.x, first, m);
        check_part_inputs(first, x, self.x)?;
        chain.forward(first, x, part)?;
        part.copy_outputs(results.outputs);
        let (Some(jacobians), Some(room)) = (results.columns, room) else {
            return Ok(());
        };
        let (n, k) = (chain.network.inputs(), chain.network.outputs());
        let unit = &mut room[..n * m];
        if self.by_rows() {
            for i in 0..k {
                let delta = &mut part.delta[..k * m];
                fill_with_unit(delta, k, i);
                let wanted = Wanted {
                    gradient: LayerGradient::None,
                    input_delta: Some(&mut *unit),
                };
                part.linked.fill(false);
                chain.backward(first, x, part, wanted);
                for (to, &from) in jacobians.iter_mut().skip(i).step_by(k).zip(&*unit) {
                    *to = from;
                }
            }
        } else {
            for j in 0..n {
                fill_with_unit(unit, n, j);
                chain
                    .plan()
                    .clear_ids(DMatrixViewMut::from_slice(unit, n, m));
                let along = Tangent::of_inputs(DMatrixView::from_slice(unit, n, m));
                chain.forward_tangent(first, x, part, along)?;
                let columns = part.output_tangent.chunks_exact(k);
                for (to, from) in jacobians.chunks_exact_mut(k * n).zip(columns) {
                    to[j * k..(j + 1) * k].copy_from_slice(from);
                }
            }
        }
        Ok(())
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns the Jacobians ∂a⁽ᴸ⁾/∂x of all examples side by side, K × (n · m).
    ///
    /// The Jacobian of example k, K × n, has the columns k·n to (k + 1)·n. The call takes K
    /// backward passes or n passes along an input, whichever is fewer.
    ///
    /// Derivation: [(29)](crate::derivation#forward-tangent).
    ///
    /// # Errors
    /// - The errors of [`forward`](Self::forward).
    /// - [`Error::Coupled`] if a layer couples the examples in this mode, and
    ///   [`Error::Unsupported`] if n < K and a custom layer or activation has no tangents.
    /// - [`Error::NonFinite`] if the result overflows.
    ///
    /// # Example
    /// a = tanh(2x₁ + 3x₂) has the Jacobian (2, 3) at x = 0, where tanh′ is 1:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Network, activation::Tanh};
    ///
    /// let network = Network::<f64>::builder(2).dense(1, Tanh).with_theta(&[0.0, 2.0, 3.0])?;
    /// let jacobian = network.output_jacobian(&DMatrix::zeros(2, 1))?;
    /// assert_eq!(jacobian, DMatrix::from_row_slice(1, 2, &[2.0, 3.0]));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("jacrev", "jacfwd"))]
    pub fn output_jacobian<'a>(&self, x: impl Columns<'a, T>) -> Result<DMatrix<T>, Error> {
        let x = x.columns_view();
        let shape = (self.outputs(), x.len());
        let mut jacobians = allocate("the output Jacobians", shape, T::zero())?;
        self.output_jacobian_into(x, &mut Workspace::for_one_call(), &mut jacobians)?;
        Ok(DMatrix::from_vec(shape.0, shape.1, jacobians))
    }

    /// Writes [`output_jacobian`](Self::output_jacobian) into the caller's buffer of K · n · m
    /// entries, column by column.
    ///
    /// # Errors
    /// - The errors of [`output_jacobian`](Self::output_jacobian).
    /// - [`Error::Length`] if `jacobians` has the wrong length.
    pub fn output_jacobian_into<'a>(
        &self,
        x: impl Columns<'a, T>,
        workspace: &mut Workspace<T>,
        jacobians: &mut [T],
    ) -> Result<(), Error> {
        let x = x.columns_view();
        self.check_inputs(x)?;
        self.layout().plan().check_differentiates_inputs()?;
        self.check_uncoupled("a Jacobian of one example", workspace)?;
        self.check_whole_inputs(x, workspace)?;
        let expected = self.outputs().saturating_mul(x.len());
        check_length("the output Jacobians", expected, jacobians.len())?;
        let mut chain = self.chain(self.point());
        chain.set_mode(workspace, x.ncols(), None)?;
        chain.keep = Keep::Slope;
        let job = Jacobian { chain, x };
        let cut = self.cut(x.ncols(), workspace.training.is_some());
        let wants = Wants {
            backward: true,
            keep: Keep::Slope,
            tangents: !job.by_rows(),
            sums: self.inputs().saturating_mul(cut.part),
            scratch: true,
            ..Wants::default()
        };
        let results = JobResults {
            columns: Some(&mut *jacobians),
            ..JobResults::none()
        };
        self.run(cut, (&job, wants), workspace, results)?;
        check_finite_result("the output Jacobian", jacobians)
    }

    /// Checks that each example is computed separately.
    pub(crate) fn check_uncoupled(
        &self,
        what: &'static str,
        workspace: &Workspace<T>,
    ) -> Result<(), Error> {
        let training = workspace.training.is_some();
        match self.layout().plan().coupling(training) {
            None => Ok(()),
            Some(layer) => Err(Error::Coupled {
                layer,
                what,
                training,
            }),
        }
    }
}
