//! approx's comparisons for networks, gradients and scalers, as nalgebra implements them for
//! matrices.

use crate::data::{MinMaxScaler, Standardizer};
use crate::gradient::{Backprop, CostParts, Gradient};
use crate::layer::Layer;
use crate::network::Network;
use crate::scalar::Scalar;
use approx::{AbsDiffEq, RelativeEq, UlpsEq};

/// Compares two lists entry by entry; lists of different lengths are never equal.
fn all<T>(a: &[T], b: &[T], equal: impl Fn(&T, &T) -> bool) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
}

impl<T: Scalar, L: Layer<T> + PartialEq> Network<T, L> {
    fn approximately(&self, other: &Self, equal: impl Fn(&T, &T) -> bool) -> bool {
        self.layout() == other.layout()
            && self.layers() == other.layers()
            && all(self.theta().as_slice(), other.theta().as_slice(), equal)
    }
}

impl<T: Scalar> Gradient<T> {
    fn approximately(&self, other: &Self, equal: impl Fn(&T, &T) -> bool) -> bool {
        self.layout() == other.layout()
            && all(self.vector().as_slice(), other.vector().as_slice(), equal)
    }
}

impl<T: Scalar> CostParts<T> {
    fn approximately(&self, other: &Self, equal: impl Fn(&T, &T) -> bool) -> bool {
        equal(&self.data, &other.data) && equal(&self.penalty, &other.penalty)
    }
}

impl<T: Scalar> Backprop<T> {
    fn approximately(&self, other: &Self, equal: impl Fn(&T, &T) -> bool) -> bool {
        self.cost_parts().approximately(&other.cost_parts(), &equal)
            && self.gradient().approximately(other.gradient(), equal)
    }
}

impl<T: Scalar> Standardizer<T> {
    fn approximately(&self, other: &Self, equal: impl Fn(&T, &T) -> bool) -> bool {
        all(self.means(), other.means(), &equal)
            && all(self.deviations(), other.deviations(), equal)
    }
}

impl<T: Scalar> MinMaxScaler<T> {
    fn approximately(&self, other: &Self, equal: impl Fn(&T, &T) -> bool) -> bool {
        self.interval == other.interval
            && all(self.minima(), other.minima(), &equal)
            && all(self.ranges(), other.ranges(), equal)
    }
}

/// Implements the three traits through `approximately`. They belong to approx, so a trait of this
/// crate cannot implement them for all these types. A macro implements them instead.
macro_rules! comparisons {
    ($($(#[$docs:meta])* $type:ty $(, $layer:ident)?;)*) => {$(
        $(#[$docs])*
        impl<T: Scalar $(, $layer: Layer<T> + PartialEq)?> AbsDiffEq for $type {
            type Epsilon = T;

            fn default_epsilon() -> T {
                T::default_epsilon()
            }

            fn abs_diff_eq(&self, other: &Self, epsilon: T) -> bool {
                self.approximately(other, |a, b| a.abs_diff_eq(b, epsilon))
            }
        }

        $(#[$docs])*
        impl<T: Scalar $(, $layer: Layer<T> + PartialEq)?> RelativeEq for $type {
            fn default_max_relative() -> T {
                T::default_max_relative()
            }

            fn relative_eq(&self, other: &Self, epsilon: T, max_relative: T) -> bool {
                self.approximately(other, |a, b| a.relative_eq(b, epsilon, max_relative))
            }
        }

        $(#[$docs])*
        impl<T: Scalar $(, $layer: Layer<T> + PartialEq)?> UlpsEq for $type {
            fn default_max_ulps() -> u32 {
                T::default_max_ulps()
            }

            fn ulps_eq(&self, other: &Self, epsilon: T, max_ulps: u32) -> bool {
                self.approximately(other, |a, b| a.ulps_eq(b, epsilon, max_ulps))
            }
        }
    )*};
}

comparisons! {
    /// Compares θ, entry by entry. Networks with different layers are never equal.
    Network<T, L>, L;
    /// Compares ∇J, entry by entry. Gradients of networks with different shapes are never equal.
    Gradient<T>;
    /// Compares the data term and the penalty.
    CostParts<T>;
    /// Compares both parts of J, and ∇J entry by entry. Passes of networks with different shapes
    /// are never equal.
    Backprop<T>;
    /// Compares the rounded means and the deviations of the rows. Scalers with different numbers of
    /// rows are never equal.
    Standardizer<T>;
    /// Compares the minima and the ranges of the rows. Scalers with different numbers of rows or
    /// different intervals are never equal.
    MinMaxScaler<T>;
}
