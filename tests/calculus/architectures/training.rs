//! Training passes of random trees: the same mask in every pass of a step, derivatives through the
//! statistics of the batch, and nothing written but the new state.

use super::random::{Case, cases};
use super::{Lifted, Outcome, bits, close, close_blocks, config, dot, largest, wave, wave_matrix};
use backprop::gradient_check::GradientCheck;
use backprop::nalgebra::DMatrix;
use backprop::{Error, Scalar, Tangent, VjpTargets, Workspace};
use num_dual::{Dual64, HyperDual64};
use proptest::prelude::*;

const SEED: u64 = 11;

fn training<T: Scalar>() -> Workspace<T> {
    let mut workspace = Workspace::new();
    workspace.set_training(Some(SEED));
    workspace
}

/// Whether a layer gathers statistics, so that it couples examples and takes no weights.
fn gathers(case: &Case) -> bool {
    !case.network.state().is_empty()
}

/// Random trees, without weights where a layer gathers statistics.
fn trees() -> impl Strategy<Value = Case> {
    cases().prop_map(|mut case| {
        if gathers(&case) {
            case.weights = None;
        }
        case
    })
}

/// ∇J and ∂J/∂X of a training pass.
fn gradients(case: &Case, workspace: &mut Workspace<f64>) -> (f64, Vec<f64>, DMatrix<f64>) {
    let (examples, (n, m)) = (case.examples(), case.x.shape());
    let (mut theta, mut x) = (
        vec![f64::NAN; case.network.parameters()],
        vec![f64::NAN; n * m],
    );
    let wanted = VjpTargets::of_parameters(&mut theta).and_inputs(&mut x);
    let parts = case
        .network
        .gradients_into(&examples, &case.objective, workspace, wanted);
    (parts.unwrap().total(), theta, DMatrix::from_vec(n, m, x))
}

fn passes_the_checker(case: &Case) -> Outcome {
    let check = GradientCheck::new().training(SEED);
    let (network, examples, objective) = (&case.network, case.examples(), &case.objective);
    let report = check.network(network, &examples, objective).unwrap();
    prop_assert!(report.passed(), "{report}");
    let report = check.second_order(network, &examples, objective).unwrap();
    prop_assert!(report.passed(), "{report}");
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn gradients_agree_with_central_differences(case in trees()) {
        passes_the_checker(&case)?;
    }

    /// Every entry of ∇J and ∂J/∂X by forward passes in dual numbers.
    #[test]
    fn gradients_agree_with_dual_numbers(case in trees()) {
        let (_, gradient, by_x) = gradients(&case, &mut training());
        let moved = |theta: Option<usize>, x: Option<usize>| {
            let at = |i: usize, moves: Option<usize>| f64::from(moves == Some(i));
            let lifted = Lifted::new(&case, |i| at(i, theta), |i| at(i, x));
            let (examples, objective) = (lifted.examples(&case), &case.objective);
            let j = lifted.network.cost_into(&examples, objective, &mut training());
            j.unwrap().total().eps
        };
        let expected: Vec<f64> = (0..gradient.len()).map(|i| moved(Some(i), None)).collect();
        let size = largest(&gradient).max(1.0);
        close_blocks(&case, &gradient, &expected, (1e-11, size))?;
        let expected: Vec<f64> = (0..by_x.len()).map(|i| moved(None, Some(i))).collect();
        close(by_x.as_slice(), &expected, 1e-11 * largest(&expected).max(1e-3 * size))?;
    }

    /// H v by the gradient in dual numbers, and v′·H v by J in hyper-dual numbers.
    #[test]
    fn hessian_products_agree_with_dual_numbers(case in trees()) {
        let (network, examples, p) = (&case.network, case.examples(), case.network.parameters());
        let (v, w) = (wave(p, 0.4), wave(p, 1.9));
        let mut found = vec![f64::NAN; p];
        network
            .hessian_product_into(&examples, &case.objective, &v, &mut training(), &mut found)
            .unwrap();
        let lifted = Lifted::new(&case, |i| v[i], |_| 0.0);
        let mut gradient = vec![Dual64::from(f64::NAN); p];
        lifted
            .network
            .gradient_into(
                &lifted.examples(&case),
                &case.objective,
                &mut training(),
                &mut gradient,
            )
            .unwrap();
        let expected: Vec<f64> = gradient.iter().map(|g| g.eps).collect();
        let size = largest(&expected).max(1.0);
        close_blocks(&case, &found, &expected, (1e-11, size))?;

        let mut index = 0..;
        let twice = network.map(|theta| {
            let i = index.next().unwrap();
            // The state follows θ, and does not move.
            let along = |v: &[f64]| v.get(i).copied().unwrap_or(0.0);
            HyperDual64::new(theta, along(&v), along(&w), 0.0)
        });
        let (x, y) = (case.x.map(HyperDual64::from), case.y.map(HyperDual64::from));
        let examples = super::weighted(super::masked(&x, &y, case.present.as_ref()), &case);
        let j = twice.unwrap().cost_into(&examples, &case.objective, &mut training());
        let expected = j.unwrap().total().eps1eps2;
        close(&[dot(&w, &found)], &[expected], 1e-11 * size * p.max(1) as f64)?;
    }

    /// ȧ along θ̇ and ẋ by a forward pass in dual numbers, and the same Jacobian backward.
    #[test]
    fn jacobian_products_agree_with_dual_numbers(case in trees()) {
        let (network, (n, m)) = (&case.network, case.x.shape());
        let (k, p) = (network.outputs(), network.parameters());
        let (theta, x_dot) = (wave(p, 0.3), wave_matrix(n, m, 0.8));
        let mut found = vec![f64::NAN; k * m];
        let direction = Tangent::of_parameters(&theta).and_inputs(&x_dot);
        network.jvp_into(&case.x, direction, &mut training(), &mut found).unwrap();
        let lifted = Lifted::new(&case, |i| theta[i], |i| x_dot[i]);
        let mut workspace = training();
        let a = lifted.network.forward_into(&lifted.x, &mut workspace).unwrap();
        let expected: Vec<f64> = a.iter().map(|a| a.eps).collect();
        close(&found, &expected, 1e-11 * largest(&expected).max(1.0))?;

        let u = wave_matrix(k, m, 2.2);
        let (mut to_theta, mut to_x) = (vec![f64::NAN; p], vec![f64::NAN; n * m]);
        let wanted = VjpTargets::of_parameters(&mut to_theta).and_inputs(&mut to_x);
        network.vjp_into(&case.x, &u, &mut training(), wanted).unwrap();
        let back = dot(&to_theta, &theta) + dot(&to_x, x_dot.as_slice());
        let size = largest(&found).max(1.0) * (k * m) as f64;
        close(&[back], &[dot(u.as_slice(), &found)], 1e-11 * size)?;
    }

    /// Gradients of examples exist where no layer couples them, and add up to ∇J.
    #[test]
    fn gradients_of_examples_add_up_or_are_refused(case in trees()) {
        let (network, examples, cost) = (&case.network, case.examples(), &case.objective.cost);
        let each = network.example_gradients(&examples, cost);
        let (p, m) = (network.parameters(), case.x.ncols());
        let (mut found, mut norms) = (vec![f64::NAN; p * m], vec![f64::NAN; m]);
        let done = each.matrix_into(&mut training(), &mut found);
        if gathers(&case) {
            let is_coupled = |e: &Error| matches!(e, Error::Coupled { training: true, .. });
            prop_assert!(done.as_ref().is_err_and(is_coupled), "{done:?}");
            return Ok(());
        }
        done.unwrap();
        each.norms_into(&mut training(), &mut norms).unwrap();
        let mut sum = vec![0.0; p];
        let objective = backprop::Objective::new(*cost);
        for (k, gradient) in found.chunks(p.max(1)).enumerate().take(m) {
            sum.iter_mut().zip(gradient).for_each(|(s, g)| *s += case.weight(k) * g);
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            close(&[norms[k]], &[norm], 1e-12 * norm.max(1.0))?;
        }
        let total = examples.total_weight();
        sum.iter_mut().for_each(|s| *s /= total);
        let mut whole = vec![f64::NAN; p];
        network.gradient_into(&examples, &objective, &mut training(), &mut whole).unwrap();
        close_blocks(&case, &whole, &sum, (1e-12, largest(&found).max(1.0)))?;
    }

    /// A pass repeats its bits, whatever its buffers hold, and leaves the network as it was. The
    /// new state follows from θ, X and the old state alone.
    #[test]
    fn passes_repeat_and_only_return_a_new_state(case in trees()) {
        let mut workspace = training();
        let before = case.network.clone();
        let first = gradients(&case, &mut workspace);
        let mut after = case.network.clone();
        if gathers(&case) {
            after.take_state(&workspace).unwrap();
        }
        workspace.fill(f64::NAN);
        let again = gradients(&case, &mut workspace);
        prop_assert_eq!(bits(&first.1), bits(&again.1));
        prop_assert_eq!(first.0.to_bits(), again.0.to_bits());
        prop_assert_eq!(&before, &case.network);
        let mut second = case.network.clone();
        if gathers(&case) {
            second.take_state(&workspace).unwrap();
            prop_assert_eq!(second.state(), after.state());
            // Another workspace, a forward pass alone: the same new state.
            let mut other = training();
            case.network.forward_into(&case.x, &mut other).unwrap();
            second.take_state(&other).unwrap();
            prop_assert_eq!(second.state(), after.state());
            // One value of a unit has no unbiased variance, so a cumulative norm leaves it out.
            let moved = case.x.ncols() == 1 || case.network.state() != after.state();
            prop_assert!(moved);
        }
        // Evaluation is another function, and has no new state.
        let mut evaluation = Workspace::new();
        case.network.forward_into(&case.x, &mut evaluation).unwrap();
        if gathers(&case) {
            prop_assert_eq!(second.take_state(&evaluation), Err(Error::NoState));
        }
    }
}
