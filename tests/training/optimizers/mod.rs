//! Optimisers, schedules and clipping: against PyTorch, by hand, and with invalid settings.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

mod by_hand;
mod golden;
mod refused;
mod schedules;
mod states;

use backprop::Scalar;
use backprop::training::{
    AdaGrad, Adadelta, Adam, AdamW, GradientDescent, IRpropMinus, Optimizer, RmsProp,
};

/// Returns every optimiser with every combination of buffers.
fn all<T: Scalar>() -> Vec<Box<dyn Optimizer<T>>> {
    vec![
        Box::new(GradientDescent::new(0.003)),
        Box::new(GradientDescent::new(0.001).momentum(0.9)),
        Box::new(GradientDescent::new(0.001).momentum(0.9).dampening(0.5)),
        Box::new(GradientDescent::new(0.001).momentum(0.9).nesterov()),
        Box::new(Adam::new(0.1)),
        Box::new(Adam::new(0.1).amsgrad()),
        Box::new(AdamW::new(0.1).decay(0.1)),
        Box::new(RmsProp::new(0.01)),
        Box::new(RmsProp::new(0.01).centered()),
        Box::new(RmsProp::new(0.01).momentum(0.5)),
        Box::new(RmsProp::new(0.01).centered().momentum(0.5)),
        Box::new(AdaGrad::new(0.1).rate_decay(0.1).initial(0.2)),
        Box::new(Adadelta::new(1.0)),
        Box::new(IRpropMinus::new(0.1)),
    ]
}
