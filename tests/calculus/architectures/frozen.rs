//! Frozen layers: every derivative is that of the same network with these parameters constant.

use super::random::{Case, cases};
use super::trees::Net;
use super::{Outcome, config, wave, wave_matrix};
use backprop::activation::{Identity, Sine};
use backprop::layer::{
    Backward, BackwardTangent, Dense, Forward, ForwardTangent, Layer, LayerGradient, Plan,
    Sequential, Site,
};
use backprop::{
    Accumulator, Error, Examples, GaussNewton, GradientCheck, Network, Objective, Path, Scalar,
    SquaredError, Strength, Tangent, VjpTargets, Workspace, dual,
};
use num_dual::{Dual32, Dual64};
use proptest::prelude::*;
use std::ops::Range;

/// A case, the same with some layers frozen, and the ranges of θ that are.
struct Pair {
    free: Case,
    frozen: Case,
    ranges: Vec<Range<usize>>,
}

impl Pair {
    /// Freezes the layers chosen by the bits of `chosen`, among them containers.
    fn new(case: Case, chosen: u64) -> Self {
        let blocks = case.network.layout().blocks().to_vec();
        let (mut free, mut frozen, mut ranges) = (case.clone(), case, Vec::new());
        let none = Strength { l1: 0.0, l2: 0.0 };
        for (i, block) in blocks.iter().enumerate() {
            if chosen >> (i % 32) & 1 == 0 {
                continue;
            }
            // The layer itself, or one around it.
            let indices = block.layer().indices();
            let len = 1 + (chosen >> 32) as usize % indices.len();
            let len = if i % 2 == 0 { indices.len() } else { len };
            let path = Path::from(&indices[..len]);
            frozen.network.freeze(path.clone()).unwrap();
            // The free network must not penalise them.
            free.objective.penalty = free.objective.penalty.layer(path, none);
        }
        for block in frozen.network.layout().blocks() {
            if block.is_frozen() {
                ranges.push(block.range());
            }
        }
        Self {
            free,
            frozen,
            ranges,
        }
    }

    /// Sets the frozen entries to 0, in each vector of P entries.
    fn cleared(&self, mut vectors: Vec<f64>) -> Vec<f64> {
        let p = self.free.network.parameters().max(1);
        for vector in vectors.chunks_mut(p) {
            for range in &self.ranges {
                vector[range.clone()].fill(0.0);
            }
        }
        vectors
    }
}

/// Equal up to the sign of 0.
fn same(found: &[f64], expected: &[f64]) -> Outcome {
    prop_assert_eq!(found, expected);
    Ok(())
}

/// Every derivative with respect to θ, along directions that are 0 where `pair` is frozen if
/// `clear`.
fn derivatives(pair: &Pair, case: &Case, clear: bool) -> Vec<Vec<f64>> {
    let (network, examples, objective) = (&case.network, case.examples(), &case.objective);
    let (p, m) = (network.parameters(), case.x.ncols());
    let cleared = |v: Vec<f64>| if clear { pair.cleared(v) } else { v };
    let mut workspace = Workspace::new();
    let (v, x_dot) = (cleared(wave(p, 0.3)), wave_matrix(case.x.nrows(), m, 0.8));
    let u = wave_matrix(network.outputs(), m, 0.2);
    let mut all = Vec::new();
    for _ in 0..2 {
        workspace.fill(f64::NAN);
        let mut gradient = vec![f64::NAN; p];
        let j = network.gradient_into(&examples, objective, &mut workspace, &mut gradient);
        all.push(cleared(gradient));
        all.push(vec![j.unwrap().total()]);

        workspace.fill(f64::NAN);
        let mut product = vec![f64::NAN; p];
        network
            .hessian_product_into(&examples, objective, &v, &mut workspace, &mut product)
            .unwrap();
        all.push(cleared(product.clone()));
        workspace.fill(f64::NAN);
        let at = (GaussNewton::Outputs, &v[..]);
        network
            .gauss_newton_product_into(&examples, objective, at, &mut workspace, &mut product)
            .unwrap();
        all.push(cleared(product.clone()));
        workspace.fill(f64::NAN);
        network
            .gram_product_into(&case.x, &v, &mut workspace, &mut product)
            .unwrap();
        all.push(cleared(product));

        for along in [
            Tangent::of_parameters(&v),
            Tangent::of_parameters(&v).and_inputs(&x_dot),
        ] {
            workspace.fill(f64::NAN);
            let mut moved = vec![f64::NAN; network.outputs() * m];
            network
                .jvp_into(&case.x, along, &mut workspace, &mut moved)
                .unwrap();
            all.push(moved);
        }
        workspace.fill(f64::NAN);
        let (mut by_theta, mut by_x) = (vec![f64::NAN; p], vec![f64::NAN; case.x.len()]);
        let into = VjpTargets::of_parameters(&mut by_theta).and_inputs(&mut by_x);
        network.vjp_into(&case.x, &u, &mut workspace, into).unwrap();
        all.push(cleared(by_theta));
        all.push(by_x);

        workspace.fill(f64::NAN);
        let (mut by_theta, mut by_x) = (vec![f64::NAN; p], vec![f64::NAN; case.x.len()]);
        let into = VjpTargets::of_parameters(&mut by_theta).and_inputs(&mut by_x);
        network
            .vjp_along_into(&case.x, &u, &v, &mut workspace, into)
            .unwrap();
        all.push(cleared(by_theta));
        all.push(by_x);

        workspace.fill(f64::NAN);
        let mut each = vec![f64::NAN; p * m];
        network
            .example_gradients(&examples, &objective.cost)
            .matrix_into(&mut workspace, &mut each)
            .unwrap();
        all.push(cleared(each));
    }
    let trace = network.trace(&examples, objective).unwrap();
    all.push(cleared(trace.sums().as_slice().to_vec()));
    all.push(cleared(trace.gradient().vector().as_slice().to_vec()));
    all
}

proptest! {
    #![proptest_config(config())]

    /// ∇J, H v and all the others have exactly 0 for frozen parameters, and for the others what a
    /// network gives whose direction does not move them.
    #[test]
    fn derivatives_are_those_with_constants(case in cases(), chosen in any::<u64>()) {
        let pair = Pair::new(case, chosen);
        let expected = derivatives(&pair, &pair.free, true);
        let found = derivatives(&pair, &pair.frozen, false);
        for (found, expected) in found.iter().zip(&expected) {
            same(found, expected)?;
        }
    }

    /// A norm is that of the gradient without the frozen entries, and H has their rows and columns
    /// 0.
    #[test]
    fn norms_and_matrices_leave_them_out(case in cases(), chosen in any::<u64>()) {
        let pair = Pair::new(case, chosen);
        let (network, objective) = (&pair.frozen.network, &pair.frozen.objective);
        let (examples, p) = (pair.frozen.examples(), network.parameters());
        let gradients = network.example_gradients(&examples, &objective.cost).matrix().unwrap();
        let norms = network.example_gradients(&examples, &objective.cost).norms().unwrap();
        for (norm, gradient) in norms.iter().zip(gradients.column_iter()) {
            prop_assert!((norm - gradient.norm()).abs() <= 1e-12 * (1.0 + norm));
        }
        let h = network.hessian(&examples, objective).unwrap();
        let free = pair.free.network.hessian(&examples, &pair.free.objective).unwrap();
        let size = 1.0 + if p > 0 { free.amax() } else { 0.0 };
        let frozen = |i: usize| pair.ranges.iter().any(|range| range.contains(&i));
        for (i, j) in (0..p).flat_map(|i| (0..p).map(move |j| (i, j))) {
            let expected = if frozen(i) || frozen(j) { 0.0 } else { free[(i, j)] };
            prop_assert!((h[(i, j)] - expected).abs() <= 1e-12 * size);
            prop_assert!(!(frozen(i) || frozen(j)) || h[(i, j)] == 0.0);
        }
    }

    /// The checker passes; a copy in JSON and a mapped copy are equal; a released network is the
    /// free one.
    #[test]
    fn they_are_saved_mapped_and_released(case in cases(), chosen in any::<u64>()) {
        let pair = Pair::new(case, chosen);
        let network = &pair.frozen.network;
        prop_assert_eq!(&network.map(|w| w).unwrap(), network);
        prop_assert_eq!(network == &pair.free.network, pair.ranges.is_empty());
        let text = serde_json::to_string(&network).unwrap();
        prop_assert_eq!(text.contains("frozen"), !pair.ranges.is_empty());
        let loaded: Net<f64> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&loaded, network);
        let mut released = loaded;
        released.unfreeze(Path::default()).unwrap();
        prop_assert_eq!(&released, &pair.free.network);
        // By the paths of single layers too.
        let mut one_by_one = network.clone();
        for block in network.layout().blocks() {
            one_by_one.unfreeze(block.layer().clone()).unwrap();
        }
        let (examples, objective) = (pair.free.examples(), &pair.free.objective);
        let expected = pair.free.network.gradient_vector(&examples, objective).unwrap();
        for released in [released, one_by_one] {
            let found = released.gradient_vector(&examples, objective).unwrap();
            prop_assert_eq!(&found, &expected);
        }
    }

    #[test]
    fn the_checker_passes(case in cases(), chosen in any::<u64>()) {
        let Case { network, objective, .. } = &Pair::new(case.clone(), chosen).frozen;
        let report = GradientCheck::new().network(network, &case.examples(), objective).unwrap();
        prop_assert!(report.passed(), "{report}");
    }
}

/// Both derivatives of second order of frozen networks pass the checker.
#[test]
fn the_checker_passes_beyond_the_gradient() {
    for seed in 0..12 {
        let Pair { frozen, .. } = Pair::new(Case::new(seed, 2, 3), 0x1_3333_5a5a);
        let examples = frozen.examples();
        let report =
            GradientCheck::new().second_order(&frozen.network, &examples, &frozen.objective);
        report.unwrap().assert_passed();
    }
}

/// A wrapper that computes each example again, and its tangents from dual numbers.
#[derive(Clone, Debug)]
struct Wrap<L>(L);

impl<T: Scalar, L: Layer<T> + Layer<Dual64> + Layer<Dual32>> Layer<T> for Wrap<L> {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Layer::<T>::plan(&self.0, site)?.default_each())
    }

    fn forward(&self, pass: Forward<'_, T>) {
        self.0.forward(pass);
    }

    /// Leaves a number where the layers inside write none.
    fn backward(&self, mut pass: Backward<'_, T>) {
        if let LayerGradient::Sum(gradient) = &mut pass.gradient {
            gradient.fill(T::one());
        }
        self.0.backward(pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        dual::layer_forward_tangent(&self.0, pass)
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        dual::layer_backward_tangent(&self.0, along)
    }
}

/// Layers that are frozen inside a custom layer are constants too, whatever a buffer held before.
#[test]
fn wrappers_leave_them_out() {
    // Without an activation that fuses, so that dual numbers keep as much.
    let body = || Sequential::new(vec![Dense::new(3, 4, Sine), Dense::new(4, 2, Identity)]);
    let theta = wave(26, 0.4);
    let mut wrapped = Network::from_layers(3, vec![Wrap(body())], &theta).unwrap();
    let mut plain = Network::from_layers(3, vec![body()], &theta).unwrap();
    let (x, y) = (wave_matrix(3, 5, 0.1), wave_matrix(2, 5, 0.9));
    let (examples, objective) = (Examples::new(&x, &y).unwrap(), Objective::new(SquaredError));
    let v = wave(26, 0.7);
    let mut workspace = Workspace::new();
    let (mut gradients, mut norms) = (vec![0.0; 26 * 5], vec![0.0; 5]);
    for path in [None, Some([0, 1]), Some([0, 0])] {
        if let Some(path) = path {
            wrapped.freeze(path).unwrap();
            plain.freeze(path).unwrap();
        }
        workspace.fill(f64::NAN);
        let each = wrapped.example_gradients(&examples, &SquaredError);
        each.matrix_into(&mut workspace, &mut gradients).unwrap();
        each.norms_into(&mut workspace, &mut norms).unwrap();
        let expected = plain.example_gradients(&examples, &SquaredError);
        let near = |found: &[f64], expected: &[f64]| {
            for (f, e) in found.iter().zip(expected) {
                assert!(
                    (f - e).abs() <= 1e-13 && (*e != 0.0 || *f == 0.0),
                    "{path:?}: {f} {e}"
                );
            }
        };
        near(&gradients, expected.matrix().unwrap().as_slice());
        near(&norms, expected.norms().unwrap().as_slice());
        let found = wrapped.hessian_product(&examples, &objective, &v).unwrap();
        let expected = plain.hessian_product(&examples, &objective, &v).unwrap();
        near(found.as_slice(), expected.as_slice());
        let found = wrapped.trace(&examples, &objective).unwrap();
        let expected = plain.trace(&examples, &objective).unwrap();
        near(found.sums().as_slice(), expected.sums().as_slice());
        let expected = expected.gradient().vector().as_slice();
        near(found.gradient().vector().as_slice(), expected);
        let found = wrapped.gradient_vector(&examples, &objective).unwrap();
        near(found.as_slice(), expected);
        let (found, expected) = (wrapped.jvp(&x, &v).unwrap(), plain.jvp(&x, &v).unwrap());
        near(found.as_slice(), expected.as_slice());
    }
}

/// Freezing all leaves no gradient, and the same J.
#[test]
fn freezing_all_leaves_no_gradient() {
    for seed in 0..40 {
        let mut case = Case::new(seed, 3, 3);
        case.network.freeze(Path::default()).unwrap();
        let (network, objective) = (&case.network, &case.objective);
        let gradient = network.gradient_vector(&case.examples(), objective);
        assert!(gradient.unwrap().iter().all(|&g| g == 0.0));
        let v = wave(network.parameters(), 0.1);
        let product = network.hessian_product(&case.examples(), objective, &v);
        assert!(product.unwrap().iter().all(|&g| g == 0.0));
        let by_x = network.input_gradient(&case.examples(), objective).unwrap();
        let mut free = network.clone();
        free.unfreeze(Path::default()).unwrap();
        let expected = free.input_gradient(&case.examples(), objective).unwrap();
        assert_eq!(by_x, expected);
        let report = network.trace(&case.examples(), objective).unwrap();
        let text = report.to_string();
        assert_eq!(text.contains("frozen"), network.parameters() > 0);
    }
}

/// The same for a batch that is cut into parts, and for an accumulator.
#[test]
fn parts_leave_them_out() {
    for seed in 0..6 {
        let pair = Pair::new(Case::new(seed, 3, 1100), 0x3_5a5a_a5a5);
        let (free, frozen) = (&pair.free, &pair.frozen);
        let gradient = |case: &Case| {
            let found = case
                .network
                .gradient_vector(&case.examples(), &case.objective);
            found.unwrap().as_slice().to_vec()
        };
        assert_eq!(gradient(frozen), pair.cleared(gradient(free)));
        let mut sums = Accumulator::new(&frozen.network).unwrap();
        let mut workspace = Workspace::new();
        sums.add(
            &frozen.network,
            &frozen.examples(),
            &frozen.objective.cost,
            &mut workspace,
        )
        .unwrap();
        let pass = sums
            .finish(&frozen.network, &frozen.objective.penalty)
            .unwrap();
        assert_eq!(pass.gradient().vector().as_slice(), gradient(frozen));
    }
}
