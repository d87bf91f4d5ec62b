//! Whole-system tests of `switch_root`. Each name is a sentence that must be true.
//!
//! `cargo xtask test` builds what they need and sets the environment; README.md beside
//! this directory says how to run them by hand.

mod check;
mod command_line;
mod configuration;
mod connections;
mod extensions_yaml;
mod harness;
mod installed;
mod installing;
mod interrupting;
mod kernels;
mod native;
mod not_installing;
mod odd_trees;
mod packing;
mod policies;
mod pulling;
mod refusals;
mod report;
mod safety;
mod signing;
mod srctl;
mod strategies;
mod tools;
mod trusting;
mod validating;
mod whole_boot;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let themes: Vec<Vec<Trial>> = vec![
        harness::cases(),
        refusals::cases(),
        command_line::cases(),
        policies::cases(),
        native::cases(),
        extensions_yaml::cases(),
        odd_trees::cases(),
        strategies::cases(),
        safety::cases(),
        report::cases(),
        kernels::cases(),
        whole_boot::cases(),
        pulling::cases(),
        connections::cases(),
        validating::cases(),
        packing::cases(),
        configuration::cases(),
        installing::cases(),
        not_installing::cases(),
        interrupting::cases(),
        installed::cases(),
        signing::cases(),
        trusting::cases(),
    ];
    libtest_mimic::run(&arguments, themes.into_iter().flatten().collect()).exit();
}
