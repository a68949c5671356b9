//! The last few checkpoints of a run.

use super::Folder;
use backprop::activation::Sigmoid;
use backprop::saving::{Checkpoints, LoadError, Refusal, SaveError, load, save, to_bytes};
use backprop::{Network, saving::Found};
use std::fs;
use std::path::{Path, PathBuf};

fn name(step: u64) -> String {
    format!("checkpoint-{step:020}.backprop")
}

fn names<const N: usize>(steps: [u64; N]) -> Vec<String> {
    steps.map(name).to_vec()
}

fn latest(checkpoints: &Checkpoints) -> Found<String> {
    checkpoints.latest().unwrap().unwrap()
}

#[test]
fn the_newest_checkpoints_are_kept() {
    let folder = Folder::new("kept");
    // The folder is created with its missing parents.
    let within = folder.file("runs/7");
    let checkpoints = Checkpoints::new(&within);
    assert!(checkpoints.latest::<String>().unwrap().is_none());
    assert!(!within.exists(), "reading creates nothing");
    let listed = || {
        let mut names: Vec<_> = fs::read_dir(&within)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    // Checkpoints are ordered by number, up to the largest one, and not as text or by time.
    for (step, expected) in [
        (9, vec![9]),
        (10, vec![9, 10]),
        (100, vec![9, 10, 100]),
        (1000, vec![10, 100, 1000]),
        (1000, vec![10, 100, 1000]),
        (u64::MAX, vec![100, 1000, u64::MAX]),
    ] {
        let path = checkpoints.write(step, &format!("at {step}")).unwrap();
        assert_eq!(path, within.join(name(step)));
        let expected: Vec<_> = expected.into_iter().map(name).collect();
        assert_eq!(listed(), expected);
        let found = latest(&checkpoints);
        assert_eq!((found.step, found.value), (step, format!("at {step}")));
        assert_eq!(found.path, path);
        assert!(found.skipped.is_empty());
    }
    // Each checkpoint is a file like any other.
    let path = within.join(name(100));
    let read: String = load(path, "checkpoint").unwrap();
    assert_eq!(read, "at 100");
    // From now on, fewer checkpoints are kept. A limit of 0 still keeps one.
    for keep in [2, 1, 0] {
        let fewer = Checkpoints::new(&within).keep(keep);
        fewer.write(u64::MAX, "last").unwrap();
        assert_eq!(listed().len(), keep.max(1));
    }
    assert_eq!(listed(), names([u64::MAX]));
}

#[test]
fn here() {
    let empty = Checkpoints::new("");
    assert_eq!(empty, Checkpoints::new("."));
    assert!(empty.latest::<String>().unwrap().is_none());
}

#[test]
fn a_step_back_is_refused() {
    let folder = Folder::new("back");
    let checkpoints = Checkpoints::new(&folder.0).keep(2);
    for step in [10, 20] {
        checkpoints.write(step, "first").unwrap();
    }
    for step in [0, 9, 10, 15, 19] {
        let error = checkpoints.write(step, "second").unwrap_err();
        let back = matches!(&error, SaveError::Step { found, newest: 20 } if *found == step);
        assert!(back, "{error:?}");
        let text = format!("step {step} is older than checkpoint 20, the newest in its folder");
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(folder.names(), names([10, 20]));
    assert_eq!(latest(&checkpoints).value, "first");
    // After a damaged checkpoint, a run resumes from the one before it and may write different
    // steps.
    fs::write(folder.file(&name(20)), "torn").unwrap();
    assert_eq!(latest(&checkpoints).step, 10);
    checkpoints.write(15, "second").unwrap();
    assert_eq!(folder.names(), names([10, 15]));
    // The run may also write the same steps again.
    fs::write(folder.file(&name(20)), "").unwrap();
    checkpoints.write(20, "second").unwrap();
    assert_eq!(latest(&checkpoints).step, 20);
    assert_eq!(folder.names(), names([15, 20]));
    // A file that this version cannot read may be intact.
    let newer = b"{\"format\":\"backprop\",\"version\":3}\n";
    fs::write(folder.file(&name(30)), newer).unwrap();
    let refused = checkpoints.write(25, "third");
    assert!(matches!(refused, Err(SaveError::Step { newest: 30, .. })));
}

#[test]
fn damaged_checkpoints_are_skipped() {
    let folder = Folder::new("skipped");
    let checkpoints = Checkpoints::new(&folder.0).keep(6);
    for step in 1..=6 {
        checkpoints.write(step, &format!("at {step}")).unwrap();
    }
    let path = |step| folder.file(&name(step));
    let whole = fs::read(path(1)).unwrap();
    let end = whole.len();
    let content = "\"at 1\"".len() as u64;
    let mut flipped = whole.clone();
    flipped[end - 2] ^= 1;
    let zeros = vec![0; end];
    fs::write(path(6), b"").unwrap();
    fs::write(path(5), &whole[..end - 1]).unwrap();
    fs::write(path(4), &flipped).unwrap();
    fs::write(path(3), &zeros).unwrap();
    fs::write(path(2), [&whole, b"\n".as_slice()].concat()).unwrap();
    let found = latest(&checkpoints);
    assert_eq!((found.step, found.value.as_str()), (1, "at 1"));
    let reasons: Vec<_> = found.skipped.iter().map(|s| s.reason.clone()).collect();
    let paths: Vec<PathBuf> = found.skipped.into_iter().map(|s| s.path).collect();
    assert_eq!(paths, [6, 5, 4, 3, 2].map(path));
    assert_eq!(reasons[0], Refusal::TruncatedHeader { found: 0 });
    let (expected, found) = (content, content - 1);
    assert_eq!(reasons[1], Refusal::Truncated { expected, found });
    assert!(matches!(reasons[2], Refusal::Corrupt { .. }));
    assert_eq!(reasons[3], Refusal::NotOurs);
    let found = content + 1;
    assert_eq!(reasons[4], Refusal::TrailingBytes { expected, found });

    // If all are damaged, a run must not start over silently.
    fs::write(path(1), "").unwrap();
    match checkpoints.latest::<String>() {
        Err(error @ LoadError::NoneWhole { .. }) => {
            let text = error.to_string();
            assert!(
                text.contains("no checkpoint can be read (6 damaged); the newest is "),
                "{text}"
            );
            assert!(text.contains(&name(6)), "{text}");
            let LoadError::NoneWhole {
                folder: at,
                skipped,
            } = error
            else {
                unreachable!()
            };
            assert_eq!((at, skipped.len()), (folder.0.clone(), 6));
        }
        other => panic!("{other:?}"),
    }
    // A new run may still start there.
    checkpoints.write(1, "anew").unwrap();
    assert_eq!(latest(&checkpoints).value, "anew");
    assert_eq!(folder.names(), names([1]));
}

/// An intact checkpoint of another program is not skipped.
#[test]
fn intact_but_unusable_checkpoints_are_errors() {
    let folder = Folder::new("unusable");
    let checkpoints = Checkpoints::new(&folder.0);
    checkpoints.write(1, "first").unwrap();
    let newest = folder.file(&name(2));
    let refused = || match checkpoints.latest::<String>() {
        Err(LoadError::Refused { path, reason }) => {
            assert_eq!(path, newest);
            reason
        }
        other => panic!("{other:?}"),
    };
    fs::write(
        &newest,
        b"{\"format\":\"backprop\",\"version\":3}\nwho knows",
    )
    .unwrap();
    let (found, supported) = (3, 2);
    assert_eq!(refused(), Refusal::Newer { found, supported });
    save(&newest, "network", "second").unwrap();
    assert!(matches!(refused(), Refusal::Kind { .. }));
    save(&newest, "checkpoint", &2).unwrap();
    assert!(matches!(refused(), Refusal::Content { .. }));
    // It contains an invalid network.
    let bytes = to_bytes("checkpoint", "{}").unwrap();
    fs::write(&newest, bytes).unwrap();
    let found = checkpoints.latest::<Network<f64>>();
    assert!(matches!(
        found,
        Err(LoadError::Refused {
            reason: Refusal::Content { .. },
            ..
        })
    ));
}

#[test]
fn other_files_are_left_untouched() {
    let folder = Folder::new("foreign");
    let foreign = [
        "checkpoint-5.backprop",
        "checkpoint-000000000000000000005.backprop",
        "checkpoint-99999999999999999999.backprop",
        "checkpoint-+0000000000000000005.backprop",
        "checkpoint-00000000000000000005.backprop.bak",
        "checkpoint-0000000000000000000x.backprop",
        "model.backprop",
        "log.txt",
        ".backprop-0-0-0.tmp",
        ".checkpoint-notes",
    ];
    for name in foreign {
        fs::write(folder.file(name), "mine").unwrap();
    }
    fs::create_dir(folder.file(&name(9))).unwrap();
    let checkpoints = Checkpoints::new(&folder.0).keep(1);
    assert!(checkpoints.latest::<String>().unwrap().is_none());
    for step in 1..=3 {
        checkpoints.write(step, "ours").unwrap();
    }
    assert_eq!(latest(&checkpoints).step, 3);
    let mut expected: Vec<String> = foreign.map(str::to_owned).to_vec();
    expected.extend([name(3), name(9)]);
    expected.sort();
    assert_eq!(folder.names(), expected);
}

#[test]
fn temporary_files_of_exited_runs_are_removed() {
    let folder = Folder::new("temporary");
    let dead = format!(".checkpoint-0123456789abcdef-{}-0.tmp", std::process::id());
    fs::write(folder.file(&dead), "half").unwrap();
    let checkpoints = Checkpoints::new(&folder.0);
    assert!(checkpoints.latest::<String>().unwrap().is_none());
    // A refused write removes nothing.
    assert!(checkpoints.write(1, &f64::NAN).is_err());
    assert_eq!(folder.names(), [dead]);
    checkpoints.write(1, "whole").unwrap();
    assert_eq!(folder.names(), names([1]));
}

/// The threads of one run do not mistake each other's temporary files for those of runs that have
/// ended.
#[test]
fn threads_that_write() {
    let folder = Folder::new("writers");
    let checkpoints = Checkpoints::new(&folder.0);
    std::thread::scope(|scope| {
        for i in 0..4_u64 {
            let checkpoints = &checkpoints;
            let value = vec![i; 500];
            scope.spawn(move || (0..20).for_each(|_| drop(checkpoints.write(7, &value).unwrap())));
        }
    });
    let found: Found<Vec<u64>> = checkpoints.latest().unwrap().unwrap();
    assert_eq!(found.value, vec![found.value[0]; 500]);
    assert_eq!(folder.names(), names([7]));
}

/// During a run, a reader always finds a complete checkpoint, never one older than at the previous
/// read, even though any listed file may have been removed.
#[test]
fn threads_that_read() {
    let folder = Folder::new("readers");
    let checkpoints = Checkpoints::new(&folder.0).keep(1);
    checkpoints.write(0, &vec![0_u64; 500]).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for step in 1..=60 {
                checkpoints.write(step, &vec![step; 500]).unwrap();
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            let found: Found<Vec<u64>> = checkpoints.latest().unwrap().unwrap();
            assert!(found.step >= last, "{} after {last}", found.step);
            assert_eq!(found.value, vec![found.step; 500]);
            assert!(found.skipped.is_empty());
            last = found.step;
        }
    });
}

/// A killed training run resumes from its newest checkpoint and ends with the same bits.
#[test]
fn a_killed_run_resumes_with_the_same_bits() {
    let folder = Folder::new("training");
    let start = Network::<f64>::builder(1)
        .dense(1, Sigmoid)
        .with_theta(&[0.1, 0.7]);
    let step = |network: &mut Network<f64>| {
        let theta: Vec<f64> = network.theta().iter().map(|t| t * 0.99 + 1e-3).collect();
        network.set_theta(&theta).unwrap();
    };
    let mut straight = start.clone().unwrap();
    (0..50).for_each(|_| step(&mut straight));

    let checkpoints = Checkpoints::new(&folder.0);
    loop {
        let found = checkpoints.latest::<Network<f64>>().unwrap();
        let (from, mut network) = match found {
            Some(found) => (found.step, found.value),
            None => (0, start.clone().unwrap()),
        };
        // The run is killed after seven steps. It has written a checkpoint every three steps.
        for at in from + 1..=50.min(from + 7) {
            step(&mut network);
            if at % 3 == 0 || at == 50 {
                checkpoints.write(at, &network).unwrap();
            }
        }
        if from == 50 {
            assert_eq!(network, straight);
            break;
        }
    }
    assert!(Path::new(&folder.file(&name(50))).exists());
}

/// A write removes only damaged files of later steps and the oldest files beyond the number to
/// keep. It never removes a complete file of a later step, readable or not.
#[test]
fn a_write_removes_only_old_and_damaged_files() {
    let folder = Folder::new("guard");
    let checkpoints = Checkpoints::new(&folder.0).keep(2);
    let path = |step| folder.file(&name(step));
    let whole = to_bytes("checkpoint", "whole").unwrap();
    let newer = b"{\"format\":\"backprop\",\"version\":3}\n".to_vec();
    let other = to_bytes("network", "whole").unwrap();
    let mut changed = whole.clone();
    changed[whole.len() - 2] ^= 1;
    let damaged = [
        Vec::new(),
        b"torn".to_vec(),
        whole[..20].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [whole.as_slice(), b"\n"].concat(),
        changed,
        vec![0; whole.len()],
    ];
    for later in [&whole, &newer, &other] {
        for damage in &damaged {
            for step in folder.names() {
                fs::remove_file(folder.file(&step)).unwrap();
            }
            for step in 1..=4 {
                fs::write(path(step), &whole).unwrap();
            }
            // An intact checkpoint lies between damaged ones.
            for (step, bytes) in [(20, damage), (30, later), (40, damage)] {
                fs::write(path(step), bytes).unwrap();
            }
            let refused = checkpoints.write(10, "new");
            let step = matches!(
                refused,
                Err(SaveError::Step {
                    found: 10,
                    newest: 30
                })
            );
            assert!(step, "{refused:?}");
            assert_eq!(folder.names(), names([1, 2, 3, 4, 20, 30, 40]));
            for (step, bytes) in [(20, damage), (30, later), (40, damage)] {
                assert_eq!(&fs::read(path(step)).unwrap(), bytes);
            }
            // Without that checkpoint, the damaged ones are removed, and so are the oldest of the
            // others beyond the number to keep.
            fs::remove_file(path(30)).unwrap();
            checkpoints.write(10, "new").unwrap();
            assert_eq!(folder.names(), names([4, 10]));
            assert_eq!(fs::read(path(4)).unwrap(), whole);
            // An intact step may be written again, and so may a damaged one.
            checkpoints.write(10, "again").unwrap();
            fs::write(path(10), damage).unwrap();
            checkpoints.write(10, "again").unwrap();
            assert_eq!(latest(&checkpoints).value, "again");
            assert_eq!(folder.names(), names([4, 10]));
        }
    }
}

/// A later file that cannot be read may be intact, so nothing is written and nothing is removed.
#[test]
fn a_later_file_that_cannot_be_read() {
    let folder = Folder::new("unreadable");
    let checkpoints = Checkpoints::new(&folder.0).keep(1);
    checkpoints.write(1, "first").unwrap();
    // A link to itself, which not even the superuser can open.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.file(&name(5)), folder.file(&name(5))).unwrap();
        let refused = checkpoints.write(2, "second");
        assert!(
            matches!(&refused, Err(SaveError::Io { path, .. }) if *path == folder.file(&name(5))),
            "{refused:?}"
        );
        assert_eq!(folder.names(), names([1, 5]));
    }
}
