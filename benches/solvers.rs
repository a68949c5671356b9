//! J after the full-batch solvers have used up a budget, from starting points in files. One JSON
//! record per line.
//!
//! ```sh
//! cargo bench --bench solvers -- FOLDER
//! ```
//!
//! `benches/peers/solvers.py` writes the folder and runs SciPy from the same starts. Each subfolder
//! is a problem: `problem.json` with the sizes, the hidden activation, the method and its budget,
//! and X, Y and the starts as raw little-endian `f64`.

use backprop::activation::Softmax;
use backprop::nalgebra::DMatrix;
use backprop::training::{ConjugateGradient, Lbfgs, Method, Trainer};
use backprop::{AnyActivation, CategoricalCrossEntropy, Examples, Network, Objective};
use serde::Deserialize;
use std::error::Error;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Problem {
    name: String,
    /// The numbers of inputs, hidden units and classes.
    sizes: [usize; 3],
    activation: AnyActivation,
    lambda: f64,
    method: String,
    /// The maximum number of iterations.
    iterations: u64,
    /// The maximum number of evaluations of J and ∇J.
    evaluations: u64,
    seeds: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let Some(folder) = folder else {
        println!("cargo bench --bench solvers -- FOLDER");
        return Ok(());
    };
    let mut problems: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    problems.sort();
    for folder in problems {
        let problem = std::fs::read_to_string(folder.join("problem.json"))?;
        solve(&folder, &serde_json::from_str(&problem)?)?;
    }
    Ok(())
}

fn solve(folder: &Path, problem: &Problem) -> Result<(), Box<dyn Error>> {
    let [inputs, hidden, classes] = problem.sizes;
    let x = read(&folder.join("x.f64"))?;
    let y = read(&folder.join("y.f64"))?;
    let x = DMatrix::from_vec(inputs, x.len() / inputs, x);
    let y = DMatrix::from_vec(classes, y.len() / classes, y);
    let examples = Examples::new(&x, &y)?;
    for seed in 0..problem.seeds {
        let start = read(&folder.join(format!("start-{seed}.f64")))?;
        let mut network = Network::<f64>::builder(inputs)
            .dense(hidden, problem.activation)
            .dense(classes, Softmax)
            .with_theta(&start)?;
        let method: Method<f64> = match problem.method.as_str() {
            "lbfgs" => Lbfgs::new().into(),
            _ => ConjugateGradient::new().into(),
        };
        let objective = Objective::new(CategoricalCrossEntropy).l2(problem.lambda);
        let history = Trainer::new(objective, method)
            .epochs(problem.iterations)
            .steps(problem.evaluations)
            .fit(&mut network, &examples)?;
        // The last iteration may exceed the budget.
        let within = history
            .records()
            .iter()
            .rev()
            .find(|record| record.steps <= problem.evaluations)
            .ok_or("the budget is too small for an iteration")?;
        println!(
            "{{\"problem\": \"{}\", \"seed\": {seed}, \"cost\": {}, \"evaluations\": {}, \
             \"iterations\": {}}}",
            problem.name, within.cost, within.steps, within.epoch
        );
    }
    Ok(())
}

fn read(path: &Path) -> std::io::Result<Vec<f64>> {
    let bytes = std::fs::read(path)?;
    let (values, _) = bytes.as_chunks::<8>();
    Ok(values
        .iter()
        .map(|&value| f64::from_le_bytes(value))
        .collect())
}
