//! Every number and every network is read back with the same bits.

use backprop::activation::{Activation, Elu, LeakyRelu, Sigmoid, Softmax, Tanh};
use backprop::cost::BinaryCrossEntropy;
use backprop::layer::AnyLayer;
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut, convert};
use backprop::saving::{from_bytes, to_bytes};
use backprop::{AnyActivation, Builder, Dense, Initialization, Layer, Network, Objective};
use backprop::{Scalar, Strength, rng};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

fn again<S: Serialize + ?Sized, D: DeserializeOwned>(value: &S) -> D {
    from_bytes(&to_bytes("value", value).unwrap(), "value").unwrap()
}

fn same_f64(values: &[f64]) {
    let read: Vec<f64> = again(values);
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read), bits(values), "{values:?}");
}

fn same_f32(values: &[f32]) {
    let read: Vec<f32> = again(values);
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read), bits(values), "{values:?}");
}

#[test]
fn numbers_that_are_hard_to_write() {
    let mut hard = vec![
        0.0,
        5e-324,
        f64::MIN_POSITIVE,
        f64::MIN_POSITIVE.next_down(),
        f64::MAX,
        f64::MAX.next_down(),
        f64::EPSILON,
        1.0_f64.next_up(),
        1.0_f64.next_down(),
        0.1 + 0.2,
        9_007_199_254_740_993.0,
        f64::MIN_POSITIVE.next_up(),
        8.41e21,
        9.5367431640625e-7,
    ];
    hard.extend((-1074..1024).map(|e| 2.0_f64.powi(e)));
    let negative: Vec<f64> = hard.iter().map(|h| -h).collect();
    same_f64(&hard);
    same_f64(&negative);

    let mut hard = vec![
        0.0,
        f32::from_bits(1),
        f32::MIN_POSITIVE,
        f32::MIN_POSITIVE.next_down(),
        f32::MAX,
        1.0_f32.next_up(),
        16_777_217.0,
        0.3,
    ];
    hard.extend((-149..128).map(|e| 2.0_f32.powi(e)));
    let negative: Vec<f32> = hard.iter().map(|h| -h).collect();
    same_f32(&hard);
    same_f32(&negative);
}

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn any_f64(bits in vec(any::<u64>(), 0..64)) {
        let values = bits.into_iter().map(f64::from_bits);
        same_f64(&values.filter(|v| v.is_finite()).collect::<Vec<_>>());
    }

    #[test]
    fn any_f32(bits in vec(any::<u32>(), 0..64)) {
        let values = bits.into_iter().map(f32::from_bits);
        same_f32(&values.filter(|v| v.is_finite()).collect::<Vec<_>>());
    }

    /// Short decimals and their neighbours, where a reader's rounding errors show.
    #[test]
    fn neighbours_of_short_decimals(digits in 1..1_000_000_u64, exponent in -330..310_i32) {
        let near: f64 = format!("{digits}e{exponent}").parse().unwrap();
        let near = [near.next_down(), near, near.next_up()];
        same_f64(&near.into_iter().filter(|v| v.is_finite()).collect::<Vec<_>>());
    }

    #[test]
    fn any_network(
        (units, seed) in (vec((1..6_usize, 0..8_usize), 1..5), any::<u64>()),
        inputs in 1..5_usize,
    ) {
        let activations: [AnyActivation; 8] = [
            AnyActivation::Identity,
            AnyActivation::Sigmoid,
            AnyActivation::Relu,
            AnyActivation::GeluTanh,
            AnyActivation::Selu,
            AnyActivation::Softmax,
            Elu { alpha: 0.1 + 0.2 },
            LeakyRelu { slope: 1e-300 },
        ];
        let builder = units.iter().fold(Network::<f64>::builder(inputs), |builder, &(units, g)| {
            builder.dense(units, activations[g])
        });
        let network = builder.initialize(Initialization::HeNormal, &mut rng(seed)).unwrap();
        same_network(&network);
        same_network(&network.map(|w| w as f32).unwrap());
    }
}

fn same_network<T, L>(network: &Network<T, L>)
where
    T: Scalar + Serialize + DeserializeOwned,
    L: Layer<T> + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let bytes = to_bytes("network", network).unwrap();
    let read: Network<T, L> = from_bytes(&bytes, "network").unwrap();
    assert_eq!(&read, network);
    // −0 equals 0, but it is not written as 0.
    assert_eq!(to_bytes("network", &read).unwrap(), bytes);
}

/// g(z) = z + c z³.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cubic {
    c: f64,
}

impl<T: Scalar> Activation<T> for Cubic {
    fn forward(&self, z: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
        a.zip_apply(&z, |a, z| *a = z + convert::<f64, T>(self.c) * z * z * z);
    }

    fn backward(
        &self,
        z: DMatrixView<'_, T>,
        _a: DMatrixView<'_, T>,
        mut delta: DMatrixViewMut<'_, T>,
    ) {
        let slope = |z: T| T::one() + convert::<f64, T>(3.0 * self.c) * z * z;
        delta.zip_apply(&z, |d, z| *d *= slope(z));
    }
}

#[test]
fn networks_of_every_kind() {
    let glorot = |seed| (Initialization::GlorotUniform, rng(seed));
    // Networks of built-in layers in both scalars, with a −0 among the parameters.
    let (start, mut random) = glorot(1);
    let builder = Network::<f64>::builder(3).dense(4, Tanh).dense(2, Softmax);
    let mut network = builder.initialize(start, &mut random).unwrap();
    let mut theta = network.theta().clone();
    theta[0] = -0.0;
    network.set_theta(theta.as_slice()).unwrap();
    same_network(&network);
    same_network(&network.map(|w| w as f32).unwrap());
    let read: Network<f64> = again(&network);
    assert!(read.theta()[0].is_sign_negative());
    let x = DMatrix::from_fn(3, 5, |i, k| ((1 + i + 3 * k) as f64).sin());
    assert_eq!(read.forward(&x).unwrap(), network.forward(&x).unwrap());

    // A custom layer between built-in ones.
    let (start, mut random) = glorot(2);
    let mixed = Builder::<f64, AnyLayer<Dense<Cubic>>>::new(3)
        .dense(4, Tanh)
        .layer(AnyLayer::Custom(Dense::new(4, 2, Cubic { c: 0.1 })))
        .dense(1, Sigmoid);
    same_network(&mixed.initialize(start, &mut random).unwrap());

    // Only a custom layer.
    let (start, mut random) = glorot(3);
    let own = Builder::<f32, Dense<Cubic>>::new(2).layer(Dense::new(2, 2, Cubic { c: 1e-30 }));
    same_network(&own.initialize(start, &mut random).unwrap());
}

#[test]
fn objectives_and_states() {
    let objective = Objective::new(BinaryCrossEntropy).l2(0.1 + 0.2);
    assert_eq!(again::<_, Objective>(&objective), objective);
    let strength = Strength {
        l1: 1e-320,
        l2: 0.7,
    };
    assert_eq!(again::<_, Strength>(&strength), strength);

    /// Values like those in an optimiser's state: counts beyond 2⁵³, absent values and strings.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct State {
        step: u64,
        seed: u128,
        shift: i64,
        velocity: Vec<f32>,
        best: Option<f64>,
        worst: Option<f64>,
        name: String,
        rule: Rule,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Rule {
        Plain,
        Momentum(f64),
        Adam { decay: (f64, f64) },
    }
    for rule in [
        Rule::Plain,
        Rule::Momentum(0.9),
        Rule::Adam {
            decay: (0.9, 0.999),
        },
    ] {
        let state = State {
            step: u64::MAX,
            seed: u128::MAX,
            shift: i64::MIN,
            velocity: vec![0.1, f32::MAX, -f32::MIN_POSITIVE],
            best: None,
            worst: Some(-0.1),
            name: "Θ\n\"\\\u{0}\u{1F980}".into(),
            rule,
        };
        assert_eq!(again::<_, State>(&state), state);
    }
}
