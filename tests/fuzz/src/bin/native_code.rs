#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::binaries::NATIVE_CODE.run(data));
