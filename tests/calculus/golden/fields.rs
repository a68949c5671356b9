//! Computes every field of a case.

use super::case::{Case, Field, blocks, joined};
use backprop::nalgebra::DVector;
use backprop::{Error, Examples, GaussNewton, Objective, Scalar, VjpTargets, Workspace};

impl Case {
    /// Computes in the scalar that `to` rounds to and converts the results with `back`.
    pub(crate) fn fields<T: Scalar>(
        &self,
        to: impl Fn(f64) -> T,
        back: impl Fn(T) -> f64,
        workspace: &mut Workspace<T>,
    ) -> Result<Vec<Field>, Error> {
        let numbers = |x: &[T]| -> Vec<f64> { x.iter().map(|&x| back(x)).collect() };
        let of_layers = |x: &[T]| Ok::<_, Error>(blocks(&self.network.layout().roll(&numbers(x))?));
        let (network, objective) = (self.network.map(&to)?, &self.objective);
        let (x, y) = (self.x.map(&to), self.y.map(&to));
        let examples = Examples::new(&x, &y)?;
        let data_only = Objective::new(objective.cost);
        let (p, m) = (network.parameters(), examples.len());
        let nan = || DVector::repeat(p, to(f64::NAN));

        let (mut gradient, mut grad_x) = (nan(), vec![to(f64::NAN); x.len()]);
        let wanted = VjpTargets::of_parameters(gradient.as_mut_slice()).and_inputs(&mut grad_x[..]);
        let j = network.gradients_into(&examples, objective, workspace, wanted)?;
        let outputs = workspace
            .output()
            .map(|a| a.iter().map(|&a| back(a)).collect());
        let logits = workspace
            .logits(0)
            .map(|z| z.iter().map(|&z| back(z)).collect());
        let costs = numbers(workspace.costs());

        let mut examples_grad = vec![to(f64::NAN); p * m];
        let cost = &objective.cost;
        network
            .example_gradients(&examples, cost)
            .matrix_into(workspace, &mut examples_grad)?;
        let each = examples_grad.chunks_exact(p).map(&numbers);
        let each = each.map(|gradient| self.network.layout().roll(&gradient));

        let mut fields = vec![
            ("J", vec![vec![back(j.total())]]),
            ("grad", of_layers(gradient.as_slice())?),
            ("grad_X", vec![numbers(&grad_x)]),
            ("outputs", vec![outputs.unwrap_or_default()]),
            ("logits", vec![logits.unwrap_or_default()]),
            ("per_example_cost", vec![costs]),
            ("per_example_grad", joined(each.collect::<Result<_, _>>()?)),
        ];
        if let Some(v) = &self.v {
            let v: Vec<T> = v.iter().map(|&v| to(v)).collect();
            let mut product = nan();
            let found = product.as_mut_slice();
            network.hessian_product_into(&examples, objective, &v, workspace, found)?;
            fields.push(("hvp", of_layers(product.as_slice())?));
            for (field, at) in [
                ("ggn_logits_vp", GaussNewton::Logits),
                ("gn_outputs_vp", GaussNewton::Outputs),
            ] {
                if self.has(field) {
                    let mut product = nan();
                    let (along, found) = ((at, &v[..]), product.as_mut_slice());
                    network.gauss_newton_product_into(
                        &examples, &data_only, along, workspace, found,
                    )?;
                    fields.push((field, of_layers(product.as_slice())?));
                }
            }
        }
        if self.has("hessian") {
            let hessian = network.hessian(&examples, objective)?;
            fields.push(("hessian", vec![numbers(hessian.as_slice())]));
        }
        Ok(fields)
    }
}
