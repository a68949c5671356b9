//! A differential equation solved by a network: u″ = −π² sin πx on [0, 1] with u(0) = u(1) = 0,
//! whose solution is sin πx.
//!
//! ```sh
//! cargo run --release --example physics_informed
//! ```
//!
//! The solution is written as u(x) = x (1 − x) N(x), so it is 0 at both ends whatever the
//! network N computes (Lagaris, Likas, Fotiadis 1998, doi:10.1109/72.712178). The loss is the mean
//! of ½ (u″ − f)² over points x. No `Cost` can express it, because it needs u″.
//!
//! Second-order dual numbers compute u″. With x + ε in place of x, every operation carries a value
//! together with its first and second derivatives with respect to x. `Network::map` converts the
//! network to these numbers; its weights are constants, without derivatives.
//!
//! `vjp_into` computes the gradient on the same numbers. For a cotangent c it computes Σ c ∂N/∂θ,
//! where ∂N/∂θ now carries its derivatives with respect to x as well. With c = r x (1 − x), the
//! second derivative of c ∂N/∂θ is r ∂(x (1 − x) N)″/∂θ = r ∂u″/∂θ. With the residuals r = (u″ −
//! f)/m this is the gradient of the loss. A gradient check confirms it.

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use backprop::activation::{Identity, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::{GradientCheck, Initialization, Network, Scalar, VjpTargets, Workspace, rng};
use num_dual::Dual2_64;
use std::f64::consts::PI;

/// The number of points at which the equation should hold.
const POINTS: usize = 30;
const ITERATIONS: u64 = 400;

fn main() -> Result<(), Error> {
    let network = Network::<f64>::builder(1)
        .dense(12, Tanh)
        .dense(1, Identity)
        .initialize(Initialization::Normal { sigma: 1.0 }, &mut rng(1))?;
    let start = network.theta().as_slice().to_vec();
    let equation = Equation { network };

    let blocks = [("θ", start.len())];
    let report = GradientCheck::new().function(&blocks, &start, |theta| {
        equation
            .loss_and_gradient(theta)
            .unwrap_or((f64::NAN, vec![f64::NAN; theta.len()]))
    })?;
    println!("the gradient of the loss against central differences\n{report}\n");
    report.assert_passed();

    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 20);
    let found = Executor::new(&equation, solver)
        .configure(|state| state.param(start).max_iters(ITERATIONS))
        .run()?;
    let state = found.state();
    println!(
        "L-BFGS: {} iterations, loss {:.1e}\n",
        state.get_iter(),
        state.get_best_cost()
    );
    let theta = state.get_best_param().ok_or(Error::msg("no point"))?;

    println!("   x    u(x)      sin πx    difference");
    for k in 0..=10 {
        let x = f64::from(k) / 10.0;
        let u = equation.solution(theta, x)?;
        let exact = (PI * x).sin();
        println!("{x:4.1}  {u:8.6}  {exact:8.6}  {:+.1e}", u - exact);
    }
    let mut largest = 0.0_f64;
    for k in 0..=1000 {
        let x = f64::from(k) / 1000.0;
        largest = largest.max((equation.solution(theta, x)? - (PI * x).sin()).abs());
    }
    println!("\nlargest error at 1001 points: {largest:.1e}");
    assert!(largest < 1e-3);
    Ok(())
}

/// u″ = f as a loss that depends on θ.
struct Equation {
    network: Network<f64>,
}

impl Equation {
    /// The right-hand side f of the equation.
    fn f(x: f64) -> f64 {
        -PI * PI * (PI * x).sin()
    }

    /// The factor x (1 − x), which is 0 at both ends.
    fn bubble<T: Scalar>(x: T) -> T {
        x * (T::one() - x)
    }

    /// The mean of ½ (u″ − f)² over the points, and its gradient.
    fn loss_and_gradient(&self, theta: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        let mut network = self.network.map(Dual2_64::from_re)?;
        let weights: Vec<_> = theta.iter().map(|&w| Dual2_64::from_re(w)).collect();
        network.set_theta(&weights)?;

        // x + ε at the midpoints of equal intervals.
        let point = |k| (k as f64 + 0.5) / POINTS as f64;
        let x = DMatrix::from_fn(1, POINTS, |_, k| Dual2_64::from_re(point(k)).derivative());
        let mut workspace = Workspace::new();
        let n = network.forward_into(&x, &mut workspace)?;
        let residuals = x.zip_map(&n, |x, n| {
            let u = Self::bubble(x) * n;
            u.v2 - Self::f(x.re)
        });
        let m = POINTS as f64;
        let loss = residuals.norm_squared() / (2.0 * m);

        let cotangent = x.zip_map(&residuals, |x, r| Self::bubble(x) * (r / m));
        let mut gradient = vec![Dual2_64::from_re(0.0); theta.len()];
        network.vjp_into(
            &x,
            &cotangent,
            &mut workspace,
            VjpTargets::of_parameters(&mut gradient),
        )?;
        Ok((loss, gradient.iter().map(|g| g.v2).collect()))
    }

    /// Returns u(x).
    fn solution(&self, theta: &[f64], x: f64) -> Result<f64, Error> {
        let mut network = self.network.clone();
        network.set_theta(theta)?;
        let n = network.forward(&DMatrix::repeat(1, 1, x))?;
        Ok(Self::bubble(x) * n[0])
    }
}

// The two traits of argmin's L-BFGS.
impl CostFunction for &Equation {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, theta: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.loss_and_gradient(theta)?.0)
    }
}

impl Gradient for &Equation {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, theta: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.loss_and_gradient(theta)?.1)
    }
}
