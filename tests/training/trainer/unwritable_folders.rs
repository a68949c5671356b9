//! Checkpoints in folders to which no file can be written.

use super::network;
use super::resume::{Data, Folder, trainer};
use backprop::saving::Checkpoints;
use backprop::{Error, Examples};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// A folder that cannot be written to is refused before the first step, and nothing is left in it.
#[test]
fn a_folder_that_takes_no_files_is_refused_before_the_first_step() {
    let folder = Folder::new("unwritable");
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("file");
    std::fs::write(&file, "mine").unwrap();
    let mut places = vec![file.clone(), file.join("below/it")];
    // Not even the superuser can create files here. Others cannot write to a folder of mode 555
    // either.
    #[cfg(target_os = "linux")]
    places.extend(["/proc/runs", "/proc/self", "/sys"].map(PathBuf::from));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let locked = folder.0.join("locked");
        std::fs::create_dir(&locked).unwrap();
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
        if std::fs::write(locked.join("try"), "").is_err() {
            places.push(locked);
        } else {
            std::fs::remove_dir_all(&locked).unwrap();
        }
    }
    let data = Data::new();
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    let steps = std::cell::Cell::new(0);
    let list = || {
        let entries = std::fs::read_dir(&folder.0).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .collect::<Vec<_>>()
    };
    let before = list();
    for place in places {
        for resumes in [false, true] {
            let mut network = network([6, 5, 3]);
            let start = network.clone();
            let mut trainer = trainer("adam", 5, &data)
                .checkpoints(Checkpoints::new(&place), 1000)
                .on_epoch(|_| {
                    steps.set(steps.get() + 1);
                    ControlFlow::Continue(())
                });
            let error = match resumes {
                false => trainer.fit(&mut network, &examples).unwrap_err(),
                true => trainer.resume(&mut network, &examples).unwrap_err(),
            };
            assert!(matches!(error, Error::Checkpoint { .. }), "{error}");
            assert_eq!((network, steps.get()), (start, 0), "{place:?}");
        }
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(list(), before);

    // Refused settings create nothing. A writable folder holds only the checkpoints.
    let runs = folder.0.join("runs/1");
    let checkpoints = Checkpoints::new(&runs);
    let mut network = network([6, 5, 3]);
    let mut refused = trainer("adam", 0, &data).checkpoints(checkpoints.clone(), 1);
    refused.fit(&mut network, &examples).unwrap_err();
    assert_eq!(list(), before);
    let mut trainer = trainer("adam", 2, &data).checkpoints(checkpoints, 1);
    trainer.fit(&mut network, &examples).unwrap();
    let names = std::fs::read_dir(&runs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(
        names
            .into_iter()
            .all(|name| name.to_str().unwrap().starts_with("checkpoint-"))
    );
}
