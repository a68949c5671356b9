//! Small numbers, worked out on paper.

use super::{close, gradient, network, pass, training, wave};
use backprop::layer::{BatchNorm, LayerNorm, RmsNorm};
use backprop::nalgebra::DMatrix;
use backprop::{Network, Scalar, Shape, Workspace};

/// x = (1, 3) with ε = 3: μ = 2, σ² + ε = 4, r = ½ and x̂ = (−½, ½). With γ = (2, 3), β = (1, −1)
/// and δ = (5, 7): g = (10, 21), its mean is 15.5, the mean of g x̂ is 2.75.
fn layer_norm<T: Scalar>() {
    let theta = [2.0, 3.0, 1.0, -1.0].map(|w| backprop::nalgebra::convert::<f64, T>(w));
    let network = network(2, LayerNorm::new().eps(3.0), &theta);
    let x = DMatrix::from_column_slice(2, 2, &[1.0, 3.0, 11.0, 13.0]);
    let delta = DMatrix::from_column_slice(2, 2, &[5.0, 7.0, 5.0, 7.0]);
    let (x, delta) = (
        x.map(backprop::nalgebra::convert),
        delta.map(backprop::nalgebra::convert),
    );
    let found = pass::<T>(&network, &x, &delta, &mut Workspace::new());
    close(found.a.as_slice(), &[0.0, 0.5, 0.0, 0.5], 1e-6);
    close(&found.by_theta, &[-5.0, 7.0, 10.0, 14.0], 1e-6);
    close(
        found.by_x.as_slice(),
        &[-2.0625, 2.0625, -2.0625, 2.0625],
        1e-6,
    );
}

/// x = (1, 7) with ε = 24: the mean square is 25, r = 1/7. With γ = (7, 14) and δ = (1, 2):
/// g = (7, 28), the mean of g x̂ is ½ (7 · 1/7 + 28) = 14.5.
fn rms_norm<T: Scalar>() {
    let theta = [7.0, 14.0].map(|w| backprop::nalgebra::convert::<f64, T>(w));
    let network = network(2, RmsNorm::new().eps(24.0), &theta);
    let x = DMatrix::from_column_slice(2, 1, &[1.0, 7.0]).map(backprop::nalgebra::convert);
    let delta = DMatrix::from_column_slice(2, 1, &[1.0, 2.0]).map(backprop::nalgebra::convert);
    let found = pass::<T>(&network, &x, &delta, &mut Workspace::new());
    close(found.a.as_slice(), &[1.0, 14.0], 1e-5);
    close(&found.by_theta, &[1.0 / 7.0, 2.0], 1e-6);
    let expected = [(7.0 - 14.5 / 7.0) / 7.0, (28.0 - 14.5) / 7.0];
    close(found.by_x.as_slice(), &expected, 1e-6);
}

/// The same numbers as in `layer_norm`, across the batch: unit 0 is (1, 3), unit 1 is (11, 13).
fn batch_norm<T: Scalar>() {
    let theta = [2.0, 3.0, 1.0, -1.0].map(|w| backprop::nalgebra::convert::<f64, T>(w));
    let mut network = network(2, BatchNorm::new().eps(3.0).momentum(0.25), &theta);
    let x = DMatrix::from_row_slice(2, 2, &[1.0, 3.0, 11.0, 13.0]);
    let delta = DMatrix::from_row_slice(2, 2, &[5.0, 7.0, 5.0, 7.0]);
    let (x, delta) = (
        x.map(backprop::nalgebra::convert),
        delta.map(backprop::nalgebra::convert),
    );
    let mut workspace = training();
    let found = pass::<T>(&network, &x, &delta, &mut workspace);
    // a = γ x̂ + β, by columns.
    close(found.a.as_slice(), &[0.0, -2.5, 2.0, 0.5], 1e-6);
    // Σ δ x̂ = 1 and Σ δ = 12 for both units.
    close(&found.by_theta, &[1.0, 1.0, 12.0, 12.0], 1e-6);
    // γ r (δ − 6 − x̂/2): δ = 5, x̂ = −½ gives −0.75 γ r.
    close(found.by_x.as_slice(), &[-0.75, -1.125, 0.75, 1.125], 1e-6);
    network.take_state(&workspace).unwrap();
    // ¾ · 0 + ¼ · 2 and 12/4; ¾ · 1 + ¼ · 2, with the unbiased variance 2.
    close(network.state().as_slice(), &[0.5, 3.0, 1.25, 1.25], 1e-6);
    // Outside training: r = 1/√(1.25 + 3), and a is (x − μ) r γ + β.
    let r = 1.0 / 4.25_f64.sqrt();
    let found = pass::<T>(&network, &x, &delta, &mut Workspace::new());
    let expected = [1.0 + r, -1.0 + 24.0 * r, 1.0 + 5.0 * r, -1.0 + 30.0 * r];
    close(found.a.as_slice(), &expected, 1e-5);
    close(
        found.by_x.as_slice(),
        &[10.0 * r, 15.0 * r, 14.0 * r, 21.0 * r],
        1e-5,
    );
    close(
        &found.by_theta[..2],
        &[(5.0 * 0.5 + 7.0 * 2.5) * r, (5.0 * 8.0 + 70.0) * r],
        1e-5,
    );
}

#[test]
fn norms_by_hand() {
    layer_norm::<f64>();
    layer_norm::<f32>();
    rms_norm::<f64>();
    rms_norm::<f32>();
    batch_norm::<f64>();
    batch_norm::<f32>();
}

/// The mean over all batches so far, and their number.
#[test]
fn cumulative_statistics_are_means_over_the_batches() {
    let layer = BatchNorm::new().cumulative().affine(false);
    let mut network: Network<f64> = network(1, layer, &[]);
    let mut workspace = training();
    for batch in [[0.0, 2.0], [4.0, 10.0], [1.0, 1.0]] {
        let x = DMatrix::from_row_slice(1, 2, &batch);
        network.forward_into(&x, &mut workspace).unwrap();
        network.take_state(&workspace).unwrap();
    }
    // Means 1, 7 and 1; unbiased variances 2, 18 and 0.
    close(network.state().as_slice(), &[3.0, 20.0 / 3.0, 3.0], 1e-14);
}

/// The formula with one value: x̂ = 0, a = β, nothing below, and no variance to commit.
#[test]
fn one_example_moves_the_mean_alone() {
    let mut network = network(2, BatchNorm::new(), &[2.0, 3.0, 0.5, -0.5]);
    network.set_state(&[1.0, 1.0, 4.0, 5.0]).unwrap();
    let (x, delta) = (wave::<f64>(2, 1, 0.3), wave(2, 1, 1.0));
    let mut workspace = training();
    let found = pass(&network, &x, &delta, &mut workspace);
    assert_eq!(found.a.as_slice(), &[0.5, -0.5]);
    assert_eq!(found.by_x.as_slice(), &[0.0, 0.0]);
    assert_eq!(found.by_theta[..2], [0.0, 0.0]);
    assert_eq!(found.by_theta[2..], *delta.as_slice());
    network.take_state(&workspace).unwrap();
    let state = network.state().as_slice();
    close(&state[..2], &[0.9 + 0.1 * x[0], 0.9 + 0.1 * x[1]], 1e-15);
    assert_eq!(state[2..], [4.0, 5.0]);
    // One example with several positions has a variance.
    let sequence = Shape::Sequence {
        steps: 2,
        features: 1,
    };
    let mut network = super::network(sequence, BatchNorm::new().affine(false), &[]);
    let x = DMatrix::from_column_slice(2, 1, &[2.0, 4.0]);
    network.forward_into(&x, &mut workspace).unwrap();
    network.take_state(&workspace).unwrap();
    close(network.state().as_slice(), &[0.3, 1.1], 1e-15);
}

/// The channels of a signal or image and the features of a sequence are units over their positions.
#[test]
fn channels_are_units_over_their_positions() {
    let sequence = Shape::Sequence {
        steps: 3,
        features: 2,
    };
    let signal = Shape::Signal {
        channels: 2,
        length: 3,
    };
    let image = Shape::Image {
        channels: 2,
        height: 1,
        width: 3,
    };
    // Six entries of four examples; `unit` says which of two units an entry belongs to.
    type Unit = fn(usize) -> usize;
    let cases: [(Shape, Unit); 3] = [
        (sequence, |i| i % 2),
        (signal, |i| i / 3),
        (image, |i| i / 3),
    ];
    let theta = [1.5, -0.7, 0.2, 0.4];
    for (shape, unit) in cases {
        let x = wave::<f64>(6, 4, 0.4);
        let network = network(shape, BatchNorm::new(), &theta);
        let found = pass(&network, &x, &wave(6, 4, 2.0), &mut training());
        for u in 0..2 {
            let of_unit = |all: &DMatrix<f64>| -> Vec<f64> {
                let entries = (0..24).filter(|i| unit(i % 6) == u);
                entries.map(|i| all.as_slice()[i]).collect()
            };
            let (values, delta) = (of_unit(&x), of_unit(&wave(6, 4, 2.0)));
            let alone = super::network(1, BatchNorm::new(), &[theta[u], theta[2 + u]]);
            let row = DMatrix::from_row_slice(1, 12, &values);
            let expected = pass(
                &alone,
                &row,
                &DMatrix::from_row_slice(1, 12, &delta),
                &mut training(),
            );
            close(&of_unit(&found.a), expected.a.as_slice(), 1e-13);
            close(&of_unit(&found.by_x), expected.by_x.as_slice(), 1e-13);
            close(&[found.by_theta[u]], &expected.by_theta[..1], 1e-13);
            close(&[found.by_theta[2 + u]], &expected.by_theta[1..], 1e-13);
        }
    }
}

/// A norm over several axes is that over all their entries as units.
#[test]
fn axes_are_normalised_together() {
    let image = Shape::Image {
        channels: 2,
        height: 3,
        width: 2,
    };
    let x = wave::<f64>(12, 3, 0.4);
    for (axes, len) in [(1, 2), (2, 6), (3, 12)] {
        let theta: Vec<f64> = wave::<f64>(2 * len, 1, 0.9).as_slice().to_vec();
        let found = network(image, LayerNorm::new().axes(axes), &theta);
        let found = found.forward(&x).unwrap();
        let alone = network(len, LayerNorm::new(), &theta);
        let columns = DMatrix::from_column_slice(len, 36 / len, x.as_slice());
        let expected = alone.forward(&columns).unwrap();
        assert_eq!(found.as_slice(), expected.as_slice());
        let found = network(image, RmsNorm::new().axes(axes), &theta[..len]);
        let alone = network(len, RmsNorm::new(), &theta[..len]);
        let expected = alone.forward(&columns).unwrap();
        assert_eq!(found.forward(&x).unwrap().as_slice(), expected.as_slice());
    }
    for axes in [0, 4] {
        let layers = vec![LayerNorm::new().axes(axes).into()];
        let refused = Network::<f64>::from_layers(image, layers, &[]);
        let is_named = |e: &backprop::Error| e.to_string().contains("normalised axes");
        assert!(refused.is_err_and(|e| is_named(&e)));
    }
}

/// γ and β have no penalty, and start at 1 and 0 whatever the initialiser.
#[test]
fn parameters_are_not_penalised_and_start_at_one_and_zero() {
    let x = wave::<f64>(3, 4, 0.4);
    let builder = Network::<f64>::builder(3)
        .layer_norm()
        .rms_norm()
        .batch_norm();
    let network = builder
        .initialize(backprop::Initialization::HeNormal, &mut backprop::rng(1))
        .unwrap();
    let ones = [1.0; 3];
    let expected = [&ones[..], &[0.0; 3], &ones, &ones, &[0.0; 3]].concat();
    assert_eq!(network.theta().as_slice(), expected);
    let (plain, with_penalty) = (gradient(&network, &x, 0.0), gradient(&network, &x, 10.0));
    assert_eq!(plain, with_penalty);
    assert_eq!(with_penalty.0.penalty, 0.0);
    let names: Vec<String> = network.parameters_by_path().map(|p| p.label()).collect();
    assert_eq!(names, ["γ⁽¹⁾", "β⁽¹⁾", "γ⁽²⁾", "γ⁽³⁾", "β⁽³⁾"]);
}
