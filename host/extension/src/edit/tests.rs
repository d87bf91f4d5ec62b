use super::*;

const NEW: &str =
    "ghcr.io/new/one:v1.0@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn add(text: &str) -> Result<String> {
    add_extension(text, "machine.yaml", &NEW.parse().unwrap())
}

fn read(text: &str) -> Vec<String> {
    let read = configuration::parse(text.as_bytes(), "x").unwrap();
    images(&read.extensions)
        .into_iter()
        .map(String::from)
        .collect()
}

#[track_caller]
fn assert_added(before: &str, after: &str) {
    let after = after.replace("NEW", NEW);
    match add(before) {
        Ok(text) => assert_eq!(text, after),
        Err(error) => panic!("{error}\n{before}"),
    }
}

#[test]
fn missing_keys_are_added() {
    let block = "machine:\n  install:\n    extensions:\n      - image: NEW\n";
    assert_added("", block);
    assert_added("# nothing yet", &format!("# nothing yet\n{block}"));
    assert_added("---\n", &format!("---\n{block}"));
    assert_added("cluster: {}\n", &format!("cluster: {{}}\n{block}"));
    for empty in [
        "machine:\n",
        "machine: {}\n",
        "machine:\n  install:\n",
        "machine:\n  install: {}\n",
    ] {
        assert_added(empty, block);
    }
    assert_added(
        "machine:\n    type: worker # w\n\n    # k\n    kubelet: {}\n\n# c\ncluster: {}\n",
        "machine:\n    type: worker # w\n\n    # k\n    kubelet: {}\n    install:\n      extensions:\n        - image: NEW\n\n# c\ncluster: {}\n",
    );
    assert_added(
        "machine:\n  install:\n    disk: a\n    # extensions:\n  # more\n  kubelet: a\n",
        "machine:\n  install:\n    disk: a\n    extensions:\n      - image: NEW\n    # extensions:\n  # more\n  kubelet: a\n",
    );
}

#[test]
fn empty_lists_of_all_spellings_are_filled() {
    let after = "machine:\n  install:\n    extensions: # c\n      - image: NEW\n    wipe: no\n";
    for empty in ["", " []", " {}", " ~", " null", " [ ]"] {
        assert_added(
            &format!("machine:\n  install:\n    extensions:{empty} # c\n    wipe: no\n"),
            after,
        );
    }
}

#[test]
fn json_stays_json() {
    let compact = r#"{"machine":{"install":{"extensions":[{"image":"a"},{"image":"b"}]}}}"#;
    let pretty = "{\n  \"machine\": {\n    \"install\": {\n      \"extensions\": [\n        {\"image\": \"a\"}\n      ]\n    }\n  }\n}\n";
    for (before, after) in [
        (
            compact,
            compact.replace("\"b\"}", "\"b\"},{\"image\": \"NEW\"}"),
        ),
        (
            pretty,
            pretty.replace("\"a\"}", "\"a\"},\n        {\"image\": \"NEW\"}"),
        ),
        (
            "{\"machine\": {}}",
            "{\"machine\": {\"install\": {\"extensions\": [{\"image\": \"NEW\"}]}}}".into(),
        ),
        (
            "{\n  \"machine\": {\n    \"type\": \"worker\"\n  }\n}\n",
            "{\n  \"machine\": {\n    \"type\": \"worker\",\n    \"install\": {\"extensions\": [{\"image\": \"NEW\"}]}\n  }\n}\n".into(),
        ),
        (
            "{\"machine\": {\"install\": {\"disk\": \"größe\", \"extensions\": []}}}",
            "{\"machine\": {\"install\": {\"disk\": \"größe\", \"extensions\": [{\"image\": \"NEW\"}]}}}".into(),
        ),
    ] {
        assert_added(before, &after);
        let added = add(before).unwrap();
        assert!(flow::is_json(&added), "{added}");
        let removed = remove_extension(&added, "x", NEW).unwrap();
        assert!(flow::is_json(&removed), "{removed}");
    }
}

#[test]
fn a_list_in_flow_style_keeps_its_shape() {
    let of = |items: &str| format!("machine:\n  install:\n    extensions: [{items}] # end\n");
    for (before, after) in [
        (
            "\n      {image: a}, # one\n      {image: b} # two\n    ",
            "\n      {image: a}, # one\n      {image: b}, # two\n      {image: NEW}\n    ",
        ),
        (
            "\n      {image: a},\n    ",
            "\n      {image: a},\n      {image: NEW},\n    ",
        ),
        (
            "{image: a},{image: b}",
            "{image: a},{image: b},{image: NEW}",
        ),
        ("{image: a}, ", "{image: a}, {image: NEW}, "),
    ] {
        assert_added(&of(before), &of(after));
    }
}

#[test]
fn beside_an_unattended_install_nothing_is_added() {
    let text =
        "machine:\n  type: worker\n---\napiVersion: v1alpha1\nkind: UnattendedInstallConfig\n";
    let error = add(text).unwrap_err().to_string();
    assert!(
        error.contains("line 4 column 1") && error.contains("excludes machine.install"),
        "{error}"
    );
}

#[test]
fn lists_get_another_item_in_their_own_style() {
    assert_added(
        "machine:\n  install:\n    extensions:\n    - image: 'a:1' # one\n    # end\n    wipe: no\n",
        "machine:\n  install:\n    extensions:\n    - image: 'a:1' # one\n    - image: NEW\n    # end\n    wipe: no\n",
    );
    assert_added(
        "machine:\n  install:\n    extensions: [{image: a}, {image: \"b\"}] # c\n",
        "machine:\n  install:\n    extensions: [{image: a}, {image: \"b\"}, {image: NEW}] # c\n",
    );
    assert_added(
        "machine: {install: {disk: a}}\n",
        "machine: {install: {disk: a, extensions: [{image: NEW}]}}\n",
    );
    assert_added(
        "machine:\n  install:\n    extensions:\n      - image: a",
        "machine:\n  install:\n    extensions:\n      - image: a\n      - image: NEW",
    );
    assert_added(
        "machine:\r\n  install:\r\n    disk: a\r\n",
        "machine:\r\n  install:\r\n    disk: a\r\n    extensions:\r\n      - image: NEW\r\n",
    );
}

#[test]
fn a_list_that_was_emptied_is_filled_below_its_comment() {
    let full = |image: &str| {
        format!(
            "machine:\n  install:\n    # größe\n    extensions:\n      # c\n      - image: {image}\n    wipe: no\n"
        )
    };
    let emptied = remove_extension(&full("a:1"), "x", "a:1").unwrap();
    assert!(emptied.contains("      # c\n      []\n"), "{emptied}");
    assert_added(&emptied, &full("NEW"));
}

#[test]
fn other_documents_stay_as_they_are() {
    assert_added(
        "kind: A # a\nx:   1\n---\nmachine:\n  install:\n    extensions:\n    - image: a\n...\n---\nkind:   B\n",
        "kind: A # a\nx:   1\n---\nmachine:\n  install:\n    extensions:\n    - image: a\n    - image: NEW\n...\n---\nkind:   B\n",
    );
    let kind = |name: &str| format!("apiVersion: v1alpha1\nkind: {name}\n");
    for text in [kind("A"), format!("{}---\n{}", kind("A"), kind("B"))] {
        let error = add(&text).unwrap_err().to_string();
        assert!(
            error.contains("no document with the key `machine`"),
            "{error}"
        );
        assert!(error.contains(&format!("- image: {NEW}")), "{error}");
    }
}

#[test]
fn images_that_yaml_would_read_otherwise_are_quoted() {
    for image in [
        "oci:/a b:c",
        "docker-archive:/a #b",
        "oci:a: b",
        "12:3",
        "oci:[a]:",
    ] {
        let after = add_extension("machine: {}\n", "x", &image.parse().unwrap()).unwrap();
        assert_eq!(read(&after), [image], "{after}");
    }
}

#[test]
fn what_is_there_already_is_named_with_its_line() {
    let text = add("").unwrap();
    let error = add(&text).unwrap_err().to_string();
    assert!(
        error.starts_with("machine.yaml: line 4 column 16: the image ghcr.io/new/one"),
        "{error}"
    );
    assert!(error.ends_with("is there already"), "{error}");
}

#[test]
fn what_is_not_there_is_refused_with_what_is() {
    let text = "machine: {install: {extensions: [{image: a:1}, {image: b}]}}\n";
    let error = remove_extension(text, "machine.yaml", "c").unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "machine.yaml: the image c is not among the extensions; there are: a:1, b"
    );
    for text in ["", "machine: {}\n"] {
        let error = remove_extension(text, "x", "c").unwrap_err().to_string();
        assert!(error.ends_with("there are no extensions"), "{error}");
    }
}

#[test]
fn anchored_places_are_left_to_the_operator() {
    for text in [
        "machine:\n  install: &x # c\n    extensions:\n      - image: a\n  other: *x\n",
        "machine:\n  install:\n    extensions: &x [{image: a}]\n  other: *x\n",
        "machine:\n  install:\n    extensions: !!seq\n    - image: a\n",
        "machine: &x\n  install:\n    extensions:\n    - image: a\n",
    ] {
        let error = add(text).unwrap_err().to_string();
        assert!(
            error.contains("has an anchor or a tag at `machine"),
            "{error}"
        );
        assert!(error.contains("write it there yourself"), "{error}");
        let error = remove_extension(text, "x", "a").unwrap_err().to_string();
        assert!(error.contains("take it out yourself, at line "), "{error}");
    }
    // An item that is used elsewhere would be missing there.
    let text =
        "machine:\n  install:\n    extensions:\n    - &x {image: a}\n    - image: b\n  other: *x\n";
    assert!(remove_extension(text, "x", "a").is_err());
    // A comment is no anchor.
    assert!(add("machine:\n  install: # &x\n    extensions:\n    - image: a\n").is_ok());
}

#[test]
fn a_configuration_with_mistakes_is_not_changed() {
    for text in [
        "machine: [",
        "machine: {install: {extensions: [1]}}",
        "a: 1\na: 2\n",
    ] {
        assert!(add(text).is_err());
        assert!(remove_extension(text, "x", "a").is_err());
    }
}

#[test]
fn a_removed_extension_takes_its_own_lines_and_no_others() {
    let text = "machine:\n  install:\n    extensions: # c\n      # about a\n      - image: a # one\n        # inside\n        more: x\n\n      # about b\n      -\n        image: >-\n          b\n      - {image: c}\n    wipe: no\n";
    assert_eq!(read(text), ["a", "b", "c"]);
    let removed = |image| remove_extension(text, "x", image).unwrap();
    assert_eq!(
        removed("a"),
        text.replace(
            "      - image: a # one\n        # inside\n        more: x\n",
            ""
        )
    );
    assert_eq!(
        removed("b"),
        text.replace("      -\n        image: >-\n          b\n", "")
    );
    assert_eq!(removed("c"), text.replace("      - {image: c}\n", ""));
}

#[test]
fn the_last_one_leaves_an_empty_list() {
    for (text, expected) in [
        (
            "machine:\n  install:\n    extensions:\n    - image: a # one\n  # k\n  kubelet: {}\n",
            "machine:\n  install:\n    extensions: []\n  # k\n  kubelet: {}\n",
        ),
        (
            "machine:\r\n  install:\r\n    extensions:\r\n    - image: a\r\n",
            "machine:\r\n  install:\r\n    extensions: []\r\n",
        ),
        (
            "machine: {install: {extensions: [{image: a}]}}\n",
            "machine: {install: {extensions: []}}\n",
        ),
    ] {
        assert_eq!(remove_extension(text, "x", "a").unwrap(), expected);
    }
    let text = "machine:\n  install:\n    extensions: # c\n      # about\n      - image: a # one\n      # end\n    wipe: no\n";
    let after = remove_extension(text, "x", "a").unwrap();
    assert_eq!(read(&after), [""; 0]);
    for comment in ["# c\n", "# about\n", "# end\n"] {
        assert!(after.contains(comment), "{after}");
    }
}

/// Configurations in many layouts, with so many extensions `e0`, `e1`, ...
fn layouts() -> Vec<(String, usize)> {
    let mut layouts = Vec::new();
    for count in 0..4 {
        for indent in [1, 2, 4] {
            for style in 0..6 {
                for around in 0..5 {
                    for end in ["\n", "\r\n"] {
                        let text = layout(count, indent, style, around);
                        layouts.push((text.replace('\n', end), count));
                    }
                }
            }
        }
    }
    layouts
}

fn layout(count: usize, indent: usize, style: usize, around: usize) -> String {
    let (one, two) = (" ".repeat(indent), " ".repeat(2 * indent));
    let item = |n: usize| match style {
        0 => format!("{two}- image: e{n}\n"),
        1 => format!("{two}{one}-   image: 'e{n}' # {n}\n"),
        2 => format!("{two}  # above {n}\n{two}  - {{image: \"e{n}\"}}\n\n"),
        3 => format!("{two}-\n{two}  # inside\n{two}  other: [a, {{b: c}}]\n{two}  image: e{n}\n"),
        _ => String::new(),
    };
    let flow: Vec<String> = (0..count).map(|n| format!("{{image: e{n}}}")).collect();
    let list = match style {
        _ if count == 0 => format!("{two}extensions: # none\n"),
        4 => format!("{two}extensions: [{}] # f\n", flow.join(", ")),
        5 => format!(
            "{two}extensions: [\n{two}  {} # f\n{two}  ]\n",
            flow.join(&format!(", # x\n{two}  "))
        ),
        _ => format!(
            "{two}extensions: # list\n{}",
            (0..count).map(item).collect::<String>()
        ),
    };
    let (before, after) = match around {
        0 => ("", String::new()),
        1 => (
            "---\n# first\nversion: v1alpha1 # v\n",
            format!("{two}wipe: false\n{one}# k\n{one}kubelet: {{a: [1, 2]}}\n\ncluster: 'x'\n"),
        ),
        2 => (
            "kind: Other\nextensions: [{image: e0}]\n---\n",
            "---\nkind: Last\ntext: |\n  - image: e0\n\n".into(),
        ),
        3 => ("a: &a [b, 'c']\n", format!("{two}# tail\n\nd: *a\n# end\n")),
        _ => (
            "\n\n",
            format!(
                "{one}files:\n{one}- content: |\n{one}    machine:\n{one}      install: {{}}\n{one}  path: \"/x\"\n"
            ),
        ),
    };
    format!("{before}machine:\n{one}install: # i\n{two}disk: /dev/sda # d\n{list}{after}")
}

#[test]
fn in_every_layout_adding_and_removing_leaves_the_rest_alone() {
    for (text, count) in layouts() {
        let known: Vec<String> = (0..count).map(|n| format!("e{n}")).collect();
        assert_eq!(read(&text), known, "{text}");
        let added = add(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(
            read(&added).last().map(String::as_str),
            Some(NEW),
            "{added}"
        );
        let back =
            remove_extension(&added, "x", NEW).unwrap_or_else(|error| panic!("{error}\n{added}"));
        if count == 0 {
            assert_eq!(read(&back), [""; 0], "{back}");
        } else {
            assert_eq!(back, text, "{added}");
        }
        for image in &known {
            let rest = remove_extension(&text, "x", image)
                .unwrap_or_else(|error| panic!("{error}\n{text}"));
            let expected: Vec<&String> = known.iter().filter(|other| *other != image).collect();
            assert_eq!(read(&rest).iter().collect::<Vec<_>>(), expected, "{rest}");
        }
    }
}

/// Whatever a text is, changing it ends, and with a configuration or an error.
#[test]
fn mutilated_configurations_are_changed_rightly_or_not_at_all() {
    const PIECES: [&str; 26] = [
        "\n", " ", "  ", "-", ":", "#", "&x", "*x", "[", "]", "{", "}", "'", "\"", "|", ">", "\t",
        "!", "---\n", "...\n", "? ", ",", "null", "\u{feff}", "ä", "\r",
    ];
    let mut state = 12345_u64;
    let mut below = move |limit: usize| {
        for shift in [13, -7, 17] {
            state ^= if shift > 0 {
                state << shift
            } else {
                state >> -shift
            };
        }
        usize::try_from(state % limit as u64).unwrap()
    };
    let layouts = layouts();
    let mut changed = 0;
    for _ in 0..3000 {
        let mut text = layouts[below(layouts.len())].0.clone();
        for _ in 0..=below(3) {
            let at = text.floor_char_boundary(below(text.len() + 1));
            let end = text.ceil_char_boundary(at + below(6));
            match below(2) {
                0 => text.insert_str(at, PIECES[below(PIECES.len())]),
                _ => text.replace_range(at..end, ""),
            }
        }
        if let Ok(after) = add(&text) {
            assert_eq!(
                read(&after).last().map(String::as_str),
                Some(NEW),
                "{text:?}"
            );
            changed += 1;
        }
        if let Ok(after) = remove_extension(&text, "x", "e1") {
            assert!(!read(&after).iter().any(|image| image == "e1"), "{text:?}");
            changed += 1;
        }
    }
    assert!(changed > 1000, "only {changed}");
}
