//! Renders `docs/derivation.md` for rustdoc: formulae become MathML, and pictures become part of
//! the page, which therefore loads nothing.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use math_core::{LatexToMathML, MathDisplay};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Returns the path of a file in the repository.
pub(crate) fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

pub(crate) fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Returns the link definitions of a page, `[label]: target`, by label.
pub(crate) fn definitions(page: &str) -> BTreeMap<&str, &str> {
    let lines = page.lines().filter(|line| line.starts_with('['));
    lines
        .filter_map(|line| line[1..].split_once("]: "))
        .collect()
}

/// A numbered equation with its anchor and the names of the functions that compute it.
#[derive(Debug)]
pub(crate) struct Equation {
    pub(crate) anchor: String,
    pub(crate) number: String,
    pub(crate) names: Vec<String>,
}

/// Returns the anchor, if the line is `<a id="…"></a>`.
fn anchor(line: &str) -> Option<&str> {
    line.strip_prefix("<a id=\"")?.strip_suffix("\"></a>")
}

/// Returns the LaTeX of a displayed formula, and its number if it has one.
fn formula(line: &str) -> Option<(&str, Option<&str>)> {
    let latex = line.strip_prefix("$$")?.strip_suffix("$$")?;
    match latex.split_once("\\tag{") {
        None => Some((latex, None)),
        Some((latex, number)) => Some((latex, number.strip_suffix('}'))),
    }
}

/// Returns the numbered equations of a page. The anchor comes before each, the names after it ("*In
/// code:*").
pub(crate) fn equations(page: &str) -> Vec<Equation> {
    let lines: Vec<&str> = page.lines().filter(|line| !line.is_empty()).collect();
    let mut equations = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let Some((_, Some(number))) = formula(line) else {
            continue;
        };
        let anchor = anchor(lines[i - 1]).unwrap_or_else(|| panic!("({number}) has no anchor"));
        let code = lines[i + 1].strip_prefix("*In code:* ");
        let code = code.unwrap_or_else(|| panic!("({number}) names no code"));
        let names = code
            .split(", ")
            .map(|name| name.trim_matches(['[', ']', '`']));
        equations.push(Equation {
            anchor: anchor.to_owned(),
            number: number.to_owned(),
            names: names.map(str::to_owned).collect(),
        });
    }
    equations
}

/// Fonts with the tall brackets that formulae need, for every system.
const FONTS: &str = "'STIX Two Math','Cambria Math','Latin Modern Math','Libertinus Math',\
                     'Noto Sans Math','DejaVu Math TeX Gyre',math";

fn math(latex: &str, display: MathDisplay) -> String {
    let converter = LatexToMathML::new(Default::default()).unwrap_or_else(|e| panic!("{e:?}"));
    let mathml = converter.convert_with_local_counter(latex, display);
    let mathml = mathml.unwrap_or_else(|e| panic!("{latex}: {e:?}"));
    mathml.replacen("<math", &format!("<math style=\"font-family:{FONTS}\""), 1)
}

/// A line of text with its `$formulae$` in MathML, escaped to contain no Markdown.
fn text(line: &str) -> String {
    assert!(
        line.matches('$').count().is_multiple_of(2),
        "cut off: {line}"
    );
    let mut rendered = String::new();
    for (i, part) in line.split('$').enumerate() {
        if i % 2 == 0 {
            rendered.push_str(part);
            continue;
        }
        for c in math(part, MathDisplay::Inline).chars() {
            match c {
                '[' | ']' | '*' | '_' | '\\' | '|' | '`' => {
                    rendered.push_str(&format!("&#{};", u32::from(c)));
                }
                c => rendered.push(c),
            }
        }
    }
    rendered
}

/// Returns the path of an item for rustdoc, from its name and the file that defines it.
fn item(name: &str, file: &str) -> String {
    let module = ["activation", "cost", "layer", "training"]
        .into_iter()
        .find(|module| file.contains(&format!("src/{module}/")));
    let name = name.trim_matches('`');
    // Its methods are in many modules.
    let module = module.filter(|_| !name.starts_with("Network::"));
    module.map_or(format!("crate::{name}"), |m| format!("crate::{m}::{name}"))
}

/// Returns a picture as part of the page.
fn data(file: &str) -> String {
    let kind = if file.ends_with(".svg") {
        "svg+xml"
    } else {
        "png"
    };
    let bytes = std::fs::read(path(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    format!("data:image/{kind};base64,{}", BASE64_STANDARD.encode(bytes))
}

/// Returns `docs/derivation.md` for rustdoc.
pub(crate) fn derivation(page: &str) -> String {
    let (mut rendered, mut id, mut code) = (String::new(), String::new(), false);
    for line in page.lines() {
        code ^= line.starts_with("```");
        let definition = line.split_once("]: ").filter(|_| line.starts_with('['));
        if code {
            rendered.push_str(line);
        } else if let Some(anchor) = anchor(line) {
            id = format!(" id=\"{anchor}\"");
            continue;
        } else if let Some((latex, number)) = formula(line) {
            let number = number.map_or(String::new(), |n| {
                format!("<span style=\"padding-left:1em\">({n})</span>")
            });
            rendered.push_str(&format!(
                "<div{} style=\"display:flex;align-items:center;margin:1em 0\">\
                 <div style=\"flex:1;min-width:0;overflow-x:auto;padding:0.2em 0\">{}</div>\
                 {number}</div>",
                std::mem::take(&mut id),
                math(latex, MathDisplay::Block),
            ));
        } else if let Some((label, target)) = definition {
            let target = match target.strip_prefix("figures/") {
                Some(figure) => data(&format!("docs/figures/{figure}")),
                // Documentation has no files beside it.
                None if target.ends_with(".html") => "crate::TracePage".into(),
                None => item(&label[1..], target),
            };
            rendered.push_str(&format!("{label}]: {target}"));
        } else {
            rendered.push_str(&text(line));
        }
        rendered.push('\n');
    }
    rendered
}

/// Returns the pictures of the front page as link definitions. They come before the README's.
pub(crate) fn pictures(readme: &str) -> String {
    let all = definitions(readme).into_iter();
    let pictures = all.filter(|(_, target)| target.starts_with("docs/figures/"));
    pictures
        .map(|(label, file)| format!("[{label}]: {}\n", data(file)))
        .collect()
}
