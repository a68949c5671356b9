//! The parameter matrices of a layer.

use std::borrow::Cow;

/// How the entries of a [`Block`] start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum BlockStart {
    /// As the initialiser says; biases at 0.
    #[default]
    Initializer,
    /// At this value, whatever the initialiser: γ of a norm starts at 1.
    Constant(f64),
    /// Normal with this standard deviation, instead of a scale that depends on the size of the
    /// layer. For tables, whose entries are not summed. `Constant`, `Uniform`, `Normal` and
    /// `TruncatedNormal` initialisers apply unchanged.
    Normal(f64),
}

/// One matrix of a layer's parameters: rows × cols, column-major in the flat θ.
///
/// # Example
/// Θ⁽¹⁾ of a dense layer with 25 units and 400 inputs. Column 0 is the bias, which is not
/// penalised:
/// ```
/// use backprop::layer::Block;
///
/// let block = Block::new("Θ", 25, 401).penalised_from_column(1);
/// assert_eq!(block.len(), Some(10_025));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Block {
    /// The symbol in tables and reports, which add the number of the layer.
    pub name: Cow<'static, str>,
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub cols: usize,
    /// The columns before this one are biases. They are exempt from penalties and decay, and start
    /// at 0 unless [`start`](Self::start) is a constant.
    pub penalised_from_column: usize,
    /// How the entries start.
    pub start: BlockStart,
}

impl Block {
    /// Creates a block without biases: all columns are penalised.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, rows: usize, cols: usize) -> Self {
        Self {
            name: name.into(),
            rows,
            cols,
            penalised_from_column: 0,
            start: BlockStart::Initializer,
        }
    }

    /// Creates a block that is exempt from penalties and starts at a value, as γ = 1 of a norm
    /// does.
    ///
    /// # Example
    /// ```
    /// use backprop::layer::Block;
    ///
    /// let gamma = Block::constant("γ", 25, 1, 1.0);
    /// assert_eq!(gamma.penalised_from_column, 1);
    /// ```
    #[must_use]
    pub fn constant(
        name: impl Into<Cow<'static, str>>,
        rows: usize,
        cols: usize,
        start: f64,
    ) -> Self {
        Self {
            start: BlockStart::Constant(start),
            ..Self::new(name, rows, cols).penalised_from_column(cols)
        }
    }

    /// Sets how the entries start.
    #[must_use]
    pub fn starts(mut self, start: BlockStart) -> Self {
        self.start = start;
        self
    }

    /// Exempts the first `column` columns from penalties.
    #[must_use]
    pub fn penalised_from_column(mut self, column: usize) -> Self {
        self.penalised_from_column = column;
        self
    }

    /// Returns rows · cols, or `None` if that overflows.
    #[must_use]
    pub fn len(&self) -> Option<usize> {
        self.rows.checked_mul(self.cols)
    }

    /// Returns whether the block has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0 || self.cols == 0
    }
}
