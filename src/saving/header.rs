//! The header, which is the first line of a file.

use super::Refusal;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The maximum length of a header in bytes. With this limit, a large file of another format is
/// refused quickly.
pub(super) const LIMIT: usize = 4096;

/// The version that is written. Version 1 can also be read.
const VERSION: u64 = 2;

/// The bytes that begin the header of every version.
const OPENING: &[u8] = br#"{"format":"backprop","version":"#;

/// A parsed header, which describes the content.
#[derive(Debug)]
pub(super) struct Header {
    version: u64,
    kind: String,
    bytes: u64,
    crc32: u32,
}

/// The fields that later versions must keep.
#[derive(Deserialize)]
struct Opening {
    format: String,
    version: u64,
}

/// The other fields, which are the same in both versions.
#[derive(Deserialize)]
struct Fields {
    kind: String,
    bytes: u64,
    crc32: String,
}

impl Header {
    pub(super) fn of(kind: &str, content: &[u8]) -> Self {
        Self {
            version: VERSION,
            kind: kind.to_owned(),
            bytes: content.len() as u64,
            crc32: crc32fast::hash(content),
        }
    }

    pub(super) fn line(&self) -> String {
        let kind = serde_json::Value::from(self.kind.as_str());
        let Self {
            version,
            bytes,
            crc32,
            ..
        } = self;
        // Version 2 orders the fields differently, so no single changed byte turns a file of one
        // version into a file of the other.
        match version {
            1 => format!(
                "{{\"format\":\"backprop\",\"version\":1,\"kind\":{kind},\
                 \"bytes\":{bytes},\"crc32\":\"{crc32:08x}\"}}\n"
            ),
            _ => format!(
                "{{\"format\":\"backprop\",\"version\":{version},\"bytes\":{bytes},\
                 \"crc32\":\"{crc32:08x}\",\"kind\":{kind}}}\n"
            ),
        }
    }

    /// Reads the header of a file of this kind. Returns it with the offset of the content.
    pub(super) fn read(file: &[u8], kind: &str) -> Result<(Self, usize), Refusal> {
        let start = file.get(..LIMIT).unwrap_or(file);
        let Some(end) = start.iter().position(|&byte| byte == b'\n') else {
            let begun = start.iter().zip(OPENING).all(|(found, byte)| found == byte);
            let found = start.len() as u64;
            return Err(if begun && start.len() < LIMIT {
                Refusal::TruncatedHeader { found }
            } else {
                Refusal::NotOurs
            });
        };
        let line = start.get(..=end).unwrap_or_default();
        let header = Self::parse(line)?;
        if header.kind == kind {
            Ok((header, end + 1))
        } else {
            Err(Refusal::Kind {
                expected: kind.to_owned(),
                found: header.kind,
            })
        }
    }

    fn parse(line: &[u8]) -> Result<Self, Refusal> {
        let not_ours = |_| Refusal::NotOurs;
        let opening: Opening = serde_json::from_slice(line).map_err(not_ours)?;
        if opening.format == "backprop" && opening.version > VERSION {
            return Err(Refusal::Newer {
                found: opening.version,
                supported: VERSION,
            });
        }
        let fields: Fields = serde_json::from_slice(line).map_err(not_ours)?;
        if opening.version == 0 {
            return Err(Refusal::NotOurs);
        }
        let header = Self {
            version: opening.version,
            kind: fields.kind,
            bytes: fields.bytes,
            crc32: u32::from_str_radix(&fields.crc32, 16).map_err(|_| Refusal::NotOurs)?,
        };
        // The line must match byte for byte, so a flipped bit cannot hide in a space or a capital
        // letter.
        let same = header.line().as_bytes() == line;
        same.then_some(header).ok_or(Refusal::NotOurs)
    }

    pub(super) fn expect_bytes(&self, found: u64) -> Result<(), Refusal> {
        let expected = self.bytes;
        match found.cmp(&expected) {
            std::cmp::Ordering::Less => Err(Refusal::Truncated { expected, found }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(Refusal::TrailingBytes { expected, found }),
        }
    }

    /// Checks the content against the checksum and deserialises it.
    pub(super) fn decode<D: DeserializeOwned>(&self, content: &[u8]) -> Result<D, Refusal> {
        let (expected, found) = (self.crc32, crc32fast::hash(content));
        if expected != found {
            return Err(Refusal::Corrupt { expected, found });
        }
        serde_json::from_slice(content).map_err(|error| Refusal::Content {
            message: error.to_string(),
        })
    }
}
