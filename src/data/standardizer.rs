//! Scales rows to mean 0 and standard deviation 1, and back.

use super::scaler::Scaler;
use super::statistics::{check_divisors, column, divisor, finite, moments, ranges};
use crate::allocation::{allocate, reserved};
use crate::columns::Columns;
use crate::error::Error;
use crate::examples::{check_finite, check_length};
use crate::scalar::{Scalar, real, to_f64};

/// Scales rows to mean 0 and standard deviation 1: zᵢ = (xᵢ − μᵢ)/σᵢ.
///
/// Row i of X holds input i of all examples. Targets can be scaled in the same way.
///
/// Training is faster if all inputs have a magnitude of about 1, and often fails otherwise. Fit the
/// scaler to the training examples and keep it: new data need the same μ and σ.
/// [`apply`](super::Scaler::apply) and [`invert`](super::Scaler::invert) are methods of
/// [`Scaler`](super::Scaler), so bring the trait into scope.
///
/// μᵢ is the mean of row i over the fitted examples. σᵢ is the population standard deviation,
/// σᵢ² = (1/m) Σ (xᵢ − μᵢ)², as in scikit-learn's `StandardScaler`.
///
/// A row is constant if all its values are equal. Then σᵢ is 1, so the row maps to 0. Any other row
/// is scaled to standard deviation 1, even if its values hardly differ: 0.3 and 0.1 + 0.2, which
/// differ in the last bit, map to ±1. If a row should be constant but differs by rounding, round
/// its values before the fit, or drop the row. (scikit-learn treats a row as constant if σᵢ is
/// below about m ε |μᵢ|, where ε is the machine epsilon.)
///
/// The sums are computed in `f64`, in two passes. The second pass corrects for the rounding of μᵢ
/// and is scaled so that no square overflows (Chan, Golub, LeVeque 1983,
/// doi:10.1080/00031305.1983.10483115). Dual numbers contribute their real part. Where T rounds μᵢ,
/// the scaler keeps the remainder and subtracts it too, so z is accurate even in rows far from 0.
/// For Unix times in seconds (about 1.7·10⁹) in `f32`, a rounded mean without its remainder may
/// shift z by more than 1, because the spacing of these numbers is 128.
///
/// # Example
/// ```
/// use backprop::data::{Scaler, Standardizer};
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
#[doc(alias("StandardScaler", "normalize"))]
pub struct Standardizer<T> {
    means: Vec<T>,
    /// The exact means minus `means`.
    rests: Vec<T>,
    deviations: Vec<T>,
}

impl<T: Scalar> Standardizer<T> {
    /// Fits a scaler to examples X (n × m).
    ///
    /// # Errors
    /// - [`Error::NoExamples`] if X has no columns, [`Error::Shape`] if it has no rows.
    /// - [`Error::NonFinite`] with the first entry that is NaN or infinite.
    /// - [`Error::Spread`] with the first row whose mean or standard deviation T cannot represent.
    pub fn fit<'a>(x: impl Columns<'a, T>) -> Result<Self, Error> {
        let x = x.columns_view();
        let ranges = ranges(x)?;
        let (mut means, mut rests, mut deviations) = (
            reserved("the means", x.nrows())?,
            reserved("the means", x.nrows())?,
            reserved("the deviations", x.nrows())?,
        );
        for (row, moments) in moments(x, &ranges)?.into_iter().enumerate() {
            let mean: T = finite(row, moments.mean)?;
            means.push(mean);
            rests.push(real((moments.mean - to_f64(mean)) + moments.rest));
            let deviation = if ranges[row].is_constant() {
                1.0
            } else {
                moments.deviation
            };
            deviations.push(divisor(row, deviation)?);
        }
        Ok(Self {
            means,
            rests,
            deviations,
        })
    }

    /// Creates a scaler from known means μ and standard deviations σ > 0.
    ///
    /// # Errors
    /// - [`Error::Length`] if the numbers of means and standard deviations differ.
    /// - [`Error::NonFinite`] with the first mean that is NaN or infinite.
    /// - [`Error::Spread`] with the first standard deviation that is not finite or not above 0.
    pub fn new(means: Vec<T>, deviations: Vec<T>) -> Result<Self, Error> {
        check_length("the deviations", means.len(), deviations.len())?;
        check_finite("the means", column(&means))?;
        check_divisors(&deviations)?;
        let rests = allocate("the means", (means.len(), 1), T::zero())?;
        Ok(Self {
            means,
            rests,
            deviations,
        })
    }

    /// Returns μ of each row, rounded to T.
    #[must_use]
    pub fn means(&self) -> &[T] {
        &self.means
    }

    /// Returns σ of each row; 1 for a constant row.
    #[must_use]
    pub fn deviations(&self) -> &[T] {
        &self.deviations
    }
}

impl<T: Scalar> Scaler<T> for Standardizer<T> {
    fn rows(&self) -> usize {
        self.means.len()
    }

    /// Returns (x − μ)/σ.
    fn scale(&self, row: usize, x: T) -> T {
        // x − μ is exact for x between μ/2 and 2μ, so the small remainder is subtracted afterwards.
        ((x - self.means[row]) - self.rests[row]) / self.deviations[row]
    }

    /// Returns μ + σ z.
    fn unscale(&self, row: usize, z: T) -> T {
        (z * self.deviations[row] + self.rests[row]) + self.means[row]
    }
}

/// The serialized form, and the form read back before validation.
#[cfg(feature = "serde")]
mod saved {
    use crate::data::statistics::check_rests;
    use crate::error::Error;
    use crate::saved_numbers::{ScalarName, list};
    use crate::scalar::Scalar;
    use serde::ser::SerializeStruct;
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
        /// Absent in files of version 1, in early files of version 2, and where all are 0.
        #[serde(default = "Vec::new", deserialize_with = "list")]
        rests: Vec<T>,
    }

    impl<T: Scalar> TryFrom<Standardizer<T>> for super::Standardizer<T> {
        type Error = Error;

        fn try_from(read: Standardizer<T>) -> Result<Self, Error> {
            let mut scaler = Self::new(read.means, read.deviations)?;
            if !read.rests.is_empty() {
                check_rests(&scaler.means, &read.rests)?;
                scaler.rests = read.rests;
            }
            Ok(scaler)
        }
    }

    impl<T: Scalar + Serialize> Serialize for super::Standardizer<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            // Formats without field names need all fields.
            let rests =
                !serializer.is_human_readable() || self.rests.iter().any(|x| *x != T::zero());
            let fields = 3 + usize::from(rests);
            let mut written = serializer.serialize_struct("Standardizer", fields)?;
            written.serialize_field("scalar", &ScalarName::<T>::default())?;
            written.serialize_field("means", &self.means)?;
            written.serialize_field("deviations", &self.deviations)?;
            if rests {
                written.serialize_field("rests", &self.rests)?;
            } else {
                written.skip_field("rests")?;
            }
            written.end()
        }
    }
}
