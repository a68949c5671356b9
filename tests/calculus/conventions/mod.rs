//! How the conventions of scikit-learn, PyTorch and Keras relate to those of this crate. Each test
//! states one relation and compares it with numbers that the library itself computed. `generate.py`
//! wrote them to `values.json`, which names the versions.
//!
//! The network has 3 inputs, 5 tanh units and K = 4 outputs; there are m = 7 examples. Each test of
//! a pass compares the loss and the gradient, unless the statement separates them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "as in the tests that call these functions"
)]

mod ours;
mod values;

use backprop::activation::{Exponential, Identity, Sigmoid, Softmax};
use backprop::layer::{AnyLayer, BatchNorm};
use backprop::nalgebra::DMatrix;
use backprop::training::{AdamW, GradientDescent, Optimizer, Trainer};
use backprop::{
    BinaryCrossEntropy, BlockLayout, CategoricalCrossEntropy, Examples, Huber, LogCosh, Network,
    Objective, Penalty, Poisson, SquaredError, Strength, Workspace, row_major,
};
use ours::{
    K, M, assert_outputs, assert_theta_is_bias_then_kernel, classes, example_weights, network,
    ours, ours_penalised, ours_weighted, pass, split, step,
};
use serde_json::Value;
use values::{
    assert_blocks, assert_close, blocks, example_columns, layers, number, numbers, theirs, value,
};

// scikit-learn

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

// PyTorch

/// `Linear.weight` is units × inputs: our Θ without column 0, but row-major. `Linear.bias` is
/// column 0. Outputs are equal.
#[test]
fn torch_weight_is_theta_without_column_0() {
    let network = network("/torch", Softmax);
    for l in 0..2 {
        let theta = network.block(l, 0).unwrap();
        let weight = numbers(value(&format!("/torch/parameters/weights/{l}")));
        let rows = theta.columns_range(1..).transpose();
        assert_eq!(rows.as_slice(), weight);
        let bias = numbers(value(&format!("/torch/parameters/biases/{l}")));
        assert_eq!(theta.column(0).as_slice(), bias);
    }
    assert_outputs("/torch", Softmax, "/torch/softmax_outputs");
}

/// `CrossEntropyLoss()` on logits is our `Softmax` with `CategoricalCrossEntropy`.
#[test]
fn torch_cross_entropy_is_categorical_cross_entropy() {
    ours("/torch", CategoricalCrossEntropy, 0.0).assert_is(&theirs("/torch/cross_entropy"));
}

/// `BCEWithLogitsLoss()` also averages over the outputs. Our `Sigmoid` with `BinaryCrossEntropy` is
/// K times as large.
#[test]
fn torch_bce_is_a_mean_over_outputs() {
    ours("/torch", BinaryCrossEntropy, 0.0).assert_is(&theirs("/torch/bce_with_logits").times(K));
}

/// `MSELoss()` also averages over the outputs and has no ½. Our `SquaredError` is K/2 times as
/// large.
#[test]
fn torch_mse_is_a_mean_over_outputs_without_half() {
    ours("/torch", SquaredError, 0.0).assert_is(&theirs("/torch/mse").times(K / 2.0));
}

/// `HuberLoss(delta=δ)` and `PoissonNLLLoss()` also average over the outputs. Our
/// `Huber { delta: δ }` and our `Exponential` with `Poisson` are K times as large.
/// `SmoothL1Loss(beta=δ)` is `HuberLoss` divided by δ, so ours is Kδ times as large.
#[test]
fn torch_huber_and_poisson_are_means_over_outputs() {
    let delta = number("/torch/huber/delta");
    assert_eq!(delta, number("/torch/smooth_l1/beta"));
    let huber = ours("/torch", Huber { delta }, 0.0);
    huber.assert_is(&theirs("/torch/huber").times(K));
    huber.assert_is(&theirs("/torch/smooth_l1").times(K * delta));
    ours("/torch", Poisson, 0.0).assert_is(&theirs("/torch/poisson").times(K));
}

/// `reduction="sum"` sums over examples and outputs. Ours is this sum divided by m, for `MSELoss`
/// by 2m.
#[test]
fn torch_sums_are_m_times_ours() {
    for (cost, case, factor) in [
        (CategoricalCrossEntropy, "cross_entropy_sum", 1.0 / M),
        (BinaryCrossEntropy, "bce_with_logits_sum", 1.0 / M),
        (SquaredError, "mse_sum", 0.5 / M),
    ] {
        ours("/torch", cost, 0.0).assert_is(&theirs(&format!("/torch/{case}")).times(factor));
    }
}

/// `weight_decay` of `torch.optim.SGD` adds wd θ to the mean gradient. Our λ is wd × m, where m is
/// the size of the batch, if the biases are in a parameter group without decay.
#[test]
fn torch_weight_decay_of_weights_is_lambda_over_m() {
    let found = torch_step();
    assert_blocks(&found, &blocks(&layers("/torch/sgd_groups")));
}

/// By default `weight_decay` also applies to the biases. After a step, each of PyTorch's biases is
/// less than our column 0 by rate × wd × bias. The weights are equal.
#[test]
fn torch_weight_decay_includes_biases_by_default() {
    let (found, expected) = (torch_step(), blocks(&layers("/torch/sgd_default")));
    let before = blocks(&layers("/torch/parameters"));
    let factor = -number("/torch/rate") * number("/torch/weight_decay");
    for l in 0..2 {
        assert_close(&found[2 * l], &expected[2 * l]);
        let biases = expected[2 * l + 1].iter().zip(&found[2 * l + 1]);
        let less: Vec<f64> = biases.map(|(theirs, ours)| theirs - ours).collect();
        let decay: Vec<f64> = before[2 * l + 1].iter().map(|bias| factor * bias).collect();
        assert_close(&less, &decay);
    }
}

/// `weight_decay` of `torch.optim.AdamW` shrinks the parameters and adds nothing to the gradient.
/// `AdamW::new(rate).decay(weight_decay)` makes the same steps, which the tests of the optimisers
/// compare with PyTorch's.
#[test]
fn torch_adamw_decays_as_ours() {
    let values = include_str!("../../training/optimizers/values.json");
    let values: Value = serde_json::from_str(values).unwrap();
    let options = serde_json::json!({ "lr": 0.05, "weight_decay": 0.7 });
    let mut cases = values["optimizers"].as_array().unwrap().iter();
    let case = cases.find(|case| case["options"] == options).unwrap();
    assert_eq!(case["optimizer"], "AdamW");

    let mut adamw = AdamW::new(0.05).decay(0.7);
    let mut x = [-1.2, 1.0, 0.5, -0.3, 0.8, 2.0];
    for after in case["path"].as_array().unwrap() {
        // The gradient of Σ 10 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)².
        let mut g = [0.0; 6];
        for i in 0..5 {
            let rest = x[i + 1] - x[i] * x[i];
            g[i] -= 40.0 * x[i] * rest + 2.0 * (1.0 - x[i]);
            g[i + 1] += 20.0 * rest;
        }
        adamw.step(&mut x, &g, 1.0).unwrap();
        assert_close(&x, &numbers(after));
    }
}

/// Our parameters after one step with λ = wd × m.
fn torch_step() -> Vec<Vec<f64>> {
    let (x, y) = classes();
    let lambda = number("/torch/weight_decay") * M;
    let examples = Examples::new(&x, &y).unwrap();
    let rate = number("/torch/rate");
    let network = step(&network("/torch", Softmax), &examples, lambda, rate);
    split(&network, network.theta().as_slice())
}

/// `backward` adds to `.grad`, so a second call without `zero_grad` doubles it. `gradient_into`
/// overwrites.
#[test]
fn torch_accumulates_gradients() {
    let (x, y) = classes();
    let (network, examples) = (network("/torch", Softmax), Examples::new(&x, &y).unwrap());
    let objective = Objective::new(CategoricalCrossEntropy);
    let mut workspace = Workspace::new();
    let mut gradient = vec![0.0; network.parameters()];
    for _ in 0..2 {
        network
            .gradient_into(&examples, &objective, &mut workspace, &mut gradient)
            .unwrap();
    }
    let found = split(&network, &gradient);
    assert_blocks(&found, &theirs("/torch/cross_entropy").gradient);
    assert_blocks(&found, &theirs("/torch/backward_twice").times(0.5).gradient);
}

/// `CrossEntropyLoss(weight=c)` on class indices divides by the sum of the weights. It equals ours
/// with example weights wₖ = c\[class of k]. On one-hot (probability) targets it divides by m, so
/// ours is m/Σw times as large.
#[test]
fn torch_class_weights_divide_by_their_sum() {
    let classes = numbers(value("/problem/class_weights"));
    let one_hot = example_columns("/problem/one_hot");
    let weight = |y: usize| classes[one_hot.column(y).imax()];
    let weights: Vec<f64> = (0..7).map(weight).collect();
    let found = ours_weighted("/torch", CategoricalCrossEntropy, 0.0, Some(&weights));
    found.assert_is(&theirs("/torch/cross_entropy_class_weights"));
    let factor = M / weights.iter().sum::<f64>();
    found.assert_is(&theirs("/torch/cross_entropy_class_weights_one_hot").times(factor));
}

/// `BCELoss(weight=w)`, where w is an m × 1 column, divides by m × K instead of Σw. Ours with
/// example weights w is K m/Σw times as large.
#[test]
fn torch_bce_weights_divide_by_their_number() {
    let (weights, sum) = example_weights();
    ours_weighted("/torch", BinaryCrossEntropy, 0.0, Some(&weights))
        .assert_is(&theirs("/torch/bce_weighted").times(K * M / sum));
}

/// Runs two training batches and an evaluation as PyTorch did.
fn batch_norm(name: &str, layer: BatchNorm) {
    let x = example_columns("/problem/x");
    let theta = [0.5, -1.5, 2.0, 0.25, 0.75, -1.0];
    let layers: Vec<AnyLayer> = vec![layer.into()];
    let mut network = Network::<f64>::from_layers(3, layers, &theta).unwrap();
    network.freeze(0).unwrap();
    let mut workspace = Workspace::new();
    workspace.set_training(Some(0));
    let assert_close = |what: &str, found: &[f64], pointer: &str| {
        let expected = numbers(value(&format!("/torch/batch_norm/{name}/{pointer}")));
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(&expected) {
            assert!(
                (f - e).abs() <= 1e-14,
                "{what}: {found:?} is not {expected:?}"
            );
        }
    };
    for (step, (first, count)) in [(0, 5), (5, 2)].into_iter().enumerate() {
        let batch = x.columns(first, count).clone_owned();
        let a = network.forward_into(&batch, &mut workspace).unwrap();
        let a = a.clone_owned();
        assert_close("outputs", a.as_slice(), &format!("steps/{step}/outputs"));
        network.take_state(&workspace).unwrap();
        let state = network.state().as_slice();
        assert_close("mean", &state[..3], &format!("steps/{step}/mean"));
        assert_close("variance", &state[3..6], &format!("steps/{step}/variance"));
    }
    let a = network.forward(&x).unwrap();
    assert_close("evaluated", a.as_slice(), "evaluated");
}

/// The momentum is the share of the batch, and `None` is a mean over all batches.
#[test]
fn torch_batch_norm_is_ours() {
    batch_norm("momentum", BatchNorm::new().momentum(0.25));
    batch_norm("cumulative", BatchNorm::new().cumulative());
}

/// `calculus norms::by_hand` has the numbers of one example.
#[test]
fn torch_batch_norm_refuses_one_value() {
    assert_eq!(value("/torch/batch_norm/refuses_one_value"), true);
    let network = Network::<f64>::builder(3).batch_norm().zeros().unwrap();
    let mut workspace = Workspace::new();
    workspace.set_training(Some(0));
    let a = network
        .forward_into(&[1.0, 2.0, 3.0], &mut workspace)
        .unwrap();
    assert!(a.iter().all(|&a| a == 0.0));
}

/// The parameters of the case `cumulative` were frozen when its statistics moved.
#[test]
fn torch_frozen_batch_norms_gather_statistics() {
    batch_norm("cumulative", BatchNorm::new().cumulative());
    let mut network = Network::<f64>::builder(3).batch_norm().zeros().unwrap();
    network.fix_statistics(0).unwrap();
    let x = example_columns("/problem/x");
    let mut workspace = Workspace::new();
    workspace.set_training(Some(0));
    network.forward_into(&x, &mut workspace).unwrap();
    network.take_state(&workspace).unwrap();
    assert_eq!(network.state().as_slice(), &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
}

// Keras

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

// Mini-batches in a `Trainer`

/// In a `Trainer`, m counts all examples. `weight_decay` w is λ = w m and Keras' r is λ = 2 r m.
/// scikit-learn divides `alpha` by the size of the batch, so it is λ = `alpha` × (number of
/// batches). One epoch of two batches of three examples, by hand.
#[test]
fn trainer_divides_lambda_by_all_examples() {
    let (x, y) = classes();
    let (x, y) = (x.columns(0, 6), y.columns(0, 6));
    let (w, rate) = (0.3, 0.1);
    for lambda in [w * 6.0, 2.0 * (w / 2.0) * 6.0, (w * 3.0) * 2.0] {
        // θ ← θ − rate (g + w θ), except the biases.
        let mut expected = network("/torch", Softmax);
        for from in [0, 3] {
            let batch = Examples::new(x.columns(from, 3), y.columns(from, 3)).unwrap();
            let objective = Objective::new(CategoricalCrossEntropy);
            let mut g = expected.gradient_vector(&batch, &objective).unwrap();
            for i in expected
                .layout()
                .blocks()
                .iter()
                .flat_map(BlockLayout::penalised)
            {
                g[i] += w * expected.theta()[i];
            }
            let theta = expected.theta() - g * rate;
            expected.set_theta(theta.as_slice()).unwrap();
        }
        let mut found = network("/torch", Softmax);
        let objective = Objective::new(CategoricalCrossEntropy).l2(lambda);
        Trainer::new(objective, GradientDescent::new(rate))
            .epochs(1)
            .batch_size(3)
            .shuffle(false)
            .fit(&mut found, &Examples::new(x, y).unwrap())
            .unwrap();
        assert_close(found.theta().as_slice(), expected.theta().as_slice());
    }
}

// Weights as JSON

/// The Python code of `docs/conventions.md` writes a network that loads here with NumPy's outputs.
/// `weights.py` ran this same code, and checked that the code for the other direction returns the
/// weights.
#[test]
fn json_of_python_is_a_network() {
    let expected: Value = serde_json::from_str(include_str!("network_outputs.json")).unwrap();
    let page = include_str!("../../../docs/conventions.md");
    for code in expected["code"].as_array().unwrap() {
        let block = format!("```python\n{}```", code.as_str().unwrap());
        assert!(
            page.contains(&block),
            "run weights.py: the page has changed"
        );
    }
    assert_eq!(page.matches("```python").count(), 2);

    let network: Network<f64> = serde_json::from_str(include_str!("network.json")).unwrap();
    let x = numbers(&expected["x"]);
    let found = network.forward(row_major(&x, 2).unwrap()).unwrap();
    assert_close(found.as_slice(), &numbers(&expected["outputs"]));
    // It is also written as the JSON that the code for the other direction reads.
    let written: Value = serde_json::to_value(&network).unwrap();
    let python: Value = serde_json::from_str(include_str!("network.json")).unwrap();
    assert_eq!(written, python);
}

// Penalties written out in PyTorch. Its autograd also takes sign 0 = 0.

/// (λ₁ Σ|W| + λ₂/2 ΣW²)/m in PyTorch is our `Penalty::elastic_net`.
#[test]
fn torch_elastic_net_is_elastic_net() {
    let [l1, l2] = ["l1", "l2"].map(|l| number(&format!("/torch/torch_elastic_net/{l}")));
    ours_penalised("/torch", Penalty::elastic_net(l1, l2))
        .assert_is(&theirs("/torch/torch_elastic_net"));
}

/// The same with λ₁ and λ₂ for each layer is our `Penalty::layer`.
#[test]
fn torch_strengths_by_layer_are_penalty_layer() {
    let of = |name: &str, l| number(&format!("/torch/torch_layer_strengths/{name}/{l}"));
    let strength = |l| Strength {
        l1: of("l1", l),
        l2: of("l2", l),
    };
    let penalty = Penalty::none().layer(0, strength(0)).layer(1, strength(1));
    ours_penalised("/torch", penalty).assert_is(&theirs("/torch/torch_layer_strengths"));
}
