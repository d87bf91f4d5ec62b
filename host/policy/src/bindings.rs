//! The contract of `wit/` as Rust types and calls, generated at compile time.
//!
//! One world per question: a component is bound only to the interfaces that it
//! exports, so that a policy with one opinion is as good as a policy with all.
#![allow(missing_docs)] // The documentation of these items is that of wit/policy.wit.

/// What the names of the contract's interfaces begin with.
pub const PACKAGE: &str = "switch-root:policy/";

/// The question which paths survive, and the types of all questions.
pub mod preservation {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "preservation-policy",
        imports: { default: trappable },
        additional_derives: [Clone, PartialEq, serde::Serialize, serde::Deserialize],
    });
}

/// The question which extensions are compatible.
pub mod compatibility {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "compatibility-policy",
        with: {
            "switch-root:policy/types": super::preservation::switch_root::policy::types,
            "switch-root:policy/log": super::preservation::switch_root::policy::log,
        },
    });
}

/// Settings, for the policies that have some.
pub mod settings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "configurable-policy",
        with: {
            "switch-root:policy/log": super::preservation::switch_root::policy::log,
        },
    });
}

pub use preservation::switch_root::policy::{log, types};

/// The contract's values as those of the sandbox, and back.
mod values {
    use switch_root_core::contract;
    use switch_root_core::file_kind::FileKind;

    use super::types;

    impl From<FileKind> for types::FileKind {
        fn from(kind: FileKind) -> Self {
            match kind {
                FileKind::Regular => Self::Regular,
                FileKind::Directory => Self::Directory,
                FileKind::Symlink => Self::Symlink,
                FileKind::BlockDevice => Self::BlockDevice,
                FileKind::CharacterDevice => Self::CharacterDevice,
                FileKind::Fifo => Self::Fifo,
                FileKind::Socket => Self::Socket,
            }
        }
    }

    impl From<contract::Entry> for types::Entry {
        fn from(entry: contract::Entry) -> Self {
            Self {
                name: entry.name,
                kind: entry.kind.into(),
                size: entry.size,
                mode: entry.mode,
                mount_point: entry.mount_point,
            }
        }
    }

    impl From<types::Decision> for contract::Decision {
        fn from(decision: types::Decision) -> Self {
            match decision {
                types::Decision::Delete => Self::Delete,
                types::Decision::Keep => Self::Keep,
                types::Decision::Carry(target) => Self::Carry(target),
                types::Decision::Descend => Self::Descend,
            }
        }
    }

    impl From<contract::HostFacts> for types::HostFacts {
        fn from(facts: contract::HostFacts) -> Self {
            Self {
                os_release: facts.os_release,
                kernel_release: facts.kernel_release,
                architecture: facts.architecture,
                kernel_command_line: facts.kernel_command_line,
            }
        }
    }

    impl From<contract::Extension> for types::Extension {
        fn from(extension: contract::Extension) -> Self {
            let requirement = |it: contract::Requirement| types::Requirement {
                operating_system: it.operating_system,
                version: it.version,
            };
            let compatibility = extension.compatibility.into_iter().map(requirement);
            Self {
                image: extension.image,
                digest: extension.digest,
                name: extension.name,
                version: extension.version,
                author: extension.author,
                description: extension.description,
                compatibility: compatibility.collect(),
                metadata: extension.metadata,
            }
        }
    }

    impl From<types::Verdict> for contract::Verdict {
        fn from(verdict: types::Verdict) -> Self {
            match verdict {
                types::Verdict::Compatible => Self::Compatible,
                types::Verdict::Incompatible(reason) => Self::Incompatible(reason),
                types::Verdict::Abstain => Self::Abstain,
            }
        }
    }
}
