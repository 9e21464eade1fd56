//! Bots of the real binary: called, told of changes, by webhook, by the clock, as steps of channels; what happens when
//! they fail, and what a person does about it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{
    Answered, Api, Connection, Link, Pipehat, Project, Sample, Sink, eventually, field, until,
};

const HL7: &str = "x-application/hl7-v2+er7";

fn message(control_id: &str) -> String {
    format!("MSH|^~\\&|A|B|C|D|20260101||ADT^A01|{control_id}|P|2.5.1\rPID|1||77^^^H\r")
}

fn bot(project: &Project, name: &str, yaml: &str, script: &str) {
    project.write(&format!("bots/{name}.yaml"), &format!("bot: {name}\n{yaml}"));
    project.write(&format!("bots/{name}.ts"), script);
}

/// Posts a body as it is.
fn post(api: &Api, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answered {
    let authorization = format!("Bearer {}", api.token());
    let mut connection = Connection::open(api.authority(), &authorization).expect("a connection");
    connection.post_raw(path, headers, body).expect("an answer")
}

/// Calls, and reads JSON.
fn fhir(api: &Api, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let (status, body) = api.call(method, path, body);
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn execute(api: &Api, path: &str, content_type: &str, body: &str) -> Answered {
    post(api, &format!("/fhir/R4/{path}"), &[("Content-Type", content_type)], body.as_bytes())
}

fn text(answered: &Answered) -> String {
    String::from_utf8_lossy(&answered.body).into_owned()
}

fn runs(api: &Api, query: &str) -> Vec<Value> {
    let page = api.get(&format!("/api/v1/bots/runs?{query}"));
    page["runs"].as_array().expect("a list").clone()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_bot_is_executed_and_answers_in_kind() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    bot(
        &project,
        "echo",
        "scopes: [system/Patient.cruds]\n",
        "import { Hl7Message } from '@medplum/core';
         export async function handler(medplum: any, event: any): Promise<any> {
           if (event.input instanceof Hl7Message) {
             const patient = await medplum.createResource({ resourceType: 'Patient', gender: 'female' });
             console.log('made', patient.id);
             return event.input.buildAck();
           }
           if (typeof event.input === 'string') return event.input.toUpperCase();
           if (event.input.forbidden) return await medplum.readResource('Observation', 'x');
           return { seen: event.input.x, type: event.contentType };
         }",
    );
    let node = project.up();
    let api = node.api();
    let answered = execute(&api, "Bot/echo/$execute", HL7, &message("E1"));
    assert_eq!(
        (answered.status, answered.header("content-type")),
        (200, Some(HL7)),
        "{}",
        text(&answered)
    );
    assert!(text(&answered).contains("MSA|AA|E1"), "{}", text(&answered));
    let (_, found) = fhir(&api, "GET", "/fhir/R4/Patient?gender=female", None);
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(1));

    let by_identifier = "Bot/$execute?identifier=urn:pipehat:bot|echo";
    let answered = execute(&api, by_identifier, "application/json", r#"{"x": 1.50}"#);
    assert_eq!(answered.json()["seen"], json!(1.5));
    assert_eq!(text(&execute(&api, by_identifier, "text/plain", "abc")), "ABC");

    // It does what its scopes allow, whoever calls.
    let refused = execute(&api, by_identifier, "application/json", r#"{"forbidden": true}"#);
    assert_eq!(refused.status, 500);
    assert!(!text(&refused).contains("Observation/x"));

    assert_eq!(execute(&api, "Bot/nobody/$execute", HL7, &message("E2")).status, 404);
    assert_eq!(execute(&api, "Bot/echo/$execute", "application/json", "{").status, 400);

    let (status, found) = fhir(&api, "GET", "/fhir/R4/Bot?name=echo", None);
    assert_eq!((status, &found["entry"][0]["resource"]["id"]), (200, &json!("echo")));
    let (status, _) = fhir(&api, "DELETE", "/fhir/R4/Bot/echo", None);
    assert_eq!(status, 409, "the project's own");

    // What it did stands in the audit under its own name.
    let (_, events) = fhir(&api, "GET", "/fhir/R4/AuditEvent?type=rest&action=C", None);
    assert!(events.to_string().contains("Bot/echo"), "{events}");

    let run = &runs(&api, "bot=echo&state=done")[0];
    let detail = api.get(&format!("/api/v1/bots/runs/{}", run["run"]));
    assert_eq!(detail["content_type"], json!("text/plain"));
}

#[test]
fn a_bot_runs_another_by_its_identifier() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    bot(
        &project,
        "notify",
        "",
        "export async function handler(_: any, event: any) { return 'told ' + event.input.who; }",
    );
    bot(
        &project,
        "caller",
        "allow: { bots: [notify] }\n",
        "export async function handler(medplum: any, event: any) {
           const { system, value } = event.input;
           return await medplum.executeBot({ system, value }, { who: 'A' }, 'application/json');
         }",
    );
    let node = project.up();
    let api = node.api();
    let call = |system: &str, value: &str| {
        let body = json!({ "system": system, "value": value }).to_string();
        execute(&api, "Bot/caller/$execute", "application/json", &body)
    };
    assert_eq!(text(&call("urn:pipehat:bot", "notify")), "told A");
    // One that is not there, and one that the caller may not run.
    assert_eq!(call("urn:test", "other").status, 500);
    assert_eq!(call("urn:pipehat:bot", "caller").status, 500);
    // The run of the other one stands in the book under its own name.
    let run = until("it is recorded", || runs(&api, "bot=notify&state=done").pop());
    assert_eq!((&run["trigger"], &run["source"]), (&json!("bot"), &json!("Bot/caller")));
}

#[test]
fn nobody_waits_for_an_asynchronous_call() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    bot(
        &project,
        "slow",
        "",
        "export async function handler(_: any, event: any) { return event.input + '!'; }",
    );
    let node = project.up();
    let api = node.api();
    let headers = [("Content-Type", "text/plain"), ("Prefer", "respond-async")];
    let answered = post(&api, "/fhir/R4/Bot/slow/$execute", &headers, b"late");
    assert_eq!(answered.status, 202);
    let place = answered.header("content-location").expect("a place").to_owned();
    let path = &place[place.find("/fhir").expect("a path")..];
    eventually("it is done", || {
        let authorization = format!("Bearer {}", api.token());
        let mut connection =
            Connection::open(api.authority(), &authorization).expect("a connection");
        let answered = connection.call("GET", path, &[], None).expect("an answer");
        answered.status == 200 && answered.body == b"late!"
    });
}

#[test]
fn a_bot_that_fails_answers_ae_and_harms_nobody() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    bot(
        &project,
        "thrower",
        "",
        "export async function handler() {\n  throw new Error('secret words of MILLER');\n}",
    );
    bot(
        &project,
        "looper",
        "limits: { time: 300ms, cpu: 300ms }\n",
        "export async function handler() { for (;;) {} }",
    );
    bot(&project, "sound", "", "export async function handler() { return 'fine'; }");
    let node = project.up();
    let api = node.api();
    for (name, code) in [("thrower", "bot.threw"), ("looper", "bot.limit")] {
        let answered = execute(&api, &format!("Bot/{name}/$execute"), HL7, &message("F1"));
        assert_eq!((answered.status, answered.header("content-type")), (500, Some(HL7)));
        let told = text(&answered);
        assert!(
            told.contains("MSA|AE|F1")
                && told.contains("\rERR|")
                && told.contains(&format!("({code}), run ")),
            "{told}"
        );
    }
    let told = text(&execute(&api, "Bot/thrower/$execute", "application/json", "{}"));
    assert!(told.contains("bots/thrower.ts:2") && !told.contains("MILLER"), "{told}");
    assert_eq!(text(&execute(&api, "Bot/sound/$execute", "application/json", "{}")), "fine");
    // The words are there for who may see them.
    let run = &runs(&api, "bot=thrower")[0];
    let shown = project.run(&["bot", "show", &run["run"].to_string(), "--contents"]);
    assert!(printed(&shown).contains("secret words of MILLER"), "{}", printed(&shown));
    for command in [["bot", "runs"].as_slice(), &["bot", "dead"], &["bot", "replay"]] {
        let output = project.run(&[command, &["--bot", "nix"]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        let expected = "there is no bot `nix`: there are looper, sound, thrower";
        assert!(said.contains(expected), "{said}");
    }
    let shown = project.run(&["bot", "runs", "--bot", "thrower"]);
    assert!(printed(&shown).contains("bot.threw") && !printed(&shown).contains("MILLER"));
    assert!(!project.printed().contains("MILLER"), "not in the log");
}

/// A run that has no end has none the next time either: nobody waits ten minutes, or a day, to learn that.
#[test]
fn what_reached_its_limit_is_tried_once_more() {
    let sink = Sink::new();
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    project.write_secret("portal", "t0ken");
    let limits = "limits: { time: 20s, cpu: 100ms }\nretry: { first: 10ms, most: 10ms }\n";
    let looper =
        "export async function handler() {\n  let count = 0;\n  while (true) count += 1;\n}";
    bot(&project, "looper", limits, looper);
    let hook = format!("on: {{ webhook: {{ token: secret:portal, answer: accepted }} }}\n{limits}");
    bot(&project, "hook", &hook, looper);
    let changes = format!("on: {{ subscription: Basic }}\n{limits}");
    bot(&project, "follower", &changes, looper);
    let node = channel(
        &project,
        &sink,
        "  - bot: { name: looper, retry: { first: 10ms, most: 10ms } }\n    when: PID-3.1 = \"LP1\"",
    );
    let api = node.api();
    let mut link = Link::open(&node.address("adt"));
    let sample = Sample::new("L", 1, 1);
    assert_eq!(link.ask(&sample.bytes()).code(), "AE");
    let parked = until("the index has it", || {
        api.search(&json!({ "control_id": sample.control_id() })).into_iter().next()
    });
    let shown = printed(&project.run(&["messages", "show", &parked["id"].to_string()]));
    let told = "given up after 2 tries: `looper`: it used more than 0.1 s of processor time at bots/looper.ts:3:3";
    assert!(shown.contains(told), "{shown}");
    assert_eq!(runs(&api, "bot=looper&state=failed").len(), 2);

    let mut connection = Connection::open(api.authority(), "Bearer t0ken").expect("a connection");
    let headers = [("Content-Type", "text/plain")];
    assert_eq!(connection.post_raw("/bots/hook", &headers, b"").expect("an answer").status, 202);
    let dead = until("it is given up", || runs(&api, "bot=hook&state=dead").into_iter().next());
    assert_eq!(dead["attempts"], json!(2), "{dead}");

    let basic = json!({ "resourceType": "Basic", "id": "b1", "code": { "text": "x" } });
    assert_eq!(fhir(&api, "PUT", "/fhir/R4/Basic/b1", Some(&basic)).0, 201);
    eventually("the notice is given up", || {
        printed(&project.run(&["subscriptions", "dead-letters"])).contains("bot-follower-1")
    });
    assert_eq!(runs(&api, "bot=follower").len(), 2);
}

/// A scope that lacks comes by nobody's waiting: those behind the message need not wait either.
#[test]
fn what_a_bot_may_not_do_is_tried_once() {
    let sink = Sink::new();
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    let writer = "export async function handler(client: any) {
  await Promise.all([client.createResource({ resourceType: 'Basic', code: { text: 'MILLER' } }), client.readResource('Patient', 'p')]);
}";
    bot(&project, "writer", "scopes: [system/Basic.r]\n", writer);
    let changes = "scopes: [system/Basic.r]\non: { subscription: Patient }\n";
    bot(&project, "follower", changes, writer);
    let node = channel(
        &project,
        &sink,
        "  - bot: { name: writer, retry: { first: 1h, most: 1h, give_up: 1d } }\n    when: PID-3.1 = \"SP1\"",
    );
    let api = node.api();
    let mut link = Link::open(&node.address("adt"));
    let sample = Sample::new("S", 1, 1);
    assert_eq!(link.ask(&sample.bytes()).code(), "AE");
    let parked = until("the index has it", || {
        api.search(&json!({ "control_id": sample.control_id() })).into_iter().next()
    });
    let shown = printed(&project.run(&["messages", "show", &parked["id"].to_string()]));
    let why = "it has no scope to create Basic: it needs one such as `system/Basic.c` at bots/writer.ts:2:";
    assert!(shown.contains(why), "{shown}");
    let listed = printed(&project.run(&["bot", "runs", "--bot", "writer"]));
    assert!(listed.contains("bot.not-granted") && listed.contains("create Basic"), "{listed}");
    assert_eq!(runs(&api, "bot=writer").len(), 1);
    let log = project.printed();
    let told =
        |line: &&str| line.contains("a step of a channel asked") && line.contains("writer.ts:2:");
    assert_eq!(log.lines().filter(told).count(), 1, "{log}");

    let patient = json!({ "resourceType": "Patient", "id": "p1" });
    assert_eq!(fhir(&api, "PUT", "/fhir/R4/Patient/p1", Some(&patient)).0, 201);
    eventually("the change is given up", || {
        let letters = printed(&project.run(&["subscriptions", "dead-letters"]));
        letters.contains("bot-follower-1")
    });
    assert_eq!(runs(&api, "bot=follower").len(), 1);
    assert!(!project.printed().contains("MILLER"), "not in the log");
}

#[test]
fn what_was_given_up_is_run_again() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    project.write_secret("portal", "Jefe");
    let yaml = "on: { webhook: { hmac: secret:portal, answer: accepted } }\nretry: { first: 10ms, most: 20ms, give_up: 1s }\n";
    let broken = "export async function handler() { throw new Error('no'); }";
    bot(&project, "hook", yaml, broken);
    let node = project.up();
    let api = node.api();
    let call = |signature: &str| {
        let headers = [("Content-Type", "text/plain"), ("X-Signature", signature)];
        post(&api, "/bots/hook", &headers, b"what do ya want for nothing?")
    };
    // RFC 4231, test case 2.
    const SIGNED: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(call(&SIGNED.replace('5', "6")).status, 401);
    assert_eq!(call("").status, 401);
    assert_eq!(post(&api, "/bots/nobody", &[], b"").status, 401);
    assert_eq!(call(SIGNED).status, 202);
    let dead = until("it is given up", || runs(&api, "state=dead").into_iter().next());
    assert!(dead["attempts"].as_u64() > Some(1), "{dead}");
    let listed = project.run(&["bot", "list"]);
    assert_eq!(listed.status.code(), Some(1), "{}", printed(&listed));
    assert!(printed(&project.run(&["bot", "dead"])).contains("bot.threw"));

    // Mended, it is run again with the same input.
    bot(
        &project,
        "hook",
        yaml,
        "export async function handler(_: any, event: any) { return event.input.length + ' ' + event.headers['x-signature']; }",
    );
    eventually("the mended bot is in force", || {
        printed(&project.run(&["bot", "list", "--json"])).contains("\"hook\"")
            && api.get("/api/v1/bots")["bots"][0]["revision"] != json!(null)
            && {
                let done = project.run(&["bot", "replay", &dead["run"].to_string(), "--json"]);
                let _ = done;
                runs(&api, "state=done&bot=hook").len() == 1
            }
    });
    let detail = api.get(&format!("/api/v1/bots/runs/{}", dead["run"]));
    assert_eq!(detail["result"], json!("28 undefined"), "the signature is not shown");
}

#[test]
fn a_promised_run_survives_a_kill() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    project.write_secret("portal", "t0ken");
    let yaml = "on: { webhook: { token: secret:portal, answer: accepted } }\nretry: { first: 50ms, most: 100ms }\n";
    bot(&project, "hook", yaml, "export async function handler() { throw new Error('no'); }");
    let node = project.up();
    let api = node.api();
    let headers = [("Content-Type", "text/plain"), ("Authorization", "Bearer t0ken")];
    let mut connection = Connection::open(api.authority(), "Bearer t0ken").expect("a connection");
    let answered = connection.post_raw("/bots/hook", &headers[..1], b"kept").expect("an answer");
    assert_eq!(answered.status, 202);
    node.kill();
    bot(
        &project,
        "hook",
        yaml,
        "export async function handler(_: any, event: any) { return event.input; }",
    );
    let node = project.up();
    let api = node.api();
    let done = until("it is run", || runs(&api, "state=done").into_iter().next());
    let detail = api.get(&format!("/api/v1/bots/runs/{}", done["run"]));
    assert_eq!(detail["result"], json!("kept"));
}

#[test]
fn a_bot_is_told_of_changes_that_meet_its_condition() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    bot(
        &project,
        "finished",
        "on:
  subscription:
    criteria: Encounter
    changes: [create, update]
    when: \"%previous.status != 'finished' and %current.status = 'finished'\"
scopes: [system/Task.cruds]
",
        "export async function handler(medplum: any, event: any) {
           await medplum.createResource({ resourceType: 'Task', status: 'requested', intent: 'order',
             description: event.input.id + ' ' + event.headers['x-pipehat-interaction'] });
         }",
    );
    let node = project.up();
    let api = node.api();
    eventually("the Subscription is active", || {
        let (_, found) = fhir(&api, "GET", "/fhir/R4/Subscription?status=active", None);
        found["entry"].as_array().is_some_and(|entries| entries.len() == 1)
    });
    let put = |status: &str| {
        let encounter = json!({ "resourceType": "Encounter", "id": "e1", "status": status,
            "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" } });
        let (answered, body) = fhir(&api, "PUT", "/fhir/R4/Encounter/e1", Some(&encounter));
        assert!(matches!(answered, 200 | 201), "{body}");
    };
    let tasks = || {
        let (_, found) = fhir(&api, "GET", "/fhir/R4/Task", None);
        let entries = found["entry"].as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["resource"]["description"].to_string()).collect::<Vec<_>>()
    };
    put("in-progress");
    put("finished");
    eventually("the bot made a Task", || tasks() == ["\"e1 update\""]);
    put("finished");
    put("in-progress");
    put("finished");
    eventually("it was told once more, and no more often", || tasks().len() == 2);
    eventually("both runs are recorded", || runs(&api, "bot=finished&state=done").len() == 2);
}

/// The criteria ask by a parameter that only a SearchParameter of the datastore could define.
#[test]
fn a_bot_whose_subscription_is_refused_is_seen() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    bot(
        &project,
        "wards",
        "on: { subscription: { criteria: \"Encounter?ward=2w\", custom: [ward] } }\n",
        "export function handler() {}",
    );
    assert_eq!(
        project.run(&["check", &project.directory().to_string_lossy()]).status.code(),
        Some(0)
    );
    let node = project.up();
    eventually("the log warns of it", || {
        let said = project.printed();
        said.lines().any(|line| {
            line.contains("ERROR") && line.contains("hears of no change") && line.contains("`ward`")
        })
    });
    for command in [["bot", "list"].as_slice(), &["status"]] {
        let output = project.run(command);
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("wards") && text.contains("hears of no change"), "{text}");
    }
    assert!(node.stop().success());
}

#[test]
fn the_secrets_of_a_bot_stand_by_their_names_in_what_is_kept_of_its_runs() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    project.write_secret("registry", "very-secret");
    bot(
        &project,
        "caller",
        "allow: { secrets: [registry] }\n",
        "import { state } from 'pipehat';
         export async function handler(_: any, event: any) {
           const key = event.secrets['registry'].valueString;
           console.log('by ' + key);
           await state.set('key', key);
           throw new Error('refused: ' + key);
         }",
    );
    let node = project.up();
    let api = node.api();
    execute(&api, "Bot/caller/$execute", "application/json", "{}");
    let run = &runs(&api, "bot=caller")[0];
    let shown = printed(&project.run(&["bot", "show", &run["run"].to_string(), "--contents"]));
    for told in ["by [secret registry]", "refused: [secret registry]", "\"value\":"] {
        assert!(shown.contains(told), "{shown}");
    }
    assert!(!shown.contains("very-secret"), "{shown}");
    assert!(node.stop().success());
}

#[test]
fn a_subscription_to_a_bot_that_is_not_there_is_seen_until_it_is() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\nbots: { scopes: [system/Patient.r] }\n");
    let node = project.up();
    let api = node.api();
    let subscription = json!({
        "resourceType": "Subscription", "status": "requested", "reason": "test", "criteria": "Patient",
        "channel": { "type": "rest-hook", "endpoint": "Bot/late", "payload": "application/fhir+json" },
    });
    let (status, body) = fhir(&api, "POST", "/fhir/R4/Subscription", Some(&subscription));
    assert_eq!(status, 201, "{body}");
    let said = |expected: bool| {
        eventually("it is told, or not any more", || {
            let output = project.run(&["status"]);
            let told =
                printed(&output).contains("a Subscription names this bot, and there is none");
            told == expected && output.status.code() == Some(i32::from(expected))
        });
    };
    said(true);
    let resource = json!({ "resourceType": "Bot", "id": "late", "name": "late" });
    let (status, body) = fhir(&api, "PUT", "/fhir/R4/Bot/late", Some(&resource));
    assert_eq!(status, 201, "{body}");
    let code = json!({ "code": "export const handler = () => 1;", "filename": "index.ts" });
    let (status, outcome) = fhir(&api, "POST", "/fhir/R4/Bot/late/$deploy", Some(&code));
    assert_eq!(status, 200, "{outcome}");
    said(false);
    assert!(node.stop().success());
}

#[test]
fn a_bot_that_fails_for_a_change_is_seen() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    bot(
        &project,
        "picky",
        "on: { subscription: Patient }\n",
        "export async function handler(_: any, event: any) {
           if (event.input.active === false) throw new Error('secret of ' + event.input.id);
         }",
    );
    let node = project.up();
    let api = node.api();
    let list = |expected: i32, said: &[&str]| {
        for command in [["bot", "list"].as_slice(), &["status"]] {
            let output = project.run(command);
            let text = printed(&output);
            assert_eq!(output.status.code(), Some(expected), "{text}");
            assert!(said.iter().all(|said| text.contains(said)), "{text}");
            assert!(!text.contains("secret of"), "{text}");
        }
    };
    list(0, &[]);
    let patient = |id: &str, active: bool| {
        let patient = json!({ "resourceType": "Patient", "id": id, "active": active });
        let (status, _) = fhir(&api, "PUT", &format!("/fhir/R4/Patient/{id}"), Some(&patient));
        assert!(status == 200 || status == 201);
    };
    patient("bad", false);
    let failing = || api.get("/api/v1/status")["bots"][0]["changes_failing"] == 1;
    eventually("it fails", failing);
    list(1, &["picky", "fails for 1 change, and is run again: Bot/picky", "(bot.threw)"]);
    // That another one succeeds hides nothing.
    patient("good", true);
    eventually("it has run", || !runs(&api, "bot=picky&state=done").is_empty());
    list(1, &["fails for 1 change"]);
    // Each version is told: the first has to be taken before the second.
    project.write("bots/picky.ts", "export function handler() {}");
    eventually("all is well", || api.get("/api/v1/status")["bots"] == json!([]));
    list(0, &[]);
}

/// A `when` that fails is told as a bot that throws is.
#[test]
fn a_when_that_fails_for_a_change_is_seen() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    let on =
        |when: &str| format!("on:\n  subscription: {{ criteria: Patient, when: \"{when}\" }}\n");
    let script = "export function handler() { return 'ran'; }";
    bot(&project, "narrow", &on("%current.name.single().family = 'Elm'"), script);
    let node = project.up();
    let api = node.api();
    eventually("the Subscription is active", || {
        let (_, found) = fhir(&api, "GET", "/fhir/R4/Subscription?status=active", None);
        found["entry"].as_array().is_some_and(|entries| entries.len() == 1)
    });
    let names = json!([{ "family": "Secret" }, { "family": "Elm" }]);
    let patient = json!({ "resourceType": "Patient", "id": "two", "name": names });
    assert_eq!(fhir(&api, "PUT", "/fhir/R4/Patient/two", Some(&patient)).0, 201);
    let failing = || api.get("/api/v1/status")["bots"][0]["changes_failing"] == 1;
    eventually("it fails", failing);
    for command in [["bot", "list"].as_slice(), &["status"]] {
        let output = project.run(command);
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("narrow") && text.contains("(bot.when)"), "{text}");
        assert!(!text.contains("Secret"), "{text}");
    }
    let failed = runs(&api, "bot=narrow&state=failed");
    let run = failed.first().expect("a run");
    let why = run["why"].as_str().expect("a reason");
    assert!(why.starts_with("bot.when: ") && why.contains("expected one item"), "{why}");
    assert!(run["source"].as_str().is_some_and(|source| source.contains("Patient/two/_history/1")));
    let detail = api.get(&format!("/api/v1/bots/runs/{}", run["run"]));
    assert!(detail["input"].as_str().is_some_and(|input| input.contains("Secret")), "{detail}");
    let log = project.printed();
    let warned = |line: &str| line.contains("WARN") && line.contains("Bot/narrow");
    assert!(log.lines().any(|line| warned(line) && line.contains("bot.when")), "{log}");
    assert!(!log.contains("Secret"), "{log}");
    // Mended, it is decided and run.
    let mended = on("%current.name.where(family = 'Elm').exists()");
    project.write("bots/narrow.yaml", &format!("bot: narrow\n{mended}"));
    eventually("it has run", || runs(&api, "bot=narrow&state=done").len() == 1);
    eventually("all is well", || api.get("/api/v1/status")["bots"] == json!([]));
}

/// What a bot fails at as a step: tried again and holding lanes, or parked.
#[test]
fn a_bot_that_fails_as_a_step_is_seen() {
    let sink = Sink::new();
    let project = Project::new();
    let thrower = "export async function handler(_: any, event: any) {
      const name = event.input.getSegment('PID').getField(5).toString();
      if (name !== 'FINE') throw new Error('secret of ' + name);
    }";
    bot(&project, "grumpy", "", thrower);
    bot(&project, "once", "", "export function handler() { throw new Error('no'); }");
    let of_channel = format!(
        "channel: adt\nsource: {{ mllp: {{ listen: 127.0.0.1:0 }} }}\norder: by PID-3.1\nsteps:
  - bot: {{ name: grumpy, retry: {{ first: 10ms, most: 10ms }} }}
    when: PID-3.1 != \"P9\"
  - bot: once
    when: PID-3.1 = \"P9\"
destinations:
  lab: {{ mllp: {{ connect: {} }} }}
",
        sink.address()
    );
    project.write("channels/adt.yaml", &of_channel);
    let node = project.up();
    let api = node.api();
    let of = |patient: &str, name: &str, control_id: &str| {
        format!(
            "MSH|^~\\&|A|B|C|D|20260101||ADT^A01|{control_id}|P|2.5.1\rPID|1||{patient}^^^H||{name}\r"
        )
    };
    let mut link = Link::open(&node.address("adt"));
    for (patient, name, control_id) in
        [("P1", "MILLER", "1"), ("P2", "SMITH", "2"), ("P1", "MILLER", "3"), ("P1", "MILLER", "4")]
    {
        assert_eq!(link.ask(of(patient, name, control_id).as_bytes()).code(), "AA");
    }
    let failing = || api.get("/api/v1/status")["bots"][0]["steps"][0].clone();
    eventually("it has failed often", || {
        let step = failing();
        step["failures"].as_u64() >= Some(20) && step["messages"] == 2 && step["waiting"] == 2
    });
    let (first, step) = (failing()["since"].clone(), failing());
    assert_eq!((step["channel"].as_str(), step["code"].as_str()), (Some("adt"), Some("bot.threw")));
    for command in [["bot", "list"].as_slice(), &["status"]] {
        let output = project.run(command);
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        for said in [
            "fails in the channel adt since ",
            " times in a row: bot.threw; ",
            "2 messages hold their lanes, 2 wait behind them",
        ] {
            assert!(text.contains(said), "{text}");
        }
        assert!(!text.contains("MILLER") && !text.contains("secret"), "{text}");
    }
    assert!(printed(&project.run(&["bot", "list"])).contains("  4 waiting, "));
    // A saved file begins nothing anew.
    project.write("bots/once.ts", "export function handler() { throw new Error('never'); }");
    eventually("it is tried on", || failing()["failures"].as_u64() > step["failures"].as_u64());
    assert_eq!(failing()["since"], first);
    project.write("bots/grumpy.ts", "export function handler() {}");
    eventually("all is well", || api.get("/api/v1/status")["bots"] == json!([]));
    // One that is not tried again is parked.
    assert_eq!(link.ask(of("P9", "FINE", "9").as_bytes()).code(), "AA");
    eventually("it is parked", || failing()["failures"] == 1);
    let text = printed(&project.run(&["bot", "list"]));
    assert!(text.contains(", once: bot.threw; what it failed at is parked"), "{text}");
}

#[test]
fn the_clock_runs_a_bot() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    bot(
        &project,
        "tick",
        "on: { cron: \"* * * * * *\" }\n",
        "export async function handler(_: any, event: any) { return event.input.time; }",
    );
    let node = project.up();
    let api = node.api();
    eventually("it ran twice", || runs(&api, "bot=tick&state=done").len() >= 2);
    let first = &runs(&api, "bot=tick&state=done")[0];
    assert_eq!(first["trigger"], json!("cron"));
}

fn channel(project: &Project, sink: &Sink, steps: &str) -> Pipehat {
    project.write(
        "channels/adt.yaml",
        &format!(
            "channel: adt\nsource: {{ mllp: {{ listen: 127.0.0.1:0 }} }}\nreply: processed\norder: by PID-3.1\nsteps:\n{steps}\n\
             destinations:\n  lab: {{ mllp: {{ connect: {} }} }}\n",
            sink.address()
        ),
    );
    project.up()
}

#[test]
fn a_channel_runs_a_bot_on_its_messages() {
    let sink = Sink::new();
    let project = Project::new();
    bot(
        &project,
        "names",
        "",
        "export async function handler(_: any, event: any) {
           const message = event.input;
           const pid = message.getSegment('PID');
           if (pid.getField(3).toString().startsWith('BP2')) throw new Error('MILLER');
           pid.setField(2, 'SEEN');
           return message;
         }",
    );
    let node = channel(&project, &sink, "  - bot: names");
    let api = node.api();
    let (sound, broken, after) =
        (Sample::new("B", 1, 1), Sample::new("B", 2, 1), Sample::new("B", 3, 1));
    let mut link = Link::open(&node.address("adt"));
    assert_eq!(link.ask(&sound.bytes()).code(), "AA");
    assert_eq!(field(&sink.wait_for(1)[0], "PID-2"), "SEEN");
    // The sender of one that the bot failed on is told, and the next goes on.
    let reply = link.ask(&broken.bytes());
    assert_eq!((reply.code(), reply.control_id()), ("AE".to_owned(), broken.control_id()));
    assert!(!project.printed().contains("MILLER"));
    eventually("it is parked", || api.counter("adt", "parked") == 1);
    // ERR names the run, under which everything stands, and nothing that the script said.
    let failed = until("its run is recorded", || runs(&api, "bot=names&state=failed").pop());
    let told = format!("set aside for a person (program.bot-failed, run {})", failed["run"]);
    let said = String::from_utf8_lossy(&reply.0).into_owned();
    let error = said.split('\r').find(|segment| segment.starts_with("ERR|"));
    assert!(error.is_some_and(|error| error.contains(&told)), "{said}");
    assert!(!said.contains("MILLER") && !said.contains("names.ts"), "{said}");
    let shown = printed(&project.run(&["bot", "show", &failed["run"].to_string()]));
    assert!(shown.contains("bots/names.ts:4"), "{shown}");
    assert_eq!(link.ask(&after.bytes()).code(), "AA");
    sink.wait_for(2);
    assert_eq!(runs(&api, "bot=names&state=failed").len(), 1);
    // Mended, the message is released: the bot runs anew.
    bot(
        &project,
        "names",
        "",
        "export async function handler(_: any, event: any) { return event.input; }",
    );
    let parked = until("the index has it", || {
        api.search(&json!({ "control_id": broken.control_id() })).into_iter().next()
    });
    eventually("the mended bot is in force", || {
        let path = format!("/api/v1/messages/{}/release", parked["id"]);
        if api.counter("adt", "parked") > 0 {
            let _ =
                fhir(&api, "POST", &path, Some(&json!({ "reason": "mended", "by": "a.tester" })));
        }
        sink.count() == 3
    });
    node.stop();
    project.prove();
}

/// What freezing does not reach of the objects of a module: the next message's run has the same engine.
#[test]
fn no_message_sees_what_a_bot_left_of_another() {
    let sink = Sink::new();
    let project = Project::new();
    bot(
        &project,
        "names",
        "",
        "const WHO = /nobody/;
         const KNOWN = new Map([['a', 1]]);
         export async function handler(_: any, event: any) {
           const pid = event.input.getSegment('PID');
           pid.setField(2, WHO.source + KNOWN.size);
           const [who, known]: any[] = [WHO, KNOWN];
           try { who.compile(pid.getField(3).toString()); } catch {}
           try { known.getOrInsert(pid.getField(3).toString(), 1); } catch {}
           return event.input;
         }",
    );
    let node = channel(&project, &sink, "  - bot: names");
    let mut link = Link::open(&node.address("adt"));
    for number in 1..=12 {
        assert_eq!(link.ask(&Sample::new("B", number, 1).bytes()).code(), "AA");
    }
    for message in sink.wait_for(12) {
        assert_eq!(field(&message, "PID-2"), "nobody1");
    }
    node.stop();
    project.prove();
}

#[test]
fn a_bot_makes_the_reply_and_sends_more() {
    let sink = Sink::new();
    let project = Project::new();
    bot(
        &project,
        "clerk",
        "",
        "import { send } from 'pipehat';
         export async function handler(_: any, event: any) {
           await send('lab', event.input.toString().replace('ADT^A01', 'ADT^A08'));
           return event.input.buildAck({ ackCode: 'AR' });
         }",
    );
    let node = channel(&project, &sink, "  - bot: { name: clerk, result: reply }");
    let sample = Sample::new("R", 1, 1);
    let mut link = Link::open(&node.address("adt"));
    assert_eq!(link.ask(&sample.bytes()).code(), "AR");
    sink.wait_for(2);
    node.stop();
    project.prove();
}

/// Each message has an answer of its own: of several in one body the second would have none.
#[test]
fn a_body_of_several_messages_is_refused() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    project.write_secret("portal", "t0ken");
    let hook = "on: { webhook: { token: secret:portal, answer: result } }\n";
    bot(&project, "echo", hook, "export const handler = (_: any, event: any) => event.input;");
    let node = project.up();
    let api = node.api();
    let one = message("M1");
    let refused = |answered: &Answered, kind: &str| {
        let told = text(answered);
        assert_eq!(answered.status, 400, "{told}");
        assert!(told.contains(kind) && told.contains("several HL7 v2 messages"), "{told}");
    };
    for several in [format!("{one}{}", message("M2")), format!("{one}\n\n{}", message("M2"))] {
        refused(&execute(&api, "Bot/echo/$execute", HL7, &several), "OperationOutcome");
        let mut connection =
            Connection::open(api.authority(), "Bearer t0ken").expect("a connection");
        let headers = [("Content-Type", HL7)];
        let answered = connection.post_raw("/bots/echo", &headers, several.as_bytes());
        refused(&answered.expect("an answer"), "MSA|AE|M1");
    }
    assert_eq!(execute(&api, "Bot/echo/$execute", HL7, &one).status, 200);
    let called = |run: &&Value| run["trigger"] == "execute";
    assert_eq!(runs(&api, "bot=echo").iter().filter(called).count(), 1, "what is refused is none");
}

/// `park` sets the message aside, and the run goes on to its end: what it sends to the channel's destinations does not go out.
#[test]
fn a_run_goes_on_behind_park_and_its_message_goes_nowhere() {
    let sink = Sink::new();
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    bot(
        &project,
        "careful",
        "scopes: [system/Basic.cruds]\n",
        "import { park, send } from 'pipehat';
         export async function handler(medplum: any, event: any) {
           await send('lab', event.input);
           await park('look at it');
           await medplum.createResource({ resourceType: 'Basic', code: { text: 'behind' } });
           await send('lab', event.input);
           return event.input;
         }",
    );
    let node = channel(&project, &sink, "  - bot: careful\n    when: PID-3.1 = \"KP1\"");
    let api = node.api();
    let mut link = Link::open(&node.address("adt"));
    let sample = Sample::new("K", 1, 1);
    link.ask(&sample.bytes());
    eventually("it is parked", || api.counter("adt", "parked") == 1);
    let (_, found) = fhir(&api, "GET", "/fhir/R4/Basic", None);
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(1), "what is written stands");
    let detail = api.get(&format!("/api/v1/bots/runs/{}", runs(&api, "bot=careful")[0]["run"]));
    assert_eq!(detail["run"]["state"], "done");
    let asked = detail["effects"].to_string();
    assert!(asked.contains("look at it") && asked.matches("\"send\"").count() == 2, "{asked}");
    // The next is the first that goes out.
    link.ask(&Sample::new("N", 2, 2).bytes());
    sink.wait_for(1);
    eventually("it is delivered", || api.counter("adt", "delivered") == 1);
    assert_eq!(sink.count(), 1);
    node.stop();
    project.prove();
}

#[test]
fn what_a_fetch_fails_at_is_told_with_the_line_that_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("the same"));
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                reader.read_line(&mut line).expect("a request");
            }
            let length = 17 * 1024 * 1024;
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
            // Whoever has had enough goes.
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(&vec![b'x'; length]));
        }
    });
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    let grant = format!("allow: {{ hosts: [\"http://{address}\"] }}\n");
    let script = |ask: &str| {
        format!(
            "import {{ http }} from 'pipehat';\nexport async function handler(_: any, event: any) {{\n  await {ask};\n}}\n"
        )
    };
    let large = format!("http://{address}/");
    bot(&project, "large-get", &grant, &script(&format!("http.get('{large}')")));
    bot(&project, "large-fetch", &grant, &script(&format!("fetch('{large}')")));
    bot(&project, "elsewhere", &grant, &script("http.get('http://127.0.0.1:81/x')"));
    let node = project.up();
    let api = node.api();
    let told = |name: &str, words: &str| {
        let answered = execute(&api, &format!("Bot/{name}/$execute"), "application/json", "{}");
        assert!(text(&answered).contains(&format!("bots/{name}.ts:3:")), "{}", text(&answered));
        let run = &runs(&api, &format!("bot={name}"))[0];
        let detail = api.get(&format!("/api/v1/bots/runs/{}", run["run"]));
        let error = detail["error"].as_str().expect("an error");
        assert!(error.contains(words), "{error}");
    };
    told("large-get", "the answer is larger than 16 MiB");
    told("large-fetch", "the answer is larger than 16 MiB");
    told(
        "elsewhere",
        "may not call http://127.0.0.1:81: add it to `allow: { hosts: [\"http://127.0.0.1:81\"] }`",
    );
}

#[test]
fn a_client_deploys_a_bot_which_may_what_the_project_says() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\nbots: { scopes: [system/Patient.r] }\n");
    let node = project.up();
    let api = node.api();
    let resource = json!({ "resourceType": "Bot", "id": "b1", "name": "mine",
        "identifier": [{ "system": "urn:test", "value": "mine" }] });
    let (status, body) = fhir(&api, "PUT", "/fhir/R4/Bot/b1", Some(&resource));
    assert_eq!(status, 201, "{body}");
    assert_eq!(execute(&api, "Bot/b1/$execute", "application/json", "{}").status, 400, "no code");
    let deploy = |code: &str| {
        fhir(
            &api,
            "POST",
            "/fhir/R4/Bot/b1/$deploy",
            Some(&json!({ "code": code, "filename": "index.ts" })),
        )
    };
    let (status, outcome) = deploy("export async function handler( {");
    assert_eq!(status, 400);
    assert!(outcome.to_string().contains("index.ts:1"), "{outcome}");
    let (status, outcome) = deploy("export const other = 1;");
    assert_eq!(status, 400, "{outcome}");
    assert!(outcome.to_string().contains("exports no `handler`"), "{outcome}");
    let (status, outcome) = deploy(
        "\"use strict\";\nexports.handler = handler;\nconst core_1 = require(\"@medplum/core\");\n\
         async function handler(medplum, event) { return core_1.capitalize('common'); }",
    );
    assert_eq!(status, 200, "{outcome}");
    assert_eq!(text(&execute(&api, "Bot/b1/$execute", "application/json", "{}")), "Common");
    let (status, outcome) = deploy(
        "export async function handler(medplum: any, event: any) {
           if (event.input.write) return await medplum.createResource({ resourceType: 'Patient' });
           return 'one';
         }",
    );
    assert_eq!(status, 200, "{outcome}");
    let by_identifier = "Bot/$execute?identifier=urn:test|mine";
    assert_eq!(text(&execute(&api, by_identifier, "application/json", "{}")), "one");
    assert_eq!(execute(&api, by_identifier, "application/json", r#"{"write":true}"#).status, 500);
    let (status, _) = deploy("export async function handler() { return 'two'; }");
    assert_eq!(status, 200);
    assert_eq!(text(&execute(&api, by_identifier, "application/json", "{}")), "two");

    // Who may only read Bots may not run them.
    let added = project.run(&["client", "add", "reader", "--scope", "system/*.cruds", "--json"]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
}

#[test]
fn messages_become_resources_and_resources_messages() {
    let sink = Sink::new();
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    project.write(
        "channels/in.yaml",
        "channel: in\nsource: { mllp: { listen: 127.0.0.1:0 } }\nreply: processed\ntime_zone: Europe/Berlin\n\
         destinations:\n  store:\n    steps: [{ translate: { to: fhir, system_base: \"https://hospital.test/id/\" } }]\n    fhir: local\n",
    );
    project.write(
        "channels/out.yaml",
        &format!(
            "channel: out\nsource: {{ fhir: {{ criteria: Patient, on: [create, update] }} }}\n\
             destinations:\n  lab:\n    steps:\n      - translate: {{ to: v2, event: auto, version: \"2.5.1\", receiving_application: LAB }}\n      - set: {{ MSH-4: CLINIC }}\n    mllp: {{ connect: {} }}\n",
            sink.address()
        ),
    );
    let node = project.up();
    let api = node.api();
    let mut link = Link::open(&node.address("in"));
    let sample = Sample::new("T", 1, 1);
    assert_eq!(link.ask(&sample.bytes()).code(), "AA");
    let patient = until("the patient is there", || {
        let (_, found) = fhir(
            &api,
            "GET",
            &format!("/fhir/R4/Patient?identifier={}", sample.patient_id()),
            None,
        );
        found["entry"].as_array().and_then(|entries| entries.first().cloned())
    });
    assert_eq!(patient["resource"]["resourceType"], json!("Patient"));
    let sent = sink.wait_for(1);
    assert_eq!(field(&sent[0], "MSH-5"), "LAB");
    assert_eq!(field(&sent[0], "MSH-4"), "CLINIC");
    assert!(
        field(&sent[0], "PID-3.1").contains(&sample.patient_id().to_string()),
        "{}",
        String::from_utf8_lossy(&sent[0])
    );
    // The same again changes nothing, and tells nobody.
    let again = Sample::new("T", 1, 2);
    let _ = again;
    node.stop();
    project.prove();
}

#[test]
fn fetches_that_stand_together_go_at_the_same_time() {
    const FETCHES: usize = 5;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    // Nobody is answered until all have asked.
    let answering = std::thread::spawn(move || {
        let all: Vec<(TcpStream, String)> = (0..FETCHES)
            .map(|_| {
                let (stream, _) = listener.accept().expect("a connection");
                let mut line = String::new();
                let mut reader = BufReader::new(stream.try_clone().expect("the same"));
                reader.read_line(&mut line).expect("a request");
                (stream, line.split(' ').nth(1).unwrap_or_default().to_owned())
            })
            .collect();
        for (mut stream, path) in all.into_iter().rev() {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", path.len());
            stream.write_all(format!("{head}{path}").as_bytes()).expect("answered");
        }
    });
    let project = Project::new();
    bot(
        &project,
        "many",
        &format!("allow: {{ hosts: [\"http://{address}\"] }}\nlimits: {{ time: 20s }}\n"),
        &format!(
            "export async function handler(_: any, event: any) {{
               const all = Array.from({{ length: {FETCHES} }}, (_, at) => fetch('http://{address}/' + at));
               const texts = await Promise.all((await Promise.all(all)).map((one) => one.text()));
               return texts.join(' ');
             }}"
        ),
    );
    project.write("pipehat.yaml", "datastore:\n");
    let node = project.up();
    let api = node.api();
    let answered = execute(&api, "Bot/many/$execute", "text/plain", "go");
    assert_eq!(text(&answered), "/0 /1 /2 /3 /4");
    answering.join().expect("it answered");
    // They are recorded in their order.
    let run = &runs(&api, "bot=many&state=done")[0];
    let detail = api.get(&format!("/api/v1/bots/runs/{}", run["run"]));
    let effects = detail["effects"].as_array().expect("a list");
    let bodies: Vec<&Value> = effects.iter().map(|effect| &effect["answer"]["body"]).collect();
    assert_eq!(bodies, ["/0", "/1", "/2", "/3", "/4"]);
}

#[test]
fn a_fetch_that_is_not_answered_is_given_up_and_the_run_goes_on() {
    // It takes connections, and never says a word.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let project = Project::new();
    bot(
        &project,
        "patient",
        &format!("allow: {{ hosts: [\"http://{address}\"] }}\nscopes: [system/Patient.cruds]\n"),
        &format!(
            "export async function handler(medplum: any): Promise<any> {{
               const told: string[] = [];
               const get = (options?: any) => fetch('http://{address}/slow', options);
               try {{ await get({{ signal: AbortSignal.timeout(100) }}); }} catch (e: any) {{ told.push(e.name); }}
               const c = new AbortController();
               setTimeout(() => c.abort(), 100);
               try {{ await get({{ signal: c.signal }}); }} catch (e: any) {{ told.push(e.name); }}
               const late = new Promise((done) => setTimeout(() => done('late'), 100));
               told.push(await Promise.race([get().then(() => 'answered'), late]) as string);
               await medplum.createResource({{ resourceType: 'Patient', gender: 'other' }});
               return told.join(' ');
             }}"
        ),
    );
    project.write("pipehat.yaml", "datastore:\n");
    let node = project.up();
    let api = node.api();
    let answered = execute(&api, "Bot/patient/$execute", "text/plain", "go");
    assert_eq!(text(&answered), "TimeoutError AbortError late");
    let run = &runs(&api, "bot=patient&state=done")[0];
    let detail = api.get(&format!("/api/v1/bots/runs/{}", run["run"]));
    let effects = detail["effects"].as_array().expect("a list");
    let fetches = effects.iter().filter(|effect| effect.get("fetch").is_some());
    let answers: Vec<&Value> = fetches.map(|effect| &effect["answer"]["error"]).collect();
    assert_eq!(answers, ["given up before the answer came"; 3]);
    let (_, found) = fhir(&api, "GET", "/fhir/R4/Patient?gender=other", None);
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_bot_is_not_run_for_what_it_wrote_itself() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    bot(
        &project,
        "counter",
        "on:\n  subscription: { criteria: Basic, changes: [create, update] }\nscopes: [system/Basic.cruds]\n",
        "export async function handler(medplum: any, event: any) {
           const [first] = event.input.identifier ?? [{ value: '0' }];
           await medplum.updateResource({ ...event.input, identifier: [{ value: String(Number(first.value) + 1) }] });
         }",
    );
    let node = project.up();
    let api = node.api();
    eventually("the Subscription is active", || {
        let (_, found) = fhir(&api, "GET", "/fhir/R4/Subscription?status=active", None);
        found["entry"].as_array().is_some_and(|entries| entries.len() == 1)
    });
    let basic = |count: &str| {
        json!({ "resourceType": "Basic", "id": "b1", "code": { "text": "counter" },
            "identifier": [{ "value": count }] })
    };
    let stands = || {
        let (_, found) = fhir(&api, "GET", "/fhir/R4/Basic/b1", None);
        (found["identifier"][0]["value"].clone(), found["meta"]["versionId"].clone())
    };
    fhir(&api, "PUT", "/fhir/R4/Basic/b1", Some(&basic("1")));
    eventually("the bot has counted", || stands() == (json!("2"), json!("2")));
    // Changes of one resource are told in order: this one comes behind the bot's own.
    fhir(&api, "PUT", "/fhir/R4/Basic/b1", Some(&basic("10")));
    eventually("it has counted on", || stands() == (json!("11"), json!("4")));
    // Runs are recorded some milliseconds after what they did can be seen.
    eventually("both runs are recorded", || runs(&api, "bot=counter").len() >= 2);
    assert_eq!(runs(&api, "bot=counter").len(), 2);
}

/// What a bot answers another one's change with is a change that the other answers.
#[test]
fn bots_that_answer_each_other_for_ever_are_stopped() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    for name in ["ping", "pong"] {
        bot(
            &project,
            name,
            "on: { subscription: Basic }\nscopes: [system/Basic.cruds]\n",
            &format!(
                "export async function handler(medplum: any, event: any) {{
                   await medplum.updateResource({{ ...event.input, code: {{ text: '{name}' + event.input.meta.versionId }} }});
                 }}"
            ),
        );
    }
    let node = project.up();
    let api = node.api();
    let basic = json!({ "resourceType": "Basic", "id": "b", "code": { "text": "go" } });
    assert_eq!(fhir(&api, "PUT", "/fhir/R4/Basic/b", Some(&basic)).0, 201);
    // Both hear of it, and each sets off the other.
    let dead = until("both are given up", || {
        let (_, found) = fhir(&api, "GET", "/api/v1/bots/runs?state=dead", None);
        found["runs"].as_array().filter(|runs| runs.len() == 2).cloned()
    });
    for run in &dead {
        assert!(run["why"].as_str().is_some_and(|why| why.starts_with("bot.loop: ")), "{run}");
    }
    let (_, found) = fhir(&api, "GET", "/fhir/R4/Basic/b", None);
    let version = found["meta"]["versionId"].as_str().and_then(|one| one.parse::<u32>().ok());
    assert!(version.is_some_and(|version| (30..100).contains(&version)), "{found}");
    let list = project.run(&["bot", "list"]);
    assert_eq!(list.status.code(), Some(1), "{}", String::from_utf8_lossy(&list.stdout));
    node.stop();
}

/// A run that nobody waits for is told of while it fails, and left when a person says so.
#[test]
fn a_bot_that_fails_where_nobody_waits_is_seen_and_left() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    let throws = "export function handler() { throw new Error('secret'); }";
    let at = |times: &str, give_up: &str| {
        format!("on: {{ cron: \"{times}\" }}\nretry: {{ first: 1s, give_up: {give_up} }}\n")
    };
    bot(&project, "ticks", &at("* * * * * *", "1d"), throws);
    let node = project.up();
    let api = node.api();
    let is =
        |count: &str| api.get("/api/v1/bots")["bots"][0][count].as_u64().is_some_and(|own| own > 0);
    eventually("it fails", || is("failing"));
    for command in [["bot", "list"].as_slice(), &["status"]] {
        let output = project.run(command);
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("1 run fails, and is tried again: bot.threw"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    let log = project.printed();
    assert!(
        log.contains("a run of a bot failed and is tried again") && !log.contains("secret"),
        "{log}"
    );
    // Given up, it goes off the list when a person says why.
    project.write("bots/ticks.yaml", &format!("bot: ticks\n{}", at("0 0 1 1 *", "1s")));
    eventually("it is given up", || is("dead"));
    assert_eq!(project.run(&["bot", "discard", "--bot", "ticks"]).status.code(), Some(2));
    let left = project.run(&["bot", "discard", "--bot", "ticks", "--reason", "of no use"]);
    assert!(printed(&left).contains("is left"), "{}", printed(&left));
    eventually("no person has to look", || project.run(&["bot", "list"]).status.success());
    let failed = runs(&api, "bot=ticks&state=failed");
    let why = failed.first().and_then(|run| run["why"].as_str()).expect("a reason").to_owned();
    assert!(why.starts_with("discarded (of no use): bot.threw"), "{why}");
    assert!(node.stop().success());
}
