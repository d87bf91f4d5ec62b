//! Saying who asks: by name and password, or by a token that a server gives.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use switch_root_core::error::Result;
use switch_root_core::escape;

use super::super::challenge::{self, Challenge};
use super::super::document;
use super::super::endpoint::Endpoint;
use super::super::transport::{Answer, Method, Question, origin, unreachable};
use super::{Client, Patience, Right, body, unauthorized};
use crate::registries::Credentials;

switch_root_core::outcomes! {
    /// Why a token server cannot be reached: what follows its name in a sentence.
    pub enum NoToken in "registries" {
        /// Wait, or ask those who run it.
        "SR-O37" Status { host: String, status: u16 } = "as the token server of {host} it answers with the status {status}",
        "SR-O38" NotAToken { host: String } = "as the token server of {host} it answers with what is no token",
    }
}

switch_root_core::outcomes! {
    /// Why a registry is not told who asks.
    pub enum Unknown in "registries" {
        /// Log in with Docker or Podman, or put credentials into `machine.registries.config`.
        "SR-O30" NoCredentials { host: String, places: String } = "the registry {host} wants to know who asks, and there are no credentials for it; they are looked for in {places}",
        "SR-O31" IdentityToken { host: String, places: String } = "the registry {host} wants a name and a password, and there is only an identity token for it in {places}",
        /// Such registries are not supported.
        "SR-O32" OtherWay { host: String } = "the registry {host} wants to know who asks in a way other than Basic and Bearer",
        /// They were revoked, perhaps. Log in again.
        "SR-O33" NotAccepted { server: String, host: String, status: u16, places: String } = "the token server {server} of the registry {host} does not accept the credentials (status {status}); they are from {places}",
        "SR-O34" NoToken { server: String, host: String, status: u16, places: String } = "the token server {server} of the registry {host} gives no token to who does not say who asks (status {status}); credentials are looked for in {places}",
        /// What answers is not the registry, or is set up wrongly: credentials are not sent there.
        "SR-O35" ServerIsNoUrl { host: String, realm: String } = "the registry {host} names a token server `{realm}` that is no URL",
        "SR-O36" ServerWithoutTls { host: String, realm: String } = "the registry {host} names a token server `{realm}` without TLS, which is not asked",
    }
}

/// What may not stand in the value of a query as it is. A library for whole URLs would bring some
/// twenty crates of Unicode's tables into `srctl`, for names that are ASCII.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b':');

impl Client<'_> {
    /// What goes into `Authorization` after a challenge.
    pub(super) fn authorize(
        &self,
        endpoint: &Endpoint,
        repository: &str,
        right: Right,
        answer: &Answer,
        patience: &Patience,
    ) -> Result<String> {
        let host = &endpoint.host;
        let credentials = self.keyring.find(host, repository)?;
        let missing = || {
            unauthorized(Unknown::NoCredentials {
                host: host.clone(),
                places: self.keyring.places(host),
            })
        };
        match (challenge::choose(answer.response.headers()), credentials) {
            (_, Some(Credentials::RegistryToken(token))) => Ok(format!("Bearer {token}")),
            (Some(Challenge::Basic), Some(Credentials::Basic { username, password })) => {
                Ok(basic(&username, &password))
            }
            (Some(Challenge::Basic), Some(Credentials::IdentityToken(_))) => {
                Err(unauthorized(Unknown::IdentityToken {
                    host: host.clone(),
                    places: self.keyring.places(host),
                }))
            }
            (Some(Challenge::Basic), None) => Err(missing()),
            (
                Some(Challenge::Bearer {
                    realm,
                    service,
                    scope,
                }),
                credentials,
            ) => {
                let scope = right.scope(scope.as_deref(), repository);
                let token = Token {
                    host,
                    realm: &realm,
                    service: service.as_deref(),
                    scope: &scope,
                };
                self.token(&token, credentials.as_ref(), patience)
                    .map(|token| format!("Bearer {token}"))
            }
            (None, None) => Err(missing()),
            (None, Some(_)) => {
                let host = host.clone();
                Err(unauthorized(Unknown::OtherWay { host }))
            }
        }
    }

    /// Gets a token for a registry from its token server.
    fn token(
        &self,
        token: &Token<'_>,
        credentials: Option<&Credentials>,
        patience: &Patience,
    ) -> Result<String> {
        let host = token.host;
        let server = self.token_server(token)?;
        let mut question = Question {
            url: token.realm.to_owned(),
            authorization: None,
            headers: Vec::new(),
            method: Method::Get,
        };
        if let Some(Credentials::IdentityToken(identity)) = credentials {
            let mut form = vec![
                ("grant_type", "refresh_token"),
                ("client_id", "switch-root"),
                ("scope", token.scope),
                ("refresh_token", identity),
            ];
            form.extend(token.service.map(|service| ("service", service)));
            question.method = Method::Form(form);
        } else {
            question.url = token.url();
            if let Some(Credentials::Basic { username, password }) = credentials {
                question.authorization = Some(basic(username, password));
            }
        }
        let mut answer = self.polite(&server, &question, patience)?;
        match answer.response.status().as_u16() {
            200 => {}
            status @ (400 | 401 | 403) => {
                let places = self.keyring.places(host);
                let host = host.to_owned();
                return Err(unauthorized(match credentials {
                    Some(_) => Unknown::NotAccepted {
                        server,
                        host,
                        status,
                        places,
                    },
                    None => Unknown::NoToken {
                        server,
                        host,
                        status,
                        places,
                    },
                }));
            }
            status => {
                let host = host.to_owned();
                return Err(unreachable(&server, NoToken::Status { host, status }));
            }
        }
        let body = body(&mut answer.response);
        // It breaks off where we have closed the connection.
        self.stop.check()?;
        let no_token = || {
            let host = host.to_owned();
            unreachable(&server, NoToken::NotAToken { host })
        };
        let issued: Issued = document::json(&body, "").map_err(|_| no_token())?;
        let given = [issued.token, issued.access_token];
        let mut given = given.into_iter().flatten();
        let text = given.find(|text| !text.is_empty()).unwrap_or_default();
        // What could not be in a header could not be sent.
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(no_token());
        }
        Ok(text)
    }

    /// The host of a token server. It is given credentials, so it has to be
    /// reached as safely as the registry.
    fn token_server(&self, token: &Token<'_>) -> Result<String> {
        let names = || (token.host.to_owned(), escape::message(token.realm, 200));

        let Ok((scheme, server)) = token
            .realm
            .parse()
            .map_err(drop)
            .and_then(|uri| origin(&uri).map_err(drop))
        else {
            let (host, realm) = names();
            return Err(unauthorized(Unknown::ServerIsNoUrl { host, realm }));
        };
        let registry = ("https", token.host);
        if !self.transport.may_lead(registry, (&scheme, &server)) {
            let (host, realm) = names();
            return Err(unauthorized(Unknown::ServerWithoutTls { host, realm }));
        }
        Ok(server)
    }
}

/// What is asked of a token server.
struct Token<'t> {
    /// The registry that it is for.
    host: &'t str,
    realm: &'t str,
    service: Option<&'t str>,
    scope: &'t str,
}

impl Token<'_> {
    fn url(&self) -> String {
        let mut url = self.realm.to_owned();
        let service = self.service.map(|service| ("service", service));
        for (key, value) in service.into_iter().chain([("scope", self.scope)]) {
            url.push(match url.contains('?') {
                true => '&',
                false => '?',
            });
            url.push_str(key);
            url.push('=');
            url.extend(utf8_percent_encode(value, ENCODED));
        }
        url
    }
}

/// What a token server answers.
#[derive(Deserialize)]
struct Issued {
    token: Option<String>,
    access_token: Option<String>,
}

fn basic(username: &str, password: &str) -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{password}"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_in_the_words_of_the_challenge() {
        let token = |realm| {
            Token {
                host: "r",
                realm,
                service: Some("a b&c"),
                scope: "repository:a/b:pull,push",
            }
            .url()
        };
        let query = "service=a%20b%26c&scope=repository:a/b:pull%2Cpush";
        assert_eq!(token("https://t/x"), format!("https://t/x?{query}"));
        assert_eq!(token("https://t/x?y=z"), format!("https://t/x?y=z&{query}"));
    }
}
