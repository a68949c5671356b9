//! Networks of PyTorch in PyTorch itself, where it is installed: `BACKPROP_PYTHON` names an
//! interpreter with `torch`, `safetensors` and `numpy`.

use crate::support::python::Python;
use crate::support::{wave, wave_matrix};
use backprop::activation::{Gelu, Identity, Silu, Softmax, Tanh};
use backprop::interchange::{BatchCounts, FileScalar, Options, npy, npz, safetensors};
use backprop::layer::{
    Axis, BatchNorm, Concat, Dense, Embedding, LayerNorm, Residual, RmsNorm, Sequential,
};
use backprop::nalgebra::{DMatrix, convert};
use backprop::{Builder, Network};
use std::fs;
use std::path::{Path, PathBuf};

/// The networks of `check.py`.
fn norms<T: FileScalar>() -> Builder<T> {
    Network::builder(3)
        .dense(4, Tanh)
        .batch_norm()
        .dropout(0.25)
        .layer(BatchNorm::new().affine(false).cumulative().into())
        .layer(LayerNorm::new().into())
        .layer(RmsNorm::new().eps(1e-5).into())
        .layer(LayerNorm::new().affine(false).into())
        .dense_without_bias(2, Softmax)
}

fn branches<T: FileScalar>() -> Builder<T> {
    let body = Sequential::new(vec![
        Dense::new(4, 5, Gelu).into(),
        Dense::new(5, 4, Identity).without_bias().into(),
    ]);
    let shortcut = Sequential::new(vec![Dense::new(4, 4, Identity).into()]);
    let heads = vec![
        Sequential::new(vec![Dense::new(12, 2, Softmax).into()]),
        Sequential::new(vec![
            Dense::new(12, 3, Silu).into(),
            Dense::new(3, 1, Identity).into(),
        ]),
    ];
    Network::builder(3)
        .layer(Embedding::new(7, 4).into())
        .layer(Residual::with_shortcut(body, shortcut).into())
        .layer(LayerNorm::new().axes(2).into())
        .flatten()
        .layer(Concat::new(heads, Axis::First).into())
}

/// A network with numbers and inputs.
struct Case<T: FileScalar> {
    folder: PathBuf,
    layers: Builder<T>,
    network: Network<T>,
    batches: BatchCounts,
}

impl<T: FileScalar> Case<T> {
    /// Writes the files of a case.
    fn new(folder: PathBuf, layers: Builder<T>, x: &DMatrix<T>, state: &[f64]) -> Self {
        let mut network = layers.clone().zeros().unwrap();
        let theta = wave(network.parameters(), 0.4).into_iter().map(convert);
        network.set_theta(&theta.collect::<Vec<T>>()).unwrap();
        let state = state.iter().map(|&x| convert(x));
        network.set_state(&state.collect::<Vec<T>>()).unwrap();
        let batches = BatchCounts::new().with(1, 1234);
        let options = Options::new().batches(&batches);
        fs::create_dir_all(&folder).unwrap();
        safetensors::save(folder.join("model.safetensors"), &network, &options).unwrap();
        npz::save(folder.join("model.npz"), &network, &options).unwrap();
        drop(options);
        npy::save(folder.join("x.npy"), x).unwrap();
        let outputs = network.forward(x).unwrap();
        npy::save(folder.join("outputs.npy"), &outputs).unwrap();
        Self {
            folder,
            layers,
            network,
            batches,
        }
    }

    /// Reads what Python wrote.
    fn check(self) {
        let mut same = self.layers.clone().zeros().unwrap();
        let path = self.folder.join("torch.safetensors");
        let batches = safetensors::load(path, &mut same, &Options::new()).unwrap();
        assert!(same == self.network, "{:?}: safetensors", self.folder);
        let mut same = self.layers.zeros().unwrap();
        let path = self.folder.join("numpy.npz");
        let counts = npz::load(path, &mut same, &Options::new()).unwrap();
        assert!(same == self.network, "{:?}: npz", self.folder);
        if !same.state().is_empty() {
            assert_eq!((&batches, &counts), (&self.batches, &self.batches));
        }
    }
}

fn cases<T: FileScalar>(folder: &Path, scalar: &str) -> [Case<T>; 2] {
    let state = [
        0.1, -0.2, 0.3, -0.4, 1.0, 2.0, 0.5, 1.5, // μ, σ²
        -0.1, 0.2, 0.0, 0.4, 0.7, 1.2, 1.1, 0.9, 33.0, // μ, σ², n
    ];
    let x = wave_matrix(3, 5, 1.0);
    let first = Case::new(folder.join(format!("norms_{scalar}")), norms(), &x, &state);
    let ids = DMatrix::from_fn(3, 5, |row, col| convert(((3 * row + 2 * col) % 7) as f64));
    let folder = folder.join(format!("branches_{scalar}"));
    [first, Case::new(folder, branches(), &ids, &[])]
}

#[test]
fn pytorch_and_numpy_read_and_write_the_same_bits() {
    let modules = ["torch", "safetensors", "numpy"];
    let Some(python) = Python::with(&modules, "tests/interchange/check.py") else {
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("interchange-python-{}", std::process::id()));
    let (single, double) = (cases::<f32>(&folder, "f32"), cases::<f64>(&folder, "f64"));
    let script = "tests/interchange/check.py";
    let arguments = [script, folder.to_str().unwrap()];
    println!("{}", python.run(&arguments, Path::new("."), ""));
    single.into_iter().for_each(Case::check);
    double.into_iter().for_each(Case::check);
    fs::remove_dir_all(folder).unwrap();
}
