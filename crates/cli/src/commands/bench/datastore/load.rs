//! The clients of the bench: connections that each send a request, wait for its answer, and send the next.
//!
//! All run on one thread, with one task for each client, so that what is measured is the other side.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::http::Connection;
use super::operation::Maker;
use crate::exit::Failure;
use crate::latency::Latencies;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How much of a refusal is shown.
const REFUSAL_BYTES_MAX: usize = 400;

/// How to load a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) clients: usize,
    pub(super) warm_up: Duration,
    pub(super) measured: Duration,
}

/// What came of it.
#[derive(Debug, Default, Clone)]
pub(super) struct Done {
    /// Requests answered as they should be.
    pub(super) all: u64,
    /// Those answered after the warm-up and before the end.
    pub(super) measured: u64,
    pub(super) latencies: Latencies,
    /// Others.
    pub(super) failed: u64,
    /// How the first of them was answered.
    pub(super) failure: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("the server can't be reached")]
    Connection(#[source] io::Error),
    #[error("the server answered nothing as it should: {0}")]
    Refused(String),
    #[error("the clients failed")]
    Panicked,
}

impl Load {
    /// Asks until time is up, on a thread of its own that is waited for.
    pub(super) fn run(self, maker: &Maker) -> Result<Done, Failure> {
        let maker = maker.clone();
        let thread = std::thread::Builder::new()
            .name("clients".to_owned())
            .spawn(move || self.ask(&maker))
            .map_err(Failure::could_not)?;
        let done = thread.join().map_err(|_| Failure::could_not(LoadError::Panicked))?;
        let done = done.map_err(|error| Failure::could_not(LoadError::Connection(error)))?;
        match &done.failure {
            Some(failure) if done.all == 0 => {
                Err(Failure::could_not(LoadError::Refused(failure.clone())))
            }
            _ => Ok(done),
        }
    }

    fn ask(self, maker: &Maker) -> io::Result<Done> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let done = Arc::new(Mutex::new(Done::default()));
        let from = Instant::now() + self.warm_up;
        let until = from + self.measured;
        runtime.block_on(async {
            let mut clients = tokio::task::JoinSet::new();
            for number in 0..self.clients {
                let maker = maker.another(number as u64);
                clients.spawn(client(maker, from, until, Arc::clone(&done)));
            }
            while let Some(ended) = clients.join_next().await {
                ended.map_err(io::Error::other)??;
            }
            io::Result::Ok(())
        })?;
        let done = done.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(done.clone())
    }
}

async fn client(
    mut maker: Maker,
    from: Instant,
    until: Instant,
    done: Arc<Mutex<Done>>,
) -> io::Result<()> {
    let mut connection = Connection::to(maker.address());
    let must_hold = maker.operation().must_hold();
    let mut request = Vec::new();
    let mut late = Box::pin(tokio::time::sleep(ANSWER_TIMEOUT));
    loop {
        maker.next(&mut request);
        let start = Instant::now();
        if start >= until {
            return Ok(());
        }
        // The timer is set anew now and then, not for each request.
        if late.deadline().into_std().saturating_duration_since(start) < ANSWER_TIMEOUT / 2 {
            late.as_mut().reset((start + ANSWER_TIMEOUT).into());
        }
        let response = tokio::select! {
            biased;
            response = connection.exchange(&request) => response?,
            () = &mut late => return Err(io::ErrorKind::TimedOut.into()),
        };
        let end = Instant::now();
        let is_good = matches!(response.status, 200..300)
            && must_hold.is_none_or(|held| memchr::memmem::find(response.body, held).is_some());
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_good {
            done.failed += 1;
            if done.failure.is_none() {
                let said = response.body.get(..REFUSAL_BYTES_MAX).unwrap_or(response.body);
                let said = String::from_utf8_lossy(said);
                done.failure = Some(format!("HTTP {}: {said}", response.status));
            }
            continue;
        }
        done.all += 1;
        if end >= from && end < until {
            done.measured += 1;
            done.latencies.record(end - start);
        }
    }
}
