//! What distributions leave in the file system of an initramfs, and who leaves it. What they
//! leave below `/run` and `/dev` is not here: these are mounts, and are moved to the new root.

/// Some paths that are wanted together.
pub(crate) struct Group {
    /// The name in the settings.
    pub(crate) name: &'static str,
    /// Whether it is kept where the settings do not say. Secrets are not.
    pub(crate) by_default: bool,
    /// What is kept: patterns.
    pub(crate) keep: &'static [&'static str],
    /// What can be carried, and where to, where the settings say so: files that running systems
    /// read there and never write.
    pub(crate) carry: &'static [(&'static str, &'static str)],
    /// Whether links in `/` are of use to it, such as `/lib`.
    pub(crate) links: bool,
}

/// All groups, in the order of the manual.
pub(crate) static GROUPS: [Group; 9] = [
    Group {
        name: "network",
        links: false,
        by_default: true,
        keep: &[
            // dracut, 40network/net-lib.sh: what DHCP gave, routes, name servers, interfaces.
            "/tmp/net.*",
            "/tmp/dhclient.*",
            // dracut, 45ifcfg/write-ifcfg.sh.
            "/tmp/ifcfg",
            "/tmp/ifcfg-leases",
            // dracut, 40network/ifname-genrules.sh: names that interfaces got from `ifname=`.
            "/etc/udev/rules.d/80-ifname.rules",
            // dracut, 40network/net-lib.sh.
            "/etc/resolv.conf",
        ],
        carry: &[("/etc/resolv.conf", "/etc/resolv.conf")],
    },
    Group {
        name: "storage",
        links: false,
        by_default: true,
        keep: &[
            // open-iscsi, initramfs-tools/hooks/iscsi; dracut, 95iscsi/module-setup.sh.
            "/etc/initiatorname.iscsi",
            "/etc/iscsi/initiatorname.iscsi",
            // dracut, 95nvmf/parse-nvmf-boot-connections.sh.
            "/etc/nvme/hostnqn",
            "/etc/nvme/hostid",
            "/etc/nvme/discovery.conf",
            // multipath-tools-boot, initramfs-tools/hooks/multipath; dracut, 90multipath.
            "/etc/multipath/bindings",
            "/etc/multipath/wwids",
        ],
        carry: &[
            ("/etc/initiatorname.iscsi", "/etc/iscsi/initiatorname.iscsi"),
            (
                "/etc/iscsi/initiatorname.iscsi",
                "/etc/iscsi/initiatorname.iscsi",
            ),
            ("/etc/nvme/hostnqn", "/etc/nvme/hostnqn"),
            ("/etc/nvme/hostid", "/etc/nvme/hostid"),
        ],
    },
    Group {
        name: "luks",
        links: false,
        by_default: true,
        keep: &[
            // dracut, 90crypt/module-setup.sh; mkinitcpio's sd-encrypt.
            "/etc/crypttab",
            // cryptsetup-initramfs, initramfs-tools/hooks/cryptroot.
            "/cryptroot/crypttab",
            // dracut, 90crypt/parse-keydev.sh: devices that keys are on, not the keys.
            "/tmp/luks.keys",
        ],
        carry: &[],
    },
    Group {
        name: "tpm",
        links: false,
        by_default: true,
        keep: &[
            // systemd-stub(7): a signature of PCR values and the public key for it.
            "/.extra/tpm2-pcr-signature.json",
            "/.extra/tpm2-pcr-public-key.pem",
        ],
        carry: &[],
    },
    Group {
        name: "shutdown",
        links: false,
        by_default: true,
        keep: &[
            // dracut, 99shutdown/module-setup.sh, and what shutdown.sh reads.
            "/shutdown",
            "/lib/dracut-lib.sh",
            "/lib/dracut/hooks/pre-shutdown",
            "/lib/dracut/hooks/shutdown",
            "/lib/dracut/hooks/shutdown-emergency",
            // The same, where /lib is a link.
            "/usr/lib/dracut-lib.sh",
            "/usr/lib/dracut/hooks/pre-shutdown",
            "/usr/lib/dracut/hooks/shutdown",
            "/usr/lib/dracut/hooks/shutdown-emergency",
            // Newer releases have the hooks there.
            "/var/lib/dracut/hooks/pre-shutdown",
            "/var/lib/dracut/hooks/shutdown",
            "/var/lib/dracut/hooks/shutdown-emergency",
        ],
        carry: &[],
    },
    Group {
        name: "shutdown-programs",
        links: true,
        by_default: false,
        keep: &[
            "/bin",
            "/sbin",
            "/lib64",
            "/lib/*.so",
            "/lib/*.so.*",
            "/lib/*-linux-*",
            "/lib/systemd",
            "/usr/bin",
            "/usr/sbin",
            "/usr/lib64",
            "/usr/lib/*.so",
            "/usr/lib/*.so.*",
            "/usr/lib/*-linux-*",
            "/usr/lib/systemd",
            "/etc/ld.so.*",
            "/etc/cmdline.d",
        ],
        carry: &[],
    },
    Group {
        name: "luks-keys",
        links: false,
        by_default: false,
        keep: &[
            // cryptsetup-initramfs, initramfs-tools/hooks/cryptroot and cryptgnupg-sc.
            "/cryptroot/keyfiles",
            "/cryptroot/gnupghome",
            // cryptsetup-initramfs, conf-hook: where administrators put them.
            "/etc/keys",
            // systemd's crypttab(5).
            "/etc/cryptsetup-keys.d",
            // mkinitcpio, install/encrypt.
            "/crypto_keyfile.bin",
        ],
        carry: &[],
    },
    Group {
        name: "tpm-state",
        links: false,
        by_default: false,
        keep: &[
            // tpm2-tss, fapi-config.json: the keystore.
            "/var/lib/tpm2-tss",
        ],
        carry: &[],
    },
    Group {
        name: "credentials",
        links: false,
        by_default: false,
        keep: &[
            // systemd-stub(7).
            "/.extra/credentials",
            "/.extra/global_credentials",
            // open-iscsi, initramfs-tools/hooks/iscsi; dracut, 95iscsi: passwords of targets.
            "/etc/iscsi.initramfs",
            "/etc/iscsi/iscsid.conf",
        ],
        carry: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use switch_root_policy::{Globs, path};

    #[test]
    fn what_is_listed_can_be_read_and_every_name_is_there_once() {
        for (index, group) in GROUPS.iter().enumerate() {
            assert!(!group.keep.is_empty(), "{}", group.name);
            Globs::new(group.keep).unwrap();
            for pattern in group.keep {
                let below = |place: &str| pattern.starts_with(place);
                assert!(!below("/run/") && !below("/dev/"), "{pattern} is moved");
            }
            for (from, to) in group.carry {
                assert_eq!(path::check(from.as_bytes()), Ok(()));
                assert_eq!(path::check(to.as_bytes()), Ok(()));
                assert!(group.keep.contains(from), "{from}");
            }
            let others = &GROUPS[index + 1..];
            assert!(others.iter().all(|other| other.name != group.name));
        }
    }

    #[test]
    fn the_manual_has_every_group() {
        let manual = include_str!("../README.md");
        for group in &GROUPS {
            let row = format!(
                "| `{}` | {} |",
                group.name,
                if group.by_default { "yes" } else { "no" }
            );
            assert!(manual.contains(&row), "{row}");
        }
    }
}
