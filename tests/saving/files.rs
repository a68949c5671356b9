//! Files are replaced completely or left untouched.

use super::Folder;
use backprop::saving::{load, save, to_bytes};
use std::fs;

#[test]
fn a_file_contains_the_result_of_to_bytes() {
    let folder = Folder::new("bytes");
    let path = folder.file("costs.backprop");
    save(&path, "costs", &[0.5, 0.25]).unwrap();
    let bytes = to_bytes("costs", &[0.5, 0.25]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(load::<[f64; 2]>(&path, "costs").unwrap(), [0.5, 0.25]);
    // A file longer than the first read of 4096 bytes, and one of exactly that length.
    for length in [10_000, 4096 - 68, 4096 - 69, 4096 - 70] {
        let text = "x".repeat(length);
        save(&path, "text", &text).unwrap();
        assert_eq!(load::<String>(&path, "text").unwrap(), text);
    }
    assert_eq!(folder.names(), ["costs.backprop"]);
}

#[test]
fn an_existing_file_is_replaced_or_untouched() {
    let folder = Folder::new("replaced");
    let path = folder.file("Θ of run 7");
    fs::write(&path, "anything").unwrap();
    assert!(save(&path, "costs", &[f64::NAN]).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"anything");
    save(&path, "costs", &vec![0.5; 1000]).unwrap();
    // Replacing a longer file with a shorter one leaves nothing of the longer one.
    save(&path, "costs", &[0.25]).unwrap();
    assert_eq!(load::<Vec<f64>>(&path, "costs").unwrap(), [0.25]);
    assert_eq!(folder.names(), ["Θ of run 7"]);
}

/// If the file cannot be written, nothing new is left and nothing old is lost.
#[cfg(unix)]
#[test]
fn a_folder_that_takes_no_files() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let folder = Folder::new("locked");
    let path = folder.file("costs.backprop");
    save(&path, "costs", &[0.5]).unwrap();
    let locked = |mode| fs::set_permissions(&folder.0, fs::Permissions::from_mode(mode)).unwrap();
    locked(0o555);
    let refused = save(&path, "costs", &[0.25]);
    locked(0o755);
    // Permissions do not stop the superuser.
    let expected = if refused.is_err() { [0.5] } else { [0.25] };
    assert_eq!(load::<[f64; 1]>(&path, "costs").unwrap(), expected);
    assert_eq!(folder.names(), ["costs.backprop"]);

    // A link is replaced, not followed.
    let link = folder.file("link.backprop");
    symlink(&path, &link).unwrap();
    save(&link, "costs", &[0.125]).unwrap();
    assert_eq!(load::<[f64; 1]>(&link, "costs").unwrap(), [0.125]);
    assert_eq!(load::<[f64; 1]>(&path, "costs").unwrap(), expected);
}

/// Many writers and readers of one path: each read returns the complete value of one writer.
#[test]
fn threads() {
    let folder = Folder::new("threads");
    let path = folder.file("shared.backprop");
    let value = |i: usize| vec![i as f64; 100 + 50 * i];
    save(&path, "shared", &value(0)).unwrap();
    std::thread::scope(|scope| {
        for i in 0..4 {
            let path = &path;
            scope.spawn(move || (0..20).for_each(|_| save(path, "shared", &value(i)).unwrap()));
            scope.spawn(move || {
                for _ in 0..200 {
                    let read: Vec<f64> = load(path, "shared").unwrap();
                    assert_eq!(read, value(read[0] as usize));
                }
            });
        }
    });
    assert_eq!(folder.names(), ["shared.backprop"]);
}
