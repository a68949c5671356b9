//! A process that is killed again and again while it writes.

use super::Folder;
use backprop::rand_xoshiro::rand_core::Rng as _;
use backprop::rng;
use backprop::saving::{Checkpoints, Found};
use serde::{Deserialize, Serialize};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FOLDER: &str = "BACKPROP_TEST_CHECKPOINTS";
const KILLS: usize = 25;

/// A state whose entries depend only on its step, so large that much of the time goes into writing
/// it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct State {
    step: u64,
    theta: Vec<f64>,
}

impl State {
    fn at(step: u64) -> Self {
        let theta = (0..20_000).map(|i| ((i + step) as f64).sin()).collect();
        Self { step, theta }
    }
}

/// The process that the next test kills. It tests nothing on its own.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let checkpoints = Checkpoints::new(folder).keep(1);
    let found: Option<Found<State>> = checkpoints.latest().unwrap();
    let mut step = found.map_or(0, |found| found.value.step);
    loop {
        step += 1;
        checkpoints.write(step, &State::at(step)).unwrap();
    }
}

#[test]
fn killed_at_any_moment() {
    let folder = Folder::new("crash");
    let checkpoints = Checkpoints::new(&folder.0).keep(1);
    let (mut last, mut begun, mut random) = (0, 0, rng(7));
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--nocapture"])
            .env(FOLDER, &folder.0)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // The child is killed at a random moment after two writes, which remove the files that the
        // previous child left. The folder is read while the child writes.
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let found: Option<Found<State>> = checkpoints.latest().unwrap();
            if found.is_some_and(|found| found.step > last + 1) {
                break;
            }
            assert!(Instant::now() < deadline, "nothing written in a minute");
            assert!(child.try_wait().unwrap().is_none(), "the child has failed");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(random.next_u64() % 30_000));
        child.kill().unwrap();
        child.wait().unwrap();

        let found: Found<State> = checkpoints.latest().unwrap().unwrap();
        assert!(
            found.step > last,
            "kill {kill}: {} after {last}",
            found.step
        );
        assert!(found.skipped.is_empty(), "{:?}", found.skipped);
        assert_eq!(found.value, State::at(found.step));
        last = found.step;
        let names = folder.names();
        let temporary = names.iter().filter(|name| name.ends_with(".tmp")).count();
        assert!(temporary <= 1, "files of earlier runs remain: {names:?}");
        begun += temporary;
        // One checkpoint, and possibly the previous one, which was about to be removed.
        assert!(names.len() - temporary <= 2, "{names:?}");
    }
    println!("{begun} of {KILLS} kills during a write");
    assert!(
        begun > 0,
        "no process was killed during a write, so the test shows nothing"
    );
    checkpoints.write(last + 1, &State::at(last + 1)).unwrap();
    assert_eq!(folder.names().len(), 1);
}
