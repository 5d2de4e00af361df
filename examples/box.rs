//! Runs the authorization server in a box, for the configurations in `examples/config`.
//!
//! `cargo run --example box -- --help` describes the options. The code is in `examples/src/server_in_a_box.rs`.

use std::{env, io, process::ExitCode};

#[tokio::main]
async fn main() -> ExitCode {
    // If the handler cannot be installed, the signal still ends the process.
    let ctrl_c = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    examples::server_in_a_box::run(env::args_os().skip(1), ctrl_c, &mut io::stdout(), &mut io::stderr()).await
}
