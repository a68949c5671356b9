//! What ranks must have in common before they train together.

use super::items::Bytes;
use super::note::Purpose;
use super::ranks::{MESSAGES, RankOf, Ranks};
use crate::allocation::allocate;
use crate::error::{DistributedFault, Error};
use crate::kernels::level::{Level, level, lower_to};
use crate::scalar::{Scalar, real};

/// A property that all ranks must have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) what: &'static str,
    pub(crate) value: String,
}

impl Fact {
    pub(crate) fn new(what: &'static str, value: impl ToString) -> Self {
        let value = value.to_string();
        Self { what, value }
    }
}

/// The end of each value in a message. No value has it.
const END: char = '\u{1e}';

impl<T: Scalar> Ranks<'_, T> {
    /// Sends the first note, and fails if any rank failed before. From then on, every rank computes
    /// with the instructions that all ranks have, because levels differ in the last bits.
    pub(crate) fn start(&mut self, done: Result<(), Error>) -> Result<(), Error> {
        let RankOf { rank, ranks } = self.place();
        if rank >= ranks {
            return Err(Error::Index {
                what: "rank",
                index: rank,
                count: ranks,
            });
        }
        let levels = self.note(Purpose::Start, done.map(|()| level() as u64))?;
        let lowest = [Level::Portable, Level::Avx2, Level::Avx512]
            .into_iter()
            .find(|&level| levels.contains(&(level as u64)));
        lower_to(lowest.unwrap_or(Level::Portable));
        Ok(())
    }

    /// Compares the facts of all ranks, and those of this crate and platform.
    pub(crate) fn agree(&mut self, facts: Result<Vec<Fact>, Error>) -> Result<(), Error> {
        let facts = facts.map(|facts| {
            let mut all = self.platform();
            all.extend(facts);
            all
        });
        let text = facts.as_ref().map(|facts| {
            let values = facts.iter().map(|fact| fact.value.replace(END, " "));
            values.fold(String::new(), |all, value| all + &value + &END.to_string())
        });
        let texts = self.texts(text.map_err(Clone::clone))?;
        let facts = facts?;
        let values = |text: &'_ String| -> Vec<String> {
            text.split_terminator(END).map(str::to_owned).collect()
        };
        let expected = texts.first().map(values).unwrap_or_default();
        for (rank, text) in texts.iter().enumerate() {
            let found = values(text);
            let longest = expected.len().max(found.len());
            let differs = |&k: &usize| expected.get(k) != found.get(k);
            if let Some(k) = (0..longest).find(differs) {
                let value = |of: &[String]| of.get(k).cloned().unwrap_or_default();
                let what = facts
                    .get(k)
                    .map_or("the list of settings", |fact| fact.what);
                let fault = DistributedFault::Disagreement {
                    what,
                    rank,
                    expected: value(&expected),
                    found: value(&found),
                };
                return Err(Error::Distributed { fault });
            }
        }
        Ok(())
    }

    /// Returns the texts of all ranks.
    fn texts(&mut self, text: Result<String, Error>) -> Result<Vec<String>, Error> {
        let len = text.as_ref().map(|text| text.len() as u64);
        let lens = self.note(Purpose::Length, len.map_err(Clone::clone))?;
        let own = text?;
        let start = |rank: usize| lens[..rank].iter().sum::<u64>() as usize;
        let range_of = |place: RankOf| start(place.rank)..start(place.rank + 1);
        let mut all = allocate(MESSAGES, (start(lens.len()), 1), 0)?;
        let place = self.place();
        all[range_of(place)].copy_from_slice(own.as_bytes());
        self.gather(Purpose::Facts, Ok(()), &mut Bytes(&mut all), &range_of)?;
        let text = |rank| String::from_utf8_lossy(&all[range_of(RankOf { rank, ..place })]);
        Ok((0..lens.len())
            .map(|rank| text(rank).into_owned())
            .collect())
    }

    /// Returns the facts of this crate and platform.
    fn platform(&self) -> Vec<Fact> {
        let target = format!(
            "{} {} {} {} bits, {} endian",
            std::env::consts::ARCH,
            std::env::consts::OS,
            if cfg!(target_env = "gnu") {
                "gnu"
            } else if cfg!(target_env = "musl") {
                "musl"
            } else if cfg!(target_env = "msvc") {
                "msvc"
            } else {
                "other"
            },
            usize::BITS,
            if cfg!(target_endian = "little") {
                "little"
            } else {
                "big"
            },
        );
        vec![
            Fact::new("the version of backprop", env!("CARGO_PKG_VERSION")),
            Fact::new("the target", target),
            Fact::new("the instruction level", format!("{:?}", level())),
            Fact::new("the scalar", self.wire().name),
            Fact::new("the checksum of mathematical functions", self.functions()),
        ]
    }

    /// Returns a checksum of the scalar functions at some points. The standard library takes some
    /// of them from the system, whose versions differ.
    fn functions(&self) -> String {
        let mut values = Vec::new();
        for k in 1..48 {
            let x = real::<T>(0.043 * f64::from(k));
            let y = real::<T>(3.7 - 0.11 * f64::from(k));
            values.extend([x.exp(), x.ln(), x.sqrt(), x.cbrt(), x.exp_m1(), x.ln_1p()]);
            values.extend([
                x.exp2(),
                x.log2(),
                x.log10(),
                x.powf(y),
                x.powi(k),
                x.hypot(y),
            ]);
            values.extend([
                y.sin(),
                y.cos(),
                y.tan(),
                y.atan(),
                y.sinh(),
                y.cosh(),
                y.tanh(),
            ]);
            values.extend([
                y.atan2(x),
                y.asinh(),
                (x / (x + T::one())).asin(),
                x.mul_add(y, x),
            ]);
            values.extend([(x / (x + T::one())).acos(), (x + T::one()).acosh()]);
            values.push((x / (x + x + T::one())).atanh());
        }
        format!("{:016x}", self.wire().hash(&values))
    }
}
