//! An allocation that fails during a call gives a typed error and changes nothing. Every large
//! allocation of the calls below fails once.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a global allocator that fails; test helpers may panic to fail tests"
)]

mod interchange;
mod modes;

use backprop::activation::{Softmax, Tanh};
use backprop::data::{
    KFold, LabelEncoder, MinMaxScaler, Scaler, Standardizer, balanced_weights, class_weights,
    labels, one_hot, select, stratified_split, train_test_split,
};
use backprop::metrics::{Accuracy, ConfusionMatrix};
use backprop::nalgebra::DMatrix;
use backprop::saving::{self, Checkpoints, LoadError, Refusal, SaveError};
use backprop::training::{Adam, GradientDescent, IRpropMinus, Trainer};
use backprop::{
    Accumulator, AnyCost, CategoricalCrossEntropy, Error, Examples, GaussNewton, Network,
    Objective, Tangent, Workspace,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The size from which an allocation is large. Smaller ones hold names, messages and one entry per
/// layer.
const LARGE: usize = 4096;

/// The number of large allocations that succeed before one fails. None fails at this value.
static LEFT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// True if all later large allocations fail too.
static LASTS: AtomicBool = AtomicBool::new(false);

struct Failing;

/// Returns whether this allocation fails.
fn fails(size: usize) -> bool {
    if size < LARGE {
        return false;
    }
    let lasts = LASTS.load(Ordering::Relaxed);
    let step = |left: usize| match left {
        usize::MAX => None,
        0 if lasts => Some(0),
        _ => Some(left.wrapping_sub(1)),
    };
    LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step) == Ok(0)
}

// SAFETY: every call goes to the system's allocator unchanged, or reports that there is no memory.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if fails(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller upholds the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

/// Fails each large allocation of `f` in turn and checks the error. Returns the number of
/// allocations.
#[track_caller]
fn each<R, E: Debug>(
    what: &str,
    f: impl FnMut() -> Result<R, E>,
    is_typed: impl FnMut(&E) -> bool,
) -> usize {
    let [passed, failed] = count(what, f, is_typed);
    assert_eq!(passed, 0, "{what}: failed allocations went unreported");
    failed
}

/// The calls that succeeded despite a failed allocation, and those that returned an error.
#[track_caller]
fn count<R, E: Debug>(
    what: &str,
    mut f: impl FnMut() -> Result<R, E>,
    mut is_typed: impl FnMut(&E) -> bool,
) -> [usize; 2] {
    let mut counts = [0; 2];
    for n in 0.. {
        LEFT.store(n, Ordering::Relaxed);
        let done = f();
        let left = LEFT.swap(usize::MAX, Ordering::Relaxed);
        match (
            left == usize::MAX || left == 0 && LASTS.load(Ordering::Relaxed),
            done,
        ) {
            (true, Err(error)) => {
                assert!(is_typed(&error), "{what}, {n}: {error:?}");
                counts[1] += 1;
            }
            (true, Ok(_)) => counts[0] += 1,
            (false, Ok(_)) => {
                assert!(
                    counts[1] > 0,
                    "{what}: nothing failed, so the test shows nothing"
                );
                return counts;
            }
            (false, Err(error)) => panic!("{what}: {error:?}"),
        }
    }
    unreachable!()
}

/// Runs code of the test itself, whose allocations do not fail.
fn spared<R>(f: impl FnOnce() -> R) -> R {
    let left = LEFT.swap(usize::MAX, Ordering::Relaxed);
    let result = f();
    LEFT.store(left, Ordering::Relaxed);
    result
}

/// Like the function above, for calls that return the crate's error.
#[track_caller]
fn too_large<R>(what: &str, f: impl FnMut() -> Result<R, Error>) -> usize {
    each(what, f, |error| matches!(error, Error::TooLarge { .. }))
}

/// Like the function above, for a call with a workspace that is kept. The call first tries to
/// reserve room for later calls, but it can do without the room, so all later allocations fail too.
#[track_caller]
fn too_large_or_less_room<R>(what: &str, f: impl FnMut() -> Result<R, Error>) {
    LASTS.store(true, Ordering::Relaxed);
    count(what, f, |error| matches!(error, Error::TooLarge { .. }));
    LASTS.store(false, Ordering::Relaxed);
}

/// Inputs, units of the two layers, and examples: batches in one part, in several, and shared by
/// threads.
const SIZES: [[usize; 4]; 3] = [[30, 40, 20, 300], [30, 40, 20, 1200], [64, 128, 20, 4000]];

fn data([n, _, k, m]: [usize; 4]) -> (DMatrix<f64>, DMatrix<f64>) {
    let x = DMatrix::from_fn(n, m, |i, j| (0.9 * i as f64 + 0.37 * j as f64).sin());
    let y = DMatrix::from_fn(k, m, |i, j| f64::from(i == j % k));
    (x, y)
}

fn theta(parameters: usize) -> Vec<f64> {
    (0..parameters).map(|i| 0.1 * (i as f64).sin()).collect()
}

fn network([n, s, k, _]: [usize; 4]) -> Network<f64> {
    let builder = Network::builder(n).dense(s, Tanh).dense(k, Softmax);
    let zeros = builder.clone().zeros().unwrap();
    builder.with_theta(&theta(zeros.parameters())).unwrap()
}

/// A single test, because its calls share the allocator. The first call starts the threads.
#[test]
fn every_large_allocation_fails_once() {
    for sizes in SIZES {
        let (network, (x, y)) = (network(sizes), data(sizes));
        network.forward(&x).unwrap();
        passes(&network, (&x, &y));
        sums(&network, (&x, &y));
        derivatives(&network, (&x, &y));
    }
    networks();
    modes::ids_state_and_chance();
    data_is_prepared();
    trainings();
    files();
    interchange::tensors_and_arrays();
}

fn passes(network: &Network<f64>, (x, y): (&DMatrix<f64>, &DMatrix<f64>)) {
    let examples = Examples::new(x, y).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.1);
    let before = network.clone();
    let (expected, outputs) = (
        network.backprop(&examples, &objective).unwrap(),
        network.forward(x).unwrap(),
    );
    too_large("forward", || network.forward(x));
    too_large("cost", || network.cost(&examples, &objective));
    too_large("backprop", || network.backprop(&examples, &objective));
    too_large("gradient_vector", || {
        network.gradient_vector(&examples, &objective)
    });
    too_large("input_gradient", || {
        network.input_gradient(&examples, &objective)
    });
    too_large("trace", || network.trace(&examples, &objective));
    // A workspace can be read and used again after a failure.
    let mut gradient = vec![0.0; network.parameters()];
    let mut used = Workspace::new();
    too_large_or_less_room("gradient_into", || {
        let done = network.gradient_into(&examples, &objective, &mut used, &mut gradient);
        if let Ok(parts) = &done {
            assert_eq!(*parts, expected.cost_parts());
            assert_eq!(gradient, expected.gradient().vector().as_slice());
        }
        _ = (
            used.output(),
            used.activation(0),
            used.logits(0),
            used.costs(),
        );
        used.fill(f64::NAN);
        done
    });
    let done = network.gradient_into(&examples, &objective, &mut used, &mut gradient);
    assert_eq!(done.unwrap(), expected.cost_parts());
    assert_eq!(gradient, expected.gradient().vector().as_slice());
    assert_eq!(network, &before);
    assert_eq!(network.forward(x).unwrap(), outputs);
}

fn sums(network: &Network<f64>, (x, y): (&DMatrix<f64>, &DMatrix<f64>)) {
    let examples = Examples::new(x, y).unwrap();
    let cost = CategoricalCrossEntropy;
    too_large("Accumulator::new", || Accumulator::new(network));
    let mut sums = Accumulator::new(network).unwrap();
    sums.add(network, &examples, &cost, &mut Workspace::new())
        .unwrap();
    let once = sums.clone();
    let none = Accumulator::new(network).unwrap();
    too_large_or_less_room("Accumulator::add", || {
        let mut sums = spared(|| none.clone());
        let done = sums.add(network, &examples, &cost, &mut Workspace::new());
        assert_eq!(sums, *if done.is_ok() { &once } else { &none });
        done
    });
    let penalty = Objective::new(cost).l2(0.1).penalty;
    too_large("finish", || once.finish(network, &penalty));
    too_large("to_bytes", || once.to_bytes());
    let bytes = once.to_bytes().unwrap();
    too_large("from_bytes", || Accumulator::from_bytes(&bytes, network));
}

fn derivatives(network: &Network<f64>, (x, y): (&DMatrix<f64>, &DMatrix<f64>)) {
    let examples = Examples::new(x, y).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.1);
    let v = theta(network.parameters());
    too_large("hessian_product", || {
        network.hessian_product(&examples, &objective, &v)
    });
    too_large("gauss_newton_product", || {
        network.gauss_newton_product(&examples, &objective, GaussNewton::Logits, &v)
    });
    too_large("jvp", || network.jvp(x, Tangent::of_parameters(&v)));
    too_large("example_gradient_norms", || {
        network
            .example_gradients(&examples, &objective.cost)
            .norms()
    });
    too_large("gradients", || network.gradients(&examples, &objective));
}

fn networks() {
    let sizes = SIZES[0];
    let [n, s, k, _] = sizes;
    let network = network(sizes);
    let theta = network.theta().as_slice().to_vec();
    let builder = || Network::<f64>::builder(n).dense(s, Tanh).dense(k, Softmax);
    too_large("zeros", || builder().zeros());
    too_large("with_theta", || builder().with_theta(&theta));
    too_large("map", || network.map(|x| x as f32));
    too_large("roll", || network.layout().roll(&theta));
    too_large("dense", || network.dense_weights(0));
}

fn data_is_prepared() {
    let [n, _, k, m] = SIZES[1];
    let (x, y) = data(SIZES[1]);
    let of_examples: Vec<usize> = (0..m).map(|j| j % k).collect();
    let wide = DMatrix::from_fn(2000, 3, |i, j| (i + 7 * j) as f64 / 5.0);
    let chosen: Vec<usize> = (0..m).rev().collect();
    let _ = n;
    too_large("select", || select(&x, &chosen));
    too_large("one_hot", || one_hot::<f64>(&of_examples, k));
    too_large("labels", || labels(&y));
    let weights = balanced_weights(&of_examples, k).unwrap();
    too_large("balanced_weights", || balanced_weights(&chosen, m));
    too_large("class_weights", || class_weights(&of_examples, &weights));
    too_large("LabelEncoder::fit", || LabelEncoder::fit(&chosen));
    let encoder = LabelEncoder::fit(&chosen).unwrap();
    too_large("encode", || encoder.encode(&chosen));
    too_large("decode", || encoder.decode(&chosen));
    too_large("Standardizer::fit", || Standardizer::fit(&wide));
    let standard = Standardizer::fit(&wide).unwrap();
    too_large("apply", || standard.apply(&wide));
    too_large("invert", || standard.invert(&wide));
    too_large("MinMaxScaler::fit", || MinMaxScaler::fit(&wide));
    too_large("train_test_split", || train_test_split(m, 0.25, 1));
    too_large("stratified_split", || {
        stratified_split(&of_examples, 0.25, 1)
    });
    too_large("KFold", || KFold::new(3).shuffled(1).split(m));
    too_large("stratified KFold", || {
        KFold::new(3).stratified(&of_examples)
    });
    let classes = DMatrix::from_fn(100, 200, |i, j| f64::from(i == j % 100));
    too_large("ConfusionMatrix", || {
        ConfusionMatrix::from_outputs(&classes, &classes)
    });
}

/// The network is unchanged: no run reaches the end of an epoch without the memory it needs.
fn trainings() {
    let sizes = SIZES[1];
    let (x, y) = data(sizes);
    let weights = vec![1.5; x.ncols()];
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    let objective = || Objective::new(AnyCost::CategoricalCrossEntropy).l2(0.1);
    type Make<'a> = Box<dyn Fn() -> Trainer<'a, f64> + 'a>;
    let trainings: [(&str, Make<'_>); 4] = [
        (
            "Adam",
            Box::new(|| Trainer::new(objective(), Adam::new(0.01)).batch_size(100)),
        ),
        (
            "momentum",
            Box::new(|| {
                let method = GradientDescent::new(0.01).momentum(0.9);
                Trainer::new(objective(), method)
                    .batch_size(600)
                    .validation_fraction(0.25)
            }),
        ),
        (
            "metrics",
            Box::new(|| {
                Trainer::new(objective(), Adam::new(0.01))
                    .metric(Accuracy)
                    .validation(examples)
            }),
        ),
        (
            "Rprop",
            Box::new(|| Trainer::new(objective(), IRpropMinus::new(0.01))),
        ),
    ];
    for (what, make) in trainings {
        let start = network(sizes);
        let mut expected = start.clone();
        make().epochs(3).fit(&mut expected, &examples).unwrap();
        // A failure leaves no trace: the next run equals that of a new trainer.
        let mut trainer = make().epochs(3);
        too_large_or_less_room(what, || {
            let mut network = spared(|| start.clone());
            let done = trainer.fit(&mut network, &examples);
            let is = if done.is_ok() { &expected } else { &start };
            assert!(network == *is, "{what}: {:?}", done.err());
            done
        });
    }
}

fn files() {
    let network = network(SIZES[0]);
    let folder = std::env::temp_dir().join(format!("memory-{}", std::process::id()));
    _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("network.backprop");
    saving::save(&path, "network", &0.5).unwrap();
    let before = std::fs::read(&path).unwrap();
    let is_typed = |error: &SaveError| {
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        matches!(error, SaveError::TooLarge { .. })
    };
    each(
        "to_bytes",
        || saving::to_bytes("network", &network),
        is_typed,
    );
    each(
        "save",
        || saving::save(&path, "network", &network),
        is_typed,
    );
    let no_memory = |error: &LoadError| match error {
        LoadError::Io { source, .. } => source.kind() == std::io::ErrorKind::OutOfMemory,
        LoadError::Refused {
            reason: Refusal::Content { message },
            ..
        } => message.contains("not enough memory"),
        _ => false,
    };
    let load = || saving::load::<Network<f64>>(&path, "network");
    each("load", load, no_memory);
    assert_eq!(load().unwrap(), network);

    let checkpoints = Checkpoints::new(folder.join("checkpoints"));
    checkpoints.write(1, &0.5).unwrap();
    each(
        "Checkpoints::write",
        || checkpoints.write(2, &network),
        |error| {
            assert_eq!(checkpoints.latest::<f64>().unwrap().unwrap().step, 1);
            matches!(error, SaveError::TooLarge { .. })
        },
    );
    std::fs::remove_dir_all(folder).unwrap();
}
