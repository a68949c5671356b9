//! Files that are refused when they are opened, and those that change later.

use super::{Folder, read, reason};
use backprop::Error;
use backprop::source::{FileSource, Number, RowFile, Source};
use std::fs::OpenOptions;
use std::path::Path;

fn refused(path: &Path, number: Number, columns: usize) -> String {
    let (name, reason) = reason(RowFile::raw(path, number, columns).unwrap_err());
    assert_eq!(name, path.display().to_string());
    reason
}

#[test]
fn files_that_cannot_be_opened() {
    let folder = Folder::new();
    let none = folder.0.join("none");
    let missing = std::fs::File::open(&none).unwrap_err().to_string();
    assert_eq!(refused(&none, Number::F32, 1), missing);
    assert_eq!(reason(RowFile::npy(&none).unwrap_err()).1, missing);
    let expected = "expected a regular file, found a folder";
    assert_eq!(refused(&folder.0, Number::F32, 1), expected);
    assert_eq!(reason(RowFile::npy(&folder.0).unwrap_err()).1, expected);
    #[cfg(unix)]
    {
        let device = Path::new("/dev/zero");
        let expected = "expected a regular file, found a device";
        assert_eq!(refused(device, Number::F32, 1), expected);
        assert_eq!(reason(RowFile::npy(device).unwrap_err()).1, expected);
        let socket = folder.0.join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let expected = "expected a regular file, found a socket";
        assert_eq!(refused(&socket, Number::F32, 1), expected);
    }
}

#[test]
fn files_without_whole_rows() {
    let folder = Folder::new();
    let empty = folder.write("empty", &[]);
    let text = "the file is empty, expected at least one row";
    assert_eq!(refused(&empty, Number::F32, 3), text);
    let text = "the file ends before its header does";
    assert_eq!(reason(RowFile::npy(&empty).unwrap_err()).1, text);
    let text = "rows of 0 numbers, expected at least 1";
    assert_eq!(refused(&empty, Number::F32, 0), text);
    // Every length but that of whole rows.
    for len in 1..40 {
        let path = folder.write("rows", &vec![0; len]);
        if len % 12 == 0 {
            assert_eq!(
                RowFile::raw(&path, Number::F32, 3).unwrap().rows(),
                len / 12
            );
            continue;
        }
        assert_eq!(
            refused(&path, Number::F32, 3),
            format!(
                "the file has {len} bytes, expected a multiple of 12: a row has 3 numbers of type \
                 F32"
            )
        );
    }
    // Rows longer than any file.
    let path = folder.write("rows", &[0; 8]);
    assert_eq!(
        refused(&path, Number::F64, usize::MAX),
        format!(
            "the file has 8 bytes, expected a multiple of {}: a row has {} numbers of type F64",
            usize::MAX as u128 * 8,
            usize::MAX
        )
    );
}

#[test]
fn files_that_do_not_fit_together() {
    let folder = Folder::new();
    let (x, y) = (
        folder.rows("x", &[0.0; 6], 2),
        folder.rows("y", &[0.0; 4], 1),
    );
    let (name, reason_of_two) = reason(FileSource::<f64>::new(x, y).unwrap_err());
    assert_eq!(name, folder.0.join("y").display().to_string());
    assert_eq!(
        reason_of_two,
        format!(
            "the file has 4 rows of targets, expected 3, a row for each of {}",
            folder.0.join("x").display()
        )
    );
    for inputs in [0, 3, 4, usize::MAX] {
        let rows = folder.rows("x", &[0.0; 6], 3);
        assert_eq!(
            reason(FileSource::<f64>::joined(rows, inputs).unwrap_err()).1,
            format!("{inputs} of 3 columns are inputs, expected at least 1 input and 1 target")
        );
    }
    let rows = folder.rows("x", &[0.0; 6], 3);
    let source = FileSource::<f64>::joined(rows, 1).unwrap();
    assert_eq!(
        source.blocks_of(0).unwrap_err(),
        Error::Hyperparameter {
            name: "the number of examples of a block",
            value: 0.0,
            expected: "a number of at least 1".into()
        }
    );
}

/// A file that is cut after it was opened, at every byte.
#[test]
fn files_that_become_shorter() {
    let folder = Folder::new();
    let numbers: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let whole: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    for number in [Number::F32, Number::I32] {
        let path = folder.write("rows", &whole);
        let source = FileSource::<f32>::joined(RowFile::raw(&path, number, 3).unwrap(), 2);
        let source = source.unwrap().rounded();
        let cut = OpenOptions::new().write(true).open(&path).unwrap();
        for len in (0..48).rev() {
            cut.set_len(len).unwrap();
            for k in 0..4 {
                let found = read(&source, &[k]);
                if (k as u64 + 1) * 12 <= len {
                    found.unwrap();
                    continue;
                }
                let (name, reason) = reason(found.unwrap_err());
                assert_eq!(name, path.display().to_string());
                assert_eq!(
                    reason,
                    format!(
                        "the file has {len} bytes, expected 48: it was cut after it was opened"
                    )
                );
            }
            assert!(read(&source, &[0, 1, 2, 3]).is_err());
        }
        // What was appended is not read, and the file can be used again.
        std::fs::write(&path, [&whole[..], &[1; 7]].concat()).unwrap();
        assert_eq!(source.len(), 4);
        read(&source, &[0, 1, 2, 3]).unwrap();
    }
}
