//! Embeddings with faults, each of which the comparison with one-hot vectors or differences find.

use super::one_hot::{largest_error, one_hot};
use super::{ids, wave};
use backprop::activation::{Identity, Tanh};
use backprop::gradient_check::Report;
use backprop::layer::{
    AnyLayer, Backward, BackwardTangent, Block, Embedding, Forward, ForwardTangent, Layer,
    LayerGradient, Len, Plan, Site,
};
use backprop::nalgebra::DMatrix;
use backprop::{
    Builder, Error, Examples, GradientCheck, Initialization, Network, Objective, Scalar, Shape,
    SquaredError, rng,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Backward passes write the vector of the next id.
    RowOffByOne,
    /// Only the last use of an id counts.
    Overwritten,
    /// Only ids that occur have a penalty: the block is exempt from it.
    Unpenalised,
    /// The gradient keeps what the buffer held.
    NotCleared,
    /// The squared norm of an example is the sum over its uses.
    NormsOfUses,
    /// The direction of the table is ignored.
    NoTangent,
    /// The table is read as if it were stored the other way round.
    Transposed,
}

const FAULTS: [Fault; 7] = [
    Fault::RowOffByOne,
    Fault::Overwritten,
    Fault::Unpenalised,
    Fault::NotCleared,
    Fault::NormsOfUses,
    Fault::NoTangent,
    Fault::Transposed,
];

const ENTRIES: usize = 4;
const DIM: usize = 3;

#[derive(Clone, Debug, PartialEq)]
struct Faulty(Fault);

impl Faulty {
    fn inner(&self) -> Embedding {
        Embedding::new(ENTRIES, DIM)
    }

    /// Changes a gradient of the sound layer, which was computed from these ids and δ.
    fn spoil<T: Scalar>(&self, x: &DMatrix<T>, delta: &DMatrix<T>, before: &[T], sum: &mut [T]) {
        match self.0 {
            Fault::RowOffByOne => sum.rotate_right(DIM),
            Fault::NotCleared => sum
                .iter_mut()
                .zip(before)
                .for_each(|(sum, &old)| *sum += old),
            Fault::Overwritten => {
                for k in 0..x.ncols() {
                    for i in 0..x.nrows() {
                        let id = (0..ENTRIES).find(|&id| T::from_usize(id) == Some(x[(i, k)]));
                        let start = id.unwrap() * DIM;
                        let vector = delta.view((i * DIM, k), (DIM, 1)).clone_owned();
                        sum[start..start + DIM].copy_from_slice(vector.as_slice());
                    }
                }
            }
            _ => {}
        }
    }
}

impl<T: Scalar> Layer<T> for Faulty {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        if self.0 != Fault::Unpenalised {
            return Layer::<T>::plan(&self.inner(), site);
        }
        let steps = site.input.len();
        let block = Block::new("E", DIM, ENTRIES).penalised_from_column(ENTRIES);
        let output = Shape::Sequence {
            steps,
            features: DIM,
        };
        let plan = Plan::new(site, output).block(block).ids(ENTRIES);
        Ok(plan.room(Len::fixed(DIM)).own_each())
    }

    fn forward(&self, pass: Forward<'_, T>) {
        if self.0 == Fault::Transposed {
            let table = DMatrix::from_column_slice(ENTRIES, DIM, pass.at.theta).transpose();
            let mut at = pass.at;
            at.theta = table.as_slice();
            let pass = Forward::new(at, pass.input, pass.output, pass.kept);
            return self.inner().forward(pass);
        }
        self.inner().forward(pass);
    }

    fn backward(&self, mut pass: Backward<'_, T>) {
        let (x, delta) = (pass.input.clone_owned(), pass.delta.clone_owned());
        let LayerGradient::Sum(sum) = std::mem::take(&mut pass.gradient) else {
            return self.inner().backward(pass);
        };
        let before = sum.to_vec();
        let Backward {
            at,
            input,
            output,
            kept,
            delta: delta_view,
            ..
        } = pass;
        let mut sound = Backward::new(at, input, output, kept, delta_view);
        sound.gradient = LayerGradient::Sum(&mut *sum);
        sound.input_delta = pass.input_delta;
        self.inner().backward(sound);
        self.spoil(&x, &delta, &before, sum);
    }

    fn backward_each(&self, mut pass: Backward<'_, T>) {
        if self.0 == Fault::NormsOfUses
            && let LayerGradient::SquaredNorms(norms) = &mut pass.gradient
        {
            for (norm, delta) in norms.iter_mut().zip(pass.delta.column_iter()) {
                *norm += delta.norm_squared();
            }
            return;
        }
        self.inner().backward_each(pass);
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        if self.0 == Fault::NoTangent {
            pass.theta_tangent = None;
        }
        self.inner().forward_tangent(pass)
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        self.inner().backward_tangent(along)
    }
}

/// The largest error against one-hot vectors of a network with this layer.
fn error_with(fault: Fault) -> f64 {
    let (steps, m) = (3, 5);
    let shape = Shape::Sequence {
        steps,
        features: ENTRIES,
    };
    let builder = Network::<f64>::builder(shape).dense_without_bias(DIM, Identity);
    let builder = builder.flatten().dense(2, Tanh);
    let rule = Initialization::Normal { sigma: 0.6 };
    let of_vectors = builder.initialize(rule, &mut rng(1)).unwrap();
    let builder = Builder::<f64, AnyLayer<Faulty>>::new(steps);
    let builder = builder
        .layer(AnyLayer::Custom(Faulty(fault)))
        .flatten()
        .dense(2, Tanh);
    let of_ids = builder.with_theta(of_vectors.theta().as_slice()).unwrap();
    // Entry 3 is not used.
    let (x, y) = (ids(steps, m, 3, 1), wave(2, m, 2));
    let vectors = one_hot(&x, ENTRIES);
    largest_error((&of_ids, &x), (&of_vectors, &vectors), &y, SquaredError)
}

#[test]
fn every_fault_is_found_against_one_hot_vectors() {
    assert!(error_with(Fault::None) < 1e-12);
    for fault in FAULTS {
        let error = error_with(fault);
        assert!(error.is_nan() || error >= 1e-3, "{fault:?}: {error:e}");
    }
}

/// The checker finds those that are wrong by themselves: a penalty that is missing in J too is not.
#[test]
fn the_checker_finds_wrong_derivatives() {
    let (theta, x) = (wave::<f64>(ENTRIES * DIM, 1, 0), ids(2, 5, 3, 1));
    let check = GradientCheck::new();
    let passes = |fault| {
        let layer = Faulty(fault);
        let first = check.layer(&layer, theta.as_slice(), &x);
        let second = check.layer_tangents(&layer, theta.as_slice(), &x);
        [first, second]
            .iter()
            .all(|report| report.as_ref().is_ok_and(Report::passed))
    };
    assert!(passes(Fault::None) && passes(Fault::Unpenalised));
    for fault in FAULTS {
        assert!(fault == Fault::Unpenalised || !passes(fault), "{fault:?}");
    }
}

/// A plan whose ids are those of a custom layer: a network checks them as for the built-in one.
#[test]
fn a_custom_layer_of_ids_is_checked() {
    let builder = Builder::<f64, AnyLayer<Faulty>>::new(2);
    let network = builder
        .layer(AnyLayer::Custom(Faulty(Fault::Unpenalised)))
        .zeros()
        .unwrap();
    let refused = network.forward(&[1.0, 4.0]);
    assert_eq!(
        refused,
        Err(Error::Id {
            row: 1,
            example: 0,
            value: 4.0,
            count: 4
        })
    );
    let (x, y) = (DMatrix::zeros(2, 1), DMatrix::zeros(6, 1));
    let examples = Examples::new(&x, &y).unwrap();
    let refused = network.input_gradient(&examples, &Objective::new(SquaredError));
    assert_eq!(refused, Err(Error::IdInputs { row: 0 }));
}
