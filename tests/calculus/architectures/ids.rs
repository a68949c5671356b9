//! Random trees on an embedding: a row of ids beside rows of numbers, in evaluation and in
//! training.

use super::random::{Case, cases};
use super::trees::{Any, Net, concat};
use super::{Outcome, close, config, largest, masked, wave};
use backprop::gradient_check::GradientCheck;
use backprop::layer::{Axis, Embedding, Rearrange};
use backprop::nalgebra::{DMatrix, convert};
use backprop::{Examples, Objective, Shape, Workspace};
use num_dual::Dual64;
use proptest::prelude::*;

const ENTRIES: usize = 5;

/// A case whose last inputs come from an embedding.
#[derive(Debug)]
struct WithIds {
    case: Case,
    /// Without rules for layers, whose paths differ here.
    objective: Objective,
    network: Net<f64>,
    x: DMatrix<f64>,
}

impl WithIds {
    fn new(case: Case) -> Self {
        let n = case.input.len();
        let features = n.div_ceil(2);
        let numbers = n - features;
        let select = |from, to| Any::from(Rearrange::Select { from, to });
        let vectors = vec![
            select(numbers, numbers + 1),
            Embedding::new(ENTRIES, features).into(),
            Rearrange::Flatten.into(),
        ];
        let mut branches = vec![vectors];
        if numbers > 0 {
            branches.insert(0, vec![select(0, numbers)]);
        }
        let mut layers = vec![concat(branches, Axis::First)];
        layers.extend(case.network.layers().iter().cloned());
        let mut theta = wave(ENTRIES * features, 0.9);
        theta.extend(case.network.theta().iter());
        let input = Shape::Units(numbers + 1);
        let mut network = Net::from_layers(input, layers, &theta).unwrap();
        network.set_state(case.network.state().as_slice()).unwrap();
        let x = DMatrix::from_fn(numbers + 1, case.x.ncols(), |i, k| match i {
            _ if i < numbers => case.x[(i, k)],
            _ => ((3 * k + 2) % ENTRIES) as f64,
        });
        let objective = Objective::new(case.objective.cost).l2(case.lambda);
        Self {
            case,
            objective,
            network,
            x,
        }
    }

    fn examples(&self) -> Examples<'_, f64> {
        super::weighted(
            masked(&self.x, &self.case.y, self.case.present.as_ref()),
            &self.case,
        )
    }
}

/// Trees on plain units, without weights where a layer gathers statistics.
fn trees() -> impl Strategy<Value = WithIds> {
    let on_units = cases().prop_filter("plain units", |case| matches!(case.input, Shape::Units(_)));
    on_units.prop_map(|mut case| {
        if !case.network.state().is_empty() {
            case.weights = None;
        }
        WithIds::new(case)
    })
}

fn modes() -> [(Option<u64>, GradientCheck); 2] {
    [
        (None, GradientCheck::new()),
        (Some(5), GradientCheck::new().training(5)),
    ]
}

fn agrees_with_dual_numbers(tree: &WithIds, training: Option<u64>) -> Outcome {
    let (network, objective) = (&tree.network, &tree.objective);
    let p = network.parameters();
    let mut gradient = vec![f64::NAN; p];
    let mut workspace = Workspace::new();
    workspace.set_training(training);
    network
        .gradient_into(&tree.examples(), objective, &mut workspace, &mut gradient)
        .unwrap();
    let along = wave(p, 0.4);
    let mut index = 0..;
    let moved = network.map(|w| {
        let i = index.next().unwrap();
        Dual64::new(w, along.get(i).copied().unwrap_or(0.0))
    });
    let (x, y) = (tree.x.map(convert), tree.case.y.map(convert));
    let examples = masked(&x, &y, tree.case.present.as_ref());
    let examples = super::weighted(examples, &tree.case);
    let mut workspace = Workspace::new();
    workspace.set_training(training);
    let j = moved
        .unwrap()
        .cost_into(&examples, objective, &mut workspace);
    let found = super::dot(&gradient, &along);
    let bound = 1e-11 * largest(&gradient).max(1.0) * p as f64;
    close(&[found], &[j.unwrap().total().eps], bound)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn trees_on_embeddings_pass_the_checker(tree in trees()) {
        for (_, check) in modes() {
            let (examples, objective) = (tree.examples(), &tree.objective);
            let report = check.network(&tree.network, &examples, objective).unwrap();
            prop_assert!(report.passed(), "{report}");
            let report = check.second_order(&tree.network, &examples, objective).unwrap();
            prop_assert!(report.passed(), "{report}");
        }
    }

    #[test]
    fn trees_on_embeddings_agree_with_dual_numbers(tree in trees()) {
        for (training, _) in modes() {
            agrees_with_dual_numbers(&tree, training)?;
        }
    }
}
