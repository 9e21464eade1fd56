//! Which loop a stopped script was in.
//!
//! The engine notes places at calls, conditions and statements, and none where a loop goes round: one that is stopped there
//! has the place of what stands before the loop, or of the function. What stands behind that in the text is the loop.

use oxc::allocator::{Allocator, ArenaVec};
use oxc::ast::AstKind;
use oxc::ast::ast::Statement;
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::span::{GetSpan, SourceType, Span};

use super::failure::ScriptError;

/// The line and column of the loop that a stopped function was in, from the place that the engine tells, both in the
/// JavaScript that runs; none where that place is the best that is known.
pub(crate) fn loop_at(code: &str, line: u32, column: u32) -> Option<(u32, u32)> {
    let at = u32::try_from(offset(code, line, column)?).ok()?;
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, SourceType::mjs()).parse();
    let mut loops = Loops { at, ..Loops::default() };
    loops.visit_program(&parsed.program);
    let found = loops.found(code)?;
    let place = ScriptError::at("", code, found.start as usize, "");
    Some((place.line, place.column))
}

/// The byte at a line and a column, both from 1. The engine's place of a method may be the blank before it.
fn offset(code: &str, line: u32, column: u32) -> Option<usize> {
    let before = usize::try_from(line).ok()?.checked_sub(1)?;
    let start: usize = code.split_inclusive('\n').take(before).map(str::len).sum();
    let within = code.get(start..)?.char_indices();
    let (at, _) = within.take(usize::try_from(column).ok()?).last()?;
    let at = start.checked_add(at)?;
    let blank = code.get(at..)?.find(|character: char| !character.is_whitespace())?;
    at.checked_add(blank)
}

#[derive(Default)]
struct Loops {
    at: u32,
    /// The functions around what is visited.
    functions: Vec<Span>,
    /// Of what is visited: where its function begins, and where the engine has it begin.
    name: Option<(u32, u32)>,
    /// The innermost function that holds the place.
    function: Option<Span>,
    /// The first function that begins behind it.
    next_function: Option<Span>,
    /// The loops that were found, each with the innermost function around it.
    loops: Vec<(Option<Span>, Span)>,
    /// The innermost statement that holds the place, and the loop that stands behind it.
    behind: Option<(Span, Option<Span>)>,
}

impl Loops {
    fn found(&self, code: &str) -> Option<Span> {
        let own = || self.loops.iter().filter(|(around, _)| *around == self.function);
        if own().any(|(_, span)| self.holds(*span)) {
            // Within a loop only what comes next may be another one.
            return self.behind.and_then(|(_, next)| next);
        }
        let behind = own().map(|(_, span)| *span).find(|span| span.start >= self.at);
        behind.or_else(|| {
            // The engine has a function begin where the one around has come to in the same line.
            let next = self.next_function?;
            let between = code.get(self.at as usize..next.start as usize)?;
            let is_of_next = |around: &Option<Span>| *around == Some(next);
            let first = self.loops.iter().find(|(around, _)| is_of_next(around));
            first.map(|(_, span)| *span).filter(|_| !between.contains('\n'))
        })
    }

    fn holds(&self, span: Span) -> bool {
        span.start <= self.at && self.at < span.end
    }
}

impl<'a> Visit<'a> for Loops {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        match &kind {
            // The engine's place of a method is its name, that of an exported function `export`: before the function.
            AstKind::ExportDeclaration(it) => {
                self.name = Some((it.declaration.span().start, it.span.start));
            }
            AstKind::ExportDefaultDeclaration(it) => {
                self.name = Some((it.declaration.span().start, it.span.start));
            }
            AstKind::MethodDefinition(it) => {
                self.name = Some((it.value.span.start, it.span.start));
            }
            AstKind::ObjectProperty(it) if it.method => {
                self.name = Some((it.value.span().start, it.span.start));
            }
            _ => {}
        }
        if is_function(&kind) {
            let Span { start, end, .. } = kind.span();
            let named = self.name.filter(|(function, _)| *function == start);
            let span = Span::new(named.map_or(start, |(_, name)| name), end);
            self.functions.push(span);
            if self.holds(span) {
                self.function = Some(span);
            } else if span.start >= self.at {
                self.next_function.get_or_insert(span);
            }
        }
        if is_loop(&kind) {
            self.loops.push((self.functions.last().copied(), kind.span()));
        }
    }

    fn leave_node(&mut self, kind: AstKind<'a>) {
        if is_function(&kind) {
            self.functions.pop();
        }
    }

    fn visit_statements(&mut self, it: &ArenaVec<'a, Statement<'a>>) {
        for (index, statement) in it.iter().enumerate() {
            if self.holds(statement.span()) {
                let next = it.get(index.saturating_add(1)).and_then(loop_of);
                self.behind = Some((statement.span(), next));
            }
        }
        walk::walk_statements(self, it);
    }
}

fn is_function(kind: &AstKind<'_>) -> bool {
    matches!(kind, AstKind::Function(_) | AstKind::ArrowFunctionExpression(_))
}

fn is_loop(kind: &AstKind<'_>) -> bool {
    matches!(
        kind,
        AstKind::ForStatement(_)
            | AstKind::ForInStatement(_)
            | AstKind::ForOfStatement(_)
            | AstKind::WhileStatement(_)
            | AstKind::DoWhileStatement(_)
    )
}

fn loop_of(statement: &Statement<'_>) -> Option<Span> {
    match statement {
        Statement::LabeledStatement(it) => loop_of(&it.body),
        Statement::ForStatement(_)
        | Statement::ForInStatement(_)
        | Statement::ForOfStatement(_)
        | Statement::WhileStatement(_)
        | Statement::DoWhileStatement(_) => Some(statement.span()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The engine's place is where `@` stands, the loop where `#` does; none stands where there is none.
    #[track_caller]
    fn check(marked: &str) {
        let place = |mark: char| {
            let other = if mark == '@' { '#' } else { '@' };
            let text = marked.replace(other, "");
            let at = text.find(mark)?;
            let place = ScriptError::at("", &text, at, "");
            Some((place.line, place.column))
        };
        let (line, column) = place('@').expect("a place");
        let code = marked.replace(['@', '#'], "");
        assert_eq!(loop_at(&code, line, column), place('#'), "{marked}");
    }

    #[test]
    fn the_loop_behind_the_place_is_found() {
        check("@function a() {\n  #for (;;) {}\n}");
        check("function a() {\n  @b();\n  let i = 0;\n  #while (true) i++;\n}");
        check("function a() {\n  @b();\n  if (c) {\n    #do {} while (true);\n  }\n}");
        check("const a = @() => {\n  const f = () => { for (;;) {} };\n  outer: #for (;;) f;\n};");
        check(
            "function a() {\n  [1].@forEach(() => {\n    let n = 0;\n    #while (n < 1);\n  });\n}",
        );
        check("const a = { @b() {\n  #for (;;) {}\n} };");
        check("@export async function a() {\n  let i = 0;\n  #while (true) i++;\n}");
        check("@export default function () {\n  #while (true);\n}");
        check("class A {\n@\tb() {\n    #for (;;) {}\n  }\n}");
        check("class A {\n  @b() {\n    #for (;;) {}\n  }\n}");
        check("@a();\n#for (;;) {}\nfunction b() { for (;;) {} }");
        check("/* \u{e9} */ @function a() { /* \u{e9} */ #for (;;) {} }");
    }

    #[test]
    fn a_place_within_a_loop_stays_but_for_one_that_comes_next() {
        check("function a() {\n  for (;;) {\n    if (@b) c();\n  }\n  for (;;) {}\n}");
        check("function a() {\n  for (const x of @y) {}\n}");
        check("function a() {\n  for (;;) {\n    @x = 1;\n    #while (true) x++;\n  }\n}");
    }

    #[test]
    fn without_a_loop_the_place_stays() {
        check("function a() { f(() => @b()); for (;;) {} }");
        check("@function a() { return a(); }\nfunction b() { for (;;) {} }");
        check("function a() { for (;;) { break; } @b(); }");
        assert_eq!(loop_at("no { javascript", 1, 4), None);
        assert_eq!(loop_at("a();", 9, 9), None);
    }
}
