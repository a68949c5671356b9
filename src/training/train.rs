//! A training call from beginning to end, on one rank or several.

#[cfg(feature = "serde")]
use super::checkpoint::{Resumed, Store};
use super::history::History;
use super::plan::{Data, Group, Set};
use super::run::Run;
use super::run_state::RunState;
use super::trainer::Trainer;
use crate::cost::Cost;
#[cfg(feature = "serde")]
use crate::distributed::Fact;
use crate::distributed::Ranks;
use crate::error::Error;
use crate::layer::Layer;
use crate::network::Network;
use crate::scalar::Scalar;
use crate::source::Source;

/// Where a run began.
#[cfg(feature = "serde")]
pub(super) type Origin = Resumed;

/// Where a run began: without checkpoints, always at the first epoch.
#[cfg(not(feature = "serde"))]
pub(super) type Origin = ();

impl<T: Scalar, C: Cost<T>> Trainer<'_, T, C> {
    /// Trains from the beginning, or from the newest checkpoint if the run resumes.
    pub(super) fn train<L: Layer<T>>(
        &mut self,
        network: &mut Network<T, L>,
        source: &dyn Source<T>,
        resumes: bool,
    ) -> Result<(History, Origin), Error> {
        let plan = &mut self.plan;
        let mut ranks = plan.ranks.map(Group::ranks);
        let divided = plan.check(network, source).and_then(|()| plan.reset());
        let divided = divided.and_then(|()| plan.divide(source));
        if let Some(ranks) = &mut ranks {
            ranks.start(divided.as_ref().map(drop).map_err(Clone::clone))?;
        }
        let (divided, given) = (divided?, plan.validation.clone());
        let data = match &divided {
            Some(divided) => Data {
                training: Set::some(&divided.training),
                validation: Some(Set::some(&divided.validation)),
            },
            None => Data {
                training: Set::all(source),
                validation: given.as_deref().map(|source| Set::all(source)),
            },
        };
        agreed(&mut ranks, plan.check_data(&data))?;
        if let Some(ranks) = &mut ranks {
            let facts = plan.facts(network, data, ranks);
            #[cfg(feature = "serde")]
            let facts = facts.map(|mut facts| {
                facts.push(checkpoints_fact(self.store.as_ref(), resumes));
                facts
            });
            ranks.agree(facts)?;
        }
        #[cfg(feature = "serde")]
        let settings = plan.settings(network, source);
        #[cfg(feature = "serde")]
        let begun = match &self.store {
            Some(store) => plan.restored(network, store, &settings, resumes, &mut ranks),
            None => RunState::new(network.point()).map(|new| (new, Origin::default())),
        };
        #[cfg(not(feature = "serde"))]
        let begun = {
            _ = resumes;
            RunState::new(network.point()).map(|new| (new, ()))
        };
        let (mut progress, origin) = agreed(&mut ranks, begun)?;
        let began = progress.epoch;
        let run = Run::new(network, data, plan, &mut progress);
        let mut run = agreed(&mut ranks, run)?;
        run.sweep.ranks = ranks;
        let mut done = Ok(());
        while done.is_ok() && progress.history.stop.is_none() {
            done = run.advance(&mut progress);
            #[cfg(feature = "serde")]
            if let (Ok(()), Some(store)) = (&done, &self.store) {
                let ranks = &mut run.sweep.ranks;
                if ranks.as_ref().is_none_or(Ranks::leads) {
                    done = run.plan.save(store, &mut progress, &settings);
                }
                done = agreed(ranks, done);
            }
        }
        drop(run);
        // After a divergence, these are the last good parameters. Without a completed epoch,
        // nothing changes.
        if done.is_ok() || progress.epoch > began {
            network.set_point(progress.result(plan.keep_best))?;
        }
        done.map(|()| (progress.into_history(), origin))
    }
}

/// Returns the use of checkpoints, which ranks must have in common.
#[cfg(feature = "serde")]
fn checkpoints_fact<T>(store: Option<&Store<T>>, resumes: bool) -> Fact {
    let checkpoints = match (store, resumes) {
        (None, _) => "none",
        (Some(_), false) => "those of a new run",
        (Some(_), true) => "those of a run that resumes",
    };
    Fact::new("the checkpoints", checkpoints)
}

/// Ends the run on all ranks if it failed on this one or on another.
fn agreed<T: Scalar, V>(
    ranks: &mut Option<Ranks<'_, T>>,
    done: Result<V, Error>,
) -> Result<V, Error> {
    if let Some(ranks) = ranks {
        ranks.check(done.as_ref().map(drop).map_err(Clone::clone))?;
    }
    done
}
