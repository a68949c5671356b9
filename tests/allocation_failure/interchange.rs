//! Tensors and arrays of other programs.

use super::{LARGE, SIZES, data, each, network, spared};
use backprop::interchange::onnx::{self, WriteOptions};
use backprop::interchange::{InterchangeError, Options, npy, npz, safetensors};
use backprop::{Error, Network};
use std::io::ErrorKind;

fn is_typed(error: &InterchangeError) -> bool {
    match error.reason() {
        InterchangeError::Network { source } => matches!(source, Error::TooLarge { .. }),
        InterchangeError::Io { source, .. } => source.kind() == ErrorKind::OutOfMemory,
        _ => false,
    }
}

/// Neither the network nor the file changes.
pub(super) fn tensors_and_arrays() {
    let network = network(SIZES[0]);
    let (x, _) = data(SIZES[0]);
    assert!(8 * network.parameters() > LARGE);
    let options = Options::new();
    let files = [
        safetensors::to_bytes(&network, &options).unwrap(),
        npz::to_bytes(&network, &options).unwrap(),
    ];
    each(
        "safetensors",
        || safetensors::to_bytes(&network, &options),
        is_typed,
    );
    each("npz", || npz::to_bytes(&network, &options), is_typed);
    each("npy", || npy::to_bytes(&x), is_typed);

    let name = format!("memory-interchange-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    type Load =
        fn(&std::path::Path, &mut Network<f64>, &Options<'_>) -> Result<(), InterchangeError>;
    let loads: [Load; 2] = [
        |path, network, options| safetensors::load(path, network, options).map(|_| ()),
        |path, network, options| npz::load(path, network, options).map(|_| ()),
    ];
    for (bytes, load) in files.iter().zip(loads) {
        std::fs::write(&path, bytes).unwrap();
        let mut other = network.map(|theta| theta / 2.0).unwrap();
        let before = other.clone();
        each(
            "load",
            || {
                let loaded = load(&path, &mut other, &options);
                spared(|| assert!(loaded.is_ok() || other == before));
                loaded
            },
            is_typed,
        );
        assert!(other == network);
    }
    for write in [WriteOptions::new(), WriteOptions::new().double()] {
        each("onnx", || onnx::to_bytes(&network, &write), is_typed);
        let bytes = onnx::to_bytes(&network, &write).unwrap();
        let single = || onnx::from_bytes::<f32>(&bytes, &Options::new().rounded());
        each("onnx from_bytes", single, is_typed);
        std::fs::write(&path, &bytes).unwrap();
        each("onnx load", || onnx::load::<f64>(&path, &options), is_typed);
    }
    let bytes = npy::to_bytes(&x).unwrap();
    let rounded = Options::new().rounded();
    each(
        "from_bytes",
        || npy::from_bytes::<f32>(&bytes, &rounded),
        is_typed,
    );
    std::fs::write(&path, &bytes).unwrap();
    each("load", || npy::load::<f64>(&path, &options), is_typed);
    each("load", || npy::load::<f32>(&path, &rounded), is_typed);
    std::fs::remove_file(path).unwrap();
}
