//! What a script asks for, read from the object that it asks with, and the object that answers.

use rquickjs::{Array, Ctx, Exception, Object, Result, String as JsString, Value};

use super::charset::InputCharset;
use super::{bytes, charset};
use crate::{Answer, Ask, AskError};

/// In which form an answer's body is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Text,
    Bytes,
}

impl Wanted {
    pub(super) fn named(name: Option<&str>) -> Self {
        if name == Some("bytes") { Self::Bytes } else { Self::Text }
    }
}

/// Reads a request.
pub(super) fn read<'js>(
    ctx: &Ctx<'js>,
    request: &Object<'js>,
    charset: InputCharset,
) -> Result<Ask> {
    let text = |member: &str| -> Result<String> {
        let value: Value<'js> = request.get(member)?;
        match value.as_string() {
            Some(string) => bytes::text(ctx, string),
            None => Err(Exception::throw_type(ctx, &format!("`{member}` must be a string"))),
        }
    };
    let optional = |member: &str| -> Result<Option<String>> {
        let value: Value<'js> = request.get(member)?;
        value.as_string().map(|string| bytes::text(ctx, string)).transpose()
    };
    let body = |member: &str| -> Result<Vec<u8>> {
        let value: Value<'js> = request.get(member)?;
        bytes::bytes(ctx, &value)
    };
    let message = |member: &str| -> Result<Vec<u8>> {
        let value: Value<'js> = request.get(member)?;
        charset.sent(ctx, &value)
    };
    let kind = text("ask")?;
    Ok(match kind.as_str() {
        "fetch" => Ask::Fetch {
            method: text("method")?,
            url: text("url")?,
            headers: headers(ctx, request)?,
            body: body("body")?,
        },
        "datastore" => Ask::Datastore {
            method: text("method")?,
            path: text("path")?,
            headers: headers(ctx, request)?,
            body: body("body")?,
        },
        "table" => Ask::Table { table: text("table")?, key: text("key")? },
        "stateGet" => Ask::StateGet { key: text("key")? },
        "stateSet" => Ask::StateSet { key: text("key")?, value: optional("value")? },
        "send" => Ask::Send {
            destination: text("destination")?,
            content_type: text("contentType")?,
            body: message("body")?,
        },
        "park" => Ask::Park { reason: text("reason")? },
        "toFhir" => Ask::ToFhir { message: text("message")? },
        "toV2" => Ask::ToV2 {
            bundle: text("bundle")?,
            wanted: text("wanted")?,
            version: text("version")?,
        },
        "sftp" => Ask::Sftp {
            server: text("server")?,
            operation: text("operation")?,
            path: text("path")?,
            argument: optional("argument")?,
            body: message("body")?,
        },
        "executeBot" => Ask::ExecuteBot {
            bot: text("bot")?,
            content_type: text("contentType")?,
            body: message("body")?,
        },
        other => {
            return Err(Exception::throw_type(ctx, &format!("`{other}` cannot be asked for")));
        }
    })
}

fn headers<'js>(ctx: &Ctx<'js>, request: &Object<'js>) -> Result<Vec<(String, String)>> {
    let value: Value<'js> = request.get("headers")?;
    let Some(list) = value.into_array() else { return Ok(Vec::new()) };
    let mut headers = Vec::new();
    for pair in list.iter::<Array<'js>>() {
        let pair = pair?;
        let part = |at: usize| -> Result<String> {
            let part: JsString<'js> = pair.get(at)?;
            bytes::text(ctx, &part)
        };
        headers.push((part(0)?, part(1)?));
    }
    Ok(headers)
}

/// Makes the answer.
pub(super) fn answer<'js>(ctx: &Ctx<'js>, answer: &Answer, wanted: Wanted) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("status", answer.status)?;
    let headers = Array::new(ctx.clone())?;
    for (at, (name, value)) in answer.headers.iter().enumerate() {
        let pair = Array::new(ctx.clone())?;
        pair.set(0, name.as_str())?;
        pair.set(1, value.as_str())?;
        headers.set(at, pair)?;
    }
    object.set("headers", headers)?;
    match wanted {
        Wanted::Text => object.set("text", charset::answered(&answer.body))?,
        Wanted::Bytes => {
            object.set("text", "")?;
            object.set("bytes", bytes::array(ctx, &answer.body)?)?;
        }
    }
    Ok(object)
}

/// Makes the error for what was not done.
pub(super) fn error<'js>(ctx: &Ctx<'js>, error: &AskError) -> Result<Value<'js>> {
    let object = Exception::from_message(ctx.clone(), &error.to_string())?.into_object();
    let code = match error {
        AskError::Refused(_) => "refused",
        AskError::Failed(_) => "failed",
        AskError::TimedOut | AskError::GivenUp => "timeout",
    };
    object.set("code", code)?;
    Ok(object.into_value())
}
