//! What the whole-system tests test, built once for whoever runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use switch_root_tests::architecture::Architecture;

use crate::beside::beside;
use crate::distributions::{NEWEST, SUITES};
use crate::run::{cargo, run};
use crate::setup::{
    self, IMAGES, LANGUAGES, PAGES, PEERS, QEMU, QEMU_AARCH64, REGISTRY, SERVERS, SHELLCHECK,
    STATIC, WASM,
};
use crate::{dist, distributions, foreign, generators, kernels, mkosi, native, packages};

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
    mkosi: Option<PathBuf>,
}

/// Tests that cannot run here, each with its reason.
#[derive(Default)]
pub struct Skipped(Vec<String>);

impl Skipped {
    /// One more that cannot run.
    pub fn push(&mut self, reason: String) {
        self.0.push(reason);
    }

    /// What could be had; without it, one more that cannot run.
    fn unless<T>(&mut self, had: Result<T, String>) -> Option<T> {
        had.map_err(|reason| self.push(reason)).ok()
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

/// The cargo that runs the whole-system tests.
pub fn tests() -> Command {
    let mut tests = cargo();
    tests.args(["test", "--locked", "--package", "switch-root-tests"]);
    tests.args(["--target", STATIC]);
    tests
}

/// What the tests need beside the programs of this architecture.
struct Fetched {
    aarch64: Option<PathBuf>,
    /// The minimal Debian that packages are tried in.
    debian: Option<PathBuf>,
    generators: PathBuf,
    distributions: Option<PathBuf>,
}

impl Fetched {
    /// Gets it. What cannot be had is skipped.
    fn get(components: &Path, skipped: &mut Skipped) -> Result<Self> {
        let mut tools = vec![&QEMU, &QEMU_AARCH64, &PEERS[1], &SHELLCHECK];
        tools.extend(IMAGES.iter().chain(&REGISTRY).chain(&LANGUAGES));
        tools.extend(PAGES.iter().chain(&SERVERS));
        for package in setup::tools(&tools) {
            skipped.push(format!("the tests that need Debian's package {package}"));
        }
        let aarch64 = foreign::programs(Architecture::Aarch64, components)?.map_err(|packages| {
            format!(
                "the tests on aarch64, whose programs cannot be built without Debian's {packages}"
            )
        });
        let (generators, missing) = generators::fetch();
        let without = kernels::fetch(Architecture::Aarch64).1;
        without
            .into_iter()
            .chain(missing)
            .for_each(|reason| skipped.push(reason));
        let distributions = distributions::make(SUITES[0])
            .map_err(|error| format!("the tests that boot a distribution: {error:#}"));
        Ok(Self {
            aarch64: skipped.unless(aarch64),
            debian: skipped.unless(packages::possible()?),
            generators,
            distributions: skipped.unless(distributions),
        })
    }
}

impl Subjects {
    /// Builds them all, and gets what the tests need beside them.
    ///
    /// # Errors
    /// What cannot be built. What only cannot be had is skipped.
    pub fn build(components: &Path, skipped: &mut Skipped) -> Result<Self> {
        let mut not_here = Skipped::default();
        let (mut subjects, fetched) = beside(
            || Self::of_this_architecture(components, skipped),
            || Fetched::get(components, &mut not_here),
        )?;
        skipped.0.append(&mut not_here.0);
        subjects.aarch64 = fetched.aarch64;
        subjects.generators = Some(fetched.generators);
        subjects.distributions = fetched.distributions;
        if let Some(debian) = fetched.debian {
            subjects.packages = Some(packages::to_try(debian)?);
        }
        Ok(subjects)
    }

    /// Builds those that run on this architecture.
    ///
    /// # Errors
    /// What cannot be built.
    pub fn of_this_architecture(components: &Path, skipped: &mut Skipped) -> Result<Self> {
        setup::targets(&[STATIC, WASM])?;
        let boot = || Ok((dist::boot_binary(true)?, dist::boot_binary(false)?));
        let ((full, small), srctl) = beside(boot, dist::operator_binary)?;
        let subjects = Self {
            full,
            small,
            srctl,
            policies: native::policies(components)?,
            kernels: PathBuf::new(),
            generators: None,
            aarch64: None,
            packages: None,
            distributions: None,
            mkosi: None,
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
        if let Some(folder) = &self.mkosi {
            command.env("SWITCH_ROOT_MKOSI", folder);
        }
    }

    /// Boots a suite of Debian in place of the one before, and what mkosi makes of our example,
    /// with these policies; but not with the newest, which is for what only it has.
    ///
    /// # Errors
    /// What cannot be had.
    pub fn boot(&mut self, suite: &str, components: &Path) -> Result<()> {
        self.distributions = Some(distributions::make(suite)?);
        let packages = self.packages.as_ref().context("there are no packages")?;
        self.mkosi = match suite {
            NEWEST => None,
            _ => Some(mkosi::make(&packages.folder, components)?),
        };
        Ok(())
    }

    /// Runs the whole-system tests whose names hold `part`; with `thorough` the whole
    /// tables, and not a sample of them.
    ///
    /// # Errors
    /// Where one fails.
    pub fn test(&self, part: Option<&str>, thorough: bool) -> Result<()> {
        let mut tests = tests();
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
