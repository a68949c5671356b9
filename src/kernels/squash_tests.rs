//! Differences at every level against the plain loops, which `tests/calculus/costs` compares with
//! mpmath.

use super::super::level::at_every_level;
use super::*;
use crate::activation::AnyActivation;
use crate::cost::{AnyCost, Cost as _, Outputs};
use nalgebra::DMatrix;
use num_dual::{Dual32, Dual64};

const SQUASHES: [Squash; 6] = [
    Squash::Sigmoid,
    Squash::Tanh,
    Squash::Softsign,
    Squash::Softmax,
    Squash::Exponential,
    Squash::Elu { alpha: 1.5 },
];

/// Returns the activation with these outputs.
fn activation(squash: Squash) -> AnyActivation {
    match squash {
        Squash::Sigmoid => AnyActivation::Sigmoid,
        Squash::Tanh => AnyActivation::Tanh,
        Squash::Softsign => AnyActivation::Softsign,
        Squash::Softmax => AnyActivation::Softmax,
        Squash::Exponential => AnyActivation::Exponential,
        Squash::Elu { alpha } => AnyActivation::Elu { alpha },
    }
}

/// Returns z of all sizes, a few near 0 and some far from it.
fn wave(rows: usize, columns: usize) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |i, k| {
        let scale = [1.0, 20.0, 1e-3, 60.0, 3.0, 0.3][(i + 2 * k + k / 5) % 6];
        // Multiples of 2⁻¹⁰, whose differences are exact.
        (scale * ((7 * i + 3 * k + 1) as f64).sin() * 1024.0).round() / 1024.0
    })
}

/// Returns the outputs a by the plain loops.
fn outputs<T: Scalar>(squash: Squash, z: &DMatrix<T>) -> DMatrix<T> {
    use crate::scalar::{real, sigmoid, tanh};
    let one = T::one();
    let mut a = z.map(|z| match squash {
        Squash::Sigmoid => sigmoid(z),
        Squash::Tanh => tanh(z),
        Squash::Softsign => z / (one + z.abs()),
        Squash::Elu { alpha } if z < T::zero() => z.exp_m1() * real(alpha),
        Squash::Elu { .. } => z,
        Squash::Exponential | Squash::Softmax => z.exp(),
    });
    if squash == Squash::Softmax {
        crate::kernels::plain_softmax::softmax(z.as_view(), a.as_view_mut());
    }
    a
}

/// Returns the constants near which a − y keeps its digits.
fn constants(squash: Squash) -> &'static [f64] {
    match squash {
        Squash::Sigmoid => &[0.0, 0.5, 1.0],
        Squash::Tanh | Squash::Softsign => &[0.0, 1.0, -1.0],
        Squash::Elu { .. } => &[0.0, -1.5],
        Squash::Exponential | Squash::Softmax => &[0.0, 1.0],
    }
}

/// Compares the scalar `R` at every level with its dual number `D`.
///
/// The unit is one unit in the last place of the largest of a − c, y − c and a − y, where c is the
/// nearest constant.
fn equal_the_plain_loops<R: Real + Into<f64>, D: Scalar>(part: impl Fn(D) -> f64 + Sync) {
    at_every_level(|level| {
        for (rows, columns) in [(1, 1), (1, 9), (3, 7), (10, 64), (37, 5), (300, 2)] {
            let z = wave(rows, columns);
            for squash in SQUASHES {
                for target in [0.0, 0.25, 0.5, 1.0, -1.0, -1.5, 0.75] {
                    let y = DMatrix::repeat(rows, columns, target);
                    let dual = |x: &DMatrix<f64>| x.map(crate::scalar::real::<D>);
                    let (z_d, y_d) = (dual(&z), dual(&y));
                    let a_d = outputs(squash, &z_d);
                    let at = Outputs::new(None, a_d.as_view(), y_d.as_view());
                    let at = at.activated_by(activation(squash), z_d.as_view());
                    let single: Vec<R> = z.iter().map(|&z| R::of(z)).collect();
                    let ys: Vec<R> = y.iter().map(|&y| R::of(y)).collect();
                    let a: Vec<R> = a_d.iter().map(|&a| R::of(part(a))).collect();
                    let mut found = vec![R::of(7.0); a.len()];
                    let (z, a, y) = (&single[..], &a[..], &ys[..]);
                    let whole = Window { rows, start: 0 };
                    differences_at(squash, whole, OutputSlices { z, a, y }, &mut found);
                    for (index, &found) in found.iter().enumerate() {
                        let (i, k) = (index % rows, index / rows);
                        let (expected, found) = (part(at.difference(i, k)), found.into());
                        // Distances are taken from the constant nearest to both.
                        let own = part(a_d[(i, k)]);
                        let constants = constants(squash);
                        let size = constants.iter().fold(f64::INFINITY, |least, c| {
                            least.min((c - own).abs().max((c - target).abs()))
                        });
                        let size = size.max(expected.abs()).max(f64::from(f32::MIN_POSITIVE));
                        let epsilon: f64 = R::default_epsilon().into();
                        let units = (found - expected).abs() / (epsilon * size);
                        assert!(
                            units <= 6.0,
                            "{squash:?}, {level:?}: z = {}, y = {target}: {found:e}, {expected:e}",
                            z[index]
                        );
                    }
                    // A part has the same bits as the whole.
                    let (start, mut parts) = (a.len() / 3, found.clone());
                    let window = Window { rows, start };
                    let y = &ys[start..];
                    let at = OutputSlices { z, a, y };
                    differences_at(squash, window, at, &mut parts[start..]);
                    assert!(
                        parts == found || squash == Squash::Softmax,
                        "{squash:?}: the bits of a part"
                    );
                }
            }
        }
    });
}

#[test]
fn differences_equal_the_plain_loops() {
    equal_the_plain_loops::<f64, Dual64>(|x| x.re);
    equal_the_plain_loops::<f32, Dual32>(|x| x.re.into());
}

/// The differences include σ(40) − 1, tanh 20 − 1, e^(10⁻¹⁰) − 1, ½ tanh(½·10⁻¹⁰), and two nearly
/// equal outputs of a softmax.
#[test]
fn differences_near_a_constant_keep_their_digits() {
    let close = |found: f64, expected: f64| {
        let error = (found / expected - 1.0).abs();
        assert!(error < 4.0 * f64::EPSILON, "{found:e}, {expected:e}");
    };
    at_every_level(|_| {
        for length in [1, 8, 9, 17] {
            for (squash, z, a, y, expected) in [
                (Squash::Sigmoid, 40.0, 1.0, 1.0, -4.248_354_255_291_589e-18),
                (Squash::Tanh, 20.0, 1.0, 1.0, -8.496_708_510_583_178e-18),
                (Squash::Softsign, -1e20, -1.0, -1.0, 1e-20),
                (
                    Squash::Exponential,
                    1e-10,
                    1.000_000_000_1,
                    1.0,
                    1.000_000_000_05e-10,
                ),
                (Squash::Sigmoid, 1e-10, 0.500_000_000_025, 0.5, 2.5e-11),
                (
                    Squash::Elu { alpha: 1.0 },
                    -40.0,
                    -1.0,
                    -1.0,
                    4.248_354_255_291_589e-18,
                ),
            ] {
                let [z, a, y] = [z, a, y].map(|x| vec![x; length]);
                let mut out = vec![7.0; length];
                let window = Window { rows: 1, start: 0 };
                let (z, a, y) = (&z, &a, &y);
                differences_at(squash, window, OutputSlices { z, a, y }, &mut out);
                out.iter().for_each(|&d| close(d, expected));
            }
        }
        // δ = ±½ tanh(½·10⁻¹⁰) for two outputs. The third output reduces it.
        let (z, y) = ([1e-10, 0.0, -60.0], [0.5, 0.5, 0.0]);
        let a = outputs(Squash::Softmax, &DMatrix::from_column_slice(3, 1, &z));
        let mut out = [7.0; 3];
        let (z, a, y) = (&z, a.as_slice(), &y);
        let at = OutputSlices { z, a, y };
        categorical_cross_entropy_delta_at(3, at, &mut out);
        close(out[0], 2.5e-11);
        close(out[1], -2.5e-11);
        let window = Window { rows: 3, start: 0 };
        differences_at(Squash::Softmax, window, at, &mut out);
        close(out[0], 2.5e-11);
    });
}

/// A NaN input gives a NaN output.
#[test]
fn nan_comes_out_as_nan() {
    at_every_level(|_| {
        for squash in SQUASHES {
            let (bad, y) = ([f64::NAN; 9], [1.0; 9]);
            let mut out = [7.0; 9];
            let (z, a, y) = (&bad, &bad, &y);
            let window = Window { rows: 3, start: 0 };
            differences_at(squash, window, OutputSlices { z, a, y }, &mut out);
            assert!(out.iter().all(|d| d.is_nan()), "{squash:?}");
        }
    });
}

/// The dual part of a − y is g′(z), and that of 1 − a is −g′(z).
#[test]
fn dual_parts_are_those_of_a() {
    let z = wave(4, 12).map(|z| Dual64::new(z, 1.0));
    for squash in SQUASHES {
        let a = outputs(squash, &z);
        for target in [0.0, 0.5, 1.0, -1.0, -1.5] {
            let y = z.map(|_| Dual64::from(target));
            let at = Outputs::new(None, a.as_view(), y.as_view())
                .activated_by(activation(squash), z.as_view());
            for (i, k) in (0..12).flat_map(|k| (0..4).map(move |i| (i, k))) {
                let slope = a[(i, k)].eps;
                for found in [at.difference(i, k).eps, -at.complement(i, k).eps] {
                    let bound = 1e-13 * slope.abs() + 1e-15 * f64::from(squash == Squash::Softmax);
                    assert!(
                        (found - slope).abs() <= bound,
                        "{squash:?}: {found:e}, {slope:e}"
                    );
                }
            }
        }
    }
    // For Poisson with its canonical activation, the derivative of δ is a.
    let (a, y) = (
        outputs(Squash::Exponential, &z),
        z.map(|_| Dual64::from(1.0)),
    );
    let mut delta = z.clone();
    let at = Outputs::new(Some(z.as_view()), a.as_view(), y.as_view());
    AnyCost::Poisson.delta(&at, delta.as_view_mut());
    for (d, a) in delta.iter().zip(&a) {
        assert!((d.eps - a.re).abs() <= 1e-14 * a.re);
    }
}

#[test]
fn only_f32_and_f64_have_fast_paths() {
    let (z, a, y) = ([0.0_f32; 3], [0.5_f32; 3], [0.5_f32; 3]);
    let (mut out, window) = ([7.0; 3], Window { rows: 3, start: 0 });
    let (z, a, y) = (&z, &a, &y);
    let at = OutputSlices { z, a, y };
    assert!(differences(Squash::Sigmoid, window, at, &mut out) && out == [0.0; 3]);
    let z = [Dual64::from(0.5); 3];
    let mut out = z;
    let at = OutputSlices {
        z: &z,
        a: &z,
        y: &z,
    };
    assert!(!differences(Squash::Tanh, window, at, &mut out) && out == z);
}
