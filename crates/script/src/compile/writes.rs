//! What the functions of a module do to what is not theirs, as far as the text shows it.

use std::collections::HashSet;

use oxc::ast::ast::{
    AssignmentExpression, AssignmentTarget, CallExpression, Class, ClassElement, Expression,
    IdentifierReference, ImportExpression, ImportMeta, PrivateFieldExpression, Program,
    PropertyKey, SimpleAssignmentTarget, Statement, UnaryExpression, UpdateExpression,
};
use oxc::ast_visit::{Visit, walk};
use oxc::span::{GetSpan, Span};
use oxc::syntax::operator::UnaryOperator;

use super::state::{Found, because};

/// Methods that change what they are called on.
const CHANGING: &[&str] = &[
    "add",
    "append",
    "clear",
    "copyWithin",
    "delete",
    "fill",
    "getOrInsert",
    "getOrInsertComputed",
    "pop",
    "push",
    "reverse",
    "set",
    "shift",
    "sort",
    "splice",
    "unshift",
];

/// Functions of `Object` and `Reflect` that change what they are given first.
const CHANGING_FIRST: &[&str] =
    &["assign", "defineProperties", "defineProperty", "deleteProperty", "set", "setPrototypeOf"];

/// Looks for what a handler does to the module's state.
pub(super) struct Writes<'r> {
    roots: &'r HashSet<String>,
    /// Names from the modules of the bot.
    imported: HashSet<String>,
    /// Methods of classes: their prototypes are frozen, and an assignment to the same name of an object throws.
    methods: HashSet<String>,
    /// Private methods of classes: no name leads to their functions, so that nothing freezes them.
    private_methods: HashSet<String>,
    /// Where something private is called.
    called: HashSet<Span>,
    pub(super) found: Found,
    pub(super) touches_globals: bool,
}

const WRITTEN: &str = "something of the module is written to";

impl<'r> Writes<'r> {
    pub(super) fn of(program: &Program<'_>, roots: &'r HashSet<String>) -> Self {
        let (imported, methods, private_methods) = Default::default();
        let (called, found, touches_globals) = Default::default();
        let mut writes =
            Self { roots, imported, methods, private_methods, called, found, touches_globals };
        writes.declared(program);
        writes.visit_program(program);
        writes
    }

    fn declared(&mut self, program: &Program<'_>) {
        for statement in &program.body {
            let Statement::ImportDeclaration(it) = statement else { continue };
            let built_in =
                it.source.value.starts_with("pipehat") || it.source.value.starts_with("@medplum/");
            if built_in {
                continue;
            }
            for specifier in it.specifiers.iter().flatten() {
                self.imported.insert(specifier.local().name.to_string());
            }
        }
        let mut methods = Methods::default();
        methods.visit_program(program);
        self.methods = methods.names;
        self.private_methods = methods.private;
    }

    fn is_state(&self, name: &str) -> bool {
        self.roots.contains(name) || self.imported.contains(name)
    }

    /// Whether an expression leads into the module's state: `STATE`, `STATE.a[0]`, `(STATE)!.b`.
    fn leads(&self, expression: &Expression<'_>) -> bool {
        match expression.without_parentheses() {
            Expression::Identifier(it) => self.is_state(it.name.as_str()),
            Expression::StaticMemberExpression(it) => self.leads(&it.object),
            Expression::ComputedMemberExpression(it) => self.leads(&it.object),
            Expression::PrivateFieldExpression(it) => self.leads(&it.object),
            _ => false,
        }
    }

    fn note(&mut self, span: Span, reason: &'static str) {
        self.found = self.found.or(because(span, reason));
    }

    fn target(&mut self, target: &SimpleAssignmentTarget<'_>) {
        let object = match target.as_member_expression() {
            Some(member) => member.object(),
            None => return,
        };
        if self.leads(object) {
            self.note(target.span(), WRITTEN);
        }
        let name = target.as_member_expression().and_then(|it| it.static_property_name());
        if let Some(name) = name
            && matches!(object, Expression::ThisExpression(_))
            && self.methods.contains(name)
        {
            self.note(target.span(), "a method is replaced");
        }
    }
}

impl<'a> Visit<'a> for Writes<'_> {
    fn visit_assignment_expression(&mut self, it: &AssignmentExpression<'a>) {
        match &it.left {
            AssignmentTarget::ArrayAssignmentTarget(_)
            | AssignmentTarget::ObjectAssignmentTarget(_) => {}
            other => {
                if let Some(target) = other.as_simple_assignment_target() {
                    self.target(target);
                }
            }
        }
        walk::walk_assignment_expression(self, it);
    }

    fn visit_update_expression(&mut self, it: &UpdateExpression<'a>) {
        self.target(&it.argument);
        walk::walk_update_expression(self, it);
    }

    fn visit_unary_expression(&mut self, it: &UnaryExpression<'a>) {
        if it.operator == UnaryOperator::Delete
            && let Some(member) = it.argument.as_member_expression()
            && self.leads(member.object())
        {
            self.note(it.span, WRITTEN);
        }
        walk::walk_unary_expression(self, it);
    }

    fn visit_private_field_expression(&mut self, it: &PrivateFieldExpression<'a>) {
        let is_method = self.private_methods.contains(it.field.name.as_str());
        if is_method && !self.called.contains(&it.span) {
            self.note(it.span, "a private method is used as a value");
        }
        walk::walk_private_field_expression(self, it);
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        if let Expression::PrivateFieldExpression(callee) = it.callee.without_parentheses() {
            self.called.insert(callee.span);
        }
        if let Some(member) = it.callee.as_member_expression() {
            let name = member.static_property_name().unwrap_or_default();
            if CHANGING.contains(&name) && self.leads(member.object()) {
                self.note(it.span, WRITTEN);
            }
            let of = |name: &str| member.object().is_specific_id(name);
            let first = it.arguments.first().and_then(|it| it.as_expression());
            if CHANGING_FIRST.contains(&name)
                && (of("Object") || of("Reflect"))
                && first.is_some_and(|first| self.leads(first))
            {
                self.note(it.span, WRITTEN);
            }
        }
        walk::walk_call_expression(self, it);
    }

    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        self.touches_globals = true;
        self.note(it.span, "a module is imported while the handler runs");
        walk::walk_import_expression(self, it);
    }

    /// An object for each module, which anybody may write to.
    fn visit_import_meta(&mut self, it: &ImportMeta) {
        self.note(it.span, "import.meta is used");
    }

    fn visit_identifier_reference(&mut self, it: &IdentifierReference<'a>) {
        let name = it.name.as_str();
        if ["globalThis", "global", "self", "window"].contains(&name) && !self.roots.contains(name)
        {
            self.touches_globals = true;
            self.note(it.span, "the global object is used");
        }
    }
}

#[derive(Default)]
struct Methods {
    names: HashSet<String>,
    private: HashSet<String>,
}

impl<'a> Visit<'a> for Methods {
    fn visit_class(&mut self, it: &Class<'a>) {
        for element in &it.body.body {
            let ClassElement::MethodDefinition(method) = element else { continue };
            if let PropertyKey::PrivateIdentifier(name) = &method.key {
                self.private.insert(name.name.to_string());
            } else if let Some(name) = method.key.static_name() {
                self.names.insert(name.into_owned());
            }
        }
        walk::walk_class(self, it);
    }
}
