//! PyTorch's steps, factors and clipped gradients: `values.json`, written by `generate.py`.

use super::all;
use backprop::activation::Identity;
use backprop::training::{
    AdaGrad, Adadelta, Adam, AdamW, Clipping, Entrywise, GradientDescent, IRpropMinus, Optimizer,
    Plateau, RmsProp, Schedule,
};
use backprop::{Network, nalgebra};
use serde_json::Value;
use std::sync::LazyLock;

static VALUES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("values.json")).unwrap());

pub(crate) const START: [f64; 6] = [-1.2, 1.0, 0.5, -0.3, 0.8, 2.0];

/// Returns the gradient of Σ 10 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)², computed in the order of `generate.py`.
pub(crate) fn gradient<T: backprop::Scalar>(x: &[T]) -> Vec<T> {
    let real = |x: f64| nalgebra::convert::<f64, T>(x);
    let mut g = vec![T::zero(); x.len()];
    for i in 0..x.len() - 1 {
        let rest = x[i + 1] - x[i] * x[i];
        g[i] += real(-40.0) * x[i] * rest - real(2.0) * (T::one() - x[i]);
        g[i + 1] += real(20.0) * rest;
    }
    g
}

fn numbers(value: &Value) -> Vec<f64> {
    let entries = value.as_array().unwrap().iter();
    entries.map(|x| x.as_f64().unwrap()).collect()
}

/// Boxes an optimiser, with an option if it is set.
fn boxed<O: Optimizer<f64> + 'static>(
    method: O,
    set: bool,
    option: impl Fn(O) -> O,
) -> Box<dyn Optimizer<f64>> {
    Box::new(if set { option(method) } else { method })
}

/// Returns our optimiser with the options of a case, and PyTorch's defaults for the others.
fn optimizer(case: &Value) -> Box<dyn Optimizer<f64>> {
    let options = &case["options"];
    let or = |name: &str, default: f64| options[name].as_f64().unwrap_or(default);
    let set = |name: &str| options[name].as_bool().unwrap_or(false);
    let pair = |name: &str, default: [f64; 2]| match &options[name] {
        Value::Null => default.into(),
        pair => (pair[0].as_f64().unwrap(), pair[1].as_f64().unwrap()),
    };
    match case["optimizer"].as_str().unwrap() {
        "SGD" => {
            let method = GradientDescent::new(or("lr", 1e-3)).momentum(or("momentum", 0.0));
            let method = method.dampening(or("dampening", 0.0));
            boxed(method, set("nesterov"), Entrywise::nesterov)
        }
        "Adam" => {
            let (beta1, beta2) = pair("betas", [0.9, 0.999]);
            let method = Adam::new(or("lr", 1e-3)).betas(beta1, beta2);
            let method = method.epsilon(or("eps", 1e-8));
            boxed(method, set("amsgrad"), Entrywise::amsgrad)
        }
        "AdamW" => {
            let (beta1, beta2) = pair("betas", [0.9, 0.999]);
            let method = AdamW::new(or("lr", 1e-3)).betas(beta1, beta2);
            let method = method.epsilon(or("eps", 1e-8));
            let method = match options["weight_decay"].as_f64() {
                Some(decay) => method.decay(decay),
                None => method,
            };
            let method = match case["spared"].as_bool() {
                Some(true) => {
                    let network = Network::<f64>::builder(2).dense(2, Identity).zeros();
                    method.spare_biases(network.unwrap().layout())
                }
                _ => method,
            };
            boxed(method, set("amsgrad"), Entrywise::amsgrad)
        }
        "RMSprop" => {
            let method = RmsProp::new(or("lr", 1e-2)).alpha(or("alpha", 0.99));
            let method = method
                .epsilon(or("eps", 1e-8))
                .momentum(or("momentum", 0.0));
            boxed(method, set("centered"), Entrywise::centered)
        }
        "Adagrad" => Box::new(
            AdaGrad::new(or("lr", 1e-2))
                .rate_decay(or("lr_decay", 0.0))
                .initial(or("initial_accumulator_value", 0.0))
                .epsilon(or("eps", 1e-10)),
        ),
        "Adadelta" => {
            let method = Adadelta::new(or("lr", 1.0));
            Box::new(method.rho(or("rho", 0.9)).epsilon(or("eps", 1e-6)))
        }
        "Rprop" => {
            let (shrink, grow) = pair("etas", [0.5, 1.2]);
            let (least, most) = pair("step_sizes", [1e-6, 50.0]);
            let method = IRpropMinus::new(or("lr", 1e-2)).factors(shrink, grow);
            Box::new(method.bounds(least, most))
        }
        other => panic!("no optimiser for {other}"),
    }
}

#[test]
fn ten_steps_equal_those_of_pytorch() {
    assert_eq!(VALUES["version"], "2.15.0");
    let cases = VALUES["optimizers"].as_array().unwrap();
    assert!(cases.len() >= 25);
    for case in cases {
        let what = format!("{} {}", case["optimizer"], case["options"]);
        let mut method = optimizer(case);
        method.validate().unwrap();
        let mut theta = START;
        let path = case["path"].as_array().unwrap();
        assert_eq!(path.len(), 10);
        for (step, expected) in path.iter().enumerate() {
            let g = gradient(&theta);
            method.step(&mut theta, &g, 1.0).unwrap();
            let expected = numbers(expected);
            assert_eq!(expected.len(), theta.len());
            for (found, expected) in theta.iter().zip(expected) {
                let bound = 1e-12 * expected.abs().max(1.0);
                assert!(
                    (found - expected).abs() <= bound,
                    "{what}, step {step}: {found} instead of {expected}"
                );
            }
        }
    }
}

/// Ten steps in `f32` from numbers of size 1 stay within a few roundings of those in `f64`.
#[test]
fn single_precision_follows_double() {
    for (mut single, mut double) in all::<f32>().into_iter().zip(all::<f64>()) {
        let (mut x, mut y) = (START.map(|x| x as f32), START);
        for _ in 0..10 {
            let (g, h) = (gradient(&x), gradient(&y));
            single.step(&mut x, &g, 1.0).unwrap();
            double.step(&mut y, &h, 1.0).unwrap();
        }
        for (x, y) in x.iter().zip(y) {
            let error = (f64::from(*x) - y).abs();
            assert!(error < 1e-4, "{}: {x} instead of {y}", double.info().name);
        }
    }
}

#[test]
fn schedule_factors_equal_those_of_pytorch() {
    let cosine = Schedule::Cosine {
        over: 9.0,
        floor: 0.1,
    };
    let cycle = Schedule::OneCycle {
        over: 19.0,
        rise: 5.0 / 19.0,
        start: 1.0 / 25.0,
        end: 1.0 / 250_000.0,
    };
    for (name, schedule) in [
        (
            "step",
            Schedule::Step {
                every: 3.0,
                factor: 0.4,
            },
        ),
        ("exponential", Schedule::Exponential { factor: 0.8 }),
        ("cosine", cosine),
        ("one_cycle", cycle),
        ("warm_up", Schedule::Constant.warm_up(4.0, 0.2)),
    ] {
        schedule.validate().unwrap();
        let expected = numbers(&VALUES["schedules"][name]);
        assert!(expected.len() >= 7);
        for (epoch, expected) in expected.iter().enumerate() {
            let found = schedule.factor(epoch as f64);
            assert!(
                (found - expected).abs() < 1e-14,
                "{name} {epoch}: {found} instead of {expected}"
            );
        }
    }
    let schedule = Schedule::OnPlateau {
        patience: 2,
        factor: 0.3,
        threshold: 0.01,
        floor: 0.05,
    };
    let mut plateau: Plateau = schedule.plateau().unwrap();
    let expected = numbers(&VALUES["schedules"]["plateau"]);
    let observed = numbers(&VALUES["observed"]);
    assert_eq!(expected.len(), observed.len());
    assert!(expected.contains(&0.05), "the floor is reached");
    for (value, expected) in observed.into_iter().zip(expected) {
        let found = plateau.observe(value);
        assert!(
            (found - expected).abs() < 1e-15,
            "after {value}: {found} instead of {expected}"
        );
    }
}

#[test]
fn gradients_are_clipped_as_by_pytorch() {
    let cases = VALUES["clippings"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let bound = case["bound"].as_f64().unwrap();
        let clipping = match case["kind"].as_str().unwrap() {
            "norm" => Clipping::Norm(bound),
            _ => Clipping::Value(bound),
        };
        let mut gradient = numbers(&case["gradient"]);
        let norm = clipping.apply(&mut gradient);
        assert!((norm - case["norm"].as_f64().unwrap()).abs() < 1e-14);
        for (found, expected) in gradient.iter().zip(numbers(&case["clipped"])) {
            assert!((found - expected).abs() < 1e-14, "{clipping:?}");
        }
    }
}
