//! The bytes of accumulators: every bit returns, and sums continue as without the trip. Bytes that
//! are damaged, or of another network, scalar or version, are refused.

use super::state::with_state;
use backprop::activation::{Identity, Tanh};
use backprop::nalgebra::{DMatrix, convert};
use backprop::{
    Accumulator, AnyLayer, Builder, BytesFault, Error, Examples, FileScalar, Network, Penalty,
    Shape, SquaredError, Workspace, rng,
};
use rand_xoshiro::rand_core::Rng;

const WHAT: &str = "the accumulator";

fn small() -> Network<f64> {
    let builder = Network::builder(2).dense(3, Tanh).dense(1, Identity);
    let p = builder.clone().zeros().unwrap().parameters();
    let theta: Vec<f64> = (0..p).map(|i| (0.4 + 1.7 * i as f64).sin()).collect();
    builder.with_theta(&theta).unwrap()
}

/// The sums over batches with numbers `batches`, each of `2 + number` examples with weights.
fn add<T: FileScalar>(
    sums: &mut Accumulator<T>,
    network: &Network<T>,
    batches: std::ops::Range<usize>,
) {
    let mut workspace = Workspace::new();
    for batch in batches {
        let m = 2 + batch;
        let entry = |i: usize, k: usize| (0.7 + 2.3 * (i + 5 * k + 31 * batch) as f64).sin();
        let x = DMatrix::from_fn(network.inputs(), m, |i, k| match i {
            0 => convert(((3 * k + batch) % 4) as f64), // an id for networks with an embedding
            _ => convert(((k + batch + i) % 4) as f64 + if i > 1 { entry(i, k) } else { 0.0 }),
        });
        let y = DMatrix::from_fn(network.outputs(), m, |i, k| convert(entry(7 + i, k)));
        let weights: Vec<f64> = (0..m).map(|k| 0.5 + entry(3, k).abs()).collect();
        let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
        sums.add(network, &examples, &SquaredError, &mut workspace)
            .unwrap();
    }
}

fn sums_of<T: FileScalar>(network: &Network<T>, batches: std::ops::Range<usize>) -> Accumulator<T> {
    let mut sums = Accumulator::new(network).unwrap();
    add(&mut sums, network, batches);
    sums
}

/// Sends sums to another machine.
#[track_caller]
fn sent<T: FileScalar>(sums: &Accumulator<T>, network: &Network<T>) -> Accumulator<T> {
    let bytes = sums.to_bytes().unwrap();
    let p = network.parameters();
    assert_eq!(bytes.len(), 56 + 2 * (p + 1) * size_of::<T>());
    let received = Accumulator::from_bytes(&bytes, network).unwrap();
    assert_eq!(received.to_bytes().unwrap(), bytes);
    received
}

fn bits<T: FileScalar + Into<f64>>(sums: &Accumulator<T>, network: &Network<T>) -> Vec<u64> {
    let pass = sums.finish(network, &Penalty::l2(0.3)).unwrap();
    let parts = pass.cost_parts();
    let numbers = pass.gradient().vector().iter().copied();
    let numbers = numbers.chain([parts.data, parts.penalty]);
    numbers.map(|number| number.into().to_bits()).collect()
}

fn continues<T: FileScalar + Into<f64>>(network: &Network<T>) {
    for first in [0, 1, 5] {
        let mut stayed = sums_of(network, 0..first);
        let mut travelled = sent(&stayed, network);
        assert_eq!(travelled, stayed);
        add(&mut stayed, network, first..first + 3);
        add(&mut travelled, network, first..first + 3);
        travelled = sent(&travelled, network);
        assert_eq!(bits(&travelled, network), bits(&stayed, network));
        // Sums that were merged, sent, and merged again.
        let other = sums_of(network, 20..24);
        stayed.merge(&other).unwrap();
        travelled.merge(&sent(&other, network)).unwrap();
        let mut last = sums_of(network, 30..31);
        let mut received = sent(&last, network);
        last.merge(&stayed).unwrap();
        received.merge(&sent(&travelled, network)).unwrap();
        assert_eq!(received.to_bytes(), last.to_bytes());
        assert_eq!(bits(&received, network), bits(&last, network));
        received.reset();
        assert_eq!(sent(&received, network), Accumulator::new(network).unwrap());
    }
}

#[test]
fn sums_continue_as_without_the_trip() {
    let mut frozen = small();
    frozen.freeze(0).unwrap();
    for network in [small(), frozen, with_state()] {
        continues(&network);
        continues(&network.map(|w| w as f32).unwrap());
    }
    // The rounding errors matter: without them, the same batches give other bits.
    let network = small();
    let (kept, mut lost) = (sums_of(&network, 0..8), sums_of(&network, 0..4).to_bytes());
    let lost = lost.as_mut().unwrap();
    let p = network.parameters();
    lost[56..64].fill(0);
    lost[64 + 8 * p..][..8 * p].fill(0);
    sign(lost);
    let mut lost = Accumulator::from_bytes(lost, &network).unwrap();
    add(&mut lost, &network, 4..8);
    assert_ne!(lost, kept);
}

/// Sums that overflowed keep their infinities and NaN.
#[test]
fn sums_that_overflowed() {
    let network = Network::<f32>::builder(1).dense(1, Identity);
    let network = network.with_theta(&[0.0, 0.0]).unwrap();
    let sums = |target: f32, times: usize| {
        let (x, y) = (DMatrix::repeat(1, 1, 1e19), DMatrix::repeat(1, 1, target));
        let examples = Examples::new(&x, &y).unwrap();
        let mut sums = Accumulator::new(&network).unwrap();
        for _ in 0..times {
            let added = sums.add(&network, &examples, &SquaredError, &mut Workspace::new());
            added.unwrap();
        }
        sums
    };
    let mut whole = sums(1.5e19, 5);
    assert_eq!(whole.delta()[1], f32::NEG_INFINITY);
    assert_eq!(sent(&whole, &network), whole);
    whole.merge(&sent(&sums(-1.5e19, 5), &network)).unwrap();
    assert!(whole.delta()[1].is_nan());
    let received = sent(&whole, &network);
    let (found, expected) = (
        received.finish(&network, &Penalty::none()).unwrap_err(),
        whole.finish(&network, &Penalty::none()).unwrap_err(),
    );
    assert_eq!(found.to_string(), expected.to_string());
}

/// The checksum as its documentation describes it.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(1, |hash: u64, word| {
        let word = u64::from_le_bytes(word.try_into().unwrap());
        let z = hash.wrapping_add(word.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// Makes the checksum right.
fn sign(bytes: &mut [u8]) {
    let end = bytes.len() - 8;
    let checksum = checksum(&bytes[..end]);
    bytes[end..].copy_from_slice(&checksum.to_le_bytes());
}

/// The hashes of two layouts, and the checksum of the bytes below.
const FINGERPRINT: u64 = 0xfa9f_b220_b16d_dc48;
const CHECKSUM: u64 = 0x9ffb_e81d_7f3f_36dc;
const FINGERPRINT_WITH_STATE: u64 = 0x6f47_75b1_d946_5e85;

/// The format that every later version writes, or changes the number of its version.
#[test]
fn the_form_is_settled() {
    let network = Network::<f64>::builder(1).dense(1, Identity);
    let network = network.with_theta(&[1.0, 2.0]).unwrap();
    let (x, y) = (DMatrix::repeat(1, 1, 3.0), DMatrix::repeat(1, 1, 4.0));
    let examples = Examples::new(&x, &y).unwrap();
    let mut sums = Accumulator::new(&network).unwrap();
    sums.add(&network, &examples, &SquaredError, &mut Workspace::new())
        .unwrap();
    let mut settled = Vec::new();
    settled.extend(b"bpropsum\x01\0\0\0f64\0");
    for word in [104_u64, 2, FINGERPRINT] {
        settled.extend(word.to_le_bytes());
    }
    // Σ w, the cost and Δ with their rounding errors.
    for number in [1.0_f64, 4.5, 0.0, 3.0, 9.0, 0.0, 0.0] {
        settled.extend(number.to_le_bytes());
    }
    settled.extend(CHECKSUM.to_le_bytes());
    assert_eq!(checksum(&settled[..96]), CHECKSUM);
    assert_eq!(sums.to_bytes().unwrap(), settled);
    assert_eq!(Accumulator::from_bytes(&settled, &network).unwrap(), sums);

    // Every kind of number that a layout has, in `f32`.
    let bytes = Accumulator::new(&with_state().map(|w| w as f32).unwrap());
    let bytes = bytes.unwrap().to_bytes().unwrap();
    assert_eq!(&bytes[12..16], b"f32\0");
    assert_eq!(bytes[32..40], FINGERPRINT_WITH_STATE.to_le_bytes());
}

#[track_caller]
fn refusal<T: FileScalar>(bytes: &[u8], network: &Network<T>) -> Error {
    match Accumulator::from_bytes(bytes, network) {
        Err(error) => error,
        Ok(sums) => panic!("{bytes:?} was read as {sums:?}"),
    }
}

fn bytes_error(fault: BytesFault) -> Error {
    Error::Bytes { what: WHAT, fault }
}

#[test]
fn every_cut_and_every_extra_byte_is_found() {
    let network = small();
    let whole = sums_of(&network, 0..3).to_bytes().unwrap();
    let expected = whole.len() as u64;
    let mut bytes = whole.clone();
    bytes.extend(&whole);
    for found in (0..bytes.len()).filter(|&found| found != whole.len()) {
        let length = BytesFault::Length {
            expected,
            found: found as u64,
        };
        assert_eq!(refusal(&bytes[..found], &network), bytes_error(length));
        // Of each part of a message from another shape, too.
        let cut = &whole[..found.min(whole.len() - 1)];
        assert!(Accumulator::from_bytes(cut, &with_state()).is_err());
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let network = small();
    let whole = sums_of(&network, 0..3).to_bytes().unwrap();
    for index in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[index] ^= 1 << bit;
            let error = refusal(&bytes, &network);
            let Error::Bytes { what: WHAT, fault } = error else {
                panic!("byte {index}: {error:?}");
            };
            let as_expected = match index {
                0..8 => matches!(fault, BytesFault::Beginning { .. }),
                8..12 => matches!(fault, BytesFault::Version { expected: 1, .. }),
                16..24 => matches!(fault, BytesFault::Length { .. }),
                _ => matches!(fault, BytesFault::Checksum { .. }),
            };
            assert!(as_expected, "byte {index}: {fault}");
        }
    }
}

/// Bytes with a right checksum whose content is wrong.
#[test]
fn wrong_content_is_refused() {
    let network = small();
    let p = network.parameters();
    let whole = sums_of(&network, 0..3).to_bytes().unwrap();
    let written = |offset: usize, bytes: &[u8]| {
        let mut changed = whole.clone();
        changed[offset..][..bytes.len()].copy_from_slice(bytes);
        sign(&mut changed);
        refusal(&changed, &network)
    };
    let beginning = |found: &str| {
        bytes_error(BytesFault::Beginning {
            expected: "bpropsum",
            found: found.to_owned(),
        })
    };
    assert_eq!(written(0, b"BPROPSUM"), beginning("BPROPSUM"));
    assert_eq!(refusal(b"PK\x03\x04", &network), beginning("PK\\x03\\x04"));
    for found in [0, 2, u32::MAX] {
        let expected = bytes_error(BytesFault::Version { expected: 1, found });
        assert_eq!(written(8, &found.to_le_bytes()), expected);
    }
    for (field, found) in [
        (b"f32\0", "f32"),
        (b"f64x", "f64x"),
        (b"\0\xff\n\0", "\\x00\\xff\\n"),
    ] {
        let (expected, found) = ("f64", found.to_owned());
        let expected = bytes_error(BytesFault::Scalar { expected, found });
        assert_eq!(written(12, field), expected);
    }
    for stated in [0, 1 << 20, u64::MAX] {
        let expected = bytes_error(BytesFault::Length {
            expected: stated,
            found: whole.len() as u64,
        });
        assert_eq!(written(16, &stated.to_le_bytes()), expected);
    }
    let other = |expected| Error::OtherNetwork {
        what: WHAT,
        expected,
        found: p,
    };
    assert_eq!(written(24, &5_u64.to_le_bytes()), other(5));
    assert_eq!(written(24, &u64::MAX.to_le_bytes()), other(usize::MAX));
    assert_eq!(written(32, &[0; 8]), other(p));
    for weight in [-1.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e-320] {
        let error = written(40, &weight.to_le_bytes());
        assert_eq!(error, Error::TotalWeight { value: weight });
    }
    let error = written(40, &f64::NAN.to_le_bytes());
    assert!(matches!(error, Error::TotalWeight { value } if value.is_nan()));
    let number = |index, value, expected| {
        let fault = BytesFault::Number {
            index,
            value,
            expected,
        };
        bytes_error(fault)
    };
    for index in [1, 2 + p, 1 + 2 * p] {
        let value = f64::INFINITY;
        let expected = number(index, value, "a finite rounding error");
        assert_eq!(written(48 + 8 * index, &value.to_le_bytes()), expected);
    }
    // Sums of no examples.
    let cost = f64::from_le_bytes(whole[48..56].try_into().unwrap());
    let expected = number(0, cost, "0, because no examples were added");
    assert_eq!(written(40, &[0; 8]), expected);
    // More numbers than the network has parameters.
    let mut longer = whole.clone();
    longer.extend([0; 16]);
    let len = longer.len() as u64;
    longer[16..24].copy_from_slice(&len.to_le_bytes());
    sign(&mut longer);
    let length = BytesFault::Length {
        expected: len - 16,
        found: len,
    };
    assert_eq!(refusal(&longer, &network), bytes_error(length));
}

/// Sums of one scalar are not read as those of another.
#[test]
fn other_scalars_are_refused() {
    let double = small();
    let single = double.map(|w| w as f32).unwrap();
    let fault = |expected, found: &str| {
        bytes_error(BytesFault::Scalar {
            expected,
            found: found.to_owned(),
        })
    };
    let bytes = sums_of(&double, 0..2).to_bytes().unwrap();
    assert_eq!(refusal(&bytes, &single), fault("f32", "f64"));
    let bytes = sums_of(&single, 0..2).to_bytes().unwrap();
    assert_eq!(refusal(&bytes, &double), fault("f64", "f32"));
}

/// Bytes are refused wherever `merge` refuses the accumulator, and read everywhere else.
#[test]
fn other_networks_are_refused() {
    type Build = Builder<f64, AnyLayer>;
    let sequence = |steps, features| Network::<f64>::builder(Shape::Sequence { steps, features });
    let signal = |channels, length| Network::<f64>::builder(Shape::Signal { channels, length });
    let plain = || Network::<f64>::builder(2);
    let builders: Vec<Build> = vec![
        plain().dense(2, Tanh),
        plain().dense(2, Identity), // equal to the one before
        plain().dense_without_bias(3, Tanh),
        plain().dense(3, Tanh),
        plain().dense(2, Tanh).dense(2, Tanh),
        plain().dense(2, Tanh).activate(Tanh),
        plain().residual(|body| body.dense(2, Tanh)),
        plain().activate(Tanh).dense(2, Tanh),
        plain().batch_norm(),
        plain().batch_norm().batch_norm(),
        plain().dense(2, Tanh).batch_norm(),
        Network::builder(1).dense(2, Tanh).dense(1, Tanh),
        Network::builder(1).dense(3, Tanh),
        Network::builder(5).dense(1, Tanh),
        sequence(3, 2).dense(2, Tanh),
        sequence(4, 2).dense(2, Tanh),
        signal(3, 2).dense(2, Tanh),
        sequence(3, 2).flatten().dense(1, Tanh),
    ];
    let mut networks: Vec<Network<f64>> = vec![with_state()];
    for builder in builders {
        let network = builder.zeros().unwrap();
        let mut changed = network.clone();
        if network.parameters() > 0 {
            changed.freeze(0).unwrap();
        }
        let mut fixed = network.clone();
        if fixed.fix_statistics(0).is_ok() {
            networks.push(fixed);
        }
        networks.extend([network, changed]);
    }
    let (mut read, mut refused) = (0, 0);
    for ours in &networks {
        let sums = Accumulator::new(ours).unwrap();
        let bytes = sums.to_bytes().unwrap();
        for theirs in &networks {
            let merged = Accumulator::new(theirs).unwrap().merge(&sums);
            match (merged, Accumulator::from_bytes(&bytes, theirs)) {
                (Ok(()), Ok(received)) => {
                    assert_eq!(received, sums);
                    read += 1;
                }
                (Err(_), Err(error)) => {
                    let expected = Error::OtherNetwork {
                        what: WHAT,
                        expected: ours.parameters(),
                        found: theirs.parameters(),
                    };
                    assert_eq!(error, expected);
                    refused += 1;
                }
                (merged, received) => panic!("{ours}\n{theirs}\n{merged:?}\n{received:?}"),
            }
        }
    }
    assert!(read > networks.len() && refused > 1000, "{read} {refused}");
}

/// Random changes with a right checksum: a typed error or sums, never a panic.
#[test]
fn forged_bytes_do_no_harm() {
    let network = small();
    let whole = sums_of(&network, 0..3).to_bytes().unwrap();
    let mut random = rng(18);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random.next_u32() % 4 {
            let at = random.next_u32() as usize % bytes.len();
            bytes[at] = random.next_u32() as u8;
        }
        match random.next_u32() % 4 {
            0 => bytes.truncate(8 * (1 + random.next_u32() as usize % (bytes.len() / 8))),
            1 => bytes.extend([0; 8]),
            _ => {}
        }
        let len = bytes.len() as u64;
        if len >= 24 && random.next_u32() < 1 << 31 {
            bytes[16..24].copy_from_slice(&len.to_le_bytes());
        }
        sign(&mut bytes);
        match Accumulator::from_bytes(&bytes, &network) {
            Ok(sums) => {
                assert_eq!(sums.to_bytes().unwrap(), bytes);
                _ = sums.finish(&network, &Penalty::none());
                read += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} {refused}");
}
