//! The authorization server's public handle.

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
    state::{PreciseClock, ServerState},
    test_key::TestKey,
};

/// An authorization server, and an API that it protects, on a loopback port of this process.
///
/// It runs on its own thread and runtime. It can be started and used inside or outside a runtime, and it keeps running
/// when the test's runtimes stop or pause their time. It speaks HTTP/1.1, and HTTP/2 with prior knowledge.
///
/// Clones are handles to the same server. It stops and closes its connections when the last handle is dropped.
///
/// The [crate's documentation](crate) has an example.
#[derive(Clone)]
pub struct AuthorizationServer(Arc<Handle>);

struct Handle {
    shared: Arc<ServerState>,
    address: SocketAddr,
    running: Mutex<Option<ServerThread>>,
}

struct ServerThread {
    commands: UnboundedSender<Command>,
    thread: JoinHandle<()>,
}

/// The settings of a server before it starts; made by [`AuthorizationServer::builder`].
#[must_use = "the server starts with `start`"]
pub struct AuthorizationServerBuilder {
    clock: Option<Arc<dyn Clock>>,
    port: u16,
}

impl AuthorizationServerBuilder {
    /// Sets the clock for issuing, verifying, the `Date` of responses, and delays of faults. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Sets the port, for a server that replaces another one. Default: a free port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts the server. It accepts connections when this returns.
    ///
    /// # Errors
    ///
    /// Fails if the port is in use, or if the system cannot provide a thread or random bytes.
    pub fn start(self) -> io::Result<AuthorizationServer> {
        let date_header = self.clock.is_none();
        let clock = self.clock.unwrap_or_else(|| Arc::new(PreciseClock));
        let key = TestKey::generate(Algorithm::ES256).map_err(io::Error::other)?;
        let port = self.port;
        let (commands, received) = unbounded_channel();
        let (started, result) = mpsc::channel();
        // The runtime is created and dropped on the thread: neither is allowed inside the caller's runtime.
        let work = move || {
            let (runtime, listener, address) = match listen(port) {
                Ok(listening) => listening,
                Err(error) => return drop(started.send(Err(error))),
            };
            let shared = Arc::new(ServerState::new(clock, format!("http://{address}"), key));
            let served = serve(listener, Arc::clone(&shared), date_header, received);
            if started.send(Ok((shared, address))).is_ok() {
                runtime.block_on(served);
            }
        };
        let thread = thread::Builder::new().name("authorization-server".to_owned()).spawn(work)?;
        let (shared, address) =
            result.recv().map_err(|_| io::Error::other("the server's thread ended before the server started"))??;
        let running = Mutex::new(Some(ServerThread { commands, thread }));
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
        // A test may open a thousand connections at once, and a connection that finds no room is retried after a
        // second.
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
    /// # Errors
    ///
    /// Fails if there is no free port, or if the system cannot provide a thread or random bytes.
    pub fn start() -> io::Result<Self> {
        AuthorizationServer::builder().start()
    }

    /// Creates a builder, for a server with other settings.
    pub fn builder() -> AuthorizationServerBuilder {
        AuthorizationServerBuilder { clock: None, port: 0 }
    }

    /// Stops the server and closes its connections. Its port is free when this returns. Further calls do nothing.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Closes every connection, including those in use, and still accepts new ones.
    ///
    /// When this returns they are closed on the server's side: the client's pool contains broken connections.
    pub fn close_connections(&self) {
        let (done, closed) = mpsc::channel();
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = &*running else { return };
        if running.commands.send(Command::CloseConnections(done)).is_ok() {
            // Nothing is ever sent: this ends when the sender is dropped.
            let _ = closed.recv();
        }
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The issuer: `http://127.0.0.1:PORT`, without a trailing slash.
    pub fn issuer(&self) -> String {
        self.0.shared.issuer.clone()
    }

    /// The URL of the token endpoint: `http://127.0.0.1:PORT/token`.
    pub fn token_url(&self) -> String {
        self.0.shared.token_url()
    }

    /// The URL of the protected API: `http://127.0.0.1:PORT/api`. It is the `aud` of the JWTs that the server issues.
    ///
    /// It accepts any method and any path below it. If the `Authorization` header has a valid bearer token, the
    /// response is 200 and a JSON object of `method`, `path`, `query`, `body`, `subject`, `client_id` and `scope`. The
    /// body is JSON if possible, else a string. Other requests get 401 and a challenge (RFC 6750 section 3).
    pub fn api_url(&self) -> String {
        format!("{}/api", self.0.shared.issuer)
    }

    /// Adds a client, or replaces the one with the same id. Tokens that were already issued stay valid.
    pub fn register(&self, client: Client) {
        self.0.shared.registry().clients.insert(client.id.clone(), Arc::new(client));
    }

    /// Trusts an issuer of assertions, or replaces the one with the same name, which rotates its key.
    pub fn trust(&self, issuer: Issuer) {
        self.0.shared.registry().issuers.insert(issuer.name.clone(), Arc::new(issuer));
    }

    /// Accepts this grant type as another name of the `jwt-bearer` grant, as some servers do.
    pub fn name_jwt_bearer(&self, grant_type: impl Into<String>) {
        self.0.shared.registry().jwt_bearer_names.push(grant_type.into());
    }

    /// Accepts token requests in other forms, too: in JSON, and in the query of a request without a body. A request
    /// without a grant type counts as `client_credentials`.
    pub fn accept_other_requests(&self) {
        self.0.shared.registry().accepts_other_requests = true;
    }

    /// This server as an issuer of assertions, for another server that trusts it: it issues them by token exchange with
    /// the requested type `urn:ietf:params:oauth:token-type:id-jag`.
    pub fn as_issuer(&self) -> Issuer {
        Issuer::new(self.issuer(), self.0.shared.registry().issued.verifying_key())
    }

    /// Sets the tokens to issue from now on. Tokens that were already issued stay valid.
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

    /// Makes the API refuse tokens that were not requested with exactly these `claims`, a JSON object (OpenID Connect
    /// Core section 5.5).
    ///
    /// Its challenge contains them as Entra's does: `error="insufficient_claims"`, and `claims` in base64.
    pub fn demand_claims(&self, claims: impl Into<String>) {
        self.0.shared.registry().demanded_claims = Some(claims.into());
    }

    /// Sets the handling of refresh tokens from now on.
    pub fn refresh_tokens(&self, refresh_tokens: RefreshTokens) {
        self.0.shared.registry().refresh.settings = refresh_tokens;
    }

    /// Records a person's consent, and returns its refresh token.
    ///
    /// # Errors
    ///
    /// Fails if the system cannot provide random bytes.
    pub fn consent(&self, consent: Consent) -> Result<String, Error> {
        let token = random()?;
        let shared = &self.0.shared;
        shared.registry().refresh.consent(consent, token.clone(), shared.now());
        shared.counts.update(|counts| counts.refresh_tokens_issued += 1);
        Ok(token)
    }

    /// Ends every consent, which revokes all refresh tokens. Access tokens stay valid.
    pub fn end_consents(&self) {
        self.0.shared.registry().refresh.revoke_all();
    }

    /// The behaviour of the token endpoint.
    pub fn token_endpoint(&self) -> &Behaviour {
        &self.0.shared.token_endpoint
    }

    /// The behaviour of the API.
    pub fn api(&self) -> &Behaviour {
        &self.0.shared.api
    }

    /// The current counts, consistent with each other.
    pub fn count(&self) -> Counts {
        self.0.shared.counts.get()
    }

    /// Waits until the counts satisfy the condition, and returns them.
    ///
    /// There is no deadline: add one where the test could hang. Works inside and outside a runtime.
    pub async fn wait_for(&self, reached: impl FnMut(&Counts) -> bool + Send) -> Counts {
        self.0.shared.counts.wait_for(reached).await
    }

    /// Waits until this many token requests have arrived; see [`wait_for`](Self::wait_for).
    pub async fn wait_for_token_requests(&self, count: u64) {
        self.wait_for(|counts| counts.token_requests >= count).await;
    }

    /// The requests to the token endpoint and the API, oldest first: the latest 100,000 within 64 MiB.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.0.shared.log().to_vec()
    }

    /// Forgets the recorded requests, but not the counts.
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
        let Some(ServerThread { commands, thread }) = running else { return };
        drop(commands);
        // The test's clock could hold the last handle, and be dropped by the server's thread.
        if thread.thread().id() != thread::current().id() {
            // The thread holds nothing that a panic could have left inconsistent.
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}
