//! A class and a number from one network: twelve measurements of a wine predict its cultivar and
//! its alcohol (UCI Wine, CC BY 4.0; see `examples/data/README.md`).
//!
//! ```sh
//! cargo run --release --example two_heads
//! ```
//!
//! Two heads share the hidden layer, and each has its own cost. The cost of an example is the
//! weighted sum of the two, and J is the mean over the examples. Both pairs of activation and cost
//! are canonical, so each head starts the backward pass with δ = w (a − y), where w is the weight
//! of its cost.

use backprop::activation::{Identity, Softmax, Tanh};
use backprop::cost::{CategoricalCrossEntropy, Heads, SquaredError};
use backprop::data::{Scaler, Standardizer, one_hot, select, stratified_split};
use backprop::layer::Axis;
use backprop::metrics::{Accuracy, Metric, OfHead, R2};
use backprop::nalgebra::DMatrix;
use backprop::training::{Adam, Trainer};
use backprop::{Examples, Initialization, Network, Objective, rng};
use std::error::Error;
use std::ops::Range;
use std::path::Path;

/// The rows of each head in the outputs and in Y: a probability for each of three cultivars, and
/// the alcohol.
const CULTIVAR: Range<usize> = 0..3;
const ALCOHOL: Range<usize> = 3..4;
/// The weight of the alcohol's cost. The cultivar's is 1.
const WEIGHT: f64 = 0.5;

fn main() -> Result<(), Box<dyn Error>> {
    let (table, cultivars) = load()?;
    let split = stratified_split(&cultivars, 0.25, 1)?;
    let table = Standardizer::fit(&select(&table, &split.train)?)?.apply(&table)?;
    // A column of Y holds the targets of both heads: the cultivar one-hot, then the alcohol.
    let mut y = DMatrix::zeros(4, cultivars.len());
    y.rows_range_mut(CULTIVAR)
        .copy_from(&one_hot(&cultivars, CULTIVAR.len())?);
    y.rows_range_mut(ALCOHOL).copy_from(&table.row(0));
    let x = table.remove_row(0);
    let (train_x, train_y) = (select(&x, &split.train)?, select(&y, &split.train)?);
    let (test_x, test_y) = (select(&x, &split.test)?, select(&y, &split.test)?);

    let mut network = Network::<f64>::builder(x.nrows())
        .dense(8, Tanh)
        .concat(Axis::First, |heads| {
            let heads = heads.branch(|cultivar| cultivar.dense(CULTIVAR.len(), Softmax));
            heads.branch(|alcohol| alcohol.dense(ALCOHOL.len(), Identity))
        })
        .initialize(Initialization::GlorotUniform, &mut rng(1))?;
    let cost = Heads::new()
        .head(CULTIVAR, CategoricalCrossEntropy, 1.0)
        .head(ALCOHOL, SquaredError, WEIGHT);
    // λ and the weight were chosen by cross-validation on the training wines.
    let objective = Objective::new(cost).l2(10.0);
    println!("{network}\n");

    // A single example has D = δ [1; a]ᵀ, so column 0, that of the biases, is δ.
    let one = Examples::new(train_x.columns(0, 1), train_y.columns(0, 1))?;
    let (a, y) = (network.forward(one.x())?, one.y());
    let pass = network.backprop(&one, &objective)?;
    println!("one wine         a        y  w (a − y)        δ");
    for (branch, (rows, weight)) in [(CULTIVAR, 1.0), (ALCOHOL, WEIGHT)].into_iter().enumerate() {
        let gradient = pass.gradient().layer([1, branch, 0])?;
        for (row, delta) in rows.zip(gradient.column(0).iter()) {
            let expected = weight * (a[row] - y[row]);
            println!(
                "{:18.4} {:8.4}   {expected:8.4} {delta:8.4}",
                a[row], y[row]
            );
            assert!((delta - expected).abs() < 1e-12);
        }
    }

    println!(
        "\n{} test wines  cultivar, right  alcohol, R²",
        test_x.ncols()
    );
    let before = measure(&network, &test_x, &test_y)?;
    println!("before {:21.1} % {:12.3}", 100.0 * before[0], before[1]);
    Trainer::new(objective, Adam::new(0.01))
        .epochs(200)
        .batch_size(16)
        .fit(&mut network, &Examples::new(&train_x, &train_y)?)?;
    let after = measure(&network, &test_x, &test_y)?;
    println!("after  {:21.1} % {:12.3}", 100.0 * after[0], after[1]);
    assert!(after[0] > 0.9 && after[1] > 0.4);
    Ok(())
}

/// Returns the accuracy of the cultivar and R² of the alcohol.
fn measure(
    network: &Network<f64>,
    x: &DMatrix<f64>,
    y: &DMatrix<f64>,
) -> Result<[f64; 2], backprop::Error> {
    let a = network.forward(x)?;
    Ok([
        OfHead::new(CULTIVAR, Accuracy).evaluate(a.as_view(), y.as_view())?,
        OfHead::new(ALCOHOL, R2).evaluate(a.as_view(), y.as_view())?,
    ])
}

/// Returns the alcohol and the twelve measurements, 13 × m, and the cultivars.
fn load() -> Result<(DMatrix<f64>, Vec<usize>), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/wine.csv");
    let (mut table, mut cultivars) = (Vec::new(), Vec::new());
    for row in std::fs::read_to_string(path)?.lines().skip(1) {
        let (numbers, cultivar) = row.rsplit_once(',').ok_or("an empty line")?;
        for number in numbers.split(',') {
            table.push(number.parse()?);
        }
        cultivars.push(cultivar.parse()?);
    }
    let columns = cultivars.len();
    Ok((
        DMatrix::from_vec(table.len() / columns, columns, table),
        cultivars,
    ))
}
