//! CommonJS as an ES module: what is required is imported first, the body runs as a function, and what it exports by
//! name (as far as that can be read from the text) is exported.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use oxc::ast::ast::{
    ArrowFunctionExpression, AssignmentExpression, AssignmentTarget, CallExpression, Expression,
    Function, MemberExpression, ObjectExpression, ObjectPropertyKind, Program, TryStatement,
};
use oxc::ast_visit::{Visit, walk};
use oxc::span::Span;
use oxc::syntax::scope::ScopeFlags;

use super::builtin;
use super::javascript::{Compiled, Import, ImportKind, Reached};
use super::links::Links;
use super::position::Positions;

/// The name under which a CommonJS module's `module.exports` is exported, as Node.js has it.
const WHOLE: &str = "module.exports";

/// Wraps a CommonJS file.
pub(crate) fn wrap(source: &str, program: &Program<'_>) -> Compiled {
    let mut found = Found::default();
    found.visit_program(program);
    let Found { imports, mut names, .. } = found;
    names.remove("default");
    // All on the first line, so that lines stay what they are.
    let mut prefix = String::new();
    let mut table = String::new();
    for (number, Import { specifier, .. }) in imports.iter().enumerate() {
        let specifier = serde_json::Value::from(specifier.as_str());
        // Formatting into a string cannot fail.
        let _ = write!(prefix, "import*as __required{number} from{specifier};");
        let _ = write!(table, "{specifier}:()=>__required{number},");
    }
    let absent = builtin::ABSENT;
    let _ = write!(
        prefix,
        "const __required={{__proto__:null,{table}}};\
         const __require=(name)=>{{const found=__required[name];\
         const fail=(why)=>{{throw Object.assign(new Error(why),{{code:\"MODULE_NOT_FOUND\"}})}};\
         if(found===undefined)fail(\"Cannot find module '\"+name+\"'\");\
         const it=found();if({absent:?} in it)fail(it[{absent:?}]);\
         return {WHOLE:?} in it?it[{WHOLE:?}]:it}};\
         const __module={{exports:{{}}}};\
         (function(module,exports,require,global,__filename,__dirname){{"
    );
    let mut code = prefix.clone();
    code.push_str(
        source
            .strip_prefix("#!")
            .map_or(source, |_| source.split_once('\n').map_or("", |(_, rest)| rest)),
    );
    let _ = write!(
        code,
        "\n}}).call(__module.exports,__module,__module.exports,__require,globalThis,\"\",\"\");\
         export default __module.exports;const __whole=__module.exports;\
         export{{__whole as {WHOLE:?}}};"
    );
    for (number, name) in names.iter().enumerate() {
        let name = serde_json::Value::from(name.as_str());
        let _ = write!(
            code,
            "const __export{number}=__whole?.[{name}];export{{__export{number} as {name}}};"
        );
    }
    code.push('\n');
    let positions = Positions::after(&prefix);
    let changes = Some((0, "it is CommonJS"));
    let links = Links::default();
    Compiled { code, positions, imports, changes, touches_globals: true, links }
}

/// Whether a program exports as CommonJS does.
pub(crate) fn exports_something(program: &Program<'_>) -> bool {
    let mut found = Found::default();
    found.visit_program(program);
    found.is_whole || !found.names.is_empty()
}

#[derive(Default)]
struct Found {
    imports: Vec<Import>,
    names: BTreeSet<String>,
    /// Whether `module.exports` is written to.
    is_whole: bool,
    /// Functions that are called where they are written.
    called: HashSet<Span>,
    /// How many functions, and how many `try`, are around what is visited.
    functions: usize,
    tries: usize,
}

/// `exports` or `module.exports`.
fn is_exports(expression: &Expression<'_>) -> bool {
    match expression {
        Expression::Identifier(it) => it.name == "exports",
        Expression::StaticMemberExpression(it) => {
            it.property.name == "exports" && it.object.is_specific_id("module")
        }
        _ => false,
    }
}

/// The function that a call is of, where it stands there itself: `(function () { … })()`, `(function () { … }).call(this)`.
fn called_at_once(callee: &Expression<'_>) -> Option<Span> {
    match callee.without_parentheses() {
        Expression::FunctionExpression(it) if !it.generator => Some(it.span),
        Expression::ArrowFunctionExpression(it) => Some(it.span),
        Expression::StaticMemberExpression(it)
            if ["call", "apply"].contains(&it.property.name.as_str()) =>
        {
            called_at_once(&it.object)
        }
        _ => None,
    }
}

impl Found {
    fn require(&mut self, specifier: &str, span: Span) {
        let reached = match (self.tries, self.functions) {
            (0, 0) => Reached::AtOnce,
            (0, _) => Reached::Later,
            _ => Reached::Tried,
        };
        let offset = span.start as usize;
        match self.imports.iter_mut().find(|known| known.specifier == specifier) {
            // Where it is needed first, or for certain.
            Some(known) if reached < known.reached => {
                (known.reached, known.offset) = (reached, offset);
            }
            Some(_) => {}
            None => {
                let (specifier, kind) = (specifier.to_owned(), ImportKind::Require);
                self.imports.push(Import { specifier, offset, kind, reached });
            }
        }
    }

    /// Visits a function, within which nothing happens at once unless it is called where it stands.
    fn within(&mut self, span: Span, walk: impl FnOnce(&mut Self)) {
        let later = usize::from(!self.called.contains(&span));
        self.functions = self.functions.saturating_add(later);
        walk(self);
        self.functions = self.functions.saturating_sub(later);
    }

    fn export_members(&mut self, object: &ObjectExpression<'_>) {
        for property in &object.properties {
            if let ObjectPropertyKind::ObjectProperty(property) = property
                && let Some(name) = property.key.static_name()
            {
                self.names.insert(name.into_owned());
            }
        }
    }
}

impl<'a> Visit<'a> for Found {
    fn visit_function(&mut self, it: &Function<'a>, flags: ScopeFlags) {
        self.within(it.span, |found| walk::walk_function(found, it, flags));
    }

    fn visit_arrow_function_expression(&mut self, it: &ArrowFunctionExpression<'a>) {
        self.within(it.span, |found| walk::walk_arrow_function_expression(found, it));
    }

    fn visit_try_statement(&mut self, it: &TryStatement<'a>) {
        self.tries = self.tries.saturating_add(1);
        self.visit_block_statement(&it.block);
        if let Some(handler) = &it.handler {
            self.visit_catch_clause(handler);
        }
        self.tries = self.tries.saturating_sub(1);
        if let Some(last) = &it.finalizer {
            self.visit_block_statement(last);
        }
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        let text = |at: usize| match it.arguments.get(at).and_then(|it| it.as_expression()) {
            Some(Expression::StringLiteral(text)) => Some(text),
            _ => None,
        };
        if it.callee.is_specific_id("require")
            && let Some(name) = text(0)
        {
            self.require(name.value.as_str(), name.span);
        }
        self.called.extend(called_at_once(&it.callee));
        let first = it.arguments.first().and_then(|it| it.as_expression());
        if first.is_some_and(is_exports) {
            // `Object.defineProperty(exports, "name", …)`, and what bundlers write: `__export(exports, { name: … })`.
            if let Some(name) = text(1) {
                self.names.insert(name.value.to_string());
            }
            let second = it.arguments.get(1).and_then(|it| it.as_expression());
            if let Some(Expression::ObjectExpression(object)) = second {
                self.export_members(object);
            }
        }
        walk::walk_call_expression(self, it);
    }

    fn visit_assignment_expression(&mut self, it: &AssignmentExpression<'a>) {
        if let AssignmentTarget::StaticMemberExpression(target) = &it.left {
            if is_exports(&target.object) {
                self.names.insert(target.property.name.to_string());
            } else if target.property.name == "exports" && target.object.is_specific_id("module") {
                self.is_whole = true;
                if let Expression::ObjectExpression(object) = &it.right {
                    self.export_members(object);
                }
            }
        }
        if let Some(MemberExpression::ComputedMemberExpression(target)) =
            it.left.as_member_expression()
            && is_exports(&target.object)
            && let Expression::StringLiteral(name) = &target.expression
        {
            self.names.insert(name.value.to_string());
        }
        walk::walk_assignment_expression(self, it);
    }
}
