//! Penalties on the parameters, for J and D.

use crate::error::{Error, ranges::not_negative};
use crate::kernels::{norm, sum_of_magnitudes, sum_of_squares};
use crate::layout::{BlockLayout, Layout};
use crate::path::Path;
use crate::scalar::{Scalar, real, sign};

/// The strength of a penalty: λ₁ |Θ| + λ₂/2 Θ² for each entry.
///
/// λ₁ and λ₂ must be finite and at least 0. Both are 0 by default. The calls that use a penalty
/// check its strengths.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Strength {
    /// λ₁, the factor of the sum of magnitudes (L1, the lasso). Its pull does not depend on the
    /// size of an entry, so some entries are exactly 0 at a minimum.
    pub l1: f64,
    /// λ₂, the factor of half the sum of squares (L2, the course's λ). It pulls each entry towards
    /// 0 in proportion to its size.
    pub l2: f64,
}

/// The penalty on the parameters, Ω(θ)/m with Ω = λ₁ Σ |Θ| + λ₂/2 Σ Θ². It exempts the bias
/// columns.
///
/// Derivation: [(22)](crate::derivation#elastic-net).
///
/// λ₁ = 0 gives the course's λ/(2m) Σ Θ². λ₂ = 0 gives the lasso (Tibshirani 1996,
/// doi:10.1111/j.2517-6161.1996.tb02080.x). Both together give the elastic net (Zou, Hastie 2005,
/// doi:10.1111/j.1467-9868.2005.00503.x). D gains (λ₁ sign Θ + λ₂ Θ)/m with sign 0 = 0, the
/// smallest subgradient at the kink of |Θ|.
///
/// With L1, methods that follow ∇J, such as gradient descent and L-BFGS, do not reach weights of
/// exactly 0. At the kink ∇J does not vanish, so they stop near it, often at their iteration limit.
/// Set small weights to 0 afterwards, and retrain the others.
///
/// Each layer's [`Block`](crate::layer::Block) specifies which entries are penalised; in dense
/// layers these are all columns except column 0. A [`layer`](Self::layer) or a
/// [`block`](Self::block) may have its own strength. m is the sum of the example weights. The sum
/// of the costs and the penalty is divided by m at the end of a pass.
///
/// # Example
/// With Θ = \[5, 3, −4] (bias first) and one example that the network predicts exactly, J is only
/// the penalty: λ₁ (3 + 4) + λ₂/2 (9 + 16) = 0.1·7 + 0.01·12.5 = 0.825, and D =
/// \[0, 0.1 + 0.03, −0.1 − 0.04].
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
/// // The first layer, here the only one, has its own strength.
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
    /// The strength of every block that `exceptions` does not name.
    strength: Strength,
    exceptions: Vec<Exception>,
}

/// The strength of one block of one layer, or of all of its blocks.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Exception {
    layer: Path,
    block: Option<usize>,
    strength: Strength,
}

impl Penalty {
    /// Creates an empty penalty.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Creates the L2 penalty λ/(2m) Σ Θ², which adds λ/m · Θ to D.
    ///
    /// Derivation: [(20)](crate::derivation#penalty).
    #[must_use]
    pub fn l2(lambda: f64) -> Self {
        Self::elastic_net(0.0, lambda)
    }

    /// Creates the L1 penalty λ/m Σ |Θ|, which adds λ/m · sign Θ to D.
    #[must_use]
    pub fn l1(lambda: f64) -> Self {
        Self::elastic_net(lambda, 0.0)
    }

    /// Creates the elastic net λ₁/m Σ |Θ| + λ₂/(2m) Σ Θ².
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

    /// Sets the strength for all blocks of layer l (from 0). A strength of 0 exempts the layer.
    ///
    /// If several calls name the same block, the last one applies. If the network has no such
    /// layer, the calls that use the penalty return [`Error::Index`].
    #[must_use]
    pub fn layer(self, layer: impl Into<Path>, strength: Strength) -> Self {
        self.except(layer.into(), None, strength)
    }

    /// Sets the strength for block b of layer l, both counted from 0. Otherwise it works like
    /// [`layer`](Self::layer).
    #[must_use]
    pub fn block(self, layer: impl Into<Path>, block: usize, strength: Strength) -> Self {
        self.except(layer.into(), Some(block), strength)
    }

    fn except(mut self, layer: Path, block: Option<usize>, strength: Strength) -> Self {
        self.exceptions.push(Exception {
            layer,
            block,
            strength,
        });
        self
    }

    /// Returns the strength for block b of layer l, both counted from 0.
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
    pub fn strength(&self, layer: impl Into<Path>, block: usize) -> Strength {
        self.strength_at(&layer.into(), block)
    }

    fn strength_at(&self, layer: &Path, block: usize) -> Strength {
        let names = |e: &&Exception| match e.block {
            None => layer.starts_with(&e.layer),
            Some(b) => *layer == e.layer && b == block,
        };
        let exception = self.exceptions.iter().rev().find(names);
        exception.map_or(self.strength, |e| e.strength)
    }

    /// The strength where no layer or block has its own.
    pub(crate) fn general(&mut self) -> &mut Strength {
        &mut self.strength
    }

    /// Returns whether nothing is penalised.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::none()
    }

    /// Checks that all strengths are in range, and that the named layers and blocks exist.
    pub(crate) fn validate<T: Scalar>(&self, layout: &Layout) -> Result<(), Error> {
        self.strength.validate::<T>()?;
        for exception in &self.exceptions {
            exception.strength.validate::<T>()?;
            match exception.block {
                None => layout.find(&exception.layer).map(drop)?,
                Some(block) => layout.block(&exception.layer, block).map(drop)?,
            }
        }
        Ok(())
    }

    /// Returns Ω = λ₁ Σ |Θ| + λ₂/2 Σ Θ² over the penalised entries, not divided by m, and adds λ₁
    /// sign Θ + λ₂ Θ to `gradient`, if given. Both are multiplied by `share`, the mini-batch's
    /// share of the data.
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

    /// Adds λ₂ v to the penalised entries of `product`, the product of v with the second
    /// derivatives of Ω. The second derivatives of λ₁ |Θ| are 0 except at the kink.
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

    /// Adds the second derivatives of Ω to the diagonal of a P × P matrix.
    pub(crate) fn add_curvature_matrix<T: Scalar>(&self, layout: &Layout, matrix: &mut [T]) {
        let p = layout.parameters();
        for (place, Strength { l2, .. }) in self.strengths(layout) {
            if l2 != 0.0 {
                let l2: T = real(l2);
                place.penalised().for_each(|i| matrix[i * p + i] += l2);
            }
        }
    }

    /// Iterates over all blocks with their strengths.
    fn strengths<'a>(
        &'a self,
        layout: &'a Layout,
    ) -> impl Iterator<Item = (&'a BlockLayout, Strength)> {
        let blocks = layout.blocks().iter();
        blocks.map(|place| (place, self.strength_at(place.layer(), place.index())))
    }
}

/// Returns λ/2 Σ Θ², as (λ ‖Θ‖) ‖Θ‖/2 if the sum of squares would underflow or overflow.
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
    /// Checks that both strengths are at least 0 and finite in T.
    fn validate<T: Scalar>(self) -> Result<(), Error> {
        not_negative::<T>("λ of the L1 penalty", self.l1)?;
        not_negative::<T>("λ of the L2 penalty", self.l2)
    }
}
