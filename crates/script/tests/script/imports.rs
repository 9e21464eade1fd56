//! What a script may import, and what it is told where it may not.

use std::fs;

use pipehat_script::{Input, Output, ProjectDirectory, Script, ScriptError, Worker};

use crate::host::{event, project, run_with, script_of, text, tight};

/// Checks what a script of these files returns; the first is run.
pub(crate) fn check_files(files: &[(&str, &str)], expected: &str) {
    let (run, _) = run_with(&mut Worker::new(&script_of(files), tight()), &text("in"));
    let shown = match run.result {
        Ok(Output::Text(text) | Output::Json(text)) => text,
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("{}: {:?}", error.message, error.stack),
    };
    assert_eq!(shown, expected, "{files:?}");
}

fn refused(files: &[(&str, &str)]) -> ScriptError {
    match Script::load(&project(files), files[0].0) {
        Ok(_) => panic!("{files:?} compiles"),
        Err(errors) => {
            assert_eq!(errors.iter().count(), 1, "{errors}");
            errors.iter().next().expect("one").clone()
        }
    }
}

/// Checks how an error is shown.
fn check_refused(files: &[(&str, &str)], expected: &str) {
    assert_eq!(refused(files).to_string(), expected.trim_end(), "{files:?}");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let main = "import { a } from './gone';
import { b, c } from './lib';
import { d } from './broken';
import { Hl7Mesage, nothing } from '@medplum/core';
import fs from 'fs';
export const handler = () => [a, b, c, d, Hl7Mesage, nothing, fs];";
    let files =
        [("bot.ts", main), ("lib.ts", "export const b = 1;"), ("broken.ts", "export let = 1;")];
    let errors = Script::load(&project(&files), "bot.ts").map(|_| ()).expect_err("it is broken");
    let places: Vec<_> =
        errors.iter().map(|error| format!("{}:{}", error.file, error.line)).collect();
    assert_eq!(places, ["bot.ts:1", "bot.ts:5", "broken.ts:1", "bot.ts:2", "bot.ts:4"], "{errors}");
}

#[test]
fn files_of_the_project() {
    let main = "import { a } from './lib/a'; import { b } from './lib/b.js'; import c, { type T } from '../shared/index'; import d from './d'; import e from './e.json' with { type: 'json' };
        export const handler = () => [a, b, c, d, e.list[1], e.__proto__ === undefined].join();";
    check_files(
        &[
            ("bots/bot.ts", main),
            ("bots/lib/a.ts", "export { b as a } from './b'; export * from './types';"),
            ("bots/lib/b.ts", "export const b: string = 'b';"),
            ("bots/lib/types.ts", "export interface Only { a: string }"),
            ("shared/index.ts", "export type T = string; export default 'c' as T;"),
            ("bots/d/index.js", "export default 'd';"),
            ("bots/e.json", "{\"list\": [1, 2], \"__proto__\": null}"),
        ],
        "b,b,c,d,2,false",
    );
}

#[test]
fn modules_that_import_each_other() {
    check_files(
        &[
            (
                "a.ts",
                "import { b } from './b'; export const a = () => 'a'; export const handler = () => b();",
            ),
            ("b.ts", "import { a } from './a'; export const b = () => a() + 'b';"),
        ],
        "ab",
    );
}

#[test]
fn packages() {
    let package = |json: &'static str| ("node_modules/it/package.json", json);
    let bot = ("bots/bot.ts", "import { it } from 'it'; export const handler = () => it;");
    let esm = "export const it = 'esm';";
    check_files(
        &[
            bot,
            package(
                r#"{"exports": {".": {"node": "./no.js", "import": "./e.mjs", "require": "./c.cjs"}}}"#,
            ),
            ("node_modules/it/e.mjs", esm),
        ],
        "esm",
    );
    check_files(
        &[
            bot,
            package(r#"{"exports": {"import": {"types": "./e.d.ts", "default": "./e.mjs"}}}"#),
            ("node_modules/it/e.mjs", esm),
        ],
        "esm",
    );
    check_files(
        &[
            bot,
            package(r#"{"type": "module", "main": "lib"}"#),
            ("node_modules/it/lib/index.js", esm),
        ],
        "esm",
    );
    check_files(
        &[bot, package(r#"{"main": "c.js", "module": "e.js"}"#), ("node_modules/it/e.js", esm)],
        "esm",
    );
    check_files(
        &[bot, package(r#"{"main": "./c"}"#), ("node_modules/it/c.js", "exports.it = 'cjs'")],
        "cjs",
    );
    check_files(
        &[
            bot,
            package("{}"),
            ("node_modules/it/index.js", "module.exports = { it: typeof exports + require.name }"),
        ],
        "object__require",
    );
    // The nearest wins, and what is above is found.
    check_files(
        &[
            bot,
            ("bots/node_modules/it/package.json", "{}"),
            ("bots/node_modules/it/index.mjs", esm),
            package("{}"),
        ],
        "esm",
    );
    check_files(
        &[
            (
                "bot.ts",
                "import a from '@s/it/sub/a.js'; import b from '@s/it/deep/x/y.js'; export const handler = () => a + b;",
            ),
            (
                "node_modules/@s/it/package.json",
                r#"{"type": "module", "exports": {"./sub/*": "./dist/*", "./deep/*.js": "./deep/*.mjs"}}"#,
            ),
            ("node_modules/@s/it/dist/a.js", "export default 'a';"),
            ("node_modules/@s/it/deep/x/y.mjs", "export default 'b';"),
        ],
        "ab",
    );
}

#[test]
fn packages_in_commonjs() {
    check_files(
        &[
            (
                "bot.ts",
                "import whole, { add, named, later } from 'calc'; export const handler = () => [add(1, 2), named, typeof whole.add, later, whole.inner.deep].join();",
            ),
            ("node_modules/calc/package.json", r#"{"main": "index.js"}"#),
            (
                "node_modules/calc/index.js",
                "'use strict';\nObject.defineProperty(exports, '__esModule', { value: true });\nvar inner = require('./inner'); var data = require('./data.json');\nexports.add = function (a, b) { return a + b + data.more };\nexports['named'] = 'n'; exports.inner = inner; Object.defineProperty(exports, 'later', { enumerable: true, get: function () { return inner.deep } });\nif (false) require('missing' + 1);",
            ),
            (
                "node_modules/calc/inner/index.js",
                "module.exports = { deep: 'd', self: this === module.exports };",
            ),
            ("node_modules/calc/data.json", r#"{"more": 10}"#),
        ],
        "13,n,function,d,d",
    );
    let files = [
        ("bot.ts", "import f from 'thrower'; export const handler = () => f();"),
        (
            "node_modules/thrower/index.js",
            "var x = 1;\nmodule.exports = function broken() {\n  throw new Error('here');\n};",
        ),
        ("node_modules/thrower/package.json", "{}"),
    ];
    check_files(
        &files,
        "here: [\"broken (node_modules/thrower/index.js:3:13)\", \"handler (bot.ts:1:55)\"]",
    );
}

#[test]
fn a_require_that_is_not_reached_is_not_missed() {
    #[track_caller]
    fn check(package: &str, expected: &str) {
        let bot = "import it from 'it'; export const handler = () => it();";
        let files = [
            ("bot.ts", bot),
            ("node_modules/it/package.json", "{}"),
            ("node_modules/it/index.js", package),
        ];
        check_files(&files, expected);
    }
    // As papaparse has it.
    check(
        "(function (root, factory) { module.exports = factory(); })(this, function () {\n\
         function stream() { return require('stream').Duplex; }\n\
         return () => typeof stream;\n});",
        "function",
    );
    let said = "`stream/web` is a module of Node.js: a bot runs in a sandbox with the web's own functions: fetch, crypto, URL, TextEncoder …";
    let reached = "module.exports = function reached() {\n  return require('stream/web');\n};";
    let places = "[\"reached (node_modules/it/index.js:2:10)\", \"handler (bot.ts:1:51)\"]";
    check(reached, &format!("{said}: {places}"));
    check(
        "let fs; try { fs = require('node:fs'); } catch (e) { fs = e; }\nmodule.exports = () => fs.code + ': ' + fs.message.slice(0, 40);",
        "MODULE_NOT_FOUND: `node:fs` is a module of Node.js: a bot ",
    );
    // One that may be there or not.
    check(
        "let more = 'without'; try { more = require('more'); } catch {}\nmodule.exports = () => more;",
        "without",
    );
    // What a package of that name exports goes before.
    check_files(
        &[
            ("bot.ts", "import it from 'it'; export const handler = () => it();"),
            ("node_modules/it/package.json", "{}"),
            ("node_modules/it/index.js", "module.exports = () => require('events').on;"),
            ("node_modules/events/package.json", "{}"),
            ("node_modules/events/index.js", "exports.on = 'on';"),
        ],
        "on",
    );
}

#[test]
fn a_require_that_is_reached_is_told_when_it_is_loaded() {
    let message = |package: &str| {
        let bot = "import it from 'it'; export const handler = () => it;";
        let error = refused(&[
            ("bot.ts", bot),
            ("node_modules/it/package.json", "{}"),
            ("node_modules/it/index.js", package),
        ]);
        format!("{}:{}: {}", error.line, error.column, error.message)
    };
    let node = |place: &str| format!("{place}: `fs` is a module of Node.js");
    assert_eq!(message("const fs = require('fs');\nexports.a = fs;"), node("1:20"));
    assert_eq!(message("exports.a = () => require('fs');\nrequire('fs');"), node("2:9"));
    assert_eq!(message("(function () { exports.a = require('fs'); })();"), node("1:36"));
    assert_eq!(message("(() => { exports.a = require('fs'); }).call(this);"), node("1:30"));
    assert_eq!(message("try { exports.a = 1; } finally { require('fs'); }"), node("1:42"));
    assert_eq!(message("exports.a = () => require('more');"), "1:27: `more` is not installed");
    assert_eq!(
        message("try { exports.a = require('./more'); } catch {}"),
        "1:27: `./more` is not there: no file node_modules/it/more"
    );
}

/// As lodash-es does, and what TypeScript and bundlers write.
#[test]
fn packages_find_the_global_object() {
    let package = ("node_modules/it/package.json", r#"{"type": "module", "main": "it.js"}"#);
    let bot = "import root from 'it'; export const handler = () => root === globalThis && typeof root.Array;";
    for root in [
        "var own = typeof self == 'object' && self && self.Object === Object && self;\nexport default own || Function('return this')();",
        "export default typeof window !== 'undefined' ? window : typeof global !== 'undefined' ? global : self;",
    ] {
        check_files(&[("bot.ts", bot), package, ("node_modules/it/it.js", root)], "function");
    }
    // It is no worker that could be written to.
    let worker = "import it from 'it'; export const handler = () => it;";
    let is_worker = "export default [typeof WorkerGlobalScope, typeof self.postMessage, typeof self.importScripts, typeof self.document, Object.keys(self).length].join();";
    let files = [("bot.ts", worker), package, ("node_modules/it/it.js", is_worker)];
    check_files(&files, "undefined,undefined,undefined,undefined,0");
}

#[test]
fn a_syntax_error_says_what_was_found_and_where() {
    #[track_caller]
    fn check(body: &str, expected: &str) {
        let source = format!("export function handler() {{\n{body}\n}}\n");
        let error = refused(&[("bot.ts", &source)]);
        let help = error.help.map(|help| format!(" ({help})")).unwrap_or_default();
        assert_eq!(format!("{}:{}: {}{help}", error.line, error.column, error.message), expected);
    }
    check("const x = ;", "2:11: Unexpected `;` behind `=` (a value is missing behind `=`)");
    check("const = 5;", "2:7: Unexpected `=` behind `const` (a name is missing behind `const`)");
    check("let a: = 5;", "2:8: Unexpected `=` behind `:`");
    check("f(1, ;", "2:6: Unexpected `;` behind `,`");
    check("}", "3:1: Unexpected `}` behind `}` (it may be one too many)");
    check("a = 1 + // plus\n;", "3:1: Unexpected `;`");
    check("return [1, 2;", "2:13: Expected `,` or `]` but found `;` (`[` stands at 2:8)");
    check("f( { return 12; }", "2:13: Expected `:` but found `12`");
    check("if (a) {", "3:2: Expected `}` but found the end of the file (`{` stands at 1:27)");
    check(
        "foo bar;",
        "2:4: Expected `;` or a new line but found `bar` (a word may be misspelt, or a comma, an operator or a bracket missing)",
    );
    check("return 'a", "2:8: Unterminated string");
}

#[test]
fn errors_say_where_and_what_to_do() {
    check_refused(
        &[("bots/bot.ts", "const a: string = 'x';\nexport const handler = ( => a;")],
        "bots/bot.ts:2:26: Unexpected `=>` behind `(`\n  export const handler = ( => a;\n                           ^",
    );
    check_refused(
        &[(
            "bot.ts",
            "\n  import { readFile } from \"fs/promises\";\nexport const handler = () => readFile;",
        )],
        "bot.ts:2:28: `fs/promises` is a module of Node.js\n    import { readFile } from \"fs/promises\";\n                             ^\n  help: a bot runs in a sandbox with the web's own functions: fetch, crypto, URL, TextEncoder …",
    );
    check_refused(
        &[("bots/bot.ts", "import a from '../../etc/passwd';\nexport const handler = () => a;")],
        "bots/bot.ts:1:15: `../../etc/passwd` is outside of the project\n  import a from '../../etc/passwd';\n                ^\n  help: a bot imports what is in its project, and packages in node_modules",
    );
    let message = |source: &str| {
        refused(&[
            ("bot.ts", source),
            ("data.json", "{"),
            ("node_modules/it/package.json", r#"{"exports": {"./a": "./../../x.js"}}"#),
        ])
        .message
    };
    assert_eq!(message("import 'node:net'"), "`node:net` is a module of Node.js");
    assert_eq!(message("import 'lodash'"), "`lodash` is not installed");
    assert_eq!(message("import './no'"), "`./no` is not there: no file no");
    assert_eq!(message("import 'it'"), "the package `it` has no `it`");
    assert_eq!(message("import 'it/a'"), "the package `it` has no `it/a`");
    assert_eq!(message("import 'it/b'"), "the package `it` has no `it/b`");
    assert_eq!(message("import 'pipehat:host'"), "`pipehat:host` cannot be imported");
    assert_eq!(message("import '/etc/passwd'"), "`/etc/passwd` cannot be imported");
    assert_eq!(
        message("import 'https://a.example/x.js'"),
        "`https://a.example/x.js` cannot be imported"
    );
    assert_eq!(message("await import('./no.js')"), "`./no.js` is not there: no file no.js");
    assert_eq!(message("export default <div/>"), "Expected `>` but found `/`");
    assert_eq!(message("@d class A {}"), "decorators are not supported");
    assert_eq!(message("let a; let a;"), "Identifier `a` has already been declared");
    assert!(message("import './data.json'").starts_with("not JSON: "));
    assert_eq!(refused(&[("a.js", "import './b'"), ("b.ts", "let = ;")]).file, "b.ts");
}

#[test]
fn what_the_engine_cannot_read_is_told_when_it_is_loaded() {
    check_refused(
        &[("bot.ts", "class A {\n  accessor n = 0;\n}\nexport const handler = () => new A().n;")],
        "bot.ts:2:3: `accessor` fields are not supported\n    accessor n = 0;\n    ^\n  \
         help: write a field (`n = 0`), or a private one with `get n()` and `set n(value)`",
    );
    // It is a type.
    let source = "abstract class A { abstract accessor n: number; }\n\
                  class B extends A { n = 1 }\nexport const handler = () => new B().n;";
    check_files(&[("bot.ts", source)], "1");
    // The compiler reads more than the engine; what is stripped of its types stands elsewhere.
    let source = "interface Long { a: number }\ntype Other = Long;\nexport function handler(): any {\n\
                  return import.defer('./b');\n}";
    let files = [("bots/bot.ts", source), ("bots/b.ts", "export const b = 1;")];
    let error = refused(&files);
    assert_eq!((error.file.as_str(), error.line), ("bots/bot.ts", 4), "{error}");
    assert_eq!(error.message, "the engine can't read this: meta expected");
    let excerpt = error.excerpt.as_deref().expect("one");
    assert_eq!(excerpt, "return import.defer('./b');");
    let source = "export const handler = () =>\n  /\\p{Nope}/u;";
    let error = refused(&[("bot.ts", source)]);
    assert_eq!((error.line, error.column), (2, 7), "{error}");
    // Modules are strict, also where Node.js has CommonJS that is not.
    let error = refused(&[
        ("bot.ts", "import it from 'it'; export const handler = () => it;"),
        ("node_modules/it/package.json", "{}"),
        ("node_modules/it/index.js", "var a = 1;\nwith ({ a: 2 }) module.exports = a;"),
    ]);
    assert_eq!((error.file.as_str(), error.line), ("node_modules/it/index.js", 2), "{error}");
    // Nothing is run, and what others export is looked at elsewhere.
    check_files(
        &[
            ("bot.ts", "import { a } from './a'; export const handler = () => a();"),
            ("a.ts", "import { b } from './b'; export const a = () => b; throw new Error('ran');"),
            ("b.ts", "export const b = 1;"),
        ],
        "ran: [\"a.ts:1:62\"]",
    );
}

#[test]
fn a_script_without_a_handler_says_so() {
    for (source, may_have) in [
        ("export const other = 1;", false),
        ("export function handlr() {}", false),
        ("export * from './b';", true),
        ("export { handler } from './b';", true),
        ("export default () => 1;", true),
        ("exports.handler = () => 1;", true),
    ] {
        let file = if source.starts_with("exports") { "a.cjs" } else { "a.ts" };
        let script = script_of(&[(file, source), ("b.ts", "export const handler = () => 1;")]);
        assert_eq!(script.may_have_handler(), may_have, "{source}");
    }
    let (run, _) = run_with(
        &mut Worker::new(&script_of(&[("bots/a.ts", "export const other = 1;")]), tight()),
        &text(""),
    );
    let error = run.result.expect_err("there is none");
    assert!(
        error.message.starts_with("bots/a.ts exports no function `handler`"),
        "{}",
        error.message
    );
}

#[test]
fn an_error_while_a_module_is_evaluated_is_the_runs() {
    let (run, _) = run_with(
        &mut Worker::new(
            &script_of(&[("a.ts", "\nnull.x;\nexport const handler = () => 1;")]),
            tight(),
        ),
        &text(""),
    );
    let error = run.result.expect_err("it throws");
    assert_eq!(
        (error.message.as_str(), error.stack.len()),
        ("TypeError: cannot read property 'x' of null", 1)
    );
    assert!(error.stack[0].contains("a.ts:2:"), "{:?}", error.stack);
}

#[test]
fn a_project_on_disk_ends_at_its_root() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("project");
    fs::create_dir_all(root.join("bots")).expect("made");
    fs::write(folder.path().join("secret.ts"), "export const secret = 1;").expect("written");
    fs::write(
        root.join("bots/bot.ts"),
        "import { secret } from './link'; export const handler = () => secret;",
    )
    .expect("written");
    let sources = ProjectDirectory::new(&root).expect("it is there");
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret.ts"), root.join("bots/link.ts"))
        .expect("linked");
    let error = Script::load(&sources, "bots/bot.ts").map(|_| ()).expect_err("it leads out");
    assert_eq!(
        error.iter().next().expect("one").message,
        "`./link` is not there: no file bots/link"
    );
    fs::remove_file(root.join("bots/link.ts")).expect("removed");
    fs::write(root.join("bots/link.ts"), "export const secret = 2;").expect("written");
    let script = Script::load(&sources, "bots/bot.ts").unwrap_or_else(|error| panic!("{error}"));
    let (run, _) = run_with(&mut Worker::new(&script, tight()), &event(Input::Text(String::new())));
    assert_eq!(run.result, Ok(Output::Json("2".to_owned())));
}

/// What compilers of TypeScript make of bots, as Medplum's command line deploys it.
#[test]
fn bots_in_commonjs() {
    #[track_caller]
    fn check(source: &str, expected: &str) {
        assert!(Script::is_commonjs(source), "{source}");
        check_files(&[("bot.cjs", source)], expected);
    }
    // tsc --module commonjs
    check(
        "\"use strict\";\n\
         Object.defineProperty(exports, \"__esModule\", { value: true });\n\
         exports.handler = handler;\n\
         const core_1 = require(\"@medplum/core\");\n\
         async function handler(medplum, event) {\n\
             return (0, core_1.getReferenceString)({ resourceType: \"Patient\", id: event.input });\n\
         }",
        "Patient/in",
    );
    // esbuild --format=cjs, and the same without the note that Node.js looks for.
    let bundled = "\"use strict\";\n\
         var __defProp = Object.defineProperty;\n\
         var __export = (target, all) => { for (var name in all) __defProp(target, name, { get: all[name], enumerable: true }); };\n\
         var __toCommonJS = (mod) => __defProp({ handler: mod.handler }, \"__esModule\", { value: true });\n\
         var bot_exports = {};\n\
         __export(bot_exports, { handler: () => handler });\n\
         module.exports = __toCommonJS(bot_exports);\n\
         var import_core = require(\"@medplum/core\");\n\
         async function handler(medplum, event) { return import_core.capitalize(event.input); }\n";
    check(&format!("{bundled}0 && (module.exports = {{ handler }});\n"), "In");
    check(bundled, "In");
    check("exports.handler = async function (medplum, event) { return event.input; };", "in");
    for source in [
        "export const handler = () => 1;",
        "import x from 'y'; exports.handler = x;",
        "function handler() {}",
        "export async function handler( {",
        "exports.handler = (a: string) => a;",
    ] {
        assert!(!Script::is_commonjs(source), "{source}");
    }
}
