//! The checks of a single cost.

use super::activation::{check_arguments, forward};
use super::line::{CheckedBlock, direction, moved};
use super::vector_function::Asked;
use super::{GradientCheck, Report, nan};
use crate::activation::Activation;
use crate::columns::Columns;
use crate::cost::{Cost, Outputs};
use crate::error::Error;
use crate::examples::Examples;
use crate::kernels;
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};

/// The point at which a cost is checked.
struct Point<T> {
    z: DMatrix<T>,
    /// a = g(z).
    a: DMatrix<T>,
    /// Whether cost and activation are a canonical pair. Then the cost is checked at z.
    at_z: bool,
    /// Whether a is more than a step inside the domain. Then the cost is checked at a.
    at_a: bool,
}

impl GradientCheck {
    /// Checks the derivatives of one cost at the outputs a = g(z) and the targets y, all K × m.
    ///
    /// Compares [`delta`](Cost::delta) with differences of Σ cost over the examples. The report has
    /// a block `∂cost/∂a`. For a canonical pair of cost and activation it also has a block
    /// `∂cost/∂z`, for the cost's own formula from z. It then leaves out `∂cost/∂a` if an output is
    /// within a step of the edge of the cost's domain.
    ///
    /// # Errors
    /// - [`Error::NoExamples`], [`Error::Shape`] or [`Error::NonFinite`] unless z and y are
    ///   finite, not empty and of equal shape.
    /// - [`Error::Target`] if a target is outside the domain of the cost.
    /// - [`Error::Output`] if an output is outside the domain, or within a step of its edge.
    /// - [`Error::NonFinite`] if the cost overflows.
    /// - [`Error::Hyperparameter`] for an invalid step, tolerance or constant.
    ///
    /// # Example
    /// The cross-entropies of ½ against 1 and of −1 against 0, as logits, are ln(1 + e^−½) and
    /// ln(1 + e⁻¹). Their sum is 0.787339:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{BinaryCrossEntropy, GradientCheck, activation::Sigmoid};
    ///
    /// let z = DMatrix::from_row_slice(1, 2, &[0.5, -1.0]);
    /// let y = DMatrix::from_row_slice(1, 2, &[1.0, 0.0]);
    /// let report = GradientCheck::new().cost(&BinaryCrossEntropy, &Sigmoid, &z, &y)?;
    /// report.assert_passed();
    /// assert!((report.cost - 0.787339_f64).abs() < 1e-6);
    /// let rows: Vec<&str> = report.blocks.iter().map(|b| b.label.as_str()).collect();
    /// assert_eq!(rows, ["∂cost/∂a", "∂cost/∂z"]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn cost<'a, T: Scalar, C: Cost<T> + ?Sized, A: Activation<T> + ?Sized>(
        &self,
        cost: &C,
        activation: &A,
        z: impl Columns<'a, T>,
        y: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let y = y.columns_view();
        let point = self.cost_point(cost, activation, z.columns_view(), y)?;
        let (rows, cols) = point.z.shape();
        let evaluate = |at: &Outputs<'_, T>, gradient: Option<&mut [T]>| {
            let mut values = vec![nan(); cols];
            cost.values(at, &mut values);
            if let Some(gradient) = gradient {
                gradient.fill(nan());
                cost.delta(at, DMatrixViewMut::from_slice(gradient, rows, cols));
            }
            Ok(kernels::sum(&values))
        };
        let block = |label| [CheckedBlock::new(label, rows, 0, rows * cols)];
        let mut report = Report::new(&self.settings::<T>()?);
        if point.at_a {
            let pass = |a: &[T], gradient: Option<&mut [T]>| {
                let a = DMatrixView::from_slice(a, rows, cols);
                evaluate(&Outputs::new(None, a, y), gradient)
            };
            let (blocks, a) = (block("∂cost/∂a"), point.a.as_slice());
            report.cost = self.compare_gradient(&mut report, &blocks, a, 0.0, pass)?;
        }
        if point.at_z {
            let pass = |z: &[T], gradient: Option<&mut [T]>| {
                let z = DMatrixView::from_slice(z, rows, cols);
                let a = forward(activation, z);
                evaluate(&Outputs::new(Some(z), a.as_view(), y), gradient)
            };
            let (blocks, z) = (block("∂cost/∂z"), point.z.as_slice());
            report.cost = self.compare_gradient(&mut report, &blocks, z, 0.0, pass)?;
        }
        Ok(report)
    }

    /// Checks [`delta_tangent`](Cost::delta_tangent) of one cost at a = g(z) and the targets y, all
    /// K × m.
    ///
    /// Compares it with differences of [`delta`](Cost::delta) along random ȧ and ż. The report has
    /// a row `∂²cost/∂a² ȧ`. For a canonical pair of cost and activation it also has a row
    /// `∂²cost/∂z² ż`, for the cost's own formula from z. It then leaves out `∂²cost/∂a² ȧ` if an
    /// output is within a step of the edge of the cost's domain.
    ///
    /// # Errors
    /// - The errors of [`cost`](Self::cost).
    /// - [`Error::Unsupported`] if the cost has no tangent.
    ///
    /// # Example
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{BinaryCrossEntropy, GradientCheck, activation::Sigmoid};
    ///
    /// let z = DMatrix::from_row_slice(1, 2, &[0.5, -1.0]);
    /// let y = DMatrix::from_row_slice(1, 2, &[1.0, 0.0]);
    /// let report = GradientCheck::new().cost_tangent(&BinaryCrossEntropy, &Sigmoid, &z, &y)?;
    /// report.assert_passed();
    /// let rows: Vec<&str> = report.blocks.iter().map(|b| b.label.as_str()).collect();
    /// assert_eq!(rows, ["∂²cost/∂a² ȧ", "∂²cost/∂z² ż"]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn cost_tangent<'a, T: Scalar, C: Cost<T> + ?Sized, A: Activation<T> + ?Sized>(
        &self,
        cost: &C,
        activation: &A,
        z: impl Columns<'a, T>,
        y: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let y = y.columns_view();
        let point = self.cost_point(cost, activation, z.columns_view(), y)?;
        let (rows, cols) = point.z.shape();
        let mut report = Report::new(&self.settings::<T>()?);
        let mut compare = |label, place: &DMatrix<T>, at_z: bool| {
            let dot = direction(place.as_slice(), self.seed);
            let at = |asked, t: T| {
                let entries = moved(place.as_slice(), Some(&dot), t);
                let place = DMatrix::from_vec(rows, cols, entries);
                let a = at_z.then(|| forward(activation, place.as_view()));
                let outputs = match &a {
                    Some(a) => Outputs::new(Some(place.as_view()), a.as_view(), y),
                    None => Outputs::new(None, place.as_view(), y),
                };
                let mut found = DMatrix::repeat(rows, cols, nan());
                let dot = DMatrixView::from_slice(&dot, rows, cols);
                match asked {
                    Asked::Values => cost.delta(&outputs, found.as_view_mut()),
                    Asked::Derivative => cost.delta_tangent(&outputs, dot, found.as_view_mut())?,
                }
                Ok(found.as_slice().to_vec())
            };
            let found = at(Asked::Derivative, T::zero())?;
            let blocks = [CheckedBlock::new(label, rows, 0, rows * cols)];
            self.compare_tangent(&mut report, &blocks, &found, 0.0, at)
        };
        if point.at_a {
            compare("∂²cost/∂a² ȧ", &point.a, false)?;
        }
        if point.at_z {
            compare("∂²cost/∂z² ż", &point.z, true)?;
        }
        Ok(report)
    }

    /// Checks the arguments, and determines whether the cost can be checked at z, at a or at both.
    fn cost_point<T: Scalar, C: Cost<T> + ?Sized, A: Activation<T> + ?Sized>(
        &self,
        cost: &C,
        activation: &A,
        z: DMatrixView<'_, T>,
        y: DMatrixView<'_, T>,
    ) -> Result<Point<T>, Error> {
        let step = self.settings::<T>()?.step;
        let rows = z.nrows();
        let z = check_arguments(activation, z)?;
        if y.shape() != z.shape() {
            return Err(Error::Shape {
                what: "Y",
                expected: z.shape(),
                found: y.shape(),
            });
        }
        cost.validate()?;
        Examples::new(&z, y)?.check(rows, rows, cost)?;
        let a = forward(activation, z.as_view());
        let at_z = cost.link().is_some() && cost.link() == activation.link();
        // Differences in a need room on both sides. A canonical pair does not: it is checked at z,
        // even where a has rounded to the edge.
        let step: T = real(2.0 * step);
        let room = [T::zero(), -step, step].into_iter().try_for_each(|step| {
            let moved = a.map(|a| a + step * a.abs().max(T::one()));
            cost.check_outputs(moved.as_view(), y)
        });
        if let (Err(found), false) = (room, at_z) {
            let at = (found.unit, found.example);
            return Err(Error::Output {
                layer: 0.into(),
                unit: found.unit,
                example: found.example,
                value: a.get(at).map_or(f64::NAN, |&a| to_f64(a)),
                expected: found.expected,
            });
        }
        Ok(Point {
            z,
            a,
            at_z,
            at_a: room.is_ok(),
        })
    }
}
