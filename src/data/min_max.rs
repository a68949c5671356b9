//! Scales rows to an interval, and back.

use super::scaler::Scaler;
use super::statistics::{check_divisors, column, divisor, ranges};
use crate::allocation::reserved;
use crate::columns::Columns;
use crate::error::{Error, hyperparameter};
use crate::examples::{check_finite, check_length};
use crate::scalar::{Scalar, real, to_f64};

/// Scales rows to \[a, b]: zᵢ = a + (b − a)(xᵢ − minᵢ)/(maxᵢ − minᵢ). The default is \[0, 1].
///
/// It works like scikit-learn's `MinMaxScaler`. The fitted examples never leave \[a, b], with a and
/// b rounded to T. minᵢ maps to a, maxᵢ maps to b, and a larger x never gives a smaller z. New
/// examples may lie outside \[a, b]; nothing is clipped.
///
/// A row is constant if all its values are equal. Such a row is divided by 1, so it maps to a. Any
/// other row fills \[a, b], even if its values hardly differ: 0.3 and 0.1 + 0.2, which differ in
/// the last bit, map to a and b. If a row should be constant but differs by rounding, round its
/// values before the fit, or drop the row. (scikit-learn divides a row by 1 if its range is below
/// 2·10⁻¹⁵, whatever the size of its values.)
///
/// # Example
/// ```
/// use backprop::data::{MinMaxScaler, Scaler};
/// use backprop::nalgebra::DMatrix;
///
/// let x = DMatrix::from_row_slice(2, 3, &[2.0, 6.0, 3.0, 5.0, 5.0, 5.0]);
/// let scaler = MinMaxScaler::fit(&x)?;
/// let scaled = scaler.apply(&DMatrix::from_row_slice(2, 2, &[3.0, 10.0, 5.0, 6.0]))?;
/// assert_eq!(scaled, DMatrix::from_row_slice(2, 2, &[0.25, 2.0, 0.0, 1.0]));
/// let symmetric = scaler.interval(-1.0, 1.0)?;
/// let scaled = symmetric.apply(&DMatrix::from_row_slice(2, 2, &[3.0, 6.0, 5.0, 5.0]))?;
/// assert_eq!(scaled, DMatrix::from_row_slice(2, 2, &[-0.5, 1.0, -1.0, -1.0]));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize),
    serde(
        try_from = "saved::MinMaxScaler<T>",
        bound(deserialize = "T: Scalar + serde::Deserialize<'de>")
    )
)]
pub struct MinMaxScaler<T> {
    minima: Vec<T>,
    ranges: Vec<T>,
    pub(crate) interval: (f64, f64),
}

impl<T: Scalar> MinMaxScaler<T> {
    /// Fits a scaler with the interval \[0, 1] to examples X (n × m).
    ///
    /// # Errors
    /// - [`Error::NoExamples`] if X has no columns, [`Error::Shape`] if it has no rows.
    /// - [`Error::NonFinite`] with the first entry that is NaN or infinite.
    /// - [`Error::Spread`] with the first row whose range T cannot represent.
    pub fn fit<'a>(x: impl Columns<'a, T>) -> Result<Self, Error> {
        let x = x.columns_view();
        let ranges = ranges(x)?;
        let (mut minima, mut divisors) = (
            reserved("the minima", x.nrows())?,
            reserved("the ranges", x.nrows())?,
        );
        for (row, &range) in ranges.iter().enumerate() {
            let (least, largest) = (real::<T>(range.least), real::<T>(range.largest));
            minima.push(least);
            // Subtracted in T, as in `scale`, so the largest value becomes exactly 1.
            let width = largest - least;
            divisors.push(if range.is_constant() {
                T::one()
            } else if width.is_finite() {
                divisor(row, to_f64(width))?
            } else {
                divisor(row, range.width())?
            });
        }
        Self::new(minima, divisors)
    }

    /// Creates a scaler with the interval \[0, 1] from known minima and ranges max − min > 0.
    ///
    /// # Errors
    /// - [`Error::Length`] if the numbers of minima and ranges differ.
    /// - [`Error::NonFinite`] with the first minimum that is NaN or infinite.
    /// - [`Error::Spread`] with the first range that is not finite or not above 0.
    pub fn new(minima: Vec<T>, ranges: Vec<T>) -> Result<Self, Error> {
        check_length("the ranges", minima.len(), ranges.len())?;
        check_finite("the minima", column(&minima))?;
        check_divisors(&ranges)?;
        Ok(Self {
            minima,
            ranges,
            interval: (0.0, 1.0),
        })
    }

    /// Scales to \[a, b] instead.
    ///
    /// # Errors
    /// Returns [`Error::Hyperparameter`] unless a < b and b − a is finite, with a and b rounded to
    /// T.
    pub fn interval(mut self, a: f64, b: f64) -> Result<Self, Error> {
        let finite = |x| real::<T>(x).is_finite();
        for (name, value, fine) in [
            ("a of the interval [a, b]", a, finite(a)),
            (
                "b of the interval [a, b]",
                b,
                finite(b)
                    && real::<T>(b) > real::<T>(a)
                    && (real::<T>(b) - real::<T>(a)).is_finite(),
            ),
        ] {
            if !fine {
                return Err(hyperparameter(
                    name,
                    value,
                    "a finite number, with a < b and b − a finite",
                ));
            }
        }
        self.interval = (a, b);
        Ok(self)
    }

    /// Returns the smallest value of each row.
    #[must_use]
    pub fn minima(&self) -> &[T] {
        &self.minima
    }

    /// Returns max − min of each row; 1 for a constant row.
    #[must_use]
    pub fn ranges(&self) -> &[T] {
        &self.ranges
    }
}

impl<T: Scalar> Scaler<T> for MinMaxScaler<T> {
    fn rows(&self) -> usize {
        self.minima.len()
    }

    /// Returns a + (b − a)(x − min)/(max − min).
    ///
    /// With t = (x − min)/(max − min), this interpolates from the nearer end: a + t w or
    /// b − (1 − t) w. The width w is b − a or, if T rounds that up, slightly less.
    ///
    /// Rounding never moves z out of \[a, b], and z never falls as x rises. Each operation is
    /// rounded to nearest, which preserves order. x − min is at most the rounded max − min, so
    /// t ≤ 1, and t = 0 and t = 1 give a and b exactly. Both formulas rise with t. It remains to
    /// show that the second is not below the first at t = ½. There, w/2 is exact, and 1 − t is
    /// exact for t from ½ to 2. Therefore, b − (1 − t) w ≥ b − w/2 ≥ a + w/2, because w ≤ b − a.
    /// (If w/2 is not exact, all values are multiples of the smallest positive T, and the
    /// same holds.)
    fn scale(&self, row: usize, x: T) -> T {
        let (a, b): (T, T) = (real(self.interval.0), real(self.interval.1));
        let mut width = b - a;
        // (b − a) − w, exactly (Knuth).
        let moved = width - b;
        let rest = (b - (width - moved)) - (a + moved);
        if rest < T::zero() {
            width *= T::one() - T::default_epsilon();
        }
        let t = (x - self.minima[row]) / self.ranges[row];
        if t <= real(0.5) {
            t * width + a
        } else {
            b - (T::one() - t) * width
        }
    }

    /// Returns min + (max − min)(z − a)/(b − a).
    fn unscale(&self, row: usize, z: T) -> T {
        let (a, b): (T, T) = (real(self.interval.0), real(self.interval.1));
        (z - a) / (b - a) * self.ranges[row] + self.minima[row]
    }
}

/// The serialized form, and the form read back before validation.
#[cfg(feature = "serde")]
mod saved {
    use crate::error::Error;
    use crate::saved_numbers::{ScalarName, list};
    use crate::scalar::Scalar;
    use serde::{Deserialize, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, bound = "T: Deserialize<'de>")]
    pub(super) struct MinMaxScaler<T> {
        #[serde(default, rename = "scalar")]
        _scalar: ScalarName<T>,
        #[serde(deserialize_with = "list")]
        minima: Vec<T>,
        #[serde(deserialize_with = "list")]
        ranges: Vec<T>,
        interval: (f64, f64),
    }

    impl<T: Scalar> TryFrom<MinMaxScaler<T>> for super::MinMaxScaler<T> {
        type Error = Error;

        fn try_from(read: MinMaxScaler<T>) -> Result<Self, Error> {
            let (a, b) = read.interval;
            Self::new(read.minima, read.ranges)?.interval(a, b)
        }
    }

    impl<T: Serialize> Serialize for super::MinMaxScaler<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            #[derive(Serialize)]
            #[serde(bound = "T: Serialize")]
            struct MinMaxScaler<'a, T> {
                scalar: ScalarName<T>,
                minima: &'a [T],
                ranges: &'a [T],
                interval: (f64, f64),
            }

            let written = MinMaxScaler {
                scalar: ScalarName::<T>::default(),
                minima: &self.minima,
                ranges: &self.ranges,
                interval: self.interval,
            };
            written.serialize(serializer)
        }
    }
}
