//! The faults that custom layers with state and chance invite: the check in training finds each.

use super::{with_biases, wrong};
use backprop::activation::{Identity, Tanh};
use backprop::gradient_check::{GradientCheck, Report};
use backprop::layer::{
    AnyLayer, At, Backward, BackwardTangent, Forward, ForwardTangent, Layer, Plan, Site, StateBlock,
};
use backprop::nalgebra::DMatrix;
use backprop::{Builder, Dense, Error, Examples, Location, Network, Objective, SquaredError};
use std::sync::atomic::{AtomicU64, Ordering};

const UNITS: usize = 4;
const EXAMPLES: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Every part of a batch has the masks of the first.
    FirstExampleForgotten,
    /// Only the backward pass of later parts has another mask.
    FirstExampleForgottenBackward,
    /// Only directions go through the mask of the first part.
    FirstExampleForgottenAlong,
    /// Every pass draws another mask.
    CountsPasses,
    /// The plan does not say that the layer draws.
    DoesNotDeclareChance,
    /// The plan does not say that the layer couples examples.
    DoesNotDeclareCoupling,
    /// The new state is not a number.
    StateIsNan,
    /// The new count is below its least value.
    StateIsNegative,
    /// The new state depends on the number of passes.
    StateCountsPasses,
    /// Fixed statistics are not used.
    GathersAlthoughFixed,
}

/// Subtracts the mean of the batch, and keeps a running mean and a count as its state.
#[derive(Debug)]
struct Center {
    fault: Fault,
    passes: AtomicU64,
}

/// Drops about half of the entries in training.
#[derive(Debug)]
struct Mask {
    fault: Fault,
    passes: AtomicU64,
}

#[derive(Debug)]
enum Planted {
    Center(Center),
    Mask(Mask),
}

impl Planted {
    fn center(fault: Fault) -> Self {
        let passes = AtomicU64::new(0);
        Self::Center(Center { fault, passes })
    }

    fn mask(fault: Fault) -> Self {
        let passes = AtomicU64::new(0);
        Self::Mask(Mask { fault, passes })
    }
}

impl Center {
    fn plan(&self, site: Site) -> Plan {
        let (plan, n) = (Plan::new(site, site.input), site.input.len());
        if self.fault == Fault::DoesNotDeclareCoupling {
            return plan;
        }
        let plan = plan.state(StateBlock::new("μ", n, 0.0));
        plan.state(StateBlock::new("count", 1, 0.0).at_least(0.0))
    }

    fn gathers(&self, at: &At<'_, f64>) -> bool {
        let fixed = at.plan.fixed_statistics() && self.fault != Fault::GathersAlthoughFixed;
        at.training && !fixed
    }

    fn forward(&self, mut pass: Forward<'_, f64>) {
        let gathers = self.gathers(&pass.at);
        let mean = pass.input.column_mean();
        for (i, mut row) in pass.output.row_iter_mut().enumerate() {
            let running = pass.at.state.get(i).copied().unwrap_or(0.0);
            let center = if gathers { mean[i] } else { running };
            row.copy_from(&pass.input.row(i).add_scalar(-center));
        }
        let Some(state) = pass.new_state else { return };
        if !gathers {
            return;
        }
        let n = mean.len();
        for (running, mean) in state.iter_mut().zip(mean.iter()) {
            *running = 0.9 * *running + 0.1 * mean;
        }
        state[n] += 1.0;
        match self.fault {
            Fault::StateIsNan => state[0] = f64::NAN,
            Fault::StateIsNegative => state[n] = -1.0,
            Fault::StateCountsPasses => {
                state[n] = 1.0 + self.passes.fetch_add(1, Ordering::Relaxed) as f64;
            }
            _ => {}
        }
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        if let Some(mut below) = pass.input_delta {
            let gathers = self.gathers(&pass.at);
            let mean = pass.delta.column_mean();
            for (i, mut row) in below.row_iter_mut().enumerate() {
                let center = if gathers { mean[i] } else { 0.0 };
                row.copy_from(&pass.delta.row(i).add_scalar(-center));
            }
        }
    }
}

/// Where a mask is needed.
#[derive(Clone, Copy, PartialEq)]
enum In {
    Forward,
    Backward,
    Direction,
}

impl Mask {
    fn plan(&self, site: Site) -> Plan {
        let plan = Plan::new(site, site.input);
        if self.fault == Fault::DoesNotDeclareChance {
            return plan;
        }
        plan.stochastic(site.input.len())
    }

    /// Sets dropped entries to 0.
    fn apply(&self, at: &At<'_, f64>, of: In, mut x: backprop::nalgebra::DMatrixViewMut<'_, f64>) {
        if !at.training {
            return;
        }
        let forgets = match self.fault {
            Fault::FirstExampleForgotten => true,
            Fault::FirstExampleForgottenBackward => of == In::Backward,
            Fault::FirstExampleForgottenAlong => of == In::Direction,
            _ => false,
        };
        let first = if forgets { 0 } else { at.first_example };
        let passes = match self.fault {
            Fault::CountsPasses => self.passes.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        for k in 0..x.ncols() {
            for i in 0..x.nrows() {
                let number = (first + k) as u64 * 1000 + i as u64;
                let mut hash = (at.seed ^ passes).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
                hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9);
                if (hash >> 40).count_ones().is_multiple_of(2) {
                    x[(i, k)] = 0.0;
                }
            }
        }
    }
}

fn unsupported() -> Error {
    Error::Unsupported {
        what: "tangents",
        by: "Center",
    }
}

impl Layer<f64> for Planted {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(match self {
            Self::Center(layer) => layer.plan(site),
            Self::Mask(layer) => layer.plan(site),
        })
    }

    fn forward(&self, mut pass: Forward<'_, f64>) {
        match self {
            Self::Center(layer) => layer.forward(pass),
            Self::Mask(layer) => {
                pass.output.copy_from(&pass.input);
                layer.apply(&pass.at, In::Forward, pass.output);
            }
        }
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        match self {
            Self::Center(layer) => layer.backward(pass),
            Self::Mask(layer) => {
                if let Some(mut below) = pass.input_delta {
                    below.copy_from(&pass.delta);
                    layer.apply(&pass.at, In::Backward, below);
                }
            }
        }
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, f64>) -> Result<(), Error> {
        let Self::Mask(layer) = self else {
            return Err(unsupported());
        };
        pass.output_tangent.fill(0.0);
        if let Some(x) = pass.input_tangent {
            pass.output_tangent.copy_from(&x);
            layer.apply(&pass.at, In::Direction, pass.output_tangent);
        }
        Ok(())
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, f64>) -> Result<(), Error> {
        let Self::Mask(layer) = self else {
            return Err(unsupported());
        };
        if let Some(mut below) = along.input_delta_tangent {
            below.copy_from(&along.delta_tangent);
            layer.apply(&along.pass.at, In::Backward, below);
        }
        self.backward(along.pass);
        Ok(())
    }
}

fn x(rows: usize) -> DMatrix<f64> {
    DMatrix::from_fn(rows, EXAMPLES, |i, k| (1.0 + (2 * i + 5 * k) as f64).sin())
}

fn check() -> GradientCheck {
    GradientCheck::new().training(7)
}

/// Checks the layer by itself.
fn alone(layer: &Planted) -> Result<Report, Error> {
    check().layer(layer, &[], &x(UNITS))
}

/// Checks the layer between two others.
fn in_network(layer: Planted) -> Result<Report, Error> {
    let network: Network<f64, AnyLayer<Planted>> = with_biases(
        Builder::new(3)
            .layer(Dense::new(3, UNITS, Tanh).into())
            .layer(AnyLayer::Custom(layer))
            .dense(2, Identity),
    );
    let (x, y) = (x(3), x(2));
    let examples = Examples::new(&x, &y).unwrap();
    check().network(&network, &examples, &Objective::new(SquaredError))
}

/// Checks that these rows are wrong, and no others, of the layer by itself and in a network.
#[track_caller]
fn finds(layer: fn(Fault) -> Planted, fault: Fault, expected: &[&str]) {
    let report = alone(&layer(fault)).unwrap();
    assert_eq!(wrong(&report), expected, "{fault:?}\n{report}");
    let report = in_network(layer(fault)).unwrap();
    assert_eq!(wrong(&report), expected, "{fault:?} in a network\n{report}");
}

#[test]
fn correct_layers_with_state_and_chance_pass() {
    for layer in [Planted::center, Planted::mask] {
        alone(&layer(Fault::None)).unwrap().assert_passed();
        in_network(layer(Fault::None)).unwrap().assert_passed();
    }
    let labels =
        |report: Report| -> Vec<String> { report.blocks.into_iter().map(|b| b.label).collect() };
    let mask = alone(&Planted::mask(Fault::None)).unwrap();
    assert_eq!(
        labels(mask),
        [
            "input",
            "output, repeated",
            "output in two parts",
            "δ below in two parts"
        ]
    );
    let center = alone(&Planted::center(Fault::None)).unwrap();
    assert_eq!(
        labels(center),
        [
            "input",
            "output, repeated",
            "new state, repeated",
            "output with another seed",
            "output with fixed statistics"
        ]
    );
    let mask = Planted::mask(Fault::None);
    let report = check().layer_tangents(&mask, &[], &x(UNITS)).unwrap();
    report.assert_passed();
}

#[test]
fn a_forgotten_first_example_is_found() {
    let both = ["output in two parts", "δ below in two parts"];
    finds_with(Fault::FirstExampleForgotten, &both);
    finds_with(Fault::FirstExampleForgottenBackward, &both[1..]);
    let layer = Planted::mask(Fault::FirstExampleForgottenAlong);
    alone(&layer).unwrap().assert_passed();
    let report = check().layer_tangents(&layer, &[], &x(UNITS)).unwrap();
    assert!(wrong(&report).contains(&"ȧ along ẋ"), "{report}");
}

/// In a network, Δ of the layer below is wrong too where the mask or δ of a later part is.
#[track_caller]
fn finds_with(fault: Fault, expected: &[&str]) {
    let report = alone(&Planted::mask(fault)).unwrap();
    assert_eq!(wrong(&report), expected, "{fault:?}\n{report}");
    let report = in_network(Planted::mask(fault)).unwrap();
    let found = wrong(&report);
    assert!(found.contains(&"Δ in two parts"), "{fault:?}\n{report}");
    assert!(
        expected.iter().all(|row| found.contains(row)),
        "{fault:?}\n{report}"
    );
}

#[test]
fn new_numbers_in_every_pass_are_found() {
    let layer = Planted::mask(Fault::CountsPasses);
    let report = alone(&layer).unwrap();
    assert!(wrong(&report).contains(&"output, repeated"), "{report}");
    let report = in_network(layer).unwrap();
    assert!(wrong(&report).contains(&"output, repeated"), "{report}");
}

#[test]
fn chance_and_coupling_that_are_not_declared_are_found() {
    let fault = Fault::DoesNotDeclareChance;
    finds(Planted::mask, fault, &["output with another seed"]);
    let layer = Planted::center(Fault::DoesNotDeclareCoupling);
    let rows = ["output in two parts", "δ below in two parts"];
    assert_eq!(wrong(&alone(&layer).unwrap()), rows);
    let report = in_network(layer).unwrap();
    assert!(wrong(&report).contains(&rows[0]), "{report}");
}

#[test]
fn a_state_that_no_network_may_have_is_an_error() {
    let of = |found: Result<Report, Error>| match found {
        Err(Error::NonFinite { at, .. }) => at,
        found => panic!("{found:?}"),
    };
    let mean = |layer: usize| Location::State {
        layer: layer.into(),
        block: "μ".into(),
        entry: 0,
    };
    let fault = Fault::StateIsNan;
    assert_eq!(of(alone(&Planted::center(fault))), mean(0));
    assert_eq!(of(in_network(Planted::center(fault))), mean(1));
    let state = |layer: usize| Error::State {
        layer: layer.into(),
        block: "count".into(),
        entry: 0,
        value: -1.0,
        least: 0.0,
    };
    let fault = Fault::StateIsNegative;
    assert_eq!(alone(&Planted::center(fault)).map(drop), Err(state(0)));
    assert_eq!(in_network(Planted::center(fault)).map(drop), Err(state(1)));
}

#[test]
fn a_state_that_does_not_repeat_is_found() {
    let fault = Fault::StateCountsPasses;
    finds(Planted::center, fault, &["new state, repeated"]);
}

/// A layer with fixed statistics gets no new state, so it cannot change them.
#[test]
fn statistics_that_do_not_stay_fixed_are_found() {
    let rows = ["output with fixed statistics"];
    finds(Planted::center, Fault::GathersAlthoughFixed, &rows);
}
