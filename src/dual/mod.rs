//! Tangent methods from dual numbers, in one line each (feature `num-dual`).
//!
//! A dual number x + ẋε with ε² = 0 carries a derivative through any code that is generic over the scalar: f(x + ẋε) = f(x) + f′(x) ẋ ε. So an activation, a cost or a layer
//! that is implemented for every [`Scalar`] has its tangent methods already: these functions call the plain methods on [`Dual64`] for `f64` and on [`Dual32`] for `f32`, and hand
//! back the parts. The results are exact to rounding. For any other scalar they are [`Error::Unsupported`], as the methods' own defaults are.
//!
//! They allocate copies of what they are given on every call, and the plain methods take plain loops on dual numbers: right for a start, and to hold faster ones against.
//!
//! What dual numbers see is the code. A derivative is lost where a number leaves the scalar type (a constant got from z by way of `f64`), and at a kink it is that of the branch
//! that is taken.
//!
//! A type that is generic over a part of its own, as a layer over its activation `A`, needs that part on dual numbers: `A: Activation<T> + Activation<Dual64> + Activation<Dual32>`,
//! the types being those of [`backprop::num_dual`](crate::num_dual).
//!
//! # Example
//! The bent identity with both tangents, g″(z) = 1/(2 (z² + 1)^(3/2)) of which nothing is written down:
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

pub use cost::cost_delta_tangent;
pub use layer::{layer_backward_tangent, layer_forward_tangent};

/// A dual number, made of and taken to pieces as `f64`, which holds the parts of both.
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

/// `$call::<D, …>` with the dual number of T, or `$otherwise`.
macro_rules! dispatch {
    ($t:ty, $otherwise:expr, $call:ident($($argument:expr),*)) => {
        if std::any::TypeId::of::<$t>() == std::any::TypeId::of::<f64>() {
            $call::<num_dual::Dual64, $t, _>($($argument),*)
        } else if std::any::TypeId::of::<$t>() == std::any::TypeId::of::<f32>() {
            $call::<num_dual::Dual32, $t, _>($($argument),*)
        } else {
            Err($otherwise)
        }
    };
}
use dispatch;

/// What is not known, or has to be written: it shows in every result that it has a part in.
const UNKNOWN: f64 = f64::NAN;

/// value + tangent ε, entry by entry; an absent tangent is 0.
fn lift_slice<D: Dual, T: Scalar>(value: &[T], tangent: Option<&[T]>) -> Vec<D> {
    match tangent {
        Some(tangent) => {
            assert_eq!(value.len(), tangent.len());
            let pairs = value.iter().zip(tangent);
            pairs.map(|(&x, &t)| D::of(to_f64(x), to_f64(t))).collect()
        }
        None => value.iter().map(|&x| D::of(to_f64(x), 0.0)).collect(),
    }
}

/// value + tangent ε, entry by entry; an absent tangent is 0.
fn lift<D: Dual, T: Scalar>(
    value: DMatrixView<'_, T>,
    tangent: Option<DMatrixView<'_, T>>,
) -> DMatrix<D> {
    match tangent {
        Some(tangent) => value.zip_map(&tangent, |x, t| D::of(to_f64(x), to_f64(t))),
        None => value.map(|x| D::of(to_f64(x), 0.0)),
    }
}

/// A matrix to be overwritten as a whole.
fn unwritten<D: Dual>(rows: usize, cols: usize) -> DMatrix<D> {
    DMatrix::repeat(rows, cols, D::of(UNKNOWN, UNKNOWN))
}

fn value<D: Dual, T: Scalar>(x: D) -> T {
    real(x.parts().0)
}

fn tangent<D: Dual, T: Scalar>(x: D) -> T {
    real(x.parts().1)
}

/// [`Activation::forward_tangent`] by [`Activation::forward`] on dual numbers: ȧ from z + ż ε.
///
/// All matrices are s × m. See the [module documentation](self) for an example.
///
/// # Errors
/// [`Error::Unsupported`] unless T is `f64` or `f32`.
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
    fn run<D: Dual, T: Scalar, A: Activation<D>>(
        activation: &A,
        z: DMatrixView<'_, T>,
        z_tangent: DMatrixView<'_, T>,
        mut a_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        let z: DMatrix<D> = lift(z, Some(z_tangent));
        let mut a = unwritten(z.nrows(), z.ncols());
        activation.forward(z.as_view(), a.as_view_mut());
        a_tangent.zip_apply(&a, |out, a| *out = tangent(a));
        Ok(())
    }
    let otherwise = unsupported::<A>("Activation::forward_tangent");
    dispatch!(T, otherwise, run(activation, z, z_tangent, a_tangent))
}

/// [`Activation::backward_tangent`] by [`Activation::backward`] on dual numbers: δ and δ̇ from z + ż ε and δ + δ̇ ε.
///
/// All matrices are s × m. a is computed again, with its tangent. See the [module documentation](self) for an example.
///
/// # Errors
/// [`Error::Unsupported`] unless T is `f64` or `f32`; δ and δ̇ are unchanged then.
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
    fn run<D: Dual, T: Scalar, A: Activation<D>>(
        activation: &A,
        z: DMatrixView<'_, T>,
        z_tangent: DMatrixView<'_, T>,
        mut delta: DMatrixViewMut<'_, T>,
        mut delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        let z: DMatrix<D> = lift(z, Some(z_tangent));
        let mut a = unwritten(z.nrows(), z.ncols());
        activation.forward(z.as_view(), a.as_view_mut());
        let mut moved = lift(delta.as_view(), Some(delta_tangent.as_view()));
        activation.backward(z.as_view(), a.as_view(), moved.as_view_mut());
        delta.zip_apply(&moved, |out, d| *out = value(d));
        delta_tangent.zip_apply(&moved, |out, d| *out = tangent(d));
        Ok(())
    }
    let otherwise = unsupported::<A>("Activation::backward_tangent");
    dispatch!(
        T,
        otherwise,
        run(activation, z, z_tangent, delta, delta_tangent)
    )
}
