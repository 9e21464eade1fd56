//! The durable log: chunks, group commit, sealing, recovery
