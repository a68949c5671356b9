//! Every model of a folder, through every kind of file.
//!
//! The folder is `tests/golden/interchange/`, or the one that the environment variable
//! `BACKPROP_INTERCHANGE` names. Its README explains the format and the bounds.

use super::awkward;
use super::kind::Kind;
use super::models::{Ratios, Read, check_names};
use crate::support::json::At;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

#[test]
fn interchange_of_every_model_agrees() {
    let other = env::var_os("BACKPROP_INTERCHANGE").map(PathBuf::from);
    match run(other.as_deref().unwrap_or(&golden())) {
        // The harness may have begun a line with the name of the test.
        Ok(summary) => println!("\n{}", summary.line()),
        Err(failures) => panic!("{} failures:\n{}", failures.len(), failures.join("\n")),
    }
}

pub(crate) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/interchange")
}

/// What became of the files of a folder.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Skipped ones included.
    models: usize,
    awkward: usize,
    /// The worst quotients of error and bound, and where.
    f64: Option<Worst>,
    f32: Option<Worst>,
    skipped: usize,
    /// The number of skipped models that have each type.
    types: BTreeMap<&'static str, usize>,
}

#[derive(Debug)]
struct Worst {
    ratio: f64,
    file: String,
}

impl Summary {
    pub(crate) fn line(&self) -> String {
        let worst = |worst: &Option<Worst>| match worst {
            Some(Worst { ratio, file }) => format!("{ratio:.1e} ({file})"),
            None => "of nothing".to_owned(),
        };
        let types = self.types.iter().map(|(kind, n)| format!("{kind} {n}"));
        let mut types = types.collect::<Vec<_>>().join(", ");
        if types.is_empty() {
            types = "none".to_owned();
        }
        format!(
            "interchange: {} models, {} awkward, worst error/bound f64 {} f32 {}; \
             skipped: {} (types {types})",
            self.models,
            self.awkward,
            worst(&self.f64),
            worst(&self.f32),
            self.skipped,
        )
    }

    fn skip(&mut self, types: BTreeSet<&'static str>) {
        self.skipped += 1;
        for kind in types {
            *self.types.entry(kind).or_default() += 1;
        }
    }

    fn worsen(&mut self, ratios: Ratios, file: &str) -> Result<(), String> {
        let both = [(&mut self.f64, ratios.f64), (&mut self.f32, ratios.f32)];
        for (worst, ratio) in both {
            if worst.as_ref().is_none_or(|worst| worst.ratio < ratio) {
                let file = file.to_owned();
                *worst = Some(Worst { ratio, file });
            }
            // False for NaN.
            let is_within = ratio <= 1.0;
            if !is_within {
                return Err(format!("{ratio:.1e} of the bound"));
            }
        }
        Ok(())
    }
}

/// Runs every model of a folder, and its `awkward/`, if there is one. Returns every failure as
/// "file: reason".
pub(crate) fn run(folder: &Path) -> Result<Summary, Vec<String>> {
    let mut summary = Summary::default();
    let mut failures = Vec::new();
    let folders = entries(folder).map_err(|failure| vec![failure])?;
    for folder in folders.iter().filter(|path| path.is_dir()) {
        let name = name(folder);
        let found = if name == "awkward" {
            summary.run_awkward(folder)
        } else {
            summary.models += 1;
            summary.run_model(folder)
        };
        let found = found.unwrap_or_else(|failure| vec![failure]);
        failures.extend(found.iter().map(|failure| format!("{name}/{failure}")));
    }
    if summary.models + summary.awkward == 0 {
        failures.push(format!("{}: no models in it", folder.display()));
    }
    if failures.is_empty() {
        Ok(summary)
    } else {
        Err(failures)
    }
}

impl Summary {
    /// Returns the failures of the files of a model.
    fn run_model(&mut self, folder: &Path) -> Result<Vec<String>, String> {
        let io = json(&folder.join("io.json"))?;
        let at = At::root(&io);
        let model = match Read::of(&at)? {
            Read::Model(model) => model,
            Read::Skipped(types) => {
                self.skip(types);
                return Ok(Vec::new());
            }
        };
        check_names(&at, &model)?;
        let mut files = entries(folder)?;
        files.retain(|file| name(file) != "io.json");
        if files.is_empty() {
            return Err("no files of the model".into());
        }
        let check = |path: &Path| match Kind::of(path)? {
            Kind::Safetensors | Kind::Npz => model.check_tensors(path),
            Kind::Onnx => model.check_onnx(path),
        };
        Ok(self.check_each(&files, &name(folder), check))
    }

    /// Returns the failures of the files of `awkward/`.
    fn run_awkward(&mut self, folder: &Path) -> Result<Vec<String>, String> {
        let expect = json(&folder.join("expect.json"))?;
        let list = At::root(&expect).list()?;
        let mut files = entries(folder)?;
        files.retain(|file| name(file) != "expect.json");
        self.awkward = files.len();
        if files.is_empty() {
            return Err("no files".into());
        }
        let mut failures = Vec::new();
        for at in &list {
            let file = folder.join(at.get("file")?.text()?);
            if !files.contains(&file) {
                failures.push(format!("{}: missing", name(&file)));
            }
        }
        for file in files {
            let is_of = |at: &&At<'_>| at.get("file").and_then(|at| at.text()) == Ok(&name(&file));
            let Some(at) = list.iter().find(is_of) else {
                failures.push(format!("{}: not in expect.json", name(&file)));
                continue;
            };
            let model = match Read::of(at)? {
                Read::Model(model) => model,
                Read::Skipped(types) => {
                    self.skip(types);
                    continue;
                }
            };
            let check = |path: &Path| match Kind::of(path)? {
                Kind::Safetensors | Kind::Npz => awkward::check_tensors(at, &model, path),
                Kind::Onnx => awkward::check_onnx(at, &model, path),
            };
            failures.extend(self.check_each(&[file], "awkward", check));
        }
        Ok(failures)
    }

    /// Checks files and returns the failures.
    fn check_each(
        &mut self,
        files: &[PathBuf],
        folder: &str,
        check: impl Fn(&Path) -> Result<Ratios, String>,
    ) -> Vec<String> {
        let mut failures = Vec::new();
        for path in files {
            let file = name(path);
            let checked = check(path);
            let checked = checked.and_then(|r| self.worsen(r, &format!("{folder}/{file}")));
            if let Err(failure) = checked {
                failures.push(format!("{file}: {failure}"));
            }
        }
        failures
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn json(path: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", name(path)))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", name(path)))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).and_then(|entries| {
        let paths = entries.map(|entry| Ok(entry?.path()));
        paths.collect::<Result<Vec<_>, std::io::Error>>()
    });
    let mut entries = entries.map_err(|error| format!("{}: {error}", folder.display()))?;
    entries.sort();
    Ok(entries)
}
