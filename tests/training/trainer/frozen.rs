//! Frozen layers: every method trains the other parameters as if the frozen ones were constants.

use super::{data, network};
use backprop::activation::Softmax;
use backprop::nalgebra::DMatrix;
use backprop::saving::Checkpoints;
use backprop::training::{
    Adam, AdamW, Clipping, ConjugateGradient, GradientDescent, Lbfgs, LevenbergMarquardt, Method,
    Optimizer, Trainer,
};
use backprop::{CategoricalCrossEntropy, Error, Examples, Location, Network, Objective, Path};

type Make = fn(&Network<f64>) -> Method<f64>;

/// Trains `network` with each method, and returns θ.
fn trained(
    network: &Network<f64>,
    (x, y): (&DMatrix<f64>, &DMatrix<f64>),
    method: impl Fn(&Network<f64>) -> Method<f64>,
) -> Vec<f64> {
    let mut network = network.clone();
    let examples = Examples::new(x, y).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.4);
    let method = method(&network);
    let full = matches!(method, Method::FullBatch(_));
    let mut trainer = Trainer::new(objective, method).epochs(4).keep_best(false);
    if !full {
        trainer = trainer.batch_size(5).clipping(Clipping::Norm(0.05));
    }
    trainer.fit(&mut network, &examples).unwrap();
    network.theta().as_slice().to_vec()
}

/// A network whose first layer is frozen is trained like its second layer on the outputs of the
/// first.
#[test]
fn a_frozen_layer_is_a_constant_for_every_method() {
    let (x, y) = data(4, 3, 17);
    let mut whole = network([4, 5, 3]);
    whole.freeze(0).unwrap();
    let first = whole.layout().blocks()[0].range();
    let last = Network::builder(5).dense(3, Softmax);
    let last = last
        .with_theta(&whole.theta().as_slice()[first.end..])
        .unwrap();
    let hidden = {
        let mut workspace = backprop::Workspace::new();
        whole.forward_into(&x, &mut workspace).unwrap();
        workspace.activation(0).unwrap().clone_owned()
    };
    let methods: [(&str, Make); 8] = [
        ("descent", |_| GradientDescent::new(0.1).into()),
        ("momentum", |_| {
            GradientDescent::new(0.1).momentum(0.9).into()
        }),
        ("Adam", |_| Adam::new(0.05).into()),
        ("AdamW on all", |_| AdamW::new(0.05).decay(0.3).into()),
        ("AdamW without biases", |network| {
            let method = AdamW::new(0.05).decay(0.3);
            method.spare_biases(network.layout()).into()
        }),
        ("L-BFGS", |_| Lbfgs::new().into()),
        ("conjugate gradients", |_| ConjugateGradient::new().into()),
        ("Levenberg–Marquardt", |_| {
            LevenbergMarquardt::new().into()
        }),
    ];
    for (name, method) in methods {
        let found = trained(&whole, (&x, &y), method);
        let expected = trained(&last, (&hidden, &y), method);
        assert_eq!(
            found[first.clone()],
            whole.theta().as_slice()[first.clone()],
            "{name}"
        );
        for (found, expected) in found[first.end..].iter().zip(&expected) {
            let error = (found - expected).abs();
            assert!(
                error < 1e-9 * (1.0 + expected.abs()),
                "{name}: {found} {expected}"
            );
        }
        assert_ne!(expected, last.theta().as_slice(), "{name}");
    }
}

/// With all layers frozen, every method leaves θ, and reports J.
#[test]
fn all_layers_may_be_frozen() {
    let (x, y) = data(4, 3, 9);
    let mut network = network([4, 2, 3]);
    network.freeze(Path::default()).unwrap();
    let methods: [Make; 4] = [
        |_| AdamW::new(0.05).decay(0.3).into(),
        |_| Lbfgs::new().into(),
        |_| ConjugateGradient::new().into(),
        |_| LevenbergMarquardt::new().into(),
    ];
    for method in methods {
        let theta = trained(&network, (&x, &y), method);
        assert_eq!(theta, network.theta().as_slice());
    }
}

/// Momentum from before a layer was frozen does not move it, and a step gives the bits of the
/// optimiser's own.
#[test]
fn a_step_moves_what_is_not_frozen() {
    let mut network = network([2, 3, 2]);
    let p = network.parameters();
    let gradient: Vec<f64> = (0..p).map(|i| (i as f64).sin()).collect();
    let mut optimizer = Adam::new(0.1);
    let (mut theta, mut other) = (network.theta().as_slice().to_vec(), Adam::new(0.1));
    other.step(&mut theta, &gradient, 1.0).unwrap();
    network.step(&mut optimizer, &gradient).unwrap();
    assert_eq!(network.theta().as_slice(), theta);

    network.freeze(1).unwrap();
    let frozen = network.layout().blocks()[1].range();
    other.step(&mut theta, &gradient, 1.0).unwrap();
    theta[frozen.clone()].copy_from_slice(&network.theta().as_slice()[frozen]);
    network.step(&mut optimizer, &gradient).unwrap();
    assert_eq!(network.theta().as_slice(), theta);
}

/// A step that fails changes nothing.
#[test]
fn a_step_that_fails_leaves_the_network() {
    let mut network = network([2, 3, 2]);
    let (before, p) = (network.clone(), network.parameters());
    let mut optimizer: Box<dyn Optimizer<f64>> = Box::new(GradientDescent::new(1e300));
    let found = network.step(&mut optimizer, &vec![1.0; p + 1]);
    let expected = (p, 1);
    assert!(matches!(found, Err(Error::Shape { expected: e, .. }) if e == expected));
    let mut gradient = vec![1.0; p];
    gradient[10] = f64::NAN;
    let found = network.step(&mut optimizer, &gradient);
    assert!(
        matches!(found, Err(Error::NonFinite { at: Location::Gradient(e), .. })
        if e.layer == 1 && (e.row, e.col) == (1, 0))
    );
    gradient[10] = 1e300;
    let found = network.step(&mut optimizer, &gradient);
    assert!(
        matches!(found, Err(Error::NonFinite { at: Location::Parameter(e), .. })
        if e.layer == 1 && (e.row, e.col) == (1, 0))
    );
    assert_eq!(network, before);
}

/// A run with a frozen layer resumes to the same bits, and only with the same layers frozen.
#[test]
fn runs_resume_with_the_same_layers_frozen() {
    let (x, y) = data(4, 3, 17);
    let examples = Examples::new(&x, &y).unwrap();
    let folder = std::env::temp_dir().join(format!("backprop-frozen-{}", std::process::id()));
    let methods: [Make; 3] = [
        |_| Adam::new(0.05).into(),
        |_| Lbfgs::new().into(),
        |_| LevenbergMarquardt::new().into(),
    ];
    for (i, method) in methods.into_iter().enumerate() {
        let folder = folder.join(i.to_string());
        let mut start = network([4, 3, 3]);
        start.freeze(0).unwrap();
        let trainer = |network: &Network<f64>, epochs| {
            let objective = Objective::new(CategoricalCrossEntropy).l2(0.4);
            let trainer = Trainer::new(objective, method(network));
            trainer
                .epochs(epochs)
                .checkpoints(Checkpoints::new(&folder), 1)
        };
        let mut found = start.clone();
        trainer(&start, 3).resume(&mut found, &examples).unwrap();
        let mut found = start.clone();
        trainer(&start, 6).resume(&mut found, &examples).unwrap();
        let mut expected = start.clone();
        let objective = Objective::new(CategoricalCrossEntropy).l2(0.4);
        let mut at_once = Trainer::new(objective, method(&start)).epochs(6);
        at_once.fit(&mut expected, &examples).unwrap();
        assert_eq!(found, expected);
        let mut free = start.clone();
        free.unfreeze(0).unwrap();
        let refused = trainer(&start, 9).resume(&mut free, &examples);
        assert!(
            matches!(refused, Err(Error::OtherTraining { .. })),
            "{refused:?}"
        );
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// Layers that are unfrozen move again, with every kind of method.
#[test]
fn unfrozen_layers_move_again() {
    let (x, y) = data(4, 3, 17);
    let start = network([4, 3, 3]);
    let mut released = start.clone();
    released.freeze(0).unwrap();
    released.unfreeze(0).unwrap();
    let methods: [Make; 3] = [
        |_| Adam::new(0.05).into(),
        |_| Lbfgs::new().into(),
        |_| LevenbergMarquardt::new().into(),
    ];
    for method in methods {
        let expected = trained(&start, (&x, &y), method);
        assert_eq!(trained(&released, (&x, &y), method), expected);
    }
    let gradient = vec![1.0; start.parameters()];
    let mut expected = start.clone();
    expected
        .step(&mut GradientDescent::new(0.5), &gradient)
        .unwrap();
    released
        .step(&mut GradientDescent::new(0.5), &gradient)
        .unwrap();
    assert_eq!(released, expected);
}
