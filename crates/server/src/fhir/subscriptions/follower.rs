//! Reads the datastore's changes behind it and enters what Subscriptions are to be told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pipehat_resource::json::{Value, parse};
use pipehat_resource::search::Registry;
use pipehat_store::datastore::{
    Applied, ChangeNumber, DELIVERIES_MAX, DatastoreError, Group, HistoryQuery, HistoryScope,
    Interaction, Matched, Outcome, Precondition, ResourceKey, StoredVersion, Trigger, Verdict,
};
use tokio_util::sync::CancellationToken;

use super::service::{Stir, Subscriptions, Wish, now};
use super::subscription::{Channel, GIVEN_UP, Note, Status, Subscription};

const SUBSCRIPTION: &str = "Subscription";

/// What stands in the Subscription of a client that was revoked.
const REVOKED: &str = "the client that wrote this Subscription was revoked";

/// How many Subscriptions may be active. Each costs a look at every change of its type.
const SUBSCRIPTIONS_MAX: usize = 10_000;

/// Changes are read in pages of up to this many, and fewer behind large ones.
const PAGE_MAX: usize = 64;

/// A page larger than this makes the next one smaller.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// How long to wait when the datastore fails.
const PAUSE: Duration = Duration::from_secs(1);

/// How often to look whether a Subscription has ended.
const LOOK: Duration = Duration::from_secs(1);

/// How often the place that was reached is written down where nothing was to be entered. What is read once more after
/// a kill is none of anybody's.
const ENTER: Duration = Duration::from_secs(1);

/// Where no Subscription is active, changes may come together before they are read.
const GATHER: Duration = Duration::from_millis(20);

/// Follows until the stop.
pub(super) async fn follow(shared: &Subscriptions, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = run(shared) => {}
    }
}

async fn run(shared: &Subscriptions) {
    let mut newest = shared.datastore.newest_change();
    let mut follower = loop {
        match Follower::start(shared).await {
            Ok(follower) => break follower,
            Err(error) => failed(&error, "Subscriptions can't be read").await,
        }
    };
    loop {
        // Marked first: what comes while a page is read wakes it again.
        newest.borrow_and_update();
        match follower.step().await {
            Err(error) => failed(&error, "Subscriptions can't follow the datastore").await,
            Ok(Step::More { full }) => {
                if !full && shared.look(|watch| watch.len() == 0) {
                    tokio::time::sleep(GATHER).await;
                }
            }
            Ok(Step::AtEnd) => tokio::select! {
                changed = newest.changed() => if changed.is_err() { return },
                () = shared.follow.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            },
        }
    }
}

async fn failed(error: &DatastoreError, what: &'static str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}; trying again");
    tokio::time::sleep(PAUSE).await;
}

enum Step {
    /// There may be more: there is, where the page was full.
    More {
        full: bool,
    },
    AtEnd,
}

struct Follower<'s> {
    shared: &'s Subscriptions,
    position: ChangeNumber,
    /// The place that is written down, and since when.
    entered: (ChangeNumber, Instant),
    registry: Arc<Registry>,
    page: usize,
    /// Whether this node led at the last step: of several that share a database, one calls endpoints.
    led: bool,
    /// What the node that leads next was told of how far this one is, and when.
    told: (ChangeNumber, Instant),
    /// The number of the book, once this node led.
    book: u64,
    /// Where it began.
    first: ChangeNumber,
    /// Behind which change Subscriptions count that were not there when it began.
    since: HashMap<String, ChangeNumber>,
    /// Changes of Subscriptions that are the server's own, until they are read: they say nothing new of an endpoint.
    own: HashSet<ChangeNumber>,
}

impl<'s> Follower<'s> {
    /// Reads the Subscriptions as they were at the position: those that came behind it come as changes.
    async fn start(shared: &'s Subscriptions) -> Result<Self, DatastoreError> {
        const PAGE: usize = 200;
        let position = shared.with_book(|book| book.position()).await?;
        let registry = shared.parameters.known();
        let told = (ChangeNumber(0), Instant::now());
        let mut follower = Self {
            shared,
            position,
            entered: (position, Instant::now()),
            registry,
            page: PAGE_MAX,
            led: false,
            told,
            book: 0,
            first: position,
            since: HashMap::new(),
            own: HashSet::new(),
        };
        let mut seen = HashSet::new();
        let mut before = Some(ChangeNumber(position.0.saturating_add(1)));
        while before.is_some() {
            let query = HistoryQuery {
                scope: HistoryScope::Type(SUBSCRIPTION.to_owned()),
                since: None,
                at: None,
                before,
                limit: PAGE,
            };
            let versions = shared.datastore.history(&query).await?;
            before = versions.last().map(|last| last.change);
            for version in versions {
                if seen.insert(version.key.id.clone())
                    && let Some(resource) = resource_of(&version)
                {
                    follower.take_subscription(&version, &resource);
                }
            }
        }
        Ok(follower)
    }

    async fn step(&mut self) -> Result<Step, DatastoreError> {
        self.follow_parameters();
        self.end_subscriptions();
        self.stop_revoked();
        self.lead().await?;
        self.grant_wishes().await;
        self.shared.followed.send_replace(self.position);
        let changes = self.shared.datastore.changes(self.position, self.page).await?;
        let Some(last) = changes.last().map(|last| last.change) else {
            if self.entered.0 < self.position && self.entered.1.elapsed() >= ENTER {
                self.enter(self.position, Vec::new(), Vec::new()).await?;
            }
            return Ok(Step::AtEnd);
        };
        let full = changes.len() >= self.page;
        let bytes: usize =
            changes.iter().filter_map(|change| change.body.as_ref()).map(|body| body.len()).sum();
        self.page = if bytes > PAGE_BYTES { 1 } else { (self.page * 2).min(PAGE_MAX) };
        let mut matched = Vec::new();
        let mut changed = Vec::new();
        for change in &changes {
            self.take(change, &mut matched, &mut changed).await?;
        }
        if matched.is_empty() && changed.is_empty() && self.entered.1.elapsed() < ENTER {
            self.position = last;
        } else {
            self.enter(last, matched, changed).await?;
        }
        Ok(Step::More { full })
    }

    /// Looks after endpoints, or leaves them to another node. Whoever begins to lead goes through what the one
    /// before may not have come to; what that one has in its own book, it delivers when it is there again.
    async fn lead(&mut self) -> Result<(), DatastoreError> {
        let datastore = &self.shared.datastore;
        if !datastore.is_shared() {
            self.led = true;
            return Ok(());
        }
        let leads = datastore.leads();
        if leads && !self.led {
            let (own, led_to) =
                self.shared.with_book(|book| Ok((book.number()?, book.led_to()?))).await?;
            let from = match datastore.told_to().await? {
                // Nobody else led since.
                Some((_, book)) if book == own => led_to.unwrap_or(self.first),
                Some((told_to, _)) => told_to,
                None => self.first,
            };
            self.catch_up(from).await?;
            self.book = own;
        }
        let begins = leads && !self.led;
        let (told, when) = self.told;
        if begins || (leads && told != self.position && when.elapsed() >= LOOK) {
            let position = self.position;
            self.shared.with_book(move |book| book.lead_to(position)).await?;
            self.shared.datastore.set_told_to(position, self.book).await?;
            self.told = (position, Instant::now());
        }
        self.led = leads;
        Ok(())
    }

    /// Enters what endpoints are to be told of the changes from there to the position.
    async fn catch_up(&mut self, from: ChangeNumber) -> Result<(), DatastoreError> {
        let mut from = from;
        while from < self.position {
            let changes = self.shared.datastore.changes(from, PAGE_MAX).await?;
            let Some(last) = changes.last().map(|last| last.change) else { return Ok(()) };
            let (mut matched, position) = (Vec::new(), self.position);
            for change in changes.iter().filter(|change| change.change <= position) {
                // Subscriptions are in force already; one that was changed meanwhile counts as it is now.
                if change.key.resource_type != SUBSCRIPTION {
                    self.take(change, &mut matched, &mut Vec::new()).await?;
                }
            }
            let hooks: Vec<Matched> = matched
                .into_iter()
                .filter(|(matching, subscription)| {
                    let since = self.since.get(&subscription.id);
                    matches!(subscription.channel, Channel::Hook(_))
                        && since.is_none_or(|since| matching.change > *since)
                })
                .map(|(matching, _)| matching)
                .collect();
            let stirred: Vec<String> = hooks.iter().map(|hook| hook.subscription.clone()).collect();
            self.shared.with_book(move |book| book.record(position, &hooks, &[], now())).await?;
            self.shared.stir(stirred.into_iter().map(|id| (id, Stir::Look)));
            from = last;
        }
        Ok(())
    }

    async fn take(
        &mut self,
        change: &StoredVersion,
        matched: &mut Vec<(Matched, Arc<Subscription>)>,
        changed: &mut Vec<Turned>,
    ) -> Result<(), DatastoreError> {
        let is_subscription = change.key.resource_type == SUBSCRIPTION;
        let watched = self.shared.look(|watch| watch.concerns(&change.key.resource_type));
        if !is_subscription && !watched {
            return Ok(());
        }
        let resource = resource_of(change);
        if is_subscription {
            let id = change.key.id.clone();
            match &resource {
                None => {
                    self.shared.change(|watch| watch.remove(&id));
                    self.since.remove(&id);
                    changed.push(Turned::Deleted(id));
                }
                Some(resource) => {
                    let known = self.shared.look(|watch| watch.get(&id).is_some());
                    self.take_subscription(change, resource);
                    if !known {
                        self.since.insert(id.clone(), change.change);
                    }
                    changed.push(match self.own.remove(&change.change) {
                        true => Turned::Noted(id),
                        false => Turned::Changed(id),
                    });
                }
            }
        }
        let (resource, deleted) = match (resource, change.body.is_none()) {
            (Some(resource), _) => (resource, false),
            (None, false) => return Ok(()),
            (None, true) => {
                let Some(before) = self.before(change).await? else { return Ok(()) };
                let Some(resource) = resource_of(&before) else { return Ok(()) };
                (resource, true)
            }
        };
        let met = self.shared.look(|watch| {
            let base = &self.shared.options.base;
            watch.met_by(&resource, deleted, &self.registry, base, now())
        });
        if met.is_empty() {
            return Ok(());
        }
        let before = if deleted { None } else { self.before(change).await? };
        let trigger = match deleted {
            true => Trigger::Delete,
            // Whoever comes back after a deletion is made anew.
            false => match &before {
                Some(before) if before.body.is_some() => Trigger::Update,
                _ => Trigger::Create,
            },
        };
        let previous = before.as_ref().and_then(resource_of);
        for subscription in met {
            if !subscription.triggers.contains(&trigger) {
                continue;
            }
            let holds = match deleted {
                true => subscription.holds(Some(&resource), None),
                false => subscription.holds(previous.as_ref(), Some(&resource)),
            };
            let verdict = match holds {
                Ok(true) => Verdict::Tell,
                Ok(false) => continue,
                Err(error) => {
                    self.shared.wish(&subscription.id, Wish::undecided(&error));
                    Verdict::Open
                }
            };
            let matching = Matched {
                subscription: subscription.id.clone(),
                key: change.key.clone(),
                version: change.version,
                change: change.change,
                trigger,
                verdict,
            };
            matched.push((matching, subscription));
        }
        Ok(())
    }

    /// The version before.
    async fn before(
        &self,
        change: &StoredVersion,
    ) -> Result<Option<StoredVersion>, DatastoreError> {
        match change.version.checked_sub(1) {
            None | Some(0) => Ok(None),
            Some(before) => self.shared.datastore.version(&change.key, before).await,
        }
    }

    /// Enters what a page brought, and tells those concerned.
    async fn enter(
        &mut self,
        position: ChangeNumber,
        matched: Vec<(Matched, Arc<Subscription>)>,
        changed: Vec<Turned>,
    ) -> Result<(), DatastoreError> {
        let mut hooks = Vec::new();
        let mut heard = Vec::new();
        for (matching, subscription) in matched {
            match subscription.channel {
                Channel::Hook(_) if self.led => hooks.push(matching),
                Channel::Hook(_) => {}
                // Its error says so; whoever listens is told of what is known to be meant.
                Channel::WebSocket if matching.verdict == Verdict::Open => {}
                Channel::WebSocket => heard.push(matching.subscription),
            }
        }
        let stirred: Vec<String> = hooks.iter().map(|hook| hook.subscription.clone()).collect();
        let missed = heard.clone();
        let turned = changed.clone();
        let leads_shared = self.led && self.shared.datastore.is_shared();
        let full = self
            .shared
            .with_book(move |book| {
                let full = book.record(position, &hooks, &missed, now())?;
                if leads_shared {
                    book.lead_to(position)?;
                }
                for turned in &turned {
                    match turned {
                        Turned::Changed(id) => book.hurry(id, now())?,
                        Turned::Noted(_) => {}
                        Turned::Deleted(id) => book.forget(id)?,
                    }
                }
                Ok(full)
            })
            .await?;
        self.position = position;
        self.entered = (position, Instant::now());
        for id in full {
            self.shared.change(|watch| watch.remove(&id));
            let text =
                format!("{DELIVERIES_MAX} notifications wait or were given up; more were not kept");
            self.shared.wish(&id, Wish::Error(text, None));
        }
        for id in heard {
            if self.shared.listeners.tell(&id) {
                self.shared.with_book(move |book| book.take_missed(&id)).await?;
            }
        }
        let changed = changed.into_iter().map(|turned| match turned {
            Turned::Changed(id) | Turned::Deleted(id) => (id, Stir::Afresh),
            Turned::Noted(id) => (id, Stir::Look),
        });
        self.shared.stir(stirred.into_iter().map(|id| (id, Stir::Look)).chain(changed));
        Ok(())
    }

    /// Puts a version of a Subscription in force.
    fn take_subscription(&mut self, version: &StoredVersion, resource: &Value) {
        let id = version.key.id.as_str();
        let status = Status::of(resource);
        if status == Status::Silent {
            self.shared.change(|watch| watch.remove(id));
            return;
        }
        match Subscription::read(resource, self.shared.reading(&self.registry)) {
            Ok(subscription) if self.is_revoked(&subscription) => {
                self.shared.change(|watch| watch.remove(id));
                self.shared.wish(id, Wish::Error(REVOKED.to_owned(), Some(version.version)));
            }
            Ok(subscription) => {
                let taken = self.shared.change(|watch| {
                    let fits = watch.get(id).is_some() || watch.len() < SUBSCRIPTIONS_MAX;
                    if fits {
                        watch.put(Arc::new(subscription));
                    }
                    fits
                });
                if !taken {
                    let text = format!("{SUBSCRIPTIONS_MAX} Subscriptions are active already");
                    self.shared.wish(id, Wish::Error(text, Some(version.version)));
                } else {
                    // What waits for it may have been looked for before it was known: then nobody would look again.
                    self.shared.stir(std::iter::once((id.to_owned(), Stir::Look)));
                    if status == Status::Requested {
                        self.shared.wish(id, Wish::Active);
                    }
                }
            }
            Err(issues) => {
                self.shared.change(|watch| watch.remove(id));
                let texts: Vec<String> = issues.into_iter().map(|issue| issue.text).collect();
                self.shared.wish(id, Wish::Error(texts.join("; "), Some(version.version)));
            }
        }
    }

    /// Reads criteria anew when search parameters have changed.
    fn follow_parameters(&mut self) {
        let registry = self.shared.parameters.known();
        if Arc::ptr_eq(&registry, &self.registry) {
            return;
        }
        self.registry = registry;
        // What was read stays as it was written: the criteria are read again from the resources.
        let ids: Vec<String> = self
            .shared
            .look(|watch| watch.all().map(|subscription| subscription.id.clone()).collect());
        for id in ids {
            let Some(old) = self.shared.subscription(&id) else { continue };
            match old.read_again(self.shared.reading(&self.registry)) {
                Ok(new) => self.shared.change(|watch| watch.put(Arc::new(new))),
                Err(issues) => {
                    self.shared.change(|watch| watch.remove(&id));
                    let texts: Vec<String> = issues.into_iter().map(|issue| issue.text).collect();
                    self.shared.wish(&id, Wish::Error(texts.join("; "), None));
                }
            }
        }
    }

    fn end_subscriptions(&self) {
        let now = now();
        let over: Vec<String> = self.shared.look(|watch| {
            let over = watch.all().filter(|subscription| subscription.is_over(now));
            over.map(|subscription| subscription.id.clone()).collect()
        });
        for id in over {
            self.shared.change(|watch| watch.remove(&id));
            self.shared.wish(&id, Wish::Off);
        }
    }

    fn is_revoked(&self, subscription: &Subscription) -> bool {
        let revoked = self.shared.revoked.borrow();
        subscription.client.as_ref().is_some_and(|client| revoked.contains(client))
    }

    /// Ends the Subscriptions of clients that were revoked.
    fn stop_revoked(&self) {
        let Some(clients) = &self.shared.options.clients else { return };
        let revoked = clients.revoked();
        let is_news = self.shared.revoked.send_if_modified(|known| {
            let is_news = !Arc::ptr_eq(known, &revoked);
            *known = revoked;
            is_news
        });
        if !is_news {
            return;
        }
        let over: Vec<String> = self.shared.look(|watch| {
            let over = watch.all().filter(|subscription| self.is_revoked(subscription));
            over.map(|subscription| subscription.id.clone()).collect()
        });
        for id in over {
            self.shared.change(|watch| watch.remove(&id));
            self.shared.wish(&id, Wish::Error(REVOKED.to_owned(), None));
        }
    }

    /// Writes what the server wants of Subscription resources. What fails is tried again at the next step.
    async fn grant_wishes(&mut self) {
        for (id, wish) in self.shared.take_wishes() {
            match self.grant(&id, &wish).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        subscription = id,
                        "a Subscription's status could not be written; trying again"
                    );
                    self.shared.wish_again(id, wish);
                }
            }
        }
    }

    async fn grant(&mut self, id: &str, wish: &Wish) -> Result<(), DatastoreError> {
        const TRIES_MAX: usize = 5;
        let key = ResourceKey { resource_type: SUBSCRIPTION.to_owned(), id: id.to_owned() };
        for _ in 0..TRIES_MAX {
            let Some(current) = self.shared.datastore.read(&key).await? else { return Ok(()) };
            let Some(mut resource) = resource_of(&current) else { return Ok(()) };
            if !granted(&mut resource, current.version, wish) {
                return Ok(());
            }
            let precondition = Precondition::Version(current.version);
            let interaction =
                Interaction::Update { resource, precondition, keeps: None, full_url: None };
            let group = Group { interactions: vec![interaction], now: now() };
            if let Applied::Done(outcomes) = self.shared.datastore.apply(group).await? {
                if let Some(Outcome::Updated(version)) = outcomes.first() {
                    self.own.insert(version.change);
                }
                return Ok(());
            }
            // Somebody else changed it: perhaps it wants something else now.
        }
        Ok(())
    }
}

/// What became of a Subscription.
#[derive(Debug, Clone)]
enum Turned {
    Changed(String),
    /// By the server itself.
    Noted(String),
    Deleted(String),
}

/// Changes a Subscription resource as wished; whether there is something to change.
fn granted(resource: &mut Value, version: u64, wish: &Wish) -> bool {
    let status = Status::of(resource);
    if *wish == Wish::Clear {
        let noted = Note::of(resource) != Note::None;
        let Some(object) = resource.as_object_mut().filter(|_| noted) else { return false };
        if status == Status::Failing {
            object.set("status", "active".into());
        }
        return object.remove("error").is_some();
    }
    let (new_status, error) = match wish {
        // It says one error until all is decided, so that each try is no version of its own.
        Wish::Undecided(text) if matches!(status, Status::Requested | Status::Active) => {
            (Some("error"), Some(text.as_str()))
        }
        Wish::Active if status == Status::Requested => (Some("active"), None),
        Wish::Off if status != Status::Silent => (Some("off"), None),
        Wish::Error(text, of) if status != Status::Silent && of.is_none_or(|of| of == version) => {
            (Some("error"), Some(text.as_str()))
        }
        // That its criteria fail is told before.
        Wish::Note if Note::of(resource) == Note::None => (None, Some(GIVEN_UP)),
        _ => return false,
    };
    let Some(object) = resource.as_object_mut() else { return false };
    if let Some(status) = new_status {
        object.set("status", status.into());
    }
    if let Some(text) = error {
        object.set("error", text.into());
    }
    true
}

/// The resource of a version; `None` of a deletion.
fn resource_of(version: &StoredVersion) -> Option<Value> {
    let body = version.body.as_deref()?;
    match parse(body.as_bytes()) {
        Ok(resource) => Some(resource),
        Err(_) => {
            tracing::error!(
                change = version.change.0,
                "a stored resource is no JSON; Subscriptions pass it over"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, wish: &Wish, expected: Option<&str>) {
        let mut resource = parse(before.as_bytes()).expect("JSON");
        let granted = granted(&mut resource, 3, wish);
        assert_eq!(granted.then(|| resource.to_json()).as_deref(), expected, "{wish:?}");
    }

    #[test]
    fn wishes_change_what_still_wants_it() {
        let requested = r#"{"status":"requested"}"#;
        let active = r#"{"status":"active"}"#;
        let off = r#"{"status":"off"}"#;
        check(requested, &Wish::Active, Some(active));
        check(active, &Wish::Active, None);
        check(off, &Wish::Active, None);
        check(active, &Wish::Off, Some(off));
        check(off, &Wish::Off, None);
        let error = Some(r#"{"status":"error","error":"no"}"#);
        check(active, &Wish::Error("no".to_owned(), None), error);
        check(active, &Wish::Error("no".to_owned(), Some(3)), error);
        check(active, &Wish::Error("no".to_owned(), Some(2)), None);
        let noted = format!(r#"{{"status":"active","error":"{GIVEN_UP}"}}"#);
        check(active, &Wish::Note, Some(&noted));
        check(&noted, &Wish::Note, None);
        check(r#"{"status":"active","error":"no"}"#, &Wish::Clear, None);
        check(&noted, &Wish::Clear, Some(active));
        let text = format!("{}: column 1: why", super::super::subscription::UNDECIDED);
        let undecided = format!(r#"{{"status":"error","error":"{text}"}}"#);
        let wish = Wish::Undecided(text);
        check(active, &wish, Some(&undecided));
        check(&noted, &wish, Some(&undecided));
        check(&undecided, &wish, None);
        check(off, &wish, None);
        check(&undecided, &Wish::Note, None);
        check(&undecided, &Wish::Clear, Some(active));
        check(&undecided, &Wish::Off, Some(&undecided.replace("\"error\",", "\"off\",")));
    }
}
