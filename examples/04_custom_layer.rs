//! 4 of 6. A custom layer with parameters: checked on its own, then trained below a built-in layer,
//! both boxed.
//!
//! ```sh
//! cargo run --release --example 04_custom_layer
//! ```

use backprop::activation::Sigmoid;
use backprop::gradient_check::GradientCheck;
use backprop::layer::{Backward, Block, Forward, Layer, LayerGradient, Plan, Site};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut, convert};
use backprop::{BinaryCrossEntropy, Builder, Error, Examples, Objective, Scalar};

/// Radial units: aᵢ = exp(−‖x − cᵢ‖²), large near the centre cᵢ. The centres are learned.
#[derive(Debug)]
struct Radial {
    units: usize,
}

impl<T: Scalar> Layer<T> for Radial {
    /// C is inputs × units, one centre per column. A penalty would pull the centres to the origin,
    /// so all columns are exempt.
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        let centres = Block::new("C", site.input.len(), self.units);
        Ok(Plan::new(site, self.units).block(centres.penalised_from_column(self.units)))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        let c = DMatrixView::from_slice(pass.at.theta, pass.input.nrows(), self.units);
        for (k, x) in pass.input.column_iter().enumerate() {
            for i in 0..self.units {
                pass.output[(i, k)] = (-(x - c.column(i)).norm_squared()).exp();
            }
        }
    }

    /// ∂a/∂c = 2a (x − c) = −∂a/∂x. Both results are overwritten, because the buffers may hold any
    /// values before the call.
    fn backward(&self, pass: Backward<'_, T>) {
        let c = DMatrixView::from_slice(pass.at.theta, pass.input.nrows(), self.units);
        let change = |i: usize, k: usize| {
            let scale = pass.delta[(i, k)] * pass.output[(i, k)] * convert(2.0);
            (pass.input.column(k) - c.column(i)) * scale
        };
        let (inputs, examples) = pass.input.shape();
        if let LayerGradient::Sum(gradient) = pass.gradient {
            let mut gradient = DMatrixViewMut::from_slice(gradient, inputs, self.units);
            for i in 0..self.units {
                let all = (0..examples).map(|k| change(i, k));
                gradient.set_column(i, &all.sum());
            }
        }
        if let Some(mut below) = pass.input_delta {
            for k in 0..examples {
                let all = (0..self.units).map(|i| -change(i, k));
                below.set_column(k, &all.sum());
            }
        }
    }
}

fn main() -> Result<(), Error> {
    // Points of a square, and whether they lie in one of two regions.
    let x = DMatrix::from_fn(2, 400, |i, k| [k % 20, k / 20][i] as f64 / 5.0 - 1.9);
    let inside = |k: usize, u: f64, v: f64| (x[(0, k)] - u).hypot(x[(1, k)] - v) < 0.8;
    let on_land = |k| inside(k, 1.0, 0.8) || inside(k, -0.9, -0.7);
    let y = DMatrix::from_fn(1, 400, |_, k| f64::from(on_land(k)));

    let centres = DMatrix::from_fn(2, 6, |i, k| 1.9 * (2.6 * (2 * k + i) as f64).sin());
    let radial = Radial { units: 6 };
    let few = x.columns(180, 40);
    let report = GradientCheck::new().layer(&radial, centres.as_slice(), few)?;
    println!("the layer on its own:\n{report}\n");
    report.assert_passed();

    // Boxed layers can be of different kinds. (`AnyLayer<Radial>` would keep Clone, map and
    // serialisation.)
    let mut network = Builder::<f64, Box<dyn Layer<f64>>>::new(2)
        .layer(Box::new(radial))
        .dense(1, Sigmoid)
        .with_theta(&[centres.as_slice(), &[0.5; 7]].concat())?;
    let (examples, objective) = (
        Examples::new(&x, &y)?,
        Objective::new(BinaryCrossEntropy).l2(0.01),
    );
    let report = GradientCheck::new().network(&network, &examples, &objective)?;
    println!("in the network:\n{report}\n");
    report.assert_passed();

    let mut velocity = network.theta() * 0.0;
    for step in 0..=3000 {
        let pass = network.backprop(&examples, &objective)?;
        if step % 1000 == 0 {
            println!("step {step:4}: J = {:.4}", pass.cost());
        }
        velocity = velocity * 0.9 - pass.gradient().vector() * 0.5;
        let theta = network.theta() + &velocity;
        network.set_theta(theta.as_slice())?;
    }
    let right = network
        .forward(&x)?
        .map(f64::round)
        .zip_map(&y, |a, y| f64::from(a == y))
        .sum();
    println!("{right} of 400 points are classified correctly");
    assert!(right > 380.0);
    Ok(())
}
