//! Examples of which each rank has a part in its memory.

use super::agreement::Fact;
use super::communicator::Communicator;
use super::items::Bytes;
use super::note::Purpose;
use super::ranks::{Lens, RankOf, Ranks};
use super::wire::Wire;
use crate::allocation::{collected, resize};
use crate::error::{DistributedFault, Error};
use crate::examples::Examples;
use crate::file_scalar::FileScalar;
use crate::scalar::Scalar;
use crate::source::{ReadInto, Source};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Examples of which each rank holds some, as one source on all ranks: first those of rank 0, then
/// those of rank 1, and so on.
///
/// When a batch is read, the ranks exchange the examples that others compute, because a shuffled
/// batch takes examples from everywhere. That is about (n + K) m (R − 1)/R scalars for a batch of m
/// on R ranks, over all ranks. If all examples fit in the memory of each rank, or every rank can
/// read the same files, nothing is exchanged.
///
/// All ranks read at the same time, so a shard is only for
/// [`Trainer::fit_source`](crate::training::Trainer::fit_source) with the same communicator.
///
/// # Example
/// Two ranks, each with two of four examples of y = 2 x:
/// ```
/// use backprop::distributed::{Shard, ThreadCommunicator};
/// use backprop::nalgebra::DMatrix;
/// use backprop::training::{GradientDescent, Trainer};
/// use backprop::{Error, Examples, Network, Objective, SquaredError, activation::Identity};
///
/// let train = |rank: &ThreadCommunicator, x: [f64; 2]| {
///     let (x, y) = (DMatrix::from_row_slice(1, 2, &x), DMatrix::from_fn(1, 2, |_, k| 2.0 * x[k]));
///     let shard = Shard::new(rank, Examples::new(&x, &y)?)?;
///     let mut network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
///     let trainer = Trainer::new(Objective::new(SquaredError), GradientDescent::new(0.5));
///     trainer.epochs(50).distributed(rank).fit_source(&mut network, &shard)?;
///     Ok::<_, Error>(network.theta().as_slice().to_vec())
/// };
/// let ranks = ThreadCommunicator::group(2);
/// let thetas = std::thread::scope(|scope| {
///     let first = scope.spawn(|| train(&ranks[0], [-1.0, 0.0]));
///     let second = train(&ranks[1], [0.5, 1.0]);
///     [first.join().expect("no panic"), second]
/// });
/// let [first, second] = thetas;
/// assert_eq!(first, second);
/// assert!((first?[1] - 2.0).abs() < 1e-3);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Shard<'c, T: Scalar> {
    own: Examples<'c, T>,
    /// The index of the first example of each rank, and m.
    starts: Vec<usize>,
    weights: Option<Vec<f64>>,
    has_missing: bool,
    ranks: Mutex<Ranks<'c, T>>,
}

impl<'c, T: FileScalar> Shard<'c, T> {
    /// Joins the examples of this rank with those of the others. All ranks must call it.
    ///
    /// # Errors
    /// Returns [`Error::Distributed`] if ranks have different numbers of inputs or targets, if only
    /// some of them have weights or missing targets, or for an error of the
    /// [communicator](Communicator#errors).
    pub fn new(communicator: &'c dyn Communicator, own: Examples<'c, T>) -> Result<Self, Error> {
        let mut ranks = Ranks::new(communicator, Wire::new());
        ranks.start(Ok(()))?;
        ranks.agree(Ok(vec![
            Fact::new("the number of inputs", own.x.nrows()),
            Fact::new("the number of targets", own.y.nrows()),
            Fact::new("the presence of weights", own.weights.is_some()),
            Fact::new("the presence of missing targets", own.present.is_some()),
        ]))?;
        let counts = ranks.note(Purpose::Rows, Ok(own.len() as u64))?;
        let mut starts = vec![0_usize];
        for count in counts {
            let last = starts.last().copied().unwrap_or(0);
            starts.push(last.saturating_add(count as usize));
        }
        let mut shard = Self {
            own,
            starts,
            weights: None,
            has_missing: own.present.is_some(),
            ranks: Mutex::new(ranks),
        };
        if let Some(own) = own.weights {
            shard.weights = Some(shard.all_weights(own)?);
        }
        Ok(shard)
    }

    /// Returns the weights of all examples.
    fn all_weights(&self, own: &[f64]) -> Result<Vec<f64>, Error> {
        let mut ranks = self.ranks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        resize(&mut bytes, "the weights", (self.len(), 8), 0)?;
        let range_of = |place: RankOf| 8 * self.starts[place.rank]..8 * self.starts[place.rank + 1];
        let (places, _) = bytes[range_of(ranks.place())].as_chunks_mut::<8>();
        for (place, weight) in places.iter_mut().zip(own) {
            *place = weight.to_le_bytes();
        }
        ranks.gather(Purpose::Rows, Ok(()), &mut Bytes(&mut bytes), &range_of)?;
        let (weights, _) = bytes.as_chunks::<8>();
        let weights = weights.iter().map(|&bytes| Ok(f64::from_le_bytes(bytes)));
        collected("the weights", self.len(), weights)
    }
}

impl<T: Scalar> Shard<'_, T> {
    /// Returns the indices of the examples of a rank.
    fn held_by(&self, rank: usize) -> Range<usize> {
        self.starts[rank]..self.starts[rank + 1]
    }

    /// Returns which of some indices a rank holds.
    fn of_rank<'i>(
        &self,
        rank: usize,
        indices: impl Iterator<Item = usize> + 'i,
    ) -> impl Iterator<Item = usize> + 'i {
        let held = self.held_by(rank);
        indices.filter(move |index| held.contains(index))
    }
}

impl<T: Scalar> Source<T> for Shard<'_, T> {
    fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    fn inputs(&self) -> usize {
        self.own.x.nrows()
    }

    fn outputs(&self) -> usize {
        self.own.y.nrows()
    }

    fn read(&self, indices: &[usize], into: ReadInto<'_, T>) -> Result<(), Error> {
        let mut ranks = self.ranks.lock().unwrap_or_else(PoisonError::into_inner);
        let (n, k, place) = (self.inputs(), self.outputs(), ranks.place());
        let checked = into.check(self, indices);
        let counts = ranks.note(Purpose::Rows, checked.map(|()| indices.len() as u64))?;
        // The indices that each rank asks for, as bytes.
        let mut asked = Vec::new();
        let start = |rank: usize| 8 * counts[..rank].iter().sum::<u64>() as usize;
        resize(
            &mut asked,
            "the order of the examples",
            (start(place.ranks), 1),
            0,
        )?;
        let (own, _) = asked[start(place.rank)..].as_chunks_mut::<8>();
        for (to, &index) in own.iter_mut().zip(indices) {
            *to = (index as u64).to_le_bytes();
        }
        let range_of = |place: RankOf| start(place.rank)..start(place.rank + 1);
        ranks.gather(Purpose::Rows, Ok(()), &mut Bytes(&mut asked), &range_of)?;
        let asked_by = |rank: usize| {
            let (indices, _) = asked[start(rank)..start(rank + 1)].as_chunks::<8>();
            indices
                .iter()
                .map(|&index| u64::from_le_bytes(index) as usize)
        };
        let (wire, numbers) = (ranks.wire(), Wire::<T>::bytes);
        let flags = if self.has_missing { k } else { 0 };
        let row = numbers(n + k) + flags;
        let lens = |rank: usize| Lens {
            send: row * self.of_rank(place.rank, asked_by(rank)).count(),
            receive: row * self.of_rank(rank, indices.iter().copied()).count(),
        };
        let first = self.held_by(place.rank).start;
        ranks.exchange(&lens, &mut |rank, message| {
            let rows = message.chunks_exact_mut(row);
            for (to, index) in rows.zip(self.of_rank(place.rank, asked_by(rank))) {
                let own = index - first;
                let (x, to) = to.split_at_mut(numbers(n));
                let (y, to) = to.split_at_mut(numbers(k));
                wire.write(self.own.x.column(own).as_slice(), x);
                wire.write(self.own.y.column(own).as_slice(), y);
                if let Some(present) = self.own.present {
                    for (to, &flag) in to.iter_mut().zip(present.of(own)) {
                        *to = flag.into();
                    }
                }
            }
        })?;
        ranks.received(|rank, message| {
            let held = self.held_by(rank);
            let places = indices.iter().enumerate();
            let places = places.filter(|(_, index)| held.contains(index));
            let mut rows = message.chunks_exact(row);
            for (column, _) in places {
                let Some(from) = rows.next() else {
                    let fault = DistributedFault::Message {
                        what: "the number of examples",
                        rank,
                        expected: indices.len() as u64,
                        found: (message.len() / row) as u64,
                    };
                    return Err(Error::Distributed { fault });
                };
                let (x, from) = from.split_at(numbers(n));
                let (y, from) = from.split_at(numbers(k));
                wire.read(x, &mut into.x[column * n..][..n]);
                wire.read(y, &mut into.y[column * k..][..k]);
                for (to, &flag) in into.present.iter_mut().skip(column * k).zip(from) {
                    *to = flag != 0;
                }
            }
            Ok(())
        })
    }

    fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn has_missing(&self) -> bool {
        self.has_missing
    }

    fn reads_ahead(&self) -> bool {
        false // all ranks read at the same time, in one order
    }
}
