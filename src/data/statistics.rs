//! Statistics of rows, for the scalers.

use crate::allocation::allocate;
use crate::error::Error;
#[cfg(feature = "serde")]
use crate::examples::check_length;
use crate::examples::{check_finite, check_rows};
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::DMatrixView;

/// The smallest and the largest value of a row.
#[derive(Clone, Copy)]
pub(super) struct RowRange {
    pub(super) least: f64,
    pub(super) largest: f64,
}

impl RowRange {
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

/// Returns the range of each row. X must be finite and not empty.
pub(super) fn ranges<T: Scalar>(x: DMatrixView<'_, T>) -> Result<Vec<RowRange>, Error> {
    if x.ncols() == 0 {
        return Err(Error::NoExamples);
    }
    if x.nrows() == 0 {
        check_rows("X", x, 1)?;
    }
    check_finite("X", x)?;
    let none = RowRange {
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

/// Returns the mean and standard deviation of each row, computed in two passes.
pub(super) fn moments<T: Scalar>(
    x: DMatrixView<'_, T>,
    ranges: &[RowRange],
) -> Result<Vec<Moments>, Error> {
    let m = x.ncols() as f64;
    // In a constant row every x − least is 0, so the mean is the constant itself.
    let sums = row_sums(x, |row, x| Sums {
        first: x - ranges[row].least,
        second: 0.0,
    })?;
    let none = Moments {
        mean: 0.0,
        rest: 0.0,
        deviation: 0.0,
    };
    let mut moments = allocate("the moments", (x.nrows(), 1), none)?;
    for ((moments, range), sums) in moments.iter_mut().zip(ranges).zip(sums) {
        moments.mean = range.least + sums.first / m;
        // The largest |x − mean|. In units of this value, no square overflows.
        moments.deviation = (range.largest - moments.mean).max(moments.mean - range.least);
    }
    let sums = row_sums(x, |row, x| {
        let (mean, unit) = (moments[row].mean, moments[row].deviation);
        let d = if unit > 0.0 { (x - mean) / unit } else { 0.0 };
        Sums {
            first: d,
            second: d * d,
        }
    })?;
    for (moments, sums) in moments.iter_mut().zip(sums) {
        let (first, unit) = (moments.mean, moments.deviation);
        if first.is_finite() {
            let rest = sums.first / m;
            let variance = (sums.second / m - rest * rest).max(0.0);
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

/// Two sums over a row.
#[derive(Clone, Copy, Default)]
struct Sums {
    first: f64,
    second: f64,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.first += other.first;
        self.second += other.second;
    }
}

/// Returns two sums over each row. Columns are added in blocks, so the sums of long rows keep their
/// precision.
fn row_sums<T: Scalar>(
    x: DMatrixView<'_, T>,
    terms: impl Fn(usize, f64) -> Sums,
) -> Result<Vec<Sums>, Error> {
    const BLOCK: usize = 512;
    let mut sums = allocate("the sums", (x.nrows(), 1), Sums::default())?;
    let mut block = allocate("the sums", (x.nrows(), 1), Sums::default())?;
    for (k, column) in x.column_iter().enumerate() {
        for (row, (sums, &x)) in block.iter_mut().zip(column.iter()).enumerate() {
            sums.add(terms(row, to_f64(x)));
        }
        if (k + 1).is_multiple_of(BLOCK) || k + 1 == x.ncols() {
            for (sums, block) in sums.iter_mut().zip(&mut block) {
                sums.add(std::mem::take(block));
            }
        }
    }
    Ok(sums)
}

/// Rounds a mean to T, where it must be finite.
pub(super) fn finite<T: Scalar>(row: usize, value: f64) -> Result<T, Error> {
    let in_t: T = real(value);
    if in_t.is_finite() {
        return Ok(in_t);
    }
    Err(Error::Spread { row, value })
}

/// Rounds a divisor to T, where it must be finite and above 0.
pub(super) fn divisor<T: Scalar>(row: usize, value: f64) -> Result<T, Error> {
    let in_t: T = real(value);
    check_divisors(&[in_t]).map_err(|_| Error::Spread { row, value })?;
    Ok(in_t)
}

/// Checks that all divisors are finite and above 0.
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

/// Checks that each remainder is small enough to be the rounding error of its mean.
#[cfg(feature = "serde")]
pub(super) fn check_rests<T: Scalar>(means: &[T], rests: &[T]) -> Result<(), Error> {
    let what = "the rounding remainders of the means";
    check_length(what, means.len(), rests.len())?;
    for (mean, &rest) in means.iter().zip(rests) {
        let is_small = rest.abs() <= mean.abs() * T::default_epsilon();
        if !is_small {
            return Err(crate::error::hyperparameter(
                "the rounding remainder of a mean",
                to_f64(rest),
                "at most the rounding error of its mean",
            ));
        }
    }
    Ok(())
}

/// Views a slice as a matrix of one column.
pub(super) fn column<T: Scalar>(values: &[T]) -> DMatrixView<'_, T> {
    DMatrixView::from_slice(values, values.len(), 1)
}
