//! Sums over examples of a source: their costs and gradients, chunk by chunk.

use super::feed::{Chunk, Feed, feed};
use super::order::{Order, Selection};
use crate::allocation::{buffer, resize};
use crate::cost::Cost;
use crate::distributed::{RankOf, Ranks};
use crate::error::{Error, Location};
use crate::examples::Examples;
use crate::kernels::tree::{Tree, fold, subtrees};
use crate::layer::Layer;
use crate::metrics::{self, Metric};
use crate::network::job::JobResults;
use crate::network::{Cut, Network, PartCosts, Place, check_cost};
use crate::point::Point;
use crate::scalar::Scalar;
use crate::source::{Source, in_memory};
use crate::workspace::Workspace;
use nalgebra::DMatrixView;
use std::ops::Range;

/// The maximum number of bytes of the examples that are read together, unless one part has more.
const CHUNK_BYTES: usize = 16 << 20;

/// The name of the memory for sums in errors.
const SUMS: &str = "the sums of some parts";

/// A function of the examples: the costs and gradients of a network at one point.
#[derive(Debug)]
pub(super) struct Work<'w, T: Scalar, L, C: ?Sized> {
    pub(super) network: &'w Network<T, L>,
    pub(super) point: Point<'w, T>,
    pub(super) cost: &'w C,
    pub(super) source: &'w dyn Source<T>,
    /// Which examples of another source these are; `None` for a source that was given.
    pub(super) order: Option<&'w Order>,
}

impl<T: Scalar, L, C: ?Sized> Clone for Work<'_, T, L, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Scalar, L, C: ?Sized> Copy for Work<'_, T, L, C> {}

/// Buffers for sums over examples, and the ranks that share them.
#[derive(Debug)]
pub(super) struct Sweep<'c, T: Scalar> {
    pub(super) ranks: Option<Ranks<'c, T>>,
    chunk: Chunk<T>,
    /// Σ w·cost of each part.
    costs: Vec<T>,
    /// The sums of chunks.
    held: Vec<Vec<T>>,
    /// The sums of the subtrees of this rank.
    roots: Vec<Vec<T>>,
    /// The outputs of the last examples whose outputs were kept.
    outputs: Outputs<T>,
    keeps_outputs: bool,
}

/// The outputs and targets of examples, one column for each.
#[derive(Debug)]
struct Outputs<T> {
    a: Vec<T>,
    y: Vec<T>,
    /// Whether each target is present; empty if all are.
    present: Vec<bool>,
}

/// A batch, and what computes it.
#[derive(Debug)]
pub(super) struct Batch<'b, 'f, T: Scalar> {
    pub(super) selection: &'b Selection<'b>,
    pub(super) feed: &'b mut Feed<'f, T>,
    pub(super) workspace: &'b mut Workspace<T>,
}

impl<'c, T: Scalar> Sweep<'c, T> {
    pub(super) fn new() -> Self {
        Self {
            ranks: None,
            chunk: Chunk::new(),
            costs: Vec::new(),
            held: Vec::new(),
            roots: Vec::new(),
            outputs: Outputs {
                a: Vec::new(),
                y: Vec::new(),
                present: Vec::new(),
            },
            keeps_outputs: false,
        }
    }

    /// Returns Σ w·cost over all examples of the source, and writes Δ if it is requested.
    pub(super) fn all<L: Layer<T>, C: Cost<T> + ?Sized>(
        &mut self,
        work: Work<'_, T, L, C>,
        workspace: &mut Workspace<T>,
        gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        let all = Selection::all(work.source.len());
        let batches = std::iter::once(all.clone());
        let training = workspace.training.is_some();
        let (network, source) = (work.network, work.source);
        self.fed(network, source, training, batches, |sweep, feed| {
            let batch = Batch {
                selection: &all,
                feed,
                workspace,
            };
            sweep.sum(work, batch, gradient)
        })
    }

    /// Returns Σ w·cost over all examples of the source. Keeps the outputs for
    /// [`metric`](Self::metric) if they are requested.
    pub(super) fn evaluate<L: Layer<T>, C: Cost<T> + ?Sized>(
        &mut self,
        work: Work<'_, T, L, C>,
        workspace: &mut Workspace<T>,
        keeps_outputs: bool,
    ) -> Result<T, Error> {
        self.keeps_outputs = keeps_outputs;
        let done = self.all(work, workspace, None);
        self.keeps_outputs = false;
        done
    }

    /// Evaluates a metric on the outputs that were kept.
    pub(super) fn metric(
        &self,
        metric: &dyn Metric<T>,
        source: &dyn Source<T>,
    ) -> Result<f64, Error> {
        let (k, m) = (source.outputs(), source.len());
        let a = DMatrixView::from_slice(&self.outputs.a, k, m);
        let y = DMatrixView::from_slice(&self.outputs.y, k, m);
        let present = source.has_missing();
        let present = present.then(|| DMatrixView::from_slice(&self.outputs.present, k, m));
        metrics::of_outputs(metric, a, y, present)
    }

    /// Returns the value. If there are other ranks, which may not have failed, keeps an error until
    /// the next note sends it to them.
    pub(super) fn or_hold<V>(&mut self, done: Result<V, Error>) -> Result<Option<V>, Error> {
        match (done, &mut self.ranks) {
            (Ok(value), _) => Ok(Some(value)),
            (Err(error), None) => Err(error),
            (Err(error), Some(ranks)) => {
                ranks.hold(error);
                Ok(None)
            }
        }
    }

    /// Calls `body` with a feed for these batches, which it sums in this order.
    pub(super) fn fed<'s, L: Layer<T>, R>(
        &mut self,
        network: &Network<T, L>,
        source: &dyn Source<T>,
        training: bool,
        batches: impl Iterator<Item = Selection<'s>> + Send,
        body: impl FnOnce(&mut Self, &mut Feed<'_, T>) -> R,
    ) -> R {
        let place = self.place();
        let selections = batches.flat_map(move |batch| {
            let cut = network.cut(batch.len(), training);
            let most = most_parts(source, &batch, cut);
            let chunks = chunks(cut, place.share(cut.parts()), most);
            chunks.map(move |range| batch.part(&cut.examples_of(&range)))
        });
        let mut chunk = std::mem::replace(&mut self.chunk, Chunk::new());
        let done = feed(source, &mut chunk, selections, |feed| body(self, feed));
        self.chunk = chunk;
        done
    }

    /// Returns the place of this process among those that share the work.
    fn place(&self) -> RankOf {
        self.ranks.as_ref().map_or(RankOf::ALONE, Ranks::place)
    }

    /// Returns Σ w·cost over a batch, and writes Δ if it is requested. Every rank computes its
    /// parts.
    pub(super) fn sum<L: Layer<T>, C: Cost<T> + ?Sized>(
        &mut self,
        work: Work<'_, T, L, C>,
        batch: Batch<'_, '_, T>,
        mut gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        let training = batch.workspace.training.is_some();
        let cut = work.network.cut(batch.selection.len(), training);
        let parts = cut.parts();
        resize(&mut self.costs, "the costs", (parts, 1), T::zero())?;
        if self.keeps_outputs {
            self.outputs.make_room(work.source)?;
        }
        let place = self.place();
        let mut pass = SweepPass {
            most: most_parts(work.source, batch.selection, cut),
            work,
            batch,
            cut,
            costs: &mut self.costs,
            outputs: self.keeps_outputs.then_some(&mut self.outputs),
            chunks_read: 0,
        };
        let Some(ranks) = &mut self.ranks else {
            pass.subtree(0..parts, &mut self.held, gradient)?;
            return check_cost(fold(0..parts, &|part| self.costs[part]));
        };
        let mut done = Ok(());
        for (k, range) in subtrees(place.share(parts), parts, usize::MAX).enumerate() {
            done = match gradient.as_deref() {
                Some(gradient) => buffer(&mut self.roots, SUMS, k, gradient.len())
                    .and_then(|into| pass.subtree(range, &mut self.held, Some(into))),
                None => pass.subtree(range, &mut self.held, None),
            };
            if done.is_err() {
                break;
            }
        }
        let served = pass.serve_others(place);
        ranks.share_costs(done.and(served), &mut self.costs)?;
        if let Some(gradient) = &mut gradient {
            ranks.add_up(parts, &self.roots, gradient)?;
        }
        if self.keeps_outputs {
            ranks.gather_columns(cut, &mut self.outputs.a)?;
            ranks.gather_columns(cut, &mut self.outputs.y)?;
            if work.source.has_missing() {
                ranks.gather_flags(cut, &mut self.outputs.present)?;
            }
        }
        check_cost(fold(0..parts, &|part| self.costs[part]))
    }

    /// Discards the chunks of a batch that is left out, if another thread reads them.
    pub(super) fn skip<L: Layer<T>>(
        &self,
        network: &Network<T, L>,
        source: &dyn Source<T>,
        batch: Batch<'_, '_, T>,
    ) {
        if batch.feed.is_direct() {
            return;
        }
        let Batch {
            selection,
            feed,
            workspace,
        } = batch;
        let cut = network.cut(selection.len(), workspace.training.is_some());
        let most = most_parts(source, selection, cut);
        for range in chunks(cut, self.place().share(cut.parts()), most) {
            // These examples are left out, so their errors do not count.
            let _ = feed.next(&selection.part(&cut.examples_of(&range)));
        }
    }
}

/// A sum over one batch.
struct SweepPass<'p, 'f, T: Scalar, L, C: ?Sized> {
    work: Work<'p, T, L, C>,
    batch: Batch<'p, 'f, T>,
    cut: Cut,
    /// The maximum number of parts in a chunk.
    most: usize,
    costs: &'p mut [T],
    outputs: Option<&'p mut Outputs<T>>,
    chunks_read: usize,
}

impl<T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized> SweepPass<'_, '_, T, L, C> {
    /// Computes the parts of a subtree, chunk by chunk, and writes their sum if it is requested.
    fn subtree(
        &mut self,
        range: Range<usize>,
        held: &mut Vec<Vec<T>>,
        into: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let mut chunks = subtrees(range.clone(), self.cut.parts(), self.most);
        let count = chunks.clone().count();
        if count == 1 {
            return self.chunk(range, into);
        }
        let Some(into) = into else {
            return chunks.try_for_each(|range| self.chunk(range, None));
        };
        let mut tree = Tree::new(count);
        for range in chunks {
            let sums = buffer(held, SUMS, tree.held(), into.len())?;
            self.chunk(range, Some(sums))?;
            tree.take(1, held);
        }
        tree.sum(held, into);
        Ok(())
    }

    /// Computes consecutive parts whose examples are read together.
    fn chunk(&mut self, parts: Range<usize>, into: Option<&mut [T]>) -> Result<(), Error> {
        let Work {
            network,
            point,
            cost,
            order,
            ..
        } = self.work;
        let Batch {
            selection,
            feed,
            workspace,
        } = &mut self.batch;
        let range = self.cut.examples_of(&parts);
        self.chunks_read += 1;
        let examples = feed.next(&selection.part(&range)).map_err(|mut error| {
            if let (
                Error::NonFinite {
                    at: Location::Input { col, .. },
                    ..
                },
                Some(order),
            ) = (&mut error, order)
            {
                *col = order.index(*col);
            }
            error
        });
        let Some(examples) = examples? else {
            return Ok(());
        };
        let cut = Cut {
            examples: range.len(),
            part: self.cut.part,
        };
        let place = Place {
            first: range.start,
            cut,
        };
        let into = JobResults {
            sums: into,
            ..JobResults::none()
        };
        let done = network.sum_at(place, point, &examples, cost, workspace, into);
        done.map_err(|error| {
            in_source(error, range.start, |k| {
                let index = selection.index(k);
                order.map_or(index, |order| order.index(index))
            })
        })?;
        let of_parts = PartCosts::new(&examples, cut, workspace);
        for (part, cost) in self.costs[parts].iter_mut().enumerate() {
            *cost = of_parts.of(part);
        }
        if let Some(outputs) = &mut self.outputs
            && let Some(a) = workspace.output()
        {
            outputs.keep(range.start, a, &examples);
        }
        Ok(())
    }

    /// Reads nothing as often as other ranks still read chunks, because all ranks have to read a
    /// shard at the same time.
    fn serve_others(&mut self, place: RankOf) -> Result<(), Error> {
        if !self.batch.feed.is_direct() || in_memory(self.work.source).is_some() {
            return Ok(());
        }
        let counts = (0..place.ranks).map(|rank| {
            let share = RankOf { rank, ..place }.share(self.cut.parts());
            chunks(self.cut, share, self.most).count()
        });
        let nothing = self.batch.selection.part(&(0..0));
        for _ in self.chunks_read..counts.max().unwrap_or(0) {
            self.batch.feed.next(&nothing)?;
        }
        Ok(())
    }
}

impl<T: Scalar> Outputs<T> {
    fn make_room(&mut self, source: &dyn Source<T>) -> Result<(), Error> {
        let shape = (source.outputs(), source.len());
        resize(&mut self.a, "the outputs", shape, T::zero())?;
        resize(&mut self.y, "the targets", shape, T::zero())?;
        if source.has_missing() {
            resize(&mut self.present, "the present targets", shape, false)?;
        }
        Ok(())
    }

    /// Keeps the outputs of the examples from `first` on.
    fn keep(&mut self, first: usize, a: DMatrixView<'_, T>, examples: &Examples<'_, T>) {
        let k = a.nrows();
        let places = first * k..(first + examples.len()) * k;
        let columns = self.a[places.clone()].chunks_exact_mut(k);
        for (to, from) in columns.zip(a.column_iter()) {
            to.copy_from_slice(from.as_slice());
        }
        let columns = self.y[places.clone()].chunks_exact_mut(k);
        for (to, from) in columns.zip(examples.y.column_iter()) {
            to.copy_from_slice(from.as_slice());
        }
        if let Some(present) = examples.present {
            let columns = self.present[places].chunks_exact_mut(k);
            for (example, to) in columns.enumerate() {
                to.copy_from_slice(present.of(example));
            }
        }
    }
}

/// Returns the maximum number of parts whose examples are read together.
fn most_parts<T: Scalar>(source: &dyn Source<T>, batch: &Selection<'_>, cut: Cut) -> usize {
    if batch.order.is_none() && in_memory(source).is_some() {
        return usize::MAX; // nothing is copied
    }
    let numbers = source.inputs().saturating_add(source.outputs());
    let example = numbers.saturating_mul(size_of::<T>());
    (CHUNK_BYTES / example.saturating_mul(cut.part).max(1)).max(1)
}

/// Returns the chunks in which some parts of a batch are read.
fn chunks(cut: Cut, share: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> + Send {
    let all = cut.parts();
    subtrees(share, all, usize::MAX).flat_map(move |root| subtrees(root, all, most))
}

/// Replaces the number of an example in an error with its index in the source. `first` is the
/// number in the batch of the first example that was read.
fn in_source(mut error: Error, first: usize, index: impl Fn(usize) -> usize) -> Error {
    match &mut error {
        // These count the examples of the batch.
        Error::NonFinite {
            at: Location::Activation { example, .. } | Location::Cost { example },
            ..
        }
        | Error::Output { example, .. } => *example = index(*example),
        // These count the examples that were read.
        Error::Target { example, .. }
        | Error::PartialTargets { example, .. }
        | Error::Id { example, .. } => *example = index(first + *example),
        _ => {}
    }
    error
}
