//! Faults in tangents, Hessians and per-example gradients: the checker finds each and names
//! the row.

use super::tangent_mutants::{
    Bent, Cauchy, CurvatureFault, LayerFault, TangentFault, Tangled, Warped,
};
use super::{INPUTS, LAMBDA, data, with_biases, wrong};
use backprop::activation::{
    AnyActivation, Elu, Exponential, Gelu, GeluTanh, HardTanh, Identity, LeakyRelu, Mish, Relu,
    Selu, Sigmoid, Silu, Sine, Softmax, Softplus, Softsign, Tanh,
};
use backprop::cost::{
    BinaryCrossEntropy, CategoricalCrossEntropy, Cost, Huber, LogCosh, Poisson, SquaredError,
};
use backprop::gradient_check::{GradientCheck, Report, Verdict};
use backprop::layer::{AnyLayer, Layer};
use backprop::nalgebra::DMatrix;
use backprop::{Builder, Dense, Examples, Network, Objective};

const ACTIVATIONS: [AnyActivation; 17] = [
    Identity,
    Sigmoid,
    Tanh,
    Relu,
    LeakyRelu { slope: 0.1 },
    Elu { alpha: 0.7 },
    Selu,
    Softplus,
    Softsign,
    Gelu,
    GeluTanh,
    Silu,
    Mish,
    HardTanh,
    Sine,
    Exponential,
    Softmax,
];

/// Asserts that every row agrees: no kinks, and nothing undecided, indefinite or missing.
#[track_caller]
pub(super) fn assert_all_agree(report: &Report) {
    let agree = |b: &backprop::gradient_check::BlockReport| b.verdict == Verdict::Agrees;
    assert!(report.blocks.iter().all(agree), "{report}");
    assert!(report.blocks.iter().all(|b| b.compared > 0), "{report}");
}

pub(super) fn second_order<L: Layer<f64>, C: Cost<f64>>(
    network: &Network<f64, L>,
    cost: C,
) -> Report {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(cost).l2(LAMBDA);
    GradientCheck::new()
        .second_order(network, &examples, &objective)
        .unwrap()
}

/// A 3-4-3-2 network whose layer number `at` has written-out tangents with a fault.
pub(super) fn tangled(
    fault: LayerFault,
    bend: CurvatureFault,
    at: usize,
) -> Network<f64, AnyLayer<Tangled>> {
    let sizes = [(INPUTS, 4, Tanh), (4, 3, Tanh), (3, 2, Sigmoid)];
    let mut builder = Builder::new(INPUTS);
    for (l, (inputs, outputs, g)) in sizes.into_iter().enumerate() {
        builder = builder.layer(if l == at {
            AnyLayer::Custom(Tangled {
                inner: Dense::new(
                    inputs,
                    outputs,
                    Bent {
                        inner: g,
                        fault: bend,
                    },
                ),
                fault,
            })
        } else {
            AnyLayer::Dense(Dense::new(inputs, outputs, g))
        });
    }
    with_biases(builder)
}

#[test]
fn networks_without_a_fault_pass() {
    for at in 0..3 {
        let network = tangled(LayerFault::None, CurvatureFault::None, at);
        for cost in [BinaryCrossEntropy, SquaredError] {
            assert_all_agree(&second_order(&network, cost));
        }
    }
    // Deep networks under every cost, canonical or not, with weights, one of them 0.
    let (x, y) = data();
    let weights = [1.0, 0.5, 0.0, 2.0, 3.0];
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    for (g, cost) in [
        (Sigmoid, BinaryCrossEntropy),
        (Sigmoid, SquaredError),
        (Softmax, CategoricalCrossEntropy),
        (Softmax, SquaredError),
        (Identity, SquaredError),
        (Identity, Huber { delta: 0.6 }),
        (Identity, LogCosh),
        (Exponential, Poisson),
        (Softplus, Poisson),
    ] {
        let builder = Network::builder(INPUTS).dense(5, Tanh).dense(4, Silu);
        let builder = builder.dense(4, Softplus).dense(3, Gelu).dense(2, g);
        let objective = Objective::new(cost).l2(LAMBDA).l1(0.3);
        let network = with_biases(builder);
        let report = GradientCheck::new().second_order(&network, &examples, &objective);
        assert_all_agree(&report.unwrap());
    }
}

#[test]
fn parts_without_a_fault_pass() {
    let check = GradientCheck::new();
    let z = DMatrix::from_fn(3, 4, |i, k| 1.7 * (0.4 + (3 * i + 7 * k) as f64).sin());
    let theta: Vec<f64> = (0..12).map(|i| 0.8 * (f64::from(i) * 1.7).sin()).collect();
    for g in ACTIVATIONS {
        assert_all_agree(&check.activation_tangents(&g, &z).unwrap());
        let layer = Dense::new(3, 3, g);
        assert_all_agree(&check.layer_tangents(&layer, &theta, &z).unwrap());
        let own = Tangled {
            inner: Dense::new(
                3,
                3,
                Bent {
                    inner: g,
                    fault: CurvatureFault::None,
                },
            ),
            fault: LayerFault::None,
        };
        assert_all_agree(&check.layer_tangents(&own, &theta, &z).unwrap());
    }
    let y = DMatrix::from_fn(3, 4, |i, k| [0.2, 0.7, 0.1][(i + k) % 3]);
    for (cost, g) in [
        (BinaryCrossEntropy, Sigmoid),
        (CategoricalCrossEntropy, Softmax),
        (SquaredError, Identity),
        (Huber { delta: 0.6 }, Identity),
        (LogCosh, Identity),
        (Poisson, Exponential),
    ] {
        let report = check.cost_tangent(&cost, &g, &z, &y).unwrap();
        assert_eq!(report.blocks.len(), 2, "{report}");
        assert_all_agree(&report);
        let report = check.cost_tangent(&cost, &Softplus, &(&z * 0.3), &y);
        assert_eq!(report.unwrap().blocks.len(), 1);
    }
}

/// Returns the rows reported as wrong for a 3-2 layer checked by itself.
fn rows_of_layer(fault: LayerFault, bend: CurvatureFault, g: AnyActivation) -> Vec<String> {
    let x = DMatrix::from_fn(3, 4, |i, k| (0.4 + (3 * i + 7 * k) as f64).sin());
    let theta: Vec<f64> = (0..8).map(|i| 0.8 * (f64::from(i) * 1.7).sin()).collect();
    let inner = Dense::new(
        3,
        2,
        Bent {
            inner: g,
            fault: bend,
        },
    );
    let report = GradientCheck::new().layer_tangents(&Tangled { inner, fault }, &theta, &x);
    let report = report.unwrap();
    wrong(&report).into_iter().map(str::to_owned).collect()
}

/// The check of the layer by itself names the rows along both directions and along each.
#[test]
fn faults_of_a_layer_are_named() {
    let everywhere = |rows: &[&str], cases: &[&str], suffix: &str| {
        let rows = cases
            .iter()
            .flat_map(|case| rows.iter().map(move |row| format!("{row} {case}{suffix}")));
        rows.collect::<Vec<String>>()
    };
    let (both, theta, x) = ("along θ̇, ẋ", "along θ̇", "along ẋ");
    let (all, with_theta, with_x) = ([both, theta, x], [both, theta], [both, x]);
    let tangents = ["ȧ", "ż", "Δ̇ of Θ", "δ̇ below", "δ̇ of z"];
    let found = |fault, g| rows_of_layer(fault, CurvatureFault::None, g);
    for g in [Tanh, Sigmoid] {
        // Faults in the forward pass do not show in the linked rows.
        let expected = everywhere(&tangents, &with_x, "");
        assert_eq!(found(LayerFault::NoInputForward, g), expected);
        let expected = everywhere(&tangents, &[theta], "");
        assert_eq!(found(LayerFault::AbsentInputMoves, g), expected);
        let mut expected = everywhere(&["δ of z · ż"], &all, "");
        expected.insert(0, "Δ, δ from z".to_owned());
        assert_eq!(found(LayerFault::DeltaOfA, g), expected);
        let first = found(LayerFault::NotFromZ, g).swap_remove(0);
        assert_eq!(first, "Δ, δ from z");
        // Faults in the backward pass show on both paths.
        let paths = if g == Sigmoid {
            &["", " (linked)"][..]
        } else {
            &[""]
        };
        let on_paths = |rows: &[&str], cases: &[&str]| {
            let rows = paths.iter().flat_map(|path| everywhere(rows, cases, path));
            rows.collect::<Vec<String>>()
        };
        for (fault, row, cases) in [
            (LayerFault::NoThetaBackward, "δ̇ below", &with_theta[..]),
            (LayerFault::NoInputBackward, "Δ̇ of Θ", &with_x[..]),
            (LayerFault::BiasMoves, "Δ̇ of Θ", &with_x[..]),
            (LayerFault::PlainGradient, "Δ, δ", &all[..]),
        ] {
            assert_eq!(found(fault, g), on_paths(&[row], cases), "{fault:?}");
        }
        // Faults in the per-example gradients.
        let (gradients, norms) = ("gradients of examples", "norms of examples");
        for (fault, rows) in [
            (LayerFault::NormsWithout1, &[norms][..]),
            (LayerFault::NormsOverwrite, &[norms]),
            (LayerFault::SumForEach, &[gradients]),
            (
                LayerFault::BelowOfExamples,
                &[
                    "δ below, with gradients of examples",
                    "δ below, with norms of examples",
                ],
            ),
        ] {
            let rows = paths
                .iter()
                .flat_map(|path| rows.iter().map(move |row| format!("{row}{path}")));
            assert_eq!(found(fault, g), rows.collect::<Vec<String>>(), "{fault:?}");
        }
    }
}

#[test]
fn faults_of_an_activation_are_named() {
    let z = DMatrix::from_fn(2, 3, |i, k| 1.3 * i as f64 + 0.9 * k as f64 - 0.4);
    for g in [Tanh, Sine, Softmax] {
        for (fault, rows) in [
            (CurvatureFault::None, &[][..]),
            (CurvatureFault::Missing, &["δ̇"]),
            (CurvatureFault::WrongSign, &["δ̇"]),
            (CurvatureFault::HalfForward, &["ȧ"]),
            (CurvatureFault::PlainDelta, &["δ"]),
        ] {
            let bent = Bent { inner: g, fault };
            let report = GradientCheck::new().activation_tangents(&bent, &z).unwrap();
            assert_eq!(wrong(&report), rows, "{fault:?} of {g:?}\n{report}");
        }
    }
    // An unwritten value is NaN, and everything computed from it is wrong.
    let bent = Bent {
        inner: Tanh,
        fault: CurvatureFault::Unwritten,
    };
    let report = GradientCheck::new().activation_tangents(&bent, &z).unwrap();
    assert_eq!(wrong(&report), ["ȧ"]);
    let network = tangled(LayerFault::None, CurvatureFault::Unwritten, 1);
    let report = second_order(&network, BinaryCrossEntropy);
    assert!(wrong(&report).starts_with(&["ȧ along θ̇", "u·ȧ along θ̇"]));
    assert!(H.iter().all(|row| wrong(&report).contains(row)), "{report}");
    // In a layer: all that the backward pass computes from it.
    for fault in [CurvatureFault::Missing, CurvatureFault::WrongSign] {
        let rows = rows_of_layer(LayerFault::None, fault, Tanh);
        assert_eq!(rows.len(), 9, "{rows:?}");
        let named = |row: &String| row.starts_with("Δ̇ of Θ") || row.starts_with("δ̇");
        assert!(rows.iter().all(named), "{rows:?}");
    }
}

pub(super) const H: [&str; 3] = ["H v, Θ⁽¹⁾", "H v, Θ⁽²⁾", "H v, Θ⁽³⁾"];

/// The check of a network names the blocks of H v that the fault reaches, the rows of ȧ for faults
/// in the forward pass, and broken symmetry.
#[test]
fn faults_are_named_in_a_network() {
    let found = |fault, bend, at| {
        let report = second_order(&tangled(fault, bend, at), BinaryCrossEntropy);
        let rows = wrong(&report).into_iter().map(str::to_owned);
        rows.collect::<Vec<String>>()
    };
    for at in 0..3 {
        // g″ of layer `at` reaches the blocks up to it, and H stays symmetric. The last layer of a
        // canonical pair does not use g″.
        for fault in [CurvatureFault::Missing, CurvatureFault::WrongSign] {
            let reached = if at == 2 { 0 } else { at + 1 };
            let rows = found(LayerFault::None, fault, at);
            assert_eq!(rows, H[..reached], "{fault:?} in {at}");
        }
        let network = tangled(LayerFault::None, CurvatureFault::Missing, at);
        let report = second_order(&network, SquaredError);
        assert_eq!(wrong(&report), H[..=at], "{report}");
        // Θ̇ᵀ δ of layer `at` reaches the blocks below, and δ ẋᵀ its own block. The first layer has
        // no ẋ when θ moves.
        let mut below: Vec<&str> = H[..at].to_vec();
        below.extend((at > 0).then_some("v′·H v"));
        let rows = found(LayerFault::NoThetaBackward, CurvatureFault::None, at);
        assert_eq!(rows, below);
        for fault in [LayerFault::NoInputBackward, LayerFault::BiasMoves] {
            let own = if at > 0 {
                vec![H[at], "v′·H v"]
            } else {
                vec![]
            };
            let rows = found(fault, CurvatureFault::None, at);
            assert_eq!(rows, own, "{fault:?} in {at}");
        }
        // Without W ẋ the first layer has a wrong ȧ only along ẋ; layers above have it along
        // everything.
        let rows = found(LayerFault::NoInputForward, CurvatureFault::None, at);
        let along_x = ["ȧ along ẋ", "u·ȧ along ẋ", "ȧ along θ̇, ẋ", "u·ȧ along θ̇, ẋ"];
        if at == 0 {
            assert_eq!(rows, along_x);
        } else {
            assert_eq!(rows[..2], ["ȧ along θ̇", "u·ȧ along θ̇"]);
            assert_eq!(rows[2..6], along_x);
            assert_eq!(rows[6..9], H);
            let symmetry = [
                "v′·H v",
                "v′·G v (outputs)",
                "v′·G v (logits)",
                "v′·G v (Fisher)",
            ];
            assert_eq!(rows[9..], symmetry);
        }
    }
}

pub(super) fn with_output(g: AnyActivation) -> Network<f64> {
    let builder = Network::builder(INPUTS).dense(4, Tanh).dense(3, Tanh);
    with_biases(builder.dense(2, g))
}

#[test]
fn faults_of_a_cost_are_named() {
    let (z, y) = (DMatrix::from_element(2, 5, 0.3), data().1);
    for (inner, g, canonical) in [
        (BinaryCrossEntropy, Sigmoid, true),
        (SquaredError, Sigmoid, false),
        (SquaredError, Identity, true),
    ] {
        let places: Vec<&str> = match canonical {
            true => vec!["outputs", "logits", "Fisher"],
            false => vec!["outputs", "Fisher"],
        };
        let curvatures = |row: &str, places: &[&str]| -> Vec<String> {
            places.iter().map(|at| format!("{row} ({at})")).collect()
        };
        let network = with_output(g);
        let blocks: Vec<String> = H.map(str::to_owned).to_vec();
        let skew = [
            blocks.clone(),
            vec!["v′·H v".to_owned()],
            curvatures("v′·G v", &places),
        ];
        // v·G v is negative where the cost claims to be convex at z. At a it makes no such claim,
        // so that row is indefinite.
        let negative = [blocks.clone(), curvatures("v·G v ≥ 0", &places[1..])];
        for (fault, rows) in [
            (TangentFault::None, vec![]),
            (TangentFault::Factor(1.0001), blocks),
            (TangentFault::Factor(-1.0), negative.concat()),
            (TangentFault::Skew, skew.concat()),
        ] {
            let cost = Warped { inner, fault };
            let report = second_order(&network, cost);
            assert_eq!(wrong(&report), rows, "{fault:?}, {inner:?}\n{report}");
            let indefinite = fault == TangentFault::Factor(-1.0);
            let outputs = report.block("v·G v ≥ 0 (outputs)").unwrap().verdict;
            assert_eq!(outputs == Verdict::Indefinite, indefinite, "{report}");
            // The check of the cost by itself names the path.
            let alone = GradientCheck::new()
                .cost_tangent(&cost, &g, &z, &y)
                .unwrap();
            let paths = ["∂²cost/∂a² ȧ", "∂²cost/∂z² ż"];
            let expected = match (fault, canonical) {
                (TangentFault::None, _) => &paths[..0],
                (_, true) => &paths[..],
                (_, false) => &paths[..1],
            };
            assert_eq!(wrong(&alone), expected, "{fault:?}, {inner:?}\n{alone}");
        }
    }
}

/// This cost is not convex, but its derivatives are correct. It is wrong only if it claims to be
/// convex.
#[test]
fn only_a_cost_that_claims_convexity_must_be_convex() {
    let network = with_output(Identity);
    let report = second_order(&network, Cauchy { claims: false });
    report.assert_passed();
    for row in ["v·G v ≥ 0 (outputs)", "v·G v ≥ 0 (logits)"] {
        assert_eq!(report.block(row).unwrap().verdict, Verdict::Indefinite);
    }
    assert!(report.block("v·G v ≥ 0 (Fisher)").is_none());
    assert!(report.to_string().contains("INDEFINITE: v·G v < 0"));
    let report = second_order(&network, Cauchy { claims: true });
    assert_eq!(wrong(&report), ["v·G v ≥ 0 (logits)"], "{report}");
}

#[test]
fn samples_and_directions_find_faults_too() {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError).l2(LAMBDA);
    let network = |bend| tangled(LayerFault::None, bend, 1);
    for check in [
        GradientCheck::new().sampled(4, 1),
        GradientCheck::new().directions(3, 1),
        GradientCheck::new().step(1e-4),
    ] {
        let report = |bend| check.second_order(&network(bend), &examples, &objective);
        assert_all_agree(&report(CurvatureFault::None).unwrap());
        let found = report(CurvatureFault::WrongSign).unwrap();
        assert_eq!(wrong(&found), H[..2], "{check:?}\n{found}");
    }
    // In f32 the correct cost passes.
    let single = with_output(Sigmoid).map(|w| w as f32).unwrap();
    let (x, y) = (x.map(|x| x as f32), y.map(|y| y as f32));
    let examples = Examples::new(&x, &y).unwrap();
    let report = GradientCheck::new().second_order(&single, &examples, &objective);
    report.unwrap().assert_passed();
}
