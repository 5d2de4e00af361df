//! The command line.

use std::{ffi::OsString, fmt, path::PathBuf};

use bearer_token::Error;
use bearer_token_config::ProviderConfig;
use reqwest::Url;

pub(super) const USAGE: &str = "\
Calls a URL with the token of a configuration, and shows what went out and what came back.
Without a URL it gets a token, and shows how the provider stands.

usage: cargo run --example call -- [--config FILE] [--env PREFIX] [--variable NAME=VALUE]
                                   [--dry-run] [--show-token] [URL]

  --config FILE   the configuration, TOML or JSON; samples are in examples/config
  --env PREFIX    environment variables that begin so, such as BEARER_TOKEN_; they go over the file, if there is one
  --variable NAME=VALUE
                  what a value with this `variable` is, or a fact about the request such as request.host;
                  may be given several times
  --dry-run       shows the token requests that would be sent, one for each stage, and the JWTs in them; sends nothing.
                  Headers of the transport's own, such as a default user-agent, are not shown
  --show-token    shows tokens and other secrets, which are redacted otherwise
  -h, --help      shows this

The exit status is 0 when all went well, 1 when there is no token or the URL does not respond with a status below 400,
and 2 when these arguments make no sense. Redirects are shown, not followed.
";

#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) config: Source,
    /// The variables of a keyed configuration, as names and values.
    pub(super) variables: Vec<(String, String)>,
    pub(super) dry_run: bool,
    pub(super) show_token: bool,
    pub(super) url: Option<Url>,
}

/// The configuration: a file, variables, or both.
#[derive(Debug, Default)]
pub(super) struct Source {
    file: Option<PathBuf>,
    prefix: Option<String>,
}

impl Source {
    pub(super) fn load(&self) -> Result<ProviderConfig, Error> {
        let prefix = self.prefix.as_deref().unwrap_or_default();
        match &self.file {
            Some(file) if prefix.is_empty() => ProviderConfig::load(file),
            Some(file) => Ok(ProviderConfig::load(file)?.override_with_env(prefix)),
            None => Ok(ProviderConfig::from_env(prefix)),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, &self.prefix) {
            (Some(file), None) => write!(f, "{}", file.display()),
            (Some(file), Some(prefix)) => write!(f, "{} and the variables {prefix}*", file.display()),
            (None, prefix) => write!(f, "the variables {}*", prefix.as_deref().unwrap_or_default()),
        }
    }
}

/// Parses the arguments after the program's name. Returns `None` if the user asks for help.
pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Arguments>, String> {
    let mut arguments = arguments.into_iter();
    let (mut config, mut dry_run, mut show_token, mut url) = (Source::default(), false, false, None);
    let mut variables = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("-h" | "--help") => return Ok(None),
            Some("--dry-run") => dry_run = true,
            Some("--show-token") => show_token = true,
            Some("--config") => {
                config.file = Some(arguments.next().ok_or("found no file after `--config`")?.into());
            }
            Some("--env") => {
                let prefix = arguments.next().and_then(|prefix| prefix.into_string().ok());
                let prefix = prefix.filter(|prefix| !prefix.is_empty());
                config.prefix =
                    Some(prefix.ok_or("found no prefix after `--env`; expected one such as BEARER_TOKEN_")?);
            }
            Some("--variable") => {
                let pair = arguments.next().and_then(|pair| pair.into_string().ok());
                let pair = pair.as_deref().and_then(|pair| pair.split_once('=')).filter(|(name, _)| !name.is_empty());
                let (name, value) =
                    pair.ok_or("found no variable after `--variable`; expected one such as tenant=acme")?;
                variables.push((name.to_owned(), value.to_owned()));
            }
            Some(text) if text.starts_with('-') => return Err(format!("there is no option `{text}`")),
            Some(text) if url.is_none() => url = Some(parse_url(text)?),
            _ => return Err(format!("found `{}` after the URL; expected nothing more", argument.display())),
        }
    }
    if config.file.is_none() && config.prefix.is_none() {
        return Err("found neither `--config FILE` nor `--env PREFIX`, and without them there is no token".to_owned());
    }
    if dry_run && url.is_some() {
        return Err("found a URL beside `--dry-run`, which sends nothing; leave one of them out".to_owned());
    }
    Ok(Some(Arguments { config, variables, dry_run, show_token, url }))
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| format!("found `{text}`; expected a URL such as `https://api.example.com/orders`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Arguments>, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_order_of_the_arguments_does_not_matter() {
        for line in
            ["--config a.toml --show-token http://x.example.com", "http://x.example.com --show-token --config a.toml"]
        {
            let arguments = parsed(line).unwrap().unwrap();
            assert_eq!(arguments.config.to_string(), "a.toml");
            assert!(arguments.show_token);
            assert_eq!(arguments.url.unwrap().as_str(), "http://x.example.com/");
        }
        let arguments = parsed("--config a.toml").unwrap().unwrap();
        assert!(!arguments.show_token && !arguments.dry_run && arguments.url.is_none());
        let arguments = parsed("--dry-run --env APP_ --config a.toml").unwrap().unwrap();
        assert!(arguments.dry_run);
        assert_eq!(arguments.config.to_string(), "a.toml and the variables APP_*");
        let arguments = parsed("--config a.toml --variable tenant=acme --variable user=a=b").unwrap().unwrap();
        assert_eq!(arguments.variables, [("tenant", "acme"), ("user", "a=b")].map(|(n, v)| (n.into(), v.into())));
        assert_eq!(parsed("--env APP_").unwrap().unwrap().config.to_string(), "the variables APP_*");
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (line, named) in [
            ("", "--config"),
            ("http://x.example.com", "--config"),
            ("--config", "no file"),
            ("--env", "no prefix"),
            ("--variable", "no variable"),
            ("--config a.toml --variable tenant", "no variable"),
            ("--config a.toml --variable =acme", "no variable"),
            ("--config a.toml --dry-run http://a.example.com", "--dry-run"),
            ("--config a.toml --verbose", "--verbose"),
            ("--config a.toml x.example.com/path", "x.example.com/path"),
            ("--config a.toml ftp://x.example.com", "ftp://"),
            ("--config a.toml http://a.example.com http://b.example.com", "http://b.example.com"),
        ] {
            let problem = parsed(line).unwrap_err();
            assert!(problem.contains(named), "{line}: {problem}");
        }
        assert!(parsed("--config a.toml --help --nonsense").unwrap().is_none());
    }
}
