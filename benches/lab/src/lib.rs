//! Shared parts of the benches: contenders, measurements, and reports with bars.
//!
//! Each bench prints Markdown, leaves a report for `docs/PERFORMANCE.md`, and fails when it misses a bar.

pub mod chart;
pub mod contenders;
pub mod drive;
pub mod endpoint;
pub mod load;
pub mod missed;
pub mod report;
pub mod statistics;
pub mod tenants;
pub mod tools;
pub mod warm;
