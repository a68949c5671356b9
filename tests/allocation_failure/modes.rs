//! Ids, state and random numbers.

use super::{LASTS, LEFT, spared, too_large, too_large_or_less_room};
use backprop::activation::Softmax;
use backprop::nalgebra::DMatrix;
use backprop::{
    CategoricalCrossEntropy, Error, Examples, Initialization, Network, Objective, Workspace, rng,
};
use std::sync::atomic::Ordering;

/// An embedding, a batch norm and a dropout, each with large vectors.
pub(super) fn ids_state_and_chance() {
    const UNITS: usize = 600;
    let orthogonal = Initialization::Orthogonal { gain: 1.0 };
    let table = || Network::<f64>::builder(1).embedding(20, UNITS);
    too_large("initialize", || table().initialize(orthogonal, &mut rng(1)));
    let builder = table().flatten().batch_norm().dropout(0.5);
    let before = builder
        .dense(3, Softmax)
        .initialize(orthogonal, &mut rng(1));
    let before = before.unwrap();
    let mut network = before.clone();
    too_large("initialize_layer", || {
        let done = network.initialize_layer(4, orthogonal, &mut rng(2));
        assert_eq!(network != before, done.is_ok());
        done
    });
    let norm = Network::<f64>::builder(UNITS).batch_norm().zeros().unwrap();
    too_large("map", || norm.map(|x| x as f32));

    let m = 30;
    let x = DMatrix::from_fn(1, m, |_, k| (7 * k % 20) as f64);
    let y = DMatrix::from_fn(3, m, |i, k| f64::from(i == k % 3));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy);
    let training = || {
        let mut workspace = Workspace::new();
        workspace.set_training(Some(1));
        workspace
    };

    // Numbers that do not fit in memory leave those given before.
    let ones = DMatrix::repeat(UNITS, m, 1.0);
    let mask = DMatrix::from_fn(UNITS, m, |i, k| f64::from((i + k) % 2 == 0));
    let outputs = |given: &DMatrix<f64>| {
        let mut workspace = training();
        workspace.set_random_numbers(3, given).unwrap();
        let outputs = before.forward_into(&x, &mut workspace).unwrap();
        outputs.clone_owned()
    };
    let (of_ones, of_mask) = (outputs(&ones), outputs(&mask));
    too_large("give", || {
        let mut workspace = spared(|| {
            let mut workspace = training();
            workspace.set_random_numbers(3, &ones).unwrap();
            workspace
        });
        let done = workspace.set_random_numbers(3, &mask);
        spared(|| {
            let expected = if done.is_ok() { &of_mask } else { &of_ones };
            assert_eq!(before.forward_into(&x, &mut workspace).unwrap(), *expected);
        });
        done
    });

    // A training pass that fails leaves no state.
    let mut gradient = vec![0.0; network.parameters()];
    let mut used = training();
    too_large_or_less_room("gradient_into in training", || {
        let done = before.gradient_into(&examples, &objective, &mut used, &mut gradient);
        spared(|| {
            let mut after = before.clone();
            let expected = if done.is_ok() {
                Ok(())
            } else {
                Err(Error::NoState)
            };
            assert_eq!(after.take_state(&used), expected);
        });
        done
    });
    before
        .gradient_into(&examples, &objective, &mut used, &mut gradient)
        .unwrap();

    // The state moves without an allocation.
    let state = vec![0.5; 2 * UNITS];
    LASTS.store(true, Ordering::Relaxed);
    LEFT.store(0, Ordering::Relaxed);
    let taken = network.take_state(&used);
    let moved = network.state() != before.state();
    let set = network.set_state(&state);
    LEFT.store(usize::MAX, Ordering::Relaxed);
    LASTS.store(false, Ordering::Relaxed);
    assert_eq!((taken, moved, set), (Ok(()), true, Ok(())));
    assert_eq!(network.state().as_slice(), state);
}
