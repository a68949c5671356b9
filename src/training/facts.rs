//! What the ranks of a run must have in common: its settings, its data and what its functions
//! return.

use super::full_batch::Method;
use super::plan::{Data, Plan, Set};
use crate::allocation::{allocate, collected};
use crate::checksum::Checksum;
use crate::cost::{Cost, Present};
use crate::distributed::{Fact, Ranks};
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::Layer;
use crate::metrics::Metric;
use crate::network::Network;
use crate::scalar::Scalar;
use crate::source::{ReadInto, Source};
use crate::workspace::Workspace;
use nalgebra::DMatrixView;
use std::fmt::Debug;

/// The number of examples that are compared.
const SAMPLE: usize = 64;

/// Some examples of a source, evenly spread.
struct Sample<T> {
    inputs: usize,
    outputs: usize,
    x: Vec<T>,
    y: Vec<T>,
    present: Vec<bool>,
}

impl<T: Scalar, C: Cost<T>> Plan<'_, T, C> {
    /// Returns the facts of a run that starts with this network and these examples.
    pub(super) fn facts<L: Layer<T>>(
        &self,
        network: &Network<T, L>,
        data: Data<'_, T>,
        ranks: &Ranks<'_, T>,
    ) -> Result<Vec<Fact>, Error> {
        let layout = network.layout();
        let mut table = Checksum::new();
        table.text(&network.to_string());
        table.word(layout.fingerprint());
        let network_text = format!(
            "{} layers with {} parameters, checksum {:016x}",
            network.depth(),
            network.parameters(),
            table.value()
        );
        let method = match &self.method {
            Method::Steps(optimizer) => format!("{optimizer:?}"),
            Method::FullBatch(solver) => format!("{solver:?}"),
        };
        let metrics: Vec<_> = self.metrics.iter().map(Metric::name).collect();
        let sample = Sample::new(data.training.source)?;
        let probe = self.probe(network, &sample, ranks);
        let limits = [self.steps, self.patience];
        let validation = match data.validation {
            None => "none".to_owned(),
            Some(Set { source, .. }) => describe(source, &Sample::new(source)?, ranks),
        };
        Ok(vec![
            Fact::new("the network", network_text),
            Fact::new("the objective", short(&format!("{:?}", self.objective))),
            Fact::new("the method", short(&method)),
            Fact::new("the number of epochs", self.epochs),
            Fact::new(
                "the limits of steps and patience",
                limits.map(setting).join(" and "),
            ),
            Fact::new("the batch size", setting(self.batch_size)),
            Fact::new(
                "the seed",
                format!("{}, shuffle {}", self.seed, self.shuffle),
            ),
            Fact::new("the schedule", format!("{:?}", self.schedule)),
            Fact::new("the clipping", setting(self.clipping)),
            Fact::new(
                "the metrics",
                format!("{metrics:?}, monitored {}", setting(self.monitor)),
            ),
            Fact::new(
                "the settings of validation",
                format!(
                    "fraction {}, least improvement {}, keep the best {}",
                    setting(self.validation_fraction),
                    self.min_improvement,
                    self.keep_best
                ),
            ),
            Fact::new(
                "the training examples",
                describe(data.training.source, &sample, ranks),
            ),
            Fact::new("the validation examples", validation),
            Fact::new(
                "the checksum of the parameters and the state",
                format!("{:016x}", ranks.hash(network.point())),
            ),
            Fact::new("the checksum of a gradient", probe),
        ])
    }

    /// Returns a checksum of the cost and the gradient of some examples in training. It covers
    /// every function of the network and the cost, custom ones too.
    fn probe<L: Layer<T>>(
        &self,
        network: &Network<T, L>,
        sample: &Sample<T>,
        ranks: &Ranks<'_, T>,
    ) -> String {
        let mut workspace = Workspace::for_one_call();
        workspace.set_training(Some(self.seed));
        let probe = || {
            let examples = sample.examples()?;
            let mut gradient = allocate("Δ", (network.parameters() + 1, 1), T::zero())?;
            let (cost, delta) = gradient.split_at_mut(1);
            let at = (&examples, &self.objective.cost);
            let point = network.point();
            cost[0] = network.sum(point, at, &mut workspace, (Some(delta), None))?;
            Ok::<_, Error>(ranks.hash_of(&gradient))
        };
        // A run with this error ends in its first step, with the place.
        match { probe }() {
            Ok(hash) => format!("{hash:016x}"),
            Err(error) => short(&error.to_string()),
        }
    }
}

/// Returns the sizes of a source and checksums of its weights and of some examples.
fn describe<T: Scalar>(source: &dyn Source<T>, sample: &Sample<T>, ranks: &Ranks<'_, T>) -> String {
    let mut hash = Checksum::new();
    hash.word(ranks.hash_of(&sample.x));
    hash.word(ranks.hash_of(&sample.y));
    for &present in &sample.present {
        hash.word(present.into());
    }
    for &weight in source.weights().unwrap_or_default() {
        hash.number(weight);
    }
    format!(
        "{} with {} inputs and {} targets, in blocks of {}, checksum {:016x}",
        source.len(),
        source.inputs(),
        source.outputs(),
        source.block(),
        hash.value()
    )
}

/// Returns the text of a setting that may be absent.
fn setting(value: Option<impl Debug>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("{value:?}"))
}

/// Returns a text, or its beginning and a checksum if it is long.
fn short(text: &str) -> String {
    const LONGEST: usize = 240;
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let mut checksum = Checksum::new();
    checksum.text(text);
    let beginning: String = text.chars().take(LONGEST / 2).collect();
    format!("{beginning}… (checksum {:016x})", checksum.value())
}

impl<T: Scalar> Sample<T> {
    fn new(source: &dyn Source<T>) -> Result<Self, Error> {
        let (n, k, m) = (source.inputs(), source.outputs(), source.len());
        let count = m.min(SAMPLE);
        let places = (0..count).map(|i| (i as u128 * m as u128 / count as u128) as usize);
        let indices = collected("the sample", count, places.map(Ok))?;
        let missing = if source.has_missing() { count } else { 0 };
        let mut sample = Self {
            inputs: n,
            outputs: k,
            x: allocate("the inputs of the sample", (n, count), T::zero())?,
            y: allocate("the targets of the sample", (k, count), T::zero())?,
            present: allocate("the present targets of the sample", (k, missing), false)?,
        };
        let into = ReadInto::new(&mut sample.x, &mut sample.y, &mut sample.present);
        source.read(&indices, into)?;
        // Missing targets may hold anything.
        for (y, present) in sample.y.iter_mut().zip(&sample.present) {
            if !present {
                *y = T::zero();
            }
        }
        Ok(sample)
    }

    fn examples(&self) -> Result<Examples<'_, T>, Error> {
        let count = self.x.len() / self.inputs.max(1);
        let x = DMatrixView::from_slice(&self.x, self.inputs, count);
        let y = DMatrixView::from_slice(&self.y, self.outputs, count);
        let present = (!self.present.is_empty()).then(|| Present::new(&self.present, self.outputs));
        Examples::checked(x, y, present)
    }
}
