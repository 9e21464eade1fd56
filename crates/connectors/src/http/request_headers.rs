//! The headers of the requests a destination sends: what is configured, and what signs it in.

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use pipehat_config::Span;

use super::reading::Reading;

/// Headers that hold what signs somebody in: they are not kept with messages.
pub(super) const SECRET_HEADERS: &[&str] =
    &["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"];

/// Headers that HTTP itself needs; a configured one would break the request.
const OWN_HEADERS: &[&str] =
    &["content-length", "transfer-encoding", "connection", "host", "expect", "upgrade", "te"];

/// Reads them all.
pub(super) fn request_headers(reading: &mut Reading<'_>) -> HeaderMap {
    let settings = reading.settings;
    let mut headers = HeaderMap::new();
    if let Some(setting) = settings.get("content_type") {
        let text = setting.text().unwrap_or_default();
        match HeaderValue::try_from(text) {
            Ok(value) if text.contains('/') => drop(headers.insert(CONTENT_TYPE, value)),
            _ => reading.wrong("content_type", "this is not a content type"),
        }
    }
    add_configured(reading, &mut headers);
    headers
}

/// Adds `headers`, `secret_headers`, and what `token`, `user` and `password` make.
pub(crate) fn add_configured(reading: &mut Reading<'_>, headers: &mut HeaderMap) {
    let settings = reading.settings;
    for (key, setting) in settings.map("headers").unwrap_or_default() {
        let value = setting.text().unwrap_or_default().as_bytes().to_vec();
        add_header(reading, headers, (&key.text, &key.span), value, Secrecy::Open);
    }
    for (key, setting) in settings.map("secret_headers").unwrap_or_default() {
        if let Some(value) = setting.secret().and_then(|secret| reading.secret(secret)) {
            add_header(reading, headers, (&key.text, &key.span), value, Secrecy::Secret);
        }
    }
    if let Some(value) = authorization(reading) {
        if headers.contains_key(AUTHORIZATION) {
            reading.wrong("token", "there is an `Authorization` header already");
        }
        headers.insert(AUTHORIZATION, value);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrecy {
    Open,
    Secret,
}

fn add_header(
    reading: &mut Reading<'_>,
    headers: &mut HeaderMap,
    (name, span): (&str, &Span),
    value: Vec<u8>,
    secrecy: Secrecy,
) {
    let Some(name) = reading.header_name(name, span) else { return };
    if OWN_HEADERS.contains(&name.as_str()) || name == CONTENT_TYPE {
        let message =
            "this header is set by Pipehat itself (for `Content-Type` see `content_type`)";
        return reading.wrong_at(reading.codes.setting, span, message);
    }
    if secrecy == Secrecy::Open && SECRET_HEADERS.contains(&name.as_str()) {
        let message = "what signs us in must not stand in a file: use `token`, `password` or `secret_headers`";
        return reading.wrong_at(reading.codes.setting, span, message);
    }
    match HeaderValue::try_from(value) {
        Ok(mut value) => {
            value.set_sensitive(secrecy == Secrecy::Secret);
            headers.insert(name, value);
        }
        Err(_) => reading.wrong_at(reading.codes.setting, span, "no header can have this value"),
    }
}

fn authorization(reading: &mut Reading<'_>) -> Option<HeaderValue> {
    let settings = reading.settings;
    let value = match (settings.secret("token"), settings.text("user"), settings.secret("password"))
    {
        (Some(token), None, None) => {
            let mut value = b"Bearer ".to_vec();
            value.extend(reading.secret(token)?);
            value
        }
        (None, Some(user), Some(password)) => {
            let password = reading.secret(password)?;
            let mut plain = format!("{user}:").into_bytes();
            plain.extend(password);
            format!("Basic {}", base64(&plain)).into_bytes()
        }
        (None, None, None) => return None,
        (Some(_), ..) => {
            reading.wrong("token", "sign in either with `token` or with `user` and `password`");
            return None;
        }
        (None, user, _) => {
            let name = if user.is_some() { "user" } else { "password" };
            reading.wrong(name, "`user` and `password` belong together");
            return None;
        }
    };
    match HeaderValue::try_from(value) {
        Ok(mut value) => {
            value.set_sensitive(true);
            Some(value)
        }
        Err(_) => {
            reading.wrong("token", "no header can have this value");
            None
        }
    }
}

/// RFC 4648 §4, for Basic (RFC 7617).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut three = [0_u8; 3];
        three.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let index = usize::try_from((bits >> (18 - 6 * place)) & 0x3f).unwrap_or_default();
            let letter = if place > chunk.len() { None } else { ALPHABET.get(index) };
            text.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_of_every_remainder() {
        for (plain, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), expected);
        }
    }
}
