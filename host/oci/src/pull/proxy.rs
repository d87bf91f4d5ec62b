//! Proxies, as the environment names them: by the rules of curl, which others follow.

use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use ureq::Proxy;

switch_root_core::outcomes! {
    /// Why a proxy is not used.
    pub enum Unusable in "registries" {
        /// The environment names it.
        "SR-Q55" NotAUrl { variable: String, value: String } = "{variable} names `{value}`, which is not the URL of a proxy; set it to http://HOST:PORT, or unset it",
        "SR-Q56" Port { variable: String, value: String } = "{variable} names `{value}`, whose port is not a number from 1 to 65535; set it to http://HOST:PORT, or unset it",
        "SR-Q57" Protocol { variable: String, value: String } = "{variable} names `{value}`, which is not a proxy of HTTP; set it to http://HOST:PORT, or unset it",
    }
}

/// A proxy, and where it is named.
pub(super) struct Chosen {
    /// What asks by it.
    pub(super) proxy: Proxy,
    /// For errors: `the proxy proxy.example:3128 (HTTPS_PROXY)`.
    pub(super) shown: String,
}

/// The proxy by which a host is asked, which may have a port; nothing where it is asked
/// without.
///
/// # Errors
/// What the environment names is no proxy that can be used.
pub(super) fn choose(
    scheme: &str,
    host: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Chosen>> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let spelled = |name: &str| {
        let small = name.to_ascii_lowercase();
        set(&small)
            .map(|value| (small, value))
            .or_else(|| set(name).map(|value| (name.to_owned(), value)))
    };
    let of_scheme = match scheme {
        "https" => spelled("HTTPS_PROXY"),
        // Behind a web server HTTP_PROXY is what a client has sent.
        _ if set("REQUEST_METHOD").is_some() => {
            set("http_proxy").map(|it| ("http_proxy".into(), it))
        }
        _ => spelled("HTTP_PROXY"),
    };
    let Some((name, value)) = of_scheme.or_else(|| spelled("ALL_PROXY")) else {
        return Ok(None);
    };
    if let Some((_, exceptions)) = spelled("NO_PROXY")
        && is_exempt(&exceptions, scheme, host)
    {
        return Ok(None);
    }
    let shown = escape::message(without_password(&value), 200);
    let Ok(proxy) = Proxy::new(value.trim()) else {
        return Err(Error::input(Unusable::NotAUrl {
            variable: name,
            value: shown,
        }));
    };
    if !has_port(value.trim()) {
        return Err(Error::input(Unusable::Port {
            variable: name,
            value: shown,
        }));
    }
    if !matches!(proxy.protocol().to_string().as_str(), "HTTP" | "HTTPS") {
        return Err(Error::input(Unusable::Protocol {
            variable: name,
            value: shown,
        }));
    }
    let shown = format!(
        "the proxy {}:{} ({name})",
        escape::message(proxy.host(), 200),
        proxy.port()
    );
    Ok(Some(Chosen { proxy, shown }))
}

/// Whether the port of a URL is a port, where it has one: for any other text the library takes
/// the port of the protocol.
fn has_port(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (_, port) = split(without_password(authority));
    let port = port.unwrap_or_default();
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.is_empty() || digits && port.parse::<u16>().is_ok_and(|number| number > 0)
}

/// A URL from behind a name and a password.
fn without_password(url: &str) -> &str {
    url.rsplit('@').next().unwrap_or_default()
}

/// Whether a list, with commas or spaces between its entries, names a host: it itself or a
/// domain above it, with or without a dot in front, its address or a network of addresses;
/// each also with a port. `*` names all.
fn is_exempt(list: &str, scheme: &str, host: &str) -> bool {
    let (name, port) = split(host);
    let port = port.unwrap_or(match scheme {
        "https" => "443",
        _ => "80",
    });
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    list.split([',', ' ', '\t']).any(|entry| {
        let (wanted, of_port) = split(entry);
        if of_port.is_some_and(|of| of != port) {
            return false;
        }
        let wanted = wanted.trim_start_matches('.').trim_end_matches('.');
        let wanted = wanted.to_ascii_lowercase();
        match (name.parse::<std::net::IpAddr>(), wanted.as_str()) {
            (_, "") => false,
            (_, "*") => true,
            (Ok(address), wanted) => contains(wanted, address),
            (Err(_), wanted) => name
                .strip_suffix(wanted)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        }
    })
}

/// A host without brackets, and its port.
fn split(host: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    match host.rsplit_once(':') {
        // An address of IPv6 has more colons.
        Some((name, port)) if !name.contains(':') => (name, Some(port)),
        _ => (host, None),
    }
}

/// Whether `network` is this address, or has it: `10.0.0.0/8`.
fn contains(network: &str, address: std::net::IpAddr) -> bool {
    use std::net::IpAddr::{V4, V6};

    let (base, length) = match network.split_once('/') {
        Some((base, length)) => (base, Some(length)),
        None => (network, None),
    };
    let Ok(base) = base.parse::<std::net::IpAddr>() else {
        return false;
    };
    let bits = |address: std::net::IpAddr| match address {
        V4(address) => (u128::from(u32::from(address)) << 96, 32),
        V6(address) => (u128::from(address), 128),
    };
    let ((base, width), (address, other)) = (bits(base), bits(address));
    let length = match length.map(str::parse::<u32>) {
        None => width,
        Some(Ok(length)) if length <= width => length,
        Some(_) => return false,
    };
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    width == other && base & mask == address & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)], scheme: &str, host: &str) -> Result<Option<String>> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        choose(scheme, host, variable).map(|chosen| chosen.map(|chosen| chosen.shown))
    }

    #[test]
    fn no_proxy_is_read_as_curl_reads_it() {
        for (list, host, exempt) in [
            ("example.com", "example.com", true),
            ("example.com", "a.b.example.com", true),
            ("example.com", "EXAMPLE.com:5000", true),
            ("example.com.", "a.example.com", true),
            (".example.com", "a.example.com", true),
            (".example.com", "example.com", true),
            ("example.com", "badexample.com", false),
            ("a.example.com", "example.com", false),
            ("other, example.com", "example.com", true),
            ("other example.com", "example.com", true),
            ("*", "example.com", true),
            ("*.example.com", "a.example.com", false),
            ("", "example.com", false),
            (",", "example.com", false),
            ("example.com:5000", "example.com:5000", true),
            ("example.com:443", "example.com", true),
            ("example.com:5000", "example.com", false),
            ("10.0.0.1", "10.0.0.1:5000", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("0.0.0.0/0", "11.1.2.3", true),
            ("fd00::/8", "[fd12::1]:5000", true),
            ("[fd12::1]", "[fd12::1]:5000", true),
            ("::/0", "10.0.0.1", false),
            ("0.1", "10.0.0.1", false),
        ] {
            assert_eq!(is_exempt(list, "https", host), exempt, "{list} {host}");
        }
    }

    #[test]
    fn a_proxy_is_chosen_by_scheme_and_named_with_its_variable() {
        let variables = [
            ("https_proxy", "http://secret:word@p:1"),
            ("HTTPS_PROXY", "http://other:2"),
            ("HTTP_PROXY", "q:3128"),
            ("ALL_PROXY", "http://all"),
            ("NO_PROXY", "never.example"),
        ];
        let by = |set: &[(&str, &str)], scheme| chosen(set, scheme, "r.example").unwrap();
        let shown = Some("the proxy p:1 (https_proxy)".to_owned());
        assert_eq!(by(&variables, "https"), shown);
        let shown = Some("the proxy q:3128 (HTTP_PROXY)".to_owned());
        assert_eq!(by(&variables, "http"), shown);
        let shown = Some("the proxy all:80 (ALL_PROXY)".to_owned());
        assert_eq!(by(&variables[2..], "https"), shown);
        assert_eq!(by(&variables[2..3], "https"), None);
        let exempt = chosen(&variables, "https", "a.never.example");
        assert_eq!(exempt.unwrap(), None);
        // What a client of a web server has sent is not taken.
        let cgi = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil")];
        assert_eq!(by(&cgi, "http"), None);
    }

    #[test]
    fn what_is_no_proxy_is_an_error_without_its_password() {
        for value in [
            "http://",
            "ftp://a:b@c",
            "socks5://a:b@c:1",
            "http://a:b@c d",
            "http://a:b@c:65536",
            "a:b@c:65536",
            "http://a:b@c:0/",
            "https://a:b@[::1]:70000",
            "http://a:b@c:+80",
        ] {
            let error = chosen(&[("ALL_PROXY", value)], "https", "r.example");
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with("ALL_PROXY names `"), "{error}");
            assert!(!error.contains("a:b"), "{error}");
        }
        assert_eq!(chosen(&[("ALL_PROXY", " ")], "https", "r").unwrap(), None);
    }
}
