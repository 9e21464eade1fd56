//! Nothing of one message is seen by the next.

use pipehat_script::{Limits, Output, Reuse, RunErrorKind, Script, Worker};

use crate::host::{project, run_with, script, text, tight};

/// Runs a script for `first` and then for `second`, and checks what the second sees; whether the first failed does not
/// matter.
fn check_second(source: &str, kept: bool, second: &str) {
    let script = script(source);
    assert_eq!(script.reuse() == Reuse::Kept, kept, "{source}\n{:?}", script.reuse());
    check_seen(source, second);
}

/// The same where it does not matter whether its modules are evaluated anew.
fn check_seen(source: &str, second: &str) {
    let script = script(source);
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
    check_second(
        &handler(
            "",
            "(self as any).leak = event.input",
            "typeof (self as any).leak + typeof (globalThis as any).leak",
        ),
        false,
        "undefinedundefined",
    );
    check_second(
        &handler(
            "",
            "(self as any) = { leak: event.input }",
            "self === globalThis && (self as any).leak",
        ),
        false,
        "undefined",
    );
    check_seen(
        &handler(
            "",
            "(self as any).JSON = 1; delete (self as any).fetch; (self as any).self = 2",
            "typeof JSON.parse + typeof fetch + typeof self",
        ),
        "functionfunctionobject",
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

/// A pattern is no property: freezing does not hold it (ECMA-262 Annex B.2.4.1).
#[test]
fn no_regular_expression_is_compiled_anew() {
    let kept = |top: &str, first: &str, returned: &str, expected: &str| {
        check_second(&handler(top, first, returned), true, expected);
    };
    let top = "const WHO = /nobody/; const NESTED = { list: [/nobody/], of: new Map([['a', /nobody/]]) };";
    let returned = "[WHO.source, WHO.test('first'), NESTED.list[0].source, NESTED.of.get('a')!.source, WHO.flags]";
    let expected = "nobody,false,nobody,nobody,";
    for first in [
        "WHO.compile(event.input)",
        "NESTED.list[0].compile(event.input)",
        "NESTED.of.get('a')!.compile(event.input, 'g')",
        "RegExp.prototype.compile.call(WHO, event.input)",
        "Reflect.apply(RegExp.prototype.compile, WHO, [event.input])",
        "RegExp.prototype.compile.bind(WHO)(new RegExp(event.input))",
        "(new RegExp('') as any)['com' + 'pile'].call(WHO, event.input)",
        "(class extends RegExp {}).prototype.compile.call(WHO, event.input)",
        "Object.getPrototypeOf(WHO).compile.call(WHO, event.input)",
        "(Reflect.construct(RegExp, ['x'], Object) as any).__proto__; /x/.constructor.prototype.compile.call(WHO, event.input)",
        "delete (RegExp.prototype as any).compile; (WHO as any).compile(event.input)",
    ] {
        kept(top, first, returned, expected);
    }
    kept(
        "",
        "",
        "(() => { try { return /x/.compile('y') } catch (error) { return error } })()",
        "TypeError: a regular expression cannot be compiled anew here: make another one with new RegExp(…)",
    );
    // Nor is anything left of what was found last, or of a place to go on from.
    kept(
        top,
        "/fir(st)/.exec(event.input); event.input.replace(/f(.)/, '')",
        "['$1', '$_', 'lastMatch', 'input', 'leftContext'].map((it) => (RegExp as any)[it])",
        ",,,,",
    );
    kept(
        top,
        "const it: any = WHO; it.lastIndex = 3; it[Symbol.match]('x'); it.exec = () => 1; it.flags = 'g'",
        "[WHO.lastIndex, 'nobody'.match(WHO), 'a nobody b'.split(WHO), 'nobody'.replace(WHO, 'x'), 'nobody'.search(WHO)]",
        "0,nobody,a , b,x,0",
    );
}

#[test]
fn the_regular_expression_of_an_imported_module_is_not_compiled_anew() {
    let files = project(&[
        (
            "bot.ts",
            "import { PATTERNS } from './patterns';\nexport function handler(c: any, e: any) {\n  const was = PATTERNS.who.source;\n  try { PATTERNS.who.compile(e.input) } catch {}\n  return was;\n}",
        ),
        ("patterns.ts", "export const PATTERNS = { who: /nobody/ };"),
    ]);
    let script = Script::load(&files, "bot.ts").expect("it compiles");
    assert_eq!(script.reuse(), Reuse::Kept);
    let mut worker = Worker::new(&script, tight());
    for _ in 0..3 {
        let (run, _) = run_with(&mut worker, &text("Patient"));
        assert_eq!(run.result, Ok(Output::Text("nobody".to_owned())));
    }
}

/// What of an object is no property, and so is not held by freezing it.
#[test]
fn what_objects_have_inside_does_not_change() {
    let kept = |top: &str, first: &str, returned: &str, expected: &str| {
        check_second(&handler(top, first, returned), true, expected);
    };
    let map = "const known = new Map([['a', 1]]);";
    for first in [
        "const it: any = known; it.getOrInsert('b', event.input)",
        "const it: any = known; it.getOrInsertComputed('b', () => event.input)",
        "const all: any = Map.prototype; for (const name of Object.getOwnPropertyNames(all)) try { all[name].call(known, 'b', event.input) } catch {}",
        "Map.prototype.forEach.call(known, (_: any, key: any, it: any) => it.delete(key))",
        "Reflect.construct(Map, [[['b', 2]]], function () {}); (known as any).size = 7",
    ] {
        check_seen(&handler(map, first, "[...known].join()"), "a,1");
    }
    let set = "const known = new Set(['a']);";
    for first in [
        "const all: any = Set.prototype; for (const name of Object.getOwnPropertyNames(all)) try { all[name].call(known, event.input) } catch {}",
        "const it: any = known; it.union(new Set(['b'])).add('c')",
    ] {
        check_seen(&handler(set, first, "[...known].join()"), "a");
    }
    let list = "const list = ['b', 'a'];";
    for first in [
        "const it: any = list; it.length = 0",
        "const all: any = Array.prototype; for (const name of Object.getOwnPropertyNames(all)) try { all[name].call(list, event.input) } catch {}",
        "const it = list; [it[0]] = ['c']",
        "Array.from.call(function () { return list } as any, ['c', 'd'])",
        "Array.of.call(function () { return list } as any, 'c')",
        "Reflect.set(list, 0, 'c'); Reflect.defineProperty(list, '0', { value: 'c' })",
        "class L extends Array { static get [Symbol.species]() { return function () { return list } as any } } ; new L(1, 2).map(() => 'c')",
        "Object.assign(list, ['c']); Object.setPrototypeOf(list, { 0: 'c' })",
    ] {
        check_seen(&handler(list, first, "list.join()"), "b,a");
    }
    // Prototypes have nothing inside.
    kept(
        "",
        "(Date.prototype as any).setTime(5)",
        "(() => { try { return (Date.prototype as any).getTime() } catch { return 'none' } })()",
        "none",
    );
    kept(
        "",
        "(Map.prototype as any).set('a', 1)",
        "(() => { try { return (Map.prototype as any).get('a') } catch { return 'none' } })()",
        "none",
    );
    // What belongs to a place in the text, and not to a run of it.
    kept(
        "const tag = (it: any, ..._: any[]) => it; const site = () => tag`a${1}b`;",
        "const it: any = site(); try { it.leak = 1 } catch {} try { it.raw.leak = 1 } catch {} try { it[0] = 'c' } catch {} it.raw[0] = 'c'",
        "(() => { const it: any = site(); return [it.leak, it.raw.leak, ...it, ...it.raw] })()",
        ",,a,b,a,b",
    );
    kept(
        "const encoder = new TextEncoder();",
        "const it: any = encoder; try { it.encoding = event.input } catch {} it.encode = () => event.input",
        "[encoder.encoding, encoder.encode('a')]",
        "utf-8,97",
    );
    // A private member of a class that the handler makes is of that class only.
    kept(
        "const top = {}; class Base { constructor(it: any) { return it } }",
        "class Mark extends Base { #it = event.input; static of(on: any) { return #it in on } } new Mark(top)",
        "(() => { class Mark extends Base { #it = 'x'; static of(on: any) { return #it in on } } return Mark.of(top) })()",
        "false",
    );
    let fresh = |top: &str, first: &str, returned: &str, expected: &str| {
        check_second(&handler(top, first, returned), false, expected);
    };
    fresh(
        "const known: any = new Map([])",
        "known.getOrInsert('a', event.input)",
        "known.size",
        "0",
    );
    fresh(
        "const waits = Promise.resolve(0)",
        "(waits as any).then(() => 1)",
        "(waits as any).leak",
        "undefined",
    );
    fresh(
        "const bytes = new ArrayBuffer(1, { maxByteLength: 9 } as any)",
        "(bytes as any).resize(5)",
        "bytes.byteLength",
        "1",
    );
    fresh(
        "const view = new DataView(new ArrayBuffer(1))",
        "view.setInt8(0, 5)",
        "view.getInt8(0)",
        "0",
    );
    fresh(
        "const url = new URL('http://a.example')",
        "url.hostname = event.input",
        "url.hostname",
        "a.example",
    );
    fresh(
        "const query = new URLSearchParams('a=1')",
        "query.append('b', event.input)",
        "query",
        "a=1",
    );
    fresh(
        "const headers = new Headers()",
        "headers.set('a', event.input)",
        "headers.get('a')",
        "null",
    );
    fresh(
        "const decoder = new TextDecoder()",
        "decoder.decode(new Uint8Array([0xe2]), { stream: true })",
        "decoder.decode(new Uint8Array([97]))",
        "a",
    );
    fresh(
        "const control = new AbortController()",
        "control.abort(event.input)",
        "control.signal.reason",
        "undefined",
    );
    fresh(
        "const target = new EventTarget()",
        "target.addEventListener('a', () => console.log(event.input))",
        "target.dispatchEvent(new Event('a'))",
        "true",
    );
    fresh("const each = [1, 2].values()", "each.next()", "each.next().value", "1");
    fresh("const each = 'ab'.matchAll(/./g)", "each.next()", "each.next().value", "a");
    fresh("const symbols: any = Object(Symbol())", "symbols.leak = 1", "symbols.leak", "undefined");
    fresh(
        "const rest: any = new DisposableStack()",
        "rest.defer(() => 1)",
        "rest.disposed",
        "false",
    );
    // The function of a private method is one for all messages, and no name leads to it.
    for (class, keeper) in [("", "new Keeper()"), ("static ", "Keeper")] {
        fresh(
            &format!(
                "class Keeper {{ {class}#it() {{}} {class}keep(on: any) {{ const it: any = this.#it; it.last = on }} {class}kept() {{ const it: any = (this.#it); return it.last }} }}"
            ),
            &format!("{keeper}.keep(event.input)"),
            &format!("{keeper}.kept()"),
            "undefined",
        );
    }
    kept(
        "class Sum { #of: number[] = []; #add(it: number) { this.#of.push(it); return this } all() { return this.#add(1)?.#add(2).#of } }",
        "new Sum().all()",
        "new Sum().all()",
        "1,2",
    );
    fresh("let last: any; [last] = ['none']", "[last] = [event.input]", "last", "none");
    fresh("let last = 'none'", "({ last } = { last: event.input })", "last", "none");
    fresh("var last = 'none'", "for (last of [event.input]);", "last", "none");
    for assigned in [
        "(last as any) = event.input",
        "last! = event.input",
        "(<any>last) = event.input",
        "(last satisfies any) = event.input",
        "[(last as any)] = [event.input]",
        "({ last: last as any } = { last: event.input })",
        "for ((last as any) of [event.input]);",
        "(last as any) += event.input",
        "(last as any)++",
        "(last as any) &&= event.input",
    ] {
        fresh("let last: any = 'none'", assigned, "last", "none");
    }
}

/// What an enumeration is declared by assigns to its name; what else does is found all the same.
#[test]
fn the_name_of_an_enumeration_keeps_nothing() {
    let script = Script::load(
        &project(&[(
            "bot.ts",
            "enum Kind { A = 'a' }\nexport const handler = (c: any, e: any) => { const was = String((Kind as any).A); try { (Kind as any) = { A: e.input } } catch {} return was }",
        )]),
        "bot.ts",
    );
    // It may be refused altogether.
    let Ok(script) = script else { return };
    let mut worker = Worker::new(&script, tight());
    for _ in 0..3 {
        let (run, _) = run_with(&mut worker, &text("Patient"));
        assert_eq!(run.result, Ok(Output::Text("a".to_owned())));
    }
}

/// All that a handler can make or get inherits from what is frozen, also where no name leads to it.
#[test]
fn every_prototype_is_frozen() {
    let source = "
        const seen = (it: any): string[] => {
            const open: string[] = [];
            for (let at = Object.getPrototypeOf(it); at !== null; at = Object.getPrototypeOf(at)) {
                if (!Object.isFrozen(at)) open.push(Object.prototype.toString.call(at));
                for (const key of Reflect.ownKeys(at)) {
                    const { value, get, set } = Object.getOwnPropertyDescriptor(at, key)!;
                    for (const part of [value, get, set]) {
                        if ((typeof part === 'function' || typeof part === 'object' && part !== null) && !Object.isFrozen(part)) open.push(String(key));
                    }
                }
            }
            return open;
        };
        export async function handler(client: any, event: any) {
            const I: any = Iterator;
            const of = (make: () => any): any => { try { return Object(make()) } catch (error) { return error } };
            const made: Record<string, () => any> = {
                array: () => [], arrayIterator: () => [].values(), stringIterator: () => 'a'[Symbol.iterator](),
                map: () => new Map(), mapIterator: () => new Map().entries(), setIterator: () => new Set().values(),
                matches: () => 'a'.matchAll(/a/g), match: () => /a/.exec('a'), regex: () => /a/,
                mapped: () => [1].values().map((it) => it), filtered: () => [1].values().filter(() => true),
                taken: () => [1].values().take(1), dropped: () => [1].values().drop(1), flat: () => [1].values().flatMap(() => []),
                wrapped: () => I.from({ next() { return { done: true } } }), concat: () => I.concat([1]), zip: () => I.zip([[1]]), keyed: () => I.zipKeyed({ a: [1] }),
                function: () => () => 1, async: () => async () => 1, bound: () => seen.bind(null),
                promise: () => Promise.resolve(), resolvers: () => (Promise as any).withResolvers().resolve,
                revocable: () => Proxy.revocable({}, {}).revoke, date: () => new Date(), error: () => new TypeError('x'),
                aggregate: () => new AggregateError([]), dom: () => new DOMException('x'), parsed: () => { JSON.parse('{') },
                suppressed: () => new (SuppressedError as any)(1, 2), raw: () => (JSON as any).rawJSON('1'),
                buffer: () => new ArrayBuffer(1), bytes: () => new Uint8Array(1), view: () => new DataView(new ArrayBuffer(1)),
                floats: () => new Float64Array(1), weak: () => new WeakMap(), weakSet: () => new WeakSet(),
                stack: () => new DisposableStack(), asyncStack: () => new AsyncDisposableStack(),
                bigint: () => 1n, symbol: () => Symbol(), number: () => 1, string: () => 'a', boolean: () => true,
                site: () => new Error('x').stack, arguments: () => (function () { return arguments })(),
                template: () => ((it: any) => it)`a`,
                event: () => event, client: () => client, secrets: () => event.secrets, headers: () => new Headers(), each: () => new Headers({ a: '1' }).entries(),
                request: () => new Request('https://a.example'), response: () => new Response('a'), signal: () => AbortSignal.abort(), never: () => AbortSignal.timeout(5),
                url: () => new URL('https://a.example/?a=1'), query: () => new URL('https://a.example/?a=1').searchParams, pairs: () => new URLSearchParams('a=1').entries(),
                encoder: () => new TextEncoder(), decoder: () => new TextDecoder(), cloned: () => structuredClone({ a: 1 }), crypto: () => crypto, subtle: () => crypto.subtle,
                target: () => new EventTarget(), happened: () => new Event('a'),
            };
            const open: string[] = [];
            const all: [string, any][] = Object.entries(made).map(([name, make]) => [name, of(make)]);
            all.push(['generator', Object.getPrototypeOf((function* () {})())], ['both', Object.getPrototypeOf((async function* () {})())]);
            all.push(['key', await crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, true, ['sign'])]);
            try { await client.readResource('Patient', 'x') } catch (error) { all.push(['asked', error]) }
            try { (null as any).x } catch (error) { all.push(['thrown', error]) }
            for (const [name, it] of all) for (const what of seen(it)) open.push(`${name}: ${what}`);
            return open.join() || 'none';
        }";
    let script = script(source);
    assert_eq!(script.reuse(), Reuse::Kept);
    let mut worker = Worker::new(&script, Limits::default());
    let (run, _) = run_with(&mut worker, &text("x"));
    assert_eq!(run.result, Ok(Output::Text("none".to_owned())));
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
