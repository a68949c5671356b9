//! Gradient checking: compares analytic derivatives with central differences.
//!
//! The central difference \[f(x + h) − f(x − h)]/(2h) approximates f′(x), for a small step h. It
//! needs only values of f, so it exposes a fault in the code of the derivative. The derivatives are
//! compared and reported in blocks: a block is the Θ of one layer, or a group of variables that you
//! name.
//!
//! # Example
//! Any function can be checked. Here the second block has lost its factor 2:
//! ```
//! use backprop::gradient_check::{GradientCheck, Verdict};
//!
//! let f = |p: &[f64]| (p[0].sin() + p[1] * p[1], vec![p[0].cos(), p[1]]);
//! let report = GradientCheck::new().function(&[("p", 1), ("q", 1)], &[0.3, 2.0], f)?;
//! assert_eq!(report.block("p").map(|b| b.verdict), Some(Verdict::Agrees));
//! assert_eq!(report.block("q").map(|b| b.verdict), Some(Verdict::Wrong));
//! assert!(!report.passed());
//! println!("{report}");
//! # Ok::<(), backprop::Error>(())
//! ```
//!
//! # Verdicts
//! Only [`Verdict::Wrong`] fails the check. Each block has a verdict, and `worst` in its
//! [`BlockReport`] names an entry:
//!
//! | verdict | meaning | what to do |
//! |---|---|---|
//! | [`Agrees`](Verdict::Agrees) | the derivatives agree | nothing; if all are 0, check at another point |
//! | [`Wrong`](Verdict::Wrong) | the derivative is wrong | correct the code of the entry in `worst` |
//! | [`SuspectedKink`](Verdict::SuspectedKink) | a kink is within the step | check at another point, or with smooth activations; beware of inputs and biases that are exactly 0 |
//! | [`Undecided`](Verdict::Undecided) | the derivative is too small compared with the rounding of J | check in `f64`, with scaled inputs, or without a large constant in J |
//! | [`Unresolved`](Verdict::Unresolved) | they differ, and rounding hides why | check in `f64`; if it is `f64`, at another point |
//! | [`NotProvided`](Verdict::NotProvided) | an optional method is missing | nothing, or implement it |
//! | [`Indefinite`](Verdict::Indefinite) | a Gauss–Newton matrix G ([`derivatives`](crate::derivatives)) has v·G v < 0 for some v | nothing if the cost is not convex |
//!
//! A kink is a point where the slope jumps, as ReLU's does at 0.
//!
//! # How it decides
//! Let d be a unit vector along one entry of θ, or along a random direction in a block. The code
//! computes the derivative g = d·∇J. The numerical derivative with the step h is
//! n = \[J(θ + h d) − J(θ − h d)\]/(2h). They agree if
//!
//! |n − g| ≤ r · scale + floor · max(|J|, maxᵢ |∂J/∂θᵢ|) + resolution.
//!
//! - The *scale* is the largest |n| or |g| in the entry's column of the block. All derivatives in a
//!   column of D are proportional to one input, so they have a common size. Along random
//!   directions, the scale is the largest derivative of the block.
//! - The relative tolerance r is 1e-6 in `f64` and 1e-2 in `f32`, and the *floor* is 0, unless
//!   [`tolerance`](GradientCheck::tolerance) sets them.
//! - The *resolution* 8 σ/h + 8 σ′ is the largest difference that rounding may hide. The next
//!   section defines σ, the noise of J, and σ′, the noise of g.
//!
//! Every term has the unit of J, so checking c J gives the same verdicts as checking J.
//!
//! The error is measured for each block, because a small wrong block vanishes in the norm of the
//! whole gradient. A block whose derivatives are all 0 has relative error 0, not 0/0.
//!
//! # What rounding hides
//! If the rounding errors of J have standard deviation σ, those of n have σ/(√2 h), so 8 σ/h is
//! eleven standard deviations. The truncation error of n is h² J‴/6. The default step
//! h = ε^(1/3) max(1, |θᵢ|), for machine precision ε, balances the two (Gill, Murray and Wright,
//! *Practical Optimization*, 1981, section 8.6; Moré and Wild 2012, doi:10.1145/2168773.2168777).
//!
//! σ is the largest of three numbers:
//!
//! 1. ε |J|/2, the error of the last rounding. On its own, it gives the resolution 4 ε^(2/3) |J|:
//!    1.5e-10 |J| in `f64`, 1e-4 |J| in `f32`.
//! 2. The noise measured at ten points, moving all of θ by up to 240 ε. The third divided
//!    difference Σ cᵢ Jᵢ of a smooth J vanishes there, and that of the rounding errors has variance
//!    σ² Σ cᵢ² (Moré and Wild 2011, doi:10.1137/100786125). This detects terms of J that cancel. It
//!    is measured at θ and a step h away, because at an exact fit J and its noise are 0.
//! 3. The effect on J of rounding the outputs: (ε/2) √Σ (wₖ aₖᵢ ∂costₖ/∂aₖᵢ)² / Σ wₖ, for output i
//!    of example k with weight wₖ. It cannot be measured if an output rounds the same way at all
//!    ten points. That happens near the edge of a logarithm's domain and with raw inputs. Some
//!    costs use more digits of an output than aₖᵢ holds; for those the estimate is too large.
//!
//! σ′ is the noise of g itself, measured in the ten passes at θ: each entry is a sum over examples,
//! whose terms may cancel. All entries of a column use the σ′ of its noisiest entry.
//!
//! A comparison is conclusive only if the resolution is at most a tenth of the scale. Otherwise a
//! difference within the bound is [`Verdict::Undecided`]. The block is undecided too, unless its
//! larger columns are resolved. For example, J = 10⁹ + t² has the resolution 0.15. At t = 1 a
//! gradient of 3 t is wrong; at t = 0.01 even the correct one, 2 t, is undecided.
//!
//! # A second look
//! When an entry disagrees, the checker looks closer before it reports a fault:
//!
//! 1. It takes a second step and extrapolates (Richardson), which removes the error of a strongly
//!    curved J.
//! 2. It takes smaller steps, as far as rounding allows. If the difference vanishes once the step
//!    no longer reaches a kink, the entry is a [`Verdict::SuspectedKink`]. The same holds if the
//!    slopes on the two sides stay apart however small the step, with g between them.
//! 3. It evaluates the code's own derivative at five points within the smallest step. By the
//!    fundamental theorem, the slope of J between two points is the mean of the derivative in
//!    between. The mean of its values at the two ends differs from that mean by at most half of its
//!    variation there, with or without kinks. If the slopes violate this nearly everywhere,
//!    consistently and by more than the noise of J along this line, the entry is
//!    [`Verdict::Wrong`]. Otherwise it is [`Verdict::Unresolved`]: there is a difference, but the
//!    derivative nearby is not contradicted.
//!
//! # In `f32`
//! Steps are wide (0.005) and may reach the kinks of several units and examples. In a test of
//! 10,000 random networks of all activations and costs, no correct gradient was reported as wrong.
//! Of the comparisons, 1.5 % were suspected kinks, 4 % undecided (most of them with raw inputs) and
//! 0.2 % unresolved. The checker finds faults of more than twice the bound. For smaller faults, and
//! for undecided or unresolved entries, check `network.map(f64::from)?` with the data converted in
//! the same way. If rounding inside J makes it constant over the step, the check cannot distinguish
//! that from a true constant.
//!
//! # Beyond the gradient
//! The same bounds hold for tangents (derivatives along a direction), for Hessian products H v and
//! for per-example gradients; [`derivatives`](crate::derivatives) defines them. Each is compared
//! with differences of the method that it differentiates:
//!
//! | call | checks |
//! |---|---|
//! | [`second_order`](GradientCheck::second_order) | Jacobian, Hessian and Gauss–Newton products of a network: differences, symmetry, v·G v ≥ 0 |
//! | [`activation_tangents`](GradientCheck::activation_tangents), [`cost_tangent`](GradientCheck::cost_tangent) | the tangent methods of one activation or cost |
//! | [`layer_tangents`](GradientCheck::layer_tangents) | the tangent methods of one layer, z if the layer keeps it, and per-example gradients |
//!
//! These checks compare all entries of a function f of t at once, along a random direction: \[f(h)
//! − f(−h)]/(2h). Each entry has its own noise, measured along that direction. If a required method
//! returns [`Error::Unsupported`](crate::Error::Unsupported), so does the check. If an optional
//! method returns it, the verdict is [`Verdict::NotProvided`]. Where f has a kink or a jump exactly
//! at the point, no step avoids it, and the entry is a suspected kink. Many units may have a kink
//! there at once, so the derivative need not lie between the slopes.

//!
//! # In training
//! With [`training`](GradientCheck::training), J is that of a training pass with a fixed seed. A
//! custom layer with state or random numbers can be wrong there although its derivatives agree: it
//! may draw other numbers in each pass, or in each part of a batch. So
//! [`layer`](GradientCheck::layer) and [`network`](GradientCheck::network) also compare passes
//! that have to agree, and check the range of the new state.

// Declared first, so that rustdoc, which follows the order of the modules, lists `new` and
// `network` first.
mod checker;

mod activation;
mod compare;
mod cost;
mod judge;
mod layer;
mod layer_tangents;
mod line;
mod noise;
mod passes;
mod report;
mod scalar_function;
mod second_order;
mod settings;
mod single_layer;
mod vector_function;

use crate::scalar::{Scalar, to_f64};
use crate::workspace::Workspace;
use settings::{Sampling, Tolerance};

pub use judge::Verdict;
pub use report::{BlockReport, Comparison, Place, Report};

/// A gradient checker, with its number of comparisons, step and tolerance.
///
/// It compares the derivatives that code computes with central differences, such as
/// \[J(θ + h) − J(θ − h)]/(2h), which need only values of J. The
/// [module documentation](crate::gradient_check) explains its verdicts.
///
/// Derivation: [(27)](crate::derivation#central-difference).
///
/// The default compares every entry, as the course's `checkNNGradients` does. For larger networks,
/// compare a sample of each block, or derivatives along random directions. Each comparison costs
/// two evaluations of J.
///
/// # Example
/// A network of the course's size: 3 inputs, 5 hidden units, 3 outputs and 5 examples. The relative
/// error of a block is ‖n − g‖/(‖n‖ + ‖g‖), for numerical derivatives n and computed ones g. The
/// report returns the largest:
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::gradient_check::GradientCheck;
/// use backprop::{
///     BinaryCrossEntropy, Examples, Initialization, Network, Objective, activation::Sigmoid, rng,
/// };
///
/// let network = Network::<f64>::builder(3)
///     .dense(5, Sigmoid)
///     .dense(3, Sigmoid)
///     .initialize(Initialization::GlorotUniform, &mut rng(0))?;
/// let x = DMatrix::from_fn(3, 5, |i, j| (1.0 + i as f64 + 3.0 * j as f64).sin());
/// let y = DMatrix::from_fn(3, 5, |i, j| f64::from(i == j % 3));
/// let objective = Objective::new(BinaryCrossEntropy).l2(3.0);
/// let report = GradientCheck::new().network(&network, &Examples::new(&x, &y)?, &objective)?;
/// report.assert_passed();
/// assert!(report.relative_error() < 1e-8);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias("gradcheck", "check_grads"))]
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct GradientCheck {
    step: Option<f64>,
    tolerance: Option<Tolerance>,
    sampling: Sampling,
    seed: u64,
    /// The seed of training passes.
    training: Option<u64>,
    /// Whether the report keeps all comparisons.
    keeps: bool,
}

impl GradientCheck {
    /// Returns a workspace in the mode of the check.
    fn workspace<T: Scalar>(&self) -> Workspace<T> {
        let mut workspace = Workspace::new();
        workspace.set_training(self.training);
        workspace
    }
}

/// Returns the largest absolute value of the entries, ignoring non-finite ones.
fn size<T: Scalar>(entries: &[T]) -> f64 {
    let sizes = entries.iter().map(|&x| to_f64(x).abs());
    sizes.filter(|x| x.is_finite()).fold(0.0, f64::max)
}

/// Returns a quiet NaN of any scalar type.
fn nan<T: Scalar>() -> T {
    T::zero() / T::zero()
}
