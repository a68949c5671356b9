//! The nodes of each layer.

use super::expression::Expression;
use super::formula::{formula, operator_of};
use super::write::{Done, Setting, Site, Writer, take};
use crate::activation::AnyActivation;
use crate::file_scalar::FileScalar;
use crate::layer::{AnyLayer, Axis, BatchNorm, Child, Dense, Layer, LayerNorm, Plan, Rearrange};
use crate::path::Path;
use crate::shape::Shape;

impl<T: FileScalar> Writer<'_, T> {
    /// Writes layers in sequence, and returns their output.
    pub(super) fn layers<C: Layer<T>>(
        &mut self,
        layers: &[AnyLayer<C>],
        plan: &Plan,
        path: &Path,
        mut x: String,
    ) -> Done<String> {
        for (i, (layer, child)) in layers.iter().zip(&plan.children).enumerate() {
            x = self.layer(layer, child, path.child(i), x)?;
        }
        Ok(x)
    }

    fn layer<C: Layer<T>>(
        &mut self,
        layer: &AnyLayer<C>,
        child: &Child,
        path: Path,
        x: String,
    ) -> Done<String> {
        let plan = &child.plan;
        let name = child.name.clone();
        let site = &Site { path, name };
        match layer {
            AnyLayer::Dense(layer) => self.dense(site, layer, plan, &x),
            AnyLayer::Activate(layer) => self.activation(site, *layer.activation(), x),
            AnyLayer::Dropout(layer) => {
                let ratio = self.scalar(site, layer.p())?;
                self.node(site, "Dropout", &[&x, &ratio], &[])
            }
            AnyLayer::LayerNorm(layer) => self.layer_norm(site, *layer, plan, &x),
            AnyLayer::RmsNorm(layer) => {
                let y = self.scaled_by_root(site, &x, layer.0.axes, layer.0.eps)?;
                self.affine(site, y, plan, None)
            }
            AnyLayer::BatchNorm(layer) => self.batch_norm(site, *layer, plan, &x),
            // It does nothing outside training.
            AnyLayer::GaussianNoise(_) => Ok(x),
            AnyLayer::Rearrange(layer) => self.rearrange(site, *layer, &x),
            AnyLayer::Sequential(layer) => self.layers(layer.layers(), plan, &site.path, x),
            AnyLayer::Residual(layer) => {
                let shortcut = layer.shortcut().into_iter();
                let bodies = [layer.body()].into_iter().chain(shortcut);
                let mut ends = Vec::new();
                for (i, (branch, child)) in bodies.zip(&plan.children).enumerate() {
                    let path = site.path.child(i);
                    ends.push(self.layers(branch.layers(), &child.plan, &path, x.clone())?);
                }
                let body = ends.first().unwrap_or(&x);
                self.node(site, "Add", &[body, ends.get(1).unwrap_or(&x)], &[])
            }
            AnyLayer::Concat(layer) => {
                let mut ends = Vec::new();
                let branches = layer.branches().iter().zip(&plan.children);
                for (i, (branch, child)) in branches.enumerate() {
                    let path = site.path.child(i);
                    ends.push(self.layers(branch.layers(), &child.plan, &path, x.clone())?);
                }
                let ends: Vec<&str> = ends.iter().map(String::as_str).collect();
                let axis = match layer.axis() {
                    Axis::First => 1,
                    Axis::Last => -1,
                };
                self.node(site, "Concat", &ends, &[("axis", Setting::Int(axis))])
            }
            AnyLayer::Embedding(layer) => {
                let table = take(&mut self.theta, layer.entries() * layer.dim());
                let table = self.parameter(site, None, table.iter().copied())?;
                let ids = self.node(site, "Cast", &[&x], &[("to", Setting::Int(7))])?;
                self.node(site, "Gather", &[&table, &ids], &[])
            }
            AnyLayer::Custom(_) => Err(site.refused("ONNX has no operator for a custom layer")),
        }
    }

    fn dense(&mut self, site: &Site, layer: &Dense, plan: &Plan, x: &str) -> Done<String> {
        let Some(block) = plan.blocks.first() else {
            return Err(site.refused("it has no weights"));
        };
        let (outputs, bias_columns) = (block.rows, usize::from(layer.has_bias()));
        let bias = take(&mut self.theta, outputs * bias_columns);
        let inputs = block.cols - bias_columns;
        let columns = take(&mut self.theta, outputs * inputs);
        let entry = |i: usize| columns[i % inputs * outputs + i / inputs];
        let weight = self.parameter(site, None, (0..columns.len()).map(entry))?;
        let bias = match layer.has_bias() {
            true => Some(self.parameter(site, None, bias.iter().copied())?),
            false => None,
        };
        let bias = bias.as_deref();
        let y = match plan.input() {
            Shape::Units(_) => {
                let inputs: Vec<&str> = [x, &weight].into_iter().chain(bias).collect();
                self.node(site, "Gemm", &inputs, &[("transB", Setting::Int(1))])?
            }
            _ => {
                let swap = [("perm", Setting::Ints(&[1, 0]))];
                let weight = self.node(site, "Transpose", &[&weight], &swap)?;
                let y = self.node(site, "MatMul", &[x, &weight], &[])?;
                match bias {
                    Some(bias) => self.node(site, "Add", &[&y, bias], &[])?,
                    None => y,
                }
            }
        };
        self.activation(site, *layer.activation(), y)
    }

    fn activation(&mut self, site: &Site, activation: AnyActivation, x: String) -> Done<String> {
        if activation == AnyActivation::Identity {
            return Ok(x);
        }
        let operator = operator_of(activation, self.is_double);
        if let Some((operator, constant)) = operator {
            let constant = constant.map(|(name, value)| (name, Setting::Float(value)));
            let axis = matches!(activation, AnyActivation::Softmax);
            let axis = axis.then_some(("axis", Setting::Int(-1)));
            let settings: Vec<_> = constant.into_iter().chain(axis).collect();
            return self.node(site, operator, &[&x], &settings);
        }
        match formula(activation) {
            Some(formula) => self.expression(site, &formula, &x),
            None => Err(site.refused("ONNX has no operator for its activation")),
        }
    }

    /// Writes a formula of x.
    fn expression(&mut self, site: &Site, of: &Expression, x: &str) -> Done<String> {
        match of {
            Expression::X => Ok(x.to_owned()),
            Expression::Number(value) => self.scalar(site, *value),
            Expression::Sum(number, terms) => {
                let number = (*number != 0.0).then_some(*number);
                self.joined(site, "Add", terms, number, x)
            }
            Expression::Product(-1.0, factors) => {
                let product = self.joined(site, "Mul", factors, None, x)?;
                self.node(site, "Neg", &[&product], &[])
            }
            Expression::Product(number, factors) => {
                let number = (*number != 1.0).then_some(*number);
                self.joined(site, "Mul", factors, number, x)
            }
            // There is no kernel for `f64` in onnxruntime.
            Expression::Call("Softplus", of) if self.is_double => {
                let inner = self.expression(site, of.first().unwrap_or(&Expression::X), x)?;
                let positive = self.node(site, "Relu", &[&inner], &[])?;
                let size = self.node(site, "Abs", &[&inner], &[])?;
                let size = self.node(site, "Neg", &[&size], &[])?;
                let power = self.node(site, "Exp", &[&size], &[])?;
                let one = self.scalar(site, 1.0)?;
                let sum = self.node(site, "Add", &[&power, &one], &[])?;
                let log = self.node(site, "Log", &[&sum], &[])?;
                self.node(site, "Add", &[&positive, &log], &[])
            }
            Expression::Call(operator, of) => {
                let inputs = of.iter().map(|of| self.expression(site, of, x));
                let inputs = inputs.collect::<Done<Vec<_>>>()?;
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                self.node(site, operator, &inputs, &[])
            }
        }
    }

    /// Writes a sum or a product, with the constant last.
    fn joined(
        &mut self,
        site: &Site,
        operator: &str,
        parts: &[Expression],
        number: Option<f64>,
        x: &str,
    ) -> Done<String> {
        let mut all = Vec::new();
        for part in parts {
            all.push(self.expression(site, part, x)?);
        }
        if let Some(number) = number {
            all.push(self.scalar(site, number)?);
        }
        let mut all = all.into_iter();
        let mut result = all.next().unwrap_or_else(|| x.to_owned());
        for part in all {
            result = self.node(site, operator, &[&result, &part], &[])?;
        }
        Ok(result)
    }

    fn layer_norm(&mut self, site: &Site, layer: LayerNorm, plan: &Plan, x: &str) -> Done<String> {
        // The operator computes the statistics in `f32`.
        if layer.0.affine && !self.is_double {
            let [scale, shift] = self.vectors(site, plan, None)?;
            let settings = [
                ("axis", Setting::Int(-(layer.0.axes as i64))),
                ("epsilon", Setting::Float(layer.0.eps)),
            ];
            return self.node(site, "LayerNormalization", &[x, &scale, &shift], &settings);
        }
        let mean = self.mean(site, x, layer.0.axes)?;
        let centred = self.node(site, "Sub", &[x, &mean], &[])?;
        let y = self.scaled_by_root(site, &centred, layer.0.axes, layer.0.eps)?;
        self.affine(site, y, plan, None)
    }

    fn mean(&mut self, site: &Site, x: &str, axes: usize) -> Done<String> {
        let axes: Vec<i64> = (1..=axes as i64).rev().map(|axis| -axis).collect();
        let settings = [
            ("axes", Setting::Ints(&axes)),
            ("keepdims", Setting::Int(1)),
        ];
        self.node(site, "ReduceMean", &[x], &settings)
    }

    /// Writes x/√(mean of x² + ε).
    fn scaled_by_root(&mut self, site: &Site, x: &str, axes: usize, eps: f64) -> Done<String> {
        let squares = self.node(site, "Mul", &[x, x], &[])?;
        let mean = self.mean(site, &squares, axes)?;
        self.divided_by_root(site, x, &mean, eps)
    }

    /// Writes x/√(variance + ε).
    fn divided_by_root(&mut self, site: &Site, x: &str, variance: &str, eps: f64) -> Done<String> {
        let eps = self.scalar(site, eps)?;
        let sum = self.node(site, "Add", &[variance, &eps], &[])?;
        let root = self.node(site, "Sqrt", &[&sum], &[])?;
        self.node(site, "Div", &[x, &root], &[])
    }

    /// Writes γ and β of a plan, which may have none, as operators.
    fn affine(
        &mut self,
        site: &Site,
        mut y: String,
        plan: &Plan,
        dims: Option<&[usize]>,
    ) -> Done<String> {
        for (block, operator) in plan.blocks.iter().zip(["Mul", "Add"]) {
            let numbers = take(&mut self.theta, block.rows);
            let vector = self.parameter(site, dims, numbers.iter().copied())?;
            y = self.node(site, operator, &[&y, &vector], &[])?;
        }
        Ok(y)
    }

    /// Writes γ and β.
    fn vectors(&mut self, site: &Site, plan: &Plan, dims: Option<&[usize]>) -> Done<[String; 2]> {
        let len = plan.blocks.first().map_or(0, |block| block.rows);
        let mut next = || {
            let numbers = take(&mut self.theta, len);
            self.parameter(site, dims, numbers.iter().copied())
        };
        Ok([next()?, next()?])
    }

    fn batch_norm(&mut self, site: &Site, layer: BatchNorm, plan: &Plan, x: &str) -> Done<String> {
        let len = plan.state_blocks.first().map_or(0, |block| block.len);
        let (mean, variance) = (take(&mut self.state, len), take(&mut self.state, len));
        if layer.momentum.is_none() {
            take(&mut self.state, 1); // the number of batches
        }
        let is_sequence = matches!(plan.input(), Shape::Sequence { .. });
        if layer.is_affine() && !is_sequence {
            let [scale, shift] = self.vectors(site, plan, None)?;
            let mean = self.parameter(site, None, mean.iter().copied())?;
            let variance = self.parameter(site, None, variance.iter().copied())?;
            self.skip_parameter();
            let settings = [
                ("epsilon", Setting::Float(layer.epsilon())),
                (
                    "momentum",
                    Setting::Float(1.0 - layer.momentum.unwrap_or(0.1)),
                ),
            ];
            let inputs = [x, &scale, &shift, &mean, &variance];
            return self.node(site, "BatchNormalization", &inputs, &settings);
        }
        // Along the axis of the units.
        let mut dims = vec![len];
        if !is_sequence {
            dims.resize(plan.input().axes(), 1);
        }
        // The tensors come in the order of the network: γ and β first.
        let affine = match layer.is_affine() {
            true => Some(self.vectors(site, plan, Some(&dims))?),
            false => None,
        };
        let mean = self.parameter(site, Some(&dims), mean.iter().copied())?;
        let variance = self.parameter(site, Some(&dims), variance.iter().copied())?;
        self.skip_parameter();
        let centred = self.node(site, "Sub", &[x, &mean], &[])?;
        let mut y = self.divided_by_root(site, &centred, &variance, layer.epsilon())?;
        for (vector, operator) in affine.iter().flatten().zip(["Mul", "Add"]) {
            y = self.node(site, operator, &[&y, vector], &[])?;
        }
        Ok(y)
    }

    fn rearrange(&mut self, site: &Site, layer: Rearrange, x: &str) -> Done<String> {
        match layer {
            Rearrange::Flatten => self.node(site, "Flatten", &[x], &[("axis", Setting::Int(1))]),
            Rearrange::Transpose => {
                let swap = [("perm", Setting::Ints(&[0, 2, 1]))];
                self.node(site, "Transpose", &[x], &swap)
            }
            Rearrange::Select { from, to } => {
                let ends = [from as i64, to as i64, 1].map(|value| self.index(value));
                let [from, to, axis] = ends;
                self.node(site, "Slice", &[x, &from?, &to?, &axis?], &[])
            }
        }
    }
}
