#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::images::IMAGE_ARCHIVE.run(data));
