//! Batches whose weights are so small that the scalar type cannot hold their sum.

use super::data;
use backprop::activation::{Identity, Softmax};
use backprop::nalgebra::{self, DMatrix};
use backprop::training::{Adam, GradientDescent, Trainer};
use backprop::{AnyCost, Error, Examples, Initialization, Network, Objective, Scalar, rng};

fn network<T: Scalar>() -> Network<T> {
    Network::builder(3)
        .dense(2, Softmax)
        .initialize(Initialization::GlorotUniform, &mut rng(4))
        .unwrap()
}

/// A batch of `tiny` weights is skipped, like one of zeros.
fn tiny_is_zero<T: Scalar>(tiny: f64) {
    let (x, y) = data(3, 2, 6);
    let to_t = |m: &DMatrix<f64>| m.map(nalgebra::convert::<f64, T>);
    let (x, y) = (to_t(&x), to_t(&y));
    let train = |of_two: f64, shuffle: bool| {
        // In batches of two, the middle batch has almost no weight. With shuffling, it may be any
        // other batch.
        let weights = [0.5, 0.5, of_two, of_two, 0.5, 0.5];
        let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
        let mut trained = network::<T>();
        let objective = Objective::new(AnyCost::CategoricalCrossEntropy).l2(0.1);
        let history = Trainer::new(objective, Adam::new(0.1))
            .epochs(20)
            .batch_size(2)
            .shuffle(shuffle)
            .seed(1)
            .validation(examples)
            .fit(&mut trained, &examples)
            .unwrap();
        (trained, history)
    };
    let (found, history) = train(tiny, false);
    let (expected, of_zero) = train(0.0, false);
    assert_eq!(found.theta(), expected.theta(), "{tiny:e}");
    assert_eq!(history, of_zero, "{tiny:e}");
    assert_eq!(history.records()[19].steps, 40);
    let (_, history) = train(tiny, true);
    assert_eq!(history, train(0.0, true).1, "{tiny:e}, shuffled");
}

#[test]
fn a_batch_of_tiny_weights_is_skipped() {
    for tiny in [5e-39, 1e-42, 1e-45, 1e-46, 1e-300, 5e-324] {
        tiny_is_zero::<f32>(tiny);
    }
    for tiny in [1e-309, 1e-320, 5e-324] {
        tiny_is_zero::<f64>(tiny);
    }
}

/// `f32` can divide by the sum of all weights, 2e-38, but not by that of a batch.
#[test]
fn examples_are_refused_if_no_batch_has_a_usable_weight() {
    let (x, y) = (
        DMatrix::<f32>::from_element(1, 4, 1.0),
        DMatrix::from_element(1, 4, 2.0),
    );
    let weights = [5e-39; 4];
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    let start = Network::<f32>::builder(1)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let train = |size: usize| {
        let mut trained = start.clone();
        let objective = Objective::new(AnyCost::SquaredError);
        let trainer = Trainer::new(objective, GradientDescent::new(0.25)).batch_size(size);
        (trainer.epochs(3).fit(&mut trained, &examples), trained)
    };
    let (found, trained) = train(1);
    let value = examples.total_weight();
    assert_eq!(found, Err(Error::TotalWeight { value }));
    assert_eq!(trained, start);
    let (found, trained) = train(4);
    assert!(found.is_ok() && trained != start);
}

/// A validation part without weight is refused before the first step.
#[test]
fn a_validation_part_of_tiny_weights_is_refused() {
    let (x, y) = data(3, 2, 10);
    let x = x.map(|x| x as f32);
    let y = y.map(|y| y as f32);
    let refused = |of_validation: f64| {
        let split = backprop::data::train_test_split(10, 0.2, 3).unwrap();
        let mut weights = [1.0; 10];
        split.test.iter().for_each(|&k| weights[k] = of_validation);
        let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
        let mut trained = network::<f32>();
        let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
        let mut trainer = Trainer::new(objective, Adam::new(0.1)).epochs(2).seed(3);
        trainer = trainer.validation_fraction(0.2);
        let error = trainer.fit(&mut trained, &examples).unwrap_err();
        assert_eq!(trained, network::<f32>());
        error
    };
    assert_eq!(refused(0.0), Error::NoExamples);
    let value = 1e-42 + 1e-42;
    assert_eq!(refused(1e-42), Error::TotalWeight { value });
}
