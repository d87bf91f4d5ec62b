//! The explanation of one path for people.

use preview::plan::{Explanation, Fate, Said};
use switch_root_core::text::{bytes, count};

/// Who said what.
pub fn text(explanation: &Explanation) -> String {
    let path = &explanation.path;
    let mut text = format!("{path}: a {}", explanation.kind);
    if explanation.kind == "directory" {
        text.push_str(&format!(
            " with {}",
            count(explanation.files, "file", "files")
        ));
    }
    text.push_str(&format!(", {}\n", bytes(explanation.bytes)));
    if explanation.supposed {
        text.push_str(
            "  it is not in the image: this is as if a program made it during the boot\n",
        );
    }
    if let Some(asked_for) = &explanation.asked_for {
        text.push_str(&format!("  that is where {asked_for} leads\n"));
    }
    text.push_str(&format!("  {}\n", fate(explanation)));
    if let Some(stays) = &explanation.stays {
        text.push_str(&format!("  {stays}\n"));
    }
    if let Some(note) = &explanation.note {
        text.push_str(&format!("  the host adds: {note}\n"));
    }
    for said in &explanation.policies {
        text.push_str(&format!("\n{}\n", said.policy));
        text.push_str(&words(said));
    }
    text
}

fn fate(explanation: &Explanation) -> String {
    let by = explanation.by.join(", ");
    match (explanation.fate, &explanation.to) {
        (Fate::Carry, Some(to)) => {
            format!("survives, and is bound read-only at {to} of the new root, by {by}")
        }
        (Fate::Carry, None) => {
            format!("survives, and is bound with a directory above it, by {by}")
        }
        (Fate::Keep, _) => format!("survives, by {by}"),
        (Fate::Part, _) => "survives for the sake of some of what is in it".into(),
        (Fate::Delete, _) => "is deleted: no policy keeps it".into(),
    }
}

fn words(said: &Said) -> String {
    if let Some(failure) = &said.failure {
        return format!("  failed: it {failure}\n");
    }
    if !said.asked {
        return "  does not answer which paths survive\n".into();
    }
    let width = said
        .steps
        .iter()
        .map(|step| step.path.to_string().chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for step in &said.steps {
        let path = step.path.to_string();
        let answer = match (step.decision, &step.to) {
            (Some(decision), Some(to)) => format!("{decision} to {to}"),
            (Some(decision), None) => decision.to_owned(),
            (None, _) => "not asked".into(),
        };
        text.push_str(&format!("  {path:<width$}  {answer}\n"));
    }
    text
}
