//! Embeddings, and dense layers with a bias or without, in files of every age.

use backprop::activation::{Identity, Tanh};
use backprop::layer::AnyLayer;
use backprop::{Dense, Network};

#[test]
fn a_missing_bias_is_named_and_a_present_one_is_not() {
    let network = Network::<f64>::builder(2)
        .embedding(3, 2)
        .flatten()
        .dense_without_bias(2, Tanh)
        .dense(1, Identity);
    let network = network.zeros().unwrap();
    let text = serde_json::to_string(&network).unwrap();
    assert!(text.contains(r#"{"embedding":{"entries":3,"dim":2}}"#));
    assert!(text.contains(r#""activation":"tanh","bias":false}"#));
    assert_eq!(text.matches("bias").count(), 1);
    let read: Network<f64> = serde_json::from_str(&text).unwrap();
    assert_eq!(read, network);
}

#[test]
fn files_from_before_have_a_bias_and_unknown_fields_are_refused() {
    let old = r#"{"inputs":2,"outputs":1,"activation":"tanh"}"#;
    let old: Dense = serde_json::from_str(old).unwrap();
    assert_eq!(old, Dense::new(2, 1, Tanh));
    let unknown = r#"{"embedding":{"entries":3,"dim":2,"padding":1}}"#;
    assert!(serde_json::from_str::<AnyLayer>(unknown).is_err());
}
