//! No damage goes unnoticed: neither truncation, nor a flipped bit, nor an extra byte.

use super::{Folder, refusal};
use backprop::Network;
use backprop::activation::Sigmoid;
use backprop::saving::{Checkpoints, Refusal, from_bytes, to_bytes};
use std::fs;

fn small() -> (Network<f64>, Vec<u8>) {
    let builder = Network::<f64>::builder(1).dense(1, Sigmoid);
    let network = builder.with_theta(&[0.1, -0.7]).unwrap();
    let bytes = to_bytes("network", &network).unwrap();
    (network, bytes)
}

/// The formats that every later version reads: version 2, and version 1, which does not name the
/// scalar.
#[test]
fn the_form_is_settled() {
    let (network, bytes) = small();
    let settled = concat!(
        r#"{"format":"backprop","version":2,"bytes":115,"crc32":"26f775e3","kind":"network"}"#,
        "\n",
        concat!(
            r#"{"scalar":"f64","inputs":1,"#,
            r#""layers":[{"dense":{"inputs":1,"outputs":1,"activation":"sigmoid"}}],"#,
            r#""theta":[0.1,-0.7]}"#
        ),
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), settled);
    let before = concat!(
        r#"{"format":"backprop","version":1,"kind":"network","bytes":100,"crc32":"688445db"}"#,
        "\n",
        concat!(
            r#"{"inputs":1,"layers":[{"dense":{"inputs":1,"outputs":1,"activation":"sigmoid"}}],"#,
            r#""theta":[0.1,-0.7]}"#
        ),
    );
    for text in [settled, before] {
        let read: Network<f64> = from_bytes(text.as_bytes(), "network").unwrap();
        assert_eq!(read, network);
    }
    // A file that does not name its scalar is read as the requested type.
    let single: Network<f32> = from_bytes(before.as_bytes(), "network").unwrap();
    assert_eq!(single.theta().as_slice(), [0.1_f32, -0.7]);
}

/// Truncation is found in memory, in a file, and in a folder of checkpoints, where the previous
/// checkpoint is used instead.
#[test]
fn every_cut_is_found() {
    let (_, bytes) = small();
    let folder = Folder::new("cuts");
    let header = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
    let content = (bytes.len() - header) as u64;
    for length in 0..bytes.len() {
        let found = length as u64;
        let expected = if length < header {
            Refusal::TruncatedHeader { found }
        } else {
            Refusal::Truncated {
                expected: content,
                found: found - header as u64,
            }
        };
        let refused = refusal::<Network<f64>>(&bytes[..length], "network", &folder);
        assert_eq!(refused, expected, "{length} bytes");
    }

    let folder = Folder::new("torn-checkpoints");
    let checkpoints = Checkpoints::new(&folder.0);
    checkpoints.write(1, &small().0).unwrap();
    let torn = checkpoints.write(2, &small().0).unwrap();
    let whole = fs::read(&torn).unwrap();
    for length in 0..whole.len() {
        fs::write(&torn, &whole[..length]).unwrap();
        let found = checkpoints.latest::<Network<f64>>().unwrap().unwrap();
        assert_eq!((found.step, found.value), (1, small().0), "{length} bytes");
        assert_eq!(found.skipped.len(), 1);
        assert_eq!(found.skipped[0].path, torn);
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let (_, bytes) = small();
    let folder = Folder::new("flips");
    let header = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let refused = refusal::<Network<f64>>(&flipped, "network", &folder);
        if bit / 8 >= header {
            let corrupt = matches!(refused, Refusal::Corrupt { .. });
            // A flip that creates a line feed does not matter, because only the first line feed
            // counts.
            assert!(corrupt, "bit {bit}: {refused:?}");
        }
    }
}

/// Files with two adjacent flipped bits, swapped bytes or lost bytes do not load.
#[test]
fn other_damage_is_found() {
    let (_, bytes) = small();
    let loads = |bytes: &[u8]| from_bytes::<Network<f64>>(bytes, "network").is_ok();
    assert!(loads(&bytes));
    for at in 0..bytes.len() {
        for mask in 1..=255 {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            assert!(!loads(&changed), "byte {at} changed by {mask:#x}");
        }
        let mut lost = bytes.clone();
        lost.remove(at);
        assert!(!loads(&lost), "byte {at} lost");
        let mut doubled = bytes.clone();
        doubled.insert(at, bytes[at]);
        assert!(!loads(&doubled), "byte {at} doubled");
        let mut zeroed = bytes.clone();
        zeroed[at..].fill(0);
        assert!(!loads(&zeroed), "zeros from byte {at}");
        if at > 0 && bytes[at] != bytes[at - 1] {
            let mut swapped = bytes.clone();
            swapped.swap(at - 1, at);
            assert!(!loads(&swapped), "byte {at} swapped with the one before");
        }
    }
}

/// Content with a correct checksum must still be a valid value of the type.
#[test]
fn invalid_network_content_is_refused() {
    let folder = Folder::new("content");
    let written = |content: &str| {
        let value: serde_json::Value = serde_json::from_str(content).unwrap();
        to_bytes("network", &value).unwrap()
    };
    let unit = r#"{"dense":{"inputs":1,"outputs":1,"activation":"sigmoid"}}"#;
    let network = |inputs: usize, theta: &str| {
        format!(r#"{{"inputs":{inputs},"layers":[{unit}],"theta":[{theta}]}}"#)
    };
    let fine = written(&network(1, "1.0,2.0"));
    assert!(from_bytes::<Network<f64>>(&fine, "network").is_ok());
    for (content, reason) in [
        (network(1, "1.0"), "θ: expected a length of 2, found 1"),
        (
            network(2, "1.0,2.0"),
            "is 1, expected 2, the number of inputs of the network",
        ),
        (
            network(1, "1.0,null"),
            "invalid type: null, expected f64 at line 1 column",
        ),
        (r#"{"inputs":1,"layers":[]}"#.into(), "missing field"),
        ("[1,2]".into(), "invalid"),
    ] {
        let refused = refusal::<Network<f64>>(&written(&content), "network", &folder);
        match refused {
            Refusal::Content { message } => {
                assert!(message.contains(reason), "{message}, expected {reason}");
            }
            other => panic!("{content}: {other:?}"),
        }
    }
    // A network with custom layers is a different type.
    let own = r#"{"inputs":1,"layers":[{"custom":{}}],"theta":[]}"#;
    let refused = refusal::<Network<f64>>(&written(own), "network", &folder);
    assert!(matches!(refused, Refusal::Content { .. }), "{refused:?}");
    // 1e39 is a valid number, but f32 cannot represent it.
    let large = written(&network(1, "1.0,1e39"));
    assert!(from_bytes::<Network<f64>>(&large, "network").is_ok());
    let refused = refusal::<Network<f32>>(&large, "network", &folder);
    assert!(matches!(refused, Refusal::Content { .. }), "{refused:?}");
}
