//! Training on several processes or machines, with the same bits as on one.
//!
//! A batch is cut into parts, and a binary tree adds their gradients. The parts and the tree depend
//! only on the size of the batch and the shape of the network, so the order of the sums is fixed.
//! Ranks and threads only share out this work. A run therefore gives the same bits for any number
//! of ranks. A run that 16 ranks began can resume on 3, or in one process without ranks.
//!
//! | term | meaning |
//! |---|---|
//! | rank | one of the processes or threads that train together, or its number: 0, …, R − 1 |
//! | batch | the examples of one step, over all ranks |
//! | part | consecutive examples of a batch that are computed together |
//! | share | the consecutive parts of a batch that one rank computes |
//! | subtree | consecutive parts whose gradients the tree adds to each other first |
//! | slice | the consecutive entries of Δ that one rank adds up |
//! | shard | the examples in the memory of one rank, see [`Shard`] |
//! | piece | the bytes that one rank sends to another in a call of a [`Communicator`] |
//!
//! | ranks | communicator |
//! |---|---|
//! | processes, on one machine or a cluster | `MpiCommunicator` of the crate `backprop-mpi` (Open MPI, MPICH) |
//! | threads of one process, for tests | [`ThreadCommunicator`] |
//! | anything that carries bytes | your [`Communicator`] |
//!
//! | every rank | train with |
//! |---|---|
//! | has all examples in memory | [`Trainer::fit`](crate::training::Trainer::fit) |
//! | reads the same files | [`Trainer::fit_source`](crate::training::Trainer::fit_source) with a [`FileSource`](crate::source::FileSource) |
//! | holds some of the examples | `fit_source` with a [`Shard`] |
//!
//! The page [`scaling`](crate::scaling) says when several ranks help, how to start them and what
//! they send.
//!
//! # A step
//! 1. Each rank computes the parts of its share, at most ⌈parts/R⌉ on R ranks, and adds up the
//!    whole subtrees in it.
//! 2. Each rank tells the others whether it succeeded, and sends them the costs of its parts.
//! 3. Each rank receives the sums of all subtrees for its slice of about P/R entries, and adds them
//!    in the order of the tree.
//! 4. Each rank sends its slice of Δ to the others. All make the same step of the optimiser.
//!
//! Layers that couple the examples of a batch in training, such as
//! [`BatchNorm`](crate::layer::BatchNorm), are refused with
//! [`Error::Coupled`](crate::Error::Coupled) unless their statistics are
//! [fixed](crate::Network::fix_statistics). The random numbers of a layer depend on the index of an
//! example in the whole batch, so the ranks do not change them.
//!
//! # When a rank fails
//! Every call returns on all ranks. If one rank fails, because of its data for example, it returns
//! its own error, and the others return
//! [`DistributedFault::Failed`](crate::DistributedFault::Failed). If a rank ends or hangs, the
//! others return [`DistributedFault::TimedOut`](crate::DistributedFault::TimedOut) after the
//! timeout of the communicator.
//!
//! # Example
//! Three ranks give the same parameters as a run without ranks:
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
