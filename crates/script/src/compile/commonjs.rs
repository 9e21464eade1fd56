//! CommonJS as an ES module: what is required is imported first, the body runs as a function, and what it exports by
//! name (as far as that can be read from the text) is exported.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use oxc::ast::ast::{
    AssignmentExpression, AssignmentTarget, CallExpression, Expression, MemberExpression,
    ObjectExpression, ObjectPropertyKind, Program,
};
use oxc::ast_visit::{Visit, walk};

use super::javascript::{Compiled, Import, ImportKind};
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
    let _ = write!(
        prefix,
        "const __required={{__proto__:null,{table}}};\
         const __require=(name)=>{{const found=__required[name];\
         if(found===undefined)throw new Error(\"Cannot find module '\"+name+\"'\");\
         const it=found();return {WHOLE:?} in it?it[{WHOLE:?}]:it}};\
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

impl Found {
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
    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        let text = |at: usize| match it.arguments.get(at).and_then(|it| it.as_expression()) {
            Some(Expression::StringLiteral(text)) => Some(text),
            _ => None,
        };
        if it.callee.is_specific_id("require")
            && let Some(name) = text(0)
        {
            let specifier = name.value.to_string();
            if !self.imports.iter().any(|known| known.specifier == specifier) {
                let offset = name.span.start as usize;
                self.imports.push(Import { specifier, offset, kind: ImportKind::Require });
            }
        }
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
