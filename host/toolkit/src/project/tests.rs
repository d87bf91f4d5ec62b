use super::*;
use crate::language::Language;
use crate::world::World;

fn project(language: Language, questions: Questions) -> Project {
    Project {
        name: "keep-2"
            .parse()
            .unwrap_or_else(|_| "keep-it2".parse().unwrap()),
        language,
        questions,
        sdk: None,
    }
}

#[test]
fn a_name_is_one_in_every_language() {
    for name in ["a", "keep-host-keys", "a1-b2"] {
        assert_eq!(name.parse::<Name>().unwrap().to_string(), name);
    }
    let long = "a".repeat(65);
    for name in [
        "", "-", "a-", "-a", "a--b", "1a", "a-1", "A", "a_b", "a.b", "a/b", "..", "ä", &long,
    ] {
        let error = name.parse::<Name>().unwrap_err().to_string();
        assert!(error.contains("such as keep-host-keys"), "{name}: {error}");
    }
    for name in ["test", "package", "switch-root-policy"] {
        assert!(
            name.parse::<Name>()
                .unwrap_err()
                .to_string()
                .contains("choose another")
        );
    }
}

#[test]
fn a_project_is_told_by_its_files_and_says_which_questions_it_answers() {
    for language in Language::ALL {
        for (questions, expected) in [
            (Questions::Preservation, vec!["preservation"]),
            (Questions::Compatibility, vec!["compatibility"]),
            (Questions::Both, vec!["compatibility", "preservation"]),
        ] {
            let place = tempfile::tempdir().unwrap();
            let folder = place.path().join("p");
            let files = create(&project(language, questions), &folder).unwrap();
            assert_eq!(Language::of(&folder), Ok(language));
            for file in &files {
                let text = fs::read_to_string(folder.join(file)).unwrap();
                for left in ["@NAME@", "@SDK@", "@VERSION@", "@WHAT@", "@MESSAGE@"] {
                    assert!(!text.contains(left), "{file}: {text}");
                }
            }
            let sidecar = fs::read(folder.join("keep-it2.json")).unwrap();
            policy::sidecar::Sidecar::parse(&sidecar).unwrap();
            assert_eq!(
                files.contains(&"cases/preservation.yaml".to_owned()),
                expected.contains(&"preservation")
            );
            if language == Language::Rust {
                continue;
            }
            let world = World::read(&folder).unwrap();
            assert_eq!((&*world.policy, &*world.name), ("keep-it2", "policy"));
            let exports: Vec<_> = world.resolve.worlds[world.id]
                .exports
                .keys()
                .map(|key| world.resolve.name_world_key(key))
                .filter(|name| !name.contains("settings"))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|name| format!("switch-root:policy/{name}@0.1.0"))
                .collect();
            assert_eq!(exports, expected);
        }
    }
}

#[test]
fn nothing_is_written_over_and_nothing_is_left_half_done() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("p");
    let mut rust = project(Language::Rust, Questions::Both);
    fs::create_dir(&folder).unwrap();
    let error = create(&rust, &folder).unwrap_err().to_string();
    assert!(error.contains("it is there already"), "{error}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    fs::remove_dir(&folder).unwrap();
    for sdk in [place.path().to_owned(), place.path().join("no")] {
        rust.sdk = Some(sdk);
        let error = create(&rust, &folder).unwrap_err().to_string();
        assert!(error.contains("SDK"), "{error}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn the_examples_have_the_contract_and_the_tools_of_new_projects() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/examples");
    for (example, language) in [
        ("c", Language::C),
        ("js", Language::JavaScript),
        ("python", Language::Python),
    ] {
        let folder = examples.join(example);
        assert_eq!(Language::of(&folder), Ok(language));
        let files = super::files::of(&project(language, Questions::Both)).unwrap();
        let same = [
            "wit/deps/switch-root-policy/policy.wit",
            "text.h",
            "requirements.txt",
        ];
        for (name, content) in files.iter().filter(|(name, _)| same.contains(&&**name)) {
            let there = fs::read_to_string(folder.join(name)).unwrap();
            assert_eq!(&there, content, "{example}/{name}");
        }
        let limits = |folder: &Path, name: &str| {
            let sidecar = fs::read(folder.join(format!("{name}.json"))).unwrap();
            policy::sidecar::Sidecar::parse(&sidecar).unwrap().limits
        };
        let name = World::read(&folder).unwrap().policy;
        let place = tempfile::tempdir().unwrap();
        let new = place.path().join("p");
        create(&project(language, Questions::Both), &new).unwrap();
        assert_eq!(
            limits(&folder, &name),
            limits(&new, "keep-it2"),
            "{example}"
        );
    }
}
