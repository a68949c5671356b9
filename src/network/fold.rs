//! Batch norms that become part of the dense layer before them.

use super::Network;
use crate::activation::AnyActivation;
use crate::allocation::reserved;
use crate::error::Error;
use crate::layer::{
    AnyLayer, BatchNorm, Child, Concat, Dense, Layer, Plan, Residual, Running, Sequential,
};
use crate::path::Path;
use crate::scalar::Scalar;
use crate::shape::Shape;

const NETWORK: &str = "the folded network";

/// The numbers of a new network, in the order of its layers.
struct Folded<T> {
    theta: Vec<T>,
    state: Vec<T>,
    frozen: Vec<Path>,
    fixed: Vec<Path>,
}

/// Layers in sequence with their plan and their numbers.
struct Part<'a, T, C> {
    layers: &'a [AnyLayer<C>],
    plan: &'a Plan,
    theta: &'a [T],
    state: &'a [T],
}

impl<T, C> Copy for Part<'_, T, C> {}

impl<T, C> Clone for Part<'_, T, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Scalar, C: Layer<T> + Clone> Network<T, AnyLayer<C>> {
    /// Returns the network with each batch norm that follows a dense layer folded into it, for use
    /// after training.
    ///
    /// With the running statistics μ and σ², a batch norm is the affine map a = s ∘ (z − μ) + β
    /// with s = γ/√(σ² + ε). After a dense layer with
    /// [`Identity`](crate::activation::Identity), z = b + W x, this is one dense layer with the
    /// weights s ∘ W (row by row) and the bias s ∘ (b − μ) + β. Outside training, the outputs are
    /// the same up to rounding, and a pass takes less time. Layers inside containers are folded
    /// too. All other layers stay, and so do norms that follow other layers, or that act on another
    /// axis than the dense layer does. A folded layer is frozen if its
    /// dense layer was.
    ///
    /// Derivation: [(42)](crate::derivation#batch-statistics).
    ///
    /// # Errors
    /// Returns [`Error::NonFinite`] if a parameter overflows, and [`Error::TooLarge`] if there is
    /// no memory for the new network.
    ///
    /// # Example
    /// z = 1 + 2x with μ = 3, σ² + ε = 4, γ = 6 and β = 5 is a = 3 (z − 3) + 5 = −1 + 6x:
    /// ```
    /// use backprop::activation::Identity;
    /// use backprop::layer::BatchNorm;
    /// use backprop::Network;
    ///
    /// let builder = Network::<f64>::builder(1).dense(1, Identity);
    /// let builder = builder.layer(BatchNorm::new().eps(0.25).into());
    /// let mut network = builder.with_theta(&[1.0, 2.0, 6.0, 5.0])?;
    /// network.set_state(&[3.0, 3.75])?;
    /// let folded = network.fold_batch_norms()?;
    /// assert_eq!(folded.theta().as_slice(), &[-1.0, 6.0]);
    /// assert_eq!(folded.forward(&[10.0])?, network.forward(&[10.0])?);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("fuse", "fuse_conv_bn"))]
    pub fn fold_batch_norms(&self) -> Result<Self, Error> {
        let plan = self.layout.plan();
        let part = Part {
            layers: self.layers(),
            plan,
            theta: self.theta.as_slice(),
            state: self.state.as_slice(),
        };
        let mut folded = Folded {
            // A bias that is new replaces the mean of a norm.
            theta: reserved(NETWORK, part.theta.len().saturating_add(part.state.len()))?,
            state: reserved(NETWORK, part.state.len())?,
            frozen: Vec::new(),
            fixed: Vec::new(),
        };
        let layers = folded.sequence(part, &Path::default());
        let mut network = Self::from_layers(plan.input(), layers, &folded.theta)?;
        network.set_state(&folded.state)?;
        network
            .with_frozen(&folded.frozen)?
            .with_fixed_statistics(&folded.fixed)
    }
}

impl<T: Scalar> Folded<T> {
    /// Adds layers in sequence, which are at a path of the new network, and returns them.
    fn sequence<C: Clone>(&mut self, part: Part<'_, T, C>, path: &Path) -> Vec<AnyLayer<C>> {
        let mut layers = Vec::new();
        let mut rest = part.layers.iter().zip(&part.plan.children).peekable();
        while let Some((layer, child)) = rest.next() {
            let path = path.child(layers.len());
            let next = rest.peek().copied();
            if let (AnyLayer::Dense(dense), Some((AnyLayer::BatchNorm(norm), after))) =
                (layer, next)
                && is_foldable(dense, &child.plan)
            {
                layers.push(self.dense(dense, *norm, (part, child, after)).into());
                if child.plan.is_frozen() {
                    self.frozen.push(path);
                }
                rest.next();
                continue;
            }
            layers.push(self.layer(layer, child, part, &path));
        }
        layers
    }

    /// Adds one layer, and those inside it.
    fn layer<C: Clone>(
        &mut self,
        layer: &AnyLayer<C>,
        child: &Child,
        part: Part<'_, T, C>,
        path: &Path,
    ) -> AnyLayer<C> {
        let theta = &part.theta[child.theta.clone()];
        let state = &part.state[child.state.clone()];
        let mut branch = |index: usize, layers: &Sequential<AnyLayer<C>>| {
            let inner = &child.plan.children[index];
            let part = Part {
                layers: layers.layers(),
                plan: &inner.plan,
                theta: &theta[inner.theta.clone()],
                state: &state[inner.state.clone()],
            };
            Sequential::new(self.sequence(part, &path.child(index)))
        };
        match layer {
            AnyLayer::Sequential(inner) => {
                let part = Part {
                    layers: inner.layers(),
                    plan: &child.plan,
                    theta,
                    state,
                };
                Sequential::new(self.sequence(part, path)).into()
            }
            AnyLayer::Residual(residual) => {
                let body = branch(0, residual.body());
                match residual.shortcut() {
                    Some(shortcut) => Residual::with_shortcut(body, branch(1, shortcut)).into(),
                    None => Residual::new(body).into(),
                }
            }
            AnyLayer::Concat(concat) => {
                let branches = concat.branches().iter().enumerate();
                let branches = branches.map(|(i, layers)| branch(i, layers)).collect();
                Concat::new(branches, concat.axis()).into()
            }
            other => {
                self.theta.extend_from_slice(theta);
                self.state.extend_from_slice(state);
                self.keep_marks(&child.plan, path);
                other.clone()
            }
        }
    }

    /// Keeps which layers are frozen or have fixed statistics, at and inside a layer.
    fn keep_marks(&mut self, plan: &Plan, path: &Path) {
        if plan.is_frozen() {
            self.frozen.push(path.clone());
        }
        if plan.fixed_statistics() {
            self.fixed.push(path.clone());
        }
        for (i, child) in plan.children.iter().enumerate() {
            self.keep_marks(&child.plan, &path.child(i));
        }
    }

    /// Adds the parameters of a dense layer with a norm folded into it, and returns the layer.
    fn dense<C>(
        &mut self,
        dense: &Dense,
        norm: BatchNorm,
        (part, child, after): (Part<'_, T, C>, &Child, &Child),
    ) -> Dense {
        let (inputs, units) = (
            child.plan.input().last_axis(),
            child.plan.output().last_axis(),
        );
        let theta = &part.theta[child.theta.clone()];
        let (bias, weights) = theta.split_at(if dense.has_bias() { units } else { 0 });
        let (gamma, beta) = part.theta[after.theta.clone()].split_at(after.plan.parameters() / 2);
        let (state, running) = (&part.state[after.state.clone()], Running::of(units));
        let (mean, variance) = (&state[running.mean], &state[running.variance]);
        let scales = (0..units).map(|u| {
            let r = norm.r(variance[u]);
            gamma.get(u).map_or(r, |&gamma| gamma * r)
        });
        let scale: Vec<T> = scales.collect();
        let start = |all: &[T], u: usize| all.get(u).copied().unwrap_or(T::zero());
        let biases = (0..units).map(|u| scale[u] * (start(bias, u) - mean[u]) + start(beta, u));
        self.theta.extend(biases);
        for column in weights.chunks(units.max(1)) {
            let scaled = column.iter().zip(&scale).map(|(&w, &scale)| w * scale);
            self.theta.extend(scaled);
        }
        Dense::new(inputs, units, AnyActivation::Identity)
    }
}

/// Returns whether a norm of the outputs of a dense layer is part of its product.
fn is_foldable(dense: &Dense, plan: &Plan) -> bool {
    let by_features = matches!(plan.output(), Shape::Units(_) | Shape::Sequence { .. });
    by_features && *dense.activation() == AnyActivation::Identity
}
