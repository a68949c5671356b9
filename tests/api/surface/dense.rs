//! A dense layer on its own: tangents against dual numbers, and per-example gradients against a
//! pass for each example.

use super::dual::{nan, wave};
use backprop::activation::{AnyActivation, Gelu, Identity, Sigmoid, Softmax, Softsign, Tanh};
use backprop::layer::{Backward, BackwardTangent, Forward, ForwardTangent, Layer, PerExample};
use backprop::nalgebra::{DMatrix, DMatrixView, convert};
use backprop::{Dense, Scalar};
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

/// Gradient, error below and δ, each with its derivative, and before them z and a.
type Results<T> = [[DMatrix<T>; 2]; 5];

fn by_dual_numbers<T: Lift>(
    layer: &Dense,
    given: &Given<T>,
    moves: [bool; 2],
    linked: bool,
) -> Results<T> {
    let lift = |[value, tangent]: &[DMatrix<T>; 2], moves: bool| {
        value.zip_map(tangent, |x, t| x.lift(if moves { t } else { T::zero() }))
    };
    let (theta, x) = (lift(&given.theta, moves[0]), lift(&given.x, moves[1]));
    let mut delta = lift(&given.delta, true);
    let (mut a, mut below) = (delta.clone(), x.clone());
    let (mut z, mut gradient) = (delta.clone(), theta.clone());
    let (theta, kept) = (theta.as_slice(), z.as_mut_slice());
    layer.forward(Forward::new(theta, x.as_view(), a.as_view_mut(), kept));
    let (output, view) = (a.as_view(), delta.as_view_mut());
    let mut pass = Backward::new(theta, x.as_view(), output, z.as_slice(), view);
    pass.linked = linked;
    pass.gradient = Some(gradient.as_mut_slice());
    pass.input_delta = Some(below.as_view_mut());
    layer.backward(pass);
    [z, a, gradient, below, delta].map(|wide| [0, 1].map(|i| wide.map(|w| T::parts(w)[i])))
}

fn by_tangents<T: Scalar>(
    layer: &Dense,
    given: &Given<T>,
    moves: [bool; 2],
    linked: bool,
) -> Results<T> {
    let (theta, x) = (given.theta[0].as_slice(), given.x[0].as_view());
    let theta_tangent = moves[0].then_some(given.theta[1].as_slice());
    let x_tangent = moves[1].then_some(given.x[1].as_view());
    let buffers = |like: &DMatrix<T>| [0, 1].map(|_| nan::<T>(like.nrows(), like.ncols()));
    let [mut z, mut z_dot] = buffers(&given.delta[0]);
    let [mut a, mut a_dot] = buffers(&given.delta[0]);
    let [mut gradient, mut gradient_dot] = buffers(&given.theta[0]);
    let [mut below, mut below_dot] = buffers(&given.x[0]);
    let [mut delta, mut delta_dot] = given.delta.clone();
    layer.forward(Forward::new(theta, x, a.as_view_mut(), z.as_mut_slice()));
    let (kept, kept_dot) = (z.as_slice(), z_dot.as_mut_slice());
    let (output, out) = (a.as_view(), a_dot.as_view_mut());
    let mut pass = ForwardTangent::new(theta, x, output, kept, out, kept_dot);
    (pass.theta_tangent, pass.input_tangent) = (theta_tangent, x_tangent);
    layer.forward_tangent(pass).unwrap();
    let mut pass = Backward::new(theta, x, a.as_view(), z.as_slice(), delta.as_view_mut());
    pass.linked = linked;
    pass.gradient = Some(gradient.as_mut_slice());
    pass.input_delta = Some(below.as_view_mut());
    let (output, kept) = (a_dot.as_view(), z_dot.as_slice());
    let mut along = BackwardTangent::new(pass, output, kept, delta_dot.as_view_mut());
    (along.theta_tangent, along.input_tangent) = (theta_tangent, x_tangent);
    along.gradient_tangent = Some(gradient_dot.as_mut_slice());
    along.input_delta_tangent = Some(below_dot.as_view_mut());
    layer.backward_tangent(along).unwrap();
    [
        [z, z_dot],
        [a, a_dot],
        [gradient, gradient_dot],
        [below, below_dot],
        [delta, delta_dot],
    ]
}

fn agrees<T: Lift + Parts>(given: impl Fn((usize, usize, usize)) -> Given<T>) {
    for shape in SHAPES {
        let given = given(shape);
        for g in ACTIVATIONS {
            let layer = Dense::new(shape.0, shape.1, g);
            for bits in 0..8 {
                let [theta, input, linked] = [1, 2, 4].map(|bit| bits & bit != 0);
                let moves = [theta, input];
                let found = by_tangents(&layer, &given, moves, linked);
                let expected = by_dual_numbers(&layer, &given, moves, linked);
                let names = ["z", "a", "gradient", "below", "δ"];
                for (name, (found, expected)) in names.iter().zip(found.iter().zip(&expected)) {
                    for (part, (found, expected)) in found.iter().zip(expected).enumerate() {
                        let what = format!(
                            "{name}, derivative {part}, of {g:?} {shape:?}, θ̇: {theta}, \
                             ẋ: {input}, linked: {linked}"
                        );
                        assert_close(&what, found.as_slice(), expected.as_slice());
                    }
                }
            }
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

/// Per-example gradients, their squared norms and the errors for the layer below equal those of a
/// pass with one example.
fn examples_alone<T: Scalar + Parts>() {
    for (inputs, outputs, m) in SHAPES {
        let shape = (inputs, outputs, m);
        let given = Given::<T>::new(shape);
        let (theta, x) = (given.theta[0].as_slice(), &given.x[0]);
        for (g, linked) in ACTIVATIONS
            .into_iter()
            .flat_map(|g| [(g, false), (g, true)])
        {
            let layer = Dense::new(inputs, outputs, g);
            let (mut z, mut a) = (nan::<T>(outputs, m), nan(outputs, m));
            let (kept, view) = (z.as_mut_slice(), a.as_view_mut());
            layer.forward(Forward::new(theta, x.as_view(), view, kept));
            let per_example = |wanted: PerExample<'_, T>| {
                let (mut delta, mut below) = (given.delta[0].clone(), nan(inputs, m));
                let (output, view) = (a.as_view(), delta.as_view_mut());
                let mut pass = Backward::new(theta, x.as_view(), output, z.as_slice(), view);
                pass.linked = linked;
                pass.input_delta = Some(below.as_view_mut());
                layer.backward_per_example(pass, wanted).unwrap();
                below
            };
            let mut gradients = nan::<T>(theta.len(), m);
            let below = per_example(PerExample::Gradients(gradients.as_view_mut()));
            let three: T = convert(3.0);
            let mut norms = vec![three; m];
            let same = per_example(PerExample::SquaredNorms(&mut norms));
            let what = |of: &str| format!("{of} of {g:?} {shape:?}, linked: {linked}");
            assert_close(&what("below"), same.as_slice(), below.as_slice());

            let column = |of: &DMatrix<T>, k: usize| of.columns(k, 1).clone_owned();
            for (k, &norm) in norms.iter().enumerate() {
                let [x, z, a, mut delta] = [x, &z, &a, &given.delta[0]].map(|of| column(of, k));
                let (mut gradient, mut expected) = (nan::<T>(theta.len(), 1), nan(inputs, 1));
                let view: DMatrixView<'_, T> = a.as_view();
                let to = delta.as_view_mut();
                let mut pass = Backward::new(theta, x.as_view(), view, z.as_slice(), to);
                pass.linked = linked;
                pass.gradient = Some(gradient.as_mut_slice());
                pass.input_delta = Some(expected.as_view_mut());
                layer.backward(pass);
                let found = column(&gradients, k);
                assert_close(&what("gradient"), found.as_slice(), gradient.as_slice());
                let squares = gradient.iter().fold(three, |sum, &g| sum + g * g);
                assert_close(&what("squared norm"), &[norm], &[squares]);
                let found = column(&below, k);
                assert_close(&what("below"), found.as_slice(), expected.as_slice());
            }
        }
    }
}

#[test]
fn a_batch_equals_one_pass_per_example() {
    examples_alone::<f64>();
    examples_alone::<Dual64>();
}
