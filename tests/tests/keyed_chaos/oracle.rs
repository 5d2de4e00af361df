//! What must hold whatever happens, checked by what the tenants' servers and the API see.

use std::{collections::BTreeMap, fmt, sync::Mutex, time::Duration};

use super::world::lock;

const SECOND: Duration = Duration::from_secs(1);

/// The shortest pause after a failure: half of the policy's first one.
pub(crate) const FIRST_WAIT: Duration = SECOND;

/// A fetch ends by itself after so long.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// The first thing that went wrong, and everything that was seen.
#[derive(Default)]
pub(crate) struct Oracle(Mutex<State>);

#[derive(Default)]
struct State {
    wrong: Option<String>,
    seen: Seen,
    providers: Vec<Provider>,
    tenants: BTreeMap<u64, Tenant>,
    /// Which tenants are being removed at this moment.
    removals: Vec<(u64, Tenants)>,
    last_removal: u64,
    has_shut_down: bool,
}

/// Some of the tenants.
type Tenants = Box<dyn Fn(u64) -> bool + Send>;

/// A provider that the build function has made.
struct Provider {
    tenant: u64,
    is_alive: bool,
    /// Whether an operator has taken it out of the map. Clones of it continue to fetch.
    is_removed: bool,
    /// The deadlines of its fetches in progress.
    fetches: Vec<Duration>,
}

#[derive(Default)]
struct Tenant {
    /// Requests that begin now take a token of this credential or of a later one.
    floor: u64,
    /// When its last failure was, unless it was removed since.
    failed: Option<Duration>,
}

/// What a request may carry, decided when it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) tenant: u64,
    floor: u64,
    /// Whether the map was shut down before.
    is_late: bool,
}

/// How often each thing happened.
#[derive(Clone, Default)]
pub(crate) struct Seen(BTreeMap<&'static str, u64>);

/// Everything that must happen in some seeds.
const EVERYTHING: [&str; 24] = [
    "attached by hand",
    "build failed",
    "build panicked",
    "cancelled",
    "challenged",
    "fetch failed",
    "fetch panicked",
    "hung",
    "invented key",
    "kept clone",
    "late",
    "map full",
    "nested build",
    "no token",
    "refused by its selector",
    "reject all",
    "remove",
    "removed while built",
    "retain",
    "selector panicked",
    "sent",
    "shut down",
    "swept",
    "warmed up",
];

impl Seen {
    pub(crate) fn add(&mut self, other: &Seen) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    pub(crate) fn missing(&self) -> Vec<&'static str> {
        EVERYTHING.into_iter().filter(|what| !self.0.contains_key(what)).collect()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, times)| write!(f, "{what} {times}, "))
    }
}

impl State {
    fn require(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.wrong.is_none() {
            self.wrong = Some(what());
        }
    }

    /// The tenant of a provider that is in the map for certain.
    fn in_service(&self, provider: usize) -> Option<u64> {
        let Provider { tenant, is_removed, .. } = self.providers[provider];
        let is_open = is_removed || self.removals.iter().any(|(_, tenants)| tenants(tenant));
        (!is_open).then_some(tenant)
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.0.entry(what).or_default() += 1;
    }
}

impl Oracle {
    pub(crate) fn saw(&self, what: &'static str) {
        lock(&self.0).saw(what);
    }

    pub(crate) fn require(&self, holds: bool, what: impl FnOnce() -> String) {
        lock(&self.0).require(holds, what);
    }

    /// What was seen, or what went wrong.
    pub(crate) fn verdict(&self) -> Result<Seen, String> {
        let state = lock(&self.0);
        state.wrong.clone().map_or_else(|| Ok(state.seen.clone()), Err)
    }

    pub(crate) fn is_content(&self) -> bool {
        lock(&self.0).wrong.is_none()
    }

    /// The build function has made a provider. Returns its number.
    pub(crate) fn built(&self, tenant: u64) -> usize {
        let mut state = lock(&self.0);
        state.providers.push(Provider { tenant, is_alive: true, is_removed: false, fetches: Vec::new() });
        state.providers.len() - 1
    }

    /// The last clone of a provider is gone.
    pub(crate) fn dropped(&self, provider: usize) {
        lock(&self.0).providers[provider].is_alive = false;
    }

    /// The providers that are alive.
    pub(crate) fn alive(&self) -> usize {
        lock(&self.0).providers.iter().filter(|provider| provider.is_alive).count()
    }

    /// A token request begins. No other of the tenant is in progress, unless its provider was removed or it is overdue.
    pub(crate) fn fetch_begins(&self, provider: usize, now: Duration, deadline: Duration) {
        let mut state = lock(&self.0);
        if let Some(tenant) = state.in_service(provider) {
            let is_rival = |other: &Provider| {
                other.tenant == tenant && !other.is_removed && other.fetches.iter().any(|deadline| now < *deadline)
            };
            let has_rival = state.providers.iter().any(is_rival);
            state.require(!has_rival, || format!("two fetches of one key, {tenant}, at the same time"));
            let failed = state.tenants.entry(tenant).or_default().failed;
            let wait = failed.map_or(FIRST_WAIT, |failed| now.saturating_sub(failed));
            state.require(wait >= FIRST_WAIT, || {
                format!("a cool-down was cut short: {wait:?} after a failure of tenant {tenant}")
            });
        }
        state.providers[provider].fetches.push(deadline);
    }

    pub(crate) fn fetch_ends(&self, provider: usize, deadline: Duration) {
        let mut state = lock(&self.0);
        let fetches = &mut state.providers[provider].fetches;
        let place = fetches.iter().position(|other| *other == deadline).unwrap();
        fetches.swap_remove(place);
    }

    /// The source of a provider has returned an error. After the deadline, nothing waits for it.
    pub(crate) fn fetch_failed(&self, provider: usize, now: Duration, deadline: Duration) {
        let mut state = lock(&self.0);
        state.saw("fetch failed");
        if let Some(tenant) = state.in_service(provider).filter(|_| now < deadline) {
            state.tenants.entry(tenant).or_default().failed = Some(now);
        }
    }

    /// Takes providers out of the map. Meanwhile it is open which of these tenants' providers are in service.
    pub(crate) fn removal(&self, tenants: impl Fn(u64) -> bool + Clone + Send + 'static, remove: impl FnOnce()) {
        let number = {
            let mut state = lock(&self.0);
            state.last_removal += 1;
            let number = state.last_removal;
            state.removals.push((number, Box::new(tenants.clone())));
            number
        };
        remove();
        let mut state = lock(&self.0);
        state.removals.retain(|(other, _)| *other != number);
        for provider in state.providers.iter_mut().filter(|provider| tenants(provider.tenant)) {
            provider.is_removed = true;
        }
        for (_, facts) in state.tenants.iter_mut().filter(|(tenant, _)| tenants(**tenant)) {
            facts.failed = None;
        }
    }

    /// A tenant was removed after its credential had been replaced by this one.
    pub(crate) fn replaced(&self, tenant: u64, credential: u64) {
        let mut state = lock(&self.0);
        let floor = &mut state.tenants.entry(tenant).or_default().floor;
        *floor = credential.max(*floor);
    }

    pub(crate) fn shut_down(&self) {
        lock(&self.0).has_shut_down = true;
    }

    /// A request begins.
    pub(crate) fn asks(&self, tenant: u64) -> Asked {
        let mut state = lock(&self.0);
        let is_late = state.has_shut_down;
        Asked { tenant, floor: state.tenants.entry(tenant).or_default().floor, is_late }
    }

    /// A token was given for a request. Its text has its tenant and its credential.
    pub(crate) fn carries(&self, asked: Asked, token: &str) {
        let mut parts = token.split('.').map(|part| part.parse::<u64>().unwrap());
        let (tenant, credential) = (parts.next().unwrap(), parts.next().unwrap());
        let mut state = lock(&self.0);
        state.saw("sent");
        let Asked { tenant: wanted, floor, is_late } = asked;
        state.require(tenant == wanted, || format!("another key's token: {wanted} carries that of {tenant}"));
        state.require(credential >= floor, || {
            format!("a credential that was replaced: {wanted} carries {credential}, expected at least {floor}")
        });
        state.require(!is_late, || format!("a token for {wanted} after the map was shut down"));
    }
}
