//! The contenders: ways to attach a cached token to a request.

use std::{convert::Infallible, fmt::Display, future::Ready, time::Duration};

use http::{HeaderValue, Request, header::AUTHORIZATION};
use tower::{Layer, Service};
use tower_http::auth::{AddAuthorization, AddAuthorizationLayer};

use crate::{
    drive::{Attach, Driver, Failed},
    endpoint::{Endpoint, Manner},
    warm::{self, Noop, Replies, Reply, token, token_length},
};

mod look;
mod middlewares;
mod ours;
#[cfg(feature = "peers")]
mod peers;

/// The role of a contender in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// No token at all, which is subtracted to get the net cost.
    Base,
    /// A constant header, as tower-http's layer sets it. Every other contender is compared with it.
    Static,
    /// Another yardstick.
    Yardstick,
    /// Our layer.
    Ours,
    /// Our layer or middleware in another way than the usual one.
    Way,
    /// Our middleware.
    OurMiddleware,
    /// A peer.
    Peer,
    /// A peer used faster than its documentation shows first. For the warm request only.
    PeerByHand,
}

/// One way to attach a token.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub name: &'static str,
    pub role: Role,
    /// The contender to subtract for the net cost.
    pub base: &'static str,
    /// Whether it checks the expiry of its token at each request.
    pub checks_expiry: bool,
    /// The time before the expiry at which it stops using a token or renews it. A token that is to be used for
    /// some seconds must have a lifetime that much longer.
    pub margin: Duration,
}

/// The base of the tower layers.
pub const TOWER: &str = "no-op service";
/// The least layer that notices a refusal.
pub const LOOK: &str = "static layer that looks at the response";
/// Ours without the layer.
pub const BY_HAND: &str = "TokenProvider::authorize alone";
/// The base of the middlewares.
pub const REQWEST: &str = "no-op reqwest client";
/// A middleware that does nothing but wait, to see what a waiting request takes without ours.
pub const REQWEST_HANGING: &str = "reqwest middleware that only waits";
/// A constant header in a middleware.
pub const REQWEST_STATIC: &str = "constant header in a reqwest middleware";
/// Ours with an observer that does not ask for reads.
pub const OBSERVED: &str = "tower-bearer, with an observer";
/// Ours with a subscriber of `tracing`, which must have a process of its own.
pub const TRACED: &str = "tower-bearer, tracing on";
const TENANT: &str = "no-op service, with a tenant";
const PORT: &str = "no-op service, port in the URI";
const LOOPBACK: &str = "no-op service, loopback";
const REQWEST_12: &str = "no-op reqwest 0.12 client";

const fn yardstick(name: &'static str, role: Role, base: &'static str) -> Profile {
    Profile { name, role, base, checks_expiry: false, margin: Duration::ZERO }
}

const fn ours(name: &'static str, role: Role, base: &'static str) -> Profile {
    Profile { name, role, base, checks_expiry: true, margin: Duration::from_secs(2) }
}

const fn peer(name: &'static str, checks_expiry: bool, margin: u64) -> Profile {
    Profile { name, role: Role::Peer, base: TOWER, checks_expiry, margin: Duration::from_secs(margin) }
}

/// All contenders.
pub fn all() -> Vec<Profile> {
    let mut all = vec![
        yardstick(TOWER, Role::Base, TOWER),
        yardstick("HeaderMap::insert(clone)", Role::Yardstick, TOWER),
        yardstick("tower-http AddAuthorizationLayer", Role::Static, TOWER),
        yardstick(LOOK, Role::Yardstick, TOWER),
        ours("tower-bearer", Role::Ours, TOWER),
        ours(BY_HAND, Role::Yardstick, TOWER),
        yardstick(REQWEST, Role::Yardstick, REQWEST),
        yardstick(REQWEST_STATIC, Role::Yardstick, REQWEST),
        ours("reqwest-bearer", Role::OurMiddleware, REQWEST),
    ];
    if cfg!(feature = "peers") {
        all.extend(PEERS);
    }
    all
}

const PEERS: [Profile; 12] = [
    peer("aliri_tokens", false, 0),
    Profile { role: Role::PeerByHand, ..peer("aliri_tokens, and its token_status", true, 0) },
    peer("google-cloud-auth", true, 10),
    peer("yup-oauth2", true, 60),
    peer("gcp_auth", true, 20),
    peer("huskarl", true, 30),
    Profile { role: Role::PeerByHand, ..peer("huskarl, its cache alone", true, 30) },
    peer("cf-gears-toolkit-auth", true, 0),
    Profile { role: Role::PeerByHand, ..peer("cf-gears-toolkit-auth, its provider alone", true, 0) },
    yardstick(REQWEST_12, Role::Yardstick, REQWEST_12),
    yardstick("constant header in a reqwest 0.12 middleware", Role::Yardstick, REQWEST_12),
    Profile { base: REQWEST_12, ..peer("reqwest-auth (constant source)", false, 0) },
];

/// Ours in other ways, and what they are compared with.
pub fn ways() -> Vec<Profile> {
    let way = |name, base| Profile { role: Role::Way, ..ours(name, Role::Way, base) };
    vec![
        yardstick(TOWER, Role::Base, TOWER),
        ours("tower-bearer", Role::Ours, TOWER),
        way(OBSERVED, TOWER),
        way("tower-bearer, with an observer that counts reads", TOWER),
        way("tower-bearer, in a fleet", TOWER),
        way("tower-bearer, any https origin", TOWER),
        way("tower-bearer, port in the allowed origin", TOWER),
        yardstick(PORT, Role::Base, PORT),
        way("tower-bearer, port in the URI", PORT),
        yardstick(LOOPBACK, Role::Base, LOOPBACK),
        way("tower-bearer, loopback by default", LOOPBACK),
        way("tower-bearer, watch_trailers", TOWER),
        way("tower-bearer, Replay", TOWER),
        yardstick(TENANT, Role::Base, TENANT),
        way("tower-bearer, with a tenant", TENANT),
        way("tower-bearer, keyed by tenant", TENANT),
        yardstick(REQWEST, Role::Yardstick, REQWEST),
        way("reqwest-bearer, replay_once", REQWEST),
    ]
}

/// Ours while a subscriber of `tracing` listens to everything.
pub fn traced() -> Vec<Profile> {
    vec![
        yardstick(TOWER, Role::Base, TOWER),
        yardstick(LOOK, Role::Yardstick, TOWER),
        Profile { role: Role::Way, ..ours(TRACED, Role::Way, TOWER) },
    ]
}

/// A contender without a token. Call it inside a runtime with other threads, which drive the peers' tasks.
///
/// # Panics
///
/// If it cannot be built, because a bench without its contenders is useless.
pub async fn cold(name: &str, endpoint: &Endpoint) -> Box<dyn Driver> {
    match name {
        TOWER => Box::new(Through(Noop::<Infallible>::new())),
        "HeaderMap::insert(clone)" => Box::new(RawInsert(value())),
        "tower-http AddAuthorizationLayer" => Box::new(Through(constant())),
        LOOK => Box::new(Through(look::Looking::new(value()))),
        "tower-bearer" => Box::new(ours::layer(endpoint)),
        OBSERVED => Box::new(ours::with(endpoint, |builder| builder.observer(ours::Silent))),
        "tower-bearer, with an observer that counts reads" => {
            Box::new(ours::with(endpoint, |builder| builder.observer(ours::Counting::default())))
        }
        "tower-bearer, in a fleet" => Box::new(ours::in_a_fleet(endpoint)),
        "tower-bearer, any https origin" => Box::new(ours::any_https(endpoint)),
        "tower-bearer, port in the allowed origin" => Box::new(ours::port_allowed(endpoint)),
        PORT => Box::new(ours::To(Through(Noop::<Infallible>::new()), ours::WITH_PORT)),
        "tower-bearer, port in the URI" => Box::new(ours::To(ours::layer(endpoint), ours::WITH_PORT)),
        LOOPBACK => Box::new(ours::To(Through(Noop::<Infallible>::new()), ours::ON_LOOPBACK)),
        "tower-bearer, loopback by default" => Box::new(ours::To(ours::loopback(endpoint), ours::ON_LOOPBACK)),
        "tower-bearer, watch_trailers" => Box::new(ours::trailers(endpoint)),
        "tower-bearer, Replay" => Box::new(ours::replay(endpoint)),
        TRACED => {
            ours::listen();
            Box::new(ours::layer(endpoint))
        }
        TENANT => Box::new(ours::Tenanted::new(Noop::<Infallible>::new())),
        "tower-bearer, with a tenant" => Box::new(ours::Tenanted::new(ours::layer(endpoint).0)),
        "tower-bearer, keyed by tenant" => Box::new(ours::Tenanted::new(ours::keyed(endpoint))),
        BY_HAND => Box::new(ours::Alone(ours::provider(endpoint))),
        #[cfg(feature = "peers")]
        "aliri_tokens" => Box::new(peers::aliri::new(endpoint).await),
        #[cfg(feature = "peers")]
        "aliri_tokens, and its token_status" => Box::new(peers::aliri::Checked(peers::aliri::new(endpoint).await)),
        #[cfg(feature = "peers")]
        "google-cloud-auth" => Box::new(peers::google::new(endpoint)),
        #[cfg(feature = "peers")]
        "yup-oauth2" => Box::new(peers::yup::new(endpoint).await),
        #[cfg(feature = "peers")]
        "gcp_auth" => Box::new(peers::gcp::new(endpoint)),
        #[cfg(feature = "peers")]
        "huskarl" => Box::new(peers::huskarl::new(endpoint).await),
        #[cfg(feature = "peers")]
        "huskarl, its cache alone" => Box::new(peers::huskarl::Cached(peers::huskarl::new(endpoint).await)),
        #[cfg(feature = "peers")]
        "cf-gears-toolkit-auth, its provider alone" => {
            Box::new(peers::cf_gears::Alone(peers::cf_gears::provider(endpoint)))
        }
        #[cfg(feature = "peers")]
        "cf-gears-toolkit-auth" => Box::new(peers::cf_gears::new(endpoint)),
        REQWEST => Box::new(middlewares::bare()),
        REQWEST_HANGING => Box::new(middlewares::hanging()),
        REQWEST_STATIC => Box::new(middlewares::constant(value())),
        "reqwest-bearer" => Box::new(middlewares::ours(endpoint)),
        "reqwest-bearer, replay_once" => Box::new(middlewares::replaying(endpoint)),
        #[cfg(feature = "peers")]
        REQWEST_12 => Box::new(middlewares::reqwest_12::bare()),
        #[cfg(feature = "peers")]
        "constant header in a reqwest 0.12 middleware" => Box::new(middlewares::reqwest_12::constant(value())),
        #[cfg(feature = "peers")]
        "reqwest-auth (constant source)" => Box::new(middlewares::reqwest_12::reqwest_auth(token())),
        name => panic!("no contender is called {name}"),
    }
}

/// A contender with a token from an endpoint.
///
/// # Panics
///
/// As [`cold`].
pub async fn warm(name: &str) -> Box<dyn Driver> {
    let endpoint = Endpoint::start(Manner::prompt());
    let driver = cold(name, &endpoint).await;
    driver.send_one().await.expect("a token");
    check(name, &*driver).await;
    driver
}

/// Checks that the contender does its work, because one that does not would be fast.
async fn check(name: &str, driver: &dyn Driver) {
    Replies::Inspecting.begin();
    driver.send_one().await.expect("a response");
    Replies::Whole.begin();
    let found = warm::carried();
    let profile = all().into_iter().chain(ways()).chain(traced()).find(|profile| profile.name == name);
    let profile = profile.expect("everyone is there");
    if profile.base == name {
        assert_eq!(found, None, "{name} is to send no token");
        return;
    }
    let found = found.unwrap_or_else(|| panic!("{name} sent no token"));
    // Endpoints number their tokens at the end of the token.
    let (begins, length) = (token().starts_with(&found.token[..found.token.len() / 2]), found.token.len());
    assert!(begins && length == token_length(), "{name} sent another token, of {length} bytes");
    let ours = matches!(profile.role, Role::Static | Role::Ours | Role::Way | Role::OurMiddleware);
    assert!(found.sensitive || !ours, "{name} is to mark the header as sensitive");
}

fn value() -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token())).expect("a valid value");
    value.set_sensitive(true);
    value
}

/// The static layer.
fn constant() -> AddAuthorization<Noop> {
    AddAuthorizationLayer::bearer(&token()).as_sensitive(true).layer(Noop::new())
}

/// A tower service, driven as tower does.
#[derive(Clone)]
struct Through<S>(S);

impl<S> Attach for Through<S>
where
    S: Service<Request<()>, Response = Reply, Error: Display, Future: Send> + Clone + Send + Sync + 'static,
{
    #[inline]
    async fn send(&mut self, request: Request<()>) -> Result<Reply, Failed> {
        std::future::poll_fn(|cx| self.0.poll_ready(cx)).await.map_err(Failed::new)?;
        self.0.call(request).await.map_err(Failed::new)
    }
}

/// The core of every layer.
#[derive(Clone)]
struct RawInsert(HeaderValue);

impl Attach for RawInsert {
    #[inline]
    async fn send(&mut self, request: Request<()>) -> Result<Reply, Failed> {
        with_header(request, self.0.clone()).await.map_err(Failed::new)
    }
}

/// Sends a request with this `Authorization`, as users of a peer without a layer do. Not `async`, so the awaited future
/// is the service's, as with a layer, and the request is not moved once more.
#[inline]
fn with_header(mut request: Request<()>, value: HeaderValue) -> Ready<Result<Reply, Infallible>> {
    request.headers_mut().insert(AUTHORIZATION, value);
    Noop::new().call(request)
}
