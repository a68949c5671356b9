//! The arguments of derivatives: a direction, buffers, and the matrix of a second-order method.

use super::check_finite_result;
use crate::columns::Columns;
use crate::error::Error;
use crate::examples::check_length;
use crate::layer::Plan;
use crate::network::job::JobResults;
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DVector};

/// A direction in which parameters, inputs or both move: θ̇ of length P, Ẋ of n × m.
///
/// Derivation: [(28)](crate::derivation#direction).
///
/// # Example
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Tangent, Network, activation::Identity};
///
/// // a = 1 + 2x moves by 1 along θ̇ = (1, 0), by 2 along ẋ = 1, and by 3 along both.
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

/// A direction in which nothing moves.
impl<T: Scalar> Default for Tangent<'_, T> {
    fn default() -> Self {
        Self {
            parameters: None,
            inputs: None,
        }
    }
}

/// A direction of the parameters.
impl<'a, T: Scalar> From<&'a [T]> for Tangent<'a, T> {
    fn from(theta: &'a [T]) -> Self {
        Self::of_parameters(theta)
    }
}

/// A direction of the parameters.
impl<'a, T: Scalar, const N: usize> From<&'a [T; N]> for Tangent<'a, T> {
    fn from(theta: &'a [T; N]) -> Self {
        Self::of_parameters(theta)
    }
}

/// A direction of the parameters.
impl<'a, T: Scalar> From<&'a DVector<T>> for Tangent<'a, T> {
    fn from(theta: &'a DVector<T>) -> Self {
        Self::of_parameters(theta.as_slice())
    }
}

/// A direction of the parameters.
impl<'a, T: Scalar> From<&'a Vec<T>> for Tangent<'a, T> {
    fn from(theta: &'a Vec<T>) -> Self {
        Self::of_parameters(theta)
    }
}

impl<'a, T: Scalar> Tangent<'a, T> {
    /// Creates a direction in which only the parameters move.
    #[must_use]
    pub fn of_parameters(theta: &'a [T]) -> Self {
        Self {
            parameters: Some(theta),
            inputs: None,
        }
    }

    /// Creates a direction in which only the inputs move.
    #[must_use]
    pub fn of_inputs(x: impl Columns<'a, T>) -> Self {
        Self {
            parameters: None,
            inputs: Some(x.columns_view()),
        }
    }

    /// Lets the inputs move too.
    #[must_use]
    pub fn and_inputs(mut self, x: impl Columns<'a, T>) -> Self {
        self.inputs = Some(x.columns_view());
        self
    }
}

/// Buffers for a gradient with respect to the parameters, the inputs or both.
///
/// [`Network::vjp_into`](crate::Network::vjp_into) and other calls write them. A gradient without a
/// buffer is not computed. The default has no buffer. After an error, the contents are unspecified.
///
/// # Example
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{VjpTargets, Network, Workspace, activation::Identity};
///
/// // a = 1 + 2x at x = 5 has ∂a/∂θ = (1, 5) and ∂a/∂x = 2.
/// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
/// let (x, u) = (DMatrix::repeat(1, 1, 5.0), DMatrix::repeat(1, 1, 1.0));
/// let (mut of_theta, mut of_x) = ([0.0; 2], [0.0; 1]);
/// let into = VjpTargets { parameters: Some(&mut of_theta), inputs: Some(&mut of_x) };
/// network.vjp_into(&x, &u, &mut Workspace::new(), into)?;
/// assert_eq!((of_theta, of_x), ([1.0, 5.0], [2.0]));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Debug)]
pub struct VjpTargets<'a, T> {
    /// The buffer for the gradient with respect to θ, of length P.
    pub parameters: Option<&'a mut [T]>,
    /// The buffer for the gradient with respect to X, of n · m entries, column by column.
    pub inputs: Option<&'a mut [T]>,
}

impl<'a, T> VjpTargets<'a, T> {
    /// Takes a buffer for the gradient with respect to the P
    /// [`parameters`](crate::Network::parameters).
    #[must_use]
    pub fn of_parameters(gradient: &'a mut [T]) -> Self {
        Self {
            parameters: Some(gradient),
            inputs: None,
        }
    }

    /// Takes a buffer of n · m entries for the gradient with respect to the inputs, column by
    /// column.
    #[must_use]
    pub fn of_inputs(gradient: &'a mut [T]) -> Self {
        Self {
            parameters: None,
            inputs: Some(gradient),
        }
    }

    /// Adds a buffer for the gradient with respect to the inputs.
    #[must_use]
    pub fn and_inputs(mut self, gradient: &'a mut [T]) -> Self {
        self.inputs = Some(gradient);
        self
    }
}

impl<T: Scalar> VjpTargets<'_, T> {
    /// Checks the lengths of the buffers, for inputs like x, and that X has a derivative if it is
    /// wanted.
    pub(super) fn checked(self, plan: &Plan, x: DMatrixView<'_, T>) -> Result<Self, Error> {
        if let Some(parameters) = &self.parameters {
            let what = "the buffer for the gradient with respect to θ";
            check_length(what, plan.parameters(), parameters.len())?;
        }
        if let Some(inputs) = &self.inputs {
            let what = "the buffer for the gradient with respect to X";
            check_length(what, x.len(), inputs.len())?;
            plan.check_differentiates_inputs()?;
        }
        Ok(self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parameters.is_none() && self.inputs.is_none()
    }

    /// Lends the buffers to a job.
    pub(super) fn results(&mut self) -> JobResults<'_, T> {
        JobResults {
            sums: self.parameters.as_deref_mut(),
            input_delta: self.inputs.as_deref_mut(),
            columns: None,
        }
    }

    /// Checks that all entries are finite.
    pub(super) fn check_finite(&self, what: &'static str) -> Result<(), Error> {
        let mut results = [&self.parameters, &self.inputs].into_iter().flatten();
        results.try_for_each(|result| check_finite_result(what, result))
    }
}

impl<T> Default for VjpTargets<'_, T> {
    fn default() -> Self {
        Self {
            parameters: None,
            inputs: None,
        }
    }
}

/// Selects a Gauss–Newton matrix G = (1/m) (Σ w BᵀMB + λI′).
///
/// B is the Jacobian of the outputs of an example, z⁽ᴸ⁾ or a⁽ᴸ⁾, with respect to θ. M is the second
/// derivative of its cost with respect to the same outputs. λI′ is the penalty.
///
/// Derivation: [(32)](crate::derivation#gauss-newton).
///
/// G is H without the terms that hold second derivatives of the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GaussNewton {
    /// Takes B and M at z⁽ᴸ⁾, with M = ∂²cost/∂z² (Schraudolph 2002,
    /// doi:10.1162/08997660260028683). G is positive semidefinite for canonical pairs of cost and
    /// activation, and close to H if the errors are small. For other pairs M may be indefinite.
    Logits,
    /// Takes B and M at a⁽ᴸ⁾, with M = ∂²cost/∂a². G is positive semidefinite for every built-in
    /// cost. For half the squared error, it is the classical (1/m) Σ w AᵀA with A = ∂a⁽ᴸ⁾/∂θ.
    Outputs,
    /// Selects the Fisher information of the model whose −ln p is the cost. M is ∂²cost/∂z² or
    /// ∂²cost/∂a² at the targets that the network expects, y = a⁽ᴸ⁾. G is always positive
    /// semidefinite. It exists for [`BinaryCrossEntropy`](crate::BinaryCrossEntropy),
    /// [`CategoricalCrossEntropy`](crate::CategoricalCrossEntropy),
    /// [`SquaredError`](crate::SquaredError) and [`Poisson`](crate::Poisson); other costs are not
    /// log-likelihoods ([`Cost::is_log_likelihood`](crate::Cost::is_log_likelihood)). For the
    /// categorical cross-entropy the outputs must sum to 1. (Martens 2020, arXiv:1412.1193.)
    Fisher,
}

/// The matrix that a second-order method works with: the Hessian of J, or a Gauss–Newton matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Curvature {
    /// The exact Hessian H, as in [`hessian_product`](crate::Network::hessian_product). It may be
    /// indefinite away from a minimum.
    #[default]
    Hessian,
    /// A Gauss–Newton matrix G, as in
    /// [`gauss_newton_product`](crate::Network::gauss_newton_product).
    GaussNewton(GaussNewton),
}
