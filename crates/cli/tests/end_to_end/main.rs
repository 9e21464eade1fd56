//! The real binary, end to end: started, fed, starved, killed and started again.

mod harness;

mod crash;
