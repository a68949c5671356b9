//! The checker distinguishes kinks from wrong derivatives, and both from strong curvature.

use super::wrong;
use backprop::activation::{Identity, Relu};
use backprop::cost::SquaredError;
use backprop::gradient_check::{BlockReport, GradientCheck, Report, Verdict};
use backprop::layer::AnyLayer;
use backprop::nalgebra::DMatrix;
use backprop::{Builder, Dense, Examples, Network, Objective};

use super::mutants::{Fault, Faulty};

/// One ReLU unit with pre-activation z and a fault in its gradient; J = ½ (2 relu(z) + ½)².
fn relu_network(z: f64, fault: Fault) -> Report {
    let inner = Dense::new(1, 1, Relu);
    let builder = Builder::new(1).layer(AnyLayer::Custom(Faulty { inner, fault }));
    let network: Network<f64, AnyLayer<Faulty>> = builder
        .dense(1, Identity)
        .with_theta(&[z - 1.0, 1.0, 0.5, 2.0])
        .unwrap();
    let (x, y) = (DMatrix::repeat(1, 1, 1.0), DMatrix::zeros(1, 1));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let report = GradientCheck::new().network(&network, &examples, &objective);
    report.unwrap()
}

/// Checks a function of one variable that claims the derivative g.
fn line(x: f64, g: f64, f: impl Fn(f64) -> f64) -> BlockReport {
    let f = |x: &[f64]| (f(x[0]), vec![g]);
    let mut report = GradientCheck::new().function(&[("x", 1)], &[x], f).unwrap();
    report.blocks.remove(0)
}

#[test]
fn relu_at_0_is_a_suspected_kink() {
    let report = relu_network(0.0, Fault::None);
    report.assert_passed();
    let first = report.block("Θ⁽¹⁾").unwrap();
    assert_eq!((first.verdict, first.kinks), (Verdict::SuspectedKink, 2));
    assert_eq!(first.relative_error, 0.0, "kinks are left out");
    assert_eq!(report.block("Θ⁽²⁾").unwrap().verdict, Verdict::Agrees);
    let table = report.to_string();
    let expected = "agrees, 2 of 2 at suspected kinks";
    assert!(table.contains(expected), "{table}");
}

/// The step is 6e-6.
#[test]
fn relu_within_the_step_is_a_suspected_kink() {
    for z in [1e-12, 1e-9, 1e-7, 5e-7, 7e-7, 1e-6, 3e-6, 5e-6] {
        for z in [z, -z] {
            let report = relu_network(z, Fault::None);
            let first = report.block("Θ⁽¹⁾").unwrap();
            assert_eq!(first.verdict, Verdict::SuspectedKink, "z = {z:e}\n{report}");
            assert_eq!(report.block("Θ⁽²⁾").unwrap().verdict, Verdict::Agrees);
        }
    }
    for z in [1e-5, -1e-5, 0.5, -0.5] {
        let report = relu_network(z, Fault::None);
        report.assert_passed();
        assert!(
            report.blocks.iter().all(|b| b.kinks == 0),
            "z = {z:e}\n{report}"
        );
    }
}

#[test]
fn a_wrong_derivative_near_a_kink_is_wrong() {
    for z in [1e-9, 1e-7, 1e-6, 5e-6] {
        for fault in [Fault::Factor(2.0), Fault::WrongSign] {
            let report = relu_network(z, fault);
            assert_eq!(wrong(&report), ["Θ⁽¹⁾"], "{fault:?} at {z:e}\n{report}");
        }
    }
    let relu = |x: f64| x.max(0.0);
    for x in [0.0, 1e-9, -1e-9, 1e-7, 1e-6, -1e-6] {
        for g in [-0.5, -0.01, 1.01, 2.0] {
            let verdict = line(x, g, relu).verdict;
            assert_eq!(verdict, Verdict::Wrong, "g = {g} at {x:e}");
        }
    }
}

#[test]
fn absolute_value_at_0() {
    for g in [-1.0, -0.7, 0.0, 0.3, 1.0] {
        let found = line(0.0, g, f64::abs);
        // At 0 the central difference is 0, so g = 0 agrees at once.
        let expected = if g == 0.0 {
            Verdict::Agrees
        } else {
            Verdict::SuspectedKink
        };
        assert_eq!(found.verdict, expected, "g = {g}");
    }
    for g in [5.0, -5.0, 1.1, -1.1] {
        assert_eq!(line(0.0, g, f64::abs).verdict, Verdict::Wrong, "g = {g}");
    }
    // A smooth part next to a kink does not hide it.
    let f = |x: f64| 3.0 * x + x.sin() + 0.1 * x.abs();
    assert_eq!(line(0.0, 4.1, f).verdict, Verdict::SuspectedKink);
    assert_eq!(line(0.0, 4.2, f).verdict, Verdict::Wrong);
}

/// The kink of ReLU is 1e-6 away. The full step reaches it and would excuse 0.7; an eighth of it
/// does not.
#[test]
fn a_kink_nearby_excuses_nothing_else() {
    let relu = |x: f64| x.max(0.0);
    assert_eq!(line(1e-6, 1.0, relu).verdict, Verdict::SuspectedKink);
    for g in [0.6, 0.7, 0.9] {
        assert_eq!(line(1e-6, g, relu).verdict, Verdict::Wrong, "g = {g}");
    }
}

/// At a jump the slopes grow as the step shrinks, so no claimed derivative is right.
#[test]
fn a_jump_is_not_a_kink() {
    let step = |x: f64| f64::from(x > 0.0);
    for g in [0.0, 5.0, 1e4] {
        assert_eq!(line(0.0, g, step).verdict, Verdict::Wrong, "g = {g}");
    }
}

/// In `f32`, next to a large J, smaller steps are lost in rounding. The slopes of the two sides
/// differ only by curvature.
#[test]
fn curvature_is_no_kink_in_f32() {
    let check = |g: f32| {
        let f = |p: &[f32]| (100.0 + (20.0 * p[0]).sin(), vec![g]);
        let top = std::f32::consts::PI / 40.0;
        let report = GradientCheck::new().function(&[("p", 1)], &[top], f);
        report.unwrap().blocks[0].verdict
    };
    assert_eq!(check(0.0), Verdict::Agrees);
    for g in [0.45, -0.45] {
        assert_eq!(check(g), Verdict::Wrong, "g = {g}");
    }
}

/// A block with a kink and a wrong entry is wrong, and the table shows where.
#[test]
fn a_wrong_entry_next_to_a_kink_is_found() {
    let f = |p: &[f64]| (p[0].abs() + p[1].sin(), vec![1.0, -p[1].cos()]);
    let blocks = [("p", 2)];
    let report = GradientCheck::new().function(&blocks, &[0.0, 0.4], f);
    let report = report.unwrap();
    let block = &report.blocks[0];
    assert_eq!((block.verdict, block.kinks), (Verdict::Wrong, 1));
    let worst = block.worst.unwrap();
    assert_eq!(
        (worst.verdict, worst.analytic),
        (Verdict::Wrong, -0.4_f64.cos())
    );
}

type Smooth = (f64, fn(f64) -> f64, fn(f64) -> f64);

/// Cases x, f and f′. The error of the plain central difference is above the tolerance in each.
const STRONGLY_CURVED: [Smooth; 7] = [
    (0.3, |x| (1000.0 * x).sin(), |x| 1000.0 * (1000.0 * x).cos()),
    (0.05, |x| (700.0 * x).cos(), |x| -700.0 * (700.0 * x).sin()),
    // Here extrapolation is not enough, but smaller steps are.
    (0.3, |x| (1e5 * x).sin(), |x| 1e5 * (1e5 * x).cos()),
    (0.001, |x| 1.0 / x, |x| -1.0 / (x * x)),
    (0.002, |x| x.ln(), |x| 1.0 / x),
    (0.01, |x| (900.0 * x).exp(), |x| 900.0 * (900.0 * x).exp()),
    (
        0.0005,
        |x| (800.0 * x).tanh(),
        |x| 800.0 / (800.0 * x).cosh().powi(2),
    ),
];

#[test]
fn strong_curvature_is_not_a_fault() {
    for (number, (x, f, slope)) in STRONGLY_CURVED.into_iter().enumerate() {
        let h = f64::EPSILON.cbrt();
        let plain = (f(x + h) - f(x - h)) / (2.0 * h);
        let error = (plain / slope(x) - 1.0).abs();
        assert!(error > 2e-6, "number {number} proves nothing: {error:e}");
        let found = line(x, slope(x), f);
        assert_eq!(found.verdict, Verdict::Agrees, "number {number}: {found:?}");
    }
}

/// A wrong derivative of a smooth function is never a kink, however curved the function.
#[test]
fn smooth_and_wrong_is_wrong() {
    let gentle: [Smooth; 4] = [
        (0.4, f64::sin, f64::cos),
        (1.0, f64::exp, f64::exp),
        (-0.7, |x| x.powi(3), |x| 3.0 * x * x),
        (20.0, |x| x * x, |x| 2.0 * x),
    ];
    for (x, f, slope) in STRONGLY_CURVED.into_iter().chain(gentle) {
        for factor in [-1.0, 0.0, 0.5, 0.999, 1.001, 2.0, 1e6] {
            let found = line(x, factor * slope(x), f);
            assert_eq!(found.verdict, Verdict::Wrong, "{factor} at {x}: {found:?}");
        }
        assert_eq!(line(x, slope(x), f).verdict, Verdict::Agrees, "at {x}");
    }
}
