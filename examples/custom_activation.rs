//! A custom activation as one closure. Dual numbers compute its derivatives, one call checks it,
//! and it trains with a built-in one.
//!
//! ```sh
//! cargo run --release --example custom_activation
//! ```
//!
//! In your project, turn on the feature `num-dual` of `backprop`. (`03_custom_activation` writes
//! out the derivative, which is faster.)

use backprop::activation::{Identity, from_fn};
use backprop::nalgebra::DMatrix;
use backprop::num_dual::DualNum;
use backprop::training::{LevenbergMarquardt, Trainer};
use backprop::{
    AnyLayer, Builder, Dense, Error, Examples, GradientCheck, Initialization, Network, Objective,
    SquaredError, rng,
};

fn main() -> Result<(), Error> {
    // A wavelet: g(z) = z e^(−z²/2), the negative derivative of a Gaussian.
    let wavelet = from_fn("wavelet", |z| z * (z * z * -0.5).exp());
    let z = DMatrix::from_fn(3, 5, |i, k| i as f64 - 0.9 * k as f64);
    let report = GradientCheck::new().activation(&wavelet, &z)?;
    println!("the closure on its own, with respect to its pre-activations z:\n{report}\n");
    report.assert_passed();

    // A chirp, whose frequency grows with |x|: sin(2x²) e^(−x²/8).
    let x = DMatrix::from_fn(1, 81, |_, k| k as f64 / 20.0 - 2.0);
    let y = x.map(|x| (2.0 * x * x).sin() * (-x * x / 8.0).exp());
    let examples = Examples::new(&x, &y)?;
    let objective = Objective::new(SquaredError).l2(1e-7);
    let mut network: Network<f64, AnyLayer<Dense<_>>> = Builder::new(1)
        .layer(AnyLayer::Custom(Dense::new(1, 10, wavelet)))
        .dense(1, Identity)
        .initialize(Initialization::Normal { sigma: 1.5 }, &mut rng(2))?;

    // Second derivatives work too: the exact curvature along ∇J.
    let slope = network.gradient_vector(&examples, &objective)?;
    let bend = network.hessian_product(&examples, &objective, slope.as_slice())?;
    println!("∇Jᵀ H ∇J = {:.6}", slope.dot(&bend));

    let before = network.cost(&examples, &objective)?;
    let history = Trainer::new(objective, LevenbergMarquardt::new())
        .epochs(300)
        .fit(&mut network, &examples)?;
    let error = (network.forward(&x)? - &y).amax();
    if let Some(record) = history.records().last() {
        let (cost, epochs) = (record.cost, record.epoch);
        println!("J: {before:.1e} -> {cost:.1e} in {epochs} steps, largest error {error:.1e}");
    }
    assert!(error < 0.05);
    Ok(())
}
