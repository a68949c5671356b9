//! ONNX: whole networks, both ways.

mod alike;
mod exported;
pub(crate) mod made;
mod networks;
mod not_layers;
mod operators;
mod products;
mod python;
mod refused;
mod written;
