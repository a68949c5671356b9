//! Gradient checking: analytic derivatives held against central differences.
//!
//! The numerical derivative along a coordinate (or a direction) is \[J(θ + h) − J(θ − h)\]/(2h). An entry g of the gradient
//! agrees with its numerical value n if
//!
//! |n − g| ≤ r · ‖column‖ + a · max(|J|, ‖∇J‖, 1),
//!
//! where ‖column‖ is the largest entry of the block's column, analytic or numerical: the column of D that belongs to one input,
//! and so has that input's scale. (Along a random direction it is the largest of all.) The second term is the floor that rounding
//! in J sets. By default h = ε^(1/3) max(1, |θᵢ|) for a machine precision ε, which balances truncation against
//! rounding, and (r, a) = (1e-6, 1e-9) in `f64`, (1e-2, 1e-3) in `f32`.
//!
//! Where an entry disagrees, the checker looks closer before it says so. It takes a second step and extrapolates
//! (Richardson), which removes the error of a strongly curved J. Then it compares the slopes on both sides: at a kink, such as
//! ReLU's, they stay apart however small the step, or the difference falls into line once the step no longer reaches the
//! kink. That is reported as [`Verdict::SuspectedKink`]; everything else is [`Verdict::Wrong`].
//!
//! What differences cannot resolve they cannot prove: a block whose derivatives all lie below the floor, and differ, is
//! [`Verdict::Undecided`]. In `f32` that is everything below about a thousandth of J, and a kink within the wide step cannot be told
//! from a derivative that is half wrong. Check there what the layers compute, but prove the gradient on `network.map(f64::from)?`.
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
//! There a function f of t is compared in all its entries at once, along a random direction: \[f(h) − f(−h)]/(2h), with max(|f|, |f′|, 1) in the bound. A method that is needed and answers
//! [`Error::Unsupported`] ends the check with that error; one that is optional has the verdict [`Verdict::NotProvided`]. Where f has a kink, or jumps, right at the
//! point, so that no step avoids it, the entry is a suspected kink: as many units may have theirs there at once, the derivative need not lie between the slopes.
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

mod alone;
mod layer_tangents;
mod line;
mod parts;
mod report;
mod second_order;
mod tangents;

use crate::cost::Cost;
use crate::error::Error;
use crate::examples::{Examples, check_finite, check_length};
use crate::initialization::rng;
use crate::layer::Layer;
use crate::layout::allocate;
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::{Scalar, to_f64};
use crate::workspace::Workspace;
use line::{Line, Outcome};
use nalgebra::DMatrixView;
use rand_xoshiro::rand_core::Rng;
use std::collections::{BTreeMap, BTreeSet};

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
/// use backprop::{CrossEntropy, Examples, Initialization, Network, Objective, activation::Sigmoid, rng};
///
/// let network = Network::<f64>::builder(3)
///     .dense(5, Sigmoid)
///     .dense(3, Sigmoid)
///     .initialize(Initialization::GlorotUniform, &mut rng(0))?;
/// let x = DMatrix::from_fn(3, 5, |i, j| (1.0 + i as f64 + 3.0 * j as f64).sin());
/// let y = DMatrix::from_fn(3, 5, |i, j| f64::from(i == j % 3));
/// let objective = Objective::new(CrossEntropy).l2(3.0);
/// let report = GradientCheck::new().network(&network, &Examples::new(&x, &y)?, &objective)?;
/// report.assert_passed();
/// assert!(report.relative_error() < 1e-8);
/// # Ok::<(), backprop::Error>(())
/// ```
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

/// The most directions per block. Each is as long as the block, and is kept for a second look.
const MOST_DIRECTIONS: usize = 1 << 16;

impl GradientCheck {
    /// Compares every entry, with the step and the tolerances of the scalar type.
    pub fn new() -> Self {
        Self::default()
    }

    /// The step h, from the machine precision to 1, for entries up to 1 in size; larger ones take h |θᵢ|.
    pub fn step(mut self, h: f64) -> Self {
        self.step = Some(h);
        self
    }

    /// The relative tolerance r > 0 and the floor a ≥ 0 of the bound in the [module documentation](self).
    pub fn tolerance(mut self, relative: f64, floor: f64) -> Self {
        self.tolerance = Some((relative, floor));
        self
    }

    /// Compares `count` random entries of each block (all of a smaller one). The seed fixes which.
    pub fn sampled(mut self, count: usize, seed: u64) -> Self {
        (self.sampling, self.seed) = (Sampling::PerBlock(count), seed);
        self
    }

    /// Compares the derivative along `count` random unit directions within each block, at most
    /// 65,536. The seed fixes which.
    pub fn directions(mut self, count: usize, seed: u64) -> Self {
        (self.sampling, self.seed) = (Sampling::Directions(count), seed);
        self
    }

    /// Checks ∇J of a network, block by block.
    ///
    /// Derivation: [(27)](crate::derivation#central-difference).
    ///
    /// In `f32` rounding leaves about three digits to compare; for the proof check `network.map(f64::from)?` with the data
    /// mapped alike.
    ///
    /// The pass runs on buffers filled with NaN, so that a layer that reads or adds to what it should overwrite is
    /// found too.
    ///
    /// # Errors
    /// Those of [`Network::backprop`] but a non-finite gradient, which the report shows; and [`Error::Hyperparameter`] for
    /// a bad step, tolerance or number of comparisons.
    pub fn network<T: Scalar, L: Layer<T>, C: Cost<T>>(
        &self,
        network: &Network<T, L>,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<Report, Error> {
        let theta = network.theta().as_slice();
        let mut workspace = Workspace::new();
        let mut gradient = allocate("the gradient", (theta.len(), 1), T::zero())?;
        let mut j = T::zero();
        for _ in 0..2 {
            // The first round only gives the buffers their sizes.
            workspace.fill(nan());
            gradient.fill(nan());
            let pass =
                network.gradient_at(theta, examples, objective, &mut workspace, &mut gradient);
            j = match pass {
                Ok(parts) => parts.total(),
                Err(Error::NonFiniteGradient { .. }) => network
                    .cost_at(theta, examples, objective, &mut workspace)?
                    .total(),
                Err(error) => return Err(error),
            };
        }
        let blocks = network.layout().blocks().iter().map(|place| Named {
            label: place.label(),
            rows: place.block().rows,
            start: place.range().start,
            len: place.range().len(),
        });
        self.compare(&blocks.collect::<Vec<_>>(), theta, j, &gradient, |theta| {
            Ok(network
                .cost_at(theta, examples, objective, &mut workspace)?
                .total())
        })
    }

    /// Checks any function that returns its value and its gradient, with its variables in named blocks.
    ///
    /// `blocks` are names and lengths, in the order of the variables.
    ///
    /// # Errors
    /// - [`Error::Length`] if the blocks or the gradient have not as many entries as `theta`.
    /// - [`Error::NonFiniteInput`] if `theta` is not finite, [`Error::NonFiniteObjective`] if the function is not at a point that is tried.
    /// - [`Error::Hyperparameter`] for a bad step or tolerance.
    pub fn function<T: Scalar>(
        &self,
        blocks: &[(&str, usize)],
        theta: &[T],
        mut f: impl FnMut(&[T]) -> (T, Vec<T>),
    ) -> Result<Report, Error> {
        let mut named: Vec<Named> = Vec::with_capacity(blocks.len());
        let mut start = 0_usize;
        for &(label, len) in blocks {
            named.push(Named {
                label: label.to_owned(),
                rows: len,
                start,
                len,
            });
            start = start.saturating_add(len);
        }
        check_length("the blocks", theta.len(), start)?;
        check_finite("θ", DMatrixView::from_slice(theta, theta.len(), 1))?;
        let (j, gradient) = f(theta);
        check_length("the gradient", theta.len(), gradient.len())?;
        self.compare(&named, theta, j, &gradient, |theta| Ok(f(theta).0))
    }

    /// Step, tolerance and floor, each in its range.
    fn settings<T: Scalar>(&self) -> Result<(f64, f64, f64), Error> {
        let precision = to_f64(T::default_epsilon());
        let step = self.step.unwrap_or_else(|| precision.cbrt());
        let (relative, floor) = self.tolerance.unwrap_or(if precision < 1e-12 {
            (1e-6, 1e-9)
        } else {
            (1e-2, 1e-3)
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
        Ok((step, relative, floor))
    }

    /// Compares `gradient` with the differences of `value` around `theta`.
    fn compare<T: Scalar>(
        &self,
        blocks: &[Named],
        theta: &[T],
        j: T,
        gradient: &[T],
        mut value: impl FnMut(&[T]) -> Result<T, Error>,
    ) -> Result<Report, Error> {
        let (step, relative, floor) = self.settings::<T>()?;
        if !j.is_finite() {
            return Err(Error::NonFiniteObjective { value: to_f64(j) });
        }
        let scale = to_f64(j).abs().max(size(gradient));
        let mut report = Report::new(to_f64(j), step);
        let mut point = theta.to_vec();
        let mut random = rng(self.seed);
        let bounds = Bounds::new::<T>(relative, floor, scale);
        for block in blocks {
            let range = block.start..block.start + block.len;
            let lines = self.lines(block, &mut random).map(|line| {
                let analytic = line.derivative(&gradient[range.clone()]);
                let h = step * line.size(&theta[range.clone()]);
                (line, analytic, h)
            });
            bounds.compare(&mut report, block, lines, &mut |line, t| {
                let moved = line.move_to(theta, &mut point, block.start, t);
                let found = value(&point).map(to_f64);
                line.move_to(theta, &mut point, block.start, 0.0);
                checked(moved, found?)
            })?;
        }
        Ok(report)
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

/// The largest derivative of each column, and of all of a block.
#[derive(Default)]
struct Norms {
    columns: BTreeMap<usize, f64>,
    all: f64,
}

impl Norms {
    fn add(&mut self, column: Option<usize>, size: f64) {
        self.all = self.all.max(size);
        if let Some(column) = column {
            let norm = self.columns.entry(column).or_insert(0.0);
            *norm = norm.max(size);
        }
    }

    fn of(&self, column: Option<usize>) -> f64 {
        column
            .and_then(|c| self.columns.get(&c))
            .copied()
            .unwrap_or(self.all)
    }
}

/// The function to be compared: a line and t to the point that is really reached, and the value there.
type At<'a> = dyn FnMut(&Line, f64) -> Result<(f64, f64), Error> + 'a;

/// What a difference is allowed to be.
struct Bounds {
    relative: f64,
    /// a · max(…), below which nothing is resolved.
    floor: f64,
    /// The rounding error of one value.
    rounding: f64,
    /// Whether many units move at once.
    many: bool,
}

impl Bounds {
    fn new<T: Scalar>(relative: f64, floor: f64, scale: f64) -> Self {
        Self {
            relative,
            floor: floor * scale,
            rounding: to_f64(T::default_epsilon()) * scale,
            many: false,
        }
    }

    /// Compares a block along lines, each with its analytic derivative and its step.
    fn compare(
        &self,
        report: &mut Report,
        block: &Named,
        lines: impl Iterator<Item = (Line, f64, f64)>,
        at: &mut At<'_>,
    ) -> Result<(), Error> {
        let mut outcomes = Vec::new();
        let mut norms = Norms::default();
        // Two rounds: the bound of the second is known when the first has seen all derivatives.
        for (line, analytic, h) in lines {
            let numeric = line::central(&mut |t| at(&line, t), h)?;
            let outcome = Outcome::new(analytic, numeric, h);
            norms.add(line.column(block.rows), outcome.size());
            outcomes.push((line, outcome));
        }
        for (line, outcome) in &mut outcomes {
            let bound = self.relative * norms.of(line.column(block.rows)) + self.floor;
            outcome.judge(&mut |t| at(line, t), (bound, self.rounding), self.many)?;
        }
        report.push(block, &outcomes, self.floor);
        Ok(())
    }
}

/// Where on a line, and the value there. It is an error if that is not finite.
fn checked(moved: f64, value: f64) -> Result<(f64, f64), Error> {
    match value.is_finite() {
        true => Ok((moved, value)),
        false => Err(Error::NonFiniteObjective { value }),
    }
}

/// The largest entry in absolute value, at least 1; what is not finite counts as nothing.
fn size<T: Scalar>(entries: &[T]) -> f64 {
    let sizes = entries.iter().map(|&x| to_f64(x).abs());
    sizes.filter(|x| x.is_finite()).fold(1.0, f64::max)
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
