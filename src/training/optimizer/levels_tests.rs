//! Every level, the plain loop and the real part of a dual number give the same step, bit for bit.

use super::rule::Slot;
use super::{AdaGrad, Adadelta, Adam, GradientDescent, IRpropMinus, RmsProp, Rule};
use crate::kernels::at_every_level;
use crate::kernels::steps::{BUFFERS, Entries, Step, step};
use crate::scalar::{Scalar, real, to_f64};
use num_dual::Dual64;

const LENGTHS: [usize; 7] = [0, 1, 7, 16, 17, 63, 130];

type MakeStep<T> = Box<dyn Fn(Step, Entries<'_, T>) + Sync>;

struct Tested<T> {
    name: String,
    plain: MakeStep<T>,
    fast: MakeStep<T>,
}

impl<T: Scalar> Tested<T> {
    fn of(rule: impl Rule) -> Self {
        Self {
            name: format!("{rule:?}"),
            plain: Box::new(move |step, entries| rule.update(step, entries)),
            fast: Box::new(move |number, entries| step(rule, number, entries)),
        }
    }
}

fn rules<T: Scalar>() -> Vec<Tested<T>> {
    let descent = GradientDescent::<T>::new(0.3);
    let momentum = descent.clone().momentum(0.9);
    let (adam, rms) = (Adam::<T>::new(0.01), RmsProp::<T>::new(0.01));
    vec![
        Tested::of(descent.rule),
        Tested::of(momentum.clone().dampening(0.2).rule),
        Tested::of(momentum.nesterov().rule),
        Tested::of(adam.clone().rule),
        Tested::of(adam.amsgrad().rule),
        Tested::of(rms.clone().rule),
        Tested::of(rms.clone().centered().rule),
        Tested::of(rms.clone().momentum(0.9).rule),
        Tested::of(rms.centered().momentum(0.9).rule),
        Tested::of(AdaGrad::<T>::new(0.1).rate_decay(0.1).rule),
        Tested::of(Adadelta::<T>::new(1.0).rule),
        Tested::of(IRpropMinus::<T>::new(0.1).rule),
    ]
}

/// Numbers of all sizes and both signs, some of them 0.
fn waves<T: Scalar>(length: usize, start: f64) -> Vec<T> {
    let wave = |i: usize| (start + i as f64).sin() * 10_f64.powi(i as i32 % 7 - 3);
    (0..length)
        .map(|i| real(if i % 11 == 5 { 0.0 } else { wave(i) }))
        .collect()
}

/// Returns θ and the state after two steps.
fn two_steps<T: Scalar>(length: usize, make: &MakeStep<T>) -> [Vec<T>; 1 + BUFFERS] {
    let mut theta = waves(length, 1.0);
    let mut a: Vec<T> = waves::<T>(length, 2.0)
        .into_iter()
        .map(nalgebra::ComplexField::abs)
        .collect();
    let mut b: Vec<T> = a.iter().rev().copied().collect();
    let mut c = a.clone();
    for (number, start) in [(1, 3.0), (2, 70.0)] {
        let (rate, keep) = (0.03, 0.99);
        let entries = Entries {
            theta: &mut theta,
            gradient: &waves(length, start),
            state: [&mut a, &mut b, &mut c],
        };
        make(Step { number, rate, keep }, entries);
    }
    [theta, a, b, c]
}

fn every_level_has_the_bits_of_the_plain_loop<T: Scalar>() {
    for rule in rules::<T>() {
        for length in LENGTHS {
            let plain = two_steps(length, &rule.plain);
            assert!(plain[0].iter().all(nalgebra::ComplexField::is_finite));
            at_every_level(|level| {
                let fast = two_steps(length, &rule.fast);
                for (fast, plain) in fast.iter().flatten().zip(plain.iter().flatten()) {
                    let bits = [fast, plain].map(|x| to_f64(*x).to_bits());
                    let name = &rule.name;
                    assert!(
                        bits[0] == bits[1],
                        "{name} at {level:?}: {fast} instead of {plain}"
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
    for (dual, fast) in rules::<Dual64>().iter().zip(rules::<f64>()) {
        let real_parts = two_steps(64, &dual.fast).map(|x| x.into_iter().map(|x| x.re));
        let fast_parts = two_steps(64, &fast.fast);
        // Division of dual numbers multiplies by an inverse.
        for (dual, fast) in real_parts
            .into_iter()
            .flatten()
            .zip(fast_parts.iter().flatten())
        {
            assert!(
                (dual - fast).abs() <= 1e-13 * fast.abs(),
                "{dual} instead of {fast}"
            );
        }
    }
}

#[test]
fn a_nan_of_the_gradient_comes_out_as_nan() {
    for rule in rules::<f32>() {
        let mut theta = [1.0_f32; 3];
        let (mut a, mut b, mut c) = ([0.5; 3], [0.5; 3], [0.5; 3]);
        let entries = Entries {
            theta: &mut theta,
            gradient: &[0.1, f32::NAN, 0.1],
            state: [&mut a, &mut b, &mut c],
        };
        let (rate, keep) = (0.01, 1.0);
        let number = 1;
        (rule.fast)(Step { number, rate, keep }, entries);
        assert!(theta[1].is_nan(), "{}", rule.name);
        assert!(
            theta[0].is_finite() && theta[2].is_finite(),
            "{}",
            rule.name
        );
    }
}

/// A rule does not change the buffers of slots that it does not have.
#[test]
fn a_rule_writes_as_many_buffers_as_it_has_slots() {
    fn check(rule: impl Rule) {
        let slots: &[Slot] = rule.slots();
        let mut buffers = [[0.25_f64; 5]; BUFFERS];
        let [a, b, c] = &mut buffers;
        let entries = Entries {
            theta: &mut [1.0; 5],
            gradient: &[0.1, -0.2, 0.3, 2.0, 7.0],
            state: [a, b, c],
        };
        let (number, rate, keep) = (2, 0.01, 1.0);
        step(rule, Step { number, rate, keep }, entries);
        for (i, buffer) in buffers.iter().enumerate() {
            assert_eq!(
                *buffer != [0.25; 5],
                i < slots.len(),
                "{rule:?}, buffer {i}"
            );
        }
    }
    let rms = RmsProp::<f64>::new(0.1);
    check(GradientDescent::<f64>::new(0.1).rule);
    check(GradientDescent::<f64>::new(0.1).momentum(0.9).rule);
    check(Adam::<f64>::new(0.1).rule);
    check(Adam::<f64>::new(0.1).betas(0.9, 0.5).amsgrad().rule);
    check(rms.clone().rule);
    check(rms.clone().centered().rule);
    check(rms.clone().momentum(0.9).rule);
    check(rms.centered().momentum(0.9).rule);
    check(AdaGrad::<f64>::new(0.1).rule);
    check(Adadelta::<f64>::new(0.1).rule);
    check(IRpropMinus::<f64>::new(0.1).rule);
}
