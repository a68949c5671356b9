//! Outputs, J and its first derivatives.

use super::random::{Case, cases};
use super::{
    Lifted, Outcome, bits, close, close_blocks, config, cost_of_example, dot, largest, masked,
    numbers, reference, wave, weighted,
};
use backprop::activation::Activation;
use backprop::gradient_check::GradientCheck;
use backprop::nalgebra::DMatrix;
use backprop::{Objective, Path, Workspace};
use num_dual::Dual64;
use proptest::prelude::*;

/// δ = w ∂cost/∂z of the last layer, by dual numbers from z on.
fn last_delta(case: &Case, z: &DMatrix<f64>) -> DMatrix<f64> {
    DMatrix::from_fn(z.nrows(), z.ncols(), |unit, example| {
        let z = z.columns(example, 1);
        let z = DMatrix::from_fn(z.nrows(), 1, |i, _| Dual64::new(z[i], f64::from(i == unit)));
        let mut a = z.clone();
        case.last_activation.forward(z.as_view(), a.as_view_mut());
        let z = case.canonical.then_some(&z);
        case.weight(example) * cost_of_example(case, example, z, &a).eps
    })
}

/// ∂J/∂X against differences of J.
fn input_gradient_is_a_difference(case: &Case) -> Outcome {
    let (network, (n, m)) = (&case.network, case.x.shape());
    let f = |entries: &[f64]| {
        let x = DMatrix::from_column_slice(n, m, entries);
        let examples = weighted(masked(&x, &case.y, case.present.as_ref()), case);
        let (pass, by_x) = network.gradients(&examples, &case.objective).unwrap();
        (pass.cost(), by_x.as_slice().to_vec())
    };
    let report = GradientCheck::new()
        .function(&[("X", n * m)], case.x.as_slice(), f)
        .unwrap();
    prop_assert!(report.passed(), "{report}");
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    /// Outputs, J, the blocks with their paths, and the strength of the penalty on each.
    #[test]
    fn values_agree_with_a_reference(case in cases()) {
        let network = &case.network;
        let theta = network.theta().as_slice();
        let found = network.forward(&case.x).unwrap();
        let expected = reference::outputs(&case, theta, &case.x);
        close(found.as_slice(), expected.as_slice(), 1e-13 * expected.amax().max(1.0))?;

        let pass = network.backprop(&case.examples(), &case.objective).unwrap();
        let expected = reference::cost(&case, theta, &case.x);
        close(&[pass.cost()], &[expected], 1e-12 * expected.abs().max(1.0))?;

        let places = reference::blocks(network.layers(), case.input);
        prop_assert_eq!(network.layout().blocks().len(), places.len());
        let mut start = 0;
        for (found, place) in network.layout().blocks().iter().zip(&places) {
            let path = Path::from(&place.path[..]);
            prop_assert_eq!(found.layer(), &path);
            prop_assert_eq!(found.label(), path.label(place.name));
            let end = start + place.rows * place.cols;
            prop_assert_eq!(found.range(), start..end);
            prop_assert_eq!(found.penalised(), start + place.rows * place.biases..end);
            let view = network.block(&path, place.index).unwrap();
            prop_assert_eq!(view.shape(), (place.rows, place.cols));
            let entries: Vec<f64> = view.iter().copied().collect();
            prop_assert_eq!(bits(&entries), bits(&theta[start..end]));
            start = end;
        }
        prop_assert_eq!(start, network.parameters());
    }

    /// A workspace finds the output of a layer by its path.
    #[test]
    fn outputs_of_inner_layers_agree_with_a_reference(case in cases()) {
        let theta = case.network.theta().as_slice();
        let mut workspace = Workspace::new();
        case.network.forward_into(&case.x, &mut workspace).unwrap();
        let example = case.x.ncols() - 1;
        let (_, seen) = reference::one_output(&case, theta, (&case.x, example));
        prop_assert!(seen.len() >= case.network.depth());
        for (path, expected) in &seen {
            let found = workspace.activation(&path[..]).unwrap();
            let found: Vec<f64> = found.column(example).iter().copied().collect();
            close(&found, expected, 1e-13 * largest(expected).max(1.0))?;
        }
    }

    /// Differences of J, with the checker's default tolerances.
    #[test]
    fn gradients_agree_with_central_differences(case in cases()) {
        let report = GradientCheck::new()
            .network(&case.network, &case.examples(), &case.objective)
            .unwrap();
        prop_assert!(report.passed(), "{report}");
        let compared: usize = report.blocks.iter().map(|block| block.compared).sum();
        prop_assert_eq!(compared, case.network.parameters());
        input_gradient_is_a_difference(&case)?;
    }

    /// Every entry of ∇J and ∂J/∂X by forward passes in dual numbers, which have no step size.
    #[test]
    fn gradients_agree_with_dual_numbers(case in cases()) {
        let (pass, by_x) = case.network.gradients(&case.examples(), &case.objective).unwrap();
        let gradient = pass.gradient().vector();
        let moved = |theta: Option<usize>, x: Option<usize>| {
            let at = |i: usize, moves: Option<usize>| f64::from(moves == Some(i));
            Lifted::new(&case, |i| at(i, theta), |i| at(i, x)).cost(&case).eps
        };
        let expected: Vec<f64> = (0..gradient.len()).map(|i| moved(Some(i), None)).collect();
        // The terms of ∂J/∂θ that cancel have the size of the outputs and of the targets.
        close_blocks(&case, gradient.as_slice(), &expected, (1e-12, gradient.amax().max(1.0)))?;
        let expected: Vec<f64> = (0..by_x.len()).map(|i| moved(None, Some(i))).collect();
        let size = largest(&expected).max(1e-3 * gradient.amax().max(1.0));
        close(by_x.as_slice(), &expected, 1e-12 * size)?;
        // The same gradient by itself.
        let alone = case.network.input_gradient(&case.examples(), &case.objective).unwrap();
        prop_assert_eq!(bits(alone.as_slice()), bits(by_x.as_slice()));
    }

    /// Along a direction in θ and X, by a forward pass that shares no code with the layers.
    #[test]
    fn gradients_agree_with_a_reference_in_dual_numbers(case in cases()) {
        let (pass, by_x) = case.network.gradients(&case.examples(), &case.objective).unwrap();
        let gradient = pass.gradient().vector();
        let (n, m) = case.x.shape();
        for phase in [0.2, 1.3] {
            let (along, x_along) = (wave(gradient.len(), phase), wave(n * m, phase + 0.5));
            let moved = |at: &[f64], along: &[f64]| {
                let pairs = at.iter().zip(along);
                pairs.map(|(&at, &along)| Dual64::new(at, along)).collect::<Vec<_>>()
            };
            let theta = moved(case.network.theta().as_slice(), &along);
            let x = DMatrix::from_vec(n, m, moved(case.x.as_slice(), &x_along));
            let expected = reference::cost(&case, &theta, &x).eps;
            let found = dot(gradient.as_slice(), &along) + dot(by_x.as_slice(), &x_along);
            let size = gradient.amax().max(by_x.amax()).max(1.0);
            close(&[found], &[expected], 1e-13 * size * (gradient.len() + n * m) as f64)?;
        }
    }

    /// ∇J is their weighted mean with the penalty, and each is that of a pass of its own.
    #[test]
    fn gradients_of_examples_add_up(case in cases()) {
        let (network, examples, cost) = (&case.network, case.examples(), &case.objective.cost);
        let found = network.example_gradients(&examples, cost).matrix().unwrap();
        let norms = network.example_gradients(&examples, cost).norms().unwrap();
        let data_only = Objective::new(*cost);
        let mut sum = vec![0.0; network.parameters()];
        let size = found.amax().max(1.0);
        for (k, gradient) in found.column_iter().enumerate() {
            let present = case.present.as_ref().map(|all| all.columns(k, 1).clone_owned());
            let (x, y) = (case.x.columns(k, 1), case.y.columns(k, 1));
            let one = masked(x, y, present.as_ref());
            let alone = network.gradient_vector(&one, &data_only).unwrap();
            close_blocks(&case, gradient.as_slice(), alone.as_slice(), (1e-12, size))?;
            close(&[norms[k]], &[gradient.norm()], 1e-13 * size.max(gradient.norm()))?;
            for (sum, g) in sum.iter_mut().zip(&gradient) {
                *sum += case.weight(k) * g;
            }
        }
        let m = examples.total_weight();
        sum.iter_mut().for_each(|sum| *sum /= m);
        let whole = network.gradient_vector(&examples, &data_only).unwrap();
        close_blocks(&case, whole.as_slice(), &sum, (1e-12, size))?;

        let mut visited = Vec::new();
        let workspace = &mut Workspace::new();
        network
            .example_gradients(&examples, cost).for_each(workspace, |_, gradient| {
                visited.extend_from_slice(gradient);
            })
            .unwrap();
        prop_assert_eq!(bits(&visited), bits(found.as_slice()));
    }

    #[test]
    fn a_trace_has_the_same_cost_and_gradient(case in cases()) {
        let pass = case.network.backprop(&case.examples(), &case.objective).unwrap();
        let trace = case.network.trace(&case.examples(), &case.objective).unwrap();
        close(&[trace.cost()], &[pass.cost()], 1e-13 * pass.cost().abs().max(1.0))?;
        let (found, expected) = (trace.gradient().vector(), pass.gradient().vector());
        let size = expected.amax().max(1.0);
        close_blocks(&case, found.as_slice(), expected.as_slice(), (1e-12, size))?;
        let mut workspace = Workspace::new();
        case.network.forward_into(&case.x, &mut workspace).unwrap();
        for l in 0..case.network.depth() {
            let found = trace.activation(l).unwrap().clone_owned();
            let expected = workspace.activation(l).unwrap().clone_owned();
            close(found.as_slice(), expected.as_slice(), 1e-13 * expected.amax().max(1.0))?;
        }
        // z and δ of the last layer are those of the network without its last activation.
        if let Some(logits) = &case.logits {
            let last = case.network.depth() - 1;
            let expected = logits.forward(&case.x).unwrap();
            let z = trace.z(last).unwrap().clone_owned();
            close(z.as_slice(), expected.as_slice(), 1e-13 * expected.amax().max(1.0))?;
            let expected_delta = last_delta(&case, &z);
            let delta = trace.delta(last).unwrap().clone_owned();
            let bound = 1e-12 * expected_delta.amax().max(1.0);
            close(delta.as_slice(), expected_delta.as_slice(), bound)?;
            let z = workspace.logits(0).unwrap().clone_owned();
            close(z.as_slice(), expected.as_slice(), 1e-13 * expected.amax().max(1.0))?;
        }
    }

    /// Nothing is read before it is written, in the first call or a later one.
    #[test]
    fn buffers_full_of_nan_change_no_bit(case in cases()) {
        let found = numbers(&case, &case.network, true);
        prop_assert_eq!(bits(&found), bits(&numbers(&case, &case.network, false)));
        let (first, second) = found.split_at(found.len() / 2);
        prop_assert_eq!(bits(first), bits(second));
    }

    /// The columns of X may be apart if an example has one axis.
    #[test]
    fn gaps_between_inputs_change_nothing(case in cases()) {
        let (n, m) = case.x.shape();
        let wide = DMatrix::from_fn(n + 3, m, |i, k| {
            let inside = (1..=n).contains(&i);
            if inside { case.x[(i - 1, k)] } else { f64::NAN }
        });
        let apart = wide.rows(1, n);
        let examples = weighted(masked(apart, &case.y, case.present.as_ref()), &case);
        let found = case.network.gradients(&examples, &case.objective);
        if !matches!(case.input, backprop::Shape::Units(_)) && m > 1 {
            prop_assert!(matches!(found, Err(backprop::Error::Gaps { .. })), "{found:?}");
            return Ok(());
        }
        let (pass, by_x) = found.unwrap();
        let (expected, expected_by_x) =
            case.network.gradients(&case.examples(), &case.objective).unwrap();
        let (found, expected) = (pass.gradient().vector(), expected.gradient().vector());
        let size = expected.amax().max(1.0);
        close(found.as_slice(), expected.as_slice(), 1e-13 * size)?;
        close(by_x.as_slice(), expected_by_x.as_slice(), 1e-13 * size.max(expected_by_x.amax()))?;
        let v = wave(case.network.parameters(), 0.1);
        let found = case.network.hessian_product(&examples, &case.objective, &v).unwrap();
        let expected = case.network.hessian_product(&case.examples(), &case.objective, &v).unwrap();
        close(found.as_slice(), expected.as_slice(), 1e-12 * expected.amax().max(size))?;
    }
}
