//! Dense layers as plain data (feature `serde`).

use super::dense::Dense;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The serialised form.
#[derive(Serialize)]
#[serde(rename = "Dense")]
struct Written<'a, A> {
    inputs: usize,
    outputs: usize,
    activation: &'a A,
    /// Omitted from JSON if it is `true`: earlier files do not have it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    bias: Option<bool>,
}

/// Serialises the flag itself, without the `Option`.
fn plain<S: Serializer>(flag: &Option<bool>, serializer: S) -> Result<S::Ok, S::Error> {
    flag.unwrap_or(true).serialize(serializer)
}

#[derive(Deserialize)]
#[serde(rename = "Dense", deny_unknown_fields)]
struct Read<A> {
    inputs: usize,
    outputs: usize,
    activation: A,
    #[serde(default = "yes")]
    bias: bool,
}

fn yes() -> bool {
    true
}

impl<A: Serialize> Serialize for Dense<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_written = !serializer.is_human_readable() || !self.bias;
        let written = Written {
            inputs: self.inputs,
            outputs: self.outputs,
            activation: &self.activation,
            bias: is_written.then_some(self.bias),
        };
        written.serialize(serializer)
    }
}

impl<'de, A: Deserialize<'de>> Deserialize<'de> for Dense<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        Ok(Self {
            inputs: read.inputs,
            outputs: read.outputs,
            activation: read.activation,
            bias: read.bias,
        })
    }
}
