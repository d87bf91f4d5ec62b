//! The command lines: `switch_root` as util-linux and busybox have it, and
//! `run-init` as klibc and busybox have it, chosen by the name of the program.
//! `init` has none: the kernel starts it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

use caps::Capability;
use lexopt::prelude::*;
use switch_root_core::parameters::{Level, Parameters};
use switch_root_core::path::Path;

use crate::planner::{Mode, Options, StrategyChoice};

switch_root_core::outcomes! {
    /// What is wrong with a command line.
    pub enum BadUsage in "start" {
        /// An option that does not exist, lacks its value, or stands in the wrong place: options come
        /// before the new root, what follows the init is the init's.
        "SR-A01" Because { error: lexopt::Error, program: String } = "{error}; `{program} --help` lists what there is",
        /// The first argument is missing: the directory that the real root is mounted on.
        "SR-A02" NoNewRoot = "no new root is given",
        /// The second argument is missing: the init's path in the new root, such as `/sbin/init`.
        "SR-A03" NoInit = "no init is given",
        /// `--format` has another value.
        "SR-A04" Format = "the formats are text and json",
        /// `--strategy` has another value.
        "SR-A05" Strategy = "the strategies are auto, move and pivot",
        /// `run-init -d` takes the names of capabilities(7), with or without `CAP_`, with commas
        /// between them.
        "SR-A06" Capability { name: String } = "`{name}` is not a capability",
        /// Leave that option out, or `--preserve`.
        "SR-A07" OfTheSwitch { option: &'static str } = "with --preserve another program switches, and {option} is about the switch",
        /// Give its arguments to the program that switches.
        "SR-A08" InitArguments { argument: String } = "with --preserve no init is executed, and `{argument}` follows it; options stand before the new root",
    }
}

impl From<BadUsage> for lexopt::Error {
    fn from(wrong: BadUsage) -> Self {
        Self::Custom(wrong.into())
    }
}

/// How the plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// Not at all: whether the switch would be refused is all that is asked.
    Nothing,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The mount point of the new root.
    pub new_root: OsString,
    /// The path of the init in the new root; absent where it is to be found.
    pub init: Option<OsString>,
    /// Its arguments, without its name.
    pub init_arguments: Vec<OsString>,
    /// Print the plan, change nothing.
    pub plan: Option<Format>,
    /// Copy what survives, and leave the switch to another program.
    pub preserve: bool,
    /// Wait for the deletion before executing the init.
    pub foreground: bool,
    /// Delete nothing.
    pub keep_initramfs: bool,
    /// Take an init that the kernel will not execute.
    pub unchecked_init: bool,
    /// Neither move nor detach a mount, as klibc's and busybox's `run-init` do not.
    pub mounts_stay: bool,
    /// How to switch.
    pub strategy: StrategyChoice,
    /// Which messages are written; the kernel command line decides otherwise.
    pub log: Option<Level>,
    /// Opened for standard input, output and error before init is executed.
    pub console: Option<OsString>,
    /// Taken from init and everything that it starts.
    pub drop_capabilities: Vec<Capability>,
}

impl Arguments {
    /// What is to be planned, with what the kernel's command line says.
    pub fn options(&self, parameters: &Parameters) -> Options {
        let mode = match self.preserve {
            true => Mode::Preserve,
            false => Mode::Switch,
        };
        let of_the_kernel = Options::of(parameters, mode);
        let path = |word: &OsString| Path::from(word.as_bytes());
        Options {
            keep_initramfs: self.keep_initramfs || of_the_kernel.keep_initramfs,
            foreground: self.foreground || of_the_kernel.foreground,
            mounts_stay: self.mounts_stay,
            strategy: self.strategy,
            init_arguments: self.init_arguments.iter().map(path).collect(),
            console: self.console.as_ref().map(path),
            drop_capabilities: self
                .drop_capabilities
                .iter()
                .map(Capability::index)
                .collect(),
            ..of_the_kernel
        }
    }
}

/// What a command line comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Switch, or plan to.
    Switch(Box<Arguments>),
    /// Print this and end successfully.
    Print(String),
}

const SWITCH_ROOT: &str = "\
Usage: switch_root [OPTION...] NEW_ROOT INIT [ARGUMENT...]
       switch_root --preserve [OPTION...] NEW_ROOT [INIT]

Makes the file system mounted on NEW_ROOT the root, deletes what the policies
do not keep of the initramfs, and executes INIT. Runs as PID 1.

With --preserve, switches to nothing and deletes nothing: for an initramfs whose
init, such as systemd, does both itself. Need not be PID 1.

  -c, --console DEVICE     open DEVICE as standard input, output and error of INIT
      --plan               print what would be done, and change nothing
      --format text|json   how --plan prints (text)
      --preserve           copy what the policies keep to /run/switch-root/preserved,
                           bind what they carry, write the report, and end; where
                           no INIT is given, the one that would be executed counts
      --foreground         wait for the deletion before executing INIT
      --keep-initramfs     delete nothing; the only way where / is not tmpfs or ramfs
      --unchecked-init     execute INIT even if the kernel is known not to, for
                           want of its interpreter or loader
      --strategy auto|move|pivot
                           how to switch (auto: pivot where the kernel allows it
                           and no other process lives in the initramfs)
      --log error|warn|info|debug|trace
                           what is logged (info; switch_root.log= of the kernel
                           command line has the same effect)
  -h, --help               print this
  -V, --version            print the version
";

const INIT: &str = "\
Usage: the kernel starts this program as /init of an initramfs.

Mounts the pseudo file systems, the root image and the layers of all compatible
extensions, and switches to them. What it does is said on the kernel command
line: switch_root.root=/PATH, switch_root.incompatible=skip|halt,
switch_root.rescue=/PATH, init=/PATH, panic=SECONDS. Its arguments are those of
the new root's init.
";

const RUN_INIT: &str = "\
Usage: run-init [-d CAPABILITY,...] [-n] [-c DEVICE] [-p] NEW_ROOT INIT [ARGUMENT...]

Makes the file system mounted on NEW_ROOT the root, deletes what the policies
do not keep of the initramfs, and executes INIT. Runs as PID 1.

  -d CAPABILITY,...  take these capabilities from INIT and all that it starts
  -n                 check everything, change nothing, and say only what is wrong
  -c DEVICE          open DEVICE as standard input, output and error of INIT
                     (/dev/console)
  -p                 delete nothing

Mounts of the initramfs are neither moved to NEW_ROOT nor detached: whoever calls
run-init has moved /dev, /proc, /sys and /run before.

The options of switch_root that have a long name are understood too; see
`switch_root --help`.
";

/// What `run-init` opens for the init where no other device is given, as klibc's does.
const CONSOLE: &str = "/dev/console";

/// Whether the program is called `init`.
pub fn is_init(arguments: &[OsString]) -> bool {
    let name = arguments.first().map(|name| name.as_bytes());
    name.and_then(|name| name.rsplit(|byte| *byte == b'/').next()) == Some(b"init")
}

/// Reads a command line whose first element is the program's name.
///
/// # Errors
/// A sentence for the operator.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, BadUsage> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if is_init(&arguments) {
        return Ok(Request::Print(INIT.to_owned()));
    }
    let mut parser = lexopt::Parser::from_iter(arguments);
    let program = parser.bin_name().unwrap_or("switch_root").to_owned();
    let run_init = OsStr::new(&program).as_bytes().ends_with(b"run-init");
    let usage = if run_init { RUN_INIT } else { SWITCH_ROOT };
    read(&mut parser, run_init, usage).map_err(|error| BadUsage::Because { error, program })
}

fn read(
    parser: &mut lexopt::Parser,
    run_init: bool,
    usage: &str,
) -> Result<Request, lexopt::Error> {
    let mut plan = false;
    let mut check = false;
    let mut preserve = false;
    // The first of those that are about the switch itself.
    let mut of_the_switch = None;
    let mut format = Format::Text;
    let mut foreground = false;
    let mut keep_initramfs = false;
    let mut unchecked_init = false;
    let mut strategy = StrategyChoice::Auto;
    let mut log = None;
    let mut console = None;
    let mut drop_capabilities = Vec::new();
    let mut new_root = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Request::Print(usage.to_owned())),
            Short('V') | Long("version") => {
                return Ok(Request::Print(
                    concat!("switch_root ", env!("CARGO_PKG_VERSION"), "\n").to_owned(),
                ));
            }
            Short('d') if run_init => {
                drop_capabilities = parser.value()?.parse_with(capabilities)?;
                of_the_switch.get_or_insert("-d");
            }
            Short('n') if run_init => check = true,
            Short('p') if run_init => keep_initramfs = true,
            Short('c') | Long("console") => {
                console = Some(parser.value()?);
                of_the_switch.get_or_insert("--console");
            }
            Long("plan") => plan = true,
            Long("preserve") => preserve = true,
            Long("format") => {
                format = parser.value()?.parse_with(|text| match text {
                    "text" => Ok(Format::Text),
                    "json" => Ok(Format::Json),
                    _ => Err(BadUsage::Format),
                })?;
            }
            Long("foreground") => {
                foreground = true;
                of_the_switch.get_or_insert("--foreground");
            }
            Long("keep-initramfs") => keep_initramfs = true,
            Long("unchecked-init") => unchecked_init = true,
            Long("strategy") => {
                strategy = parser.value()?.parse_with(|text| match text {
                    "auto" => Ok(StrategyChoice::Auto),
                    "move" => Ok(StrategyChoice::Move),
                    "pivot" => Ok(StrategyChoice::Pivot),
                    _ => Err(BadUsage::Strategy),
                })?;
                of_the_switch.get_or_insert("--strategy");
            }
            Long("log") => log = Some(parser.value()?.parse_with(Level::from_str)?),
            Value(path) => {
                new_root = Some(path);
                break;
            }
            _ => return Err(argument.unexpected()),
        }
    }
    if let Some(option) = of_the_switch.filter(|_| preserve) {
        Err(BadUsage::OfTheSwitch { option })?;
    }
    let new_root = new_root.ok_or(BadUsage::NoNewRoot)?;
    // Everything from here on belongs to the init, options included.
    let mut rest = parser.raw_args()?;
    let init = rest.next();
    if init.is_none() && !preserve {
        Err(BadUsage::NoInit)?;
    }
    let init_arguments: Vec<OsString> = rest.collect();
    if let Some(argument) = init_arguments.first().filter(|_| preserve) {
        let argument = switch_root_core::escape::path(argument.as_bytes());
        Err(BadUsage::InitArguments { argument })?;
    }
    Ok(Request::Switch(Box::new(Arguments {
        new_root,
        init,
        init_arguments,
        plan: match (plan, check) {
            (true, _) => Some(format),
            (false, true) => Some(Format::Nothing),
            (false, false) => None,
        },
        preserve,
        foreground,
        keep_initramfs,
        unchecked_init,
        mounts_stay: run_init,
        strategy,
        // Scripts check several times; what is not as it should be is said when it counts.
        log: log.or((check && !plan).then_some(Level::Error)),
        console: console.or((run_init && !preserve).then(|| CONSOLE.into())),
        drop_capabilities,
    })))
}

fn capabilities(list: &str) -> Result<Vec<Capability>, BadUsage> {
    list.split(',')
        .filter(|name| !name.is_empty())
        .map(|name| {
            let upper = name.to_ascii_uppercase();
            let full = if upper.starts_with("CAP_") {
                upper
            } else {
                format!("CAP_{upper}")
            };
            Capability::from_str(&full).map_err(|_| BadUsage::Capability {
                name: name.to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(line: &str) -> Arguments {
        match parse(line.split(' ').map(OsString::from)) {
            Ok(Request::Switch(arguments)) => *arguments,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error(line: &str) -> String {
        let wrong = parse(line.split(' ').map(OsString::from));
        wrong.unwrap_err().to_string()
    }

    #[test]
    fn what_follows_the_init_is_the_inits() {
        let arguments = switch(
            "/sbin/switch_root --foreground --unchecked-init /sysroot /sbin/init --log x -h -- y",
        );
        assert_eq!(arguments.new_root, "/sysroot");
        assert_eq!(arguments.init, Some("/sbin/init".into()));
        assert_eq!(arguments.init_arguments, ["--log", "x", "-h", "--", "y"]);
        assert!(arguments.foreground && arguments.unchecked_init);
        assert_eq!(arguments.log, None);
    }

    #[test]
    fn run_init_has_klibcs_options() {
        let arguments =
            switch("run-init -d cap_sys_module,SYS_RAWIO -n -p -c /dev/tty1 /root /sbin/init 3");
        assert_eq!(
            arguments.drop_capabilities,
            [Capability::CAP_SYS_MODULE, Capability::CAP_SYS_RAWIO]
        );
        assert_eq!(arguments.plan, Some(Format::Nothing));
        assert_eq!(arguments.log, Some(Level::Error));
        assert!(arguments.keep_initramfs);
        assert_eq!(arguments.console, Some("/dev/tty1".into()));
        assert_eq!(arguments.init_arguments, ["3"]);
    }

    #[test]
    fn what_run_init_checks_is_printed_where_that_is_asked_for() {
        let arguments = switch("run-init -n --plan --log info /root /sbin/init");
        assert_eq!(arguments.plan, Some(Format::Text));
        assert_eq!(arguments.log, Some(Level::Info));
    }

    #[test]
    fn switch_root_does_not_take_run_inits_options() {
        assert!(error("switch_root -d cap_sys_module /root /init").contains("-d"));
        assert!(error("switch_root -n /root /init").contains("-n"));
    }

    #[test]
    fn who_preserves_needs_no_init_and_says_nothing_of_the_switch() {
        let arguments = switch("switch_root --preserve --plan --log debug /sysroot");
        assert!(arguments.preserve && arguments.plan.is_some());
        assert_eq!(arguments.init, None);
        let arguments = switch("run-init -p --preserve /sysroot /sbin/init");
        assert!(arguments.preserve && arguments.keep_initramfs);
        assert_eq!(arguments.init, Some("/sbin/init".into()));
        for (option, line) in [
            ("--console", "-c /dev/tty1"),
            ("--foreground", "--foreground"),
            ("--strategy", "--strategy auto"),
            ("-d", "-d cap_sys_module"),
        ] {
            let error = error(&format!("run-init {line} --preserve /sysroot"));
            assert!(error.contains(option), "{error}");
        }
        assert!(error("switch_root --preserve").contains("no new root is given"));
        assert!(error("switch_root --preserve /a /b --plan").contains("`--plan` follows"));
    }

    #[test]
    fn init_is_told_by_its_name_alone() {
        let is_init = |line: &str| is_init(&[OsString::from(line)]);
        assert!(is_init("/init") && is_init("init"));
        assert!(!is_init("run-init") && !is_init("/init/switch_root") && !is_init(""));
        assert!(matches!(
            parse(["/init".into(), "--x".into()]),
            Ok(Request::Print(text)) if text.contains("switch_root.root=")
        ));
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert!(error("switch_root").contains("no new root is given"));
        assert!(error("switch_root /sysroot").contains("no init is given"));
        assert!(error("switch_root --plan --format xml /a /b").contains("text and json"));
        assert!(error("switch_root --frobnicate /a /b").contains("--frobnicate"));
        assert!(
            error("run-init -d cap_of_wool /a /b").contains("`cap_of_wool` is not a capability")
        );
        assert!(error("switch_root --log loud /a /b").contains("loud"));
    }
}
