//! The codes that loading a project reports, beside those of reading its files.

use pipehat_config::CodeDescription;

const fn code(code: &'static str, cause: &'static str, remedy: &'static str) -> CodeDescription {
    CodeDescription { code, cause, remedy }
}

/// All codes of projects and channels.
pub const CODES: &[CodeDescription] = &[
    code(
        "bot.allow",
        "What a bot is granted is not there, or is written in another form.",
        "Follow the message: name channels and bots of the project, secrets that are there, and hosts.",
    ),
    code(
        "bot.criteria",
        "The criteria of a bot's subscription can't be read, or no resource can meet them.",
        "Write a search such as `Patient?active=true`, and `when` as a FHIRPath condition. A search parameter of the \
         datastore's own is named in `custom`.",
    ),
    code(
        "bot.cron",
        "The times of a bot can't be read.",
        "Write five fields: minute, hour, day of the month, month, day of the week.",
    ),
    code("bot.name", "The name in the file is not the name of the file.", "Make them the same."),
    code(
        "bot.no-datastore",
        "A bot asks for the datastore, and the project has none.",
        "Add `datastore:` to pipehat.yaml, or take it out of the bot's file.",
    ),
    code(
        "bot.scope",
        "A scope can't be read, or gives nothing.",
        "Write it as SMART App Launch 2 does: `system/Patient.rs`.",
    ),
    code(
        "bot.script",
        "The script of a bot is not there, or can't be read.",
        "Put it into the folder `bots`, and name it with `script` where it is not called as the bot is.",
    ),
    code("bot.secret", "A secret that a bot names is not there.", "Set it as the message says."),
    code(
        "bot.triggers",
        "A bot has too many triggers of a kind.",
        "Divide the work among several bots.",
    ),
    code("bot.webhook", "The header of a webhook can't be read.", "Write its name: `X-Signature`."),
    code(
        "channel.appended-twice",
        "Two values of one `set` each add a repetition of their own.",
        "Write `[+1]` for the first, and `[last]` for the others.",
    ),
    code(
        "channel.bot",
        "A step names a bot that the project has not, or asks what it can't give.",
        "Add `bots/NAME.yaml` and its script, or name another.",
    ),
    code(
        "channel.charset",
        "`charset`, or what a step writes into MSH-18, names no known character set.",
        "Write a name of HL7 table 0211, such as `UNICODE UTF-8`.",
    ),
    code(
        "channel.copy",
        "A larger part of a message does not fit into a smaller one.",
        "Name the component or repetition that is meant.",
    ),
    code(
        "channel.date-pattern",
        "A date pattern can't be read.",
        "Write `hl7`, `iso` or a pattern such as `dd.MM.yyyy HH:mm`.",
    ),
    code(
        "channel.deletions",
        "The source gives deletions, and a destination can't make them happen at its peer; or they may overtake what was written before.",
        "Follow the message: `mode: update` at a `fhir` destination, `when: fhir.change != \"delete\"`, `order: strict`, or `on: [create, update]` at the source.",
    ),
    code(
        "channel.delimiter-in-text",
        "A text that is written has a delimiter in it, which will be escaped.",
        "Name each component, or write the value as `{ raw: … }`.",
    ),
    code(
        "channel.destinations",
        "A channel has too many destinations.",
        "Divide the work among several channels.",
    ),
    code(
        "channel.each",
        "`each` can't go over this.",
        "Name a segment (`OBX`) or a field that repeats (`PID-3`).",
    ),
    code("channel.expression", "A condition can't be read.", "Mend it at the character shown."),
    code(
        "channel.fhirpath",
        "A FHIRPath expression can't be read, or begins with an element that the resource does not have.",
        "See the message; begin with an element, as in `identifier.where(system = 'urn:x').value`.",
    ),
    code(
        "channel.fixed-condition",
        "A condition gives the same answer for every message.",
        "Name a field in it, or remove it.",
    ),
    code(
        "channel.format",
        "A connector does not know the format of the channel's messages, or something in the file reads HL7 v2 where they are JSON.",
        "Follow the message: take another connector, or remove what reads HL7 v2.",
    ),
    code(
        "channel.index",
        "A channel adds too many paths to the index.",
        "Keep those that people search by.",
    ),
    code(
        "channel.kept-by-sender",
        "A translation into a datastore says nothing of authorities that have a name and no OID: a number of theirs is known by its sender, so that a result of one sender does not find the patient whom another told.",
        "Write `system_base`, or `systems` in an overlay, where a name means the same from every sender; else `sender`.",
    ),
    code(
        "channel.lookup",
        "A channel has too many `lookup` steps.",
        "Divide the work among several channels.",
    ),
    code(
        "channel.lookup-search",
        "The `search` of a `lookup` step can't be read, or asks by what R4 does not have.",
        "Write it as `Patient?identifier={PID-3.1}`: a type of resource, and its search parameters. Those of a server's own \
         are named in `custom`.",
    ),
    code(
        "channel.name",
        "The name in the file is not the name of the file.",
        "Make them the same.",
    ),
    code(
        "channel.no-changes",
        "A condition asks what happened to a resource (`fhir.change` and the like), and the channel's source gives no changes of a datastore.",
        "Take the condition out, or ask by `header(…)` what the sender says of itself.",
    ),
    code("channel.no-steps", "A list of steps is empty.", "Add a step, or remove the line."),
    code(
        "channel.not-in-this-version",
        "A step is known, but not in this version.",
        "Remove it, or update Pipehat.",
    ),
    code(
        "channel.not-writable",
        "This place of a message can't be written.",
        "Name a field; MSH-1 and MSH-2 never change.",
    ),
    code("channel.nothing-to-do", "A step changes nothing.", "Say what it shall do."),
    code(
        "channel.nothing-to-set",
        "A `set` has no value.",
        "Write a path and its value; to empty a field, use `clear`.",
    ),
    code("channel.order", "`order` can't be read.", "Write `strict`, `none` or `by PID-3.1`."),
    code("channel.path", "A path can't be read.", "Mend it at the character shown."),
    code(
        "channel.profile",
        "A `validate` step names a profile that there is not.",
        "Add the file `profiles/NAME.yaml`, or write the name of one that is there.",
    ),
    code(
        "channel.raw-value",
        "A raw value has a delimiter that would end the place it is written to.",
        "Leave it out, or escape it.",
    ),
    code(
        "channel.replies-to",
        "`replies_to` names no other channel of the project.",
        "Name a channel that takes the replies as its messages, or add one.",
    ),
    code(
        "channel.reply",
        "It is not clear what the sender is told.",
        "Name the destination whose reply goes back.",
    ),
    code(
        "channel.retry",
        "The pauses between tries contradict each other.",
        "Make `most` at least as long as `first`.",
    ),
    code(
        "channel.segment",
        "The name of a segment belongs here, or this segment can't be used here.",
        "Write three capital letters, such as `ZPI`.",
    ),
    code(
        "channel.sequence-numbers",
        "The channel can't keep the sequence number protocol: messages would go out of their turn, or nobody would learn which number is expected.",
        "Follow the message: `order: strict`, `give_up: never` and `on_interrupted: resend` at a destination, a reply at a source.",
    ),
    code(
        "channel.split",
        "A message can't be split here, or it is not said how.",
        "Write `split: batch` as the first step, or `split: { each: OBR }`.",
    ),
    code(
        "channel.step-form",
        "A step is not written as a step.",
        "Write its name, a colon and what it needs.",
    ),
    code(
        "channel.step-of-channel",
        "A destination has a step that concerns the whole message.",
        "Move it to the channel's `steps`.",
    ),
    code(
        "channel.template",
        "A text with places to fill in can't be read.",
        "Mend it at the character shown; `{{` is a brace itself.",
    ),
    code(
        "channel.time-zone",
        "There is no such time zone.",
        "Write it as Region/City, such as `Europe/Berlin`.",
    ),
    code(
        "channel.too-deep",
        "Steps stand too deep in steps.",
        "Join conditions, or use a code table.",
    ),
    code("channel.too-many-steps", "A channel has too many steps.", "Use a code table and `map`."),
    code(
        "channel.translate",
        "A translation into an event or a version for which there are no tables.",
        "Name one of those in the message, or `auto`.",
    ),
    code("channel.two-places", "A new segment has both `after` and `before`.", "Keep one of them."),
    code(
        "channel.unknown-answer",
        "`on` names an answer that the connector's peers never give.",
        "Name one of the answers in the message.",
    ),
    code(
        "channel.unknown-column",
        "A code table does not have this column.",
        "Name one of its columns.",
    ),
    code(
        "channel.unknown-destination",
        "A channel does not have this destination.",
        "Add it, or name one that is there.",
    ),
    code(
        "channel.unknown-place",
        "A path names a segment, a field or a component that no version of HL7 v2 has: nothing stands there but in a dialect.",
        "Mend the name; a segment of a site's own begins with Z.",
    ),
    code(
        "channel.unknown-table",
        "There is no such code table.",
        "Put it into the folder `tables`, or name one that is there.",
    ),
    code(
        "channel.unreachable-destination",
        "No message ever reaches a destination.",
        "Name it in a `route` step, or remove it.",
    ),
    code(
        "channel.unreachable-step",
        "No message ever reaches a step.",
        "Remove it, move it up, or add a `when` to the one before.",
    ),
    code(
        "channel.unused-setting",
        "A setting that has no effect beside the others.",
        "Remove the line, or change the setting it depends on, as the message says.",
    ),
    code(
        "channel.when-missing",
        "`do` or `else` stands without a condition.",
        "Add `when` or `each`.",
    ),
    code(
        "channel.zone-unknown",
        "A date shall go to another time zone, and its own is not known.",
        "Add `read_zone`, or `time_zone` for the channel.",
    ),
    code(
        "overlay.code",
        "An overlay maps a code to one that FHIR's own code system does not have.",
        "Choose a code of that system.",
    ),
    code(
        "overlay.codes",
        "An overlay has codes for a table by which no row translates.",
        "Correct the name of the table, or add the row that uses it.",
    ),
    code(
        "overlay.message",
        "An overlay adds to a message structure that HL7 has not.",
        "Write its name as in the standard: `ADT_A01`.",
    ),
    code(
        "overlay.nothing-dropped",
        "An overlay drops a row that the tables have not.",
        "Remove it, or look the map and the field up in the mapping tables.",
    ),
    code("overlay.row", "A row of an overlay can't be read.", "Mend the cell shown."),
    code(
        "overlay.unused",
        "An overlay has rows for a segment that no message of its `messages` uses; they are never run.",
        "Add the segment to `messages`, or remove the rows.",
    ),
    code(
        "overlay.uri",
        "What an overlay names as a system, or `system_base`, is no URI.",
        "Write it whole: `https://good.example/id/mrn` or `urn:oid:1.2.3`.",
    ),
    code("project.bots", "A project has too many bots.", "Run several installations."),
    code("project.channels", "There are too many channels.", "Run several installations."),
    code(
        "project.clash",
        "Two channels listen at one address, or take from one folder.",
        "Give one of them another.",
    ),
    code(
        "project.datastore",
        "A setting of the datastore can't be used.",
        "Write it as the message says.",
    ),
    code(
        "project.file-ending",
        "A file would be read if it had another ending.",
        "Rename it, or move it elsewhere.",
    ),
    code(
        "project.key-in-data",
        "The key lies in the directory that it seals.",
        "Keep it elsewhere.",
    ),
    code(
        "project.listen",
        "The admin API would listen where other machines reach it, or on a name.",
        "Write a loopback address; put a reverse proxy with TLS before it.",
    ),
    code(
        "project.mapping",
        "A `translate` names an overlay or a receiver that there is not.",
        "Add the file `mappings/NAME.yaml` or `receivers/NAME.yaml`, or write the path of one that is there.",
    ),
    code("project.name", "This can't be a name.", "Use small letters, digits, `-` and `_`."),
    code(
        "project.no-channels",
        "There is no channel, and no datastore.",
        "Add a file `channels/NAME.yaml`, or a section `datastore:` to `pipehat.yaml`.",
    ),
    code(
        "project.secret",
        "A secret that `pipehat.yaml` names is not there, or empty.",
        "Put it where secrets are kept, as the message says.",
    ),
    code("project.table", "A code table has a mistake.", "Mend the line shown."),
    code(
        "project.test-change",
        "A case says which change of a resource its message tells of, and the channel's source gives no changes.",
        "Remove `fhir` from its `case.yaml`.",
    ),
    code(
        "project.test-channel",
        "There are cases for a channel that does not exist.",
        "Name the folder as the channel is named.",
    ),
    code(
        "project.test-lookup",
        "A channel searches, and the case of a test does not say what is found.",
        "Put the resources that it searches into `datastore.json` beside the case, or the answer into `lookup.json`.",
    ),
    code("project.unreadable", "A file or folder can't be read.", "Check who may read it."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_explained() {
        assert!(CODES.is_sorted_by(|one, other| one.code < other.code));
        assert!(CODES.iter().all(|code| !code.cause.is_empty() && !code.remedy.is_empty()));
    }
}
