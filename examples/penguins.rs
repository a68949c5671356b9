//! From a raw table to a saved model: the species of 344 penguins of the Palmer Archipelago, from a
//! CSV file with missing values and categories (CC0; see `examples/data/README.md`).
//!
//! The first run trains on four fifths of the penguins, five times, and saves the last pipeline,
//! network and species in one file. With a raw row, a second run loads the file and predicts:
//!
//! ```sh
//! cargo run --release --example penguins
//! cargo run --release --example penguins -- island=Biscoe sex=NA bill_length_mm=46.1 \
//!     bill_depth_mm=13.2 flipper_length_mm=211 body_mass_g=4500
//! ```
//!
//! `benches/peers/penguins.py` takes the same steps with scikit-learn.

use backprop::activation::{Softmax, Tanh};
use backprop::data::{Fill, KFold, LabelEncoder, Pipeline, Steps, labels, one_hot};
use backprop::metrics::{Average, ConfusionMatrix};
use backprop::source::Csv;
use backprop::training::{Adam, Trainer};
use backprop::{
    CategoricalCrossEntropy, Examples, Initialization, Network, Objective, rng, saving,
};
use std::error::Error;
use std::path::Path;

const SIZES: [&str; 4] = [
    "bill_length_mm",
    "bill_depth_mm",
    "flipper_length_mm",
    "body_mass_g",
];
const KINDS: [&str; 2] = ["island", "sex"];

type Model = (Pipeline<f64>, Network<f64>, LabelEncoder<String>);

fn main() -> Result<(), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/penguins.backprop");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        return train(&path);
    }
    let cells = arguments.iter().map(|cell| cell.split_once('='));
    let row: Vec<_> = cells.collect::<Option<_>>().ok_or("expected column=cell")?;
    let (pipeline, network, species): Model = saving::load(path, "penguins")?;
    let a = network.forward(&pipeline.row(&row)?)?;
    for (name, a) in species.classes().iter().zip(a.iter()) {
        println!("{name:10} {:5.1} %", 100.0 * a);
    }
    Ok(())
}

fn train(path: &Path) -> Result<(), Box<dyn Error>> {
    let csv = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/penguins.csv");
    let table = Csv::new()
        .numbers(SIZES)
        .text(KINDS)
        .text(["species"])
        .read(csv)?;
    let names = table.names("species")?;
    let species = LabelEncoder::fit(&names)?;
    let (classes, known) = (species.encode(&names)?, species.classes().len());

    let sizes = Steps::of(SIZES).fill(Fill::Median).standardize();
    let steps = [sizes, Steps::of(KINDS).fill(Fill::MostFrequent)];

    let mut scores = Vec::new();
    for (seed, split) in (0..).zip(KFold::new(5).stratified(&classes)?) {
        let of = |part: &[usize]| part.iter().map(|&k| classes[k]).collect::<Vec<_>>();
        let (train, truth) = (table.select(&split.train)?, of(&split.test));
        let pipeline = Pipeline::<f64>::fit(&train, &steps)?;
        let (x, y) = (pipeline.apply(&train)?, one_hot(&of(&split.train), known)?);
        let mut network = Network::<f64>::builder(pipeline.rows())
            .dense(10, Tanh)
            .dense(known, Softmax)
            .initialize(Initialization::GlorotUniform, &mut rng(seed))?;
        let objective = Objective::new(CategoricalCrossEntropy).l2(0.1);
        Trainer::new(objective, Adam::new(0.01))
            .epochs(50)
            .batch_size(32)
            .seed(seed)
            .fit(&mut network, &Examples::new(&x, &y)?)?;

        let test = pipeline.apply(&table.select(&split.test)?)?;
        let found = labels(&network.forward(&test)?)?;
        let f1 = ConfusionMatrix::from_labels(&truth, &found, known)?.f1(Average::Macro)?;
        println!("seed {seed}: macro-F1 {f1:.4}");
        scores.push(f1);
        saving::save(path, "penguins", &(&pipeline, &network, &species))?;
    }
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    println!("mean: {mean:.4}");
    assert!(mean > 0.97, "most penguins are easy to tell apart");
    Ok(())
}
