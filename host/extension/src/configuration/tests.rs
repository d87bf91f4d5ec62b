use base64::Engine;
use oci::registries::Credentials;

use super::*;

fn read(text: &str) -> Configuration {
    parse(text.as_bytes(), "machine.yaml").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn refused(text: &str) -> String {
    parse(text.as_bytes(), "machine.yaml")
        .unwrap_err()
        .to_string()
}

fn images(configuration: &Configuration) -> Vec<&str> {
    let images = configuration.extensions.iter();
    images
        .map(|extension| extension.image.text.as_str())
        .collect()
}

#[test]
fn extensions_are_read_in_order_with_their_places() {
    let configuration = read(
        "version: v1alpha1\nmachine:\n  install:\n    disk: /dev/sda\n    extensions:\n      - image: ghcr.io/siderolabs/gvisor:v1\n      - {image: 'oci:/a b'}\ncluster: {}\n",
    );
    assert_eq!(
        images(&configuration),
        ["ghcr.io/siderolabs/gvisor:v1", "oci:/a b"]
    );
    let position = configuration.extensions[1].position;
    assert_eq!((position.line, position.column), (7, 17));
}

#[test]
fn what_is_not_there_is_nothing() {
    for text in [
        "",
        "# nothing\n",
        "---\n",
        "machine:\n",
        "machine: {}\n",
        "machine:\n  install:\n",
        "machine:\n  install: {disk: a}\n",
        "machine:\n  install:\n    extensions:\n",
        "machine:\n  install:\n    extensions: []\n",
        "machine:\n  install:\n    extensions: {}\n",
        "machine:\n  registries:\n    mirrors:\n    config: {}\n",
        "\u{feff}machine: {}\n",
    ] {
        assert_eq!(read(text), Configuration::default(), "{text:?}");
    }
}

#[test]
fn documents_about_registries_are_read_with_and_without_the_machine() {
    let certificate = "-----BEGIN CERTIFICATE-----\n  AA==\n  -----END CERTIFICATE-----";
    let key = "-----BEGIN PRIVATE KEY-----\n  AA==\n  -----END PRIVATE KEY-----";
    let indented = |text: &str| text.replace('\n', "\n  ");
    let document =
        |kind: &str, rest: &str| format!("---\napiVersion: v1alpha1\nkind: {kind}\n{rest}\n");
    let text = document(
        "RegistryMirrorConfig",
        "name: docker.io\nskipFallback: true\nendpoints:\n- url: https://a.example/v2\n  overridePath: true\n- url: http://b.example",
    ) + &document(
        "RegistryAuthConfig",
        "name: a.example\nusername: me\npassword: secret",
    ) + &document(
        "RegistryTLSConfig",
        &format!(
            "name: a.example\nca: |-\n  {certificate}\nclientIdentity:\n  cert: |-\n    {}\n  key: |-\n    {}\ninsecureSkipVerify: true",
            indented(certificate),
            indented(key)
        ),
    ) + &document("RegistryCacheConfig", "name: x");
    for machine in [
        "",
        "---\nmachine: {registries: {mirrors: {docker.io: {endpoints: ['http://old']}}}}\n",
    ] {
        let read = read(&(machine.to_owned() + &text));
        let mirror = &read.registries.mirrors["docker.io"];
        assert!(mirror.skip_fallback);
        let endpoint = |url: &str, override_path| oci::registries::MirrorEndpoint {
            url: url.into(),
            override_path,
        };
        assert_eq!(
            mirror.endpoints,
            [
                endpoint("https://a.example/v2", true),
                endpoint("http://b.example", false)
            ]
        );
        let host = &read.registries.hosts["a.example"];
        assert!(
            matches!(&host.credentials, Some(Credentials::Basic { username, .. }) if username == "me")
        );
        assert!(host.ca.is_some() && host.identity.is_some() && host.insecure_skip_verify);
        let [warning] = read.warnings.as_slice() else {
            panic!("{:?}", read.warnings);
        };
        assert!(
            warning.contains("RegistryCacheConfig is a kind"),
            "{warning}"
        );
    }
}

#[test]
fn documents_about_registries_are_refused_with_their_places() {
    let document = |rest: &str| {
        refused(&format!(
            "apiVersion: v1alpha1\nkind: RegistryMirrorConfig\n{rest}\n"
        ))
    };
    for (rest, words) in [
        ("endpoints: []", "RegistryMirrorConfig has no `name`"),
        ("name: [a]", "RegistryMirrorConfig.name is a list"),
        (
            "name: a\nendpoints: [a]",
            "RegistryMirrorConfig.endpoints[0] is a text",
        ),
        (
            "name: a\nendpoints: [{}]",
            "RegistryMirrorConfig.endpoints[0] has no `url`",
        ),
        (
            "name: a\nendpoints: [{url: b}]",
            "it must begin with `https://`",
        ),
    ] {
        let error = document(rest);
        assert!(
            error.starts_with("machine.yaml: line ") && error.contains(words),
            "{error}"
        );
    }
}

#[test]
fn a_second_document_of_one_kind_and_name_is_refused() {
    let document =
        |kind: &str, rest: &str| format!("---\napiVersion: v1alpha1\nkind: {kind}\n{rest}\n");
    let mirror = |name: &str| document("RegistryMirrorConfig", &format!("name: {name}"));
    for (text, words) in [
        (
            mirror("a") + &mirror("a"),
            "a second document RegistryMirrorConfig/a; the first one begins at line 2 column 1",
        ),
        (
            document("KubeSpanConfig", "") + &document("KubeSpanConfig", "enabled: true"),
            "a second document KubeSpanConfig/;",
        ),
    ] {
        let error = refused(&text);
        assert!(error.contains(words), "{error}");
    }
    read(&(mirror("a") + &mirror("b") + &document("RegistryAuthConfig", "name: a")));
}

#[test]
fn a_document_with_a_kind_is_not_that_of_the_machine() {
    for (version, kind) in [
        ("v1alpha1", "ExtensionServiceConfig"),
        ("v1alpha1", "RegistryMirrorConfig"),
        (
            "controlplane.cluster.x-k8s.io/v1alpha3",
            "TalosControlPlane",
        ),
    ] {
        let error = refused(&format!(
            "apiVersion: {version}\nkind: {kind}\nname: x\nmachine:\n  install: {{}}\n"
        ));
        assert!(
            error.contains(&format!(
                "a document of the kind {kind} has the key `machine`"
            )),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_machine_configuration_is_refused_and_named() {
    let resource = "node: 192.0.2.1\nmetadata:\n  type: MachineConfigs.config.talos.dev\nspec: |\n  machine: {}\n";
    for (text, words) in [
        (resource, "the configuration is the text below `spec`"),
        (
            "context: a\ncontexts: {a: {endpoints: []}}\n",
            "a talosconfig",
        ),
        ("customization: {systemExtensions: {}}\n", "a schematic"),
        ("clusterName: a\nnodes: []\n", "talhelper"),
        (
            "apiVersion: v1\nkind: Config\nclusters: []\n",
            "an object of Kubernetes",
        ),
        (
            "version: v1alpha1\nmetadata: {name: a}\n",
            "the manifest of an extension",
        ),
        (
            "version: '3.8'\nservices: {a: {image: b}}\n",
            "a Compose file",
        ),
        ("version: 3\n", "the right file?"),
        ("- op: add\n", "a list, as patches are"),
        ("a list: [1]\n", "the right file?"),
        ("some text\n", "the right file?"),
    ] {
        let error = refused(text);
        let begin =
            "machine.yaml is not a machine configuration: it has none of the keys machine, cluster";
        assert!(error.starts_with(begin) && error.contains(words), "{error}");
    }
}

#[test]
fn each_part_of_a_machine_configuration_is_one() {
    for text in [
        "version: v1alpha1\n",
        "cluster: {}\n",
        "debug: false\n",
        "persist: true\n",
        "apiVersion: v1alpha1\nkind: RegistryMirrorConfig\nname: docker.io\n",
        "other: 1\n---\nmachine: {}\n",
    ] {
        assert_eq!(images(&read(text)), [""; 0], "{text:?}");
    }
}

#[test]
fn keys_that_nobody_reads_are_warnings_with_their_places() {
    let text = "machine:\n  install: {extension: [], disk: /dev/sda}\n  registries:\n    mirors: {}\n    mirrors: {a: {endpoint: x}}\n    config: {b: {auths: 1, tls: {insecureSkipVerifyy: true}}}\n";
    let warnings = read(text).warnings;
    let meant = [
        "`extensions`",
        "`mirrors`",
        "`endpoints`",
        "`auth`",
        "`insecureSkipVerify`",
    ];
    assert_eq!(warnings.len(), meant.len(), "{warnings:?}");
    for (warning, meant) in warnings.iter().zip(meant) {
        assert!(
            warning.ends_with(&format!("did you mean {meant}?")),
            "{warning}"
        );
    }
    assert!(
        warnings[0].starts_with("machine.yaml: line 2 column 13: `machine.install.extension`"),
        "{warnings:?}"
    );
}

#[test]
fn of_several_documents_the_one_of_the_machine_counts() {
    let machine = "machine: {install: {extensions: [{image: a}]}}\n";
    for text in [
        format!("kind: Other\nextensions: 1\n---\n{machine}"),
        format!("---\n{machine}...\n---\nkind: Other\n"),
    ] {
        assert_eq!(images(&read(&text)), ["a"]);
    }
    let error = refused(&format!("{machine}---\n{machine}"));
    assert!(
        error.starts_with("machine.yaml: line 3 column 1: a second document with the key `machine`; the first one begins at line 1 column 1"),
        "{error}"
    );
}

#[test]
fn registries_are_read_whole() {
    let certificate = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n";
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let text = format!(
        "machine:
  registries:
    mirrors:
      docker.io:
        endpoints: [https://mirror.example/x, \"http://127.0.0.1:5000\"]
        overridePath: true
        skipFallback: yes
      '*': {{endpoints: []}}
    config:
      one.example: {{auth: {{username: me, password: '0123'}}}}
      two.example:5000: {{auth: {{auth: {}}}}}
      three.example:
        auth: {{identityToken: token}}
        tls:
          ca: {}
          clientIdentity: {{crt: {}, key: {}}}
          insecureSkipVerify: true
      four.example: {{auth: {{registryToken: token}}}}
",
        encode("me:a:b\0"),
        encode(certificate),
        encode(certificate),
        encode(key)
    );
    let registries = read(&text).registries;
    let mirror = &registries.mirrors["docker.io"];
    let urls: Vec<_> = mirror
        .endpoints
        .iter()
        .map(|one| one.url.as_str())
        .collect();
    assert_eq!(urls, ["https://mirror.example/x", "http://127.0.0.1:5000"]);
    assert!(mirror.endpoints.iter().all(|one| one.override_path) && mirror.skip_fallback);
    assert_eq!(registries.mirrors["*"], Default::default());
    let basic = |username: &str, password: &str| {
        Some(Credentials::Basic {
            username: username.into(),
            password: password.into(),
        })
    };
    let hosts = &registries.hosts;
    assert!(hosts["one.example"].credentials == basic("me", "0123"));
    assert!(hosts["two.example:5000"].credentials == basic("me", "a:b"));
    let three = &hosts["three.example"];
    assert!(three.credentials == Some(Credentials::IdentityToken("token".into())));
    assert_eq!(three.ca.as_deref(), Some(certificate.as_bytes()));
    assert_eq!(three.identity, Some((certificate.into(), key.into())));
    assert!(three.insecure_skip_verify);
    assert!(hosts["four.example"].credentials == Some(Credentials::RegistryToken("token".into())));
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_what_it_should_be() {
    for (text, expected) in [
        (
            "machine: 1\n",
            "line 1 column 10: machine is a text; it must be a mapping",
        ),
        ("machine:\n  install: []\n", "machine.install is a list"),
        (
            "machine:\n  install:\n    extensions: a\n",
            "line 3 column 17: machine.install.extensions is a text; it must be a list",
        ),
        (
            "machine: {install: {extensions: [{image: a}, {image: [b]}]}}",
            "machine.install.extensions[1].image is a list; it must be a text, an image reference",
        ),
        (
            "machine: {install: {extensions: [a]}}",
            "machine.install.extensions[0] is a text; it must be a mapping",
        ),
        (
            "machine: {install: {extensions: [{imag: a}]}}",
            "machine.install.extensions[0] has no `image`",
        ),
        (
            "machine: {install: {extensions: [{image: }]}}",
            "extensions[0] has no `image`",
        ),
        (
            "machine: {install: {extensions: [{image: 'A B'}]}}",
            "extensions[0].image cannot be used: `A B` is not an image",
        ),
        (
            "machine: {registries: {mirrors: {x: {endpoints: [a.example]}}}}",
            "machine.registries.mirrors.x.endpoints[0] is `a.example`; it must begin with",
        ),
        (
            "machine: {registries: {mirrors: {x: {endpoints: a}}}}",
            "endpoints is a text; it must be a list of URLs",
        ),
        (
            "machine: {registries: {mirrors: {x: {overridePath: maybe}}}}",
            "overridePath is a text; it must be `true` or `false`",
        ),
        (
            "machine: {registries: {config: {x: {auth: {username: a}}}}}",
            "machine.registries.config.x.auth has `username` and no `password`",
        ),
        (
            "machine: {registries: {config: {x: {auth: {auth: secret}}}}}",
            "auth.auth is not base64 of `USERNAME:PASSWORD`",
        ),
        (
            "machine: {registries: {config: {x: {tls: {ca: AAAA}}}}}",
            "tls.ca is neither a certificate in PEM nor base64 of one",
        ),
        (
            "machine: {registries: {config: {x: {tls: {clientIdentity: {}}}}}}",
            "clientIdentity has no `key`; it must have both",
        ),
        ("machine: {\n", "machine.yaml is not YAML: line "),
        (
            "a: 1\na: 2\n",
            "machine.yaml: line 2 column 1: the key `a` stands twice",
        ),
    ] {
        let error = refused(text);
        assert!(error.starts_with("machine.yaml"), "{error}");
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_not_without_end() {
    let error = refused("machine: {install: {extensions: [1, {}]}, registries: {mirrors: []}}");
    assert_eq!(error.lines().count(), 3, "{error}");
    let many = "1,".repeat(10_000);
    let error = refused(&format!("machine: {{install: {{extensions: [{many}]}}}}"));
    assert_eq!(error.lines().count(), 51);
    assert!(error.ends_with("and 9950 more"));
}

#[test]
fn several_mistakes_have_the_code_of_the_first() {
    let text = "machine:\n  install:\n    extensions:\n      - {}\n      - image: [1]\n";
    let error = parse(text.as_bytes(), "f").unwrap_err();
    assert_eq!(error.to_string().lines().count(), 2, "{error}");
    assert_eq!(error.code.unwrap().to_string(), "SR-M10");
}

#[test]
fn an_image_that_stands_twice_is_named_with_both_places() {
    let error =
        refused("machine:\n  install:\n    extensions:\n    - image: a:1\n    - image: a:1\n");
    assert_eq!(
        error,
        "machine.yaml: line 5 column 14: machine.install.extensions[1].image names the image `a:1`, which stands at line 4 column 14 already; remove one of them"
    );
}

#[test]
fn bombs_of_aliases_cost_nothing_and_are_named_where_a_value_is_needed() {
    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..40 {
        let item = format!("*a{}", level - 1);
        let items = vec![item; 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let machine = |value: &str| format!("{bomb}machine:\n  install:\n    extensions: {value}\n");
    assert_eq!(images(&read(&machine("[{image: a}]"))), ["a"]);
    for (value, path) in [
        ("*a39", "extensions"),
        ("[*a39]", "extensions[0]"),
        ("[{image: *a39}]", "extensions[0].image"),
    ] {
        let error = refused(&machine(value));
        assert!(
            error.contains(&format!(
                "machine.install.{path} is an alias, which is not read"
            )),
            "{error}"
        );
    }
    let error = refused("x: &x {extensions: []}\nmachine:\n  install:\n    <<: *x\n");
    assert!(
        error.contains("line 4 column 5: machine.install merges another mapping"),
        "{error}"
    );
}

#[test]
fn bytes_that_are_no_text_and_giants_are_refused() {
    let error = parse(b"a: 1\nb: \xc3\xa4\xff\n", "a\nb").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(r"a\x0ab: line 2 column 5: a byte that is not UTF-8"),
        "{error}"
    );
    let giant = vec![b'#'; LARGEST + 1];
    assert!(
        parse(&giant, "x")
            .unwrap_err()
            .to_string()
            .contains("is 16777217 bytes long")
    );
    assert!(parse(&giant[1..], "x").is_ok());
}

#[test]
fn what_stands_in_the_file_cannot_write_to_a_terminal() {
    for text in [
        "machine: {install: {extensions: [{image: \"\\e[31m\"}]}}",
        "machine: {registries: {mirrors: {\"\\e[31m\": 1}}}",
        "\"\\e[31m\": 1\n\"\\e[31m\": 1\n",
    ] {
        let error = refused(text);
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }
}
