//! PyTorch: weights, losses, penalties and optimisers.

use super::ours::{
    K, M, assert_outputs, classes, example_weights, network, ours, ours_penalised, ours_weighted,
    pass, split, step,
};
use super::values::{
    assert_blocks, assert_close, blocks, example_columns, layers, number, numbers, theirs, value,
};
use backprop::activation::{Sigmoid, Softmax};
use backprop::training::{AdamW, Optimizer};
use backprop::{
    BinaryCrossEntropy, CategoricalCrossEntropy, Examples, Huber, Objective, Penalty, Poisson,
    SquaredError, Strength, WeightedBinaryCrossEntropy, Workspace,
};
use serde_json::Value;

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

/// `BCEWithLogitsLoss(pos_weight=p)` is a mean over outputs too. Our `WeightedBinaryCrossEntropy`
/// is K times as large.
#[test]
fn torch_pos_weight_is_weighted_binary_cross_entropy() {
    let cost = WeightedBinaryCrossEntropy::new(numbers(value("/problem/class_weights")));
    let (x, y) = (
        example_columns("/problem/x"),
        example_columns("/problem/labels"),
    );
    let examples = Examples::new(&x, &y).unwrap();
    let found = pass(&network("/torch", Sigmoid), &examples, cost, 0.0);
    found.assert_is(&theirs("/torch/bce_pos_weight").times(K));
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

// Penalties written out. PyTorch's autograd also takes sign 0 = 0.

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
