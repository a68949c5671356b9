//! X and Y from NumPy's arrays.

use super::made::{bytes, path};
use super::raw;
use backprop::interchange::{FileScalar, InterchangeError, Options, npy};
use backprop::nalgebra::{DMatrix, try_convert};
use backprop::{Examples, row_major};
use std::io::ErrorKind;
use std::path::Path;

/// Reads a file from its path and from its bytes, which must agree.
fn read<T: FileScalar>(name: &str, options: &Options<'_>) -> Result<DMatrix<T>, InterchangeError> {
    let bytes = bytes(name);
    let loaded = npy::load::<T>(path(name), options);
    match (npy::from_bytes::<T>(&bytes, options), loaded) {
        (Ok(array), Ok(matrix)) => {
            // By their bits, for NaN.
            let bits = |x: &T| try_convert::<T, f64>(*x).unwrap().to_bits();
            assert!(
                array.view().iter().map(bits).eq(matrix.iter().map(bits)),
                "{name}"
            );
            assert_eq!(array.view().shape(), matrix.shape());
            Ok(matrix)
        }
        (Err(error), Err(loaded)) => {
            assert_eq!(loaded.reason().to_string(), error.to_string());
            assert!(matches!(loaded, InterchangeError::File { path: p, .. } if p == path(name)));
            Err(error)
        }
        (from_bytes, loaded) => panic!("{name}: {from_bytes:?}, {loaded:?}"),
    }
}

fn refused(name: &str) -> InterchangeError {
    read::<f64>(name, &Options::new()).unwrap_err()
}

/// Three examples with four features, multiples of 1/4.
#[test]
fn every_type_and_order_has_the_same_numbers() {
    let x = DMatrix::from_fn(4, 3, |row, col| (4 * col + row) as f64 / 4.0);
    let names = [
        "c",
        "fortran",
        "f4",
        "f2",
        "big_endian",
        "version2",
        "version3",
    ];
    for name in names {
        let name = format!("{name}.npy");
        assert_eq!(read::<f64>(&name, &Options::new()).unwrap(), x, "{name}");
        let single = read::<f32>(&name, &Options::new()).unwrap();
        assert_eq!(single, x.map(|x| x as f32), "{name}");
    }
    let integers = [
        "i1",
        "u1",
        "i2",
        "u2",
        "i4",
        "u4",
        "i8",
        "u8",
        "big_endian_fortran_i4",
    ];
    for name in integers {
        let name = format!("{name}.npy");
        assert_eq!(
            read::<f64>(&name, &Options::new()).unwrap(),
            &x * 4.0,
            "{name}"
        );
        let single = read::<f32>(&name, &Options::new()).unwrap();
        assert_eq!(single, x.map(|x| 4.0 * x as f32), "{name}");
    }
    let above = x.map(|x| f64::from(u8::from(x > 1.0)));
    assert_eq!(read::<f64>("bool.npy", &Options::new()).unwrap(), above);
}

/// One axis is one feature, and further axes are unrolled in C order.
#[test]
fn axes() {
    for name in ["one_axis.npy", "one_axis_fortran.npy"] {
        let found = read::<f64>(name, &Options::new()).unwrap();
        assert_eq!(
            found,
            DMatrix::from_row_slice(1, 4, &[1.0, 1.25, 1.5, 1.75])
        );
    }
    let expected = DMatrix::from_fn(6, 2, |row, col| (6 * col + row) as f64);
    for name in ["three_axes.npy", "three_axes_fortran.npy"] {
        assert_eq!(
            read::<f64>(name, &Options::new()).unwrap(),
            expected,
            "{name}"
        );
    }
}

/// Bytes that start at a multiple of 16.
#[repr(align(16))]
struct Aligned([u8; 512]);

fn aligned(bytes: &[u8]) -> Box<Aligned> {
    let mut aligned = Box::new(Aligned([0; 512]));
    aligned.0[..bytes.len()].copy_from_slice(bytes);
    aligned
}

#[test]
fn without_a_copy_where_the_order_allows() {
    for (name, double, single) in [
        ("c.npy", cfg!(target_endian = "little"), false),
        ("f4.npy", false, cfg!(target_endian = "little")),
        ("fortran.npy", false, false),
        ("big_endian.npy", cfg!(target_endian = "big"), false),
        (
            "one_axis_fortran.npy",
            cfg!(target_endian = "little"),
            false,
        ),
        ("three_axes.npy", cfg!(target_endian = "little"), false),
        ("three_axes_fortran.npy", false, false),
        ("i8.npy", false, false),
    ] {
        let bytes = bytes(name);
        let aligned = aligned(&bytes);
        let file = &aligned.0[..bytes.len()];
        let array = npy::from_bytes::<f64>(file, &Options::new()).unwrap();
        assert_eq!(array.is_borrowed(), double, "{name}");
        if double {
            let view = array.view();
            assert!(file.as_ptr_range().contains(&view.as_ptr().cast()));
        }
        let array = npy::from_bytes::<f32>(file, &Options::new()).unwrap();
        assert_eq!(array.is_borrowed(), single, "{name}");
    }
    // At an odd address, the numbers are copied.
    let mut shifted = vec![0];
    shifted.extend_from_slice(&bytes("c.npy"));
    let aligned = aligned(&shifted);
    let array = npy::from_bytes::<f64>(&aligned.0[1..shifted.len()], &Options::new()).unwrap();
    assert!(!array.is_borrowed());
    assert_eq!(array.view().column(1).as_slice(), [1.0, 1.25, 1.5, 1.75]);
}

#[test]
fn examples_from_files() {
    let x = read::<f64>("fortran.npy", &Options::new()).unwrap();
    let y = read::<f64>("missing.npy", &Options::new()).unwrap();
    assert!(Examples::new(&x, &x).is_ok());
    assert!(Examples::new(&x, &y).is_err(), "NaN is no target");
    let present = DMatrix::from_row_slice(1, 3, &[true, false, false]);
    assert_eq!(Examples::with_missing(&x, &y, &present).unwrap().len(), 3);
}

#[test]
fn numbers_that_do_not_fit() {
    let error = read::<f32>("inexact.npy", &Options::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "entry 0 of the tensor \"array\" is 0.1, which f32 cannot hold exactly: \
         `Options::rounded` accepts the nearest value"
    );
    let error = read::<f32>("inexact.npy", &Options::new().rounded()).unwrap_err();
    assert!(matches!(
        error,
        InterchangeError::NonFinite {
            entry: 3,
            value: 1e300,
            ..
        }
    ));
    read::<f64>("inexact.npy", &Options::new()).unwrap();

    let error = refused("large_integer.npy");
    assert!(
        matches!(error, InterchangeError::Inexact { ref value, scalar: "f64", .. }
        if value == "9007199254740993")
    );
    let rounded = read::<f64>("large_integer.npy", &Options::new().rounded()).unwrap();
    assert_eq!(rounded[0], 9_007_199_254_740_992.0);
}

#[test]
fn arrays_that_are_no_numbers() {
    for (name, kind) in [
        ("complex.npy", "<c16"),
        ("text.npy", "<U1"),
        ("object.npy", "|O"),
        ("time.npy", "<M8[D]"),
    ] {
        let error = refused(name);
        assert!(
            matches!(&error, InterchangeError::Type { found, .. } if found == kind),
            "{error}"
        );
        assert_eq!(
            error.to_string(),
            format!(
                "the entries of the tensor \"array\" are {kind}, \
                 expected floats of 2, 4 or 8 bytes, integers or booleans"
            )
        );
    }
    for (name, reason) in [
        (
            "no_axes.npy",
            "the array has no axes, expected examples along the first",
        ),
        ("no_examples.npy", "the array has no numbers"),
        ("no_features.npy", "the array has no numbers"),
        (
            "structured.npy",
            "its header is not that of an array of numbers",
        ),
        ("stored.npz", "it does not start with a header of NumPy"),
    ] {
        assert_eq!(
            refused(name).to_string(),
            format!("not a valid npy file: {reason}")
        );
    }
    let missing = npy::load::<f64>(path("none.npy"), &Options::new()).unwrap_err();
    assert!(matches!(missing, InterchangeError::Io { source, .. }
        if source.kind() == ErrorKind::NotFound));
}

/// A file with this header and these numbers.
fn file(header: &str, numbers: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + numbers, 0);
    bytes
}

#[test]
fn headers() {
    for good in [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1)}\n",
        "{\"shape\":(2,1,),\"fortran_order\":True,\"descr\":\"<f8\"}",
        "  { 'shape' : ( 2 , ) , 'descr' : '<f8' , 'fortran_order' : False }  ",
    ] {
        let bytes = file(good, 16);
        let array = npy::from_bytes::<f64>(&bytes, &Options::new()).unwrap();
        assert_eq!(array.view().shape(), (1, 2), "{good}");
    }
    for bad in [
        "",
        "{}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), ",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2 1), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,, 1), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, -1), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999, 1), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': [2, 1], }",
        "{'descr': '<f8', 'fortran_order': 0, 'shape': (2, 1), }",
        "{'descr': '<f8', 'fortran_order': False 'shape': (2, 1), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), 'more': '', }",
        "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }",
        "{'fortran_order': False, 'shape': (2, 1), }",
        "{'descr': '<f8', 'shape': (2, 1), }",
        "{'descr': '<f8', 'fortran_order': False, }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), } more",
        "{'descr': '\\x3cf8', 'fortran_order': False, 'shape': (2, 1), }",
        "{'descr': '<f8, 'fortran_order': False, 'shape': (2, 1), }",
    ] {
        let bytes = file(bad, 16);
        let error = npy::from_bytes::<f64>(&bytes, &Options::new()).unwrap_err();
        assert!(
            matches!(error, InterchangeError::Malformed { kind: "npy", .. }),
            "{bad}: {error}"
        );
    }
    // A shape that needs other numbers, or more than there can be.
    for shape in [
        "(2, 2)",
        "(1,)",
        "(4294967296, 4294967296)",
        "(9223372036854775807, 2)",
    ] {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}");
        let bytes = file(&header, 16);
        let error = npy::from_bytes::<f64>(&bytes, &Options::new()).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("but there are 16 bytes of numbers"),
            "{error}"
        );
    }
    // Without numbers, an axis may be of any size.
    let header = "{'descr': '<f8', 'fortran_order': True, 'shape': (18446744073709551615, 0)}";
    let bytes = file(header, 0);
    let error = npy::from_bytes::<f64>(&bytes, &Options::new()).unwrap_err();
    assert!(
        error.to_string().ends_with("the array has no numbers"),
        "{error}"
    );
    // A later version, and a header that is too long.
    let mut later = file(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}",
        16,
    );
    later[6] = 4;
    let error = npy::from_bytes::<f64>(&later, &Options::new()).unwrap_err();
    assert!(
        error.to_string().ends_with("version 4, expected at most 3"),
        "{error}"
    );
    let long = file(&" ".repeat(10_001), 16);
    let error = npy::from_bytes::<f64>(&long, &Options::new()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("10001 bytes, expected at most 10000"),
        "{error}"
    );
}

#[test]
fn every_prefix_is_refused() {
    for name in ["c.npy", "fortran.npy", "version2.npy", "bool.npy"] {
        let good = bytes(name);
        for len in 0..good.len() {
            let error = npy::from_bytes::<f64>(&good[..len], &Options::new()).unwrap_err();
            assert!(
                matches!(error, InterchangeError::Malformed { .. }),
                "{name} {len}: {error}"
            );
        }
        let mut more = good.clone();
        more.push(0);
        let error = npy::from_bytes::<f64>(&more, &Options::new()).unwrap_err();
        assert!(
            matches!(error, InterchangeError::Malformed { .. }),
            "{name}: {error}"
        );
    }
}

/// What is written is what NumPy writes: the header, and one example after the other.
#[test]
fn written_arrays() {
    let x = DMatrix::from_fn(4, 3, |row, col| (4 * col + row) as f64 / 4.0);
    let written = npy::to_bytes(&x).unwrap();
    let (found, expected) = (raw::npy(&written), raw::npy(&bytes("c.npy")));
    assert_eq!(found, expected);
    assert_eq!(written.len() % 64, 32, "12 numbers after a multiple of 64");
    let single = npy::to_bytes(&x.map(|x| x as f32)).unwrap();
    assert_eq!(raw::npy(&single), raw::npy(&bytes("f4.npy")));
    // A view with gaps, and rows of a slice.
    let rows = x.rows(1, 2).into_owned();
    assert_eq!(
        npy::to_bytes(x.rows(1, 2)).unwrap(),
        npy::to_bytes(&rows).unwrap()
    );
    let flat: Vec<f64> = x.iter().copied().collect();
    assert_eq!(
        npy::to_bytes(row_major(&flat, 4).unwrap()).unwrap(),
        written
    );

    let file = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = file.join(format!("interchange-{}.npy", std::process::id()));
    npy::save(&file, &x).unwrap();
    assert_eq!(npy::load::<f64>(&file, &Options::new()).unwrap(), x);
    std::fs::remove_file(file).unwrap();
}
