//! The modules of an engine: those of the script, and the worker's own that imports them.

use std::fmt::Write as _;
use std::sync::Arc;

use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{Ctx, Error, Module, Result};

use super::{native, stack};
use crate::compile::{self, Graph};

const BUILT_IN: &str = "import\"pipehat:web/index.ts\";\
    import{begin,finish}from\"pipehat:entry.ts\";import{harden}from\"pipehat:sandbox/harden.ts\";";

/// The module that the worker evaluates where all are kept: it imports all others, and exports what the worker calls.
pub(super) fn boot(graph: &Graph) -> String {
    let others = graph.modules.keys().filter(|id| !graph.own.contains(id));
    let (imports, freeze) = imports(graph.own.iter().chain(others));
    // Before the script's own: what they import is evaluated in this order.
    let buffer = match graph.has_buffer() {
        true => format!("import{:?};", compile::GLOBAL_BUFFER),
        false => String::new(),
    };
    format!("{BUILT_IN}{buffer}{imports}{START}{freeze}")
}

/// The same in two: what is built in, which is kept if that can be,
pub(super) fn boot_built_in(graph: &Graph) -> String {
    let (imports, freeze) = imports(graph.modules.keys().filter(|id| !graph.own.contains(id)));
    format!("{BUILT_IN}{imports}{freeze}")
}

/// and the script's own, anew each time.
pub(super) fn boot_own(graph: &Graph) -> String {
    let (imports, _) = imports(graph.own.iter());
    format!("import{{begin,finish}}from\"pipehat:entry.ts\";{imports}{START}")
}

const START: &str = "const handler=[m0.handler,m0.default,m0.default?.handler].find((one)=>typeof one===\"function\");\
    export const found=typeof handler===\"function\";\
    export async function start(kind,input,contentType,secrets,headers,bot){\
    const[client,event]=begin({kind,input,contentType,secrets,headers,bot});\
    return finish(await handler(client,event))}";

/// The imports of these modules, and the function that freezes what can be reached from them.
fn imports<'g>(ids: impl Iterator<Item = &'g String>) -> (String, String) {
    let (mut imports, mut spaces) = (String::new(), String::new());
    for (number, id) in ids.enumerate() {
        let id = serde_json::Value::from(id.as_str());
        // Formatting into a string cannot fail.
        let _ = write!(imports, "import*as m{number} from{id};");
        let _ = write!(spaces, "m{number},");
    }
    let top = compile::TOP_LEVEL;
    let freeze = format!(
        "export function freeze(){{const all=[begin,finish];\
         if(typeof start===\"function\")all.push(start);\
         for(const it of[{spaces}]){{all.push(it);const top=it[{top:?}];if(top)all.push(top,...top())}}\
         harden(all)}}"
    );
    (imports, freeze)
}

/// Finds and gives the modules of a script, and no others.
pub(super) struct Modules(pub(super) Arc<Graph>);

impl Resolver for Modules {
    fn resolve<'js>(
        &mut self,
        _: &Ctx<'js>,
        base: &str,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        // The script's own have the number of what imports them: how often they were evaluated before. Where nothing is
        // evaluated anew that is 0; it tells a place in what runs from one in the source.
        let (base_id, time) = stack::named(base);
        let named = |id: &str| match time {
            Some(time) if self.0.own.iter().any(|own| own == id) => format!("{id}#{time}"),
            _ => id.to_owned(),
        };
        if base_id == compile::BOOT && self.0.modules.contains_key(name) {
            return Ok(named(name));
        }
        let found = self.0.modules.get(base_id).and_then(|module| module.imports.get(name));
        let why = "only what a script imports by a literal name can be imported while it runs";
        found.map(|id| named(id)).ok_or_else(|| Error::new_resolving_message(base, name, why))
    }
}

impl Loader for Modules {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        if name == compile::HOST {
            return Module::declare(ctx.clone(), name, native::SOURCE);
        }
        match self.0.modules.get(stack::named(name).0) {
            Some(module) => Module::declare(ctx.clone(), name, module.code.as_str()),
            None => Err(Error::new_loading(name)),
        }
    }
}
