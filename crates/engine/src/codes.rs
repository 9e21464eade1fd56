//! The codes of the path: what came of a message's steps and deliveries, with cause and remedy.

use pipehat_config::CodeDescription;

const fn code(code: &'static str, cause: &'static str, remedy: &'static str) -> CodeDescription {
    CodeDescription { code, cause, remedy }
}

/// All codes that a running channel gives messages and deliveries, beside those of connectors.
pub const CODES: &[CodeDescription] = &[
    code(
        "channel.failed",
        "A defect of Pipehat ended a channel. Its senders are refused; what was kept is kept.",
        "Restart Pipehat: the channel goes on where it was. Report the defect with the log.",
    ),
    code(
        "decided.discarded",
        "A person discarded the message or delivery; the reason is kept with it.",
        "Nothing. To send it after all, use `pipehat messages resend`.",
    ),
    code(
        "delivery.destination-removed",
        "The delivery was waiting for a destination that the channel no longer has.",
        "Add the destination again and release the delivery, or discard it.",
    ),
    code(
        "delivery.failed",
        "A defect of Pipehat: the connector ended in a panic on this delivery. It may have been sent.",
        "Ask the receiving side whether it has the message; release or discard it, and report the defect.",
    ),
    code(
        "delivery.query-overdue",
        "A query waited for its turn longer than its asker waits for the answer (`timeout` of `reply`). It was not sent.",
        "Nothing for this one: its asker has an error and asks again. If it repeats, see why the destination is slow, or \
         give it more `connections` and the channel `order: none`.",
    ),
    code(
        "delivery.reply-not-taken",
        "What a partner answered was not taken by the channel that `replies_to` names: it does not run, refuses it, or can't keep it.",
        "See why that channel takes nothing. The reply stands with the message that was answered: `pipehat messages show`.",
    ),
    code(
        "delivery.unreadable",
        "What was to be sent can't be read any more: its place in the journal is damaged, or a repair had to give it up.",
        "Stop Pipehat and run `pipehat journal verify`. Ask the sender for the message again, then discard this one.",
    ),
    code(
        "program.anchor-absent",
        "`add_segment` found none of the segments it was to stand beside. The new one stands at the end.",
        "Name a segment in `after` or `before` that these messages have.",
    ),
    code(
        "program.batch",
        "The batch can't be cut into messages: something in it belongs to no message, or it has too many.",
        "Look at the message as received; ask the sender for a sound batch.",
    ),
    code(
        "program.bot-failed",
        "The bot of a `bot` step failed on the message: it threw, or used more than it may. Its run says where.",
        "`pipehat bot show RUN --contents` tells why. Mend the script; then release the message.",
    ),
    code(
        "program.bot-result",
        "What the bot of a `bot` step returned can't go on: it is no HL7 v2 message where HL7 v2 goes on, or several in one text, or an acknowledgment of the message itself, or `false` or a number.",
        "Return an `Hl7Message` or nothing; or say `result: ignored`, or `result: reply` for an acknowledgment.",
    ),
    code(
        "program.bot-send",
        "A bot sent to a destination that the channel has not.",
        "Name a destination of the channel, or add it; then release the message.",
    ),
    code(
        "program.character-set-unknown",
        "MSH-18 names a character set that is not known. The message was read byte by byte.",
        "Name the set with `charset` in the channel, or ask the sender to name it as in table 0211.",
    ),
    code(
        "program.date-unreadable",
        "A `date` step found a value that has not the form of its `read` pattern, or a local time that no clock showed.",
        "Correct the pattern or the time zone, or say by `otherwise` what such values become; then release the message.",
    ),
    code(
        "program.each-too-large",
        "An `each` would go over very many places of a very large message.",
        "Narrow it by a `when`, or split the message first.",
    ),
    code(
        "program.edit-refused",
        "A step would write what a message can't hold, or something larger than its limits.",
        "Look at the step named with the message, and at the message; correct one of them and release it.",
    ),
    code(
        "program.failed",
        "A defect of Pipehat: the steps ended in a panic on this message.",
        "Report the defect. The message is kept; release it when the defect is mended.",
    ),
    code(
        "program.filtered",
        "The message did not fulfil `accept`, or a `filter` ended it.",
        "Nothing, if it was meant. The step is named with the message.",
    ),
    code(
        "program.lookup-no-match",
        "A `lookup` step found nothing, could not search because a place of its search is empty in the message, or found a \
         resource without the value.",
        "Enter what is missing where it is searched, or say by `otherwise` what such messages become; then release the message.",
    ),
    code(
        "program.lookup-refused",
        "The search of a `lookup` step was refused, or not answered for as long as `retry` allows; the detail says which.",
        "Look at the server and at what the client may read there; then release the message: it searches again.",
    ),
    code(
        "program.lookup-search",
        "The search that a `lookup` step makes from the message is too long.",
        "Look at the values that the step fills in, and at the message.",
    ),
    code(
        "program.lookup-several",
        "Several resources meet the search of a `lookup` step, and it is not known which is meant.",
        "Make the search narrower, join the resources that are one, or say by `several` what follows; then release the message.",
    ),
    code(
        "program.lookup-too-many",
        "The message would take more than 100 searches, or what a receiver was told of an order, a visit or an appointment is further back than its last 64 versions: whether it was, as whose, and by which number.",
        "Put a `when` beside the `lookup`, or split the message first. Else tell the receiver, and discard the message.",
    ),
    code(
        "program.lookup-value",
        "An expression of a `lookup` step gives several values, no simple one, or can't be evaluated on what was found.",
        "Choose one value by `first()` or `where(…)`; then release the message.",
    ),
    code(
        "program.lookup-waits",
        "The message holds its lane: a `lookup` step got no answer, and asks again by its `retry`.",
        "See the detail for what keeps the server from answering. `pipehat messages` releases (asks at once) or discards it.",
    ),
    code(
        "program.map-no-match",
        "A `map` step found a code that its table does not have.",
        "Add the code to the table, or say by `otherwise` what unknown codes become; then release the message.",
    ),
    code(
        "program.no-destination",
        "No destination wanted the message: the `when` of none of them holds.",
        "Nothing, if it was meant; otherwise correct the `when` of the destinations.",
    ),
    code(
        "program.not-in-character-set",
        "The character set that MSH-18 names lacks a character of the message, or a step wrote a name into MSH-18 that no set is known by.",
        "Write what it has, or name the partner's set with `charset` in the channel.",
    ),
    code(
        "program.output-too-large",
        "What the steps made of the message is too large for the journal to keep.",
        "Look at the steps; make less of it, or split it.",
    ),
    code(
        "program.outputs-too-large",
        "What would be sent of the message is too large altogether.",
        "Split the work among several channels, or ask the sender for smaller messages.",
    ),
    code(
        "program.park",
        "A `park` step set the message aside; the reason is the step's.",
        "Do what the reason says, then release or discard the message.",
    ),
    code(
        "program.rejected",
        "A `reject` step refused the message; its place is named here, and not told to the sender.",
        "Nothing, if it was meant; the sender has the code and the text of the step.",
    ),
    code(
        "program.segment-absent",
        "A step wrote to a segment that the message does not have; nothing was written.",
        "Nothing, if it was meant; otherwise add the segment first, or put a `when` beside the step.",
    ),
    code(
        "program.split",
        "A part that `split` cut out can't be read as a message.",
        "Look at the message as received; the step is named with it.",
    ),
    code(
        "program.stopped",
        "Who was asked for a step stopped before there was an answer.",
        "Nothing: it is asked again, at the latest by the next start.",
    ),
    code(
        "program.too-many-outputs",
        "More messages would come of this one than a message may become.",
        "Ask the sender for smaller batches.",
    ),
    code(
        "program.translate",
        "A `translate` step could say nothing of the message in the other standard.",
        "The reason says why: an event without tables, resources that are not what the event is about, or a change of what the receiver has as another patient's or under another number: docs/translate.md says what to do then.",
    ),
    code(
        "program.translate-incomplete",
        "A message made of FHIR would lack a segment that the standard requires, the patient it is about, or what is ordered, resulted, given or charged: it was not sent.",
        "The reason names what is missing. Complete the resource or what it refers to, and release the message; a receiver that takes such messages has `incomplete: keep` in the step.",
    ),
    code(
        "program.unreadable",
        "The message can't be read as HL7 v2.",
        "Look at the message as received; discard it, and ask the sender what it is.",
    ),
    code(
        "receive.control-id-reused",
        "The sender used a control id (MSH-10) again for another message. Both were processed.",
        "Ask the sender for a control id of its own for each message: replies can't be told apart.",
    ),
    code(
        "receive.header",
        "The message's header (MSH) can't be read, or says no message type (MSH-9). It is kept, and was refused with AR.",
        "Look at the message as received; ask the sender what it is.",
    ),
    code(
        "receive.json",
        "The channel's messages are JSON, and what came is no JSON object. It was refused.",
        "The detail says where it breaks. Correct the sender, or `format` of the channel.",
    ),
    code(
        "receive.link-control",
        "The sender started the link or began to count anew (MSH-13 0 or -1). The message has no content and goes nowhere.",
        "Nothing: it was answered with the number that is expected next.",
    ),
    code(
        "receive.sequence-before",
        "The sender used a sequence number (MSH-13) again for another message. It was refused with AR; MSA-4 said which number is next.",
        "Ask the sender to go on with the number in MSA-4, or to begin anew with MSH-13 -1.",
    ),
    code(
        "receive.sequence-gap",
        "The sender left sequence numbers (MSH-13) out: messages are missing. It was refused with AR; MSA-4 said which number is next.",
        "Ask the sender to send the missing messages, or to begin anew with MSH-13 -1 if they are lost.",
    ),
    code(
        "receive.sequence-links",
        "More senders (MSH-3, MSH-4) than a channel with `sequence_numbers` knows apart, or one whose name is too long.",
        "Give groups of senders channels of their own.",
    ),
    code(
        "receive.sequence-missing",
        "The channel's `sequence_numbers` is true and MSH-13 is missing, or is no sequence number. The message was refused.",
        "Ask the sender to number its messages, or remove `sequence_numbers`.",
    ),
    code(
        "reply.late",
        "A sender waited longer for what becomes of its message than `timeout` of the channel's `reply` allows, and was answered AE. The message is kept and goes on.",
        "See in `pipehat status` what holds it up: a message that holds its lane, or a destination that does not answer. Allow more time with `reply: { mode: …, timeout: … }`, or use `reply: received`.",
    ),
    code(
        "source.ended",
        "A channel's source ended although nobody stopped it: a defect of Pipehat.",
        "Restart Pipehat, or call the admin API's `apply`, and report the defect with the log.",
    ),
    code(
        "translate.ambiguous",
        "Several results of one code that nothing tells apart but their order (OBX-4 is empty). Or an ORC alone in an ORM^O01, which doesn't say what is ordered.",
        "Let the sender value OBX-4 or OBX-21: a correction of one of them alone is not matched. Let it tell RXO with each change of a drug's order.",
    ),
    code(
        "translate.code-unmapped",
        "A code that the tables of translation do not map: kept as text and with its local system, but where FHIR takes no other codes (a status is `unknown`, say, or left out).",
        "Add it to the tables of the feed where receivers need the standard code.",
    ),
    code(
        "translate.deleted",
        "A `\"\"` (delete) in a message: the resource leaves the element out.",
        "Nothing, as a rule.",
    ),
    code(
        "translate.incomplete",
        "What the other standard requires and the message or the resources lack: a resource that was not made, a field that is empty.",
        "Ask the sender for what is missing. A message without a required segment is set aside (`program.translate-incomplete`).",
    ),
    code(
        "translate.left-out",
        "A patient, a visit or an order that the message only refers to was left out, for nothing can look for its number: the number's authority has no known URI. What refers to it leads to what the same sender told of that number, and nowhere where it told nothing. Or an answer to an order says what became of it (ORC-1): it changes no order that is stored.",
        "Set `system_base` of the translation, where a name means the same from every sender; or name the system in an overlay. For answers see `examples/orders`.",
    ),
    code(
        "translate.lineage-not-kept",
        "A translation's lineage was larger than may be kept with a message, or the message became more than 1,000.",
        "Nothing: `pipehat message translate --lineage` on the message's bytes tells it.",
    ),
    code(
        "translate.more",
        "A translation had more findings than are kept one by one.",
        "Nothing: the message has them all when it is translated again.",
    ),
    code(
        "translate.not-mapped",
        "A populated place that no row of the tables takes over.",
        "Add a rule where receivers need it.",
    ),
    code(
        "translate.structure-unknown",
        "A message whose structure no table covers, or whose event HL7 does not have.",
        "Send it elsewhere, or filter it before the translation.",
    ),
    code(
        "translate.system-unknown",
        "An identifier or a code whose authority has no known URI.",
        "Set `system_base`, or name the system.",
    ),
    code(
        "translate.value-unfit",
        "A value that the type of the other standard can not carry.",
        "Ask the sender for a sound value.",
    ),
    code(
        "translate.zone-missing",
        "A date-time without a zone, where nothing says which: kept as a date.",
        "Set `time_zone` of the channel or of the step.",
    ),
    code(
        "validation.failed",
        "A `validate` step found errors, and its channel sets such messages aside.",
        "Look at the findings kept with the message; ask the sender to correct it, or lower the step's level. Then release or discard the message.",
    ),
    code(
        "validation.finding",
        "A `validate` step found a departure from the standard: the path, what is wrong, and the rule's name.",
        "Nothing, if the receivers can live with it; docs/validation.md has all rules.",
    ),
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
