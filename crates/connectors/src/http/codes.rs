//! What the HTTP connector may tell an operator.

use super::reading::ReadingCodes;
use crate::OperatorCode;

pub(super) const LISTEN_FAILED: OperatorCode = OperatorCode {
    code: "http.listen-failed",
    cause: "The address can't be listened on: another program has the port, or this machine does not have the address.",
    remedy: "Find the other program (`ss -ltnp`), or choose another port or address in `listen`.",
};

pub(super) const UNAUTHORISED: OperatorCode = OperatorCode {
    code: "http.unauthorised",
    cause: "A request came with a wrong token or none.",
    remedy: "Give the sender the current token, or find out who else sends there.",
};

pub(super) const CONNECTION_FAILED: OperatorCode = OperatorCode {
    code: "http.connection-failed",
    cause: "A connection ended in the middle: the sender broke off, was too slow, does not speak HTTP, or the TLS \
            handshake failed.",
    remedy: "If it goes on, look at the sender's log; check that both sides agree on TLS and trust each other's \
             certificates.",
};

pub(super) const BODY_TOO_LARGE: OperatorCode = OperatorCode {
    code: "http.body-too-large",
    cause: "A request's body is larger than `message_bytes_max`. It was answered with 413 and not taken.",
    remedy: "Raise `message_bytes_max`, or ask the sender why it is so large.",
};

pub(super) const BUSY: OperatorCode = OperatorCode {
    code: "http.engine-busy",
    cause: "The engine has no room for more messages or can't write its journal. The sender was told to try again (503).",
    remedy: "Look at the disk and at what the channel delivers to.",
};

pub(super) const CONNECT_FAILED: OperatorCode = OperatorCode {
    code: "http.connect-failed",
    cause: "The partner can't be reached: its name is not known, nothing listens there, a firewall is between, or the TLS \
            handshake failed. Nothing was sent.",
    remedy: "Check `url`, the network and the certificates. The message is tried again.",
};

pub(super) const RESPONSE_TIMEOUT: OperatorCode = OperatorCode {
    code: "http.response-timeout",
    cause: "The request was sent, and no complete response came within `timeout`.",
    remedy: "Ask the partner whether the message arrived; raise `timeout` if it needs longer.",
};

pub(super) const RESPONSE_LOST: OperatorCode = OperatorCode {
    code: "http.response-lost",
    cause: "The connection ended before the response was complete. The partner may have the message.",
    remedy: "If it goes on, look at the partner's log and at proxies between.",
};

pub(super) const RESPONSE_UNREADABLE: OperatorCode = OperatorCode {
    code: "http.response-unreadable",
    cause: "The partner answered with success, but `acknowledgment` is `require` and there is no HL7 acknowledgment in the \
            response.",
    remedy: "Check `url`; or set `acknowledgment: honour` if the partner acknowledges by the status alone.",
};

pub(super) const REPLY_TOO_LARGE: OperatorCode = OperatorCode {
    code: "http.reply-too-large",
    cause: "The response's body is larger than `reply_bytes_max`. Status and acknowledgment were honoured; the body was \
            not kept.",
    remedy: "Raise `reply_bytes_max` if the reply is wanted.",
};

pub(super) const REFUSED: OperatorCode = OperatorCode {
    code: "http.refused",
    cause: "The partner answered that it does not take the message: an error status, or a negative acknowledgment.",
    remedy: "Read the reply in the message's record. Correct the message or the partner, then resend. What is done of \
             itself is decided by `on:`.",
};

pub(super) const ASKED_TO_WAIT: OperatorCode = OperatorCode {
    code: "http.asked-to-wait",
    cause: "The partner said how long to wait before the next try (Retry-After), and that time is not over.",
    remedy: "Nothing: the message is sent when it is.",
};

pub(super) const NO_AUTHENTICATION: OperatorCode = OperatorCode {
    code: "http.no-authentication",
    cause: "A source listens for other machines and neither asks for a token nor for a client certificate: anyone could \
            post messages.",
    remedy: "Set `token: secret:NAME`, or `tls` with `client_ca`, or listen on 127.0.0.1.",
};

pub(super) const PLAINTEXT: OperatorCode = OperatorCode {
    code: "http.plaintext-connection",
    cause: "A destination on another machine is reached by `http:`: anyone on the way can read the messages.",
    remedy: "Use `https:` if the partner speaks it; if not, write down the decision in `accepted_risk`.",
};

pub(super) const SETTING: OperatorCode = OperatorCode {
    code: "http.setting",
    cause: "A setting of the HTTP connector has a value that makes no sense.",
    remedy: "See the message; it says what may stand there.",
};

/// What mistakes in settings are reported as.
pub(super) static READING: ReadingCodes = ReadingCodes { setting: &SETTING, plaintext: &PLAINTEXT };

/// All of them.
pub(super) const CODES: &[OperatorCode] = &[
    LISTEN_FAILED,
    UNAUTHORISED,
    CONNECTION_FAILED,
    BODY_TOO_LARGE,
    BUSY,
    CONNECT_FAILED,
    RESPONSE_TIMEOUT,
    RESPONSE_LOST,
    RESPONSE_UNREADABLE,
    REPLY_TOO_LARGE,
    REFUSED,
    ASKED_TO_WAIT,
    NO_AUTHENTICATION,
    PLAINTEXT,
    SETTING,
];
