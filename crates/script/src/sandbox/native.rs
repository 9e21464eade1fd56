//! The native layer: the object behind the module `pipehat:host`.

use std::rc::Rc;

use rquickjs::function::{Func, Opt};
use rquickjs::{Ctx, Exception, Function, Object, Persistent, Promise, Result, String as JsString};

use super::request::{self, Wanted};
use super::turn::{Queued, Turn};
use super::{bytes, fhir, hl7, platform};
use crate::LogLevel;

/// The global under which the module `pipehat:host` finds it, and from which it takes it away.
pub(super) const GLOBAL: &str = "__pipehatHost";

/// The source of the module.
pub(super) const SOURCE: &str = "const host=globalThis.__pipehatHost;delete globalThis.__pipehatHost;\
    export const{ask,askNow,log,secret,timeZone,hl7,fhir,platform}=host;\n";

/// Makes the object.
pub(super) fn object<'js>(ctx: &Ctx<'js>, turn: &Rc<Turn>) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("hl7", hl7::object(ctx, turn)?)?;
    object.set("fhir", fhir::object(ctx, turn)?)?;
    object.set("platform", platform::object(ctx, turn)?)?;
    let t = Rc::clone(turn);
    let ask_now = move |ctx: Ctx<'js>, asked: Object<'js>, wanted: Opt<Option<String>>| {
        let ask = request::read(&ctx, &asked, t.charset.get())?;
        count(&ctx, &t)?;
        match t.ask(ask) {
            Ok(answer) => {
                request::answer(&ctx, &answer, Wanted::named(wanted.0.flatten().as_deref()))
            }
            Err(error) => Err(ctx.throw(request::error(&ctx, &error)?)),
        }
    };
    object.set("askNow", Func::from(ask_now))?;
    let t = Rc::clone(turn);
    let ask = move |ctx: Ctx<'js>, asked: Object<'js>, wanted: Opt<Option<String>>| {
        let ask = request::read(&ctx, &asked, t.charset.get())?;
        count(&ctx, &t)?;
        let (promise, resolve, reject) = Promise::new(&ctx)?;
        t.queue.borrow_mut().push(Queued {
            ask,
            wanted: Wanted::named(wanted.0.flatten().as_deref()),
            resolve: Persistent::<Function<'js>>::save(&ctx, resolve),
            reject: Persistent::<Function<'js>>::save(&ctx, reject),
        });
        Ok::<_, rquickjs::Error>(promise)
    };
    object.set("ask", Func::from(ask))?;
    let t = Rc::clone(turn);
    let log = move |ctx: Ctx<'js>, level: String, text: JsString<'js>| {
        let level = match level.as_str() {
            "debug" => LogLevel::Debug,
            "warn" => LogLevel::Warn,
            "error" => LogLevel::Error,
            _ => LogLevel::Info,
        };
        t.log(level, bytes::text(&ctx, &text)?);
        Ok::<_, rquickjs::Error>(())
    };
    object.set("log", Func::from(log))?;
    let t = Rc::clone(turn);
    let secret = move |name: String| t.secrets.borrow().get(&name).cloned();
    object.set("secret", Func::from(secret))?;
    let t = Rc::clone(turn);
    object.set("timeZone", Func::from(move || t.time_zone.borrow().clone()))?;
    Ok(object)
}

/// A script that has asked too often has reached its end: it cannot catch that.
fn count(ctx: &Ctx<'_>, turn: &Turn) -> Result<()> {
    match turn.count_ask() {
        Ok(()) => Ok(()),
        Err(_) => {
            let limit = turn.limits().asks;
            Err(Exception::throw_message(ctx, &format!("more than {limit} asks of the host")))
        }
    }
}
