//! Whether an image boots from the image inside it. A file's name proves nothing: any image may
//! have a file of that name, and the boot reads what `/init` mounts. So an image inside counts
//! where `/init` is a script that switches to it as that of dracut's squash modules does. Where
//! it refers to it in another way nobody knows here, and that is said.

use object::elf::ELFMAG;
use switch_root_core::file_kind::FileKind;
use switch_root_core::locations::BOOT_PROGRAM_PLACES;
use switch_root_core::outcome::Message;

use crate::boot_program::Binary;
use crate::called::{INIT, has_name};
use crate::tree::{Id, Tree};

switch_root_core::outcomes! {
    /// Why it is not known whether an image boots from the image inside it: what follows a colon.
    pub enum Undecided in "images" {
        /// A script need not be run to be read, but what an arbitrary one does only running it shows.
        /// One is understood: that of dracut's squash modules.
        "SR-Q30" Script = "/init refers to it, and does not switch to it as the script of dracut's squash modules does; rename it where it is another file, and otherwise have dracut make the image",
        "SR-Q31" Several { other: &'static str } = "/init refers to {other} as well; leave one of them out of the image",
        "SR-Q32" Asks { program: &'static str } = "/init switches to it with {program}, a boot program of switch-root, which asks the policies around it; have util-linux's switch_root there",
    }
}

/// The image inside an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: &'static str,
    /// Which file that is.
    pub(crate) id: Id,
    /// Why it is not known whether the image boots from it.
    pub doubt: Option<Message>,
}

/// Finds the image inside an image at one of these places, if the image boots from it or may.
pub(super) fn find(tree: &Tree, places: &[&'static str]) -> Option<Found> {
    let regular = |path: &[u8]| {
        let (id, _) = tree.resolve(path)?;
        (tree.node(id).kind == FileKind::Regular).then_some(id)
    };
    let there: Vec<_> = places
        .iter()
        .filter_map(|path| Some((*path, regular(path.as_bytes())?)))
        .collect();
    let found = |(path, id), doubt| Some(Found { path, id, doubt });
    // The kernel executes nothing else than a regular file.
    let (first, _) = (*there.first()?, regular(INIT.as_bytes())?);
    let init = match tree.contents(INIT.as_bytes()) {
        Ok(init) => init,
        Err(reason) => return found(first, Some(reason.said_of(INIT))),
    };
    // A program mounts what it is built to.
    if init.starts_with(&ELFMAG) {
        return None;
    }
    let script = Script::new(init);
    let mut referred = there.into_iter().filter(|(path, _)| script.refers_to(path));
    let (path, id) = referred.next()?;
    let doubt = if let Some((other, _)) = referred.next() {
        Some(Undecided::Several { other })
    } else if !script.switches_to(path) {
        Some(Undecided::Script)
    } else {
        boot_program(tree).map(|program| Undecided::Asks { program })
    };
    found((path, id), doubt.map(Message::from))
}

/// The program of ours that the script calls `switch_root`, if that is one.
fn boot_program(tree: &Tree) -> Option<&'static str> {
    let ours = |path: &&str| {
        let program = tree.contents(path.as_bytes()).ok();
        path.ends_with("bin/switch_root") && program.and_then(Binary::of).is_some()
    };
    BOOT_PROGRAM_PLACES.into_iter().find(ours)
}

/// A script of a shell: its lines without comments, each as its words without quotes.
struct Script {
    is_script: bool,
    lines: Vec<Vec<String>>,
}

impl Script {
    fn new(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).replace(['"', '\''], "");
        let between = |c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')' | '`');
        let words = |line: &str| {
            let words = line.split(between).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect()
        };
        let lines = text.lines().map(str::trim);
        Self {
            is_script: bytes.starts_with(b"#!"),
            lines: lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(words)
                .collect(),
        }
    }

    /// Whether the name of the file is anywhere in it.
    fn refers_to(&self, path: &str) -> bool {
        let name = path.trim_start_matches('/');
        self.lines.iter().flatten().any(|word| has_name(word, name))
    }

    /// Whether it mounts the file, an overlay above that, and switches to the `/init` of the
    /// overlay at its end, and nowhere else: what all releases of dracut have in common that put
    /// the image at one of the places.
    fn switches_to(&self, path: &str) -> bool {
        let Some((last, others)) = self.lines.split_last() else {
            return false;
        };
        let leaves = |word: &String| word == "exec" || word == "switch_root";
        if !self.is_script || others.iter().flatten().any(leaves) {
            return false;
        }
        let [.., program, new_root, init] = &last[..] else {
            return false;
        };
        let mounts = || others.iter().filter_map(|line| mounted(line));
        let lower = |options: &[String], image: &str| {
            let mut options = options.iter().flat_map(|word| word.split(','));
            options.any(|option| option.strip_prefix("lowerdir=") == Some(image))
        };
        program == "switch_root"
            && init == INIT
            && mounts()
                .filter(|(_, source, _)| self.is(source, path))
                .any(|(.., image)| {
                    mounts().any(|(options, _, target)| {
                        lower(options, image)
                            && target.trim_end_matches('/') == new_root.trim_end_matches('/')
                    })
                })
    }

    /// Whether a word is a path, itself or with one of the script's variables in it.
    fn is(&self, word: &str, path: &str) -> bool {
        let assigned = self.lines.iter().filter_map(|line| match &line[..] {
            [only] => only.split_once('='),
            _ => None,
        });
        word == path
            || assigned
                .filter(|(name, _)| !name.is_empty())
                .any(|(name, value)| word.replace(&format!("${name}"), value) == path)
    }
}

/// All words, source and target of a mount, if a line is one.
fn mounted(line: &[String]) -> Option<(&[String], &str, &str)> {
    match line {
        [mount, .., source, target] if mount == "mount" => Some((line, source, target)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

    /// Lines as the script has them in 059.
    const BEFORE: &str = "#!/bin/sh
mount -t ramfs ramfs /squash
mount -t squashfs -o ro,loop /squash-root.img /squash/root
mkdir /newroot
mount -t overlay overlay -o lowerdir=/squash/root,upperdir=/squash/overlay/upper,workdir=/squash/overlay/work/ /newroot/
mount --move /squash /newroot/squash

# Jump to new root
SYSTEMD_IN_INITRD=lenient exec switch_root /newroot /init
";

    /// And since 104, with two file systems.
    const SINCE: &str = r#"#!/bin/sh
if [ -e /erofs-root.img ]; then
    _fs=erofs
    _img=erofs-root.img
else
    _fs=squashfs
    _img=squashfs-root.img
fi
mount -t "$_fs" -o ro,loop /"$_img" /squash/root
mount -t overlay overlay -o lowerdir=/squash/root,upperdir=/squash/overlay/upper,workdir=/squash/overlay/work/ /newroot/
SYSTEMD_IN_INITRD=lenient exec switch_root /newroot /init
"#;

    fn switches(script: &str, path: &str) -> bool {
        Script::new(script.as_bytes()).switches_to(path)
    }

    #[test]
    fn scripts_of_dracut_switch_to_the_image_inside() {
        assert!(switches(BEFORE, "/squash-root.img"));
        assert!(!switches(BEFORE, "/squashfs-root.img"));
        for path in ["/squashfs-root.img", "/erofs-root.img"] {
            assert!(switches(SINCE, path), "{path}");
        }
        assert!(!switches(SINCE, "/squash-root.img"));
    }

    #[test]
    fn scripts_that_go_elsewhere_are_not_understood() {
        for (old, new) in [
            ("#!/bin/sh\n", "\n"),
            ("/newroot /init", "/newroot /sbin/init"),
            ("/newroot /init", "/other /init"),
            ("lowerdir=/squash/root,", "lowerdir=/other,"),
            ("mount -t squashfs", "# mount -t squashfs"),
            ("mount -t overlay", "echo -t overlay"),
            ("mkdir /newroot", "grep -q live /proc/cmdline && exec /live"),
            ("mkdir /newroot", "switch_root /live /init"),
            ("/newroot /init\n", "/newroot /init || reboot\n"),
            ("mkdir /newroot", "mkdir /newroot||exec sh"),
        ] {
            let script = BEFORE.replace(old, new);
            assert_ne!(script, BEFORE, "{old}");
            assert!(!switches(&script, "/squash-root.img"), "{new}");
        }
    }

    #[test]
    fn only_what_a_script_does_refers_to_a_file() {
        let refers = |script: &str| Script::new(script.as_bytes()).refers_to("/squash-root.img");
        for script in [
            "mount /squash-root.img /a",
            "I=squash-root.img",
            "a '/squash-root.img'; b",
        ] {
            assert!(refers(script), "{script}");
        }
        for script in [
            "# /squash-root.img",
            "/my-squash-root.img",
            "/squash-root.img.old",
            "/squashfs-root.img",
        ] {
            assert!(!refers(script), "{script}");
        }
    }

    #[test]
    fn an_init_that_was_not_read_leaves_it_undecided() {
        let found = |init: Option<Node>| {
            let mut tree = Tree::new();
            let image = Node::file(0o644, 9000);
            tree.insert(b"/squash-root.img", image).unwrap();
            if let Some(init) = init {
                tree.insert(INIT.as_bytes(), init).unwrap();
            }
            find(&tree, &["/squash-root.img"])
        };
        let undecided = found(Some(Node::file(0o755, 10))).unwrap();
        assert_eq!(undecided.doubt.unwrap().text, "/init was not read");
        // The kernel executes neither, nor what is empty.
        for none in [
            None,
            Some(Node::symlink(b"nowhere")),
            Some(Node::directory(0o755)),
            Some(Node::file(0o755, 0)),
        ] {
            assert_eq!(found(none), None);
        }
    }
}
