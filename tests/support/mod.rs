//! Shared by several tests: the properties of the activations, random networks and custom layers.

#![allow(dead_code, unused_imports, reason = "no test binary uses all of this")]

mod activations;
pub(crate) mod custom_types;
mod networks;

pub(crate) use activations::{
    SELU_FLOOR, SELU_SLOPE, Shape, activations, hidden_activations, known_values,
};
pub(crate) use networks::{Case, cases, config};
