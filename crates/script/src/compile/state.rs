//! Whether a module can carry anything from one run to the next.
//!
//! A worker evaluates a script's modules once, freezes all that can be reached from their top level, and runs the
//! handler again and again. That keeps nothing from one message to the next if nothing escapes the freezing: a variable that is
//! assigned later, and what only code can reach (variables of a function that was called while the module was
//! evaluated, private static members, what a `Map`, a `Date` or a pending promise has inside). So the top level may only *say* what
//! things are, and call nothing but a few functions known for what they do. It must also not be written to by the
//! handler in a way that can be seen here; what cannot be seen meets the freezing and throws.
//!
//! A module for which this does not hold is right, but is evaluated anew for each run.

use std::collections::HashSet;

use oxc::ast::ast::{
    Argument, ArrayExpressionElement, BindingPattern, Class, ClassElement, Declaration,
    ExportDefaultDeclarationKind, Expression, MethodDefinitionKind, ModuleDeclaration,
    ObjectPropertyKind, Program, PropertyKey, PropertyKind, Statement, VariableDeclaration,
};
use oxc::semantic::{Scoping, SymbolId};
use oxc::span::{GetSpan, Span};
use oxc::syntax::operator::UnaryOperator;

use super::writes::Writes;

/// What the top level of a module is made of.
pub(crate) struct State {
    /// Its names.
    pub(crate) names: Vec<String>,
    /// Why its state may change, and where in the source that is.
    pub(crate) changes: Option<(usize, &'static str)>,
    /// Whether it may change what is not its own: globals and prototypes.
    pub(crate) touches_globals: bool,
}

/// Enumerations whose members are no more than constants, and whose names the author assigns nothing to: after the
/// transformation they are a call, and an assignment.
pub(crate) fn steady_enums(program: &Program<'_>, scoping: &Scoping) -> HashSet<String> {
    let is_assigned = |name: &str| {
        let symbol = scoping.get_bindings(scoping.root_scope_id()).get(name).copied();
        symbol.is_none_or(|symbol| {
            scoping.get_resolved_references(symbol).any(|reference| reference.is_write())
        })
    };
    let mut enums = HashSet::new();
    for statement in &program.body {
        let declared = match statement {
            Statement::TSEnumDeclaration(it) => it,
            Statement::ExportDeclaration(it) => match &it.declaration {
                Declaration::TSEnumDeclaration(it) => it,
                _ => continue,
            },
            _ => continue,
        };
        let known = Known::default();
        let mut values = declared.body.members.iter().filter_map(|it| it.initializer.as_ref());
        // A member may name one before it.
        if values.all(|it| known.primitive(it) || matches!(it, Expression::Identifier(_)))
            && !is_assigned(declared.id.name.as_str())
        {
            enums.insert(declared.id.name.to_string());
        }
    }
    enums
}

/// Looks at a module as it will run.
pub(crate) fn examine(program: &Program<'_>, scoping: &Scoping, enums: &HashSet<String>) -> State {
    let root = scoping.get_bindings(scoping.root_scope_id());
    let mut names = Vec::new();
    let mut all = HashSet::new();
    let mut changes = None;
    for (name, &symbol) in root {
        let flags = scoping.symbol_flags(symbol);
        all.insert(name.to_string());
        if flags.is_import() || !flags.is_value() {
            continue;
        }
        names.push(name.to_string());
        // The transformation declares an enumeration by assigning to it.
        if scoping.symbol_is_mutated(symbol) && !enums.contains(name.as_str()) {
            let at = first_write(scoping, symbol);
            changes = changes.or(Some((at, "a variable of the module is assigned to")));
        }
    }
    names.sort();
    let mut known = Known { all, enums: enums.clone(), ..Known::default() };
    known.roots.extend(names.iter().cloned());
    for statement in &program.body {
        changes = changes.or_else(|| known.statement(statement));
    }
    // The transformation writes what is in an enumeration; the author cannot, by its type.
    known.roots.retain(|name| !enums.contains(name));
    let writes = Writes::of(program, &known.roots);
    // A statement of the top level may be there for what it does to others.
    let acts = program.body.iter().any(|statement| match statement {
        Statement::EmptyStatement(_) => false,
        Statement::ExpressionStatement(it) => !known.primitive(&it.expression),
        other => other.as_declaration().is_none() && other.as_module_declaration().is_none(),
    });
    let touches_globals = acts || writes.touches_globals;
    State { names, changes: changes.or(writes.found), touches_globals }
}

fn first_write(scoping: &Scoping, symbol: SymbolId) -> usize {
    scoping.symbol_span(symbol).start as usize
}

pub(super) type Found = Option<(usize, &'static str)>;

pub(super) fn because(span: Span, reason: &'static str) -> Found {
    Some((span.start as usize, reason))
}

/// What is known of the top level so far.
#[derive(Default)]
struct Known {
    /// All its names, those of imports too.
    all: HashSet<String>,
    roots: HashSet<String>,
    enums: HashSet<String>,
    primitives: HashSet<String>,
}

const CALLED: &str = "a function is called while the module is evaluated";

impl Known {
    /// Why a statement of the top level does more than say what things are.
    fn statement(&mut self, statement: &Statement<'_>) -> Found {
        if let Some(declaration) = statement.as_declaration() {
            return self.declaration(declaration);
        }
        if let Some(declaration) = statement.as_module_declaration() {
            return match declaration {
                ModuleDeclaration::ExportDeclaration(it) => self.declaration(&it.declaration),
                ModuleDeclaration::ExportDefaultDeclaration(it) => match &it.declaration {
                    ExportDefaultDeclarationKind::FunctionDeclaration(_) => None,
                    ExportDefaultDeclarationKind::ClassDeclaration(it) => self.class(it),
                    other => match other.as_expression() {
                        Some(expression) => self.expression(expression),
                        None => None,
                    },
                },
                _ => None,
            };
        }
        match statement {
            Statement::EmptyStatement(_) => None,
            Statement::ExpressionStatement(it) if self.primitive(&it.expression) => None,
            other => because(other.span(), CALLED),
        }
    }

    fn declaration(&mut self, declaration: &Declaration<'_>) -> Found {
        match declaration {
            Declaration::VariableDeclaration(it) => self.variables(it),
            Declaration::FunctionDeclaration(_) => None,
            Declaration::ClassDeclaration(it) => self.class(it),
            other => because(other.span(), "a namespace is evaluated"),
        }
    }

    fn variables(&mut self, declaration: &VariableDeclaration<'_>) -> Found {
        for declarator in &declaration.declarations {
            let simple = match &declarator.id {
                BindingPattern::BindingIdentifier(name) => {
                    if self.enums.contains(name.name.as_str()) {
                        continue;
                    }
                    let value = declarator.init.as_ref();
                    if value.is_some_and(|value| self.primitive(value)) {
                        self.primitives.insert(name.name.to_string());
                    }
                    true
                }
                BindingPattern::ObjectPattern(pattern) => {
                    let plain = |value: &BindingPattern<'_>| {
                        matches!(value, BindingPattern::BindingIdentifier(_))
                    };
                    pattern.properties.iter().all(|it| !it.computed && plain(&it.value))
                }
                _ => false,
            };
            if !simple {
                return because(declarator.span, CALLED);
            }
            let found = declarator.init.as_ref().and_then(|value| self.expression(value));
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn class(&self, class: &Class<'_>) -> Found {
        if let Some(heritage) = &class.heritage
            && !self.inert(&heritage.expression)
        {
            return because(class.span, CALLED);
        }
        // What it inherits from may return any object from its constructor, and a private member can be put on one that
        // is frozen too.
        let errors = |heritage: &Expression<'_>| match heritage {
            Expression::Identifier(it) => {
                let name = it.name.as_str();
                name.ends_with("Error") && !self.all.contains(name)
            }
            _ => false,
        };
        let private = class
            .body
            .body
            .iter()
            .find(|it| matches!(it.property_key(), Some(PropertyKey::PrivateIdentifier(_))));
        if let (Some(heritage), Some(private)) = (&class.heritage, private)
            && !errors(&heritage.expression)
        {
            return because(private.span(), "a class that inherits has a private member");
        }
        for element in &class.body.body {
            let (key, found) = match element {
                ClassElement::StaticBlock(it) => {
                    return because(it.span, "a class has a static block");
                }
                ClassElement::MethodDefinition(it) => {
                    let accessor = it.r#static
                        && matches!(it.kind, MethodDefinitionKind::Get | MethodDefinitionKind::Set);
                    let found = accessor.then_some((it.span, "a class has a static accessor"));
                    (Some((&it.key, it.computed)), found)
                }
                ClassElement::PropertyDefinition(it) if it.r#static => {
                    let hidden = matches!(it.key, PropertyKey::PrivateIdentifier(_));
                    let value = it.value.as_ref().is_none_or(|value| self.inert(value));
                    let found = match (hidden, value) {
                        (true, _) => Some((it.span, "a class has a private static member")),
                        (_, false) => Some((it.span, CALLED)),
                        _ => None,
                    };
                    (Some((&it.key, it.computed)), found)
                }
                ClassElement::PropertyDefinition(it) => (Some((&it.key, it.computed)), None),
                ClassElement::AccessorProperty(it) => {
                    (None, Some((it.span, "a class has an accessor")))
                }
                ClassElement::TSIndexSignature(_) => (None, None),
            };
            if let Some((span, reason)) = found {
                return because(span, reason);
            }
            if let Some((key, true)) = key
                && !key.as_expression().is_some_and(|key| self.inert(key))
            {
                return because(key.span(), CALLED);
            }
        }
        None
    }

    fn expression(&self, expression: &Expression<'_>) -> Found {
        match expression {
            Expression::ClassExpression(it) => self.class(it),
            other if self.inert(other) => None,
            Expression::NewExpression(it) => {
                because(it.span, "an object is made while the module is evaluated")
            }
            other => because(other.span(), CALLED),
        }
    }

    /// Whether an expression is a value without anything inside, made without calling what the author wrote.
    fn primitive(&self, expression: &Expression<'_>) -> bool {
        match expression.without_parentheses() {
            Expression::BooleanLiteral(_)
            | Expression::NullLiteral(_)
            | Expression::NumericLiteral(_)
            | Expression::BigIntLiteral(_)
            | Expression::StringLiteral(_) => true,
            Expression::TemplateLiteral(it) => it.expressions.iter().all(|it| self.primitive(it)),
            Expression::Identifier(it) => self.primitives.contains(it.name.as_str()),
            Expression::UnaryExpression(it) => self.primitive(&it.argument),
            Expression::BinaryExpression(it) => {
                self.primitive(&it.left) && self.primitive(&it.right)
            }
            Expression::LogicalExpression(it) => {
                self.primitive(&it.left) && self.primitive(&it.right)
            }
            Expression::ConditionalExpression(it) => {
                [&it.test, &it.consequent, &it.alternate].iter().all(|it| self.primitive(it))
            }
            _ => false,
        }
    }

    /// Whether all that can change of what an expression makes can be reached and frozen, and nothing of the author's
    /// is called to make it.
    fn inert(&self, expression: &Expression<'_>) -> bool {
        let expression = expression.without_parentheses();
        if self.primitive(expression) {
            return true;
        }
        match expression {
            Expression::Identifier(_)
            | Expression::ArrowFunctionExpression(_)
            | Expression::FunctionExpression(_) => true,
            Expression::ClassExpression(it) => self.class(it).is_none(),
            // Without these two flags a regular expression has no place of its own.
            Expression::RegExpLiteral(it) => {
                let flags = it.regex.flags.to_string();
                !flags.contains('g') && !flags.contains('y')
            }
            Expression::ArrayExpression(it) => it.elements.iter().all(|it| match it {
                ArrayExpressionElement::Elision(_) => true,
                // The iterator may be the author's.
                ArrayExpressionElement::SpreadElement(_) => false,
                other => other.as_expression().is_some_and(|it| self.inert(it)),
            }),
            Expression::ObjectExpression(it) => it.properties.iter().all(|it| match it {
                ObjectPropertyKind::SpreadProperty(it) => self.inert(&it.argument),
                ObjectPropertyKind::ObjectProperty(it) => {
                    let key = !it.computed
                        || it.key.as_expression().is_some_and(|key| {
                            self.primitive(key)
                                || matches!(key, Expression::StaticMemberExpression(_))
                        });
                    key && it.kind == PropertyKind::Init && self.inert(&it.value)
                }
            }),
            Expression::ConditionalExpression(it) => {
                [&it.test, &it.consequent, &it.alternate].iter().all(|it| self.inert(it))
            }
            Expression::LogicalExpression(it) => self.inert(&it.left) && self.inert(&it.right),
            Expression::UnaryExpression(it) => {
                use UnaryOperator::{LogicalNot, Typeof, Void};
                matches!(it.operator, LogicalNot | Typeof | Void) && self.inert(&it.argument)
            }
            Expression::StaticMemberExpression(it) => {
                it.property.name != "prototype" && self.inert(&it.object)
            }
            Expression::ComputedMemberExpression(it) => {
                self.primitive(&it.expression) && self.inert(&it.object)
            }
            Expression::CallExpression(it) => self.known_call(&it.callee, &it.arguments),
            Expression::NewExpression(it) => self.known_new(&it.callee, &it.arguments),
            _ => false,
        }
    }

    fn arguments<'a>(&self, arguments: &'a [Argument<'a>]) -> bool {
        arguments.iter().all(|it| it.as_expression().is_some_and(|it| self.inert(it)))
    }

    /// Of the language's own, and not hidden by a name of the module.
    fn is_global(&self, expression: &Expression<'_>, name: &str) -> bool {
        expression.is_specific_id(name) && !self.all.contains(name)
    }

    fn known_call(&self, callee: &Expression<'_>, arguments: &[Argument<'_>]) -> bool {
        let primitives = || {
            let mut all = arguments.iter().map(|it| it.as_expression());
            all.all(|it| it.is_some_and(|it| self.primitive(it)))
        };
        match callee {
            Expression::StaticMemberExpression(it) => {
                let name = it.property.name.as_str();
                let object = self.is_global(&it.object, "Object")
                    && ["freeze", "seal", "keys", "values", "entries"].contains(&name)
                    && self.arguments(arguments);
                let symbol = self.is_global(&it.object, "Symbol") && name == "for" && primitives();
                object || symbol
            }
            other => {
                let known = ["Symbol", "BigInt", "Number", "String", "Boolean", "parseInt"];
                known.iter().any(|name| self.is_global(other, name)) && primitives()
            }
        }
    }

    /// Maps and sets that are frozen refuse to change; they are here if no iterator of the author's fills them.
    fn known_new(&self, callee: &Expression<'_>, arguments: &[Argument<'_>]) -> bool {
        let listed = match arguments {
            [] => true,
            [only] => {
                let value = only.as_expression().map(Expression::without_parentheses);
                value.is_some_and(|it| {
                    matches!(it, Expression::ArrayExpression(_)) && self.inert(it)
                })
            }
            _ => false,
        };
        ["Map", "Set"].iter().any(|name| self.is_global(callee, name)) && listed
            || self.is_global(callee, "TextEncoder") && arguments.is_empty()
    }
}
