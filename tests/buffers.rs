//! What a pass hands to the layers of others, and what it makes of their mistakes.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use backprop::activation::{Identity, Tanh};
use backprop::layer::{AnyLayer, Backward, Block, Forward, Layer};
use backprop::nalgebra::{DMatrix, DMatrixView};
use backprop::{
    Builder, Examples, Initialization, Network, Objective, SquaredError, Workspace, rng,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// Inputs through, with a cache that shrinks as the batch grows, and scratch of its own; panics in `backward` when told to.
#[derive(Debug, Default)]
struct Odd {
    panics: AtomicBool,
}

const UNITS: usize = 3;

impl Layer<f64> for Odd {
    fn inputs(&self) -> usize {
        UNITS
    }

    fn outputs(&self) -> usize {
        UNITS
    }

    fn blocks(&self) -> Vec<Block> {
        Vec::new()
    }

    fn cache_len(&self, examples: usize) -> usize {
        5000 - examples
    }

    fn scratch_len(&self, examples: usize) -> usize {
        2 * examples
    }

    fn forward(&self, mut pass: Forward<'_, f64>) {
        let m = pass.input.ncols();
        assert_eq!(pass.cache.len(), 5000 - m);
        assert!(pass.scratch.len() >= 2 * m);
        pass.output.copy_from(&pass.input);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        assert!(!self.panics.load(Ordering::Relaxed), "as it was told to");
        let m = pass.input.ncols();
        assert_eq!(pass.cache.len(), 5000 - m);
        assert!(pass.scratch.len() >= 2 * m);
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
        }
    }
}

fn network() -> Network<f64, AnyLayer<Odd>> {
    Builder::new(UNITS)
        .dense(40, Tanh)
        .dense(UNITS, Tanh)
        .layer(AnyLayer::Custom(Odd::default()))
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap()
}

fn data(m: usize) -> (DMatrix<f64>, DMatrix<f64>) {
    (
        DMatrix::from_fn(UNITS, m, |i, j| (i as f64 + 0.37 * j as f64).sin()),
        DMatrix::from_fn(2, m, |i, j| (i as f64 - 0.11 * j as f64).cos()),
    )
}

#[test]
fn every_part_has_the_cache_and_the_scratch_that_its_layers_ask_for() {
    let network = network();
    // One part, parts of one size, and a last one that is smaller and asks for a larger cache.
    for m in [1, 64, 512, 513, 1025, 2803] {
        let (x, y) = data(m);
        let examples = Examples::new(&x, &y).unwrap();
        network
            .backprop(&examples, &Objective::new(SquaredError))
            .unwrap();
    }
}

#[test]
fn a_layer_that_panics_leaves_a_workspace_that_works() {
    let network = network();
    let AnyLayer::Custom(odd) = &network.layers()[2] else {
        panic!("the third layer is ours");
    };
    let objective = Objective::new(SquaredError);
    for m in [7, 1025] {
        let (x, y) = data(m);
        let examples = Examples::new(&x, &y).unwrap();
        let mut workspace = Workspace::new();
        let mut compute = |gradient: &mut [f64]| {
            let j = network.gradient_into(&examples, &objective, &mut workspace, gradient);
            j.unwrap().total()
        };
        let mut expected = vec![0.0; network.parameters()];
        let j = compute(&mut expected);
        let mut found = vec![f64::NAN; network.parameters()];
        odd.panics.store(true, Ordering::Relaxed);
        assert!(catch_unwind(AssertUnwindSafe(|| compute(&mut found))).is_err());
        odd.panics.store(false, Ordering::Relaxed);
        assert_eq!((compute(&mut found), &found), (j, &expected));
    }
}

#[test]
fn rows_beside_the_inputs_may_be_written_meanwhile() {
    let network = network();
    let (x, y) = data(1300);
    let objective = Objective::new(SquaredError);
    let expected = network
        .backprop(&Examples::new(&x, &y).unwrap(), &objective)
        .unwrap();
    // The inputs are the upper rows of a matrix whose lower rows somebody else owns.
    let mut both = DMatrix::from_element(2 * UNITS, 1300, f64::NAN);
    both.rows_mut(0, UNITS).copy_from(&x);
    let (upper, mut lower) = both.rows_range_pair_mut(..UNITS, UNITS..);
    let found = std::thread::scope(|scope| {
        scope.spawn(|| lower.fill(1.0));
        let upper: DMatrixView<'_, f64> = upper.as_view();
        network.backprop(&Examples::new(upper, &y).unwrap(), &objective)
    })
    .unwrap();
    assert_eq!(found.cost(), expected.cost());
    assert_eq!(found.gradient().vector(), expected.gradient().vector());
}
