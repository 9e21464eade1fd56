//! Holds only benches.
