//! 2 of 6. A correct gradient, then a wrong one, compared with central differences entry by entry.
//!
//! ```sh
//! cargo run --release --example 02_gradient_check
//! ```

use backprop::activation::{Activation, Softmax, Tanh};
use backprop::gradient_check::GradientCheck;
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use backprop::{
    AnyLayer, Builder, CategoricalCrossEntropy, Dense, Error, Examples, Initialization, Network,
    Objective, rng,
};

/// tanh with a bug: its derivative should be 1 − a², but the square is missing.
#[derive(Clone, Debug)]
struct Buggy;

impl Activation<f64> for Buggy {
    fn forward(&self, z: DMatrixView<'_, f64>, mut a: DMatrixViewMut<'_, f64>) {
        a.zip_apply(&z, |a, z| *a = z.tanh());
    }

    fn backward(
        &self,
        _z: DMatrixView<'_, f64>,
        a: DMatrixView<'_, f64>,
        mut delta: DMatrixViewMut<'_, f64>,
    ) {
        delta.zip_apply(&a, |d, a| *d *= 1.0 - a);
    }
}

fn main() -> Result<(), Error> {
    // All sizes differ, there are several examples and outputs, and λ is not 0, so no bug can hide
    // behind a factor of 1.
    let x = DMatrix::from_fn(4, 7, |i, k| ((1 + i + 4 * k) as f64).sin());
    let y = DMatrix::from_fn(3, 7, |i, k| f64::from(i == k % 3));
    let examples = Examples::new(&x, &y)?;
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.5);
    let right = Network::<f64>::builder(4)
        .dense(6, Tanh)
        .dense(5, Tanh)
        .dense(3, Softmax)
        .initialize(Initialization::GlorotNormal, &mut rng(1))?;

    println!("∇J of a 4-6-5-3 network, every entry:");
    let report = GradientCheck::new().network(&right, &examples, &objective)?;
    println!("{report}\n");
    report.assert_passed();

    // A bug in the second layer affects its Θ and, because the error flows back through it, the Θ
    // below. The gradient of the layer above is right.
    let wrong: Network<f64, AnyLayer<Dense<Buggy>>> = Builder::new(4)
        .dense(6, Tanh)
        .layer(AnyLayer::Custom(Dense::new(6, 5, Buggy)))
        .dense(3, Softmax)
        .with_theta(right.theta().as_slice())?;
    println!("the same with a wrong derivative in the second layer:");
    let report = GradientCheck::new().network(&wrong, &examples, &objective)?;
    println!("{report}\n");
    let blocks: Vec<&str> = report.wrong_blocks().map(|b| b.label.as_str()).collect();
    assert_eq!(blocks, ["Θ⁽¹⁾", "Θ⁽²⁾"]);

    // For large networks a sample of each block is enough, or derivatives along random directions.
    println!("the correct one again, along three random directions in each block:");
    let few = GradientCheck::new().directions(3, 42);
    let report = few.network(&right, &examples, &objective)?;
    println!("{report}\n");
    report.assert_passed();

    // Beyond the gradient: the products that second-order methods use.
    println!("Jacobian, Hessian and Gauss–Newton products of the correct one:");
    let report = GradientCheck::new().second_order(&right, &examples, &objective)?;
    println!("{report}");
    report.assert_passed();
    Ok(())
}
