//! A step that overflows is refused and shortened.

use super::fit;
use backprop::activation::{Exponential, Identity};
use backprop::cost::{Cost, Outputs, Poisson, SquaredError};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use backprop::training::LevenbergMarquardt;
use backprop::{Error, Examples, Location, Network, Objective};

/// The first steps of these Poisson regressions overflow e^z.
#[test]
fn outputs_that_overflow() {
    let x = DMatrix::from_fn(1, 50, |_, k| k as f64);
    let y = x.map(|x: f64| (0.08 * x).exp().round());
    let spread = (x.map(|x| (x - 24.5) * (x - 24.5)).sum() / 50.0_f64).sqrt();
    let standard = x.map(|x| (x - 24.5) / spread);
    for (x, y, expected) in [
        (&x, y.clone(), -26.283_211_964_568),
        (&standard, y * 100.0, -8_559.780_396_01),
    ] {
        let examples = Examples::new(x, &y).unwrap();
        let mut network = Network::<f64>::builder(1)
            .dense(1, Exponential)
            .zeros()
            .unwrap();
        let method = LevenbergMarquardt::new();
        let objective = Objective::new(Poisson);
        let fit = fit(method, 100, &mut network, &examples, &objective).unwrap();
        assert!(
            fit.converged() && (fit.cost / expected - 1.0).abs() < 1e-12,
            "{fit:?}"
        );
        assert!(fit.taken < fit.tried);
    }
}

/// ½ Σ (a − y)², with an infinite slope or curvature for outputs above 5.
#[derive(Clone, Debug)]
struct Cliff {
    slope: bool,
}

impl Cost<f64> for Cliff {
    fn values(&self, at: &Outputs<'_, f64>, values: &mut [f64]) {
        SquaredError.values(at, values);
    }

    fn delta(&self, at: &Outputs<'_, f64>, mut delta: DMatrixViewMut<'_, f64>) {
        SquaredError.delta(at, delta.as_view_mut());
        if self.slope && at.a.max() > 5.0 {
            delta.fill(f64::INFINITY);
        }
    }

    fn delta_tangent(
        &self,
        at: &Outputs<'_, f64>,
        tangent: DMatrixView<'_, f64>,
        mut out: DMatrixViewMut<'_, f64>,
    ) -> Result<(), Error> {
        out.copy_from(&tangent);
        if !self.slope && at.a.max() > 5.0 {
            out.fill(f64::INFINITY);
        }
        Ok(())
    }
}

/// Beyond the cliff J is finite and smaller, but its derivatives are not finite.
#[test]
fn overflowing_derivatives_of_a_finite_cost_are_handled() {
    let (x, y) = (DMatrix::repeat(1, 1, 1.0), DMatrix::repeat(1, 1, 10.0));
    let examples = Examples::new(&x, &y).unwrap();
    for slope in [false, true] {
        let mut network = Network::<f64>::builder(1)
            .dense(1, Identity)
            .zeros()
            .unwrap();
        let objective = Objective::new(Cliff { slope });
        let method = LevenbergMarquardt::new();
        let fit = fit(method, 100, &mut network, &examples, &objective).unwrap();
        let reached = network.forward(&x).unwrap()[0];
        assert!(reached > 4.9 && reached <= 5.0, "{reached}: {fit:?}");
        assert!(!fit.converged() && fit.taken > 0);
    }
}

/// No shorter step helps where the start itself overflows.
#[test]
fn a_start_that_overflows_is_an_error_and_stays() {
    let (x, y) = (DMatrix::repeat(1, 1, 1.0), DMatrix::repeat(1, 1, 10.0));
    let examples = Examples::new(&x, &y).unwrap();
    let network = Network::<f64>::builder(1).dense(1, Identity);
    let mut network = network.with_theta(&[6.0, 0.0]).unwrap();
    for slope in [false, true] {
        let objective = Objective::new(Cliff { slope });
        let method = LevenbergMarquardt::new();
        let fit = fit(method, 100, &mut network, &examples, &objective);
        assert!(
            matches!(
                fit,
                Err(Error::NonFinite {
                    at: Location::Derivative { .. },
                    ..
                })
            ),
            "{fit:?}"
        );
        assert_eq!(network.theta().as_slice(), [6.0, 0.0]);
    }
}
