//! Trainings by solvers that take all examples at once.

use super::{data, network};
use backprop::activation::Identity;
use backprop::nalgebra::DMatrix;
use backprop::training::{ConjugateGradient, Lbfgs, Method, Stop, Trainer};
use backprop::{AnyCost, CategoricalCrossEntropy, Examples, Network, Objective, SquaredError};

#[test]
fn full_batch_solvers_train() {
    let (x, y) = data(5, 3, 40);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy).l2(0.5);
    let methods: [fn() -> Method<f64>; 2] =
        [|| Lbfgs::new().into(), || ConjugateGradient::new().into()];
    let costs = methods.map(|method| {
        let mut trained = network([5, 4, 3]);
        let history = Trainer::new(objective.clone(), method())
            .epochs(300)
            .fit(&mut trained, &examples)
            .unwrap();
        let gradient = trained.gradient_vector(&examples, &objective).unwrap();
        let last = history.records().last().unwrap();
        assert_eq!(trained.cost(&examples, &objective).unwrap(), last.cost);
        assert!(gradient.norm() < 1e-4, "{}", gradient.norm());
        // An iteration takes one evaluation at least, and J never rises.
        assert!(last.steps >= last.epoch);
        assert!(
            history
                .records()
                .windows(2)
                .all(|two| two[1].cost <= two[0].cost)
        );
        last.cost
    });
    assert!(costs.iter().all(|cost| cost.is_finite()));
}

/// The first iterations of a training are those of argmin's own loop.
#[test]
fn lbfgs_is_argmins() {
    use backprop::ArgminProblem;
    use backprop::argmin::core::{Executor, State};
    use backprop::argmin::solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS};
    let (x, y) = data(5, 3, 40);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy).l2(0.5);
    let mut trained = network([5, 4, 3]);
    let start = trained.theta().as_slice().to_vec();
    let problem = ArgminProblem::new(&trained, &examples, &objective).unwrap();
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10);
    let found = Executor::new(problem, solver)
        .configure(|state| state.param(start).max_iters(25))
        .run()
        .unwrap();
    let expected = found.state().get_param().unwrap().clone();
    Trainer::new(objective, Lbfgs::new())
        .epochs(25)
        .fit(&mut trained, &examples)
        .unwrap();
    assert_eq!(trained.theta().as_slice(), expected.as_slice());
}

/// At a kink, in `f32`, and where J can fall no further a solver says that it is done.
#[test]
fn solvers_that_stagnate_have_converged() {
    let zero = DMatrix::from_element(1, 1, 0.0);
    let mut kink = Network::<f64>::builder(1)
        .dense(1, Identity)
        .with_theta(&[0.0, 0.3])
        .unwrap();
    let history = Trainer::new(Objective::new(SquaredError).l1(1.0), Lbfgs::new())
        .epochs(500)
        .fit(&mut kink, &Examples::new(&zero, &zero).unwrap())
        .unwrap();
    assert_eq!(history.stop(), Some(Stop::Converged));
    let (x, y) = data(5, 3, 40);
    let (x, y) = (x.map(|x| x as f32), y.map(|y| y as f32));
    for method in [Lbfgs::new().into(), ConjugateGradient::new().into()] {
        let method: Method<f32> = method;
        let mut single = network([5, 4, 3]).map(|x| x as f32).unwrap();
        let objective = Objective::new(CategoricalCrossEntropy).l2(0.5);
        let history = Trainer::new(objective, method)
            .epochs(2000)
            .fit(&mut single, &Examples::new(&x, &y).unwrap())
            .unwrap();
        assert_eq!(history.stop(), Some(Stop::Converged));
        assert!(
            history
                .records()
                .windows(2)
                .all(|two| two[1].cost <= two[0].cost * 1.000_001)
        );
    }
}
