//! Norms over the last axes of each example: runs of adjacent entries.

use super::normalize::{
    Norm, Parameters, Room, Sizes, check_eps, columns_of, entries, with_memory, with_settings,
};
use super::{Backward, BackwardTangent, Forward, ForwardTangent, Layer, Len, Plan, Site};
use crate::error::{Error, hyperparameter, number};
use crate::kernels::norms::Grouping;
use crate::scalar::Scalar;
use crate::shape::Shape;

/// The settings of a norm over the last axes; the mean is subtracted, and β added, if it is
/// `CENTRED`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub(crate) struct OverAxes<const CENTRED: bool> {
    pub(crate) axes: usize,
    pub(crate) eps: f64,
    pub(crate) affine: bool,
}

impl<const CENTRED: bool> OverAxes<CENTRED> {
    pub(super) const DEFAULT: Self = Self {
        axes: 1,
        eps: 1e-5,
        affine: true,
    };

    fn parameters(self) -> Parameters {
        Parameters {
            gamma: self.affine,
            beta: self.affine && CENTRED,
        }
    }

    /// Returns the norm of m examples.
    fn norm(self, plan: &Plan, m: usize) -> Norm {
        let len = plan.input().last_axes(self.axes);
        Norm {
            by: Grouping::Runs { len },
            groups: plan.inputs() / len.max(1) * m,
            per: Grouping::Cycle { count: len, len: 1 },
            units: len,
            centred: CENTRED,
            has: self.parameters(),
            eps: self.eps,
            of_entries: true,
        }
    }
}

/// Checks the number of axes, and returns the number of their entries.
fn check_axes(shape: Shape, axes: usize) -> Result<usize, Error> {
    let most = shape.axes();
    if (1..=most).contains(&axes) {
        return Ok(shape.last_axes(axes));
    }
    let expected = format!("1 to {most}, the number of axes of the inputs");
    Err(hyperparameter(
        "the number of normalised axes",
        axes as f64,
        expected,
    ))
}

impl<T: Scalar, const CENTRED: bool> Layer<T> for OverAxes<CENTRED> {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        check_eps::<T>(self.eps)?;
        let len = check_axes(site.input, self.axes)?;
        let entries = site.input.len();
        let sizes = Sizes {
            entries,
            groups: Len::each(entries / len.max(1)),
            units: len,
        };
        let plan = Plan::new(site, site.input).spans_axes(self.axes);
        Ok(with_memory(plan, sizes, self.parameters()))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        let plan = pass.at.plan;
        let a = entries(&mut pass.output);
        let (normal, kept_r) = pass.kept.split_at_mut(a.len().min(pass.kept.len()));
        let mut done = 0;
        for x in columns_of(&pass.input) {
            let norm = self.norm(plan, x.len() / plan.inputs().max(1));
            for panel in norm.panels(x.len()) {
                let to = done + panel.entries.start..done + panel.entries.end;
                let groups = to.start / norm.units.max(1)..to.end / norm.units.max(1);
                let (norm, x, a) = (panel.norm, &x[panel.entries], &mut a[to.clone()]);
                let mut room = Room {
                    rest: &mut *pass.room,
                };
                let mut statistics = room.statistics(norm.groups);
                norm.statistics(x, &mut statistics);
                norm.invert(statistics.variance);
                let normal = if normal.is_empty() {
                    &mut []
                } else {
                    kept_r[groups].copy_from_slice(statistics.variance);
                    &mut normal[to]
                };
                norm.normalise(pass.at.theta, &statistics, x, a, normal);
            }
            done += x.len();
        }
    }

    fn backward(&self, pass: Backward<'_, T>) {
        self.norm(pass.at.plan, pass.output.ncols()).backward(pass);
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.backward(pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        let norm = self.norm(pass.at.plan, pass.output.ncols());
        norm.forward_tangent(pass);
        Ok(())
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        let norm = self.norm(along.pass.at.plan, along.pass.output.ncols());
        norm.backward_tangent(along);
        Ok(())
    }

    fn name(&self) -> String {
        let (norm, default) = (if CENTRED { "LayerNorm" } else { "RmsNorm" }, Self::DEFAULT);
        let mut settings = Vec::new();
        if self.axes != default.axes {
            settings.push(format!("axes {}", self.axes));
        }
        if self.eps != default.eps {
            settings.push(format!("eps {}", number(self.eps)));
        }
        if !self.affine {
            settings.push("affine false".to_owned());
        }
        with_settings(norm, &settings)
    }
}
