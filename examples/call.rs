//! Calls a URL with the token of a configuration file.
//!
//! `cargo run --example call -- --help` says how; `examples/src/call.rs` does it.

use std::{env, io, process::ExitCode};

#[tokio::main]
async fn main() -> ExitCode {
    examples::call::run(env::args_os().skip(1), &mut io::stdout(), &mut io::stderr()).await
}
