//! Functions whose verdict is known: small derivatives of a large J, tiny values, and any unit.

use backprop::activation::{Activation, Identity, Tanh};
use backprop::cost::{Cost, Outputs};
use backprop::gradient_check::{BlockReport, GradientCheck, Report, Verdict};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use backprop::{Error, Examples, Initialization, Network, Objective, Scalar, SquaredError, rng};
use std::fmt::Debug;

fn real<T: Scalar>(x: f64) -> T {
    backprop::nalgebra::convert(x)
}

/// Checks a function of one variable.
fn line<T: Scalar>(t: f64, f: impl Fn(T) -> T, g: impl Fn(T) -> T) -> BlockReport {
    let f = |t: &[T]| (f(t[0]), vec![g(t[0])]);
    let report = GradientCheck::new().function(&[("t", 1)], &[real(t)], f);
    report.unwrap().blocks.remove(0)
}

/// J₀ + c t² with the gradient factor · 2 c t.
fn offset<T: Scalar>(j: f64, c: f64, t: f64, factor: f64) -> BlockReport {
    let (j, c, slope) = (real::<T>(j), real::<T>(c), real::<T>(2.0 * c * factor));
    line(t, |t| j + c * t * t, |t| slope * t)
}

/// 4 ε^(2/3) |J|, from the documentation.
fn resolution(precision: f64, j: f64) -> f64 {
    4.0 * precision.powf(2.0 / 3.0) * j.abs()
}

/// A gradient 1.5 times too large never agrees. It is called wrong if the error is above the
/// resolution. The correct gradient is never called wrong. It agrees only if it is ten times the
/// resolution.
fn offsets<T: Scalar>(precision: f64, offsets: &[f64]) {
    let mut seen = [0; 4];
    for &j in offsets {
        for k in -40..=8 {
            let t = 2_f64.powf(0.5 * f64::from(k));
            let e = resolution(precision, j.abs() + t * t);
            let wrong = offset::<T>(j, 1.0, t, 1.5);
            let what = format!("{j:e} + t² at t = {t:e}: {wrong:?}");
            assert_ne!(wrong.verdict, Verdict::Agrees, "{what}");
            if t > 2.0 * e + 0.05 * t {
                assert_eq!(wrong.verdict, Verdict::Wrong, "{what}");
                seen[0] += 1;
            }
            if 2.0 * t < 0.1 * e {
                assert_eq!(wrong.verdict, Verdict::Undecided, "{what}");
                seen[1] += 1;
            }
            let right = offset::<T>(j, 1.0, t, 1.0);
            let what = format!("{j:e} + t² at t = {t:e}: {right:?}");
            assert_ne!(right.verdict, Verdict::Wrong, "{what}");
            if 2.0 * t > 11.0 * e {
                assert_eq!(right.verdict, Verdict::Agrees, "{what}");
                seen[2] += 1;
            }
            if 2.0 * t < 9.0 * e {
                assert_eq!(right.verdict, Verdict::Undecided, "{what}");
                seen[3] += 1;
            }
        }
        // At the minimum all derivatives are 0, and the table shows it.
        let least = offset::<T>(j, 1.0, 0.0, 1.5);
        assert_eq!((least.verdict, least.largest), (Verdict::Agrees, 0.0));
    }
    assert!(seen.iter().all(|&seen| seen > 20), "{seen:?}");
}

#[test]
fn a_large_offset_hides_no_fault() {
    offsets::<f64>(
        f64::EPSILON,
        &[1e9, -1e9, 1e6, -1e6, 1e12, 1e3, 1.0, 0.0, 1e-3],
    );
    let single = f64::from(f32::EPSILON);
    offsets::<f32>(single, &[1e3, -1e3, 16_777_216.0, 10.0, 1.0, -1.0, 0.0]);
}

/// c f has the verdicts of f, for any power of two c.
#[test]
fn verdicts_do_not_depend_on_the_unit_of_j() {
    fn verdicts<T: Scalar>(c: f64) -> Vec<(Verdict, f64)> {
        let found = [0.0, 1.0, 1e3, 1e6].into_iter().flat_map(|j| {
            let of = move |t, factor| offset::<T>(c * j, c, t, factor);
            [1.0, 1e-2, 1e-5].into_iter().flat_map(move |t| {
                [1.0, 1.5, 1.001, -1.0].map(|factor| {
                    let found = of(t, factor);
                    (found.verdict, found.relative_error)
                })
            })
        });
        found.collect()
    }
    for power in [-600, -200, -40, -1, 3, 40, 200, 600] {
        let c = 2_f64.powi(power);
        assert_eq!(verdicts::<f64>(c), verdicts::<f64>(1.0), "2^{power}");
    }
    for power in [-60, -20, -1, 3, 20, 60] {
        let c = 2_f64.powi(power);
        assert_eq!(verdicts::<f32>(c), verdicts::<f32>(1.0), "2^{power}");
    }
    // A floor of 1e-9 would pass some of these.
    let tiny = offset::<f64>(0.0, 1e-12, 1.0, 1.5);
    assert_eq!(tiny.verdict, Verdict::Wrong, "{tiny:?}");
    let tiny = offset::<f32>(0.0, 1e-30, 1.0, 1.5);
    assert_eq!(tiny.verdict, Verdict::Wrong, "{tiny:?}");
}

/// Large terms that cancel: J is small, but its rounding error is not.
#[test]
fn terms_that_cancel_are_noise() {
    let f = |t: f64| (1e9 + t * t) - 1e9;
    for (factor, expected) in [(1.0, Verdict::Agrees), (1.5, Verdict::Wrong)] {
        let found = line(1.0, f, |t| factor * 2.0 * t);
        assert_eq!(found.verdict, expected, "{found:?}");
    }
    let f = |t: f32| (1e4 + t * t) - 1e4;
    for t in [2.0, 1.0, 0.7, 0.3] {
        let found = line(t, f, |t| 2.0 * t);
        assert_ne!(found.verdict, Verdict::Wrong, "{t}: {found:?}");
    }
    assert_eq!(line(2.0, f, |t| 3.0 * t).verdict, Verdict::Wrong);
    // The last digits of the gradient are noise, and a factor of 1.001 is within them.
    let f = |p: &[f32]| {
        let (large, t) = (3e3 * p[1], p[0]);
        (0.5 * t * t + 1e-3 * p[1], vec![(large + t) - large, 1e-3])
    };
    let report = GradientCheck::new().function(&[("t", 1), ("u", 1)], &[0.01, 0.7], f);
    let report = report.unwrap();
    assert_ne!(report.blocks[0].verdict, Verdict::Wrong, "{report}");
}

/// J is a sum of large and small terms. Only one block has the large ones.
#[test]
fn each_block_is_measured_by_its_own_derivatives() {
    let check = |factor: f64| {
        let f = |p: &[f64]| {
            let value = 1e6 * p[0] * p[0] + 1e-3 * p[1].sin() + 1e-13 * p[2];
            (
                value,
                vec![2e6 * p[0], factor * 1e-3 * p[1].cos(), factor * 1e-13],
            )
        };
        let blocks = [("large", 1), ("small", 1), ("lost", 1)];
        let report = GradientCheck::new().function(&blocks, &[1.0, 0.4, 0.3], f);
        report
            .unwrap()
            .blocks
            .iter()
            .map(|b| b.verdict)
            .collect::<Vec<_>>()
    };
    let (agrees, lost) = (Verdict::Agrees, Verdict::Undecided);
    // e = 1.5e-4. A derivative of 1e-3 is below ten times that; 2e-3 is above it.
    assert_eq!(check(1.0), [agrees, lost, lost]);
    assert_eq!(check(2.0), [agrees, Verdict::Wrong, lost]);
}

/// Faults in the biases are found despite a penalty larger than the cost.
#[test]
fn a_large_penalty_hides_no_fault() {
    let network = Network::<f64>::builder(2).dense(3, Tanh).dense(1, Identity);
    let network = network
        .initialize(Initialization::GlorotUniform, &mut rng(5))
        .unwrap();
    let x = DMatrix::from_fn(2, 6, |i, k| (1.0 + (2 * i + 3 * k) as f64).sin());
    let y = DMatrix::from_fn(1, 6, |_, k| (k as f64).cos());
    let examples = Examples::new(&x, &y).unwrap();
    for (lambda, expected) in [
        (1e6, Verdict::Wrong),
        (1e9, Verdict::Wrong),
        (1e14, Verdict::Undecided),
    ] {
        let objective = Objective::new(SquaredError).l2(lambda);
        let check = |factor: f64| {
            let mut moved = network.clone();
            let f = |theta: &[f64]| {
                moved.set_theta(theta).unwrap();
                let pass = moved.backprop(&examples, &objective).unwrap();
                let (j, mut g) = (pass.cost(), pass.into_gradient().into_vector());
                g.as_mut_slice()[9..10]
                    .iter_mut()
                    .for_each(|g| *g *= factor);
                (j, g.as_slice().to_vec())
            };
            let blocks = [("first", 9), ("bias", 1), ("last", 3)];
            let report = GradientCheck::new().function(&blocks, network.theta().as_slice(), f);
            report.unwrap().block("bias").unwrap().verdict
        };
        assert_ne!(check(1.0), Verdict::Wrong, "{lambda:e}");
        assert_eq!(check(3.0), expected, "{lambda:e}");
    }
}

/// A floor set by the user acts as a tolerance relative to J.
#[test]
fn a_custom_floor_is_used() {
    let f = |p: &[f64]| (100.0 + p[0], vec![1.001]);
    let with = |floor| {
        let check = GradientCheck::new().tolerance(1e-6, floor);
        check.function(&[("p", 1)], &[0.5], f).unwrap().blocks[0].verdict
    };
    assert_eq!(with(0.0), Verdict::Wrong);
    assert_eq!(with(1e-4), Verdict::Agrees);
    assert_eq!(with(1e-2), Verdict::Undecided);
}

/// g(z) = offset + z²/2, with tangents that are too large by a factor.
#[derive(Clone, Copy, Debug)]
struct Raised {
    offset: f64,
    factor: f64,
}

impl<T: Scalar> Activation<T> for Raised {
    fn forward(&self, z: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
        let half = real::<T>(0.5);
        a.zip_apply(&z, |a, z| *a = real::<T>(self.offset) + half * z * z);
    }

    fn backward(&self, z: DMatrixView<'_, T>, _: DMatrixView<'_, T>, mut d: DMatrixViewMut<'_, T>) {
        d.zip_apply(&z, |d, z| *d *= z);
    }

    fn forward_tangent(
        &self,
        z: DMatrixView<'_, T>,
        _: DMatrixView<'_, T>,
        z_dot: DMatrixView<'_, T>,
        mut a_dot: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        let factor = real::<T>(self.factor);
        a_dot.zip_zip_apply(&z, &z_dot, |a_dot, z, z_dot| *a_dot = factor * z * z_dot);
        Ok(())
    }

    fn backward_tangent(
        &self,
        z: DMatrixView<'_, T>,
        _: DMatrixView<'_, T>,
        z_dot: DMatrixView<'_, T>,
        mut delta: DMatrixViewMut<'_, T>,
        mut delta_dot: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        delta_dot.zip_apply(&z, |dot, z| *dot *= z);
        delta_dot.zip_zip_apply(&delta, &z_dot, |dot, delta, z_dot| *dot += delta * z_dot);
        delta.zip_apply(&z, |delta, z| *delta *= z);
        Ok(())
    }
}

/// The same for tangents: values of 10⁹ whose tangent is 1.5 times too large.
#[test]
fn a_large_offset_hides_no_tangent() {
    let verdict = |offset, factor| {
        let z = DMatrix::from_element(1, 1, 1.5);
        let raised = Raised { offset, factor };
        let report = GradientCheck::new().activation_tangents(&raised, &z);
        report.unwrap().block("ȧ").unwrap().verdict
    };
    for offset in [0.0, 1.0, 1e6, 1e9, -1e9] {
        assert_eq!(verdict(offset, 1.5), Verdict::Wrong, "{offset:e}");
        assert_ne!(verdict(offset, 1.0), Verdict::Wrong, "{offset:e}");
    }
    assert_eq!(verdict(1e6, 1.0), Verdict::Agrees);
    assert_eq!(verdict(1e13, 1.5), Verdict::Undecided);
    assert_eq!(verdict(1e13, 1.0), Verdict::Undecided);
}

/// c Σ d²/2, whose second derivative is too large by a factor, and not symmetric.
#[derive(Clone, Copy, Debug)]
struct Scaled {
    unit: f64,
    factor: f64,
    skew: f64,
}

impl<T: Scalar> Cost<T> for Scaled {
    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
        let half = real::<T>(0.5 * self.unit);
        for (k, value) in values.iter_mut().enumerate() {
            let d = at.a.column(k) - at.y.column(k);
            *value = d.fold(T::zero(), |sum, d| sum + d * d) * half;
        }
    }

    fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        delta.copy_from(&((at.a - at.y) * real::<T>(self.unit)));
    }

    fn delta_tangent(
        &self,
        _: &Outputs<'_, T>,
        tangent: DMatrixView<'_, T>,
        mut delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        let mut scaled = tangent * real::<T>(self.unit * self.factor);
        for k in 0..scaled.ncols() {
            scaled[(0, k)] += real::<T>(self.unit * self.skew) * tangent[(1, k)];
        }
        delta_tangent.copy_from(&scaled);
        Ok(())
    }
}

/// Second derivatives and their symmetry, in any unit of the cost.
#[test]
fn second_derivatives_do_not_depend_on_the_unit_of_j() {
    let network = Network::<f64>::builder(2).dense(3, Tanh).dense(2, Identity);
    let network = network
        .initialize(Initialization::GlorotUniform, &mut rng(5))
        .unwrap();
    let x = DMatrix::from_fn(2, 6, |i, k| (1.0 + (2 * i + 3 * k) as f64).sin());
    let y = DMatrix::from_fn(2, 6, |i, k| ((i + 2 * k) as f64).cos());
    let examples = Examples::new(&x, &y).unwrap();
    let rows = |cost: Scaled| {
        let objective = Objective::new(cost);
        let report: Report = GradientCheck::new()
            .second_order(&network, &examples, &objective)
            .unwrap();
        let rows = report.blocks.into_iter().map(|b| (b.label, b.verdict));
        rows.collect::<Vec<_>>()
    };
    for (factor, skew) in [(1.0, 0.0), (1.001, 0.0), (1.0, 0.5), (-1.0, 0.0)] {
        let with = |unit| rows(Scaled { unit, factor, skew });
        let expected = with(1.0);
        let fault = (factor, skew) != (1.0, 0.0);
        let wrong = expected.iter().filter(|row| row.1 == Verdict::Wrong);
        assert_eq!(wrong.count() > 0, fault, "{expected:?}");
        for power in [-200, -40, 40, 200] {
            assert_eq!(
                with(2_f64.powi(power)),
                expected,
                "2^{power}, {factor}, {skew}"
            );
        }
    }
}

/// An unresolved block is reported, with a remedy.
#[test]
fn the_table_says_what_f32_leaves_open() {
    const A: f32 = 4e-6;
    // Two kinks, one on each side, that cancel except between them. They are nearer than the
    // smallest step that rounding allows.
    let f = |p: &[f32]| {
        let t = p[0];
        let value = 3.0 + t + (t - A).max(0.0) - (t + A).max(0.0);
        let slope = 1.0 + f32::from(t > A) - f32::from(t > -A);
        (value, vec![slope])
    };
    let report = GradientCheck::new().function(&[("t", 1)], &[0.0_f32], f);
    let report = report.unwrap();
    report.assert_passed();
    let block = &report.blocks[0];
    assert_eq!((block.verdict, block.unresolved), (Verdict::Unresolved, 1));
    let table = report.to_string();
    let expected = "unresolved, 1 of 1: check it in f64";
    assert!(table.ends_with(expected), "{table}");
}
