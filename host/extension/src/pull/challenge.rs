//! What a registry answers to who has not said who asks: `WWW-Authenticate`.

use http_auth::ChallengeParser;
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
        let text = header.to_str().unwrap_or_default();
        for challenge in ChallengeParser::new(text).map_while(Result::ok) {
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            } else if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let value = |key: &str| {
                    let (_, value) = challenge
                        .params
                        .iter()
                        .find(|(name, _)| name.eq_ignore_ascii_case(key))?;
                    Some(value.to_unescaped()).filter(|value| !value.is_empty())
                };
                if let Some(realm) = value("realm") {
                    return Some(Challenge::Bearer {
                        realm,
                        service: value("service"),
                        scope: value("scope"),
                    });
                }
            }
        }
    }
    basic
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
