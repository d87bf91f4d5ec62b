//! How much address space this process has mapped.

use std::fs;
use std::ptr::null_mut;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::native::page_size;

/// More pages than any process can map.
const PAGES: u64 = 1 << 45;

/// The bytes that are mapped; none where neither /proc nor the kernel's limit tells.
pub fn mapped() -> Option<u64> {
    let told = fs::read_to_string("/proc/self/statm").ok();
    told.and_then(|statm| statm.split(' ').next()?.parse::<u64>().ok())
        .or_else(search)
        .map(|pages| pages.saturating_mul(page_size() as u64))
}

/// Finds the pages that are mapped without /proc: one more can be had just where the limit
/// is above them. To be called where no other thread runs, which would meet the limits that
/// are tried; that of before is back at the end.
fn search() -> Option<u64> {
    let page = page_size() as u64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_AS).ok()?;
    // With so many pages allowed one more cannot be had, and with so many it can.
    let (mut below, mut enough) = (0, (hard / page).min(PAGES));
    let fits =
        |pages: u64| setrlimit(Resource::RLIMIT_AS, pages * page, hard).is_ok() && can_map_a_page();
    let mut found = None;
    if fits(enough) {
        while enough - below > 1 {
            let middle = below + (enough - below) / 2;
            match fits(middle) {
                true => enough = middle,
                false => below = middle,
            }
        }
        found = Some(enough - 1);
    }
    setrlimit(Resource::RLIMIT_AS, soft, hard).ok()?;
    found
}

fn can_map_a_page() -> bool {
    // SAFETY: a new mapping at a place of the kernel's choice, which nothing else knows of.
    unsafe {
        let place = libc::mmap(
            null_mut(),
            page_size(),
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        let is_mapped = place != libc::MAP_FAILED;
        if is_mapped {
            libc::munmap(place, page_size());
        }
        is_mapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run again as a process of its own: it lowers the limit of all threads for a while.
    const ALONE: &str = "SWITCH_ROOT_SEARCHES_ALONE";

    #[test]
    fn what_is_searched_is_what_proc_tells() {
        if std::env::var_os(ALONE).is_some() {
            // Of the same moment, but for what the reading itself maps.
            let before = getrlimit(Resource::RLIMIT_AS).unwrap();
            let told = mapped().unwrap() / page_size() as u64;
            let found = search().unwrap();
            assert!(found.abs_diff(told) <= 16, "{found} pages, and not {told}");
            assert_eq!(getrlimit(Resource::RLIMIT_AS).unwrap(), before);
            return;
        }
        let program = std::env::current_exe().unwrap();
        let status = std::process::Command::new(program)
            .args([
                "--exact",
                "address_space::tests::what_is_searched_is_what_proc_tells",
            ])
            .args(["--test-threads", "1"])
            .env(ALONE, "1")
            .status();
        assert!(status.unwrap().success());
    }
}
