//! The data of a page are the numbers of its trace, and text in it is escaped.

use super::numbers;
use backprop::activation::{Sigmoid, Softmax, Tanh};
use backprop::layer::{Backward, Block, Forward, LayerGradient, Plan, Site};
use backprop::nalgebra::{DMatrix, DMatrixView};
use backprop::{
    BinaryCrossEntropy, Builder, CategoricalCrossEntropy, Error, Examples, GradientCheck,
    Initialization, Layer, Network, Objective, Scalar, SquaredError, rng,
};
use serde_json::Value;

/// Returns the data of a page.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

/// Compares a matrix of the data with one of the trace, bit for bit.
fn assert_matrix<T: Scalar + Into<f64>>(found: &Value, expected: DMatrixView<'_, T>) {
    assert_eq!(found["rows"], expected.nrows());
    assert_eq!(found["cols"], expected.ncols());
    let values = found["values"].as_array().unwrap().iter();
    let values: Vec<f64> = values.map(|x| x.as_f64().unwrap()).collect();
    let expected: Vec<f64> = expected.iter().map(|&x| x.into()).collect();
    assert_eq!(values, expected);
}

#[test]
fn the_data_are_the_numbers_of_the_trace() {
    let layers = Network::<f64>::builder(3).dense(4, Tanh);
    let network = layers.dense(3, Softmax);
    let network = network.initialize(Initialization::GlorotUniform, &mut rng(1));
    let network = network.unwrap();
    let y = DMatrix::from_fn(3, 5, |i, k| f64::from(i == k % 3));
    let (x, weights) = (numbers(3, 5), [1.0, 0.5, 0.0, 3.0, 1.5]);
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy).l1(0.1).l2(0.7);
    let trace = network.trace(&examples, &objective).unwrap();
    let report = GradientCheck::new().keep_comparisons();
    let report = report.network(&network, &examples, &objective).unwrap();
    let data = data(&trace.page().check(&report).unwrap().to_html());
    assert_matrix(&data["x"], trace.input());
    assert_matrix(&data["y"], y.as_view());
    let found = data["weights"].as_array().unwrap().iter();
    assert!(found.map(|w| w.as_f64().unwrap()).eq(weights));
    assert_eq!(data["weight"], 6.0);
    assert_eq!(data["cost"]["name"], "CategoricalCrossEntropy");
    assert_eq!(data["objective"]["total"], trace.cost());
    for l in [0, 1] {
        let (layer, block) = (&data["layers"][l], &data["blocks"][l]);
        assert_eq!(layer["dense"], true);
        assert_matrix(&layer["z"], trace.z(l).unwrap());
        assert_matrix(&layer["a"], trace.activation(l).unwrap());
        assert_matrix(&layer["delta"], trace.delta(l).unwrap());
        assert_matrix(&block["theta"], network.block(l, 0).unwrap());
        assert_matrix(&block["sum"], trace.layer_sum(l).unwrap());
        assert_matrix(&block["d"], trace.gradient().layer(l).unwrap());
        assert_eq!((&block["l1"], &block["l2"]), (&0.1.into(), &0.7.into()));
        let numeric = block["check"]["numeric"].as_array().unwrap();
        assert_eq!(numeric.len(), network.block(l, 0).unwrap().len());
    }
    // The slope of tanh, and that of the cost with its weight.
    let a = trace.activation(0).unwrap();
    let slopes = data["layers"][0]["slope"]["values"].as_array().unwrap();
    for (slope, a) in slopes.iter().zip(a.iter()) {
        assert!((slope.as_f64().unwrap() - (1.0 - a * a)).abs() < 1e-15);
    }
    let (a, slope) = (
        trace.activation(1).unwrap(),
        &data["cost"]["slope"]["values"],
    );
    assert!((slope[1 + 3].as_f64().unwrap() + 0.5 / a[(1, 1)]).abs() < 1e-13);
    // A report that keeps only the worst of each block.
    let report = GradientCheck::new().network(&network, &examples, &objective);
    let report = report.unwrap();
    let page = trace.page().check(&report).unwrap().to_html();
    assert_eq!(
        self::data(&page)["blocks"][0]["check"]["entries"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn other_scalars_and_missing_targets_have_pages() {
    let network = Network::<f32>::builder(2)
        .dense(2, Sigmoid)
        .zeros()
        .unwrap();
    let x = DMatrix::from_row_slice(2, 2, &[0.1_f32, 0.2, 0.3, 0.4]);
    let y = DMatrix::from_row_slice(2, 2, &[1.0_f32, 0.0, f32::NAN, 1.0]);
    let present = y.map(|y| !y.is_nan());
    let examples = Examples::with_missing(&x, &y, &present).unwrap();
    let objective = Objective::new(BinaryCrossEntropy);
    let trace = network.trace(&examples, &objective).unwrap();
    let data = data(&trace.to_html());
    assert_matrix(&data["layers"][0]["delta"], trace.delta(0).unwrap());
    assert_eq!(
        data["present"],
        serde_json::json!([true, false, true, true])
    );
    assert_eq!(data["epsilon"], f64::from(f32::EPSILON));
}

const EVIL: &str = "</script><script>alert(1)</script><!--";

/// a = x + p, with a name that is markup.
#[derive(Clone, Debug)]
struct Evil;

impl<T: Scalar> Layer<T> for Evil {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Plan::new(site, site.input).block(Block::new(EVIL, site.input.len(), 1)))
    }

    fn name(&self) -> String {
        EVIL.into()
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        for (k, x) in pass.input.column_iter().enumerate() {
            for i in 0..x.len() {
                pass.output[(i, k)] = pass.at.theta[i] + x[i];
            }
        }
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let LayerGradient::Sum(gradient) = pass.gradient {
            for (i, entry) in gradient.iter_mut().enumerate() {
                *entry = pass.delta.row(i).sum();
            }
        }
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
        }
    }
}

/// Names of layers and blocks, the title and the address of the derivation end no script.
#[test]
fn text_is_escaped() {
    let network: Network<f64, Box<dyn Layer<f64>>> = Builder::new(2)
        .dense(2, Sigmoid)
        .layer(Box::new(Evil) as Box<dyn Layer<f64>>)
        .zeros()
        .unwrap();
    let (x, y) = (numbers(2, 3), numbers(2, 3));
    let examples = Examples::new(&x, &y).unwrap();
    let trace = network
        .trace(&examples, &Objective::new(SquaredError))
        .unwrap();
    let page = trace.page().title(EVIL).derivation(EVIL).to_html();
    assert!(!page.contains("<script>alert") && !page.contains("<!--"));
    assert_eq!(page.matches("<script").count(), 2);
    assert!(page.contains("<title>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!--"));
    let data = data(&page);
    assert_eq!(data["title"], EVIL);
    assert_eq!(data["derivation"], EVIL);
    assert_eq!(data["layers"][1]["name"], EVIL);
    assert_eq!(data["blocks"][1]["label"], format!("{EVIL}⁽²⁾"));
    // Marks of the template in the data stay as they are.
    let page = trace.page().title("{{data}}{{style}}").to_html();
    assert!(page.contains("<title>{{data}}{{style}}</title>"));
}

/// A page loads nothing, and the committed derivation is its only link.
#[test]
fn a_page_is_one_file() {
    let network = Network::<f64>::builder(2)
        .dense(2, Sigmoid)
        .zeros()
        .unwrap();
    let (x, y) = (numbers(2, 3), DMatrix::zeros(2, 3));
    let examples = Examples::new(&x, &y).unwrap();
    let trace = network.trace(&examples, &Objective::new(BinaryCrossEntropy));
    let page = trace
        .unwrap()
        .page()
        .derivation("derivation.html")
        .to_html();
    for loads in [
        "src=",
        "url(",
        "@import",
        "fetch(",
        "import(",
        "XMLHttpRequest",
    ] {
        assert!(!page.contains(loads), "{loads}");
    }
    // The name space of SVG is an address that nothing asks for.
    assert_eq!(
        page.matches("http").count(),
        page.matches("http://www.w3.org/2000/svg").count()
    );
}

#[test]
fn the_report_and_the_image_have_to_fit() {
    let network = |units| {
        let layers = Network::<f64>::builder(2).dense(units, Sigmoid);
        layers.dense(1, Sigmoid).zeros().unwrap()
    };
    let (x, y) = (numbers(2, 3), DMatrix::zeros(1, 3));
    let (examples, objective) = (
        Examples::new(&x, &y).unwrap(),
        Objective::new(BinaryCrossEntropy),
    );
    let trace = network(3).trace(&examples, &objective).unwrap();
    let other = GradientCheck::new().network(&network(2), &examples, &objective);
    let expected = Error::Length {
        what: "a block of the report",
        expected: 9,
        found: 6,
    };
    assert_eq!(trace.page().check(&other.unwrap()).err(), Some(expected));
    let f = |p: &[f64]| (p[0], vec![1.0]);
    let function = GradientCheck::new()
        .function(&[("p", 1)], &[0.0], f)
        .unwrap();
    assert!(trace.page().check(&function).is_err());
    let refused = trace.page().input_image(2, 2).err();
    assert!(matches!(
        refused,
        Some(Error::Length {
            expected: 2,
            found: 4,
            ..
        })
    ));
    assert!(trace.page().input_image(usize::MAX, 2).is_err());

    // A file that cannot be written is an error.
    for path in ["/nowhere/page.html", "/dev/null", "/"] {
        assert!(trace.page().write_html(path).is_err(), "{path}");
    }
}
