//! Every level, the plain loop and a dual number's real part make the same step, to the last bit.

use super::super::level::at_every_level;
use super::*;
use num_dual::Dual64;

const LENGTHS: [usize; 7] = [0, 1, 7, 16, 17, 63, 130];

fn rules() -> Vec<Rule> {
    let adam = Adam {
        rate: 0.01,
        betas: (0.9, 0.999),
        scale: 1.7,
        epsilon: 1e-8,
        keep: 0.99,
        amsgrad: false,
    };
    let momentum = Momentum {
        rate: 0.1,
        momentum: 0.9,
        fresh: 0.8,
        nesterov: false,
    };
    let rms = RmsProp {
        rate: 0.01,
        alpha: 0.99,
        epsilon: 1e-8,
        centered: false,
        momentum: None,
    };
    let mut rules = vec![
        Rule::Descent(Descent { rate: 0.3 }),
        Rule::Momentum(momentum),
        Rule::Momentum(Momentum {
            nesterov: true,
            ..momentum
        }),
        Rule::Adam(adam),
        Rule::Adam(Adam {
            amsgrad: true,
            ..adam
        }),
        Rule::AdaGrad(AdaGrad {
            rate: 0.1,
            epsilon: 1e-10,
        }),
        Rule::Adadelta(Adadelta {
            rate: 1.0,
            rho: 0.9,
            epsilon: 1e-6,
        }),
        Rule::Resilient(Resilient {
            shrink: 0.5,
            grow: 1.2,
            bounds: (1e-6, 50.0),
        }),
    ];
    for centered in [false, true] {
        for momentum in [None, Some(0.9)] {
            rules.push(Rule::RmsProp(RmsProp {
                centered,
                momentum,
                ..rms
            }));
        }
    }
    rules
}

/// Numbers of all sizes and both signs, with zeros among them.
fn waves<R: Real>(length: usize, start: f64) -> Vec<R> {
    let wave = |i: usize| (start + i as f64).sin() * 10_f64.powi(i as i32 % 7 - 3);
    (0..length)
        .map(|i| R::of(if i % 11 == 5 { 0.0 } else { wave(i) }))
        .collect()
}

/// θ and the state after two steps.
fn two_steps<R: Real>(
    length: usize,
    mut step: impl FnMut(&mut [R], &[R], [&mut [R]; BUFFERS]),
) -> [Vec<R>; 1 + BUFFERS] {
    let mut theta = waves(length, 1.0);
    let mut a: Vec<R> = waves(length, 2.0);
    a.iter_mut().for_each(|x| *x = x.size());
    let mut b: Vec<R> = a.iter().rev().copied().collect();
    let mut c = a.clone();
    for start in [3.0, 70.0] {
        step(&mut theta, &waves(length, start), [&mut a, &mut b, &mut c]);
    }
    [theta, a, b, c]
}

fn every_level_has_the_bits_of_the_plain_loop<R: Real>() {
    for rule in rules() {
        for length in LENGTHS {
            let plain = two_steps::<R>(length, |theta, gradient, state| {
                sweep_rule(rule, theta, gradient, state);
            });
            assert!(plain[0].iter().all(|x| x.size() < R::INFINITY));
            at_every_level(|level| {
                let fast = two_steps::<R>(length, |theta, gradient, state| {
                    step(rule, theta, gradient, state);
                });
                // Equal as numbers, and zeros by their sign.
                for (fast, plain) in fast.iter().flatten().zip(plain.iter().flatten()) {
                    let signs = [fast, plain].map(|x| R::ONE.with_sign_of(*x));
                    assert!(
                        fast == plain && signs[0] == signs[1],
                        "{rule:?} at {level:?}: {fast} instead of {plain}"
                    );
                }
            });
        }
    }
}

#[test]
fn every_level_has_the_bits_of_the_plain_loop_f32() {
    every_level_has_the_bits_of_the_plain_loop::<f32>();
}

#[test]
fn every_level_has_the_bits_of_the_plain_loop_f64() {
    every_level_has_the_bits_of_the_plain_loop::<f64>();
}

#[test]
fn a_dual_number_steps_as_its_real_part() {
    for rule in rules() {
        let real_parts = two_steps::<f64>(64, |theta, gradient, state| {
            let dual = |x: &[f64]| x.iter().map(|&x| Dual64::from(x)).collect::<Vec<_>>();
            let mut state_of_duals = state.each_ref().map(|x| dual(x));
            let mut theta_of_duals = dual(theta);
            let slices = state_of_duals.each_mut().map(|x| &mut x[..]);
            step(rule, &mut theta_of_duals, &dual(gradient), slices);
            let back = |from: &[Dual64], to: &mut [f64]| {
                from.iter().zip(to).for_each(|(from, to)| *to = from.re);
            };
            back(&theta_of_duals, theta);
            for (from, to) in state_of_duals.iter().zip(state) {
                back(from, to);
            }
        });
        let fast = two_steps::<f64>(64, |theta, gradient, state| {
            step(rule, theta, gradient, state);
        });
        // A dual number divides by multiplying with an inverse.
        for (dual, fast) in real_parts.iter().flatten().zip(fast.iter().flatten()) {
            assert!(
                (dual - fast).abs() <= 1e-13 * fast.abs(),
                "{rule:?}: {dual} instead of {fast}"
            );
        }
    }
}

#[test]
fn a_nan_of_the_gradient_comes_out_as_nan() {
    for rule in rules() {
        let mut theta = [1.0_f32; 3];
        let (mut a, mut b, mut c) = ([0.5; 3], [0.5; 3], [0.5; 3]);
        let state = [&mut a[..], &mut b[..], &mut c[..]];
        step(rule, &mut theta, &[0.1, f32::NAN, 0.1], state);
        assert!(theta[1].is_nan(), "{rule:?}");
        assert!(theta[0].is_finite() && theta[2].is_finite(), "{rule:?}");
    }
}
