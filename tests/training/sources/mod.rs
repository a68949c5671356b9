//! Sources of examples: files and shards hold the same numbers as matrices in memory.

mod csv;
mod custom;
mod files;
mod fit;
mod labels;
mod memory;
mod npy;
mod refused;
mod resident;
mod scaled;
mod shards;
mod trained;

use backprop::source::{Number, ReadInto, RowFile, Source};
use backprop::{Error, FileScalar, Scalar};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder that is removed at the end of a test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sources-{}-{count}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file, and returns its path.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes numbers, and opens them as rows.
    fn rows<T: FileScalar + Bytes>(&self, name: &str, numbers: &[T], columns: usize) -> RowFile {
        let bytes: Vec<u8> = numbers.iter().flat_map(Bytes::bytes).collect();
        RowFile::raw(self.write(name, &bytes), T::NUMBER, columns).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The bytes of a number, the lowest first.
trait Bytes {
    const NUMBER: Number;

    fn bytes(&self) -> Vec<u8>;
}

impl Bytes for f32 {
    const NUMBER: Number = Number::F32;

    fn bytes(&self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
}

impl Bytes for f64 {
    const NUMBER: Number = Number::F64;

    fn bytes(&self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
}

/// What a source writes for some indices.
#[derive(Clone, Debug, PartialEq)]
struct Columns<T> {
    x: Vec<T>,
    y: Vec<T>,
    present: Vec<bool>,
}

fn read<T: Scalar>(source: &impl Source<T>, indices: &[usize]) -> Result<Columns<T>, Error> {
    let len = indices.len();
    // Every entry has to be written.
    let unwritten: T = backprop::nalgebra::convert(-123_456.0);
    let missing = if source.has_missing() { len } else { 0 };
    let mut columns = Columns {
        x: vec![unwritten; source.inputs() * len],
        y: vec![unwritten; source.outputs() * len],
        present: vec![false; source.outputs() * missing],
    };
    let Columns { x, y, present } = &mut columns;
    source.read(indices, ReadInto::new(x, y, present))?;
    Ok(columns)
}

/// Random numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % end as u64) as usize
    }
}

/// Lists of indices below m: none, single ones, all, backwards, repeated, runs and any.
fn lists(m: usize) -> Vec<Vec<usize>> {
    let mut random = Random(m as u64);
    let mut lists = vec![
        vec![],
        vec![0],
        vec![m - 1],
        (0..m).collect(),
        (0..m).rev().collect(),
        vec![m - 1, m - 1, 0, 0, m - 1],
        (0..m).chain(0..m).collect(),
    ];
    for _ in 0..20 {
        let runs = (0..5).flat_map(|_| {
            let start = random.below(m);
            start..(start + 1 + random.below(9)).min(m)
        });
        lists.push(runs.collect());
        lists.push((0..30).map(|_| random.below(m)).collect());
    }
    lists
}

/// Checks that a source has the numbers of another, for every list of indices.
fn assert_same<T: Scalar>(found: &impl Source<T>, expected: &impl Source<T>) {
    assert_eq!(found.len(), expected.len());
    assert!(!found.is_empty());
    assert_eq!(found.inputs(), expected.inputs());
    assert_eq!(found.outputs(), expected.outputs());
    assert_eq!(found.weights(), expected.weights());
    assert_eq!(found.has_missing(), expected.has_missing());
    for indices in lists(found.len()) {
        let (found, expected) = (read(found, &indices), read(expected, &indices));
        let (found, expected) = (found.unwrap(), expected.unwrap());
        assert!(bits(&found.x).eq(bits(&expected.x)), "{indices:?}");
        assert!(bits(&found.y).eq(bits(&expected.y)), "{indices:?}");
        assert_eq!(found.present, expected.present, "{indices:?}");
    }
}

/// The bits of numbers, for NaN.
fn bits<T: Scalar>(numbers: &[T]) -> impl Iterator<Item = u64> + '_ {
    let bits = |&x: &T| backprop::nalgebra::try_convert::<T, f64>(x).map(f64::to_bits);
    numbers.iter().map(move |x| bits(x).unwrap())
}

/// Numbers 0, 1, 2, …, modulo a bound, so that every type of file holds them.
fn counted<T: Scalar>(len: usize, bound: usize) -> Vec<T> {
    let number = |i: usize| T::from_usize(i % bound).unwrap();
    (0..len).map(number).collect()
}

/// The reason of an `Error::Source`, and the file that it names.
fn reason(error: Error) -> (String, String) {
    match error {
        Error::Source { name, reason } => (name, reason),
        other => panic!("{other}"),
    }
}
