//! Dropout.

use super::{At, Backward, BackwardTangent, Forward, ForwardTangent, Layer, Plan, Site};
use crate::error::{Error, number, ranges::fraction};
use crate::kernels::copy;
use crate::kernels::random::{Draws, Mask, apply_mask};
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// Inverted dropout: sets entries to 0 at random in training, and does nothing otherwise
/// (Srivastava et al. 2014, <https://jmlr.org/papers/v15/srivastava14a.html>).
///
/// In a training pass, a = r ∘ x/(1 − p). Each entry of the mask r is 0 with probability p and 1
/// otherwise, independently of all others. The mean of a is x, so a pass outside training returns x
/// itself. The output has the shape of the input. p = 0 changes nothing. p = 1 gives 0, and a
/// gradient of 0. The probability of any other p is rounded to a multiple of 2⁻³² below 1.
///
/// The mask depends only on the seed of the layer in this step and the index of the example in the
/// batch. It is the same in every pass of a step, on any number of threads, and for every
/// scalar type. Nothing is kept for the backward pass, which draws it again. In PyTorch and Keras,
/// dropout is inverted too.
///
/// Derivation: [(44)](crate::derivation#dropout), [(45)](crate::derivation#dropout-error) and
/// [(46)](crate::derivation#dropout-ridge).
///
/// # Example
/// With p = ¾, an entry is dropped, or multiplied by 4:
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Network, Workspace};
///
/// let network = Network::<f64>::builder(1000).dropout(0.75).zeros()?;
/// let x = DMatrix::repeat(1000, 1, 1.0);
/// assert_eq!(network.forward(&x)?, x);
///
/// let mut workspace = Workspace::new();
/// workspace.set_training(Some(7));
/// let a = network.forward_into(&x, &mut workspace)?;
/// assert!(a.iter().all(|&a| a == 0.0 || a == 4.0));
/// let kept = a.iter().filter(|&&a| a == 4.0).count();
/// assert!((200..300).contains(&kept));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Dropout {
    p: f64,
}

impl Dropout {
    /// Creates a layer that drops an entry with probability p in \[0, 1].
    ///
    /// Building the network checks p, and returns [`Error::Hyperparameter`] if it is out of range.
    #[must_use]
    pub fn new(p: f64) -> Self {
        Self { p }
    }

    /// Returns p.
    #[must_use]
    pub fn p(&self) -> f64 {
        self.p
    }

    /// Applies the mask of a pass, a diagonal matrix, to x.
    fn apply<T: Scalar>(self, at: &At<'_, T>, x: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
        if !at.training {
            copy(&x, &mut a);
        } else if self.p >= 1.0 {
            a.fill(T::zero()); // not 0/0
        } else if let Some(mask) = at.random_numbers(x.ncols()) {
            let scale: T = real(1.0 / (1.0 - self.p));
            a.zip_zip_apply(&x, &mask, |a, x, r| *a = x * (r * scale));
        } else if self.p > 0.0 {
            let draws = Draws::new(at.seed, x.nrows(), at.first_example);
            apply_mask(Mask::new(draws, self.p), x, a);
        } else {
            copy(&x, &mut a);
        }
    }
}

impl<T: Scalar> Layer<T> for Dropout {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        fraction("p of the dropout", self.p)?;
        let plan = Plan::new(site, site.input);
        Ok(plan.stochastic(site.input.len()).own_each())
    }

    fn forward(&self, pass: Forward<'_, T>) {
        self.apply(&pass.at, pass.input, pass.output);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let Some(below) = pass.input_delta {
            self.apply(&pass.at, pass.delta.as_view(), below);
        }
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.backward(pass); // there are no parameters
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        match pass.input_tangent {
            Some(input) => self.apply(&pass.at, input, pass.output_tangent),
            None => pass.output_tangent.fill(T::zero()),
        }
        Ok(())
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        if let Some(below) = along.input_delta_tangent {
            self.apply(&along.pass.at, along.delta_tangent.as_view(), below);
        }
        self.backward(along.pass);
        Ok(())
    }

    fn name(&self) -> String {
        format!("Dropout({})", number(self.p))
    }
}

impl<T: Scalar> From<Dropout> for Box<dyn Layer<T>> {
    fn from(layer: Dropout) -> Self {
        Box::new(layer)
    }
}
