//! L-BFGS and conjugate gradients reach SciPy's J on the digits.

use backprop::activation::Softmax;
use backprop::data::one_hot;
use backprop::nalgebra::DMatrix;
use backprop::training::{ConjugateGradient, Lbfgs, Method, Trainer};
use backprop::{
    AnyActivation, CategoricalCrossEntropy, Examples, Initialization, Network, Objective, rng,
};

/// Returns J on the digits after some iterations or evaluations, for seeds 0 to n − 1, sorted.
fn digits(
    (hidden, activation): (usize, AnyActivation),
    method: fn() -> Method<f64>,
    (iterations, evaluations): (u64, u64),
    seeds: u64,
) -> Vec<f64> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/digits.csv");
    let table = std::fs::read_to_string(path).unwrap();
    let lines = table.lines().skip(1).take(1347);
    let values = lines.flat_map(|line| line.split(','));
    let values: Vec<f64> = values.map(|value| value.parse().unwrap()).collect();
    let rows = DMatrix::from_vec(65, 1347, values);
    let classes: Vec<usize> = rows.row(64).iter().map(|&class| class as usize).collect();
    let (x, y) = (rows.rows(0, 64) / 16.0, one_hot(&classes, 10).unwrap());
    let examples = Examples::new(&x, &y).unwrap();
    let cost = |seed| {
        let mut network = Network::<f64>::builder(64)
            .dense(hidden, activation)
            .dense(10, Softmax)
            .initialize(Initialization::GlorotUniform, &mut rng(seed))
            .unwrap();
        let history = Trainer::new(Objective::new(CategoricalCrossEntropy).l2(1.0), method())
            .epochs(iterations)
            .steps(evaluations)
            .fit(&mut network, &examples)
            .unwrap();
        let records = history.records().iter().rev();
        let mut within = records.filter(|record| record.steps <= evaluations);
        within.next().unwrap().cost
    };
    let mut costs: Vec<f64> = (0..seeds).map(cost).collect();
    costs.sort_by(f64::total_cmp);
    costs
}

/// SciPy's median J after 50 iterations from 20 such starts is 0.28923
/// (`benches/peers/solvers.py`).
#[test]
fn conjugate_gradients_keep_up() {
    let network = (25, AnyActivation::Sigmoid);
    let costs = digits(network, || ConjugateGradient::new().into(), (50, 10_000), 5);
    assert!(costs[2] < 1.1 * 0.28923, "{costs:?}");
    // With SciPy's number of evaluations.
    let costs = digits(network, || ConjugateGradient::new().into(), (50, 110), 5);
    assert!(costs[2] < 1.1 * 0.28923, "{costs:?}");
}

/// SciPy's L-BFGS-B reaches J = 0.08867 (median) and 0.09205 (worst) in 200 evaluations from 20
/// such starts. `benches/peers/solvers.py` compares start by start, and on `mnist3k`.
#[test]
fn relu_networks_do_not_lag() {
    let network = (32, AnyActivation::Relu);
    let costs = digits(network, || Lbfgs::new().into(), (10_000, 200), 20);
    assert!(costs[10] < 1.05 * 0.08867, "{costs:?}");
    assert!(costs[19] < 1.1 * 0.09205, "{costs:?}");
}
