//! The FHIR destination: one request for each message.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::header::{ETAG, LAST_MODIFIED, LOCATION};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use pipehat_resource::json::{self, Object, Value};
use pipehat_resource::kept::{LINKED_MAX, Linked, moved_text};

use super::answers::{is_gone, moved, refusal};
use super::codes;
use super::kept::{Marked, MovedEntry, answered, may_be_overtaken};
use super::lookup::{found, read};
use super::peer::Peer;
use super::request::{Interaction, Mode, NotFit, Prepared, prepare, prepare_deletion, without_id};
use crate::http::asked_to_wait::AskedToWait;
use crate::http::client::Reply;
use crate::http::exchange::Response;
use crate::{
    Attempt, ChangeKind, Destination, Found, Health, Outbound, Parallel, Problem, RefusesDeletions,
};

/// How often others may have changed meanwhile what a Bundle keeps of what stands, before its turn to be sent again comes.
const OVERTAKEN_MAX: usize = 5;

/// How many Patients of a server are read for one Bundle to find out which of them were merged.
const PATIENTS_MAX: usize = 2 * LINKED_MAX;

/// How resources are written.
pub(super) struct DestinationOptions {
    pub(super) peer: Peer,
    pub(super) mode: Mode,
    /// The value of `Prefer`.
    pub(super) prefer: &'static str,
    pub(super) connections: usize,
}

/// A FHIR server that resources are written to.
pub(super) struct FhirDestination {
    sender: Arc<Sender>,
}

impl FhirDestination {
    /// A destination with these options. It connects when first used.
    pub(super) fn new(options: DestinationOptions, health: Arc<Health>) -> Self {
        let asked_to_wait = AskedToWait::default();
        Self { sender: Arc::new(Sender { options, health, asked_to_wait }) }
    }
}

impl Destination for FhirDestination {
    fn parallel(&self) -> Parallel {
        Parallel { connections: self.sender.options.connections, window: 1 }
    }

    fn deliver(&self, outbound: Outbound) -> BoxFuture<'static, Attempt> {
        let sender = self.sender.clone();
        async move { sender.deliver(outbound).await }.boxed()
    }

    fn refuses_deletions(&self) -> Option<RefusesDeletions> {
        self.sender.options.mode.refuses_deletions()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.sender.health.stopped();
        async {}.boxed()
    }
}

struct Sender {
    options: DestinationOptions,
    health: Arc<Health>,
    asked_to_wait: AskedToWait,
}

impl Sender {
    async fn deliver(&self, outbound: Outbound) -> Attempt {
        let name = self.options.peer.name();
        if let Some(detail) = self.asked_to_wait.still(name) {
            return Attempt::NotSent { code: codes::ASKED_TO_WAIT.code, detail };
        }
        let (mode, prefer) = (&self.options.mode, self.options.prefer);
        let deletion =
            outbound.change.as_deref().filter(|change| change.kind == ChangeKind::Delete);
        let now = Timestamp::now();
        let prepared = match deletion {
            Some(deleted) => prepare_deletion(mode, deleted, &outbound.bytes, prefer, now),
            None => prepare(mode, &outbound.bytes, prefer, now),
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(NotFit { code, detail }) => {
                self.health.problem(Problem { code, detail: detail.clone() });
                return Attempt::Impossible { code, detail };
            }
        };
        let _connected = self.health.connected();
        let body = match prepared.interaction {
            // The id is that of the datastore it comes from; the one that is found has its own (FHIR R4 §3.1.0.4.3).
            Interaction::Write if outbound.change.is_some() && mode.searches() => {
                without_id(&outbound.bytes)
            }
            Interaction::Write => outbound.bytes.clone(),
            Interaction::Delete | Interaction::Search => Bytes::new(),
        };
        if prepared.interaction == Interaction::Write
            && matches!(self.options.peer, Peer::Remote(_))
        {
            match Marked::of(&body) {
                Ok(None) => {}
                Ok(Some(marked)) => {
                    return self.keeping(&marked, &prepared, &outbound.channel).await;
                }
                Err(error) => {
                    let (code, detail) = (codes::CONDITION.code, error.to_string());
                    self.health.problem(Problem { code, detail: detail.clone() });
                    return Attempt::Impossible { code, detail };
                }
            }
        }
        match self.ask(&prepared, &outbound.channel, body).await {
            Ok(said) => self.judge(said, &prepared),
            Err(attempt) => attempt,
        }
    }

    async fn ask(
        &self,
        prepared: &Prepared,
        channel: &Arc<str>,
        body: Bytes,
    ) -> Result<Response, Attempt> {
        let sent = body.len();
        let said = self.options.peer.ask(prepared, channel, body).await;
        match &said {
            Ok(_) => self.health.sent(sent),
            Err(Attempt::NotSent { code, detail } | Attempt::Interrupted { code, detail, .. }) => {
                self.health.down(Problem { code, detail: detail.clone() });
            }
            Err(_) => {}
        }
        said
    }

    /// Sends a Bundle with what it keeps of what stands at the server; once more where others changed that meanwhile.
    async fn keeping(&self, marked: &Marked, prepared: &Prepared, channel: &Arc<str>) -> Attempt {
        let mut last: Option<Vec<Found>> = None;
        for _ in 0..OVERTAKEN_MAX {
            let mut found = Vec::new();
            for (question, body, reads) in marked.questions() {
                match self.ask(&question, channel, body).await {
                    Ok(said) => match self.found(said, reads, &question) {
                        Ok(one) => found.push(one),
                        Err(attempt) => return attempt,
                    },
                    Err(attempt) => return attempt,
                }
            }
            let held = match self.held(marked, channel).await {
                Ok(held) => held,
                Err(attempt) => return attempt,
            };
            if let Err(attempt) =
                self.stays(marked.moved(&found, &held, self.base()), channel).await
            {
                return attempt;
            }
            let settled = marked.settled(&found);
            let said = match self.ask(prepared, channel, settled.body.clone()).await {
                Ok(said) => said,
                Err(attempt) => return attempt,
            };
            let is_overtaken = match &said.body {
                _ if matches!(
                    said.status,
                    StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED
                ) =>
                {
                    marked.takes_over() && may_be_overtaken(last.as_deref(), &found)
                }
                Reply::Whole(answer) if said.status.is_success() => settled.was_overtaken(answer),
                _ => false,
            };
            if !is_overtaken {
                return self.judge(said, prepared);
            }
            last = Some(found);
        }
        let name = self.options.peer.name();
        let detail = format!("others changed the same at {name} {OVERTAKEN_MAX} times meanwhile");
        Attempt::Interrupted { code: codes::RESPONSE_LOST.code, detail, reply: None }
    }

    fn base(&self) -> &str {
        match &self.options.peer {
            Peer::Local(_) => "",
            Peer::Remote(remote) => remote.base.as_str(),
        }
    }

    /// What stands of the entries that have to stay whose they are: by batches, or one by one where the server takes none.
    async fn held(&self, marked: &Marked, channel: &Arc<str>) -> Result<Vec<Found>, Attempt> {
        let mut held = Vec::new();
        for (question, body, count) in marked.batches() {
            let said = self.ask(&question, channel, body).await?;
            let is_no_batch = matches!(
                said.status,
                StatusCode::BAD_REQUEST
                    | StatusCode::FORBIDDEN
                    | StatusCode::NOT_FOUND
                    | StatusCode::METHOD_NOT_ALLOWED
                    | StatusCode::UNPROCESSABLE_ENTITY
                    | StatusCode::NOT_IMPLEMENTED
            );
            let found = match &said.body {
                Reply::Whole(answer) if said.status.is_success() => answered(answer, count),
                _ if said.status.is_success() || is_no_batch => None,
                _ => return Err(self.judge(said, &question)),
            };
            match found {
                Some(found) => held.extend(found),
                None => return self.held_singly(marked, channel).await,
            }
        }
        Ok(held)
    }

    async fn held_singly(
        &self,
        marked: &Marked,
        channel: &Arc<str>,
    ) -> Result<Vec<Found>, Attempt> {
        let mut held = Vec::new();
        for (question, body) in marked.singly() {
            let said = self.ask(&question, channel, body).await?;
            held.push(self.found(said, false, &question)?);
        }
        Ok(held)
    }

    /// Whether all stays whose it is: what would lead elsewhere leads to a Patient that was merged with the one before.
    async fn stays(&self, moved: Vec<MovedEntry>, channel: &Arc<str>) -> Result<(), Attempt> {
        let mut merged: Vec<(String, String)> = Vec::new();
        let mut reads = 0;
        for MovedEntry { at, resource_type, moved } in moved {
            let ends = (moved.from.clone(), moved.to.clone());
            if merged.contains(&ends) {
                continue;
            }
            let mut is_one = false;
            let mut linked = Linked::of(&moved);
            while let Some(linked) = linked.as_mut().filter(|_| !is_one && reads < PATIENTS_MAX) {
                let Some(path) = linked.next() else { break };
                let (question, body) = read(path);
                reads += 1;
                let said = self.ask(&question, channel, body).await?;
                let patient = match self.found(said, true, &question)? {
                    Found::One(patient) => json::parse(&patient).ok(),
                    Found::Nothing | Found::Several(_) => None,
                };
                is_one = linked.tell(patient.as_ref());
            }
            if !is_one {
                let place = format!("Bundle.entry[{at}].resource.{}", moved.element);
                let text = moved_text(&resource_type, &moved.element);
                return Err(self.other_patient(format!("{place}: {text}")));
            }
            merged.push(ends);
        }
        Ok(())
    }

    /// Nothing is sent again: a person has to see whose it is.
    fn other_patient(&self, detail: String) -> Attempt {
        let code = codes::OTHER_PATIENT.code;
        self.health.problem(Problem { code, detail: detail.clone() });
        Attempt::Impossible { code, detail }
    }

    /// What stands at the server.
    fn found(&self, said: Response, reads: bool, question: &Prepared) -> Result<Found, Attempt> {
        if reads && is_gone(said.status) {
            return Ok(Found::Nothing);
        }
        if !said.status.is_success() {
            return Err(self.judge(said, question));
        }
        let found = match &said.body {
            Reply::Whole(body) if reads => Ok(Found::One(body.clone())),
            Reply::Whole(body) => found(body).map_err(|_| &codes::ANSWER_UNREADABLE),
            Reply::Cut(_) => Err(&codes::ANSWER_TOO_LARGE),
        };
        found.map_err(|code| {
            let name = self.options.peer.name();
            let detail = format!("what stands at {name} can't be read");
            self.health.problem(Problem { code: code.code, detail: detail.clone() });
            Attempt::Impossible { code: code.code, detail }
        })
    }

    /// A response came, so the server is there: what it says of the message is no matter of the link's.
    fn judge(&self, said: Response, prepared: &Prepared) -> Attempt {
        let name = self.options.peer.name();
        let (whole, received) = match said.body {
            Reply::Whole(body) => (Some(body.clone()), body.len()),
            Reply::Cut(start) => (None, start.len()),
        };
        self.health.received(received);
        // Of a batch whose answer is not whole nobody can say what became of it.
        let entries = prepared.has_entries.then(|| whole.clone().unwrap_or_default());
        let reply = match &whole {
            Some(body) if !body.is_empty() => Some(body.clone()),
            Some(_) => Some(response_entry(said.status.as_str(), &said.headers)),
            None => None,
        };
        self.health.up();
        // Sent again it would be refused again, whatever `on` says of the status.
        if let Some(detail) = whole.as_deref().and_then(|body| moved(said.status, body)) {
            return self.other_patient(detail);
        }
        if whole.is_none() {
            let detail = format!("the response of {name} is too large to keep");
            self.health.problem(Problem { code: codes::REPLY_TOO_LARGE.code, detail });
        }
        // What is gone needs no deletion, and a deletion that is sent again finds it gone.
        let is_done = prepared.interaction == Interaction::Delete && is_gone(said.status);
        let refused = refusal(said.status, entries.as_deref()).filter(|_| !is_done);
        let Some(answer) = refused else { return Attempt::Delivered { reply } };
        self.asked_to_wait.told(said.wait);
        let code = codes::REFUSED.code;
        let detail = format!("{name} answered {}", answer.name);
        self.health.problem(Problem { code, detail });
        Attempt::Refused { code, answer, reply }
    }
}

/// What a response without a body says, as `Bundle.entry.response` has it.
fn response_entry(status: &str, headers: &HeaderMap) -> Bytes {
    let mut entry = Object::new();
    entry.set("status", Value::string(status));
    for (member, header) in
        [("location", LOCATION), ("etag", ETAG), ("lastModified", LAST_MODIFIED)]
    {
        if let Some(text) = headers.get(header).and_then(|value| value.to_str().ok()) {
            entry.set(member, Value::string(text));
        }
    }
    Value::from(entry).to_json().into()
}
