//! The rows in dfdx, with shapes known at run time.

#[path = "../../../../common/mod.rs"]
mod common;

use common::{Data, Head, Options, Records, Row, Timing};
use dfdx::losses::{
    binary_cross_entropy_with_logits_loss, cross_entropy_with_logits_loss, mse_loss,
};
use dfdx::prelude::*;
use num_traits::ToPrimitive;
use std::hint::black_box;

type Matrix = (usize, usize);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::from_env().without_files()?;
    let threads = options.threads[0];
    // SAFETY: no thread has been started yet.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", threads.to_string()) };
    let mut records = Records::new(&options)?;
    for dtype in &options.dtypes {
        for row in &options.rows {
            if !["identity", "sigmoid", "tanh", "relu"].contains(&row.hidden.as_str()) {
                records.refuse(
                    "dfdx",
                    &row.name,
                    dtype,
                    threads,
                    &format!("no {} here", row.hidden),
                )?;
                continue;
            }
            let (check, timing) = if dtype == "f32" {
                single(row, &options)
            } else {
                double(row, &options)
            };
            records.write("dfdx", row.label(), dtype, threads, check, &timing)?;
        }
    }
    Ok(())
}

// Generic code would have to repeat the bounds of every operation.
macro_rules! measure {
    ($name:ident, $scalar:ty) => {
        fn $name(row: &Row, options: &Options) -> (f64, Timing) {
            let data = Data::new(row);
            let device: Cpu = Cpu::default();
            let of = |values: &[f64]| -> Vec<$scalar> {
                values.iter().map(|&value| value as $scalar).collect()
            };
            let tensor = |values: &[f64], shape: Matrix| -> Tensor<Matrix, $scalar, Cpu> {
                device.tensor_from_vec(of(values), shape)
            };
            let outputs = row.outputs();
            let x = tensor(&data.x, (row.batch, row.inputs()));
            let y = tensor(&data.y, (row.batch, outputs));
            let layers: Vec<(Tensor<Matrix, $scalar, Cpu>, Tensor<(usize,), $scalar, Cpu>)> = row
                .layers()
                .zip(&data.weights)
                .map(|((inputs, outputs), weights)| {
                    let bias = device.tensor_from_vec(vec![0.0; outputs], (outputs,));
                    (tensor(weights, (inputs, outputs)), bias)
                })
                .collect();
            // Tensors with a tape and without one differ in type.
            macro_rules! logits {
                ($a:expr) => {{
                    let mut a = $a;
                    for (l, (weights, bias)) in layers.iter().enumerate() {
                        a = a.matmul(weights.clone());
                        let shape = *a.shape();
                        a = a + bias.clone().broadcast_like::<Matrix, Axis<0>>(&shape);
                        if l + 1 < layers.len() {
                            a = match row.hidden.as_str() {
                                "sigmoid" => a.sigmoid(),
                                "tanh" => a.tanh(),
                                "relu" => a.relu(),
                                _ => a,
                            };
                        }
                    }
                    a
                }};
            }
            if row.train {
                let step = || {
                    let z = logits!(x.leaky_trace());
                    let loss = match row.head {
                        Head::Bce => binary_cross_entropy_with_logits_loss(z, y.clone()),
                        Head::Softmax => cross_entropy_with_logits_loss(z, y.clone()),
                        Head::HalfMse => mse_loss(z, y.clone()),
                    };
                    let value = loss.array();
                    let gradients = loss.backward();
                    for (weights, bias) in &layers {
                        black_box((gradients.get(weights), gradients.get(bias)));
                    }
                    value
                };
                // These are means over the outputs as well, and `mse_loss` has no ½.
                let scale = match row.head {
                    Head::Bce => outputs as f64,
                    Head::Softmax => 1.0,
                    Head::HalfMse => outputs as f64 / 2.0,
                };
                let check = step().to_f64().unwrap_or(f64::NAN) * scale;
                (
                    check,
                    Timing::of(options.min_time, options.tries, || {
                        black_box(step());
                    }),
                )
            } else {
                let forward = || {
                    let z = logits!(x.clone());
                    match row.head {
                        Head::Bce => z.sigmoid(),
                        Head::Softmax => z.softmax::<Axis<1>>(),
                        Head::HalfMse => z,
                    }
                };
                let norm = forward()
                    .as_vec()
                    .iter()
                    .map(|&a| f64::from(a).powi(2))
                    .sum::<f64>()
                    / row.batch as f64;
                (
                    norm,
                    Timing::of(options.min_time, options.tries, || {
                        black_box(forward());
                    }),
                )
            }
        }
    };
}

measure!(single, f32);
measure!(double, f64);
