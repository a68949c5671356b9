//! Derivatives beyond the gradient on the rows ex4, mnist-b64 and deep (or others), one JSON record a line.
//!
//! ```sh
//! cargo bench --bench derivatives -- --dtypes f64 --min-time 0.3
//! ```
//!
//! All in workspace form. `ratio` is the time over that of J and ∇J, measured in turns with it: the median over the rounds.

mod common;
mod ours;

use backprop::nalgebra::convert;
use backprop::{Error, Examples, GaussNewton, Objective, Scalar, Workspace, row_major};
use common::{Data, Options, Records, Row, Timing};
use ours::network;
use std::hint::black_box;

/// What is measured, and the name of it.
const KINDS: [&str; 5] = [
    "hessian_product",
    "gauss_newton_product",
    "example_gradient_norms",
    "gradients",
    "example_gradients",
];

/// Turns of the gradient and of each other derivative.
const ROUNDS: usize = 5;

/// The most scalars that gradients of single examples may take here.
const MOST: usize = 1 << 26;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::from_env();
    if options.rows.len() == Row::all()?.len() {
        let names = ["ex4", "mnist-b64", "deep"];
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
                        "{{\"impl\": \"backprop\", \"row\": \"{}\", \"dtype\": \"{dtype}\", \"threads\": {threads}, {line}}}",
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
    let mut workspaces = [Workspace::new(), Workspace::new()];
    let [first, second] = &mut workspaces;
    let mut gradient = vec![T::zero(); p];
    let mut result = vec![T::zero(); p];
    let mut inputs = vec![T::zero(); x.len()];
    let mut norms = vec![T::zero(); m];
    let mut each = vec![T::zero(); if p * m > MOST { 0 } else { p * m }];
    let norm = |x: &[T]| -> f64 {
        let squares = x
            .iter()
            .map(|&x| backprop::nalgebra::convert_unchecked::<T, f64>(x).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let mut lines = Vec::new();
    for kind in KINDS {
        if kind == "example_gradients" && each.is_empty() {
            continue;
        }
        let mut call = || -> Result<(), Error> {
            let examples = black_box(&examples);
            match kind {
                "hessian_product" => {
                    network.hessian_product_into(examples, &objective, &v, second, &mut result)?;
                }
                "gauss_newton_product" => {
                    let along = (GaussNewton::Logits, &v[..]);
                    network.gauss_newton_product_into(
                        examples,
                        &objective,
                        along,
                        second,
                        &mut result,
                    )?;
                }
                "example_gradient_norms" => {
                    network.example_gradient_norms_into(
                        examples,
                        &objective.cost,
                        second,
                        &mut norms,
                    )?;
                }
                "gradients" => {
                    let wanted = (Some(&mut result[..]), Some(&mut inputs[..]));
                    network.gradients_into(examples, &objective, second, wanted)?;
                }
                _ => {
                    network.example_gradients_into(examples, &objective.cost, second, &mut each)?;
                }
            }
            Ok(())
        };
        call()?;
        let (mut ratios, mut times) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let time = options.min_time / ROUNDS as f64;
            let base = Timing::of(time, options.tries, || {
                let done =
                    network.gradient_into(black_box(&examples), &objective, first, &mut gradient);
                black_box(done.is_ok());
            });
            let timing = Timing::of(time, options.tries, || {
                black_box(call().is_ok());
            });
            ratios.push(timing.median_us / base.median_us);
            times.push(timing.median_us);
        }
        let check = norm(match kind {
            "example_gradient_norms" => &norms,
            "example_gradients" => &each,
            _ => &result,
        });
        ratios.sort_by(f64::total_cmp);
        times.sort_by(f64::total_cmp);
        lines.push(format!(
            "\"kind\": \"{kind}\", \"median_us\": {:.3}, \"ratio\": {:.3}, \"norm\": {check:e}",
            times[ROUNDS / 2],
            ratios[ROUNDS / 2]
        ));
    }
    Ok(lines)
}
