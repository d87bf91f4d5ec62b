//! The note by which a file is known to be this program, and which build of it
//! (see [`switch_root_core::program_note`]).

use policy::engine::{ENGINE, FORMAT};
use switch_root_core::program_note::{Identity, Note};

// SAFETY: it is data without relocations in a section that nothing else is in, which the
// linker puts into a segment of notes by its name; nobody reads it at run time.
#[used]
#[unsafe(link_section = ".note.switch-root")]
static NOTE: Note = Note::new(&Identity::lines(
    env!("CARGO_PKG_VERSION"),
    !cfg!(feature = "compile"),
    ENGINE,
    FORMAT.trim_ascii_end(),
));
