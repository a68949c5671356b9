//! Reads `values.json`, where each library's matrices have its own layout, and compares with it.

use backprop::nalgebra::DMatrix;
use backprop::row_major;
use serde_json::Value;
use std::sync::LazyLock;

static VALUES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("values.json")).unwrap());

/// The value at a JSON pointer.
pub(crate) fn value(pointer: &str) -> &'static Value {
    VALUES
        .pointer(pointer)
        .unwrap_or_else(|| panic!("{pointer} is not in values.json"))
}

pub(crate) fn number(pointer: &str) -> f64 {
    value(pointer).as_f64().unwrap()
}

/// The numbers of a nested list, row by row.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(entries) => entries.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

/// A list of examples, one per row, as this crate's matrix with one example per column.
pub(crate) fn example_columns(pointer: &str) -> DMatrix<f64> {
    let rows = value(pointer);
    let features = rows[0].as_array().unwrap().len();
    row_major(&numbers(rows), features).unwrap().clone_owned()
}

/// Weights (units × inputs, as in this crate) and biases of each layer, of parameters or a
/// gradient.
pub(crate) fn layers(pointer: &str) -> Vec<(DMatrix<f64>, Vec<f64>)> {
    let value = value(pointer);
    let weights = value["weights"].as_array().unwrap();
    let biases = value["biases"].as_array().unwrap();
    assert_eq!((weights.len(), biases.len()), (2, 2));
    let layers = weights.iter().zip(biases).map(|(weights, bias)| {
        let (rows, bias) = (weights.as_array().unwrap().len(), numbers(bias));
        let entries = numbers(weights);
        let weights = if pointer.starts_with("/torch") {
            DMatrix::from_row_slice(rows, entries.len() / rows, &entries)
        } else {
            // Row-major inputs × units has the memory layout of column-major units × inputs.
            row_major(&entries, bias.len()).unwrap().clone_owned()
        };
        assert_eq!(weights.nrows(), bias.len());
        (weights, bias)
    });
    layers.collect()
}

/// The same as a list of blocks: weights and bias of each layer in turn.
pub(crate) fn blocks(layers: &[(DMatrix<f64>, Vec<f64>)]) -> Vec<Vec<f64>> {
    let pair =
        |(weights, bias): &(DMatrix<f64>, Vec<f64>)| [weights.as_slice().to_vec(), bias.clone()];
    layers.iter().flat_map(pair).collect()
}

/// A loss, and its gradient as a list of blocks: the weights and the bias of each layer in turn.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    pub(crate) loss: f64,
    pub(crate) gradient: Vec<Vec<f64>>,
}

/// The results of a library.
pub(crate) fn theirs(case: &str) -> Pass {
    Pass {
        loss: number(&format!("{case}/loss")),
        gradient: blocks(&layers(case)),
    }
}

impl Pass {
    pub(crate) fn times(mut self, factor: f64) -> Self {
        self.loss *= factor;
        self.gradient
            .iter_mut()
            .flatten()
            .for_each(|d| *d *= factor);
        self
    }

    pub(crate) fn plus(mut self, other: &Self) -> Self {
        self.loss += other.loss;
        let entries = self.gradient.iter_mut().flatten();
        entries
            .zip(other.gradient.iter().flatten())
            .for_each(|(d, o)| *d += o);
        self
    }

    #[track_caller]
    pub(crate) fn assert_is(&self, expected: &Self) {
        assert_close(&[self.loss], &[expected.loss]);
        assert_blocks(&self.gradient, &expected.gradient);
    }
}

/// Asserts equality within 1e-12 of the largest entry.
#[track_caller]
pub(crate) fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0, |max: f64, e| max.max(e.abs()));
    let close = |(f, e): (&f64, &f64)| (f - e).abs() <= 1e-12 * largest;
    assert!(
        found.iter().zip(expected).all(close),
        "{found:?} is not {expected:?}"
    );
}

/// The same, block by block.
#[track_caller]
pub(crate) fn assert_blocks(found: &[Vec<f64>], expected: &[Vec<f64>]) {
    assert_eq!((found.len(), expected.len()), (4, 4));
    for (found, expected) in found.iter().zip(expected) {
        assert_close(found, expected);
    }
}
