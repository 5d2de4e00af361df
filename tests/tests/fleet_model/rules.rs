//! Times, and the rules of the protocol that a variant may break.

/// A time, or a point in time, in steps of the model's clock. A call to the store takes no time.
pub(crate) type Tick = u8;

/// The longest token request.
pub(crate) const EXCHANGE: Tick = 1;
/// The time in which a flight ends.
pub(crate) const FLIGHT: Tick = 5;
/// The time for which a replica without a token waits for another one.
pub(crate) const PATIENCE: Tick = 4;
/// The lease of a replica without a token. The others have none either, and must not wait for long if it crashes.
pub(crate) const SHORT_LEASE: Tick = 2;
/// The time by which a longer lease outlasts the flight of its holder.
pub(crate) const MARGIN: Tick = 1;
/// The longest lease.
pub(crate) const LEASE: Tick = FLIGHT + MARGIN;
/// A lease that lasts for longer is not believed.
pub(crate) const LONGEST_LEASE: Tick = 2 * LEASE;
/// How far the clock of the store steps.
pub(crate) const CLOCK_STEP: Tick = 40;
/// The life of a token.
pub(crate) const LIFE: Tick = 11;
/// A token with no more than this left is stale.
pub(crate) const STALE: Tick = 5;
/// The time for which a failure is shared.
pub(crate) const COOL_DOWN: Tick = 2;
/// The pause after a renewal that a rejection forced.
pub(crate) const PAUSE: Tick = 2;

/// For how long a replica leaves a store alone that gave no answer: the first time, the next, and so on.
pub(crate) const STORE_PAUSES: [Tick; 7] = [1, 1, 2, 4, 8, 16, 30];

/// A token and its end, on a clock that the place of the value says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Held {
    /// Numbers grow in the order in which the server issues tokens.
    pub(crate) number: u8,
    pub(crate) until: Tick,
}

impl Held {
    /// Two tokens that end in the same step ended in the order of their numbers.
    pub(crate) fn lives_longer_than(self, other: Held) -> bool {
        (self.until, self.number) > (other.until, other.number)
    }
}

/// What a record contains. All times are what is left of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Content {
    pub(crate) token: Option<Held>,
    pub(crate) cool_down: Tick,
    /// Whether the last exchange failed. It is remembered for longer than the cool-down.
    pub(crate) has_failed: bool,
    /// Which replicas that concerns.
    pub(crate) of: Of,
}

impl Content {
    /// Whether the last exchange failed, and this replica minds.
    pub(crate) fn has_failed_for(self, number: u8) -> bool {
        self.has_failed && [Of::All, Of::Two, Of::One(number)].contains(&self.of)
    }
}

/// Which replicas the last failure concerns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Of {
    /// All, because the server failed.
    All,
    /// The replica of this number, which had no connection.
    One(u8),
    /// All, because two had no connection. That is remembered for longer than the model lasts.
    Two,
}

/// A record as it was read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Snapshot {
    pub(crate) content: Content,
    pub(crate) version: u8,
}

/// The rules that make the protocol safe. A variant breaks one of them, and must be found out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// A save under an older fence than the latest is refused.
    pub(crate) fence: bool,
    /// A lease is refused if the record is not the one that was seen.
    pub(crate) lease_checks_version: bool,
    /// A save is refused if the record is not the one that was seen.
    pub(crate) save_checks_version: bool,
    /// A store that forgets its last writes does not grant a fence again.
    pub(crate) fences_are_unique: bool,
    /// Only the latest fence releases the lease.
    pub(crate) release_by_fence: bool,
    /// Records and leases end by the clock of the store, not by that of the replica which asks.
    pub(crate) store_clock: bool,
    /// A lease that another replica holds is an answer, and not a failure of the store.
    pub(crate) busy_is_an_answer: bool,
    /// A replica whose token was rejected looks for a newer one before it exchanges.
    pub(crate) rejection_looks_first: bool,
    /// A record that has the rejected token is not used.
    pub(crate) rejected_is_refused: bool,
    /// A rejected replica that took another one's token has no pause, unless a rejection had forced that token's exchange.
    pub(crate) adopting_has_no_pause: bool,
    /// A token whose exchange was forced has its pause in all replicas.
    pub(crate) pauses_are_shared: bool,
    /// A replica does not take its own token once more after it has expired.
    pub(crate) expired_is_refused: bool,
    /// The lease of a stale replica outlasts the token that the others have by a short lease at most.
    pub(crate) stale_leases_end_with_the_token: bool,
    /// A stale replica takes another token only if that one lives longer than its own.
    pub(crate) longer_lives_win: bool,
    /// A flight whose time is over waits for nothing more: it ends with the token that it has fetched.
    pub(crate) late_flights_end: bool,
    /// The lease of a replica that has waited is as short as any. The others may be waiting since then.
    pub(crate) waiters_lease_short: bool,
    /// A failed exchange is written into the record.
    pub(crate) failures_are_shared: bool,
    /// A replica without a connection has no cool-down for the others.
    pub(crate) one_without_a_connection_is_alone: bool,
    /// Two of them have.
    pub(crate) two_without_a_connection_are_all: bool,
    /// A failed exchange leaves the token in the record.
    pub(crate) failures_keep_the_token: bool,
    /// The life of a record that was read is what is left of it, and not what it was when it was saved.
    pub(crate) life_is_what_is_left: bool,
    /// The life of a record that is saved counts from the grant of the lease, and not from the save, which may be late.
    /// The protocol does without it, because tokens are refreshed long before they end.
    pub(crate) life_counts_from_the_grant: bool,
    /// A lease that seems to last for longer than any flight is not waited for: the store's clock was set back.
    pub(crate) long_leases_are_not_believed: bool,
    /// A store that gives no answer is not asked for a while.
    pub(crate) a_silent_store_is_left_out: bool,
    /// Unless the replica stood still meanwhile, and did not see the answer.
    pub(crate) standing_still_is_no_silence: bool,
    /// The while doubles.
    pub(crate) pauses_double: bool,
    /// A record that was there when such a lease was seen is not used: its token may only seem to be alive.
    pub(crate) old_records_are_doubted: bool,
    /// But the store is asked for the lease, which shows that its clock is right again.
    pub(crate) doubted_stores_are_asked: bool,
    /// A waiter gives up at its deadline.
    pub(crate) waits_are_bounded: bool,
    /// A lease ends by itself.
    pub(crate) lease_ends: bool,
}

pub(crate) const SOUND: Rules = Rules {
    fence: true,
    fences_are_unique: true,
    lease_checks_version: true,
    save_checks_version: true,
    release_by_fence: true,
    store_clock: true,
    busy_is_an_answer: true,
    rejection_looks_first: true,
    rejected_is_refused: true,
    adopting_has_no_pause: true,
    pauses_are_shared: true,
    expired_is_refused: true,
    stale_leases_end_with_the_token: true,
    longer_lives_win: true,
    late_flights_end: true,
    waiters_lease_short: true,
    failures_are_shared: true,
    one_without_a_connection_is_alone: true,
    two_without_a_connection_are_all: true,
    failures_keep_the_token: true,
    life_is_what_is_left: true,
    life_counts_from_the_grant: false,
    long_leases_are_not_believed: true,
    a_silent_store_is_left_out: true,
    standing_still_is_no_silence: true,
    pauses_double: true,
    old_records_are_doubted: true,
    doubted_stores_are_asked: true,
    waits_are_bounded: true,
    lease_ends: true,
};
