//! Sending: which connection takes a message, in the order of the calls.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use pipehat_message::Header;
use pipehat_message::mllp::is_frameable;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::mllp::applications::Applications;
use crate::mllp::codes;
use crate::mllp::config::{DestinationRules, Expect};
use crate::mllp::link::{self, Claim, Delivery};
use crate::mllp::numbers::{self, Numbered};
use crate::{Attempt, Destination, Health, Outbound, Parallel, Problem};

/// How long closing waits for a connection's task. Nothing is under way then; it only says goodbye.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// A configured MLLP destination.
pub(super) struct MllpDestination {
    rules: Arc<DestinationRules>,
    health: Arc<Health>,
    links: Mutex<Links>,
    /// Deliveries that wait for an application acknowledgment by another connection.
    applications: Option<Arc<Applications>>,
    /// Whether something was sent since it was made: the first message may have been sent by the
    /// process before.
    sent: AtomicBool,
}

enum Links {
    Open(Vec<Slot>),
    Closed,
}

/// One connection that may be opened.
#[derive(Default)]
struct Slot {
    /// How many messages it has taken and not answered.
    taken: Arc<AtomicUsize>,
    link: Option<Link>,
}

/// A connection's task.
struct Link {
    mailbox: mpsc::Sender<Delivery>,
    task: JoinHandle<()>,
}

impl MllpDestination {
    pub(super) fn new(rules: DestinationRules, health: Arc<Health>) -> Self {
        let applications = rules.application_listen.clone().map(|listen| {
            Arc::new(Applications::new(listen, rules.application_timeout, health.clone()))
        });
        let slots = std::iter::repeat_with(Slot::default).take(rules.connections).collect();
        Self {
            rules: Arc::new(rules),
            health,
            links: Mutex::new(Links::Open(slots)),
            applications,
            sent: AtomicBool::new(false),
        }
    }

    /// Puts a message in line before this returns: that is what keeps the order.
    fn enqueue(
        &self,
        bytes: Bytes,
        number: Option<Numbered>,
    ) -> Result<oneshot::Receiver<Attempt>, Attempt> {
        let control_id = self.check(&bytes)?;
        let mut links = self.lock();
        let Links::Open(slots) = &mut *links else {
            let detail = format!("{}: the destination is closed", self.rules.connect);
            return Err(Attempt::NotSent { code: codes::CLOSED, detail });
        };
        // The first of those with the least to do: connections that are not needed are not opened.
        let least = slots.iter_mut().min_by_key(|slot| slot.taken.load(Ordering::Acquire));
        let claimed = least.and_then(|slot| {
            let claim = Claim::take(&slot.taken, self.rules.window)?;
            Some((slot, claim))
        });
        let Some((slot, claim)) = claimed else { return Err(self.queue_full()) };
        let (delivery, attempt) = Delivery::new(bytes, control_id, number, claim);
        let delivery = match &slot.link {
            None => delivery,
            Some(link) => match link.mailbox.try_send(delivery) {
                Ok(()) => return Ok(attempt),
                Err(mpsc::error::TrySendError::Full(_)) => return Err(self.queue_full()),
                // The task has panicked: a mistake of ours, from which another task recovers.
                Err(mpsc::error::TrySendError::Closed(delivery)) => delivery,
            },
        };
        let (mailbox, deliveries) = mpsc::channel(self.rules.window);
        if mailbox.try_send(delivery).is_err() {
            return Err(self.queue_full());
        }
        let task = tokio::spawn(link::run(
            self.rules.clone(),
            self.health.clone(),
            self.applications.clone(),
            deliveries,
        ));
        slot.link = Some(Link { mailbox, task });
        Ok(attempt)
    }

    /// What keeps a message from being sent now or later; its MSH-10 otherwise.
    fn check(&self, bytes: &Bytes) -> Result<Bytes, Attempt> {
        let most = self.rules.message_bytes_max;
        let impossible = |code, detail: String| Err(Attempt::Impossible { code, detail });
        if bytes.len() > most {
            let detail = format!("{} bytes, and {most} are allowed", bytes.len());
            return impossible(codes::FRAME_TOO_LONG, detail);
        }
        if !is_frameable(bytes) {
            return impossible(
                codes::NOT_FRAMEABLE,
                "a start or end block inside the message".to_owned(),
            );
        }
        let header = Header::read(bytes);
        let control_id = header.as_ref().map(|header| header.control_id().trim_ascii());
        match control_id {
            Ok(control_id) if !control_id.is_empty() => Ok(bytes.slice_ref(control_id)),
            Ok(_) | Err(_) if self.rules.expect != Expect::Matching => Ok(Bytes::new()),
            Ok(_) => impossible(codes::CONTROL_ID_MISSING, "MSH-10 is empty".to_owned()),
            Err(error) => impossible(codes::CONTROL_ID_MISSING, error.to_string()),
        }
    }

    fn queue_full(&self) -> Attempt {
        let detail = format!("{}: more than the window were given", self.rules.connect);
        self.health.problem(Problem { code: codes::QUEUE_FULL, detail: detail.clone() });
        Attempt::NotSent { code: codes::QUEUE_FULL, detail }
    }

    fn lock(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn close_links(&self) {
        if let Some(applications) = &self.applications {
            applications.close().await;
        }
        let links = std::mem::replace(&mut *self.lock(), Links::Closed);
        let Links::Open(slots) = links else { return };
        let tasks: Vec<JoinHandle<()>> = slots
            .into_iter()
            .filter_map(|slot| slot.link)
            // Without its mailbox a task ends by itself.
            .map(|Link { mailbox, task }| {
                drop(mailbox);
                task
            })
            .collect();
        for mut task in tasks {
            if timeout(CLOSE_GRACE, &mut task).await.is_err() {
                task.abort();
                // It was aborted, or has just ended.
                let _ = task.await;
            }
        }
        self.health.stopped();
    }
}

impl Destination for MllpDestination {
    fn parallel(&self) -> Parallel {
        Parallel { connections: self.rules.connections, window: self.rules.window }
    }

    fn is_numbered(&self) -> bool {
        self.rules.numbered
    }

    fn deliver(&self, outbound: Outbound) -> BoxFuture<'static, Attempt> {
        if let Some(applications) = &self.applications {
            applications.start();
        }
        let connect = self.rules.clone();
        let bytes = self.rules.segment_end.apply(&outbound.bytes);
        let prepared = match outbound.number.filter(|_| self.rules.numbered) {
            None => self.enqueue(bytes, None),
            Some(number) => numbers::numbered(&bytes, number).and_then(|bytes| {
                let again = outbound.attempt > 1 || !self.sent.swap(true, Ordering::AcqRel);
                self.enqueue(bytes, Some(Numbered { number, again }))
            }),
        };
        match prepared {
            Err(attempt) => ready(attempt).boxed(),
            Ok(attempt) => async move {
                attempt.await.unwrap_or_else(|_| Attempt::Interrupted {
                    code: codes::CONNECTION_LOST,
                    detail: format!("{}: the connection was given up", connect.connect),
                    reply: None,
                })
            }
            .boxed(),
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.close_links().boxed()
    }
}
