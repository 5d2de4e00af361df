//! What a hundred tenants of one authorization server cost over TLS, with the transport that all share by default, and
//! with those of a configuration.
//!
//! The default transport trusts the CAs of the environment, which cannot be changed in a process with threads. So some
//! tests run themselves again in another process, which trusts the server of the first.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bearer_token::{
    KeyedProviders, RequestHead, TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    transport::HttpTransport,
};
use bearer_token_config::{KeyedConfig, ProviderConfig};
use http::{Extensions, HeaderMap, Method, Response};
use http_body_util::{BodyExt, Full};
use tests::tls::{Ca, Clients, serve};
use tokio::{runtime::Builder, task::JoinSet};

const TENANTS: usize = 100;
const URL: &str = "BEARER_TOKEN_TEST_URL";

/// A token endpoint behind TLS, the PEM of its CA, and the number of its connections. It ends with the tasks.
async fn server() -> (String, String, Arc<AtomicUsize>, JoinSet<()>) {
    let ca = Ca::new("private");
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let connected = move || {
        count.fetch_add(1, SeqCst);
    };
    let (port, tasks) = serve(ca.acceptor(&ca.server("localhost"), Clients::Anybody), connected, async |request, _| {
        drop(request.into_body().collect().await);
        Response::new(Full::from(r#"{"access_token":"abc","token_type":"Bearer","expires_in":3600}"#))
    })
    .await;
    (format!("https://localhost:{port}/token"), ca.pem(), connections, tasks)
}

/// Runs the current test again, as a process that trusts a server of this one. Returns the number of connections.
fn in_a_child() -> usize {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (url, ca, connections, _tasks) = runtime.block_on(server());
    let directory = tempfile::tempdir().unwrap();
    // As many CAs as a usual system has, and the server's.
    let system = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    fs::write(directory.path().join("ca.pem"), system + &ca).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args([std::thread::current().name().unwrap(), "--exact", "--nocapture"])
        .env(URL, url)
        .env("SSL_CERT_FILE", directory.path().join("ca.pem"))
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && shown.contains("1 passed"), "{shown}{}", String::from_utf8_lossy(&child.stderr));
    connections.load(SeqCst)
}

/// The resident memory of this process in KiB, if the system tells it.
fn resident() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Fetches a token for each tenant. Returns the KiB that each of them added.
fn fetch_for_all(transport: impl Fn() -> Option<HttpTransport> + Send + Sync + 'static, url: String) -> usize {
    let tenants = KeyedProviders::builder(move |tenant: &usize| {
        let endpoint = TokenEndpoint::builder(url.clone(), ClientCredentials::new())
            .client_auth(ClientAuth::basic(format!("tenant-{tenant}"), "a secret of the test's own"));
        let endpoint = match transport() {
            Some(transport) => endpoint.transport(transport),
            None => endpoint,
        };
        Ok(TokenProvider::builder(endpoint.build()?))
    });
    let tenants = tenants.build().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // The first one makes the transport ready.
        assert!(tenants.warm_up([TENANTS], 1).await.is_empty());
        let before = resident().unwrap_or(0);
        assert!(tenants.warm_up(0..TENANTS, 1).await.is_empty());
        resident().unwrap_or(0).saturating_sub(before) / TENANTS
    })
}

#[test]
fn tenants_share_a_connection_and_the_cas() {
    let Ok(url) = std::env::var(URL) else { return assert_eq!(in_a_child(), 1, "connections") };
    let each = fetch_for_all(|| None, url);
    // Measured in a debug build: 6, and 135 with a transport for each tenant.
    assert!(each <= 24, "{each} KiB for each tenant");
}

#[test]
fn a_transport_of_its_own_has_its_own_connection() {
    let Ok(url) = std::env::var(URL) else { return assert_eq!(in_a_child(), 1 + TENANTS, "connections") };
    fetch_for_all(|| Some(HttpTransport::new()), url);
}

/// The connections that tenants of a configuration make, each with its first token. The CAs are those of the group that
/// the tenant is in.
async fn connections_of(settings: &str, groups: &[&str]) -> usize {
    let (url, ca, connections, _tasks) = server().await;
    let config = format!(
        "allow_origins = [\"https://api.example.com\"]\n[token_endpoint]\nurl = \"{url}\"\n\
         client = {{ id = {{ variable = \"tenant\" }}, secret = \"a secret of the test's own\" }}\n{settings}"
    );
    let config = KeyedConfig::new(ProviderConfig::from_toml(&config.replace("CA", &ca)).unwrap()).unwrap();
    let tenants = config.providers().build().unwrap();
    let (headers, extensions) = (HeaderMap::new(), Extensions::new());
    let head = RequestHead::new(&Method::GET, &headers, &extensions);
    for number in 0..TENANTS / 10 {
        let (tenant, ca) = (format!("tenant-{number}"), ca.clone() + groups[number % groups.len()]);
        let key = config.key(&head, [("tenant", tenant.as_str()), ("ca", ca.as_str())]).unwrap();
        tenants.get(&key).unwrap().token().await.unwrap();
    }
    connections.load(SeqCst)
}

#[tokio::test]
async fn tenants_with_equal_settings_of_tls_share_a_connection() {
    let all = "title_case_headers = true\ntls = { only_ca = \"\"\"CA\"\"\" }";
    let by_group = "tls = { only_ca = { variable = \"ca\" } }";
    for (settings, groups, expected) in [(all, &[""][..], 1), (by_group, &[""], 1), (by_group, &["", "\n", "\n\n"], 3)]
    {
        assert_eq!(connections_of(settings, groups).await, expected, "{settings} {groups:?}");
    }
}
