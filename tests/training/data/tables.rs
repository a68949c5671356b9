//! Tables and pipelines: values of scikit-learn, refusals, and what is saved.

use super::list;
use backprop::activation::Identity;
use backprop::data::{Fill, Pipeline, Steps, Table};
use backprop::nalgebra::DMatrix;
use backprop::{Error, Network, TableFault, row_major, saving};
use serde_json::{Value, json};

type Cells<'a> = Vec<(&'a str, Vec<Value>)>;

fn cells(table: &Value) -> Cells<'_> {
    let columns = table.as_object().unwrap().iter();
    columns
        .map(|(name, values)| (name.as_str(), list(values)))
        .collect()
}

/// The text of a cell; that of a missing value is `NA`.
fn text(cell: &Value) -> String {
    match cell {
        Value::Null => "NA".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns a table of the columns in a case, which are numbers or text as its groups say.
fn table(case: &Value, rows: &str) -> Result<Table, Error> {
    let mut table = Table::new();
    for (name, cells) in cells(&case[rows]) {
        let is_text = |cells: &[Value]| cells.iter().all(|cell| cell.is_string() || cell.is_null());
        let fit: Vec<Value> = list(&case["fit"][name]);
        let void = fit.iter().all(Value::is_null) && name == "void";
        table = if is_text(&fit) && !void {
            let cells = cells.iter().map(|cell| cell.as_str().map(str::to_owned));
            table.with_text(name, cells)?
        } else {
            let number = |cell: &Value| match cell {
                Value::Null => f64::NAN,
                other => text(other).parse().unwrap(),
            };
            table.with_numbers(name, cells.iter().map(number))?
        };
    }
    Ok(table)
}

fn fitted(case: &Value) -> Result<Pipeline<f64>, Error> {
    let group = |group: &Value| {
        let columns: Vec<String> = list(&group["columns"]);
        let mut steps = Steps::of(columns.iter().map(String::as_str));
        let constant = &group["constant"];
        let fill = group["fill"].as_str().map(|fill| match fill {
            "mean" => Fill::Mean,
            "median" => Fill::Median,
            "most_frequent" => Fill::MostFrequent,
            _ if constant.is_string() => Fill::Category(text(constant)),
            _ => Fill::Number(constant.as_f64().unwrap()),
        });
        if let Some(fill) = fill {
            steps = steps.fill(fill);
        }
        if group["zeros"] == true {
            steps = steps.unknown_as_zeros();
        }
        if group["indicator"] == true {
            steps = steps.indicator();
        }
        match group["scale"].as_str() {
            None => steps,
            Some("standardize") => steps.standardize(),
            _ => steps.min_max(-1.0, 1.0),
        }
    };
    let groups: Vec<Steps> = case["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(group)
        .collect();
    Pipeline::fit(&table(case, "fit")?, &groups)
}

/// Asserts that the result is scikit-learn's to 1e-12, or an error where it has none.
fn check(name: &str, found: Result<DMatrix<f64>, Error>, expected: &Value) {
    if expected.is_null() {
        let refused = matches!(found, Err(Error::Table { .. } | Error::NonFinite { .. }));
        assert!(refused, "{name}: {found:?}");
        return;
    }
    let rows: Vec<Vec<f64>> = list(expected);
    let concat = rows.concat();
    let expected = row_major(&concat, rows[0].len()).unwrap();
    let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(found.shape(), expected.shape(), "{name}");
    for (k, (a, b)) in found.iter().zip(expected.iter()).enumerate() {
        assert!(
            (a - b).abs() <= 1e-12 * b.abs().max(1.0),
            "{name}, {k}: {a} {b}"
        );
    }
}

#[test]
fn pipelines_equal_scikit_learn() {
    let values: Value = serde_json::from_str(include_str!("tables.json")).unwrap();
    let cases = values["cases"].as_array().unwrap();
    assert!(cases.len() > 50);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let pipeline = fitted(case);
        let apply = |rows| pipeline.clone()?.apply(&table(case, rows)?);
        check(name, apply("fit"), &case["x"]);
        check(name, apply("new"), &case["x_new"]);
        let Ok(pipeline) = &pipeline else { continue };

        // A raw row at a time, from text, and after a file.
        let bytes = saving::to_bytes("pipeline", pipeline).unwrap();
        let loaded: Pipeline<f64> = saving::from_bytes(&bytes, "pipeline").unwrap();
        assert_eq!(&loaded, pipeline, "{name}");
        let Ok(x) = apply("new") else { continue };
        let new = cells(&case["new"]);
        for (k, x) in x.column_iter().enumerate() {
            let texts: Vec<String> = new.iter().map(|(_, cells)| text(&cells[k])).collect();
            // A raw row cannot hold the empty category, because that is a missing value.
            if texts.iter().any(String::is_empty) {
                continue;
            }
            let names = new.iter().map(|(name, _)| *name);
            let row: Vec<_> = names.zip(texts.iter().map(String::as_str)).collect();
            assert_eq!(loaded.row(&row).unwrap(), x, "{name}, row {k}");
        }
    }
}

fn animals() -> Table {
    let kind = ["cat", "dog", "cat"].map(|kind| Some(kind.to_owned()));
    let table = Table::new()
        .with_numbers("age", [3.0, f64::NAN, 5.0])
        .unwrap();
    table.with_text("kind", kind).unwrap()
}

fn steps() -> [Steps; 2] {
    let age = Steps::of(["age"])
        .fill(Fill::Mean)
        .indicator()
        .standardize();
    [age, Steps::of(["kind"])]
}

fn pipeline() -> Pipeline<f64> {
    Pipeline::fit(&animals(), &steps()).unwrap()
}

fn fault<V: std::fmt::Debug>(result: Result<V, Error>) -> TableFault {
    match result {
        Err(Error::Table { fault }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_table_cannot_do_is_refused() {
    let table = animals();
    let column = || "age".to_owned();
    let missing = TableFault::Missing {
        column: column(),
        example: 1,
    };
    assert_eq!(fault(table.matrix::<f64>(&["age"])), missing);
    let known = vec!["age".to_owned(), "kind".to_owned()];
    let absent = TableFault::Absent {
        column: "ages".to_owned(),
        known,
    };
    assert_eq!(fault(table.numbers("ages")), absent);
    let kind = TableFault::Kind {
        column: "kind".to_owned(),
        expected: "numbers",
    };
    assert_eq!(fault(table.numbers("kind")), kind);
    let kind = TableFault::Kind {
        column: column(),
        expected: "text",
    };
    assert_eq!(fault(table.text("age")), kind);
    let again = table.clone().with_numbers("age", [1.0, 2.0, 3.0]);
    assert_eq!(fault(again), TableFault::Repeated { column: column() });
    let short = table.clone().with_numbers("mass", [1.0]);
    let length = TableFault::Length {
        column: "mass".to_owned(),
        expected: 3,
        found: 1,
    };
    assert_eq!(fault(short), length);
    let nameless = Table::new()
        .with_text("kind", [Some("cat".to_owned()), None])
        .unwrap();
    let missing = TableFault::Missing {
        column: "kind".to_owned(),
        example: 1,
    };
    assert_eq!(fault(nameless.names("kind")), missing);
    for infinite in [f64::INFINITY, f64::NEG_INFINITY] {
        let infinite = Table::new().with_numbers("x", [infinite]).unwrap();
        assert!(matches!(
            infinite.matrix::<f64>(&["x"]),
            Err(Error::NonFinite { .. })
        ));
    }
    let refused = table.select(&[0, 3]).unwrap_err();
    assert_eq!(
        refused,
        Error::Index {
            what: "example",
            index: 3,
            count: 3
        }
    );
    let huge = Table::new().with_numbers("x", [1e300]).unwrap();
    assert!(matches!(
        huge.matrix::<f32>(&["x"]),
        Err(Error::NonFinite { .. })
    ));

    let selected = table.select(&[2, 0, 2]).unwrap();
    assert_eq!(
        selected.matrix::<f64>(&["age"]).unwrap().as_slice(),
        [5.0, 3.0, 5.0]
    );
    assert_eq!(selected.names("kind").unwrap(), ["cat"; 3]);
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let fit = |table: &Table, steps: Steps| Pipeline::<f64>::fit(table, &[steps]);
    let age = || Steps::of(["age"]);
    assert_eq!(fit(&Table::new(), age()), Err(Error::NoExamples));
    assert!(matches!(
        fault(fit(&animals(), Steps::of(["Age"]))),
        TableFault::Absent { .. }
    ));
    // A missing number that is to be scaled, or that is met later.
    let missing = fault(fit(&animals(), age().standardize()));
    assert!(matches!(missing, TableFault::Missing { example: 1, .. }));
    let as_is = fit(&animals(), age()).unwrap();
    assert!(matches!(
        fault(as_is.apply(&animals())),
        TableFault::Missing { example: 1, .. }
    ));

    for fill in [Fill::Mean, Fill::Median, Fill::Number(1.0)] {
        let refused = fault(fit(&animals(), Steps::of(["kind"]).fill(fill)));
        assert!(matches!(
            refused,
            TableFault::Kind {
                expected: "numbers",
                ..
            }
        ));
    }
    let refused = fault(fit(
        &animals(),
        age().fill(Fill::Category("cat".to_owned())),
    ));
    assert!(matches!(
        refused,
        TableFault::Kind {
            expected: "text",
            ..
        }
    ));
    for number in [f64::NAN, f64::INFINITY] {
        let refused = fault(fit(&animals(), age().fill(Fill::Number(number))));
        assert!(matches!(refused, TableFault::Number { .. }));
    }
    let huge = Table::new()
        .with_numbers("x", [f64::MAX, -f64::MAX, f64::NAN])
        .unwrap();
    let x = || Steps::of(["x"]);
    assert!(matches!(
        fault(fit(&huge, x().fill(Fill::Mean))),
        TableFault::Number { .. }
    ));
    let median = fit(&huge, x().fill(Fill::Median)).unwrap();
    assert_eq!(median.apply(&huge).unwrap()[2], 0.0);
    let interval = fit(&animals(), age().fill(Fill::Mean).min_max(1.0, 1.0));
    assert!(matches!(interval, Err(Error::Hyperparameter { .. })));
    let single = Pipeline::<f32>::fit(&huge, &[x().fill(Fill::Number(0.0))]).unwrap();
    assert!(matches!(single.apply(&huge), Err(Error::NonFinite { .. })));

    // A column of the other kind.
    let words = Table::new()
        .with_text("age", [Some("old".to_owned())])
        .unwrap();
    let refused = fault(as_is.apply(&words));
    assert!(matches!(
        refused,
        TableFault::Kind {
            expected: "numbers",
            ..
        }
    ));
}

/// Text may have an indicator too, after its categories; a column may be used twice.
#[test]
fn steps_are_in_order() {
    let kinds = [Some("cat"), None, Some("dog")].map(|kind| kind.map(str::to_owned));
    let table = Table::new().with_text("kind", kinds).unwrap();
    let filled = Steps::of(["kind"]).fill(Fill::MostFrequent).indicator();
    let pipeline = Pipeline::<f64>::fit(&table, &[filled, Steps::of(["kind"])]).unwrap();
    let x = pipeline.apply(&table).unwrap();
    let rows = [
        [1.0, 1.0, 0.0], // cat
        [0.0, 0.0, 1.0], // dog
        [0.0, 1.0, 0.0], // missing
        [1.0, 0.0, 0.0], // cat, not filled
        [0.0, 0.0, 1.0], // dog
        [0.0, 1.0, 0.0], // missing
    ];
    assert_eq!(x, DMatrix::from_row_slice(6, 3, &rows.concat()));
    assert_eq!(pipeline.row(&[("kind", "NA")]).unwrap(), x.column(1));
    assert_eq!(Pipeline::<f64>::fit(&table, &[]).unwrap().rows(), 0);
}

#[test]
fn a_raw_row_is_refused_with_what_is_known() {
    let pipeline = pipeline();
    assert_eq!(pipeline.rows(), 4);
    // The mean of 3 and 5 is 4, so its scaled value is 0.
    let row = pipeline.row(&[("kind", "dog"), ("age", " 4 "), ("name", "Rex")]);
    let row = row.unwrap();
    assert_eq!((row[0], row[2], row[3]), (0.0, 0.0, 1.0));
    let filled = pipeline.row(&[("age", "NA"), ("kind", "dog")]).unwrap();
    assert!(filled[0] == 0.0 && filled[1] > 0.0 && row[1] < 0.0);
    for (cells, text) in [
        (
            vec![("age", "3")],
            "there is no column \"kind\", expected one of \"age\"",
        ),
        (
            vec![("age", "3"), ("kind", "cat"), ("age", "3")],
            "there is more than one column \"age\", expected one",
        ),
        (
            vec![("age", "three"), ("kind", "cat")],
            "column \"age\": expected a finite number or a mark of a missing value, found \
             \"three\"",
        ),
        (
            vec![("age", "3"), ("kind", "cow")],
            "column \"kind\", example 0: the category \"cow\" is unknown, expected \"cat\", \
             \"dog\"",
        ),
        (
            vec![("age", "3"), ("kind", "NA")],
            "column \"kind\", example 0: the category of missing values is unknown, expected \
             \"cat\", \"dog\"",
        ),
    ] {
        assert_eq!(pipeline.row(&cells).unwrap_err().to_string(), text);
    }
}

/// One file predicts from raw rows, also in `f32`.
#[test]
fn a_pipeline_is_saved_beside_its_network() {
    let table = animals();
    let pipeline = Pipeline::<f32>::fit(&table, &steps()).unwrap();
    let network = Network::<f32>::builder(pipeline.rows()).dense(1, Identity);
    let network = network.with_theta(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    let bytes = saving::to_bytes("model", &(&pipeline, &network)).unwrap();
    type Model = (Pipeline<f32>, Network<f32>);
    let (loaded, again): Model = saving::from_bytes(&bytes, "model").unwrap();
    assert_eq!((&loaded, &again), (&pipeline, &network));
    let row = [("kind", "dog"), ("age", "5")];
    let predicted = again.forward(&loaded.row(&row).unwrap()).unwrap();
    let x = pipeline.apply(&table.select(&[2]).unwrap()).unwrap();
    let cat = network.forward(&x).unwrap()[0];
    assert!((predicted[0] - (cat - 4.0 + 5.0)).abs() < 1e-5);

    let refused = saving::from_bytes::<(Pipeline<f64>, Network<f64>)>(&bytes, "model");
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("the numbers are f32, expected f64")
    );
}

/// Content that no fit gives is refused, when it is read or when it is used.
#[test]
fn a_changed_pipeline_is_refused() {
    let content = serde_json::to_value(pipeline()).unwrap();
    let read = |value: &Value| serde_json::from_value::<Pipeline<f64>>(value.clone());
    assert_eq!(read(&content).unwrap(), pipeline());
    let known = "/columns/1/encoding/one_hot/categories/classes";
    let changes: [(&str, Value); 6] = [
        ("/columns/0/standardizer/deviations", json!([1.0, 0.0])),
        ("/columns/0/standardizer/deviations", json!([1.0])),
        ("/columns/0/encoding", json!({"numbers": {"fill": null}})),
        (
            "/columns/0/encoding/number",
            json!({"fill": 1.0, "more": 1}),
        ),
        (known, json!(["dog", "cat"])),
        (known, json!([])),
    ];
    for (place, value) in changes {
        let mut changed = content.clone();
        *changed.pointer_mut(place).unwrap() = value;
        assert!(read(&changed).is_err(), "{place}");
    }
    let mut more = content.clone();
    more["more"] = json!(1);
    assert!(read(&more).is_err());

    let mut changed = content.clone();
    changed["columns"][0]["indicator"] = json!(false);
    let refused = read(&changed).unwrap().apply(&animals());
    assert!(matches!(
        refused,
        Err(Error::Shape {
            expected: (2, 3),
            found: (1, 3),
            ..
        })
    ));
}
