//! The judge itself attacks: as if a policy had broken out of its sandbox and had the whole
//! process that it runs in.
//!
//! Nobody has to break out for that. Native code (`.cwasm`) is trusted: so a policy is
//! compiled ahead of time, and one of its functions is written over with machine code that
//! writes what it likes to the host, and then ends the process in some way, or not at all.

use serde_json::json;

use super::attack::{Attack, Expected, Question};
use super::component;
use super::rogue::{self, Ending, Rogue};
use super::wire::{self, frame};
use crate::srctl::Desk;
use crate::tools::Stop;

/// What the judge writes, how often, and how it ends.
type Deed = (String, Rogue, Vec<(&'static str, &'static str)>);

const LATE: (&str, &str) = ("deadline", "did not answer within its deadline of 300 ms");
const CONFUSED: (&str, &str) = (
    "crash",
    "made the judge answer something else than it was asked",
);
const UNREADABLE: (&str, &str) = ("crash", "made the judge send a message that cannot be read");
const FLOOD: (&str, &str) = ("limit", "flooded the host with messages");

/// Every signal that ends a process, and what is said of the judge that it ended.
const SIGNALS: [(i32, &str); 24] = [
    (libc::SIGHUP, "ended the judge by SIGHUP"),
    (libc::SIGINT, "ended the judge by SIGINT"),
    (libc::SIGQUIT, "ended the judge by SIGQUIT"),
    (libc::SIGILL, "ended the judge by SIGILL"),
    (libc::SIGTRAP, "ended the judge by SIGTRAP"),
    (
        libc::SIGABRT,
        "ended the judge by SIGABRT: it ran out of memory, or met a defect",
    ),
    (libc::SIGBUS, "ended the judge by SIGBUS"),
    (libc::SIGFPE, "ended the judge by SIGFPE"),
    (
        libc::SIGKILL,
        "ended the judge by SIGKILL: the machine may have run out of memory",
    ),
    (libc::SIGUSR1, "ended the judge by SIGUSR1"),
    (libc::SIGSEGV, "ended the judge by SIGSEGV"),
    (libc::SIGUSR2, "ended the judge by SIGUSR2"),
    (libc::SIGALRM, "ended the judge by SIGALRM"),
    (libc::SIGTERM, "ended the judge by SIGTERM"),
    (libc::SIGSTKFLT, "ended the judge by SIGSTKFLT"),
    (libc::SIGXCPU, "ended the judge by SIGXCPU"),
    (libc::SIGXFSZ, "ended the judge by SIGXFSZ"),
    (libc::SIGVTALRM, "ended the judge by SIGVTALRM"),
    (libc::SIGPROF, "ended the judge by SIGPROF"),
    (libc::SIGIO, "ended the judge by SIGIO"),
    (libc::SIGPWR, "ended the judge by SIGPWR"),
    (
        libc::SIGSYS,
        "ended the judge by SIGSYS: it tried a system call that the judge may not make",
    ),
    // One that stops it, and one that the judge ignores as its host does.
    (libc::SIGSTOP, LATE.1),
    (libc::SIGPIPE, LATE.1),
];

fn silent(ending: Ending) -> Rogue {
    Rogue {
        writes: Vec::new(),
        ending,
    }
}

/// It says this once, and nothing more.
fn says(bytes: Vec<u8>) -> Rogue {
    says_all(vec![(1, bytes)])
}

fn without_end(bytes: Vec<u8>) -> Rogue {
    says_all(vec![(u64::MAX, bytes)])
}

fn says_all(writes: Vec<(u64, Vec<u8>)>) -> Rogue {
    Rogue {
        writes,
        ending: Ending::Hang,
    }
}

fn ends() -> Vec<Deed> {
    let signals = SIGNALS.map(|(signal, words)| {
        let kind = match words == LATE.1 {
            true => LATE.0,
            false => "crash",
        };
        (
            format!("sends itself signal {signal}"),
            silent(Ending::Signal(signal)),
            vec![(kind, words)],
        )
    });
    let mut ends: Vec<Deed> = signals.into();
    ends.extend([
        ("hangs".into(), silent(Ending::Hang), vec![LATE]),
        (
            "hangs in the middle of a frame".into(),
            says(frame(&wire::warning("half"))[..7].to_vec()),
            vec![LATE],
        ),
        (
            "hangs in the length of a frame".into(),
            says(vec![9, 0]),
            vec![LATE],
        ),
        (
            "exits as if all were well".into(),
            silent(Ending::Exit),
            vec![("crash", "ended the judge")],
        ),
        (
            "closes its pipes and goes on".into(),
            silent(Ending::Close),
            vec![("crash", "made the judge close its pipe")],
        ),
        (
            "makes a system call that the judge may not make".into(),
            silent(Ending::Forbidden),
            vec![(
                "crash",
                "ended the judge by SIGSYS: it tried a system call that the judge may not make",
            )],
        ),
        (
            "sends a signal to others of its user".into(),
            silent(Ending::Others),
            vec![(
                "crash",
                "ended the judge by SIGSYS: it tried a system call that the judge may not make",
            )],
        ),
    ]);
    ends
}

fn words() -> Vec<Deed> {
    vec![
        (
            "sends garbage".into(),
            without_end(vec![0xa5; 64]),
            vec![("crash", "made the judge send a message of 2779096485 bytes")],
        ),
        (
            "announces 4 GB".into(),
            without_end(vec![0xff; 64]),
            vec![("crash", "made the judge send a message of 4294967295 bytes")],
        ),
        (
            "sends a frame of nothing".into(),
            says(frame(&[])),
            vec![UNREADABLE],
        ),
        (
            "sends a word that there is not".into(),
            says(frame(&[99, 1, 2, 3])),
            vec![UNREADABLE],
        ),
        (
            "sends a text that is none".into(),
            says(frame(&[wire::WARNING, wire::NO_CODE, 2, 0xff, 0xfe])),
            vec![UNREADABLE],
        ),
        (
            "sends a list of 2^32-1 decisions in ten bytes".into(),
            says(frame(&[wire::DECISIONS, 0, 0xff, 0xff, 0xff, 0xff, 0x0f])),
            vec![UNREADABLE],
        ),
        (
            "sends more than a frame is long".into(),
            says(frame(&[&wire::warning("w")[..], &[0]].concat())),
            vec![(
                "crash",
                "made the judge send a message with bytes left over",
            )],
        ),
        (
            "says that it is ready once more".into(),
            says(frame(&wire::ready())),
            vec![CONFUSED],
        ),
        (
            "says that a policy is loaded once more".into(),
            says(frame(&wire::loaded())),
            vec![CONFUSED],
        ),
        (
            "answers another question".into(),
            says(frame(&wire::verdicts(1))),
            vec![CONFUSED],
        ),
        (
            "tells of extensions when nobody asked".into(),
            says(frame(&wire::no_extensions())),
            vec![CONFUSED],
        ),
        (
            "breaks down with escape sequences".into(),
            says(frame(&wire::panic("\x1b[2J\nswitch_root: all is well"))),
            vec![(
                "crash",
                r"made the judge fail: \x1b[2J\nswitch_root: all is well",
            )],
        ),
        (
            "logs without end".into(),
            without_end(frame(&wire::log("\x1b[2J and so on"))),
            vec![FLOOD, LATE],
        ),
        (
            "warns without end".into(),
            without_end(frame(&wire::warning("and so on"))),
            vec![FLOOD, LATE],
        ),
    ]
}

/// What it says when it is asked about one extension.
fn verdicts() -> Vec<Deed> {
    vec![
        (
            "has no verdict".into(),
            says(frame(&wire::verdicts(0))),
            vec![CONFUSED],
        ),
        (
            "has a hundred verdicts".into(),
            says(frame(&wire::verdicts(100))),
            vec![CONFUSED],
        ),
        (
            "decides in place of judging".into(),
            says(frame(&wire::decisions(&[]))),
            vec![CONFUSED],
        ),
        (
            "tells of the extensions once more".into(),
            says(frame(&wire::no_extensions())),
            vec![CONFUSED],
        ),
        (
            "judges with 100 MB".into(),
            says_all(vec![
                (1, 100_000_000u32.to_le_bytes().to_vec()),
                (u64::MAX, vec![0; 64]),
            ]),
            vec![("crash", "made the judge send a message of 100000000 bytes")],
        ),
    ]
}

/// Answers that are well formed, behind which nothing comes.
fn answers() -> Vec<Deed> {
    vec![
        (
            "decides on 60000 entries".into(),
            says_all(vec![
                (1, 60_009u32.to_le_bytes().to_vec()),
                (1, vec![wire::DECISIONS, 0, 0xe0, 0xd4, 3]),
                (60, wire::DELETE.repeat(1000)),
                (1, wire::COST.to_vec()),
            ]),
            vec![("answer", "60000 decisions for the ")],
        ),
        (
            "decides on nothing".into(),
            says(frame(&wire::decisions(&[]))),
            vec![("answer", "0 decisions for the ")],
        ),
        (
            "decides on one entry".into(),
            says(frame(&wire::decisions(&wire::DELETE))),
            vec![("answer", "1 decisions for the ")],
        ),
        (
            "fails with a signature, escape sequences and new lines".into(),
            says(frame(&wire::failed(
                wire::SIGNATURE,
                "\x1b[2J\nswitch_root: all is well",
            ))),
            vec![("signature", r"\x1b[2J\nswitch_root: all is well")],
        ),
    ]
}

/// Puts each deed into a policy that is asked this.
fn possessed(question: Question, deeds: Vec<Deed>) -> Result<Vec<Attack>, Stop> {
    let place = match question {
        Question::Load => "start",
        Question::Preservation => "preservation",
        Question::Compatibility => "compatibility",
    };
    let wasm = component::with(&[(place, &rogue::room())])?;
    let native = compiled(&wasm)?;
    let attacks = deeds.into_iter().map(|(does, rogue, ways)| {
        let expected = Expected::Fails(question, ways);
        let attack = Attack::new(does, wasm.clone(), expected)
            .limits(json!({"deadline_ms": 300}))
            .native(rogue.put_into(&native)?);
        Ok(attack)
    });
    attacks.collect()
}

/// Native code of a component, for this machine.
pub fn compiled(wasm: &[u8]) -> Result<Vec<u8>, Stop> {
    let desk = Desk::new()?;
    desk.write("policy.wasm", wasm)?;
    let arch = std::env::consts::ARCH;
    desk.succeeds(&format!("policy compile policy.wasm --arch {arch}"))?;
    desk.read("policy.cwasm")
}

/// A judge that ends, or does not.
pub fn that_ends() -> Result<Vec<Attack>, Stop> {
    possessed(Question::Preservation, ends())
}

/// A judge that says what it should not.
pub fn that_lies() -> Result<Vec<Attack>, Stop> {
    let mut attacks = possessed(Question::Preservation, words())?;
    attacks.extend(possessed(Question::Compatibility, verdicts())?);
    Ok(attacks)
}

/// A judge that answers for the policy which has it, and then hangs: the host takes it that
/// the next policy does.
pub fn that_answers() -> Result<Vec<Attack>, Stop> {
    possessed(Question::Preservation, answers())
}

/// A judge that answers for all policies before they are asked, and then hangs. None can be
/// told to be why.
pub fn that_is_ahead() -> Result<Vec<Attack>, Stop> {
    let loaded = [frame(&wire::loaded()), frame(&wire::loaded())].concat();
    let loads = vec![(
        "says that all policies are loaded".into(),
        says(loaded),
        vec![LATE],
    )];
    // As many extensions as a frame holds, each without a word, and verdicts without end.
    let extensions = 8000u32;
    let nothing = frame(&wire::decisions(&[]));
    let many = says_all(vec![
        (2, nothing),
        (1, (extensions * 8 + 6).to_le_bytes().to_vec()),
        (1, vec![wire::EXTENSIONS, 0, 0xc0, 0x3e]),
        (u64::from(extensions), vec![0; 8]),
        (1, vec![0, 0]),
        (1, 33_000_000u32.to_le_bytes().to_vec()),
        (1, vec![wire::VERDICTS, 0, 0xc0, 0x3e]),
        (u64::MAX, vec![2; 800]),
    ]);
    let mut attacks = possessed(Question::Load, loads)?;
    let deeds = vec![("tells of 8000 extensions".into(), many, vec![CONFUSED])];
    attacks.extend(possessed(Question::Preservation, deeds)?);
    Ok(attacks)
}
