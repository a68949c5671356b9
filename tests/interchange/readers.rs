//! What every reader of files must do with any bytes: read them or refuse them, and not change the
//! network if it refuses.
//!
//! The functions are also the targets in `fuzz/`. Each returns the reason of a refusal.

use backprop::interchange::onnx::{self, WriteOptions};
use backprop::interchange::{
    BatchCounts, FileScalar, InterchangeError, Options, npy, npz, safetensors,
};
use backprop::{Network, activation::Tanh, nalgebra::try_convert};

pub(crate) fn safetensors(bytes: &[u8]) -> Result<(), String> {
    tensors::<f64>(|network, options| safetensors::from_bytes(bytes, network, options))?;
    tensors::<f32>(|network, options| safetensors::from_bytes(bytes, network, options))
}

pub(crate) fn npz(bytes: &[u8]) -> Result<(), String> {
    tensors::<f64>(|network, options| npz::from_bytes(bytes, network, options))?;
    tensors::<f32>(|network, options| npz::from_bytes(bytes, network, options))
}

/// Reads tensors into the network of the files in `tests/interchange/files/`.
fn tensors<T: FileScalar>(
    read: impl Fn(&mut Network<T>, &Options<'_>) -> Result<BatchCounts, InterchangeError>,
) -> Result<(), String> {
    let network = Network::<T>::builder(3).dense(2, Tanh).batch_norm();
    let mut network = network.zeros().map_err(|error| error.to_string())?;
    let before = network.clone();
    match read(&mut network, &Options::new().rounded()) {
        Ok(_) => {
            let mut numbers = network.theta().iter().chain(network.state().iter());
            assert!(numbers.all(|&x| try_convert::<T, f64>(x).is_some_and(f64::is_finite)));
            Ok(())
        }
        Err(error) => {
            assert!(network == before, "the network has changed");
            Err(error.to_string())
        }
    }
}

pub(crate) fn npy(bytes: &[u8]) -> Result<(), String> {
    let single = npy::from_bytes::<f32>(bytes, &Options::new().rounded());
    let array = npy::from_bytes::<f64>(bytes, &Options::new());
    let array = array.map_err(|error| error.to_string())?;
    let view = array.view();
    assert!(view.len() <= bytes.len());
    if let Ok(single) = single {
        assert_eq!(single.view().shape(), view.shape());
    }
    Ok(())
}

/// A network that is read can be written and read again, unless a constant of it does not fit.
pub(crate) fn onnx(bytes: &[u8]) -> Result<(), String> {
    let _ = onnx::from_bytes::<f32>(bytes, &Options::new().rounded());
    let network = onnx::from_bytes::<f64>(bytes, &Options::new());
    let network = network.map_err(|error| error.to_string())?;
    let mut numbers = network.theta().iter().chain(network.state().iter());
    assert!(numbers.all(|x| x.is_finite()));
    if let Ok(bytes) = onnx::to_bytes(&network, &WriteOptions::new().double()) {
        let same = onnx::from_bytes::<f64>(&bytes, &Options::new());
        let same = same.unwrap_or_else(|error| panic!("{error}"));
        assert!(same.theta() == network.theta() && same.state() == network.state());
    }
    Ok(())
}

/// A network that is read can be written and read again.
pub(crate) fn json(bytes: &[u8]) -> Result<(), String> {
    let network = serde_json::from_slice::<Network<f64>>(bytes);
    let network = network.map_err(|error| error.to_string())?;
    let numbers = network.theta().iter().chain(network.state().iter());
    assert!(numbers.clone().all(|x| x.is_finite()));
    let text = serde_json::to_vec(&network).unwrap_or_else(|error| panic!("{error}"));
    assert!(serde_json::from_slice::<Network<f64>>(&text).is_ok_and(|same| same == network));
    Ok(())
}
