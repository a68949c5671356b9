//! ONNX: whole networks, both ways.

mod networks;
mod python;
mod written;
