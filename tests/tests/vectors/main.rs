//! The policy vectors of `tests/vectors`, played by a real provider. Their README describes the format.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod format;

use std::{
    collections::HashMap,
    fs,
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use bearer_token::{
    Authorized, Bearer, Error, ErrorKind, Rejection, Ticket, TokenFuture, TokenProvider,
    platform::{Clock, Entropy, Platform},
};
use bearer_token_testing::{ManualClock, Outcome, ScriptedSource};
use http::{HeaderMap, Uri, header::AUTHORIZATION};

use self::format::{Call, Draw, Expect, Kind, RejectionName, Step, Vector, seconds};

/// The immediate result of a call.
#[derive(Debug, PartialEq)]
enum Seen {
    Nothing,
    Token(String),
    Error(Kind),
    Waits,
    Rejection(RejectionName),
}

impl Entropy for Draw {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        bytes.fill(match self {
            Draw::Lowest => 0,
            Draw::Highest => 0xff,
        });
        Ok(())
    }
}

/// A provider whose surroundings the vector controls.
struct Bench {
    clock: ManualClock,
    start: SystemTime,
    source: ScriptedSource,
    provider: TokenProvider,
    waiters: Vec<TokenFuture>,
    tickets: HashMap<String, Ticket>,
}

impl Bench {
    fn new(vector: &Vector) -> Self {
        let (clock, source) = (ManualClock::new(), ScriptedSource::new());
        source.otherwise(Outcome::hang());
        let provider = TokenProvider::builder(source.clone())
            .allow_origin("https://api.example.com")
            .policy(vector.policy.policy())
            .platform(Platform::system().with_clock(clock.clone()).with_entropy(vector.draw))
            .build()
            .unwrap();
        let start = clock.now().wall();
        Bench { clock, start, source, provider, waiters: Vec::new(), tickets: HashMap::new() }
    }

    async fn play(&mut self, step: &Step) -> Result<(), String> {
        self.clock.advance(seconds(step.advance));
        if step.advance_wall < 0.0 {
            self.clock.rewind_wall(seconds(-step.advance_wall));
        } else {
            self.clock.advance_wall(seconds(step.advance_wall));
        }
        settle().await;
        for reply in &step.source {
            self.source.push(reply.clone().outcome(self.start));
        }
        let seen = match &step.call {
            Some(call) => self.call(call).await?,
            None => Seen::Nothing,
        };
        settle().await;
        let Expect { token, error, waits, rejection, fetches, .. } = step.expect.clone();
        let wanted = (token.map(Seen::Token))
            .or(error.map(Seen::Error))
            .or(rejection.map(Seen::Rejection))
            .unwrap_or(if waits { Seen::Waits } else { Seen::Nothing });
        if seen != wanted {
            return Err(format!("found {seen:?}; expected {wanted:?}"));
        }
        match self.started() {
            started if started == fetches => Ok(()),
            started => Err(format!("found {started} fetches; expected {fetches}")),
        }
    }

    async fn call(&mut self, call: &Call) -> Result<Seen, String> {
        match call {
            Call::Token => Ok(self.wait(self.provider.token()).await),
            Call::RefreshNow => Ok(self.wait(self.provider.refresh_now()).await),
            Call::Request => Ok(self.request()),
            Call::Waiters => {
                let mut seen = Vec::new();
                for waiter in std::mem::take(&mut self.waiters) {
                    seen.push(self.wait(waiter).await);
                }
                let first = seen.pop().ok_or("there is no waiter")?;
                if seen.iter().all(|other| *other == first) { Ok(first) } else { Err(format!("found {seen:?}")) }
            }
            Call::Reject(token) => {
                let ticket = self.tickets.get(token).ok_or("the rejected token was never given")?;
                Ok(Seen::Rejection(match ticket.reject(&HeaderMap::new()) {
                    Rejection::Renewing => RejectionName::Renewing,
                    Rejection::Superseded => RejectionName::Superseded,
                    Rejection::Declined => RejectionName::Declined,
                    other => return Err(format!("unknown to the vectors: {other:?}")),
                }))
            }
        }
    }

    /// Runs every task until it waits, without moving the clock.
    async fn wait(&mut self, mut future: TokenFuture) -> Seen {
        for _ in 0..20 {
            match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => return self.see(result),
                Poll::Pending => settle().await,
            }
        }
        self.waiters.push(future);
        Seen::Waits
    }

    fn see(&mut self, result: Result<Bearer, Error>) -> Seen {
        match result {
            Ok(bearer) => {
                self.tickets.insert(bearer.secret().to_owned(), bearer.ticket());
                Seen::Token(bearer.secret().to_owned())
            }
            Err(error) => Seen::Error(match error.kind() {
                ErrorKind::Unavailable => Kind::Unavailable,
                ErrorKind::Refused => Kind::Refused,
                ErrorKind::Source => Kind::Source,
                ErrorKind::Timeout => Kind::Timeout,
                other => panic!("no vector knows {other:?}: {error}"),
            }),
        }
    }

    fn request(&mut self) -> Seen {
        let mut headers = HeaderMap::new();
        let uri = Uri::from_static("https://api.example.com/orders");
        match self.provider.authorize_headers((&uri).into(), &mut headers).unwrap() {
            Authorized::Inserted(ticket) => {
                let token = headers[AUTHORIZATION].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
                self.tickets.insert(token.clone(), ticket);
                Seen::Token(token)
            }
            Authorized::NotReady => Seen::Waits,
            other => panic!("the origin is allowed, found {other:?}"),
        }
    }

    fn started(&self) -> u64 {
        self.source.count().started
    }
}

/// Runs every other task of this thread's runtime until it waits.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Whether a caller this long after the steps starts a fetch.
async fn attempts(vector: &Vector, steps: &[Step], time: Duration) -> Result<bool, String> {
    let mut bench = Bench::new(vector);
    for step in steps {
        bench.play(step).await?;
    }
    let before = bench.started();
    bench.clock.advance(time);
    settle().await;
    bench.wait(bench.provider.token()).await;
    settle().await;
    Ok(bench.started() > before)
}

async fn run(vector: &Vector) -> Result<(), String> {
    let mut bench = Bench::new(vector);
    for (number, step) in vector.steps.iter().enumerate() {
        let at = |problem| format!("{}: step {number}: {problem}", vector.about);
        bench.play(step).await.map_err(at)?;
        if let Some(next) = step.expect.next_attempt.map(seconds) {
            let played = &vector.steps[..=number];
            // Each provider is asked only once, because the question may change it.
            if let Some(before) = next.checked_sub(Duration::from_millis(1))
                && attempts(vector, played, before).await?
            {
                return Err(at(format!("a fetch starts before {next:?}")));
            }
            if !attempts(vector, played, next).await? {
                return Err(at(format!("no fetch starts after {next:?}")));
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_provider_does_what_every_vector_says() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut failures = Vec::new();
    let mut played = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let result = match Vector::read(&fs::read_to_string(&path).unwrap()) {
                Ok(vector) => run(&vector).await,
                Err(problem) => Err(problem),
            };
            failures.extend(result.err().map(|problem| format!("{}: {problem}", path.display())));
            played += 1;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(played >= 20, "found {played} vectors");
}

#[test]
fn the_schema_is_that_of_the_format() {
    let found = fs::read_to_string(schema_file()).unwrap();
    assert!(found == schema(), "it is out of date: `cargo test -p tests --test vectors write -- --ignored` writes it");
}

#[test]
#[ignore = "writes tests/vectors/schema/vector.json"]
fn write_the_schema() {
    fs::write(schema_file(), schema()).unwrap();
}

fn schema() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(Vector)).unwrap() + "\n"
}

fn schema_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/schema/vector.json")
}

#[test]
fn an_unknown_or_empty_vector_is_an_error() {
    let expect = r#""expect": { "token": "a", "fetches": 1 }"#;
    let good =
        format!(r#"{{ "version": 1, "about": "x", "draw": "lowest", "steps": [{{ "call": "token", {expect} }}] }}"#);
    assert!(Vector::read(&good).is_ok());
    for (from, to) in [
        (r#""version": 1, "#, ""),
        (r#""version": 1"#, r#""version": 2"#),
        (r#""about""#, r#""abuot""#),
        (r#""draw": "lowest""#, r#""draw": "middle""#),
        (r#""call": "token","#, r#""call": "token", "wait": 3,"#),
        (r#""fetches": 1"#, r#""fetches": 1, "retries": 0"#),
        (r#""call": "token","#, ""),
        (r#""token": "a","#, ""),
        (r#""token": "a","#, r#""token": "a", "waits": true,"#),
        (r#""call": "token","#, r#""call": "token", "source": [{ "token": "a", "error": "refused" }],"#),
        (r#""call": "token","#, r#""call": "token", "source": [{ "lifetime": 3 }],"#),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        assert!(Vector::read(&bad).is_err(), "{bad}");
    }
    assert!(Vector::read(r#"{ "version": 1, "about": "x", "draw": "lowest", "steps": [] }"#).is_err());
    assert!(Vector::read(r#"{ "version": 1, "about": "x", "draw": "lowest" }"#).is_err());
}

#[tokio::test]
async fn a_vector_that_expects_something_else_fails() {
    let text = |token, fetches, next: f64| {
        format!(
            r#"{{ "version": 1, "about": "x", "draw": "lowest", "steps": [{{ "call": "token",
                "source": [{{ "token": "a", "lifetime": 3600 }}],
                "expect": {{ "token": "{token}", "fetches": {fetches}, "next_attempt": {next} }} }}] }}"#
        )
    };
    for (token, fetches, next, holds) in [
        ("a", 1, 2_880.0, true),
        ("b", 1, 2_880.0, false),
        ("a", 2, 2_880.0, false),
        ("a", 1, 2_879.0, false),
        ("a", 1, 2_881.0, false),
    ] {
        let vector = Vector::read(&text(token, fetches, next)).unwrap();
        assert_eq!(run(&vector).await.is_ok(), holds, "{token} {fetches} {next}");
    }
}
