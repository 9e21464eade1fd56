//! A run as it is kept: what was asked and answered, what was logged; without the secrets that the bot was given.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pipehat_connectors::BotFinding;
use pipehat_script::{Answer, Ask, AskError, Concealed, LogLevel, LogLine, Recorded};
use serde_json::{Value, json};

use super::host::FINDINGS;

/// Bodies larger than this are told by their size: a run that moves documents is no second store of them.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The most that is kept of one run's effects.
const EFFECTS_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What came from the host, in order.
pub(super) fn effects(recorded: &[Recorded], concealed: &Concealed) -> String {
    let mut effects = Vec::new();
    let mut bytes = 0_usize;
    for (index, one) in recorded.iter().enumerate() {
        let mut value = match one {
            Recorded::Asked { ask, answer } => asked(ask, answer),
            Recorded::Time(time) => json!({ "time": time.to_string() }),
            Recorded::Random(random) => json!({ "random": random.len() }),
            // The answer stands where it was asked for.
            Recorded::Came(_) => continue,
        };
        let told = told_in(one);
        if !told.is_empty()
            && let Some(object) = value.as_object_mut()
        {
            object.insert("findings".to_owned(), Value::Array(told));
        }
        concealed.value(&mut value);
        bytes = bytes.saturating_add(value.to_string().len());
        if bytes > EFFECTS_BYTES_MAX {
            effects.push(json!({ "left_out": recorded.len().saturating_sub(index) }));
            break;
        }
        effects.push(value);
    }
    Value::Array(effects).to_string()
}

/// The most findings of one run that are kept one by one; the rest is counted.
const FINDINGS_MAX: usize = 100;

/// What the translations of a run could not say, each place once. It holds no value.
pub(super) fn findings(recorded: &[Recorded]) -> Vec<BotFinding> {
    let mut kept: Vec<BotFinding> = Vec::new();
    let mut beyond = 0_u32;
    for told in recorded.iter().flat_map(told_in) {
        let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default();
        let (code, path) = (text("code"), text("path"));
        let has_room = kept.len() < FINDINGS_MAX;
        match kept.iter_mut().find(|known| known.code == code && known.path == path) {
            Some(known) => known.count = known.count.saturating_add(1),
            None if has_room => {
                kept.push(BotFinding { code: code.to_owned(), path: path.to_owned(), count: 1 });
            }
            None => beyond = beyond.saturating_add(1),
        }
    }
    if beyond > 0 {
        let code = "translate.more".to_owned();
        kept.push(BotFinding { code, path: String::new(), count: beyond });
    }
    kept
}

/// The findings of one translation.
fn told_in(recorded: &Recorded) -> Vec<Value> {
    let Recorded::Asked { ask: Ask::ToFhir { .. } | Ask::ToV2 { .. }, answer: Ok(answer) } =
        recorded
    else {
        return Vec::new();
    };
    let told = answer.headers.iter().find(|(name, _)| name == FINDINGS);
    told.and_then(|(_, told)| serde_json::from_str(told).ok()).unwrap_or_default()
}

fn asked(ask: &Ask, answer: &Result<Answer, AskError>) -> Value {
    let mut value = match ask {
        Ask::Fetch { method, url, body, .. } => {
            // Headers hold tokens, and a URL's query may.
            let url = url.split('?').next().unwrap_or_default();
            json!({ "fetch": url, "method": method, "body": content(body) })
        }
        Ask::Datastore { method, path, body, .. } => {
            json!({ "datastore": path, "method": method, "body": content(body) })
        }
        Ask::Table { table, key } => json!({ "table": table, "key": key }),
        Ask::StateGet { key } => json!({ "state_get": key }),
        Ask::StateSet { key, value } => json!({ "state_set": key, "value": value }),
        Ask::StateAdd { key, by } => json!({ "state_add": key, "by": by }),
        Ask::Send { destination, content_type, body } => {
            json!({ "send": destination, "content_type": content_type, "body": content(body) })
        }
        Ask::Park { reason } => json!({ "park": reason }),
        Ask::ToFhir { message } => json!({ "to_fhir": message.len() }),
        Ask::ToV2 { wanted, version, .. } => json!({ "to_v2": wanted, "version": version }),
        Ask::Sftp { server, operation, path, argument, body } => {
            let mut value = json!({ "sftp": server, "operation": operation, "path": path });
            if let Some(to) = argument {
                value["to"] = json!(to);
            }
            if operation == "put" {
                value["body"] = content(body);
            }
            value
        }
        Ask::ExecuteBot { bot, content_type, body } => {
            json!({ "execute": bot, "content_type": content_type, "body": content(body) })
        }
    };
    let told = match answer {
        Ok(answer) => json!({ "status": answer.status, "body": content(&answer.body) }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    if let Some(object) = value.as_object_mut() {
        object.insert("answer".to_owned(), told);
    }
    value
}

fn content(body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    if body.len() > BODY_BYTES_MAX {
        return json!({ "bytes": body.len() });
    }
    match std::str::from_utf8(body) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => json!({ "base64": STANDARD.encode(body) }),
    }
}

/// What a script logged.
pub(super) fn log(lines: &[LogLine], concealed: &Concealed) -> String {
    let lines = lines.iter().map(|line| {
        let level = match line.level {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        json!({ "at": line.at.to_string(), "level": level, "text": concealed.text(&line.text) })
    });
    Value::Array(lines.collect()).to_string()
}
