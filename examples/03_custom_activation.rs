//! 3 of 6. A custom activation: write two formulas, check them with one call, and train it with a
//! built-in one.
//!
//! ```sh
//! cargo run --release --example 03_custom_activation
//! ```

use backprop::activation::{Activation, Identity};
use backprop::gradient_check::GradientCheck;
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use backprop::{
    AnyLayer, Builder, Dense, Error, Examples, Initialization, Network, Objective, Scalar,
    SquaredError, Workspace, rng,
};

/// Snake: g(z) = z + sin² z, made for periodic functions (Ziyin et al. 2020, arXiv:2006.08195).
#[derive(Clone, Debug, PartialEq)]
struct Snake;

impl<T: Scalar> Activation<T> for Snake {
    fn forward(&self, z: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
        a.zip_apply(&z, |a, z| *a = z + z.sin() * z.sin());
    }

    /// δ ← δ g′(z) with g′(z) = 1 + 2 sin z cos z.
    fn backward(
        &self,
        z: DMatrixView<'_, T>,
        _a: DMatrixView<'_, T>,
        mut delta: DMatrixViewMut<'_, T>,
    ) {
        let two = T::one() + T::one();
        delta.zip_apply(&z, |d, z| *d *= T::one() + two * z.sin() * z.cos());
    }
}

fn main() -> Result<(), Error> {
    let z = DMatrix::from_fn(3, 5, |i, k| i as f64 - 0.9 * k as f64);
    let report = GradientCheck::new().activation(&Snake, &z)?;
    println!("Snake on its own, with respect to its pre-activations z:\n{report}\n");
    report.assert_passed();

    // y = sin 3x + x/2 at 80 points, with Snake below an identity output.
    let x = DMatrix::from_fn(1, 80, |_, k| -3.0 + 6.0 * k as f64 / 79.0);
    let y = x.map(|x| (3.0 * x).sin() + 0.5 * x);
    let examples = Examples::new(&x, &y)?;
    let objective = Objective::new(SquaredError);
    let mut network: Network<f64, AnyLayer<Dense<Snake>>> = Builder::new(1)
        .layer(AnyLayer::Custom(Dense::new(1, 16, Snake)))
        .dense(1, Identity)
        .initialize(Initialization::Normal { sigma: 0.7 }, &mut rng(1))?;
    let report = GradientCheck::new().network(&network, &examples, &objective)?;
    println!("in a network:\n{report}\n");
    report.assert_passed();

    let mut workspace = Workspace::new();
    let mut gradient = vec![0.0; network.parameters()];
    let mut velocity = gradient.clone();
    let mut theta = network.theta().as_slice().to_vec();
    for step in 0..=4000 {
        let j = network.gradient_into(&examples, &objective, &mut workspace, &mut gradient)?;
        if step % 1000 == 0 {
            println!("step {step:4}: J = {:.6}", j.total());
        }
        for ((t, v), g) in theta.iter_mut().zip(&mut velocity).zip(&gradient) {
            *v = 0.9 * *v - 0.02 * g;
            *t += *v;
        }
        network.set_theta(&theta)?;
    }
    let largest = (network.forward(&x)? - &y).amax();
    println!("largest error of the 80 points: {largest:.3}");
    assert!(largest < 0.2);
    Ok(())
}
