//! An interrupted run resumes from its checkpoint, with the same bits as an uninterrupted run.
//!
//! ```sh
//! cargo run --release --example resume
//! ```

use backprop::activation::{Identity, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::saving::Checkpoints;
use backprop::training::{Adam, Trainer};
use backprop::{Examples, Initialization, Network, Objective, SquaredError, rng};
use std::error::Error;
use std::ops::ControlFlow;

const EPOCHS: u64 = 30;

fn main() -> Result<(), Box<dyn Error>> {
    // A sine at 200 points in (−π, π).
    let x = DMatrix::from_fn(1, 200, |_, k| 0.0314 * (k as f64 - 100.0));
    let y = x.map(f64::sin);
    let examples = Examples::new(&x, &y)?;
    let start = Network::<f64>::builder(1)
        .dense(16, Tanh)
        .dense(1, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))?;
    let folder = std::env::temp_dir().join(format!("resume-{}", std::process::id()));
    let trainer = || {
        let trainer = Trainer::new(Objective::new(SquaredError), Adam::new(0.01));
        trainer.epochs(EPOCHS).batch_size(20).seed(5)
    };
    let saved = || trainer().checkpoints(Checkpoints::new(&folder), 5);

    // A callback stops the run after 12 epochs, as a power failure would. Without a checkpoint,
    // `resume` starts from the beginning.
    let mut network = start.clone();
    let (interrupted, _) = saved()
        .on_epoch(|epoch| match epoch.record.epoch {
            12 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .resume(&mut network, &examples)?;
    println!("interrupted:\n{interrupted}");

    // A new process would start here, with a new network.
    let mut network = start.clone();
    let (history, resumed) = saved().resume(&mut network, &examples)?;
    println!("resumed after epoch {}:\n{history}", resumed.epoch);

    let mut at_once = start.clone();
    let expected = trainer().fit(&mut at_once, &examples)?;
    assert_eq!(network, at_once);
    assert_eq!(history, expected);
    println!("the same bits as without the interruption");
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
