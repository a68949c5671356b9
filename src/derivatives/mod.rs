//! Derivatives beyond ∇J: by the inputs, along directions, of second order, of single examples.
//!
//! Everything is a method of [`Network`](crate::Network). The `_into` variants work in the buffers
//! of a [`Workspace`](crate::Workspace) and of the caller, and do not allocate once these have
//! grown. [`hessian`](crate::Network::hessian),
//! [`hessian_diagonal`](crate::Network::hessian_diagonal) and [`trace`](crate::Network::trace) have
//! no such variant.
//!
//! A = ∂a⁽ᴸ⁾/∂θ is the K × P Jacobian of the outputs of an example, and B that of a⁽ᴸ⁾ or z⁽ᴸ⁾. M
//! is the second derivative of the cost with respect to the same outputs as B, and m = Σw:
//!
//! | method | computes | shape | in gradients |
//! |---|---|---|---|
//! | [`gradients`](crate::Network::gradients) | ∇J and ∂J/∂X in one pass | P and n × m | 1 to 1.5 |
//! | [`jvp`](crate::Network::jvp) | ȧ⁽ᴸ⁾ = A θ̇ + (∂a⁽ᴸ⁾/∂x) ẋ for each example | K × m | 1, with ẋ 1.3 to 1.5 |
//! | [`vjp`](crate::Network::vjp) | Σₖ Aₖᵀ uₖ and (∂a⁽ᴸ⁾/∂x)ᵀ uₖ for each example | P and n × m | 1, with both 1 to 1.5 |
//! | [`output_jacobian`](crate::Network::output_jacobian) | ∂a⁽ᴸ⁾/∂x of each example | K × n, m times | min(K, n) and more: 32 for 400-25-10 |
//! | [`hessian_product`](crate::Network::hessian_product) | H v, the change of ∇J along v | P | 1.5 to 2.4 |
//! | [`hessian`](crate::Network::hessian), [`hessian_diagonal`](crate::Network::hessian_diagonal) | H itself, and its diagonal | P × P, P | 2 P |
//! | [`gauss_newton_product`](crate::Network::gauss_newton_product) | G v, G = (1/m) (Σ w BᵀMB + λI′), the part of H without the curvature of the network | P | 1.5 |
//! | [`gauss_newton_matrix`](crate::Network::gauss_newton_matrix) | that matrix itself | P × P | K, and P² m K multiplications |
//! | [`gram_product`](crate::Network::gram_product) | Σₖ AₖᵀAₖ v | P | 2 |
//! | [`example_gradients`](crate::Network::example_gradients) | ∇costₖ | P × m | 3 to 15: P · m numbers are written |
//! | [`example_gradient_norms`](crate::Network::example_gradient_norms) | ‖∇costₖ‖ | m | below 1 |
//! | [`for_each_example_gradient`](crate::Network::for_each_example_gradient) | the same gradients, one after another | P, m times | 3 to 15 |
//! | [`clipped_sum`](crate::Network::clipped_sum) | Σ w c ∇cost, each gradient clipped to a norm before it is weighted | P | 1.5 to 2.2 |
//!
//! The last column is the time of a call divided by that of ∇J, as measured in
//! `benches/DERIVATIVES.md` of the repository. [`input_gradient`](crate::Network::input_gradient)
//! computes ∂J/∂X alone, and [`trace`](crate::Network::trace) one pass with all its numbers.
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
//! let (pass, by_inputs) = network.gradients(&examples, &objective)?; // ∇J, and ∂J/∂X of 2 × 4
//! let v = pass.gradient().vector().as_slice();
//! let hv = network.hessian_product(&examples, &objective, v)?; // H v, no matrix formed
//! let gv = network.gauss_newton_product(&examples, &objective, GaussNewton::Logits, v)?;
//! let moved = network.jvp(&x, Tangent::of_parameters(v))?; // how the outputs move along v
//! let norms = network.example_gradient_norms(&examples, &objective.cost)?; // ‖∇costₖ‖
//! let h = network.hessian(&examples, &objective)?; // all of it: 17 × 17
//! assert!((h * pass.gradient().vector() - hv).amax() < 1e-14);
//! GradientCheck::new().second_order(&network, &examples, &objective)?.assert_passed();
//! assert_eq!((by_inputs.shape(), gv.len(), moved.len(), norms.len()), ((2, 4), 17, 4, 4));
//! # Ok::<(), backprop::Error>(())
//! ```
//!
//! # Your loss comes from elsewhere
//! A [`Cost`](crate::Cost) sees one example at a time, with its target. For any other loss, three
//! steps compute the gradient:
//!
//! 1. [`forward_into`](crate::Network::forward_into) computes the outputs.
//! 2. Your code computes the slope of the loss by each output: u, K × m. An output that has no part
//!    in the loss has slope 0.
//! 3. [`vjp_into`](crate::Network::vjp_into) takes u to the gradient of the loss by θ, by X, or by
//!    both. It adds no penalty and does not divide by m, so a mean has its 1/m in u.
//!
//! An optimiser of [`training`](crate::training) takes the gradient from there. This loss compares
//! two examples, and is ½ (a₁ − a₂ − 1)²:
//! ```
//! use backprop::nalgebra::DMatrix;
//! use backprop::training::{GradientDescent, Optimizer};
//! use backprop::{Network, Workspace, activation::Identity};
//!
//! let mut network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[0.0, 2.0])?;
//! let mut workspace = Workspace::new();
//! let x = DMatrix::from_row_slice(1, 2, &[3.0, 1.0]);
//!
//! let a = network.forward_into(&x, &mut workspace)?;
//! let rest = a[0] - a[1] - 1.0; // 6 − 2 − 1 = 3
//! let slope = DMatrix::from_row_slice(1, 2, &[rest, -rest]);
//! let mut gradient = [0.0; 2];
//! network.vjp_into(&x, &slope, &mut workspace, (Some(&mut gradient), None))?;
//! assert_eq!(gradient, [0.0, 6.0]); // 3 (1, 3) − 3 (1, 1)
//!
//! let mut theta = network.theta().as_slice().to_vec();
//! GradientDescent::new(0.25).step(&mut theta, &gradient, 1.0)?;
//! network.set_theta(&theta)?;
//! assert_eq!(network.forward(&x)?.as_slice(), &[1.5, 0.5]); // the loss is 0
//! # Ok::<(), backprop::Error>(())
//! ```
//!
//! If the loss contains derivatives of the outputs by the inputs, as that of a differential
//! equation does, run the same steps on dual numbers: [`Network::map`](crate::Network::map)
//! converts the network. [`GradientCheck::function`](crate::GradientCheck::function) checks the
//! result. Two examples of the repository are complete programs: `cart_pole` (deep Q-learning,
//! where only the action that was taken has a slope) and `physics_informed` (a loss with u″).
//!
//! # Kinks
//! A second derivative at a kink (of ReLU at 0, of Huber's cost at δ) is that of one side, as g′
//! is. The second derivative of the L1 penalty is 0, also at its kink.
//!
//! # Custom layers, activations and costs
//! Derivatives along a direction need the tangent methods of the traits. The default methods return
//! [`Error::Unsupported`], and `backprop::dual` writes them in one line each. The other calls
//! need less:
//!
//! - [`gradients`](crate::Network::gradients) and [`vjp`](crate::Network::vjp) need only `forward`
//!   and `backward`.
//! - Gradients of single examples, their norms and clipped sums need only these too. A layer
//!   without [`Layer::backward_per_example`](crate::Layer::backward_per_example) is computed one
//!   example at a time.
//! - The Gauss–Newton matrix needs that method, and
//!   [`Cost::delta_tangent`](crate::Cost::delta_tangent).
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
mod tangent;
mod trace;
mod trace_table;
mod triangle;

pub use arguments::{Curvature, GaussNewton, GradientBuffers, Tangent};
pub use trace::Trace;
pub(crate) use triangle::Triangle;

use crate::error::{Error, Location};
use crate::examples::scalar_weight;
use crate::kernels::{self, first_non_finite};
use crate::scalar::{Scalar, real, to_f64};

/// Whether all entries of a result are finite.
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

/// Whether a direction that the caller gave has so many entries, all finite.
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

/// The one place where sums of second derivatives become those of J, as `gradient::finish` is for
/// ∇J: λ by `add_penalty`, and the division by m = Σw.
fn finish<T: Scalar>(
    what: &'static str,
    weight: f64,
    result: &mut [T],
    add_penalty: impl FnOnce(&mut [T]),
) -> Result<(), Error> {
    let m: T = real(scalar_weight::<T>(weight)?);
    add_penalty(result);
    match kernels::divide(result, m) {
        true => Ok(()),
        false => check_finite_result(what, result),
    }
}

/// The unit vector e of index i in every column of so many rows.
fn fill_with_unit<T: Scalar>(columns: &mut [T], rows: usize, i: usize) {
    columns.fill(T::zero());
    let entries = columns.iter_mut().skip(i).step_by(rows);
    entries.for_each(|entry| *entry = T::one());
}
