//! Shared by our drivers and the Rust peers in `benches/peers`: the rows, their data, the command
//! line, the clock and the records. The peers include this folder by path, so it has no
//! dependencies.

// Each driver uses only a part of it.
#![allow(dead_code, unused_imports)]

mod options;
mod table;
mod timing;

pub use options::Options;
pub use table::{Data, Head, Label, Random, Row};
pub use timing::Timing;

use std::fs::File;
use std::io::Write;

/// Writes records, one per line, to the standard output and to a file if the options name one.
#[derive(Debug)]
pub struct Records {
    file: Option<File>,
}

impl Records {
    pub fn new(options: &Options) -> Result<Self, String> {
        let create = |path: &String| File::create(path).map_err(|error| format!("{path}: {error}"));
        let file = options.json.as_ref().map(create).transpose()?;
        Ok(Self { file })
    }

    /// Writes one JSON object. `check` is the cost J of a training step, or Σ a²/m of an inference.
    /// All implementations must agree on `check`.
    pub fn write(
        &mut self,
        implementation: &str,
        (row, train): Label<'_>,
        dtype: &str,
        threads: usize,
        check: f64,
        timing: &Timing,
    ) -> Result<(), String> {
        let name = if train { "loss" } else { "norm" };
        self.line(&format!(
            "{{\"impl\": \"{implementation}\", \"row\": \"{row}\", \"dtype\": \"{dtype}\", \
             \"threads\": {threads}, \"median_us\": {:.4}, \"min_us\": {:.4}, \
             \"foreign\": {:.3}, \"{name}\": {check:e}}}",
            timing.median_us, timing.min_us, timing.foreign,
        ))
    }

    /// Reports a row that cannot be measured, and why.
    pub fn refuse(
        &mut self,
        implementation: &str,
        row: &str,
        dtype: &str,
        threads: usize,
        why: &str,
    ) -> Result<(), String> {
        self.line(&format!(
            "{{\"impl\": \"{implementation}\", \"row\": \"{row}\", \"dtype\": \"{dtype}\", \
             \"threads\": {threads}, \"error\": {why:?}}}",
        ))
    }

    pub fn line(&mut self, line: &str) -> Result<(), String> {
        println!("{line}");
        if let Some(file) = &mut self.file {
            writeln!(file, "{line}").map_err(|error| format!("--json: {error}"))?;
        }
        Ok(())
    }
}
