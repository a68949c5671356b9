//! The products against the plain loops: at every level, at awkward sizes, on strided columns, and
//! with and without room.

use super::super::level::{Level, at_every_level};
use super::super::vector::{Fast, Lanes, Operation};
use super::*;
use crate::scalar::{real, to_f64};
use nalgebra::DMatrix;

/// Returns entries of both signs, none of them a round number.
fn entries<T: Scalar>(rows: usize, columns: usize, seed: usize) -> DMatrix<T> {
    DMatrix::from_fn(rows, columns, |i, j| {
        real(((3 * i + 7 * j + seed) as f64 * 0.7).sin())
    })
}

/// Asserts that entries are as expected, up to the rounding of sums of `terms` terms of size 1.
#[track_caller]
fn close<T: Scalar>(found: &[T], expected: &[T], terms: usize, what: &str) {
    assert_eq!(found.len(), expected.len());
    let epsilon = to_f64(T::default_epsilon());
    let each = 4.0 * (terms as f64 + 8.0) * epsilon;
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let (found, expected) = (to_f64(found), to_f64(expected));
        assert!(
            (found - expected).abs() <= each * expected.abs().max(1.0),
            "{what}, entry {i}: {found} and {expected}"
        );
    }
}

/// The sizes of a layer's products: units, inputs and examples.
#[derive(Clone, Copy)]
struct Sizes {
    s: usize,
    n: usize,
    m: usize,
}

/// Checks the three products of a layer, whose columns lie in taller matrices.
fn products<T: Scalar>(level: Level, sizes: Sizes, bias: usize, with_room: bool) {
    let Sizes { s, n, m } = sizes;
    let what = &format!("{level:?} {s} x {n} x {m}, bias: {bias}, room: {with_room}");
    let theta = entries::<T>(s, n + bias, 1);
    let (of_bias, weights) = theta.as_slice().split_at(s * bias);
    let tall_x = entries::<T>(n + 3, m, 2);
    let tall_delta = entries::<T>(s + 2, m, 3);
    let (x, delta) = (tall_x.rows(1, n), tall_delta.rows(2, s));
    let nan: T = real(f64::NAN);
    let len = if with_room { room_for::<T>(s, n, m) } else { 0 };
    let mut room = vec![nan; len];

    let (x, delta) = (&x, &delta);
    // The rows above and below the result must not be written.
    let around = |rows: usize| DMatrix::repeat(rows + 2, m, nan);
    let untouched = |matrix: &DMatrix<T>, rows: usize| {
        let edges = [0, rows + 1];
        let kept = |k| edges.iter().all(|&i| !matrix[(i, k)].is_finite());
        assert!((0..m).all(kept), "{what}: wrote outside the result");
    };

    let (mut found, mut expected) = (around(s), around(s));
    affine(theta.as_slice(), x, &mut found.rows_mut(1, s), &mut room);
    plain_products::affine(of_bias, weights, x, &mut expected.rows_mut(1, s));
    untouched(&found, s);
    let (found, expected) = (found.rows(1, s), expected.rows(1, s));
    close(
        found.clone_owned().as_slice(),
        expected.clone_owned().as_slice(),
        n + 1,
        what,
    );

    let (mut found, mut expected) = (vec![nan; theta.len()], vec![nan; theta.len()]);
    outer(delta, x, &mut found, &mut room);
    plain_products::outer(delta, x, &mut expected);
    close(&found, &expected, m, what);

    let (mut found, mut expected) = (around(n), around(n));
    transpose_product(
        theta.as_slice(),
        delta,
        &mut found.rows_mut(1, n),
        &mut room,
    );
    plain_products::transpose_product::<T, false>(weights, delta, &mut expected.rows_mut(1, n));
    untouched(&found, n);
    let (found, expected) = (found.rows(1, n), expected.rows(1, n));
    close(
        found.clone_owned().as_slice(),
        expected.clone_owned().as_slice(),
        s,
        what,
    );
    adding_products((theta.as_slice(), weights), x, delta, &mut room, what);
}

/// Checks the products that add to their results.
fn adding_products<T: Scalar>(
    (theta, weights): (&[T], &[T]),
    x: &DMatrixView<'_, T>,
    delta: &DMatrixView<'_, T>,
    room: &mut [T],
    what: &str,
) {
    let (s, n, m) = (delta.nrows(), x.nrows(), x.ncols());
    let present = entries::<T>(s, m, 4);
    let (mut found, mut expected) = (present.clone(), present);
    add_linear(theta, x, &mut found.as_view_mut(), room);
    plain_products::add_linear(weights, x, &mut expected.as_view_mut());
    close(found.as_slice(), expected.as_slice(), n + 1, what);

    let bias = theta.len() - weights.len();
    let present = entries::<T>(theta.len(), 1, 5);
    let (mut found, mut expected) = (present.clone(), present);
    add_outer(delta, x, found.as_mut_slice(), room);
    plain_products::add_outer(delta, x, &mut expected.as_mut_slice()[bias..]);
    close(found.as_slice(), expected.as_slice(), m + 1, what);

    let present = entries::<T>(n, m, 6);
    let (mut found, mut expected) = (present.clone(), present);
    add_transpose_product(theta, delta, &mut found.as_view_mut(), room);
    let mut expected_view = expected.as_view_mut();
    plain_products::transpose_product::<T, true>(weights, delta, &mut expected_view);
    close(found.as_slice(), expected.as_slice(), s + 1, what);
}

fn every_way(sizes: Sizes) {
    at_every_level(|level| {
        for (bias, room) in [(1, true), (1, false), (0, true), (0, false)] {
            products::<f64>(level, sizes, bias, room);
            products::<f32>(level, sizes, bias, room);
        }
    });
}

#[test]
fn products_equal_the_plain_loops_at_awkward_sizes() {
    let sizes = [1, 2, 3, 15, 16, 17, 25, 63, 64, 65];
    for (i, &s) in sizes.iter().enumerate() {
        for (j, &n) in sizes.iter().enumerate() {
            // Every pair of sizes, each with some numbers of examples.
            for m in [0, 1, 2, sizes[(i + j) % 10], sizes[(i + 3 * j) % 10]] {
                every_way(Sizes { s, n, m });
            }
        }
    }
}

#[test]
fn products_equal_the_plain_loops_in_several_blocks() {
    // Several blocks of the depth, several blocks of the rows, columns a multiple of a page apart,
    // and large in all directions.
    for (s, n, m) in [
        (70, 2100, 40),
        (2100, 40, 35),
        (25, 30, 2500),
        (512, 64, 33),
        (1, 2500, 3),
        (3, 1, 2600),
        (300, 310, 320),
    ] {
        every_way(Sizes { s, n, m });
    }
}

#[test]
fn a_gradient_of_a_million_examples_is_accurate() {
    let delta = DMatrix::repeat(1, 1_000_000, 0.1_f32);
    let x = DMatrix::repeat(1, 1_000_000, 0.3_f32);
    let exact = [0.1_f32, 0.1_f32 * 0.3].map(|term| f64::from(term) * 1e6);
    at_every_level(|level| {
        let mut gradient = [f32::NAN; 2];
        outer(&delta.as_view(), &x.as_view(), &mut gradient, &mut []);
        for (found, exact) in gradient.iter().zip(exact) {
            let error = (f64::from(*found) / exact - 1.0).abs();
            assert!(error < 1e-4, "{level:?}: {found} and {exact}");
        }
    });
}

/// Sums equal terms, whose rounding errors all have the same sign, with room for the tree.
///
/// The sizes take every path: column 0, matrices times a vector, tiles and transposed tiles, with
/// one block of the depth and with several.
#[test]
fn sums_over_examples_are_within_a_few_roundings() {
    for (s, n) in [(1, 1), (1, 40), (3, 2), (17, 5), (25, 64), (200, 3)] {
        for m in [96, 97, 1000, 2048, 2049, 20_000] {
            let delta = DMatrix::repeat(s, m, 0.7_f32);
            let x = DMatrix::repeat(n, m, 0.3_f32);
            let terms = [f64::from(0.7_f32), f64::from(0.7_f32) * f64::from(0.3_f32)];
            at_every_level(|level| {
                let mut room = vec![f32::NAN; room_for::<f32>(s, n, m)];
                let mut gradient = vec![f32::NAN; s * (n + 1)];
                outer(&delta.as_view(), &x.as_view(), &mut gradient, &mut room);
                let check = |gradient: &[f32], times: f64| {
                    for (i, &found) in gradient.iter().enumerate() {
                        let expected = terms[usize::from(i >= s)] * m as f64;
                        let times = if i < s { 1.0 } else { times };
                        let error = (f64::from(found) / (expected * times) - 1.0).abs();
                        assert!(
                            error < 2.6e-6,
                            "{level:?}, {s} × {n}, {m}, entry {i}: {error:e}"
                        );
                    }
                };
                check(&gradient, 1.0);
                add_outer(&delta.as_view(), &x.as_view(), &mut gradient, &mut room);
                check(&gradient, 2.0);
            });
        }
    }
}

/// Other processors use arrays as registers.
#[test]
fn products_in_arrays_equal_those_in_registers() {
    fn check<T: Fast, const N: usize>(rows: usize, columns: usize, order: StorageOrder)
    where
        Lanes<T, N>: crate::kernels::vector::Vector<Scalar = T>,
    {
        let depth = 11;
        let (a, b) = (
            entries::<T>(rows, depth, 4),
            entries::<T>(depth, columns, 5),
        );
        let stored = match order {
            StorageOrder::ColumnMajor => a.clone(),
            StorageOrder::RowMajor => a.transpose(),
        };
        let start = entries::<T>(rows, 1, 6);
        let mut c = DMatrix::repeat(rows, columns, real(f64::NAN));
        let mut room = vec![real(f64::NAN); scratch::<T>(rows, columns, depth)];
        let product = Gemm {
            rows,
            columns,
            depth,
            chain: usize::MAX,
            order,
            a: stored.as_ptr(),
            a_step: stored.nrows(),
            b: b.as_ptr(),
            b_step: 1,
            b_column: depth,
            c: c.as_mut_ptr(),
            c_step: rows,
            transposed: false,
            start: Start::Column(start.as_ptr()),
            room: room.as_mut_ptr(),
            room_len: room.len(),
        };
        // SAFETY: the matrices have the shapes that the product names, and arrays need no
        // instructions.
        unsafe { product.run::<Lanes<T, N>>() };
        let expected = DMatrix::from_fn(rows, columns, |i, j| {
            (0..depth).fold(start[i], |sum, p| sum + a[(i, p)] * b[(p, j)])
        });
        close(c.as_slice(), expected.as_slice(), depth + 1, "arrays");
    }
    for rows in [1, 3, 4, 5, 9] {
        for columns in [1, 2, 3, 7] {
            for order in [StorageOrder::ColumnMajor, StorageOrder::RowMajor] {
                check::<f64, 2>(rows, columns, order);
                check::<f32, 4>(rows, columns, order);
            }
        }
    }
}

/// Sizes whose product wraps around to the length are rejected.
#[test]
#[should_panic(expected = "(1 + ")]
fn a_length_is_compared_without_an_overflow() {
    let half = 1_usize << (usize::BITS / 2);
    bias_len(&vec![(); half], half, half);
}
