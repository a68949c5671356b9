//! Invalid settings and lengths: the typed error, and nothing changed.

use super::all;
use backprop::activation::Identity;
use backprop::training::{
    AdaGrad, Adadelta, Adam, AdamW, Clipping, GradientDescent, IRpropMinus, Optimizer,
    OptimizerState, RmsProp, Schedule,
};
use backprop::{Error, Network};

const NAN: f64 = f64::NAN;

#[test]
fn lengths_are_compared() {
    for mut method in all::<f64>() {
        let mut theta = [1.0, 2.0];
        let short = Error::Length {
            what: "∇J",
            expected: 2,
            found: 1,
        };
        // A failed call before the first step does not fix the length.
        assert_eq!(method.step(&mut theta, &[1.0], 1.0), Err(short.clone()));
        method.step(&mut [1.0; 3], &[1.0; 3], 1.0).unwrap();
        method.restore(&OptimizerState::default()).unwrap();
        method.step(&mut theta, &[0.5, 0.5], 1.0).unwrap();

        let (state, before) = (method.state(), theta);
        assert_eq!(method.step(&mut theta, &[1.0], 1.0), Err(short));
        let other = Error::Length {
            what: "θ",
            expected: 2,
            found: 3,
        };
        assert_eq!(method.step(&mut [1.0; 3], &[1.0; 3], 1.0), Err(other));
        assert_eq!((method.state(), theta), (state, before));
    }
}

#[test]
fn an_empty_theta_takes_steps() {
    for mut method in all::<f32>() {
        method.step(&mut [], &[], 1.0).unwrap();
        assert_eq!(method.state().steps, 1);
    }
}

fn refusal(method: &impl Optimizer<f64>) -> &'static str {
    match method.validate() {
        Err(Error::Hyperparameter { name, .. }) => name,
        other => panic!("{other:?} of {method:?}"),
    }
}

#[test]
fn hyper_parameters_have_ranges() {
    for rate in [0.0, -1.0, NAN, f64::INFINITY] {
        assert_eq!(refusal(&GradientDescent::new(rate)), "the learning rate");
        assert_eq!(refusal(&Adam::new(rate)), "the learning rate");
        assert_eq!(refusal(&AdamW::new(rate)), "the learning rate");
        assert_eq!(refusal(&RmsProp::new(rate)), "the learning rate");
        assert_eq!(refusal(&AdaGrad::new(rate)), "the learning rate");
        assert_eq!(refusal(&Adadelta::new(rate)), "the learning rate");
        assert_eq!(refusal(&IRpropMinus::new(rate)), "the first step size");
        assert_eq!(refusal(&Adam::new(0.1).epsilon(rate)), "ε");
        assert_eq!(refusal(&AdamW::new(0.1).epsilon(rate)), "ε");
        assert_eq!(refusal(&RmsProp::new(0.1).epsilon(rate)), "ε");
        assert_eq!(refusal(&AdaGrad::new(0.1).epsilon(rate)), "ε");
        assert_eq!(refusal(&Adadelta::new(1.0).epsilon(rate)), "ε");
        let method = IRpropMinus::new(0.1);
        assert_eq!(
            refusal(&method.clone().bounds(rate, 1.0)),
            "the smallest step size"
        );
        assert_eq!(
            refusal(&method.clone().bounds(1e-3, rate)),
            "the largest step size"
        );
        assert_eq!(refusal(&method.clone().factors(0.5, rate)), "η⁺");
        assert_eq!(refusal(&method.factors(rate, 1.2)), "η⁻");
    }
    for part in [-0.1, 1.0, NAN] {
        let method = GradientDescent::new(0.1).momentum(part);
        assert_eq!(refusal(&method), "the momentum");
        assert_eq!(refusal(&Adam::new(0.1).betas(part, 0.9)), "β₁");
        assert_eq!(refusal(&Adam::new(0.1).betas(0.9, part)), "β₂");
        assert_eq!(refusal(&AdamW::new(0.1).betas(0.9, part)), "β₂");
        assert_eq!(refusal(&RmsProp::new(0.1).alpha(part)), "α");
        assert_eq!(refusal(&RmsProp::new(0.1).momentum(part)), "the momentum");
        assert_eq!(refusal(&Adadelta::new(1.0).rho(part)), "ρ");
        assert_eq!(refusal(&IRpropMinus::new(0.1).factors(part, 1.2)), "η⁻");
    }
    for negative in [-1e-300, NAN, f64::INFINITY] {
        let method = AdaGrad::new(0.1);
        assert_eq!(
            refusal(&method.clone().rate_decay(negative)),
            "the decay of the learning rate"
        );
        assert_eq!(
            refusal(&method.initial(negative)),
            "the initial sum of squares"
        );
        assert_eq!(
            refusal(&AdamW::new(0.1).decay(negative)),
            "the weight decay"
        );
    }
    let method = GradientDescent::new(0.1);
    assert_eq!(refusal(&method.clone().dampening(1.1)), "the dampening");
    assert_eq!(
        refusal(&method.clone().nesterov()),
        "the momentum of Nesterov's form"
    );
    let method = method.momentum(0.9).dampening(0.1).nesterov();
    assert_eq!(refusal(&method), "the dampening of Nesterov's form");
    assert_eq!(
        refusal(&AdamW::new(0.1).decay(10.1)),
        "the learning rate times the weight decay"
    );
    assert_eq!(
        refusal(&IRpropMinus::new(0.1).bounds(1.0, 0.9)),
        "the largest step size"
    );
    for method in all::<f64>() {
        method.validate().unwrap();
    }
}

/// Settings that the scalar type rounds to 0 or cannot hold.
#[test]
fn hyper_parameters_are_numbers_of_the_scalar_type() {
    assert!(Optimizer::<f64>::validate(&Adam::new(1e-60)).is_ok());
    assert!(Optimizer::<f32>::validate(&Adam::new(1e-60)).is_err());
    assert!(Optimizer::<f32>::validate(&Adam::new(1e60)).is_err());
    assert!(Optimizer::<f32>::validate(&Adam::new(0.1).epsilon(1e-60)).is_err());
    assert!(Optimizer::<f32>::validate(&AdaGrad::new(0.1).initial(1e60)).is_err());
}

#[test]
fn a_step_refuses_the_settings_that_validate_refuses() {
    for mut method in all::<f64>() {
        let info = method.info();
        let mut theta = [1.0, 2.0];
        for wrong in [NAN, -0.1, f64::INFINITY] {
            let refused = method.step(&mut theta, &[1.0, 1.0], wrong);
            let Err(Error::Hyperparameter { name, value, .. }) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(name, "the factor on the learning rate");
            assert_eq!(value.to_bits(), wrong.to_bits());
            assert_eq!((theta, method.state().steps), ([1.0, 2.0], 0));
        }
        method.step(&mut theta, &[1.0, 1.0], 0.0).unwrap();
        let moved = if info.name == "iRprop⁻" { 1e-6 } else { 0.0 };
        assert_eq!(theta, [1.0 - moved, 2.0 - moved]);
        assert_eq!(method.info(), info);
        method.step(&mut theta, &[1.0, 1.0], 1.0).unwrap();
        assert!(theta[0] < 1.0);
    }
    let mut method = Adam::new(0.1).betas(1.0, 0.9);
    assert!(method.step(&mut [1.0], &[1.0], 1.0).is_err());
    assert_eq!(method.state().steps, 0);
}

#[test]
fn a_mask_has_the_length_of_theta() {
    let network = Network::<f64>::builder(2).dense(2, Identity).zeros();
    let mut method = AdamW::new(0.1).spare_biases(network.unwrap().layout());
    let expected = Error::Length {
        what: "θ",
        expected: 6,
        found: 2,
    };
    assert_eq!(method.step(&mut [1.0; 2], &[1.0; 2], 1.0), Err(expected));
    method.step(&mut [1.0; 6], &[1.0; 6], 1.0).unwrap();
}

#[test]
fn schedules_have_ranges() {
    let step = |every, factor| Schedule::Step { every, factor };
    let cosine = |over, floor| Schedule::Cosine { over, floor };
    let cycle = |over, rise, start, end| Schedule::OneCycle {
        over,
        rise,
        start,
        end,
    };
    let plateau = |factor, threshold, floor| Schedule::OnPlateau {
        patience: 3,
        factor,
        threshold,
        floor,
    };
    for wrong in [
        step(0.0, 0.5),
        step(NAN, 0.5),
        step(3.0, 0.0),
        step(3.0, f64::INFINITY),
        Schedule::Exponential { factor: -0.1 },
        cosine(0.0, 0.0),
        cosine(1.0, -0.1),
        cosine(1.0, 1.1),
        cycle(0.0, 0.3, 0.1, 0.1),
        cycle(9.0, NAN, 0.1, 0.1),
        cycle(9.0, 0.3, 1.1, 0.1),
        cycle(9.0, 0.3, 0.1, -0.1),
        Schedule::Constant.warm_up(0.0, 0.5),
        Schedule::Constant.warm_up(1.0, 1.5),
        cosine(-1.0, 0.0).warm_up(1.0, 0.5),
        plateau(1.0, 0.0, 0.0),
        plateau(0.0, 0.0, 0.0),
        plateau(0.5, 1.0, 0.0),
        plateau(0.5, 0.0, 1.5),
    ] {
        let refused = wrong.validate();
        assert!(
            matches!(refused, Err(Error::Hyperparameter { .. })),
            "{wrong:?}"
        );
    }
    for right in [
        Schedule::default(),
        Schedule::one_cycle(10.0),
        Schedule::on_plateau(0, 0.5),
        cycle(1.0, 0.0, 0.0, 0.0),
        cycle(1.0, 1.0, 1.0, 1.0),
        cosine(0.5, 1.0).warm_up(0.5, 0.0),
    ] {
        right.validate().unwrap();
    }
}

#[test]
fn bounds_of_clipping_are_above_zero() {
    for wrong in [0.0, -1.0, NAN, f64::INFINITY] {
        assert!(Clipping::Norm(wrong).validate::<f64>().is_err());
        assert!(Clipping::Value(wrong).validate::<f64>().is_err());
    }
    Clipping::Norm(1e-3).validate::<f64>().unwrap();
    // These are in the range of f64, but not of f32.
    for wrong in [1e-50, 1e50] {
        assert!(Clipping::Norm(wrong).validate::<f32>().is_err());
        assert!(Clipping::Value(wrong).validate::<f32>().is_err());
        Clipping::Norm(wrong).validate::<f64>().unwrap();
    }
}
