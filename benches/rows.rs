//! Training steps and inference of the rows in `common/table.rs`, one JSON record per line.
//!
//! ```sh
//! cargo bench --bench rows -- --rows xor,ex4 --threads 1,2 --dtypes f64 --min-time 0.5
//! cargo bench --bench rows -- --rows gym:17-64-64-6:gelu:half_mse:64:train
//! ```
//!
//! A training step is J and all gradients in workspace form, without an update. The data are
//! validated once, before the measurement.

mod common;
mod ours;

use backprop::nalgebra::convert;
use backprop::{Examples, Objective, Scalar, Workspace, row_major};
use common::{Data, Options, Records, Row, Timing};
use ours::network;
use std::hint::black_box;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::from_env();
    let mut records = Records::new(&options)?;
    for &threads in &options.threads {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()?;
        for dtype in &options.dtypes {
            for row in &options.rows {
                let measure = || match dtype.as_str() {
                    "f32" => measure::<f32>(row, &options),
                    _ => measure::<f64>(row, &options),
                };
                let (check, timing) = pool
                    .install(measure)
                    .map_err(|error| format!("{}: {error}", row.name))?;
                records.write("backprop", row, dtype, threads, check, &timing)?;
            }
        }
    }
    Ok(())
}

/// J (or Σ a²/m) and the time.
fn measure<T: Scalar>(row: &Row, options: &Options) -> Result<(f64, Timing), backprop::Error> {
    let data = Data::new(row);
    let of = |values: &[f64]| -> Vec<T> { values.iter().map(|&value| convert(value)).collect() };
    let (x, y) = (of(&data.x), of(&data.y));
    let examples = Examples::new(row_major(&x, row.inputs())?, row_major(&y, row.outputs())?)?;
    let (network, cost) = network::<T>(row, &data)?;
    let objective = Objective::new(cost);
    let mut workspace = Workspace::new();
    if row.train {
        let mut gradient = vec![T::zero(); network.parameters()];
        let loss = network
            .gradient_into(&examples, &objective, &mut workspace, &mut gradient)?
            .total();
        let timing = Timing::of(options.min_time, options.tries, || {
            let step = network.gradient_into(
                black_box(&examples),
                &objective,
                &mut workspace,
                &mut gradient,
            );
            black_box((step.is_ok(), &gradient));
        });
        Ok((backprop::nalgebra::convert_unchecked(loss), timing))
    } else {
        let a = network.forward_into(examples.x(), &mut workspace)?;
        let square = |a: &T| backprop::nalgebra::convert_unchecked::<T, f64>(*a).powi(2);
        let norm = a.iter().map(square).sum::<f64>() / row.batch as f64;
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
