//! A handler's input, its result and its errors.

use pipehat_script::{Ask, Input, Limit, Limits, Output, Reuse, RunErrorKind, Worker};

use crate::host::{check, event, run, run_with, script, script_of, text, tight};

#[test]
fn returns_what_the_handler_returns() {
    check("return event.input + '!'", "input!");
    check("return { a: [1, null, event.contentType] }", r#"{"a":[1,null,"text/plain"]}"#);
    check("return undefined", "nothing");
    check("return null", "nothing");
    check("return new Uint8Array([1, 2, 255])", "[1, 2, 255]");
    check("return event.secrets.KEY.valueString", "s3cret");
}

#[test]
fn strips_types_and_keeps_enums() {
    let source = "
        interface Named { name: string }
        enum Kind { A = 'a', B = 'b' }
        type Both<T> = T & Named;
        const greet = <T extends Named>(it: Both<T>): string => `${it.name satisfies string}:${Kind.B}`;
        export default (_client: unknown, event: { input: string }) => greet({ name: event.input as string }!);
    ";
    assert_eq!(script(source).reuse(), Reuse::Kept);
    assert_eq!(run(source, &text("x")), Ok(Output::Text("x:b".to_owned())));
}

#[test]
fn errors_have_the_lines_of_the_typescript() {
    let source = "interface Long {\n  a: string;\n}\n\nfunction inner(it: Long): never {\n  throw new TypeError('no: ' + it.a);\n}\n\nexport async function handler() {\n  const it: Long = { a: 'x' };\n  inner(it);\n}\n";
    let error = run(source, &text("")).expect_err("it throws");
    assert_eq!(error.kind, RunErrorKind::Thrown);
    assert_eq!(error.message, "TypeError: no: x");
    assert_eq!(error.stack, ["inner (bot.ts:6:32)", "handler (bot.ts:11:9)"]);
}

#[test]
fn stacks_that_a_bot_tells_itself_have_the_lines_of_the_typescript() {
    let deep = "interface Long {\n  a: string;\n}\n\nexport function inner(it: Long): never {\n  throw new TypeError('no: ' + it.a);\n}\n";
    let bot = "import { inner } from './lib/deep';\ninterface Event {\n  input: string;\n}\n\nexport async function handler(_: unknown, event: Event) {\n  try {\n    inner({ a: event.input });\n  } catch (e: any) {\n    console.error(e);\n    console.log(e.stack);\n    console.warn({ e });\n    const { stack } = e;\n    const told = e.stack;\n    e.stack = told;\n    return [stack === e.stack, told].join('\\n');\n  }\n}\n";
    let head = "TypeError: no: x";
    let frames = "    at inner (bots/lib/deep.ts:6:32)\n    at handler (bots/a.ts:8:16)";
    // Whether or not the modules are kept.
    for more in ["", "let count = 0;\n", "let count = 0;\nglobalThis.it = 1;\n"] {
        let bot = format!("{bot}{more}export const more = () => {{ count += 1 }};");
        let bot = if more.is_empty() { bot.replace("count += 1", "return 1") } else { bot };
        let script = script_of(&[("bots/a.ts", &bot), ("bots/lib/deep.ts", deep)]);
        let mut worker = Worker::new(&script, tight());
        for _ in 0..2 {
            let (run, host) = run_with(&mut worker, &text("x"));
            let Ok(Output::Text(told)) = run.result else { panic!("{:?}", run.result) };
            assert!(told.starts_with(&format!("true\n{head}\n{frames}\n")), "{told}");
            assert!(!told.contains('#'), "{told}");
            let host = host.borrow();
            let lines: Vec<_> = host.log.iter().map(|line| line.text.as_str()).collect();
            for line in lines.iter().take(3) {
                assert_eq!(line.matches(&format!("{head}\n{frames}")).count(), 1, "{line}");
                assert_eq!(line.matches("no: x").count(), 1, "{line}");
            }
        }
    }
    // What the engine's own objects hold is told so where it is logged.
    let source = "interface A {\n  a: string;\n}\n\nexport function handler() {\n  console.log(new DOMException('a', 'b').stack);\n}\n";
    let (_, host) = run_with(&mut Worker::new(&script(source), tight()), &text(""));
    let line = host.borrow().log[0].text.clone();
    assert!(line.contains("at handler (bot.ts:6:"), "{line}");
}

/// As Node.js has it: bots that log or send `stack` alone tell the reason with it.
#[test]
fn a_stack_begins_with_what_the_error_says() {
    #[track_caller]
    fn check(made: &str, expected: &str) {
        let source = format!(
            "class Own extends Error {{ constructor(m: string) {{ super(m); this.name = 'Own' }} }}\n\
             export function handler() {{\n  const error: any = {made};\n  return error.stack.split('    at ')[0];\n}}"
        );
        let said = run(&source, &text(""));
        assert_eq!(
            said.map_err(|error| error.message),
            Ok(Output::Text(expected.to_owned())),
            "{made}"
        );
    }
    check("new TypeError('the message')", "TypeError: the message\n");
    check("new Error()", "Error\n");
    check("new Own('two\\nlines')", "Own: two\nlines\n");
    check("Object.assign(new Error('a'), { name: '' })", "a\n");
    check("Object.defineProperty(new Error('a'), 'message', { get() { throw 1 } })", "Error\n");
    check(
        "(() => { try { null!.a } catch (e) { return e } })()",
        "TypeError: cannot read property 'a' of null\n",
    );
    check("new AggregateError([], 'all')", "AggregateError: all\n");
    // What a bot puts there is what it was.
    check("Object.assign(new Error('a'), { stack: 'b' })", "b");
    check("Object.assign(new Error('a'), { stack: '' })", "");
    // A message may look like a stack.
    let source =
        "export function handler() {\n  throw new Error('sent\\n    at other (bot.ts:9:9)');\n}";
    let error = run(source, &text("")).expect_err("it throws");
    assert_eq!(error.message, "sent\n    at other (bot.ts:9:9)");
    assert_eq!(error.stack, ["handler (bot.ts:2:13)"]);
}

#[test]
fn an_error_thrown_on_has_its_lines_once() {
    let source = "interface A {\n  a: string;\n}\n\nexport async function handler() {\n  try {\n    null!.a;\n  } catch (e: any) {\n    console.log(e.stack);\n    throw e;\n  }\n}\n";
    let error = run(source, &text("")).expect_err("it throws");
    assert_eq!(error.stack, ["handler (bot.ts:7:5)"]);
}

#[test]
fn one_worker_runs_again_and_again() {
    let script = script("export const handler = (c: any, event: any) => event.input.length");
    let mut worker = Worker::new(&script, tight());
    for length in 0..100 {
        let (run, _) = run_with(&mut worker, &text(&"x".repeat(length)));
        assert_eq!(run.result, Ok(Output::Json(length.to_string())));
    }
}

#[test]
fn what_was_asked_is_done_before_the_run_ends() {
    let source = "import { send, state } from 'pipehat';
        export async function handler(client: any) {
            send('a', 'one');
            state.set('k', 'v');
            state.add('n', 2);
            client.createResource({ resourceType: 'Basic', code: { text: 'b' } });
            (async () => {
                const answer = await fetch('https://late.example/300', { method: 'POST', body: 'x' });
                setTimeout(() => send('never', 'x'), 1000);
                await send('a', await answer.text());
            })();
            return 'on';
        }";
    let (run, host) = run_with(&mut Worker::new(&script(source), tight()), &text(""));
    assert_eq!(run.result, Ok(Output::Text("on".to_owned())));
    let host = host.borrow();
    let sent = host.asked.iter().filter_map(|ask| match ask {
        Ask::Send { destination, body, .. } => Some((destination.as_str(), body.as_slice())),
        _ => None,
    });
    assert_eq!(sent.collect::<Vec<_>>(), [("a", &b"one"[..]), ("a", b"x")]);
    assert_eq!(host.state.get("k").map(String::as_str), Some("\"v\""));
    assert_eq!(host.state.get("n").map(String::as_str), Some("2"));
    let posted = |ask: &Ask| matches!(ask, Ask::Datastore { method, .. } if method == "POST");
    assert!(host.asked.iter().any(posted), "{:?}", host.asked);
    assert!(host.log.is_empty());
}

/// Checks what a handler comes to that does not wait for what is rejected.
#[track_caller]
fn check_unhandled(body: &str, kind: RunErrorKind, message: &str) {
    let source = format!("export async function handler() {{\n{body}\nreturn 'on' }}");
    let (run, _) = run_with(&mut Worker::new(&script(&source), tight()), &text(""));
    let error = run.result.expect_err("nothing handles it");
    assert_eq!((error.kind, error.message.as_str()), (kind, message));
    if kind != RunErrorKind::Limit(Limit::WallTime) {
        assert!(error.stack.iter().any(|line| line.contains("bot.ts:2:")), "{:?}", error.stack);
    }
}

#[test]
fn a_rejection_that_nothing_handles_fails_the_run() {
    let refused = RunErrorKind::Refused;
    check_unhandled("fetch('https://refused.example');", refused, "the host is not granted");
    check_unhandled("Promise.reject(new Error('no'));", RunErrorKind::Thrown, "no");
    let late =
        "(async () => { await fetch('https://late.example/50'); throw new Error('late') })();";
    check_unhandled(late, RunErrorKind::Thrown, "late");
    let limit = RunErrorKind::Limit(Limit::WallTime);
    check_unhandled("fetch('https://hangs.example');", limit, "it took longer than 20 s");
}

#[test]
fn each_of_several_refusals_is_one() {
    let both = "await Promise.all([fetch('https://refused.example'), fetch('https://refused.example/more')]);";
    check_unhandled(both, RunErrorKind::Refused, "the host is not granted");
    let other = "await Promise.all([fetch('https://refused.example/other'), fetch('https://refused.example')]);";
    check_unhandled(other, RunErrorKind::Refused, "the other host is not granted");
}

#[test]
fn what_fails_while_nothing_waits_for_it_in_a_run_that_fails_is_logged() {
    let source = "export async function handler() {
        fetch('https://refused.example');
        const later = fetch('https://refused.example/2').catch(() => {});
        Promise.reject('as text');
        const caught = Promise.reject(new Error('caught later'));
        await null;
        await caught.catch(() => {});
        await later;
        throw new Error('its own');
    }";
    let (run, host) = run_with(&mut Worker::new(&script(source), tight()), &text(""));
    assert_eq!(run.result.map_err(|error| error.message), Err("its own".to_owned()));
    let lines: Vec<_> = host.borrow().log.iter().map(|line| line.text.clone()).collect();
    // Whoever reads it looks for the line that asked.
    let start = "a promise that nothing waited for was rejected";
    let told = [": as text", " at bot.ts:2:9: the host is not granted"];
    assert_eq!(lines, told.map(|why| format!("{start}{why}")));
}

#[test]
fn typescript_that_is_more_than_types() {
    let source = "
        namespace Units { export const grams = 'g'; export namespace Deep { export const x = grams + '!' } }
        const enum Level { Low = 1, High = Low + 1 }
        abstract class Named { constructor(protected readonly name: string, public more?: number) {} abstract shown(): string }
        class Person extends Named { declare unused: string; override shown(this: Person) { return this.name + this.more } }
        function over(a: string): string; function over(a: number): string; function over(a: any) { return typeof a }
        let it!: string;
        export async function handler(client: any, event: { input: string }): Promise<string> {
            using_: for (const x of [1]) { break using_ }
            return [Units.Deep.x, Level.High, new Person('p', 2).shown(), over(1), <any>it, event!.input satisfies string].join()
        }";
    assert_eq!(run(source, &text("x")), Ok(Output::Text("g!,2,p2,number,,x".to_owned())));
}

/// Checks what an error of the third line of a handler says.
#[track_caller]
fn check_thrown(body: &str, message: &str) {
    let source = format!(
        "interface A {{\n  a: string }}\nexport async function handler(client: any, event: any) {{ await 1; {body} }}"
    );
    let error = run(&source, &text("")).expect_err(body);
    assert_eq!(error.message, message, "{body}");
    assert!(error.stack.iter().any(|line| line.contains("bot.ts:3:")), "{:?}", error.stack);
}

#[test]
fn an_error_of_what_was_asked_has_the_line_that_asked() {
    let (absent, refused) = ("https://absent.example/", "https://refused.example/");
    let answered = "GET to absent.example was answered with 404";
    let host = "the host is not granted";
    let http =
        |url: &str| format!("const {{ http }} = await import('pipehat'); await http.get('{url}')");
    check_thrown(&http(absent), answered);
    check_thrown(&http(refused), host);
    check_thrown(&format!("await fetch('{refused}')"), host);
    check_thrown("await fetch('no address')", "TypeError: it is not a URL");
    check_thrown(
        &format!("await client.download('{absent}')"),
        "the answer is 404, without an OperationOutcome",
    );
}

#[test]
fn what_is_called_and_is_no_function_is_named() {
    let named = |body: &str, name: &str| {
        check_thrown(body, &format!("TypeError: {name} is not a function"));
    };
    named("client.requestSchema('Patient')", "client.requestSchema");
    named("const it: A & any = { y: {} }; return it.y.foo(1)", "it.y.foo");
    named("const { nope } = client; nope()", "nope");
    named("client.nope?.a; client.keyValue.nope()", "client.keyValue.nope");
    // Not what stands beside it.
    check_thrown("return [1].map(event.nope)", "TypeError: not a function");
    check_thrown("return [1].map(String(event.nope) as any)", "TypeError: not a function");
}

#[test]
fn what_a_sandbox_has_not_is_said_with_what_to_do() {
    let said = |body: &str, words: &str| {
        let source = format!("export async function handler() {{ {body} }}");
        let error = run(&source, &text("")).expect_err(body);
        assert!(error.message.contains(words), "{body}: {}", error.message);
        assert!(!error.stack.is_empty(), "{body}");
    };
    said("return process.env.KEY", "`secret(name)`");
    said("return new Intl.NumberFormat('de-DE')", "no locales");
    check("return typeof process + typeof require", "undefinedundefined");
}

#[test]
fn texts_by_a_locale_that_is_not_carried_are_refused() {
    check("return new Date(0).toLocaleString()", "1/1/1970, 12:00:00 AM");
    check("return new Date(0).toLocaleDateString('en-US', { timeZone: 'UTC' })", "1/1/1970");
    check("return new Date(0).toLocaleTimeString(['en-US'])", "12:00:00 AM");
    let numbers = "[0, -0.5, 1234.5, 1234567.0006, 999999.9999, 1e20, NaN].map((it) => it.toLocaleString('en-US')).join(' ')";
    check(
        &format!("return {numbers}"),
        "0 -0.5 1,234.5 1,234,567.001 1,000,000 100,000,000,000,000,000,000 NaN",
    );
    check("return (1234.5).toLocaleString(undefined, { minimumFractionDigits: 2 })", "1,234.50");
    check("return (2.345).toLocaleString('en-US', { maximumFractionDigits: 0 })", "2");
    check("return (-1234n).toLocaleString()", "-1,234");
    for body in [
        "new Date(0).toLocaleString('pl-PL')",
        "new Date(0).toLocaleDateString('de-DE')",
        "new Date(0).toLocaleTimeString('en-US', { timeZone: 'Europe/Lisbon' })",
        "new Date(0).toLocaleDateString('en-US', { month: 'long' })",
        "(1234.5).toLocaleString('de-DE')",
        "(1234.5).toLocaleString('en-US', { style: 'currency', currency: 'EUR' })",
        "1234n.toLocaleString('pl-PL')",
    ] {
        check(
            &format!(
                "try {{ return {body} }} catch (e: any) {{ return e.name + e.message.includes('not carried') }}"
            ),
            "RangeErrortrue",
        );
    }
}

/// Checks what is told of something that was thrown, and that its engine goes on.
fn check_odd(body: &str, message: &str) {
    let source = format!("export async function handler(c: any, event: any) {{ {body} }}");
    let error = run(&source, &text("")).expect_err(body);
    assert_eq!((error.kind, error.message.as_str()), (RunErrorKind::Thrown, message), "{body}");
}

#[test]
fn what_is_thrown_and_is_no_error_is_told() {
    check_odd("throw null", "it threw null");
    check_odd("await Promise.reject(null)", "it threw null");
    check_odd("Promise.reject(null)", "it threw null");
    check_odd("throw undefined", "it threw undefined");
    check_odd("throw ''", "it threw an empty text");
    check_odd("throw () => 1", "it threw a function");
    check_odd("throw Symbol()", "it threw a symbol");
    check_odd("throw 5", "5");
    check_odd("throw 'why'", "why");
    check_odd("throw new Error('')", "Error");
    // Which of the two it was the text does not show.
    let source = "export async function handler(c: any, e: any) { const it: any = null; throw it }";
    let error = run(source, &text("")).expect_err("it throws");
    assert!(error.message.ends_with("of memory, or threw null"), "{}", error.message);
}

#[test]
fn secrets_that_were_granted_are_masked_in_the_log_and_in_errors() {
    let log = |body: &str| {
        let source = format!("export async function handler(c: any, event: any) {{ {body} }}");
        let (run, host) =
            run_with(&mut Worker::new(&script(&source), Limits::default()), &text(""));
        let lines: Vec<_> = host.borrow().log.iter().map(|line| line.text.clone()).collect();
        (lines.join("|"), run.result.err().map(|error| error.message))
    };
    let all = "const key = event.secrets.KEY.valueString;";
    assert_eq!(log(&format!("{all} console.log('Bearer ' + key)")).0, "Bearer [secret KEY]");
    assert_eq!(log(&format!("{all} console.log({{ key }})")).0, "{ key: \"[secret KEY]\" }");
    let (lines, message) = log(&format!("{all} throw new Error(`no: ${{key}}.`)"));
    assert_eq!((lines.as_str(), message.as_deref()), ("", Some("no: [secret KEY].")));
}

#[test]
fn a_character_that_the_messages_set_has_not_is_told_without_it() {
    let message = "MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5.1\rPID|1||77\r";
    let hl7 = event(Input::Hl7(message.as_bytes().to_vec()));
    for body in [
        "event.input.getSegment('PID').setField(5, 'M\u{fc}ller'); return event.input",
        "return String(event.input) + 'NTE|1||\u{fc}\\r'",
    ] {
        let source = format!("export async function handler(c: any, event: any) {{ {body} }}");
        let error = run(&source, &hl7).expect_err(body);
        assert_eq!(error.kind, RunErrorKind::CharacterSet, "{}", error.message);
        assert!(error.message.contains("(MSH-18) has not"), "{}", error.message);
        assert!(!error.message.contains('\u{fc}'), "{}", error.message);
    }
}
