//! The question which paths survive: the walk of the policies through the
//! initramfs, as far as they want to look.

use std::collections::BTreeMap;
use std::io;

use switch_root_core::contract::{Decision, Entry};
use switch_root_core::failure::{Failure, Kind, Question};
use switch_root_core::file_kind::FileKind;
use switch_root_core::limits::fixed;
use switch_root_core::outcome::Message;
use switch_root_core::path::join;
use switch_root_core::preserved::{self, Carry, Claim, Kept, Survivor};

use crate::answer::check_decisions;
use crate::protocol::{Listing, Reply, Request};
use crate::session::{Death, Session};

switch_root_core::outcomes! {
    /// Why the answers of a policy break the contract: what follows its name.
    pub enum Broken in "policy-run" {
        /// Keep the files, or carry the directory that holds them.
        "SR-R33" Carries { limit: usize } = "more than {limit} `carry` answers; each one is a mount",
    }
}

/// What all policies together said.
#[derive(Clone, Debug, Default)]
pub struct Review {
    /// In the order of the walk, and for one path in the order of the policies.
    pub claims: Vec<Claim>,
    /// Directories that could not be listed, with the error. They survive.
    pub unlisted: Vec<(Vec<u8>, String)>,
    /// Directories that were looked at.
    pub directories: u64,
    /// Entries that were shown to policies.
    pub entries: u64,
}

/// What survives by a review and by what the host keeps: see [`preserved::join`].
pub fn survivors(
    review: &Review,
    kept: &[Kept],
    session: &Session<'_>,
    place: impl FnMut(&[u8], FileKind) -> Result<Carry, Message>,
) -> Vec<Survivor> {
    let name = |policy: usize| session.policies()[policy].name.clone();
    preserved::join(&review.claims, kept, name, place)
}

/// Asks all policies of a session.
///
/// `list` lists one directory of the initramfs, in any order, without
/// following links or crossing mounts. `inits` are the paths of the new root
/// that must not be hidden.
///
/// # Errors
/// That no judge could be started: a sentence for the operator. What a policy
/// does wrong is in the session's accounts.
pub fn review(
    session: &mut Session<'_>,
    list: &mut dyn FnMut(&[u8]) -> io::Result<Vec<Entry>>,
    inits: &[Vec<u8>],
) -> Result<Review, Message> {
    review_watched(session, list, inits, &mut |_, _, _, _| {})
}

/// Is told of each answer that keeps the contract: the policy, as an index into the
/// session's, the directory, its entries, and what was decided for each.
pub type Watch<'a> = dyn FnMut(usize, &[u8], &[Entry], &[Decision]) + 'a;

/// The same, and tells `watch` of all answers. Where the judge has to be started anew,
/// it is told again.
///
/// # Errors
/// See [`review`].
pub fn review_watched(
    session: &mut Session<'_>,
    list: &mut dyn FnMut(&[u8]) -> io::Result<Vec<Entry>>,
    inits: &[Vec<u8>],
    watch: &mut Watch<'_>,
) -> Result<Review, Message> {
    session.ask(Question::Preservation, |session, asked| {
        walk(session, asked, list, inits, watch)
    })
}

/// A directory that was put to policies and not yet answered.
struct Pending {
    directory: Vec<u8>,
    entries: Vec<Entry>,
    asked: Vec<usize>,
}

/// Level by level. All directories of a level are put before the first answer
/// is awaited, so that host and judge work side by side.
fn walk(
    session: &mut Session<'_>,
    asked: &[usize],
    list: &mut dyn FnMut(&[u8]) -> io::Result<Vec<Entry>>,
    inits: &[Vec<u8>],
    watch: &mut Watch<'_>,
) -> Result<Review, (Option<usize>, Death)> {
    let mut review = Review::default();
    let mut carries = vec![0usize; session.policies().len()];
    let mut level: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    if !asked.is_empty() {
        level.insert(b"/".to_vec(), asked.to_vec());
    }
    while !level.is_empty() {
        let mut pending = Vec::with_capacity(level.len());
        for (directory, asked) in std::mem::take(&mut level) {
            let entries = match list(&directory) {
                Ok(mut entries) => {
                    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
                    entries
                }
                Err(error) => {
                    review.unlisted.push((directory, error.to_string()));
                    continue;
                }
            };
            review.directories += 1;
            review.entries += entries.len() as u64;
            let policies = asked.iter().map(|index| session.member(*index)).collect();
            let request = Request::Preservation {
                policies,
                directory: directory.clone(),
                listing: Listing::pack(&entries),
            };
            session.send(&request).map_err(|death| (None, death))?;
            pending.push(Pending {
                directory,
                entries,
                asked,
            });
        }
        for Pending {
            directory,
            entries,
            asked,
        } in pending
        {
            for index in asked {
                let (outcome, cost) =
                    match session.receive(Some(index), answer_limit(entries.len())) {
                        Ok(Reply::Decisions { outcome, cost }) => (outcome, cost),
                        Ok(_) => return Err((Some(index), Death::confused())),
                        Err(death) => return Err((Some(index), death)),
                    };
                session.charge(index, cost);
                if session.has_failed(index, Question::Preservation) {
                    continue;
                }
                let checked = outcome.and_then(|decisions| {
                    check_decisions(&directory, &entries, &decisions, inits)?;
                    carries[index] += decisions
                        .iter()
                        .filter(|d| matches!(d, Decision::Carry(_)))
                        .count();
                    let limit = fixed::CARRIES;
                    if carries[index] > limit {
                        return Err(Failure::new(
                            Question::Preservation,
                            Kind::Answer,
                            Broken::Carries { limit },
                        ));
                    }
                    Ok(decisions)
                });
                match checked {
                    Ok(decisions) => {
                        watch(index, &directory, &entries, &decisions);
                        take(
                            &mut review,
                            &mut level,
                            index,
                            &directory,
                            &entries,
                            decisions,
                        );
                    }
                    Err(failure) => session.fail(index, Question::Preservation, failure),
                }
            }
        }
        for asked in level.values_mut() {
            asked.retain(|index| !session.has_failed(*index, Question::Preservation));
        }
        level.retain(|_, asked| !asked.is_empty());
    }
    review
        .claims
        .retain(|claim| !session.has_failed(claim.policy, Question::Preservation));
    // Of two answers for one place the first policy's counts, and then the walk's.
    review.claims.sort_by_key(|claim| claim.policy);
    Ok(review)
}

/// The most bytes that an answer for a directory takes: a byte or two for each
/// entry, and the paths of all `carry` answers that are allowed. What is larger
/// would fill the host's memory.
fn answer_limit(entries: usize) -> usize {
    (64 << 10) + fixed::CARRIES * (fixed::TARGET_PATH + 16) + 2 * entries
}

fn take(
    review: &mut Review,
    level: &mut BTreeMap<Vec<u8>, Vec<usize>>,
    policy: usize,
    directory: &[u8],
    entries: &[Entry],
    decisions: Vec<Decision>,
) {
    for (entry, decision) in entries.iter().zip(decisions) {
        let target = match decision {
            Decision::Delete => continue,
            Decision::Keep => None,
            Decision::Carry(target) => Some(target),
            Decision::Descend => {
                if !entry.mount_point {
                    level
                        .entry(join(directory, &entry.name))
                        .or_default()
                        .push(policy);
                }
                continue;
            }
        };
        review.claims.push(Claim {
            path: join(directory, &entry.name),
            kind: entry.kind,
            mount_point: entry.mount_point,
            policy,
            target,
        });
    }
}
