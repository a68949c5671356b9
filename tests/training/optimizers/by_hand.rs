//! Two steps of every optimiser, computed by hand.

use backprop::training::{
    AdaGrad, Adadelta, Adam, AdamW, GradientDescent, IRpropMinus, Optimizer, RmsProp,
};

/// Returns θ after a step from 1 with the gradient 2, and after another with −1.
fn two_steps(mut method: impl Optimizer<f64>) -> [f64; 2] {
    let mut theta = [1.0];
    [2.0, -1.0].map(|g| {
        method.step(&mut theta, &[g], 1.0).unwrap();
        theta[0]
    })
}

#[track_caller]
fn assert_close(found: [f64; 2], expected: [f64; 2]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-14,
            "{found} instead of {expected}"
        );
    }
}

#[test]
fn gradient_descent() {
    let method = GradientDescent::new(0.1);
    assert_close(two_steps(method.clone()), [1.0 - 0.2, 0.8 + 0.1]);
    // b = 2, then 0.5 · 2 − 1 = 0.
    let method = method.momentum(0.5);
    assert_close(two_steps(method.clone()), [0.8, 0.8]);
    // b = 2, which is not dampened, then 0.5 · 2 − 0.75 = 0.25.
    let dampened = method.clone().dampening(0.25);
    assert_close(two_steps(dampened), [0.8, 0.8 - 0.025]);
    // 2 + 0.5 · 2 = 3, then −1 + 0.5 · 0 = −1.
    assert_close(two_steps(method.nesterov()), [1.0 - 0.3, 0.7 + 0.1]);
}

#[test]
fn adam() {
    // m = 1, v = 2, with corrections 2 and 4. Then m = 0, and θ stays.
    let method = Adam::new(0.1).betas(0.5, 0.5).epsilon(1.0);
    let first = 1.0 - 0.1 * 2.0 / (2.0 + 1.0);
    assert_close(two_steps(method.clone()), [first, first]);
    // With β₁ = 0, m = g; v = 0.5 · 4 = 2, then 1 + 0.5 = 1.5, corrected by 1/2 and 3/4: 4, then 2.
    let method = Adam::new(0.1).betas(0.0, 0.5).epsilon(1.0);
    let second = first + 0.1 / (2.0_f64.sqrt() + 1.0);
    assert_close(two_steps(method.clone()), [first, second]);
    // The largest v stays 2; corrected, it is 2/(3/4) = 8/3.
    let largest = (8.0_f64 / 3.0).sqrt() + 1.0;
    assert_close(two_steps(method.amsgrad()), [first, first + 0.1 / largest]);
}

#[test]
fn adam_w() {
    let method = AdamW::new(0.1).betas(0.0, 0.5).epsilon(1.0).decay(0.5);
    let first = 0.95 - 0.1 * 2.0 / 3.0;
    let second = 0.95 * first + 0.1 / (2.0_f64.sqrt() + 1.0);
    assert_close(two_steps(method), [first, second]);
    // The decay of 0.01 without a gradient, twice.
    let mut method = AdamW::new(0.5);
    let mut theta = [1.0];
    for expected in [0.995, 0.995 * 0.995] {
        method.step(&mut theta, &[0.0], 1.0).unwrap();
        assert_eq!(theta, [expected]);
    }
}

#[test]
fn rms_prop() {
    // v = 0.25 · 4 = 1, then 0.75 + 0.25 = 1.
    let method = RmsProp::new(0.1).alpha(0.75).epsilon(1.0);
    assert_close(two_steps(method.clone()), [0.9, 0.95]);
    // b = 1, then 0.5 · 1 − 0.5 = 0.
    let momentum = method.clone().momentum(0.5);
    assert_close(two_steps(momentum), [0.9, 0.9]);
    // ḡ = 0.5, then 0.375 − 0.25 = 0.125.
    let centered = |mean: f64| (1.0 - mean * mean).sqrt() + 1.0;
    let [first, second] = [2.0 / centered(0.5), -1.0 / centered(0.125)];
    let expected = [1.0 - 0.1 * first, 1.0 - 0.1 * (first + second)];
    assert_close(two_steps(method.clone().centered()), expected);
    let b = 0.5 * first + second;
    let expected = [1.0 - 0.1 * first, 1.0 - 0.1 * (first + b)];
    assert_close(two_steps(method.centered().momentum(0.5)), expected);
}

#[test]
fn a_constant_gradient_has_no_variance_below_zero() {
    let mut method = RmsProp::new(1e-12).alpha(0.3).centered();
    let mut theta = [0.0_f64; 4];
    for _ in 0..1000 {
        method.step(&mut theta, &[0.1, 0.3, 0.7, 1.1], 1.0).unwrap();
        assert!(theta.iter().all(|x| x.is_finite()));
    }
}

#[test]
fn ada_grad() {
    // s = 4, then 5.
    let root = 5.0_f64.sqrt();
    let method = AdaGrad::new(0.1).epsilon(1.0);
    let first = 1.0 - 0.1 * 2.0 / 3.0;
    assert_close(
        two_steps(method.clone()),
        [first, first + 0.1 / (root + 1.0)],
    );
    let slower = method.clone().rate_decay(1.0);
    assert_close(two_steps(slower), [first, first + 0.05 / (root + 1.0)]);
    // s = 5, then 6.
    let first = 1.0 - 0.2 / (root + 1.0);
    let second = first + 0.1 / (6.0_f64.sqrt() + 1.0);
    assert_close(two_steps(method.initial(1.0)), [first, second]);
}

#[test]
fn adadelta() {
    // v = 2, d = 2/√3, u = 2/3; v = 1.5, d = −√(5/3)/√2.5.
    let method = Adadelta::new(0.1).rho(0.5).epsilon(1.0);
    let first = 1.0 - 0.2 / 3.0_f64.sqrt();
    let second = first + 0.1 * (5.0_f64 / 3.0 / 2.5).sqrt();
    assert_close(two_steps(method), [first, second]);
}

#[test]
fn i_rprop_minus() {
    // The sign changes: no step.
    assert_close(two_steps(IRpropMinus::new(0.1)), [0.9, 0.9]);
    let mut method = IRpropMinus::new(0.1).factors(0.5, 2.0).bounds(0.04, 0.3);
    let mut theta = [1.0_f64];
    let mut expected = 1.0;
    for (g, step) in [
        (1.0, 0.1),
        (1.0, 0.2),
        (1.0, 0.3),  // bounded
        (-1.0, 0.0), // Δ = 0.15
        (-1.0, -0.15),
        (0.0, 0.0),
        (-1.0, -0.15), // Δ stays after a 0
        (1e-200, 0.0), // Δ = 0.075, although g p underflows
        (1e-200, 0.075),
        (-1.0, 0.0), // Δ = 0.0375, bounded
        (1.0, 0.04),
    ] {
        method.step(&mut theta, &[g], 1.0).unwrap();
        expected -= step;
        assert!(
            (theta[0] - expected).abs() < 1e-14,
            "{} instead of {expected}",
            theta[0]
        );
    }
}
