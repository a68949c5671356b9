//! Jobs: how a batch is cut into parts, which threads compute them, and where the results go.

use super::Network;
use crate::error::Error;
use crate::kernels::parallel;
use crate::kernels::tree::{Tree, most_held};
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::workspace::{Most, Part, Sizes, Wants, Workspace};
use std::ops::Range;

/// The numbers of examples of the smallest part that a batch is cut into (before the number of
/// parts is made even) and of the largest part. With smaller parts, adding their gradients takes
/// noticeable time. With larger ones, activations leave the cache.
const PART: (usize, usize) = (256, 1024);

/// The memory for the inputs, activations and errors of a part, in bytes. A second-level cache
/// holds this much next to the parameters.
const PART_BYTES: usize = 640 << 10;

/// Networks with more parameters than this compute a batch as a whole, and share out each product
/// instead.
const PART_PARAMETERS: usize = 1 << 18;

/// The number of parts in progress for each thread. With more than one, threads of uneven speed
/// wait less.
const PARTS_A_THREAD: usize = 4;

/// A computation on each part of a batch.
pub(crate) trait Job<T: Scalar>: Sync {
    /// Computes the examples `range` of the batch. Overwrites `sums` with the sum over them of the
    /// gradient or another vector, if the job has one. Errors count the examples of the whole
    /// batch.
    fn part(
        &self,
        range: Range<usize>,
        part: &mut Part<T>,
        results: PartResults<'_, T>,
        sums: Option<&mut [T]>,
    ) -> Result<(), Error>;
}

/// The results that the caller of a job requests, besides those in the workspace. A result that is
/// `None` is not computed.
#[derive(Debug)]
pub(crate) struct JobResults<'a, T> {
    /// The sum over all examples.
    pub(crate) sums: Option<&'a mut [T]>,
    /// w·∂cost/∂X, divided.
    pub(crate) input_delta: Option<&'a mut [T]>,
    /// The result for each example, with the same number of entries for all.
    pub(crate) columns: Option<&'a mut [T]>,
}

impl<T> JobResults<'_, T> {
    pub(crate) fn none() -> Self {
        Self {
            sums: None,
            input_delta: None,
            columns: None,
        }
    }
}

/// The share of the results that one part of a batch writes, besides its own buffers.
pub(crate) struct PartResults<'a, T> {
    pub(crate) outputs: &'a mut [T],
    pub(crate) values: &'a mut [T],
    pub(crate) input_delta: Option<&'a mut [T]>,
    pub(crate) columns: Option<&'a mut [T]>,
}

impl<'a, T: Scalar> PartResults<'a, T> {
    /// Splits the results into those of the first `examples` of m examples and the rest.
    fn split(self, examples: usize, m: usize) -> (Self, Self) {
        let cut = |slice: &'a mut [T]| {
            let each = slice.len() / m;
            slice.split_at_mut(each * examples)
        };
        let (outputs, later_outputs) = cut(self.outputs);
        let (values, later_values) = cut(self.values);
        let (input_delta, later_input_delta) = self.input_delta.map(cut).unzip();
        let (columns, later_columns) = self.columns.map(cut).unzip();
        (
            Self {
                outputs,
                values,
                input_delta,
                columns,
            },
            Self {
                outputs: later_outputs,
                values: later_values,
                input_delta: later_input_delta,
                columns: later_columns,
            },
        )
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns the number of examples of a part of a batch of m. It depends only on the shapes, so
    /// the results do not depend on the number of threads.
    pub(crate) fn part_size(&self, m: usize, training: bool) -> usize {
        let Some(fits) = self.largest_part(m, training) else {
            return m;
        };
        // An even number of parts of one size gives two threads equal work.
        let parts = m.div_ceil(fits).next_multiple_of(2);
        m.div_ceil(parts)
    }

    /// Returns the maximum number of examples in a part of a batch of m; `None` if the batch is
    /// computed as a whole.
    fn largest_part(&self, m: usize, training: bool) -> Option<usize> {
        let (least, most) = PART;
        let plan = self.layout.plan();
        let couples = plan.couples.in_mode(training);
        if m < 2 * least || self.parameters() > PART_PARAMETERS || couples {
            return None;
        }
        let (units, widest) = plan.units();
        let units = units.saturating_add(widest);
        let entries = units.saturating_mul(2).saturating_add(self.inputs());
        let bytes = entries.saturating_mul(size_of::<T>());
        Some((PART_BYTES / bytes).clamp(least, most))
    }

    /// Returns the number of threads that share a batch of m.
    fn threads(&self, m: usize) -> usize {
        if parallel::is_worth_a_thread(m, self.parameters()) {
            parallel::threads()
        } else {
            1
        }
    }

    /// Returns the largest sizes in which a batch of up to m examples is computed.
    fn most(&self, m: usize, training: bool) -> Most {
        let threads = self.threads(m);
        let whole = Most {
            examples: m,
            parts: 1,
            sums: 1,
            sizes: (m, 0),
            cut: false,
            threads,
        };
        let Some(fits) = self.largest_part(m, training) else {
            return whole;
        };
        // There are at least two parts.
        let part = fits.min(m.div_ceil(2));
        let all = m.div_ceil(fits).next_multiple_of(2);
        let parts = match threads {
            1 => 1,
            _ => all.min(PARTS_A_THREAD * threads),
        };
        Most {
            parts,
            sums: parts + most_held(all),
            sizes: (part.max(2 * PART.0 - 1), part),
            cut: true,
            ..whole
        }
    }

    /// Reserves room in a workspace for calls of any kind with up to m examples.
    pub(crate) fn make_room(&self, m: usize, workspace: &mut Workspace<T>) {
        let most = self.most(m, workspace.training.is_some());
        workspace.make_room(&self.layout, most, 0);
    }

    /// Computes a job of m examples, in parts and on several threads if that is faster.
    pub(crate) fn run<J: Job<T>>(
        &self,
        m: usize,
        (job, wants): (&J, Wants),
        workspace: &mut Workspace<T>,
        into: JobResults<'_, T>,
    ) -> Result<(), Error> {
        let size = self.part_size(m, workspace.training.is_some());
        let shared = parallel::is_worth_a_thread(m, self.parameters());
        let threads = self.threads(m);
        let batch = Batch {
            job,
            wants,
            m,
            size,
            threads,
        };
        let run = || {
            if size == m {
                batch.run_whole(self, workspace, into)
            } else {
                batch.run_parts(self, workspace, into)
            }
        };
        if shared { parallel::enter(run) } else { run() }
    }
}

/// A job and the size of its parts.
struct Batch<'a, J> {
    job: &'a J,
    wants: Wants,
    m: usize,
    /// The number of examples of a part; the last may have fewer.
    size: usize,
    threads: usize,
}

impl<J> Batch<'_, J> {
    fn run_whole<T: Scalar, L: Layer<T>>(
        &self,
        network: &Network<T, L>,
        workspace: &mut Workspace<T>,
        into: JobResults<'_, T>,
    ) -> Result<(), Error>
    where
        J: Job<T>,
    {
        let sizes = Sizes {
            parts: 1,
            held: 1,
            part: self.m,
            examples: self.m,
        };
        let training = workspace.training.is_some();
        let most = || network.most(self.m, training);
        workspace.fit(&network.layout, sizes, self.wants, most)?;
        let Some(part) = workspace.parts.first_mut() else {
            return Ok(());
        };
        let results = PartResults {
            outputs: &mut [],
            values: if self.wants.values {
                &mut workspace.values
            } else {
                &mut []
            },
            input_delta: into.input_delta,
            columns: into.columns,
        };
        let sums = if self.wants.scratch {
            workspace.sums.first_mut().map(|sums| &mut sums[..])
        } else {
            into.sums
        };
        self.job.part(0..self.m, part, results, sums)
    }

    /// Runs several parts at a time. A [`Tree`] over all parts adds their sums, so the result has
    /// the same bits however many run at a time.
    fn run_parts<T: Scalar, L: Layer<T>>(
        &self,
        network: &Network<T, L>,
        workspace: &mut Workspace<T>,
        into: JobResults<'_, T>,
    ) -> Result<(), Error>
    where
        J: Job<T>,
    {
        let (m, size) = (self.m, self.size);
        let at_once = match self.threads {
            1 => 1,
            threads => m.div_ceil(size).min(PARTS_A_THREAD * threads),
        };
        let all = m.div_ceil(size);
        let held = if self.wants.hold { all } else { at_once };
        let sizes = Sizes {
            parts: at_once,
            held,
            part: size,
            examples: m,
        };
        let training = workspace.training.is_some();
        let most = || network.most(self.m, training);
        workspace.fit(&network.layout, sizes, self.wants, most)?;
        let all_buffers = &mut workspace.parts[..held];
        let (sums, mut tree) = (&mut workspace.sums[..], Tree::new(all));
        let adds = self.wants.sums > 0 && into.sums.is_some();
        let mut results = PartResults {
            outputs: &mut workspace.outputs,
            values: if self.wants.values {
                &mut workspace.values[..m]
            } else {
                &mut []
            },
            input_delta: into.input_delta,
            columns: into.columns,
        };
        let mut first = 0;
        while first < m {
            let examples = (at_once * size).min(m - first);
            let (now, later) = results.split(examples, m - first);
            let parts = examples.div_ceil(size);
            let start = if self.wants.hold { first / size } else { 0 };
            let buffers = &mut all_buffers[start..][..parts];
            let partial = &mut sums[tree.held()..][..parts];
            // Products are shared out only where there are fewer parts than threads.
            let serial = parts >= self.threads;
            self.round(first, examples, (buffers, partial, serial), now)?;
            if adds {
                tree.take(parts, sums);
            }
            results = later;
            first += examples;
        }
        if adds && let Some(wanted) = into.sums {
            tree.sum(sums, wanted);
        }
        Ok(())
    }

    /// Computes several parts at the same time. Returns the error of the first part that has one.
    fn round<T: Scalar>(
        &self,
        first: usize,
        examples: usize,
        (buffers, sums, serial): (&mut [Part<T>], &mut [Vec<T>], bool),
        results: PartResults<'_, T>,
    ) -> Result<(), Error>
    where
        J: Job<T>,
    {
        if let ([part], [sums]) = (&mut *buffers, &mut *sums) {
            let wanted = (self.wants.sums > 0).then_some(&mut sums[..]);
            let range = first..first + examples;
            let run = || self.job.part(range, part, results, wanted);
            return if serial {
                parallel::serially(run)
            } else {
                run()
            };
        }
        let half = buffers.len() / 2;
        let now = half * self.size;
        let (left, right) = buffers.split_at_mut(half);
        let (left_sums, right_sums) = sums.split_at_mut(half);
        let (near, far) = results.split(now, examples);
        let (near, far) = parallel::join(
            || self.round(first, now, (left, left_sums, serial), near),
            || {
                let right = (right, right_sums, serial);
                self.round(first + now, examples - now, right, far)
            },
        );
        near.and(far)
    }
}
