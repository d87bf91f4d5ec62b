//! Whole distributions, with their own init, booted with an initramfs that their own
//! generators made: what somebody has who installs the packages.
//!
//! An image as Talos Linux has them is in `installed.rs`: a root image (squashfs), layers of
//! extensions that `srctl extension install` puts on it, and our program as the only one that
//! is in the initramfs.

mod alpine;
mod debian;
mod dracut;
mod initramfs_tools;
mod mkosi;
mod soft_reboot;
mod squash;
mod survivors;

use alpine::*;
use dracut::*;
use initramfs_tools::*;
use mkosi::*;
use soft_reboot::*;
use squash::*;

use crate::tools::cases;

cases![
    debian_starts_through_the_run_init_of_the_package,
    srctl_shows_the_report_of_the_boot,
    the_journal_has_the_messages_of_the_switch_with_their_priorities,
    a_policy_of_the_operator_is_in_the_next_image_and_keeps_what_it_says,
    what_srctl_planned_for_an_image_of_debian_is_what_happened,
    a_policy_that_cannot_be_loaded_is_left_out_of_the_image_with_a_warning,
    a_policy_that_fails_does_not_stop_debian,
    as_much_memory_is_free_as_where_debian_switches_by_itself,
    removing_the_packages_brings_back_what_was_there,
    an_image_of_dracut_switches_through_our_switch_root,
    systemd_in_the_initramfs_switches_with_what_was_preserved_before,
    squashed_image_of_dracut_preserves_before_systemd_switches,
    an_initramfs_of_mkosi_asks_the_policies_before_systemd_switches,
    the_report_outlives_a_soft_reboot,
    busybox_as_init_starts_reaps_and_shuts_down,
];
