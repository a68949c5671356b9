//! A cost refuses overflow, bad constants, and targets and outputs outside its domain.

use super::{HUBER, activate, assert_close, delta, values};
use backprop::activation::{
    AnyActivation, Exponential, HardTanh, Identity, Relu, Sigmoid, Softmax, Tanh,
};
use backprop::cost::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Huber, LogCosh, Poisson, SquaredError,
};
use backprop::gradient_check::GradientCheck;
use backprop::nalgebra::DMatrix;
use backprop::{
    Accumulator, BlockEntry, Error, Examples, Location, Network, Objective, Scalar, Workspace,
};

/// Asserts that every call that computes a cost gives the same error, and returns it.
#[track_caller]
fn refused<T: Scalar>(
    network: &Network<T>,
    x: &DMatrix<T>,
    y: &DMatrix<T>,
    cost: AnyCost,
) -> Error {
    let (examples, objective) = (Examples::new(x, y).unwrap(), Objective::new(cost));
    let error = network.cost(&examples, &objective).unwrap_err();
    // Compared as text: a NaN in an error is not equal to itself.
    let same = |other: Error| assert_eq!(format!("{other:?}"), format!("{error:?}"));
    same(network.backprop(&examples, &objective).unwrap_err());
    same(network.gradient_vector(&examples, &objective).unwrap_err());
    same(network.input_gradient(&examples, &objective).unwrap_err());
    let mut sums = Accumulator::new(network).unwrap();
    let added = sums.add(network, &examples, &cost, &mut Workspace::new());
    same(added.unwrap_err());
    assert_eq!(sums.weight(), 0.0, "a refused batch leaves no trace");
    error
}

/// Units whose z equal the inputs, after a first layer that does nothing.
fn passing_on<T: Scalar>(units: usize, g: AnyActivation) -> Network<T> {
    let identity = DMatrix::<T>::identity(units, units);
    let bias = vec![T::zero(); units];
    let builder = Network::builder(units).dense(units, Identity);
    let mut network = builder.dense(units, g).zeros().unwrap();
    for layer in 0..2 {
        network.set_dense(layer, &identity, &bias).unwrap();
    }
    network
}

#[test]
fn targets_outside_the_domain() {
    let infinity = f64::INFINITY;
    for (cost, g, bad, domain) in [
        (BinaryCrossEntropy, Sigmoid, 1.5, (0.0, 1.0)),
        (BinaryCrossEntropy, Sigmoid, 1.0_f64.next_up(), (0.0, 1.0)),
        (BinaryCrossEntropy, Softmax, -0.25, (0.0, 1.0)),
        (CategoricalCrossEntropy, Softmax, -1.0, (0.0, infinity)),
        (Poisson, Exponential, -2.0, (0.0, infinity)),
    ] {
        let x = DMatrix::repeat(3, 4, 0.5);
        let mut y = DMatrix::repeat(3, 4, 1.0);
        y[(2, 1)] = bad;
        y[(0, 3)] = -7.0; // a later one, which the error must not name
        let expected = Error::Target {
            unit: 2,
            example: 1,
            value: bad,
            domain,
        };
        assert_eq!(refused(&passing_on(3, g), &x, &y, cost), expected);
        let checked = GradientCheck::new().cost(&cost, &g, &x, &y);
        assert_eq!(checked, Err(expected));
    }
    // The other costs take any target.
    let y = DMatrix::from_row_slice(1, 2, &[-1e3, 1e3]);
    for cost in [SquaredError, HUBER, LogCosh] {
        let (x, network) = (DMatrix::repeat(1, 2, 0.5), passing_on(1, Tanh));
        let examples = Examples::new(&x, &y).unwrap();
        assert!(network.backprop(&examples, &Objective::new(cost)).is_ok());
    }
}

/// z of unit 1 in example 2 (the others are harmless), its output and its target.
#[test]
fn outputs_outside_the_domain() {
    for (cost, g, z, a, target) in [
        (BinaryCrossEntropy, Relu, -1.0, 0.0, 1.0),
        (BinaryCrossEntropy, Relu, 2.0, 2.0, 1.0),
        (BinaryCrossEntropy, Relu, 1.0, 1.0, 0.5),
        (BinaryCrossEntropy, Tanh, -0.5, -0.5_f64.tanh(), 1.0),
        (BinaryCrossEntropy, HardTanh, 5.0, 1.0, 0.0),
        (CategoricalCrossEntropy, Sigmoid, -800.0, 0.0, 0.25),
        (CategoricalCrossEntropy, Identity, -0.5, -0.5, 0.0),
        (Poisson, Identity, -1.5, -1.5, 3.0),
        (Poisson, Relu, -1.5, 0.0, 3.0),
    ] {
        let mut x = DMatrix::repeat(2, 4, 0.5);
        let mut y = DMatrix::repeat(2, 4, 0.75);
        (x[(1, 2)], y[(1, 2)]) = (z, target);
        (x[(0, 3)], y[(0, 3)]) = (-3.0, 1.0); // a later one
        let what = format!("{cost:?} after {g:?} at {z}");
        match refused(&passing_on(2, g), &x, &y, cost) {
            Error::Output {
                layer,
                unit: 1,
                example: 2,
                value,
                ..
            } if layer == 1 => assert_close(&what, value, a, 1e-15),
            other => panic!("{what}: {other}"),
        }
        // Without a network, the layer is numbered 0.
        match GradientCheck::new().cost(&cost, &g, &x, &y) {
            Err(Error::Output {
                layer,
                unit: 1,
                example: 2,
                value,
                ..
            }) if layer == 0 => assert_close(&what, value, a, 1e-15),
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// Softmax is not cross-entropy's canonical activation, so an output of 1 has no ln(1 − a).
#[test]
fn saturated_softmax_with_cross_entropy() {
    let x = DMatrix::from_column_slice(2, 2, &[0.0, 0.5, 0.0, 800.0]);
    let y = DMatrix::from_column_slice(2, 2, &[1.0, 0.0, 1.0, 0.0]);
    let error = refused(&passing_on(2, Softmax), &x, &y, BinaryCrossEntropy);
    let expected = matches!(
        error,
        Error::Output { ref layer, unit: 0, example: 1, value, .. }
            if *layer == 1 && value == 0.0
    );
    assert!(expected, "{error}");
    let text = error.to_string();
    assert!(text.contains("or 0 where y = 0"), "{text}");
}

/// Outputs on the edge of the domain, with a target that makes the cost finite, are accepted and
/// give correct results.
#[test]
fn edges_that_the_target_allows() {
    // HardTanh gives 0 and 1 exactly, Relu 0.
    let x = DMatrix::from_row_slice(1, 3, &[0.0, 2.0, 0.5]);
    let y = DMatrix::from_row_slice(1, 3, &[0.0, 1.0, 1.0]);
    let network = passing_on(1, HardTanh);
    let examples = Examples::new(&x, &y).unwrap();
    let pass = network.backprop(&examples, &Objective::new(BinaryCrossEntropy));
    let pass = pass.unwrap();
    assert_close("J", pass.cost(), 2.0_f64.ln() / 3.0, 1e-15);
    let a = activate(HardTanh, &x);
    // ∂cost/∂a = (1 − y)/(1 − a) − y/a, without a term whose y or 1 − y is 0
    let d = delta(BinaryCrossEntropy, None, &a, &y);
    assert_eq!(d.as_slice(), &[1.0, -1.0, -2.0]);
    // 1/m Σ δ g′: g′ = 1 in the third example, at z = ½, and in the first, at z = 0.
    let gradient = pass.gradient().layer(1).unwrap();
    assert_close("bias", gradient[0], (1.0 - 2.0) / 3.0, 1e-15);
    assert_close("weight", gradient[1], -1.0 / 3.0, 1e-15);

    let a = DMatrix::from_row_slice(1, 2, &[0.0, 0.5]);
    let y = DMatrix::from_row_slice(1, 2, &[0.0, 1.0]);
    let ln2 = 2.0_f64.ln();
    for (cost, expected, slopes) in [
        (CategoricalCrossEntropy, [0.0, ln2], [0.0, -2.0]),
        (Poisson, [0.0, 0.5 + ln2], [1.0, -1.0]),
    ] {
        assert_eq!(values(cost, None, &a, &y), expected);
        assert_eq!(delta(cost, None, &a, &y).as_slice(), &slopes);
        // Through a network with Relu: z = −1 gives a = 0.
        let x = DMatrix::from_row_slice(1, 2, &[-1.0, 0.5]);
        let examples = Examples::new(&x, &y).unwrap();
        let pass = passing_on(1, Relu).backprop(&examples, &Objective::new(cost));
        let pass = pass.unwrap();
        assert_close("J", pass.cost(), 0.5 * (expected[0] + expected[1]), 1e-15);
        assert_close(
            "D",
            pass.gradient().layer(1).unwrap()[0],
            0.5 * slopes[1],
            1e-15,
        );
    }
}

/// e^100 is ∞ in `f32`. The error names the layer, unit and example, whatever the later layers
/// compute from it.
#[test]
fn overflow_of_a_hidden_layer() {
    // The other weights are 0, and 0 · ∞ is NaN. NaN is in no domain, but its origin is more
    // informative.
    for (cost, g) in [
        (BinaryCrossEntropy, Sigmoid),
        (BinaryCrossEntropy, Tanh),
        (CategoricalCrossEntropy, Softmax),
        (CategoricalCrossEntropy, Relu),
        (SquaredError, Identity),
        (HUBER, Relu),
        (LogCosh, Sigmoid),
        (Poisson, Exponential),
        (Poisson, Identity),
    ] {
        let builder = Network::<f32>::builder(2).dense(2, Exponential);
        let mut network = builder.dense(2, g).zeros().unwrap();
        let weights = DMatrix::from_row_slice(2, 2, &[0.0, 1.0, 1.0, 0.0]);
        network.set_dense(0, &weights, &[0.0, 0.0]).unwrap();
        // Unit 1 is e^(x₀).
        let x = DMatrix::from_column_slice(2, 3, &[0.0, 1.0, 100.0, 1.0, 100.0, 1.0]);
        let y = DMatrix::repeat(2, 3, 0.5);
        let expected = Error::NonFinite {
            at: Location::Activation {
                layer: 0.into(),
                unit: 1,
                example: 1,
            },
            value: f64::INFINITY,
        };
        // With weights of 0 the outputs of example 0 are valid: a = g(½) is in every domain.
        let nothing = DMatrix::zeros(2, 2);
        network.set_dense(1, &nothing, &[0.5, 0.5]).unwrap();
        assert_eq!(refused(&network, &x, &y, cost), expected, "{cost:?}, {g:?}");
        assert_eq!(network.forward(&x), Err(expected));
    }
}

/// e^100 is ∞, and a saturated unit turns ±∞ into a valid 0 or 1. The overflow is still an error.
#[test]
fn overflow_that_a_saturated_layer_would_swallow() {
    for (g, weight) in [
        (Sigmoid, -1.0),
        (Sigmoid, 1.0),
        (Tanh, -1.0),
        (HardTanh, 1.0),
    ] {
        let builder = Network::<f32>::builder(1).dense(1, Exponential);
        let builder = builder.dense(1, g).dense(1, Identity);
        let theta = [0.0, 1.0, 0.0, weight, 0.0, 1.0];
        let network = builder.with_theta(&theta).unwrap();
        let x = DMatrix::from_row_slice(1, 2, &[0.0, 100.0]);
        let expected = Error::NonFinite {
            at: Location::Activation {
                layer: 0.into(),
                unit: 0,
                example: 1,
            },
            value: f64::INFINITY,
        };
        assert_eq!(network.forward(&x), Err(expected.clone()), "{g:?}");
        let found = refused(&network, &x, &DMatrix::zeros(1, 2), SquaredError);
        assert_eq!(found, expected, "{g:?}");
    }
}

/// Poisson's canonical path overflows with eᶻ, in the output layer.
#[test]
fn overflow_of_the_output_layer() {
    let x = DMatrix::from_column_slice(2, 2, &[0.0_f32, 1.0, 2.0, 100.0]);
    let error = refused(
        &passing_on(2, Exponential),
        &x,
        &DMatrix::repeat(2, 2, 1.0),
        Poisson,
    );
    let expected = Error::NonFinite {
        at: Location::Activation {
            layer: 1.into(),
            unit: 1,
            example: 1,
        },
        value: f64::INFINITY,
    };
    assert_eq!(error, expected);
}

/// All activations are finite, but a square, a sum or the gradient is not.
#[test]
fn overflow_after_the_outputs() {
    let network = passing_on::<f32>(1, Identity);
    let y = DMatrix::zeros(1, 2);
    let x = DMatrix::from_row_slice(1, 2, &[1.0, 1e20]);
    let expected = Error::NonFinite {
        at: Location::Cost { example: 1 },
        value: f64::INFINITY,
    };
    assert_eq!(refused(&network, &x, &y, SquaredError), expected);
    // ½ (2.4e19)² = 2.9e38 fits. Twice that does not.
    let x = DMatrix::repeat(1, 2, 2.4e19);
    let expected = Error::NonFinite {
        at: Location::Objective,
        value: f64::INFINITY,
    };
    assert_eq!(refused(&network, &x, &y, SquaredError), expected);

    // δ = 1e15 and x = 1e30, with a weight of 0 between them.
    let builder = Network::<f32>::builder(1).dense(1, Identity);
    let network = builder.with_theta(&[1e15, 0.0]).unwrap();
    let x = DMatrix::from_row_slice(1, 2, &[1e30, 1.0]);
    let (examples, objective) = (Examples::new(&x, &y).unwrap(), Objective::new(SquaredError));
    assert!(network.cost(&examples, &objective).is_ok());
    let expected = Error::NonFinite {
        at: Location::Gradient(BlockEntry {
            layer: 0.into(),
            block: "Θ".into(),
            row: 0,
            col: 1,
        }),
        value: f64::INFINITY,
    };
    let found = network.backprop(&examples, &objective);
    assert_eq!(found.unwrap_err(), expected);
}

#[test]
fn invalid_huber_deltas_are_refused() {
    for bad in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let cost = Huber { delta: bad };
        let is_it = |error: Error| match error {
            Error::Hyperparameter { name, value, .. } => {
                name == "the delta of Huber" && value.to_bits() == bad.to_bits()
            }
            _ => false,
        };
        let (x, y) = (DMatrix::repeat(1, 2, 0.5), DMatrix::repeat(1, 2, 1.0));
        assert!(is_it(refused(&passing_on(1, Identity), &x, &y, cost)));
        let checked = GradientCheck::new().cost(&cost, &Identity, &x, &y);
        assert!(checked.is_err_and(is_it));
    }
    // These are in range in f64. In f32 they become 0 and ∞.
    for bad in [1e-300, 1e300] {
        let cost = Huber { delta: bad };
        let (x, y) = (DMatrix::repeat(1, 2, 0.5_f32), DMatrix::repeat(1, 2, 1.0));
        let found = refused(&passing_on(1, Identity), &x, &y, cost);
        assert!(matches!(found, Error::Hyperparameter { .. }), "{found}");
        let (x, y) = (x.map(f64::from), y.map(f64::from));
        let examples = Examples::new(&x, &y).unwrap();
        let objective = Objective::new(cost);
        assert!(passing_on(1, Identity).cost(&examples, &objective).is_ok());
    }
}

/// Central differences in a need room on both sides. They are refused next to the edge, and skipped
/// if a canonical pair does not need them.
#[test]
fn gradient_check_near_the_edge_of_the_domain() {
    let (x, y) = (DMatrix::repeat(1, 1, 1e-9), DMatrix::repeat(1, 1, 0.5));
    let found = GradientCheck::new().cost(&BinaryCrossEntropy, &Identity, &x, &y);
    let expected = |value, expected| Error::Output {
        layer: 0.into(),
        unit: 0,
        example: 0,
        value,
        expected,
    };
    let text = "in (0, 1), or 0 where y = 0, or 1 where y = 1";
    assert_eq!(found, Err(expected(1e-9, text)));
    // σ(±40) rounds to 1 or nearly 0.
    for z in [40.0, -40.0] {
        let z = DMatrix::repeat(1, 1, z);
        let report = GradientCheck::new().cost(&BinaryCrossEntropy, &Sigmoid, &z, &y);
        let report = report.unwrap();
        report.assert_passed();
        let labels: Vec<&str> = report.blocks.iter().map(|b| b.label.as_str()).collect();
        assert_eq!(labels, ["∂cost/∂z"]);
    }
}
