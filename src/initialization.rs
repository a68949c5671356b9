//! Initial parameters from an explicit random generator.

use crate::error::Error;
use crate::layout::Layout;
use crate::scalar::{Scalar, real};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// How weights start. Biases, the columns that no penalty acts on, start at 0.
///
/// For a dense layer n is its number of inputs (fan-in) and s its number of units (fan-out).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Initialization {
    /// Uniform in \[−ε, ε).
    Uniform {
        /// ε ≥ 0, finite. The course's exercise takes 0.12 (and draws the biases too).
        epsilon: f64,
    },
    /// Uniform with ε = √(6/(n + s)): the course's recommendation, and Glorot and Bengio's (AISTATS 2010, eq. 16).
    /// For sigmoid, tanh and softmax.
    GlorotUniform,
    /// Uniform with ε = √(6/n) (He et al. 2015, arXiv:1502.01852). For ReLU and its relatives.
    HeUniform,
}

impl Initialization {
    /// Writes initial values for every block of θ.
    ///
    /// The draws are made in f64 and in the order of θ, then converted: networks of any scalar type start alike.
    pub(crate) fn fill<T: Scalar, R: Rng + ?Sized>(
        self,
        layout: &Layout,
        theta: &mut [T],
        rng: &mut R,
    ) -> Result<(), Error> {
        if let Self::Uniform { epsilon } = self
            && !(epsilon >= 0.0 && real::<T>(epsilon).is_finite())
        {
            return Err(Error::Hyperparameter {
                name: "ε of the initialiser",
                value: epsilon,
                expected: "a finite number of at least 0",
            });
        }
        for place in layout.blocks() {
            let block = place.block();
            theta[place.range()].fill(T::zero());
            let (fan_in, fan_out) = (block.cols - block.penalised_from_column, block.rows);
            let epsilon = match self {
                Self::Uniform { epsilon } => epsilon,
                Self::GlorotUniform => (6.0 / (fan_in as f64 + fan_out as f64)).sqrt(),
                Self::HeUniform => (6.0 / fan_in as f64).sqrt(),
            };
            for entry in &mut theta[place.penalised()] {
                *entry = real(epsilon * (2.0 * unit(rng) - 1.0));
            }
        }
        Ok(())
    }
}

/// Uniform in \[0, 1): the upper 53 bits of a draw, exact in f64.
fn unit<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
    (rng.next_u64() >> 11) as f64 * UNIT
}

/// The crate's portable generator: xoshiro256++ (Blackman, Vigna 2019, doi:10.1145/3460772), seeded by SplitMix64.
///
/// Same seed, same bits, on every platform.
///
/// # Example
/// ```
/// use backprop::{Initialization, Network, activation::Tanh, rng};
///
/// let make = |seed| {
///     Network::<f64>::builder(2)
///         .dense(1, Tanh)
///         .initialize(Initialization::Uniform { epsilon: 0.12 }, &mut rng(seed))
/// };
/// assert_eq!(make(7), make(7));
/// assert_ne!(make(7), make(8));
/// ```
#[must_use]
pub fn rng(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}
