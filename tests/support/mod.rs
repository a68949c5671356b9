//! Shared by several tests: the properties of the activations, random networks, networks that JSON
//! describes, custom layers, and comparisons of numbers.

#![allow(dead_code, unused_imports, reason = "no test binary uses all of this")]

mod activations;
pub(crate) mod custom_types;
pub(crate) mod json;
mod networks;
mod numbers;
pub(crate) mod python;
pub(crate) mod spec;

pub(crate) use activations::{
    SELU_FLOOR, SELU_SLOPE, Shape, activations, hidden_activations, known_values,
};
pub(crate) use networks::{Case, cases, config};
pub(crate) use numbers::{bits, close, dot, largest, wave, wave_matrix};
