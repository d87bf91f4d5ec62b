//! What policies are told of the machine: the new root's os-release, the
//! kernel, the command line; and what extensions.yaml the initramfs has.

use std::os::fd::BorrowedFd;
use std::path::Path;

use policy::file::{self, Links};
use policy::limits::fixed;
use policy::{HostFacts, escape};
use rustix::fs::OFlags;

use crate::init::resolve;

/// The largest os-release file that is read, in bytes.
const OS_RELEASE: u64 = 64 << 10;
/// Where os-release is, in the order of os-release(5).
const OS_RELEASE_PATHS: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
/// Where the initramfs names its extensions: the first one that is there.
const EXTENSIONS_PATHS: [&str; 2] = ["/extensions.yaml", "/etc/extensions.yaml"];

/// Collects the facts. The second value holds what could not be found out.
pub fn facts(new_root: BorrowedFd<'_>, command_line: &str) -> (HostFacts, Vec<String>) {
    let mut warnings = Vec::new();
    let mut os_release = Vec::new();
    for path in OS_RELEASE_PATHS {
        let Ok(file) = resolve(new_root, path.as_bytes(), OFlags::RDONLY | OFlags::NONBLOCK) else {
            continue;
        };
        match file::read_open(file, OS_RELEASE) {
            Ok(bytes) => {
                os_release = parse_os_release(&String::from_utf8_lossy(&bytes));
                break;
            }
            Err(error) => warnings.push(format!("{path} of the new root {error}")),
        }
    }
    let (kernel_release, architecture) = match nix::sys::utsname::uname() {
        Ok(names) => (
            names.release().to_string_lossy().into_owned(),
            names.machine().to_string_lossy().into_owned(),
        ),
        Err(error) => {
            warnings.push(format!("the kernel does not tell its release: {error}"));
            Default::default()
        }
    };
    let kernel_command_line = command_line.to_owned();
    (
        HostFacts {
            os_release,
            kernel_release,
            architecture,
            kernel_command_line,
        },
        warnings,
    )
}

/// Reads os-release(5): assignments in the syntax of a shell, without
/// expansion. Lines that are none are passed over, as the format asks.
pub fn parse_os_release(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.trim().split_once('=')?;
            let valid = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            valid.then(|| (name.to_owned(), unquote(value.trim())))
        })
        .collect()
}

fn unquote(value: &str) -> String {
    let quoted = |quote: char| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    };
    if let Some(inner) = quoted('\'') {
        return inner.to_owned();
    }
    let inner = quoted('"').unwrap_or(value);
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => text.extend(characters.next()),
            c => text.push(c),
        }
    }
    text
}

/// Reads the initramfs' extensions.yaml. `None` where there is none.
///
/// # Errors
/// The path, and why it cannot be used: a sentence for the operator.
pub fn extensions_yaml() -> Result<Option<(&'static str, Vec<u8>)>, String> {
    for path in EXTENSIONS_PATHS {
        match file::read(Path::new(path), fixed::EXTENSIONS_FILE, Links::Refuse) {
            Ok(Some((bytes, _))) => return Ok(Some((path, bytes))),
            Ok(None) => {}
            Err(reason) => return Err(extensions_error(path, &reason)),
        }
    }
    Ok(None)
}

/// Where the initramfs' extensions.yaml is, whatever it holds.
pub fn extensions_file() -> Option<&'static str> {
    EXTENSIONS_PATHS
        .into_iter()
        .find(|path| Path::new(path).symlink_metadata().is_ok())
}

/// The sentence about an extensions.yaml that cannot be used.
pub fn extensions_error(path: &str, reason: &str) -> String {
    format!(
        "{path} {}; repair it in the initramfs, or start once with the kernel parameter switch_root.extensions=ignore",
        escape::message(reason, 1024)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read_with_its_quotes() {
        let fields = parse_os_release(
            "NAME=\"Talos\"\nID=talos\n# comment\nVERSION_ID='v1.6.0'\n\nPRETTY_NAME=\"A \\\"B\\\" \\$C\"\nbad line\n=x\nA-B=c\nEMPTY=\n",
        );
        let expected = [
            ("NAME", "Talos"),
            ("ID", "talos"),
            ("VERSION_ID", "v1.6.0"),
            ("PRETTY_NAME", "A \"B\" $C"),
            ("EMPTY", ""),
        ];
        assert_eq!(
            fields,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
