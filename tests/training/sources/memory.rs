//! Examples in memory, and sources in boxes.

use super::{assert_same, counted, read};
use backprop::nalgebra::DMatrix;
use backprop::source::{ReadInto, Source};
use backprop::{Error, Examples};

fn matrices() -> (DMatrix<f64>, DMatrix<f64>) {
    let x = DMatrix::from_vec(3, 8, counted(24, 1000));
    let y = DMatrix::from_vec(2, 8, counted::<f64>(16, 1000));
    (x, y.map(|y| -y))
}

#[test]
fn columns_are_copied() {
    let (x, y) = matrices();
    let examples = Examples::new(&x, &y).unwrap();
    let found = read(&examples, &[7, 0, 0]).unwrap();
    let columns = |matrix: &DMatrix<f64>| matrix.select_columns(&[7, 0, 0]).as_slice().to_vec();
    assert_eq!(found.x, columns(&x));
    assert_eq!(found.y, columns(&y));
    assert!(found.present.is_empty());
    assert_eq!(examples.block(), 1);
    assert_eq!(Source::len(&examples), 8);
    // Views with gaps between their columns.
    let wide = DMatrix::from_fn(5, 8, |row, col| if row < 3 { x[(row, col)] } else { 99.0 });
    let gaps = Examples::new(wide.rows(0, 3), y.columns(0, 8)).unwrap();
    assert_same(&gaps, &examples);
    let boxed: Box<dyn Source<f64> + '_> = Box::new(gaps);
    assert_same(&boxed, &examples);
}

/// A source without any default, which records nothing but its constants.
#[derive(Debug)]
struct Constants;

impl Source<f64> for Constants {
    fn len(&self) -> usize {
        5
    }

    fn is_empty(&self) -> bool {
        true
    }

    fn inputs(&self) -> usize {
        2
    }

    fn outputs(&self) -> usize {
        3
    }

    fn read(&self, indices: &[usize], into: ReadInto<'_, f64>) -> Result<(), Error> {
        into.x.fill(indices.len() as f64);
        Ok(())
    }

    fn block(&self) -> usize {
        4
    }

    fn weights(&self) -> Option<&[f64]> {
        Some(&[6.0])
    }

    fn has_missing(&self) -> bool {
        true
    }

    fn reads_ahead(&self) -> bool {
        false
    }

    fn view(&self, range: std::ops::Range<usize>) -> Option<Examples<'_, f64>> {
        static NUMBERS: [f64; 7] = [7.0; 7];
        let numbers = backprop::row_major(&NUMBERS[range], 1).ok()?;
        Examples::new(numbers, numbers).ok()
    }
}

#[test]
fn boxes_delegate_every_method() {
    let boxed: Box<dyn Source<f64>> = Box::new(Constants);
    // Of the box, and not of what is in it.
    fn check(source: &impl Source<f64>) {
        assert_eq!((source.len(), source.is_empty()), (5, true));
        assert_eq!((source.inputs(), source.outputs()), (2, 3));
        assert_eq!((source.block(), source.weights()), (4, Some(&[6.0][..])));
        assert_eq!((source.has_missing(), source.reads_ahead()), (true, false));
        assert_eq!(source.view(1..3).unwrap().len(), 2);
        let mut x = [0.0];
        let into = ReadInto::new(&mut x, &mut [], &mut []);
        source.read(&[0, 1, 2], into).unwrap();
        assert_eq!(x, [3.0]);
    }
    check(&Constants);
    check(&boxed);
}

#[test]
fn missing_targets_and_weights_are_copied() {
    let (x, mut y) = matrices();
    y[(1, 2)] = f64::NAN;
    let present = y.map(|y| !y.is_nan());
    let weights = [1.0, 0.0, 0.0, 2.0, 0.5, 0.25, 3.0, 1.0];
    let examples = Examples::with_missing(&x, &y, &present).unwrap();
    let examples = examples.weighted(&weights).unwrap();
    assert_eq!(examples.weights(), Some(&weights[..]));
    assert!(examples.has_missing());
    let found = read(&examples, &[3, 2]).unwrap();
    assert_eq!(found.present, [true, true, true, false]);

    let view = examples.view(2..5).unwrap();
    assert_eq!((view.len(), view.total_weight()), (3, 2.5));
    assert_eq!(view.present().unwrap(), present.columns(2, 3));
    assert_eq!(view.x(), x.columns(2, 3));
    assert_eq!(examples.view(0..8).unwrap().total_weight(), 7.75);
    // No examples, weights of 0, and ranges that are not in 0..8.
    #[expect(clippy::reversed_empty_ranges, reason = "it has to be refused")]
    for range in [0..0, 8..8, 1..3, 0..9, 9..9, 5..2, 3..usize::MAX] {
        assert!(examples.view(range.clone()).is_none(), "{range:?}");
    }
}

#[test]
fn wrong_indices_and_buffers_are_refused() {
    let (x, y) = matrices();
    let examples = Examples::new(&x, &y).unwrap();
    let index = |index| Error::Index {
        what: "example",
        index,
        count: 8,
    };
    assert_eq!(read(&examples, &[0, 8, 9]).unwrap_err(), index(8));
    assert_eq!(
        read(&examples, &[usize::MAX]).unwrap_err(),
        index(usize::MAX)
    );
    let refused = |n, k, p| {
        let (mut x, mut y, mut present) = (vec![0.0; n], vec![0.0; k], vec![false; p]);
        examples.read(&[1, 2], ReadInto::new(&mut x, &mut y, &mut present))
    };
    let length = |what, expected, found| {
        Err(Error::Length {
            what,
            expected,
            found,
        })
    };
    assert_eq!(refused(6, 4, 0), Ok(()));
    assert_eq!(refused(5, 4, 0), length("the buffer for X", 6, 5));
    assert_eq!(refused(6, 5, 0), length("the buffer for Y", 4, 5));
    let what = "the buffer for present targets";
    assert_eq!(refused(6, 4, 4), length(what, 0, 4));
}
