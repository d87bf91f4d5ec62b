//! `srctl policy`.

mod about;
mod bench;
mod build;
mod compile;
pub mod files;
mod inspect;
mod new;
mod pull;
mod push;
mod run;
mod sign;
mod test;
pub mod trust;
mod verify;

use switch_root_core::error::Result;
use switch_root_core::progress::Progress;

use crate::command::policy::Policy;
use crate::outcome::Outcome;

/// Runs one of the commands.
pub fn run(command: &Policy, progress: &dyn Progress) -> Result<Outcome> {
    match command {
        Policy::Sign(options) => sign::run(options),
        Policy::Verify(options) => verify::run(options),
        Policy::New(options) => new::run(options),
        Policy::Build(options) => build::run(options, progress),
        Policy::Test(options) => test::run(options, progress),
        Policy::Run(options) => run::run(options, progress),
        Policy::Inspect(options) => inspect::run(options),
        Policy::Compile(options) => compile::run(options, progress),
        Policy::Bench(options) => bench::run(options, progress),
        Policy::Push(options) => push::run(options, progress),
        Policy::Pull(options) => pull::run(options, progress),
    }
}
