//! Each dimension, count and value of a valid call is broken in turn. The call returns the exact
//! error and changes nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

mod building;
mod checker;
mod containers;
mod data;
mod derivatives;
mod metrics;
mod parameters;
mod passes;
mod prepared;
mod ranks;
mod refusals;
mod state;
mod sums;
mod trainings;
mod values;

use backprop::activation::{Sigmoid, Tanh};
use backprop::argmin::core::{CostFunction, Gradient as _};
use backprop::layer::{AnyLayer, Backward, Block, Forward, Layer, LayerGradient, Len, Plan, Site};
use backprop::nalgebra::DMatrix;
use backprop::{
    Accumulator, ArgminProblem, BinaryCrossEntropy, Builder, Cost, Error, Examples, GradientCheck,
    Initialization, Location, Network, Objective, Scalar, VjpTargets, Workspace, rng,
};
use refusals::{no_cost, no_gradient, no_input_gradient};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// The values that are not finite.
const BAD: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

thread_local! {
    /// The variants of `Error` that this thread expected and received.
    static MET: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Runs the tests on one thread, which records the variants, and asserts that each variant occurs.
#[test]
fn every_error_variant_is_tested() {
    let tests: &[fn()] = &[
        ranks::sources_and_files,
        ranks::ranks_that_differ,
        ranks::ranks_that_fail,
        ranks::messages,
        building::sizes_that_do_not_fit,
        building::sizes_beyond_the_memory,
        building::blocks_that_are_not_there,
        building::layers_that_are_too_deep,
        containers::containers,
        containers::heads,
        containers::missing_targets,
        containers::plans_that_do_not_hold,
        containers::shapes_of_inputs,
        building::constants_of_activations,
        building::what_no_type_of_ours_provides,
        parameters::theta,
        parameters::blocks,
        parameters::dense,
        data::examples,
        data::weights,
        data::row_major_buffers,
        passes::shapes,
        passes::objectives,
        values::targets,
        values::outputs,
        values::overflow,
        sums::accumulators,
        prepared::labels_of_examples,
        prepared::scalers,
        prepared::splits,
        prepared::tables,
        metrics::metrics_of_outputs,
        derivatives::directions,
        derivatives::inputs,
        derivatives::buffers,
        derivatives::limits_of_norms,
        derivatives::overflow_along_directions,
        derivatives::overflow_of_single_examples,
        checker::functions,
        trainings::divergence,
        trainings::single_outputs,
        trainings::states_that_overflow,
        trainings::states_of_optimisers,
        trainings::checkpoints_of_others,
        state::states,
        state::given_numbers,
        state::couplings,
        state::weights_and_solvers,
        state::constants_of_layers,
        state::ids,
    ];
    tests.iter().for_each(|test| test());
    let mut declared = variants("Error", include_str!("../../../src/error.rs"));
    let locations = variants("Location", include_str!("../../../src/error/location.rs"));
    let faults = include_str!("../../../src/error/distributed.rs");
    let faults = variants("DistributedFault", faults);
    assert!(declared.remove("NonFinite") && declared.contains("NoLayers"));
    assert!(declared.remove("Distributed") && faults.contains("TimedOut"));
    assert!(locations.contains("Input") && locations.contains("Metric"));
    declared.extend(locations.into_iter().chain(faults));
    let met = MET.with_borrow(Clone::clone);
    let missing: Vec<_> = declared.difference(&met).collect();
    assert!(missing.is_empty(), "never returned: {missing:?}");
}

/// The variants of an enum in its source: the lines indented by four spaces that begin with a
/// capital letter.
fn variants(name: &str, source: &str) -> BTreeSet<String> {
    let (_, body) = source.split_once(&format!("pub enum {name} {{")).unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let names = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = names.filter(|name| name.starts_with(char::is_uppercase));
    names.map(|name| name_in(name).to_owned()).collect()
}

/// The name of a variant, printed or declared.
fn name_in(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

/// Returns whether two errors agree in all fields. NaNs are compared bit by bit.
#[track_caller]
fn same(what: &str, found: &Error, expected: &Error) {
    // Compared as text, because NaN is not equal to itself. No two other numbers print the same.
    let (text, wanted) = (format!("{found:?}"), format!("{expected:?}"));
    assert_eq!(text, wanted, "{what}");
    let values = (value_of(found), value_of(expected));
    assert_eq!(values.0, values.1, "{what}: another NaN in {text}");
    let fields = text.strip_prefix(&format!("{found} [")).expect(&text);
    let name = match found {
        Error::NonFinite { at, .. } => format!("{at:?}"),
        Error::Distributed { fault } => format!("{fault:?}"),
        _ => fields.to_owned(),
    };
    MET.with_borrow_mut(|met| met.insert(name_in(&name).to_owned()));
}

/// The bits of the value in an error, if it has one.
fn value_of(error: &Error) -> Option<u64> {
    match error {
        Error::NonFinite { value, .. }
        | Error::Target { value, .. }
        | Error::Output { value, .. }
        | Error::Weight { value, .. }
        | Error::TotalWeight { value }
        | Error::Spread { value, .. }
        | Error::Scaled { value, .. }
        | Error::Hyperparameter { value, .. } => Some(value.to_bits()),
        _ => None,
    }
}

/// Asserts that a call was refused with this error.
#[track_caller]
fn refused<R: Debug>(what: &str, found: Result<R, Error>, expected: &Error) {
    match found {
        Err(error) => same(what, &error, expected),
        Ok(result) => panic!("{what}: {result:?} instead of {expected:?}"),
    }
}

/// The same for errors that pass through argmin.
#[track_caller]
fn refused_by_argmin<R: Debug>(
    what: &str,
    found: Result<R, backprop::argmin::core::Error>,
    expected: &Error,
) {
    match found.unwrap_err().downcast::<Error>() {
        Ok(error) => same(what, &error, expected),
        Err(other) => panic!("{what}: {other:?} instead of {expected:?}"),
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn length(what: &'static str, expected: usize, found: usize) -> Error {
    Error::Length {
        what,
        expected,
        found,
    }
}

fn shape(what: &'static str, expected: (usize, usize), found: (usize, usize)) -> Error {
    Error::Shape {
        what,
        expected,
        found,
    }
}

fn index(what: &'static str, index: usize, count: usize) -> Error {
    Error::Index { what, index, count }
}

fn input(what: &'static str, (row, col): (usize, usize), value: f64) -> Error {
    Error::NonFinite {
        at: Location::Input { what, row, col },
        value,
    }
}

fn hyperparameter(name: &'static str, value: f64, expected: impl Into<Cow<'static, str>>) -> Error {
    Error::Hyperparameter {
        name,
        value,
        expected: expected.into(),
    }
}

/// One too few, one too many, zero, and more than fits in memory.
fn broken(size: usize) -> [usize; 4] {
    [size - 1, size + 1, 0, usize::MAX]
}

/// Wrong shapes instead of `rows` × `cols`: each dimension broken, and the two swapped.
fn broken_shapes(rows: usize, cols: usize) -> [(usize, usize); 8] {
    [
        (rows - 1, cols),
        (rows + 1, cols),
        (0, cols),
        (rows, cols - 1),
        (rows, cols + 1),
        (rows, 0),
        (cols, rows),
        (0, 0),
    ]
}

/// The matrix with each non-finite value at each place in turn. The error must name the first, not
/// a later one.
fn broken_entries(
    matrix: &DMatrix<f64>,
) -> impl Iterator<Item = (DMatrix<f64>, (usize, usize), f64)> {
    let (rows, len) = (matrix.nrows(), matrix.len());
    (0..len).flat_map(move |at| {
        BAD.map(|bad| {
            let mut matrix = matrix.clone();
            matrix[len - 1] = f64::NEG_INFINITY;
            matrix[at] = bad;
            (matrix, (at % rows, at / rows), bad)
        })
    })
}

/// A layer with these sizes and blocks, which keeps `kept` scalars. Its outputs are 1.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    inputs: usize,
    outputs: usize,
    kept: usize,
    blocks: Vec<Block>,
}

impl Told {
    fn new(inputs: usize, outputs: usize, blocks: &[Block]) -> Self {
        Self {
            inputs,
            outputs,
            kept: 0,
            blocks: blocks.to_vec(),
        }
    }
}

impl<T: Scalar> Layer<T> for Told {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        site.check_inputs(self.inputs)?;
        let plan = Plan::new(site, self.outputs).keeps(Len::fixed(self.kept));
        Ok(self.blocks.iter().cloned().fold(plan, Plan::block))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        pass.output.fill(T::one());
        pass.kept.fill(T::zero());
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let LayerGradient::Sum(gradient) = pass.gradient {
            gradient.fill(T::zero());
        }
        if let Some(mut below) = pass.input_delta {
            below.fill(T::zero());
        }
    }
}

/// A layer with two blocks, a dense layer and a layer without parameters.
fn mixed() -> Network<f64, AnyLayer<Told>> {
    let blocks = [Block::new("U", 2, 3), Block::new("V", 1, 2)];
    Builder::new(3)
        .layer(AnyLayer::Custom(Told::new(3, 2, &blocks)))
        .dense(2, Tanh)
        .layer(AnyLayer::Custom(Told::new(2, 1, &[])))
        .initialize(Initialization::GlorotUniform, &mut rng(2))
        .unwrap()
}

/// The valid problem that every test breaks in one place: 3-4-2, five examples.
struct Problem {
    network: Network<f64>,
    x: DMatrix<f64>,
    y: DMatrix<f64>,
    weights: [f64; 5],
    objective: Objective,
}

impl Problem {
    fn new() -> Self {
        let builder = Network::builder(3).dense(4, Tanh).dense(2, Sigmoid);
        let start = Initialization::GlorotUniform;
        Self {
            network: builder.initialize(start, &mut rng(3)).unwrap(),
            x: DMatrix::from_fn(3, 5, |i, k| ((1 + i + 3 * k) as f64).sin()),
            y: DMatrix::from_fn(2, 5, |i, k| 0.2 * ((i + 2 * k) % 6) as f64),
            weights: [1.0, 0.5, 0.0, 2.0, 3.0],
            objective: Objective::new(BinaryCrossEntropy).l1(0.2).l2(0.5),
        }
    }

    fn examples(&self) -> Examples<'_, f64> {
        let examples = Examples::new(&self.x, &self.y).unwrap();
        examples.weighted(&self.weights).unwrap()
    }

    /// The bits of all results of the problem, in buffers that a failed pass may have left.
    fn bits(&self, workspace: &mut Workspace<f64>) -> Vec<u64> {
        let (network, examples, objective) = (&self.network, self.examples(), &self.objective);
        let outputs = network.forward_into(&self.x, workspace).unwrap();
        let mut all: Vec<f64> = outputs.iter().copied().collect();
        let parts = network.cost_into(&examples, objective, workspace).unwrap();
        all.extend([parts.data, parts.penalty]);
        all.extend_from_slice(workspace.costs());
        let mut gradient = vec![0.0; 26];
        let parts = network.gradient_into(&examples, objective, workspace, &mut gradient);
        let parts = parts.unwrap();
        all.extend([parts.data, parts.penalty]);
        all.extend(gradient);
        let mut of_x = [0.0; 15];
        let done = network.gradients_into(
            &examples,
            objective,
            workspace,
            VjpTargets::of_inputs(&mut of_x),
        );
        done.unwrap();
        all.extend(of_x);
        let (v, mut product) = ([0.5; 52], [0.0; 52]);
        let done = network.hessian_product_into(&examples, objective, &v, workspace, &mut product);
        done.unwrap();
        all.extend(product);
        let mut jacobians = [0.0; 30];
        let done = network.output_jacobian_into(&self.x, workspace, &mut jacobians);
        done.unwrap();
        all.extend(jacobians);
        let mut norms = [0.0; 5];
        let cost = &objective.cost;
        let done = network
            .example_gradients(&examples, cost)
            .norms_into(workspace, &mut norms);
        done.unwrap();
        all.extend(norms);
        let mut sums = Accumulator::new(network).unwrap();
        let added = sums.add(network, &examples, &objective.cost, workspace);
        added.unwrap();
        all.extend_from_slice(sums.delta().as_slice());
        all.push(sums.finish(network, &objective.penalty).unwrap().cost());
        bits(&all)
    }
}
