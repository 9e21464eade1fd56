//! The modules `pipehat` and `@medplum/core`, through the real sandbox.

use pipehat_script::Script;

use crate::host::project;

/// Checks what is said of a script that can't be loaded.
#[track_caller]
fn check_refused(files: &[(&str, &str)], expected: &str) {
    match Script::load(&project(files), files[0].0) {
        Ok(_) => panic!("it loads"),
        Err(error) => assert_eq!(error.to_string().trim_end(), expected),
    }
}

#[test]
fn names_that_are_not_there_are_told_when_it_is_loaded() {
    check_refused(
        &[(
            "bot.ts",
            "import { Hl7Message, evalSqlOnFhir, hl7message } from '@medplum/core';\nexport const handler = () => [Hl7Message, evalSqlOnFhir, hl7message];",
        )],
        "",
    );
    check_refused(
        &[
            (
                "bot.ts",
                "import { one, two } from './lib';\nexport const handler = () => [one, two];",
            ),
            ("lib.ts", "export * from './more';\nexport const three = 3;"),
            ("more.ts", "export function one() {}\nexport default 1;"),
        ],
        "",
    );
}
