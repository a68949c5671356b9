//! How a rank waits for others.

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

/// Up to here, a wait asks again at once: a message between two cores takes a few microseconds.
const SPIN: Duration = Duration::from_micros(50);

/// Up to here, a wait lets other threads run first, for ranks that share a core.
const YIELD: Duration = Duration::from_millis(2);

/// The pause between two questions after that.
const PAUSE: Duration = Duration::from_micros(50);

/// A wait that began at a time and ends with a time-out.
pub(crate) struct Patience {
    start: Instant,
    timeout: Duration,
}

impl Patience {
    /// Starts to wait.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            start: Instant::now(),
            timeout,
        }
    }

    /// Pauses for as long as is sensible before the next question. Returns false if the time is
    /// over.
    pub(crate) fn pause(&self) -> bool {
        let waited = self.start.elapsed();
        if waited >= self.timeout {
            return false;
        }
        if waited < SPIN {
            hint::spin_loop();
        } else if waited < YIELD {
            thread::yield_now();
        } else {
            thread::sleep(PAUSE.min(self.timeout - waited));
        }
        true
    }
}
