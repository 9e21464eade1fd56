//! `pipehat bot` and `pipehat types`: what they print, how they exit, what they write.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A bot as people write them for Medplum: it runs unchanged.
const BOT: &str = include_str!("../../../script/tests/bots/admission.ts");

const ADMISSION: &str = "\
MSH|^~\\&|ADT|NORTH|LAB|EAST|20260105081500||ADT^A01^ADT_A01|A1|P|2.5.1
PID|1||10001^^^NORTH^MR||Sample^Anna||19800506|F
";

fn write(directory: &Path, path: &str, content: &str) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "bots/admission.ts", BOT);
    write(directory.path(), "in.hl7", ADMISSION);
    write(directory.path(), "pipehat.yaml", "");
    for (path, content) in files {
        write(directory.path(), path, content);
    }
    directory
}

fn pipehat(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pipehat"))
        .args(arguments)
        .env_clear()
        .env("FROM_ENVIRONMENT", "value")
        .current_dir(directory)
        .output()
        .expect("the binary runs")
}

#[track_caller]
fn check(directory: &Path, arguments: &[&str], exit: i32, said: &[&str]) -> String {
    let output = pipehat(directory, arguments);
    let text =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit), "{text}");
    for part in said {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    text
}

#[test]
fn a_bot_runs_once_and_has_a_datastore() {
    let project = project(&[]);
    let said = ["MSA|AA|A1|OK", "asked datastore POST Patient: 201", "info  stored "];
    check(project.path(), &["bot", "run", "bots/admission.ts", "--input", "in.hl7"], 0, &said);

    let json = &["bot", "run", "bots/admission.ts", "--input", "in.hl7", "--json"];
    let output = pipehat(project.path(), json);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["asks"][1]["body"]["name"][0]["family"], "Sample");
    assert_eq!(report["result"]["content"]["hl7"][1], "MSA|AA|A1|OK");

    let redacted = &["bot", "run", "bots/admission.ts", "--input", "in.hl7", "--json", "--redact"];
    let text = check(project.path(), redacted, 0, &["[redacted]"]);
    assert!(!text.contains("Sample") && !text.contains("stored"), "{text}");
}

#[test]
fn what_a_bot_may_not_is_told_with_the_way_to_let_it() {
    let fetches =
        "export const handler = async () => (await fetch('https://api.example.org/x')).text();";
    let throws = "interface A { b: string }\n\nexport function handler(): void {\n  throw new Error('no');\n}\n";
    let project = project(&[
        ("bots/fetches.ts", fetches),
        ("bots/throws.ts", throws),
        (
            "bots/logs.ts",
            &throws.replace("throw new Error('no')", "console.error(new Error('no'))"),
        ),
        (
            "bots/imports.ts",
            "import { Nothing } from 'pipehat';\nexport const handler = () => Nothing;",
        ),
        (
            "bots/secret.ts",
            "import { secret } from 'pipehat';\nexport const handler = () => secret('FROM_ENVIRONMENT');",
        ),
    ]);
    let run = |file: &str, more: &[&str], exit, said: &[&str]| {
        let file = format!("bots/{file}.ts");
        let mut arguments = vec!["bot", "run", &file, "--input", "in.hl7"];
        arguments.extend(more);
        check(project.path(), &arguments, exit, said);
    };
    run("fetches", &[], 1, &["`--allow api.example.org` lets it here"]);
    run("throws", &[], 1, &["error: no", "handler (bots/throws.ts:4:"]);
    run("logs", &[], 0, &["error Error: no\n", "\n          at handler (bots/logs.ts:4:"]);
    run("imports", &[], 3, &["bots/imports.ts:1:10: `pipehat` has no `Nothing`"]);
    run("secret", &[], 1, &["given no secret FROM_ENVIRONMENT", "--secret"]);
    run("secret", &["--secret", "FROM_ENVIRONMENT"], 0, &["value"]);
    run("secret", &["--secret", "FROM_ENVIRONMENT=other"], 0, &["other"]);
    run("secret", &["--secret", "NOT_THERE"], 2, &["there is no environment variable NOT_THERE"]);
    run("nowhere", &[], 3, &["there is no bot bots/nowhere.ts"]);
    run("logs", &["--allow", "https://api.example.org/x"], 2, &["is no host", "without a path"]);
    run("logs", &["--resources", "in.hl7"], 3, &["in.hl7 is no JSON"]);
    write(project.path(), "bots/logs.yaml", "bot: logs\n");
    let settings = ["bot", "run", "bots/logs.yaml", "--input", "in.hl7"];
    check(project.path(), &settings, 3, &["name its script, such as bots/logs.ts"]);
}

#[test]
fn a_host_that_does_not_answer_is_given_up_and_limits_are_the_files_own() {
    // It takes connections, and never says a word.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let waits = |guard: &str| {
        format!("export const handler = () => fetch('{url}', {{ {guard} }}).catch((e) => e.name);")
    };
    let project = project(&[
        ("bots/guarded.ts", &waits("signal: AbortSignal.timeout(50)")),
        ("bots/waits.ts", &waits("")),
        ("pipehat.yaml", "datastore:\n"),
        (
            "bots/waits.yaml",
            &format!("bot: waits\nallow: {{ hosts: [\"{url}\"] }}\nlimits: {{ time: 1s }}\n"),
        ),
    ]);
    let run = |file: &str, exit: i32, said: &[&str]| {
        let arguments = ["bot", "run", file, "--input", "in.hl7", "--allow", &url];
        check(project.path(), &arguments, exit, said);
    };
    run("bots/guarded.ts", 0, &["TimeoutError", "given up before the answer came"]);
    run("bots/waits.ts", 1, &["it took longer than 1 s", "no answer in time"]);
}

#[test]
fn a_case_may_have_a_host_that_does_not_answer() {
    let guarded = "export const handler = () => fetch('https://api.example.org/', { signal: AbortSignal.timeout(5000) })
        .catch((e) => e.name + new Date().toISOString());";
    let asks =
        r#"[{ "ask": "fetch GET https://api.example.org/", "answer": { "givenUp": true } }]"#;
    let project = project(&[
        ("bots/guarded.ts", guarded),
        ("bots/guarded.cases/slow/in.hl7", ADMISSION),
        ("bots/guarded.cases/slow/asks.json", asks),
        ("bots/guarded.cases/slow/out.txt", "TimeoutError2026-01-01T00:00:05.000Z"),
    ]);
    check(project.path(), &["bot", "test"], 0, &["1 passed of 1 case"]);
}

#[test]
fn a_bot_is_held_to_its_scopes() {
    let makes = "export const handler = async (client) => { await client.createResource({
        resourceType: 'Task', status: 'requested', intent: 'order' }); return 'made'; };";
    let asks = r#"[{ "ask": "datastore POST Task", "answer": { "status": 201, "body": { "resourceType": "Task", "id": "1" } } }]"#;
    let scopes = |letters: &str| format!("bot: makes\nscopes: [system/Task.{letters}]\n");
    let project = project(&[
        ("pipehat.yaml", "datastore:\n"),
        (
            "channels/in.yaml",
            "channel: in\nsource: { mllp: { listen: 127.0.0.1:2575 } }\ndestinations: { out: { mllp: { connect: 127.0.0.1:1 } } }\n",
        ),
        ("bots/makes.ts", makes),
        ("bots/makes.yaml", &scopes("rs")),
        ("bots/makes.cases/new/in.hl7", ADMISSION),
        ("bots/makes.cases/new/asks.json", asks),
        ("bots/makes.cases/new/out.txt", "made"),
    ]);
    let directory = project.path();
    let lacks = "no scope to create Task: it needs one such as `system/Task.c`";
    let run = ["bot", "run", "bots/makes.ts", "--input", "in.hl7"];
    check(directory, &run, 1, &["datastore POST Task: 403", lacks]);
    check(directory, &["bot", "test"], 1, &["FAILED   makes/new", "`datastore POST Task`", lacks]);
    write(directory, "bots/makes.yaml", &scopes("crs"));
    check(directory, &run, 0, &["datastore POST Task: 201"]);
    check(directory, &["bot", "test", "--update"], 0, &["1 updated"]);
    check(directory, &["bot", "test"], 0, &["1 passed of 1 case"]);
}

#[test]
fn what_is_answered_by_hand_stays_when_a_case_is_updated() {
    let posts = "export const handler = async () => (await fetch('https://api.example.org/beds', {
        method: 'POST', headers: { accept: 'application/json', 'x-ward': '1' }, body: '{}' })).text();";
    let by_hand = r#"[{ "ask": "fetch POST https://api.example.org/beds", "answer": { "status": 200, "body": "3 free" } }]"#;
    let project = project(&[
        ("bots/posts.ts", posts),
        ("bots/posts.cases/hand/in.hl7", ADMISSION),
        ("bots/posts.cases/hand/asks.json", by_hand),
        ("bots/posts.cases/none/in.hl7", ADMISSION),
    ]);
    let update = ["bot", "test", "--update"];
    let said = [
        "updated  posts/hand",
        "FAILED   posts/none",
        "the answer to `fetch POST https://api.example.org/beds`  expected  one that you write by hand",
        "1 failed, 1 updated",
    ];
    check(project.path(), &update, 1, &said);
    let kept = fs::read_to_string(project.path().join("bots/posts.cases/hand/asks.json")).unwrap();
    assert!(kept.contains("3 free") && kept.contains("x-ward"), "{kept}");
    assert!(!project.path().join("bots/posts.cases/none/error.txt").exists());
    check(project.path(), &["bot", "test", "--case", "hand"], 0, &["1 passed of 1 case"]);
}

#[test]
fn cases_are_written_pass_and_show_what_differs() {
    let project = project(&[("bots/admission.cases/new/in.hl7", ADMISSION)]);
    let directory = project.path();
    check(
        directory,
        &["bot", "test"],
        1,
        &["FAILED   admission/new", "`pipehat bot test --update`"],
    );
    let wrote = ["1 updated", "wrote bots/admission.cases/new/asks.json"];
    check(directory, &["bot", "test", "--update"], 0, &wrote);
    check(directory, &["bot", "test"], 0, &["ok       admission/new", "1 passed of 1 case"]);
    // The answers are kept: the second run is the first one's.
    check(directory, &["bot", "test", "--update"], 0, &["1 passed of 1 case"]);

    let other = ADMISSION.replace("Sample", "Other").replace("|P|", "|T|");
    write(directory, "bots/admission.cases/new/in.hl7", &other);
    let differs = [
        "MSH-11 (Processing ID)  expected  P",
        "ask 2.body.name[0].family  expected  Sample",
        "actual    Other",
    ];
    check(directory, &["bot", "test", "--junit", "results.xml"], 1, &differs);
    let junit = fs::read_to_string(directory.join("results.xml")).unwrap();
    assert!(junit.contains("<testcase classname=\"admission\" name=\"new\""), "{junit}");
    assert!(junit.contains("asks.json differs at ask 2.body.name[0].family"), "{junit}");
    check(directory, &["bot", "test", "--case", "elsewhere"], 2, &["no case has `elsewhere`"]);
}

#[test]
fn a_case_may_expect_an_error_and_sets_the_time() {
    let clock = "export function handler(_: unknown, event: { input: string }): string {\n  \
                 if (event.input === 'stop') throw new Error('it was told to stop');\n  \
                 return new Date().toISOString();\n}\n";
    let project = project(&[
        ("bots/clock.ts", clock),
        ("bots/clock.cases/now/in.txt", "go"),
        ("bots/clock.cases/now/out.txt", "2024-02-29T12:00:00.000Z"),
        ("bots/clock.cases/now/case.json", "{ \"now\": \"2024-02-29T12:00:00Z\" }"),
        ("bots/clock.cases/stop/in.txt", "stop"),
        ("bots/clock.cases/stop/error.txt", "told to stop\n"),
        ("bots/clock.cases/wrong/in.txt", "go"),
        ("bots/clock.cases/wrong/error.txt", "told to stop\n"),
    ]);
    let said = ["ok       clock/now", "ok       clock/stop", "expected  an error: told to stop"];
    check(project.path(), &["bot", "test"], 1, &said);
    write(project.path(), "bots/clock.cases/now/case.json", "{ \"time\": \"2024\" }");
    check(project.path(), &["bot", "test"], 3, &["there is no `time`", "now, contentType"]);
}

/// What would be passed over in silence is told, with its place.
#[test]
fn mistakes_of_a_case_are_told_with_their_place() {
    let one = "export const handler = () => 1;";
    let case = |name: &str| format!("bots/one.cases/a/{name}");
    let with = |name: &str, content: &str, exit: i32, said: &[&str]| {
        let project = project(&[
            ("pipehat.yaml", "datastore:\n"),
            ("bots/one.ts", one),
            ("bots/one.yaml", "bot: one\n"),
            (&case("in.json"), "1"),
            (&case("out.json"), "1"),
        ]);
        write(project.path(), name, content);
        check(project.path(), &["bot", "test"], exit, said);
    };
    let facts = |content: &str, said: &str| {
        with(&case("case.json"), content, 3, &["error: bots/one.cases/a/case.json: ", said]);
    };
    facts(r#"{ "channel": "none" }"#, "there is no channel `none`");
    facts(r#"{ "channel": 1 }"#, "`channel` is no text");
    facts(r#"{ "header": { "a": "b" } }"#, "there is no `header`: did you mean `headers`?");
    facts(r#"{ "secrets": { "a": 1 } }"#, "`secrets` is no object of texts");
    facts("[]", "it is no object");
    let misnamed = ["error: bots/one.cases/a/ask.json: ", "did you mean `asks.json`?"];
    with(&case("ask.json"), "[]", 3, &misnamed);
    with(&case("notes.md"), "Why it is so.", 0, &["1 passed of 1 case"]);
    // Its scopes and limits are not known then.
    let unread = ["warning: the project has mistakes", "of bots/one.yaml", "1 passed of 1 case"];
    with("bots/one.yaml", "bot: one\nlimits: { cpu: 90s }\n", 0, &unread);
}

/// A proof takes longer than a message may: what its cases may use is theirs, and the bot's stays as it is.
#[test]
fn cases_may_use_more_than_the_bot() {
    let asks = "import { state } from 'pipehat';\nexport async function handler(_: unknown, event: { input: number }) {\n  \
                for (let n = 0; n < event.input; n += 1) await state.get(`k${n}`);\n  return 'done';\n}\n";
    let answers: Vec<_> = (0..3)
        .map(|n| format!("{{ \"ask\": \"state get k{n}\", \"answer\": {{ \"status\": 404 }} }}"))
        .collect();
    let project = project(&[
        ("pipehat.yaml", "datastore:\n"),
        ("bots/asks.ts", asks),
        ("bots/asks.yaml", "bot: asks\nlimits: { asks: 2 }\n"),
        ("bots/asks.cases/often/in.json", "3"),
        ("bots/asks.cases/often/asks.json", &format!("[{}]", answers.join(", "))),
        ("bots/asks.cases/often/out.txt", "done"),
        ("bots/asks.cases/never/in.json", "0"),
        ("bots/asks.cases/never/out.txt", "done"),
    ]);
    let write = |path: &str, limits: &str| write(project.path(), path, limits);
    let check = |exit, said: &[&str]| check(project.path(), &["bot", "test"], exit, said);
    let without = [
        "FAILED   asks/often",
        "it asked its host more than 2 times",
        "`limits` in its case.json let a case use more than the bot may",
        "ok       asks/never",
    ];
    check(1, &without);

    let (all, own) = ("bots/asks.cases/case.json", "bots/asks.cases/often/case.json");
    let enough = "{ \"limits\": { \"asks\": 3, \"cpu\": \"60s\", \"time\": \"120s\" } }";
    write(own, enough);
    check(0, &["2 passed of 2 cases"]);
    // For all of a bot's cases; what a case says itself goes before.
    write(own, "{}");
    check(1, &["asks/often"]);
    write(all, enough);
    check(0, &["2 passed of 2 cases"]);
    write(own, "{ \"limits\": { \"memory\": \"32MiB\" } }");
    check(1, &["asks/often", "it asked its host more than 2 times"]);
    write(own, "{}");

    // The bot itself is given no more than its file says, here and in the server.
    write("in.json", "3");
    let run = ["bot", "run", "bots/asks.ts", "--input", "in.json"];
    self::check(project.path(), &run, 1, &["it asked its host more than 2 times"]);

    for (limits, said) in [
        ("{ \"cpu\": \"61s\" }", "case.json:1:22: this duration must be between 10ms and 1m"),
        ("{ \"time\": \"2h\" }", "must be between 10ms and 10m"),
        ("{ \"memory\": \"2GiB\" }", "this size must be between"),
        ("{ \"cpu\": 60 }", "this duration has no unit"),
        ("{ \"cpus\": \"60s\" }", "did you mean `cpu`?"),
        ("\"60s\"", "for `limits`, found a single value"),
    ] {
        write(all, &format!("{{ \"limits\": {limits} }}"));
        check(3, &["error: bots/asks.cases/case.json:1:", said]);
    }
}

/// What a bot translates by is what its file says, and behind that the channel whose step it is to be.
#[test]
fn a_bot_translates_by_its_file_and_by_its_channel() {
    let script = "import { translate } from 'pipehat';
export async function handler(_: unknown, event: any): Promise<unknown> {
  const bundle: any = await translate.toFhir(event.input);
  const patient = bundle.entry.map((one: any) => one.resource).find((one: any) => one.resourceType === 'Patient');
  return { system: patient.identifier[0].system, zone: event.headers['time-zone'], channel: event.headers.channel };
}
";
    let channel = "channel: adt-in
source: { mllp: { listen: 127.0.0.1:2575 } }
time_zone: Europe/Vienna
steps: [{ bot: { name: own, result: ignored } }, { bot: { name: plain, result: ignored } }]
destinations:
  store:
    steps: [{ translate: { to: fhir, system_base: \"https://channel.example/\" } }]
    http: { url: \"http://127.0.0.1:9/x\" }
";
    let project = project(&[
        ("channels/adt-in.yaml", channel),
        ("bots/own.ts", script),
        (
            "bots/own.yaml",
            "bot: own\ntranslate: { time_zone: Asia/Tokyo, system_base: \"https://own.example/\" }\n",
        ),
        ("bots/plain.ts", script),
        ("bots/plain.yaml", "bot: plain\n"),
        ("bots/own.cases/in-channel/in.hl7", ADMISSION),
        ("bots/own.cases/in-channel/case.json", "{ \"channel\": \"adt-in\" }"),
        ("bots/plain.cases/in-channel/in.hl7", ADMISSION),
        ("bots/plain.cases/in-channel/case.json", "{ \"channel\": \"adt-in\" }"),
        ("bots/plain.cases/alone/in.hl7", ADMISSION),
    ]);
    let directory = project.path();
    let run = |bot: &str, more: &[&str], exit: i32, said: &[&str]| {
        let file = format!("bots/{bot}.ts");
        let mut arguments = vec!["bot", "run", &file, "--input", "in.hl7"];
        arguments.extend(more);
        check(directory, &arguments, exit, said)
    };
    run("own", &[], 0, &["https://own.example/NORTH", "Asia/Tokyo"]);
    let in_channel = ["--channel", "adt-in"];
    run("own", &in_channel, 0, &["https://own.example/NORTH", "Asia/Tokyo", "adt-in"]);
    run("plain", &in_channel, 0, &["https://channel.example/NORTH", "Europe/Vienna"]);
    let alone = run("plain", &[], 0, &[]);
    assert!(!alone.contains("channel.example") && !alone.contains("Vienna"), "{alone}");
    run("plain", &["--channel", "nowhere"], 2, &["there is no channel `nowhere`"]);

    // Of cases, too.
    check(directory, &["bot", "test", "--update"], 0, &["3 updated"]);
    let wrote = |case: &str| {
        let path = directory.join(format!("bots/{case}/out.json"));
        fs::read_to_string(path).unwrap()
    };
    let own = wrote("own.cases/in-channel");
    assert!(own.contains("https://own.example/NORTH") && own.contains("Asia/Tokyo"), "{own}");
    let plain = wrote("plain.cases/in-channel");
    assert!(plain.contains("https://channel.example/NORTH"), "{plain}");
    assert!(plain.contains("Europe/Vienna") && plain.contains("adt-in"), "{plain}");
    assert!(!wrote("plain.cases/alone").contains("channel.example"));
    check(directory, &["bot", "test"], 0, &["3 passed of 3 cases"]);
    // A case of a channel that is not there is no case.
    write(directory, "bots/plain.cases/alone/case.json", "{ \"channel\": \"nowhere\" }");
    check(directory, &["bot", "test"], 3, &["there is no channel `nowhere`"]);
}

#[test]
fn types_are_written_and_a_configuration_of_ones_own_stays() {
    let project = project(&[]);
    let directory = project.path();
    check(directory, &["types"], 0, &["tsconfig.json"]);
    let types = directory.join(".pipehat/types");
    for file in ["fhirtypes.d.ts", "medplum/hl7.d.ts", "pipehat/message.d.ts", "sandbox.d.ts"] {
        assert!(types.join(file).is_file(), "{file}");
    }
    write(directory, "tsconfig.json", "{}");
    let said = ["tsconfig.json is yours and stays as it is", "tsconfig.bots.json"];
    check(directory, &["types"], 0, &said);
    assert_eq!(fs::read_to_string(directory.join("tsconfig.json")).unwrap(), "{}");
}

#[test]
fn the_client_speaks_to_the_real_datastore() {
    let everything = include_str!("../../../script/tests/bots/everything.ts");
    let project = project(&[("bots/everything.ts", everything)]);
    let output =
        pipehat(project.path(), &["bot", "run", "bots/everything.ts", "--input", "in.hl7"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let seen: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    let expected = serde_json::json!({
        "sameOnce": true,
        "upserted": [true, "female", "2"],
        "patched": "male",
        "read": "3",
        "first": "none",
        "history": 3,
        "pages": [2, 2, 1],
        "everything": 6,
        "included": ["Observation", "Patient"],
        "binary": ["application/pdf", 4, "%PDF"],
        "attachment": ["text/plain", "note.txt", true],
        "media": ["completed", "x.txt"],
        "valid": true,
        "invalid": true,
        "batch": "200 OK",
        "get": "Patient",
        "getByPath": "Patient",
        "gone": true,
        "notFound": true,
        "badSearch": true,
        "mail": "MedplumClient.sendEmail is not available in Pipehat: send mail through a service of yours by fetch()",
        "sameStore": true,
        "state": ["value", "value", "none"],
        "translated": "transaction",
        "written": ["A31", "Roe", "2.5.1"],
    });
    let wrong: Vec<_> = expected
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, value)| seen[name.as_str()] != **value)
        .map(|(name, value)| format!("{name}: expected {value}, found {}", seen[name.as_str()]))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_bot_keeps_no_more_than_in_the_server() {
    let keeps = |size: usize| {
        format!(
            "import {{ state }} from 'pipehat';\n\
             export const handler = async () => {{ await state.set('k', 'x'.repeat({size})); return 'kept'; }};"
        )
    };
    let project = project(&[("bots/much.ts", &keeps(300_000)), ("bots/less.ts", &keeps(200_000))]);
    let run = |bot: &str| ["bot", "run", bot, "--input", "in.hl7"].map(str::to_owned);
    let much = run("bots/much.ts");
    let said = ["keeps at most 10000 values of 262144 bytes"];
    check(project.path(), &much.each_ref().map(String::as_str), 1, &said);
    let less = run("bots/less.ts");
    check(project.path(), &less.each_ref().map(String::as_str), 0, &["kept"]);
}

/// Each example stands alone, so two of them have the same files; what is mended in one is mended in the other.
#[test]
fn what_two_examples_share_is_the_same() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for name in ["documents", "feed", "patients", "results", "several", "statements"] {
        let [one, other] = ["results", "orders"].map(|example| {
            let path = examples.join(format!("{example}/bots/{name}.ts"));
            std::fs::read_to_string(path).expect("a script")
        });
        assert!(one == other, "{name}.ts differs");
    }
}

#[test]
fn secrets_stand_by_their_names_in_what_is_kept_and_shown() {
    let calls = "export async function handler(client, event) {
  const key = event.secrets['KEY'].valueString;
  console.info(`signing in by ${key}`);
  const answer = await fetch(`https://api.example.org/x?key=${key}`, { headers: { authorization: `Bearer ${key}` } });
  return (await answer.json()).of;
}";
    let project = project(&[
        ("bots/calls.ts", calls),
        ("bots/calls.cases/a/in.txt", "x"),
        ("bots/calls.cases/a/case.json", r#"{ "secrets": { "KEY": "very-secret" } }"#),
        (
            "bots/calls.cases/a/asks.json",
            r#"[{ "ask": "fetch GET https://api.example.org/x?key=very-secret", "headers": { "authorization": "Bearer very-secret" },
                  "answer": { "status": 200, "body": { "of": "me" } } }]"#,
        ),
    ]);
    let path = project.path();
    let said = check(path, &["bot", "test", "--case", "calls", "--update"], 0, &["updated"]);
    assert!(!said.contains("very-secret"), "{said}");
    let asks = fs::read_to_string(path.join("bots/calls.cases/a/asks.json")).unwrap();
    assert!(asks.contains("fetch GET https://api.example.org/x?key=[secret KEY]"), "{asks}");
    assert!(asks.contains("Bearer [secret KEY]") && !asks.contains("very-secret"), "{asks}");
    check(path, &["bot", "test", "--case", "calls"], 0, &["1 passed"]);

    let run = ["bot", "run", "bots/calls.ts", "--input", "in.hl7", "--secret", "KEY=very-secret"];
    let said = check(path, &run, 1, &["signing in by [secret KEY]", "x?key=[secret KEY]"]);
    assert!(!said.contains("very-secret"), "{said}");
}

#[test]
fn an_error_does_not_become_what_is_expected_unseen() {
    let throws = "export const handler = () => { throw new Error('no such ward'); };";
    let project = project(&[
        ("bots/throws.ts", throws),
        ("bots/throws.cases/a/in.txt", "x"),
        ("bots/throws.cases/a/out.txt", "x"),
    ]);
    let update = ["bot", "test", "--case", "throws", "--update"];
    let said = ["warning: throws/a now expects an error: no such ward", "mend the bot"];
    check(project.path(), &update, 0, &said);
    // What is expected already is nothing new.
    let said = check(project.path(), &update, 0, &["1 passed"]);
    assert!(!said.contains("now expects"), "{said}");
}
