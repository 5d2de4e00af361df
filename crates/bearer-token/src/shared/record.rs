//! What replicas share: a token with its remaining life, and the last failure. No time of day is in it.
//!
//! # Time without clocks that agree
//!
//! Clocks of hosts differ, sometimes by hours. So a record has only durations, counted from when it was saved:
//!
//! ```text
//! saved                                    read
//!   |<----------- life (in the record) ------|------------>|
//!   |                                        |<-- left --->|   told by the store, by its own clock
//!   |<--- passed = life - left ------------->|
//!   token's age at the reading = age at the saving + passed
//! ```
//!
//! The store's clock is the only one that must run evenly. If it is set ahead, a record ends early, which costs a token
//! request. If it is set back, a token seems younger by the step, and at most as young as it was when it was saved. A
//! replica that has the token already goes by its own clock (`Turn::again`). One without a token may send it after its
//! end: the API rejects it, and one exchange renews it for all.
//!
//! # Compatibility
//!
//! A record of another format counts as none: during a roll-out, old and new replicas then fetch for themselves. New
//! members are added without a new format, because unknown ones are skipped.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::failure::{SharedFailure, millis};
use crate::{
    platform::Moment,
    source::Timing,
    token::{AccessToken, Adopted, Expiry, Inherited, Recorded},
};

/// The format of records. Another one counts as no record.
const FORMAT: u32 = 1;

/// A record. All times in it count from when it was saved.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    /// The life with which the record was saved, in milliseconds. What is left of it tells how long ago that was.
    life: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<SharedToken>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<SharedFailure>,
    /// The last refusal of another credential than that of the last failure, while it is waited for. In a roll-out of a
    /// secret there are two, and neither ends the cool-down of the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beside: Option<SharedFailure>,
}

/// A token that one replica got for all.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SharedToken {
    /// The fence of the lease under which it was fetched.
    pub(super) generation: u64,
    secret: String,
    /// Its age when the record was saved, in milliseconds.
    age: u64,
    /// Its lifetime in milliseconds, or why there is none.
    lifetime: Lifetime,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_in: Option<u64>,
    /// The draw for its refresh, as a share of `u32::MAX`.
    draw: u32,
    /// How long ago it was saved, in milliseconds. Less than its age, because the source may bring an old token, and its
    /// fetch takes a time. The pause after a renewal counts from here.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    saved_ago: u64,
    /// How many renewals in a row rejections had forced when it was fetched, this one included.
    #[serde(default, skip_serializing_if = "is_zero")]
    forced: u32,
    /// The credential with which it was fetched, as in a failure. Records of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extras: BTreeMap<String, String>,
}

/// The lifetime of a token, as its source told it. A time of day was turned into a duration before it was saved.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Lifetime {
    Unknown,
    Never,
    Known(u64),
}

impl Record {
    /// Reads a record of which this much life is left, or says what is wrong with it.
    pub(super) fn read(plain: &[u8], left: Duration) -> Result<Self, &'static str> {
        let record: Record = serde_json::from_slice(plain).map_err(|_| "its content cannot be read")?;
        if record.format != FORMAT {
            return Err("it has a format that this program does not know");
        }
        Ok(record.aged(left))
    }

    /// The record as if it had been saved now.
    fn aged(mut self, left: Duration) -> Self {
        let passed = self.life.saturating_sub(millis(left));
        self.life = millis(left);
        if let Some(token) = &mut self.token {
            token.age = token.age.saturating_add(passed);
            token.saved_ago = token.saved_ago.saturating_add(passed);
        }
        for failure in [&mut self.failure, &mut self.beside].into_iter().flatten() {
            failure.age(passed);
        }
        self
    }

    /// The record some time after it was read.
    pub(super) fn after(self, passed: Duration) -> Self {
        let left = Duration::from_millis(self.life).saturating_sub(passed);
        self.aged(left)
    }

    /// A record with this life.
    pub(super) fn new(token: Option<SharedToken>, failure: Option<SharedFailure>, life: Duration) -> Self {
        Record { format: FORMAT, life: millis(life), token, failure, beside: None }
    }

    /// The same, with the refusal of another credential.
    pub(super) fn beside(self, other: Option<SharedFailure>) -> Self {
        let life = other.as_ref().and_then(|other| other.wait_of(false)).map_or(self.life, millis);
        Record { life: self.life.max(life), beside: other, ..self }
    }

    /// The failures that a replica may have to wait for, the last one first.
    pub(super) fn failures(&self) -> impl Iterator<Item = &SharedFailure> {
        self.failure.iter().chain(&self.beside)
    }

    /// The last failure that is a verdict about this credential too, and the refusal of another one.
    pub(super) fn failures_of(&self, credential: Option<&str>) -> (Option<&SharedFailure>, Option<&SharedFailure>) {
        let last = self.failures().find(|failure| !failure.is_of_another(credential));
        let other = self.failures().find(|failure| failure.is_of_another(credential));
        (last, other.filter(|other| other.wait_of(false).is_some()))
    }

    /// The life of the record in the store.
    pub(super) fn life(&self) -> Duration {
        Duration::from_millis(self.life)
    }

    /// The bytes to seal. They are written once, so that no copy of the token is left in freed memory.
    pub(super) fn plain(&self) -> Zeroizing<Vec<u8>> {
        /// The size of everything that has no size of its own.
        const REST: usize = 1024;
        let of_token = |token: &SharedToken| {
            let extras: usize = token.extras.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
            token.secret.len() + token.scope.as_ref().map_or(0, String::len) + extras
        };
        let of_failure = |failure: &SharedFailure| failure.message_len();
        // A string of JSON takes at most six times its bytes.
        let strings = self.token.as_ref().map_or(0, of_token) + self.failures().map(of_failure).sum::<usize>();
        let mut bytes = Zeroizing::new(Vec::with_capacity(REST + 6 * strings));
        // Strings and numbers always have a form in JSON, and a `Vec` accepts all bytes.
        drop(serde_json::to_writer(&mut *bytes, self));
        bytes
    }
}

impl SharedToken {
    /// A token that was just fetched. `started` is when its fetch began.
    pub(super) fn new(token: &AccessToken, generation: u64, draw: u32, started: Moment, now: Moment) -> Self {
        let issued = token.issued_moment().unwrap_or(started);
        let lifetime = match token.expiry() {
            Expiry::Unknown => Lifetime::Unknown,
            Expiry::Never => Lifetime::Never,
            Expiry::In(lifetime) => Lifetime::Known(millis(lifetime)),
            Expiry::At(time) => Lifetime::Known(millis(time.duration_since(issued.wall()).unwrap_or_default())),
        };
        let (scope, extras) = token.details();
        SharedToken {
            generation,
            secret: token.secret().to_owned(),
            age: millis(now.monotonic().saturating_sub(issued.monotonic())),
            lifetime,
            refresh_in: token.refresh_hint().map(millis),
            draw,
            saved_ago: 0,
            forced: 0,
            credential: None,
            scope: scope.map(str::to_owned),
            extras: extras.clone(),
        }
    }

    /// The same token, for which rejections have forced so many renewals in a row.
    pub(super) fn with_forced(mut self, forced: u32) -> Self {
        self.forced = forced;
        self
    }

    /// The same token, for which this credential was sent.
    pub(super) fn with_credential(mut self, credential: Option<String>) -> Self {
        self.credential = credential;
        self
    }

    /// Whether a replica with this credential is known to have fetched it.
    pub(super) fn is_of(&self, credential: &str) -> bool {
        self.credential.as_deref() == Some(credential)
    }

    /// The forced renewals that count, if it is rejected now.
    pub(super) fn forced_before(&self, timing: &dyn Timing) -> u32 {
        if Duration::from_millis(self.saved_ago) < timing.longest_rejection_pause() { self.forced } else { 0 }
    }

    /// The same token, with a greater age.
    pub(super) fn older_by(mut self, time: Duration) -> Self {
        self.age = self.age.saturating_add(millis(time));
        self.saved_ago = self.saved_ago.saturating_add(millis(time));
        self
    }

    /// How long the token lives on, and how long it may still be sent.
    pub(super) fn left(&self, timing: &dyn Timing) -> (Duration, Duration) {
        let (life, sendable) = timing.lives(self.expiry());
        let age = Duration::from_millis(self.age);
        (life.saturating_sub(age), sendable.saturating_sub(age))
    }

    /// The token for a provider. `asked` is when the store was asked for it, and `record` the name of its record.
    pub(super) fn to_token(&self, asked: Moment, record: &str) -> AccessToken {
        let token = AccessToken::new(self.secret.as_str()).with_expiry(self.expiry());
        let recorded = Some(Recorded::new(record, self.generation));
        let age = Duration::from_millis(self.age);
        let adopted = Some(Adopted { forced: self.forced, since: Duration::from_millis(self.saved_ago) });
        let inherited = Inherited { age, draw: self.draw, recorded, adopted };
        let token = token.issued(asked).with_inherited(inherited);
        let token = match self.refresh_in {
            Some(time) => token.refresh_in(Duration::from_millis(time)),
            None => token,
        };
        let token = match &self.scope {
            Some(scope) => token.scope(scope),
            None => token,
        };
        self.extras.iter().fold(token, |token, (name, value)| token.extra(name, value))
    }

    /// The lifetime as a source tells it to its provider. The provider applies its own policy to it.
    fn expiry(&self) -> Expiry {
        match self.lifetime {
            Lifetime::Unknown => Expiry::Unknown,
            Lifetime::Never => Expiry::Never,
            Lifetime::Known(time) => Expiry::In(Duration::from_millis(time)),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_none_yet(time: &u64) -> bool {
    *time == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Drop for SharedToken {
    fn drop(&mut self) {
        self.secret.zeroize();
        self.scope.zeroize();
        self.extras.values_mut().for_each(Zeroize::zeroize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    const LIFE: Duration = Duration::from_secs(3_600);

    /// A record with every member, as this version writes it.
    fn text() -> String {
        let token = AccessToken::new("MARKER").expires_in(LIFE).refresh_in(LIFE / 2).scope("read").extra("url", "u");
        let (wall, monotonic) = (std::time::UNIX_EPOCH + LIFE, LIFE);
        let now = Moment::new(monotonic, wall);
        let shared = SharedToken::new(&token, 7, 9, now, now.after(Duration::from_secs(1)));
        let shared = shared.with_credential(Some("credential of the token".to_owned()));
        let error = Error::new(ErrorKind::Refused, "the server refused the client").with_oauth_code("invalid_client");
        let failure = SharedFailure::new(&error, Duration::from_secs(30), 2, Some("credential".to_owned()));
        assert!(failure.is_some());
        String::from_utf8(Record::new(Some(shared), failure, LIFE).plain().to_vec()).unwrap()
    }

    fn read(text: &str, left: Duration) -> Record {
        Record::read(text.as_bytes(), left).unwrap()
    }

    fn age(record: &Record) -> u64 {
        record.token.as_ref().unwrap().age
    }

    #[test]
    fn everything_is_read_as_it_was_written() {
        let record = read(&text(), LIFE);
        assert_eq!(String::from_utf8(record.plain().to_vec()).unwrap(), text());
        let token = record.token.as_ref().unwrap();
        let moment = Moment::new(LIFE, std::time::UNIX_EPOCH);
        let adopted = token.to_token(moment, "record");
        assert_eq!((adopted.secret(), adopted.expiry()), ("MARKER", Expiry::In(LIFE)));
        assert_eq!((adopted.refresh_hint(), adopted.details().0), (Some(LIFE / 2), Some("read")));
        let error = record.failure.as_ref().unwrap().error(None, None);
        assert_eq!((error.kind(), error.oauth_code()), (ErrorKind::Refused, Some("invalid_client")));
    }

    #[test]
    fn a_record_of_the_last_version_names_no_credential() {
        let written = text();
        let of_last = written.replacen("\"credential\":\"credential of the token\",", "", 1);
        assert_ne!(written, of_last);
        let is_of = |text: &str| read(text, LIFE).token.as_ref().unwrap().is_of("credential of the token");
        assert_eq!((is_of(&written), is_of(&of_last)), (true, false));
    }

    #[test]
    fn another_format_counts_as_no_record() {
        for format in ["0", "2", "4294967295"] {
            let other = text().replacen("\"format\":1", &format!("\"format\":{format}"), 1);
            let problem = Record::read(other.as_bytes(), LIFE).err();
            assert_eq!(problem, Some("it has a format that this program does not know"), "{format}");
        }
    }

    #[test]
    fn other_contents_are_refused_without_their_bytes() {
        let whole = text();
        let others = ["", "MARKER", "[]", "{}", r#"{"format":1}"#, r#"{"format":"1","life":1}"#];
        let wrong = [
            whole.replacen("\"life\":3600000", "\"life\":-1", 1),
            whole.replacen("\"generation\":7", "\"generation\":1e3", 1),
            whole.replacen("\"secret\":\"MARKER\"", "\"secret\":1", 1),
            whole.replacen("\"known\"", "\"unheard-of\"", 1),
            whole[..whole.len() - 1].to_owned(),
        ];
        for other in others.into_iter().chain(wrong.iter().map(String::as_str)) {
            assert_ne!(other, whole);
            let problem = Record::read(other.as_bytes(), LIFE).err();
            assert_eq!(problem, Some("its content cannot be read"), "{other}");
        }
    }

    /// During a roll-out, replicas of the next version write members that this one does not know.
    #[test]
    fn unknown_members_are_skipped_at_every_level() {
        let usual = text();
        // The record, the token and the failure. A lifetime is one of three words, and all extras are known.
        for place in ["{\"format\"", "{\"generation\"", "{\"wait\""] {
            assert!(usual.contains(place), "{place} in {usual}");
            let next = format!("{{\"next\":{{\"a\":[1,null]}},{}", &place[1..]);
            let record = read(&usual.replacen(place, &next, 1), LIFE);
            assert_eq!(String::from_utf8(record.plain().to_vec()).unwrap(), usual, "{place}");
        }
    }

    /// A record of the last version says nothing of renewals.
    #[test]
    fn forced_renewals_are_kept_while_the_token_is_young() {
        let policy = crate::Policy::default();
        let written = text();
        assert!(!written.contains("forced"), "{written}");
        let record = read(&written, LIFE);
        let token = record.token.clone().unwrap().with_forced(3);
        let written = String::from_utf8(Record::new(Some(token), None, LIFE).plain().to_vec()).unwrap();
        for (passed, forced) in [(0, 3), (298, 3), (300, 0)] {
            let record = read(&written, LIFE - Duration::from_secs(passed));
            assert_eq!(record.token.as_ref().unwrap().forced_before(&policy), forced, "{passed}");
        }
    }

    #[test]
    fn time_that_passed_in_the_store_adds_to_ages_and_ends_waits() {
        let record = read(&text(), LIFE - Duration::from_secs(20));
        assert_eq!(age(&record), 21_000);
        let failure = record.failure.as_ref().unwrap();
        assert_eq!(failure.wait_of(false), Some(Duration::from_secs(10)));
        let later = record.after(Duration::from_secs(10));
        assert_eq!((age(&later), later.failure.as_ref().unwrap().wait_of(false)), (31_000, None));
    }

    /// A store whose clock was set back, or that rounds up.
    #[test]
    fn a_longer_life_than_was_saved_makes_nothing_younger() {
        for left in [LIFE, LIFE + Duration::from_millis(1), Duration::MAX] {
            let record = read(&text(), left);
            assert_eq!(age(&record), 1_000, "{left:?}");
            assert_eq!(record.failure.as_ref().unwrap().wait_of(false), Some(Duration::from_secs(30)));
        }
        assert_eq!(age(&read(&text(), Duration::ZERO)), 3_601_000);
    }

    #[test]
    fn the_greatest_numbers_end_in_no_panic() {
        let most = u64::MAX.to_string();
        let mut greatest = text();
        for member in ["life", "generation", "age", "known", "refresh_in", "wait"] {
            let start = greatest.find(&format!("\"{member}\":")).unwrap() + member.len() + 3;
            let end = start + greatest[start..].find(|digit: char| !digit.is_ascii_digit()).unwrap();
            greatest.replace_range(start..end, &most);
        }
        for left in [Duration::ZERO, LIFE, Duration::MAX] {
            let record = read(&greatest, left).after(Duration::MAX);
            let token = record.token.as_ref().unwrap();
            let policy = crate::Policy::default();
            assert_eq!(token.left(&policy).1, Duration::ZERO, "as old as it can be");
            let moment = Moment::new(LIFE, std::time::UNIX_EPOCH);
            assert_eq!(token.to_token(moment, "record").secret(), "MARKER");
            assert!(record.failure.as_ref().unwrap().error(None, None).to_string().contains("refused"));
        }
    }
}
