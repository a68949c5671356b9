//! The check of everything that a layer may provide beyond `forward` and `backward`.

use super::compare::{Pair, Product};
use super::layer::parameter_blocks;
use super::line::{CheckedBlock, cotangent, direction, moved};
use super::single_layer::{Arguments, Backwarded, Forwarded, SingleLayer, TangentStart};
use super::vector_function::Asked;
use super::{GradientCheck, Report, Verdict, nan};
use crate::columns::Columns;
use crate::derivatives::Tangent;
use crate::error::Error;
use crate::kernels::columns;
use crate::layer::{Layer, LayerGradient};
use crate::layout::Layout;
use crate::point::initial_state;
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrix, DMatrixView};

/// A layer, the point where it is checked, and δ.
struct Point<'a, 'b, T: Scalar, L> {
    single: SingleLayer<'a, L>,
    layout: &'b Layout,
    at: Arguments<'b, T>,
    delta: DMatrix<T>,
}

impl<T: Scalar, L: Layer<T>> Point<'_, '_, T, L> {
    /// Returns how many entries of z and of the final δ are compared: all if the layer promises to
    /// leave z and ∂cost/∂z there, else none.
    fn kept(&self) -> usize {
        if self.single.has_z() {
            self.delta.len()
        } else {
            0
        }
    }

    /// Joins all results: a, z, Δ, the δ of the layer below and the final δ.
    fn join(
        &self,
        x: Option<DMatrixView<'_, T>>,
        forward: &Forwarded<T>,
        back: &Backwarded<T>,
    ) -> Vec<T> {
        let z = self.single.z(x, forward).unwrap_or_default();
        [forward.output.as_slice(), &z, &self.join_back(back)].concat()
    }

    /// Joins the last three: Δ, the δ of the layer below and the final δ.
    fn join_back(&self, back: &Backwarded<T>) -> Vec<T> {
        let delta = &back.delta.as_slice()[..self.kept()];
        [&back.gradient[..], back.below.as_slice(), delta].concat()
    }

    /// Lists the rows of a report for [`join`](Self::join). Rows of the forward pass are left out
    /// if δ is ∂cost/∂z: they do not depend on it.
    fn blocks(&self, suffix: &str) -> Vec<CheckedBlock> {
        let (len, kept) = (self.delta.len(), self.kept());
        let (inputs, outputs) = (self.single.inputs, self.single.outputs);
        let mut blocks = Vec::new();
        if !self.single.linked {
            blocks.push(CheckedBlock::new(&format!("ȧ{suffix}"), outputs, 0, len));
            blocks.push(CheckedBlock::new(&format!("ż{suffix}"), outputs, len, kept));
        }
        let mut start = len + kept;
        blocks.extend(parameter_blocks(self.layout, "Δ̇ of ", suffix, start));
        start += self.single.parameters;
        let label = format!("δ̇ below{suffix}");
        blocks.push(CheckedBlock::new(&label, inputs, start, self.at.x.len()));
        start += self.at.x.len();
        let label = format!("δ̇ of z{suffix}");
        blocks.push(CheckedBlock::new(&label, outputs, start, kept));
        blocks.retain(|block| block.len > 0);
        blocks
    }

    /// Returns the suffix of the labels of rows.
    fn linked(&self) -> &'static str {
        if self.single.linked { " (linked)" } else { "" }
    }
}

impl GradientCheck {
    /// Checks the tangent methods of one layer, and its per-example gradients.
    ///
    /// θ holds the blocks of the layer in sequence; x is inputs × m. The directions θ̇, ẋ and δ̇
    /// are random, and so is δ. In rows of x that hold ids, ẋ is 0:
    ///
    /// | rows | computed by | compared with |
    /// |---|---|---|
    /// | `ȧ`, and `ż` if the layer keeps z | [`forward_tangent`](Layer::forward_tangent) | differences of `forward` |
    /// | `Δ̇ of …` each block, `δ̇ below`, and `δ̇ of z` if the layer keeps z | [`backward_tangent`](Layer::backward_tangent) | differences of `backward` |
    /// | `Δ, δ` | `backward_tangent`, which computes them too | `backward` |
    /// | `δ of z · ż`, for each example, if the layer keeps z | both tangent methods | δ · ȧ, which is equal if the layer leaves ∂cost/∂z in δ |
    /// | `Δ, δ from z`, if the layer keeps z | `backward` with [`linked`](crate::layer::Backward::linked) set, from the ∂cost/∂z that it left | `backward` from ∂cost/∂a |
    /// | `δ, δ̇ of z alone`, if the layer keeps z | `backward_tangent` without Δ and δ below | `backward_tangent` with all results |
    /// | `gradients of examples`, `norms of examples` (squared), `δ below, with …` | [`backward_each`](Layer::backward_each) | `backward` of one column at a time |
    ///
    /// The first four kinds appear three times: `along θ̇, ẋ`, `along θ̇` and `along ẋ`. If the
    /// layer's plan declares z with a link ([`Plan::z`](crate::layer::Plan::z)), all rows appear
    /// again as `(linked)`, except those of the forward pass, of ż and `from z`.
    ///
    /// The rows of examples are left out if the layer couples examples in the mode of the check
    /// ([`training`](Self::training)). Otherwise the examples are those of the second of two parts of
    /// a batch, so [`first_example`](crate::layer::At::first_example) is m. Buffers are filled with NaN
    /// before they are written. Check `backward` with [`layer`](Self::layer) first.
    ///
    /// # Errors
    /// - The errors of [`layer`](Self::layer).
    /// - [`Error::Unsupported`] if the layer has no tangents.
    ///
    /// # Example
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Dense, GradientCheck, activation::Tanh};
    ///
    /// let theta = [0.1, -0.2, 0.3, 0.5, -0.4, 0.6];
    /// let x = DMatrix::from_row_slice(2, 3, &[0.5, -1.0, 2.0, 1.0, 0.3, -0.7]);
    /// let report = GradientCheck::new().layer_tangents(&Dense::new(2, 2, Tanh), &theta, &x)?;
    /// report.assert_passed();
    /// assert_eq!(report.block("Δ̇ of Θ along θ̇, ẋ").map(|b| b.compared), Some(6));
    /// assert_eq!(report.block("gradients of examples").map(|b| b.compared), Some(18));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn layer_tangents<'a, T: Scalar, L: Layer<T>>(
        &self,
        layer: &L,
        theta: &[T],
        x: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let x = x.columns_view();
        let layout = SingleLayer::layout(layer, x)?;
        let state = initial_state(layout.state_places())?;
        let state = state.as_slice();
        let at = Arguments { theta, state, x };
        let mut single = SingleLayer::new(layer, &layout, at)?;
        single.training = self.training;
        if !single.plan.couples.in_mode(self.training.is_some()) {
            // The second of two parts, so that a pass that ignores this number shows.
            single.first = single.examples;
        }
        let delta = cotangent(single.outputs, single.examples, self.seed);
        let mut point = Point {
            single,
            layout: &layout,
            at,
            delta,
        };
        let mut report = Report::new(&self.settings::<T>()?);
        let paths = if point.single.has_link() { 2 } else { 1 };
        for linked in [false, true].into_iter().take(paths) {
            point.single.linked = linked;
            self.layer_directions(&point, &mut report)?;
            if !point.single.plan.couples.in_mode(self.training.is_some()) {
                self.layer_examples(&point, &mut report)?;
            }
        }
        Ok(report)
    }

    /// Compares the tangents along θ̇ and ẋ, and with each absent.
    fn layer_directions<T: Scalar, L: Layer<T>>(
        &self,
        point: &Point<'_, '_, T, L>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let (single, at, delta) = (&point.single, point.at, &point.delta);
        let x = at.x.clone_owned();
        let (n, m) = x.shape();
        let forward = single.forward(at);
        let back = single.backward(at, &forward, delta);
        let theta_dot = direction(at.theta, self.seed.wrapping_add(1));
        let x_dot = direction(x.as_slice(), self.seed.wrapping_add(2));
        let mut x_dot = DMatrix::from_vec(n, m, x_dot);
        single.plan.clear_ids(x_dot.as_view_mut());
        let delta_dot = cotangent(single.outputs, m, self.seed.wrapping_add(3));
        let by_theta = Tangent::of_parameters(&theta_dot);
        let cases = [
            ("along θ̇, ẋ", by_theta.and_inputs(&x_dot)),
            ("along θ̇", by_theta),
            ("along ẋ", Tangent::of_inputs(&x_dot)),
        ];
        let (linked, kept) = (point.linked(), point.kept());
        if !single.linked && kept > 0 {
            self.layer_from_z(point, &forward, &back, report)?;
        }
        for (case, motion) in cases {
            let forward_tangent = single.forward_tangent(at, &forward, motion)?;
            let start = TangentStart {
                at,
                motion,
                forward: &forward,
                forward_tangent: &forward_tangent,
                delta,
                delta_tangent: &delta_dot,
            };
            let found = single.backward_tangent(start)?;
            let suffix = format!(" {case}{linked}");
            let tangents = point.join(motion.inputs, &forward_tangent, &found.tangent);
            let blocks = point.blocks(&suffix);
            self.compare_tangent(report, &blocks, &tangents, 0.0, |asked, t| {
                let theta = moved(at.theta, motion.parameters, t);
                let along = motion.inputs.map(|x| x.clone_owned());
                let x = moved(x.as_slice(), along.as_ref().map(DMatrix::as_slice), t);
                let (theta, x) = (&theta[..], DMatrixView::from_slice(&x, n, m));
                let at = Arguments { theta, x, ..at };
                let delta = delta + &delta_dot * t;
                let forward = single.forward(at);
                if asked == Asked::Values {
                    let back = single.backward(at, &forward, &delta);
                    return Ok(point.join(Some(at.x), &forward, &back));
                }
                let forward_tangent = single.forward_tangent(at, &forward, motion)?;
                let found = single.backward_tangent(TangentStart {
                    at,
                    forward: &forward,
                    forward_tangent: &forward_tangent,
                    delta: &delta,
                    ..start
                })?;
                Ok(point.join(motion.inputs, &forward_tangent, &found.tangent))
            })?;
            let (plain, expected) = (point.join_back(&found.plain), point.join_back(&back));
            let len = expected.len();
            let block = CheckedBlock::new(&format!("Δ, δ{suffix}"), len, 0, len);
            self.compare_entries(report, &block, &plain, &expected)?;
            if kept == 0 {
                continue;
            }
            if !single.linked {
                let pairs = (0..m).map(|k| {
                    let column =
                        |entries: &[T]| entries[k * single.outputs..][..single.outputs].to_vec();
                    let (delta, a_dot) = (column(delta.as_slice()), column(&tangents));
                    let (delta_z, z_dot) =
                        (column(back.delta.as_slice()), column(&tangents[kept..]));
                    Pair::equal(Product::new(&delta_z, &z_dot), Product::new(&delta, &a_dot))
                });
                let pairs: Vec<Pair> = pairs.collect();
                let label = format!("δ of z · ż{suffix}");
                self.compare_pairs::<T>(report, &label, &pairs, Verdict::Wrong)?;
            }
            if motion.parameters.is_some() && motion.inputs.is_some() {
                let still = Tangent {
                    parameters: None,
                    // z may be the input.
                    ..motion
                };
                let only = single.delta_tangent(TangentStart {
                    motion: still,
                    ..start
                })?;
                let join = |plain: &Backwarded<T>, tangent: &Backwarded<T>| {
                    [plain.delta.as_slice(), tangent.delta.as_slice()].concat()
                };
                let (only, expected) = (
                    join(&only.plain, &only.tangent),
                    join(&back, &found.tangent),
                );
                let label = format!("δ, δ̇ of z alone{linked}");
                let block = CheckedBlock::new(&label, single.outputs, 0, 2 * kept);
                self.compare_entries(report, &block, &only, &expected)?;
            }
        }
        Ok(())
    }

    /// Compares `backward` from the ∂cost/∂z that it left with `backward` from ∂cost/∂a.
    fn layer_from_z<T: Scalar, L: Layer<T>>(
        &self,
        point: &Point<'_, '_, T, L>,
        forward: &Forwarded<T>,
        back: &Backwarded<T>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let from_z = SingleLayer {
            linked: true,
            ..point.single
        };
        let found = from_z.backward(point.at, forward, &back.delta);
        let join = |back: &Backwarded<T>| [&back.gradient[..], back.below.as_slice()].concat();
        let (found, expected) = (join(&found), join(back));
        let len = expected.len();
        let block = CheckedBlock::new("Δ, δ from z", len, 0, len);
        self.compare_entries(report, &block, &found, &expected)
    }

    /// Compares the per-example gradients and their norms.
    fn layer_examples<T: Scalar, L: Layer<T>>(
        &self,
        point: &Point<'_, '_, T, L>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let (single, at) = (&point.single, point.at);
        let (p, m) = (single.parameters, single.examples);
        let mut gradients = Vec::with_capacity(p * m);
        for k in 0..m {
            let one = SingleLayer {
                examples: 1,
                first: single.first + k,
                ..*single
            };
            let at = Arguments {
                x: columns(at.x, k, 1),
                ..at
            };
            let delta = point.delta.columns(k, 1).clone_owned();
            gradients.extend(one.backward(at, &one.forward(at), &delta).gradient);
        }
        let squares = gradients.chunks_exact(p.max(1)).map(|gradient| {
            let squares = gradient.iter().map(|&g| g * g);
            squares.fold(T::zero(), |sum, g| sum + g)
        });
        let mut norms: Vec<T> = squares.collect();
        norms.resize(m, T::zero());

        // In a network, the rows of other layers lie between the columns, and norms are added to
        // existing values. The existing value here is as large as the added one, which therefore
        // keeps its digits.
        let mut room = DMatrix::repeat(p + 1, m, nan::<T>());
        let old = norms.iter().enumerate().map(|(k, &norm)| {
            let size = if norm > T::zero() { norm } else { T::one() };
            real::<T>(1.0 + k as f64) * size
        });
        let old: Vec<T> = old.collect();
        let mut sums = old.clone();

        let forward = single.forward(at);
        let below = single.backward(at, &forward, &point.delta).below;
        let compare_below = |report: &mut Report, label: &str, found: &DMatrix<T>| {
            let label = format!("δ below, with {label}");
            let block = CheckedBlock::new(&label, single.inputs, 0, below.len());
            self.compare_entries(report, &block, found.as_slice(), below.as_slice())
        };

        let label = format!("gradients of examples{}", point.linked());
        let block = CheckedBlock::new(&label, p, 0, p * m);
        let (stride, gradients_of) = (p + 1, room.as_mut_slice());
        let wanted = LayerGradient::Each {
            gradients: gradients_of,
            stride,
        };
        let below = single.backward_each(at, &forward, &point.delta, wanted);
        let found = room.rows(0, p).clone_owned();
        self.compare_entries(report, &block, found.as_slice(), &gradients)?;
        compare_below(report, &label, &below)?;

        let label = format!("norms of examples{}", point.linked());
        let block = CheckedBlock::new(&label, 1, 0, m);
        let wanted = LayerGradient::SquaredNorms(&mut sums);
        let below = single.backward_each(at, &forward, &point.delta, wanted);
        let found = sums.iter().zip(&old).map(|(&sum, &old)| sum - old);
        let found: Vec<T> = found.collect();
        self.compare_entries(report, &block, &found, &norms)?;
        compare_below(report, &label, &below)
    }
}
