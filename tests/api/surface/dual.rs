//! Tangents from dual numbers equal those that are written out.

use super::{SMOOTH, with_linked};
use crate::support::custom_types::{Counts, Cubic, LOG2};
use backprop::activation::{Activation, Exponential, Identity, Sigmoid, Softmax};
use backprop::cost::{
    BinaryCrossEntropy, CategoricalCrossEntropy, Cost, Huber, Link, LogCosh, Outputs, Poisson,
    SquaredError,
};
use backprop::layer::{
    At, Backward, BackwardTangent, Forward, ForwardTangent, Layer, LayerGradient, Len, Linked,
    Plan, Site,
};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut, convert};
use backprop::{Error, Scalar, dual};
use num_dual::Dual64;

pub(super) const M: usize = 3;

pub(super) fn wave<T: Scalar>(rows: usize, cols: usize, phase: f64) -> DMatrix<T> {
    DMatrix::from_fn(rows, cols, |i, k| {
        convert((phase + (3 * i + 5 * k) as f64).sin())
    })
}

pub(super) fn nan<T: Scalar>(rows: usize, cols: usize) -> DMatrix<T> {
    DMatrix::repeat(rows, cols, convert(f64::NAN))
}

/// Compares to a few units in the last place of the largest entry.
#[track_caller]
pub(super) fn assert_close<T: Scalar>(what: &str, found: &DMatrix<T>, expected: &DMatrix<T>) {
    let limit = T::default_epsilon() * convert(32.0) * expected.amax();
    let close = (found - expected).iter().all(|d| d.abs() <= limit);
    assert!(close, "{what}: {found}{expected}");
}

/// Checks for `Unsupported` with this method and type name.
#[track_caller]
fn assert_lacks(found: Result<(), Error>, method: &str, of: &str) {
    let lacks =
        matches!(found, Err(Error::Unsupported { what, by }) if what == method && by.contains(of));
    assert!(lacks, "{method} of {of}: {found:?}");
}

/// Which directions are given, and whether results are requested.
#[derive(Clone, Copy)]
struct Asked<'a> {
    theta: bool,
    input: bool,
    values: bool,
    tangents: bool,
    linked: Linked<'a>,
}

type Tangents<T> = [DMatrix<T>; 8];

/// Returns ȧ, the tangent of what is kept, Δ and δ below with their tangents, and the final δ and
/// δ̇, from the layer's methods or from dual numbers.
fn layer_tangents<T: Scalar>(by_dual: bool, asked: Asked<'_>) -> Tangents<T> {
    let (theta, theta_dot) = (wave::<T>(23, 1, 0.1), wave(23, 1, 0.2));
    let (x, x_dot) = (wave(4, M, 0.3), wave(4, M, 0.4));
    let (mut a, mut kept) = (nan(5, M), nan(7 * M, 1));
    let plan = Layer::<T>::plan(&SMOOTH, Site::new(4)).unwrap();
    let at = At::new(&plan, theta.as_slice());
    let view = a.as_view_mut();
    SMOOTH.forward(Forward::new(at, x.as_view(), view, kept.as_mut_slice()));
    let theta_dot = asked.theta.then_some(theta_dot.as_slice());
    let x_dot = asked.input.then_some(x_dot.as_view());

    let (mut a_dot, mut kept_dot) = (nan(5, M), nan(7 * M, 1));
    let mut pass = ForwardTangent::new(
        at,
        x.as_view(),
        a.as_view(),
        kept.as_slice(),
        a_dot.as_view_mut(),
        kept_dot.as_mut_slice(),
    );
    (pass.theta_tangent, pass.input_tangent) = (theta_dot, x_dot);
    let done = if by_dual {
        dual::layer_forward_tangent(&SMOOTH, pass)
    } else {
        SMOOTH.forward_tangent(pass)
    };
    assert_eq!(done, Ok(()));

    let (mut d, mut d_dot) = (wave(5, M, 0.5), wave(5, M, 0.6));
    let [mut g, mut g_dot, mut e, mut e_dot] = [(23, 1), (23, 1), (4, M), (4, M)]
        .map(|(rows, cols)| DMatrix::repeat(rows, cols, convert::<f64, T>(7.0)));
    let mut pass = Backward::new(
        at,
        x.as_view(),
        a.as_view(),
        kept.as_slice(),
        d.as_view_mut(),
    );
    pass.linked = asked.linked;
    if asked.values {
        pass.gradient = LayerGradient::Sum(g.as_mut_slice());
        pass.input_delta = Some(e.as_view_mut());
    }
    let kept_dot_slice = kept_dot.as_slice();
    let mut along =
        BackwardTangent::new(pass, a_dot.as_view(), kept_dot_slice, d_dot.as_view_mut());
    (along.theta_tangent, along.input_tangent) = (theta_dot, x_dot);
    if asked.tangents {
        along.gradient_tangent = Some(g_dot.as_mut_slice());
        along.input_delta_tangent = Some(e_dot.as_view_mut());
    }
    let done = if by_dual {
        dual::layer_backward_tangent(&SMOOTH, along)
    } else {
        SMOOTH.backward_tangent(along)
    };
    assert_eq!(done, Ok(()));
    [a_dot, kept_dot, g, g_dot, e, e_dot, d, d_dot]
}

fn layers_agree<T: Scalar>() {
    for bits in 0..32 {
        let [theta, input, values, tangents, linked] = [1, 2, 4, 8, 16].map(|b| bits & b != 0);
        with_linked(linked, |linked| {
            let asked = Asked {
                theta,
                input,
                values,
                tangents,
                linked,
            };
            let (found, expected) = (
                layer_tangents::<T>(true, asked),
                layer_tangents(false, asked),
            );
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_close(&format!("result {i} of case {bits}"), found, expected);
            }
        });
    }
}

#[test]
fn layers_agree_with_their_own_tangents() {
    layers_agree::<f64>();
    layers_agree::<f32>();
}

/// a = c x, where c depends on the fields of the pass; c = 0 if they are missing. The layer keeps
/// `kept` scalars.
#[derive(Debug)]
struct Told {
    kept: fn(bool) -> usize,
}

impl Told {
    fn factor<T: Scalar>(at: At<'_, T>) -> T {
        convert(f64::from(u8::from(at.training)) * at.seed as f64 * at.first_example as f64)
    }
}

impl<T: Scalar> Layer<T> for Told {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        // Dual numbers are larger than 8 bytes.
        let kept = (self.kept)(size_of::<T>() > 8);
        Ok(Plan::new(site, site.input).keeps(Len::fixed(kept)))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        let factor: T = Self::factor(pass.at);
        assert!(pass.room.is_empty() && pass.scratch.is_empty());
        pass.output.zip_apply(&pass.input, |a, x| *a = factor * x);
        pass.kept.fill(factor);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        let factor: T = Self::factor(pass.at);
        assert!(pass.room.is_empty() && pass.scratch.is_empty());
        assert!(pass.linked.get() && pass.gradient.is_none());
        if let Some(mut below) = pass.input_delta {
            below.zip_apply(&pass.delta, |e, d| *e = factor * d);
        }
    }
}

/// (ȧ, ė) of a = c x with ẋ = 2 and δ̇ = 5, c = 3 · 11.
fn told(layer: &Told, linked: Linked<'_>) -> (Result<(), Error>, Result<(), Error>, f64, f64) {
    let plan = Layer::<f64>::plan(layer, Site::new(1)).unwrap();
    let mut at = At::new(&plan, &[]);
    (at.training, at.seed, at.first_example) = (true, 3, 11);
    let [x, x_dot, d_dot] = [1.0, 2.0, 5.0].map(|x| DMatrix::repeat(1, 1, x));
    let (mut a_dot, mut d, mut d_moved) = (nan(1, 1), x.clone(), d_dot.clone());
    let (mut kept, mut e_dot) = ([0.0], nan(1, 1));
    let mut pass = ForwardTangent::new(
        at,
        x.as_view(),
        x.as_view(),
        &[0.0],
        a_dot.as_view_mut(),
        &mut kept,
    );
    pass.input_tangent = Some(x_dot.as_view());
    let forward = dual::layer_forward_tangent(layer, pass);
    let view = d.as_view_mut();
    let mut pass = Backward::new(at, x.as_view(), x.as_view(), &[0.0], view);
    pass.linked = linked;
    let mut along = BackwardTangent::new(pass, x_dot.as_view(), &[0.0], d_moved.as_view_mut());
    along.input_delta_tangent = Some(e_dot.as_view_mut());
    let backward = dual::layer_backward_tangent(layer, along);
    (forward, backward, a_dot[0], e_dot[0])
}

#[test]
fn a_layer_receives_the_whole_context_of_a_pass() {
    with_linked(true, |linked| {
        let found = told(&Told { kept: |_| 1 }, linked);
        assert_eq!(found, (Ok(()), Ok(()), 66.0, 165.0));
    });
}

/// What is longer on dual numbers does not match what the pass keeps.
#[test]
fn kept_scalars_of_another_number_are_unsupported() {
    let layer = Told {
        kept: |wide| 1 + usize::from(wide),
    };
    with_linked(true, |linked| {
        let (forward, backward, a_dot, e_dot) = told(&layer, linked);
        assert_lacks(forward, "Layer::forward_tangent", "Told");
        assert_lacks(backward, "Layer::backward_tangent", "Told");
        assert!(a_dot.is_nan() && e_dot.is_nan(), "nothing is written");
    });
}

fn activations_agree<T: Scalar>() {
    let cubic = Cubic { c: 0.125 };
    let [z, z_dot, delta, delta_dot] = [0.1, 0.2, 0.3, 0.4].map(|p| wave::<T>(4, M, p));
    let tangents = |by_dual: bool| {
        let (mut a_dot, mut d, mut d_dot) = (nan(4, M), delta.clone(), delta_dot.clone());
        let (z, z_dot) = (z.as_view(), z_dot.as_view());
        let (out, views) = (a_dot.as_view_mut(), (d.as_view_mut(), d_dot.as_view_mut()));
        let done = if by_dual {
            dual::activation_forward_tangent(&cubic, z, z_dot, out).and_then(|()| {
                dual::activation_backward_tangent(&cubic, z, z_dot, views.0, views.1)
            })
        } else {
            // The cubic does not use a.
            cubic
                .forward_tangent(z, z, z_dot, out)
                .and_then(|()| cubic.backward_tangent(z, z, z_dot, views.0, views.1))
        };
        assert_eq!(done, Ok(()));
        [a_dot, d, d_dot]
    };
    for (found, expected) in tangents(true).iter().zip(&tangents(false)) {
        assert_close("cubic", found, expected);
    }
}

#[test]
fn activations_agree_with_their_own_tangents() {
    activations_agree::<f64>();
    activations_agree::<f32>();
}

type Tangent<'a, T> = dyn Fn(&Outputs<'_, T>, DMatrixViewMut<'_, T>) -> Result<(), Error> + 'a;

/// Every built-in cost on both paths, and a custom one on the general path.
fn costs_agree<T: Scalar>() {
    let z = wave::<T>(2, M, 0.1);
    let y = wave::<T>(2, M, 0.3).map(|y| y * y);
    let along = wave::<T>(2, M, 0.7);
    let run = |cost: &Tangent<'_, T>, z: Option<DMatrixView<'_, T>>, a: &DMatrix<T>| {
        let mut out = nan(2, M);
        let at = Outputs::new(z, a.as_view(), y.as_view());
        assert_eq!(cost(&at, out.as_view_mut()), Ok(()));
        out
    };
    for (cost, g) in [
        (BinaryCrossEntropy, Sigmoid),
        (CategoricalCrossEntropy, Softmax),
        (SquaredError, Identity),
        (Huber { delta: 0.75 }, Identity),
        (LogCosh, Identity),
        (Poisson, Exponential),
    ] {
        let mut a = z.clone();
        g.forward(z.as_view(), a.as_view_mut());
        for z in [Some(z.as_view()), None] {
            let by_dual = |at: &Outputs<'_, T>, out: DMatrixViewMut<'_, T>| {
                dual::cost_delta_tangent(&cost, at, along.as_view(), out)
            };
            let own = |at: &Outputs<'_, T>, out: DMatrixViewMut<'_, T>| {
                cost.delta_tangent(at, along.as_view(), out)
            };
            let (found, expected) = (run(&by_dual, z, &a), run(&own, z, &a));
            assert_close(&format!("{cost:?}, z: {}", z.is_some()), &found, &expected);
        }
    }
    let counts = Counts { linked: true };
    let a = z.map(|z| z * z + T::one());
    let by_dual = |at: &Outputs<'_, T>, out: DMatrixViewMut<'_, T>| {
        dual::cost_delta_tangent(&counts, at, along.as_view(), out)
    };
    let own = |at: &Outputs<'_, T>, out: DMatrixViewMut<'_, T>| {
        counts.delta_tangent(at, along.as_view(), out)
    };
    assert_close("counts", &run(&by_dual, None, &a), &run(&own, None, &a));
}

#[test]
fn costs_agree_with_their_own_tangents() {
    costs_agree::<f64>();
    costs_agree::<f32>();
}

/// Through a custom link, δ = 2ᶻ ln 2 − y ln 2 is computed from z without a.
#[derive(Debug)]
struct FromZ;

impl<T: Scalar> Cost<T> for FromZ {
    fn values(&self, _at: &Outputs<'_, T>, values: &mut [T]) {
        values.fill(T::zero());
    }

    fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        let z = at.z.unwrap_or(at.a);
        delta.zip_zip_apply(&z, &at.y, |out, z, y| {
            *out = ((z * T::ln_2()).exp() - y) * T::ln_2();
        });
    }

    fn link(&self) -> Option<Link> {
        Some(LOG2)
    }
}

#[test]
fn links_of_users_have_no_hidden_part() {
    let [z, a, y, along] = [3.0, 8.0, 1.0, 0.5].map(|x| DMatrix::repeat(1, 1, x));
    let at = Outputs::new(Some(z.as_view()), a.as_view(), y.as_view());
    let mut out = DMatrix::repeat(1, 1, 7.0);
    // δ of `Counts` is (a − y) ln 2, and how a moves with z is unknown.
    let counts = Counts { linked: true };
    let found = dual::cost_delta_tangent(&counts, &at, along.as_view(), out.as_view_mut());
    assert_lacks(found, "Cost::delta_tangent", "Counts");
    assert_eq!(out[0], 7.0, "nothing is written");
    let found = dual::cost_delta_tangent(&FromZ, &at, along.as_view(), out.as_view_mut());
    let ln_2 = std::f64::consts::LN_2;
    assert_eq!(found, Ok(()));
    assert!((out[0] - 8.0 * ln_2 * ln_2 * 0.5).abs() < 1e-14, "{out}");
}

/// Other scalars have no dual number: the call returns an error and writes nothing.
#[test]
fn other_scalars_are_unsupported() {
    let x = DMatrix::repeat(1, 1, Dual64::new(0.5, 1.0));
    let (mut out, mut other) = (x.clone(), x.clone());
    let view = out.as_view_mut();
    let cubic = Cubic { c: 0.125 };
    let found = dual::activation_forward_tangent(&cubic, x.as_view(), x.as_view(), view);
    assert_lacks(found, "Activation::forward_tangent", "Cubic");
    let views = (out.as_view_mut(), other.as_view_mut());
    let found =
        dual::activation_backward_tangent(&cubic, x.as_view(), x.as_view(), views.0, views.1);
    assert_lacks(found, "Activation::backward_tangent", "Cubic");
    let at = Outputs::new(None, x.as_view(), x.as_view());
    let found = dual::cost_delta_tangent(&FromZ, &at, x.as_view(), out.as_view_mut());
    assert_lacks(found, "Cost::delta_tangent", "FromZ");
    let layer = Told { kept: |_| 0 };
    let plan = Layer::<Dual64>::plan(&layer, Site::new(1)).unwrap();
    let at = At::new(&plan, &[]);
    let pass = ForwardTangent::new(
        at,
        x.as_view(),
        x.as_view(),
        &[],
        out.as_view_mut(),
        &mut [],
    );
    let found = dual::layer_forward_tangent(&layer, pass);
    assert_lacks(found, "Layer::forward_tangent", "Told");
    let pass = Backward::new(at, x.as_view(), x.as_view(), &[], out.as_view_mut());
    let along = BackwardTangent::new(pass, x.as_view(), &[], other.as_view_mut());
    let found = dual::layer_backward_tangent(&layer, along);
    assert_lacks(found, "Layer::backward_tangent", "Told");
    for written in [&out, &other] {
        assert_eq!((written[0].re, written[0].eps), (0.5, 1.0));
    }
}
