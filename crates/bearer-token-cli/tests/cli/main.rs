//! Tests of the command, as a process of its own.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use bearer_token_testing::AuthorizationServer;
use tokio::process::Command;

mod call;
mod dry_run;
mod dry_run_stages;
mod login;
mod mistakes;
mod output;
mod samples;
mod shared;

/// The output and exit status of the command.
struct Ended {
    status: i32,
    out: String,
    err: String,
}

impl Ended {
    fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    #[track_caller]
    fn assert_status(&self, status: i32) {
        assert_eq!(self.status, status, "{}", self.all());
    }
}

async fn cli(line: &[&str]) -> Ended {
    ended(command(line)).await
}

/// The command, which ends with the test.
fn command(line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bearer-token"));
    command.args(line).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn ended(mut command: Command) -> Ended {
    let output = command.output().await.unwrap();
    Ended {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn config_directory() -> PathBuf {
    examples().join("config")
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
        Config::with_keys(name, text)
    }

    /// A configuration with the files of the samples beside it.
    fn with_keys(name: &str, text: impl AsRef<str>) -> Self {
        let config = Config::new(name, text);
        let keys = config.directory.path().join("keys");
        std::fs::create_dir(&keys).unwrap();
        for file in ["rsa.pem", "p256.pem", "client-secret.txt"] {
            std::fs::copy(config_directory().join("keys").join(file), keys.join(file)).unwrap();
        }
        config
    }
}
