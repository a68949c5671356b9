//! The gradients of single examples of a dense layer, and their norms.

use super::LayerGradient;
use crate::kernels::{columns, outer, sum_of_squares};
use crate::scalar::Scalar;
use nalgebra::DMatrixView;

/// δ₍ₖ₎ [1, x₍ₖ₎ᵀ] for each example. Its squared norm is ‖δ₍ₖ₎‖² (1 + ‖x₍ₖ₎‖²). Without a bias, the
/// 1 is absent from both.
pub(super) fn gradients_of_units<T: Scalar>(
    bias: bool,
    x: &DMatrixView<'_, T>,
    delta: &DMatrixView<'_, T>,
    wanted: LayerGradient<'_, T>,
) {
    let columns = x.column_iter().zip(delta.column_iter());
    match wanted {
        LayerGradient::SquaredNorms(norms) => {
            for ((x, delta), norm) in columns.zip(norms) {
                let one = if bias { T::one() } else { T::zero() };
                let size = one + sum_of_squares(x.as_slice());
                *norm += sum_of_squares(delta.as_slice()) * size;
            }
        }
        LayerGradient::Each { gradients, stride } => {
            for ((x, delta), gradient) in columns.zip(gradients.chunks_mut(stride)) {
                let delta = delta.as_slice();
                let (own_bias, weights) = gradient.split_at_mut(if bias { delta.len() } else { 0 });
                if bias {
                    own_bias.copy_from_slice(delta);
                }
                for (column, &x) in weights.chunks_exact_mut(delta.len()).zip(x.as_slice()) {
                    for (w, &d) in column.iter_mut().zip(delta) {
                        *w = d * x;
                    }
                }
            }
        }
        LayerGradient::None | LayerGradient::Sum(_) => {}
    }
}

/// Σ δ [1, xᵀ] over the positions of each example, of `len` entries; Σ δ xᵀ without a bias.
pub(super) fn gradients_of_positions<T: Scalar>(
    len: usize,
    positions: usize,
    x: &DMatrixView<'_, T>,
    delta: &DMatrixView<'_, T>,
    wanted: LayerGradient<'_, T>,
    room: &mut [T],
) {
    let sum = |k: usize, gradient: &mut [T]| {
        let (first, count) = (k * positions, positions);
        let delta = columns(*delta, first, count);
        outer(&delta, &columns(*x, first, count), gradient, &mut []);
    };
    match wanted {
        LayerGradient::SquaredNorms(norms) => {
            let room = &mut room[..len];
            for (k, norm) in norms.iter_mut().enumerate() {
                sum(k, room);
                *norm += sum_of_squares(room);
            }
        }
        LayerGradient::Each { gradients, stride } => {
            let examples = x.ncols() / positions;
            for (k, gradient) in gradients.chunks_mut(stride).take(examples).enumerate() {
                sum(k, &mut gradient[..len]);
            }
        }
        LayerGradient::None | LayerGradient::Sum(_) => {}
    }
}
