//! A table with columns of categories: the month, the kind of weather, the rain and the wind
//! predict the highest temperature of a day in Seattle (NOAA, public domain; see
//! `examples/data/README.md`).
//!
//! ```sh
//! cargo run --release --example categories
//! ```
//!
//! A network can take a month in three ways: as a number from 0 to 11, as a one-hot vector, and as
//! an id whose embedding, a vector of two numbers, is learned. As a number, December is far from
//! January. A one-hot vector says nothing about which months are alike, and neither does an id; but
//! here the network has to place the twelve months in a plane, and similar months end up close
//! together.

use backprop::activation::{Identity, Tanh};
use backprop::data::{Scaler, Standardizer, one_hot, select, train_test_split};
use backprop::layer::Axis;
use backprop::nalgebra::{DMatrix, DVector};
use backprop::training::{Adam, Trainer};
use backprop::{Examples, Initialization, Network, Objective, SquaredError, rng};
use std::error::Error;
use std::path::Path;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEATHERS: [&str; 5] = ["drizzle", "fog", "rain", "snow", "sun"];
/// The features of an embedding.
const DIM: usize = 2;
const SEEDS: u64 = 5;

/// The columns of the table.
struct Table {
    /// Rain and wind, 2 × m.
    numbers: DMatrix<f64>,
    months: Vec<usize>,
    weathers: Vec<usize>,
    /// The highest temperatures, 1 × m.
    highest: DMatrix<f64>,
}

/// A way to take the months.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Number,
    OneHot,
    Embedding,
}

fn main() -> Result<(), Box<dyn Error>> {
    let table = load()?;
    println!("{}\n", network(4, Form::Embedding, 0)?);
    let forms = [Form::Number, Form::OneHot, Form::Embedding];
    let mut errors = [[0.0; SEEDS as usize]; 3];
    let mut places = DMatrix::zeros(DIM, MONTHS.len());
    println!("month as    parameters  error on other days in °C, {SEEDS} splits");
    for (form, errors) in forms.into_iter().zip(&mut errors) {
        let mut parameters = 0;
        for (seed, error) in (0..SEEDS).zip(errors.iter_mut()) {
            let (network, found) = run(&table, form, seed)?;
            (*error, parameters) = (found, network.parameters());
            if form == Form::Embedding && seed == 0 {
                places = network.block([0, 1, 1], 0)?.clone_owned();
            }
        }
        let each: Vec<String> = errors.iter().map(|error| format!("{error:.2}")).collect();
        println!(
            "{:10} {parameters:11}  {}",
            format!("{form:?}"),
            each.join("  ")
        );
    }
    let [number, one_hot, embedding] = errors.map(|errors| mean(&errors));
    println!(
        "\nThe means are {number:.2}, {one_hot:.2} and {embedding:.2}. Here the form makes\n\
         little difference: from the number alone, a hidden layer can learn the course of the\n\
         year, and there are enough days to learn each month separately. The embedding needs\n\
         fewer parameters than the one-hot vectors, and its table is easy to interpret:\n"
    );
    assert!(embedding < one_hot + 0.05 && embedding < number + 0.05);

    println!("month      the vector learned in the first split");
    for (name, place) in MONTHS.iter().zip(places.column_iter()) {
        println!("{name:9} {:6.2} {:6.2}", place[0], place[1]);
    }
    let distance = |a: usize, b: usize| (places.column(a) - places.column(b)).norm();
    let next: Vec<f64> = (0..12).map(|a| distance(a, (a + 1) % 12)).collect();
    let pairs = (0..12).flat_map(|a| (0..a).map(move |b| (a, b)));
    let all: Vec<f64> = pairs.map(|(a, b)| distance(a, b)).collect();
    println!(
        "\nThe mean distance is {:.2} from one month to the next, and {:.2} between any two.",
        mean(&next),
        mean(&all)
    );
    assert!(mean(&next) < 0.6 * mean(&all));
    Ok(())
}

/// Trains a network on three quarters of the days. Returns it with its mean absolute error on the
/// others.
fn run(table: &Table, form: Form, seed: u64) -> Result<(Network<f64>, f64), Box<dyn Error>> {
    let split = train_test_split(table.months.len(), 0.25, seed)?;
    let numbers = Standardizer::fit(&select(&table.numbers, &split.train)?)?;
    let target = Standardizer::fit(&select(&table.highest, &split.train)?)?;
    let numbers = numbers.apply(&table.numbers)?;
    let y = target.apply(&table.highest)?;
    let x = inputs(table, &numbers, form)?;
    let (train_x, train_y) = (select(&x, &split.train)?, select(&y, &split.train)?);

    let mut network = network(x.nrows(), form, seed)?;
    Trainer::new(Objective::new(SquaredError).l2(0.5), Adam::new(0.01))
        .epochs(100)
        .batch_size(32)
        .fit(&mut network, &Examples::new(&train_x, &train_y)?)?;

    let a = network.forward(&select(&x, &split.test)?)?;
    let found = target.invert(&a)?;
    let expected = select(&table.highest, &split.test)?;
    let error = (found - expected).abs().mean();
    Ok((network, error))
}

/// Returns X: rain, wind, and the categories in one of the forms.
fn inputs(
    table: &Table,
    numbers: &DMatrix<f64>,
    form: Form,
) -> Result<DMatrix<f64>, backprop::Error> {
    let row = |ids: &[usize]| {
        let ids: Vec<f64> = ids.iter().map(|&id| id as f64).collect();
        DMatrix::from_row_slice(1, ids.len(), &ids)
    };
    let months = match form {
        Form::Number => row(&table.months).map(|month| (month - 5.5) / 3.5),
        Form::OneHot => one_hot(&table.months, MONTHS.len())?,
        Form::Embedding => row(&table.months),
    };
    let weathers = match form {
        Form::Embedding => row(&table.weathers),
        _ => one_hot(&table.weathers, WEATHERS.len())?,
    };
    let mut x = DMatrix::zeros(2 + months.nrows() + weathers.nrows(), numbers.ncols());
    x.rows_mut(0, 2).copy_from(numbers);
    x.rows_mut(2, months.nrows()).copy_from(&months);
    x.rows_mut(2 + months.nrows(), weathers.nrows())
        .copy_from(&weathers);
    Ok(x)
}

/// Returns the network at its start. With ids, each kind of input has a branch.
fn network(inputs: usize, form: Form, seed: u64) -> Result<Network<f64>, backprop::Error> {
    let mut builder = Network::builder(inputs);
    if form == Form::Embedding {
        builder = builder.concat(Axis::First, |branches| {
            let branches = branches.branch(|numbers| numbers.select(0..2));
            let branches =
                branches.branch(|month| month.select(2..3).embedding(MONTHS.len(), DIM).flatten());
            branches.branch(|weather| {
                weather
                    .select(3..4)
                    .embedding(WEATHERS.len(), DIM)
                    .flatten()
            })
        });
    }
    let builder = builder.dense(8, Tanh).dense(1, Identity);
    builder.initialize(Initialization::GlorotUniform, &mut rng(seed))
}

fn mean(values: &[f64]) -> f64 {
    DVector::from_row_slice(values).mean()
}

/// Reads the table.
fn load() -> Result<Table, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/seattle_weather.csv");
    let (mut numbers, mut months, mut weathers, mut highest) = (vec![], vec![], vec![], vec![]);
    for row in std::fs::read_to_string(path)?.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let [date, rain, temperature, wind, weather] = cells[..] else {
            return Err("a line without five cells".into());
        };
        numbers.extend([rain.parse::<f64>()?, wind.parse()?]);
        highest.push(temperature.parse::<f64>()?);
        let month: usize = date.get(5..7).ok_or("a date without a month")?.parse()?;
        months.push(month - 1);
        let weather = WEATHERS.iter().position(|&name| name == weather);
        weathers.push(weather.ok_or("an unknown kind of weather")?);
    }
    let m = months.len();
    Ok(Table {
        numbers: DMatrix::from_vec(2, m, numbers),
        months,
        weathers,
        highest: DMatrix::from_vec(1, m, highest),
    })
}
