//! The planner on random facts, decisions and options.

use policy::compatibility::Judged;
use policy::consequence::Consequences;
use policy::preservation::Review;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use switch_root_core::contract::{Extension, Outcome as Verdicts};
use switch_root_core::extensions::Unknown;
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;
use switch_root_core::parameters::Extensions;
use switch_root_core::path::Path;
use switch_root_core::plan::{Deletion, Preserved, Strategy as How};
use switch_root_core::preserved::{Claim, is_by_policy};

use super::*;
use crate::mounts::{self, Mount};

const POLICIES: [&str; 3] = ["00-default", "50-a", "60-b"];
const PATHS: [&str; 6] = [
    "/a",
    "/a/b",
    "/etc/x",
    "/extensions.yaml",
    "/lib/modules",
    "/mnt",
];
const TARGETS: [&str; 3] = ["/etc/x", "/etc/extensions.yaml", "/etc/x/y"];

/// What is mounted in every initramfs; the new root is the second one.
const ALWAYS: &str = "1 0 0:2 / / rw - tmpfs none rw\n\
    2 1 0:9 / /sysroot ro - ext4 /dev/vda ro\n";
/// What may be, none of which uses the initramfs.
const HARMLESS: [&str; 6] = [
    "3 1 0:5 / /dev rw - devtmpfs none rw\n",
    "4 1 0:6 / /proc rw - proc none rw\n",
    "5 1 0:7 / /run rw - tmpfs none rw\n",
    "6 1 0:8 / /mnt rw shared:1 - tmpfs none rw\n",
    "7 2 0:10 / /sysroot/home rw - ext4 /dev/vdb rw\n",
    "8 6 0:11 / /mnt/below rw - tmpfs none rw\n",
];
/// What may use it.
const IN_USE: [&str; 3] = [
    "10 2 0:2 /lib/modules /sysroot/lib/modules rw - tmpfs none rw\n",
    "11 2 0:12 / /sysroot/usr ro - overlay overlay ro,lowerdir=/layers/a\n",
    "12 6 0:2 /a /mnt/a rw - tmpfs none rw\n",
];

/// A random plan's ingredients.
#[derive(Clone, Debug)]
struct Scene {
    facts: Facts,
    decisions: Decisions,
    options: Options,
}

impl Scene {
    fn plan(&self) -> Result<Plan, Refusal> {
        plan(&self.facts, &self.decisions, &self.options)
    }
}

fn claims() -> impl Strategy<Value = Vec<Claim>> {
    let claim = (
        select(&PATHS[..]),
        0..POLICIES.len(),
        option::of(select(&TARGETS[..])),
    );
    vec(claim, 0..6).prop_map(|claims| {
        let mut claims: Vec<Claim> = claims
            .into_iter()
            .map(|(path, policy, target)| Claim {
                path: path.as_bytes().to_vec(),
                kind: FileKind::Regular,
                mount_point: false,
                policy,
                target: target.map(|target| target.as_bytes().to_vec()),
            })
            .collect();
        // As a review gives them.
        claims.sort_by_key(|claim| claim.policy);
        claims
    })
}

fn compatibility() -> impl Strategy<Value = Compatibility> {
    let outcome = select(vec![
        Verdicts::Compatible,
        Verdicts::Incompatible,
        Verdicts::Unjudged,
    ]);
    let judged =
        (select(vec!["a.sqsh", "b.sqsh", "c.sqsh"]), outcome).prop_map(|(image, outcome)| Judged {
            extension: Extension {
                image: image.into(),
                digest: None,
                name: String::new(),
                version: String::new(),
                author: String::new(),
                description: String::new(),
                compatibility: Vec::new(),
                metadata: "{}".into(),
            },
            outcome,
            reasons: Vec::new(),
            verdicts: Vec::new(),
        });
    prop_oneof![
        1 => Just(Compatibility::NotAsked),
        1 => Just(Compatibility::Malformed(Message::quoted("is no YAML"))),
        1 => Just(Compatibility::NoWorker(Message::quoted("could not be started"))),
        6 => vec(judged, 0..4).prop_map(|extensions| Compatibility::Judged {
            extensions,
            unknown: Unknown::default(),
        }),
    ]
}

fn decisions() -> impl Strategy<Value = Decisions> {
    let maybe = |text: &'static str| option::weighted(0.1, Just(Message::quoted(text)));
    let consequences = (
        maybe("unsigned"),
        maybe("kept"),
        maybe("judged"),
        maybe("failed"),
    );
    let unlisted = vec(select(&PATHS[..]), 0..2);
    let review = (claims(), unlisted, prop::bool::weighted(0.9));
    (review, compatibility(), consequences).prop_map(
        |((claims, unlisted, asked), compatibility, consequences)| Decisions {
            policies: POLICIES.map(str::to_owned).to_vec(),
            compatibility,
            preservation: match asked {
                true => Ok(Review {
                    claims,
                    unlisted: unlisted
                        .into_iter()
                        .map(|path| (path.as_bytes().to_vec(), "EIO".into()))
                        .collect(),
                    ..Review::default()
                }),
                false => Err(Message::quoted("no memory")),
            },
            consequences: Consequences {
                unsigned: consequences.0,
                preservation: consequences.1,
                compatibility: consequences.2,
                nothing_deleted: consequences.3,
            },
        },
    )
}

fn options() -> impl Strategy<Value = Options> {
    let mode = select(vec![Mode::Switch, Mode::Preserve, Mode::ImageBoot]);
    let strategy = select(vec![
        StrategyChoice::Auto,
        StrategyChoice::Move,
        StrategyChoice::Pivot,
    ]);
    let extensions = select(vec![
        Extensions::Use,
        Extensions::Require,
        Extensions::Ignore,
    ]);
    let rare = || prop::bool::weighted(0.2);
    (mode, strategy, extensions, rare(), rare(), rare()).prop_map(
        |(mode, strategy, extensions, keep_initramfs, mounts_stay, halt)| Options {
            mode,
            strategy,
            extensions,
            keep_initramfs,
            mounts_stay,
            halt,
            ..Options::default()
        },
    )
}

fn machine(table: &str) -> Machine {
    let mounts: Vec<Mount> = mounts::parse(table.as_bytes()).unwrap();
    let place = |point| Place {
        point,
        leads_to: None,
        trail: Vec::new(),
        identity: (0, 0),
        state: State::Free { empty: true },
    };
    Machine {
        root: mounts[0].clone(),
        mounts,
        new_root: NewRoot {
            path: b"/sysroot".to_vec(),
            mount_id: 2,
            read_only: true,
        },
        init_path: b"/sbin/init".to_vec(),
        init: Init {
            paths: [b"/sbin/init".to_vec(), b"/sbin/init".to_vec()],
            trail: Vec::new(),
            resolved: b"/sbin/init".to_vec(),
            identity: (1, 2),
            warnings: Vec::new(),
        },
        places: switch_root_core::locations::MOVED.map(place).to_vec(),
        closed_run: None,
        others: Others::default(),
        layers: Layers::Known(Vec::new()),
        copied: Some(Copied::default()),
    }
}

/// On a machine where these mounts may be, too.
fn scenes(mounts: &'static [&'static str]) -> impl Strategy<Value = Scene> {
    let table = subsequence(mounts, 0..=mounts.len());
    let list = select(vec![
        List::Missing,
        List::Read("/extensions.yaml", b"layers: []".to_vec()),
    ]);
    let root = option::weighted(0.8, Just(Path::from(&b"/rootfs.sqsh"[..])));
    (table, list, root, decisions(), options()).prop_map(
        |(table, list, root, decisions, options)| {
            let image = (options.mode == Mode::ImageBoot).then(|| ImageFacts {
                root: root.ok_or_else(|| no_root_image().into()),
                layers: Vec::new(),
            });
            let table = format!("{ALWAYS}{}", table.concat());
            let facts = Facts {
                list,
                image,
                machine: Some(machine(&table)),
                ..Facts::default()
            };
            Scene {
                facts,
                decisions,
                options,
            }
        },
    )
}

const ALL: &[&str] = &[
    HARMLESS[0],
    HARMLESS[1],
    HARMLESS[2],
    HARMLESS[3],
    HARMLESS[4],
    HARMLESS[5],
    IN_USE[0],
    IN_USE[1],
    IN_USE[2],
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_facts_give_the_same_plan(scene in scenes(ALL)) {
        prop_assert_eq!(format!("{:?}", scene.plan()), format!("{:?}", scene.plan()));
    }

    /// But for what a machine alone can tell: that something is in use, or has no place.
    #[test]
    fn the_plan_of_an_image_is_that_of_its_boot(scene in scenes(&HARMLESS)) {
        let mut image = scene.clone();
        image.facts.machine = None;
        let outline = |plan: &Result<Plan, Refusal>| match plan {
            Ok(plan) => (plan.outline().clone(), None),
            Err(refusal) => ((*refusal.outline).clone(), Some(refusal.reason.clone())),
        };
        let (of_boot, of_image) = (scene.plan(), image.plan());
        let (boot, refused) = outline(&of_boot);
        let (image, refused_of_image) = outline(&of_image);
        match (&refused_of_image, &refused) {
            (Some(_), _) => prop_assert_eq!(&refused, &refused_of_image),
            // The kernel, or the new root, lacks what was asked for.
            (None, Some(reason)) => prop_assert!(
                reason.text.starts_with("--strategy pivot") || reason.text.starts_with("policy "),
                "{}", reason
            ),
            (None, None) => {}
        }
        let verdicts = |outline: &Outline| -> Vec<_> {
            let each = outline.extensions.iter();
            each.map(|one| (one.image.clone(), one.verdict, one.is_left_out())).collect()
        };
        prop_assert_eq!(verdicts(&boot), verdicts(&image));
        if scene.options.mode == Mode::Preserve {
            // What is lost to the program that switches is copied; the rest is its business.
            prop_assert!(image.preserved.iter().all(|one| boot.preserved.contains(one)));
        } else {
            prop_assert_eq!(boot.preserved, image.preserved);
            prop_assert_eq!(boot.deletion, image.deletion);
        }
    }

    #[test]
    fn nothing_that_a_policy_keeps_is_deleted(scene in scenes(ALL)) {
        let Ok(plan) = scene.plan() else { return Ok(()) };
        let keep = plan.keep();
        let claims = scene.decisions.preservation.iter().flat_map(|review| &review.claims);
        for claim in claims {
            let names = claim.path[1..].split(|byte| *byte == b'/');
            let mut at = Some(keep.clone());
            for name in names {
                at = at.and_then(|keep| keep.child(name).cloned());
            }
            prop_assert_eq!(at, Some(switch_root_core::keep::Keep::Whole));
        }
        let by_policies = plan.outline().preserved.iter().any(is_by_policy);
        let steps = plan.steps().unwrap();
        if by_policies && scene.options.mode != Mode::Preserve {
            prop_assert_ne!(steps.preserved, Preserved::Wanted);
        }
    }

    #[test]
    fn a_mount_has_one_fate(scene in scenes(ALL)) {
        let Ok(plan) = scene.plan() else { return Ok(()) };
        let steps = plan.steps().unwrap();
        for point in &steps.kept_mounts {
            prop_assert!(!steps.detached_mounts.contains(point), "{}", point);
        }
        for point in &steps.staying_mounts {
            prop_assert!(!steps.detached_mounts.contains(point), "{}", point);
        }
        if matches!(plan.outline().deletion, Deletion::Skip(_)) {
            prop_assert!(steps.detached_mounts.is_empty(), "{:?}", steps.detached_mounts);
        }
        // Pivoting takes away what stays.
        if steps.attempts.first() == Some(&How::Pivot) {
            prop_assert!(steps.staying_mounts.is_empty());
            prop_assert_eq!(&steps.attempts, &[How::Pivot, How::Move]);
        }
    }
}

#[test]
fn an_image_without_a_root_image_is_refused() {
    let options = Options {
        mode: Mode::ImageBoot,
        ..Options::default()
    };
    let facts = Facts {
        image: Some(ImageFacts {
            root: Err(no_root_image().into()),
            layers: Vec::new(),
        }),
        ..Facts::default()
    };
    let decisions = Decisions {
        policies: Vec::new(),
        compatibility: Compatibility::NotAsked,
        preservation: Ok(Review::default()),
        consequences: Consequences::default(),
    };
    let refusal = plan(&facts, &decisions, &options).unwrap_err();
    assert_eq!(refusal.reason, no_root_image().into());
}
