//! Labels, scalers, splits and permutations: values by hand, values of scikit-learn, and
//! properties.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

mod exact;
mod labels;
mod saved;
mod scalers;
mod shuffles;
mod splits;
mod tables;

use backprop::nalgebra::DMatrix;
use backprop::rand_xoshiro::Xoshiro256PlusPlus;
use backprop::rand_xoshiro::rand_core::Rng;
use backprop::row_major;
use serde_json::Value;
use std::sync::LazyLock;

/// Values of scikit-learn, from `generate.py`.
static VALUES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("values.json")).unwrap());

/// Reads a JSON list.
fn list<V: serde::de::DeserializeOwned>(value: &Value) -> Vec<V> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Reads a list of examples (one per row) as a matrix with one example per column.
fn example_columns(value: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = list(value);
    let features = rows[0].len();
    row_major(&rows.concat(), features).unwrap().clone_owned()
}

/// Draws uniformly from \[−1, 1).
fn uniform(rng: &mut Xoshiro256PlusPlus) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}
