//! Who said what about one path.

use std::collections::HashMap;

use initramfs::tree::{Id, Tree};
use policy::session::Session;
use serde::Serialize;
use switch_root_core::contract::{Decision, Entry};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::failure::Question;
use switch_root_core::path::{self, Path};
use switch_root_core::preserved::Survivor;

use super::branch::Fate;

switch_root_core::outcomes! {
    /// Why a path is not explained.
    pub(crate) enum NotExplained in "plans" {
        /// Programs of the boot make files as well: those are explained as what they will be.
        "SR-J51" Missing { path: String, above: String } = "{path} is not in the image; what there is of it is {above}; of what a program makes there during the boot say what it is: --as file,size=70000",
    }
}

/// What was said of a path, and what becomes of it.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The path, without links on the way to it.
    pub path: Path,
    /// What it was asked for as, where a link is on the way.
    pub asked_for: Option<Path>,
    /// It is not in the image: this is what would become of it where a boot makes it.
    pub supposed: bool,
    /// What it is.
    pub kind: &'static str,
    /// Bytes of all files at and below it.
    pub bytes: u64,
    /// How many files there are at and below it.
    pub files: u64,
    /// What becomes of it.
    pub fate: Fate,
    /// By whose word.
    pub by: Vec<String>,
    /// Where it is bound in the new root.
    pub to: Option<Path>,
    /// Why everything stays, where it does: the switch would be refused, or nothing is
    /// deleted.
    pub stays: Option<String>,
    /// What the host adds.
    pub note: Option<String>,
    /// What each policy said.
    pub policies: Vec<Said>,
}

/// What one policy said.
#[derive(Clone, Debug, Serialize)]
pub struct Said {
    /// Its name.
    pub policy: String,
    /// Whether it answers which paths survive.
    pub asked: bool,
    /// How it failed in that.
    pub failure: Option<String>,
    /// From the root on: for each directory above the path, the next one's entry in it.
    pub steps: Vec<Step>,
}

/// What was said of one entry.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The entry.
    pub path: Path,
    /// What was decided; nothing where the policy was not asked about its directory.
    pub decision: Option<&'static str>,
    /// Where it is to be bound.
    pub to: Option<Path>,
}

/// Listens to the answers.
pub struct Watch<'a> {
    tree: &'a Tree,
    asked_for: Vec<u8>,
    real: Vec<u8>,
    id: Id,
    /// By directory: the entry of it that is on the way.
    way: HashMap<Vec<u8>, Vec<u8>>,
    answers: HashMap<(usize, Vec<u8>), Decision>,
}

impl<'a> Watch<'a> {
    /// For a path.
    ///
    /// # Errors
    /// It is not there; how much of it is, is said.
    pub fn new(tree: &'a Tree, path: &[u8]) -> Result<Self> {
        let absolute = match path.starts_with(b"/") {
            true => path.to_vec(),
            false => path::join(b"/", path),
        };
        let Some((id, real)) = tree.at(&absolute) else {
            return Err(Error::input(not_there(tree, &absolute)));
        };
        let mut way = HashMap::new();
        let mut directory = b"/".to_vec();
        for name in real
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            let next = path::join(&directory, name);
            way.insert(directory, name.to_vec());
            directory = next;
        }
        Ok(Self {
            tree,
            asked_for: absolute,
            real,
            id,
            way,
            answers: HashMap::new(),
        })
    }

    /// The path without links.
    pub fn real(&self) -> &[u8] {
        &self.real
    }

    /// Hears an answer.
    pub fn answer(
        &mut self,
        policy: usize,
        directory: &[u8],
        entries: &[Entry],
        decisions: &[Decision],
    ) {
        let Some(name) = self.way.get(directory) else {
            return;
        };
        if let Some(position) = entries.iter().position(|entry| entry.name == *name) {
            let key = (policy, directory.to_vec());
            self.answers.insert(key, decisions[position].clone());
        }
    }

    /// Tells what was said.
    pub fn explain(
        self,
        session: &Session<'_>,
        (fate, by, to): (Fate, Vec<String>, Option<Path>),
        survivors: &[Survivor],
        stays: Option<String>,
        supposed: bool,
    ) -> Explanation {
        let sum = self.tree.sum(self.id);
        let note = survivors
            .iter()
            .find(|survivor| survivor.path.0 == self.real)
            .and_then(|survivor| survivor.note.clone());
        let policies = session
            .policies()
            .iter()
            .zip(session.accounts())
            .enumerate()
            .map(|(index, (policy, account))| Said {
                policy: policy.name.clone(),
                asked: account.answers.preservation,
                failure: account
                    .failure(Question::Preservation)
                    .map(|failure| failure.message.clone()),
                steps: self.steps(index),
            })
            .collect();
        Explanation {
            asked_for: (self.asked_for != self.real).then(|| self.asked_for.clone().into()),
            path: self.real.into(),
            supposed,
            kind: self.tree.node(self.id).kind.word(),
            bytes: sum.bytes,
            files: sum.files,
            fate,
            by,
            to,
            stays,
            note,
            policies,
        }
    }

    fn steps(&self, policy: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut directory = b"/".to_vec();
        while let Some(name) = self.way.get(&directory) {
            let path = path::join(&directory, name);
            let decision = self.answers.get(&(policy, directory));
            steps.push(Step {
                path: path.as_slice().into(),
                decision: decision.map(word),
                to: match decision {
                    Some(Decision::Carry(target)) => Some(target.as_slice().into()),
                    _ => None,
                },
            });
            directory = path;
        }
        steps
    }
}

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Delete => "delete",
        Decision::Keep => "keep",
        Decision::Carry(_) => "carry",
        Decision::Descend => "descend",
    }
}

/// That a path is not in the image.
fn not_there(tree: &Tree, path: &[u8]) -> NotExplained {
    let mut end = path.len();
    loop {
        let cut = path[..end]
            .iter()
            .rposition(|byte| *byte == b'/')
            .unwrap_or(0);
        let above = &path[..cut.max(1)];
        if cut == 0 || tree.resolve(above).is_some() {
            return NotExplained::Missing {
                path: escape::path(path),
                above: escape::path(above),
            };
        }
        end = cut;
    }
}
