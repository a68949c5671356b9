//! Products with the Hessian of J, and with its Gauss–Newton part.

use super::product::{Operator, Product};
use super::{Curvature, GaussNewton, Tangent, finish};
use crate::cost::Cost;
use crate::error::{Error, unsupported};
use crate::examples::Examples;
use crate::gradient::zeros;
use crate::layer::Layer;
use crate::network::Network;
use crate::network::job::JobResults;
use crate::objective::Objective;
use crate::scalar::Scalar;
use crate::workspace::Workspace;
use nalgebra::DVector;

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns H v, the Hessian of J times a vector.
    ///
    /// The product is the exact change of ∇J along v, including the penalty. H itself is never
    /// formed. v has P entries, or is a [`Tangent`], which may also move X. With ẋ alone, the
    /// result is ∂/∂ε ∇J at X + εẊ. The gradient of a penalty on ∂J/∂X needs this.
    ///
    /// Derivation: [(31)](crate::derivation#hessian-product). (The R-operator: Pearlmutter 1994,
    /// doi:10.1162/neco.1994.6.1.147.)
    ///
    /// # Errors
    /// - The errors of [`backprop`](Self::backprop).
    /// - [`Error::Length`], [`Error::Shape`] or [`Error::NonFinite`] unless `v` consists of P
    ///   finite numbers, and ẋ of n × m.
    /// - [`Error::Unsupported`] if a custom layer, activation or cost has no tangents.
    /// - [`Error::NonFinite`] if the product overflows.
    ///
    /// # Example
    /// J = ½(θ₀ + 3 θ₁ − y)² has H = \[1 3; 3 9]:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[0.5, 2.0])?;
    /// let (x, y) = (DMatrix::repeat(1, 1, 3.0), DMatrix::repeat(1, 1, 1.0));
    /// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
    /// let product = network.hessian_product(&examples, &objective, &[1.0, 1.0])?;
    /// assert_eq!(product.as_slice(), &[4.0, 12.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias = "hvp")]
    pub fn hessian_product<'v, C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        v: impl Into<Tangent<'v, T>>,
    ) -> Result<DVector<T>, Error> {
        let mut product = zeros(self.parameters())?;
        let to = product.as_mut_slice();
        self.hessian_product_into(examples, objective, v, &mut Workspace::for_one_call(), to)?;
        Ok(product)
    }

    /// Writes [`hessian_product`](Self::hessian_product) into the caller's buffer, for one vector
    /// or several.
    ///
    /// Several vectors are stored in sequence and share one forward pass: `v` and `product`
    /// have r · P entries, r ≥ 1.
    ///
    /// # Errors
    /// - The errors of [`hessian_product`](Self::hessian_product).
    /// - [`Error::Length`] if `product` is not as long as `v`.
    pub fn hessian_product_into<'v, C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        v: impl Into<Tangent<'v, T>>,
        workspace: &mut Workspace<T>,
        product: &mut [T],
    ) -> Result<(), Error> {
        let at = (self.theta().as_slice(), Curvature::Hessian);
        self.curvature_product_at(at, (examples, objective), v.into(), workspace, product)
    }

    /// Returns a Gauss–Newton product G v, including the penalty.
    ///
    /// G = (1/m) (Σ w BᵀMB + λI′) is H without the curvature of the network itself. [`GaussNewton`]
    /// selects B and M.
    ///
    /// Derivation: [(32)](crate::derivation#gauss-newton).
    ///
    /// # Errors
    /// - The errors of [`hessian_product`](Self::hessian_product).
    /// - [`Error::Unsupported`] for [`GaussNewton::Fisher`] if the cost is not a log-likelihood,
    ///   and for [`GaussNewton::Logits`] if the last layer does not [keep
    ///   z](crate::layer::Plan::z).
    /// - [`Error::Output`] if an output is outside the domain in which the curvature of the cost is
    ///   defined.
    ///
    /// # Example
    /// One sigmoid unit at θ = 0 with the cross-entropy has M = a(1 − a) = ¼ and G = ¼ \[1 x]ᵀ\[1
    /// x]:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::activation::Sigmoid;
    /// use backprop::{BinaryCrossEntropy, Examples, GaussNewton, Network, Objective};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Sigmoid).zeros()?;
    /// let (x, y) = (DMatrix::repeat(1, 1, 2.0), DMatrix::repeat(1, 1, 1.0));
    /// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(BinaryCrossEntropy));
    /// let (at, v) = (GaussNewton::Logits, [0.0, 1.0]);
    /// let product = network.gauss_newton_product(&examples, &objective, at, &v)?;
    /// assert_eq!(product.as_slice(), &[0.5, 1.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn gauss_newton_product<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        at: GaussNewton,
        v: &[T],
    ) -> Result<DVector<T>, Error> {
        let mut product = zeros(self.parameters())?;
        let to = product.as_mut_slice();
        let workspace = &mut Workspace::for_one_call();
        self.gauss_newton_product_into(examples, objective, (at, v), workspace, to)?;
        Ok(product)
    }

    /// Writes [`gauss_newton_product`](Self::gauss_newton_product) into the caller's buffer, for
    /// one vector or several.
    ///
    /// `v` and `product` are laid out as for [`hessian_product_into`](Self::hessian_product_into).
    ///
    /// # Errors
    /// - The errors of [`gauss_newton_product`](Self::gauss_newton_product).
    /// - [`Error::Length`] if `product` is not as long as `v`.
    pub fn gauss_newton_product_into<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        (at, v): (GaussNewton, &[T]),
        workspace: &mut Workspace<T>,
        product: &mut [T],
    ) -> Result<(), Error> {
        let at = (self.theta().as_slice(), Curvature::GaussNewton(at));
        self.curvature_product_at(at, (examples, objective), v.into(), workspace, product)
    }

    /// Computes the product with a curvature at any θ.
    pub(crate) fn curvature_product_at<C: Cost<T>>(
        &self,
        (theta, curvature): (&[T], Curvature),
        (examples, objective): (&Examples<'_, T>, &Objective<C>),
        v: Tangent<'_, T>,
        workspace: &mut Workspace<T>,
        product: &mut [T],
    ) -> Result<(), Error> {
        objective.validate(self.layout())?;
        let (p, given) = (self.parameters().max(1), (examples, &objective.cost));
        self.curvature_sums_at((theta, curvature), given, v, workspace, product)?;
        let what = "the product with the curvature";
        finish(what, examples.weight, product, |product| {
            let v = v.parameters.unwrap_or_default();
            for (v, product) in v.chunks_exact(p).zip(product.chunks_exact_mut(p)) {
                objective.penalty.add_curvature(self.layout(), v, product);
            }
        })
    }

    /// Computes the product with the curvature of Σ w cost, without the penalty and not divided by
    /// m.
    pub(crate) fn curvature_sums_at<C: Cost<T>>(
        &self,
        (theta, curvature): (&[T], Curvature),
        (examples, cost): (&Examples<'_, T>, &C),
        v: Tangent<'_, T>,
        workspace: &mut Workspace<T>,
        product: &mut [T],
    ) -> Result<(), Error> {
        let operator = match curvature {
            Curvature::Hessian => Operator::Hessian(examples, cost),
            Curvature::GaussNewton(at) => Operator::GaussNewton(examples, cost, at),
        };
        if let Curvature::GaussNewton(at) = curvature {
            check_curvature::<T, L, C>(self, cost, at)?;
        }
        self.check_directions(v, examples.x, product)?;
        self.check_examples(examples, cost)?;
        let pass = Product {
            chain: self.chain(self.point_at(theta)),
            x: examples.x,
            operator,
            along: v,
        };
        let results = JobResults {
            sums: Some(product),
            ..JobResults::none()
        };
        pass.run(workspace, results)
    }
}

/// Checks that the cost and the last layer provide this Gauss–Newton product.
pub(super) fn check_curvature<T: Scalar, L: Layer<T>, C: Cost<T>>(
    network: &Network<T, L>,
    cost: &C,
    at: GaussNewton,
) -> Result<(), Error> {
    let mut heads = network.layout().plan().heads.iter();
    let keeps_z = heads.all(|head| head.z.is_some());
    match at {
        GaussNewton::Fisher if !cost.is_log_likelihood() => {
            Err(unsupported::<C>("Cost::is_log_likelihood"))
        }
        GaussNewton::Logits if !keeps_z => Err(unsupported::<L>("Plan::z")),
        _ => Ok(()),
    }
}
