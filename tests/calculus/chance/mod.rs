//! Layers of chance: what they draw, and that every pass of a step sees the same draw.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "as in the tests that call these functions"
)]

mod derivatives;
mod draws;
mod expectations;
mod faults;
mod noise;

use crate::support::{self, dot, largest, wave, wave_matrix};
use backprop::layer::{
    AnyLayer, At, Backward, BackwardTangent, Dropout, Forward, ForwardTangent, Layer, Plan, Site,
};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut, convert};
use backprop::{Error, Network, Scalar, Workspace};

/// What a test found wrong.
type Outcome = Result<(), String>;

/// A dropout layer with a fault, or without.
#[derive(Clone, Debug, PartialEq)]
struct Planted {
    p: f64,
    fault: Fault,
}

/// Faults that have been found in real libraries, or that are easy to make.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// The built-in layer itself.
    None,
    /// The layer of the other faults, without one.
    Unplanted,
    /// The backward pass draws another mask.
    RedrawnBackward,
    /// Directions go through another mask.
    RedrawnTangent,
    /// Kept entries are multiplied by 1/p, not by 1/(1 − p).
    ScaledByP,
    /// Kept entries are not scaled.
    NotScaled,
    /// Each part of a batch has the masks of the first.
    FirstExampleForgotten,
    /// All layers and steps draw the same mask.
    OneSeed,
    /// Entries are dropped outside training too.
    AlwaysTraining,
}

type Any = AnyLayer<Planted>;
type Net<T = f64> = Network<T, Any>;

impl Planted {
    fn inner(&self) -> Dropout {
        Dropout::new(self.p)
    }

    fn at<T: Scalar>(&self, at: &mut At<'_, T>) {
        match self.fault {
            Fault::FirstExampleForgotten => at.first_example = 0,
            Fault::OneSeed => at.seed = 5,
            Fault::AlwaysTraining => at.training = true,
            _ => {}
        }
    }

    fn scale<T: Scalar>(&self, at: &At<'_, T>, mut a: DMatrixViewMut<'_, T>) {
        let factor = match self.fault {
            _ if !at.training => return,
            Fault::ScaledByP => (1.0 - self.p) / self.p,
            Fault::NotScaled => 1.0 - self.p,
            _ => return,
        };
        a.iter_mut().for_each(|a| *a *= convert::<f64, T>(factor));
    }
}

impl<T: Scalar> Layer<T> for Planted {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Layer::<T>::plan(&self.inner(), site)
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        self.at(&mut pass.at);
        let (at, m) = (pass.at, pass.input.ncols());
        let mut output = DMatrix::repeat(at.plan.outputs(), m, T::zero());
        let own = Forward::new(at, pass.input, output.as_view_mut(), pass.kept);
        self.inner().forward(own);
        self.scale(&at, output.as_view_mut());
        pass.output.copy_from(&output);
    }

    fn backward(&self, mut pass: Backward<'_, T>) {
        self.at(&mut pass.at);
        if self.fault == Fault::RedrawnBackward {
            pass.at.seed ^= 1;
        }
        let at = pass.at;
        self.scale(&at, pass.delta.as_view_mut());
        self.inner().backward(pass);
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.backward(pass);
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        self.at(&mut pass.at);
        if self.fault == Fault::RedrawnTangent {
            pass.at.seed ^= 1;
        }
        self.inner().forward_tangent(pass)
    }

    fn backward_tangent(&self, mut along: BackwardTangent<'_, T>) -> Result<(), Error> {
        self.at(&mut along.pass.at);
        self.inner().backward_tangent(along)
    }
}

/// Returns the built-in layer, or one with a fault.
fn dropout(p: f64, fault: Fault) -> Any {
    match fault {
        Fault::None => Dropout::new(p).into(),
        fault => AnyLayer::Custom(Planted { p, fault }),
    }
}

/// Returns the output of a layer in a training pass over examples from `first` on.
fn drawn<T: Scalar>(
    layer: &dyn Layer<T>,
    (seed, first): (u64, usize),
    x: DMatrixView<'_, T>,
) -> DMatrix<T> {
    let plan = layer.plan(Site::new(x.nrows()).hidden()).unwrap();
    let mut at = At::new(&plan, &[]);
    (at.training, at.seed, at.first_example) = (true, seed, first);
    let mut output = DMatrix::repeat(plan.outputs(), x.ncols(), convert(f64::NAN));
    layer.forward(Forward::new(at, x, output.as_view_mut(), &mut []));
    output
}

/// Returns which of n · m entries are kept, as numbers 0 and 1.
fn mask(layer: &Any, (seed, first): (u64, usize), (n, m): (usize, usize)) -> DMatrix<f64> {
    let ones = DMatrix::repeat(n, m, 1.0);
    let kept = drawn(layer, (seed, first), ones.as_view());
    kept.map(|a| f64::from(a != 0.0))
}

fn trained<T: Scalar>(seed: u64) -> Workspace<T> {
    let mut workspace = Workspace::new();
    workspace.set_training(Some(seed));
    workspace
}

fn ensure(holds: bool, what: impl Fn() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what()) }
}

/// Compares every entry within a share of the largest, or of `size` if that is larger.
fn close(what: &str, found: &[f64], expected: &[f64], (share, size): (f64, f64)) -> Outcome {
    let bound = share * largest(expected).max(size);
    support::close(found, expected, bound).map_err(|error| format!("{what}, {error}"))
}
