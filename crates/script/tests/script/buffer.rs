//! `Buffer`: what it gives is what Node.js gives, and only who names it has it.

use std::fmt::Write as _;

use crate::host::{check, run, text};
use crate::imports::check_files;

/// `buffer.tsv` was written by Node.js 20.
#[test]
fn it_gives_what_node_gives() {
    let cases: Vec<(&str, String)> = include_str!("buffer.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (expression, expected) = line.split_once('\t').expect("two columns");
            let expected = expected.replace('"', "\\\"");
            (expression, serde_json::from_str(&format!("\"{expected}\"")).expect("escapes"))
        })
        .collect();
    assert!(cases.len() > 100);
    let mut body = String::from(
        "const of = (f: any) => { try { return String(f()) } catch (e: any) { return `threw ${e.message}` } };\nreturn JSON.stringify([",
    );
    for (expression, _) in &cases {
        writeln!(body, "of(() => ({expression} as any)),").expect("a string takes it");
    }
    body.push_str("])");
    let source = format!("export async function handler() {{ {body} }}");
    let output = run(&source, &text("")).expect("it runs");
    let pipehat_script::Output::Text(output) = output else { panic!("a text") };
    let given: Vec<String> = serde_json::from_str(&output).expect("JSON");
    for ((expression, expected), given) in cases.iter().zip(&given) {
        assert_eq!(given, expected, "{expression}");
    }
    assert_eq!(given.len(), cases.len());
}

#[test]
fn it_is_imported_as_from_node() {
    for import in [
        "import { Buffer } from 'buffer'",
        "import { Buffer } from 'node:buffer'",
        "import buffer from 'node:buffer'; const { Buffer } = buffer",
        "import * as buffer from 'buffer/'; const Buffer = buffer.Buffer",
    ] {
        let source = format!(
            "{import}; export const handler = () => Buffer.from('aGk=', 'base64').toString() + (Buffer === globalThis.Buffer);"
        );
        check_files(&[("bot.ts", &source)], "hitrue");
    }
    let required = "const { Buffer: B } = require('buffer'); exports.handler = () => B.from('hi').toString('hex');";
    check_files(&[("bot.cjs", required)], "6869");
    // A package that is installed is what it was before.
    let own = "module.exports = { Buffer: { from: () => 'theirs' } };";
    let source =
        "import { Buffer as B } from 'buffer'; export const handler = () => String(B.from('x'));";
    check_files(
        &[
            ("bot.ts", source),
            ("node_modules/buffer/package.json", "{}"),
            ("node_modules/buffer/index.js", own),
        ],
        "theirs",
    );
}

#[test]
fn only_who_names_it_has_it() {
    check("return typeof (globalThis as any)['Buf' + 'fer']", "undefined");
    check(
        "return typeof new ArrayBuffer(1) + typeof (globalThis as any)['Buf' + 'fer']",
        "objectundefined",
    );
    check("return typeof Buffer", "function");
    check("return typeof (globalThis as any).Buffer", "function");
}

/// It stays from one message to the next as all does that no run may change.
#[test]
fn nobody_changes_it() {
    let thrown = |body: &str| {
        check(
            &format!("try {{ {body}; return 'changed' }} catch (e: any) {{ return e.name }}"),
            "TypeError",
        );
    };
    thrown("(Buffer as any).from = () => 1");
    thrown("(Buffer.prototype as any).toString = () => 1");
    thrown("(Buffer as any).leak = 1");
    check("return Buffer.from('abc').map((byte: number) => byte + 1).toString()", "bcd");
}

/// What takes bytes takes a part of a `Buffer`, and not the memory that it is a part of.
#[test]
fn the_web_takes_it() {
    check(
        "const part = Buffer.from('xabcx').subarray(1, 4);
         const digest = await crypto.subtle.digest('SHA-256', part);
         return Buffer.from(digest).toString('hex').slice(0, 8) + new TextDecoder().decode(part) + await new Response(part).text()",
        "ba7816bfabcabc",
    );
    check(
        "const decoder = new TextDecoder(); const part = Buffer.from([0xe2, 0x82, 0xac]);
         const first = decoder.decode(part.subarray(0, 2), { stream: true }); part.fill(0x41);
         return first + decoder.decode(new Uint8Array([0xac]))",
        "€",
    );
    check("return Buffer.from('hé')", "[104, 195, 169]");
}
