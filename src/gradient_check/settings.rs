//! The settings of a check, and the lines along which it compares.

use super::GradientCheck;
use super::line::{CheckedBlock, Line};
use crate::error::ranges::{above_zero, in_range, not_negative};
use crate::error::{Error, hyperparameter};
use crate::initialization::rng;
use crate::scalar::{Scalar, to_f64};
use rand_xoshiro::rand_core::Rng;
use std::collections::BTreeSet;

/// The relative tolerance and the floor of a check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tolerance {
    pub(super) relative: f64,
    pub(super) floor: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Sampling {
    #[default]
    Full,
    PerBlock(usize),
    Directions(usize),
}

/// The step and the tolerances.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) step: f64,
    pub(super) relative: f64,
    pub(super) floor: f64,
    pub(super) precision: f64,
    /// Whether the report keeps all comparisons.
    pub(super) keeps: bool,
}

/// The maximum number of directions per block. Each is as long as the block and is kept for a
/// closer look.
const MOST_DIRECTIONS: usize = 1 << 16;

impl GradientCheck {
    /// Returns the step, tolerance and floor, after checking their ranges.
    pub(super) fn settings<T: Scalar>(&self) -> Result<Settings, Error> {
        let precision = to_f64(T::default_epsilon());
        let step = self.step.unwrap_or_else(|| precision.cbrt());
        let relative = if precision < 1e-12 { 1e-6 } else { 1e-2 };
        let default = Tolerance {
            relative,
            floor: 0.0,
        };
        let Tolerance { relative, floor } = self.tolerance.unwrap_or(default);
        if let Sampling::PerBlock(count) | Sampling::Directions(count) = self.sampling {
            above_zero::<f64>("the number of comparisons", count as f64)?;
        }
        if let Sampling::Directions(count) = self.sampling
            && count > MOST_DIRECTIONS
        {
            return Err(hyperparameter(
                "the number of comparisons",
                count as f64,
                "at most 65,536 directions",
            ));
        }
        // Smaller steps do not move θ, and larger ones leave its neighbourhood.
        let holds = (precision..=1.0).contains(&step);
        let expected = "a number from the machine precision to 1";
        in_range(holds, "the step of the gradient check", step, expected)?;
        above_zero::<f64>("the tolerance of the gradient check", relative)?;
        not_negative::<f64>("the floor of the gradient check", floor)?;
        Ok(Settings {
            step,
            relative,
            floor,
            precision,
            keeps: self.keeps,
        })
    }

    /// Returns the lines along which a block is compared.
    pub(super) fn lines(
        &self,
        block: &CheckedBlock,
        random: &mut impl Rng,
    ) -> Box<dyn Iterator<Item = Line>> {
        match self.sampling {
            Sampling::PerBlock(count) if count < block.len => {
                let mut chosen = BTreeSet::new();
                while chosen.len() < count {
                    chosen.insert((random.next_u64() % block.len as u64) as usize);
                }
                Box::new(chosen.into_iter().map(Line::Entry))
            }
            Sampling::Directions(count) if block.len > 0 => {
                let (n, mut random) = (block.len, rng(random.next_u64()));
                Box::new((0..count).map(move |_| Line::random(n, &mut random)))
            }
            _ => Box::new((0..block.len).map(Line::Entry)),
        }
    }
}
