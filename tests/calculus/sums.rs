//! Sums over up to 10⁷ examples in `f32` are within 3·10⁻⁶ of the same sums in `f64`. The examples
//! are either all equal, which makes every rounding go the same way, or different without
//! cancelling.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

use backprop::activation::{AnyActivation, Identity, Sigmoid, Tanh};
use backprop::layer::{Backward, Couples, Forward, Layer, Plan, Site};
use backprop::nalgebra::{DMatrix, DVector};
use backprop::{
    Accumulator, AnyLayer, Builder, Error, Examples, GaussNewton, Location, Network, Objective,
    Penalty, Scalar, SquaredError, Workspace,
};

const BOUND: f64 = 3e-6;

/// Passes its inputs through and needs all examples at once.
#[derive(Clone, Debug)]
struct Together;

impl<T: Scalar> Layer<T> for Together {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Plan::new(site, site.input).couples(Couples::Always))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        pass.output.copy_from(&pass.input);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
        }
    }
}

type Mixed<T> = Network<T, AnyLayer<Together>>;

/// A network with these layer sizes, whose parameters have similar magnitudes. With `together` it
/// needs all examples at once.
fn network(sizes: &[usize], hidden: AnyActivation, together: bool) -> Mixed<f32> {
    let mut builder = Builder::<f32, AnyLayer<Together>>::new(sizes[0]);
    let last = sizes.len() - 1;
    for (l, &units) in sizes.iter().enumerate().skip(1) {
        if together && l == last {
            builder = builder.layer(AnyLayer::Custom(Together));
        }
        builder = match l == last {
            true => builder.dense(units, Identity),
            false => builder.dense(units, hidden),
        };
    }
    let network = builder.zeros().unwrap();
    let p = network.parameters();
    let widest = sizes.iter().fold(4, |widest, &size| widest.max(size)) as f32;
    let theta: Vec<f32> = (0..p)
        .map(|i| (0.8 + 0.4 * ((i * i) as f32).sin()) / widest)
        .collect();
    let mut network = network;
    network.set_theta(&theta).unwrap();
    network
}

/// Inputs in (0, 1), equal to `constant` if given, and targets below every output.
fn data(n: usize, k: usize, m: usize, constant: Option<f32>) -> (DMatrix<f32>, DMatrix<f32>) {
    let mut state = 1_u64;
    let x = DMatrix::from_fn(n, m, |i, _| match constant {
        Some(x) => x + 0.1 * (i % 5) as f32,
        None => {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(i as u64 + 1);
            ((state >> 40) as f32 + 0.5) / (1_u64 << 24) as f32
        }
    });
    (x, DMatrix::repeat(k, m, -1.3))
}

fn wide(matrix: &DMatrix<f32>) -> DMatrix<f64> {
    matrix.map(f64::from)
}

/// Asserts that the norm and every entry of the error are within the relative bound.
#[track_caller]
fn close(what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let norm = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
    let off = found
        .iter()
        .zip(expected)
        .map(|(&found, expected)| (f64::from(found) - expected).powi(2));
    let off = off.sum::<f64>().sqrt() / norm;
    assert!(off <= BOUND, "{what}: {off:e}");
    for (&found, expected) in found.iter().zip(expected) {
        let off = (f64::from(found) - expected).abs() / expected.abs();
        assert!(off <= BOUND, "{what}: {found} and {expected}, {off:e}");
    }
}

/// Compares ∇J and J in f32 with those of the same network and examples in f64.
#[track_caller]
fn compare(what: &str, network: &Mixed<f32>, (x, y): (&DMatrix<f32>, &DMatrix<f32>)) {
    let objective = Objective::new(SquaredError).l2(0.5);
    let examples = Examples::new(x, y).unwrap();
    let found = network.backprop(&examples, &objective).unwrap();
    let exact = network.map(f64::from).unwrap();
    let (x, y) = (wide(x), wide(y));
    let exact = exact
        .backprop(&Examples::new(&x, &y).unwrap(), &objective)
        .unwrap();
    close(
        what,
        found.gradient().vector().as_slice(),
        exact.gradient().vector().as_slice(),
    );
    close(what, &[found.cost()], &[exact.cost()]);
}

/// A linear unit with a known gradient: δ [1 x] with δ = θ₀ + θ₁ x − y.
#[test]
fn ten_million_equal_examples() {
    let m = 10_000_000;
    for value in [0.1_f32, 0.7] {
        let network = network(&[1, 1], Tanh, false);
        let (x, y) = data(1, 1, m, Some(value));
        let objective = Objective::new(SquaredError);
        let gradient = network.gradient_vector(&Examples::new(&x, &y).unwrap(), &objective);
        let theta = network.theta().map(f64::from);
        let delta = theta[0] + theta[1] * f64::from(value) + f64::from(1.3_f32);
        let expected = [delta, delta * f64::from(value)];
        close(&format!("{value}"), gradient.unwrap().as_slice(), &expected);
    }
}

#[test]
fn ten_million_examples() {
    let network = network(&[1, 1], Tanh, false);
    let (x, y) = data(1, 1, 10_000_000, None);
    compare("a line", &network, (&x, &y));
}

/// Covers units that fill less than a register, one or several, Δ with its features along the
/// registers, and parts of every size.
#[test]
fn networks_of_many_shapes() {
    for (sizes, m) in [
        (&[3, 4, 2][..], 300_000),
        (&[2, 20, 1], 50_000),
        (&[1, 129, 3], 20_000),
        (&[40, 17, 17, 2], 20_000),
        (&[100, 9, 1], 20_000),
        (&[3, 5, 1], 513),
        (&[3, 5, 1], 1),
    ] {
        for hidden in [Tanh, Sigmoid] {
            for constant in [Some(0.3), Some(0.17), None] {
                let network = network(sizes, hidden, false);
                let (x, y) = data(sizes[0], sizes[sizes.len() - 1], m, constant);
                compare(&format!("{sizes:?}, {m}, {constant:?}"), &network, (&x, &y));
            }
        }
    }
}

/// Batches computed as a whole: a layer couples its examples, or θ has more than 2¹⁸ entries.
#[test]
fn batches_without_parts_keep_their_digits() {
    for constant in [Some(0.3), Some(0.17), None] {
        for (sizes, m) in [
            (&[1, 3, 1][..], 1_000_000),
            (&[3, 30, 2], 100_001),
            (&[2, 3, 1], 2049),
        ] {
            let network = network(sizes, Tanh, true);
            let (x, y) = data(sizes[0], sizes[sizes.len() - 1], m, constant);
            compare(&format!("{sizes:?}, {m}, {constant:?}"), &network, (&x, &y));
        }
    }
    let network = network(&[1, 8, 30_000, 1], Sigmoid, false);
    assert!(network.parameters() > 1 << 18);
    let (x, y) = data(1, 1, 5000, Some(0.3));
    compare("a large network", &network, (&x, &y));
}

/// Batches of every size, merged as trees and as chains.
#[test]
fn streams_of_batches() {
    let network = network(&[1, 1], Tanh, false);
    let exact = network.map(f64::from).unwrap();
    for (size, batches) in [(1, 300_000), (1000, 1000), (37, 10_000)] {
        for constant in [Some(0.3_f32), Some(0.17), None] {
            let (x, y) = data(1, 1, size, constant);
            let examples = Examples::new(&x, &y).unwrap();
            let mut workspace = Workspace::new();
            let mut sums = Accumulator::new(&network).unwrap();
            for _ in 0..batches {
                sums.add(&network, &examples, &SquaredError, &mut workspace)
                    .unwrap();
            }
            let (x, y) = (wide(&x), wide(&y));
            let examples = Examples::new(&x, &y).unwrap();
            let expected = exact
                .backprop(&examples, &Objective::new(SquaredError))
                .unwrap();
            let check = |what: &str, sums: &Accumulator<f32>| {
                let what = format!("{what}, {size} {batches} {constant:?}");
                let found = sums.finish(&network, &Penalty::none()).unwrap();
                let gradient = found.gradient().vector();
                close(
                    &what,
                    gradient.as_slice(),
                    expected.gradient().vector().as_slice(),
                );
                close(&what, &[found.cost()], &[expected.cost()]);
            };
            check("a stream", &sums);
            // The same sums, merged one by one and pairwise.
            let mut chain = Accumulator::new(&network).unwrap();
            for _ in 0..10_000 {
                chain.merge(&sums).unwrap();
            }
            check("a chain", &chain);
            let mut tree = sums.clone();
            for _ in 0..8 {
                let other = tree.clone();
                tree.merge(&other).unwrap();
            }
            check("a tree", &tree);
            let mut again = Accumulator::new(&network).unwrap();
            again.merge(&sums).unwrap();
            assert_eq!(again, sums);
            again.reset();
            assert_eq!(again, Accumulator::new(&network).unwrap());
        }
    }
}

/// A sum that overflows stays infinite, and its error names it.
#[test]
fn a_stream_that_overflows() {
    let network = Builder::<f32, AnyLayer<Together>>::new(1)
        .dense(1, Identity)
        .with_theta(&[1.5e19, 0.0])
        .unwrap();
    let (x, y) = (DMatrix::repeat(1, 1, 1e19_f32), DMatrix::repeat(1, 1, 0.0));
    let examples = Examples::new(&x, &y).unwrap();
    let mut sums = Accumulator::new(&network).unwrap();
    for _ in 0..5 {
        let added = sums.add(&network, &examples, &SquaredError, &mut Workspace::new());
        added.unwrap();
    }
    assert_eq!(
        (sums.delta()[1], sums.cost()),
        (f32::INFINITY, f32::INFINITY)
    );
    let error = sums.finish(&network, &Penalty::none()).unwrap_err();
    let (at, value) = (Location::Objective, f64::INFINITY);
    assert_eq!(error, Error::NonFinite { at, value });
}

/// The other sums over examples: tangents, curvature products, clipped sums and given cotangents.
#[test]
fn other_sums_keep_their_digits() {
    let objective = Objective::new(SquaredError);
    let at = GaussNewton::Outputs;
    for constant in [Some(0.3), Some(0.17), None] {
        let m = 100_000;
        let network = network(&[1, 2, 1], Tanh, false);
        let p = network.parameters();
        let v = DVector::from_fn(p, |i, _| 0.3 + 0.1 * i as f32);
        let (x, y) = data(1, 1, m, constant);
        let examples = Examples::new(&x, &y).unwrap();
        let (v64, x64, y64) = (v.map(f64::from), wide(&x), wide(&y));
        let exact = network.map(f64::from).unwrap();
        let of64 = Examples::new(&x64, &y64).unwrap();
        let check = |what: &str, found: &DVector<f32>, expected: &DVector<f64>| {
            close(
                &format!("{what}, {constant:?}"),
                found.as_slice(),
                expected.as_slice(),
            );
        };
        check(
            "G v",
            &network
                .gauss_newton_product(&examples, &objective, at, v.as_slice())
                .unwrap(),
            &exact
                .gauss_newton_product(&of64, &objective, at, v64.as_slice())
                .unwrap(),
        );
        let found = network
            .gauss_newton_matrix(&examples, &objective, at)
            .unwrap();
        let expected = exact.gauss_newton_matrix(&of64, &objective, at).unwrap();
        close("G", found.as_slice(), expected.as_slice());
        check(
            "vjp",
            &network.vjp(&x, &y).unwrap().0,
            &exact.vjp(&x64, &y64).unwrap().0,
        );
        let (mut found, mut expected) = (DVector::zeros(p), DVector::zeros(p));
        let mut workspace = Workspace::new();
        let to = found.as_mut_slice();
        network
            .example_gradients(&examples, &SquaredError)
            .clipped_sum(0.7, &mut workspace, to)
            .unwrap();
        let to = expected.as_mut_slice();
        exact
            .example_gradients(&of64, &SquaredError)
            .clipped_sum(0.7, &mut Workspace::new(), to)
            .unwrap();
        check("a clipped sum", &found, &expected);

        // For a linear unit, H is the mean of [1 x]ᵀ[1 x].
        let network = Network::<f32>::builder(1)
            .dense(1, Identity)
            .zeros()
            .unwrap();
        let exact = network.map(f64::from).unwrap();
        check(
            "H v",
            &network
                .hessian_product(&examples, &objective, &[0.3, 0.7])
                .unwrap(),
            &exact
                .hessian_product(&of64, &objective, &[f64::from(0.3_f32), f64::from(0.7_f32)])
                .unwrap(),
        );
    }
}
