//! Layers that move entries of an example and compute nothing: flatten, transpose, select.

use super::{Backward, BackwardTangent, Forward, ForwardTangent, Layer, Plan, Site};
use crate::error::Error;
use crate::path::Path;
use crate::scalar::Scalar;
use crate::shape::Shape;
use nalgebra::{DMatrixView, DMatrixViewMut};

/// A layer whose outputs are entries of its input.
///
/// # Example
/// A sequence of two steps with three features, as a signal of three channels over two positions:
/// ```
/// use backprop::layer::{AnyLayer, Transpose};
/// use backprop::{Network, Shape};
///
/// let sequence = Shape::Sequence { steps: 2, features: 3 };
/// let layers = vec![AnyLayer::Rearrange(Transpose)];
/// let network = Network::<f64>::from_layers(sequence, layers, &[])?;
/// let a = network.forward(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!(a.as_slice(), &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
#[non_exhaustive]
pub enum Rearrange {
    /// Makes plain units of all entries, in their order (C order).
    Flatten,
    /// Swaps the two axes of a sequence, which becomes a signal, or of a signal, which becomes a
    /// sequence: features are channels, and steps are positions.
    Transpose,
    /// Passes on the rows `from` ≤ r < `to` of plain units. Networks with several inputs take them
    /// as rows of one X.
    Select {
        /// The first row.
        from: usize,
        /// The row after the last.
        to: usize,
    },
}

impl Rearrange {
    /// Returns the shape of the output.
    fn output(self, input: Shape) -> Result<Shape, Error> {
        let expected = match (self, input) {
            (Self::Flatten, _) => return Ok(Shape::Units(input.len())),
            (Self::Transpose, Shape::Sequence { steps, features }) => {
                return Ok(Shape::Signal {
                    channels: features,
                    length: steps,
                });
            }
            (Self::Transpose, Shape::Signal { channels, length }) => {
                return Ok(Shape::Sequence {
                    steps: length,
                    features: channels,
                });
            }
            (Self::Select { from, to }, Shape::Units(units)) if from < to && to <= units => {
                return Ok(Shape::Units(to - from));
            }
            (Self::Transpose, _) => "a sequence or a signal",
            (Self::Select { .. }, _) => "plain units that include the selected rows",
        };
        Err(Error::LayerShape {
            layer: Path::default(),
            expected,
            found: input,
        })
    }

    /// Returns the input that an output copies.
    pub(super) fn source(self, input: Shape, output: usize) -> usize {
        match self {
            Self::Flatten => output,
            Self::Transpose => {
                let (rows, cols) = (input.positions(), input.last_axis());
                output % rows * cols + output / rows
            }
            Self::Select { from, .. } => from + output,
        }
    }

    /// Calls `visit` with the index of each output and of the input that it copies.
    fn for_each_pair(self, input: Shape, mut visit: impl FnMut(usize, usize)) {
        match self {
            Self::Flatten => (0..input.len()).for_each(|i| visit(i, i)),
            Self::Transpose => {
                let (rows, cols) = (input.positions(), input.last_axis());
                for i in 0..rows {
                    (0..cols).for_each(|j| visit(j * rows + i, i * cols + j));
                }
            }
            Self::Select { from, to } => (from..to).for_each(|i| visit(i - from, i)),
        }
    }
}

/// Copies inputs to outputs.
fn gather<T: Scalar>(
    layer: Rearrange,
    shape: Shape,
    from: &DMatrixView<'_, T>,
    to: &mut DMatrixViewMut<'_, T>,
) {
    for (from, mut to) in from.column_iter().zip(to.column_iter_mut()) {
        let (from, to) = (from.as_slice(), to.as_mut_slice());
        layer.for_each_pair(shape, |output, input| to[output] = from[input]);
    }
}

/// Copies outputs back to inputs. Other inputs become 0.
fn scatter<T: Scalar>(
    layer: Rearrange,
    shape: Shape,
    from: &DMatrixView<'_, T>,
    to: &mut DMatrixViewMut<'_, T>,
) {
    to.fill(T::zero());
    for (from, mut to) in from.column_iter().zip(to.column_iter_mut()) {
        let (from, to) = (from.as_slice(), to.as_mut_slice());
        layer.for_each_pair(shape, |output, input| to[input] = from[output]);
    }
}

impl<T: Scalar> Layer<T> for Rearrange {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        let plan = Plan::new(site, self.output(site.input)?);
        Ok(plan.own_each().moves_entries(*self))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        let shape = pass.at.plan.input();
        gather(*self, shape, &pass.input, &mut pass.output);
    }

    fn backward(&self, mut pass: Backward<'_, T>) {
        let shape = pass.at.plan.input();
        if let Some(below) = &mut pass.input_delta {
            scatter(*self, shape, &pass.delta.as_view(), below);
        }
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.backward(pass); // there are no parameters
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        let shape = pass.at.plan.input();
        match &pass.input_tangent {
            Some(input) => gather(*self, shape, input, &mut pass.output_tangent),
            None => pass.output_tangent.fill(T::zero()),
        }
        Ok(())
    }

    fn backward_tangent(&self, mut along: BackwardTangent<'_, T>) -> Result<(), Error> {
        let shape = along.pass.at.plan.input();
        if let Some(below) = &mut along.input_delta_tangent {
            scatter(*self, shape, &along.delta_tangent.as_view(), below);
        }
        self.backward(along.pass);
        Ok(())
    }

    fn name(&self) -> String {
        match self {
            Self::Flatten => "Flatten".to_owned(),
            Self::Transpose => "Transpose".to_owned(),
            Self::Select { from, to } => format!("Select({from}..{to})"),
        }
    }
}

impl<T: Scalar> From<Rearrange> for Box<dyn Layer<T>> {
    fn from(layer: Rearrange) -> Self {
        Box::new(layer)
    }
}
