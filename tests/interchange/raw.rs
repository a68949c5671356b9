//! Files as their formats define them, read without the crate.

use super::kind::Kind;
use serde_json::Value;
use std::collections::BTreeMap;

/// A tensor: the name of its type, its shape, and the bytes in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) kind: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) type Tensors = BTreeMap<String, Tensor>;

impl Tensor {
    /// The numbers of a tensor of 8-byte floats.
    pub(crate) fn doubles(&self) -> Vec<f64> {
        assert!(["F64", "<f8"].contains(&&*self.kind), "{}", self.kind);
        let (numbers, rest) = self.bytes.as_chunks();
        assert!(rest.is_empty());
        numbers.iter().copied().map(f64::from_le_bytes).collect()
    }
}

/// The tensors of a file of tensors.
pub(crate) fn tensors(kind: Kind, bytes: &[u8]) -> Tensors {
    match kind {
        Kind::Npz => npz(bytes),
        _ => safetensors(bytes),
    }
}

/// The length of a header, the header in JSON, and the numbers.
pub(crate) fn safetensors(bytes: &[u8]) -> Tensors {
    let (length, rest) = bytes.split_first_chunk().unwrap();
    let (header, numbers) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: BTreeMap<String, Value> = serde_json::from_slice(header).unwrap();
    let tensors = header
        .into_iter()
        .filter(|(name, _)| name != "__metadata__");
    let tensor = |info: Value| {
        let place: [usize; 2] = serde_json::from_value(info["data_offsets"].clone()).unwrap();
        Tensor {
            kind: info["dtype"].as_str().unwrap().to_owned(),
            shape: serde_json::from_value(info["shape"].clone()).unwrap(),
            bytes: numbers[place[0]..place[1]].to_vec(),
        }
    };
    tensors.map(|(name, info)| (name, tensor(info))).collect()
}

/// A zip file of arrays that are not compressed. It ends with a list of all members.
pub(crate) fn npz(bytes: &[u8]) -> Tensors {
    let end = &bytes[bytes.len() - 22..];
    assert_eq!(end[..4], *b"PK\x05\x06", "a file without a comment");
    let mut entry = &bytes[number(end, 16, 4)..];
    let mut arrays = BTreeMap::new();
    for _ in 0..number(end, 10, 2) {
        assert_eq!(entry[..4], *b"PK\x01\x02");
        assert_eq!(number(entry, 10, 2), 0, "a member without compression");
        let size = number(entry, 24, 4);
        let lengths = [28, 30, 32].map(|at| number(entry, at, 2));
        let name = str::from_utf8(&entry[46..46 + lengths[0]]).unwrap();
        let local = &bytes[number(entry, 42, 4)..];
        let start = 30 + number(local, 26, 2) + number(local, 28, 2);
        let name = name.strip_suffix(".npy").unwrap();
        arrays.insert(name.to_owned(), npy(&local[start..start + size]));
        entry = &entry[46 + lengths.iter().sum::<usize>()..];
    }
    arrays
}

/// An array in C order: a header in Python, and the numbers.
pub(crate) fn npy(bytes: &[u8]) -> Tensor {
    assert_eq!(bytes[..8], *b"\x93NUMPY\x01\x00");
    let (header, numbers) = bytes[10..].split_at(number(bytes, 8, 2));
    let header = str::from_utf8(header).unwrap();
    let header = header
        .trim_end()
        .replace('\'', "\"")
        .replace("False", "false");
    let header = header
        .replace('(', "[")
        .replace(",)", "]")
        .replace(')', "]");
    let header: Value = serde_json::from_str(&header.replace(", }", "}")).unwrap();
    assert_eq!(header["fortran_order"], false);
    Tensor {
        kind: header["descr"].as_str().unwrap().to_owned(),
        shape: serde_json::from_value(header["shape"].clone()).unwrap(),
        bytes: numbers.to_vec(),
    }
}

fn number(bytes: &[u8], at: usize, len: usize) -> usize {
    let bytes = bytes[at..at + len].iter().rev();
    bytes.fold(0, |number, &byte| number << 8 | usize::from(byte))
}
