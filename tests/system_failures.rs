//! A system call that fails during a save gives a typed error and keeps the last good file.
//!
//! This file defines the C library functions that std uses for writing, and the linker prefers
//! them. Each passes the call on, unless the thread has requested a failure.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "functions of the C library; test helpers may panic to fail tests"
)]

use backprop::activation::Identity;
use backprop::nalgebra::DMatrix;
use backprop::saving::{Checkpoints, SaveError, load, save};
use backprop::training::{Adam, Trainer};
use backprop::{Error, Examples, Network, Objective, SquaredError};
use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Write,
    Sync,
    Rename,
}

thread_local! {
    /// The call that fails, the number of such calls that succeed before it, and the error number.
    static FAILS: Cell<Option<(Call, usize, c_int)>> = const { Cell::new(None) };
}

const EIO: c_int = 5;
const ENOSPC: c_int = 28;
const AT_FDCWD: c_int = -100;

#[repr(C)]
struct Part {
    start: *const c_void,
    length: usize,
}

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
    fn fdatasync(file: c_int) -> c_int;
    fn renameat(from: c_int, name: *const c_char, to: c_int, new: *const c_char) -> c_int;
    fn writev(file: c_int, parts: *const Part, count: c_int) -> isize;
}

/// Returns whether this call fails. Each request makes one call fail.
fn fails(call: Call) -> bool {
    let Some((which, after, number)) = FAILS.get().filter(|fails| fails.0 == call) else {
        return false;
    };
    FAILS.set((after > 0).then(|| (which, after - 1, number)));
    if after == 0 {
        // SAFETY: the function returns the address of this thread's error number.
        unsafe { *__errno_location() = number };
    }
    after == 0
}

/// # Safety
/// The contract of the C library's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn fsync(file: c_int) -> c_int {
    if fails(Call::Sync) {
        return -1;
    }
    // SAFETY: the caller upholds the contract.
    unsafe { fdatasync(file) }
}

/// # Safety
/// The contract of the C library's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    if fails(Call::Rename) {
        return -1;
    }
    // SAFETY: the caller upholds the contract.
    unsafe { renameat(AT_FDCWD, from, AT_FDCWD, to) }
}

/// # Safety
/// The contract of the C library's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(file: c_int, start: *const c_void, length: usize) -> isize {
    if fails(Call::Write) {
        return -1;
    }
    let part = Part { start, length };
    // SAFETY: the caller upholds the contract, and the one part lives on the stack.
    unsafe { writev(file, &raw const part, 1) }
}

struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("failures-{test}-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// The files in the folder with their contents.
    fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(&self.0).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut contents: Vec<_> = paths
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        contents.sort();
        contents
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs `f` with one failing call. Also returns whether that call was made.
fn with<R>(call: Call, after: usize, number: c_int, f: impl FnOnce() -> R) -> (R, bool) {
    FAILS.set(Some((call, after, number)));
    let result = f();
    (result, FAILS.take().is_none())
}

/// Every write, sync and rename before the new file is in place.
const BEFORE: [(Call, usize, c_int); 4] = [
    (Call::Write, 0, ENOSPC),
    (Call::Write, 1, EIO),
    (Call::Sync, 0, EIO),
    (Call::Rename, 0, EIO),
];

#[test]
fn a_save_that_fails_leaves_the_last_good_file() {
    let folder = Folder::new("save");
    let path = folder.0.join("theta.backprop");
    for first in [true, false] {
        let before = folder.contents();
        assert_eq!(before.is_empty(), first);
        for (call, after, number) in BEFORE {
            let (saved, failed) = with(call, after, number, || save(&path, "theta", &[0.5, 0.25]));
            assert!(failed, "{call:?} {after} was not called");
            match saved {
                Err(SaveError::Io { path: at, source }) => {
                    assert_eq!((at, source.raw_os_error()), (path.clone(), Some(number)));
                }
                other => panic!("{call:?}: {other:?}"),
            }
            assert_eq!(folder.contents(), before, "{call:?} {after}");
        }
        save(&path, "theta", &[0.1]).unwrap();
        assert_eq!(load::<Vec<f64>>(&path, "theta").unwrap(), [0.1]);
    }
    // Syncing the folder is the last step. By then the new content is complete and in place.
    let (saved, failed) = with(Call::Sync, 1, EIO, || save(&path, "theta", &[0.75]));
    assert!(
        failed && matches!(saved, Err(SaveError::Io { .. })),
        "{saved:?}"
    );
    assert_eq!(load::<Vec<f64>>(&path, "theta").unwrap(), [0.75]);
    // There are no other calls.
    for (call, after) in [(Call::Write, 2), (Call::Sync, 2), (Call::Rename, 1)] {
        let (saved, failed) = with(call, after, EIO, || save(&path, "theta", &[0.5]));
        assert!(saved.is_ok() && !failed, "{call:?}");
    }
    assert_eq!(folder.contents().len(), 1);
}

#[test]
fn a_failed_checkpoint_removes_no_other() {
    let folder = Folder::new("checkpoints");
    let checkpoints = Checkpoints::new(&folder.0).keep(2);
    for step in 1..=2 {
        checkpoints.write(step, &step).unwrap();
    }
    let before = folder.contents();
    for (call, after, number) in BEFORE {
        let (written, failed) = with(call, after, number, || checkpoints.write(3, &3));
        assert!(
            failed && matches!(written, Err(SaveError::Io { .. })),
            "{call:?}: {written:?}"
        );
        assert_eq!(folder.contents(), before, "{call:?} {after}");
        let found = checkpoints.latest::<u64>().unwrap().unwrap();
        assert_eq!((found.step, found.value, found.skipped.len()), (2, 2, 0));
    }
    // The new checkpoint is visible but may not be on the disk, so the older ones stay.
    let (written, failed) = with(Call::Sync, 1, EIO, || checkpoints.write(3, &3));
    assert!(failed && written.is_err());
    assert_eq!(folder.contents().len(), 3);
    assert_eq!(folder.contents()[..2], before);
}

/// The run ends there with its results so far. When it resumes from the previous checkpoint, it
/// reaches the same bits.
#[test]
fn a_failed_checkpoint_ends_the_run_with_its_results() {
    let x = DMatrix::from_row_slice(1, 3, &[0.0, 1.0, 2.0]);
    let y = DMatrix::from_row_slice(1, 3, &[1.0, 3.0, 5.0]);
    let examples = Examples::new(&x, &y).unwrap();
    let start = Network::<f64>::builder(1)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let trainer =
        |epochs| Trainer::new(Objective::new(SquaredError), Adam::new(0.1)).epochs(epochs);
    let trained = |epochs| {
        let mut network = start.clone();
        trainer(epochs).fit(&mut network, &examples).unwrap();
        network
    };
    for (call, after, number) in BEFORE {
        let folder = Folder::new(&format!("training-{call:?}-{after}"));
        let saved = |epochs| trainer(epochs).checkpoints(Checkpoints::new(&folder.0), 2);
        // The trial save before the first step succeeds.
        let trial = usize::from(call != Call::Rename);
        let mut network = start.clone();
        saved(2).fit(&mut network, &examples).unwrap();
        assert_eq!(network, trained(2));
        let mut network = start.clone();
        let (done, failed) = with(call, trial + after, number, || {
            saved(6).resume(&mut network, &examples)
        });
        assert!(
            failed && matches!(done, Err(Error::Checkpoint { .. })),
            "{done:?}"
        );
        assert_eq!(network, trained(4), "{call:?}");
        let (history, resumed) = saved(6).resume(&mut network, &examples).unwrap();
        assert_eq!((resumed.epoch, history.records().len()), (2, 6));
        assert_eq!(network, trained(6));
    }
    // The trial save fails: nothing has changed, and no folder is left.
    for (call, after) in [(Call::Write, 0), (Call::Sync, 0)] {
        let folder = Folder::new(&format!("trial-{call:?}"));
        let runs = folder.0.join("runs/7");
        let mut network = start.clone();
        let mut trainer = trainer(6).checkpoints(Checkpoints::new(&runs), 2);
        let (done, failed) = with(call, after, EIO, || trainer.fit(&mut network, &examples));
        assert!(
            failed && matches!(done, Err(Error::Checkpoint { .. })),
            "{done:?}"
        );
        assert_eq!(network, start);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
    }
}
