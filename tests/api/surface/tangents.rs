//! Forward mode: custom tangents equal dual numbers, through every kind of wrapper.

use super::{SMOOTH, with_linked};
use crate::support::custom_types::{Counts, Cubic, Doubling, LowRank};
use backprop::activation::Activation;
use backprop::cost::{Cost, Outputs};
use backprop::layer::{
    AnyLayer, At, Backward, BackwardTangent, Forward, ForwardTangent, Keep, Layer, LayerGradient,
    Linked, Plan, Site,
};
use backprop::nalgebra::{DMatrix, DMatrixView};
use backprop::{Dense, Error, Scalar};
use num_dual::Dual64;

const M: usize = 3;

fn wave(rows: usize, cols: usize, phase: f64) -> DMatrix<f64> {
    DMatrix::from_fn(rows, cols, |i, k| (phase + (3 * i + 5 * k) as f64).sin())
}

/// value + tangent ε.
fn dual(value: &DMatrix<f64>, tangent: &DMatrix<f64>) -> DMatrix<Dual64> {
    value.zip_map(tangent, Dual64::new)
}

#[track_caller]
fn assert_close(what: &str, found: &[f64], expected: impl Iterator<Item = f64>) {
    let expected: Vec<f64> = expected.collect();
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-13 * b.abs().max(1.0), "{what}: {a}, {b}");
    }
}

/// Compares both tangent passes of a layer with its plain passes on dual numbers.
fn agrees_with_dual_numbers(
    layer: &dyn Layer<f64>,
    on_duals: &dyn Layer<Dual64>,
    linked: Linked<'_>,
) {
    let plan = layer.plan(Site::new(4)).unwrap();
    let (n, s, p) = (4, plan.output().len(), plan.parameters());
    let c = plan.kept(Keep::Curvature, M);
    let (theta, theta_dot) = (wave(p, 1, 0.1), wave(p, 1, 0.2));
    let (x, x_dot) = (wave(n, M, 0.3), wave(n, M, 0.4));
    let (delta, delta_dot) = (wave(s, M, 0.5), wave(s, M, 0.6));

    // The reference.
    let (dual_theta, dual_x) = (dual(&theta, &theta_dot), dual(&x, &x_dot));
    let dual_plan = on_duals.plan(Site::new(4)).unwrap();
    assert_eq!(plan, dual_plan);
    let dual_at = At::new(&dual_plan, dual_theta.as_slice());
    let mut output = DMatrix::repeat(s, M, Dual64::from_re(f64::NAN));
    let mut cache = vec![Dual64::from_re(f64::NAN); c];
    let view = output.as_view_mut();
    on_duals.forward(Forward::new(dual_at, dual_x.as_view(), view, &mut cache));
    let mut dual_delta = dual(&delta, &delta_dot);
    let mut gradient = vec![Dual64::from_re(f64::NAN); p];
    let mut below = DMatrix::repeat(n, M, Dual64::from_re(f64::NAN));
    let mut pass = Backward::new(
        dual_at,
        dual_x.as_view(),
        output.as_view(),
        &cache,
        dual_delta.as_view_mut(),
    );
    pass.linked = linked;
    pass.gradient = LayerGradient::Sum(&mut gradient);
    pass.input_delta = Some(below.as_view_mut());
    on_duals.backward(pass);

    // The tangent methods.
    let at = At::new(&plan, theta.as_slice());
    let mut a = DMatrix::repeat(s, M, f64::NAN);
    let mut kept = vec![f64::NAN; c];
    let view = a.as_view_mut();
    layer.forward(Forward::new(at, x.as_view(), view, &mut kept));
    let mut a_dot = DMatrix::repeat(s, M, f64::NAN);
    let mut kept_dot = vec![f64::NAN; c];
    let mut pass = ForwardTangent::new(
        at,
        x.as_view(),
        a.as_view(),
        &kept,
        a_dot.as_view_mut(),
        &mut kept_dot,
    );
    pass.theta_tangent = Some(theta_dot.as_slice());
    pass.input_tangent = Some(x_dot.as_view());
    layer.forward_tangent(pass).unwrap();
    assert_close("ȧ", a_dot.as_slice(), output.iter().map(|a| a.eps));
    assert_close("kept", &kept_dot, cache.iter().map(|z| z.eps));

    let (mut d, mut d_dot) = (delta.clone(), delta_dot.clone());
    let (mut g, mut g_dot) = (vec![f64::NAN; p], vec![f64::NAN; p]);
    let mut e = DMatrix::repeat(n, M, f64::NAN);
    let mut e_dot = e.clone();
    let view = d.as_view_mut();
    let mut pass = Backward::new(at, x.as_view(), a.as_view(), &kept, view);
    pass.linked = linked;
    pass.gradient = LayerGradient::Sum(&mut g);
    pass.input_delta = Some(e.as_view_mut());
    let mut tangent = BackwardTangent::new(pass, a_dot.as_view(), &kept_dot, d_dot.as_view_mut());
    tangent.theta_tangent = Some(theta_dot.as_slice());
    tangent.input_tangent = Some(x_dot.as_view());
    tangent.gradient_tangent = Some(&mut g_dot);
    tangent.input_delta_tangent = Some(e_dot.as_view_mut());
    layer.backward_tangent(tangent).unwrap();
    assert_close("gradient", &g, gradient.iter().map(|g| g.re));
    assert_close("its tangent", &g_dot, gradient.iter().map(|g| g.eps));
    assert_close("below", e.as_slice(), below.iter().map(|e| e.re));
    assert_close("its tangent", e_dot.as_slice(), below.iter().map(|e| e.eps));
}

#[test]
fn tangents_of_a_layer_through_every_indirection() {
    let agree = |linked: Linked<'_>| {
        agrees_with_dual_numbers(&SMOOTH, &SMOOTH, linked);
        let boxed: Box<dyn Layer<f64>> = Box::new(SMOOTH);
        agrees_with_dual_numbers(&boxed, &SMOOTH, linked);
        agrees_with_dual_numbers(&AnyLayer::Custom(SMOOTH), &SMOOTH, linked);
        agrees_with_dual_numbers(&AnyLayer::Custom(boxed), &SMOOTH, linked);
        // With a boxed activation.
        let LowRank {
            inputs,
            rank,
            outputs,
            activation,
        } = SMOOTH;
        let activation: Box<dyn Activation<f64>> = Box::new(activation);
        let layer = LowRank {
            inputs,
            rank,
            outputs,
            activation,
        };
        agrees_with_dual_numbers(&layer, &SMOOTH, linked);
    };
    with_linked(false, agree);
    with_linked(true, agree);
}

/// Without a direction, θ or x does not move.
#[test]
fn absent_directions_are_zero() {
    let theta = wave(23, 1, 0.1);
    let x = wave(4, M, 0.3);
    let plan = Layer::<f64>::plan(&SMOOTH, Site::new(4)).unwrap();
    let at = At::new(&plan, theta.as_slice());
    let tangent = |theta_dot: Option<&[f64]>, x_dot: Option<DMatrixView<'_, f64>>| {
        let (mut a, mut kept) = (DMatrix::zeros(5, M), vec![0.0; 7 * M]);
        let view = a.as_view_mut();
        SMOOTH.forward(Forward::new(at, x.as_view(), view, &mut kept));
        let (mut a_dot, mut kept_dot) = (DMatrix::repeat(5, M, f64::NAN), vec![f64::NAN; 7 * M]);
        let mut pass = ForwardTangent::new(
            at,
            x.as_view(),
            a.as_view(),
            &kept,
            a_dot.as_view_mut(),
            &mut kept_dot,
        );
        (pass.theta_tangent, pass.input_tangent) = (theta_dot, x_dot);
        Layer::<f64>::forward_tangent(&SMOOTH, pass).unwrap();
        a_dot
    };
    let (theta_dot, x_dot) = (wave(23, 1, 0.2), wave(4, M, 0.4));
    assert_eq!(tangent(None, None).amax(), 0.0);
    let both = tangent(Some(theta_dot.as_slice()), Some(x_dot.as_view()));
    let sum = tangent(Some(theta_dot.as_slice()), None) + tangent(None, Some(x_dot.as_view()));
    assert!((both - sum).amax() < 1e-14, "linear in the direction");
}

fn tangents_of_activation(g: &dyn Activation<f64>) {
    let (z, z_dot) = (wave(4, M, 0.1), wave(4, M, 0.2));
    let (delta, delta_dot) = (wave(4, M, 0.3), wave(4, M, 0.4));
    let cubic = Cubic { c: 0.125 };
    let dual_z = dual(&z, &z_dot);
    let (mut dual_a, mut dual_delta) = (dual_z.clone(), dual(&delta, &delta_dot));
    cubic.forward(dual_z.as_view(), dual_a.as_view_mut());
    cubic.backward(dual_z.as_view(), dual_a.as_view(), dual_delta.as_view_mut());

    let mut a = z.clone();
    g.forward(z.as_view(), a.as_view_mut());
    let mut a_dot = DMatrix::repeat(4, M, f64::NAN);
    g.forward_tangent(
        z.as_view(),
        a.as_view(),
        z_dot.as_view(),
        a_dot.as_view_mut(),
    )
    .unwrap();
    assert_close("ȧ", a_dot.as_slice(), dual_a.iter().map(|a| a.eps));
    let (mut d, mut d_dot) = (delta, delta_dot);
    let views = (d.as_view_mut(), d_dot.as_view_mut());
    g.backward_tangent(z.as_view(), a.as_view(), z_dot.as_view(), views.0, views.1)
        .unwrap();
    assert_close("δ", d.as_slice(), dual_delta.iter().map(|d| d.re));
    assert_close("δ̇", d_dot.as_slice(), dual_delta.iter().map(|d| d.eps));
}

#[test]
fn tangents_of_an_activation_through_every_indirection() {
    let cubic = Cubic { c: 0.125 };
    tangents_of_activation(&cubic);
    let boxed: Box<dyn Activation<f64>> = Box::new(cubic.clone());
    tangents_of_activation(&boxed);
    tangents_of_activation(&Box::new(boxed));
    tangents_of_activation(&Box::new(cubic));
}

fn tangents_of_cost(cost: &dyn Cost<f64>, linked: bool) {
    let (z, z_dot) = (wave(2, M, 0.1), wave(2, M, 0.2));
    let y = wave(2, M, 0.3).map(f64::abs);
    let dual_y = y.map(Dual64::from_re);
    let dual_z = dual(&z, &z_dot);
    let mut dual_a = dual_z.clone();
    Doubling.forward(dual_z.as_view(), dual_a.as_view_mut());
    let at = |z| Outputs::new(z, dual_a.as_view(), dual_y.as_view());
    let mut delta = dual_a.clone();
    let counts = Counts { linked: true };
    counts.delta(&at(linked.then_some(dual_z.as_view())), delta.as_view_mut());

    let a = dual_a.map(|a| a.re);
    let a_dot = dual_a.map(|a| a.eps);
    let tangent = if linked { &z_dot } else { &a_dot };
    let at = Outputs::new(linked.then_some(z.as_view()), a.as_view(), y.as_view());
    let mut found = DMatrix::repeat(2, M, f64::NAN);
    cost.delta_tangent(&at, tangent.as_view(), found.as_view_mut())
        .unwrap();
    assert_close("δ̇", found.as_slice(), delta.iter().map(|d| d.eps));
}

#[test]
fn tangents_of_a_cost_through_every_indirection() {
    let counts = Counts { linked: true };
    for linked in [true, false] {
        tangents_of_cost(&counts, linked);
        let boxed: Box<dyn Cost<f64>> = Box::new(counts.clone());
        tangents_of_cost(&boxed, linked);
        tangents_of_cost(&Box::new(boxed), linked);
    }
}

/// A layer without tangents.
#[derive(Clone, Debug, PartialEq)]
struct Passing;

impl<T: Scalar> Layer<T> for Passing {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Plan::new(site, site.input))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        pass.output.copy_from(&pass.input);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
        }
    }
}

/// A missing method is an error that names the method and the innermost type.
#[test]
fn tangents_are_unsupported_by_default() {
    let x = DMatrix::zeros(1, 1);
    let lacks = |found: Result<(), Error>, method: &str, of: &str| match found {
        Err(Error::Unsupported { what, by }) => {
            assert_eq!(what, method);
            assert!(by.ends_with(of), "{by}");
        }
        other => panic!("{method} of {of}: {other:?}"),
    };
    let boxed: Box<dyn Layer<f64>> = Box::new(Passing);
    let layers: [&dyn Layer<f64>; 4] = [
        &Passing,
        &boxed,
        &AnyLayer::Custom(Passing),
        &AnyLayer::Custom(Box::new(Passing)),
    ];
    for layer in layers {
        let plan = layer.plan(Site::new(1)).unwrap();
        let at = At::new(&plan, &[]);
        let mut out = x.clone();
        let pass = ForwardTangent::new(
            at,
            x.as_view(),
            x.as_view(),
            &[],
            out.as_view_mut(),
            &mut [],
        );
        lacks(
            layer.forward_tangent(pass),
            "Layer::forward_tangent",
            "Passing",
        );
        let (mut d, mut d_dot) = (x.clone(), x.clone());
        let pass = Backward::new(at, x.as_view(), x.as_view(), &[], d.as_view_mut());
        let tangent = BackwardTangent::new(pass, x.as_view(), &[], d_dot.as_view_mut());
        lacks(
            layer.backward_tangent(tangent),
            "Layer::backward_tangent",
            "Passing",
        );
    }
    let boxed: Box<dyn Activation<f64>> = Box::new(Doubling);
    let activations: [&dyn Activation<f64>; 2] = [&Doubling, &boxed];
    for g in activations {
        let (mut d, mut d_dot) = (x.clone(), x.clone());
        let found = g.forward_tangent(x.as_view(), x.as_view(), x.as_view(), d.as_view_mut());
        lacks(found, "Activation::forward_tangent", "Doubling");
        let views = (d.as_view_mut(), d_dot.as_view_mut());
        let found = g.backward_tangent(x.as_view(), x.as_view(), x.as_view(), views.0, views.1);
        lacks(found, "Activation::backward_tangent", "Doubling");
    }
    // A layer that delegates to an activation without tangents.
    let layer = LowRank {
        inputs: 1,
        rank: 1,
        outputs: 1,
        activation: Doubling,
    };
    let (mut out, mut kept) = (x.clone(), [0.0; 2]);
    let plan = Layer::<f64>::plan(&layer, Site::new(1)).unwrap();
    let at = At::new(&plan, &[0.0; 3]);
    let view = out.as_view_mut();
    let pass = ForwardTangent::new(at, x.as_view(), x.as_view(), &[0.0; 2], view, &mut kept);
    let found = Layer::<f64>::forward_tangent(&layer, pass);
    lacks(found, "Activation::forward_tangent", "Doubling");

    #[derive(Debug)]
    struct Nothing;
    impl<T: Scalar> Cost<T> for Nothing {
        fn values(&self, _: &Outputs<'_, T>, values: &mut [T]) {
            values.fill(T::zero());
        }

        fn delta(&self, _: &Outputs<'_, T>, mut delta: backprop::nalgebra::DMatrixViewMut<'_, T>) {
            delta.fill(T::zero());
        }
    }
    let boxed: Box<dyn Cost<f64>> = Box::new(Nothing);
    let costs: [&dyn Cost<f64>; 2] = [&Nothing, &boxed];
    for cost in costs {
        let mut out = x.clone();
        let at = Outputs::new(None, x.as_view(), x.as_view());
        let found = cost.delta_tangent(&at, x.as_view(), out.as_view_mut());
        lacks(found, "Cost::delta_tangent", "Nothing");
    }
    // The plain passes still work.
    assert_eq!(
        Layer::<f64>::name(&Dense::new(1, 1, Doubling)),
        "Dense Doubling"
    );
}
