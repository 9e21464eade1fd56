//! One file: TypeScript or JavaScript in, JavaScript out, with what is known of it.

use oxc::allocator::Allocator;
use oxc::ast::ast::{
    AccessorProperty, AccessorPropertyType, Decorator, ImportExpression, JSXElement, JSXFragment,
    Program, Statement,
};
use oxc::ast_visit::{Visit, walk};
use oxc::codegen::{Codegen, CodegenOptions};
use oxc::parser::{ParseOptions, Parser};
use oxc::semantic::SemanticBuilder;
use oxc::span::{SourceType, Span};
use oxc::transformer::{TransformOptions, Transformer};

use super::commonjs;
use super::failure::ScriptError;
use super::links::Links;
use super::position::Positions;
use super::state;
use super::syntax;

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// TypeScript, an ES module.
    TypeScript,
    /// JavaScript, an ES module.
    JavaScript,
    /// JavaScript with `require` and `module.exports`.
    CommonJs,
    /// Data.
    Json,
}

/// What a file became.
pub(crate) struct Compiled {
    /// The JavaScript, an ES module.
    pub(crate) code: String,
    /// Where its lines and columns were.
    pub(crate) positions: Positions,
    /// What it imports, once each, with the byte in the source.
    pub(crate) imports: Vec<Import>,
    /// Why its state may change from one run to the next; none if it cannot.
    pub(crate) changes: Option<(usize, &'static str)>,
    /// Whether it may change globals and prototypes.
    pub(crate) touches_globals: bool,
    /// The names that it exports and imports.
    pub(crate) links: Links,
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) specifier: String,
    pub(crate) offset: usize,
    pub(crate) kind: ImportKind,
    pub(crate) reached: Reached,
}

/// Which conditions of a package's `exports` hold for an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImportKind {
    Import,
    Require,
}

/// When an import is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reached {
    /// When the module is evaluated.
    AtOnce,
    /// When a function is called, if it ever is.
    Later,
    /// In a `try`: the program goes on without it.
    Tried,
}

/// The export by which the worker reaches a module's own state, to freeze it.
pub(crate) const TOP_LEVEL: &str = "pipehat:top-level";

/// Whether a text is CommonJS: it has `module.exports` or `exports`, and no `import` or `export`.
pub(crate) fn is_commonjs(source: &str) -> bool {
    let allocator = Allocator::default();
    let options = ParseOptions { allow_return_outside_function: true, ..ParseOptions::default() };
    // TypeScript may be told to write CommonJS, and JavaScript is TypeScript but for little.
    let parsed = Parser::new(&allocator, source, SourceType::cjs()).with_options(options).parse();
    parsed.diagnostics.errors().next().is_none()
        && !parsed.module_record.has_module_syntax
        && commonjs::exports_something(&parsed.program)
}

/// Compiles one file.
pub(crate) fn compile(
    file: &str,
    source: &str,
    language: Language,
) -> Result<Compiled, ScriptError> {
    if language == Language::Json {
        return json(file, source);
    }
    let allocator = Allocator::default();
    let source_type = match language {
        Language::TypeScript => SourceType::ts(),
        Language::CommonJs => SourceType::cjs(),
        _ => SourceType::mjs(),
    };
    let options = ParseOptions {
        allow_return_outside_function: language == Language::CommonJs,
        parse_regular_expression: true,
        ..ParseOptions::default()
    };
    let parsed = Parser::new(&allocator, source, source_type).with_options(options).parse();
    if let Some(found) = parsed.diagnostics.errors().next() {
        return Err(syntax::mistake(file, source, found));
    }
    let mut program = parsed.program;
    let mut refused = Refused::default();
    refused.visit_program(&program);
    if let Some((span, message, help)) = refused.found {
        let at = ScriptError::at(file, source, span.start as usize, message);
        return Err(at.with_help(help));
    }
    let built =
        SemanticBuilder::new().with_check_syntax_error(true).with_enum_eval(true).build(&program);
    if let Some(found) = built.diagnostics.errors().next() {
        return Err(syntax::mistake(file, source, found));
    }
    if language == Language::CommonJs {
        return Ok(commonjs::wrap(source, &program));
    }
    let mut scoping = built.semantic.into_scoping();
    let enums = state::steady_enums(&program, &scoping);
    let written = imports(&program);
    let (mut code, positions) = if language == Language::TypeScript {
        let transformer = Transformer::new(&allocator, file.as_ref(), &TransformOptions::default());
        let transformed = transformer.build_with_scoping(scoping, &mut program);
        if let Some(found) = transformed.diagnostics.errors().next() {
            return Err(syntax::mistake(file, source, found));
        }
        scoping = transformed.scoping;
        let options =
            CodegenOptions { source_map_path: Some(file.into()), ..CodegenOptions::default() };
        let printed = Codegen::new().with_options(options).build(&program);
        (
            printed.code,
            printed.map.map_or_else(Positions::same, |map| {
                Positions::of_tokens(map.get_tokens().map(|token| {
                    let (line, column) = (token.get_dst_line(), token.get_dst_col());
                    [line, column, token.get_src_line(), token.get_src_col()]
                }))
            }),
        )
    } else {
        (source.to_owned(), Positions::same())
    };
    let state = state::examine(&program, &scoping, &enums);
    // What the types alone needed is not imported any more.
    let left = imports(&program);
    let imports = written.into_iter().filter(|one| left.iter().any(|it| one.names(it))).collect();
    let names = state.names.join(",");
    code.push_str(&format!(
        "\nfunction __pipehatTopLevel(){{return[{names}]}}export{{__pipehatTopLevel as {TOP_LEVEL:?}}};\n"
    ));
    let links = Links::of(&program);
    let state::State { changes, touches_globals, .. } = state;
    Ok(Compiled { code, positions, imports, changes, touches_globals, links })
}

impl Import {
    fn names(&self, other: &Self) -> bool {
        self.specifier == other.specifier && self.kind == other.kind
    }
}

/// Data: parsed by the engine, so that `__proto__` is a member like any other.
fn json(file: &str, source: &str) -> Result<Compiled, ScriptError> {
    let source = source.trim_start_matches('\u{feff}');
    let value: serde_json::Value = serde_json::from_str(source).map_err(|error| {
        let before = source.split_inclusive('\n').take(error.line().saturating_sub(1));
        let start: usize = before.map(str::len).sum();
        let at = start + error.column().saturating_sub(1);
        ScriptError::at(file, source, at, format!("not JSON: {error}"))
    })?;
    let text = serde_json::Value::String(value.to_string());
    let code = format!(
        "const data=JSON.parse({text});export default data;export{{data as \"module.exports\"}};\n"
    );
    let positions = Positions::same();
    let (imports, links) = (Vec::new(), Links::default());
    Ok(Compiled { code, positions, imports, changes: None, touches_globals: false, links })
}

/// What a program imports, by statements and by `import("…")`.
fn imports(program: &Program<'_>) -> Vec<Import> {
    let mut found = Imports::default();
    for statement in &program.body {
        let source = match statement {
            Statement::ImportDeclaration(it) => Some(&it.source),
            Statement::ExportFromDeclaration(it) => Some(&it.source),
            Statement::ExportAllDeclaration(it) => Some(&it.source),
            _ => None,
        };
        if let Some(source) = source {
            found.add(source.value.as_str(), source.span);
        }
    }
    found.visit_program(program);
    found.imports
}

#[derive(Default)]
struct Imports {
    imports: Vec<Import>,
}

impl Imports {
    fn add(&mut self, specifier: &str, span: Span) {
        let (specifier, kind) = (specifier.to_owned(), ImportKind::Import);
        let (offset, reached) = (span.start as usize, Reached::AtOnce);
        let import = Import { specifier, offset, kind, reached };
        if !self.imports.iter().any(|known| known.names(&import)) {
            self.imports.push(import);
        }
    }
}

impl<'a> Visit<'a> for Imports {
    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        if let oxc::ast::ast::Expression::StringLiteral(source) = &it.source {
            self.add(source.value.as_str(), source.span);
        }
        walk::walk_import_expression(self, it);
    }
}

/// What is not supported, found before anything else is made of it.
#[derive(Default)]
struct Refused {
    found: Option<(Span, &'static str, &'static str)>,
}

impl<'a> Visit<'a> for Refused {
    fn visit_jsx_element(&mut self, it: &JSXElement<'a>) {
        self.found.get_or_insert((it.span, "JSX is not supported", "a bot shows nothing"));
    }

    fn visit_jsx_fragment(&mut self, it: &JSXFragment<'a>) {
        self.found.get_or_insert((it.span, "JSX is not supported", "a bot shows nothing"));
    }

    /// Of decorators (ECMA-262 has it not yet); what is abstract is a type.
    fn visit_accessor_property(&mut self, it: &AccessorProperty<'a>) {
        if it.r#type == AccessorPropertyType::AccessorProperty {
            let help =
                "write a field (`n = 0`), or a private one with `get n()` and `set n(value)`";
            self.found.get_or_insert((it.span, "`accessor` fields are not supported", help));
        }
        walk::walk_accessor_property(self, it);
    }

    fn visit_decorator(&mut self, it: &Decorator<'a>) {
        let help = "call the function yourself: `const Wrapped = decorate(Plain)`";
        self.found.get_or_insert((it.span, "decorators are not supported", help));
    }
}
