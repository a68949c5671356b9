//! Invalid networks, and networks too large for memory.

use super::*;
use backprop::activation::{Activation, AnyActivation, Elu, LeakyRelu};
use backprop::cost::Outputs;
use backprop::layer::{At, BackwardTangent, Dense, ForwardTangent, Sequential};
use backprop::nalgebra::{DMatrixView, DMatrixViewMut};
use std::any::type_name;
use std::slice::from_ref;

const THETA: &str = "the parameters θ";

fn dense(inputs: usize, outputs: usize) -> AnyLayer<Told> {
    AnyLayer::Dense(Dense::new(inputs, outputs, Tanh))
}

fn custom(inputs: usize, outputs: usize, blocks: &[Block]) -> AnyLayer<Told> {
    AnyLayer::Custom(Told::new(inputs, outputs, blocks))
}

fn builder<T: Scalar>(inputs: usize, layers: &[AnyLayer<Told>]) -> Builder<T, AnyLayer<Told>> {
    let layers = layers.iter().cloned();
    layers.fold(Builder::new(inputs), Builder::layer)
}

/// Asserts that every way of building these layers gives this error, before any check of θ.
#[track_caller]
fn no_network<T: Scalar>(inputs: usize, layers: &[AnyLayer<Told>], expected: &Error) {
    let what = &format!("{inputs} inputs, {layers:?}");
    let make = || builder::<T>(inputs, layers);
    refused(what, make().zeros(), expected);
    let mut random = rng(5);
    let start = Initialization::HeNormal;
    refused(what, make().initialize(start, &mut random), expected);
    assert_eq!(random, rng(5), "{what}: numbers were drawn");
    let nan = T::zero() / T::zero();
    for theta in [&[T::one(); 26][..], &[nan], &[]] {
        refused(what, make().with_theta(theta), expected);
        let found = Network::from_layers(inputs, layers.to_vec(), theta);
        refused(what, found, expected);
    }
}

fn too_large(what: &'static str, rows: usize, cols: usize) -> Error {
    Error::TooLarge { what, rows, cols }
}

fn layer_inputs(layer: usize, expected: usize, found: usize) -> Error {
    Error::LayerInputs {
        layer: layer.into(),
        expected,
        found,
    }
}

#[test]
pub(super) fn sizes_that_do_not_fit() {
    let valid = [dense(3, 4), dense(4, 2)];
    let network = builder::<f64>(3, &valid).zeros().unwrap();
    assert_eq!(network.parameters(), 26);

    no_network::<f64>(0, &[], &Error::NoInputs);
    no_network::<f64>(3, &[], &Error::NoLayers);
    no_network::<f64>(0, &valid, &Error::NoInputs);
    for bad in broken(3).into_iter().filter(|&bad| bad > 0) {
        no_network::<f64>(bad, &valid, &layer_inputs(0, bad, 3));
    }
    for bad in broken(3) {
        let layers = [dense(bad, 4), dense(4, 2)];
        no_network::<f64>(3, &layers, &layer_inputs(0, 3, bad));
        let layers = [custom(bad, 4, &[]), dense(4, 2)];
        no_network::<f64>(3, &layers, &layer_inputs(0, 3, bad));
    }
    for bad in broken(4) {
        let layers = [dense(3, 4), dense(bad, 2)];
        no_network::<f64>(3, &layers, &layer_inputs(1, 4, bad));
        let expected = match bad {
            0 => Error::ZeroUnits { layer: 0.into() },
            _ => layer_inputs(1, bad, 4),
        };
        no_network::<f64>(3, &[dense(3, bad), dense(4, 2)], &expected);
    }
    let layers = [dense(3, 4), dense(4, 0)];
    no_network::<f64>(3, &layers, &Error::ZeroUnits { layer: 1.into() });
    let layers = [custom(3, 4, &[]), custom(4, 0, &[])];
    no_network::<f64>(3, &layers, &Error::ZeroUnits { layer: 1.into() });
    // One output more or fewer makes a different network, with a different θ.
    for (outputs, parameters) in [(1, 21), (3, 31)] {
        let layers = [dense(3, 4), dense(4, outputs)];
        let expected = length("θ", parameters, 26);
        let found = builder::<f64>(3, &layers).with_theta(&[0.5; 26]);
        refused("θ of another network", found, &expected);
        let found = Network::from_layers(3, layers.to_vec(), &[0.5; 26]);
        refused("θ of another network", found, &expected);
    }
    // Transposed, and in the wrong order.
    no_network::<f64>(3, &[dense(4, 3), dense(4, 2)], &layer_inputs(0, 3, 4));
    no_network::<f64>(3, &[dense(3, 4), dense(2, 4)], &layer_inputs(1, 4, 2));
    no_network::<f64>(3, &[dense(4, 2), dense(3, 4)], &layer_inputs(0, 3, 4));
    assert_eq!(builder::<f64>(3, &valid).zeros(), Ok(network));
}

/// Sizes that overflow a `usize`, an allocation or memory, one at a time or together.
#[test]
pub(super) fn sizes_beyond_the_memory() {
    let max = usize::MAX;
    let root = 1 << (usize::BITS / 2 + 8);
    for (inputs, units, cols) in [
        (max, 1, max),
        (max, max, max),
        (max - 1, 1, max),
        (1, max, 2),
        (1, max / 2 + 1, 2),
        (root, root, root + 1),
        (1, max / 16 - 1, 2),
    ] {
        let expected = too_large(THETA, units, cols);
        no_network::<f64>(inputs, &[dense(inputs, units)], &expected);
    }
    // An allocation holds at most isize::MAX bytes: half as many f64 as f32.
    let most = isize::MAX.unsigned_abs();
    no_network::<f64>(1, &[dense(1, most / 8)], &too_large(THETA, most / 8, 2));
    no_network::<f32>(1, &[dense(1, most / 4)], &too_large(THETA, most / 4, 2));
    // The first layer fits, but not the second.
    let (half, quarter) = (most / 16, most / 32);
    let layers = [dense(1, half), dense(half, 1)];
    no_network::<f64>(1, &layers, &too_large(THETA, 1, half + 1));
    let layers = [
        dense(1, quarter),
        custom(quarter, 1, &[Block::new("U", most, 2)]),
    ];
    no_network::<f64>(1, &layers, &too_large(THETA, most, 2));
    // A matrix without entries, but with a side longer than any matrix can have.
    for (rows, cols) in [(0, max), (max, 0)] {
        let layers = [custom(1, 1, &[Block::new("U", rows, cols)])];
        no_network::<f64>(1, &layers, &too_large(THETA, rows, cols));
    }
    // A size that fits an allocation but not memory is refused when the memory is allocated. A θ
    // that is too short is refused before that.
    let huge = [dense(1, half)];
    let expected = too_large("the parameters", 2 * half, 1);
    refused("zeros", builder::<f64>(1, &huge).zeros(), &expected);
    let start = Initialization::HeNormal;
    let found = builder::<f64>(1, &huge).initialize(start, &mut rng(1));
    refused("initialize", found, &expected);
    let found = builder::<f64>(1, &huge).with_theta(&[0.5; 26]);
    refused("with_theta", found, &length("θ", 2 * half, 26));

    let problem = Problem::new();
    let mut workspace = Workspace::new();
    let before = problem.bits(&mut workspace);
    let wide = |outputs, kept| {
        let mut told = Told::new(3, outputs, &[]);
        told.kept = kept;
        told
    };
    // In a network, what a layer keeps and its output for the next layer are one buffer.
    let (output, kept) = ("a layer's output", "what a layer keeps");
    for (layer, entries, alone) in [
        (wide(max, 0), max, too_large(output, max, 5)),
        (
            wide(most / 8, 0),
            most / 8 * 5,
            too_large(output, most / 8, 5),
        ),
        (wide(1, max), max, too_large(kept, max, 1)),
        (
            wide(1, most / 8),
            most / 8 + 5,
            too_large(kept, most / 8, 1),
        ),
    ] {
        let expected = too_large("the activations", entries, 1);
        let last = Told::new(layer.outputs, 2, &[]);
        let layers = vec![layer.clone(), last];
        let network = Network::from_layers(3, layers, &[]).unwrap();
        let copy = network.clone();
        let what = &format!("{layer:?}");
        refused(what, network.forward(&problem.x), &expected);
        let found = network.forward_into(&problem.x, &mut workspace);
        refused(what, found, &expected);
        let (examples, objective) = (problem.examples(), &problem.objective);
        let call = (&network, &examples, objective);
        no_cost(what, call, &mut workspace, &expected);
        let mut sums = Accumulator::new(&network).unwrap();
        let empty = sums.clone();
        let found = sums.add(&network, &examples, &BinaryCrossEntropy, &mut workspace);
        refused(what, found, &expected);
        let found = GradientCheck::new().layer(&layer, &[], &problem.x);
        refused(what, found, &alone);
        assert_eq!((network, sums), (copy, empty), "{what}");
        assert_eq!(problem.bits(&mut workspace), before, "{what}");
    }
}

#[test]
pub(super) fn blocks_that_are_not_there() {
    let good = Block::new("U", 2, 3).penalised_from_column(3);
    assert!(
        builder::<f64>(3, &[custom(3, 1, from_ref(&good))])
            .zeros()
            .is_ok()
    );
    for from in [4, 5, usize::MAX] {
        let bad = Block::new("V", 2, 3).penalised_from_column(from);
        let refusal = |layer: usize| Error::PenalisedColumns {
            layer: layer.into(),
            block: "V".into(),
            cols: 3,
            from,
        };
        let both = custom(3, 1, &[good.clone(), bad]);
        no_network::<f64>(3, from_ref(&both), &refusal(0));
        no_network::<f64>(3, &[dense(3, 3), both.clone()], &refusal(1));
        let found = GradientCheck::new().layer(&both, &[0.5; 12], &DMatrix::zeros(3, 2));
        refused("a single layer", found, &refusal(0));
    }
}

/// A network is a sequence of layers, and these may be sequences themselves, to a limit.
#[test]
pub(super) fn layers_that_are_too_deep() {
    let nested = |depth: usize| {
        let inner: Box<dyn Layer<f64>> = Box::new(dense(3, 2));
        (0..depth).fold(inner, |inner, _| Box::new(Sequential::new(vec![inner])))
    };
    let (expected, x) = (Error::Depth { most: 32 }, DMatrix::zeros(3, 2));
    for (depth, fits) in [(0, true), (1, true), (31, true), (32, false), (500, false)] {
        let what = &format!("{depth} levels");
        let build = || Builder::<f64, Box<dyn Layer<f64>>>::new(3).layer(nested(depth));
        let from_layers = Network::from_layers(3, vec![nested(depth)], &[0.5; 8]);
        let above = build().layer(Box::new(dense(2, 2))).zeros();
        let below = Builder::<f64, Box<dyn Layer<f64>>>::new(3)
            .layer(Box::new(dense(3, 3)))
            .layer(nested(depth))
            .zeros();
        if fits {
            let network = from_layers.unwrap();
            assert_eq!(network.parameters(), 8, "{what}");
            let alone = Network::from_layers(3, vec![dense(3, 2)], &[0.5; 8]).unwrap();
            assert_eq!(network.forward(&x), alone.forward(&x), "{what}");
            let sizes = [above, below].map(|network| network.unwrap().parameters());
            assert_eq!(sizes, [8 + 6, 12 + 8], "{what}");
        } else {
            for network in [from_layers, build().zeros(), above, below] {
                refused(what, network.map(|_| ()), &expected);
            }
        }
    }
}

#[test]
pub(super) fn constants_of_activations() {
    fn refuses<T: Scalar>(activation: AnyActivation, expected: &Error) {
        let bad = |inputs, outputs| AnyLayer::Dense(Dense::new(inputs, outputs, activation));
        no_network::<T>(3, &[bad(3, 4), dense(4, 2)], expected);
        no_network::<T>(3, &[dense(3, 4), bad(4, 2)], expected);
        let (check, x) = (GradientCheck::new(), DMatrix::<T>::zeros(2, 3));
        refused("alone", check.activation(&activation, &x), expected);
        let found = check.cost(&BinaryCrossEntropy, &activation, &x, &x);
        refused("with a cost", found, expected);
        let layer = Dense::new(2, 1, activation);
        refused("a layer", check.layer(&layer, &[T::one(); 3], &x), expected);
    }
    let finite = "a finite number";
    for bad in BAD {
        let expected = hyperparameter("the slope of LeakyRelu", bad, finite);
        refuses::<f64>(LeakyRelu { slope: bad }, &expected);
        let expected = hyperparameter("the alpha of Elu", bad, finite);
        refuses::<f64>(Elu { alpha: bad }, &expected);
    }
    // Finite in f64 but not in f32, directly and by conversion.
    for (good, bad) in [(1e30, 1e300), (-1e30, -1e300)] {
        let leaky = |slope| LeakyRelu { slope };
        let expected = hyperparameter("the slope of LeakyRelu", bad, finite);
        refuses::<f32>(leaky(bad), &expected);
        let double = Network::<f64>::builder(1).dense(1, leaky(bad));
        let double = double.zeros().unwrap();
        refused("map", double.map(|w| w as f32), &expected);
        let single = Network::<f32>::builder(1).dense(1, leaky(good));
        assert!(single.zeros().is_ok());
    }
}

/// An activation and a cost without the optional methods.
#[derive(Debug)]
struct Bare;

impl Activation<f64> for Bare {
    fn forward(&self, z: DMatrixView<'_, f64>, mut a: DMatrixViewMut<'_, f64>) {
        a.copy_from(&z);
    }

    fn backward(
        &self,
        _: DMatrixView<'_, f64>,
        _: DMatrixView<'_, f64>,
        _: DMatrixViewMut<'_, f64>,
    ) {
    }
}

impl Cost<f64> for Bare {
    fn values(&self, _: &Outputs<'_, f64>, values: &mut [f64]) {
        values.fill(0.0);
    }

    fn delta(&self, _: &Outputs<'_, f64>, mut delta: DMatrixViewMut<'_, f64>) {
        delta.fill(0.0);
    }
}

/// Every tangent method of the traits has a default.
#[test]
pub(super) fn what_no_type_of_ours_provides() {
    let x = DMatrix::<f64>::zeros(1, 1);
    let (mut out, mut other) = (x.clone(), x.clone());
    let unsupported = |what, by| Error::Unsupported { what, by };
    let layer = Told::new(1, 1, &[]);
    let plan = Layer::<f64>::plan(&layer, Site::new(1)).unwrap();
    let at = At::new(&plan, &[]);
    let pass = ForwardTangent::new(
        at,
        x.as_view(),
        x.as_view(),
        &[],
        out.as_view_mut(),
        &mut [],
    );
    let by = type_name::<Told>();
    let expected = unsupported("Layer::forward_tangent", by);
    refused("forward", layer.forward_tangent(pass), &expected);
    let pass = Backward::new(at, x.as_view(), x.as_view(), &[], out.as_view_mut());
    let pass = BackwardTangent::new(pass, x.as_view(), &[], other.as_view_mut());
    let expected = unsupported("Layer::backward_tangent", by);
    refused("backward", layer.backward_tangent(pass), &expected);

    let by = type_name::<Bare>();
    let (view, tangent) = (x.as_view(), out.as_view_mut());
    let found = Activation::forward_tangent(&Bare, view, view, view, tangent);
    let expected = unsupported("Activation::forward_tangent", by);
    refused("activation, forward", found, &expected);
    let (delta, tangent) = (out.as_view_mut(), other.as_view_mut());
    let found = Activation::backward_tangent(&Bare, view, view, view, delta, tangent);
    let expected = unsupported("Activation::backward_tangent", by);
    refused("activation, backward", found, &expected);

    let at = Outputs::new(None, view, view);
    let found = Cost::delta_tangent(&Bare, &at, view, out.as_view_mut());
    let expected = unsupported("Cost::delta_tangent", by);
    refused("cost", found, &expected);
    assert_eq!((&out, &other), (&x, &x));
}
