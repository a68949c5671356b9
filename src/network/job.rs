//! Jobs: how a batch is cut into parts, which threads compute them, and where the results go.

use super::Network;
use super::cut::Cut;
use crate::error::Error;
use crate::kernels::parallel;
use crate::kernels::tree::{Tree, most_held};
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::workspace::{Most, Part, Sizes, Wants, Workspace};
use std::ops::Range;

/// The number of parts in progress for each thread. With more than one, threads of uneven speed
/// wait less.
const PARTS_A_THREAD: usize = 4;

/// The maximum number of scalars in the gradients of parts in progress, for networks with many
/// parameters. Threads without a part share the products of the others.
const SUMS_IN_PROGRESS: usize = 1 << 23;

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
        let Some(rule) = self.rule(training).filter(|rule| m >= rule.least) else {
            return whole;
        };
        // There are at least two parts.
        let part = rule.most.min(m.div_ceil(2));
        let all = rule.parts(m);
        let parts = self.at_once(all, threads);
        Most {
            parts,
            sums: parts + most_held(all),
            sizes: (part.max(rule.least - 1), part),
            cut: true,
            ..whole
        }
    }

    /// Returns how many of a number of parts are computed at the same time.
    fn at_once(&self, parts: usize, threads: usize) -> usize {
        let most = match threads {
            1 => 1,
            _ if self.is_large() => (SUMS_IN_PROGRESS / self.parameters()).clamp(1, threads),
            _ => PARTS_A_THREAD * threads,
        };
        parts.min(most)
    }

    /// Reserves room in a workspace for calls of any kind with up to m examples.
    pub(crate) fn make_room(&self, m: usize, workspace: &mut Workspace<T>) {
        let most = self.most(m, workspace.training.is_some());
        workspace.make_room(&self.layout, most, 0);
    }

    /// Computes a job of a batch, part by part, on several threads if that is faster.
    pub(crate) fn run<J: Job<T>>(
        &self,
        cut: Cut,
        (job, wants): (&J, Wants),
        workspace: &mut Workspace<T>,
        into: JobResults<'_, T>,
    ) -> Result<(), Error> {
        let m = cut.examples;
        let shared = parallel::is_worth_a_thread(m, self.parameters());
        let cut_job = CutJob {
            job,
            wants,
            cut,
            threads: self.threads(m),
        };
        let run = || {
            if cut.part >= m {
                cut_job.run_whole(self, workspace, into)
            } else {
                cut_job.run_parts(self, workspace, into)
            }
        };
        if shared { parallel::enter(run) } else { run() }
    }
}

/// A job of a batch that is cut into parts.
struct CutJob<'a, J> {
    job: &'a J,
    wants: Wants,
    cut: Cut,
    threads: usize,
}

impl<J> CutJob<'_, J> {
    fn run_whole<T: Scalar, L: Layer<T>>(
        &self,
        network: &Network<T, L>,
        workspace: &mut Workspace<T>,
        into: JobResults<'_, T>,
    ) -> Result<(), Error>
    where
        J: Job<T>,
    {
        let m = self.cut.examples;
        let sizes = Sizes {
            parts: 1,
            held: 1,
            part: m,
            examples: m,
        };
        let training = workspace.training.is_some();
        let most = || network.most(m, training);
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
        self.job.part(0..m, part, results, sums)
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
        let (m, size, all) = (self.cut.examples, self.cut.part, self.cut.parts());
        let at_once = network.at_once(all, self.threads);
        let held = if self.wants.hold { all } else { at_once };
        let sizes = Sizes {
            parts: at_once,
            held,
            part: size,
            examples: m,
        };
        let training = workspace.training.is_some();
        let most = || network.most(m, training);
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
        let now = half * self.cut.part;
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
