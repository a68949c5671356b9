//! The table of an embedding under every initialiser.

use backprop::activation::Identity;
use backprop::{Builder, Initialization, Network, rng};

const ENTRIES: usize = 40;
const DIM: usize = 5;

fn start(builder: Builder<f64>, rule: Initialization) -> Vec<f64> {
    let network = builder.initialize(rule, &mut rng(3)).unwrap();
    network.theta().as_slice().to_vec()
}

fn table(rule: Initialization) -> Vec<f64> {
    start(Network::builder(1).embedding(ENTRIES, DIM), rule)
}

/// Rules that state a distribution apply to a table as to a matrix of weights of its size.
#[test]
fn rules_without_a_scale_apply_unchanged() {
    for rule in [
        Initialization::Constant { value: 0.25 },
        Initialization::Uniform { epsilon: 0.3 },
        Initialization::Normal { sigma: 0.6 },
        Initialization::TruncatedNormal { sigma: 0.6 },
    ] {
        let weights = Network::builder(ENTRIES).dense_without_bias(DIM, Identity);
        assert_eq!(table(rule), start(weights, rule), "{rule:?}");
    }
    let largest = |rule| crate::support::largest(&table(rule));
    assert_eq!(largest(Initialization::Constant { value: 0.25 }), 0.25);
    assert!((0.25..0.3).contains(&largest(Initialization::Uniform { epsilon: 0.3 })));
    let truncated = largest(Initialization::TruncatedNormal { sigma: 0.6 });
    assert!((0.9..=1.2).contains(&truncated), "{truncated}");
    assert!(largest(Initialization::Normal { sigma: 0.6 }) > 1.2);
}

/// Rules that follow from the numbers of inputs and units have neither: a table starts with
/// standard normal numbers. Its vectors are looked up, so an orthogonal table would only make them
/// shorter the more entries there are.
#[test]
fn rules_that_scale_give_standard_normal_tables() {
    let normal = table(Initialization::Normal { sigma: 1.0 });
    for rule in [
        Initialization::LecunUniform,
        Initialization::LecunNormal,
        Initialization::GlorotUniform,
        Initialization::GlorotNormal,
        Initialization::HeUniform,
        Initialization::HeNormal,
        Initialization::Orthogonal { gain: 1.5 },
    ] {
        assert_eq!(table(rule), normal, "{rule:?}");
    }
}
