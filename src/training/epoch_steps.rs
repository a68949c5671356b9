//! The steps of an epoch, one for each batch.

use super::feed::Feed;
use super::full_batch::Method;
use super::history::Record;
use super::order::Selection;
use super::plan::Set;
use super::run::{Run, with_place};
use super::run_state::RunState;
use super::schedule::Plateau;
use super::step::check_step;
use super::sweep::{Batch, Sweep, Work};
use crate::allocation::resize;
use crate::cost::Cost;
use crate::error::Error;
use crate::examples::scalar_weight;
use crate::gradient::{CostParts, Sums, finish};
use crate::kernels::{self, random::mix};
use crate::layer::Layer;
use crate::layout::Layout;
use crate::point::Point;
use crate::scalar::{Scalar, to_f64};
use crate::source::Source;

/// The number of steps after which ranks compare their parameters.
const COMPARED: u64 = 64;

/// The steps of one epoch so far.
struct Steps<'s> {
    /// The number of batches of the epoch.
    batches: usize,
    /// The factor of the learning rate that follows from a plateau.
    plateau: f64,
    record: &'s mut Record,
    /// Σ w·J of the batches.
    sum: f64,
    /// Σ w of the batches.
    weight: f64,
}

impl<T: Scalar, L: Layer<T>, C: Cost<T>> Run<'_, '_, T, L, C> {
    /// Performs one step per batch, and returns their number.
    pub(super) fn steps(
        &mut self,
        record: &mut Record,
        progress: &RunState<T>,
    ) -> Result<usize, Error> {
        let (network, source) = (self.network, self.data.training.source);
        let m = source.len();
        let epoch = record.epoch;
        if let Some(order) = &mut self.order {
            order.shuffle(m, self.plan.seed, epoch);
        }
        let size = self.plan.batch_size.unwrap_or(m);
        let mut steps = Steps {
            batches: m.div_ceil(size),
            plateau: progress.plateau.as_ref().map_or(1.0, Plateau::factor),
            record,
            sum: 0.0,
            weight: 0.0,
        };
        // A step changes the run, but neither of these.
        let order = self.order.take();
        let mut sweep = std::mem::replace(&mut self.sweep, Sweep::new());
        let in_order = order.as_ref();
        let select = move |b: usize| Selection {
            order: in_order,
            places: b * size..m.min((b + 1).saturating_mul(size)),
        };
        let count = steps.batches;
        let selections = (0..count).map(select);
        let done = sweep.fed(network, source, true, selections, |sweep, feed| {
            (0..count).try_for_each(|b| {
                let done = self.step(&mut steps, b, &select(b), sweep, feed);
                done.map_err(|cause| with_place(epoch, Some(b + 1), cause))
            })
        });
        (self.order, self.sweep) = (order, sweep);
        done?;
        if steps.weight == 0.0 {
            // The examples have weight as a whole, but no single batch does.
            return Err(Error::TotalWeight {
                value: self.data.training.weight,
            });
        }
        steps.record.batch_cost = Some(steps.sum / steps.weight);
        Ok(count)
    }

    /// Performs the step of batch `b`. A batch without weight is left out.
    fn step(
        &mut self,
        steps: &mut Steps<'_>,
        b: usize,
        selection: &Selection<'_>,
        sweep: &mut Sweep<'_, T>,
        feed: &mut Feed<'_, T>,
    ) -> Result<(), Error> {
        let (network, epoch) = (self.network, steps.record.epoch);
        let Set {
            source,
            order,
            weight: whole,
        } = self.data.training;
        // Stochastic layers act at random, and a resumed run repeats the same choices.
        let seed = mix(mix(self.plan.seed, epoch), b as u64 + 1);
        self.batch_workspace.set_training(Some(seed));
        let batch = Batch {
            selection,
            feed,
            workspace: &mut self.batch_workspace,
        };
        let Some(weight) = batch_weight::<T>(source, selection, &mut self.batch_weights)? else {
            sweep.skip(network, source, batch);
            return Ok(());
        };
        let work = Work {
            network,
            point: Point {
                theta: &self.theta,
                state: &self.state,
            },
            cost: &self.plan.objective.cost,
            source,
            order,
        };
        let sums = Sums {
            cost: sweep.sum(work, batch, Some(&mut self.gradient))?,
            weight,
            data_weight: whole,
        };
        let batches = steps.batches as u64;
        let scheduled = (self.plan.schedule).factor_at(epoch - 1, b as u64, batches);
        let factor = steps.plateau * scheduled;
        let moved = self.move_by(sums, factor);
        let moved = moved.map_err(|cause| with_place(epoch, Some(b + 1), cause));
        if let Some(parts) = sweep.or_hold(moved)? {
            steps.sum += to_f64(parts.total()) * weight;
        }
        steps.weight += weight;
        if let Method::Steps(optimizer) = &self.plan.method {
            steps.record.rate = Some(optimizer.info().rate * factor);
        }
        steps.record.steps += 1;
        if let Some(ranks) = &mut sweep.ranks
            && steps.record.steps.is_multiple_of(COMPARED)
        {
            let point = Point {
                theta: &self.theta,
                state: &self.state,
            };
            ranks.compare(Ok(()), steps.record.steps, point)?;
        }
        Ok(())
    }

    /// Turns the sums of a batch into J and ∇J, and moves θ by one step of the optimiser.
    fn move_by(&mut self, sums: Sums<T>, factor: f64) -> Result<CostParts<T>, Error> {
        let (plan, layout) = (&mut *self.plan, self.network.layout());
        let (theta, gradient) = (&mut self.theta, &mut self.gradient);
        let penalty = &plan.objective.penalty;
        let parts = finish(layout, penalty, theta, sums, Some(gradient))?;
        if let Some(clipping) = plan.clipping {
            clipping.apply(gradient);
        }
        if let Method::Steps(optimizer) = &mut plan.method {
            optimizer.step_in(layout.moving(), theta, gradient, factor)?;
            put_back(layout, &self.frozen, theta);
            if let Some(new) = self.batch_workspace.new_state(self.network.layout_arc()) {
                self.state.copy_from_slice(new);
            }
            // A saturating function may hide an overflow.
            check_step(layout, theta, &**optimizer)?;
        }
        Ok(parts)
    }
}

/// Returns Σw of a batch; `None` if T cannot divide by it.
fn batch_weight<T: Scalar>(
    source: &dyn Source<T>,
    batch: &Selection<'_>,
    buffer: &mut Vec<f64>,
) -> Result<Option<f64>, Error> {
    let weight = match source.weights() {
        None => batch.len() as f64,
        Some(weights) => {
            resize(buffer, "the weights of a batch", (batch.len(), 1), 0.0)?;
            for (to, index) in buffer.iter_mut().zip(batch.indices()) {
                *to = weights[index];
            }
            kernels::sum(buffer)
        }
    };
    Ok(scalar_weight::<T>(weight).ok())
}

/// Restores the frozen entries of θ. A custom optimiser may have moved them.
fn put_back<T: Scalar>(layout: &Layout, mut frozen: &[T], theta: &mut [T]) {
    for range in layout.frozen() {
        let (now, rest) = frozen.split_at(range.len());
        theta[range.clone()].copy_from_slice(now);
        frozen = rest;
    }
}
