use serde_json::{Value, json};

use super::{
    fold::{self, Fate, Tile},
    render, text,
    untrusted::Report,
};

fn file(name: &str, bytes: u64, fate: &str) -> Value {
    json!({"name": name, "kind": "file", "bytes": bytes, "files": 1, "fate": fate,
           "by": if fate == "delete" { vec![] } else { vec!["20-keep-paths"] },
           "to": null, "children": []})
}

fn directory(name: &str, fate: &str, children: Vec<Value>) -> Value {
    let sum = |field| -> u64 { children.iter().filter_map(|c| c[field].as_u64()).sum() };
    let (bytes, files) = (sum("bytes"), sum("files"));
    let mut node = json!({"name": name, "kind": "directory", "bytes": bytes, "files": files,
                          "fate": fate, "by": [], "to": null});
    // Moved, not copied: a deep tree would be copied once for each level.
    node["children"] = Value::Array(children);
    node
}

/// A hundred directories of files, one of which survives in each of the first
/// fifty.
fn large(each: u64) -> Value {
    let directories = (0..100u64).map(|d| {
        let lives = d < 50;
        let files = (0..each).map(|f| {
            let fate = if lives && f == each / 2 {
                "keep"
            } else {
                "delete"
            };
            file(&format!("file-{f:04}"), d * 10 + f, fate)
        });
        let fate = if lives { "part" } else { "delete" };
        directory(&format!("directory-{d:02}"), fate, files.collect())
    });
    directory("", "part", directories.collect())
}

fn report(tree: Value) -> Value {
    let mut report = json!({
        "schema": 1, "image": {"name": "initrd.img", "bytes": 1, "parts": []}, "policies": [],
        "extensions": [], "survivors": [], "deletion": {"action": "delete"}, "refused": null,
        "summary": {}, "warnings": [],
    });
    report["tree"] = tree;
    report
}

fn children<'t, 'v>(tiles: &'t [Tile<'v>], parent: usize) -> Vec<&'t Tile<'v>> {
    let all = tiles.iter().enumerate().skip(1);
    all.filter(|(_, tile)| tile.parent == parent)
        .map(|(_, tile)| tile)
        .collect()
}

#[test]
fn the_sums_of_a_folded_tree_stay_right() {
    let tree = large(100);
    let tiles = fold::fold(Report::of(&tree), 60_000);
    assert!(tiles.iter().any(|tile| tile.folded > 0));
    let mut directories = 0;
    for (index, tile) in tiles.iter().enumerate() {
        assert!(tile.parent <= index);
        let children = children(&tiles, index);
        if children.is_empty() {
            continue;
        }
        directories += 1;
        let bytes: u64 = children.iter().map(|child| child.bytes).sum();
        let files: u64 = children.iter().map(|child| child.files).sum();
        assert_eq!(
            (bytes, files),
            (tile.bytes, tile.files),
            "of {:?}",
            tile.name
        );
    }
    assert!(directories > 50);
    let leaves: u64 = (0..tiles.len())
        .filter(|index| children(&tiles, *index).is_empty())
        .map(|index| tiles[index].bytes)
        .sum();
    assert_eq!(leaves, tree["bytes"].as_u64().unwrap());
}

#[test]
fn survivors_are_shown_before_what_is_large() {
    let tree = large(100);
    let tiles = fold::fold(Report::of(&tree), 30_000);
    let kept = tiles.iter().filter(|tile| tile.fate == Fate::Keep);
    let names: Vec<_> = kept
        .filter(|tile| tile.folded == 0)
        .map(|tile| tile.name)
        .collect();
    assert_eq!(names, ["file-0050"; 50]);
}

#[test]
fn survivors_without_room_are_folded_among_survivors() {
    let files = (0..1000).map(|f| {
        let fate = if f % 2 == 0 { "keep" } else { "delete" };
        file(&format!("file-{f}"), 10, fate)
    });
    let tree = directory("", "part", files.collect());
    let tiles = fold::fold(Report::of(&tree), 1500);
    let sum = |fate| -> u64 {
        let of_fate = tiles.iter().skip(1).filter(|tile| tile.fate == fate);
        of_fate.map(|tile| tile.bytes).sum()
    };
    assert_eq!((sum(Fate::Keep), sum(Fate::Delete)), (5000, 5000));
    let rest = tiles
        .iter()
        .find(|tile| tile.fate == Fate::Keep && tile.folded > 0);
    assert_eq!(rest.unwrap().by, ["20-keep-paths"]);
    assert!(tiles.len() < 20);
}

#[test]
fn what_the_report_leaves_out_of_a_directory_is_a_tile() {
    let mut tree = directory("", "part", vec![file("a", 10, "keep")]);
    tree["bytes"] = json!(100);
    tree["files"] = json!(4);
    let tiles = fold::fold(Report::of(&tree), 10_000);
    let rest = &tiles[1];
    // The order of tiles is no promise: this one is pushed with its directory.
    assert_eq!(rest.name, "");
    assert_eq!((rest.bytes, rest.files), (90, 3));
    assert_eq!(rest.fate, Fate::Part);
}

#[test]
fn a_tree_as_deep_as_a_path_can_be_is_drawn() {
    let mut tree = file("end", 1, "keep");
    for _ in 0..2048 {
        tree = directory("d", "part", vec![tree]);
    }
    let tiles = fold::fold(Report::of(&tree), 2_500_000);
    assert_eq!(tiles.len(), 2049);
    assert!(render(&report(tree)).contains("\"end\""));
}

#[test]
fn a_hundred_thousand_files_and_hostile_names_give_a_page_below_five_megabytes() {
    let mut report = report(large(1000));
    let wide = "\u{1}\u{202e}<&\"".repeat(50);
    for directory in report["tree"]["children"].as_array_mut().unwrap() {
        for file in directory["children"].as_array_mut().unwrap() {
            let name = format!("{}{wide}", file["name"].as_str().unwrap());
            file["name"] = json!(name);
        }
    }
    let survivor = json!({"path": wide, "kind": "file", "bytes": 1, "by": [wide], "carried_to": wide, "note": wide});
    report["survivors"] = vec![survivor; 3000].into();
    report["warnings"] = vec![json!(wide); 3000].into();
    report["notes"] = report["warnings"].clone();
    report["policies"] = vec![json!({"name": wide, "failures": [{"message": wide}]}); 1000].into();
    report["extensions"] = vec![json!({"name": wide, "verdict": "incompatible"}); 1000].into();
    report["image"]["parts"] = vec![json!({"format": wide}); 1000].into();
    report["refused"] = json!(wide.repeat(10_000));
    let page = render(&report);
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    assert!(page.contains("more: <code>--format json</code> lists all"));
}

/// What an image may name a file, and a policy say, to get into the page.
const HOSTILE: [&str; 8] = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\"><img src=x onerror=alert(1)>'",
    "\u{202e}gpj.exe\u{2066}",
    "a\u{2028}b\u{2029}c\u{0}d\u{85}e\u{7f}\u{1b}[2J",
    "</style></title></table>&lt;&#60;",
    "]]>\\u003c/script>\\",
    "\u{200b}\u{feff}\u{e0041}",
];

#[test]
fn nothing_of_a_report_becomes_markup() {
    let plain = render(&hostile(|_| "x".to_owned()));
    let page = render(&hostile(|index| HOSTILE[index].to_owned()));
    // The same elements, whatever the texts are.
    for mark in ["<", ">", "\"tiles\"", "<script", "</script", "<!--"] {
        let (wanted, got) = (plain.matches(mark).count(), page.matches(mark).count());
        assert_eq!(wanted, got, "of {mark}");
    }
    let odd = page.chars().find(|c| {
        *c != '\n'
            && (c.is_control() || matches!(*c, '\u{200b}'..='\u{206f}' | '\u{feff}' | '\u{e0041}'))
    });
    assert_eq!(odd, None);
    let (_, data) = page.split_once("id=\"tiles\">").unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    let rows = data["rows"].as_array().unwrap();
    for name in HOSTILE {
        let name = json!({"name": name});
        let shown = json!(Report::of(&name).text("name").visible());
        assert!(rows.iter().any(|row| row[1] == shown), "{shown}");
    }
}

fn hostile(text: impl Fn(usize) -> String) -> Value {
    let texts: Vec<String> = (0..HOSTILE.len()).map(text).collect();
    let mut report = report(directory(
        "",
        "part",
        texts.iter().map(|name| file(name, 10, "carry")).collect(),
    ));
    for node in report["tree"]["children"].as_array_mut().unwrap() {
        node["to"] = node["name"].clone();
        node["by"] = json!(texts);
        node["kind"] = node["name"].clone();
    }
    let each = |make: &dyn Fn(&str) -> Value| {
        Value::from(texts.iter().map(|t| make(t)).collect::<Vec<_>>())
    };
    report["image"]["name"] = json!(texts.concat());
    report["image"]["parts"] = each(&|t| json!({"format": t}));
    report["policies"] = each(&|t| {
        json!({"name": t, "origin": t, "digest": t, "answers": [t], "warnings": [t],
               "failures": [{"question": t, "kind": t, "message": t}]})
    });
    report["extensions"] = each(
        &|t| json!({"name": t, "image": t, "version": t, "verdict": t, "reasons": [{"policy": t, "reason": t}]}),
    );
    report["survivors"] =
        each(&|t| json!({"path": t, "kind": t, "by": [t], "carried_to": t, "note": t}));
    report["deletion"] = json!({"action": "skip", "reason": texts.concat()});
    report["refused"] = json!(texts.concat());
    report["warnings"] = json!(texts);
    report["notes"] = json!(texts);
    report
}

/// The whole page but for the style and the script, a tag a line: what changes in it is
/// reviewed as a difference.
#[test]
fn the_page_is_that_of_the_snapshot() {
    let mut report = hostile(|index| HOSTILE[index].to_owned());
    let share = |bytes, files| json!({"bytes": bytes, "files": files, "directories": 1});
    report["summary"] = json!({"kept": share(1, 1), "carried": share(20_000, 1234),
        "deleted": share(5_000_000, 2), "in_use": share(4096, 1), "total": share(5_020_001, 1237)});
    report["unknown"] = report["warnings"].clone();
    report["survivors"][0]["by"] = (1..=14).map(|n| format!("{n}-policy")).collect();
    report["survivors"][1]["carried_to"] = json!(null);
    for (extension, verdict) in [(0, "compatible"), (1, "incompatible"), (2, "")] {
        report["extensions"][extension]["verdict"] = json!(verdict);
    }
    report["policies"][0] = json!({"name": "20-keep-paths", "answers": ["keep", "carry"],
        "fuel": 1_234_567, "time_us": 1234, "origin": "image", "digest": "sha256:00"});
    report["image"]["parts"][0] =
        json!({"number": 1, "format": "cpio", "offset": 512, "length": 1 << 20, "members": 1000});
    report["tree"]["bytes"] = json!(1000);
    let page = render(&report)
        .replace(super::STYLE, "STYLE")
        .replace(&super::source(super::STYLE), "its digest")
        .replace(super::SCRIPT, "SCRIPT")
        .replace(&super::source(super::SCRIPT), "its digest")
        .replace("><", ">\n<");
    insta::assert_snapshot!("page", page);
}

#[test]
fn only_constants_and_json_enter_the_page_unescaped() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/html");
    let files = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let sources = files.filter(|file| file.extension().is_some_and(|it| it == "rs"));
    let mut unescaped: Vec<String> = sources
        .filter(|file| !file.ends_with("tests.rs"))
        .chain([folder.with_extension("rs")])
        .flat_map(|file| {
            let source = std::fs::read_to_string(file).unwrap();
            let uses = source.split("PreEscaped(").skip(1);
            uses.map(|rest| rest[..7].to_owned()).collect::<Vec<_>>()
        })
        .collect();
    unescaped.sort();
    // The script, the style, the tiles of `fold::json` and map.html.
    assert_eq!(unescaped, ["SCRIPT)", "STYLE))", "format!", "include"]);
}

#[test]
fn only_the_pages_own_style_and_script_may_run() {
    let page = render(&report(large(100)));
    let between = |from: &str, to: &str| {
        let (_, rest) = page.split_once(from).unwrap();
        rest.split_once(to).unwrap().0
    };
    let policy = between("http-equiv=\"Content-Security-Policy\" content=\"", "\"");
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
            super::source(between("<style>", "</style>")),
            super::source(between("<script>", "</script>")),
        )
    );
    // The digest of nothing, as others compute it.
    assert_eq!(
        super::source(""),
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    );
    for outside in [
        "http://",
        "https://",
        "url(",
        "@import",
        " src=",
        " style=",
        "innerHTML",
    ] {
        let found = [super::STYLE, super::SCRIPT, include_str!("map.html")]
            .iter()
            .any(|part| part.contains(outside));
        assert!(!found, "{outside}");
    }
}

#[test]
fn what_must_not_be_missed_stands_before_all_else() {
    let mut report = report(large(100));
    report["refused"] = json!("/sbin/init is not there");
    report["extensions"] = json!([{"name": "zfs", "verdict": "incompatible", "reasons": [{"policy": "kernel-abi", "reason": "other kernel"}]}]);
    report["policies"] = json!([{"name": "50-site", "failures": [{"question": "compatibility", "kind": "fuel", "message": "used up"}]}]);
    let page = render(&report);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    let order = [
        at("<h1>"),
        at("This boot would be refused"),
        at("/sbin/init is not there"),
        at("1 extension is incompatible"),
        at("1 policy failed"),
        at("What stays, and what goes"),
        at("used up"),
        at("other kernel"),
    ];
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn memory_that_stays_in_use_is_told() {
    let mut layer = file("rootfs.sqsh", 4096, "delete");
    layer["in_use"] = json!(true);
    let mut report = report(directory("", "part", vec![layer, file("a", 1, "keep")]));
    report["summary"] = json!({"in_use": {"bytes": 4096, "files": 1, "directories": 0}});
    let page = render(&report);
    assert!(page.contains("loop devices use 4.0 KiB"));
    assert!(page.contains("[0,\"rootfs.sqsh\",1,4096,1,3,0,0,null,true]"));
    report["summary"] = json!({});
    assert!(!render(&report).contains("loop devices use"));
}

#[test]
fn an_empty_list_of_survivors_tells_whether_all_stays() {
    let mut report = report(directory("", "keep", vec![file("a", 1, "keep")]));
    assert!(render(&report).contains("No policy keeps a path"));
    report["deletion"] = json!({"action": "skip", "reason": "keep_initramfs"});
    assert!(render(&report).contains("Everything: nothing is deleted."));
    let all = "Everything: the switch would be refused";
    report["refused"] = json!("policy 50-site failed");
    let page = render(&report);
    assert!(page.contains(all) && !page.contains("No policy keeps a path"));
    report["survivors"] = json!([{"path": "/a", "kind": "file", "by": ["50-site"]}]);
    assert!(render(&report).contains(all));
}

#[test]
fn notes_of_a_plan_are_in_its_page() {
    let mut report = report(large(1));
    let note = "what is planned is the image inside /squashfs-root.img";
    report["notes"] = json!([note]);
    assert!(render(&report).contains(&format!("Note: {note}")));
    report["notes"] = vec![json!(note); 30].into();
    assert!(render(&report).contains("10 more notes: <code>--format json</code> lists all"));
}

#[test]
fn the_same_report_gives_the_same_page() {
    assert_eq!(render(&report(large(100))), render(&report(large(100))));
}

#[test]
fn a_report_that_says_nothing_gives_a_page() {
    for empty in [
        json!(null),
        json!({}),
        json!([]),
        json!({"tree": 1, "image": "x"}),
    ] {
        assert!(render(&empty).contains("No policy keeps a path"));
    }
}

#[test]
fn counts_are_for_people() {
    assert_eq!(text::count(1, "file", "files"), "1 file");
    assert_eq!(text::count(1_234_567, "file", "files"), "1,234,567 files");
    assert_eq!(text::grouped(100), "100");
}
