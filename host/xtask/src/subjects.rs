//! What the whole-system tests test, built once for whoever runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use switch_root_tests::architecture::Architecture;

use crate::beside::beside;
use crate::distributions::{NEWEST, SUITES};
use crate::run::{run, target};
use crate::setup::{
    self, IMAGES, LANGUAGES, PAGES, PEERS, QEMU, QEMU_AARCH64, REGISTRY, SERVERS, SHELLCHECK,
    STATIC,
};
use crate::{
    dist, distributions, engine, foreign, generators, kernels, mkosi, native, packages, programs,
};

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
pub struct Skipped {
    /// What could run where CI=true is set.
    reasons: Vec<String>,
    /// What nothing installs.
    optional: Vec<String>,
}

impl Skipped {
    /// One more that cannot run.
    pub fn push(&mut self, reason: String) {
        self.reasons.push(reason);
    }

    /// One more that cannot run, by a program that only some have: a failure nowhere.
    pub fn optional(&mut self, reason: String) {
        self.optional.push(reason);
    }

    /// Those of somebody else, too.
    fn append(&mut self, mut others: Self) {
        self.reasons.append(&mut others.reasons);
        self.optional.append(&mut others.optional);
    }

    /// What could be had; without it, one more that cannot run.
    fn unless<T>(&mut self, had: Result<T, String>) -> Option<T> {
        had.map_err(|reason| self.push(reason)).ok()
    }

    /// Each reason.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// Prints them.
    ///
    /// # Errors
    /// With CI=true, where one could run there.
    pub fn settle(self) -> Result<()> {
        for reason in self.reasons.iter().chain(&self.optional) {
            println!("skipped: {reason}");
        }
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        if ci && !self.reasons.is_empty() {
            bail!("with CI=true nothing may be skipped that could run");
        }
        Ok(())
    }
}

/// The cargo that runs the whole-system tests.
///
/// # Errors
/// Where it cannot build what it needs.
pub fn tests() -> Result<Command> {
    let mut tests = engine::testing("test")?;
    tests.args(["--package", "switch-root-tests"]);
    Ok(tests)
}

/// Which boot binary with a compiler is tested. The one without is always the one that is
/// installed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// The one that is built with `srctl`: it differs in how it is optimized alone.
    Tested,
    /// The one that is installed.
    Installed,
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
    fn get(boot: Boot, components: &Path, skipped: &mut Skipped) -> Result<Self> {
        let mut tools = vec![&QEMU, &PEERS[1], &SHELLCHECK];
        tools.extend(IMAGES.iter().chain(&REGISTRY).chain(&LANGUAGES));
        tools.extend(PAGES.iter().chain(&SERVERS));
        for package in setup::tools(&tools) {
            skipped.push(format!("the tests that need Debian's package {package}"));
        }
        let aarch64 = match boot {
            Boot::Tested => foreign::check(Architecture::Aarch64)?.map(|()| None),
            Boot::Installed => foreign::programs(Architecture::Aarch64, components)?.map(Some),
        };
        let aarch64 = aarch64.map_err(|packages| {
            format!("what is built for aarch64, which takes Debian's {packages}")
        });
        let (generators, mut missing) = generators::fetch();
        if boot == Boot::Installed {
            let packages = setup::tools(&[&QEMU_AARCH64]).into_iter();
            missing.extend(packages.map(|it| format!("the tests that need Debian's package {it}")));
            missing.extend(kernels::fetch(Architecture::Aarch64).1);
        }
        missing.into_iter().for_each(|reason| skipped.push(reason));
        let distributions = distributions::make(SUITES[0])
            .map_err(|error| format!("the tests that boot a distribution: {error:#}"));
        Ok(Self {
            aarch64: skipped.unless(aarch64).flatten(),
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
    pub fn build(boot: Boot, components: &Path, skipped: &mut Skipped) -> Result<Self> {
        let mut not_here = Skipped::default();
        let (mut subjects, fetched) = beside(
            || Self::of_this_architecture(boot, components, skipped),
            || Fetched::get(boot, components, &mut not_here),
        )?;
        skipped.append(not_here);
        subjects.aarch64 = fetched.aarch64;
        subjects.generators = Some(fetched.generators);
        subjects.distributions = fetched.distributions;
        if let Some(debian) = fetched.debian {
            subjects.packages = Some(match boot {
                Boot::Installed => packages::to_try(debian, &dist::dist()?)?,
                Boot::Tested => packages::to_try(debian, &subjects.laid_out()?)?,
            });
        }
        Ok(subjects)
    }

    /// Builds those that run on this architecture.
    ///
    /// # Errors
    /// What cannot be built.
    pub fn of_this_architecture(
        boot: Boot,
        components: &Path,
        skipped: &mut Skipped,
    ) -> Result<Self> {
        let programs = programs::build()?;
        let full = match boot {
            Boot::Tested => programs.join("switch_root"),
            Boot::Installed => dist::boot_binary(true)?,
        };
        let small = dist::boot_binary(false)?;
        let srctl = programs.join("srctl");
        native::policies(components, components, STATIC)?;
        let subjects = Self {
            full,
            small,
            srctl,
            policies: components.to_owned(),
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

    /// Lays them out as they are installed, and returns the folder.
    fn laid_out(&self) -> Result<PathBuf> {
        let folder = target().join("tried");
        dist::like_dist(&folder, &self.full, &self.small, &self.srctl)?;
        Ok(folder)
    }

    /// Compares the sizes of those that are installed with those that were accepted.
    ///
    /// # Errors
    /// Which of them has grown.
    pub fn compare_sizes(&self) -> Result<()> {
        dist::compare_sizes(&self.full, &self.small, &self.srctl)
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
        let mut tests = tests()?;
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
