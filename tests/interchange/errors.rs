//! Every error says what, expected and found; the network stays as it was, and no file is written.

use super::made::{
    Made, bytes, checked, file, layers, path, read, read_npz, refused, tensors, with, with_header,
};
use backprop::interchange::{FileScalar, InterchangeError, Options, npz, safetensors};
use backprop::{Network, activation::Tanh};
use std::error::Error as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

fn temporary(name: &str) -> PathBuf {
    let name = format!("interchange-{}-{name}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn io() {
    let missing = temporary("missing");
    for load in [safetensors::load::<f64, _>, npz::load::<f64, _>] {
        for (path, kind) in [
            (missing.as_path(), ErrorKind::NotFound),
            (
                Path::new(env!("CARGO_TARGET_TMPDIR")),
                ErrorKind::IsADirectory,
            ),
        ] {
            let error = checked(layers(), |network| load(path, network, &Options::new()));
            let error = error.unwrap_err();
            let InterchangeError::Io {
                path: found,
                source,
            } = &error
            else {
                panic!("{error}");
            };
            assert_eq!((found.as_path(), source.kind()), (path, kind));
            assert!(
                error.to_string().contains(&path.display().to_string()),
                "{error}"
            );
            assert!(error.source().is_some());
        }
    }
    let network = layers::<f64>().zeros().unwrap();
    let inside = missing.join("file");
    for save in [safetensors::save::<f64, _>, npz::save::<f64, _>] {
        let error = save(&inside, &network, &Options::new()).unwrap_err();
        assert!(matches!(error, InterchangeError::Io { .. }), "{error}");
    }
}

/// The errors of files name the file, and have a reason.
#[test]
fn files() {
    let file = temporary("damaged");
    fs::write(&file, b"text").unwrap();
    for load in [safetensors::load::<f64, _>, npz::load::<f64, _>] {
        let error = checked(layers(), |network| load(&file, network, &Options::new()));
        let error = error.unwrap_err();
        assert!(matches!(&error, InterchangeError::File { path, .. } if *path == file));
        assert!(matches!(error.reason(), InterchangeError::Malformed { .. }));
        let (whole, reason) = (error.to_string(), error.reason().to_string());
        assert_eq!(whole, format!("{}: {reason}", file.display()));
    }
    fs::remove_file(file).unwrap();
}

/// A file that exists stays as it was if its replacement fails.
#[test]
fn saving_replaces_a_file_as_a_whole() {
    let file = temporary("replaced");
    fs::write(&file, b"text").unwrap();
    let network = layers::<f64>().zeros().unwrap();
    let unnamed = Options::new().names(|_| String::new());
    for save in [safetensors::save::<f64, _>, npz::save::<f64, _>] {
        let error = save(&file, &network, &unnamed).unwrap_err();
        assert!(matches!(error, InterchangeError::Name { .. }));
        assert_eq!(fs::read(&file).unwrap(), b"text");
    }
    safetensors::save(&file, &network, &Options::new()).unwrap();
    let expected = safetensors::to_bytes(&network, &Options::new()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), expected);
    npz::save(&file, &network, &Options::new()).unwrap();
    let expected = npz::to_bytes(&network, &Options::new()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), expected);
    fs::remove_file(file).unwrap();
}

#[test]
fn missing() {
    for left_out in tensors() {
        if left_out.name == "2.num_batches_tracked" {
            continue;
        }
        let mut tensors = tensors();
        tensors.retain(|tensor| tensor.name != left_out.name);
        let error = refused(&file(&tensors));
        let InterchangeError::Missing {
            tensor,
            shape,
            unexpected,
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!((tensor, shape), (&left_out.name, &left_out.shape));
        assert!(unexpected.is_empty());
        assert!(error.to_string().contains(&left_out.name));
    }
    // Another name.
    let mut tensors = tensors();
    tensors[1].name = "0.b".to_owned();
    assert_eq!(
        refused(&file(&tensors)).to_string(),
        "the tensor \"0.bias\" is missing, expected the shape [2]; the file has \"0.b\", which the \
         network lacks; if only the names differ, set `Options::names`"
    );
    tensors.extend((0..9).map(|i| Made::i64(&format!("more{i}"), 0)));
    let error = refused(&file(&tensors)).to_string();
    assert!(
        error.contains("\"more4\", 4 more, which the network lacks; "),
        "{error}"
    );
}

#[test]
fn unexpected() {
    let mut tensors = tensors();
    tensors.push(Made::f64("4.weight", &[1], &[1.0]));
    let error = refused(&file(&tensors));
    let InterchangeError::Unexpected { tensor, expected } = &error else {
        panic!("{error}");
    };
    assert_eq!((&**tensor, expected.len()), ("4.weight", 7));
    assert_eq!(
        error.to_string(),
        "the network has no tensor \"4.weight\", expected \"0.weight\", \"0.bias\", \"2.weight\", \
         \"2.bias\", \"2.running_mean\", \"2.running_var\", 1 more"
    );
    // The number of batches is one of the tensors of a batch norm only.
    let number = [
        Made::f64("0.weight", &[1, 3], &[1.0; 3]),
        Made::i64("0.num_batches_tracked", 1),
    ];
    let dense = Network::<f64>::builder(3).dense_without_bias(1, Tanh);
    let error = read(&file(&number), dense, &Options::new()).unwrap_err();
    assert!(
        matches!(error, InterchangeError::Unexpected { .. }),
        "{error}"
    );
}

#[test]
fn duplicates() {
    for name in ["0.weight", "2.bias", "other"] {
        let mut tensors = tensors();
        tensors.push(Made::f64(name, &[1], &[1.0]));
        tensors.push(Made::f64(name, &[1], &[1.0]));
        let error = refused(&file(&tensors));
        assert!(matches!(&error, InterchangeError::Duplicate { tensor } if tensor == name));
        assert_eq!(
            error.to_string(),
            format!("the file has more than one tensor {name:?}, expected one")
        );
    }
    let error = read_npz::<f64>(&bytes("twice.npz"), layers(), &Options::new()).unwrap_err();
    assert!(matches!(&error, InterchangeError::Duplicate { tensor } if tensor == "0.weight"));
}

/// The same number of entries in another shape is another shape.
#[test]
fn shapes() {
    let numbers = [1.0; 6];
    for shape in [&[3, 2][..], &[6], &[2, 3, 1], &[1, 2, 3]] {
        let error = refused(&file(&with(Made::f64("0.weight", shape, &numbers))));
        let InterchangeError::Shape {
            tensor,
            expected,
            found,
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(
            (&**tensor, &expected[..], &found[..]),
            ("0.weight", &[2, 3][..], shape)
        );
        assert_eq!(
            error.to_string(),
            format!("the tensor \"0.weight\" has the shape {shape:?}, expected [2, 3]")
        );
    }
    for (name, shape) in [
        ("0.bias", &[2, 1][..]),
        ("2.running_mean", &[1]),
        ("0.bias", &[]),
    ] {
        let numbers = vec![1.0; shape.iter().product()];
        let error = refused(&file(&with(Made::f64(name, shape, &numbers))));
        assert!(matches!(&error, InterchangeError::Shape { tensor, .. } if tensor == name));
    }
    let batches = Made::new("2.num_batches_tracked", "I64", &[1], &[0; 8]);
    let error = refused(&file(&with(batches)));
    assert!(matches!(error, InterchangeError::Shape { expected, .. } if expected.is_empty()));
}

#[test]
fn ranges() {
    let error = refused(&file(&with(Made::f64(
        "2.running_var",
        &[2],
        &[1.0, -0.25],
    ))));
    assert_eq!(
        error.to_string(),
        "entry 1 of the tensor \"2.running_var\" is -0.25, expected at least 0"
    );
    assert!(matches!(
        error,
        InterchangeError::Range {
            entry: 1,
            value: -0.25,
            least: 0.0,
            ..
        }
    ));
    let zero = file(&with(Made::f64("2.running_var", &[2], &[0.0, -0.0])));
    read::<f64>(&zero, layers(), &Options::new()).unwrap();
    let mean = file(&with(Made::f64("2.running_mean", &[2], &[-1.0, -0.25])));
    read::<f64>(&mean, layers(), &Options::new()).unwrap();
}

#[test]
fn malformed_safetensors() {
    let good = file(&tensors());
    read::<f64>(&good, layers(), &Options::new()).unwrap();
    let mut more = good.clone();
    more.push(0);
    for bytes in [&[][..], &[0; 7], &[0; 8], b"text, and no header", &more] {
        assert!(matches!(
            refused(bytes),
            InterchangeError::Malformed {
                kind: "safetensors",
                ..
            }
        ));
    }
    // Every prefix of a file.
    for len in 0..good.len() {
        let error = refused(&good[..len]);
        assert!(
            matches!(error, InterchangeError::Malformed { .. }),
            "{len}: {error}"
        );
    }
    let info = r#"{"dtype":"F64","shape":[2],"data_offsets":[0,16]}"#;
    for header in [
        "",
        "{",
        "[]",
        "null",
        r#"{"0.bias":1}"#,
        r#"{"0.bias":{}}"#,
        &format!(r#"{{"0.bias":{info}}} {{}}"#),
        &format!(
            r#"{{"0.bias":{},"other":{info}}}"#,
            info.replace("[2]", "[3]")
        ),
        // Places that overlap, leave a gap, or go back.
        &format!(r#"{{"0.bias":{info},"other":{info}}}"#),
        &format!(r#"{{"0.bias":{}}}"#, info.replace("[0,16]", "[8,24]")),
        &format!(r#"{{"0.bias":{}}}"#, info.replace("[0,16]", "[16,0]")),
        &format!(
            r#"{{"0.bias":{}}}"#,
            info.replace("16]", "18446744073709551615]")
        ),
        &format!(
            r#"{{"0.bias":{}}}"#,
            info.replace("[2]", "[2,9223372036854775807]")
        ),
        &format!(r#"{{"0.bias":{}}}"#, info.replace("F64", "F65")),
        &format!(r#"{{"__metadata__":[],"0.bias":{info}}}"#),
        &"[".repeat(100_000),
        &format!(r#"{{"a":{}"#, "[".repeat(100_000)),
    ] {
        let error = refused(&with_header(header, &[0; 16]));
        assert!(
            matches!(error, InterchangeError::Malformed { .. }),
            "{header:.60}: {error}"
        );
    }
    // A header that claims to be longer than any file.
    for length in [(1 << 24) + 1, u64::MAX, u64::MAX - 7] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(&good[8..]);
        let error = refused(&bytes);
        assert!(error.to_string().contains("header"), "{error}");
    }
}

#[test]
fn malformed_npz() {
    let refused = |bytes: &[u8]| read_npz::<f64>(bytes, layers(), &Options::new()).unwrap_err();
    for name in ["stored.npz", "compressed.npz"] {
        let good = bytes(name);
        for len in 0..good.len() {
            let error = refused(&good[..len]);
            assert!(
                matches!(error, InterchangeError::Malformed { kind: "npz", .. }),
                "{error}"
            );
        }
        // Numbers do not change without their checksum: a file with a changed bit is refused, or
        // has the same numbers.
        let read = |bytes: &[u8]| read_npz::<f64>(bytes, layers(), &Options::new());
        let (network, _) = read(&good).unwrap();
        let mut refused = 0;
        for bit in 0..8 * good.len() {
            let mut changed = good.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            match read(&changed) {
                Ok((same, _)) => assert_eq!(same, network, "bit {bit}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 4 * good.len(), "{refused}");
    }
    for (name, reason) in [
        (
            "bzip2.npz",
            "its compression is 12 (BZIP2), expected deflate or none",
        ),
        ("not_an_array.npz", "the array \"0.weight\""),
    ] {
        let error = refused(&bytes(name));
        assert!(matches!(error, InterchangeError::Malformed { .. }));
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// Names that files cannot have, and names that are the same.
#[test]
fn names() {
    let network = layers::<f64>().zeros().unwrap();
    let same = Options::new().names(|place| place.parameter.clone());
    let empty = Options::new().names(|_| String::new());
    let reserved = Options::new().names(|_| "__metadata__".to_owned());
    for (options, name, reason) in [
        (same, "weight", "is that of another tensor"),
        (empty, "", "is empty"),
        (
            reserved,
            "__metadata__",
            "is reserved for the metadata of safetensors",
        ),
    ] {
        let errors = [
            safetensors::to_bytes(&network, &options).unwrap_err(),
            npz::to_bytes(&network, &options).unwrap_err(),
            read::<f64>(&file(&tensors()), layers(), &options).unwrap_err(),
            read_npz::<f64>(&bytes("stored.npz"), layers(), &options).unwrap_err(),
        ];
        for error in errors {
            let InterchangeError::Name {
                tensor,
                reason: found,
                ..
            } = &error
            else {
                panic!("{error}");
            };
            assert_eq!((&**tensor, *found), (name, reason));
            assert!(
                error
                    .to_string()
                    .ends_with("; choose another with `Options::names`")
            );
        }
    }
    let long = "a".repeat(1 << 16);
    for name in ["a\0b", "ä/../b", &long] {
        let options = Options::new().names(|place| format!("{name}{}", place.name));
        let error = npz::to_bytes(&network, &options).unwrap_err();
        assert!(matches!(error, InterchangeError::Name { .. }), "{error}");
        // Only zip files have paths.
        let bytes = safetensors::to_bytes(&network, &options).unwrap();
        read::<f64>(&bytes, layers(), &options).unwrap();
    }
}

/// The formats of messages and of `Debug` are the same, as for all errors.
#[test]
fn debug_prints_the_message() {
    fn is_error<E: std::error::Error + Send + Sync + 'static>(_: &E) {}

    let error = refused(&file(&tensors()[1..]));
    is_error(&error);
    assert!(format!("{error:?}").contains(&error.to_string()));
}

fn is_file_scalar<T: FileScalar>() {}

#[test]
fn both_scalars() {
    is_file_scalar::<f32>();
    is_file_scalar::<f64>();
    assert!(path("f64.safetensors").exists());
}
