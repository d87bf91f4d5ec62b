//! Tells xtask which machine it is built for: the static binaries are for the same.

fn main() {
    let architecture =
        std::env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets CARGO_CFG_TARGET_ARCH");
    println!("cargo::rustc-env=SWITCH_ROOT_ARCH={architecture}");
}
