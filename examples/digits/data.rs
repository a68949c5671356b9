//! The digits: 1,797 images of 8 × 8 pixels (E. Alpaydin, C. Kaynak 1998, CC BY 4.0; see
//! `examples/data/README.md`).

use backprop::data::one_hot;
use backprop::nalgebra::DMatrix;
use std::error::Error;
use std::path::Path;

/// The number of rows at the end of the file that form the test set.
const TEST: usize = 450;
const PIXELS: usize = 64;
pub const CLASSES: usize = 10;

/// Images (64 × m, pixels in 0..=1), and their digits one-hot (10 × m).
#[derive(Debug)]
pub struct Digits {
    pub x: DMatrix<f64>,
    pub y: DMatrix<f64>,
}

/// Reads `examples/data/digits.csv` and returns the training and the test set.
pub fn load() -> Result<(Digits, Digits), Box<dyn Error>> {
    // In the root of the repository, also if the program belongs to a crate in it.
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = crate_folder
        .ancestors()
        .map(|folder| folder.join("examples/data/digits.csv"));
    let path = paths
        .find(|path| path.exists())
        .ok_or("there is no examples/data/digits.csv")?;
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (line, row) in text.lines().enumerate().skip(1) {
        let values: Vec<u8> = row.split(',').map(str::parse).collect::<Result<_, _>>()?;
        match values.split_last() {
            Some((&label, image)) if image.len() == PIXELS && usize::from(label) < CLASSES => {
                pixels.extend(image.iter().map(|&p| f64::from(p) / 16.0));
                labels.push(usize::from(label));
            }
            _ => return Err(format!("{}:{}: not a digit", path.display(), line + 1).into()),
        }
    }
    let test_labels = labels.split_off(labels.len().saturating_sub(TEST));
    let test_pixels = pixels.split_off(labels.len() * PIXELS);
    let digits = |pixels, labels: Vec<usize>| -> Result<Digits, backprop::Error> {
        Ok(Digits {
            x: DMatrix::from_vec(PIXELS, labels.len(), pixels),
            y: one_hot(&labels, CLASSES)?,
        })
    };
    Ok((digits(pixels, labels)?, digits(test_pixels, test_labels)?))
}
