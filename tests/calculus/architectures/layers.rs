//! Each layer of a tree by itself, which leaves ∂cost/∂z in δ and computes Δ and its derivative in
//! one pass.

use super::random::{Case, cases};
use super::trees::Any;
use super::{Outcome, config};
use backprop::gradient_check::GradientCheck;
use backprop::layer::{Layer, Site};
use backprop::nalgebra::DMatrix;
use backprop::{Shape, Workspace};
use proptest::prelude::*;

fn passes(layer: &Any, theta: &[f64], x: &DMatrix<f64>) -> Outcome {
    let check = GradientCheck::new();
    for report in [
        check.layer(layer, theta, x),
        check.layer_tangents(layer, theta, x),
    ] {
        let report = report.unwrap();
        prop_assert!(report.passed(), "{layer:?}: {report}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    /// The checker takes layers of plain units that end in one layer.
    #[test]
    fn layers_pass_the_checker(case in cases()) {
        let Case { network, x, .. } = &case;
        let mut workspace = Workspace::new();
        network.forward_into(x, &mut workspace).unwrap();
        let (mut shape, mut x, mut start) = (case.input, x.clone(), 0);
        for (l, layer) in network.layers().iter().enumerate() {
            let plan = Layer::<f64>::plan(layer, Site::new(shape).hidden()).unwrap();
            let theta = &network.theta().as_slice()[start..][..plan.parameters()];
            if matches!(shape, Shape::Units(_)) {
                passes(layer, theta, &x)?;
            }
            shape = plan.output();
            start += plan.parameters();
            x = workspace.activation(l).unwrap().clone_owned();
        }
    }
}
