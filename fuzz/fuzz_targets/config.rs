#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|input: &[u8]| delsert_fuzz::promises::hold("config", input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    delsert_fuzz::mutate::lines(data, size, max_size, seed)
});
