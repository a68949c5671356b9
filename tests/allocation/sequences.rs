//! One workspace is used for batches of many sizes and calls of every kind. After a call with a
//! batch of some size, no call with a batch of at most that size allocates.

use super::allocations_so_far;
use backprop::activation::{Identity, Softmax, Tanh};
use backprop::nalgebra::{DMatrix, DMatrixView, RealField, convert};
use backprop::{
    Accumulator, AnyActivation, AnyCost, CategoricalCrossEntropy, Examples, GaussNewton,
    Initialization, Network, Objective, SquaredError, Tangent, VjpTargets, Workspace, rng,
};

/// Inputs, hidden units, outputs and the largest batch. Batches of 512 and more are computed in
/// parts, except by the third network, which has too many parameters. The parts of the first have
/// up to 1024 examples, those of the second fewer on several threads. The last network is
/// shallower.
const NETWORKS: &[(&[usize], AnyActivation, AnyCost, usize)] = &[
    (&[4, 16, 3], Softmax, CategoricalCrossEntropy, 2500),
    (&[20, 30, 20, 5], Identity, SquaredError, 2500),
    (&[500, 530, 2], Identity, SquaredError, 24),
    (&[7, 2], Identity, SquaredError, 700),
];

/// Sizes on both sides of every threshold, going up and down.
const SIZES: &[usize] = &[
    511, 1, 512, 513, 2048, 256, 1025, 129, 1000, 768, 770, 1024, 1023, 300, 2049, 510, 64, 1537,
    2500, 24, 17,
];

/// The caller's buffers for all calls, as large as the largest batch needs.
struct Data<T: RealField + Copy> {
    network: Network<T>,
    objective: Objective<AnyCost>,
    x: DMatrix<T>,
    y: DMatrix<T>,
    v: Vec<T>,
    theta: Vec<T>,
    of_x: Vec<T>,
    outputs: Vec<T>,
    jacobians: Vec<T>,
    norms: Vec<T>,
    gradients: Vec<T>,
    matrix: Vec<T>,
    sums: Accumulator<T>,
}

const KINDS: usize = 17;

impl<T: RealField + Copy> Data<T> {
    fn new(sizes: &[usize], output: AnyActivation, cost: AnyCost, m: usize) -> Self {
        let real = |x: f64| convert::<f64, T>(x);
        let (n, k) = (sizes[0], *sizes.last().unwrap());
        let mut builder = Network::<T>::builder(n);
        for &units in &sizes[1..sizes.len() - 1] {
            builder = builder.dense(units, Tanh);
        }
        let network = builder.dense(k, output);
        let network = network
            .initialize(Initialization::GlorotUniform, &mut rng(1))
            .unwrap();
        let p = network.parameters();
        let small = p < 1000;
        let zeros = |len| vec![real(0.0); len];
        Self {
            sums: Accumulator::new(&network).unwrap(),
            objective: Objective::new(cost).l2(0.1),
            x: DMatrix::from_fn(n, m, |i, j| real((i as f64 + 2.0 * j as f64).sin())),
            y: DMatrix::from_fn(k, m, |i, j| real(f64::from(i == j % k))),
            v: (0..p).map(|i| real((i as f64).cos())).collect(),
            theta: zeros(p),
            of_x: zeros(n * m),
            outputs: zeros(k * m),
            jacobians: zeros(k * n * m),
            norms: zeros(m),
            gradients: zeros(if small { p * m } else { 0 }),
            matrix: zeros(if small { p * p } else { 0 }),
            network,
        }
    }

    /// Makes one kind of call with the first `m` examples.
    fn call(&mut self, kind: usize, m: usize, w: &mut Workspace<T>) {
        let (network, objective) = (&self.network, &self.objective);
        let (n, k, p) = (self.x.nrows(), self.y.nrows(), network.parameters());
        let (x, y): (DMatrixView<'_, T>, _) = (self.x.columns(0, m), self.y.columns(0, m));
        let examples = Examples::new(x, y).unwrap();
        let (theta, of_x) = (&mut self.theta[..], &mut self.of_x[..n * m]);
        match kind {
            0 => drop(network.forward_into(x, w).unwrap()),
            1 => drop(network.cost_into(&examples, objective, w).unwrap()),
            2 => drop(
                network
                    .gradient_into(&examples, objective, w, theta)
                    .unwrap(),
            ),
            3 => {
                let wanted = VjpTargets::of_inputs(of_x);
                network
                    .gradients_into(&examples, objective, w, wanted)
                    .unwrap();
            }
            4 => {
                let wanted = VjpTargets::of_parameters(theta).and_inputs(of_x);
                network
                    .gradients_into(&examples, objective, w, wanted)
                    .unwrap();
            }
            5 => self
                .sums
                .add(network, &examples, &objective.cost, w)
                .unwrap(),
            6 => {
                let along = Tangent::of_parameters(&self.v).and_inputs(x);
                network
                    .jvp_into(x, along, w, &mut self.outputs[..k * m])
                    .unwrap();
            }
            7 => network
                .vjp_into(x, y, w, VjpTargets::of_parameters(theta).and_inputs(of_x))
                .unwrap(),
            8 => {
                let to = &mut self.jacobians[..k * n * m];
                network.output_jacobian_into(x, w, to).unwrap();
            }
            9 => network
                .hessian_product_into(&examples, objective, &self.v, w, theta)
                .unwrap(),
            10 => network
                .gauss_newton_product_into(
                    &examples,
                    objective,
                    (GaussNewton::Logits, &self.v),
                    w,
                    theta,
                )
                .unwrap(),
            11 => network.gram_product_into(x, &self.v, w, theta).unwrap(),
            12 if !self.gradients.is_empty() => network
                .example_gradients(&examples, &objective.cost)
                .matrix_into(w, &mut self.gradients[..p * m])
                .unwrap(),
            13 => network
                .example_gradients(&examples, &objective.cost)
                .norms_into(w, &mut self.norms[..m])
                .unwrap(),
            14 => {
                let norms = &mut self.norms;
                let visit = |k: usize, gradient: &[T]| norms[k] = gradient[0];
                network
                    .example_gradients(&examples, &objective.cost)
                    .for_each(w, visit)
                    .unwrap();
            }
            15 => drop(
                network
                    .example_gradients(&examples, &objective.cost)
                    .clipped_sum(0.5, w, theta)
                    .unwrap(),
            ),
            16 if !self.matrix.is_empty() => network
                .gauss_newton_matrix_into(
                    &examples,
                    objective,
                    GaussNewton::Logits,
                    w,
                    &mut self.matrix,
                )
                .unwrap(),
            _ => {}
        }
    }
}

/// Asserts that no call allocates, at any size, after a first call of each kind with the largest
/// batch.
fn any_kind<T: RealField + Copy>(threads: usize) {
    for &(sizes, output, cost, most) in NETWORKS {
        let mut data = Data::<T>::new(sizes, output, cost, most);
        for (first, &largest) in (0..KINDS).zip(SIZES) {
            // The kinds with the most and the fewest buffers begin with all examples.
            let largest = match first {
                0 | 2 | 9 => most,
                _ => largest.min(most),
            };
            let mut workspace = Workspace::new();
            data.call(first, largest, &mut workspace);
            if workspace.output().is_none() {
                continue; // no call
            }
            for &m in SIZES.iter().filter(|&&m| m <= largest) {
                for kind in 0..KINDS {
                    let before = allocations_so_far();
                    data.call(kind, m, &mut workspace);
                    let found = allocations_so_far() - before;
                    let after =
                        format!("{sizes:?}, {threads} threads: after kind {first} of {largest}");
                    assert_eq!(found, 0, "{after}: kind {kind} of {m}");
                }
            }
        }
    }
}

/// Asserts that networks of different depths can share a workspace.
fn any_network<T: RealField + Copy>(threads: usize) {
    let all = NETWORKS.iter();
    let mut data: Vec<Data<T>> = all
        .map(|&(sizes, output, cost, most)| Data::new(sizes, output, cost, most))
        .collect();
    let mut workspace = Workspace::new();
    let mut before = 0;
    for round in 0..3 {
        if round == 1 {
            before = allocations_so_far();
        }
        for (data, &(.., most)) in data.iter_mut().zip(NETWORKS) {
            data.call(2, most >> round, &mut workspace);
            data.call(9, most >> round, &mut workspace);
        }
    }
    let found = allocations_so_far() - before;
    assert_eq!(found, 0, "networks in turn, {threads} threads");
}

/// Runs on `threads` threads of the current pool.
pub(super) fn after_a_batch_as_large_nothing_is_allocated(threads: usize) {
    match threads {
        1 => any_kind::<f32>(threads),
        _ => any_kind::<f64>(threads),
    }
    any_network::<f64>(threads);
}
