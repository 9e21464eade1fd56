//! The addresses of bots: `POST /bots/NAME`, for systems that can't sign in.
//!
//! Whoever calls shows a token, or signs the body (HMAC). Both are compared in constant time, and what is wrong is told
//! in the same words as a bot that is not there: nobody learns which bots there are.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pipehat_engine::project::{HmacHash, WebhookAnswer, WebhookProof};
use pipehat_resource::json;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::deployed::Webhook;
use super::failure::Failed;
use super::input;
use super::service::{Bots, Task, told};

/// The largest body.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The largest result that may be an OperationOutcome.
const OUTCOME_BYTES_MAX: usize = 64 * 1024;

/// Headers that a bot is not shown: they open doors.
const HIDDEN: [header::HeaderName; 3] =
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// The most headers that a bot is shown.
const HEADERS_MAX: usize = 64;

/// The routes.
pub(crate) fn router(bots: Arc<Bots>) -> Router {
    Router::new().route("/bots/{name}", post(call)).with_state(bots)
}

async fn call(
    State(bots): State<Arc<Bots>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let set = bots.set();
    let bot = set.bots.get(&name);
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 16 MiB");
    };
    let allowed = bot.and_then(|bot| Some((bot, bot.webhook.as_ref()?)));
    let allowed = allowed.filter(|(_, webhook)| may(webhook, &headers, &body));
    let Some((bot, webhook)) = allowed else {
        return plain(
            StatusCode::UNAUTHORIZED,
            "there is no such webhook, or its token or signature is wrong",
        );
    };
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("application/octet-stream").to_owned();
    let hidden = match &webhook.trigger.proof {
        WebhookProof::Token { header, .. } | WebhookProof::Hmac { header, .. } => header.as_str(),
    };
    let shown =
        headers.iter().filter(|(name, _)| !HIDDEN.contains(name) && name.as_str() != hidden);
    let shown = shown.take(HEADERS_MAX).filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    let task = Task {
        bot: Arc::clone(bot),
        trigger: "webhook",
        source: format!("/bots/{name}"),
        content_type: content_type.clone(),
        body: body.to_vec(),
        headers: shown.collect(),
    };
    match webhook.trigger.answer {
        WebhookAnswer::Accepted => {
            if let Err(why) = input::input(&content_type, body.to_vec()) {
                return failure(&Failed::lasting("bot.input", why, None), &content_type, &body);
            }
            match bots.promise(task).await {
                Ok(run) if input::is_hl7(&content_type) => {
                    let reply = input::acknowledgment(&body, None, jiff::Timestamp::now());
                    response(StatusCode::OK, &content_type, reply.into(), Some(run))
                }
                Ok(run) => response(StatusCode::ACCEPTED, "", Bytes::new(), Some(run)),
                Err(failed) => failure(&failed, &content_type, &body),
            }
        }
        WebhookAnswer::Result => match bots.run(task).await {
            Ok(done) => {
                let run = done.run;
                let (result_type, result) = told(done.output, &content_type, &body);
                response(status_told(&result), &result_type, result, Some(run))
            }
            Err(failed) => failure(&failed, &content_type, &body),
        },
    }
}

/// The status of a result: of an OperationOutcome with an error, which is how a bot refuses what it was called with, 400, or what
/// its code says.
fn status_told(result: &[u8]) -> StatusCode {
    let is_small = result.len() <= OUTCOME_BYTES_MAX;
    let outcome = Some(result).filter(|_| is_small).and_then(|bytes| json::parse(bytes).ok());
    let outcome = outcome.filter(|own| own.resource_type() == Some("OperationOutcome"));
    let mut issues = outcome.iter().flat_map(|own| own.items("issue"));
    let error = issues.find(|issue| matches!(issue.text("severity"), Some("error" | "fatal")));
    match error.map(|issue| issue.text("code").unwrap_or_default()) {
        None => StatusCode::OK,
        Some("forbidden") => StatusCode::FORBIDDEN,
        Some("not-found") => StatusCode::NOT_FOUND,
        Some("conflict") => StatusCode::CONFLICT,
        Some(_) => StatusCode::BAD_REQUEST,
    }
}

/// The status of a failure.
pub(super) fn status_of(failed: &Failed) -> StatusCode {
    match failed.code {
        "bot.busy" => StatusCode::TOO_MANY_REQUESTS,
        "bot.stopping" | "bot.not-kept" => StatusCode::SERVICE_UNAVAILABLE,
        "bot.input" => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A sender of HL7 v2 gets AE with an ERR segment; others a text. Neither says more than where.
fn failure(failed: &Failed, content_type: &str, body: &[u8]) -> Response {
    let status = status_of(failed);
    let text = match failed.code {
        // The caller's own doing, in words of ours.
        "bot.input" => format!("{} ({})", failed.why, failed.code),
        code => format!("the bot failed ({code})"),
    };
    // By its number whoever runs the server finds why: `pipehat bot show`.
    let text = match failed.run {
        Some(run) => format!("{text}, run {run}"),
        None => text,
    };
    if input::is_hl7(content_type) {
        let reply = input::acknowledgment(body, Some(&text), jiff::Timestamp::now());
        return response(status, content_type, reply.into(), failed.run);
    }
    response(status, "text/plain; charset=utf-8", text.into(), failed.run)
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    response(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()), None)
}

fn response(status: StatusCode, content_type: &str, body: Bytes, run: Option<u64>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(value) = HeaderValue::from_str(content_type).ok().filter(|value| !value.is_empty())
    {
        headers.insert(header::CONTENT_TYPE, value);
    }
    if let Some(run) = run.and_then(|run| HeaderValue::from_str(&run.to_string()).ok()) {
        headers.insert(HeaderName::from_static("x-pipehat-run"), run);
    }
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether a caller shows what it must.
fn may(webhook: &Webhook, headers: &HeaderMap, body: &[u8]) -> bool {
    // A secret that was emptied opens nothing.
    if webhook.secret.is_empty() {
        return false;
    }
    let given =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match &webhook.trigger.proof {
        WebhookProof::Token { header, .. } => {
            let given = given(header);
            let token = given
                .split_once(' ')
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map_or(given, |(_, token)| token.trim());
            token.as_bytes().ct_eq(webhook.secret.as_bytes()).into()
        }
        WebhookProof::Hmac { header, prefix, hash, .. } => {
            let Some(given) = given(header).strip_prefix(prefix.as_str()) else { return false };
            let Some(given) = decoded(given) else { return false };
            let secret = webhook.secret.as_bytes();
            // `verify_slice` compares in constant time.
            match hash {
                HmacHash::Sha256 => <Hmac<Sha256> as Mac>::new_from_slice(secret)
                    .is_ok_and(|mac| mac.chain_update(body).verify_slice(&given).is_ok()),
                HmacHash::Sha512 => <Hmac<Sha512> as Mac>::new_from_slice(secret)
                    .is_ok_and(|mac| mac.chain_update(body).verify_slice(&given).is_ok()),
            }
        }
    }
}

/// Hexadecimal, or base64.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let is_hex =
        matches!(text.len(), 64 | 128) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex {
        return STANDARD.decode(text).ok();
    }
    let digits: Vec<u8> =
        text.bytes().filter_map(|byte| char::from(byte).to_digit(16)?.try_into().ok()).collect();
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |value, digit| value << 4 | digit))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use pipehat_config::{Diagnostics, Node, SourceFile};
    use pipehat_engine::project::WebhookTrigger;

    use super::*;

    fn secret() -> pipehat_config::SecretReference {
        let file = SourceFile::new("a.yaml", "secret:x");
        let node = Node::parse(&file, &mut Diagnostics::new()).expect("a node");
        node.secret(&mut Diagnostics::new()).expect("a reference")
    }

    fn webhook(proof: WebhookProof, secret: &str) -> Webhook {
        let trigger = WebhookTrigger { proof, answer: WebhookAnswer::Result };
        Webhook { trigger, secret: secret.to_owned() }
    }

    #[track_caller]
    fn check(webhook: &Webhook, name: &'static str, value: &str, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).expect("a value"));
        assert_eq!(may(webhook, &headers, b"what do ya want for nothing?"), expected, "{value}");
    }

    #[test]
    fn an_outcome_with_an_error_is_a_refusal() {
        let outcome = |severity: &str, code: &str| {
            format!(
                r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"{severity}","code":"{code}"}}]}}"#
            )
        };
        let status = |result: &str| status_told(result.as_bytes()).as_u16();
        assert_eq!(status(&outcome("error", "invalid")), 400);
        assert_eq!(status(&outcome("fatal", "not-found")), 404);
        assert_eq!(status(&outcome("information", "informational")), 200);
        assert_eq!(status(r#"{"resourceType":"Task","issue":[{"severity":"error"}]}"#), 200);
        assert_eq!(status("done"), 200);
    }

    #[test]
    fn tokens_open() {
        let token = |secret_text| {
            let header = "authorization".to_owned();
            webhook(WebhookProof::Token { secret: secret(), header }, secret_text)
        };
        check(&token("abc"), "authorization", "Bearer abc", true);
        check(&token("abc"), "authorization", "abc", true);
        check(&token("abc"), "authorization", "Bearer abd", false);
        check(&token("abc"), "authorization", "Bearer ", false);
        check(&token(""), "authorization", "Bearer ", false);
        check(&token("abc"), "x-token", "abc", false);
    }

    #[test]
    fn signatures_open() {
        // RFC 4231, test case 2.
        const SIGNED: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let hmac = |prefix: &str| {
            let proof = WebhookProof::Hmac {
                secret: secret(),
                header: "x-signature".to_owned(),
                prefix: prefix.to_owned(),
                hash: HmacHash::Sha256,
            };
            webhook(proof, "Jefe")
        };
        check(&hmac(""), "x-signature", SIGNED, true);
        check(&hmac(""), "x-signature", &SIGNED.to_uppercase(), true);
        check(&hmac("sha256="), "x-signature", &format!("sha256={SIGNED}"), true);
        check(&hmac("sha256="), "x-signature", SIGNED, false);
        check(&hmac(""), "x-signature", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=", true);
        check(&hmac(""), "x-signature", &SIGNED.replace('5', "6"), false);
        check(&hmac(""), "x-signature", "", false);
    }
}
