//! The numbers of files, and how they become those of a network.

use crate::file_scalar::FileScalar;
use crate::scalar::{real, to_f64};
use std::fmt;

/// The type of a number in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F64,
    F32,
    F16,
    #[cfg_attr(
        not(any(feature = "onnx", feature = "safetensors")),
        expect(dead_code, reason = "NumPy has no such type")
    )]
    BF16,
    /// An integer of this many bytes.
    Signed(usize),
    Unsigned(usize),
    Bool,
}

/// A number in a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Real(f64),
    Whole(i128),
}

/// Why a value cannot become a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    NonFinite,
    Inexact,
}

impl Kind {
    /// Returns the type of a scalar.
    #[cfg(any(feature = "npz", feature = "safetensors"))]
    pub(super) fn of<T: FileScalar>() -> Self {
        match size_of::<T>() {
            4 => Self::F32,
            _ => Self::F64,
        }
    }

    pub(super) fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Signed(size) | Self::Unsigned(size) => size,
            Self::Bool => 1,
        }
    }

    pub(super) fn is_real(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }

    pub(super) fn is_integer(self) -> bool {
        matches!(self, Self::Signed(_) | Self::Unsigned(_))
    }

    /// Reads a number from its bytes, the lowest first.
    pub(super) fn decode(self, bytes: &[u8]) -> Value {
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
            Self::Unsigned(_) => return Value::Whole(bits.into()),
            Self::Signed(size) => {
                let unused = 64 - 8 * size.clamp(1, 8) as u32;
                return Value::Whole(((bits << unused) as i64 >> unused).into());
            }
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

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(size) => write!(f, "I{}", 8 * size),
            Self::Unsigned(size) => write!(f, "U{}", 8 * size),
            Self::Bool => f.write_str("BOOL"),
            real => write!(f, "{real:?}"),
        }
    }
}

impl Value {
    /// Returns the value as a scalar, which equals it unless `rounded`.
    pub(super) fn to<T: FileScalar>(self, rounded: bool) -> Result<T, Unfit> {
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

    pub(super) fn to_f64(self) -> f64 {
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
