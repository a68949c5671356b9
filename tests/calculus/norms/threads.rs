//! Statistics and masks have the same bits for any number of threads.

use super::wave;
use backprop::activation::{Identity, Relu, Softmax};
use backprop::nalgebra::DMatrix;
use backprop::{
    CategoricalCrossEntropy, Examples, Initialization, Network, Objective, Scalar, Workspace, rng,
};

/// J, ∇J and the new state of a batch that could be shared out.
fn numbers<T: Scalar>(m: usize, fixed: bool) -> Vec<T> {
    let builder = Network::<T>::builder(24).dense(40, Identity).batch_norm();
    let builder = builder
        .activate(Relu)
        .dropout(0.3)
        .dense(40, Relu)
        .layer_norm();
    let builder = builder.gaussian_noise(0.1).rms_norm().dense(5, Softmax);
    let mut network = builder
        .initialize(Initialization::HeNormal, &mut rng(3))
        .unwrap();
    if fixed {
        network.fix_statistics(1).unwrap();
    }
    let x = wave::<T>(24, m, 0.4);
    let y = DMatrix::from_fn(5, m, |i, k| if i == k % 5 { T::one() } else { T::zero() });
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.1);
    let mut workspace = Workspace::new();
    workspace.set_training(Some(17));
    let mut all = vec![T::zero(); network.parameters()];
    let parts = network.gradient_into(&examples, &objective, &mut workspace, &mut all);
    all.push(parts.unwrap().total());
    network.take_state(&workspace).unwrap();
    all.extend(network.state().iter());
    all
}

fn same_for_any_number<T: Scalar>() {
    // With fixed statistics, a batch is cut into parts; else it is a whole.
    for (m, fixed) in [(2000, false), (2000, true), (600, true), (300, false)] {
        let mut first = None;
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let found: Vec<T> = pool.unwrap().install(|| numbers(m, fixed));
            let expected = first.get_or_insert_with(|| found.clone());
            assert!(*expected == found, "{m} examples, {threads} threads");
        }
    }
}

#[test]
fn statistics_and_masks_have_the_same_bits_for_any_number_of_threads() {
    same_for_any_number::<f32>();
    same_for_any_number::<f64>();
}
