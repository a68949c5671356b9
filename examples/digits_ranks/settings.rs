//! The run of two programs that give the same result on different ranks: this example, and
//! `digits_mpi` of the crate `backprop-mpi`.

use super::data::{self, CLASSES, Digits};
use backprop::activation::Sigmoid;
use backprop::distributed::Communicator;
use backprop::nalgebra::DMatrix;
use backprop::saving::Checkpoints;
use backprop::training::{Adam, Trainer};
use backprop::{BinaryCrossEntropy, Examples, Initialization, Network, Objective, rng};
use std::error::Error;

/// The width and the height of an image.
const SIDE: usize = 8;

/// Images moved by this many columns and rows are training examples too.
const MOVES: [[isize; 2]; 5] = [[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]];

/// Returns the value of an option of the command line.
pub fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|word| word != name).nth(1)
}

/// Returns the 1,347 training images, each in five places.
pub fn digits() -> Result<Digits, Box<dyn Error>> {
    let (digits, _) = data::load()?;
    let images = digits.x.ncols();
    let x = DMatrix::from_fn(SIDE * SIDE, MOVES.len() * images, |pixel, k| {
        let [right, down] = MOVES[k / images];
        let column = (pixel % SIDE).checked_add_signed(-right);
        let row = (pixel / SIDE).checked_add_signed(-down);
        match (column, row) {
            (Some(column @ 0..SIDE), Some(row @ 0..SIDE)) => {
                digits.x[(row * SIDE + column, k % images)]
            }
            _ => 0.0,
        }
    });
    let y = DMatrix::from_fn(CLASSES, x.ncols(), |class, k| digits.y[(class, k % images)]);
    Ok(Digits { x, y })
}

/// Trains the course's network, 64-25-10, in batches of 2048. With a folder of checkpoints, the run
/// resumes from the newest one, which any number of ranks may have written.
pub fn train(
    digits: &Digits,
    ranks: Option<&dyn Communicator>,
    checkpoints: Option<&str>,
) -> Result<Network<f64>, backprop::Error> {
    let examples = Examples::new(&digits.x, &digits.y)?;
    let mut network = Network::builder(SIDE * SIDE)
        .dense(25, Sigmoid)
        .dense(CLASSES, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(1))?;
    let mut trainer = Trainer::new(Objective::new(BinaryCrossEntropy).l2(1.0), Adam::new(0.01))
        .epochs(400)
        .batch_size(2048)
        .seed(1);
    if let Some(ranks) = ranks {
        trainer = trainer.distributed(ranks);
    }
    match checkpoints {
        None => {
            trainer.fit(&mut network, &examples)?;
        }
        Some(folder) => {
            let mut trainer = trainer.checkpoints(Checkpoints::new(folder), 1);
            let (_, resumed) = trainer.resume(&mut network, &examples)?;
            if ranks.is_none_or(|ranks| ranks.rank() == 0) {
                println!("started after epoch {}", resumed.epoch);
            }
        }
    }
    Ok(network)
}

/// Returns a line with a hash (FNV-1a) of all bits of θ.
pub fn line(network: &Network<f64>) -> String {
    let bytes = network.theta().iter().flat_map(|value| value.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("theta: {hash:016x}")
}
