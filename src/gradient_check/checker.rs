//! Creates and configures a [`GradientCheck`], and checks a network or a function with it.

use super::line::CheckedBlock;
use super::settings::{Sampling, Tolerance};
use super::single_layer::{Arguments, SingleLayer};
use super::{GradientCheck, Report, nan, noise};
use crate::allocation::allocate;
use crate::cost::Cost;
use crate::error::{Error, Location};
use crate::examples::{Examples, check_finite, check_length};
use crate::layer::Layer;
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::Scalar;
use nalgebra::DMatrixView;

impl GradientCheck {
    /// Creates a checker that compares every entry, with the defaults of the scalar type.
    ///
    /// # Example
    /// ```
    /// use backprop::GradientCheck;
    ///
    /// let f = |p: &[f64]| (p[0] * p[0], vec![2.0 * p[0]]);
    /// let report = GradientCheck::new().function(&[("p", 1)], &[3.0], f)?;
    /// report.assert_passed();
    /// assert_eq!(report.step, f64::EPSILON.cbrt());
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks ∇J of a network, block by block.
    ///
    /// Derivation: [(27)](crate::derivation#central-difference).
    ///
    /// Each comparison takes two evaluations of J. Measuring the rounding takes twelve more passes
    /// for ∇J and ten for J. In `f32`, the check compares about three digits. For a rigorous check,
    /// convert the network with `network.map(f64::from)?` and the data with `x.map(f64::from)`.
    ///
    /// [Frozen](Network::freeze) layers are constants, and have no row in the report.
    ///
    /// The buffers of the pass are filled with NaN beforehand. This exposes a layer that reads an
    /// unwritten value, or adds where it should overwrite.
    ///
    /// In [training](Self::training), the report has the rows of training passes that the check of
    /// a [`layer`](Self::layer) has, for all layers together.
    ///
    /// # Errors
    /// - The errors of [`Network::backprop`], except for a non-finite gradient, which the report
    ///   shows instead.
    /// - [`Error::State`] if a training pass writes a new state below its
    ///   [least value](crate::layer::StateBlock::at_least).
    /// - [`Error::Hyperparameter`] for a bad step, tolerance or number of comparisons.
    ///
    /// # Example
    /// The network 1 + 2x has the outputs 11 and 7 and the errors δ = 1 and −2, so
    /// J = (1² + 2²)/4 = 1.25. Its gradient is −½ for both parameters:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, GradientCheck, Network, Objective, SquaredError};
    /// use backprop::activation::Identity;
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
    /// let x = DMatrix::from_row_slice(1, 2, &[5.0, 3.0]);
    /// let y = DMatrix::from_row_slice(1, 2, &[10.0, 9.0]);
    /// let examples = Examples::new(&x, &y)?;
    /// let objective = Objective::new(SquaredError);
    /// let report = GradientCheck::new().network(&network, &examples, &objective)?;
    /// report.assert_passed();
    /// assert_eq!(report.cost, 1.25);
    /// // The block of the first layer, by its position or its name:
    /// assert!((report.blocks[0].largest - 0.5).abs() < 1e-9);
    /// assert_eq!(report.block("Θ⁽¹⁾"), report.blocks.first());
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn network<T: Scalar, L: Layer<T>, C: Cost<T>>(
        &self,
        network: &Network<T, L>,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<Report, Error> {
        let theta = network.theta().as_slice();
        let mut workspace = self.workspace();
        let mut pass = |theta: &[T], gradient: Option<&mut [T]>| {
            let point = network.point_at(theta);
            if let Some(gradient) = gradient {
                workspace.fill(nan());
                gradient.fill(nan());
                match network.gradient_at(point, examples, objective, &mut workspace, gradient) {
                    // The report shows where it is.
                    Err(Error::NonFinite {
                        at: Location::Gradient(..),
                        ..
                    }) => {}
                    done => return Ok(done?.total()),
                }
            }
            let parts = network.cost_at(point, examples, objective, &mut workspace)?;
            Ok(parts.total())
        };
        // The first pass only gives the buffers their sizes.
        let mut gradient = allocate("the gradient", (theta.len(), 1), T::zero())?;
        pass(theta, Some(&mut gradient))?;
        let outputs = noise::outputs(network, examples, &objective.cost, self.workspace())?;
        let noise = outputs.map_or(0.0, |a| noise::of_j(&a, examples, &objective.cost));
        let blocks = CheckedBlock::list(network.layout(), "");
        let mut report = Report::new(&self.settings::<T>()?);
        report.cost = self.compare_gradient(&mut report, &blocks, theta, noise, pass)?;
        if self.training.is_some() {
            let (layout, m) = (network.layout(), examples.x.ncols());
            let mut root = SingleLayer::in_layout(network.root(), (layout.plan(), layout), m)?;
            root.training = self.training;
            let at = Arguments {
                theta,
                state: network.state().as_slice(),
                x: examples.x,
            };
            self.compare_passes(&mut report, &root, at)?;
        }
        Ok(report)
    }

    /// Checks any function that returns its value and its gradient.
    ///
    /// `blocks` names the blocks of variables and gives their lengths, in the order of the
    /// variables. The report has one row for each block.
    ///
    /// If the function can fail, write it to return a `Result`, and turn an error into the value
    /// NaN. The check then returns [`Error::NonFinite`]: `|v| f(v).unwrap_or((f64::NAN, vec![0.0;
    /// v.len()]))`.
    ///
    /// # Errors
    /// - [`Error::Length`] if the total length of the blocks, or the length of the gradient,
    ///   differs from that of `theta`.
    /// - [`Error::NonFinite`] if `theta` is not finite, or if the value of the function is not
    ///   finite at a point that the check tries.
    /// - [`Error::Hyperparameter`] for a bad step, tolerance or number of comparisons.
    ///
    /// # Example
    /// p²q at (3, 2) is 18, with the gradient (2pq, p²) = (12, 9):
    /// ```
    /// use backprop::GradientCheck;
    ///
    /// let f = |v: &[f64]| (v[0] * v[0] * v[1], vec![2.0 * v[0] * v[1], v[0] * v[0]]);
    /// let report = GradientCheck::new().function(&[("p", 1), ("q", 1)], &[3.0, 2.0], f)?;
    /// report.assert_passed();
    /// assert_eq!(report.cost, 18.0);
    /// assert!(report.block("p").is_some_and(|b| (b.largest - 12.0).abs() < 1e-8));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn function<T: Scalar>(
        &self,
        blocks: &[(&str, usize)],
        theta: &[T],
        mut f: impl FnMut(&[T]) -> (T, Vec<T>),
    ) -> Result<Report, Error> {
        let mut checked = Vec::with_capacity(blocks.len());
        let mut start = 0_usize;
        for &(label, len) in blocks {
            checked.push(CheckedBlock::new(label, len, start, len));
            start = start.saturating_add(len);
        }
        check_length("the blocks", theta.len(), start)?;
        check_finite("θ", DMatrixView::from_slice(theta, theta.len(), 1))?;
        let pass = |theta: &[T], gradient: Option<&mut [T]>| {
            let (j, found) = f(theta);
            if let Some(gradient) = gradient {
                check_length("the gradient", theta.len(), found.len())?;
                gradient.copy_from_slice(&found);
            }
            Ok(j)
        };
        let mut report = Report::new(&self.settings::<T>()?);
        report.cost = self.compare_gradient(&mut report, &checked, theta, 0.0, pass)?;
        Ok(report)
    }

    /// Sets the step h, from the machine precision to 1.
    ///
    /// The step of an entry is h max(1, |θᵢ|). The default is ε^(1/3): 6e-6 in `f64`, 5e-3 in
    /// `f32`.
    ///
    /// # Example
    /// The central difference of p³ is 3p² + h²: at p = 1 and h = 0.01 it is 3.0001.
    /// ```
    /// use backprop::GradientCheck;
    ///
    /// let f = |p: &[f64]| (p[0].powi(3), vec![3.0 * p[0] * p[0]]);
    /// let check = GradientCheck::new().step(0.01).tolerance(1e-3, 0.0);
    /// let report = check.function(&[("p", 1)], &[1.0], f)?;
    /// let numeric = report.blocks[0].worst.map_or(0.0, |worst| worst.numeric);
    /// assert!((numeric - 3.0001).abs() < 1e-9);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn step(mut self, h: f64) -> Self {
        self.step = Some(h);
        self
    }

    /// Sets the relative tolerance r > 0 and the floor ≥ 0 of the bound.
    ///
    /// The bound is r · scale + floor · max(|J|, maxᵢ |∂J/∂θᵢ|) + resolution, where the scale is
    /// the largest derivative of the column (see the [module documentation](super)). A floor above
    /// a tenth of the derivatives leaves them undecided. The defaults are r = 1e-6 in `f64`, 1e-2
    /// in `f32`, and a floor of 0.
    ///
    /// # Example
    /// A derivative that is off by 0.1 % passes only if r is larger:
    /// ```
    /// use backprop::GradientCheck;
    ///
    /// let f = |p: &[f64]| (p[0] * p[0], vec![2.002 * p[0]]);
    /// let check = GradientCheck::new();
    /// assert!(!check.function(&[("p", 1)], &[1.0], f)?.passed());
    /// let check = GradientCheck::new().tolerance(1e-2, 0.0);
    /// assert!(check.function(&[("p", 1)], &[1.0], f)?.passed());
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn tolerance(mut self, relative: f64, floor: f64) -> Self {
        self.tolerance = Some(Tolerance { relative, floor });
        self
    }

    /// Keeps all comparisons in the report, in
    /// [`BlockReport::comparisons`](super::BlockReport::comparisons). Otherwise it keeps the worst of
    /// each block.
    ///
    /// # Example
    /// ```
    /// use backprop::GradientCheck;
    ///
    /// let f = |p: &[f64]| (p[0] + 2.0 * p[1], vec![1.0, 2.0]);
    /// let report = GradientCheck::new().keep_comparisons().function(&[("p", 2)], &[0.5; 2], f)?;
    /// let analytic: Vec<f64> = report.blocks[0].comparisons.iter().map(|c| c.analytic).collect();
    /// assert_eq!(analytic, [1.0, 2.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn keep_comparisons(mut self) -> Self {
        self.keeps = true;
        self
    }

    /// Compares `count` random entries of each block, chosen by the seed.
    ///
    /// Smaller blocks are compared in full.
    ///
    /// # Example
    /// ```
    /// use backprop::GradientCheck;
    ///
    /// let f = |p: &[f64]| (p.iter().sum(), vec![1.0; 101]);
    /// let check = GradientCheck::new().sampled(10, 42);
    /// let report = check.function(&[("large", 100), ("small", 1)], &[0.5; 101], f)?;
    /// let compared: Vec<usize> = report.blocks.iter().map(|b| b.compared).collect();
    /// assert_eq!(compared, [10, 1]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn sampled(mut self, count: usize, seed: u64) -> Self {
        (self.sampling, self.seed) = (Sampling::PerBlock(count), seed);
        self
    }

    /// Compares the derivatives along `count` random directions in each block, chosen by the seed.
    ///
    /// A direction is a unit vector d, with the derivative d·∇J. The limit is 65,536 directions per
    /// block.
    ///
    /// # Example
    /// ```
    /// use backprop::GradientCheck;
    ///
    /// let f = |p: &[f64]| (p.iter().sum(), vec![1.0; 100]);
    /// let check = GradientCheck::new().directions(3, 42);
    /// let report = check.function(&[("p", 100)], &[0.5; 100], f)?;
    /// report.assert_passed();
    /// assert_eq!(report.blocks[0].compared, 3);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn directions(mut self, count: usize, seed: u64) -> Self {
        (self.sampling, self.seed) = (Sampling::Directions(count), seed);
        self
    }

    /// Checks training passes with this seed, instead of evaluation.
    ///
    /// J then depends on θ through the batch statistics too. Every pass draws the same random
    /// numbers, so the masks of dropout are constants. The state of the network is unchanged. More
    /// rows compare passes that have to agree, such as a batch and its halves:
    /// [`layer`](Self::layer) lists them.
    ///
    /// # Example
    /// ```
    /// use backprop::activation::{Identity, Tanh};
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{
    ///     Examples, GradientCheck, Initialization, Network, Objective, SquaredError, rng,
    /// };
    ///
    /// let builder = Network::<f64>::builder(3).dense(4, Identity).batch_norm().activate(Tanh);
    /// let network = builder
    ///     .dropout(0.5)
    ///     .dense(2, Identity)
    ///     .initialize(Initialization::GlorotUniform, &mut rng(0))?;
    /// let x = DMatrix::from_fn(3, 5, |i, j| (1.0 + i as f64 + 3.0 * j as f64).sin());
    /// let y = DMatrix::from_fn(2, 5, |i, j| (i as f64 - j as f64).cos());
    /// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
    /// let check = GradientCheck::new().training(7);
    /// check.network(&network, &examples, &objective)?.assert_passed();
    /// check.second_order(&network, &examples, &objective)?.assert_passed();
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn training(mut self, seed: u64) -> Self {
        self.training = Some(seed);
        self
    }
}
