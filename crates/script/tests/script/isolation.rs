//! Nothing of one message is seen by the next.

use pipehat_script::{Limits, Output, Reuse, RunErrorKind, Script, Worker};

use crate::host::{project, run_with, script, text, tight};

/// Runs a script for `first` and then for `second`, and checks what the second sees; whether the first failed does not
/// matter.
fn check_second(source: &str, kept: bool, second: &str) {
    let script = script(source);
    assert_eq!(script.reuse() == Reuse::Kept, kept, "{source}\n{:?}", script.reuse());
    let mut worker = Worker::new(&script, tight());
    for _ in 0..2 {
        let _ = run_with(&mut worker, &text("first"));
        let (run, _) = run_with(&mut worker, &text("second"));
        let shown = match run.result {
            Ok(Output::Text(text) | Output::Json(text)) => text,
            other => format!("{other:?}"),
        };
        assert_eq!(shown, second, "{source}");
    }
}

/// A handler that does this for the first message, and returns that for each.
fn handler(top: &str, first: &str, returned: &str) -> String {
    format!(
        "{top}\nexport async function handler(client: any, event: any) {{\n\
         try {{ if (event.input === 'first') {{ {first} }} }} catch {{}}\n return String({returned});\n}}"
    )
}

#[test]
fn globals_and_prototypes_are_as_they_were() {
    let kept = |first: &str, returned: &str, expected: &str| {
        check_second(&handler("", first, returned), true, expected);
    };
    kept("(Object.prototype as any).leak = 1", "({} as any).leak", "undefined");
    kept("(Array.prototype as any).push = () => 9", "[].push(1)", "1");
    kept(
        "Object.defineProperty(String.prototype, 'leak', { get: () => 1 })",
        "('' as any).leak",
        "undefined",
    );
    kept("(JSON as any).parse = () => 1", "JSON.parse('2')", "2");
    kept("(Math as any).leak = 1", "(Math as any).leak", "undefined");
    kept("(({} as any).__proto__).leak = 1", "({} as any).leak", "undefined");
    kept("({} as any)['constructor']['prototype']['leak'] = 1", "({} as any).leak", "undefined");
    kept("Object.setPrototypeOf(Array.prototype, { leak: 1 })", "([] as any).leak", "undefined");
    kept(
        "(Object.getPrototypeOf(async () => {}) as any).leak = 1",
        "((async () => {}) as any).leak",
        "undefined",
    );
    kept(
        "(Object.getPrototypeOf((function* () {})()) as any).next = 1",
        "[...(function* () { yield 1 })()]",
        "1",
    );
    kept(
        "(Object.getPrototypeOf([][Symbol.iterator]()) as any).next = () => ({ done: true })",
        "[...[1, 2]]",
        "1,2",
    );
    kept(
        "(fetch as any).leak = 1; (Headers.prototype as any).get = () => 'leak'",
        "new Headers({ a: '1' }).get('a') + (fetch as any).leak",
        "1undefined",
    );
    kept("(console as any).log = () => 1", "typeof console.log('x')", "undefined");
    kept(
        "(Error as any).prepareStackTrace = () => 'leak'",
        "new Error('x').stack!.includes('leak')",
        "false",
    );
    kept(
        "(Symbol as any).leak = 1; (Promise.prototype as any).then = 1",
        "typeof Promise.resolve().then + (Symbol as any).leak",
        "functionundefined",
    );
    kept(
        "(client as any).leak = 1; event.leak = 1; event.secrets.leak = 1",
        "[client.leak, event.leak, event.secrets.leak]",
        ",,",
    );
    kept(
        "(crypto as any).leak = 1; (crypto.subtle as any).digest = 1",
        "(crypto as any).leak + typeof crypto.subtle.digest",
        "undefinedfunction",
    );
}

#[test]
fn the_global_object_can_be_written_to_for_one_message() {
    check_second(
        &handler("", "(globalThis as any).leak = event.input", "(globalThis as any).leak"),
        false,
        "undefined",
    );
    // What cannot be seen in the text is refused.
    check_second(
        &handler(
            "",
            "const g = (() => { try { return [].concat.constructor } catch {} })(); (g as any)('return this')().leak = 1",
            "1",
        ),
        true,
        "1",
    );
}

#[test]
fn variables_of_a_module_begin_anew() {
    let fresh = |top: &str, first: &str, returned: &str, expected: &str| {
        check_second(&handler(top, first, returned), false, expected);
    };
    fresh("let last = 'none'", "last = event.input", "last", "none");
    fresh("let count = 0", "count++", "count", "0");
    fresh("const cache: any = {}", "cache.patient = event.input", "cache.patient", "undefined");
    fresh("const seen: string[] = []", "seen.push(event.input)", "seen.length", "0");
    fresh("const seen = new Map()", "seen.set('a', event.input)", "seen.size", "0");
    fresh("const next = (() => { let n = 0; return () => n++ })()", "next()", "next()", "0");
    fresh(
        "class Kept { static #last = 'none'; static keep(it: string) { Kept.#last = it } static get() { return Kept.#last } }",
        "Kept.keep(event.input)",
        "Kept.get()",
        "none",
    );
    fresh("class Kept { static last = 'none' }", "Kept.last = event.input", "Kept.last", "none");
    fresh("", "(import.meta as any).last = event.input", "(import.meta as any).last", "undefined");
    // A private member can be put on an object that is frozen.
    fresh(
        "class Any { constructor(it: object) { return it } } class Mark extends Any { #it: string; constructor(on: object, it: string) { super(on); this.#it = it } static of(on: any) { return #it in on ? on.#it : 'none' } }",
        "new Mark(Object.prototype, event.input)",
        "Mark.of(Object.prototype)",
        "none",
    );
    fresh("const at = new Date(0)", "at.setTime(5)", "at.getTime()", "0");
    fresh("const bytes = new Uint8Array(1)", "bytes[0] = 5", "bytes[0]", "0");
    fresh(
        "const known = new WeakMap(); const key = {}",
        "known.set(key, 1)",
        "known.has(key)",
        "false",
    );
    fresh("const every = /x/g", "every.test('xx')", "every.lastIndex", "0");
    fresh(
        "const count = (function* () { let n = 0; for (;;) yield n++ })()",
        "count.next()",
        "count.next().value",
        "0",
    );
    fresh("", "(handler as any).leak = event.input", "(handler as any).leak", "undefined");
    fresh("const a = { b: { c: [1] } }", "delete (a as any).b", "a.b.c", "1");
    fresh("const a = { b: 1 }", "Object.assign(a, { b: 2 })", "a.b", "1");
}

#[test]
fn what_only_runs_can_reach_is_frozen() {
    let kept = |top: &str, first: &str, returned: &str, expected: &str| {
        check_second(&handler(top, first, returned), true, expected);
    };
    // The text of the handler does not show that the module's own is written to.
    kept("const a = { b: { c: 'none' } }", "const it = a.b; it.c = event.input", "a.b.c", "none");
    kept("const list = ['a']", "const it = list; it.push('b')", "list.length", "1");
    kept(
        "const known = new Map([['a', 1]])",
        "const it = known; it.set('b', 2); Map.prototype.set.call(known, 'c', 3)",
        "known.size",
        "1",
    );
    kept(
        "const known = new Set([{ a: 1 }])",
        "for (const it of known) it.a = 2",
        "[...known][0].a",
        "1",
    );
    kept(
        "class Named { get() { return 1 } }",
        "const it = Named.prototype; it.get = () => 2",
        "new Named().get()",
        "1",
    );
    kept(
        "const f = () => 1",
        "const it: any = f; it.last = event.input",
        "(f as any).last",
        "undefined",
    );
    kept(
        "const re = /x/",
        "const it: any = re; it.last = 1; it.compile('y')",
        "re.test('y') + String((re as any).last)",
        "falseundefined",
    );
    kept("enum Kind { A = 'a' }", "const it: any = Kind; it.A = event.input", "Kind.A", "a");
    kept(
        "export const state = { last: 'none' }; const get = () => state",
        "get().last = event.input",
        "state.last",
        "none",
    );
}

#[test]
fn ordinary_programs_are_not_hindered_by_what_is_frozen() {
    let kept = |top: &str, returned: &str, expected: &str| {
        check_second(&handler(top, "", returned), true, expected);
    };
    kept(
        "class NotFound extends Error { code = 404; constructor(message: string) { super(message); this.name = 'NotFound'; this.message = 'm'; } }",
        "(() => { const e = new NotFound('x'); return e + e.name + e.code + (e instanceof Error) })()",
        "NotFound: mNotFound404true",
    );
    kept(
        "",
        "(() => { const o: any = {}; o.toString = () => 'own'; o.constructor = 1; o.hasOwnProperty = 2; return o + Object.keys(o).join() })()",
        "owntoString,constructor,hasOwnProperty",
    );
    kept(
        "",
        "(() => { const m = new Map([[1, 2]]); m.set(3, 4); m.delete(1); const s = new Set([1]); s.add(2); return m.size + [...s].join() })()",
        "11,2",
    );
    kept("", "Object.assign(Object.create(null), { valueOf: 1 }).valueOf", "1");
    kept(
        "class A { x = 1; m() { return this.x } } class B extends A { override m() { return super.m() + 1 } }",
        "new B().m()",
        "2",
    );
    kept(
        "",
        "(() => { const f: any = function () {}; f.prototype.go = () => 7; return new f().go() })()",
        "7",
    );
    kept(
        "",
        "JSON.stringify({ ...[1], toJSON: undefined }) + [3, 1, 2].sort().map((it) => it * 2).join('')",
        "{\"0\":1}246",
    );
}

#[test]
fn an_unfinished_promise_or_timer_does_not_go_on_in_the_next_message() {
    let source = "export async function handler(client: any, event: any) {
        if (event.input === 'first') {
            setTimeout(() => console.log('timer'), 0);
            fetch('https://a.example/' + event.input).then(() => console.log('answered'));
            new Promise(() => {}).then(() => console.log('never'));
            (async () => { for (let i = 0; i < 5; i++) await null; event.done = true; console.log('in time') })();
        }
        return event.input;
    }";
    let mut worker = Worker::new(&script(source), tight());
    let (_, host) = run_with(&mut worker, &text("first"));
    let log: Vec<_> = host.borrow().log.iter().map(|line| line.text.clone()).collect();
    assert_eq!(log, ["in time", "answered"], "what it began is done in its own run");
    let (run, host) = run_with(&mut worker, &text("second"));
    assert_eq!(run.result, Ok(Output::Text("second".to_owned())));
    assert!(host.borrow().log.is_empty() && host.borrow().asked.is_empty());
}

#[test]
fn modules_of_packages_are_held_to_the_same() {
    let files = project(&[
        (
            "bot.ts",
            "import { keep, kept } from 'keeper'; export const handler = (c: any, e: any) => { const was = kept(); keep(e.input); return was };",
        ),
        ("node_modules/keeper/package.json", r#"{ "type": "module", "exports": "./index.js" }"#),
        (
            "node_modules/keeper/index.js",
            "let it = 'none'; export const keep = (v) => { it = v }; export const kept = () => it;",
        ),
    ]);
    let script = Script::load(&files, "bot.ts").expect("it compiles");
    let Reuse::Fresh { file, line, .. } = script.reuse() else { panic!("the package keeps state") };
    assert_eq!((file.as_str(), line), ("node_modules/keeper/index.js", 1));
    let mut worker = Worker::new(&script, Limits::default());
    for _ in 0..2 {
        let (run, _) = run_with(&mut worker, &text("x"));
        assert_eq!(run.result, Ok(Output::Text("none".to_owned())));
    }
}

#[test]
fn one_workers_failure_leaves_others_untouched() {
    let bad = script(
        "export const handler = () => { const a = []; for (;;) a.push('x'.repeat(1000) + a.length) }",
    );
    let good = script("export const handler = (c: any, e: any) => e.input");
    let (mut bad, mut good) = (Worker::new(&bad, tight()), Worker::new(&good, tight()));
    for _ in 0..3 {
        let (run, _) = run_with(&mut bad, &text("x"));
        let kind = run.result.expect_err("too much").kind;
        assert!(matches!(kind, RunErrorKind::Limit(_)), "{kind:?}");
        let (run, _) = run_with(&mut good, &text("x"));
        assert_eq!(run.result, Ok(Output::Text("x".to_owned())));
    }
}

#[test]
fn what_is_imported_is_not_taken_for_the_languages_own() {
    let files = project(&[
        (
            "bot.ts",
            "import { Map } from './map';\nconst it = new Map([]);\nexport const handler = (c: any, e: any) => it.next();",
        ),
        (
            "map.ts",
            "export class Map { constructor(_: unknown) { let n = 0; (this as any).next = () => n++ } }",
        ),
    ]);
    let script = Script::load(&files, "bot.ts").expect("it compiles");
    assert!(matches!(script.reuse(), Reuse::Fresh { line: 2, .. }), "{:?}", script.reuse());
}

#[test]
fn modules_that_are_evaluated_anew_begin_anew_each_time() {
    let files = project(&[
        (
            "bot.ts",
            "import { count } from './count';\nlet own = 0;\nexport async function handler(c: any, e: any) {\n  own++;\n  if (e.input === 'throw') throw new Error(`own ${own}`);\n  return [own, count()].join();\n}",
        ),
        ("count.ts", "const counts: number[] = [];\nexport const count = () => counts.push(1);"),
    ]);
    let script = Script::load(&files, "bot.ts").expect("it compiles");
    let mut worker = Worker::new(&script, tight());
    // More often than one engine does it.
    for _ in 0..70 {
        let (run, _) = run_with(&mut worker, &text("x"));
        assert_eq!(run.result, Ok(Output::Text("1,1".to_owned())));
        let error = run_with(&mut worker, &text("throw")).0.result.expect_err("it throws");
        assert_eq!((error.message.as_str(), error.stack.len()), ("own 1", 1));
        assert!(error.stack[0].starts_with("handler (bot.ts:5:"), "{:?}", error.stack);
    }
}

#[test]
fn the_modules_of_an_earlier_message_cannot_be_reached() {
    let top = "let last = 'none'; export const read = () => last;";
    for name in ["bot.ts", "bot.ts#1", "./bot.ts#1", "pipehat:boot#1"] {
        let first = format!("last = event.input; const name = {name:?}; await import(name)");
        check_second(&handler(top, &first, "last"), false, "none");
    }
}

#[test]
fn a_module_may_change_prototypes_for_its_own_message() {
    check_second(
        &handler(
            "(Array.prototype as any).last = function () { return this.at(-1) };",
            "(Array.prototype as any).last = () => 'leak'",
            "([1, 2] as any).last()",
        ),
        false,
        "2",
    );
}
