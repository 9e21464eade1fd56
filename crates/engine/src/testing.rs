//! Whole engines for tests: sources that tests speak through, destinations that tests answer for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use pipehat_connectors::{
    Asked, Attempt, Bound, Destination, FilePart, Health, Inbound, Intake, Lookup, LookupAttempt,
    Numbering, Outbound, Parallel, PartOrder, Peer, Receipt, ResourceChange, Source, StartError,
};
use pipehat_journal::{
    Body, Damage, Durable, Entry, Flush, Journal, MemoryJournal, NewRecord, Position, ReadError,
    Records, Statistics, TrimError, Trimmed, Turn,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::control_id::InstallationTag;
use crate::engine::{Engine, EngineOptions};
use crate::project::testing::{files, load};
use crate::project::{ChannelSpec, Project};

/// A source that hands its intake to the test.
#[derive(Clone, Default)]
pub(crate) struct TestSource {
    intake: Arc<Mutex<Option<Arc<dyn Intake>>>>,
    /// Whether its messages are numbered.
    pub(crate) numbering: Numbering,
    /// Rung, the source panics.
    pub(crate) defect: Arc<tokio::sync::Notify>,
}

impl TestSource {
    /// Hands over one message, in the order of the calls.
    pub(crate) async fn send(&self, bytes: impl Into<Bytes>) -> BoxFuture<'static, Receipt> {
        self.send_with(bytes, Arc::default(), None).await
    }

    /// Hands over the resource of a change, as a source does that follows a datastore.
    pub(crate) async fn send_change(
        &self,
        bytes: impl Into<Bytes>,
        change: &ResourceChange,
        number: u64,
    ) -> BoxFuture<'static, Receipt> {
        let headers = change.named().map(|(name, value)| (name.to_owned(), value)).into();
        let peer = Arc::new(Peer { headers, ..Peer::default() });
        let key = ResourceChange::PART_KEY.to_owned();
        let part = FilePart { key, index: number, last: false, order: PartOrder::Later };
        self.send_with(bytes, peer, Some(part)).await
    }

    async fn send_with(
        &self,
        bytes: impl Into<Bytes>,
        peer: Arc<Peer>,
        part: Option<FilePart>,
    ) -> BoxFuture<'static, Receipt> {
        let intake = self.intake.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let intake = intake.expect("the source runs");
        let bytes = bytes.into();
        let admission = intake.admit(bytes.len()).await.expect("the channel is open");
        let numbering = self.numbering;
        let inbound = Inbound { bytes, peer, part, numbering };
        intake.receive(admission, inbound)
    }

    /// As [`send`](Self::send), and waits for the receipt.
    pub(crate) async fn receive(&self, bytes: impl Into<Bytes>) -> Receipt {
        within(self.send(bytes).await).await
    }
}

impl Source for TestSource {
    fn bind(&self) -> BoxFuture<'_, Result<Box<dyn Bound>, StartError>> {
        let bound: Box<dyn Bound> = Box::new(self.clone());
        Box::pin(std::future::ready(Ok(bound)))
    }
}

impl Bound for TestSource {
    fn address(&self) -> Option<String> {
        None
    }

    fn run(
        self: Box<Self>,
        intake: Arc<dyn Intake>,
        _: Arc<Health>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        *self.intake.lock().unwrap_or_else(PoisonError::into_inner) = Some(intake);
        let defect = Arc::clone(&self.defect);
        Box::pin(async move {
            tokio::select! {
                () = stop.cancelled_owned() => {}
                () = defect.notified() => panic!("a defect"),
            }
        })
    }
}

/// A send under way: what was sent, and how the test answers it.
pub(crate) struct Call {
    pub(crate) outbound: Outbound,
    answer: oneshot::Sender<Attempt>,
}

impl Call {
    pub(crate) fn answer(self, attempt: Attempt) {
        self.answer.send(attempt).expect("the engine waits for the answer");
    }

    pub(crate) fn deliver(self) {
        self.answer(Attempt::Delivered { reply: None });
    }
}

/// A destination whose sends the test answers.
struct TestDestination {
    parallel: Parallel,
    calls: mpsc::UnboundedSender<Call>,
}

/// The sends of a [`TestDestination`], in the order they were made.
pub(crate) struct Calls(mpsc::UnboundedReceiver<Call>);

impl Calls {
    pub(crate) async fn next(&mut self) -> Call {
        within(self.0.recv()).await.expect("the destination is there")
    }

    /// Whether nothing more is sent for a while.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(100), self.0.recv()).await.is_err()
    }
}

/// A destination, and the sends it is asked for.
pub(crate) fn destination(connections: usize, window: usize) -> (Arc<dyn Destination>, Calls) {
    let (calls, receiver) = mpsc::unbounded_channel();
    let parallel = Parallel { connections, window };
    (Arc::new(TestDestination { parallel, calls }), Calls(receiver))
}

impl Destination for TestDestination {
    fn parallel(&self) -> Parallel {
        self.parallel
    }

    fn deliver(&self, outbound: Outbound) -> BoxFuture<'static, Attempt> {
        let (answer, answered) = oneshot::channel();
        let sent = self.calls.send(Call { outbound, answer });
        Box::pin(async move {
            match (sent, answered.await) {
                (Ok(()), Ok(attempt)) => attempt,
                _ => std::future::pending().await,
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A question under way, and how the test answers it.
pub(crate) struct Question {
    pub(crate) asked: Asked,
    answer: oneshot::Sender<LookupAttempt>,
}

impl Question {
    pub(crate) fn answer(self, attempt: LookupAttempt) {
        // One that is asked no more needs no answer.
        let _ = self.answer.send(attempt);
    }
}

/// Something to ask, whose answers the test gives.
struct TestLookup {
    questions: mpsc::UnboundedSender<Question>,
    bot: Option<Arc<str>>,
}

/// The questions of a [`TestLookup`], in the order they were asked.
pub(crate) struct Questions(mpsc::UnboundedReceiver<Question>);

impl Questions {
    pub(crate) async fn next(&mut self) -> Question {
        within(self.0.recv()).await.expect("the lookup is there")
    }

    /// Whether nothing more is asked for a while.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(100), self.0.recv()).await.is_err()
    }
}

impl Lookup for TestLookup {
    fn ask(&self, asked: Asked) -> BoxFuture<'static, LookupAttempt> {
        let (answer, answered) = oneshot::channel();
        let sent = self.questions.send(Question { asked, answer });
        Box::pin(async move {
            match (sent, answered.await) {
                (Ok(()), Ok(attempt)) => attempt,
                _ => std::future::pending().await,
            }
        })
    }

    fn bot(&self) -> Option<&Arc<str>> {
        self.bot.as_ref()
    }
}

/// The same project, with what its lookups ask answered by the test.
pub(crate) fn asking(project: Project) -> (Project, Questions) {
    asking_as(project, None)
}

/// The same, as if they ran this bot.
pub(crate) fn asking_bot(project: Project, bot: &str) -> (Project, Questions) {
    asking_as(project, Some(bot.into()))
}

fn asking_as(mut project: Project, bot: Option<Arc<str>>) -> (Project, Questions) {
    let (questions, receiver) = mpsc::unbounded_channel();
    let lookup: Arc<dyn Lookup> = Arc::new(TestLookup { questions, bot });
    let mut spec = project.channels.pop().and_then(Arc::into_inner).expect("one channel");
    for asked in &mut spec.lookups {
        asked.lookup = Arc::clone(&lookup);
    }
    project.channels.push(Arc::new(spec));
    (project, Questions(receiver))
}

type Append = (Vec<NewRecord>, Flush, Turn, Durable);

/// A journal whose appends a test can hold back.
#[derive(Default)]
pub(crate) struct TestJournal {
    pub(crate) memory: MemoryJournal,
    held: Mutex<Option<Vec<Append>>>,
    damaged: Mutex<BTreeSet<Position>>,
    /// Damaged so that a reading in order ends there, too.
    broken: Mutex<BTreeSet<Position>>,
}

impl TestJournal {
    fn held(&self) -> MutexGuard<'_, Option<Vec<Append>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this record can't be fetched, nor come by in a reading that starts behind the
    /// journal's first.
    pub(crate) fn damage(&self, at: Position) {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(at);
    }

    /// From now on this record can't be fetched, and a reading in order ends there.
    pub(crate) fn break_at(&self, at: Position) {
        self.damage(at);
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).insert(at);
    }

    fn damage_at(&self, at: Position) -> Result<(), ReadError> {
        let damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        if damaged.contains(&at) {
            return Err(ReadError::Damaged { chunk: 1, offset: 0, damage: Damage::Record });
        }
        Ok(())
    }

    /// From now on appends wait.
    pub(crate) fn hold(&self) {
        self.held().get_or_insert_default();
    }

    /// How many appends wait.
    pub(crate) fn waiting(&self) -> usize {
        self.held().as_ref().map_or(0, Vec::len)
    }

    /// Lets what waits go on, in order.
    pub(crate) fn release(&self) {
        for (records, flush, turn, done) in self.held().take().into_iter().flatten() {
            self.memory.append_in_turn(records, flush, turn, done);
        }
    }
}

impl Journal for TestJournal {
    fn append_in_turn(&self, records: Vec<NewRecord>, flush: Flush, turn: Turn, done: Durable) {
        let mut held = self.held();
        match &mut *held {
            Some(held) => held.push((records, flush, turn, done)),
            None => self.memory.append_in_turn(records, flush, turn, done),
        }
    }

    fn next_position(&self) -> Position {
        self.memory.next_position()
    }

    fn first_position(&self) -> Position {
        self.memory.first_position()
    }

    fn read(&self, from: Position) -> Records {
        // Recovery and proof read from the start, and have a checkpoint for what is damaged.
        let set = if from == Position::FIRST { &self.broken } else { &self.damaged };
        let damaged = set.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = damaged.range(from..).next().copied() else {
            return self.memory.read(from);
        };
        let before = self
            .memory
            .read(from)
            .take_while(move |entry| entry.as_ref().is_ok_and(|entry| entry.position < first));
        let damage = ReadError::Damaged { chunk: 1, offset: 0, damage: Damage::Record };
        Box::new(before.chain([Err(damage)]))
    }

    fn fetch(&self, at: Position) -> Result<Entry, ReadError> {
        self.damage_at(at)?;
        self.memory.fetch(at)
    }

    fn load(&self, body: &Body) -> Result<Bytes, ReadError> {
        self.memory.load(body)
    }

    fn load_pieces(
        &self,
        body: &Body,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        self.memory.load_pieces(body, take)
    }

    fn trim(&self, before: Position) -> Result<Trimmed, TrimError> {
        self.memory.trim(before)
    }

    fn statistics(&self) -> Statistics {
        self.memory.statistics()
    }

    fn close(&self) {
        self.memory.close();
    }
}

/// A destination of defects: it panics on the message with this number, and, where it is asked how
/// much it takes at a time, on that.
pub(crate) struct Defective {
    pub(crate) message: u64,
    pub(crate) from_the_start: bool,
}

impl Destination for Defective {
    fn parallel(&self) -> Parallel {
        assert!(!self.from_the_start, "a defect");
        Parallel { connections: 1, window: 1 }
    }

    fn deliver(&self, outbound: Outbound) -> BoxFuture<'static, Attempt> {
        assert_ne!(outbound.message, self.message, "a defect");
        Box::pin(async { Attempt::Delivered { reply: None } })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A directory, a journal and an engine on them.
pub(crate) struct TestEngine {
    pub(crate) engine: Arc<Engine>,
    pub(crate) journal: Arc<TestJournal>,
    data: tempfile::TempDir,
}

impl TestEngine {
    pub(crate) async fn start(project: &Project) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        Self::start_on(project, Arc::default(), data).await
    }

    pub(crate) async fn start_on(
        project: &Project,
        journal: Arc<TestJournal>,
        data: tempfile::TempDir,
    ) -> Self {
        let options = EngineOptions {
            data: data.path().to_owned(),
            journal: Arc::clone(&journal) as Arc<dyn Journal>,
            tag: InstallationTag::of(1),
            lane_key: 7,
            keep: None,
        };
        let engine = Engine::start(options, project).await.expect("the engine starts");
        Self { engine, journal, data }
    }

    /// As after the death of the process: nothing is told to stop.
    pub(crate) async fn start_again(self, project: &Project) -> Self {
        Self::start_on(project, self.journal, self.data).await
    }

    /// Waits until the books say so of the channel `test`.
    pub(crate) async fn until(&self, so: impl Fn(&crate::ChannelStatus) -> bool) {
        let wait = async {
            loop {
                let statuses = self.engine.status().await;
                if statuses.iter().any(|status| &*status.name == "test" && so(status)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        within(wait).await;
    }

    /// Whether every message is accounted for.
    pub(crate) fn holds(&self) -> bool {
        self.engine.prove(&mut |_, _| ()).expect("the journal can be read").holds()
    }
}

/// A project of one channel, `test`, with this source and these destinations. `rest` is its file
/// behind the source, which must name the destinations as `mllp`.
pub(crate) fn project(
    rest: &str,
    source: &TestSource,
    destinations: &[(&str, &Arc<dyn Destination>)],
) -> Project {
    let loaded = load(&files(rest));
    let mut project = loaded.project.expect("a sound project");
    let spec = project.channels.pop().and_then(Arc::into_inner).expect("one channel");
    project.channels.push(Arc::new(with(spec, source, destinations)));
    project
}

fn with(
    mut spec: ChannelSpec,
    source: &TestSource,
    destinations: &[(&str, &Arc<dyn Destination>)],
) -> ChannelSpec {
    spec.source.source = Arc::new(source.clone());
    let mut given: BTreeMap<&str, &Arc<dyn Destination>> = destinations.iter().copied().collect();
    for destination in &mut spec.destinations {
        let given = given.remove(&*destination.name).expect("the test gives every destination");
        destination.destination = Arc::clone(given);
    }
    spec
}

/// A message with this control id.
pub(crate) fn message(control_id: &str) -> Bytes {
    let header = format!("MSH|^~\\&|LAB|EAST|||20260102030405||ADT^A01|{control_id}|P|2.5.1");
    Bytes::from(format!("{header}\rPID|1||{control_id}^^^A\r"))
}

/// Fails a test that would wait for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("in time")
}
