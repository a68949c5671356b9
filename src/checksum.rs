//! Checksums of 64 bits, the same on every platform: of words, and of many bytes.

use crate::kernels::random::mix;

/// The checksum h of the words w₁, w₂, …: it starts at 1, and each word turns it into
/// f(h + w · 0x9e3779b97f4a7c15), where f is the output function of SplitMix64.
///
/// Each step is a bijection of h for a given w, and of w for a given h. A single changed word is
/// therefore always noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checksum(u64);

impl Checksum {
    pub(crate) fn new() -> Self {
        Self(1)
    }

    pub(crate) fn word(&mut self, word: u64) {
        self.0 = mix(self.0, word);
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.word(count as u64);
    }

    /// Adds a number, such that equal numbers add equal words: −0 adds the word of 0.
    pub(crate) fn number(&mut self, number: f64) {
        self.word((number + 0.0).to_bits());
    }

    /// Adds bytes as words, the lowest byte first. The last word is padded with zeros.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for &word in words {
            self.word(u64::from_le_bytes(word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(word));
        }
    }

    /// Adds a text with its length.
    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes(text.as_bytes());
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// Returns a checksum of bytes that costs little more than reading them: in eight lanes, the sum s
/// of the words and the sum of all values of s. A piece that is missing, or in another place,
/// changes it.
pub(crate) fn of_bytes(bytes: &[u8]) -> u64 {
    const LANES: usize = 8;
    let (mut sums, mut places) = ([0_u64; LANES], [0_u64; LANES]);
    let (blocks, rest) = bytes.as_chunks::<{ 8 * LANES }>();
    let mut add = |block: &[u8; 8 * LANES]| {
        let (words, _) = block.as_chunks::<8>();
        for (lane, &word) in words.iter().enumerate() {
            sums[lane] = sums[lane].wrapping_add(u64::from_le_bytes(word));
            places[lane] = places[lane].wrapping_add(sums[lane]);
        }
    };
    blocks.iter().for_each(&mut add);
    let mut last = [0; 8 * LANES];
    last[..rest.len()].copy_from_slice(rest);
    add(&last);
    let mut checksum = Checksum::new();
    checksum.count(bytes.len());
    for word in sums.into_iter().chain(places) {
        checksum.word(word);
    }
    checksum.value()
}
