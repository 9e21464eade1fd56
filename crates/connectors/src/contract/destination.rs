//! What every destination must do.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use crate::contract::{MARKER, message, soon};
use crate::{Attempt, Descriptor, Destination, Health, Outbound};

/// How a destination's partner behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It takes everything.
    Accept,
    /// It says no to everything.
    Refuse,
    /// It reads a message and is gone before it answers.
    DieBeforeAnswer,
    /// It is not there.
    Absent,
}

/// A partner of a destination.
pub(crate) trait Partner: Send + Sync + 'static {
    /// What arrived, in order.
    fn got(&self) -> Vec<Bytes>;
}

/// How a destination and its partner are set up.
pub(crate) trait DestinationCase: Send + Sync + 'static {
    type Partner: Partner;

    fn descriptor(&self) -> &'static Descriptor;

    /// A partner that behaves so; none where the protocol's partners can't.
    fn partner(&self, behaviour: Behaviour) -> impl Future<Output = Option<Self::Partner>> + Send;

    /// Changes its ways, at the same address.
    fn change(
        &self,
        partner: &mut Self::Partner,
        behaviour: Behaviour,
    ) -> impl Future<Output = ()> + Send;

    /// A payload that can be told by this name, with the marker in it.
    fn payload(&self, name: &str) -> Bytes {
        message(name)
    }

    /// A destination that sends to it.
    fn destination(&self, partner: &Self::Partner, health: Arc<Health>) -> Arc<dyn Destination>;
}

/// A message as the engine gives it to a destination.
pub(crate) fn outbound(control_id: &str) -> Outbound {
    Outbound {
        bytes: message(control_id),
        channel: "contract".into(),
        message: 1,
        ordinal: 1,
        attempt: 1,
        file: None,
        number: None,
        change: None,
    }
}

async fn deliver<C: DestinationCase>(
    case: &C,
    destination: &Arc<dyn Destination>,
    name: &str,
) -> Attempt {
    let outbound = Outbound { bytes: case.payload(name), ..outbound(name) };
    let attempt = soon("an attempt", destination.deliver(outbound)).await;
    let detail = match &attempt {
        Attempt::NotSent { detail, .. }
        | Attempt::Interrupted { detail, .. }
        | Attempt::Impossible { detail, .. } => detail.as_str(),
        Attempt::Delivered { .. } | Attempt::Refused { .. } => "",
    };
    assert!(!detail.contains(MARKER), "a value shows: {detail}");
    attempt
}

async fn close(destination: Arc<dyn Destination>, health: &Health) {
    soon("close", destination.close()).await;
    let health = health.snapshot();
    assert_eq!(health.connections, 0, "nothing stays open");
    if let Some(problem) = health.problem {
        assert!(!problem.detail.contains(MARKER), "{problem:?}");
    }
}

/// Runs everything below.
pub(crate) async fn check_destination<C: DestinationCase>(case: C) {
    what_is_delivered_arrived_unchanged_and_in_order(&case).await;
    an_absent_partner_gets_nothing(&case).await;
    a_refusal_names_its_answer(&case).await;
    a_partner_that_dies_leaves_it_open(&case).await;
}

async fn what_is_delivered_arrived_unchanged_and_in_order<C: DestinationCase>(case: &C) {
    let partner = case.partner(Behaviour::Accept).await.expect("every partner can accept");
    let health = Arc::new(Health::default());
    let destination = case.destination(&partner, health.clone());
    let parallel = destination.parallel();
    assert!(parallel.connections > 0 && parallel.window > 0, "{parallel:?}");
    let names: Vec<String> = (1..=20).map(|number| format!("OUT{number}")).collect();
    for name in &names {
        let attempt = deliver(case, &destination, name).await;
        assert!(matches!(attempt, Attempt::Delivered { .. }), "{attempt:?}");
    }
    let expected: Vec<Bytes> = names.iter().map(|name| case.payload(name)).collect();
    assert_eq!(partner.got(), expected);
    close(destination, &health).await;
}

async fn an_absent_partner_gets_nothing<C: DestinationCase>(case: &C) {
    let Some(mut partner) = case.partner(Behaviour::Absent).await else { return };
    let health = Arc::new(Health::default());
    let destination = case.destination(&partner, health.clone());
    for _ in 0..3 {
        match deliver(case, &destination, "ABSENT").await {
            Attempt::NotSent { code, .. } => listed(case, code),
            other => panic!("nothing can have been sent: {other:?}"),
        }
    }
    assert!(health.snapshot().problem.is_some(), "an operator sees it");
    case.change(&mut partner, Behaviour::Accept).await;
    let attempt = deliver(case, &destination, "BACK").await;
    assert!(matches!(attempt, Attempt::Delivered { .. }), "{attempt:?}");
    assert_eq!(partner.got(), [case.payload("BACK")]);
    assert_eq!(health.snapshot().problem, None, "a success ends the problem");
    close(destination, &health).await;
}

async fn a_refusal_names_its_answer<C: DestinationCase>(case: &C) {
    let Some(partner) = case.partner(Behaviour::Refuse).await else { return };
    let health = Arc::new(Health::default());
    let destination = case.destination(&partner, health.clone());
    match deliver(case, &destination, "REFUSED").await {
        Attempt::Refused { code, answer, .. } => {
            listed(case, code);
            let answers = case.descriptor().destination.as_ref().expect("it sends").answers;
            assert!(answers.contains(answer), "{answer:?} is not listed");
        }
        other => panic!("the partner said no: {other:?}"),
    }
    close(destination, &health).await;
}

async fn a_partner_that_dies_leaves_it_open<C: DestinationCase>(case: &C) {
    let Some(mut partner) = case.partner(Behaviour::DieBeforeAnswer).await else { return };
    let health = Arc::new(Health::default());
    let destination = case.destination(&partner, health.clone());
    match deliver(case, &destination, "OPEN").await {
        Attempt::Interrupted { code, .. } => listed(case, code),
        other => panic!("nobody knows: {other:?}"),
    }
    case.change(&mut partner, Behaviour::Accept).await;
    let attempt = deliver(case, &destination, "OPEN").await;
    assert!(matches!(attempt, Attempt::Delivered { .. }), "{attempt:?}");
    close(destination, &health).await;
}

#[track_caller]
fn listed<C: DestinationCase>(case: &C, code: &str) {
    let codes = case.descriptor().codes;
    assert!(codes.iter().any(|known| known.code == code), "{code} is not listed");
}
