//! What is refused: ids that are none, and derivatives by ids. Nothing changes.

use super::wave;
use backprop::activation::{Identity, Tanh};
use backprop::layer::Axis;
use backprop::nalgebra::DMatrix;
use backprop::training::{GradientDescent, Trainer};
use backprop::{
    Accumulator, Error, Examples, GaussNewton, GradientCheck, Initialization, Location, Network,
    Objective, SquaredError, Tangent, VjpTargets, Workspace, rng,
};

/// Ids alone: two of five.
fn of_ids() -> Network<f64> {
    let builder = Network::builder(2).embedding(5, 3).flatten().dense(2, Tanh);
    builder
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap()
}

/// Row 0 is a number, row 1 an id of five.
fn mixed() -> Network<f64> {
    let builder = Network::builder(2).concat(Axis::First, |branches| {
        let branches = branches.branch(|b| b.select(0..1));
        branches.branch(|b| b.select(1..2).embedding(5, 3).flatten())
    });
    let builder = builder.dense(2, Tanh);
    builder
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap()
}

#[test]
fn every_call_refuses_what_is_not_an_id() {
    let network = of_ids();
    let before = network.clone();
    let (p, y) = (network.parameters(), wave::<f64>(2, 3, 2));
    let good = DMatrix::from_row_slice(2, 3, &[0.0, 4.0, 2.0, 1.0, 1.0, 3.0]);
    for value in [
        5.0,
        -1.0,
        0.5,
        4.000_001,
        -1e-300,
        1e300,
        9_007_199_254_740_992.0,
    ] {
        let mut x = good.clone();
        x[(1, 2)] = value;
        let expected = Error::Id {
            row: 1,
            example: 2,
            value,
            count: 5,
        };
        let examples = Examples::new(&x, &y).unwrap();
        let objective = Objective::new(SquaredError);
        let v = vec![1.0; p];
        let along = Tangent::of_parameters(&v);
        let at = GaussNewton::Outputs;
        let mut workspace = Workspace::new();
        let mut untouched = vec![7.0; p];
        let error = network.gradient_into(&examples, &objective, &mut workspace, &mut untouched);
        assert_eq!(error.unwrap_err(), expected);
        assert_eq!(untouched, vec![7.0; p]);
        let errors = [
            network.forward(&x).unwrap_err(),
            network.forward_into(&x, &mut workspace).unwrap_err(),
            network.cost(&examples, &objective).unwrap_err(),
            network.backprop(&examples, &objective).unwrap_err(),
            network.jvp(&x, along).unwrap_err(),
            network.vjp(&x, &y).unwrap_err(),
            network.pullback(&x, &mut Workspace::new()).unwrap_err(),
            network.gram_product(&x, &v).unwrap_err(),
            network
                .hessian_product(&examples, &objective, &v)
                .unwrap_err(),
            network
                .gauss_newton_product(&examples, &objective, at, &v)
                .unwrap_err(),
            network
                .gauss_newton_matrix(&examples, &objective, at)
                .unwrap_err(),
            network.hessian(&examples, &objective).unwrap_err(),
            network.trace(&examples, &objective).unwrap_err(),
            network
                .example_gradients(&examples, &SquaredError)
                .matrix()
                .unwrap_err(),
            GradientCheck::new()
                .network(&network, &examples, &objective)
                .unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error, expected);
        }
        let mut sums = Accumulator::new(&network).unwrap();
        assert_eq!(
            sums.add(&network, &examples, &SquaredError, &mut workspace)
                .unwrap_err(),
            expected
        );
        assert_eq!(sums.weight(), 0.0);
        let mut trainer = Trainer::new(objective, GradientDescent::new(0.1)).epochs(1);
        let mut trained = network.clone();
        assert_eq!(trainer.fit(&mut trained, &examples).unwrap_err(), expected);
        assert_eq!(trained, before);
        // The workspace works as before.
        network.forward_into(&good, &mut workspace).unwrap();
        assert_eq!(network, before);
    }
}

#[test]
fn a_value_that_is_not_finite_is_refused_as_everywhere() {
    let x = DMatrix::from_row_slice(2, 1, &[0.0, f64::NAN]);
    let refused = of_ids().forward(&x).unwrap_err();
    let at = Location::Input {
        what: "X",
        row: 1,
        col: 0,
    };
    assert!(matches!(refused, Error::NonFinite { at: found, .. } if found == at));
}

#[test]
fn messages() {
    let text = |value, count| {
        Error::Id {
            row: 1,
            example: 2,
            value,
            count,
        }
        .to_string()
    };
    assert_eq!(
        text(5.0, 5),
        "row 1 of X, example 2: the id is 5, expected a whole number from 0 to 4"
    );
    assert_eq!(
        text(16_777_216.0, 20_000_000),
        "row 1 of X, example 2: the id is 16777216, to which the scalar type also rounds other \
         ids: use a wider scalar type"
    );
    assert_eq!(
        Error::IdInputs { row: 1 }.to_string(),
        "row 1 of X holds ids, which have no derivative: request derivatives with respect to the \
         parameters only, and set directions of X to 0 in these rows"
    );
}

/// In `f32`, 2²⁴ + 1 rounds to 2²⁴: neither is accepted. 2²⁴ − 1 is exact, and nothing rounds to
/// it.
#[test]
fn ids_that_the_scalar_cannot_tell_apart() {
    let count = (1 << 24) + 8;
    let mut network = Network::<f32>::builder(1)
        .embedding(count, 1)
        .zeros()
        .unwrap();
    let mut theta = vec![0.0; count];
    theta[(1 << 24) - 1] = 3.0;
    network.set_theta(&theta).unwrap();
    assert_eq!(network.forward(&[16_777_215.0]).unwrap()[0], 3.0);
    for id in [16_777_216_i32, 16_777_217, 16_777_218] {
        let value = f64::from(id as f32);
        let refused = network.forward(&[id as f32]);
        assert_eq!(
            refused,
            Err(Error::Id {
                row: 0,
                example: 0,
                value,
                count
            })
        );
    }
}

#[test]
fn derivatives_by_ids_do_not_exist() {
    let network = of_ids();
    let x = DMatrix::from_row_slice(2, 2, &[0.0, 4.0, 2.0, 1.0]);
    let y = wave::<f64>(2, 2, 2);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let (p, dx) = (network.parameters(), DMatrix::repeat(2, 2, 1.0));
    let (mut workspace, mut of_x) = (Workspace::new(), vec![7.0; 4]);
    let v = vec![1.0; p];
    let by_x = Tangent::of_inputs(&dx);
    let errors = [
        network.gradients(&examples, &objective).unwrap_err(),
        network.input_gradient(&examples, &objective).unwrap_err(),
        network.vjp(&x, &y).unwrap_err(),
        network.vjp_with(&x, |_, _| {}).unwrap_err(),
        network.vjp_along(&x, &y, &v).unwrap_err(),
        network.output_jacobian(&x).unwrap_err(),
        network.jvp(&x, by_x).unwrap_err(),
        network
            .jvp(&x, Tangent::of_parameters(&v).and_inputs(&dx))
            .unwrap_err(),
        network
            .hessian_product(&examples, &objective, by_x)
            .unwrap_err(),
        network
            .vjp_into(&x, &y, &mut workspace, VjpTargets::of_inputs(&mut of_x))
            .unwrap_err(),
        network
            .gradients_into(
                &examples,
                &objective,
                &mut workspace,
                VjpTargets::of_inputs(&mut of_x),
            )
            .unwrap_err(),
    ];
    for (i, error) in errors.into_iter().enumerate() {
        assert_eq!(error, Error::IdInputs { row: 0 }, "call {i}");
    }
    let mut pullback = network.pullback(&x, &mut workspace).unwrap();
    for error in [
        pullback.vjp_into(&y, VjpTargets::of_inputs(&mut of_x)),
        pullback.add_vjp_into(&y, VjpTargets::of_inputs(&mut of_x)),
    ] {
        assert_eq!(error, Err(Error::IdInputs { row: 0 }));
    }
    assert_eq!(of_x, vec![7.0; 4]);
    // Those by the parameters do.
    let mut of_theta = vec![f64::NAN; p];
    pullback
        .vjp_into(&y, VjpTargets::of_parameters(&mut of_theta))
        .unwrap();
    let into = VjpTargets::of_parameters(&mut of_theta);
    network
        .vjp_along_into(&x, &y, &v, &mut Workspace::new(), into)
        .unwrap();
    assert!(of_theta.iter().all(|g| g.is_finite()));
    // A direction of 0 is one along which nothing moves.
    let still = DMatrix::zeros(2, 2);
    let change = network.jvp(&x, Tangent::of_inputs(&still)).unwrap();
    assert_eq!(change, DMatrix::zeros(2, 2));
}

#[test]
fn directions_may_move_numbers_only() {
    let network = mixed();
    let x = DMatrix::from_row_slice(2, 2, &[0.3, -0.4, 2.0, 1.0]);
    let y = wave::<f64>(2, 2, 2);
    for example in 0..2 {
        let mut dx = DMatrix::from_fn(2, 2, |i, _| if i == 0 { 1.0 } else { 0.0 });
        assert!(network.jvp(&x, Tangent::of_inputs(&dx)).is_ok());
        dx[(1, example)] = 1e-300;
        let refused = network.jvp(&x, Tangent::of_inputs(&dx));
        assert_eq!(refused, Err(Error::IdInputs { row: 1 }));
        let refused = network.vjp_along(&x, &y, Tangent::of_inputs(&dx));
        assert_eq!(refused.unwrap_err(), Error::IdInputs { row: 1 });
    }
    let (_, of_x) = network.vjp(&x, &y).unwrap();
    assert!(of_x.row(0).iter().all(|&g| g != 0.0));
    assert!(of_x.row(1).iter().all(|&g| g == 0.0));
}

/// Layers that do not reach the output through numbers: a constant 0 derivative is not claimed.
#[test]
fn a_number_that_nothing_reads_does_not_make_ids_differentiable() {
    let network = Network::<f64>::builder(2)
        .select(1..2)
        .embedding(3, 1)
        .flatten();
    let network = network.dense(1, Identity).zeros().unwrap();
    let refused = network.output_jacobian(&DMatrix::from_row_slice(2, 1, &[0.3, 1.0]));
    assert_eq!(refused, Err(Error::IdInputs { row: 1 }));
}
