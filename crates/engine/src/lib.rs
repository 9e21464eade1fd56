//! Channels, the path, lanes, deliveries, effects, revisions
