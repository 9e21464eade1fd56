//! HL7 v2 messages by path, for built-in modules: each is a number that is good for one run.

use std::rc::Rc;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use pipehat_message::{Limits, Message, Path, Timestamp, ZoneOffset};
use rquickjs::function::Func;
use rquickjs::{Ctx, Exception, Object, Result};

use super::platform::spend;
use super::turn::Turn;

/// The messages of a run.
#[derive(Default)]
pub(crate) struct Messages {
    /// How many there were before those of this run: a number of an earlier run means nothing.
    before: usize,
    open: Vec<Message<'static>>,
}

impl Messages {
    pub(crate) fn clear(&mut self) {
        self.before = self.before.wrapping_add(self.open.len());
        self.open.clear();
    }

    fn add(&mut self, message: Message<'static>) -> f64 {
        self.open.push(message);
        self.before.wrapping_add(self.open.len()) as f64
    }

    /// The text of one: a message of a script is UTF-8.
    pub(super) fn text(&mut self, number: f64) -> Option<String> {
        let message = self.at(number)?;
        let text = String::from_utf8(message.as_bytes().to_vec());
        Some(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn at(&mut self, number: f64) -> Option<&mut Message<'static>> {
        let index = (number as usize).checked_sub(self.before)?.checked_sub(1)?;
        self.open.get_mut(index)
    }
}

/// What is said of a number that means nothing any more.
pub(super) const EARLIER: &str = "the message is of an earlier run";

/// How many messages a run may have open: they are not in the engine's memory.
const MESSAGES_MAX: usize = 1_000;

fn fail<T>(ctx: &Ctx<'_>, error: impl std::fmt::Display) -> Result<T> {
    Err(Exception::throw_message(ctx, &error.to_string()))
}

fn path(ctx: &Ctx<'_>, path: &str) -> Result<Path> {
    path.parse().or_else(|error: pipehat_message::PathError| fail(ctx, error))
}

/// Does something with a message.
fn with<T>(
    turn: &Turn,
    ctx: &Ctx<'_>,
    number: f64,
    act: impl FnOnce(&mut Message<'static>) -> Result<T>,
) -> Result<T> {
    match turn.messages.borrow_mut().at(number) {
        Some(message) => act(message),
        None => fail(ctx, EARLIER),
    }
}

/// The text of a value: unescaped. The message is UTF-8 here.
fn text(value: &pipehat_message::Value<'_>) -> String {
    String::from_utf8_lossy(&value.decoded()).into_owned()
}

/// The object `hl7` of the native layer.
pub(super) fn object<'js>(ctx: &Ctx<'js>, turn: &Rc<Turn>) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    let t = Rc::clone(turn);
    object.set(
        "parse",
        Func::from(move |ctx: Ctx<'js>, source: String| {
            spend(&ctx, &t, source.len())?;
            let mut messages = t.messages.borrow_mut();
            if messages.open.len() >= MESSAGES_MAX {
                return fail(&ctx, format!("more than {MESSAGES_MAX} messages are open"));
            }
            match Message::parse_owned(source.into_bytes(), &Limits::DEFAULT) {
                Ok(message) => Ok(messages.add(message)),
                Err(error) => fail(&ctx, error),
            }
        }),
    )?;
    let t = Rc::clone(turn);
    object.set(
        "text",
        Func::from(move |ctx: Ctx<'js>, number: f64| {
            with(&t, &ctx, number, |message| {
                spend(&ctx, &t, message.as_bytes().len())?;
                Ok(String::from_utf8_lossy(message.as_bytes()).into_owned())
            })
        }),
    )?;
    let t = Rc::clone(turn);
    object.set(
        "get",
        Func::from(move |ctx: Ctx<'js>, number: f64, at: String| {
            let at = path(&ctx, &at)?;
            with(&t, &ctx, number, |message| Ok(message.get(&at).as_ref().map(text)))
        }),
    )?;
    let t = Rc::clone(turn);
    object.set(
        "raw",
        Func::from(move |ctx: Ctx<'js>, number: f64, at: String| {
            let at = path(&ctx, &at)?;
            with(&t, &ctx, number, |message| {
                Ok(message.get(&at).map(|value| String::from_utf8_lossy(value.raw()).into_owned()))
            })
        }),
    )?;
    let t = Rc::clone(turn);
    object.set(
        "all",
        Func::from(move |ctx: Ctx<'js>, number: f64, at: String| {
            let at = path(&ctx, &at)?;
            with(&t, &ctx, number, |message| {
                Ok(message.values(&at).map(|value| text(&value)).collect::<Vec<_>>())
            })
        }),
    )?;
    object.set("offset", Func::from(|zone: String, local: String| offset(&zone, &local)))?;
    object.set("isDoubtful", Func::from(|zone: String, text: String| is_doubtful(&zone, &text)))?;
    let t = Rc::clone(turn);
    object.set(
        "zone",
        Func::from(move |ctx: Ctx<'js>, number: f64| {
            let own = t.time_zone.borrow().clone();
            with(&t, &ctx, number, |message| Ok(zone(message, own)))
        }),
    )?;
    let t = Rc::clone(turn);
    object.set(
        "paths",
        Func::from(move |ctx: Ctx<'js>, number: f64, at: String| {
            let at = path(&ctx, &at)?;
            with(&t, &ctx, number, |message| {
                Ok(message.matches(&at).map(|found| found.path.to_string()).collect::<Vec<_>>())
            })
        }),
    )?;
    let t = Rc::clone(turn);
    object.set(
        "set",
        Func::from(move |ctx: Ctx<'js>, number: f64, at: String, text: String| {
            let at = path(&ctx, &at)?;
            with(&t, &ctx, number, |message| {
                message.set_text(&at, text.as_bytes()).or_else(|error| fail(&ctx, error))
            })
        }),
    )?;
    let t = Rc::clone(turn);
    object.set(
        "setRaw",
        Func::from(move |ctx: Ctx<'js>, number: f64, at: String, raw: String| {
            let at = path(&ctx, &at)?;
            with(&t, &ctx, number, |message| {
                message.set_raw(&at, raw.as_bytes()).or_else(|error| fail(&ctx, error))
            })
        }),
    )?;
    let t = Rc::clone(turn);
    object.set(
        "clear",
        Func::from(move |ctx: Ctx<'js>, number: f64, at: String| {
            let at = path(&ctx, &at)?;
            with(&t, &ctx, number, |message| message.clear(&at).or_else(|error| fail(&ctx, error)))
        }),
    )?;
    let t = Rc::clone(turn);
    object.set(
        "remove",
        Func::from(move |ctx: Ctx<'js>, number: f64, at: String| {
            let at = path(&ctx, &at)?;
            with(&t, &ctx, number, |message| message.remove(&at).or_else(|error| fail(&ctx, error)))
        }),
    )?;
    Ok(object)
}

/// The zone of a message's times that tell none, as a translation has it: the setting's, unless MSH-7 has an offset that is
/// not that zone's when the message was made; the offset then is the default (HL7 v2.5.1 §2.15.9.7).
fn zone(message: &Message<'_>, own: Option<String>) -> Option<String> {
    let sent = message.segment_at(0)?.field(7).map(|field| field.first_component().raw());
    let sent = sent.and_then(|sent| Timestamp::parse(sent.trim_ascii()).ok());
    let Some((sent, offset)) = sent.and_then(|sent| Some((sent, sent.offset()?))) else {
        return own;
    };
    let is_in = |name: &String| TimeZone::get(name).is_ok_and(|zone| is_in(&sent, offset, &zone));
    own.filter(is_in).or_else(|| Some(offset.to_string()))
}

/// Whether a zone has a time's offset at that time; of a day, at its beginning or at its end.
fn is_in(time: &Timestamp, offset: ZoneOffset, zone: &TimeZone) -> bool {
    let Some(first) = local(time) else { return false };
    let seconds = i32::from(offset.minutes()) * 60;
    let hours = if time.hour().is_none() { 24 } else { 0 };
    [0, hours].into_iter().any(|hours| {
        let at = first.checked_add(SignedDuration::from_hours(hours));
        let at = at.and_then(|at| Offset::from_seconds(seconds)?.to_timestamp(at));
        at.is_ok_and(|at| zone.to_offset(at).seconds() == seconds)
    })
}

/// To the second, as it is told.
fn local(time: &Timestamp) -> Option<DateTime> {
    let part = |part: Option<u8>| i8::try_from(part.unwrap_or_default()).ok();
    let year = i16::try_from(time.year()).ok()?;
    let (month, day) = (part(time.month())?, part(time.day())?);
    let (hour, minute, second) = (part(time.hour())?, part(time.minute())?, part(time.second())?);
    DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

/// Whether a zone has a time twice, or leaves it out: then it is no instant, as a translation has it. An offset that is
/// written as one (`+01:00`) is no zone that could.
fn is_doubtful(zone: &str, text: &str) -> bool {
    let (Ok(zone), Ok(time)) = (TimeZone::get(zone), Timestamp::parse(text.as_bytes())) else {
        return false;
    };
    local(&time).is_some_and(|local| zone.to_ambiguous_timestamp(local).is_ambiguous())
}

/// How many seconds a zone is ahead of UTC at a local time. Of a time that is twice it is that of the earlier one, and of one
/// that is left out that of behind.
fn offset(zone: &str, local: &str) -> Option<i32> {
    let (zone, local) = (TimeZone::get(zone).ok()?, local.parse::<DateTime>().ok()?);
    let instant = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(zone.to_offset(instant).seconds())
}
