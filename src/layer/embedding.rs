//! A table of learned vectors, one for each id.

use super::memory::Len;
use super::{
    Backward, BackwardTangent, Block, BlockStart, Forward, ForwardTangent, Layer, LayerGradient,
    Plan, Site,
};
use crate::error::Error;
use crate::kernels::{add, sum_of_squares};
use crate::path::Path;
use crate::scalar::{Scalar, real, to_f64};
use crate::shape::Shape;
use nalgebra::{DMatrixView, DMatrixViewMut, DVectorView};

/// Looks up a learned vector for each id, in a table E.
///
/// Derivation: [(38)](crate::derivation#embedding).
///
/// The input is T plain units, each a whole number in \[0, `entries`): ids count from 0. The output
/// is a sequence of T steps with `dim` features. The table E is `dim` × `entries`, so a column is
/// the vector of an id; PyTorch's `Embedding.weight`, `entries` × `dim` row by row, has the same
/// order in memory. The output is the product of E with a one-hot vector for each id, but a
/// pass reads and writes only the vectors of the ids in the batch. Clearing the gradient, the
/// penalty and the optimiser step still process all of E.
///
/// All of E is penalised, so an entry that the batch does not use has the gradient λE/m. E starts
/// with standard normal numbers under every [`Initialization`](crate::Initialization) that scales
/// weights by the size of a layer, as in PyTorch: each output is one entry of E, not
/// a sum over inputs.
///
/// # Position in the network
/// The inputs are rows of X. [`Flatten`](super::Flatten), [`Transpose`](super::Transpose),
/// [`Select`](super::Select) and containers of them may come before. With a branch for each kind of
/// input, a network takes numbers and ids in one X; see the example.
///
/// The network checks all ids before a pass. An id that is not whole or is out of range
/// is an [`Error::Id`]. So is an id of 2²⁴ or more in `f32` (2⁵³ in `f64`), because other whole
/// numbers round to it.
///
/// There is no derivative with respect to an id. In a network whose X consists of ids alone, calls
/// that compute ∂J/∂X or another derivative with respect to X return [`Error::IdInputs`]. With
/// other rows too, these calls return the derivatives with respect to the other rows, and 0 in the
/// rows of ids. A direction of X that is not 0 in a row of ids is an [`Error::IdInputs`].
///
/// # Example
/// The table has the columns (1, 2), (3, 4) and (5, 6). The ids 2 and 0 give columns 2 and 0:
/// ```
/// use backprop::{Error, Network};
///
/// let table = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let network = Network::<f64>::builder(2).embedding(3, 2).with_theta(&table)?;
/// assert_eq!(network.forward(&[2.0, 0.0])?.as_slice(), &[5.0, 6.0, 1.0, 2.0]);
///
/// let refused = network.forward(&[2.0, 3.0]);
/// assert_eq!(refused, Err(Error::Id { row: 1, example: 0, value: 3.0, count: 3 }));
/// # Ok::<(), Error>(())
/// ```
///
/// Two numeric inputs, and a day of the week embedded as three features:
/// ```
/// use backprop::Network;
/// use backprop::activation::{Identity, Tanh};
/// use backprop::layer::Axis;
///
/// let network = Network::<f64>::builder(3)
///     .concat(Axis::First, |branches| {
///         let branches = branches.branch(|numbers| numbers.select(0..2));
///         branches.branch(|day| day.select(2..3).embedding(7, 3).flatten())
///     })
///     .dense(8, Tanh)
///     .dense(1, Identity)
///     .zeros()?;
/// assert_eq!(network.parameters(), 7 * 3 + 8 * (2 + 3 + 1) + 9);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias("lookup", "EmbeddingBag", "categorical", "one_hot"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Embedding {
    entries: usize,
    dim: usize,
}

impl Embedding {
    /// Creates a table of `entries` vectors with `dim` features. Building a network checks the
    /// sizes.
    #[must_use]
    pub fn new(entries: usize, dim: usize) -> Self {
        Self { entries, dim }
    }

    /// Returns the number of ids.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Returns the number of features of a vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Returns the start of the vector of an id in E, or `None` if it is not an id.
    #[inline]
    fn start<T: Scalar>(self, id: T) -> Option<usize> {
        let value = to_f64(id);
        let index = value as usize; // 0 for NaN and numbers below 0
        (index < self.entries && index as f64 == value).then(|| index * self.dim)
    }

    /// Copies the vector of each id from a table. The network has checked the ids; if the layer is
    /// called without one, the vector of a number that is not an id is NaN.
    fn look_up<T: Scalar>(
        self,
        table: &[T],
        ids: &DMatrixView<'_, T>,
        output: &mut DMatrixViewMut<'_, T>,
    ) {
        for (ids, mut output) in ids.column_iter().zip(output.column_iter_mut()) {
            let vectors = output.as_mut_slice().chunks_exact_mut(self.dim);
            for (&id, vector) in ids.as_slice().iter().zip(vectors) {
                match self.start(id) {
                    Some(start) => vector.copy_from_slice(&table[start..start + self.dim]),
                    None => vector.fill(real(f64::NAN)),
                }
            }
        }
    }

    /// Overwrites a gradient with the sum of δ over all uses of each id, in the order of the
    /// examples.
    fn sum_up<T: Scalar>(
        self,
        ids: &DMatrixView<'_, T>,
        delta: &DMatrixView<'_, T>,
        gradient: &mut [T],
    ) {
        gradient.fill(T::zero());
        for (ids, delta) in ids.column_iter().zip(delta.column_iter()) {
            self.add_example(ids, delta, gradient);
        }
    }

    /// Adds δ of an example to the vectors of its ids.
    fn add_example<T: Scalar>(
        self,
        ids: DVectorView<'_, T>,
        delta: DVectorView<'_, T>,
        gradient: &mut [T],
    ) {
        let deltas = delta.as_slice().chunks_exact(self.dim);
        for (&id, delta) in ids.as_slice().iter().zip(deltas) {
            if let Some(start) = self.start(id) {
                add_vector(&mut gradient[start..start + self.dim], delta);
            }
        }
    }

    /// Returns ‖∂cost/∂E‖² of an example: the sum over its distinct ids of ‖Σ δ‖². `sum` is room
    /// for a vector.
    fn squared_norm<T: Scalar>(
        self,
        ids: DVectorView<'_, T>,
        delta: DVectorView<'_, T>,
        sum: &mut [T],
    ) -> T {
        let (ids, delta) = (ids.as_slice(), delta.as_slice());
        let vector = |i: usize| &delta[i * self.dim..][..self.dim];
        let mut norm = T::zero();
        for (i, &id) in ids.iter().enumerate() {
            if ids[..i].contains(&id) {
                continue; // its sum is complete
            }
            sum.copy_from_slice(vector(i));
            for (j, _) in (i + 1..)
                .zip(&ids[i + 1..])
                .filter(|(_, other)| **other == id)
            {
                add_vector(sum, vector(j));
            }
            norm += sum_of_squares(sum);
        }
        norm
    }
}

/// Vectors from this length on are added with the instructions of the processor. Below it, the call
/// takes longer than the sum.
const LONG: usize = 32;

/// x ← x + y, entry by entry.
#[inline]
fn add_vector<T: Scalar>(x: &mut [T], y: &[T]) {
    if x.len() < LONG {
        x.iter_mut().zip(y).for_each(|(x, &y)| *x += y);
    } else {
        add(x, y);
    }
}

/// Writes the derivative with respect to ids, if it is requested.
fn fill_with_0<T: Scalar>(below: Option<DMatrixViewMut<'_, T>>) {
    if let Some(mut below) = below {
        below.fill(T::zero());
    }
}

impl<T: Scalar> Layer<T> for Embedding {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        let Shape::Units(steps) = site.input else {
            return Err(Error::LayerShape {
                layer: Path::default(),
                expected: "plain units, one for each id",
                found: site.input,
            });
        };
        if self.entries == 0 {
            return Err(Error::ZeroUnits {
                layer: Path::default(),
            });
        }
        let features = self.dim;
        Ok(Plan::new(site, Shape::Sequence { steps, features })
            .block(Block::new("E", self.dim, self.entries).starts(BlockStart::Normal(1.0)))
            .room(Len::fixed(self.dim))
            .ids(self.entries)
            .own_each())
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        self.look_up(pass.at.theta, &pass.input, &mut pass.output);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let LayerGradient::Sum(gradient) = pass.gradient {
            self.sum_up(&pass.input, &pass.delta.as_view(), gradient);
        }
        fill_with_0(pass.input_delta);
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        let p = pass.at.plan.parameters();
        let examples = pass.input.column_iter().zip(pass.delta.column_iter());
        match pass.gradient {
            LayerGradient::Each { gradients, stride } => {
                for ((ids, delta), gradient) in examples.zip(gradients.chunks_mut(stride)) {
                    let gradient = &mut gradient[..p];
                    gradient.fill(T::zero());
                    self.add_example(ids, delta, gradient);
                }
            }
            LayerGradient::SquaredNorms(norms) => {
                let sum = &mut pass.room[..self.dim];
                for ((ids, delta), norm) in examples.zip(norms) {
                    *norm += self.squared_norm(ids, delta, sum);
                }
            }
            LayerGradient::None | LayerGradient::Sum(_) => {}
        }
        fill_with_0(pass.input_delta);
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        match pass.theta_tangent {
            Some(table) => self.look_up(table, &pass.input, &mut pass.output_tangent),
            None => pass.output_tangent.fill(T::zero()),
        }
        Ok(())
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        // The output is linear in E: the second derivative is 0.
        if let Some(gradient) = along.gradient_tangent {
            let delta = &along.delta_tangent.as_view();
            self.sum_up(&along.pass.input, delta, gradient);
        }
        fill_with_0(along.input_delta_tangent);
        Layer::<T>::backward(self, along.pass);
        Ok(())
    }

    fn name(&self) -> String {
        "Embedding".to_owned()
    }
}

impl<T: Scalar> From<Embedding> for Box<dyn Layer<T>> {
    fn from(layer: Embedding) -> Self {
        Box::new(layer)
    }
}
