//! How a rank waits for others.

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

/// A wait polls without pause up to this time: a message between two cores takes microseconds.
const SPIN: Duration = Duration::from_micros(50);

/// Up to this time, it yields to other threads between polls, for ranks that share a core.
const YIELD: Duration = Duration::from_millis(2);

/// After that, the pause between two polls.
const PAUSE: Duration = Duration::from_micros(50);

/// A wait that ends at a timeout.
pub(crate) struct Wait {
    start: Instant,
    timeout: Duration,
}

impl Wait {
    /// Starts to wait.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            start: Instant::now(),
            timeout,
        }
    }

    /// Pauses before the next poll. Returns `false` after the timeout.
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
