//! A run that is interrupted and resumed gives the same bits as an uninterrupted one.

use super::{data, network};
use backprop::metrics::{Accuracy, Metric};
use backprop::nalgebra::DMatrix;
use backprop::saving::Checkpoints;
use backprop::training::{
    Adam, ConjugateGradient, GradientDescent, History, Lbfgs, LevenbergMarquardt, Method, Record,
    Resumed, Schedule, Stop, Trainer,
};
use backprop::{AnyCost, Error, Examples, Network, Objective};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const FOLDER: &str = "BACKPROP_TEST_FOLDER";

/// A folder that is removed when it is dropped.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("backprop-{name}-{}", std::process::id()));
        _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) struct Data {
    pub(super) train: (DMatrix<f64>, DMatrix<f64>),
    validation: (DMatrix<f64>, DMatrix<f64>),
}

impl Data {
    pub(super) fn new() -> Self {
        Self {
            train: data(6, 3, 45),
            validation: data(6, 3, 20),
        }
    }
}

/// Returns a trainer with every kind of state: shuffling, a validation cost, the best epoch,
/// patience, and the memory of an optimiser or a solver.
pub(super) fn trainer<'a>(method: &str, epochs: u64, data: &'a Data) -> Trainer<'a, f64> {
    let (x, y) = &data.validation;
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy).l2(0.01);
    let (method, size): (Method<f64>, _) = match method {
        "adam" => (Adam::new(0.01).into(), 7),
        "momentum" => (
            GradientDescent::new(0.05).momentum(0.9).nesterov().into(),
            16,
        ),
        "lbfgs" => (Lbfgs::new().into(), 45),
        "lm" => (LevenbergMarquardt::new().into(), 45),
        _ => (ConjugateGradient::new().into(), 45),
    };
    Trainer::new(objective, method)
        .epochs(epochs)
        .batch_size(size)
        .seed(12)
        .validation(Examples::new(x, y).unwrap())
        .patience(1000)
        .min_improvement(1e-3)
}

fn at_once(method: &str, epochs: u64) -> (Network<f64>, History) {
    let data = Data::new();
    let mut network = network([6, 5, 3]);
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    let history = trainer(method, epochs, &data)
        .fit(&mut network, &examples)
        .unwrap();
    (network, history)
}

fn resume(
    method: &str,
    epochs: u64,
    folder: &Path,
    every: u64,
) -> (Network<f64>, History, Resumed) {
    let data = Data::new();
    let mut network = network([6, 5, 3]);
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    let (history, resumed) = trainer(method, epochs, &data)
        .checkpoints(Checkpoints::new(folder), every)
        .resume(&mut network, &examples)
        .unwrap();
    (network, history, resumed)
}

#[test]
fn a_run_resumed_in_pieces_equals_one_run() {
    for method in ["adam", "momentum", "lbfgs", "cg", "lm"] {
        let folder = Folder::new(method);
        let (expected, history) = at_once(method, 40);
        for (epochs, from) in [(1, 0), (2, 1), (9, 2), (25, 9), (40, 25), (40, 40)] {
            let (network, found, resumed) = resume(method, epochs, &folder.0, 4);
            assert_eq!(resumed.epoch, from, "{method}");
            assert!(resumed.skipped.is_empty());
            if epochs == 40 {
                assert_eq!(network.theta(), expected.theta(), "{method}");
                assert_eq!(found, history, "{method}");
            }
        }
    }
}

/// The run of the process that is killed below. It is not a test by itself.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let data = Data::new();
    let mut network = network([6, 5, 3]);
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    let (history, _) = trainer("adam", 400, &data)
        .checkpoints(Checkpoints::new(folder.join("checkpoints")), 1)
        .on_epoch(|_| {
            std::thread::sleep(Duration::from_millis(1));
            ControlFlow::Continue(())
        })
        .resume(&mut network, &examples)
        .unwrap();
    let bits: Vec<String> = network
        .theta()
        .iter()
        .map(|x| x.to_bits().to_string())
        .collect();
    let text = format!("{}\n{}", bits.join(" "), history.to_csv());
    std::fs::write(folder.join("partial"), text).unwrap();
    std::fs::rename(folder.join("partial"), folder.join("result")).unwrap();
}

#[test]
fn killed_at_any_moment_it_ends_with_the_same_bits() {
    let folder = Folder::new("killed");
    std::fs::create_dir_all(&folder.0).unwrap();
    let spawn = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["trainer::resume::child", "--exact", "--nocapture"])
            .env(FOLDER, &folder.0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut kills = 0;
    let mut state = 20_u64;
    while kills < 25 {
        let mut process = spawn();
        // The kill comes at any moment in a few dozen epochs: while the process starts, computes or
        // writes.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        std::thread::sleep(Duration::from_micros(3_000 + (state >> 33) % 40_000));
        if process.try_wait().unwrap().is_some() {
            break; // it ended before the kill
        }
        process.kill().unwrap(); // SIGKILL
        process.wait().unwrap();
        kills += 1;
    }
    assert!(spawn().wait().unwrap().success());
    let text = std::fs::read_to_string(folder.0.join("result")).unwrap();
    let (network, history) = at_once("adam", 400);
    let bits: Vec<String> = network
        .theta()
        .iter()
        .map(|x| x.to_bits().to_string())
        .collect();
    assert_eq!(text, format!("{}\n{}", bits.join(" "), history.to_csv()));
    assert!(kills >= 10, "only {kills} kills before the end");
}

#[test]
fn a_damaged_checkpoint_is_skipped_with_a_warning() {
    let folder = Folder::new("damaged");
    let (expected, history) = at_once("adam", 20);
    resume("adam", 12, &folder.0, 4);
    let newest = folder.0.join(format!("checkpoint-{:020}.backprop", 12));
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() - 9]).unwrap();
    let (network, found, resumed) = resume("adam", 20, &folder.0, 4);
    assert_eq!(resumed.epoch, 8);
    assert_eq!(resumed.skipped[0].path, newest);
    assert_eq!((network.theta(), found), (expected.theta(), history));
}

/// The validation part depends on the seed, not on where the run was interrupted.
#[test]
fn a_fraction_for_validation_is_the_same_after_a_resume() {
    let data = Data::new();
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    for size in [None, Some(7)] {
        let folder = Folder::new(&format!("fraction-{size:?}"));
        let trainer = |epochs, seed| {
            let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
            let trainer = Trainer::new(objective, Adam::new(0.01))
                .epochs(epochs)
                .seed(seed);
            let trainer = trainer
                .validation_fraction(0.25)
                .patience(5)
                .metric(Accuracy);
            match size {
                Some(size) => trainer.batch_size(size),
                None => trainer,
            }
        };
        let saved =
            |epochs, seed| trainer(epochs, seed).checkpoints(Checkpoints::new(&folder.0), 3);
        let mut expected = network([6, 5, 3]);
        let history = trainer(20, 12).fit(&mut expected, &examples).unwrap();
        let mut found = network([6, 5, 3]);
        saved(8, 12).resume(&mut found, &examples).unwrap();
        let error = saved(20, 13).resume(&mut found, &examples).unwrap_err();
        assert!(
            matches!(
                error,
                Error::OtherTraining {
                    what: "the seed",
                    ..
                }
            ),
            "{error}"
        );
        let mut found = network([6, 5, 3]);
        let (resumed, from) = saved(20, 12).resume(&mut found, &examples).unwrap();
        assert_eq!((from.epoch, resumed), (8, history));
        assert_eq!(found.theta(), expected.theta());
    }
}

#[test]
fn a_run_does_not_start_in_the_folder_of_another() {
    let folder = Folder::new("used");
    resume("adam", 3, &folder.0, 1);
    let data = Data::new();
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    let mut begun = network([6, 5, 3]);
    let before = begun.clone();
    let mut used = trainer("adam", 5, &data).checkpoints(Checkpoints::new(&folder.0), 1);
    let error = used.fit(&mut begun, &examples).unwrap_err();
    let Error::Checkpoint { reason } = &error else {
        panic!("{error}");
    };
    assert!(reason.contains("up to epoch 3"), "{reason}");
    // The epochs between checkpoints are at least 1, for `fit` and for `resume`.
    let empty = Folder::new("zero");
    let none = trainer("adam", 5, &data).checkpoints(Checkpoints::new(&empty.0), 0);
    let mut none = none;
    let error = none.resume(&mut begun, &examples).unwrap_err();
    assert!(
        matches!(error, Error::Hyperparameter { value: 0.0, .. }),
        "{error}"
    );
    let error = none.fit(&mut begun, &examples).unwrap_err();
    assert!(
        matches!(error, Error::Hyperparameter { value: 0.0, .. }),
        "{error}"
    );
    assert_eq!(begun, before);
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let folder = Folder::new("other");
    resume("adam", 3, &folder.0, 1);
    let data = Data::new();
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    type Change = fn(Trainer<'_, f64>) -> Trainer<'_, f64>;
    let refuse = |method, change: Change, sizes, what| {
        let mut other = network(sizes);
        let before = other.clone();
        let trainer = trainer(method, 5, &data).checkpoints(Checkpoints::new(&folder.0), 1);
        let error = change(trainer).resume(&mut other, &examples).unwrap_err();
        assert!(
            matches!(error, Error::OtherTraining { what: found, .. } if found == what),
            "{error}"
        );
        assert_eq!(other, before);
    };
    refuse("adam", |t| t.seed(13), [6, 5, 3], "the seed");
    refuse("adam", |t| t.batch_size(8), [6, 5, 3], "the batch size");
    refuse("adam", |t| t, [6, 4, 3], "the network");
    refuse(
        "adam",
        |t| t.metric(Accuracy),
        [6, 5, 3],
        "the list of metrics",
    );
    refuse(
        "adam",
        |t| t.schedule(Schedule::Exponential { factor: 0.9 }),
        [6, 5, 3],
        "the schedule",
    );
    refuse("momentum", |t| t, [6, 5, 3], "the method");
    let mut other = network([6, 5, 3]);
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
    let error = Trainer::new(objective, GradientDescent::new(0.1)).resume(&mut other, &examples);
    assert!(matches!(error, Err(Error::Unsupported { .. })), "{error:?}");
}

/// An intact file with counts that do not match its contents is refused.
#[test]
fn impossible_counts_are_refused() {
    let data = Data::new();
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    let forge = |method, field: &str, value: Value| {
        let folder = Folder::new(&format!("forged-{method}-{}", field.replace('/', "-")));
        resume(method, 3, &folder.0, 1);
        let store = Checkpoints::new(&folder.0);
        let mut saved: Value = store.latest().unwrap().unwrap().value;
        *saved.pointer_mut(field).unwrap() = value;
        store.write(4, &saved).unwrap();
        let mut forged = network([6, 5, 3]);
        let before = forged.clone();
        let mut trainer = trainer(method, 5, &data).checkpoints(store, 1);
        let error = trainer.resume(&mut forged, &examples).unwrap_err();
        assert!(matches!(error, Error::Checkpoint { .. }), "{error}");
        assert_eq!(forged, before);
    };
    forge("lbfgs", "/solver/4", u64::MAX.into());
    forge("cg", "/solver/4", 4.into());
    for field in ["/progress/epoch", "/progress/steps", "/progress/waited"] {
        forge("adam", field, u64::MAX.into());
    }
    forge("lm", "/solver/last", json!(-1.0));
    forge("lm", "/solver/scale/7", json!(-0.5));
    forge("lm", "/solver/scale", json!([0.5, 0.25]));
    forge("lm", "/solver/damping/mu", 0.into());
    forge("lm", "/solver/damping/growth", json!(1.0));
    // A difference of θ that has two entries.
    forge("lbfgs", "/solver/0/s/0", json!([0.5, 0.25]));
}

/// Checkpoints from before `NoDescent` was renamed still load.
#[test]
fn the_older_name_of_a_stop_loads() {
    let stop: Stop = serde_json::from_value(json!("line_search_failed")).unwrap();
    assert_eq!(stop, Stop::NoDescent);
}

/// Patience and the best epoch follow a metric, in pieces or at once.
#[test]
fn a_monitored_metric_is_resumed() {
    let data = Data::new();
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    let (x, y) = &data.validation;
    let validation = Examples::new(x, y).unwrap();
    let trainer = |epochs| {
        let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
        Trainer::new(objective, Adam::new(0.03))
            .epochs(epochs)
            .batch_size(7)
            .validation(validation)
            .patience(8)
            .monitor(Accuracy)
    };
    let mut expected = network([6, 5, 3]);
    let history = trainer(500).fit(&mut expected, &examples).unwrap();
    assert_eq!(history.stop(), Some(Stop::Patience));
    let of = |r: &Record| r.validation_metrics[0];
    let most = history.records().iter().map(of).fold(0.0, f64::max);
    let best = history.records().iter().find(|r| of(r) == most).unwrap();
    assert_eq!(history.best(), Some(best));
    assert_eq!(history.records().len() as u64, best.epoch + 8);
    let a = expected.forward(x).unwrap();
    assert_eq!(Accuracy.evaluate(a.as_view(), y.as_view()).unwrap(), most);
    // Judged by the cost, another epoch would be the best.
    let lowest = history.records().iter().filter_map(|r| r.validation);
    assert!(lowest.fold(f64::INFINITY, f64::min) < best.validation.unwrap());

    let folder = Folder::new("monitored");
    let saved = |epochs| trainer(epochs).checkpoints(Checkpoints::new(&folder.0), 2);
    let mut found = network([6, 5, 3]);
    saved(best.epoch + 3).resume(&mut found, &examples).unwrap();
    let (resumed, _) = saved(500).resume(&mut found, &examples).unwrap();
    assert_eq!((found.theta(), resumed), (expected.theta(), history));
    let error = saved(500).monitor(Accuracy);
    let error = { error }.resume(&mut found, &examples).unwrap_err();
    assert!(matches!(error, Error::OtherTraining { .. }), "{error}");
}

/// Layers inside others are compared too, and the axes of the inputs.
#[test]
fn a_checkpoint_of_another_architecture_is_refused() {
    use backprop::activation::{AnyActivation, Relu, Tanh};
    use backprop::nalgebra::DMatrix;
    use backprop::training::Adam;
    use backprop::{Shape, SquaredError};
    let (x, y) = (DMatrix::repeat(6, 4, 0.5), DMatrix::repeat(6, 4, 0.25));
    let examples = Examples::new(&x, &y).unwrap();
    let make = |input: Shape, g: AnyActivation| {
        let inputs = input.last_axis();
        let network = Network::<f64>::builder(input).residual(|body| body.dense(inputs, g));
        network.zeros().unwrap()
    };
    let folder = Folder::new("architecture");
    let trainer = |epochs| {
        Trainer::new(Objective::new(SquaredError), Adam::new(0.1))
            .epochs(epochs)
            .checkpoints(Checkpoints::new(&folder.0), 1)
    };
    let resume = |network: &mut Network<f64>, epochs| trainer(epochs).resume(network, &examples);
    resume(&mut make(6.into(), Tanh), 1).unwrap();
    let pairs = Shape::Sequence {
        steps: 2,
        features: 3,
    };
    for mut other in [make(6.into(), Relu), make(pairs, Tanh)] {
        let error = resume(&mut other, 2).unwrap_err();
        assert!(
            matches!(
                error,
                Error::OtherTraining {
                    what: "the network",
                    ..
                }
            ),
            "{error}"
        );
    }
    resume(&mut make(6.into(), Tanh), 2).unwrap();
}
