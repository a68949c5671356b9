//! Why ranks cannot train together.

use std::time::Duration;

/// Why ranks cannot go on together, in [`Error::Distributed`](crate::Error::Distributed).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DistributedFault {
    /// Ranks with different settings, data or platforms.
    #[error(
        "{what} of rank {rank} is {found}, expected {expected} as on rank 0: start every rank with \
         the same program, settings and data; a `Shard` joins data that ranks hold in parts"
    )]
    Disagreement {
        /// What the ranks must have in common.
        what: &'static str,
        /// The first rank that differs from rank 0.
        rank: usize,
        /// The value of rank 0.
        expected: String,
        /// The value of `rank`.
        found: String,
    },
    /// Ranks whose parameters or state differ after the same steps.
    #[error(
        "after step {step}, the parameters or the state of ranks {ranks:?} differ from those of \
         rank 0: a processor, a custom function or the memory of a rank is at fault"
    )]
    Diverged {
        /// The number of steps so far.
        step: u64,
        /// The ranks that differ from rank 0.
        ranks: Vec<usize>,
    },
    /// An error of another rank, which ended the run of all.
    #[error("rank {rank} failed: {message}")]
    Failed {
        /// The first rank that failed.
        rank: usize,
        /// Its error. A long text is cut.
        message: String,
    },
    /// A message other than the one that this rank expects.
    #[error(
        "{what} of a message of rank {rank} is {found}, expected {expected}: every rank must make \
         the same calls in the same order, such as `Trainer::distributed` on all or none"
    )]
    Message {
        /// The field of the message.
        what: &'static str,
        /// The rank that sent it.
        rank: usize,
        /// The value that this rank expects.
        expected: u64,
        /// The value found.
        found: u64,
    },
    /// Ranks that do not answer.
    #[error("not all ranks answered within {after:?}: a rank has ended, or hangs")]
    TimedOut {
        /// The time that this rank waited.
        after: Duration,
    },
    /// A communicator that failed earlier and refuses further calls.
    #[error("this communicator refuses calls after an earlier error: {message}")]
    Poisoned {
        /// The earlier error.
        message: String,
    },
    /// An error of the library that sends the messages.
    #[error("the library that sends the messages failed: {message}")]
    Library {
        /// Its error.
        message: String,
    },
}
