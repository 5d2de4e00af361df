//! The command `bearer-token`: tokens for curl, kubectl and scripts, and checks of a configuration.
//!
//! It prints a token to a pipe or a file, but to a terminal only with `--show-token`. Errors contain no token.

use std::{io, process::ExitCode};

use clap::Parser;

use self::arguments::{Cli, Command};

mod arguments;
mod call;
mod check;
mod failure;
mod login;
mod manual;
mod print;
mod redaction;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // For connections to the stores of `[shared]`. It fails only if there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let out = &mut io::stdout().lock();
    let source = cli.command.source().cloned();
    let result = match cli.command {
        Command::Token(access) => print::token(&access, out).await,
        Command::Header { access, destination } => print::headers(&access, destination.as_ref(), out).await,
        Command::Kube(access) => print::exec_credential(&access, out).await,
        Command::Call { access, url } => Box::pin(call::run(&access, url, out)).await,
        Command::Check { access, dry_run, url } => Box::pin(check::run(&access, dry_run, url, out)).await,
        Command::Login(login) => Box::pin(login::run(&login, &mut io::stderr())).await,
        Command::Completions { shell } => manual::completions(shell, out),
        Command::Man => manual::page(out),
    };
    let exit = result.unwrap_or_else(|error| {
        // If writing fails, the reader has closed the pipe, and nothing can be reported.
        let _ = failure::explain(&error, source.as_ref(), &mut io::stderr());
        failure::exit(&error)
    });
    ExitCode::from(exit as u8)
}
