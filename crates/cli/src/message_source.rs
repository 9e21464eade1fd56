//! Where messages are looked at: by the Pipehat that runs, or in the files of one that does not.

use pipehat_server::{
    DataDirectory, LineageWanted, MessageDetail, MessagesPage, OfflineMessages, SearchRequest,
    StatusView, Wanted,
};
use pipehat_translate::PlacePattern;

use crate::admin::{Admin, AdminError};
use crate::exit::Failure;
use crate::terminal::Terminal;

/// Either way to look.
pub(crate) enum MessageSource {
    /// A Pipehat runs, and is asked.
    Running(Admin),
    /// None does.
    Stopped(OfflineMessages),
}

impl MessageSource {
    /// Finds out whether a Pipehat runs on this data, and tells when none does.
    pub(crate) fn find(data: &DataDirectory, terminal: &Terminal) -> Result<Self, Failure> {
        let root = data.root().display();
        if data.read_admin().map_err(Failure::could_not)?.is_some() {
            let admin = Admin::find(data)?;
            // One that was killed left its address behind.
            if admin.is_there() {
                return Ok(Self::Running(admin));
            }
        }
        if !data.has_journal() {
            return Err(Failure::could_not(AdminError::NotRunning { data: root.to_string() }));
        }
        let messages = OfflineMessages::open(data).map_err(Failure::could_not)?;
        terminal.note(format_args!("no Pipehat runs on {root}: this is what its files say"));
        if let Some(behind @ 1..) = messages.index_behind() {
            terminal.note(format_args!(
                "the index lacks the newest {behind} records: what came in or was delivered last \
                 may not be found"
            ));
        }
        Ok(Self::Stopped(messages))
    }

    pub(crate) fn search(&self, request: &SearchRequest) -> Result<MessagesPage, Failure> {
        match self {
            Self::Running(admin) => admin.post("/api/v1/messages/search", request),
            Self::Stopped(messages) => messages.search(request.clone()).map_err(refused),
        }
    }

    /// Tells which of these channels the Pipehat that runs does not have: a misspelt name finds nothing either.
    pub(crate) fn note_unknown(
        &self,
        channels: &[String],
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let Self::Running(admin) = self else { return Ok(()) };
        if channels.is_empty() {
            return Ok(());
        }
        let status: StatusView = admin.get("/api/v1/status")?;
        let known: Vec<&str> =
            status.channels.iter().map(|channel| channel.name.as_str()).collect();
        for name in channels.iter().filter(|name| !known.contains(&name.as_str())) {
            terminal.note(format_args!(
                "no channel is called `{name}`; there are: {}",
                known.join(", ")
            ));
        }
        Ok(())
    }

    pub(crate) fn show(&self, message: u64, wanted: &Wanted) -> Result<MessageDetail, Failure> {
        match self {
            Self::Running(admin) => {
                let mut query = vec![format!("bodies={}", wanted.bodies)];
                match &wanted.lineage {
                    LineageWanted::No => {}
                    LineageWanted::All => query.push("lineage=true".to_owned()),
                    LineageWanted::Of(place) => {
                        query.push(format!("lineage_of={}", encoded(place)))
                    }
                }
                admin.get(&format!("/api/v1/messages/{message}?{}", query.join("&")))
            }
            Self::Stopped(messages) => messages.show(message, wanted).map_err(refused),
        }
    }

    pub(crate) fn bytes(&self, message: u64) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Running(admin) => admin.get_bytes(&format!("/api/v1/messages/{message}/bytes")),
            Self::Stopped(messages) => Ok(messages.bytes(message).map_err(refused)?.to_vec()),
        }
    }
}

/// A place as it stands in an address: its brackets have a meaning there.
fn encoded(place: &PlacePattern) -> String {
    let mut out = String::new();
    for byte in place.to_string().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn refused(error: pipehat_server::ApiError) -> Failure {
    Failure::could_not(AdminError::Refused { error })
}
