//! The files of a new project.

use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;

use super::sdk;
use super::specification::{Project, Questions};
use crate::CONTRACT;
use crate::language::Language;

switch_root_core::outcomes! {
    /// Why the SDK that is named is not used.
    pub(crate) enum NoSdk in "policies" {
        /// Name the folder of the crate, or leave `--sdk` out: the project gets a copy then.
        "SR-T24" Missing { path: String } = "cannot find the SDK {path}",
        "SR-T25" Other { path: String } = "{path} is not the crate of the SDK; name the folder policies/sdk of switch-root's sources",
    }
}

/// A file: its path in the project, and what is in it.
type File = (String, String);

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../templates/", $path))
    };
}

/// Whether the policy in this language and with these questions has settings. Nothing reads
/// JSON in C that would be worth its size.
fn has_settings(project: &Project) -> bool {
    project.questions.preservation() && project.language != Language::C
}

/// All files of a project.
///
/// # Errors
/// There is no SDK where one is said to be.
pub fn of(project: &Project) -> Result<Vec<File>> {
    let mut files = match project.language {
        Language::Rust => rust(project)?,
        Language::C => c(project.questions),
        Language::JavaScript => javascript(project),
        Language::Python => python(project.questions),
    };
    if project.language != Language::Rust {
        files.push(("wit/world.wit".into(), world(project)));
        files.push((
            "wit/deps/switch-root-policy/policy.wit".into(),
            CONTRACT.into(),
        ));
    }
    files.extend(cases(project));
    files.push((format!("{}.json", project.name), sidecar(project)));
    files.push(("README.md".into(), readme(project)));
    files.push((
        ".gitignore".into(),
        format!(
            "/target/\n/.build/\n__pycache__/\n/{}.wasm\n/{0}.cwasm\n",
            project.name
        ),
    ));
    Ok(files)
}

fn rust(project: &Project) -> Result<Vec<File>> {
    let place = match &project.sdk {
        None => "sdk".to_owned(),
        Some(path) => {
            let path = path.canonicalize().map_err(|error| {
                let path = path.shown();
                Error::system(NoSdk::Missing { path }, &error)
            })?;
            let manifest = std::fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
            match path.to_str() {
                Some(text)
                    if manifest.contains("\"switch-root-policy\"")
                        && !text.contains(['"', '\\', '\n']) =>
                {
                    text.to_owned()
                }
                _ => {
                    let path = path.shown();
                    return Err(Error::input(NoSdk::Other { path }));
                }
            }
        }
    };
    let mut manifest = template!("rust/manifest.toml")
        .replace("@NAME@", &project.name.to_string())
        .replace("@SDK@", &place);
    if !has_settings(project) {
        manifest = manifest
            .lines()
            .filter(|line| !line.starts_with("serde = "))
            .map(|line| line.replace(", features = [\"json\"]", "") + "\n")
            .collect();
    }
    let mut modules = String::new();
    let mut answers = Vec::new();
    let mut files = vec![("Cargo.toml".to_owned(), manifest)];
    for (asked, name, source) in [
        (
            project.questions.compatibility(),
            "compatibility",
            template!("rust/compatibility.rs"),
        ),
        (
            project.questions.preservation(),
            "preservation",
            template!("rust/preservation.rs"),
        ),
    ] {
        if asked {
            modules.push_str(&format!("mod {name};\n"));
            answers.push(name);
            files.push((format!("src/{name}.rs"), source.into()));
        }
    }
    if has_settings(project) {
        answers.push("settings");
    }
    let lib = template!("rust/lib.rs")
        .replace("@MODULES@", &modules)
        .replace("@ANSWERS@", &answers.join(", "));
    files.push(("src/lib.rs".into(), lib));
    if project.sdk.is_none() {
        let sdk = sdk::files();
        files.extend(sdk.map(|(path, content)| (format!("sdk/{path}"), content)));
    }
    Ok(files)
}

fn c(questions: Questions) -> Vec<File> {
    let preservation = template!("c/preservation.c");
    let compatibility = template!("c/compatibility.c");
    let sources = match questions {
        Questions::Preservation => vec![("policy.c", preservation)],
        Questions::Compatibility => vec![("policy.c", compatibility)],
        Questions::Both => vec![
            ("policy.c", preservation),
            ("compatibility.c", compatibility),
        ],
    };
    let header = ("text.h", template!("c/text.h"));
    let owned = |(name, content): (&str, &str)| (name.to_owned(), content.to_owned());
    sources.into_iter().chain([header]).map(owned).collect()
}

fn javascript(project: &Project) -> Vec<File> {
    let questions = project.questions;
    let mut policy = String::from(
        "// The policy: an export for each interface that the world in wit/world.wit exports.\n\n",
    );
    let manifest =
        template!("javascript/package.json").replace("@NAME@", &project.name.to_string());
    let mut files = vec![("package.json".to_owned(), manifest)];
    if questions.compatibility() {
        policy.push_str("export * as compatibility from \"./compatibility.js\";\n");
        let source = template!("javascript/compatibility.js");
        files.push(("compatibility.js".into(), source.into()));
    }
    if questions.preservation() {
        policy.push_str(
            "import { configure, review } from \"./preservation.js\";\n\nexport const settings = { configure };\nexport const preservation = { review };\n",
        );
        let source = template!("javascript/preservation.js");
        files.push(("preservation.js".into(), source.into()));
    }
    files.push(("policy.js".into(), policy));
    files
}

fn python(questions: Questions) -> Vec<File> {
    let mut policy = String::from(
        "\"\"\"The policy: a class for each interface that the world in wit/world.wit exports.\"\"\"\n\n",
    );
    let requirements = template!("python/requirements.txt").to_owned();
    let mut files = vec![("requirements.txt".to_owned(), requirements)];
    if questions.compatibility() {
        policy.push_str("from compatibility import Compatibility as Compatibility\n");
        let source = template!("python/compatibility.py");
        files.push(("compatibility.py".into(), source.into()));
    }
    if questions.preservation() {
        policy.push_str(
            "from preservation import Preservation as Preservation, Settings as Settings\n",
        );
        let source = template!("python/preservation.py");
        files.push(("preservation.py".into(), source.into()));
    }
    files.push(("policy.py".into(), policy));
    files
}

fn world(project: &Project) -> String {
    let mut text = format!(
        "package local:{};\n\n/// What the component imports and exports.\nworld policy {{\n",
        project.name
    );
    // The contract begins its package statement like this, see the tests.
    let version = CONTRACT
        .split_once("package switch-root:policy@")
        .and_then(|(_, rest)| rest.split_once(';'))
        .map_or("", |(version, _)| version);
    for (included, name) in [
        (project.questions.compatibility(), "compatibility"),
        (project.questions.preservation(), "preservation"),
        (has_settings(project), "configurable"),
    ] {
        if included {
            text.push_str(&format!(
                "    include switch-root:policy/{name}-policy@{version};\n"
            ));
        }
    }
    text.push_str("}\n");
    text
}

fn cases(project: &Project) -> Vec<File> {
    let mut cases = Vec::new();
    if project.questions.preservation() {
        let case = match has_settings(project) {
            true => template!("cases/preservation.yaml"),
            false => template!("cases/preservation-c.yaml"),
        };
        cases.push(("cases/preservation.yaml".to_owned(), case.to_owned()));
    }
    if has_settings(project) {
        let message = match project.language {
            Language::Rust => "unknown field `kept`, expected `keep` at line 1 column 7",
            _ => r#"there is no setting "kept", only "keep""#,
        };
        let message = format!("refuses its settings: {message}");
        cases.push((
            "cases/wrong-settings.yaml".to_owned(),
            template!("cases/wrong-settings.yaml").replace("@MESSAGE@", &message),
        ));
    }
    if project.questions.compatibility() {
        cases.push((
            "cases/compatibility.yaml".to_owned(),
            template!("cases/compatibility.yaml").to_owned(),
        ));
    }
    cases
}

/// The sidecar. An interpreter in the component takes more than the default limits grant.
fn sidecar(project: &Project) -> String {
    let mut parts = Vec::new();
    if has_settings(project) {
        let pattern = match project.language {
            Language::Rust => "/etc/ssh/ssh_host_*",
            _ => "/etc/ssh/ssh_host_ed25519_key",
        };
        parts.push(format!("\"settings\": {{\"keep\": [\"{pattern}\"]}}"));
    }
    match project.language {
        Language::Rust | Language::C => {}
        Language::JavaScript => parts.push(template!("javascript/limits.json").trim_end().into()),
        Language::Python => parts.push(template!("python/limits.json").trim_end().into()),
    }
    parts.push("\"on_failure\": \"safe\"".into());
    format!("{{\n  {}\n}}\n", parts.join(",\n  "))
}

fn readme(project: &Project) -> String {
    let questions = project.questions;
    let mut what = Vec::new();
    if questions.preservation() {
        what.push(match has_settings(project) {
            true => "It keeps the paths of the initramfs that its settings list.",
            false => "It keeps the SSH host keys of the initramfs.",
        });
    }
    if questions.compatibility() {
        what.push("It finds system extensions incompatible whose name another one has, too.");
    }
    let (needs, files, contract) = match project.language {
        Language::Rust => (
            "Rust with the target wasm32-unknown-unknown (`rustup target add wasm32-unknown-unknown`)",
            "| `src/` | The policy. |\n",
            match &project.sdk {
                None => "`sdk/wit/policy.wit`",
                Some(_) => "the SDK's `wit/policy.wit`",
            },
        ),
        Language::C => (
            "clang for WebAssembly: Debian's packages clang, lld, wasi-libc and libclang-rt-dev-wasm32",
            "| `policy.c` and other C files | The policy. `contract.h` is made of `wit/` when it is built. |\n| `wit/world.wit` | The questions that it answers. |\n",
            "`wit/deps/switch-root-policy/policy.wit`",
        ),
        Language::JavaScript => (
            "Node.js 18 or newer and npm, which fetches what `package.json` names when it is built first",
            "| `policy.js` and what it imports | The policy. |\n| `wit/world.wit` | The questions that it answers. |\n",
            "`wit/deps/switch-root-policy/policy.wit`",
        ),
        Language::Python => (
            "Python 3.10 or newer with venv; pip fetches what `requirements.txt` names when it is built first",
            "| `policy.py` and what it imports | The policy. |\n| `wit/world.wit` | The questions that it answers. |\n",
            "`wit/deps/switch-root-policy/policy.wit`",
        ),
    };
    let note = match project.language {
        Language::Rust => {
            if project.sdk.is_none() {
                "\n`sdk/` is a copy of the crate that policies in Rust are made with.\n"
            } else {
                ""
            }
        }
        Language::C => {
            "\nFunctions that need a system (those of stdio.h, time.h, unistd.h) cannot be used: a policy may not\nimport WASI. `text.h` has some of what is missing then.\n"
        }
        Language::JavaScript | Language::Python => {
            "\nThe component has the interpreter in it, so compiling it takes longer than a boot should wait: compile\nit ahead of time (`srctl policy compile`), and put the `.cwasm` beside it. Its limits are in the sidecar,\nsince the defaults are made for small policies.\n"
        }
    };
    template!("README.md")
        .replace("@NAME@", &project.name.to_string())
        .replace("@LANGUAGE@", project.language.name())
        .replace("@WHAT@", &what.join(" "))
        .replace("@NEEDS@", needs)
        .replace("@FILES@", files)
        .replace("@NOTE@", note)
        .replace("@CONTRACT@", contract)
}
