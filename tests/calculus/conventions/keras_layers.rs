//! Norms, dropout and embeddings of Keras.

use super::values::{assert_close, example_columns, number, numbers, value};
use backprop::layer::{AnyLayer, BatchNorm, Dropout, Embedding, LayerNorm, RmsNorm};
use backprop::nalgebra::DMatrix;
use backprop::{Network, Shape, Workspace};

const STEPS: Shape = Shape::Sequence {
    steps: 4,
    features: 3,
};

/// The two sequences of the problem, one per column.
fn sequences() -> DMatrix<f64> {
    DMatrix::from_column_slice(12, 2, &numbers(value("/problem/steps")))
}

/// A network of one layer with γ = 1 and β = 0.
fn alone(inputs: impl Into<Shape>, layer: impl Into<AnyLayer>) -> Network<f64> {
    let builder = Network::builder(inputs).layer(layer.into());
    builder.zeros().unwrap()
}

fn training() -> Workspace<f64> {
    let mut workspace = Workspace::new();
    workspace.set_training(Some(0));
    workspace
}

/// The outputs in a training pass.
fn trained(
    network: &Network<f64>,
    x: &DMatrix<f64>,
    workspace: &mut Workspace<f64>,
) -> DMatrix<f64> {
    network.forward_into(x, workspace).unwrap().clone_owned()
}

/// The same layer with Keras' default epsilon.
fn batch_norm() -> BatchNorm {
    let eps = number("/keras/batch_norm/epsilon");
    assert_eq!(eps, 1e-3);
    BatchNorm::new().eps(eps)
}

/// Keras' momentum is the share of the old statistics, ours that of the batch. Two batches in
/// training. The running variance of Keras takes the biased variance of a batch of m values, (m −
/// 1)/m of ours.
#[test]
fn keras_batch_norm_has_one_minus_our_momentum() {
    assert_eq!(number("/keras/batch_norm/default_momentum"), 0.99);
    let p = 1.0 - number("/keras/batch_norm/momentum");
    let x = example_columns("/problem/x");
    let theta = [0.5, -1.5, 2.0, 0.25, 0.75, -1.0];
    let layers: Vec<AnyLayer> = vec![batch_norm().momentum(p).into()];
    let mut network = Network::from_layers(3, layers, &theta).unwrap();
    let (mut workspace, mut variance) = (training(), [1.0; 3]);
    for (step, (first, m)) in [(0, 5), (5, 2)].into_iter().enumerate() {
        let expected =
            |what: &str| numbers(value(&format!("/keras/batch_norm/steps/{step}/{what}")));
        let batch = x.columns(first, m).clone_owned();
        let a = trained(&network, &batch, &mut workspace);
        assert_close(a.as_slice(), &expected("outputs"));
        let before = network.state().clone();
        network.take_state(&workspace).unwrap();
        let state = network.state();
        assert_close(&state.as_slice()[..3], &expected("mean"));
        for (i, theirs) in variance.iter_mut().enumerate() {
            let unbiased = (state[3 + i] - (1.0 - p) * before[3 + i]) / p;
            let biased = unbiased * (m - 1) as f64 / m as f64;
            *theirs = (1.0 - p) * *theirs + p * biased;
        }
        assert_close(&variance, &expected("variance"));
    }
    // With Keras' statistics, the outputs are Keras'.
    let state = [&network.state().as_slice()[..3], &variance].concat();
    network.set_state(&state).unwrap();
    let evaluated = numbers(value("/keras/batch_norm/evaluated"));
    assert_close(network.forward(&x).unwrap().as_slice(), &evaluated);

    // `trainable = False` is `freeze` with `fix_statistics`.
    assert_eq!(
        numbers(value("/keras/batch_norm/frozen/outputs")),
        evaluated
    );
    assert_eq!(
        value("/keras/batch_norm/frozen/state"),
        &serde_json::json!([
            value("/keras/batch_norm/steps/1/mean"),
            value("/keras/batch_norm/steps/1/variance")
        ])
    );
    network.freeze(0).unwrap();
    network.fix_statistics(0).unwrap();
    let a = trained(&network, &x, &mut workspace);
    assert_close(a.as_slice(), &evaluated);
    network.take_state(&workspace).unwrap();
    assert_eq!(network.state().as_slice(), state);
}

/// The variance of one value is 0: Keras takes it into the running variance, ours stays.
#[test]
fn keras_batch_norm_takes_the_variance_of_one_value() {
    let p = 1.0 - number("/keras/batch_norm/momentum");
    assert_eq!(
        numbers(value("/keras/batch_norm/one_value/variance")),
        [1.0 - p; 3]
    );
    let mut network = alone(3, batch_norm().momentum(p));
    let (x, mut workspace) = (example_columns("/problem/x"), training());
    let a = trained(&network, &x.columns(0, 1).clone_owned(), &mut workspace);
    assert_close(
        a.as_slice(),
        &numbers(value("/keras/batch_norm/one_value/outputs")),
    );
    network.take_state(&workspace).unwrap();
    assert_eq!(&network.state().as_slice()[3..], [1.0; 3]);
}

/// `axis=-1`, the default, is the features of a sequence. It is the channels of an image, which
/// come last in Keras and first here.
#[test]
fn keras_batch_norm_of_the_last_axis() {
    assert_eq!(number("/keras/batch_norm/axis"), -1.0);
    let (x, mut workspace) = (sequences(), training());
    let network = alone(STEPS, batch_norm());
    let a = trained(&network, &x, &mut workspace);
    assert_close(a.as_slice(), &numbers(value("/keras/batch_norm/sequences")));

    let image = Shape::Image {
        channels: 3,
        height: 2,
        width: 2,
    };
    // Row p · 3 + c of Keras is row c · 4 + p here.
    let channels_first =
        |a: &DMatrix<f64>| DMatrix::from_fn(12, 2, |r, k| a[(r % 4 * 3 + r / 4, k)]);
    let network = alone(image, batch_norm());
    let a = trained(&network, &channels_first(&x), &mut workspace);
    let image = numbers(value("/keras/batch_norm/image"));
    let expected = channels_first(&DMatrix::from_column_slice(12, 2, &image));
    assert_close(a.as_slice(), expected.as_slice());
}

/// The default epsilon is 1e-3. `axis=[-2, -1]` is `axes(2)`.
#[test]
fn keras_layer_norm_has_another_epsilon() {
    let eps = number("/keras/layer_norm/eps");
    assert_eq!(eps, 1e-3);
    for (name, axes) in [("one_axis", 1), ("two_axes", 2)] {
        let network = alone(STEPS, LayerNorm::new().axes(axes).eps(eps));
        let a = network.forward(&sequences()).unwrap();
        let expected = numbers(value(&format!("/keras/layer_norm/{name}")));
        assert_close(a.as_slice(), &expected);
    }
}

/// The default epsilon is 1e-6.
#[test]
fn keras_rms_norm_has_another_epsilon() {
    let eps = number("/keras/rms_norm/eps");
    assert_eq!(eps, 1e-6);
    for (name, axes) in [("one_axis", 1), ("two_axes", 2)] {
        let network = alone(STEPS, RmsNorm::new().axes(axes).eps(eps));
        let a = network.forward(&sequences()).unwrap();
        let expected = numbers(value(&format!("/keras/rms_norm/{name}")));
        assert_close(a.as_slice(), &expected);
    }
}

/// `rate` is p, and the entries that stay are multiplied by 1/(1 − p). The draws differ, so the
/// network gets those of Keras.
#[test]
fn keras_dropout_rate_is_p() {
    let p = number("/keras/dropout/rate");
    let expected = example_columns("/keras/dropout/outputs");
    let kept = expected.map(|a| f64::from(a != 0.0));
    assert!(kept.sum() > 0.0 && kept.sum() < kept.len() as f64);
    let network = alone(3, Dropout::new(p));
    let mut workspace = training();
    workspace.set_random_numbers(0, &kept).unwrap();
    let x = example_columns("/problem/x");
    let a = trained(&network, &x, &mut workspace);
    assert_close(a.as_slice(), expected.as_slice());
}

/// `embeddings` (entries × features) row by row is θ. It starts uniform in \[−0.05, 0.05].
#[test]
fn keras_embeddings_are_theta() {
    assert_eq!(numbers(value("/keras/embedding/start")), [-0.05, 0.05]);
    let table = numbers(value("/keras/embedding/embeddings"));
    let builder = Network::<f64>::builder(2).layer(Embedding::new(5, 3).into());
    let network = builder.with_theta(&table).unwrap();
    let a = network
        .forward(&example_columns("/keras/embedding/ids"))
        .unwrap();
    assert_close(a.as_slice(), &numbers(value("/keras/embedding/outputs")));
}
