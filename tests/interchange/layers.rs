//! Names, shapes and places of the tensors of every layer, and every bit of them.

use super::kind::{self, Kind};
use super::made::{Made, bytes, file, layers, read, read_npz, tensors};
use super::raw;
use crate::support::{wave, wave_matrix};
use backprop::activation::{Identity, Relu, Softmax, Tanh};
use backprop::interchange::{
    self, BatchCounts, FileScalar, InterchangeError, Options, npz, safetensors,
};
use backprop::layer::{
    Activate, Axis, BatchNorm, Concat, Dense, Dropout, Embedding, LayerNorm, Residual, RmsNorm,
    Sequential,
};
use backprop::nalgebra::{DMatrix, convert, try_convert};
use backprop::{Builder, Network, Shape};

fn names<T: FileScalar>(layers: Builder<T>) -> Vec<String> {
    let network = layers.zeros().unwrap();
    let tensors = interchange::tensors(&network, &Options::new()).unwrap();
    tensors
        .iter()
        .map(|t| format!("{} {:?}", t.name, t.shape))
        .collect()
}

/// Every kind of layer that has tensors, inside each kind of container.
fn everything<T: FileScalar>() -> Builder<T> {
    let inner = || {
        Sequential::new(vec![
            Dense::new(4, 5, Tanh).into(),
            Dropout::new(0.5).into(),
            Dense::new(5, 4, Identity).without_bias().into(),
        ])
    };
    let norms = Sequential::new(vec![
        LayerNorm::new().axes(2).into(),
        RmsNorm::new().into(),
        LayerNorm::new().affine(false).into(),
        BatchNorm::new().into(),
        BatchNorm::new().affine(false).cumulative().into(),
    ]);
    let nested = Residual::new(Sequential::new(vec![
        Residual::with_shortcut(inner(), inner()).into(),
        Activate::new(Tanh).into(),
        norms.into(),
    ]));
    let head = |units, activation| Sequential::new(vec![Dense::new(12, units, activation).into()]);
    Network::builder(3)
        .layer(Embedding::new(7, 4).into())
        .layer(nested.into())
        .flatten()
        .layer(Concat::new(vec![head(2, Softmax), head(1, Identity)], Axis::First).into())
}

#[test]
fn every_layer_has_the_names_of_pytorch() {
    let found = names(everything::<f64>());
    let expected = [
        "0.weight [7, 4]",
        "1.body.0.body.0.weight [5, 4]",
        "1.body.0.body.0.bias [5]",
        "1.body.0.body.3.weight [4, 5]",
        "1.body.0.shortcut.0.weight [5, 4]",
        "1.body.0.shortcut.0.bias [5]",
        "1.body.0.shortcut.3.weight [4, 5]",
        "1.body.2.0.weight [3, 4]",
        "1.body.2.0.bias [3, 4]",
        "1.body.2.1.weight [4]",
        "1.body.2.3.weight [4]",
        "1.body.2.3.bias [4]",
        "1.body.2.3.running_mean [4]",
        "1.body.2.3.running_var [4]",
        "1.body.2.3.num_batches_tracked []",
        "1.body.2.4.running_mean [4]",
        "1.body.2.4.running_var [4]",
        "1.body.2.4.num_batches_tracked []",
        "3.branches.0.0.weight [2, 12]",
        "3.branches.0.0.bias [2]",
        "3.branches.1.0.weight [1, 12]",
        "3.branches.1.0.bias [1]",
    ];
    assert_eq!(found, expected);
}

/// An activation of its own or in the dense layer before it: the same names.
#[test]
fn both_forms_of_an_activation_have_the_same_names() {
    let fused = Network::<f64>::builder(2).dense(3, Relu).dense(2, Softmax);
    let apart = Network::<f64>::builder(2)
        .dense(3, Identity)
        .layer(Activate::new(Relu).into())
        .dense(2, Identity)
        .layer(Activate::new(Softmax).into());
    assert_eq!(names(fused.clone()), names(apart.clone()));
    let network = fused.with_theta(&wave(17, 0.3)).unwrap();
    let x = wave_matrix(2, 3, 0.0);
    for kind in Kind::OF_TENSORS {
        let bytes = kind::written(kind, &network, &Options::new()).unwrap();
        let mut other = apart.clone().zeros().unwrap();
        kind::from_bytes(kind, &bytes, &mut other, &Options::new()).unwrap();
        assert_eq!(other.forward(&x).unwrap(), network.forward(&x).unwrap());
    }
}

/// Norms of the channels of an image, and over all its axes.
#[test]
fn norms_of_images() {
    let image = Shape::Image {
        channels: 2,
        height: 3,
        width: 4,
    };
    let network = Network::<f64>::builder(image)
        .batch_norm()
        .layer(LayerNorm::new().axes(3).into())
        .layer(RmsNorm::new().axes(2).into());
    let found = names(network);
    assert_eq!(found[0], "0.weight [2]");
    assert_eq!(
        found[5..],
        ["1.weight [2, 3, 4]", "1.bias [2, 3, 4]", "2.weight [3, 4]"]
    );
}

fn filled<T: FileScalar>(layers: Builder<T>) -> Network<T> {
    let mut network = layers.zeros().unwrap();
    let theta = wave(network.parameters(), 0.7).into_iter().map(convert);
    network.set_theta(&theta.collect::<Vec<T>>()).unwrap();
    let state = wave(network.state().len(), 0.2).into_iter();
    let mut state: Vec<T> = state.map(|x| convert(x.abs())).collect();
    // The number of batches.
    if let Some(last) = state.last_mut() {
        *last = convert(11.0);
    }
    network.set_state(&state).unwrap();
    network
}

fn keeps_every_bit<T: FileScalar>() {
    let network = filled(everything::<T>());
    let batches = BatchCounts::new().with([1, 0, 2, 3], 5);
    let options = Options::new().batches(&batches);
    for kind in Kind::OF_TENSORS {
        let bytes = kind::written(kind, &network, &options).unwrap();
        let mut same = everything::<T>().zeros().unwrap();
        let found = kind::from_bytes(kind, &bytes, &mut same, &Options::new()).unwrap();
        let bits = |network: &Network<T>| {
            let all = network.theta().iter().chain(network.state().iter());
            let all = all.map(|&x| try_convert::<T, f64>(x).unwrap().to_bits());
            all.collect::<Vec<_>>()
        };
        assert_eq!(bits(&same), bits(&network), "{kind:?}");
        assert_eq!(found, batches);
        let again = kind::written(kind, &same, &options).unwrap();
        assert!(again == bytes, "{kind:?}: other bytes");
    }
}

#[test]
fn every_bit_of_every_layer_is_kept() {
    keeps_every_bit::<f32>();
    keeps_every_bit::<f64>();
}

/// −0, subnormals and the largest numbers.
#[test]
fn special_numbers_are_kept() {
    let theta = [
        -0.0,
        f64::from_bits(1),
        -f64::MIN_POSITIVE,
        f64::MAX,
        -f64::MAX,
        1.0 + f64::EPSILON,
    ];
    let dense = || Network::<f64>::builder(2).dense(2, Tanh);
    let network = dense().with_theta(&theta).unwrap();
    for kind in Kind::OF_TENSORS {
        let bytes = kind::written(kind, &network, &Options::new()).unwrap();
        let mut same = dense().zeros().unwrap();
        kind::from_bytes(kind, &bytes, &mut same, &Options::new()).unwrap();
        let bits = |network: &Network<f64>| network.theta().map(f64::to_bits);
        assert_eq!(bits(&same), bits(&network));
    }
}

/// Θ is column by column in memory and row by row in files. A square, a wide and a tall matrix:
/// entry (i, j) is 10 i + j.
#[test]
fn matrices_are_row_major_in_files() {
    for (rows, cols) in [(3, 3), (2, 5), (5, 2)] {
        let weights = DMatrix::from_fn(rows, cols, |i, j| (10 * i + j) as f64);
        let bias = DMatrix::from_fn(rows, 1, |i, _| 100.0 + i as f64);
        let theta = [bias.as_slice(), weights.as_slice()].concat();
        let dense = || Network::<f64>::builder(cols).dense(rows, Tanh);
        let network = dense().with_theta(&theta).unwrap();
        let expected: Vec<f64> = (0..rows)
            .flat_map(|i| (0..cols).map(move |j| (10 * i + j) as f64))
            .collect();
        for kind in Kind::OF_TENSORS {
            let bytes = kind::written(kind, &network, &Options::new()).unwrap();
            let found = raw::tensors(kind, &bytes);
            assert_eq!(found["0.weight"].shape, [rows, cols]);
            assert_eq!(found["0.weight"].doubles(), expected);
            assert_eq!(found["0.bias"].doubles(), bias.as_slice());
        }
        let bytes = file(&[
            Made::f64("0.bias", &[rows], bias.as_slice()),
            Made::f64("0.weight", &[rows, cols], &expected),
        ]);
        assert_eq!(read(&bytes, dense(), &Options::new()).unwrap().0, network);
    }
    // An embedding: a row for each id.
    let rows: Vec<f64> = (0..3)
        .flat_map(|id| (0..2).map(move |j| f64::from(10 * id + j)))
        .collect();
    let bytes = file(&[Made::f64("0.weight", &[3, 2], &rows)]);
    let embedding = Network::<f64>::builder(1).layer(Embedding::new(3, 2).into());
    let network = read(&bytes, embedding, &Options::new()).unwrap().0;
    let x = DMatrix::from_element(1, 1, 2.0);
    assert_eq!(network.forward(&x).unwrap().as_slice(), [20.0, 21.0]);
}

/// The bytes of files, from this file to other programs.
#[test]
fn the_bytes_of_a_file() {
    let network = Network::<f32>::builder(1)
        .dense(1, Identity)
        .with_theta(&[0.5, 2.0])
        .unwrap();
    let bytes = safetensors::to_bytes(&network, &Options::new()).unwrap();
    let header = str::from_utf8(&bytes[8..bytes.len() - 8]).unwrap();
    let producer = format!("backprop {}", env!("CARGO_PKG_VERSION"));
    let header: serde_json::Value = serde_json::from_str(header).unwrap();
    let expected = serde_json::json!({
        "__metadata__": {"producer": producer},
        "0.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]},
        "0.bias": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
    });
    assert_eq!(header, expected);
    assert_eq!(bytes.len() % 8, 0);
    assert_eq!(bytes[bytes.len() - 8..], [0, 0, 0, 64, 0, 0, 0, 63]);
}

#[test]
fn other_names() {
    let options = || {
        Options::new().names(|place| match &*place.parameter {
            "weight" => format!("model/{}:0", place.name.replace('.', "/")),
            _ => format!("ünïcode/{}", place.name),
        })
    };
    let network = filled(layers::<f64>());
    let bytes = safetensors::to_bytes(&network, &options()).unwrap();
    assert!(raw::safetensors(&bytes).contains_key("model/0/weight:0"));
    assert_eq!(read(&bytes, layers(), &options()).unwrap().0, network);
    let error = read::<f64>(&bytes, layers(), &Options::new()).unwrap_err();
    assert!(matches!(error, InterchangeError::Missing { tensor, .. } if tensor == "0.weight"));
    let bytes = npz::to_bytes(&network, &options()).unwrap();
    let names: Vec<String> = raw::npz(&bytes).into_keys().collect();
    assert!(names.contains(&"model/0/weight:0".to_owned()), "{names:?}");
    assert!(
        names.contains(&"ünïcode/2.running_var".to_owned()),
        "{names:?}"
    );
    assert_eq!(read_npz(&bytes, layers(), &options()).unwrap().0, network);
}

/// The order of a file and its metadata do not matter.
#[test]
fn any_order_of_tensors() {
    let mut all = tensors();
    let (network, _) = read::<f64>(&file(&all), layers(), &Options::new()).unwrap();
    for _ in 0..all.len() {
        all.rotate_left(1);
        let (same, _) = read::<f64>(&file(&all), layers(), &Options::new()).unwrap();
        assert_eq!(same, network);
    }
    let (same, _) = read::<f64>(&bytes("f64.safetensors"), layers(), &Options::new()).unwrap();
    assert_eq!(same, network);
}

/// A network without parameters is a file without tensors.
#[test]
fn no_tensors() {
    let layers = || Network::<f64>::builder(2).layer(Activate::new(Tanh).into());
    let network = layers().zeros().unwrap();
    for kind in Kind::OF_TENSORS {
        let bytes = kind::written(kind, &network, &Options::new()).unwrap();
        let mut same = layers().zeros().unwrap();
        kind::from_bytes(kind, &bytes, &mut same, &Options::new()).unwrap();
        assert!(raw::tensors(kind, &bytes).is_empty());
    }
}

/// Frozen layers are read, and stay frozen.
#[test]
fn frozen_layers_are_read() {
    let mut network = layers::<f64>().zeros().unwrap();
    network.freeze(0).unwrap();
    safetensors::from_bytes(&file(&tensors()), &mut network, &Options::new()).unwrap();
    assert_eq!(network.theta()[2], 1.0);
    let mut thawed = network.clone();
    thawed.unfreeze(0).unwrap();
    assert!(thawed != network, "it was not frozen");
}

#[test]
fn options_are_shared_and_print() {
    fn is_shared<T: Send + Sync>(_: &T) {}

    let options = Options::new().names(|place| place.name.clone()).rounded();
    is_shared(&options);
    let printed = format!("{options:?}");
    assert!(
        printed.contains("custom") && printed.contains("rounded: true"),
        "{printed}"
    );
    assert!(format!("{:?}", Options::default()).contains("PyTorch"));
}
