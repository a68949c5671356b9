//! Files that earlier versions wrote. Each version reads them or refuses them with a typed error.
//!
//! `BACKPROP_WRITE_FILES=folder cargo test --test saving versions` writes the current version's
//! files.

use super::Folder;
use backprop::activation::{Sigmoid, Tanh};
use backprop::data::{MinMaxScaler, Standardizer};
use backprop::nalgebra::DMatrix;
use backprop::saving::{self, Checkpoints};
use backprop::training::{
    Adam, ConjugateGradient, GradientDescent, Lbfgs, Method, Optimizer, OptimizerState, Schedule,
    Trainer,
};
use backprop::{BinaryCrossEntropy, Error, Examples, Network, Objective};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

fn files(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/saving")
        .join(version)
}

/// Nine parameters that are hard to write.
const THETA: [f64; 9] = [
    0.1 + 0.2,
    -0.0,
    5e-324,
    -0.7,
    1e300,
    0.25,
    -1.0 / 3.0,
    2.0,
    1e-9,
];

fn network() -> Network<f64> {
    let builder = Network::builder(2).dense(2, Tanh).dense(1, Sigmoid);
    builder.with_theta(&THETA).unwrap()
}

fn single() -> Network<f32> {
    let theta = THETA.map(|x| if x > 1e30 { 1e30 } else { x as f32 });
    let builder = Network::builder(2).dense(2, Tanh).dense(1, Sigmoid);
    builder.with_theta(&theta).unwrap()
}

fn standardizer() -> Standardizer<f64> {
    Standardizer::new(vec![0.1, -2.0], vec![1.0 / 3.0, 1.0]).unwrap()
}

fn min_max() -> MinMaxScaler<f32> {
    let scaler = MinMaxScaler::new(vec![0.1, -2.0], vec![0.3, 1.0]).unwrap();
    scaler.interval(-1.0, 1.0).unwrap()
}

fn adam() -> OptimizerState<f64> {
    let mut method = Adam::new(0.1);
    method.step(&mut [1.0, -2.0], &[0.1, 0.3], 1.0).unwrap();
    method.state()
}

fn momentum() -> OptimizerState<f32> {
    let mut method = GradientDescent::<f32>::new(0.1).momentum(0.9);
    method.step(&mut [1.0, -2.0], &[0.1, 0.3], 1.0).unwrap();
    method.state()
}

type Data = (DMatrix<f64>, DMatrix<f64>);

fn xor() -> Data {
    (
        DMatrix::from_column_slice(2, 4, &[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]),
        DMatrix::from_row_slice(1, 4, &[0.0, 1.0, 1.0, 0.0]),
    )
}

const METHODS: [&str; 3] = ["adam", "lbfgs", "cg"];

fn trainer(method: &str, folder: &Path, epochs: u64) -> Trainer<'static, f64> {
    let full: Option<Method<f64>> = match method {
        "lbfgs" => Some(Lbfgs::new().into()),
        "cg" => Some(ConjugateGradient::new().into()),
        _ => None,
    };
    let objective = Objective::new(BinaryCrossEntropy).l2(0.01);
    let trainer = match full {
        Some(method) => Trainer::new(objective, method),
        None => Trainer::new(objective, Adam::new(0.05))
            .batch_size(3)
            .schedule(Schedule::on_plateau(1, 0.5))
            .patience(7)
            .min_improvement(1e-3),
    };
    let checkpoints = Checkpoints::new(folder).keep(1);
    trainer.epochs(epochs).checkpoints(checkpoints, 3)
}

fn start() -> Network<f64> {
    let builder = Network::builder(2).dense(2, Tanh).dense(1, Sigmoid);
    let theta = [0.1, -0.2, 0.3, 0.5, -0.4, 0.7, 0.2, -0.6, 0.8];
    builder.with_theta(&theta).unwrap()
}

fn check<V: Serialize + DeserializeOwned + PartialEq + Debug>(
    folder: &Path,
    (name, kind): (&str, &str),
    value: &V,
) {
    let path = folder.join(format!("{name}.backprop"));
    assert_eq!(&saving::load::<V>(path, kind).unwrap(), value, "{name}");
    let text = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    let plain: V = serde_json::from_str(&text).unwrap();
    assert_eq!(&plain, value, "{name}");
}

fn check_all(folder: &Path) {
    check(folder, ("network-f64", "network"), &network());
    check(folder, ("network-f32", "network"), &single());
    check(folder, ("standardizer-f64", "scaler"), &standardizer());
    check(folder, ("min-max-f32", "scaler"), &min_max());
    check(folder, ("adam-f64", "state"), &adam());
    check(folder, ("momentum-f32", "state"), &momentum());
}

fn write<V: Serialize>(folder: &Path, (name, kind): (&str, &str), value: &V) {
    saving::save(folder.join(format!("{name}.backprop")), kind, value).unwrap();
    let text = serde_json::to_string(value).unwrap();
    fs::write(folder.join(format!("{name}.json")), text).unwrap();
}

/// Writes the files of the current version. Runs only on request.
#[test]
fn written() {
    let folder = match std::env::var_os("BACKPROP_WRITE_FILES") {
        Some(folder) => PathBuf::from(folder),
        None => return,
    };
    fs::create_dir_all(&folder).unwrap();
    write(&folder, ("network-f64", "network"), &network());
    write(&folder, ("network-f32", "network"), &single());
    write(&folder, ("standardizer-f64", "scaler"), &standardizer());
    write(&folder, ("min-max-f32", "scaler"), &min_max());
    write(&folder, ("adam-f64", "state"), &adam());
    write(&folder, ("momentum-f32", "state"), &momentum());
    let data = xor();
    let examples = Examples::new(&data.0, &data.1).unwrap();
    for method in METHODS {
        let into = folder.join(method);
        let mut trainer = trainer(method, &into, 3);
        trainer.fit(&mut start(), &examples).unwrap();
    }
}

/// A training run resumes from a copy of the folder, or returns the reason and leaves the network
/// as it is.
fn resumed(version: &str, method: &str) -> Result<u64, Error> {
    let copy = Folder::new(&format!("{version}-{method}"));
    for entry in fs::read_dir(files(version).join(method)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.0.join(entry.file_name())).unwrap();
    }
    let data = xor();
    let examples = Examples::new(&data.0, &data.1).unwrap();
    let mut network = start();
    let done = trainer(method, &copy.0, 5).resume(&mut network, &examples);
    let Ok((history, resumed)) = done else {
        assert_eq!(network, start());
        return done.map(|_| 0);
    };
    assert_eq!(history.records().len(), 5);
    assert_ne!(network, start());
    Ok(resumed.epoch)
}

/// Content without the name of a scalar is read as the requested type.
#[test]
fn version_1() {
    check_all(&files("v1"));
    assert_eq!(resumed("v1", "adam"), Ok(3));
    for method in ["lbfgs", "cg"] {
        assert_eq!(resumed("v1", method), Ok(3));
    }
}

#[test]
fn version_2() {
    check_all(&files("v2"));
    for method in METHODS {
        assert_eq!(resumed("v2", method), Ok(3));
    }
}
