//! Whether manual pages have faults, as the programs see it that show them.

use std::path::Path;
use std::process::Command;

use crate::check::ensure;
use crate::tools::Checked;

/// The programs, and what has them look for faults.
pub const CHECKS: [(&str, &[&str]); 2] = [
    // What is only a matter of style, such as a page without a date, is no fault: without
    // one it is the same whenever it is built.
    ("mandoc", &["-T", "lint", "-W", "error"]),
    ("man", &["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]),
];

/// Has one of the programs look at a page.
pub fn check(program: &Path, arguments: &[&str], page: &Path) -> Checked {
    let output = Command::new(program)
        .args(arguments)
        .arg(page)
        .env("LC_ALL", "C.UTF-8")
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && errors.is_empty(),
        "{} {}: {errors}{}",
        program.display(),
        page.display(),
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(())
}
