//! Constants of a graph: views of the tensors of a file.

use super::malformed;
use super::proto::{MOST_AXES, Setting, Tensor};
use crate::file_scalar::FileScalar;
use crate::interchange::strides::walk;
use crate::interchange::{InterchangeError, Options};
use crate::number::{Number, Unfit, Value};
use crate::scalar::{real, to_f64};

/// The most integers that a list such as a shape has.
const MOST_INTEGERS: usize = 2 * MOST_AXES;

/// A view of a tensor: its axes, and the distance between neighbours along each.
#[derive(Clone, Debug)]
pub(super) struct Constant<'a> {
    pub(super) name: &'a str,
    kind: Result<Number, i64>,
    entries: Entries<'a>,
    pub(super) dims: Vec<usize>,
    strides: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Entries<'a> {
    Bytes(&'a [u8]),
    Float(f32),
    Ints(&'a [i64]),
    Floats(&'a [f32]),
}

/// Where the entries of a constant go: entry (i, j, …) to Σ index · stride.
pub(super) struct Target<'a, T> {
    pub(super) numbers: &'a mut [T],
    pub(super) strides: &'a [usize],
    /// What each entry is multiplied by.
    pub(super) factor: f64,
    /// What each entry is at least.
    pub(super) least: f64,
}

/// Returns the shortest decimal number that rounds to a given `f32`: 0.01 for the one nearest to
/// it. Attributes are of this type only, and hold constants that someone typed.
pub(super) fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(value.into())
}

/// Returns the distances between neighbours in row-major order, and the number of entries.
fn row_major(dims: &[usize]) -> Option<(Vec<usize>, usize)> {
    let mut strides = vec![1; dims.len()];
    let mut len: usize = 1;
    for (stride, &dim) in strides.iter_mut().zip(dims).rev() {
        *stride = len;
        len = len.checked_mul(dim)?;
    }
    Some((strides, len))
}

impl<'a> Constant<'a> {
    pub(super) fn new(tensor: &'a Tensor<'_>) -> Result<Self, InterchangeError> {
        let (name, dims) = (tensor.name, &tensor.dims);
        let too_long = || {
            malformed(format!(
                "the tensor {name:?} has too many entries: {dims:?}"
            ))
        };
        let (strides, len) = row_major(dims).ok_or_else(too_long)?;
        if let Ok(kind) = tensor.kind {
            let (found, expected) = (tensor.bytes.len(), len.checked_mul(kind.size()));
            if expected != Some(found) {
                return Err(malformed(format!(
                    "the tensor {name:?} has {found} bytes of entries, expected {dims:?} of {kind}"
                )));
            }
        }
        Ok(Self {
            name,
            kind: tensor.kind,
            entries: Entries::Bytes(&tensor.bytes),
            dims: dims.clone(),
            strides,
        })
    }

    /// Returns the value of an attribute of a node `Constant`.
    pub(super) fn of_setting(setting: &'a Setting<'_>) -> Option<Result<Self, InterchangeError>> {
        let new = |kind, entries, dims: &[usize]| Self {
            name: "",
            kind: Ok(kind),
            entries,
            dims: dims.to_vec(),
            strides: vec![1; dims.len()],
        };
        Some(Ok(match setting {
            Setting::Tensor(tensor) => return Some(Self::new(tensor)),
            Setting::Float(value) => new(Number::F32, Entries::Float(*value), &[]),
            Setting::Int(value) => {
                new(Number::I64, Entries::Ints(std::slice::from_ref(value)), &[])
            }
            Setting::Ints(values) => new(Number::I64, Entries::Ints(values), &[values.len()]),
            Setting::Floats(values) => new(Number::F32, Entries::Floats(values), &[values.len()]),
            Setting::Text(_) | Setting::Other => return None,
        }))
    }

    pub(super) fn is_real(&self) -> bool {
        self.kind.is_ok_and(Number::is_real)
    }

    /// Returns the number of entries. It is at most that of the file or the network, but axes
    /// before one of size 0 may have any size.
    fn len(&self) -> usize {
        self.dims.iter().copied().fold(1, usize::saturating_mul)
    }

    fn entry(&self, at: usize) -> Option<Value> {
        match self.entries {
            Entries::Float(value) => Some(Value::Real(value.into())),
            Entries::Floats(values) => values.get(at).map(|&value| Value::Real(value.into())),
            Entries::Ints(values) => values.get(at).map(|&value| Value::Whole(value.into())),
            Entries::Bytes(bytes) => {
                let kind = self.kind.ok()?;
                let start = at.checked_mul(kind.size())?;
                let bytes = bytes.get(start..)?.get(..kind.size())?;
                Some(kind.decode(bytes))
            }
        }
    }

    /// Returns the only entry, for a constant of a layer: a float of 4 bytes as the decimal number
    /// that it stands for.
    pub(super) fn scalar(&self) -> Option<f64> {
        if self.len() != 1 {
            return None;
        }
        match (self.entry(0)?, self.kind) {
            (Value::Real(value), Ok(Number::F32)) => Some(decimal(value as f32)),
            (value, _) => Some(value.to_f64()),
        }
    }

    /// Returns the entries of a short list of integers.
    pub(super) fn ints(&self) -> Option<Vec<i64>> {
        let is_list = self.dims.len() <= 1 && self.len() <= MOST_INTEGERS;
        if !is_list || !self.kind.is_ok_and(Number::is_integer) {
            return None;
        }
        let step = self.strides.first().copied().unwrap_or_default();
        let mut values = (0..self.len()).map(|i| self.entry(i * step));
        values.try_fold(Vec::new(), |mut all, value| match value? {
            Value::Whole(value) => {
                all.push(value.try_into().ok()?);
                Some(all)
            }
            Value::Real(_) => None,
        })
    }

    /// Returns a view with the axes in another order.
    pub(super) fn transposed(&self, order: &[usize]) -> Option<Self> {
        let mut seen = [false; MOST_AXES];
        for &axis in order {
            let seen = seen.get_mut(axis)?;
            if axis >= self.dims.len() || std::mem::replace(seen, true) {
                return None;
            }
        }
        (order.len() == self.dims.len()).then(|| Self {
            dims: order.iter().map(|&axis| self.dims[axis]).collect(),
            strides: order.iter().map(|&axis| self.strides[axis]).collect(),
            ..*self
        })
    }

    /// Returns a view with another shape, if the entries lie in row-major order.
    pub(super) fn reshaped(&self, dims: Vec<usize>) -> Option<Self> {
        let (strides, len) = row_major(&dims)?;
        let is_row_major = self.strides == row_major(&self.dims)?.0;
        let fits = dims.len() <= MOST_AXES && len == self.len() && is_row_major;
        fits.then_some(Self {
            dims,
            strides,
            ..*self
        })
    }

    /// Returns a view with these axes, along which it is repeated as in NumPy.
    pub(super) fn broadcast(&self, dims: &[usize]) -> Option<Self> {
        let extra = self.dims.len().saturating_sub(dims.len());
        let (leading, own) = self.dims.split_at(extra);
        let new = dims.len() - own.len();
        let mut strides = vec![0; new];
        for ((&size, &stride), &to) in own.iter().zip(&self.strides[extra..]).zip(&dims[new..]) {
            if size != to && size != 1 {
                return None;
            }
            strides.push(if size == 1 { 0 } else { stride });
        }
        leading.iter().all(|&size| size == 1).then(|| Self {
            dims: dims.to_vec(),
            strides,
            ..*self
        })
    }

    /// Writes the entries into a network, exactly unless the options or a factor say otherwise.
    pub(super) fn fill<T: FileScalar>(
        &self,
        to: Target<'_, T>,
        options: &Options<'_>,
    ) -> Result<(), InterchangeError> {
        let tensor = || self.name.to_owned();
        if !self.is_real() {
            return Err(InterchangeError::Type {
                tensor: tensor(),
                expected: "F64, F32, F16 or BF16",
                found: match self.kind {
                    Ok(kind) => kind.to_string(),
                    Err(code) => format!("of the type number {code}"),
                },
            });
        }
        let scalar = T::NAME;
        let walk = |strides: &[usize]| walk(&self.dims, strides, false);
        for (from, at) in walk(&self.strides).zip(walk(to.strides)) {
            let value = self.entry(from);
            let value = value.ok_or_else(|| malformed("a tensor ends before its last entry"))?;
            let number: Result<T, Unfit> = value.to(options.rounded);
            let number = number.and_then(|number| match to.factor {
                1.0 => Ok(number),
                factor => Value::Real(value.to_f64() * factor).to(true),
            });
            let number = number.map_err(|unfit| match unfit {
                Unfit::NonFinite => InterchangeError::NonFinite {
                    tensor: tensor(),
                    entry: from,
                    value: value.to_f64() * to.factor,
                    scalar,
                },
                Unfit::Inexact => InterchangeError::Inexact {
                    tensor: tensor(),
                    entry: from,
                    value: value.to_string(),
                    scalar,
                },
            })?;
            if to_f64(number) < to_f64(real::<T>(to.least)) {
                return Err(InterchangeError::Range {
                    tensor: tensor(),
                    entry: from,
                    value: value.to_f64(),
                    least: to.least,
                });
            }
            to.numbers[at] = number;
        }
        Ok(())
    }
}
