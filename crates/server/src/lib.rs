//! HTTP: the admin API, health, metrics
