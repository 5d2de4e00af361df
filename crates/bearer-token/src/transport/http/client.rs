//! hyper's clients, one for each runtime.

use std::{
    sync::{Arc, Mutex, PoisonError},
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
    connect::Connector,
    settings::Settings,
    tls::{TlsMaterial, shut_down},
};
use crate::error::Error;

pub(super) type Client = legacy::Client<Connector, Full<Bytes>>;

/// How long a connection without a request stays open.
const IDLE: Duration = Duration::from_secs(90);

/// The head of a response, and what is parsed without a pause, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;

/// One client for `https` and one for plain `http`, each together with the runtime that it belongs to.
///
/// A pooled connection is driven by the runtime that opened it. If that runtime is gone, or is no longer driven,
/// requests from another one would wait on a connection that never moves. So a new runtime gets a new client.
#[derive(Default)]
pub(super) struct Clients {
    secure: ClientSlot,
    plain: ClientSlot,
}

type ClientSlot = Mutex<Option<Pooled>>;

struct Pooled {
    owner: Id,
    /// What its connections were opened with, for `https`.
    tls: Option<Arc<TlsMaterial>>,
    client: Client,
}

impl Clients {
    /// The client for this runtime and the current certificates.
    ///
    /// With another client, the idle connections of the one before are closed. Requests in progress continue on theirs.
    pub(super) async fn get(&self, runtime: &Handle, settings: &Settings, plain: bool) -> Result<Client, Error> {
        let slot = if plain { &self.plain } else { &self.secure };
        // Plain `http` has no use for certificates, and works where there are none.
        let tls = if plain { None } else { Some(settings.tls.current(runtime).await?) };
        if let Some(pooled) = &*slot.lock().unwrap_or_else(PoisonError::into_inner)
            && pooled.owner == runtime.id()
            && pooled.tls.as_ref().map(Arc::as_ptr) == tls.as_ref().map(Arc::as_ptr)
        {
            return Ok(pooled.client.clone());
        }
        let connector = match &tls {
            None => Connector::plain(settings),
            Some(tls) => {
                // Reading the system's CA certificates takes tens of milliseconds, which is too long for a poll. Only
                // this fetch waits for it. If two fetches come here at once, both clients are usable.
                let (settings, tls) = (settings.clone(), Arc::clone(tls));
                let connector = runtime.spawn_blocking(move || Connector::secure(&settings, &tls)).await;
                connector.map_err(|_| shut_down())??
            }
        };
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .http1_title_case_headers(settings.title_case_headers)
            .http1_max_buf_size(HEAD_LIMIT)
            .build(connector);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Pooled { owner: runtime.id(), tls, client: client.clone() });
        Ok(client)
    }
}
