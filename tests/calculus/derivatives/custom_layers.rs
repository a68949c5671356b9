//! Custom layers, activations and costs: with all methods, with some, and with only `forward` and
//! `backward`.

use super::{close, wave, wave_matrix};
use crate::support::custom_types::{Counts, Cubic, Doubling, LowRank};
use backprop::activation::{Identity, Sigmoid, Tanh};
use backprop::cost::{Cost, Outputs};
use backprop::layer::{
    AnyLayer, Backward, BackwardTangent, Block, Couples, Dense, Forward, ForwardTangent, Layer,
    LayerGradient, Len, Plan, Site,
};
use backprop::nalgebra::{DMatrix, DMatrixViewMut, convert};
use backprop::{
    BinaryCrossEntropy, Builder, Error, Examples, GaussNewton, Initialization, Network, Objective,
    Scalar, SquaredError, Tangent, Workspace, rng,
};
use num_dual::Dual64;
use std::fmt::Debug;

/// aᵢ = γᵢ xᵢ, with neither tangents nor a `backward_each` of its own. What it keeps is not a
/// matrix of the batch: it begins with one entry for each example, and then holds x with the last
/// example first. Training drops half of the units.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plain {
    pub(super) units: usize,
    pub(super) couples: bool,
}

impl Plain {
    fn kept(&self, (training, seed): (bool, u64), unit: usize, example: usize) -> bool {
        let hash =
            (seed ^ ((unit as u64) << 32) ^ example as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        !training || (hash >> 40).count_ones().is_multiple_of(2)
    }
}

impl<T: Scalar> Layer<T> for Plain {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        site.check_inputs(self.units)?;
        let plan = Plan::new(site, self.units)
            .block(Block::new("γ", self.units, 1))
            .keeps(Len::each(1 + self.units));
        Ok(match self.couples {
            true => plan.couples(Couples::Always),
            false => plan,
        })
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        let m = pass.input.ncols();
        let mode = (pass.at.training, pass.at.seed);
        pass.kept.fill(T::zero());
        for k in 0..m {
            for i in 0..self.units {
                if self.kept(mode, i, pass.at.first_example + k) {
                    pass.kept[m + (m - 1 - k) * self.units + i] = pass.input[(i, k)];
                }
                pass.output[(i, k)] =
                    pass.at.theta[i] * pass.kept[m + (m - 1 - k) * self.units + i];
            }
        }
    }

    fn backward(&self, pass: Backward<'_, T>) {
        let m = pass.input.ncols();
        let mode = (pass.at.training, pass.at.seed);
        if let LayerGradient::Sum(gradient) = pass.gradient {
            gradient.fill(T::zero());
            for k in 0..m {
                let x = &pass.kept[m + (m - 1 - k) * self.units..];
                for (i, g) in gradient.iter_mut().enumerate() {
                    *g += pass.delta[(i, k)] * x[i];
                }
            }
        }
        if let Some(mut below) = pass.input_delta {
            for k in 0..m {
                for i in 0..self.units {
                    let kept = self.kept(mode, i, pass.at.first_example + k);
                    let slope = if kept { pass.at.theta[i] } else { T::zero() };
                    below[(i, k)] = slope * pass.delta[(i, k)];
                }
            }
        }
    }
}

/// A layer with tangents that declares no z.
#[derive(Clone, Debug, PartialEq)]
struct WithoutZ(LowRank<Cubic>);

impl<T: Scalar> Layer<T> for WithoutZ {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        let LowRank {
            inputs,
            rank,
            outputs,
            ..
        } = self.0;
        Ok(Plan::new(site, outputs)
            .block(Block::new("V", rank, inputs))
            .block(Block::new("U", outputs, rank + 1).penalised_from_column(1))
            .keeps(Len::each(outputs + rank)))
    }

    fn forward(&self, pass: Forward<'_, T>) {
        self.0.forward(pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        self.0.backward(pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        self.0.forward_tangent(pass)
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        self.0.backward_tangent(along)
    }
}

/// Σ d⁴/4, without a tangent.
#[derive(Clone, Debug)]
struct Quartic;

impl<T: Scalar> Cost<T> for Quartic {
    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
        for (k, value) in values.iter_mut().enumerate() {
            let d = at.a.column(k) - at.y.column(k);
            *value = d.fold(T::zero(), |sum, d| sum + d * d * d * d) * convert(0.25);
        }
    }

    fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        delta.zip_zip_apply(&at.a, &at.y, |out, a, y| *out = (a - y) * (a - y) * (a - y));
    }
}

pub(super) type Smooth = AnyLayer<LowRank<Cubic>>;

const fn low_rank(inputs: usize, outputs: usize) -> LowRank<Cubic> {
    LowRank {
        inputs,
        rank: 2,
        outputs,
        activation: Cubic { c: 0.125 },
    }
}

/// An n-4-3-k network: a built-in layer, a custom one, a built-in one.
pub(super) fn smooth<A>(n: usize, k: usize, last: A) -> Network<f64, Smooth>
where
    A: Into<backprop::AnyActivation>,
{
    Builder::new(n)
        .dense(4, Tanh)
        .layer(AnyLayer::Custom(low_rank(4, 3)))
        .dense(k, last.into())
        .initialize(Initialization::GlorotUniform, &mut rng(4))
        .unwrap()
}

/// An n-5-(5)-k network with a plain layer.
pub(super) fn plain(n: usize, k: usize, couples: bool) -> Network<f64, AnyLayer<Plain>> {
    let builder = Builder::new(n).dense(5, Tanh);
    let middle = AnyLayer::Custom(Plain { units: 5, couples });
    let builder = builder.layer(middle).dense(k, Identity);
    let start = Initialization::GlorotUniform;
    builder.initialize(start, &mut rng(6)).unwrap()
}

pub(super) fn data(n: usize, k: usize, m: usize) -> (DMatrix<f64>, DMatrix<f64>) {
    (wave_matrix(n, m, 0.2), wave_matrix(k, m, 0.9).map(f64::abs))
}

#[track_caller]
pub(super) fn same(found: &[f64], expected: &[f64]) {
    close(found, expected, 0.1).unwrap();
}

#[track_caller]
pub(super) fn lacks<R: Debug>(found: Result<R, Error>, method: &str, of: &str) {
    match found {
        Err(Error::Unsupported { what, by }) => {
            assert_eq!(what, method);
            assert!(by.contains(of), "{method} of {by}");
        }
        other => panic!("{method} of {of}: {other:?}"),
    }
}

/// Compares all products of a network with custom tangents with dual numbers.
#[test]
fn custom_tangents_are_used() {
    for (n, k) in [(3, 2), (2, 3)] {
        let network = smooth(n, k, Sigmoid);
        let (x, y) = data(n, k, 6);
        let weights = [1.0, 0.0, 2.0, 0.5, 1.0, 3.0];
        let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
        let objective = Objective::new(BinaryCrossEntropy).l2(0.7);
        let (v, x_dot) = (wave(network.parameters(), 0.3), wave_matrix(n, 6, 0.4));

        let mut index = 0..;
        let lifted = network
            .map(|w| Dual64::new(w, v[index.next().unwrap()]))
            .unwrap();
        let (still, y_dual) = (x.map(Dual64::from_re), y.map(Dual64::from_re));
        let of_duals = Examples::new(&still, &y_dual)
            .unwrap()
            .weighted(&weights)
            .unwrap();
        let gradient = lifted.gradient_vector(&of_duals, &objective).unwrap();
        let found = network.hessian_product(&examples, &objective, &v).unwrap();
        same(found.as_slice(), gradient.map(|g| g.eps).as_slice());

        let moved = x.zip_map(&x_dot, Dual64::new);
        let outputs = lifted.forward(&moved).unwrap();
        let direction = Tangent::of_parameters(&v).and_inputs(&x_dot);
        let found = network.jvp(&x, direction).unwrap();
        same(found.as_slice(), outputs.map(|a| a.eps).as_slice());

        let jacobian = network.output_jacobian(&x).unwrap();
        for example in 0..6 {
            let block = jacobian.columns(example * n, n) * x_dot.column(example);
            let one = network.jvp(x.column(example), Tangent::of_inputs(x_dot.column(example)));
            same(block.as_slice(), one.unwrap().as_slice());
        }

        // Boxes change no bit.
        let layers = network.layers().iter().cloned();
        let boxed: Vec<Box<dyn Layer<f64>>> = layers.map(|l| Box::new(l) as _).collect();
        let boxed = Network::from_layers(n, boxed, network.theta().as_slice()).unwrap();
        assert_eq!(
            boxed.hessian(&examples, &objective),
            network.hessian(&examples, &objective)
        );
        assert_eq!(boxed.jvp(&x, direction), network.jvp(&x, direction));
        assert_eq!(boxed.output_jacobian(&x), Ok(jacobian));
        let cost = &objective.cost;
        assert_eq!(
            boxed.example_gradients(&examples, cost).matrix(),
            network.example_gradients(&examples, cost).matrix()
        );
        for at in [
            GaussNewton::Logits,
            GaussNewton::Outputs,
            GaussNewton::Fisher,
        ] {
            assert_eq!(
                boxed.gauss_newton_product(&examples, &objective, at, &v),
                network.gauss_newton_product(&examples, &objective, at, &v)
            );
        }
    }
}

/// A custom last layer, with and without a link, and a custom canonical pair.
#[test]
fn custom_last_layers_have_gauss_newton_products() {
    let (x, y) = data(4, 3, 5);
    let examples = Examples::new(&x, &y).unwrap();
    let start = |layer: LowRank<backprop::AnyActivation>| {
        let builder = Builder::<f64, _>::new(4).layer(AnyLayer::Custom(layer));
        builder
            .initialize(Initialization::GlorotUniform, &mut rng(2))
            .unwrap()
    };
    let layer = |activation| LowRank {
        inputs: 4,
        rank: 2,
        outputs: 3,
        activation,
    };
    let network = start(layer(Sigmoid));
    let v = wave(network.parameters(), 0.8);
    // The network up to z: the identity in place of σ.
    let logits = Network::from_layers(
        4,
        vec![AnyLayer::Custom(layer(Identity))],
        network.theta().as_slice(),
    );
    let logits = logits.unwrap();
    let objective = Objective::new(BinaryCrossEntropy);
    let z_dot = logits.jvp(&x, Tangent::of_parameters(&v)).unwrap();
    let a = network.forward(&x).unwrap();
    let (of_a, _) = logits
        .vjp(&x, &a.zip_map(&z_dot, |a, t| a * (1.0 - a) * t))
        .unwrap();
    let expected = of_a / 5.0;
    for at in [GaussNewton::Logits, GaussNewton::Fisher] {
        let found = network
            .gauss_newton_product(&examples, &objective, at, &v)
            .unwrap();
        same(found.as_slice(), expected.as_slice());
    }
    // The identity has a link too, but for other costs.
    let objective = Objective::new(SquaredError);
    let gram = network.gram_product(&x, &v).unwrap() / 5.0;
    let found = network.gauss_newton_product(&examples, &objective, GaussNewton::Outputs, &v);
    same(found.unwrap().as_slice(), gram.as_slice());
    // For a pair that is not canonical, M at z has a term in σ″ that may be negative. It is the
    // second derivative of the cost as a function of z.
    let found = network.gauss_newton_product(&examples, &objective, GaussNewton::Logits, &v);
    let curvature = DMatrix::from_fn(3, 5, |i, k| {
        let (a, t) = (a[(i, k)], z_dot[(i, k)]);
        let slope = a * (1.0 - a);
        (slope * slope + (a - y[(i, k)]) * slope * (1.0 - 2.0 * a)) * t
    });
    let (expected, _) = logits.vjp(&x, &curvature).unwrap();
    same(found.unwrap().as_slice(), (expected / 5.0).as_slice());

    // A layer without a link may also declare z. It has products at z only if it does.
    let theta = network.theta().as_slice();
    let of = |layer| Network::from_layers(4, vec![layer], theta).unwrap();
    let (cubic, z) = (
        of(low_rank(4, 3)),
        of(LowRank {
            activation: Cubic { c: 0.0 },
            ..low_rank(4, 3)
        }),
    );
    let z_dot = z.jvp(&x, Tangent::of_parameters(&v)).unwrap();
    let (a, z_0) = (cubic.forward(&x).unwrap(), z.forward(&x).unwrap());
    let curvature = DMatrix::from_fn(3, 5, |i, k| {
        let (slope, bend) = (1.0 + 0.375 * z_0[(i, k)].powi(2), 0.75 * z_0[(i, k)]);
        (slope * slope + (a[(i, k)] - y[(i, k)]) * bend) * z_dot[(i, k)]
    });
    let (expected, _) = z.vjp(&x, &curvature).unwrap();
    let found = cubic.gauss_newton_product(&examples, &objective, GaussNewton::Logits, &v);
    same(found.unwrap().as_slice(), (expected / 5.0).as_slice());
    let cubic = Builder::<f64, AnyLayer<WithoutZ>>::new(4)
        .layer(AnyLayer::Custom(WithoutZ(low_rank(4, 3))));
    let cubic = cubic
        .initialize(Initialization::GlorotUniform, &mut rng(2))
        .unwrap();
    let found = cubic.gauss_newton_product(&examples, &objective, GaussNewton::Logits, &v);
    lacks(found, "Plan::z", "WithoutZ");
    let gram = cubic.gram_product(&x, &v).unwrap() / 5.0;
    let found = cubic.gauss_newton_product(&examples, &objective, GaussNewton::Outputs, &v);
    same(found.unwrap().as_slice(), gram.as_slice());
}

#[test]
fn missing_tangents_are_unsupported() {
    let (x, y) = data(4, 2, 6);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let network = plain(4, 2, false);
    let p = network.parameters();
    let v = wave(p, 0.1);
    let (method, of) = ("Layer::forward_tangent", "Plain");
    let mut workspace = Workspace::new();
    let mut kept = vec![7.0; p];
    let found = network.hessian_product_into(&examples, &objective, &v, &mut workspace, &mut kept);
    lacks(found, method, of);
    for at in [
        GaussNewton::Logits,
        GaussNewton::Outputs,
        GaussNewton::Fisher,
    ] {
        let along = (at, &v[..]);
        lacks(
            network.gauss_newton_product_into(
                &examples,
                &objective,
                along,
                &mut workspace,
                &mut kept,
            ),
            method,
            of,
        );
    }
    lacks(
        network.gram_product_into(&x, &v, &mut workspace, &mut kept),
        method,
        of,
    );
    assert!(kept.iter().all(|&k| k == 7.0), "overwritten");
    let mut kept = [7.0; 12];
    let direction = Tangent::of_parameters(&v);
    lacks(
        network.jvp_into(&x, direction, &mut workspace, &mut kept),
        method,
        of,
    );
    assert_eq!(kept, [7.0; 12]);
    lacks(network.hessian(&examples, &objective), method, of);
    lacks(network.hessian_diagonal(&examples, &objective), method, of);

    // With more outputs than inputs the Jacobian needs tangents, which are missing. Otherwise it
    // uses backward passes.
    let (x_1, _) = data(1, 2, 6);
    let mut kept = [7.0; 12];
    let wide = plain(1, 2, false);
    lacks(
        wide.output_jacobian_into(&x_1, &mut workspace, &mut kept),
        method,
        of,
    );
    assert_eq!(kept, [7.0; 12]);
    let jacobian = network.output_jacobian(&x).unwrap();
    let lifted = network.map(Dual64::from_re).unwrap();
    for j in 0..4 {
        let moved = DMatrix::from_fn(4, 6, |i, k| Dual64::new(x[(i, k)], f64::from(i == j)));
        let outputs = lifted.forward(&moved).unwrap();
        for k in 0..6 {
            let expected = outputs.column(k).map(|a| a.eps);
            same(jacobian.column(4 * k + j).as_slice(), expected.as_slice());
        }
    }
    let u = wave_matrix(2, 6, 0.5);
    let (_, of_x) = network.vjp(&x, &u).unwrap();
    for k in 0..6 {
        let expected = jacobian.columns(4 * k, 4).transpose() * u.column(k);
        same(of_x.column(k).as_slice(), expected.as_slice());
    }

    // A custom activation, and a custom cost.
    let doubling = Builder::<f64, AnyLayer<Dense<Doubling>>>::new(4);
    let doubling = doubling.layer(AnyLayer::Custom(Dense::new(4, 2, Doubling)));
    let doubling = doubling
        .initialize(Initialization::GlorotUniform, &mut rng(2))
        .unwrap();
    let v = wave(doubling.parameters(), 0.1);
    let counts = Objective::new(Counts { linked: true });
    let (method, of) = ("Activation::forward_tangent", "Doubling");
    lacks(doubling.hessian_product(&examples, &counts, &v), method, of);
    lacks(doubling.jvp(&x, Tangent::of_parameters(&v)), method, of);
    assert!(
        doubling
            .example_gradients(&examples, &counts.cost)
            .matrix()
            .is_ok()
    );
    let network = smooth(4, 2, Identity);
    let v = wave(network.parameters(), 0.1);
    let quartic = Objective::new(Quartic);
    let (method, of) = ("Cost::delta_tangent", "Quartic");
    lacks(network.hessian_product(&examples, &quartic, &v), method, of);
    for at in [GaussNewton::Logits, GaussNewton::Outputs] {
        let found = network.gauss_newton_product(&examples, &quartic, at, &v);
        lacks(found, method, of);
    }
    let found = network.gauss_newton_product(&examples, &quartic, GaussNewton::Fisher, &v);
    lacks(found, "Cost::is_log_likelihood", of);
    assert!(network.jvp(&x, Tangent::of_parameters(&v)).is_ok());
    assert!(
        network
            .example_gradients(&examples, &quartic.cost)
            .matrix()
            .is_ok()
    );
}
