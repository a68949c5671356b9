//! Layers with state and chance in a training run: the state moves with θ, is measured with θ, and
//! is kept, saved and restored with θ.

use super::data;
use super::resume::Folder;
use backprop::activation::{Softmax, Tanh};
use backprop::layer::{BatchNorm, Dropout};
use backprop::nalgebra::DMatrix;
use backprop::saving::Checkpoints;
use backprop::training::{
    Adam, ConjugateGradient, GradientDescent, History, Lbfgs, LevenbergMarquardt, Method, Resumed,
    Trainer,
};
use backprop::{
    AnyCost, AnyLayer, Error, Examples, Initialization, Location, Network, Objective, Path,
    Workspace, rng,
};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::Duration;

const FOLDER: &str = "BACKPROP_TEST_STATE_FOLDER";
const KILLS: usize = 25;

fn cost() -> Objective<AnyCost> {
    Objective::new(AnyCost::CategoricalCrossEntropy).l2(0.01)
}

/// Dense, batch norm, tanh, perhaps dropout, and dense.
fn network(dropout: bool) -> Network<f64> {
    let builder = Network::builder(6).dense(5, Tanh).batch_norm();
    let builder = if dropout {
        builder.dropout(0.3)
    } else {
        builder
    };
    let builder = builder.residual(|body| body.dense(5, Tanh).batch_norm());
    builder
        .dense(3, Softmax)
        .initialize(Initialization::GlorotUniform, &mut rng(4))
        .unwrap()
}

fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

fn point(network: &Network<f64>) -> (Vec<u64>, Vec<u64>) {
    (
        bits(network.theta().as_slice()),
        bits(network.state().as_slice()),
    )
}

/// One step on all examples at a time is the loop that a user would write.
#[test]
fn a_run_is_the_loop_of_gradient_step_and_state() {
    let (x, y) = data(6, 3, 20);
    let examples = Examples::new(&x, &y).unwrap();
    let mut trained = network(false);
    let before = point(&trained);
    Trainer::new(cost(), GradientDescent::new(0.1))
        .epochs(7)
        .fit(&mut trained, &examples)
        .unwrap();
    let mut own = network(false);
    let (mut workspace, mut optimizer) = (Workspace::new(), GradientDescent::new(0.1));
    workspace.set_training(Some(0));
    let mut gradient = vec![0.0; own.parameters()];
    for _ in 0..7 {
        own.gradient_into(&examples, &cost(), &mut workspace, &mut gradient)
            .unwrap();
        own.step(&mut optimizer, &gradient).unwrap();
        own.take_state(&workspace).unwrap();
    }
    assert_eq!(point(&trained), point(&own));
    assert_ne!(before.1, point(&own).1);
}

/// What is measured after an epoch is the network that evaluates: its θ with its state.
#[test]
fn records_measure_the_point_of_the_epoch() {
    let (x, y) = data(6, 3, 23);
    let (other_x, other_y) = data(6, 3, 9);
    let examples = Examples::new(&x, &y).unwrap();
    let validation = Examples::new(&other_x, &other_y).unwrap();
    let plain = Objective::new(AnyCost::CategoricalCrossEntropy);
    let mut trained = network(true);
    let mut seen = 0;
    let mut states = Vec::new();
    Trainer::new(cost(), Adam::new(0.02))
        .epochs(4)
        .batch_size(5)
        .validation(validation)
        .keep_best(false)
        .on_epoch(|epoch| {
            let mut now = network(true);
            now.set_theta(epoch.theta).unwrap();
            now.set_state(epoch.state).unwrap();
            assert_eq!(now.cost(&examples, &cost()).unwrap(), epoch.record.cost);
            let of_validation = now.cost(&validation, &plain).unwrap();
            assert_eq!(Some(of_validation), epoch.record.validation);
            states.push(epoch.state.to_vec());
            seen += 1;
            ControlFlow::Continue(())
        })
        .fit(&mut trained, &examples)
        .unwrap();
    assert_eq!(seen, 4);
    assert!(states.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(trained.state().as_slice(), states[3]);
}

/// The best θ without its state would be another function.
#[test]
fn the_best_epoch_comes_back_with_its_state() {
    let (x, y) = data(6, 3, 23);
    let (other_x, other_y) = data(6, 3, 9);
    let examples = Examples::new(&x, &y).unwrap();
    let validation = Examples::new(&other_x, &other_y).unwrap();
    let mut trained = network(true);
    let mut states = Vec::new();
    let history = Trainer::new(cost(), Adam::new(0.3))
        .epochs(12)
        .batch_size(5)
        .seed(3)
        .validation(validation)
        .on_epoch(|epoch| {
            states.push(epoch.state.to_vec());
            ControlFlow::Continue(())
        })
        .fit(&mut trained, &examples)
        .unwrap();
    let best = history.best().unwrap().epoch as usize;
    assert!(
        best < 12,
        "the run has to get worse for this test: best {best}"
    );
    assert_eq!(trained.state().as_slice(), states[best - 1]);
    let plain = Objective::new(AnyCost::CategoricalCrossEntropy);
    let found = trained.cost(&validation, &plain).unwrap();
    assert_eq!(Some(found), history.records()[best - 1].validation);
}

/// After a divergence, the last good point comes back whole; without one, nothing changes.
#[test]
fn a_run_that_diverges_keeps_theta_and_state_together() {
    let (x, y) = data(6, 3, 12);
    let examples = Examples::new(&x, &y).unwrap();
    let mut trained = network(false);
    let start = point(&trained);
    let fail = Trainer::new(cost(), GradientDescent::new(1e300))
        .epochs(9)
        .batch_size(4)
        .fit(&mut trained, &examples);
    assert!(matches!(fail, Err(Error::Diverged { .. })), "{fail:?}");
    assert_eq!(point(&trained), start);
}

fn method(name: &str) -> Method<f64> {
    match name {
        "lbfgs" => Lbfgs::new().into(),
        "cg" => ConjugateGradient::new().into(),
        "lm" => LevenbergMarquardt::new().into(),
        _ => Adam::new(0.01).into(),
    }
}

/// J of a solver is that of the statistics of all examples, and after each iteration they are the
/// running ones.
#[test]
fn solvers_see_the_statistics_of_all_examples() {
    let (x, y) = data(6, 3, 23);
    let examples = Examples::new(&x, &y).unwrap();
    for name in ["lbfgs", "cg"] {
        let mut trained = network(false);
        let mut points = vec![(trained.theta().as_slice().to_vec(), trained.state().clone())];
        let history = Trainer::new(cost(), method(name))
            .epochs(5)
            .on_epoch(|epoch| {
                points.push((epoch.theta.to_vec(), epoch.state.to_vec().into()));
                ControlFlow::Continue(())
            })
            .fit(&mut trained, &examples)
            .unwrap();
        let mut workspace = Workspace::new();
        workspace.set_training(Some(9));
        for (before, (pair, record)) in points.windows(2).zip(history.records()).enumerate() {
            let mut now = network(false);
            now.set_theta(&pair[1].0).unwrap();
            now.set_state(pair[0].1.as_slice()).unwrap();
            let j = now.cost_into(&examples, &cost(), &mut workspace).unwrap();
            assert_eq!(j.total(), record.cost, "{name} {before}");
            now.recalibrate_statistics(&x).unwrap();
            assert_eq!(*now.state(), pair[1].1, "{name} {before}");
        }
        assert!(history.records()[4].cost < 0.9 * history.records()[0].cost);
    }
}

/// Refused before the first step, with the path, and nothing changed.
#[test]
fn what_needs_one_function_refuses_chance_and_coupling() {
    let (x, y) = data(6, 3, 23);
    let examples = Examples::new(&x, &y).unwrap();
    for name in ["lbfgs", "cg", "lm"] {
        let mut trained = network(true);
        let start = point(&trained);
        let refused = Trainer::new(cost(), method(name)).fit(&mut trained, &examples);
        let Err(Error::Stochastic { layer, .. }) = refused else {
            panic!("{name}: {refused:?}");
        };
        assert_eq!(layer, Path::from(2));
        assert_eq!(point(&trained), start);
    }
    let mut trained = network(false);
    let start = point(&trained);
    let refused = Trainer::new(cost(), method("lm")).fit(&mut trained, &examples);
    let expected = Error::Coupled {
        layer: 1.into(),
        what: "the Gauss–Newton matrix",
        training: true,
    };
    assert_eq!(refused.map(drop), Err(expected));
    assert_eq!(point(&trained), start);
    // With fixed statistics, the layer is a constant affine map.
    trained.fix_statistics(Path::default()).unwrap();
    let history = Trainer::new(cost(), method("lm"))
        .epochs(5)
        .fit(&mut trained, &examples)
        .unwrap();
    assert!(history.records()[4].cost < history.records()[0].cost);
    assert_eq!(point(&trained).1, start.1);
}

/// Weights have no meaning in the statistics of a batch.
#[test]
fn weights_are_refused_where_statistics_are_gathered() {
    let (x, y) = data(6, 3, 4);
    let examples = Examples::new(&x, &y).unwrap();
    let weighted = examples.weighted(&[1.0, 2.0, 1.0, 1.0]).unwrap();
    let mut trained = network(false);
    let start = point(&trained);
    let refused = Trainer::new(cost(), Adam::new(0.1)).fit(&mut trained, &weighted);
    let expected = Error::WeightedStatistics { layer: 1.into() };
    assert_eq!(refused.map(drop), Err(expected.clone()));
    assert_eq!(point(&trained), start);
    let mut workspace = Workspace::new();
    workspace.set_training(Some(0));
    let refused = trained.cost_into(&weighted, &cost(), &mut workspace);
    assert_eq!(refused.map(drop), Err(expected));
    trained.fix_statistics(1).unwrap();
    let inner = Error::WeightedStatistics {
        layer: [2, 0, 1].into(),
    };
    let refused = trained.cost_into(&weighted, &cost(), &mut workspace);
    assert_eq!(refused.map(drop), Err(inner));
    trained.fix_statistics(2).unwrap();
    trained
        .cost_into(&weighted, &cost(), &mut workspace)
        .unwrap();
}

/// Freezing stops θ and not the statistics; fixing stops the statistics and not θ.
#[test]
fn frozen_and_fixed_are_two_things() {
    let (x, y) = data(6, 3, 23);
    let examples = Examples::new(&x, &y).unwrap();
    let run = |prepare: &dyn Fn(&mut Network<f64>)| {
        let mut trained = network(true);
        prepare(&mut trained);
        let start = trained.clone();
        Trainer::new(cost(), Adam::new(0.05))
            .epochs(3)
            .batch_size(8)
            .fit(&mut trained, &examples)
            .unwrap();
        let blocks = trained.layout().layer_blocks(1).unwrap();
        let norm = blocks[0].range().start..blocks[1].range().end;
        let moved = trained.theta().as_slice()[norm.clone()] != start.theta().as_slice()[norm];
        (
            moved,
            trained.state().rows(0, 10) != start.state().rows(0, 10),
        )
    };
    assert_eq!(run(&|_| {}), (true, true));
    assert_eq!(run(&|network| network.freeze(1).unwrap()), (false, true));
    assert_eq!(
        run(&|network| network.fix_statistics(1).unwrap()),
        (true, false)
    );
}

/// A state that overflows is an error with its place.
#[test]
fn a_state_that_overflows_is_reported() {
    let mut network: Network<f32> = Network::builder(1).batch_norm().zeros().unwrap();
    let x = DMatrix::from_row_slice(1, 2, &[-1e30, 1e30]);
    let mut workspace = Workspace::new();
    workspace.set_training(Some(0));
    let refused = network.forward_into(&x, &mut workspace).map(drop);
    let Err(Error::NonFinite { at, .. }) = refused else {
        panic!("{refused:?}");
    };
    let of_state = matches!(&at, Location::State { layer, entry: 0, .. } if *layer == 0);
    assert!(
        of_state || matches!(at, Location::Activation { .. }),
        "{at:?}"
    );
    assert_eq!(network.take_state(&Workspace::new()), Err(Error::NoState));
}

fn trainer(name: &str, epochs: u64) -> Trainer<'_, f64> {
    Trainer::new(cost(), method(name))
        .epochs(epochs)
        .batch_size(if name == "adam" { 7 } else { 30 })
        .seed(12)
        .validation_fraction(0.25)
        .patience(10_000)
}

fn resume(name: &str, epochs: u64, folder: &std::path::Path) -> (Network<f64>, History, Resumed) {
    let (x, y) = data(6, 3, 40);
    let mut network = network(name == "adam");
    let examples = Examples::new(&x, &y).unwrap();
    let (history, resumed) = trainer(name, epochs)
        .checkpoints(Checkpoints::new(folder), 1)
        .resume(&mut network, &examples)
        .unwrap();
    (network, history, resumed)
}

fn at_once(name: &str, epochs: u64) -> (Network<f64>, History) {
    let (x, y) = data(6, 3, 40);
    let mut network = network(name == "adam");
    let examples = Examples::new(&x, &y).unwrap();
    let history = trainer(name, epochs).fit(&mut network, &examples).unwrap();
    (network, history)
}

#[test]
fn a_run_resumed_in_pieces_equals_one_run() {
    for name in ["adam", "lbfgs", "cg"] {
        let folder = Folder::new(&format!("state-{name}"));
        let (expected, history) = at_once(name, 12);
        for epochs in [1, 2, 7, 12] {
            let (network, found, _) = resume(name, epochs, &folder.0);
            if epochs == 12 {
                assert_eq!(point(&network), point(&expected), "{name}");
                assert_eq!(found, history, "{name}");
            }
        }
    }
}

/// The run of the process that is killed below. It is not a test by itself.
#[test]
fn child() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        resume("adam", 100_000, std::path::Path::new(&folder));
    }
}

/// A process that trains with batch norm and dropout is killed 25 times, and goes on each time.
#[test]
fn killed_25_times_and_resumed_gives_the_same_bits() {
    let folder = Folder::new("state-killed");
    let checkpoints = Checkpoints::new(&folder.0);
    let (mut last, mut random) = (0, rng(5));
    for _ in 0..KILLS {
        use backprop::rand_xoshiro::rand_core::Rng as _;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "trainer::state::child", "--nocapture"])
            .env(FOLDER, &folder.0)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let found = checkpoints.latest::<Value>().unwrap();
            if found.is_some_and(|found| found.step > last + 1) {
                break;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "nothing written in a minute"
            );
            assert!(child.try_wait().unwrap().is_none(), "the child has failed");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(random.next_u64() % 20_000));
        child.kill().unwrap();
        child.wait().unwrap();
        last = checkpoints.latest::<Value>().unwrap().unwrap().step;
    }
    let (network, history, resumed) = resume("adam", last + 3, &folder.0);
    assert_eq!(resumed.epoch, last);
    let (expected, whole) = at_once("adam", last + 3);
    assert_eq!(point(&network), point(&expected));
    assert_eq!(history, whole);
}

/// Every fault in the state of a checkpoint is refused, and changes nothing.
#[test]
fn forged_states_are_refused() {
    let folder = Folder::new("state-forged");
    resume("adam", 3, &folder.0);
    let checkpoints = Checkpoints::new(&folder.0);
    let whole = checkpoints.latest::<Value>().unwrap().unwrap().value;
    type Fault = fn(&mut Value);
    let faults: [(&str, Fault); 6] = [
        ("no state", |v| {
            drop(v["progress"].as_object_mut().unwrap().remove("state"));
        }),
        ("a short state", |v| {
            drop(v["progress"]["state"].as_array_mut().unwrap().pop());
        }),
        ("a negative variance", |v| {
            v["progress"]["state"][5] = json!(-0.5);
        }),
        ("no state of the best epoch", |v| {
            drop(
                v["progress"]["best"]
                    .as_object_mut()
                    .unwrap()
                    .remove("state"),
            );
        }),
        ("a negative variance of the best epoch", |v| {
            v["progress"]["best"]["state"][7] = json!(-1.0);
        }),
        ("a state that is no list", |v| {
            v["progress"]["state"] = json!("0");
        }),
    ];
    for (step, (name, fault)) in (4..).zip(faults) {
        let mut forged = whole.clone();
        fault(&mut forged);
        assert_ne!(forged, whole, "{name}");
        let own = Folder::new(&format!("state-forged-{step}"));
        Checkpoints::new(&own.0).write(3, &forged).unwrap();
        let (x, y) = data(6, 3, 40);
        let mut network = network(true);
        let start = point(&network);
        let refused = trainer("adam", 5)
            .checkpoints(Checkpoints::new(&own.0), 1)
            .resume(&mut network, &Examples::new(&x, &y).unwrap());
        assert!(
            matches!(refused, Err(Error::Checkpoint { .. })),
            "{name}: {refused:?}"
        );
        assert_eq!(point(&network), start, "{name}");
    }
}

/// A batch norm and a dropout with other settings are another network.
#[test]
fn layers_with_other_settings_have_other_types_of_points() {
    let layers = |momentum| -> Vec<AnyLayer> {
        vec![
            BatchNorm::new().momentum(momentum).into(),
            Dropout::new(0.5).into(),
        ]
    };
    let theta = [1.0, 1.0, 0.0, 0.0];
    let a = Network::<f64>::from_layers(2, layers(0.1), &theta).unwrap();
    let mut b = a.clone();
    assert_eq!(a, b);
    b.set_state(&[0.0, 0.5, 1.0, 1.0]).unwrap();
    assert_ne!(a, b);
    assert_ne!(a, Network::from_layers(2, layers(0.2), &theta).unwrap());
    let refused = b.set_state(&[0.0, 0.5, -1.0, 1.0]);
    let expected = Error::State {
        layer: 0.into(),
        block: "σ²".into(),
        entry: 0,
        value: -1.0,
        least: 0.0,
    };
    assert_eq!(refused, Err(expected));
    assert_eq!(b.state().as_slice(), &[0.0, 0.5, 1.0, 1.0]);
    let single: Network<f32> = b.map(|x| x as f32).unwrap();
    assert_eq!(single.state().as_slice(), &[0.0, 0.5, 1.0, 1.0]);
}
