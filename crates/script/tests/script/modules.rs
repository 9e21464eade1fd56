//! The modules `pipehat` and `@medplum/core`, through the real sandbox.

use pipehat_script::{Ask, Input, Output, Script, Worker};

use crate::host::{event, project, run, run_with, script_of, text, tight};

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
    let source = "import { Hl7Message, evalSqlOnFhir, structureMapTransform } from '@medplum/core';\n\
                  export const handler = () => [Hl7Message, evalSqlOnFhir, structureMapTransform];";
    check_refused(
        &[("bot.ts", source)],
        "bot.ts:1:22: `@medplum/core` has no `evalSqlOnFhir`, `structureMapTransform`\n  \
         import { Hl7Message, evalSqlOnFhir, structureMapTransform } from '@medplum/core';\n                       ^\n  \
         help: `@medplum/core` is Pipehat's own here, and has what bots need of it: docs/bots.md lists it",
    );
    check_refused(
        &[(
            "bot.ts",
            "import { hl7Message } from '@medplum/core';\nexport const handler = () => hl7Message;",
        )],
        "bot.ts:1:10: `@medplum/core` has no `hl7Message`\n  import { hl7Message } from '@medplum/core';\n           ^\n  \
         help: it has `Hl7Message`, and not `hl7Message`",
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
        "bot.ts:1:15: `./lib` has no `two`\n  import { one, two } from './lib';\n                ^\n  \
         help: it exports one, three",
    );
}

#[test]
fn what_is_only_a_type_is_not_looked_for() {
    let source = "import { BotEvent, SomeTypeOfMedplum, Hl7Message } from '@medplum/core';\n\
                  import { Patient } from '@medplum/fhirtypes';\n\
                  type Both = SomeTypeOfMedplum & Patient;\n\
                  export const handler = (_: Both, event: BotEvent) => event.input instanceof Hl7Message;";
    assert!(Script::load(&project(&[("bot.ts", source)]), "bot.ts").is_ok());
}

/// Checks what an expression over `@medplum/core` gives, as JSON.
#[track_caller]
fn check(expression: &str, expected: &str) {
    let source = format!(
        "import * as core from '@medplum/core';\n\
         const message = 'MSH|^~\\\\&|A|B|C|D|20240203||ADT^A01|X1|P|2.5\\rPID|1||12^^^H&1.2&ISO~45||DOE^JANE';\n\
         export const handler = (client: core.MedplumClient): unknown => {{\n\
           const m = core.Hl7Message.parse(message);\n\
           const pid = m.getSegment('PID') as core.Hl7Segment;\n\
           return [{expression}];\n\
         }};"
    );
    let shown = match run(&source, &text("")) {
        Ok(Output::Json(text)) => text[1..text.len() - 1].to_owned(),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.message,
    };
    assert_eq!(shown, expected, "{expression}");
}

#[test]
fn fields_count_from_one_and_subcomponents_from_zero() {
    check("pid.getField(3).toString()", r#""12^^^H&1.2&ISO~45""#);
    check("pid.getComponent(3, 4)", r#""H&1.2&ISO""#);
    check("pid.getComponent(3, 4, 1)", r#""1.2""#);
    check("pid.getComponent(3, 1, undefined, 1)", r#""45""#);
    check("pid.getComponent(3, 1, 0, 9)", r#""""#);
    check("pid.getComponent(40, 1)", r#""""#);
    check("pid.getField(40) === undefined", "true");
    check("pid.get(5).get(1)", r#""JANE""#);
    check("m.header.getField(1).toString()", r#""|""#);
    check("m.header.getField(2).toString()", r#""^~\\&""#);
    check("m.header.getField(9).getComponent(2)", r#""A01""#);
    check("m.header.get(8).get(1)", r#""A01""#);
    check(
        "m.getSegment(1)?.name, m.get('ZZZ') === undefined, m.getAll('PID').length",
        r#""PID",true,1"#,
    );
}

#[test]
fn messages_are_changed_and_written() {
    let unchanged =
        r#""MSH|^~\\&|A|B|C|D|20240203||ADT^A01|X1|P|2.5\rPID|1||12^^^H&1.2&ISO~45||DOE^JANE""#;
    check("m.toString()", unchanged);
    check("m.segments.map((s) => s.fields.length), m.toString()", &format!("[12,6],{unchanged}"));
    check(
        "pid.setField(8, 'F'), pid.toString()",
        r#"true,"PID|1||12^^^H&1.2&ISO~45||DOE^JANE|||F""#,
    );
    check(
        "pid.setComponent(3, 4, 'x', 3), pid.getField(3).toString()",
        r#"true,"12^^^H&1.2&ISO&x~45""#,
    );
    check(
        "pid.setComponent(3, 2, 'x', undefined, 2), pid.getField(3).toString()",
        r#"true,"12^^^H&1.2&ISO~45~^x""#,
    );
    check(
        "pid.setComponent(9, 1, 'x'), pid.setField(-1, 'x'), m.header.setField(2, 'x')",
        "false,false,false",
    );
    check("pid.setField(1e9, 'x')", "false");
    check(
        "pid.fields.push(core.Hl7Field.parse('9')), String(pid)",
        r#"7,"PID|1||12^^^H&1.2&ISO~45||DOE^JANE|9""#,
    );
    check(
        "pid.fields[1].components[0][0] = '2', String(pid)",
        r#""2","PID|2||12^^^H&1.2&ISO~45||DOE^JANE""#,
    );
    check(
        "m.setSegment('PID', core.Hl7Segment.parse('ZZZ|1')), m.segments.map((s) => s.name)",
        r#"true,["MSH","ZZZ"]"#,
    );
    check(
        "m.setSegment(9, core.Hl7Segment.parse('ZZZ|1')), m.setSegment(0, pid), m.segments.length",
        "true,false,3",
    );
    check(
        "new core.Hl7Message([new core.Hl7Segment(['MSH', '^~\\\\&', 'A']), new core.Hl7Segment(['PID', '1', 'a^b'])]).toString()",
        r#""MSH|^~\\&|A\rPID|1|a^b""#,
    );
    check(
        "core.Hl7Message.parse('MSH$%!?@$A$B\\rPID$1$a%b').getSegment('PID')?.getComponent(2, 2)",
        r#""b""#,
    );
    check("core.Hl7Message.parse('PID|1')", "Invalid HL7 message: it does not begin with MSH");
}

#[test]
fn acknowledgments_turn_the_message_round() {
    let ack = "m.buildAck({ ackCode: 'AR', errSegment: core.Hl7Segment.parse('ERR||PID^1') }).toString().split('\\r')";
    check(
        &format!("{ack}[0].replace(/\\d{{17}}/, 'ID')"),
        r#""MSH|^~\\&|C|D|A|B|20231114221320||ACK^A01|ID|P|2.5""#,
    );
    check(&format!("{ack}.slice(1)"), r#"["MSA|AR|X1|Application Reject","ERR||PID^1"]"#);
    check(
        "core.Hl7Message.parse('MSH|^~\\\\&').buildAck().toString().replace(/\\d{17}/, 'ID')",
        r#""MSH|^~\\&|||||20231114221320||ACK|ID|P|2.5.1\rMSA|AA||OK""#,
    );
}

#[test]
fn date_times_are_read_and_never_made_up() {
    check("core.parseHl7DateTime('20240203040506.7-0500')", r#""2024-02-03T09:05:06.700Z""#);
    check("core.parseHl7DateTime('2024')", r#""2024-01-01T00:00:00.000Z""#);
    check(
        "core.parseHl7DateTime('20240203', { tzOffset: '+01:00' })",
        r#""2024-02-02T23:00:00.000Z""#,
    );
    check(
        "['20240230', '20241301', 'x', '', '2024-02-03', '\"\"'].map((t) => core.parseHl7DateTime(t) ?? null)",
        "[null,null,null,null,null,null]",
    );
    check(
        "['20240203120000', '20240703120000', '20240703120000Z'].map((t) => core.parseHl7DateTime(t, { tzOffset: 'Europe/Vienna' }))",
        r#"["2024-02-03T11:00:00.000Z","2024-07-03T10:00:00.000Z","2024-07-03T12:00:00.000Z"]"#,
    );
    // It is Medplum's, and promises an instant: `Message.dateTime` does not.
    check(
        "['20261025023000', '20260329023000'].map((t) => core.parseHl7DateTime(t, { tzOffset: 'Europe/Vienna' }))",
        r#"["2026-10-25T00:30:00.000Z","2026-03-29T00:30:00.000Z"]"#,
    );
    check(
        "core.parseHl7DateTime('20240203', { tzOffset: 'Mars/Base' })",
        "RangeError: `Mars/Base` is no time zone: write Europe/Vienna, or +01:00",
    );
    check("core.formatHl7DateTime('2024-02-03T04:05:06.789+01:00')", r#""20240203030506.789""#);
    check("core.formatHl7DateTime(new Date(0))", r#""19700101000000""#);
}

#[test]
fn times_without_an_offset_are_the_channels() {
    let source = "import { Message } from 'pipehat';\n\
                  const m = Message.parse('MSH|^~\\\\&|A|B|C|D|20240703120000||ADT^A01|X1|P|2.5');\n\
                  export const handler = () => [m.dateTime('MSH-7'), m.dateTime('MSH-7', '-05:00')].join(' ');";
    let mut event = text("");
    let said = |event: &_| format!("{:?}", run(source, event).map_err(|error| error.message));
    let utc = "2024-07-03T12:00:00.000Z 2024-07-03T17:00:00.000Z";
    assert!(said(&event).contains(utc), "{}", said(&event));
    event.headers.insert("time-zone".to_owned(), "Europe/Vienna".to_owned());
    let vienna = "2024-07-03T10:00:00.000Z 2024-07-03T17:00:00.000Z";
    assert!(said(&event).contains(vienna), "{}", said(&event));
}

/// As `translate` has it: see `value/time.rs` there.
#[test]
fn an_offset_in_msh_7_counts_where_it_is_not_the_zones() {
    #[track_caller]
    fn check(sent: &str, zone: Option<&str>, expected: &str) {
        let source = format!(
            "import {{ Message }} from 'pipehat';\n\
             const m = Message.parse('MSH|^~\\\\&|A|B|C|D|{sent}||SIU^S12|X1|P|2.5\\r\
             SCH|||||||||||^^^20270115090000^20270701090000');\n\
             export const handler = () => [m.dateTime('SCH-11.4'), m.dateTime('SCH-11.5')].join(' ');"
        );
        let mut event = text("");
        event.headers.extend(zone.map(|zone| ("time-zone".to_owned(), zone.to_owned())));
        let said = format!("{:?}", run(&source, &event).map_err(|error| error.message));
        let expected = expected.split(' ').zip(["01-15", "07-01"]).map(|(hour, day)| {
            let hour = if hour.len() == 2 { format!("{hour}:00") } else { hour.to_owned() };
            format!("2027-{day}T{hour}:00.000Z")
        });
        let expected = expected.collect::<Vec<_>>().join(" ");
        assert!(said.contains(&expected), "{sent} {zone:?}: {said}");
    }
    let zurich = Some("Europe/Zurich");
    for own in [
        "20261106100000+0100",
        "202611061000+0100",
        "20261106+0100",
        "20260706100000.123+0200",
        "20260329+0100",
        "20260329+0200",
        "20261025023000+0200",
        "20261025023000+0100",
        "20261106100000",
        "",
        "soon",
    ] {
        check(own, zurich, "08 07");
    }
    check("20261106100000+0200", zurich, "07 07");
    check("20260706100000+0100", zurich, "08 08");
    check("20261106100000-0530", Some("Asia/Kolkata"), "14:30 14:30");
    check("202611+0100", zurich, "08 08");
    check("20261106100000+0100", None, "08 08");
    check("20261106100000", None, "09 09");
}

#[test]
fn a_day_stays_the_day_it_is() {
    #[track_caller]
    fn check(value: &str, expected: &str) {
        let source = format!(
            "import {{ Message }} from 'pipehat';\n\
             const m = Message.parse('MSH|^~\\\\&|A|B|C|D|20240703||ADT^A01|X1|P|2.5\\rPID|1||||||{value}');\n\
             export const handler = () => String(m.dateTime('PID-7', 'Europe/Vienna'));"
        );
        let said = format!("{:?}", run(&source, &text("")).map_err(|error| error.message));
        assert!(said.contains(&format!("\"{expected}\"")), "{value}: {said}");
    }
    check("19800101", "1980-01-01");
    check("198001", "1980-01");
    check("1980", "1980");
    // HL7 v2.5.1 §2.A.22 allows an offset behind any precision; a day has none in FHIR.
    check("19800101+0900", "1980-01-01");
    check("1980010100", "1979-12-31T23:00:00.000Z");
    check("19801301", "undefined");
    check("unknown", "undefined");
}

/// As `translate` has it: see `value/time.rs` there.
#[test]
fn a_time_that_the_zone_leaves_out_or_has_twice_is_no_instant() {
    #[track_caller]
    fn check(sent: &str, value: &str, zone: &str, expected: &str) {
        let source = format!(
            "import {{ Message }} from 'pipehat';\n\
             const m = Message.parse('MSH|^~\\\\&|A|B|C|D|{sent}||ORU^R01|X1|P|2.5\\rOBR|1||||||{value}');\n\
             export const handler = () => String([m.dateTime('OBR-7', {zone}), m.segment('OBR').dateTime(7, {zone})]);"
        );
        let mut event = text("");
        event.headers.insert("time-zone".to_owned(), "Europe/Vienna".to_owned());
        let said = format!("{:?}", run(&source, &event).map_err(|error| error.message));
        assert!(said.contains(&format!("\"{expected},{expected}\"")), "{value}: {said}");
    }
    let sent = "20261101120000";
    let own = "undefined";
    check(sent, "20261025015959", own, "2026-10-24T23:59:59.000Z");
    check(sent, "20261025023000", own, "2026-10-25");
    check(sent, "2026102502", own, "2026-10-25");
    check(sent, "20261025023000.5", own, "2026-10-25");
    check(sent, "20261025030000", own, "2026-10-25T02:00:00.000Z");
    check(sent, "20260329015959", own, "2026-03-29T00:59:59.000Z");
    check(sent, "202603290200", own, "2026-03-29");
    check(sent, "20260329023000", own, "2026-03-29");
    check(sent, "20260329030000", own, "2026-03-29T01:00:00.000Z");
    // So it is of the zone that the bot names, and not of another.
    check(sent, "20261025023000", "'Europe/Berlin'", "2026-10-25");
    check(sent, "20261025023000", "'UTC'", "2026-10-25T02:30:00.000Z");
    check(sent, "20261025023000", "'America/New_York'", "2026-10-25T06:30:00.000Z");
    check(sent, "20261101013000", "'America/New_York'", "2026-11-01");
    // Who says the offset is believed.
    check(sent, "20261025023000+0100", own, "2026-10-25T01:30:00.000Z");
    check(sent, "20261025023000+0200", own, "2026-10-25T00:30:00.000Z");
    check(sent, "20261025023000", "'+01:00'", "2026-10-25T01:30:00.000Z");
    check("20261101120000+0300", "20261025023000", own, "2026-10-24T23:30:00.000Z");
    // The zone's own offset says only that it is the zone: not which of the two.
    check("20261101120000+0100", "20261025023000", own, "2026-10-25");
}

#[test]
fn references_names_and_outcomes_are_as_documented() {
    check(
        "core.createReference({ resourceType: 'Patient', id: '1', name: [{ given: ['A'], family: 'B' }] })",
        r#"{"reference":"Patient/1","display":"A B"}"#,
    );
    check(
        "core.getReferenceString({ resourceType: 'Patient', id: '1' }), core.resolveId({ reference: 'Patient/2' })",
        r#""Patient/1","2""#,
    );
    check(
        "core.parseReference({ reference: 'Patient/2' }), core.isReference({ reference: 'Patient/2' }, 'Observation')",
        r#"["Patient","2"],false"#,
    );
    check(
        "core.formatHumanName({ prefix: ['Dr'], given: ['A'], family: 'B', use: 'official' }, { all: true })",
        r#""Dr A B [official]""#,
    );
    check(
        "core.formatAddress({ line: ['1 A'], city: 'C', state: 'S', postalCode: '9' })",
        r#""1 A, C, S, 9""#,
    );
    check(
        "core.formatDate('2024-02-03'), core.formatDate('2024-02-03', 'de-DE'), core.formatDateTime('2024-02-03T14:05:06Z')",
        r#""2/3/2024","3.2.2024","2/3/2024, 2:05:06 PM""#,
    );
    check(
        "core.formatDate('2024-02-03', 'tlh')",
        "RangeError: the locale tlh is not available for dates here: use en-US, en-GB, fr-FR, es-ES, it-IT, de-DE, nl-NL, sv-SE",
    );
    check(
        "core.formatQuantity({ value: 5.123, unit: 'mg', comparator: '<' }, 1), core.formatMoney({ value: 1234.5 })",
        r#""< 5.1 mg","$1,234.50""#,
    );
    check(
        "core.normalizeErrorString(new core.OperationOutcomeError(core.badRequest('no', 'Patient.name')))",
        r#""no (Patient.name)""#,
    );
    check(
        "core.isOk(core.created), core.isNotFound(core.normalizeOperationOutcome(core.notFound))",
        "true,true",
    );
    check(
        "core.calculateAgeString('1980-05-06', '2024-05-05'), core.calculateAge('2024-01-31', '2024-03-01').months",
        r#""043Y",1"#,
    );
    check(
        "core.deepEquals({ meta: { versionId: '1' }, a: [1] }, { meta: { versionId: '2' }, a: [1] })",
        "true",
    );
    check(
        "core.stringify({ a: '', b: [], c: 0 }), core.isEmpty({}), core.isUUID(core.generateId())",
        r#""{\"c\":0}",true,true"#,
    );
    check(
        "core.arrayBufferToBase64(new Uint8Array([1, 2, 255])), core.arrayBufferToHex(new Uint8Array([1, 255])), core.encodeBase64('hé')",
        r#""AQL/","01ff","aMOp""#,
    );
    check(
        "core.concatUrls('http://a/b', '/c'), core.getQueryString({ a: 'b|c', d: undefined })",
        r#""http://a/b/c","a=b%7Cc""#,
    );
    check(
        "String(client.fhirUrl('Patient', '1')), client.getProfile()",
        r#""https://datastore.invalid/fhir/R4/Patient/1",{"resourceType":"Bot","id":"1"}"#,
    );
}

#[test]
fn what_there_is_none_of_is_refused_with_the_way_to_do_it() {
    check(
        "new core.MedplumClient({ baseUrl: 'https://other.example' })",
        "MedplumClient is this Pipehat's own datastore and takes no option baseUrl: ask another server by fetch()",
    );
    check(
        "client.setAccessToken('x')",
        "MedplumClient.setAccessToken is not available in Pipehat: a bot has its own identity, and the scopes that its file grants",
    );
}

/// A message with a name in a character set, as bytes.
fn named(msh18: &str, name: &[u8]) -> Vec<u8> {
    let mut message =
        format!("MSH|^~\\&|A|B|C|D|20261101080000||ADT^A28|1|P|2.5.1||||||{msh18}\rPID|1||4711||")
            .into_bytes();
    message.extend_from_slice(name);
    message.extend_from_slice(b"^Anna\r");
    message
}

/// What a script makes of a message: what it hands on as text, and what as bytes.
#[track_caller]
fn check_charset(msh18: &str, name: &[u8], text: &str) {
    let source = "import { send, translate } from 'pipehat';\n\
                  export async function handler(_, event) {\n\
                    const family = event.input.getSegment('PID').getComponent(5, 1);\n\
                    await translate.toFhir(event.input);\n\
                    await send('lab', event.input);\n\
                    if (family !== TEXT) throw new Error(`it is ${family}`);\n\
                    return event.input;\n\
                  }";
    let source = source.replace("TEXT", &format!("{text:?}"));
    let script = Script::load(&project(&[("bot.ts", &source)]), "bot.ts").expect("it loads");
    let message = named(msh18, name);
    let mut worker = Worker::new(&script, tight());
    let (run, host) = run_with(&mut worker, &event(Input::Hl7(message.clone())));
    let asks = host.borrow().asked.clone();
    match run.result {
        Ok(Output::Hl7(returned)) => assert_eq!(returned, message, "{msh18}: returned"),
        other => panic!("{msh18}: {other:?}"),
    }
    let translated = asks.iter().find_map(|ask| match ask {
        Ask::ToFhir { message } => Some(message.clone()),
        _ => None,
    });
    let translated = translated.expect("it asked");
    assert!(translated.contains(&format!("||{text}^Anna")), "{msh18}: {translated}");
    let sent = asks.iter().find_map(|ask| match ask {
        Ask::Send { body, .. } => Some(body.clone()),
        _ => None,
    });
    assert_eq!(sent.expect("it asked"), message, "{msh18}: sent");
}

#[test]
fn text_and_bytes_of_a_message_are_in_its_own_character_set() {
    check_charset("8859/1", b"M\xFCller", "Müller");
    check_charset("8859/15", b"M\xFCller\xA4", "Müller€");
    check_charset("UNICODE UTF-8", "Müller".as_bytes(), "Müller");
    check_charset("", b"M\xFCller", "Müller");
    check_charset("", "Müller".as_bytes(), "Müller");
    check_charset("8859/1~8859/15", b"M\xFCller", "Müller");
    // A byte that is no character comes back as itself.
    check_charset("UNICODE UTF-8", b"M\xFCller", "M\u{10FEFC}ller");
}

#[test]
fn a_message_that_is_returned_as_text_is_in_its_own_character_set() {
    let check = |made: &str, msh18: &str, name: &[u8], expected: &[u8]| {
        let source = format!(
            "import {{ Message }} from 'pipehat';\n\
             export async function handler(_, event) {{ const m = Message.parse(event.input); return {made}; }}"
        );
        let script = script_of(&[("bot.ts", &source)]);
        let given = event(Input::Hl7(named(msh18, name)));
        let (run, _) = run_with(&mut Worker::new(&script, tight()), &given);
        match run.result {
            Ok(Output::Hl7(returned)) => {
                assert_eq!(
                    returned.escape_ascii().to_string(),
                    expected.escape_ascii().to_string(),
                    "{made}"
                );
            }
            other => panic!("{made}: {other:?}"),
        }
    };
    let latin = named("8859/1", b"M\xFCller");
    check("m.toString()", "8859/1", b"M\xFCller", &latin);
    check("event.input.toString()", "8859/1", b"M\xFCller", &latin);
    check("m.toString().replace('Miller', 'Müller')", "8859/1", b"Miller", &latin);
    check(
        "m.toString().replace('UNICODE UTF-8', '8859/1')",
        "UNICODE UTF-8",
        "Müller".as_bytes(),
        &latin,
    );
    check("m.toString()", "GB 18030-2000", b"\xC0\xEE", &named("GB 18030-2000", b"\xC0\xEE"));
}

#[test]
fn what_is_written_into_msh_18_must_be_true() {
    let check = |msh18: &str, name: &[u8], made: &str, expected: Result<&[u8], &str>| {
        let source = format!(
            "import {{ Message }} from 'pipehat';\n\
             export async function handler(_, event) {{ const m = Message.parse(event.input); {made} return m.toString(); }}"
        );
        let script = script_of(&[("bot.ts", &source)]);
        let given = event(Input::Hl7(named(msh18, name)));
        let (run, _) = run_with(&mut Worker::new(&script, tight()), &given);
        match (run.result, expected) {
            (Ok(Output::Hl7(returned)), Ok(expected)) => {
                let returned = returned.escape_ascii().to_string();
                assert_eq!(returned, expected.escape_ascii().to_string(), "{msh18} {made}");
            }
            (Err(error), Err(why)) => {
                assert!(error.to_string().contains(why), "{msh18} {made}: {error}");
            }
            (other, _) => panic!("{msh18} {made}: {other:?}"),
        }
    };
    let lacks = Err("has a character that ASCII (MSH-18) has not");
    let unknown = Err("MSH-18 of the message names no known character set");
    for (msh18, name) in [("8859/1", b"M\xFCller".as_slice()), ("", b"M\xC3\xBCller")] {
        check(msh18, name, "m.set('MSH-18', 'ASCII');", lacks);
        check(msh18, name, "m.set('MSH-18', 'NONSENSE');", unknown);
    }
    // What a sender calls its set stands, though its bytes say otherwise.
    for msh18 in ["ASCII", "NONSENSE"] {
        check(msh18, b"M\xFCller", "", Ok(&named(msh18, b"M\xFCller")));
    }
    let plain = named("NONSENSE", b"Miller");
    check("8859/1", b"Miller", "m.set('MSH-18', 'NONSENSE');", Ok(&plain));
}

#[test]
fn a_mark_before_a_message_is_no_part_of_it() {
    let source = "export async function handler(_, event) { return event.input; }";
    let script = script_of(&[("bot.ts", source)]);
    let message = named("UNICODE UTF-8", b"M\xC3\xBCller");
    let marked = [b"\xEF\xBB\xBF", &*message].concat();
    let (run, _) = run_with(&mut Worker::new(&script, tight()), &event(Input::Hl7(marked)));
    assert!(matches!(&run.result, Ok(Output::Hl7(returned)) if *returned == message));
}

#[test]
fn what_is_counted_is_one_ask_of_the_host() {
    let source = "import { state } from 'pipehat';\n\
                  export async function handler() {\n  \
                    const sums = await Promise.all([state.add('seen'), state.add('seen', 4), state.add('seen', -2)]);\n  \
                    return [...sums, await state.get('seen')];\n}";
    let script = script_of(&[("bot.ts", source)]);
    let (run, host) = run_with(&mut Worker::new(&script, tight()), &text(""));
    assert!(
        matches!(&run.result, Ok(Output::Json(sums)) if sums == "[1,5,3,3]"),
        "{:?}",
        run.result
    );
    let host = host.borrow();
    let added: Vec<(&str, i64)> = host
        .asked
        .iter()
        .filter_map(|ask| match ask {
            Ask::StateAdd { key, by } => Some((key.as_str(), *by)),
            _ => None,
        })
        .collect();
    assert_eq!(added, [("seen", 1), ("seen", 4), ("seen", -2)]);
    assert!(!host.asked.iter().any(|ask| matches!(ask, Ask::StateSet { .. })), "{:?}", host.asked);
}

#[test]
fn nothing_but_whole_numbers_is_counted() {
    for by in ["0.5", "'1'", "2 ** 53", "NaN", "null"] {
        let source = format!(
            "import {{ state }} from 'pipehat';\n\
             export const handler = async () => {{ await state.set('seen', 7); await state.add('seen', {by} as number); }};"
        );
        let script = script_of(&[("bot.ts", &source)]);
        let (run, host) = run_with(&mut Worker::new(&script, tight()), &text(""));
        let error = run.result.expect_err("it is refused");
        assert!(error.message.contains("state.add: it adds whole numbers"), "{by}: {error:?}");
        assert_eq!(host.borrow().state.get("seen").map(String::as_str), Some("7"), "{by}");
    }
}
