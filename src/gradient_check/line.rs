//! Lines through θ, and differences along them.

use crate::error::{Error, Location};
use crate::scalar::{Scalar, real, to_f64};
use rand_xoshiro::rand_core::Rng;
use std::collections::BTreeMap;

/// A line through θ within one block.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    /// Along one entry.
    Entry(usize),
    /// Along a unit vector.
    Direction(Vec<f64>),
}

impl Line {
    /// A random unit vector. Its entries differ in size, so that no two errors cancel for many of them.
    pub(super) fn random(n: usize, random: &mut impl Rng) -> Self {
        let entry = |_| (random.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
        let mut v: Vec<f64> = (0..n).map(entry).collect();
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        v.iter_mut().for_each(|v| *v /= norm);
        Self::Direction(v)
    }

    /// The column of the block that the line moves in, if it is one.
    pub(super) fn column(&self, rows: usize) -> Option<usize> {
        match self {
            Self::Entry(i) => Some(i / rows),
            Self::Direction(_) => None,
        }
    }

    /// The analytic derivative along the line.
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

    /// The size of θ along the line, at least 1: what steps are relative to.
    pub(super) fn size<T: Scalar>(&self, theta: &[T]) -> f64 {
        match self {
            Self::Entry(i) => to_f64(theta[*i]).abs().max(1.0),
            Self::Direction(_) => theta.iter().map(|&t| to_f64(t).abs()).fold(1.0, f64::max),
        }
    }

    /// Moves `point` to t along the line from θ, and returns how far that is after rounding.
    pub(super) fn move_to<T: Scalar>(
        &self,
        theta: &[T],
        point: &mut [T],
        start: usize,
        t: f64,
    ) -> f64 {
        match self {
            Self::Entry(i) => {
                let i = start + i;
                point[i] = if t == 0.0 {
                    theta[i]
                } else {
                    theta[i] + real(t)
                };
                to_f64(point[i] - theta[i])
            }
            Self::Direction(v) => {
                for (i, v) in v.iter().enumerate() {
                    let i = start + i;
                    point[i] = if t == 0.0 {
                        theta[i]
                    } else {
                        theta[i] + real(t * v)
                    };
                }
                t
            }
        }
    }
}

/// A function along the lines of a block, with its claimed derivative.
pub(super) trait Along {
    /// Returns the t actually reached after rounding, and the value there.
    fn value(&mut self, line: &Line, t: f64) -> Result<(f64, f64), Error>;

    /// Returns the derivative along the line that the code under test claims at t.
    fn claim(&mut self, line: &Line, t: f64) -> Result<f64, Error>;
}

/// A function on one line, with its values cached.
pub(super) struct On<'a> {
    line: &'a Line,
    along: &'a mut dyn Along,
    known: BTreeMap<u64, (f64, f64)>,
}

impl<'a> On<'a> {
    pub(super) fn new(line: &'a Line, along: &'a mut dyn Along) -> Self {
        Self {
            line,
            along,
            known: BTreeMap::new(),
        }
    }

    pub(super) fn value(&mut self, t: f64) -> Result<(f64, f64), Error> {
        if let Some(&known) = self.known.get(&t.to_bits()) {
            return Ok(known);
        }
        let (moved, value) = self.along.value(self.line, t)?;
        if !value.is_finite() {
            return Err(Error::NonFinite {
                at: Location::Objective,
                value,
            });
        }
        self.known.insert(t.to_bits(), (moved, value));
        Ok((moved, value))
    }

    pub(super) fn claim(&mut self, t: f64) -> Result<f64, Error> {
        self.along.claim(self.line, t)
    }

    /// Returns \[f(h) − f(−h)\] divided by the distance actually moved.
    pub(super) fn central(&mut self, h: f64) -> Result<f64, Error> {
        Ok(self.central_and_size(h)?.0)
    }

    /// Returns the difference quotient, and the larger absolute value of the two.
    pub(super) fn central_and_size(&mut self, h: f64) -> Result<(f64, f64), Error> {
        let ((up, f_up), (down, f_down)) = (self.value(h)?, self.value(-h)?);
        if up == down {
            return Err(Error::Hyperparameter {
                name: "the step of the gradient check",
                value: h,
                expected: "large enough to move θ",
            });
        }
        let quotient = (f_up - f_down) / (up - down);
        Ok((quotient, f_up.abs().max(f_down.abs())))
    }

    /// Returns the slopes from the left and from the right, with curvature removed by one
    /// extrapolation.
    pub(super) fn slopes(&mut self, h: f64) -> Result<(f64, f64), Error> {
        let (_, f) = self.value(0.0)?;
        let mut side = |h: f64| -> Result<f64, Error> {
            let ((whole, f_whole), (half, f_half)) = (self.value(h)?, self.value(0.5 * h)?);
            Ok(2.0 * (f_half - f) / half - (f_whole - f) / whole)
        };
        Ok((side(-h)?, side(h)?))
    }
}
