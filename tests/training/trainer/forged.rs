//! Intact checkpoints with a state that no run can reach are refused.

use super::data;
use super::resume::Folder;
use backprop::activation::{Softmax, Tanh};
use backprop::metrics::{Accuracy, MeanSquaredError};
use backprop::nalgebra::DMatrix;
use backprop::saving::{Checkpoints, to_bytes};
use backprop::training::{
    Adam, ConjugateGradient, GradientDescent, Lbfgs, LevenbergMarquardt, Method, Schedule, Trainer,
};
use backprop::{AnyCost, Error, Examples, Network, Objective, Scalar, nalgebra};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

const EPOCHS: u64 = 4;

pub(super) struct Data<T: Scalar> {
    train: (DMatrix<T>, DMatrix<T>),
    validation: (DMatrix<T>, DMatrix<T>),
}

impl<T: Scalar> Data<T> {
    pub(super) fn new() -> Self {
        let real = |m: DMatrix<f64>| m.map(nalgebra::convert::<f64, T>);
        let [train, validation] = [9, 5].map(|m| {
            let (x, y) = data(2, 2, m);
            (real(x), real(y))
        });
        Self { train, validation }
    }
}

fn start<T: Scalar>() -> Network<T> {
    let theta = [
        0.1, -0.2, 0.3, 0.5, -0.4, 0.7, 0.2, -0.6, 0.8, 0.3, 0.2, -0.5,
    ];
    let builder = Network::builder(2).dense(2, Tanh).dense(2, Softmax);
    builder
        .with_theta(&theta.map(nalgebra::convert::<f64, T>))
        .unwrap()
}

/// Runs that together save every kind of state.
pub(super) const KINDS: [&str; 6] = ["adam", "momentum", "plain", "lbfgs", "cg", "lm"];

fn trainer<'a, T: Scalar>(kind: &str, epochs: u64, data: &'a Data<T>) -> Trainer<'a, T>
where
    Lbfgs: Into<Method<T>>,
    ConjugateGradient: Into<Method<T>>,
{
    let (x, y) = &data.validation;
    let validation = Examples::new(x, y).unwrap();
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy).l2(0.01);
    let with = |method: Method<T>| Trainer::new(objective.clone(), method).epochs(epochs);
    match kind {
        "adam" => with(Adam::new(0.05).amsgrad().into())
            .batch_size(4)
            .validation(validation)
            .patience(1000)
            .min_improvement(1e-3)
            .schedule(Schedule::on_plateau(0, 0.5).warm_up(2.0, 0.5))
            .metric(MeanSquaredError)
            .monitor(Accuracy),
        "momentum" => with(GradientDescent::new(0.05).momentum(0.9).into())
            .batch_size(3)
            .validation_fraction(0.25)
            .schedule(Schedule::on_plateau(1, 0.5)),
        "plain" => with(GradientDescent::new(0.05).into()).metric(Accuracy),
        "lbfgs" => with(Lbfgs::new().memory(3).into())
            .validation(validation)
            .metric(Accuracy),
        "lm" => with(LevenbergMarquardt::new().into())
            .validation(validation)
            .metric(Accuracy),
        _ => with(ConjugateGradient::new().into()).monitor(MeanSquaredError),
    }
}

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join(format!("checkpoint-{EPOCHS:020}.backprop"))
}

/// Returns the checkpoint of a run.
pub(super) fn saved<T: Scalar + Serialize + DeserializeOwned>(kind: &str, data: &Data<T>) -> Value
where
    Lbfgs: Into<Method<T>>,
    ConjugateGradient: Into<Method<T>>,
{
    // Tests run in parallel.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = Folder::new(&format!("genuine-{kind}-{count}"));
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    let checkpoints = Checkpoints::new(&folder.0).keep(1);
    let mut trainer = trainer(kind, EPOCHS, data).checkpoints(checkpoints, EPOCHS);
    trainer.fit(&mut start(), &examples).unwrap();
    let bytes = std::fs::read(file(&folder.0)).unwrap();
    backprop::saving::from_bytes(&bytes, "checkpoint").unwrap()
}

/// Resumes from this checkpoint for two epochs. If it is refused, the network must be unchanged.
pub(super) fn resume<T: Scalar + Serialize + DeserializeOwned>(
    kind: &str,
    (data, folder): (&Data<T>, &Path),
    value: &Value,
) -> Result<(), Error>
where
    Lbfgs: Into<Method<T>>,
    ConjugateGradient: Into<Method<T>>,
{
    _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(file(folder), to_bytes("checkpoint", value).unwrap()).unwrap();
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    let checkpoints = Checkpoints::new(folder).keep(1);
    let mut trainer = trainer(kind, EPOCHS + 2, data).checkpoints(checkpoints, 10);
    let (mut network, before) = (start(), start());
    let done = trainer.resume(&mut network, &examples);
    match done {
        Ok((history, resumed)) => {
            assert_eq!(resumed.epoch, EPOCHS);
            assert!(history.records().len() as u64 >= EPOCHS);
            assert!(history.best().is_some());
            Ok(())
        }
        // The state was accepted, and the first epoch from it succeeded.
        Err(Error::Diverged { epoch, .. }) if epoch > EPOCHS + 1 => Ok(()),
        Err(error) => {
            assert_eq!(network, before, "{error}");
            Err(error)
        }
    }
}

#[track_caller]
fn refused(kind: &str, pointer: &str, value: Value, reason: &str) {
    let data = Data::<f64>::new();
    let name = format!("refused-{kind}-{}", pointer.replace('/', "-"));
    let folder = Folder::new(&name);
    let mut forged = saved(kind, &data);
    resume(kind, (&data, &folder.0), &forged).unwrap();
    *forged.pointer_mut(pointer).unwrap() = value;
    let error = resume(kind, (&data, &folder.0), &forged).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(reason),
        "{kind} {pointer}: {text}, expected {reason}"
    );
}

/// One forgery of each kind, with the reason given.
#[test]
fn each_part_is_checked() {
    let many = json!(vec![0.5; 13]);
    for (kind, pointer, value, reason) in [
        ("lbfgs", "/solver/0/y/0", json!([]), "\"s\""),
        ("lbfgs", "/solver/0/y", json!([]), "\"s\""),
        ("lbfgs", "/solver/0/s/1/3", json!("x"), "\"s\""),
        ("lbfgs", "/solver/0/m", json!(2), "\"m\""),
        // J must be that of the last record, with one difference for each iteration.
        (
            "lbfgs",
            "/solver/3",
            json!(-1e300),
            "does not fit the training run",
        ),
        (
            "cg",
            "/solver/3",
            json!(0.25),
            "does not fit the training run",
        ),
        ("lbfgs", "/solver/4", json!(0), "\"s\""),
        (
            "lbfgs",
            "/solver/0/m",
            json!(1_000_000_000_000_u64),
            "\"m\"",
        ),
        ("lbfgs", "/solver/0/tol_grad", json!(1.0), "\"tol_grad\""),
        ("lbfgs", "/solver/0/l1_coeff", json!(1.0), "\"l1_coeff\""),
        ("lbfgs", "/solver/0", json!([]), "not an object"),
        (
            "lbfgs",
            "/solver/1/0",
            json!(7.5),
            "does not fit the training run",
        ),
        (
            "lbfgs",
            "/solver/2",
            json!([0.5]),
            "does not fit the training run",
        ),
        ("lbfgs", "/solver", json!([]), "not an object"),
        (
            "lbfgs",
            "/progress/optimizer/steps",
            json!(1),
            "an optimiser's state",
        ),
        ("cg", "/solver/0/p", json!(null), "\"p\""),
        ("cg", "/solver/0/p", many.clone(), "\"p\""),
        ("cg", "/solver/0/beta", json!(null), "\"beta\""),
        ("cg", "/solver/0/restart_iter", json!(0), "\"restart_iter\""),
        ("lm", "/solver", json!(null), "state is missing"),
        ("lm", "/solver", json!([]), "the solver's state"),
        (
            "lm",
            "/solver/last",
            json!(-1.0),
            "does not fit the training run",
        ),
        ("lm", "/solver/last", json!(null), "the solver's state"),
        (
            "lm",
            "/solver/scale/3",
            json!(-0.5),
            "does not fit the training run",
        ),
        (
            "lm",
            "/solver/scale",
            json!([0.5]),
            "does not fit the training run",
        ),
        (
            "lm",
            "/solver/damping/mu",
            json!(0.0),
            "does not fit the training run",
        ),
        (
            "lm",
            "/solver/damping/growth",
            json!(1.0),
            "does not fit the training run",
        ),
        ("adam", "/solver", json!([]), "a solver's state"),
        (
            "adam",
            "/settings",
            json!([]),
            "expected an array of length 12",
        ),
        (
            "adam",
            "/progress/theta",
            many.clone(),
            "expected 12 numbers, found 13",
        ),
        (
            "adam",
            "/progress/best/theta",
            json!([0.5]),
            "expected 12 numbers, found 1",
        ),
        ("adam", "/progress/best/cost", json!(-7.0), "best cost"),
        ("adam", "/progress/best", json!(null), "best cost"),
        ("adam", "/progress/history/best", json!(99), "best epoch"),
        ("adam", "/progress/history/best", json!(null), "best epoch"),
        (
            "adam",
            "/progress/history/metrics",
            json!(["a", "b", "c"]),
            "its metrics are",
        ),
        (
            "adam",
            "/progress/history/metrics",
            json!([]),
            "its metrics are",
        ),
        (
            "adam",
            "/progress/history/records/1/metrics",
            json!([0.5]),
            "epoch 2",
        ),
        (
            "adam",
            "/progress/history/records/1/validation_metrics",
            json!([]),
            "epoch 2",
        ),
        (
            "adam",
            "/progress/history/records/1/validation",
            json!(null),
            "epoch 2",
        ),
        (
            "adam",
            "/progress/history/records/2/rate",
            json!(null),
            "epoch 3",
        ),
        (
            "adam",
            "/progress/history/records/2/batch_cost",
            json!(null),
            "epoch 3",
        ),
        (
            "adam",
            "/progress/history/records/2/epoch",
            json!(2),
            "record 3",
        ),
        (
            "adam",
            "/progress/history/records/2/steps",
            json!(0),
            "record 3",
        ),
        (
            "adam",
            "/progress/history/records",
            json!([]),
            "0 records of 4",
        ),
        ("adam", "/progress/epoch", json!(0), "4 records of 0"),
        ("adam", "/progress/steps", json!(0), "12 steps, expected 0"),
        ("adam", "/progress/waited", json!(4), "waited for 4"),
        ("adam", "/progress/plateau/factor", json!(-1.0), "schedule"),
        ("adam", "/progress/plateau/shrink", json!(2.0), "schedule"),
        ("adam", "/progress/plateau", json!(null), "schedule"),
        ("adam", "/progress/optimizer/steps", json!(1), "1 steps"),
        (
            "adam",
            "/progress/optimizer/buffers/1",
            json!([0.5]),
            "expected 12 numbers",
        ),
        (
            "adam",
            "/progress/optimizer/buffers/1/0",
            json!(-0.5),
            "expected a number in [0, ∞)",
        ),
        (
            "adam",
            "/progress/optimizer/buffers/2",
            json!([]),
            "expected 12 numbers",
        ),
        (
            "momentum",
            "/progress/optimizer/buffers",
            json!([]),
            "buffers",
        ),
        (
            "plain",
            "/progress/optimizer/buffers",
            json!([[]]),
            "expected 12 numbers",
        ),
    ] {
        refused(kind, pointer, value, reason);
    }
    // All buffers have one length, but not that of θ.
    let short = json!([[0.5], [0.5], [0.5]]);
    refused(
        "adam",
        "/progress/optimizer/buffers",
        short,
        "expected 12 numbers, found 1",
    );
    // Both lists have more differences than the solver keeps.
    let rows = json!(vec![vec![0.5; 12]; 4]);
    let data = Data::<f64>::new();
    let mut forged = saved("lbfgs", &data);
    for list in ["s", "y"] {
        forged["solver"][0][list] = rows.clone();
    }
    let folder = Folder::new("refused-rows");
    let error = resume("lbfgs", (&data, &folder.0), &forged).unwrap_err();
    assert!(error.to_string().contains("\"s\""), "{error}");
}

/// The error for a checkpoint of another scalar names both scalars.
#[test]
fn of_another_scalar() {
    let (data, single) = (Data::<f64>::new(), Data::<f32>::new());
    for kind in KINDS {
        let folder = Folder::new(&format!("scalar-{kind}"));
        let error = resume(kind, (&single, &folder.0), &saved(kind, &data)).unwrap_err();
        let (what, expected, found) = ("the scalar type", "f32".to_owned(), "f64".to_owned());
        let other = Error::OtherTraining {
            what,
            expected,
            found,
        };
        assert_eq!(error, other);
    }
}

/// A refused checkpoint leaves the trainer as it was: its next run is that of a new trainer.
#[test]
fn a_refused_checkpoint_leaves_the_trainer_unchanged() {
    let data = Data::<f64>::new();
    let examples = Examples::new(&data.train.0, &data.train.1).unwrap();
    for kind in KINDS {
        let folder = Folder::new(&format!("again-{kind}"));
        std::fs::create_dir_all(&folder.0).unwrap();
        let mut forged = saved(kind, &data);
        forged["progress"]["history"]["best"] = json!(99);
        std::fs::write(file(&folder.0), to_bytes("checkpoint", &forged).unwrap()).unwrap();
        let checkpoints = Checkpoints::new(&folder.0);
        let mut used = trainer(kind, EPOCHS + 2, &data).checkpoints(checkpoints, 1);
        let mut network = start();
        used.resume(&mut network, &examples).unwrap_err();
        std::fs::remove_file(file(&folder.0)).unwrap();
        let history = used.fit(&mut network, &examples).unwrap();
        let mut other = start();
        let expected = trainer(kind, EPOCHS + 2, &data).fit(&mut other, &examples);
        assert_eq!((network, history), (other, expected.unwrap()));
    }
}
