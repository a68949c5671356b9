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

mod keras;
mod keras_layers;
mod ours;
mod sklearn;
mod torch;
mod torch_batch_norm;
mod torch_layers;
mod values;

use backprop::activation::Softmax;
use backprop::training::{GradientDescent, Trainer};
use backprop::{BlockLayout, CategoricalCrossEntropy, Examples, Network, Objective, row_major};
use ours::{classes, network};
use serde_json::Value;
use values::{assert_close, numbers};

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
