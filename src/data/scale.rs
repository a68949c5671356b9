//! Rows brought to one scale, and back.

use super::rows::{
    X, Z, check_divisors, column, divisor, finite, map_into, mapped, moments, ranges,
};
use crate::error::Error;
use crate::examples::{Columns, check_finite, check_length};
use crate::layout::reserved;
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrix, DMatrixViewMut};

/// Rows with mean 0 and deviation 1: zᵢ = (xᵢ − μᵢ)/σᵢ.
///
/// μᵢ is the mean of row i over the examples of the fit, σᵢ the deviation of the population, σᵢ² = (1/m) Σ (xᵢ − μᵢ)², as in
/// scikit-learn's `StandardScaler`. A constant row has σᵢ = 1, so that it becomes 0: one whose values are equal but for rounding,
/// that is, whose largest and least differ by no more than 8 ε times the larger magnitude, with the ε of T. (scikit-learn's
/// bound is about m ε |μᵢ| for σᵢ.)
///
/// The sums are of two passes and in `f64`, the second corrected by what rounding left of Σ (xᵢ − μᵢ), and scaled so that no
/// square overflows (Chan, Golub, LeVeque 1983, doi:10.1080/00031305.1983.10483115). Of a dual number they see the real part.
///
/// # Example
/// ```
/// use backprop::data::Standardizer;
/// use backprop::nalgebra::DMatrix;
///
/// let x = DMatrix::from_row_slice(2, 4, &[1.0, 5.0, 1.0, 5.0, 7.0, 7.0, 7.0, 7.0]);
/// let scaler = Standardizer::fit(&x)?;
/// assert_eq!(scaler.means(), [3.0, 7.0]);
/// assert_eq!(scaler.deviations(), [2.0, 1.0]);
/// let z = scaler.apply(&DMatrix::from_row_slice(2, 2, &[3.0, 1.0, 7.0, 8.0]))?;
/// assert_eq!(z, DMatrix::from_row_slice(2, 2, &[0.0, -1.0, 0.0, 1.0]));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize),
    serde(
        try_from = "saved::Standardizer<T>",
        bound(deserialize = "T: Scalar + serde::Deserialize<'de>")
    )
)]
pub struct Standardizer<T> {
    means: Vec<T>,
    deviations: Vec<T>,
}

impl<T: Scalar> Standardizer<T> {
    /// The scaler of these examples, X of n × m.
    ///
    /// # Errors
    /// - [`Error::NoExamples`] if X has no columns, [`Error::Shape`] if it has no rows.
    /// - [`Error::NonFiniteInput`] with the first entry that is NaN or infinite.
    /// - [`Error::Spread`] with the first row whose mean or deviation T cannot hold.
    pub fn fit<'a>(x: impl Columns<'a, T>) -> Result<Self, Error> {
        let x = x.columns_view();
        let ranges = ranges(x)?;
        let (mut means, mut deviations) = (
            reserved("the means", x.nrows())?,
            reserved("the deviations", x.nrows())?,
        );
        for (row, moments) in moments(x, &ranges)?.into_iter().enumerate() {
            let (mean, deviation) = moments;
            let deviation = if ranges[row].is_constant::<T>() {
                1.0
            } else {
                deviation
            };
            means.push(finite(row, mean)?);
            deviations.push(divisor(row, deviation)?);
        }
        Ok(Self { means, deviations })
    }

    /// The scaler of means μ and deviations σ > 0 that are known.
    ///
    /// # Errors
    /// - [`Error::Length`] if there are not as many deviations as means.
    /// - [`Error::NonFiniteInput`] with the first mean that is NaN or infinite.
    /// - [`Error::Spread`] with the first deviation that is not finite or not above 0.
    pub fn new(means: Vec<T>, deviations: Vec<T>) -> Result<Self, Error> {
        check_length("the deviations", means.len(), deviations.len())?;
        check_finite("the means", column(&means))?;
        check_divisors(&deviations)?;
        Ok(Self { means, deviations })
    }

    /// μ, one a row.
    #[must_use]
    pub fn means(&self) -> &[T] {
        &self.means
    }

    /// σ, one a row: 1 for a constant row.
    #[must_use]
    pub fn deviations(&self) -> &[T] {
        &self.deviations
    }

    /// (X − μ)/σ, for X of n × m.
    ///
    /// # Errors
    /// - [`Error::Shape`] if X has not as many rows as the examples of the fit.
    /// - [`Error::NonFiniteInput`] with the first entry that is NaN or infinite.
    /// - [`Error::Scaled`] with the first entry that overflows.
    pub fn apply<'a>(&self, x: impl Columns<'a, T>) -> Result<DMatrix<T>, Error> {
        mapped(X, x.columns_view(), self.means.len(), self.forward())
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
            self.means.len(),
            self.forward(),
        )
    }

    /// μ + σZ, which undoes [`apply`](Self::apply) but for rounding.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn invert<'a>(&self, z: impl Columns<'a, T>) -> Result<DMatrix<T>, Error> {
        mapped(Z, z.columns_view(), self.means.len(), self.back())
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
        map_into(Z, z.columns_view(), x, self.means.len(), self.back())
    }

    fn back(&self) -> impl Fn(usize, T) -> T + '_ {
        |row, z| z * self.deviations[row] + self.means[row]
    }

    fn forward(&self) -> impl Fn(usize, T) -> T + '_ {
        |row, x| (x - self.means[row]) / self.deviations[row]
    }
}

/// Rows with all values of the fit in \[a, b]: zᵢ = a + (b − a)(xᵢ − minᵢ)/(maxᵢ − minᵢ), with \[0, 1] unless told otherwise.
///
/// As scikit-learn's `MinMaxScaler`. A constant row is divided by 1, so that it becomes a: one whose values are equal but for rounding,
/// as with [`Standardizer`]. (scikit-learn divides every row by 1 whose range is below 2·10⁻¹⁵, whatever its size.) Later
/// examples may lie outside of \[a, b]; nothing is clipped.
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
    interval: (f64, f64),
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
        for (row, range) in ranges.into_iter().enumerate() {
            let width = if range.is_constant::<T>() {
                1.0
            } else {
                range.width()
            };
            minima.push(real(range.least));
            divisors.push(divisor(row, width)?);
        }
        Self::new(minima, divisors)
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
        let interval = (0.0, 1.0);
        Ok(Self {
            minima,
            ranges,
            interval,
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
                finite(b) && finite(b - a) && real::<T>(b - a) > T::zero(),
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

    fn back(&self) -> impl Fn(usize, T) -> T + '_ {
        let (a, width) = self.start_and_width();
        move |row, z| (z - a) / width * self.ranges[row] + self.minima[row]
    }

    fn forward(&self) -> impl Fn(usize, T) -> T + '_ {
        let (a, width) = self.start_and_width();
        move |row, x| (x - self.minima[row]) / self.ranges[row] * width + a
    }

    fn start_and_width(&self) -> (T, T) {
        let (a, b) = self.interval;
        (real(a), real(b - a))
    }
}

/// Scalers as they are written, and as they are read before they are known to be valid.
#[cfg(feature = "serde")]
mod saved {
    use crate::error::Error;
    use crate::saved_numbers::{ScalarName, list};
    use crate::scalar::Scalar;
    use serde::{Deserialize, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, bound = "T: Deserialize<'de>")]
    pub(super) struct Standardizer<T> {
        #[serde(default, rename = "scalar")]
        _scalar: ScalarName<T>,
        #[serde(deserialize_with = "list")]
        means: Vec<T>,
        #[serde(deserialize_with = "list")]
        deviations: Vec<T>,
    }

    impl<T: Scalar> TryFrom<Standardizer<T>> for super::Standardizer<T> {
        type Error = Error;

        fn try_from(read: Standardizer<T>) -> Result<Self, Error> {
            Self::new(read.means, read.deviations)
        }
    }

    impl<T: Serialize> Serialize for super::Standardizer<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            #[derive(Serialize)]
            #[serde(bound = "T: Serialize")]
            struct Standardizer<'a, T> {
                scalar: ScalarName<T>,
                means: &'a [T],
                deviations: &'a [T],
            }

            let Self { means, deviations } = self;
            let scalar = ScalarName::<T>::default();
            let written = Standardizer {
                scalar,
                means,
                deviations,
            };
            written.serialize(serializer)
        }
    }

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
