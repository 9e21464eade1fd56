//! Where the server is, as its clients know it: it goes away and comes back elsewhere.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::harness::{Connection, DEADLINE, Pipehat};

pub(super) struct Server {
    client: (String, String),
    state: Mutex<State>,
    changed: Condvar,
    acknowledged: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Address and the value of `Authorization`.
    place: Option<(String, String)>,
    ended: bool,
}

impl Server {
    pub(super) fn new(client: (String, String)) -> Self {
        Self {
            client,
            state: Mutex::default(),
            changed: Condvar::new(),
            acknowledged: AtomicU64::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node runs. Its clients sign in once for all of them: the token of one life opens in the next, too.
    pub(super) fn is_at(&self, node: &Pipehat) {
        let authority = node.api().authority().to_owned();
        let known = self.state().place.as_ref().map(|(_, authorization)| authorization.clone());
        let authorization = known.filter(|known| !known.is_empty()).unwrap_or_else(|| {
            let (id, secret) = &self.client;
            let form =
                format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
            let answer = Connection::open(&authority, "")
                .and_then(|mut connection| connection.post_form("/oauth2/token", &form))
                .expect("the node signs clients in");
            let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
            format!("Bearer {token}")
        });
        self.state().place = Some((authority, authorization));
        self.changed.notify_all();
    }

    /// The node is about to be killed.
    pub(super) fn is_gone(&self) {
        if let Some((authority, _)) = &mut self.state().place {
            authority.clear();
        }
    }

    /// A client was answered.
    pub(super) fn has_acknowledged(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    /// How many calls were answered in all lives.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// No more is to be written.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// A connection to the node that runs, or to the next one; an error where it has just been killed.
    pub(super) fn connection(&self) -> io::Result<Connection> {
        let away = |state: &mut State| {
            state.place.as_ref().is_none_or(|(authority, _)| authority.is_empty())
        };
        let (state, timeout) = self
            .changed
            .wait_timeout_while(self.state(), DEADLINE, away)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "no node comes back");
        let (authority, authorization) = state.place.clone().expect("waited for");
        drop(state);
        Connection::open(&authority, &authorization)
    }
}
