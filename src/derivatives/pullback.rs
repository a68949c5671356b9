//! A pullback: one forward pass, and any number of backward passes from it.

use super::{VjpTargets, check_finite_result};
use crate::allocation::{allocate, resize};
use crate::columns::Columns;
use crate::error::Error;
use crate::gradient::zeros;
use crate::kernels::{add, columns};
use crate::layer::{Keep, Layer, LayerGradient};
use crate::network::Network;
use crate::network::chain::{Chain, Wanted, check_part_inputs};
use crate::network::job::{Job, JobResults, PartResults};
use crate::scalar::Scalar;
use crate::workspace::{Part, Wants, Workspace};
use nalgebra::{DMatrix, DMatrixView, DVector};
use std::ops::Range;

/// A forward pass whose activations are kept for any number of backward passes: see
/// [`Network::pullback`].
#[derive(Debug)]
#[must_use]
pub struct Pullback<'a, 'w, T: Scalar, L> {
    chain: Chain<'a, T, L>,
    x: DMatrixView<'a, T>,
    workspace: &'w mut Workspace<T>,
    wants: Wants,
}

/// One of the two passes, on the buffers of each part.
struct Held<'p, 'a, T: Scalar, L> {
    chain: &'p Chain<'a, T, L>,
    x: DMatrixView<'p, T>,
    /// The start of the backward pass; `None` for the forward pass.
    cotangent: Option<DMatrixView<'p, T>>,
}

impl<T: Scalar, L: Layer<T>> Job<T> for Held<'_, '_, T, L> {
    fn part(
        &self,
        range: Range<usize>,
        part: &mut Part<T>,
        results: PartResults<'_, T>,
        sums: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let (first, chain) = (range.start, self.chain);
        let x = columns(self.x, first, range.len());
        let Some(cotangent) = self.cotangent else {
            check_part_inputs(first, x, self.x)?;
            chain.forward(first, x, part)?;
            part.copy_outputs(results.outputs);
            return Ok(());
        };
        part.start_from(columns(cotangent, first, range.len()));
        let wanted = Wanted {
            gradient: sums.map_or(LayerGradient::None, LayerGradient::Sum),
            input_delta: results.input_delta,
        };
        chain.backward(first, x, part, wanted);
        Ok(())
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Runs a forward pass and returns a [`Pullback`], which computes vector–Jacobian products from
    /// it.
    ///
    /// Use it where the cotangents depend on the outputs, or where there are several: each
    /// [`vjp_into`](Pullback::vjp_into) is only a backward pass. The workspace holds the
    /// activations of all examples until the pullback is dropped.
    ///
    /// # Errors
    /// Returns the errors of [`forward`](Self::forward).
    ///
    /// # Example
    /// The loss ½ (a₁ − a₂ − 1)² compares two examples of a = θ₀ + θ₁ x:
    /// ```
    /// use backprop::{Network, VjpTargets, Workspace, activation::Identity};
    /// use backprop::nalgebra::DMatrix;
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[0.0, 2.0])?;
    /// let (x, mut workspace) = (DMatrix::from_row_slice(1, 2, &[3.0, 1.0]), Workspace::new());
    /// let mut gradient = [0.0; 2];
    ///
    /// let mut pullback = network.pullback(&x, &mut workspace)?;
    /// let a = pullback.output();
    /// let rest = a[0] - a[1] - 1.0;
    /// let slope = DMatrix::from_row_slice(1, 2, &[rest, -rest]);
    /// pullback.vjp_into(&slope, VjpTargets::of_parameters(&mut gradient))?;
    /// assert_eq!((rest, gradient), (3.0, [0.0, 6.0])); // 3 (1, 3) − 3 (1, 1)
    ///
    /// // A second loss, Σ a, whose gradient (2, 4) is added.
    /// let ones = DMatrix::repeat(1, 2, 1.0);
    /// pullback.add_vjp_into(&ones, VjpTargets::of_parameters(&mut gradient))?;
    /// assert_eq!(gradient, [2.0, 10.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("vjp_fn", "VJP", "tape"))]
    pub fn pullback<'a, 'w>(
        &'a self,
        x: impl Columns<'a, T>,
        workspace: &'w mut Workspace<T>,
    ) -> Result<Pullback<'a, 'w, T, L>, Error> {
        let x = x.columns_view();
        self.check_inputs(x)?;
        let mut chain = self.chain(self.point());
        chain.set_mode(workspace, x.ncols(), None)?;
        chain.keep = Keep::Slope;
        let wants = Wants {
            sums: self.parameters(),
            backward: true,
            keep: Keep::Slope,
            hold: true,
            ..Wants::default()
        };
        self.check_whole_inputs(x, workspace)?;
        let job = Held {
            chain: &chain,
            x,
            cotangent: None,
        };
        let cut = self.cut(x.ncols(), workspace.training.is_some());
        self.run(cut, (&job, wants), workspace, JobResults::none())?;
        Ok(Pullback {
            chain,
            x,
            workspace,
            wants,
        })
    }

    /// Like [`vjp`](Self::vjp), but computes the cotangent from the outputs, after a single forward
    /// pass.
    ///
    /// `slope` receives the outputs a, K × m, and a K × m matrix of zeros, to which it writes u =
    /// ∂loss/∂a.
    ///
    /// # Errors
    /// Returns the errors of [`vjp`](Self::vjp).
    ///
    /// # Example
    /// The loss Σ a² with a = 2x has the slope 2a, and ∂loss/∂x = 4a = 8x:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Network, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[0.0, 2.0])?;
    /// let x = DMatrix::from_row_slice(1, 2, &[3.0, 1.0]);
    /// let mut loss = 0.0;
    /// let (parameters, inputs) = network.vjp_with(&x, |a, u| {
    ///     loss = a.norm_squared();
    ///     u.copy_from(&(a * 2.0));
    /// })?;
    /// assert_eq!((loss, inputs.as_slice()), (40.0, &[24.0, 8.0][..]));
    /// assert_eq!(parameters.as_slice(), &[16.0, 40.0]); // 12 (1, 3) + 4 (1, 1)
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn vjp_with<'a>(
        &'a self,
        x: impl Columns<'a, T>,
        slope: impl FnOnce(DMatrixView<'_, T>, &mut DMatrix<T>),
    ) -> Result<(DVector<T>, DMatrix<T>), Error> {
        let (x, mut workspace) = (x.columns_view(), Workspace::for_one_call());
        let mut pullback = self.pullback(x, &mut workspace)?;
        let (n, m, k) = (x.nrows(), x.ncols(), self.outputs());
        let zeros_of = |what, rows| allocate(what, (rows, m), T::zero());
        let mut u = DMatrix::from_vec(k, m, zeros_of("the cotangent", k)?);
        slope(pullback.output(), &mut u);
        let mut parameters = zeros(self.parameters())?;
        let mut inputs = zeros_of("the vector–Jacobian product", n)?;
        let into = VjpTargets::of_parameters(parameters.as_mut_slice()).and_inputs(&mut inputs);
        pullback.vjp_into(&u, into)?;
        Ok((parameters, DMatrix::from_vec(n, m, inputs)))
    }
}

impl<T: Scalar, L: Layer<T>> Pullback<'_, '_, T, L> {
    /// Returns the outputs a⁽ᴸ⁾, K × m.
    #[must_use]
    pub fn output(&self) -> DMatrixView<'_, T> {
        let nothing = || DMatrixView::from_slice(&[], 0, 0);
        self.workspace.output().unwrap_or_else(nothing)
    }

    /// Writes the vector–Jacobian products with the cotangent `u`, K × m, as
    /// [`Network::vjp_into`] does.
    ///
    /// # Errors
    /// Returns the errors of [`Network::vjp_into`], except those of the forward pass.
    pub fn vjp_into<'u>(
        &mut self,
        u: impl Columns<'u, T>,
        into: VjpTargets<'_, T>,
    ) -> Result<(), Error> {
        let network = self.chain.network;
        let cotangent = u.columns_view();
        network.check_cotangent(cotangent, self.x.ncols())?;
        let mut into = into.checked(network.layout().plan(), self.x)?;
        if into.is_empty() {
            return Ok(());
        }
        let job = Held {
            chain: &self.chain,
            x: self.x,
            cotangent: Some(cotangent),
        };
        let mut wants = self.wants;
        if into.parameters.is_none() {
            wants.sums = 0;
        }
        let work = (&job, wants);
        let cut = network.cut(self.x.ncols(), self.workspace.training.is_some());
        network.run(cut, work, self.workspace, into.results())?;
        into.check_finite("the vector–Jacobian product")
    }

    /// Adds the vector–Jacobian products to the contents of the buffers.
    ///
    /// # Errors
    /// Returns the errors of [`vjp_into`](Self::vjp_into), and [`Error::NonFinite`] if a sum
    /// overflows. After that error the buffers hold the sums; after any other they are unchanged.
    pub fn add_vjp_into<'u>(
        &mut self,
        u: impl Columns<'u, T>,
        into: VjpTargets<'_, T>,
    ) -> Result<(), Error> {
        let (plan, len) = (self.chain.plan(), self.x.len());
        let (into, p) = (into.checked(plan, self.x)?, plan.parameters());
        let p = if into.parameters.is_some() { p } else { 0 };
        let len = if into.inputs.is_some() { len } else { 0 };
        let mut own = std::mem::take(&mut self.workspace.gradient);
        let what = "the vector–Jacobian product";
        let done = resize(&mut own, what, (p.saturating_add(len), 1), T::zero()).and_then(|()| {
            let (parameters, inputs) = own.split_at_mut(p);
            let targets = VjpTargets {
                parameters: into.parameters.is_some().then_some(&mut *parameters),
                inputs: into.inputs.is_some().then_some(&mut *inputs),
            };
            self.vjp_into(u, targets)?;
            for (sum, added) in [(into.parameters, &*parameters), (into.inputs, &*inputs)] {
                if let Some(sum) = sum {
                    add(sum, added);
                    check_finite_result(what, sum)?;
                }
            }
            Ok(())
        });
        self.workspace.gradient = own;
        done
    }
}
