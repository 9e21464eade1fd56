//! What this connector tells an operator.

use crate::OperatorCode;

/// Declares each code as a constant and lists all of them.
macro_rules! codes {
    ($($name:ident = $code:literal, $cause:literal, $remedy:literal;)*) => {
        $(pub(super) const $name: &str = $code;)*
        /// Every code, with its cause and remedy.
        pub(super) const CODES: &[OperatorCode] =
            &[$(OperatorCode { code: $code, cause: $cause, remedy: $remedy }),*];
    };
}

codes! {
    // Configuration.
    ALLOW_INVALID = "mllp.allow-invalid",
        "An entry of `allow` is neither an IP address nor a network.",
        "Write addresses such as `10.1.2.3` or networks such as `10.0.0.0/8`; names are not looked up.";
    OUT_OF_RANGE = "mllp.out-of-range",
        "A time of nothing, or a message size that can't be held.",
        "Write a time above zero, or leave it out; a message may have up to 1 GiB.";
    SETTINGS_CLASH = "mllp.settings-clash",
        "Two settings of the destination exclude each other, such as a window above one where replies can't be told apart.",
        "Follow the message: it says which of the two to change.";

    // Source.
    LISTEN_FAILED = "mllp.listen-failed",
        "The address to listen on is taken by another program, does not belong to this machine, or may not be used.",
        "Look which program holds the port (`ss -ltnp`), or choose another address.";
    ACCEPT_FAILED = "mllp.accept-failed",
        "The system gave no connection to a partner that knocked, mostly because too many files are open.",
        "Raise the limit of open files (`LimitNOFILE` of the service); accepting goes on by itself.";
    PEER_NOT_ALLOWED = "mllp.peer-not-allowed",
        "A machine that is not in `allow` tried to connect, and was turned away.",
        "If it is a partner, add its address to `allow`; if not, find out whose it is.";
    CONNECTIONS_EXCEEDED = "mllp.connections-exceeded",
        "As many connections as `connections_max` allows are open; a further one was turned away.",
        "Raise `connections_max`, or find the partner that opens connections without closing them.";
    HANDSHAKE_FAILED = "mllp.handshake-failed",
        "A partner connected, but no TLS session came about: no TLS, no trusted certificate, or too slow.",
        "Compare the partner's certificate with `client_ca`, and what it trusts with our `cert`.";
    GARBAGE_RECEIVED = "mllp.garbage-received",
        "A partner sent bytes that belong to no frame. Far too many of them in a row end the connection.",
        "Check that the partner speaks MLLP (start block 0x0B, end block 0x1C 0x0D) and, if we want TLS, speaks TLS.";
    FRAME_TOO_LONG = "mllp.frame-too-long",
        "A message is longer than `message_bytes_max`. The source refuses it with AR, the destination does not send it.",
        "Raise `message_bytes_max` if such messages are meant, for example with embedded documents.";
    FRAME_UNTERMINATED = "mllp.frame-unterminated",
        "A partner began a new message before it had ended the one before, which was dropped without an answer.",
        "Nothing, if the partner sends the dropped message again; otherwise its MLLP is faulty: ask its vendor.";
    FRAME_INCOMPLETE = "mllp.frame-incomplete",
        "A connection ended, or nothing more came for `frame_timeout`, in the middle of a message. Nothing of it was kept.",
        "The partner sends it again, since it got no acknowledgment. If this repeats, check the network between.";
    PEER_NOT_READING = "mllp.peer-not-reading",
        "The other side took no bytes from the connection for `write_timeout`; the connection was closed.",
        "Check the partner: it hangs, or sends without ever reading acknowledgments (then use `reply: none`).";
    REPLY_UNDELIVERED = "mllp.reply-undelivered",
        "A partner was gone before the reply to a kept message could be sent.",
        "Nothing: it sends the message again, which is recognised as a duplicate. If this repeats, its time-out is too short.";

    // Destination.
    CONNECT_FAILED = "mllp.connect-failed",
        "The partner can't be reached: wrong address, not running, or a firewall between.",
        "Check `connect`, whether the partner listens there, and the way between (`nc -vz HOST PORT`).";
    CONNECT_TIMEOUT = "mllp.connect-timeout",
        "No connection came about within `connect_timeout`: mostly a firewall that swallows packets.",
        "Check the way between, and whether the partner's machine is up.";
    SECURE_FAILED = "mllp.secure-failed",
        "The partner was reached, but no TLS session came about.",
        "Compare its certificate with `ca` and `server_name`, and what it trusts with our `cert`.";
    CONNECTION_LOST = "mllp.connection-lost",
        "The connection ended before the acknowledgment came. The partner may have the message, or not.",
        "Nothing, if it is sent again by itself; `on_interrupted` decides. If this repeats, look at the partner's log.";
    ACKNOWLEDGMENT_TIMEOUT = "mllp.acknowledgment-timeout",
        "The partner did not answer within `ack_timeout`. It may have the message, or not.",
        "Check whether the partner hangs; raise `ack_timeout` if it is only slow.";
    ACKNOWLEDGMENT_UNREADABLE = "mllp.acknowledgment-unreadable",
        "The partner answered something that is no acknowledgment: no MSH, no MSA, or a code outside table 0008.",
        "Look at the reply kept with the attempt; ask the partner to answer by the standard.";
    ACKNOWLEDGMENT_UNMATCHED = "mllp.acknowledgment-unmatched",
        "The partner acknowledged (MSA-2) a message that is not under way (MSH-10).",
        "Ask the partner to echo MSH-10 in MSA-2. If it never will, use `acknowledgment: any`.";
    ACKNOWLEDGMENT_LATE = "mllp.acknowledgment-late",
        "An acknowledgment came for a message that was already answered or given up; it was ignored.",
        "If this repeats, raise `ack_timeout`: the partner is slower than that.";
    OUT_OF_STEP = "mllp.sequence-out-of-step",
        "The partner expects another sequence number (MSA-4) than the next message has (MSH-13): it lost messages or its \
         count, or we did. Nothing more is sent until both agree.",
        "Compare with the partner which message it has last. Correct its count and nothing else is to be done; or set \
         `out_of_step: resynchronize` here, so that it takes our next number, and remove it again.";
    APPLICATION_REFUSED = "mllp.application-refused",
        "The partner committed a message (CA), which ended its delivery; later its application refused it.",
        "Look at the partner's log. Set `await_application: true`, so that such a delivery is parked or tried again by `on`.";
    REFUSED = "mllp.refused",
        "The partner answered that it does not take the message.",
        "Read the reply kept with the attempt: MSA-3 and ERR say why. `on` decides what is done.";
    NOT_NUMBERED = "mllp.not-numbered",
        "MSH-13 can't be written into this message, so that it has no number.",
        "Look at the message: its header can't be edited. Correct it in a step, or discard the delivery.";
    CONTROL_ID_MISSING = "mllp.control-id-missing",
        "The message has no readable MSH-10, by which its acknowledgment could be recognised.",
        "Set MSH-10 in a step, or use `acknowledgment: any` or `none` for this partner.";
    NOT_FRAMEABLE = "mllp.not-frameable",
        "The message holds a start or end block character (0x0B, 0x1C), so that the partner would cut it in pieces.",
        "Remove these characters in a step, or find out how they came into the message.";
    QUEUE_FULL = "mllp.queue-full",
        "More messages were given to the connection than its window allows.",
        "Report this: it is a mistake in Pipehat. The message is tried again.";
    CLOSED = "mllp.closed",
        "The destination was being closed when the message was given to it.",
        "Nothing: it is sent when the channel runs again.";
}
