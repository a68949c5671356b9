//! Per-example gradients: all at once or one at a time, their norms, and sums of clipped gradients.

use super::check_finite_result;
use crate::allocation::{allocate, resize};
use crate::cost::Cost;
use crate::error::{Error, Location, hyperparameter};
use crate::examples::{Examples, check_length};
use crate::layer::{Keep, Layer, LayerGradient};
use crate::network::Network;
use crate::network::chain::{Chain, Wanted};
use crate::network::job::{Job, JobResults, PartResults};
use crate::scalar::{Scalar, real, to_f64};
use crate::workspace::{Part, Wants, Workspace, gradients_together};
use nalgebra::{DMatrix, DVector};
use std::ops::Range;

/// A pass that computes a quantity of each example's gradient.
struct Separate<'a, T: Scalar, L, C: ?Sized> {
    chain: Chain<'a, T, L>,
    examples: Examples<'a, T>,
    cost: &'a C,
    quantity: Quantity,
    /// The first example of the job.
    start: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Gradients,
    SquaredNorms,
}

impl<T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized> Separate<'_, T, L, C> {
    /// Runs a forward pass, and a backward pass that computes the quantity.
    fn pass(
        &self,
        range: Range<usize>,
        part: &mut Part<T>,
        values: &mut [T],
        gradient: LayerGradient<'_, T>,
    ) -> Result<(), Error> {
        let (first, chain) = (self.start + range.start, &self.chain);
        let examples = self.examples.part(first, range.len());
        chain.forward(first, examples.x, part)?;
        let values = (values, true);
        chain.costs_and_delta(first, &examples, self.cost, part, values)?;
        let wanted = Wanted::gradient(gradient);
        chain.backward(first, examples.x, part, wanted);
        Ok(())
    }
}

impl<T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized> Job<T> for Separate<'_, T, L, C> {
    fn part(
        &self,
        range: Range<usize>,
        part: &mut Part<T>,
        results: PartResults<'_, T>,
        _: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let columns = results.columns.unwrap_or_default();
        let gradient = match self.quantity {
            Quantity::Gradients => LayerGradient::Each {
                gradients: columns,
                stride: self.chain.network.parameters(),
            },
            Quantity::SquaredNorms => {
                columns.fill(T::zero());
                LayerGradient::SquaredNorms(columns)
            }
        };
        let done = self.pass(range, part, results.values, gradient);
        part.copy_outputs(results.outputs);
        done
    }
}

/// The gradients of single examples, computed on request: see [`Network::example_gradients`].
///
/// Column k is ∇costₖ, without the weight, the penalty and the factor 1/m.
///
/// Derivation: [(10)](crate::derivation#gradient). The weighted sum of the columns is Δ.
#[derive(Debug)]
#[must_use]
pub struct ExampleGradients<'a, T: Scalar, L, C: ?Sized> {
    network: &'a Network<T, L>,
    examples: &'a Examples<'a, T>,
    cost: &'a C,
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns a handle to the gradients of single examples. Its methods compute the gradients,
    /// their norms, or a sum of clipped gradients.
    ///
    /// Derivation: [(10)](crate::derivation#gradient).
    ///
    /// # Example
    /// The gradients are δ \[1; x], and δ = a − y is −1 and 2:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, Network, SquaredError, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
    /// let x = DMatrix::from_row_slice(1, 2, &[3.0, 5.0]);
    /// let y = DMatrix::from_row_slice(1, 2, &[1.0, -2.0]);
    /// let examples = Examples::new(&x, &y)?;
    /// let each = network.example_gradients(&examples, &SquaredError);
    /// assert_eq!(each.matrix()?, DMatrix::from_row_slice(2, 2, &[-1.0, 2.0, -3.0, 10.0]));
    /// assert!((each.norms()?[0] - 10.0_f64.sqrt()).abs() < 1e-15);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias = "per_sample_grads")]
    pub fn example_gradients<'a, C: Cost<T> + ?Sized>(
        &'a self,
        examples: &'a Examples<'a, T>,
        cost: &'a C,
    ) -> ExampleGradients<'a, T, L, C> {
        ExampleGradients {
            network: self,
            examples,
            cost,
        }
    }
}

impl<T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized> ExampleGradients<'_, T, L, C> {
    /// Returns the gradients of all examples, P × m.
    ///
    /// # Errors
    /// - The errors of [`Network::backprop`].
    /// - [`Error::TooLarge`] if there is no memory for P · m scalars: see
    ///   [`for_each`](Self::for_each).
    /// - [`Error::Coupled`] if a layer couples the examples in this mode.
    /// - [`Error::NonFinite`] if a gradient overflows.
    pub fn matrix(&self) -> Result<DMatrix<T>, Error> {
        let shape = (self.network.parameters(), self.examples.len());
        let mut gradients = allocate("the gradients of the examples", shape, T::zero())?;
        self.matrix_into(&mut Workspace::for_one_call(), &mut gradients)?;
        Ok(DMatrix::from_vec(shape.0, shape.1, gradients))
    }

    /// Writes [`matrix`](Self::matrix) into the caller's buffer of P · m
    /// entries, column by column.
    ///
    /// # Errors
    /// - The errors of [`matrix`](Self::matrix).
    /// - [`Error::Length`] if `gradients` has the wrong length.
    pub fn matrix_into(
        &self,
        workspace: &mut Workspace<T>,
        gradients: &mut [T],
    ) -> Result<(), Error> {
        let m = self.examples.len();
        let expected = self.network.parameters().saturating_mul(m);
        check_length("the gradients of the examples", expected, gradients.len())?;
        self.separate(0..m, Quantity::Gradients, workspace, gradients)?;
        check_finite_result("the gradient of an example", gradients)
    }

    /// Calls `visit` with the number and ∇cost of each example, in order.
    ///
    /// The gradients are computed a few at a time, so P · m scalars need not be stored.
    ///
    /// # Errors
    /// Returns the errors of [`matrix`](Self::matrix). Examples before the
    /// one with an error may have been visited.
    ///
    /// # Example
    /// The mean of the squared gradients is the diagonal of the empirical Fisher information. For
    /// the gradients (−1, −3) and (2, 10) it is (2.5, 54.5):
    /// ```
    /// use backprop::nalgebra::{DMatrix, DVector};
    /// use backprop::{Examples, Network, SquaredError, Workspace, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
    /// let x = DMatrix::from_row_slice(1, 2, &[3.0, 5.0]);
    /// let y = DMatrix::from_row_slice(1, 2, &[1.0, -2.0]);
    /// let mut mean = DVector::<f64>::zeros(2);
    /// let (examples, mut workspace) = (Examples::new(&x, &y)?, Workspace::new());
    /// network.example_gradients(&examples, &SquaredError).for_each(&mut workspace, |_, gradient| {
    ///     mean.iter_mut().zip(gradient).for_each(|(mean, g)| *mean += g * g / 2.0);
    /// })?;
    /// assert_eq!(mean.as_slice(), &[2.5, 54.5]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn for_each(
        &self,
        workspace: &mut Workspace<T>,
        mut visit: impl FnMut(usize, &[T]),
    ) -> Result<(), Error> {
        let (p, m) = (self.network.parameters(), self.examples.len());
        let together = gradients_together(p, m);
        self.network.make_room(m, workspace);
        let mut gradients = std::mem::take(&mut workspace.gradient);
        let what = "the gradients of some examples";
        let mut first = 0;
        let mut done = resize(&mut gradients, what, (p, together), T::zero());
        while first < m && done.is_ok() {
            let count = together.min(m - first);
            let columns = &mut gradients[..p * count];
            let range = first..first + count;
            done = self.separate(range, Quantity::Gradients, workspace, columns);
            for k in first..first + count {
                let gradient = &columns[(k - first) * p..][..p];
                done = done.and_then(|()| check_finite_gradient(p, k, gradient));
                if done.is_ok() {
                    visit(k, gradient);
                }
            }
            first += count;
        }
        workspace.gradient = gradients;
        done
    }

    /// Returns the norm ‖∇costₖ‖ of every example, without forming the gradients.
    ///
    /// Its square is the sum over the layers of ‖δ‖² (1 + ‖a‖²), for dense layers.
    ///
    /// The squares are formed in T. A norm below 10⁻¹⁹ in `f32` (10⁻¹⁵⁴ in `f64`) loses digits, and
    /// may become 0. A norm above 10¹⁹ (10¹⁵⁴) is an error.
    ///
    /// Derivation: [(33)](crate::derivation#example-norms). (Goodfellow 2015, arXiv:1510.01799.)
    ///
    /// # Errors
    /// Returns the errors of [`matrix`](Self::matrix), except
    /// [`Error::TooLarge`].
    ///
    /// # Example
    /// The gradients (−1, −3) and (2, 10) have the norms √10 and √104:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, Network, SquaredError, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
    /// let x = DMatrix::from_row_slice(1, 2, &[3.0, 5.0]);
    /// let y = DMatrix::from_row_slice(1, 2, &[1.0, -2.0]);
    /// let norms = network.example_gradients(&Examples::new(&x, &y)?, &SquaredError).norms()?;
    /// assert!((norms[0] - 10.0_f64.sqrt()).abs() < 1e-15);
    /// assert!((norms[1] - 104.0_f64.sqrt()).abs() < 1e-14);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn norms(&self) -> Result<DVector<T>, Error> {
        let mut norms = allocate("the norms", (self.examples.len(), 1), T::zero())?;
        self.norms_into(&mut Workspace::for_one_call(), &mut norms)?;
        Ok(DVector::from_vec(norms))
    }

    /// Writes [`norms`](Self::norms) into the caller's buffer of
    /// m entries.
    ///
    /// # Errors
    /// - The errors of [`norms`](Self::norms).
    /// - [`Error::Length`] if `norms` has the wrong length.
    pub fn norms_into(&self, workspace: &mut Workspace<T>, norms: &mut [T]) -> Result<(), Error> {
        let m = self.examples.len();
        check_length("the norms", m, norms.len())?;
        self.separate(0..m, Quantity::SquaredNorms, workspace, norms)?;
        check_finite_result("the squared norm of an example's gradient", norms)?;
        norms.iter_mut().for_each(|norm| *norm = norm.sqrt());
        Ok(())
    }

    /// Writes the sum of the gradients of the examples, each clipped to the norm `most`, and
    /// returns how many were clipped.
    ///
    /// The sum is Σₖ wₖ cₖ ∇costₖ with cₖ = min(1, `most`/‖∇costₖ‖), without the penalty and the
    /// factor 1/m.
    ///
    /// Robust and private training use this sum (Abadi et al. 2016, arXiv:1607.00133). The call
    /// makes one pass for the norms and one for the sum, and needs no memory for per-example
    /// gradients. The weights multiply the clipped gradients: one example changes the sum by at
    /// most wₖ · `most`.
    ///
    /// # Errors
    /// - The errors of [`norms`](Self::norms).
    /// - [`Error::Hyperparameter`] unless `most` is finite and positive, and its square is a normal
    ///   number in T.
    /// - [`Error::Length`] if `sum` does not have P entries.
    ///
    /// # Example
    /// The gradients are (−1, −3) and (2, 10). The second is clipped to norm 5:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, Network, SquaredError, Workspace, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
    /// let x = DMatrix::from_row_slice(1, 2, &[3.0, 5.0]);
    /// let y = DMatrix::from_row_slice(1, 2, &[1.0, -2.0]);
    /// let mut sum = [0.0; 2];
    /// let (examples, mut workspace) = (Examples::new(&x, &y)?, Workspace::new());
    /// let each = network.example_gradients(&examples, &SquaredError);
    /// let clipped = each.clipped_sum(5.0, &mut workspace, &mut sum)?;
    /// let c = 5.0 / 104.0_f64.sqrt();
    /// assert_eq!(clipped, 1);
    /// assert!((sum[0] - (2.0 * c - 1.0)).abs() < 1e-14);
    /// assert!((sum[1] - (10.0 * c - 3.0)).abs() < 1e-14);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias = "DP_SGD")]
    pub fn clipped_sum(
        &self,
        most: f64,
        workspace: &mut Workspace<T>,
        sum: &mut [T],
    ) -> Result<usize, Error> {
        let in_t: T = real(most);
        // Its square has to be a normal number, because smaller squared norms lose digits.
        let least = T::max_value().map_or(T::zero(), |max| real::<T>(4.0) / max);
        if !(in_t > T::zero() && in_t.is_finite() && in_t * in_t >= least) {
            return Err(hyperparameter(
                "the largest norm of an example's gradient",
                most,
                "a number in (0, ∞) whose square neither overflows nor underflows",
            ));
        }
        let (network, examples) = (self.network, self.examples);
        check_length("the sum", network.parameters(), sum.len())?;
        let m = examples.len();
        self.network.make_room(m, workspace);
        let (mut norms, mut weights) = (
            std::mem::take(&mut workspace.gradient),
            std::mem::take(&mut workspace.weights),
        );
        let mut shortened = 0;
        let done = resize(&mut norms, "the norms", (m, 1), T::zero())
            .and_then(|()| resize(&mut weights, "the weights", (m, 1), 0.0))
            .and_then(|()| self.norms_into(workspace, &mut norms))
            .and_then(|()| {
                for (k, (weight, &norm)) in weights.iter_mut().zip(&norms).enumerate() {
                    let given = examples.weights.map_or(1.0, |weights| weights[k]);
                    let clip = norm > in_t;
                    shortened += usize::from(clip);
                    *weight = given * if clip { most / to_f64(norm) } else { 1.0 };
                }
                let weighted = examples.with_weights(Some(&weights));
                let wanted = (Some(&mut *sum), None);
                network.sum(network.point(), (&weighted, self.cost), workspace, wanted)
            });
        (workspace.gradient, workspace.weights) = (norms, weights);
        done?;
        check_finite_result("the sum of the clipped gradients", sum)?;
        Ok(shortened)
    }

    fn separate(
        &self,
        range: Range<usize>,
        quantity: Quantity,
        workspace: &mut Workspace<T>,
        columns: &mut [T],
    ) -> Result<(), Error> {
        let (network, examples) = (self.network, self.examples);
        network.check_uncoupled("the gradient of one example", workspace)?;
        self.cost.validate()?;
        network.check_examples(examples, self.cost)?;
        let mut chain = network.chain(network.point());
        chain.set_mode(workspace, examples.len(), None)?;
        chain.keep = Keep::Slope;
        let job = Separate {
            chain,
            // Each gradient is computed without the weight of its example.
            examples: examples.with_weights(None),
            cost: self.cost,
            quantity,
            start: range.start,
        };
        let wants = Wants {
            values: true,
            backward: true,
            keep: Keep::Slope,
            each: true,
            ..Wants::default()
        };
        let results = JobResults {
            columns: Some(columns),
            ..JobResults::none()
        };
        let cut = network.cut(range.len(), workspace.training.is_some());
        network.run(cut, (&job, wants), workspace, results)
    }
}

/// Checks that the gradient of example k is finite.
fn check_finite_gradient<T: Scalar>(p: usize, k: usize, gradient: &[T]) -> Result<(), Error> {
    let what = "the gradient of an example";
    check_finite_result(what, gradient).map_err(|mut error| {
        if let Error::NonFinite {
            at: Location::Derivative { index, .. },
            ..
        } = &mut error
        {
            *index += p * k;
        }
        error
    })
}
