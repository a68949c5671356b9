#![no_main]

#[allow(dead_code, reason = "the readers of the other targets")]
#[path = "../../tests/interchange/readers.rs"]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    _ = readers::csv(bytes);
});
