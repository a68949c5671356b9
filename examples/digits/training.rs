//! The network of the example and its training, for the example and its test alike.

use crate::data::{CLASSES, Digits};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Executor, IterState, KV, State};
use argmin::solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS};
use backprop::{
    AnyCost, ArgminProblem, CrossEntropy, Examples, Initialization, Network, Objective,
    activation::Sigmoid, rng,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

/// Iterations of L-BFGS.
const ITERATIONS: u64 = 200;

/// 64 pixels, 25 hidden units, 10 classes, as the course builds it.
pub fn network(seed: u64) -> Result<Network<f64>, backprop::Error> {
    Network::builder(64)
        .dense(25, Sigmoid)
        .dense(CLASSES, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(seed))
}

/// The course's cost with its penalty, λ = 1.
pub fn objective() -> Objective<AnyCost> {
    Objective::new(CrossEntropy).l2(1.0)
}

/// What a training did.
#[derive(Debug)]
pub struct Training {
    pub iterations: u64,
    /// Of J and ∇J.
    pub evaluations: u64,
    /// θ before the first iteration and after each.
    pub path: Vec<Vec<f64>>,
}

/// Minimises J by L-BFGS.
pub fn train(network: &mut Network<f64>, digits: &Digits) -> Result<Training, Box<dyn Error>> {
    let (y, objective) = (digits.one_hot(), objective());
    let examples = Examples::new(&digits.x, &y)?;
    let problem = ArgminProblem::new(network, &examples, &objective)?;
    let start = network.theta().as_slice().to_vec();
    let path = Arc::new(Mutex::new(vec![start.clone()]));
    let style = "training {bar:32} {pos:>3}/{len} iterations, {msg}, {eta} left";
    let watch = Watch {
        bar: ProgressBar::new(ITERATIONS).with_style(ProgressStyle::with_template(style)?),
        path: Arc::clone(&path),
    };
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10);
    let mut found = Executor::new(problem, solver)
        .configure(|state| state.param(start).max_iters(ITERATIONS))
        .add_observer(watch, ObserverMode::Always)
        .run()?;
    let evaluations = found.problem.take_problem().map_or(0, |p| p.evaluations());
    let iterations = found.state.get_iter();
    let theta = found.state.take_best_param().ok_or("no point was found")?;
    network.set_theta(&theta)?;
    let path = std::mem::take(&mut *path.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Training {
        iterations,
        evaluations,
        path,
    })
}

/// Shows each iteration in a bar, which is silent where no one looks on, and keeps its θ.
struct Watch {
    bar: ProgressBar,
    path: Arc<Mutex<Vec<Vec<f64>>>>,
}

type Iteration = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

impl Observe<Iteration> for Watch {
    fn observe_iter(&mut self, state: &Iteration, _: &KV) -> Result<(), argmin::core::Error> {
        self.bar.set_message(format!("J = {:.4}", state.get_cost()));
        self.bar.inc(1);
        let theta = state.get_param().cloned();
        let mut path = self.path.lock().unwrap_or_else(PoisonError::into_inner);
        path.extend(theta);
        Ok(())
    }

    fn observe_final(&mut self, _: &Iteration) -> Result<(), argmin::core::Error> {
        self.bar.finish_and_clear();
        Ok(())
    }
}

/// How often digit `row` was read as digit `column`.
pub type Confusion = [[usize; CLASSES]; CLASSES];

/// Reads every image: the digit of the largest output.
pub fn confusion(network: &Network<f64>, digits: &Digits) -> Result<Confusion, backprop::Error> {
    let a = network.forward(&digits.x)?;
    let mut counts = [[0; CLASSES]; CLASSES];
    for (column, &label) in a.column_iter().zip(&digits.labels) {
        counts[label][column.imax()] += 1;
    }
    Ok(counts)
}

/// The share of images read right, in percent.
pub fn accuracy(confusion: &Confusion) -> f64 {
    let right: usize = (0..CLASSES).map(|c| confusion[c][c]).sum();
    let all: usize = confusion.iter().flatten().sum();
    100.0 * right as f64 / all as f64
}
