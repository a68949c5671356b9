//! Properties of back-propagation on random networks of every activation and cost.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "as in the tests that call these functions"
)]

use crate::support::{Case, activations, cases, config, hidden_activations};
use backprop::gradient_check::GradientCheck;
use backprop::nalgebra::{DMatrix, DVector};
use backprop::{
    Accumulator, Examples, Layer, Network, Objective, Penalty, Strength, Workspace, unroll,
};
use num_dual::Dual64;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseError, TestRunner};
use std::collections::BTreeSet;

type Outcome = Result<(), TestCaseError>;

/// The limit on |z| for comparisons to 1e-12. A unit saturated near 1 has lost digits of 1 − a: 1 −
/// σ(30) is 9e-14, of which `f64` keeps 3 digits. If the next layer depends on them, no two
/// computations agree to 1e-12. At a limit of 30 this happens in one network in 60,000. Differences
/// of J are compared less closely, with a limit of 30.
const TAME: f64 = 10.0;

fn largest(entries: &[f64]) -> f64 {
    entries.iter().fold(0.0, |max, e| max.max(e.abs()))
}

/// Every entry is within 1e-12 of the largest in its block, or of a thousandth of `size`, the size
/// of the whole gradient.
///
/// If a gradient is 0 up to rounding, its entries are the rounding errors of numbers of size 1:
/// outputs and targets.
fn close_block(found: &[f64], expected: &[f64], size: f64) -> Outcome {
    prop_assert_eq!(found.len(), expected.len());
    let rounding = 8.0 * f64::EPSILON;
    let bound = if size <= rounding {
        rounding
    } else {
        1e-12 * largest(expected).max(1e-3 * size)
    };
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        // False for a NaN on either side.
        prop_assert!(
            (f - e).abs() <= bound,
            "entry {i}: {f:e} is not {e:e} within {bound:e}"
        );
    }
    Ok(())
}

/// [`close_block`] for the blocks of a gradient.
fn close(network: &Network<f64>, found: &[f64], expected: &[f64]) -> Outcome {
    let size = largest(expected);
    for place in network.layout().blocks() {
        close_block(&found[place.range()], &expected[place.range()], size)?;
    }
    Ok(())
}

/// The largest allowed difference of two values of J: 1e-12 of J, or of the largest cost of an
/// example, because costs may cancel.
fn cost_bound(case: &Case) -> f64 {
    let mut workspace = Workspace::new();
    let parts = case
        .network
        .cost_into(&case.examples(), &case.objective, &mut workspace)
        .unwrap();
    let costs = workspace.costs().iter();
    1e-12 * costs.fold(parts.total().abs(), |max, c| max.max(c.abs()))
}

fn close_cost(case: &Case, found: f64, expected: f64) -> Outcome {
    let bound = cost_bound(case);
    prop_assert!(
        (found - expected).abs() <= bound,
        "J: {found:e} is not {expected:e} within {bound:e}"
    );
    Ok(())
}

/// The case in dual numbers: every number with its part of a direction in θ and X.
struct Lifted {
    network: Network<Dual64>,
    x: DMatrix<Dual64>,
    y: DMatrix<Dual64>,
}

impl Lifted {
    fn new(case: &Case, theta: impl Fn(usize) -> f64, x: impl Fn(usize) -> f64) -> Self {
        let mut index = 0;
        let network = case.network.map(|w| {
            index += 1;
            Dual64::new(w, theta(index - 1))
        });
        let network = network.unwrap();
        let entries = case.x.iter().enumerate();
        let entries = entries.map(|(i, &entry)| Dual64::new(entry, x(i)));
        Self {
            network,
            x: DMatrix::from_iterator(case.x.nrows(), case.x.ncols(), entries),
            y: case.y.map(Dual64::from_re),
        }
    }

    fn examples<'a>(&'a self, case: &'a Case) -> Examples<'a, Dual64> {
        let examples = Examples::new(&self.x, &self.y).unwrap();
        match &case.weights {
            Some(weights) => examples.weighted(weights).unwrap(),
            None => examples,
        }
    }
}

/// J and its derivative along a direction in θ and X, by a forward pass in dual numbers, without
/// back-propagation.
fn dual_cost(case: &Case, theta: impl Fn(usize) -> f64, x: impl Fn(usize) -> f64) -> Dual64 {
    let lifted = Lifted::new(case, theta, x);
    let cost = lifted.network.cost(&lifted.examples(case), &case.objective);
    cost.unwrap()
}

/// ∇J and Hu, by back-propagation in dual numbers.
fn dual_gradient(case: &Case, u: impl Fn(usize) -> f64) -> (Vec<f64>, Vec<f64>) {
    let lifted = Lifted::new(case, u, |_| 0.0);
    let gradient = lifted
        .network
        .gradient_vector(&lifted.examples(case), &case.objective);
    gradient.unwrap().iter().map(|g| (g.re, g.eps)).unzip()
}

/// J and ∇J of a pass on buffers that hold NaN, checked against the workspace's results.
fn pass(case: &Case, workspace: &mut Workspace<f64>) -> Vec<f64> {
    let (network, examples) = (&case.network, case.examples());
    workspace.fill(f64::NAN);
    let outputs = network.forward_into(&case.x, workspace).unwrap();
    let mut results: Vec<f64> = outputs.iter().copied().collect();

    workspace.fill(f64::NAN);
    let parts = network.cost_into(&examples, &case.objective, workspace);
    results.push(parts.unwrap().total());

    workspace.fill(f64::NAN);
    let mut gradient = vec![f64::NAN; network.parameters()];
    let parts = network.gradient_into(&examples, &case.objective, workspace, &mut gradient);
    results.push(parts.unwrap().total());
    results.extend(&gradient);
    results.extend(workspace.costs());
    for layer in 0..network.depth() {
        results.extend(workspace.activation(layer).unwrap().iter());
    }
    results.extend(workspace.logits(0).unwrap().iter());

    workspace.fill(f64::NAN);
    let mut sums = Accumulator::new(network).unwrap();
    sums.add(network, &examples, &case.objective.cost, workspace)
        .unwrap();
    results.push(sums.cost());
    results.extend(sums.delta());
    results
}

/// The cases cover every activation, pair and size, and no |z| exceeds the limit.
#[test]
fn cases_cover_what_they_promise() {
    let mut runner = TestRunner::new(config());
    let (mut hidden, mut pairs, mut sizes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut zero_weights, mut largest_z) = (0, 0.0_f64);
    // Cases with a penalty; with λ₁, λ₂ or both in a layer; and with different layers.
    let [mut penalties, mut l1, mut l2, mut both, mut unlike] = [0_u32; 5];
    for _ in 0..runner.config().cases {
        let case = cases(30.0).new_tree(&mut runner).unwrap().current();
        let network = &case.network;
        let names: Vec<String> = network.layers().iter().map(Layer::<f64>::name).collect();
        let (output, below) = names.split_last().unwrap();
        hidden.extend(below.to_vec());
        pairs.insert(format!("{output} {:?}", case.objective.cost));
        sizes.insert(("inputs", network.inputs()));
        sizes.insert(("outputs", network.outputs()));
        sizes.insert(("depth", network.depth()));
        sizes.insert(("examples", case.x.ncols()));
        zero_weights += u32::from(case.weights.as_ref().is_some_and(|w| w.contains(&0.0)));
        let of = |layer| case.objective.penalty.strength(layer, 0);
        let all: Vec<Strength> = (0..network.depth()).map(of).collect();
        penalties += u32::from(case.objective.penalty != Penalty::none());
        l1 += u32::from(all.iter().any(|s| s.l1 > 0.0));
        l2 += u32::from(all.iter().any(|s| s.l2 > 0.0));
        both += u32::from(all.iter().any(|s| s.l1 > 0.0 && s.l2 > 0.0));
        unlike += u32::from(all.windows(2).any(|s| s[0] != s[1]));

        let trace = network.trace(&case.examples(), &case.objective).unwrap();
        let z = (0..network.depth()).map(|l| trace.z(l).unwrap().amax());
        largest_z = z.fold(largest_z, f64::max);
    }
    // All activations except the exponential; 3 costs with all outputs, and 2, 4 and 4 outputs for
    // costs with a domain.
    assert_eq!(hidden.len(), hidden_activations().len(), "{hidden:?}");
    let all = activations().len();
    assert_eq!(pairs.len(), 3 * all + 2 + 4 + 4, "{pairs:?}");
    assert_eq!(sizes.len(), 9 + 9 + 5 + 9, "{sizes:?}");
    let half = runner.config().cases / 2;
    assert!(zero_weights > half / 4 && penalties > half / 2 && penalties < half + half / 2);
    assert!(l1.min(l2) > half / 3 && both.min(unlike) > half / 6);
    assert!(largest_z > 25.0 && largest_z < 30.0 * (1.0 + 1e-12));
}

proptest! {
    #![proptest_config(config())]

    /// Differences of J, with the checker's default tolerances. Only piecewise functions may have
    /// kinks.
    #[test]
    fn gradient_agrees_with_central_differences(case in cases(30.0)) {
        let report = GradientCheck::new()
            .network(&case.network, &case.examples(), &case.objective)
            .unwrap();
        prop_assert!(report.passed(), "{report}");
        let compared: usize = report.blocks.iter().map(|b| b.compared).sum();
        prop_assert_eq!(compared, case.network.parameters());
        let kinks: usize = report.blocks.iter().map(|b| b.kinks).sum();
        prop_assert!(kinks == 0 || case.is_piecewise(), "{report}");
    }

    /// Every entry of ∇J by the chain rule in forward mode, which has no step size.
    #[test]
    fn gradient_agrees_with_dual_numbers(case in cases(TAME)) {
        let pass = case.network.backprop(&case.examples(), &case.objective).unwrap();
        let (mut derivatives, bound) = (Vec::new(), cost_bound(&case));
        for i in 0..case.network.parameters() {
            let j = dual_cost(&case, |k| f64::from(k == i), |_| 0.0);
            prop_assert!((j.re - pass.cost()).abs() <= bound);
            derivatives.push(j.eps);
        }
        close(&case.network, pass.gradient().vector().as_slice(), &derivatives)?;
    }

    /// The same for ∂J/∂X, relative to its largest entry or a thousandth of the largest in ∇J.
    #[test]
    fn input_gradient_agrees_with_dual_numbers(case in cases(TAME)) {
        let gradient = case.network.gradient_vector(&case.examples(), &case.objective).unwrap();
        let found = case.network.input_gradient(&case.examples(), &case.objective).unwrap();
        prop_assert_eq!(found.shape(), case.x.shape());
        let derivatives = DMatrix::from_iterator(
            case.x.nrows(),
            case.x.ncols(),
            (0..case.x.len()).map(|i| dual_cost(&case, |_| 0.0, |k| f64::from(k == i)).eps),
        );
        close_block(found.as_slice(), derivatives.as_slice(), gradient.amax())?;
    }

    /// Back-propagation in dual numbers: the real parts are ∇J, the others Hu, and H is symmetric.
    #[test]
    fn passes_on_dual_numbers_differentiate_the_gradient(case in cases(TAME)) {
        let gradient = case.network.gradient_vector(&case.examples(), &case.objective).unwrap();
        let u = |i: usize| (1.0 + i as f64).sin();
        let v = |i: usize| (2.0 + 3.0 * i as f64).cos();
        let ((re, along_u), (_, along_v)) = (dual_gradient(&case, u), dual_gradient(&case, v));
        close(&case.network, &re, gradient.as_slice())?;
        let products: Vec<(f64, f64)> = (0..re.len())
            .map(|i| (v(i) * along_u[i], u(i) * along_v[i]))
            .collect();
        let difference: f64 = products.iter().map(|(vhu, uhv)| vhu - uhv).sum();
        let size: f64 = products.iter().map(|(vhu, uhv)| vhu.abs() + uhv.abs()).sum();
        prop_assert!(difference.abs() <= 1e-12 * size.max(1.0), "{difference:e} of {size:e}");
    }

    /// Sums over unequal shards, added one by one or merged, equal the sums over the whole batch.
    #[test]
    fn shards_agree_with_the_whole(
        case in cases(TAME),
        cuts in vec(0..=9_usize, 0..4),
        backwards: bool,
    ) {
        let whole = case.network.backprop(&case.examples(), &case.objective).unwrap();
        let m = case.x.ncols();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(m)).chain([0, m]).collect();
        cuts.sort_unstable();
        let mut workspace = Workspace::new();
        let mut added = Accumulator::new(&case.network).unwrap();
        let mut single = Vec::new();
        for cut in cuts.windows(2) {
            let (start, len) = (cut[0], cut[1] - cut[0]);
            let weights: Vec<f64> = (start..cut[1]).map(|k| case.weight(k)).collect();
            // `Examples` refuses a shard without examples or with only zero weights.
            if weights.iter().all(|w| *w == 0.0) {
                continue;
            }
            let shard = Examples::new(case.x.columns(start, len), case.y.columns(start, len))
                .and_then(|shard| shard.weighted(&weights))
                .unwrap();
            let mut alone = Accumulator::new(&case.network).unwrap();
            for sums in [&mut added, &mut alone] {
                workspace.fill(f64::NAN);
                sums.add(&case.network, &shard, &case.objective.cost, &mut workspace).unwrap();
            }
            single.push(alone);
        }
        if backwards {
            single.reverse();
        }
        let mut merged = Accumulator::new(&case.network).unwrap();
        for sums in &single {
            merged.merge(sums).unwrap();
        }
        for sums in [added, merged] {
            prop_assert_eq!(sums.weight(), case.examples().total_weight());
            let found = sums.finish(&case.network, &case.objective.penalty).unwrap();
            close_cost(&case, found.cost(), whole.cost())?;
            let (found, whole) = (found.gradient().vector(), whole.gradient().vector());
            close(&case.network, found.as_slice(), whole.as_slice())?;
        }
    }

    /// Σ wₖ ∇costₖ over the examples, each as its own batch, is the batch's Δ.
    #[test]
    fn gradients_of_examples_sum_to_that_of_the_batch(case in cases(TAME)) {
        let mut batch = Accumulator::new(&case.network).unwrap();
        let mut workspace = Workspace::new();
        batch
            .add(&case.network, &case.examples(), &case.objective.cost, &mut workspace)
            .unwrap();
        let costs = workspace.costs().to_vec();
        let data_only = Objective::new(case.objective.cost);
        let mut sum = vec![0.0; case.network.parameters()];
        let mut total = 0.0;
        for (k, &cost) in costs.iter().enumerate() {
            let one = Examples::new(case.x.columns(k, 1), case.y.columns(k, 1)).unwrap();
            let pass = case.network.backprop(&one, &data_only).unwrap();
            close_cost(&case, pass.cost(), cost)?;
            total += case.weight(k) * pass.cost();
            for (sum, g) in sum.iter_mut().zip(pass.gradient().vector()) {
                *sum += case.weight(k) * g;
            }
        }
        close(&case.network, batch.delta().as_slice(), &sum)?;
        let m = batch.weight();
        close_cost(&case, batch.cost() / m, total / m)?;
        // `finish` divides by m once and adds no penalty.
        let mean = batch.finish(&case.network, &Penalty::none()).unwrap();
        sum.iter_mut().for_each(|g| *g /= m);
        close(&case.network, mean.gradient().vector().as_slice(), &sum)?;
    }

    /// A weight of n repeats the example n times, and a weight of 0 leaves it out, in J, ∇J and
    /// ∂J/∂X.
    #[test]
    fn weights_count_examples(case in cases(TAME), counts in vec(0..=3_u8, 9)) {
        let m = case.x.ncols();
        let mut counts = counts[..m].to_vec();
        counts[0] = counts[0].max(1);
        let repeated: Vec<usize> = (0..m)
            .flat_map(|k| std::iter::repeat_n(k, usize::from(counts[k])))
            .collect();
        let (x, y) = (case.x.select_columns(&repeated), case.y.select_columns(&repeated));
        let weights: Vec<f64> = counts.iter().copied().map(f64::from).collect();
        let weighted = Case { weights: Some(weights), ..case.clone() };
        let plain = Case { weights: None, x, y, ..case };

        let of = |case: &Case| case.network.backprop(&case.examples(), &case.objective).unwrap();
        let (w, p) = (of(&weighted), of(&plain));
        close_cost(&plain, w.cost(), p.cost())?;
        let (w, p) = (w.gradient().vector(), p.gradient().vector());
        close(&plain.network, w.as_slice(), p.as_slice())?;
        let size = p.amax();

        let of = |case: &Case| {
            let network = &case.network;
            network.input_gradient(&case.examples(), &case.objective).unwrap()
        };
        let (w, p) = (of(&weighted), of(&plain));
        let mut sums = DMatrix::zeros(w.nrows(), m);
        for (column, &k) in p.column_iter().zip(&repeated) {
            let mut sum = sums.column_mut(k);
            sum += column;
        }
        close_block(w.as_slice(), sums.as_slice(), size)?;
    }

    /// θ as a vector, as matrices, and as weights and biases: writing undoes reading.
    #[test]
    fn unrolling_and_its_inverse_are_identities(case in cases(30.0)) {
        let network = &case.network;
        let matrices = network.layout().roll(network.theta().as_slice()).unwrap();
        prop_assert_eq!(&unroll(&matrices), network.theta());
        let counted = DVector::from_fn(network.parameters(), |i, _| i as f64);
        let rolled = network.layout().roll(counted.as_slice()).unwrap();
        prop_assert_eq!(unroll(&rolled), counted);

        let zeros = vec![0.0; network.parameters()];
        let layers = network.layers().to_vec();
        let empty = Network::from_layers(network.inputs(), layers, &zeros).unwrap();
        let (mut by_layer, mut by_part, mut by_vector) = (empty.clone(), empty.clone(), empty);
        for (l, matrix) in matrices.iter().enumerate() {
            prop_assert_eq!(&network.block(l, 0).unwrap(), matrix);
            by_layer.set_block(l, 0, matrix).unwrap();
            let (weights, bias) = network.dense_weights(l).unwrap();
            by_part.set_dense(l, &weights, bias.as_slice()).unwrap();
        }
        by_vector.set_theta(network.theta().as_slice()).unwrap();
        for copy in [by_layer, by_part, by_vector] {
            prop_assert_eq!(&copy, network);
        }

        let gradient = network.backprop(&case.examples(), &case.objective).unwrap().into_gradient();
        let layers: Vec<_> = (0..network.depth())
            .map(|l| gradient.layer(l).unwrap().clone_owned())
            .collect();
        prop_assert_eq!(&unroll(&layers), gradient.vector());
        prop_assert_eq!(network.layout().roll(gradient.vector().as_slice()).unwrap(), layers);
    }

    /// One workspace for networks and batches of all sizes gives the bits of a new one, whatever it
    /// held.
    #[test]
    fn workspaces_remember_nothing(cases in vec(cases(30.0), 2..4)) {
        let mut reused = Workspace::new();
        for case in cases.iter().chain(cases.iter().rev()) {
            let fresh = pass(case, &mut Workspace::new());
            // Twice, because new entries of a growing buffer are not NaN in the first pass.
            for _ in 0..2 {
                let found = pass(case, &mut reused);
                let bits = |values: &[f64]| -> Vec<u64> {
                    values.iter().map(|v| v.to_bits()).collect()
                };
                prop_assert_eq!(bits(&found), bits(&fresh));
            }
            prop_assert!(fresh.iter().all(|v| v.is_finite()));
        }
    }
}
