//! Reads selected examples of a source, now or ahead of time on another thread.

use super::order::Selection;
use crate::allocation::resize;
use crate::cost::Present;
use crate::error::{Error, Location};
use crate::examples::{Buffers, Examples};
use crate::scalar::Scalar;
use crate::source::{ReadInto, Source, checked_view, in_memory};
use nalgebra::DMatrixView;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;

/// Buffers with examples of a source.
#[derive(Debug)]
pub(super) struct Chunk<T> {
    /// The indices of the examples in the source.
    indices: Vec<usize>,
    x: Vec<T>,
    y: Vec<T>,
    present: Vec<bool>,
    weights: Vec<f64>,
    /// Whether the last reading succeeded.
    done: Result<(), Error>,
}

/// Returns selected examples, one chunk after another.
#[derive(Debug)]
pub(super) enum Feed<'f, T: Scalar> {
    /// Reads a chunk when it is needed.
    Direct {
        source: &'f dyn Source<T>,
        chunk: &'f mut Chunk<T>,
    },
    /// Another thread reads the next chunk while this one is computed.
    Ahead {
        source: &'f dyn Source<T>,
        chunk: &'f mut Chunk<T>,
        ready: Receiver<Chunk<T>>,
        free: Sender<Chunk<T>>,
    },
}

/// Calls `body` with the chunks of a source, which it asks for in the order of `selections`.
pub(super) fn feed<'s, T: Scalar, R>(
    source: &dyn Source<T>,
    chunk: &mut Chunk<T>,
    mut selections: impl Iterator<Item = Selection<'s>> + Send,
    body: impl FnOnce(&mut Feed<'_, T>) -> R,
) -> R {
    if !source.reads_ahead() {
        return body(&mut Feed::Direct { source, chunk });
    }
    thread::scope(|scope| {
        let (ready_to, ready) = sync_channel::<Chunk<T>>(1);
        let (free, free_from) = channel::<Chunk<T>>();
        let read = move || {
            let spare = Chunk::new();
            let chunks = std::iter::once(spare).chain(free_from);
            for (mut chunk, selection) in chunks.zip(selections.by_ref()) {
                chunk.fill(source, &selection);
                if ready_to.send(chunk).is_err() {
                    return; // the run has ended
                }
            }
        };
        match thread::Builder::new().spawn_scoped(scope, read) {
            Ok(reader) => {
                let done = body(&mut Feed::Ahead {
                    source,
                    chunk,
                    ready,
                    free,
                });
                // A panic of the source goes on here, with its own message.
                reader
                    .join()
                    .map_or_else(|panic| resume_unwind(panic), |()| done)
            }
            // The target has no threads, or the system has none left.
            Err(_) => body(&mut Feed::Direct { source, chunk }),
        }
    })
}

impl<T: Scalar> Feed<'_, T> {
    /// Returns the next examples; `None` if none are selected. Their weights are set, but their
    /// total weight is not.
    pub(super) fn next(
        &mut self,
        selection: &Selection<'_>,
    ) -> Result<Option<Examples<'_, T>>, Error> {
        match self {
            Self::Direct { source, chunk } => {
                if selection.order.is_none() && selection.len() > 0 {
                    let view = checked_view(*source, selection.places.clone())?;
                    if view.is_some() {
                        return Ok(view);
                    }
                }
                chunk.fill(*source, selection);
                chunk.examples(*source)
            }
            Self::Ahead {
                source,
                chunk,
                ready,
                free,
            } => {
                let next = ready.recv().map_err(|_| Error::Source {
                    name: "the source".into(),
                    reason: "the thread that reads it has ended".into(),
                })?;
                // After the last chunk, the other thread needs no more.
                let _ = free.send(std::mem::replace(*chunk, next));
                chunk.examples(*source)
            }
        }
    }

    /// Returns whether chunks are read when they are needed.
    pub(super) fn is_direct(&self) -> bool {
        matches!(self, Self::Direct { .. })
    }
}

impl<T: Scalar> Chunk<T> {
    pub(super) fn new() -> Self {
        Self {
            indices: Vec::new(),
            x: Vec::new(),
            y: Vec::new(),
            present: Vec::new(),
            weights: Vec::new(),
            done: Ok(()),
        }
    }

    /// Reads the examples of a selection, and keeps an error for [`examples`](Self::examples).
    fn fill(&mut self, source: &dyn Source<T>, selection: &Selection<'_>) {
        self.done = self.read(source, selection);
    }

    /// Reads the examples of a selection.
    pub(super) fn read(
        &mut self,
        source: &dyn Source<T>,
        selection: &Selection<'_>,
    ) -> Result<(), Error> {
        let (n, k, m) = (source.inputs(), source.outputs(), selection.len());
        resize(&mut self.indices, "the order of the examples", (m, 1), 0)?;
        resize(&mut self.x, "the inputs of a batch", (n, m), T::zero())?;
        resize(&mut self.y, "the targets of a batch", (k, m), T::zero())?;
        for (to, index) in self.indices.iter_mut().zip(selection.indices()) {
            *to = index;
        }
        if source.has_missing() {
            let what = "the present targets of a batch";
            resize(&mut self.present, what, (k, m), false)?;
        }
        if let Some(weights) = source.weights() {
            resize(&mut self.weights, "the weights of a batch", (m, 1), 0.0)?;
            for (to, &index) in self.weights.iter_mut().zip(&self.indices) {
                *to = weights[index];
            }
        }
        let into = ReadInto::new(&mut self.x, &mut self.y, &mut self.present);
        source.read(&self.indices, into)
    }

    /// Returns the examples that were read; `None` if none were selected.
    pub(super) fn examples(
        &self,
        source: &dyn Source<T>,
    ) -> Result<Option<Examples<'_, T>>, Error> {
        self.done.clone()?;
        let (n, k, m) = (source.inputs(), source.outputs(), self.indices.len());
        if m == 0 {
            return Ok(None);
        }
        let x = DMatrixView::from_slice(&self.x, n, m);
        let y = DMatrixView::from_slice(&self.y, k, m);
        let present = source.has_missing();
        let present = present.then(|| Present::new(&self.present, k));
        let weights = source.weights().map(|_| &self.weights[..]);
        let buffers = Buffers {
            x,
            y,
            present,
            weights,
        };
        // Examples in memory are validated.
        let examples = match in_memory(source) {
            Some(all) => all.with(buffers),
            None => {
                let checked = Examples::checked(x, y, present).map_err(|mut error| {
                    if let Error::NonFinite {
                        at: Location::Input { col, .. },
                        ..
                    } = &mut error
                    {
                        *col = self.indices[*col];
                    }
                    error
                });
                checked?.with(buffers)
            }
        };
        Ok(Some(examples))
    }
}
