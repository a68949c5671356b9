//! Targets that are not regular files, and temporary files of processes that have exited.
#![cfg(unix)]

use super::Folder;
use backprop::saving::{Checkpoints, LoadError, SaveError, load, save};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Returns the result if it arrives in time. Opening a FIFO would block forever.
fn soon<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(f()));
    receive.recv_timeout(Duration::from_secs(60)).unwrap()
}

fn not_saved(path: &Path) -> io::Error {
    let owned = path.to_owned();
    match soon(move || save(owned, "rate", &0.5)) {
        Err(SaveError::Io { path: at, source }) => {
            assert_eq!(at, path);
            source
        }
        other => panic!("{other:?}"),
    }
}

fn not_loaded(path: &Path) -> io::Error {
    let owned = path.to_owned();
    match soon(move || load::<f64>(owned, "rate")) {
        Err(LoadError::Io { path: at, source }) => {
            assert_eq!(at, path);
            source
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn special_files_are_neither_replaced_nor_read() {
    let folder = Folder::new("special");
    let (pipe, socket, inner) = (
        folder.file("pipe"),
        folder.file("socket"),
        folder.file("inner"),
    );
    fifo(&pipe);
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::create_dir(&inner).unwrap();
    let null = Path::new("/dev/null");
    for (path, kind, found) in [
        (pipe.as_path(), ErrorKind::InvalidInput, "a FIFO"),
        (&socket, ErrorKind::InvalidInput, "a socket"),
        (null, ErrorKind::InvalidInput, "a device"),
        (&inner, ErrorKind::IsADirectory, "a folder"),
    ] {
        for error in [not_saved(path), not_loaded(path)] {
            let text = format!("expected a regular file, found {found}");
            assert_eq!((error.kind(), error.to_string()), (kind, text));
        }
    }
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    assert!(
        fs::symlink_metadata(null)
            .unwrap()
            .file_type()
            .is_char_device()
    );
    assert_eq!(
        folder.names(),
        ["inner", "pipe", "socket"],
        "no temporary file is left"
    );

    // A link is followed to be read, and replaced to be written, whatever it points to.
    let link = folder.file("link");
    symlink(&pipe, &link).unwrap();
    assert_eq!(
        not_loaded(&link).to_string(),
        "expected a regular file, found a FIFO"
    );
    save(&link, "rate", &0.5).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    let dangling = folder.file("dangling");
    symlink(folder.file("nowhere"), &dangling).unwrap();
    save(&dangling, "rate", &0.25).unwrap();
    assert_eq!(load::<f64>(&dangling, "rate").unwrap(), 0.25);
}

/// In a folder of checkpoints, such files do not count as checkpoints and are not overwritten.
#[test]
fn special_files_among_checkpoints() {
    let folder = Folder::new("special-checkpoints");
    let checkpoints = Checkpoints::new(&folder.0).keep(1);
    let name = |step: u64| folder.file(&format!("checkpoint-{step:020}.backprop"));
    fifo(&name(3));
    fifo(&name(9));
    fifo(&folder.file("elsewhere"));
    std::os::unix::fs::symlink(folder.file("elsewhere"), name(8)).unwrap();
    let reader = checkpoints.clone();
    assert!(soon(move || reader.latest::<f64>()).unwrap().is_none());
    let writer = checkpoints.clone();
    soon(move || writer.write(1, &0.5)).unwrap();
    let writer = checkpoints.clone();
    let refused = soon(move || writer.write(3, &0.5)).unwrap_err();
    assert!(refused.to_string().contains("found a FIFO"), "{refused}");
    assert_eq!(checkpoints.latest::<f64>().unwrap().unwrap().step, 1);
    assert!([3, 8, 9].iter().all(|&step| name(step).exists()));
}

fn word(process: u32, count: u32) -> String {
    format!(".backprop-0123456789abcdef-{process}-{count}.tmp")
}

/// The id of a process that has exited.
fn gone() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn temporary_files_of_exited_processes_are_removed() {
    let folder = Folder::new("leftovers");
    let path = folder.file("rate.backprop");
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let (dead, live, own) = (gone(), sleeper.id(), std::process::id());
    // A process of another run may have the same id, but its file names contain a different word. A
    // file that is being written has a lock.
    let (removed, locked) = ([word(dead, 0), word(own, 1)], word(own, 2));
    let kept = [
        word(live, 0),
        locked.clone(),
        ".backprop-notes.tmp".to_owned(),
        ".backprop-0-0-0.tmp".to_owned(),
        format!(".backprop-0123456789abcdeg-{dead}-0.tmp"),
        format!(".backprop-0123456789abcdef-{dead}-+1.tmp"),
        format!(".backprop-0123456789abcdef-{dead}-1.tmp.bak"),
        format!(".checkpoint-0123456789abcdef-{dead}-1.tmp"),
        "rate.backprop".to_owned(),
    ];
    for name in removed.iter().chain(&kept) {
        fs::write(folder.file(name), "half").unwrap();
    }
    let pipe = word(dead, 7);
    fifo(&folder.file(&pipe));
    let lock = File::open(folder.file(&locked)).unwrap();
    lock.lock().unwrap();
    // A refused save removes nothing.
    let before = folder.names();
    save(&path, "rate", &f64::NAN).unwrap_err();
    assert_eq!(folder.names(), before);

    save(&path, "rate", &0.5).unwrap();
    let mut expected = [kept.as_slice(), &[pipe]].concat();
    expected.sort();
    assert_eq!(folder.names(), expected);
    // The files are removed once those processes have exited too.
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    drop(lock);
    save(&path, "rate", &0.25).unwrap();
    expected.retain(|name| *name != word(live, 0) && *name != locked);
    assert_eq!(folder.names(), expected);
    assert_eq!(load::<f64>(&path, "rate").unwrap(), 0.25);
}

const TARGET: &str = "BACKPROP_TEST_TARGET";

/// The process that the next test kills. It tests nothing on its own.
#[test]
fn child() {
    let Some(path) = std::env::var_os(TARGET) else {
        return;
    };
    let theta = vec![0.1; 100_000];
    loop {
        save(&path, "theta", &theta).unwrap();
    }
}

/// Two processes save to a folder, and one is killed during a save. The other never loses a file,
/// and it removes what the first left behind.
#[test]
fn a_killed_save_leaves_no_permanent_files() {
    let folder = Folder::new("killed-save");
    let mut left = 0;
    // Under load, few kills occur during a save, so the test kills as often as needed.
    for kill in 0..240_u64 {
        if kill >= 12 && left > 0 {
            break;
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "special::child", "--nocapture"])
            .env(TARGET, folder.file("theirs"))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(40));
        for _ in 0..10 {
            save(folder.file("ours"), "rate", &0.5).unwrap();
            std::thread::sleep(Duration::from_micros(300 + 700 * (kill % 12)));
        }
        assert!(
            child.try_wait().unwrap().is_none(),
            "the file of a live process was removed"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        left += folder
            .names()
            .iter()
            .filter(|name| name.ends_with(".tmp"))
            .count();
        save(folder.file("ours"), "rate", &0.5).unwrap();
        assert_eq!(folder.names(), ["ours", "theirs"]);
    }
    assert!(
        left > 0,
        "no process was killed during a save, so the test shows nothing"
    );
}
