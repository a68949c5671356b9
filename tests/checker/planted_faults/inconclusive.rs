//! Checks of tangents that cannot decide report this: missing methods, edges of domains, kinks, and
//! derivatives below the rounding of ∇J.

use super::tangent_faults::{H, assert_all_agree, second_order, tangled, with_output};
use super::tangent_mutants::{
    Bent, CurvatureFault, LayerFault, TangentFault, Tangled, Untangled, Warped,
};
use super::{INPUTS, data, wrong};
use backprop::activation::{AnyActivation, Identity, Relu, Sigmoid, Tanh};
use backprop::cost::{BinaryCrossEntropy, SquaredError};
use backprop::gradient_check::{BlockReport, GradientCheck, Report, Verdict};
use backprop::nalgebra::DMatrix;
use backprop::{Dense, Error, Examples, Initialization, Network, Objective, rng};

/// A missing method has its own error or verdict. It never passes silently.
#[test]
fn missing_methods_never_pass_silently() {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let check = GradientCheck::new();
    let unsupported = |result: Result<Report, Error>, method: &str| match result {
        Err(Error::Unsupported { what, .. }) => assert_eq!(what, method),
        other => panic!("{other:?}"),
    };
    let forward = "Activation::forward_tangent";
    let network = tangled(LayerFault::None, CurvatureFault::NotProvided, 1);
    let objective = Objective::new(BinaryCrossEntropy);
    unsupported(check.second_order(&network, &examples, &objective), forward);
    let bent = Bent {
        inner: Tanh,
        fault: CurvatureFault::NotProvided,
    };
    unsupported(check.activation_tangents(&bent, &x), forward);
    let theta = [0.3; 8];
    let layer = Dense::new(INPUTS, 2, bent);
    unsupported(check.layer_tangents(&layer, &theta, &x), forward);
    let cost = Warped {
        inner: BinaryCrossEntropy,
        fault: TangentFault::NotProvided,
    };
    let objective = Objective::new(cost);
    let report = check.second_order(&with_output(Sigmoid), &examples, &objective);
    unsupported(report, "Cost::delta_tangent");
    let z = DMatrix::from_element(2, 5, 0.3);
    let report = check.cost_tangent(&cost, &Sigmoid, &z, &y);
    unsupported(report, "Cost::delta_tangent");

    // A cost may have a tangent only where the pair is canonical: H v exists, G at a does not.
    let cost = Warped {
        inner: BinaryCrossEntropy,
        fault: TangentFault::OnlyFromZ,
    };
    let report = second_order(&with_output(Sigmoid), cost);
    report.assert_passed();
    for block in &report.blocks {
        let expected = match block.label.as_str() {
            "v′·G v (outputs)" => Verdict::NotProvided,
            _ => Verdict::Agrees,
        };
        assert_eq!(block.verdict, expected, "{report}");
    }
    assert!(report.block("v′·G v (outputs)").is_some(), "{report}");
    assert!(report.to_string().contains("not provided"), "{report}");

    // Per-example gradients are undefined if the layer couples examples.
    let layer = |fault| tangled_layer(Tanh, fault);
    let report = check.layer_tangents(&layer(LayerFault::Couples), &theta, &x);
    assert!(report.unwrap().block("norms of examples").is_none());
    let network = tangled(LayerFault::Couples, CurvatureFault::None, 1);
    let report = second_order(&network, BinaryCrossEntropy);
    assert_all_agree(&report);
    assert_eq!(report.block("v·G v ≥ 0 (logits)").unwrap().compared, 1);
}

fn tangled_layer(inner: AnyActivation, fault: LayerFault) -> Tangled {
    let bent = Bent {
        inner,
        fault: CurvatureFault::None,
    };
    let inner = Dense::new(INPUTS, 2, bent);
    Tangled { inner, fault }
}

/// The default replaces a method that is missing, or wrong.
#[test]
fn the_default_gives_gradients_of_examples() {
    let (x, _) = data();
    let theta: Vec<f64> = (0..8).map(|i| 0.8 * (f64::from(i) * 1.7).sin()).collect();
    for g in [Tanh, Sigmoid] {
        for fault in [
            LayerFault::None,
            LayerFault::NormsWithout1,
            LayerFault::NormsOverwrite,
            LayerFault::SumForEach,
            LayerFault::BelowOfExamples,
        ] {
            let layer = Untangled(tangled_layer(g, fault));
            let report = GradientCheck::new().layer_tangents(&layer, &theta, &x);
            let report = report.unwrap();
            assert_all_agree(&report);
            for row in ["gradients of examples", "norms of examples"] {
                assert!(report.block(row).is_some(), "{report}");
            }
        }
    }
}

/// For outputs that have rounded to 0 or 1, the curvature at a is not finite, but at z it is.
#[test]
fn outputs_at_the_edge() {
    let network = Network::builder(1).dense(1, Sigmoid);
    let network = network.with_theta(&[0.0, 800.0]).unwrap();
    let x = DMatrix::from_row_slice(1, 3, &[1.0, -1.0, 1e-3]);
    let y = DMatrix::from_element(1, 3, 0.5);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(BinaryCrossEntropy);
    let report = GradientCheck::new().second_order(&network, &examples, &objective);
    let report = report.unwrap();
    report.assert_passed();
    assert!(report.block("v·G v ≥ 0 (logits)").is_some(), "{report}");
    assert!(report.block("v·G v ≥ 0 (outputs)").is_none(), "{report}");
}

/// Near a kink and exactly at it, where slopes jump, the second derivative is that of one side.
#[test]
fn kinks() {
    let check = |z: f64| {
        let z = DMatrix::from_row_slice(1, 2, &[z, 1.0]);
        GradientCheck::new().activation_tangents(&Relu, &z).unwrap()
    };
    assert_all_agree(&check(0.1));
    for z in [1e-6, -1e-6, 1e-8, 0.0] {
        let report = check(z);
        for row in ["ȧ", "δ̇"] {
            let found = report.block(row).unwrap();
            let expected = (Verdict::SuspectedKink, 1);
            assert_eq!((found.verdict, found.kinks), expected, "{report}");
        }
    }
    // Biases of 0 above units that are all dead: z = 0 in every unit, with kinks on both sides.
    let theta = [
        -1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.3, -0.2, 0.5, 0.4, 0.1, 1.3, -0.7,
    ];
    let network = Network::<f64>::builder(1).dense(2, Relu).dense(2, Relu);
    let network = network.dense(1, Identity).with_theta(&theta).unwrap();
    let (x, y) = (DMatrix::repeat(1, 1, 1.0), DMatrix::repeat(1, 1, 2.0));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let report = GradientCheck::new().second_order(&network, &examples, &objective);
    let report = report.unwrap();
    report.assert_passed();
    let kinks = report.blocks.iter().filter(|b| b.kinks > 0);
    let kinks: Vec<&str> = kinks.map(|b| b.label.as_str()).collect();
    assert_eq!(kinks, ["ȧ along θ̇", "ȧ along θ̇, ẋ", H[1], H[2]], "{report}");
    // A kink excuses only its own entry.
    let bent = Bent {
        inner: Relu,
        fault: CurvatureFault::HalfForward,
    };
    let z = DMatrix::from_row_slice(1, 2, &[0.0, 1.0]);
    let report = GradientCheck::new().activation_tangents(&bent, &z);
    assert_eq!(wrong(&report.unwrap()), ["ȧ"]);
}

/// A derivative below the rounding noise is undecided. A fault above it is found, however small it
/// is next to other derivatives.
#[test]
fn below_the_rounding_is_undecided() {
    let network = Network::<f64>::builder(1)
        .dense(1, Identity)
        .dense(1, Identity);
    let network = network.with_theta(&[0.3, 0.7, 0.5, 1e-10]).unwrap();
    let x = DMatrix::from_element(1, 1, 1.0);
    let y = network.forward(&x).unwrap();
    let examples = Examples::new(&x, &y).unwrap();
    let report = |fault| {
        let objective = Objective::new(Warped {
            inner: SquaredError,
            fault,
        });
        let report = GradientCheck::new().second_order(&network, &examples, &objective);
        report.unwrap()
    };
    // The output is 0.5, and moves by 9e-11 along ẋ; ∇J is 0 at the point, and exact next to it.
    let right = report(TangentFault::None);
    right.assert_passed();
    for block in &right.blocks {
        let expected = match block.label.as_str() {
            "ȧ along ẋ" => Verdict::Undecided,
            _ => Verdict::Agrees,
        };
        assert_eq!(block.verdict, expected, "{right}");
    }
    let report = report(TangentFault::Factor(2.0));
    assert_eq!(wrong(&report), [H[0], H[1]], "{report}");
    let tiny = report.block(H[0]).unwrap();
    assert!(tiny.largest < 1e-9, "{report}");
    // A saturated unit: a = 1, and σ′ = 6e-16.
    for fault in [CurvatureFault::None, CurvatureFault::HalfForward] {
        let bent = Bent {
            inner: Sigmoid,
            fault,
        };
        let z = DMatrix::repeat(1, 1, 35.0);
        let report = GradientCheck::new().activation_tangents(&bent, &z);
        let report = report.unwrap();
        let row = report.block("ȧ").unwrap();
        assert_eq!(row.verdict, Verdict::Undecided, "{report}");
    }
}

/// A batch norm removes the bias of the layer below it, and the scale of the norm before. Their
/// gradients are 0 and undecided, and the relative error of rounding to rounding is not that of the
/// report.
#[test]
fn gradients_that_are_0_do_not_make_the_relative_error() {
    let network = Network::<f64>::builder(3)
        .batch_norm()
        .dense(4, Identity)
        .batch_norm()
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(2))
        .unwrap();
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let check = GradientCheck::new().training(1);
    let report = check.network(&network, &examples, &Objective::new(SquaredError));
    let report = report.unwrap();
    report.assert_passed();
    let hidden = |b: &BlockReport| b.verdict == Verdict::Undecided && b.relative_error > 0.1;
    assert!(report.blocks.iter().any(hidden), "{report}");
    assert!(report.relative_error() < 1e-8, "{report}");
}

/// Nothing is hidden by leaving a block undecided: a difference that is large beside the other
/// derivatives counts.
#[test]
fn an_undecided_block_counts_beside_the_largest_derivative() {
    // The resolution is 0.15. The derivative with respect to t is 0.
    let f = |v: &[f64]| (1e9 + 3.0 * v[0], vec![3.0, 0.03]);
    let report = GradientCheck::new().function(&[("p", 1), ("t", 1)], &[1.0, 1.0], f);
    let report = report.unwrap();
    assert_eq!(
        report.block("t").map(|b| b.verdict),
        Some(Verdict::Undecided)
    );
    assert_eq!(report.block("t").map(|b| b.relative_error), Some(1.0));
    let largest = report.blocks[0].largest;
    let of_p = report.blocks[0].relative_error;
    assert_eq!(
        report.relative_error(),
        of_p.max(0.03 / largest),
        "{report}"
    );
}
