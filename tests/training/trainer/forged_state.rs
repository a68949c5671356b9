//! Checkpoints whose state is forged, or belongs to a network with other statistics, are refused.

use super::data;
use super::modes::statistics_alone;
use super::resume::Folder;
use backprop::activation::Identity;
use backprop::saving::Checkpoints;
use backprop::training::{Adam, GradientDescent, Trainer};
use backprop::{Error, Examples, Network, Objective, SquaredError};
use serde_json::{Value, json};

/// Runs two epochs without validation, changes the checkpoint and the network, and resumes.
fn resumed(
    name: &str,
    change: impl Fn(&mut Network<f64>),
    forge: impl Fn(&mut Value),
) -> Result<(), Error> {
    let folder = Folder::new(&format!("forged-state-{name}"));
    let checkpoints = Checkpoints::new(&folder.0);
    let (x, y) = data(2, 1, 9);
    let examples = Examples::new(&x, &y).unwrap();
    let run = |network: &mut Network<f64>, epochs| {
        Trainer::new(Objective::new(SquaredError), Adam::new(0.1))
            .epochs(epochs)
            .checkpoints(Checkpoints::new(&folder.0), 1)
            .resume(network, &examples)
    };
    let start = || {
        let builder = Network::<f64>::builder(2).batch_norm();
        builder.dense(1, Identity).zeros().unwrap()
    };
    run(&mut start(), 2)?;
    let mut whole = checkpoints.latest::<Value>().unwrap().unwrap().value;
    forge(&mut whole);
    checkpoints.write(3, &whole).unwrap();
    let mut network = start();
    change(&mut network);
    run(&mut network, 4).map(drop)
}

#[test]
fn a_state_is_checked_without_a_best_epoch() {
    resumed("intact", |_| {}, |_| {}).unwrap();
    for (name, state) in [
        ("negative", json!([0.0, 0.0, 1.0, -1.0])),
        ("short", json!([0.0])),
    ] {
        let found = resumed(name, |_| {}, |v| v["progress"]["state"] = state.clone());
        assert!(
            matches!(found, Err(Error::Checkpoint { .. })),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn a_network_with_fixed_statistics_is_another_training() {
    let fix = |network: &mut Network<f64>| network.fix_statistics(0).unwrap();
    let found = resumed("fixed", fix, |_| {});
    assert!(
        matches!(found, Err(Error::OtherTraining { .. })),
        "{found:?}"
    );
}

/// The state of the best epoch is checked by itself if it is not that of the last.
#[test]
fn a_state_of_an_earlier_best_epoch_is_checked() {
    let folder = Folder::new("forged-state-best");
    let checkpoints = Checkpoints::new(&folder.0);
    let (mut network, x, y) = statistics_alone();
    let examples = Examples::new(&x, &y).unwrap();
    let mut run = |epochs| {
        Trainer::new(Objective::new(SquaredError), GradientDescent::new(0.1))
            .epochs(epochs)
            .validation(examples)
            .checkpoints(Checkpoints::new(&folder.0), 1)
            .resume(&mut network, &examples)
    };
    run(5).unwrap();
    let mut whole = checkpoints.latest::<Value>().unwrap().unwrap().value;
    let progress = &mut whole["progress"];
    assert_ne!(progress["best"]["state"], progress["state"]);
    progress["best"]["state"] = json!([0.5, -0.5]);
    checkpoints.write(6, &whole).unwrap();
    let found = run(7);
    assert!(matches!(found, Err(Error::Checkpoint { .. })), "{found:?}");
}
