//! What several tests share: the laws of the activations, random networks and custom layers.

#![allow(dead_code, unused_imports, reason = "no test binary uses all of this")]

pub(crate) mod custom_types;
mod laws;
mod networks;

pub(crate) use laws::{SELU_FLOOR, SELU_SLOPE, Shape, activations, hidden_activations, laws};
pub(crate) use networks::{Case, cases, config};
