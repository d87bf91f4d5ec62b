#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::boot::MODULE_INDEXES.run(data));
