//! A batch norm that is written out, and faults in it. The gradient check finds wrong derivatives;
//! the built-in layer finds wrong values and a wrong state.

use super::wave;
use backprop::activation::{Identity, Tanh};
use backprop::layer::{
    AnyLayer, At, Backward, BatchNorm, Block, Dense, Forward, Layer, LayerGradient, Len, Plan,
    Site, StateBlock,
};
use backprop::nalgebra::convert;
use backprop::{
    Builder, Error, Examples, GradientCheck, Network, Objective, Scalar, SquaredError, Workspace,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    // Values.
    UnbiasedInThePass,
    EpsilonOutsideTheRoot,
    RunningInTraining,
    BatchInEvaluation,
    // State.
    BiasedInTheState,
    MomentumTurnedRound,
    NeverWritten,
    VarianceOfOneValue,
    // Derivatives.
    StatisticsAsConstants,
    MeanAsConstant,
    VarianceAsConstant,
    DividedByTheUnits,
    BelowWithoutGamma,
    GammaFromX,
    // Penalty and start.
    GammaPenalised,
    GammaStartsAtZero,
}

use Fault::{
    BatchInEvaluation, BelowWithoutGamma, BiasedInTheState, DividedByTheUnits,
    EpsilonOutsideTheRoot, GammaFromX, GammaPenalised, GammaStartsAtZero, MeanAsConstant,
    MomentumTurnedRound, NeverWritten, RunningInTraining, StatisticsAsConstants, UnbiasedInThePass,
    VarianceAsConstant, VarianceOfOneValue,
};

const ALL: [Fault; 16] = [
    UnbiasedInThePass,
    EpsilonOutsideTheRoot,
    RunningInTraining,
    BatchInEvaluation,
    BiasedInTheState,
    MomentumTurnedRound,
    NeverWritten,
    VarianceOfOneValue,
    StatisticsAsConstants,
    MeanAsConstant,
    VarianceAsConstant,
    DividedByTheUnits,
    BelowWithoutGamma,
    GammaFromX,
    GammaPenalised,
    GammaStartsAtZero,
];

const EPS: f64 = 0.1;
const MOMENTUM: f64 = 0.3;

#[derive(Clone, Debug, PartialEq)]
struct Written(Fault);

/// μ and 1/√(σ² + ε) of a unit, and the biased variance.
struct Unit<T> {
    mean: T,
    scale: T,
    variance: T,
}

fn real<T: Scalar>(x: f64) -> T {
    convert(x)
}

/// Whether a pass has the statistics of its batch.
fn gathers<T: Scalar>(at: &At<'_, T>) -> bool {
    at.training && !at.plan.fixed_statistics()
}

impl Written {
    fn unit<T: Scalar>(&self, values: &[T], (mean, variance): (T, T), training: bool) -> Unit<T> {
        let n = real::<T>(values.len() as f64);
        let of_batch = values.iter().fold(T::zero(), |sum, &x| sum + x) / n;
        let squares = values.iter().map(|&x| (x - of_batch) * (x - of_batch));
        let biased = squares.fold(T::zero(), |sum, x| sum + x) / n;
        let batch = match self.0 {
            RunningInTraining => false,
            BatchInEvaluation => true,
            _ => training,
        };
        let (mean, mut variance) = if batch {
            (of_batch, biased)
        } else {
            (mean, variance)
        };
        if self.0 == UnbiasedInThePass && batch {
            variance = variance * n / (n - T::one());
        }
        let scale = if self.0 == EpsilonOutsideTheRoot {
            T::one() / (variance.sqrt() + real(EPS))
        } else {
            T::one() / (variance + real(EPS)).sqrt()
        };
        Unit {
            mean,
            scale,
            variance: biased,
        }
    }

    fn rows<T: Scalar>(x: backprop::nalgebra::DMatrixView<'_, T>) -> Vec<Vec<T>> {
        x.row_iter()
            .map(|row| row.iter().copied().collect())
            .collect()
    }
}

impl<T: Scalar> Layer<T> for Written {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        let n = site.input.len();
        let start = if self.0 == GammaStartsAtZero {
            0.0
        } else {
            1.0
        };
        let gamma = Block::constant("γ", n, 1, start);
        let gamma = match self.0 {
            GammaPenalised => gamma.penalised_from_column(0),
            _ => gamma,
        };
        Ok(Plan::new(site, site.input)
            .block(gamma)
            .block(Block::constant("β", n, 1, 0.0))
            .state(StateBlock::new("μ", n, 0.0))
            .state(StateBlock::new("σ²", n, 1.0).at_least(0.0))
            .keeps(Len::each(n)))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        let (n, m) = pass.input.shape();
        for (i, values) in Self::rows(pass.input).into_iter().enumerate() {
            let running = (pass.at.state[i], pass.at.state[n + i]);
            let unit = self.unit(&values, running, gathers(&pass.at));
            for (k, &x) in values.iter().enumerate() {
                let normal = (x - unit.mean) * unit.scale;
                pass.kept[k * n + i] = normal;
                pass.output[(i, k)] = pass.at.theta[i] * normal + pass.at.theta[n + i];
            }
            let state = pass.new_state.as_deref_mut();
            let Some(state) = state.filter(|_| gathers(&pass.at)) else {
                continue;
            };
            let p = match self.0 {
                NeverWritten => continue,
                MomentumTurnedRound => real::<T>(1.0 - MOMENTUM),
                _ => real(MOMENTUM),
            };
            let count = real::<T>(m as f64);
            let unbiased = match self.0 {
                BiasedInTheState => T::one(),
                _ if m > 1 => count / (count - T::one()),
                _ => T::one(),
            };
            state[i] += p * (unit.mean - state[i]);
            if m > 1 || self.0 == VarianceOfOneValue {
                state[n + i] += p * (unbiased * unit.variance - state[n + i]);
            }
        }
    }

    fn backward(&self, mut pass: Backward<'_, T>) {
        let (n, m) = pass.output.shape();
        let count = real::<T>(if self.0 == DividedByTheUnits { n } else { m } as f64);
        for (i, values) in Self::rows(pass.input).into_iter().enumerate() {
            let running = (pass.at.state[i], pass.at.state[n + i]);
            let unit = self.unit(&values, running, gathers(&pass.at));
            let normal = |k: usize| pass.kept[k * n + i];
            let delta = |k: usize| pass.delta[(i, k)];
            let sum = (0..m).fold(T::zero(), |sum, k| sum + delta(k));
            let product = (0..m).fold(T::zero(), |sum, k| sum + delta(k) * normal(k));
            if let LayerGradient::Sum(gradient) = &mut pass.gradient {
                gradient[i] = match self.0 {
                    GammaFromX => (0..m).fold(T::zero(), |sum, k| sum + delta(k) * values[k]),
                    _ => product,
                };
                gradient[n + i] = sum;
            }
            let Some(below) = &mut pass.input_delta else {
                continue;
            };
            let batch = match self.0 {
                StatisticsAsConstants | RunningInTraining => false,
                BatchInEvaluation => true,
                _ => gathers(&pass.at),
            };
            let (by_mean, by_variance) = match self.0 {
                MeanAsConstant => (false, batch),
                VarianceAsConstant => (batch, false),
                _ => (batch, batch),
            };
            let gamma = match self.0 {
                BelowWithoutGamma => T::one(),
                _ => pass.at.theta[i],
            };
            for k in 0..m {
                let mut d = delta(k);
                if by_mean {
                    d -= sum / count;
                }
                if by_variance {
                    d -= normal(k) * product / count;
                }
                below[(i, k)] = gamma * unit.scale * d;
            }
        }
    }
}

type Any = AnyLayer<Written>;

fn network(norm: Any) -> Network<f64, Any> {
    let layers = vec![
        Dense::new(3, 4, Tanh).into(),
        norm,
        Dense::new(4, 2, Identity).into(),
    ];
    let theta = wave::<f64>(16 + 8 + 10, 1, 0.8);
    let mut network = Network::from_layers(3, layers, theta.as_slice()).unwrap();
    let state = [0.1, -0.2, 0.3, 0.4, 0.5, 1.5, 0.7, 0.9];
    network.set_state(&state).unwrap();
    network
}

/// What differs between two networks whose norm should be the same: outputs, J, ∇J, the state after
/// a step, and the start, in both modes and with one example too.
fn differences(fault: Fault) -> Vec<&'static str> {
    let built_in = BatchNorm::new().eps(EPS).momentum(MOMENTUM);
    let expected = network(built_in.into());
    let found = network(AnyLayer::Custom(Written(fault)));
    let mut all = Vec::new();
    let mut compare = |what, f: &[f64], e: &[f64]| {
        let size = e.iter().fold(1.0_f64, |size, e| size.max(e.abs()));
        if f.iter().zip(e).any(|(f, e)| (f - e).abs() > 1e-12 * size) {
            all.push(what);
        }
    };
    for (training, m) in [(None, 5), (Some(2), 5), (Some(2), 1)] {
        let (x, y) = (wave::<f64>(3, m, 0.4), wave::<f64>(2, m, 1.9));
        let examples = Examples::new(&x, &y).unwrap();
        let objective = Objective::new(SquaredError).l2(0.5);
        let run = |network: &Network<f64, Any>| {
            let mut workspace = Workspace::new();
            workspace.set_training(training);
            let mut gradient = vec![0.0; network.parameters()];
            let parts = network
                .gradient_into(&examples, &objective, &mut workspace, &mut gradient)
                .ok()?;
            let mut after = network.clone();
            if training.is_some() {
                after.take_state(&workspace).unwrap();
            }
            Some((parts, gradient, after.state().clone()))
        };
        let (Some((j, g, s)), Some((of_j, of_g, of_s))) = (run(&found), run(&expected)) else {
            // 0/0, the unbiased variance of one value.
            assert_eq!((fault, m), (UnbiasedInThePass, 1));
            continue;
        };
        compare("the cost", &[j.data], &[of_j.data]);
        compare("the penalty", &[j.penalty], &[of_j.penalty]);
        compare("the gradient", &g, &of_g);
        compare("the state", s.as_slice(), of_s.as_slice());
    }
    let start = |layer: Any| {
        let builder = Builder::<f64, Any>::new(4).layer(layer);
        builder.zeros().unwrap().theta().clone()
    };
    compare(
        "the start",
        start(AnyLayer::Custom(Written(fault))).as_slice(),
        start(built_in.into()).as_slice(),
    );
    all
}

fn passes_the_checker(fault: Fault) -> bool {
    let network = network(AnyLayer::Custom(Written(fault)));
    let (x, y) = (wave::<f64>(3, 5, 0.4), wave::<f64>(2, 5, 1.9));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError).l2(0.5);
    [GradientCheck::new(), GradientCheck::new().training(2)]
        .iter()
        .all(|check| {
            let report = check.network(&network, &examples, &objective);
            report.unwrap().passed()
        })
}

#[test]
fn every_fault_is_found() {
    assert!(
        differences(Fault::None).is_empty(),
        "{:?}",
        differences(Fault::None)
    );
    assert!(passes_the_checker(Fault::None));
    for fault in ALL {
        let found = differences(fault);
        let expected: &[&str] = match fault {
            BiasedInTheState | MomentumTurnedRound | NeverWritten | VarianceOfOneValue => {
                &["the state"]
            }
            GammaPenalised => &["the penalty", "the gradient"],
            GammaStartsAtZero => &["the start"],
            StatisticsAsConstants
            | MeanAsConstant
            | VarianceAsConstant
            | DividedByTheUnits
            | BelowWithoutGamma
            | GammaFromX => &["the gradient"],
            _ => &["the cost", "the gradient"],
        };
        for what in expected {
            assert!(
                found.contains(what),
                "{fault:?} is not found in {what}: {found:?}"
            );
        }
        // Derivatives that are not those of the values are found without the other implementation.
        let of_derivatives = expected == ["the gradient"]
            || matches!(fault, UnbiasedInThePass | EpsilonOutsideTheRoot);
        assert_eq!(passes_the_checker(fault), !of_derivatives, "{fault:?}");
    }
}
