//! The position of a layer in a network.

use std::fmt;

/// The position of a layer: its index, from 0, in each layer that contains it, from the outside
/// inwards.
///
/// The layers of a network are `0`, `1`, …. In a residual, `0` is the body and `1` the shortcut; in
/// a concatenation, an index is a branch. An empty path is the whole network. An index alone is a
/// path, and so is an array. In tables
/// and messages, a path is the course's number of a layer, from 1.
///
/// # Example
/// The third layer of the body of the second layer:
/// ```
/// use backprop::Path;
///
/// let path = Path::from([1, 0, 2]);
/// assert_eq!(path.to_string(), "1.0.2");
/// assert_eq!(path.label("Θ"), "Θ⁽²·¹·³⁾");
/// assert!(path.starts_with(&Path::from(1)));
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<usize>);

impl Path {
    /// Returns the indices.
    #[must_use]
    pub fn indices(&self) -> &[usize] {
        &self.0
    }

    /// Returns whether this is the layer at `outer`, or inside it.
    #[must_use]
    pub fn starts_with(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }

    /// Returns a symbol with this path as its superscript, counted from 1.
    #[must_use]
    pub fn label(&self, symbol: &str) -> String {
        const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
        let numbers = self.0.iter().map(|&index| {
            let digits = (index as u128 + 1).to_string();
            let raised = digits.bytes().map(|d| DIGITS[usize::from(d - b'0')]);
            raised.collect::<String>()
        });
        let numbers: Vec<String> = numbers.collect();
        format!("{symbol}⁽{}⁾", numbers.join("·"))
    }

    /// Returns the path of child `index` of this layer.
    pub(crate) fn child(&self, index: usize) -> Self {
        let mut path = self.0.clone();
        path.push(index);
        Self(path)
    }

    /// Returns the same path seen from outside layer `index` that contains it.
    pub(crate) fn inside(mut self, index: usize) -> Self {
        self.0.insert(0, index);
        self
    }
}

impl From<usize> for Path {
    fn from(layer: usize) -> Self {
        Self(vec![layer])
    }
}

impl<const N: usize> From<[usize; N]> for Path {
    fn from(indices: [usize; N]) -> Self {
        Self(indices.to_vec())
    }
}

impl From<&[usize]> for Path {
    fn from(indices: &[usize]) -> Self {
        Self(indices.to_vec())
    }
}

impl From<&Path> for Path {
    fn from(path: &Path) -> Self {
        path.clone()
    }
}

/// Compares with a layer of the network itself.
impl PartialEq<usize> for Path {
    fn eq(&self, layer: &usize) -> bool {
        self.0 == [*layer]
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// Prints a single index as a number.
impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [layer] => fmt::Debug::fmt(layer, f),
            indices => fmt::Debug::fmt(indices, f),
        }
    }
}

/// As a number for a layer of the network itself, as a list for others.
#[cfg(feature = "serde")]
mod saved {
    use super::Path;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Saved {
        Layer(usize),
        Indices(Vec<usize>),
    }

    impl Serialize for Path {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let saved = match self.0.as_slice() {
                [layer] => Saved::Layer(*layer),
                indices => Saved::Indices(indices.to_vec()),
            };
            saved.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Path {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(match Saved::deserialize(deserializer)? {
                Saved::Layer(layer) => Self::from(layer),
                Saved::Indices(indices) => Self(indices),
            })
        }
    }
}
