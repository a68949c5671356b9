//! Threads share one problem: no call deadlocks, and each gets the numbers of its own point.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
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

/// Runs `f` on a new thread and fails if it does not end in time. A deadlocked thread can only be
/// abandoned.
fn in_time(what: &str, f: impl FnOnce() + Send + 'static) {
    let (done, end) = channel();
    let thread = std::thread::spawn(move || {
        f();
        done.send(()).unwrap();
    });
    match end.recv_timeout(Duration::from_secs(120)) {
        Err(RecvTimeoutError::Timeout) => panic!("{what}: still running after two minutes"),
        _ => thread.join().unwrap(), // passes on a panic
    }
}

/// A network whose passes run on several threads: in parts if `m` ≥ 512, else product by product.
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
                            // Bulk calls like those of argmin's ParticleSwarm, and every call
                            // that a solver makes at one point.
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
                    // Any of the calls may have found its point cached, but not all of them can
                    // have.
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

/// Threads that take turns get the counts and errors of a single thread.
#[test]
fn a_shared_problem_counts_and_fails_like_a_single_thread() {
    with_problem(3, 5, |problem, points| {
        let evaluations = problem.evaluations();
        for round in 1..=3 {
            problem.cost(&points[0]).unwrap();
            problem.gradient(&points[0]).unwrap();
            problem.gradient(&points[1]).unwrap();
            problem.cost(&points[1]).unwrap();
            assert_eq!(problem.evaluations(), evaluations + 2 * round);
        }
        // A product keeps the last point.
        let hessian = problem.hessian(&points[2]).unwrap();
        let product = hessian.dot(&points[0]);
        assert_eq!(hessian.dot(&points[0]), product);
        assert_eq!(problem.products(), 1);
        problem.cost(&points[1]).unwrap();
        assert_eq!(problem.evaluations(), evaluations + 6);
        // Two products fail. The next evaluation, on any thread, reports the first error.
        assert_eq!(hessian.dot(&vec![1.0]), [0.0]);
        assert_eq!(hessian.dot(&vec![1.0, 2.0]), [0.0, 0.0]);
        let error = std::thread::scope(|scope| {
            let other = scope.spawn(|| problem.gradient(&points[1]).unwrap_err().to_string());
            other.join().unwrap()
        });
        assert!(error.contains("found 1"), "{error}");
        problem.gradient(&points[1]).unwrap();
        assert_eq!(problem.evaluations(), evaluations + 6);
        // A point that cannot be evaluated does not become the last point.
        assert!(problem.cost(&vec![f64::NAN; points[0].len()]).is_err());
        assert!(problem.cost(&vec![f64::MAX; points[0].len()]).is_err());
        assert!(problem.cost(&vec![f64::MAX; points[0].len()]).is_err());
        problem.cost(&points[1]).unwrap();
        let after = problem.evaluations() - evaluations;
        assert!((8..=9).contains(&after), "{after}");
    });
}
