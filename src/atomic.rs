//! Atomic replacement of files, for `saving`, `interchange` and CSV.

use crate::regular_file::expect_file;
use std::fs::{self, DirEntry, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher as _, RandomState};
use std::io;
#[cfg(any(feature = "serde", feature = "_interchange"))]
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The prefix of the names of temporary files, except those of checkpoints.
const PREFIX: &str = ".backprop-";
const SUFFIX: &str = ".tmp";

/// Replaces a file, and removes what killed processes left in its folder.
#[cfg(any(feature = "serde", feature = "_interchange"))]
pub(crate) fn save(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    save_with(path, |file| write_parts(file, parts))
}

/// Replaces a file with what `write` writes, as [`save`] does.
pub(crate) fn save_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    replace_with(path, PREFIX, write)?;
    remove_leftovers(path, PREFIX);
    Ok(())
}

#[cfg(any(feature = "serde", feature = "_interchange"))]
fn write_parts(file: &mut File, parts: &[&[u8]]) -> io::Result<()> {
    parts.iter().try_for_each(|part| file.write_all(part))
}

/// Reads a regular file.
#[cfg(feature = "_interchange")]
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;

    let mut file = crate::regular_file::open(path)?;
    let mut bytes = Vec::new();
    let room = usize::try_from(file.metadata()?.len()).ok();
    let room = room.and_then(|len| bytes.try_reserve_exact(len).ok());
    room.ok_or(io::ErrorKind::OutOfMemory)?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Replaces a file by way of a temporary name that begins with `prefix`.
#[cfg(feature = "serde")]
pub(crate) fn replace(path: &Path, prefix: &str, parts: &[&[u8]]) -> io::Result<()> {
    replace_with(path, prefix, |file| write_parts(file, parts))
}

/// Writes a file under a temporary name that begins with `prefix`, syncs it to disk, and renames it
/// to `path`.
///
/// An existing path must be a regular file or a symbolic link. A FIFO or a device is not replaced,
/// because that would cut off its readers.
fn replace_with(
    path: &Path,
    prefix: &str,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    if path.file_name().is_none() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_symlink() => expect_file(found.file_type())?,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut temporary = Temporary::create(folder_of(path), prefix)?;
    write(&mut temporary.file)?;
    temporary.file.sync_all()?;
    temporary.rename(path)?;
    sync_folder(folder_of(path))
}

/// A temporary file, which is removed when dropped unless it was renamed.
///
/// The file stays locked while it has its temporary name, so a free lock shows that its process has
/// exited. A process id does not show this: ids are reused, and the process may run in another
/// container.
struct Temporary {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Temporary {
    fn create(folder: &Path, prefix: &str) -> io::Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let (run, process) = (run(), std::process::id());
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{prefix}{run}-{process}-{count}{SUFFIX}"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    // Before the lock was taken, another process may have removed the file as a
                    // leftover. On file systems without locks, no process removes leftovers.
                    let taken = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
                    if !taken && fs::symlink_metadata(&path).is_ok() {
                        let renamed = false;
                        return Ok(Self {
                            path,
                            file,
                            renamed,
                        });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn rename(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // Nothing can be done if this fails as well, and the error that led here is more
            // informative.
            _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns a word that no other run has. A process id is not sufficient: in a container, every run
/// may have the same id.
fn run() -> &'static str {
    static RUN: OnceLock<String> = OnceLock::new();
    RUN.get_or_init(|| format!("{:016x}", RandomState::new().build_hasher().finish()))
}

/// A temporary file found in a folder, with the process id from its name.
#[derive(Debug)]
pub(crate) struct Leftover {
    path: PathBuf,
    process: u32,
}

impl Leftover {
    /// Returns the file if it has a temporary name.
    pub(crate) fn of(entry: &DirEntry, prefix: &str) -> Option<Self> {
        let name = entry.file_name();
        let name = name.to_str()?;
        let rest = name.strip_prefix(prefix)?.strip_suffix(SUFFIX)?;
        let (run, rest) = rest.split_once('-')?;
        let (process, count) = rest.split_once('-')?;
        let hexadecimal = run.len() == 16 && run.bytes().all(|b| b.is_ascii_hexdigit());
        let (process, count): (u32, u64) = (process.parse().ok()?, count.parse().ok()?);
        let same = format!("{prefix}{run}-{process}-{count}{SUFFIX}") == name;
        let path = entry.path();
        let file = entry.file_type().is_ok_and(|found| found.is_file());
        (hexadecimal && same && file).then_some(Self { path, process })
    }

    /// Removes the file if its process has exited: no process holds its lock, and on Linux no other
    /// process has that id. The id matters because earlier versions of this crate did not lock
    /// their files. On file systems without locks, the file stays.
    pub(crate) fn remove(&self) {
        let Self { path, process } = self;
        let process = process.to_string();
        let other = process != std::process::id().to_string();
        if other && Path::new("/proc/self").exists() && Path::new("/proc").join(process).exists() {
            return;
        }
        if let Ok(file) = OpenOptions::new().write(true).open(path)
            && file.try_lock().is_ok()
        {
            // The lock is held during the removal. If that fails, the next call tries again.
            _ = fs::remove_file(path);
        }
    }
}

/// Removes temporary files next to `path` whose processes have exited.
fn remove_leftovers(path: &Path, prefix: &str) {
    let entries = fs::read_dir(folder_of(path))
        .into_iter()
        .flatten()
        .flatten();
    let leftovers = entries.filter_map(|entry| Leftover::of(&entry, prefix));
    leftovers.for_each(|leftover| leftover.remove());
}

/// Creates a folder and its missing parents, and syncs them to disk.
#[cfg(feature = "serde")]
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    let missing = missing(folder);
    fs::create_dir_all(folder)?;
    let mut parents = missing.into_iter().map(folder_of);
    parents.try_for_each(sync_folder)
}

/// Checks that a folder accepts files by writing and removing one. Creates the folder if needed,
/// and removes it again if an error occurs.
#[cfg(feature = "serde")]
pub(crate) fn try_folder(folder: &Path, prefix: &str) -> io::Result<()> {
    let missing = missing(folder);
    let tried = create_folder(folder).and_then(|()| {
        let mut temporary = Temporary::create(folder, prefix)?;
        temporary.file.write_all(b"\n")?;
        temporary.file.sync_all()
    });
    if tried.is_err() {
        for created in missing {
            _ = fs::remove_dir(created);
        }
    }
    tried
}

/// Returns the missing folders among `folder` and its ancestors, the innermost first.
#[cfg(feature = "serde")]
fn missing(folder: &Path) -> Vec<&Path> {
    let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.is_dir();
    folder.ancestors().take_while(missing).collect()
}

fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Syncs the entries of a folder to disk, on file systems that support it.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
