use super::*;

#[test]
fn what_is_written_reads_back_as_the_same() {
    let value = serde_json::json!({
        "layers": [
            {"image": "000.a-b.sqsh", "digest": "sha256:00", "metadata": {
                "name": "a", "version": "1.10", "list": [[1, 2], [], [{"deep": {"er": []}}]],
                "text": "two\nlines: # \u{7f}\u{2028}\t\"'", "off": "off", "null": null,
                "1": true, "number": -1.5, "": {}, "space ": " x", "dash": "- a", "tilde": "~",
                "größe": "größe 🦀", "like a number": "12e3", "colon:": "a: b",
            }},
            "text",
        ],
        "empty": [],
    });
    let text = emit(&value);
    let read = document(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(read.unwrap().to_json(), value, "{text}");
}

#[test]
fn a_long_key_reads_back_as_the_same() {
    for length in [1022, 1023, 1024, 1025, 5000] {
        // Two in quotes, and each as long as six when it is escaped.
        for key in [
            "k".repeat(length),
            "# ".repeat(length / 2),
            "\u{10}".repeat(length / 6),
        ] {
            let inner = serde_json::json!({&key: [{&key: {&key: "v"}}, 1], "k": {&key: []}});
            let value = serde_json::json!([inner, {"a": {&key: inner}}]);
            let text = emit(&value);
            let read = document(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(read.unwrap().to_json(), value, "{text}");
        }
    }
}

#[test]
fn deep_values_stay_small() {
    let mut value = serde_json::json!([0, "\u{7f}", {"a": []}]);
    for _ in 0..40 {
        value = serde_json::json!([value, {"k": 1}]);
    }
    let text = emit(&value);
    assert!(text.len() < 4 * value.to_string().len(), "{}", text.len());
    assert_eq!(document(&text).unwrap().unwrap().to_json(), value);
}

#[test]
fn every_node_knows_where_it_stands() {
    let node = document("# first\na: 1\nb:\n  - äö: [x, y]\n")
        .unwrap()
        .unwrap();
    let place = |node: &Node| (node.start.line, node.start.column);
    assert_eq!(place(&node), (2, 1));
    let list = node.get("b").unwrap();
    assert_eq!(place(list), (4, 3));
    let Kind::Sequence(items) = &list.kind else {
        panic!("{list:?}");
    };
    let Kind::Sequence(flow) = &items[0].get("äö").unwrap().kind else {
        panic!("{items:?}");
    };
    assert_eq!(place(&flow[1]), (4, 13));
    assert_eq!(flow[1].as_text(), Some("y"));
}

#[test]
fn documents_are_told_apart_and_aliases_are_left_where_they_may_stand() {
    let text = "a: &x [1]\nb: *x\n---\nc: 2\n";
    let read = documents(text, Aliases::Leave).unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].get("b").unwrap().kind, Kind::Alias);
    assert_eq!(read[1].get("c").unwrap().as_text(), Some("2"));
    let error = documents(text, Aliases::Refuse).unwrap_err().to_string();
    assert!(error.starts_with("line 2 column 4: aliases"), "{error}");
    assert!(documents("", Aliases::Leave).unwrap().is_empty());
    let read = documents(text, Aliases::Expand).unwrap();
    assert_eq!(read[0].to_json(), serde_json::json!({"a": [1], "b": [1]}));
}

#[test]
fn what_is_no_yaml_is_named_with_its_place() {
    let error = document("a: [\n").unwrap_err().to_string();
    assert!(error.starts_with("is not YAML: line "), "{error}");
    let deep = "[".repeat(100);
    assert!(
        document(&deep)
            .unwrap_err()
            .to_string()
            .contains("nested too deeply")
    );
}

#[test]
fn anchors_in_each_other_are_kept_within_limits() {
    let text = format!(
        "{}{}{}",
        "&a [".repeat(50),
        "x".repeat(40_000),
        "]".repeat(50)
    );
    let error = documents(&text, Aliases::Expand).unwrap_err().to_string();
    assert!(
        error.contains("what has anchors is more than 1 MiB"),
        "{error}"
    );
    assert!(documents(&text, Aliases::Leave).is_ok());
}

#[test]
fn aliases_are_expanded_within_limits() {
    let json = |text: &str| {
        let read = documents(text, Aliases::Expand)?;
        Ok::<_, super::Malformed>(read.iter().map(Node::to_json).collect::<Vec<_>>())
    };
    assert_eq!(
        json("a: &x {v: 1.10, l: [&y z, *y]}\nb: *x\nc: [*x, *y]").unwrap(),
        [serde_json::json!({
            "a": {"v": "1.10", "l": ["z", "z"]},
            "b": {"v": "1.10", "l": ["z", "z"]},
            "c": [{"v": "1.10", "l": ["z", "z"]}, "z"],
        })]
    );
    assert_eq!(json("*x : 1\n").ok(), None);
    let within = json("a: &x [*x]").unwrap_err().to_string();
    assert!(within.starts_with("line 1 column 8: "), "{within}");
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x]\n");
    let mut deep = String::from("a0: &a0 [x]\n");
    for level in 1..70 {
        let before = level - 1;
        let many = format!("*a{before}, ").repeat(8);
        bomb.push_str(&format!("a{level}: &a{level} [{many}]\n"));
        deep.push_str(&format!("a{level}: &a{level} [*a{before}]\n"));
    }
    assert!(
        json(&bomb)
            .unwrap_err()
            .to_string()
            .contains("more than 1 MiB")
    );
    assert!(
        json(&deep)
            .unwrap_err()
            .to_string()
            .contains("nested too deeply")
    );
}
