//! SQL projections: the message index
