//! Whole-system tests of `switch_root`. Each name is a sentence that must be true.
//!
//! `cargo xtask test` builds what they need and sets the environment; README.md beside
//! this directory says how to run them by hand.

mod aarch64;
mod asking;
mod book;
mod check;
mod command_line;
mod comparing;
mod configuration;
mod connections;
mod contract;
mod cost;
mod distributing;
mod distributions;
mod doctor;
mod durations;
mod extensions_yaml;
mod failing;
mod faults;
mod formats;
mod frozen;
mod generators;
mod harness;
mod hostile;
mod inspecting;
mod installed;
mod installing;
mod interrupting;
mod kernels;
mod languages;
mod leftovers;
mod machines;
mod manual_pages;
mod measuring;
mod native;
mod not_distributing;
mod not_installing;
mod not_planning;
mod not_rehearsing;
mod odd_trees;
mod packages;
mod packing;
mod places;
mod planning;
mod policies;
mod policy_cases;
mod precompiling;
mod preparing;
mod preserving;
mod processes;
mod pulling;
mod random_scenes;
mod refusals;
mod rehearsing;
mod report;
mod safety;
mod shells;
mod shipped;
mod shortages;
mod signing;
mod squashed;
mod srctl;
mod staging;
mod status;
mod strategies;
mod streams;
mod terminal;
mod tools;
mod trusting;
mod unanswering;
mod unconfined;
mod unpacking;
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
        hostile::cases(),
        shipped::cases(),
        native::cases(),
        extensions_yaml::cases(),
        odd_trees::cases(),
        random_scenes::cases(),
        strategies::cases(),
        streams::cases(),
        unanswering::cases(),
        processes::cases(),
        preserving::cases(),
        preserving::room::cases(),
        preserving::preflight::cases(),
        preserving::failing::cases(),
        preserving::overlay::cases(),
        safety::cases(),
        leftovers::cases(),
        places::cases(),
        faults::cases(),
        shortages::cases(),
        cost::cases(),
        report::cases(),
        kernels::cases(),
        aarch64::cases(),
        whole_boot::cases(),
        whole_boot::attributes::cases(),
        pulling::cases(),
        distributing::cases(),
        not_distributing::cases(),
        connections::cases(),
        validating::cases(),
        packing::cases(),
        configuration::cases(),
        policy_cases::cases(),
        installing::cases(),
        not_installing::cases(),
        interrupting::cases(),
        installed::cases(),
        planning::cases(),
        squashed::cases(),
        squashed::exhausting::cases(),
        not_planning::cases(),
        unconfined::cases(),
        comparing::cases(),
        unpacking::cases(),
        contract::cases(),
        inspecting::cases(),
        measuring::cases(),
        precompiling::cases(),
        preparing::cases(),
        asking::cases(),
        failing::cases(),
        formats::cases(),
        frozen::cases(),
        shells::cases(),
        terminal::cases(),
        rehearsing::cases(),
        rehearsing::contained::cases(),
        not_rehearsing::cases(),
        languages::cases(),
        signing::cases(),
        trusting::cases(),
        packages::all(),
        staging::cases(),
        generators::cases(),
        status::cases(),
        doctor::cases(),
        distributions::cases(),
        book::cases(),
    ];
    let conclusion = libtest_mimic::run(&arguments, themes.into_iter().flatten().collect());
    durations::print();
    conclusion.exit();
}
