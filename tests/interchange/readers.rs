//! What every reader of files must do with any bytes: read them or refuse them, and not change the
//! network if it refuses.
//!
//! The functions are also the targets in `fuzz/`. Each returns the reason of a refusal.

use backprop::interchange::onnx::{self, WriteOptions};
use backprop::interchange::{
    BatchCounts, FileScalar, InterchangeError, Options, npy, npz, safetensors,
};
use backprop::source::{Csv, FileSource, ReadInto, RowFile, Source as _};
use backprop::{Error, Network, activation::Tanh, nalgebra::try_convert};

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

/// What is read as text is read as numbers too, or refused at a line of the file.
pub(crate) fn csv(bytes: &[u8]) -> Result<(), String> {
    let csv = Csv::new().numbers(["mass", "year"]).text(["sex"]);
    let mut done = Ok(());
    for csv in [csv.clone(), csv.delimiter(b';').missing(["-"])] {
        done = match csv.from_bytes(bytes) {
            Ok(table) => {
                assert!(table.rows() > 0 && table.rows() <= bytes.len());
                let lengths = (table.numbers("year").map(<[f64]>::len), table.text("sex"));
                assert_eq!(lengths.0, Ok(table.rows()));
                assert_eq!(lengths.1.map(<[_]>::len), Ok(table.rows()));
                Ok(())
            }
            Err(error) => {
                let Error::Csv { line, .. } = &error else {
                    panic!("{error}");
                };
                assert!(*line <= 1 + bytes.iter().filter(|&&byte| byte == b'\n').count() as u64);
                Err(error.to_string())
            }
        };
        if done.is_ok() {
            break;
        }
    }
    done
}

/// A file of rows has the numbers of the array, unless it is in Fortran order.
pub(crate) fn rows(bytes: &[u8]) -> Result<(), String> {
    let path = std::env::temp_dir().join(format!("rows-{}.npy", std::process::id()));
    std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{error}"));
    let open = || RowFile::npy(&path);
    let opened = open().and_then(|x| FileSource::<f64>::new(x, open()?));
    // The file can still be read.
    _ = std::fs::remove_file(&path);
    let array = npy::from_bytes::<f64>(bytes, &Options::new());
    let fortran = |error: &Error| error.to_string().contains("Fortran order");
    let (source, array) = match (opened, array) {
        (Ok(source), Ok(array)) => (source, array),
        (Ok(source), Err(_)) => {
            // A number does not fit.
            assert!((0..source.len()).any(|k| column(&source, k).is_err()));
            return Ok(());
        }
        (Err(error), array) => {
            assert!(fortran(&error) || array.is_err(), "{error}");
            return Err(error.to_string());
        }
    };
    assert_eq!((source.inputs(), source.len()), array.view().shape());
    for (k, expected) in array.view().column_iter().enumerate() {
        let found = column(&source, k).unwrap_or_else(|error| panic!("{error}"));
        let bits = |x: &f64| x.to_bits();
        assert!(found.iter().map(bits).eq(expected.iter().map(bits)));
    }
    Ok(())
}

/// Reads the inputs of an example.
fn column(source: &FileSource<f64>, k: usize) -> Result<Vec<f64>, Error> {
    let (mut x, mut y) = (vec![0.0; source.inputs()], vec![0.0; source.outputs()]);
    source.read(&[k], ReadInto::new(&mut x, &mut y, &mut []))?;
    Ok(x)
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
