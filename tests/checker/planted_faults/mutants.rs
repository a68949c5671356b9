//! Wrappers of the built-in layer, activations and costs, each with one fault.

use super::{data, planted, with_output};
use backprop::activation::{Activation, AnyActivation, Sigmoid};
use backprop::cost::{AnyCost, BinaryCrossEntropy, Cost, Link, Outputs, Violation};
use backprop::layer::{Backward, Forward, Layer, LayerGradient, Plan, Site};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut, convert};
use backprop::{Dense, Error, Examples, Objective, Scalar};
use std::mem;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    None,
    /// The layer multiplies by m, so the network does not take the mean.
    NotAveraged,
    /// The layer divides by m, and the network does so again.
    AveragedTwice,
    /// Writes the entries of the block in row-major order.
    Transposed,
    WrongSign,
    Factor(f64),
    /// Twice the correct value in one column.
    Column(usize),
    /// Adds instead of overwriting: correct only if the buffer holds zeros.
    AddsToOld,
    /// Writes nothing.
    KeepsOld,
    /// Does not write zeros: correct only if the buffer holds zeros.
    SkipsZeros,
    /// Leaves out the bias column of Δ.
    NoBias,
    ErrorWrongSign,
    ErrorFactor(f64),
    ErrorAddsToOld,
    ErrorKeepsOld,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Faulty {
    pub(super) inner: Dense,
    pub(super) fault: Fault,
}

impl<T: Scalar> Layer<T> for Faulty {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Layer::<T>::plan(&self.inner, site)?.default_each())
    }

    fn forward(&self, pass: Forward<'_, T>) {
        self.inner.forward(pass);
    }

    fn backward(&self, mut pass: Backward<'_, T>) {
        let m: T = convert(pass.input.ncols() as f64);
        let rows = pass.output.nrows();
        let mut below = pass.input_delta.take();
        let mut gradient = match mem::take(&mut pass.gradient) {
            LayerGradient::Sum(gradient) => Some(gradient),
            _ => None,
        };
        let (mut old, mut old_below) = (vec![], None);
        if let Some(gradient) = &gradient {
            old = gradient.to_vec();
        }
        if let Some(below) = &below {
            old_below = Some(below.clone_owned());
        }
        let mut inner = pass;
        if let Some(gradient) = gradient.as_deref_mut() {
            inner.gradient = LayerGradient::Sum(gradient);
        }
        inner.input_delta = below.as_mut().map(DMatrixViewMut::as_view_mut);
        match self.fault {
            Fault::KeepsOld => inner.gradient = LayerGradient::None,
            Fault::ErrorKeepsOld => inner.input_delta = None,
            _ => {}
        }
        self.inner.backward(inner);
        if let Some(gradient) = gradient {
            self.spoil(gradient, &old, m, rows);
        }
        if let Some(mut below) = below {
            match self.fault {
                Fault::ErrorWrongSign => below.neg_mut(),
                Fault::ErrorFactor(k) => below.scale_mut(convert(k)),
                Fault::ErrorAddsToOld => below += old_below.unwrap_or_default(),
                _ => {}
            }
        }
    }
}

impl Faulty {
    fn spoil<T: Scalar>(&self, gradient: &mut [T], old: &[T], m: T, rows: usize) {
        match self.fault {
            Fault::NotAveraged => gradient.iter_mut().for_each(|g| *g *= m),
            Fault::AveragedTwice => gradient.iter_mut().for_each(|g| *g /= m),
            Fault::Transposed => {
                let right = DMatrix::from_column_slice(rows, gradient.len() / rows, gradient);
                gradient.copy_from_slice(right.transpose().as_slice());
            }
            Fault::WrongSign => gradient.iter_mut().for_each(|g| *g = -*g),
            Fault::Factor(k) => gradient.iter_mut().for_each(|g| *g *= convert(k)),
            Fault::Column(j) => {
                let column = gradient[j * rows..][..rows].iter_mut();
                column.for_each(|g| *g += *g);
            }
            Fault::AddsToOld => gradient.iter_mut().zip(old).for_each(|(g, &old)| *g += old),
            Fault::SkipsZeros => {
                let zeros = gradient
                    .iter_mut()
                    .zip(old)
                    .filter(|(g, _)| **g == T::zero());
                zeros.for_each(|(g, &old)| *g = old);
            }
            Fault::NoBias => gradient[..rows].fill(T::zero()),
            _ => {}
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ActivationFault {
    None,
    /// `backward` does nothing.
    NoDerivative,
    /// Uses g′(a) instead of g′(z).
    OfTheOutput,
    /// Uses |g′| instead of g′.
    Absolute,
    /// `forward` writes no zeros.
    SkipsZeros,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FaultyActivation {
    pub(super) inner: AnyActivation,
    pub(super) fault: ActivationFault,
}

impl<T: Scalar> Activation<T> for FaultyActivation {
    fn forward(&self, z: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
        match self.fault {
            ActivationFault::SkipsZeros => {
                let mut right = z.clone_owned();
                self.inner.forward(z, right.as_view_mut());
                a.zip_apply(&right, |a, right| {
                    if right != T::zero() {
                        *a = right;
                    }
                });
            }
            _ => self.inner.forward(z, a),
        }
    }

    fn backward(
        &self,
        z: DMatrixView<'_, T>,
        a: DMatrixView<'_, T>,
        mut delta: DMatrixViewMut<'_, T>,
    ) {
        let mut slopes = DMatrix::repeat(z.nrows(), z.ncols(), T::one());
        match self.fault {
            ActivationFault::None | ActivationFault::SkipsZeros => {
                return self.inner.backward(z, a, delta);
            }
            ActivationFault::NoDerivative => return,
            ActivationFault::OfTheOutput => {
                let mut twice = a.clone_owned();
                self.inner.forward(a, twice.as_view_mut());
                self.inner
                    .backward(a, twice.as_view(), slopes.as_view_mut());
            }
            ActivationFault::Absolute => {
                self.inner.backward(z, a, slopes.as_view_mut());
                slopes.apply(|s| *s = s.abs());
            }
        }
        delta.component_mul_assign(&slopes);
    }

    fn link(&self) -> Option<Link> {
        Activation::<T>::link(&self.inner)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CostFault {
    None,
    Factor(f64),
    WrongSign,
    /// Requests z after a sigmoid, and returns a − y.
    PretendsToBeCanonical,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FaultyCost {
    pub(super) inner: AnyCost,
    pub(super) fault: CostFault,
}

impl<T: Scalar> Cost<T> for FaultyCost {
    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
        self.inner.values(at, values);
    }

    fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        self.inner.delta(at, delta.as_view_mut());
        match self.fault {
            CostFault::Factor(k) => delta.scale_mut(convert(k)),
            CostFault::WrongSign => delta.neg_mut(),
            _ => {}
        }
    }

    fn link(&self) -> Option<Link> {
        match self.fault {
            CostFault::PretendsToBeCanonical => Some(Link::Logit),
            _ => Cost::<T>::link(&self.inner),
        }
    }

    fn target_domain(&self) -> (f64, f64) {
        Cost::<T>::target_domain(&self.inner)
    }

    fn check_outputs(&self, a: DMatrixView<'_, T>, y: DMatrixView<'_, T>) -> Result<(), Violation> {
        self.inner.check_outputs(a, y)
    }
}

/// Without a fault, the mutants compute what the built-in types do, up to the order of sums.
#[test]
fn mutants_without_a_fault_compute_what_ours_do() {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let ours = with_output(Sigmoid);
    let theirs = planted(Fault::None, 1);
    assert_eq!(ours.theta(), theirs.theta());
    let cost = FaultyCost {
        inner: BinaryCrossEntropy,
        fault: CostFault::None,
    };
    let expected = ours.backprop(&examples, &Objective::new(BinaryCrossEntropy));
    let found = theirs.backprop(&examples, &Objective::new(cost));
    let (found, expected) = (found.unwrap(), expected.unwrap());
    let (found, expected) = (found.gradient().vector(), expected.gradient().vector());
    assert!((found - expected).amax() <= 1e-15 * expected.amax());
}

fn links_of<T: Scalar>(g: &impl Activation<T>, c: &impl Cost<T>) -> bool {
    g.link() == c.link()
}

/// A fault must not switch off the canonical path.
#[test]
fn mutants_keep_their_links() {
    let g = FaultyActivation {
        inner: Sigmoid,
        fault: ActivationFault::NoDerivative,
    };
    let cost = FaultyCost {
        inner: AnyCost::BinaryCrossEntropy,
        fault: CostFault::WrongSign,
    };
    assert!(links_of::<f64>(&g, &cost));
}
