//! This crate's results for the problem in `values.json`, with a library's parameters.

use super::values::{Pass, assert_close, example_columns, layers, numbers, value};
use backprop::activation::{AnyActivation, Exponential, Identity, Sigmoid, Softmax, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Cost, Examples, Network, Objective,
    Penalty, Poisson, row_major,
};

pub(crate) const M: f64 = 7.0;
pub(crate) const K: f64 = 4.0;

/// The network with a library's parameters.
pub(crate) fn network(library: &str, output: AnyActivation) -> Network<f64> {
    network_of(&format!("{library}/parameters"), output)
}

fn network_of(parameters: &str, output: AnyActivation) -> Network<f64> {
    let builder = Network::builder(3).dense(5, Tanh).dense(4, output);
    let mut network = builder.zeros().unwrap();
    for (l, (weights, bias)) in layers(parameters).iter().enumerate() {
        network.set_dense(l, weights, bias).unwrap();
    }
    network
}

/// A vector laid out as θ, split into the blocks of a `Pass`.
pub(crate) fn split(network: &Network<f64>, vector: &[f64]) -> Vec<Vec<f64>> {
    let matrices = network.layout().roll(vector).unwrap();
    let blocks = matrices.iter().flat_map(|d| {
        let (bias, weights) = d.as_slice().split_at(d.nrows());
        [weights.to_vec(), bias.to_vec()]
    });
    blocks.collect()
}

/// The output layer for this cost, and the targets.
fn setting(cost: AnyCost) -> (AnyActivation, DMatrix<f64>) {
    let (output, targets) = match cost {
        CategoricalCrossEntropy => (Softmax, "one_hot"),
        BinaryCrossEntropy => (Sigmoid, "labels"),
        Poisson => (Exponential, "counts"),
        _ => (Identity, "reals"),
    };
    (output, example_columns(&format!("/problem/{targets}")))
}

/// Our J and D.
pub(crate) fn pass<C: Cost<f64>>(
    network: &Network<f64>,
    examples: &Examples<'_, f64>,
    cost: C,
    lambda: f64,
) -> Pass {
    pass_of(network, examples, &Objective::new(cost).l2(lambda))
}

fn pass_of<C: Cost<f64>>(
    network: &Network<f64>,
    examples: &Examples<'_, f64>,
    objective: &Objective<C>,
) -> Pass {
    let pass = network.backprop(examples, objective).unwrap();
    Pass {
        loss: pass.cost(),
        gradient: split(network, pass.gradient().vector().as_slice()),
    }
}

/// X, and Y for the classes.
pub(crate) fn classes() -> (DMatrix<f64>, DMatrix<f64>) {
    let y = example_columns("/problem/one_hot");
    (example_columns("/problem/x"), y)
}

/// Our J and D of all examples with a library's parameters.
pub(crate) fn ours(library: &str, cost: AnyCost, lambda: f64) -> Pass {
    ours_weighted(library, cost, lambda, None)
}

/// The same with optional example weights.
pub(crate) fn ours_weighted(
    library: &str,
    cost: AnyCost,
    lambda: f64,
    weights: Option<&[f64]>,
) -> Pass {
    let (output, y) = setting(cost);
    let x = example_columns("/problem/x");
    let mut examples = Examples::new(&x, &y).unwrap();
    if let Some(weights) = weights {
        examples = examples.weighted(weights).unwrap();
    }
    pass(&network(library, output), &examples, cost, lambda)
}

/// Our J and D of the classes with any penalty, with a library's parameters, some of them 0.
pub(crate) fn ours_penalised(library: &str, penalty: Penalty) -> Pass {
    let network = network_of(&format!("{library}/sparse_parameters"), Softmax);
    let zeros = network.theta().iter().filter(|&&t| t == 0.0).count();
    assert!(zeros > 0, "there are kinks of |Θ| to be tested");
    let (x, y) = classes();
    let objective = Objective::new(CategoricalCrossEntropy).penalty(penalty);
    pass_of(&network, &Examples::new(&x, &y).unwrap(), &objective)
}

/// The weights of the examples and Σw.
pub(crate) fn example_weights() -> (Vec<f64>, f64) {
    let weights = numbers(value("/problem/example_weights"));
    let sum = weights.iter().sum();
    (weights, sum)
}

/// θ − rate · D.
pub(crate) fn step(
    network: &Network<f64>,
    examples: &Examples<'_, f64>,
    lambda: f64,
    rate: f64,
) -> Network<f64> {
    let objective = Objective::new(CategoricalCrossEntropy).l2(lambda);
    let theta = network.theta() - network.gradient_vector(examples, &objective).unwrap() * rate;
    let mut stepped = network.clone();
    stepped.set_theta(theta.as_slice()).unwrap();
    stepped
}

/// The outputs for X, read from a row-major buffer as in the libraries.
#[track_caller]
pub(crate) fn assert_outputs(library: &str, output: AnyActivation, expected: &str) {
    let x = numbers(value("/problem/x"));
    let x = row_major(&x, 3).unwrap();
    let a = network(library, output).forward(x).unwrap();
    assert_close(a.as_slice(), &numbers(value(expected)));
}

/// Asserts that a layer's θ in memory is the bias, then the rows of an inputs × units kernel.
pub(crate) fn assert_theta_is_bias_then_kernel(library: &str) {
    let (network, parameters) = (network(library, Identity), format!("{library}/parameters"));
    for (l, (inputs, units)) in [(3, 5), (5, 4)].into_iter().enumerate() {
        let kernel = value(&format!("{parameters}/weights/{l}"));
        let shape = (
            kernel.as_array().unwrap().len(),
            kernel[0].as_array().unwrap().len(),
        );
        assert_eq!(shape, (inputs, units));
        let theta = network.block(l, 0).unwrap();
        assert_eq!(theta.shape(), (units, inputs + 1));
        let bias = numbers(value(&format!("{parameters}/biases/{l}")));
        let found: Vec<f64> = theta.iter().copied().collect();
        assert_eq!(found, [bias, numbers(kernel)].concat());
    }
}
