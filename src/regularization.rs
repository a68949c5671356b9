//! Penalties on the parameters, in J and D alike.

use crate::error::Error;
use crate::kernels::{norm, sum_of_magnitudes, sum_of_squares};
use crate::layout::{BlockLayout, Layout};
use crate::scalar::{Scalar, real, sign};

/// How strongly parameters are penalised: λ₁ |Θ| + λ₂/2 Θ² for each entry.
///
/// λ₁ and λ₂ are finite and at least 0, which is checked where the penalty is used. The default is 0 for both.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Strength {
    /// λ₁, of the sum of magnitudes (L1, the lasso): a pull of the same strength wherever an entry is, so that minima have entries of exactly 0.
    pub l1: f64,
    /// λ₂, of half the sum of squares (L2, the course's λ): pulls entries towards 0 in proportion.
    pub l2: f64,
}

/// The penalty on the parameters, Ω(θ)/m with Ω = λ₁ Σ |Θ| + λ₂/2 Σ Θ² over all entries but the bias columns.
///
/// Derivation: [(22)](crate::derivation#elastic-net).
///
/// With λ₁ = 0 it is the course's λ/(2m) Σ Θ², with λ₂ = 0 the lasso's (Tibshirani 1996, doi:10.1111/j.2517-6161.1996.tb02080.x), with both
/// the elastic net (Zou, Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x). In D it is (λ₁ sign Θ + λ₂ Θ)/m with sign 0 = 0, which is the
/// subgradient of least size at the kink of |Θ|.
///
/// L1 does not make weights exactly 0 under a method that follows ∇J, gradient descent or L-BFGS: at the kink ∇J does not fade, and such a method ends near it,
/// often at its limit of iterations. Cut off what is small afterwards, and train the rest again.
///
/// Which entries are penalised each layer's [`Block`](crate::layer::Block) says; for dense layers all but column 0. A [`layer`](Self::layer)
/// or a [`block`](Self::block) may have strengths of its own. The division by m (the sum of the example weights) is made with that
/// of the data, when a pass is finished.
///
/// # Example
/// Θ = \[5, 3, −4] (bias first) and one example that the network gets right, so that only the penalty is left:
/// λ₁ (3 + 4) + λ₂/2 (9 + 16) = 0.1·7 + 0.01·12.5 = 0.825, and D = \[0, 0.1 + 0.03, −0.1 − 0.04].
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Examples, Network, Objective, Penalty, SquaredError, Strength};
/// use backprop::activation::Identity;
///
/// let network = Network::<f64>::builder(2).dense(1, Identity);
/// let network = network.with_theta(&[5.0, 3.0, -4.0])?;
/// let (x, y) = (DMatrix::zeros(2, 1), DMatrix::repeat(1, 1, 5.0));
/// let mut objective = Objective::new(SquaredError).l1(0.1).l2(0.01);
/// assert_eq!(objective.penalty, Penalty::elastic_net(0.1, 0.01));
///
/// let pass = network.backprop(&Examples::new(&x, &y)?, &objective)?;
/// assert!((pass.cost() - 0.825).abs() < 1e-15);
/// assert!((pass.gradient().vector()[1] - 0.13).abs() < 1e-15);
/// assert!((pass.gradient().vector()[2] + 0.14).abs() < 1e-15);
///
/// // A strength of its own for the first layer, here the only one.
/// objective.penalty = Penalty::l2(7.0).layer(0, Strength { l1: 0.0, l2: 0.01 });
/// let pass = network.backprop(&Examples::new(&x, &y)?, &objective)?;
/// assert!((pass.cost() - 0.125).abs() < 1e-15);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias("regularizer", "weight_decay"))]
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Penalty {
    /// Of every block that `exceptions` does not name.
    strength: Strength,
    exceptions: Vec<Exception>,
}

/// The strength of one block of one layer, or of all of its blocks.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Exception {
    layer: usize,
    block: Option<usize>,
    strength: Strength,
}

impl Penalty {
    /// No penalty.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// λ/(2m) Σ Θ²: λ/m · Θ in D.
    ///
    /// Derivation: [(20)](crate::derivation#penalty).
    #[must_use]
    pub fn l2(lambda: f64) -> Self {
        Self::elastic_net(0.0, lambda)
    }

    /// λ/m Σ |Θ|: λ/m · sign Θ in D.
    #[must_use]
    pub fn l1(lambda: f64) -> Self {
        Self::elastic_net(lambda, 0.0)
    }

    /// λ₁/m Σ |Θ| + λ₂/(2m) Σ Θ².
    ///
    /// Derivation: [(22)](crate::derivation#elastic-net).
    #[doc(alias = "L1L2")]
    #[must_use]
    pub fn elastic_net(l1: f64, l2: f64) -> Self {
        Self {
            strength: Strength { l1, l2 },
            exceptions: Vec::new(),
        }
    }

    /// The same penalty with a strength of its own for all blocks of layer l (from 0). It may be 0: a layer without penalty.
    ///
    /// Of several calls that name the same block the last counts. That the network has such a layer is checked where the penalty is
    /// used: [`Error::Index`].
    #[must_use]
    pub fn layer(self, layer: usize, strength: Strength) -> Self {
        self.except(layer, None, strength)
    }

    /// The same for block b of layer l, both from 0.
    #[must_use]
    pub fn block(self, layer: usize, block: usize, strength: Strength) -> Self {
        self.except(layer, Some(block), strength)
    }

    fn except(mut self, layer: usize, block: Option<usize>, strength: Strength) -> Self {
        self.exceptions.push(Exception {
            layer,
            block,
            strength,
        });
        self
    }

    /// The strength that acts on block b of layer l, both from 0.
    ///
    /// # Example
    /// ```
    /// use backprop::{Penalty, Strength};
    ///
    /// let weak = Strength { l1: 0.0, l2: 0.1 };
    /// let penalty = Penalty::l2(3.0).layer(1, weak);
    /// assert_eq!(penalty.strength(0, 0).l2, 3.0);
    /// assert_eq!(penalty.strength(1, 0), weak);
    /// ```
    #[must_use]
    pub fn strength(&self, layer: usize, block: usize) -> Strength {
        let names = |e: &&Exception| e.layer == layer && e.block.is_none_or(|b| b == block);
        let exception = self.exceptions.iter().rev().find(names);
        exception.map_or(self.strength, |e| e.strength)
    }

    /// The same penalty with another λ₁ or λ₂ wherever no layer or block has its own.
    pub(crate) fn general(&mut self) -> &mut Strength {
        &mut self.strength
    }

    /// Whether nothing is penalised.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::none()
    }

    /// Whether all strengths are in their range, and all that are named exist.
    pub(crate) fn validate<T: Scalar>(&self, layout: &Layout) -> Result<(), Error> {
        self.strength.validate::<T>()?;
        for exception in &self.exceptions {
            exception.strength.validate::<T>()?;
            match exception.block {
                None => layout.layer(exception.layer).map(drop)?,
                Some(block) => layout.block(exception.layer, block).map(drop)?,
            }
        }
        Ok(())
    }

    /// Ω = λ₁ Σ |Θ| + λ₂/2 Σ Θ² over the penalised entries, undivided; adds λ₁ sign Θ + λ₂ Θ to `gradient` if there is one. Both
    /// times `share`, which for a mini-batch is its part of the data.
    pub(crate) fn apply<T: Scalar>(
        &self,
        layout: &Layout,
        theta: &[T],
        share: f64,
        mut gradient: Option<&mut [T]>,
    ) -> T {
        let mut omega = T::zero();
        if self.is_none() {
            return omega;
        }
        for (place, Strength { l1, l2 }) in self.strengths(layout) {
            let theta = &theta[place.penalised()];
            let mut gradient = gradient.as_deref_mut().map(|g| &mut g[place.penalised()]);
            if l1 != 0.0 {
                let l1: T = real(l1 * share);
                omega += l1 * sum_of_magnitudes(theta);
                if let Some(gradient) = &mut gradient {
                    let entries = gradient.iter_mut().zip(theta);
                    entries.for_each(|(g, &t)| *g += l1 * sign(t));
                }
            }
            if l2 != 0.0 {
                let l2: T = real(l2 * share);
                omega += half_squares(theta, l2);
                if let Some(gradient) = &mut gradient {
                    let entries = gradient.iter_mut().zip(theta);
                    entries.for_each(|(g, &t)| *g += l2 * t);
                }
            }
        }
        omega
    }

    /// Adds λ₂ v to the penalised entries of `product`: what Ω adds to a product with its second derivatives. λ₁ |Θ| has none but at its kink.
    pub(crate) fn add_curvature<T: Scalar>(&self, layout: &Layout, v: &[T], product: &mut [T]) {
        for (place, Strength { l2, .. }) in self.strengths(layout) {
            if l2 != 0.0 {
                let l2: T = real(l2);
                let entries = product[place.penalised()].iter_mut();
                entries
                    .zip(&v[place.penalised()])
                    .for_each(|(p, &v)| *p += l2 * v);
            }
        }
    }

    /// Adds the same to the diagonal of a matrix of P × P.
    pub(crate) fn add_curvature_matrix<T: Scalar>(&self, layout: &Layout, matrix: &mut [T]) {
        let p = layout.parameters();
        for (place, Strength { l2, .. }) in self.strengths(layout) {
            if l2 != 0.0 {
                let l2: T = real(l2);
                place.penalised().for_each(|i| matrix[i * p + i] += l2);
            }
        }
    }

    /// Every block with its strength.
    fn strengths<'a>(
        &'a self,
        layout: &'a Layout,
    ) -> impl Iterator<Item = (&'a BlockLayout, Strength)> {
        (0..layout.depth()).flat_map(move |layer| {
            let blocks = layout.layer_blocks(layer).unwrap_or_default();
            let numbered = blocks.iter().enumerate();
            numbered.map(move |(block, place)| (place, self.strength(layer, block)))
        })
    }
}

/// Returns λ/2 Σ Θ², as (λ ‖Θ‖) ‖Θ‖/2 where the squares alone would underflow or overflow.
fn half_squares<T: Scalar>(theta: &[T], l2: T) -> T {
    let squares = sum_of_squares(theta);
    let half = real(0.5);
    if squares > real(1e-20) && squares.is_finite() {
        return l2 * squares * half;
    }
    let norm = norm(theta);
    l2 * norm * norm * half
}

impl Strength {
    /// Whether both are numbers that T can hold.
    fn validate<T: Scalar>(self) -> Result<(), Error> {
        for (name, value) in [
            ("λ of the L1 penalty", self.l1),
            ("λ of the L2 penalty", self.l2),
        ] {
            if !(value >= 0.0 && real::<T>(value).is_finite()) {
                return Err(Error::Hyperparameter {
                    name,
                    value,
                    expected: "a finite number of at least 0",
                });
            }
        }
        Ok(())
    }
}
