//! The only place that reads the time.

use std::time::{Duration, Instant};

/// Returns whether the target has a clock. `wasm32-unknown-unknown` has none, and `Instant::now`
/// panics there.
pub(super) fn has_clock() -> bool {
    #[cfg(test)]
    if tests::ABSENT.get() {
        return false;
    }
    cfg!(not(all(target_family = "wasm", target_os = "unknown")))
}

/// A clock that runs only if the time is needed and the target has a clock.
#[derive(Debug)]
pub(super) struct Clock(Option<Instant>);

impl Clock {
    pub(super) fn start(wanted: bool) -> Self {
        Self((wanted && has_clock()).then(now))
    }

    /// Returns the time since the start, or 0 if the clock does not run.
    pub(super) fn elapsed(&self) -> Duration {
        self.0
            .map_or(Duration::ZERO, |began| now().duration_since(began))
    }
}

fn now() -> Instant {
    #[cfg(test)]
    tests::READ.set(tests::READ.get() + 1);
    Instant::now()
}

#[cfg(test)]
mod tests {
    use crate::activation::AnyActivation;
    use crate::training::{Adam, Schedule, Trainer};
    use crate::{AnyCost, Error, Examples, Network, Objective};
    use nalgebra::DMatrix;
    use std::cell::{Cell, RefCell};
    use std::ops::ControlFlow;
    use std::path::Path;
    use std::time::Duration;

    thread_local! {
        /// The number of times that this thread has read the clock.
        pub(super) static READ: Cell<u64> = const { Cell::new(0) };
        /// Simulates a target without a clock on this thread.
        pub(super) static ABSENT: Cell<bool> = const { Cell::new(false) };
    }

    /// Counts the clock reads in three epochs of training, whether or not training fails.
    fn reads<'a>(
        change: impl FnOnce(Trainer<'a, f64>) -> Trainer<'a, f64>,
    ) -> (u64, Result<(), Error>) {
        let x = DMatrix::from_fn(1, 6, |_, k| k as f64);
        let examples = Examples::new(&x, &x).unwrap();
        let network = Network::builder(1).dense(1, AnyActivation::Identity);
        let objective = Objective::new(AnyCost::SquaredError);
        let trainer = Trainer::new(objective, Adam::new(0.1)).epochs(3);
        READ.set(0);
        let done = change(trainer).fit(&mut network.zeros().unwrap(), &examples);
        (READ.get(), done.map(drop))
    }

    #[test]
    fn the_time_is_read_only_where_it_is_asked_for() {
        let plain = reads(|trainer| {
            let schedule = Schedule::one_cycle(3.0);
            let trainer = trainer.batch_size(2).schedule(schedule).patience(9);
            trainer.validation_fraction(0.5).steps(9)
        });
        assert_eq!(plain, (0, Ok(())));
        let callback = reads(|trainer| trainer.on_epoch(|_| ControlFlow::Continue(())));
        assert_eq!(callback, (4, Ok(())));
        let budget = reads(|trainer| trainer.time(Duration::from_secs(1000)));
        assert_eq!(budget, (4, Ok(())));
    }

    #[test]
    fn without_a_clock_everything_but_a_time_budget_trains() {
        ABSENT.set(true);
        let lines = RefCell::new(Vec::new());
        let callback = reads(|trainer| {
            trainer.on_epoch(|epoch| {
                assert_eq!(epoch.elapsed, Duration::ZERO);
                lines.borrow_mut().push(epoch.to_string());
                ControlFlow::Continue(())
            })
        });
        assert_eq!(callback, (0, Ok(())));
        // Unmeasured time is not shown.
        assert_eq!(lines.borrow().len(), 3);
        assert!(
            lines
                .borrow()
                .iter()
                .all(|line| line.ends_with("rate 1.00e-1"))
        );
        let refused = Error::Unsupported {
            what: "a time budget",
            by: "a target without a clock",
        };
        let budget = reads(|trainer| trainer.time(Duration::from_secs(1000)));
        assert_eq!(budget, (0, Err(refused)));
        ABSENT.set(false);
    }

    /// Collects the files in `folder` that read a clock, with the number of reads.
    fn clocks(folder: &Path, found: &mut Vec<(String, usize)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                clocks(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // Built from parts, so that this line does not match itself.
            let count = |name: &str| text.matches(&format!("{name}::{}", "now(")).count();
            let count = count("Instant") + count("SystemTime");
            if count > 0 {
                let name = path.file_name().unwrap();
                found.push((name.to_string_lossy().into_owned(), count));
            }
        }
    }

    #[test]
    fn nothing_else_reads_a_clock() {
        let mut found = Vec::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        clocks(&source, &mut found);
        assert_eq!(found, [("clock.rs".to_owned(), 1)]);
    }
}
