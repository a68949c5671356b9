//! Values that can be worked out by hand.

use backprop::activation::Identity;
use backprop::layer::{At, Backward, Embedding, Forward, Layer, LayerGradient, Site};
use backprop::nalgebra::{DMatrix, DVector};
use backprop::{
    Accumulator, Error, Examples, GaussNewton, Initialization, Network, Objective, Shape,
    SquaredError, Tangent, Workspace, rng,
};

/// Four entries of two features: (1, −1), (2, −2), (3, −3), (4, −4).
const TABLE: [f64; 8] = [1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 4.0, -4.0];

fn network() -> Network<f64> {
    Network::builder(2)
        .embedding(4, 2)
        .with_theta(&TABLE)
        .unwrap()
}

/// Example 0 has the ids 2 and 0, example 1 has 2 twice. Ids 1 and 3 do not occur.
fn data() -> (DMatrix<f64>, DMatrix<f64>) {
    let x = DMatrix::from_column_slice(2, 2, &[2.0, 0.0, 2.0, 2.0]);
    let y = DMatrix::from_column_slice(4, 2, &[1.0, 0.0, 0.0, 1.0, 2.0, 2.0, 3.0, 5.0]);
    (x, y)
}

#[test]
fn the_output_is_a_sequence_of_vectors() {
    let network = network();
    assert_eq!((network.outputs(), network.parameters()), (4, 8));
    let layout = network.layout();
    assert_eq!(layout.blocks()[0].label(), "E⁽¹⁾");
    assert_eq!(layout.blocks()[0].penalised(), 0..8);
    let text = network.to_string();
    assert!(
        text.contains("Embedding  2 steps × 2 features  E⁽¹⁾ 2 × 4      8"),
        "{text}"
    );
    let a = network.forward(&data().0).unwrap();
    assert_eq!(a.as_slice(), &[3.0, -3.0, 1.0, -1.0, 3.0, -3.0, 3.0, -3.0]);
}

/// δ = a − y is (2, −3), (1, −2) in example 0 and (1, −5), (0, −8) in example 1.
#[test]
fn the_gradient_adds_up_repeated_ids_and_penalises_unused_ones() {
    let (network, (x, y)) = (network(), data());
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let pass = network.backprop(&examples, &objective).unwrap();
    // Column 0 is (1, −2)/2, and column 2 is ((2, −3) + (1, −5) + (0, −8))/2.
    let data_gradient = [0.5, -1.0, 0.0, 0.0, 1.5, -8.0, 0.0, 0.0];
    assert_eq!(pass.gradient().vector().as_slice(), &data_gradient);
    assert_eq!(
        pass.cost(),
        0.25 * (4.0 + 9.0 + 1.0 + 4.0 + 1.0 + 25.0 + 64.0)
    );

    // λE/m is added to every entry, and λ/2m Σ E² to J.
    let penalised = network.backprop(&examples, &objective.l2(0.5)).unwrap();
    let expected: Vec<f64> = (0..8).map(|i| data_gradient[i] + 0.25 * TABLE[i]).collect();
    assert_eq!(penalised.gradient().vector().as_slice(), expected);
    assert_eq!(penalised.cost(), pass.cost() + 0.125 * 60.0);
}

#[test]
fn weights_of_examples_and_accumulators_scale_delta() {
    let (network, (x, y)) = (network(), data());
    let examples = Examples::new(&x, &y)
        .unwrap()
        .weighted(&[3.0, 0.0])
        .unwrap();
    let objective = Objective::new(SquaredError);
    let pass = network.backprop(&examples, &objective).unwrap();
    let expected = [1.0, -2.0, 0.0, 0.0, 2.0, -3.0, 0.0, 0.0];
    assert_eq!(pass.gradient().vector().as_slice(), &expected);

    let mut sums = Accumulator::new(&network).unwrap();
    for k in 0..2 {
        let (x, y) = (x.columns(k, 1), y.columns(k, 1));
        let one = Examples::new(x, y).unwrap();
        sums.add(&network, &one, &SquaredError, &mut Workspace::new())
            .unwrap();
    }
    assert_eq!(
        sums.delta().as_slice(),
        &[1.0, -2.0, 0.0, 0.0, 3.0, -16.0, 0.0, 0.0]
    );
}

#[test]
fn gradients_of_single_examples() {
    let (network, (x, y)) = (network(), data());
    let examples = Examples::new(&x, &y).unwrap();
    let each = network.example_gradients(&examples, &SquaredError);
    let expected = [
        [1.0, -2.0, 0.0, 0.0, 2.0, -3.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 1.0, -13.0, 0.0, 0.0],
    ];
    assert_eq!(each.matrix().unwrap().as_slice(), expected.concat());
    // The two uses of id 2 in example 1 are one vector: 1² + 13², not 1² + 5² + 8².
    let norms = DVector::from_vec(vec![18.0_f64.sqrt(), 170.0_f64.sqrt()]);
    assert_eq!(each.norms().unwrap(), norms);
}

/// a is linear in E, and H is diagonal: the number of uses of each entry over m, and λ/m.
#[test]
fn the_hessian_counts_uses() {
    let (network, (x, y)) = (network(), data());
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError).l2(0.5);
    let hessian = network.hessian(&examples, &objective).unwrap();
    let diagonal = [0.75, 0.75, 0.25, 0.25, 1.75, 1.75, 0.25, 0.25];
    assert_eq!(
        hessian,
        DMatrix::from_diagonal(&DVector::from_row_slice(&diagonal))
    );
    let v: Vec<f64> = (1..9).map(f64::from).collect();
    let product = network.hessian_product(&examples, &objective, &v).unwrap();
    let expected: Vec<f64> = (0..8).map(|i| diagonal[i] * v[i]).collect();
    assert_eq!(product.as_slice(), expected);
    let at = GaussNewton::Outputs;
    let product = network
        .gauss_newton_product(&examples, &objective, at, &v)
        .unwrap();
    assert_eq!(product.as_slice(), expected);
    let tangent = network.jvp(&x, Tangent::of_parameters(&v)).unwrap();
    assert_eq!(
        tangent.as_slice(),
        &[5.0, 6.0, 1.0, 2.0, 5.0, 6.0, 5.0, 6.0]
    );
}

/// Only the vectors of the ids are read, however long the table is, and the room that passes take
/// does not depend on its length.
#[test]
fn the_cost_of_a_pass_does_not_depend_on_the_table() {
    let plan = |entries| Layer::<f64>::plan(&Embedding::new(entries, 3), Site::new(2)).unwrap();
    let lens = |entries| {
        let plan = plan(entries);
        (
            plan.room_len(5),
            plan.kept(backprop::layer::Keep::Curvature, 5),
        )
    };
    assert_eq!(lens(10), (3, 0));
    assert_eq!(lens(1_000_000), (3, 0));

    let (layer, plan) = (Embedding::new(1000, 3), plan(1000));
    let mut table = vec![f64::NAN; 3000];
    for id in [7, 999] {
        table[3 * id..][..3].fill(id as f64);
    }
    let x = DMatrix::from_row_slice(2, 1, &[999.0, 7.0]);
    let mut output = DMatrix::repeat(6, 1, f64::NAN);
    let at = At::new(&plan, &table);
    layer.forward(Forward::new(at, x.as_view(), output.as_view_mut(), &mut []));
    assert_eq!(output.as_slice(), &[999.0, 999.0, 999.0, 7.0, 7.0, 7.0]);

    // The squared norm needs no vector as long as the table.
    let mut delta = DMatrix::from_element(6, 1, 2.0);
    let (mut norms, mut room) = ([1.0], [f64::NAN; 3]);
    let mut pass = Backward::new(at, x.as_view(), output.as_view(), &[], delta.as_view_mut());
    pass.gradient = LayerGradient::SquaredNorms(&mut norms);
    pass.room = &mut room;
    layer.backward_each(pass);
    assert_eq!(norms, [1.0 + 24.0]);
}

/// A number that is not an id is never another entry, even if the layer is called by itself.
#[test]
fn a_layer_by_itself_gives_nan_for_what_is_not_an_id() {
    let layer = Embedding::new(2, 1);
    let plan = Layer::<f64>::plan(&layer, Site::new(1)).unwrap();
    for x in [-1.0, 2.0, 0.5, 1e300, -1e300, f64::NAN, f64::INFINITY] {
        let (x, mut output) = (DMatrix::repeat(1, 1, x), DMatrix::repeat(1, 1, 0.0));
        let at = At::new(&plan, &[5.0, 6.0]);
        layer.forward(Forward::new(at, x.as_view(), output.as_view_mut(), &mut []));
        assert!(output[0].is_nan());
        let (mut gradient, mut delta) = ([f64::NAN; 2], DMatrix::repeat(1, 1, 1.0));
        let mut pass = Backward::new(at, x.as_view(), output.as_view(), &[], delta.as_view_mut());
        pass.gradient = LayerGradient::Sum(&mut gradient);
        layer.backward(pass);
        assert_eq!(gradient, [0.0, 0.0]);
    }
    // −0 is 0.
    let network = Network::<f64>::builder(1)
        .embedding(2, 1)
        .with_theta(&[5.0, 6.0])
        .unwrap();
    assert_eq!(network.forward(&[-0.0]).unwrap()[0], 5.0);
}

#[test]
fn sizes_and_shapes_are_checked() {
    let build = |entries, dim| Network::<f64>::builder(3).embedding(entries, dim).zeros();
    let none = Err(Error::ZeroUnits { layer: 0.into() });
    assert_eq!(build(0, 2), none);
    assert_eq!(build(2, 0), none);
    assert!(matches!(build(usize::MAX, 2), Err(Error::TooLarge { .. })));
    assert!(matches!(build(2, usize::MAX), Err(Error::TooLarge { .. })));
    let found = Shape::Sequence {
        steps: 3,
        features: 1,
    };
    let sequence = Network::<f64>::builder(found).embedding(4, 2).zeros();
    assert_eq!(
        sequence,
        Err(Error::LayerShape {
            layer: 0.into(),
            expected: "plain units, one for each id",
            found,
        })
    );
    let embedding = Embedding::new(4, 2);
    assert_eq!((embedding.entries(), embedding.dim()), (4, 2));
}

/// Under the rules that scale with the size of a layer, the entries are standard normal.
#[test]
fn the_table_starts_standard_normal_unless_the_initialiser_names_a_distribution() {
    let start = |rule| {
        let builder = Network::<f64>::builder(1).embedding(2000, 10);
        builder
            .initialize(rule, &mut rng(3))
            .unwrap()
            .theta()
            .clone()
    };
    for rule in [
        Initialization::GlorotUniform,
        Initialization::GlorotNormal,
        Initialization::HeUniform,
        Initialization::HeNormal,
        Initialization::LecunUniform,
        Initialization::LecunNormal,
    ] {
        let theta = start(rule);
        // 20 000 numbers: the standard errors are 0.007 and 0.005.
        assert!(theta.mean().abs() < 0.03 && (theta.variance().sqrt() - 1.0).abs() < 0.02);
        assert!(theta.amax() > 3.0);
        assert_eq!(theta, start(Initialization::Normal { sigma: 1.0 }));
    }
    assert_eq!(
        start(Initialization::Constant { value: 0.25 }),
        DVector::repeat(20_000, 0.25)
    );
    let theta = start(Initialization::Uniform { epsilon: 0.1 });
    assert!(theta.amax() <= 0.1 && theta.variance() < 0.004);
    let theta = start(Initialization::Normal { sigma: 0.5 });
    assert!((theta.variance().sqrt() - 0.5).abs() < 0.01);
}

/// `freeze` keeps the table, and nothing is computed for it.
#[test]
fn a_frozen_table_is_a_constant() {
    let mut network = Network::<f64>::builder(2)
        .embedding(4, 2)
        .flatten()
        .dense(1, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    network.freeze(0).unwrap();
    let (x, _) = data();
    let y = DMatrix::from_row_slice(1, 2, &[1.0, 2.0]);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError).l2(1.0);
    let mut gradient = vec![f64::NAN; network.parameters()];
    let mut workspace = Workspace::new();
    network
        .gradient_into(&examples, &objective, &mut workspace, &mut gradient)
        .unwrap();
    assert!(gradient[..8].iter().all(|&g| g == 0.0));
    assert!(gradient[8..].iter().all(|&g| g != 0.0));
}
