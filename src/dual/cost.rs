//! The tangent of δ of a cost from dual numbers.

use super::{Dual, dispatch, lift, tangent, unwritten};
use crate::activation::{self, Activation};
use crate::cost::{Cost, Exact, Known, Link, Outputs};
use crate::error::{Error, unsupported};
use crate::scalar::{Scalar, to_f64};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use num_dual::{Dual32, Dual64};

/// [`Cost::delta_tangent`] by [`Cost::delta`] on dual numbers; the targets do not move.
///
/// All matrices are K × m, and `along` is the direction of z, or of a if there is no z. Of a canonical pair how a moves with z is known for our links. For a
/// [`Link::Custom`] it is not, so δ has to come from z and y alone there.
///
/// # Errors
/// [`Error::Unsupported`] unless T is `f64` or `f32`, or if δ of a [`Link::Custom`] moves with a (or not to a number); nothing is written then.
///
/// # Example
/// Σ d⁴/4, whose ∂cost/∂a is d³, and its derivative along ȧ 3d² ȧ: with a = 3, y = 1 and ȧ = ½ it is 6.
/// ```
/// use backprop::cost::{Cost, Outputs};
/// use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
/// use backprop::{Error, Scalar, dual};
///
/// #[derive(Debug)]
/// struct Quartic;
///
/// impl<T: Scalar> Cost<T> for Quartic {
///     fn values(&self, at: Outputs<'_, T>, values: &mut [T]) {
///         for (k, value) in values.iter_mut().enumerate() {
///             let d = at.a.column(k) - at.y.column(k);
///             *value = d.map(|d| d * d * d * d).sum() / (T::one() + T::one() + T::one() + T::one());
///         }
///     }
///
///     fn delta(&self, at: Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
///         delta.zip_zip_apply(&at.a, &at.y, |out, a, y| *out = (a - y) * (a - y) * (a - y));
///     }
///
///     fn delta_tangent(
///         &self,
///         at: Outputs<'_, T>,
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
/// Quartic.delta_tangent(at, along.as_view(), out.as_view_mut())?;
/// assert_eq!(out[0], 6.0);
/// # Ok::<(), Error>(())
/// ```
pub fn cost_delta_tangent<T, C>(
    cost: &C,
    at: Outputs<'_, T>,
    along: DMatrixView<'_, T>,
    delta_tangent: DMatrixViewMut<'_, T>,
) -> Result<(), Error>
where
    T: Scalar,
    C: Cost<Dual64> + Cost<Dual32>,
{
    fn run<D: Dual, T: Scalar, C: Cost<D>>(
        cost: &C,
        at: Outputs<'_, T>,
        along: DMatrixView<'_, T>,
        mut delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        let y: DMatrix<D> = lift(at.y, None);
        let z = at.z.map(|z| lift::<D, T>(z, Some(along)));
        let a = match &z {
            None => lift(at.a, Some(along)),
            Some(z) => moved_output(cost.link(), at.a, z),
        };
        let mut delta = unwritten::<D>(y.nrows(), y.ncols());
        // a − y and 1 − a, more precise than from the rounded a.
        let known = at.exact.is_some().then(|| {
            let (mut difference, mut complement) = (a.clone(), a.clone());
            for (i, k) in (0..y.ncols()).flat_map(|k| (0..y.nrows()).map(move |i| (i, k))) {
                let along = a[(i, k)].parts().1;
                difference[(i, k)] = D::of(to_f64(at.difference(i, k)), along);
                complement[(i, k)] = D::of(to_f64(at.complement(i, k)), -along);
            }
            (difference, complement)
        });
        let mut at = Outputs::new(z.as_ref().map(DMatrix::as_view), a.as_view(), y.as_view());
        let known = known.as_ref().map(|(difference, complement)| Known {
            difference: difference.as_view(),
            complement: complement.as_view(),
        });
        at.exact = known.as_ref().map(Exact::Known);
        cost.delta(at, delta.as_view_mut());
        let depends = |d: &D| d.parts().1.is_nan();
        if z.is_some() && inverse(cost.link()).is_none() && delta.iter().any(depends) {
            return Err(unsupported::<C>("Cost::delta_tangent"));
        }
        delta_tangent.zip_apply(&delta, |out, d| *out = tangent(d));
        Ok(())
    }
    let otherwise = unsupported::<C>("Cost::delta_tangent");
    dispatch!(T, otherwise, run(cost, at, along, delta_tangent))
}

/// The activation that inverts a link of ours.
fn inverse(link: Option<Link>) -> Option<activation::AnyActivation> {
    match link? {
        Link::Identity => Some(activation::Identity),
        Link::Logit => Some(activation::Sigmoid),
        Link::Softmax => Some(activation::Softmax),
        Link::Log => Some(activation::Exponential),
        Link::Custom(_) => None,
    }
}

/// a with the tangent that it has from z, unknown for a link that is not ours.
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
