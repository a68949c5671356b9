//! Every message states the problem, what was expected and found, and a remedy. `Debug` shows the
//! message too.

mod messages;

use backprop::activation::{AnyActivation, Identity, Sigmoid, Tanh};
use backprop::data::{KFold, LabelEncoder, train_test_split};
use backprop::metrics::{Metric, TopK};
use backprop::nalgebra::DMatrix;
use backprop::training::{GradientDescent, Lbfgs, Trainer};
use backprop::{AnyCost, BinaryCrossEntropy, Error, Examples, Network, Objective, SquaredError};

/// Messages as calls return them, with the sizes that they depend on.
#[test]
fn messages_of_calls() {
    let text = |error: Option<Error>| error.unwrap().to_string();
    let x = DMatrix::from_fn(3, 5, |i, k| 0.1 * (i + k) as f64);
    let y = DMatrix::repeat(2, 5, 0.5);
    let builder = Network::<f64>::builder(3).dense(4, Tanh).dense(2, Sigmoid);
    let mut network = builder.zeros().unwrap();

    let weights = DMatrix::zeros(3, 4);
    assert_eq!(
        text(network.set_dense(0, &weights, &[0.0; 4]).err()),
        "the weights: expected 4 × 3, found 3 × 4: did you pass it transposed?"
    );
    assert_eq!(
        text(network.forward(&x.transpose()).err()),
        "X: expected 3 rows, found 5 × 3: did you pass it transposed? A column is an example; \
         `row_major` reads examples in rows"
    );
    let rows = "A column is an example; `row_major` reads examples in rows";
    for (x, y, which) in [
        (
            x.transpose(),
            y.transpose(),
            "did you pass both transposed? ",
        ),
        (x.transpose(), y.clone(), "did you pass X transposed? "),
        (x.clone(), y.transpose(), "did you pass Y transposed? "),
    ] {
        let expected = format!(
            "X is {} × {} and Y is {} × {}, expected the same number of columns: {which}{rows}",
            x.nrows(),
            x.ncols(),
            y.nrows(),
            y.ncols()
        );
        assert_eq!(text(Examples::new(&x, &y).err()), expected);
    }
    assert_eq!(
        text(Examples::new(&x, &DMatrix::zeros(2, 4)).err()),
        "X is 3 × 5 and Y is 2 × 4, expected the same number of columns: a column is an \
         example (for examples in rows see `row_major`)"
    );

    // If the numbers of inputs and outputs are equal, the message must not ask whether both are
    // transposed.
    let (inputs, outputs) = (DMatrix::zeros(3, 5), DMatrix::zeros(3, 4));
    let unequal: Error = Examples::<f64>::new(&inputs, &outputs).unwrap_err();
    assert!(unequal.to_string().contains(": a column is an example"));
    // With one input, only transposing Y leaves more than one example.
    let (inputs, outputs) = (DMatrix::zeros(1, 5), [0.0; 5]);
    let slice: Error = Examples::<f64>::new(&inputs, &outputs).unwrap_err();
    assert!(slice.to_string().contains(": did you pass Y transposed?"));
    assert_eq!(
        text(network.forward(&[0.0; 6]).err()),
        "X: expected 3 rows, found 6 × 1: a slice is one example; `row_major(&buffer, 3)` reads \
         several"
    );

    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(AnyCost::BinaryCrossEntropy);
    let descent = || Trainer::<f64>::new(objective.clone(), GradientDescent::new(0.1)).epochs(1);
    assert_eq!(
        text(descent().batch_size(6).fit(&mut network, &examples).err()),
        "the batch size is 6, expected 1 to 5, the number of training examples"
    );
    let mut whole = Trainer::<f64>::new(objective.clone(), Lbfgs::new()).batch_size(2);
    assert_eq!(
        text(whole.fit(&mut network, &examples).err()),
        "the batch size is 2, expected 5, the number of examples, because the method needs all at \
         once"
    );
    assert_eq!(
        text(TopK(3).evaluate(y.as_view(), y.as_view()).err()),
        "k of the top-k accuracy is 3, expected 1 to 2, the number of classes"
    );
    assert_eq!(
        text(KFold::new(6).split(5).err()),
        "the number of folds is 6, expected 2 to 5, the number of examples"
    );
    assert_eq!(
        text(train_test_split(5, 0.01, 1).err()),
        "the fraction of test examples is 0.01, expected a number in (0, 1) that puts at \
         least one of 5 examples in each part"
    );
    let encoder = LabelEncoder::fit(&["rose", "tulip"]).unwrap();
    assert_eq!(
        text(encoder.encode(&["rose", "nettle"]).err()),
        "the label of example 1 is \"nettle\", expected one of the 2 that the encoder was fitted to"
    );
    let negative = DMatrix::repeat(2, 5, -1.0);
    let targets = Examples::new(&x, &negative).unwrap();
    let poisson = Objective::new(backprop::Poisson);
    assert_eq!(
        text(network.cost(&targets, &poisson).err()),
        "the target of unit 0, example 0 is -1, expected a number in [0, ∞)"
    );
    let linear = Network::<f64>::builder(3)
        .dense(2, Identity)
        .zeros()
        .unwrap();
    assert_eq!(
        text(
            linear
                .cost(&examples, &Objective::new(BinaryCrossEntropy))
                .err()
        ),
        "the output of layer 0 (Θ⁽¹⁾), unit 0, for example 0 is 0, expected an output in (0, 1), \
         or 0 where y = 0, or 1 where y = 1: use an activation with this range, such as `Sigmoid`"
    );
    assert_eq!(
        text(
            Network::<f64>::builder(3)
                .dense(2, AnyActivation::Elu { alpha: f64::NAN })
                .zeros()
                .err()
        ),
        "the alpha of Elu is NaN, expected a finite number"
    );
}

/// `main` and `unwrap` print the message, then variant and fields.
#[test]
fn debug_shows_the_message_and_the_fields() {
    let error = Error::ZeroUnits { layer: 0.into() };
    assert_eq!(
        format!("{error:?}"),
        "layer 0 (Θ⁽¹⁾) has no units, expected at least one [ZeroUnits { layer: 0 }]"
    );
    assert_eq!(
        format!("{:?}", Error::NoLayers),
        "the network has no layers, expected at least one [NoLayers]"
    );
    assert_eq!(
        format!("{error:#?}"),
        "layer 0 (Θ⁽¹⁾) has no units, expected at least one [ZeroUnits {\n    layer: 0,\n}]"
    );
    let x = DMatrix::from_element(1, 1, 1.0);
    let examples = Examples::new(&x, &x).unwrap();
    let mut network = Network::<f64>::builder(1)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let objective = Objective::new(SquaredError);
    let mut trainer = Trainer::<f64, _>::new(objective, GradientDescent::new(1e200)).epochs(2);
    let diverged = trainer.fit(&mut network, &examples).unwrap_err();
    let expected = "training diverged in epoch 1, batch 1: the cost of example 0 is inf; lower the \
                    learning rate or scale the inputs [Diverged { epoch: 1, batch: Some(1), cause: \
                    NonFinite { at: Cost { example: 0 }, value: inf } }]";
    assert_eq!(format!("{diverged:?}"), expected);
    let main: Result<(), Box<dyn std::error::Error>> = Err(diverged.into());
    assert_eq!(format!("{main:?}"), format!("Err({expected})"));
}
