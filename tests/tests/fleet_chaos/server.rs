//! The authorization server and the API, which count what reaches them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bearer_token::{AccessToken, Error, ErrorKind, FetchContext};

use super::world::{World, lock};

/// The life of every token.
pub(crate) const LIFE: Duration = Duration::from_secs(600);

pub(crate) struct Server {
    world: World,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    down: bool,
    /// When it was set down or up.
    down_until: Duration,
    /// In the order in which they were issued.
    issued: Vec<Issued>,
    /// Tokens before this one are rejected by the API.
    revoked: usize,
    attempts: Vec<Attempt>,
}

/// A token.
#[derive(Clone, Copy)]
pub(crate) struct Issued {
    asked: Duration,
    pub(crate) at: Duration,
}

impl Issued {
    pub(crate) fn until(self) -> Duration {
        self.at + LIFE
    }
}

/// A token request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) at: Duration,
    pub(crate) succeeded: bool,
    /// What is left of the newest token that is not revoked.
    pub(crate) left: Duration,
}

impl Server {
    pub(crate) fn new(world: World) -> Arc<Self> {
        Arc::new(Server { world, state: Mutex::default() })
    }

    /// The answer to a token request.
    pub(crate) async fn exchange(&self, _cx: FetchContext) -> Result<AccessToken, Error> {
        let index = {
            let now = self.world.moment().truth;
            let mut state = lock(&self.state);
            let left = state.newest().saturating_sub(now);
            state.attempts.push(Attempt { at: now, succeeded: false, left });
            state.attempts.len() - 1
        };
        self.world.sleep(Duration::from_millis(20) + self.world.about(Duration::from_millis(100))).await;
        let now = self.world.moment().truth;
        let mut state = lock(&self.state);
        if state.down {
            return Err(Error::new(ErrorKind::Unavailable, "the authorization server is down"));
        }
        state.attempts[index].succeeded = true;
        let asked = state.attempts[index].at;
        state.issued.push(Issued { asked, at: now });
        Ok(AccessToken::new(format!("t{}", state.issued.len() - 1)).expires_in(LIFE))
    }

    /// What the API says to a token: nothing if it is good.
    pub(crate) fn verdict(&self, number: usize) -> Verdict {
        let state = lock(&self.state);
        match state.issued.get(number) {
            Some(token) if token.until() <= self.world.moment().truth => Verdict::Expired,
            Some(_) if number < state.revoked => Verdict::Revoked,
            Some(_) => Verdict::Good,
            None => Verdict::Unknown,
        }
    }

    pub(crate) fn issued(&self, number: usize) -> Issued {
        lock(&self.state).issued[number]
    }

    /// Whether a token is good, and will be for this time.
    pub(crate) fn is_good_for(&self, number: usize, time: Duration) -> bool {
        let until = lock(&self.state).issued.get(number).map_or(Duration::ZERO, |token| token.until());
        self.verdict(number) == Verdict::Good && until > self.world.moment().truth + time
    }

    /// Whether a token is older than another one: it was issued before the other one was asked for. Two that were under
    /// way at the same time have no order that a replica could know.
    pub(crate) fn is_older(&self, number: usize, other: usize) -> bool {
        let state = lock(&self.state);
        state.issued[number].at < state.issued[other].asked
    }

    /// Whether it was down in the last minutes, so that replicas may be in a cool-down.
    pub(crate) fn failed_lately(&self) -> bool {
        let state = lock(&self.state);
        state.down || state.down_until + Duration::from_secs(180) > self.world.moment().truth
    }

    pub(crate) fn set_down(&self, down: bool) {
        let now = self.world.moment().truth;
        let mut state = lock(&self.state);
        (state.down, state.down_until) = (down, now);
    }

    pub(crate) fn revoke_all(&self) {
        let mut state = lock(&self.state);
        state.revoked = state.issued.len();
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        lock(&self.state).attempts.clone()
    }
}

impl State {
    /// The end of the newest token that is not revoked.
    fn newest(&self) -> Duration {
        if self.issued.len() > self.revoked { self.issued[self.issued.len() - 1].until() } else { Duration::ZERO }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Good,
    Revoked,
    Expired,
    Unknown,
}
