//! The backward pass of a norm.

use super::normalize::{Norm, Normal, Panel, Room, entries};
use super::{Backward, LayerGradient};
use crate::kernels::norms::{Sums, Sweep, group_sums, sweep, sweep_from};
use crate::kernels::sum_of_squares;
use crate::scalar::{Scalar, real};
use nalgebra::DMatrixViewMut;

impl Norm {
    /// Replaces g in `g` by r (g − mean g − x̂ mean (g x̂)), and returns mean (g x̂) in `along`.
    ///
    /// This is the derivative of x̂ along g, and, because it is symmetric, also ∂cost/∂x for
    /// ∂cost/∂x̂ = g.
    fn project<T: Scalar>(
        &self,
        g: &mut [T],
        of: Normal<'_, T>,
        (center, along): (&mut [T], &mut [T]),
        left: (&mut [T], &mut [T]),
    ) {
        self.means((g, of.entries), center, along);
        let small = self.is_small(g.len());
        sweep(self.by, self.first(of, (center, along), small), g);
        if small {
            self.project_again(g, of, along, left);
        }
    }

    /// The only projection, or the first of two, given the means of g and of g x̂.
    fn first<'a, T: Scalar>(
        &self,
        of: Normal<'a, T>,
        (center, along): (&'a [T], &'a [T]),
        small: bool,
    ) -> Sweep<'a, T> {
        Sweep::Project {
            normal: of.entries,
            center: self.centred.then_some(center),
            along,
            scale: (!small).then_some(of.scale),
        }
    }

    /// Removes from a projected g what rounding has left of the parts along 1 and x̂.
    fn project_again<T: Scalar>(
        &self,
        g: &mut [T],
        of: Normal<'_, T>,
        along: &[T],
        (center_left, along_left): (&mut [T], &mut [T]),
    ) {
        // What is left has mean 0 and, because the mean of x̂² is 1 − ε r², this part along x̂.
        self.means((g, of.entries), center_left, along_left);
        let eps = real::<T>(self.eps);
        for ((left, &along), &r) in along_left.iter_mut().zip(along).zip(of.r) {
            *left -= along * eps * r * r;
        }
        sweep(self.by, self.first(of, (center_left, along_left), false), g);
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
        if self.of_entries && self.per == self.by {
            let of = (delta, normal, r);
            return self.backward_of_units(at.theta, of, gradient, input_delta, room);
        }
        let each = at.plan.outputs();
        self.gradient((delta, normal), each, gradient, room.take(2 * self.units));
        let Some(mut below) = input_delta else {
            return;
        };
        let below = entries(&mut below);
        for panel in self.panels(delta.len()) {
            let Panel {
                norm,
                groups,
                entries,
            } = panel;
            let (delta, below) = (&delta[entries.clone()], &mut below[entries.clone()]);
            match self.split(at.theta) {
                (Some(gamma), _) => sweep_from(self.per, Sweep::Scale(gamma), delta, below),
                _ => below.copy_from_slice(delta),
            }
            let mut room = Room {
                rest: &mut *room.rest,
            };
            let of = Normal {
                entries: &normal[entries],
                r: &r[groups.clone()],
                scale: &r[groups],
            };
            norm.pull_back(below, of, &mut room);
        }
    }

    /// [`backward`](Self::backward) where all entries of a group share γ and β, so that the sums of
    /// the gradient are also those of the projection.
    fn backward_of_units<T: Scalar>(
        &self,
        theta: &[T],
        (delta, normal, r): (&[T], &[T], &[T]),
        gradient: LayerGradient<'_, T>,
        below: Option<DMatrixViewMut<'_, T>>,
        mut room: Room<'_, T>,
    ) {
        let sum = match gradient {
            LayerGradient::Sum(sum) if self.gamma => Some(sum),
            _ => None,
        };
        if sum.is_none() && below.is_none() {
            return;
        }
        let [center, along, center_left, along_left, scale] =
            [(); 5].map(|()| room.take(self.groups));
        self.sums((delta, normal), along, center);
        if let Some(sum) = sum {
            let (gamma, beta) = sum.split_at_mut(self.units);
            gamma.copy_from_slice(along);
            if self.beta {
                beta.copy_from_slice(center);
            }
        }
        let Some(mut below) = below else {
            return;
        };
        let (g, n) = (entries(&mut below), self.size::<T>(delta.len()));
        center.iter_mut().for_each(|mean| *mean /= n);
        along.iter_mut().for_each(|mean| *mean /= n);
        scale.copy_from_slice(r);
        if let (Some(gamma), _) = self.split(theta) {
            // γ multiplies what is left, which saves the rounding of γ δ.
            let pairs = scale.iter_mut().zip(gamma);
            pairs.for_each(|(scale, &gamma)| *scale *= gamma);
        }
        let of = Normal {
            entries: normal,
            r,
            scale,
        };
        let small = self.is_small(delta.len());
        sweep_from(self.by, self.first(of, (center, along), small), delta, g);
        if small {
            self.project_again(g, of, along, (center_left, along_left));
        }
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
