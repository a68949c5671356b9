//! The committed pages of traces, and the numbers of the crate that a browser compares with them.

use crate::render::{path, read};
use backprop::activation::{Relu, Sigmoid, Softmax, Tanh};
use backprop::cost::Outputs;
use backprop::nalgebra::{DMatrix, DMatrixViewMut, dmatrix};
use backprop::{
    BinaryCrossEntropy, CategoricalCrossEntropy, Cost, Examples, GradientCheck, Initialization,
    Network, Objective, SquaredError, TracePage, rng,
};
use serde_json::{Value, json};

const LAMBDA: f64 = 0.6;

/// A binary cross-entropy that does not know z, so that δ is ∂cost/∂a times the slope.
#[derive(Debug)]
struct ThroughSlope;

impl Cost<f64> for ThroughSlope {
    fn values(&self, at: &Outputs<'_, f64>, values: &mut [f64]) {
        BinaryCrossEntropy.values(&Outputs::new(None, at.a, at.y), values);
    }

    fn delta(&self, at: &Outputs<'_, f64>, delta: DMatrixViewMut<'_, f64>) {
        BinaryCrossEntropy.delta(&Outputs::new(None, at.a, at.y), delta);
    }
}

struct Case {
    network: Network<f64>,
    x: DMatrix<f64>,
    y: DMatrix<f64>,
}

impl Case {
    fn new() -> Self {
        let theta = [
            0.1, -0.2, 0.3, 0.7, -0.4, 0.25, -0.6, 0.9, 0.15, 0.2, -0.1, 0.8, -0.5, -0.35, 0.6,
            0.45, -0.9,
        ];
        let layers = Network::<f64>::builder(2).dense(3, Sigmoid);
        Self {
            network: layers.dense(2, Sigmoid).with_theta(&theta).unwrap(),
            x: dmatrix![0.5, -1.0, 1.5; 1.0, 0.25, -0.75],
            y: dmatrix![1.0, 0.0, 1.0; 0.0, 1.0, 1.0],
        }
    }

    /// Returns a page with all comparisons of the gradient check.
    fn page<C: Cost<f64>>(&self, objective: &Objective<C>, title: &str) -> String {
        let examples = Examples::new(&self.x, &self.y).unwrap();
        let check = GradientCheck::new().keep_comparisons();
        let report = check.network(&self.network, &examples, objective).unwrap();
        report.assert_passed();
        let trace = self.network.trace(&examples, objective).unwrap();
        let page = trace.page().title(title).check(&report).unwrap();
        page.derivation("../derivation.html").to_html()
    }

    /// Returns J and D for some of the examples, alone.
    fn pass<C: Cost<f64>>(&self, columns: &[usize], objective: &Objective<C>) -> (f64, Vec<f64>) {
        let (x, y) = (
            self.x.select_columns(columns),
            self.y.select_columns(columns),
        );
        let examples = Examples::new(&x, &y).unwrap();
        let pass = self.network.backprop(&examples, objective).unwrap();
        (pass.cost(), pass.gradient().vector().as_slice().to_vec())
    }

    /// Returns what the page has to show under each setting of its switches.
    fn expected(&self) -> Vec<Value> {
        let (all, squared) = ([0, 1, 2], Objective::new(SquaredError).l2(LAMBDA));
        let objective = || Objective::new(BinaryCrossEntropy).l2(LAMBDA);
        let case = |switches: Value, (j, d): (f64, Vec<f64>)| {
            let parts = [("switches", switches), ("j", j.into()), ("d", d.into())];
            Value::from_iter(parts)
        };
        let theta = self.network.theta().as_slice();
        let (j, d) = self.pass(&all, &objective());
        let times_m = (3.0 * j, d.iter().map(|d| 3.0 * d).collect());
        // The penalty of the biases, which are the first column of each block.
        let (mut j_biased, mut biased) = (j, d.clone());
        for place in self.network.layout().blocks() {
            let range = place.range();
            for p in range.start..range.start + place.block().rows {
                biased[p] += LAMBDA * theta[p] / 3.0;
                j_biased += 0.5 * LAMBDA * theta[p] * theta[p] / 3.0;
            }
        }
        let through = Objective::new(ThroughSlope).l2(LAMBDA);
        let mut cases = vec![
            case(json!({}), (j, d)),
            case(json!({"mean": false}), times_m),
            case(
                json!({"lambda": false}),
                self.pass(&all, &Objective::new(BinaryCrossEntropy)),
            ),
            case(json!({"bias": true}), (j_biased, biased)),
            case(json!({"delta": "slope"}), self.pass(&all, &through)),
            case(json!({"delta": "error"}), self.pass(&all, &objective())),
            case(
                json!({"examples": "first", "k": 1}),
                self.pass(&[0, 1], &objective()),
            ),
        ];
        for k in all {
            let switches = json!({"examples": "one", "k": k});
            cases.push(case(switches, self.pass(&[k], &objective())));
        }
        // With another cost, a − y is wrong: it is δ of the cross-entropy.
        let (j, _) = self.pass(&all, &squared);
        let (_, wrong) = self.pass(&all, &objective());
        let mut of_squared = case(json!({"delta": "error"}), (j, wrong));
        of_squared["page"] = "squared".into();
        cases.push(of_squared);
        let mut of_squared = case(json!({"delta": "slope"}), self.pass(&all, &squared));
        of_squared["page"] = "squared".into();
        cases.push(of_squared);
        cases
    }
}

/// Returns the data of a page with a softmax, hidden tanh units, weights, L1 and a frozen layer.
fn softmax() -> Value {
    let layers = Network::<f64>::builder(2).dense(2, Tanh).dense(3, Tanh);
    let network = layers.dense(3, Softmax);
    let mut network = network
        .initialize(Initialization::GlorotUniform, &mut rng(2))
        .unwrap();
    network.freeze(0).unwrap();
    let x = dmatrix![0.5, -1.0, 1.5, 0.2; 1.0, 0.25, -0.75, 0.1];
    let y = dmatrix![1.0, 0.0, 0.5, 0.0; 0.0, 1.0, 0.25, 0.5; 0.0, 0.0, 0.25, 0.75];
    let weights = [1.0, 0.5, 2.0, 0.0];
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy).l1(0.1).l2(0.3);
    let trace = network.trace(&examples, &objective).unwrap();
    parts(&trace.to_html()).0
}

/// Returns the data of a page, and the page without them.
fn parts(page: &str) -> (Value, String) {
    const OPEN: &str = "<script type=\"application/json\" id=\"data\">";
    let (before, rest) = page.split_once(OPEN).unwrap();
    let (data, after) = rest.split_once("</script>").unwrap();
    (
        serde_json::from_str(data).unwrap(),
        format!("{before}{after}"),
    )
}

/// Compares two values, numbers up to the differences between processors.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(f), Value::Number(e)) => {
            (f.as_f64().unwrap() - e.as_f64().unwrap()).abs() <= 1e-9
        }
        (Value::Array(f), Value::Array(e)) => {
            f.len() == e.len() && f.iter().zip(e).all(|(f, e)| same(f, e))
        }
        (Value::Object(f), Value::Object(e)) => {
            f.len() == e.len()
                && f.iter()
                    .all(|(key, f)| e.get(key).is_some_and(|e| same(f, e)))
        }
        _ => found == expected,
    }
}

/// Returns the text of a file. `BACKPROP_RENDER=1 cargo test --test docs` writes it first.
fn rendered(file: &str, expected: &str) -> String {
    if std::env::var_os("BACKPROP_RENDER").is_some() {
        std::fs::write(path(file), expected).unwrap();
    }
    read(file)
}

#[test]
fn the_committed_page_is_that_of_its_trace() {
    let case = Case::new();
    let title = "Back-propagation through a 2-3-2 network";
    let page = case.page(&Objective::new(BinaryCrossEntropy).l2(LAMBDA), title);
    assert!(page.len() < 150 << 10, "{}", page.len());
    let file = "docs/traces/2-3-2.html";
    let (found, expected) = (parts(&rendered(file, &page)), parts(&page));
    let hint = "BACKPROP_RENDER=1 cargo test --test docs";
    assert!(same(&found.0, &expected.0), "the data of {file}: {hint}");
    // The text for browsers without scripts has rounded numbers.
    let without_text = |page: &str| {
        let (before, rest) = page.split_once("<pre>").unwrap();
        format!("{before}{}", rest.split_once("</pre>").unwrap().1)
    };
    let equal = without_text(&found.1) == without_text(&expected.1);
    assert!(equal, "{file} does not match its source: {hint}");

    let squared = case.page(&Objective::new(SquaredError).l2(LAMBDA), "Squared error");
    let cases = json!({
        "squared": parts(&squared).0,
        "softmax": softmax(),
        "cases": case.expected(),
    });
    let file = "tests/page/expected.json";
    let found = rendered(file, &format!("{cases:#}\n"));
    let found: Value = serde_json::from_str(&found).unwrap();
    assert!(same(&found, &cases), "{file}: {hint}");
}

/// Writes a page to `target/pages`, for the browser.
fn write(name: &str, page: &TracePage<'_, f64>) -> usize {
    let folder = path("target/pages");
    std::fs::create_dir_all(&folder).unwrap();
    page.write_html(folder.join(name)).unwrap();
    page.to_html().len()
}

#[test]
fn a_page_of_the_digits_network_is_small() {
    let layers = Network::<f64>::builder(64).dense(25, Sigmoid);
    let network = layers.dense(10, Sigmoid);
    let network = network.initialize(Initialization::GlorotUniform, &mut rng(1));
    let (network, objective) = (
        network.unwrap(),
        Objective::new(BinaryCrossEntropy).l2(LAMBDA),
    );
    let x = DMatrix::from_fn(64, 1, |i, _| (0.4 * i as f64).sin().abs());
    let y = DMatrix::from_fn(10, 1, |i, _| f64::from(i == 3));
    let examples = Examples::new(&x, &y).unwrap();
    let trace = network.trace(&examples, &objective).unwrap();
    let check = GradientCheck::new().keep_comparisons();
    let report = check.network(&network, &examples, &objective).unwrap();
    let page = trace.page().input_image(8, 8).unwrap().check(&report);
    let size = write("64-25-10.html", &page.unwrap());
    assert!(size < 3 << 20, "{size}");

    // With many examples the page holds summaries where it has to.
    let x = DMatrix::from_fn(64, 1000, |i, k| (0.4 * (i + k) as f64).sin());
    let y = DMatrix::from_fn(10, 1000, |i, k| f64::from(i == k % 10));
    let examples = Examples::new(&x, &y).unwrap();
    let trace = network.trace(&examples, &objective).unwrap();
    let size = write("many.html", &trace.page());
    assert!(size < 3 << 20, "{size}");
}

#[test]
fn a_page_shows_containers_and_heads() {
    let layers = Network::<f64>::builder(3).dense(4, Tanh);
    let layers = layers.residual(|body| body.dense(4, Relu).layer_norm());
    let network = layers.batch_norm().dense(2, Sigmoid);
    let network = network.initialize(Initialization::GlorotUniform, &mut rng(4));
    let x = DMatrix::from_fn(3, 20, |i, k| ((i + 3 * k) as f64).sin());
    let y = DMatrix::from_fn(2, 20, |i, k| ((i + 2 * k) as f64).cos());
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError).l1(0.1).l2(0.2);
    let trace = network.unwrap().trace(&examples, &objective).unwrap();
    let page = trace.page().title("A residual and norms");
    assert!(write("tree.html", &page) < 300 << 10);
    let (data, _) = parts(&page.to_html());
    let inside = data["layers"][1]["inside"].as_array().unwrap();
    assert!(inside.len() >= 3, "{inside:?}");
}
