//! Notes: messages that say at which point of the program a rank is, and whether it failed.

use crate::checksum::Checksum;
use crate::error::{DistributedFault, Error};

/// The beginning of a note.
const BEGINNING: u64 = u64::from_le_bytes(*b"bpropmsg");

/// The version of the messages.
const VERSION: u64 = 1;

/// The number of words before the text, and of bytes of the text.
const WORDS: usize = 9;
const TEXT: usize = 440;

/// The length of a note in bytes.
pub(super) const NOTE: usize = 8 * WORDS + TEXT;

/// The purpose of a note. It reveals ranks that are at different points of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Start = 1,
    Facts = 2,
    Costs = 3,
    Slices = 4,
    Columns = 5,
    Point = 6,
    Epoch = 7,
    Check = 8,
    Length = 9,
    Rows = 10,
}

/// A note of one rank.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) purpose: Purpose,
    /// The number of calls before this one.
    pub(super) sequence: u64,
    /// The rank that sends it.
    pub(super) rank: usize,
    /// A word whose meaning depends on the purpose.
    pub(super) word: u64,
    /// The error of the rank, if it failed.
    pub(super) failure: Option<String>,
}

impl Note {
    /// Returns the bytes of the note. A long text is cut.
    pub(super) fn bytes(&self) -> [u8; NOTE] {
        let mut bytes = [0; NOTE];
        let mut text = self.failure.as_deref().unwrap_or_default();
        if text.len() > TEXT {
            let ends = (0..=TEXT).rev().find(|&end| text.is_char_boundary(end));
            text = &text[..ends.unwrap_or(0)];
        }
        let words = [
            BEGINNING,
            VERSION,
            self.purpose as u64,
            self.sequence,
            self.rank as u64,
            self.word,
            self.failure.is_some().into(),
            text.len() as u64,
        ];
        let (places, _) = bytes.as_chunks_mut::<8>();
        for (place, word) in places.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes[8 * WORDS..][..text.len()].copy_from_slice(text.as_bytes());
        let checksum = checksum(&bytes);
        bytes[8 * (WORDS - 1)..][..8].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the note of a rank, which should have the purpose and the sequence of this one, unless
    /// that rank failed.
    pub(super) fn read(&self, rank: usize, bytes: &[u8]) -> Result<Self, Error> {
        let fault = |what, expected, found| {
            let fault = DistributedFault::Message {
                what,
                rank,
                expected,
                found,
            };
            Err(Error::Distributed { fault })
        };
        let (places, _) = bytes.as_chunks::<8>();
        let mut words = [0; WORDS];
        for (word, &place) in words.iter_mut().zip(places) {
            *word = u64::from_le_bytes(place);
        }
        let [
            beginning,
            version,
            purpose,
            sequence,
            sender,
            word,
            failed,
            len,
            found,
        ] = words;
        if beginning != BEGINNING {
            return fault("the beginning", BEGINNING, beginning);
        }
        if version != VERSION {
            return fault("the version", VERSION, version);
        }
        let expected = checksum(bytes);
        if expected != found {
            return fault("the checksum", expected, found);
        }
        if sender != rank as u64 {
            return fault("the sender", rank as u64, sender);
        }
        if failed == 0 && purpose != self.purpose as u64 {
            return fault("the purpose", self.purpose as u64, purpose);
        }
        if failed == 0 && sequence != self.sequence {
            return fault("the number", self.sequence, sequence);
        }
        let text = &bytes[8 * WORDS..];
        let text = &text[..text.len().min(usize::try_from(len).unwrap_or(TEXT))];
        let text = String::from_utf8_lossy(text);
        Ok(Self {
            purpose: self.purpose,
            sequence,
            rank,
            word,
            failure: (failed != 0).then(|| text.into_owned()),
        })
    }
}

/// Returns the checksum of a note, without its own place.
fn checksum(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    let mut checksum = Checksum::new();
    for (k, &word) in words.iter().enumerate() {
        if k != WORDS - 1 {
            checksum.word(u64::from_le_bytes(word));
        }
    }
    checksum.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A note arrives as it was sent, and no changed byte goes unnoticed.
    #[test]
    fn notes_are_checked() {
        let note = Note {
            purpose: Purpose::Costs,
            sequence: 7,
            rank: 3,
            word: 5,
            failure: Some("δ ".repeat(400)),
        };
        let bytes = note.bytes();
        let read = note.read(3, &bytes).unwrap();
        assert_eq!((read.word, read.sequence), (5, 7));
        let text = read.failure.unwrap();
        assert!(note.failure.as_ref().unwrap().starts_with(&text) && text.len() > TEXT - 3);
        for place in 0..NOTE {
            let mut changed = bytes;
            changed[place] ^= 1 << (place % 8);
            let refused = note.read(3, &changed);
            let fault = match refused {
                Err(Error::Distributed { fault }) => fault,
                other => panic!("byte {place}: {other:?}"),
            };
            assert!(matches!(
                fault,
                DistributedFault::Message { rank: 3, what, .. }
                    if what == match place {
                        0..8 => "the beginning",
                        8..16 => "the version",
                        _ => "the checksum",
                    }
            ));
        }
        // A note at another point of the program is refused, unless it says that its rank failed.
        let expects = |note: &Note, what| match note.read(3, &bytes_of(note, None)) {
            Err(Error::Distributed {
                fault: DistributedFault::Message { what: found, .. },
            }) => assert_eq!(found, what),
            other => panic!("{other:?}"),
        };
        fn bytes_of(_: &Note, failure: Option<String>) -> [u8; NOTE] {
            let note = Note {
                purpose: Purpose::Costs,
                sequence: 7,
                rank: 3,
                word: 5,
                failure,
            };
            note.bytes()
        }
        let other = Note {
            purpose: Purpose::Epoch,
            ..note.clone()
        };
        expects(&other, "the purpose");
        assert!(other.read(3, &bytes).unwrap().failure.is_some());
        let other = Note {
            sequence: 8,
            ..note.clone()
        };
        expects(&other, "the number");
        assert!(other.read(3, &bytes).unwrap().failure.is_some());
        assert!(note.read(2, &bytes).is_err());
    }
}
