//! What is written, and read again.

use super::networks::{Case, cases};
use crate::support::{bits, wave};
use backprop::activation::{Elu, Identity, LeakyRelu, Relu, Tanh};
use backprop::interchange::onnx::{self, WriteOptions};
use backprop::interchange::{FileScalar, InterchangeError, Options};
use backprop::layer::{AnyLayer, BatchNorm, GaussianNoise, LayerNorm, RmsNorm, Sequential};
use backprop::{Builder, Dense, Network, Path};

fn again<T: FileScalar>(network: &Network<T>, options: &WriteOptions) -> Network<T> {
    let bytes = onnx::to_bytes(network, options).unwrap();
    onnx::from_bytes(&bytes, &Options::new()).unwrap()
}

#[test]
fn every_layer_keeps_every_bit() {
    fn check<T: FileScalar>(options: &WriteOptions) {
        for Case { name, network, .. } in cases::<T>() {
            let same = again(&network, options);
            assert_eq!(same.layers(), network.layers(), "{name}");
            assert!(same.theta() == network.theta(), "{name}");
            assert!(
                same.state().as_slice() == network.state().as_slice(),
                "{name}"
            );
            assert!(same == network, "{name}");
        }
    }
    check::<f32>(&WriteOptions::new());
    check::<f32>(&WriteOptions::new().double());
    check::<f64>(&WriteOptions::new().double());
}

/// The bits of numbers that are easy to lose, and those of −0.
#[test]
fn extreme_numbers_keep_their_bits() {
    let theta = [
        -0.0,
        f64::MIN_POSITIVE,
        5e-324,
        -f64::MAX,
        1.0 + f64::EPSILON,
        0.1,
    ];
    let network = Network::builder(2)
        .dense(2, Tanh)
        .with_theta(&theta)
        .unwrap();
    let same = again(&network, &WriteOptions::new().double());
    assert_eq!(bits(same.theta().as_slice()), bits(&theta));
}

/// Constants of layers that are not short decimal numbers.
#[test]
fn constants_keep_their_bits() {
    let third = 1.0 / 3.0;
    let network = Network::<f64>::builder(3)
        .layer(LayerNorm::new().eps(third).into())
        .layer(RmsNorm::new().eps(third).into())
        .layer(BatchNorm::new().eps(third).affine(false).into())
        .dropout(third)
        .dense(2, LeakyRelu { slope: third })
        .dense(2, Elu { alpha: third });
    let network = network.zeros().unwrap();
    assert_eq!(again(&network, &WriteOptions::new().double()), network);
}

/// Outputs that are the same although the layers are not.
#[test]
fn layers_that_a_graph_cannot_hold() {
    let layers: Builder<f64> = Network::builder(3)
        .dense(4, Identity)
        .activate(Relu)
        .gaussian_noise(0.3)
        .sequential(|inner| inner.dense(3, Identity).sequential(|x| x))
        .layer(BatchNorm::new().cumulative().into());
    let Case { network, x, .. } = Case::new("", layers);
    let same = again(&network, &WriteOptions::new().double());
    assert_eq!(same.forward(&x).unwrap(), network.forward(&x).unwrap());
    let expected = [
        Dense::new(3, 4, Relu).into(),
        Dense::new(4, 3, Identity).into(),
        AnyLayer::BatchNorm(BatchNorm::new()),
    ];
    assert_eq!(same.layers(), expected);

    let nothing = vec![
        Sequential::new(vec![]).into(),
        GaussianNoise::new(0.1).into(),
    ];
    let network = Network::<f64>::from_layers(2, nothing, &[]).unwrap();
    let same = again(&network, &WriteOptions::new());
    assert_eq!(same.forward(&[3.0, 4.0]).unwrap().as_slice(), [3.0, 4.0]);
}

#[test]
fn a_network_of_f64_is_rounded_to_f32() {
    let network = Network::builder(2)
        .dense(1, Tanh)
        .with_theta(&[0.1, 1e-60, -0.7])
        .unwrap();
    let rounded = again(&network, &WriteOptions::new());
    let expected = [f64::from(0.1_f32), 0.0, f64::from(-0.7_f32)];
    assert_eq!(rounded.theta().as_slice(), expected);

    let network = Network::builder(2)
        .dense(1, Tanh)
        .with_theta(&[0.5, 2.0, -1e39])
        .unwrap();
    let refused = onnx::to_bytes(&network, &WriteOptions::new()).unwrap_err();
    let InterchangeError::NonFinite {
        tensor,
        entry,
        value,
        scalar,
    } = refused
    else {
        panic!("{refused}");
    };
    assert_eq!(
        (&*tensor, entry, value, scalar),
        ("0.weight", 1, -1e39, "f32")
    );
    assert_eq!(again(&network, &WriteOptions::new().double()), network);
}

/// Exactly, or as the caller asks.
#[test]
fn f64_into_f32() {
    let network = Network::builder(1)
        .dense(1, Tanh)
        .with_theta(&[0.5, 0.1])
        .unwrap();
    let bytes = onnx::to_bytes(&network, &WriteOptions::new().double()).unwrap();
    let refused = onnx::from_bytes::<f32>(&bytes, &Options::new()).unwrap_err();
    let InterchangeError::Inexact {
        tensor,
        entry,
        scalar,
        ..
    } = refused
    else {
        panic!("{refused}");
    };
    assert_eq!((&*tensor, entry, scalar), ("0.weight", 0, "f32"));
    let rounded = onnx::from_bytes::<f32>(&bytes, &Options::new().rounded()).unwrap();
    assert_eq!(rounded.theta().as_slice(), [0.5, 0.1]);
}

#[test]
fn constants_that_an_f32_cannot_hold_are_refused() {
    for layer in [
        AnyLayer::BatchNorm(BatchNorm::new().eps(1e-60)),
        Dense::new(2, 2, LeakyRelu { slope: 1e300 }).into(),
    ] {
        let builder = Network::<f64>::builder(2).residual(|body| body.layer(layer));
        let network = builder.zeros().unwrap();
        let refused = onnx::to_bytes(&network, &WriteOptions::new()).unwrap_err();
        let InterchangeError::Layer { layer, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(layer, Path::from([0, 0, 0]));
    }
}

#[test]
fn custom_layers_are_refused() {
    let custom = AnyLayer::Custom(Dense::new(3, 3, Tanh));
    let body = Sequential::new(vec![AnyLayer::Dense(Dense::new(3, 3, Tanh)), custom]);
    let residual = backprop::layer::Residual::new(body);
    let layers: Vec<AnyLayer<Dense>> = vec![residual.into()];
    let network = Network::from_layers(3, layers, &wave(24, 0.0)).unwrap();
    let refused = onnx::to_bytes(&network, &WriteOptions::new()).unwrap_err();
    let message = "layer 0.0.1 (Dense Tanh) cannot be written: ONNX has no operator for a custom \
                   layer";
    assert_eq!(refused.to_string(), message);
}

#[test]
fn the_file_says_who_wrote_it() {
    let network = Network::<f64>::builder(2).dense(1, Tanh).zeros().unwrap();
    let bytes = onnx::to_bytes(&network, &WriteOptions::new()).unwrap();
    let producer = [
        &b"\x12\x08backprop\x1a\x05"[..],
        env!("CARGO_PKG_VERSION").as_bytes(),
    ];
    assert!(bytes.starts_with(&[&[8, 8][..], &producer.concat()].concat()));
    assert!(
        bytes.ends_with(b"\x42\x04\x0a\x00\x10\x11"),
        "the operators have the version 17"
    );
    assert_eq!(
        bytes,
        onnx::to_bytes(&network, &WriteOptions::new()).unwrap()
    );
}

#[test]
fn files_are_saved_and_loaded() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("interchange-{}.onnx", std::process::id()));
    let network = Network::<f32>::builder(2).dense(3, Tanh).zeros().unwrap();
    onnx::save(&path, &network, &WriteOptions::new()).unwrap();
    assert_eq!(onnx::load::<f32>(&path, &Options::new()).unwrap(), network);
    std::fs::write(&path, b"\x08").unwrap();
    let refused = onnx::load::<f32>(&path, &Options::new()).unwrap_err();
    assert!(matches!(
        refused.reason(),
        InterchangeError::Malformed { .. }
    ));
    assert!(refused.to_string().contains(path.to_str().unwrap()));
    std::fs::remove_file(&path).unwrap();
    let missing = onnx::load::<f32>(&path, &Options::new());
    assert!(matches!(missing, Err(InterchangeError::Io { .. })));
}
