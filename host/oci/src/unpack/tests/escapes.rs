//! Names, links and whiteouts that lead, or seem to lead, outside.

use switch_root_core::escape::Shown;

use super::*;

#[test]
fn a_name_that_points_outside_is_refused_and_named() {
    for name in [
        "../outside/x",
        "a/../../outside/x",
        "a/..",
        "..",
        "/../x",
        "./../x",
    ] {
        for layer in [
            Layer::default().file(name, "evil"),
            Layer::default().directory(name, 0o777),
            Layer::default().symlink(name, "x"),
            Layer::default().file("x", "x").hardlink(name, "x"),
        ] {
            let place = Place::new();
            let error = message(place.unpack(&[layer.end()]));
            assert!(
                error.contains(&format!("`{name}`")) && error.contains("outside"),
                "{error}"
            );
            assert!(place.tree().iter().all(|line| line.starts_with("x 644")));
        }
    }
}

#[test]
fn an_absolute_name_is_one_inside() {
    let place = Place::new();
    let outside = place.0.path().join("outside/x");
    let layer = Layer::default()
        .file(outside.to_str().unwrap(), "inside")
        .file("//etc//passwd", "mine")
        .end();
    place.unpack(&[layer]).unwrap();
    let tree = place.tree();
    assert!(tree.contains(&"etc/passwd 644 mine".to_owned()), "{tree:?}");
    assert!(
        tree.iter()
            .any(|line| line.ends_with("outside/x 644 inside"))
    );
}

#[test]
fn symlinks_among_the_parents_lead_to_places_inside() {
    for target in [
        "/outside",
        "../outside",
        "../../../../outside",
        "/../outside",
        "./outside",
    ] {
        let place = Place::new();
        let layers = [
            Layer::default().symlink("way", target).end(),
            Layer::default().file("way/sentinel", "inside").end(),
        ];
        place.unpack(&layers).unwrap();
        assert_eq!(
            place.tree(),
            [
                "outside/ 755".to_owned(),
                "outside/sentinel 644 inside".to_owned(),
                format!("way -> {target}"),
            ],
            "{target}"
        );
    }
}

#[test]
fn a_directory_behind_a_symlink_of_a_lower_layer_is_written_into() {
    let place = Place::new();
    let layers = [
        Layer::default()
            .directory("usr/lib/", 0o755)
            .symlink("lib", "usr/lib")
            .end(),
        Layer::default()
            .file("lib/a", "a")
            .hardlink("b", "lib/a")
            .end(),
    ];
    place.unpack(&layers).unwrap();
    assert_eq!(
        place.tree(),
        [
            "b 644 a",
            "lib -> usr/lib",
            "usr/ 755",
            "usr/lib/ 755",
            "usr/lib/a 644 a"
        ]
    );
}

#[test]
fn symlinks_in_a_circle_and_files_in_the_way_are_errors_that_name_both() {
    let place = Place::new();
    let layer = Layer::default()
        .symlink("a", "b")
        .symlink("b", "a")
        .file("a/x", "x");
    let error = message(place.unpack(&[layer.end()]));
    assert!(
        error.contains("symlink") && error.contains("in a,"),
        "{error}"
    );
    let place = Place::new();
    let layer = Layer::default().file("a", "file").file("a/b/x", "x");
    let error = message(place.unpack(&[layer.end()]));
    assert!(error.contains("in a/b, but a is no directory"), "{error}");
    assert_eq!(place.tree(), ["a 644 file"]);
}

#[test]
fn the_last_symlink_is_replaced_not_followed() {
    let place = Place::new();
    let outside = place.0.path().join("outside/sentinel");
    let target = outside.to_str().unwrap();
    let layer = Layer::default()
        .symlink("file", target)
        .file("file", "inside")
        .symlink("directory", "/")
        .directory("directory", 0o755)
        .symlink("link", target)
        .hardlink("link2", "link")
        .symlink("link", "new")
        .end();
    place.unpack(&[layer]).unwrap();
    assert_eq!(
        place.tree(),
        [
            "directory/ 755".to_owned(),
            "file 644 inside".to_owned(),
            "link -> new".to_owned(),
            format!("link2 -> {target}"),
        ]
    );
}

#[test]
fn hard_links_stay_inside_and_have_content() {
    let place = Place::new();
    let layer = Layer::default()
        .file("a", "content")
        .symlink("way", "/../outside")
        .hardlink("x", "way/sentinel")
        .end();
    let error = message(place.unpack(&[layer]));
    assert!(error.contains("hard link to way/sentinel"), "{error}");
    place.tree();
    for (target, expected) in [
        ("../outside/sentinel", "outside"),
        ("missing", "not in the image"),
        ("d", "a directory"),
        ("/", "the root"),
    ] {
        let place = Place::new();
        let layer = Layer::default().directory("d", 0o755).hardlink("x", target);
        let error = message(place.unpack(&[layer.end()]));
        assert!(error.contains(expected), "{error}");
        assert_eq!(place.tree(), ["d/ 755"]);
    }
    let place = Place::new();
    let layer = Layer::default()
        .file("a", "content")
        .hardlink("./a", "/a")
        .hardlink("b", "a");
    place.unpack(&[layer.end()]).unwrap();
    assert_eq!(place.tree(), ["a 644 content", "b 644 content"]);
}

#[test]
fn whiteouts_reach_nothing_outside() {
    for name in [".wh...", ".wh..", ".wh.", "a/.wh..."] {
        let place = Place::new();
        let layers = [
            Layer::default().file("a/b", "b").end(),
            Layer::default().file(name, "").end(),
        ];
        let error = message(place.unpack(&layers));
        assert!(error.contains("names nothing"), "{error}");
        assert_eq!(place.tree(), ["a/ 755", "a/b 644 b"]);
    }
    let place = Place::new();
    let outside = place.0.path().join("outside");
    let layers = [
        Layer::default()
            .symlink("way", "../outside")
            .symlink("absolute", outside.to_str().unwrap())
            .end(),
        Layer::default()
            .file("way/.wh.sentinel", "")
            .file("absolute/.wh..wh..opq", "")
            .file(".wh.way", "")
            .end(),
    ];
    place.unpack(&layers).unwrap();
    assert_eq!(place.tree(), [format!("absolute -> {}", outside.shown())]);
}
