//! The file source: looks into a folder, claims files, hands their messages over, and puts the files away.
//!
//! What stands in the working folder is the truth: each round first finishes what was claimed, from the message on
//! that the engine has not kept, and only then claims more. So a restart needs nothing but the next round.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::codes;
use super::disk;
use super::hand_over::{HandOver, Handed};
use super::listing::{LISTED_FILES_MAX, Listing, Order, Ready, Stability};
use super::notes::Notes;
use super::parts::{PartReader, Split};
use super::pattern::Pattern;
use super::reasons::{Reason, Reasons};
use super::watch::Watch;
use super::workplace::{Claim, Workplace, WorkplaceError};
use crate::{Bound, Health, Intake, LinkState, Peer, Problem, Source, StartError};

/// So many files are claimed at once: their folders are synced together. What is claimed waits for us alone, so it
/// is kept small for the sake of another engine that shares the folder.
const CLAIMS_MAX: usize = 64;

/// A claimed file that can't be read is tried this often, then set aside.
const READ_TRIES_MAX: u32 = 10;

/// Changes in the folder are answered no faster than this.
const ROUND_PAUSE: Duration = Duration::from_millis(50);

/// What becomes of a file whose messages were all taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WhenDone {
    /// It is moved there.
    Move(PathBuf),
    /// It is deleted.
    Delete,
}

/// Whether the system is asked to tell of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watching {
    /// Yes; polling goes on beside it.
    PollAndWatch,
    /// No.
    Poll,
}

/// How a folder is read.
#[derive(Debug, Clone)]
pub(super) struct SourceOptions {
    pub(super) folder: PathBuf,
    pub(super) working: PathBuf,
    pub(super) patterns: Vec<Pattern>,
    pub(super) ready: Ready,
    pub(super) order: Order,
    pub(super) poll: Duration,
    pub(super) watching: Watching,
    pub(super) when_done: WhenDone,
    pub(super) error: PathBuf,
    pub(super) split: Split,
    pub(super) message_bytes_max: usize,
    pub(super) under_way_max: usize,
}

/// A folder to be read.
#[derive(Debug)]
pub(super) struct FileSource {
    options: Arc<SourceOptions>,
}

impl FileSource {
    /// A source with these options.
    pub(super) fn new(options: SourceOptions) -> Self {
        Self { options: Arc::new(options) }
    }
}

impl Source for FileSource {
    fn bind(&self) -> BoxFuture<'_, Result<Box<dyn Bound>, StartError>> {
        let options = self.options.clone();
        async move {
            let workplace = match open(&options).await {
                Ok(workplace) => Some(workplace),
                // A share may be mounted after us: the source waits for it.
                Err(WorkplaceError::Folder { .. }) => None,
                Err(error) => {
                    return Err(StartError {
                        code: error.code(),
                        message: error.to_string(),
                        source: None,
                    });
                }
            };
            let bound: Box<dyn Bound> = Box::new(BoundFolder { options, workplace });
            Ok(bound)
        }
        .boxed()
    }
}

/// A folder whose working folder we hold, or will hold when it appears.
struct BoundFolder {
    options: Arc<SourceOptions>,
    workplace: Option<Arc<Workplace>>,
}

impl Bound for BoundFolder {
    fn address(&self) -> Option<String> {
        Some(self.options.folder.display().to_string())
    }

    fn run(
        self: Box<Self>,
        intake: Arc<dyn Intake>,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let changed = Arc::new(Notify::new());
        let mut rounds = Rounds {
            options: self.options,
            workplace: self.workplace,
            watch: None,
            changed,
            intake,
            health,
            stop,
            stability: Stability::default(),
            tries: HashMap::new(),
            odd: None,
        };
        async move { rounds.run().await }.boxed()
    }
}

/// What one round came to.
enum Round {
    /// Files were taken: there may be more.
    Again,
    /// Nothing to do before then.
    Idle(Option<Instant>),
    /// Something failed, and was told; try again after a while.
    Failed,
    /// We are stopping.
    Stopped,
}

/// What is odd about a folder: links and the like, empty files, files we may not read.
type Oddities = (u64, u64, u64);

struct Rounds {
    options: Arc<SourceOptions>,
    workplace: Option<Arc<Workplace>>,
    watch: Option<Watch>,
    changed: Arc<Notify>,
    intake: Arc<dyn Intake>,
    health: Arc<Health>,
    stop: CancellationToken,
    stability: Stability,
    /// How often reading a claimed file has failed, by its key.
    tries: HashMap<String, u32>,
    /// What was told last, so that it is told once.
    odd: Option<Oddities>,
}

impl Rounds {
    async fn run(&mut self) {
        while !self.stop.is_cancelled() {
            let due = match self.round().await {
                Round::Again => continue,
                Round::Stopped => break,
                Round::Idle(due) => due,
                Round::Failed => None,
            };
            self.wait(due).await;
        }
        self.watch = None;
        // Gives the lock back before we are reported as stopped.
        self.workplace = None;
        self.health.stopped();
    }

    async fn wait(&self, due: Option<Instant>) {
        let poll = Instant::now() + self.options.poll;
        let until = due.map_or(poll, |due| due.min(poll));
        let changed = async {
            self.changed.notified().await;
            tokio::time::sleep(ROUND_PAUSE).await;
        };
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            () = changed => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn round(&mut self) -> Round {
        let workplace = match self.workplace().await {
            Ok(workplace) => workplace,
            Err(error) => {
                self.down(error.code(), error.to_string());
                return Round::Failed;
            }
        };
        let order = self.options.order;
        let claims = blocking({
            let workplace = workplace.clone();
            move || claimed_in_order(&workplace, order)
        });
        match claims.await {
            Ok(claims) if claims.is_empty() => self.claim_more(workplace).await,
            Ok(claims) => self.finish_claims(&workplace, claims).await,
            Err(error) => {
                let working = self.options.working.display();
                let detail = format!("{working} can't be read: {}", disk::reason(&error));
                self.down(codes::WORKING_FOLDER.code, detail);
                Round::Failed
            }
        }
    }

    /// The working folder, held. After a share came back it is another one than before.
    async fn workplace(&mut self) -> Result<Arc<Workplace>, WorkplaceError> {
        if let Some(held) = self.workplace.take() {
            let (held, is_current) = blocking(move || {
                let is_current = held.is_current();
                (held, is_current)
            })
            .await;
            if is_current {
                self.workplace = Some(held);
            }
        }
        if self.workplace.is_none() {
            self.watch = None;
            self.workplace = Some(open(&self.options).await?);
        }
        if self.watch.is_none() && self.options.watching == Watching::PollAndWatch {
            let (folder, changed) = (self.options.folder.clone(), self.changed.clone());
            self.watch = blocking(move || Watch::start(&folder, &changed)).await;
        }
        match &self.workplace {
            Some(workplace) => Ok(workplace.clone()),
            None => open(&self.options).await,
        }
    }

    async fn claim_more(&mut self, workplace: Arc<Workplace>) -> Round {
        let options = self.options.clone();
        let listed = blocking(move || {
            let SourceOptions { folder, patterns, ready, order, .. } = &*options;
            Listing::of(folder, patterns, ready, *order, LISTED_FILES_MAX)
        });
        let listing = match listed.await {
            Ok(listing) => listing,
            Err(source) => {
                let path = self.options.folder.clone();
                let error = WorkplaceError::Folder { path, source };
                self.down(error.code(), error.to_string());
                return Round::Failed;
            }
        };
        let stable_for = match &self.options.ready {
            Ready::Stable(stable_for) => *stable_for,
            Ready::Marker(_) => Duration::ZERO,
        };
        let ready = self.stability.ready(listing.files, Instant::now(), stable_for);
        if self.stop.is_cancelled() {
            return Round::Stopped;
        }
        let options = self.options.clone();
        let claimed = blocking(move || claim_first(&workplace, &options, &ready.files)).await;
        match claimed {
            Ok(claimed) => {
                self.tell_oddities((listing.unfit, listing.empty, claimed.unreadable));
                if claimed.files > 0 { Round::Again } else { Round::Idle(ready.due) }
            }
            Err(error) => {
                let folder = self.options.folder.display();
                let detail =
                    format!("a file in {folder} can't be claimed: {}", disk::reason(&error));
                self.down(codes::CLAIM_FAILED.code, detail);
                Round::Failed
            }
        }
    }

    async fn finish_claims(&mut self, workplace: &Arc<Workplace>, claims: Vec<Claim>) -> Round {
        self.tries.retain(|key, _| claims.iter().any(|claim| claim.key == *key));
        for claim in claims {
            match self.finish(&claim).await {
                Ok(Handed::All) => {}
                Ok(Handed::Stopped) => return Round::Stopped,
                Ok(Handed::Unreadable(error)) => {
                    *self.tries.entry(claim.key).or_default() += 1;
                    let working = self.options.working.display();
                    let detail =
                        format!("a file in {working} can't be read: {}", disk::reason(&error));
                    self.down(codes::FILE_UNREADABLE.code, detail);
                    return Round::Failed;
                }
                Err(error) => {
                    let working = self.options.working.display();
                    let detail =
                        format!("a file in {working} can't be put away: {}", disk::reason(&error));
                    self.down(codes::MOVE_FAILED.code, detail);
                    return Round::Failed;
                }
            }
        }
        let workplace = workplace.clone();
        // When this fails a power failure may bring finished files back; the engine then knows all their parts.
        let _ = blocking(move || workplace.sync()).await;
        Round::Again
    }

    /// Hands a claimed file over and puts it away.
    async fn finish(&mut self, claim: &Claim) -> io::Result<Handed> {
        let mut reasons = Reasons::default();
        let notes = Notes::at(claim.notes());
        match self.hand_over(claim, &notes, &mut reasons).await {
            Ok(Handed::All) => {}
            Ok(Handed::Unreadable(error)) | Err(error) => {
                let tries = self.tries.get(&claim.key).copied().unwrap_or_default();
                if tries.saturating_add(1) < READ_TRIES_MAX {
                    return Ok(Handed::Unreadable(error));
                }
                reasons.add(Reason::Unreadable(disk::reason(&error)));
            }
            Ok(Handed::Stopped) => return Ok(Handed::Stopped),
        }
        let told = reasons.code().map(|code| (code, self.options.error.display().to_string()));
        let (options, claim) = (self.options.clone(), claim.clone());
        blocking(move || put_away(&options, &claim, notes.path(), &reasons)).await?;
        match told {
            None => self.health.up(),
            Some((code, folder)) => {
                let detail =
                    format!("a file was moved to {folder} ({code}); the reason lies beside it");
                self.health.up();
                self.health.problem(Problem { code: codes::FILE_SET_ASIDE.code, detail });
            }
        }
        Ok(Handed::All)
    }

    async fn hand_over(
        &self,
        claim: &Claim,
        notes: &Notes,
        reasons: &mut Reasons,
    ) -> io::Result<Handed> {
        notes.read(reasons).await?;
        let kind = tokio::fs::symlink_metadata(&claim.path).await?.file_type();
        if !kind.is_file() {
            reasons.add(Reason::Unreadable("it is a link or no plain file".to_owned()));
            return Ok(Handed::All);
        }
        let kept = self.intake.parts_kept(&claim.key);
        let SourceOptions { split, message_bytes_max, under_way_max, .. } = *self.options;
        let mut reader = PartReader::open(&claim.path, split, message_bytes_max, kept).await?;
        let file = Some(claim.name.to_string_lossy().into_owned());
        let hand_over = HandOver {
            intake: &self.intake,
            health: &self.health,
            stop: &self.stop,
            key: &claim.key,
            peer: Arc::new(Peer { file, ..Peer::default() }),
            notes,
            under_way_max,
        };
        let handed = hand_over.run(&mut reader, reasons).await;
        if matches!(handed, Handed::All) && reader.messages() == 0 && !reader.is_enveloped() {
            reasons.add_no_message();
        }
        Ok(handed)
    }

    fn down(&mut self, code: &'static str, detail: String) {
        self.odd = None;
        let problem = Problem { code, detail };
        // The same failure round after round is one problem.
        if self.health.snapshot().problem.as_ref() != Some(&problem) {
            self.health.down(problem);
        }
    }

    /// The folder could be read. Tells of files that are left alone in it, when that changed.
    fn tell_oddities(&mut self, odd: Oddities) {
        if self.health.snapshot().state != LinkState::Up {
            self.health.up();
        }
        if self.odd.replace(odd) == Some(odd) {
            return;
        }
        let folder = self.options.folder.display();
        let (unfit, empty, unreadable) = odd;
        let cases = [
            (unfit, codes::FILE_UNFIT.code, "can't be taken"),
            (empty, codes::FILE_EMPTY.code, "are empty"),
            (unreadable, codes::FILE_UNREADABLE.code, "can't be read"),
        ];
        for (files, code, what) in cases.into_iter().filter(|(files, ..)| *files > 0) {
            let detail = format!("{files} files in {folder} {what}");
            self.health.problem(Problem { code, detail });
        }
    }
}

async fn open(options: &Arc<SourceOptions>) -> Result<Arc<Workplace>, WorkplaceError> {
    let options = options.clone();
    blocking(move || Workplace::open(&options.folder, &options.working).map(Arc::new)).await
}

/// Does what blocks on a thread for it. A share that hangs holds that thread, and us, until it answers.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// What is in the working folder, in the order in which it is to be taken.
fn claimed_in_order(workplace: &Workplace, order: Order) -> io::Result<Vec<Claim>> {
    let mut claims = workplace.claimed()?;
    match order {
        Order::Name => claims.sort_by(|one, other| one.name.cmp(&other.name)),
        Order::Modified => claims.sort_by_cached_key(|claim| {
            let modified = fs::symlink_metadata(&claim.path).and_then(|claimed| claimed.modified());
            (modified.unwrap_or(SystemTime::UNIX_EPOCH), claim.name.clone())
        }),
    }
    Ok(claims)
}

#[derive(Default)]
struct Claimed {
    files: usize,
    unreadable: u64,
}

/// Claims the first of these files.
fn claim_first(
    workplace: &Workplace,
    options: &SourceOptions,
    names: &[OsString],
) -> io::Result<Claimed> {
    let mut claimed = Claimed::default();
    let mut markers = Vec::new();
    let mut failed = Ok(());
    for name in names {
        if claimed.files == CLAIMS_MAX {
            break;
        }
        let path = options.folder.join(name);
        match fs::File::open(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // Left where it is: whoever may change its permissions looks for it there.
            Err(_) => {
                claimed.unreadable += 1;
                continue;
            }
        }
        match workplace.claim(name) {
            Ok(Some(_)) => {
                claimed.files += 1;
                if let Ready::Marker(marker) = &options.ready {
                    markers.push(options.folder.join(marker.of(name)));
                }
            }
            Ok(None) => {}
            Err(error) => {
                failed = Err(error);
                break;
            }
        }
    }
    if claimed.files > 0 {
        workplace.sync()?;
        // A marker that stays would call a later file of that name complete too early; nothing else hangs on it.
        markers.iter().for_each(|marker| drop(fs::remove_file(marker)));
    }
    failed.map(|()| claimed)
}

/// Moves a finished file to where it belongs, its reason beside it, and forgets the notes.
fn put_away(
    options: &SourceOptions,
    claim: &Claim,
    notes: &Path,
    reasons: &Reasons,
) -> io::Result<()> {
    if reasons.is_empty() {
        match &options.when_done {
            WhenDone::Delete => fs::remove_file(&claim.path)?,
            WhenDone::Move(done) => {
                disk::move_into(&claim.path, done, &claim.name)?;
            }
        }
    } else {
        let moved = disk::move_into(&claim.path, &options.error, &claim.name)?;
        let mut reason = moved.into_os_string();
        reason.push(".reason");
        fs::write(PathBuf::from(reason), reasons.to_string())?;
    }
    match fs::remove_file(notes) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
