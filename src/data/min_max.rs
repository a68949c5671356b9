//! Rows brought into an interval, and back.

use super::rows::{X, Z, check_divisors, column, divisor, map_into, mapped, ranges};
use crate::error::Error;
use crate::examples::{Columns, check_finite, check_length};
use crate::layout::{allocate, reserved};
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::{DMatrix, DMatrixViewMut};

/// Rows with all values of the fit in \[a, b]: zᵢ = a + (b − a)(xᵢ − minᵢ)/(maxᵢ − minᵢ), with \[0, 1] unless told otherwise.
///
/// As scikit-learn's `MinMaxScaler`. The values of the fit are never outside of \[a, b], with a and b
/// rounded to T: minᵢ becomes a, maxᵢ becomes b, and a larger x never gives a smaller z. Later examples
/// may lie outside of \[a, b]; nothing is clipped.
///
/// A constant row, whose values are all equal, is divided by 1, so that it becomes a. Any other row
/// fills \[a, b], however little its values differ: 0.3 and 0.1 + 0.2, which differ in the last bit,
/// become a and b. If a row should be constant and is not because of rounding, round its values before
/// the fit, or drop the row. (scikit-learn divides every row by 1 whose range is below 2·10⁻¹⁵,
/// whatever its size.)
///
/// Two scalers are equal if their [`minima`](Self::minima), [`ranges`](Self::ranges) and intervals are.
///
/// # Example
/// ```
/// use backprop::data::MinMaxScaler;
/// use backprop::nalgebra::DMatrix;
///
/// let scaler = MinMaxScaler::fit(&DMatrix::from_row_slice(2, 3, &[2.0, 6.0, 3.0, 5.0, 5.0, 5.0]))?;
/// let scaled = scaler.apply(&DMatrix::from_row_slice(2, 2, &[3.0, 10.0, 5.0, 6.0]))?;
/// assert_eq!(scaled, DMatrix::from_row_slice(2, 2, &[0.25, 2.0, 0.0, 1.0]));
/// let symmetric = scaler.interval(-1.0, 1.0)?;
/// let scaled = symmetric.apply(&DMatrix::from_row_slice(2, 2, &[3.0, 6.0, 5.0, 5.0]))?;
/// assert_eq!(scaled, DMatrix::from_row_slice(2, 2, &[-0.5, 1.0, -1.0, -1.0]));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
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
    /// What rounding leaves out of min + range, so that the maxima are known.
    rests: Vec<T>,
    interval: (f64, f64),
}

impl<T: PartialEq> PartialEq for MinMaxScaler<T> {
    fn eq(&self, other: &Self) -> bool {
        (&self.minima, &self.ranges) == (&other.minima, &other.ranges)
            && self.interval == other.interval
    }
}

impl<T: Scalar> MinMaxScaler<T> {
    /// The scaler of these examples, X of n × m, to \[0, 1].
    ///
    /// # Errors
    /// - [`Error::NoExamples`] if X has no columns, [`Error::Shape`] if it has no rows.
    /// - [`Error::NonFiniteInput`] with the first entry that is NaN or infinite.
    /// - [`Error::Spread`] with the first row whose range T cannot hold.
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
            // In T, as `forward` subtracts, so that the largest value is 1 exactly.
            let width = largest - least;
            divisors.push(match range.is_constant() {
                true => T::one(),
                false if width.is_finite() => divisor(row, to_f64(width))?,
                false => divisor(row, range.width())?,
            });
        }
        let mut scaler = Self::new(minima, divisors)?;
        for (row, range) in ranges
            .iter()
            .enumerate()
            .filter(|(_, range)| !range.is_constant())
        {
            let rest = real::<T>(range.largest) - scaler.maximum(row);
            scaler.rests[row] = if rest.is_finite() { rest } else { T::zero() };
        }
        Ok(scaler)
    }

    /// The scaler of minima and ranges max − min > 0 that are known, to \[0, 1].
    ///
    /// # Errors
    /// - [`Error::Length`] if there are not as many ranges as minima.
    /// - [`Error::NonFiniteInput`] with the first minimum that is NaN or infinite.
    /// - [`Error::Spread`] with the first range that is not finite or not above 0.
    pub fn new(minima: Vec<T>, ranges: Vec<T>) -> Result<Self, Error> {
        check_length("the ranges", minima.len(), ranges.len())?;
        check_finite("the minima", column(&minima))?;
        check_divisors(&ranges)?;
        let rests = allocate("the ranges", (minima.len(), 1), T::zero())?;
        Ok(Self {
            minima,
            ranges,
            rests,
            interval: (0.0, 1.0),
        })
    }

    /// The same scaler to another interval \[a, b].
    ///
    /// # Errors
    /// [`Error::Hyperparameter`] unless a < b, and a, b and b − a are finite in T, and b − a is not 0 there.
    pub fn interval(mut self, a: f64, b: f64) -> Result<Self, Error> {
        let finite = |x| real::<T>(x).is_finite();
        for (name, value, fine) in [
            ("a of the interval [a, b]", a, finite(a)),
            (
                "b of the interval [a, b]",
                b,
                finite(b)
                    && finite(b - a)
                    && real::<T>(b - a) > T::zero()
                    && (real::<T>(b) - real::<T>(a)).is_finite(),
            ),
        ] {
            if !fine {
                return Err(Error::Hyperparameter {
                    name,
                    value,
                    expected: "finite numbers a < b, whose difference is finite",
                });
            }
        }
        self.interval = (a, b);
        Ok(self)
    }

    /// The least value of each row.
    #[must_use]
    pub fn minima(&self) -> &[T] {
        &self.minima
    }

    /// max − min of each row: 1 for a constant row.
    #[must_use]
    pub fn ranges(&self) -> &[T] {
        &self.ranges
    }

    /// a + (b − a)(X − min)/(max − min), for X of n × m.
    ///
    /// # Errors
    /// - [`Error::Shape`] if X has not as many rows as the examples of the fit.
    /// - [`Error::NonFiniteInput`] with the first entry that is NaN or infinite.
    /// - [`Error::Scaled`] with the first entry that overflows.
    pub fn apply<'a>(&self, x: impl Columns<'a, T>) -> Result<DMatrix<T>, Error> {
        mapped(X, x.columns_view(), self.minima.len(), self.forward())
    }

    /// [`apply`](Self::apply) into a matrix of the shape of X, without allocation.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), and [`Error::Shape`] if `scaled` has another shape. An error leaves it unchanged.
    pub fn apply_into<'a>(
        &self,
        x: impl Columns<'a, T>,
        scaled: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        map_into(
            X,
            x.columns_view(),
            scaled,
            self.minima.len(),
            self.forward(),
        )
    }

    /// min + (max − min)(Z − a)/(b − a), which undoes [`apply`](Self::apply) but for rounding.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn invert<'a>(&self, z: impl Columns<'a, T>) -> Result<DMatrix<T>, Error> {
        mapped(Z, z.columns_view(), self.minima.len(), self.back())
    }

    /// [`invert`](Self::invert) into a matrix of the shape of Z, without allocation.
    ///
    /// # Errors
    /// As [`apply_into`](Self::apply_into).
    pub fn invert_into<'a>(
        &self,
        z: impl Columns<'a, T>,
        x: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        map_into(Z, z.columns_view(), x, self.minima.len(), self.back())
    }

    fn maximum(&self, row: usize) -> T {
        (self.minima[row] + self.ranges[row]) + self.rests[row]
    }

    /// From the nearer end, so that a and b become the least and the largest value exactly.
    fn back(&self) -> impl Fn(usize, T) -> T + '_ {
        let (a, b) = self.interval;
        let (start, width) = (real::<T>(a), real::<T>(b) - real::<T>(a));
        // In T the ends may be one number.
        let width = if width > T::zero() {
            width
        } else {
            real(b - a)
        };
        move |row, z| {
            let (t, range, maximum) = ((z - start) / width, self.ranges[row], self.maximum(row));
            match t <= real(0.5) || !maximum.is_finite() {
                true => t * range + self.minima[row],
                false => maximum - (T::one() - t) * range,
            }
        }
    }

    /// t = (x − min)/(max − min), and from the nearer end a + t w or b − (1 − t) w, where w is b − a
    /// or, if T rounds that up, a little less.
    ///
    /// With these, x never leaves \[a, b] by rounding, and z never falls as x rises. Each operation is
    /// rounded to the nearest number of T, and so keeps the order of its operands. x − min is at most
    /// what max − min was rounded to, hence t ≤ 1, and t = 0 and t = 1 give a and b exactly. Both
    /// formulas rise with t. It remains that the second is not below the first at t = ½: w/2 and, from
    /// there to t = 2, 1 − t are exact; then b − (1 − t) w ≥ b − w/2 ≥ a + w/2, because w ≤ b − a. (If
    /// w/2 is not exact, all are multiples of the least number of T, and the same holds.)
    fn forward(&self) -> impl Fn(usize, T) -> T + '_ {
        let (a, b): (T, T) = (real(self.interval.0), real(self.interval.1));
        let mut width = b - a;
        // b − a − w, exactly (Knuth).
        let moved = width - b;
        let rest = (b - (width - moved)) - (a + moved);
        if rest < T::zero() {
            width *= T::one() - T::default_epsilon();
        }
        move |row, x| {
            let t = (x - self.minima[row]) / self.ranges[row];
            match t <= real(0.5) {
                true => t * width + a,
                false => b - (T::one() - t) * width,
            }
        }
    }
}

/// The scaler as it is written, and as it is read before it is known to be valid.
#[cfg(feature = "serde")]
mod saved {
    use crate::data::rows::set_rests;
    use crate::error::Error;
    use crate::saved_numbers::{ScalarName, list};
    use crate::scalar::Scalar;
    use serde::ser::SerializeStruct;
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
        /// Not in files of version 1 and early files of version 2, nor where all are 0.
        #[serde(default = "Vec::new", deserialize_with = "list")]
        rests: Vec<T>,
    }

    impl<T: Scalar> TryFrom<MinMaxScaler<T>> for super::MinMaxScaler<T> {
        type Error = Error;

        fn try_from(read: MinMaxScaler<T>) -> Result<Self, Error> {
            let (a, b) = read.interval;
            let mut scaler = Self::new(read.minima, read.ranges)?.interval(a, b)?;
            set_rests(read.rests, &mut scaler.rests)?;
            Ok(scaler)
        }
    }

    impl<T: Scalar + Serialize> Serialize for super::MinMaxScaler<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            // Formats without names of fields need all of them.
            let rests =
                !serializer.is_human_readable() || self.rests.iter().any(|x| *x != T::zero());
            let fields = 4 + usize::from(rests);
            let mut written = serializer.serialize_struct("MinMaxScaler", fields)?;
            written.serialize_field("scalar", &ScalarName::<T>::default())?;
            written.serialize_field("minima", &self.minima)?;
            written.serialize_field("ranges", &self.ranges)?;
            written.serialize_field("interval", &self.interval)?;
            if rests {
                written.serialize_field("rests", &self.rests)?;
            } else {
                written.skip_field("rests")?;
            }
            written.end()
        }
    }
}
