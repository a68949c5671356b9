//! Networks of `f32` and `f64`, compiled with this crate.
//!
//! In builds with little optimisation, a crate reuses generic functions that one of its
//! dependencies has compiled for the same types. Nothing calls these functions. They make this
//! crate compile the common calls once, so that tests, examples and programs need not compile them
//! again.

use crate::training::{Adam, Trainer};
use crate::{
    Error, Examples, GaussNewton, GradientCheck, Initialization, Network, Objective, Scalar,
    Tangent, Workspace, rng,
};
use nalgebra::DMatrix;

type Calls<T> = fn(&DMatrix<T>, &DMatrix<T>, &Objective) -> Result<(), Error>;

#[used]
static SINGLE: Calls<f32> = call_all;
#[used]
static DOUBLE: Calls<f64> = call_all;

fn call_all<T: Scalar>(x: &DMatrix<T>, y: &DMatrix<T>, objective: &Objective) -> Result<(), Error> {
    let mut network = Network::<T>::builder(x.nrows())
        .dense(y.nrows(), crate::activation::Tanh)
        .initialize(Initialization::GlorotUniform, &mut rng(1))?;
    let examples = Examples::new(x, y)?;
    let mut workspace = Workspace::new();
    let mut gradient = network.theta().as_slice().to_vec();
    let v = gradient.clone();
    let cost = &objective.cost;
    network.set_theta(&v)?;
    network.forward(x)?;
    network.forward_into(x, &mut workspace)?;
    network.cost(&examples, objective)?;
    network.cost_into(&examples, objective, &mut workspace)?;
    network.backprop(&examples, objective)?;
    network.gradient_vector(&examples, objective)?;
    network.gradient_into(&examples, objective, &mut workspace, &mut gradient)?;
    network.trace(&examples, objective)?;
    network.input_gradient(&examples, objective)?;
    network.jvp(x, Tangent::of_parameters(&v).and_inputs(x))?;
    network.hessian_product(&examples, objective, &v)?;
    network.gauss_newton_product(&examples, objective, GaussNewton::Logits, &v)?;
    network.gauss_newton_matrix(&examples, objective, GaussNewton::Logits)?;
    network.example_gradients(&examples, cost).matrix()?;
    network.example_gradients(&examples, cost).norms()?;
    network.output_jacobian(x)?;
    drop(GradientCheck::new().network(&network, &examples, objective)?);
    Trainer::new(objective.clone(), Adam::new(0.1)).fit(&mut network, &examples)?;
    Ok(())
}
