//! Sends what stands in the book of deliveries.
//!
//! Each Subscription has a lane. A lane sends a few of its heads side by side, of which one place stays for what hasn't
//! failed before; and one that is not answered soon makes room for another, up to a bound. So resources that hang or are
//! refused hold up the others for a moment only. Where many
//! different ones failed and none succeeded, the endpoint itself is taken to be down: then one at a time goes out, with
//! pauses, so that a large backlog does not storm an endpoint that comes back, nor this machine.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use pipehat_resource::fhirpath::EvaluationError;
use pipehat_resource::json::parse;
use pipehat_store::datastore::{Body, DatastoreError, Delivery, DeliveryBook, Trigger, Verdict};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::delay::{Next, Patience, micros};
use super::service::{Stir, Subscriptions, Wish, now};
use super::subscriber::{DeliveryFailure, Notice};
use super::subscription::{Note, Subscription};

/// How many deliveries are under way, all together: each holds a resource.
const FLIGHTS_MAX: usize = 64;

/// How many deliveries of one Subscription are under way.
const PARALLEL_MAX: usize = 4;

/// One that takes longer than this makes room for another.
const SLOW: Duration = Duration::from_secs(1);

/// How many make room.
const SLOW_MAX: usize = 12;

/// So many places, of those for all together, are kept from what takes the room of slow ones: endpoints that hang do not
/// hold up other Subscriptions.
const KEPT: usize = FLIGHTS_MAX / 2;

/// How many of one Subscription are tries of what failed before.
const RETRIES_MAX: usize = PARALLEL_MAX - 1;

/// How many heads are looked through for one that hasn't failed before, where some have.
const LOOKED_THROUGH: usize = 64;

/// A Subscription that fails is told in the log, and again after this.
const TOLD_AGAIN: Duration = Duration::from_secs(300);

/// So many deliveries that failed without a success between: the endpoint is down.
const DOWN_FROM: usize = 8;

/// The longest pause of an endpoint that is down.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long to wait when the book fails.
const BOOK_PAUSE: Duration = Duration::from_secs(5);

/// How often to look for deliveries that are too old.
const SWEEP: Duration = Duration::from_secs(60);

/// What a person is told of a change whose condition fails.
const FAILS: &str = "the criteria by FHIRPath (a bot's `when`) fail for this change";

/// How long a stop waits for deliveries under way. What is cut off is sent again at the next start.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// Dispatches until the stop.
pub(super) async fn dispatch(shared: &Arc<Subscriptions>, stop: &CancellationToken) {
    let (lanes, told) = (BTreeMap::new(), BTreeMap::new());
    let mut dispatcher = Dispatcher { shared, lanes, told, flights: JoinSet::new() };
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        dispatcher.fill().await;
        let next = dispatcher.next_look();
        tokio::select! {
            () = stop.cancelled() => break,
            Some(landed) = dispatcher.flights.join_next() => dispatcher.land(landed).await,
            () = shared.dispatch.notified() => {}
            () = tokio::time::sleep(next) => {}
            _ = sweep.tick() => dispatcher.sweep().await,
        }
    }
    let rest = async {
        while let Some(landed) = dispatcher.flights.join_next().await {
            dispatcher.land(landed).await;
        }
    };
    if tokio::time::timeout(STOP_GRACE, rest).await.is_err() {
        dispatcher.flights.shutdown().await;
    }
}

/// The deliveries of one Subscription.
#[derive(Default)]
struct Lane {
    /// The changes under way.
    flying: BTreeMap<u64, Flight>,
    /// The changes that failed since the last success, a few of them.
    failed: BTreeSet<u64>,
    failures: u32,
    /// Nothing goes out before.
    not_before: i64,
    /// When to look again.
    look: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    /// It failed before.
    retry: bool,
    /// When it went out.
    since: i64,
}

impl Flight {
    fn slow_from(&self) -> i64 {
        self.since.saturating_add(micros(SLOW))
    }
}

impl Lane {
    fn is_down(&self) -> bool {
        self.failed.len() >= DOWN_FROM
    }

    /// How many more may go out, of which those behind the first number take the room of slow ones.
    fn room(&self, now: i64) -> (usize, usize) {
        if self.is_down() {
            return (1_usize.saturating_sub(self.flying.len()), 0);
        }
        let slow = self.flying.values().filter(|flight| flight.slow_from() <= now).count();
        let all = PARALLEL_MAX.saturating_add(slow.min(SLOW_MAX));
        let plain = PARALLEL_MAX.saturating_sub(self.flying.len());
        (plain, all.saturating_sub(self.flying.len()).saturating_sub(plain))
    }

    /// When one that is under way will have made room.
    fn room_at(&self, now: i64) -> Option<i64> {
        let slow_from = self.flying.values().map(Flight::slow_from);
        if self.is_down() || self.flying.len() >= PARALLEL_MAX.saturating_add(SLOW_MAX) {
            return None;
        }
        slow_from.filter(|from| *from > now).min()
    }

    /// What is sent now of the heads that are due, those that are due longest first; and whether some are passed over.
    fn choose(&self, mut due: Vec<Delivery>, room: usize) -> (Vec<Delivery>, bool) {
        let failed_before = |delivery: &Delivery| delivery.attempts > 0;
        if self.is_down() {
            // Whether it is the endpoint is best told by one that hasn't failed by itself.
            due.sort_by_key(failed_before);
        }
        let mut retries = self.flying.values().filter(|flight| flight.retry).count();
        let (mut chosen, mut is_whole) = (Vec::new(), true);
        for delivery in due {
            let is_retry = failed_before(&delivery);
            if chosen.len() >= room || (is_retry && retries >= RETRIES_MAX) {
                is_whole = false;
                continue;
            }
            retries = retries.saturating_add(usize::from(is_retry));
            chosen.push(delivery);
        }
        (chosen, !is_whole)
    }

    fn succeeded(&mut self) {
        self.failed.clear();
        self.failures = 0;
        self.not_before = 0;
    }

    fn failed(&mut self, change: u64, patience: &Patience, now: i64, random: u8) {
        self.failures = self.failures.saturating_add(1);
        if self.failed.len() < DOWN_FROM {
            self.failed.insert(change);
        }
        if self.is_down() {
            let over = self.failures.saturating_sub(DOWN_FROM as u32);
            let pause = patience.wait(over, random).min(PAUSE_MAX);
            self.not_before = now.saturating_add(micros(pause));
        }
    }
}

/// A delivery that ended.
struct Landed {
    /// As it was when it went out.
    subscription: Arc<Subscription>,
    delivery: Delivery,
    patience: Patience,
    result: Result<(), DeliveryFailure>,
}

struct Dispatcher<'s> {
    shared: &'s Arc<Subscriptions>,
    lanes: BTreeMap<String, Lane>,
    /// When the log was told last that deliveries of a Subscription fail.
    told: BTreeMap<String, i64>,
    flights: JoinSet<Landed>,
}

impl Dispatcher<'_> {
    /// Starts what may go out.
    async fn fill(&mut self) {
        let stirred = self.shared.take_stirred();
        let is_noted = |id: &String| self.shared.is_noted(id);
        // The note may have been written behind the last delivery.
        if stirred.keys().any(is_noted)
            && let Err(error) = self.clear().await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the book of deliveries fails"
            );
        }
        for (id, stir) in stirred {
            let lane = self.lanes.entry(id.clone()).or_default();
            if stir == Stir::Afresh {
                lane.succeeded();
                self.shared.troubles().remove(&id);
            }
            lane.look = Some(0);
        }
        let now = now();
        let mut due: Vec<(i64, String)> = self
            .lanes
            .iter()
            .filter_map(|(id, lane)| Some((lane.look.filter(|look| *look <= now)?, id.clone())))
            .collect();
        // Whoever waits longest comes first, so that none is left out where all places are taken.
        due.sort();
        for (_, id) in due {
            if self.flights.len() >= FLIGHTS_MAX {
                // They keep their look; a landing comes here again.
                return;
            }
            if let Err(error) = self.fill_lane(&id, now).await {
                self.book_failed(&id, &error);
            }
        }
    }

    async fn fill_lane(&mut self, id: &str, now: i64) -> Result<(), DatastoreError> {
        let Some(lane) = self.lanes.get_mut(id) else { return Ok(()) };
        lane.look = None;
        let subscription = self.shared.subscription(id);
        let Some(subscription) = subscription.filter(|found| found.hook().is_some()) else {
            // It is off or gone: what waits, waits.
            if lane.flying.is_empty() {
                self.lanes.remove(id);
            }
            return Ok(());
        };
        if lane.not_before > now {
            lane.look = Some(lane.not_before);
            return Ok(());
        }
        let places = FLIGHTS_MAX.saturating_sub(self.flights.len());
        let (plain, of_slow) = lane.room(now);
        let room = plain.min(places).saturating_add(of_slow.min(places.saturating_sub(KEPT)));
        if room == 0 {
            // A landing of this lane looks again, too.
            lane.look = lane.room_at(now);
            return Ok(());
        }
        let has_failed = lane.flying.values().any(|flight| flight.retry)
            || self.shared.troubles().contains_key(id);
        let beyond = if has_failed { LOOKED_THROUGH } else { 1 };
        let (of, limit) = (id.to_owned(), lane.flying.len().saturating_add(room + beyond));
        let mut heads = self.shared.with_book(move |book| book.heads(&of, limit)).await?;
        heads.retain(|head| !lane.flying.contains_key(&head.matched.change.0));
        let later = heads.iter().position(|head| head.due > now).unwrap_or(heads.len());
        // What is due now and has no place is looked at again when one of this lane lands.
        lane.look = heads.split_off(later).first().map(|head| head.due);
        let (chosen, passes_over) = lane.choose(heads, room);
        if passes_over && lane.flying.is_empty() && chosen.is_empty() {
            lane.look = Some(now);
        }
        for head in chosen {
            let flight = Flight { retry: head.attempts > 0, since: now };
            lane.flying.insert(head.matched.change.0, flight);
            let shared = Arc::clone(self.shared);
            let subscription = Arc::clone(&subscription);
            self.flights.spawn(async move { fly(&shared, subscription, head).await });
        }
        if lane.room(now) == (0, 0) {
            lane.look = lane.room_at(now);
        }
        if lane.look.is_none() && lane.flying.is_empty() && lane.failures == 0 {
            self.lanes.remove(id);
        }
        Ok(())
    }

    /// How long until a lane is to be looked at.
    fn next_look(&self) -> Duration {
        if self.flights.len() >= FLIGHTS_MAX {
            return SWEEP;
        }
        let next = self.lanes.values().filter_map(|lane| lane.look).min();
        let wait = next.map_or(micros(SWEEP), |next| next.saturating_sub(now()).max(1_000));
        Duration::from_micros(u64::try_from(wait).unwrap_or(0))
    }

    async fn land(&mut self, landed: Result<Landed, tokio::task::JoinError>) {
        // Flights don't panic: what they call is caught.
        let Ok(landed) = landed else { return };
        let Landed { subscription, delivery, patience, result } = landed;
        let id = delivery.matched.subscription.clone();
        let change = delivery.matched.change.0;
        let (now, random) = (now(), random());
        // What failed at an endpoint that is not asked any more says nothing of the one that is.
        let is_past = result.is_err() && self.has_moved(&subscription);
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.flying.remove(&change);
            lane.look = Some(now);
            match &result {
                Ok(()) => lane.succeeded(),
                Err(_) if is_past => {}
                Err(_) => lane.failed(change, &patience, now, random),
            }
        }
        let settled = match result {
            Ok(()) => {
                self.shared.note_success(&id, change);
                let delivered =
                    self.shared.with_book(move |book| book.delivered(&delivery.matched)).await;
                match self.shared.is_noted(&id) {
                    true => delivered.and(self.clear().await),
                    false => delivered,
                }
            }
            Err(failure) if is_past => {
                let again =
                    move |book: &DeliveryBook| book.again(&delivery.matched, now, &failure.why);
                self.shared.with_book(again).await
            }
            Err(failure) => {
                let failed = self.failed(delivery, &patience, failure, now, random).await;
                // Changed meanwhile, what waits may have been hurried before this one was put down to wait.
                match self.has_moved(&subscription) {
                    true => {
                        let of = id.clone();
                        failed.and(self.shared.with_book(move |book| book.hurry(&of, now)).await)
                    }
                    false => failed,
                }
            }
        };
        if let Err(error) = settled {
            self.book_failed(&id, &error);
        }
    }

    /// Whether a Subscription has another endpoint now, sends it other things, or by another condition.
    fn has_moved(&self, before: &Subscription) -> bool {
        let current = self.shared.subscription(&before.id);
        current.is_some_and(|current| current.has_moved(before))
    }

    async fn failed(
        &mut self,
        delivery: Delivery,
        patience: &Patience,
        failure: DeliveryFailure,
        now: i64,
        random: u8,
    ) -> Result<(), DatastoreError> {
        let id = delivery.matched.subscription.clone();
        let failures = self.lanes.get(&id).map_or(1, |lane| lane.failures);
        self.shared.note_failure(&id, delivery.matched.change.0, failures, &failure.why);
        let told =
            self.told.get(&id).is_some_and(|told| now < told.saturating_add(micros(TOLD_AGAIN)));
        if !told {
            self.told.retain(|_, told| now < told.saturating_add(micros(TOLD_AGAIN)));
            self.told.insert(id.clone(), now);
            tracing::warn!(
                subscription = id,
                change = delivery.matched.change.0,
                failures,
                why = failure.why,
                "a notification failed and is tried again"
            );
        }
        let (attempts, change) = (delivery.attempts.saturating_add(1), delivery.matched.change.0);
        let attempts_max = failure.attempts_max.unwrap_or(u32::MAX).min(patience.attempts_max);
        let patience = Patience { attempts_max, ..*patience };
        match patience.next(attempts, delivery.since, now, random, failure.retry_after) {
            Next::Again(due) => {
                self.shared
                    .with_book(move |book| book.again(&delivery.matched, due, &failure.why))
                    .await
            }
            Next::GiveUp => {
                tracing::warn!(
                    subscription = id,
                    change = delivery.matched.change.0,
                    attempts,
                    why = failure.why,
                    "a notification was given up; see the dead letters"
                );
                self.shared
                    .with_book(move |book| book.give_up(&delivery.matched, &failure.why, now))
                    .await?;
                self.shared.note_end(&id, change);
                self.shared.wish(&id, Wish::Note);
                Ok(())
            }
        }
    }

    /// Takes the note away from Subscriptions of which nothing is given up any more.
    async fn clear(&self) -> Result<(), DatastoreError> {
        let noted: Vec<Arc<Subscription>> = self.shared.look(|watch| {
            // A listener's notes have nobody who could take them away but whoever writes it anew.
            let noted = watch.all().filter(|one| one.note != Note::None && one.hook().is_some());
            noted.cloned().collect()
        });
        if noted.is_empty() {
            return Ok(());
        }
        let counts = self.shared.with_book(DeliveryBook::counts).await?;
        let dead: HashSet<String> =
            counts.into_iter().filter(|(_, counts)| counts.dead > 0).map(|(id, _)| id).collect();
        for noted in noted.into_iter().filter(|noted| !dead.contains(&noted.id)) {
            let id = noted.id.clone();
            let is_open = noted.note == Note::Undecided
                && self.shared.with_book(move |book| book.has_open(&id)).await?;
            if !is_open {
                self.shared.wish(&noted.id, Wish::Clear);
            }
        }
        Ok(())
    }

    fn book_failed(&mut self, id: &str, error: &DatastoreError) {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "the book of deliveries fails; deliveries wait"
        );
        let lane = self.lanes.entry(id.to_owned()).or_default();
        lane.not_before = now().saturating_add(micros(BOOK_PAUSE));
        lane.look = Some(lane.not_before);
    }

    /// Gives up what is too old, also of those that are off, and has all that wait looked at.
    async fn sweep(&mut self) {
        let age = micros(self.shared.options.patience.age_max);
        loop {
            let now = now();
            let before = now.saturating_sub(age);
            let swept = self
                .shared
                .with_book(move |book| book.give_up_old(before, "it waited too long", now))
                .await;
            match swept {
                Ok(0) => break,
                Ok(count) => {
                    tracing::warn!(count, "notifications waited too long and were given up")
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the book of deliveries fails"
                    );
                    return;
                }
            }
        }
        let cleared = self.clear().await;
        if let Err(error) = self.shared.stir_all().await.and(cleared) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the book of deliveries fails"
            );
        }
    }
}

/// Tries one delivery.
async fn fly(
    shared: &Subscriptions,
    subscription: Arc<Subscription>,
    delivery: Delivery,
) -> Landed {
    let mut patience = shared.options.patience;
    if let Some(attempts) = subscription.attempts_max {
        patience.attempts_max = patience.attempts_max.min(attempts);
    }
    let work = attempt(shared, &subscription, &delivery, patience.timeout);
    let result =
        match tokio::time::timeout(patience.timeout, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(DeliveryFailure::new("the delivery failed by a defect")),
            Err(_) => {
                let seconds = patience.timeout.as_secs_f32();
                Err(DeliveryFailure::new(format!("no answer within {seconds} s")))
            }
        };
    Landed { subscription, delivery, patience, result }
}

async fn attempt(
    shared: &Subscriptions,
    subscription: &Subscription,
    delivery: &Delivery,
    timeout: Duration,
) -> Result<(), DeliveryFailure> {
    let Some(hook) = subscription.hook() else {
        return Err(DeliveryFailure::new("the Subscription has no endpoint any more"));
    };
    let subscriber =
        shared.options.subscribers.iter().find(|subscriber| subscriber.takes(&hook.endpoint));
    let wants_body = subscriber.is_some() || hook.payload.is_some();
    let body = match wants_body || delivery.matched.verdict == Verdict::Open {
        true => body_of(shared, delivery).await?,
        false => None,
    };
    let matched = &delivery.matched;
    let notice = Notice {
        subscription: matched.subscription.clone(),
        key: matched.key.clone(),
        version: matched.version,
        trigger: matched.trigger,
        body,
        attempts: delivery.attempts,
    };
    let decided = match matched.verdict {
        Verdict::Tell => Ok(true),
        Verdict::Open => decide(shared, subscription, delivery, notice.body.as_deref()).await?,
    };
    match decided {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(error) => {
            // Written anew meanwhile, it may say another thing than this.
            if shared.subscription(&subscription.id).is_some_and(|now| !now.has_moved(subscription))
            {
                shared.wish(&subscription.id, Wish::undecided(&error));
            }
            let why = format!("{FAILS}: {error}");
            return match subscriber {
                Some(subscriber) => subscriber.undecided(&hook.endpoint, &notice, &why).await,
                None => Err(DeliveryFailure::new(why)),
            };
        }
    }
    match subscriber {
        Some(subscriber) => subscriber.deliver(&hook.endpoint, &notice).await,
        None => shared.rest_hook.send(hook, &notice, timeout).await,
    }
}

/// Whether a change is to be told whose condition failed when it was read: by the condition as it is now.
async fn decide(
    shared: &Subscriptions,
    subscription: &Subscription,
    delivery: &Delivery,
    body: Option<&str>,
) -> Result<Result<bool, EvaluationError>, DeliveryFailure> {
    let matched = &delivery.matched;
    let resource = body.and_then(|body| parse(body.as_bytes()).ok());
    let decided = match matched.trigger {
        Trigger::Delete => subscription.holds(resource.as_ref(), None),
        Trigger::Create => subscription.holds(None, resource.as_ref()),
        Trigger::Update => {
            let before = matched.version.saturating_sub(1);
            let before = shared.datastore.version(&matched.key, before).await;
            let before =
                before.map_err(|_| DeliveryFailure::new("the datastore could not be read"))?;
            let before = before.and_then(|before| before.body);
            let before = before.and_then(|before| parse(before.as_bytes()).ok());
            subscription.holds(before.as_ref(), resource.as_ref())
        }
    };
    Ok(decided)
}

/// The resource as the change made it; of a deletion, as it was before.
async fn body_of(
    shared: &Subscriptions,
    delivery: &Delivery,
) -> Result<Option<Body>, DeliveryFailure> {
    let matched = &delivery.matched;
    let version = match matched.trigger {
        Trigger::Delete => matched.version.saturating_sub(1),
        Trigger::Create | Trigger::Update => matched.version,
    };
    let found = shared.datastore.version(&matched.key, version).await;
    let found = found.map_err(|_| DeliveryFailure::new("the datastore could not be read"))?;
    Ok(found.and_then(|found| found.body))
}

fn random() -> u8 {
    let mut byte = [0];
    // Without randomness all wait equally long, which is worse and still right.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use pipehat_store::datastore::{ChangeNumber, Matched, ResourceKey};

    use super::*;

    fn delivery(change: u64, attempts: u32) -> Delivery {
        let key = ResourceKey { resource_type: "Patient".to_owned(), id: change.to_string() };
        let (subscription, change) = ("s".to_owned(), ChangeNumber(change));
        let (trigger, verdict) = (Trigger::Update, Verdict::Tell);
        let matched = Matched { subscription, key, version: 1, change, trigger, verdict };
        Delivery { matched, due: 0, attempts, since: 0, ended: None, why: None }
    }

    #[test]
    fn a_place_stays_for_what_has_not_failed() {
        let mut lane = Lane::default();
        let check = |lane: &Lane, heads: &[(u64, u32)], expected: &[u64], passes_over: bool| {
            let due = heads.iter().map(|(change, attempts)| delivery(*change, *attempts)).collect();
            let (plain, of_slow) = lane.room(0);
            let (chosen, over) = lane.choose(due, plain + of_slow);
            let chosen: Vec<u64> = chosen.iter().map(|one| one.matched.change.0).collect();
            assert_eq!((chosen.as_slice(), over), (expected, passes_over));
        };
        let hang = [(1, 2), (2, 2), (3, 1), (4, 1), (5, 1), (6, 0), (7, 0)];
        check(&lane, &hang, &[1, 2, 3, 6], true);
        check(&lane, &hang[..3], &[1, 2, 3], false);
        check(&lane, &hang[..4], &[1, 2, 3], true);
        let flight = Flight { retry: true, since: 0 };
        lane.flying.extend([(8, flight), (9, flight), (10, flight)]);
        check(&lane, &hang, &[6], true);
        // Of an endpoint that is down one is tried, that which may well be taken.
        lane.flying.clear();
        lane.failed.extend(1..=8);
        check(&lane, &hang, &[6], true);
    }

    #[test]
    fn one_failing_resource_does_not_slow_a_lane() {
        let patience = Patience::default();
        let mut lane = Lane::default();
        for _ in 0..100 {
            lane.failed(1, &patience, 5, 0);
        }
        assert_eq!((lane.room(5), lane.not_before), ((PARALLEL_MAX, 0), 0));
        for change in 2..=8 {
            lane.failed(change, &patience, 5, 0);
        }
        assert_eq!(lane.room(5), (1, 0));
        assert!(lane.not_before > 5 && lane.not_before <= 5 + micros(PAUSE_MAX));
        lane.flying.insert(9, Flight { retry: false, since: 5 });
        assert_eq!(lane.room(5), (0, 0));
        lane.succeeded();
        assert_eq!((lane.room(5), lane.not_before), ((PARALLEL_MAX - 1, 0), 0));
    }

    #[test]
    fn what_is_slow_makes_room_up_to_a_bound() {
        let mut lane = Lane::default();
        let slow = micros(SLOW);
        let mut now = 0;
        for turn in 0..=3 {
            let (plain, of_slow) = lane.room(now);
            assert_eq!((plain, of_slow), if turn == 0 { (4, 0) } else { (0, 4) });
            for _ in 0..plain + of_slow {
                let change = lane.flying.len() as u64;
                lane.flying.insert(change, Flight { retry: false, since: now });
            }
            assert_eq!(lane.room(now), (0, 0));
            assert_eq!(lane.room(now + slow - 1), (0, 0));
            assert_eq!(lane.room_at(now), (turn < 3).then_some(now + slow));
            now += slow;
        }
        assert_eq!(lane.flying.len(), PARALLEL_MAX + SLOW_MAX);
        assert_eq!(lane.room(now + slow), (0, 0));
        // An endpoint that is down gets one at a time, however slow that is.
        lane.failed.extend(1..=8);
        lane.flying.clear();
        lane.flying.insert(1, Flight { retry: false, since: 0 });
        assert_eq!((lane.room(now), lane.room_at(0)), ((0, 0), None));
    }
}
