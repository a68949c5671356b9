//! Every call of `backprop::derivatives`, one JSON record per line.
//!
//! ```sh
//! cargo bench --bench derivatives -- --dtypes f64 --min-time 0.3
//! ```
//!
//! The rows are ex4, mnist-b64, deep and iris-b32 unless the options name others. Calls that have
//! an `_into` form are measured in it. `ratio` is the time divided by that of J and ∇J, measured in
//! alternation: the median over the rounds. Results too large for memory are left out, and the
//! matrices of second derivatives for more than 1000 parameters.

mod common;
mod ours;

use backprop::nalgebra::{convert, convert_unchecked};
use backprop::{
    Error, Examples, GaussNewton, Network, Objective, Scalar, Tangent, VjpTargets, Workspace,
    row_major,
};
use common::{Data, Options, Records, Row, Timing};
use ours::network;
use std::hint::black_box;

/// The calls, as the table of `backprop::derivatives` names them.
const KINDS: [&str; 16] = [
    "gradients",
    "jvp",
    "jvp_inputs",
    "vjp",
    "output_jacobian",
    "hessian_product",
    "hessian",
    "hessian_diagonal",
    "gauss_newton_product",
    "gauss_newton_matrix",
    "gram_product",
    "example_gradients",
    "example_gradient_norms",
    "for_each_example_gradient",
    "clipped_sum",
    "input_gradient",
];

/// The number of rounds of the gradient and each other derivative.
const ROUNDS: usize = 5;

/// The maximum number of scalars in a result.
const MOST: usize = 1 << 26;

/// The maximum number of parameters for which matrices of second derivatives are measured.
const MOST_PARAMETERS: usize = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::from_env().without_files()?;
    if options.rows.len() == Row::all()?.len() {
        let names = ["ex4", "mnist-b64", "deep", "iris-b32"];
        options.rows = names
            .iter()
            .map(|name| Row::parse(name))
            .collect::<Result<_, _>>()?;
    }
    let mut records = Records::new(&options)?;
    for &threads in &options.threads {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()?;
        for dtype in &options.dtypes {
            for row in &options.rows {
                let lines = pool.install(|| match dtype.as_str() {
                    "f32" => measure::<f32>(row, &options),
                    _ => measure::<f64>(row, &options),
                })?;
                for line in lines {
                    records.line(&format!(
                        "{{\"impl\": \"backprop\", \"row\": \"{}\", \"dtype\": \"{dtype}\", \
                         \"threads\": {threads}, {line}}}",
                        row.name
                    ))?;
                }
            }
        }
    }
    Ok(())
}

fn measure<T: Scalar>(row: &Row, options: &Options) -> Result<Vec<String>, Error> {
    let data = Data::new(row);
    let of = |values: &[f64]| -> Vec<T> { values.iter().map(|&value| convert(value)).collect() };
    let (x, y) = (of(&data.x), of(&data.y));
    let examples = Examples::new(row_major(&x, row.inputs())?, row_major(&y, row.outputs())?)?;
    let (network, cost) = network::<T>(row, &data)?;
    let objective = Objective::new(cost);
    let (p, m) = (network.parameters(), examples.len());
    let v: Vec<T> = (0..p).map(|i| convert((i as f64).sin())).collect();
    let x_tangent: Vec<T> = (0..x.len()).map(|i| convert((i as f64).cos())).collect();
    let mut workspaces = [Workspace::new(), Workspace::new()];
    let [first, second] = &mut workspaces;
    let mut gradient = vec![T::zero(); p];
    let mut lines = Vec::new();
    for kind in KINDS {
        let (k, n) = (row.outputs(), row.inputs());
        let len = match kind {
            "gradients" => p + n * m,
            "jvp" | "jvp_inputs" => k * m,
            "input_gradient" => n * m,
            "output_jacobian" => k * n * m,
            "hessian" | "gauss_newton_matrix" => p * p,
            "example_gradients" => p * m,
            "example_gradient_norms" => m,
            _ => p,
        };
        let second_order = ["hessian", "hessian_diagonal", "gauss_newton_matrix"];
        if len > MOST || p > MOST_PARAMETERS && second_order.contains(&kind) {
            continue;
        }
        let mut result = vec![T::zero(); len];
        let problem = Problem {
            network: &network,
            examples: &examples,
            objective: &objective,
            v: &v,
            x_tangent: &x_tangent,
        };
        problem.call(kind, second, &mut result)?;
        let (mut ratios, mut times) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let time = options.min_time / ROUNDS as f64;
            let base = Timing::of(time, options.tries, || {
                let done =
                    network.gradient_into(black_box(&examples), &objective, first, &mut gradient);
                black_box(done.is_ok());
            });
            let timing = Timing::of(time, options.tries, || {
                black_box(black_box(&problem).call(kind, second, &mut result).is_ok());
            });
            ratios.push(timing.median_us / base.median_us);
            times.push(timing.median_us);
        }
        // For `gradients`, only the gradient is summed, as for the peers.
        let compared = if kind == "gradients" {
            &result[..p]
        } else {
            &result
        };
        let squares = compared
            .iter()
            .map(|&x| convert_unchecked::<T, f64>(x).powi(2));
        let norm = squares.sum::<f64>().sqrt();
        ratios.sort_by(f64::total_cmp);
        times.sort_by(f64::total_cmp);
        lines.push(format!(
            "\"kind\": \"{kind}\", \"median_us\": {:.3}, \"ratio\": {:.3}, \"norm\": {norm:e}",
            times[ROUNDS / 2],
            ratios[ROUNDS / 2]
        ));
    }
    Ok(lines)
}

/// The arguments of the calls.
struct Problem<'a, T: Scalar> {
    network: &'a Network<T>,
    examples: &'a Examples<'a, T>,
    objective: &'a Objective,
    v: &'a [T],
    x_tangent: &'a [T],
}

impl<T: Scalar> Problem<'_, T> {
    /// Performs one call, and writes its result to `result`.
    fn call(
        &self,
        kind: &str,
        workspace: &mut Workspace<T>,
        result: &mut [T],
    ) -> Result<(), Error> {
        let (network, examples, objective) = (self.network, self.examples, self.objective);
        let (x, y, cost) = (examples.x(), examples.y(), &objective.cost);
        match kind {
            "gradients" => {
                let (parameters, inputs) = result.split_at_mut(network.parameters());
                let wanted = VjpTargets::of_parameters(parameters).and_inputs(inputs);
                network.gradients_into(examples, objective, workspace, wanted)?;
            }
            "input_gradient" => {
                network.gradients_into(
                    examples,
                    objective,
                    workspace,
                    VjpTargets::of_inputs(result),
                )?;
            }
            "jvp" => network.jvp_into(x, Tangent::of_parameters(self.v), workspace, result)?,
            "jvp_inputs" => {
                let x_tangent = row_major(self.x_tangent, x.nrows())?;
                let direction = Tangent::of_parameters(self.v).and_inputs(x_tangent);
                network.jvp_into(x, direction, workspace, result)?;
            }
            "vjp" => network.vjp_into(x, y, workspace, VjpTargets::of_parameters(result))?,
            "output_jacobian" => network.output_jacobian_into(x, workspace, result)?,
            "hessian_product" => {
                network.hessian_product_into(examples, objective, self.v, workspace, result)?;
            }
            "hessian" => {
                let hessian = network.hessian(examples, objective)?;
                result.copy_from_slice(hessian.as_slice());
            }
            "hessian_diagonal" => {
                let diagonal = network.hessian_diagonal(examples, objective)?;
                result.copy_from_slice(diagonal.as_slice());
            }
            "gauss_newton_product" => {
                let along = (GaussNewton::Logits, self.v);
                network.gauss_newton_product_into(examples, objective, along, workspace, result)?;
            }
            "gauss_newton_matrix" => {
                let at = GaussNewton::Logits;
                network.gauss_newton_matrix_into(examples, objective, at, workspace, result)?;
            }
            "gram_product" => network.gram_product_into(x, self.v, workspace, result)?,
            "example_gradients" => {
                network
                    .example_gradients(examples, cost)
                    .matrix_into(workspace, result)?;
            }
            "example_gradient_norms" => {
                network
                    .example_gradients(examples, cost)
                    .norms_into(workspace, result)?;
            }
            "for_each_example_gradient" => {
                let visit = |_, gradient: &[T]| result[0] += black_box(gradient)[0];
                network
                    .example_gradients(examples, cost)
                    .for_each(workspace, visit)?;
            }
            _ => {
                network
                    .example_gradients(examples, cost)
                    .clipped_sum(1.0, workspace, result)?;
            }
        }
        Ok(())
    }
}
