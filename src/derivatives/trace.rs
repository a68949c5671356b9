//! One pass in full: every z, a, δ, Δ and D.

use super::trace_inner::{self, Inner};
use super::trace_pass::{Start, backward, forward, matrix, scratch_lens, vector};
use crate::activation::AnyActivation;
use crate::allocation::{allocate, owned};
use crate::cost::{AnyCost, Cost, HeadOutputs, Outputs};
use crate::error::{Error, Location};
use crate::examples::Examples;
use crate::gradient::{Backprop, CostParts, Gradient, Sums, finish};
use crate::kernels::{self, first_non_finite};
use crate::layer::given::Given;
use crate::layer::{Frame, Keep, Layer};
use crate::layout::Layout;
use crate::network::Network;
use crate::network::chain::{outputs_at, weigh};
use crate::objective::Objective;
use crate::path::Path;
use crate::regularization::Penalty;
use crate::scalar::{Scalar, to_f64};
use crate::workspace::Workspace;
use nalgebra::{DMatrix, DMatrixView, DVector};
use std::sync::Arc;

/// One pass in full, for learners and teachers: every z, a, δ, Δ and D, the cost of each example,
/// and J.
///
/// [`Network::trace`] computes it layer by layer, for all examples at once, with [`Layer::forward`]
/// and [`Layer::backward`]. It keeps every number, for inspection. [`Network::backprop`] computes
/// the same J and D up to rounding, in less memory.
///
/// Layers are counted from 0, as everywhere in the code: layer 0 has Θ⁽¹⁾ and computes z⁽²⁾ and
/// a⁽²⁾ from a⁽¹⁾ = X. A layer has r inputs and s units; there are m examples:
///
/// | | | shape | call |
/// |---|---|---|---|
/// | a⁽¹⁾ = X | inputs | n × m | [`input`](Self::input) |
/// | z⁽ˡ⁺²⁾, a⁽ˡ⁺²⁾ of layer l | pre-activations, activations | s × m | [`z`](Self::z), [`activation`](Self::activation) |
/// | cost of each example | | m | [`costs`](Self::costs) |
/// | J | its data term and penalty | scalars | [`cost_parts`](Self::cost_parts) |
/// | δ⁽ˡ⁺²⁾ of layer l | w ∂cost/∂z⁽ˡ⁺²⁾ | s × m | [`delta`](Self::delta) |
/// | Δ⁽ˡ⁺¹⁾ of layer l | sum over the examples | s × (r + 1) | [`layer_sum`](Self::layer_sum) |
/// | D⁽ˡ⁺¹⁾ of layer l | (Δ⁽ˡ⁺¹⁾ + λΘ⁽ˡ⁺¹⁾)/m | s × (r + 1) | [`gradient`](Self::gradient) |
///
/// A layer inside another is named by its [`Path`].
///
/// **Weights.** δ of an example includes its weight, w ∂cost/∂z, so Δ is the plain sum of δ \[1;
/// a]ᵀ. Without weights w is 1.
///
/// **As a table.** `{}` prints everything in the course's notation, with a formula above each
/// matrix. `{:.3}` sets the number of decimals; the default is 6. A matrix is printed in scientific
/// notation if it contains a huge number, or if all its numbers would print as 0. If there are more
/// than 8 columns, the table shows the first 6 and the last 2. If there are more than 12 rows, it
/// shows the first 10 and the last 2. The heading states how many are left out.
///
/// **As a page.** [`to_html`](Self::to_html) returns an HTML page that shows the sum behind each
/// number; [`page`](Self::page) sets it up.
///
/// # Example
/// One identity unit has a = z = 1 + 2·3 = 7. Half the squared error against y = 4 is ½ 3² = 4.5,
/// and λ = 1:
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
///
/// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
/// let (x, y) = (DMatrix::repeat(1, 1, 3.0), DMatrix::repeat(1, 1, 4.0));
/// let trace = network.trace(&Examples::new(&x, &y)?, &Objective::new(SquaredError).l2(1.0))?;
/// assert_eq!(trace.z(0).map(|z| z[0]), Some(7.0));
/// assert_eq!(trace.delta(0).map(|delta| delta[0]), Some(3.0));
/// assert_eq!(trace.sums().as_slice(), &[3.0, 9.0]); // δ [1; x]ᵀ
/// assert_eq!(trace.gradient().vector().as_slice(), &[3.0, 11.0]); // λ · 2 more, not for the bias
/// assert_eq!(trace.cost(), 4.5 + 2.0); // ½ λ 2²
/// assert!(format!("{trace:.1}").contains("z⁽²⁾ = Θ⁽¹⁾ [1; a⁽¹⁾] (1 × 1)\n  7.0\n"));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Trace<T: Scalar> {
    pub(crate) theta: DVector<T>,
    pub(crate) x: DMatrix<T>,
    pub(crate) y: DMatrix<T>,
    pub(crate) weights: Option<Vec<f64>>,
    /// m = Σw.
    pub(crate) weight: f64,
    pub(crate) penalty: Penalty,
    pub(crate) layers: Vec<LayerTrace<T>>,
    /// The layers inside others, each after the one that contains it.
    pub(crate) inner: Vec<Inner<T>>,
    /// Whether the last δ is the cost's own, of a canonical pair.
    pub(crate) linked: bool,
    pub(crate) costs: DVector<T>,
    pub(crate) cost: TracedCost<T>,
    sums: DVector<T>,
    /// J and ∇J.
    result: Backprop<T>,
}

/// The cost function of a trace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TracedCost<T: Scalar> {
    pub(crate) builtin: Option<AnyCost>,
    /// w ∂cost/∂a, if the network has one head, and the cost can be asked for it.
    pub(crate) slope: Option<DMatrix<T>>,
    /// Which targets are present, K × m; `None` if all are.
    pub(crate) present: Option<DMatrix<bool>>,
}

/// The results of one layer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerTrace<T: Scalar> {
    pub(crate) name: String,
    /// The activation of a built-in dense layer.
    pub(crate) dense: Option<AnyActivation>,
    pub(crate) values: Values<T>,
}

/// z, a and δ of a layer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Values<T: Scalar> {
    pub(crate) z: Option<DMatrix<T>>,
    pub(crate) a: DMatrix<T>,
    pub(crate) delta: Option<DMatrix<T>>,
}

impl<T: Scalar> Trace<T> {
    /// Returns a⁽¹⁾ = X, n × m.
    #[must_use]
    pub fn input(&self) -> DMatrixView<'_, T> {
        self.x.as_view()
    }

    /// Returns the results of a layer.
    fn values(&self, layer: &Path) -> Option<&Values<T>> {
        match layer.indices() {
            &[l] => Some(&self.layers.get(l)?.values),
            _ => {
                let mut inner = self.inner.iter();
                Some(&inner.find(|inner| inner.path == *layer)?.values)
            }
        }
    }

    /// Returns z⁽ˡ⁺²⁾ of layer l (from 0), outputs × m.
    ///
    /// `None` if there is no such layer or it has no z ([`Plan::z`](crate::layer::Plan::z)).
    #[must_use]
    pub fn z(&self, layer: impl Into<Path>) -> Option<DMatrixView<'_, T>> {
        Some(self.values(&layer.into())?.z.as_ref()?.as_view())
    }

    /// Returns a⁽ˡ⁺²⁾ of layer l (from 0), outputs × m; `None` if there is no such layer.
    #[must_use]
    pub fn activation(&self, layer: impl Into<Path>) -> Option<DMatrixView<'_, T>> {
        Some(self.values(&layer.into())?.a.as_view())
    }

    /// Returns δ⁽ˡ⁺²⁾ = w ∂cost/∂z⁽ˡ⁺²⁾ of layer l (from 0), outputs × m.
    ///
    /// w is the weight of the example. `None` wherever [`z`](Self::z) is `None`. Among inner
    /// layers, only dense ones have δ, and only if they are not frozen and have one position.
    #[must_use]
    pub fn delta(&self, layer: impl Into<Path>) -> Option<DMatrixView<'_, T>> {
        Some(self.values(&layer.into())?.delta.as_ref()?.as_view())
    }

    /// Returns the cost of each example, without its weight.
    #[must_use]
    pub fn costs(&self) -> &DVector<T> {
        &self.costs
    }

    /// Returns J, with the penalty.
    #[must_use]
    pub fn cost(&self) -> T {
        self.result.cost()
    }

    /// Returns the data term and the penalty of J.
    #[must_use]
    pub fn cost_parts(&self) -> CostParts<T> {
        self.result.cost_parts()
    }

    /// Returns Δ of all layers, unrolled like θ.
    ///
    /// It has length P, and is the weighted sum over the examples, without the penalty and the
    /// factor 1/m.
    #[must_use]
    pub fn sums(&self) -> &DVector<T> {
        &self.sums
    }

    /// Returns Δ of layer l (from 0), in the shape of its Θ.
    ///
    /// If a layer has several blocks, this is the first; see [`block_sum`](Self::block_sum).
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer or it has no parameters.
    pub fn layer_sum(&self, layer: impl Into<Path>) -> Result<DMatrixView<'_, T>, Error> {
        self.block_sum(layer, 0)
    }

    /// Returns Δ of block b of layer l, both counted from 0.
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer or block.
    pub fn block_sum(
        &self,
        layer: impl Into<Path>,
        block: usize,
    ) -> Result<DMatrixView<'_, T>, Error> {
        let place = self.layout().block(layer, block)?;
        Ok(self.layout().view(place, self.sums.as_slice()))
    }

    /// Returns ∇J: the matrices D = (Δ + ∂Ω/∂Θ)/m with m = Σw.
    #[must_use]
    pub fn gradient(&self) -> &Gradient<T> {
        self.result.gradient()
    }

    /// Returns the layout of the blocks in Δ and in ∇J.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        self.gradient().layout()
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Computes one pass and keeps every intermediate result: see [`Trace`].
    ///
    /// This is a pass outside training; [`trace_in`](Self::trace_in) traces a training pass.
    ///
    /// # Errors
    /// Returns the errors of [`backprop`](Self::backprop).
    ///
    /// # Example
    /// Two sigmoid units in sequence have Θ⁽¹⁾ = \[0 2] and Θ⁽²⁾ = \[0 4]. At x = 0 and y = 1,
    /// δ⁽³⁾ = σ(2) − 1, and δ⁽²⁾ = ½ · ½ · 4 δ⁽³⁾ is the same:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{BinaryCrossEntropy, Examples, Network, Objective, activation::Sigmoid};
    ///
    /// let network = Network::<f64>::builder(1)
    ///     .dense(1, Sigmoid)
    ///     .dense(1, Sigmoid)
    ///     .with_theta(&[0.0, 2.0, 0.0, 4.0])?;
    /// let (x, y) = (DMatrix::zeros(1, 1), DMatrix::repeat(1, 1, 1.0));
    /// let trace = network.trace(&Examples::new(&x, &y)?, &Objective::new(BinaryCrossEntropy))?;
    /// for layer in [0, 1] {
    ///     let delta = trace.delta(layer).map_or(f64::NAN, |delta| delta[0]);
    ///     assert!((delta + 0.119203).abs() < 1e-6);
    /// }
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn trace<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<Trace<T>, Error> {
        self.trace_in(examples, objective, &Workspace::for_one_call())
    }

    /// Computes a [`trace`](Self::trace) in the mode of a workspace: a training pass with its seed
    /// and the random numbers [given](Workspace::set_random_numbers) in it, if it is set so.
    ///
    /// # Errors
    /// Returns the errors of [`backprop`](Self::backprop).
    ///
    /// # Example
    /// In training, a batch norm subtracts the mean of the batch, 3, and divides by its standard
    /// deviation, 1:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, Network, Objective, SquaredError, Workspace};
    ///
    /// let network = Network::<f64>::builder(1).batch_norm().zeros()?;
    /// let (x, y) = (DMatrix::from_row_slice(1, 2, &[2.0, 4.0]), DMatrix::zeros(1, 2));
    /// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
    /// let mut workspace = Workspace::new();
    /// workspace.set_training(Some(0));
    /// let trace = network.trace_in(&examples, &objective, &workspace)?;
    /// let a = trace.activation(0).map_or(f64::NAN, |a| a[0]);
    /// assert!((a + 1.0).abs() < 1e-5); // a little above −1, because of ε = 10⁻⁵
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn trace_in<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        mode: &Workspace<T>,
    ) -> Result<Trace<T>, Error> {
        let (layout, cost) = (self.layout(), &objective.cost);
        objective.validate(layout)?;
        self.check_examples(examples, cost)?;
        let (x, mut y) = (owned("X", examples.x)?, owned("Y", examples.y)?);
        if let Some(present) = examples.present() {
            // A missing target is shown as 0.
            let entries = y.iter_mut().zip(present.iter());
            entries
                .filter(|(_, present)| !**present)
                .for_each(|(y, _)| *y = T::zero());
        }
        let mut chain = self.chain(self.point());
        chain.set_mode(mode, examples.len(), examples.weights)?;
        chain.keep = Keep::Z;
        let lens = scratch_lens::<T>(layout.plan(), examples.len());
        let at = chain.at(0, &lens, Given::new(&mode.given));
        let (mut layers, kept) = forward(self, at, x.as_view())?;
        let mut inner = Vec::new();
        for (l, child) in layout.plan().children.iter().enumerate() {
            let a = layers[l].values.a.as_slice();
            let mut frame = Frame::new(&child.plan, Keep::Z, examples.len(), a, &kept[l]);
            frame.input = Some(match l {
                0 => x.as_view(),
                l => layers[l - 1].values.a.as_view(),
            });
            trace_inner::collect(child, &l.into(), &frame, &mut inner)?;
        }
        trace_inner::deltas(self, (examples, cost), mode, &mut inner)?;

        let last = layers.last().ok_or(Error::NoLayers)?;
        let (a, all_kept) = (
            last.values.a.as_slice(),
            kept.last().map_or(&[][..], |kept| kept),
        );
        let plan = &layout.plan().children[self.depth() - 1].plan;
        let mut frame = Frame::new(plan, Keep::Z, examples.len(), a, all_kept);
        frame.input = match layers.split_last() {
            Some((_, [.., below])) => Some(below.values.a.as_view()),
            _ => Some(x.as_view()),
        };
        let of = HeadOutputs {
            heads: &plan.heads,
            frame,
        };
        let at_cost = outputs_at(&of, cost, examples);
        chain.check_domain(0, &at_cost, cost)?;
        let mut costs = matrix("the costs", (1, examples.len()))?;
        at_cost.values(cost, costs.as_mut_slice());
        if let Some(example) = first_non_finite(costs.as_slice()) {
            let value = to_f64(costs[example]);
            return Err(Error::NonFinite {
                at: Location::Cost { example },
                value,
            });
        }
        let mut delta = matrix("δ", last.values.a.shape())?;
        at_cost.delta(cost, delta.as_view_mut());
        weigh(examples, delta.nrows(), delta.as_mut_slice());
        let mut linked = vec![false; plan.heads.len()];
        chain.link(cost, &mut linked);
        let all_linked = linked.iter().all(|&linked| linked);
        let cost = traced_cost(cost, &at_cost, (examples, &linked), delta.as_view())?;
        let start = Start { delta, linked };
        let sums = backward(self, at, x.as_view(), (&mut layers, &kept), start)?;

        let mut weighted = owned("the costs", costs.as_view())?;
        weigh(examples, 1, weighted.as_mut_slice());
        let sum = kernels::sum(weighted.as_slice());
        if !sum.is_finite() {
            let value = to_f64(sum);
            return Err(Error::NonFinite {
                at: Location::Objective,
                value,
            });
        }
        let (theta, weight) = (vector("θ", self.theta().as_slice())?, examples.weight);
        let mut gradient = vector("the gradient", sums.as_slice())?;
        let parts = finish(
            layout,
            &objective.penalty,
            theta.as_slice(),
            Sums::new(sum, weight),
            Some(gradient.as_mut_slice()),
        )?;
        Ok(Trace {
            theta,
            x,
            y,
            weights: examples.weights.map(<[f64]>::to_vec),
            weight,
            penalty: objective.penalty.clone(),
            layers,
            inner,
            linked: all_linked,
            costs: vector("the costs", costs.as_slice())?,
            cost,
            sums,
            result: Backprop::new(parts, gradient, Arc::clone(self.layout_arc())),
        })
    }
}

/// Returns what a page shows of a cost. `delta` is w ∂cost/∂z of the linked heads, and w ∂cost/∂a
/// of the others.
fn traced_cost<T: Scalar, C: Cost<T>>(
    cost: &C,
    at: &Outputs<'_, T>,
    (examples, linked): (&Examples<'_, T>, &[bool]),
    delta: DMatrixView<'_, T>,
) -> Result<TracedCost<T>, Error> {
    let builtin = cost.as_builtin();
    let slope = match (linked, builtin) {
        ([false], _) => Some(owned("∂cost/∂a", delta)?),
        ([true], Some(cost)) => {
            let mut slope = matrix("∂cost/∂a", delta.shape())?;
            let plain = Outputs { z: None, ..*at };
            plain.delta(&cost, slope.as_view_mut());
            weigh(examples, slope.nrows(), slope.as_mut_slice());
            Some(slope)
        }
        _ => None,
    };
    let present = examples.present().map(|present| {
        let (rows, cols) = present.shape();
        let mut entries = allocate("the present targets", (rows, cols), true)?;
        let pairs = entries.iter_mut().zip(present.iter());
        pairs.for_each(|(to, from)| *to = *from);
        Ok(DMatrix::from_vec(rows, cols, entries))
    });
    Ok(TracedCost {
        builtin,
        slope,
        present: present.transpose()?,
    })
}
