//! Computes the fields of a case, each with a call of its own.

use super::case::Case;
use crate::support::spec::{Costs, ends_without_activation};
use backprop::cost::{Cost, Heads};
use backprop::nalgebra::{DMatrix, DMatrixView, DVector};
use backprop::{
    Error, Examples, GaussNewton, Network, Objective, Path, Scalar, Tangent, VjpTargets, Workspace,
};

/// What a case expects of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    J,
    PerExampleCost,
    Logits,
    Outputs,
    Grad,
    GradX,
    Hvp,
    JvpX,
    GgnLogitsVp,
    PerExampleGrad,
    Hessian,
    StateAfter,
}

impl Field {
    pub(crate) const ALL: [Self; 12] = [
        Self::J,
        Self::PerExampleCost,
        Self::Logits,
        Self::Outputs,
        Self::Grad,
        Self::GradX,
        Self::Hvp,
        Self::JvpX,
        Self::GgnLogitsVp,
        Self::PerExampleGrad,
        Self::Hessian,
        Self::StateAfter,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::J => "J",
            Self::PerExampleCost => "per_example_cost",
            Self::Logits => "logits",
            Self::Outputs => "outputs",
            Self::Grad => "grad",
            Self::GradX => "grad_X",
            Self::Hvp => "hvp",
            Self::JvpX => "jvp_X",
            Self::GgnLogitsVp => "ggn_logits_vp",
            Self::PerExampleGrad => "per_example_grad",
            Self::Hessian => "hessian",
            Self::StateAfter => "state_after",
        }
    }

    /// Whether a file may lack it.
    pub(crate) fn is_optional(self) -> bool {
        matches!(
            self,
            Self::GgnLogitsVp | Self::PerExampleGrad | Self::Hessian | Self::StateAfter
        )
    }
}

/// What one call computed, in the blocks of the file.
pub(crate) type Computed = Result<Vec<Vec<f64>>, Error>;

/// The network and the data of a case in one scalar.
struct Run<T: Scalar> {
    network: Network<T>,
    x: DMatrix<T>,
    y: DMatrix<T>,
    u: DMatrix<T>,
    v: Vec<T>,
    masks: Vec<(Path, DMatrix<T>)>,
}

impl Case {
    /// Computes all fields of the case in the scalar that `to` rounds to.
    pub(crate) fn compute<T: Scalar + Into<f64>>(
        &self,
        to: impl Fn(f64) -> T,
        workspace: &mut Workspace<T>,
    ) -> Result<Vec<(Field, Computed)>, String> {
        let masks = self.masks.iter();
        let run = Run {
            masks: masks
                .map(|(path, mask)| (path.clone(), mask.map(&to)))
                .collect(),
            network: self.network.map(&to).map_err(|e| e.to_string())?,
            x: self.x.map(&to),
            y: self.y.map(&to),
            u: self.u.map(&to),
            v: self.v.iter().map(|&v| to(v)).collect(),
        };
        workspace.clear_random_numbers();
        workspace.set_training(self.training.then_some(0));
        for (path, mask) in &run.masks {
            workspace
                .set_random_numbers(path.clone(), mask)
                .map_err(|e| e.to_string())?;
        }
        let nan = to(f64::NAN);
        match &self.costs {
            Costs::One(cost) => Ok(self.compute_with(&run, *cost, nan, workspace)),
            Costs::Heads(heads) => {
                let all = heads.iter().fold(Heads::new(), |all, head| {
                    all.head(head.rows.clone(), head.cost, head.weight)
                });
                Ok(self.compute_with(&run, all, nan, workspace))
            }
        }
    }

    fn compute_with<T: Scalar + Into<f64>, C: Cost<T> + Clone>(
        &self,
        run: &Run<T>,
        cost: C,
        nan: T,
        workspace: &mut Workspace<T>,
    ) -> Vec<(Field, Computed)> {
        let objective = Objective::new(cost).l2(self.lambda);
        let fields = self.expected.keys();
        let compute = fields.map(|&field| {
            // No result of an earlier call can pass for one of this call.
            workspace.fill(nan);
            (field, self.field(field, run, &objective, nan, workspace))
        });
        compute.collect()
    }

    fn field<T: Scalar + Into<f64>, C: Cost<T> + Clone>(
        &self,
        field: Field,
        run: &Run<T>,
        objective: &Objective<C>,
        nan: T,
        workspace: &mut Workspace<T>,
    ) -> Computed {
        let (network, x, v) = (&run.network, &run.x, &run.v[..]);
        let examples = Examples::new(x, &run.y)?;
        let p = network.parameters();
        let mut theta = DVector::repeat(p, nan);
        let to = theta.as_mut_slice();
        match field {
            Field::J => {
                let j = network.cost_into(&examples, objective, workspace)?;
                Ok(vec![vec![j.total().into()]])
            }
            Field::PerExampleCost => {
                network.cost_into(&examples, objective, workspace)?;
                Ok(vec![numbers(workspace.costs())])
            }
            Field::Outputs => {
                let a = network.forward_into(x, workspace)?;
                Ok(vec![entries(a)])
            }
            Field::Logits => {
                let outputs = entries(network.forward_into(x, workspace)?);
                let heads: Vec<_> = (0..).map_while(|head| workspace.logits(head)).collect();
                let rows: usize = heads.iter().map(DMatrixView::nrows).sum();
                if rows == network.outputs() {
                    let of_example = |k| heads.iter().flat_map(move |z| entries(z.columns(k, 1)));
                    return Ok(vec![(0..x.ncols()).flat_map(of_example).collect()]);
                }
                // z of a network that is only an activation is X, which no workspace keeps.
                let trace = network.trace_in(&examples, objective, workspace)?;
                Ok(match trace.z(network.depth() - 1) {
                    Some(z) => vec![entries(z)],
                    None if self.outputs_are_logits() => vec![outputs],
                    None => vec![],
                })
            }
            Field::Grad => {
                network.gradient_into(&examples, objective, workspace, to)?;
                Ok(self.blocks(to))
            }
            Field::GradX => {
                let mut gradient = vec![nan; x.len()];
                network.gradients_into(
                    &examples,
                    objective,
                    workspace,
                    VjpTargets::of_inputs(&mut gradient),
                )?;
                Ok(vec![numbers(&gradient)])
            }
            Field::Hvp => {
                network.hessian_product_into(&examples, objective, v, workspace, to)?;
                Ok(self.blocks(to))
            }
            Field::JvpX => {
                let mut tangent = vec![nan; run.y.len()];
                let along = Tangent::of_inputs(&run.u);
                network.jvp_into(x, along, workspace, &mut tangent)?;
                Ok(vec![numbers(&tangent)])
            }
            Field::GgnLogitsVp => {
                let at = if self.outputs_are_logits() {
                    GaussNewton::Outputs
                } else {
                    GaussNewton::Logits
                };
                let data_only = Objective::new(objective.cost.clone());
                network.gauss_newton_product_into(&examples, &data_only, (at, v), workspace, to)?;
                Ok(self.blocks(to))
            }
            Field::PerExampleGrad => {
                let mut gradients = vec![nan; p * x.ncols()];
                let cost = &objective.cost;
                network
                    .example_gradients(&examples, cost)
                    .matrix_into(workspace, &mut gradients)?;
                let mut blocks = vec![Vec::new(); self.entries.len()];
                for example in gradients.chunks_exact(p.max(1)) {
                    for (block, of_example) in blocks.iter_mut().zip(self.blocks(example)) {
                        block.extend(of_example);
                    }
                }
                Ok(blocks)
            }
            Field::Hessian => {
                let hessian = network.hessian_in(&examples, objective, workspace)?;
                let order = || self.entries.iter().flatten();
                let row = |&i: &usize| order().map(move |&j| (i, j));
                let entries = order().flat_map(row).map(|at| hessian[at].into());
                Ok(vec![entries.collect()])
            }
            Field::StateAfter => {
                let mut after = network.clone();
                network.forward_into(x, workspace)?;
                if self.training {
                    after.take_state(workspace)?;
                }
                let state = after.state_by_path().map(|state| numbers(state.values));
                Ok(state.collect())
            }
        }
    }

    fn outputs_are_logits(&self) -> bool {
        ends_without_activation(self.network.layers())
    }

    /// Takes the blocks of the file from a vector like θ.
    fn blocks<T: Scalar + Into<f64>>(&self, theta: &[T]) -> Vec<Vec<f64>> {
        let blocks = self.entries.iter();
        let block = |block: &Vec<usize>| block.iter().map(|&i| theta[i].into()).collect();
        blocks.map(block).collect()
    }
}

fn numbers<T: Scalar + Into<f64>>(of: &[T]) -> Vec<f64> {
    of.iter().map(|&x| x.into()).collect()
}

fn entries<T: Scalar + Into<f64>>(of: DMatrixView<'_, T>) -> Vec<f64> {
    of.iter().map(|&x| x.into()).collect()
}
