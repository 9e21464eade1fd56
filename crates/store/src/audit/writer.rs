//! The one thread that writes the audit log.
//!
//! It takes what waits, writes it in one transaction and answers. Where nobody waits, it lets records come for
//! [`LINGER`](super::LINGER) first. A group that can't be written stays in its hands and is tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use super::LINGER;
use super::database::Database;
use super::record::AuditRecord;

/// How many records are written together at most.
const GROUP_MAX: usize = 4096;

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Told whether what was asked is on stable storage.
type Reply = oneshot::Sender<bool>;

pub(super) enum Order {
    /// A record.
    Record(Box<AuditRecord>),
    /// Write what came before.
    Flush(Reply),
}

/// The writer's mailbox and thread. The mailbox is bounded by the places that records take before they are sent.
pub(super) struct Writer {
    mailbox: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        database: Database,
        places: Arc<Semaphore>,
        failing: Arc<AtomicBool>,
    ) -> std::io::Result<Self> {
        let (mailbox, orders) = channel();
        let thread = std::thread::Builder::new()
            .name("audit-writer".to_owned())
            .spawn(move || Loop { database, places, failing }.run(&orders))?;
        Ok(Self { mailbox: Some(mailbox), thread: Some(thread) })
    }

    pub(super) fn send(&self, order: Order) -> Result<(), ()> {
        self.mailbox.as_ref().ok_or(())?.send(order).map_err(|_| ())
    }
}

/// What was recorded is written before the log closes.
impl Drop for Writer {
    fn drop(&mut self) {
        self.mailbox = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop {
    database: Database,
    places: Arc<Semaphore>,
    failing: Arc<AtomicBool>,
}

#[derive(Default)]
struct Waiting {
    records: Vec<AuditRecord>,
    replies: Vec<Reply>,
}

impl Waiting {
    fn take(&mut self, order: Order) {
        match order {
            Order::Record(record) => self.records.push(*record),
            Order::Flush(reply) => self.replies.push(reply),
        }
    }
}

impl Loop {
    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(first) = orders.recv() {
            let mut waiting = Waiting::default();
            waiting.take(first);
            gather(&mut waiting, orders);
            if !self.write(waiting, orders) {
                return;
            }
        }
        if let Err(error) = self.database.settle() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the audit log's own log stays beside it"
            );
        }
    }

    /// Writes a group, again and again until it stands; false where the log closes before it does.
    fn write(&mut self, mut waiting: Waiting, orders: &Receiver<Order>) -> bool {
        loop {
            let written = match waiting.records.as_slice() {
                [] => Ok(()),
                records => self.database.append(records),
            };
            match written {
                Ok(()) => {
                    if self.failing.swap(false, Ordering::AcqRel) {
                        tracing::warn!("the audit log can be written again");
                    }
                    self.places.add_permits(waiting.records.len());
                    for reply in waiting.replies {
                        let _ = reply.send(true);
                    }
                    return true;
                }
                Err(error) => {
                    if !self.failing.swap(true, Ordering::AcqRel) {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "the audit log can't be written; nothing is answered until it can"
                        );
                    }
                    for reply in waiting.replies.drain(..) {
                        let _ = reply.send(false);
                    }
                    // What was queued before the failure showed comes along.
                    match orders.recv_timeout(RETRY) {
                        Ok(order) => waiting.take(order),
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => {
                            tracing::error!(
                                records = waiting.records.len(),
                                "the audit log closes without its last records"
                            );
                            return false;
                        }
                    }
                }
            }
        }
    }
}

/// Takes what waits; and what comes within the time, as long as nobody waits for an answer.
fn gather(waiting: &mut Waiting, orders: &Receiver<Order>) {
    let until = Instant::now() + LINGER;
    while waiting.records.len() < GROUP_MAX {
        let next = if waiting.replies.is_empty() {
            orders.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
        } else {
            orders.try_recv().ok()
        };
        match next {
            Some(order) => waiting.take(order),
            None => return,
        }
    }
}
