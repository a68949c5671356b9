//! Several sources as one.

use super::{Folder, assert_same, counted, read, reason};
use backprop::nalgebra::DMatrix;
use backprop::source::{FileSource, Number, ReadInto, RowFile, Shards, Source};
use backprop::{Error, Examples};
use std::ops::Range;

/// Ten thousand examples of two inputs and one target.
fn matrices() -> (DMatrix<f64>, DMatrix<f64>) {
    let m = 10_000;
    let y = DMatrix::from_vec(1, m, counted::<f64>(m, m));
    (
        DMatrix::from_vec(2, m, counted(2 * m, 2 * m)),
        y.map(|y| -y),
    )
}

const PARTS: [Range<usize>; 4] = [0..3, 3..4, 4..7000, 7000..10_000];

#[test]
fn shards_are_the_whole() {
    let (x, y) = matrices();
    let examples = Examples::new(&x, &y).unwrap();
    let part = |range: Range<usize>| examples.view(range).unwrap();
    let shards = Shards::new(PARTS.map(part).to_vec()).unwrap();
    assert_same(&shards, &examples);
    assert_eq!(shards.sources().len(), 4);
    assert_same(&Shards::new(vec![examples]).unwrap(), &examples);
    assert!(!shards.reads_ahead());
    // Shards of shards, in boxes.
    let first: Box<dyn Source<f64> + '_> = Box::new(shards);
    let nested = Shards::new(vec![first]).unwrap();
    assert_same(&nested, &examples);

    // Files beside memory.
    let folder = Folder::new();
    let rows: Vec<f64> = (0..7000)
        .flat_map(|k| [x[(0, k)], x[(1, k)], y[k]])
        .collect();
    let file = FileSource::<f64>::joined(folder.rows("x", &rows, 3), 2).unwrap();
    let sources: Vec<Box<dyn Source<f64> + '_>> =
        vec![Box::new(file), Box::new(part(7000..10_000))];
    let mixed = Shards::new(sources).unwrap();
    assert_same(&mixed, &examples);
    assert!(mixed.reads_ahead());
}

#[test]
fn views_are_those_of_one_shard() {
    let (x, y) = matrices();
    let examples = Examples::new(&x, &y).unwrap();
    let part = |range: Range<usize>| examples.view(range).unwrap();
    let shards = Shards::new(PARTS.map(part).to_vec()).unwrap();
    for range in [0..3, 1..2, 3..4, 4..7000, 5000..5010, 9999..10_000] {
        let view = shards.view(range.clone()).unwrap();
        assert_eq!(view.x(), x.columns(range.start, range.len()));
        assert_eq!(view.total_weight(), range.len() as f64);
    }
    // Across a border, without examples, and not in 0..m.
    #[expect(clippy::reversed_empty_ranges, reason = "it has to be refused")]
    for range in [
        2..4,
        0..10_000,
        3..3,
        10_000..10_000,
        9999..10_001,
        10_000..10_001,
        9..5,
    ] {
        assert!(shards.view(range.clone()).is_none(), "{range:?}");
    }
}

#[test]
fn weights_and_missing_targets_are_joined() {
    let (x, mut y) = matrices();
    y[5] = f64::NAN;
    let present = y.map(|y| !y.is_nan());
    let part = present.columns(4, 6).into_owned();
    let second = Examples::with_missing(x.columns(4, 6), y.columns(4, 6), &part).unwrap();
    let weights = [0.5, 0.0, 2.0, 1.0, 1.0, 3.0];
    let second = second.weighted(&weights).unwrap();
    let first = Examples::new(x.columns(0, 4), y.columns(0, 4)).unwrap();

    let all = [1.0, 1.0, 1.0, 1.0, 0.5, 0.0, 2.0, 1.0, 1.0, 3.0];
    let whole = present.columns(0, 10).into_owned();
    let expected = Examples::with_missing(x.columns(0, 10), y.columns(0, 10), &whole).unwrap();
    let expected = expected.weighted(&all).unwrap();
    let shards = Shards::new(vec![first, second]).unwrap();
    assert_same(&shards, &expected);
    // Without weights, or without missing targets.
    let shards = Shards::new(vec![first, first]).unwrap();
    assert!(!shards.has_missing());
    assert_eq!(shards.weights(), None);
    // The sum of all weights has to be a number of the scalar type.
    let (x, y) = (
        DMatrix::from_element(1, 1, 0.0_f32),
        DMatrix::from_element(1, 1, 0.0_f32),
    );
    let large = Examples::new(&x, &y).unwrap().weighted(&[3e38]).unwrap();
    let error = Shards::new(vec![large, large]).unwrap_err();
    assert_eq!(error, Error::TotalWeight { value: 6e38 });
}

#[test]
fn blocks_are_the_smallest() {
    let folder = Folder::new();
    let file = |name| {
        let rows = RowFile::raw(folder.write(name, &[0; 200]), Number::U8, 2).unwrap();
        FileSource::<f32>::joined(rows, 1).unwrap()
    };
    let blocks = [90, 40, 70].map(|block| file("x").blocks_of(block).unwrap());
    assert_eq!(Shards::new(Vec::from(blocks)).unwrap().block(), 40);
}

/// An index in an error is that among all examples.
#[test]
fn errors_name_the_example() {
    let folder = Folder::new();
    let file = |name, labels: &[u8]| {
        let rows: Vec<u8> = labels.iter().flat_map(|&label| [0, label]).collect();
        let rows = RowFile::raw(folder.write(name, &rows), Number::U8, 2).unwrap();
        FileSource::<f32>::joined(rows, 1)
            .unwrap()
            .one_hot(2)
            .unwrap()
    };
    let shards = Shards::new(vec![file("a", &[0, 1, 1]), file("b", &[1, 0, 9])]).unwrap();
    read(&shards, &[4, 0, 3]).unwrap();
    assert_eq!(
        read(&shards, &[0, 5]).unwrap_err(),
        Error::Label {
            what: "the labels",
            example: 5,
            label: 9,
            classes: 2
        }
    );
    let (what, index, count) = ("example", 6, 6);
    assert_eq!(
        read(&shards, &[6]).unwrap_err(),
        Error::Index { what, index, count }
    );
}

#[test]
fn shards_that_do_not_fit_together() {
    let none = Shards::new::<f64>(Vec::<Examples<'_, f64>>::new()).unwrap_err();
    assert_eq!(none, Error::NoExamples);
    let (x, y) = matrices();
    let whole = Examples::new(&x, &y).unwrap();
    let other = Examples::new(&y, &y).unwrap();
    let (name, reason) = reason(Shards::new(vec![whole, whole, other]).unwrap_err());
    assert_eq!(name, "shard 2");
    assert_eq!(
        reason,
        "it has 1 inputs and 1 targets, expected 2 and 1, as shard 0"
    );

    let huge = Shards::new(vec![Sized(usize::MAX), Sized(1)]).unwrap_err();
    assert!(matches!(huge, Error::TooLarge { .. }), "{huge}");
    assert_eq!(
        Shards::new(vec![Sized(0), Sized(0)]).unwrap_err(),
        Error::NoExamples
    );
    // Sources without examples are passed over, and a block has at least one.
    let shards = Shards::new(vec![Sized(0), Sized(2), Sized(0), Sized(1), Sized(0)]).unwrap();
    assert_eq!((shards.len(), shards.block()), (3, 1));
    assert_eq!(read(&shards, &[2, 0, 1]).unwrap().x, [1.0, 2.0, 2.0]);
}

/// A source of any size. Its inputs are its size.
#[derive(Debug)]
struct Sized(usize);

impl Source<f64> for Sized {
    fn len(&self) -> usize {
        self.0
    }

    fn inputs(&self) -> usize {
        1
    }

    fn outputs(&self) -> usize {
        1
    }

    fn read(&self, indices: &[usize], into: ReadInto<'_, f64>) -> Result<(), Error> {
        assert!(indices.iter().all(|&k| k < self.0));
        into.x.fill(self.0 as f64);
        into.y.fill(0.0);
        Ok(())
    }

    fn block(&self) -> usize {
        0
    }
}
