//! The authorization server, as tests hold it.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use bearer_token::{Error, platform::Clock};
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::{self, Runtime},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};

use crate::{
    behaviour::Behaviour,
    http_server::{Command, serve},
    issue::{Tokens, random},
    key::Algorithm,
    record::{Counts, RecordedRequest},
    refresh::{Consent, RefreshTokens},
    registration::{Client, Issuer},
    state::{PreciseClock, Shared},
    test_key::TestKey,
};

/// An authorization server, and an API that it protects, on a loopback port of this process.
///
/// It runs on a thread and a runtime of its own. So it can be started and used from anywhere, inside a runtime or not,
/// it goes on whatever happens to the test's own runtimes, and tests that pause tokio's time do not stop it. It speaks
/// HTTP/1.1, and HTTP/2 to those who begin with it ("prior knowledge").
///
/// Clones are handles on the same server. When the last one is dropped it stops and closes its connections.
///
/// The crate's documentation has an example.
#[derive(Clone)]
pub struct AuthorizationServer(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    address: SocketAddr,
    running: Mutex<Option<Running>>,
}

struct Running {
    commands: UnboundedSender<Command>,
    thread: JoinHandle<()>,
}

/// What can only be said before the server starts; made by [`AuthorizationServer::builder`].
#[must_use = "the server starts with `start`"]
pub struct AuthorizationServerBuilder {
    clock: Option<Arc<dyn Clock>>,
    port: u16,
}

impl AuthorizationServerBuilder {
    /// The clock by which it issues and verifies, which the `Date` of its answers tells, and by which faults are delayed.
    /// Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// The port, for a server that comes back where another one was. Default: a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts the server. It accepts connections when this returns.
    ///
    /// Fails if the port cannot be had, or the system gives no thread or no randomness.
    pub fn start(self) -> io::Result<AuthorizationServer> {
        let date_header = self.clock.is_none();
        let clock = self.clock.unwrap_or_else(|| Arc::new(PreciseClock));
        let key = TestKey::generate(Algorithm::ES256).map_err(io::Error::other)?;
        let port = self.port;
        let (commands, received) = unbounded_channel();
        let (started, result) = mpsc::channel();
        // The runtime is made, and dropped, on the thread: the caller may be in one, where neither is allowed.
        let work = move || {
            let (runtime, listener, address) = match listen(port) {
                Ok(listening) => listening,
                Err(error) => return drop(started.send(Err(error))),
            };
            let shared = Arc::new(Shared::new(clock, format!("http://{address}"), key));
            let served = serve(listener, Arc::clone(&shared), date_header, received);
            if started.send(Ok((shared, address))).is_ok() {
                runtime.block_on(served);
            }
        };
        let thread = thread::Builder::new().name("authorization-server".to_owned()).spawn(work)?;
        let (shared, address) =
            result.recv().map_err(|_| io::Error::other("the server's thread ended before it had started"))??;
        let running = Mutex::new(Some(Running { commands, thread }));
        Ok(AuthorizationServer(Arc::new(Handle { shared, address, running })))
    }
}

fn listen(port: u16) -> io::Result<(Runtime, TcpListener, SocketAddr)> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(cfg!(unix))?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        // A test may well open a thousand connections at once, and one that finds no room is retried a second later.
        socket.listen(4096)?
    };
    let address = listener.local_addr()?;
    Ok((runtime, listener, address))
}

impl fmt::Debug for AuthorizationServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationServerBuilder").field("port", &self.port).finish_non_exhaustive()
    }
}

impl AuthorizationServer {
    /// Starts a server on a free port, with the system's clock.
    ///
    /// Fails if there is no free port, or the system gives no thread or no randomness.
    pub fn start() -> io::Result<Self> {
        AuthorizationServer::builder().start()
    }

    /// A server that is to be started with settings of its own.
    pub fn builder() -> AuthorizationServerBuilder {
        AuthorizationServerBuilder { clock: None, port: 0 }
    }

    /// Stops the server and closes its connections; when this returns, its port is free. Further calls do nothing.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Closes every connection, also those that are in use; when this returns, they are closed on the server's side.
    /// New ones are accepted. So a client's pool is left with connections that do not work any more.
    pub fn close_connections(&self) {
        let (done, closed) = mpsc::channel();
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = &*running else { return };
        if running.commands.send(Command::CloseConnections(done)).is_ok() {
            // Nothing is ever sent: it ends when the other side has let go.
            let _ = closed.recv();
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The issuer: `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn issuer(&self) -> String {
        self.0.shared.issuer.clone()
    }

    /// The URL of the token endpoint: `http://127.0.0.1:PORT/token`.
    pub fn token_url(&self) -> String {
        self.0.shared.token_url()
    }

    /// The URL of the protected API: `http://127.0.0.1:PORT/api`. It is the `aud` of the JWTs that the server issues.
    ///
    /// Any path below it answers as well, to any method: with 200 and a JSON object of `method`, `path`, `query`,
    /// `body` (as JSON if it is, else as text), `subject`, `client_id` and `scope`, if the request has a good bearer
    /// token in its `Authorization` header; else with 401 and a challenge (RFC 6750 section 3).
    pub fn api_url(&self) -> String {
        format!("{}/api", self.0.shared.issuer)
    }

    /// Adds a client, or replaces the one of the same id. Tokens that were issued already stay good.
    pub fn register(&self, client: Client) {
        self.0.shared.registry().clients.insert(client.id.clone(), Arc::new(client));
    }

    /// Trusts an issuer of assertions, or replaces the one of the same name: so its key is rotated.
    pub fn trust(&self, issuer: Issuer) {
        self.0.shared.registry().issuers.insert(issuer.name.clone(), Arc::new(issuer));
    }

    /// Takes this grant type as another name of the `jwt-bearer` grant, as some servers have one.
    pub fn name_jwt_bearer(&self, grant_type: impl Into<String>) {
        self.0.shared.registry().jwt_bearer_names.push(grant_type.into());
    }

    /// What tokens it issues from now on. Those that were issued already stay good.
    pub fn issue(&self, tokens: Tokens) {
        self.0.shared.registry().tokens = tokens;
    }

    /// Revokes one token: the API refuses it from now on.
    pub fn revoke(&self, token: impl AsRef<str>) {
        self.0.shared.registry().issued.revoke(token.as_ref());
    }

    /// Revokes every token that was issued so far, and every self-signed one that the API has accepted so far.
    pub fn revoke_all(&self) {
        self.0.shared.registry().issued.revoke_all();
    }

    /// From now on the API refuses tokens that were not asked for with just these `claims` (OpenID Connect Core section
    /// 5.5), a JSON object. Its challenge says them as Entra does: `error="insufficient_claims"`, and `claims` in base64.
    pub fn demand_claims(&self, claims: impl Into<String>) {
        self.0.shared.registry().demanded_claims = Some(claims.into());
    }

    /// How it treats refresh tokens from now on.
    pub fn refresh_tokens(&self, refresh_tokens: RefreshTokens) {
        self.0.shared.registry().refresh.settings = refresh_tokens;
    }

    /// Somebody consents: gives the refresh token that comes of it.
    ///
    /// Fails if the system gives no randomness.
    pub fn consent(&self, consent: Consent) -> Result<String, Error> {
        let token = random()?;
        let shared = &self.0.shared;
        shared.registry().refresh.consent(consent, token.clone(), shared.now());
        shared.counts.update(|counts| counts.refresh_tokens_issued += 1);
        Ok(token)
    }

    /// Ends every consent: no refresh token that was issued so far is good any more. Access tokens stay good.
    pub fn end_consents(&self) {
        self.0.shared.registry().refresh.revoke_all();
    }

    /// How the token endpoint behaves.
    pub fn token_endpoint(&self) -> &Behaviour {
        &self.0.shared.token_endpoint
    }

    /// How the API behaves.
    pub fn api(&self) -> &Behaviour {
        &self.0.shared.api
    }

    /// The counts, all of the same moment.
    pub fn count(&self) -> Counts {
        self.0.shared.counts.get()
    }

    /// Completes when the counts are as wanted, and gives them.
    ///
    /// It has no deadline: give it one where the test could hang. Works inside any runtime, and outside.
    pub async fn wait_for(&self, reached: impl FnMut(&Counts) -> bool + Send) -> Counts {
        self.0.shared.counts.wait_for(reached).await
    }

    /// Completes when so many token requests have arrived; see [`wait_for`](Self::wait_for).
    pub async fn wait_for_token_requests(&self, count: u64) {
        self.wait_for(|counts| counts.token_requests >= count).await;
    }

    /// The requests to the token endpoint and the API, the oldest first: the latest 100,000, as far as they fit into
    /// 64 MiB.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.0.shared.log().to_vec()
    }

    /// Forgets the requests that were recorded so far. The counts stay.
    pub fn forget_requests(&self) {
        self.0.shared.log().clear();
    }
}

impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationServer")
            .field("issuer", &self.0.shared.issuer)
            .field("counts", &self.count())
            .finish_non_exhaustive()
    }
}

impl Handle {
    fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { commands, thread }) = running else { return };
        drop(commands);
        // A clock of the test's own could hold the last handle, and be dropped by the server's thread.
        if thread.thread().id() != thread::current().id() {
            // It holds nothing that a panic could have broken.
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}
