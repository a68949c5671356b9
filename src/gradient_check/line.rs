//! The blocks of θ, the lines through θ, and differences along them.

use crate::error::{Error, Location, hyperparameter};
use crate::initialization::rng;
use crate::layout::Layout;
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::DMatrix;
use rand_xoshiro::rand_core::Rng;
use std::collections::BTreeMap;
use std::ops::Range;

/// A block of the variables being checked: a row of the report.
pub(super) struct CheckedBlock {
    pub(super) label: String,
    pub(super) rows: usize,
    pub(super) start: usize,
    pub(super) len: usize,
}

impl CheckedBlock {
    pub(super) fn new(label: &str, rows: usize, start: usize, len: usize) -> Self {
        Self {
            label: label.to_owned(),
            rows,
            start,
            len,
        }
    }

    /// Lists the blocks of a network that move, with a prefix before their labels.
    pub(super) fn list(layout: &Layout, prefix: &str) -> Vec<Self> {
        let moving = layout.blocks().iter().filter(|place| !place.is_frozen());
        let blocks = moving.map(|place| {
            let (label, range) = (format!("{prefix}{}", place.label()), place.range());
            Self::new(&label, place.block().rows, range.start, range.len())
        });
        blocks.collect()
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

/// A line through θ within one block.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    /// Along one entry.
    Entry(usize),
    /// Along a unit vector.
    Direction(Vec<f64>),
}

impl Line {
    /// Returns a random unit vector. Its entries differ in size, so errors rarely cancel.
    pub(super) fn random(n: usize, random: &mut impl Rng) -> Self {
        let entry = |_| (random.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
        let mut v: Vec<f64> = (0..n).map(entry).collect();
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        v.iter_mut().for_each(|v| *v /= norm);
        Self::Direction(v)
    }

    /// Returns the column of the block that an entry lies in.
    pub(super) fn column(&self, rows: usize) -> Option<usize> {
        match self {
            Self::Entry(i) => Some(i / rows),
            Self::Direction(_) => None,
        }
    }

    /// Returns the analytic derivative along the line.
    pub(super) fn derivative<T: Scalar>(&self, gradient: &[T]) -> f64 {
        match self {
            Self::Entry(i) => to_f64(gradient[*i]),
            Self::Direction(v) => v.iter().zip(gradient).map(|(v, &g)| v * to_f64(g)).sum(),
        }
    }

    /// Returns the noise of [`derivative`](Self::derivative), from the noise of the entries.
    pub(super) fn noise(&self, entries: &[f64]) -> f64 {
        match self {
            Self::Entry(i) => entries[*i],
            Self::Direction(v) => {
                let sizes = v.iter().zip(entries).map(|(v, s)| v * s);
                sizes.fold(0.0, f64::hypot)
            }
        }
    }

    /// Returns the size of θ along the line, at least 1. Steps are relative to it.
    pub(super) fn size<T: Scalar>(&self, theta: &[T]) -> f64 {
        match self {
            Self::Entry(i) => to_f64(theta[*i]).abs().max(1.0),
            Self::Direction(_) => theta.iter().map(|&t| to_f64(t).abs()).fold(1.0, f64::max),
        }
    }

    /// Moves `point` to t along the line from θ, and returns the t reached after rounding.
    pub(super) fn move_to<T: Scalar>(
        &self,
        theta: &[T],
        point: &mut [T],
        start: usize,
        t: f64,
    ) -> f64 {
        let moved = |theta: T, by: f64| {
            if t == 0.0 { theta } else { theta + real(by) }
        };
        match self {
            Self::Entry(i) => {
                let i = start + i;
                point[i] = moved(theta[i], t);
                to_f64(point[i] - theta[i])
            }
            Self::Direction(v) => {
                for (i, v) in v.iter().enumerate() {
                    let i = start + i;
                    point[i] = moved(theta[i], t * v);
                }
                t
            }
        }
    }
}

/// A function at one point of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// The t reached after rounding.
    pub(super) t: f64,
    pub(super) value: f64,
}

impl Sample {
    /// Returns the slope between two points.
    pub(super) fn slope_to(self, other: Self) -> f64 {
        (other.value - self.value) / (other.t - self.t)
    }
}

/// The slopes of a function on the two sides of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slopes {
    pub(super) left: f64,
    pub(super) right: f64,
}

impl Slopes {
    /// Returns the distance between the two slopes.
    pub(super) fn gap(self) -> f64 {
        (self.right - self.left).abs()
    }
}

/// A function along the lines of a block, with its claimed derivative.
pub(super) trait Along {
    /// Returns the function at t.
    fn value(&mut self, line: &Line, t: f64) -> Result<Sample, Error>;

    /// Returns the derivative along the line that the code under test claims at t.
    fn claim(&mut self, line: &Line, t: f64) -> Result<f64, Error>;
}

/// A function on one line, with its values cached.
pub(super) struct On<'a> {
    line: &'a Line,
    along: &'a mut dyn Along,
    known: BTreeMap<u64, Sample>,
}

impl<'a> On<'a> {
    pub(super) fn new(line: &'a Line, along: &'a mut dyn Along) -> Self {
        Self {
            line,
            along,
            known: BTreeMap::new(),
        }
    }

    pub(super) fn value(&mut self, t: f64) -> Result<Sample, Error> {
        if let Some(&known) = self.known.get(&t.to_bits()) {
            return Ok(known);
        }
        let sample = self.along.value(self.line, t)?;
        if !sample.value.is_finite() {
            return Err(Error::NonFinite {
                at: Location::TestedFunction,
                value: sample.value,
            });
        }
        self.known.insert(t.to_bits(), sample);
        Ok(sample)
    }

    pub(super) fn claim(&mut self, t: f64) -> Result<f64, Error> {
        self.along.claim(self.line, t)
    }

    /// Returns \[f(h) − f(−h)\] divided by the distance actually moved.
    pub(super) fn central(&mut self, h: f64) -> Result<f64, Error> {
        let (up, down) = (self.value(h)?, self.value(-h)?);
        if up.t == down.t {
            return Err(hyperparameter(
                "the step of the gradient check",
                h,
                "a number large enough to move θ",
            ));
        }
        Ok(down.slope_to(up))
    }

    /// Returns the larger of |f(h)| and |f(−h)|.
    pub(super) fn size(&mut self, h: f64) -> Result<f64, Error> {
        Ok(self.value(h)?.value.abs().max(self.value(-h)?.value.abs()))
    }

    /// Returns the slopes from the left and from the right. One extrapolation removes curvature.
    pub(super) fn slopes(&mut self, h: f64) -> Result<Slopes, Error> {
        let f = self.value(0.0)?.value;
        let mut side = |h: f64| -> Result<f64, Error> {
            let (whole, half) = (self.value(h)?, self.value(0.5 * h)?);
            Ok(2.0 * (half.value - f) / half.t - (whole.value - f) / whole.t)
        };
        Ok(Slopes {
            left: side(-h)?,
            right: side(h)?,
        })
    }
}

/// Returns random entries between ½ and 3/2 in size, of both signs.
pub(super) fn cotangent<T: Scalar>(rows: usize, cols: usize, seed: u64) -> DMatrix<T> {
    let mut random = rng(seed);
    DMatrix::from_fn(rows, cols, |_, _| {
        let draw = random.next_u64();
        let size = 0.5 + (draw >> 12) as f64 / (1_u64 << 52) as f64;
        real(if draw & 1 == 0 { size } else { -size })
    })
}

/// Returns a random direction that moves each entry by ½ to 3/2 of its size, counted as at least 1.
pub(super) fn direction<T: Scalar>(at: &[T], seed: u64) -> Vec<T> {
    let r = cotangent::<T>(at.len(), 1, seed);
    let entries = r.iter().zip(at);
    entries.map(|(&r, &x)| r * x.abs().max(T::one())).collect()
}

/// Returns x + t ẋ, or x itself without a direction.
pub(super) fn moved<T: Scalar>(x: &[T], along: Option<&[T]>, t: T) -> Vec<T> {
    match along {
        Some(along) => x.iter().zip(along).map(|(&x, &d)| x + t * d).collect(),
        None => x.to_vec(),
    }
}

/// Returns Σ r ∘ values.
pub(super) fn inner<T: Scalar>(r: &[T], values: &[T]) -> T {
    let pairs = r.iter().zip(values);
    pairs.fold(T::zero(), |sum, (&r, &v)| sum + r * v)
}
