//! The limits that a policy needs.

use policy::folder::Policy;
use policy::session::{Account, Loading};
use serde::Serialize;
use switch_root_core::error::Result;
use switch_root_core::failure::Kind;
use switch_root_core::limits::Limits;

use super::parts::Core;
use crate::loading;

/// Fuel that a policy is given at most, to find out how much it needs: some seconds.
const FUEL: u64 = 10_000_000_000;

/// Bytes that a memory may grow to at most for the same purpose. No initramfs should need
/// as much for one policy.
const MEMORY: usize = 256 << 20;

/// The limits of a sidecar that loading a policy has to have raised; what is absent is
/// enough as it is. This is the `limits` object of a sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Required {
    /// See [`Limits`]; twice of what was measured, since settings make a difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// See [`Limits`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<usize>,
    /// See [`Limits`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memories: Option<usize>,
    /// See [`Limits`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_elements: Option<usize>,
    /// See [`Limits`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<usize>,
    /// See [`Limits`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<usize>,
}

impl Required {
    /// Whether nothing has to be raised.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What these limits lack, for what an instance consists of and what loading it took.
    fn beyond(given: &Limits, core: &Core, loading: &Loading) -> Self {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let more = |needed: u64, given: usize| (size(needed) > given).then_some(size(needed));
        let cost = &loading.cost;
        Self {
            fuel: (cost.fuel > given.fuel).then(|| cost.fuel.saturating_mul(2)),
            memory_bytes: more(
                core.memory_initial_bytes.max(cost.memory_bytes),
                given.memory_bytes,
            ),
            memories: more(core.memories, given.memories),
            table_elements: more(
                core.table_initial_elements.max(cost.table_elements),
                given.table_elements,
            ),
            tables: more(core.tables, given.tables),
            instances: more(core.instances, given.instances),
        }
    }

    /// The given limits, with these raised.
    fn over(&self, given: Limits) -> Limits {
        Limits {
            fuel: self.fuel.unwrap_or(given.fuel),
            memory_bytes: self.memory_bytes.unwrap_or(given.memory_bytes),
            memories: self.memories.unwrap_or(given.memories),
            table_elements: self.table_elements.unwrap_or(given.table_elements),
            tables: self.tables.unwrap_or(given.tables),
            instances: self.instances.unwrap_or(given.instances),
            ..given
        }
    }
}

/// Finds the limits with which a policy can be loaded that met one of those it was given:
/// by loading it with as many as are ever given here, and once more with those found.
/// `None` where there are none.
///
/// # Errors
/// See [`loading::load`].
pub fn find(
    policy: &Policy,
    core: &Core,
    account: &Account,
    configure: bool,
) -> Result<Option<Required>> {
    let met_a_limit = account
        .failures
        .iter()
        .any(|failure| matches!(failure.kind, Kind::Fuel | Kind::Memory | Kind::Limit));
    if !met_a_limit {
        return Ok(None);
    }
    let given = policy.sidecar.limits;
    let count = |needed: u64, given: usize| given.max(usize::try_from(needed).unwrap_or(given));
    let generous = Limits {
        fuel: given.fuel.max(FUEL),
        memory_bytes: given.memory_bytes.max(MEMORY),
        // What wasmtime allows in one component, whatever the limits are.
        memories: count(core.memories.min(1_000), given.memories),
        table_elements: count(
            core.table_initial_elements.min(10_000_000),
            given.table_elements,
        )
        .max(1_000_000),
        tables: count(core.tables.min(1_000), given.tables),
        instances: count(core.instances.min(1_000), given.instances),
        ..given
    };
    let loaded = load(policy, generous, configure)?;
    if !loaded.failures.is_empty() {
        return Ok(None);
    }
    let required = Required::beyond(&given, core, &loaded.loading);
    let loaded = load(policy, required.over(given), configure)?;
    Ok((loaded.failures.is_empty() && !required.is_nothing()).then_some(required))
}

fn load(policy: &Policy, limits: Limits, configure: bool) -> Result<Account> {
    let mut policy = policy.clone();
    policy.sidecar.limits = limits;
    loading::load(&policy, configure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::session::Cost;

    #[test]
    fn only_what_does_not_suffice_is_required() {
        let given = Limits::default();
        let mut core = Core {
            memories: 2,
            memory_initial_bytes: 1 << 20,
            ..Core::default()
        };
        let mut loading = Loading {
            cost: Cost {
                fuel: given.fuel,
                memory_bytes: given.memory_bytes as u64,
                ..Cost::default()
            },
            code_us: 0,
        };
        assert!(Required::beyond(&given, &core, &loading).is_nothing());
        core.memories = 5;
        loading.cost.fuel += 1;
        loading.cost.memory_bytes += 1;
        let required = Required::beyond(&given, &core, &loading);
        let expected = Required {
            fuel: Some(2 * given.fuel + 2),
            memory_bytes: Some(given.memory_bytes + 1),
            memories: Some(5),
            ..Required::default()
        };
        assert_eq!(required, expected);
        let over = required.over(given);
        assert_eq!(over.memories, 5);
        assert_eq!(over.tables, given.tables);
        // It is what a sidecar takes.
        let sidecar = serde_json::json!({"limits": required}).to_string();
        let sidecar = policy::sidecar::Sidecar::parse(sidecar.as_bytes()).unwrap();
        assert_eq!(sidecar.limits, over);
    }
}
