//! Runs of solvers that work on all examples at once.

use super::{data, network};
use backprop::activation::{Exponential, Identity, Softmax};
use backprop::data::one_hot;
use backprop::nalgebra::{self, DMatrix};
use backprop::training::{
    ConjugateGradient, GradientDescent, Lbfgs, Method, Problem, Stop, Trainer,
};
use backprop::{
    AnyActivation, AnyCost, CategoricalCrossEntropy, Error, Examples, Location, Network, Objective,
    Poisson, Scalar, SquaredError,
};

#[test]
fn full_batch_solvers_reduce_the_cost() {
    let (x, y) = data(5, 3, 40);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy).l2(0.5);
    let methods: [fn() -> Method<f64>; 2] =
        [|| Lbfgs::new().into(), || ConjugateGradient::new().into()];
    let costs = methods.map(|method| {
        let mut trained = network([5, 4, 3]);
        let history = Trainer::new(objective.clone(), method())
            .epochs(300)
            .fit(&mut trained, &examples)
            .unwrap();
        let gradient = trained.gradient_vector(&examples, &objective).unwrap();
        let last = history.records().last().unwrap();
        assert_eq!(trained.cost(&examples, &objective).unwrap(), last.cost);
        assert!(gradient.norm() < 1e-4, "{}", gradient.norm());
        // An iteration takes at least one evaluation, and J never grows.
        assert!(last.steps >= last.epoch);
        assert!(
            history
                .records()
                .windows(2)
                .all(|two| two[1].cost <= two[0].cost)
        );
        last.cost
    });
    assert!(costs.iter().all(|cost| cost.is_finite()));
}

/// Both of argmin's solvers.
fn solvers<T: Scalar>() -> [fn() -> Method<T>; 2]
where
    Method<T>: From<Lbfgs> + From<ConjugateGradient>,
{
    [|| Lbfgs::new().into(), || ConjugateGradient::new().into()]
}

fn row<T: Scalar>(values: &[f64]) -> DMatrix<T> {
    let values = values.iter().map(|&value| nalgebra::convert(value));
    DMatrix::from_iterator(1, values.len(), values)
}

/// Fits one unit from zeros with each solver. J never grows, and ends at `expected`.
fn check<T: Scalar>(
    activation: AnyActivation,
    cost: AnyCost,
    [x, y]: [&[f64]; 2],
    (expected, tolerance): (f64, f64),
) where
    Method<T>: From<Lbfgs> + From<ConjugateGradient>,
{
    let (x, y) = (row::<T>(x), row::<T>(y));
    let examples = Examples::new(&x, &y).unwrap();
    for solver in solvers::<T>() {
        let mut network = Network::<T>::builder(1)
            .dense(1, activation)
            .zeros()
            .unwrap();
        let objective = Objective::new(cost);
        let mut before = f64_of(network.cost(&examples, &objective).unwrap());
        let history = Trainer::new(objective.clone(), solver())
            .epochs(300)
            .fit(&mut network, &examples)
            .unwrap();
        for record in history.records() {
            assert!(record.cost <= before, "{} after {before}", record.cost);
            before = record.cost;
        }
        assert!(
            (before - expected).abs() <= tolerance * expected.abs(),
            "{before}"
        );
        if history.stop() == Some(Stop::Converged) {
            let gradient = network.gradient_vector(&examples, &objective).unwrap();
            assert!(f64_of(gradient.norm()) <= 1e-9);
        }
    }
}

fn f64_of<T: Scalar>(value: T) -> f64 {
    nalgebra::convert_unchecked(value)
}

/// Lines through raw features. J has the closed form (Syy − Sxy²/Sxx)/2m.
#[test]
fn raw_features_are_fitted() {
    let line = |x: &[f64], y: &[f64]| {
        let m = x.len() as f64;
        let mean = |v: &[f64]| v.iter().sum::<f64>() / m;
        let (mx, my) = (mean(x), mean(y));
        let sum = |f: &dyn Fn(f64, f64) -> f64| {
            let pairs = x.iter().zip(y);
            pairs.map(|(x, y)| f(x - mx, y - my)).sum::<f64>()
        };
        let (sxx, sxy, syy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
        (syy - sxy * sxy / sxx) / (2.0 * m)
    };
    let (identity, squared) = (AnyActivation::Identity, AnyCost::SquaredError);
    let (x, y) = ([150., 160., 170., 180., 190.], [50., 58., 66., 75., 84.]);
    assert!((line(&x, &y) - 0.07).abs() < 1e-12);
    check::<f32>(identity, squared, [&x, &y], (0.07, 1e-3));
    check::<f64>(identity, squared, [&x, &y], (0.07, 1e-6));
    let (x, y) = ([21e3, 35e3, 48e3, 67e3, 90e3], [1.9, 2.9, 3.7, 5.2, 6.8]);
    assert!((line(&x, &y) - 0.00134326).abs() < 1e-8);
    check::<f64>(identity, squared, [&x, &y], (line(&x, &y), 1e-6));
    // Ages and prices, years, altitudes. `f32` is tested where rounding of z does not hide the
    // slope.
    let (x, y) = ([18., 25., 33., 47., 62.], [310., 402., 517., 699., 903.]);
    check::<f64>(identity, squared, [&x, &y], (line(&x, &y), 1e-6));
    check::<f32>(identity, squared, [&x, &y], (line(&x, &y), 1e-3));
    let (x, y) = (
        [1960., 1970., 1985., 2001., 2020.],
        [3.0, 3.7, 4.8, 6.2, 7.8],
    );
    check::<f64>(identity, squared, [&x, &y], (line(&x, &y), 1e-6));
    // With huge features the first step, 1/‖∇J‖, is far beyond the minimum along −∇J.
    let (x, y) = ([-1e20, 0., 1e20, 2e20, 3e20], [3., 5., 8., 9., 12.]);
    let (a, b) = (row::<f64>(&x), row::<f64>(&y));
    let examples = Examples::new(&a, &b).unwrap();
    for solver in solvers::<f64>() {
        let mut network = Network::<f64>::builder(1)
            .dense(1, Identity)
            .zeros()
            .unwrap();
        let history = Trainer::new(Objective::new(SquaredError), solver())
            .fit(&mut network, &examples)
            .unwrap();
        // The slope by itself reaches (Σy² − (Σuy)²/Σu²)/10 with x = 10²⁰ u.
        let least = (323.0 - 59.0 * 59.0 / 15.0) / 10.0;
        let cost = history.records().last().unwrap().cost;
        assert!(cost <= least * (1.0 + 1e-9), "{cost}");
    }
    // With huge targets a change of θ by 1 is lost in the rounding of J.
    for scale in [1e28, 1e40] {
        let (x, y) = ([1., 2., 3., 4.], [2., 5., 4., 7.].map(|y| y * scale));
        check::<f64>(identity, squared, [&x, &y], (line(&x, &y), 1e-6));
    }
    let (x, y) = ([-4e5, -1e5, 2e5, 3e5, 8e5], [7., 2., -3., -4., -13.]);
    check::<f64>(identity, squared, [&x, &y], (line(&x, &y), 1e-6));
}

/// Raw counts overflow the exponential at the first trial points. The minimum is SciPy's.
#[test]
fn trial_points_that_overflow_shorten_the_step() {
    let x: Vec<f64> = (0..50).map(f64::from).collect();
    let counts: Vec<f64> = x.iter().map(|x| (0.08 * x).exp().round()).collect();
    let (exponential, poisson) = (AnyActivation::Exponential, AnyCost::Poisson);
    let data: [&[f64]; 2] = [&x, &counts];
    check::<f64>(exponential, poisson, data, (-26.283211964568, 1e-12));
    // Standardised with the standard deviation whose divisor is m.
    let deviation = ((50.0 * 50.0 - 1.0) / 12.0_f64).sqrt();
    let z: Vec<f64> = x.iter().map(|x| (x - 24.5) / deviation).collect();
    let many: Vec<f64> = counts.iter().map(|count| 100.0 * count).collect();
    let data: [&[f64]; 2] = [&z, &many];
    check::<f64>(exponential, poisson, data, (-8559.78039601, 1e-11));
    check::<f32>(exponential, poisson, data, (-8559.78039601, 1e-6));
    // If the start itself is not finite, nothing is trained.
    let (x, y) = (row::<f64>(&[800.0]), row::<f64>(&[1.0]));
    let examples = Examples::new(&x, &y).unwrap();
    for solver in solvers::<f64>() {
        let start = [0.0, 1.0];
        let mut network = Network::<f64>::builder(1)
            .dense(1, Exponential)
            .with_theta(&start)
            .unwrap();
        let refused = Trainer::new(Objective::new(Poisson), solver()).fit(&mut network, &examples);
        assert!(
            matches!(
                refused,
                Err(Error::Diverged {
                    epoch: 1,
                    batch: None,
                    ..
                })
            ),
            "{refused:?}"
        );
        assert_eq!(network.theta().as_slice(), start);
    }
}

/// Softmax regression on wines with features from 0.002 to 17. The minimum is that of scikit-learn
/// and SciPy.
#[test]
fn badly_scaled_wines_are_fitted() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/wine.csv");
    let table = std::fs::read_to_string(path).unwrap();
    let values = table.lines().skip(1).flat_map(|line| line.split(','));
    let values: Vec<f64> = values.map(|value| value.parse().unwrap()).collect();
    let rows = DMatrix::from_vec(14, values.len() / 14, values);
    let classes: Vec<usize> = rows.row(13).iter().map(|&class| class as usize).collect();
    let (x, y) = (rows.rows(0, 13) * 0.01, one_hot(&classes, 3).unwrap());
    let examples = Examples::new(&x, &y).unwrap();
    for solver in solvers::<f64>() {
        let mut network = Network::<f64>::builder(13)
            .dense(3, Softmax)
            .zeros()
            .unwrap();
        let history = Trainer::new(Objective::new(CategoricalCrossEntropy).l2(0.01), solver())
            .epochs(1000)
            .fit(&mut network, &examples)
            .unwrap();
        let cost = history.records().last().unwrap().cost;
        assert!((cost / 0.315398853 - 1.0).abs() < 1e-6, "{cost}");
    }
}

/// A solver converges only by its gradient: not at a kink, and not where rounding stops it.
#[test]
fn a_failed_line_search_is_not_convergence() {
    let zero = DMatrix::from_element(1, 1, 0.0);
    for solver in solvers::<f64>() {
        let mut kink = Network::<f64>::builder(1)
            .dense(1, Identity)
            .with_theta(&[0.0, 0.3])
            .unwrap();
        let history = Trainer::new(Objective::new(SquaredError).l1(1.0), solver())
            .epochs(500)
            .fit(&mut kink, &Examples::new(&zero, &zero).unwrap())
            .unwrap();
        // |w| falls from 0.3 to the kink at 0, where its slope is still 1 on either side.
        assert_eq!(history.stop(), Some(Stop::NoDescent));
        assert!(kink.theta()[1].abs() < 1e-6, "{}", kink.theta()[1]);
    }
    let (x, y) = data(5, 3, 40);
    let (x, y) = (x.map(|x| x as f32), y.map(|y| y as f32));
    let examples = Examples::new(&x, &y).unwrap();
    for solver in solvers::<f32>() {
        let mut single = network([5, 4, 3]).map(|x| x as f32).unwrap();
        let objective = Objective::new(CategoricalCrossEntropy).l2(0.5);
        let history = Trainer::new(objective.clone(), solver())
            .epochs(2000)
            .fit(&mut single, &examples)
            .unwrap();
        assert_eq!(history.stop(), Some(Stop::NoDescent));
        let gradient = single.gradient_vector(&examples, &objective).unwrap();
        assert!(gradient.norm() < 1e-3, "{}", gradient.norm());
        let costs: Vec<f64> = history.records().iter().map(|record| record.cost).collect();
        assert!(costs.windows(2).all(|two| two[1] <= two[0]));
    }
}

/// A problem from a function that returns J and writes ∇J.
struct Function<F>(F);

impl<T: Scalar, F: FnMut(&[T], &mut [T]) -> Result<T, Error>> Problem<T> for Function<F> {
    fn cost(&mut self, theta: &[T]) -> Result<T, Error> {
        self.0(theta, &mut vec![T::zero(); theta.len()])
    }

    fn gradient(&mut self, theta: &[T], gradient: &mut [T]) -> Result<T, Error> {
        self.0(theta, gradient)
    }
}

/// J = ½(θ₀² + 10 θ₁²) and its gradient.
fn bowl(theta: &[f64], gradient: &mut [f64]) -> f64 {
    gradient.copy_from_slice(&[theta[0], 10.0 * theta[1]]);
    0.5 * (theta[0] * theta[0] + 10.0 * theta[1] * theta[1])
}

/// If the remembered direction fails, −∇J is tried once. If that fails too, θ stays, and the run
/// does not diverge.
#[test]
fn a_search_that_fails_is_tried_again_without_memory() {
    // The failure is an overflow, or an output outside the domain of the cost.
    let refused = |leads| {
        if leads {
            return Error::NonFinite {
                at: Location::Objective,
                value: f64::INFINITY,
            };
        }
        Error::Output {
            layer: 0.into(),
            unit: 0,
            example: 0,
            value: -1.0,
            expected: "in [0, ∞)",
        }
    };
    for solver in solvers::<f64>() {
        for leads in [true, false] {
            let mut solver = solver().full_batch().unwrap();
            let (mut theta, mut gradient) = ([3.0, 1.0], [0.0; 2]);
            for _ in 0..2 {
                let mut problem =
                    Function(|theta: &[f64], gradient: &mut [f64]| Ok(bowl(theta, gradient)));
                let done = solver.iterate(&mut problem, &mut theta, &mut gradient);
                assert_eq!(done.unwrap().stop, None);
            }
            let (start, slope) = (theta, gradient);
            // J is finite at the start and, if `leads`, along −∇J.
            let mut problem = Function(|theta: &[f64], gradient: &mut [f64]| {
                let [x, y] = [0, 1].map(|i| theta[i] - start[i]);
                let across = (x * slope[1] - y * slope[0]).abs();
                let along = across <= 1e-9 * x.hypot(y) * slope[0].hypot(slope[1]);
                if theta == start || leads && along {
                    Ok(bowl(theta, gradient))
                } else {
                    Err(refused(leads))
                }
            });
            let done = solver
                .iterate(&mut problem, &mut theta, &mut gradient)
                .unwrap();
            let cost = bowl(&start, &mut [0.0; 2]);
            if leads {
                assert_eq!(done.stop, None);
                assert!(done.cost < cost && theta != start);
            } else {
                assert_eq!(done.stop, Some(Stop::NoDescent));
                assert_eq!((done.cost, theta), (cost, start));
            }
        }
    }
}

#[test]
fn slices_of_other_lengths_are_refused() {
    let refused = |what, found| {
        let expected = 2;
        Err(Error::Length {
            what,
            expected,
            found,
        })
    };
    for solver in solvers::<f64>() {
        let mut solver = solver().full_batch().unwrap();
        let mut problem = Function(|theta: &[f64], gradient: &mut [f64]| Ok(bowl(theta, gradient)));
        let long = solver.iterate(&mut problem, &mut [3.0, 1.0], &mut [0.0; 3]);
        assert_eq!(long, refused("∇J", 3));
        let (mut theta, mut gradient) = ([3.0, 1.0], [0.0; 2]);
        let first = solver.iterate(&mut problem, &mut theta, &mut gradient);
        assert_eq!(first.unwrap().stop, None);
        let long = solver.iterate(&mut problem, &mut [3.0; 3], &mut [0.0; 3]);
        assert_eq!(long, refused("θ", 3));
        // An error does not end the run.
        let second = solver.iterate(&mut problem, &mut theta, &mut gradient);
        assert_eq!(second.unwrap().stop, None);
    }
}

#[test]
fn an_optimiser_is_no_full_batch_solver() {
    let method = Method::<f64>::from(GradientDescent::new(0.1));
    assert!(method.full_batch().is_none());
}

/// The entries of the gradient fit in `f32`, but its norm does not.
#[test]
fn a_norm_beyond_single_precision_starts_a_search() {
    let huge = [3e38_f32; 4];
    for solver in solvers::<f32>() {
        let mut solver = solver().full_batch().unwrap();
        let (mut theta, mut gradient) = ([0.0_f32; 4], [0.0; 4]);
        let mut problem = Function(|theta: &[f32], gradient: &mut [f32]| {
            gradient.copy_from_slice(&huge);
            Ok(3e38 * theta.iter().sum::<f32>())
        });
        let done = solver.iterate(&mut problem, &mut theta, &mut gradient);
        assert_eq!(done.unwrap().stop, None);
        assert!(theta[0] < 0.0);
    }
}

/// A gradient of NaN is not small.
#[test]
fn a_gradient_that_is_not_a_number_has_not_converged() {
    for solver in solvers::<f64>() {
        let mut solver = solver().full_batch().unwrap();
        let (mut theta, mut gradient) = ([1.0], [0.0]);
        let mut problem = Function(|_: &[f64], gradient: &mut [f64]| {
            gradient.fill(f64::NAN);
            Ok(1.0)
        });
        let done = solver.iterate(&mut problem, &mut theta, &mut gradient);
        assert_eq!(done.unwrap().stop, Some(Stop::NoDescent));
        assert_eq!(theta, [1.0]);
    }
}

/// A start at the minimum converges at once.
#[test]
fn a_start_at_the_minimum_has_converged() {
    let (x, y) = (row::<f64>(&[1.0, 2.0]), row::<f64>(&[3.0, 5.0]));
    let examples = Examples::new(&x, &y).unwrap();
    for solver in solvers::<f64>() {
        let start = [1.0, 2.0];
        let mut network = Network::<f64>::builder(1)
            .dense(1, Identity)
            .with_theta(&start)
            .unwrap();
        let history = Trainer::new(Objective::new(SquaredError), solver())
            .fit(&mut network, &examples)
            .unwrap();
        assert_eq!(history.stop(), Some(Stop::Converged));
        assert_eq!(
            (history.records().len(), history.records()[0].steps),
            (1, 1)
        );
        assert_eq!(network.theta().as_slice(), start);
    }
}

/// The first trial of a run, and that of the second iteration, which conjugate gradients choose
/// from the last decrease.
#[test]
fn the_first_steps_of_a_search() {
    for (solver, conjugate) in solvers::<f64>().into_iter().zip([false, true]) {
        let mut solver = solver().full_batch().unwrap();
        let (mut theta, mut gradient) = ([3.0, 1.0], [0.0; 2]);
        let mut trials: Vec<[f64; 2]> = Vec::new();
        let mut iterate = |theta: &mut [f64; 2], gradient: &mut [f64; 2]| {
            trials.clear();
            let mut problem = Function(|theta: &[f64], gradient: &mut [f64]| {
                trials.push([theta[0], theta[1]]);
                Ok(bowl(theta, gradient))
            });
            let done = solver.iterate(&mut problem, theta, gradient).unwrap();
            (done.cost, trials.clone())
        };
        let (cost, trials) = iterate(&mut theta, &mut gradient);
        // J = 9.5 and ∇J = (3, 10): the step is 1/‖∇J‖.
        let norm = 109.0_f64.sqrt();
        assert_eq!(trials[0], [3.0, 1.0]);
        for (found, expected) in trials[1].iter().zip([3.0 - 3.0 / norm, 1.0 - 10.0 / norm]) {
            assert!((found - expected).abs() < 1e-15, "{trials:?}");
        }
        if conjugate {
            let (start, slope) = (theta, gradient);
            let beta = {
                let dot = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
                let change = [slope[0] - 3.0, slope[1] - 10.0];
                (dot(slope, change) / 109.0).max(0.0)
            };
            let p = [0, 1].map(|i| -slope[i] - beta * [3.0, 10.0][i]);
            let rate = p[0] * slope[0] + p[1] * slope[1];
            let step = (1.01 * 2.0 * (9.5 - cost) / -rate).min(1.0);
            let (_, trials) = iterate(&mut theta, &mut gradient);
            for (found, i) in trials[0].iter().zip(0..) {
                let expected = start[i] + step * p[i];
                assert!((found - expected).abs() < 1e-12, "{trials:?} {expected}");
            }
        }
    }
}
