//! The clock.

use std::fs::read_to_string;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// If other processes take more than this many processors, a measurement is repeated.
const FOREIGN: f64 = 0.06;
/// A tick of the counters in /proc, in seconds.
const TICK: f64 = 0.01;

/// The time of one call in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub median_us: f64,
    pub min_us: f64,
    /// The number of processors that other processes used during the measurement. It is 0 without
    /// /proc.
    pub foreign: f64,
}

impl Timing {
    /// Samples `call` for `min_time` seconds and at least seven times. Repeats this until other
    /// processes do not disturb it, at most `tries` times. A sample consists of the number of calls
    /// that take 20 µs.
    pub fn of(min_time: f64, tries: usize, mut call: impl FnMut()) -> Self {
        let mut best: Option<Self> = None;
        for attempt in 0..tries {
            if attempt > 0 {
                sleep(Duration::from_secs(1));
            }
            let timing = Self::once(min_time, &mut call);
            if best.is_none_or(|best| timing.foreign < best.foreign) {
                best = Some(timing);
            }
            if timing.foreign <= FOREIGN {
                break;
            }
        }
        best.unwrap_or(Self {
            median_us: f64::NAN,
            min_us: f64::NAN,
            foreign: 0.0,
        })
    }

    fn once(min_time: f64, call: &mut impl FnMut()) -> Self {
        call();
        let (warm, mut calls) = (Instant::now(), 0);
        while warm.elapsed().as_secs_f64() < min_time / 3.0 || calls < 2 {
            call();
            calls += 1;
        }
        let one = warm.elapsed().as_nanos() as f64 / f64::from(calls);
        let inner = (20_000.0 / one).ceil().max(1.0) as u32;
        let mut samples = Vec::new();
        let (load, start) = (foreign_seconds(), Instant::now());
        while start.elapsed().as_secs_f64() < min_time || samples.len() < 7 {
            let sample = Instant::now();
            for _ in 0..inner {
                call();
            }
            samples.push(sample.elapsed().as_nanos() as f64 / 1e3 / f64::from(inner));
        }
        let seconds = start.elapsed().as_secs_f64();
        let foreign = match (load, foreign_seconds()) {
            // Each of the two readings is rounded down to a tick.
            (Some(before), Some(after)) => ((after - before - 2.0 * TICK) / seconds).max(0.0),
            _ => 0.0,
        };
        samples.sort_by(f64::total_cmp);
        Self {
            median_us: samples[samples.len() / 2],
            min_us: samples[0],
            foreign,
        }
    }
}

/// Returns the processor seconds of all other processes since the start of the system.
fn foreign_seconds() -> Option<f64> {
    let system = read_to_string("/proc/stat").ok()?;
    let fields = system.lines().next()?.split_whitespace().skip(1).take(8);
    let ticks: Vec<f64> = fields
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    // Excludes idle time and waiting for input and output.
    let busy = ticks.iter().sum::<f64>() - ticks.get(3)? - ticks.get(4)?;
    let process = read_to_string("/proc/self/stat").ok()?;
    let mut fields = process[process.rfind(')')?..].split_whitespace().skip(12);
    let (user, kernel): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((busy - user - kernel) * TICK)
}
