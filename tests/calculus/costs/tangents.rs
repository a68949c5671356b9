//! The tangent of δ: against dual numbers, by hand, at the extremes, and against the tangents of
//! the activation. The likelihoods are tested too.

use super::{CANONICAL, HUBER, Z, activate, assert_close, delta, out_of};
use backprop::Scalar;
use backprop::activation::{Activation, Sigmoid, Softmax};
use backprop::cost::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Cost, LogCosh, Outputs, Poisson,
    SquaredError,
};
use backprop::nalgebra::{DMatrix, convert};
use num_dual::Dual64;

/// δ̇ along ż with z, else along ȧ, written over NaN.
fn delta_tangent<T: Scalar>(
    cost: AnyCost,
    z: Z<'_, T>,
    a: &DMatrix<T>,
    y: &DMatrix<T>,
    tangent: &DMatrix<T>,
) -> DMatrix<T> {
    let mut out = DMatrix::repeat(y.nrows(), y.ncols(), convert(f64::NAN));
    let at = Outputs::new(z.map(DMatrix::as_view), a.as_view(), y.as_view());
    let done = cost.delta_tangent(&at, tangent.as_view(), out.as_view_mut());
    assert_eq!(done, Ok(()), "{cost:?}");
    out
}

fn wave(rows: usize, cols: usize, phase: f64) -> DMatrix<f64> {
    DMatrix::from_fn(rows, cols, |i, k| (phase + (3 * i + 5 * k) as f64).sin())
}

/// Three units, one example per z: z itself and two others.
fn grid() -> DMatrix<f64> {
    let inner = (-24..=24).map(|i| f64::from(i) / 4.0);
    let far = [-1e4, -800.0, -40.0, -20.0, 20.0, 40.0, 600.0];
    let z: Vec<f64> = inner.chain(far).collect();
    DMatrix::from_fn(3, z.len(), |i, k| [z[k], 0.5 - z[k] / 3.0, 0.25][i])
}

#[test]
fn tangents_equal_those_of_dual_numbers() {
    let z = grid();
    let m = z.ncols();
    let y = DMatrix::from_fn(3, m, |i, k| [0.0, 0.25, 0.5, 1.0][(i + 2 * k + k / 3) % 4]);
    let moved = wave(3, m, 0.2);
    let dual_y = y.map(Dual64::from_re);
    for (cost, g) in CANONICAL {
        for canonical in [true, false] {
            // The general path at outputs in the cost's domain.
            let at = if canonical {
                // Only where eᶻ does not overflow.
                z.map(|z| if cost == Poisson { z.min(600.0) } else { z })
            } else {
                z.map(|z| out_of(g, z.clamp(-30.0, 30.0)))
            };
            let dual = at.zip_map(&moved, Dual64::new);
            let (found, expected) = if canonical {
                let a = activate(g, &at);
                let expected = delta(cost, Some(&dual), &activate(g, &dual), &dual_y);
                (delta_tangent(cost, Some(&at), &a, &y, &moved), expected)
            } else {
                let expected = delta(cost, None, &dual, &dual_y);
                (delta_tangent(cost, None, &at, &y, &moved), expected)
            };
            for k in 0..m {
                let expected = expected.column(k).map(|d| d.eps);
                for i in 0..3 {
                    let what = format!("{cost:?} at {}, canonical: {canonical}", at[(i, k)]);
                    // Each unit of softmax depends on all of them.
                    let of_all = g == Softmax && canonical;
                    let most = if of_all {
                        expected.amax()
                    } else {
                        expected[i].abs()
                    };
                    let (found, expected) = (found[(i, k)], expected[i]);
                    assert!(
                        (found - expected).abs() <= 1e-13 * most,
                        "{what}: {found:e}, {expected:e}"
                    );
                }
            }
        }
    }
}

/// Two units and two examples, with and without z.
#[test]
fn tangents_by_hand() {
    let a = DMatrix::from_column_slice(2, 2, &[0.75, 0.25, 0.5, 0.5]);
    let y = DMatrix::from_column_slice(2, 2, &[1.0, 0.5, 0.0, 2.0]);
    let moved = DMatrix::from_column_slice(2, 2, &[1.0, 2.0, -1.0, 0.5]);
    // Sigmoid, softmax and the exponential have different z for these a.
    let logit = a.map(|a: f64| (a / (1.0 - a)).ln());
    let log = a.map(f64::ln);
    let sech = |d: f64| 1.0 / d.cosh().powi(2);
    let table: [(AnyCost, Z<'_, f64>, [f64; 4]); 8] = [
        // σ′ = 3/16, 3/16, 1/4, 1/4.
        (
            BinaryCrossEntropy,
            Some(&logit),
            [0.1875, 0.375, -0.25, 0.125],
        ),
        // aᵀż = 1.25 and −0.25, Σy = 1.5 and 2.
        (
            CategoricalCrossEntropy,
            Some(&log),
            [
                1.5 * 0.75 * (1.0 - 1.25),
                1.5 * 0.25 * (2.0 - 1.25),
                2.0 * 0.5 * -0.75,
                2.0 * 0.5 * 0.75,
            ],
        ),
        (
            CategoricalCrossEntropy,
            None,
            [1.0 / 0.5625, 16.0, 0.0, 4.0],
        ),
        (SquaredError, Some(&a), [1.0, 2.0, -1.0, 0.5]),
        // d = −0.25, −0.25, 0.5, −1.5.
        (HUBER, None, [1.0, 2.0, -1.0, 0.0]),
        (
            LogCosh,
            None,
            [sech(0.25), 2.0 * sech(0.25), -sech(0.5), 0.5 * sech(1.5)],
        ),
        (Poisson, Some(&log), [0.75, 0.5, -0.5, 0.25]),
        (Poisson, None, [1.0 / 0.5625, 16.0, 0.0, 4.0]),
    ];
    for (cost, z, expected) in table {
        let found = delta_tangent(cost, z, &a, &y, &moved);
        for i in 0..4 {
            assert_close(
                &format!("{cost:?}, entry {i}"),
                found[i],
                expected[i],
                1e-15,
            );
        }
    }
    let y = DMatrix::from_column_slice(2, 2, &[1.0, 0.5, 0.0, 0.25]);
    let found = delta_tangent(BinaryCrossEntropy, None, &a, &y, &moved);
    let expected = [
        1.0 / 0.5625,
        2.0 * (8.0 + 0.5 / 0.5625),
        -4.0,
        0.5 * (1.0 + 3.0),
    ];
    for i in 0..4 {
        assert_close(
            &format!("cross-entropy, entry {i}"),
            found[i],
            expected[i],
            1e-14,
        );
    }
}

/// ∂cost/∂z in two ways: from z directly, and from ȧ, δ and both tangents of the activation.
#[test]
fn canonical_path_equals_general_path() {
    let z = DMatrix::from_fn(4, 9, |i, j| (2.7 * (9 * i + j) as f64).sin() * 5.0);
    let y = DMatrix::from_fn(4, 9, |i, j| ((i * j) as f64).cos().abs());
    let moved = wave(4, 9, 0.2);
    for (cost, g) in CANONICAL {
        let a = activate(g, &z);
        let canonical = delta_tangent(cost, Some(&z), &a, &y, &moved);
        let mut a_moved = a.clone();
        let to = a_moved.as_view_mut();
        g.forward_tangent(z.as_view(), a.as_view(), moved.as_view(), to)
            .unwrap();
        let mut d = delta(cost, None, &a, &y);
        let mut general = delta_tangent(cost, None, &a, &y, &a_moved);
        let views = (d.as_view_mut(), general.as_view_mut());
        g.backward_tangent(z.as_view(), a.as_view(), moved.as_view(), views.0, views.1)
            .unwrap();
        for (found, expected) in general.iter().zip(&canonical) {
            assert_close(&format!("{cost:?}"), *found, *expected, 1e-11);
        }
    }
}

/// On the edge of its interval, an output whose numerator is 0 costs nothing, even when it moves.
/// Saturated units keep their digits.
#[test]
fn edges_and_extremes() {
    let row = |x: &[f64]| DMatrix::from_row_slice(1, x.len(), x);
    let one = row(&[1.0, 1.0]);
    let (a, y) = (row(&[0.0, 1.0]), row(&[0.0, 1.0]));
    let found = delta_tangent(BinaryCrossEntropy, None, &a, &y, &one);
    assert_eq!(found.as_slice(), &[1.0, 1.0]);
    for cost in [CategoricalCrossEntropy, Poisson] {
        let found = delta_tangent(cost, None, &a, &y, &one);
        assert_eq!(found.as_slice(), &[0.0, 1.0], "{cost:?}");
        // a² would underflow or overflow.
        let (a, y) = (row(&[1e-170, 1e170]), row(&[1e-40, 1e250]));
        let found = delta_tangent(cost, None, &a, &y, &one);
        assert_close("small", found[0], 1e300, 1e-15);
        assert_close("large", found[1] * 1e90, 1.0, 1e-15);
    }
    let z = row(&[-800.0, -40.0, 40.0, 1e4]);
    let (a, y) = (activate(Sigmoid, &z), row(&[0.0, 1.0, 1.0, 0.5]));
    let found = delta_tangent(BinaryCrossEntropy, Some(&z), &a, &y, &row(&[1.0; 4]));
    let tail = 4.248_354_255_291_589e-18;
    assert_eq!((found[0], found[3]), (0.0, 0.0));
    for found in [found[1], found[2]] {
        assert!((found - tail).abs() < 1e-15 * tail, "{found:e}");
    }
    let (a, y) = (row(&[1e4, -800.0, 20.0]), row(&[0.0; 3]));
    let found = delta_tangent(LogCosh, None, &a, &y, &row(&[1.0; 3]));
    assert_eq!((found[0], found[1]), (0.0, 0.0));
    assert!((found[2] / 1.699_341_702_116_636e-17 - 1.0).abs() < 1e-14);
}

#[test]
fn nan_comes_out_as_nan() {
    let (nan, one) = (DMatrix::repeat(2, 1, f64::NAN), DMatrix::repeat(2, 1, 1.0));
    for (cost, _) in CANONICAL {
        for z in [Some(&nan), None] {
            let found = delta_tangent(cost, z, &nan, &one, &one);
            // The second derivative of the squared error is 1 for every a.
            let expected = cost != SquaredError;
            assert!(
                found.iter().all(|d| d.is_nan() == expected),
                "{cost:?}: {found}"
            );
        }
        let found = delta_tangent(cost, None, &DMatrix::repeat(2, 1, 0.5), &one, &nan);
        assert!(found.iter().all(|d| d.is_nan()), "{cost:?}: {found}");
    }
}

/// In `f32`, at exact points, and in views with gaps between their columns.
#[test]
fn f32_and_parts_of_matrices() {
    let z = DMatrix::from_fn(4, 5, |i, k| (4.0 * i as f64 - 3.0 * k as f64) / 8.0);
    let y = DMatrix::from_fn(4, 5, |i, k| [0.0, 0.25, 0.5, 1.0][(i + k) % 4]);
    let moved = DMatrix::from_fn(4, 5, |i, k| 0.25 * i as f64 - 0.5 * k as f64);
    let single = |x: &DMatrix<f64>| x.map(|x| x as f32);
    for (cost, g) in CANONICAL {
        let a = activate(g, &z);
        let expected = delta_tangent(cost, Some(&z), &a, &y, &moved);
        let [z32, y32, moved32] = [&z, &y, &moved].map(single);
        let found = delta_tangent(cost, Some(&z32), &activate(g, &z32), &y32, &moved32);
        let limit = 16.0 * f64::from(f32::EPSILON) * expected.amax();
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (f64::from(*found) - expected).abs() <= limit,
                "{cost:?} in f32"
            );
        }
        // All rows except the first. The four units of softmax belong together.
        let (first, rows) = if g == Softmax { (0, 4) } else { (1, 3) };
        let stretch = |x: &DMatrix<f64>| x.clone().insert_rows(4, 2, f64::NAN);
        let [z, a, y, moved] = [&z, &a, &y, &moved].map(stretch);
        let part = |x| DMatrix::rows(x, first, rows);
        let mut out = DMatrix::repeat(6, 5, 7.0);
        let at = Outputs::new(Some(part(&z)), part(&a), part(&y));
        cost.delta_tangent(&at, part(&moved), out.rows_mut(first, rows))
            .unwrap();
        for (found, expected) in part(&out).iter().zip(&expected.rows(first, rows)) {
            assert_close(&format!("{cost:?}"), *found, *expected, 1e-15);
        }
        assert!(out.rows(4, 2).iter().all(|&x| x == 7.0), "written outside");
    }
}

/// δ is linear in y only for the likelihoods, and ∂²cost/∂a² at y = a is the Fisher information.
#[test]
fn likelihoods_have_their_promised_properties() {
    let a = DMatrix::from_row_slice(1, 3, &[0.125, 0.5, 0.875]);
    let one = a.map(|_| 1.0);
    let mut likelihoods = 0;
    for (cost, _) in CANONICAL {
        let slopes = [0.0, 3.0, 9.0].map(|d| delta(cost, None, &a, &a.add_scalar(d)));
        let [near, far] = [&slopes[1] - &slopes[0], &slopes[2] - &slopes[0]];
        let linear = (far - near * 3.0).amax() < 1e-12;
        assert_eq!(Cost::<f64>::is_log_likelihood(&cost), linear, "{cost:?}");
        if !linear {
            continue;
        }
        likelihoods += 1;
        let information = delta_tangent(cost, None, &a, &a, &one);
        for (found, a) in information.iter().zip(&a) {
            let expected = match cost {
                BinaryCrossEntropy => 1.0 / (a * (1.0 - a)),
                SquaredError => 1.0,
                _ => 1.0 / a,
            };
            assert_close(&format!("{cost:?}"), *found, expected, 1e-15);
        }
    }
    assert_eq!(likelihoods, 4);
}
