//! Training steps and inference of the rows in `common/table.rs`, one JSON record per line.
//!
//! ```sh
//! cargo bench --bench rows -- --rows xor,ex4 --threads 1,2 --dtypes f64 --min-time 0.5
//! cargo bench --bench rows -- --rows gym:17-64-64-6:gelu:half_mse:64:train
//! cargo bench --bench rows -- --rows residual=benches/peers/rows/residual.json
//! ```
//!
//! A training step is J and all gradients in workspace form, without an update. In a row from a
//! file, the network also takes over the state after each step. The data are validated once, before
//! the measurement.

mod common;
#[path = "ours/from_file.rs"]
mod from_file;
mod ours;
mod spec;

use backprop::nalgebra::{convert, convert_unchecked};
use backprop::{Cost, Error, Examples, Network, Objective, Scalar, Workspace, row_major};
use common::{Data, Options, Records, Row, Timing};
use from_file::Model;
use spec::{Spec, Values};
use std::hint::black_box;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::from_env();
    let specs: Result<Vec<Spec>, String> = options
        .files
        .iter()
        .map(|(name, file)| Spec::read(name, file))
        .collect();
    let specs = specs?;
    let mut records = Records::new(&options)?;
    for &threads in &options.threads {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()?;
        for dtype in &options.dtypes {
            let rows = if options.values {
                &[]
            } else {
                &options.rows[..]
            };
            for row in rows {
                let measure = || match dtype.as_str() {
                    "f32" => measure::<f32>(row, &options),
                    _ => measure::<f64>(row, &options),
                };
                let (check, timing) = pool
                    .install(measure)
                    .map_err(|error| format!("{}: {error}", row.name))?;
                records.write("backprop", row.label(), dtype, threads, check, &timing)?;
            }
            for spec in &specs {
                let wrong = |error| format!("{}: {error}", spec.name);
                if options.values {
                    let values = match dtype.as_str() {
                        "f32" => values::<f32>(spec),
                        _ => values::<f64>(spec),
                    };
                    let values = values.map_err(wrong)?;
                    records.line(&values.record("backprop", spec, dtype).to_string())?;
                    continue;
                }
                let measure = || match dtype.as_str() {
                    "f32" => measure_spec::<f32>(spec, &options),
                    _ => measure_spec::<f64>(spec, &options),
                };
                let (check, timing) = pool.install(measure).map_err(wrong)?;
                records.write("backprop", spec.label(), dtype, threads, check, &timing)?;
            }
        }
    }
    Ok(())
}

fn of<T: Scalar>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| convert(value)).collect()
}

/// J (or Σ a²/m) and the time.
fn measure<T: Scalar>(row: &Row, options: &Options) -> Result<(f64, Timing), Error> {
    let data = Data::new(row);
    let (x, y) = (of::<T>(&data.x), of::<T>(&data.y));
    let examples = Examples::new(row_major(&x, row.inputs())?, row_major(&y, row.outputs())?)?;
    let (network, cost) = ours::network::<T>(row, &data)?;
    time(
        &network,
        &examples,
        &Objective::new(cost),
        row.train,
        options,
    )
}

fn measure_spec<T: Scalar>(spec: &Spec, options: &Options) -> Result<(f64, Timing), String> {
    let model = Model::<T>::new(spec)?;
    let found = if spec.train {
        model.measure(spec, options)
    } else {
        let (network, objective) = (&model.network, &model.objective);
        let examples = model.examples();
        examples.and_then(|examples| time(network, &examples, objective, false, options))
    };
    found.map_err(|error| error.to_string())
}

fn values<T: Scalar>(spec: &Spec) -> Result<Values, String> {
    let values = Model::<T>::new(spec)?.values(spec);
    values.map_err(|error| error.to_string())
}

fn time<T: Scalar, C: Cost<T>>(
    network: &Network<T>,
    examples: &Examples<'_, T>,
    objective: &Objective<C>,
    train: bool,
    options: &Options,
) -> Result<(f64, Timing), Error> {
    let mut workspace = Workspace::new();
    if train {
        let mut gradient = vec![T::zero(); network.parameters()];
        let loss = network
            .gradient_into(examples, objective, &mut workspace, &mut gradient)?
            .total();
        let timing = Timing::of(options.min_time, options.tries, || {
            let step = network.gradient_into(
                black_box(examples),
                objective,
                &mut workspace,
                &mut gradient,
            );
            black_box((step.is_ok(), &gradient));
        });
        Ok((convert_unchecked(loss), timing))
    } else {
        let a = network.forward_into(examples.x(), &mut workspace)?;
        let square = |a: &T| convert_unchecked::<T, f64>(*a).powi(2);
        let norm = a.iter().map(square).sum::<f64>() / a.ncols() as f64;
        let timing = Timing::of(options.min_time, options.tries, || {
            black_box(
                network
                    .forward_into(black_box(examples.x()), &mut workspace)
                    .is_ok(),
            );
        });
        Ok((norm, timing))
    }
}
