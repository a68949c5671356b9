//! The layers inside others in a trace.

use backprop::activation::{Identity, Sigmoid, Softmax, Tanh};
use backprop::cost::Heads;
use backprop::layer::{AnyLayer, Axis, Dense, Sequential};
use backprop::nalgebra::DMatrix;
use backprop::{
    CategoricalCrossEntropy, Examples, Initialization, Network, Objective, Path, SquaredError,
    Workspace, rng,
};

/// u = x + tanh(b + W x), a = c + v u: z, a and δ of the body by hand.
#[test]
fn a_body_has_its_own_error() {
    let network = Network::<f64>::builder(1)
        .residual(|body| body.dense(1, Tanh))
        .dense(1, Identity)
        .with_theta(&[0.25, 0.5, -1.0, 3.0])
        .unwrap();
    let (x, y) = (
        DMatrix::from_row_slice(1, 2, &[0.5, -2.0]),
        DMatrix::zeros(1, 2),
    );
    let examples = Examples::new(&x, &y)
        .unwrap()
        .weighted(&[2.0, 1.0])
        .unwrap();
    let trace = network
        .trace(&examples, &Objective::new(SquaredError))
        .unwrap();
    let body = [0, 0, 0];
    for (k, w) in [(0, 2.0), (1, 1.0)] {
        let z: f64 = 0.25 + 0.5 * x[k];
        let a = -1.0 + 3.0 * (x[k] + z.tanh());
        let delta = w * a * 3.0 * (1.0 - z.tanh().powi(2));
        assert_eq!(trace.z(body).unwrap()[k], z);
        assert_eq!(trace.activation(body).unwrap()[k], z.tanh());
        assert_eq!(trace.activation([0, 0]).unwrap()[k], z.tanh());
        assert!((trace.delta(body).unwrap()[k] - delta).abs() < 1e-14);
    }
    assert_eq!(trace.z([0, 1]), None);
    let text = format!("{trace:.2}");
    for line in [
        "z of layer⁽¹·¹·¹⁾ (Dense Tanh) (1 × 2)\n   0.50  -0.75",
        "δ of layer⁽¹·¹·¹⁾ = w ∂cost/∂z (1 × 2)",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

/// Heads have δ = w (a − y) at their z, and every inner layer the outputs of a pass.
#[test]
fn heads_have_their_own_errors() {
    let network = Network::<f64>::builder(3)
        .dense(4, Tanh)
        .concat(Axis::First, |heads| {
            let heads = heads.branch(|classes| classes.dense(2, Softmax));
            heads.branch(|number| {
                number
                    .residual(|body| body.dense(4, Tanh))
                    .dense(1, Identity)
            })
        })
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    let x = DMatrix::from_fn(3, 5, |i, k| (1.3 * i as f64 - 0.7 * k as f64).sin());
    let y = DMatrix::from_fn(3, 5, |i, k| f64::from((i + k) % 2 == 0 || i == 2));
    let cost = Heads::new()
        .head(0..2, CategoricalCrossEntropy, 1.0)
        .head(2..3, SquaredError, 0.5);
    let examples = Examples::new(&x, &y).unwrap();
    let trace = network.trace(&examples, &Objective::new(cost)).unwrap();
    let mut workspace = Workspace::new();
    let a = network
        .forward_into(&x, &mut workspace)
        .unwrap()
        .clone_owned();
    let classes = trace.delta([1, 0, 0]).unwrap();
    let number = trace.delta([1, 1, 1]).unwrap();
    for k in 0..5 {
        for i in 0..2 {
            let sum: f64 = y.column(k).rows(0, 2).sum();
            assert!((classes[(i, k)] - (a[(i, k)] * sum - y[(i, k)])).abs() < 1e-15);
        }
        assert!((number[k] - 0.5 * (a[(2, k)] - y[(2, k)])).abs() < 1e-15);
    }
    let paths: [&[usize]; 7] = [
        &[0],
        &[1],
        &[1, 0],
        &[1, 0, 0],
        &[1, 1, 0],
        &[1, 1, 0, 0, 0],
        &[1, 1, 1],
    ];
    for path in paths {
        let path = Path::from(path);
        let found = trace.activation(path.clone()).unwrap();
        let expected = workspace.activation(path).unwrap();
        assert!((found - expected).amax() < 1e-15);
    }
    // A frozen layer has none, and a missing target is shown as 0.
    let mut frozen = network.clone();
    frozen.freeze([1, 0]).unwrap();
    let mut stored = y.clone();
    stored[(2, 1)] = f64::NAN;
    let present = stored.map(|y| !y.is_nan());
    let partial = Examples::with_missing(&x, &stored, &present).unwrap();
    let objective = Objective::new(SquaredError);
    let found = frozen.trace(&partial, &objective).unwrap();
    assert_eq!(found.delta([1, 0, 0]), None);
    assert_eq!(found.delta([1, 1, 1]).unwrap()[1], 0.0);
    assert!(found.delta([1, 1, 1]).unwrap()[0] != 0.0);
    assert!(!found.to_string().contains("NaN"));
    // Δ of a bias is the sum of δ.
    for path in [&[1, 0, 0][..], &[1, 1, 0, 0, 0], &[1, 1, 1]] {
        let (sum, delta) = (trace.layer_sum(path).unwrap(), trace.delta(path).unwrap());
        for (sum, delta) in sum.column(0).iter().zip(delta.row_iter()) {
            assert!((sum - delta.sum()).abs() < 1e-14);
        }
    }
    assert_eq!(trace.activation([1, 2]), None);
}

/// A body of a dense layer and an activation has z of the activation, and no δ: that of the dense
/// layer is another.
#[test]
fn containers_have_no_error_of_a_layer_inside() {
    let network = Network::<f64>::builder(2)
        .residual(|body| body.dense(2, Tanh).activate(Sigmoid))
        .dense(1, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap();
    let x = DMatrix::from_row_slice(2, 1, &[0.5, -1.0]);
    let y = DMatrix::from_row_slice(1, 1, &[0.3]);
    let trace = network.trace(
        &Examples::new(&x, &y).unwrap(),
        &Objective::new(SquaredError),
    );
    let trace = trace.unwrap();
    assert!(trace.z([0, 0]).is_some());
    assert_eq!(trace.delta([0, 0]), None);
    assert!(trace.delta([0, 0, 0]).is_some());
}

/// δ of an inner layer is read from the column of its bias. Without one there is no δ, rather than
/// the gradient of a weight.
#[test]
fn an_inner_layer_without_a_bias_has_no_error() {
    let layer = || -> AnyLayer { Dense::new(2, 2, Tanh).without_bias().into() };
    let last = || -> AnyLayer { Dense::new(2, 1, Identity).into() };
    let theta: Vec<f64> = (0..7).map(|i| (f64::from(i) + 0.5).sin()).collect();
    let network = |first| Network::from_layers(2, vec![first, last()], &theta).unwrap();
    let (flat, nested) = (
        network(layer()),
        network(Sequential::new(vec![layer()]).into()),
    );
    let x = DMatrix::from_fn(2, 3, |i, k| (1.3 * i as f64 - 0.7 * k as f64).sin());
    let y = DMatrix::from_row_slice(1, 3, &[0.3, -0.2, 0.9]);
    let (examples, objective) = (Examples::new(&x, &y).unwrap(), Objective::new(SquaredError));
    let flat = flat.trace(&examples, &objective).unwrap();
    let nested = nested.trace(&examples, &objective).unwrap();
    assert!(flat.delta(0).is_some());
    assert_eq!(nested.z([0, 0]), flat.z(0));
    assert_eq!(nested.delta([0, 0]), None);
}
