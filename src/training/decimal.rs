//! Exact times in epochs: a step is a fraction of an epoch, and a written length is a decimal.
//!
//! In `f64`, 3 · 0.2 is above 0.6, so a change every 0.2 epochs would come one step late. In this
//! module, 0.2 is exactly 1/5.

use std::cmp::Ordering;
use std::io::Write;

/// A time in epochs, t = numerator/(steps · 10^places).
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    /// t in `f64`, for factors that change continuously.
    pub(super) rounded: f64,
    numerator: Natural,
    steps: u64,
    places: u32,
}

impl Time {
    /// Returns the time before step `step` of an epoch of `steps` steps. If `steps` is 0, it counts
    /// as 1.
    pub(super) fn of_step(epoch: u64, step: u64, steps: u64) -> Self {
        let steps = steps.max(1);
        // At most (2⁶⁴ − 1)² + 2⁶⁴ − 1.
        let done = u128::from(epoch) * u128::from(steps) + u128::from(step);
        Self {
            rounded: epoch as f64 + step as f64 / steps as f64,
            numerator: Natural::from(done),
            steps,
            places: 0,
        }
    }

    /// Returns the shortest decimal that reads back as `epoch`, or 0 if `epoch` is negative or NaN.
    pub(super) fn of(epoch: f64) -> Self {
        let rounded = epoch.max(0.0);
        let decimal = Decimal::of(rounded.min(f64::MAX));
        let places = decimal.places();
        Self {
            rounded,
            numerator: decimal.scaled(places),
            steps: 1,
            places,
        }
    }

    /// Returns whether at least `epochs` epochs have passed.
    pub(super) fn reached(&self, epochs: f64) -> bool {
        match self.against(epochs) {
            Some((now, then, _)) => now.compare(&then).is_ge(),
            None => self.rounded >= epochs,
        }
    }

    /// Subtracts `epochs`, which must have passed.
    pub(super) fn since(&self, epochs: f64) -> Self {
        let Some((now, then, places)) = self.against(epochs) else {
            return Self::of(self.rounded - epochs);
        };
        let numerator = now.minus(&then);
        let rounded = match numerator.bits() {
            0 => 0.0,
            _ => (self.rounded - epochs).max(0.0),
        };
        Self {
            rounded,
            numerator,
            steps: self.steps,
            places,
        }
    }

    /// Returns ⌊t/epochs⌋. Large quotients are ∞ ([`Natural::quotient`]), because any factor except
    /// 1, raised to such a power, is 0 or ∞.
    pub(super) fn whole(&self, epochs: f64) -> f64 {
        match self.against(epochs) {
            Some((now, then, _)) => now.quotient(&then),
            None => (self.rounded / epochs).floor(),
        }
    }

    /// Returns this time and a length as whole multiples of 1/(steps · 10^places), together with
    /// `places`, or `None` for an invalid length.
    fn against(&self, epochs: f64) -> Option<(Natural, Natural, u32)> {
        if !(epochs > 0.0 && epochs.is_finite()) {
            return None;
        }
        let decimal = Decimal::of(epochs);
        let places = self.places.max(decimal.places());
        let now = self.numerator.times_ten_to(places - self.places);
        Some((now, decimal.scaled(places).times(self.steps), places))
    }
}

/// digits · 10^exponent: the shortest decimal that reads as a given `f64`. It is the decimal as
/// written if that has at most 15 digits.
#[derive(Clone, Copy, Debug)]
struct Decimal {
    digits: u64,
    exponent: i32,
}

impl Decimal {
    /// Converts a finite number ≥ 0.
    fn of(x: f64) -> Self {
        // Written as 1.2345e-300, with at most 17 digits.
        let mut text = [0; 32];
        let mut rest = &mut text[..];
        let written = write!(rest, "{x:e}").is_ok();
        let length = 32 - rest.len();
        let parts = str::from_utf8(&text[..length]).ok();
        let parts = parts.and_then(|text| text.split_once('e'));
        debug_assert!(written && parts.is_some(), "{x:e}");
        let (mantissa, exponent) = parts.unwrap_or(("0", "0"));
        let after_point = mantissa.split_once('.').map_or(0, |(_, after)| after.len());
        let digits = mantissa.bytes().filter(u8::is_ascii_digit);
        Self {
            digits: digits.fold(0, |number, digit| 10 * number + u64::from(digit - b'0')),
            exponent: exponent.parse().unwrap_or(0) - after_point as i32,
        }
    }

    /// Returns the number of digits after the point.
    fn places(self) -> u32 {
        (-self.exponent).max(0) as u32
    }

    /// Returns the number times 10^places. The product must be an integer.
    fn scaled(self, places: u32) -> Natural {
        let zeros = places as i32 + self.exponent;
        debug_assert!(zeros >= 0, "{self:?} has more than {places} places");
        Natural::from(u128::from(self.digits)).times_ten_to(zeros as u32)
    }
}

/// The number of words in a [`Natural`]. The largest number is a decimal of 309 digits with 340
/// places after the point, times a number of steps: below 2²²²⁰. A quotient multiplies it by up to
/// 2⁶³.
const WORDS: usize = 36;

/// A non-negative integer, with its least significant word first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Natural([u64; WORDS]);

impl From<u128> for Natural {
    fn from(x: u128) -> Self {
        let mut words = [0; WORDS];
        (words[0], words[1]) = (x as u64, (x >> 64) as u64);
        Self(words)
    }
}

impl Natural {
    /// Returns the number if it fits in 128 bits, as it does for typical schedules. A step then
    /// takes a quarter of the time.
    fn short(&self) -> Option<u128> {
        let [low, high, rest @ ..] = self.0;
        let fits = rest.iter().fold(0, |bits, word| bits | word) == 0;
        fits.then(|| u128::from(high) << 64 | u128::from(low))
    }

    fn times(mut self, factor: u64) -> Self {
        let short = self.short();
        if let Some(product) = short.and_then(|x| x.checked_mul(factor.into())) {
            return Self::from(product);
        }
        let mut carry = 0;
        for word in &mut self.0 {
            let product = u128::from(*word) * u128::from(factor) + carry;
            (*word, carry) = (product as u64, product >> 64);
        }
        debug_assert_eq!(carry, 0, "more words are needed");
        self
    }

    fn times_ten_to(mut self, power: u32) -> Self {
        let mut left = power;
        while left > 0 {
            let part = left.min(19); // 10¹⁹ < 2⁶⁴
            self = self.times(10_u64.pow(part));
            left -= part;
        }
        self
    }

    /// Subtracts a number that is not larger.
    fn minus(mut self, other: &Self) -> Self {
        let mut borrow = false;
        for (word, other) in self.0.iter_mut().zip(other.0) {
            let (less, first) = word.overflowing_sub(other);
            let (less, second) = less.overflowing_sub(u64::from(borrow));
            (*word, borrow) = (less, first || second);
        }
        debug_assert!(!borrow, "the difference is negative");
        self
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }

    /// Returns the number of binary digits.
    fn bits(&self) -> u32 {
        let used = self.0.iter().rposition(|&word| word != 0);
        used.map_or(0, |last| {
            64 * (last as u32 + 1) - self.0[last].leading_zeros()
        })
    }

    /// Computes ⌊self/other⌋ for `other` above 0, bit by bit. Returns ∞ for all quotients from 2⁶⁴
    /// on, and for some from 2⁶³ on.
    fn quotient(mut self, other: &Self) -> f64 {
        if let (Some(x), Some(y)) = (self.short(), other.short()) {
            return u64::try_from(x / y).map_or(f64::INFINITY, |quotient| quotient as f64);
        }
        let Some(first) = (self.bits() + 1).checked_sub(other.bits()) else {
            return 0.0;
        };
        if first > 64 {
            return f64::INFINITY;
        }
        let mut quotient = 0_u64;
        for bit in (0..first).rev() {
            let part = other.times(1 << bit);
            if self.compare(&part).is_ge() {
                self = self.minus(&part);
                quotient |= 1 << bit;
            }
        }
        quotient as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_those_that_were_written() {
        for (x, digits, exponent) in [
            (0.0, 0, 0),
            (0.2, 2, -1),
            (0.1 + 0.2, 30_000_000_000_000_004, -17),
            (1.0 / 3.0, 3_333_333_333_333_333, -16),
            (250.0, 25, 1),
            (5e-324, 5, -324),
            (f64::MAX, 17_976_931_348_623_157, 292),
        ] {
            let found = Decimal::of(x);
            assert_eq!((found.digits, found.exponent), (digits, exponent), "{x:e}");
        }
    }

    /// Compares with quotients of `u128`, whose range is sufficient here.
    #[test]
    fn quotients_are_rounded_down_exactly() {
        for steps in [1, 3, 5, 7, 60_000] {
            for (every, digits, places) in [(0.2, 2, 1), (0.07, 7, 2), (0.375, 375, 3)] {
                for step in 0..2000 {
                    let expected =
                        u128::from(step) * 10_u128.pow(places) / (digits * u128::from(steps));
                    let found = Time::of_step(0, step, steps).whole(every);
                    assert_eq!(found, expected as f64, "{step}/{steps} by {every}");
                }
            }
        }
    }

    #[test]
    fn the_ends_of_the_range_neither_overflow_nor_panic() {
        let late = Time::of_step(u64::MAX, u64::MAX, u64::MAX);
        for every in [5e-324, 1e-300, 1e-5] {
            assert_eq!(late.whole(every), f64::INFINITY);
            assert!(late.reached(every) && late.since(every).rounded > 1e19);
        }
        for every in [1e20, 1e300, f64::MAX] {
            assert_eq!(late.whole(every), 0.0);
            assert!(!late.reached(every));
        }
        let last = Time::of(f64::INFINITY);
        assert_eq!(last.whole(f64::MAX), 1.0);
        assert_eq!(last.since(5e-324).whole(f64::MAX), 0.0);
        assert_eq!(last.since(f64::MAX).whole(5e-324), 0.0);
        assert_eq!(Time::of(5e-324).whole(5e-324), 1.0);
        assert_eq!(Time::of_step(0, 5, 0).whole(2.0), 2.0);
        // Lengths that no valid schedule has.
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let _ = (late.whole(odd), late.reached(odd), late.since(odd));
        }
        assert_eq!(Time::of(f64::NAN).whole(0.5), 0.0);
        assert_eq!(Time::of(-3.0).whole(0.5), 0.0);
    }
}
