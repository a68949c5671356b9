//! Buffers: every pass gives each layer buffers of the sizes that the layer requests, and no call
//! reads values that another call left behind.

#![allow(clippy::unwrap_used, reason = "test helpers may panic to fail tests")]

use backprop::activation::{Exponential, Gelu, Identity, Relu, Sigmoid, Softmax, Tanh};
use backprop::layer::{AnyLayer, At, Backward, Forward, Layer, Len, Plan, Site};
use backprop::nalgebra::{DMatrix, DMatrixView};
use backprop::{
    AnyActivation, AnyCost, BinaryCrossEntropy, Builder, CategoricalCrossEntropy, Error, Examples,
    GaussNewton, Initialization, Network, Objective, Poisson, SquaredError, Tangent, VjpTargets,
    Workspace, rng,
};
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// Passes its inputs through, with room, and with memory for `backward` of which most does not
/// depend on the batch. `backward` panics on request.
#[derive(Debug, Default)]
struct Odd {
    panics: AtomicBool,
}

const UNITS: usize = 3;

impl Odd {
    /// What the pass of these m examples keeps, which differs between examples.
    fn kept(at: At<'_, f64>, m: usize) -> impl Iterator<Item = f64> {
        let fixed = (0..5000).map(move |i| (at.first_example + m * i) as f64);
        fixed.chain((0..2 * m).map(move |i| (2 * at.first_example + i) as f64 + 0.5))
    }
}

impl Layer<f64> for Odd {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Plan::new(site, UNITS)
            .keeps(Len::each(2) + Len::fixed(5000))
            .room(Len::each(3) + Len::fixed(70)))
    }

    fn forward(&self, mut pass: Forward<'_, f64>) {
        let m = pass.input.ncols();
        assert_eq!(pass.kept.len(), 2 * m + 5000);
        assert_eq!(pass.room.len(), 3 * m + 70);
        pass.room.fill(f64::NAN);
        let kept = pass.kept.iter_mut().zip(Self::kept(pass.at, m));
        kept.for_each(|(kept, value)| *kept = value);
        pass.output.copy_from(&pass.input);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        assert!(!self.panics.load(Ordering::Relaxed), "as it was told to");
        let m = pass.input.ncols();
        assert_eq!(pass.kept.len(), 2 * m + 5000);
        assert_eq!(pass.room.len(), 3 * m + 70);
        pass.room.fill(f64::NAN);
        assert!(Self::kept(pass.at, m).eq(pass.kept.iter().copied()));
        assert_eq!(pass.output, pass.input);
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
fn every_part_gets_the_buffers_its_layers_request() {
    let network = network();
    // One part, parts of equal size, and a smaller last part.
    for m in [1, 64, 512, 513, 1025, 2803] {
        let (x, y) = data(m);
        let examples = Examples::new(&x, &y).unwrap();
        network
            .backprop(&examples, &Objective::new(SquaredError))
            .unwrap();
        // The layer computes one example at a time, in its room.
        let gradients = network.example_gradients(&examples, &SquaredError).matrix();
        let norms = network.example_gradients(&examples, &SquaredError).norms();
        for (gradient, norm) in gradients.unwrap().column_iter().zip(norms.unwrap().iter()) {
            assert!((gradient.norm() - norm).abs() <= 1e-13 * norm);
        }
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
fn other_rows_of_a_viewed_matrix_may_be_written_concurrently() {
    let network = network();
    let (x, y) = data(1300);
    let objective = Objective::new(SquaredError);
    let expected = network
        .backprop(&Examples::new(&x, &y).unwrap(), &objective)
        .unwrap();
    // The inputs are the upper rows of a matrix whose lower rows belong to another thread.
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

/// A network with examples and directions for every kind of derivative.
struct Asked {
    network: Network<f64>,
    cost: AnyCost,
    x: DMatrix<f64>,
    y: DMatrix<f64>,
    v: Vec<f64>,
}

impl Asked {
    fn new(
        sizes: [usize; 3],
        hidden: AnyActivation,
        (output, cost): (AnyActivation, AnyCost),
        m: usize,
    ) -> Self {
        let [n, units, k] = sizes;
        let builder = Network::builder(n)
            .dense(units, hidden)
            .dense(units + 1, hidden)
            .dense(k, output);
        let network = builder
            .initialize(Initialization::GlorotUniform, &mut rng(3))
            .unwrap();
        let p = network.parameters();
        Self {
            network,
            cost,
            x: DMatrix::from_fn(n, m, |i, j| (i as f64 + 0.37 * j as f64).sin()),
            y: DMatrix::from_fn(k, m, |i, j| f64::from(i == j % k)),
            v: (0..3 * p).map(|i| (0.7 * i as f64).cos()).collect(),
        }
    }

    /// The bits of one kind of result.
    fn answer(&self, kind: usize, w: &mut Workspace<f64>) -> Vec<u64> {
        let (network, x, cost) = (&self.network, &self.x, &self.cost);
        let (n, k) = (network.inputs(), network.outputs());
        let (p, m) = (network.parameters(), x.ncols());
        let examples = Examples::new(x, &self.y).unwrap();
        let objective = Objective::new(self.cost).l2(0.3);
        let v = &self.v[..p];
        let nan = |len: usize| vec![f64::NAN; len];
        let mut all = nan(p);
        match kind {
            0 => {
                let outputs = network.forward_into(x, w).unwrap();
                all = outputs.iter().copied().collect();
            }
            1 => {
                let parts = network.gradient_into(&examples, &objective, w, &mut all);
                all.push(parts.unwrap().total());
            }
            2 => {
                all = nan(k * m);
                let direction = Tangent::of_parameters(v).and_inputs(x);
                network.jvp_into(x, direction, w, &mut all).unwrap();
            }
            3 => {
                let mut of_x = nan(n * m);
                let wanted = VjpTargets::of_parameters(&mut all[..]).and_inputs(&mut of_x[..]);
                network.vjp_into(x, &self.y, w, wanted).unwrap();
                all.extend(of_x);
            }
            4 => {
                let mut of_x = nan(n * m);
                let wanted = VjpTargets::of_parameters(&mut all[..]).and_inputs(&mut of_x[..]);
                network
                    .gradients_into(&examples, &objective, w, wanted)
                    .unwrap();
                all.extend(of_x);
            }
            5 => {
                all = nan(k * n * m);
                network.output_jacobian_into(x, w, &mut all).unwrap();
            }
            6 => network
                .hessian_product_into(&examples, &objective, v, w, &mut all)
                .unwrap(),
            7 => {
                all = nan(3 * p);
                network
                    .hessian_product_into(&examples, &objective, &self.v, w, &mut all)
                    .unwrap();
            }
            8..=10 => {
                let at = [
                    GaussNewton::Logits,
                    GaussNewton::Outputs,
                    GaussNewton::Fisher,
                ];
                let along = (at[kind - 8], v);
                network
                    .gauss_newton_product_into(&examples, &objective, along, w, &mut all)
                    .unwrap();
            }
            11 => network.gram_product_into(x, v, w, &mut all).unwrap(),
            12 => {
                all = nan(p * m);
                network
                    .example_gradients(&examples, cost)
                    .matrix_into(w, &mut all)
                    .unwrap();
            }
            13 => {
                all = nan(m);
                network
                    .example_gradients(&examples, cost)
                    .norms_into(w, &mut all)
                    .unwrap();
            }
            14 => {
                let count = network
                    .example_gradients(&examples, cost)
                    .clipped_sum(0.5, w, &mut all);
                all.push(count.unwrap() as f64);
            }
            _ => {
                all.clear();
                network
                    .example_gradients(&examples, cost)
                    .for_each(w, |k, gradient| {
                        all.push(k as f64);
                        all.extend_from_slice(gradient);
                    })
                    .unwrap();
            }
        }
        // Every pass leaves its outputs and costs in the workspace. A visit leaves the outputs and
        // costs of its last examples.
        if kind < 15 {
            all.extend(w.output().unwrap().iter());
        }
        if matches!(kind, 1 | 4 | 12..=14) {
            all.extend(w.costs());
        }
        assert!(all.iter().all(|a| a.is_finite()), "kind {kind}");
        all.iter().map(|a| a.to_bits()).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    /// Calls of every kind, size and order in one workspace give the bits of a new workspace,
    /// whatever its buffers hold.
    #[test]
    fn no_call_reads_what_another_left(
        calls in proptest::collection::vec((0..5_usize, 0..16_usize, any::<bool>()), 2..24),
    ) {
        let asked = [
            Asked::new([4, 5, 3], Tanh, (Softmax, CategoricalCrossEntropy), 7),
            Asked::new([2, 9, 5], Gelu, (Sigmoid, BinaryCrossEntropy), 40),
            Asked::new([3, 4, 2], Relu, (Identity, SquaredError), 530),
            Asked::new([6, 3, 4], Sigmoid, (Exponential, Poisson), 1),
            Asked::new([2, 6, 4], Tanh, (Identity, SquaredError), 1100),
        ];
        let mut reused = Workspace::new();
        for (network, kind, poison) in calls {
            let asked = &asked[network];
            let fresh = asked.answer(kind, &mut Workspace::new());
            if poison {
                reused.fill(f64::NAN);
            }
            prop_assert!(asked.answer(kind, &mut reused) == fresh, "kind {kind}");
            reused.fill(f64::NAN);
            prop_assert!(asked.answer(kind, &mut reused) == fresh, "kind {kind}, poisoned");
        }
    }
}
