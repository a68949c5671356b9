//! The plain pass: forward, costs, backward. Outputs, J, ∇J, Δ and ∂J/∂X are thin wrappers over
//! this.

use super::chain::{Chain, Wanted, check_part_inputs};
use super::cut::Cut;
use super::job::{Job, JobResults, PartResults};
use crate::cost::Cost;
use crate::error::{Error, Location};
use crate::examples::Examples;
use crate::kernels::{self, columns, first_non_finite};
use crate::layer::{Keep, Layer, LayerGradient};
use crate::scalar::{Scalar, to_f64};
use crate::workspace::{Part, Wants, Workspace};
use nalgebra::DMatrixView;
use std::ops::Range;

/// A pass over one batch, at one θ.
pub(crate) struct Pass<'a, T: Scalar, L, C: ?Sized> {
    pub(crate) chain: Chain<'a, T, L>,
    pub(crate) x: DMatrixView<'a, T>,
    pub(crate) place: Place,
    pub(crate) seed: Seed<'a, T, C>,
    /// The divisor of w·∂cost/∂X. Each part is divided while it is in the cache.
    pub(crate) divisor: T,
}

/// The place of some examples in a batch, which may be larger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The number of the first example.
    pub(crate) first: usize,
    /// The cut of these examples: whole parts of the batch.
    pub(crate) cut: Cut,
}

impl Place {
    /// The place of a whole batch.
    pub(crate) fn whole(cut: Cut) -> Self {
        Self { first: 0, cut }
    }
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
        let weights = match self.seed {
            Seed::Cost(examples, _) => examples.weights,
            _ => None,
        };
        self.chain.set_mode(workspace, self.x.ncols(), weights)?;
        let backward = results.sums.is_some() || results.input_delta.is_some();
        let wants = Wants {
            values: matches!(self.seed, Seed::Cost(..)),
            sums: results.sums.as_ref().map_or(0, |sums| sums.len()),
            backward,
            keep: if backward { Keep::Slope } else { Keep::Nothing },
            ..Wants::default()
        };
        self.chain.keep = wants.keep;
        let network = self.chain.network;
        if !wants.values {
            network.check_whole_inputs(self.x, workspace)?;
        }
        network.run(self.place.cut, (&self, wants), workspace, results)
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
        let (start, examples, chain) = (range.start, range.len(), &self.chain);
        let first = self.place.first + start;
        let x = columns(self.x, start, examples);
        if !matches!(self.seed, Seed::Cost(..)) {
            // Examples are checked when they are created, inputs without targets here.
            check_part_inputs(first, x, self.x)?;
        }
        let backward = sums.is_some() || results.input_delta.is_some();
        chain.forward(first, x, part)?;
        part.copy_outputs(results.outputs);
        match self.seed {
            Seed::None => return Ok(()),
            Seed::Cotangent(_) if !backward => return Ok(()),
            Seed::Cost(all, cost) => {
                let examples = all.part(start, examples);
                let values = (results.values, backward);
                chain.costs_and_delta(first, &examples, cost, part, values)?;
                if !backward {
                    return Ok(());
                }
            }
            Seed::Cotangent(all) => {
                part.start_from(columns(all, start, examples));
            }
        }
        let mut input_delta = results.input_delta;
        let wanted = Wanted {
            gradient: sums.map_or(LayerGradient::None, LayerGradient::Sum),
            input_delta: input_delta.as_deref_mut(),
        };
        chain.backward(first, x, part, wanted);
        match (input_delta, &self.seed) {
            (Some(inputs), Seed::Cost(..)) => {
                if kernels::divide(inputs, self.divisor) {
                    Ok(())
                } else {
                    self.check(first, inputs)
                }
            }
            _ => Ok(()),
        }
    }
}

impl<T: Scalar, L: Layer<T>, C: ?Sized> Pass<'_, T, L, C> {
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
