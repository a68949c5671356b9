//! From sums over examples to J and D: the accumulator Δ, the gradient and its unrolling.

use crate::cost::Cost;
use crate::error::{Error, Location};
use crate::examples::{Examples, check_length, scalar_weight};
use crate::kernels::{self, first_non_finite};
use crate::layer::Layer;
use crate::layout::{Layout, allocate};
use crate::network::Network;
use crate::regularization::Penalty;
use crate::scalar::{Scalar, real, to_f64};
use crate::workspace::Workspace;
use nalgebra::{DMatrix, DMatrixView, DVector};
use std::slice::from_mut;
use std::sync::Arc;

/// The objective in its two parts, J = data + penalty.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CostParts<T> {
    /// (1/Σw) Σ wₖ costₖ, the mean cost of an example.
    pub data: T,
    /// Ω/Σw of the [`Penalty`]: λ/(2Σw) Σ Θ² over the penalised entries for the course's.
    pub penalty: T,
}

impl<T: Scalar> CostParts<T> {
    /// J = data + penalty.
    #[must_use]
    pub fn total(&self) -> T {
        self.data + self.penalty
    }
}

/// ∇J: one flat vector of length P, and each layer's D as a view of it.
///
/// # Example
/// One identity unit, ½ squared error: D = δ \[1; x] with δ = a − y = (1 + 2·3) − 4 = 3.
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
    /// The unrolled gradient \[D⁽¹⁾(:); D⁽²⁾(:); …], of length P.
    #[must_use]
    pub fn vector(&self) -> &DVector<T> {
        &self.vector
    }

    /// The same, by value.
    #[must_use]
    pub fn into_vector(self) -> DVector<T> {
        self.vector
    }

    /// D of layer l (from 0), of the shape of its Θ: outputs × (inputs + 1) for a dense layer.
    ///
    /// # Errors
    /// [`Error::Index`] if there is no such layer or it has no parameters. Of a layer with several blocks this is the first; see
    /// [`block`](Self::block).
    pub fn layer(&self, layer: usize) -> Result<DMatrixView<'_, T>, Error> {
        self.block(layer, 0)
    }

    /// Block b of layer l, both from 0.
    ///
    /// # Errors
    /// [`Error::Index`] if there is no such layer or block.
    pub fn block(&self, layer: usize, block: usize) -> Result<DMatrixView<'_, T>, Error> {
        let place = self.layout.block(layer, block)?;
        Ok(self.layout.view(place, self.vector.as_slice()))
    }

    /// Where each block lies.
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
    /// J, with the penalty.
    #[must_use]
    pub fn cost(&self) -> T {
        self.parts.total()
    }

    /// J in its two parts, data and penalty.
    #[must_use]
    pub fn cost_parts(&self) -> CostParts<T> {
        self.parts
    }

    /// ∇J.
    #[must_use]
    pub fn gradient(&self) -> &Gradient<T> {
        &self.gradient
    }

    /// ∇J, by value.
    #[must_use]
    pub fn into_gradient(self) -> Gradient<T> {
        self.gradient
    }
}

/// The sums that a pass over examples makes: Σ w·cost, Σ w and Δ = Σ w δ \[1; a]ᵀ, unscaled.
///
/// A sum over all examples is the sum of the sums over their parts, so data may come in batches of any size, be
/// shared out over threads or machines, and merged in the end. Only [`finish`](Self::finish) divides by m = Σw and
/// adds λΘ.
///
/// Batches may be many and small. The rounding errors of Σ w·cost and Δ are kept in P + 1 extra
/// scalars and added with the next batch, so the error does not grow with the number of batches.
///
/// # Example
/// Two batches give what one gives:
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
    /// What rounding has taken from `cost` so far.
    lost: T,
    weight: f64,
    delta: DVector<T>,
    /// The same for `delta`.
    lost_delta: DVector<T>,
    layout: Arc<Layout>,
}

impl<T: Scalar> Accumulator<T> {
    /// Empty sums for a network of this shape.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if there is no memory for P scalars.
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

    /// Adds the examples of a batch at the network's present θ.
    ///
    /// Derivation: [(17)](crate::derivation#accumulator).
    ///
    /// # Errors
    /// - [`Error::OtherNetwork`] if the network has not the shape of the one that these sums were made for.
    /// - [`Error::TotalWeight`] if Σ w overflows, and those of [`Network::backprop`]. The sums are unchanged then.
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
    /// [`Error::OtherNetwork`] if it was made for a network of another shape, [`Error::TotalWeight`] if Σ w overflows.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        self.check(&other.layout)?;
        if other.weight == 0.0 {
            return Ok(()); // nothing was added to it
        }
        self.weight = scalar_weight::<T>(self.weight + other.weight)?;
        self.add_sums(other.cost, other.delta.as_slice());
        self.add_sums(other.lost, other.lost_delta.as_slice());
        Ok(())
    }

    /// J and D = (Δ + λΘ)/Σw of all examples added so far, Θ being that of `network`.
    ///
    /// Derivation: [(21)](crate::derivation#regularised-gradient).
    ///
    /// # Errors
    /// - [`Error::NoExamples`] if nothing was added.
    /// - [`Error::OtherNetwork`] if the network has another shape.
    /// - [`Error::Hyperparameter`] if λ is out of range, [`Error::Index`] if the penalty names a layer that is not there.
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

    /// [`finish`](Self::finish) into the caller's buffer of length P, without allocation.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish), and [`Error::Length`] if `gradient` has not P entries.
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
        let (theta, sums) = (
            network.theta().as_slice(),
            (self.cost(), self.weight, self.weight),
        );
        finish(&self.layout, penalty, theta, sums, Some(gradient))
    }

    /// Forgets everything that was added, and keeps the memory.
    #[doc(alias = "zero_grad")]
    pub fn reset(&mut self) {
        (self.cost, self.lost) = (T::zero(), T::zero());
        self.weight = 0.0;
        self.delta.fill(T::zero());
        self.lost_delta.fill(T::zero());
    }

    /// Σ w·cost.
    #[must_use]
    pub fn cost(&self) -> T {
        self.cost
    }

    /// Σ w: the number of examples if none has a weight.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Δ, unrolled as θ is.
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
        if Arc::ptr_eq(&self.layout, other) || self.layout.same_shape(other) {
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

/// P zeros, or an error instead of an abort.
pub(crate) fn zeros<T: Scalar>(len: usize) -> Result<DVector<T>, Error> {
    Ok(DVector::from_vec(allocate(
        "the parameters",
        (len, 1),
        T::zero(),
    )?))
}

/// The one place where sums over examples become J and D: the division by m = Σw and the penalty, for both alike.
///
/// `(cost, weight)` are Σ w·cost and Σ w, and `whole` is Σ w of the data that a mini-batch is taken from, so that the penalty is
/// Ω/whole; `gradient` holds Δ on entry and D = (Δ + λΘ)/m on return.
pub(crate) fn finish<T: Scalar>(
    layout: &Layout,
    penalty: &Penalty,
    theta: &[T],
    (cost, weight, whole): (T, f64, f64),
    mut gradient: Option<&mut [T]>,
) -> Result<CostParts<T>, Error> {
    let m: T = real(scalar_weight::<T>(weight)?);
    let parts = CostParts {
        data: cost / m,
        penalty: penalty.apply(layout, theta, weight / whole, gradient.as_deref_mut()) / m,
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

/// Whether all entries of a gradient are finite; the error names the block.
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

/// Unrolls matrices into one vector, \[Θ⁽¹⁾(:); Θ⁽²⁾(:); …], each column by column. The inverse is [`Network::roll`].
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
