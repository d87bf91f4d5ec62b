//! What the other commands need: installed where it may be, named otherwise.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use switch_root_tests::architecture::Architecture;

use crate::run::{output, run, step, which};

/// The static binaries' target.
pub const STATIC: &str = concat!(env!("SWITCH_ROOT_ARCH"), "-unknown-linux-musl");
/// The policies' target.
pub const WASM: &str = "wasm32-unknown-unknown";

/// A program that is used but not part of this workspace, and the Debian
/// package that has it.
pub struct Tool {
    /// The file name; or, for what is no program, an absolute path.
    pub program: &'static str,
    /// The package.
    pub package: &'static str,
}

/// The static binaries' target for the machines of an architecture.
pub fn static_target(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "x86_64-unknown-linux-musl",
        Architecture::Aarch64 => "aarch64-unknown-linux-musl",
    }
}

/// Boots kernels.
pub const QEMU: Tool = Tool {
    program: "qemu-system-x86_64",
    package: "qemu-system-x86",
};
/// Boots kernels for aarch64.
pub const QEMU_AARCH64: Tool = Tool {
    program: "qemu-system-aarch64",
    package: "qemu-system-arm",
};
/// Make the images that are booted whole, and compress modules.
pub const IMAGES: [Tool; 4] = [
    Tool {
        program: "mksquashfs",
        package: "squashfs-tools",
    },
    Tool {
        program: "mkfs.erofs",
        package: "erofs-utils",
    },
    Tool {
        program: "zstd",
        package: "zstd",
    },
    Tool {
        program: "xz",
        package: "xz-utils",
    },
];
/// File systems that programs serve, such as new roots out of the initramfs.
pub const SERVERS: [Tool; 4] = [
    Tool {
        program: "mergerfs",
        package: "mergerfs",
    },
    Tool {
        program: "unionfs-fuse",
        package: "unionfs-fuse",
    },
    Tool {
        program: "fuse-overlayfs",
        package: "fuse-overlayfs",
    },
    // Makes the file system that ntfs-3g serves, and is in its package.
    Tool {
        program: "mkntfs",
        package: "ntfs-3g",
    },
];
/// A registry, and what fills it and reads from it: the peers that pulling is measured beside,
/// too.
pub const REGISTRY: [Tool; 5] = [
    Tool {
        program: "docker-registry",
        package: "docker-registry",
    },
    Tool {
        program: "skopeo",
        package: "skopeo",
    },
    Tool {
        program: "umoci",
        package: "umoci",
    },
    Tool {
        program: "podman",
        package: "podman",
    },
    Tool {
        program: "openssl",
        package: "openssl",
    },
];
/// Build policies in other languages than Rust.
pub const LANGUAGES: [Tool; 7] = [
    Tool {
        program: "clang",
        package: "clang",
    },
    Tool {
        program: "wasm-ld",
        package: "lld",
    },
    Tool {
        program: "/usr/lib/wasm32-wasi/libc.a",
        package: "wasi-libc",
    },
    // What it installs is in a folder of clang's version; this is the package's own.
    Tool {
        program: "/usr/share/doc/libclang-rt-dev-wasm32",
        package: "libclang-rt-dev-wasm32",
    },
    Tool {
        program: "node",
        package: "nodejs",
    },
    Tool {
        program: "npm",
        package: "npm",
    },
    Tool {
        program: "/usr/share/doc/python3-venv",
        package: "python3-venv",
    },
];
/// Finds faults in shell scripts, for those that are installed.
pub const SHELLCHECK: Tool = Tool {
    program: "shellcheck",
    package: "shellcheck",
};
/// What the pages of the book call, beside the above.
pub const PAGES: [Tool; 2] = [
    Tool {
        program: "cpio",
        package: "cpio",
    },
    Tool {
        program: "ssh-keygen",
        package: "openssh-client",
    },
];
/// Compiles what is written in C for the static binaries.
pub const MUSL_COMPILER: Tool = Tool {
    program: "musl-gcc",
    package: "musl-tools",
};
/// The same for aarch64, with the headers that the compiler's package only recommends.
pub const AARCH64_COMPILER: [Tool; 2] = [
    Tool {
        program: "aarch64-linux-gnu-gcc",
        package: "gcc-aarch64-linux-gnu",
    },
    Tool {
        program: "/usr/aarch64-linux-gnu/include/stdlib.h",
        package: "libc6-dev-arm64-cross",
    },
];
/// Build Debian's packages.
pub const PACKAGING: [Tool; 2] = [
    Tool {
        program: "dpkg-buildpackage",
        package: "dpkg-dev",
    },
    Tool {
        program: "dh",
        package: "debhelper",
    },
];
/// Look at packages, and try them.
pub const PACKAGE_TESTS: [Tool; 4] = [
    Tool {
        program: "lintian",
        package: "lintian",
    },
    Tool {
        program: "mmdebstrap",
        package: "mmdebstrap",
    },
    Tool {
        program: "mandoc",
        package: "mandoc",
    },
    Tool {
        program: "man",
        package: "man-db",
    },
];
/// Make the disk of a distribution that is booted.
pub const DISTRIBUTIONS: [Tool; 2] = [
    Tool {
        program: "mmdebstrap",
        package: "mmdebstrap",
    },
    Tool {
        program: "mke2fs",
        package: "e2fsprogs",
    },
];
/// Makes the index of kernel modules.
pub const DEPMOD: Tool = Tool {
    program: "depmod",
    package: "kmod",
};
/// The switch roots that ours is measured beside, and what the tests use.
pub const PEERS: [Tool; 4] = [
    Tool {
        program: "switch_root",
        package: "util-linux",
    },
    Tool {
        program: "busybox",
        package: "busybox-static",
    },
    Tool {
        program: "toybox",
        package: "toybox",
    },
    Tool {
        program: "run-init",
        package: "klibc-utils",
    },
];

/// Makes sure that rustc can compile for these targets.
///
/// # Errors
/// Where a target is missing and cannot be installed: what to do.
pub fn targets(targets: &[&str]) -> Result<()> {
    for target in targets {
        let library =
            output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))?;
        if std::path::Path::new(library.trim()).is_dir() {
            continue;
        }
        step(&format!("rustup target add {target}"));
        run(Command::new("rustup").args(["target", "add", target])).with_context(|| {
            format!("Rust's library for {target} is missing; install it with `rustup target add {target}`, or with the package of your distribution")
        })?;
    }
    Ok(())
}

/// Makes sure that these programs are there, as far as that is possible, and
/// returns those that are not.
pub fn tools(tools: &[&Tool]) -> Vec<String> {
    let missing = |tools: &[&Tool]| -> Vec<&'static str> {
        tools
            .iter()
            .filter(|tool| which(tool.program).is_none())
            .map(|tool| tool.package)
            .collect()
    };
    let packages = missing(tools);
    if packages.is_empty() {
        return Vec::new();
    }
    if let Err(error) = install(&packages) {
        eprintln!("xtask: {error:#}");
    }
    missing(tools).into_iter().map(str::to_owned).collect()
}

/// Held by who uses apt's own lists: apt does not wait for another apt.
pub fn apt_for_one() -> MutexGuard<'static, ()> {
    static APT: Mutex<()> = Mutex::new(());
    APT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs Debian packages.
fn install(packages: &[&str]) -> Result<()> {
    if which("apt-get").is_none() {
        bail!(
            "not installed: {}; these are the names of Debian's packages, install what your distribution has for them",
            packages.join(" ")
        );
    }
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!(
            "not installed: {0}; run `apt-get install {0}` as root",
            packages.join(" ")
        );
    }
    step(&format!("apt-get install {}", packages.join(" ")));
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
        apt
    };
    let _alone = apt_for_one();
    run(apt().arg("update"))?;
    run(apt()
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages))
}

/// The packages that building a boot binary for a target takes and that are neither there
/// nor can be installed.
pub fn missing_for(target: &str) -> Vec<String> {
    // One function of the engine is written in C.
    match target {
        STATIC => tools(&[&MUSL_COMPILER]),
        _ if target == static_target(Architecture::Aarch64) => tools(&AARCH64_COMPILER.each_ref()),
        _ => Vec::new(),
    }
}

/// Fails where packages are missing that compile what is written in C.
///
/// # Errors
/// Which they are.
pub fn c_compiler(name: &str, target: &str) -> Result<()> {
    let missing = missing_for(target);
    ensure!(
        missing.is_empty(),
        "parts of {name} are written in C, and there is no compiler for its target: install {}",
        missing.join(" ")
    );
    Ok(())
}
