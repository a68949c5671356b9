//! Properties of whole families: NaN, ranges, monotonicity, symmetry, and their use in a network.

use super::{SELU_FLOOR, activations, assert_close, elementwise, row, slope, value};
use backprop::activation::{
    Activation, AnyActivation, Elu, Exponential, Gelu, GeluTanh, HardTanh, Identity, LeakyRelu,
    Mish, Relu, Selu, Sigmoid, Silu, Sine, Softmax, Softplus, Softsign, Tanh,
};
use backprop::cost::Link;
use backprop::gradient_check::{GradientCheck, Verdict};
use backprop::nalgebra::DMatrix;
use backprop::{Error, Location, Network};

#[test]
fn nan_comes_out_as_nan() {
    let z = row::<f64>(&[f64::NAN, 1.0]);
    for g in elementwise() {
        let (a, d) = (value(g, &z), slope(g, &z));
        assert!(a[0].is_nan() && a[1].is_finite(), "{g:?}: {a}");
        // The derivative of the identity is 1 for every z.
        assert!(d[0].is_nan() != (g == Identity), "derivative of {g:?}: {d}");
        assert!(d[1].is_finite(), "derivative of {g:?}: {d}");
        let single = row::<f32>(&[f64::NAN]);
        assert!(value(g, &single)[0].is_nan(), "{g:?}");
        assert!(slope(g, &single)[0].is_nan() != (g == Identity), "{g:?}");
        // A NaN in the error of the next layer survives too, even where g′ = 0.
        let z = row::<f64>(&[-2.0]);
        let mut delta = DMatrix::repeat(1, 1, f64::NAN);
        g.backward(z.as_view(), value(g, &z).as_view(), delta.as_view_mut());
        assert!(delta[0].is_nan(), "δ of {g:?}");
    }
}

#[test]
fn softmax_of_a_nan_is_nan_only_in_that_example() {
    for i in 0..3 {
        let mut z = DMatrix::from_fn(3, 2, |i, j| i as f64 - j as f64);
        z[(i, 0)] = f64::NAN;
        let (a, d) = (value(Softmax, &z), slope(Softmax, &z));
        assert!(a.column(0).iter().all(|a| a.is_nan()), "{a}");
        assert!(d.column(0).iter().all(|d| d.is_nan()), "{d}");
        assert!((a.column(1).sum() - 1.0).abs() < 1e-15, "{a}");
    }
}

/// z² overflows here. The result must not contain 0 · ∞ or ∞ − ∞.
#[test]
fn huge_arguments_are_not_nan() {
    for g in elementwise() {
        let z = row::<f32>(&[-1e38, -1e20, 1e20, 1e38]);
        for x in value(g, &z).iter().chain(&slope(g, &z)) {
            assert!(!x.is_nan(), "{g:?} in f32");
        }
        let z = row::<f64>(&[-1e300, -1e160, 1e160, 1e300]);
        for x in value(g, &z).iter().chain(&slope(g, &z)) {
            assert!(!x.is_nan(), "{g:?}");
        }
    }
    let z = row::<f64>(&[-1e300, 1e300]);
    for g in [Relu, Gelu, GeluTanh, Silu, Mish] {
        assert_eq!(value(g, &z).as_slice(), &[0.0, 1e300], "{g:?}");
        assert_eq!(slope(g, &z).as_slice(), &[0.0, 1.0], "{g:?}");
    }
}

/// −100 to 100 in steps of 1/64, and ±1e4.
fn wide_grid() -> Vec<f64> {
    let inner = (-6400..=6400).map(|i| f64::from(i) / 64.0);
    [-1e4].into_iter().chain(inner).chain([1e4]).collect()
}

#[test]
fn outputs_stay_in_range() {
    let inf = f64::INFINITY;
    let ranges = [
        (Sigmoid, 0.0, 1.0),
        (Tanh, -1.0, 1.0),
        (Relu, 0.0, inf),
        (Elu { alpha: 1.5 }, -1.5, inf),
        (Selu, -SELU_FLOOR, inf),
        (Softplus, 0.0, inf),
        (Softsign, -1.0, 1.0),
        // Their minima from mpmath, rounded down.
        (Gelu, -0.169_971_207_479_903_7, inf),
        (GeluTanh, -0.170_040_750_571_254_1, inf),
        (Silu, -0.278_464_542_761_073_9, inf),
        (Mish, -0.308_843_413_017_250_5, inf),
        (HardTanh, -1.0, 1.0),
        (Sine, -1.0, 1.0),
        (Exponential, 0.0, inf),
    ];
    let grid = wide_grid();
    for (g, low, high) in ranges {
        let a = value(g, &row::<f64>(&grid));
        assert!(a.iter().all(|a| (low..=high).contains(a)), "{g:?}");
        let (low, high) = ((low as f32).next_down(), high as f32);
        let a = value(g, &row::<f32>(&grid));
        assert!(a.iter().all(|a| (low..=high).contains(a)), "{g:?} in f32");
    }
}

#[test]
fn monotonic_activations_never_fall() {
    let grid = wide_grid();
    for g in [
        Identity,
        Sigmoid,
        Tanh,
        Relu,
        LeakyRelu { slope: 0.01 },
        Elu { alpha: 1.5 },
        Selu,
        Softplus,
        Softsign,
        HardTanh,
        Exponential,
    ] {
        let a = value(g, &row::<f64>(&grid));
        assert!(a.as_slice().is_sorted(), "{g:?}");
        let a = value(g, &row::<f32>(&grid));
        assert!(a.as_slice().is_sorted(), "{g:?} in f32");
    }
}

type Symmetry = fn(f64) -> f64;

#[test]
fn symmetries_hold() {
    let grid = wide_grid();
    let (z, mirrored) = (row::<f64>(&grid), -row::<f64>(&grid));
    let symmetries: [(AnyActivation, Symmetry); 12] = [
        // g(z) + g(−z)
        (Identity, |_| 0.0),
        (Tanh, |_| 0.0),
        (Softsign, |_| 0.0),
        (HardTanh, |_| 0.0),
        (Sine, |_| 0.0),
        (Sigmoid, |_| 1.0),
        // g(z) − g(−z) = z: with max(z, 0), g is even
        (Relu, |z| z),
        (Softplus, |z| z),
        (Gelu, |z| z),
        (GeluTanh, |z| z),
        (Silu, |z| z),
        (Elu { alpha: 0.0 }, |z| z),
    ];
    for (i, (g, symmetry)) in symmetries.into_iter().enumerate() {
        let sign = if i < 6 { 1.0 } else { -1.0 };
        let both = value(g, &z) + value(g, &mirrored) * sign;
        for (both, z) in both.iter().zip(&z) {
            // Exact for odd functions, which compute with |z|.
            let limit = if i < 5 { 0.0 } else { 4.0 * f64::EPSILON };
            let limit = limit * z.abs().max(1.0);
            assert_close(&format!("{g:?} at {z}"), *both, symmetry(*z), limit);
        }
    }
}

#[test]
fn softmax_sums_to_1_and_forgets_shifts() {
    let z = DMatrix::from_row_slice(
        3,
        3,
        &[1e4_f32, -1e4, 0.5, -1e4, -1e4, 0.25, 0.0, 1e4, -3.0],
    );
    let a = value(Softmax, &z);
    for a in a.column_iter() {
        assert!((a.sum() - 1.0).abs() <= 2.0 * f32::EPSILON, "{a}");
        assert!(a.iter().all(|a| (0.0..=1.0).contains(a)), "{a}");
    }
    assert_eq!(a.column(0).as_slice(), &[1.0, 0.0, 0.0]);
    assert_eq!(a.column(1).as_slice(), &[0.0, 0.0, 1.0]);
    // 1024 and these z are exact, so the shifted z are too.
    let z = DMatrix::from_column_slice(3, 1, &[0.5, -1.25, 2.0]);
    assert_eq!(value(Softmax, &z), value(Softmax, &z.add_scalar(1024.0)));
    // All equal, and a single unit.
    assert_eq!(value(Softmax, &DMatrix::repeat(4, 1, -7.0))[3], 0.25);
    assert_eq!(value(Softmax, &DMatrix::repeat(1, 2, 1e4))[1], 1.0);
}

#[test]
fn gradient_check_passes() {
    let z = DMatrix::from_fn(3, 4, |i, j| 1.1 * i as f64 - 0.7 * j as f64 - 0.35);
    for g in activations() {
        let report = GradientCheck::new().activation(&g, &z).unwrap();
        report.assert_passed();
        assert_eq!((report.blocks[0].compared, report.blocks[0].kinks), (12, 0));
        assert!(report.relative_error() < 1e-8, "{g:?}\n{report}");
        let z = z.map(|z| z as f32);
        let report = GradientCheck::new().activation(&g, &z).unwrap();
        report.assert_passed();
        assert_eq!(report.blocks[0].kinks, 0);
    }
}

#[test]
fn empty_and_nan_inputs_are_refused() {
    let check =
        |rows, cols| GradientCheck::new().activation(&Tanh, &DMatrix::<f64>::zeros(rows, cols));
    assert_eq!(check(3, 0), Err(Error::NoExamples));
    assert!(matches!(check(0, 3), Err(Error::Shape { what: "z", .. })));
    let nan = GradientCheck::new().activation(&Tanh, &DMatrix::repeat(1, 1, f64::NAN));
    assert!(matches!(
        nan,
        Err(Error::NonFinite {
            at: Location::Input { what: "z", .. },
            ..
        })
    ));
}

/// The check suspects a kink only at a kink. ELU with α = 1 has none.
#[test]
fn gradient_check_tells_kinks_apart() {
    let z = DMatrix::from_row_slice(2, 2, &[-1.0, 0.0, 1.0, 0.5]);
    let kinks = |g| {
        let report = GradientCheck::new().activation(&g, &z).unwrap();
        report.assert_passed();
        (report.blocks[0].verdict, report.blocks[0].kinks)
    };
    for g in [Relu, LeakyRelu { slope: 0.01 }, Elu { alpha: 1.5 }, Selu] {
        assert_eq!(kinks(g), (Verdict::SuspectedKink, 1), "{g:?}");
    }
    assert_eq!(kinks(HardTanh), (Verdict::SuspectedKink, 2));
    assert_eq!(kinks(Elu { alpha: 1.0 }), (Verdict::Agrees, 0));
}

#[test]
fn links_are_those_of_the_table() {
    let link = |g: AnyActivation| Activation::<f64>::link(&g);
    for g in activations() {
        let expected = match g {
            Identity => Some(Link::Identity),
            Sigmoid => Some(Link::Logit),
            Softmax => Some(Link::Softmax),
            Exponential => Some(Link::Log),
            _ => None,
        };
        assert_eq!(link(g), expected, "{g:?}");
    }
}

#[test]
fn invalid_constants_are_refused_when_building() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let refused = |g: AnyActivation, name: &str| {
            let is_it = |error: Error| match error {
                Error::Hyperparameter { name: n, value, .. } => {
                    n == name && value.to_bits() == bad.to_bits()
                }
                _ => false,
            };
            // Each activation in a hidden layer, in the output layer, and on its own.
            let hidden = Network::<f64>::builder(1).dense(2, g).dense(1, Sigmoid);
            assert!(hidden.zeros().is_err_and(is_it));
            let output = Network::<f64>::builder(1).dense(1, g).with_theta(&[0.0; 2]);
            assert!(output.is_err_and(is_it));
            let alone = GradientCheck::new().activation(&g, &DMatrix::repeat(1, 1, 1.0));
            assert!(alone.is_err_and(is_it));
        };
        refused(LeakyRelu { slope: bad }, "the slope of LeakyRelu");
        refused(Elu { alpha: bad }, "the alpha of Elu");
    }
    // Finite, but not in f32.
    for g in [LeakyRelu { slope: 1e300 }, Elu { alpha: -1e39 }] {
        let single = Network::<f32>::builder(1).dense(1, g).zeros();
        assert!(matches!(single, Err(Error::Hyperparameter { .. })));
        let double = Network::<f64>::builder(1).dense(1, g).zeros().unwrap();
        let mapped = double.map(|w| w as f32);
        assert!(matches!(mapped, Err(Error::Hyperparameter { .. })));
    }
    for fine in [0.0, -0.5, 3.0] {
        let builder = Network::<f64>::builder(1).dense(2, LeakyRelu { slope: fine });
        assert!(builder.dense(1, Elu { alpha: fine }).zeros().is_ok());
    }
}
