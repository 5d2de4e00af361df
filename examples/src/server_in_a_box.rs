//! An authorization server, and an API that it protects, for the configurations in `examples/config`.

use std::{ffi::OsString, future::Future, io::Write, process::ExitCode, time::Duration};

use bearer_token::platform::Platform;
use bearer_token_testing::{Algorithm, AssertionRules, AuthorizationServer, Client, Counts, Issuer, VerifyingKey};

/// The port that `examples/config/box.toml` names.
pub const PORT: u16 = 8085;

/// The secret of the clients of the recipes.
const SECRET: &str = "a secret for loopback";

const USAGE: &str = "\
Runs an authorization server, and an API that it protects, for the configurations in examples/config.

usage: cargo run --example box -- [--port PORT] [--for SECONDS]

  --port PORT     the port on 127.0.0.1; 8085, which box.toml names, if left out
  --for SECONDS   ends by itself after this time, instead of with Ctrl-C
  -h, --help      shows this
";

/// Does what the arguments say, until `stop` completes. Gives the exit status: 0, or 1 when the server cannot be
/// started, or 2 when the arguments make no sense.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    stop: impl Future<Output = ()>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> ExitCode {
    // If writing fails, the reader has closed the pipe, and nothing can be reported.
    let (port, time) = match parse(arguments) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            let _ = write!(out, "{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            let _ = write!(err, "{problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let server = match start(port) {
        Ok(server) => server,
        Err(error) => {
            let _ = writeln!(err, "the server cannot be started on port {port}, try --port: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let platform = Platform::system();
    let time_is_up = async {
        match time {
            Some(time) => platform.sleep_until(platform.now().after(time).monotonic()).await,
            None => std::future::pending().await,
        }
    };
    let over = async {
        tokio::select! {
            () = stop => {}
            () = time_is_up => {}
        }
    };
    serve(&server, over, out).await;
    ExitCode::SUCCESS
}

/// Prints what to try with the server, and its counts, until `over` completes.
pub async fn serve(server: &AuthorizationServer, over: impl Future<Output = ()>, out: &mut impl Write) {
    if introduce(server, out).is_ok() {
        tokio::select! {
            // First, so that the last line is not lost.
            biased;
            () = report(server, out) => {}
            () = over => {}
        }
    }
}

/// Starts the server, which knows the clients and issuers of `examples/config`. Port 0 is any free port.
///
/// # Errors
///
/// Fails if the port cannot be had.
pub fn start(port: u16) -> anyhow::Result<AuthorizationServer> {
    let rsa = VerifyingKey::from_public_pem(Algorithm::RS256, include_str!("../config/keys/rsa.pub.pem"))?;
    let p256 = VerifyingKey::from_public_pem(Algorithm::ES256, include_str!("../config/keys/p256.pub.pem"))?;
    let secret = include_str!("../config/keys/client-secret.txt").trim_end();

    let server = AuthorizationServer::builder().port(port).start()?;
    // The samples that point to example.com work here as well, when their `url` and `allow_origins` are changed.
    let audiences = AssertionRules::new().audience(server.token_url()).audience("https://as.example.com/token");
    server.trust(Issuer::new("integration@example.com", rsa).rules(audiences));
    server.trust(Issuer::new("reports@example.com", p256.clone()).self_signed_audience("https://api.example.com/"));
    server.register(Client::secret("billing", secret).scopes(["read", "write"]));
    // The clients of the guide's recipes; one of them is a tenant.
    for id in ["reporting", "acme"] {
        server.register(Client::secret(id, SECRET).scopes(["orders:read"]));
    }
    server.register(Client::private_key_jwt("ledger", p256));
    Ok(server)
}

fn introduce(server: &AuthorizationServer, out: &mut impl Write) -> std::io::Result<()> {
    let issuer = server.issuer();
    writeln!(out, "An authorization server, and an API that it protects, run at {issuer}.")?;
    if server.address().port() != PORT {
        writeln!(out, "In examples/config/box.toml, change {PORT} to {} first.", server.address().port())?;
    }
    writeln!(out, "Try in another terminal:\n")?;
    writeln!(out, "  cargo run -p bearer-token-cli -- check --config examples/config/box.toml")?;
    writeln!(
        out,
        "  cargo run -p bearer-token-cli -- check --config examples/config/box.toml {}/orders\n",
        server.api_url()
    )?;
    writeln!(out, "In a program of your own, such as a recipe of the guide:\n")?;
    writeln!(out, "  token endpoint  {}", server.token_url())?;
    writeln!(out, "  client          id `reporting`, or `acme` for a tenant; secret `{SECRET}`; scope `orders:read`")?;
    writeln!(out, "  allowed origin  {issuer}")?;
    writeln!(out, "  API             {}/orders, or any other path below {}\n", server.api_url(), server.api_url())?;
    out.flush()
}

/// Prints a line for each change of the counts. Ends when the reader closes the pipe.
async fn report(server: &AuthorizationServer, out: &mut impl Write) {
    let replies = |counts: &Counts| {
        counts.tokens_issued + counts.token_requests_refused + counts.api_accepted + counts.api_rejected
    };
    let mut reported = 0;
    loop {
        let counts = server.wait_for(|counts| replies(counts) > reported).await;
        reported = replies(&counts);
        let Counts { tokens_issued, token_requests_refused, api_accepted, api_rejected, .. } = counts;
        let line = writeln!(
            out,
            "tokens: {tokens_issued} issued, {token_requests_refused} refused; \
             API requests: {api_accepted} accepted, {api_rejected} rejected"
        );
        if line.and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// The port, and for how long. Nothing where the user asks for help; an error says what is wrong.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<(u16, Option<Duration>)>, String> {
    let mut arguments = arguments.into_iter();
    let (mut port, mut time) = (PORT, None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().and_then(|value| value.into_string().ok());
        match argument.to_str() {
            Some("-h" | "--help") => return Ok(None),
            Some("--port") => {
                port = value().and_then(|value| value.parse().ok()).ok_or("expected a port number after `--port`")?;
            }
            Some("--for") => {
                let seconds = value().and_then(|value| Duration::try_from_secs_f64(value.parse().ok()?).ok());
                time = Some(seconds.ok_or("expected a number of seconds after `--for`")?);
            }
            _ => return Err(format!("there is no option `{}`", argument.display())),
        }
    }
    Ok(Some((port, time)))
}
