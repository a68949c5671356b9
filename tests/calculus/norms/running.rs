//! How a batch moves the running statistics, in exact numbers.

use backprop::Layer;
use backprop::layer::{At, BatchNorm, Forward, Site};
use backprop::nalgebra::DMatrix;

/// The new state of one unit after a training pass over a batch.
fn after(norm: BatchNorm, state: &[f64], values: &[f64], replaces: bool) -> Vec<f64> {
    let plan = Layer::<f64>::plan(&norm.affine(false), Site::new(1)).unwrap();
    let x = DMatrix::from_row_slice(1, values.len(), values);
    let mut at = At::new(&plan, &[]);
    (at.training, at.state, at.replaces_statistics) = (true, state, replaces);
    let (mut a, mut new) = (x.clone(), state.to_vec());
    let mut kept = vec![f64::NAN; plan.kept(at.keep, values.len())];
    let mut room = vec![f64::NAN; plan.room_len(values.len())];
    let mut pass = Forward::new(at, x.as_view(), a.as_view_mut(), &mut kept);
    (pass.new_state, pass.room) = (Some(new.as_mut_slice()), &mut room);
    norm.affine(false).forward(pass);
    new
}

/// The batch (2, 4) has the mean 3 and the unbiased variance 2.
#[test]
fn a_pass_may_replace_the_statistics_by_those_of_its_batch() {
    let batch = [2.0, 4.0];
    for p in [0.0, 0.25, 1.0] {
        let norm = BatchNorm::new().momentum(p);
        assert_eq!(after(norm, &[7.0, 10.0], &batch, true), [3.0, 2.0]);
        let moved = [(1.0 - p) * 7.0 + p * 3.0, (1.0 - p) * 10.0 + p * 2.0];
        assert_eq!(after(norm, &[7.0, 10.0], &batch, false), moved);
    }
    let norm = BatchNorm::new().cumulative();
    let state = after(norm, &[7.0, 10.0, 5.0], &batch, true);
    assert_eq!(state, [3.0, 2.0, 1.0]);
    // The next batch, (6, 10) with 8 and 8, is the second.
    assert_eq!(after(norm, &state, &[6.0, 10.0], false), [5.5, 5.0, 2.0]);
    // A single value has no variance.
    assert_eq!(after(norm, &state, &[5.0], true), state);
    let norm = BatchNorm::new();
    assert_eq!(after(norm, &[7.0, 10.0], &[5.0], true), [7.0, 10.0]);
}

/// A cumulative mean is over the batches that have both a mean and a variance.
#[test]
fn cumulative_statistics_leave_out_batches_without_a_variance() {
    let norm = BatchNorm::new().cumulative();
    let mut state = vec![0.0, 1.0, 0.0];
    let batches: [&[f64]; 4] = [&[5.0], &[2.0, 4.0], &[9.0], &[2.0, 4.0]];
    for values in batches {
        state = after(norm, &state, values, false);
    }
    assert_eq!(state, [3.0, 2.0, 2.0]);
}
