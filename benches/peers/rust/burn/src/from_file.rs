//! The operations of rows from files in burn.

use crate::model::{Affine, Library};
use crate::spec;
use burn::tensor::{DType, Device, Distribution, Gradients, Int, Tensor, TensorData};
use burn::tensor::{activation as act, module};
use std::ops::Range;

pub struct FromFile {
    device: Device,
    dtype: DType,
    train: bool,
}

type Matrix = Tensor<2>;

/// A running mean and variance, updated as `BatchNorm` of burn does, but with the unbiased variance
/// of a batch.
pub struct State {
    mean: Tensor<1>,
    variance: Tensor<1>,
    momentum: f64,
    eps: f64,
}

fn vector(row: &Matrix) -> Tensor<1> {
    row.clone().flatten(0, 1)
}

impl Library for FromFile {
    type Matrix = Matrix;
    type Scalar = Tensor<1>;
    type Gradients = Gradients;
    type Ids = Tensor<2, Int>;
    type State = State;

    fn new(dtype: &str, train: bool) -> Self {
        #[allow(deprecated)]
        let base = Device::flex();
        let device = if train { base.autodiff() } else { base };
        let dtype = if dtype == "f32" {
            DType::F32
        } else {
            DType::F64
        };
        Self {
            device,
            dtype,
            train,
        }
    }

    fn constant(&self, values: &[f64], shape: [usize; 2]) -> Result<Matrix, String> {
        let data = if self.dtype == DType::F32 {
            let values = values.iter().map(|&value| value as f32);
            TensorData::new(values.collect::<Vec<_>>(), shape)
        } else {
            TensorData::new(values.to_vec(), shape)
        };
        Ok(Tensor::from_data(data, (&self.device, self.dtype)))
    }

    fn parameter(&self, values: &[f64], shape: [usize; 2]) -> Result<Matrix, String> {
        let values = self.constant(values, shape)?;
        Ok(if self.train {
            values.require_grad()
        } else {
            values
        })
    }

    fn ids(&self, values: &[f64], shape: [usize; 2]) -> Result<Tensor<2, Int>, String> {
        let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
        Ok(Tensor::from_data(
            TensorData::new(values, shape),
            (&self.device, DType::I64),
        ))
    }

    fn state(&self, state: &spec::State, _: Affine<'_, Self>) -> Result<State, String> {
        let start = |value: f64| self.constant(&vec![value; state.units], [1, state.units]);
        Ok(State {
            mean: vector(&start(0.0)?),
            variance: vector(&start(1.0)?),
            momentum: state.momentum,
            eps: state.norm.eps,
        })
    }

    fn affine(&self, x: Matrix, weights: &Matrix, bias: Option<&Matrix>) -> Result<Matrix, String> {
        let z = x.matmul(weights.clone());
        Ok(match bias {
            Some(bias) => z + bias.clone(),
            None => z,
        })
    }

    fn embedding(&self, ids: &Tensor<2, Int>, table: &Matrix) -> Result<Matrix, String> {
        Ok(module::embedding(table.clone(), ids.clone()).flatten(1, 2))
    }

    fn layer_norm(&self, x: Matrix, eps: f64, affine: Affine<'_, Self>) -> Result<Matrix, String> {
        let [gamma, beta] = affine.ok_or("no layer norm without γ here")?;
        Ok(module::layer_norm(
            x,
            vector(gamma),
            Some(vector(beta)),
            eps,
        ))
    }

    fn batch_norm(
        &self,
        x: Matrix,
        state: &mut State,
        affine: Affine<'_, Self>,
    ) -> Result<Matrix, String> {
        let [gamma, beta] = affine.ok_or("no batch norm without γ here")?.map(vector);
        let (mean, variance) = (state.mean.clone(), state.variance.clone());
        if !self.train {
            return Ok(module::batch_norm(
                x, gamma, beta, mean, variance, state.eps,
            ));
        }
        let m = x.dims()[0] as f64;
        let found = module::batch_norm_train(x, gamma, beta, state.eps);
        let (rate, unbiased) = (state.momentum, m / (m - 1.0));
        state.mean = (mean * (1.0 - rate) + found.mean.detach() * rate).detach();
        let variance = variance * (1.0 - rate) + found.variance.detach() * (rate * unbiased);
        state.variance = variance.detach();
        Ok(found.output)
    }

    fn masked(&self, x: Matrix, mask: &Matrix, p: f64) -> Result<Matrix, String> {
        Ok(x * mask.clone() * (1.0 / (1.0 - p)))
    }

    fn dropout(&self, x: Matrix, p: f64) -> Result<Matrix, String> {
        let mask = x.random_like(Distribution::Bernoulli(1.0 - p));
        self.masked(x, &mask, p)
    }

    fn activation(&self, name: &str, z: Matrix) -> Result<Matrix, String> {
        Ok(match name {
            "identity" => z,
            "sigmoid" => act::sigmoid(z),
            "tanh" => act::tanh(z),
            "relu" => act::relu(z),
            "gelu_erf" => act::gelu(z),
            "silu" => act::silu(z),
            "softplus" => act::softplus(z, 1.0),
            "mish" => act::mish(z),
            "leaky_relu" => act::leaky_relu(z, 0.01),
            "exp" => z.exp(),
            "sin" => z.sin(),
            "softmax" => act::softmax(z, 1),
            _ => return Err(format!("no {name} here")),
        })
    }

    fn add(&self, a: Matrix, b: Matrix) -> Result<Matrix, String> {
        Ok(a + b)
    }

    fn reshape(&self, x: Matrix, shape: [usize; 2]) -> Result<Matrix, String> {
        Ok(x.reshape(shape))
    }

    fn transpose(&self, x: Matrix, [first, last]: [usize; 2]) -> Result<Matrix, String> {
        let [rows, columns] = x.dims();
        let axes = x.reshape([rows, first, last]).swap_dims(1, 2);
        Ok(axes.reshape([rows, columns]))
    }

    fn columns(&self, x: Matrix, columns: Range<usize>) -> Result<Matrix, String> {
        Ok(x.narrow(1, columns.start, columns.len()))
    }

    fn join(&self, columns: Vec<Matrix>) -> Result<Matrix, String> {
        Ok(Tensor::cat(columns, 1))
    }

    fn cost(&self, name: &str, z: Matrix, y: &Matrix) -> Result<Tensor<1>, String> {
        Ok(match name {
            "bce" => (act::softplus(z.clone(), 1.0) - z * y.clone()).sum(),
            "cce" => -(act::log_softmax(z, 1) * y.clone()).sum(),
            "half_mse" => {
                let error = z - y.clone();
                (error.clone() * error).sum() * 0.5
            }
            _ => return Err(format!("no {name} here")),
        })
    }

    fn squares(&self, x: &Matrix) -> Result<Tensor<1>, String> {
        Ok((x.clone() * x.clone()).sum())
    }

    fn total(&self, terms: Vec<(Tensor<1>, f64)>) -> Result<Tensor<1>, String> {
        let terms = terms.into_iter().map(|(term, factor)| term * factor);
        terms.reduce(|a, b| a + b).ok_or_else(|| "no cost".into())
    }

    fn backward(&self, loss: &Tensor<1>) -> Result<Gradients, String> {
        Ok(loss.backward())
    }

    fn gradient(&self, gradients: &Gradients, parameter: &Matrix) -> Option<Matrix> {
        parameter.grad(gradients)
    }

    fn number(&self, scalar: Tensor<1>) -> Result<f64, String> {
        let scalar = if self.train { scalar.inner() } else { scalar };
        Ok(scalar.into_scalar::<f64>())
    }

    fn numbers(&self, matrix: Matrix) -> Result<Vec<f64>, String> {
        Ok(matrix.into_data().iter::<f64>().collect())
    }

    fn numbers_of(&self, state: &State) -> Result<[Vec<f64>; 2], String> {
        let numbers = |values: &Tensor<1>| values.clone().into_data().iter::<f64>().collect();
        Ok([numbers(&state.mean), numbers(&state.variance)])
    }
}
