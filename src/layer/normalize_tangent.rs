//! The passes of norms along a direction.

use super::normalize::{Norm, Normal, Room, copy, entries};

use super::{Backward, BackwardTangent, ForwardTangent};
use crate::kernels::norms::{Sweep, sweep};
use crate::scalar::{Scalar, real};

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
        let (a, mut room) = (entries(&mut output_tangent), Room { rest: room });
        let (normal, scale) = kept.split_at(a.len());
        let (normal_tangent, scale_tangent) = kept_tangent.split_at_mut(a.len());
        let (scale, scale_tangent) = (&scale[..self.groups], &mut scale_tangent[..self.groups]);
        let of = Normal {
            entries: normal,
            r: scale,
            scale,
        };
        match input_tangent {
            Some(x) => {
                copy(&x, a);
                let along = self.pull_back(a, of, &mut room);
                // r² = 1/(σ² + ε), and the derivative of σ² is 2 mean (x̂ ẋ)/r.
                for ((dot, &r), &along) in scale_tangent.iter_mut().zip(scale).zip(&*along) {
                    *dot = -(r * r * along);
                }
            }
            None => {
                a.fill(T::zero());
                scale_tangent.fill(T::zero());
            }
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
        let (delta, delta_dot) = (&*entries(&mut delta), &*entries(&mut delta_tangent));
        let mut room = Room { rest: room };
        let (normal, scale) = kept.split_at(delta.len());
        let (normal_dot, scale_dot) = kept_tangent.split_at(delta.len());
        let (scale, scale_dot) = (&scale[..self.groups], &scale_dot[..self.groups]);
        let of = Normal {
            entries: normal,
            r: scale,
            scale,
        };
        self.gradient(
            (delta, normal),
            at.plan.outputs(),
            gradient,
            room.take(2 * self.units),
        );
        if let Some(sum) = gradient_tangent
            && self.gamma
        {
            let (gamma, beta) = sum.split_at_mut(self.units);
            let (products, spare) = (room.take(self.units), room.take(self.units));
            self.sums((delta, normal_dot), products, spare);
            let beta = if self.beta { beta } else { &mut *spare };
            self.sums((delta_dot, normal), gamma, beta);
            gamma.iter_mut().zip(&*products).for_each(|(g, &p)| *g += p);
        }
        if input_delta.is_none() && input_delta_tangent.is_none() {
            return;
        }
        let g = room.take(delta.len());
        g.copy_from_slice(delta);
        self.scale_by_gamma(at.theta, g);
        if let Some(mut below) = input_delta_tangent {
            let g_dot = entries(&mut below);
            g_dot.copy_from_slice(delta_dot);
            self.scale_by_gamma(at.theta, g_dot);
            if let Some(theta) = theta_tangent
                && let (Some(scale), _) = self.split(theta)
            {
                let (x, shift) = (delta, None);
                sweep(self.per, Sweep::Add { x, scale, shift }, g_dot);
            }
            let [plain, products, spare, moved] = [(); 4].map(|()| room.take(self.groups));
            if self.of_entries {
                self.means((g_dot, normal), plain, products);
                self.means((g, normal_dot), spare, moved);
                products.iter_mut().zip(&*moved).for_each(|(p, &q)| *p += q);
            }
            let along = self.pull_back(g, of, &mut room);
            if self.of_entries {
                // ġ is projected, and x̂ and r move in the projection of g.
                let of_g_dot = Sweep::Project {
                    normal,
                    center: self.centred.then_some(&*plain),
                    along: products,
                    scale: None,
                };
                sweep(self.by, of_g_dot, g_dot);
                let small = self.is_small(g.len());
                let of_normal = Sweep::Project {
                    normal: normal_dot,
                    center: None,
                    along,
                    scale: (!small).then_some(scale),
                };
                sweep(self.by, of_normal, g_dot);
                if small {
                    // What is left has mean 0 and this part along x̂, as in `project`.
                    let eps = real::<T>(self.eps);
                    let expected = moved.iter_mut().zip(&*products).zip(&*along);
                    for (((c, &sum), &along), (&r, &dot)) in
                        expected.zip(scale.iter().zip(scale_dot))
                    {
                        *c = eps * r * (r * sum + dot * along) - *c;
                    }
                    self.means((g_dot, normal), plain, spare);
                    spare
                        .iter_mut()
                        .zip(&*moved)
                        .for_each(|(left, &c)| *left -= c);
                    let second = Sweep::Project {
                        normal,
                        center: self.centred.then_some(&*plain),
                        along: spare,
                        scale: Some(scale),
                    };
                    sweep(self.by, second, g_dot);
                }
                for ((ratio, &dot), &r) in spare.iter_mut().zip(scale_dot).zip(scale) {
                    *ratio = dot / r;
                }
                let (x, scale, shift) = (&*g, &*spare, None);
                sweep(self.by, Sweep::Add { x, scale, shift }, g_dot);
            } else {
                sweep(self.by, Sweep::Scale(scale), g_dot);
            }
        } else {
            self.pull_back(g, of, &mut room);
        }
        if let Some(mut below) = input_delta {
            entries(&mut below).copy_from_slice(g);
        }
    }
}
