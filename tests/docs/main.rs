//! The pages match the code: rustdoc shows the sources, names exist, and links work in
//! both directions.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    reason = "test helpers may panic to fail tests"
)]

mod compiler_messages;
mod counts;
mod examples_compile;
mod line_length;
mod pages;
mod render;
mod rustdoc;
mod site;

use render::{definitions, equations, path, read};
use std::collections::{BTreeMap, BTreeSet};

/// Compares a page with its source. `BACKPROP_RENDER=1 cargo test --test docs` writes the page.
fn assert_rendered(file: &str, expected: &str) {
    if std::env::var_os("BACKPROP_RENDER").is_some() {
        std::fs::write(path(file), expected).unwrap();
    }
    assert!(
        read(file) == expected,
        "{file} does not match its source: BACKPROP_RENDER=1 cargo test --test docs"
    );
}

#[test]
fn rendered_pages_are_those_of_their_sources() {
    let derivation = render::derivation(&read("docs/derivation.md"));
    assert!(!derivation.contains('$'), "a formula was left over");
    assert_rendered("docs/rendered/derivation.md", &derivation);
    assert_rendered(
        "docs/rendered/pictures.md",
        &render::pictures(&read("README.md")),
    );
}

/// Returns the documentation of an item in a file of this repository, if the item exists.
fn documentation(file: &str, name: &str) -> Option<String> {
    let source = read(file);
    let item = name.rsplit("::").next()?;
    let lines: Vec<&str> = source.lines().collect();
    let names = |rest: &str| {
        let rest = rest.strip_prefix(item);
        rest.is_some_and(|rest| rest.starts_with([',', ' ', '(', '<', ':', ';']))
    };
    let code = |line: &'_ str| line.trim_start().trim_start_matches("pub ").to_owned();
    let defines = |line: &str| {
        let kinds = ["fn ", "struct ", "enum ", "trait "];
        let line = code(line);
        kinds
            .iter()
            .any(|k| line.strip_prefix(k).is_some_and(names))
    };
    let documented = |i: usize| {
        let above = lines[..i].iter().rev();
        let above = above.take_while(|l| l.trim_start().starts_with(['/', '#']));
        let docs: Vec<&str> = above.copied().filter(|l| l.contains("///")).collect();
        docs.into_iter().rev().collect::<Vec<_>>().join("\n")
    };
    // If no function or type has the name, it is a variant or a field.
    let found = (0..lines.len()).find(|&i| defines(lines[i]));
    let found = found.or_else(|| (0..lines.len()).find(|&i| names(&code(lines[i]))));
    found.map(documented)
}

/// Every formula names the functions that compute it. They exist, and their documentation links
/// back to the formula by its number.
#[test]
fn formulae_and_functions_name_each_other() {
    let page = read("docs/derivation.md");
    let (equations, files) = (equations(&page), definitions(&page));
    assert!(equations.len() > 20);
    let mut linked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (i, equation) in equations.iter().enumerate() {
        assert_eq!(equation.number, (i + 1).to_string(), "in order");
        assert!(!equation.names.is_empty());
        for name in &equation.names {
            let file = files.get(format!("`{name}`").as_str());
            let file = file.unwrap_or_else(|| panic!("{name} has no link"));
            let file = file.strip_prefix("../").unwrap();
            let docs = documentation(file, name);
            let docs = docs.unwrap_or_else(|| panic!("{file} does not define {name}"));
            let back = format!(
                "[({})](crate::derivation#{})",
                equation.number, equation.anchor
            );
            assert!(
                docs.contains(&back),
                "{name} in {file} does not link to {back}"
            );
            linked.entry(file.to_owned()).or_default().insert(back);
        }
    }
    // If a source file links to an equation, the equation names something in that file.
    for file in sources("src") {
        let source = read(&file);
        for (start, _) in source.match_indices("(crate::derivation#") {
            let open = source[..start].rfind('[').unwrap();
            let end = start + source[start..].find(')').unwrap() + 1;
            let link = &source[open..end];
            let known = linked.get(&file).is_some_and(|links| links.contains(link));
            assert!(known, "{file}: {link}");
        }
    }
    // Every link definition is used, and every link is defined.
    let labels: BTreeSet<&str> = files
        .keys()
        .copied()
        .filter(|l| l.starts_with('`'))
        .collect();
    let used = page.lines().filter(|line| !line.starts_with('['));
    let used = used.flat_map(|line| line.split("[`").skip(1));
    let used: BTreeSet<String> = used
        .map(|l| format!("`{}`", l.split('`').next().unwrap()))
        .collect();
    assert_eq!(
        used.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        labels
    );
}

fn sources(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files.extend(sources(&name));
        } else if name.ends_with(".rs") {
            files.push(name);
        }
    }
    files.sort();
    files
}

/// The README links to types that exist. rustdoc's front page overrides every link to a file.
#[test]
fn names_on_the_front_page_exist() {
    let (readme, lib) = (read("README.md"), read("src/lib.rs"));
    let pictures = read("docs/rendered/pictures.md");
    let (overrides, pictures) = (definitions(&pictures), pictures.as_str());
    assert!(pictures.lines().count() == overrides.len() && !overrides.is_empty());
    for (label, file) in definitions(&readme) {
        let file = file.split('#').next().unwrap();
        assert!(path(file).exists(), "[{label}]: {file}");
        if label.starts_with('`') {
            let name = label.trim_matches('`');
            assert!(
                file.ends_with("mod.rs") && file.contains(name)
                    || documentation(file, name).is_some(),
                "{file} does not define {name}"
            );
        }
        let overridden = overrides.contains_key(label) || lib.contains(&format!("[{label}]: "));
        assert!(overridden, "src/lib.rs does not define [{label}]");
    }
}

/// Every row about another library names the test that proves it, in the order of the tests.
#[test]
fn conventions_are_tested() {
    let page = read("docs/conventions.md");
    let torch = ["torch", "torch_batch_norm", "torch_layers"];
    let files = [&["sklearn"], &torch[..], &["keras", "keras_layers", "mod"]].concat();
    let tests = files
        .iter()
        .map(|file| read(&format!("tests/calculus/conventions/{file}.rs")));
    let tests: String = tests.collect();
    let section = page
        .split("## Losses, penalties and layers")
        .nth(1)
        .unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let (mut places, mut heads) = (Vec::new(), 0);
    for row in rows {
        let Some((_, test)) = row.split_once("<!-- ") else {
            heads += 1;
            assert!(row.ends_with("| here |"), "{row}");
            continue;
        };
        let test = test.strip_suffix(" --> |").unwrap();
        let defined = tests.find(&format!("#[test]\nfn {test}()"));
        let place = defined.unwrap_or_else(|| panic!("{test} is not a test"));
        assert!(places.last() < Some(&place), "{test} is out of order");
        places.push(place);
    }
    assert!(heads == 4 && places.len() > 20, "{heads} {}", places.len());
}

/// Returns the words in backticks in the first cells of a Markdown table, which follows a line of
/// headings.
fn first_cells(page: &str, heading: &str) -> Vec<String> {
    let table = page.split(heading).nth(1);
    let table = table.unwrap_or_else(|| panic!("no table {heading}"));
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let names = rows.flat_map(|row| {
        let cell = row.split('|').nth(1).unwrap();
        let quoted = cell.split('`').skip(1).step_by(2);
        quoted.map(str::to_owned).collect::<Vec<_>>()
    });
    names.collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn readme_lists_every_example_and_feature() {
    let readme = read("README.md");
    assert!(readme.lines().count() < 180);
    let mut examples = Vec::new();
    for entry in std::fs::read_dir(path("examples")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        match name.strip_suffix(".rs") {
            Some(name) => examples.push(name.to_owned()),
            None if entry.path().join("main.rs").exists() => examples.push(name),
            None => {}
        }
    }
    let listed = first_cells(&readme, "| `cargo run --release --example …` | shows |\n");
    assert_eq!(sorted(listed), sorted(examples));

    let manifest = read("Cargo.toml");
    let features = manifest.split("[features]").nth(1).unwrap();
    let features = features.split("\n[").next().unwrap().lines();
    let features = features.filter_map(|line| line.split_once(" = "));
    let features = features
        .map(|(name, _)| name)
        .filter(|name| *name != "default" && !name.starts_with('_'));
    let listed = first_cells(&readme, "| feature | adds |\n");
    assert_eq!(
        sorted(listed),
        sorted(features.map(str::to_owned).collect())
    );
}

/// The speed rows of the README are those of `benches/RESULTS.md`.
#[test]
fn readme_quotes_the_results() {
    let (readme, results) = (read("README.md"), read("benches/RESULTS.md"));
    let single = results.split("## f32, 1 thread\n").nth(1).unwrap();
    let single = single.split("\nMedians:").next().unwrap();
    let rows = readme.split("| row | network, batch | ours | best peer | ratio |\n");
    let rows = rows.last().unwrap().lines().skip(1);
    let rows: Vec<&str> = rows.take_while(|row| row.starts_with('|')).collect();
    assert_eq!(rows.len(), 5);
    for row in rows {
        let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let name = cells[0].trim_matches('`');
        let measured = format!("| {name} | {} |", cells[2..].join(" | "));
        assert!(single.contains(&measured), "{measured}");
    }
}

/// The times in the table of the derivatives are the ranges that `benches/DERIVATIVES.md` measured.
#[test]
fn derivatives_quote_their_times() {
    let (methods, measured) = (
        read("src/derivatives/mod.rs"),
        read("benches/DERIVATIVES.md"),
    );
    let (_, table) = measured.split_once("\n## All calls\n").unwrap();
    let rows = table.lines().filter(|row| row.starts_with("| `"));
    let rows: Vec<&str> = rows.collect();
    assert_eq!(rows.len(), 16);
    for row in rows {
        let (call, ratios) = row[3..].split_once("` | ").unwrap();
        let ratios = ratios
            .split([' ', '|'])
            .filter_map(|cell| cell.parse().ok());
        let ratios: Vec<f64> = ratios.collect();
        let shown = |ratio: f64| {
            let digits = usize::from(ratio < 10.0);
            format!("{ratio:.digits$}")
        };
        let least = ratios.iter().copied().fold(f64::MAX, f64::min);
        let range = format!(
            "{} to {}",
            shown(least),
            shown(ratios.into_iter().fold(0.0, f64::max))
        );
        let link = match call {
            "example_gradients" => "(ExampleGradients::matrix)".into(),
            "example_gradient_norms" => "(ExampleGradients::norms)".into(),
            "for_each_example_gradient" => "(ExampleGradients::for_each)".into(),
            "clipped_sum" => "(ExampleGradients::clipped_sum)".into(),
            call => format!("(crate::Network::{})", call.trim_end_matches("_inputs")),
        };
        let mut lines = methods.lines().filter(|line| line.contains(&link));
        assert!(lines.any(|line| line.contains(&range)), "{call}: {range}");
    }
}

/// `benches/README.md` states the range of the training runs in `benches/RESULTS.md`.
#[test]
fn benches_quote_the_training_runs() {
    let (page, results) = (read("benches/README.md"), read("benches/RESULTS.md"));
    let table = results.split("| job | type | threads |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let ratios = rows.map(|row| row.trim_matches(['|', ' ']).rsplit(" | ").next().unwrap());
    let ratios: Vec<f64> = ratios.map(|ratio| ratio.parse().unwrap()).collect();
    assert_eq!(ratios.len(), 8);
    let (least, most) = (
        ratios.iter().copied().fold(f64::MAX, f64::min),
        ratios.into_iter().fold(0.0, f64::max),
    );
    let stated = format!("is {least} to {most} times as fast");
    assert!(
        page.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .contains(&stated),
        "{stated}"
    );
}

/// ARCHITECTURE.md has a row that names each file of `src`, and no row for any other file.
#[test]
fn architecture_names_every_file() {
    let page = read("ARCHITECTURE.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let mut names: Vec<&str> = rows
        .iter()
        .filter_map(|row| row.split(" | ").next())
        .collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "ARCHITECTURE.md has two rows for a file");
    let in_kernels = page.split("\n## Kernels").nth(1).unwrap();
    let in_kernels = in_kernels.split("\n## ").next().unwrap();
    for file in sources("src") {
        let file = file.strip_prefix("src/").unwrap();
        let named = match file.split_once('/') {
            None => rows.iter().any(|row| row.contains(&format!("`{file}`"))),
            Some(("kernels", name)) if name.ends_with("_tests.rs") || name == "mod.rs" => true,
            Some(("kernels", name)) => in_kernels.contains(&format!("`{name}`")),
            Some((folder, name)) => {
                // A folder within a folder is named by its own name.
                let name = match name.split_once('/') {
                    Some((inner, _)) => format!("`{inner}/`"),
                    None => format!("`{name}`"),
                };
                let folder = format!("`{folder}/`");
                let first = |row: &&&str| row.split(" | ").next().unwrap().contains(&folder);
                let row = rows.iter().find(first);
                row.is_some_and(|row| row.contains(&name) || name == "`mod.rs`")
            }
        };
        assert!(named, "ARCHITECTURE.md does not name {file}");
    }
    let words = page.split('`').skip(1).step_by(2);
    for name in words.filter(|word| word.ends_with(".rs") && !word.contains(['*', ' '])) {
        let known = sources("src")
            .iter()
            .chain(&sources("tests"))
            .any(|file| file == name || file.ends_with(&format!("/{name}")));
        assert!(known, "ARCHITECTURE.md names {name}, which does not exist");
    }
}

/// Links between files lead to existing files.
#[test]
fn links_lead_to_files() {
    let mut seen = 0;
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/conventions.md",
        "docs/derivation.md",
        "docs/json.md",
        "docs/scaling.md",
        "backprop-mpi/README.md",
        "examples/data/README.md",
        "examples/interop/README.md",
    ] {
        let (text, folder) = (read(page), path(page).parent().unwrap().to_owned());
        let inline = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in inline.chain(definitions(&text).into_values()) {
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let file = folder.join(target.split('#').next().unwrap());
            assert!(file.exists(), "{page} links to {target}");
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}
