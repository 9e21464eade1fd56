//! What the web's globals need and JavaScript cannot do by itself: clock, randomness, timers, digests, UTF-8, URLs.

use std::rc::Rc;
use std::time::Duration;

use ring::{digest, hmac};
use rquickjs::function::{Func, Opt};
use rquickjs::{
    Array, Ctx, Exception, Function, Object, Persistent, Result, String as JsString, Value,
};
use url::Url;

use super::bytes;
use super::turn::{Timer, Turn};

/// How many random bytes are given at once, as the Web Cryptography API has it.
const RANDOM_BYTES_MAX: usize = 65_536;

/// The longest time of a timer, as browsers have it.
const TIMER_MILLISECONDS_MAX: f64 = 2_147_483_647.0;

/// The object `platform` of the native layer.
pub(super) fn object<'js>(ctx: &Ctx<'js>, turn: &Rc<Turn>) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    clock(&object, turn)?;
    cryptography(&object, turn)?;
    text(&object, turn)?;
    urls(&object, turn)?;
    let t = Rc::clone(turn);
    let spend = move |ctx: Ctx<'js>, size: f64| spend(&ctx, &t, size as usize);
    object.set("spend", Func::from(spend))?;
    Ok(object)
}

/// Looks at the clock where a call goes through much: the engine counts it as one step.
pub(super) fn spend(ctx: &Ctx<'_>, turn: &Turn, size: usize) -> Result<()> {
    match turn.spend(size as u64) {
        true => Ok(()),
        // What catches this comes to a step at which the run ends.
        false => Err(Exception::throw_message(ctx, "the time of this run is over")),
    }
}

/// How much is hashed between two looks at the clock: about a millisecond.
const HASHED_AT_ONCE: usize = 262_144;

/// Hashes the bytes part by part, and looks at the clock in between.
fn hashed(ctx: &Ctx<'_>, turn: &Turn, bytes: &[u8], mut hash: impl FnMut(&[u8])) -> Result<()> {
    for part in bytes.chunks(HASHED_AT_ONCE) {
        spend(ctx, turn, part.len())?;
        hash(part);
    }
    Ok(())
}

fn clock<'js>(object: &Object<'js>, turn: &Rc<Turn>) -> Result<()> {
    let t = Rc::clone(turn);
    object.set("now", Func::from(move || t.now().as_millisecond() as f64))?;
    let t = Rc::clone(turn);
    object.set("elapsed", Func::from(move || t.since_first().as_secs_f64() * 1_000.0))?;
    let t = Rc::clone(turn);
    let set = move |ctx: Ctx<'js>, callback: Function<'js>, after: f64, repeat: bool| {
        // NaN becomes 0.
        let after = after.clamp(0.0, TIMER_MILLISECONDS_MAX);
        let after = Duration::from_millis(after as u64);
        // One that repeats at once would leave no time for anything else.
        let every = repeat.then(|| after.max(Duration::from_millis(1)));
        let callback = Persistent::<Function<'js>>::save(&ctx, callback);
        match t.set_timer(after, Timer { callback, every }) {
            Some(number) => Ok(number),
            None => Err(Exception::throw_range(&ctx, "too many timers")),
        }
    };
    object.set("setTimer", Func::from(set))?;
    let t = Rc::clone(turn);
    object.set("clearTimer", Func::from(move |number: u32| t.clear_timer(number)))
}

fn cryptography<'js>(object: &Object<'js>, turn: &Rc<Turn>) -> Result<()> {
    let t = Rc::clone(turn);
    object.set("randomNumber", Func::from(move || t.random_number()))?;
    let t = Rc::clone(turn);
    let random = move |ctx: Ctx<'js>, length: usize| match length {
        0..=RANDOM_BYTES_MAX => bytes::array(&ctx, &t.random(length)),
        _ => Err(Exception::throw_range(&ctx, "more than 65536 random bytes at once")),
    };
    object.set("random", Func::from(random))?;
    let t = Rc::clone(turn);
    let digest = move |ctx: Ctx<'js>, name: String, data: Value<'js>| {
        let algorithm = match name.as_str() {
            "SHA-1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            "SHA-256" => &digest::SHA256,
            "SHA-384" => &digest::SHA384,
            "SHA-512" => &digest::SHA512,
            _ => return Err(Exception::throw_type(&ctx, "unknown digest")),
        };
        let data = bytes::bytes(&ctx, &data)?;
        let mut context = digest::Context::new(algorithm);
        hashed(&ctx, &t, &data, |part| context.update(part))?;
        bytes::array(&ctx, context.finish().as_ref())
    };
    object.set("digest", Func::from(digest))?;
    let t = Rc::clone(turn);
    let sign = move |ctx: Ctx<'js>, name: String, key: Value<'js>, data: Value<'js>| {
        bytes::array(&ctx, tag(&ctx, &t, &name, &key, &data)?.as_ref())
    };
    object.set("sign", Func::from(sign))?;
    let t = Rc::clone(turn);
    let verify = move |ctx: Ctx<'js>,
                       name: String,
                       key: Value<'js>,
                       signature: Value<'js>,
                       data: Value<'js>| {
        let tag = tag(&ctx, &t, &name, &key, &data)?;
        let signature = bytes::bytes(&ctx, &signature)?;
        // In a time that tells nothing of where they differ.
        let mut differing = u8::from(signature.len() != tag.as_ref().len());
        for (one, other) in signature.iter().zip(tag.as_ref()) {
            differing |= one ^ other;
        }
        Ok::<_, rquickjs::Error>(std::hint::black_box(differing) == 0)
    };
    object.set("verify", Func::from(verify))
}

/// The HMAC of some data.
fn tag<'js>(
    ctx: &Ctx<'js>,
    turn: &Turn,
    name: &str,
    key: &Value<'js>,
    data: &Value<'js>,
) -> Result<hmac::Tag> {
    let key = hmac_key(ctx, turn, name, key)?;
    let data = bytes::bytes(ctx, data)?;
    let mut context = hmac::Context::with_key(&key);
    hashed(ctx, turn, &data, |part| context.update(part))?;
    Ok(context.sign())
}

fn hmac_key<'js>(ctx: &Ctx<'js>, turn: &Turn, name: &str, key: &Value<'js>) -> Result<hmac::Key> {
    let algorithm = match name {
        "SHA-1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "SHA-256" => hmac::HMAC_SHA256,
        "SHA-384" => hmac::HMAC_SHA384,
        "SHA-512" => hmac::HMAC_SHA512,
        _ => return Err(Exception::throw_type(ctx, "unknown digest")),
    };
    let key = bytes::bytes(ctx, key)?;
    spend(ctx, turn, key.len())?;
    Ok(hmac::Key::new(algorithm, &key))
}

fn text<'js>(object: &Object<'js>, turn: &Rc<Turn>) -> Result<()> {
    let t = Rc::clone(turn);
    let encode = move |ctx: Ctx<'js>, text: JsString<'js>| {
        let text = bytes::text(&ctx, &text)?;
        spend(&ctx, &t, text.len())?;
        bytes::array(&ctx, text.as_bytes())
    };
    object.set("utf8Encode", Func::from(encode))?;
    // Text; or undefined where it is fatal that the bytes are not UTF-8.
    let t = Rc::clone(turn);
    let decode = move |ctx: Ctx<'js>, data: Value<'js>, fatal: bool| {
        let data = bytes::bytes(&ctx, &data)?;
        spend(&ctx, &t, data.len())?;
        Ok::<_, rquickjs::Error>(match String::from_utf8(data) {
            Ok(text) => Some(text),
            Err(_) if fatal => None,
            Err(error) => Some(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        })
    };
    object.set("utf8Decode", Func::from(decode))
}

fn urls<'js>(object: &Object<'js>, turn: &Rc<Turn>) -> Result<()> {
    let t = Rc::clone(turn);
    let parse = move |ctx: Ctx<'js>, text: String, base: Opt<Option<String>>| {
        let base = base.0.flatten();
        spend(&ctx, &t, text.len().saturating_add(base.as_ref().map_or(0, String::len)))?;
        let parsed = match base {
            Some(base) => Url::parse(&base).and_then(|base| base.join(&text)),
            None => Url::parse(&text),
        };
        match parsed {
            Ok(url) => parts(&ctx, &url).map(Some),
            Err(_) => Ok(None),
        }
    };
    object.set("parseUrl", Func::from(parse))?;
    let t = Rc::clone(turn);
    let change = move |ctx: Ctx<'js>, href: String, part: String, value: String| {
        spend(&ctx, &t, href.len().saturating_add(value.len()))?;
        let Ok(mut url) = Url::parse(&href) else { return Ok(None) };
        set_part(&mut url, &part, &value);
        parts(&ctx, &url).map(Some)
    };
    object.set("changeUrl", Func::from(change))
}

/// href, protocol, username, password, hostname, port, pathname, search, hash, origin.
fn parts<'js>(ctx: &Ctx<'js>, url: &Url) -> Result<Array<'js>> {
    let after = |mark: char, part: Option<&str>| match part {
        Some(part) if !part.is_empty() => format!("{mark}{part}"),
        _ => String::new(),
    };
    let parts = [
        url.as_str().to_owned(),
        format!("{}:", url.scheme()),
        url.username().to_owned(),
        url.password().unwrap_or_default().to_owned(),
        url.host_str().unwrap_or_default().to_owned(),
        url.port().map(|port| port.to_string()).unwrap_or_default(),
        url.path().to_owned(),
        after('?', url.query()),
        after('#', url.fragment()),
        url.origin().ascii_serialization(),
    ];
    let array = Array::new(ctx.clone())?;
    for (at, part) in parts.iter().enumerate() {
        array.set(at, part.as_str())?;
    }
    Ok(array)
}

/// What cannot be set stays as it was, as the URL standard has it.
fn set_part(url: &mut Url, part: &str, value: &str) {
    let given =
        |mark: char| Some(value.strip_prefix(mark).unwrap_or(value)).filter(|it| !it.is_empty());
    match part {
        "protocol" => {
            let _ = url.set_scheme(value.strip_suffix(':').unwrap_or(value));
        }
        "username" => {
            let _ = url.set_username(value);
        }
        "password" => {
            let _ = url.set_password(Some(value).filter(|it| !it.is_empty()));
        }
        "hostname" => {
            let _ = url.set_host(Some(value));
        }
        "port" => {
            let _ = url.set_port(value.parse().ok());
        }
        "pathname" => url.set_path(value),
        "search" => url.set_query(given('?')),
        "hash" => url.set_fragment(given('#')),
        _ => {}
    }
}
