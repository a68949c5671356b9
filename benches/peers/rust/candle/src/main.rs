//! The rows in candle, on its own CPU kernels.

#[path = "../../../../common/mod.rs"]
mod common;
mod from_file;
#[path = "../../model.rs"]
mod model;
#[path = "../../../../spec/mod.rs"]
mod spec;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{loss, ops};
use common::{Data, Head, Options, Records, Row, Timing};
use from_file::FromFile;
use std::hint::black_box;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let options = Options::from_env();
    let threads = options.threads[0];
    // SAFETY: no thread has been started yet.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", threads.to_string()) };
    let specs = model::specs(&options)?;
    let mut records = Records::new(&options)?;
    for dtype in &options.dtypes {
        let at = (dtype.as_str(), threads);
        model::records::<FromFile>("candle", &specs, at, &options, &mut records)?;
        for row in &options.rows {
            match activation(&row.hidden) {
                Some(hidden) => {
                    let (check, timing) = measure(row, dtype, hidden, &options)?;
                    records.write("candle", row.label(), dtype, threads, check, &timing)?;
                }
                None => records.refuse(
                    "candle",
                    &row.name,
                    dtype,
                    threads,
                    &format!("no {} here", row.hidden),
                )?,
            }
        }
    }
    Ok(())
}

type Hidden = fn(&Tensor) -> Result<Tensor>;

fn activation(name: &str) -> Option<Hidden> {
    Some(match name {
        "identity" => |z| Ok(z.clone()),
        "sigmoid" => ops::sigmoid,
        "tanh" => Tensor::tanh,
        "relu" => Tensor::relu,
        "gelu" => Tensor::gelu_erf,
        "gelu_tanh" => Tensor::gelu,
        "silu" => Tensor::silu,
        "elu" => |z| z.elu(1.0),
        "leaky_relu" => |z| ops::leaky_relu(z, 0.01),
        _ => return None,
    })
}

fn measure(row: &Row, dtype: &str, hidden: Hidden, options: &Options) -> Result<(f64, Timing)> {
    let data = Data::new(row);
    let device = Device::Cpu;
    let dtype = if dtype == "f32" {
        DType::F32
    } else {
        DType::F64
    };
    let tensor = |values: &[f64], shape: (usize, usize)| {
        Tensor::from_slice(values, shape, &device)?.to_dtype(dtype)
    };
    let outputs = row.outputs();
    let x = tensor(&data.x, (row.batch, row.inputs()))?;
    let y = tensor(&data.y, (row.batch, outputs))?;
    let labels: Vec<u32> = data
        .y
        .chunks_exact(outputs)
        .map(|target| target.iter().position(|&y| y == 1.0).unwrap_or(0) as u32)
        .collect();
    let labels = Tensor::new(labels, &device)?;
    let mut variables = Vec::new();
    for ((inputs, outputs), weights) in row.layers().zip(&data.weights) {
        let weights = Var::from_tensor(&tensor(weights, (inputs, outputs))?)?;
        let bias = Var::from_tensor(&tensor(&vec![0.0; outputs], (1, outputs))?)?;
        variables.push([weights, bias]);
    }
    // Inference records nothing.
    let plain = |variable: &Var| {
        if row.train {
            variable.as_tensor().clone()
        } else {
            variable.as_detached_tensor()
        }
    };
    let layers: Vec<[Tensor; 2]> = variables
        .iter()
        .map(|layer| layer.each_ref().map(plain))
        .collect();
    let mean = 1.0 / row.batch as f64;
    let logits = || -> Result<Tensor> {
        let mut a = x.clone();
        for (l, [weights, bias]) in layers.iter().enumerate() {
            a = a.matmul(weights)?.broadcast_add(bias)?;
            if l + 1 < layers.len() {
                a = hidden(&a)?;
            }
        }
        Ok(a)
    };
    if row.train {
        let step = || -> Result<f64> {
            let z = logits()?;
            let loss = match row.head {
                // max(z, 0) − z y + ln(1 + e^(−|z|))
                Head::Bce => {
                    let log = (z.abs()?.neg()?.exp()? + 1.0)?.log()?;
                    (((z.relu()? - (&z * &y)?)? + log)?.sum_all()? * mean)?
                }
                Head::Softmax => loss::cross_entropy(&z, &labels)?,
                Head::HalfMse => loss::mse(&z, &y)?,
            };
            let gradients = loss.backward()?;
            for [weights, bias] in &variables {
                black_box((
                    gradients.get(weights).is_some(),
                    gradients.get(bias).is_some(),
                ));
            }
            loss.to_dtype(DType::F64)?.to_scalar::<f64>()
        };
        // `mse` is a mean over the outputs as well, without ½.
        let scale = if row.head == Head::HalfMse {
            outputs as f64 / 2.0
        } else {
            1.0
        };
        let check = step()? * scale;
        Ok((
            check,
            Timing::of(options.min_time, options.tries, || {
                black_box(step().is_ok());
            }),
        ))
    } else {
        let forward = || -> Result<Tensor> {
            let z = logits()?;
            match row.head {
                Head::Bce => ops::sigmoid(&z),
                Head::Softmax => ops::softmax_last_dim(&z),
                Head::HalfMse => Ok(z),
            }
        };
        let norm = forward()?
            .to_dtype(DType::F64)?
            .sqr()?
            .sum_all()?
            .to_scalar::<f64>()?
            * mean;
        Ok((
            norm,
            Timing::of(options.min_time, options.tries, || {
                black_box(forward().is_ok());
            }),
        ))
    }
}
