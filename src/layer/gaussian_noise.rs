//! Additive Gaussian noise.

use super::{Backward, BackwardTangent, Forward, ForwardTangent, Layer, Plan, Site};
use crate::error::{Error, number, ranges::in_range};
use crate::kernels::copy;
use crate::kernels::random::{Draws, LARGEST_NORMAL, add_noise};
use crate::scalar::{Scalar, real};

/// Adds normal noise in training, and does nothing otherwise.
///
/// In a training pass, a = x + σ n with independent standard normal numbers n. The output has the
/// shape of the input, and the derivatives are those of the identity. σ = 0 changes nothing.
///
/// The numbers depend only on the seed of the layer in this step and the index of the example in
/// the batch. They are the same in every pass of a step, on any number of threads, and on every
/// platform. Keras has the same layer.
///
/// Noise in front of a linear layer acts on average like an L2 penalty (Bishop 1995,
/// doi:10.1162/neco.1995.7.1.108). Derivation: [(46)](crate::derivation#dropout-ridge).
///
/// # Example
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Network, Workspace};
///
/// let network = Network::<f64>::builder(1000).gaussian_noise(0.5).zeros()?;
/// let x = DMatrix::repeat(1000, 1, 3.0);
/// assert_eq!(network.forward(&x)?, x);
///
/// let mut workspace = Workspace::new();
/// workspace.set_training(Some(7));
/// let a = network.forward_into(&x, &mut workspace)?;
/// assert!((a.mean() - 3.0).abs() < 0.1);
/// assert!((a.variance() - 0.25).abs() < 0.05);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct GaussianNoise {
    sigma: f64,
}

impl GaussianNoise {
    /// Creates a layer that adds noise of standard deviation σ ≥ 0, finite.
    ///
    /// Building the network checks σ, and returns [`Error::Hyperparameter`] if it is out of range.
    #[must_use]
    pub fn new(sigma: f64) -> Self {
        Self { sigma }
    }

    /// Returns σ.
    #[must_use]
    pub fn sigma(&self) -> f64 {
        self.sigma
    }
}

impl<T: Scalar> Layer<T> for GaussianNoise {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        let (name, sigma) = ("σ of the Gaussian noise", self.sigma);
        let largest = LARGEST_NORMAL * sigma;
        let holds = sigma >= 0.0 && real::<T>(largest).is_finite();
        let expected = "a number in [0, ∞), small enough that no draw overflows";
        in_range(holds, name, sigma, expected)?;
        let plan = Plan::new(site, site.input);
        Ok(plan.stochastic(site.input.len()).own_each())
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        let (at, x) = (&pass.at, pass.input);
        if !at.training || self.sigma == 0.0 {
            copy(&x, &mut pass.output);
        } else if let Some(normal) = at.random_numbers(x.ncols()) {
            let sigma: T = real(self.sigma);
            let a = &mut pass.output;
            a.zip_zip_apply(&x, &normal, |a, x, n| *a = x + sigma * n);
        } else {
            let draws = Draws::new(at.seed, x.nrows(), at.first_example);
            add_noise(draws, self.sigma, x, pass.output);
        }
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let Some(mut below) = pass.input_delta {
            copy(&pass.delta.as_view(), &mut below);
        }
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.backward(pass); // there are no parameters
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        match &pass.input_tangent {
            Some(input) => copy(input, &mut pass.output_tangent),
            None => pass.output_tangent.fill(T::zero()),
        }
        Ok(())
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        if let Some(mut below) = along.input_delta_tangent {
            copy(&along.delta_tangent.as_view(), &mut below);
        }
        self.backward(along.pass);
        Ok(())
    }

    fn name(&self) -> String {
        format!("GaussianNoise({})", number(self.sigma))
    }
}

impl<T: Scalar> From<GaussianNoise> for Box<dyn Layer<T>> {
    fn from(layer: GaussianNoise) -> Self {
        Box::new(layer)
    }
}
