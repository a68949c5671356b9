//! Constant inputs, large offsets, tiny spreads, and what overflows.

use super::{close, network, pass, training, wave};
use backprop::layer::{BatchNorm, LayerNorm, RmsNorm};
use backprop::nalgebra::DMatrix;
use backprop::{Error, Location, Network, Workspace};

/// With variance 0, x̂ = 0 and r = 1/√ε: the gradient is that of the formula.
#[test]
fn constant_inputs_give_beta() {
    let eps = 1e-4_f64;
    let theta = [2.0, 2.0, 2.0, 0.5, 0.5, 0.5];
    let (x, delta) = (DMatrix::repeat(3, 4, 7.25), wave::<f64>(3, 4, 0.6));
    let layer = network(3, LayerNorm::new().eps(eps), &theta);
    let batch = network(3, BatchNorm::new().eps(eps), &theta);
    for (network, mean) in [
        (&layer, delta.row_mean().map(|m| m)),
        (&batch, delta.column_mean().transpose()),
    ] {
        let found = pass(network, &x, &delta, &mut training());
        assert!(found.a.iter().all(|&a| a == 0.5), "{}", found.a);
        let expected = DMatrix::from_fn(3, 4, |i, k| {
            let mean = if std::ptr::eq(network, &layer) {
                mean[k]
            } else {
                mean[i]
            };
            2.0 / eps.sqrt() * (delta[(i, k)] - mean)
        });
        close(found.by_x.as_slice(), expected.as_slice(), 1e-10);
    }
    // An RMS norm of zeros.
    let rms = network(3, RmsNorm::new().eps(eps), &theta[..3]);
    let found = pass(&rms, &DMatrix::zeros(3, 4), &delta, &mut training());
    assert!(found.a.iter().all(|&a| a == 0.0));
    let expected = &delta * (2.0 / eps.sqrt());
    close(found.by_x.as_slice(), expected.as_slice(), 1e-10);
}

/// An offset of 2²⁰ times the spread changes the outputs only by what rounding x did.
#[test]
fn large_offsets_lose_no_digits() {
    let rows = 40;
    // Multiples of 2⁻³ around 2²⁰: exact in f32.
    let spread = DMatrix::from_fn(rows, 33, |i, k| ((7 * i + 13 * k) % 29) as f32 / 8.0);
    let moved = spread.map(|x| x + 1_048_576.0);
    let layer = LayerNorm::new().affine(false);
    let batch = BatchNorm::new().affine(false);
    for network in [network::<f32>(rows, layer, &[]), network(rows, batch, &[])] {
        let delta = wave::<f32>(rows, 33, 0.6);
        let found = pass(&network, &moved, &delta, &mut training());
        let exact = network.map(f64::from).unwrap();
        let (x, delta) = (spread.map(f64::from), delta.map(f64::from));
        let expected = pass(&exact, &x, &delta, &mut training());
        close(found.a.as_slice(), expected.a.as_slice(), 2e-6);
        close(found.by_x.as_slice(), expected.by_x.as_slice(), 2e-6);
    }
}

/// A tiny spread is scaled by 1/√(σ² + ε), not by more.
#[test]
fn epsilon_bounds_the_scale() {
    let network = network(2, LayerNorm::new().eps(1e-6).affine(false), &[]);
    let a = network.forward(&[1.0, 1.0 + 1e-9]).unwrap();
    let expected = 0.5e-9 / 1e-3;
    close(a.as_slice(), &[-expected, expected], 1e-12);
}

/// Squares that overflow are an error with their place, in outputs and in the state.
#[test]
fn overflow_is_reported() {
    for network in [
        network::<f32>(2, LayerNorm::new().affine(false), &[]),
        network(2, RmsNorm::new().affine(false), &[]),
    ] {
        let refused = network.forward(&[1e30, -1e30]);
        // r = 1/√∞ is 0, or x̂ is a NaN: nothing that is not finite passes silently.
        match refused {
            Ok(a) => assert!(a.iter().all(|a| *a == 0.0), "{a}"),
            Err(error) => assert!(matches!(
                error,
                Error::NonFinite {
                    at: Location::Activation { .. },
                    ..
                }
            )),
        }
    }
    let mut batch = network::<f32>(2, BatchNorm::new().affine(false), &[]);
    let before = batch.clone();
    let x = DMatrix::from_row_slice(2, 2, &[1e30, -1e30, 1.0, 2.0]);
    let mut workspace = training();
    let refused = batch.forward_into(&x, &mut workspace).map(drop);
    let Err(Error::NonFinite { at, .. }) = refused else {
        panic!("{refused:?}");
    };
    let is_named = matches!(&at, Location::State { block, entry: 0, .. } if block == "σ²");
    assert!(
        is_named || matches!(at, Location::Activation { .. }),
        "{at:?}"
    );
    assert_eq!(batch, before);
    let mut workspace = Workspace::new();
    batch.forward_into(&x, &mut workspace).unwrap();
    assert!(batch.take_state(&workspace).is_err());
}

/// ε and the momentum are checked when the network is built.
#[test]
fn constants_are_checked() {
    for eps in [0.0, -1e-5, f64::NAN, f64::INFINITY] {
        for refused in [
            Network::<f64>::from_layers(2, vec![LayerNorm::new().eps(eps).into()], &[1.0; 4]),
            Network::from_layers(2, vec![RmsNorm::new().eps(eps).into()], &[1.0; 2]),
            Network::from_layers(2, vec![BatchNorm::new().eps(eps).into()], &[1.0; 4]),
        ] {
            assert!(
                matches!(refused, Err(Error::Hyperparameter { .. })),
                "{refused:?}"
            );
        }
    }
    for momentum in [-0.1, 1.1, f64::NAN] {
        let layers = vec![BatchNorm::new().momentum(momentum).into()];
        let refused = Network::<f64>::from_layers(2, layers, &[1.0; 4]);
        assert!(
            matches!(refused, Err(Error::Hyperparameter { .. })),
            "{refused:?}"
        );
    }
    // 10⁻⁵⁰ is 0 in f32.
    let layers = vec![LayerNorm::new().eps(1e-50).into()];
    let refused = Network::<f32>::from_layers(2, layers, &[1.0; 4]);
    assert!(
        matches!(refused, Err(Error::Hyperparameter { .. })),
        "{refused:?}"
    );
}
