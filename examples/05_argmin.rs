//! 5 of 6. J and ∇J become a problem for argmin. Three of its solvers train one network, and the
//! table shows how many passes each takes.
//!
//! ```sh
//! cargo run --release --example 05_argmin
//! ```
//!
//! In your project, turn on the feature `argmin` of `backprop`. Use `backprop::argmin`, or depend
//! on `argmin` itself.

use argmin::core::{Executor, IterState, Solver, State};
use argmin::solver::conjugategradient::{NonlinearConjugateGradient, beta::PolakRibiere};
use argmin::solver::gradientdescent::SteepestDescent;
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use backprop::activation::{Identity, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::{
    AnyCost, AnyLayer, ArgminProblem, Examples, Initialization, Network, Objective, SquaredError,
    rng,
};
use std::error::Error;

type Problem<'a> = ArgminProblem<'a, f64, AnyLayer, AnyCost>;
type Iteration = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

fn main() -> Result<(), Box<dyn Error>> {
    // y = sin x / x at 61 points.
    let x = DMatrix::from_fn(1, 61, |_, k| (k as f64 - 30.0) / 5.0);
    let y = x.map(|x| {
        if x == 0.0 {
            1.0
        } else {
            (3.0 * x).sin() / (3.0 * x)
        }
    });
    let examples = Examples::new(&x, &y)?;
    let objective = Objective::new(SquaredError).l2(1e-4);
    let network = Network::<f64>::builder(1)
        .dense(12, Tanh)
        .dense(1, Identity)
        .initialize(Initialization::Normal { sigma: 1.0 }, &mut rng(1))?;
    println!(
        "J at the start: {:.6}\n",
        network.cost(&examples, &objective)?
    );
    println!(
        "each solver stops after 1000 iterations; the error is the largest at the 61 points\n"
    );
    println!("solver                  iterations  passes         J   error");

    let line = MoreThuenteLineSearch::new;
    let descent = SteepestDescent::new(line());
    let conjugate =
        NonlinearConjugateGradient::new(line(), PolakRibiere::new()).restart_orthogonality(0.1);
    let quasi_newton = LBFGS::new(line(), 10);
    let problem = || ArgminProblem::new(&network, &examples, &objective);
    let start = network.theta().as_slice();
    let mut results = Vec::new();
    for (name, (theta, iterations, passes)) in [
        ("steepest descent", minimise(problem()?, start, descent)?),
        (
            "conjugate gradients",
            minimise(problem()?, start, conjugate)?,
        ),
        ("L-BFGS", minimise(problem()?, start, quasi_newton)?),
    ] {
        let mut trained = network.clone();
        trained.set_theta(&theta)?;
        let j = trained.cost(&examples, &objective)?;
        let error = (trained.forward(&x)? - &y).amax();
        println!("{name:22}  {iterations:10}  {passes:6}  {j:.2e}  {error:.4}");
        results.push(j);
    }
    println!(
        "\nThe lower two learn the curvature from the gradients. They get further in fewer passes."
    );
    assert!(results[2] < results[1] && results[1] < results[0]);
    Ok(())
}

/// Returns θ after convergence or 1000 iterations, and the numbers of iterations and of passes
/// through the network.
fn minimise<'a, S>(
    problem: Problem<'a>,
    start: &[f64],
    solver: S,
) -> Result<(Vec<f64>, u64, u64), Box<dyn Error>>
where
    S: Solver<Problem<'a>, Iteration>,
{
    let mut found = Executor::new(problem, solver)
        .configure(|state| state.param(start.to_vec()).max_iters(1000))
        .run()?;
    let passes = found.problem.take_problem().map_or(0, |p| p.evaluations());
    let theta = found.state.take_best_param().ok_or("no point was found")?;
    Ok((theta, found.state.get_iter(), passes))
}
