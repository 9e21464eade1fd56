//! The systems of the demo hospital.

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum System {
    /// Admits, moves and discharges patients.
    Registration,
    /// Orders tests and medicines, charges what is done, receives results.
    Ward,
    /// Receives orders, sends results. It fails now and then.
    Laboratory,
    /// Receives patients who stay, and prescriptions.
    Pharmacy,
    /// Sends appointments.
    Scheduling,
    /// Shows appointments to patients.
    Portal,
    /// Receives visits and charges, and refuses charges it does not know.
    Billing,
    /// Vaccinates, and drops files of it.
    Clinic,
    /// Public health: receives files and HTTP posts.
    Registry,
}

impl System {
    /// All of them, in the order they are shown.
    pub(crate) const ALL: [Self; 9] = [
        Self::Registration,
        Self::Ward,
        Self::Laboratory,
        Self::Pharmacy,
        Self::Scheduling,
        Self::Portal,
        Self::Billing,
        Self::Clinic,
        Self::Registry,
    ];

    /// Those that listen on a port.
    pub(crate) const LISTENING: [Self; 5] =
        [Self::Ward, Self::Laboratory, Self::Pharmacy, Self::Portal, Self::Billing];

    /// Whether something arrives there.
    pub(crate) fn receives(self) -> bool {
        self == Self::Registry || Self::LISTENING.contains(&self)
    }

    /// The channels it sends to.
    pub(crate) fn sends_to(self) -> &'static [&'static str] {
        match self {
            Self::Registration => &["admissions"],
            Self::Ward => &["lab-orders", "pharmacy-orders", "charges"],
            Self::Laboratory => &["lab-results"],
            Self::Scheduling => &["appointments"],
            Self::Clinic => &["vaccinations"],
            Self::Pharmacy | Self::Portal | Self::Billing | Self::Registry => &[],
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Ward => "ward",
            Self::Laboratory => "laboratory",
            Self::Pharmacy => "pharmacy",
            Self::Scheduling => "scheduling",
            Self::Portal => "portal",
            Self::Billing => "billing",
            Self::Clinic => "clinic",
            Self::Registry => "registry",
        }
    }
}
