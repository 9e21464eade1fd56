//! The settings of every destination that is an HTTP client: where, by which way, and trusting whom.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, HeaderValue};
use jiff::civil::Date;
use pipehat_config::{Diagnostic, Node, Settings, SourceFile};
use reqwest::{Proxy, Url};
use rustls::ClientConfig;

use super::reading::Reading;
use crate::tls::{CLIENT_TLS, ClientTls};

/// The address under `name`.
pub(crate) fn url(reading: &mut Reading<'_>, name: &'static str) -> Option<Url> {
    reading.conceal_password(name);
    let text = reading.settings.text(name)?;
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(_) if !text.contains("://") => {
            let message = "this is not a URL: it begins with `https://` or `http://` and a host";
            reading.wrong(name, message);
            return None;
        }
        // The error's text does not repeat the URL, which may have a password in it.
        Err(error) => {
            reading.wrong(name, format!("this is not a URL: {error}"));
            return None;
        }
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        reading.wrong(name, "a URL begins with `https://` or `http://` and a host");
    } else if !url.username().is_empty() || url.password().is_some() {
        reading
            .wrong(name, "user and password do not belong into a URL: use `user` and `password`");
    } else if url.fragment().is_some() {
        reading.wrong(name, "what stands behind `#` is never sent");
    } else {
        check_plaintext(reading, &url, name);
    }
    Some(url)
}

/// As [`url`], of an address that secrets are sent to: beyond this machine only by `https:`.
pub(crate) fn secret_url(reading: &mut Reading<'_>, name: &'static str) -> Option<Url> {
    reading.conceal_password(name);
    let Ok(url) = Url::parse(reading.settings.text(name)?) else {
        reading.wrong(name, "this is not a URL");
        return None;
    };
    let host = url.host_str().unwrap_or_default();
    let is_loopback = ip(host).map_or(host == "localhost", |ip| ip.is_loopback());
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
        reading.wrong(name, "a secret is sent there: the address begins with `https://`");
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        reading.wrong(name, "user, password and `#` do not belong into this address");
        return None;
    }
    Some(url)
}

/// Plaintext beyond this machine is told of, unless somebody decided it.
fn check_plaintext(reading: &mut Reading<'_>, url: &Url, name: &'static str) {
    if let Some(risk) = reading.settings.section("accepted_risk") {
        if risk.text("date").is_none_or(|date| date.parse::<Date>().is_err()) {
            let span = risk.span_of("date").unwrap_or_else(|| risk.span());
            reading.wrong_at(
                reading.codes.setting,
                span,
                "this is not a date such as `2026-03-31`",
            );
        }
        return;
    }
    let host = url.host_str().unwrap_or_default();
    let is_loopback = ip(host).map_or(host == "localhost", |ip| ip.is_loopback());
    if url.scheme() == "http" && !is_loopback {
        let span = reading.settings.span_of(name).unwrap_or_else(|| reading.settings.span());
        let message = "messages leave this machine unencrypted";
        let warning = Diagnostic::warning(reading.codes.plaintext.code, span, message);
        reading.diagnostics.push(warning.with_help(reading.codes.plaintext.remedy));
    }
}

fn ip(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// Whom to trust at this address, and what certificate to show.
pub(crate) fn tls(reading: &mut Reading<'_>, url: &Url) -> Option<ClientConfig> {
    if url.scheme() != "https" && reading.settings.contains("tls") {
        reading.wrong("tls", "an `http:` URL is reached without TLS: write `https:`");
    }
    let host = url.host_str()?.trim_matches(['[', ']']);
    let absent = match reading.settings.section("tls") {
        Some(_) => None,
        None => {
            let file = SourceFile::new("the default of `tls`", "{}");
            let node = Node::parse(&file, reading.diagnostics)?;
            Some(Settings::read(&node, "tls", CLIENT_TLS, reading.diagnostics)?)
        }
    };
    let section = absent.as_ref().or(reading.settings.section("tls"))?;
    let tls = ClientTls::read(section, host, reading.context, reading.diagnostics)?;
    Some((*tls.config()).clone())
}

/// The proxy to go through.
pub(crate) fn proxy(reading: &mut Reading<'_>) -> Option<Proxy> {
    reading.conceal_password("proxy");
    let written = Url::parse(reading.settings.text("proxy")?).ok();
    let named = written.filter(|url| {
        url.scheme() == "http" && url.username().is_empty() && url.host_str().is_some()
    });
    if server_name(reading.settings).is_some() {
        reading.wrong(
            "proxy",
            "a proxy looks up names itself, so `server_name` can't be used with it",
        );
        return None;
    }
    let proxy = named.and_then(|url| Proxy::all(url).ok());
    if proxy.is_none() {
        reading.wrong("proxy", "this is not a proxy such as `http://proxy.internal:3128`");
    }
    proxy
}

/// The name the partner's certificate has, where it is not the host's.
pub(crate) fn server_name(settings: &Settings) -> Option<&str> {
    settings.section("tls")?.text("server_name")
}

pub(crate) type Renamed = (Url, Option<(String, u16)>, HeaderMap);

/// The client takes the name to look for in the certificate from the URL: the URL gets that name, and the true host is
/// looked up in its stead and named in the `Host` header.
pub(crate) fn renamed(
    reading: &mut Reading<'_>,
    mut url: Url,
    name: &str,
    mut headers: HeaderMap,
) -> Option<Renamed> {
    let (host, port) = (url.host_str()?.to_owned(), url.port_or_known_default()?);
    let authority = url.port().map_or(host.clone(), |port| format!("{host}:{port}"));
    let is_name = url.set_host(Some(name)).is_ok() && ip(name).is_none();
    let Some(authority) = HeaderValue::try_from(authority).ok().filter(|_| is_name) else {
        let section = reading.settings.section("tls")?;
        let span = section.span_of("server_name").unwrap_or_else(|| section.span()).clone();
        reading.wrong_at(reading.codes.setting, &span, "this must be a host name");
        return None;
    };
    headers.insert(HOST, authority);
    Some((url, Some((host.trim_matches(['[', ']']).to_owned(), port)), headers))
}
