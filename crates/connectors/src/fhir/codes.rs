//! What the FHIR connector may tell an operator.

use crate::OperatorCode;
use crate::http::reading::ReadingCodes;

pub(super) const NOT_JSON: OperatorCode = OperatorCode {
    code: "fhir.not-json",
    cause: "The payload is no FHIR resource as JSON.",
    remedy: "Only channels whose messages are JSON (`format: json`) can write to a FHIR server. Correct whoever made the \
             payload.",
};

pub(super) const NO_ID: OperatorCode = OperatorCode {
    code: "fhir.no-id",
    cause: "The resource is to be written under its `id`, and has none, or one that FHIR does not allow.",
    remedy: "Set `mode: update` with `search`, or `mode: create` with `if_none_exist`; or give the resource an id.",
};

pub(super) const NO_TRANSACTION: OperatorCode = OperatorCode {
    code: "fhir.no-transaction",
    cause: "`mode` is `transaction`, and the payload is no Bundle of type transaction or batch.",
    remedy: "Leave `mode` out: then Bundles are performed and other resources written under their ids.",
};

pub(super) const NO_DELETION: OperatorCode = OperatorCode {
    code: "fhir.no-deletion",
    cause: "A resource was deleted in the datastore, and this destination can't tell its server so: by its `mode` nobody \
            knows which resource is meant, or the resource is a Bundle that was performed.",
    remedy: "Delete on the server by hand, then discard the message. For those to come: `mode: update` (with `search` where \
             the ids differ), or `when: fhir.change != \"delete\"` at the destination.",
};

pub(super) const CONDITION: OperatorCode = OperatorCode {
    code: "fhir.condition",
    cause: "The condition in `search` or `if_none_exist` can't be made of this resource: a place in it gives no value, or \
            several.",
    remedy: "See the detail for the place. Choose one by `first()` or `where(…)`; or correct the resource and resend.",
};

pub(super) const NOT_OPEN: OperatorCode = OperatorCode {
    code: "fhir.datastore-not-open",
    cause: "The datastore of this Pipehat is not open: `datastore` was added to `pipehat.yaml` while it ran.",
    remedy: "Start Pipehat again. The message is sent then.",
};

pub(super) const NO_DATASTORE: OperatorCode = OperatorCode {
    code: "fhir.no-datastore",
    cause: "A channel uses the datastore of this Pipehat, and the project has none.",
    remedy: "Add `datastore:` to `pipehat.yaml`, or name a server by its address.",
};

pub(super) const TOKEN_FAILED: OperatorCode = OperatorCode {
    code: "fhir.token-failed",
    cause: "The authorization server gave no access token, so nothing was sent.",
    remedy: "Check `client`: its `token_url`, `id`, `secret` and `scope`. The message is tried again.",
};

pub(super) const CONNECT_FAILED: OperatorCode = OperatorCode {
    code: "fhir.connect-failed",
    cause: "The server can't be reached: its name is not known, nothing listens there, a firewall is between, or the TLS \
            handshake failed. Nothing was sent.",
    remedy: "Check `base`, the network and the certificates. The message is tried again.",
};

pub(super) const RESPONSE_TIMEOUT: OperatorCode = OperatorCode {
    code: "fhir.response-timeout",
    cause: "The request was sent, and no complete response came within `timeout`.",
    remedy: "Nothing: sent again, it changes nothing that was done already. Raise `timeout` if the server needs longer.",
};

pub(super) const RESPONSE_LOST: OperatorCode = OperatorCode {
    code: "fhir.response-lost",
    cause: "The connection ended before the response was complete. The server may have performed the request.",
    remedy: "Nothing: sent again, it changes nothing that was done already. If it goes on, look at proxies between.",
};

pub(super) const MAY_DOUBLE: OperatorCode = OperatorCode {
    code: "fhir.create-interrupted",
    cause: "A create without a condition (alone, or in a Bundle) was sent, and no complete response came. Sent again, it \
            may make a second resource, so it is set aside.",
    remedy: "Look on the server whether it is there; then resend it or discard it. Better: give creates a condition \
             (`if_none_exist`, in Bundles `ifNoneExist`). `on_interrupted: resend` sends them again.",
};

pub(super) const REPLY_TOO_LARGE: OperatorCode = OperatorCode {
    code: "fhir.reply-too-large",
    cause: "The response's body is larger than `reply_bytes_max`. Its status was honoured; the body was not kept.",
    remedy: "Raise `reply_bytes_max` if the reply is wanted.",
};

pub(super) const REFUSED: OperatorCode = OperatorCode {
    code: "fhir.refused",
    cause: "The server answered that it does not take the resource, or not every entry of a batch.",
    remedy: "Read the reply in the message's record: its OperationOutcome says why. Correct the resource or the server, \
             then resend. What is done of itself is decided by `on:`.",
};

pub(super) const OTHER_PATIENT: OperatorCode = OperatorCode {
    code: "fhir.other-patient",
    cause: "The message tells a number of another patient than the resource with that number stands with, and the two were not \
            merged: a number was given twice, or somebody had taken the wrong patient. Nothing of the message was stored. The \
            detail names the resource's type, the element and the entry of the Bundle.",
    remedy: "A person has to see whose it is. If what stands is wrong, correct its patient or delete it, then release the message; if \
             the message is, discard it and have it sent anew. Two records of one person are merged first (ADT^A40). A sender that \
             corrects a wrong patient so: `other_patient: take` of its translation.",
};

pub(super) const SEARCH_REFUSED: OperatorCode = OperatorCode {
    code: "fhir.search-refused",
    cause: "The server answered a search of a `lookup` step with an error: the detail names its status.",
    remedy: "Check the step's `search` and what the client may read there; release the message when it is mended. What is \
             done of itself is decided by `on:`.",
};

pub(super) const SEARCH_FAILED: OperatorCode = OperatorCode {
    code: "fhir.search-failed",
    cause: "A search of a `lookup` step was asked, and no complete answer came. It changes nothing to ask again.",
    remedy: "Nothing: it is asked again. If it goes on, look at the server, or raise `timeout`.",
};

pub(super) const ANSWER_UNREADABLE: OperatorCode = OperatorCode {
    code: "fhir.answer-unreadable",
    cause: "The server answered a search with success, and without the Bundle of what it found (type searchset).",
    remedy: "Check `base`: it names the address of the FHIR API, version R4.",
};

pub(super) const ANSWER_TOO_LARGE: OperatorCode = OperatorCode {
    code: "fhir.answer-too-large",
    cause: "The answer to a search is larger than `reply_bytes_max`, or the resource in it larger than 1 MiB.",
    remedy: "Raise `reply_bytes_max`, or ask for less: `_elements` in the search names the elements that are needed.",
};

pub(super) const ASKED_TO_WAIT: OperatorCode = OperatorCode {
    code: "fhir.asked-to-wait",
    cause: "The server said how long to wait before the next try (Retry-After), and that time is not over.",
    remedy: "Nothing: the message is sent when it is.",
};

pub(super) const FEED_FAILED: OperatorCode = OperatorCode {
    code: "fhir.feed-failed",
    cause: "The changes of the datastore can't be read, or it can't be noted how far a channel got.",
    remedy: "The detail says why; look at the disk and the database. It is tried again every second, and nothing is left out.",
};

pub(super) const FEED_AHEAD: OperatorCode = OperatorCode {
    code: "fhir.feed-ahead",
    cause: "The channel has got to a change that the datastore does not have: an older copy of the datastore was restored, \
            and the data directory was not. Until the datastore has made as many changes again, the channel takes none of \
            them: it would hold them for those it had.",
    remedy: "Restore both to the same moment. Where that can't be done, give the channel another name (its file and \
             `channel:`): it is a new one then and begins with the changes from now on, or with `start: beginning` with \
             the first. Send by hand what changed since the copy was restored, if it is needed.",
};

pub(super) const FEED_PARAMETER: OperatorCode = OperatorCode {
    code: "fhir.feed-parameter",
    cause: "The criteria of a channel ask by a search parameter of the datastore's own (`custom`), and the datastore does not \
            have it now. The channel takes no change until it does, and leaves none out.",
    remedy: "Put the SearchParameter into the datastore, with `status` active; or take it out of the criteria. Right after a \
             start the datastore may still be reading its parameters.",
};

pub(super) const FEED_REFUSED: OperatorCode = OperatorCode {
    code: "fhir.change-refused",
    cause: "A change was refused as a message, most likely because the resource is larger than the journal takes.",
    remedy: "Read the resource in the datastore. The channel goes on with the next change.",
};

pub(super) const BUSY: OperatorCode = OperatorCode {
    code: "fhir.engine-busy",
    cause: "The engine can't write its journal. The change is handed over again every second.",
    remedy: "Look at the disk.",
};

pub(super) const PLAINTEXT: OperatorCode = OperatorCode {
    code: "fhir.plaintext-connection",
    cause: "A server on another machine is reached by `http:`: anyone on the way can read the resources.",
    remedy: "Use `https:` if the server speaks it; if not, write down the decision in `accepted_risk`.",
};

pub(super) const SETTING: OperatorCode = OperatorCode {
    code: "fhir.setting",
    cause: "A setting of the FHIR connector has a value that makes no sense.",
    remedy: "See the message; it says what may stand there.",
};

/// What mistakes in settings are reported as.
pub(super) static READING: ReadingCodes = ReadingCodes { setting: &SETTING, plaintext: &PLAINTEXT };

/// All of them.
pub(super) const CODES: &[OperatorCode] = &[
    NOT_JSON,
    NO_ID,
    NO_TRANSACTION,
    NO_DELETION,
    CONDITION,
    NOT_OPEN,
    NO_DATASTORE,
    TOKEN_FAILED,
    CONNECT_FAILED,
    RESPONSE_TIMEOUT,
    RESPONSE_LOST,
    MAY_DOUBLE,
    REPLY_TOO_LARGE,
    REFUSED,
    OTHER_PATIENT,
    SEARCH_REFUSED,
    SEARCH_FAILED,
    ANSWER_UNREADABLE,
    ANSWER_TOO_LARGE,
    ASKED_TO_WAIT,
    FEED_FAILED,
    FEED_AHEAD,
    FEED_PARAMETER,
    FEED_REFUSED,
    BUSY,
    PLAINTEXT,
    SETTING,
];
