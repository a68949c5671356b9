//! The plain pass: forward, costs, backward. Outputs, J, ∇J, Δ and ∂J/∂X are thin wrappers over
//! this.

use super::chain::{Chain, Wanted, check_part_inputs};
use super::job::{Job, JobResults, PartResults};
use crate::cost::Cost;
use crate::error::{Error, Location};
use crate::examples::Examples;
use crate::kernels::{self, columns, first_non_finite, sum_of_squares, transpose_product};
use crate::layer::{Keep, Layer};
use crate::scalar::{Scalar, to_f64};
use crate::workspace::{Part, Wants, Workspace};
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// A pass over one batch, at one θ.
pub(crate) struct Pass<'a, T: Scalar, L, C: ?Sized> {
    pub(crate) chain: Chain<'a, T, L>,
    pub(crate) x: DMatrixView<'a, T>,
    pub(crate) seed: Seed<'a, T, C>,
    /// The divisor of w·∂cost/∂X. Each part is divided while it is in the cache.
    pub(crate) divisor: T,
}

/// The start of the backward pass.
pub(crate) enum Seed<'a, T: Scalar, C: ?Sized> {
    /// Nothing: the pass ends with the outputs.
    None,
    /// The cost at the targets.
    Cost(&'a Examples<'a, T>, &'a C),
    /// Given numbers in place of ∂cost/∂a, K × m.
    Cotangent(DMatrixView<'a, T>),
}

impl<T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized> Pass<'_, T, L, C> {
    /// Computes the pass. Writes the sum of the gradients to `sums` and w·∂cost/∂X to
    /// `input_delta`, if they are requested.
    pub(crate) fn run(
        mut self,
        workspace: &mut Workspace<T>,
        results: JobResults<'_, T>,
    ) -> Result<(), Error> {
        self.chain.training = workspace.training;
        let backward = results.sums.is_some() || results.input_delta.is_some();
        let wants = Wants {
            values: matches!(self.seed, Seed::Cost(..)),
            sums: results.sums.as_ref().map_or(0, |sums| sums.len()),
            backward,
            keep: backward.then_some(Keep::Slope),
            ..Wants::default()
        };
        let network = self.chain.network;
        if !wants.values {
            network.check_whole_inputs(self.x)?;
        }
        network.run(self.x.ncols(), (&self, wants), workspace, results)
    }
}

impl<T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized> Job<T> for Pass<'_, T, L, C> {
    fn part(
        &self,
        range: Range<usize>,
        part: &mut Part<T>,
        results: PartResults<'_, T>,
        sums: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let (first, examples, chain) = (range.start, range.len(), &self.chain);
        let x = columns(self.x, first, examples);
        if !matches!(self.seed, Seed::Cost(..)) {
            // Examples are checked when they are created, inputs without targets here.
            check_part_inputs(first, x, self.x)?;
        }
        let backward = sums.is_some() || results.input_delta.is_some();
        chain.forward(first, x, part, backward.then_some(Keep::Slope))?;
        part.copy_outputs(results.outputs);
        let linked = match self.seed {
            Seed::None => return Ok(()),
            Seed::Cotangent(_) if !backward => return Ok(()),
            Seed::Cost(all, cost) => {
                let examples = all.part(first, examples);
                chain.costs(first, &examples, cost, part, results.values)?;
                if !backward {
                    return Ok(());
                }
                chain.cost_delta(&examples, cost, part)
            }
            Seed::Cotangent(all) => {
                for (k, delta) in part.deltas[0]
                    .chunks_exact_mut(all.nrows())
                    .take(examples)
                    .enumerate()
                {
                    delta.copy_from_slice(all.column(first + k).as_slice());
                }
                false
            }
        };
        let wanted = sums.map_or(Wanted::Errors, Wanted::Sum);
        match (results.input_delta, &self.seed) {
            (Some(inputs), Seed::Cost(..)) if chain.starts_dense() => {
                chain.backward(first, x, part, linked, (wanted, None))?;
                self.inputs_of_dense(first, part, inputs)
            }
            (Some(inputs), Seed::Cost(..)) => {
                chain.backward(first, x, part, linked, (wanted, Some(&mut *inputs)))?;
                if kernels::divide(inputs, self.divisor) {
                    Ok(())
                } else {
                    self.check(first, inputs)
                }
            }
            (inputs, _) => chain.backward(first, x, part, linked, (wanted, inputs)),
        }
    }
}

impl<T: Scalar, L: Layer<T>, C: ?Sized> Pass<'_, T, L, C> {
    /// Computes Wᵀ δ / m of a dense first layer, from the δ that it left. There are usually fewer
    /// units than inputs, so δ is divided, not the product.
    fn inputs_of_dense(
        &self,
        first: usize,
        part: &mut Part<T>,
        inputs: &mut [T],
    ) -> Result<(), Error> {
        let (chain, rows) = (&self.chain, self.x.nrows());
        let (m, sizes) = (inputs.len() / rows, chain.sizes(0));
        let theta = &chain.theta[sizes.theta.clone()];
        let delta = &mut part.deltas[(chain.depth() - 1) % 2][..sizes.outputs * m];
        let finite = kernels::divide(delta, self.divisor);
        let scratch = part.layers[0].scratch;
        transpose_product(
            theta,
            DMatrixView::from_slice(delta, sizes.outputs, m),
            DMatrixViewMut::from_slice(inputs, rows, m),
            &mut part.scratch[..scratch],
        );
        // No entry is larger than the root of the bound, so a large product need not be read again.
        let bounded = theta.len() < inputs.len()
            && (sum_of_squares(theta) * sum_of_squares(delta)).is_finite();
        if finite && bounded {
            Ok(())
        } else {
            self.check(first, inputs)
        }
    }

    /// Checks that all columns are finite. `first` is the number of the first example.
    fn check(&self, first: usize, inputs: &[T]) -> Result<(), Error> {
        match first_non_finite(inputs) {
            None => Ok(()),
            Some(index) => Err(Error::NonFinite {
                at: Location::InputGradient {
                    row: index % self.x.nrows(),
                    example: first + index / self.x.nrows(),
                },
                value: to_f64(inputs[index]),
            }),
        }
    }
}
