//! The numbers of files, and how they become scalars.

use crate::file_scalar::FileScalar;
use crate::scalar::{real, to_f64};
use std::fmt;

/// The type of the numbers in a file.
///
/// # Example
/// ```
/// use backprop::source::Number;
///
/// assert_eq!(Number::F32.size(), 4);
/// assert_eq!(Number::U8.to_string(), "U8");
/// ```
#[doc(alias("dtype"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Number {
    /// A float of 8 bytes.
    F64,
    /// A float of 4 bytes.
    F32,
    /// A float of 2 bytes, with 10 bits of fraction.
    F16,
    /// A float of 2 bytes: the upper half of an [`F32`](Self::F32).
    BF16,
    /// A signed integer of 8 bytes.
    I64,
    /// A signed integer of 4 bytes.
    I32,
    /// A signed integer of 2 bytes.
    I16,
    /// A signed integer of 1 byte.
    I8,
    /// An unsigned integer of 8 bytes.
    U64,
    /// An unsigned integer of 4 bytes.
    U32,
    /// An unsigned integer of 2 bytes.
    U16,
    /// An unsigned integer of 1 byte.
    U8,
    /// A truth value of 1 byte, 0 or 1.
    Bool,
}

/// A number in a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Real(f64),
    Whole(i128),
}

/// Why a value cannot become a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    NonFinite,
    Inexact,
}

impl Number {
    /// Returns the type of a scalar.
    pub(crate) fn of<T: FileScalar>() -> Self {
        match size_of::<T>() {
            4 => Self::F32,
            _ => Self::F64,
        }
    }

    /// Returns the number of bytes.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    #[cfg(feature = "_interchange")]
    pub(crate) fn is_real(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }

    #[cfg(feature = "_interchange")]
    pub(crate) fn is_integer(self) -> bool {
        !self.is_real() && self != Self::Bool
    }

    /// Reads a number from its bytes, the lowest first.
    #[inline]
    pub(crate) fn decode(self, bytes: &[u8]) -> Value {
        let bits = match *bytes {
            [a] => a.into(),
            [a, b] => u16::from_le_bytes([a, b]).into(),
            [a, b, c, d] => u32::from_le_bytes([a, b, c, d]).into(),
            [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => 0, // no type has this size
        };
        Value::Real(match self {
            Self::F64 => f64::from_bits(bits),
            Self::F32 => f32::from_bits(bits as u32).into(),
            Self::F16 => half(bits as u16),
            Self::BF16 => f32::from_bits((bits as u32) << 16).into(), // the upper half
            Self::Bool => return Value::Whole(i128::from(bits != 0)),
            Self::I64 => return Value::Whole((bits as i64).into()),
            Self::I32 => return Value::Whole((bits as i32).into()),
            Self::I16 => return Value::Whole((bits as i16).into()),
            Self::I8 => return Value::Whole((bits as i8).into()),
            Self::U64 | Self::U32 | Self::U16 | Self::U8 => return Value::Whole(bits.into()),
        })
    }
}

/// Reads a number with 5 bits of exponent and 10 of fraction.
fn half(bits: u16) -> f64 {
    /// The exponents of `f16` and `f32` are relative to 15 and to 127.
    const SCALE: f64 = (1_u128 << (127 - 15)) as f64;
    let magnitude = match bits & 0x7fff {
        0x7c00 => f64::INFINITY,
        0x7c01.. => f64::NAN,
        finite => f64::from(f32::from_bits(u32::from(finite) << 13)) * SCALE,
    };
    if bits >> 15 == 1 {
        -magnitude
    } else {
        magnitude
    }
}

/// The name in capitals, such as `F32` and `BOOL`.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("BOOL"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl Value {
    /// Returns the value as a scalar, which equals it unless `rounded`.
    pub(crate) fn to<T: FileScalar>(self, rounded: bool) -> Result<T, Unfit> {
        let (scalar, is_exact): (T, bool) = match self {
            Self::Real(value) => {
                let scalar: T = real(value);
                (scalar, to_f64(scalar) == value)
            }
            Self::Whole(value) => {
                let scalar = T::nearest(value);
                (scalar, to_f64(scalar) as i128 == value)
            }
        };
        if !to_f64(scalar).is_finite() {
            return Err(Unfit::NonFinite);
        }
        if is_exact || rounded {
            Ok(scalar)
        } else {
            Err(Unfit::Inexact)
        }
    }

    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Real(value) => value,
            Self::Whole(value) => value as f64,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real(value) => write!(f, "{value:?}"),
            Self::Whole(value) => write!(f, "{value}"),
        }
    }
}
