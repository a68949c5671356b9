//! Class labels in files.

use super::{Folder, assert_same, read, reason};
use backprop::data::one_hot;
use backprop::nalgebra::DMatrix;
use backprop::source::{FileSource, Number, RowFile, Source};
use backprop::{Error, Examples};

/// Labels of three classes.
const LABELS: [u8; 7] = [2, 0, 1, 1, 2, 0, 0];

/// The labels and their inputs 0, 1, …, as two files.
fn source(folder: &Folder, number: Number, labels: &[u8]) -> FileSource<f32> {
    let inputs: Vec<u8> = (0..7).collect();
    let inputs = RowFile::raw(folder.write("x", &inputs), Number::U8, 1).unwrap();
    let labels = RowFile::raw(folder.write("y", labels), number, 1).unwrap();
    FileSource::new(inputs, labels).unwrap()
}

fn refused(number: Number, labels: &[u8], classes: usize) -> Error {
    let folder = Folder::new();
    let source = source(&folder, number, labels).one_hot(classes).unwrap();
    read(&source, &[0, 1, 2, 3, 4, 5, 6]).unwrap_err()
}

#[test]
fn labels_become_columns() {
    let x = DMatrix::from_fn(1, 7, |_, col| col as f32);
    let y = one_hot(&LABELS.map(usize::from), 3).unwrap();
    let examples = Examples::new(&x, &y).unwrap();
    let folder = Folder::new();
    let check = |number, labels: Vec<u8>| {
        let source = source(&folder, number, &labels).one_hot(3).unwrap();
        assert_same(&source, &examples);
    };
    check(Number::U8, LABELS.to_vec());
    check(
        Number::I64,
        LABELS.map(|y| i64::from(y).to_le_bytes()).concat(),
    );
    check(
        Number::U64,
        LABELS.map(|y| u64::from(y).to_le_bytes()).concat(),
    );
    check(
        Number::F32,
        LABELS.map(|y| f32::from(y).to_le_bytes()).concat(),
    );
    check(
        Number::F64,
        LABELS.map(|y| f64::from(y).to_le_bytes()).concat(),
    );
    // In the rows of the inputs.
    let rows: Vec<u8> = (0..7).flat_map(|k| [k, LABELS[usize::from(k)]]).collect();
    let rows = RowFile::raw(folder.write("joined", &rows), Number::U8, 2).unwrap();
    let source = FileSource::<f32>::joined(rows, 1).unwrap().one_hot(3);
    assert_same(&source.unwrap(), &examples);
}

/// More labels than fit in a buffer.
#[test]
fn many_labels() {
    let folder = Folder::new();
    let m = 5000;
    let labels: Vec<f64> = (0..m).map(|k| (k % 7) as f64).collect();
    let inputs: Vec<f64> = (0..m).map(|k| k as f64).collect();
    let y: Vec<usize> = (0..m).map(|k| k % 7).collect();
    let (x, y) = (
        DMatrix::from_row_slice(1, m, &inputs),
        one_hot(&y, 7).unwrap(),
    );
    let files = (folder.rows("x", &inputs, 1), folder.rows("y", &labels, 1));
    let source = FileSource::<f64>::new(files.0, files.1).unwrap();
    assert_same(&source.one_hot(7).unwrap(), &Examples::new(&x, &y).unwrap());
}

#[test]
fn labels_that_are_no_class() {
    let label = |label| Error::Label {
        what: "the labels",
        example: 4,
        label,
        classes: 2,
    };
    let zeros = |at: Vec<u8>| [vec![0; 4 * at.len()], at.clone(), vec![0; 2 * at.len()]].concat();
    assert_eq!(refused(Number::U8, &zeros(vec![2]), 2), label(2));
    assert_eq!(refused(Number::U8, &zeros(vec![255]), 2), label(255));
    let large = zeros(u64::MAX.to_le_bytes().to_vec());
    assert_eq!(refused(Number::U64, &large, 2), label(usize::MAX));
    let two = zeros(2.0_f32.to_le_bytes().to_vec());
    assert_eq!(refused(Number::F32, &two, 2), label(2));
    for (number, bytes, text) in [
        (Number::I8, vec![255], "-1"),
        (
            Number::I64,
            i64::MIN.to_le_bytes().to_vec(),
            "-9223372036854775808",
        ),
        (Number::F32, 0.5_f32.to_le_bytes().to_vec(), "0.5"),
        (Number::F64, (-0.5_f64).to_le_bytes().to_vec(), "-0.5"),
        (Number::F64, (-1.0_f64).to_le_bytes().to_vec(), "-1.0"),
        (Number::F64, 1e300_f64.to_le_bytes().to_vec(), "1e300"),
        (Number::F64, f64::NAN.to_le_bytes().to_vec(), "NaN"),
        (Number::F64, f64::INFINITY.to_le_bytes().to_vec(), "inf"),
        (
            Number::F64,
            f64::NEG_INFINITY.to_le_bytes().to_vec(),
            "-inf",
        ),
    ] {
        let (name, reason) = reason(refused(number, &zeros(bytes), 2));
        assert!(name.ends_with('y'), "{name}");
        let expected =
            format!("the label of example 4 is {text}, expected a whole number from 0 to 1");
        assert_eq!(reason, expected);
    }
    // −0 is 0.
    let folder = Folder::new();
    let zero = [-0.0_f32; 7].map(f32::to_le_bytes).concat();
    let source = source(&folder, Number::F32, &zero).one_hot(1).unwrap();
    assert_eq!(read(&source, &[6]).unwrap().y, [1.0]);
}

#[test]
fn labels_may_be_missing() {
    let folder = Folder::new();
    let labels = [f32::NAN, 1.0, 0.0, f32::NAN, 1.0, 0.0, f32::INFINITY].map(f32::to_le_bytes);
    let source = source(&folder, Number::F32, &labels.concat());
    let source = source.missing_targets().one_hot(2).unwrap();
    let found = read(&source, &[2, 3, 4]).unwrap();
    assert_eq!(found.present, [true, true, false, false, true, true]);
    assert_eq!(found.y, [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    assert!(read(&source, &[6]).is_err());
}

#[test]
fn classes_that_cannot_be() {
    let folder = Folder::new();
    let error = source(&folder, Number::U8, &LABELS).one_hot(0).unwrap_err();
    assert_eq!(
        error,
        Error::Hyperparameter {
            name: "the number of classes",
            value: 0.0,
            expected: "a number of at least 1".into()
        }
    );
    // Buffers of that size are not possible.
    let many = source(&folder, Number::U8, &LABELS)
        .one_hot(usize::MAX)
        .unwrap();
    assert_eq!(many.outputs(), usize::MAX);
    let (mut x, mut y) = ([0.0; 2], [0.0; 2]);
    let into = backprop::source::ReadInto::new(&mut x, &mut y, &mut []);
    assert_eq!(
        many.read(&[0, 1], into),
        Err(Error::Length {
            what: "the buffer for Y",
            expected: usize::MAX,
            found: 2
        })
    );
    let rows = RowFile::raw(folder.write("rows", &[0; 6]), Number::U8, 3).unwrap();
    let error = FileSource::<f32>::joined(rows, 1)
        .unwrap()
        .one_hot(2)
        .unwrap_err();
    assert_eq!(
        reason(error).1,
        "an example has 2 targets, expected 1, its label"
    );
}
