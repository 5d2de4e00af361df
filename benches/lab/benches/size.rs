//! How much a program grows: crates, build time, bytes.
//!
//! Each program is built from scratch, which takes minutes. Name some of them to build only those.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use lab::report::Report;
use nix::sys::resource::{UsageWho, getrusage};

/// A program: its dependencies, and the shortest code that uses them.
struct Program {
    name: &'static str,
    dependencies: &'static [&'static str],
    body: &'static str,
}

const PROGRAMS: [Program; 12] = [
    Program { name: "tokio alone", dependencies: &[], body: "" },
    Program {
        name: "reqwest with rustls",
        dependencies: &["reqwest = { version = '0.13', default-features = false, features = ['rustls'] }"],
        body: "let client = reqwest::Client::new(); drop(client.get(url).send().await);",
    },
    Program {
        name: "bearer-token, no features",
        dependencies: &["bearer-token = { path = 'CORE', default-features = false }"],
        body: "let provider = bearer_token::TokenProvider::builder(bearer_token::StaticToken::new(url)).build().unwrap();
               drop(provider.token().await);",
    },
    Program {
        name: "bearer-token with `jwt`",
        dependencies: &["bearer-token = { path = 'CORE', default-features = false, features = ['jwt'] }"],
        body: "use bearer_token::jwt::*;
               let key = SigningKey::from_pem(Algorithm::ES256, &url).unwrap();
               let source = SelfSigned::new(JwtTemplate::builder(key).build().unwrap());
               drop(bearer_token::TokenProvider::builder(source).build().unwrap().token().await);",
    },
    Program {
        name: "bearer-token, tower-bearer",
        dependencies: &[
            "bearer-token = { path = 'CORE' }",
            "tower-bearer = { path = 'TOWER' }",
            "tower = '0.5'",
        ],
        body: "PROVIDER
               drop(tower::Layer::layer(&tower_bearer::BearerLayer::new(provider.clone()), ()));
               drop(provider.token().await);",
    },
    Program {
        name: "bearer-token, reqwest-bearer",
        dependencies: &[
            "bearer-token = { path = 'CORE' }",
            "reqwest-bearer = { path = 'REQWEST' }",
            "reqwest = { version = '0.13', default-features = false, features = ['rustls'] }",
        ],
        body: "PROVIDER
               let client = reqwest_bearer::reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
                   .with(reqwest_bearer::BearerMiddleware::new(provider)).build();
               drop(client.get(url).send().await);",
    },
    Program {
        name: "aliri_tokens",
        dependencies: &[
            "aliri = { version = '0.6', default-features = false }",
            "aliri_clock = '0.1'",
            "aliri_tokens = '0.3'",
            "reqwest = { version = '0.12', default-features = false, features = ['rustls-tls'] }",
        ],
        body: "use aliri_tokens::{*, sources::oauth2::*};
               let credentials = dto::ClientCredentialsWithAudience {
                   credentials: dto::ClientCredentials {
                       client_id: ClientId::from_static(\"a\"), client_secret: ClientSecret::from_static(\"b\"),
                   }.into(),
                   audience: aliri::jwt::Audience::from_static(\"c\"),
               };
               let source = ClientCredentialsTokenSource::new(
                   reqwest::Client::new(), url.parse().unwrap(), credentials, TokenLifetimeConfig::default());
               drop(TokenWatcher::spawn_from_token_source(
                   source, jitter::RandomEarlyJitter::new(aliri_clock::DurationSecs(1)),
                   backoff::ErrorBackoffConfig::default()).await);",
    },
    Program {
        name: "google-cloud-auth",
        dependencies: &["google-cloud-auth = '1.18'", "http = '1'", "serde_json = '1'"],
        body: "let user: serde_json::Value = serde_json::from_str(&url).unwrap();
               let credentials = google_cloud_auth::credentials::user_account::Builder::new(user).build().unwrap();
               drop(credentials.headers(http::Extensions::new()).await);",
    },
    Program {
        name: "yup-oauth2",
        dependencies: &["yup-oauth2 = '12'", "serde_json = '1'"],
        body: "let key = serde_json::from_str(&url).unwrap();
               let authenticator = yup_oauth2::ServiceAccountAuthenticator::builder(key).build().await.unwrap();
               drop(authenticator.token(&[\"a\"]).await);",
    },
    Program {
        name: "gcp_auth",
        dependencies: &["gcp_auth = '0.12'"],
        body: "use gcp_auth::TokenProvider;
               drop(gcp_auth::CustomServiceAccount::from_json(&url).unwrap().token(&[\"a\"]).await);",
    },
    Program {
        name: "huskarl, huskarl-reqwest",
        dependencies: &["huskarl = '0.11'", "huskarl-reqwest = { version = '0.9', features = ['rustls-tls'] }"],
        body: "use huskarl::{authorizer::*, cache::*, core::{client_auth::*, secrets::*}, grant::client_credentials::*};
               let grant = ClientCredentialsGrant::builder().client_id(\"a\")
                   .client_auth(ClientSecret::new(ProvidedSecret::new(SecretString::new(\"b\"))))
                   .token_endpoint(url.parse().unwrap())
                   .http_client(huskarl_reqwest::ReqwestClient::builder().build().await.unwrap()).build();
               let source = GrantTokenSource::builder().grant(grant)
                   .grant_parameters(ClientCredentialsGrantParameters::builder().build())
                   .refresh_store(InMemoryRefreshTokenStore::default()).build();
               let authorizer = HttpAuthorizer::builder().cache(InMemoryTokenCache::builder().source(source).build()).build();
               drop(authorizer.cache().token().await);",
    },
    Program {
        name: "cf-gears-toolkit-auth",
        dependencies: &["cf-gears-toolkit-auth = '0.8'"],
        body: "let provider = toolkit_auth::TokenProvider::new(toolkit_auth::OAuthClientConfig {
                   token_endpoint: Some(url.parse().unwrap()), client_id: \"a\".into(),
                   client_secret: toolkit_auth::SecretString::new(\"b\"), ..Default::default() }).unwrap();
               drop(provider.get().await);",
    },
];

const PROVIDER: &str = "use bearer_token::oauth::*;
               let source = TokenEndpoint::builder(url.clone(), ClientCredentials::new())
                   .client_auth(ClientAuth::basic(\"a\", \"b\")).build().unwrap();
               let provider = bearer_token::TokenProvider::builder(source).build().unwrap();";

fn main() -> ExitCode {
    let asked: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let work = env::temp_dir().join(format!("bearer-token-size-{}", std::process::id()));
    if let Some(unknown) = asked.iter().find(|asked| PROGRAMS.iter().all(|program| program.name != **asked)) {
        let known: Vec<_> = PROGRAMS.iter().map(|program| program.name).collect();
        eprintln!("found the program {unknown:?}; expected some of: {}", known.join("; "));
        return ExitCode::FAILURE;
    }
    // Only a complete table is kept for the document.
    let mut report = Report::new(if asked.is_empty() { "size" } else { "size-in-part" });
    let mut rows = Vec::new();
    let mut alone = None;
    for program in PROGRAMS.iter().filter(|program| asked.is_empty() || asked.iter().any(|name| name == program.name)) {
        eprintln!("building: {}", program.name);
        match measure(program, &work) {
            Ok(Size { crates, seconds, bytes }) => {
                let base = *alone.get_or_insert(bytes);
                rows.push(vec![
                    program.name.to_owned(),
                    crates.to_string(),
                    format!("{seconds:.0}"),
                    format!("{:.2}", bytes as f64 / 1e6),
                    format!("{:+.2}", (bytes as f64 - base as f64) / 1e6),
                ]);
            }
            Err(problem) => {
                report.bar("size-builds", &format!("the program with {} builds", program.name), "yes", "no", false);
                eprintln!("{problem}");
            }
        }
        let _ = fs::remove_dir_all(&work);
    }
    report.text(
        "The least program with each, built with `--release` from nothing: crates (`cargo tree -e normal`, this target, \
         without the program itself), CPU seconds of the whole build, megabytes of the stripped program, and how much that \
         is more than the first row's.",
    );
    report.table(&["program", "crates", "CPU s", "MB", "more"], rows);
    report.finish()
}

struct Size {
    crates: usize,
    seconds: f64,
    bytes: u64,
}

fn measure(program: &Program, work: &Path) -> Result<Size, String> {
    let lab = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let own = |name: &str| lab.join("../../crates").join(name).display().to_string();
    let dependencies = program
        .dependencies
        .join("\n")
        .replace("'CORE'", &format!("'{}'", own("bearer-token")))
        .replace("'TOWER'", &format!("'{}'", own("tower-bearer")))
        .replace("'REQWEST'", &format!("'{}'", own("reqwest-bearer")));
    let manifest = format!(
        "[package]\nname = 'program'\nversion = '0.1.0'\nedition = '2024'\n[workspace]\n[profile.release]\nstrip = true\n\
         [dependencies]\ntokio = {{ version = '1', features = ['macros', 'rt-multi-thread'] }}\n{dependencies}\n"
    );
    let main = format!(
        "#[tokio::main]\nasync fn main() {{\nlet url = std::env::args().nth(1).unwrap_or_default();\n{}\n}}\n",
        if program.body.is_empty() { "drop(url);" } else { program.body }.replace("PROVIDER", PROVIDER),
    );
    let write = |path: &str, text: &str| fs::write(work.join(path), text).map_err(|error| format!("{path}: {error}"));
    fs::create_dir_all(work.join("src")).map_err(|error| error.to_string())?;
    write("Cargo.toml", &manifest)?;
    write("src/main.rs", &main)?;
    // The same versions as the rest of the lab.
    fs::copy(lab.join("Cargo.lock"), work.join("Cargo.lock")).map_err(|error| error.to_string())?;

    let tree = cargo(work, &["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])?;
    let mut crates: Vec<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    crates.sort_unstable();
    crates.dedup();

    let before = cpu_seconds()?;
    cargo(work, &["build", "--offline", "--release", "--quiet"])?;
    let seconds = cpu_seconds()? - before;
    let binary = work.join("target/release/program");
    let bytes = fs::metadata(binary).map_err(|error| error.to_string())?.len();
    Ok(Size { crates: crates.len() - 1, seconds, bytes })
}

fn cargo(work: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .current_dir(work)
        .env("CARGO_TARGET_DIR", work.join("target"))
        .env("CARGO_INCREMENTAL", "0")
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The processor time of all child processes that have ended. It does not depend on other load.
fn cpu_seconds() -> Result<f64, String> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| error.to_string())?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}
