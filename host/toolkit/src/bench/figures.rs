//! Figures out of single measurements.

use policy::session::Cost;
use serde::Serialize;
use switch_root_core::limits::Limits;

/// What something took, over all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Entries of the directory, or extensions; of all directories together; 0 for loading.
    pub entries: usize,
    /// Microseconds at least.
    pub min_us: u64,
    /// Microseconds in the middle.
    pub median_us: u64,
    /// Microseconds at most.
    pub max_us: u64,
    /// Fuel, at most. The first call of an instance may take more than the next.
    pub fuel: u64,
    /// The same for each entry; absent where there are none.
    pub fuel_per_entry: Option<f64>,
    /// Bytes of the largest linear memory, at most.
    pub memory_bytes: u64,
}

/// Measurements of the same thing.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    times: Vec<u64>,
    largest: Cost,
    entries: usize,
}

impl Gathered {
    /// Adds one.
    pub fn add(&mut self, cost: Cost, entries: usize) {
        self.times.push(cost.time_us);
        self.largest.fuel = self.largest.fuel.max(cost.fuel);
        self.largest.memory_bytes = self.largest.memory_bytes.max(cost.memory_bytes);
        self.entries = self.entries.max(entries);
    }

    /// What they come to; nothing where there is none.
    pub fn figures(mut self) -> Option<Figures> {
        self.times.sort_unstable();
        let fuel = self.largest.fuel;
        Some(Figures {
            entries: self.entries,
            min_us: *self.times.first()?,
            median_us: self.times[self.times.len() / 2],
            max_us: *self.times.last()?,
            fuel,
            fuel_per_entry: (self.entries > 0).then(|| fuel as f64 / self.entries as f64),
            memory_bytes: self.largest.memory_bytes,
        })
    }
}

/// How near a policy came to one of its limits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The name of the limit in a sidecar.
    pub limit: &'static str,
    /// What was used of it at most, in one call.
    pub used: u64,
    /// What was allowed in that call.
    pub allowed: u64,
    /// The one out of the other.
    pub percent: f64,
}

/// The nearest that it came to each limit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nearest {
    /// Used and allowed, of the call that came nearest.
    fuel: (u64, u64),
    memory: u64,
    table: u64,
    time_us: u64,
    total_us: u64,
}

impl Nearest {
    /// What loading took.
    pub fn loading(&mut self, cost: &Cost, limits: &Limits) {
        self.add(cost, 0, limits);
    }

    /// What one question about so many entries or extensions took.
    pub fn add(&mut self, cost: &Cost, entries: usize, limits: &Limits) {
        let allowed = limits
            .fuel
            .saturating_add(limits.fuel_per_item.saturating_mul(entries as u64));
        if percent(cost.fuel, allowed) >= percent(self.fuel.0, self.fuel.1) {
            self.fuel = (cost.fuel, allowed);
        }
        self.memory = self.memory.max(cost.memory_bytes);
        self.table = self.table.max(cost.table_elements);
        self.time_us = self.time_us.max(cost.time_us);
    }

    /// Microseconds of one more call.
    pub fn time(&mut self, time_us: u64) {
        self.time_us = self.time_us.max(time_us);
    }

    /// Microseconds that the host waited in one round.
    pub fn total(&mut self, waited_us: u64) {
        self.total_us = self.total_us.max(waited_us);
    }

    /// In the order of the limits.
    pub fn shares(self, limits: &Limits) -> Vec<Share> {
        let milliseconds = |us: u64| us.div_ceil(1000);
        [
            ("fuel", self.fuel.0, self.fuel.1),
            ("memory_bytes", self.memory, limits.memory_bytes as u64),
            ("table_elements", self.table, limits.table_elements as u64),
            (
                "deadline_ms",
                milliseconds(self.time_us),
                limits.deadline_ms,
            ),
            ("total_ms", milliseconds(self.total_us), limits.total_ms),
        ]
        .map(|(limit, used, allowed)| Share {
            limit,
            used,
            allowed,
            percent: percent(used, allowed),
        })
        .into()
    }
}

fn percent(used: u64, allowed: u64) -> f64 {
    match allowed {
        0 => 0.0,
        allowed => used as f64 * 100.0 / allowed as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(time_us: u64, fuel: u64, memory_bytes: u64) -> Cost {
        Cost {
            fuel,
            time_us,
            memory_bytes,
            table_elements: 0,
        }
    }

    #[test]
    fn figures_are_the_extremes_and_the_middle_of_all_rounds() {
        assert_eq!(Gathered::default().figures(), None);
        let mut gathered = Gathered::default();
        for (time, fuel, memory) in [(30, 90, 1), (10, 100, 2), (20, 80, 1)] {
            gathered.add(cost(time, fuel, memory), 40);
        }
        let expected = Figures {
            entries: 40,
            min_us: 10,
            median_us: 20,
            max_us: 30,
            fuel: 100,
            fuel_per_entry: Some(2.5),
            memory_bytes: 2,
        };
        assert_eq!(gathered.figures(), Some(expected));
    }

    #[test]
    fn the_call_that_came_nearest_to_its_own_limit_counts() {
        let limits = Limits {
            fuel: 1000,
            fuel_per_item: 10,
            memory_bytes: 200,
            ..Limits::default()
        };
        let mut nearest = Nearest::default();
        // A fifth of 2000, and a half of 1000.
        nearest.add(&cost(1500, 400, 100), 100, &limits);
        nearest.add(&cost(10, 500, 50), 0, &limits);
        nearest.total(2_001);
        let shares = nearest.shares(&limits);
        let of = |name| shares.iter().find(|share| share.limit == name).unwrap();
        assert_eq!((of("fuel").used, of("fuel").allowed), (500, 1000));
        assert_eq!(of("fuel").percent, 50.0);
        assert_eq!(of("memory_bytes").percent, 50.0);
        assert_eq!(of("deadline_ms").used, 2);
        assert_eq!(of("total_ms").used, 3);
    }
}
