//! The link functions, by which an activation and a cost recognise that they form a canonical pair.

/// The link function of a canonical pair. The activation inverts it.
///
/// If the output activation and the cost have the same link, the cost receives z and computes
/// ∂cost/∂z itself. The term comes from generalised linear models (McCullagh, Nelder, *Generalized
/// Linear Models*, 1989).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Link {
    /// z = a: the identity with a regression cost.
    Identity,
    /// z = ln(a/(1 − a)): sigmoid with binary cross-entropy.
    Logit,
    /// zᵢ = ln aᵢ + a constant: softmax with categorical cross-entropy.
    Softmax,
    /// z = ln a: the exponential with Poisson.
    Log,
    /// The link of a custom pair, by name.
    Custom(&'static str),
}
