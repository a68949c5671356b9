//! Tangent methods from dual numbers, one line each (feature `num-dual`).
//!
//! A dual number x + ẋε with ε² = 0 carries a derivative through any code that is generic over the
//! scalar: f(x + ẋε) = f(x) + f′(x) ẋ ε. So an activation, cost or layer implemented for
//! every [`Scalar`] can be differentiated by running it on dual numbers. The functions here call
//! its plain methods on [`Dual64`] for `f64` and on [`Dual32`] for `f32`, and write the derivative
//! parts. The results are exact to rounding. For any other scalar they return
//! [`Error::Unsupported`], as the default tangent methods do.
//!
//! Each call allocates copies of its arguments, and dual numbers take the plain loops instead of
//! the vectorised ones. Start with these functions, and test faster methods against them.
//!
//! Dual numbers differentiate the code as it runs. A value that leaves the scalar type (such as a
//! constant computed from z through `f64`) loses its derivative. At a kink the derivative is that
//! of the branch taken.
//!
//! A type with a generic part, such as a layer that is generic over its activation `A`, needs a
//! bound on that part for dual numbers too:
//! `A: Activation<T> + Activation<Dual64> + Activation<Dual32>`, with the types of
//! [`backprop::num_dual`](crate::num_dual).
//!
//! # Example
//! The bent identity gets both tangents without a formula for g″(z) = 1/(2 (z² + 1)^(3/2)):
//! ```
//! use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
//! use backprop::{Activation, Error, Scalar, dual};
//!
//! #[derive(Debug)]
//! struct BentIdentity;
//!
//! impl<T: Scalar> Activation<T> for BentIdentity {
//!     fn forward(&self, z: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
//!         let (one, two) = (T::one(), T::one() + T::one());
//!         a.zip_apply(&z, |a, z| *a = ((z * z + one).sqrt() - one) / two + z);
//!     }
//!
//!     fn backward(
//!         &self,
//!         z: DMatrixView<'_, T>,
//!         _a: DMatrixView<'_, T>,
//!         mut delta: DMatrixViewMut<'_, T>,
//!     ) {
//!         let (one, two) = (T::one(), T::one() + T::one());
//!         delta.zip_apply(&z, |d, z| *d *= z / (two * (z * z + one).sqrt()) + one);
//!     }
//!
//!     fn forward_tangent(
//!         &self,
//!         z: DMatrixView<'_, T>,
//!         _a: DMatrixView<'_, T>,
//!         z_tangent: DMatrixView<'_, T>,
//!         a_tangent: DMatrixViewMut<'_, T>,
//!     ) -> Result<(), Error> {
//!         dual::activation_forward_tangent(self, z, z_tangent, a_tangent)
//!     }
//!
//!     fn backward_tangent(
//!         &self,
//!         z: DMatrixView<'_, T>,
//!         _a: DMatrixView<'_, T>,
//!         z_tangent: DMatrixView<'_, T>,
//!         delta: DMatrixViewMut<'_, T>,
//!         delta_tangent: DMatrixViewMut<'_, T>,
//!     ) -> Result<(), Error> {
//!         dual::activation_backward_tangent(self, z, z_tangent, delta, delta_tangent)
//!     }
//! }
//!
//! // z = ¾: g′ = z/(2 √(z² + 1)) + 1 = 1.3, g″ = 1/(2 · 1.25³) = 0.256.
//! let (z, one) = (DMatrix::repeat(1, 1, 0.75), DMatrix::repeat(1, 1, 1.0));
//! let (mut a, mut delta, mut delta_tangent) = (z.clone(), one.clone(), DMatrix::zeros(1, 1));
//! BentIdentity.forward(z.as_view(), a.as_view_mut());
//! let views = (delta.as_view_mut(), delta_tangent.as_view_mut());
//! BentIdentity.backward_tangent(z.as_view(), a.as_view(), one.as_view(), views.0, views.1)?;
//! assert!((delta[0] - 1.3_f64).abs() < 1e-15);
//! assert!((delta_tangent[0] - 0.256).abs() < 1e-15);
//! # Ok::<(), Error>(())
//! ```
//!
//! [`Scalar`]: crate::Scalar

mod cost;
mod layer;

use crate::activation::Activation;
use crate::error::{Error, unsupported};
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use num_dual::{Dual32, Dual64};
use std::any::TypeId;

pub use cost::cost_delta_tangent;
pub use layer::{layer_backward_tangent, layer_forward_tangent};

/// A dual number that converts to and from parts of `f64`, which holds the parts of both types.
trait Dual: Scalar {
    fn of(re: f64, eps: f64) -> Self;
    fn parts(self) -> (f64, f64);
}

impl Dual for Dual64 {
    fn of(re: f64, eps: f64) -> Self {
        Self::new(re, eps)
    }

    fn parts(self) -> (f64, f64) {
        (self.re, self.eps)
    }
}

impl Dual for Dual32 {
    fn of(re: f64, eps: f64) -> Self {
        Self::new(re as f32, eps as f32)
    }

    fn parts(self) -> (f64, f64) {
        (self.re.into(), self.eps.into())
    }
}

/// One tangent method, computed on the dual numbers D. `None` if the type does not provide it.
trait OnDual<D> {
    fn run(self) -> Option<()>;
}

/// Runs `method` of type S on the dual numbers that have the precision of T.
fn dispatch<T: Scalar, S: ?Sized>(
    what: &'static str,
    method: impl OnDual<Dual64> + OnDual<Dual32>,
) -> Result<(), Error> {
    let done = if TypeId::of::<T>() == TypeId::of::<f64>() {
        OnDual::<Dual64>::run(method)
    } else if TypeId::of::<T>() == TypeId::of::<f32>() {
        OnDual::<Dual32>::run(method)
    } else {
        None
    };
    done.ok_or_else(|| unsupported::<S>(what))
}

/// A NaN placeholder: any result that reads an unwritten value becomes NaN.
const UNKNOWN: f64 = f64::NAN;

/// Returns value + tangent ε, entry by entry. An absent tangent is 0.
fn lift<D: Dual, T: Scalar>(
    value: DMatrixView<'_, T>,
    tangent: Option<DMatrixView<'_, T>>,
) -> DMatrix<D> {
    match tangent {
        Some(tangent) => value.zip_map(&tangent, |x, t| D::of(to_f64(x), to_f64(t))),
        None => value.map(|x| D::of(to_f64(x), 0.0)),
    }
}

/// Like [`lift`], for slices.
fn lift_slice<D: Dual, T: Scalar>(value: &[T], tangent: Option<&[T]>) -> Vec<D> {
    let column = |slice| DMatrixView::from_slice(slice, value.len(), 1);
    lift(column(value), tangent.map(column)).data.into()
}

/// Returns a matrix of placeholders, for a method to overwrite.
fn unwritten<D: Dual>(rows: usize, cols: usize) -> DMatrix<D> {
    DMatrix::repeat(rows, cols, D::of(UNKNOWN, UNKNOWN))
}

fn value<D: Dual, T: Scalar>(x: D) -> T {
    real(x.parts().0)
}

fn tangent<D: Dual, T: Scalar>(x: D) -> T {
    real(x.parts().1)
}

/// Computes [`Activation::forward_tangent`] by running [`Activation::forward`] on dual numbers.
///
/// ȧ is the derivative part of g(z + ż ε). All matrices are s × m. The
/// [module documentation](self) has an example.
///
/// # Errors
/// Returns [`Error::Unsupported`] unless T is `f64` or `f32`. On an error, nothing is written.
pub fn activation_forward_tangent<T, A>(
    activation: &A,
    z: DMatrixView<'_, T>,
    z_tangent: DMatrixView<'_, T>,
    a_tangent: DMatrixViewMut<'_, T>,
) -> Result<(), Error>
where
    T: Scalar,
    A: Activation<Dual64> + Activation<Dual32>,
{
    let method = ForwardTangent {
        activation,
        z,
        z_tangent,
        a_tangent,
    };
    dispatch::<T, A>("Activation::forward_tangent", method)
}

struct ForwardTangent<'a, T, A> {
    activation: &'a A,
    z: DMatrixView<'a, T>,
    z_tangent: DMatrixView<'a, T>,
    a_tangent: DMatrixViewMut<'a, T>,
}

impl<D: Dual, T: Scalar, A: Activation<D>> OnDual<D> for ForwardTangent<'_, T, A> {
    fn run(mut self) -> Option<()> {
        let z: DMatrix<D> = lift(self.z, Some(self.z_tangent));
        let mut a = unwritten(z.nrows(), z.ncols());
        self.activation.forward(z.as_view(), a.as_view_mut());
        self.a_tangent.zip_apply(&a, |out, a| *out = tangent(a));
        Some(())
    }
}

/// Computes [`Activation::backward_tangent`] by running [`Activation::backward`] on dual numbers.
///
/// δ and δ̇ become the two parts of the result of `backward` for δ + δ̇ ε at z + ż ε. All matrices
/// are s × m. a is computed again, with its tangent. The [module documentation](self) has an
/// example.
///
/// # Errors
/// Returns [`Error::Unsupported`] unless T is `f64` or `f32`. On an error, δ and δ̇ are unchanged.
pub fn activation_backward_tangent<T, A>(
    activation: &A,
    z: DMatrixView<'_, T>,
    z_tangent: DMatrixView<'_, T>,
    delta: DMatrixViewMut<'_, T>,
    delta_tangent: DMatrixViewMut<'_, T>,
) -> Result<(), Error>
where
    T: Scalar,
    A: Activation<Dual64> + Activation<Dual32>,
{
    let method = BackwardTangent {
        activation,
        z,
        z_tangent,
        delta,
        delta_tangent,
    };
    dispatch::<T, A>("Activation::backward_tangent", method)
}

struct BackwardTangent<'a, T, A> {
    activation: &'a A,
    z: DMatrixView<'a, T>,
    z_tangent: DMatrixView<'a, T>,
    delta: DMatrixViewMut<'a, T>,
    delta_tangent: DMatrixViewMut<'a, T>,
}

impl<D: Dual, T: Scalar, A: Activation<D>> OnDual<D> for BackwardTangent<'_, T, A> {
    fn run(mut self) -> Option<()> {
        let z: DMatrix<D> = lift(self.z, Some(self.z_tangent));
        let mut a = unwritten(z.nrows(), z.ncols());
        self.activation.forward(z.as_view(), a.as_view_mut());
        let mut moved = lift(self.delta.as_view(), Some(self.delta_tangent.as_view()));
        let (z, a) = (z.as_view(), a.as_view());
        self.activation.backward(z, a, moved.as_view_mut());
        self.delta.zip_apply(&moved, |out, d| *out = value(d));
        self.delta_tangent
            .zip_apply(&moved, |out, d| *out = tangent(d));
        Some(())
    }
}
