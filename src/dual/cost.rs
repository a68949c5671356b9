//! The tangent of a cost's δ, computed with dual numbers.

use super::{Dual, OnDual, dispatch, lift, tangent, unwritten};
use crate::activation::{self, Activation};
use crate::cost::{Cost, Exact, Known, Outputs};
use crate::error::Error;
use crate::link::Link;
use crate::scalar::{Scalar, to_f64};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use num_dual::{Dual32, Dual64};

/// Computes [`Cost::delta_tangent`] by running [`Cost::delta`] on dual numbers.
///
/// All matrices are K × m. `along` is the direction of z, or of a if there is no z; the targets do
/// not move. For a canonical pair, a moves with z as the built-in link specifies. For a
/// [`Link::Custom`], the motion of a is unknown, so δ must then depend only on z and y.
///
/// # Errors
/// Returns [`Error::Unsupported`] if T is neither `f64` nor `f32`, or if δ of a [`Link::Custom`]
/// moves with a or is NaN. On an error, nothing is written.
///
/// # Example
/// The cost Σ d⁴/4 with d = a − y has ∂cost/∂a = d³. Its derivative along ȧ is 3d² ȧ, which is 6 at
/// a = 3, y = 1 and ȧ = ½:
/// ```
/// use backprop::cost::{Cost, Outputs};
/// use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
/// use backprop::{Error, Scalar, dual};
///
/// #[derive(Debug)]
/// struct Quartic;
///
/// impl<T: Scalar> Cost<T> for Quartic {
///     fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
///         let four = T::one() + T::one() + T::one() + T::one();
///         for (k, value) in values.iter_mut().enumerate() {
///             let d = at.a.column(k) - at.y.column(k);
///             *value = d.map(|d| d * d * d * d).sum() / four;
///         }
///     }
///
///     fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
///         delta.zip_zip_apply(&at.a, &at.y, |out, a, y| *out = (a - y) * (a - y) * (a - y));
///     }
///
///     fn delta_tangent(
///         &self,
///         at: &Outputs<'_, T>,
///         tangent: DMatrixView<'_, T>,
///         delta_tangent: DMatrixViewMut<'_, T>,
///     ) -> Result<(), Error> {
///         dual::cost_delta_tangent(self, at, tangent, delta_tangent)
///     }
/// }
///
/// let [a, y, along] = [3.0, 1.0, 0.5].map(|x| DMatrix::repeat(1, 1, x));
/// let mut out = DMatrix::zeros(1, 1);
/// let at = Outputs::new(None, a.as_view(), y.as_view());
/// Quartic.delta_tangent(&at, along.as_view(), out.as_view_mut())?;
/// assert_eq!(out[0], 6.0);
/// # Ok::<(), Error>(())
/// ```
pub fn cost_delta_tangent<T, C>(
    cost: &C,
    at: &Outputs<'_, T>,
    along: DMatrixView<'_, T>,
    delta_tangent: DMatrixViewMut<'_, T>,
) -> Result<(), Error>
where
    T: Scalar,
    C: Cost<Dual64> + Cost<Dual32>,
{
    let method = DeltaTangent {
        cost,
        at,
        along,
        delta_tangent,
    };
    dispatch::<T, C>("Cost::delta_tangent", method)
}

struct DeltaTangent<'a, T: Scalar, C> {
    cost: &'a C,
    at: &'a Outputs<'a, T>,
    along: DMatrixView<'a, T>,
    delta_tangent: DMatrixViewMut<'a, T>,
}

impl<D: Dual, T: Scalar, C: Cost<D>> OnDual<D> for DeltaTangent<'_, T, C> {
    fn run(mut self) -> Option<()> {
        let (at, link) = (self.at, self.cost.link());
        let y: DMatrix<D> = lift(at.y, None);
        let z = at.z.map(|z| lift::<D, T>(z, Some(self.along)));
        let a = match &z {
            None => lift(at.a, Some(self.along)),
            Some(z) => moved_output(link, at.a, z),
        };
        let mut delta = unwritten::<D>(y.nrows(), y.ncols());
        // a − y and 1 − a, computed more precisely than from the rounded a.
        let known = at.exact.is_some().then(|| {
            let (mut difference, mut complement) = (a.clone(), a.clone());
            for (i, k) in (0..y.ncols()).flat_map(|k| (0..y.nrows()).map(move |i| (i, k))) {
                let along = a[(i, k)].parts().1;
                difference[(i, k)] = D::of(to_f64(at.difference(i, k)), along);
                complement[(i, k)] = D::of(to_f64(at.complement(i, k)), -along);
            }
            (difference, complement)
        });
        let known = known.as_ref().map(|(difference, complement)| Known {
            difference: difference.as_view(),
            complement: complement.as_view(),
        });
        let mut at = Outputs::new(z.as_ref().map(DMatrix::as_view), a.as_view(), y.as_view());
        at.exact = known.as_ref().map(Exact::Known);
        self.cost.delta(&at, delta.as_view_mut());
        let depends = |d: &D| d.parts().1.is_nan();
        if z.is_some() && inverse(link).is_none() && delta.iter().any(depends) {
            return None;
        }
        self.delta_tangent
            .zip_apply(&delta, |out, d| *out = tangent(d));
        Some(())
    }
}

/// Returns the activation that inverts a built-in link.
fn inverse(link: Option<Link>) -> Option<activation::AnyActivation> {
    match link? {
        Link::Identity => Some(activation::Identity),
        Link::Logit => Some(activation::Sigmoid),
        Link::Softmax => Some(activation::Softmax),
        Link::Log => Some(activation::Exponential),
        Link::Custom(_) => None,
    }
}

/// Returns a with its tangent from z. The tangent is unknown for a custom link.
fn moved_output<D: Dual, T: Scalar>(
    link: Option<Link>,
    a: DMatrixView<'_, T>,
    z: &DMatrix<D>,
) -> DMatrix<D> {
    let mut moved = unwritten::<D>(z.nrows(), z.ncols());
    if let Some(activation) = inverse(link) {
        activation.forward(z.as_view(), moved.as_view_mut());
    }
    moved.zip_apply(&a, |moved, a| *moved = D::of(to_f64(a), moved.parts().1));
    moved
}
