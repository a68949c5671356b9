//! Networks as data: saved and loaded bit for bit, in a fixed format. Invalid data is refused.

use super::{Mixed, bits, mixed};
use crate::support::custom_types::{Counts, Cubic, Doubling, LowRank};
use backprop::activation::{AnyActivation, Elu, LeakyRelu, Softmax};
use backprop::cost::{BinaryCrossEntropy, CategoricalCrossEntropy, Huber, SquaredError};
use backprop::layer::AnyLayer;
use backprop::{AnyCost, Dense, Network, Objective, Penalty, Strength};
use serde::de::value::{Error as ValueError, MapDeserializer, SeqDeserializer};
use serde::de::{Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

#[test]
fn json_there_and_back_is_bit_for_bit() {
    let network = mixed();
    let json = serde_json::to_string(&network).unwrap();
    let read: Mixed<f64> = serde_json::from_str(&json).unwrap();
    assert_eq!(read, network);
    let cost = Counts { linked: true };
    assert_eq!(bits(&read, cost.clone()), bits(&network, cost));
    assert_eq!(serde_json::to_string(&read).unwrap(), json);

    let single: Mixed<f32> = network.map(|w| w as f32).unwrap();
    let json = serde_json::to_string(&single).unwrap();
    let read: Mixed<f32> = serde_json::from_str(&json).unwrap();
    let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
    assert!(read.theta().iter().zip(single.theta()).all(same));

    // Numbers that are hard to write: the smallest, the largest, −0 and neighbours of 1.
    let hard = [
        5e-324,
        -f64::MAX,
        -0.0,
        1.0_f64.next_up(),
        0.1 + 0.2,
        f64::MIN_POSITIVE,
    ];
    let network = Network::<f64>::builder(2)
        .dense(2, Softmax)
        .with_theta(&hard)
        .unwrap();
    let json = serde_json::to_string(&network).unwrap();
    let read: Network<f64> = serde_json::from_str(&json).unwrap();
    let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits();
    assert!(read.theta().iter().zip(&hard).all(same), "{json}");
}

/// The format of a network. Version 1 does not name the scalar, so it is read as the requested
/// type.
#[test]
fn the_form_is_settled() {
    let dense = r#"{"dense":{"inputs":1,"outputs":1,"activation":{"leaky_relu":{"slope":0.25}}}}"#;
    let custom = r#"{"custom":{"inputs":1,"rank":1,"outputs":1,"activation":"gelu_tanh"}}"#;
    let layers = format!("[{dense},{custom}]");
    let theta = "[0.5,-1.0,2.0,0.0,1.5]";
    let json = format!(r#"{{"scalar":"f64","inputs":1,"layers":{layers},"theta":{theta}}}"#);
    let low_rank = LowRank {
        inputs: 1,
        rank: 1,
        outputs: 1,
        activation: AnyActivation::GeluTanh,
    };
    let layers = vec![
        AnyLayer::Dense(Dense::new(1, 1, LeakyRelu { slope: 0.25 })),
        AnyLayer::Custom(low_rank),
    ];
    let network = Network::from_layers(1, layers, &[0.5, -1.0, 2.0, 0.0, 1.5]).unwrap();
    let read: Network<f64, AnyLayer<LowRank<AnyActivation>>> = serde_json::from_str(&json).unwrap();
    assert_eq!(read, network);
    assert_eq!(serde_json::to_string(&network).unwrap(), json);
    let before = json.replace(r#""scalar":"f64","#, "");
    let read: Network<f64, AnyLayer<LowRank<AnyActivation>>> =
        serde_json::from_str(&before).unwrap();
    assert_eq!(read, network);

    let written = |cost: AnyCost| serde_json::to_string(&Objective::new(cost).l2(0.5)).unwrap();
    let penalty = r#"{"strength":{"l1":0.0,"l2":0.5},"exceptions":[]}"#;
    let expected = format!(r#"{{"cost":"categorical_cross_entropy","penalty":{penalty}}}"#);
    assert_eq!(written(CategoricalCrossEntropy), expected);
    let expected = format!(r#"{{"cost":{{"huber":{{"delta":2.0}}}},"penalty":{penalty}}}"#);
    assert_eq!(written(Huber { delta: 2.0 }), expected);
    // Objectives that were saved before the cost had its present name can still be read.
    let expected = written(BinaryCrossEntropy);
    assert!(expected.starts_with(r#"{"cost":"binary_cross_entropy","#));
    let earlier = expected.replace("binary_cross_entropy", "cross_entropy");
    let read: Objective<AnyCost> = serde_json::from_str(&earlier).unwrap();
    assert_eq!(read, Objective::new(BinaryCrossEntropy).l2(0.5));
    for cost in [
        BinaryCrossEntropy,
        SquaredError,
        Huber { delta: 0.1 },
        AnyCost::LogCosh,
        AnyCost::Poisson,
    ] {
        let read: Objective = serde_json::from_str(&written(cost)).unwrap();
        assert_eq!(read, Objective::new(cost).l2(0.5));
    }
}

/// A penalty with strengths by layer and block survives. An unknown field is refused instead of
/// being read as no penalty.
#[test]
fn penalties_are_saved() {
    let strength = |l1, l2| Strength { l1, l2 };
    let penalty = Penalty::elastic_net(0.1, 0.3)
        .layer(2, strength(0.0, 0.7))
        .block(0, 1, strength(1.5, 0.0));
    let json = serde_json::to_string(&penalty).unwrap();
    let read: Penalty = serde_json::from_str(&json).unwrap();
    assert_eq!(read, penalty);
    assert_eq!(read.strength(0, 1), strength(1.5, 0.0));
    assert_eq!(
        serde_json::from_str::<Penalty>("{}").unwrap(),
        Penalty::none()
    );
    for wrong in [
        r#"{"lambda":0.5}"#,
        r#"{"strength":{"l3":0.5}}"#,
        r#"{"exceptions":[{"layer":0,"strength":{"lambda":0.5}}]}"#,
    ] {
        assert!(serde_json::from_str::<Penalty>(wrong).is_err(), "{wrong}");
    }
}

/// Every activation, with its name in a file.
#[test]
fn names_of_activations() {
    use AnyActivation as A;
    for (g, name) in [
        (A::Identity, r#""identity""#),
        (A::Sigmoid, r#""sigmoid""#),
        (A::Tanh, r#""tanh""#),
        (A::Relu, r#""relu""#),
        (Elu { alpha: 1.5 }, r#"{"elu":{"alpha":1.5}}"#),
        (A::Selu, r#""selu""#),
        (A::Softplus, r#""softplus""#),
        (A::Softsign, r#""softsign""#),
        (A::Gelu, r#""gelu""#),
        (A::GeluTanh, r#""gelu_tanh""#),
        (A::Silu, r#""silu""#),
        (A::Mish, r#""mish""#),
        (A::HardTanh, r#""hard_tanh""#),
        (A::Sine, r#""sine""#),
        (A::Exponential, r#""exponential""#),
        (A::Softmax, r#""softmax""#),
    ] {
        assert_eq!(serde_json::to_string(&g).unwrap(), name);
        assert_eq!(serde_json::from_str::<AnyActivation>(name).unwrap(), g);
    }
}

/// An invalid saved network is refused with the reason that `from_layers` gives.
#[test]
fn invalid_saved_networks_are_refused() {
    let dense = |inputs: &str, outputs: &str, g: &str| {
        format!(r#"{{"dense":{{"inputs":{inputs},"outputs":{outputs},"activation":{g}}}}}"#)
    };
    let file = |inputs: usize, layers: &[String], theta: &str| {
        let layers = layers.join(",");
        format!(r#"{{"inputs":{inputs},"layers":[{layers}],"theta":[{theta}]}}"#)
    };
    let unit = || dense("1", "1", r#""sigmoid""#);
    let fine = file(1, &[unit(), unit()], "1,2,3,4");
    assert!(
        serde_json::from_str::<Network<f64>>(&fine).is_ok(),
        "{fine}"
    );
    let huge = usize::MAX.to_string();
    for (json, reason) in [
        (
            file(1, &[unit()], "1"),
            "θ: expected a length of 2, found 1",
        ),
        (
            file(1, &[unit()], "1,2,3"),
            "θ: expected a length of 2, found 3",
        ),
        (
            file(2, &[unit()], "1,2"),
            "is 1, expected 2, the number of inputs of the network",
        ),
        (
            file(1, &[unit(), dense("3", "1", r#""tanh""#)], "1,2,3,4,5,6"),
            "the number of inputs of layer 1 (Θ⁽²⁾) is 3",
        ),
        (file(1, &[], ""), "no layers"),
        (file(0, &[unit()], "1,2"), "no inputs"),
        (file(1, &[dense("1", "0", r#""tanh""#)], ""), "no units"),
        (
            file(1, &[dense("1", &huge, r#""tanh""#)], "1"),
            "memory for the parameters",
        ),
        (file(1, &[unit()], "1,null"), "invalid type: null"),
        (file(1, &[unit()], "1,1e999"), "number out of range"),
        (file(1, &[unit()], "1,NaN"), "expected"),
        (
            file(1, &[dense("1", "1", r#""sigmund""#)], "1,2"),
            "unknown variant",
        ),
        (
            file(1, &[dense("1", "1", r#"{"elu":{"alpha":null}}"#)], "1,2"),
            "invalid type: null",
        ),
        (r#"{"inputs":1,"layers":[]}"#.into(), "missing field"),
        (file(1, &[r#"{"custom":{}}"#.into()], ""), "expected value"),
    ] {
        let error = serde_json::from_str::<Network<f64>>(&json).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(reason), "{json}\n{text}, expected {reason}");
    }
    // A custom layer validates its constants.
    let layer = r#"{"custom":{"Smooth":{"inputs":1,"rank":0,"outputs":1,"activation":{"c":0.5}}}}"#;
    let error = serde_json::from_str::<Mixed<f64>>(&file(1, &[layer.into()], "1")).unwrap_err();
    assert!(error.to_string().contains("rank of LowRank"), "{error}");
}

/// A one-layer network, read from a format that, unlike JSON, has NaN.
#[derive(Clone, Debug)]
enum Field {
    Inputs(u64),
    Layers(Vec<serde_json::Value>),
    Theta(Vec<f64>),
}

impl<'de> IntoDeserializer<'de> for Field {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Field {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Self::Inputs(n) => visitor.visit_u64(n),
            Self::Layers(layers) => serde_json::Value::from(layers)
                .deserialize_any(visitor)
                .map_err(ValueError::custom),
            Self::Theta(theta) => visitor.visit_seq(SeqDeserializer::new(theta.into_iter())),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

#[test]
fn nan_in_theta_is_refused() {
    let source = |theta: [f64; 2]| {
        let layer = AnyLayer::<LowRank<Cubic>>::Dense(Dense::new(1, 1, Softmax));
        let fields = [
            ("inputs", Field::Inputs(1)),
            (
                "layers",
                Field::Layers(vec![serde_json::to_value(layer).unwrap()]),
            ),
            ("theta", Field::Theta(theta.to_vec())),
        ];
        MapDeserializer::<_, ValueError>::new(fields.into_iter())
    };
    let read = |theta| Network::<f64>::deserialize(source(theta));
    assert_eq!(read([0.5, 1.5]).unwrap().theta().as_slice(), &[0.5, 1.5]);
    for (bad, word) in [(f64::NAN, "NaN"), (f64::NEG_INFINITY, "-inf")] {
        let error = read([0.5, bad]).unwrap_err();
        let expected =
            format!("the entry of θ at row 1, column 0 is {word}, expected a finite number");
        assert_eq!(error.to_string(), expected);
    }
    // 1e39 is a valid number, but f32 cannot represent it.
    assert!(read([0.5, 1e39]).is_ok());
    let error = Network::<f32>::deserialize(source([0.5, 1e39])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the entry of θ at row 1, column 0 is inf, expected a finite number"
    );
}

#[test]
fn custom_types_are_saved() {
    let layer = Dense::new(2, 3, Doubling);
    let json = serde_json::to_string(&layer).unwrap();
    assert_eq!(json, r#"{"inputs":2,"outputs":3,"activation":null}"#);
    assert_eq!(
        serde_json::from_str::<Dense<Doubling>>(&json).unwrap(),
        layer
    );
}

/// Every saved type refuses unknown fields, because ignoring one would lose its meaning silently.
#[test]
fn unknown_fields_are_refused() {
    use backprop::training::{ConjugateGradient, History, Lbfgs, LevenbergMarquardt, Schedule};

    #[track_caller]
    fn refuse<V: serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug>(value: &V) {
        let saved = serde_json::to_value(value).unwrap();
        serde_json::from_value::<V>(saved.clone()).unwrap();
        let objects = count(&saved);
        assert!(objects > 0, "{saved}");
        for at in 0..objects {
            let mut more = saved.clone();
            insert(&mut more, &mut { at });
            assert!(serde_json::from_value::<V>(more.clone()).is_err(), "{more}");
        }
    }
    fn parts(value: &serde_json::Value) -> Vec<&serde_json::Value> {
        match value {
            serde_json::Value::Array(parts) => parts.iter().collect(),
            serde_json::Value::Object(parts) => parts.values().collect(),
            _ => Vec::new(),
        }
    }
    fn count(value: &serde_json::Value) -> usize {
        usize::from(value.is_object()) + parts(value).into_iter().map(count).sum::<usize>()
    }
    /// Adds an unknown field to the object with this number.
    fn insert(value: &mut serde_json::Value, at: &mut usize) {
        if let serde_json::Value::Object(fields) = value {
            if *at == 0 {
                fields.insert("more".into(), 1.into());
            }
            *at = at.wrapping_sub(1);
            fields.values_mut().for_each(|field| insert(field, at));
        } else if let serde_json::Value::Array(items) = value {
            items.iter_mut().for_each(|item| insert(item, at));
        }
    }

    let builder = Network::<f64>::builder(1).dense(2, LeakyRelu { slope: 0.25 });
    refuse(&builder.dense(1, Elu { alpha: 0.5 }).zeros().unwrap());
    refuse(&Objective::new(Huber { delta: 2.0 }).l2(0.5));
    let exception = Strength { l1: 0.5, l2: 0.0 };
    refuse(&Penalty::none().layer(0, exception));
    refuse(&Dense::new(1, 1, Softmax));
    refuse(&Schedule::on_plateau(1, 0.5).warm_up(2.0, 0.5));
    refuse(&Schedule::on_plateau(1, 0.5).plateau().unwrap());
    refuse(&backprop::training::Clipping::Norm(1.0));
    refuse(&Lbfgs::new());
    refuse(&ConjugateGradient::new());
    refuse(&LevenbergMarquardt::new());
    refuse(&backprop::training::OptimizerState::new(0, vec![vec![0.5]]));
    refuse(&backprop::data::Standardizer::new(vec![0.5], vec![1.0]).unwrap());
    refuse(&backprop::data::MinMaxScaler::new(vec![0.5], vec![1.0]).unwrap());
    refuse(&backprop::data::LabelEncoder::fit(&[3, 1]).unwrap());
    let record = concat!(
        r#"{"epoch":1,"steps":1,"cost":0.5,"batch_cost":null,"validation":null,"rate":null,"#,
        r#""metrics":[],"validation_metrics":[]}"#
    );
    let history = format!(r#"{{"metrics":[],"records":[{record}],"stop":"epochs","best":1}}"#);
    refuse(&serde_json::from_str::<History>(&history).unwrap());
}

/// Numbers of one scalar are not read as another scalar, because 0.1 is a different number in each.
#[test]
fn the_scalar_is_named() {
    use backprop::data::{MinMaxScaler, Standardizer};
    use backprop::saving::{Refusal, from_bytes, to_bytes};
    use backprop::training::OptimizerState;
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use std::fmt::Debug;

    #[track_caller]
    fn refuse<V: Serialize, D: DeserializeOwned + Debug>(value: &V, found: &str, expected: &str) {
        let json = serde_json::to_string(value).unwrap();
        let text = serde_json::from_str::<D>(&json).unwrap_err().to_string();
        let reason = format!(
            "the numbers are {found}, expected {expected}: load them as {found}; `Network::map` \
             converts a network"
        );
        assert!(text.contains(&reason), "{text}");
        let bytes = to_bytes("kind", value).unwrap();
        let Err(Refusal::Content { message }) = from_bytes::<D>(&bytes, "kind") else {
            panic!("loaded: {json}");
        };
        assert!(message.contains(&reason), "{message}");
    }

    let builder = Network::<f64>::builder(1).dense(1, Softmax);
    let double = builder.with_theta(&[0.1, 0.7]).unwrap();
    let single = double.map(|x| x as f32).unwrap();
    refuse::<_, Network<f32>>(&double, "f64", "f32");
    refuse::<_, Network<f64>>(&single, "f32", "f64");
    let scaler = Standardizer::new(vec![0.1_f64], vec![1.0]).unwrap();
    refuse::<_, Standardizer<f32>>(&scaler, "f64", "f32");
    let scaler = Standardizer::new(vec![0.1_f32], vec![1.0]).unwrap();
    refuse::<_, Standardizer<f64>>(&scaler, "f32", "f64");
    let scaler = MinMaxScaler::new(vec![0.1_f64], vec![1.0]).unwrap();
    refuse::<_, MinMaxScaler<f32>>(&scaler, "f64", "f32");
    let scaler = MinMaxScaler::new(vec![0.1_f32], vec![1.0]).unwrap();
    refuse::<_, MinMaxScaler<f64>>(&scaler, "f32", "f64");
    let state = OptimizerState::new(1, vec![vec![0.1_f64]]);
    refuse::<_, OptimizerState<f32>>(&state, "f64", "f32");
    let state = OptimizerState::new(1, vec![vec![0.1_f32]]);
    refuse::<_, OptimizerState<f64>>(&state, "f32", "f64");
    // The same holds for a state without buffers, and for one part of a tuple.
    refuse::<_, OptimizerState<f64>>(&OptimizerState::<f32>::new(0, vec![]), "f32", "f64");
    refuse::<_, (Network<f64>, Standardizer<f64>)>(&(&double, &scaler_of_f32()), "f32", "f64");

    fn scaler_of_f32() -> Standardizer<f32> {
        Standardizer::new(vec![0.5], vec![1.0]).unwrap()
    }
}
