//! The native layer: the object behind the module `pipehat:host`.

use std::rc::Rc;
use std::sync::Arc;

use rquickjs::function::{Func, Opt};
use rquickjs::{Ctx, Exception, Function, Object, Persistent, Promise, Result, String as JsString};

use super::request::{self, Wanted};
use super::turn::{Queued, Turn, Waiting};
use super::{bytes, fhir, hl7, platform, stack};
use crate::LogLevel;
use crate::compile::Graph;

/// The global under which the module `pipehat:host` finds it, and from which it takes it away.
pub(super) const GLOBAL: &str = "__pipehatHost";

/// The source of the module.
pub(super) const SOURCE: &str = "const host=globalThis.__pipehatHost;delete globalThis.__pipehatHost;\
    export const{ask,askNow,begin,giveUp,log,secret,timeZone,hl7,fhir,platform}=host;\n";

/// Makes the object.
pub(super) fn object<'js>(
    ctx: &Ctx<'js>,
    turn: &Rc<Turn>,
    graph: &Arc<Graph>,
) -> Result<Object<'js>> {
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
        queue(&ctx, &t, &asked, wanted.0.flatten().as_deref()).map(|(promise, _)| promise)
    };
    object.set("ask", Func::from(ask))?;
    let t = Rc::clone(turn);
    let begin = move |ctx: Ctx<'js>, asked: Object<'js>, wanted: Opt<Option<String>>| {
        let (promise, number) = queue(&ctx, &t, &asked, wanted.0.flatten().as_deref())?;
        let begun = Object::new(ctx)?;
        begun.set("answer", promise)?;
        begun.set("number", number)?;
        Ok::<_, rquickjs::Error>(begun)
    };
    object.set("begin", Func::from(begin))?;
    let t = Rc::clone(turn);
    object.set("giveUp", Func::from(move |number: u32| t.give_up(number)))?;
    let (t, graph) = (Rc::clone(turn), Arc::clone(graph));
    let log = move |ctx: Ctx<'js>, level: String, text: JsString<'js>| {
        let level = match level.as_str() {
            "debug" => LogLevel::Debug,
            "warn" => LogLevel::Warn,
            "error" => LogLevel::Error,
            _ => LogLevel::Info,
        };
        t.log(level, stack::rewritten(&graph, bytes::text(&ctx, &text)?));
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

/// Has something asked when the script next waits; gives the promise of its answer, and its number.
fn queue<'js>(
    ctx: &Ctx<'js>,
    turn: &Turn,
    asked: &Object<'js>,
    wanted: Option<&str>,
) -> Result<(Promise<'js>, u32)> {
    let ask = request::read(ctx, asked, turn.charset.get())?;
    let number = count(ctx, turn)?;
    let (promise, resolve, reject) = Promise::new(ctx)?;
    let waiting = Waiting {
        wanted: Wanted::named(wanted),
        resolve: Persistent::<Function<'js>>::save(ctx, resolve),
        reject: Persistent::<Function<'js>>::save(ctx, reject),
    };
    turn.queue.borrow_mut().push(Queued { number, ask, waiting });
    Ok((promise, number))
}

/// A script that has asked too often has reached its end: it cannot catch that.
fn count(ctx: &Ctx<'_>, turn: &Turn) -> Result<u32> {
    match turn.count_ask() {
        Ok(number) => Ok(number),
        Err(_) => {
            let limit = turn.limits().asks;
            Err(Exception::throw_message(ctx, &format!("more than {limit} asks of the host")))
        }
    }
}
