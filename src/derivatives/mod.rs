//! Derivatives beyond ∇J: inputs, directions, second order, and the gradient of each example.
//!
//! All start from a method of [`Network`](crate::Network). The `_into` variants use the buffers of
//! a
//! [`Workspace`](crate::Workspace) and of the caller, and do not allocate once these are large
//! enough. [`hessian`](crate::Network::hessian),
//! [`hessian_diagonal`](crate::Network::hessian_diagonal), [`trace`](crate::Network::trace) and
//! [`vjp_with`](crate::Network::vjp_with) have no such variant. `clipped_sum`, `for_each` and
//! `pullback` always take a workspace.
//!
//! # The methods
//! The symbols are those of the [conventions](crate::conventions). For one example, x are the n
//! inputs, a = a⁽ᴸ⁾ the K outputs and z = z⁽ᴸ⁾ their pre-activations; w is the weight of the
//! example. There are m examples, and θ has P entries.
//!
//! - A = ∂a/∂θ is the K × P Jacobian of the outputs.
//! - θ̇ and ẋ are a direction in which θ and x move. The outputs then move along ȧ, the
//!   Jacobian–vector product (`jvp`).
//! - u has K entries for each example: the slope of a loss with respect to the outputs. The
//!   vector–Jacobian product (`vjp`) takes it back to θ and x.
//! - H = ∂²J/∂θ² is the P × P Hessian. v has P entries, and is a direction for θ.
//! - G = (1/Σw) (Σ w BᵀMB + λI′) is a Gauss–Newton matrix: H without the second derivatives of the
//!   outputs. B is the Jacobian of z or of a, as [`GaussNewton`] selects, and M is the second
//!   derivative of the cost with respect to the same vector. λI′ is the second derivative of
//!   the penalty Ω; for L2, I′ is the identity with 0 for the biases.
//! - ∇costₖ is the gradient of the cost of example k with respect to θ, without the weight and the
//!   penalty. `clipped_sum` multiplies it by cₖ = min(1, r/‖∇costₖ‖), so that its norm is at most
//!   r.
//!
//! The times are those of one call divided by the time of ∇J, as measured in
//! `benches/DERIVATIVES.md` of the repository:
//!
//! | method | computes | shape | time, in gradients | good for |
//! |---|---|---|---|---|
//! | [`gradients`](crate::Network::gradients) | ∇J and ∂J/∂X in one pass | P and n × m | 0.9 to 1.6 | training a model in front of the network too |
//! | [`jvp`](crate::Network::jvp) | ȧ = A θ̇ + (∂a/∂x) ẋ for each example | K × m | 0.9 to 1.1, with ẋ 0.9 to 1.8 | sensitivities |
//! | [`vjp`](crate::Network::vjp) | Σₖ Aₖᵀ uₖ, and (∂a/∂x)ᵀ uₖ for each example | P and n × m | 0.9 to 1.1 for θ only | losses that are not a `Cost` |
//! | [`output_jacobian`](crate::Network::output_jacobian) | ∂a/∂x of each example | K × n, m times | 0.7 to 31, more for larger min(K, n) | sensitivities of all outputs |
//! | [`hessian_product`](crate::Network::hessian_product) | H v, the change of ∇J along v | P | 1.5 to 2.6 | Newton's method by conjugate gradients |
//! | [`hessian`](crate::Network::hessian), [`hessian_diagonal`](crate::Network::hessian_diagonal) | H itself, and its diagonal | P × P, P | 172 to 203 and 165 to 197 for P = 131, proportional to P | small networks |
//! | [`gauss_newton_product`](crate::Network::gauss_newton_product) | G v | P | 1.4 to 1.6 | the same where H is indefinite |
//! | [`gauss_newton_matrix`](crate::Network::gauss_newton_matrix) | G itself | P × P | 24 to 31 for P = 131, and P² m K multiplications | standard errors of θ |
//! | [`gram_product`](crate::Network::gram_product) | Σₖ AₖᵀAₖ v | P | 1.3 to 1.8 | least squares |
//! | [`matrix`](ExampleGradients::matrix) of [`example_gradients`](crate::Network::example_gradients) | ∇costₖ | P × m | 1.7 to 22: P · m numbers are written | gradient noise, influence |
//! | [`norms`](ExampleGradients::norms) of the same | ‖∇costₖ‖ | m | 0.5 to 1.1 | outliers, importance sampling |
//! | [`for_each`](ExampleGradients::for_each) of the same | ∇costₖ in sequence | P, m times | 1.8 to 6.5 | the same, without memory for P · m numbers |
//! | [`clipped_sum`](ExampleGradients::clipped_sum) of the same | Σ wₖ cₖ ∇costₖ | P | 1.5 to 2.4 | private and robust training |
//!
//! [`pullback`](crate::Network::pullback) and [`vjp_with`](crate::Network::vjp_with) run one
//! forward pass; your code computes u from its outputs. [`vjp_along`](crate::Network::vjp_along) is
//! the derivative of `vjp` along a direction of θ and X, with u constant. `hessian_product` is that
//! of ∇J.
//!
//! [`input_gradient`](crate::Network::input_gradient) computes only ∂J/∂X, in 0.7 to 1.2 gradients.
//! [`trace`](crate::Network::trace) shows every number of one pass.
//!
//! # Example
//! ```
//! use backprop::activation::{Sigmoid, Tanh};
//! use backprop::nalgebra::DMatrix;
//! use backprop::{
//!     BinaryCrossEntropy, Examples, GaussNewton, GradientCheck, Initialization, Network,
//!     Objective, Tangent, rng,
//! };
//!
//! let x = DMatrix::from_row_slice(2, 4, &[0., 0., 1., 1., 0., 1., 0., 1.]);
//! let y = DMatrix::from_row_slice(1, 4, &[0., 1., 1., 0.]);
//! let examples = Examples::new(&x, &y)?;
//! let objective = Objective::new(BinaryCrossEntropy).l2(0.1);
//! let network = Network::<f64>::builder(2).dense(4, Tanh).dense(1, Sigmoid);
//! let network = network.initialize(Initialization::GlorotUniform, &mut rng(1))?;
//!
//! let (pass, of_inputs) = network.gradients(&examples, &objective)?; // ∇J, and ∂J/∂X of 2 × 4
//! let v = pass.gradient().vector().as_slice();
//! let hv = network.hessian_product(&examples, &objective, v)?; // H v, no matrix formed
//! let gv = network.gauss_newton_product(&examples, &objective, GaussNewton::Logits, v)?;
//! let moved = network.jvp(&x, Tangent::of_parameters(v))?; // how the outputs move along v
//! let norms = network.example_gradients(&examples, &objective.cost).norms()?; // ‖∇costₖ‖
//! let h = network.hessian(&examples, &objective)?; // all of it: 17 × 17
//! assert!((h * pass.gradient().vector() - hv).amax() < 1e-14);
//! GradientCheck::new().second_order(&network, &examples, &objective)?.assert_passed();
//! assert_eq!((of_inputs.shape(), gv.len(), moved.len(), norms.len()), ((2, 4), 17, 4, 4));
//! # Ok::<(), backprop::Error>(())
//! ```
//!
//! # Your loss comes from elsewhere
//! With a [`Cost`](crate::Cost), the cost of an example depends only on its own outputs and target.
//! Any other loss takes three steps:
//!
//! 1. [`pullback`](crate::Network::pullback) computes the outputs, and keeps what a backward pass
//!    needs.
//! 2. Your code computes u, K × m, the slope of the loss with respect to each output. An output
//!    that does not enter the loss has slope 0.
//! 3. [`Pullback::vjp_into`] computes the gradient of the loss with respect to θ, to X, or to both.
//!    It adds no penalty and does not divide by m, so the u of a mean must contain the factor 1/m.
//!
//! [`vjp_with`](crate::Network::vjp_with) does all three in one call and allocates its own buffers.
//! If you already have u, [`vjp_into`](crate::Network::vjp_into) runs both passes. An optimiser
//! from [`training`](crate::training) can then use the gradient. For L-BFGS, implement
//! [`training::Problem`](crate::training::Problem). The loss here, ½ (a₁ − a₂ − 1)², compares two
//! examples:
//! ```
//! use backprop::nalgebra::DMatrix;
//! use backprop::training::GradientDescent;
//! use backprop::{VjpTargets, GradientCheck, Network, Workspace, activation::Identity};
//!
//! let mut network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[0.0, 2.0])?;
//! let mut workspace = Workspace::new();
//! let x = DMatrix::from_row_slice(1, 2, &[3.0, 1.0]);
//!
//! let mut loss = |network: &Network<f64>| {
//!     let mut pullback = network.pullback(&x, &mut workspace)?;
//!     let a = pullback.output();
//!     let rest = a[0] - a[1] - 1.0;
//!     let slope = DMatrix::from_row_slice(1, 2, &[rest, -rest]);
//!     let mut gradient = vec![0.0; 2];
//!     pullback.vjp_into(&slope, VjpTargets::of_parameters(&mut gradient))?; // only θ
//!     Ok::<_, backprop::Error>((0.5 * rest * rest, gradient))
//! };
//! let (value, gradient) = loss(&network)?;
//! assert_eq!((value, &gradient[..]), (4.5, &[0.0, 6.0][..])); // 3 (1, 3) − 3 (1, 1)
//!
//! network.step(&mut GradientDescent::new(0.25), &gradient)?;
//! assert_eq!(network.forward(&x)?.as_slice(), &[1.5, 0.5]); // the loss is 0
//!
//! // Check the gradient against differences of the loss.
//! let point = [0.3, 1.7];
//! let check = GradientCheck::new().function(&[("θ", 2)], &point, |theta| {
//!     network.set_theta(theta).and_then(|()| loss(&network)).unwrap_or((f64::NAN, vec![0.0; 2]))
//! })?;
//! check.assert_passed();
//! # Ok::<(), backprop::Error>(())
//! ```
//!
//! If the loss contains first derivatives with respect to the inputs, as with forces or a penalty
//! on ∂J/∂X, [`vjp_along`](crate::Network::vjp_along) and
//! [`hessian_product`](crate::Network::hessian_product) along ẋ give its gradient directly.
//!
//! If the loss contains derivatives of the outputs with respect to an input t, as for a
//! differential equation, run the steps on dual numbers (feature `num-dual`; the types are in
//! `backprop::num_dual`). A dual number is a + bε with ε² = 0, and b carries a derivative along.
//! [`Network::map`](crate::Network::map)`(Dual64::from_re)` converts the network, and
//! `Dual64::new(t, 1.0)` is an input. From here on, u is an output, as in the differential
//! equation, u′ is its derivative with respect to t, and A is ∂u/∂θ. The network returns u + u′ε.
//!
//! `vjp_into` multiplies dual numbers, and the ε part of (A + A′ε)ᵀ(c + dε) is Aᵀd + A′ᵀc. The
//! gradient of a loss L(u, u′) is Aᵀ ∂L/∂u + A′ᵀ ∂L/∂u′. The slope is therefore ∂L/∂u′ + ∂L/∂u ε,
//! **with the parts exchanged**, and the gradient is the ε part of the result. This loss is u′ + 3u
//! for one unit u = tanh(θ₀ + θ₁ t):
#![cfg_attr(feature = "num-dual", doc = "```")]
#![cfg_attr(not(feature = "num-dual"), doc = "```text")]
//! use backprop::nalgebra::DMatrix;
//! use backprop::num_dual::Dual64;
//! use backprop::{VjpTargets, GradientCheck, Network, Workspace, activation::Tanh};
//!
//! let loss = |theta: &[f64]| {
//!     let network = Network::<f64>::builder(1).dense(1, Tanh).with_theta(theta)?;
//!     let network = network.map(Dual64::from_re)?;
//!     let t = DMatrix::repeat(1, 1, Dual64::new(0.5, 1.0));
//!     let mut workspace = Workspace::new();
//!     let u = network.forward_into(&t, &mut workspace)?[0]; // u + u′ε
//!     let slope = DMatrix::repeat(1, 1, Dual64::new(1.0, 3.0)); // ∂L/∂u′ + ∂L/∂u ε
//!     let mut gradient = [Dual64::from_re(0.0); 2];
//!     let into = VjpTargets::of_parameters(&mut gradient);
//!     network.vjp_into(&t, &slope, &mut workspace, into)?;
//!     Ok::<_, backprop::Error>((u.eps + 3.0 * u.re, gradient.map(|g| g.eps).to_vec()))
//! };
//! // At θ = (−1, 2) and t = ½: u = tanh 0 = 0, u′ = θ₁ = 2, ∂L/∂θ = 3 (1, ½) + (0, 1).
//! assert_eq!(loss(&[-1.0, 2.0])?, (2.0, vec![3.0, 2.5]));
//! let checked = |theta: &[f64]| loss(theta).unwrap_or((f64::NAN, vec![0.0; 2]));
//! GradientCheck::new().function(&[("θ", 2)], &[0.3, -0.7], checked)?.assert_passed();
//! # Ok::<(), backprop::Error>(())
//! ```
//!
//! For u″ the input is `Dual2_64::new(t, 1.0, 0.0)`. The slope has the parts
//! (∂L/∂u″, ½ ∂L/∂u′, ∂L/∂u), and the gradient is the part `v2` of the result.
//!
//! A wrong slope still gives a gradient, so check it with
//! [`GradientCheck::function`](crate::GradientCheck::function). Two examples of the repository are
//! complete programs: `cart_pole` (deep Q-learning, where only the action taken has a slope) and
//! `physics_informed` (a loss with u″).
//!
//! # Kinks
//! At a kink (ReLU's at 0, Huber's at δ) a second derivative is the one on one side, as g′ is. The
//! second derivative of the L1 penalty is 0, also at its kink.
//!
//! # Custom layers, activations and costs
//! Derivatives along a direction need the tangent methods of the traits. The default methods return
//! [`Error::Unsupported`], and `backprop::dual` writes them in one line each. The other calls
//! need less:
//!
//! - [`gradients`](crate::Network::gradients) and [`vjp`](crate::Network::vjp) need only `forward`
//!   and `backward`.
//! - So do per-example gradients, their norms and clipped sums. A layer without a
//!   [`backward_each`](crate::Layer::backward_each) of its own is computed one example at a time.
//! - The Gauss–Newton matrix also needs [`Cost::delta_tangent`](crate::Cost::delta_tangent).
//! - An output Jacobian needs tangents if there are fewer inputs than outputs.

mod arguments;
mod curvature_product;
mod example_gradients;
mod hessian;
mod inputs;
mod jacobian;
mod jacobian_product;
mod normal_matrix;
mod normal_root;
mod product;
mod pullback;
mod tangent;
mod trace;
mod trace_inner;
mod trace_pass;
mod trace_table;
mod triangle;

pub use arguments::{Curvature, GaussNewton, Tangent, VjpTargets};
pub use example_gradients::ExampleGradients;
pub use pullback::Pullback;
pub use trace::Trace;
pub(crate) use trace::{LayerTrace, Values};
pub(crate) use trace_inner::Inner;
pub(crate) use triangle::Triangle;

use crate::error::{Error, Location};
use crate::examples::scalar_weight;
use crate::kernels::{self, first_non_finite};
use crate::scalar::{Scalar, real, to_f64};

/// Checks that all entries of a result are finite.
pub(crate) fn check_finite_result<T: Scalar>(
    what: &'static str,
    result: &[T],
) -> Result<(), Error> {
    match first_non_finite(result) {
        None => Ok(()),
        Some(index) => Err(Error::NonFinite {
            at: Location::Derivative { what, index },
            value: to_f64(result[index]),
        }),
    }
}

/// Checks that a direction from the caller has `expected` entries, all finite.
fn check_vector<T: Scalar>(what: &'static str, v: &[T], expected: usize) -> Result<(), Error> {
    crate::examples::check_length(what, expected, v.len())?;
    match kernels::first_non_finite(v) {
        None => Ok(()),
        Some(row) => Err(Error::NonFinite {
            at: Location::Input { what, row, col: 0 },
            value: to_f64(v[row]),
        }),
    }
}

/// Turns sums of second derivatives into those of J: adds the penalty, and divides by m = Σw. No
/// other function does this, just as only `gradient::finish` does it for ∇J.
fn finish<T: Scalar>(
    what: &'static str,
    weight: f64,
    result: &mut [T],
    add_penalty: impl FnOnce(&mut [T]),
) -> Result<(), Error> {
    let m: T = real(scalar_weight::<T>(weight)?);
    add_penalty(result);
    if kernels::divide(result, m) {
        Ok(())
    } else {
        check_finite_result(what, result)
    }
}

/// Fills every column of `rows` entries with the unit vector of index i.
fn fill_with_unit<T: Scalar>(columns: &mut [T], rows: usize, i: usize) {
    columns.fill(T::zero());
    let entries = columns.iter_mut().skip(i).step_by(rows);
    entries.for_each(|entry| *entry = T::one());
}
