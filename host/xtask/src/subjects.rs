//! What the whole-system tests test, built once for whoever runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use switch_root_tests::architecture::Architecture;

use crate::run::{cargo, run};
use crate::setup::{
    self, IMAGES, LANGUAGES, PAGES, PEERS, QEMU, QEMU_AARCH64, REGISTRY, SHELLCHECK, STATIC, WASM,
};
use crate::{dist, distributions, foreign, generators, kernels, native, packages};

/// The programs and kernels under test.
pub struct Subjects {
    full: PathBuf,
    small: PathBuf,
    /// The operator's program.
    pub srctl: PathBuf,
    policies: PathBuf,
    kernels: PathBuf,
    generators: Option<PathBuf>,
    aarch64: Option<PathBuf>,
    packages: Option<packages::Tried>,
    distributions: Option<PathBuf>,
}

/// Tests that cannot run here, each with its reason.
#[derive(Default)]
pub struct Skipped(Vec<String>);

impl Skipped {
    /// One more that cannot run.
    pub fn push(&mut self, reason: String) {
        self.0.push(reason);
    }

    /// Each reason.
    pub fn reasons(&self) -> &[String] {
        &self.0
    }

    /// Prints them.
    ///
    /// # Errors
    /// With CI=true, where one could run there.
    pub fn settle(self) -> Result<()> {
        for reason in &self.0 {
            println!("skipped: {reason}");
        }
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        if ci && !self.0.is_empty() {
            bail!("with CI=true nothing may be skipped that could run");
        }
        Ok(())
    }
}

impl Subjects {
    /// Builds them all, and gets what the tests need beside them.
    ///
    /// # Errors
    /// What cannot be built. What only cannot be had is skipped.
    pub fn build(components: &Path, skipped: &mut Skipped) -> Result<Self> {
        let mut subjects = Self::of_this_architecture(components, skipped)?;
        match foreign::programs(Architecture::Aarch64, components)? {
            Ok(folder) => subjects.aarch64 = Some(folder),
            Err(packages) => skipped.push(format!(
                "the tests on aarch64, whose programs cannot be built without Debian's {packages}"
            )),
        }
        match packages::to_try()? {
            Ok(packages) => subjects.packages = Some(packages),
            Err(reason) => skipped.push(reason),
        }
        let mut tools = vec![&QEMU, &QEMU_AARCH64, &PEERS[1], &SHELLCHECK];
        tools.extend(IMAGES.iter().chain(&REGISTRY).chain(&LANGUAGES));
        tools.extend(&PAGES);
        for package in setup::tools(&tools) {
            skipped.push(format!("the tests that need Debian's package {package}"));
        }
        for reason in kernels::fetch(Architecture::Aarch64).1 {
            skipped.push(reason);
        }
        let (generators, missing) = generators::fetch();
        missing.into_iter().for_each(|reason| skipped.push(reason));
        subjects.generators = Some(generators);
        match distributions::make() {
            Ok(folder) => subjects.distributions = Some(folder),
            Err(error) => skipped.push(format!("the tests that boot a distribution: {error:#}")),
        }
        Ok(subjects)
    }

    /// Builds those that run on this architecture.
    ///
    /// # Errors
    /// What cannot be built.
    pub fn of_this_architecture(components: &Path, skipped: &mut Skipped) -> Result<Self> {
        setup::targets(&[STATIC, WASM])?;
        let subjects = Self {
            full: dist::boot_binary(true)?,
            small: dist::boot_binary(false)?,
            srctl: dist::operator_binary()?,
            policies: native::policies(components)?,
            kernels: PathBuf::new(),
            generators: None,
            aarch64: None,
            packages: None,
            distributions: None,
        };
        let (kernels, missing) = kernels::fetch(Architecture::X86_64);
        missing.into_iter().for_each(|reason| skipped.push(reason));
        Ok(Self {
            kernels,
            ..subjects
        })
    }

    /// Tells a program where they are.
    pub fn name_to(&self, command: &mut Command) {
        command
            .env("SWITCH_ROOT_BIN", &self.full)
            .env("SWITCH_ROOT_AOT_BIN", &self.small)
            .env("SWITCH_ROOT_SRCTL", &self.srctl)
            .env("SWITCH_ROOT_POLICIES", &self.policies)
            .env("SWITCH_ROOT_KERNELS", &self.kernels);
        if let Some(folder) = &self.aarch64 {
            command.env("SWITCH_ROOT_AARCH64", folder);
        }
        if let Some(packages) = &self.packages {
            command
                .env("SWITCH_ROOT_PACKAGES", &packages.folder)
                .env("SWITCH_ROOT_MINIMAL_DEBIAN", &packages.debian);
        }
        if let Some(folder) = &self.generators {
            command.env("SWITCH_ROOT_GENERATORS", folder);
        }
        if let Some(folder) = &self.distributions {
            command.env("SWITCH_ROOT_DISTRIBUTIONS", folder);
        }
    }

    /// Runs the whole-system tests whose names hold `part`; with `thorough` the whole
    /// tables, and not a sample of them.
    ///
    /// # Errors
    /// Where one fails.
    pub fn test(&self, part: Option<&str>, thorough: bool) -> Result<()> {
        let mut tests = cargo();
        tests.args(["test", "--locked", "--package", "switch-root-tests"]);
        tests.args(["--target", STATIC]);
        if let Some(part) = part {
            tests.args(["--test", "system", "--", part]);
        }
        if thorough {
            tests.env("SWITCH_ROOT_PROVE", "full");
        }
        self.name_to(&mut tests);
        run(&mut tests)
    }
}
