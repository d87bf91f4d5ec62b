#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::images::DOCKER_CONFIG.run(data));
