//! The pages count and list the built-in activations and costs correctly.

use super::render::read;

/// Returns the names of the variants of an enum.
fn variants(file: &str, name: &str) -> Vec<String> {
    let source = read(file);
    let (_, body) = source.split_once(&format!("pub enum {name} {{\n")).unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let entries = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = entries.filter(|entry| entry.starts_with(char::is_uppercase));
    let end = |name: &str| name.find(|c: char| !c.is_alphanumeric());
    names
        .map(|name| name[..end(name).unwrap()].to_owned())
        .collect()
}

#[test]
fn activations_and_costs_are_counted_and_listed() {
    let readme = read("README.md");
    for (folder, name, what) in [
        ("activation", "AnyActivation", "activations"),
        ("cost", "AnyCost", "costs"),
    ] {
        let names = variants(&format!("src/{folder}/builtin.rs"), name);
        let count = format!("{} {what}", names.len());
        assert!(readme.contains(&count), "the README lacks {count}");
        let page = read(&format!("src/{folder}/mod.rs"));
        let count = format!("the {} built-in {what}", names.len());
        assert!(page.contains(&count), "{folder} lacks {count}");
        for name in &names {
            // A table of values and a table of derivatives.
            let rows = page.matches(&format!("//! | [`{name}`] |")).count();
            assert_eq!(rows, 2, "rows of {name} in src/{folder}/mod.rs");
        }
    }
}
