//! ONNX: whole networks, both ways.

mod made;
mod networks;
mod operators;
mod products;
mod python;
mod refused;
mod written;
