//! A handler's input, its result and its errors.

use pipehat_script::{Output, Reuse, RunErrorKind, Worker};

use crate::host::{check, run, run_with, script, text, tight};

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
fn one_worker_runs_again_and_again() {
    let script = script("export const handler = (c: any, event: any) => event.input.length");
    let mut worker = Worker::new(&script, tight());
    for length in 0..100 {
        let (run, _) = run_with(&mut worker, &text(&"x".repeat(length)));
        assert_eq!(run.result, Ok(Output::Json(length.to_string())));
    }
}

#[test]
fn what_fails_while_nothing_waits_for_it_is_logged() {
    let source = "export async function handler() {
        fetch('https://refused.example');
        const later = fetch('https://refused.example/2').catch(() => {});
        Promise.reject('as text');
        const caught = Promise.reject(new Error('caught later'));
        await null;
        await caught.catch(() => {});
        await later;
    }";
    let (run, host) = run_with(&mut Worker::new(&script(source), tight()), &text(""));
    assert_eq!(run.result, Ok(Output::Nothing));
    let lines: Vec<_> = host.borrow().log.iter().map(|line| line.text.clone()).collect();
    let start = "a promise that nothing waited for was rejected: ";
    assert_eq!(lines, ["as text", "the host is not granted"].map(|why| format!("{start}{why}")));
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
