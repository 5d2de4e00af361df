//! Runs the authorization server in a box, for the configurations in `examples/config`.
//!
//! `cargo run --example box -- --help` says how; `examples/src/server_in_a_box.rs` does it.

use std::{env, io, process::ExitCode};

#[tokio::main]
async fn main() -> ExitCode {
    // Where the signal cannot be listened for, it ends the process all the same.
    let ctrl_c = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    examples::server_in_a_box::run(env::args_os().skip(1), ctrl_c, &mut io::stdout(), &mut io::stderr()).await
}
