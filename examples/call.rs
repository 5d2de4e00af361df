//! Calls a URL with the token of a configuration file.
//!
//! `cargo run --example call -- --help` describes the options. The code is in `examples/src/call.rs`.

use std::{env, io, process::ExitCode};

#[tokio::main]
async fn main() -> ExitCode {
    examples::call::run(env::args_os().skip(1), &mut io::stdout(), &mut io::stderr()).await
}
