//! Initialisers: the distribution of every rule, biases, portable bits and refusals.

#![allow(clippy::unwrap_used, reason = "test helpers may panic to fail tests")]

use backprop::activation::{Identity, Relu};
use backprop::nalgebra::{DMatrix, DVector};
use backprop::rand_xoshiro::rand_core::TryRng;
use backprop::{Builder, Error, Initialization, Network, Scalar, rng};
use std::convert::Infallible;

/// Inputs and units of the layer under test: 60,000 weights.
const FAN_IN: usize = 300;
const FAN_OUT: usize = 200;

fn draw(rule: Initialization, seed: u64) -> (DMatrix<f64>, DVector<f64>) {
    let network = Network::<f64>::builder(FAN_IN).dense(FAN_OUT, Relu);
    let network = network.initialize(rule, &mut rng(seed)).unwrap();
    network.dense_weights(0).unwrap()
}

/// Mean, variance and excess kurtosis times variance² of the weights.
fn moments(weights: &DMatrix<f64>) -> (f64, f64, f64) {
    let n = weights.len() as f64;
    let mean = weights.sum() / n;
    let moment = |p: i32| weights.iter().map(|w| (w - mean).powi(p)).sum::<f64>() / n;
    (mean, moment(2), moment(4))
}

/// Bounds of five standard errors. One seed in a million fails, but these seeds are fixed.
fn assert_moments(rule: Initialization, variance: f64, kurtosis: f64) {
    let n = (FAN_IN * FAN_OUT) as f64;
    for seed in 1..=5 {
        let (weights, bias) = draw(rule, seed);
        assert!(bias.iter().all(|&b| b == 0.0), "{rule:?}");
        let (mean, second, fourth) = moments(&weights);
        let errors = |x: f64| 5.0 * (x / n).sqrt();
        assert!(mean.abs() < errors(variance), "{rule:?}: mean {mean}");
        // Var(w²) = (kurtosis − 1) variance².
        let ratio = second / variance;
        assert!(
            (ratio - 1.0).abs() < errors(kurtosis - 1.0),
            "{rule:?}: variance {second}, expected {variance}"
        );
        // The fourth moment separates a normal distribution (3) from a uniform one (9/5);
        // Var(w⁴) ≤ 96 variance⁴.
        let found = fourth / (second * second);
        assert!(
            (found - kurtosis).abs() < errors(96.0),
            "{rule:?}: kurtosis {found}, expected {kurtosis}"
        );
    }
}

#[test]
fn uniform_rules_fill_their_interval() {
    let (n, s) = (FAN_IN as f64, FAN_OUT as f64);
    for (rule, epsilon) in [
        (Initialization::Uniform { epsilon: 0.12 }, 0.12),
        (Initialization::LecunUniform, (3.0 / n).sqrt()),
        (Initialization::GlorotUniform, (6.0 / (n + s)).sqrt()),
        (Initialization::HeUniform, (6.0 / n).sqrt()),
    ] {
        let (weights, _) = draw(rule, 1);
        let (least, largest) = (weights.min(), weights.max());
        assert!(least >= -epsilon && least < -0.999 * epsilon, "{rule:?}");
        assert!(largest < epsilon && largest > 0.999 * epsilon, "{rule:?}");
        assert_moments(rule, epsilon * epsilon / 3.0, 1.8);
    }
}

#[test]
fn normal_rules_have_their_variance() {
    let (n, s) = (FAN_IN as f64, FAN_OUT as f64);
    for (rule, variance) in [
        (Initialization::Normal { sigma: 0.3 }, 0.09),
        (Initialization::LecunNormal, 1.0 / n),
        (Initialization::GlorotNormal, 2.0 / (n + s)),
        (Initialization::HeNormal, 2.0 / n),
    ] {
        assert_moments(rule, variance, 3.0);
        // Fractions within 1, 2 and 3 standard deviations, and beyond 4.
        let (weights, _) = draw(rule, 1);
        for (limit, expected) in [
            (1.0, 0.682_689_492),
            (2.0, 0.954_499_736),
            (3.0, 0.997_300_204),
            (4.0, 0.999_936_658),
        ] {
            let inside = |w: &&f64| w.abs() < limit * variance.sqrt();
            let share = weights.iter().filter(inside).count() as f64 / weights.len() as f64;
            let error = (expected * (1.0 - expected) / weights.len() as f64).sqrt();
            assert!((share - expected).abs() < 5.0 * error, "{rule:?}: {share}");
        }
    }
}

/// One round of the polar method gives two numbers. Neither they nor their neighbours may
/// correlate.
#[test]
fn normal_draws_are_independent() {
    let (weights, _) = draw(Initialization::Normal { sigma: 1.0 }, 3);
    let w = weights.as_slice();
    for lag in 1..=4 {
        let pairs = w.iter().zip(&w[lag..]);
        let correlation = pairs.map(|(a, b)| a * b).sum::<f64>() / w.len() as f64;
        assert!(correlation.abs() < 5.0 / (w.len() as f64).sqrt(), "{lag}");
    }
}

#[test]
fn constants_are_constant_and_biases_zero() {
    let (weights, bias) = draw(Initialization::Constant { value: -0.75 }, 1);
    assert!(weights.iter().all(|&w| w == -0.75));
    assert!(bias.iter().all(|&b| b == 0.0));
}

/// The bits are pinned. They come from an independent implementation of xoshiro256++ and 60-digit
/// arithmetic.
#[test]
fn a_seed_gives_the_same_normal_bits_everywhere() {
    let rule = Initialization::Normal { sigma: 1.0 };
    let network = Builder::<f64>::new(5).dense(1, Identity);
    let network = network.initialize(rule, &mut rng(42)).unwrap();
    let (weights, _) = network.dense_weights(0).unwrap();
    let pinned = [
        0.981_398_390_072_498_6,
        -0.565_720_104_673_956,
        1.340_325_642_752_022_7,
        0.402_312_870_299_260_8,
        -0.964_220_506_294_138_4,
    ];
    assert_eq!(weights.as_slice(), &pinned);
    let exact = 0.981_398_390_072_498_4;
    assert!((weights[0] - exact).abs() <= 2.0 * f64::EPSILON * exact);
}

/// The weights reach the ends of ±2σ and no further, and have the moments and shares of a
/// truncated normal distribution.
#[test]
fn truncated_draws_have_their_distribution() {
    let sigma = 0.3;
    let rule = Initialization::TruncatedNormal { sigma };
    // 1 − 4φ(2)/(Φ(2) − Φ(−2)), and the fourth moment, over its square.
    let (variance, kurtosis) = (0.773_741_303_549_923_2, 2.365_536_717_129_65);
    assert_moments(rule, sigma * sigma * variance, kurtosis);
    for seed in 1..=3 {
        let (weights, _) = draw(rule, seed);
        let largest = weights.amax();
        assert!(largest <= 2.0 * sigma && largest > 1.999 * sigma);
        for (limit, expected) in [
            (0.5, 0.401_178_657_325_943),
            (1.0, 0.715_232_772_010_907),
            (1.5, 0.907_685_528_546_034),
        ] {
            let inside = |w: &&f64| w.abs() < limit * sigma;
            let share = weights.iter().filter(inside).count() as f64 / weights.len() as f64;
            let error = (expected * (1.0 - expected) / weights.len() as f64).sqrt();
            assert!((share - expected).abs() < 5.0 * error, "{limit}: {share}");
        }
    }
    // One word gives one weight, so the extreme words give the ends.
    let (least, largest) = (extreme::<f64>(rule, 0), extreme::<f64>(rule, u64::MAX));
    assert_eq!(least, -largest);
    assert!((largest / sigma - 2.0).abs() <= 1e-14 && largest <= 2.0 * sigma);
    assert!(extreme::<f32>(rule, u64::MAX) <= (2.0 * sigma) as f32);
}

/// A generator that always draws the same word.
struct Always(u64);

impl TryRng for Always {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.0 >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
        unreachable!("an initialiser draws whole words")
    }
}

/// The weights of 3 units with 5 inputs if every draw is `word`.
fn extreme<T: Scalar>(rule: Initialization, word: u64) -> T {
    let network = Network::<T>::builder(5).dense(3, Relu);
    let network = network.initialize(rule, &mut Always(word)).unwrap();
    let (weights, _) = network.dense_weights(0).unwrap();
    assert!(weights.iter().all(|w| *w == weights[0]));
    weights[0]
}

/// The weights of each scalar are in \[−ε, ε), for ε in f64 and in that scalar.
#[test]
fn uniform_draws_are_rounded_to_no_end_of_the_interval() {
    let mut rules: Vec<(Initialization, f64)> = vec![
        (Initialization::LecunUniform, (3.0_f64 / 5.0).sqrt()),
        (Initialization::GlorotUniform, (6.0_f64 / 8.0).sqrt()),
        (Initialization::HeUniform, (6.0_f64 / 5.0).sqrt()),
    ];
    let sizes = [
        1.0, 0.12, 0.1, 0.5, 1.5, 3e-5, 1e30, 1e-38, 1e-40, 1e-45, 1e-50,
    ];
    let odd = [1.0 - f64::EPSILON, 1.0 + f64::EPSILON, 1.0 + 6e-8];
    for epsilon in sizes.into_iter().chain(odd) {
        rules.push((Initialization::Uniform { epsilon }, epsilon));
    }
    for (rule, epsilon) in rules {
        let narrow = epsilon as f32;
        for word in [u64::MAX, u64::MAX - (1 << 40), 0, 1 << 20] {
            let (single, double): (f32, f64) = (extreme(rule, word), extreme(rule, word));
            let wide = f64::from(single);
            assert!((-epsilon..epsilon).contains(&double), "{rule:?} {double:e}");
            // If ε is 0 in f32, all weights are 0.
            let none = narrow == 0.0 && single == 0.0;
            let inside = (-epsilon..epsilon).contains(&wide) && (-narrow..narrow).contains(&single);
            assert!(inside || none, "{rule:?} {single:e}");
            // The f32 and f64 weights differ by at most two f32 steps.
            let step = epsilon * 2.4e-7 + 3e-45;
            assert!((double - wide).abs() <= step, "{rule:?} {single:e}");
        }
    }
    let whole = Initialization::Uniform { epsilon: 1.0 };
    assert_eq!(extreme::<f32>(whole, u64::MAX), 1.0_f32.next_down());
    assert_eq!(extreme::<f64>(whole, u64::MAX), 1.0 - f64::EPSILON);
    let least = f64::from_bits(1);
    let least = Initialization::Uniform { epsilon: least };
    assert_eq!(extreme::<f64>(least, u64::MAX), 0.0);
    assert_eq!(extreme::<f64>(least, 0), -f64::from_bits(1));
    let nothing = Initialization::Uniform { epsilon: 0.0 };
    assert_eq!(extreme::<f64>(nothing, u64::MAX), 0.0);
}

#[test]
fn scalars_start_alike() {
    for rule in [
        Initialization::HeUniform,
        Initialization::GlorotNormal,
        Initialization::TruncatedNormal { sigma: 0.7 },
        Initialization::Orthogonal { gain: 1.5 },
    ] {
        let double = Network::<f64>::builder(7).dense(5, Relu);
        let double = double.initialize(rule, &mut rng(9)).unwrap();
        let single = Network::<f32>::builder(7).dense(5, Relu);
        let single = single.initialize(rule, &mut rng(9)).unwrap();
        assert_eq!(double.map(|w| w as f32).unwrap(), single);
    }
}

/// Each block has its own fan-in and fan-out, and its exempt columns start at 0.
#[test]
fn each_block_has_its_own_scale() {
    let (wide, narrow) = (Initialization::LecunUniform, Initialization::HeUniform);
    for (rule, numerator) in [(wide, 3.0_f64), (narrow, 6.0)] {
        let network = Network::<f64>::builder(1000)
            .dense(400, Relu)
            .dense(2, Relu);
        let network = network.initialize(rule, &mut rng(2)).unwrap();
        for (layer, fan_in) in [(0, 1000.0), (1, 400.0)] {
            let (weights, bias) = network.dense_weights(layer).unwrap();
            let epsilon = (numerator / fan_in).sqrt();
            assert!(weights.amax() < epsilon && weights.amax() > 0.99 * epsilon);
            assert_eq!(bias.amax(), 0.0);
        }
    }
}

#[test]
fn only_the_chosen_layer_is_redrawn() {
    let mut network = Network::<f64>::builder(3)
        .dense(4, Relu)
        .dense(2, Relu)
        .initialize(Initialization::HeNormal, &mut rng(1))
        .unwrap();
    let before = network.clone();
    let bias = [1.0, 2.0];
    network
        .set_dense(1, &DMatrix::repeat(2, 4, 9.0), &bias)
        .unwrap();
    network
        .initialize_layer(1, Initialization::Uniform { epsilon: 0.5 }, &mut rng(7))
        .unwrap();
    assert_eq!(network.block(0, 0), before.block(0, 0));
    let (weights, bias) = network.dense_weights(1).unwrap();
    assert!(weights.amax() < 0.5 && weights.amin() > 0.0);
    assert_eq!(bias.as_slice(), &[0.0, 0.0]);
    // The same as for a network of only this layer.
    let alone = Network::<f64>::builder(4).dense(2, Relu);
    let uniform = Initialization::Uniform { epsilon: 0.5 };
    let alone = alone.initialize(uniform, &mut rng(7)).unwrap();
    assert_eq!(network.block(1, 0), alone.block(0, 0));
}

#[test]
fn invalid_constants_are_refused_and_change_nothing() {
    let mut network = Network::<f32>::builder(2)
        .dense(2, Relu)
        .initialize(Initialization::HeNormal, &mut rng(1))
        .unwrap();
    let before = network.clone();
    let too_large = f64::from(f32::MAX) * 2.0;
    let constant = |value| Initialization::Constant { value };
    let uniform = |epsilon| Initialization::Uniform { epsilon };
    let normal = |sigma| Initialization::Normal { sigma };
    let truncated = |sigma| Initialization::TruncatedNormal { sigma };
    let orthogonal = |gain| Initialization::Orthogonal { gain };
    let infinities = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let mut refused: Vec<Initialization> = Vec::new();
    for bad in infinities.into_iter().chain([too_large]) {
        refused.extend([constant(bad), uniform(bad), normal(bad)]);
        refused.extend([truncated(bad), orthogonal(bad)]);
    }
    refused.extend([uniform(-0.1), normal(-0.1), normal(too_large / 20.0)]);
    refused.extend([
        truncated(-0.1),
        truncated(too_large / 3.0),
        orthogonal(-0.1),
    ]);
    for rule in refused {
        let found = network.initialize_layer(0, rule, &mut rng(1));
        let bad = |found| match (rule, found) {
            (
                Initialization::Constant { value: given }
                | Initialization::Uniform { epsilon: given }
                | Initialization::Normal { sigma: given }
                | Initialization::TruncatedNormal { sigma: given }
                | Initialization::Orthogonal { gain: given },
                Err(Error::Hyperparameter { value, .. }),
            ) => value.to_bits() == given.to_bits(),
            _ => false,
        };
        assert!(bad(found), "{rule:?}");
    }
    let found = network.initialize_layer(1, constant(1.0), &mut rng(1));
    let what = "layer";
    assert_eq!(
        found,
        Err(Error::Index {
            what,
            index: 1,
            count: 1
        })
    );
    assert_eq!(network, before);
    for rule in [constant(-1e38), uniform(0.0), normal(0.0), normal(1e37)] {
        network.initialize_layer(0, rule, &mut rng(1)).unwrap();
    }
}
