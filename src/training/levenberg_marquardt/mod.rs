//! Levenberg–Marquardt: damped Gauss–Newton steps by QR decompositions.

mod model;
mod solver;

use crate::error::Error;
use crate::error::ranges::{above_zero, not_negative};

/// Levenberg–Marquardt on all examples at once: each step p solves (G + μ D²) p = −∇J with the
/// Gauss–Newton matrix G of J and an adaptive damping μ.
///
/// Derivation: [(34)](crate::derivation#levenberg-marquardt).
///
/// Use it for small networks of up to a few hundred parameters, and for fits that must be precise.
/// Near a minimum with small errors, it converges like Newton's method, whereas first-order methods
/// converge very slowly. It works with every built-in cost and every convex custom cost. For a
/// canonical pair, G is computed at the logits; otherwise, at the outputs.
///
/// G is never formed, because that would square the condition number. A step solves a least-squares
/// problem in A and r, with G = AᵀA and ∇J = Aᵀr, by QR decompositions. D holds the largest length
/// of each column of A so far, so the units of features and targets do not matter. Features far
/// from 0, such as years or timestamps, add only the rounding error of the outputs. A column that
/// differs from a combination of others by less than 8 √P ε of its length counts as dependent on
/// them. No step is longer than 100 times the larger of ‖D θ‖ and the last step, as with MINPACK's
/// `factor`.
///
/// # Damping
/// ϱ = (J(θ) − J(θ + p))/(½‖A p‖² + μ ‖D p‖²) compares the decrease of J with the model's
/// prediction. A step with ϱ > 0 is accepted, and μ ← μ max(1/10, 1 − (2ϱ − 1)³): μ falls if J
/// decreased by more than half the prediction, and grows otherwise. Every other step is rejected,
/// and μ ← ν μ with ν = 2, 4, 8, … until one is accepted. A step is also rejected if J or its
/// derivatives are not finite at the new point. The undamped step, μ = 0, is tried first if it is
/// at most 10 times as long as the last accepted step. (Madsen, Nielsen, Tingleff, *Methods for
/// Non-Linear Least Squares Problems*, 2004; Moré 1978, doi:10.1007/BFb0067700; Marquardt 1963,
/// doi:10.1137/0111030.)
///
/// # In a run
/// An iteration is an epoch of the [`Trainer`](super::Trainer). It ends with an accepted step, even
/// if others were rejected before it, so J falls with every epoch.
/// [`Record::steps`](super::Record::steps) counts the evaluations of J: one at the start, and one
/// for each step tried.
///
/// The run ends with [`Stop::Converged`](super::Stop::Converged) at a minimum: the gradient or the
/// undamped step is within the [tolerance](Self::tolerance), or the decrease that they predict is
/// below the rounding error of J. It ends with [`Stop::NoDescent`](super::Stop::NoDescent) if no
/// step makes J smaller although the gradient is large, as at a kink of ReLU or of an L1 penalty.
///
/// # Cost
/// An accepted step costs K passes for the Jacobian of the outputs, P² m K multiplications for its
/// QR decomposition (the same number as for G), and about P³ for pivots and damping. A rejected
/// step costs a forward pass and P³/3 multiplications. The memory is a few times P² scalars, plus
/// 2²⁰ scalars for the Jacobians of some examples at a time.
///
/// Custom costs must implement [`Cost::delta_tangent`](crate::Cost::delta_tangent). A custom layer
/// without a [`backward_each`](crate::Layer::backward_each) of its own is computed one example at a
/// time.
///
/// # Example
/// Two tanh units fit the decay y = e^(−x) to three digits everywhere:
/// ```
/// use backprop::activation::{Identity, Tanh};
/// use backprop::nalgebra::DMatrix;
/// use backprop::training::{LevenbergMarquardt, Trainer};
/// use backprop::{Examples, Initialization, Network, Objective, SquaredError, rng};
///
/// let network = Network::<f64>::builder(1).dense(2, Tanh).dense(1, Identity);
/// let mut network = network.initialize(Initialization::GlorotUniform, &mut rng(1))?;
/// let x = DMatrix::from_fn(1, 21, |_, k| k as f64 / 10.0);
/// let y = x.map(|x: f64| (-x).exp());
/// let history = Trainer::new(Objective::new(SquaredError), LevenbergMarquardt::new())
///     .epochs(100)
///     .fit(&mut network, &Examples::new(&x, &y)?)?;
/// assert!((network.forward(&x)? - &y).amax() < 1e-3);
/// let costs: Vec<f64> = history.records().iter().map(|record| record.cost).collect();
/// assert!(costs.windows(2).all(|two| two[1] < two[0]));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct LevenbergMarquardt {
    damping: f64,
    gradient: f64,
    step: f64,
}

impl Default for LevenbergMarquardt {
    fn default() -> Self {
        Self::new()
    }
}

impl LevenbergMarquardt {
    /// Returns a solver with an initial μ of 10⁻³, and tolerances of 10⁻¹⁰ for the gradient and
    /// 10⁻¹⁵ for the step.
    #[must_use]
    pub fn new() -> Self {
        Self {
            damping: 1e-3,
            gradient: 1e-10,
            step: 1e-15,
        }
    }

    /// Sets the initial μ, which must be above 0. Use a smaller value if θ starts near a minimum. μ
    /// has no units, because D accounts for the units of the parameters.
    ///
    /// A μ outside \[ε², 10³⁰] is clamped to this range, where ε is the machine precision of T.
    #[must_use]
    pub fn damping(mut self, factor: f64) -> Self {
        self.damping = factor;
        self
    }

    /// Sets the condition for convergence: cos φ ≤ `gradient`, or |pⱼ| ≤ `step` |θⱼ| for every
    /// entry of the undamped step p. Both must be at least 0.
    ///
    /// φ is the angle between the residual r and the column space of A. cos² φ = ‖Qᵀr‖²/(2 J) with
    /// A = Q R is the part of J that the undamped step p is predicted to remove. (Here, J is
    /// computed with the absolute value of each example's cost, because the Poisson cost may be
    /// negative.) Neither tolerance depends on the units of features and targets.
    ///
    /// For any tolerances, a fit also ends where that prediction is below the rounding error of J,
    /// which is roughly ε (J + √(2J) ‖A‖ ‖θ‖).
    #[must_use]
    pub fn tolerance(mut self, gradient: f64, step: f64) -> Self {
        (self.gradient, self.step) = (gradient, step);
        self
    }

    fn validate(&self) -> Result<(), Error> {
        above_zero::<f64>("the damping", self.damping)?;
        not_negative::<f64>("the tolerance of the gradient", self.gradient)?;
        not_negative::<f64>("the tolerance of the step", self.step)
    }
}
