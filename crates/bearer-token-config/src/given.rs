//! What the variables of a configuration stand for.

use std::collections::BTreeMap;

/// The values of the variables that a configuration uses.
#[derive(Clone, Copy)]
pub(crate) enum Given<'a> {
    /// There are no variables: each use of one is a problem.
    Nothing,
    /// Each variable has a stand-in value, so the rest of the configuration can be checked.
    Rehearsal,
    Values(&'a BTreeMap<String, String>),
}
