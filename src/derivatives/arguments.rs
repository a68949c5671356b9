//! Along what, and with which curvature of the cost.

use crate::examples::Columns;
use crate::scalar::Scalar;
use nalgebra::DMatrixView;

/// A direction in which parameters, inputs or both move: θ̇ of length P, ẋ of n × m.
///
/// Derivation: [(28)](crate::derivation#direction).
///
/// # Example
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Tangent, Network, activation::Identity};
///
/// // a = 1 + 2 x: along θ̇ = (1, 0) it moves by 1, along ẋ = 1 by 2, along both by 3.
/// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
/// let (x, dx) = (DMatrix::repeat(1, 1, 5.0), DMatrix::repeat(1, 1, 1.0));
/// let both = Tangent::of_parameters(&[1.0, 0.0]).and_inputs(&dx);
/// assert_eq!(network.jvp(&x, both)?[0], 3.0);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tangent<'a, T: Scalar> {
    pub(crate) parameters: Option<&'a [T]>,
    pub(crate) inputs: Option<DMatrixView<'a, T>>,
}

impl<'a, T: Scalar> Tangent<'a, T> {
    /// The parameters move, the inputs do not.
    #[must_use]
    pub fn of_parameters(theta: &'a [T]) -> Self {
        Self {
            parameters: Some(theta),
            inputs: None,
        }
    }

    /// The inputs move, the parameters do not.
    #[must_use]
    pub fn of_inputs(x: impl Columns<'a, T>) -> Self {
        Self {
            parameters: None,
            inputs: Some(x.columns_view()),
        }
    }

    /// The inputs move too.
    #[must_use]
    pub fn and_inputs(mut self, x: impl Columns<'a, T>) -> Self {
        self.inputs = Some(x.columns_view());
        self
    }
}

/// Which matrix a Gauss–Newton product is with: (1/m) Σ w BᵀMB, where B is the Jacobian of some outputs of an example with respect to θ and M the second
/// derivative of its cost with respect to these outputs, and the penalty's λ/m on the diagonal.
///
/// Derivation: [(32)](crate::derivation#gauss-newton).
///
/// It is H without the curvature of the network itself: without the terms that hold second derivatives of the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GaussNewton {
    /// B and M at z⁽ᴸ⁾, M = ∂²cost/∂z² (Schraudolph 2002, doi:10.1162/08997660260028683). Positive semidefinite for canonical pairs of cost and activation, and
    /// then near H where the errors are small. Of others M may be indefinite.
    Logits,
    /// B and M at a⁽ᴸ⁾, M = ∂²cost/∂a². Positive semidefinite for every cost of ours; of ½ squared errors the classical (1/m) Σ w AᵀA, A = ∂a⁽ᴸ⁾/∂θ.
    Outputs,
    /// The Fisher information of the model that the cost is −ln p of: M is ∂²cost/∂z² or ∂²cost/∂a² at the targets that the network expects, y = a⁽ᴸ⁾. Always positive semidefinite. For
    /// [`BinaryCrossEntropy`](crate::BinaryCrossEntropy), [`CategoricalCrossEntropy`](crate::CategoricalCrossEntropy), [`SquaredError`](crate::SquaredError)
    /// and [`Poisson`](crate::Poisson); others are not the logarithm of such a model ([`Cost::is_log_likelihood`](crate::Cost::is_log_likelihood)). Of the categorical cross-entropy the outputs have to sum to 1. (Martens 2020, arXiv:1412.1193.)
    Fisher,
}

/// The second derivatives of J, or their Gauss–Newton part: what a second-order method works with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Curvature {
    /// H, as [`hessian_product`](crate::Network::hessian_product): exact; it may be indefinite away from a minimum.
    #[default]
    Hessian,
    /// As [`gauss_newton_product`](crate::Network::gauss_newton_product).
    GaussNewton(GaussNewton),
}
