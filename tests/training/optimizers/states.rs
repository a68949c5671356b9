//! States: copied, restored, saved and reset.

use super::all;
use super::golden::{START, gradient};
use backprop::training::{
    AdaGrad, Adadelta, Adam, AdamW, GradientDescent, Optimizer, OptimizerState, RmsProp,
};
use backprop::{Error, Scalar, nalgebra};

fn steps<T: Scalar>(method: &mut dyn Optimizer<T>, theta: &mut [T], count: usize) {
    for _ in 0..count {
        let g = gradient(theta);
        method.step(theta, &g, 1.0).unwrap();
    }
}

fn a_restored_state_continues_with_the_same_bits<T: Scalar>() {
    for (mut method, mut other) in all::<T>().into_iter().zip(all::<T>()) {
        let mut theta = START.map(|x| nalgebra::convert::<f64, T>(x));
        steps(&mut *method, &mut theta, 5);
        let (state, mut copy) = (method.state(), theta);
        assert_eq!(state.steps, 5);
        assert!(state.buffers.iter().all(|buffer| buffer.len() == 6));
        steps(&mut *method, &mut theta, 5);
        other.restore(&state).unwrap();
        assert_eq!(other.state(), state);
        steps(&mut *other, &mut copy, 5);
        assert_eq!(copy, theta, "{}", method.info().name);
        assert_eq!(other.state(), method.state());
    }
}

#[test]
fn a_restored_state_continues_with_the_same_bits_in_both_precisions() {
    a_restored_state_continues_with_the_same_bits::<f32>();
    a_restored_state_continues_with_the_same_bits::<f64>();
}

#[test]
fn a_reset_optimiser_equals_a_new_one() {
    for (mut method, mut other) in all::<f64>().into_iter().zip(all::<f64>()) {
        steps(&mut *method, &mut [0.5; 9], 3);
        method.restore(&OptimizerState::default()).unwrap();
        assert_eq!(method.state(), OptimizerState::default());
        let (mut theta, mut copy) = (START, START);
        steps(&mut *method, &mut theta, 3);
        steps(&mut *other, &mut copy, 3);
        assert_eq!(theta, copy);
    }
}

#[test]
fn the_state_before_the_first_step_is_empty_and_can_be_restored() {
    for mut method in all::<f64>() {
        let fresh = method.state();
        assert_eq!(fresh, OptimizerState::default());
        steps(&mut *method, &mut START.clone(), 2);
        method.restore(&fresh).unwrap();
        steps(&mut *method, &mut [0.5; 9], 1);
        assert_eq!(method.state().steps, 1);
    }
}

#[test]
fn a_state_survives_saving() {
    let mut method = Adam::new(0.1);
    steps(&mut method, &mut START.clone(), 3);
    let state = method.state();
    let json = serde_json::to_string(&state).unwrap();
    let read: OptimizerState<f64> = serde_json::from_str(&json).unwrap();
    assert_eq!(read, state);
    assert!(serde_json::from_str::<OptimizerState<f64>>(r#"{"steps": 1}"#).is_err());
    let more = r#"{"steps": 0, "buffers": [], "more": 1}"#;
    assert!(serde_json::from_str::<OptimizerState<f64>>(more).is_err());
}

/// Each error of `restore` leaves the optimiser unchanged.
#[test]
fn a_state_that_does_not_fit_is_refused() {
    let wrong_count = |expected, found| Error::Length {
        what: "the buffers of the optimiser's state",
        expected,
        found,
    };
    let entry = |buffer, index, value, expected| Error::OptimizerState {
        buffer,
        index,
        value,
        expected,
    };
    let mut method = Adam::new(0.1);
    method.step(&mut [1.0, 2.0], &[1.0, -1.0], 1.0).unwrap();
    let before = method.state();
    for (steps, buffers, expected) in [
        (1, vec![vec![1.0, 2.0]], wrong_count(2, 1)),
        (1, vec![vec![1.0]; 3], wrong_count(2, 3)),
        (1, vec![], wrong_count(2, 0)),
        (0, vec![vec![1.0]; 2], wrong_count(0, 2)),
        (
            1,
            vec![vec![1.0, 2.0], vec![1.0]],
            Error::Length {
                what: "a buffer of the optimiser's state",
                expected: 2,
                found: 1,
            },
        ),
        (
            1,
            vec![vec![1.0, f64::INFINITY], vec![1.0, 1.0]],
            entry(0, 1, f64::INFINITY, "a finite number"),
        ),
        (
            1,
            vec![vec![-1.0, 0.0], vec![-0.5, 1.0]],
            entry(1, 0, -0.5, "a number in [0, ∞)"),
        ),
    ] {
        let state = OptimizerState::new(steps, buffers);
        assert_eq!(method.restore(&state), Err(expected));
        assert_eq!(method.state(), before);
    }
    let state = OptimizerState::new(1, vec![vec![0.0; 2], vec![f64::NAN, 0.0]]);
    assert!(matches!(
        method.restore(&state),
        Err(Error::OptimizerState {
            buffer: 1,
            index: 0,
            ..
        })
    ));
    assert_eq!(method.state(), before);
}

/// Step sizes of 0 would never grow again.
#[test]
fn step_sizes_are_above_zero() {
    let mut method = backprop::training::IRpropMinus::new(0.1);
    let state = OptimizerState::new(3, vec![vec![0.0, 1.0], vec![0.1, 0.0]]);
    let refused = Optimizer::<f64>::restore(&mut method, &state).unwrap_err();
    let expected = "buffer 1 of the optimiser's state is 0 at entry 1, expected a number in (0, ∞)";
    assert_eq!(refused.to_string(), expected);
}

/// If new options need buffers that the state does not have, steps fail until a reset.
#[test]
fn options_do_not_change_between_steps() {
    let mut method = GradientDescent::new(0.5);
    let mut theta = [1.0];
    method.step(&mut theta, &[1.0], 1.0).unwrap();
    let mut method = method.momentum(0.9);
    let refused = Error::Length {
        what: "the buffers of the optimiser's state",
        expected: 1,
        found: 0,
    };
    assert_eq!(method.step(&mut theta, &[1.0], 1.0), Err(refused));
    assert_eq!((theta, method.state().steps), ([0.5], 1));
    method.restore(&OptimizerState::default()).unwrap();
    method.step(&mut theta, &[1.0], 1.0).unwrap();
    assert_eq!(theta, [0.0]);
}

/// Tries finite gradients up to the ends of the range, in any order. If the state overflows, θ
/// shows it in the same step, so a finite θ has a finite state.
fn a_finite_theta_has_a_finite_state<T: Scalar>(largest: f64) {
    let sizes = [
        1.0,
        1e-3,
        0.4,
        largest.sqrt(),
        1.1 * largest.sqrt(),
        1e-3 * largest,
        largest,
    ];
    let with_factor = |factor: f64, seed: u64| {
        let mut overflown = 0;
        for mut method in all::<T>() {
            let mut random = seed;
            for _ in 0..40 {
                method.restore(&OptimizerState::default()).unwrap();
                let mut theta = [0.5, -1.0, 0.0, 3.0].map(nalgebra::convert::<f64, T>);
                for _ in 0..12 {
                    let g = [0; 4].map(|_| {
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        let size = sizes[(random >> 33) as usize % sizes.len()];
                        let size = if random >> 63 == 0 { -size } else { size };
                        nalgebra::convert::<f64, T>(size)
                    });
                    assert!(g.iter().all(nalgebra::ComplexField::is_finite));
                    method.step(&mut theta, &g, factor).unwrap();
                    let state = method.state();
                    let finite =
                        |i: usize| state.buffers.iter().all(|buffer| buffer[i].is_finite());
                    for (i, x) in theta.iter().enumerate() {
                        assert!(
                            !x.is_finite() || finite(i),
                            "{method:?}: {x} next to {state:?}"
                        );
                    }
                    if (0..4).any(|i| !finite(i)) {
                        overflown += 1;
                        break; // as a trainer does
                    }
                }
            }
        }
        overflown
    };
    for (seed, factor) in [(1, 1.0), (2, 0.0), (3, 1e-3)] {
        let overflown = with_factor(factor, seed);
        assert!(overflown > 100, "{overflown} with a factor of {factor}");
    }
}

#[test]
fn a_finite_theta_has_a_finite_state_in_both_precisions() {
    a_finite_theta_has_a_finite_state::<f32>(f64::from(f32::MAX));
    a_finite_theta_has_a_finite_state::<f64>(f64::MAX);
}

/// Tries one overflowing square in each method that divides by squares. An infinite square would
/// make this step and all later steps 0.
#[test]
fn a_square_that_overflows_is_no_step_of_zero() {
    let methods: [Box<dyn Optimizer<f32>>; 8] = [
        Box::new(Adam::new(0.1)),
        Box::new(Adam::new(0.1).amsgrad()),
        Box::new(AdamW::new(0.1)),
        Box::new(RmsProp::new(0.1)),
        Box::new(RmsProp::new(0.1).centered()),
        Box::new(RmsProp::new(0.1).momentum(0.9)),
        Box::new(AdaGrad::new(0.1)),
        Box::new(Adadelta::new(1.0)),
    ];
    for mut method in methods {
        let mut theta = [1.0, 2.0];
        method.step(&mut theta, &[1.0, 3e19], 1.0).unwrap();
        assert!(theta[0] < 1.0 && theta[1].is_nan(), "{method:?}: {theta:?}");
    }
}
