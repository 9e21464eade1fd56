//! What a handler returns, as far as its text says it: JSON where HL7 v2 is needed is found before the first message.

use oxc::allocator::Allocator;
use oxc::ast::ast::{
    ArrowFunctionExpression, Declaration, ExportDefaultDeclarationKind, Expression, Function,
    FunctionBody, ReturnStatement, Statement, VariableDeclaration, VariableDeclarator,
};
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::span::{GetSpan, SourceType};
use oxc::syntax::scope::ScopeFlags;

use super::failure::ScriptError;

/// The line and column, in the JavaScript that runs, of the first thing a module's `handler` returns that is JSON for certain:
/// an object or a list that is written out, or a Bundle of `translate.toFhir`.
pub(crate) fn json_at(code: &str) -> Option<(u32, u32)> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, SourceType::mjs()).parse();
    let at = parsed.program.body.iter().find_map(handled)?;
    let place = ScriptError::at("", code, usize::try_from(at).ok()?, "");
    Some((place.line, place.column))
}

/// Where the handler of a statement returns JSON, if it is one.
fn handled(statement: &Statement<'_>) -> Option<u32> {
    match statement {
        Statement::ExportDeclaration(it) => match &it.declaration {
            Declaration::FunctionDeclaration(function) => {
                let is_handler = function.id.as_ref().is_some_and(|id| id.name == HANDLER);
                function.body.as_deref().filter(|_| is_handler).and_then(of_body)
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
                function.body.as_deref().and_then(of_body)
            }
            other => of_expression(other.as_expression()?),
        },
        _ => None,
    }
}

const HANDLER: &str = "handler";

fn of_expression(function: &Expression<'_>) -> Option<u32> {
    match function.get_inner_expression() {
        Expression::FunctionExpression(it) => it.body.as_deref().and_then(of_body),
        Expression::ArrowFunctionExpression(it) => match it.get_expression() {
            Some(value) => is_json(value, &[]).then(|| value.span().start),
            None => {
                let mut returns = Returns::default();
                returns.visit_arrow_function_body(&it.body);
                returns.found
            }
        },
        _ => None,
    }
}

fn of_body(body: &FunctionBody<'_>) -> Option<u32> {
    let mut returns = Returns::default();
    returns.visit_function_body(body);
    returns.found
}

/// Whether a value is JSON; `names` are constants that are.
fn is_json(value: &Expression<'_>, names: &[String]) -> bool {
    match value.get_inner_expression() {
        Expression::ObjectExpression(_) | Expression::ArrayExpression(_) => true,
        Expression::AwaitExpression(it) => is_json(&it.argument, names),
        Expression::CallExpression(it) => it.callee.as_member_expression().is_some_and(|member| {
            member.static_property_name() == Some("toFhir")
                && member.object().is_specific_id("translate")
        }),
        Expression::Identifier(it) => names.iter().any(|name| it.name == name.as_str()),
        _ => false,
    }
}

/// What a function returns, without those within it.
#[derive(Default)]
struct Returns {
    names: Vec<String>,
    found: Option<u32>,
}

impl<'a> Visit<'a> for Returns {
    fn visit_function(&mut self, _: &Function<'a>, _: ScopeFlags) {}

    fn visit_arrow_function_expression(&mut self, _: &ArrowFunctionExpression<'a>) {}

    fn visit_variable_declaration(&mut self, it: &VariableDeclaration<'a>) {
        for one in it.declarations.iter().filter(|_| it.kind.is_const()) {
            if one.init.as_ref().is_some_and(|init| is_json(init, &self.names))
                && let Some(id) = one.id.get_binding_identifier()
            {
                self.names.push(id.name.to_string());
            }
        }
        walk::walk_variable_declaration(self, it);
    }

    fn visit_return_statement(&mut self, it: &ReturnStatement<'a>) {
        if it.argument.as_ref().is_some_and(|value| is_json(value, &self.names)) {
            self.found.get_or_insert(it.span.start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is returned as JSON stands behind `@`; nothing does where there is no `@`.
    #[track_caller]
    fn check(marked: &str) {
        let expected = marked.find('@').map(|at| {
            let place = ScriptError::at("", marked, at, "");
            (place.line, place.column)
        });
        assert_eq!(json_at(&marked.replace('@', "")), expected, "{marked}");
    }

    #[test]
    fn what_is_written_out_is_json() {
        check("export async function handler(c, e) {\n  @return { a: 1 };\n}");
        check("export async function handler() { if (x) return e; @return [1]; }");
        check("export const handler = async () => @({ a: 1 });");
        check("export const handler = async () => { @return await translate.toFhir(m); };");
        check("export default function () { const b = { a: 1 }; f(b); @return b; }");
        check("export const handler = async function () { @return { a: 1 }; };");
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
