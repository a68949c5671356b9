//! The backward pass of a norm.

use super::normalize::{Means, Norm, Normal, Panel, Room, entries};
use super::{Backward, LayerGradient};
use crate::kernels::norms::{Sweep, sweep, sweep_from};
use crate::kernels::sum_of_squares;
use crate::scalar::{Scalar, real};
use nalgebra::DMatrixViewMut;

impl Norm {
    /// Replaces g in `g` by r (g − mean g − x̂ mean (g x̂)), and returns these means.
    ///
    /// This is the derivative of x̂ along g, and, because it is symmetric, also ∂cost/∂x for
    /// ∂cost/∂x̂ = g.
    fn project<'a, T: Scalar>(
        &self,
        g: &mut [T],
        of: Normal<'_, T>,
        room: &mut Room<'a, T>,
    ) -> Means<'a, T> {
        let mut means = Means::new(room.vectors(self.groups));
        self.means(g, of.entries, &mut means);
        let small = self.is_small(g.len());
        sweep(self.by, self.projection(of, &means, small), g);
        if small {
            let expected = self.expected(of, means.products);
            self.project_again(g, of, expected, room);
        }
        means
    }

    /// A projection, given the means of g and of g x̂. r multiplies what is left unless `another`
    /// projection follows.
    pub(super) fn projection<'a, T: Scalar>(
        &self,
        of: Normal<'a, T>,
        means: &'a Means<'_, T>,
        another: bool,
    ) -> Sweep<'a, T> {
        Sweep::Project {
            normal: of.entries,
            center: self.centred.then_some(&*means.plain),
            along: means.products,
            scale: (!another).then_some(of.scale),
        }
    }

    /// The means of g x̂ that are left by a projection without rounding, given those before: the
    /// mean of x̂² is 1 − ε r².
    fn expected<'a, T: Scalar>(
        &self,
        of: Normal<'a, T>,
        along: &'a [T],
    ) -> impl Iterator<Item = T> + 'a {
        let eps = real::<T>(self.eps);
        let pairs = along.iter().zip(of.r);
        pairs.map(move |(&along, &r)| along * eps * r * r)
    }

    /// Removes from a projected g what rounding has left of the parts along 1 and x̂. Without
    /// rounding, the mean of g is 0, and that of g x̂ is `expected`.
    pub(super) fn project_again<T: Scalar>(
        &self,
        g: &mut [T],
        of: Normal<'_, T>,
        expected: impl Iterator<Item = T>,
        room: &mut Room<'_, T>,
    ) {
        let mut left = Means::new(room.vectors(self.groups));
        self.means(g, of.entries, &mut left);
        for (left, expected) in left.products.iter_mut().zip(expected) {
            *left -= expected;
        }
        sweep(self.by, self.projection(of, &left, false), g);
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
            let of = Normal::new(normal, r);
            return self.backward_of_units(at.theta, delta, of, gradient, input_delta, room);
        }
        let each = at.plan.outputs();
        self.gradient(delta, normal, each, gradient, &mut room);
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
            let of = Normal::new(&normal[entries], &r[groups]);
            norm.pull_back(below, of, &mut room);
        }
    }

    /// [`backward`](Self::backward) where all entries of a group share γ and β, so that the sums of
    /// the gradient are also those of the projection.
    fn backward_of_units<T: Scalar>(
        &self,
        theta: &[T],
        delta: &[T],
        of: Normal<'_, T>,
        gradient: LayerGradient<'_, T>,
        below: Option<DMatrixViewMut<'_, T>>,
        mut room: Room<'_, T>,
    ) {
        let sum = match gradient {
            LayerGradient::Sum(sum) if self.has.gamma => Some(sum),
            _ => None,
        };
        if sum.is_none() && below.is_none() {
            return;
        }
        let mut means = Means::new(room.vectors(self.groups));
        self.sums(delta, of.entries, &mut means);
        if let Some(sum) = sum {
            let (gamma, beta) = sum.split_at_mut(self.units);
            gamma.copy_from_slice(means.products);
            if self.has.beta {
                beta.copy_from_slice(means.plain);
            }
        }
        let Some(mut below) = below else {
            return;
        };
        let (g, n) = (entries(&mut below), self.size::<T>(delta.len()));
        means.plain.iter_mut().for_each(|mean| *mean /= n);
        means.products.iter_mut().for_each(|mean| *mean /= n);
        let scale = room.take(self.groups);
        scale.copy_from_slice(of.r);
        if let (Some(gamma), _) = self.split(theta) {
            // γ multiplies what is left, which saves the rounding of γ δ.
            let pairs = scale.iter_mut().zip(gamma);
            pairs.for_each(|(scale, &gamma)| *scale *= gamma);
        }
        let (of, small) = (Normal { scale, ..of }, self.is_small(delta.len()));
        sweep_from(self.by, self.projection(of, &means, small), delta, g);
        if small {
            let expected = self.expected(of, means.products);
            self.project_again(g, of, expected, &mut room);
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
        if self.of_entries {
            return self.project(g, of, room).products;
        }
        sweep(self.by, Sweep::Scale(of.scale), g);
        let along = room.take(self.groups);
        along.fill(T::zero());
        along
    }

    /// Computes ∂cost/∂γ = Σ δ x̂ and ∂cost/∂β = Σ δ.
    pub(super) fn gradient<T: Scalar>(
        &self,
        delta: &[T],
        normal: &[T],
        each: usize,
        gradient: LayerGradient<'_, T>,
        room: &mut Room<'_, T>,
    ) {
        if !self.has.gamma {
            return;
        }
        let [own_gamma, own_beta] = room.vectors(self.units);
        let has_beta = self.has.beta;
        let pairs = delta.chunks(each).zip(normal.chunks(each));
        match gradient {
            LayerGradient::None => {}
            LayerGradient::Sum(sum) => {
                let (products, beta) = sum.split_at_mut(self.units);
                let plain = if has_beta { beta } else { own_beta };
                self.sums(delta, normal, &mut Means { plain, products });
            }
            LayerGradient::Each { gradients, stride } => {
                for ((delta, normal), gradient) in pairs.zip(gradients.chunks_mut(stride)) {
                    let (products, beta) = gradient.split_at_mut(self.units);
                    let plain = if has_beta { beta } else { &mut *own_beta };
                    let plain = &mut plain[..self.units];
                    self.sums(delta, normal, &mut Means { plain, products });
                }
            }
            LayerGradient::SquaredNorms(norms) => {
                for ((delta, normal), norm) in pairs.zip(norms) {
                    let mut to = Means {
                        plain: own_beta,
                        products: own_gamma,
                    };
                    self.sums(delta, normal, &mut to);
                    *norm += sum_of_squares(own_gamma);
                    if has_beta {
                        *norm += sum_of_squares(own_beta);
                    }
                }
            }
        }
    }
}
