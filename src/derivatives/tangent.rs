//! Passes along a direction: the derivative of the forward pass, and that of the backward pass.

use crate::cost::Cost;
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::{Backward, BackwardTangent, ForwardTangent, Layer};
use crate::network::chain::{Chain, weigh};
use crate::scalar::Scalar;
use crate::workspace::{Buffers, Part};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// The direction: θ̇ of length P, and ẋ. Each is `None` if the parameters or the inputs do not
/// move.
pub(super) type Along<'a, T> = (Option<&'a [T]>, Option<DMatrixView<'a, T>>);

impl<T: Scalar, L: Layer<T>> Chain<'_, T, L> {
    /// Computes ż and ȧ of every layer, after a forward pass.
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] if a layer or its activation has no tangents.
    pub(super) fn forward_tangent(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        part: &mut Part<T>,
        (theta_tangent, x_tangent): Along<'_, T>,
    ) -> Result<(), Error> {
        let m = x.ncols();
        for (l, layer) in self.network.layers().iter().enumerate() {
            let sizes = self.sizes(l);
            let (below, rest) = part.tangents.split_at_mut(l);
            let (Some(tangents), buffers) = (rest.first_mut(), &part.layers[l]) else {
                break;
            };
            let fused = self.fused(l);
            let len = layer.cache_len(m);
            let (cache, cache_tangent) = match fused {
                Some(_) => (&buffers.cache[..], &mut tangents.cache[..]),
                None => (&buffers.cache[..len], &mut tangents.cache[..len]),
            };
            let rows = sizes.outputs;
            let mut pass = ForwardTangent::new(
                &self.theta[sizes.theta.clone()],
                self.input(l, x, &part.layers),
                buffers.view(m),
                cache,
                DMatrixViewMut::from_slice(&mut tangents.output[..rows * m], rows, m),
                cache_tangent,
            );
            pass.theta_tangent = theta_tangent.map(|theta| &theta[sizes.theta.clone()]);
            pass.input_tangent = match below.last() {
                Some(below) => Some(below.view(m)),
                None => x_tangent,
            };
            pass.scratch = &mut part.scratch[..buffers.scratch];
            (pass.training, pass.seed) = self.mode(l);
            pass.first_example = first;
            match fused {
                Some(dense) => dense.forward_tangent_fused(pass),
                None => layer.forward_tangent(pass)?,
            }
        }
        Ok(())
    }

    /// Writes δ⁽ᴸ⁾ and its derivative, both times w, into the first δ and δ̇ of the part. Returns
    /// whether they are derivatives with respect to z.
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] if the cost has no tangent.
    pub(super) fn cost_delta_tangent<C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'_, T>,
        cost: &C,
        part: &mut Part<T>,
    ) -> Result<bool, Error> {
        let linked = self.cost_delta(examples, cost, part);
        let at = self.outputs(examples, cost, &part.layers);
        let (rows, m) = at.a.shape();
        let tangent = output_tangent(m, &part.tangents, linked)?;
        let dot = &mut part.delta_tangents[0][..rows * m];
        cost.delta_tangent(at, tangent, DMatrixViewMut::from_slice(dot, rows, m))?;
        weigh(examples, rows, dot);
        Ok(linked)
    }

    /// Runs the backward pass from the first δ and δ̇ of the part. Writes Δ̇ into `sums`, the
    /// derivative of Δ along the direction of the forward tangents.
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] if a layer or its activation has no tangents.
    pub(super) fn backward_tangent(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        part: &mut Part<T>,
        linked: bool,
        ((theta_tangent, x_tangent), sums): (Along<'_, T>, &mut [T]),
    ) -> Result<(), Error> {
        let m = x.ncols();
        let (layers, tangents) = (&part.layers, &part.tangents);
        let [mut delta, mut below] = part.deltas.each_mut();
        let [mut dot, mut dot_below] = part.delta_tangents.each_mut();
        for (l, layer) in self.network.layers().iter().enumerate().rev() {
            let sizes = self.sizes(l);
            let (rows, inputs) = (sizes.outputs, sizes.inputs);
            let fused = self.fused(l);
            let len = layer.cache_len(m);
            let caches = (&layers[l].cache[..], &tangents[l].cache[..]);
            let (cache, cache_tangent) = match fused {
                Some(_) => caches,
                None => (&caches.0[..len], &caches.1[..len]),
            };
            let mut pass = Backward::new(
                &self.theta[sizes.theta.clone()],
                self.input(l, x, layers),
                layers[l].view(m),
                cache,
                DMatrixViewMut::from_slice(&mut delta[..rows * m], rows, m),
            );
            pass.linked = linked && l + 1 == self.depth();
            pass.scratch = &mut part.scratch[..layers[l].scratch];
            (pass.training, pass.seed) = self.mode(l);
            pass.first_example = first;
            if l > 0 {
                let below = &mut below[..inputs * m];
                pass.input_delta = Some(DMatrixViewMut::from_slice(below, inputs, m));
            }
            let delta_tangent = DMatrixViewMut::from_slice(&mut dot[..rows * m], rows, m);
            let mut along =
                BackwardTangent::new(pass, tangents[l].view(m), cache_tangent, delta_tangent);
            along.theta_tangent = theta_tangent.map(|theta| &theta[sizes.theta.clone()]);
            along.gradient_tangent = Some(&mut sums[sizes.theta.clone()]);
            if l > 0 {
                let below = &mut dot_below[..inputs * m];
                along.input_delta_tangent = Some(DMatrixViewMut::from_slice(below, inputs, m));
                along.input_tangent = Some(tangents[l - 1].view(m));
            } else {
                along.input_tangent = x_tangent;
            }
            match fused {
                Some(dense) => dense.backward_tangent_fused(along),
                None => layer.backward_tangent(along)?,
            }
            std::mem::swap(&mut delta, &mut below);
            std::mem::swap(&mut dot, &mut dot_below);
        }
        Ok(())
    }

    /// Writes the derivative of ∂cost/∂z of the last layer along ż into the first δ, for a backward
    /// pass from z. It follows from the first δ and δ̇, which are derivatives with respect to a.
    pub(super) fn to_z(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        part: &mut Part<T>,
    ) -> Result<(), Error> {
        let (m, l) = (x.ncols(), self.depth() - 1);
        let (layer, sizes) = (&self.network.layers()[l], self.sizes(l));
        let (rows, len) = (sizes.outputs, layer.cache_len(m));
        let (layers, tangents) = (&part.layers, &part.tangents);
        let delta = &mut part.deltas[0][..rows * m];
        let dot = &mut part.delta_tangents[0][..rows * m];
        let mut pass = Backward::new(
            &self.theta[sizes.theta.clone()],
            self.input(l, x, layers),
            layers[l].view(m),
            &layers[l].cache[..len],
            DMatrixViewMut::from_slice(delta, rows, m),
        );
        pass.scratch = &mut part.scratch[..layers[l].scratch];
        (pass.training, pass.seed) = self.mode(l);
        pass.first_example = first;
        let delta_tangent = DMatrixViewMut::from_slice(dot, rows, m);
        let (output_tangent, cache_tangent) = (tangents[l].view(m), &tangents[l].cache[..len]);
        let along = BackwardTangent::new(pass, output_tangent, cache_tangent, delta_tangent);
        layer.backward_tangent(along)?;
        delta.copy_from_slice(dot);
        Ok(())
    }
}

/// Returns ż of the last layer, or ȧ.
pub(super) fn output_tangent<T: Scalar>(
    m: usize,
    tangents: &[Buffers<T>],
    of_z: bool,
) -> Result<DMatrixView<'_, T>, Error> {
    let last = tangents.last().ok_or(Error::NoLayers)?;
    if of_z {
        last.cache_view(m).ok_or(Error::NoLayers)
    } else {
        Ok(last.view(m))
    }
}
