//! Each planted fault is caught by a test of this folder.

use super::{Fault, derivatives, draws, expectations};

#[test]
fn another_mask_in_the_backward_pass_is_caught() {
    let fault = Fault::RedrawnBackward;
    derivatives::gradients(fault).unwrap_err();
    assert!(!derivatives::differences(fault));
}

#[test]
fn another_mask_along_directions_is_caught() {
    derivatives::directions(Fault::RedrawnTangent).unwrap_err();
}

/// Their gradients are right, since the function itself is another.
#[test]
fn wrong_scales_are_caught() {
    for fault in [Fault::ScaledByP, Fault::NotScaled] {
        expectations::mean_and_variance(fault).unwrap_err();
        derivatives::gradients(fault).unwrap();
    }
}

#[test]
fn a_forgotten_first_example_is_caught() {
    draws::parts(Fault::FirstExampleForgotten).unwrap_err();
}

#[test]
fn a_seed_shared_by_layers_and_steps_is_caught() {
    draws::layers_and_steps(Fault::OneSeed).unwrap_err();
}

#[test]
fn dropout_outside_training_is_caught() {
    draws::evaluation(Fault::AlwaysTraining).unwrap_err();
}

/// The layer that the faults are planted in is right without them.
#[test]
fn the_layer_is_right_without_a_fault() {
    let fault = Fault::Unplanted;
    derivatives::gradients(fault).unwrap();
    derivatives::directions(fault).unwrap();
    derivatives::examples(fault).unwrap();
    draws::parts(fault).unwrap();
    draws::layers_and_steps(fault).unwrap();
    draws::evaluation(fault).unwrap();
    expectations::mean_and_variance(fault).unwrap();
}
