//! The tree of a root image, as far as it matters to layers that are laid over it.

use std::collections::BTreeMap;

use switch_root_core::layer_rules::Rights;

/// Links that are followed on the way to one place, as the kernel has it.
const LINKS: usize = 40;

/// What is at a path of the root image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory(Rights),
    /// A symbolic link, and what it says.
    Link(Vec<u8>),
    /// Anything else.
    File,
}

/// The nodes of a root image, by their paths without the `/` at the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root(pub BTreeMap<Vec<u8>, Node>);

impl Root {
    /// Whether a path leads to a directory, links followed.
    pub fn is_directory(&self, path: &[u8]) -> bool {
        let found = self.resolve(path).and_then(|real| self.0.get(&real));
        matches!(found, Some(Node::Directory(_)))
    }

    /// Where a path leads, links followed as the kernel does it in a root directory.
    pub fn resolve(&self, path: &[u8]) -> Option<Vec<u8>> {
        let mut to_come = Vec::new();
        push(&mut to_come, path);
        let mut here: Vec<u8> = Vec::new();
        let mut links = 0;
        while let Some(part) = to_come.pop() {
            match part.as_slice() {
                b"." => continue,
                b".." => {
                    let end = here.iter().rposition(|byte| *byte == b'/');
                    here.truncate(end.unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let mut next = here.clone();
            if !next.is_empty() {
                next.push(b'/');
            }
            next.extend(&part);
            match self.0.get(&next)? {
                Node::Directory(_) => here = next,
                Node::Link(target) => {
                    links += 1;
                    if links > LINKS {
                        return None;
                    }
                    if target.starts_with(b"/") {
                        here.clear();
                    }
                    push(&mut to_come, target);
                }
                Node::File if to_come.is_empty() => here = next,
                Node::File => return None,
            }
        }
        Some(here)
    }
}

/// Adds the parts of a path to those that are to come, the next one last.
fn push(to_come: &mut Vec<Vec<u8>>, path: &[u8]) {
    let parts = path.split(|byte| *byte == b'/');
    let named = parts.filter(|part| !part.is_empty()).rev();
    to_come.extend(named.map(<[u8]>::to_vec));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_never_lead_out_of_the_image() {
        let rights = Rights {
            mode: 0o755,
            user: 0,
            group: 0,
        };
        let link = |target: &[u8]| Node::Link(target.to_vec());
        let nodes = [
            ("etc", Node::Directory(rights)),
            ("usr", Node::Directory(rights)),
            ("usr/lib", Node::Directory(rights)),
            ("usr/lib/os-release", Node::File),
            ("etc/os-release", link(b"../lib/./os-release")),
            ("lib", link(b"usr/lib")),
            ("out", link(b"/../../etc/../usr/lib/os-release")),
            ("below", link(b"lib/os-release/..")),
            ("nowhere", link(b"missing")),
            ("circle", link(b"/circle")),
        ];
        let root = Root(nodes.map(|(path, node)| (path.into(), node)).into());
        let leads = |path: &str| root.resolve(path.as_bytes());
        for path in ["/etc/os-release", "out", "lib//os-release"] {
            assert_eq!(
                leads(path).as_deref(),
                Some(&b"usr/lib/os-release"[..]),
                "{path}"
            );
        }
        for path in ["below", "nowhere", "circle", "etc/none"] {
            assert_eq!(leads(path), None, "{path}");
        }
        assert!(root.is_directory(b"lib"));
        assert!(!root.is_directory(b"etc/os-release"));
    }
}
