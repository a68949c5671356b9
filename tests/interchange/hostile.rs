//! Files that were made to do harm: no reader panics, and none allocates more than a small multiple
//! of the length of its file.
//!
//! Each reader gets mutations of the committed files of its kind, as many as the environment
//! variable `BACKPROP_HOSTILE` says. A mutation that is refused for a new reason is mutated
//! further. An input that found something is written to a file; put it in
//! `tests/interchange/found/`.

mod memory;

use super::readers;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::{env, fs, process, thread};

/// A reader, and the end of the names of its files.
struct Reader {
    kind: &'static str,
    read: fn(&[u8]) -> Result<(), String>,
}

const READERS: &[Reader] = &[
    reader("safetensors", readers::safetensors),
    reader("npz", readers::npz),
    reader("npy", readers::npy),
    reader("npy", readers::rows),
    reader("onnx", readers::onnx),
    reader("json", readers::json),
    reader("csv", readers::csv),
];

const fn reader(kind: &'static str, read: fn(&[u8]) -> Result<(), String>) -> Reader {
    Reader { kind, read }
}

/// The folders whose files are mutated.
const FOLDERS: [&str; 4] = [
    "examples/interop/files",
    "tests/golden/interchange",
    "tests/interchange/files",
    "tests/interchange/found",
];

/// The largest number of bytes that a reader may have allocated at a time, for each byte of the
/// file.
const EACH: usize = 24;

/// The same for tables: a missing text of one byte is an entry of 24, and vectors double.
const EACH_CELL: usize = 128;

/// How many more it may have allocated, for the network and for decompression.
const FIXED: usize = 128 << 10;

/// The largest number of inputs that are mutated further, and of bytes of each.
const POOL: usize = 2000;
const LONGEST: usize = 1 << 13;

#[test]
fn interchange_withstands_hostile_files() {
    let executions = env::var("BACKPROP_HOSTILE").map_or(4000, |n| n.parse().unwrap());
    thread::scope(|scope| {
        let threads: Vec<_> = READERS
            .iter()
            .map(|reader| scope.spawn(move || reader.run(executions)))
            .collect();
        for thread in threads {
            println!("{}", thread.join().unwrap());
        }
    });
}

impl Reader {
    /// Returns the largest number of bytes for a file of this length.
    fn bound(&self, length: usize) -> usize {
        let each = if self.kind == "csv" { EACH_CELL } else { EACH };
        each * length + FIXED
    }

    /// Reads files and mutations of them. Returns a summary.
    fn run(&self, executions: u64) -> String {
        let mut pool = Vec::new();
        for folder in FOLDERS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            add_files(&folder, self.kind, &mut pool);
        }
        let files = pool.len();
        assert!(files > 0, "no files of {}", self.kind);
        let (mut reasons, mut accepted, mut most) = (BTreeSet::new(), 0, 0.0_f64);
        let mut random = Random(self.kind.bytes().map(u64::from).sum());
        for execution in 0..executions.max(files as u64) {
            let bytes = if execution < files as u64 {
                pool[execution as usize].clone()
            } else {
                random.mutation(&pool, files)
            };
            let found = self.execute(&bytes);
            most = most.max(found.peak as f64 / self.bound(bytes.len()) as f64);
            match found.reason {
                None => accepted += 1,
                Some(reason) => {
                    let is_new = reasons.insert(reason);
                    if is_new && pool.len() < POOL && bytes.len() <= LONGEST {
                        pool.push(bytes);
                    }
                }
            }
        }
        format!(
            "hostile {}: {files} files, {executions} executions, {accepted} accepted, refused for \
             {} reasons; most memory {:.0} % of the bound",
            self.kind,
            reasons.len(),
            100.0 * most,
        )
    }

    /// Reads bytes. Fails with the path of a file that has them.
    fn execute(&self, bytes: &[u8]) -> Execution {
        start_counting();
        let read = catch_unwind(AssertUnwindSafe(|| (self.read)(bytes)));
        let peak = peak();
        let most = self.bound(bytes.len());
        if read.is_err() || peak > most {
            let name = format!("found-{}.{}", process::id(), self.kind);
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            fs::write(&path, bytes).unwrap();
            let path = path.display();
            assert!(read.is_ok(), "{path}: panicked");
            panic!(
                "{path}: {peak} bytes of memory for {} of the file",
                bytes.len()
            );
        }
        let reason = read.unwrap().err().map(|error| kind_of(&error));
        Execution { peak, reason }
    }
}

/// What a reader did.
struct Execution {
    peak: usize,
    reason: Option<String>,
}

/// An error without what differs between inputs: names and numbers.
fn kind_of(error: &str) -> String {
    let unquoted = error.split('"').step_by(2);
    let words = unquoted.flat_map(str::split_whitespace);
    let words = words.filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
    words.take(12).collect::<Vec<_>>().join(" ")
}

fn add_files(folder: &Path, kind: &str, to: &mut Vec<Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            add_files(&path, kind, to);
        } else if path.extension().is_some_and(|end| end == kind) {
            to.push(fs::read(path).unwrap());
        }
    }
}

/// A generator of random numbers (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A place in bytes.
    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        let longest = (len - start).min(1 << self.below(10));
        start..start + self.below(longest + 1)
    }

    /// A number at which sizes and signs change.
    fn edge(&mut self) -> u64 {
        let power = 1_u64 << self.below(64);
        match self.below(6) {
            0 => power,
            1 => power - 1,
            2 => power.wrapping_add(1),
            3 => power.wrapping_neg(),
            4 => self.next() % 300,
            _ => u64::MAX - self.next() % 300,
        }
    }

    /// Changes one of these inputs, half the time one of the first ones, which are files.
    fn mutation(&mut self, pool: &[Vec<u8>], files: usize) -> Vec<u8> {
        let among = [files, pool.len()][self.below(2)];
        let mut bytes = pool[self.below(among)].clone();
        let other = &pool[self.below(pool.len())];
        for _ in 0..1 << self.below(3) {
            self.mutate(&mut bytes, other);
        }
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len());
        match self.below(10) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            1 if !bytes.is_empty() => bytes[at] = self.next() as u8,
            2 => bytes.truncate(at),
            3 => _ = bytes.drain(self.range(bytes.len())),
            // Bytes of the same file or of another one.
            4 => {
                let part = bytes[self.range(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
            5 => {
                let (place, part) = (self.range(bytes.len()), self.range(other.len()));
                bytes.splice(place, other[part].iter().copied());
            }
            6 => {
                let random = [self.next().to_le_bytes(), self.next().to_le_bytes()].concat();
                let len = self.below(random.len() + 1);
                bytes.splice(at..at, random.into_iter().take(len));
            }
            // A length in binary.
            7 => {
                let edge = self.edge();
                let mut edge = edge.to_le_bytes()[..1 << self.below(4)].to_vec();
                if self.below(4) == 0 {
                    edge.reverse();
                }
                let end = bytes.len().min(at + edge.len());
                bytes.splice(at..end, edge);
            }
            // A number in decimal notation.
            _ => {
                let digit = |byte: &u8| byte.is_ascii_digit();
                let Some(start) = bytes[at..].iter().position(digit) else {
                    return;
                };
                let start = at + start;
                let end = bytes[start..].iter().position(|byte| !digit(byte));
                let end = end.map_or(bytes.len(), |len| start + len);
                let edge = self.edge().to_string();
                bytes.splice(start..end, edge.into_bytes());
            }
        }
    }
}

/// Counts the bytes that a thread has allocated.
struct Counting;

thread_local! {
    /// The bytes since the count began: less than 0 if older ones were freed.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn start_counting() {
    HELD.set(0);
    PEAK.set(0);
}

/// Returns the largest number of bytes since the count began, failed allocations included.
fn peak() -> usize {
    PEAK.get() as usize
}

/// Counts an attempt to allocate this many more bytes.
fn attempt(more: isize) {
    PEAK.set(PEAK.get().max(HELD.get().saturating_add(more)));
}

fn grow(more: isize) {
    HELD.set(HELD.get() + more);
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size() as isize;
        attempt(size);
        // SAFETY: the caller upholds the contract.
        let pointer = unsafe { System.alloc(layout) };
        grow(if pointer.is_null() { 0 } else { size });
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        grow(-(layout.size() as isize));
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let more = size as isize - layout.size() as isize;
        attempt(more);
        // SAFETY: the caller upholds the contract.
        let pointer = unsafe { System.realloc(pointer, layout, size) };
        grow(if pointer.is_null() { 0 } else { more });
        pointer
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
