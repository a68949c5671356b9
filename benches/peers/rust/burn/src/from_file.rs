//! The operations of rows from files in burn.

use crate::model::Library;
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData, activation as act};
use std::ops::Range;

pub struct FromFile {
    device: Device,
    dtype: DType,
    train: bool,
}

type Matrix = Tensor<2>;

impl Library for FromFile {
    type Matrix = Matrix;
    type Scalar = Tensor<1>;
    type Gradients = Gradients;

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

    fn affine(&self, x: Matrix, [weights, bias]: [&Matrix; 2]) -> Result<Matrix, String> {
        Ok(x.matmul(weights.clone()) + bias.clone())
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
}
