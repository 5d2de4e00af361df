//! One connection to an engine for each tokio runtime, which all calls share.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    sync::watch,
    time::{Instant, timeout_at},
};

/// After this time without a response, a connection is asked whether it still works. It is shorter than the idle
/// timeouts of usual load balancers and NAT gateways, which drop a connection without a word.
const IDLE: Duration = Duration::from_secs(30);
/// A connection that does not answer within this time gets a rival. A call has 95 ms for that and for its own work.
const PATIENCE: Duration = Duration::from_millis(25);
/// A connection whose rival has failed is given up after this time, which is part of the 95 ms of a call.
const LAST_CHANCE: Duration = Duration::from_millis(80);
/// The most runtimes that have a connection each. The one whose connection is the oldest loses it. Some servers
/// have a runtime for each processor, and a runtime that has ended keeps its place until others need it.
const MOST_RUNTIMES: usize = 64;

/// Opens connections to an engine, for [`Connections`].
pub trait Connector: Send + Sync + 'static {
    /// The handle of a connection, which several calls use at a time. Its clones are the same connection.
    type Connection: Clone + Send + Sync + 'static;
    /// Why no connection was made. It goes to every call that waited for it.
    type Error: Clone + Send + Sync + 'static;

    /// Makes a connection. It has to end by itself, because it goes on after its caller has given up.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;

    /// Whether the engine answers on this connection, which has been idle for a while. It may wait for ever.
    fn answers(&self, connection: &Self::Connection) -> impl Future<Output = bool> + Send;
}

/// The connections of a store: one for each tokio runtime of the process, for 64 of them at most.
///
/// A connection is made at the first call, and again after it broke. An attempt that takes longer than a call goes on
/// for the next one, which makes another if it has failed by then. A connection that was idle for 30 s is asked first
/// whether it still works: a load balancer may have dropped it silently. If it says nothing for 25 ms, another one is
/// made, and the first of them to work is used. If none can be made, the old one has 80 ms in all.
///
/// A store that implements [`SharedStore`](super::SharedStore) can use it; those for Redis and PostgreSQL do:
///
/// ```
/// use std::{io, net::SocketAddr, sync::Arc};
/// use bearer_token::store::{Connections, Connector, NotConnected};
///
/// struct Engine(SocketAddr);
/// # #[derive(Clone)] struct Client;
/// # impl Client {
/// #     async fn connect(_: SocketAddr) -> io::Result<Client> { Ok(Client) }
/// #     async fn ping(&self) -> io::Result<()> { Ok(()) }
/// #     async fn get(&self, _: &str) -> io::Result<Vec<u8>> { Ok(Vec::new()) }
/// # }
///
/// impl Connector for Engine {
///     type Connection = Client;
///     type Error = Arc<io::Error>;
///
///     async fn connect(&self) -> Result<Client, Arc<io::Error>> {
///         Ok(Client::connect(self.0).await?)
///     }
///
///     async fn answers(&self, client: &Client) -> bool {
///         client.ping().await.is_ok()
///     }
/// }
///
/// async fn read(connections: &Connections<Engine>) -> Result<Vec<u8>, NotConnected<Arc<io::Error>>> {
///     let in_use = connections.get().await?;
///     // If this future is dropped here, or fails, the connection is replaced.
///     let record = in_use.connection().get("record").await.map_err(|error| NotConnected::Failed(error.into()))?;
///     in_use.answered();
///     Ok(record)
/// }
/// # let _ = read(&Connections::new(Engine(([127, 0, 0, 1], 1).into())));
/// ```
pub struct Connections<K: Connector> {
    connector: Arc<K>,
    state: Mutex<State<K>>,
}

struct State<K: Connector> {
    /// A socket is driven by the runtime that made it. Another one may go on while that one is not driven.
    /// The oldest connection is the first.
    runtimes: Vec<OfRuntime<K>>,
    /// The number of the last attempt.
    last: u64,
}

struct OfRuntime<K: Connector> {
    runtime: Id,
    number: u64,
    outcome: Outcome<K>,
    /// When the engine answered last, or the attempt began.
    answered: Instant,
}

type Outcome<K> = watch::Receiver<Option<Made<K>>>;
type Made<K> = Result<<K as Connector>::Connection, <K as Connector>::Error>;

/// Why a call has no connection.
#[derive(Clone, Debug)]
pub enum NotConnected<E> {
    /// The call is not polled by a tokio runtime, or by one that is shutting down.
    NoRuntime,
    /// The engine could not be reached.
    Failed(E),
}

impl<K: Connector> Connections<K> {
    /// Creates it without any connection.
    pub fn new(connector: K) -> Self {
        Connections { connector: Arc::new(connector), state: Mutex::new(State { runtimes: Vec::new(), last: 0 }) }
    }

    /// The connection of this runtime, once there is one.
    ///
    /// # Errors
    ///
    /// Fails if no connection can be made, and outside of a tokio runtime.
    pub async fn get(&self) -> Result<InUse<'_, K>, NotConnected<K::Error>> {
        let runtime = Handle::try_current().map_err(|_| NotConnected::NoRuntime)?;
        let (number, mut outcome) = self.attempt(&runtime);
        let made = match outcome.wait_for(Option::is_some).await {
            Ok(made) => made.clone(),
            Err(_) => None,
        };
        match made {
            Some(Ok(connection)) => Ok(InUse { connections: self, number, connection, has_answered: false }),
            Some(Err(error)) => {
                self.forget(number);
                Err(NotConnected::Failed(error))
            }
            // Its task has ended without a result.
            None => {
                self.forget(number);
                Err(NotConnected::NoRuntime)
            }
        }
    }

    /// The attempt of this runtime that calls wait for. It is made if there is none, if the last one failed, or if the
    /// connection was idle.
    fn attempt(&self, runtime: &Handle) -> (u64, Outcome<K>) {
        let mut state = self.lock();
        let found = state.runtimes.iter().position(|of| of.runtime == runtime.id());
        let mut idle = None;
        if let Some(index) = found {
            let of = &state.runtimes[index];
            let made = of.outcome.borrow().clone();
            match made {
                Some(Ok(connection)) if of.answered.elapsed() >= IDLE => idle = Some(connection),
                // It failed after its callers had given up, maybe long ago. A caller that still waits has its outcome.
                Some(Err(_)) => {}
                _ => return (of.number, of.outcome.clone()),
            }
            state.runtimes.remove(index);
        }
        let (result, outcome) = watch::channel(None);
        let connector = Arc::clone(&self.connector);
        // It may take longer than one call, and no call may follow for seconds. The attempt ends by itself.
        drop(runtime.spawn(async move {
            let made = match idle {
                Some(connection) => revive(&*connector, connection).await,
                None => connector.connect().await,
            };
            result.send_replace(Some(made));
        }));
        state.last += 1;
        let number = state.last;
        let surplus = (state.runtimes.len() + 1).saturating_sub(MOST_RUNTIMES);
        state.runtimes.drain(..surplus);
        #[allow(clippy::disallowed_methods, reason = "how long a connection of tokio was idle")]
        let answered = Instant::now();
        state.runtimes.push(OfRuntime { runtime: runtime.id(), number, outcome: outcome.clone(), answered });
        (number, outcome)
    }

    /// Makes a new connection at the next call, unless that has happened already.
    fn forget(&self, number: u64) {
        self.lock().runtimes.retain(|of| of.number != number);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks a connection that was idle, and makes another one if it is silent. The first one that works is returned.
#[allow(clippy::disallowed_methods, reason = "the connections are tokio's as well")]
async fn revive<K: Connector>(connector: &K, idle: K::Connection) -> Made<K> {
    let last_chance = Instant::now() + LAST_CHANCE;
    let mut asked = pin!(connector.answers(&idle));
    let first = tokio::time::timeout(PATIENCE, asked.as_mut()).await;
    let mut is_silent = match first {
        Ok(true) => return Ok(idle.clone()),
        Ok(false) => false,
        Err(_) => true,
    };
    let mut rival = pin!(connector.connect());
    let made = poll_fn(|cx| {
        if is_silent && let Poll::Ready(answers) = asked.as_mut().poll(cx) {
            is_silent = false;
            if answers {
                return Poll::Ready(Ok(idle.clone()));
            }
        }
        rival.as_mut().poll(cx)
    })
    .await;
    match made {
        Err(_) if is_silent && matches!(timeout_at(last_chance, asked).await, Ok(true)) => Ok(idle.clone()),
        made => made,
    }
}

/// A connection while a call uses it. Unless the call says that it [was answered](Self::answered), the connection is
/// replaced for the next call.
pub struct InUse<'a, K: Connector> {
    connections: &'a Connections<K>,
    number: u64,
    connection: K::Connection,
    has_answered: bool,
}

impl<K: Connector> InUse<'_, K> {
    /// The connection.
    pub fn connection(&self) -> &K::Connection {
        &self.connection
    }

    /// Notes that the engine has answered, so the connection works.
    pub fn answered(mut self) {
        self.has_answered = true;
        let mut state = self.connections.lock();
        if let Some(of) = state.runtimes.iter_mut().find(|of| of.number == self.number) {
            #[allow(clippy::disallowed_methods, reason = "how long a connection of tokio was idle")]
            let now = Instant::now();
            of.answered = now;
        }
    }
}

impl<K: Connector> Drop for InUse<'_, K> {
    fn drop(&mut self) {
        if !self.has_answered {
            self.connections.forget(self.number);
        }
    }
}

impl<K: Connector> fmt::Debug for InUse<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InUse").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<K: Connector> fmt::Debug for Connections<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("runtimes", &self.lock().runtimes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests;
