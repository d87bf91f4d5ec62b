//! What the judge says, which is as untrusted as the policies that it runs.

use std::io;
use std::sync::Once;

use policy::answer::check_target;
use policy::folder::embedded;
use policy::session::Session;
use policy::{compatibility, fuzzing, preservation};
use switch_root_core::contract::{Entry, HostFacts};
use switch_root_core::file_kind::FileKind;

use crate::{Target, assert_shown};

/// Frames from the judge to the host, and what the host makes of them.
pub const REPLIES: Target = Target::new("replies", replies).with_memory(8);
/// Listings of directories, as they are packed.
pub const LISTING: Target = Target::new("listing", listing);

/// The largest frame that is taken here, in bytes.
const LIMIT: usize = 64 << 10;

/// What the initramfs has.
const PATHS: [&[u8]; 5] = [
    b"/bin",
    b"/etc",
    b"/mnt",
    b"/new\nline\xff",
    b"/etc/hostname",
];

fn replies(data: &[u8]) {
    let Some((&form, rest)) = data.split_first() else {
        return;
    };
    // Most changes of a length make a stream of no more than one frame.
    let stream = stream(form, rest);
    let mut left = stream.as_slice();
    while let Ok(Some((again, taken))) = fuzzing::take_reply(left, LIMIT) {
        let third = fuzzing::take_reply(&again, usize::MAX).expect("what is written is read");
        assert_eq!(third, Some((again.clone(), again.len())));
        left = &left[taken..];
    }
    hear(&stream);
}

/// What the judge says.
fn stream(form: u8, rest: &[u8]) -> Vec<u8> {
    match form % 2 {
        0 => rest.to_vec(),
        _ => framed(rest),
    }
}

/// Puts a length before each part of the input, which begins with a byte that tells it.
fn framed(mut rest: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    while let Some((&length, behind)) = rest.split_first() {
        let (body, others) = behind.split_at(usize::from(length).min(behind.len()));
        stream.extend_from_slice(&(body.len() as u32).to_le_bytes());
        stream.extend_from_slice(body);
        rest = others;
    }
    stream
}

/// Asks two policies of a judge that says these bytes and ends.
fn hear(stream: &[u8]) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a signal that is ignored has no handler that could do harm. A judge
        // that ends must not end its host, and only Rust's own `main` sees to that.
        unsafe {
            nix::sys::signal::signal(
                nix::sys::signal::Signal::SIGPIPE,
                nix::sys::signal::SigHandler::SigIgn,
            )
        }
        .expect("SIGPIPE is ignored");
    });
    fuzzing::set_replies(stream);
    let policies = ["50-one", "60-two"].map(|name| policy::folder::Policy {
        name: name.into(),
        ..embedded()
    });
    let inits = [b"/sbin/init".to_vec()];
    let mut session = Session::new(&policies);
    if let Ok(review) = preservation::review(&mut session, &mut list, &inits) {
        assert!(review.unlisted.is_empty(), "{:?}", review.unlisted);
        for claim in &review.claims {
            assert!(PATHS.contains(&claim.path.as_slice()), "{claim:?}");
            assert!(claim.policy < policies.len());
            if let Some(target) = &claim.target {
                assert!(check_target(target, &inits).is_ok());
            }
        }
    }
    let host = HostFacts {
        os_release: Vec::new(),
        kernel_release: "6.1".into(),
        architecture: "x86_64".into(),
        kernel_command_line: String::new(),
    };
    if let Ok(judged) = compatibility::review(&mut session, &host, b"layers: []\n") {
        for judged in judged {
            assert!(judged.verdicts.len() <= policies.len());
            judged
                .reasons
                .iter()
                .for_each(|(_, why)| assert_shown(&why.text));
        }
    }
    for account in session.accounts() {
        // At most one for each question, and that it cannot be loaded.
        assert!(account.failures.len() <= 3, "{:?}", account.failures);
        let failures = account.failures.iter().map(|failure| &failure.message);
        let warnings = account.warnings.iter().map(|warning| &warning.text);
        failures.chain(warnings).for_each(|text| {
            assert_shown(text);
            assert!(text.len() < LIMIT, "a message of {} bytes", text.len());
        });
    }
}

/// Lists the initramfs. What the host was not shown as a directory it must not ask for.
fn list(directory: &[u8]) -> io::Result<Vec<Entry>> {
    let entry = |name: &[u8], kind| Entry {
        name: name.to_vec(),
        kind,
        size: 1,
        mode: 0o755,
        mount_point: name == b"mnt",
    };
    Ok(match directory {
        b"/" => vec![
            entry(b"bin", FileKind::Regular),
            entry(b"etc", FileKind::Directory),
            entry(b"mnt", FileKind::Directory),
            entry(b"new\nline\xff", FileKind::Symlink),
        ],
        b"/etc" => vec![entry(b"hostname", FileKind::Regular)],
        other => panic!("{} was listed", switch_root_core::escape::path(other)),
    })
}

fn listing(data: &[u8]) {
    let Some(entries) = fuzzing::unpack(data) else {
        return;
    };
    // Each is at least five bytes long as it is packed.
    assert!(entries.len() <= data.len() / 5);
    let names: usize = entries.iter().map(|entry| entry.name.len()).sum();
    assert!(names <= data.len());
    assert!(entries.iter().all(|entry| entry.name.len() <= 255));
    assert_eq!(fuzzing::pack_and_unpack(&entries), entries);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the encoding of a reply changes, nothing behind it would be tried.
    #[test]
    fn seeds_are_replies_to_their_end() {
        let seeds = [
            include_bytes!("../../corpus/replies/carries").as_slice(),
            include_bytes!("../../corpus/replies/descend-mount"),
            include_bytes!("../../corpus/replies/log-warning-panic"),
            include_bytes!("../../corpus/replies/whole-session"),
            include_bytes!("../../corpus/replies/whole-session-raw"),
        ];
        for seed in seeds {
            let stream = stream(seed[0], &seed[1..]);
            let mut left = stream.as_slice();
            while let Some((_, taken)) = fuzzing::take_reply(left, LIMIT).unwrap() {
                left = &left[taken..];
            }
            assert!(left.is_empty(), "what is left: {left:?}");
        }
    }
}
