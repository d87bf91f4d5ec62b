//! The question which extensions are compatible: the verdicts of all policies,
//! and what they come to.

use switch_root_core::contract::{Extension, HostFacts, Outcome, Verdict};
use switch_root_core::extensions::List;
use switch_root_core::failure::Question;
use switch_root_core::limits::fixed;
use switch_root_core::outcome::Message;

use crate::protocol::{Reply, Request};
use crate::session::{Death, Session};
use crate::sidecar::OnFailure;

switch_root_core::outcomes! {
    /// Why an extension is incompatible where no policy says so.
    pub enum Unjudged in "extension-warnings" {
        /// A reason: an extension that a policy could not judge counts as incompatible.
        "SR-E50" Failed { failure: String } = "the policy failed: it {failure}",
    }
}

/// One extension with what was said of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What `extensions.yaml` says.
    pub extension: Extension,
    /// The sum of the verdicts.
    pub outcome: Outcome,
    /// Why it is incompatible: each a policy's name and its words.
    pub reasons: Vec<(String, Message)>,
    /// What each policy said that answered: by its index in the session.
    pub verdicts: Vec<(usize, Verdict)>,
}

/// Why there are no verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoReview {
    /// What is wrong with the file: a sentence without its path.
    File(Message),
    /// There can be no judge to read it.
    Judge(Message),
}

/// Asks all policies of a session about the extensions of an `extensions.yaml`.
///
/// # Errors
/// See [`NoReview`]. What a policy does wrong is in the session's accounts.
pub fn review(
    session: &mut Session<'_>,
    host: &HostFacts,
    extensions_yaml: &[u8],
) -> Result<Vec<Judged>, NoReview> {
    let (list, verdicts) = session
        .ask(Question::Compatibility, |session, asked| {
            put(session, asked, host, extensions_yaml)
        })
        .map_err(NoReview::Judge)?;
    Ok(list
        .map_err(NoReview::File)?
        .extensions
        .into_iter()
        .enumerate()
        .map(|(position, extension)| judge(session, extension, position, &verdicts))
        .collect())
}

/// Reads an `extensions.yaml` in a session that has no policies, and asks nobody.
///
/// # Errors
/// See [`NoReview`].
pub fn read(extensions_yaml: &[u8]) -> Result<List, NoReview> {
    let mut session = Session::new(&[]);
    let host = HostFacts::default();
    let outcome = session.ask(Question::Compatibility, |session, asked| {
        put(session, asked, &host, extensions_yaml)
    });
    session.dismiss();
    session.take_dismissed().wait();
    let (list, _) = outcome.map_err(NoReview::Judge)?;
    list.map_err(NoReview::File)
}

/// The verdicts of one policy, by its index.
type Verdicts = Vec<(usize, Vec<Verdict>)>;
type Answer = (Result<List, Message>, Verdicts);

/// What every reply may take, in bytes.
const FRAME: usize = 64 << 10;
/// What one verdict may take beside its reason, in bytes.
const VERDICT: usize = 64;
/// What a byte of a reason may take once it is escaped.
const ESCAPED: usize = 4;
/// What a byte of the file may take as JSON: of `{a,b}` each key has a value there.
const AS_JSON: usize = 5;

/// The most bytes that the verdicts on `count` extensions take: their reasons, which the
/// judge cuts, and of which a policy hands over no more than its limit for a call. What is
/// larger would fill the host's memory.
fn answer_limit(count: usize, transfer_bytes: usize) -> usize {
    let rest = count.saturating_mul(VERDICT);
    let reasons = count
        .saturating_mul(fixed::ERROR_MESSAGE)
        .min(transfer_bytes.saturating_add(rest))
        .saturating_mul(ESCAPED);
    FRAME.saturating_add(reasons).saturating_add(rest)
}

fn put(
    session: &mut Session<'_>,
    asked: &[usize],
    host: &HostFacts,
    extensions_yaml: &[u8],
) -> Result<Answer, (Option<usize>, Death)> {
    let policies = asked.iter().map(|index| session.member(*index)).collect();
    let request = Request::Compatibility {
        policies,
        host: host.clone(),
        extensions_yaml: extensions_yaml.to_vec(),
    };
    session.send(&request).map_err(|death| (None, death))?;
    let limit = FRAME + AS_JSON * extensions_yaml.len();
    let list = match session.receive(None, limit) {
        Ok(Reply::Extensions(list)) => list,
        Ok(_) => return Err((None, Death::confused())),
        Err(death) => return Err((None, death)),
    };
    let lengths = |list: &List| (list.extensions.len(), list.unknown.layers.len());
    let (count, of_unknown) = list.as_ref().map_or((0, 0), lengths);
    if count > extensions_yaml.len() || of_unknown != count {
        // Each is written down somewhere in the file.
        return Err((None, Death::confused()));
    }
    let mut verdicts = Vec::new();
    if count == 0 {
        return Ok((list, verdicts));
    }
    for &index in asked {
        let transfer = session.policies()[index].sidecar.limits.transfer_bytes;
        match session.receive(Some(index), answer_limit(count, transfer)) {
            Ok(Reply::Verdicts { outcome, cost }) => {
                session.charge(index, cost);
                match outcome {
                    // The judge compares the lengths; a judge that lies does not get past this.
                    Ok(list) if list.len() == count => verdicts.push((index, list)),
                    Ok(_) => return Err((Some(index), Death::confused())),
                    Err(failure) => session.fail(index, Question::Compatibility, failure),
                }
            }
            Ok(_) => return Err((Some(index), Death::confused())),
            Err(death) => return Err((Some(index), death)),
        }
    }
    Ok((list, verdicts))
}

fn judge(
    session: &Session<'_>,
    extension: Extension,
    position: usize,
    verdicts: &Verdicts,
) -> Judged {
    let mut approved = false;
    let mut reasons = Vec::new();
    for (policy, list) in verdicts {
        match &list[position] {
            Verdict::Compatible => approved = true,
            Verdict::Abstain => {}
            Verdict::Incompatible(reason) => {
                // The judge has cut and escaped it; one that lies may not have.
                let limit = fixed::ERROR_MESSAGE * ESCAPED + VERDICT;
                let reason = switch_root_core::escape::message(reason, limit);
                let name = session.policies()[*policy].name.clone();
                reasons.push((name, Message::quoted(reason)));
            }
        }
    }
    for mode in [OnFailure::Safe, OnFailure::Refuse] {
        reasons.extend(
            session
                .failed(Question::Compatibility, mode)
                .map(|(policy, failure)| {
                    let failure = failure.message.clone();
                    (policy.name.clone(), Unjudged::Failed { failure }.into())
                }),
        );
    }
    let outcome = match (reasons.is_empty(), approved) {
        (false, _) => Outcome::Incompatible,
        (true, true) => Outcome::Compatible,
        (true, false) => Outcome::Unjudged,
    };
    Judged {
        extension,
        outcome,
        reasons,
        verdicts: verdicts
            .iter()
            .map(|(policy, list)| (*policy, list[position].clone()))
            .collect(),
    }
}
