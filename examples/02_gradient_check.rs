//! 2 of 6. A gradient held against central differences, entry by entry; and what a wrong one looks like.
//!
//! ```sh
//! cargo run --release --example 02_gradient_check
//! ```

use backprop::activation::{Softmax, Tanh};
use backprop::gradient_check::GradientCheck;
use backprop::nalgebra::DMatrix;
use backprop::{
    BlockLayout, CategoricalCrossEntropy, Error, Examples, Initialization, Network, Objective,
    Workspace, rng,
};

fn main() -> Result<(), Error> {
    // Sizes that all differ, several examples and outputs, and λ: nothing can hide behind a factor of 1.
    let network = Network::<f64>::builder(4)
        .dense(6, Tanh)
        .dense(5, Tanh)
        .dense(3, Softmax)
        .initialize(Initialization::GlorotNormal, &mut rng(1))?;
    let x = DMatrix::from_fn(4, 7, |i, k| ((1 + i + 4 * k) as f64).sin());
    let y = DMatrix::from_fn(3, 7, |i, k| f64::from(i == k % 3));
    let examples = Examples::new(&x, &y)?;
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.5);

    println!("∇J of the network:");
    let report = GradientCheck::new().network(&network, &examples, &objective)?;
    println!("{report}\n");
    report.assert_passed();

    // The same, but Θ⁽²⁾ has lost the division by m: a bug that shows only if m is not 1.
    println!("the same with a bug:");
    let (mut network, mut workspace) = (network, Workspace::new());
    let theta = network.theta().as_slice().to_vec();
    let layout = network.layout().clone();
    let names: Vec<_> = layout.blocks().iter().map(BlockLayout::label).collect();
    let lengths = layout.blocks().iter().map(|b| b.range().len());
    let blocks: Vec<_> = names.iter().map(String::as_str).zip(lengths).collect();
    let buggy = layout.blocks()[1].range();
    let report = GradientCheck::new().function(&blocks, &theta, |theta| {
        let mut gradient = vec![0.0; theta.len()];
        let parts = network.set_theta(theta).and_then(|()| {
            network.gradient_into(&examples, &objective, &mut workspace, &mut gradient)
        });
        gradient[buggy.clone()].iter_mut().for_each(|g| *g *= 7.0);
        (parts.map_or(f64::NAN, |parts| parts.total()), gradient)
    })?;
    println!("{report}\n");
    assert!(!report.passed());

    // For large networks a sample of each block, or derivatives along random directions, is enough.
    println!("three random directions a block:");
    let few = GradientCheck::new().directions(3, 42);
    let report = few.network(&network, &examples, &objective)?;
    println!("{report}");
    report.assert_passed();
    Ok(())
}
