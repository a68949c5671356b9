//! Wrappers of a layer, an activation or a cost delegate every method, with its arguments.

use super::with_linked;
use backprop::activation::{Activation, AnyActivation, Elu, LeakyRelu, Sigmoid, Softmax, Tanh};
use backprop::cost::{Cost, Link, Outputs, Violation};
use backprop::layer::{
    Affine, AnyLayer, At, Backward, BackwardTangent, Block, Couples, Forward, ForwardTangent, Keep,
    Layer, LayerGradient, Len, Place, Plan, Site,
};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use backprop::{Dense, Error, Examples, Network, Objective, Shape};
use std::sync::Mutex;

const LINK: Link = Link::Custom("probe");

fn refusal() -> Error {
    Error::Hyperparameter {
        name: "probe",
        value: 17.0,
        expected: "something else".into(),
    }
}

/// Records each call, and returns a value that no default method returns.
#[derive(Debug, Default)]
struct Probe {
    calls: Mutex<Vec<&'static str>>,
    /// Whether `validate` accepts its constants.
    valid: bool,
}

impl Probe {
    fn valid() -> Self {
        Self {
            valid: true,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.valid { Ok(()) } else { Err(refusal()) }
    }

    fn note(&self, call: &'static str) {
        self.calls.lock().unwrap().push(call);
    }

    fn noted(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().clone()
    }
}

/// A plan that differs from a new one in everything. Its room depends on how deep the site is.
fn plan_of_probe(site: Site) -> Plan {
    let levels = (0..).scan(site, |site, _| {
        *site = site.child(site.input, false).ok()?;
        Some(())
    });
    let output = Shape::Sequence {
        steps: 4,
        features: 8,
    };
    let z = Place::Kept(Len::fixed(7).into());
    Plan::new(site, output)
        .block(Block::new("probe", 5, 7).penalised_from_column(3))
        .keeps(Len::each(1) + Len::fixed(1000))
        .room(Len::each(2) + Len::fixed(levels.count()))
        .product(Affine {
            units: 2,
            inputs: 3,
            columns: 4,
        })
        .z(z, Some(LINK))
        .couples(Couples::InTraining)
        .own_each()
}

/// The mode of the passes, in which no field has its default.
fn at<'a>(plan: &'a Plan, theta: &'a [f64]) -> At<'a, f64> {
    let mut at = At::new(plan, theta);
    (at.keep, at.training, at.seed, at.first_example) = (Keep::Z, true, 8, 9);
    at
}

#[track_caller]
fn check_mode(at: At<'_, f64>) {
    assert_eq!((at.plan.output().len(), at.theta), (32, &[2.5][..]));
    assert_eq!((at.keep, at.training), (Keep::Z, true));
    assert_eq!((at.seed, at.first_example), (8, 9));
}

impl Layer<f64> for Probe {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        self.note("plan");
        if site.input.len() == 31 {
            Ok(plan_of_probe(site))
        } else {
            Err(refusal())
        }
    }

    fn forward(&self, mut pass: Forward<'_, f64>) {
        self.note("forward");
        check_mode(pass.at);
        assert_eq!((pass.room.len(), pass.scratch.len()), (2, 3));
        pass.output.fill(41.0);
        pass.kept.fill(42.0);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        self.note("backward");
        check_mode(pass.at);
        assert_eq!((pass.room.len(), pass.scratch.len()), (2, 3));
        assert!(pass.linked.get());
        if let LayerGradient::Sum(gradient) = pass.gradient {
            gradient.fill(43.0);
        }
        if let Some(mut below) = pass.input_delta {
            below.fill(44.0);
        }
    }

    fn backward_each(&self, pass: Backward<'_, f64>) {
        self.note("backward_each");
        check_mode(pass.at);
        assert!(pass.linked.get());
        if let (LayerGradient::SquaredNorms(norms), Some(mut below)) =
            (pass.gradient, pass.input_delta)
        {
            norms.fill(47.0);
            below.fill(48.0);
        }
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, f64>) -> Result<(), Error> {
        self.note("forward_tangent");
        check_mode(pass.at);
        pass.output_tangent.fill(45.0);
        Ok(())
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, f64>) -> Result<(), Error> {
        self.note("backward_tangent");
        check_mode(along.pass.at);
        if let Some(gradient) = along.gradient_tangent {
            gradient.fill(46.0);
        }
        Ok(())
    }

    fn name(&self) -> String {
        "the probe".into()
    }
}

/// Calls every method of a layer.
fn ask_layer<L: Layer<f64> + ?Sized>(layer: &L) {
    let site = Site::new(31);
    let signal = Shape::Signal {
        channels: 1,
        length: 31,
    };
    let inner = site.child(signal, true).unwrap();
    for site in [site, site.hidden(), inner] {
        assert_eq!(layer.plan(site), Ok(plan_of_probe(site)));
    }
    assert_eq!(layer.plan(Site::new(30)), Err(refusal()));
    assert_eq!(layer.name(), "the probe");

    let plan = plan_of_probe(site);
    let (x, at) = (DMatrix::zeros(1, 1), at(&plan, &[2.5]));
    with_linked(true, |linked| {
        let (mut out, mut kept) = (x.clone(), [0.0]);
        let (mut room, mut scratch) = ([0.0; 2], [0.0; 3]);
        let mut pass = Forward::new(at, x.as_view(), out.as_view_mut(), &mut kept);
        (pass.room, pass.scratch) = (&mut room, &mut scratch);
        layer.forward(pass);
        assert_eq!((out[0], kept[0]), (41.0, 42.0));

        let (mut delta, mut below, mut gradient) = (x.clone(), x.clone(), [0.0]);
        let mut pass = Backward::new(at, x.as_view(), x.as_view(), &[], delta.as_view_mut());
        (pass.room, pass.scratch) = (&mut room, &mut scratch);
        pass.linked = linked;
        pass.gradient = LayerGradient::Sum(&mut gradient);
        pass.input_delta = Some(below.as_view_mut());
        layer.backward(pass);
        assert_eq!((gradient[0], below[0]), (43.0, 44.0));

        let mut norms = [0.0];
        let mut pass = Backward::new(at, x.as_view(), x.as_view(), &[], delta.as_view_mut());
        pass.linked = linked;
        pass.gradient = LayerGradient::SquaredNorms(&mut norms);
        pass.input_delta = Some(below.as_view_mut());
        layer.backward_each(pass);
        assert_eq!((norms[0], below[0]), (47.0, 48.0));

        let view = out.as_view_mut();
        let pass = ForwardTangent::new(at, x.as_view(), x.as_view(), &[], view, &mut []);
        assert_eq!(layer.forward_tangent(pass), Ok(()));
        assert_eq!(out[0], 45.0);

        let mut delta_dot = x.clone();
        let pass = Backward::new(at, x.as_view(), x.as_view(), &[], delta.as_view_mut());
        let mut tangent = BackwardTangent::new(pass, x.as_view(), &[], delta_dot.as_view_mut());
        tangent.gradient_tangent = Some(&mut gradient);
        assert_eq!(layer.backward_tangent(tangent), Ok(()));
        assert_eq!(gradient[0], 46.0);
    });
}

#[test]
fn layers_delegate_everything() {
    let probe = Probe::default();
    ask_layer(&probe);
    let passes = "plan plan plan plan forward backward backward_each forward_tangent \
                  backward_tangent";
    assert_eq!(probe.noted().join(" "), passes);

    ask_layer(&probe as &dyn Layer<f64>);
    ask_layer(&Box::<Probe>::default());
    let boxed = || -> Box<dyn Layer<f64>> { Box::<Probe>::default() };
    ask_layer(&boxed());
    ask_layer(&*boxed());
    ask_layer(&Box::new(boxed()));
    ask_layer(&AnyLayer::Custom(Probe::default()));
    ask_layer(&AnyLayer::Custom(boxed()));
    ask_layer(&AnyLayer::Custom(AnyLayer::Custom(Probe::default())));
    ask_layer(&Box::new(AnyLayer::Custom(Probe::default())) as &dyn Layer<f64>);
    // Each wrapper calls the probe exactly once.
    let custom = AnyLayer::Custom(Box::<Probe>::default());
    ask_layer(&custom);
    match custom {
        AnyLayer::Custom(probe) => assert_eq!(probe.noted().join(" "), passes),
        other => panic!("{other:?}"),
    }
}

impl Activation<f64> for Probe {
    fn forward(&self, z: DMatrixView<'_, f64>, mut a: DMatrixViewMut<'_, f64>) {
        self.note("forward");
        a.copy_from(&z.add_scalar(1.0));
    }

    fn backward(
        &self,
        z: DMatrixView<'_, f64>,
        a: DMatrixView<'_, f64>,
        mut delta: DMatrixViewMut<'_, f64>,
    ) {
        self.note("backward");
        delta.copy_from(&(z * 10.0 + a * 100.0));
    }

    fn as_builtin(&self) -> Option<AnyActivation> {
        Some(Tanh)
    }

    fn link(&self) -> Option<Link> {
        Some(LINK)
    }

    fn validate(&self) -> Result<(), Error> {
        self.check()
    }

    fn name(&self) -> String {
        "the probe".into()
    }

    fn forward_tangent(
        &self,
        z: DMatrixView<'_, f64>,
        a: DMatrixView<'_, f64>,
        z_tangent: DMatrixView<'_, f64>,
        mut a_tangent: DMatrixViewMut<'_, f64>,
    ) -> Result<(), Error> {
        self.note("forward_tangent");
        a_tangent.copy_from(&(z * 10.0 + a * 100.0 + z_tangent * 1000.0));
        Ok(())
    }

    fn backward_tangent(
        &self,
        z: DMatrixView<'_, f64>,
        a: DMatrixView<'_, f64>,
        z_tangent: DMatrixView<'_, f64>,
        mut delta: DMatrixViewMut<'_, f64>,
        mut delta_tangent: DMatrixViewMut<'_, f64>,
    ) -> Result<(), Error> {
        self.note("backward_tangent");
        delta.fill(51.0);
        delta_tangent.copy_from(&(z * 10.0 + a * 100.0 + z_tangent * 1000.0));
        Ok(())
    }
}

fn ask_activation<A: Activation<f64> + ?Sized>(g: &A) {
    assert_eq!(g.as_builtin(), Some(Tanh));
    assert_eq!(g.link(), Some(LINK));
    assert_eq!(g.validate(), Err(refusal()));
    assert_eq!(g.name(), "the probe");
    // Distinct arguments, so that swapping two of them changes the sums.
    let [z, a, t] = [2.0, 3.0, 5.0].map(|v| DMatrix::repeat(1, 1, v));
    let mut out = DMatrix::zeros(1, 1);
    g.forward(z.as_view(), out.as_view_mut());
    assert_eq!(out[0], 3.0);
    g.backward(z.as_view(), a.as_view(), out.as_view_mut());
    assert_eq!(out[0], 320.0);
    let found = g.forward_tangent(z.as_view(), a.as_view(), t.as_view(), out.as_view_mut());
    assert_eq!((found, out[0]), (Ok(()), 5320.0));
    let mut other = DMatrix::zeros(1, 1);
    let views = (out.as_view_mut(), other.as_view_mut());
    let found = g.backward_tangent(z.as_view(), a.as_view(), t.as_view(), views.0, views.1);
    assert_eq!((found, out[0], other[0]), (Ok(()), 51.0, 5320.0));
}

#[test]
fn activations_delegate_everything() {
    let probe = Probe::default();
    ask_activation(&probe);
    ask_activation(&probe as &dyn Activation<f64>);
    let boxed = || -> Box<dyn Activation<f64>> { Box::<Probe>::default() };
    ask_activation(&boxed());
    ask_activation(&*boxed());
    ask_activation(&Box::new(boxed()));
    let alone = Box::<Probe>::default();
    ask_activation(&alone);
    let passes = ["forward", "backward", "forward_tangent", "backward_tangent"];
    assert_eq!(alone.noted(), passes);
}

/// A dense layer takes its link, name and constants from its activation, and calls it in both
/// passes where it keeps z. Elsewhere it computes the built-in activation that this one is.
#[test]
fn dense_layers_delegate_to_their_activation() {
    let dense = |probe: Probe| Dense::new(1, 1, Box::new(probe));
    let boxed: Box<dyn Layer<f64>> = Box::new(dense(Probe::valid()));
    let (alone, any) = (
        dense(Probe::valid()),
        AnyLayer::Custom(dense(Probe::valid())),
    );
    let layers: [&dyn Layer<f64>; 3] = [&alone, &boxed, &any];
    for layer in layers {
        assert_eq!(layer.name(), "Dense the probe");
        let site = Site::new(1);
        let plans = [site, site.hidden()].map(|site| layer.plan(site).unwrap());
        for plan in &plans {
            // To declare what the plan already states changes nothing.
            let z = Place::Kept(Len::default().into());
            assert_eq!(plan.clone().z(z, Some(LINK)), *plan);
            assert_ne!(plan.clone().z(z, None), *plan);
            assert_eq!(plan.kept(Keep::Z, 1), 1);
        }
        // θ = (0, 2), x = 3: z = 6, which the probe makes 7.
        let [end, hidden] = plans;
        let (x, mut a, mut kept) = (DMatrix::repeat(1, 1, 3.0), DMatrix::zeros(1, 1), [0.0]);
        let theta = [0.0, 2.0];
        let mut at = At::new(&hidden, &theta);
        at.keep = Keep::Slope;
        assert_eq!(hidden.kept(at.keep, 1), 1);
        layer.forward(Forward::new(at, x.as_view(), a.as_view_mut(), &mut kept));
        let (mut tanh, mut slope) = (a.clone(), [0.0]);
        let pass = Forward::new(at, x.as_view(), tanh.as_view_mut(), &mut slope);
        Dense::new(1, 1, Tanh).forward(pass);
        assert_eq!((&a, kept), (&tanh, slope));
        assert!((a[0] - 6.0_f64.tanh()).abs() < 1e-14);
        let (mut delta, mut gradient) = (DMatrix::repeat(1, 1, 1.0), [0.0; 2]);
        let view = delta.as_view_mut();
        let mut pass = Backward::new(at, x.as_view(), a.as_view(), &kept, view);
        pass.gradient = LayerGradient::Sum(&mut gradient);
        layer.backward(pass);
        assert_eq!(gradient, [kept[0], 3.0 * kept[0]]);

        at.keep = Keep::Z;
        layer.forward(Forward::new(at, x.as_view(), a.as_view_mut(), &mut kept));
        assert_eq!((a[0], kept[0]), (7.0, 6.0));
        let at = At::new(&end, &theta);
        let (mut a, mut z) = (DMatrix::zeros(1, 1), [0.0]);
        layer.forward(Forward::new(at, x.as_view(), a.as_view_mut(), &mut z));
        assert_eq!((a[0], z[0]), (7.0, 6.0));
        // δ = 10 z + 100 a = 760, unless it is ∂cost/∂z already.
        for (linked, expected) in [(false, 760.0), (true, 1.0)] {
            with_linked(linked, |linked| {
                let (mut delta, mut gradient) = (DMatrix::repeat(1, 1, 1.0), [0.0; 2]);
                let view = delta.as_view_mut();
                let mut pass = Backward::new(at, x.as_view(), a.as_view(), &z, view);
                pass.linked = linked;
                pass.gradient = LayerGradient::Sum(&mut gradient);
                layer.backward(pass);
                assert_eq!(gradient, [expected, 3.0 * expected]);
            });
        }
    }
    // In a network, a cost with the link of the activation reads z.
    let network = Network::from_layers(1, vec![alone], &[0.0, 2.0]).unwrap();
    let [x, y] = [3.0, 5.0].map(|v| DMatrix::repeat(1, 1, v));
    let (examples, objective) = (
        Examples::new(&x, &y).unwrap(),
        Objective::new(Probe::valid()),
    );
    assert_eq!(network.cost(&examples, &objective), Ok(576.0));
    let network = Network::from_layers(1, vec![dense(Probe::default())], &[0.0; 2]);
    assert_eq!(network.unwrap_err(), refusal());
}

/// `AnyLayer::Dense` is the dense layer, with the link, name and constants of its activation.
#[test]
fn any_layer_delegates_to_dense() {
    let any = |g: AnyActivation| AnyLayer::<Probe>::Dense(Dense::new(4, 3, g));
    for (g, link, name) in [
        (Sigmoid, Some(Link::Logit), "Dense Sigmoid"),
        (Softmax, Some(Link::Softmax), "Dense Softmax"),
        (Tanh, None, "Dense Tanh"),
        (Elu { alpha: 1.5 }, None, "Dense Elu(1.5)"),
    ] {
        let (layer, dense) = (any(g), Dense::new(4, 3, g));
        assert_eq!(layer.name(), name);
        for site in [Site::new(4), Site::new(4).hidden()] {
            let plan = layer.plan(site).unwrap();
            assert_eq!(Layer::<f64>::plan(&dense, site), Ok(plan.clone()));
            assert_eq!((plan.input().len(), plan.output().len()), (4, 3));
            assert_eq!(plan.kept(Keep::Z, 5), 15);
            // To declare what the plan already states changes nothing.
            let z = Place::Kept(Len::default().into());
            assert_eq!(plan.clone().z(z, link), plan);
            assert_ne!(plan.clone().z(z, Some(LINK)), plan);
            assert_eq!(plan.clone().couples(Couples::Never).own_each(), plan);
        }
        let layers = vec![layer];
        let network = Network::from_layers(4, layers, &[0.0; 15]).unwrap();
        let blocks = network.layout().blocks();
        let block = Block::new("Θ", 3, 5).penalised_from_column(1);
        assert_eq!((blocks.len(), blocks[0].block()), (1, &block));
    }
    let slope = f64::INFINITY;
    let bad = any(LeakyRelu { slope });
    let expected = Error::Hyperparameter {
        name: "the slope of LeakyRelu",
        value: slope,
        expected: "a finite number".into(),
    };
    assert_eq!(bad.plan(Site::new(4)), Err(expected));
}

impl Cost<f64> for Probe {
    fn values(&self, at: &Outputs<'_, f64>, values: &mut [f64]) {
        self.note("values");
        values.fill(sum(at));
    }

    fn delta(&self, at: &Outputs<'_, f64>, mut delta: DMatrixViewMut<'_, f64>) {
        self.note("delta");
        delta.fill(-sum(at));
    }

    fn link(&self) -> Option<Link> {
        Some(LINK)
    }

    fn target_domain(&self) -> (f64, f64) {
        (-61.0, 62.0)
    }

    fn check_outputs(
        &self,
        a: DMatrixView<'_, f64>,
        y: DMatrixView<'_, f64>,
    ) -> Result<(), Violation> {
        Err(Violation {
            unit: a[0] as usize,
            example: y[0] as usize,
            expected: "a probe",
        })
    }

    fn validate(&self) -> Result<(), Error> {
        self.check()
    }

    fn is_log_likelihood(&self) -> bool {
        true
    }

    fn delta_tangent(
        &self,
        at: &Outputs<'_, f64>,
        tangent: DMatrixView<'_, f64>,
        mut delta_tangent: DMatrixViewMut<'_, f64>,
    ) -> Result<(), Error> {
        self.note("delta_tangent");
        delta_tangent.fill(sum(at) + 1000.0 * tangent[0]);
        Ok(())
    }
}

/// Distinct weights, so that swapping any two of them shows.
fn sum(at: &Outputs<'_, f64>) -> f64 {
    at.z.map_or(0.0, |z| z[0]) + 10.0 * at.a[0] + 100.0 * at.y[0]
}

fn ask_cost<C: Cost<f64> + ?Sized>(cost: &C) {
    assert_eq!(cost.link(), Some(LINK));
    assert_eq!(cost.target_domain(), (-61.0, 62.0));
    assert!(cost.is_log_likelihood());
    assert_eq!(cost.validate(), Err(refusal()));
    let [z, a, y, t] = [2.0, 3.0, 5.0, 7.0].map(|v| DMatrix::repeat(1, 1, v));
    let violation = Violation {
        unit: 3,
        example: 5,
        expected: "a probe",
    };
    assert_eq!(cost.check_outputs(a.as_view(), y.as_view()), Err(violation));
    for (z, expected) in [(Some(z.as_view()), 532.0), (None, 530.0)] {
        let at = Outputs::new(z, a.as_view(), y.as_view());
        let (mut values, mut out) = ([0.0], DMatrix::zeros(1, 1));
        cost.values(&at, &mut values);
        cost.delta(&at, out.as_view_mut());
        assert_eq!((values[0], out[0]), (expected, -expected));
        let found = cost.delta_tangent(&at, t.as_view(), out.as_view_mut());
        assert_eq!((found, out[0]), (Ok(()), expected + 7000.0));
    }
}

#[test]
fn costs_delegate_everything() {
    let probe = Probe::default();
    ask_cost(&probe);
    ask_cost(&probe as &dyn Cost<f64>);
    let boxed = || -> Box<dyn Cost<f64>> { Box::<Probe>::default() };
    ask_cost(&boxed());
    ask_cost(&*boxed());
    ask_cost(&Box::new(boxed()));
    let alone = Box::<Probe>::default();
    ask_cost(&alone);
    assert_eq!(
        alone.noted(),
        ["values", "delta", "delta_tangent"].repeat(2)
    );
}
