//! Every type of number, into `f32` and `f64`: exact, or an error, or rounded if asked for.

use super::made::{BATCHES, Made, STATE, THETA, bytes, file, layers, read, read_npz, with};
use backprop::interchange::{FileScalar, InterchangeError, Options};
use backprop::nalgebra::convert;
use backprop::{Builder, Network, activation::Identity};

/// One number: Θ of a dense layer without a bias.
fn one<T: FileScalar>() -> Builder<T> {
    Network::builder(1).dense_without_bias(1, Identity)
}

fn read_one<T: FileScalar>(
    kind: &'static str,
    bytes: &[u8],
    options: &Options<'_>,
) -> Result<T, InterchangeError> {
    let bytes = file(&[Made::new("0.weight", kind, &[1, 1], bytes)]);
    Ok(read(&bytes, one(), options)?.0.theta().as_slice()[0])
}

/// The value of a number with this many bits of exponent and of fraction.
fn value(bits: u16, exponent_bits: u32, fraction_bits: u32) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
    let fraction = f64::from(bits & ((1 << fraction_bits) - 1));
    let bias = (1 << (exponent_bits - 1)) - 1;
    let unit = 2.0_f64.powi(-(fraction_bits as i32));
    if exponent == (1 << exponent_bits) - 1 {
        return if fraction == 0.0 {
            sign * f64::INFINITY
        } else {
            f64::NAN
        };
    }
    if exponent == 0 {
        return sign * fraction * unit * 2.0_f64.powi(1 - bias);
    }
    sign * (1.0 + fraction * unit) * 2.0_f64.powi(exponent - bias)
}

#[test]
fn every_number_of_two_bytes_is_exact() {
    for (kind, exponent_bits, fraction_bits) in [("F16", 5, 10), ("BF16", 8, 7)] {
        // 256 numbers at a time, from one file each.
        for high in 0..=255_u8 {
            let numbers: Vec<u16> = (0..=255)
                .map(|low| u16::from_be_bytes([high, low]))
                .collect();
            let values = numbers
                .iter()
                .map(|&n| value(n, exponent_bits, fraction_bits));
            let finite: Vec<(u16, f64)> = numbers.iter().copied().zip(values).collect();
            let (finite, rest): (Vec<_>, Vec<_>) =
                finite.into_iter().partition(|(_, value)| value.is_finite());
            let bytes: Vec<u8> = finite.iter().flat_map(|(n, _)| n.to_le_bytes()).collect();
            if !finite.is_empty() {
                let n = finite.len();
                let bytes = file(&[Made::new("0.weight", kind, &[1, n], &bytes)]);
                let wide = || Network::<f64>::builder(n).dense_without_bias(1, Identity);
                let wide = read(&bytes, wide(), &Options::new()).unwrap().0;
                let narrow = Network::<f32>::builder(n).dense_without_bias(1, Identity);
                let narrow = read(&bytes, narrow, &Options::new()).unwrap().0;
                let pairs = wide.theta().iter().zip(narrow.theta().iter());
                for ((wide, narrow), (bits, value)) in pairs.zip(&finite) {
                    assert_eq!(wide.to_bits(), value.to_bits(), "{kind} {bits:#06x}");
                    assert_eq!(narrow.to_bits(), (*value as f32).to_bits());
                }
            }
            for (bits, value) in rest {
                for options in [Options::new(), Options::new().rounded()] {
                    let error = read_one::<f64>(kind, &bits.to_le_bytes(), &options).unwrap_err();
                    let InterchangeError::NonFinite { value: found, .. } = error else {
                        panic!("{error}");
                    };
                    assert!(found == value || found.is_nan() && value.is_nan());
                }
            }
        }
    }
}

#[test]
fn singles_are_exact_in_both() {
    for bits in [
        0,
        1 << 31,
        1,
        0x007f_ffff,
        f32::MIN_POSITIVE.to_bits(),
        f32::MAX.to_bits(),
        (-f32::MAX).to_bits(),
        0.1_f32.to_bits(),
        (1.0 + f32::EPSILON).to_bits(),
    ] {
        let (single, bytes) = (f32::from_bits(bits), bits.to_le_bytes());
        let found = read_one::<f32>("F32", &bytes, &Options::new()).unwrap();
        assert_eq!(found.to_bits(), bits);
        let found = read_one::<f64>("F32", &bytes, &Options::new()).unwrap();
        assert_eq!(found.to_bits(), f64::from(single).to_bits());
    }
}

#[test]
fn doubles_become_singles_exactly_or_rounded() {
    let half = f32::from_bits(1); // the least subnormal
    let tie = 1.0 + 2.0_f64.powi(-24); // between 1 and the next single
    for (double, nearest, is_exact) in [
        (0.5, 0.5, true),
        (-0.0, -0.0, true),
        (f64::from(half), half, true),
        (f64::from(f32::MAX), f32::MAX, true),
        (0.1, 0.1, false),
        (tie, 1.0, false), // to even
        (tie + 2.0_f64.powi(-50), 1.0 + f32::EPSILON, false),
        (
            1.0 + 3.0 * 2.0_f64.powi(-24),
            1.0 + 2.0 * f32::EPSILON,
            false,
        ),
        (f64::from(half) * 1.5, f32::from_bits(2), false),
        (f64::from(half) / 2.0, 0.0, false),
        (f64::MIN_POSITIVE, 0.0, false),
        (f64::from_bits(1), 0.0, false),
        (-f64::from_bits(1), -0.0, false),
        // Below the middle of f32::MAX and the next power of 2.
        (3.402_823_567_797_336e38, f32::MAX, false),
    ] {
        let bytes = double.to_le_bytes();
        let found = read_one::<f32>("F64", &bytes, &Options::new());
        match found {
            Ok(found) => {
                assert!(is_exact, "{double:e}");
                assert_eq!(found.to_bits(), nearest.to_bits(), "{double:e}");
            }
            Err(InterchangeError::Inexact {
                tensor,
                entry,
                value,
                scalar,
            }) => {
                assert!(!is_exact, "{double:e}");
                assert_eq!((&*tensor, entry, scalar), ("0.weight", 0, "f32"));
                assert_eq!(value.parse::<f64>().unwrap().to_bits(), double.to_bits());
            }
            Err(error) => panic!("{error}"),
        }
        let found = read_one::<f32>("F64", &bytes, &Options::new().rounded()).unwrap();
        assert_eq!(found.to_bits(), nearest.to_bits(), "{double:e}");
        let found = read_one::<f64>("F64", &bytes, &Options::new()).unwrap();
        assert_eq!(found.to_bits(), double.to_bits());
    }
}

#[test]
fn what_would_be_infinite_or_is_not_a_number_is_refused() {
    let too_large = [3.402_823_6e38, 1e300, -f64::MAX];
    for double in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for options in [Options::new(), Options::new().rounded()] {
            let found = read_one::<f64>("F64", &double.to_le_bytes(), &options);
            assert!(matches!(
                found,
                Err(InterchangeError::NonFinite { scalar: "f64", .. })
            ));
        }
    }
    for double in too_large.into_iter().chain([f64::NAN, f64::INFINITY]) {
        for options in [Options::new(), Options::new().rounded()] {
            let found = read_one::<f32>("F64", &double.to_le_bytes(), &options);
            assert!(matches!(
                found,
                Err(InterchangeError::NonFinite { scalar: "f32", .. })
            ));
        }
    }
    for single in [f32::NAN, f32::NEG_INFINITY] {
        let found = read_one::<f64>("F32", &single.to_le_bytes(), &Options::new());
        assert!(matches!(found, Err(InterchangeError::NonFinite { .. })));
    }
}

#[test]
fn integers_are_no_parameters() {
    for (kind, len, named) in [
        ("I64", 8, "I64"),
        ("U8", 1, "U8"),
        ("BOOL", 1, "BOOL"),
        ("F8_E4M3", 1, "F8_E4M3"),
        ("C64", 8, "C64"),
    ] {
        let error = read_one::<f64>(kind, &vec![0; len], &Options::new()).unwrap_err();
        let InterchangeError::Type {
            tensor,
            expected,
            found,
        } = error
        else {
            panic!("{error}");
        };
        let expected = (&*tensor, expected, &*found);
        assert_eq!(expected, ("0.weight", "F64, F32, F16 or BF16", named));
    }
}

/// The entry of an error is counted in row-major order, in whatever order the file has them.
#[test]
fn an_error_names_the_entry_in_row_major_order() {
    let mut numbers = [1.0, 2.0, 3.0, -4.0, f64::NAN, 6.25];
    let error = read::<f64>(
        &file(&with(Made::f64("0.weight", &[2, 3], &numbers))),
        layers(),
        &Options::new(),
    );
    let Err(InterchangeError::NonFinite { tensor, entry, .. }) = error else {
        panic!();
    };
    assert_eq!((&*tensor, entry), ("0.weight", 4));
    numbers[4] = 0.1;
    let error = read::<f32>(
        &file(&with(Made::f64("0.weight", &[2, 3], &numbers))),
        layers(),
        &Options::new(),
    );
    assert!(matches!(
        error,
        Err(InterchangeError::Inexact { entry: 4, .. })
    ));
}

fn is_usual<T: FileScalar>(network: &Network<T>) -> bool {
    let theta = THETA.map(convert::<f64, T>);
    let state = STATE.map(convert::<f64, T>);
    network.theta().as_slice() == theta && network.state().as_slice() == state
}

/// Files of PyTorch and NumPy with the same numbers.
#[test]
fn every_file_has_the_same_numbers() {
    for name in ["f64", "f32", "f16", "bf16"] {
        let bytes = bytes(&format!("{name}.safetensors"));
        let (network, batches) = read::<f64>(&bytes, layers(), &Options::new()).unwrap();
        assert!(
            is_usual(&network) && batches.of(1) == Some(BATCHES),
            "{name}"
        );
        let (network, batches) = read::<f32>(&bytes, layers(), &Options::new()).unwrap();
        assert!(
            is_usual(&network) && batches.of(1) == Some(BATCHES),
            "{name}"
        );
    }
    for name in [
        "stored",
        "compressed",
        "fortran_compressed",
        "fortran_f32",
        "big_endian",
        "big_endian_fortran_f16",
    ] {
        let bytes = bytes(&format!("{name}.npz"));
        let (network, batches) = read_npz::<f64>(&bytes, layers(), &Options::new()).unwrap();
        assert!(
            is_usual(&network) && batches.of(1) == Some(BATCHES),
            "{name}"
        );
        let (network, batches) = read_npz::<f32>(&bytes, layers(), &Options::new()).unwrap();
        assert!(
            is_usual(&network) && batches.of(1) == Some(BATCHES),
            "{name}"
        );
    }
}

/// The number of batches of a cumulative mean is in the state, where `f32` may not hold it.
#[test]
fn numbers_of_batches() {
    use backprop::layer::BatchNorm;

    fn cumulative<T: FileScalar>() -> Builder<T> {
        Network::builder(1).layer(BatchNorm::new().affine(false).cumulative().into())
    }
    fn fixed<T: FileScalar>() -> Builder<T> {
        Network::builder(1).layer(BatchNorm::new().affine(false).into())
    }
    let statistics = |batches: Option<Made>| {
        let mut tensors = vec![
            Made::f64("0.running_mean", &[1], &[0.5]),
            Made::f64("0.running_var", &[1], &[2.0]),
        ];
        tensors.extend(batches);
        file(&tensors)
    };
    let batches =
        |kind, bytes: &[u8]| statistics(Some(Made::new("0.num_batches_tracked", kind, &[], bytes)));
    let strict = Options::new();
    let seven = batches("I64", &7_i64.to_le_bytes());
    let (network, counts) = read::<f64>(&seven, cumulative(), &strict).unwrap();
    assert_eq!(network.state().as_slice(), [0.5, 2.0, 7.0]);
    assert_eq!(counts.of(0), None);
    let (network, counts) = read::<f64>(&seven, fixed(), &strict).unwrap();
    assert_eq!(network.state().as_slice(), [0.5, 2.0]);
    assert_eq!(counts.of(0), Some(7));

    // It may be missing only where it does not matter.
    let (_, counts) = read::<f64>(&statistics(None), fixed(), &strict).unwrap();
    assert_eq!(counts.of(0), None);
    let error = read::<f64>(&statistics(None), cumulative(), &strict).unwrap_err();
    assert!(
        matches!(error, InterchangeError::Missing { tensor, shape, .. }
        if tensor == "0.num_batches_tracked" && shape.is_empty())
    );

    for (kind, bytes) in [
        ("U64", &7_u64.to_le_bytes()[..]),
        ("I32", &7_i32.to_le_bytes()),
        ("U32", &7_u32.to_le_bytes()),
        ("I16", &7_i16.to_le_bytes()),
        ("U16", &7_u16.to_le_bytes()),
        ("I8", &[7]),
        ("U8", &[7]),
    ] {
        let (network, _) = read::<f64>(&batches(kind, bytes), cumulative(), &strict).unwrap();
        assert_eq!(network.state().as_slice(), [0.5, 2.0, 7.0], "{kind}");
    }

    let odd = batches("I64", &((1_i64 << 24) + 1).to_le_bytes());
    let error = read::<f32>(&odd, cumulative(), &strict).unwrap_err();
    assert!(
        matches!(error, InterchangeError::Inexact { ref value, scalar: "f32", .. }
        if value == "16777217")
    );
    let (network, _) = read::<f32>(&odd, cumulative(), &Options::new().rounded()).unwrap();
    assert_eq!(network.state().as_slice(), [0.5, 2.0, 16_777_216.0]);
    // Where it is only passed on, every number is kept.
    let most = batches("U64", &u64::MAX.to_le_bytes());
    let (network, counts) = read::<f32>(&most, fixed(), &strict).unwrap();
    assert_eq!(counts.of(0), Some(u64::MAX));
    let options = Options::new().batches(&counts);
    let error = backprop::interchange::safetensors::to_bytes(&network, &options).unwrap_err();
    assert!(matches!(
        error,
        InterchangeError::Inexact { scalar: "i64", .. }
    ));

    for layers in [fixed::<f64>(), cumulative()] {
        let negative = batches("I16", &(-1_i16).to_le_bytes());
        let error = read(&negative, layers.clone(), &strict).unwrap_err();
        assert!(matches!(
            error,
            InterchangeError::Range {
                value: -1.0,
                least: 0.0,
                ..
            }
        ));
        let real = batches("F64", &7.0_f64.to_le_bytes());
        let error = read(&real, layers, &strict).unwrap_err();
        assert!(matches!(
            error,
            InterchangeError::Type {
                expected: "integers",
                ..
            }
        ));
    }

    // A network whose number of batches is no integer.
    let mut network = cumulative::<f64>().zeros().unwrap();
    network.set_state(&[0.0, 1.0, 2.5]).unwrap();
    let error = backprop::interchange::safetensors::to_bytes(&network, &strict).unwrap_err();
    assert_eq!(
        error.to_string(),
        "entry 0 of the tensor \"0.num_batches_tracked\" is 2.5, which i64 cannot hold exactly"
    );
}
