//! Single parts of a pass: activations and dense layers, through their traits.
//!
//! ```sh
//! cargo bench --bench micro -- relu
//! ```

use backprop::activation::{Activation, AnyActivation, Relu, Sigmoid, Softmax, Tanh};
use backprop::layer::{Backward, Forward};
use backprop::nalgebra::{DMatrix, convert};
use backprop::{Dense, Layer, Scalar};
use divan::{Bencher, black_box, counter::ItemsCount};

fn main() {
    divan::main();
}

/// Returns numbers of alternating sign and different sizes, about ±4.
fn values<T: Scalar>(rows: usize, cols: usize) -> DMatrix<T> {
    DMatrix::from_fn(rows, cols, |i, j| {
        convert((((i + 7 * j) * 37 % 101) as f64 - 50.0) / 12.0)
    })
}

const ACTIVATIONS: [AnyActivation; 4] = [Sigmoid, Tanh, Relu, Softmax];
/// The numbers of units and examples.
const SIZES: [(usize, usize); 3] = [(10, 1), (128, 64), (1000, 125)];

fn activations() -> impl Iterator<Item = Case> {
    let sizes = |activation| {
        SIZES.map(|(units, examples)| Case {
            activation,
            units,
            examples,
        })
    };
    ACTIVATIONS.into_iter().flat_map(sizes)
}

#[derive(Debug)]
struct Case {
    activation: AnyActivation,
    units: usize,
    examples: usize,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = format!("{:?}", self.activation).to_lowercase();
        write!(f, "{name} {} × {}", self.units, self.examples)
    }
}

#[divan::bench(types = [f32, f64], args = activations())]
fn activation_forward<T: Scalar>(bencher: Bencher<'_, '_>, case: &Case) {
    let z = values::<T>(case.units, case.examples);
    let mut a = DMatrix::zeros(case.units, case.examples);
    bencher.counter(ItemsCount::new(z.len())).bench_local(|| {
        case.activation
            .forward(black_box(z.as_view()), a.as_view_mut());
        black_box(a.as_slice().first());
    });
}

#[divan::bench(types = [f32, f64], args = activations())]
fn activation_backward<T: Scalar>(bencher: Bencher<'_, '_>, case: &Case) {
    let z = values::<T>(case.units, case.examples);
    let mut a = DMatrix::zeros(case.units, case.examples);
    case.activation.forward(z.as_view(), a.as_view_mut());
    // Backward multiplies in place, so each call gets a fresh δ. Otherwise δ would become
    // subnormal. The copy is part of the time.
    let (fresh, mut delta) = (values::<T>(case.units, case.examples), a.clone());
    bencher.counter(ItemsCount::new(z.len())).bench_local(|| {
        delta.copy_from(&fresh);
        case.activation
            .backward(black_box(z.as_view()), a.as_view(), delta.as_view_mut());
        black_box(delta.as_slice().first());
    });
}

#[derive(Debug)]
struct Shape {
    outputs: usize,
    inputs: usize,
    examples: usize,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} × {}, m = {}",
            self.outputs, self.inputs, self.examples
        )
    }
}

fn shapes() -> impl Iterator<Item = Shape> {
    let sizes = [(4, 2), (25, 400), (128, 784), (1024, 1024)];
    let batches = |(outputs, inputs)| {
        [1, 64].map(|examples| Shape {
            outputs,
            inputs,
            examples,
        })
    };
    sizes.into_iter().flat_map(batches)
}

/// A layer of identity units, so the time is that of the products, with the buffers of a pass.
struct Pass<T: Scalar> {
    layer: Dense,
    theta: Vec<T>,
    input: DMatrix<T>,
    output: DMatrix<T>,
    cache: Vec<T>,
    delta: DMatrix<T>,
    gradient: Vec<T>,
    input_delta: DMatrix<T>,
    scratch: Vec<T>,
}

impl<T: Scalar> Pass<T> {
    fn new(shape: &Shape) -> Self {
        let Shape {
            outputs,
            inputs,
            examples,
        } = *shape;
        let layer = Dense::new(inputs, outputs, AnyActivation::Identity);
        Self {
            layer,
            theta: values::<T>(outputs, inputs + 1).as_slice().to_vec(),
            input: values(inputs, examples),
            output: DMatrix::zeros(outputs, examples),
            cache: vec![T::zero(); Layer::<T>::cache_len(&layer, examples)],
            delta: values(outputs, examples),
            gradient: vec![T::zero(); outputs * (inputs + 1)],
            input_delta: DMatrix::zeros(inputs, examples),
            scratch: vec![T::zero(); Layer::<T>::scratch_len(&layer, examples)],
        }
    }
}

#[divan::bench(types = [f32, f64], args = shapes())]
fn dense_forward<T: Scalar>(bencher: Bencher<'_, '_>, shape: &Shape) {
    let mut p = Pass::<T>::new(shape);
    bencher.bench_local(|| {
        let input = black_box(p.input.as_view());
        let mut pass = Forward::new(&p.theta, input, p.output.as_view_mut(), &mut p.cache);
        pass.scratch = &mut p.scratch;
        p.layer.forward(pass);
        black_box(p.output.as_slice().first());
    });
}

#[divan::bench(types = [f32, f64], args = shapes())]
fn dense_backward<T: Scalar>(bencher: Bencher<'_, '_>, shape: &Shape) {
    let mut p = Pass::<T>::new(shape);
    p.layer.forward(Forward::new(
        &p.theta,
        p.input.as_view(),
        p.output.as_view_mut(),
        &mut p.cache,
    ));
    bencher.bench_local(|| {
        let input = black_box(p.input.as_view());
        let delta = p.delta.as_view_mut();
        let mut pass = Backward::new(&p.theta, input, p.output.as_view(), &p.cache, delta);
        pass.scratch = &mut p.scratch;
        pass.gradient = Some(&mut p.gradient);
        pass.input_delta = Some(p.input_delta.as_view_mut());
        p.layer.backward(pass);
        black_box((p.gradient.first(), p.input_delta.as_slice().first()));
    });
}
