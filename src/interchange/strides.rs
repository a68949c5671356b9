//! Where the entries of a tensor are.

/// Returns the distances between neighbours along each axis, in row-major order.
pub(super) fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Visits the entries of a tensor, the last axis or the first one the fastest: Σ index · stride of
/// each.
pub(super) fn walk(
    shape: &[usize],
    strides: &[usize],
    first_fastest: bool,
) -> impl Iterator<Item = usize> + use<> {
    let mut axes: Vec<(usize, usize)> =
        shape.iter().copied().zip(strides.iter().copied()).collect();
    if !first_fastest {
        axes.reverse();
    }
    // Before an axis of size 0, others may have any size.
    let len = shape.iter().copied().fold(1, usize::saturating_mul);
    let mut index = vec![0; axes.len()];
    let mut next = 0;
    (0..len).map(move |_| {
        let offset = next;
        for (index, &(size, stride)) in index.iter_mut().zip(&axes) {
            *index += 1;
            next += stride;
            if *index < size {
                break;
            }
            next -= stride * size;
            *index = 0;
        }
        offset
    })
}
