//! The shape of one example.

use std::fmt;

/// The shape of one example: its axes, in the order in which their entries lie in a column of X.
///
/// The last axis runs fastest (C order, as in NumPy and PyTorch). A column of a sequence holds its
/// first step, then the second; a column of an image holds the rows of its first channel, then
/// those of the second. [`Dense`](crate::Dense) and [`Softmax`](crate::activation::Softmax) act on
/// the last axis.
///
/// With the feature `serde`, a shape is a number of units, or a map such as
/// `{"sequence":{"steps":12,"features":3}}`.
///
/// # Example
/// ```
/// use backprop::Shape;
///
/// let sequence = Shape::Sequence { steps: 12, features: 3 };
/// assert_eq!((sequence.len(), sequence.last_axis()), (36, 3));
/// assert_eq!(sequence.to_string(), "12 steps × 3 features");
/// assert_eq!(Shape::from(5), Shape::Units(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// Units without an order.
    Units(usize),
    /// Steps in time, each with the same features: `[steps, features]`.
    Sequence {
        /// The number of steps.
        steps: usize,
        /// The number of features of a step.
        features: usize,
    },
    /// Channels over one dimension: `[channels, length]`.
    Signal {
        /// The number of channels.
        channels: usize,
        /// The number of positions.
        length: usize,
    },
    /// Channels over two dimensions: `[channels, height, width]`.
    Image {
        /// The number of channels.
        channels: usize,
        /// The number of rows.
        height: usize,
        /// The number of columns.
        width: usize,
    },
}

impl Shape {
    /// Returns the number of entries, the rows of X. It is `usize::MAX` if the product overflows.
    #[must_use]
    pub fn len(self) -> usize {
        self.positions().saturating_mul(self.last_axis())
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns the size of the last axis, whose entries are adjacent.
    #[must_use]
    pub fn last_axis(self) -> usize {
        match self {
            Self::Units(units) => units,
            Self::Sequence { features, .. } => features,
            Self::Signal { length, .. } => length,
            Self::Image { width, .. } => width,
        }
    }

    /// Returns the number of entries of each unit of the last axis: 1 for plain units.
    pub(crate) fn positions(self) -> usize {
        match self {
            Self::Units(_) => 1,
            Self::Sequence { steps, .. } => steps,
            Self::Signal { channels, .. } => channels,
            Self::Image {
                channels, height, ..
            } => channels.saturating_mul(height),
        }
    }

    /// Returns the sizes of the last `axes` axes.
    #[cfg(feature = "_interchange")]
    pub(crate) fn last_sizes(self, axes: usize) -> Vec<usize> {
        let mut sizes = match self {
            Self::Units(units) => vec![units],
            Self::Sequence { steps, features } => vec![steps, features],
            Self::Signal { channels, length } => vec![channels, length],
            Self::Image {
                channels,
                height,
                width,
            } => vec![channels, height, width],
        };
        sizes.split_off(sizes.len().saturating_sub(axes))
    }

    /// Returns the number of axes.
    pub(crate) fn axes(self) -> usize {
        match self {
            Self::Units(_) => 1,
            Self::Sequence { .. } | Self::Signal { .. } => 2,
            Self::Image { .. } => 3,
        }
    }

    /// Returns the number of entries of the last `axes` axes, at least 1 and at most all.
    pub(crate) fn last_axes(self, axes: usize) -> usize {
        match (self, axes) {
            (_, 0 | 1) => self.last_axis(),
            (Self::Image { height, width, .. }, 2) => height.saturating_mul(width),
            _ => self.len(),
        }
    }

    /// Returns the size of the first axis.
    #[must_use]
    pub fn first_axis(self) -> usize {
        match self {
            Self::Units(units) => units,
            Self::Sequence { steps, .. } => steps,
            Self::Signal { channels, .. } | Self::Image { channels, .. } => channels,
        }
    }

    /// Returns the shape with another size of the first axis.
    #[must_use]
    pub fn with_first_axis(self, size: usize) -> Self {
        match self {
            Self::Units(_) => Self::Units(size),
            Self::Sequence { features, .. } => Self::Sequence {
                steps: size,
                features,
            },
            Self::Signal { length, .. } => Self::Signal {
                channels: size,
                length,
            },
            Self::Image { height, width, .. } => Self::Image {
                channels: size,
                height,
                width,
            },
        }
    }

    /// Returns the shape with another size of the last axis.
    #[must_use]
    pub fn with_last_axis(self, size: usize) -> Self {
        match self {
            Self::Units(_) => Self::Units(size),
            Self::Sequence { steps, .. } => Self::Sequence {
                steps,
                features: size,
            },
            Self::Signal { channels, .. } => Self::Signal {
                channels,
                length: size,
            },
            Self::Image {
                channels, height, ..
            } => Self::Image {
                channels,
                height,
                width: size,
            },
        }
    }
}

impl From<usize> for Shape {
    fn from(units: usize) -> Self {
        Self::Units(units)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Units(units) => write!(f, "{units} units"),
            Self::Sequence { steps, features } => write!(f, "{steps} steps × {features} features"),
            Self::Signal { channels, length } => write!(f, "{channels} channels × {length}"),
            Self::Image {
                channels,
                height,
                width,
            } => write!(f, "{channels} channels × {height} × {width}"),
        }
    }
}

/// As a number for plain units, as a map for other shapes.
#[cfg(feature = "serde")]
mod saved {
    use super::Shape;
    use serde::de::value::MapAccessDeserializer;
    use serde::de::{Error, MapAccess, Unexpected, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::fmt::{self, Formatter};

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "Shape", rename_all = "snake_case", deny_unknown_fields)]
    enum Saved {
        Units(usize),
        Sequence {
            steps: usize,
            features: usize,
        },
        Signal {
            channels: usize,
            length: usize,
        },
        Image {
            channels: usize,
            height: usize,
            width: usize,
        },
    }

    impl Serialize for Shape {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                // A format that does not tell a number from a map needs the variant.
                Self::Units(units) if serializer.is_human_readable() => units.serialize(serializer),
                shape => Saved::serialize(shape, serializer),
            }
        }
    }

    impl<'de> Deserialize<'de> for Shape {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            if deserializer.is_human_readable() {
                deserializer.deserialize_any(NumberOrMap)
            } else {
                Saved::deserialize(deserializer)
            }
        }
    }

    struct NumberOrMap;

    impl<'de> Visitor<'de> for NumberOrMap {
        type Value = Shape;

        fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
            f.write_str("a number of units or a shape")
        }

        fn visit_u64<E: Error>(self, units: u64) -> Result<Shape, E> {
            let unexpected = |_| E::invalid_value(Unexpected::Unsigned(units), &self);
            usize::try_from(units).map(Shape::Units).map_err(unexpected)
        }

        fn visit_i64<E: Error>(self, units: i64) -> Result<Shape, E> {
            let unexpected = |_| E::invalid_value(Unexpected::Signed(units), &self);
            usize::try_from(units).map(Shape::Units).map_err(unexpected)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Shape, A::Error> {
            Saved::deserialize(MapAccessDeserializer::new(map))
        }
    }
}
