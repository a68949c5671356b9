//! A training that was broken off goes on with the bits that it would have had.

use super::{data, network};
use backprop::nalgebra::DMatrix;
use backprop::saving::Checkpoints;
use backprop::training::{
    Adam, ConjugateGradient, GradientDescent, History, Lbfgs, Method, Resumed, Trainer,
};
use backprop::{AnyCost, Error, Examples, Network, Objective};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const FOLDER: &str = "BACKPROP_TEST_FOLDER";

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
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

struct Data {
    train: (DMatrix<f64>, DMatrix<f64>),
    validation: (DMatrix<f64>, DMatrix<f64>),
}

impl Data {
    fn new() -> Self {
        Self {
            train: data(6, 3, 45),
            validation: data(6, 3, 20),
        }
    }
}

/// All that has a state: shuffling, a validation cost, the best epoch's parameters, patience, an optimiser's or a solver's memory.
fn trainer<'a>(method: &str, epochs: u64, data: &'a Data) -> Trainer<'a, f64> {
    let (x, y) = &data.validation;
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy).l2(0.01);
    let (method, size): (Method<f64>, _) = match method {
        "adam" => (Adam::new(0.01).into(), 7),
        "momentum" => (
            GradientDescent::new(0.05).momentum(0.9).nesterov().into(),
            16,
        ),
        "lbfgs" => (Lbfgs::new().into(), 45),
        _ => (ConjugateGradient::new().into(), 45),
    };
    Trainer::new(objective, method)
        .epochs(epochs)
        .batch_size(size)
        .seed(12)
        .validation(Examples::new(x, y).unwrap())
        .patience(1000, 1e-3)
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
fn in_pieces_or_at_once() {
    for method in ["adam", "momentum", "lbfgs", "cg"] {
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

/// Not a test of its own: the training of the process that is killed below.
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
            .args(["resume::child", "--exact", "--nocapture"])
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
        // Any moment of some dozen epochs: while it starts, computes, writes.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        std::thread::sleep(Duration::from_micros(3_000 + (state >> 33) % 40_000));
        if process.try_wait().unwrap().is_some() {
            break; // it was done before: few kills, but a result
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
fn a_damaged_checkpoint_is_passed_over_with_a_warning() {
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

#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let folder = Folder::new("other");
    resume("adam", 3, &folder.0, 1);
    let data = Data::new();
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    let refuse = |change: &dyn Fn(Trainer<'static, f64>) -> Trainer<'static, f64>, sizes, what| {
        let mut other = network(sizes);
        let before = other.clone();
        let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
        let trainer = Trainer::new(objective, Adam::new(0.01))
            .epochs(5)
            .batch_size(7)
            .seed(12);
        let trainer = change(trainer.checkpoints(Checkpoints::new(&folder.0), 1));
        let mut trainer = trainer;
        let error = trainer.resume(&mut other, &examples).unwrap_err();
        assert!(
            matches!(error, Error::OtherTraining { what: found, .. } if found == what),
            "{error}"
        );
        assert_eq!(other, before);
    };
    refuse(&|trainer| trainer.seed(13), [6, 5, 3], "the seed");
    refuse(
        &|trainer| trainer.batch_size(8),
        [6, 5, 3],
        "the batch size",
    );
    refuse(&|trainer| trainer, [6, 4, 3], "the number of parameters");
    let mut other = network([6, 5, 3]);
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
    let error = Trainer::new(objective, GradientDescent::new(0.1)).resume(&mut other, &examples);
    assert!(matches!(error, Err(Error::Unsupported { .. })), "{error:?}");
}
