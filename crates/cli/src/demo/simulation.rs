//! The simulated hospital as a whole: its systems, started and stopped together.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pipehat_testdata::Hospital;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::conversation::{self, Outlets};
use super::expectations::Expectations;
use super::partner::{Condition, Mood, Partner};
use super::random::Random;
use super::sender::{Line, Manner};
use super::system::System;
use super::{exchange_folder, outages, peers, reports};

/// What the systems share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// What was sent and must arrive.
    pub(crate) expectations: Expectations,
    pub(super) seed: u64,
    hospital: Mutex<Hospital>,
    paused: AtomicBool,
    numbers: AtomicU64,
    fail_now: Notify,
}

impl Shared {
    /// The people, and what waits to be done for them.
    pub(super) fn hospital(&self) -> MutexGuard<'_, Hospital> {
        self.hospital.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that is given once.
    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether nothing is to be sent at the moment.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Pauses sending, or goes on.
    pub(crate) fn toggle_pause(&self) {
        self.paused.fetch_xor(true, Ordering::Relaxed);
    }

    /// Makes the laboratory fail now.
    pub(crate) fn fail_laboratory(&self) {
        self.fail_now.notify_one();
    }
}

/// The variable with which a channel's file is told where to listen.
const LISTEN_VARIABLES: [&str; 6] = [
    "DEMO_ADMISSIONS_LISTEN",
    "DEMO_LAB_ORDERS_LISTEN",
    "DEMO_LAB_RESULTS_LISTEN",
    "DEMO_PHARMACY_ORDERS_LISTEN",
    "DEMO_APPOINTMENTS_LISTEN",
    "DEMO_CHARGES_LISTEN",
];

/// What a simulation is made of.
#[derive(Debug, Clone)]
pub(crate) struct SimulationOptions {
    /// Sets the people and events.
    pub(crate) seed: u64,
    /// Messages in a second, all systems together.
    pub(crate) rate: f64,
    /// Where the clinic drops files.
    pub(crate) vaccinations: PathBuf,
    /// Where the registry finds files.
    pub(crate) registry: PathBuf,
}

/// The simulated systems: those that receive are there, those that send may not have begun.
#[derive(Debug)]
pub(crate) struct Simulation {
    /// What they share.
    pub(crate) shared: Arc<Shared>,
    options: SimulationOptions,
    addresses: BTreeMap<System, SocketAddr>,
    reports: SocketAddr,
    laboratory: watch::Receiver<Condition>,
    sending: JoinSet<()>,
    receiving: JoinSet<io::Result<()>>,
    stop_sending: CancellationToken,
    stop_outages: CancellationToken,
    stop_receiving: CancellationToken,
    outages: Option<watch::Sender<Condition>>,
    /// What the partners that never fail look at.
    _always_up: watch::Sender<Condition>,
}

impl Simulation {
    /// Takes the ports of the receiving systems and starts them.
    pub(crate) fn new(options: SimulationOptions) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            expectations: Expectations::default(),
            seed: options.seed,
            hospital: Mutex::new(peers::hospital(options.seed)),
            paused: AtomicBool::new(false),
            numbers: AtomicU64::new(1),
            fail_now: Notify::new(),
        });
        let (outages, laboratory) = watch::channel((Mood::Up, None));
        let (always, always_up) = watch::channel((Mood::Up, None));
        let stop_receiving = CancellationToken::new();
        let mut receiving = JoinSet::new();
        let mut addresses = BTreeMap::new();
        for system in System::LISTENING {
            let partner = Partner::new(system)?;
            addresses.insert(partner.system(), partner.address());
            let condition = if system == System::Laboratory { &laboratory } else { &always_up };
            let stop = stop_receiving.clone();
            receiving.spawn(partner.run(Arc::clone(&shared), condition.clone(), stop));
        }
        let reports = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let reports_address = reports.local_addr()?;
        receiving.spawn(reports::take_reports(
            reports,
            Arc::clone(&shared),
            stop_receiving.clone(),
        ));
        let (folder, stop) = (options.registry.clone(), stop_receiving.clone());
        let there = Arc::clone(&shared);
        receiving.spawn(async move {
            exchange_folder::take_files(folder, there, stop).await;
            Ok(())
        });
        Ok(Self {
            shared,
            options,
            addresses,
            reports: reports_address,
            laboratory,
            _always_up: always,
            sending: JoinSet::new(),
            receiving,
            stop_sending: CancellationToken::new(),
            stop_outages: CancellationToken::new(),
            stop_receiving,
            outages: Some(outages),
        })
    }

    /// What the project's files ask for by `${…}`.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let partners = self.addresses.iter().map(|(system, address)| {
            (format!("DEMO_{}", system.name().to_uppercase()), address.to_string())
        });
        let listeners = LISTEN_VARIABLES.map(|name| (name.to_owned(), "127.0.0.1:0".to_owned()));
        let folder = |name: &str, path: &PathBuf| (name.to_owned(), path.display().to_string());
        let folders = [
            folder("DEMO_REGISTRY", &self.options.registry),
            folder("DEMO_VACCINATIONS", &self.options.vaccinations),
        ];
        let url = format!("http://{}{}", self.reports, reports::PATH);
        let reports = [("DEMO_REGISTRY_URL".to_owned(), url)];
        partners.chain(listeners).chain(folders).chain(reports).collect()
    }

    /// How the laboratory is, and until when.
    pub(crate) fn laboratory(&self) -> Condition {
        *self.laboratory.borrow()
    }

    /// Begins to send, to channels that listen there.
    pub(crate) fn start(&mut self, listeners: &BTreeMap<String, SocketAddr>) {
        let seed = self.options.seed;
        let lines = [
            ("admissions", Manner::Impatient),
            ("lab-orders", Manner::Enhanced),
            ("lab-results", Manner::Plain),
            ("pharmacy-orders", Manner::Plain),
            ("appointments", Manner::Plain),
            ("charges", Manner::Plain),
            ("charges", Manner::Plain),
        ];
        let mut outlets = Outlets::default();
        for (channel, manner) in lines {
            let Some(address) = listeners.get(channel).copied() else { continue };
            let line = Line { channel, address, sendings: outlets.add(channel), manner };
            self.sending.spawn(line.run(Arc::clone(&self.shared), self.stop_sending.clone()));
        }
        self.sending.spawn(exchange_folder::drop_batches(
            self.options.vaccinations.clone(),
            outlets.add("vaccinations"),
            Arc::clone(&self.shared),
            self.stop_sending.clone(),
        ));
        self.sending.spawn(conversation::run(
            outlets,
            self.options.rate,
            Arc::clone(&self.shared),
            self.stop_sending.clone(),
        ));
        if let Some(condition) = self.outages.take() {
            let (shared, stop) = (Arc::clone(&self.shared), self.stop_outages.clone());
            let random = Random::of(seed, "outages");
            self.sending.spawn(async move {
                outages::run(condition, &shared.fail_now, random, stop).await;
            });
        }
    }

    /// Ends sending and outages: what is under way is still acknowledged.
    pub(crate) fn begin_finishing(&self) {
        self.stop_outages.cancel();
        self.stop_sending.cancel();
    }

    /// Whether every message that was sent has been acknowledged.
    pub(crate) fn has_finished_sending(&mut self) -> bool {
        while let Some(ended) = self.sending.try_join_next() {
            self.note_end(ended.is_err());
        }
        self.sending.is_empty()
    }

    fn note_end(&self, failed: bool) {
        if failed {
            self.shared.expectations.find("a simulated system failed".to_owned());
        }
    }

    /// Ends everything.
    pub(crate) async fn stop(&mut self) {
        self.begin_finishing();
        self.sending.shutdown().await;
        self.stop_receiving.cancel();
        while let Some(ended) = self.receiving.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let finding = format!("a simulated system could not listen: {error}");
                    self.shared.expectations.find(finding);
                }
                Err(_) => self.shared.expectations.find("a simulated system failed".to_owned()),
            }
        }
    }
}
