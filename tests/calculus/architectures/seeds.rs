//! A stochastic layer anywhere in a tree is a function of the seed, its place and the example.

use super::{bits, dot, largest, wave, wave_matrix};
use backprop::activation::{Identity, Tanh};
use backprop::gradient_check::GradientCheck;
use backprop::layer::{
    AnyLayer, At, Axis, Backward, Block, Concat, Dense, Forward, ForwardTangent, Layer,
    LayerGradient, Plan, Residual, Sequential, Site, Transpose,
};
use backprop::nalgebra::{DMatrix, convert};
use backprop::{
    Error, Examples, Network, Objective, Scalar, Shape, SquaredError, Tangent, VjpTargets,
    Workspace,
};

/// aᵢ = γᵢ cᵢ xᵢ. In training, c is random between ½ and 3/2, for each unit of each example; else
/// it is 1. Gradients of examples are computed by the default method.
#[derive(Clone, Debug, PartialEq)]
struct Gain;

type Any = AnyLayer<Gain>;
type Net = Network<f64, Any>;

fn factor<T: Scalar>(at: At<'_, T>, unit: usize, column: usize) -> T {
    if !at.training {
        assert_eq!(at.seed, 0);
        return T::one();
    }
    let mut hash = at.seed;
    for number in [unit, at.first_example + column] {
        hash = (hash ^ number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    }
    convert(0.5 + (hash >> 11) as f64 / (1_u64 << 53) as f64)
}

impl<T: Scalar> Layer<T> for Gain {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Plan::new(site, site.input).block(Block::new("γ", site.input.len(), 1)))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        for k in 0..pass.input.ncols() {
            for i in 0..pass.input.nrows() {
                let c: T = factor(pass.at, i, k);
                pass.output[(i, k)] = pass.at.theta[i] * c * pass.input[(i, k)];
            }
        }
    }

    fn backward(&self, mut pass: Backward<'_, T>) {
        if let LayerGradient::Sum(gradient) = &mut pass.gradient {
            gradient.fill(T::zero());
        }
        for k in 0..pass.input.ncols() {
            for i in 0..pass.input.nrows() {
                let moved = factor::<T>(pass.at, i, k) * pass.delta[(i, k)];
                if let LayerGradient::Sum(gradient) = &mut pass.gradient {
                    gradient[i] += moved * pass.input[(i, k)];
                }
                if let Some(below) = &mut pass.input_delta {
                    below[(i, k)] = pass.at.theta[i] * moved;
                }
            }
        }
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        for k in 0..pass.input.ncols() {
            for i in 0..pass.input.nrows() {
                let mut sum = T::zero();
                if let Some(theta) = pass.theta_tangent {
                    sum += theta[i] * pass.input[(i, k)];
                }
                if let Some(x) = &pass.input_tangent {
                    sum += pass.at.theta[i] * x[(i, k)];
                }
                pass.output_tangent[(i, k)] = sum * factor(pass.at, i, k);
            }
        }
        Ok(())
    }
}

fn gain() -> Any {
    AnyLayer::Custom(Gain)
}

fn sequence(layers: Vec<Any>) -> Sequential<Any> {
    Sequential::new(layers)
}

fn concat(branches: Vec<Vec<Any>>) -> Any {
    let branches = branches.into_iter().map(sequence).collect();
    Concat::new(branches, Axis::First).into()
}

fn trained(seed: u64) -> Workspace<f64> {
    let mut workspace = Workspace::new();
    workspace.set_training(Some(seed));
    workspace
}

/// Branches that multiply 1 by one factor each, at paths that are easy to confuse.
fn factors() -> Net {
    let (nothing, identity) = (|| sequence(Vec::new()), || sequence(Vec::new()).into());
    let branches = vec![
        vec![gain()],
        vec![identity(), gain()],
        vec![sequence(vec![gain()]).into()],
        vec![sequence(vec![identity(), gain()]).into()],
        vec![sequence(vec![sequence(vec![gain()]).into()]).into()],
        vec![concat(vec![
            vec![gain()],
            vec![gain()],
            vec![identity(), gain()],
        ])],
        vec![Residual::new(sequence(vec![gain()])).into()],
        vec![Residual::with_shortcut(sequence(vec![gain()]), nothing()).into()],
        vec![Residual::with_shortcut(nothing(), sequence(vec![gain()])).into()],
        vec![gain(), gain()],
    ];
    let layers = vec![gain(), concat(branches)];
    Net::from_layers(1, layers, &[1.0; 14]).unwrap()
}

#[test]
fn each_layer_has_its_own_seed() {
    let (network, x) = (factors(), DMatrix::repeat(1, 1, 1.0));
    let plain: Vec<f64> = network.forward(&x).unwrap().iter().copied().collect();
    assert_eq!(
        plain,
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 1.0]
    );
    let outputs = |seed| {
        let mut workspace = trained(seed);
        let outputs = network.forward_into(&x, &mut workspace).unwrap();
        outputs.iter().copied().collect::<Vec<f64>>()
    };
    for seed in [0, 1, 7, u64::MAX] {
        let found = outputs(seed);
        assert_eq!(bits(&outputs(seed)), bits(&found));
        // The first layer multiplies all of them by its factor.
        let mut workspace = trained(seed);
        network.forward_into(&x, &mut workspace).unwrap();
        let first = workspace.activation(0).unwrap()[0];
        let mut seen = vec![first];
        seen.extend(found.iter().map(|a| a / first));
        for residual in &mut seen[9..12] {
            *residual -= 1.0;
        }
        // The last branch has two factors, which would be the same if they shared a seed.
        let pair = seen.pop().unwrap();
        let inner = workspace.activation([1, 9, 0]).unwrap()[0] / first;
        seen.extend([inner, pair / inner]);
        assert_eq!(seen.len(), 14);
        for (i, a) in seen.iter().enumerate() {
            assert!((0.5 - 1e-12..1.5 + 1e-12).contains(a), "factor {i}: {a}");
            for (j, b) in seen.iter().enumerate().take(i) {
                assert!(
                    (a - b).abs() > 1e-9,
                    "factors {i} and {j}, seed {seed}: {a}"
                );
            }
        }
        assert_ne!(bits(&found), bits(&outputs(seed ^ 1)));
    }
}

/// A network with the layer below, beside and inside others.
fn network() -> Net {
    let dense = |n, k| Any::from(Dense::new(n, k, Tanh));
    let steps = Shape::Sequence {
        steps: 2,
        features: 3,
    };
    let body = sequence(vec![gain(), dense(3, 3), gain()]);
    let shortcut = sequence(vec![sequence(vec![gain()]).into()]);
    let branch = vec![dense(3, 2), Transpose.into(), gain(), Transpose.into()];
    let layers = vec![
        gain(),
        Residual::with_shortcut(body, shortcut).into(),
        Concat::new(vec![sequence(branch), sequence(vec![gain()])], Axis::Last).into(),
        backprop::layer::Flatten.into(),
        Any::from(Dense::new(10, 2, Identity)),
        gain(),
    ];
    let p = Net::from_layers(steps, layers.clone(), &[]).unwrap_err();
    let Error::Length { expected, .. } = p else {
        panic!("{p:?}");
    };
    Net::from_layers(steps, layers, &wave(expected, 0.4)).unwrap()
}

#[test]
fn a_seed_makes_a_differentiable_function() {
    let network = network();
    let (n, m, p) = (network.inputs(), 5, network.parameters());
    let (x, y) = (wave_matrix(n, m, 0.1), wave_matrix(2, m, 0.6));
    let (examples, objective) = (Examples::new(&x, &y).unwrap(), Objective::new(SquaredError));
    let workspace = &mut trained(11);
    let report = GradientCheck::new().function(&[("θ", p)], network.theta().as_slice(), |theta| {
        let mut network = network.clone();
        network.set_theta(theta).unwrap();
        let mut gradient = vec![f64::NAN; p];
        let parts = network.gradient_into(&examples, &objective, workspace, &mut gradient);
        (parts.unwrap().total(), gradient)
    });
    report.unwrap().assert_passed();

    let (theta, x_dot, u) = (wave(p, 0.3), wave_matrix(n, m, 0.8), wave_matrix(2, m, 1.1));
    let mut moved = vec![f64::NAN; 2 * m];
    let direction = Tangent::of_parameters(&theta).and_inputs(&x_dot);
    network
        .jvp_into(&x, direction, workspace, &mut moved)
        .unwrap();
    let (mut of_theta, mut of_x) = (vec![f64::NAN; p], vec![f64::NAN; n * m]);
    let into = VjpTargets::of_parameters(&mut of_theta).and_inputs(&mut of_x);
    network.vjp_into(&x, &u, workspace, into).unwrap();
    let (mut again, mut again_x) = (vec![f64::NAN; p], vec![f64::NAN; n * m]);
    let into = VjpTargets::of_parameters(&mut again).and_inputs(&mut again_x);
    network
        .pullback(&x, workspace)
        .unwrap()
        .vjp_into(&u, into)
        .unwrap();
    assert_eq!((&again, &again_x), (&of_theta, &of_x));
    let left = dot(u.as_slice(), &moved);
    let right = dot(&of_theta, &theta) + dot(&of_x, x_dot.as_slice());
    assert!(
        (left - right).abs() <= 1e-12 * largest(&of_theta).max(1.0),
        "{left} and {right}"
    );
}

/// Gradients of examples add up to that of the batch, which has random numbers too.
#[test]
fn gradients_of_examples_have_the_random_numbers_of_the_batch() {
    let network = network();
    let (n, p) = (network.inputs(), network.parameters());
    for m in [1, 5, 1300] {
        let (x, y) = (wave_matrix(n, m, 0.1), wave_matrix(2, m, 0.6));
        let examples = Examples::new(&x, &y).unwrap();
        let workspace = &mut trained(3);
        let (mut each, mut norms) = (vec![f64::NAN; p * m], vec![f64::NAN; m]);
        network
            .example_gradients(&examples, &SquaredError)
            .matrix_into(workspace, &mut each)
            .unwrap();
        network
            .example_gradients(&examples, &SquaredError)
            .norms_into(workspace, &mut norms)
            .unwrap();
        let mut mean = vec![0.0; p];
        for (gradient, norm) in each.chunks(p).zip(&norms) {
            let own = dot(gradient, gradient).sqrt();
            assert!(
                (own - norm).abs() <= 1e-13 * own.max(1.0),
                "{own} and {norm}"
            );
            for (mean, g) in mean.iter_mut().zip(gradient) {
                *mean += g / m as f64;
            }
        }
        let mut gradient = vec![f64::NAN; p];
        let objective = Objective::new(SquaredError);
        network
            .gradient_into(&examples, &objective, workspace, &mut gradient)
            .unwrap();
        for (i, (found, expected)) in mean.iter().zip(&gradient).enumerate() {
            let bound = 1e-12 * largest(&gradient);
            assert!(
                (found - expected).abs() <= bound,
                "m = {m}, entry {i}: {found}, {expected}"
            );
        }
    }
}

/// Examples are counted from the first of the batch, not of its part.
#[test]
fn each_example_has_its_own_numbers() {
    let branch = sequence(vec![sequence(vec![gain()]).into()]);
    let layers = vec![Concat::new(vec![branch], Axis::First).into()];
    let network = Net::from_layers(1, layers, &[1.0]).unwrap();
    let m = 5000;
    let x = DMatrix::repeat(1, m, 1.0);
    let mut workspace = trained(5);
    let outputs = network
        .forward_into(&x, &mut workspace)
        .unwrap()
        .clone_owned();
    let mut sorted: Vec<f64> = outputs.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    assert!(sorted.windows(2).all(|pair| pair[0] < pair[1]));
    // A shorter batch has the same numbers.
    let few = network
        .forward_into(x.columns(0, 300), &mut workspace)
        .unwrap();
    assert_eq!(few, outputs.columns(0, 300));
    // ∂(½a²)/∂γ = c a = a² at γ = x = 1.
    let y = DMatrix::zeros(1, m);
    let examples = Examples::new(&x, &y).unwrap();
    let mut each = vec![f64::NAN; m];
    network
        .example_gradients(&examples, &SquaredError)
        .matrix_into(&mut workspace, &mut each)
        .unwrap();
    for (gradient, a) in each.iter().zip(&outputs) {
        assert!((gradient - a * a).abs() <= 1e-15, "{gradient} and {a}");
    }
}
