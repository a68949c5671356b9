//! The check of a single layer.

use super::line::{CheckedBlock, cotangent, inner};
use super::single_layer::{Arguments, SingleLayer};
use super::{GradientCheck, Report};
use crate::columns::Columns;
use crate::error::Error;
use crate::layer::Layer;
use crate::layout::Layout;
use crate::point::initial_state;
use crate::scalar::Scalar;

impl GradientCheck {
    /// Checks the derivatives of one layer at parameters θ and inputs x (inputs × m).
    ///
    /// θ holds the blocks of the layer in sequence. The check compares
    /// [`backward`](Layer::backward) with differences of f(θ, x) = Σ r ∘ output for fixed random r,
    /// whose gradients are Δ and the δ of the layer below if δ = r.
    ///
    /// The report has one row for each block of the layer, and one for `input`, without ids. If the
    /// layer's plan declares z with a link ([`Plan::z`](crate::layer::Plan::z)), all rows appear
    /// again as `… (linked)`, for f = Σ r ∘ z. The layer gets exactly the room that its plan
    /// requests, and all buffers are filled with NaN before they are written.
    ///
    /// In [training](Self::training), more rows compare forward passes of the layer that have to
    /// agree. The first two have to be equal bit for bit, and so have those of another seed and of
    /// the new state:
    ///
    /// | row | has to equal |
    /// |---|---|
    /// | `output, repeated` | the output of the same pass before |
    /// | `new state, repeated`, if the layer has state | its new state |
    /// | `output with another seed`, if the layer draws nothing ([`Plan::stochastic`]) | the output with this seed |
    /// | `output in two parts`, with `Δ` and `δ below`, unless the layer [couples](crate::layer::Plan::couples) examples | those of the whole batch: numbers follow from [`first_example`] |
    /// | `output with fixed statistics` ([`Plan::fixed_statistics`]), if the layer has state and draws nothing | the output outside training |
    ///
    /// [`Plan::stochastic`]: crate::layer::Plan::stochastic
    /// [`Plan::fixed_statistics`]: crate::layer::Plan::fixed_statistics
    /// [`first_example`]: crate::layer::At::first_example
    ///
    /// # Errors
    /// - [`Error::ZeroUnits`], [`Error::PenalisedColumns`], [`Error::TooLarge`], … if a network
    ///   would reject the layer.
    /// - [`Error::Length`], [`Error::Shape`], [`Error::NoExamples`] or [`Error::NonFinite`] if θ or
    ///   x does not fit the layer.
    /// - [`Error::NonFinite`] if the output overflows.
    /// - [`Error::NonFinite`] or [`Error::State`] if a training pass writes a new state that is not
    ///   finite, or below its [least value](crate::layer::StateBlock::at_least).
    /// - [`Error::Hyperparameter`] for an invalid step or tolerance.
    ///
    /// # Example
    /// A dense layer with 2 inputs and 2 units has 6 parameters; 3 examples have 6 inputs:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Dense, GradientCheck, activation::Tanh};
    ///
    /// let theta = [0.1, -0.2, 0.3, 0.5, -0.4, 0.6];
    /// let x = DMatrix::from_row_slice(2, 3, &[0.5, -1.0, 2.0, 1.0, 0.3, -0.7]);
    /// let report = GradientCheck::new().layer(&Dense::new(2, 2, Tanh), &theta, &x)?;
    /// report.assert_passed();
    /// assert_eq!(report.block("Θ").map(|b| b.compared), Some(6));
    /// assert_eq!(report.block("input").map(|b| b.compared), Some(6));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn layer<'a, T: Scalar, L: Layer<T>>(
        &self,
        layer: &L,
        theta: &[T],
        x: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let x = x.columns_view();
        let layout = SingleLayer::layout(layer, x)?;
        let state = initial_state(layout.state_places())?;
        let state = state.as_slice();
        let at = Arguments { theta, state, x };
        let mut single = SingleLayer::new(layer, &layout, at)?;
        single.training = self.training;
        let mut report = Report::new(&self.settings::<T>()?);
        report.cost = self.layer_path(&mut report, &single, &layout, at)?;
        if single.has_link() {
            single.linked = true;
            self.layer_path(&mut report, &single, &layout, at)?;
        }
        self.compare_passes(&mut report, &single, at)?;
        Ok(report)
    }

    /// Compares Δ and δ below for one meaning of δ, and returns f.
    fn layer_path<T: Scalar, L: Layer<T>>(
        &self,
        report: &mut Report,
        single: &SingleLayer<'_, L>,
        layout: &Layout,
        at: Arguments<'_, T>,
    ) -> Result<f64, Error> {
        let (n, s, m, p) = (
            single.inputs,
            single.outputs,
            single.examples,
            at.theta.len(),
        );
        let (r, linked) = (cotangent(s, m, self.seed), single.linked);
        // Ids do not move.
        let rows = layout.plan().rows_of_numbers();
        let numbers = (0..m).flat_map(|k| rows.iter().map(move |row| k * n + row));
        let numbers: Vec<usize> = numbers.collect();
        let pass = |point: &[T], gradient: Option<&mut [T]>| {
            let (theta, moved) = point.split_at(p);
            let mut x = at.x.clone_owned();
            for (&entry, &moved) in numbers.iter().zip(moved) {
                x[entry] = moved;
            }
            let at = Arguments {
                theta,
                x: x.as_view(),
                ..at
            };
            let forward = single.forward(at);
            if let Some(gradient) = gradient {
                let back = single.backward(at, &forward, &r);
                let (to_theta, to_x) = gradient.split_at_mut(p);
                to_theta.copy_from_slice(&back.gradient);
                for (to, &entry) in to_x.iter_mut().zip(&numbers) {
                    *to = back.below[entry];
                }
            }
            let z = single.z(Some(at.x), &forward).filter(|_| linked);
            let values = z.as_deref().unwrap_or(forward.output.as_slice());
            Ok(inner(r.as_slice(), values))
        };
        let mut point = at.theta.to_vec();
        let x = at.x.clone_owned();
        point.extend(numbers.iter().map(|&entry| x[entry]));
        let suffix = if linked { " (linked)" } else { "" };
        let mut blocks = parameter_blocks(layout, "", suffix, 0);
        if !numbers.is_empty() {
            let (label, len) = (format!("input{suffix}"), numbers.len());
            blocks.push(CheckedBlock::new(&label, rows.len(), p, len));
        }
        self.compare_gradient(report, &blocks, &point, 0.0, pass)
    }
}

/// Lists the blocks of a layer, from `start` on.
pub(super) fn parameter_blocks(
    layout: &Layout,
    prefix: &str,
    suffix: &str,
    start: usize,
) -> Vec<CheckedBlock> {
    let blocks = layout.blocks().iter().map(|place| {
        let (block, range) = (place.block(), place.range());
        let label = format!("{prefix}{}{suffix}", block.name);
        CheckedBlock::new(&label, block.rows, start + range.start, range.len())
    });
    blocks.collect()
}
