//! The last failure in a record: the cool-down after it, and which replicas it concerns.
//!
//! A response of the server, and a time that ran out, concern all replicas. A failure without a connection may have its
//! cause in the replica: its name server, its proxy, its certificates. So may a failure of the source itself, such as
//! that the replica cannot reach the store of its refresh token. Both count as no connection. The record says which
//! replica it was, and the others do not wait for its cool-down. As soon as a second replica has no connection, the
//! cool-down is one of all.
//!
//! | the last failure in the record | a replica has no connection | this concerns |
//! |---|---|---|
//! | none, or a response of the server | any | it alone |
//! | no connection of this replica | the same | it alone, or all as long as another one is remembered |
//! | no connection of another replica | another | all |
//!
//! That another replica failed is remembered for as long as the number of failures. So in an outage one replica may make
//! all attempts, and they still concern all. After an outage, a replica that stays without a connection is soon alone.
//!
//! Two broken replicas pass for an outage. They must not make all attempts. So after the cool-down of all, a replica
//! whose own last attempt had no connection lets the others go first. It waits for the same time again, and at most
//! 10 s. The first healthy one that asks then gets the token.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, Retry},
    provider::constants::SHARED_OTHERS_FIRST,
};

/// The kinds of errors that concern all replicas, or may: the server or the way to it failed. The others are of one
/// process, such as a key file that is missing.
const KINDS: [(ErrorKind, &str); 7] = [
    (ErrorKind::Transport, "transport"),
    (ErrorKind::Timeout, "timeout"),
    (ErrorKind::Unavailable, "unavailable"),
    (ErrorKind::Refused, "refused"),
    (ErrorKind::Response, "response"),
    (ErrorKind::Token, "token"),
    (ErrorKind::Source, "source"),
];

/// Whether a failure of this kind may have its cause in the replica, so a second one has to confirm it.
pub(super) fn is_no_connection(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Transport | ErrorKind::Source)
}

/// The last failure of a token request, and the cool-down after it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SharedFailure {
    /// The cool-down, in milliseconds from when the record was saved.
    wait: u64,
    in_a_row: u32,
    kind: String,
    is_terminal: bool,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Which credential was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    /// The replica that failed, if the cause may be in it. Records of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replica: Option<u64>,
    /// For how long the failure of another replica is remembered, in milliseconds from when the record was saved. As
    /// long, a failure of one replica concerns all.
    #[serde(default, skip_serializing_if = "is_zero")]
    confirmed: u64,
    /// For how long a replica without a connection lets others go first, in milliseconds from when the record was saved.
    #[serde(default, skip_serializing_if = "is_zero")]
    others_first: u64,
}

impl SharedFailure {
    /// A failure that concerns all replicas, or may. `None` for others.
    pub(super) fn new(error: &Error, wait: Duration, in_a_row: u32, credential: Option<String>) -> Option<Self> {
        let (_, kind) = KINDS.iter().find(|(kind, _)| *kind == error.kind())?;
        let is_terminal = error.retry() == Retry::AfterChange;
        if is_terminal && error.kind() == ErrorKind::Source {
            // A file or a variable that is missing.
            return None;
        }
        Some(SharedFailure {
            wait: millis(wait),
            in_a_row,
            kind: (*kind).to_owned(),
            is_terminal,
            message: error.to_string(),
            code: error.oauth_code().map(str::to_owned),
            credential,
            replica: None,
            confirmed: 0,
            others_first: 0,
        })
    }

    /// The failure of this replica, after the last one in the record. `memory` is for how long that is remembered.
    pub(super) fn after(mut self, last: Option<&Self>, replica: Option<u64>, memory: Duration) -> Self {
        if !self.is_no_connection() {
            return self;
        }
        self.confirmed = match last.filter(|last| last.is_no_connection()) {
            Some(last) if last.replica != replica => millis(memory),
            // For the whole cool-down or not at all.
            Some(last) if last.confirmed > self.wait => last.confirmed,
            _ => 0,
        };
        if self.confirmed > 0 {
            self.others_first = self.wait.saturating_add(self.wait.min(millis(SHARED_OTHERS_FIRST)));
        }
        self.replica = replica;
        self
    }

    fn is_no_connection(&self) -> bool {
        is_no_connection(self.kind())
    }

    fn kind(&self) -> ErrorKind {
        KINDS.iter().find(|(_, word)| *word == self.kind).map_or(ErrorKind::Source, |(kind, _)| *kind)
    }

    /// The number of failures in a row, with one more of this replica.
    ///
    /// If the last one does not concern it, both are of one step: the second attempt is the one that confirms the first.
    pub(super) fn in_a_row_after(&self, replica: Option<u64>) -> u32 {
        if self.concerns(replica) { self.in_a_row.saturating_add(1) } else { self.in_a_row }
    }

    /// Whether this replica waits for the cool-down.
    pub(super) fn concerns(&self, replica: Option<u64>) -> bool {
        self.concerns_all() || self.replica == replica
    }

    fn concerns_all(&self) -> bool {
        self.replica.is_none() || self.confirmed > 0
    }

    /// Whether the last failure has to stay in the record. A failure of one replica does not end the cool-down of all.
    pub(super) fn is_outweighed_by(&self, last: Option<&Self>) -> bool {
        !self.concerns_all() && last.is_some_and(|last| last.concerns_all() && last.wait > 0)
    }

    /// Some milliseconds pass.
    pub(super) fn age(&mut self, passed: u64) {
        self.wait = self.wait.saturating_sub(passed);
        self.confirmed = self.confirmed.saturating_sub(passed);
        self.others_first = self.others_first.saturating_sub(passed);
    }

    /// For how long this replica does not try, if it waits for the cool-down: `had_no_connection` is of its own last
    /// attempt. `None` if it may try now.
    pub(super) fn wait_of(&self, had_no_connection: bool) -> Option<Duration> {
        let wait = if had_no_connection { self.wait.max(self.others_first) } else { self.wait };
        (wait > 0).then(|| Duration::from_millis(wait))
    }

    /// Whether it is a verdict, and no outage.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether the verdict is about another credential than this one.
    pub(super) fn is_of_another(&self, credential: Option<&str>) -> bool {
        self.is_terminal && self.credential.as_deref() != credential
    }

    /// The length of the only string that has no limit.
    pub(super) fn message_len(&self) -> usize {
        self.message.len()
    }

    /// The error for the callers of this replica, which may try again after this time.
    pub(super) fn error(&self, replica: Option<u64>, after: Option<Duration>) -> Error {
        let kind = self.kind();
        let retry = if self.is_terminal { Retry::AfterChange } else { Retry::Later { after } };
        // The message of another replica may be of another version. It still is one of the crate's own.
        let message = &self.message;
        let error = if self.replica.is_some() && self.replica == replica {
            Error::new(kind, format!("this replica's last token request failed: {message}"))
        } else {
            Error::new(kind, format!("another replica's token request failed: {message}"))
        };
        let error = error.with_retry(retry);
        match &self.code {
            Some(code) => error.with_oauth_code(code.clone()),
            None => error,
        }
    }
}

/// Whole milliseconds, rounded up. So no life of a positive length becomes zero.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(3_600);
    const ME: Option<u64> = Some(1);
    const OTHER: Option<u64> = Some(2);

    fn failure(kind: ErrorKind) -> SharedFailure {
        SharedFailure::new(&Error::new(kind, "no"), LIFE, 3, None).unwrap()
    }

    fn no_connection(last: Option<&SharedFailure>, replica: Option<u64>) -> SharedFailure {
        failure(ErrorKind::Transport).after(last, replica, LIFE * 3)
    }

    #[test]
    fn failures_of_one_process_are_no_part_of_a_record() {
        let shared = |error: Error| SharedFailure::new(&error, LIFE, 1, None).is_some();
        assert!(shared(Error::new(ErrorKind::Unavailable, "503")));
        assert!(shared(Error::new(ErrorKind::Source, "a call failed").with_retry(Retry::Later { after: None })));
        assert!(!shared(Error::new(ErrorKind::Source, "no file").with_retry(Retry::AfterChange)));
        assert!(!shared(Error::new(ErrorKind::Signing, "no key")));
    }

    #[test]
    fn a_replica_without_a_connection_is_alone_until_another_has_none() {
        let one = no_connection(None, ME);
        assert_eq!((one.concerns(ME), one.concerns(OTHER), one.concerns(None)), (true, false, false));
        let again = no_connection(Some(&one), ME);
        assert_eq!((again.concerns(ME), again.concerns(OTHER)), (true, false));
        let confirmed = no_connection(Some(&again), OTHER);
        assert!(confirmed.concerns(ME) && confirmed.concerns(Some(3)));
        assert_eq!((again.in_a_row_after(ME), again.in_a_row_after(OTHER), confirmed.in_a_row_after(ME)), (4, 3, 4));
    }

    #[test]
    fn one_whose_source_fails_is_alone_until_another_fails() {
        let one = failure(ErrorKind::Source).after(None, ME, LIFE * 3);
        assert_eq!((one.concerns(ME), one.concerns(OTHER)), (true, false));
        let other = no_connection(Some(&one), OTHER);
        assert!(other.concerns(ME) && other.concerns(Some(3)));
    }

    #[test]
    fn one_without_a_connection_lets_the_others_go_first() {
        let alone = no_connection(None, ME);
        assert_eq!((alone.wait_of(true), alone.wait_of(false)), (Some(LIFE), Some(LIFE)), "it waits alone");
        let mut confirmed = no_connection(Some(&alone), OTHER);
        assert_eq!(confirmed.wait_of(true), Some(LIFE + SHARED_OTHERS_FIRST));
        confirmed.age(millis(LIFE));
        assert_eq!((confirmed.wait_of(true), confirmed.wait_of(false)), (Some(SHARED_OTHERS_FIRST), None));
        confirmed.age(millis(SHARED_OTHERS_FIRST));
        assert_eq!(confirmed.wait_of(true), None);
        // A response of the server concerns all in the same way.
        assert_eq!(failure(ErrorKind::Unavailable).after(None, ME, LIFE).wait_of(true), Some(LIFE));
    }

    #[test]
    fn a_second_replica_is_remembered_for_its_time() {
        let mut confirmed = no_connection(Some(&no_connection(None, ME)), OTHER);
        confirmed.age(millis(LIFE * 2) - 1);
        let mut again = no_connection(Some(&confirmed), OTHER);
        assert!(again.concerns(ME));
        again.age(millis(LIFE));
        assert!(again.concerns(ME) && again.wait_of(false).is_none(), "for its whole cool-down");
        confirmed.age(1);
        let alone = no_connection(Some(&confirmed), OTHER);
        assert!(!alone.concerns(ME));
    }

    #[test]
    fn responses_and_times_concern_all_and_confirm_nothing() {
        for (kind, word) in KINDS.into_iter().filter(|(kind, _)| !is_no_connection(*kind)) {
            let other = failure(kind).after(None, ME, LIFE);
            assert!(other.concerns(OTHER), "{word}");
            let next = no_connection(Some(&other), OTHER);
            assert!(!next.concerns(ME) && next.is_outweighed_by(Some(&other)), "{word}");
            assert!(!other.is_outweighed_by(Some(&next)), "{word}");
        }
    }

    /// Both directions of a roll-out: this version reads what the last one wrote, and is read by it.
    #[test]
    fn the_last_version_shares_each_failure_with_all() {
        let written = serde_json::to_string(&no_connection(None, ME)).unwrap();
        let of_last = written.replacen(",\"replica\":1", "", 1);
        assert_ne!(written, of_last);
        let read: SharedFailure = serde_json::from_str(&of_last).unwrap();
        assert!(read.concerns(OTHER) && no_connection(Some(&read), OTHER).concerns(ME));
        assert_eq!(serde_json::to_string(&failure(ErrorKind::Unavailable)).unwrap().matches(':').count(), 5);
    }

    #[test]
    fn the_message_names_the_replica_that_failed() {
        let one = no_connection(None, ME);
        assert!(one.error(ME, None).to_string().starts_with("this replica's last token request failed: "));
        assert!(one.error(OTHER, None).to_string().starts_with("another replica's token request failed: "));
        assert!(failure(ErrorKind::Unavailable).error(None, None).to_string().starts_with("another replica's"));
    }
}
