//! What a layer must not do to the root image below it. It may add files and replace them;
//! what would take a directory away, hide what is in it, or change who may enter it, can keep
//! the whole machine from starting.
//!
//! The boot holds mounted trees against these rules, and packing what is in archives: the rules
//! ask of both what [`Place`] asks.

use crate::path::Path;

crate::outcomes! {
    /// What a layer must not do: what follows its name in a sentence.
    pub enum Breach in "layers" {
        /// The layer holds a whiteout. Layers add, they take nothing away: repack it without.
        "SR-L06" Deletes { path: Path } = "would delete {path}",
        /// With that the system may not start, so that the layer is to be repacked, as the boot says
        /// behind these words. Often a layer with `/lib` where the root image has a link to
        /// `usr/lib`: put the files below `/usr/lib`.
        "SR-L20" Directory { path: Path } = "would replace the directory {path} of the root image",
        "SR-L21" Link { path: Path } = "would replace the link to a directory {path} of the root image",
        "SR-L22" File { path: Path } = "would replace by a directory the file {path} of the root image",
        "SR-L23" Rights { path: Path, mode: u32, owner: String, own_mode: u32, own_owner: String } = "would give mode {mode:04o} and owner {owner}, rather than {own_mode:04o} and {own_owner}, to the directory {path} of the root image",
        /// It is no extension but a system.
        "SR-L24" Many = "has more than {DIRECTORIES} directories in common with the root image",
    }
}

/// Directories that a layer may have in common with the root image: more than any
/// extension has, and few enough to be examined while a machine starts.
pub const DIRECTORIES: usize = 20_000;

/// Who may do what with a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Its permission bits, set-user-id, set-group-id and sticky bit included.
    pub mode: u32,
    /// Whose it is.
    pub user: u32,
    /// Its group.
    pub group: u32,
}

impl Rights {
    /// What is wrong with a layer that gives a directory of the root image these rights rather
    /// than its own; nothing where they are the same.
    pub fn instead_of(self, own: Self) -> Option<Harm> {
        (self != own).then_some(Harm::ChangesRights {
            layer: self,
            root: own,
        })
    }

    fn owner(self) -> String {
        format!("{}:{}", self.user, self.group)
    }
}

/// What a tree has at a path. Symbolic links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Has {
    /// A directory.
    Directory(Rights),
    /// A symbolic link.
    Link,
    /// What overlayfs takes for a name that is gone: a character device without a number.
    Whiteout,
    /// Anything else.
    File,
}

/// A path, as a layer and the root image have it.
pub trait Place {
    /// Why one of them cannot be examined.
    type Error;

    /// What the layer has there.
    fn layer(&self) -> Has;

    /// What the root image has there.
    ///
    /// # Errors
    /// It cannot be examined.
    fn root(&self) -> Result<Option<Has>, Self::Error>;

    /// Whether both are links that say the same.
    ///
    /// # Errors
    /// They cannot be read.
    fn is_same_link(&self) -> Result<bool, Self::Error>;

    /// Whether the link of the root image leads to a directory there.
    fn leads_to_directory(&self) -> bool;
}

/// What a layer does at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// No harm.
    Fine,
    /// Both have this directory, and what is in it is to be compared, too.
    Shared,
    /// What can keep the machine from starting.
    Harm(Harm),
}

/// What can keep a machine from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// It takes a name away.
    Deletes,
    /// It has something else where the root image has a directory.
    ReplacesDirectory,
    /// It has something else where the root image has a link to a directory.
    ReplacesLink,
    /// It has a directory where the root image has something else.
    ReplacesFile,
    /// It changes who may do what with a directory.
    ChangesRights {
        /// What it gives.
        layer: Rights,
        /// What the root image has.
        root: Rights,
    },
}

/// What a layer does at a place other than the root directory.
///
/// # Errors
/// Those of the place.
pub fn effect<P: Place>(place: &P) -> Result<Effect, P::Error> {
    let layer = place.layer();
    if layer == Has::Whiteout {
        return Ok(Effect::Harm(Harm::Deletes));
    }
    let Some(root) = place.root()? else {
        return Ok(Effect::Fine);
    };
    let harm = match (layer, root) {
        (Has::Directory(layer), Has::Directory(root)) => match layer.instead_of(root) {
            None => return Ok(Effect::Shared),
            Some(harm) => harm,
        },
        (Has::Link, Has::Link) if place.is_same_link()? => return Ok(Effect::Fine),
        (_, Has::Directory(_)) => Harm::ReplacesDirectory,
        (_, Has::Link) if place.leads_to_directory() => Harm::ReplacesLink,
        (Has::Directory(_), _) => Harm::ReplacesFile,
        _ => return Ok(Effect::Fine),
    };
    Ok(Effect::Harm(harm))
}

impl Harm {
    /// The same, done at this path.
    pub fn at(self, path: &[u8]) -> Breach {
        let path = path.into();
        match self {
            Self::Deletes => Breach::Deletes { path },
            Self::ReplacesDirectory => Breach::Directory { path },
            Self::ReplacesLink => Breach::Link { path },
            Self::ReplacesFile => Breach::File { path },
            Self::ChangesRights { layer, root } => Breach::Rights {
                path,
                mode: layer.mode,
                owner: layer.owner(),
                own_mode: root.mode,
                own_owner: root.owner(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Rights = Rights {
        mode: 0o755,
        user: 0,
        group: 0,
    };
    const OTHER: Rights = Rights { mode: 0o700, ..OWN };

    struct Both {
        layer: Has,
        root: Option<Has>,
        same: bool,
        leads: bool,
    }

    impl Place for Both {
        type Error = ();

        fn layer(&self) -> Has {
            self.layer
        }

        fn root(&self) -> Result<Option<Has>, ()> {
            Ok(self.root)
        }

        fn is_same_link(&self) -> Result<bool, ()> {
            Ok(self.same)
        }

        fn leads_to_directory(&self) -> bool {
            self.leads
        }
    }

    #[test]
    fn a_layer_adds_and_replaces_files_alone() {
        use Effect::{Fine, Shared};
        use Has::{Directory, File, Link, Whiteout};
        let harm = Effect::Harm;
        let own = Directory(OWN);
        for (layer, root, same, leads, expected) in [
            (File, None, false, false, Fine),
            (own, None, false, false, Fine),
            (Whiteout, None, false, false, harm(Harm::Deletes)),
            (Whiteout, Some(File), false, false, harm(Harm::Deletes)),
            (own, Some(own), false, false, Shared),
            (
                Directory(OTHER),
                Some(own),
                false,
                false,
                harm(Harm::ChangesRights {
                    layer: OTHER,
                    root: OWN,
                }),
            ),
            (File, Some(own), false, false, harm(Harm::ReplacesDirectory)),
            (Link, Some(own), false, false, harm(Harm::ReplacesDirectory)),
            (Link, Some(Link), true, true, Fine),
            (Link, Some(Link), false, true, harm(Harm::ReplacesLink)),
            (Link, Some(Link), false, false, Fine),
            (File, Some(Link), false, true, harm(Harm::ReplacesLink)),
            (own, Some(Link), false, true, harm(Harm::ReplacesLink)),
            (own, Some(Link), false, false, harm(Harm::ReplacesFile)),
            (own, Some(File), false, false, harm(Harm::ReplacesFile)),
            (File, Some(File), false, false, Fine),
        ] {
            let place = Both {
                layer,
                root,
                same,
                leads,
            };
            assert_eq!(effect(&place), Ok(expected), "{layer:?} over {root:?}");
        }
    }

    #[test]
    fn harm_names_the_path_and_both_rights() {
        assert_eq!(Harm::Deletes.at(b"/etc").to_string(), "would delete /etc");
        assert_eq!(
            OTHER.instead_of(OWN).unwrap().at(b"/a").to_string(),
            "would give mode 0700 and owner 0:0, rather than 0755 and 0:0, to the directory /a of the root image"
        );
    }
}
