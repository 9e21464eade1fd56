//! Validation of whole messages.
