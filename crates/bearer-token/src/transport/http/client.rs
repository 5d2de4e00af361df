//! hyper's clients, one for each runtime.
//!
//! hyper's client is a pool plus a connector. A pool belongs to a runtime, because its connections are tasks there. It
//! also belongs to a set of certificates: a connection that was opened with old ones must not carry a new identity.
//!
//! | event | effect |
//! |---|---|
//! | first request on a runtime | a client is made; the CAs may be read, on a blocking thread |
//! | further requests | the same client: one lock, two comparisons |
//! | certificates changed | a new client; idle connections of the old one are closed |
//! | a seventeenth runtime | the one that was used longest ago loses its clients |

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::runtime::{Handle, Id};

use super::{
    connect::{Connector, Secured},
    settings::Settings,
    tls::{RANDOMNESS, TlsMaterial, shut_down},
};
use crate::error::Error;

/// hyper's client over our connector.
pub(super) type Client = legacy::Client<Connector, Full<Bytes>>;

/// How long a connection without a request stays open.
const IDLE: Duration = Duration::from_secs(90);

/// The head of a response, and what is parsed without a pause, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;

/// How many runtimes keep their clients. A process seldom has more than one; tests have many, one after another.
pub(super) const MOST_RUNTIMES: usize = 16;

/// One client for `https` and one for plain `http`, for each runtime that used the transport lately.
///
/// A pooled connection is driven by the runtime that opened it. If that runtime is gone, or is no longer driven,
/// requests from another one would wait on a connection that never moves. So a new runtime gets a new client.
#[derive(Default)]
pub(super) struct Clients {
    /// The one that was used last comes first.
    runtimes: Mutex<Vec<Arc<OfRuntime>>>,
    /// What connections are secured with, as it was last read. All runtimes share it.
    secured: Mutex<Option<(Arc<TlsMaterial>, Secured)>>,
}

/// The clients of one runtime.
struct OfRuntime {
    owner: Id,
    secure: Mutex<Option<Pooled>>,
    plain: Mutex<Option<Pooled>>,
    /// Held while the secure client is made, so the CAs are read once, however many providers ask. Each runtime has one
    /// of its own: one that is not driven must not hold up the others.
    making: tokio::sync::Mutex<()>,
}

/// A client, and what it was made for.
struct Pooled {
    /// What its connections were opened with, for `https`.
    tls: Option<Arc<TlsMaterial>>,
    client: Client,
}

impl Clients {
    /// The client for the current runtime. When the certificates have changed, it is a new one with them, and the idle
    /// connections of the one before are closed. Requests in progress continue on theirs.
    ///
    /// Plain `http` has a client of its own, which needs neither CAs nor cryptography: it is for loopback and service
    /// meshes.
    pub(super) async fn get(&self, runtime: &Handle, settings: &Settings, plain: bool) -> Result<Client, Error> {
        let here = self.of_runtime(runtime.id());
        if plain {
            // Plain `http` has no use for certificates, and works where there are none.
            return Ok(kept(&here.plain, None)
                .unwrap_or_else(|| keep(&here.plain, None, client(settings, Connector::plain(settings)))));
        }
        let tls = settings.tls.current(runtime).await?;
        if let Some(client) = kept(&here.secure, Some(&tls)) {
            return Ok(client);
        }
        let _one = here.making.lock().await;
        if let Some(client) = kept(&here.secure, Some(&tls)) {
            return Ok(client);
        }
        // At the same time as the CAs are read and the TCP connection is opened. The handshake waits for it.
        RANDOMNESS.start(runtime);
        let secured = match self.secured(&tls) {
            Some(secured) => secured,
            None => {
                // Reading the system's CA certificates takes tens of milliseconds, which is too long for a poll.
                let (settings, material) = (settings.clone(), Arc::clone(&tls));
                let read = runtime.spawn_blocking(move || Secured::read(&settings, &material)).await;
                let secured = read.map_err(|_| shut_down())??;
                *lock(&self.secured) = Some((Arc::clone(&tls), secured.clone()));
                secured
            }
        };
        let client = client(settings, Connector::secure(settings, secured));
        Ok(keep(&here.secure, Some(tls), client))
    }

    /// How many runtimes have clients.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.runtimes).len()
    }

    /// The clients of a runtime, which move to the front of the list. The last of too many is dropped.
    fn of_runtime(&self, owner: Id) -> Arc<OfRuntime> {
        let mut runtimes = lock(&self.runtimes);
        match runtimes.iter().position(|runtime| runtime.owner == owner) {
            Some(place) => runtimes[..=place].rotate_right(1),
            None => {
                runtimes.truncate(MOST_RUNTIMES - 1);
                let (secure, plain) = (Mutex::default(), Mutex::default());
                runtimes.insert(0, Arc::new(OfRuntime { owner, secure, plain, making: tokio::sync::Mutex::default() }));
            }
        }
        Arc::clone(&runtimes[0])
    }

    /// What another runtime has read for the same certificates.
    fn secured(&self, tls: &Arc<TlsMaterial>) -> Option<Secured> {
        lock(&self.secured).as_ref().filter(|(material, _)| Arc::ptr_eq(material, tls)).map(|(_, read)| read.clone())
    }
}

/// A new client. Its pool needs a timer, or idle connections would stay open.
fn client(settings: &Settings, connector: Connector) -> Client {
    legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .http1_title_case_headers(settings.title_case_headers)
        .http1_max_buf_size(HEAD_LIMIT)
        .build(connector)
}

/// The client that is kept, if its connections are opened with these certificates.
///
/// The material is compared by its address: the same `Arc` is the same content.
fn kept(slot: &Mutex<Option<Pooled>>, tls: Option<&Arc<TlsMaterial>>) -> Option<Client> {
    let slot = lock(slot);
    let pooled = slot.as_ref().filter(|pooled| pooled.tls.as_ref().map(Arc::as_ptr) == tls.map(Arc::as_ptr))?;
    Some(pooled.client.clone())
}

/// Puts a new client into its place. The old client is dropped after the lock is released, because it closes
/// connections.
fn keep(slot: &Mutex<Option<Pooled>>, tls: Option<Arc<TlsMaterial>>, client: Client) -> Client {
    let replaced = lock(slot).replace(Pooled { tls, client: client.clone() });
    drop(replaced);
    client
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
