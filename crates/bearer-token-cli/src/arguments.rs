//! The command line. Its comments are the help text.

#![allow(clippy::doc_markdown, reason = "these comments are the help text")]

use std::{fmt, path::PathBuf};

use bearer_token::{Error, TokenProvider};
use bearer_token_config::{DryRun, ProviderConfig};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use reqwest::Url;

const EXIT: &str = "\
Exit status:
  0  success
  1  the API did not respond with a status below 400, or the check found a mistake
  2  the arguments are wrong, or a token would have been printed to a terminal
  3  the configuration cannot be used
  4  there is no token, and there will be none until a key, a permission or the configuration changes
  5  there is no token now, but a retry may help";

/// Gets bearer tokens as a configuration says: for curl, kubectl and scripts.
#[derive(Parser)]
#[command(name = "bearer-token", version, after_help = EXIT)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
pub(crate) enum Command {
    /// Prints a token, to a pipe or a file
    Token(Access),
    /// Prints the headers of a request, for `curl -H @-`
    Header {
        #[command(flatten)]
        access: Access,
        /// Prints them only if the configuration allows the origin of this URL
        #[arg(long = "for", value_name = "URL", value_parser = url)]
        destination: Option<Url>,
    },
    /// Sends a GET request with a token, and shows what went out and what came back
    Call {
        #[command(flatten)]
        access: Access,
        /// The URL; redirects are shown, not followed
        #[arg(value_parser = url)]
        url: Url,
    },
    /// Shows what would be sent, gets a token, calls the URL, and says what to change
    Check {
        #[command(flatten)]
        access: Access,
        /// Sends nothing
        #[arg(long, conflicts_with = "url")]
        dry_run: bool,
        /// The URL to call with the token
        #[arg(value_parser = url)]
        url: Option<Url>,
    },
    /// Prints an ExecCredential for kubectl and other clients of Kubernetes
    Kube(Access),
    /// Gets the first refresh token by a person's consent, and stores it in `refresh_token.file`
    Login(Login),
    /// Prints completions for a shell
    Completions { shell: Shell },
    /// Prints the manual page
    Man,
}

/// The configuration: a file, variables, or both.
#[derive(Args, Clone)]
#[group(skip)]
pub(crate) struct Source {
    /// The configuration, TOML or JSON; not needed with --env
    #[arg(long, value_name = "FILE", required_unless_present = "env")]
    config: Option<PathBuf>,
    /// The prefix of environment variables with fields, such as BEARER_TOKEN_; they override the file
    #[arg(long, value_name = "PREFIX", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    env: Option<String>,
    /// A variable of a keyed configuration, or a fact about the request such as request.host
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) variables: Vec<(String, String)>,
}

#[derive(Args)]
#[group(skip)]
pub(crate) struct Access {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Shows tokens and other secrets, also on a terminal
    #[arg(long)]
    pub(crate) show_token: bool,
}

#[derive(Args)]
#[group(skip)]
pub(crate) struct Login {
    #[command(flatten)]
    pub(crate) source: Source,
    /// The issuer, whose metadata has the two URLs below; needed unless one of them is given
    #[arg(long, value_name = "URL", value_parser = url, required_unless_present_any = ["authorization_url", "device_url"])]
    pub(crate) issuer: Option<Url>,
    /// Enter a code on any device (RFC 8628), in place of a browser on this machine
    #[arg(long)]
    pub(crate) device: bool,
    /// The authorization endpoint, for a browser on this machine
    #[arg(long, value_name = "URL", value_parser = url, conflicts_with_all = ["device", "device_url"])]
    pub(crate) authorization_url: Option<Url>,
    /// The device authorization endpoint (RFC 8628)
    #[arg(long, value_name = "URL", value_parser = url)]
    pub(crate) device_url: Option<Url>,
    /// The client's id, if the configuration does not send it
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// The scope to ask for; default: that of the configuration
    #[arg(long)]
    pub(crate) scope: Option<String>,
    /// A further parameter of the authorization request, such as access_type=offline
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) parameters: Vec<(String, String)>,
    /// The port on 127.0.0.1 for the redirect, if the server demands a fixed one; default: any free one
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) port: u16,
}

impl Command {
    pub(crate) fn source(&self) -> Option<&Source> {
        match self {
            Command::Token(access) | Command::Kube(access) => Some(&access.source),
            Command::Header { access, .. } | Command::Call { access, .. } | Command::Check { access, .. } => {
                Some(&access.source)
            }
            Command::Login(login) => Some(&login.source),
            Command::Completions { .. } | Command::Man => None,
        }
    }
}

impl Source {
    pub(crate) fn load(&self) -> Result<ProviderConfig, Error> {
        match (&self.config, &self.env) {
            (Some(file), None) => ProviderConfig::load(file),
            (Some(file), Some(prefix)) => Ok(ProviderConfig::load(file)?.override_with_env(prefix)),
            (None, prefix) => Ok(ProviderConfig::from_env(prefix.as_deref().unwrap_or_default())),
        }
    }

    pub(crate) fn provider(&self) -> Result<TokenProvider, Error> {
        self.load()?.build_with(self.variables.iter().cloned())
    }

    pub(crate) async fn dry_run(&self) -> Result<Vec<DryRun>, Error> {
        self.load()?.dry_run_with(self.variables.iter().cloned()).await
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.config, &self.env) {
            (Some(file), None) => write!(f, "{}", file.display()),
            (Some(file), Some(prefix)) => write!(f, "{} and the variables {prefix}*", file.display()),
            (None, prefix) => write!(f, "the variables {}*", prefix.as_deref().unwrap_or_default()),
        }
    }
}

fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| "expected a URL such as `https://api.example.com/orders`".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("expected a name and a value, such as tenant=acme")?;
    Ok((name.to_owned(), value.to_owned()))
}
