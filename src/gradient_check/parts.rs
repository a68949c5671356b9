//! Checks of a single activation, cost or layer.

use super::alone::Alone;
use super::compare::Start;
use super::{GradientCheck, Named, Report, Settings, nan};
use crate::activation::Activation;
use crate::cost::{Cost, Outputs};
use crate::error::Error;
use crate::examples::{Columns, Examples, check_finite};
use crate::initialization::rng;
use crate::layer::Layer;
use crate::layout::Layout;
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::{DMatrix, DMatrixView};
use rand_xoshiro::rand_core::Rng;

impl GradientCheck {
    /// Checks the derivative of one activation at z (s × m): of f(z) = Σ r ∘ g(z) for fixed random r.
    ///
    /// The report has one block, `z`. Buffers to be written hold NaN before.
    ///
    /// # Errors
    /// - [`Error::NoExamples`] or [`Error::Shape`] if z is empty.
    /// - [`Error::NonFinite`] if z is not finite, or g overflows there.
    /// - [`Error::Hyperparameter`] for a bad step, tolerance or constant of the activation.
    pub fn activation<'a, T: Scalar, A: Activation<T> + ?Sized>(
        &self,
        activation: &A,
        z: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let z = z.columns_view();
        check_not_empty("z", z)?;
        check_finite("z", z)?;
        activation.validate()?;
        let (rows, cols) = z.shape();
        let z = z.clone_owned();
        let r = cotangent(rows, cols, self.seed);
        let forward = |z: &[T]| {
            let mut a = DMatrix::repeat(rows, cols, nan());
            activation.forward(DMatrixView::from_slice(z, rows, cols), a.as_view_mut());
            a
        };
        let a = forward(z.as_slice());
        let mut delta = r.clone();
        activation.backward(z.as_view(), a.as_view(), delta.as_view_mut());
        let blocks = [block("z", rows, 0, rows * cols)];
        let j = inner(&r, a.as_slice());
        let at = Start {
            theta: z.as_slice(),
            j,
            gradient: delta.as_slice(),
            noise: 0.0,
        };
        self.compare(&blocks, at, |z, gradient| {
            let a = forward(z);
            if let Some(gradient) = gradient {
                let z = DMatrixView::from_slice(z, rows, cols);
                let mut delta = r.clone();
                activation.backward(z, a.as_view(), delta.as_view_mut());
                gradient.copy_from_slice(delta.as_slice());
            }
            Ok(inner(&r, a.as_slice()))
        })
    }

    /// Checks the derivatives of one cost at the outputs a = g(z) and the targets y, all K × m.
    ///
    /// The report has a block `∂cost/∂a`. If cost and activation are a canonical pair, it has a block `∂cost/∂z` for the cost's own
    /// way from z, and `∂cost/∂a` only if no output is within a step of the edge of the cost's domain.
    ///
    /// # Errors
    /// - [`Error::NoExamples`], [`Error::Shape`] or [`Error::NonFinite`] if z and y are not two finite matrices of equal shape.
    /// - [`Error::Target`] if a target is outside the domain of the cost, [`Error::Output`] if an output is, or is within a step
    ///   of its edge.
    /// - [`Error::NonFinite`] if the cost overflows, [`Error::Hyperparameter`] for a bad step, tolerance or constant.
    pub fn cost<'a, T: Scalar, C: Cost<T> + ?Sized, A: Activation<T> + ?Sized>(
        &self,
        cost: &C,
        activation: &A,
        z: impl Columns<'a, T>,
        y: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let (z, y) = (z.columns_view(), y.columns_view());
        let (a, linked, has_room) = self.outputs_of(cost, activation, z, y)?;
        let ((rows, cols), z) = (z.shape(), z.clone_owned());
        let evaluate = |at: Outputs<'_, T>| {
            let (mut values, mut delta) = (vec![nan(); cols], DMatrix::repeat(rows, cols, nan()));
            cost.values(at, &mut values);
            cost.delta(at, delta.as_view_mut());
            (crate::kernels::sum(&values), delta)
        };
        let of_a = |a: &[T]| {
            evaluate(Outputs::new(
                None,
                DMatrixView::from_slice(a, rows, cols),
                y,
            ))
        };
        let of_z = |z: &[T]| {
            let z = DMatrixView::from_slice(z, rows, cols);
            let mut a = DMatrix::repeat(rows, cols, nan());
            activation.forward(z, a.as_view_mut());
            evaluate(Outputs::new(Some(z), a.as_view(), y))
        };
        let keep = |(j, delta): (T, DMatrix<T>), gradient: Option<&mut [T]>| {
            if let Some(gradient) = gradient {
                gradient.copy_from_slice(delta.as_slice());
            }
            j
        };
        let mut report = Report::new(f64::NAN, &self.settings::<T>()?);
        if has_room {
            let (j, delta) = of_a(a.as_slice());
            let blocks = [block("∂cost/∂a", rows, 0, rows * cols)];
            let pass = |a: &[T], gradient: Option<&mut [T]>| Ok(keep(of_a(a), gradient));
            let at = Start {
                theta: a.as_slice(),
                j,
                gradient: delta.as_slice(),
                noise: 0.0,
            };
            report = self.compare(&blocks, at, pass)?;
        }
        if linked {
            let (j, delta) = of_z(z.as_slice());
            let blocks = [block("∂cost/∂z", rows, 0, rows * cols)];
            let pass = |z: &[T], gradient: Option<&mut [T]>| Ok(keep(of_z(z), gradient));
            let at = Start {
                theta: z.as_slice(),
                j,
                gradient: delta.as_slice(),
                noise: 0.0,
            };
            let found = self.compare(&blocks, at, pass)?;
            (report.cost, report.step) = (found.cost, found.step);
            report.blocks.extend(found.blocks);
        }
        Ok(report)
    }

    /// What a cost is checked at: a = g(z), whether the pair is canonical, and whether a is more than a step inside the domain, as it has to be if the pair is not.
    pub(super) fn outputs_of<T: Scalar, C: Cost<T> + ?Sized, A: Activation<T> + ?Sized>(
        &self,
        cost: &C,
        activation: &A,
        z: DMatrixView<'_, T>,
        y: DMatrixView<'_, T>,
    ) -> Result<(DMatrix<T>, bool, bool), Error> {
        let (rows, cols) = z.shape();
        let Settings { step, .. } = self.settings::<T>()?;
        check_not_empty("z", z)?;
        check_finite("z", z)?;
        if y.shape() != (rows, cols) {
            return Err(Error::Shape {
                what: "Y",
                expected: (rows, cols),
                found: y.shape(),
            });
        }
        activation.validate()?;
        cost.validate()?;
        Examples::new(z, y)?.check(rows, rows, cost.target_domain())?;
        let mut a = DMatrix::repeat(rows, cols, nan());
        activation.forward(z, a.as_view_mut());
        let linked = cost.link().is_some() && cost.link() == activation.link();
        // Differences in a need room on both sides; a canonical pair is at home where a has rounded to the edge, too.
        let step: T = real(2.0 * step);
        let room = [T::zero(), -step, step].into_iter().try_for_each(|step| {
            let moved = a.map(|a| a + step * a.abs().max(T::one()));
            cost.check_outputs(moved.as_view(), y)
        });
        if let (Err(found), false) = (room, linked) {
            return Err(Error::Output {
                layer: 0,
                unit: found.unit,
                example: found.example,
                value: a
                    .get((found.unit, found.example))
                    .map_or(f64::NAN, |&a| to_f64(a)),
                expected: found.expected,
            });
        }
        Ok((a, linked, room.is_ok()))
    }

    /// Checks one layer at parameters θ (its blocks one after the other) and inputs x (inputs × m): the derivatives
    /// of f(θ, x) = Σ r ∘ output for fixed random r.
    ///
    /// The report has one block for each of the layer's, and one for `input`. For a layer with a
    /// [`link`](Layer::link) all appear again as `… (linked)`, for f = Σ r ∘ z. Buffers to be written hold NaN before.
    ///
    /// # Errors
    /// - [`Error::ZeroUnits`], [`Error::PenalisedColumns`], [`Error::TooLarge`], … if the layer could not stand in a network.
    /// - [`Error::Length`], [`Error::Shape`], [`Error::NoExamples`] or [`Error::NonFinite`] if θ or x do not fit it.
    /// - [`Error::NonFinite`] if the output overflows, [`Error::Hyperparameter`] for a bad step or tolerance.
    pub fn layer<'a, T: Scalar, L: Layer<T>>(
        &self,
        layer: &L,
        theta: &[T],
        x: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let x = x.columns_view();
        let (mut alone, layout) = Alone::new(layer, theta, x)?;
        let mut report = self.layer_path(&alone, &layout, theta, x)?;
        if layer.link().is_some() {
            alone.linked = true;
            let linked = self.layer_path(&alone, &layout, theta, x)?;
            report.blocks.extend(linked.blocks);
        }
        Ok(report)
    }

    fn layer_path<T: Scalar, L: Layer<T>>(
        &self,
        alone: &Alone<'_, L>,
        layout: &Layout,
        theta: &[T],
        x: DMatrixView<'_, T>,
    ) -> Result<Report, Error> {
        let (n, s, m, p) = (alone.inputs, alone.outputs, alone.examples, theta.len());
        let (r, linked) = (cotangent(s, m, self.seed), alone.linked);
        let pass = |point: &[T], gradient: Option<&mut [T]>| {
            let (theta, x) = point.split_at(p);
            let x = DMatrixView::from_slice(x, n, m);
            let after = alone.forward(theta, x);
            if let Some(gradient) = gradient {
                let back = alone.backward(theta, x, &after, &r);
                let (of_theta, of_x) = gradient.split_at_mut(p);
                of_theta.copy_from_slice(&back.gradient);
                of_x.copy_from_slice(back.below.as_slice());
            }
            let of = if linked {
                after.cache.get(..s * m)
            } else {
                Some(after.output.as_slice())
            };
            of.map_or(nan(), |of| inner(&r, of))
        };
        let mut point = theta.to_vec();
        point.extend(x.iter().copied());
        let mut gradient = vec![nan(); point.len()];
        let j = pass(&point, Some(&mut gradient));
        let suffix = if linked { " (linked)" } else { "" };
        let mut blocks = parameter_blocks(layout, "", suffix, 0);
        blocks.push(block(&format!("input{suffix}"), n, p, n * m));
        let at = Start {
            theta: &point,
            j,
            gradient: &gradient,
            noise: 0.0,
        };
        self.compare(&blocks, at, |point, gradient| Ok(pass(point, gradient)))
    }
}

/// Whether there is anything to check.
pub(super) fn check_not_empty<T: Scalar>(
    what: &'static str,
    z: DMatrixView<'_, T>,
) -> Result<(), Error> {
    let (rows, cols) = z.shape();
    match (rows, cols) {
        (_, 0) => Err(Error::NoExamples),
        (0, _) => Err(Error::Shape {
            what,
            expected: (1, cols),
            found: (rows, cols),
        }),
        _ => Ok(()),
    }
}

/// The blocks of a layer, from `start` on.
pub(super) fn parameter_blocks(
    layout: &Layout,
    prefix: &str,
    suffix: &str,
    start: usize,
) -> Vec<Named> {
    let blocks = layout.blocks().iter().map(|place| {
        let (of, range) = (place.block(), place.range());
        let label = format!("{prefix}{}{suffix}", of.name);
        block(&label, of.rows, start + range.start, range.len())
    });
    blocks.collect()
}

pub(super) fn block(label: &str, rows: usize, start: usize, len: usize) -> Named {
    Named {
        label: label.to_owned(),
        rows,
        start,
        len,
    }
}

/// Random entries between ½ and 3/2 in size, of both signs.
pub(super) fn cotangent<T: Scalar>(rows: usize, cols: usize, seed: u64) -> DMatrix<T> {
    let mut random = rng(seed);
    DMatrix::from_fn(rows, cols, |_, _| {
        let draw = random.next_u64();
        let size = 0.5 + (draw >> 12) as f64 / (1_u64 << 52) as f64;
        real(if draw & 1 == 0 { size } else { -size })
    })
}

fn inner<T: Scalar>(r: &DMatrix<T>, values: &[T]) -> T {
    let pairs = r.iter().zip(values);
    pairs.fold(T::zero(), |sum, (&r, &v)| sum + r * v)
}
