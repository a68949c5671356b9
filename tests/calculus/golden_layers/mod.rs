//! Networks of every layer, against values from other programs.
//!
//! The folder is `tests/golden/layers/`, or the one that the environment variable
//! `BACKPROP_GOLDEN_LAYERS` names. Its README explains the format and the bounds.
//! `cargo test golden_layers -- --nocapture` prints a summary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "as in the tests that call these functions"
)]

use backprop::Workspace;
use case::{Case, Read};
use compare::{File, Tally, Worst};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

mod case;
mod compare;
mod fields;
mod modes;
mod runner;
mod state;

#[test]
fn every_case_agrees() {
    let other = env::var_os("BACKPROP_GOLDEN_LAYERS").map(PathBuf::from);
    match run(other.as_deref().unwrap_or(&golden())) {
        // The harness may have begun a line with the name of the test.
        Ok(summary) => println!("\n{}", summary.line()),
        Err(failures) => panic!("{} failures:\n{}", failures.len(), failures.join("\n")),
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layers")
}

/// What became of the files of a folder.
#[derive(Debug, Default)]
struct Summary {
    /// The number of files, skipped ones included, and of those in `extreme/`.
    cases: usize,
    extreme: usize,
    tally: Tally,
    skipped: usize,
    /// The number of skipped files that have each type.
    types: BTreeMap<&'static str, usize>,
}

impl Summary {
    fn line(&self) -> String {
        let worst = |worst: &Option<Worst>| match worst {
            Some(Worst { ratio, case, field }) => format!("{ratio:.1e} ({case}, {})", field.name()),
            None => "of nothing".to_owned(),
        };
        let compared = self.tally.compared.iter();
        let compared = compared.map(|(field, n)| format!("{} {n}", field.name()));
        let types = self.types.iter().map(|(kind, n)| format!("{kind} {n}"));
        format!(
            "golden layers: {} cases, {} extreme, worst error/bound f64 {}, f32 {}; compared: {}; \
             skipped: {} (types {})",
            self.cases,
            self.extreme,
            worst(&self.tally.worst_f64),
            worst(&self.tally.worst_f32),
            list(compared),
            self.skipped,
            list(types),
        )
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        return "none".to_owned();
    }
    items.join(", ")
}

/// Runs every `*.json` of a folder and of its `extreme/`, if there is one. Returns every failure as
/// "file: field: reason".
fn run(folder: &Path) -> Result<Summary, Vec<String>> {
    let (mut summary, mut failures) = (Summary::default(), Vec::new());
    let mut workspace = Workspace::new();
    let extreme = folder.join("extreme");
    let mut folders = vec![(folder, false)];
    if extreme.exists() {
        folders.push((&extreme, true));
    }
    for (folder, extreme) in folders {
        for path in files(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let text = fs::read_to_string(&path).map_err(|error| format!("the file: {error}"));
            let name = &*name;
            let file = File { name, extreme };
            let found = text.map(|text| summary.examine(&text, file, &mut workspace));
            let found = found.unwrap_or_else(|failure| vec![failure]);
            let found = found.iter().map(|failure| format!("{name}: {failure}"));
            failures.extend(found);
            *(if extreme {
                &mut summary.extreme
            } else {
                &mut summary.cases
            }) += 1;
        }
    }
    if failures.is_empty() {
        Ok(summary)
    } else {
        Err(failures)
    }
}

/// Returns every `*.json` of a folder. Fails if there is none.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Vec<String>> {
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
    Ok(files)
}

impl Summary {
    /// Compares a case, or counts it as skipped. Returns the failures.
    fn examine(
        &mut self,
        text: &str,
        file: File<'_>,
        workspace: &mut Workspace<f64>,
    ) -> Vec<String> {
        match Case::read(text) {
            Ok(Read::Case(case)) => case.check(file, workspace, &mut self.tally),
            Ok(Read::Skipped(types)) => {
                self.skipped += 1;
                for kind in types {
                    *self.types.entry(kind).or_default() += 1;
                }
                Vec::new()
            }
            Err(failure) => vec![failure],
        }
    }
}
