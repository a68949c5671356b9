//! Custom layers, activations and a cost, generic over the scalar.

use backprop::activation::Activation;
use backprop::cost::{Cost, Link, Outputs, Violation};
use backprop::layer::{
    Backward, BackwardTangent, Block, Forward, ForwardTangent, Layer, LayerGradient, Len, Place,
    Plan, Site,
};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut, convert};
use backprop::{Error, Scalar};
use serde::{Deserialize, Serialize};

/// a = g(b + U V x), W = U V of low rank: two blocks, V first; it keeps z and h = V x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LowRank<A> {
    pub(crate) inputs: usize,
    pub(crate) rank: usize,
    pub(crate) outputs: usize,
    pub(crate) activation: A,
}

/// Views of V, b and U in a slice laid out like θ of the layer.
struct Parts<'a, T: Scalar> {
    v: DMatrixView<'a, T>,
    b: DMatrixView<'a, T>,
    u: DMatrixView<'a, T>,
}

impl<A> LowRank<A> {
    fn parts<'a, T: Scalar>(&self, theta: &'a [T]) -> Parts<'a, T> {
        let (v, rest) = theta.split_at(self.rank * self.inputs);
        let (b, u) = rest.split_at(self.outputs);
        Parts {
            v: DMatrixView::from_slice(v, self.rank, self.inputs),
            b: DMatrixView::from_slice(b, self.outputs, 1),
            u: DMatrixView::from_slice(u, self.outputs, self.rank),
        }
    }

    /// Returns views of z and h in what is kept.
    fn cached<'a, T: Scalar>(&self, kept: &'a [T]) -> (DMatrixView<'a, T>, DMatrixView<'a, T>) {
        let m = kept.len() / (self.outputs + self.rank);
        let (z, h) = kept.split_at(self.outputs * m);
        (
            DMatrixView::from_slice(z, self.outputs, m),
            DMatrixView::from_slice(h, self.rank, m),
        )
    }

    /// Writes ∂/∂V = e xᵀ, ∂/∂b = Σ δ, ∂/∂U = δ hᵀ, in sequence.
    fn write<T: Scalar>(gradient: &mut [T], v: DMatrix<T>, delta: DMatrix<T>, u: DMatrix<T>) {
        let bias = delta.column_sum();
        let entries = v.iter().chain(bias.iter()).chain(u.iter());
        gradient.iter_mut().zip(entries).for_each(|(g, &e)| *g = e);
    }
}

fn or_zeros<T: Scalar>(view: Option<DMatrixView<'_, T>>, rows: usize, cols: usize) -> DMatrix<T> {
    view.map_or_else(|| DMatrix::zeros(rows, cols), |v| v.clone_owned())
}

fn add_to_columns<T: Scalar>(z: &mut DMatrix<T>, b: DMatrixView<'_, T>) {
    for mut column in z.column_iter_mut() {
        column += b.column(0);
    }
}

impl<T: Scalar, A: Activation<T>> Layer<T> for LowRank<A> {
    /// z comes first in what is kept.
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        if self.rank == 0 {
            return Err(Error::Hyperparameter {
                name: "rank of LowRank",
                value: 0.0,
                expected: "at least 1".into(),
            });
        }
        self.activation.validate()?;
        site.check_inputs(self.inputs)?;
        Ok(Plan::new(site, self.outputs)
            .block(Block::new("V", self.rank, self.inputs))
            .block(Block::new("U", self.outputs, self.rank + 1).penalised_from_column(1))
            .keeps(Len::each(self.outputs + self.rank))
            .z(Place::Kept(Len::default().into()), self.activation.link()))
    }

    fn forward(&self, pass: Forward<'_, T>) {
        let Parts { v, b, u } = self.parts(pass.at.theta);
        let h = v * pass.input;
        let mut z = u * &h;
        add_to_columns(&mut z, b);
        let (of_z, of_h) = pass.kept.split_at_mut(z.len());
        of_z.copy_from_slice(z.as_slice());
        of_h.copy_from_slice(h.as_slice());
        self.activation.forward(z.as_view(), pass.output);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        let Parts { v, u, .. } = self.parts(pass.at.theta);
        let (z, h) = self.cached(pass.kept);
        let mut delta = pass.delta;
        if !pass.linked.get() {
            self.activation
                .backward(z, pass.output, delta.as_view_mut());
        }
        let of_h = u.transpose() * &delta;
        if let LayerGradient::Sum(gradient) = pass.gradient {
            let of_v = &of_h * pass.input.transpose();
            let of_u = &delta * h.transpose();
            Self::write(gradient, of_v, delta.clone_owned(), of_u);
        }
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&(v.transpose() * of_h));
        }
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        let (n, m) = pass.input.shape();
        let zeros = vec![T::zero(); pass.at.theta.len()];
        let Parts { v, u, .. } = self.parts(pass.at.theta);
        let moved = self.parts(pass.theta_tangent.unwrap_or(&zeros));
        let (z, h) = self.cached(pass.kept);
        let input_tangent = or_zeros(pass.input_tangent, n, m);
        let h_dot = moved.v * pass.input + v * input_tangent;
        let mut z_dot = moved.u * h + u * &h_dot;
        add_to_columns(&mut z_dot, moved.b);
        let (of_z, of_h) = pass.kept_tangent.split_at_mut(z_dot.len());
        of_z.copy_from_slice(z_dot.as_slice());
        of_h.copy_from_slice(h_dot.as_slice());
        self.activation
            .forward_tangent(z, pass.output, z_dot.as_view(), pass.output_tangent)
    }

    fn backward_tangent(&self, tangent: BackwardTangent<'_, T>) -> Result<(), Error> {
        let pass = tangent.pass;
        let (n, m) = pass.input.shape();
        let zeros = vec![T::zero(); pass.at.theta.len()];
        let Parts { v, u, .. } = self.parts(pass.at.theta);
        let moved = self.parts(tangent.theta_tangent.unwrap_or(&zeros));
        let ((z, h), (z_dot, h_dot)) = (self.cached(pass.kept), self.cached(tangent.kept_tangent));
        let (mut delta, mut delta_dot) = (pass.delta, tangent.delta_tangent);
        if !pass.linked.get() {
            let (d, d_dot) = (delta.as_view_mut(), delta_dot.as_view_mut());
            self.activation
                .backward_tangent(z, pass.output, z_dot, d, d_dot)?;
        }
        let of_h = u.transpose() * &delta;
        let of_h_dot = moved.u.transpose() * &delta + u.transpose() * &delta_dot;
        if let LayerGradient::Sum(gradient) = pass.gradient {
            let of_v = &of_h * pass.input.transpose();
            Self::write(gradient, of_v, delta.clone_owned(), &delta * h.transpose());
        }
        if let Some(gradient) = tangent.gradient_tangent {
            let x_dot = or_zeros(tangent.input_tangent, n, m);
            let of_v = &of_h_dot * pass.input.transpose() + &of_h * x_dot.transpose();
            let of_u = &delta_dot * h.transpose() + &delta * h_dot.transpose();
            Self::write(gradient, of_v, delta_dot.clone_owned(), of_u);
        }
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&(v.transpose() * &of_h));
        }
        if let Some(mut below) = tangent.input_delta_tangent {
            below.copy_from(&(moved.v.transpose() * of_h + v.transpose() * of_h_dot));
        }
        Ok(())
    }
}

/// g(z) = z + c z³, with both tangents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cubic {
    pub(crate) c: f64,
}

impl Cubic {
    /// g′ and g″.
    fn slopes<T: Scalar>(&self, z: T) -> (T, T) {
        let three: T = convert(3.0 * self.c);
        (T::one() + three * z * z, (three + three) * z)
    }
}

impl<T: Scalar> Activation<T> for Cubic {
    fn forward(&self, z: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
        a.zip_apply(&z, |a, z| *a = z + convert::<f64, T>(self.c) * z * z * z);
    }

    fn backward(
        &self,
        z: DMatrixView<'_, T>,
        _a: DMatrixView<'_, T>,
        mut delta: DMatrixViewMut<'_, T>,
    ) {
        delta.zip_apply(&z, |d, z| *d *= self.slopes(z).0);
    }

    fn validate(&self) -> Result<(), Error> {
        if self.c.is_finite() {
            return Ok(());
        }
        Err(Error::Hyperparameter {
            name: "c of Cubic",
            value: self.c,
            expected: "a finite number".into(),
        })
    }

    fn forward_tangent(
        &self,
        z: DMatrixView<'_, T>,
        _a: DMatrixView<'_, T>,
        z_tangent: DMatrixView<'_, T>,
        mut a_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        a_tangent.zip_zip_apply(&z, &z_tangent, |out, z, t| *out = self.slopes(z).0 * t);
        Ok(())
    }

    fn backward_tangent(
        &self,
        z: DMatrixView<'_, T>,
        _a: DMatrixView<'_, T>,
        z_tangent: DMatrixView<'_, T>,
        mut delta: DMatrixViewMut<'_, T>,
        mut delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        for i in 0..z.nrows() {
            for k in 0..z.ncols() {
                let (at, (first, second)) = ((i, k), self.slopes(z[(i, k)]));
                delta_tangent[at] = first * delta_tangent[at] + second * z_tangent[at] * delta[at];
                delta[at] *= first;
            }
        }
        Ok(())
    }
}

/// a = 2ᶻ, the activation of a custom canonical pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Doubling;

pub(crate) const LOG2: Link = Link::Custom("log2");

impl<T: Scalar> Activation<T> for Doubling {
    fn forward(&self, z: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
        a.zip_apply(&z, |a, z| *a = (z * T::ln_2()).exp());
    }

    fn backward(
        &self,
        _z: DMatrixView<'_, T>,
        a: DMatrixView<'_, T>,
        mut delta: DMatrixViewMut<'_, T>,
    ) {
        delta.zip_apply(&a, |d, a| *d *= a * T::ln_2());
    }

    fn link(&self) -> Option<Link> {
        Some(LOG2)
    }
}

/// The cost Σ a − y ln a; from z with a = 2ᶻ it is Σ a − y z ln 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// If false, the cost has no link and always takes the general path.
    pub(crate) linked: bool,
}

impl<T: Scalar> Cost<T> for Counts {
    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
        for (k, value) in values.iter_mut().enumerate() {
            let (a, y) = (at.a.column(k), at.y.column(k));
            let log = match at.z {
                Some(z) => z.column(k) * T::ln_2(),
                None => a.map(T::ln),
            };
            *value = a.sum() - y.dot(&log);
        }
    }

    fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        let linked = at.z.is_some();
        delta.zip_zip_apply(&at.a, &at.y, |out, a, y| {
            *out = if linked {
                T::ln_2() * (a - y)
            } else {
                T::one() - y / a
            };
        });
    }

    fn link(&self) -> Option<Link> {
        self.linked.then_some(LOG2)
    }

    fn target_domain(&self) -> (f64, f64) {
        (0.0, f64::INFINITY)
    }

    fn check_outputs(
        &self,
        a: DMatrixView<'_, T>,
        _y: DMatrixView<'_, T>,
    ) -> Result<(), Violation> {
        let bad = a.iter().position(|&a| a <= T::zero());
        bad.map_or(Ok(()), |index| {
            Err(Violation {
                unit: index % a.nrows(),
                example: index / a.nrows(),
                expected: "above 0",
            })
        })
    }

    fn delta_tangent(
        &self,
        at: &Outputs<'_, T>,
        tangent: DMatrixView<'_, T>,
        mut delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        let linked = at.z.is_some();
        for (i, out) in delta_tangent.iter_mut().enumerate() {
            let (a, y, t) = (at.a[i], at.y[i], tangent[i]);
            *out = if linked {
                T::ln_2() * T::ln_2() * a * t
            } else {
                y / (a * a) * t
            };
        }
        Ok(())
    }
}
