//! The accumulator Δ, the gradient and its unrolling: from sums over examples to J and D.

mod bytes;

use crate::allocation::allocate;
use crate::cost::Cost;
use crate::error::{Error, Location};
use crate::examples::{Examples, check_length, scalar_weight};
use crate::kernels::{self, first_non_finite};
use crate::layer::Layer;
use crate::layout::Layout;
use crate::network::Network;
use crate::path::Path;
use crate::regularization::Penalty;
use crate::scalar::{Scalar, real, to_f64};
use crate::workspace::Workspace;
use nalgebra::{DMatrix, DMatrixView, DVector};
use std::slice::from_mut;
use std::sync::Arc;

/// The two parts of the objective: J = data + penalty.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CostParts<T> {
    /// The mean cost (1/Σw) Σ wₖ costₖ.
    pub data: T,
    /// The [`Penalty`] Ω/Σw. For L2 it is λ/(2Σw) Σ Θ² over the penalised entries.
    pub penalty: T,
}

impl<T: Scalar> CostParts<T> {
    /// Returns J = data + penalty.
    #[must_use]
    pub fn total(&self) -> T {
        self.data + self.penalty
    }
}

/// ∇J as one flat vector of length P. Each layer's D is a view of it.
///
/// # Example
/// For one identity unit and half the squared error, D = δ \[1; x]. Here δ = a − y = (1 +
/// 2·3) − 4 = 3:
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
///
/// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
/// let (x, y) = (DMatrix::repeat(1, 1, 3.0), DMatrix::repeat(1, 1, 4.0));
/// let pass = network.backprop(&Examples::new(&x, &y)?, &Objective::new(SquaredError))?;
/// assert_eq!(pass.cost(), 4.5);
/// assert_eq!(pass.gradient().layer(0)?, DMatrix::from_row_slice(1, 2, &[3.0, 9.0]));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient<T: Scalar> {
    vector: DVector<T>,
    layout: Arc<Layout>,
}

impl<T: Scalar> Gradient<T> {
    /// Returns the unrolled gradient \[D⁽¹⁾(:); D⁽²⁾(:); …], of length P.
    #[must_use]
    pub fn vector(&self) -> &DVector<T> {
        &self.vector
    }

    /// Returns the unrolled gradient by value.
    #[must_use]
    pub fn into_vector(self) -> DVector<T> {
        self.vector
    }

    /// Returns D of layer l (from 0), in the shape of Θ: outputs × (inputs + 1) for a dense layer.
    ///
    /// If a layer has several blocks, this is the first; see [`block`](Self::block).
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer or it has no parameters.
    pub fn layer(&self, layer: impl Into<Path>) -> Result<DMatrixView<'_, T>, Error> {
        self.block(layer, 0)
    }

    /// Returns block b of layer l, both counted from 0.
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer or block.
    pub fn block(&self, layer: impl Into<Path>, block: usize) -> Result<DMatrixView<'_, T>, Error> {
        let place = self.layout.block(layer, block)?;
        Ok(self.layout.view(place, self.vector.as_slice()))
    }

    /// Returns the position of each block in the vector.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// J and ∇J of one pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Backprop<T: Scalar> {
    parts: CostParts<T>,
    gradient: Gradient<T>,
}

impl<T: Scalar> Backprop<T> {
    /// Returns J, including the penalty.
    #[must_use]
    pub fn cost(&self) -> T {
        self.parts.total()
    }

    /// Returns the two parts of J, data and penalty.
    #[must_use]
    pub fn cost_parts(&self) -> CostParts<T> {
        self.parts
    }

    /// Returns ∇J.
    #[must_use]
    pub fn gradient(&self) -> &Gradient<T> {
        &self.gradient
    }

    /// Returns ∇J by value.
    #[must_use]
    pub fn into_gradient(self) -> Gradient<T> {
        self.gradient
    }
}

/// The sums of passes over examples: Σ w·cost, Σ w and Δ = Σ w δ \[1; a]ᵀ, unscaled.
///
/// Data may come in batches of any size. It may also be distributed over threads or machines, and
/// the sums merged at the end; [`to_bytes`](Self::to_bytes) and [`from_bytes`](Self::from_bytes)
/// carry them. Only [`finish`](Self::finish) divides by m = Σw and adds λΘ.
///
/// The rounding errors of Σ w·cost and Δ are kept in P + 1 extra scalars and added with the next
/// batch, so the error does not grow with the number of batches.
///
/// # Example
/// Two batches give the same result as one:
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Accumulator, BinaryCrossEntropy, Examples, Network, Objective, Workspace};
/// use backprop::activation::Sigmoid;
///
/// let network = Network::<f64>::builder(1).dense(1, Sigmoid).with_theta(&[0.1, -0.2])?;
/// let x = DMatrix::from_row_slice(1, 3, &[0.5, -1.0, 2.0]);
/// let y = DMatrix::from_row_slice(1, 3, &[1.0, 0.0, 1.0]);
/// let objective = Objective::new(BinaryCrossEntropy).l2(0.5);
///
/// let (mut sums, mut workspace) = (Accumulator::new(&network)?, Workspace::new());
/// let head = Examples::new(x.columns(0, 2), y.columns(0, 2))?;
/// let tail = Examples::new(x.columns(2, 1), y.columns(2, 1))?;
/// sums.add(&network, &head, &objective.cost, &mut workspace)?;
/// sums.add(&network, &tail, &objective.cost, &mut workspace)?;
///
/// let parts = sums.finish(&network, &objective.penalty)?;
/// let whole = network.backprop(&Examples::new(&x, &y)?, &objective)?;
/// backprop::approx::assert_abs_diff_eq!(parts, whole, epsilon = 1e-15);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "gradient_accumulation")]
#[derive(Clone, Debug, PartialEq)]
pub struct Accumulator<T: Scalar> {
    cost: T,
    /// The rounding error of `cost` so far.
    lost: T,
    weight: f64,
    delta: DVector<T>,
    /// The rounding errors of `delta` so far.
    lost_delta: DVector<T>,
    layout: Arc<Layout>,
}

impl<T: Scalar> Accumulator<T> {
    /// Creates empty sums for networks of this shape.
    ///
    /// # Errors
    /// Returns [`Error::TooLarge`] if there is no memory for P scalars.
    pub fn new<L: Layer<T>>(network: &Network<T, L>) -> Result<Self, Error> {
        let layout = Arc::clone(network.layout_arc());
        Ok(Self {
            cost: T::zero(),
            lost: T::zero(),
            weight: 0.0,
            delta: zeros(layout.parameters())?,
            lost_delta: zeros(layout.parameters())?,
            layout,
        })
    }

    /// Adds the examples of a batch, at the current θ and state of the network.
    ///
    /// In a training pass, each batch uses its own statistics, and the workspace holds the state
    /// after this batch alone: see [`Network::take_state`]. Examples are counted from 0 in each
    /// batch, so give each its own seed, or example k of every batch gets the same random numbers.
    ///
    /// Derivation: [(17)](crate::derivation#accumulator).
    ///
    /// # Errors
    /// - [`Error::OtherNetwork`] if the shape of the network, or which layers are frozen, differs
    ///   from the one given to [`new`](Self::new).
    /// - [`Error::TotalWeight`] if Σ w overflows.
    /// - The errors of [`Network::backprop`], except those of the penalty.
    ///
    /// The sums are unchanged after an error.
    pub fn add<L: Layer<T>, C: Cost<T> + ?Sized>(
        &mut self,
        network: &Network<T, L>,
        examples: &Examples<'_, T>,
        cost: &C,
        workspace: &mut Workspace<T>,
    ) -> Result<(), Error> {
        self.check(network.layout_arc())?;
        cost.validate()?;
        let weight = scalar_weight::<T>(self.weight + examples.weight)?;
        network.make_room(examples.len(), workspace);
        let mut batch = std::mem::take(&mut workspace.gradient);
        let sum = network.sum_batch(examples, cost, workspace, &mut batch);
        workspace.gradient = batch;
        let sum = sum?;
        self.add_sums(sum, &workspace.gradient);
        self.weight = weight;
        Ok(())
    }

    /// Adds the sums of another accumulator.
    ///
    /// Derivation: [(19)](crate::derivation#merge).
    ///
    /// # Errors
    /// Returns [`Error::OtherNetwork`] if `other` was made for a network of another shape, and
    /// [`Error::TotalWeight`] if Σ w overflows.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        self.check(&other.layout)?;
        if other.weight == 0.0 {
            return Ok(()); // it is empty
        }
        self.weight = scalar_weight::<T>(self.weight + other.weight)?;
        self.add_sums(other.cost, other.delta.as_slice());
        self.add_sums(other.lost, other.lost_delta.as_slice());
        Ok(())
    }

    /// Returns J and D = (Δ + λΘ)/Σw for all examples added so far, with Θ of `network`.
    ///
    /// Derivation: [(21)](crate::derivation#regularised-gradient).
    ///
    /// # Errors
    /// - [`Error::NoExamples`] if no examples were added.
    /// - [`Error::OtherNetwork`] if the network has another shape.
    /// - [`Error::Hyperparameter`] if λ is out of range.
    /// - [`Error::Index`] if the penalty names a layer or block that does not exist.
    /// - [`Error::NonFinite`] with the objective or the entry of the gradient if a sum overflowed.
    pub fn finish<L: Layer<T>>(
        &self,
        network: &Network<T, L>,
        penalty: &Penalty,
    ) -> Result<Backprop<T>, Error> {
        let mut vector = zeros(self.delta.len())?;
        let parts = self.finish_into(network, penalty, vector.as_mut_slice())?;
        Ok(Backprop::new(parts, vector, Arc::clone(&self.layout)))
    }

    /// Writes D to a buffer of length P and returns J, like [`finish`](Self::finish), but allocates
    /// nothing.
    ///
    /// # Errors
    /// Returns the errors of [`finish`](Self::finish), and [`Error::Length`] if `gradient` does not
    /// have P entries.
    pub fn finish_into<L: Layer<T>>(
        &self,
        network: &Network<T, L>,
        penalty: &Penalty,
        gradient: &mut [T],
    ) -> Result<CostParts<T>, Error> {
        self.check(network.layout_arc())?;
        penalty.validate::<T>(&self.layout)?;
        check_length("the gradient", self.delta.len(), gradient.len())?;
        if self.weight == 0.0 {
            return Err(Error::NoExamples);
        }
        gradient.copy_from_slice(self.delta.as_slice());
        let theta = network.theta().as_slice();
        let sums = Sums::new(self.cost(), self.weight);
        finish(&self.layout, penalty, theta, sums, Some(gradient))
    }

    /// Sets all sums to 0 and keeps the memory.
    #[doc(alias = "zero_grad")]
    pub fn reset(&mut self) {
        (self.cost, self.lost) = (T::zero(), T::zero());
        self.weight = 0.0;
        self.delta.fill(T::zero());
        self.lost_delta.fill(T::zero());
    }

    /// Returns Σ w·cost.
    #[must_use]
    pub fn cost(&self) -> T {
        self.cost
    }

    /// Returns Σ w: the number of examples, if they have no weights.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Returns Δ, unrolled like θ.
    ///
    /// Derivation: [(17)](crate::derivation#accumulator).
    #[must_use]
    pub fn delta(&self) -> &DVector<T> {
        &self.delta
    }

    fn add_sums(&mut self, cost: T, delta: &[T]) {
        let (sum, lost) = (&mut self.cost, &mut self.lost);
        kernels::add_exactly(from_mut(sum), from_mut(lost), &[cost]);
        let (sums, lost) = (&mut self.delta, &mut self.lost_delta);
        kernels::add_exactly(sums.as_mut_slice(), lost.as_mut_slice(), delta);
    }

    fn check(&self, other: &Arc<Layout>) -> Result<(), Error> {
        if Arc::ptr_eq(&self.layout, other) || *self.layout == **other {
            return Ok(());
        }
        Err(Error::OtherNetwork {
            what: "the accumulator",
            expected: self.layout.parameters(),
            found: other.parameters(),
        })
    }
}

impl<T: Scalar> Backprop<T> {
    pub(crate) fn new(parts: CostParts<T>, vector: DVector<T>, layout: Arc<Layout>) -> Self {
        let gradient = Gradient { vector, layout };
        Self { parts, gradient }
    }
}

/// Allocates P zeros. Returns an error where an infallible allocation would abort.
pub(crate) fn zeros<T: Scalar>(len: usize) -> Result<DVector<T>, Error> {
    Ok(DVector::from_vec(allocate(
        "the parameters",
        (len, 1),
        T::zero(),
    )?))
}

/// Sums over the examples of a batch, for [`finish`].
pub(crate) struct Sums<T> {
    /// Σ w·cost.
    pub(crate) cost: T,
    /// Σ w.
    pub(crate) weight: f64,
    /// Σ w of all data that a mini-batch comes from, so that the penalty is Ω/`data_weight`.
    pub(crate) data_weight: f64,
}

impl<T> Sums<T> {
    /// Creates the sums over all data.
    pub(crate) fn new(cost: T, weight: f64) -> Self {
        Self {
            cost,
            weight,
            data_weight: weight,
        }
    }
}

/// Turns sums over examples into J and D: divides by m = Σw and adds the penalty. No other code
/// does this.
///
/// `gradient` holds Δ on entry and D = (Δ + λΘ)/m on return.
pub(crate) fn finish<T: Scalar>(
    layout: &Layout,
    penalty: &Penalty,
    theta: &[T],
    sums: Sums<T>,
    mut gradient: Option<&mut [T]>,
) -> Result<CostParts<T>, Error> {
    let Sums {
        cost,
        weight,
        data_weight,
    } = sums;
    let m: T = real(scalar_weight::<T>(weight)?);
    let parts = CostParts {
        data: cost / m,
        penalty: penalty.apply(layout, theta, weight / data_weight, gradient.as_deref_mut()) / m,
    };
    let total = parts.total();
    if !total.is_finite() {
        return Err(Error::NonFinite {
            at: Location::Objective,
            value: to_f64(total),
        });
    }
    if let Some(gradient) = gradient
        && !kernels::divide(gradient, m)
    {
        check_gradient(layout, gradient)?;
    }
    Ok(parts)
}

/// Checks that all entries of a gradient are finite. The error names the block.
pub(crate) fn check_gradient<T: Scalar>(layout: &Layout, gradient: &[T]) -> Result<(), Error> {
    let Some(index) = first_non_finite(gradient) else {
        return Ok(());
    };
    let value = to_f64(gradient[index]);
    let at = layout
        .entry(index)
        .map_or(Location::Objective, Location::Gradient);
    Err(Error::NonFinite { at, value })
}

/// Unrolls matrices into one vector \[Θ⁽¹⁾(:); Θ⁽²⁾(:); …], each column by column.
///
/// The inverse is [`Layout::roll`].
///
/// Derivation: [(23)](crate::derivation#unrolled).
///
/// # Example
/// ```
/// use backprop::nalgebra::DMatrix;
///
/// let theta = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 3.0, 4.0]);
/// assert_eq!(backprop::unroll(&[theta]).as_slice(), &[1.0, 3.0, 2.0, 4.0]);
/// ```
#[doc(alias("ravel", "flatten"))]
#[must_use]
pub fn unroll<T: Scalar>(matrices: &[DMatrix<T>]) -> DVector<T> {
    let entries: Vec<T> = matrices.iter().flat_map(|m| m.iter().copied()).collect();
    DVector::from_vec(entries)
}
