//! Every error variant, with its message.

use super::{Folder, refusal};
use backprop::saving::{
    Checkpoints, LoadError, Refusal, SaveError, from_bytes, load, save, to_bytes,
};
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};

/// A valid file with one part of its first line replaced.
fn with(old: &str, new: &str) -> Vec<u8> {
    let bytes = to_bytes("costs", &[0.5, 0.25]).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches(old).count(), 1, "{text}");
    text.replace(old, new).into_bytes()
}

#[test]
fn files_of_others() {
    let folder = Folder::new("others");
    let refused = |bytes: &[u8]| refusal::<[f64; 2]>(bytes, "costs", &folder);
    let long = vec![b'a'; 100_000];
    let spaces = [br#"{"format":"backprop","#.as_slice(), &[b' '; 5000], b"\n"].concat();
    let nested = [vec![b'['; 4000], b"\n".to_vec()].concat();
    for other in [
        b"PK\x03\x04".as_slice(),
        b"\n",
        b"\n[0.5,0.25]",
        b"{}\n",
        b"null\n",
        b"{\"inputs\":1}",
        &[0; 10],
        &[0xff, 0xfe, b'\n'],
        &long,
        &spaces,
        &nested,
        &with(r#""backprop""#, r#""frontprop""#),
        &with(r#""version":2"#, r#""version":0"#),
        // The first line of version 1 has its fields in a different order.
        &with(r#""version":2"#, r#""version":1"#),
        &with(r#""version":2"#, r#""version":-1"#),
        &with(r#""version":2"#, r#""version":1.0"#),
        &with(r#""version":2"#, r#""version":"1""#),
        &with(r#""version":2"#, r#""version":18446744073709551616"#),
        &with(r#","kind":"costs""#, ""),
        &with(r#""bytes":10"#, r#""bytes":-10"#),
        &with(r#""bytes":10"#, r#""bytes":1e1"#),
        &with(r#""bytes":10"#, r#""bytes": 10"#),
        &with("}\n", " }\n"),
        &with("}\n", "}\r\n"),
        &with("}\n", ",\"more\":1}\n"),
        &with(r#""crc32":""#, r#""crc32":"0"#),
        &with(r#""crc32":""#, r#""crc32":"+"#),
        &with(r#""crc32":""#, r#""crc32":"g"#),
    ] {
        let text = String::from_utf8_lossy(other);
        assert_eq!(refused(other), Refusal::NotOurs, "{text}");
    }
    let text = "the file was not written by this crate: its first line is not a header";
    assert_eq!(refused(b"PK\x03\x04").to_string(), text);
    // A capital letter in the checksum gives the same number, but not the bytes that were written.
    let bytes = to_bytes("costs", &[0.5, 0.25]).unwrap();
    let digits = String::from_utf8(bytes.clone()).unwrap();
    let at = digits.find("crc32").unwrap() + 8;
    assert!(digits[at..at + 8].contains(|c: char| c.is_ascii_lowercase()));
    let mut capital = bytes.clone();
    capital[at..at + 8].make_ascii_uppercase();
    assert_eq!(refused(&capital), Refusal::NotOurs);
}

#[test]
fn refusals_say_what_was_expected_and_found() {
    let folder = Folder::new("refusals");
    let refused = |bytes: &[u8]| refusal::<[f64; 2]>(bytes, "costs", &folder);
    // The first line of a later version may hold anything.
    for newer in [
        with(r#""version":2"#, r#""version":3"#),
        b"{\"format\":\"backprop\",\"version\":3,\"xxh3\":[]}\nbinary".to_vec(),
    ] {
        let (found, supported) = (3, 2);
        assert_eq!(refused(&newer), Refusal::Newer { found, supported });
    }
    let text = refused(&with(r#""version":2"#, r#""version":7"#)).to_string();
    let expected =
        "the file has version 7, expected at most 2: a later version of this crate wrote it";
    assert_eq!(text, expected);

    let refusal_of_kind = refused(&to_bytes("state\n", &1).unwrap());
    let (expected, found) = ("costs".to_owned(), "state\n".to_owned());
    assert_eq!(refusal_of_kind, Refusal::Kind { expected, found });
    let text = r#"the file holds "state\n", expected "costs""#;
    assert_eq!(refusal_of_kind.to_string(), text);

    let bytes = to_bytes("costs", &[0.5, 0.25]).unwrap();
    let cut = refused(&bytes[..bytes.len() - 3]);
    let (expected, found) = (10, 7);
    assert_eq!(cut, Refusal::Truncated { expected, found });
    assert_eq!(
        cut.to_string(),
        "the content is cut short: expected 10 bytes, found 7"
    );
    let text = refused(b"{\"format").to_string();
    assert_eq!(text, "the file ends after 8 bytes, within its header");
    let text = refused(b"").to_string();
    assert_eq!(text, "the file ends after 0 bytes, within its header");

    for more in ["\n", " ", "\0", "[0.5,0.25]"] {
        let trailing = refused(&[&bytes, more.as_bytes()].concat());
        let found = 10 + more.len() as u64;
        assert_eq!(trailing, Refusal::TrailingBytes { expected, found });
    }
    let text = refused(&[&bytes, b"\n".as_slice()].concat()).to_string();
    let expected = "the file has extra bytes after its content: expected 10 bytes, found 11";
    assert_eq!(text, expected);

    let changed = refused(&with("0.25]", "0.75]"));
    let (expected, found) = (crc32(b"[0.5,0.25]"), crc32(b"[0.5,0.75]"));
    assert_eq!(changed, Refusal::Corrupt { expected, found });
    let text =
        format!("the content is damaged: expected the checksum {expected:08x}, found {found:08x}");
    assert_eq!(changed.to_string(), text);

    let content = refused(&to_bytes("costs", &[0.5]).unwrap());
    let text = "the content is not of the requested type: invalid length 1, expected an array of \
                length 2 at line 1 column 5";
    assert_eq!(content.to_string(), text);
}

/// The checksum, bit by bit from its definition.
fn crc32(bytes: &[u8]) -> u32 {
    let shift = |crc: u32| (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
    let next = |crc, &byte: &u8| (0..8).fold(crc ^ u32::from(byte), |crc, _| shift(crc));
    !bytes.iter().fold(u32::MAX, next)
}

#[test]
fn kinds() {
    let longest = "\u{0}".repeat(256);
    let bytes = to_bytes(&longest, &1).unwrap();
    assert_eq!(from_bytes::<i32>(&bytes, &longest), Ok(1));
    match to_bytes(&"k".repeat(257), &1) {
        Err(
            error @ SaveError::Kind {
                limit: 256,
                found: 257,
            },
        ) => {
            let text = "the kind has 257 bytes, expected at most 256";
            assert_eq!(error.to_string(), text);
        }
        other => panic!("{other:?}"),
    }
    for kind in ["", "a b", "\"}\n{\"", "Θ"] {
        let bytes = to_bytes(kind, "value").unwrap();
        assert_eq!(from_bytes::<String>(&bytes, kind).unwrap(), "value");
    }
}

#[test]
fn non_finite_values_are_named() {
    #[derive(Serialize)]
    struct Nested<A> {
        name: &'static str,
        inner: A,
    }
    #[derive(Serialize)]
    enum Rule {
        Plain(f64),
        Pair(u8, f32),
        Adam { decay: Option<(f64, f64)> },
    }
    fn nested<A>(inner: A) -> Nested<A> {
        let name = "outer";
        Nested { name, inner }
    }
    fn place<S: Serialize>(value: &S) -> String {
        match to_bytes("state", value) {
            Err(SaveError::NotFinite { place, value }) => format!("{place} {value}"),
            other => panic!("{other:?}"),
        }
    }
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    assert_eq!(place(&nan), " NaN");
    assert_eq!(place(&f32::NEG_INFINITY), " -inf");
    assert_eq!(place(&vec![vec![0.0], vec![1.0, inf]]), "[1][1] inf");
    assert_eq!(place(&nested(nested(nan))), "inner.inner NaN");
    assert_eq!(place(&nested((1, Some(nan)))), "inner[1] NaN");
    assert_eq!(place(&Rule::Plain(nan)), "Plain NaN");
    assert_eq!(place(&vec![Rule::Pair(1, f32::NAN)]), "[0][1] NaN");
    let decay = Some((0.9, inf));
    assert_eq!(place(&nested(Rule::Adam { decay })), "inner.decay[1] inf");
    let map = BTreeMap::from([("a", 1.0), ("b", nan)]);
    assert_eq!(place(&nested(map)), "inner[1] NaN");
    // Integers of any size do not hide a NaN that follows them.
    assert_eq!(place(&(u128::MAX, i128::MIN, 'c', (), nan)), "[4] NaN");

    let error = to_bytes("state", &nested([1.0, nan])).unwrap_err();
    let text = "inner[1] is NaN, which JSON cannot hold";
    assert_eq!(error.to_string(), text);
    // A missing value does not count as a non-finite number.
    let nothing = nested((None::<f64>, (), Rule::Adam { decay: None }));
    to_bytes("state", &nothing).unwrap();
}

#[test]
fn values_that_json_cannot_hold_are_refused() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("refused by the type"))
        }
    }
    struct Keyed(f64);
    impl Serialize for Keyed {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry(&self.0, &1)?;
            map.end()
        }
    }
    fn message<S: Serialize>(value: &S) -> String {
        match to_bytes("state", value) {
            Err(error @ SaveError::Content { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(message(&Refuses), "refused by the type");
    assert!(message(&BTreeMap::from([((1, 2), 3)])).contains("key must be a string"));
    assert!(message(&Keyed(f64::NAN)).contains("key must be"));
}

/// Errors of the operating system name the file.
#[test]
fn io() {
    let folder = Folder::new("io");
    let missing = folder.file("none.backprop");
    match load::<f64>(&missing, "rate") {
        Err(error @ LoadError::Io { .. }) => {
            assert!(error.to_string().contains("none.backprop: "), "{error}");
            let source = error.source().unwrap().downcast_ref::<std::io::Error>();
            assert_eq!(source.unwrap().kind(), ErrorKind::NotFound);
        }
        other => panic!("{other:?}"),
    }
    let below = missing.join("rate.backprop");
    match save(&below, "rate", &0.5) {
        Err(error @ SaveError::Io { .. }) => {
            assert!(error.to_string().contains("rate.backprop: "), "{error}");
            assert!(error.source().is_some());
        }
        other => panic!("{other:?}"),
    }
    for nameless in ["", "/", ".."] {
        let refused = save(nameless, "rate", &0.5);
        let invalid = match &refused {
            Err(SaveError::Io { source, .. }) => source.kind() == ErrorKind::InvalidInput,
            _ => false,
        };
        assert!(invalid, "{nameless:?}: {refused:?}");
    }
    // A folder where a file is expected, and a file where a folder is expected.
    assert!(matches!(
        load::<f64>(&folder.0, "rate"),
        Err(LoadError::Io { .. })
    ));
    fs::create_dir(&missing).unwrap();
    let refused = save(&missing, "rate", &0.5);
    assert!(matches!(refused, Err(SaveError::Io { .. })), "{refused:?}");
    assert_eq!(
        folder.names(),
        ["none.backprop"],
        "no temporary file is left"
    );
    let file = folder.file("file");
    fs::write(&file, "").unwrap();
    let checkpoints = Checkpoints::new(&file);
    let refused = checkpoints.write(1, &0.5);
    assert!(matches!(refused, Err(SaveError::Io { path, .. }) if path == file));
    let refused = checkpoints.latest::<f64>();
    assert!(matches!(refused, Err(LoadError::Io { path, .. }) if path == file));
}

/// Neither a large file nor a large length in its header costs memory or time.
#[test]
fn sizes_are_compared_before_anything_is_allocated() {
    let folder = Folder::new("sizes");
    let path = folder.file("large.backprop");
    let sparse = |start: &[u8], length: u64| {
        let mut file = File::create(&path).unwrap();
        file.write_all(start).unwrap();
        file.set_len(length).unwrap();
        match load::<[f64; 2]>(&path, "costs") {
            Err(LoadError::Refused { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    };
    let terabyte = 1 << 40;
    assert_eq!(sparse(b"", terabyte), Refusal::NotOurs);
    assert_eq!(
        sparse(b"{\"format\":\"backprop\"", terabyte),
        Refusal::NotOurs
    );
    let bytes = to_bytes("costs", &[0.5, 0.25]).unwrap();
    let (expected, found) = (10, terabyte - (bytes.len() as u64 - 10));
    let trailing = Refusal::TrailingBytes { expected, found };
    assert_eq!(sparse(&bytes, terabyte), trailing);
    let promised = with(r#""bytes":10"#, &format!("\"bytes\":{}", u64::MAX));
    let (expected, found) = (u64::MAX, 10);
    let cut = Refusal::Truncated { expected, found };
    assert_eq!(sparse(&promised, promised.len() as u64), cut);
    assert_eq!(from_bytes::<[f64; 2]>(&promised, "costs"), Err(cut));
}

#[test]
fn errors_are_errors() {
    fn check<E: Error + Send + Sync + 'static>() {}
    check::<SaveError>();
    check::<LoadError>();
    check::<Refusal>();
}

/// The text that `main` and `unwrap` print.
#[test]
fn debug_shows_the_message_and_the_fields() {
    let kind = to_bytes(&"k".repeat(257), &1).unwrap_err();
    let expected = "the kind has 257 bytes, expected at most 256 [Kind { limit: 256, found: 257 }]";
    assert_eq!(format!("{kind:?}"), expected);
    let other = from_bytes::<i32>(&to_bytes("state", &1).unwrap(), "costs").unwrap_err();
    let expected = r#"the file holds "state", expected "costs""#;
    let fields = r#"Kind { expected: "costs", found: "state" }"#;
    assert_eq!(format!("{other:?}"), format!("{expected} [{fields}]"));
    let refused = LoadError::Refused {
        path: "a.backprop".into(),
        reason: Refusal::NotOurs,
    };
    let reason = "the file was not written by this crate: its first line is not a header";
    assert_eq!(
        format!("{refused:?}"),
        format!(
            "a.backprop: {reason} [Refused {{ path: \"a.backprop\", reason: {reason} [NotOurs] }}]"
        )
    );
}
