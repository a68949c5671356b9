//! Files whose contents take up the most memory for their length.

use super::{EACH, FIXED, peak, start_counting};
use crate::made::{Made, file, with_header};
use crate::onnx::made::{Message as Onnx, input, model};
use crate::readers;

/// A reader of a file keeps to the bound, and refuses the file.
fn keeps_to_the_bound(what: &str, bytes: &[u8], read: fn(&[u8]) -> Result<(), String>) {
    start_counting();
    let read = read(bytes);
    let (found, most) = (peak(), EACH * bytes.len() + FIXED);
    println!(
        "{what}: {:.1} bytes for each",
        found as f64 / bytes.len() as f64
    );
    assert!(read.is_err(), "{what}");
    assert!(
        found <= most,
        "{what}: {found} bytes for {} of the file",
        bytes.len()
    );
}

#[test]
fn many_tensors() {
    let empty = |i: usize| Made::new(&format!("{i:x}"), "I8", &[0], &[]);
    let tensors: Vec<Made> = (0..20_000).map(empty).collect();
    keeps_to_the_bound("tensors", &file(&tensors), readers::safetensors);
    let same: Vec<Made> = (0..20_000).map(|_| empty(0)).collect();
    keeps_to_the_bound("the same tensor", &file(&same), readers::safetensors);
    let axes = Made::new("a", "I8", &vec![1; 500_000], &[0]);
    keeps_to_the_bound("axes", &file(&[axes]), readers::safetensors);
    let names = Made::new(&"\n".repeat(500_000), "I8", &[0], &[]);
    keeps_to_the_bound("a long name", &file(&[names]), readers::safetensors);
    let metadata: Vec<String> = (0..50_000).map(|i| format!("\"{i:x}\":\"\"")).collect();
    let header = format!("{{\"__metadata__\":{{{}}}}}", metadata.join(","));
    keeps_to_the_bound("metadata", &with_header(&header, &[]), readers::safetensors);
}

/// The list of members of a zip file, each without a name or with the same one.
#[test]
fn many_arrays() {
    for (what, name) in [("arrays", ""), ("names of arrays", "a.npy")] {
        let mut member = b"PK\x01\x02".to_vec();
        member.resize(46, 0);
        member[28] = name.len() as u8;
        member.extend_from_slice(name.as_bytes());
        let mut bytes = member.repeat(20_000);
        let len = (bytes.len() as u32).to_le_bytes();
        bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        bytes.extend_from_slice(&[20_000_u16.to_le_bytes(), 20_000_u16.to_le_bytes()].concat());
        bytes.extend_from_slice(&len);
        bytes.resize(bytes.len() + 6, 0);
        keeps_to_the_bound(what, &bytes, readers::npz);
    }
}

/// A megabyte of zeros, compressed to a thousandth. They are not read, as the network is small.
#[test]
fn decompression() {
    let bytes = crate::made::bytes("bomb.npz");
    assert!(bytes.len() < 1 << 16);
    keeps_to_the_bound("a bomb", &bytes, readers::npz);
}

/// Nodes, tensors, inputs and attributes with as few bytes as there can be. (A layer is more than
/// its node, but there are at most 8192.)
#[test]
fn many_nodes() {
    let graph = |field: fn(usize) -> Onnx| {
        let x = Onnx::default().message(11, input("x", 11, &[2]));
        let graph = (0..20_000).fold(x, |graph, i| graph.message(1, field(i)));
        model(graph, 17).0
    };
    let keeps = |what: &str, bytes: &[u8]| keeps_to_the_bound(what, bytes, readers::onnx);
    keeps(
        "nodes",
        &graph(|i| Onnx::default().bytes(2, format!("{i:x}")).bytes(4, "A")),
    );
    keeps(
        "nodes of x",
        &graph(|i| {
            Onnx::default()
                .bytes(1, "x")
                .bytes(2, format!("{i:x}"))
                .bytes(4, "A")
        }),
    );
    keeps(
        "attributes",
        &graph(|_| {
            let node = Onnx::default().bytes(2, "").bytes(4, "A");
            (0..9).fold(node, |node, _| {
                node.message(5, Onnx::default().bytes(1, "a"))
            })
        }),
    );
    for (what, number) in [("tensors", 5), ("inputs", 11), ("outputs", 12)] {
        let of_name = if number == 5 { 8 } else { 1 };
        let fields = (0..20_000).fold(Onnx::default(), |graph, i| {
            graph.message(number, Onnx::default().bytes(of_name, format!("{i:x}")))
        });
        keeps(what, &model(fields, 17).0);
    }
    for number in [1, 7] {
        let tensor = Onnx::default().bytes(number, vec![1; 100_000]);
        keeps("integers", &model(Onnx::default().message(5, tensor), 17).0);
    }
}
