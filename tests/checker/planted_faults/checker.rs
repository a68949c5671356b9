//! The options of the checker, its report and its errors.

use super::{Fault, Faulty, check_with, data, planted, wrong};
use backprop::activation::{Exponential, Identity, Sigmoid};
use backprop::cost::{BinaryCrossEntropy, SquaredError};
use backprop::gradient_check::{GradientCheck, Place, Report, Verdict};
use backprop::nalgebra::DMatrix;
use backprop::{Dense, Error, Examples, Location, Network, Objective};

/// f = Σ cᵢ sin pᵢ over three named blocks. The gradient of each block is scaled by a factor.
fn three_blocks(c: [f64; 3], factors: [f64; 3], check: &GradientCheck) -> Report {
    let p = [0.3, -0.2, 0.1, 0.5, -0.4, 0.25];
    let f = |p: &[f64]| {
        let value = (0..6).map(|i| c[i / 2] * p[i].sin()).sum::<f64>();
        let gradient = (0..6).map(|i| factors[i / 2] * c[i / 2] * p[i].cos());
        (value, gradient.collect())
    };
    let blocks = [("u", 2), ("v", 2), ("w", 2)];
    check.function(&blocks, &p, f).unwrap()
}

/// In the norm of the whole gradient, the wrong block would vanish, because its share is 1e-7.
#[test]
fn a_wrong_small_block_is_found_next_to_a_huge_correct_one() {
    let report = three_blocks([1e5, 1e-2, 1.0], [1.0, 2.0, 1.0], &GradientCheck::new());
    assert_eq!(wrong(&report), ["v"], "{report}");
    let whole = 1e-2 / (2.0 * 1e5);
    assert!(whole < 1e-7);
    let small = report.block("v").unwrap().relative_error;
    assert!((small - 1.0 / 3.0).abs() < 1e-2, "{report}");
    assert_eq!(report.relative_error(), small);
}

/// A block on which nothing depends has relative error 0, not 0/0.
#[test]
fn a_block_of_zeros() {
    let report = three_blocks([1.0, 0.0, 1.0], [1.0; 3], &GradientCheck::new());
    report.assert_passed();
    let zeros = report.block("v").unwrap();
    assert_eq!((zeros.relative_error, zeros.compared), (0.0, 2));
    assert_eq!(zeros.worst.unwrap().difference(), 0.0);
    // The same in a network: with Θ⁽²⁾ = 0 no error reaches Θ⁽¹⁾.
    let network = Network::<f64>::builder(3)
        .dense(4, Sigmoid)
        .dense(2, Sigmoid);
    let network = network.zeros().unwrap();
    let report = check_with(&GradientCheck::new(), &network, BinaryCrossEntropy);
    report.assert_passed();
    let first = report.block("Θ⁽¹⁾").unwrap();
    assert_eq!(first.relative_error, 0.0, "{report}");
    assert_eq!(first.worst.unwrap().analytic, 0.0);
}

/// A sample consists of distinct entries chosen by the seed. A smaller block is compared in full.
#[test]
fn samples() {
    let network = planted(Fault::Factor(2.0), 2);
    let sampled = |count, seed| {
        let check = GradientCheck::new().sampled(count, seed);
        check_with(&check, &network, BinaryCrossEntropy)
    };
    let report = sampled(10, 3);
    let compared: Vec<usize> = report.blocks.iter().map(|b| b.compared).collect();
    let entries: Vec<usize> = report.blocks.iter().map(|b| b.entries).collect();
    assert_eq!((compared, entries), (vec![10, 10, 8], vec![16, 15, 8]));
    assert_eq!(wrong(&report), ["Θ⁽³⁾"]);
    assert_eq!(report, sampled(10, 3));
    let worst = |report: &Report| report.blocks[0].worst;
    assert!((4..9).any(|seed| worst(&sampled(2, seed)) != worst(&sampled(2, 3))));
    // Drawing 15 of 16 entries also terminates. A count of 16 takes all of them.
    assert_eq!(sampled(15, 0).blocks[0].compared, 15);
    let all = check_with(&GradientCheck::new(), &network, BinaryCrossEntropy);
    assert_eq!(sampled(16, 5), all);
}

#[test]
fn directions() {
    let network = planted(Fault::WrongSign, 1);
    let directions = |seed| {
        let check = GradientCheck::new().directions(3, seed);
        check_with(&check, &network, BinaryCrossEntropy)
    };
    let report = directions(3);
    assert_eq!(wrong(&report), ["Θ⁽²⁾"], "{report}");
    assert_eq!(report, directions(3));
    assert_ne!(report, directions(4));
    for block in &report.blocks {
        assert_eq!(block.compared, 3);
        let place = block.worst.unwrap().place;
        assert!(matches!(place, Place::Direction(0..3)), "{place:?}");
    }
    assert!(report.to_string().contains("direction"), "{report}");
}

/// The step is relative for entries above 1. The default is ε^(1/3).
#[test]
fn steps() {
    let tried = |check: GradientCheck, at: f64| {
        let mut farthest = 0.0_f64;
        let f = |p: &[f64]| {
            farthest = farthest.max((p[0] - at).abs());
            (p[0] * p[0], vec![2.0 * p[0]])
        };
        let report = check.function(&[("p", 1)], &[at], f).unwrap();
        report.assert_passed();
        (report.step, farthest)
    };
    let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 1e-6;
    let (step, farthest) = tried(GradientCheck::new().step(1e-3), 0.5);
    assert!(step == 1e-3 && near(farthest, 1e-3), "{farthest:e}");
    let (step, farthest) = tried(GradientCheck::new().step(1e-3), -40.0);
    assert!(step == 1e-3 && near(farthest, 4e-2), "{farthest:e}");
    let (step, _) = tried(GradientCheck::new(), 0.5);
    assert_eq!(step, f64::EPSILON.cbrt());
}

/// The relative tolerance refers to the largest entry of the column, the floor to the function.
#[test]
fn tolerances() {
    let with = |relative, floor| GradientCheck::new().tolerance(relative, floor);
    let factors = [1.0, 1.001, 1.0];
    let strict = three_blocks([1.0; 3], factors, &with(1e-4, 1e-9));
    assert_eq!(wrong(&strict), ["v"]);
    three_blocks([1.0; 3], factors, &with(1e-2, 1e-9)).assert_passed();
    three_blocks([1.0; 3], factors, &with(1e-9, 1e-2)).assert_passed();
    // r · scale + floor · max(|J|, maxᵢ |∂J/∂θᵢ|).
    let report = three_blocks([4.0, 1.0, 1.0], [1.0; 3], &with(1e-3, 1e-2));
    let block = report.block("v").unwrap();
    let expected = 1e-3 * 0.5_f64.cos().max(0.1_f64.cos()) + 1e-2 * 4.0 * 0.2_f64.cos();
    let bound = block.worst.unwrap().bound;
    assert!((bound - expected).abs() < 1e-9, "{bound}");
}

/// A derivative below the rounding of J is undecided, and the table shows it.
#[test]
fn derivatives_below_the_floor_are_undecided() {
    let f = |p: &[f64]| (1.0 + 1e-10 * p[0] + p[1], vec![2e-10, 1.0]);
    let (blocks, p) = ([("p", 1), ("q", 1)], [0.3, 0.4]);
    let report = GradientCheck::new().function(&blocks, &p, f).unwrap();
    report.assert_passed();
    let verdict = |label| report.block(label).unwrap().verdict;
    assert_eq!(
        (verdict("p"), verdict("q")),
        (Verdict::Undecided, Verdict::Agrees)
    );
    let table = report.to_string();
    assert!(
        table.contains("undecided, 1 of 1 below the rounding of J"),
        "{table}"
    );
    // A correct derivative above the resolution is not undecided, and neither is a block of zeros.
    let f = |p: &[f64]| (1e-10 * p[0], vec![1e-10, 0.0]);
    let report = GradientCheck::new().function(&blocks, &p, f).unwrap();
    assert!(
        report.blocks.iter().all(|b| b.verdict == Verdict::Agrees),
        "{report}"
    );
    // If J is small as well, a floor of 0 decides.
    let f = |p: &[f64]| (1e-10 * p[0], vec![2e-10, 0.0]);
    let check = GradientCheck::new().tolerance(1e-6, 0.0);
    let report = check.function(&blocks, &p, f).unwrap();
    assert_eq!(wrong(&report), ["p"], "{report}");
}

/// Each column has its own scale: a wrong small one does not vanish next to a huge correct one.
#[test]
fn a_wrong_small_column_is_found_next_to_a_huge_correct_one() {
    let x = DMatrix::from_fn(3, 4, |i, k| {
        [1e4, 1.0, 1e-3][i] * (1.0 + (i + 2 * k) as f64).sin()
    });
    let theta: Vec<f64> = (0..8).map(|i| 0.5 + 0.1 * f64::from(i)).collect();
    let y = DMatrix::zeros(2, 4);
    let examples = Examples::new(&x, &y).unwrap();
    let check = |fault| {
        let inner = Dense::new(3, 2, Sigmoid);
        let layer = Faulty { inner, fault };
        let theta: Vec<f64> = theta.iter().map(|t| 1e-4 * t).collect();
        let network = Network::from_layers(3, vec![layer], &theta).unwrap();
        let objective = Objective::new(SquaredError);
        GradientCheck::new()
            .network(&network, &examples, &objective)
            .unwrap()
    };
    check(Fault::None).assert_passed();
    let report = check(Fault::Column(3));
    assert_eq!(wrong(&report), ["Θ⁽¹⁾"], "{report}");
    let worst = report.blocks[0].worst.unwrap();
    assert!(
        matches!(worst.place, Place::Entry { col: 3, .. }),
        "{report}"
    );
    let huge = report.blocks[0].relative_error;
    assert!(
        huge < 1e-6,
        "in the norm of the block it vanishes: {huge:e}"
    );
}

#[test]
fn nan_in_an_analytic_gradient_is_wrong() {
    let report = three_blocks([1.0; 3], [1.0, f64::NAN, 1.0], &GradientCheck::new());
    assert_eq!(wrong(&report), ["v"], "{report}");
    let block = report.block("v").unwrap();
    assert!(block.worst.unwrap().analytic.is_nan());
    assert!(block.relative_error.is_nan() && report.relative_error().is_nan());
    let panicked = std::panic::catch_unwind(|| report.assert_passed());
    let message = panicked.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("the gradient check failed"), "{message}");
    assert!(
        message.contains("NaN") && message.contains("WRONG"),
        "{message}"
    );
    // A layer leaves NaN in one entry. This is not an error: the report shows it, in that block
    // only.
    let report = check_with(
        &GradientCheck::new(),
        &planted(Fault::KeepsOld, 0),
        BinaryCrossEntropy,
    );
    assert_eq!(wrong(&report), ["Θ⁽¹⁾"], "{report}");
}

/// An infinite entry is wrong. It hides neither wrong nor correct entries next to it.
#[test]
fn infinity_in_an_analytic_gradient_is_wrong() {
    for infinity in [f64::INFINITY, f64::NEG_INFINITY] {
        let check = GradientCheck::new();
        let report = three_blocks([1.0; 3], [1.0, infinity, 1.0], &check);
        assert_eq!(wrong(&report), ["v"], "{report}");
        let report = three_blocks([1.0; 3], [infinity, 2.0, 1.0], &check);
        assert_eq!(wrong(&report), ["u", "v"], "{report}");
        let report = three_blocks([1.0; 3], [2.0, 1.0, infinity], &check);
        assert_eq!(wrong(&report), ["u", "w"], "{report}");
        assert!(
            report.block("v").unwrap().worst.unwrap().bound < 1e-5,
            "{report}"
        );
        let network = planted(Fault::Factor(infinity), 1);
        let report = check_with(&check, &network, BinaryCrossEntropy);
        assert_eq!(wrong(&report), ["Θ⁽²⁾"], "{report}");
    }
}

#[test]
fn the_table_has_every_block() {
    let report = check_with(
        &GradientCheck::new(),
        &planted(Fault::NoBias, 1),
        BinaryCrossEntropy,
    );
    let table = report.to_string();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(lines[0].starts_with("block"), "{table}");
    for (line, (label, verdict)) in
        lines[1..]
            .iter()
            .zip([("Θ⁽¹⁾", "agrees"), ("Θ⁽²⁾", "WRONG"), ("Θ⁽³⁾", "agrees")])
    {
        assert!(
            line.starts_with(label) && line.ends_with(verdict),
            "{table}"
        );
    }
    assert!(
        lines[2].contains(", 0)"),
        "a bias is the worst entry\n{table}"
    );
    assert!(report.block("Θ⁽⁴⁾").is_none());
}

/// In `f32` the step and the tolerances are wider, and a correct network passes.
#[test]
fn f32_networks() {
    let (x, y) = data();
    let (x, y) = (x.map(|x| x as f32), y.map(|y| y as f32));
    let examples = Examples::new(&x, &y).unwrap();
    let network = planted(Fault::None, 0).map(|w| w as f32).unwrap();
    for check in [
        GradientCheck::new(),
        GradientCheck::new().sampled(5, 1),
        GradientCheck::new().directions(5, 1),
    ] {
        let objective = Objective::new(SquaredError).l2(0.5);
        let report = check.network(&network, &examples, &objective).unwrap();
        report.assert_passed();
        assert_eq!(report.step, f64::from(f32::EPSILON).cbrt());
        assert!(report.relative_error() < 1e-2, "{report}");
    }
}

#[test]
fn invalid_options_are_refused() {
    let bad = [0.0, -1e-3, f64::NAN, f64::INFINITY];
    let mut checks = vec![
        GradientCheck::new().sampled(0, 1),
        GradientCheck::new().directions(0, 1),
    ];
    for bad in bad {
        checks.push(GradientCheck::new().step(bad));
        checks.push(GradientCheck::new().tolerance(bad, 1e-9));
        // A floor of 0 is valid: the bound is then relative.
        if bad != 0.0 {
            checks.push(GradientCheck::new().tolerance(1e-6, bad));
        }
    }
    let f = |p: &[f64]| (p[0], vec![1.0]);
    let is_it = |error| matches!(error, Error::Hyperparameter { .. });
    // A step that rounds away does not move θ.
    let found = GradientCheck::new()
        .step(1e-300)
        .function(&[("p", 1)], &[0.5], f);
    assert!(found.is_err_and(is_it));
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let (network, objective) = (planted(Fault::None, 0), Objective::new(BinaryCrossEntropy));
    for check in checks {
        let found = check.function(&[("p", 1)], &[0.5], f);
        assert!(found.is_err_and(is_it), "{check:?}");
        let found = check.network(&network, &examples, &objective);
        assert!(found.is_err_and(is_it), "{check:?}");
        let found = check.activation(&Identity, &x);
        assert!(found.is_err_and(is_it), "{check:?}");
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let f = |p: &[f64]| (p.iter().sum(), vec![1.0; p.len()]);
    let length = |what, expected, found| Error::Length {
        what,
        expected,
        found,
    };
    for (blocks, found) in [
        (&[("p", 1)][..], 1),
        (&[("p", 1), ("q", 2)], 3),
        (&[("p", usize::MAX), ("q", 3)], usize::MAX),
        (&[], 0),
    ] {
        let refused = GradientCheck::new().function(blocks, &[0.0, 0.0], f);
        assert_eq!(refused, Err(length("the blocks", 2, found)));
    }
    let short = |p: &[f64]| (p[0], vec![1.0]);
    let refused = GradientCheck::new().function(&[("p", 2)], &[0.0, 0.0], short);
    assert_eq!(refused, Err(length("the gradient", 2, 1)));
}

#[test]
fn non_finite_functions_are_refused() {
    for (at, f) in [
        (0.0, (|x| x.sqrt()) as fn(f64) -> f64), // NaN on one side
        (0.5, |_| f64::NAN),
        (0.5, |_| f64::INFINITY),
        (0.0, |x| if x > 0.0 { f64::INFINITY } else { x }),
        // Not finite at the point itself.
        (0.0, |x| 1.0 / x.abs()),
        (0.5, |x| if x == 0.5 { f64::NAN } else { x }),
    ] {
        let f = |p: &[f64]| (f(p[0]), vec![1.0]);
        let refused = GradientCheck::new().function(&[("p", 1)], &[at], f);
        assert!(matches!(
            refused,
            Err(Error::NonFinite {
                at: Location::TestedFunction,
                ..
            })
        ));
    }
    // A network that overflows within the step reports where, as any pass does.
    let network = Network::<f64>::builder(1).dense(1, Exponential);
    let network = network.with_theta(&[709.78, 0.0]).unwrap();
    let (x, y) = (DMatrix::repeat(1, 1, 1.0), DMatrix::zeros(1, 1));
    let examples = Examples::new(&x, &y).unwrap();
    let refused = GradientCheck::new().step(1.0).network(
        &network,
        &examples,
        &Objective::new(backprop::Poisson),
    );
    assert!(matches!(
        refused,
        Err(Error::NonFinite {
            at: Location::Activation { ref layer, .. },
            ..
        }) if *layer == 0
    ));
}

/// A block is wrong if one of its derivatives is. An empty block agrees.
#[test]
fn verdicts_of_blocks() {
    let f = |p: &[f64]| (p[0].sin(), vec![p[0].cos()]);
    let report = GradientCheck::new().function(&[("none", 0), ("p", 1)], &[0.5], f);
    let report = report.unwrap();
    let none = report.block("none").unwrap();
    assert_eq!(
        (none.verdict, none.compared, none.worst),
        (Verdict::Agrees, 0, None)
    );
    report.assert_passed();
}

/// A block whose derivatives are all 0 agrees, and the table shows that all are 0.
#[test]
fn blocks_of_zeros_are_reported() {
    let f = |p: &[f64]| (p[1] * p[1], vec![0.0, 2.0 * p[1]]);
    let report = GradientCheck::new().function(&[("dead", 1), ("q", 1)], &[0.5, 0.25], f);
    let report = report.unwrap();
    report.assert_passed();
    let [dead, q] = ["dead", "q"].map(|label| report.block(label).unwrap().largest);
    assert_eq!(dead, 0.0);
    assert!((q - 0.5).abs() < 1e-9);
    let table = report.to_string();
    let ends: Vec<&str> = table
        .lines()
        .map(|l| l.rsplit("  ").next().unwrap())
        .collect();
    assert_eq!(ends, ["verdict", "agrees, all 0", "agrees"]);
}
