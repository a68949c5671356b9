//! Laws of norms.

use super::{close, network, pass, training, wave};
use backprop::layer::{AnyLayer, BatchNorm, LayerNorm, RmsNorm};
use backprop::nalgebra::DMatrix;
use backprop::{Examples, Network, Objective, SquaredError, Workspace};

/// A layer norm is blind to shift and scale, an RMS norm to scale; batch norm, unit by unit, to
/// both.
#[test]
fn norms_are_blind_to_shift_and_scale() {
    let theta: Vec<f64> = wave::<f64>(10, 1, 0.9).as_slice().to_vec();
    let x = wave::<f64>(5, 6, 0.4);
    let tiny = 1e-14;
    let layer = network(5, LayerNorm::new().eps(tiny), &theta);
    let rms = network(5, RmsNorm::new().eps(tiny), &theta[..5]);
    let batch = network(5, BatchNorm::new().eps(tiny), &theta);
    let run = |network: &Network<f64>, x: &DMatrix<f64>| {
        let mut workspace = training();
        network
            .forward_into(x, &mut workspace)
            .unwrap()
            .clone_owned()
    };
    for (shift, scale) in [(3.0, 1.0), (0.0, 4.0), (-2.0, 0.3)] {
        let moved = x.map(|x| shift + scale * x);
        close(
            run(&layer, &moved).as_slice(),
            run(&layer, &x).as_slice(),
            1e-12,
        );
        close(
            run(&batch, &moved).as_slice(),
            run(&batch, &x).as_slice(),
            1e-12,
        );
        let scaled = &x * scale;
        close(
            run(&rms, &scaled).as_slice(),
            run(&rms, &x).as_slice(),
            1e-12,
        );
    }
    // So the error below has no part along the ones, and, without ε, none along x.
    let delta = wave::<f64>(5, 6, 2.1);
    let found = pass(&layer, &x, &delta, &mut training());
    for (below, x) in found.by_x.column_iter().zip(x.column_iter()) {
        assert!(below.sum().abs() < 1e-13 && below.dot(&x).abs() < 1e-12);
    }
}

/// The mean of a norm's output is β, and its variance γ² (up to ε).
#[test]
fn outputs_have_mean_beta_and_variance_gamma_squared() {
    let layer = network(50, LayerNorm::new().eps(1e-12).affine(false), &[]);
    let x = wave::<f64>(50, 3, 0.4);
    for column in layer.forward(&x).unwrap().column_iter() {
        assert!(column.mean().abs() < 1e-14 && (column.variance() - 1.0).abs() < 1e-10);
    }
    let batch = network(2, BatchNorm::new().eps(1e-12), &[3.0, 0.5, 1.0, -2.0]);
    let x = wave::<f64>(2, 40, 0.4);
    let mut workspace = training();
    let a = batch.forward_into(&x, &mut workspace).unwrap();
    for (row, (gamma, beta)) in a.row_iter().zip([(3.0, 1.0), (0.5, -2.0)]) {
        let variance: f64 = row.iter().map(|a| (a - beta) * (a - beta)).sum::<f64>() / 40.0;
        assert!((row.mean() - beta).abs() < 1e-13);
        assert!((variance - gamma * gamma).abs() < 1e-9);
    }
}

/// With fixed statistics a batch norm is affine, the same in training and outside, and each example
/// is by itself.
#[test]
fn fixed_statistics_make_an_affine_map() {
    let theta: Vec<f64> = wave::<f64>(6, 1, 0.9).as_slice().to_vec();
    let mut network = network(3, BatchNorm::new(), &theta);
    network.set_state(&[0.5, -1.0, 2.0, 0.3, 4.0, 1.5]).unwrap();
    network.fix_statistics(0).unwrap();
    let run = |x: &DMatrix<f64>| {
        let mut workspace = training();
        network
            .forward_into(x, &mut workspace)
            .unwrap()
            .clone_owned()
    };
    let (x, y) = (wave::<f64>(3, 4, 0.4), wave::<f64>(3, 4, 1.4));
    let zero = DMatrix::zeros(3, 4);
    let sum = run(&(&x + &y)) + run(&zero);
    close(sum.as_slice(), (run(&x) + run(&y)).as_slice(), 1e-13);
    assert_eq!(run(&x), network.forward(&x).unwrap());
    // Gradients of examples exist in training, and the curvature of the layer is 0.
    let target = DMatrix::zeros(3, 4);
    let examples = Examples::new(&x, &target).unwrap();
    let mut gradients = vec![0.0; 24];
    network
        .example_gradients(&examples, &SquaredError)
        .matrix_into(&mut training(), &mut gradients)
        .unwrap();
    let mut workspace = training();
    network.forward_into(&x, &mut workspace).unwrap();
    let mut after = network.clone();
    after.take_state(&workspace).unwrap();
    assert_eq!(after.state(), network.state());
}

/// Passes read the state. Nothing but `take_state` writes it, and only after a training pass.
#[test]
fn nothing_but_take_state_writes_the_state() {
    let mut network = network(3, BatchNorm::new(), &[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
    let before = network.clone();
    let (x, y) = (wave::<f64>(3, 4, 0.4), DMatrix::zeros(3, 4));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let v = wave::<f64>(6, 1, 0.2);
    for training in [None, Some(3)] {
        let mut workspace = Workspace::new();
        workspace.set_training(training);
        let mut gradient = vec![0.0; 6];
        network.forward_into(&x, &mut workspace).unwrap();
        network
            .cost_into(&examples, &objective, &mut workspace)
            .unwrap();
        network
            .gradient_into(&examples, &objective, &mut workspace, &mut gradient)
            .unwrap();
        let v = v.as_slice();
        network
            .hessian_product_into(&examples, &objective, v, &mut workspace, &mut gradient)
            .unwrap();
        network.trace_in(&examples, &objective, &workspace).unwrap();
        network
            .hessian_in(&examples, &objective, &mut workspace)
            .unwrap();
        assert_eq!(network, before);
    }
    // Twice the same pass is one step.
    let mut workspace = training();
    network.forward_into(&x, &mut workspace).unwrap();
    network.forward_into(&x, &mut workspace).unwrap();
    network.take_state(&workspace).unwrap();
    let once = network.state().clone();
    network.set_state(before.state().as_slice()).unwrap();
    let mut workspace = training();
    network.forward_into(&x, &mut workspace).unwrap();
    network.take_state(&workspace).unwrap();
    assert_eq!(once, *network.state());
}

/// A norm of a norm with the same groups is, up to ε, one norm.
#[test]
fn a_norm_of_a_norm_is_a_norm() {
    let x = wave::<f64>(6, 5, 0.4);
    let twice = Network::<f64>::from_layers(
        6,
        vec![
            LayerNorm::new().eps(1e-13).affine(false).into(),
            LayerNorm::new().eps(1e-13).affine(false).into(),
        ],
        &[],
    );
    let once = network(6, LayerNorm::new().eps(1e-13).affine(false), &[]);
    let (twice, once) = (
        twice.unwrap().forward(&x).unwrap(),
        once.forward(&x).unwrap(),
    );
    close(twice.as_slice(), once.as_slice(), 1e-12);
}

/// Columns of X that are apart, or runs that do not fit the cache together, change no bit.
#[test]
fn columns_may_be_apart() {
    for units in [6, 1500] {
        let layers: [AnyLayer; 3] = [
            LayerNorm::new().affine(false).into(),
            RmsNorm::new().affine(false).into(),
            BatchNorm::new().affine(false).into(),
        ];
        for layer in layers {
            let network = network::<f32>(units, layer, &[]);
            for m in [1, 2, 7] {
                let wide = wave::<f32>(units + 2, m, 0.3);
                let apart = wide.rows(1, units);
                let together = apart.clone_owned();
                let mut workspace = training();
                let found = network.forward_into(apart, &mut workspace).unwrap();
                let found = found.clone_owned();
                let expected = network.forward_into(&together, &mut workspace).unwrap();
                assert_eq!(found, expected, "{network}, {m}");
                let delta = wave::<f32>(units, m, 0.6);
                let all = pass(&network, &together, &delta, &mut training());
                if matches!(network.layers()[0], AnyLayer::BatchNorm(_)) {
                    continue;
                }
                for k in 0..m {
                    let (x, delta) = (together.columns(k, 1), delta.columns(k, 1));
                    let (x, delta) = (x.clone_owned(), delta.clone_owned());
                    let one = pass(&network, &x, &delta, &mut training());
                    assert_eq!(one.by_x, all.by_x.columns(k, 1), "{network}, {k}");
                }
            }
        }
    }
}
