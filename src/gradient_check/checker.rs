//! How a [`GradientCheck`] is made and set, and its checks of a network and of a function.

use super::compare::{self, Start};
use super::{GradientCheck, Named, Report, Sampling, nan};
use crate::cost::Cost;
use crate::error::{Error, Location};
use crate::examples::{Examples, check_finite, check_length};
use crate::layer::Layer;
use crate::layout::allocate;
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::Scalar;
use crate::workspace::Workspace;
use nalgebra::DMatrixView;

impl GradientCheck {
    /// Compares every entry, with the step and the tolerances of the scalar type.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks ∇J of a network, block by block.
    ///
    /// Derivation: [(27)](crate::derivation#central-difference).
    ///
    /// Each comparison takes two evaluations of J. Measuring the rounding takes about twelve more
    /// passes for ∇J. In `f32` about three digits are compared; for a rigorous check use
    /// `network.map(f64::from)?`, with the data mapped alike.
    ///
    /// The pass runs on buffers filled with NaN, so that a layer that reads or adds to what it should overwrite is
    /// found too.
    ///
    /// # Errors
    /// Those of [`Network::backprop`] but a non-finite gradient, which the report shows; and [`Error::Hyperparameter`] for
    /// a bad step, tolerance or number of comparisons.
    pub fn network<T: Scalar, L: Layer<T>, C: Cost<T>>(
        &self,
        network: &Network<T, L>,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<Report, Error> {
        let theta = network.theta().as_slice();
        let mut workspace = Workspace::new();
        let mut gradient = allocate("the gradient", (theta.len(), 1), T::zero())?;
        let mut pass = |theta: &[T], gradient: Option<&mut [T]>| {
            if let Some(gradient) = gradient {
                workspace.fill(nan());
                gradient.fill(nan());
                match network.gradient_at(theta, examples, objective, &mut workspace, gradient) {
                    // The report shows where.
                    Err(Error::NonFinite {
                        at: Location::Gradient(..),
                        ..
                    }) => {}
                    done => return Ok(done?.total()),
                }
            }
            let parts = network.cost_at(theta, examples, objective, &mut workspace)?;
            Ok(parts.total())
        };
        // The first pass only gives the buffers their sizes.
        pass(theta, Some(&mut gradient))?;
        let j = pass(theta, Some(&mut gradient))?;
        let blocks = network.layout().blocks().iter().map(|place| Named {
            label: place.label(),
            rows: place.block().rows,
            start: place.range().start,
            len: place.range().len(),
        });
        let blocks: Vec<Named> = blocks.collect();
        let outputs = compare::outputs(network, examples, &objective.cost)?;
        let noise = outputs.map(|a| compare::noise_of_j(&a, examples, &objective.cost));
        let at = Start {
            theta,
            j,
            gradient: &gradient,
            noise: noise.unwrap_or(0.0),
        };
        self.compare(&blocks, at, pass)
    }

    /// Checks any function that returns its value and its gradient, with its variables in named blocks.
    ///
    /// `blocks` are names and lengths, in the order of the variables.
    ///
    /// # Errors
    /// - [`Error::Length`] if the blocks or the gradient have not as many entries as `theta`.
    /// - [`Error::NonFinite`] if `theta` is not finite, or the function at a point that is tried.
    /// - [`Error::Hyperparameter`] for a bad step or tolerance.
    pub fn function<T: Scalar>(
        &self,
        blocks: &[(&str, usize)],
        theta: &[T],
        mut f: impl FnMut(&[T]) -> (T, Vec<T>),
    ) -> Result<Report, Error> {
        let mut named: Vec<Named> = Vec::with_capacity(blocks.len());
        let mut start = 0_usize;
        for &(label, len) in blocks {
            named.push(Named {
                label: label.to_owned(),
                rows: len,
                start,
                len,
            });
            start = start.saturating_add(len);
        }
        check_length("the blocks", theta.len(), start)?;
        check_finite("θ", DMatrixView::from_slice(theta, theta.len(), 1))?;
        let (j, gradient) = f(theta);
        check_length("the gradient", theta.len(), gradient.len())?;
        let at = Start {
            theta,
            j,
            gradient: &gradient,
            noise: 0.0,
        };
        self.compare(&named, at, |theta, gradient| {
            let (j, found) = f(theta);
            if let Some(gradient) = gradient {
                check_length("the gradient", theta.len(), found.len())?;
                gradient.copy_from_slice(&found);
            }
            Ok(j)
        })
    }

    /// The step h, from the machine precision to 1, for entries up to 1 in size; larger ones take h |θᵢ|.
    pub fn step(mut self, h: f64) -> Self {
        self.step = Some(h);
        self
    }

    /// The relative tolerance r > 0 and the floor a ≥ 0 of the bound in the [module documentation](super).
    ///
    /// The resolution is added to them. A floor above a tenth of the derivatives leaves them
    /// undecided.
    pub fn tolerance(mut self, relative: f64, floor: f64) -> Self {
        self.tolerance = Some((relative, floor));
        self
    }

    /// Compares `count` random entries of each block (all of a smaller one). The seed fixes which.
    pub fn sampled(mut self, count: usize, seed: u64) -> Self {
        (self.sampling, self.seed) = (Sampling::PerBlock(count), seed);
        self
    }

    /// Compares the derivative along `count` random unit directions within each block, at most
    /// 65,536. The seed fixes which.
    pub fn directions(mut self, count: usize, seed: u64) -> Self {
        (self.sampling, self.seed) = (Sampling::Directions(count), seed);
        self
    }
}
