//! Files: values are saved and loaded bit for bit, a file with a wrong bit is refused, and no file
//! is left half-written.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

mod accumulator;
mod compact;
mod containers;
mod crash;
mod damage;
mod depth;
mod errors;
mod files;
mod interop;
#[path = "../support/python.rs"]
mod python;
mod schema;
mod special;
mod state;
mod store;
mod values;
mod versions;
mod without_bias;

use backprop::saving::{self, LoadError, Refusal};
use proptest::test_runner::{Config, RngSeed};
use serde::de::DeserializeOwned;
use std::fs;
use std::path::{Path, PathBuf};

/// A temporary folder for one test, removed when it ends.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("saving-{test}-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The names of the files in the folder.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// The reason for refusing these bytes, which is the same in a file and in memory.
#[track_caller]
fn refusal<D: DeserializeOwned>(bytes: &[u8], kind: &str, folder: &Folder) -> Refusal {
    let path = folder.file("refused.backprop");
    fs::write(&path, bytes).unwrap();
    let Err(refused) = saving::from_bytes::<D>(bytes, kind) else {
        panic!("read: {}", String::from_utf8_lossy(bytes));
    };
    match saving::load::<D>(&path, kind) {
        Err(LoadError::Refused { path: at, reason }) => {
            assert_eq!((&at, &reason), (&path, &refused));
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("loaded: {}", String::from_utf8_lossy(bytes)),
    }
    refused
}

/// 2048 cases, the same in every run. `PROPTEST_RNG_SEED` selects others, and `PROPTEST_CASES` sets
/// a larger number.
fn config() -> Config {
    let mut config = Config::default();
    config.cases = config.cases.max(2048);
    config.failure_persistence = None;
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    config
}
