//! Training on several processes or machines, with the bits of one.
//!
//! Δ is a sum over examples, and its order is fixed: a batch is cut into parts by its size and the
//! shape of the network alone, and a binary tree adds the parts. Threads and ranks only share out
//! the parts and the nodes of this tree. A run therefore gives the same bits for any number of
//! ranks, and a run that 16 ranks began can end on 3, or on one without ranks.
//!
//! | ranks | communicator |
//! |---|---|
//! | processes, on one machine or a cluster | `MpiCommunicator` of the crate `backprop-mpi` (Open MPI, MPICH) |
//! | threads of one process, to try it out | [`ThreadCommunicator`] |
//! | anything that carries bytes | your [`Communicator`] |
//!
//! | every rank | train with |
//! |---|---|
//! | has all examples in memory | [`Trainer::fit`](crate::training::Trainer::fit) |
//! | reads the same files | [`Trainer::fit_source`](crate::training::Trainer::fit_source) with a [`FileSource`](crate::source::FileSource) |
//! | holds some of the examples | `fit_source` with a [`Shard`] |
//!
//! The page [`scaling`](crate::scaling) says when it pays, how to start it and what is sent.
//!
//! # A step
//! 1. Each rank computes the parts of its share of the batch, at most ⌈parts/R⌉ on R ranks, and
//!    adds them within the subtrees of its share.
//! 2. The ranks tell each other whether they succeeded, with the costs of their parts.
//! 3. Each rank receives, for its slice of P/R entries, the sums of all subtrees, and adds them in
//!    the order of the tree.
//! 4. The ranks exchange their slices of Δ. Each makes the same step of the optimiser.
//!
//! Layers that couple the examples of a batch in training, such as
//! [`BatchNorm`](crate::layer::BatchNorm), are refused with
//! [`Error::Coupled`](crate::Error::Coupled) unless their statistics are [fixed](crate::Network::fix_statistics). Random layers draw the
//! numbers of an example from its number in the whole batch, so their numbers do not depend on the
//! ranks either.
//!
//! # When a rank fails
//! Every call ends on all ranks. An error of one rank, in its data for example, ends the run there
//! with this error, and on the others with
//! [`DistributedFault::Failed`](crate::DistributedFault::Failed). A rank that ends or hangs is noticed when the timeout of the communicator has passed.
//!
//! # Example
//! Three ranks, and a run without ranks:
//! ```
//! use backprop::activation::{Identity, Tanh};
//! use backprop::distributed::ThreadCommunicator;
//! use backprop::nalgebra::DMatrix;
//! use backprop::training::{Adam, Trainer};
//! use backprop::{Error, Examples, Initialization, Network, Objective, SquaredError, rng};
//!
//! let x = DMatrix::from_fn(1, 2000, |_, k| 0.001 * k as f64);
//! let y = x.map(f64::sin);
//! let examples = Examples::new(&x, &y)?;
//! let train = |rank: Option<&ThreadCommunicator>| {
//!     let mut network = Network::builder(1)
//!         .dense(8, Tanh)
//!         .dense(1, Identity)
//!         .initialize(Initialization::GlorotUniform, &mut rng(1))?;
//!     let mut trainer = Trainer::new(Objective::new(SquaredError), Adam::new(0.01));
//!     trainer = trainer.epochs(3).batch_size(1000);
//!     if let Some(rank) = rank {
//!         trainer = trainer.distributed(rank);
//!     }
//!     trainer.fit(&mut network, &examples)?;
//!     Ok::<_, Error>(network.theta().clone())
//! };
//! let alone = train(None)?;
//! std::thread::scope(|scope| {
//!     let ranks = ThreadCommunicator::group(3);
//!     let train = &train;
//!     let threads = ranks.into_iter().map(|rank| scope.spawn(move || train(Some(&rank))));
//!     let threads: Vec<_> = threads.collect();
//!     for thread in threads {
//!         assert_eq!(thread.join().expect("no panic"), Ok(alone.clone()));
//!     }
//! });
//! # Ok::<(), Error>(())
//! ```

mod agreement;
mod communicator;
mod items;
mod note;
mod ranks;
mod shard;
mod threads;
mod wire;

pub(crate) use agreement::Fact;
pub use communicator::{Communicator, Pieces, PiecesMut};
pub(crate) use ranks::{RankOf, Ranks};
pub use shard::Shard;
pub use threads::ThreadCommunicator;
pub(crate) use wire::Wire;
