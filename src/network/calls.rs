//! The calls of a network: the hypothesis, J and ∇J.

use super::{Builder, Network};
use crate::allocation::owned;
use crate::columns::Columns;
use crate::cost::Cost;
use crate::error::Error;
use crate::examples::Examples;
use crate::gradient::{Backprop, CostParts, zeros};
use crate::layer::Layer;
use crate::objective::Objective;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::workspace::Workspace;
use nalgebra::{DMatrix, DMatrixView, DVector};
use std::sync::Arc;

impl<T: Scalar> Network<T> {
    /// Starts a network of built-in layers with `inputs` input units.
    ///
    /// For other layer types, use `Builder::<T, L>::new(inputs)`.
    #[doc(alias = "Sequential")]
    pub fn builder(inputs: impl Into<Shape>) -> Builder<T> {
        Builder::new(inputs)
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns the hypothesis h(x) = a⁽ᴸ⁾, the outputs, of every example: K × m for X of n × m.
    ///
    /// Derivation: [(4)](crate::derivation#hypothesis).
    ///
    /// # Errors
    /// - [`Error::NoExamples`], [`Error::Shape`] or [`Error::NonFinite`] unless X is n × m with
    ///   m ≥ 1 and has only finite entries.
    /// - [`Error::NonFinite`] with the layer, unit and example if an activation overflows. The
    ///   checks cover only the real part of a [dual number](crate::Scalar#dual-numbers).
    /// - [`Error::TooLarge`] if there is no memory for the buffers.
    ///
    /// # Example
    /// A single identity unit, a = 1 + 2 x, for one example as a slice and for a matrix of two:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Network, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
    /// assert_eq!(network.forward(&[3.0])?[0], 7.0);
    /// let x = DMatrix::from_row_slice(1, 2, &[3.0, -1.0]);
    /// assert_eq!(network.forward(&x)?.as_slice(), &[7.0, -1.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("predict", "predict_proba", "inference"))]
    pub fn forward<'a>(&self, x: impl Columns<'a, T>) -> Result<DMatrix<T>, Error> {
        let mut workspace = Workspace::for_one_call();
        owned("the outputs", self.forward_into(x, &mut workspace)?)
    }

    /// Returns J and the gradient matrices D, from one forward and one backward pass.
    ///
    /// Derivation: [(21)](crate::derivation#regularised-gradient).
    ///
    /// 1. The cost gives δ⁽ᴸ⁾, its derivative with respect to z⁽ᴸ⁾. For sigmoid with binary
    ///    cross-entropy, and for identity with half the squared error, it is a − y
    ///    ([canonical pairs](crate::cost#canonical-pairs)).
    /// 2. Each layer then gives δ⁽ˡ⁾ = (W⁽ˡ⁾)ᵀ δ⁽ˡ⁺¹⁾ ∘ g′(z⁽ˡ⁾), where W is Θ without its bias
    ///    column and ∘ multiplies entry by entry, and Δ⁽ˡ⁾ = δ⁽ˡ⁺¹⁾ \[1; a⁽ˡ⁾]ᵀ. This product sums
    ///    over the examples, which are the columns of δ and a.
    /// 3. For an L2 penalty, D⁽ˡ⁾ = (Δ⁽ˡ⁾ + λΘ⁽ˡ⁾)/m, without λ in column 0. It has the shape of
    ///    Θ⁽ˡ⁾, s₍ₗ₊₁₎ × (sₗ + 1). With example weights, m is Σw.
    ///
    /// The pass is an evaluation: dropout does nothing, and batch norms use their running
    /// statistics. For a training pass, call [`gradient_into`](Self::gradient_into) with a workspace
    /// in training.
    ///
    /// The symbols are those of the [conventions](crate::conventions). (Rumelhart, Hinton, Williams
    /// 1986, doi:10.1038/323533a0.)
    ///
    /// # Errors
    /// - [`Error::Shape`] if X or Y does not fit the network.
    /// - [`Error::Target`] if a target is outside the cost's domain, and [`Error::PartialTargets`]
    ///   if only some targets of a group are [missing](Examples::with_missing).
    /// - [`Error::Hyperparameter`] if λ or a constant of the cost is out of range.
    /// - [`Error::Index`] if the penalty names a layer or block that does not exist.
    /// - [`Error::Output`] if an output is outside the cost's domain.
    /// - [`Error::NonFinite`] with the activation, cost, objective or entry of the gradient that
    ///   overflows first.
    /// - [`Error::TooLarge`] if there is no memory for the buffers.
    ///
    /// # Example
    /// One sigmoid unit with x = 2, y = 1 and θ = 0 has a = ½, δ = a − y = −½ and D = δ \[1 x] =
    /// \[−½ −1]:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{BinaryCrossEntropy, Examples, Network, Objective, activation::Sigmoid};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Sigmoid).zeros()?;
    /// let (x, y) = (DMatrix::repeat(1, 1, 2.0), DMatrix::repeat(1, 1, 1.0));
    /// let pass = network.backprop(&Examples::new(&x, &y)?, &Objective::new(BinaryCrossEntropy))?;
    /// assert_eq!(pass.gradient().layer(0)?, DMatrix::from_row_slice(1, 2, &[-0.5, -1.0]));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("backward", "value_and_grad"))]
    pub fn backprop<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<Backprop<T>, Error> {
        let mut vector = zeros(self.parameters())?;
        let parts = self.gradient_into(
            examples,
            objective,
            &mut Workspace::for_one_call(),
            vector.as_mut_slice(),
        )?;
        Ok(Backprop::new(parts, vector, Arc::clone(&self.layout)))
    }

    /// Returns only the unrolled gradient ∇J = \[D⁽¹⁾(:); D⁽²⁾(:); …], of length P.
    ///
    /// D(:) is Octave's notation for the columns of D, one below the other.
    ///
    /// Derivation: [(23)](crate::derivation#unrolled).
    ///
    /// # Errors
    /// Returns the errors of [`backprop`](Self::backprop).
    #[doc(alias = "grad")]
    pub fn gradient_vector<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<DVector<T>, Error> {
        Ok(self
            .backprop(examples, objective)?
            .into_gradient()
            .into_vector())
    }

    /// Returns J(θ), the mean cost plus the penalty: (1/m) Σₖ costₖ + λ/(2m) Σ Θ² for an L2
    /// penalty, which exempts the bias columns. It is J in evaluation, as in
    /// [`backprop`](Self::backprop).
    ///
    /// Derivation: [(6)](crate::derivation#objective).
    ///
    /// # Errors
    /// Returns the errors of [`backprop`](Self::backprop), except those of the gradient.
    ///
    /// # Example
    /// A sigmoid unit with θ = 0 outputs ½ for every x, so the course's cost is ln 2:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{BinaryCrossEntropy, Examples, Network, Objective, activation::Sigmoid};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Sigmoid).zeros()?;
    /// let (x, y) = (DMatrix::repeat(1, 2, 3.0), DMatrix::from_row_slice(1, 2, &[0.0, 1.0]));
    /// let j = network.cost(&Examples::new(&x, &y)?, &Objective::new(BinaryCrossEntropy))?;
    /// assert!((j - 2.0_f64.ln()).abs() < 1e-15);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias = "loss")]
    pub fn cost<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<T, Error> {
        let parts = self.cost_into(examples, objective, &mut Workspace::for_one_call())?;
        Ok(parts.total())
    }

    /// Computes [`forward`](Self::forward) in the buffers of a workspace. It allocates nothing once
    /// they are large enough.
    ///
    /// # Errors
    /// Returns the errors of [`forward`](Self::forward).
    pub fn forward_into<'a, 'w>(
        &self,
        x: impl Columns<'a, T>,
        workspace: &'w mut Workspace<T>,
    ) -> Result<DMatrixView<'w, T>, Error> {
        let x = x.columns_view();
        self.check_inputs(x)?;
        self.run_forward(self.point(), x, workspace)?;
        workspace.output().ok_or(Error::NoLayers)
    }

    /// Returns the two parts of J, the mean cost and the penalty, computed in the buffers of a
    /// workspace.
    ///
    /// # Errors
    /// Returns the errors of [`cost`](Self::cost).
    pub fn cost_into<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
    ) -> Result<CostParts<T>, Error> {
        self.cost_at(self.point(), examples, objective, workspace)
    }

    /// Writes ∇J to `gradient` and returns the two parts of J, whose [`total`](CostParts::total) is
    /// J.
    ///
    /// This is the call for your own training loop, as in the repository's example `own_loop`. It
    /// allocates nothing once the buffers are large enough. Passes evaluate the network unless the
    /// workspace is in training: [`set_training`](Workspace::set_training) before each step lets
    /// dropout and batch norms act, and [`take_state`](Self::take_state) after it updates the
    /// running statistics.
    ///
    /// Derivation: [(24)](crate::derivation#descent).
    ///
    /// # Errors
    /// Returns the errors of [`backprop`](Self::backprop), and [`Error::Length`] if `gradient` does
    /// not have P entries. After a non-finite gradient, `gradient` holds that gradient, for
    /// inspection. After any other error, its contents are unspecified.
    pub fn gradient_into<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
        gradient: &mut [T],
    ) -> Result<CostParts<T>, Error> {
        self.gradient_at(self.point(), examples, objective, workspace, gradient)
    }
}
