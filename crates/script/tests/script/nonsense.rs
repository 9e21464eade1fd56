//! Programs of no sense: whatever they are, they compile or do not, run or fail, and their worker goes on.

use std::collections::BTreeMap;

use pipehat_script::{Output, Script, Worker};
use proptest::prelude::*;

use crate::host::{run_with, text, tight};

/// Pieces of which many programs come about.
const PIECES: &[&str] = &[
    "a",
    "b",
    "this",
    "null",
    "1",
    "'x'",
    "`${a}`",
    "/x+/g",
    "=",
    "=>",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    ";",
    "+",
    "?.",
    "...",
    "await ",
    "async ",
    "function ",
    "class ",
    "new ",
    "let ",
    "const ",
    "return ",
    "throw ",
    "yield ",
    "static ",
    "enum ",
    "import ",
    "export ",
    "default ",
    "from ",
    "type ",
    "interface ",
    ": string",
    "<T>",
    "as any",
    "!",
    "@",
    "#a",
    "\n",
    "constructor",
    "prototype",
    "globalThis",
    "Object",
    "Map",
    "Promise",
    "Symbol.iterator",
    "handler",
    "super",
    "delete ",
    "\u{0}",
    "é",
    "\\u{1F600}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nonsense_harms_nobody(
        top in prop::collection::vec(prop::sample::select(PIECES), 0..12),
        body in prop::collection::vec(prop::sample::select(PIECES), 0..12),
    ) {
        let (top, body) = (top.concat(), body.concat());
        let source = format!(
            "{top}\nexport async function handler(client, event) {{ if (event.input === 'good') return 'good'; {body} }}"
        );
        for name in ["bot.ts", "bot.js"] {
            let files = BTreeMap::from([(name.to_owned(), source.clone())]);
            let Ok(script) = Script::load(&files, name) else { continue };
            let mut worker = Worker::new(&script, tight());
            let (first, _) = run_with(&mut worker, &text("bad"));
            let (again, _) = run_with(&mut worker, &text("bad"));
            prop_assert_eq!(&first.result, &again.result, "the second run sees the first: {}", source);
            let (good, _) = run_with(&mut worker, &text("good"));
            // Where not even the modules can be evaluated, that is said each time.
            prop_assert!(good.result == Ok(Output::Text("good".to_owned())) || good.result == first.result, "{}", source);
        }
    }
}
