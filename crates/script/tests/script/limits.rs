//! What a run may use, and what happens beyond.

use std::time::{Duration, Instant};

use pipehat_script::{Limit, Limits, Output, RunErrorKind, Worker};

use crate::host::{check, run_with, script, text, tight};

fn short() -> Limits {
    Limits { wall_time: Duration::from_secs(5), cpu_time: Duration::from_millis(200), ..tight() }
}

/// Checks that a handler with this body is stopped soon, for this reason, and that its worker goes on.
fn check_stopped_by(limits: &Limits, body: &str, reason: &str) {
    let source = format!(
        "export async function handler(client: any, event: any) {{ if (event.input === 'good') return 'good'; {body} }}"
    );
    let mut worker = Worker::new(&script(&source), limits.clone());
    let begun = Instant::now();
    let (run, _) = run_with(&mut worker, &text("bad"));
    assert!(begun.elapsed() < Duration::from_secs(10), "{body}: took {:?}", begun.elapsed());
    let error = run.result.expect_err(body);
    assert!(matches!(error.kind, RunErrorKind::Limit(_)), "{body}: {}", error.message);
    assert!(error.message.contains(reason), "{body}: {}", error.message);
    let (run, _) = run_with(&mut worker, &text("good"));
    assert_eq!(run.result, Ok(Output::Text("good".to_owned())), "{body}");
}

/// Checks that what a handler with this body tries is refused by an error, and that nothing else comes of it.
fn check_refused(body: &str, part: &str) {
    let source = format!(
        "export async function handler(client: any, event: any) {{ try {{ {body} }} catch (e: any) {{ return e.name + ': ' + e.message }} return 'nothing happened' }}"
    );
    let begun = Instant::now();
    let (run, _) = run_with(&mut Worker::new(&script(&source), short()), &text(""));
    assert!(begun.elapsed() < Duration::from_secs(10), "{body}: took {:?}", begun.elapsed());
    let shown = match run.result {
        Ok(Output::Text(text)) => text,
        Err(error) => error.message,
        other => format!("{other:?}"),
    };
    assert!(shown.contains(part), "{body}: {shown}");
}

#[test]
fn endless_loops_end() {
    let cpu = |body: &str| check_stopped_by(&short(), body, "0.2 s of processor time");
    cpu("for (;;);");
    cpu("while (true) { try { for (;;); } catch {} finally { continue } }");
    cpu("for (;;) await null;");
    cpu("const f = (): any => queueMicrotask(f); f(); return 1");
    cpu("[1].forEach(function f() { for (;;) [1, 2].map((it) => it) })");
    cpu("await new Promise(() => { const f = () => setTimeout(f, 0); f() })");
    cpu("const it = { get x(): any { for (;;); } }; return it");
    cpu("return { toJSON() { for (;;); } }");
    cpu("new Proxy({}, { get() { for (;;); } } as any).x");
    cpu("[3, 1, 2].sort(() => { for (;;); })");
}

#[test]
fn where_a_loop_was_is_told() {
    let source = "function count(to: number) {
  for (let i = 0; ; i++) if (i > to) i = 0;
}
export function handler(client: any, event: any) {
  return count(7);
}";
    let (run, _) = run_with(&mut Worker::new(&script(source), short()), &text(""));
    let error = run.result.expect_err("it loops");
    assert!(error.stack[0].starts_with("count (bot.ts:2:"), "{:?}", error.stack);
    assert!(error.stack[1].starts_with("handler (bot.ts:5:"), "{:?}", error.stack);

    let at = |source: &str, place: &str| {
        let (run, _) = run_with(&mut Worker::new(&script(source), short()), &text(""));
        let stack = run.result.expect_err(source).stack;
        assert!(stack.first().is_some_and(|first| first.contains(place)), "{source}: {stack:?}");
    };
    at("export async function handler() {\n  let n = 0;\n  while (true) n += 1;\n}", "bot.ts:3:3");
    at("export const handler = async () => {\n  Date.now();\n  for (;;) {}\n};", "bot.ts:3:3");
    at(
        "class A {\n  go(): void {\n    do {} while (true);\n  }\n}\nexport const handler = () => new A().go();",
        "bot.ts:3:5",
    );
    at(
        "export default async function handler(c: any, e: any) {\n  await null;\n  for (;;) {\n    e.x = 1;\n    for (;;);\n  }\n}",
        "bot.ts:5:5",
    );
    at(
        "const slow = (n: number): number => n < 2 ? n :\n  slow(n - 1) + slow(n - 2);\nexport const handler = () => slow(90);",
        "slow (bot.ts:",
    );
    at(
        "export function handler() {\n  [1].forEach(() => {\n    let n: number = 0;\n    while (n >= 0) n++;\n  });\n}",
        "bot.ts:4:",
    );
    // In a call of the engine's own it was there, and not in the loop that comes next.
    for call in
        ["/^(a+)+$/.test(s)", "/^(a+)+$/.exec(s)", "s.search(/^(a+)+$/)", "s.match(/^(a+)+$/)"]
    {
        let source = format!(
            "export async function handler(c: any, e: any) {{\n  const s = 'a'.repeat(40) + 'b';\n  \
             if (s) return {call};\n  for (const never of ['reached']) {{\n    console.log(never);\n  }}\n}}"
        );
        at(&source, "handler (bot.ts:3:");
    }
    // The loop goes round, whatever it called before.
    at("export function handler() {\n  /a/.test('b');\n  for (;;) {}\n}", "bot.ts:3:3");
}

#[test]
fn waiting_ends() {
    let limits = Limits { wall_time: Duration::from_secs(2), ..tight() };
    check_stopped_by(&limits, "await fetch('https://never.example')", "longer than 2 s");
    check_stopped_by(
        &limits,
        "try { await fetch('https://never.example') } catch { return 1 }",
        "longer than 2 s",
    );
    check_stopped_by(
        &limits,
        "for (;;) try { await fetch('https://never.example') } catch {}",
        "longer than 2 s",
    );
    check_stopped_by(&limits, "await fetch('https://hangs.example')", "longer than 2 s");
    check_stopped_by(
        &tight(),
        "for (;;) await Promise.race([fetch('https://hangs.example'), new Promise((done) => setTimeout(done, 10))])",
        "asked its host more than 1000 times",
    );
}

#[test]
fn what_never_settles_is_told() {
    let source = "export async function handler(c: any, e: any) { if (e.input) return 1; await new Promise(() => {}) }";
    let mut worker = Worker::new(&script(source), tight());
    let (run, _) = run_with(&mut worker, &text(""));
    assert_eq!(run.result.expect_err("never").kind, RunErrorKind::NeverSettled);
    let (run, _) = run_with(&mut worker, &text("x"));
    assert_eq!(run.result, Ok(Output::Json("1".to_owned())));
}

#[test]
fn deep_recursion_ends() {
    // A slow machine takes long to get so deep.
    let limits = Limits { cpu_time: Duration::from_secs(4), ..short() };
    let stack = |body: &str| check_stopped_by(&limits, body, "call stack");
    stack("const f = (n: number): number => f(n + 1) + 1; return f(0)");
    stack("class A { get x(): any { return this.x } } return new A().x");
    stack(
        "const a: any[] = []; a[0] = a; let s = '['.repeat(100000) + ']'.repeat(100000); return JSON.parse(s)",
    );
    stack("let a: any = []; for (let i = 0; i < 100000; i++) a = [a]; return JSON.stringify(a)");
    check("const f = (): any => f(); try { f() } catch (e) { return e.name }", "RangeError");
}

#[test]
fn memory_ends() {
    // A slow machine takes long to fill it.
    let long = Duration::from_secs(8);
    let limits = Limits { wall_time: long, cpu_time: long, ..tight() };
    let memory = |body: &str| check_stopped_by(&limits, body, "MiB of memory");
    memory("const a = []; for (;;) a.push(new Array(1000).fill(1))");
    memory(
        "const all = []; for (let s = 'x'; ; s = s.slice(1) + s + 'yy') all.push(s.toUpperCase())",
    );
    memory("return new Uint8Array(1 << 30)");
    memory("return 'x'.repeat(1 << 29)");
    memory("const a = new Array(8000000).fill({}); return a.length");
    memory("const m = new Map(); for (let i = 0; ; i++) m.set(i, 'x'.repeat(100) + i)");
    memory(
        "const f = (): any => [f, new Array(10000)]; const all: any[] = []; for (;;) all.push(f())",
    );
    memory("return JSON.stringify(new Array(30000000))");
    // Where there is not even memory for an error.
    memory("let l: any = null; for (;;) l = { l }");
    // Out of memory may be caught; the rest of the run has what is free.
    check("try { new Uint8Array(1 << 30) } catch (e) { return 'caught' }", "caught");
}

#[test]
fn a_chain_of_promises_without_end_ends() {
    let source = "export async function handler(c: any, e: any) { if (e.input) return 'good'; const f = (): any => Promise.resolve().then(f); await f() }";
    let mut worker = Worker::new(&script(source), tight());
    let (run, _) = run_with(&mut worker, &text(""));
    // Where the memory ends the engine may lose the promise.
    let kind = run.result.expect_err("it has no end").kind;
    assert!(matches!(kind, RunErrorKind::Limit(_) | RunErrorKind::NeverSettled), "{kind:?}");
    let (run, _) = run_with(&mut worker, &text("x"));
    assert_eq!(run.result, Ok(Output::Text("good".to_owned())));
}

#[test]
fn native_loops_are_kept_short() {
    let many = |call: &str| {
        check_refused(&format!("const all = {{ length: 2 ** 53 - 1 }}; {call}"), "RangeError");
        check_refused(
            &format!("const all: any = []; all.length = 2 ** 32 - 1; {call}"),
            "RangeError",
        );
        // It says something else when it is asked again.
        check_refused(
            &format!(
                "let asked = 0; const all = {{ get length() {{ return asked++ ? 2 ** 53 - 1 : 1 }} }}; {call}"
            ),
            "RangeError",
        );
    };
    many("Array.prototype.join.call(all, '')");
    many("Array.prototype.reverse.call(all)");
    many("Array.prototype.slice.call(all, 5)");
    many("Array.prototype.splice.call(all, 1, 1)");
    many("Array.prototype.shift.call(all)");
    many("Array.prototype.unshift.call(all, 1)");
    many("Array.prototype.copyWithin.call(all, 1, 0)");
    many("Array.prototype.sort.call(all)");
    many("[].concat(Object.assign(all, { [Symbol.isConcatSpreadable]: true }) as any)");
    many("Array.prototype.flat.call(all)");
    let stopped = |call: &str| check_stopped_by(&short(), call, "");
    stopped("Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)");
    stopped("Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)");
    stopped("const a: any = []; a.length = 2 ** 32 - 1; a.lastIndexOf(1)");
    stopped("[new Array(2 ** 32 - 1)].flat()");
    stopped("String.raw({ raw: { length: 2 ** 53 - 1 } } as any)");
    check_refused("Array.from({ length: 2 ** 53 - 1 })", "RangeError");
    check_refused("'a'.repeat(5000000).indexOf('a'.repeat(2000000) + 'b')", "processor time");
    check_refused("'a'.repeat(5000000).split('a'.repeat(2000000) + 'b')", "processor time");
    check_refused(
        "'a'.repeat(5000000).replaceAll({ toString: () => 'a'.repeat(2000000) + 'b' } as any, '')",
        "processor time",
    );
    check_refused(
        "String.prototype.includes.call({ toString: () => 'a'.repeat(5000000) }, 'a'.repeat(2000000) + 'b')",
        "processor time",
    );
}

/// By the processor time of the thread, which others that run beside it do not add to.
#[test]
fn one_call_or_loop_does_not_overrun_the_processor_time_by_much() {
    let limits = Limits { cpu_time: Duration::from_millis(500), ..tight() };
    let stopped = |body: &str| {
        let source = format!("export async function handler() {{ {body} }}");
        let (run, _) = run_with(&mut Worker::new(&script(&source), limits.clone()), &text(""));
        let error = run.result.expect_err(body);
        assert_eq!(error.kind, RunErrorKind::Limit(Limit::CpuTime), "{body}: {}", error.message);
        assert!(run.cpu < Duration::from_millis(1_500), "{body}: {:?}", run.cpu);
    };
    let key = "const k = await crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-512' }, true, ['sign', 'verify']); const b = new Uint8Array(4 << 20);";
    stopped(&format!("{key} for (;;) await crypto.subtle.sign('HMAC', k, b)"));
    stopped(&format!("{key} for (;;) await crypto.subtle.verify('HMAC', k, b.slice(0, 64), b)"));
    stopped(&format!("{key} for (;;) await crypto.subtle.digest('SHA-512', b)"));
    stopped(&format!("{key} for (;;) new TextDecoder().decode(b)"));
    stopped("const s = 'a'.repeat(4e6); for (;;) new TextEncoder().encode(s)");
    stopped("const s = 'https://a.example/' + 'a'.repeat(1e6); for (;;) new URL(s)");
    let text =
        "const s = 'a'.repeat(4e6), part = 'a'.repeat(900) + 'b', short = 'a'.repeat(60) + 'b';";
    for call in [
        "s.indexOf(part)",
        "s.lastIndexOf('b' + part)",
        "s.includes(part)",
        "s.split(part)",
        "s.replace(part, '')",
        "s.replaceAll(part, '')",
    ] {
        stopped(&format!("{text} for (;;) {call}"));
        stopped(&format!("{text} for (;;) {}", call.replace("part", "short")));
    }
    stopped("let o: any = 1; for (let i = 0; i < 12; i++) o = [o, o]; for (;;) JSON.stringify(o)");
}

#[test]
fn a_long_search_finds_what_the_engines_own_does() {
    // Each text is so long that it is looked through piece by piece; `p` stands across the pieces.
    for (length, part) in [(5_000_000, 2), (5_000_000, 64), (200_000, 65), (100_000, 3_000)] {
        let body = format!(
            "const p = 'b' + 'a'.repeat({part} - 2) + 'c', filled = 'a'.repeat({length}), half = {length} / 2;
             const s = filled.slice(0, half) + p + filled.slice(half) + p + 'aa', n = s.length, second = half * 2 + p.length;
             const same = (one: any, other: any) => {{ if (JSON.stringify(one) !== JSON.stringify(other)) throw new Error(JSON.stringify([one, other]).slice(0, 200)) }};
             same([s.indexOf(p), s.indexOf(p, half), s.indexOf(p, half + 1), s.indexOf(p, -5), s.indexOf(p, n)], [half, half, second, half, -1]);
             same([s.lastIndexOf(p), s.lastIndexOf(p, second - 1), s.lastIndexOf(p, half), s.lastIndexOf(p, half - 1), s.lastIndexOf(p, -1)], [second, half, half, -1, -1]);
             same([s.includes(p), s.includes(p, second), s.includes(p, second + 1), s.includes(p + 'b')], [true, true, false, false]);
             same(s.split(p).map((it) => it.length), [half, half, 2]);
             same([s.split(p, 2).length, s.split(p, 0).length, s.split(p + 'x').length], [2, 0, 1]);
             const one = s.replace(p, '<$&|$$|$1>'), all = s.replaceAll(p, (it: string, at: number, of: string) => `<${{it === p}}${{at}}${{of === s}}>`);
             same(one.slice(half, half + p.length + 7), '<' + p + '|$|$1>');
             same([all.slice(half).startsWith(`<true${{half}}true>`), all.endsWith(`<true${{second}}true>aa`)], [true, true]);
             same([s.replace(p, '$`').length, s.replace(p, '$\\u0027').length], [n - p.length + half, n - p.length + n - half - p.length]);
             same(s.replace(p + 'x', '') === s, true);
             return 'same'"
        );
        let source = format!("export async function handler() {{ {body} }}");
        let limits = Limits {
            cpu_time: Duration::from_secs(60),
            wall_time: Duration::from_secs(60),
            ..Limits::default()
        };
        let (run, _) = run_with(&mut Worker::new(&script(&source), limits), &text(""));
        assert_eq!(run.result, Ok(Output::Text("same".to_owned())), "{length} {part}");
    }
}

#[test]
fn long_native_calls_are_watched() {
    let stopped = |body: &str| check_stopped_by(&short(), body, "processor time");
    stopped("const s = 'a'.repeat(4e6); for (;;) s.indexOf('b')");
    stopped("const s = 'a'.repeat(4e6); for (;;) try { s.indexOf('b') } catch {}");
    stopped("const s = '[' + '1,'.repeat(2e5) + '1]'; for (;;) JSON.parse(s)");
    stopped("const all = new Array(2e5).fill(1); for (;;) JSON.stringify(all)");
    stopped("const s = 'a'.repeat(2e6); for (;;) s.toUpperCase()");
    stopped("const s = '\u{e9}'.repeat(4e5); for (;;) s.normalize('NFD')");
    stopped("const all = new Array(5e5).fill(1); for (;;) all.indexOf(2)");
    stopped("const all = new Uint8Array(5e6); for (;;) all.sort()");
    stopped(
        "const all: any = {}; for (let i = 0; i < 5e4; i++) all['k' + i] = 1; for (;;) Object.keys(all)",
    );
    stopped("const s = '\u{e9}'.repeat(4e5); for (;;) encodeURIComponent(s)");
    stopped("const s = 'a?'.repeat(2e4); for (;;) new RegExp(s)");
}

#[test]
fn what_is_watched_does_what_it_did() {
    check(
        "return [new RegExp('b+') instanceof RegExp, RegExp('b').test('abc'), /b/.constructor === RegExp, /b/g.flags, new (class extends RegExp {})('x').test('x'), 'a1'.replace(new RegExp('\\\\d'), '')]",
        r#"[true,true,true,"g",true,"a"]"#,
    );
    check(
        "return [JSON.parse('[1]', (k, v) => v), JSON.stringify({ a: 1 }, null, 1).length, Object.keys({ a: 1 }), parseInt('12', 8), 'ä'.normalize('NFD').length, new Uint8Array([2, 1]).sort().join(), 'ab'.repeat(2), 'B'.toLowerCase(), JSON.parse.name, Object.keys.length]",
        r#"[[1],11,["a"],10,2,"1,2","abab","b","parse",1]"#,
    );
}

#[test]
fn what_is_kept_short_does_what_it_did() {
    check(
        "return [[1, [2, [3]]].flat().length, [1, [2, [3]]].flat(Infinity).join(), [, 1].flat().length]",
        "[3,\"1,2,3\",1]",
    );
    check(
        "return [[3, 20, 1].sort(), [3, undefined, 1].toSorted((a: any, b: any) => b - a), Array.from({ length: 2000 }, (_, i) => i).sort()[3]]",
        "[[1,20,3],[3,1,null],100]",
    );
    check(
        "return [[1, 2, 3].slice(1), [1, 2].concat([3], 4 as any), [1, 2, 3].splice(1, 1), [1, 2].reverse()]",
        "[[2,3],[1,2,3,4],[2],[2,1]]",
    );
    check(
        "return (function (...all: any[]) { return Array.prototype.slice.call(arguments, 1).join('') })(1, 2, 3)",
        "23",
    );
    check(
        "return ['a,b'.split(','), 'ab'.split(''), 'a1b2'.split(/\\d/), 'abc'.split(undefined as any), 'a,b,c'.split(',', 2)]",
        r#"[["a","b"],["a","b"],["a","b",""],["abc"],["a","b"]]"#,
    );
    check(
        "return ['aXbX'.replace('X', '-'), 'aXbX'.replaceAll('X', (it) => it + '!'), 'a1'.replace(/\\d/, '$&$&'), 'x'.replace('y', 'z')]",
        r#"["a-bX","aX!bX!","a11","x"]"#,
    );
    check(
        "return ['abca'.indexOf('a', 1), 'abca'.lastIndexOf('a'), 'abca'.lastIndexOf('a', 2), 'abc'.includes('c'), '1'.indexOf(1 as any)]",
        "[3,3,0,true,0]",
    );
    check(
        "return [[].concat.name, [].slice.length, ''.split.name, 'undefined'.indexOf(undefined as any)]",
        r#"["concat",2,"split",0]"#,
    );
}

#[test]
fn regular_expressions_end() {
    check_stopped_by(&short(), "return /^(a+)+$/.test('a'.repeat(40) + '!')", "processor time");
    check_stopped_by(&short(), "return /(x+x+)+y/.exec('x'.repeat(50))", "processor time");
    check_stopped_by(
        &short(),
        "return 'x'.repeat(200).replace(/(.*)*(.*)*(.*)*z/g, '')",
        "processor time",
    );
}

#[test]
fn asks_log_and_result_end() {
    check_stopped_by(
        &Limits { asks: 10, ..tight() },
        "for (let i = 0; i < 11; i++) await fetch('https://a.example')",
        "more than 10 times",
    );
    check_stopped_by(
        &Limits { asks: 10, ..tight() },
        "for (;;) try { await fetch('https://a.example') } catch {}",
        "more than 10 times",
    );
    check_stopped_by(
        &Limits { output: 1000, ..tight() },
        "return 'x'.repeat(1001)",
        "more than 1000 bytes",
    );
    let at_the_limit = script(
        "export const handler = async () => { for (let i = 0; i < 10; i++) await fetch('https://a.example'); return 'x'.repeat(1000) }",
    );
    let limits = Limits { asks: 10, output: 1000, ..tight() };
    let (run, _) = run_with(&mut Worker::new(&at_the_limit, limits), &text(""));
    assert!(run.result.is_ok());

    let source = "export const handler = () => { for (let i = 0; i < 1000; i++) console.log('x'.repeat(99)) }";
    let limits = Limits { log: 1_000, ..tight() };
    let (run, host) = run_with(&mut Worker::new(&script(source), limits), &text(""));
    assert_eq!(run.result, Ok(Output::Nothing));
    let log = &host.borrow().log;
    assert_eq!(log.len(), 11);
    assert!(log[10].text.contains("the log is cut here"), "{}", log[10].text);
}

#[test]
fn there_is_no_way_out() {
    let refused = check_refused;
    refused("new Function('return 1')()", "no eval and no Function constructor");
    refused("Function('return 1')()", "no eval and no Function constructor");
    refused("(() => {}).constructor('return 1')()", "no eval and no Function constructor");
    refused("(async () => {}).constructor('return 1')()", "no eval and no Function constructor");
    refused("(function* () {}).constructor('return 1')()", "no eval and no Function constructor");
    refused(
        "(async function* () {}).constructor('return 1')()",
        "no eval and no Function constructor",
    );
    refused(
        "Reflect.construct(Object.getPrototypeOf(Function).constructor, ['return 1'])",
        "no eval and no Function constructor",
    );
    refused(
        "Reflect.construct((() => {}).constructor, ['return 1'], Object)",
        "no eval and no Function constructor",
    );
    refused(
        "(class extends (Function as any) { constructor() { super('return 1') } } as any).prototype.constructor && new (class extends (Function as any) { constructor() { super('return 1') } } as any)()",
        "no eval and no Function constructor",
    );
    refused("eval('1')", "ReferenceError");
    refused("(0, eval)('1')", "ReferenceError");
    refused("setTimeout('1 + 1' as any)", "TypeError");
    refused("process.exit(1)", "ReferenceError");
    refused("require('fs')", "ReferenceError");
    refused("new SharedArrayBuffer(1)", "ReferenceError");
    refused("Atomics.wait(new Int32Array(1) as any, 0, 0)", "ReferenceError");
    refused("new WebAssembly.Module(new Uint8Array())", "ReferenceError");
    refused(
        "return String(typeof (globalThis as any).__pipehatHost) + typeof (globalThis as any).std + typeof (globalThis as any).os",
        "undefinedundefinedundefined",
    );
    for name in [
        "/etc/passwd",
        "../../etc/passwd",
        "file:///etc/passwd",
        "pipehat:host",
        "pipehat:entry.ts",
        "pipehat:boot",
        "std",
        "os",
        "data:text/javascript,1",
    ] {
        refused(&format!("const name = {name:?}; await import(name)"), "imported while it runs");
    }
}
