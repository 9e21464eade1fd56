//! What every connector must do, told once and run on each.
//!
//! A connector's tests say how its partner behaves ([`SourceCase`], [`DestinationCase`]) and call [`check_source`],
//! [`check_destination`] and [`check_descriptor`]. Nothing here knows a protocol.

mod descriptor;
mod destination;
mod engine;
mod source;

use std::future::Future;
use std::time::Duration;

pub(crate) use descriptor::check_descriptor;
pub(crate) use destination::{Behaviour, DestinationCase, Partner, check_destination, outbound};
pub(crate) use engine::{FakeEngine, Gate};
pub(crate) use source::{Heard, SourceCase, check_source};

/// Long enough for a busy machine: only a failing test waits it out.
const DEADLINE: Duration = Duration::from_secs(20);

/// How long something that must not happen is watched for.
const QUIET: Duration = Duration::from_millis(30);

/// A text that stands in every payload, and must stand nowhere else.
pub(crate) const MARKER: &str = "MARKERSMITH";

/// Waits for what must happen.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// Watches for what must not happen yet.
pub(crate) async fn not_yet<T>(what: &str, future: impl Future<Output = T>) {
    if tokio::time::timeout(QUIET, future).await.is_ok() {
        panic!("{what}: too early");
    }
}

/// A message with this control id, and the marker in it.
pub(crate) fn message(control_id: &str) -> bytes::Bytes {
    let text = format!(
        "MSH|^~\\&|SENDER|HERE|RECEIVER|THERE|20260101120000||ADT^A01|{control_id}|P|2.5.1\r\
         PID|1||{control_id}||{MARKER}^JANE\r"
    );
    text.into_bytes().into()
}
