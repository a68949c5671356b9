//! What dropout draws: its rate, its independence, and what it depends on.

use super::{Any, Fault, Net, Outcome, drawn, dropout, ensure, mask, trained, wave, wave_matrix};
use backprop::activation::{Identity, Tanh};
use backprop::layer::{AnyLayer, Axis, Concat, Dropout, GaussianNoise, Layer, Sequential};
use backprop::nalgebra::{DMatrix, DMatrixView, convert};
use backprop::{Builder, Error, Examples, Network, Objective, Scalar, SquaredError, VjpTargets};
use num_dual::{Dual64, HyperDual64};

/// Checks that two masks of rate p are uncorrelated, to five standard errors.
fn unrelated(what: &str, a: &[f64], b: &[f64], p: f64) -> Outcome {
    let kept = 1.0 - p;
    let n = a.len() as f64;
    let pairs = a.iter().zip(b).map(|(a, b)| (a - kept) * (b - kept));
    let correlation = pairs.sum::<f64>() / (n * p * kept);
    ensure(correlation.abs() < 5.0 / n.sqrt(), || {
        format!("{what}: correlation {correlation} of {n} pairs")
    })
}

/// The number of dropped entries is binomial: within five standard deviations.
#[test]
fn entries_are_dropped_at_their_rate() {
    let (n, m) = (1000, 1000);
    for (seed, p) in [1e-4, 0.01, 0.1, 0.3, 0.5, 0.75, 0.9, 0.999]
        .into_iter()
        .enumerate()
    {
        let kept = mask(&dropout(p, Fault::None), (seed as u64, 0), (n, m)).sum();
        let all = (n * m) as f64;
        let (dropped, expected) = (all - kept, all * p);
        let error = (all * p * (1.0 - p)).sqrt();
        assert!((dropped - expected).abs() < 5.0 * error, "{p}: {dropped}");
    }
    // p is rounded to a multiple of 2⁻³². None of 10⁶ entries is dropped, or kept, by chance.
    for (p, kept) in [(1e-12, 1e6), (1.0 - 1e-12, 0.0)] {
        assert_eq!(mask(&dropout(p, Fault::None), (1, 0), (n, m)).sum(), kept);
    }
}

#[test]
fn units_and_examples_are_independent() {
    for p in [0.2, 0.5, 0.9] {
        let (n, m) = (500, 2000);
        let kept = mask(&dropout(p, Fault::None), (3, 0), (n, m));
        for lag in [1, 2, 3, 4, 7, 8, 15, 16, 63, 64, 127, 128, 255, 256] {
            let rows = kept.rows(0, n - lag).clone_owned();
            let other = kept.rows(lag, n - lag).clone_owned();
            unrelated("units", rows.as_slice(), other.as_slice(), p).unwrap();
        }
        for lag in [1, 2, 3, 4, 128, 1000] {
            let columns = &kept.as_slice()[..n * (m - lag)];
            unrelated("examples", columns, &kept.as_slice()[n * lag..], p).unwrap();
        }
    }
}

/// All 256 patterns of eight neighbours are equally frequent: χ² with 255 degrees of freedom, whose
/// standard deviation is √510.
#[test]
fn patterns_of_neighbours_are_equally_frequent() {
    for seed in 0..4 {
        let kept = mask(&dropout(0.5, Fault::None), (seed, 0), (1000, 1000));
        // Neighbours in a column, and in a row.
        for kept in [kept.clone(), kept.transpose()] {
            let mut counts = [0.0; 256];
            for eight in kept.as_slice().chunks(8) {
                let pattern = eight.iter().fold(0, |sum, &bit| 2 * sum + bit as usize);
                counts[pattern] += 1.0;
            }
            let expected = 1e6 / 8.0 / 256.0;
            let square = |count: &f64| (count - expected) * (count - expected) / expected;
            let found: f64 = counts.iter().map(square).sum();
            assert!(
                (found - 255.0).abs() < 5.0 * 510.0_f64.sqrt(),
                "χ² = {found}"
            );
        }
    }
}

/// Branches whose paths are easy to confuse: 0.0, 1.0, 2.0.0, 3.0 after a layer of its own, …
fn branches(layer: &Any) -> Net {
    let nothing = || Any::from(Sequential::new(Vec::new()));
    let sequence = |layers: Vec<Any>| Sequential::new(layers);
    let branches = vec![
        sequence(vec![layer.clone()]),
        sequence(vec![layer.clone()]),
        sequence(vec![sequence(vec![layer.clone()]).into()]),
        sequence(vec![nothing(), layer.clone()]),
        sequence(vec![nothing(), sequence(vec![layer.clone()]).into()]),
    ];
    let layers = vec![Concat::new(branches, Axis::First).into()];
    Net::from_layers(200, layers, &[]).unwrap()
}

/// Checks that layers, and steps with neighbouring seeds, draw unrelated masks.
pub(super) fn layers_and_steps(fault: Fault) -> Outcome {
    let p = 0.4;
    let (n, m) = (200, 400);
    let network = branches(&dropout(p, fault));
    let x = DMatrix::repeat(n, m, 1.0);
    let mut all = Vec::new();
    for seed in [0, 1, 2, 1 << 32, u64::MAX] {
        let mut workspace = trained(seed);
        let a = network.forward_into(&x, &mut workspace).unwrap();
        for rows in (0..5).map(|branch| a.rows(branch * n, n)) {
            all.push((seed, rows.map(|a| f64::from(a != 0.0))));
        }
    }
    for (i, (seed, a)) in all.iter().enumerate() {
        for (j, (other, b)) in all[..i].iter().enumerate() {
            let what = format!("branches {} and {}, seeds {seed} and {other}", i % 5, j % 5);
            unrelated(&what, a.as_slice(), b.as_slice(), p)?;
            // Nor is one the other, moved by a few entries.
            for shift in 1..6 {
                let (a, b) = (a.as_slice(), b.as_slice());
                unrelated(&what, &a[shift..], &b[..b.len() - shift], p)?;
                unrelated(&what, &b[shift..], &a[..a.len() - shift], p)?;
            }
        }
    }
    Ok(())
}

#[test]
fn layers_and_steps_are_independent() {
    layers_and_steps(Fault::None).unwrap();
}

#[test]
fn a_seed_is_a_mask() {
    let layer = dropout(0.5, Fault::None);
    for seed in [0, 1, 77, u64::MAX] {
        let first = mask(&layer, (seed, 0), (50, 20));
        assert_eq!(mask(&layer, (seed, 0), (50, 20)), first);
        for other in [seed ^ 1, seed ^ (1 << 63), !seed] {
            assert_ne!(mask(&layer, (other, 0), (50, 20)), first);
        }
    }
}

/// Checks that the examples of a batch have the same masks however the batch is cut.
pub(super) fn parts(fault: Fault) -> Outcome {
    let layer = dropout(0.3, fault);
    for (n, m) in [(1, 9), (7, 30), (64, 5), (129, 33)] {
        let x = wave_matrix(n, m, 0.4);
        let whole = drawn::<f64>(&layer, (8, 0), x.as_view());
        for cut in 1..m {
            let (left, right) = (x.columns(0, cut), x.columns(cut, m - cut));
            let left = drawn::<f64>(&layer, (8, 0), left);
            let right = drawn::<f64>(&layer, (8, cut), right);
            let together = [left.as_slice(), right.as_slice()].concat();
            ensure(together == whole.as_slice(), || {
                format!("{n} units, {m} examples, cut after {cut}")
            })?;
        }
        // One example at a time.
        for k in 0..m {
            let alone = drawn::<f64>(&layer, (8, k), x.columns(k, 1));
            ensure(alone.column(0) == whole.column(k), || {
                format!("example {k} alone")
            })?;
        }
    }
    Ok(())
}

#[test]
fn parts_have_the_masks_of_the_batch() {
    parts(Fault::None).unwrap();
}

fn deep(p: f64, sigma: f64) -> Network<f64> {
    let builder = Builder::<f64>::new(20)
        .gaussian_noise(sigma)
        .dense(30, Tanh);
    let builder = builder.dropout(p).dense(15, Tanh).dropout(p);
    let count = 30 * 21 + 15 * 31 + 2 * 16;
    let theta: Vec<f64> = wave(count, 0.2).iter().map(|w| 0.3 * w).collect();
    builder.dense(2, Identity).with_theta(&theta).unwrap()
}

#[test]
fn threads_do_not_change_a_bit() {
    // The first batch is cut into parts; the second is computed as a whole.
    for m in [3000, 500] {
        let network = deep(0.4, 0.1);
        let (x, y) = (wave_matrix(20, m, 0.1), wave_matrix(2, m, 0.9));
        let examples = Examples::new(&x, &y).unwrap();
        let found = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| {
                let mut gradient = vec![f64::NAN; network.parameters()];
                let mut of_x = vec![f64::NAN; x.len()];
                let mut workspace = trained(6);
                let into = VjpTargets::of_parameters(&mut gradient).and_inputs(&mut of_x);
                let objective = Objective::new(SquaredError);
                let parts = network.gradients_into(&examples, &objective, &mut workspace, into);
                let bits = gradient.iter().chain(&of_x).map(|g| g.to_bits());
                (parts.unwrap().total().to_bits(), bits.collect::<Vec<_>>())
            })
        };
        let expected = found(1);
        for threads in [2, 3, 8] {
            assert!(found(threads) == expected, "{threads} threads, m = {m}");
        }
    }
}

/// A longer batch begins with the masks of a shorter one, cut into parts or not.
#[test]
fn a_mask_does_not_depend_on_the_size_of_the_batch() {
    let network = deep(0.4, 0.1);
    let x = wave_matrix(20, 3000, 0.1);
    let long = network
        .forward_into(&x, &mut trained(6))
        .unwrap()
        .clone_owned();
    for m in [1, 2, 511, 512, 1301] {
        let mut workspace = trained(6);
        let short = network
            .forward_into(x.columns(0, m), &mut workspace)
            .unwrap();
        assert!((short - long.columns(0, m)).amax() <= 1e-13, "m = {m}");
    }
}

/// The same entries are dropped for every scalar, and kept entries are those of x/(1 − p).
#[test]
fn every_scalar_has_the_same_mask() {
    fn kept<T: Scalar>(x: &DMatrix<f64>) -> DMatrix<bool> {
        let x = x.map(convert::<f64, T>);
        let a = drawn::<T>(&Dropout::new(0.75), (4, 11), x.as_view());
        for (a, x) in a.iter().zip(&x) {
            assert!(*a == T::zero() || *a == *x * convert(4.0));
        }
        a.map(|a| a != T::zero())
    }
    let x = wave_matrix(37, 11, 0.3);
    let expected = kept::<f64>(&x);
    assert_eq!(kept::<f32>(&x), expected);
    assert_eq!(kept::<Dual64>(&x), expected);
    assert_eq!(kept::<HyperDual64>(&x), expected);
}

#[test]
fn p_of_zero_is_nothing_and_of_one_is_zero() {
    let (x, y) = (wave_matrix(3, 5, 0.1), wave_matrix(2, 5, 0.5));
    let examples = Examples::new(&x, &y).unwrap();
    let network = |p: Option<f64>| {
        let builder = Builder::<f64>::new(3).dense(4, Tanh);
        let builder = match p {
            Some(p) => builder.dropout(p),
            None => builder,
        };
        builder
            .dense(2, Identity)
            .with_theta(&wave(26, 0.7))
            .unwrap()
    };
    let found = |network: &Network<f64>| {
        let mut workspace = trained(9);
        let (mut gradient, mut of_x) = (vec![f64::NAN; 26], vec![f64::NAN; 15]);
        let into = VjpTargets::of_parameters(&mut gradient).and_inputs(&mut of_x);
        let objective = Objective::new(SquaredError);
        network
            .gradients_into(&examples, &objective, &mut workspace, into)
            .unwrap();
        (workspace.output().unwrap().clone_owned(), gradient, of_x)
    };
    assert_eq!(found(&network(Some(0.0))), found(&network(None)));

    let (a, gradient, of_x) = found(&network(Some(1.0)));
    // Only the biases of the last layer act.
    let theta = wave(26, 0.7);
    assert!(a.column_iter().all(|a| a.as_slice() == &theta[16..18]));
    assert!(of_x.iter().all(|&d| d == 0.0));
    assert!(
        gradient[..16]
            .iter()
            .chain(&gradient[18..])
            .all(|&g| g == 0.0)
    );
    for i in 0..2 {
        let mean = (0..5).map(|k| theta[16 + i] - y[(i, k)]).sum::<f64>() / 5.0;
        assert!((gradient[16 + i] - mean).abs() <= 1e-15);
    }
    // Signs too: 0, not −0.
    let zero = drawn::<f64>(&Dropout::new(1.0), (1, 0), x.as_view());
    assert!(zero.iter().all(|a| a.to_bits() == 0));
}

/// Checks that a pass outside training is the identity, even after a training pass.
pub(super) fn evaluation(fault: Fault) -> Outcome {
    let network = branches(&dropout(0.5, fault));
    let x = wave_matrix(200, 7, 0.3);
    let expected = DMatrix::from_fn(1000, 7, |i, k| x[(i % 200, k)]);
    let mut workspace = trained(1);
    let training = network.forward_into(&x, &mut workspace).unwrap();
    ensure(training != expected, || {
        "nothing is dropped in training".to_owned()
    })?;
    workspace.set_training(None);
    let evaluated = network.forward_into(&x, &mut workspace).unwrap();
    ensure(evaluated == expected, || "something is dropped".to_owned())?;
    let evaluated = network.forward(&x).unwrap();
    ensure(evaluated == expected, || "something is dropped".to_owned())
}

#[test]
fn evaluation_drops_nothing() {
    evaluation(Fault::None).unwrap();
}

/// X itself may have gaps between its columns.
#[test]
fn columns_may_be_apart() {
    let x = wave_matrix(9, 6, 0.2);
    let (rows, whole) = (x.rows(2, 5), x.rows(2, 5).clone_owned());
    let network = Builder::<f64>::new(5)
        .dropout(0.5)
        .gaussian_noise(0.5)
        .zeros()
        .unwrap();
    let found = network
        .forward_into(rows, &mut trained(3))
        .unwrap()
        .clone_owned();
    let expected = network
        .forward_into(&whole, &mut trained(3))
        .unwrap()
        .clone_owned();
    assert_eq!(found, expected);
}

#[test]
fn a_given_mask_takes_the_place_of_the_seed() {
    let builder = Builder::<f64>::new(3).dense(2, Identity).dropout(0.75);
    let network = builder
        .with_theta(&[1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
        .unwrap();
    let given = DMatrix::from_row_slice(2, 3, &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    let x = DMatrix::zeros(3, 3);
    let mut workspace = trained(5);
    workspace.set_random_numbers(1, &given).unwrap();
    let a = network.forward_into(&x, &mut workspace).unwrap();
    let expected = DMatrix::from_row_slice(2, 3, &[4.0, 0.0, 4.0, 0.0, 0.0, 8.0]);
    assert_eq!(a, expected);
    // The error of an output goes back through the same mask: ∂/∂b of ½‖a‖² is Σ 4 m a.
    let y = DMatrix::zeros(2, 3);
    let mut gradient = vec![f64::NAN; 8];
    let (examples, objective) = (Examples::new(&x, &y).unwrap(), Objective::new(SquaredError));
    network
        .gradient_into(&examples, &objective, &mut workspace, &mut gradient)
        .unwrap();
    assert_eq!(&gradient[..2], &[32.0 / 3.0, 32.0 / 3.0]);
}

#[test]
fn p_out_of_range_is_refused() {
    for p in [-0.1, 1.1, f64::NAN, f64::INFINITY, -f64::MIN_POSITIVE] {
        let found = Builder::<f64>::new(3).dense(2, Tanh).dropout(p).zeros();
        let Err(Error::Hyperparameter { value, .. }) = found else {
            panic!("{p}: {found:?}");
        };
        assert_eq!(value.to_bits(), p.to_bits());
    }
    for p in [0.0, 1.0, f64::MIN_POSITIVE] {
        let network = Builder::<f64>::new(3).dropout(p).zeros().unwrap();
        assert_eq!(network.parameters(), 0);
    }
}

#[test]
fn layers_of_chance_can_be_saved() {
    let layers: [(AnyLayer, &str); 2] = [
        (Dropout::new(0.25).into(), r#"{"dropout":{"p":0.25}}"#),
        (
            GaussianNoise::new(0.5).into(),
            r#"{"gaussian_noise":{"sigma":0.5}}"#,
        ),
    ];
    for (layer, text) in layers {
        assert_eq!(serde_json::to_string(&layer).unwrap(), text);
        assert_eq!(serde_json::from_str::<AnyLayer>(text).unwrap(), layer);
        let more = text.replace("}}", r#","q":1}}"#);
        assert!(serde_json::from_str::<AnyLayer>(&more).is_err());
    }
    let name = Layer::<f64>::name(&Dropout::new(0.25));
    assert_eq!(name, "Dropout(0.25)");
    let boxed: Box<dyn Layer<f64>> = Dropout::new(0.5).into();
    let x = DMatrixView::from_slice(&[1.0], 1, 1);
    assert!([0.0, 2.0].contains(&drawn(&*boxed, (1, 0), x)[0]));
}
