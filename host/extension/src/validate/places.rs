//! Where an extension may have something.

/// Where an extension may have something: these places, and below them.
pub(super) const ALLOWED: [&str; 20] = [
    "etc/cri/conf.d",
    // Text that says for which systems the extension is, and nothing that runs.
    "usr/lib/extension-release.d",
    "usr/lib/firmware",
    "usr/lib/modules",
    "usr/lib/ld-linux-x86-64.so.2",
    "usr/lib/ld-linux-aarch64.so.1",
    "usr/bin/ldconfig",
    "etc/ld.so.conf",
    "etc/ld.so.cache",
    "usr/bin/nvidia-modprobe",
    "usr/bin/nvidia-pcc",
    "usr/bin/nvidia-smi",
    "usr/bin/nvidia-ctk",
    "usr/bin/nvidia-cdi-hook",
    "usr/bin/nvme",
    "usr/lib/udev/rules.d",
    "usr/local",
    "usr/share/glvnd",
    "usr/share/egl",
    "etc/vulkan",
];

/// What Talos takes since it begins like a place that is allowed, without being below
/// it: its own extensions have something there.
pub(super) const TAKEN: &str = "etc/vulkansc";

/// Where roots of containers are, each below its name: what runs in one sees it as `/`.
const CONTAINERS: &[u8] = b"usr/local/lib/containers/";

/// Links of the base system into /usr, which not even an empty directory may hide.
const LINKS: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

pub(super) fn is_allowed(path: &[u8]) -> bool {
    ALLOWED
        .iter()
        .any(|allowed| is_at_or_below(path, allowed.as_bytes()))
}

/// On the way to a place where an extension may have something.
pub(super) fn is_above_allowed(path: &[u8]) -> bool {
    path.is_empty()
        || ALLOWED
            .iter()
            .any(|allowed| is_at_or_below(allowed.as_bytes(), path))
}

pub(super) fn is_at_or_below(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Whether a path is one of the base system's links into /usr, or below one.
pub(super) fn is_of_link(path: &[u8]) -> bool {
    LINKS
        .iter()
        .any(|link| is_at_or_below(path, link.as_bytes()))
}

/// The root of the container that a path is in, with a slash behind it.
pub(super) fn container(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(CONTAINERS)?;
    let name = rest.iter().position(|byte| *byte == b'/')?;
    Some(&path[..CONTAINERS.len() + name + 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_a_root_of_its_own() {
        let root = b"usr/local/lib/containers/x/".as_slice();
        for (path, expected) in [
            ("usr/local/lib/containers/x/bin/sh", Some(root)),
            ("usr/local/lib/containers/x/a", Some(root)),
            ("usr/local/lib/containers/x", None),
            ("usr/local/lib/containersx/y/a", None),
            ("usr/local/bin/a", None),
        ] {
            assert_eq!(container(path.as_bytes()), expected, "{path}");
        }
    }
}
