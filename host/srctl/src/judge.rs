//! Asking the policies about extensions, as at boot: in a process of their own,
//! with the same limits.

use std::path::Path;

use policy::compatibility::{self, Judged, NoReview};
use policy::session::Session;
use policy::source::Source;
use policy::{consequence, folder};
use preview::plan::NoPlan;
use switch_root_core::contract::{Extension, HostFacts};
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape::Shown;
use switch_root_core::extensions;
use switch_root_core::outcome::Message;

/// What the policies say.
#[derive(Default)]
pub struct Judgement {
    /// Every extension, in the order in which they were given.
    pub extensions: Vec<Judged>,
    /// What was not as it should be, as sentences.
    pub warnings: Vec<String>,
}

/// Asks the policies of a root directory, and of one more folder. No other thread
/// may run: the judge is forked.
///
/// # Errors
/// Where they cannot be asked at all. A policy that fails is no error: its
/// failure is the reason of a verdict, as at boot.
pub fn ask(
    root: &dyn Source,
    more: Option<&Path>,
    host: &HostFacts,
    asked: &[Extension],
) -> Result<Judgement> {
    if let Some(folder) = more
        && let Err(error) = std::fs::read_dir(folder)
    {
        let path = folder.shown();
        return Err(Error::system(NoPlan::Policies { path }, &error));
    }
    if asked.is_empty() {
        return Ok(Judgement::default());
    }
    let policies = folder::discover_in(root, more);
    let mut session = Session::of_an_image(&policies);
    if let Some(refusal) = consequence::unsigned(&session) {
        let why = |it: &str| format!("the machine would not switch: {it}");
        return Err(Error::input(Message::from(refusal).reworded(why)));
    }
    let file = extensions::render(asked);
    let judged = compatibility::review(&mut session, host, file.as_bytes()).map_err(|reason| {
        let reason = match reason {
            NoReview::File(reason) => reason.said_of("extensions.yaml"),
            NoReview::Judge(reason) => reason.said_of("the judge"),
        };
        let why = |it: &str| format!("the policies cannot be asked about the extensions: {it}");
        Error::new(Kind::System, reason.reworded(why))
    })?;
    session.dismiss();
    // Failures are logged where they happen.
    let mut warnings = Vec::new();
    for (policy, account) in session.policies().iter().zip(session.accounts()) {
        warnings.extend(
            account
                .warnings
                .iter()
                .map(|warning| format!("policy {}: {warning}", policy.name)),
        );
    }
    session.take_dismissed().wait();
    Ok(Judgement {
        extensions: judged,
        warnings,
    })
}
