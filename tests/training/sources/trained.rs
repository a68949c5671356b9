//! Training from files has the bits of training from memory.

use super::{Folder, counted, reason};
use backprop::activation::{Identity, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::saving::Checkpoints;
use backprop::source::{FileSource, Shards, Source};
use backprop::training::{Adam, Trainer};
use backprop::{Error, Examples, Initialization, Location, Network, Objective, SquaredError, rng};

const M: usize = 53;

/// Rows [x | y] with three inputs and two targets, one of which is missing at times.
fn rows() -> Vec<f64> {
    let mut rows = counted::<f64>(5 * M, 17);
    rows.iter_mut().for_each(|number| *number /= 17.0);
    (0..M).step_by(6).for_each(|k| rows[5 * k + 4] = f64::NAN);
    rows
}

fn weights() -> Vec<f64> {
    (0..M).map(|k| [1.0, 0.5, 0.0, 2.0][k % 4]).collect()
}

fn network() -> Network<f64> {
    let network = Network::builder(3).dense(6, Tanh).dense(2, Identity);
    let start = network.initialize(Initialization::GlorotUniform, &mut rng(3));
    start.unwrap()
}

fn trained(source: &dyn Source<f64>) -> Result<Network<f64>, Error> {
    let mut network = network();
    Trainer::new(Objective::new(SquaredError), Adam::new(0.01))
        .epochs(4)
        .batch_size(7)
        .seed(11)
        .fit_source(&mut network, source)?;
    Ok(network)
}

#[test]
fn training_from_files_has_the_bits_of_memory() {
    let (rows, weights) = (rows(), weights());
    let all = DMatrix::from_column_slice(5, M, &rows);
    let y = all.rows(3, 2).into_owned();
    let present = y.map(|y| !y.is_nan());
    let examples = Examples::with_missing(all.rows(0, 3), y.rows(0, 2), &present).unwrap();
    let expected = trained(&examples.weighted(&weights).unwrap()).unwrap();
    assert_ne!(expected, network());

    let folder = Folder::new();
    let file = |name: &str, part: std::ops::Range<usize>| {
        let rows = folder.rows(name, &rows[5 * part.start..5 * part.end], 5);
        let source = FileSource::joined(rows, 3).unwrap().missing_targets();
        let source = source.blocks_of(1).unwrap();
        source.weighted(weights[part].to_vec()).unwrap()
    };
    assert_eq!(trained(&file("all", 0..M)).unwrap(), expected);
    let shards = [0..20, 20..21, 21..M].map(|part| file(&format!("{part:?}"), part));
    assert_eq!(
        trained(&Shards::new(shards.into()).unwrap()).unwrap(),
        expected
    );
}

/// Other blocks give another order of the examples, unless these are not shuffled.
#[test]
fn a_run_resumes_with_the_same_blocks() {
    let folder = Folder::new();
    let rows = counted::<f64>(5 * M, 17);
    let source = |block| {
        let source = FileSource::<f64>::joined(folder.rows("rows", &rows, 5), 3).unwrap();
        source.blocks_of(block).unwrap()
    };
    for shuffle in [true, false] {
        let run = |epochs, block| {
            let checkpoints = Checkpoints::new(folder.0.join(shuffle.to_string()));
            Trainer::new(Objective::new(SquaredError), Adam::new(0.01))
                .epochs(epochs)
                .batch_size(7)
                .shuffle(shuffle)
                .checkpoints(checkpoints, 1)
                .resume_source(&mut network(), &source(block))
                .map(|(_, resumed)| resumed.epoch)
        };
        assert_eq!(run(1, 4), Ok(0));
        let refused = Err(Error::OtherTraining {
            what: "the number of examples",
            expected: "53, in blocks of 5".into(),
            found: "53, in blocks of 4".into(),
        });
        assert_eq!(run(2, 5), if shuffle { refused } else { Ok(1) });
        assert_eq!(run(3, 4), Ok(if shuffle { 1 } else { 2 }));
    }
}

/// An error of the file ends the run, and leaves the network unchanged.
#[test]
fn a_file_that_cannot_be_read_ends_the_run() {
    let folder = Folder::new();
    let mut rows = counted::<f64>(5 * M, 17);
    rows[5 * 50 + 1] = f64::INFINITY;
    let source = |name| FileSource::<f64>::joined(folder.rows(name, &rows, 5), 3).unwrap();
    let (what, row, col) = ("X", 1, 50);
    assert_eq!(
        trained(&source("infinite")).unwrap_err(),
        Error::NonFinite {
            at: Location::Input { what, row, col },
            value: f64::INFINITY
        }
    );
    let source = source("cut");
    let path = folder.0.join("cut");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(100).unwrap();
    let mut start = network();
    let error = Trainer::new(Objective::new(SquaredError), Adam::new(0.01))
        .fit_source(&mut start, &source)
        .unwrap_err();
    let expected = "the file has 100 bytes, expected 2120: it was cut after it was opened";
    assert_eq!(reason(error).1, expected);
    assert_eq!(start, network());
}
