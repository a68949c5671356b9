//! Two networks of PyTorch come in, learn, and leave: one as ONNX, one as safetensors.
//!
//! ```sh
//! cargo run --release --example interop
//! ```
//!
//! An ONNX file holds a whole network. A safetensors file holds the parameters and the state by
//! name, so the layers are built first. Both networks compute what PyTorch computed. Each takes
//! some steps of training, and is written to `target/interop/` in both formats. What is read back
//! has the same bits.
//!
//! In Python, `onnxruntime.InferenceSession("two_heads.onnx").run(None, {"x": x})` computes the
//! outputs. Each row of `x` is an example, in `float32`.

use backprop::activation::{Identity, LeakyRelu};
use backprop::interchange::onnx::{self, WriteOptions};
use backprop::interchange::{Options, safetensors, tensors};
use backprop::nalgebra::DMatrix;
use backprop::training::{Adam, Trainer};
use backprop::{Examples, Network, Objective, SquaredError, row_major};
use std::error::Error;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    println!("By ONNX, as torch.onnx.export wrote it:");
    let folder = model("residual_two_heads");
    let network = onnx::load(folder.join("model_torch_export.onnx"), &Options::new())?;
    let learnt = continue_training(network, &Data::load(&folder)?)?;
    let mut layers = learnt.clone();
    layers.set_theta(&vec![0.0; learnt.parameters()])?;
    save_and_load(&learnt, &layers, "two_heads")?;

    println!("\nBy safetensors, into the layers of the nn.Sequential:");
    let folder = model("mlp_batch_norm_dropout_eval");
    let layers = Network::builder(3)
        .dense(5, Identity)
        .batch_norm()
        .activate(LeakyRelu { slope: 0.01 })
        .dropout(0.3)
        .dense(2, Identity)
        .zeros()?;
    let mut network = layers.clone();
    safetensors::load(
        folder.join("model_f32.safetensors"),
        &mut network,
        &Options::new(),
    )?;
    let learnt = continue_training(network, &Data::load(&folder)?)?;
    save_and_load(&learnt, &layers, "batch_norm")
}

/// The examples of a model, one in each column, with the outputs that PyTorch computed.
struct Data {
    x: DMatrix<f64>,
    outputs: DMatrix<f64>,
}

impl Data {
    fn load(folder: &Path) -> Result<Self> {
        let json = std::fs::read_to_string(folder.join("io.json"))?;
        let json: serde_json::Value = serde_json::from_str(&json)?;
        let matrix = |name: &str| -> Result<DMatrix<f64>> {
            let rows: Vec<Vec<f64>> = serde_json::from_value(json[name].clone())?;
            let columns = rows.first().ok_or("no examples")?.len();
            Ok(row_major(&rows.concat(), columns)?.into_owned())
        };
        Ok(Self {
            x: matrix("X")?,
            outputs: matrix("outputs")?,
        })
    }
}

/// Compares the outputs with PyTorch's, then trains for a new task: the last output plus 1.
fn continue_training(mut network: Network<f64>, data: &Data) -> Result<Network<f64>> {
    println!("{network}");
    let error = (network.forward(&data.x)? - &data.outputs).amax() / data.outputs.amax();
    println!("outputs: {error:.1e} from those of PyTorch");
    assert!(error < 1e-12);

    let mut y = data.outputs.clone();
    y.row_mut(y.nrows() - 1).add_scalar_mut(1.0);
    let examples = Examples::new(&data.x, &y)?;
    let objective = Objective::new(SquaredError);
    let before = network.cost(&examples, &objective)?;
    Trainer::new(objective.clone(), Adam::new(0.02))
        .epochs(200)
        .fit(&mut network, &examples)?;
    let after = network.cost(&examples, &objective)?;
    println!("J for the new task: {before:.3} before 200 epochs, {after:.3} after");
    assert!((before - 0.5).abs() < 1e-6 && after < 0.1); // ½ (a − y)² with a − y = −1
    Ok(network)
}

/// Writes a network in both formats, and reads it back. `layers` are its layers, with any numbers.
fn save_and_load(network: &Network<f64>, layers: &Network<f64>, name: &str) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/interop");
    std::fs::create_dir_all(&folder)?;

    // As f64, every bit is kept.
    let file = folder.join(format!("{name}_f64.onnx"));
    onnx::save(&file, network, &WriteOptions::new().double())?;
    assert_eq!(&onnx::load::<f64>(&file, &Options::new())?, network);

    let file = folder.join(format!("{name}.safetensors"));
    safetensors::save(&file, network, &Options::new())?;
    let mut same = layers.clone();
    safetensors::load(&file, &mut same, &Options::new())?;
    assert_eq!(&same, network);
    // As f32, which every runtime reads, the parameters are rounded.
    let file = folder.join(format!("{name}.onnx"));
    onnx::save(&file, network, &WriteOptions::new())?;
    let rounded: Network<f32> = onnx::load(&file, &Options::new())?;
    let pairs = rounded.theta().iter().zip(network.theta().iter());
    assert!(
        pairs
            .clone()
            .all(|(single, double)| *single == *double as f32)
    );

    let tensors = tensors(network, &Options::new())?;
    println!("written: target/interop/{name}.onnx, {name}_f64.onnx and {name}.safetensors");
    if let [first, .., last] = &tensors[..] {
        let (first, last) = (&first.name, &last.name);
        println!("{} tensors, {first} to {last}", tensors.len());
    }
    Ok(())
}

/// Returns the folder of a model of PyTorch. Its `README.md` tells who wrote the files.
fn model(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/interchange");
    folder.join(name)
}
