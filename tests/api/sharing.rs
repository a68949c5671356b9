//! One problem for several threads: no call waits for another for ever, and each gets the numbers of its own point.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test may fail the test"
)]

use argmin_math::ArgminDot;
use backprop::activation::{Softmax, Tanh};
use backprop::argmin::core::{CostFunction, Gradient, Hessian};
use backprop::nalgebra::DMatrix;
use backprop::{
    ArgminProblem, CategoricalCrossEntropy, Examples, Initialization, Network, Objective, rng,
};
use rayon::prelude::*;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

const ROUNDS: usize = 300;
const POINTS: usize = 7;

/// Runs `f` on a thread of its own, and fails if it has not ended in time: what waits for ever can only be left behind.
fn in_time(what: &str, f: impl FnOnce() + Send + 'static) {
    let (done, end) = channel();
    let thread = std::thread::spawn(move || {
        f();
        done.send(()).unwrap();
    });
    match end.recv_timeout(Duration::from_secs(120)) {
        Err(RecvTimeoutError::Timeout) => panic!("{what}: no end in two minutes"),
        _ => thread.join().unwrap(), // with its panic, if it had one
    }
}

/// A network whose passes are shared out, in parts (`m` ≥ 512) or product by product.
fn with_problem(
    units: usize,
    m: usize,
    f: impl FnOnce(&ArgminProblem<'_, f64, backprop::AnyLayer, backprop::AnyCost>, &[Vec<f64>]),
) {
    let network = Network::<f64>::builder(20)
        .dense(units, Tanh)
        .dense(3, Softmax);
    let network = network
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    let x = DMatrix::from_fn(20, m, |i, j| (i as f64 + 2.0 * j as f64).sin());
    let y = DMatrix::from_fn(3, m, |i, j| f64::from(i == j % 3));
    let (examples, objective) = (
        Examples::new(&x, &y).unwrap(),
        Objective::new(CategoricalCrossEntropy).l2(0.1),
    );
    let problem = ArgminProblem::new(&network, &examples, &objective).unwrap();
    let moved = |k: usize| network.theta().map(|t| t * (1.0 + 0.1 * k as f64));
    let points: Vec<Vec<f64>> = (1..=POINTS).map(|k| moved(k).as_slice().to_vec()).collect();
    f(&problem, &points);
}

#[test]
fn a_problem_is_shared_by_threads() {
    for (threads, units, m, rounds) in [
        (4, 60, 1000, ROUNDS),
        (8, 60, 1000, ROUNDS),
        (4, 2000, 130, 30),
    ] {
        in_time(
            &format!("{threads} threads, {units} units, {m} examples"),
            move || {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let pool = pool.build().unwrap();
                with_problem(units, m, |problem, points| {
                    let costs: Vec<f64> = points.iter().map(|p| problem.cost(p).unwrap()).collect();
                    let gradients: Vec<Vec<f64>> = points
                        .iter()
                        .map(|p| problem.gradient(p).unwrap())
                        .collect();
                    let hessian = problem.hessian(&points[0]).unwrap();
                    let products: Vec<Vec<f64>> = points.iter().map(|v| hessian.dot(v)).collect();
                    let before = (problem.evaluations(), problem.products());
                    for round in 0..rounds {
                        pool.install(|| match round % 3 {
                            // argmin's own, as ParticleSwarm has them, and each with all that a solver asks of a point.
                            0 => assert_eq!(problem.bulk_cost(points).unwrap(), costs),
                            1 => points.par_iter().enumerate().for_each(|(k, point)| {
                                assert_eq!(problem.cost(point).unwrap(), costs[k]);
                                assert_eq!(problem.gradient(point).unwrap(), gradients[k]);
                            }),
                            _ => points.par_iter().enumerate().for_each(|(k, v)| {
                                assert_eq!(hessian.dot(v), products[k]);
                                assert_eq!(problem.cost(v).unwrap(), costs[k]);
                                assert_eq!(hessian.product(v).unwrap(), products[k]);
                            }),
                        });
                    }
                    let thirds = |more: usize| ((rounds + more) / 3 * POINTS) as u64;
                    // Any number of the points may have been known, but each was once asked of all.
                    let evaluations = problem.evaluations() - before.0;
                    let asked = thirds(2) + 2 * thirds(1) + thirds(0);
                    assert!((1..=asked).contains(&evaluations), "{evaluations}");
                    let made = problem.products() - before.1;
                    assert!((thirds(0)..=2 * thirds(0)).contains(&made), "{made}");
                });
            },
        );
    }
}

/// The counts and the errors of one thread after the other are those of one thread.
#[test]
fn what_is_known_and_what_failed_is_told_once() {
    with_problem(3, 5, |problem, points| {
        let evaluations = problem.evaluations();
        for round in 1..=3 {
            problem.cost(&points[0]).unwrap();
            problem.gradient(&points[0]).unwrap();
            problem.gradient(&points[1]).unwrap();
            problem.cost(&points[1]).unwrap();
            assert_eq!(problem.evaluations(), evaluations + 2 * round);
        }
        // A product leaves the last point as it is.
        let hessian = problem.hessian(&points[2]).unwrap();
        let product = hessian.dot(&points[0]);
        assert_eq!(hessian.dot(&points[0]), product);
        assert_eq!(problem.products(), 1);
        problem.cost(&points[1]).unwrap();
        assert_eq!(problem.evaluations(), evaluations + 6);
        // Two products fail: the first error is that of the next evaluation, wherever it is asked for.
        assert_eq!(hessian.dot(&vec![1.0]), [0.0]);
        assert_eq!(hessian.dot(&vec![1.0, 2.0]), [0.0, 0.0]);
        let error = std::thread::scope(|scope| {
            let other = scope.spawn(|| problem.gradient(&points[1]).unwrap_err().to_string());
            other.join().unwrap()
        });
        assert!(error.contains("found 1"), "{error}");
        problem.gradient(&points[1]).unwrap();
        assert_eq!(problem.evaluations(), evaluations + 6);
        // A point that cannot be evaluated is not the last point.
        assert!(problem.cost(&vec![f64::NAN; points[0].len()]).is_err());
        assert!(problem.cost(&vec![f64::MAX; points[0].len()]).is_err());
        assert!(problem.cost(&vec![f64::MAX; points[0].len()]).is_err());
        problem.cost(&points[1]).unwrap();
        let after = problem.evaluations() - evaluations;
        assert!((8..=9).contains(&after), "{after}");
    });
}
