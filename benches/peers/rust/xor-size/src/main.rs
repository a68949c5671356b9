//! XOR by gradient descent: how large is a program that trains a network?

use backprop::activation::{Sigmoid, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::{
    BinaryCrossEntropy, Error, Examples, Initialization, Network, Objective, Workspace, rng,
};

fn main() -> Result<(), Error> {
    let x = DMatrix::from_row_slice(2, 4, &[0., 0., 1., 1., 0., 1., 0., 1.]);
    let y = DMatrix::from_row_slice(1, 4, &[0., 1., 1., 0.]);
    let examples = Examples::new(&x, &y)?;
    let objective = Objective::new(BinaryCrossEntropy);
    let mut network = Network::<f64>::builder(2)
        .dense(4, Tanh)
        .dense(1, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(1))?;
    let mut workspace = Workspace::new();
    let mut gradient = vec![0.0; network.parameters()];
    let mut theta = network.theta().as_slice().to_vec();
    for _ in 0..2000 {
        network.gradient_into(&examples, &objective, &mut workspace, &mut gradient)?;
        theta
            .iter_mut()
            .zip(&gradient)
            .for_each(|(t, g)| *t -= 0.5 * g);
        network.set_theta(&theta)?;
    }
    println!("{:.3}", network.forward(&x)?);
    Ok(())
}
