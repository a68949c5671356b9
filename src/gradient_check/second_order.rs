//! The check of a network's derivatives beyond ∇J.

use super::compare::{Pair, Product};
use super::line::{CheckedBlock, cotangent, direction, moved};
use super::vector_function::Asked;
use super::{GradientCheck, Report, Verdict, nan, noise};
use crate::cost::Cost;
use crate::derivatives::{Curvature, GaussNewton, Tangent, VjpTargets};
use crate::error::{Error, Location};
use crate::examples::Examples;
use crate::layer::Layer;
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::{Scalar, to_f64};
use crate::workspace::Workspace;
use nalgebra::DMatrix;

/// The network being checked, its examples and its objective.
struct Given<'a, 'e, T: Scalar, L, C> {
    check: &'a GradientCheck,
    network: &'a Network<T, L>,
    examples: &'a Examples<'e, T>,
    objective: &'a Objective<C>,
}

/// A Gauss–Newton matrix, and whether it should be semidefinite.
struct Claim {
    name: &'static str,
    matrix: GaussNewton,
    semidefinite: bool,
}

impl GradientCheck {
    /// Checks the derivatives of a network beyond ∇J.
    ///
    /// The directions θ̇, ẋ and v, the cotangent u and the second vector v′ are random:
    ///
    /// | row | claim |
    /// |---|---|
    /// | `ȧ along θ̇`, `along ẋ`, `along θ̇, ẋ` | [`jvp`](Network::jvp) equals differences of the outputs, K × m |
    /// | `u·ȧ along …` | [`jvp`](Network::jvp) and [`vjp`](Network::vjp) are products with the same Jacobian A: ⟨u, A θ̇⟩ = ⟨Aᵀu, θ̇⟩ |
    /// | `H v, Θ⁽¹⁾`, … | [`hessian_product`](Network::hessian_product) equals differences of ∇J along v, block by block |
    /// | `v′·H v` | H is symmetric: ⟨v′, H v⟩ = ⟨v, H v′⟩ |
    /// | `v′·G v (outputs)` | so is the matrix of [`gauss_newton_product`](Network::gauss_newton_product) at [`GaussNewton::Outputs`] |
    /// | `v·G v ≥ 0 (outputs)` | for each example it is semidefinite, without the penalty |
    ///
    /// In rows of X that hold ids, ẋ is 0; if all do, the rows along ẋ are left out.
    ///
    /// The last two rows appear again as `(logits)` for a canonical pair, and as `(Fisher)` for a
    /// cost that is a [log-likelihood](Cost::is_log_likelihood). If v·G v is negative there and the
    /// cost is a log-likelihood, the verdict is [`Verdict::Wrong`]. In all other cases, G need not
    /// be semidefinite, and the verdict is [`Verdict::Indefinite`].
    ///
    /// Rows are left out if an output lies on the edge of the domain, where G is not finite. If the
    /// last layer or the cost does not provide G, the verdict is [`Verdict::NotProvided`].
    ///
    /// The inner products are not compared with differences. Two that should be equal may differ by
    /// (r + floor) s, where s is the root of the sum of squares of the terms. This bound is far
    /// above their rounding. Where a unit is exactly at a kink (ReLU with biases of 0 above units
    /// that are all dead), ∇J jumps, and the affected rows are [`Verdict::SuspectedKink`]. Check ∇J
    /// with [`network`](Self::network) first.
    ///
    /// In `f32`, the check finds only coarse errors. It reported 2 of 20,000 correct networks as
    /// wrong; both had raw inputs and a logarithm of outputs that had rounded to the edge of its
    /// domain. Check `network.map(f64::from)?` instead.
    ///
    /// # Errors
    /// - The errors of [`network`](Self::network).
    /// - [`Error::Unsupported`] if a custom layer, activation or cost has no tangents.
    ///
    /// # Example
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{
    ///     BinaryCrossEntropy, Examples, GradientCheck, Initialization, Network, Objective, rng,
    /// };
    /// use backprop::activation::{Sigmoid, Tanh};
    ///
    /// let network = Network::<f64>::builder(3)
    ///     .dense(4, Tanh)
    ///     .dense(2, Sigmoid)
    ///     .initialize(Initialization::GlorotUniform, &mut rng(0))?;
    /// let x = DMatrix::from_fn(3, 5, |i, j| (1.0 + i as f64 + 3.0 * j as f64).sin());
    /// let y = DMatrix::from_fn(2, 5, |i, j| f64::from(i == j % 2));
    /// let examples = Examples::new(&x, &y)?;
    /// let objective = Objective::new(BinaryCrossEntropy).l2(0.1);
    /// let report = GradientCheck::new().second_order(&network, &examples, &objective)?;
    /// report.assert_passed();
    /// assert_eq!(report.block("H v, Θ⁽¹⁾").map(|b| b.compared), Some(16));
    /// assert_eq!(report.block("v·G v ≥ 0 (logits)").map(|b| b.compared), Some(5));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn second_order<T: Scalar, L: Layer<T>, C: Cost<T>>(
        &self,
        network: &Network<T, L>,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<Report, Error> {
        let theta = network.theta().as_slice();
        let j = network.cost_at(
            network.point_at(theta),
            examples,
            objective,
            &mut self.workspace(),
        )?;
        let given = Given {
            check: self,
            network,
            examples,
            objective,
        };
        let mut report = Report::new(&self.settings::<T>()?);
        report.cost = to_f64(j.total());
        self.jacobian(&given, &mut report)?;
        self.hessian(&given, &mut report)?;
        self.gauss_newton(&given, &mut report)?;
        Ok(report)
    }

    /// Compares the products with A and with Aᵀ.
    fn jacobian<T: Scalar, L: Layer<T>, C: Cost<T>>(
        &self,
        given: &Given<'_, '_, T, L, C>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let network = given.network;
        let (theta, x) = (network.theta().as_slice(), given.examples.x.clone_owned());
        let ((n, m), k) = (x.shape(), network.outputs());
        let mut theta_dot = direction(theta, self.seed);
        network.layout().clear_frozen(&mut theta_dot);
        let of_x = direction(x.as_slice(), self.seed.wrapping_add(1));
        let mut x_dot = DMatrix::from_vec(n, m, of_x);
        network.layout().plan().clear_ids(x_dot.as_view_mut());
        let moves = network.layout().plan().reads_numbers();
        let u = cotangent::<T>(k, m, self.seed.wrapping_add(2));
        let (mut to_theta, mut to_x) = (vec![nan(); theta.len()], vec![nan(); n * m]);
        twice(self.workspace(), |workspace| {
            to_theta.fill(nan());
            to_x.fill(nan());
            let mut wanted = VjpTargets::of_parameters(&mut to_theta[..]);
            if moves {
                wanted = wanted.and_inputs(&mut to_x[..]);
            }
            network.vjp_into(&x, &u, workspace, wanted)
        })?;
        let both = Tangent::of_parameters(&theta_dot).and_inputs(&x_dot);
        let cases = [
            ("θ̇", Tangent::of_parameters(&theta_dot)),
            ("ẋ", Tangent::of_inputs(&x_dot)),
            ("θ̇, ẋ", both),
        ];
        let mut workspace = self.workspace();
        let cases = cases.into_iter().take(if moves { 3 } else { 1 });
        for (case, along) in cases {
            let mut tangent = vec![nan(); k * m];
            twice(self.workspace(), |workspace| {
                tangent.fill(nan());
                network.jvp_into(&x, along, workspace, &mut tangent)
            })?;
            let blocks = [CheckedBlock::new(&format!("ȧ along {case}"), k, 0, k * m)];
            let (theta_dot, x_dot) = (along.parameters, along.inputs);
            let x_dot = x_dot.map(|x| x.clone_owned());
            let x_dot = x_dot.as_ref().map(DMatrix::as_slice);
            self.compare_tangent(report, &blocks, &tangent, 0.0, |asked, t| {
                let x = DMatrix::from_vec(n, m, moved(x.as_slice(), x_dot, t));
                let theta = moved(theta, theta_dot, t);
                if asked == Asked::Derivative {
                    let mut tangent = vec![nan(); k * m];
                    network.jvp_at(&theta, x.as_view(), along, &mut workspace, &mut tangent)?;
                    return Ok(tangent);
                }
                network.run_forward(network.point_at(&theta), x.as_view(), &mut workspace)?;
                let output = workspace.output().ok_or(Error::NoLayers)?;
                Ok(output.iter().copied().collect())
            })?;
            let moves = [theta_dot.unwrap_or(&[]), x_dot.unwrap_or(&[])].concat();
            let back = [
                &to_theta[..theta_dot.map_or(0, <[T]>::len)],
                &to_x[..x_dot.map_or(0, <[T]>::len)],
            ];
            let found = Product::new(u.as_slice(), &tangent);
            let pair = Pair::equal(found, Product::new(&back.concat(), &moves));
            let label = format!("u·ȧ along {case}");
            self.compare_pairs::<T>(report, &label, &[pair], Verdict::Wrong)?;
        }
        Ok(())
    }

    /// Returns the vectors v and v′, whose frozen entries are 0.
    fn vectors<T: Scalar, L: Layer<T>>(&self, network: &Network<T, L>) -> [Vec<T>; 2] {
        [3, 4].map(|k| {
            let mut v = direction(network.theta().as_slice(), self.seed.wrapping_add(k));
            network.layout().clear_frozen(&mut v);
            v
        })
    }

    fn hessian<T: Scalar, L: Layer<T>, C: Cost<T>>(
        &self,
        given: &Given<'_, '_, T, L, C>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let network = given.network;
        let theta = network.theta().as_slice();
        let [v, w] = self.vectors(network);
        let [hv, hw] = [
            given.product(theta, &v, Curvature::Hessian)?,
            given.product(theta, &w, Curvature::Hessian)?,
        ];
        let blocks = CheckedBlock::list(network.layout(), "H v, ");
        let mut workspace = self.workspace();
        let cost = &given.objective.cost;
        let noise = match noise::outputs(network, given.examples, cost, self.workspace())? {
            Some(a) => noise::of_delta(&a, given.examples, cost)?,
            None => 0.0,
        };
        self.compare_tangent(report, &blocks, &hv, noise, |asked, t| {
            let mut gradient = vec![nan(); theta.len()];
            let theta = moved(theta, Some(&v), t);
            if asked == Asked::Derivative {
                return given.product(&theta, &v, Curvature::Hessian);
            }
            let at = (given.examples, given.objective);
            network.gradient_at(
                network.point_at(&theta),
                at.0,
                at.1,
                &mut workspace,
                &mut gradient,
            )?;
            Ok(gradient)
        })?;
        let pair = Pair::equal(Product::new(&w, &hv), Product::new(&v, &hw));
        self.compare_pairs::<T>(report, "v′·H v", &[pair], Verdict::Wrong)
    }

    fn gauss_newton<T: Scalar, L: Layer<T>, C: Cost<T>>(
        &self,
        given: &Given<'_, '_, T, L, C>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let (network, cost) = (given.network, &given.objective.cost);
        let canonical = network.is_canonical(cost);
        let likelihood = cost.is_log_likelihood();
        let mut wanted = vec![Claim {
            name: "outputs",
            matrix: GaussNewton::Outputs,
            semidefinite: false,
        }];
        if canonical {
            wanted.push(Claim {
                name: "logits",
                matrix: GaussNewton::Logits,
                semidefinite: likelihood,
            });
        }
        if likelihood {
            wanted.push(Claim {
                name: "Fisher",
                matrix: GaussNewton::Fisher,
                semidefinite: true,
            });
        }
        let theta = network.theta().as_slice();
        let [v, w] = self.vectors(network);
        for Claim {
            name,
            matrix,
            semidefinite,
        } in wanted
        {
            let label = format!("v′·G v ({name})");
            let curvature = Curvature::GaussNewton(matrix);
            let gv = match given.product(theta, &v, curvature) {
                Ok(product) => product,
                Err(Error::Output { .. }) => continue,
                Err(Error::Unsupported { .. }) => {
                    report.push_not_provided(&CheckedBlock::new(&label, 1, 0, 1));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let gw = given.product(theta, &w, curvature)?;
            let pair = Pair::equal(Product::new(&w, &gv), Product::new(&v, &gw));
            self.compare_pairs::<T>(report, &label, &[pair], Verdict::Wrong)?;
            let pairs = given.curvatures(&v, curvature)?;
            let failing = if semidefinite {
                Verdict::Wrong
            } else {
                Verdict::Indefinite
            };
            let label = format!("v·G v ≥ 0 ({name})");
            self.compare_pairs::<T>(report, &label, &pairs, failing)?;
        }
        Ok(())
    }
}

impl<T: Scalar, L: Layer<T>, C: Cost<T>> Given<'_, '_, T, L, C> {
    fn product(&self, theta: &[T], v: &[T], curvature: Curvature) -> Result<Vec<T>, Error> {
        let at = (theta, curvature);
        let given = (self.examples, self.objective);
        let mut product = vec![nan(); v.len()];
        twice(self.check.workspace(), |workspace| {
            product.fill(nan());
            let network = self.network;
            network.curvature_product_at(at, given, v.into(), workspace, &mut product)
        })?;
        Ok(product)
    }

    /// Returns v·G v for each example, or for all together if the network couples them.
    fn curvatures(&self, v: &[T], curvature: Curvature) -> Result<Vec<Pair>, Error> {
        let (network, m) = (self.network, self.examples.len());
        let at = (network.theta().as_slice(), curvature);
        let training = self.check.training.is_some();
        let couples = network.layout().plan().couples.in_mode(training);
        let together = if couples { m } else { 1 };
        let mut workspace = self.check.workspace();
        let mut product = vec![nan(); v.len()];
        let pairs = (0..m).step_by(together).map(|first| {
            let given = (&self.examples.part(first, together), &self.objective.cost);
            network.curvature_sums_at(at, given, v.into(), &mut workspace, &mut product)?;
            Ok(Pair::at_least_0(Product::new(v, &product)))
        });
        pairs.collect()
    }
}

/// Runs a pass twice. The first run gives the buffers their sizes; the second finds NaN in them.
/// Results that are not finite show in the report.
fn twice<T: Scalar>(
    mut workspace: Workspace<T>,
    mut pass: impl FnMut(&mut Workspace<T>) -> Result<(), Error>,
) -> Result<(), Error> {
    for _ in 0..2 {
        workspace.fill(nan());
        match pass(&mut workspace) {
            Ok(())
            | Err(Error::NonFinite {
                at: Location::Derivative { .. },
                ..
            }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
