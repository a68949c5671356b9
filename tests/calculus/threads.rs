//! Any number of threads gives the same bits, however a batch is computed.

#![allow(clippy::unwrap_used, reason = "test helpers may panic to fail tests")]

use backprop::activation::{Identity, Relu, Sigmoid, Softmax, Tanh};
use backprop::layer::{AnyLayer, Backward, Couples, Forward, Layer, Plan, Site};
use backprop::nalgebra::{DMatrix, RealField, convert};
use backprop::{
    Accumulator, AnyActivation, AnyCost, BinaryCrossEntropy, Builder, CategoricalCrossEntropy,
    Error, Examples, GaussNewton, Initialization, Location, Network, Objective, Scalar,
    SquaredError, Tangent, Workspace, rng,
};
use std::sync::Mutex;

/// Passes its inputs through and records the number of examples of each call.
#[derive(Debug)]
struct Through {
    couples: bool,
    widths: Mutex<Vec<(usize, usize)>>,
}

impl<T: Scalar> Layer<T> for Through {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        let plan = Plan::new(site, site.input);
        Ok(match self.couples {
            true => plan.couples(Couples::Always),
            false => plan,
        })
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        let seen = (pass.at.first_example, pass.input.ncols());
        self.widths.lock().unwrap().push(seen);
        pass.output.copy_from(&pass.input);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
        }
    }
}

type Mixed<T> = Network<T, AnyLayer<Through>>;

fn network<T: Scalar>(sizes: &[usize], hidden: AnyActivation, output: AnyActivation) -> Mixed<T> {
    let mut builder = Builder::<T, AnyLayer<Through>>::new(sizes[0]);
    for &units in &sizes[1..sizes.len() - 1] {
        builder = builder.dense(units, hidden);
    }
    let through = Through {
        couples: false,
        widths: Mutex::new(Vec::new()),
    };
    builder
        .layer(AnyLayer::Custom(through))
        .dense(*sizes.last().unwrap(), output)
        .initialize(Initialization::GlorotUniform, &mut rng(5))
        .unwrap()
}

fn data<T: Scalar>(n: usize, k: usize, m: usize) -> (DMatrix<T>, DMatrix<T>) {
    let x = DMatrix::from_fn(n, m, |i, j| {
        convert((1.3 * i as f64 + 0.7 * j as f64).sin())
    });
    let y = DMatrix::from_fn(k, m, |i, j| convert(f64::from(i == j % k)));
    (x, y)
}

/// J, ∇J, the outputs and ∂J/∂X with this number of threads; 0 means outside any pool.
fn results<T: RealField + Copy>(
    threads: usize,
    network: &Mixed<T>,
    (x, y, weights): (&DMatrix<T>, &DMatrix<T>, &[f64]),
    cost: AnyCost,
) -> Vec<u64> {
    let compute = || {
        let examples = Examples::new(x, y).unwrap().weighted(weights).unwrap();
        let objective = Objective::new(cost).l2(0.3);
        let mut workspace = Workspace::new();
        let mut gradient = vec![T::zero(); network.parameters()];
        let j = network
            .gradient_into(&examples, &objective, &mut workspace, &mut gradient)
            .unwrap();
        let mut all = vec![j.total()];
        all.extend(gradient);
        all.extend(workspace.costs());
        all.extend(network.forward(x).unwrap().iter());
        all.extend(
            network
                .input_gradient(&examples, &objective)
                .unwrap()
                .iter(),
        );
        all.iter()
            .map(|&value| {
                backprop::nalgebra::try_convert::<T, f64>(value)
                    .unwrap()
                    .to_bits()
            })
            .collect()
    };
    if threads == 0 {
        return compute();
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(compute)
}

fn same_bits<T: RealField + Copy>(
    sizes: &[usize],
    hidden: AnyActivation,
    (output, cost): (AnyActivation, AnyCost),
    m: usize,
) {
    let network = network::<T>(sizes, hidden, output);
    let (x, y) = data(sizes[0], *sizes.last().unwrap(), m);
    let weights: Vec<f64> = (0..m).map(|k| 0.5 + (k % 3) as f64).collect();
    let one = results(1, &network, (&x, &y, &weights), cost);
    for threads in [0, 2, 3, 8] {
        let found = results(threads, &network, (&x, &y, &weights), cost);
        assert!(found == one, "{sizes:?}, m = {m}, {threads} threads");
    }
}

/// Every derivative except the full Hessian, with this number of threads.
fn derivatives<T: RealField + Copy>(
    threads: usize,
    network: &Network<T>,
    (x, y, weights): (&DMatrix<T>, &DMatrix<T>, &[f64]),
    cost: AnyCost,
) -> Vec<u64> {
    let compute = || {
        let (p, n, m) = (network.parameters(), network.inputs(), x.ncols());
        let examples = Examples::new(x, y).unwrap().weighted(weights).unwrap();
        let objective = Objective::new(cost).l2(0.3);
        let wave = |i: usize| convert::<f64, T>((0.7 * i as f64).sin());
        let v: Vec<T> = (0..2 * p).map(wave).collect();
        let (x_dot, u) = (x.map(|x| x * x), y.map(|y| y + T::one()));
        let mut all: Vec<T> = Vec::new();
        let direction = Tangent::of_parameters(&v[..p]).and_inputs(&x_dot);
        all.extend(network.jvp(x, direction).unwrap().iter());
        let (of_theta, of_x) = network.vjp(x, &u).unwrap();
        all.extend(of_theta.iter().chain(of_x.iter()));
        let (pass, by_x) = network.gradients(&examples, &objective).unwrap();
        all.extend(pass.gradient().vector().iter().chain(by_x.iter()));
        // The calls share a workspace, so each starts with what the previous one left.
        let (mut workspace, mut product) = (Workspace::new(), vec![T::zero(); 2 * p]);
        let w = &mut workspace;
        network
            .hessian_product_into(&examples, &objective, &v, w, &mut product)
            .unwrap();
        all.extend(&product);
        for at in [GaussNewton::Logits, GaussNewton::Fisher] {
            network
                .gauss_newton_product_into(&examples, &objective, (at, &v), w, &mut product)
                .unwrap();
            all.extend(&product);
        }
        network.gram_product_into(x, &v, w, &mut product).unwrap();
        all.extend(&product);
        let mut norms = vec![T::zero(); m];
        network
            .example_gradients(&examples, &cost)
            .norms_into(w, &mut norms)
            .unwrap();
        all.extend(&norms);
        let most = backprop::nalgebra::try_convert::<T, f64>(norms[0]).unwrap();
        let sum = &mut product[..p];
        network
            .example_gradients(&examples, &cost)
            .clipped_sum(0.9 * most, w, sum)
            .unwrap();
        all.extend(&*sum);
        network
            .example_gradients(&examples, &cost)
            .for_each(w, |_, gradient| {
                all.push(gradient.iter().fold(T::zero(), |sum, &g| sum * wave(3) + g));
            })
            .unwrap();
        // These have P or K · n numbers per example, so they are computed only for small sizes.
        if p * m < 2_000_000 {
            all.extend(
                network
                    .example_gradients(&examples, &cost)
                    .matrix()
                    .unwrap()
                    .iter(),
            );
        }
        if n < 50 {
            all.extend(network.output_jacobian(x).unwrap().iter());
        }
        let values = all.iter().map(|&value| {
            let value = backprop::nalgebra::try_convert::<T, f64>(value).unwrap();
            assert!(value.is_finite());
            value.to_bits()
        });
        values.collect()
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(compute)
}

fn same_bits_of_derivatives<T: RealField + Copy>(
    sizes: &[usize],
    hidden: AnyActivation,
    (output, cost): (AnyActivation, AnyCost),
    m: usize,
) {
    let mut builder = Network::<T>::builder(sizes[0]);
    for &units in &sizes[1..sizes.len() - 1] {
        builder = builder.dense(units, hidden);
    }
    let k = *sizes.last().unwrap();
    let network = builder.dense(k, output);
    let network = network
        .initialize(Initialization::GlorotUniform, &mut rng(5))
        .unwrap();
    let (x, y) = data(sizes[0], k, m);
    let weights: Vec<f64> = (0..m).map(|k| 0.5 + (k % 3) as f64).collect();
    let one = derivatives(1, &network, (&x, &y, &weights), cost);
    for threads in [2, 3, 8] {
        let found = derivatives(threads, &network, (&x, &y, &weights), cost);
        assert!(found == one, "{sizes:?}, m = {m}, {threads} threads");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_derivatives() {
    let softmax = (Softmax, CategoricalCrossEntropy);
    // Batches computed as a whole, in parts, and by parallel products.
    for m in [64, 513, 2803] {
        same_bits_of_derivatives::<f64>(&[40, 25, 10], Tanh, (Sigmoid, BinaryCrossEntropy), m);
        same_bits_of_derivatives::<f32>(&[4, 32, 16, 7], Relu, (Identity, SquaredError), m);
    }
    same_bits_of_derivatives::<f32>(&[300, 1024, 256, 10], Tanh, softmax, 25);
    same_bits_of_derivatives::<f64>(&[300, 700, 300, 10], Tanh, softmax, 7);
    same_bits_of_derivatives::<f64>(&[100, 128, 64, 10], Relu, softmax, 1025);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let softmax = (Softmax, CategoricalCrossEntropy);
    // Batches computed as a whole, in equal and unequal parts, and by parallel products.
    for m in [64, 511, 512, 513, 1000, 2803] {
        same_bits::<f64>(&[40, 25, 10], Sigmoid, (Sigmoid, BinaryCrossEntropy), m);
        same_bits::<f32>(&[4, 32, 16, 4], Tanh, (Identity, SquaredError), m);
    }
    for m in [1, 2, 3, 25, 47, 70, 513] {
        same_bits::<f32>(&[300, 1024, 256, 10], Relu, softmax, m);
        same_bits::<f64>(&[300, 700, 300, 10], Tanh, softmax, m);
    }
    same_bits::<f32>(&[784, 128, 64, 10], Relu, softmax, 64);
    same_bits::<f64>(&[784, 128, 64, 10], Relu, softmax, 1025);
    // Products with one column take their rows in groups: z of one example and Δ of one unit.
    same_bits::<f32>(&[1500, 1088, 10], Relu, softmax, 1);
    same_bits::<f32>(&[2048, 2048, 10], Relu, softmax, 1);
    same_bits::<f32>(&[3, 4160, 1], Tanh, (Sigmoid, BinaryCrossEntropy), 500);
}

#[test]
fn parts_add_up_to_the_whole() {
    let network = network::<f64>(&[30, 20, 10, 5], Tanh, Softmax);
    let (x, y) = data(30, 5, 1500);
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.2);
    let whole = network
        .backprop(&Examples::new(&x, &y).unwrap(), &objective)
        .unwrap();
    let (mut sums, mut workspace) = (Accumulator::new(&network).unwrap(), Workspace::new());
    // Batches too small to split.
    for first in (0..1500).step_by(100) {
        let batch = Examples::new(x.columns(first, 100), y.columns(first, 100)).unwrap();
        sums.add(&network, &batch, &objective.cost, &mut workspace)
            .unwrap();
    }
    let sum = sums.finish(&network, &objective.penalty).unwrap();
    assert!((sum.cost() - whole.cost()).abs() <= 1e-14 * whole.cost());
    let (sum, whole) = (sum.gradient().vector(), whole.gradient().vector());
    assert!((sum - whole).amax() <= 1e-13 * whole.amax());
}

#[test]
fn errors_count_the_examples_of_the_whole_batch() {
    let network = network::<f64>(&[3, 4, 2], Identity, Identity);
    let (mut x, y) = data(3, 2, 1300);
    (x[(1, 1203)], x[(2, 777)]) = (1e200, 1e200);
    for threads in [1, 2, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        let objective = Objective::new(SquaredError);
        let examples = Examples::new(&x, &y).unwrap();
        let found = pool.install(|| network.cost(&examples, &objective));
        // The squares overflow; the sums before them do not.
        let Err(Error::NonFinite {
            at: Location::Cost { example },
            value,
        }) = found
        else {
            panic!("{found:?}");
        };
        assert_eq!((example, value), (777, f64::INFINITY));
        let mut bad = x.clone();
        bad[(0, 901)] = f64::NAN;
        let found = pool.install(|| network.forward(&bad));
        assert!(
            matches!(
                found,
                Err(Error::NonFinite {
                    at: Location::Input { row: 0, col: 901, .. },
                    value,
                }) if value.is_nan()
            ),
            "{found:?}"
        );
    }
}

#[test]
fn a_layer_that_couples_examples_gets_them_all() {
    for couples in [true, false] {
        let through = Through {
            couples,
            widths: Mutex::new(Vec::new()),
        };
        let network: Mixed<f64> = Builder::new(4)
            .layer(AnyLayer::Custom(through))
            .dense(2, Identity)
            .zeros()
            .unwrap();
        let (x, y) = data(4, 2, 2000);
        let examples = Examples::new(&x, &y).unwrap();
        network
            .backprop(&examples, &Objective::new(SquaredError))
            .unwrap();
        let AnyLayer::Custom(through) = &network.layers()[0] else {
            panic!("the first layer is ours");
        };
        let mut widths = through.widths.lock().unwrap().clone();
        widths.sort_unstable();
        if couples {
            assert_eq!(widths, [(0, 2000)]);
        } else {
            // Consecutive parts without gap or overlap, each with its starting index.
            assert!(widths.len() > 1);
            let end = widths.iter().fold(0, |end, &(first, width)| {
                assert_eq!(first, end);
                first + width
            });
            assert_eq!(end, 2000);
        }
    }
}
