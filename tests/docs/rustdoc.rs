//! The first things that a reader of rustdoc sees: the order of the methods, and the words of a
//! search.

use super::render::read;
use std::collections::BTreeSet;

/// Returns the names of the public methods of a file, in their order.
fn methods(file: &str) -> Vec<String> {
    let source = read(file);
    let functions = source.split("\n    pub fn ").skip(1);
    let names = functions.filter_map(|rest| rest.split(['(', '<']).next());
    names.map(str::to_owned).collect()
}

/// Returns the first module that a file declares.
fn first_module(file: &str) -> Option<String> {
    let source = read(file);
    let mut lines = source.lines();
    let line = lines.find(|line| line.starts_with("mod ") || line.starts_with("pub mod "))?;
    Some(line.trim_start_matches("pub ").to_owned())
}

/// rustdoc lists impl blocks in the order of the modules, those of a module before its parent's.
#[test]
fn types_list_their_most_common_methods_first() {
    assert_eq!(first_module("src/lib.rs").as_deref(), Some("mod network;"));
    let module = first_module("src/network/mod.rs");
    assert_eq!(module.as_deref(), Some("mod calls;"));
    assert_eq!(
        methods("src/network/calls.rs")[..4],
        ["builder", "forward", "backprop", "gradient_vector"]
    );
    let module = first_module("src/gradient_check/mod.rs");
    assert_eq!(module.as_deref(), Some("mod checker;"));
    assert_eq!(
        methods("src/gradient_check/checker.rs")[..2],
        ["new", "network"]
    );
}

/// Returns the items with a search alias: (alias, item).
fn aliases() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for file in super::sources("src") {
        let source = read(&file);
        let lines: Vec<&str> = source.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let Some((_, words)) = line.split_once("doc(alias") else {
                continue;
            };
            let item = lines[i..].iter().find_map(|line| item(line));
            let item = item.unwrap_or_else(|| panic!("{file}: an alias without an item"));
            let words = words.split('"').skip(1).step_by(2);
            found.extend(words.map(|word| (word.to_owned(), item.to_owned())));
        }
    }
    found
}

/// Returns the name of the item that a line of code begins; `None` for attributes and other lines.
fn item(line: &str) -> Option<&str> {
    let mut code = line.trim_start();
    for word in ["pub ", "fn ", "struct ", "type ", "enum ", "trait "] {
        code = code.strip_prefix(word).unwrap_or(code);
    }
    let end = code.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    (end > 0).then_some(&code[..end])
}

/// A search for the name that another library uses finds the item that does the same here.
#[test]
fn other_libraries_names_lead_to_ours() {
    let aliases = aliases();
    for (alias, item) in [
        ("predict", "forward"),
        ("predict_proba", "forward"),
        ("backward", "backprop"),
        ("value_and_grad", "backprop"),
        ("grad", "gradient_vector"),
        ("loss", "cost"),
        ("Sequential", "Network"),
        ("MLPClassifier", "Network"),
        ("Linear", "Dense"),
        ("Linear", "dense"),
        ("state_dict", "theta"),
        ("load_state_dict", "set_theta"),
        ("set_weights", "set_dense"),
        ("zero_grad", "reset"),
        ("weight_decay", "l2"),
        ("weight_decay", "decay"),
        ("pullback", "vjp"),
        ("pushforward", "jvp"),
        ("Swish", "Silu"),
        ("BCE", "BinaryCrossEntropy"),
        ("CrossEntropyLoss", "CategoricalCrossEntropy"),
        ("softmax_cross_entropy", "CategoricalCrossEntropy"),
        ("NLLLoss", "CategoricalCrossEntropy"),
        ("MSE", "SquaredError"),
        ("MSE", "MeanSquaredError"),
        ("MAE", "MeanAbsoluteError"),
        ("Xavier", "GlorotUniform"),
        ("Kaiming", "HeNormal"),
        ("StandardScaler", "Standardizer"),
        ("transform", "apply"),
        ("to_categorical", "one_hot"),
        ("sample_weight", "weighted"),
        ("learning_rate", "new"),
        ("early_stopping", "patience"),
        ("SGD", "GradientDescent"),
        ("train", "fit"),
    ] {
        let pair = (alias.to_owned(), item.to_owned());
        assert!(aliases.contains(&pair), "{item} has no alias {alias}");
    }
    let mut optimisers = 0;
    for file in super::sources("src/training/optimizer") {
        let source = read(&file);
        let count = |words: &str| source.matches(words).count();
        let constructor = "    pub fn new(rate: f64";
        let with_alias = format!("#[doc(alias(\"learning_rate\", \"lr\"))]\n{constructor}");
        assert_eq!(count(constructor), count(&with_alias), "{file}");
        optimisers += count(constructor);
    }
    assert!(optimisers > 5, "{optimisers}");
}
