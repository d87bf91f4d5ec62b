//! The names that systemd has for architectures.

/// The names of systemd for what `uname -m` says. Of MIPS that says no byte order, so both names
/// are it; what is not known has the name that it has.
pub(crate) fn names(machine: &str) -> [&str; 2] {
    let name = match machine {
        "x86_64" => "x86-64",
        "i386" | "i486" | "i586" | "i686" => "x86",
        "aarch64" => "arm64",
        "aarch64_be" => "arm64-be",
        "mips" => return ["mips", "mips-le"],
        "mips64" => return ["mips64", "mips64-le"],
        "ppc64le" => "ppc64-le",
        "ppcle" => "ppc-le",
        "arceb" => "arc-be",
        "crisv32" => "cris",
        "riscv" => return ["riscv64", "riscv32"],
        "sh2" | "sh2a" | "sh3" | "sh4" | "sh4a" => "sh",
        "sh5" => "sh64",
        arm if arm.starts_with("armv") && arm.ends_with('b') => "arm-be",
        arm if arm.starts_with("armv") => "arm",
        other => other,
    };
    [name, name]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_systemd() {
        for (machine, name) in [
            ("x86_64", "x86-64"),
            ("i686", "x86"),
            ("aarch64", "arm64"),
            ("armv7l", "arm"),
            ("armv5tejl", "arm"),
            ("armv7mb", "arm-be"),
            ("ppc64le", "ppc64-le"),
            ("riscv64", "riscv64"),
            ("s390x", "s390x"),
            ("loongarch64", "loongarch64"),
            ("mips64", "mips64-le"),
        ] {
            assert!(names(machine).contains(&name), "{machine}");
        }
        assert!(!names("x86_64").contains(&"x86"));
    }
}
