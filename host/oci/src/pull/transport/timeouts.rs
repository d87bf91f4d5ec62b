//! How long is waited.

use std::time::Duration;

/// Until a host is known and a connection stands.
pub(super) const CONNECT: Duration = Duration::from_secs(15);
/// Without a byte, after which a connection counts as broken.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
