//! One folder for each protocol: sources that receive, destinations that send, and what steps ask of.
//!
//! A connector is its folder and one line in [`CONNECTORS`]. It speaks its protocol and nothing
//! else: what is kept, in which order it goes on, when it is tried again and what is said to the
//! sender is the engine's to decide. A connector never acknowledges on its own account: it asks
//! the [`Intake`] and passes on what the [`Receipt`] says.

#[cfg(test)]
#[allow(dead_code, unused_imports, reason = "each connector uses its part")]
mod contract;
mod delivery;
mod descriptor;
mod fhir;
mod file;
mod health;
mod http;
mod intake;
mod local_bots;
mod local_fhir;
mod lookup;
mod mllp;
mod registry;
mod resource_change;
mod segment_end;
mod sftp;
mod tls;

pub use delivery::{Answer, Attempt, Destination, OnRefusal, Outbound, Parallel, RefusesDeletions};
pub use descriptor::{
    BuildContext, BuildDestination, BuildLookup, BuildSource, Descriptor, DestinationDescriptor,
    LookupDescriptor, OperatorCode, PayloadFormat, Secrets, SourceDescriptor, UnknownSecret,
};
pub use health::{Health, HealthSnapshot, LinkState, Problem};
pub use intake::{
    Admission, Bound, FilePart, Inbound, Intake, IntakeClosed, Numbering, PartOrder, Peer, Receipt,
    ReceiptOutcome, Source, StartError,
};
pub use local_bots::{
    BotFailure, BotFinding, BotLookup, BotOutcome, BotRequest, BotResult, BotRunner, BotTold, JSON,
    LocalBots, Prospect,
};
pub use local_fhir::{
    ChangeKind, FeedError, FhirChange, FhirDatastore, FhirRequest, FhirResponse, LocalFhir,
};
pub use lookup::{Asked, Found, LOOKUP_BYTES_MAX, Lookup, LookupAttempt, Told};
pub use registry::{CONNECTORS, connector};
pub use resource_change::{GivenChanges, ResourceChange};
pub use sftp::{FileKind, SFTP_CODES, SFTP_SERVER, SftpCounts, SftpEntry, SftpError, SftpServer};
pub use tls::TLS_CODES;
