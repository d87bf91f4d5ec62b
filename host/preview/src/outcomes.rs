//! All outcomes of this crate, for documents.

use switch_root_core::outcome::{Outcomes, Table};

use crate::plan::{self, explain, supposed};
use crate::rehearsal::{
    self, first, machine, namespace, program, stage, supervisor, unpack, users,
};
use crate::runs;

/// What documents say of them.
pub const TABLES: &[Table] = &[
    plan::Kept::TABLE,
    plan::NoPlan::TABLE,
    explain::NotExplained::TABLE,
    supposed::NotSupposed::TABLE,
    runs::NotRun::TABLE,
    rehearsal::Failed::TABLE,
    rehearsal::NotRehearsed::TABLE,
    first::NotConfined::TABLE,
    machine::NoMachine::TABLE,
    namespace::NoAnswer::TABLE,
    program::OtherProgram::TABLE,
    stage::NotStaged::TABLE,
    supervisor::Refused::TABLE,
    unpack::NotUnpacked::TABLE,
    users::Forbidden::TABLE,
];
