//! Every example of the documentation compiles in a user's crate that depends only on this one,
//! serde_json and, for recipes, ndarray. `cargo test --doc` does not show this, because it also
//! sees the development dependencies and the features that they turn on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An example: its place and its lines.
pub struct Example {
    pub file: String,
    pub line: usize,
    pub code: String,
}

impl Example {
    /// Returns the module for this example.
    fn module(&self) -> String {
        let file = self.file.trim_end_matches(".rs").trim_end_matches(".md");
        let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let file: String = file.chars().map(word).collect();
        format!("{}_line_{}", file.to_lowercase(), self.line)
    }

    /// Returns the source in the form in which rustdoc wraps it.
    fn source(&self) -> String {
        let code = &self.code;
        if code.contains("fn main()") {
            return code.clone();
        }
        let result = match code.trim_end().ends_with("(())") {
            true => " -> Result<(), impl std::fmt::Debug>",
            false => "",
        };
        format!("fn main(){result} {{\n{code}}}\n")
    }
}

/// Returns whether a code block with these words after its fence is Rust to compile.
fn is_compiled(words: &str) -> bool {
    let known = ["rust", "no_run", "should_panic"];
    let mut words = words.split([',', ' ']).filter(|word| !word.is_empty());
    words.all(|word| known.contains(&word))
}

/// Returns the code blocks of a Markdown page. Each line has its number in the file.
fn examples_of(file: &str, page: &[(usize, &str)]) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut lines = page.iter();
    while let Some((line, text)) = lines.next() {
        let Some(words) = text.trim_start().strip_prefix("```") else {
            continue;
        };
        let mut code = String::new();
        let block = lines.by_ref().take_while(|(_, text)| text.trim() != "```");
        for (_, text) in block {
            let shown = text.trim_start();
            let text = match shown.strip_prefix('#') {
                Some("") => "",
                Some(hidden) if hidden.starts_with(' ') => &hidden[1..],
                Some(doubled) if doubled.starts_with('#') => doubled,
                _ => text,
            };
            writeln!(code, "{text}").unwrap();
        }
        if is_compiled(words) {
            let (file, line) = (file.to_owned(), *line);
            examples.push(Example { file, line, code });
        }
    }
    examples
}

/// Returns the documentation lines of a source file with all features on. Other lines are empty.
fn documentation(source: &str) -> Vec<&str> {
    fn text(line: &str) -> Option<&str> {
        let line = line.trim_start();
        if let Some(text) = line.strip_prefix("///").or(line.strip_prefix("//!")) {
            return Some(text.strip_prefix(' ').unwrap_or(text));
        }
        // A condition holds, and its negation does not.
        let attribute = line.trim_start_matches('#').trim_start_matches('!');
        let attribute = attribute.strip_prefix("[cfg_attr(feature = ")?;
        attribute.split_once("doc = \"")?.1.strip_suffix("\")]")
    }
    source
        .lines()
        .map(|line| text(line).unwrap_or(""))
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

fn all_examples(root: &Path) -> Vec<Example> {
    let mut files = vec![root.join("README.md"), root.join("docs/derivation.md")];
    sources(&root.join("src"), &mut files);
    files.sort();
    let of = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = match path.extension().is_some_and(|end| end == "rs") {
            true => documentation(&text),
            false => text.lines().collect(),
        };
        let page: Vec<(usize, &str)> = (1..).zip(lines).collect();
        let file = path.strip_prefix(root).unwrap().to_str().unwrap();
        examples_of(file, &page)
    };
    files.iter().flat_map(of).collect()
}

/// Returns the optional features in the manifest.
pub fn features(manifest: &str) -> Vec<&str> {
    let section = manifest
        .split("\n[")
        .find_map(|part| part.strip_prefix("features]"));
    let names = section
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once(" = "));
    names
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with('#'))
        .collect()
}

/// Writes the file only if it differs, so that nothing is compiled twice.
fn write(path: &Path, content: &str) {
    if fs::read_to_string(path).ok().as_deref() != Some(content) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Checks the examples in a crate of this name with these features, and returns the compiler's
/// errors, if any.
pub fn errors(name: &str, features: &[&str], examples: &[&Example]) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let user = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let manifest = format!(
        "[package]\nname = {name:?}\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         backprop = {{ path = {root:?}, features = {features:?} }}\nserde_json = \"1\"\n\
         ndarray = {{ version = \"0.17\", default-features = false }}\n"
    );
    write(&user.join("Cargo.toml"), &manifest);
    // The same versions as this crate uses, which are already downloaded.
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
    fs::write(user.join("Cargo.lock"), lock).unwrap();
    let mut modules = String::from("#![allow(unused)]\n\n");
    for example in examples {
        let module = example.module();
        writeln!(modules, "mod {module};").unwrap();
        write(&user.join(format!("src/{module}.rs")), &example.source());
    }
    write(&user.join("src/lib.rs"), &modules);

    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    // In this crate's target folder, to share builds.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    cargo.args(["check", "--offline", "--quiet", "--target-dir"]);
    cargo.arg(target).current_dir(&user);
    let done = cargo.output().unwrap();
    let errors = || String::from_utf8_lossy(&done.stderr).into_owned();
    (!done.status.success()).then(errors)
}

/// Asserts that the examples compile.
fn check(name: &str, features: &[&str], examples: &[&Example]) {
    if let Some(errors) = errors(name, features, examples) {
        panic!("{name} cannot compile\n{errors}");
    }
}

#[test]
fn every_example_of_the_documentation_compiles_for_a_user() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = all_examples(root);
    let found = |file: &str| examples.iter().filter(|e| e.file == file).count();
    assert!(examples.len() > 120, "{} examples", examples.len());
    assert_eq!((found("README.md"), found("docs/derivation.md")), (2, 1));

    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let mut features = features(&manifest);
    assert!(features.contains(&"num-dual") && features.len() > 7);
    // num-dual turns on more of nalgebra than this crate does, such as its macros. The examples
    // that do without it are compiled without it. With it, rustdoc compiles them too.
    let dual = ["dual", "from_fn("];
    let needs_dual = |e: &&Example| dual.iter().any(|word| e.code.contains(word));
    let (with, without): (Vec<_>, Vec<_>) = examples.iter().partition(needs_dual);
    assert!(without.len() > 110, "{} examples", without.len());
    assert!(with.len() > 3, "{} examples", with.len());
    check("with-num-dual", &features, &with);
    features.retain(|feature| *feature != "num-dual");
    check("without-num-dual", &features, &without);
}
