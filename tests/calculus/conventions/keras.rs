//! Keras.

use super::ours::{
    K, M, assert_outputs, assert_theta_is_bias_then_kernel, example_weights, ours, ours_penalised,
    ours_weighted,
};
use super::values::{assert_close, number, theirs};
use backprop::activation::{Sigmoid, Softmax};
use backprop::nalgebra::DMatrix;
use backprop::{
    BinaryCrossEntropy, CategoricalCrossEntropy, Examples, Huber, LogCosh, Network, Objective,
    Penalty, SquaredError,
};

/// `Dense.kernel` is inputs × units, the transpose of our weights. The bias is column 0 of Θ. In
/// memory, Θ⁽ˡ⁾(:) is `[bias, kernel.ravel()]`. Outputs are equal.
#[test]
fn keras_kernel_is_transposed() {
    assert_theta_is_bias_then_kernel("/keras");
    assert_outputs("/keras", Softmax, "/keras/softmax_outputs");
}

/// `CategoricalCrossentropy(from_logits=True)` is our `Softmax` with `CategoricalCrossEntropy`.
#[test]
fn keras_categorical_crossentropy_is_ours() {
    ours("/keras", CategoricalCrossEntropy, 0.0).assert_is(&theirs("/keras/categorical"));
}

/// `BinaryCrossentropy(from_logits=True)` also averages over the outputs. Our `Sigmoid` with
/// `BinaryCrossEntropy` is K times as large.
#[test]
fn keras_binary_crossentropy_is_a_mean_over_outputs() {
    let found = ours("/keras", BinaryCrossEntropy, 0.0);
    found.assert_is(&theirs("/keras/binary").times(K));
    found.assert_is(&theirs("/keras/binary_probabilities").times(K));
}

/// `BinaryCrossentropy()` clips probabilities to \[1e-7, 1 − 1e-7], so an output costs at most
/// −ln 1e-7 = 16.1. Ours costs −ln a for every a.
#[test]
fn keras_clips_probabilities() {
    let a = number("/keras/binary_clipped/a");
    assert_close(&[-1e-7_f64.ln()], &[number("/keras/binary_clipped/loss")]);
    let unit = Network::builder(1)
        .dense(1, Sigmoid)
        .with_theta(&[(a / (1.0 - a)).ln(), 0.0])
        .unwrap();
    let one = DMatrix::repeat(1, 1, 1.0);
    let examples = Examples::new(&one, &one).unwrap();
    let cost = unit
        .cost(&examples, &Objective::new(BinaryCrossEntropy))
        .unwrap();
    assert_close(&[cost], &[-a.ln()]);
}

/// `MeanSquaredError()` also averages over the outputs and has no ½. Our `SquaredError` is K/2
/// times as large.
#[test]
fn keras_mse_is_a_mean_over_outputs_without_half() {
    ours("/keras", SquaredError, 0.0).assert_is(&theirs("/keras/mse").times(K / 2.0));
}

/// `Huber(delta=δ)` and `LogCosh()` also average over the outputs. Our `Huber { delta: δ }` and
/// `LogCosh` are K times as large. (Keras has ln 2 in float32, so its `LogCosh()` is off by 2e-9 in
/// float64.)
#[test]
fn keras_huber_and_log_cosh_are_means_over_outputs() {
    let delta = number("/keras/huber/delta");
    ours("/keras", Huber { delta }, 0.0).assert_is(&theirs("/keras/huber").times(K));
    let mut log_cosh = theirs("/keras/log_cosh");
    log_cosh.loss += f64::from(std::f32::consts::LN_2) - std::f64::consts::LN_2;
    ours("/keras", LogCosh, 0.0).assert_is(&log_cosh.times(K));
}

/// `regularizers.L2(r)` adds r ΣW², without ½ and without 1/m. Our λ is 2 r m, where m is the size
/// of the batch.
#[test]
fn keras_l2_is_lambda_over_2m() {
    let lambda = 2.0 * number("/keras/categorical_l2/r") * M;
    ours("/keras", CategoricalCrossEntropy, lambda).assert_is(&theirs("/keras/categorical_l2"));
}

/// `sample_weight` divides by m instead of Σw. Keras's J is Σw/m times ours with the same example
/// weights, with λ = 2 r m for `L2(r)`.
#[test]
fn keras_sample_weight_divides_by_the_number() {
    let (weights, sum) = example_weights();
    let lambda = 2.0 * number("/keras/sample_weight/r") * M;
    let found = ours_weighted("/keras", CategoricalCrossEntropy, lambda, Some(&weights));
    found
        .times(sum / M)
        .assert_is(&theirs("/keras/sample_weight"));
}

/// `reduction="mean_with_sample_weight"` divides by Σw, as ours does. J is equal, with λ = 2 r Σw
/// for `L2(r)`.
#[test]
fn keras_mean_with_sample_weight_is_ours() {
    let (weights, sum) = example_weights();
    let lambda = 2.0 * number("/keras/mean_with_sample_weight/r") * sum;
    let found = ours_weighted("/keras", CategoricalCrossEntropy, lambda, Some(&weights));
    found.assert_is(&theirs("/keras/mean_with_sample_weight"));
}

/// `regularizers.L1(r)` adds r Σ|W|, without 1/m. Our λ₁ is r m, where m is the size of the batch.
#[test]
fn keras_l1_is_lambda_over_m() {
    let r = number("/keras/keras_l1/r");
    ours_penalised("/keras", Penalty::l1(r * M)).assert_is(&theirs("/keras/keras_l1"));
}
