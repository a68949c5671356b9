//! Activations defined only by their value.

use super::dual::{M, assert_close, nan, wave};
use backprop::activation::{Activation, FromFn, Sigmoid, Silu, from_fn};
use backprop::layer::AnyLayer;
use backprop::nalgebra::{DMatrix, convert};
use backprop::num_dual::{Dual2_64, DualNum};
use backprop::{
    BinaryCrossEntropy, Builder, Dense, Error, Examples, GradientCheck, Initialization, Location,
    Network, Objective, Scalar, SquaredError, rng,
};

/// Returns a, ȧ, δ of `backward`, and δ and δ̇ of `backward_tangent`, at the same z, ż, δ and δ̇.
fn all_of<T: Scalar>(g: &dyn Activation<T>) -> [DMatrix<T>; 5] {
    let [z, z_dot, delta, delta_dot] =
        [0.1, 0.2, 0.3, 0.4].map(|p| wave::<T>(4, M, p) * convert::<f64, T>(4.0));
    let (mut a, mut a_dot, mut plain) = (nan(4, M), nan(4, M), delta.clone());
    let (mut d, mut d_dot) = (delta, delta_dot);
    g.forward(z.as_view(), a.as_view_mut());
    g.backward(z.as_view(), a.as_view(), plain.as_view_mut());
    let out = a_dot.as_view_mut();
    g.forward_tangent(z.as_view(), a.as_view(), z_dot.as_view(), out)
        .unwrap();
    let views = (d.as_view_mut(), d_dot.as_view_mut());
    g.backward_tangent(z.as_view(), a.as_view(), z_dot.as_view(), views.0, views.1)
        .unwrap();
    [a, a_dot, plain, d, d_dot]
}

/// SiLU from its formula has the derivatives of the built-in SiLU, for both scalars and when boxed.
#[test]
fn a_formula_defines_an_activation() {
    let silu = from_fn("my SiLU", |z: Dual2_64| z / ((-z).exp() + 1.0));
    assert_eq!(format!("{silu:?}"), "FromFn(\"my SiLU\")");
    assert_eq!(Activation::<f64>::name(&silu), "my SiLU");
    assert_eq!(Activation::<f32>::name(&silu.clone()), "my SiLU");
    for (found, expected) in all_of::<f64>(&silu).iter().zip(&all_of(&Silu)) {
        assert_close("f64", found, expected);
    }
    for (found, expected) in all_of::<f32>(&silu).iter().zip(&all_of(&Silu)) {
        assert_close("f32", found, expected);
    }
    let boxed: Box<dyn Activation<f64>> = Box::new(silu);
    for (found, expected) in all_of(&boxed).iter().zip(&all_of(&Silu)) {
        assert_close("boxed", found, expected);
    }
}

type Formula = fn(Dual2_64) -> Dual2_64;

/// Such an activation works next to built-in layers, in a network that is cloned, mapped and
/// checked.
#[test]
fn a_formula_defines_a_layer() -> Result<(), Error> {
    let bent: Formula = |z| ((z * z + 1.0).sqrt() - 1.0) / 2.0 + z;
    let layer = Dense::new(2, 5, from_fn("bent", bent));
    let network: Network<f64, AnyLayer<Dense<FromFn<Formula>>>> = Builder::new(2)
        .layer(AnyLayer::Custom(layer))
        .dense(1, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(1))?;
    assert!(
        network.clone().to_string().contains("Dense bent"),
        "{network}"
    );
    let x = DMatrix::from_row_slice(2, 4, &[0., 0., 1., 1., 0., 1., 0., 1.]);
    let y = DMatrix::from_row_slice(1, 4, &[0., 1., 1., 0.]);
    let examples = Examples::new(&x, &y)?;
    let report =
        GradientCheck::new().network(&network, &examples, &Objective::new(BinaryCrossEntropy))?;
    report.assert_passed();
    assert!(report.relative_error() < 1e-7, "{report}");
    // The same in f32.
    let single = network.map(|w| w as f32)?;
    let (a, a32) = (network.forward(&x)?, single.forward(&x.cast())?);
    assert!((a - a32.cast::<f64>()).amax() < 1e-6);
    Ok(())
}

/// The derivative is that of the branch taken. A NaN is passed on, and the network reports it.
#[test]
fn kinks_take_the_branch_and_nan_is_reported() -> Result<(), Error> {
    let slope = |g: &dyn Activation<f64>, z: f64| {
        let (z, mut d) = (DMatrix::repeat(1, 1, z), DMatrix::repeat(1, 1, 1.0));
        g.backward(z.as_view(), z.as_view(), d.as_view_mut());
        d[0]
    };
    let hinge = from_fn("hinge", |z: Dual2_64| if z.re > 0.0 { z } else { z * 0.5 });
    assert_eq!((slope(&hinge, 0.0), slope(&hinge, 1e-300)), (0.5, 1.0));
    let root = from_fn("root", |z: Dual2_64| z.sqrt());
    assert!(slope(&root, 4.0) == 0.25 && !slope(&root, 0.0).is_finite());
    // θ = (0, 1) and x = 0.
    let network = Network::from_layers(1, vec![Dense::new(1, 1, root)], &[0.0, 1.0])?;
    let (x, y) = (DMatrix::repeat(1, 1, 0.0), DMatrix::repeat(1, 1, 1.0));
    let examples = Examples::new(&x, &y)?;
    let found = network.gradient_vector(&examples, &Objective::new(SquaredError));
    assert!(
        matches!(
            found,
            Err(Error::NonFinite {
                at: Location::Gradient(..),
                ..
            })
        ),
        "{found:?}"
    );
    Ok(())
}
