//! The passes of norms along a direction.

use super::normalize::{Means, Norm, Normal, Room, entries};
use super::{Backward, BackwardTangent, ForwardTangent};
use crate::kernels::copy;
use crate::kernels::norms::{Sweep, sweep};
use crate::scalar::{Scalar, real};

/// Numbers and their derivative along the direction of the pass.
#[derive(Clone, Copy)]
struct Moving<'a, T> {
    at: &'a [T],
    dot: &'a [T],
}

/// x̂ and r with their derivatives.
#[derive(Clone, Copy)]
struct MovingNormal<'a, T> {
    normal: Moving<'a, T>,
    r: Moving<'a, T>,
}

impl Norm {
    /// Computes the derivatives of the output, of x̂ and of r.
    pub(super) fn forward_tangent<T: Scalar>(&self, pass: ForwardTangent<'_, T>) {
        let ForwardTangent {
            at,
            kept,
            theta_tangent,
            input_tangent,
            mut output_tangent,
            kept_tangent,
            room,
            ..
        } = pass;
        if let Some(x) = &input_tangent {
            copy(x, &mut output_tangent);
        }
        let a = entries(&mut output_tangent);
        let (normal, r) = kept.split_at(a.len());
        let (normal_tangent, r_tangent) = kept_tangent.split_at_mut(a.len());
        let (r, r_tangent) = (&r[..self.groups], &mut r_tangent[..self.groups]);
        if input_tangent.is_some() {
            let along = self.pull_back(a, Normal::new(normal, r), &mut Room { rest: room });
            // r² = 1/(σ² + ε), and the derivative of σ² is 2 mean (x̂ ẋ)/r.
            for ((dot, &r), &along) in r_tangent.iter_mut().zip(r).zip(&*along) {
                *dot = -(r * r * along);
            }
        } else {
            a.fill(T::zero());
            r_tangent.fill(T::zero());
        }
        normal_tangent.copy_from_slice(a);
        self.scale_by_gamma(at.theta, a);
        if let Some(theta) = theta_tangent
            && let (Some(scale), shift) = self.split(theta)
        {
            let x = normal;
            sweep(self.per, Sweep::Add { x, scale, shift }, a);
        }
    }

    /// Computes the results of [`backward`](Self::backward) and their derivatives.
    pub(super) fn backward_tangent<T: Scalar>(&self, along: BackwardTangent<'_, T>) {
        let BackwardTangent {
            pass,
            theta_tangent,
            kept_tangent,
            mut delta_tangent,
            gradient_tangent,
            input_delta_tangent,
            ..
        } = along;
        let Backward {
            at,
            kept,
            mut delta,
            gradient,
            input_delta,
            room,
            ..
        } = pass;
        let mut room = Room { rest: room };
        let delta = Moving {
            at: entries(&mut delta),
            dot: entries(&mut delta_tangent),
        };
        let (normal, r) = kept.split_at(delta.at.len());
        let (normal_dot, r_dot) = kept_tangent.split_at(delta.at.len());
        let of = MovingNormal {
            normal: Moving {
                at: normal,
                dot: normal_dot,
            },
            r: Moving {
                at: &r[..self.groups],
                dot: &r_dot[..self.groups],
            },
        };
        self.gradient(delta.at, normal, at.plan.outputs(), gradient, &mut room);
        if let Some(sum) = gradient_tangent {
            self.gradient_tangent(delta, of.normal, sum, &mut room);
        }
        if input_delta.is_none() && input_delta_tangent.is_none() {
            return;
        }
        let g = room.take(delta.at.len());
        g.copy_from_slice(delta.at);
        self.scale_by_gamma(at.theta, g);
        if let Some(mut below) = input_delta_tangent {
            let g_dot = entries(&mut below);
            g_dot.copy_from_slice(delta.dot);
            self.scale_by_gamma(at.theta, g_dot);
            if let Some(theta) = theta_tangent
                && let (Some(scale), _) = self.split(theta)
            {
                let (x, shift) = (delta.at, None);
                sweep(self.per, Sweep::Add { x, scale, shift }, g_dot);
            }
            self.pull_back_tangent(g, g_dot, of, &mut room);
        } else {
            self.pull_back(g, Normal::new(normal, of.r.at), &mut room);
        }
        if let Some(mut below) = input_delta {
            entries(&mut below).copy_from_slice(g);
        }
    }

    /// Computes the derivatives of Σ δ x̂ and Σ δ.
    fn gradient_tangent<T: Scalar>(
        &self,
        delta: Moving<'_, T>,
        normal: Moving<'_, T>,
        sum: &mut [T],
        room: &mut Room<'_, T>,
    ) {
        if !self.has.gamma {
            return;
        }
        let (gamma, beta) = sum.split_at_mut(self.units);
        let mut of_normal = Means::new(room.vectors(self.units));
        self.sums(delta.at, normal.dot, &mut of_normal);
        let Means { plain, products } = of_normal;
        let plain = if self.has.beta { beta } else { plain };
        let mut of_delta = Means {
            plain,
            products: gamma,
        };
        self.sums(delta.dot, normal.at, &mut of_delta);
        for (gamma, &of_normal) in of_delta.products.iter_mut().zip(&*products) {
            *gamma += of_normal;
        }
    }

    /// [`pull_back`](Self::pull_back), and its derivative in `g_dot`.
    fn pull_back_tangent<T: Scalar>(
        &self,
        g: &mut [T],
        g_dot: &mut [T],
        of: MovingNormal<'_, T>,
        room: &mut Room<'_, T>,
    ) {
        let MovingNormal { normal, r } = of;
        let fixed = Normal::new(normal.at, r.at);
        if !self.of_entries {
            self.pull_back(g, fixed, room);
            sweep(self.by, Sweep::Scale(r.at), g_dot);
            return;
        }
        let mut means = Means::new(room.vectors(self.groups));
        let mut moved = Means::new(room.vectors(self.groups));
        self.means(g_dot, normal.at, &mut means);
        self.means(g, normal.dot, &mut moved);
        let products = means.products.iter_mut();
        products.zip(&*moved.products).for_each(|(p, &q)| *p += q);
        let along = &*self.pull_back(g, fixed, room);
        // ġ is projected, and x̂ and r move in the projection of g.
        sweep(self.by, self.projection(fixed, &means, true), g_dot);
        let small = self.is_small(g.len());
        let of_normal = Sweep::Project {
            normal: normal.dot,
            center: None,
            along,
            scale: (!small).then_some(r.at),
        };
        sweep(self.by, of_normal, g_dot);
        if small {
            let eps = real::<T>(self.eps);
            let sums = means.products.iter().zip(&*moved.products).zip(along);
            let expected = sums.zip(r.at.iter().zip(r.dot));
            let expected = expected.map(|(((&sum, &moved), &along), (&r, &dot))| {
                eps * r * (r * sum + dot * along) - moved
            });
            self.project_again(g_dot, fixed, expected, room);
        }
        let ratio = moved.plain;
        for ((ratio, &dot), &r) in ratio.iter_mut().zip(r.dot).zip(r.at) {
            *ratio = dot / r;
        }
        let (x, scale, shift) = (&*g, &*ratio, None);
        sweep(self.by, Sweep::Add { x, scale, shift }, g_dot);
    }
}
