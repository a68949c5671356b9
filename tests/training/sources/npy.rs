//! Arrays of NumPy as files of rows.

use super::{Folder, assert_same, bits, read, reason};
use backprop::interchange::{FileScalar, Options, npy};
use backprop::nalgebra::DMatrix;
use backprop::source::{FileSource, Number, RowFile};
use backprop::{Error, Examples};
use std::path::{Path, PathBuf};

/// A file that NumPy wrote.
fn path(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interchange/files");
    folder.join(format!("{name}.npy"))
}

fn source<T: FileScalar>(name: &str) -> Result<FileSource<T>, Error> {
    FileSource::new(RowFile::npy(path(name))?, RowFile::npy(path(name))?)
}

/// The files of NumPy in C order, of every type and in both byte orders.
const FILES: [&str; 16] = [
    "c",
    "f4",
    "f2",
    "big_endian",
    "version2",
    "version3",
    "i1",
    "u1",
    "i2",
    "u2",
    "i4",
    "u4",
    "i8",
    "u8",
    "bool",
    "three_axes",
];

fn every_file<T: FileScalar>() {
    for name in FILES {
        let matrix = npy::load::<T>(path(name), &Options::new()).unwrap();
        let examples = Examples::new(&matrix, &matrix).unwrap();
        assert_same(&source::<T>(name).unwrap(), &examples);
    }
    // One axis, and NaN.
    for name in ["one_axis", "one_axis_fortran", "missing"] {
        let matrix = npy::load::<T>(path(name), &Options::new()).unwrap();
        let all: Vec<usize> = (0..matrix.ncols()).collect();
        let found = read(&source::<T>(name).unwrap(), &all).unwrap();
        assert!(bits(&found.x).eq(bits(matrix.as_slice())), "{name}");
    }
}

#[test]
fn files_of_numpy_have_the_numbers_of_memory() {
    every_file::<f32>();
    every_file::<f64>();
}

/// Arrays larger than a buffer, in both byte orders.
#[test]
fn large_arrays() {
    let folder = Folder::new();
    let x = DMatrix::from_fn(700, 50, |row, col| (row * 50 + col) as f64);
    let bytes = npy::to_bytes(&x).unwrap();
    let little = folder.write("little.npy", &bytes);
    let (header, numbers) = bytes.split_at(bytes.len() - 8 * x.len());
    let big = String::from_utf8_lossy(header).replace("<f8", ">f8");
    let mut swapped = header[..10].to_vec();
    swapped.extend_from_slice(&big.as_bytes()[big.len() - (header.len() - 10)..]);
    swapped.extend(
        numbers
            .chunks_exact(8)
            .flat_map(|number| number.iter().rev()),
    );
    let big = folder.write("big.npy", &swapped);
    let examples = Examples::new(&x, &x).unwrap();
    let open = |path: &Path| RowFile::npy(path).unwrap();
    for path in [little, big] {
        let source = FileSource::<f64>::new(open(&path), open(&path)).unwrap();
        assert_same(&source, &examples);
        let single = x.map(|x| x as f32);
        let examples = Examples::new(&single, &single).unwrap();
        let source = FileSource::<f32>::new(open(&path), open(&path)).unwrap();
        assert_same(&source, &examples);
    }
}

#[test]
fn labels_of_numpy() {
    let folder = Folder::new();
    let labels = folder.write(
        "y.npy",
        &npy::to_bytes(&DMatrix::from_row_slice(1, 2, &[1.0, 0.0])).unwrap(),
    );
    let (x, y) = (
        folder.rows("x", &[0.5, 1.5], 1),
        RowFile::npy(labels).unwrap(),
    );
    assert_eq!(y.number(), Number::F64);
    let source = FileSource::<f64>::new(x, y).unwrap().one_hot(2).unwrap();
    assert_eq!(read(&source, &[1, 0]).unwrap().y, [1.0, 0.0, 0.0, 1.0]);
}

/// A file of version 1 with this header and so many bytes of numbers.
fn file(header: &str, numbers: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + numbers, 0);
    bytes
}

#[test]
fn arrays_that_are_no_rows() {
    for (name, text) in [
        ("fortran", FORTRAN),
        ("three_axes_fortran", FORTRAN),
        ("big_endian_fortran_i4", FORTRAN),
        (
            "no_axes",
            "the array has no axes, expected examples along the first",
        ),
        (
            "no_examples",
            "the array has the shape [0, 4], expected at least one number",
        ),
        (
            "no_features",
            "the array has the shape [4, 0], expected at least one number",
        ),
        (
            "structured",
            "its header is not that of an array of numbers",
        ),
    ] {
        let (found, reason) = reason(RowFile::npy(path(name)).unwrap_err());
        assert_eq!(found, path(name).display().to_string());
        assert_eq!(reason, text);
    }
    for (name, kind) in [
        ("complex", "<c16"),
        ("text", "<U1"),
        ("object", "|O"),
        ("time", "<M8[D]"),
    ] {
        assert_eq!(
            reason(RowFile::npy(path(name)).unwrap_err()).1,
            format!(
                "the entries are {kind}, expected floats of 2, 4 or 8 bytes, integers or booleans: \
                 convert them with `x.astype(np.float32)`"
            )
        );
    }
}

const FORTRAN: &str = "the array is in Fortran order, expected C order, where an example is a row: \
                       save it with `np.save(path, np.ascontiguousarray(x))`";

#[test]
fn numbers_that_do_not_fit() {
    let array = npy::load::<f64>(path("inexact"), &Options::new()).unwrap();
    let place = |at: usize| format!("row {}, column {}", at / array.nrows(), at % array.nrows());
    let source = || source::<f32>("inexact").unwrap();
    let all: Vec<usize> = (0..array.ncols()).collect();
    assert_eq!(
        reason(read(&source(), &all).unwrap_err()).1,
        format!(
            "the number in {} is 0.1, which f32 cannot hold exactly: `FileSource::rounded` \
             accepts the nearest value",
            place(0)
        )
    );
    assert_eq!(
        reason(read(&source().rounded(), &all).unwrap_err()).1,
        format!(
            "the number in {} is 1e300, which is too large for f32",
            place(3)
        )
    );
}

/// Headers that lie. Nothing of the size in a header is allocated.
#[test]
fn hostile_headers() {
    let folder = Folder::new();
    let refused = |bytes: &[u8]| reason(RowFile::npy(folder.write("x.npy", bytes)).unwrap_err()).1;
    for (shape, expected) in [
        ("(2, 2)", "32"),
        ("(1,)", "8"),
        ("(4294967296, 4294967296)", "147573952589676412928"),
        ("(9223372036854775807, 2)", "147573952589676412912"),
        ("(2, 18446744073709551615)", "295147905179352825840"),
    ] {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}");
        let list = shape.replace('(', "[").replace(",)", "]").replace(')', "]");
        assert_eq!(
            refused(&file(&header, 16)),
            format!("the numbers have 16 bytes, expected {expected}: the shape is {list}, of F64")
        );
    }
    // A product beyond every integer.
    let shape = "18446744073709551615, ".repeat(400);
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape})}}");
    let reason = refused(&file(&header, 16));
    assert!(reason.starts_with(&format!(
        "the numbers have 16 bytes, expected {}",
        u128::MAX
    )));
    // A shape that fits, with a size that does not.
    let header = "{'descr': '<f8', 'fortran_order': True, 'shape': (18446744073709551615, 0)}";
    assert_eq!(
        refused(&file(header, 0)),
        "the array has the shape [18446744073709551615, 0], expected at least one number"
    );
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), 'more': 1}";
    let no_array = "its header is not that of an array of numbers";
    assert_eq!(refused(&file(header, 16)), no_array);
    let mut later = file(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}",
        16,
    );
    later[6] = 4;
    assert_eq!(refused(&later), "version 4, expected at most 3");
    let long = refused(&file(&" ".repeat(10_001), 16));
    assert_eq!(long, "its header has 10001 bytes, expected at most 10000");
    let mut long = b"\x93NUMPY\x02\x00".to_vec();
    long.extend_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(
        refused(&long),
        "its header has 4294967295 bytes, expected at most 10000"
    );
    assert_eq!(
        refused(b"\x93NUMPX\x01\x00"),
        "it does not start with a header of NumPy"
    );
}

/// Files that end too early or too late, at every byte.
#[test]
fn every_other_length_is_refused() {
    let folder = Folder::new();
    for name in ["c", "version2", "bool", "big_endian"] {
        let good = std::fs::read(path(name)).unwrap();
        let numbers = 12 * if name == "bool" { 1 } else { 8 };
        let header = good.len() - numbers;
        let refused = |bytes: &[u8]| {
            let path = folder.write("x.npy", bytes);
            reason(RowFile::npy(path).unwrap_err()).1
        };
        for len in 0..good.len() {
            let found = refused(&good[..len]);
            if len < header {
                assert_eq!(
                    found, "the file ends before its header does",
                    "{name} {len}"
                );
            } else {
                let start = format!(
                    "the numbers have {} bytes, expected {numbers}",
                    len - header
                );
                assert!(found.starts_with(&start), "{name} {len}: {found}");
            }
        }
        let more = refused(&[&good[..], &[0]].concat());
        assert!(
            more.starts_with(&format!("the numbers have {} bytes", numbers + 1)),
            "{more}"
        );
    }
}
