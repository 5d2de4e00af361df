//! Tests of the examples.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bearer_token_testing::AuthorizationServer;

mod call;
mod dry_run;
mod dry_run_stages;
mod samples;
mod server_in_a_box;

/// The output and exit status of a program.
struct Ended {
    status: ExitCode,
    out: String,
    err: String,
}

impl Ended {
    fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    #[track_caller]
    fn assert_status(&self, status: u8) {
        assert!(self.status == ExitCode::from(status), "{:?}, expected {status}:\n{}", self.status, self.all());
    }
}

fn arguments(line: &[&str]) -> Vec<OsString> {
    line.iter().map(OsString::from).collect()
}

async fn call(line: &[&str]) -> Ended {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = examples::call::run(arguments(line), &mut out, &mut err).await;
    Ended { status, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

fn config_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

/// A configuration for a test's server.
struct Config {
    directory: tempfile::TempDir,
    path: String,
}

impl Config {
    fn new(name: &str, text: impl AsRef<str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, text.as_ref()).unwrap();
        let path = path.to_str().unwrap().to_owned();
        Config { directory, path }
    }

    /// A sample configuration with its files, changed to use this server.
    fn sample(name: &str, server: &AuthorizationServer) -> Self {
        let text = std::fs::read_to_string(config_directory().join(name)).unwrap();
        let lines = text.lines().map(|line| {
            // Changes only what a reader would change, not the `aud` of a JWT.
            if line.trim_start_matches([' ', '"']).starts_with("allow_origins") {
                line.replace("https://api.example.com", &server.issuer())
            } else if line.starts_with("url =") {
                line.replace("https://as.example.com/token", &server.token_url())
            } else {
                line.to_owned()
            }
        });
        // The change that the server's own output suggests for another port.
        let text = lines.collect::<Vec<_>>().join("\n").replace("8085", &server.address().port().to_string());
        let config = Config::new(name, text);
        let keys = config.directory.path().join("keys");
        std::fs::create_dir(&keys).unwrap();
        for file in ["rsa.pem", "p256.pem", "client-secret.txt"] {
            std::fs::copy(config_directory().join("keys").join(file), keys.join(file)).unwrap();
        }
        config
    }
}
