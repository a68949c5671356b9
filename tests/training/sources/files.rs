//! Files of plain numbers.

use super::{Folder, Random, assert_same, counted, read, reason};
use backprop::nalgebra::DMatrix;
use backprop::source::{FileSource, Number, RowFile, Source};
use backprop::{Error, Examples, FileScalar};

/// How the whole numbers 0 to 99 are written.
type Write = fn(usize) -> Vec<u8>;

const WRITERS: [(Number, Write); 13] = [
    (Number::F64, |i| (i as f64).to_le_bytes().to_vec()),
    (Number::F32, |i| (i as f32).to_le_bytes().to_vec()),
    (Number::F16, |i| half(i).to_le_bytes().to_vec()),
    (Number::BF16, |i| {
        ((((i as f32).to_bits()) >> 16) as u16)
            .to_le_bytes()
            .to_vec()
    }),
    (Number::I64, |i| (i as i64).to_le_bytes().to_vec()),
    (Number::I32, |i| (i as i32).to_le_bytes().to_vec()),
    (Number::I16, |i| (i as i16).to_le_bytes().to_vec()),
    (Number::I8, |i| (i as i8).to_le_bytes().to_vec()),
    (Number::U64, |i| (i as u64).to_le_bytes().to_vec()),
    (Number::U32, |i| (i as u32).to_le_bytes().to_vec()),
    (Number::U16, |i| (i as u16).to_le_bytes().to_vec()),
    (Number::U8, |i| vec![i as u8]),
    (Number::Bool, |i| vec![u8::from(i != 0)]),
];

/// The bits of a whole number as a float of 2 bytes.
fn half(i: usize) -> u16 {
    if i == 0 {
        return 0;
    }
    let exponent = i.ilog2();
    let fraction = (i << (10 - exponent)) & 0x3ff;
    ((15 + exponent) << 10) as u16 | fraction as u16
}

/// A table of whole numbers, one example per column of both matrices.
struct Table<T> {
    x: DMatrix<T>,
    y: DMatrix<T>,
    bound: usize,
}

/// The sizes of a table.
struct Sizes {
    n: usize,
    outputs: usize,
    m: usize,
}

impl<T: FileScalar> Table<T> {
    fn new(Sizes { n, outputs, m }: Sizes, bound: usize) -> Self {
        Self {
            x: DMatrix::from_vec(n, m, counted(n * m, bound)),
            y: DMatrix::from_vec(outputs, m, counted(outputs * m, bound)),
            bound,
        }
    }

    /// Both as two files.
    fn two(&self, folder: &Folder, number: Number, write: Write) -> FileSource<T> {
        let file = |name, matrix: &DMatrix<T>| {
            let bytes: Vec<u8> = (0..matrix.len())
                .flat_map(|i| write(i % self.bound))
                .collect();
            let path = folder.write(name, &bytes);
            let file = RowFile::raw(path, number, matrix.nrows()).unwrap();
            assert_eq!(
                (file.rows(), file.columns()),
                (matrix.ncols(), matrix.nrows())
            );
            assert_eq!(file.number(), number);
            file
        };
        FileSource::new(file("x", &self.x), file("y", &self.y)).unwrap()
    }

    /// Both as one file of rows [x | y].
    fn joined(&self, folder: &Folder, number: Number, write: Write) -> FileSource<T> {
        let (n, outputs) = (self.x.nrows(), self.y.nrows());
        let row = |k: usize| {
            let x = (k * n..(k + 1) * n).chain(k * outputs..(k + 1) * outputs);
            x.flat_map(|i| write(i % self.bound)).collect::<Vec<u8>>()
        };
        let bytes: Vec<u8> = (0..self.x.ncols()).flat_map(row).collect();
        let path = folder.write("joined", &bytes);
        let file = RowFile::raw(path, number, n + outputs).unwrap();
        FileSource::joined(file, n).unwrap()
    }
}

fn every_type<T: FileScalar>() {
    for (number, write) in WRITERS {
        let bound = if number == Number::Bool { 2 } else { 100 };
        let (n, outputs, m) = (5, 2, 60);
        let table = Table::<T>::new(Sizes { n, outputs, m }, bound);
        let examples = Examples::new(&table.x, &table.y).unwrap();
        let folder = Folder::new();
        assert_same(&table.two(&folder, number, write), &examples);
        assert_same(&table.joined(&folder, number, write), &examples);
    }
}

#[test]
fn every_type_has_the_numbers_of_memory() {
    every_type::<f32>();
    every_type::<f64>();
}

/// Rows of all sizes: many in a buffer, across buffers, and longer than one.
#[test]
fn rows_of_every_size() {
    for (n, outputs, m) in [
        (1, 1, 5000),
        (7, 3, 1500),
        (784, 10, 60),
        (4095, 1, 9),
        (5000, 3000, 5),
        (1, 9000, 4),
    ] {
        let table = Table::<f32>::new(Sizes { n, outputs, m }, 100);
        let examples = Examples::new(&table.x, &table.y).unwrap();
        // Without a conversion, with one, and with one that may fail.
        for (number, write) in [WRITERS[1], WRITERS[11], WRITERS[0]] {
            let folder = Folder::new();
            assert_same(&table.two(&folder, number, write), &examples);
            assert_same(&table.joined(&folder, number, write), &examples);
        }
    }
}

/// Two files may have different types.
#[test]
fn types_of_inputs_and_targets_differ() {
    let folder = Folder::new();
    let x = folder.rows("x", &[0.5_f32, 1.5, 2.5, 3.5], 2);
    let y = RowFile::raw(folder.write("y", &[7, 200]), Number::U8, 1).unwrap();
    let source = FileSource::<f64>::new(x, y).unwrap();
    let found = read(&source, &[1, 0]).unwrap();
    assert_eq!(
        (found.x, found.y),
        (vec![2.5, 3.5, 0.5, 1.5], vec![200.0, 7.0])
    );
}

/// Extreme numbers keep their bits, and NaN and infinities pass.
#[test]
fn extreme_numbers() {
    let singles = [
        0.0,
        -0.0,
        1e-45,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::MIN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        0.1,
    ];
    let folder = Folder::new();
    let source = || folder.rows("x", &singles, 2);
    let single = FileSource::<f32>::joined(source(), 1).unwrap();
    let double = FileSource::<f64>::joined(source(), 1).unwrap();
    let (single, double) = (
        read(&single, &[0, 1, 2, 3, 4]),
        read(&double, &[0, 1, 2, 3, 4]),
    );
    let (single, double) = (single.unwrap(), double.unwrap());
    let pairs = single.x.iter().zip(&single.y).flat_map(|(x, y)| [*x, *y]);
    assert!(pairs.map(f32::to_bits).eq(singles.map(f32::to_bits)));
    let pairs = double.x.iter().zip(&double.y).flat_map(|(x, y)| [*x, *y]);
    let doubles = singles.map(f64::from);
    assert!(pairs.map(f64::to_bits).eq(doubles.map(f64::to_bits)));

    // Integers, also those that are the largest.
    let bytes: Vec<u8> = [i64::MIN, -1, 1 << 53, i64::MAX - 1023]
        .iter()
        .flat_map(|i| i.to_le_bytes())
        .collect();
    let rows = RowFile::raw(folder.write("i64", &bytes), Number::I64, 2).unwrap();
    let source = FileSource::<f64>::joined(rows, 1).unwrap();
    let found = read(&source, &[0, 1]).unwrap();
    assert_eq!(found.x, [i64::MIN as f64, (1_u64 << 53) as f64]);
    assert_eq!(found.y, [-1.0, (i64::MAX - 1023) as f64]);
    // Negative ones of a byte.
    let rows = RowFile::raw(folder.write("i8", &[128, 255, 127, 0]), Number::I8, 2).unwrap();
    let source = FileSource::<f32>::joined(rows, 1).unwrap();
    let found = read(&source, &[0, 1]).unwrap();
    assert_eq!((found.x, found.y), (vec![-128.0, 127.0], vec![-1.0, 0.0]));
}

/// The message has the place of the number in the file, wherever the read began.
#[test]
fn numbers_that_do_not_fit() {
    let folder = Folder::new();
    let mut numbers = counted::<f64>(3000 * 3, 1000);
    numbers[2500 * 3 + 1] = 0.1;
    numbers[2600 * 3 + 2] = 1e300;
    let source = || FileSource::<f32>::joined(folder.rows("x", &numbers, 3), 2).unwrap();
    let path = folder.0.join("x").display().to_string();
    let inexact = "the number in row 2500, column 1 is 0.1, which f32 cannot hold exactly: \
                   `FileSource::rounded` accepts the nearest value";
    let large = "the number in row 2600, column 2 is 1e300, which is too large for f32";
    let refused =
        |source: &FileSource<f32>, indices: Vec<usize>| reason(read(source, &indices).unwrap_err());
    for indices in [
        vec![2500],
        vec![3, 2500],
        (0..3000).collect(),
        (2499..2501).collect(),
    ] {
        let found = refused(&source(), indices);
        assert_eq!(found, (path.clone(), inexact.to_owned()));
    }
    let rounded = source().rounded();
    assert_eq!(read(&rounded, &[2500]).unwrap().x, [500.0, 0.1]);
    for indices in [vec![2600], (2000..3000).collect()] {
        assert_eq!(refused(&rounded, indices), (path.clone(), large.to_owned()));
    }
    // The others can be read.
    let mut random = Random(1);
    let others: Vec<usize> = (0..100).map(|_| random.below(2500)).collect();
    let examples = DMatrix::from_vec(3, 3000, numbers.clone()).map(|x| x as f32);
    let (x, y) = (examples.rows(0, 2), examples.rows(2, 1));
    let found = read(&source(), &others).unwrap();
    assert_eq!(found.x, x.select_columns(&others).as_slice());
    assert_eq!(found.y, y.select_columns(&others).as_slice());
    // A whole number above 2⁵³.
    let bytes = [9_007_199_254_740_993_i64, 0]
        .map(i64::to_le_bytes)
        .concat();
    let rows = RowFile::raw(folder.write("i64", &bytes), Number::I64, 2).unwrap();
    let source = FileSource::<f64>::joined(rows, 1).unwrap();
    assert_eq!(
        reason(read(&source, &[0]).unwrap_err()).1,
        "the number in row 0, column 0 is 9007199254740993, which f64 cannot hold exactly: \
         `FileSource::rounded` accepts the nearest value"
    );
}

#[test]
fn blocks() {
    let folder = Folder::new();
    let rows = |columns| {
        let path = folder.write("x", &vec![0; 400_000]);
        RowFile::raw(path, Number::U8, columns).unwrap()
    };
    for (columns, block) in [(2, 32_768), (1000, 65), (40_000, 1), (400_000, 1)] {
        let source = FileSource::<f32>::joined(rows(columns), 1).unwrap();
        assert_eq!(source.block(), block, "{columns}");
    }
    // The rows of both files count.
    let source = FileSource::<f32>::new(rows(1000), rows(1000)).unwrap();
    assert_eq!(source.block(), 32);
    let source = source.blocks_of(7).unwrap();
    assert_eq!(source.block(), 7);
    assert_eq!(source.blocks_of(usize::MAX).unwrap().block(), usize::MAX);
}

#[test]
fn weights() {
    let folder = Folder::new();
    let source = || FileSource::<f32>::joined(folder.rows("x", &[0.0_f32; 6], 2), 1).unwrap();
    assert_eq!(source().weights(), None);
    let weighted = source().weighted(vec![1.0, 0.0, 2.0]).unwrap();
    assert_eq!(weighted.weights(), Some(&[1.0, 0.0, 2.0][..]));
    let refused = |weights: &[f64]| source().weighted(weights.to_vec()).unwrap_err();
    assert_eq!(
        refused(&[1.0, 1.0]),
        Error::Length {
            what: "the example weights",
            expected: 3,
            found: 2
        }
    );
    let (example, value) = (1, -1.0);
    assert_eq!(
        refused(&[1.0, -1.0, f64::NAN]),
        Error::Weight { example, value }
    );
    assert_eq!(refused(&[0.0; 3]), Error::NoExamples);
    let value = 1e39;
    assert_eq!(refused(&[1e39, 0.0, 0.0]), Error::TotalWeight { value });
}

/// Several threads read at the same time.
#[test]
fn threads_share_a_source() {
    let table = Table::<f32>::new(
        Sizes {
            n: 30,
            outputs: 3,
            m: 2000,
        },
        97,
    );
    let examples = Examples::new(&table.x, &table.y).unwrap();
    let folder = Folder::new();
    let source = table.two(&folder, WRITERS[11].0, WRITERS[11].1);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (source, examples) = (&source, &examples);
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..50 {
                    let start = random.below(1900);
                    let indices: Vec<usize> = (start..start + 100).collect();
                    assert_eq!(read(source, &indices), read(examples, &indices));
                }
            });
        }
    });
}

#[test]
fn missing_targets_are_nan() {
    let folder = Folder::new();
    let numbers = [0.5, 1.0, f64::NAN, 1.5, f64::INFINITY, 2.0];
    let rows = || folder.rows("x", &numbers, 3);
    let source = FileSource::<f64>::joined(rows(), 1).unwrap();
    assert!(!source.has_missing());
    assert!(read(&source, &[0]).unwrap().y[1].is_nan());
    let source = source.missing_targets();
    assert!(source.has_missing());
    // Only NaN is missing: a training run refuses the infinity.
    let found = read(&source, &[1, 0]).unwrap();
    assert_eq!(found.present, [true, true, true, false]);
    assert_eq!(found.y[..3], [f64::INFINITY, 2.0, 1.0]);
    // Two files, of another type.
    let file = |name, numbers: &[f64]| {
        let numbers: Vec<f32> = numbers.iter().map(|&x| x as f32).collect();
        folder.rows(name, &numbers, 1)
    };
    let (x, y) = (file("a", &[1.0, 2.0]), file("b", &[f64::NAN, 3.0]));
    let source = FileSource::<f64>::new(x, y).unwrap().missing_targets();
    let found = read(&source, &[1, 0, 1]).unwrap();
    assert_eq!(found.present, [true, false, true]);
    assert_eq!(
        (found.x, found.y[0], found.y[2]),
        (vec![2.0, 1.0, 2.0], 3.0, 3.0)
    );
}
