//! Plays a scene once whole, and then many times with a fault.

use std::sync::Mutex;

use switch_root_tests::fault::{Call, Fault, Happens, Watch};
use switch_root_tests::outcome::Outcome;
use switch_root_tests::scene::Scene;

use crate::check::said;
use crate::tools::{Stop, play};

/// How often a play is begun anew that did not come to the same call.
const ATTEMPTS: usize = 3;

/// Calls by which a switch changes mounts or files.
const CHANGES: [&str; 9] = [
    "chroot",
    "mkdirat",
    "mount",
    "move_mount",
    "pivot_root",
    "renameat",
    "umount2",
    "unlinkat",
    "rename",
];

/// The run in which nothing fails.
pub struct Whole {
    scene: Scene,
    /// What it came to, with all calls.
    pub outcome: Outcome,
    /// The place of the call that is the first to change something.
    first_change: usize,
    /// The place of the program's own first call.
    begin: usize,
}

impl Whole {
    /// Plays it, twice: both must make the same calls.
    pub fn record(scene: Scene) -> Result<Self, Stop> {
        let watched = scene.clone().watch(Watch::Record);
        let outcome = play(&watched)?;
        let again = play(&watched)?;
        for (first, second) in outcome.calls.iter().zip(&again.calls) {
            if (first.process, first.number) != (second.process, second.number)
                || !first.is_same(second)
            {
                return Err(format!("two runs differ: {first:?}, {second:?}").into());
            }
        }
        if outcome.testimony.is_none() {
            return Err(format!("init was not started\n{}", said(&outcome)).into());
        }
        let changes = |call: &&Call| {
            call.process == 0
                && CHANGES.contains(&call.name.as_str())
                && (call.name != "mkdirat" || call.argument.starts_with("</sysroot"))
                && call.result.is_some_and(|result| result >= 0)
        };
        let first_change = outcome.calls.iter().position(|call| changes(&call));
        let begin = outcome.calls.iter().position(|call| call.name == "open");
        match (first_change, begin) {
            (Some(first_change), Some(begin)) => Ok(Self {
                scene,
                outcome,
                first_change,
                begin,
            }),
            _ => Err(format!("nothing was changed\n{}", said(&outcome)).into()),
        }
    }

    /// `before` or `after`: whether something has been changed when the call is made. The
    /// first that changes something counts as after, since nothing may refuse from then
    /// on.
    pub fn phase(&self, place: usize) -> &'static str {
        match place < self.first_change {
            true => "before",
            false => "after",
        }
    }

    /// Whether the subject itself makes the call, once something has been changed.
    pub fn is_host_after(&self, place: usize) -> bool {
        self.outcome.calls[place].process == 0 && place >= self.first_change
    }

    /// Whether it is made by code that both builds have and both strategies use.
    pub fn is_shared(&self, place: usize) -> bool {
        self.outcome.calls[place].process != 1 && !self.is_host_after(place)
    }

    /// Whether the call is made before the program's own beginning, by the C library.
    pub fn is_start(&self, place: usize) -> bool {
        place < self.begin
    }

    /// Places that fulfil a condition.
    pub fn places(&self, wanted: impl Fn(usize) -> bool) -> impl Iterator<Item = usize> {
        (0..self.outcome.calls.len()).filter(move |place| wanted(*place))
    }

    /// Plays it with a fault at the call of this place.
    fn with_fault(&self, place: usize, happens: Happens) -> Result<Outcome, Stop> {
        let call = &self.outcome.calls[place];
        let fault = Fault {
            process: call.process,
            number: call.number,
            happens,
        };
        let scene = self.scene.clone().watch(Watch::Fault(fault));
        let mut met = None;
        for _ in 0..ATTEMPTS {
            let outcome = play(&scene)?;
            let there = outcome
                .calls
                .iter()
                .find(|other| (other.process, other.number) == (call.process, call.number));
            if there.is_some_and(|there| there.is_same(call)) {
                return Ok(outcome);
            }
            met = there.cloned();
        }
        Err(format!("in place of {call:?} there is {met:?}").into())
    }
}

/// Plays it with each of these faults, as many at once as there are processors. Gives the
/// outcomes in the same order.
pub fn play_all<T: Clone + Send + Sync>(
    whole: &Whole,
    faults: Vec<T>,
    happens: impl Fn(&T) -> (usize, Happens) + Sync,
) -> Result<Vec<(T, Outcome)>, Stop> {
    let next = Mutex::new(0..faults.len());
    let played = Mutex::new(Vec::new());
    let work = || {
        loop {
            let index = next.lock().ok()?.next()?;
            let (place, happens) = happens(&faults[index]);
            let outcome = whole.with_fault(place, happens);
            played.lock().ok()?.push((index, outcome));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| -> Option<()> { work() });
        }
    });
    let mut played = played.into_inner().map_err(|error| error.to_string())?;
    played.sort_by_key(|(index, _)| *index);
    let outcomes = faults.iter().zip(played);
    outcomes
        .map(|(fault, (_, outcome))| Ok((fault.clone(), outcome?)))
        .collect()
}
