//! How long tests take, so that it is seen which ones to look at when all take too long.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::tools::{Checked, completion};

/// How many of the slowest are shown.
const SLOWEST: usize = 15;

/// What ran: names and durations.
static RAN: Mutex<Vec<(String, Duration)>> = Mutex::new(Vec::new());

/// A trial whose duration is noted.
pub fn timed(name: String, case: impl FnOnce() -> Checked + Send + 'static) -> Trial {
    Trial::ignorable_test(name.clone(), move || {
        let begun = Instant::now();
        let checked = case();
        RAN.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name, begun.elapsed()));
        completion(checked)
    })
}

/// Prints which tests took longest, and which themes, where more ran than are shown.
pub fn print() {
    let ran = std::mem::take(&mut *RAN.lock().unwrap_or_else(PoisonError::into_inner));
    if ran.len() <= SLOWEST {
        return;
    }
    let mut themes: Vec<(String, Duration)> = Vec::new();
    for (name, took) in &ran {
        let theme = name.split("::").next().unwrap_or(name);
        match themes.iter_mut().find(|(known, _)| known == theme) {
            Some((_, sum)) => *sum += *took,
            None => themes.push((theme.to_owned(), *took)),
        }
    }
    for (what, list) in [
        ("tests", ran),
        ("themes, each the sum of its tests", themes),
    ] {
        println!("the slowest {what}:");
        for (name, took) in slowest(list) {
            println!("{:>8.1} s  {name}", took.as_secs_f64());
        }
    }
}

fn slowest(mut list: Vec<(String, Duration)>) -> Vec<(String, Duration)> {
    list.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
    list.truncate(SLOWEST);
    list
}
