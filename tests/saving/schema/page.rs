//! `docs/json.md`: its code writes its JSON, which is the network that the page says, and it names
//! every member and tag.

use super::{SCHEMA, is_valid, tags_defined};
use crate::Folder;
use crate::python::Python;
use backprop::{Network, saving};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

const PAGE: &str = include_str!("../../../docs/json.md");

/// The code blocks in a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let starts = PAGE.split(fence.as_str()).skip(1);
    starts
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

/// The outputs of the network on the page, by hand.
fn by_hand(x: [f64; 2]) -> f64 {
    let a = [
        (0.25 + x[0] - 2.0 * x[1]).tanh(),
        (-1.0 + 3.0 * x[0] + 0.5 * x[1]).tanh(),
    ];
    let b = [
        (a[0] - 0.5) / 1.00001_f64.sqrt(),
        2.0 * (a[1] + 0.25) / 0.25001_f64.sqrt() - 0.5,
    ];
    1.0 / (1.0 + (-(0.125 + 1.5 * b[0] - 0.5 * b[1])).exp())
}

#[test]
fn the_network_of_the_page_is_the_one_that_its_code_writes() {
    let json: Value = serde_json::from_str(blocks("json")[0]).unwrap();
    assert!(is_valid(&json));
    let network: Network<f64> = serde_json::from_value(json).unwrap();
    for x in [[0.5, -1.0], [-0.75, 0.25], [2.0, 1.0]] {
        let (found, expected) = (network.forward(&x).unwrap()[0], by_hand(x));
        assert!((found - expected).abs() <= 1e-14, "{found} {expected}");
    }
    let printed = format!("{:.6}", network.forward(&[0.5, -1.0]).unwrap()[0]);
    assert!(PAGE.contains(&format!("// {printed}\n")), "{printed}");

    let unchecked = "the Python code of docs/json.md";
    let Some(python) = Python::with(&["numpy"], unchecked) else {
        return;
    };
    let folder = Folder::new("page");
    for code in blocks("python") {
        python.run(&["-c", code], &folder.0, "");
    }
    let json = fs::read_to_string(folder.file("network.json")).unwrap();
    assert_eq!(
        serde_json::from_str::<Network<f64>>(&json).unwrap(),
        network
    );
    let loaded: Network<f64> = saving::load(folder.file("network.backprop"), "network").unwrap();
    assert_eq!(loaded, network);
}

#[test]
fn the_page_names_every_member_and_tag() {
    let mut defined = BTreeSet::new();
    tags_defined(&SCHEMA, &mut defined);
    let prose: String = PAGE.split("```").step_by(2).collect();
    let code: BTreeSet<&str> = prose.split('`').skip(1).step_by(2).collect();
    for name in defined {
        let name = name.trim_matches('"');
        let inside = format!("\"{name}\"");
        let named = code.contains(name) || code.iter().any(|code| code.contains(&inside));
        assert!(named, "docs/json.md does not name {name}");
    }
}
