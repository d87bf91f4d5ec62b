use std::process::{Child, Command, Stdio};

use super::*;
use crate::folder::{Code, embedded};
use crate::protocol::push_frame;

#[test]
fn a_policy_that_failed_before_still_goes_with_the_judge_it_ends() {
    let code = Code {
        wasm: None,
        native: None,
    };
    let policies = [Policy {
        code: Ok(code),
        ..embedded()
    }];
    let mut session = Session::new(&policies);
    let question = Question::Compatibility;
    session.fail(
        0,
        question,
        Failure::new(question, Kind::Trap, outcome::Message::quoted("trapped")),
    );
    assert!(session.accounts[0].can_run());
    assert!(session.fail_all(question, &Worker::Ended.into()));
    // Otherwise the next judge holds it too, and the one after that.
    assert!(!session.fail_all(question, &Worker::Ended.into()));
    assert_eq!(session.accounts[0].failures.len(), 1);
    assert_eq!(session.accounts[0].failures[0].kind, Kind::Crash);
}

/// A shell script in the place of a judge. It gets signals and pipes as a judge does.
struct Impostor {
    // Its process is waited for by the session.
    _child: Child,
    judge: Judge,
}

impl Impostor {
    fn new(script: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests: OwnedFd = child.stdin.take().unwrap().into();
        let replies: OwnedFd = child.stdout.take().unwrap().into();
        for pipe in [&requests, &replies] {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        }
        let pid = Pid::from_raw(child.id().cast_signed());
        let judge = Judge::behind(pid, Instant::now(), requests, replies, vec![0]);
        Self {
            _child: child,
            judge,
        }
    }
}

/// A frame as `printf` of a shell writes it.
fn printed(reply: &Reply) -> String {
    let mut frame = Vec::new();
    push_frame(&mut frame, reply).unwrap();
    let bytes: Vec<String> = frame.iter().map(|byte| format!(r"\{byte:03o}")).collect();
    format!("printf '{}'", bytes.concat())
}

/// What a session says whose judge runs this script before it is ready, and how long that
/// took.
fn said_of(script: &str) -> (String, Duration) {
    let policies = [embedded()];
    let mut session = Session::new(&policies);
    let impostor = Impostor::new(script);
    session.judge = Some(impostor.judge);
    let started = Instant::now();
    let message = session.start().unwrap_err().to_string();
    assert!(session.judge.is_none());
    (message, started.elapsed())
}

#[test]
fn a_judge_that_is_never_ready_is_given_up() {
    let loaded = Reply::Loaded {
        outcome: Ok(Answers::default()),
        loading: Loading::default(),
    };
    let message = Reply::Log {
        level: Level::Error,
        message: "\x1b[2J".into(),
    };
    let flood = |reply: &Reply| format!("while {}; do :; done", printed(reply));
    for (script, expected) in [
        ("exit 3", "ended the judge"),
        ("kill -SEGV $$", "ended the judge by SIGSEGV"),
        ("exec 1>&-; exec sleep 100", "made the judge close its pipe"),
        (
            r"printf '\377\377\377\377'; exec sleep 100",
            "made the judge send a message of 4294967295 bytes; at most 65536 are taken",
        ),
        (
            "exec cat /dev/zero",
            "made the judge send a message that cannot be read",
        ),
        (
            &printed(&loaded),
            "made the judge answer something else than it was asked",
        ),
        (&flood(&message), "flooded the host with messages"),
        (
            &flood(&Reply::Warning(outcome::Message::quoted("w"))),
            "flooded the host with messages",
        ),
        (
            &printed(&Reply::Panic("at\nonce".into())),
            r"made the judge fail: at\nonce",
        ),
        // This takes as long as a judge is given to get ready.
        (
            "exec sleep 100",
            "did not answer within its deadline of 10000 ms",
        ),
    ] {
        let (message, took) = said_of(script);
        assert!(message.starts_with(expected), "{script}: {message}");
        assert!(took < HOUSEKEEPING * 2, "{script}: {took:?}");
    }
}

#[test]
fn a_failure_that_a_judge_tells_of_is_one_line_and_counts() {
    let script = [
        printed(&Reply::Ready(Protections::default())),
        printed(&Reply::Loaded {
            outcome: Err(Failure::load(
                Kind::Crash,
                outcome::Message::quoted("is\nforged"),
            )),
            loading: Loading::default(),
        }),
        "exec sleep 100".into(),
    ];
    let policies = [embedded()];
    let mut session = Session::new(&policies);
    session.judge = Some(Impostor::new(&script.join("; ")).judge);
    assert_eq!(session.start(), Ok(()));
    assert_eq!(session.accounts[0].failures[0].message, r"is\nforged");
    assert!(session.able(Question::Preservation).is_empty());
}
