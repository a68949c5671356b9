//! Activations from a closure that computes their values (feature `num-dual`).

use super::Activation;
use crate::error::Error;
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrixView, DMatrixViewMut};
use num_dual::Dual2_64;
use std::borrow::Cow;
use std::fmt;

/// An elementwise activation from a closure, created by [`from_fn`].
#[derive(Clone)]
pub struct FromFn<F> {
    name: Cow<'static, str>,
    f: F,
}

/// Returns the elementwise activation a = f(z), whose derivatives come from f itself.
///
/// f is called with the second-order dual number z + ε. Its result holds g(z), g′(z) and g″(z),
/// exact up to rounding, so you need not derive them by hand. Both tangent methods are implemented.
///
/// f may use the functions of [`num_dual::DualNum`], which must be in scope. Constants go on the
/// right: `z * 0.5`, `-z + 1.0`. Values of type `f32` are computed in `f64` and rounded. Each entry
/// costs one call of f, so a formula written out in `forward` and `backward` is faster.
///
/// **Kinks.** The derivatives are those of the branch that f takes at z. For example,
/// `if z.re > 0.0 { z } else { z * 0.5 }` has g′(0) = ½. A function with hidden branches, such as
/// `abs`, selects a branch by the sign of zero.
///
/// **Undefined derivatives.** A derivative may be infinite or NaN in dual arithmetic. Examples are
/// √z at 0, and the dual `tanh` beyond |z| ≈ 355, where an intermediate result overflows. Such a
/// derivative is passed through unchanged. A network then returns [`Error::NonFinite`] at the
/// gradient, or at the activation if the value is not finite either.
///
/// # Example
/// The bent identity (√(z² + 1) − 1)/2 + z at z = ¾, where g = 0.875, g′ = 1.3 and g″ =
/// 1/(2 · 1.25³) = 0.256. The example checks it and puts it between built-in layers:
/// ```
/// use backprop::activation::{Sigmoid, from_fn};
/// use backprop::nalgebra::DMatrix;
/// use backprop::num_dual::DualNum;
/// use backprop::{Activation, AnyLayer, Builder, Dense, GradientCheck, Network};
///
/// let bent = from_fn("bent identity", |z| ((z * z + 1.0).sqrt() - 1.0) / 2.0 + z);
/// GradientCheck::new().activation(&bent, &DMatrix::repeat(1, 1, 0.75))?.assert_passed();
///
/// let (z, one) = (DMatrix::repeat(1, 1, 0.75), DMatrix::repeat(1, 1, 1.0));
/// let (mut a, mut delta, mut delta_tangent) = (z.clone(), one.clone(), DMatrix::zeros(1, 1));
/// bent.forward(z.as_view(), a.as_view_mut());
/// let views = (delta.as_view_mut(), delta_tangent.as_view_mut());
/// bent.backward_tangent(z.as_view(), a.as_view(), one.as_view(), views.0, views.1)?;
/// for (found, expected) in [(a[0], 0.875_f64), (delta[0], 1.3), (delta_tangent[0], 0.256)] {
///     assert!((found - expected).abs() < 1e-15);
/// }
///
/// let network: Network<f64, AnyLayer<Dense<_>>> = Builder::new(2)
///     .layer(AnyLayer::Custom(Dense::new(2, 5, bent)))
///     .dense(1, Sigmoid)
///     .zeros()?;
/// assert_eq!(network.parameters(), 5 * 3 + 6);
/// # Ok::<(), backprop::Error>(())
/// ```
pub fn from_fn<F>(name: impl Into<Cow<'static, str>>, f: F) -> FromFn<F>
where
    F: Fn(Dual2_64) -> Dual2_64 + Send + Sync,
{
    FromFn {
        name: name.into(),
        f,
    }
}

impl<F: Fn(Dual2_64) -> Dual2_64> FromFn<F> {
    /// Returns g, g′ and g″ at z.
    fn at(&self, z: f64) -> Dual2_64 {
        (self.f)(Dual2_64::from_re(z).derivative())
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FromFn").field(&self.name).finish()
    }
}

/// For `f32` and `f64` only, because other scalars have no exact value in `f64`.
impl<T, F> Activation<T> for FromFn<F>
where
    T: Scalar + Into<f64>,
    F: Fn(Dual2_64) -> Dual2_64 + Send + Sync,
{
    fn forward(&self, z: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
        a.zip_apply(&z, |a, z| *a = real(self.at(z.into()).re));
    }

    fn backward(
        &self,
        z: DMatrixView<'_, T>,
        _a: DMatrixView<'_, T>,
        mut delta: DMatrixViewMut<'_, T>,
    ) {
        delta.zip_apply(&z, |d, z| *d *= real::<T>(self.at(z.into()).v1));
    }

    fn name(&self) -> String {
        self.name.clone().into_owned()
    }

    fn forward_tangent(
        &self,
        z: DMatrixView<'_, T>,
        a: DMatrixView<'_, T>,
        z_tangent: DMatrixView<'_, T>,
        mut a_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        a_tangent.copy_from(&z_tangent);
        self.backward(z, a, a_tangent);
        Ok(())
    }

    fn backward_tangent(
        &self,
        z: DMatrixView<'_, T>,
        _a: DMatrixView<'_, T>,
        z_tangent: DMatrixView<'_, T>,
        mut delta: DMatrixViewMut<'_, T>,
        mut delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        for k in 0..z.ncols() {
            for i in 0..z.nrows() {
                let (at, g) = ((i, k), self.at(z[(i, k)].into()));
                let (first, second): (T, T) = (real(g.v1), real(g.v2));
                delta_tangent[at] = first * delta_tangent[at] + second * z_tangent[at] * delta[at];
                delta[at] *= first;
            }
        }
        Ok(())
    }
}
