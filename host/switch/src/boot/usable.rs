//! Whether a machine can be started from a new root, and whether a layer is to blame
//! where it cannot.

use std::cell::OnceCell;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::OFlags;
use switch_root_core::locations::{MOVED, NEW_ROOT};
use switch_root_core::outcome::Message;
use switch_root_core::parameters::Parameters;
use switch_root_core::resolve::in_root;

use super::mounted::Mounted;
use crate::init;
use crate::mount_calls::open_directory;
use crate::proc::Proc;

switch_root_core::outcomes! {
    /// What a new root lacks with a layer.
    pub enum Lacking in "layers" {
        /// A reason why a layer would keep the machine from starting: there is no directory for
        /// `/dev`, `/proc`, `/sys` or `/run`.
        "SR-L33" Directory { place: &'static str } = "{place} is no directory",
    }
}

/// What a new root has for a start.
struct Examined {
    /// Of the directories that every system has, those that it lacks.
    missing: Vec<&'static str>,
    init: Init,
}

/// Its init: the first candidate that can be executed, or else that may be.
enum Init {
    Fine(String),
    /// With the reason.
    Doubtful(String, Message),
    /// Why there is none.
    None(Message),
}

impl Init {
    /// The higher, the worse.
    fn rank(&self) -> u8 {
        match self {
            Self::Fine(_) => 0,
            Self::Doubtful(..) => 1,
            Self::None(_) => 2,
        }
    }
}

/// Examines new roots for one boot.
pub struct Usable<'a> {
    parameters: &'a Parameters,
    proc: &'a Proc,
    root: &'a Mounted,
    /// What the root image is without any layer, once somebody asked.
    alone: OnceCell<Examined>,
}

impl<'a> Usable<'a> {
    /// Knows nothing yet.
    pub fn new(parameters: &'a Parameters, proc: &'a Proc, root: &'a Mounted) -> Self {
        Self {
            parameters,
            proc,
            root,
            alone: OnceCell::new(),
        }
    }

    /// Whether the new root as it is mounted now is as good as the root image alone. What
    /// that lacks, no layer is to blame for: the checks of every switch find it.
    ///
    /// # Errors
    /// What is worse, as a sentence.
    pub fn is_no_worse(&self) -> Result<(), Message> {
        let now = self.now()?;
        if now.missing.is_empty() && now.init.rank() == 0 {
            return Ok(());
        }
        let alone = self.alone.get_or_init(|| {
            self.examine(
                self.root.directory.as_fd(),
                self.root.path.as_os_str().as_encoded_bytes(),
            )
        });
        let missing = now
            .missing
            .iter()
            .find(|place| !alone.missing.contains(place));
        if let Some(place) = missing {
            Err(Lacking::Directory { place })?;
        }
        let worse = now.init.rank() > alone.init.rank();
        match now.init {
            Init::Doubtful(_, reason) | Init::None(reason) if worse => Err(reason),
            _ => Ok(()),
        }
    }

    /// The path of the init of the new root as it is mounted now: where there is none, that
    /// which the refusal is to be about.
    pub fn init(&self) -> String {
        match self.now().map(|now| now.init) {
            Ok(Init::Fine(path) | Init::Doubtful(path, _)) => path,
            Ok(Init::None(_)) | Err(_) => candidates(self.parameters)[0].to_owned(),
        }
    }

    fn now(&self) -> Result<Examined, Message> {
        let new_root = open_directory(NEW_ROOT, OFlags::RDONLY)
            .map_err(|error| Message::quoted(error.to_string()))?;
        Ok(self.examine(new_root.as_fd(), NEW_ROOT.as_bytes()))
    }

    fn examine(&self, new_root: BorrowedFd<'_>, mounted_at: &[u8]) -> Examined {
        let is_missing = |place: &&str| {
            in_root(new_root, place.as_bytes(), OFlags::PATH | OFlags::DIRECTORY).is_err()
        };
        let place = init::Place {
            new_root,
            mounted_at,
            proc: self.proc,
            unchecked: self.parameters.unchecked_init,
        };
        let each = candidates(self.parameters).into_iter().map(|candidate| {
            let init = match init::check(place, candidate.as_bytes()) {
                Ok(init) => init,
                Err(reason) => return Init::None(reason.into()),
            };
            let doubts = init.warnings.into_iter();
            let doubt = doubts.reduce(|all, one| all.reworded(|all| format!("{all}; {one}")));
            match doubt {
                None => Init::Fine(candidate.to_owned()),
                Some(doubt) => Init::Doubtful(candidate.to_owned(), doubt),
            }
        });
        Examined {
            missing: MOVED.into_iter().filter(is_missing).collect(),
            // The first of the best.
            init: each
                .min_by_key(Init::rank)
                .unwrap_or_else(|| Init::None(Message::quoted(""))),
        }
    }
}

fn candidates(parameters: &Parameters) -> Vec<&str> {
    match &parameters.init {
        Some(init) => vec![init],
        None => init::USUAL.to_vec(),
    }
}
