//! What the norms share: x̂ = (x − μ) r with r = 1/√(σ² + ε), a = γ ∘ x̂ + β, and its derivatives.

use super::{Backward, Block, LayerGradient, Len, Plan};
use crate::error::{Error, ranges::above_zero};
use crate::kernels::norms::{Grouping, Sums, Sweep, group_sums, sweep};
use crate::kernels::{flat, flat_mut, sum_of_squares};
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// Groups of up to this many entries are projected twice. A gradient below a norm is what is left
/// of much larger terms, and the second projection removes most of their rounding.
const SMALL: usize = 16;

/// The groups and the parameters of a norm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm {
    /// The entries that share a mean and a variance.
    pub(super) by: Grouping,
    /// The number of these groups in a pass.
    pub(super) groups: usize,
    /// The entries that share γ and β.
    pub(super) per: Grouping,
    /// The number of entries of γ.
    pub(super) units: usize,
    /// Whether the mean is subtracted.
    pub(super) centred: bool,
    pub(super) gamma: bool,
    pub(super) beta: bool,
    pub(super) eps: f64,
    /// Whether mean and variance are those of the entries, and not constants.
    pub(super) of_entries: bool,
}

/// The lengths of what a norm keeps and needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// The entries of an example.
    pub(super) entries: usize,
    /// The number of groups.
    pub(super) groups: Len,
    /// The number of entries of γ.
    pub(super) units: usize,
}

/// Mean, what it has lost by rounding, and variance or r, of each group.
pub(super) struct Statistics<'a, T> {
    pub(super) mean: &'a mut [T],
    pub(super) rest: &'a mut [T],
    pub(super) variance: &'a mut [T],
}

impl<'a, T> Statistics<'a, T> {
    /// Takes room for this number of groups.
    pub(super) fn new(room: &'a mut [T], groups: usize) -> Self {
        let mut room = Room { rest: room };
        Self {
            mean: room.take(groups),
            rest: room.take(groups),
            variance: room.take(groups),
        }
    }

    /// Lends all of it.
    pub(super) fn lent(&mut self) -> Statistics<'_, T> {
        Statistics {
            mean: self.mean,
            rest: self.rest,
            variance: self.variance,
        }
    }
}

/// x̂ with r, and the factor of what is left after a projection: r, or r γ.
#[derive(Clone, Copy)]
pub(super) struct Normal<'a, T> {
    pub(super) entries: &'a [T],
    pub(super) r: &'a [T],
    pub(super) scale: &'a [T],
}

/// Room for vectors with a number for each group, or for each entry of γ.
pub(super) struct Room<'a, T> {
    pub(super) rest: &'a mut [T],
}

impl<'a, T> Room<'a, T> {
    pub(super) fn take(&mut self, len: usize) -> &'a mut [T] {
        let (taken, rest) = std::mem::take(&mut self.rest).split_at_mut(len);
        self.rest = rest;
        taken
    }
}

/// Checks ε.
pub(super) fn check_eps<T: Scalar>(eps: f64) -> Result<(), Error> {
    above_zero::<T>("ε of the norm", eps)
}

/// Adds γ and β, and the lengths of the memory.
pub(super) fn with_memory(mut plan: Plan, sizes: Sizes, (gamma, beta): (bool, bool)) -> Plan {
    let Sizes {
        entries,
        groups,
        units,
    } = sizes;
    if gamma {
        plan = plan.block(Block::constant("γ", units, 1, 1.0));
    }
    if beta {
        plan = plan.block(Block::constant("β", units, 1, 0.0));
    }
    let groups_times = |n: usize| Len {
        each: groups.each.saturating_mul(n),
        fixed: groups.fixed.saturating_mul(n),
    };
    let parameters = Len::fixed(units.saturating_mul(4));
    plan.keeps_by(|keep| match keep {
        super::Keep::Nothing => Len::default(),
        _ => Len::each(entries) + groups,
    })
    .room(groups_times(5) + parameters)
    .tangent_room_of(groups_times(10) + parameters + Len::each(entries))
    .own_each()
}

/// Returns all entries of a matrix whose columns are contiguous, as those of every pass are.
pub(super) fn entries<'a, T: Scalar>(matrix: &'a mut DMatrixViewMut<'_, T>) -> &'a mut [T] {
    flat_mut(matrix).unwrap_or_default()
}

/// Copies the columns of a matrix.
pub(super) fn copy<T: Scalar>(from: &DMatrixView<'_, T>, to: &mut [T]) {
    if let Some(from) = flat(from) {
        to.copy_from_slice(from);
        return;
    }
    for (from, to) in from.column_iter().zip(to.chunks_mut(from.nrows().max(1))) {
        to.copy_from_slice(from.as_slice());
    }
}

impl Norm {
    /// The number of entries of a group.
    fn size<T: Scalar>(&self, entries: usize) -> T {
        real((entries / self.groups.max(1)) as f64)
    }

    /// Splits θ, or a vector like it, into its shares of γ and β.
    pub(super) fn split<'a, T>(&self, theta: &'a [T]) -> (Option<&'a [T]>, Option<&'a [T]>) {
        let (gamma, beta) = theta.split_at(if self.gamma { self.units } else { 0 });
        (self.gamma.then_some(gamma), self.beta.then_some(beta))
    }

    /// Writes the mean and the (biased) variance of each group, and what the mean has lost by
    /// rounding; for a norm that is not centred, 0 and the mean square.
    pub(super) fn statistics<T: Scalar>(&self, x: &[T], of: Statistics<'_, T>) {
        let Statistics {
            mean,
            rest,
            variance,
        } = of;
        let (by, n) = (self.by, self.size::<T>(x.len()));
        let plain = Sums {
            by,
            u: x,
            center: None,
            with: None,
        };
        group_sums(plain, mean, variance);
        if !self.centred {
            mean.fill(T::zero());
            rest.fill(T::zero());
            variance.iter_mut().for_each(|v| *v /= n);
            return;
        }
        mean.iter_mut().for_each(|mean| *mean /= n);
        let center = Some(&*mean);
        group_sums(Sums { center, ..plain }, rest, variance);
        for (v, rest) in variance.iter_mut().zip(rest) {
            *rest /= n;
            *v = *v / n - *rest * *rest;
        }
    }

    /// Replaces variances by r = 1/√(σ² + ε).
    pub(super) fn invert_roots<T: Scalar>(&self, variance: &mut [T]) {
        let eps = real::<T>(self.eps);
        for v in variance {
            *v = T::one() / (*v + eps).sqrt();
        }
    }

    /// Replaces x in `a` by x̂, keeps it with r, and replaces it by γ ∘ x̂ + β. `variance` holds r.
    pub(super) fn normalise<T: Scalar>(
        &self,
        theta: &[T],
        a: &mut [T],
        of: Statistics<'_, T>,
        kept: &mut [T],
    ) {
        let (mean, rest, scale) = (&*of.mean, &*of.rest, &*of.variance);
        let how = if self.centred {
            Sweep::Normalise { mean, rest, scale }
        } else {
            Sweep::Scale(scale)
        };
        sweep(self.by, how, a);
        if !kept.is_empty() {
            let (normal, kept_scale) = kept.split_at_mut(a.len());
            normal.copy_from_slice(a);
            kept_scale[..scale.len()].copy_from_slice(scale);
        }
        match self.split(theta) {
            (Some(scale), Some(shift)) => sweep(self.per, Sweep::Affine { scale, shift }, a),
            (Some(scale), None) => {
                sweep(self.per, Sweep::Scale(scale), a);
            }
            _ => {}
        }
    }

    /// Writes the means of u and of u q over each group.
    pub(super) fn means<T: Scalar>(
        &self,
        (u, q): (&[T], &[T]),
        plain: &mut [T],
        products: &mut [T],
    ) {
        let n = self.size::<T>(u.len());
        let of = Sums {
            by: self.by,
            u,
            center: None,
            with: Some(q),
        };
        group_sums(of, plain, products);
        plain.iter_mut().for_each(|mean| *mean /= n);
        products.iter_mut().for_each(|mean| *mean /= n);
    }

    /// Replaces g in `g` by r (g − mean g − x̂ mean (g x̂)), and returns mean (g x̂) in `along`.
    ///
    /// This is the derivative of x̂ along g, and, because it is symmetric, also ∂cost/∂x for
    /// ∂cost/∂x̂ = g.
    fn project<T: Scalar>(
        &self,
        g: &mut [T],
        of: Normal<'_, T>,
        (center, along): (&mut [T], &mut [T]),
        (center_left, along_left): (&mut [T], &mut [T]),
    ) {
        let (by, normal) = (self.by, of.entries);
        self.means((g, normal), center, along);
        let small = self.is_small(g.len());
        let center = self.centred.then_some(&*center);
        let first = Sweep::Project {
            normal,
            center,
            along,
            scale: (!small).then_some(of.scale),
        };
        sweep(by, first, g);
        if !small {
            return;
        }
        // What is left has mean 0 and, because the mean of x̂² is 1 − ε r², this part along x̂.
        self.means((g, normal), center_left, along_left);
        let eps = real::<T>(self.eps);
        for ((left, &along), &r) in along_left.iter_mut().zip(&*along).zip(of.r) {
            *left -= along * eps * r * r;
        }
        let second = Sweep::Project {
            normal,
            center: self.centred.then_some(&*center_left),
            along: along_left,
            scale: Some(of.scale),
        };
        sweep(by, second, g);
    }

    /// Returns whether groups of this many entries together are projected twice.
    pub(super) fn is_small(&self, entries: usize) -> bool {
        entries <= SMALL * self.groups
    }

    /// Computes the gradient and the error of the layer below.
    pub(super) fn backward<T: Scalar>(&self, pass: Backward<'_, T>) {
        let Backward {
            at,
            kept,
            mut delta,
            gradient,
            input_delta,
            room,
            ..
        } = pass;
        let (delta, mut room) = (&*entries(&mut delta), Room { rest: room });
        let (normal, r) = kept.split_at(delta.len());
        let r = &r[..self.groups];
        let each = at.plan.outputs();
        self.gradient((delta, normal), each, gradient, room.take(2 * self.units));
        let Some(mut below) = input_delta else {
            return;
        };
        let below = entries(&mut below);
        below.copy_from_slice(delta);
        let mut of = Normal {
            entries: normal,
            r,
            scale: r,
        };
        match self.split(at.theta) {
            // γ of a group multiplies what is left, which saves the rounding of γ δ.
            (Some(gamma), _) if self.per == self.by => {
                let scale = room.take(self.groups);
                for ((scale, &r), &gamma) in scale.iter_mut().zip(r).zip(gamma) {
                    *scale = r * gamma;
                }
                of.scale = scale;
            }
            (Some(gamma), _) => sweep(self.per, Sweep::Scale(gamma), below),
            _ => {}
        }
        self.pull_back(below, of, &mut room);
    }

    /// Multiplies by γ.
    pub(super) fn scale_by_gamma<T: Scalar>(&self, theta: &[T], g: &mut [T]) {
        if let (Some(scale), _) = self.split(theta) {
            sweep(self.per, Sweep::Scale(scale), g);
        }
    }

    /// Replaces ∂cost/∂x̂ by ∂cost/∂x, and returns mean (g x̂) of each group, or 0 where the
    /// statistics are constants.
    pub(super) fn pull_back<'a, T: Scalar>(
        &self,
        g: &mut [T],
        of: Normal<'_, T>,
        room: &mut Room<'a, T>,
    ) -> &'a mut [T] {
        let [center, along, center_left, along_left] = [(); 4].map(|()| room.take(self.groups));
        if self.of_entries {
            let to = (&mut *center, &mut *along);
            self.project(g, of, to, (center_left, along_left));
        } else {
            along.fill(T::zero());
            sweep(self.by, Sweep::Scale(of.scale), g);
        }
        along
    }

    /// Computes ∂cost/∂γ = Σ δ x̂ and ∂cost/∂β = Σ δ.
    pub(super) fn gradient<T: Scalar>(
        &self,
        (delta, normal): (&[T], &[T]),
        each: usize,
        gradient: LayerGradient<'_, T>,
        room: &mut [T],
    ) {
        if !self.gamma {
            return;
        }
        let (own_gamma, own_beta) = room.split_at_mut(self.units);
        let sums = |delta, normal, gamma: &mut [T], beta: &mut [T]| {
            self.sums((delta, normal), gamma, beta);
        };
        match gradient {
            LayerGradient::None => {}
            LayerGradient::Sum(sum) => {
                let (gamma, beta) = sum.split_at_mut(self.units);
                let beta = if self.beta { beta } else { own_beta };
                sums(delta, normal, gamma, beta);
            }
            LayerGradient::Each { gradients, stride } => {
                let pairs = delta.chunks(each).zip(normal.chunks(each));
                for ((delta, normal), gradient) in pairs.zip(gradients.chunks_mut(stride)) {
                    let (gamma, beta) = gradient.split_at_mut(self.units);
                    let beta = if self.beta { beta } else { &mut *own_beta };
                    sums(delta, normal, gamma, &mut beta[..self.units]);
                }
            }
            LayerGradient::SquaredNorms(norms) => {
                let pairs = delta.chunks(each).zip(normal.chunks(each));
                for ((delta, normal), norm) in pairs.zip(norms) {
                    sums(delta, normal, own_gamma, own_beta);
                    *norm += sum_of_squares(own_gamma);
                    if self.beta {
                        *norm += sum_of_squares(own_beta);
                    }
                }
            }
        }
    }

    /// Computes Σ δ x̂ and Σ δ over the entries of each γ.
    pub(super) fn sums<T: Scalar>(
        &self,
        (delta, normal): (&[T], &[T]),
        products: &mut [T],
        plain: &mut [T],
    ) {
        let of = Sums {
            by: self.per,
            u: delta,
            center: None,
            with: Some(normal),
        };
        group_sums(of, plain, products);
    }
}
