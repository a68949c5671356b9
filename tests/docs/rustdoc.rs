//! What a reader of rustdoc meets first: the order of the methods, and the words of a search.

use super::render::read;

/// The names of the public methods of a file, in their order.
fn methods(file: &str) -> Vec<String> {
    let source = read(file);
    let functions = source.split("\n    pub fn ").skip(1);
    let names = functions.filter_map(|rest| rest.split(['(', '<']).next());
    names.map(str::to_owned).collect()
}

/// The first module that a file declares.
fn first_module(file: &str) -> Option<String> {
    let source = read(file);
    let mut lines = source.lines();
    let line = lines.find(|line| line.starts_with("mod ") || line.starts_with("pub mod "))?;
    Some(line.trim_start_matches("pub ").to_owned())
}

/// rustdoc lists impl blocks in the order of the modules, and those of a module before its parent's.
#[test]
fn types_begin_with_what_most_people_call() {
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
