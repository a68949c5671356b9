//! Wrappers of a layer, an activation or a cost delegate every method, with its arguments.

use backprop::activation::{
    Activation, AnyActivation, Elu, LeakyRelu, Sigmoid, Sine, Softmax, Tanh,
};
use backprop::cost::{Cost, Link, Outputs, Violation};
use backprop::layer::{
    AnyLayer, Backward, BackwardTangent, Block, Forward, ForwardTangent, Layer, PerExample,
};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use backprop::{Dense, Error, Network};
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
}

impl Probe {
    fn note(&self, call: &'static str) {
        self.calls.lock().unwrap().push(call);
    }

    fn noted(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().clone()
    }
}

impl Layer<f64> for Probe {
    fn inputs(&self) -> usize {
        31
    }

    fn outputs(&self) -> usize {
        32
    }

    fn blocks(&self) -> Vec<Block> {
        vec![Block::new("probe", 5, 7).penalised_from_column(3)]
    }

    fn cache_len(&self, examples: usize) -> usize {
        1000 + examples
    }

    fn scratch_len(&self, examples: usize) -> usize {
        2000 + examples
    }

    fn as_dense(&self) -> Option<Dense> {
        Some(Dense::new(33, 34, Sine))
    }

    fn link(&self) -> Option<Link> {
        Some(LINK)
    }

    fn forward(&self, mut pass: Forward<'_, f64>) {
        self.note("forward");
        assert!(pass.training && pass.seed == 8 && pass.first_example == 9);
        pass.output.fill(41.0);
        pass.cache.fill(42.0);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        self.note("backward");
        assert!(pass.linked && pass.training && pass.seed == 8 && pass.first_example == 9);
        if let Some(gradient) = pass.gradient {
            gradient.fill(43.0);
        }
        if let Some(mut below) = pass.input_delta {
            below.fill(44.0);
        }
    }

    fn keeps_z(&self) -> bool {
        false
    }

    fn backward_per_example(
        &self,
        pass: Backward<'_, f64>,
        wanted: PerExample<'_, f64>,
    ) -> Result<(), Error> {
        self.note("backward_per_example");
        if let (PerExample::SquaredNorms(norms), Some(mut below)) = (wanted, pass.input_delta) {
            norms.fill(47.0);
            below.fill(48.0);
        }
        Ok(())
    }

    fn couples_examples(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<(), Error> {
        Err(refusal())
    }

    fn name(&self) -> String {
        "the probe".into()
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, f64>) -> Result<(), Error> {
        self.note("forward_tangent");
        pass.output_tangent.fill(45.0);
        Ok(())
    }

    fn backward_tangent(&self, pass: BackwardTangent<'_, f64>) -> Result<(), Error> {
        self.note("backward_tangent");
        if let Some(gradient) = pass.gradient_tangent {
            gradient.fill(46.0);
        }
        Ok(())
    }
}

/// Calls every method of a layer.
fn ask_layer<L: Layer<f64> + ?Sized>(layer: &L) {
    assert_eq!((layer.inputs(), layer.outputs()), (31, 32));
    let block = Block::new("probe", 5, 7).penalised_from_column(3);
    assert_eq!(layer.blocks(), [block]);
    assert_eq!((layer.cache_len(3), layer.scratch_len(3)), (1003, 2003));
    assert_eq!(layer.as_dense(), Some(Dense::new(33, 34, Sine)));
    // A value that does not follow from the link.
    assert_eq!((layer.link(), layer.keeps_z()), (Some(LINK), false));
    assert!(layer.couples_examples());
    assert_eq!(layer.validate(), Err(refusal()));
    assert_eq!(layer.name(), "the probe");

    let x = DMatrix::zeros(1, 1);
    let (mut out, mut cache) = (x.clone(), [0.0]);
    let mut pass = Forward::new(&[], x.as_view(), out.as_view_mut(), &mut cache);
    (pass.training, pass.seed, pass.first_example) = (true, 8, 9);
    layer.forward(pass);
    assert_eq!((out[0], cache[0]), (41.0, 42.0));

    let (mut delta, mut below, mut gradient) = (x.clone(), x.clone(), [0.0]);
    let mut pass = Backward::new(&[], x.as_view(), x.as_view(), &[], delta.as_view_mut());
    (pass.training, pass.seed, pass.first_example) = (true, 8, 9);
    pass.linked = true;
    pass.gradient = Some(&mut gradient);
    pass.input_delta = Some(below.as_view_mut());
    layer.backward(pass);
    assert_eq!((gradient[0], below[0]), (43.0, 44.0));

    let mut norms = [0.0];
    let mut pass = Backward::new(&[], x.as_view(), x.as_view(), &[], delta.as_view_mut());
    pass.input_delta = Some(below.as_view_mut());
    let found = layer.backward_per_example(pass, PerExample::SquaredNorms(&mut norms));
    assert_eq!((found, norms[0], below[0]), (Ok(()), 47.0, 48.0));

    let view = out.as_view_mut();
    let pass = ForwardTangent::new(&[], x.as_view(), x.as_view(), &[], view, &mut []);
    assert_eq!(layer.forward_tangent(pass), Ok(()));
    assert_eq!(out[0], 45.0);

    let mut delta_dot = x.clone();
    let pass = Backward::new(&[], x.as_view(), x.as_view(), &[], delta.as_view_mut());
    let mut tangent = BackwardTangent::new(pass, x.as_view(), &[], delta_dot.as_view_mut());
    tangent.gradient_tangent = Some(&mut gradient);
    assert_eq!(layer.backward_tangent(tangent), Ok(()));
    assert_eq!(gradient[0], 46.0);
}

#[test]
fn layers_delegate_everything() {
    let probe = Probe::default();
    ask_layer(&probe);
    let passes = "forward backward backward_per_example forward_tangent backward_tangent";
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
        Some(Sine)
    }

    fn link(&self) -> Option<Link> {
        Some(LINK)
    }

    fn validate(&self) -> Result<(), Error> {
        Err(refusal())
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
    assert_eq!(g.as_builtin(), Some(Sine));
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
/// passes.
#[test]
fn dense_layers_delegate_to_their_activation() {
    let dense = || Dense::new(1, 1, Box::<Probe>::default());
    let boxed: Box<dyn Layer<f64>> = Box::new(dense());
    let layers: [&dyn Layer<f64>; 3] = [&dense(), &boxed, &AnyLayer::Custom(dense())];
    for layer in layers {
        assert_eq!(layer.as_dense(), Some(Dense::new(1, 1, Sine)));
        assert_eq!((layer.link(), layer.keeps_z()), (Some(LINK), true));
        assert_eq!(layer.validate(), Err(refusal()));
        assert_eq!(layer.name(), "Dense the probe");
        // θ = (0, 2), x = 3: z = 6, which the probe makes 7.
        let (x, mut a, mut z) = (DMatrix::repeat(1, 1, 3.0), DMatrix::zeros(1, 1), [0.0]);
        let theta = [0.0, 2.0];
        layer.forward(Forward::new(&theta, x.as_view(), a.as_view_mut(), &mut z));
        assert_eq!((a[0], z[0]), (7.0, 6.0));
        // δ = 10 z + 100 a = 760, unless it is ∂cost/∂z already.
        for (linked, expected) in [(false, 760.0), (true, 1.0)] {
            let (mut delta, mut gradient) = (DMatrix::repeat(1, 1, 1.0), [0.0; 2]);
            let view = delta.as_view_mut();
            let mut pass = Backward::new(&theta, x.as_view(), a.as_view(), &z, view);
            pass.linked = linked;
            pass.gradient = Some(&mut gradient);
            layer.backward(pass);
            assert_eq!(gradient, [expected, 3.0 * expected]);
        }
    }
    let network = Network::from_layers(1, vec![dense()], &[0.0; 2]);
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
        let layer = any(g);
        assert_eq!((layer.link(), layer.name().as_str()), (link, name));
        assert_eq!((layer.inputs(), layer.outputs()), (4, 3));
        assert_eq!((layer.cache_len(5), layer.keeps_z()), (15, true));
        assert_eq!(layer.as_dense(), Some(Dense::new(4, 3, g)));
        let block = Block::new("Θ", 3, 5).penalised_from_column(1);
        assert_eq!(layer.blocks(), [block]);
        assert!(!layer.couples_examples());
        assert_eq!(layer.validate(), Ok(()));
    }
    let slope = f64::INFINITY;
    let bad = any(LeakyRelu { slope });
    let expected = Error::Hyperparameter {
        name: "the slope of LeakyRelu",
        value: slope,
        expected: "a finite number".into(),
    };
    assert_eq!(bad.validate(), Err(expected));
}

impl Cost<f64> for Probe {
    fn values(&self, at: Outputs<'_, f64>, values: &mut [f64]) {
        self.note("values");
        values.fill(sum(at));
    }

    fn delta(&self, at: Outputs<'_, f64>, mut delta: DMatrixViewMut<'_, f64>) {
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
        Err(refusal())
    }

    fn is_log_likelihood(&self) -> bool {
        true
    }

    fn delta_tangent(
        &self,
        at: Outputs<'_, f64>,
        tangent: DMatrixView<'_, f64>,
        mut delta_tangent: DMatrixViewMut<'_, f64>,
    ) -> Result<(), Error> {
        self.note("delta_tangent");
        delta_tangent.fill(sum(at) + 1000.0 * tangent[0]);
        Ok(())
    }
}

/// Distinct weights, so that swapping any two of them shows.
fn sum(at: Outputs<'_, f64>) -> f64 {
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
        cost.values(at, &mut values);
        cost.delta(at, out.as_view_mut());
        assert_eq!((values[0], out[0]), (expected, -expected));
        let found = cost.delta_tangent(at, t.as_view(), out.as_view_mut());
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
