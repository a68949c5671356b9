//! Levenberg–Marquardt: damped Gauss–Newton steps by their normal equations.

use crate::cost::Cost;
use crate::derivatives::GaussNewton;
use crate::error::Error;
use crate::examples::Examples;
use crate::gradient::zeros;
use crate::kernels::{all_finite, largest, norm};
use crate::layer::Layer;
use crate::layout::allocate;
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::{Scalar, real, to_f64};
use crate::workspace::Workspace;
use nalgebra::{Cholesky, DMatrix, DVector};

/// Levenberg–Marquardt: each step p solves (G + μ I) p = −∇J by Cholesky, where G is the Gauss–Newton matrix of J, and μ is adapted.
///
/// Derivation: [(34)](crate::derivation#levenberg-marquardt).
///
/// For small networks, of up to some hundred parameters, and fits that should be exact: near a minimum with small errors it converges like Newton's method, where first-order
/// methods crawl. A step costs the Jacobian of the outputs in K passes, P² m K multiplications for G, and P³/3 for Cholesky. It is for any cost of ours and any convex one of yours; of a canonical
/// pair G is taken at the logits, else at the outputs. μ follows the ratio of what J has gained to what the quadratic model promised (Madsen, Nielsen, Tingleff, *Methods for Non-Linear Least
/// Squares Problems*, 2004; Marquardt 1963, doi:10.1137/0111030).
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
    /// Steps that were computed; the last of them is not tried if it is smaller than asked for.
    pub iterations: u64,
    /// How many of them were taken: the others would have made J larger, and μ grew instead.
    pub taken: u64,
    /// Whether the gradient became smaller than asked for, or a step did that no refused one had shortened. At a kink (of ReLU, of an L1 penalty) a fit may end without.
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
    /// At most 100 steps, the first with μ = 10⁻³ max G, until the largest entry of ∇J is below 10⁻¹⁰ or a step is below 10⁻¹⁰ of θ.
    pub fn new() -> Self {
        Self {
            iterations: 100,
            damping: 1e-3,
            gradient: 1e-10,
            step: 1e-10,
        }
    }

    /// At most so many steps are tried.
    pub fn iterations(mut self, most: u64) -> Self {
        self.iterations = most;
        self
    }

    /// The first μ, relative to the largest entry on the diagonal of G: above 0; smaller the nearer θ is to a minimum.
    pub fn damping(mut self, factor: f64) -> Self {
        self.damping = factor;
        self
    }

    /// Converged when the largest entry of ∇J is below `gradient`, or ‖p‖ below `step` (‖θ‖ + `step`); both at least 0.
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

    /// Moves the network's parameters to a minimum of J near by. J never grows: what would make it larger, or not finite, is not taken.
    ///
    /// # Errors
    /// - [`Error::Hyperparameter`] if a setting is out of its range.
    /// - [`Error::SingleOutput`] for one output with softmax or the categorical cross-entropy.
    /// - Those of [`Network::gauss_newton_matrix`]. The network has the parameters of the last step without an error then, or its first.
    pub fn fit<T: Scalar, L: Layer<T>, C: Cost<T>>(
        &self,
        network: &mut Network<T, L>,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<Fit<T>, Error> {
        self.validate()?;
        network.check_classes(&objective.cost)?;
        let p = network.parameters();
        let at = match network.is_canonical(&objective.cost) {
            true => GaussNewton::Logits,
            false => GaussNewton::Outputs,
        };
        let mut workspace = Workspace::new();
        let entries = allocate("the Gauss–Newton matrix", (p, p), T::zero())?;
        let mut matrix = DMatrix::from_vec(p, p, entries);
        let mut gradient = zeros(p)?;
        let to = gradient.as_mut_slice();
        let mut cost = network
            .gradient_into(examples, objective, &mut workspace, to)?
            .total();
        let to = matrix.as_mut_slice();
        network.gauss_newton_matrix_into(examples, objective, at, &mut workspace, to)?;
        // Where no entry has a curvature, as for Huber's cost far away, any damping gives a step of gradient descent.
        let curvature = Some(largest(matrix.diagonal().as_slice())).filter(|&c| c > T::zero());
        let curvature = curvature.unwrap_or(T::one());
        // Below this the damping would be lost in rounding, or could become 0, from where it never grew.
        let least = T::default_epsilon() * T::default_epsilon() * curvature;
        let mut mu = (real::<T>(self.damping) * curvature).max(least);
        let mut factor = 2.0;
        let mut fit = Fit {
            cost,
            iterations: 0,
            taken: 0,
            converged: false,
            history: vec![cost],
        };
        while fit.iterations < self.iterations && mu.is_finite() {
            if to_f64(largest(gradient.as_slice())) <= self.gradient {
                fit.converged = true;
                break;
            }
            fit.iterations += 1;
            let Some(step) = damped_step(&matrix, &gradient, mu) else {
                (mu, factor) = ((mu * real(factor)).max(least), 2.0 * factor);
                continue;
            };
            let size = to_f64(norm(step.as_slice()));
            if size <= self.step * (to_f64(norm(network.theta().as_slice())) + self.step) {
                // A step that is small because larger ones were refused is none of convergence.
                fit.converged = factor <= 2.0;
                break;
            }
            let before = network.theta().clone();
            let theta = &before + &step;
            // What the quadratic model of J promises: −pᵀ∇J − ½ pᵀGp = ½ pᵀ(μ p − ∇J).
            let promised = (step.dot(&step) * mu - step.dot(&gradient)) * real(0.5);
            let moved = network.set_theta(theta.as_slice()).is_ok();
            let found = match moved {
                true => network.cost_into(examples, objective, &mut workspace).ok(),
                false => None,
            };
            let ratio = found.map(|found| to_f64((cost - found.total()) / promised));
            match ratio.filter(|&ratio| ratio > 0.0) {
                Some(ratio) => {
                    let (g, to) = (gradient.as_mut_slice(), matrix.as_mut_slice());
                    let there = network
                        .gradient_into(examples, objective, &mut workspace, g)
                        .and_then(|parts| {
                            cost = parts.total();
                            let at = (at, &mut workspace);
                            network.gauss_newton_matrix_into(examples, objective, at.0, at.1, to)
                        });
                    if let Err(error) = there {
                        network.set_theta(before.as_slice())?;
                        return Err(error);
                    }
                    fit.taken += 1;
                    fit.cost = cost;
                    fit.history.push(cost);
                    let shrink = (1.0 - (2.0 * ratio - 1.0).powi(3)).max(1.0 / 3.0);
                    (mu, factor) = (mu * real(shrink), 2.0);
                }
                None => {
                    if moved {
                        network.set_theta(before.as_slice())?;
                    }
                    (mu, factor) = ((mu * real(factor)).max(least), 2.0 * factor);
                }
            }
        }
        // The last step that was allowed may have been the one that gets there.
        fit.converged |= to_f64(largest(gradient.as_slice())) <= self.gradient;
        Ok(fit)
    }
}

/// p of (G + μ I) p = −∇J; `None` where the matrix is not definite to rounding.
fn damped_step<T: Scalar>(matrix: &DMatrix<T>, gradient: &DVector<T>, mu: T) -> Option<DVector<T>> {
    let mut damped = matrix.clone();
    for i in 0..damped.nrows() {
        damped[(i, i)] += mu;
    }
    let step = Cholesky::new(damped)?.solve(&-gradient);
    all_finite(step.as_slice()).then_some(step)
}
