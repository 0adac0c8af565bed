#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| delsert_fuzz::promises::hold("names", input));
