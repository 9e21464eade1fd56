//! What a handler returns and sends, as far as its text says it: JSON where HL7 v2 is needed is found before the first message.

use oxc::allocator::Allocator;
use oxc::ast::ast::{
    Argument, ArrowFunctionExpression, CallExpression, Declaration, ExportDefaultDeclarationKind,
    Expression, FormalParameters, Function, ReturnStatement, Statement, VariableDeclaration,
    VariableDeclarator,
};
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::span::{GetSpan, SourceType};
use oxc::syntax::scope::ScopeFlags;

use super::failure::ScriptError;

/// What a module's handler gives that is JSON for certain, by lines and columns in the JavaScript that runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct JsonGiven {
    /// Where it returns it first.
    pub(crate) returned: Option<(u32, u32)>,
    /// What it sends it to, by name, and where.
    pub(crate) sent: Vec<(String, (u32, u32))>,
}

/// Finds what a module's `handler` returns or sends that is JSON for certain: an object or a list that is written out, what
/// `JSON.stringify` makes of anything, a Bundle of `translate.toFhir`, a resource that the client gives.
pub(crate) fn json_given(code: &str) -> JsonGiven {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, SourceType::mjs()).parse();
    let Some(found) = parsed.program.body.iter().find_map(handled) else {
        return JsonGiven::default();
    };
    let place = |at: u32| {
        let place = ScriptError::at("", code, usize::try_from(at).ok()?, "");
        Some((place.line, place.column))
    };
    let sent = found.sent.into_iter().filter_map(|(to, at)| Some((to, place(at)?)));
    JsonGiven { returned: found.returned.and_then(place), sent: sent.collect() }
}

/// What a statement's handler gives, if it is one.
fn handled(statement: &Statement<'_>) -> Option<Given> {
    match statement {
        Statement::ExportDeclaration(it) => match &it.declaration {
            Declaration::FunctionDeclaration(function) => {
                let is_handler = function.id.as_ref().is_some_and(|id| id.name == HANDLER);
                is_handler.then(|| of_function(function))
            }
            Declaration::VariableDeclaration(it) => {
                let is_handler = |one: &&VariableDeclarator<'_>| {
                    one.id.get_binding_identifiers().iter().any(|id| id.name == HANDLER)
                };
                of_expression(it.declarations.iter().find(is_handler)?.init.as_ref()?)
            }
            _ => None,
        },
        Statement::ExportDefaultDeclaration(it) => match &it.declaration {
            ExportDefaultDeclarationKind::FunctionDeclaration(function) => {
                Some(of_function(function))
            }
            other => of_expression(other.as_expression()?),
        },
        _ => None,
    }
}

const HANDLER: &str = "handler";

/// Methods of the client, the handler's first argument, that give resources.
const RESOURCES_GIVEN: [&str; 14] = [
    "createResource",
    "createResourceIfNoneExist",
    "createResourceIfNotExist",
    "upsertResource",
    "updateResource",
    "patchResource",
    "readResource",
    "readReference",
    "readHistory",
    "readVersion",
    "search",
    "searchResources",
    "executeBatch",
    "createBinary",
];

fn of_expression(function: &Expression<'_>) -> Option<Given> {
    match function.get_inner_expression() {
        Expression::FunctionExpression(it) => Some(of_function(it)),
        Expression::ArrowFunctionExpression(it) => {
            let mut given = Given::of(&it.params);
            match it.get_expression() {
                Some(value) => {
                    if given.is_json(value) {
                        given.returned = Some(value.span().start);
                    }
                }
                None => given.visit_arrow_function_body(&it.body),
            }
            Some(given)
        }
        _ => None,
    }
}

fn of_function(function: &Function<'_>) -> Given {
    let mut given = Given::of(&function.params);
    if let Some(body) = &function.body {
        given.visit_function_body(body);
    }
    given
}

/// What a function itself gives; functions within it give something else.
#[derive(Default)]
struct Given {
    /// The client's name.
    client: Option<String>,
    /// Constants that hold JSON.
    names: Vec<String>,
    returned: Option<u32>,
    sent: Vec<(String, u32)>,
}

impl Given {
    fn of(params: &FormalParameters<'_>) -> Self {
        let first = params.items.first().and_then(|first| first.pattern.get_binding_identifier());
        Self { client: first.map(|first| first.name.to_string()), ..Self::default() }
    }

    fn is_json(&self, value: &Expression<'_>) -> bool {
        match value.get_inner_expression() {
            Expression::ObjectExpression(_) | Expression::ArrayExpression(_) => true,
            Expression::AwaitExpression(it) => self.is_json(&it.argument),
            Expression::CallExpression(it) => {
                let Some(member) = it.callee.as_member_expression() else { return false };
                let Some(name) = member.static_property_name() else { return false };
                let is_of = |object: &str| member.object().is_specific_id(object);
                match name {
                    "toFhir" => is_of("translate"),
                    "stringify" => is_of("JSON"),
                    name => {
                        RESOURCES_GIVEN.contains(&name) && self.client.as_deref().is_some_and(is_of)
                    }
                }
            }
            Expression::Identifier(it) => self.names.iter().any(|name| it.name == name.as_str()),
            _ => false,
        }
    }
}

impl<'a> Visit<'a> for Given {
    fn visit_function(&mut self, _: &Function<'a>, _: ScopeFlags) {}

    fn visit_arrow_function_expression(&mut self, _: &ArrowFunctionExpression<'a>) {}

    fn visit_variable_declaration(&mut self, it: &VariableDeclaration<'a>) {
        for one in it.declarations.iter().filter(|_| it.kind.is_const()) {
            if one.init.as_ref().is_some_and(|init| self.is_json(init))
                && let Some(id) = one.id.get_binding_identifier()
            {
                self.names.push(id.name.to_string());
            }
        }
        walk::walk_variable_declaration(self, it);
    }

    fn visit_return_statement(&mut self, it: &ReturnStatement<'a>) {
        if it.argument.as_ref().is_some_and(|value| self.is_json(value)) {
            self.returned.get_or_insert(it.span.start);
        }
        walk::walk_return_statement(self, it);
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        if it.callee.is_specific_id("send")
            && let [Argument::StringLiteral(to), what, ..] = it.arguments.as_slice()
            && what.as_expression().is_some_and(|what| self.is_json(what))
        {
            self.sent.push((to.value.to_string(), it.span.start));
        }
        walk::walk_call_expression(self, it);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(marked: &str, mark: char) -> Option<(u32, u32)> {
        marked.find(mark).map(|at| {
            let place = ScriptError::at("", marked, at, "");
            (place.line, place.column)
        })
    }

    /// What is returned as JSON stands behind `@`; nothing does where there is no `@`.
    #[track_caller]
    fn check(marked: &str) {
        let given = json_given(&marked.replace('@', ""));
        assert_eq!(given.returned, place(marked, '@'), "{marked}");
    }

    /// What is sent as JSON to `out` stands behind `#`.
    #[track_caller]
    fn check_sent(marked: &str) {
        let expected: Vec<_> =
            place(marked, '#').map(|at| ("out".to_owned(), at)).into_iter().collect();
        assert_eq!(json_given(&marked.replace('#', "")).sent, expected, "{marked}");
    }

    #[test]
    fn what_is_written_out_is_json() {
        check("export async function handler(c, e) {\n  @return { a: 1 };\n}");
        check("export async function handler() { if (x) return e; @return [1]; }");
        check("export const handler = async () => @({ a: 1 });");
        check("export const handler = async () => { @return await translate.toFhir(m); };");
        check("export default function () { const b = { a: 1 }; f(b); @return b; }");
        check("export const handler = async function () { @return { a: 1 }; };");
        check("export const handler = async (c, e) => @JSON.stringify(e.input);");
    }

    #[test]
    fn what_the_client_gives_is_json() {
        check(
            "export async function handler(medplum, e) {\n  const p = await medplum.createResource(e.input);\n  @return p;\n}",
        );
        check("export async function handler(c, e) { @return c.readResource('Patient', '1'); }");
        check("export async function handler(c, e) { return e.readResource('Patient', '1'); }");
        check("export async function handler(c, e) { return c.pushToAgent(e, 'a'); }");
    }

    #[test]
    fn what_is_sent_as_json() {
        check_sent(
            "export async function handler(c, e) {\n  await #send('out', await translate.toFhir(e.input));\n}",
        );
        check_sent("export async function handler() { if (x) #send('out', { a: 1 }); }");
        check_sent("export async function handler(c, e) { return #send('out', [1]); }");
        check_sent("export async function handler(c, e) { await send('out', e.input); }");
        check_sent("export async function handler(c, e) { await send(e.name, { a: 1 }); }");
        check_sent("export async function handler(c, e) { const f = () => send('out', {}); }");
    }

    #[test]
    fn of_all_else_nothing_is_known() {
        check("export function handler(c, e) { return e.input; }");
        check("export function handler(c, e) { return [1].map(() => { return {}; }).join(); }");
        check("export function handler(c, e) { let b = {}; b = e.input; return b; }");
        check("export function other() { return {}; }");
        check("export function handler() { return new Hl7Message(); }");
        check("export const handler = make({ a: 1 });");
        check("export { handler } from './other';");
    }
}
