//! Truncated Newton on handwritten digits: exact curvature compared with L-BFGS, which estimates
//! curvature from gradients.
//!
//! ```sh
//! cargo run --release --example newton_cg
//! ```
//!
//! All three methods minimise the same J from the same start. A pass computes J and ∇J. A product
//! is H v or G v, and costs one and a half to two passes.

#[path = "digits/data.rs"]
mod data;

use argmin::core::{Executor, IterState, Solver, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use argmin::solver::trustregion::{Steihaug, TrustRegion};
use backprop::activation::Sigmoid;
use backprop::metrics::ConfusionMatrix;
use backprop::{
    AnyCost, AnyLayer, ArgminHessian, ArgminProblem, BinaryCrossEntropy, Curvature, Examples,
    GaussNewton, Initialization, Network, Objective, rng,
};
use std::error::Error;
use std::time::Instant;

type Problem<'a> = ArgminProblem<'a, f64, AnyLayer, AnyCost>;
type Hessian<'a> = ArgminHessian<'a, f64, AnyLayer, AnyCost>;

fn main() -> Result<(), Box<dyn Error>> {
    let (train, test) = data::load()?;
    let examples = Examples::new(&train.x, &train.y)?;
    let objective = Objective::new(BinaryCrossEntropy).l2(1.0);
    let network = Network::<f64>::builder(64)
        .dense(25, Sigmoid)
        .dense(data::CLASSES, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(1))?;
    println!(
        "{} digits, 64-25-10, cross-entropy, λ = 1\n",
        examples.len()
    );
    println!(
        "method                iterations  passes  products         J    ‖∇J‖    time    test"
    );

    let start = network.theta().as_slice();
    let problem = || ArgminProblem::new(&network, &examples, &objective);
    let gauss_newton = Curvature::GaussNewton(GaussNewton::Logits);
    // At most 60 products per step. (Steihaug's epsilon also stops the run once ‖∇J‖ is below it,
    // so it stays small.)
    let region = || TrustRegion::new(Steihaug::new().with_max_iters(60)).with_radius(3.0);
    let mut slopes = Vec::new();
    for name in ["L-BFGS", "trust region, H v", "trust region, G v"] {
        let clock = Instant::now();
        let run = match name {
            "L-BFGS" => {
                let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10);
                minimise::<_, ()>(problem()?, start, (solver, 2000))?
            }
            "trust region, H v" => minimise::<_, Hessian<'_>>(problem()?, start, (region()?, 150))?,
            _ => {
                let problem = problem()?.curvature(gauss_newton);
                minimise::<_, Hessian<'_>>(problem, start, (region()?, 150))?
            }
        };
        let seconds = clock.elapsed().as_secs_f64();
        let mut trained = network.clone();
        trained.set_theta(&run.theta)?;
        let pass = trained.backprop(&examples, &objective)?;
        let slope = pass.gradient().vector().norm();
        let read = ConfusionMatrix::from_outputs(&trained.forward(&test.x)?, &test.y)?;
        println!(
            "{name:20}  {:10}  {:6}  {:8}  {:.6}  {slope:.0e}  {seconds:.2} s  {:.1} %",
            run.iterations,
            run.passes,
            run.products,
            pass.cost(),
            100.0 * read.accuracy()
        );
        slopes.push(slope);
    }
    println!(
        "\nWith H v the gradient falls to rounding, in far fewer passes than L-BFGS takes. The\n\
         products make it slower all the same. With G v the limit of 150 iterations ends the\n\
         run before that."
    );
    assert!(slopes[1] < slopes[0] && slopes[1] < 1e-8);
    Ok(())
}

/// The result of a solver.
struct Run {
    theta: Vec<f64>,
    iterations: u64,
    /// Evaluations of J and ∇J.
    passes: u64,
    /// Products with H or G.
    products: u64,
}

fn minimise<'a, S, H>(
    problem: Problem<'a>,
    start: &[f64],
    (solver, most): (S, u64),
) -> Result<Run, Box<dyn Error>>
where
    S: Solver<Problem<'a>, IterState<Vec<f64>, Vec<f64>, (), H, (), f64>>,
{
    let mut found = Executor::new(problem, solver)
        .configure(|state| state.param(start.to_vec()).max_iters(most))
        .run()?;
    let problem = found
        .problem
        .take_problem()
        .ok_or("the problem is missing")?;
    Ok(Run {
        theta: found.state.take_best_param().ok_or("no point was found")?,
        iterations: found.state.get_iter(),
        passes: problem.evaluations(),
        products: problem.products(),
    })
}
