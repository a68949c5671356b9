//! The operations of rows from files in candle.

use crate::model::{Affine, Library};
use crate::spec::State;
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Error, Tensor, Var};
use candle_nn::{BatchNorm, ModuleT, ops};
use std::ops::Range;

pub struct FromFile {
    dtype: DType,
    train: bool,
}

fn text(error: Error) -> String {
    error.to_string()
}

impl FromFile {
    fn cost_of(name: &str, z: &Tensor, y: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let terms = match name {
            // max(z, 0) − z y + ln(1 + e^(−|z|))
            "bce" => {
                let log = (z.abs()?.neg()?.exp()? + 1.0)?.log()?;
                ((z.relu()? - (z * y)?)? + log)?
            }
            "cce" => (ops::log_softmax(z, 1)? * y)?.neg()?,
            "half_mse" => (((z - y)?).sqr()? * 0.5)?,
            _ => return Ok(None),
        };
        terms.sum_all().map(Some)
    }
}

impl Library for FromFile {
    type Matrix = Tensor;
    type Scalar = Tensor;
    type Gradients = GradStore;
    type Ids = Tensor;
    type State = BatchNorm;

    fn new(dtype: &str, train: bool) -> Self {
        let dtype = if dtype == "f32" {
            DType::F32
        } else {
            DType::F64
        };
        Self { dtype, train }
    }

    fn constant(&self, values: &[f64], [rows, columns]: [usize; 2]) -> Result<Tensor, String> {
        let values = Tensor::from_slice(values, (rows, columns), &Device::Cpu);
        values
            .and_then(|values| values.to_dtype(self.dtype))
            .map_err(text)
    }

    fn parameter(&self, values: &[f64], shape: [usize; 2]) -> Result<Tensor, String> {
        let values = self.constant(values, shape)?;
        // Inference records nothing.
        if !self.train {
            return Ok(values);
        }
        let variable = Var::from_tensor(&values).map_err(text)?;
        Ok(variable.as_tensor().clone())
    }

    fn ids(&self, values: &[f64], [rows, columns]: [usize; 2]) -> Result<Tensor, String> {
        let values: Vec<u32> = values.iter().map(|&value| value as u32).collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).map_err(text)
    }

    fn state(&self, state: &State, affine: Affine<'_, Self>) -> Result<BatchNorm, String> {
        let start = |value: f64| self.constant(&vec![value; state.units], [1, state.units]);
        let (mean, variance) = (start(0.0)?, start(1.0)?);
        let (eps, momentum) = (state.norm.eps, state.momentum);
        let norm = || {
            let (mean, variance) = (mean.flatten_all()?, variance.flatten_all()?);
            match affine {
                Some([gamma, beta]) => BatchNorm::new_with_momentum(
                    state.units,
                    mean,
                    variance,
                    gamma.flatten_all()?,
                    beta.flatten_all()?,
                    eps,
                    momentum,
                ),
                None => {
                    BatchNorm::new_no_bias_with_momentum(state.units, mean, variance, eps, momentum)
                }
            }
        };
        norm().map_err(text)
    }

    fn affine(&self, x: Tensor, weights: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, String> {
        let z = x.matmul(weights);
        match bias {
            Some(bias) => z.and_then(|z| z.broadcast_add(bias)).map_err(text),
            None => z.map_err(text),
        }
    }

    fn embedding(&self, ids: &Tensor, table: &Tensor) -> Result<Tensor, String> {
        let look_up = || {
            let vectors = table.index_select(&ids.flatten_all()?, 0)?;
            vectors.reshape((ids.dim(0)?, ids.dim(1)? * table.dim(1)?))
        };
        look_up().map_err(text)
    }

    fn layer_norm(&self, x: Tensor, eps: f64, affine: Affine<'_, Self>) -> Result<Tensor, String> {
        let [gamma, beta] = affine.ok_or("no layer norm without γ here")?;
        // The other form has no gradients.
        ops::layer_norm_slow(&x, gamma, beta, eps as f32).map_err(text)
    }

    fn batch_norm(
        &self,
        x: Tensor,
        state: &mut BatchNorm,
        _: Affine<'_, Self>,
    ) -> Result<Tensor, String> {
        let a = state.forward_t(&x, self.train);
        // Its output is transposed.
        a.and_then(|a| a.contiguous()).map_err(text)
    }

    fn masked(&self, x: Tensor, mask: &Tensor, p: f64) -> Result<Tensor, String> {
        let masked = (x * mask).and_then(|a| a * (1.0 / (1.0 - p)));
        masked.map_err(text)
    }

    fn dropout(&self, x: Tensor, p: f64) -> Result<Tensor, String> {
        ops::dropout(&x, p as f32).map_err(text)
    }

    fn activation(&self, name: &str, z: Tensor) -> Result<Tensor, String> {
        match name {
            "identity" => Ok(z),
            "sigmoid" => ops::sigmoid(&z),
            "tanh" => z.tanh(),
            "relu" => z.relu(),
            "gelu_erf" => z.gelu_erf(),
            "gelu_tanh" => z.gelu(),
            "silu" => z.silu(),
            "elu" => z.elu(1.0),
            "leaky_relu" => ops::leaky_relu(&z, 0.01),
            "exp" => z.exp(),
            "sin" => z.sin(),
            // This one has gradients.
            "softmax" if self.train => ops::softmax(&z, 1),
            "softmax" => ops::softmax_last_dim(&z),
            _ => return Err(format!("no {name} here")),
        }
        .map_err(text)
    }

    fn add(&self, a: Tensor, b: Tensor) -> Result<Tensor, String> {
        (a + b).map_err(text)
    }

    fn reshape(&self, x: Tensor, [rows, columns]: [usize; 2]) -> Result<Tensor, String> {
        x.reshape((rows, columns)).map_err(text)
    }

    fn transpose(&self, x: Tensor, [first, last]: [usize; 2]) -> Result<Tensor, String> {
        let swap = |x: Tensor| {
            let (rows, columns) = x.dims2()?;
            let axes = x.reshape((rows, first, last))?.transpose(1, 2)?;
            axes.contiguous()?.reshape((rows, columns))
        };
        swap(x).map_err(text)
    }

    fn columns(&self, x: Tensor, columns: Range<usize>) -> Result<Tensor, String> {
        let columns = x.narrow(1, columns.start, columns.len());
        columns
            .and_then(|columns| columns.contiguous())
            .map_err(text)
    }

    fn join(&self, columns: Vec<Tensor>) -> Result<Tensor, String> {
        Tensor::cat(&columns, 1).map_err(text)
    }

    fn cost(&self, name: &str, z: Tensor, y: &Tensor) -> Result<Tensor, String> {
        let cost = Self::cost_of(name, &z, y).map_err(text)?;
        cost.ok_or_else(|| format!("no {name} here"))
    }

    fn squares(&self, x: &Tensor) -> Result<Tensor, String> {
        x.sqr().and_then(|x| x.sum_all()).map_err(text)
    }

    fn total(&self, terms: Vec<(Tensor, f64)>) -> Result<Tensor, String> {
        let mut terms = terms.into_iter().map(|(term, factor)| term * factor);
        let first = terms.next().ok_or("no cost")?;
        terms.fold(first, |sum, term| sum? + term?).map_err(text)
    }

    fn backward(&self, loss: &Tensor) -> Result<GradStore, String> {
        loss.backward().map_err(text)
    }

    fn gradient(&self, gradients: &GradStore, parameter: &Tensor) -> Option<Tensor> {
        gradients.get(parameter).cloned()
    }

    fn number(&self, scalar: Tensor) -> Result<f64, String> {
        let scalar = scalar.to_dtype(DType::F64);
        scalar.and_then(|scalar| scalar.to_scalar()).map_err(text)
    }

    fn numbers(&self, matrix: Tensor) -> Result<Vec<f64>, String> {
        let matrix = matrix.to_dtype(DType::F64);
        matrix
            .and_then(|matrix| matrix.flatten_all()?.to_vec1())
            .map_err(text)
    }

    fn numbers_of(&self, state: &BatchNorm) -> Result<[Vec<f64>; 2], String> {
        let numbers = |values: &Tensor| self.numbers(values.clone());
        Ok([
            numbers(state.running_mean())?,
            numbers(state.running_var())?,
        ])
    }
}
