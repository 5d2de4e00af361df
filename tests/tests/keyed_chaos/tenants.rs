//! The tenants: how their providers are built, and what their authorization servers and the API do.

use std::{
    collections::BTreeMap,
    future,
    panic::resume_unwind,
    sync::{Arc, Mutex},
    time::Duration,
};

use bearer_token::{
    AccessToken, Backoff, Error, ErrorKind, FetchContext, KeyedProviders, Policy, Retry, TokenProvider,
    TokenProviderBuilder, TokenSource, platform::Platform,
};
use fastrand::Rng;
use http::{Request, Response, StatusCode, header};
use tower_bearer::BoxError;

use super::{
    oracle::{Asked, FETCH_TIMEOUT, FIRST_WAIT, Oracle},
    world::lock,
};

pub(crate) const TENANTS: u64 = 40;
pub(crate) const BOUND: usize = 12;
pub(crate) const ORIGIN: &str = "https://api.example.com";
const MILLI: Duration = Duration::from_millis(1);

/// Keys from here on are invented by a hostile client. The build function knows those above [`REFUSED`] not to exist.
pub(crate) const INVENTED: u64 = 1_000;
pub(crate) const REFUSED: u64 = 1_000_000;

/// A mistake that the oracle must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    Nothing,
    /// The selector sometimes returns the next tenant.
    SelectorMixesUp,
    /// There are two maps, as after a rival insertion that replaced an entry in use.
    TwoMaps,
    /// Some builds read a credential from a copy that is out of date.
    OldCredential,
    /// Failed providers are removed, and nothing is remembered of them.
    ForgottenCoolDown,
    /// Some requests are never answered.
    LostWake,
    /// Some providers are never dropped.
    LeakedProvider,
}

/// What happens when a provider is built.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Build {
    #[default]
    Works,
    Fails,
    Panics,
    /// It uses the map for another key.
    Nested,
    /// The tenant is removed meanwhile, once.
    IsOvertaken,
}

/// What the authorization server of a tenant does.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Fetch {
    #[default]
    Works,
    Fails,
    Refuses,
    Hangs,
    Panics,
}

/// A tenant as it is now.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tenant {
    pub(crate) build: Build,
    pub(crate) fetch: Fetch,
    /// It is replaced before the tenant is removed.
    pub(crate) credential: u64,
    /// Tokens up to this number are revoked.
    pub(crate) revoked: u64,
}

/// Everything that all tasks share.
pub(crate) struct Course {
    pub(crate) oracle: Oracle,
    pub(crate) platform: Platform,
    pub(crate) planted: Planted,
    /// No call takes longer, whatever the tenants do.
    pub(crate) limit: Duration,
    pub(crate) tenants: Mutex<BTreeMap<u64, Tenant>>,
    /// For build functions that use it. Emptied at the end, because it is a circle.
    pub(crate) map: Mutex<Option<KeyedProviders<u64>>>,
    chance: Mutex<Rng>,
    serial: Mutex<u64>,
    leaked: Mutex<Vec<TokenProvider>>,
}

pub(crate) type Shared = Arc<Course>;

impl Course {
    pub(crate) fn new(seed: u64, platform: Platform, planted: Planted, limit: Duration) -> Shared {
        Arc::new(Course {
            oracle: Oracle::default(),
            platform,
            planted,
            limit,
            tenants: Mutex::default(),
            map: Mutex::default(),
            chance: Mutex::new(Rng::with_seed(seed)),
            serial: Mutex::default(),
            leaked: Mutex::default(),
        })
    }

    pub(crate) fn below(&self, limit: u64) -> u64 {
        lock(&self.chance).u64(0..limit)
    }

    pub(crate) fn one_in(&self, number: u64) -> bool {
        self.below(number) == 0
    }

    /// Whether this fault is planted, and is to show now.
    pub(crate) fn is_planted(&self, planted: Planted) -> bool {
        self.planted == planted && self.one_in(10)
    }

    pub(crate) fn now(&self) -> Duration {
        self.platform.now().monotonic()
    }

    pub(crate) async fn sleep(&self, time: Duration) {
        self.platform.sleep_until(self.now() + time).await;
    }

    pub(crate) fn tenant(&self, tenant: u64) -> Tenant {
        lock(&self.tenants).get(&tenant).copied().unwrap_or_default()
    }

    pub(crate) fn change(&self, tenant: u64, change: impl FnOnce(&mut Tenant)) {
        change(lock(&self.tenants).entry(tenant).or_default());
    }

    /// Replaces the credential of a tenant, and then takes the provider with the old one out of the map.
    pub(crate) fn replace_credential(&self, map: &KeyedProviders<u64>, tenant: u64) {
        let mut credential = 0;
        self.change(tenant, |tenant| {
            tenant.credential += 1;
            credential = tenant.credential;
        });
        self.oracle.removal(
            move |other| other == tenant,
            || {
                map.remove(&tenant);
            },
        );
        self.oracle.replaced(tenant, credential);
    }

    /// The number of the last token.
    pub(crate) fn last_serial(&self) -> u64 {
        *lock(&self.serial)
    }

    pub(crate) fn map(self: &Arc<Self>) -> KeyedProviders<u64> {
        let course = self.clone();
        let map = KeyedProviders::builder(move |&tenant: &u64| course.build(tenant))
            .max_providers(BOUND)
            .max_idle(Duration::from_secs(120))
            .max_concurrent_fetches(8)
            .platform(self.platform.clone())
            .build()
            .unwrap();
        *lock(&self.map) = Some(map.clone());
        map
    }

    fn build(self: &Arc<Self>, tenant: u64) -> Result<TokenProviderBuilder, Error> {
        if tenant >= REFUSED {
            self.oracle.saw("invented key");
            return Err(Error::new(ErrorKind::Source, "there is no such tenant").with_retry(Retry::AfterChange));
        }
        let mut credential = self.tenant(tenant).credential;
        if self.is_planted(Planted::OldCredential) {
            credential = credential.saturating_sub(1);
        }
        let other = |course: &Self| lock(&course.map).clone();
        match self.tenant(tenant).build {
            Build::Works => {}
            Build::Fails => {
                self.oracle.saw("build failed");
                return Err(Error::new(ErrorKind::Unavailable, "the directory of tenants is down"));
            }
            Build::Panics => {
                self.oracle.saw("build panicked");
                // Without a message on standard error.
                resume_unwind(Box::new("planned"));
            }
            Build::Nested => {
                self.oracle.saw("nested build");
                // Its errors are of no interest. A circle of tenants is one.
                drop(other(self).map(|map| map.get(&((tenant + 1) % TENANTS))));
            }
            Build::IsOvertaken => {
                self.oracle.saw("removed while built");
                self.change(tenant, |tenant| tenant.build = Build::Works);
                if let Some(map) = other(self) {
                    self.replace_credential(&map, tenant);
                }
            }
        }
        let source = Source { course: self.clone(), tenant, credential, provider: self.oracle.built(tenant) };
        let backoff = Backoff::new(2 * FIRST_WAIT, 8 * FIRST_WAIT);
        let policy = Policy::default()
            .fetch_timeout(FETCH_TIMEOUT)
            .refresh_timeout(FETCH_TIMEOUT)
            .transient_backoff(backoff)
            .terminal_backoff(backoff)
            .rejection_backoff(backoff);
        Ok(TokenProvider::builder(source).platform(self.platform.clone()).policy(policy).allow_origin(ORIGIN))
    }

    /// Keeps a provider for ever, by mistake.
    pub(crate) fn leak(&self, provider: TokenProvider) {
        lock(&self.leaked).push(provider);
    }

    /// The API: it sees what a request carries, and refuses tokens that were revoked.
    pub(crate) async fn call_api(self: Arc<Self>, request: Request<()>) -> Result<Response<()>, BoxError> {
        let asked = request.extensions().get::<Asked>().copied();
        let token = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        let mut response = Response::new(());
        match (asked, &token) {
            (Some(asked), Some(token)) => {
                let token = token.trim_start_matches("Bearer ");
                self.oracle.carries(asked, token);
                let serial: u64 = token.rsplit('.').next().unwrap().parse().unwrap();
                if serial <= self.tenant(asked.tenant).revoked {
                    *response.status_mut() = StatusCode::UNAUTHORIZED;
                    let challenge = http::HeaderValue::from_static("Bearer error=\"invalid_token\"");
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                    self.oracle.saw("challenged");
                }
            }
            _ => self.oracle.require(asked.is_none() && token.is_none(), || format!("{asked:?} carries {token:?}")),
        }
        self.sleep(MILLI * self.below(20) as u32).await;
        if self.is_planted(Planted::LostWake) {
            future::pending::<()>().await;
        }
        Ok(response)
    }
}

/// The source of one provider. It lives as long as that.
struct Source {
    course: Shared,
    tenant: u64,
    credential: u64,
    provider: usize,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.course.oracle.dropped(self.provider);
    }
}

/// A token request for as long as its future exists.
struct Running<'a>(&'a Source, Duration);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.course.oracle.fetch_ends(self.0.provider, self.1);
    }
}

impl TokenSource for Source {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let course = &self.course;
        let deadline = cx.deadline().monotonic();
        course.oracle.fetch_begins(self.provider, course.now(), deadline);
        let _running = Running(self, deadline);
        course.sleep(MILLI * course.below(2_000) as u32).await;
        let fetch = if self.tenant >= INVENTED { Fetch::Refuses } else { course.tenant(self.tenant).fetch };
        let error = match fetch {
            Fetch::Works => {
                let serial = {
                    let mut serial = lock(&course.serial);
                    *serial += 1;
                    *serial
                };
                let life = Duration::from_secs(20 + course.below(100));
                return Ok(AccessToken::new(format!("{}.{}.{serial}", self.tenant, self.credential)).expires_in(life));
            }
            Fetch::Hangs => {
                course.oracle.saw("hung");
                future::pending().await
            }
            Fetch::Panics => {
                course.oracle.saw("fetch panicked");
                resume_unwind(Box::new("planned"))
            }
            Fetch::Fails => Error::new(ErrorKind::Unavailable, "the authorization server is down"),
            Fetch::Refuses => Error::new(ErrorKind::Refused, "the client is not known"),
        };
        course.oracle.fetch_failed(self.provider, course.now(), deadline);
        Err(error)
    }
}
