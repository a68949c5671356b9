//! The resident memory of training from a file that is larger than it.

use super::Folder;
use backprop::activation::{Identity, Tanh};
use backprop::source::{FileSource, Number, RowFile};
use backprop::training::{Adam, Trainer};
use backprop::{AnyCost, Initialization, Network, Objective, rng};
use std::path::Path;
use std::process::Command;

/// Where the child finds the file, and its batch size.
const FILE: &str = "BACKPROP_TEST_RESIDENT";
const BATCH: &str = "BACKPROP_TEST_BATCH";

/// The length of the file.
const MIB: u64 = 256;

/// The bound in MiB. Of two chunks of 16 MiB, one is read while the other is computed. The rest is
/// the program itself, activations, and chunks that the allocator has not given back. Measured: 53
/// MiB with batches of 512, and 66 MiB with those of 65 536, which are read in pieces.
const BOUND: u64 = 96;

/// Runs in a process of its own, started by the test below.
#[test]
fn child() {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    let rows = RowFile::raw(Path::new(&path), Number::F32, 256).unwrap();
    let source = FileSource::<f32>::joined(rows, 255).unwrap();
    let network = Network::builder(255).dense(16, Tanh).dense(1, Identity);
    let mut network = network
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap();
    let objective = Objective::new(AnyCost::SquaredError);
    Trainer::new(objective, Adam::new(0.001))
        .epochs(1)
        .batch_size(std::env::var(BATCH).unwrap().parse().unwrap())
        .validation_fraction(0.1)
        .fit_source(&mut network, &source)
        .unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    println!("{}", line.unwrap());
}

#[test]
fn training_holds_little_of_a_file() {
    if !Path::new("/proc/self/status").exists() {
        return; // only Linux says how much memory a process had
    }
    let folder = Folder::new();
    // The file takes no room on the disk: all numbers are 0.
    let path = folder.write("rows", &[]);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(MIB << 20).unwrap();
    for batch in ["512", "65536"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["sources::resident::child", "--exact", "--nocapture"])
            .env(FILE, &path)
            .env(BATCH, batch)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        let (_, rest) = text.split_once("VmHWM:").unwrap();
        let kib: u64 = rest.split_whitespace().next().unwrap().parse().unwrap();
        assert!(kib >> 10 < BOUND, "{} MiB were resident", kib >> 10);
    }
}
