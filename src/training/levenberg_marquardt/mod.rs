//! Levenberg–Marquardt: damped Gauss–Newton steps by QR decompositions.

mod damping;
mod model;
mod problem;

use crate::cost::Cost;
use crate::error::Error;
use crate::examples::Examples;
use crate::kernels::norm;
use crate::layer::Layer;
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::{Scalar, to_f64};
use damping::Damping;
use model::Step;
use nalgebra::DVector;
use problem::Problem;

/// An undamped step is at most this many times as long as the last step taken.
const REACH: f64 = 10.0;

/// A step is at most this many times ‖D θ‖, or the last step: MINPACK's factor.
const LONGEST: f64 = 100.0;

/// Levenberg–Marquardt: each step p solves (G + μ D²) p = −∇J, where G is the Gauss–Newton matrix of J, and μ is adapted.
///
/// Derivation: [(34)](crate::derivation#levenberg-marquardt).
///
/// For small networks, of up to some hundred parameters, and fits that should be exact: near a minimum
/// with small errors it converges like Newton's method, where first-order methods crawl. It is for any
/// cost of ours and any convex one of yours. G is taken at the logits of a canonical pair, else at the
/// outputs.
///
/// G is never formed, because that would square the condition number: a step is a least-squares problem
/// in A with G = AᵀA and r with ∇J = Aᵀr, solved by QR decompositions. D holds the largest length that
/// each column of A has had, so that the units of features and targets do not matter. Features far from
/// 0, such as years or timestamps, cost only the rounding of the outputs. A column that differs from a
/// combination of others by less than 8 √P ε of its length counts as dependent on them. No step is longer
/// than 100 times ‖D θ‖ or the last step, as with MINPACK's `factor`.
///
/// # Damping
/// With ϱ = (J(θ) − J(θ + p))/(½‖A p‖² + μ ‖D p‖²), what J gained over what the model promised, a step
/// with ϱ > 0 is taken and μ ← μ max(1/10, 1 − (2ϱ − 1)³): less after a gain of more than half the
/// promise, more after one of less. Otherwise the step is refused and μ ← ν μ, with ν = 2, 4, 8, … until
/// one is taken. So is a step after which J or its derivatives are not finite. The undamped step, μ = 0, is
/// tried first where it is at most 10 times as long as the last that was taken. (Madsen, Nielsen, Tingleff,
/// *Methods for Non-Linear Least Squares Problems*, 2004; Moré 1978, doi:10.1007/BFb0067700; Marquardt
/// 1963, doi:10.1137/0111030.)
///
/// # Cost
/// A step that is taken costs the Jacobian of the outputs in K passes, P² m K multiplications for its QR
/// decomposition, which is as many as G takes, and about P³ for pivots and damping. A refused step costs a forward
/// pass and P³/3. The memory is a few times P² scalars, and 2²⁰ for the Jacobians of some examples at a time.
///
/// Layers of yours need [`Layer::backward_per_example`](crate::Layer::backward_per_example), costs [`Cost::delta_tangent`](crate::Cost::delta_tangent).
///
/// # Example
/// The decay y = e^(−x) by two tanh units, to three digits everywhere:
/// ```
/// use backprop::activation::{Identity, Tanh};
/// use backprop::nalgebra::DMatrix;
/// use backprop::training::LevenbergMarquardt;
/// use backprop::{Examples, Initialization, Network, Objective, SquaredError, rng};
///
/// let network = Network::<f64>::builder(1).dense(2, Tanh).dense(1, Identity);
/// let mut network = network.initialize(Initialization::GlorotUniform, &mut rng(1))?;
/// let x = DMatrix::from_fn(1, 21, |_, k| k as f64 / 10.0);
/// let y = x.map(|x: f64| (-x).exp());
/// let fit = LevenbergMarquardt::new().fit(&mut network, &Examples::new(&x, &y)?, &Objective::new(SquaredError))?;
/// assert!((network.forward(&x)? - &y).amax() < 1e-3);
/// assert_eq!(fit.history.len() as u64, fit.taken + 1);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[must_use]
pub struct LevenbergMarquardt {
    iterations: u64,
    damping: f64,
    gradient: f64,
    step: f64,
}

/// What a [`LevenbergMarquardt`] came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fit<T> {
    /// J at the end.
    pub cost: T,
    /// Steps that were tried.
    pub iterations: u64,
    /// How many of them were taken: the others would have made J larger, and μ grew instead.
    pub taken: u64,
    /// Whether θ is a minimum: the gradient or the undamped step is within the
    /// [tolerance](LevenbergMarquardt::tolerance), or the decrease they predict is below the rounding of
    /// J. At a kink (of ReLU, or of an L1 penalty) a fit may end without converging.
    pub converged: bool,
    /// J at the beginning and after each step that was taken.
    pub history: Vec<T>,
}

impl Default for LevenbergMarquardt {
    fn default() -> Self {
        Self::new()
    }
}

impl LevenbergMarquardt {
    /// At most 100 steps, the first with μ = 10⁻³, and tolerances of 10⁻¹⁰ for the gradient and 10⁻¹⁵ for the step.
    pub fn new() -> Self {
        Self {
            iterations: 100,
            damping: 1e-3,
            gradient: 1e-10,
            step: 1e-15,
        }
    }

    /// Sets the most steps tried.
    pub fn iterations(mut self, most: u64) -> Self {
        self.iterations = most;
        self
    }

    /// The first μ, above 0: smaller the nearer θ is to a minimum. It has no units, because D has those of the parameters.
    ///
    /// A μ outside of \[ε², 10³⁰], with the rounding ε of T, is the nearest within.
    pub fn damping(mut self, factor: f64) -> Self {
        self.damping = factor;
        self
    }

    /// Sets convergence: cos φ ≤ `gradient`, or |pⱼ| ≤ `step` |θⱼ| for every entry of the undamped
    /// step p. Both are at least 0.
    ///
    /// φ is the angle between the residual r and the space of A's columns: cos² φ = ‖Qᵀr‖²/(2 J) with A = Q R, the
    /// share of J that the undamped step p promises to take away. (J is taken without the signs of the examples' costs
    /// here, which Poisson's may have.) So neither depends on the units of features and targets.
    ///
    /// Whatever the tolerances, a fit also ends where that promise is less than the rounding of J, ε (J + √(2J) ‖A‖ ‖θ‖) in short.
    pub fn tolerance(mut self, gradient: f64, step: f64) -> Self {
        (self.gradient, self.step) = (gradient, step);
        self
    }

    fn validate(&self) -> Result<(), Error> {
        let refused = |name, value, expected| {
            Err(Error::Hyperparameter {
                name,
                value,
                expected,
            })
        };
        if !(self.damping > 0.0 && self.damping.is_finite()) {
            return refused("the damping", self.damping, "a finite number above 0");
        }
        for (name, value) in [
            ("the tolerance of the gradient", self.gradient),
            ("the tolerance of the step", self.step),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return refused(name, value, "finite and at least 0");
            }
        }
        Ok(())
    }

    /// Moves the network's parameters to a minimum of J near by. J never grows: a step that would make it larger, or anything not finite, is refused.
    ///
    /// # Errors
    /// - [`Error::Hyperparameter`] if a setting is out of its range.
    /// - [`Error::SingleOutput`] for one output with softmax or the categorical cross-entropy.
    /// - Those of [`Network::cost`] and of [`Network::gauss_newton_matrix`]. The network has the parameters of the last step without an error then, or its first.
    pub fn fit<T: Scalar, L: Layer<T>, C: Cost<T>>(
        &self,
        network: &mut Network<T, L>,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<Fit<T>, Error> {
        self.validate()?;
        network.check_classes(&objective.cost)?;
        let mut problem = Problem::new(network, examples, objective);
        let mut here = problem.look()?;
        let mut fit = Fit {
            cost: here.cost,
            iterations: 0,
            taken: 0,
            converged: false,
            history: vec![here.cost],
        };
        let mut damping = Damping::new::<T>(self.damping);
        let mut scale = DVector::zeros(problem.network.parameters());
        let mut last = 0.0;
        loop {
            here.model.widen(&mut scale);
            let theta = problem.network.theta();
            let size = to_f64(norm(scale.component_mul(theta).as_slice()));
            let mut newton = here.model.newton(&scale);
            let slope = here.model.slope();
            let is_small = |step: &Step<T>| {
                let mut entries = step.p.iter().zip(theta.iter());
                entries.all(|(p, theta)| to_f64(p.abs()) <= self.step * to_f64(theta.abs()))
            };
            if slope <= self.gradient * here.residual() || newton.as_ref().is_some_and(is_small) {
                fit.converged = true;
                return Ok(fit);
            }
            let rounding = here.rounding(theta);
            let settled = slope <= rounding;
            let mut near = newton.take_if(|step| settled || step.length <= REACH * last);
            let mut refused = false;
            let there = loop {
                if fit.iterations == self.iterations {
                    return Ok(fit);
                }
                let damped = near.is_none();
                let step = match near.take() {
                    Some(step) => Some(step),
                    None if settled => None,
                    None => damping.step(&here.model, &scale, (rounding, refused))?,
                };
                let Some(step) = step.or_else(|| newton.take().filter(|_| !refused)) else {
                    // No short step predicts a decrease above the rounding of J. That is a minimum,
                    // unless the gradient is larger (a kink) or the undamped step predicts far more
                    // (a plateau).
                    let small = here.model.gradient() <= rounding && slope <= 10.0 * rounding;
                    fit.converged = settled || small;
                    return Ok(fit);
                };
                fit.iterations += 1;
                // The columns of saturated units are almost 0, so a step that is short in D can be
                // huge in θ.
                let fits = size == 0.0 || step.length <= LONGEST * size.max(last);
                let there = match fits {
                    true => problem.try_step(&step.p, here.cost)?,
                    false => None,
                };
                if let Some(there) = there {
                    let gain = to_f64(here.cost - there.cost);
                    damping.taken(2.0 * gain / step.promise.powi(2));
                    last = step.length;
                    break there;
                }
                if damped {
                    damping.refused();
                    refused = true;
                }
            };
            here = there;
            fit.taken += 1;
            fit.cost = here.cost;
            fit.history.push(fit.cost);
        }
    }
}
