//! Examples that are distributed over the memory of the ranks.

use super::agreement::Fact;
use super::communicator::Communicator;
use super::items::{Indices, Numbers};
use super::note::Purpose;
use super::ranks::{Lens, RankOf, Ranks};
use super::wire::Wire;
use crate::allocation::allocate;
use crate::error::{DistributedFault, Error};
use crate::examples::Examples;
use crate::file_scalar::FileScalar;
use crate::scalar::Scalar;
use crate::source::{ReadInto, Source};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Some of the examples, in the memory of this rank. On every rank, a shard is a source of the
/// examples of all ranks: first those of rank 0, then those of rank 1, and so on.
///
/// A shuffled batch has examples of every rank. To read it, each rank sends those that other ranks
/// compute: in total, about (n + K) m (R − 1)/R scalars for a batch of m on R ranks. No example is
/// sent if every rank has all of them, in memory or in files that it can read.
///
/// All ranks have to read at the same time. Use a shard only with a trainer that is
/// [distributed](crate::training::Trainer::distributed) over the same communicator: for
/// [`fit_source`](crate::training::Trainer::fit_source),
/// [`resume_source`](crate::training::Trainer::resume_source) and
/// [`validation`](crate::training::Trainer::validation). The bits are those of all examples in this
/// order on one rank, so cut the examples into consecutive ranges, rank after rank.
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
        let starts = starts(ranks.note(Purpose::Rows, Ok(own.len() as u64))?);
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
        let mut weights = allocate("the weights", (self.len(), 1), 0.0)?;
        weights[self.held_by(ranks.place().rank)].copy_from_slice(own);
        let mut items = Numbers {
            wire: Wire::new(),
            numbers: &mut weights,
        };
        let range_of = |place: RankOf| self.held_by(place.rank);
        ranks.gather(Purpose::Rows, Ok(()), &mut items, &range_of)?;
        Ok(weights)
    }
}

impl<T: Scalar> Shard<'_, T> {
    /// Returns the indices of the examples of a rank.
    fn held_by(&self, rank: usize) -> Range<usize> {
        self.starts[rank]..self.starts[rank + 1]
    }

    /// Returns which of some indices a rank holds, and their places in the list.
    fn of_rank<'i>(
        &self,
        rank: usize,
        indices: &'i [usize],
    ) -> impl Iterator<Item = (usize, usize)> + use<'i, T> {
        let held = self.held_by(rank);
        let indices = indices.iter().copied().enumerate();
        indices.filter(move |(_, index)| held.contains(index))
    }
}

/// The examples that each rank needs.
struct Asked {
    /// The indices, those of rank 0 first.
    indices: Vec<usize>,
    /// The place of the first index of each rank, and their number.
    starts: Vec<usize>,
}

impl Asked {
    /// Tells the ranks which examples this one needs, unless it failed.
    fn new<T: Scalar>(
        ranks: &mut Ranks<'_, T>,
        own: &[usize],
        done: Result<(), Error>,
    ) -> Result<Self, Error> {
        let counts = ranks.note(Purpose::Rows, done.map(|()| own.len() as u64))?;
        let starts = starts(counts);
        let all = starts.last().copied().unwrap_or(0);
        let mut indices = allocate("the order of the examples", (all, 1), 0)?;
        let range_of = |place: RankOf| starts[place.rank]..starts[place.rank + 1];
        indices[range_of(ranks.place())].copy_from_slice(own);
        let items = &mut Indices(&mut indices);
        ranks.gather(Purpose::Rows, Ok(()), items, &range_of)?;
        Ok(Self { indices, starts })
    }

    fn by(&self, rank: usize) -> &[usize] {
        &self.indices[self.starts[rank]..self.starts[rank + 1]]
    }
}

/// Returns the place of the first item of each rank, and the number of all items.
fn starts(counts: Vec<u64>) -> Vec<usize> {
    let mut starts = vec![0_usize];
    for count in counts {
        let last = starts.last().copied().unwrap_or(0);
        starts.push(last.saturating_add(count as usize));
    }
    starts
}

/// An example as bytes: x, y, and whether each target is present if some may be missing.
#[derive(Clone, Copy)]
struct Row<T> {
    wire: Wire<T>,
    x: usize,
    y: usize,
    len: usize,
}

impl<T: Scalar> Row<T> {
    fn new(shard: &Shard<'_, T>, wire: Wire<T>) -> Self {
        let (n, k) = (shard.inputs(), shard.outputs());
        let (x, y) = (Wire::<T>::bytes(n), Wire::<T>::bytes(k));
        let flags = if shard.has_missing { k } else { 0 };
        // At least 1, because examples may have neither inputs nor targets.
        let len = (x + y + flags).max(1);
        Self { wire, x, y, len }
    }

    fn write(&self, examples: &Examples<'_, T>, k: usize, to: &mut [u8]) {
        let (x, to) = to.split_at_mut(self.x);
        let (y, to) = to.split_at_mut(self.y);
        self.wire.write(examples.x.column(k).as_slice(), x);
        self.wire.write(examples.y.column(k).as_slice(), y);
        if let Some(present) = examples.present {
            for (to, &flag) in to.iter_mut().zip(present.of(k)) {
                *to = flag.into();
            }
        }
    }

    fn read(&self, from: &[u8], into: ReadInto<'_, T>) {
        let (x, from) = from.split_at(self.x);
        let (y, from) = from.split_at(self.y);
        self.wire.read(x, into.x);
        self.wire.read(y, into.y);
        for (flag, &from) in into.present.iter_mut().zip(from) {
            *flag = from != 0;
        }
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

    fn read(&self, indices: &[usize], mut into: ReadInto<'_, T>) -> Result<(), Error> {
        let mut ranks = self.ranks.lock().unwrap_or_else(PoisonError::into_inner);
        let (place, wire) = (ranks.place(), ranks.wire());
        let asked = Asked::new(&mut ranks, indices, into.check(self, indices))?;
        let row = Row::new(self, wire);
        let lens = |rank: usize| Lens {
            send: row.len * self.of_rank(place.rank, asked.by(rank)).count(),
            receive: row.len * self.of_rank(rank, indices).count(),
        };
        let first = self.held_by(place.rank).start;
        ranks.exchange(&lens, &mut |rank, message| {
            let rows = message.chunks_exact_mut(row.len);
            for (to, (_, index)) in rows.zip(self.of_rank(place.rank, asked.by(rank))) {
                row.write(&self.own, index - first, to);
            }
        })?;
        ranks.received(|rank, message| {
            let mut rows = message.chunks_exact(row.len);
            for (column, _) in self.of_rank(rank, indices) {
                let Some(from) = rows.next() else {
                    let fault = DistributedFault::Message {
                        what: "the number of examples",
                        rank,
                        expected: indices.len() as u64,
                        found: (message.len() / row.len) as u64,
                    };
                    return Err(Error::Distributed { fault });
                };
                row.read(from, into.columns(self, column..column + 1));
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
