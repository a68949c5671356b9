//! Derivatives beyond ∇J: by the inputs, along directions, of second order, of single examples.
//!
//! Everything is a method of [`Network`](crate::Network). The `_into` variants work in the buffers
//! of a [`Workspace`](crate::Workspace) and of the caller, and do not allocate once these have
//! grown. [`hessian`](crate::Network::hessian),
//! [`hessian_diagonal`](crate::Network::hessian_diagonal) and [`trace`](crate::Network::trace) have
//! no such variant.
//!
//! A = ∂a⁽ᴸ⁾/∂θ is the K × P Jacobian of the outputs of an example, and B that of a⁽ᴸ⁾ or z⁽ᴸ⁾. M is
//! the second derivative of the cost with respect to the same outputs as B, and m = Σw:
//!
//! | method | computes | shape | in gradients |
//! |---|---|---|---|
//! | [`gradients`](crate::Network::gradients) | ∇J and ∂J/∂X in one pass | P and n × m | 1 to 1.5 |
//! | [`jvp`](crate::Network::jvp) | ȧ⁽ᴸ⁾ = A θ̇ + (∂a⁽ᴸ⁾/∂x) ẋ for each example | K × m | 1 |
//! | [`vjp`](crate::Network::vjp) | Σₖ Aₖᵀ uₖ and (∂a⁽ᴸ⁾/∂x)ᵀ uₖ for each example | P and n × m | 1 |
//! | [`output_jacobian`](crate::Network::output_jacobian) | ∂a⁽ᴸ⁾/∂x of each example | K × n, m times | min(K, n) |
//! | [`hessian_product`](crate::Network::hessian_product) | H v, the change of ∇J along v | P | 1.5 to 2.4 |
//! | [`hessian`](crate::Network::hessian), [`hessian_diagonal`](crate::Network::hessian_diagonal) | H itself, and its diagonal | P × P, P | 2 P |
//! | [`gauss_newton_product`](crate::Network::gauss_newton_product) | G v, G = (1/m) (Σ w BᵀMB + λI′), the part of H without the curvature of the network | P | 1.5 |
//! | [`gauss_newton_matrix`](crate::Network::gauss_newton_matrix) | that matrix itself | P × P | K, and P² m K multiplications |
//! | [`gram_product`](crate::Network::gram_product) | Σₖ AₖᵀAₖ v | P | 2 |
//! | [`example_gradients`](crate::Network::example_gradients) | ∇costₖ | P × m | about 10: P · m numbers are written |
//! | [`example_gradient_norms`](crate::Network::example_gradient_norms) | ‖∇costₖ‖ | m | below 1 |
//! | [`for_each_example_gradient`](crate::Network::for_each_example_gradient) | the same, one after the other | P, m times | about 10 |
//! | [`clipped_sum`](crate::Network::clipped_sum) | Σ w c ∇cost, each gradient clipped to a norm before its weight | P | 2 |
//!
//! The last column is the time of a call divided by that of ∇J, as measured in
//! `benches/DERIVATIVES.md` of the repository. [`input_gradient`](crate::Network::input_gradient)
//! computes ∂J/∂X alone, and [`trace`](crate::Network::trace) one pass with all its numbers.
//!
//! # Kinks
//! A second derivative at a kink (of ReLU at 0, of Huber's cost at δ) is that of one side, as g′ is.
//! The second derivative of the L1 penalty is 0, also at its kink.
//!
//! # Custom layers, activations and costs
//! Derivatives along a direction need the tangent methods of the traits. The default methods return
//! [`Error::Unsupported`], and `backprop::dual` writes them in one line each. The other calls
//! need less:
//!
//! - [`gradients`](crate::Network::gradients) and [`vjp`](crate::Network::vjp) need only `forward`
//!   and `backward`.
//! - Gradients of single examples, their norms and clipped sums need only these too. A layer without
//!   [`Layer::backward_per_example`](crate::Layer::backward_per_example) is computed one example at a
//!   time.
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

pub use arguments::{Curvature, GaussNewton, Tangent};
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

/// The one place where sums of second derivatives become those of J, as `gradient::finish` is for ∇J: λ by `add_penalty`, and the division by m = Σw.
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
