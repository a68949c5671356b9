//! Training from a file, which may be larger than memory, against the same examples in memory: the
//! time of an epoch, and the largest resident memory of the process (Linux).
//!
//! ```sh
//! cargo bench --bench source -- --mib 4096
//! ```
//!
//! The file has rows of 784 inputs and 10 targets in `f32`, in the folder for temporary files. Each
//! measurement runs in its own process, which gets the option `--mode`, to measure its memory.

use backprop::activation::{Relu, Softmax};
use backprop::nalgebra::DMatrix;
use backprop::source::{FileSource, Number, RowFile, Source};
use backprop::training::{Adam, Trainer};
use backprop::{CategoricalCrossEntropy, Error, Examples, Initialization, Network, Objective, rng};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const INPUTS: usize = 784;
const OUTPUTS: usize = 10;
const ROW: usize = INPUTS + OUTPUTS;

type Failure = Box<dyn std::error::Error>;

fn option(name: &str, default: &str) -> String {
    let mut words = std::env::args().skip_while(|word| word != name);
    words.nth(1).unwrap_or(default.to_owned())
}

fn main() -> Result<(), Failure> {
    let mib: usize = option("--mib", "64").parse()?;
    let path = std::env::temp_dir().join(format!("backprop-source-{mib}.bin"));
    match &option("--mode", "all")[..] {
        "file" => file(&path),
        "memory" => memory(&path),
        _ => {
            write(&path, (mib << 20) / (4 * ROW))?;
            println!("{mib} MiB of examples, 784-128-64-10, f32, batches of 256, one epoch");
            for mode in ["memory", "file", "memory", "file", "memory", "file"] {
                let program = std::env::current_exe()?;
                let options = ["--mode", mode, "--mib", &mib.to_string()];
                let status = Command::new(program).args(options).status()?;
                if !status.success() {
                    return Err(format!("{mode}: {status}").into());
                }
            }
            std::fs::remove_file(&path)?;
            Ok(())
        }
    }
}

/// Writes rows of pixels and of a class.
fn write(path: &Path, rows: usize) -> Result<(), Failure> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = 1_u32;
    for row in 0..rows {
        for _ in 0..INPUTS {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            file.write_all(&(f32::from((state >> 24) as u8) / 255.0).to_le_bytes())?;
        }
        for class in 0..OUTPUTS {
            let target: f32 = if row % OUTPUTS == class { 1.0 } else { 0.0 };
            file.write_all(&target.to_le_bytes())?;
        }
    }
    Ok(file.flush()?)
}

fn source(path: &Path) -> Result<FileSource<f32>, Error> {
    FileSource::joined(RowFile::raw(path, Number::F32, ROW)?, INPUTS)
}

fn file(path: &Path) -> Result<(), Failure> {
    train("file", &source(path)?)
}

fn memory(path: &Path) -> Result<(), Failure> {
    let source = source(path)?;
    let m = source.len();
    let (mut x, mut y) = (DMatrix::zeros(INPUTS, m), DMatrix::zeros(OUTPUTS, m));
    let indices: Vec<usize> = (0..m).collect();
    let into = backprop::source::ReadInto::new(x.as_mut_slice(), y.as_mut_slice(), &mut []);
    source.read(&indices, into)?;
    train("memory", &Examples::new(&x, &y)?)
}

fn train(mode: &str, source: &dyn Source<f32>) -> Result<(), Failure> {
    let mut network = Network::builder(INPUTS)
        .dense(128, Relu)
        .dense(64, Relu)
        .dense(OUTPUTS, Softmax)
        .initialize(Initialization::GlorotUniform, &mut rng(1))?;
    let clock = Instant::now();
    let mut seconds = 0.0;
    Trainer::new(Objective::new(CategoricalCrossEntropy), Adam::new(1e-3))
        .epochs(1)
        .batch_size(256)
        .on_epoch(|_| {
            seconds = clock.elapsed().as_secs_f64();
            ControlFlow::Continue(())
        })
        .fit_source(&mut network, source)?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find(|line| line.starts_with("VmHWM"));
    println!(
        "{mode:6} {seconds:8.3} s  {}",
        resident.unwrap_or("memory is not measured")
    );
    Ok(())
}
