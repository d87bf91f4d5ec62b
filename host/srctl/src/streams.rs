//! `-` in place of a file: standard input and standard output. Which arguments take it is
//! one table; all others of files and folders refuse it, with the status of a wrong command
//! line.
//!
//! What reads a file by its path, maybe twice or from its end, cannot read a pipe. So `-`
//! becomes the path of a copy, which is made before the command begins: a file without a
//! name, so that nothing is left of it however the command ends. What is made for standard
//! output is made in a folder for temporary files, and goes out when it is whole.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Arg, ArgMatches, Command};
use serde_json::Value;
use switch_root_core::error::{Attempt, Error, Result, Words};
use switch_root_core::progress::Progress;
use switch_root_core::reading;

use crate::input;

switch_root_core::outcomes! {
    /// What of standard input and output is not possible.
    #[derive(PartialEq)]
    pub(crate) enum Misused in "srctl" {
        /// `-` is one of them where a command says so in its help.
        "SR-H74" Neither = "it is neither standard input nor standard output here; a file of this name is ./-",
        "SR-H75" Twice = "`-` is given more than once: standard input can be read only once",
        "SR-H76" Both = "--format json and --output - are both for standard output",
    }
}

switch_root_core::outcomes! {
    /// What the system refused of them.
    pub(crate) enum Refused in "srctl" {
        /// The system's own words follow.
        "SR-H77" Copy = "cannot copy standard input",
        "SR-H78" Keep { folder: String } = "cannot make a temporary file for `-` in {folder}",
    }
}

/// The word.
const WORD: &str = "-";

/// How much is copied at once, in bytes.
const BUFFER: usize = 128 * 1024;

/// What it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    /// Standard input.
    Input,
    /// Standard output, for what a command makes: it says what it did on standard error then.
    Product,
    /// Standard output, for what a command prints: that is where it goes anyway.
    Printed,
}

/// The arguments that take it: the words after `srctl`, and the name of the argument.
const TAKING: &[(&str, &str, Stream)] = &[
    ("extension pull", "config", Stream::Input),
    ("extension validate", "os_release", Stream::Input),
    ("extension pack", "output", Stream::Product),
    ("extension install", "config", Stream::Input),
    ("extension install", "initramfs", Stream::Input),
    ("extension install", "os_release", Stream::Input),
    ("extension install", "output", Stream::Product),
    ("config add-extension", "file", Stream::Input),
    ("config add-extension", "output", Stream::Printed),
    ("config remove-extension", "file", Stream::Input),
    ("config remove-extension", "output", Stream::Printed),
    ("policy build", "output", Stream::Product),
    ("policy inspect", "file", Stream::Input),
    ("policy inspect", "settings", Stream::Input),
    ("policy run", "file", Stream::Input),
    ("policy run", "tree", Stream::Input),
    ("policy run", "extensions", Stream::Input),
    ("policy run", "settings", Stream::Input),
    ("policy run", "os_release", Stream::Input),
    ("policy bench", "file", Stream::Input),
    ("policy bench", "tree", Stream::Input),
    ("policy bench", "extensions", Stream::Input),
    ("policy bench", "settings", Stream::Input),
    ("policy bench", "os_release", Stream::Input),
    ("policy compile", "files", Stream::Input),
    ("policy compile", "settings", Stream::Input),
    ("policy compile", "output", Stream::Product),
    ("policy sign", "file", Stream::Input),
    ("policy sign", "output", Stream::Product),
    ("policy push", "config", Stream::Input),
    ("policy pull", "config", Stream::Input),
    ("image add-policy", "initramfs", Stream::Input),
    ("image add-policy", "settings", Stream::Input),
    ("image add-policy", "output", Stream::Product),
    ("plan", "image", Stream::Input),
    ("plan", "os_release", Stream::Input),
    ("plan", "output", Stream::Printed),
    ("diff", "before", Stream::Input),
    ("diff", "after", Stream::Input),
    ("diff", "image", Stream::Input),
    ("diff", "os_release", Stream::Input),
    ("diff", "output", Stream::Printed),
    ("rehearse", "image", Stream::Input),
    ("rehearse", "os_release", Stream::Input),
    ("rehearse", "plan", Stream::Input),
    ("status", "report", Stream::Input),
    ("status", "output", Stream::Printed),
    ("doctor", "image", Stream::Input),
    ("doctor", "output", Stream::Printed),
];

/// Commands that write beside what they read, unless they are told where to.
const BESIDE: &[&str] = &["policy compile", "policy sign"];

fn taking(command: &str, argument: &str) -> Option<Stream> {
    let mut all = TAKING.iter();
    let (.., stream) = all.find(|(of, name, _)| *of == command && *name == argument)?;
    Some(*stream)
}

/// Whether a file or folder is given by an argument.
fn is_path(argument: &Arg) -> bool {
    argument.get_value_parser().type_id() == std::any::TypeId::of::<PathBuf>()
}

/// Has every argument that names a file or folder take the word, or refuse it.
pub fn settled(command: Command) -> Command {
    settled_at(command, "")
}

fn settled_at(command: Command, path: &str) -> Command {
    let command = command.mut_args(|argument| {
        if !is_path(&argument) {
            return argument;
        }
        let stream = taking(path, argument.get_id().as_str());
        argument.value_parser(PathBufValueParser::new().try_map(move |given| {
            match (given.as_os_str() == WORD, stream) {
                (false, _) | (true, Some(Stream::Printed)) => Ok(given),
                (true, Some(Stream::Input)) => Ok(copy().path.clone()),
                (true, Some(Stream::Product)) => Ok(product()),
                (true, None) => Err(Misused::Neither),
            }
        }))
    });
    command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        let path = path.trim_start().to_owned();
        settled_at(below, &path)
    })
}

/// What of the standard streams is used, once the command line is known to be right.
///
/// # Errors
/// Why they cannot be used so: two things would be read from, or written to, the same.
pub fn check(matches: &ArgMatches) -> std::result::Result<Used, Misused> {
    let mut path = String::new();
    let mut here = matches;
    while let Some((name, below)) = here.subcommand() {
        path = format!("{path} {name}").trim_start().to_owned();
        here = below;
    }
    let mut inputs = 0;
    let mut read = false;
    let mut product = false;
    let mut printed = false;
    for (.., argument, stream) in TAKING.iter().filter(|(command, ..)| *command == path) {
        let given = here.get_raw(argument).into_iter().flatten();
        let count = given.filter(|value| *value == WORD).count();
        read |= argument.starts_with("file") && count > 0;
        match stream {
            Stream::Input => inputs += count,
            Stream::Product => product |= count > 0,
            Stream::Printed => printed |= count > 0,
        }
    }
    let json = || {
        let mut format = here.try_get_raw("format").ok().flatten()?;
        format.next().filter(|format| *format == "json")
    };
    // Of what is read from there nothing can be written beside it.
    product |= BESIDE.contains(&path.as_str()) && read && !has_output(here);
    let is_config = path.starts_with("config ");
    if inputs > 1 {
        return Err(Misused::Twice);
    }
    // What config prints is the configuration, and not what it did.
    let makes = product || is_config && (printed || inputs > 0 && !has_output(here));
    if makes && json().is_some() {
        return Err(Misused::Both);
    }
    Ok(Used {
        input: inputs > 0,
        product,
    })
}

fn has_output(matches: &ArgMatches) -> bool {
    matches.get_raw("output").is_some()
}

/// What is used of the standard streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    input: bool,
    product: bool,
}

/// The name of what is made for standard output.
const OUTPUT: &str = "standard-output";
/// The name of the copy of standard input, where it has to have one.
const INPUT: &str = "standard-input";

/// The copy of standard input.
struct Copy {
    /// Has no name; the error where there cannot be such a file.
    file: io::Result<File>,
    /// Where it is read from, by children of this process, too.
    path: PathBuf,
}

static INPUT_COPY: OnceLock<Copy> = OnceLock::new();
static FOLDER: OnceLock<PathBuf> = OnceLock::new();
static USED: OnceLock<Used> = OnceLock::new();

/// The copy, empty at first.
fn copy() -> &'static Copy {
    INPUT_COPY.get_or_init(|| {
        let file = tempfile::tempfile();
        let number = file.as_ref().map_or(-1, File::as_raw_fd);
        let path = PathBuf::from(format!("/proc/{}/fd/{number}", std::process::id()));
        match file.is_err() || path.exists() {
            true => Copy { file, path },
            // Without /proc it needs a name.
            false => Copy {
                file,
                path: folder().join(INPUT),
            },
        }
    })
}

/// The folder of what has to have a name, which is made when it is needed.
fn folder() -> &'static Path {
    FOLDER.get_or_init(|| {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
        let nanoseconds = now.map_or(0, |now| now.as_nanos());
        let name = format!("srctl-{}-{nanoseconds}", std::process::id());
        std::env::temp_dir().join(name)
    })
}

/// Copies standard input to where it is read from.
///
/// # Errors
/// It cannot be read, or the copy not be made.
pub fn begin(used: Used, progress: &dyn Progress) -> Result<()> {
    let _ = USED.set(used);
    if !used.input && !used.product {
        return Ok(());
    }
    let is_named = used.input && copy().path.starts_with(folder());
    if used.product || is_named {
        let folder = folder();
        // Only where nothing is: somebody else may have made it.
        let made = DirBuilder::new().mode(0o700).create(folder);
        made.map_err(|error| cannot_keep(&error))?;
    }
    if used.input {
        let task = progress.begin("standard input", None);
        task.say("reading");
        let copy = copy();
        let file = match (&copy.file, is_named) {
            (_, true) => File::create_new(&copy.path).map_err(|error| cannot_keep(&error))?,
            (Ok(file), false) => file.try_clone().map_err(|error| cannot_keep(&error))?,
            (Err(error), false) => return Err(cannot_keep(error)),
        };
        let failed = |error| Error::of_copy(Refused::Copy, &error);
        let mut file = BufWriter::with_capacity(BUFFER, file);
        io::copy(&mut reading::Stream(io::stdin().lock()), &mut file).map_err(failed)?;
        file.flush().map_err(failed)?;
    }
    Ok(())
}

fn cannot_keep(error: &io::Error) -> Error {
    let folder = std::env::temp_dir();
    let folder = input::shown(&folder);
    let error = Error::system(Refused::Keep { folder }, error);
    let kind = error.kind;
    let why = |it: &str| format!("{it}; name another folder with TMPDIR");
    Error::new(kind, error.message().reworded(why))
}

/// Writes what was made for standard output there, and removes the copies.
///
/// # Errors
/// It cannot be written.
pub fn end() -> Result<()> {
    let Some(used) = USED.get().filter(|used| used.input || used.product) else {
        return Ok(());
    };
    let delivered = match used.product {
        true => deliver(),
        false => Ok(()),
    };
    // It was for this process alone; what is left of it is in the folder of such things.
    if let Some(folder) = FOLDER.get() {
        let _ = fs::remove_dir_all(folder);
    }
    delivered
}

fn deliver() -> Result<()> {
    let failed = |error| Error::system(Attempt::Output, &error);
    let mut made = match File::open(product()) {
        Ok(made) => made,
        // The answer was no, and nothing was made.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let mut output = io::stdout().lock();
    io::copy(&mut made, &mut output)
        .and_then(|_| output.flush())
        .map_err(failed)
}

/// Whether a path is that of the copy of standard input.
pub fn is_input(path: &Path) -> bool {
    USED.get().is_some_and(|used| used.input) && path == copy().path
}

/// Where something is made that goes to standard output.
pub fn product() -> PathBuf {
    folder().join(OUTPUT)
}

/// Whether standard output is for what the command makes.
pub fn is_product() -> bool {
    USED.get().is_some_and(|used| used.product)
}

/// A text with what the user called the streams in place of the copies' paths.
pub fn renamed(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(copy) = INPUT_COPY.get() {
        text = text.replace(&input::shown(&copy.path), "standard input");
    }
    if FOLDER.get().is_some() {
        text = text.replace(&input::shown(&product()), "standard output");
    }
    text
}

/// The same for a value that programs read: where the copy alone is named it is `-` again, as
/// on the command line.
pub fn rename(value: &mut Value) {
    match value {
        Value::String(text) => {
            let copy = INPUT_COPY.get();
            *text = match copy.is_some_and(|copy| *text == input::shown(&copy.path)) {
                true => WORD.into(),
                false => renamed(text),
            };
        }
        Value::Array(values) => values.iter_mut().for_each(rename),
        Value::Object(values) => values.values_mut().for_each(rename),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::definition;

    /// A command by the words after `srctl`.
    fn find(words: &str) -> Option<Command> {
        let mut command = definition();
        for word in words.split_whitespace() {
            command = command.find_subcommand(word)?.clone();
        }
        Some(command)
    }

    #[test]
    fn what_takes_a_dash_is_an_argument_of_a_file() {
        for (words, name, _) in TAKING {
            let command = find(words).unwrap_or_else(|| panic!("there is no srctl {words}"));
            let mut arguments = command.get_arguments();
            let argument = arguments.find(|argument| argument.get_id() == name);
            assert!(argument.is_some_and(is_path), "{words}: {name}");
        }
    }

    #[test]
    fn a_dash_is_one_stream_of_each_kind() {
        let used = |line: &str| {
            let words = line.split_whitespace();
            check(&definition().try_get_matches_from(words).unwrap())
        };
        let of = |input, product| Ok(Used { input, product });
        assert_eq!(used("srctl plan image -o -"), of(false, false));
        assert_eq!(used("srctl plan -"), of(true, false));
        assert_eq!(used("srctl extension pack all -o -"), of(false, true));
        assert_eq!(used("srctl policy sign - --key k"), of(true, true));
        assert_eq!(used("srctl policy sign - --key k -o s"), of(true, false));
        for line in [
            "srctl diff - -",
            "srctl plan - --os-release -",
            "srctl extension pack all -o - --format json",
            "srctl policy sign - --key k --format json",
            "srctl config add-extension - a/b:c --format json",
        ] {
            assert!(used(line).is_err(), "{line}");
        }
        let refused = definition().try_get_matches_from(["srctl", "extension", "list", "-"]);
        assert_eq!(refused.unwrap_err().exit_code(), 2);
    }
}
