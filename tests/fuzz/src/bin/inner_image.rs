#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::binaries::INNER_IMAGE.run(data));
