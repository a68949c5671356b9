//! Penalties on the parameters, in J and D alike.

use crate::error::Error;
use crate::kernels::sum_of_squares;
use crate::layout::Layout;
use crate::scalar::{Scalar, real};

/// The penalty on the parameters: the course's L2, λ/(2m) Σ Θ², over all entries but the bias columns.
///
/// Which entries are penalised each layer's [`Block`](crate::layer::Block) says; for dense layers all but column 0.
/// The division by m (the sum of the example weights) is made with that of the data, when a pass is finished.
///
/// # Example
/// ```
/// use backprop::Penalty;
///
/// assert_eq!(Penalty::l2(3.0).lambda(), 3.0);
/// assert_eq!(Penalty::none(), Penalty::l2(0.0));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct Penalty {
    lambda: f64,
}

impl Penalty {
    /// No penalty.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// λ/(2m) Σ Θ²: λ/m · Θ in D. λ is finite and at least 0, which is checked where the penalty is used.
    #[must_use]
    pub fn l2(lambda: f64) -> Self {
        Self { lambda }
    }

    /// λ.
    #[must_use]
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.lambda >= 0.0 && self.lambda.is_finite() {
            return Ok(());
        }
        Err(Error::Hyperparameter {
            name: "λ",
            value: self.lambda,
            expected: "a finite number of at least 0",
        })
    }

    /// λ/2 Σ Θ² over the penalised entries, undivided; adds λΘ to `gradient` if there is one.
    pub(crate) fn apply<T: Scalar>(
        &self,
        layout: &Layout,
        theta: &[T],
        mut gradient: Option<&mut [T]>,
    ) -> T {
        if self.lambda == 0.0 {
            return T::zero();
        }
        let lambda: T = real(self.lambda);
        let mut squares = T::zero();
        for place in layout.blocks() {
            let theta = &theta[place.penalised()];
            squares += sum_of_squares(theta);
            if let Some(gradient) = &mut gradient {
                let entries = gradient[place.penalised()].iter_mut();
                entries.zip(theta).for_each(|(g, &t)| *g += lambda * t);
            }
        }
        lambda * squares * real(0.5)
    }
}
