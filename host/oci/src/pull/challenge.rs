//! What a registry answers to who has not said who asks: `WWW-Authenticate`.

use ureq::http::HeaderMap;
use ureq::http::header::WWW_AUTHENTICATE;

/// How a registry wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// By name and password.
    Basic,
    /// By a token of a server.
    Bearer {
        /// The server's URL.
        realm: String,
        /// The registry, in its own words.
        service: Option<String>,
        /// What the token is for.
        scope: Option<String>,
    },
}

/// The challenge that is answered: a token's where there are several.
pub(super) fn choose(headers: &HeaderMap) -> Option<Challenge> {
    let mut basic = None;
    for header in headers.get_all(WWW_AUTHENTICATE) {
        // What cannot be read is passed over, as is what is not known.
        for written in read(header.to_str().unwrap_or_default()) {
            if written.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            } else if written.scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = written.value("realm")
            {
                return Some(Challenge::Bearer {
                    realm,
                    service: written.value("service"),
                    scope: written.value("scope"),
                });
            }
        }
    }
    basic
}

/// A challenge as it is written.
#[derive(Default)]
struct Written<'h> {
    scheme: &'h str,
    /// With their quotes.
    values: Vec<(&'h str, &'h str)>,
}

impl Written<'_> {
    /// The value of a key; nothing where it is empty.
    fn value(&self, key: &str) -> Option<String> {
        let is = |(name, _): &&(&str, &str)| name.eq_ignore_ascii_case(key);
        let (_, value) = self.values.iter().find(is)?;
        Some(unquoted(value)).filter(|value| !value.is_empty())
    }
}

/// The challenges of a header, which has them one after the other, each a scheme and
/// `key=value`, with commas between all of these. As proxies and registries write it:
/// with any spaces, and with challenges between them that are a scheme alone or have
/// something else behind it.
fn read(header: &str) -> Vec<Written<'_>> {
    let mut challenges: Vec<Written<'_>> = Vec::new();
    for element in elements(header) {
        let (first, rest) = match element.split_once([' ', '\t']) {
            // `key = "a b"` is no scheme.
            Some((first, rest)) if !first.contains('=') && !rest.trim_start().starts_with('=') => {
                (Some(first), rest.trim_start())
            }
            None if !element.contains('=') => (Some(element), ""),
            _ => (None, element),
        };
        if let Some(scheme) = first {
            challenges.push(Written {
                scheme,
                values: Vec::new(),
            });
        }
        if let (Some(challenge), Some((key, value))) = (challenges.last_mut(), rest.split_once('='))
        {
            challenge.values.push((key.trim(), value.trim()));
        }
    }
    challenges
}

/// What stands between commas that are not in quotes, but nothing empty.
fn elements(header: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    let between = header.split(move |character| {
        let was_escaped = std::mem::take(&mut escaped);
        match character {
            '\\' => escaped = quoted && !was_escaped,
            '"' if !was_escaped => quoted = !quoted,
            _ => {}
        }
        character == ',' && !quoted
    });
    between.map(str::trim).filter(|element| !element.is_empty())
}

/// A value without its quotes and what they take to be in it.
fn unquoted(value: &str) -> String {
    let Some(inner) = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            character => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(headers: &[&str]) -> Option<Challenge> {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(WWW_AUTHENTICATE, header.parse().unwrap());
        }
        choose(&map)
    }

    #[test]
    fn a_token_goes_before_a_password() {
        let bearer = r#"Bearer realm="https://auth.example/token",service="registry, \"one\"",scope="repository:a/b:pull,push""#;
        let expected = Challenge::Bearer {
            realm: "https://auth.example/token".into(),
            service: Some("registry, \"one\"".into()),
            scope: Some("repository:a/b:pull,push".into()),
        };
        assert_eq!(
            chosen(&["Basic realm=\"x\"", bearer]),
            Some(expected.clone())
        );
        assert_eq!(
            chosen(&[&format!("basic realm=x, {bearer}")]),
            Some(expected)
        );
        assert_eq!(chosen(&["BASIC realm=\"x\""]), Some(Challenge::Basic));
    }

    #[test]
    fn a_challenge_is_read_however_it_is_spaced_and_whatever_stands_beside_it() {
        let expected = Challenge::Bearer {
            realm: "https://a/t".into(),
            service: Some("r".into()),
            scope: Some("repository:a/b:pull,push".into()),
        };
        for header in [
            r#"Bearer  realm="https://a/t",  service="r" ,scope="repository:a/b:pull,push""#,
            r#"  bearer	realm = "https://a/t", service=r,, scope = "repository:a/b:pull,push","#,
            r#"Negotiate, Bearer realm="https://a/t",service="r",scope="repository:a/b:pull,push""#,
            r#"Negotiate YII==, NTLM, Bearer realm="https://a/t",service="r",scope="repository:a/b:pull,push", Basic realm="x""#,
            r#"Basic realm="Bearer realm=\"x\", y", Bearer realm="https://a/t",service="r",scope="repository:a/b:pull,push""#,
            r#"Bearer error="no realm", Bearer realm="https://a/t",service="r",scope="repository:a/b:pull,push""#,
        ] {
            assert_eq!(chosen(&[header]), Some(expected.clone()), "{header}");
        }
        for header in [
            r#"Negotiate, Basic realm="x""#,
            r#"NTLM TlR==, Basic  realm="x, y""#,
            "Digest realm=a, nonce=b, Basic",
        ] {
            assert_eq!(chosen(&[header]), Some(Challenge::Basic), "{header}");
        }
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        for header in [
            "",
            "Negotiate",
            "Bearer",
            "Bearer service=\"x\"",
            "\"\"\"",
            "Digest realm=\"a\"",
        ] {
            assert_eq!(chosen(&[header]), None, "{header}");
        }
    }
}
