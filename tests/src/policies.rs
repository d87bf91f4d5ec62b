//! The policies of this repository, by name.

/// Policies that ship: their crate, and the name of their file.
pub const SHIPPED: [(&str, &str); 7] = [
    ("switch-root-policy-default", "default"),
    ("switch-root-policy-keep-paths", "keep-paths"),
    (
        "switch-root-policy-extension-allowlist",
        "extension-allowlist",
    ),
    (
        "switch-root-policy-extension-relations",
        "extension-relations",
    ),
    ("switch-root-policy-handover", "handover"),
    ("switch-root-policy-kernel-abi", "kernel-abi"),
    ("switch-root-policy-sysext", "sysext"),
];

/// Policies that were built against the first version of the contract, and are kept as they
/// were then: tests/contract/README.md.
pub const PUBLISHED: [&str; 3] = ["every-answer", "keep-paths", "kernel-abi"];
