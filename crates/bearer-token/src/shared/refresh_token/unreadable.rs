//! A record that is in the store and cannot be read.
//!
//! No token is sent then. But a person who consents again must be able to replace it: the key may be lost for good.

use crate::{
    error::{Error, ErrorKind, Retry},
    store::StoreKey,
};

/// Why a record cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    error: Error,
    /// A newer version of the program wrote it, which may know more of the token than this one. So it is not replaced.
    pub(super) is_newer: bool,
}

impl Unreadable {
    /// It does not open.
    pub(super) fn unopened(problem: &str) -> Self {
        let message = format!("the refresh token in the shared store cannot be opened: {problem}");
        Unreadable { error: Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange), is_newer: false }
    }

    /// It opened, and its content is unknown.
    pub(super) fn unknown(error: Error) -> Self {
        Unreadable { error, is_newer: false }
    }

    /// It has a format of a newer version. The key is told, because only its removal helps if that version is gone.
    pub(super) fn newer(key: &StoreKey) -> Self {
        let message = format!(
            "the refresh token in the shared store has a format of a newer version; update this program, or delete the \
             record of the key {key} and consent again"
        );
        Unreadable { error: Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange), is_newer: true }
    }
}

impl From<Unreadable> for Error {
    fn from(unreadable: Unreadable) -> Self {
        unreadable.error
    }
}
