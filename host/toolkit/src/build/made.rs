//! What the tools of a language make, and where.

switch_root_core::outcomes! {
    /// What the tools of a language did not do. What they say of it is above the sentence.
    pub(crate) enum NotMade in "policies" {
        /// The reason follows. Where a file is named that the tools make, remove the project's folder
        /// `.build` and build again.
        "SR-T40" Component { name: String } = "the tools have not made a component of {name}",
        "SR-T41" Unread { tool: &'static str } = "cannot read the component that {tool} made",
        "SR-T42" Module = "cannot read the module that clang made",
        "SR-T43" Bindings { world: String, error: String } = "cannot make C of the world {world}: {error}",
        /// The network, the list of packages, or the version of the package manager: it says which.
        "SR-T44" Install { list: &'static str } = "cannot install the packages that {list} names",
        "SR-T45" Environment { install: &'static str } = "cannot make a virtual environment ({install})",
        "SR-T46" List { list: &'static str } = "cannot copy {list}",
        /// Packages are installed in a folder of the project whose absolute name is needed.
        "SR-T47" Nameless { path: String } = "cannot name {path}",
        /// Debian has what clang needs for WebAssembly in packages of their own.
        "SR-T48" Clang { packages: String } = "clang cannot build for WebAssembly; install Debian's packages {packages}, of the same version as clang",
    }
}

/// The folder of a project that what is made on the way goes to. Rust has its own.
pub(super) const FOLDER: &str = ".build";

/// What a language's tools have made.
pub(super) struct Made {
    /// The name of the policy.
    pub(super) name: String,
    /// Its bytes.
    pub(super) component: Vec<u8>,
}
