//! What the scalers have in common: statistics of rows, and a function of each entry and its row.

use crate::error::Error;
#[cfg(feature = "serde")]
use crate::examples::check_length;
use crate::examples::{check_finite, check_rows};
use crate::layout::allocate;
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};

pub(super) const X: &str = "X";
pub(super) const Z: &str = "the scaled matrix";

/// Least and largest value of a row.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) least: f64,
    pub(super) largest: f64,
}

impl Range {
    pub(super) fn width(self) -> f64 {
        self.largest - self.least
    }

    /// Returns whether all values are equal.
    pub(super) fn is_constant(self) -> bool {
        self.least == self.largest
    }
}

/// The mean and standard deviation of a row.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    pub(super) mean: f64,
    /// The exact mean minus `mean`.
    pub(super) rest: f64,
    pub(super) deviation: f64,
}

/// The range of each row of examples that are finite.
pub(super) fn ranges<T: Scalar>(x: DMatrixView<'_, T>) -> Result<Vec<Range>, Error> {
    if x.ncols() == 0 {
        return Err(Error::NoExamples);
    }
    if x.nrows() == 0 {
        check_rows(X, x, 1)?;
    }
    check_finite(X, x)?;
    let none = Range {
        least: f64::INFINITY,
        largest: f64::NEG_INFINITY,
    };
    let mut ranges = allocate("the ranges", (x.nrows(), 1), none)?;
    for column in x.column_iter() {
        for (range, &x) in ranges.iter_mut().zip(column.iter()) {
            let x = to_f64(x);
            range.least = range.least.min(x);
            range.largest = range.largest.max(x);
        }
    }
    Ok(ranges)
}

/// Mean and deviation of each row, in two passes.
pub(super) fn moments<T: Scalar>(
    x: DMatrixView<'_, T>,
    ranges: &[Range],
) -> Result<Vec<Moments>, Error> {
    let m = x.ncols() as f64;
    // In a constant row every x − least is 0, so the mean is the constant itself.
    let sums = row_sums(x, |row, x| (x - ranges[row].least, 0.0))?;
    let none = Moments {
        mean: 0.0,
        rest: 0.0,
        deviation: 0.0,
    };
    let mut moments = allocate("the moments", (x.nrows(), 1), none)?;
    for ((moments, range), sums) in moments.iter_mut().zip(ranges).zip(sums) {
        moments.mean = range.least + sums.0 / m;
        // The largest |x − mean|, in units of which no square overflows.
        moments.deviation = (range.largest - moments.mean).max(moments.mean - range.least);
    }
    let sums = row_sums(x, |row, x| {
        let (mean, unit) = (moments[row].mean, moments[row].deviation);
        let d = if unit > 0.0 { (x - mean) / unit } else { 0.0 };
        (d, d * d)
    })?;
    for (moments, sums) in moments.iter_mut().zip(sums) {
        let (first, unit) = (moments.mean, moments.deviation);
        if first.is_finite() {
            let rest = sums.0 / m;
            let variance = (sums.1 / m - rest * rest).max(0.0);
            // The mean is first + unit · rest, kept as two numbers (Dekker).
            let mean = first + unit * rest;
            *moments = Moments {
                mean,
                rest: (first - mean) + unit * rest,
                deviation: unit * variance.sqrt(),
            };
        }
    }
    Ok(moments)
}

/// Two sums over each row, column by column, as the matrix lies; in blocks, so that long rows keep their digits.
fn row_sums<T: Scalar>(
    x: DMatrixView<'_, T>,
    terms: impl Fn(usize, f64) -> (f64, f64),
) -> Result<Vec<(f64, f64)>, Error> {
    const BLOCK: usize = 512;
    let mut sums = allocate("the sums", (x.nrows(), 1), (0.0, 0.0))?;
    let mut block = allocate("the sums", (x.nrows(), 1), (0.0, 0.0))?;
    for (k, column) in x.column_iter().enumerate() {
        for (row, (sums, &x)) in block.iter_mut().zip(column.iter()).enumerate() {
            let terms = terms(row, to_f64(x));
            *sums = (sums.0 + terms.0, sums.1 + terms.1);
        }
        if (k + 1).is_multiple_of(BLOCK) || k + 1 == x.ncols() {
            for (sums, block) in sums.iter_mut().zip(&mut block) {
                *sums = (sums.0 + block.0, sums.1 + block.1);
                *block = (0.0, 0.0);
            }
        }
    }
    Ok(sums)
}

/// A mean as T, if it is finite there.
pub(super) fn finite<T: Scalar>(row: usize, value: f64) -> Result<T, Error> {
    let in_t: T = real(value);
    if in_t.is_finite() {
        return Ok(in_t);
    }
    Err(Error::Spread { row, value })
}

/// A divisor as T, if it is finite and above 0 there.
pub(super) fn divisor<T: Scalar>(row: usize, value: f64) -> Result<T, Error> {
    let in_t: T = real(value);
    check_divisors(&[in_t]).map_err(|_| Error::Spread { row, value })?;
    Ok(in_t)
}

pub(super) fn check_divisors<T: Scalar>(divisors: &[T]) -> Result<(), Error> {
    let fine = |x: &T| x.is_finite() && *x > T::zero();
    match divisors.iter().position(|x| !fine(x)) {
        None => Ok(()),
        Some(row) => Err(Error::Spread {
            row,
            value: to_f64(divisors[row]),
        }),
    }
}

/// Checks that each rest can be what rounding left out of its mean.
#[cfg(feature = "serde")]
pub(super) fn check_rests<T: Scalar>(means: &[T], rests: &[T]) -> Result<(), Error> {
    check_length("the rests", means.len(), rests.len())?;
    for (mean, &rest) in means.iter().zip(rests) {
        let is_small = rest.abs() <= mean.abs() * T::default_epsilon();
        if !is_small {
            return Err(Error::Hyperparameter {
                name: "a rest of the means",
                value: to_f64(rest),
                expected: "at most the rounding error of its mean",
            });
        }
    }
    Ok(())
}

/// A slice as a matrix of one column.
pub(super) fn column<T: Scalar>(values: &[T]) -> DMatrixView<'_, T> {
    DMatrixView::from_slice(values, values.len(), 1)
}

/// The matrix of f(row, x), after all of it is known to be finite.
pub(super) fn mapped<T: Scalar>(
    what: &'static str,
    x: DMatrixView<'_, T>,
    rows: usize,
    f: impl Fn(usize, T) -> T,
) -> Result<DMatrix<T>, Error> {
    check_rows(what, x, rows)?;
    let entries = allocate("the scaled matrix", x.shape(), T::zero())?;
    let mut out = DMatrix::from_vec(x.nrows(), x.ncols(), entries);
    map_into(what, x, out.as_view_mut(), rows, f)?;
    Ok(out)
}

pub(super) fn map_into<T: Scalar>(
    what: &'static str,
    x: DMatrixView<'_, T>,
    mut out: DMatrixViewMut<'_, T>,
    rows: usize,
    f: impl Fn(usize, T) -> T,
) -> Result<(), Error> {
    check_rows(what, x, rows)?;
    if out.shape() != x.shape() {
        return Err(Error::Shape {
            what: "the matrix for the result",
            expected: x.shape(),
            found: out.shape(),
        });
    }
    if x.is_empty() {
        return Ok(()); // however many columns there are
    }
    check_finite(what, x)?;
    for (example, column) in x.column_iter().enumerate() {
        for (row, &x) in column.iter().enumerate() {
            let value = f(row, x);
            if !value.is_finite() {
                let value = to_f64(value);
                return Err(Error::Scaled {
                    row,
                    example,
                    value,
                });
            }
        }
    }
    for (column, mut out) in x.column_iter().zip(out.column_iter_mut()) {
        for (row, (&x, out)) in column.iter().zip(out.iter_mut()).enumerate() {
            *out = f(row, x);
        }
    }
    Ok(())
}
