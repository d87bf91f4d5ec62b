//! `srctl`: the operator's command line of switch-root.
fn main() {}
