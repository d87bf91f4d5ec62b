//! Other programs that live in the initramfs while it is switched away from.
//!
//! Mostly there are none. Where there are, they keep their root directory, which
//! pivot_root(2) would change: a script that was left over would go on in the new root, and
//! a program that serves the new root out of the initramfs would wait for itself. Of such a
//! server everything is kept that it is known to use.

mod scan;

use std::collections::BTreeSet;

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use scan::{How, Use};
use switch_root_core::path::is_at_or_below;
use switch_root_core::report::MAX_LISTED;

use crate::mounts::{self, Mount};
use crate::planner::{self, InUse};
use crate::proc::Proc;

switch_root_core::outcomes! {
    /// A sentence about the processes that live on. Others say what becomes of them.
    pub enum Living in "start" {
        /// Followed by what becomes of them.
        "SR-A28" One { named: String } = "1 process of the initramfs lives on: {named}",
        "SR-A29" Some { count: usize, named: String } = "{count} processes of the initramfs live on: {named}",
        /// Followed by the same: `/proc` could not be read. No mount is detached, and the new root's
        /// mount is moved.
        "SR-A30" Unlisted { error: String } = "failed to list the processes of the initramfs: {error}",
    }
}

/// The outcomes of the module of this one, for documents.
pub const TABLES: &[switch_root_core::outcome::Table] =
    &[<scan::Served as switch_root_core::outcome::Outcomes>::TABLE];

/// The processes that live on.
#[derive(Debug, Default)]
pub struct Others {
    /// Those that were found.
    pub processes: Vec<scan::Living>,
    /// Why it is not known which there are.
    pub unknown: Option<String>,
}

impl Others {
    /// What a plan takes of them. `way` says what a path of the initramfs, which is mounted as
    /// `root`, leads over: links, and what is there.
    pub fn facts(
        &self,
        mounts: &[Mount],
        root: &Mount,
        way: impl Fn(&[u8]) -> Vec<Vec<u8>>,
    ) -> planner::Others {
        let listed = self.processes.iter().take(MAX_LISTED);
        let any = !self.processes.is_empty() || self.unknown.is_some();
        planner::Others {
            described: any.then(|| self.describe().into()),
            listed: listed.map(|one| one.process.clone()).collect(),
            more: self.processes.len().saturating_sub(MAX_LISTED) as u64,
            serve: self.serve(),
            mounts: self.mounts(mounts),
            in_use: self.in_use(mounts, root, way),
        }
    }

    /// A sentence about them, as far as it goes for all.
    fn describe(&self) -> Living {
        /// More names would make the sentence unreadable.
        const NAMED: usize = 5;
        if let Some(error) = &self.unknown {
            let error = error.clone();
            return Living::Unlisted { error };
        }
        let count = self.processes.len();
        let first = self.processes.iter().take(NAMED);
        let named: Vec<String> = first
            .map(|one| format!("{} ({})", one.process.pid, one.process.name))
            .collect();
        let more = if count > NAMED { ", ..." } else { "" };
        let named = named.join(", ") + more;
        match count {
            1 => Living::One { named },
            count => Living::Some { count, named },
        }
    }

    /// Whether one of them serves a file system, or may do so.
    fn serve(&self) -> bool {
        self.unknown.is_some() || self.processes.iter().any(|one| one.process.serves)
    }

    /// What the serving ones use of the initramfs, which is mounted as `root`. `way` says what
    /// a path of it leads over: links, and what is there.
    fn in_use(
        &self,
        mounts: &[Mount],
        root: &Mount,
        way: impl Fn(&[u8]) -> Vec<Vec<u8>>,
    ) -> Vec<InUse> {
        let mut found: Vec<InUse> = Vec::new();
        let mut known = BTreeSet::new();
        for one in self.processes.iter().filter(|one| one.process.serves) {
            for Use { path, how } in &one.uses {
                // Every daemon works in /, and names of it mean all and nothing.
                if path == b"/" && !matches!(how, How::HasOpen | How::Matches) {
                    continue;
                }
                let Some(path) = containing(path, mounts)
                    .and_then(|mount| mounts::in_initramfs(mount, path, root))
                else {
                    continue;
                };
                let new = way(&path)
                    .into_iter()
                    .filter(|path| known.insert(path.clone()));
                found.extend(new.map(|path| InUse {
                    path,
                    why: one.why(*how).into(),
                }));
            }
        }
        found
    }

    /// The mounts of the initramfs that they use, by their numbers, with those that these are
    /// mounted on: all, where one of them serves a file system, since nobody can know which
    /// of them it will open.
    fn mounts(&self, mounts: &[Mount]) -> BTreeSet<u64> {
        if self.serve() {
            return mounts.iter().map(|mount| mount.id).collect();
        }
        let mut used = BTreeSet::new();
        let all = self.processes.iter().flat_map(|one| &one.uses);
        for Use { path, .. } in all {
            let mut next = containing(path, mounts);
            while let Some(mount) = next {
                if !used.insert(mount.id) {
                    break;
                }
                next = mounts.iter().find(|other| other.id == mount.parent);
            }
        }
        used
    }
}

/// The uppermost of the mounts that a path leads to.
fn containing<'m>(path: &[u8], mounts: &'m [Mount]) -> Option<&'m Mount> {
    let above = mounts
        .iter()
        .filter(|mount| is_at_or_below(path, &mount.point));
    let deepest = above.max_by_key(|mount| mount.point.len())?;
    mounts::top(mounts, &deepest.point)
}

/// Finds the processes that live on. Costs one system call where process 1, which this
/// process then is, has no children: all others are descendants of it, threads of the
/// kernel, or programs that the kernel has started and waits for.
pub fn find(proc: &Proc) -> Others {
    if std::process::id() == 1 && has_no_children() {
        return Others::default();
    }
    match scan::all(proc) {
        Ok(processes) => Others {
            processes,
            unknown: None,
        },
        Err(error) => Others {
            processes: Vec::new(),
            unknown: Some(error.to_string()),
        },
    }
}

fn has_no_children() -> bool {
    let flags =
        WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT | WaitPidFlag::__WALL;
    waitid(Id::All, flags) == Err(Errno::ECHILD)
}

#[cfg(test)]
mod tests {
    use switch_root_core::plan::Process;

    use super::*;

    const TABLE: &[u8] = b"1 1 0:2 / / rw - rootfs none rw\n\
        2 1 0:5 / /dev rw - devtmpfs none rw\n\
        3 1 0:6 / /branches rw - tmpfs none rw\n\
        4 3 0:7 / /branches/low ro - squashfs none ro\n\
        5 1 0:2 /data /bound rw - rootfs none rw\n\
        6 1 0:8 / /sysroot rw - fuse.x none rw\n\
        7 1 0:9 / /idle rw - tmpfs none rw\n";

    fn process(serves: bool, uses: &[(&str, How)]) -> Others {
        let uses = uses.iter().map(|(path, how)| Use {
            path: path.as_bytes().to_vec(),
            how: *how,
        });
        let process = scan::Living {
            process: Process {
                pid: 7,
                name: b"name"[..].into(),
                executable: None,
                serves,
            },
            uses: uses.collect(),
        };
        Others {
            processes: vec![process],
            unknown: None,
        }
    }

    #[test]
    fn what_a_server_uses_of_the_initramfs_is_in_use() {
        let mounts = mounts::parse(TABLE).unwrap();
        let others = process(
            true,
            &[
                ("/bin/server", How::Executes),
                ("/lib/libc.so", How::Maps),
                ("/", How::WorksIn),
                ("/bound/open", How::HasOpen),
                ("/branches/upper", How::HasOpen),
                ("/dev/fuse", How::HasOpen),
                ("/sysroot", How::Names),
                ("/", How::Names),
                ("/branch", How::Names),
                ("/gone", How::Names),
            ],
        );
        let found = others.in_use(&mounts, &mounts[0], |path| match path {
            b"/gone" => Vec::new(),
            b"/branch" => vec![path.to_vec(), b"/to".to_vec()],
            path => vec![path.to_vec()],
        });
        let paths: Vec<&[u8]> = found.iter().map(|used| used.path.as_slice()).collect();
        assert_eq!(
            paths,
            [
                &b"/bin/server"[..],
                b"/lib/libc.so",
                b"/data/open",
                b"/branch",
                b"/to"
            ]
        );
        assert_eq!(
            found[0].why.text,
            "process 7 (name), which serves a file system, executes it"
        );
        assert_eq!(others.mounts(&mounts).len(), mounts.len());
    }

    #[test]
    fn a_server_that_has_the_root_open_may_use_all_of_it() {
        let mounts = mounts::parse(TABLE).unwrap();
        for how in [How::HasOpen, How::Matches] {
            let others = process(true, &[("/", how)]);
            let found = others.in_use(&mounts, &mounts[0], |path| vec![path.to_vec()]);
            assert_eq!(found[0].path, b"/");
        }
    }

    #[test]
    fn of_others_the_mounts_that_they_use_stay() {
        let mounts = mounts::parse(TABLE).unwrap();
        let uses = [
            ("/branches/low/file", How::HasOpen),
            ("/bin/sh", How::Executes),
        ];
        let others = process(false, &uses);
        assert!(
            others
                .in_use(&mounts, &mounts[0], |path| vec![path.to_vec()])
                .is_empty()
        );
        assert_eq!(others.mounts(&mounts), BTreeSet::from([1, 3, 4]));
    }
}
