//! Sources of examples, and ranks that train together.

use super::*;
use backprop::activation::Identity;
use backprop::distributed::{Communicator, Pieces, PiecesMut, Shard, ThreadCommunicator};
use backprop::source::{FileSource, Number, RowFile, Shards};
use backprop::training::{GradientDescent, Optimizer, OptimizerInfo, OptimizerState, Trainer};
use backprop::{AnyCost, DistributedFault};
use std::time::Duration;

fn distributed(fault: DistributedFault) -> Error {
    Error::Distributed { fault }
}

fn network() -> Network<f64> {
    Network::builder(1).dense(1, Identity).zeros().unwrap()
}

/// Calls `f` on each of some ranks.
fn on_ranks<R: Send>(ranks: usize, f: impl Fn(&ThreadCommunicator) -> R + Sync) -> Vec<R> {
    let group = ThreadCommunicator::group(ranks);
    std::thread::scope(|scope| {
        let f = &f;
        let threads = group.into_iter().map(|rank| scope.spawn(move || f(&rank)));
        let threads: Vec<_> = threads.collect();
        let ends = threads.into_iter().map(|thread| thread.join().unwrap());
        ends.collect()
    })
}

/// Trains on a rank. The network stays as it was.
fn train(
    rank: &dyn Communicator,
    change: impl FnOnce(Trainer<'_, f64>) -> Trainer<'_, f64>,
) -> Error {
    let x = DMatrix::from_row_slice(1, 3, &[0.0, 0.5, 1.0]);
    let examples = Examples::new(&x, &x).unwrap();
    let objective = Objective::new(AnyCost::SquaredError);
    let trainer = Trainer::new(objective, GradientDescent::new(0.1)).epochs(2);
    let mut trained = network();
    let done = change(trainer)
        .distributed(rank)
        .fit(&mut trained, &examples);
    assert_eq!(trained, network());
    done.unwrap_err()
}

#[test]
pub(super) fn sources_and_files() {
    let name = format!("shapes-{}", std::process::id());
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, [0; 12]).unwrap();
    let file = |columns| RowFile::raw(&path, Number::U8, columns);
    let error = |reason: &str| Error::Source {
        name: path.display().to_string(),
        reason: reason.to_owned(),
    };
    refused(
        "rows of 5 numbers",
        file(5),
        &error("the file has 12 bytes, expected a multiple of 5: a row has 5 numbers of type U8"),
    );
    refused(
        "no inputs",
        FileSource::<f64>::joined(file(3).unwrap(), 0),
        &error("0 of 3 columns are inputs, expected at least 1 input and 1 target"),
    );
    let joined = |inputs| FileSource::<f64>::joined(file(3).unwrap(), inputs).unwrap();
    refused(
        "shards of other sizes",
        Shards::new(vec![joined(1), joined(2)]),
        &Error::Source {
            name: "shard 1".to_owned(),
            reason: "it has 2 inputs and 1 targets, expected 1 and 2, as shard 0".to_owned(),
        },
    );
    std::fs::remove_file(path).unwrap();
}

#[test]
pub(super) fn ranks_that_differ() {
    let found = on_ranks(2, |rank| {
        train(rank, |trainer| trainer.epochs(2 + rank.rank() as u64))
    });
    let expected = distributed(DistributedFault::Disagreement {
        what: "the number of epochs",
        rank: 1,
        expected: "2".to_owned(),
        found: "3".to_owned(),
    });
    found
        .iter()
        .for_each(|found| same("epochs", found, &expected));

    let found = on_ranks(2, |rank| {
        let numbers = DMatrix::from_element(1 + rank.rank(), 2, 0.5);
        Shard::new(rank, Examples::new(&numbers, &numbers).unwrap()).map(drop)
    });
    let expected = distributed(DistributedFault::Disagreement {
        what: "the number of inputs",
        rank: 1,
        expected: "1".to_owned(),
        found: "2".to_owned(),
    });
    for found in found {
        refused("inputs", found, &expected);
    }

    let found = on_ranks(3, |rank| {
        let optimizer: Box<dyn Optimizer<f64>> = Box::new(Own(rank.rank() == 2));
        let x = DMatrix::from_row_slice(1, 3, &[0.0, 0.5, 1.0]);
        let examples = Examples::new(&x, &x).unwrap();
        let objective = Objective::new(AnyCost::SquaredError);
        let mut trainer = Trainer::<f64>::new(objective, optimizer).distributed(rank);
        let mut trained = network();
        let done = trainer.fit(&mut trained, &examples);
        assert_eq!(trained, network());
        done
    });
    let (step, ranks) = (1, vec![2]);
    let expected = distributed(DistributedFault::Diverged { step, ranks });
    for found in found {
        refused("other steps", found, &expected);
    }
}

/// A step of 1, or of 2.
struct Own(bool);

/// All ranks print the same.
impl Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Own")
    }
}

impl Optimizer<f64> for Own {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new("Own", 1.0)
    }

    fn step(&mut self, theta: &mut [f64], _gradient: &[f64], _factor: f64) -> Result<(), Error> {
        theta[0] += if self.0 { 2.0 } else { 1.0 };
        Ok(())
    }

    fn state(&self) -> OptimizerState<f64> {
        OptimizerState::default()
    }

    fn restore(&mut self, _state: &OptimizerState<f64>) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
pub(super) fn ranks_that_fail() {
    let found = on_ranks(2, |rank| {
        train(rank, |trainer| match rank.rank() {
            0 => trainer,
            _ => trainer.epochs(0),
        })
    });
    let own = Error::Hyperparameter {
        name: "the number of epochs",
        value: 0.0,
        expected: "at least 1".into(),
    };
    let message = own.to_string();
    let failed = distributed(DistributedFault::Failed { rank: 1, message });
    same("of rank 1", &found[1], &own);
    same("of rank 0", &found[0], &failed);

    let after = Duration::from_millis(1);
    let mut group = ThreadCommunicator::group(2);
    let rank = group.remove(0).timeout(after);
    let fault = DistributedFault::TimedOut { after };
    let message = fault.to_string();
    let poisoned = distributed(DistributedFault::Poisoned { message });
    same(
        "no answer",
        &train(&rank, |trainer| trainer),
        &distributed(fault),
    );
    same("a second call", &train(&rank, |trainer| trainer), &poisoned);
    refused("another rank", group[0].barrier(), &poisoned);
    drop(rank);
    refused("after an end", group[0].barrier(), &poisoned);

    let mut group = ThreadCommunicator::group(3);
    drop(group.remove(1));
    let message = "rank 1 has ended".to_owned();
    let ended = distributed(DistributedFault::Poisoned { message });
    same(
        "a rank that ended",
        &train(&group[1], |trainer| trainer),
        &ended,
    );
}

/// A communicator whose library fails, or which has this rank of this number.
#[derive(Debug)]
struct Broken(usize, usize);

fn broken<R>() -> Result<R, Error> {
    let message = "the cable is out".to_owned();
    Err(distributed(DistributedFault::Library { message }))
}

impl Communicator for Broken {
    fn rank(&self) -> usize {
        self.0
    }

    fn size(&self) -> usize {
        self.1
    }

    fn all_to_all(&self, _send: Pieces<'_>, _receive: PiecesMut<'_>) -> Result<(), Error> {
        broken()
    }

    fn all_gather(&self, _send: &[u8], _receive: PiecesMut<'_>) -> Result<(), Error> {
        broken()
    }

    fn broadcast(&self, _root: usize, _bytes: &mut [u8]) -> Result<(), Error> {
        broken()
    }

    fn barrier(&self) -> Result<(), Error> {
        broken()
    }
}

#[test]
pub(super) fn messages() {
    let library = broken::<()>().unwrap_err();
    same(
        "a library",
        &train(&Broken(0, 2), |trainer| trainer),
        &library,
    );
    let x = DMatrix::from_element(1, 2, 0.5);
    let examples = Examples::new(&x, &x).unwrap();
    refused("a shard", Shard::new(&Broken(1, 2), examples), &library);
    for (index, count) in [(0, 0), (2, 2), (usize::MAX, 1)] {
        let what = "rank";
        let expected = Error::Index { what, index, count };
        let broken = Broken(index, count);
        same(
            "no such rank",
            &train(&broken, |trainer| trainer),
            &expected,
        );
        refused("no such rank", Shard::new(&broken, examples), &expected);
    }

    let found = on_ranks(2, |rank| {
        let mut bytes = [0; 4];
        let lens = [2; 2];
        let bytes = &mut bytes[..];
        let send = [7; 3];
        let send = &send[..2 + rank.rank()];
        rank.all_gather(send, PiecesMut { bytes, lens: &lens })
    });
    let expected = distributed(DistributedFault::Message {
        what: "the length",
        rank: 1,
        expected: 2,
        found: 3,
    });
    for found in found {
        refused("other lengths", found, &expected);
    }

    // Pieces that do not fit: nothing is sent.
    let group = ThreadCommunicator::group(2);
    let rank = &group[0];
    let length = |what, expected, found| Error::Length {
        what,
        expected,
        found,
    };
    let gather = |lens: &[usize]| {
        let mut bytes = [0; 4];
        let bytes = &mut bytes[..];
        rank.all_gather(&[1], PiecesMut { bytes, lens })
    };
    let lens = "the lengths of pieces";
    refused("no lengths", gather(&[]), &length(lens, 2, 0));
    refused("three lengths", gather(&[1; 3]), &length(lens, 2, 3));
    let all = "the bytes of all pieces";
    refused("too few", gather(&[1, 2]), &length(all, 3, 4));
    let huge = [usize::MAX, 2];
    refused("too many", gather(&huge), &length(all, usize::MAX, 4));
    let pieces = Pieces {
        bytes: &[0; 4],
        lens: &huge,
    };
    let mut bytes = [0; 4];
    let bytes = &mut bytes[..];
    let receive = PiecesMut {
        bytes,
        lens: &[2; 2],
    };
    let refusal = length(all, usize::MAX, 4);
    refused(
        "too many to send",
        rank.all_to_all(pieces, receive),
        &refusal,
    );
    let (what, index, count) = ("rank", 2, 2);
    let expected = Error::Index { what, index, count };
    refused("no such root", rank.broadcast(2, &mut [0]), &expected);
}
