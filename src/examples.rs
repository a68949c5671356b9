//! The examples X, Y and their weights, validated once.

use crate::columns::Columns;
use crate::cost::{Cost, Present};
use crate::error::{Error, Location};
use crate::kernels::{columns, first_non_finite};
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::{DMatrix, DMatrixView};

/// Inputs X (n × m) and targets Y (K × m) of m examples, with optional weights.
///
/// n and K are the numbers of inputs and outputs of the network. The struct borrows X and Y.
/// [`new`](Self::new) checks that they have the same number of columns and only finite values. A
/// call with a network and a cost checks the numbers of rows and the range of the targets. The mean
/// cost in J is (1/Σw) Σ wₖ costₖ, with the weights wₖ (1 by default). A weight of 2 counts an
/// example twice. A weight of 0 leaves an example out of the sums, but it is still computed: its
/// outputs must be finite and in the cost's domain (where it is defined).
/// Use [`with_missing`](Self::with_missing) if some targets are unknown.
///
/// # Example
/// Two examples of one input each. The second input is NaN, so they are refused:
/// ```
/// use backprop::{Error, Examples, Location};
/// use backprop::nalgebra::DMatrix;
///
/// let x = DMatrix::from_row_slice(1, 2, &[0.5, f64::NAN]);
/// let y = DMatrix::from_row_slice(1, 2, &[0.0, 1.0]);
/// let refused = Examples::new(&x, &y);
/// let place = Location::Input { what: "X", row: 0, col: 1 };
/// assert!(matches!(refused, Err(Error::NonFinite { at, .. }) if at == place));
/// ```
#[doc(alias("Dataset", "TensorDataset"))]
#[derive(Clone, Copy, Debug)]
pub struct Examples<'a, T: Scalar> {
    pub(crate) x: DMatrixView<'a, T>,
    pub(crate) y: DMatrixView<'a, T>,
    /// Which targets are present; `None` if all are.
    pub(crate) present: Option<Present<'a>>,
    pub(crate) weights: Option<&'a [f64]>,
    /// Σw; m without weights.
    pub(crate) weight: f64,
    /// The smallest and the largest target.
    range: (f64, f64),
}

/// The parts of some examples, in buffers.
pub(crate) struct Buffers<'a, T: Scalar> {
    pub(crate) x: DMatrixView<'a, T>,
    pub(crate) y: DMatrixView<'a, T>,
    pub(crate) present: Option<Present<'a>>,
    pub(crate) weights: Option<&'a [f64]>,
}

impl<'a, T: Scalar> Examples<'a, T> {
    /// Borrows X and Y, with one example per column. Every weight is 1.
    ///
    /// Derivation: [(1)](crate::derivation#input).
    ///
    /// # Errors
    /// - [`Error::NoExamples`] if X has no columns.
    /// - [`Error::ExampleCounts`] if X and Y have different numbers of columns.
    /// - [`Error::NonFinite`] with the first entry of X, then of Y, that is NaN or infinite.
    pub fn new(x: impl Columns<'a, T>, y: impl Columns<'a, T>) -> Result<Self, Error> {
        Self::checked(x.columns_view(), y.columns_view(), None)
    }

    /// Borrows X, Y and which targets are present, all with one example per column.
    ///
    /// `present` is K × m like Y. A target whose entry is `false` is missing: it adds 0 to the cost
    /// of its example and to δ, and metrics ignore it. Its place in Y may hold any value, even NaN.
    /// The divisor m of J stays Σw over all examples. The cost decides which targets may be missing
    /// alone ([`Cost::target_group`]). With a categorical cross-entropy or a softmax, those of a
    /// head, at all its steps, are present or missing together.
    ///
    /// # Errors
    /// - The errors of [`new`](Self::new); missing targets are not checked.
    /// - [`Error::Shape`] unless `present` has the shape of Y.
    ///
    /// # Example
    /// Two outputs and two examples. The second output of the second example was not measured. With
    /// a = 0 everywhere, the squared errors are ½ (1 + 4) and ½ 9, and J = 7/2:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(2, Identity).zeros()?;
    /// let x = DMatrix::from_row_slice(1, 2, &[0.5, 1.0]);
    /// let y = DMatrix::from_row_slice(2, 2, &[1.0, 3.0, 2.0, f64::NAN]);
    /// let present = y.map(|y| !y.is_nan());
    /// let examples = Examples::with_missing(&x, &y, &present)?;
    /// assert_eq!(network.cost(&examples, &Objective::new(SquaredError))?, 3.5);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("mask", "masked", "semi_supervised", "NaN"))]
    pub fn with_missing(
        x: impl Columns<'a, T>,
        y: impl Columns<'a, T>,
        present: &'a DMatrix<bool>,
    ) -> Result<Self, Error> {
        let y = y.columns_view();
        if present.shape() != y.shape() {
            return Err(Error::Shape {
                what: "the matrix of present targets",
                expected: y.shape(),
                found: present.shape(),
            });
        }
        let present = Present::new(present.as_slice(), y.nrows());
        Self::checked(x.columns_view(), y, Some(present))
    }

    pub(crate) fn checked(
        x: DMatrixView<'a, T>,
        y: DMatrixView<'a, T>,
        present: Option<Present<'a>>,
    ) -> Result<Self, Error> {
        if x.ncols() == 0 {
            return Err(Error::NoExamples);
        }
        if y.ncols() != x.ncols() {
            return Err(Error::ExampleCounts {
                x: x.shape(),
                y: y.shape(),
            });
        }
        check_finite("X", x)?;
        let mut range = (f64::INFINITY, f64::NEG_INFINITY);
        // Without rows, the number of columns may be huge.
        let columns = if y.is_empty() { 0 } else { y.ncols() };
        for (col, column) in y.column_iter().take(columns).enumerate() {
            let is_present = present.map(|present| present.of(col));
            for (row, &y) in column.iter().enumerate() {
                if is_present.is_some_and(|present| !present[row]) {
                    continue;
                }
                let value = to_f64(y);
                if !value.is_finite() {
                    let at = Location::Input {
                        what: "Y",
                        row,
                        col,
                    };
                    return Err(Error::NonFinite { at, value });
                }
                range = (range.0.min(value), range.1.max(value));
            }
        }
        Ok(Self {
            x,
            y,
            present,
            weights: None,
            weight: x.ncols() as f64,
            range,
        })
    }

    /// Sets the example weights wₖ ≥ 0. Weights are `f64` for every T.
    ///
    /// # Errors
    /// - [`Error::Length`] unless there is one weight per example.
    /// - [`Error::Weight`] with the first weight that is negative or not finite.
    /// - [`Error::NoExamples`] if all weights are 0, and [`Error::TotalWeight`] if T cannot hold
    ///   their sum.
    #[doc(alias = "sample_weight")]
    pub fn weighted(mut self, weights: &'a [f64]) -> Result<Self, Error> {
        self.weight = check_weights::<T>(weights, self.len())?;
        self.weights = Some(weights);
        Ok(self)
    }

    /// Returns X, n × m.
    #[must_use]
    pub fn x(&self) -> DMatrixView<'a, T> {
        self.x
    }

    /// Returns Y, K × m.
    #[must_use]
    pub fn y(&self) -> DMatrixView<'a, T> {
        self.y
    }

    /// Returns which targets are present, K × m; `None` if all are.
    #[must_use]
    pub fn present(&self) -> Option<DMatrixView<'a, bool>> {
        let examples = self.len();
        self.present.map(|present| present.matrix(examples))
    }

    /// Returns the number of examples, m.
    #[must_use]
    pub fn len(&self) -> usize {
        self.x.ncols()
    }

    /// Returns `false`: there is always at least one example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns Σw, or m without weights.
    #[must_use]
    pub fn total_weight(&self) -> f64 {
        self.weight
    }

    /// Returns the examples `first..first + count`.
    pub(crate) fn part(&self, first: usize, count: usize) -> Self {
        Self {
            x: columns(self.x, first, count),
            y: columns(self.y, first, count),
            present: self.present.map(|present| present.examples(first)),
            weights: self.weights.map(|w| &w[first..first + count]),
            ..*self
        }
    }

    /// Returns the same data in other buffers.
    pub(crate) fn with<'b>(&self, buffers: Buffers<'b, T>) -> Examples<'b, T> {
        let Buffers {
            x,
            y,
            present,
            weights,
        } = buffers;
        Examples {
            x,
            y,
            present,
            weights,
            weight: self.weight,
            range: self.range,
        }
    }

    /// Returns the same examples with other weights, and the same total.
    pub(crate) fn with_weights<'b>(&self, weights: Option<&'b [f64]>) -> Examples<'b, T>
    where
        'a: 'b,
    {
        Examples { weights, ..*self }
    }

    /// Replaces the total weight with the sum of the weights of these examples. Returns `None` if T
    /// cannot divide by that sum.
    pub(crate) fn reweighted(mut self) -> Option<Self> {
        self.weight = match self.weights {
            Some(weights) => crate::kernels::sum(weights),
            None => self.len() as f64,
        };
        Some(self).filter(|examples| scalar_weight::<T>(examples.weight).is_ok())
    }

    /// Checks that X is inputs × m, Y is outputs × m, and the cost accepts all targets.
    pub(crate) fn check<C: Cost<T> + ?Sized>(
        &self,
        inputs: usize,
        outputs: usize,
        cost: &C,
    ) -> Result<(), Error> {
        check_rows("X", self.x, inputs)?;
        check_rows("Y", self.y, outputs)?;
        cost.check_count(outputs)?;
        let (low, high) = cost.target_domain();
        if self.range.0 >= low && self.range.1 <= high {
            return Ok(());
        }
        for (example, column) in self.y.column_iter().enumerate() {
            let present = self.present.map(|present| present.of(example));
            for (unit, &y) in column.iter().enumerate() {
                if present.is_some_and(|present| !present[unit]) {
                    continue;
                }
                let (value, domain) = (to_f64(y), cost.target_domain_of(unit));
                if value < domain.0 || value > domain.1 {
                    return Err(Error::Target {
                        unit,
                        example,
                        value,
                        domain,
                    });
                }
            }
        }
        Ok(())
    }
}

/// Checks that a matrix has `rows` rows.
pub(crate) fn check_rows<T: Scalar>(
    what: &'static str,
    matrix: DMatrixView<'_, T>,
    rows: usize,
) -> Result<(), Error> {
    if matrix.nrows() == rows {
        return Ok(());
    }
    Err(Error::Shape {
        what,
        expected: (rows, matrix.ncols()),
        found: matrix.shape(),
    })
}

/// Checks that all entries of a matrix are finite.
pub(crate) fn check_finite<T: Scalar>(
    what: &'static str,
    matrix: DMatrixView<'_, T>,
) -> Result<(), Error> {
    if matrix.is_empty() {
        return Ok(()); // without rows, the number of columns may be huge
    }
    for (col, column) in matrix.column_iter().enumerate() {
        if let Some(row) = first_non_finite(column.as_slice()) {
            return Err(Error::NonFinite {
                at: Location::Input { what, row, col },
                value: to_f64(column[row]),
            });
        }
    }
    Ok(())
}

/// Checks the weights of some examples, and returns their sum.
pub(crate) fn check_weights<T: Scalar>(weights: &[f64], examples: usize) -> Result<f64, Error> {
    check_length("the example weights", examples, weights.len())?;
    if let Some(example) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        return Err(Error::Weight {
            example,
            value: weights[example],
        });
    }
    let weight = crate::kernels::sum(weights);
    if weight == 0.0 {
        return Err(Error::NoExamples);
    }
    scalar_weight::<T>(weight)
}

/// Returns Σ w if it is a normal number in T too. Otherwise a mean would be 0 or lose digits.
pub(crate) fn scalar_weight<T: Scalar>(weight: f64) -> Result<f64, Error> {
    let in_t = to_f64(real::<T>(weight));
    // The smallest normal number is about 4 divided by the largest. Smaller numbers have fewer
    // digits.
    let normal = T::max_value().is_none_or(|max| in_t >= 4.0 / to_f64(max));
    // Rounding to T changes a normal number by a factor of less than 1 ± 1e-6.
    if normal && (in_t / weight - 1.0).abs() < 1e-6 {
        return Ok(weight);
    }
    Err(Error::TotalWeight { value: weight })
}

/// Checks the length of a slice.
pub(crate) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Length {
        what,
        expected,
        found,
    })
}
