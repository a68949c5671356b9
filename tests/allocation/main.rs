//! No step allocates once its workspace has grown, neither in this crate nor in its kernels, on any
//! number of threads. An optimiser allocates only in its first step.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    reason = "a global allocator that counts; test helpers may panic to fail tests"
)]

mod modes;
mod partial;
mod sequences;
mod training;

use backprop::activation::{Identity, LeakyRelu, Relu, Sigmoid, Softmax, Tanh};
use backprop::nalgebra::{DMatrix, RealField};
use backprop::{
    Accumulator, AnyActivation, AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Examples,
    GaussNewton, Initialization, Network, Objective, SquaredError, Tangent, VjpTargets, Workspace,
    rng,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::IsTerminal;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

struct Counting;

/// The allocations of each test.
static COUNTS: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

thread_local! {
    /// The test to which this thread's allocations are counted, if any. Those of a thread that
    /// starts or ends do not count.
    static TEST: Cell<Option<usize>> = const { Cell::new(None) };
}

fn count() {
    if let Some(test) = TEST.get() {
        COUNTS[test].fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns the number of allocations so far in this thread's test.
fn allocations_so_far() -> usize {
    let test = TEST.get().unwrap();
    COUNTS[test].load(Ordering::Relaxed)
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Case = (
    &'static [usize],
    AnyActivation,
    AnyActivation,
    AnyCost,
    &'static [usize],
);

const CASES: &[Case] = &[
    (
        &[2, 4, 1],
        Sigmoid,
        Sigmoid,
        BinaryCrossEntropy,
        &[1, 4, 7, 600],
    ),
    (
        &[4, 16, 3],
        Tanh,
        Softmax,
        CategoricalCrossEntropy,
        &[1, 32, 513],
    ),
    (
        &[400, 25, 10],
        Sigmoid,
        Sigmoid,
        BinaryCrossEntropy,
        &[1, 64, 2100],
    ),
    (
        &[784, 128, 64, 10],
        Relu,
        Softmax,
        CategoricalCrossEntropy,
        &[1, 64, 600],
    ),
    (
        &[256, 1024, 300, 10],
        LeakyRelu { slope: 0.01 },
        Identity,
        SquaredError,
        &[1, 70, 600],
    ),
    (
        &[16, 16, 16, 16, 16, 16, 16, 1],
        Tanh,
        Tanh,
        SquaredError,
        &[3, 64],
    ),
];

/// The number of counted rounds: fewer for large networks and batches.
fn rounds(parameters: usize, examples: usize) -> usize {
    match parameters * examples {
        0..1_000_000 => 10,
        _ => 2,
    }
}

/// Counts allocations in several rounds of every call, after 2 rounds in which the buffers grow.
fn allocations<T: RealField + Copy>(case: &Case, m: usize) -> usize {
    let (sizes, hidden, output, cost, _) = *case;
    let mut builder = Network::<T>::builder(sizes[0]);
    for &units in &sizes[1..sizes.len() - 1] {
        builder = builder.dense(units, hidden);
    }
    let (k, real) = (*sizes.last().unwrap(), |x: f64| {
        backprop::nalgebra::convert::<f64, T>(x)
    });
    let network = builder.dense(k, output);
    let network = network
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    let x = DMatrix::from_fn(sizes[0], m, |i, j| real((i as f64 + 2.0 * j as f64).sin()));
    let y = DMatrix::from_fn(k, m, |i, j| real(f64::from(i == j % k)));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(cost).l2(0.1);
    let mut gradient = vec![real(0.0); network.parameters()];
    let mut input_gradient = vec![real(0.0); sizes[0] * m];
    let mut sums = Accumulator::new(&network).unwrap();
    // A workspace for each kind of pass, as in a loop.
    let mut workspaces: [Workspace<T>; 5] = std::array::from_fn(|_| Workspace::new());
    let mut round = || {
        let [a, b, c, d, e] = &mut workspaces;
        network
            .gradient_into(&examples, &objective, a, &mut gradient)
            .unwrap();
        network.cost_into(&examples, &objective, b).unwrap();
        network.forward_into(&x, c).unwrap();
        network
            .gradients_into(
                &examples,
                &objective,
                d,
                VjpTargets::of_inputs(&mut input_gradient),
            )
            .unwrap();
        sums.reset();
        sums.add(&network, &examples, &objective.cost, e).unwrap();
        sums.finish_into(&network, &objective.penalty, &mut gradient)
            .unwrap();
        // One workspace for all of them.
        network.forward_into(&x, a).unwrap();
        network.cost_into(&examples, &objective, a).unwrap();
    };
    (0..2).for_each(|_| round());
    let before = allocations_so_far();
    (0..rounds(network.parameters(), m)).for_each(|_| round());
    allocations_so_far() - before
}

/// Counts allocations in several rounds of every derivative, after 2 rounds in which the
/// buffers grow, with a workspace for each and with one for all of them.
fn allocations_of_derivatives<T: RealField + Copy>(case: &Case, m: usize) -> usize {
    let (sizes, hidden, output, cost, _) = *case;
    let mut builder = Network::<T>::builder(sizes[0]);
    for &units in &sizes[1..sizes.len() - 1] {
        builder = builder.dense(units, hidden);
    }
    let (n, k) = (sizes[0], *sizes.last().unwrap());
    let real = |x: f64| backprop::nalgebra::convert::<f64, T>(x);
    let network = builder.dense(k, output);
    let network = network
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    let p = network.parameters();
    let x = DMatrix::from_fn(n, m, |i, j| real((i as f64 + 2.0 * j as f64).sin()));
    let y = DMatrix::from_fn(k, m, |i, j| real(f64::from(i == j % k)));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(cost).l2(0.1);
    let v: Vec<T> = (0..2 * p).map(|i| real((i as f64).cos())).collect();
    let (mut product, mut theta, mut of_x) = (v.clone(), v[..p].to_vec(), vec![real(0.0); n * m]);
    let (mut tangent, mut jacobians) = (vec![real(0.0); k * m], vec![real(0.0); k * n * m]);
    let (mut norms, mut gradients) = (vec![real(0.0); m], vec![real(0.0); p * m]);
    let mut matrix = vec![real(0.0); if p < 400 { p * p } else { 0 }];
    let mut round = |w: &mut [Workspace<T>; 10]| {
        let [a, b, c, d, e, f, g, h, i, j] = w;
        let direction = Tangent::of_parameters(&v[..p]).and_inputs(&x);
        network.jvp_into(&x, direction, a, &mut tangent).unwrap();
        let wanted = VjpTargets::of_parameters(&mut theta[..]).and_inputs(&mut of_x[..]);
        network.vjp_into(&x, &y, b, wanted).unwrap();
        let wanted = VjpTargets::of_parameters(&mut theta[..]).and_inputs(&mut of_x[..]);
        network
            .gradients_into(&examples, &objective, c, wanted)
            .unwrap();
        network.output_jacobian_into(&x, d, &mut jacobians).unwrap();
        network
            .hessian_product_into(&examples, &objective, &v, e, &mut product)
            .unwrap();
        let along = (GaussNewton::Logits, &v[..]);
        network
            .gauss_newton_product_into(&examples, &objective, along, f, &mut product)
            .unwrap();
        network.gram_product_into(&x, &v, g, &mut product).unwrap();
        network
            .example_gradients(&examples, &cost)
            .matrix_into(h, &mut gradients)
            .unwrap();
        network
            .example_gradients(&examples, &cost)
            .norms_into(i, &mut norms)
            .unwrap();
        let visit = |k: usize, gradient: &[T]| norms[k] = gradient[0];
        network
            .example_gradients(&examples, &cost)
            .for_each(i, visit)
            .unwrap();
        network
            .example_gradients(&examples, &cost)
            .clipped_sum(0.5, j, &mut theta)
            .unwrap();
        if !matrix.is_empty() {
            let at = GaussNewton::Logits;
            network
                .gauss_newton_matrix_into(&examples, &objective, at, i, &mut matrix)
                .unwrap();
        }
        // A workspace that two kinds of calls share.
        network.forward_into(&x, e).unwrap();
    };
    let mut workspaces = std::array::from_fn(|_| Workspace::new());
    (0..2).for_each(|_| round(&mut workspaces));
    let before = allocations_so_far();
    (0..rounds(p, m)).for_each(|_| round(&mut workspaces));
    allocations_so_far() - before
}

/// A pool's thread allocates when it first takes work from another thread. Here each thread waits
/// until another has taken some work.
fn let_every_thread_steal(pool: &rayon::ThreadPool) {
    for thread in 0..pool.current_num_threads() {
        pool.broadcast(|context| {
            if context.index() != thread || context.num_threads() == 1 {
                return; // free to steal
            }
            let taken = AtomicBool::new(false);
            let wait = || {
                while !taken.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
            };
            rayon::join(wait, || taken.store(true, Ordering::Release));
        });
    }
}

/// Runs a test on this thread. A terminal would show the progress bar, so there the test runs in a
/// process without one.
fn run(test: usize, name: &str, body: impl FnOnce()) {
    if std::io::stderr().is_terminal() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let ended = again.args(["--exact", name]).stderr(Stdio::null()).status();
        assert!(ended.unwrap().success());
        return;
    }
    TEST.set(Some(test));
    body();
}

#[test]
fn steps_and_small_networks_allocate_nothing_outside_a_pool() {
    let name = "steps_and_small_networks_allocate_nothing_outside_a_pool";
    run(0, name, || {
        assert_eq!(training::allocations_of_steps::<f64>(), 0);
        assert_eq!(training::allocations_of_steps::<f32>(), 0);
        assert_eq!(training::allocations_beside_training(), 0);
        // The small networks never request a thread.
        assert_eq!(allocations::<f64>(&CASES[0], 4), 0);
    });
}

#[test]
fn one_thread_allocates_nothing_after_the_first_calls() {
    let name = "one_thread_allocates_nothing_after_the_first_calls";
    run(1, name, || nothing_is_allocated_by(1));
}

#[test]
fn two_threads_allocate_nothing_after_the_first_calls() {
    let name = "two_threads_allocate_nothing_after_the_first_calls";
    run(2, name, || nothing_is_allocated_by(2));
}

/// Asserts that a pool with this number of threads allocates nothing after the first calls.
fn nothing_is_allocated_by(threads: usize) {
    let test = TEST.get();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    let pool = pool.build().unwrap();
    let_every_thread_steal(&pool);
    pool.broadcast(|_| TEST.set(test));
    pool.install(|| {
        for case in CASES {
            for &m in case.4 {
                let what = format!("{:?}, m = {m}, {threads} threads", case.0);
                assert_eq!(allocations::<f64>(case, m), 0, "f64 {what}");
                assert_eq!(allocations::<f32>(case, m), 0, "f32 {what}");
                let what = format!("{what}, with missing targets and a frozen layer");
                assert_eq!(partial::allocations::<f64>(case, m), 0, "{what}");
                // Per-example gradients of the large networks take too long.
                if case.0[0] < 100 || m < 50 {
                    let found = allocations_of_derivatives::<f64>(case, m);
                    assert_eq!(found, 0, "derivatives, f64 {what}");
                    let found = allocations_of_derivatives::<f32>(case, m);
                    assert_eq!(found, 0, "derivatives, f32 {what}");
                }
            }
        }
    });
    pool.install(|| {
        for (m, fixed) in [(1, false), (7, false), (600, false), (600, true)] {
            for gives in [false, true] {
                let what = format!("training, m = {m}, fixed: {fixed}, {threads} threads");
                assert_eq!(modes::allocations::<f64>(m, fixed, gives), 0, "f64 {what}");
                assert_eq!(modes::allocations::<f32>(m, fixed, gives), 0, "f32 {what}");
            }
        }
    });
    pool.install(|| sequences::after_a_batch_as_large_nothing_is_allocated(threads));
    pool.install(|| {
        for optimizer in training::optimizers() {
            let what = format!("{optimizer:?}, {threads} threads");
            assert_eq!(training::allocations_of_a_run(optimizer), 0, "{what}");
        }
    });
    // The count sees allocations, on every thread.
    let counted = pool.broadcast(|_| {
        let before = allocations_so_far();
        drop(std::hint::black_box(vec![0_u8; 100]));
        allocations_so_far() > before
    });
    assert_eq!(counted, vec![true; threads]);
}
