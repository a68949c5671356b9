// The first definition of a link takes precedence, so these come before the README's own, which
// lead to files.
#![doc = include_str!("../docs/rendered/pictures.md")]
//! [conventions]: crate::conventions
//! [derivation]: crate::derivation
//! [elsewhere]: crate::derivatives#your-loss-comes-from-elsewhere
//! [Examples]: crate#contents
//! [idea]: crate::derivation#1-the-idea
//! [JSON]: crate::json
//! [live]: crate::TracePage
//! [results]: crate#speed
//! [`Activation`]: crate::Activation
//! [`Cost`]: crate::Cost
//! [`GradientCheck`]: crate::GradientCheck
//! [`Layer`]: crate::Layer
//! [`Network`]: crate::Network
//! [`Trace`]: crate::Trace
//! [`data`]: crate::data
//! [`derivatives`]: crate::derivatives
//! [`metrics`]: crate::metrics
//! [`training`]: crate::training
#![cfg_attr(feature = "num-dual", doc = "[`dual`]: crate::dual")]
#![cfg_attr(not(feature = "num-dual"), doc = "[`dual`]: crate#contents")]
#![cfg_attr(feature = "serde", doc = "[`saving`]: crate::saving")]
#![cfg_attr(not(feature = "serde"), doc = "[`saving`]: crate#contents")]
#![doc = include_str!("../README.md")]
#![warn(unreachable_pub)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// Declared first, so that rustdoc, which follows the order of the modules, lists its methods first.
mod network;

pub mod activation;
mod adapters;
mod allocation;
mod approx_eq;
#[cfg(any(feature = "csv", feature = "serde", feature = "_interchange"))]
mod atomic;
mod checksum;
mod columns;
pub mod cost;
pub mod data;
pub mod derivatives;
pub mod distributed;
#[cfg(feature = "num-dual")]
pub mod dual;
mod error;
mod examples;
mod file_scalar;
mod gradient;
pub mod gradient_check;
mod initialization;
#[cfg(all(debug_assertions, not(test)))]
mod instances;
#[cfg(feature = "_interchange")]
pub mod interchange;
mod kernels;
pub mod layer;
mod layout;
mod link;
pub mod metrics;
mod number;
mod objective;
mod path;
mod point;
mod regular_file;
mod regularization;
#[cfg(feature = "serde")]
mod saved_numbers;
#[cfg(feature = "serde")]
pub mod saving;
mod scalar;
mod shape;
pub mod source;
mod trace_page;
pub mod training;
mod workspace;

#[cfg_attr(not(feature = "argmin"), doc = "[`ArgminProblem`]: crate#contents")]
#[doc = include_str!("../docs/rendered/derivation.md")]
pub mod derivation {}

/// [derivation]: crate::derivation
/// [JSON]: crate::json
/// [`AnyActivation`]: crate::AnyActivation
/// [`Network`]: crate::Network
/// [`row_major`]: crate::row_major
#[cfg_attr(feature = "_interchange", doc = "[`interchange`]: crate::interchange")]
#[cfg_attr(not(feature = "_interchange"), doc = "[`interchange`]: crate#contents")]
#[doc = include_str!("../docs/conventions.md")]
pub mod conventions {}

/// [conventions]: crate::conventions
/// [`AnyActivation`]: crate::AnyActivation
/// [`Network`]: crate::Network
#[cfg_attr(
    feature = "serde",
    doc = "[`NETWORK_SCHEMA`]: crate::saving::NETWORK_SCHEMA"
)]
#[cfg_attr(feature = "serde", doc = "[`load`]: crate::saving::load")]
#[cfg_attr(feature = "serde", doc = "[`save`]: crate::saving::save")]
#[cfg_attr(not(feature = "serde"), doc = "[`NETWORK_SCHEMA`]: crate#contents")]
#[cfg_attr(not(feature = "serde"), doc = "[`load`]: crate#contents")]
#[cfg_attr(not(feature = "serde"), doc = "[`save`]: crate#contents")]
#[doc = include_str!("../docs/json.md")]
pub mod json {}

/// [measurements]: crate#contents
/// [`FileSource`]: crate::source::FileSource
/// [`Shard`]: crate::distributed::Shard
/// [`Trainer::distributed`]: crate::training::Trainer::distributed
/// [`distributed`]: crate::distributed
#[cfg_attr(
    feature = "serde",
    doc = "[checkpoints]: crate::training::Trainer::checkpoints"
)]
#[cfg_attr(not(feature = "serde"), doc = "[checkpoints]: crate#contents")]
#[doc = include_str!("../docs/scaling.md")]
pub mod scaling {}

pub use activation::{Activation, AnyActivation};
#[cfg(feature = "argmin")]
pub use adapters::argmin::ArgminProblem;
#[cfg(feature = "argmin")]
pub use adapters::argmin_hessian::ArgminHessian;
#[cfg(feature = "plot")]
pub use adapters::pictures::plot_residuals;
pub use approx;
#[cfg(feature = "argmin")]
pub use argmin;
pub use columns::{Columns, row_major};
pub use cost::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Cost, Huber, LogCosh, Poisson,
    SquaredError, WeightedBinaryCrossEntropy,
};
pub use derivatives::{
    Curvature, ExampleGradients, GaussNewton, Pullback, Tangent, Trace, VjpTargets,
};
pub use error::{BlockEntry, BytesFault, DistributedFault, Error, Location, TableFault};
pub use examples::Examples;
pub use file_scalar::FileScalar;
pub use gradient::{Accumulator, Backprop, CostParts, Gradient, unroll};
pub use gradient_check::GradientCheck;
pub use initialization::{Initialization, rng};
pub use layer::{AnyLayer, Dense, Layer};
pub use layout::{BlockLayout, Layout};
pub use nalgebra;
pub use network::{Branches, Builder, Network, ParameterBlock, StateVector};
#[cfg(feature = "num-dual")]
pub use num_dual;
pub use objective::Objective;
pub use path::Path;
pub use rand_xoshiro;
pub use regularization::{Penalty, Strength};
pub use scalar::Scalar;
pub use shape::Shape;
pub use trace_page::TracePage;
pub use workspace::Workspace;
