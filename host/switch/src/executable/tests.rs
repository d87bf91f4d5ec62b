use std::fs::{Permissions, create_dir_all, set_permissions, write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use switch_root_core::resolve::in_root;

use super::*;
use crate::elf::tests::{ELSEWHERE, Made};

/// A new root in a folder, of which `covered` is hidden by the time of the execution.
struct Folder {
    path: PathBuf,
    registered: Registered,
}

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!(
            "switch-root-executable-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let _ = std::fs::remove_dir_all(&path);
        create_dir_all(path.join("bin")).unwrap();
        Self {
            path,
            registered: Registered::No,
        }
    }

    fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.with_mode(path, content, 0o755)
    }

    fn with_mode(self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        let path = self.path.join(path);
        write(&path, content).unwrap();
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
        self
    }

    fn directory(&self) -> OwnedFd {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        fs::open(&self.path, flags, fs::Mode::empty()).unwrap()
    }

    /// What is found out about `/init`.
    fn chain(&self) -> Chain {
        let program = self.open(b"/init", OFlags::RDONLY).unwrap();
        follow(program.into(), b"/init", self).unwrap()
    }

    fn runs(&self) {
        let Chain { failure, doubt, .. } = self.chain();
        assert_eq!((failure, doubt), (None, None));
    }

    fn fails(&self, part: &str) {
        let reason = self.chain().failure.expect("it does not fail");
        assert!(reason.text.contains(part), "{reason}, not {part}");
    }

    fn is_doubtful(&self, part: &str) {
        let Chain { failure, doubt, .. } = self.chain();
        assert_eq!(failure, None);
        let reason = doubt.expect("there is no doubt");
        assert!(reason.text.contains(part), "{reason}, not {part}");
    }

    /// Device number and inode of a path of it.
    fn identity(&self, path: &str) -> (u64, u64) {
        let stat = fs::lstat(self.path.join(path)).unwrap();
        (stat.st_dev, stat.st_ino)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Root for Folder {
    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        in_root(self.directory().as_fd(), path, flags)
    }

    fn way(&self, path: &[u8]) -> Result<Way, Errno> {
        crate::init::follow(self.directory().as_fd(), path)
    }

    fn registered(&self, _: &Head, _: &[u8]) -> Registered {
        self.registered.clone()
    }
}

/// A folder whose `/init` is the first of so many scripts, the last of which names a program.
fn scripts(count: usize) -> Folder {
    let folder = (1..count).fold(Folder::new(), |folder, number| {
        folder.file(&format!("bin/{number}"), format!("#!/bin/{}\n", number + 1))
    });
    folder
        .file("init", "#!/bin/1\n")
        .file(&format!("bin/{count}"), Made::new().bytes())
}

#[test]
fn five_scripts_in_a_row_are_followed_and_no_more() {
    for count in 1..=SCRIPTS {
        scripts(count).runs();
    }
    scripts(SCRIPTS + 1).fails("first of more than 5 scripts");
    Folder::new()
        .file("init", "#!/init\n")
        .fails("first of more than 5 scripts");
}

#[test]
fn missing_interpreter_is_found_anywhere_in_the_chain() {
    for missing in 1..=SCRIPTS {
        let folder = scripts(SCRIPTS);
        std::fs::remove_file(folder.path.join(format!("bin/{missing}"))).unwrap();
        folder.fails(&format!(
            "names the interpreter /bin/{missing}, which is not in the new root"
        ));
    }
}

#[test]
fn interpreters_must_be_executable_files() {
    let with = |make: fn(&Path)| {
        let folder = Folder::new().file("init", "#!/bin/x\n");
        make(&folder.path.join("bin/x"));
        folder
    };
    with(|path| create_dir_all(path).unwrap()).fails("is not a regular file");
    with(|path| write(path, "").unwrap()).fails("is not executable (mode 0");
    with(|path| symlink("/bin/y", path).unwrap()).fails("is not in the new root");
    with(|path| symlink("x", path).unwrap()).fails("is a symbolic link loop");
    with(|path| symlink("/../../bin/sh", path).unwrap()).fails("is not in the new root");
    Folder::new()
        .file("init", "#!/init/x\n")
        .fails("is not in the new root");
    let empty = Folder::new().file("init", "#!/bin/x\n").file("bin/x", "");
    empty.fails("/bin/x is neither an ELF file nor a script");
}

#[test]
fn loader_must_be_an_elf_file_of_the_same_kind() {
    let with = |loader: Vec<u8>, mode| {
        Folder::new()
            .file("init", Made::with_loader("/bin/ld").bytes())
            .with_mode("bin/ld", loader, mode)
    };
    with(Made::new().bytes(), 0o755).runs();
    with(Made::new().bytes(), 0o644).fails("names the loader /bin/ld, which is not executable");
    with(b"#!/bin/sh\n".to_vec(), 0o755).fails("/bin/ld, which is not an ELF file");
    let mut elsewhere = Made::new();
    elsewhere.machine = ELSEWHERE;
    with(elsewhere.bytes(), 0o755).fails("/bin/ld, which is an ELF file for another architecture");
    // The kernel does not load what a loader names.
    with(Made::with_loader("/no").bytes(), 0o755).runs();
    Folder::new()
        .file("init", "#!/bin/x\n")
        .file("bin/x", Made::with_loader("/lib/ld").bytes())
        .fails("/bin/x names the loader /lib/ld, which is not in the new root");
}

#[test]
fn what_is_registered_with_binfmt_misc_is_executed_by_it() {
    let mut foreign = Made::with_loader("/lib/ld");
    foreign.machine = ELSEWHERE;
    let mut folder = Folder::new()
        .file("init", foreign.bytes())
        .file("bin/qemu", Made::new().bytes());
    folder.fails("it is an ELF file for another architecture (s390)");
    folder.registered = Registered::Open;
    folder.runs();
    folder.registered = Registered::Interpreter(b"/bin/qemu".to_vec());
    folder.runs();
    folder.registered = Registered::Interpreter(b"/bin/none".to_vec());
    folder.fails("binfmt_misc names for it the interpreter /bin/none, which is not");
    folder.registered = Registered::Unknown(Message::quoted("nobody knows"));
    folder.is_doubtful("(s390), and nobody knows");
    let mut folder = Folder::new().file("init", "no program");
    folder.fails("it is neither");
    folder.registered = Registered::Open;
    folder.runs();
}

#[test]
fn everything_on_the_way_is_in_the_trail() {
    let folder = scripts(2).file("bin/real", Made::with_loader("bin/ld").bytes());
    let folder = folder.file("bin/ld", Made::new().bytes());
    std::fs::remove_file(folder.path.join("bin/2")).unwrap();
    symlink("link", folder.path.join("bin/2")).unwrap();
    symlink("/bin/real", folder.path.join("bin/link")).unwrap();
    let trail = folder.chain().trail;
    for path in ["bin", "bin/1", "bin/2", "bin/link", "bin/real", "bin/ld"] {
        assert!(trail.contains(&folder.identity(path)), "{path}");
    }
}

#[test]
fn what_is_mounted_over_before_the_execution_is_not_known() {
    let folder = Folder::new().file("init", "#!/bin/sh\n");
    symlink("/run/current/sh", folder.path.join("bin/sh")).unwrap();
    folder.is_doubtful("/bin/sh, which lies where another file system is mounted");
    Folder::new()
        .file("init", "#!/proc/self/exe\n")
        .is_doubtful("/proc/self/exe");
}

#[test]
fn first_line_is_read_as_the_kernel_reads_it() {
    let read = |line: &[u8]| {
        let mut head = [0; HEAD];
        let length = line.len().min(HEAD);
        head[..length].copy_from_slice(&line[..length]);
        let named = interpreter(&head, "it").map(<[u8]>::to_vec);
        named.map_err(|error| error.to_string())
    };
    let path = Ok(b"/bin/sh".to_vec());
    for line in [
        "#!/bin/sh\n",
        "#! \t/bin/sh \t\nx",
        "#!/bin/sh",
        "#!/bin/sh -e x",
        "#!/bin/sh\0x\n",
    ] {
        assert_eq!(read(line.as_bytes()), path, "{line:?}");
    }
    assert_eq!(read(b"#!/bin/sh\r\n"), Ok(b"/bin/sh\r".to_vec()));
    assert_eq!(read(b"#!bin/sh\n"), Ok(b"bin/sh".to_vec()));
    for line in ["#!", "#!\n/bin/sh", "#! \t\n", "#! "] {
        assert!(read(line.as_bytes()).is_err(), "{line:?}");
    }
    assert!(read(&[b"#!".as_slice(), &[b' '; HEAD]].concat()).is_err());
    // The longest that is known to be whole, with what ends it; and one byte more.
    let long = |length: usize, end: &str| format!("#!{}{end}", "x".repeat(length));
    for end in ["\n", " -e\n"] {
        let name = read(long(HEAD - 3, end).as_bytes());
        assert_eq!(name.map(|name| name.len()), Ok(HEAD - 3));
        let reason = read(long(HEAD - 2, end).as_bytes()).unwrap_err();
        assert!(reason.contains("longer path"), "{reason}");
    }
}
