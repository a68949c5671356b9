//! Wrappers of the built-in layer, activations and costs, each with one fault beyond the gradient.

use backprop::activation::{Activation, AnyActivation};
use backprop::cost::{AnyCost, Cost, Link, Outputs, Violation};
use backprop::layer::{
    Backward, BackwardTangent, Couples, Forward, ForwardTangent, Layer, LayerGradient, Linked,
    Plan, Site,
};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use backprop::{Dense, Error};
use std::mem;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LayerFault {
    None,
    /// ż = Θ̇ \[1; x], without W ẋ.
    NoInputForward,
    /// Wᵀ δ̇ without Ẇᵀ δ.
    NoThetaBackward,
    /// δ̇ \[1; x]ᵀ without δ \[0; ẋ]ᵀ.
    NoInputBackward,
    /// δ \[1; ẋ]ᵀ instead of δ \[0; ẋ]ᵀ.
    BiasMoves,
    /// Takes x for the direction of an input that does not move.
    AbsentInputMoves,
    /// Twice the correct Δ, with the correct Δ̇.
    PlainGradient,
    /// Multiplies a copy of δ by (∂a/∂z)ᵀ: ∂cost/∂a stays where ∂cost/∂z is promised.
    DeltaOfA,
    /// Ignores `linked`: takes ∂cost/∂z for ∂cost/∂a.
    NotFromZ,
    /// ‖δ‖² ‖x‖², without the 1 of the bias.
    NormsWithout1,
    /// Overwrites instead of adding.
    NormsOverwrite,
    /// Gives each example the sum of all.
    SumForEach,
    /// Twice the δ of the layer below, in per-example gradients.
    BelowOfExamples,
    /// No fault: the layer declares that it couples examples.
    Couples,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tangled {
    pub(super) inner: Dense<Bent>,
    pub(super) fault: LayerFault,
}

impl Layer<f64> for Tangled {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        let plan = self.inner.plan(site)?;
        Ok(match self.fault {
            LayerFault::Couples => plan.couples(Couples::Always),
            _ => plan,
        })
    }

    fn forward(&self, pass: Forward<'_, f64>) {
        self.inner.forward(pass);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        let mut copy = pass.delta.clone_owned();
        let mut inner = pass;
        match self.fault {
            LayerFault::DeltaOfA => inner.delta = copy.as_view_mut(),
            LayerFault::NotFromZ => inner.linked = Linked::default(),
            _ => {}
        }
        self.inner.backward(inner);
    }

    fn backward_each(&self, mut pass: Backward<'_, f64>) {
        let (rows, m) = pass.delta.shape();
        let p = pass.at.plan.parameters();
        let (wanted, mut below) = (mem::take(&mut pass.gradient), pass.input_delta.take());
        // The correct gradients.
        let mut gradients = DMatrix::zeros(p, m);
        let mut own = pass.delta.clone_owned();
        let mut inner = pass;
        inner.delta = own.as_view_mut();
        inner.input_delta = below.as_mut().map(DMatrixViewMut::as_view_mut);
        inner.gradient = LayerGradient::Each {
            gradients: gradients.as_mut_slice(),
            stride: p,
        };
        self.inner.backward_each(inner);
        if let (Some(below), LayerFault::BelowOfExamples) = (&mut below, self.fault) {
            below.scale_mut(2.0);
        }
        match wanted {
            LayerGradient::Each {
                gradients: to,
                stride,
            } => {
                let sum = gradients.column_sum();
                for (to, gradient) in to.chunks_mut(stride).zip(gradients.column_iter()) {
                    to[..p].copy_from_slice(match self.fault {
                        LayerFault::SumForEach => sum.as_slice(),
                        _ => gradient.as_slice(),
                    });
                }
            }
            LayerGradient::SquaredNorms(norms) => {
                for (norm, gradient) in norms.iter_mut().zip(gradients.column_iter()) {
                    match self.fault {
                        LayerFault::NormsWithout1 => {
                            *norm += gradient.rows(rows, p - rows).norm_squared();
                        }
                        LayerFault::NormsOverwrite => *norm = gradient.norm_squared(),
                        _ => *norm += gradient.norm_squared(),
                    }
                }
            }
            LayerGradient::None | LayerGradient::Sum(_) => {}
        }
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, f64>) -> Result<(), Error> {
        match self.fault {
            LayerFault::NoInputForward => pass.input_tangent = None,
            LayerFault::AbsentInputMoves => {
                pass.input_tangent = pass.input_tangent.or(Some(pass.input));
            }
            _ => {}
        }
        self.inner.forward_tangent(pass)
    }

    fn backward_tangent(&self, mut along: BackwardTangent<'_, f64>) -> Result<(), Error> {
        let mut gradient = match mem::take(&mut along.pass.gradient) {
            LayerGradient::Sum(gradient) => Some(gradient),
            _ => None,
        };
        let mut gradient_tangent = along.gradient_tangent.take();
        let (mut delta, mut dot) = (
            along.pass.delta.clone_owned(),
            along.delta_tangent.clone_owned(),
        );
        let from = &mut along.pass;
        let mut pass = Backward::new(
            from.at,
            from.input,
            from.output,
            from.kept,
            delta.as_view_mut(),
        );
        pass.linked = from.linked;
        if let Some(gradient) = gradient.as_deref_mut() {
            pass.gradient = LayerGradient::Sum(gradient);
        }
        pass.input_delta = from.input_delta.take();
        (pass.room, pass.scratch) = (&mut *from.room, &mut *from.scratch);
        let (output, kept) = (along.output_tangent, along.kept_tangent);
        let mut inner = BackwardTangent::new(pass, output, kept, dot.as_view_mut());
        inner.theta_tangent = along.theta_tangent;
        inner.input_tangent = along.input_tangent;
        inner.gradient_tangent = gradient_tangent.as_deref_mut();
        inner.input_delta_tangent = along.input_delta_tangent.take();
        match self.fault {
            LayerFault::NoThetaBackward => inner.theta_tangent = None,
            LayerFault::NoInputBackward => inner.input_tangent = None,
            _ => {}
        }
        self.inner.backward_tangent(inner)?;
        match (self.fault, gradient, gradient_tangent) {
            (LayerFault::PlainGradient, Some(gradient), _) => {
                gradient.iter_mut().for_each(|g| *g *= 2.0);
            }
            (LayerFault::BiasMoves, _, Some(gradient)) if along.input_tangent.is_some() => {
                let bias = delta.column_sum();
                gradient
                    .iter_mut()
                    .zip(bias.iter())
                    .for_each(|(g, d)| *g += d);
            }
            _ => {}
        }
        if self.fault != LayerFault::DeltaOfA {
            along.pass.delta.copy_from(&delta);
            along.delta_tangent.copy_from(&dot);
        }
        Ok(())
    }
}

/// The same layer with the default `backward_each`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Untangled(pub(super) Tangled);

impl Layer<f64> for Untangled {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(self.0.plan(site)?.default_each())
    }

    fn forward(&self, pass: Forward<'_, f64>) {
        self.0.forward(pass);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        self.0.backward(pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, f64>) -> Result<(), Error> {
        self.0.forward_tangent(pass)
    }

    fn backward_tangent(&self, pass: BackwardTangent<'_, f64>) -> Result<(), Error> {
        self.0.backward_tangent(pass)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CurvatureFault {
    None,
    /// δ̇ ← (∂a/∂z)ᵀ δ̇, as if g were linear.
    Missing,
    WrongSign,
    /// ȧ = ½ (∂a/∂z) ż.
    HalfForward,
    /// Does not write ȧ.
    Unwritten,
    /// Leaves δ unchanged.
    PlainDelta,
    /// No tangents at all.
    NotProvided,
}

/// A built-in activation with a fault in its tangents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bent {
    pub(super) inner: AnyActivation,
    pub(super) fault: CurvatureFault,
}

impl Activation<f64> for Bent {
    fn forward(&self, z: DMatrixView<'_, f64>, a: DMatrixViewMut<'_, f64>) {
        self.inner.forward(z, a);
    }

    fn backward(
        &self,
        z: DMatrixView<'_, f64>,
        a: DMatrixView<'_, f64>,
        delta: DMatrixViewMut<'_, f64>,
    ) {
        self.inner.backward(z, a, delta);
    }

    fn link(&self) -> Option<Link> {
        Activation::<f64>::link(&self.inner)
    }

    fn forward_tangent(
        &self,
        z: DMatrixView<'_, f64>,
        a: DMatrixView<'_, f64>,
        z_tangent: DMatrixView<'_, f64>,
        mut a_tangent: DMatrixViewMut<'_, f64>,
    ) -> Result<(), Error> {
        if self.fault == CurvatureFault::NotProvided {
            return Err(Error::Unsupported {
                what: "Activation::forward_tangent",
                by: "Bent",
            });
        }
        if self.fault == CurvatureFault::Unwritten {
            return Ok(());
        }
        let to = a_tangent.as_view_mut();
        self.inner.forward_tangent(z, a, z_tangent, to)?;
        if self.fault == CurvatureFault::HalfForward {
            a_tangent.scale_mut(0.5);
        }
        Ok(())
    }

    fn backward_tangent(
        &self,
        z: DMatrixView<'_, f64>,
        a: DMatrixView<'_, f64>,
        z_tangent: DMatrixView<'_, f64>,
        mut delta: DMatrixViewMut<'_, f64>,
        mut delta_tangent: DMatrixViewMut<'_, f64>,
    ) -> Result<(), Error> {
        let old = delta.clone_owned();
        let mut straight = delta_tangent.clone_owned();
        self.inner.backward(z, a, straight.as_view_mut());
        let (to, dot) = (delta.as_view_mut(), delta_tangent.as_view_mut());
        self.inner.backward_tangent(z, a, z_tangent, to, dot)?;
        match self.fault {
            CurvatureFault::Missing => delta_tangent.copy_from(&straight),
            CurvatureFault::WrongSign => {
                delta_tangent.zip_apply(&straight, |d, straight| *d = 2.0 * straight - *d);
            }
            CurvatureFault::PlainDelta => delta.copy_from(&old),
            _ => {}
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TangentFault {
    None,
    Factor(f64),
    /// Adds (ȧ₂, −ȧ₁): not symmetric.
    Skew,
    /// No tangent at all.
    NotProvided,
    /// No tangent at a.
    OnlyFromZ,
}

/// A built-in cost with a fault in its tangent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Warped {
    pub(super) inner: AnyCost,
    pub(super) fault: TangentFault,
}

impl Cost<f64> for Warped {
    fn values(&self, at: &Outputs<'_, f64>, values: &mut [f64]) {
        self.inner.values(at, values);
    }

    fn delta(&self, at: &Outputs<'_, f64>, delta: DMatrixViewMut<'_, f64>) {
        self.inner.delta(at, delta);
    }

    fn link(&self) -> Option<Link> {
        Cost::<f64>::link(&self.inner)
    }

    fn target_domain(&self) -> (f64, f64) {
        Cost::<f64>::target_domain(&self.inner)
    }

    fn check_outputs(
        &self,
        a: DMatrixView<'_, f64>,
        y: DMatrixView<'_, f64>,
    ) -> Result<(), Violation> {
        self.inner.check_outputs(a, y)
    }

    fn is_log_likelihood(&self) -> bool {
        Cost::<f64>::is_log_likelihood(&self.inner)
    }

    fn delta_tangent(
        &self,
        at: &Outputs<'_, f64>,
        tangent: DMatrixView<'_, f64>,
        mut to: DMatrixViewMut<'_, f64>,
    ) -> Result<(), Error> {
        self.inner.delta_tangent(at, tangent, to.as_view_mut())?;
        match self.fault {
            TangentFault::OnlyFromZ if at.z.is_some() => {}
            TangentFault::NotProvided | TangentFault::OnlyFromZ => {
                return Err(Error::Unsupported {
                    what: "Cost::delta_tangent",
                    by: "Warped",
                });
            }
            TangentFault::Factor(k) => to.scale_mut(k),
            TangentFault::Skew => {
                for (mut to, dot) in to.column_iter_mut().zip(tangent.column_iter()) {
                    to[0] += dot[1];
                    to[1] -= dot[0];
                }
            }
            TangentFault::None => {}
        }
        Ok(())
    }
}

/// Σ ½ ln(1 + d²) with correct derivatives. It is not convex where |d| > 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cauchy {
    pub(super) claims: bool,
}

impl Cost<f64> for Cauchy {
    fn values(&self, at: &Outputs<'_, f64>, values: &mut [f64]) {
        let errors = at.a - at.y;
        for (value, d) in values.iter_mut().zip(errors.column_iter()) {
            *value = d.iter().map(|d| 0.5 * (d * d).ln_1p()).sum();
        }
    }

    fn delta(&self, at: &Outputs<'_, f64>, mut delta: DMatrixViewMut<'_, f64>) {
        delta.copy_from(&(at.a - at.y).map(|d| d / (1.0 + d * d)));
    }

    fn link(&self) -> Option<Link> {
        Some(Link::Identity)
    }

    fn is_log_likelihood(&self) -> bool {
        self.claims
    }

    fn delta_tangent(
        &self,
        at: &Outputs<'_, f64>,
        tangent: DMatrixView<'_, f64>,
        mut to: DMatrixViewMut<'_, f64>,
    ) -> Result<(), Error> {
        let bend = |d: f64| (1.0 - d * d) / (1.0 + d * d).powi(2);
        to.copy_from(&(at.a - at.y).map(bend).component_mul(&tangent));
        Ok(())
    }
}
