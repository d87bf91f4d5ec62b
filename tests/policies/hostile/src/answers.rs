//! The attacks that consist of answers.

use std::sync::atomic::{AtomicU32, Ordering};

use switch_root_policy::{Decision, Entry, Extension, Verdict, path};

use crate::Attack;

const A_MILLION: usize = 1_000_000;

/// How often this instance was asked: the state that a policy must not have.
static CALLS: AtomicU32 = AtomicU32::new(0);

fn is_first_call() -> bool {
    CALLS.fetch_add(1, Ordering::Relaxed) == 0
}

pub(crate) fn decisions(attack: Attack, directory: &[u8], entries: &[Entry]) -> Vec<Decision> {
    let carry_all = |target: &[u8]| vec![Decision::Carry(target.to_vec()); entries.len()];
    let each = |decide: &dyn Fn(&Entry) -> Decision| entries.iter().map(decide).collect();
    let descend_where = |is: fn(&Entry) -> bool| {
        each(&|entry| match is(entry) {
            true => Decision::Descend,
            false => Decision::Delete,
        })
    };
    match attack {
        Attack::TooFew => vec![Decision::Delete; entries.len().saturating_sub(1)],
        Attack::OneMore => vec![Decision::Delete; entries.len() + 1],
        Attack::TooMany => vec![Decision::Delete; A_MILLION],
        Attack::Dotdot => carry_all(b"/etc/../x"),
        Attack::Relative => carry_all(b"etc/x"),
        Attack::NonUtf8Target => carry_all(b"/srv/\xff\xfe"),
        Attack::NulTarget => carry_all(b"/srv/a\0b"),
        Attack::EmptyTarget => carry_all(b""),
        Attack::LongTarget => carry_all(&b"/long".repeat(1000)),
        Attack::CarryInit => carry_all(b"/sbin/init"),
        Attack::CarryProc => carry_all(b"/proc/x"),
        Attack::ManyCarries => each(&|entry| {
            let below_srv = [b"/srv", directory].concat();
            Decision::Carry(path::join(&below_srv, entry.name()))
        }),
        Attack::DescendFile => descend_where(|entry| !entry.is_directory()),
        Attack::KeepEverything => vec![Decision::Keep; entries.len()],
        Attack::DescendEverywhere => descend_where(Entry::is_directory),
        Attack::Stateful if is_first_call() => descend_where(Entry::is_directory),
        Attack::Stateful => vec![Decision::Keep; entries.len()],
        _ => vec![Decision::Delete; entries.len()],
    }
}

pub(crate) fn verdicts(attack: Attack, extensions: &[Extension]) -> Vec<Verdict> {
    let object = || Verdict::Incompatible("this policy objects to everything".into());
    let (verdict, count) = match attack {
        Attack::TooFew => (Verdict::Abstain, extensions.len().saturating_sub(1)),
        Attack::OneMore => (Verdict::Abstain, extensions.len() + 1),
        Attack::TooMany => (Verdict::Abstain, A_MILLION),
        Attack::ApproveAll => (Verdict::Compatible, extensions.len()),
        Attack::ObjectAll => (object(), extensions.len()),
        Attack::Stateful if is_first_call() => (Verdict::Compatible, extensions.len()),
        Attack::Stateful => (object(), extensions.len()),
        _ => (Verdict::Abstain, extensions.len()),
    };
    vec![verdict; count]
}

#[cfg(test)]
mod tests {
    use super::*;
    use switch_root_policy::FileKind;

    #[test]
    fn targets_break_the_rule_that_they_are_named_after() {
        let entries = [Entry::new("a", FileKind::Regular)];
        for (attack, is_legal) in [
            (Attack::Dotdot, false),
            (Attack::Relative, false),
            (Attack::NulTarget, false),
            (Attack::EmptyTarget, false),
            (Attack::LongTarget, false),
            (Attack::NonUtf8Target, true),
            (Attack::ManyCarries, true),
        ] {
            let [Decision::Carry(target)] = &decisions(attack, b"/", &entries)[..] else {
                panic!("{attack:?} carries nothing");
            };
            assert_eq!(path::check(target).is_ok(), is_legal, "{attack:?}");
        }
    }
}
