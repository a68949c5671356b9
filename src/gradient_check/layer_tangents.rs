//! The check of everything that a layer may provide beyond `forward` and `backward`.

use super::alone::{After, Alone, Back};
use super::parts::{block, cotangent, parameter_blocks};
use super::tangents::{Asked, Pair, direction, moved};
use super::{BlockReport, GradientCheck, Named, Report, Verdict, nan};
use crate::error::Error;
use crate::examples::Columns;
use crate::kernels::columns;
use crate::layer::{Layer, PerExample};
use crate::layout::Layout;
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrix, DMatrixView};

/// A layer, the point where it is checked, and δ.
struct Point<'a, 'b, T: Scalar, L> {
    alone: Alone<'a, L>,
    layout: &'b Layout,
    theta: &'b [T],
    x: DMatrixView<'b, T>,
    delta: DMatrix<T>,
}

impl<T: Scalar, L: Layer<T>> Point<'_, '_, T, L> {
    /// Entries of an output, and how many of z and of what becomes of δ are compared: none, if the layer does not promise that they are those.
    fn sizes(&self) -> (usize, usize) {
        let len = self.delta.len();
        (len, if self.alone.layer.keeps_z() { len } else { 0 })
    }

    /// All results one after the other: a, z, Δ, the error of the layer below and what becomes of δ.
    fn join(&self, after: &After<T>, back: &Back<T>) -> Vec<T> {
        let kept = self.sizes().1;
        let z = (0..kept).map(|i| after.cache.get(i).copied().unwrap_or_else(nan));
        let z: Vec<T> = z.collect();
        [after.output.as_slice(), &z, &self.join_back(back)].concat()
    }

    /// Of these the last three.
    fn join_back(&self, back: &Back<T>) -> Vec<T> {
        let delta = &back.delta.as_slice()[..self.sizes().1];
        [&back.gradient[..], back.below.as_slice(), delta].concat()
    }

    /// The rows of a report for `join`; those of the forward pass only where δ is of a.
    fn blocks(&self, suffix: &str) -> Vec<Named> {
        let (len, kept) = self.sizes();
        let Alone {
            inputs,
            outputs,
            parameters,
            linked,
            ..
        } = self.alone;
        let mut blocks = Vec::new();
        if !linked {
            blocks.push(block(&format!("ȧ{suffix}"), outputs, 0, len));
            blocks.push(block(&format!("ż{suffix}"), outputs, len, kept));
        }
        let mut start = len + kept;
        blocks.extend(parameter_blocks(self.layout, "Δ̇ of ", suffix, start));
        start += parameters;
        let below = format!("δ̇ below{suffix}");
        blocks.push(block(&below, inputs, start, self.x.len()));
        start += self.x.len();
        blocks.push(block(&format!("δ̇ of z{suffix}"), outputs, start, kept));
        blocks.retain(|block| block.len > 0);
        blocks
    }
}

impl GradientCheck {
    /// Checks what one layer provides beyond `forward` and `backward`, at parameters θ (its blocks one after the other) and inputs x (inputs × m), for random δ, δ̇, θ̇ and ẋ:
    ///
    /// | rows | computed by | held against |
    /// |---|---|---|
    /// | `ȧ`, and `ż` of a layer that keeps z | [`forward_tangent`](Layer::forward_tangent) | differences of `forward` |
    /// | `Δ̇ of …` of each block, `δ̇ below`, and `δ̇ of z` of a layer that keeps z | [`backward_tangent`](Layer::backward_tangent) | differences of `backward` |
    /// | `Δ, δ` | the same method, which computes them as well | `backward` |
    /// | `δ of z · ż` | both tangent methods of a layer that keeps z, for each example | δ · ȧ: with ∂cost/∂z left in δ they are equal |
    /// | `Δ, δ from z` | `backward` with [`linked`](crate::layer::Backward::linked) set, from the ∂cost/∂z that it left | what it computed with that |
    /// | `δ, δ̇ of z alone` | `backward_tangent` that is asked for neither Δ nor δ below | what it leaves when asked |
    /// | `gradients of examples`, `norms of examples` (squared), `δ below, with …` | [`backward_per_example`](Layer::backward_per_example) | `backward` of one column at a time |
    ///
    /// The first four kinds come three times: `along θ̇, ẋ`, and with each of them absent. For a layer with a [`link`](Layer::link) all but the rows of the forward pass, of ż and
    /// `from z` come again as `(linked)`. Without `backward_per_example` its rows say [`Verdict::NotProvided`]; they are left out of a layer that couples examples. Buffers to be
    /// written hold NaN before. Prove `backward` by [`layer`](Self::layer) first.
    ///
    /// # Errors
    /// Those of [`layer`](Self::layer), and [`Error::Unsupported`] if the layer has no tangents.
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
        let (alone, layout) = Alone::new(layer, theta, x)?;
        let delta = cotangent(alone.outputs, alone.examples, self.seed);
        let mut point = Point {
            alone,
            layout: &layout,
            theta,
            x,
            delta,
        };
        let mut report = Report::new(f64::NAN, &self.settings::<T>()?);
        let paths = if layer.link().is_some() { 2 } else { 1 };
        for linked in [false, true].into_iter().take(paths) {
            point.alone.linked = linked;
            report.blocks.extend(self.layer_directions(&point)?);
            if !layer.couples_examples() {
                self.layer_examples(&point, &mut report)?;
            }
        }
        Ok(report)
    }

    /// The tangents along θ̇ and ẋ, and with each absent.
    fn layer_directions<T: Scalar, L: Layer<T>>(
        &self,
        at: &Point<'_, '_, T, L>,
    ) -> Result<Vec<BlockReport>, Error> {
        let (alone, theta) = (&at.alone, at.theta);
        let x = at.x.clone_owned();
        let (n, m) = x.shape();
        let after = alone.forward(theta, at.x);
        let back = alone.backward(theta, at.x, &after, &at.delta);
        let theta_dot = direction(theta, self.seed.wrapping_add(1));
        let x_dot = direction(x.as_slice(), self.seed.wrapping_add(2));
        let delta_dot = cotangent(alone.outputs, m, self.seed.wrapping_add(3));
        let cases = [
            ("along θ̇, ẋ", Some(&theta_dot[..]), Some(&x_dot[..])),
            ("along θ̇", Some(&theta_dot[..]), None),
            ("along ẋ", None, Some(&x_dot[..])),
        ];
        let linked = if alone.linked { " (linked)" } else { "" };
        let mut rows = Vec::new();
        if !alone.linked && at.sizes().1 > 0 {
            let from_z = Alone {
                linked: true,
                ..*alone
            };
            let found = from_z.backward(theta, at.x, &after, &back.delta);
            let join = |back: &Back<T>| [&back.gradient[..], back.below.as_slice()].concat();
            let (found, expected) = (join(&found), join(&back));
            let blocks = [block("Δ, δ from z", expected.len(), 0, expected.len())];
            rows.extend(self.compare_entries(&blocks, &found, &expected)?);
        }
        for (case, theta_dot, x_dot) in cases {
            let moves = (theta_dot, x_dot.map(|x| DMatrixView::from_slice(x, n, m)));
            let along = alone.forward_tangent(theta, at.x, &after, moves)?;
            let passes = (&after, &along);
            let deltas = (&at.delta, &delta_dot);
            let (plain, dot) =
                alone.backward_tangent((theta, at.x), passes, moves, deltas, true)?;
            let suffix = format!(" {case}{linked}");
            let tangents = at.join(&along, &dot);
            rows.extend(
                self.compare_along(&at.blocks(&suffix), &tangents, 0.0, |asked, t| {
                    let theta = moved(theta, theta_dot, t);
                    let x = DMatrix::from_vec(n, m, moved(x.as_slice(), x_dot, t));
                    let (x, delta) = (x.as_view(), &at.delta + &delta_dot * t);
                    let after = alone.forward(&theta, x);
                    if asked == Asked::Values {
                        let back = alone.backward(&theta, x, &after, &delta);
                        return Ok(at.join(&after, &back));
                    }
                    let along = alone.forward_tangent(&theta, x, &after, moves)?;
                    let (point, passes) = ((&theta[..], x), (&after, &along));
                    let deltas = (&delta, &delta_dot);
                    let (_, dot) = alone.backward_tangent(point, passes, moves, deltas, true)?;
                    Ok(at.join(&along, &dot))
                })?,
            );
            let (plain, expected) = (at.join_back(&plain), at.join_back(&back));
            let blocks = [block(
                &format!("Δ, δ{suffix}"),
                expected.len(),
                0,
                expected.len(),
            )];
            rows.extend(self.compare_entries(&blocks, &plain, &expected)?);
            let (len, kept) = at.sizes();
            if kept == 0 {
                continue;
            }
            if !alone.linked {
                let pairs = (0..m).map(|k| {
                    let column = |of: &[T]| of[k * alone.outputs..][..alone.outputs].to_vec();
                    let (delta, a_dot) = (column(at.delta.as_slice()), column(&tangents));
                    let (delta_z, z_dot) =
                        (column(back.delta.as_slice()), column(&tangents[len..]));
                    Pair::of_products((&delta_z, &z_dot), (&delta, &a_dot))
                });
                let pairs: Vec<Pair> = pairs.collect();
                let label = format!("δ of z · ż{suffix}");
                rows.extend(self.compare_pairs::<T>(&label, &pairs, Verdict::Wrong)?);
            }
            if theta_dot.is_some() && x_dot.is_some() {
                let (point, none) = ((theta, at.x), (None, None));
                let (plain, only) = alone.backward_tangent(point, passes, none, deltas, false)?;
                let found = [plain.delta.as_slice(), only.delta.as_slice()].concat();
                let expected = [back.delta.as_slice(), dot.delta.as_slice()].concat();
                let label = format!("δ, δ̇ of z alone{linked}");
                let blocks = [block(&label, alone.outputs, 0, 2 * len)];
                rows.extend(self.compare_entries(&blocks, &found, &expected)?);
            }
        }
        Ok(rows)
    }

    /// The gradients of single examples and their norms.
    fn layer_examples<T: Scalar, L: Layer<T>>(
        &self,
        at: &Point<'_, '_, T, L>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let (alone, theta) = (&at.alone, at.theta);
        let (p, m) = (alone.parameters, alone.examples);
        let mut gradients = Vec::with_capacity(p * m);
        for k in 0..m {
            let one = Alone {
                examples: 1,
                first: k,
                ..*alone
            };
            let (x, delta) = (columns(at.x, k, 1), at.delta.columns(k, 1).clone_owned());
            let back = one.backward(theta, x, &one.forward(theta, x), &delta);
            gradients.extend(back.gradient);
        }
        let squares = gradients.chunks_exact(p.max(1)).map(|gradient| {
            let squares = gradient.iter().map(|&g| g * g);
            squares.fold(T::zero(), |sum, g| sum + g)
        });
        let mut norms: Vec<T> = squares.collect();
        norms.resize(m, T::zero());

        let after = alone.forward(theta, at.x);
        let below = alone.backward(theta, at.x, &after, &at.delta).below;
        // As in a network the rows of the layers above lie between the columns; norms are added to what is there.
        let mut found = DMatrix::repeat(p + 1, m, nan::<T>());
        // Of the size of what is added, so that it keeps its digits.
        let old: Vec<T> = (0..m)
            .map(|k| {
                let factor = real::<T>(1.0 + k as f64);
                match norms[k] > T::zero() {
                    true => factor * norms[k],
                    false => factor,
                }
            })
            .collect();
        let mut added = old.clone();
        let linked = if alone.linked { " (linked)" } else { "" };
        let labels = ["gradients of examples", "norms of examples"];
        for (norms_wanted, label) in [false, true].into_iter().zip(labels) {
            let label = format!("{label}{linked}");
            let mut delta = at.delta.clone();
            let mut found_below = DMatrix::repeat(alone.inputs, m, nan());
            let mut scratch = vec![nan(); alone.layer.scratch_len(m)];
            let mut pass = alone.pass(theta, at.x, &after, delta.as_view_mut());
            pass.scratch = &mut scratch;
            pass.input_delta = Some(found_below.as_view_mut());
            let wanted = match norms_wanted {
                true => PerExample::SquaredNorms(&mut added),
                false => PerExample::Gradients(found.rows_mut(0, p)),
            };
            match alone.layer.backward_per_example(pass, wanted) {
                Err(Error::Unsupported { .. }) => {
                    let rows = if norms_wanted { 1 } else { p };
                    report.push_not_provided(&block(&label, rows, 0, rows * m));
                    continue;
                }
                done => done?,
            }
            let rows = if norms_wanted {
                let new: Vec<T> = added.iter().zip(&old).map(|(&a, &b)| a - b).collect();
                self.compare_entries(&[block(&label, 1, 0, m)], &new, &norms)?
            } else {
                let found = found.rows(0, p).clone_owned();
                let blocks = [block(&label, p, 0, p * m)];
                self.compare_entries(&blocks, found.as_slice(), &gradients)?
            };
            report.blocks.extend(rows);
            let label = format!("δ below, with {label}");
            let blocks = [block(&label, alone.inputs, 0, below.len())];
            let rows = self.compare_entries(&blocks, found_below.as_slice(), below.as_slice())?;
            report.blocks.extend(rows);
        }
        Ok(())
    }
}
