//! Opening regular files only.

use std::fs::{self, File, FileType};
use std::io;
use std::path::Path;

/// Opens a regular file for reading. Anything else is refused, because opening a FIFO would wait
/// for a writer.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    expect_file(fs::metadata(path)?.file_type())?;
    let file = File::open(path)?;
    expect_file(file.metadata()?.file_type())?;
    Ok(file)
}

/// Returns an error unless this is the type of a regular file.
pub(crate) fn expect_file(found: FileType) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let (kind, found) = if found.is_dir() {
        (io::ErrorKind::IsADirectory, "a folder")
    } else {
        (io::ErrorKind::InvalidInput, special(found))
    };
    Err(io::Error::new(
        kind,
        format!("expected a regular file, found {found}"),
    ))
}

#[cfg(unix)]
fn special(found: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;

    if found.is_fifo() {
        "a FIFO"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn special(_: FileType) -> &'static str {
    "something else"
}
