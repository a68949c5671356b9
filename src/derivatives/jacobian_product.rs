//! Products with the Jacobian of the outputs: from the right, from the left, and with its normal
//! matrix.

use super::product::{Operator, Product};
use super::{Tangent, VjpTargets, check_finite_result};
use crate::allocation::allocate;
use crate::columns::Columns;
use crate::cost::AnyCost;
use crate::error::Error;
use crate::examples::{check_finite, check_length};
use crate::gradient::zeros;
use crate::layer::Layer;
use crate::network::Network;
use crate::network::job::JobResults;
use crate::network::pass::{Pass, Place, Seed};
use crate::scalar::Scalar;
use crate::workspace::Workspace;
use nalgebra::{DMatrix, DMatrixView, DVector};

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns the Jacobian–vector product of every example, K × m: how the outputs move along a
    /// direction.
    ///
    /// ȧ⁽ᴸ⁾ = (∂a⁽ᴸ⁾/∂θ) θ̇ + (∂a⁽ᴸ⁾/∂x) ẋ. Unlike `jax.jvp`, the call does not return the outputs.
    /// After [`jvp_into`](Self::jvp_into), [`Workspace::output`] does.
    ///
    /// Derivation: [(29)](crate::derivation#forward-tangent).
    ///
    /// # Errors
    /// - The errors of [`forward`](Self::forward).
    /// - [`Error::Length`], [`Error::Shape`] or [`Error::NonFinite`] unless θ̇ has P finite entries
    ///   and ẋ has n × m.
    /// - [`Error::Unsupported`] if a custom layer or activation has no tangents.
    /// - [`Error::NonFinite`] if the result overflows.
    ///
    /// # Example
    /// a = σ(θ₁ x) has ∂a/∂θ₁ = x/4 at θ₁ = 0:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Tangent, Network, activation::Sigmoid};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Sigmoid).zeros()?;
    /// let x = DMatrix::from_row_slice(1, 2, &[1.0, 8.0]);
    /// let change = network.jvp(&x, Tangent::of_parameters(&[0.0, 1.0]))?;
    /// assert_eq!(change.as_slice(), &[0.25, 2.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias = "pushforward")]
    pub fn jvp<'a, 'b>(
        &self,
        x: impl Columns<'a, T>,
        direction: impl Into<Tangent<'b, T>>,
    ) -> Result<DMatrix<T>, Error> {
        let x = x.columns_view();
        let shape = (self.outputs(), x.ncols());
        let mut tangent = allocate("the Jacobian–vector product", shape, T::zero())?;
        self.jvp_into(x, direction, &mut Workspace::for_one_call(), &mut tangent)?;
        Ok(DMatrix::from_vec(shape.0, shape.1, tangent))
    }

    /// Writes [`jvp`](Self::jvp) into the caller's buffer of K · m entries, column by column.
    ///
    /// # Errors
    /// - The errors of [`jvp`](Self::jvp).
    /// - [`Error::Length`] if `tangent` does not have K · m entries.
    pub fn jvp_into<'a, 'b>(
        &self,
        x: impl Columns<'a, T>,
        direction: impl Into<Tangent<'b, T>>,
        workspace: &mut Workspace<T>,
        tangent: &mut [T],
    ) -> Result<(), Error> {
        let (x, direction) = (x.columns_view(), direction.into());
        self.check_inputs(x)?;
        let expected = self.outputs().saturating_mul(x.ncols());
        check_length("the tangent", expected, tangent.len())?;
        self.check_tangent(("θ̇", direction), 1, x)?;
        self.jvp_at(self.theta().as_slice(), x, direction, workspace, tangent)
    }

    /// [`jvp_into`](Self::jvp_into) at any θ, for arguments already checked.
    pub(crate) fn jvp_at(
        &self,
        theta: &[T],
        x: DMatrixView<'_, T>,
        direction: Tangent<'_, T>,
        workspace: &mut Workspace<T>,
        tangent: &mut [T],
    ) -> Result<(), Error> {
        let product = Product {
            chain: self.chain(self.point_at(theta)),
            x,
            operator: Operator::<_, AnyCost>::Outputs,
            along: direction,
        };
        let results = JobResults {
            columns: Some(&mut *tangent),
            ..JobResults::none()
        };
        product.run(workspace, results)?;
        check_finite_result("the Jacobian–vector product", tangent)
    }

    /// Returns the vector–Jacobian products with the cotangent `u`, K × m.
    ///
    /// The first is Σₖ Aₖᵀ uₖ of length P, with Aₖ = ∂a⁽ᴸ⁾/∂θ. The second is (∂a⁽ᴸ⁾/∂x)ᵀ uₖ for
    /// every example, n × m. Column k of `u` takes the place of ∂costₖ/∂a⁽ᴸ⁾, so a loss computed
    /// elsewhere enters here. Neither weights nor 1/m are applied.
    ///
    /// Derivation: [(13)](crate::derivation#recurrence-general).
    ///
    /// # Errors
    /// - The errors of [`forward`](Self::forward).
    /// - [`Error::Shape`] or [`Error::NonFinite`] unless the cotangent has K × m finite entries
    ///   (the real parts of [dual numbers](crate::Scalar#dual-numbers)).
    /// - [`Error::NonFinite`] if the result overflows.
    ///
    /// # Example
    /// a = θ₀ + θ₁ x with θ₁ = 2 and x = 5 takes u = 3 back to 3 (1, x) = (3, 15) and to 2 · 3 = 6:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Network, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
    /// let (x, u) = (DMatrix::repeat(1, 1, 5.0), DMatrix::repeat(1, 1, 3.0));
    /// let (parameters, inputs) = network.vjp(&x, &u)?;
    /// assert_eq!(parameters.as_slice(), &[3.0, 15.0]);
    /// assert_eq!(inputs[0], 6.0);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias = "pullback")]
    pub fn vjp<'a, 'b>(
        &self,
        x: impl Columns<'a, T>,
        cotangent: impl Columns<'b, T>,
    ) -> Result<(DVector<T>, DMatrix<T>), Error> {
        let (x, cotangent) = (x.columns_view(), cotangent.columns_view());
        let mut parameters = zeros(self.parameters())?;
        let shape = x.shape();
        let mut inputs = allocate("the vector–Jacobian product", shape, T::zero())?;
        let wanted =
            VjpTargets::of_parameters(parameters.as_mut_slice()).and_inputs(&mut inputs[..]);
        self.vjp_into(x, cotangent, &mut Workspace::for_one_call(), wanted)?;
        Ok((parameters, DMatrix::from_vec(shape.0, shape.1, inputs)))
    }

    /// Writes [`vjp`](Self::vjp) into the caller's buffers.
    ///
    /// Computes only the results that have a buffer. If `into` has no buffer, the call checks the
    /// arguments and makes no pass.
    ///
    /// # Errors
    /// - The errors of [`vjp`](Self::vjp).
    /// - [`Error::Length`] if a buffer has the wrong length.
    ///
    /// # Example
    /// [A loss that is not a `Cost`](crate::derivatives#your-loss-comes-from-elsewhere).
    pub fn vjp_into<'a, 'b>(
        &self,
        x: impl Columns<'a, T>,
        cotangent: impl Columns<'b, T>,
        workspace: &mut Workspace<T>,
        into: VjpTargets<'_, T>,
    ) -> Result<(), Error> {
        let (x, cotangent) = (x.columns_view(), cotangent.columns_view());
        self.check_inputs(x)?;
        self.check_cotangent(cotangent, x.ncols())?;
        let mut into = into.checked(self.layout().plan(), x)?;
        if into.is_empty() {
            return check_finite("X", x);
        }
        let cut = self.cut(x.ncols(), workspace.training.is_some());
        let pass = Pass {
            place: Place::whole(cut),
            chain: self.chain(self.point()),
            x,
            seed: Seed::<_, AnyCost>::Cotangent(cotangent),
            divisor: T::one(),
        };
        pass.run(workspace, into.results())?;
        into.check_finite("the vector–Jacobian product")
    }

    /// Checks the cotangent of m examples.
    pub(super) fn check_cotangent(
        &self,
        cotangent: DMatrixView<'_, T>,
        m: usize,
    ) -> Result<(), Error> {
        let expected = (self.outputs(), m);
        if cotangent.shape() != expected {
            return Err(Error::Shape {
                what: "the cotangent",
                expected,
                found: cotangent.shape(),
            });
        }
        check_finite("the cotangent", cotangent)
    }

    /// Returns the derivative of the vector–Jacobian products along a direction, with the cotangent
    /// `u` constant.
    ///
    /// These are ∂/∂ε of Σₖ Aₖᵀ uₖ, of length P, and of (∂a⁽ᴸ⁾/∂x)ᵀ uₖ, n × m, at θ + εθ̇ and
    /// X + εẊ. A loss that contains a derivative with respect to X needs the first: for an energy
    /// E = a with the force f = −∂E/∂x, the gradient of Σ fᵀ v with respect to θ is minus the
    /// result for u = 1 and Ẋ = v.
    ///
    /// Derivation: [(30)](crate::derivation#backward-tangent).
    ///
    /// # Errors
    /// Returns the errors of [`jvp`](Self::jvp) and [`vjp`](Self::vjp).
    ///
    /// # Example
    /// a = θ₀ + θ₁ x has ∂a/∂θ = (1, x), which changes by (0, 1) if x grows by 1, and ∂a/∂x = θ₁,
    /// which changes by 1 if θ₁ does:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Network, Tangent, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
    /// let (x, one) = (DMatrix::repeat(1, 1, 5.0), DMatrix::repeat(1, 1, 1.0));
    /// let (of_theta, of_x) = network.vjp_along(&x, &one, Tangent::of_inputs(&one))?;
    /// assert_eq!((of_theta.as_slice(), of_x[0]), (&[0.0, 1.0][..], 0.0));
    /// let (of_theta, of_x) = network.vjp_along(&x, &one, &[0.0, 1.0])?;
    /// assert_eq!((of_theta.as_slice(), of_x[0]), (&[0.0, 0.0][..], 1.0));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("double_backward", "mixed_derivative", "gradient_penalty"))]
    pub fn vjp_along<'a, 'b, 'c>(
        &self,
        x: impl Columns<'a, T>,
        cotangent: impl Columns<'b, T>,
        direction: impl Into<Tangent<'c, T>>,
    ) -> Result<(DVector<T>, DMatrix<T>), Error> {
        let (x, cotangent) = (x.columns_view(), cotangent.columns_view());
        let mut parameters = zeros(self.parameters())?;
        let (n, m) = x.shape();
        let mut inputs = allocate("the vector–Jacobian product", (n, m), T::zero())?;
        let into = VjpTargets::of_parameters(parameters.as_mut_slice()).and_inputs(&mut inputs);
        let workspace = &mut Workspace::for_one_call();
        self.vjp_along_into(x, cotangent, direction, workspace, into)?;
        Ok((parameters, DMatrix::from_vec(n, m, inputs)))
    }

    /// Writes [`vjp_along`](Self::vjp_along) into the caller's buffers.
    ///
    /// # Errors
    /// - The errors of [`vjp_along`](Self::vjp_along).
    /// - [`Error::Length`] if a buffer has the wrong length.
    pub fn vjp_along_into<'a, 'b, 'c>(
        &self,
        x: impl Columns<'a, T>,
        cotangent: impl Columns<'b, T>,
        direction: impl Into<Tangent<'c, T>>,
        workspace: &mut Workspace<T>,
        into: VjpTargets<'_, T>,
    ) -> Result<(), Error> {
        let (x, cotangent) = (x.columns_view(), cotangent.columns_view());
        let direction = direction.into();
        self.check_inputs(x)?;
        self.check_cotangent(cotangent, x.ncols())?;
        self.check_tangent(("θ̇", direction), 1, x)?;
        let mut into = into.checked(self.layout().plan(), x)?;
        if into.is_empty() {
            return check_finite("X", x);
        }
        let product = Product {
            chain: self.chain(self.point()),
            x,
            operator: Operator::<_, AnyCost>::Pullback(cotangent),
            along: direction,
        };
        product.run(workspace, into.results())?;
        into.check_finite("the derivative of the vector–Jacobian product")
    }

    /// Returns Σₖ AₖᵀAₖ v, the normal matrix of least squares times a vector.
    ///
    /// Aₖ = ∂a⁽ᴸ⁾/∂θ is the K × P Jacobian of the outputs of example k. The sum uses neither
    /// targets nor weights, and is not divided by m.
    ///
    /// Derivation: [(32)](crate::derivation#gauss-newton).
    ///
    /// # Errors
    /// Returns the errors of [`jvp`](Self::jvp).
    ///
    /// # Example
    /// a = θ₀ + 3 θ₁ has AᵀA = \[1 3; 3 9]:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Network, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[0.5, 2.0])?;
    /// let product = network.gram_product(&DMatrix::repeat(1, 1, 3.0), &[1.0, 1.0])?;
    /// assert_eq!(product.as_slice(), &[4.0, 12.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn gram_product<'a>(&self, x: impl Columns<'a, T>, v: &[T]) -> Result<DVector<T>, Error> {
        let mut product = zeros(self.parameters())?;
        self.gram_product_into(x, v, &mut Workspace::for_one_call(), product.as_mut_slice())?;
        Ok(product)
    }

    /// Writes [`gram_product`](Self::gram_product) into the caller's buffer, for one vector or
    /// several.
    ///
    /// `v` and `product` are laid out as for [`hessian_product_into`](Self::hessian_product_into).
    ///
    /// # Errors
    /// - The errors of [`gram_product`](Self::gram_product).
    /// - [`Error::Length`] if `product` is not as long as `v`.
    pub fn gram_product_into<'a>(
        &self,
        x: impl Columns<'a, T>,
        v: &[T],
        workspace: &mut Workspace<T>,
        product: &mut [T],
    ) -> Result<(), Error> {
        let x = x.columns_view();
        self.check_inputs(x)?;
        self.check_directions(v.into(), x, product)?;
        let pass = Product {
            chain: self.chain(self.point()),
            x,
            operator: Operator::<_, AnyCost>::Gram,
            along: v.into(),
        };
        let results = JobResults {
            sums: Some(&mut *product),
            ..JobResults::none()
        };
        pass.run(workspace, results)?;
        check_finite_result("the product with AᵀA", product)
    }
}
