//! Too little memory is an error like any other.

use super::limited;
use backprop::interchange::{InterchangeError, Options, npy, npz, safetensors};
use backprop::nalgebra::DMatrix;
use backprop::{Error, Network, activation::Tanh};

/// 8 MB of parameters.
fn large() -> Network<f64> {
    Network::builder(1000)
        .dense_without_bias(1000, Tanh)
        .zeros()
        .unwrap()
}

const LESS: isize = 4 << 20;

fn is_too_large<T>(result: Result<T, InterchangeError>) {
    let Err(error) = result else {
        panic!("there was enough memory");
    };
    let InterchangeError::Network { source } = &error else {
        panic!("{error}");
    };
    assert!(matches!(source, Error::TooLarge { .. }), "{error}");
}

#[test]
fn too_little_memory_to_write() {
    let network = large();
    is_too_large(limited(LESS, || {
        safetensors::to_bytes(&network, &Options::new())
    }));
    is_too_large(limited(LESS, || npz::to_bytes(&network, &Options::new())));
    let x = DMatrix::<f64>::zeros(1000, 1000);
    is_too_large(limited(LESS, || npy::to_bytes(&x)));
    // The largest array fits, but the file does not.
    is_too_large(limited(12 << 20, || {
        npz::to_bytes(&network, &Options::new())
    }));
}

#[test]
fn too_little_memory_to_read() {
    let mut network = large();
    let options = Options::new();
    let file = safetensors::to_bytes(&network, &options).unwrap();
    is_too_large(limited(LESS, || {
        safetensors::from_bytes(&file, &mut network, &options)
    }));
    let file = npz::to_bytes(&network, &options).unwrap();
    is_too_large(limited(LESS, || {
        npz::from_bytes(&file, &mut network, &options)
    }));
    let file = npy::to_bytes(&DMatrix::<f32>::zeros(1000, 1000)).unwrap();
    is_too_large(limited(LESS, || {
        npy::from_bytes::<f64>(&file, &options).map(|_| ())
    }));
    npz::from_bytes(
        &npz::to_bytes(&network, &options).unwrap(),
        &mut network,
        &options,
    )
    .unwrap();
}
