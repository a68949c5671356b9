//! J, its gradients and the outputs of every case in a folder, against values from other programs.
//!
//! The folder is `tests/golden/`, or the one that the environment variable `BACKPROP_GOLDEN` names.
//! `tests/golden/README.md` explains the format and the bounds. `cargo test golden -- --nocapture`
//! prints a summary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "as in the tests that call these functions"
)]

use backprop::Workspace;
use case::{Case, relative_error};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

mod case;
mod fields;
mod runner;

/// The bound on every field in `f64`.
const BOUND_F64: f64 = 1e-12;

/// The bound in `f32`. It grows if rounding only the inputs moves the field by more than an eighth
/// of it.
const BOUND_F32: f64 = 1e-5;

#[test]
fn every_case_agrees() {
    let folder = match env::var_os("BACKPROP_GOLDEN") {
        Some(folder) => PathBuf::from(folder),
        None => golden(),
    };
    match run(&folder) {
        // The harness may have begun a line with the name of the test.
        Ok(summary) => println!("\n{}", summary.line()),
        Err(failures) => panic!("{} failures:\n{}", failures.len(), failures.join("\n")),
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The number of cases that agreed, and how closely.
#[derive(Debug, Default)]
struct Summary {
    cases: usize,
    /// The largest relative error and its case.
    worst_f64: (f64, String),
    worst_f32: (f64, String),
    /// The number of comparisons per field.
    compared: BTreeMap<&'static str, usize>,
}

impl Summary {
    fn line(&self) -> String {
        let ((e64, case64), (e32, case32)) = (&self.worst_f64, &self.worst_f32);
        let counts = self.compared.iter();
        let counts: Vec<String> = counts.map(|(field, n)| format!("{field} {n}")).collect();
        format!(
            "golden: {} cases, worst relative error f64 {e64:.1e} ({case64}), f32 {e32:.1e} \
             ({case32}); compared: {}",
            self.cases,
            counts.join(", ")
        )
    }
}

/// Runs every `*.json` of a folder and returns every failure as "file: field: reason".
fn run(folder: &Path) -> Result<Summary, Vec<String>> {
    let unreadable = |error| vec![format!("{}: {error}", folder.display())];
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        files.push(entry.map_err(unreadable)?.path());
    }
    files.retain(|file| file.extension().is_some_and(|e| e == "json"));
    files.sort();
    if files.is_empty() {
        return Err(vec![format!("{}: no *.json in it", folder.display())]);
    }
    let (mut summary, mut failures) = (Summary::default(), Vec::new());
    let mut workspace = Workspace::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let case = fs::read_to_string(&file)
            .map_err(|error| format!("the file: {error}"))
            .and_then(|text| Case::read(&text));
        let found = match case {
            Ok(case) => case.check(&name, &mut workspace, &mut summary),
            Err(failure) => vec![failure],
        };
        failures.extend(found.iter().map(|failure| format!("{name}: {failure}")));
        summary.cases += 1;
    }
    if failures.is_empty() {
        Ok(summary)
    } else {
        Err(failures)
    }
}

impl Case {
    /// Compares every field and returns the failures.
    fn check(
        &self,
        name: &str,
        workspace: &mut Workspace<f64>,
        summary: &mut Summary,
    ) -> Vec<String> {
        let mut failures = Vec::new();
        // With NaN, no result of the previous case can pass for one of this case.
        workspace.fill(f64::NAN);
        match self.fields(|x| x, |x| x, workspace) {
            Err(error) => failures.push(format!("f64 pass: {error}")),
            Ok(found) => {
                for (field, found) in &found {
                    let Some(expected) = self.expected(field) else {
                        continue; // a null in the file
                    };
                    let error = relative_error(found, expected);
                    if !within(error, BOUND_F64) {
                        failures.push(format!("{field}: f64 error {error:e} > {BOUND_F64:e}"));
                    }
                    worsen(&mut summary.worst_f64, error, name);
                    *summary.compared.entry(field).or_default() += 1;
                }
            }
        }
        // The best that f32 can do: the same computation in f64, from inputs rounded to f32.
        let rounded = self.fields(|x| f64::from(x as f32), |x| x, workspace);
        let single = self.fields(|x| x as f32, f64::from, &mut Workspace::new());
        match rounded.and_then(|rounded| Ok((rounded, single?))) {
            Err(error) => failures.push(format!("f32 pass: {error}")),
            Ok((rounded, single)) => {
                for ((field, found), (_, rounded)) in single.iter().zip(&rounded) {
                    let Some(expected) = self.expected(field).filter(|_| *field != "hessian")
                    else {
                        continue;
                    };
                    let unavoidable = relative_error(rounded, expected);
                    let bound = BOUND_F32.max(8.0 * unavoidable);
                    let error = relative_error(found, expected);
                    if !within(error, bound) {
                        failures.push(format!("{field}: f32 error {error:e} > {bound:e}"));
                    }
                    worsen(&mut summary.worst_f32, error, name);
                }
            }
        }
        failures
    }

    fn expected(&self, field: &str) -> Option<&Vec<Vec<f64>>> {
        let found = self.expected.iter().find(|(name, _)| *name == field);
        found.map(|(_, expected)| expected)
    }
}

/// False if the error or the bound is infinite or NaN.
fn within(error: f64, bound: f64) -> bool {
    error <= bound && bound.is_finite()
}

fn worsen(worst: &mut (f64, String), error: f64, case: &str) {
    if worst.1.is_empty() || error > worst.0 {
        *worst = (error, case.trim_end_matches(".json").to_owned());
    }
}
