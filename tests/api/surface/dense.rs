//! A dense layer on its own: tangents against dual numbers, and per-example gradients against a
//! pass for each example.

use super::dual::{nan, wave};
use super::with_linked;
use backprop::activation::{AnyActivation, Gelu, Identity, Sigmoid, Softmax, Softsign, Tanh};
use backprop::layer::{
    At, Backward, BackwardTangent, Forward, ForwardTangent, Keep, Layer, LayerGradient, Linked,
    Plan, Site,
};
use backprop::nalgebra::{DMatrix, DMatrixView, convert};
use backprop::{Dense, Error, Scalar};
use num_dual::{Dual64, HyperDual64};

/// Inputs, outputs and examples: never equal, narrow, wide, and beyond the width of a register.
const SHAPES: [(usize, usize, usize); 4] = [(4, 3, 5), (3, 7, 2), (5, 1, 3), (19, 21, 18)];

const ACTIVATIONS: [AnyActivation; 6] = [Identity, Sigmoid, Tanh, Gelu, Softsign, Softmax];

/// A scalar, and one that carries a derivative of it.
trait Lift: Scalar {
    type Wide: Scalar;
    fn lift(self, tangent: Self) -> Self::Wide;
    fn parts(wide: Self::Wide) -> [Self; 2];
}

impl Lift for f64 {
    type Wide = Dual64;

    fn lift(self, tangent: f64) -> Dual64 {
        Dual64::new(self, tangent)
    }

    fn parts(wide: Dual64) -> [f64; 2] {
        [wide.re, wide.eps]
    }
}

/// ε₁ belongs to the dual number, and ε₂ to the derivative.
impl Lift for Dual64 {
    type Wide = HyperDual64;

    fn lift(self, tangent: Dual64) -> HyperDual64 {
        HyperDual64::new(self.re, self.eps, tangent.re, tangent.eps)
    }

    fn parts(wide: HyperDual64) -> [Dual64; 2] {
        [
            Dual64::new(wide.re, wide.eps1),
            Dual64::new(wide.eps2, wide.eps1eps2),
        ]
    }
}

/// The entries as numbers, with all their parts.
trait Parts {
    fn push_to(self, to: &mut Vec<f64>);
}

impl Parts for f64 {
    fn push_to(self, to: &mut Vec<f64>) {
        to.push(self);
    }
}

impl Parts for Dual64 {
    fn push_to(self, to: &mut Vec<f64>) {
        to.extend([self.re, self.eps]);
    }
}

fn flat<T: Parts + Copy>(entries: &[T]) -> Vec<f64> {
    let mut all = vec![];
    entries.iter().for_each(|entry| entry.push_to(&mut all));
    all
}

/// Checks that the numbers agree to 1e-13 of the largest one.
#[track_caller]
fn assert_close<T: Parts + Copy>(what: &str, found: &[T], expected: &[T]) {
    let (found, expected) = (flat(found), flat(expected));
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0, |most: f64, e| most.max(e.abs()));
    for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
        assert!(
            (a - b).abs() <= 1e-13 * largest,
            "{what}, entry {i}: {a:e}, {b:e}"
        );
    }
}

/// θ, x and δ of a layer and their directions.
struct Given<T: Scalar> {
    theta: [DMatrix<T>; 2],
    x: [DMatrix<T>; 2],
    delta: [DMatrix<T>; 2],
}

impl<T: Scalar> Given<T> {
    fn new((inputs, outputs, m): (usize, usize, usize)) -> Self {
        let p = outputs * (inputs + 1);
        // Dual numbers have additional parts.
        let pair = |rows, cols, phase: f64| {
            [phase, phase + 0.35].map(|phase| wave(rows, cols, phase) * convert::<f64, T>(0.75))
        };
        Self {
            theta: pair(p, 1, 0.1),
            x: pair(inputs, m, 0.2),
            delta: pair(outputs, m, 0.3),
        }
    }
}

/// The position of a layer, and the mode of its passes.
#[derive(Clone, Copy, Debug)]
struct Mode<'a> {
    tail: bool,
    keep: Keep,
    linked: Linked<'a>,
}

impl Mode<'_> {
    fn plan<T: Scalar, L: Layer<T>>(self, layer: &L, inputs: usize) -> Plan {
        let site = Site::new(inputs);
        let site = if self.tail { site } else { site.hidden() };
        layer.plan(site).unwrap()
    }

    fn at<'b, T: Scalar>(self, plan: &'b Plan, theta: &'b [T]) -> At<'b, T> {
        let mut at = At::new(plan, theta);
        at.keep = self.keep;
        at
    }

    /// Returns z, which a layer keeps at the end of a network and for traces, if it is not a.
    fn z<T: Scalar>(self, kept: DMatrix<T>, a: &DMatrix<T>) -> Option<DMatrix<T>> {
        if !self.tail && self.keep != Keep::Z {
            return None;
        }
        Some(if kept.is_empty() { a.clone() } else { kept })
    }
}

/// a, gradient, error below and δ, each with its derivative, and after them z if it is kept.
type Results<T> = Vec<[DMatrix<T>; 2]>;

fn by_dual_numbers<T: Lift>(
    layer: &Dense,
    given: &Given<T>,
    moves: [bool; 2],
    mode: Mode<'_>,
) -> Results<T> {
    let lift = |[value, tangent]: &[DMatrix<T>; 2], moves: bool| {
        value.zip_map(tangent, |x, t| x.lift(if moves { t } else { T::zero() }))
    };
    let (theta, x) = (lift(&given.theta, moves[0]), lift(&given.x, moves[1]));
    let mut delta = lift(&given.delta, true);
    let (mut a, mut below) = (delta.clone(), x.clone());
    let plan = mode.plan::<T::Wide, _>(layer, x.nrows());
    let mut kept = nan::<T::Wide>(plan.kept(mode.keep, x.ncols()), 1);
    let mut gradient = theta.clone();
    let at = mode.at(&plan, theta.as_slice());
    let to = kept.as_mut_slice();
    layer.forward(Forward::new(at, x.as_view(), a.as_view_mut(), to));
    let (output, view) = (a.as_view(), delta.as_view_mut());
    let mut pass = Backward::new(at, x.as_view(), output, kept.as_slice(), view);
    pass.linked = mode.linked;
    pass.gradient = LayerGradient::Sum(gradient.as_mut_slice());
    pass.input_delta = Some(below.as_view_mut());
    layer.backward(pass);
    let z = mode.z(kept, &a);
    let all = [a, gradient, below, delta].into_iter().chain(z);
    all.map(|wide| [0, 1].map(|i| wide.map(|w| T::parts(w)[i])))
        .collect()
}

fn by_tangents<T: Scalar>(
    layer: &Dense,
    given: &Given<T>,
    moves: [bool; 2],
    mode: Mode<'_>,
) -> Results<T> {
    let x: DMatrixView<'_, T> = given.x[0].as_view();
    let theta_tangent = moves[0].then_some(given.theta[1].as_slice());
    let x_tangent = moves[1].then_some(given.x[1].as_view());
    let plan = mode.plan::<T, _>(layer, x.nrows());
    let at = mode.at(&plan, given.theta[0].as_slice());
    let buffers = |like: &DMatrix<T>| [0, 1].map(|_| nan::<T>(like.nrows(), like.ncols()));
    let [mut kept, mut kept_dot] = [0, 1].map(|_| nan::<T>(plan.kept(mode.keep, x.ncols()), 1));
    let [mut a, mut a_dot] = buffers(&given.delta[0]);
    let [mut gradient, mut gradient_dot] = buffers(&given.theta[0]);
    let [mut below, mut below_dot] = buffers(&given.x[0]);
    let [mut delta, mut delta_dot] = given.delta.clone();
    layer.forward(Forward::new(at, x, a.as_view_mut(), kept.as_mut_slice()));
    let (from, to) = (kept.as_slice(), kept_dot.as_mut_slice());
    let (output, out) = (a.as_view(), a_dot.as_view_mut());
    let mut pass = ForwardTangent::new(at, x, output, from, out, to);
    (pass.theta_tangent, pass.input_tangent) = (theta_tangent, x_tangent);
    layer.forward_tangent(pass).unwrap();
    let mut pass = Backward::new(at, x, a.as_view(), kept.as_slice(), delta.as_view_mut());
    pass.linked = mode.linked;
    pass.gradient = LayerGradient::Sum(gradient.as_mut_slice());
    pass.input_delta = Some(below.as_view_mut());
    let (output, from) = (a_dot.as_view(), kept_dot.as_slice());
    let mut along = BackwardTangent::new(pass, output, from, delta_dot.as_view_mut());
    (along.theta_tangent, along.input_tangent) = (theta_tangent, x_tangent);
    along.gradient_tangent = Some(gradient_dot.as_mut_slice());
    along.input_delta_tangent = Some(below_dot.as_view_mut());
    layer.backward_tangent(along).unwrap();
    let z = mode.z(kept, &a).zip(mode.z(kept_dot, &a_dot));
    let all = [
        [a, a_dot],
        [gradient, gradient_dot],
        [below, below_dot],
        [delta, delta_dot],
    ];
    all.into_iter().chain(z.map(<[_; 2]>::from)).collect()
}

/// Calls `check` for a layer at the end of a network, with ∂cost/∂a and with ∂cost/∂z, and for a
/// hidden one, with everything that passes may keep.
fn in_every_mode(keeps: &[Keep], check: impl Fn(Mode<'_>) + Send + Sync) {
    for (tail, linked) in [(true, false), (true, true), (false, false)] {
        with_linked(linked, |linked| {
            for &keep in keeps {
                check(Mode { tail, keep, linked });
            }
        });
    }
}

fn agrees<T: Lift + Parts>(given: impl Fn((usize, usize, usize)) -> Given<T>) {
    for shape in SHAPES {
        let given = given(shape);
        for g in ACTIVATIONS {
            let layer = Dense::new(shape.0, shape.1, g);
            in_every_mode(&[Keep::Curvature, Keep::Z], |mode| {
                for bits in 0..4 {
                    let moves = [1, 2].map(|bit| bits & bit != 0);
                    let found = by_tangents(&layer, &given, moves, mode);
                    let expected = by_dual_numbers(&layer, &given, moves, mode);
                    assert_eq!(found.len(), expected.len());
                    let names = ["a", "gradient", "below", "δ", "z"];
                    for (name, (found, expected)) in names.iter().zip(found.iter().zip(&expected)) {
                        for (part, (found, expected)) in found.iter().zip(expected).enumerate() {
                            let what = format!(
                                "{name}, derivative {part}, of {g:?} {shape:?}, \
                                 (θ̇, ẋ): {moves:?}, {mode:?}"
                            );
                            assert_close(&what, found.as_slice(), expected.as_slice());
                        }
                    }
                }
            });
        }
    }
}

#[test]
fn tangents_equal_those_of_dual_numbers() {
    agrees::<f64>(Given::new);
}

/// If the dual numbers themselves move, the tangents have second derivatives.
#[test]
fn tangents_of_dual_numbers_are_second_derivatives() {
    agrees::<Dual64>(|shape| {
        let (value, moved) = (Given::<f64>::new(shape), Given::<f64>::new(shape));
        let lift = |value: [DMatrix<f64>; 2], moved: [DMatrix<f64>; 2]| {
            [0, 1].map(|i| value[i].zip_map(&moved[1 - i], |x, t| Dual64::new(x, 0.5 - t)))
        };
        Given {
            theta: lift(value.theta, moved.theta),
            x: lift(value.x, moved.x),
            delta: lift(value.delta, moved.delta),
        }
    });
}

/// A dense layer without its own `backward_each`.
#[derive(Debug)]
struct ByDefault(Dense);

impl<T: Scalar> Layer<T> for ByDefault {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Layer::<T>::plan(&self.0, site)?.default_each())
    }

    fn forward(&self, pass: Forward<'_, T>) {
        self.0.forward(pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        self.0.backward(pass);
    }
}

/// Per-example gradients, their squared norms and the errors for the layer below equal those of a
/// pass with one example.
fn examples_alone<T: Scalar + Parts>() {
    let keeps = [Keep::Slope, Keep::Curvature, Keep::Z];
    for shape in SHAPES {
        let given = Given::<T>::new(shape);
        for g in ACTIVATIONS {
            let layer = Dense::new(shape.0, shape.1, g);
            in_every_mode(&keeps, |mode| {
                let what = format!("{g:?} {shape:?}, {mode:?}");
                one_by_one(&what, &layer, &given, mode);
                one_by_one(
                    &format!("the default, {what}"),
                    &ByDefault(layer),
                    &given,
                    mode,
                );
            });
        }
    }
}

fn one_by_one<T: Scalar + Parts>(
    what: &str,
    layer: &impl Layer<T>,
    given: &Given<T>,
    mode: Mode<'_>,
) {
    let (theta, x) = (given.theta[0].as_slice(), &given.x[0]);
    let ((inputs, m), outputs, p) = (x.shape(), given.delta[0].nrows(), theta.len());
    let plan = mode.plan::<T, _>(layer, inputs);
    let at = mode.at(&plan, theta);
    let (mut kept, mut a) = (nan::<T>(plan.kept(mode.keep, m), 1), nan(outputs, m));
    let (to, view) = (kept.as_mut_slice(), a.as_view_mut());
    layer.forward(Forward::new(at, x.as_view(), view, to));
    let of_each = |wanted: LayerGradient<'_, T>| {
        let (mut delta, mut below) = (given.delta[0].clone(), nan(inputs, m));
        let mut room = nan(plan.room_len(m), 1);
        let (output, view) = (a.as_view(), delta.as_view_mut());
        let mut pass = Backward::new(at, x.as_view(), output, kept.as_slice(), view);
        pass.linked = mode.linked;
        pass.gradient = wanted;
        pass.input_delta = Some(below.as_view_mut());
        pass.room = room.as_mut_slice();
        layer.backward_each(pass);
        (below, delta)
    };
    // Two entries between the gradients belong to other layers.
    let (three, stride) = (convert::<f64, T>(3.0), p + 2);
    let mut gradients = DMatrix::repeat(stride, m, three);
    let (below, delta) = of_each(LayerGradient::Each {
        gradients: &mut gradients.as_mut_slice()[..stride * m - 2],
        stride,
    });
    assert!(gradients.rows(p, 2).iter().all(|&g| g == three), "{what}");
    let mut norms = vec![three; m];
    let (same, same_delta) = of_each(LayerGradient::SquaredNorms(&mut norms));
    let close = |of: &str, found: &[T], expected: &[T]| {
        assert_close(&format!("{of} of {what}"), found, expected);
    };
    close("below", same.as_slice(), below.as_slice());
    close("δ", same_delta.as_slice(), delta.as_slice());

    let column = |of: &DMatrix<T>, k: usize| of.columns(k, 1).clone_owned();
    for (k, &norm) in norms.iter().enumerate() {
        let [x, mut alone] = [x, &given.delta[0]].map(|of| column(of, k));
        let (mut kept, mut a) = (nan::<T>(plan.kept(mode.keep, 1), 1), nan(outputs, 1));
        let (to, view) = (kept.as_mut_slice(), a.as_view_mut());
        layer.forward(Forward::new(at, x.as_view(), view, to));
        let (mut gradient, mut expected) = (nan::<T>(p, 1), nan(inputs, 1));
        let (output, to) = (a.as_view(), alone.as_view_mut());
        let mut pass = Backward::new(at, x.as_view(), output, kept.as_slice(), to);
        pass.linked = mode.linked;
        pass.gradient = LayerGradient::Sum(gradient.as_mut_slice());
        pass.input_delta = Some(expected.as_view_mut());
        layer.backward(pass);
        let found = gradients.view((0, k), (p, 1)).clone_owned();
        close("gradient", found.as_slice(), gradient.as_slice());
        let squares = gradient.iter().fold(three, |sum, &g| sum + g * g);
        close("squared norm", &[norm], &[squares]);
        close("below", column(&below, k).as_slice(), expected.as_slice());
        close("δ", column(&delta, k).as_slice(), alone.as_slice());
    }
}

#[test]
fn a_batch_equals_one_pass_per_example() {
    examples_alone::<f64>();
    examples_alone::<Dual64>();
}
