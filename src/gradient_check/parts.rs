//! Checks of a single activation, cost or layer.

use super::{GradientCheck, Named, Report, nan};
use crate::activation::Activation;
use crate::cost::{Cost, Outputs};
use crate::error::Error;
use crate::examples::{Columns, Examples, check_finite, check_length, check_rows};
use crate::initialization::rng;
use crate::layer::{Backward, Forward, Layer};
use crate::layout::{Layout, allocate};
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use rand_xoshiro::rand_core::Rng;

impl GradientCheck {
    /// Checks the derivative of one activation at z (s × m): of f(z) = Σ r ∘ g(z) for fixed random r.
    ///
    /// The report has one block, `z`. Buffers to be written hold NaN before.
    ///
    /// # Errors
    /// - [`Error::NoExamples`] or [`Error::Shape`] if z is empty, [`Error::NonFiniteInput`] if it is not finite,
    ///   [`Error::NonFiniteObjective`] if g overflows there.
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
        self.compare(&blocks, z.as_slice(), j, delta.as_slice(), |z| {
            Ok(inner(&r, forward(z).as_slice()))
        })
    }

    /// Checks the derivatives of one cost at the outputs a = g(z) and the targets y, all K × m.
    ///
    /// The report has a block `∂cost/∂a`. If cost and activation are a canonical pair, it has a block `∂cost/∂z` for the cost's own
    /// way from z, and `∂cost/∂a` only if no output is within a step of the edge of the cost's domain.
    ///
    /// # Errors
    /// - [`Error::NoExamples`], [`Error::Shape`] or [`Error::NonFiniteInput`] if z and y are not two finite matrices of equal shape.
    /// - [`Error::Target`] if a target is outside the domain of the cost, [`Error::Output`] if an output is, or is within a step
    ///   of its edge.
    /// - [`Error::NonFiniteObjective`] if the cost overflows, [`Error::Hyperparameter`] for a bad step, tolerance or constant.
    pub fn cost<'a, T: Scalar, C: Cost<T> + ?Sized, A: Activation<T> + ?Sized>(
        &self,
        cost: &C,
        activation: &A,
        z: impl Columns<'a, T>,
        y: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let (z, y) = (z.columns_view(), y.columns_view());
        let (rows, cols) = z.shape();
        let (step, ..) = self.settings::<T>()?;
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
        let z = z.clone_owned();
        let mut a = DMatrix::repeat(rows, cols, nan());
        activation.forward(z.as_view(), a.as_view_mut());
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
        let mut report = Report::new(f64::NAN, f64::NAN);
        if room.is_ok() {
            let (j, delta) = of_a(a.as_slice());
            let blocks = [block("∂cost/∂a", rows, 0, rows * cols)];
            report = self.compare(
                &blocks,
                a.as_slice(),
                j,
                delta.as_slice(),
                |a| Ok(of_a(a).0),
            )?;
        }
        if linked {
            let (j, delta) = of_z(z.as_slice());
            let blocks = [block("∂cost/∂z", rows, 0, rows * cols)];
            let found =
                self.compare(
                    &blocks,
                    z.as_slice(),
                    j,
                    delta.as_slice(),
                    |z| Ok(of_z(z).0),
                )?;
            (report.cost, report.step) = (found.cost, found.step);
            report.blocks.extend(found.blocks);
        }
        Ok(report)
    }

    /// Checks one layer at parameters θ (its blocks one after the other) and inputs x (inputs × m): the derivatives
    /// of f(θ, x) = Σ r ∘ output for fixed random r.
    ///
    /// The report has one block for each of the layer's, and one for `input`. For a layer with a
    /// [`link`](Layer::link) all appear again as `… (linked)`, for f = Σ r ∘ z. Buffers to be written hold NaN before.
    ///
    /// # Errors
    /// - [`Error::ZeroUnits`], [`Error::PenalisedColumns`], [`Error::TooLarge`], … if the layer could not stand in a network.
    /// - [`Error::Length`], [`Error::Shape`], [`Error::NoExamples`] or [`Error::NonFiniteInput`] if θ or x do not fit it.
    /// - [`Error::NonFiniteObjective`] if the output overflows, [`Error::Hyperparameter`] for a bad step or tolerance.
    pub fn layer<'a, T: Scalar, L: Layer<T>>(
        &self,
        layer: &L,
        theta: &[T],
        x: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let x = x.columns_view();
        let layout = Layout::new(layer.inputs(), std::slice::from_ref(layer))?;
        check_length("θ", layout.parameters(), theta.len())?;
        check_finite("θ", DMatrixView::from_slice(theta, theta.len(), 1))?;
        check_rows("X", x, layout.inputs())?;
        if x.ncols() == 0 {
            return Err(Error::NoExamples);
        }
        check_finite("X", x)?;
        let mut report = self.layer_path(layer, &layout, theta, x, false)?;
        if layer.link().is_some() {
            let linked = self.layer_path(layer, &layout, theta, x, true)?;
            report.blocks.extend(linked.blocks);
        }
        Ok(report)
    }

    fn layer_path<T: Scalar, L: Layer<T>>(
        &self,
        layer: &L,
        layout: &Layout,
        theta: &[T],
        x: DMatrixView<'_, T>,
        linked: bool,
    ) -> Result<Report, Error> {
        let (n, s, m, p) = (layout.inputs(), layout.outputs(), x.ncols(), theta.len());
        // Tried once with an error in place of an abort, as the pass of a network is; then the sizes are known to be sound.
        let (cache_len, scratch_len) = (layer.cache_len(m), layer.scratch_len(m));
        drop(allocate::<T>("a layer's output", (s, m), nan())?);
        drop(allocate::<T>("a layer's cache", (cache_len, 1), nan())?);
        drop(allocate::<T>("the scratch", (scratch_len, 1), nan())?);
        let r = cotangent(s, m, self.seed);
        let forward = |point: &[T]| {
            let (theta, x) = point.split_at(p);
            let mut output = DMatrix::repeat(s, m, nan());
            let mut cache = vec![nan(); cache_len];
            let input = DMatrixView::from_slice(x, n, m);
            let mut pass = Forward::new(theta, input, output.as_view_mut(), &mut cache);
            let mut scratch = vec![nan(); scratch_len];
            pass.scratch = &mut scratch;
            layer.forward(pass);
            (output, cache)
        };
        let value = |point: &[T]| {
            let (output, cache) = forward(point);
            let of = if linked {
                cache.get(..s * m)
            } else {
                Some(output.as_slice())
            };
            of.map_or(nan(), |of| inner(&r, of))
        };
        let mut point = theta.to_vec();
        point.extend(x.iter().copied());
        let (output, cache) = forward(&point);
        let mut gradient = vec![nan(); p + n * m];
        let (of_theta, of_x) = gradient.split_at_mut(p);
        let mut delta = r.clone();
        let input = DMatrixView::from_slice(&point[p..], n, m);
        let mut pass = Backward::new(
            &point[..p],
            input,
            output.as_view(),
            &cache,
            delta.as_view_mut(),
        );
        let mut scratch = vec![nan(); scratch_len];
        pass.scratch = &mut scratch;
        pass.linked = linked;
        pass.gradient = Some(of_theta);
        pass.input_delta = Some(DMatrixViewMut::from_slice(of_x, n, m));
        layer.backward(pass);
        let suffix = if linked { " (linked)" } else { "" };
        let parameters = layout.blocks().iter().map(|place| {
            let label = format!("{}{suffix}", place.block().name);
            block(
                &label,
                place.block().rows,
                place.range().start,
                place.range().len(),
            )
        });
        let mut blocks: Vec<Named> = parameters.collect();
        blocks.push(block(&format!("input{suffix}"), n, p, n * m));
        self.compare(&blocks, &point, value(&point), &gradient, |point| {
            Ok(value(point))
        })
    }
}

/// Whether there is anything to check.
fn check_not_empty<T: Scalar>(what: &'static str, z: DMatrixView<'_, T>) -> Result<(), Error> {
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

fn block(label: &str, rows: usize, start: usize, len: usize) -> Named {
    Named {
        label: label.to_owned(),
        rows,
        start,
        len,
    }
}

/// Random entries between ½ and 3/2 in size, of both signs.
fn cotangent<T: Scalar>(rows: usize, cols: usize, seed: u64) -> DMatrix<T> {
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
