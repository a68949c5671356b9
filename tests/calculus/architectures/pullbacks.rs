//! Pullbacks from one forward pass, and derivatives of pullbacks and of ∇J along θ̇ and Ẋ.

use super::random::{Case, cases};
use super::{Lifted, bits, close, config, largest, wave, wave_matrix};
use backprop::nalgebra::DMatrix;
use backprop::{Tangent, VjpTargets, Workspace};
use num_dual::Dual64;
use proptest::prelude::*;

/// How much of a direction moves.
#[derive(Clone, Copy, Debug)]
struct Moves {
    theta: bool,
    x: bool,
}

/// The ε parts.
fn parts_of(dual: &[Dual64]) -> Vec<f64> {
    dual.iter().map(|d| d.eps).collect()
}

proptest! {
    #![proptest_config(config())]

    /// ∂/∂ε of the products with Aᵀ and of ∇J at (θ + εθ̇, X + εẊ) are those of dual numbers.
    #[test]
    fn derivatives_along_both_agree_with_dual_numbers(case in cases(), which in 0..3_usize) {
        let moves = [
            Moves { theta: true, x: false },
            Moves { theta: false, x: true },
            Moves { theta: true, x: true },
        ][which];
        let (network, x) = (&case.network, &case.x);
        let (p, (n, m)) = (network.parameters(), x.shape());
        let (theta_dot, x_dot) = (wave(p, 0.7), wave_matrix(n, m, 0.1));
        let u = wave_matrix(network.outputs(), m, 0.5);
        let direction = match moves {
            Moves { theta: true, x: false } => Tangent::of_parameters(&theta_dot),
            Moves { theta: false, .. } => Tangent::of_inputs(&x_dot),
            Moves { .. } => Tangent::of_parameters(&theta_dot).and_inputs(&x_dot),
        };
        let lifted = Lifted::new(
            &case,
            |i| if moves.theta { theta_dot[i] } else { 0.0 },
            |i| if moves.x { x_dot[i] } else { 0.0 },
        );
        let (of_theta, of_x) = lifted.network.vjp(&lifted.x, &u.map(Dual64::from)).unwrap();
        let (of_theta, of_x) = (parts_of(of_theta.as_slice()), parts_of(of_x.as_slice()));

        let mut workspace = Workspace::new();
        for _ in 0..2 {
            workspace.fill(f64::NAN);
            let (mut found_theta, mut found_x) = (vec![f64::NAN; p], vec![f64::NAN; n * m]);
            let into = VjpTargets {
                parameters: Some(&mut found_theta),
                inputs: Some(&mut found_x),
            };
            network.vjp_along_into(x, &u, direction, &mut workspace, into).unwrap();
            close(&found_theta, &of_theta, 1e-12 * (1.0 + largest(&of_theta)))?;
            close(&found_x, &of_x, 1e-12 * (1.0 + largest(&of_x)))?;

            // One of the two alone.
            workspace.fill(f64::NAN);
            let mut alone = vec![f64::NAN; n * m];
            let into = VjpTargets::of_inputs(&mut alone);
            network.vjp_along_into(x, &u, direction, &mut workspace, into).unwrap();
            prop_assert_eq!(&alone, &found_x);
            let mut alone = vec![f64::NAN; p];
            let into = VjpTargets::of_parameters(&mut alone);
            network.vjp_along_into(x, &u, direction, &mut workspace, into).unwrap();
            prop_assert_eq!(&alone, &found_theta);

            workspace.fill(f64::NAN);
            let examples = lifted.examples(&case);
            let gradient = lifted.network.gradient_vector(&examples, &case.objective).unwrap();
            let gradient = parts_of(gradient.as_slice());
            let mut product = vec![f64::NAN; p];
            let at = (case.examples(), &case.objective);
            network
                .hessian_product_into(&at.0, at.1, direction, &mut workspace, &mut product)
                .unwrap();
            close(&product, &gradient, 1e-11 * (1.0 + largest(&gradient)))?;
        }
    }

    /// A pullback gives the bits of separate passes, as often as it is called.
    #[test]
    fn a_pullback_gives_the_bits_of_a_pass(case in cases()) {
        let (network, x) = (&case.network, &case.x);
        let (p, (n, m)) = (network.parameters(), x.shape());
        let mut workspace = Workspace::new();
        for _ in 0..2 {
            workspace.fill(f64::NAN);
            let mut pullback = network.pullback(x, &mut workspace).unwrap();
            prop_assert_eq!(&pullback.output().clone_owned(), &network.forward(x).unwrap());
            let (mut sum_theta, mut sum_x) = (vec![0.25; p], vec![0.5; n * m]);
            let (mut all_theta, mut all_x) = (sum_theta.clone(), sum_x.clone());
            for phase in [0.1, 0.9] {
                let u = wave_matrix(network.outputs(), m, phase);
                let (of_theta, of_x) = network.vjp(x, &u).unwrap();
                let (mut found_theta, mut found_x) = (vec![f64::NAN; p], vec![f64::NAN; n * m]);
                let into = VjpTargets::of_parameters(&mut found_theta).and_inputs(&mut found_x);
                pullback.vjp_into(&u, into).unwrap();
                prop_assert_eq!(bits(&found_theta), bits(of_theta.as_slice()));
                prop_assert_eq!(bits(&found_x), bits(of_x.as_slice()));
                let into = VjpTargets::of_parameters(&mut sum_theta).and_inputs(&mut sum_x);
                pullback.add_vjp_into(&u, into).unwrap();
                let added = |all: &mut [f64], by: &[f64]| {
                    all.iter_mut().zip(by).for_each(|(all, by)| *all += by);
                };
                added(&mut all_theta, of_theta.as_slice());
                added(&mut all_x, of_x.as_slice());
                prop_assert_eq!(bits(&sum_theta), bits(&all_theta));
                prop_assert_eq!(bits(&sum_x), bits(&all_x));
            }
        }
    }
}

/// The same for batches that are cut into parts, each of which keeps its activations.
#[test]
fn a_pullback_of_parts_gives_the_bits_of_a_pass() {
    for seed in 0..4 {
        let case = Case::new(seed, 3, 2600);
        let (network, x) = (&case.network, &case.x);
        let u = wave_matrix(network.outputs(), 2600, 0.4);
        let expected = network.vjp(x, &u).unwrap();
        let slope = |a: backprop::nalgebra::DMatrixView<'_, f64>, to: &mut DMatrix<f64>| {
            assert_eq!(a, network.forward(x).unwrap());
            to.copy_from(&u);
        };
        let found = network.vjp_with(x, slope).unwrap();
        assert_eq!(found, expected);
        let mut workspace = Workspace::new();
        let mut pullback = network.pullback(x, &mut workspace).unwrap();
        for _ in 0..2 {
            let mut of_x = vec![f64::NAN; x.len()];
            pullback
                .vjp_into(&u, VjpTargets::of_inputs(&mut of_x))
                .unwrap();
            assert_eq!(of_x, expected.1.as_slice());
            let mut of_theta = vec![f64::NAN; network.parameters()];
            let into = VjpTargets::of_parameters(&mut of_theta);
            pullback.vjp_into(&u, into).unwrap();
            assert_eq!(of_theta, expected.0.as_slice());
        }
    }
}
