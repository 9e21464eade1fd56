//! Whether the engine can read a script: nothing that it can't is to be deployed.
//!
//! The compiler knows more of the language than the engine. Each of a script's own modules is compiled here once, by itself, and
//! nothing of it is run.

use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Module, Result, Runtime};

use super::stack;
use crate::compile::{Graph, ScriptError, Sources};

/// What compiling may take; a script that needs more finds out when it runs, by its own limits.
const MEMORY_MAX: usize = 256 << 20;
const STACK_MAX: usize = 512 << 10;

/// What the engine can't read of a script's own modules.
pub(crate) fn check_readable(graph: &Graph, sources: &dyn Sources) -> Vec<ScriptError> {
    let Ok(runtime) = Runtime::new() else { return Vec::new() };
    runtime.set_memory_limit(MEMORY_MAX);
    runtime.set_max_stack_size(STACK_MAX);
    runtime.set_loader(Empty, Empty);
    let Ok(context) = Context::full(&runtime) else { return Vec::new() };
    let own = graph.own.iter().filter_map(|id| Some((id, graph.modules.get(id)?)));
    let refused = own.filter_map(|(id, module)| {
        let refusal = context.with(|ctx| refusal(&ctx, id, &module.code))?;
        let place = refusal.place.and_then(|(row, column)| module.positions.source(row, column));
        let source = sources.read(id).ok().flatten().unwrap_or_default();
        let error = match place {
            Some(place) => {
                ScriptError::at_place(id, &String::from_utf8_lossy(&source), place, refusal.why)
            }
            None => ScriptError::of_file(id, refusal.why),
        };
        Some(error.with_help(
            "the engine that runs bots does not have all of the language: write it otherwise",
        ))
    });
    refused.collect()
}

/// What the engine says, and where in the JavaScript.
struct Refusal {
    why: String,
    place: Option<(u32, u32)>,
}

fn refusal(ctx: &Ctx<'_>, id: &str, code: &str) -> Option<Refusal> {
    let declared = Module::declare(ctx.clone(), id, code).map(|_| ());
    let Err(CaughtError::Exception(thrown)) = declared.catch(ctx) else { return None };
    let name = thrown.as_object().get::<_, String>("name").unwrap_or_default();
    (name == "SyntaxError").then(|| {
        let words = thrown.message().unwrap_or_default();
        let place = thrown.stack().as_deref().and_then(|it| it.lines().find_map(stack::place));
        Refusal { why: format!("the engine can't read this: {words}"), place }
    })
}

/// Gives an empty module for each that is imported: what they export is not looked at before they run.
struct Empty;

impl Resolver for Empty {
    fn resolve<'js>(
        &mut self,
        _: &Ctx<'js>,
        _: &str,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        // Not the name of one that is declared.
        Ok(format!("imported:{name}"))
    }
}

impl Loader for Empty {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        Module::declare(ctx.clone(), name, "export {};")
    }
}
