//! Gradient checking: compares analytic derivatives with central differences.
//!
//! The numerical derivative along a coordinate (or a direction) is
//! n = \[J(θ + h) − J(θ − h)\]/(2h). An entry g of the gradient agrees with it if
//!
//! |n − g| ≤ r ‖column‖ + a max(|J|, ‖∇J‖) + e,  e = 8 σ/h + 8 σ′.
//!
//! ‖column‖ is the largest derivative, analytic or numerical, in the entry's column of the block.
//! That column of D belongs to one input, and so has that input's scale. Along a random direction
//! ‖column‖ is the largest derivative of the block. The relative tolerance r is 1e-6 in `f64` and
//! 1e-2 in `f32`. The floor a is 0 unless [`tolerance`](GradientCheck::tolerance) sets one. The
//! *resolution* e is the largest difference that rounding may hide. Every term has the unit of J,
//! so checking c J gives the same verdicts as checking J.
//!
//! # What rounding hides
//! If the rounding errors of J have standard deviation σ, that of n is σ/(√2 h), so 8 σ/h is eleven
//! standard deviations. The truncation error of n is h² J‴/6. The default step
//! h = ε^(1/3) max(1, |θᵢ|), for machine precision ε, balances the two (Gill, Murray and Wright,
//! *Practical Optimization*, 1981, section 8.6; Moré and Wild 2012, doi:10.1145/2168773.2168777).
//!
//! σ is the largest of three numbers:
//!
//! 1. ε |J|/2, the error of the last rounding alone. It gives e = 4 ε^(2/3) |J|: 1.5e-10 |J| in
//!    `f64`, 1e-4 |J| in `f32`.
//! 2. The noise measured at ten points within 160 ε, moving all of θ. There the third divided
//!    difference Σ w J of a smooth J vanishes, and that of the rounding errors has variance σ² Σ w²
//!    (Moré and Wild 2011, doi:10.1137/100786125). This detects terms of J that cancel. It is
//!    measured at θ and a step h beside it, because at an exact fit J and its noise are 0.
//! 3. ε/2 ‖w δ ∘ a‖/Σw with δ = ∂cost/∂a, the effect of rounding the outputs a on a cost computed
//!    from them. It cannot be measured where an output rounds the same way at all ten points, as
//!    near the edge of a logarithm's domain or for raw inputs. For outputs whose cost knows more of
//!    them than a, it is larger than need be.
//!
//! σ′ is the noise of g itself, measured in the ten passes at θ: each entry is a sum over examples,
//! whose terms may cancel. All entries of a column use the σ′ of its noisiest entry.
//!
//! A comparison is conclusive only if the resolution is at most a tenth of ‖column‖. Otherwise a
//! difference within the bound is [`Verdict::Undecided`]. The block is undecided too, unless its
//! larger columns are resolved. For example, f = 10⁹ + t² has e = 0.15. At t = 1 a gradient of 3 t
//! is wrong; at t = 0.01 even the right one, 2 t, is undecided.
//!
//! # A second look
//! When an entry disagrees, the checker looks closer before it reports a fault:
//!
//! 1. It takes a second step and extrapolates (Richardson), which removes the error of a strongly
//!    curved J.
//! 2. It takes smaller steps, as far as rounding allows. If the difference vanishes once the step
//!    no longer reaches a kink, the entry is a [`Verdict::SuspectedKink`]. It is one too if the
//!    slopes on the two sides stay apart however small the step, with g between them.
//! 3. It evaluates the code's own derivative at five points within the smallest step. By the
//!    fundamental theorem, the slope of J between two points is the mean of the derivative in
//!    between. The mean of its values at the two ends differs from that by at most half of its
//!    variation there, kinks or not. If the slopes violate this nearly everywhere, consistently and
//!    by more than the noise of J along this line, the entry is [`Verdict::Wrong`]. Otherwise it is
//!    [`Verdict::Unresolved`]: there is a difference, but the derivative nearby is not
//!    contradicted.
//!
//! # In `f32`
//! Steps are wide, 0.005, and may reach the kinks of several units and examples. In a test of
//! 10,000 random networks of all activations and costs, no right gradient was called wrong. Of the
//! comparisons, 1.5 % were suspected kinks, 4 % undecided (most with raw inputs) and 0.2 %
//! unresolved. Faults of more than twice the bound are found. Smaller faults, and what is undecided
//! or unresolved, need a check of `network.map(f64::from)?` with the data mapped alike. If rounding
//! inside J makes it constant over the step, the check cannot tell that from a true constant.
//!
//! The error is measured block by block, because a small wrong block vanishes in the norm of the whole gradient; signs are kept,
//! and a block whose derivatives are all 0 has relative error 0, not 0/0.
//!
//! # Beyond the gradient
//! Tangents, H v and the gradients of single examples are held against the methods whose derivatives they are, by the same bounds:
//!
//! | call | checks |
//! |---|---|
//! | [`second_order`](GradientCheck::second_order) | Jacobian, Hessian and Gauss–Newton products of a network: differences, symmetry, v·G v ≥ 0 |
//! | [`activation_tangents`](GradientCheck::activation_tangents), [`cost_tangent`](GradientCheck::cost_tangent) | the tangent methods of one activation or cost |
//! | [`layer_tangents`](GradientCheck::layer_tangents) | those of one layer, z if it keeps that, and the gradients of single examples |
//!
//! There a function f of t is compared in all its entries at once, along a random direction:
//! \[f(h) − f(−h)]/(2h). Every entry has its own noise, measured along that direction. A method that is
//! needed and returns [`Error::Unsupported`] ends the check with that error; one that is optional
//! has the verdict [`Verdict::NotProvided`]. Where f has a kink, or jumps, right at the point, so
//! that no step avoids it, the entry is a suspected kink. Many units may have a kink there at once,
//! so the derivative need not lie between the slopes.
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

// First, so that rustdoc lists `new` and `network` first: it follows the order of the modules.
mod checker;

mod alone;
mod compare;
mod judge;
mod layer_tangents;
mod line;
mod noise;
mod parts;
mod report;
mod second_order;
mod tangents;

use crate::error::Error;
use crate::initialization::rng;
use crate::scalar::{Scalar, to_f64};
use line::Line;
use rand_xoshiro::rand_core::Rng;
use std::collections::BTreeSet;

pub use report::{BlockReport, Comparison, Place, Report, Verdict};

/// A gradient checker: how many derivatives it compares, with which step, and how closely.
///
/// Derivation: [(27)](crate::derivation#central-difference).
///
/// The default compares every entry, as the course's `checkNNGradients` does. For larger networks compare a sample of
/// each block, or derivatives along random directions; both cost two evaluations of J a comparison.
///
/// # Example
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::gradient_check::GradientCheck;
/// use backprop::{BinaryCrossEntropy, Examples, Initialization, Network, Objective, activation::Sigmoid, rng};
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
    tolerance: Option<(f64, f64)>,
    sampling: Sampling,
    seed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Sampling {
    #[default]
    Full,
    PerBlock(usize),
    Directions(usize),
}

/// A block of the variables being checked.
struct Named {
    label: String,
    rows: usize,
    start: usize,
    len: usize,
}

/// The step and the tolerances.
#[derive(Clone, Copy)]
struct Settings {
    step: f64,
    relative: f64,
    floor: f64,
    precision: f64,
}

/// The most directions per block. Each is as long as the block and is kept for a second look.
const MOST_DIRECTIONS: usize = 1 << 16;

impl GradientCheck {
    /// Returns the step, tolerance and floor, after checking their ranges.
    fn settings<T: Scalar>(&self) -> Result<Settings, Error> {
        let precision = to_f64(T::default_epsilon());
        let step = self.step.unwrap_or_else(|| precision.cbrt());
        let (relative, floor) = self.tolerance.unwrap_or(if precision < 1e-12 {
            (1e-6, 0.0)
        } else {
            (1e-2, 0.0)
        });
        if let Sampling::PerBlock(count) | Sampling::Directions(count) = self.sampling {
            check_positive("the number of comparisons", count as f64)?;
        }
        if let Sampling::Directions(count) = self.sampling
            && count > MOST_DIRECTIONS
        {
            return Err(Error::Hyperparameter {
                name: "the number of comparisons",
                value: count as f64,
                expected: "no more than 65,536 directions",
            });
        }
        // Smaller steps do not move θ, and larger ones leave its neighbourhood.
        if !(precision..=1.0).contains(&step) {
            return Err(Error::Hyperparameter {
                name: "the step of the gradient check",
                value: step,
                expected: "a number from the machine precision to 1",
            });
        }
        check_positive("the tolerance of the gradient check", relative)?;
        if !(floor >= 0.0 && floor.is_finite()) {
            return Err(Error::Hyperparameter {
                name: "the floor of the gradient check",
                value: floor,
                expected: "a finite number of at least 0",
            });
        }
        Ok(Settings {
            step,
            relative,
            floor,
            precision,
        })
    }

    /// The lines along which a block is compared.
    fn lines(&self, block: &Named, random: &mut impl Rng) -> Box<dyn Iterator<Item = Line>> {
        match self.sampling {
            Sampling::PerBlock(count) if count < block.len => {
                let mut chosen = BTreeSet::new();
                while chosen.len() < count {
                    chosen.insert((random.next_u64() % block.len as u64) as usize);
                }
                Box::new(chosen.into_iter().map(Line::Entry))
            }
            Sampling::Directions(count) if block.len > 0 => {
                let (n, mut random) = (block.len, rng(random.next_u64()));
                Box::new((0..count).map(move |_| Line::random(n, &mut random)))
            }
            _ => Box::new((0..block.len).map(Line::Entry)),
        }
    }
}

/// Returns the largest absolute value of the entries, ignoring non-finite ones.
fn size<T: Scalar>(entries: &[T]) -> f64 {
    let sizes = entries.iter().map(|&x| to_f64(x).abs());
    sizes.filter(|x| x.is_finite()).fold(0.0, f64::max)
}

/// A quiet NaN of any scalar type.
fn nan<T: Scalar>() -> T {
    T::zero() / T::zero()
}

fn check_positive(name: &'static str, value: f64) -> Result<(), Error> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::Hyperparameter {
        name,
        value,
        expected: "a finite number above 0",
    })
}
