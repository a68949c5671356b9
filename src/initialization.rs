//! Initial parameters, drawn from an explicit random generator.

mod orthogonal;

use crate::error::{Error, ranges::in_range};
use crate::kernels::random::{centred, normal_quantile};
use crate::layer::BlockStart;
use crate::layout::BlockLayout;
use crate::scalar::{Scalar, real, to_f64};
use orthogonal::Room;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// A rule for the initial weights. Biases, the columns exempt from penalties, start at 0.
///
/// Weights start at random values, because units that start equal stay equal: they compute the same
/// output and receive the same gradient. For [`Relu`](crate::activation::Relu) and its variants,
/// try [`HeNormal`](Self::HeNormal) first; otherwise try [`GlorotUniform`](Self::GlorotUniform).
///
/// n is the number of inputs of the layer (fan-in) and s the number of its units (fan-out). Weights
/// of variance 1/n preserve the variance of the inputs; weights of variance 1/s preserve that of
/// the error in the backward pass. The rules balance the two differently. Only
/// [`TruncatedNormal`](Self::TruncatedNormal) truncates its draws. (In Keras, He, Glorot and LeCun
/// do too, at two standard deviations; in PyTorch they do not.) In deep networks,
/// [`Orthogonal`](Self::Orthogonal) preserves the length of what passes through.
///
/// | rule | variance | suits |
/// |---|---|---|
/// | LeCun | 1/n | tanh, SELU |
/// | Glorot | 2/(n + s) | sigmoid, tanh, softmax |
/// | He | 2/n | ReLU and its variants |
///
/// The table of an [`Embedding`](crate::layer::Embedding) has no inputs to sum over. Under these
/// rules, and under [`Orthogonal`](Self::Orthogonal), its entries are standard normal, as in
/// PyTorch. The other rules apply to it unchanged.
///
/// A uniform distribution in \[−ε, ε) has variance ε²/3. Every draw lies in this interval in every
/// scalar type; none is rounded up to ε.
///
/// # Example
/// A layer may use another rule, and biases may start at any value:
/// ```
/// use backprop::{Initialization, Network, rng};
/// use backprop::activation::{Relu, Softmax};
///
/// let mut generator = rng(1);
/// let mut network = Network::<f64>::builder(4)
///     .dense(8, Relu)
///     .dense(3, Softmax)
///     .initialize(Initialization::HeNormal, &mut generator)?;
/// network.initialize_layer(1, Initialization::GlorotUniform, &mut generator)?;
///
/// let (weights, bias) = network.dense_weights(1)?;
/// assert!(weights.amax() < (6.0 / (8.0 + 3.0_f64)).sqrt());
/// network.set_dense(1, &weights, bias.add_scalar(0.1).as_slice())?;
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "kernel_initializer")]
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Initialization {
    /// Sets all weights to the same value. Use it only for single units, comparisons and tests.
    Constant {
        /// The weight, finite.
        value: f64,
    },
    /// Uniform in \[−ε, ε).
    Uniform {
        /// ε ≥ 0, finite. The course's exercise uses 0.12 (and draws the biases too).
        epsilon: f64,
    },
    /// Normal with mean 0.
    Normal {
        /// The standard deviation, finite and at least 0.
        sigma: f64,
    },
    /// Normal with mean 0, truncated at two standard deviations.
    ///
    /// σ is the standard deviation before the truncation, as in Keras, PyTorch (`trunc_normal_`
    /// with `a = -2 * std`, `b = 2 * std`) and JAX. That of the weights is 0.8796 σ.
    TruncatedNormal {
        /// The standard deviation before the truncation, finite and at least 0.
        sigma: f64,
    },
    /// A random orthogonal matrix, times the gain (Saxe, McClelland, Ganguli 2014,
    /// arXiv:1312.6120).
    ///
    /// W Wᵀ = gain² I if there are at most as many units as inputs, and otherwise Wᵀ W = gain² I.
    /// W is uniformly distributed over these matrices: it is gain · Q, or its transpose with fewer
    /// units than inputs, from the QR decomposition of a matrix of standard normal entries, with
    /// the signs that make the diagonal of R positive. The biases are 0.
    Orthogonal {
        /// The gain, finite and at least 0: 1 for linear layers and tanh, √2 for ReLU.
        gain: f64,
    },
    /// Uniform with ε = √(3/n) (LeCun et al. 1998, doi:10.1007/3-540-49430-8_2, §4.6).
    LecunUniform,
    /// Normal with σ = √(1/n), from the same paper.
    LecunNormal,
    /// Uniform with ε = √(6/(n + s)), recommended by the course and by Glorot and Bengio (AISTATS
    /// 2010, eq. 16).
    #[doc(alias("Xavier", "xavier_uniform"))]
    GlorotUniform,
    /// Normal with σ = √(2/(n + s)), from the same paper (eq. 12).
    #[doc(alias("Xavier", "xavier_normal"))]
    GlorotNormal,
    /// Uniform with ε = √(6/n) (He et al. 2015, doi:10.1109/ICCV.2015.123).
    #[doc(alias("Kaiming", "kaiming_uniform"))]
    HeUniform,
    /// Normal with σ = √(2/n), from the same paper (eq. 10).
    #[doc(alias("Kaiming", "kaiming_normal"))]
    HeNormal,
}

/// A distribution of weights.
enum Draw {
    Constant(f64),
    Uniform(f64),
    Normal(f64),
    TruncatedNormal(f64),
    Orthogonal(f64),
}

impl Initialization {
    /// Writes initial values for the given blocks.
    ///
    /// Draws in `f64`, in the order of θ, and then converts, so networks of all scalar types start
    /// with the same weights.
    pub(crate) fn fill<T: Scalar, R: Rng + ?Sized>(
        self,
        blocks: &[BlockLayout],
        theta: &mut [T],
        rng: &mut R,
    ) -> Result<(), Error> {
        self.validate::<T>()?;
        let mut normal = Normal::default();
        let mut room = self.room(blocks)?;
        for place in blocks {
            let block = place.block();
            if let BlockStart::Constant(start) = block.start {
                theta[place.range()].fill(real(start));
                continue;
            }
            let fan_in = (block.cols - block.penalised_from_column) as f64;
            let draw = match block.start {
                BlockStart::Normal(sigma) if self.scales() => Draw::Normal(sigma),
                _ => self.draw(fan_in, block.rows as f64),
            };
            theta[place.range()].fill(T::zero());
            let weights = &mut theta[place.penalised()];
            if let Draw::Orthogonal(gain) = draw {
                let (rows, cols) = (block.rows, block.cols - block.penalised_from_column);
                let normal = || normal.draw(rng);
                let q = room.draw((rows.max(cols), rows.min(cols)), normal);
                for (i, weight) in weights.iter_mut().enumerate() {
                    // W is Q, or its transpose if there are fewer units than inputs.
                    let index = match rows < cols {
                        true => i % rows * cols + i / rows,
                        false => i,
                    };
                    *weight = real(gain * q[index]);
                }
                continue;
            }
            for entry in weights {
                *entry = match draw {
                    Draw::Constant(value) => real(value),
                    Draw::Uniform(epsilon) => within(epsilon * (2.0 * unit(rng) - 1.0), epsilon),
                    Draw::Normal(sigma) => real(sigma * normal.draw(rng)),
                    Draw::TruncatedNormal(sigma) => real(sigma * truncated(rng.next_u64())),
                    Draw::Orthogonal(_) => T::zero(), // drawn above, as a matrix
                };
            }
        }
        Ok(())
    }

    /// Allocates what the rule needs besides the parameters.
    fn room(self, blocks: &[BlockLayout]) -> Result<Room, Error> {
        let lens = blocks.iter().map(|place| place.penalised().len());
        Room::new(match self {
            Self::Orthogonal { .. } => lens.max().unwrap_or(0),
            _ => 0,
        })
    }

    fn validate<T: Scalar>(self) -> Result<(), Error> {
        let (name, value, largest, expected) = match self {
            Self::Constant { value } => {
                let name = "the value of the initialiser";
                (name, value, value.abs(), "a finite number")
            }
            Self::Uniform { epsilon } => {
                let expected = "a number in [0, ∞)";
                ("ε of the initialiser", epsilon, epsilon, expected)
            }
            Self::Normal { sigma } => {
                // The polar method draws nothing beyond 12.1 σ, because s is at least 2⁻¹⁰⁴.
                let expected = "a number in [0, ∞), small enough that no draw overflows";
                ("σ of the initialiser", sigma, 13.0 * sigma, expected)
            }
            Self::TruncatedNormal { sigma } => {
                let expected = "a number in [0, ∞), small enough that no draw overflows";
                ("σ of the initialiser", sigma, 2.0 * sigma, expected)
            }
            Self::Orthogonal { gain } => {
                let expected = "a number in [0, ∞)";
                ("the gain of the initialiser", gain, gain, expected)
            }
            _ => return Ok(()),
        };
        let holds = largest >= 0.0 && real::<T>(largest).is_finite();
        in_range(holds, name, value, expected)
    }

    /// Returns whether the weights follow from the size of a layer.
    fn scales(self) -> bool {
        !matches!(
            self,
            Self::Constant { .. }
                | Self::Uniform { .. }
                | Self::Normal { .. }
                | Self::TruncatedNormal { .. }
        )
    }

    fn draw(self, fan_in: f64, fan_out: f64) -> Draw {
        match self {
            Self::Constant { value } => Draw::Constant(value),
            Self::Uniform { epsilon } => Draw::Uniform(epsilon),
            Self::Normal { sigma } => Draw::Normal(sigma),
            Self::TruncatedNormal { sigma } => Draw::TruncatedNormal(sigma),
            Self::Orthogonal { gain } => Draw::Orthogonal(gain),
            Self::LecunUniform => Draw::Uniform((3.0 / fan_in).sqrt()),
            Self::LecunNormal => Draw::Normal((1.0 / fan_in).sqrt()),
            Self::GlorotUniform => Draw::Uniform((6.0 / (fan_in + fan_out)).sqrt()),
            Self::GlorotNormal => Draw::Normal((2.0 / (fan_in + fan_out)).sqrt()),
            Self::HeUniform => Draw::Uniform((6.0 / fan_in).sqrt()),
            Self::HeNormal => Draw::Normal((2.0 / fan_in).sqrt()),
        }
    }
}

/// Rounds x to T within [−ε, ε), where ε is the smaller of its values in `f64` and in T. Returns a
/// number nearer to 0 if the nearest number is outside.
fn within<T: Scalar>(x: f64, epsilon: f64) -> T {
    let end = epsilon.min(to_f64(real::<T>(epsilon)));
    let inside = |value: &T| (-end..end).contains(&to_f64(*value));
    let nearest = real(x);
    if inside(&nearest) {
        return nearest;
    }
    // Shrinks x by half a unit in the last place of f64, then by twice as much each time, to 0.
    let mut nearer = (0..=53).rev().map(|k| real(x - x * 0.5_f64.powi(k)));
    nearer.find(inside).unwrap_or(T::zero())
}

/// Standard normal numbers by the polar method (Marsaglia, Bray 1964, doi:10.1137/1006063), which
/// yields two at a time.
///
/// Only the logarithm may be rounded differently on other platforms, so `libm` computes it.
#[derive(Default)]
struct Normal {
    spare: Option<f64>,
}

impl Normal {
    fn draw<R: Rng + ?Sized>(&mut self, rng: &mut R) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (u, v) = (2.0 * unit(rng) - 1.0, 2.0 * unit(rng) - 1.0);
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                let scale = (-2.0 * libm::log(s) / s).sqrt();
                self.spare = Some(scale * v);
                return scale * u;
            }
        }
    }
}

/// Returns a standard normal number truncated to \[−2, 2]: the quantile of a uniform number between
/// Φ(−2) and Φ(2).
fn truncated(word: u64) -> f64 {
    const WIDTH: f64 = 0.954_499_736_103_641_6;
    normal_quantile(WIDTH * centred(word)).clamp(-2.0, 2.0)
}

/// Returns a uniform number in \[0, 1): the upper 53 bits of a draw, exact in `f64`.
fn unit<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
    (rng.next_u64() >> 11) as f64 * UNIT
}

/// Creates a portable random generator: xoshiro256++ (Blackman, Vigna 2019, doi:10.1145/3460772),
/// seeded by SplitMix64.
///
/// The same seed gives the same bits on every platform.
///
/// # Example
/// The same seed gives the same network. With the trait `Rng` in scope you can also draw your own
/// numbers, here a uniform one in \[0, 1):
/// ```
/// use backprop::rand_xoshiro::rand_core::Rng;
/// use backprop::{Initialization, Network, activation::Tanh, rng};
///
/// let make = |seed| {
///     Network::<f64>::builder(2)
///         .dense(1, Tanh)
///         .initialize(Initialization::Uniform { epsilon: 0.12 }, &mut rng(seed))
/// };
/// assert_eq!(make(7), make(7));
/// assert_ne!(make(7), make(8));
///
/// let uniform = (rng(7).next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
/// assert!((0.0..1.0).contains(&uniform));
/// ```
#[doc(alias("manual_seed", "random_state"))]
#[must_use]
pub fn rng(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}
