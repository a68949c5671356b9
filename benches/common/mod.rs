//! What our driver and the Rust peers in `benches/peers` have in common: the rows, their data, the command line, the clock and
//! the record. The peers include this folder by path, so it depends on nothing.

// Each user takes a part of it.
#![allow(dead_code, unused_imports)]

mod options;
mod table;
mod timing;

pub use options::Options;
pub use table::{Data, Head, Random, Row};
pub use timing::Timing;

use std::fs::File;
use std::io::Write;

/// Where the records go: a line each on the standard output, and into a file if one is asked for.
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

    /// One JSON object. `check` is the cost J of a training step, or Σ a²/m of an inference: all implementations have to agree on it.
    pub fn write(
        &mut self,
        implementation: &str,
        row: &Row,
        dtype: &str,
        threads: usize,
        check: f64,
        timing: &Timing,
    ) -> Result<(), String> {
        let name = if row.train { "loss" } else { "norm" };
        self.line(&format!(
            "{{\"impl\": \"{implementation}\", \"row\": \"{}\", \"dtype\": \"{dtype}\", \"threads\": {threads}, \
             \"median_us\": {:.4}, \"min_us\": {:.4}, \"foreign\": {:.3}, \"{name}\": {check:e}}}",
            row.name, timing.median_us, timing.min_us, timing.foreign,
        ))
    }

    /// What cannot be measured, and why.
    pub fn refuse(
        &mut self,
        implementation: &str,
        row: &Row,
        dtype: &str,
        threads: usize,
        why: &str,
    ) -> Result<(), String> {
        self.line(&format!(
            "{{\"impl\": \"{implementation}\", \"row\": \"{}\", \"dtype\": \"{dtype}\", \"threads\": {threads}, \"error\": {why:?}}}",
            row.name,
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
