//! Custom sources that break the rules, panic or have no end.

use super::{Folder, counted};
use backprop::activation::{Identity, Sigmoid, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::source::{FileSource, ReadInto, Source};
use backprop::training::{GradientDescent, Trainer};
use backprop::{AnyCost, Error, Examples, Initialization, Location, Network, Objective, rng};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A source of any size, whose view and weights are set apart from it.
#[derive(Debug)]
struct Custom<'a> {
    len: usize,
    block: usize,
    weights: Option<Vec<f64>>,
    missing: bool,
    view: Option<Examples<'a, f64>>,
    readings: AtomicUsize,
    /// The reading that fails or panics.
    last: usize,
    panics: bool,
}

impl Custom<'_> {
    fn new(len: usize) -> Self {
        Self {
            len,
            block: 1,
            weights: None,
            missing: false,
            view: None,
            readings: AtomicUsize::new(0),
            last: usize::MAX,
            panics: false,
        }
    }
}

impl Source<f64> for Custom<'_> {
    fn len(&self) -> usize {
        self.len
    }

    fn inputs(&self) -> usize {
        1
    }

    fn outputs(&self) -> usize {
        1
    }

    fn read(&self, indices: &[usize], into: ReadInto<'_, f64>) -> Result<(), Error> {
        assert!(indices.iter().all(|&k| k < self.len));
        assert_eq!((into.x.len(), into.y.len()), (indices.len(), indices.len()));
        if self.readings.fetch_add(1, Ordering::Relaxed) >= self.last {
            assert!(!self.panics, "planted");
            return Err(gone());
        }
        into.x.fill(0.5);
        into.y.fill(0.25);
        into.present.fill(true);
        Ok(())
    }

    fn block(&self) -> usize {
        self.block
    }

    fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn has_missing(&self) -> bool {
        self.missing
    }

    fn view(&self, range: Range<usize>) -> Option<Examples<'_, f64>> {
        let view = self.view.as_ref()?;
        view.view(0..view.len().min(range.len()))
    }
}

fn gone() -> Error {
    let (name, reason) = ("custom".to_owned(), "it is gone".to_owned());
    Error::Source { name, reason }
}

fn network(inputs: usize) -> Network<f64> {
    let network = Network::builder(inputs).dense(3, Tanh).dense(1, Identity);
    let start = network.initialize(Initialization::GlorotUniform, &mut rng(3));
    start.unwrap()
}

fn trainer<'a>() -> Trainer<'a, f64> {
    let objective = Objective::new(AnyCost::SquaredError);
    Trainer::new(objective, GradientDescent::new(0.01)).epochs(2)
}

/// Returns the error of a run, which leaves the network unchanged.
#[track_caller]
fn refused(mut trainer: Trainer<'_, f64>, source: &dyn Source<f64>) -> Error {
    let mut trained = network(1);
    let error = trainer.fit_source(&mut trained, source).unwrap_err();
    assert_eq!(trained, network(1));
    error
}

#[test]
fn sizes_without_end() {
    assert_eq!(refused(trainer(), &Custom::new(0)), Error::NoExamples);
    for len in [usize::MAX, usize::MAX - 1, usize::MAX / 2, 1 << 60] {
        for block in [0, 1, 2, 1000, usize::MAX / 2, usize::MAX - 1, usize::MAX] {
            let source = || Custom {
                block,
                last: 9,
                ..Custom::new(len)
            };
            // All examples at once.
            let error = refused(trainer(), &source());
            assert!(matches!(error, Error::TooLarge { .. }), "{error}");
            for batch in [1, 4, 3000, len / 2 + 1, len] {
                for shuffle in [true, false] {
                    let trainer = trainer().batch_size(batch).shuffle(shuffle);
                    let error = refused(trainer, &source());
                    let fits = error == gone() || matches!(error, Error::TooLarge { .. });
                    assert!(fits, "{error}");
                    if batch < 5000 && (!shuffle || len / block.max(1) < 10) {
                        assert_eq!(error, gone());
                    }
                }
            }
            let error = refused(trainer().validation_fraction(0.5), &source());
            let divided = matches!(error, Error::TooLarge { .. } | Error::Hyperparameter { .. });
            assert!(divided, "{error:?}");
            let validation = trainer().batch_size(4).shuffle(false).validation(source());
            let few = Custom::new(10);
            let error = refused(validation, &few);
            assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        }
    }
}

/// A view that is not of the size of the source is refused before the first step.
#[test]
fn views_that_disagree() {
    let (x, y) = (
        DMatrix::from_element(1, 10, 0.5),
        DMatrix::from_element(1, 10, 0.25),
    );
    let wide = DMatrix::from_element(2, 10, 0.5);
    let present = DMatrix::from_element(1, 10, true);
    let weights = [1.0; 10];
    let whole = Examples::new(&x, &y).unwrap();
    let ten = "10 examples of 1 inputs and 1 targets, without weights and without missing targets";
    let few = ten.replace("10", "8");
    for (view, found) in [
        (whole.view(0..8).unwrap(), few.clone()),
        (
            Examples::new(&wide, &y).unwrap(),
            ten.replace("1 inputs", "2 inputs"),
        ),
        (
            Examples::new(&x, &wide).unwrap(),
            ten.replace("1 targets", "2 targets"),
        ),
        (
            whole.weighted(&weights).unwrap(),
            ten.replace("without weights", "with weights"),
        ),
        (
            Examples::with_missing(&x, &y, &present).unwrap(),
            ten.replace("without missing", "with missing"),
        ),
    ] {
        let source = Custom {
            view: Some(view),
            ..Custom::new(10)
        };
        let expected = Error::Source {
            name: "the view of examples 0..10 of a source".to_owned(),
            reason: format!("it has {found}, expected {ten}"),
        };
        for trainer in [
            trainer(),
            trainer().batch_size(3),
            trainer().validation_fraction(0.5),
        ] {
            assert_eq!(refused(trainer, &source), expected);
        }
        let validated = trainer().validation(source);
        assert_eq!(refused(validated, &Custom::new(10)), expected);
    }
    let source = Custom {
        view: Some(whole),
        weights: Some(weights.to_vec()),
        missing: true,
        ..Custom::new(10)
    };
    let error = refused(trainer(), &source).to_string();
    assert!(
        error.contains("expected 10 examples of 1 inputs and 1 targets, with weights and with")
    );
    // One that agrees trains.
    let source = Custom {
        view: Some(whole),
        ..Custom::new(10)
    };
    trainer()
        .batch_size(3)
        .fit_source(&mut network(1), &source)
        .unwrap();
}

#[test]
fn weights_that_no_examples_have() {
    let weighted = |weights: &[f64]| {
        let source = Custom {
            weights: Some(weights.to_vec()),
            ..Custom::new(3)
        };
        refused(trainer(), &source)
    };
    let (what, expected, found) = ("the example weights", 3, 2);
    let length = Error::Length {
        what,
        expected,
        found,
    };
    assert_eq!(weighted(&[1.0, 1.0]), length);
    let (example, value) = (1, -1.0);
    assert_eq!(
        weighted(&[1.0, -1.0, 5.0]),
        Error::Weight { example, value }
    );
    let (example, value) = (2, f64::INFINITY);
    assert_eq!(
        weighted(&[1.0, 1.0, value]),
        Error::Weight { example, value }
    );
    assert!(matches!(
        weighted(&[f64::NAN; 3]),
        Error::Weight { example: 0, .. }
    ));
    assert_eq!(weighted(&[0.0; 3]), Error::NoExamples);
}

/// A panic of a source reaches the caller with its message, and nothing changes.
#[test]
fn sources_that_panic() {
    for last in [0, 1, 5] {
        let source = Custom {
            last,
            panics: true,
            ..Custom::new(1000)
        };
        let mut trained = network(1);
        let run = || trainer().batch_size(100).fit_source(&mut trained, &source);
        let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"planted"));
        assert_eq!(trained, network(1));
    }
}

/// After a run that failed, nothing is read any more.
#[test]
fn reading_ends_with_the_run() {
    let source = Custom::new(100_000);
    let mut trained = network(1);
    let mut overflowing = trainer().batch_size(10).shuffle(false);
    // The first step overflows.
    let steep = GradientDescent::new(1e300);
    let objective = Objective::new(AnyCost::SquaredError);
    let mut fails = Trainer::new(objective, steep).batch_size(10).shuffle(false);
    let error = fails.fit_source(&mut trained, &source).unwrap_err();
    assert!(matches!(error, Error::Diverged { epoch: 1, .. }), "{error}");
    let read = source.readings.load(Ordering::Relaxed);
    assert!(read < 10, "{read}");
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(source.readings.load(Ordering::Relaxed), read);
    // It can be used again.
    overflowing.fit_source(&mut trained, &source).unwrap();
}

/// Errors that name an example name that of the source, also in batches that are read in pieces.
#[test]
fn examples_of_errors() {
    let (n, m) = (600, 9000);
    let (x, mut y) = (counted::<f64>(n * m, 2), counted::<f64>(m, 2));
    let folder = Folder::new();
    let mut cases = Vec::new();
    // The square of a number like this overflows.
    let mut far = y.clone();
    far[8765] = 1e200;
    cases.push((AnyCost::SquaredError, far));
    y[8765] = 1.5;
    cases.push((AnyCost::BinaryCrossEntropy, y));
    let start = Network::builder(n).dense(1, Sigmoid).zeros().unwrap();
    for (cost, y) in cases {
        let files = (folder.rows("x", &x, n), folder.rows("y", &y, 1));
        let source = FileSource::<f64>::new(files.0, files.1)
            .unwrap()
            .blocks_of(5)
            .unwrap();
        for (batch, fraction) in [(9000, None), (8000, None), (4000, Some(0.1))] {
            let objective = Objective::new(cost);
            let trainer = Trainer::new(objective, GradientDescent::new(1e-9));
            let mut trainer = trainer.batch_size(batch).epochs(1);
            if let Some(fraction) = fraction {
                trainer = trainer.validation_fraction(fraction);
            }
            let error = trainer.fit_source(&mut start.clone(), &source).unwrap_err();
            let example = match &error {
                Error::Target { example, .. } => *example,
                Error::Diverged { cause, .. } => match **cause {
                    Error::NonFinite {
                        at: Location::Cost { example },
                        ..
                    } => example,
                    _ => panic!("{error}"),
                },
                _ => panic!("{error}"),
            };
            assert_eq!(example, 8765, "{cost:?} in batches of {batch}");
        }
    }
}
