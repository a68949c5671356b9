//! Settings and sizes at the limits of their types give results or typed errors. They never panic,
//! abort or loop forever.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

use backprop::activation::{Identity, Relu, Softmax, Tanh};
use backprop::data::{
    KFold, MinMaxScaler, Scaler, Split, Standardizer, balanced_weights, class_weights, labels,
    one_hot, permutation_into, select, stratified_split, train_test_split,
};
use backprop::layer::{Backward, Block, Forward, Keep, LayerGradient, Plan, Site};
use backprop::metrics::{Average, ConfusionMatrix, F1, Metric, TopK};
use backprop::nalgebra::DMatrix;
use backprop::saving::Checkpoints;
use backprop::training::{Adam, Clipping, GradientDescent, IRpropMinus, RmsProp, Trainer};
use backprop::{
    AnyCost, CategoricalCrossEntropy, Dense, Error, Examples, GradientCheck, Initialization, Layer,
    Network, Objective, Penalty, Scalar, Shape, SquaredError, Strength, Workspace, rng, row_major,
};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::Duration;

/// Counts: small ones, and ones too large for any memory.
const SIZES: &[usize] = &[
    0,
    1,
    2,
    3,
    1 << 44,
    1 << 62,
    usize::MAX / 16,
    usize::MAX / 8,
    usize::MAX / 8 + 1,
    usize::MAX / 2,
    usize::MAX / 2 + 1,
    usize::MAX - 63,
    usize::MAX - 1,
    usize::MAX,
];

const NUMBERS: &[f64] = &[
    0.0,
    -0.0,
    5e-324,
    f64::MIN_POSITIVE,
    1e-300,
    1e-17,
    0.5,
    1.0 - f64::EPSILON,
    1.0,
    1.0 + f64::EPSILON,
    2.0,
    1e17,
    1e300,
    f64::MAX,
    f64::MIN,
    -1.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

fn network() -> Network<f64> {
    let network = Network::builder(2).dense(3, Tanh).dense(2, Softmax);
    network
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap()
}

fn data() -> (DMatrix<f64>, DMatrix<f64>) {
    let x = DMatrix::from_fn(2, 6, |i, k| (i as f64 + 2.0 * k as f64).sin());
    let y = DMatrix::from_fn(2, 6, |i, k| f64::from(i == k % 2));
    (x, y)
}

/// Asserts that a size is refused if it exceeds the data.
#[track_caller]
fn refused_if<A>(large: bool, found: Result<A, Error>) {
    assert!(!large || found.is_err(), "accepted");
}

#[test]
fn sizes_of_data() {
    let (x, y) = data();
    for &size in SIZES {
        let large = size > 1 << 40;
        refused_if(large, one_hot::<f64>(&[0, 1], size));
        refused_if(large, one_hot::<f32>(&[0], size));
        refused_if(large, balanced_weights(&[0, 1], size));
        refused_if(true, class_weights(&[size, 7], &[1.0, 2.0]));
        refused_if(large, ConfusionMatrix::from_labels(&[0], &[0], size));
        refused_if(size > 3, ConfusionMatrix::from_labels(&[size], &[0], 4));
        let counts = ConfusionMatrix::from_outputs(&x, &y).unwrap();
        refused_if(size > 1, counts.f1(Average::Class(size)));
        refused_if(size > 2, TopK(size).evaluate(x.as_view(), y.as_view()));
        let of_class = F1(Average::Class(size));
        refused_if(size > 1, of_class.evaluate(x.as_view(), y.as_view()));
        for &fraction in NUMBERS {
            refused_if(large, train_test_split(size, fraction, u64::MAX));
            let _ = stratified_split(&[size, 1, size, 1, size], fraction, 0);
        }
        for &folds in SIZES {
            refused_if(large || folds > size, KFold::new(folds).split(size));
            refused_if(folds > 3, KFold::new(folds).shuffled(1).split(3));
            let many = KFold::new(folds).stratified(&[size, size, 7, 7]);
            refused_if(folds > 2, many);
        }
        let split = train_test_split(3, 0.5, 1).unwrap();
        let chosen: Result<Split, Error> = split.within(&[size, size]);
        assert!(chosen.is_err());
        refused_if(size > 5, select(&x, &[size]));
        refused_if(
            size == 0 || size > usize::MAX / 16,
            row_major::<f64>(&[], size),
        );
        refused_if(size != 1 && size != 2, row_major(&[1.0, 2.0], size));
        // Empty matrices of every shape.
        for empty in [DMatrix::zeros(size, 0), DMatrix::zeros(0, size)] {
            assert!(labels(&empty).is_err());
            refused_if(true, Standardizer::fit(&empty));
            refused_if(true, MinMaxScaler::fit(&empty));
            refused_if(true, network().forward(&empty));
            refused_if(true, ConfusionMatrix::from_outputs(&empty, &empty));
            let of_nothing = Standardizer::<f64>::new(Vec::new(), Vec::new()).unwrap();
            refused_if(empty.nrows() > 0, of_nothing.apply(&empty));
            let scaler = Standardizer::fit(&x).unwrap();
            refused_if(empty.nrows() != 2, scaler.apply(&empty));
            refused_if(empty.nrows() != 2, scaler.invert(&empty));
        }
    }
    for seed in [0, u64::MAX] {
        permutation_into(&mut [], seed, seed);
        permutation_into(&mut [7; 3], seed, u64::MAX);
    }
}

/// Asks a dense layer and its plans for the lengths of the memory of batches of all sizes.
fn lengths_of_plans(size: usize, units: usize) {
    let dense = Dense::new(size, units, Tanh);
    for &m in SIZES {
        let steps = Shape::Sequence {
            steps: m,
            features: size,
        };
        for site in [Site::new(size), Site::new(size).hidden(), Site::new(steps)] {
            let plans = [
                Layer::<f64>::plan(&dense, site),
                Layer::<f32>::plan(&dense, site),
            ];
            for plan in plans {
                let plan = plan.unwrap();
                let _ = (plan.parameters(), plan.room_len(m), plan.output().len());
                for keep in [Keep::Nothing, Keep::Slope, Keep::Curvature, Keep::Z] {
                    let _ = plan.kept(keep, m);
                }
            }
        }
    }
}

#[test]
fn sizes_of_networks() {
    let (x, y) = data();
    let mut trained = network();
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy);
    let pass = trained.backprop(&examples, &objective).unwrap();
    let trace = trained.trace(&examples, &objective).unwrap();
    let mut workspace = Workspace::new();
    trained.forward_into(&x, &mut workspace).unwrap();
    assert_eq!(workspace.logits(0).unwrap().shape(), (2, 6));
    for &size in SIZES {
        for &units in SIZES {
            let large = size > 1 << 40 || units > 1 << 40;
            let built = Network::<f64>::builder(size).dense(units, Relu).zeros();
            refused_if(large || size == 0 || units == 0, built);
            let two = Network::<f32>::builder(2)
                .dense(size, Relu)
                .dense(units, Tanh);
            refused_if(large, two.initialize(Initialization::HeNormal, &mut rng(1)));
            lengths_of_plans(size, units);
            let strength = Strength { l1: 0.0, l2: 1.0 };
            let penalty = Penalty::none().block(size, units, strength);
            let named = Objective::new(CategoricalCrossEntropy).penalty(penalty);
            refused_if(size > 1 || units > 0, trained.cost(&examples, &named));
            refused_if(size > 1 || units > 0, trained.block(size, units));
            refused_if(size > 1 || units > 0, pass.gradient().block(size, units));
            refused_if(size > 1 || units > 0, trained.set_block(size, units, &x));
        }
        refused_if(size > 1, trained.block(size, 0));
        refused_if(size > 1, trained.dense_weights(size));
        refused_if(size > 1, trained.set_dense(size, &x, &[1.0]));
        refused_if(size > 1, trained.layout().layer_blocks(size));
        let rule = Initialization::HeNormal;
        let mut other = trained.clone();
        refused_if(size > 1, other.initialize_layer(size, rule, &mut rng(1)));
        assert_eq!(workspace.activation(size).is_some(), size < 2);
        let _ = (trace.z(size), trace.activation(size), trace.delta(size));
        let sampled = GradientCheck::new().sampled(size, u64::MAX);
        refused_if(size == 0, sampled.network(&trained, &examples, &objective));
        let along = GradientCheck::new().directions(size, u64::MAX);
        refused_if(
            size > 1 << 16,
            along.network(&trained, &examples, &objective),
        );
    }
}

#[test]
fn invalid_training_settings_are_refused() {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let trainer = || {
        let objective = Objective::new(CategoricalCrossEntropy);
        let two = |epoch: &backprop::training::Epoch<'_, f64>| match epoch.record.epoch {
            0 | 1 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        Trainer::new(objective, GradientDescent::new(0.1))
            .epochs(u64::MAX)
            .seed(u64::MAX)
            .on_epoch(two)
    };
    for &size in SIZES {
        let found = trainer().batch_size(size).fit(&mut network(), &examples);
        refused_if(size > 6, found);
        let count = size as u64;
        let found = trainer().steps(count).fit(&mut network(), &examples);
        refused_if(count == 0, found);
        let mut found = trainer().epochs(count).progress();
        refused_if(count == 0, found.fit(&mut network(), &examples));
        for &number in NUMBERS {
            let mut found = trainer().patience(count).min_improvement(number);
            refused_if(count == 0, found.fit(&mut network(), &examples));
        }
        let folder = std::env::temp_dir().join(format!("settings-{}-{size}", std::process::id()));
        let checkpoints = Checkpoints::new(&folder).keep(size);
        for step in [0, 1, u64::MAX - 1, u64::MAX] {
            checkpoints.write(step, "state").unwrap();
        }
        assert_eq!(
            checkpoints.latest::<String>().unwrap().unwrap().step,
            u64::MAX
        );
        let mut found = trainer().checkpoints(Checkpoints::new(folder.join("run")), count);
        let _ = found.fit(&mut network(), &examples);
        std::fs::remove_dir_all(folder).unwrap();
    }
    for time in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        trainer().time(time).fit(&mut network(), &examples).unwrap();
    }
    for &a in NUMBERS {
        let _ = trainer()
            .validation_fraction(a)
            .fit(&mut network(), &examples);
        let mut clipped = trainer().clipping(Clipping::Norm(a));
        let _ = clipped.fit(&mut network(), &examples);
        for &b in NUMBERS {
            let objective = || Objective::new(CategoricalCrossEntropy).l2(b);
            let short = |trainer: Trainer<'_, f64, AnyCost>| {
                let _ = trainer.epochs(2).fit(&mut network(), &examples);
            };
            short(Trainer::new(
                objective(),
                GradientDescent::new(a).momentum(b),
            ));
            short(Trainer::new(
                objective(),
                Adam::new(a).betas(b, a).epsilon(b),
            ));
            short(Trainer::new(
                objective(),
                RmsProp::new(a).alpha(b).epsilon(a),
            ));
            short(Trainer::new(
                objective(),
                IRpropMinus::new(a).factors(b, a).bounds(a, b),
            ));
            let check = GradientCheck::new().step(a).tolerance(b, a);
            let _ = check.network(&network(), &examples, &objective());
            let wide = DMatrix::from_row_slice(1, 3, &[a, b, 1.0]);
            if let Ok(scaler) = Standardizer::fit(&wide) {
                let _ = scaler.apply(&wide).and_then(|z| scaler.invert(&z));
            }
            if let Ok(scaler) = MinMaxScaler::fit(&wide) {
                let _ = scaler.apply(&wide).and_then(|z| scaler.invert(&z));
            }
        }
        for rule in [
            Initialization::Constant { value: a },
            Initialization::Uniform { epsilon: a },
            Initialization::Normal { sigma: a },
        ] {
            let built = Network::<f32>::builder(2).dense(2, Relu);
            if let Ok(network) = built.initialize(rule, &mut rng(1)) {
                assert!(network.theta().iter().all(|t| t.is_finite()));
            }
        }
    }
}

/// Passes its inputs through. Its name may have any length.
#[derive(Debug)]
struct Named(String);

impl<T: Scalar> Layer<T> for Named {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        let block = Block::new(Cow::Owned(self.0.clone()), 1, 1);
        Ok(Plan::new(site, site.input).block(block))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        pass.output.copy_from(&pass.input);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let LayerGradient::Sum(gradient) = pass.gradient {
            gradient.fill(T::zero());
        }
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
        }
    }

    fn name(&self) -> String {
        self.0.clone()
    }
}

#[derive(Debug)]
struct LongName;

impl Metric<f64> for LongName {
    fn name(&self) -> String {
        "m".repeat(70_000)
    }

    fn direction(&self) -> backprop::metrics::Direction {
        backprop::metrics::Direction::Minimize
    }

    fn evaluate(
        &self,
        _: backprop::nalgebra::DMatrixView<'_, f64>,
        _: backprop::nalgebra::DMatrixView<'_, f64>,
    ) -> Result<f64, Error> {
        Ok(0.0)
    }
}

/// A table column holds at most 65,535 characters, but a name may be longer.
#[test]
fn names_of_any_length_are_printed() {
    let (x, _) = data();
    let name = "n".repeat(70_000);
    let mut named = Network::<f64, _>::from_layers(2, vec![Named(name.clone())], &[0.5]).unwrap();
    assert!(named.to_string().contains(&name));
    let (examples, objective) = (Examples::new(&x, &x).unwrap(), Objective::new(SquaredError));
    let report = GradientCheck::new().network(&named, &examples, &objective);
    assert!(report.unwrap().to_string().contains(&name));
    let f = |t: &[f64]| (t[0] * t[0], vec![2.0 * t[0]]);
    let report = GradientCheck::new().function(&[(&name, 1)], &[1.0], f);
    assert!(report.unwrap().to_string().contains(&name));
    let trace = named.trace(&examples, &objective).unwrap();
    assert!(trace.to_string().contains(&name));
    let trainer = Trainer::new(objective, GradientDescent::new(0.1)).epochs(2);
    let history = trainer.metric(LongName).fit(&mut named, &examples).unwrap();
    assert!(history.to_string().contains("mmm"));
    let one = Network::<f64>::builder(2)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    assert_eq!(one.parameters(), 3);
}
