//! scikit-learn.

use super::ours::{
    K, M, assert_outputs, assert_theta_is_bias_then_kernel, classes, example_weights, network,
    ours, ours_weighted, pass, split, step,
};
use super::values::{assert_blocks, assert_close, blocks, layers, number, numbers, theirs, value};
use backprop::activation::{Exponential, Identity, Sigmoid, Softmax};
use backprop::{BinaryCrossEntropy, CategoricalCrossEntropy, Examples, Poisson, SquaredError};

/// `coefs_[l]` is inputs × units, the transpose of our weights. `intercepts_[l]` is column 0 of Θ.
/// In memory, Θ⁽ˡ⁾(:) is `[intercepts_[l], coefs_[l].ravel()]`. Predictions are equal.
#[test]
fn sklearn_coefs_are_transposed() {
    assert_theta_is_bias_then_kernel("/sklearn");
    for (output, case) in [
        (Softmax, "softmax"),
        (Sigmoid, "logistic"),
        (Identity, "squared"),
        (Exponential, "poisson"),
    ] {
        assert_outputs("/sklearn", output, &format!("/sklearn/{case}/outputs"));
    }
}

/// With a full batch (`solver="lbfgs"` always uses one), `alpha` is our λ. The log loss of classes
/// is our `Softmax` with `CategoricalCrossEntropy`. With multi-label targets it is our `Sigmoid`
/// with `BinaryCrossEntropy`.
#[test]
fn sklearn_alpha_is_lambda() {
    let alpha = number("/sklearn/alpha");
    for (cost, case) in [
        (CategoricalCrossEntropy, "softmax"),
        (BinaryCrossEntropy, "logistic"),
    ] {
        ours("/sklearn", cost, alpha).assert_is(&theirs(&format!("/sklearn/{case}")));
    }
}

/// scikit-learn divides `alpha` by the size of the mini-batch. A step equals ours with λ = `alpha`
/// on the batch's `Examples`. The mean over an epoch's batches, weighted by their sizes, is then J
/// of the training set with λ = `alpha` × (number of batches). With λ = `alpha` × (batch size)/m in
/// each batch it is J with λ = `alpha`.
#[test]
fn sklearn_divides_alpha_by_the_batch() {
    let (alpha, rate) = (number("/sklearn/alpha"), number("/sklearn/rate"));
    let (x, y) = classes();
    let start = network("/sklearn", Softmax);
    let mut trained = start.clone();
    let zero = ours("/sklearn", CategoricalCrossEntropy, 0.0).times(0.0);
    let (mut sum, mut in_proportion) = (zero.clone(), zero);
    let first = number("/sklearn/batch") as usize;
    for (i, (from, size)) in [(0, first), (first, 7 - first)].into_iter().enumerate() {
        let batch = Examples::new(x.columns(from, size), y.columns(from, size)).unwrap();
        let at_start = |lambda| pass(&start, &batch, CategoricalCrossEntropy, lambda);
        let (expected, share) = (theirs(&format!("/sklearn/batches/{i}")), size as f64 / M);
        at_start(alpha).assert_is(&expected);
        sum = sum.plus(&expected.times(share));
        in_proportion = in_proportion.plus(&at_start(alpha * share).times(share));
        trained = step(&trained, &batch, alpha, rate);
    }
    sum.assert_is(&ours("/sklearn", CategoricalCrossEntropy, 2.0 * alpha));
    in_proportion.assert_is(&ours("/sklearn", CategoricalCrossEntropy, alpha));
    // One epoch of `fit` with `solver="sgd"`, without momentum or shuffling.
    let after = split(&trained, trained.theta().as_slice());
    assert_blocks(&after, &blocks(&layers("/sklearn/after_epoch")));
}

/// `MLPRegressor`'s gradient is that of our `SquaredError` with λ = `alpha`. Its reported loss is
/// our penalty plus 1/K of our data term: it averages over the outputs, but its gradient does not
/// (scikit-learn #8349).
#[test]
fn sklearn_squared_loss_is_averaged_but_not_its_gradient() {
    let expected = theirs("/sklearn/squared");
    let alpha = number("/sklearn/alpha");
    let found = ours("/sklearn", SquaredError, alpha);
    assert_blocks(&found.gradient, &expected.gradient);
    let data = ours("/sklearn", SquaredError, 0.0).loss;
    assert_close(&[data / K + (found.loss - data)], &[expected.loss]);
}

/// `MLPRegressor(loss="poisson")` is our `Exponential` with `Poisson` and λ = `alpha`. Its loss,
/// half the deviance, is ours plus the mean of Σ y ln y − y, which does not depend on θ.
#[test]
fn sklearn_poisson_is_half_the_deviance() {
    let mut found = ours("/sklearn", Poisson, number("/sklearn/alpha"));
    let counts = numbers(value("/problem/counts"));
    let constant = |&y: &f64| if y > 0.0 { y * y.ln() - y } else { 0.0 };
    found.loss += counts.iter().map(constant).sum::<f64>() / M;
    found.assert_is(&theirs("/sklearn/poisson"));
}

/// `sample_weight` of scikit-learn's MLPs is `Examples::weighted`. Loss, gradient and penalty are
/// divided by Σw.
#[test]
fn sklearn_sample_weight_divides_by_its_sum() {
    let (weights, _) = example_weights();
    let alpha = number("/sklearn/alpha");
    ours_weighted("/sklearn", CategoricalCrossEntropy, alpha, Some(&weights))
        .assert_is(&theirs("/sklearn/softmax_weighted"));
}
