//! Calls an endpoint (FHIR R4 §2.41.10.1): a POST, empty or with the resource.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use pipehat_store::datastore::Trigger;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, redirect};
use sha2::Sha256;

use super::subscriber::{DeliveryFailure, Notice};
use super::subscription::Hook;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// So much of an answer is read, so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Longer than this no endpoint is left alone, whatever it asks for.
const RETRY_AFTER_MAX: u64 = 60 * 60;

/// What goes out for a deletion: there is no resource any more.
const NOTHING: &str = "{}";

/// Calls endpoints.
pub(super) struct RestHook {
    client: Client,
}

impl RestHook {
    /// Makes the client.
    pub(super) fn new() -> reqwest::Result<Self> {
        Ok(Self { client: careful_client()? })
    }

    /// Delivers a notice.
    pub(super) async fn send(
        &self,
        hook: &Hook,
        notice: &Notice,
        timeout: Duration,
    ) -> Result<(), DeliveryFailure> {
        let Some(url) = hook.url.clone() else {
            return Err(DeliveryFailure::new("nobody takes this endpoint"));
        };
        let body = match (&hook.payload, &notice.body) {
            (None, _) => String::new(),
            (Some(_), Some(body)) if notice.trigger != Trigger::Delete => body.as_ref().to_owned(),
            (Some(_), _) => NOTHING.to_owned(),
        };
        let headers = headers(hook, notice, &body);
        let request = self.client.post(url).timeout(timeout).headers(headers).body(body);
        let mut response =
            request.send().await.map_err(|error| DeliveryFailure::new(why(&error, timeout)))?;
        let status = response.status();
        if !status.is_success() {
            let retry_after = retry_after(response.headers());
            let failure = DeliveryFailure::new(format!("HTTP {}", status.as_u16()));
            return Err(DeliveryFailure { retry_after, ..failure });
        }
        // It was taken; what else is said does not matter, nor whether it arrives.
        let mut read = 0usize;
        while let Ok(Some(chunk)) = response.chunk().await {
            read = read.saturating_add(chunk.len());
            if read > ANSWER_BYTES_MAX {
                break;
            }
        }
        Ok(())
    }
}

/// A client that goes where it is told, and nowhere else.
pub(crate) fn careful_client() -> reqwest::Result<Client> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let this_machine = [([127, 0, 0, 1], 0).into(), (std::net::Ipv6Addr::LOCALHOST, 0).into()];
    Client::builder()
        // Who is called is decided by the rules, and by nothing else: not by an answer, not by the environment.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .retry(reqwest::retry::never())
        .resolve_to_addrs("localhost", &this_machine)
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("pipehat/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        .build()
}

fn headers(hook: &Hook, notice: &Notice, body: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &hook.headers {
        headers.append(name.clone(), value.clone());
    }
    let key = &notice.key;
    let mut set = |name: &'static str, text: String| {
        // Ids and types of ours have no other characters.
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    };
    set("x-pipehat-subscription", format!("Subscription/{}", notice.subscription));
    if let Some(payload) = &hook.payload {
        let resource = format!("{}/{}", key.resource_type, key.id);
        set("x-pipehat-resource", format!("{resource}/_history/{}", notice.version));
        set("x-pipehat-interaction", notice.trigger.code().to_owned());
        if notice.trigger == Trigger::Delete {
            set("x-medplum-deleted-resource", resource);
        }
        let media = if payload.contains('/') { payload } else { "application/fhir+json" };
        set("content-type", media.to_owned());
    }
    if body.is_empty() {
        // RFC 9110 §8.6: a POST says so where it has no content; some servers answer 411 otherwise.
        set("content-length", "0".to_owned());
    }
    if let Some(secret) = &hook.secret {
        set("x-signature", signature(secret, body));
    }
    headers
}

/// HMAC-SHA-256 of the body, in hexadecimal.
fn signature(secret: &str, body: &str) -> String {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(secret.as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(body.as_bytes());
    let bytes: [u8; 32] = mac.finalize().into_bytes().into();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a request failed, without its address.
fn why(error: &reqwest::Error, timeout: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", timeout.as_secs_f32());
    }
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && io.get_ref().is_none()
        {
            return format!("no connection: {}", io.kind());
        }
        if inner.downcast_ref::<rustls::Error>().is_some() {
            return "no connection: TLS failed".to_owned();
        }
        source = inner.source();
    }
    let text = if error.is_connect() { "no connection" } else { "the connection broke off" };
    text.to_owned()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(RETRY_AFTER_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        assert_eq!(
            signature("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn endpoints_may_ask_for_time() {
        let check = |value: &str, expected: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).expect("a value"));
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{value}");
        };
        check("7", Some(7));
        check("999999", Some(3600));
        check("soon", None);
    }
}
