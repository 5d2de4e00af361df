//! What the user asked for.

use std::{ffi::OsString, path::PathBuf};

use reqwest::Url;

pub(super) const USAGE: &str = "\
Calls a URL with the token of a configuration file, and shows what went out and what came back.
Without a URL it gets a token, and shows how the provider stands.

usage: cargo run --example call -- --config FILE [--show-token] [URL]

  --config FILE   the configuration, TOML or JSON; samples are in examples/config
  --show-token    shows the token, which is redacted otherwise
  -h, --help      shows this

The exit status is 0 when all went well, 1 when there is no token or the URL does not answer with a status below 400,
and 2 when these arguments make no sense. Redirects are shown, not followed.
";

#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) config: PathBuf,
    pub(super) show_token: bool,
    pub(super) url: Option<Url>,
}

/// The arguments without the program's name. Nothing where the user asks for help; an error says what is wrong.
pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Arguments>, String> {
    let mut arguments = arguments.into_iter();
    let (mut config, mut show_token, mut url) = (None, false, None);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("-h" | "--help") => return Ok(None),
            Some("--show-token") => show_token = true,
            Some("--config") => config = Some(arguments.next().ok_or("found no file after `--config`")?),
            Some(text) if text.starts_with('-') => return Err(format!("there is no option `{text}`")),
            Some(text) if url.is_none() => url = Some(parse_url(text)?),
            _ => return Err(format!("found `{}` after the URL; expected nothing more", argument.display())),
        }
    }
    let config = config.ok_or("found no `--config FILE`, and without it there is no token")?.into();
    Ok(Some(Arguments { config, show_token, url }))
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
            assert_eq!(arguments.config, PathBuf::from("a.toml"));
            assert!(arguments.show_token);
            assert_eq!(arguments.url.unwrap().as_str(), "http://x.example.com/");
        }
        let arguments = parsed("--config a.toml").unwrap().unwrap();
        assert!(!arguments.show_token && arguments.url.is_none());
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (line, named) in [
            ("", "--config"),
            ("http://x.example.com", "--config"),
            ("--config", "no file"),
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
