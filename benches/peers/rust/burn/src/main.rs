//! The rows in burn: backend flex, autodiff.

#[path = "../../../../common/mod.rs"]
mod common;
mod from_file;
#[path = "../../model.rs"]
mod model;
#[path = "../../../../spec/mod.rs"]
mod spec;

use burn::tensor::{DType, Device, Tensor, TensorData, activation as act};
use common::{Data, Head, Options, Records, Row, Timing};
use from_file::FromFile;
use std::hint::black_box;

/// The name is set by the build, because the instruction set is a feature.
const NAME: &str = if cfg!(feature = "v4") {
    "burn-v4"
} else {
    "burn"
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::from_env();
    let threads = options.threads[0];
    // SAFETY: no thread has been started yet.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", threads.to_string()) };
    let specs = model::specs(&options)?;
    let mut records = Records::new(&options)?;
    for dtype in &options.dtypes {
        let at = (dtype.as_str(), threads);
        model::records::<FromFile>(NAME, &specs, at, &options, &mut records)?;
        for row in &options.rows {
            match activation(&row.hidden) {
                Some(hidden) => {
                    let (check, timing) = measure(row, dtype, hidden, &options);
                    records.write(NAME, row.label(), dtype, threads, check, &timing)?;
                }
                None => records.refuse(
                    NAME,
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

type Hidden = fn(Tensor<2>) -> Tensor<2>;

fn activation(name: &str) -> Option<Hidden> {
    Some(match name {
        "identity" => |z| z,
        "sigmoid" => act::sigmoid,
        "tanh" => act::tanh,
        "relu" => act::relu,
        "gelu" => act::gelu,
        "silu" => act::silu,
        "softplus" => |z| act::softplus(z, 1.0),
        "mish" => act::mish,
        "leaky_relu" => |z| act::leaky_relu(z, 0.01),
        _ => return None,
    })
}

fn measure(row: &Row, dtype: &str, hidden: Hidden, options: &Options) -> (f64, Timing) {
    let data = Data::new(row);
    #[allow(deprecated)]
    let base = Device::flex();
    let device = if row.train { base.autodiff() } else { base };
    let dtype = if dtype == "f32" {
        DType::F32
    } else {
        DType::F64
    };
    let tensor = |values: &[f64], shape: [usize; 2]| -> Tensor<2> {
        let values = if dtype == DType::F32 {
            TensorData::new(
                values.iter().map(|&value| value as f32).collect::<Vec<_>>(),
                shape,
            )
        } else {
            TensorData::new(values.to_vec(), shape)
        };
        Tensor::from_data(values, (&device, dtype))
    };
    let x = tensor(&data.x, [row.batch, row.inputs()]);
    let y = tensor(&data.y, [row.batch, row.outputs()]);
    let layers: Vec<[Tensor<2>; 2]> = row
        .layers()
        .zip(&data.weights)
        .map(|((inputs, outputs), weights)| {
            let layer = [
                tensor(weights, [inputs, outputs]),
                tensor(&vec![0.0; outputs], [1, outputs]),
            ];
            if row.train {
                layer.map(Tensor::require_grad)
            } else {
                layer
            }
        })
        .collect();
    let mean = 1.0 / row.batch as f64;
    let logits = || {
        let mut a = x.clone();
        for (l, [weights, bias]) in layers.iter().enumerate() {
            a = a.matmul(weights.clone()) + bias.clone();
            if l + 1 < layers.len() {
                a = hidden(a);
            }
        }
        a
    };
    if row.train {
        let step = || {
            let z = logits();
            let loss = match row.head {
                Head::Bce => (act::softplus(z.clone(), 1.0) - z * y.clone()).sum() * mean,
                Head::Softmax => (act::log_softmax(z, 1) * y.clone()).sum() * -mean,
                Head::HalfMse => {
                    let error = z - y.clone();
                    (error.clone() * error).sum() * (0.5 * mean)
                }
            };
            let gradients = loss.backward();
            for [weights, bias] in &layers {
                black_box((
                    weights.grad(&gradients).is_some(),
                    bias.grad(&gradients).is_some(),
                ));
            }
            loss.inner().into_scalar::<f64>()
        };
        let timing = || {
            Timing::of(options.min_time, options.tries, || {
                black_box(step());
            })
        };
        (step(), timing())
    } else {
        let forward = || {
            let z = logits();
            match row.head {
                Head::Bce => act::sigmoid(z),
                Head::Softmax => act::softmax(z, 1),
                Head::HalfMse => z,
            }
        };
        let a = forward();
        let norm = (a.clone() * a).sum().into_scalar::<f64>() * mean;
        (
            norm,
            Timing::of(options.min_time, options.tries, || {
                black_box(forward());
            }),
        )
    }
}
