//! Token requests that the authorization server refuses, or that get an unusable response.

use std::time::Duration;

use bearer_token::platform::Clock;
use bearer_token_testing::{Fault, Tokens};
use serde_json::json;

use crate::{
    row::{Row, Told},
    world::World,
};

/// What is told with a client that is right, if the token endpoint does this.
fn faulty(fault: Fault) -> Told {
    let world = World::new();
    world.server.token_endpoint().always(fault);
    world.told(&world.client())
}

/// What is told with an assertion, if this is replaced in the configuration.
fn assertion(from: &str, to: &str) -> Told {
    let world = World::new();
    let toml = world.assertion();
    assert!(toml.contains(from), "{from}");
    world.told(&toml.replace(from, to))
}

fn wrong_secret() -> Told {
    let world = World::new();
    world.told(&world.client().replace("planted-client", "planted-other"))
}

fn wrong_clock(seconds: u64) -> Told {
    let world = World::new();
    let other = bearer_token_testing::ManualClock::new();
    other.set_wall(world.clock.now().wall());
    other.rewind_wall(Duration::from_secs(seconds));
    let behind = World { clock: other, ..world };
    behind.told(&behind.assertion())
}

/// A server that hands out tokens whose lifetime is over.
fn expired_tokens() -> Told {
    let body = json!({ "access_token": "planted-token", "token_type": "Bearer", "expires_in": 0 });
    faulty(Fault::json(200, &body))
}

/// Why there is no message.
const UNKNOWN_LIFETIME: &str = "the token is used for the default lifetime, as if the response named none";

pub(crate) fn rows() -> Vec<Row> {
    let body = |body: serde_json::Value| faulty(Fault::json(200, &body));
    vec![
        Row::new(
            "11",
            "a wrong audience",
            assertion("audience = \"", "audience = \"https://wrong.example.com/"),
            ["invalid_grant"],
            ["audience"],
            ["the server says: its aud does not name this server"],
        ),
        Row::new(
            "14",
            "an unknown issuer",
            assertion("\"app\"", "\"apq\""),
            ["invalid_grant"],
            ["issuer"],
            ["the server says", "issuer"],
        ),
        Row::new(
            "16",
            "a lifetime that is too long",
            assertion("[jwt]", "[jwt]\nexpiry_seconds = 7200"),
            ["invalid_grant"],
            ["lifetime"],
            ["the server says: its exp is too far in the future"],
        ),
        Row::new(
            "17",
            "no subject",
            assertion("subject = \"alice\"\n", ""),
            ["invalid_grant", "WARN"],
            ["RFC 7523", "[\"sub\"]"],
            ["set them on the template"],
        ),
        Row::new(
            "18",
            "a wrong client secret",
            wrong_secret(),
            ["401", "invalid_client"],
            ["expected a token"],
            ["check the client secret"],
        ),
        Row::new("29", "a web page in place of JSON", faulty(Fault::html()), ["200", "HTML"], ["JSON"], ["URL"]),
        Row::new(
            "30",
            "a URL that is not the token endpoint's",
            faulty(Fault::status(404)),
            ["404", "http://127.0.0.1"],
            ["OAuth error code"],
            ["URL"],
        ),
        Row::new(
            "31",
            "a token under another name",
            body(json!({ "token": "planted-token" })),
            ["200"],
            ["access_token"],
            ["name that field in the response format"],
        ),
        Row::new(
            "32",
            "a redirect",
            faulty(Fault::redirect("https://login.example.com/planted")),
            ["307", "not followed"],
            ["expected a token"],
            ["URL"],
        ),
        Row::new(
            "33",
            "a server that hangs",
            hanging(),
            ["no token within 10s", "aborted"],
            ["a token in time"],
            ["latency of the server", "`Policy::fetch_timeout`"],
        ),
        Row::new(
            "34",
            "tokens of another type",
            body(json!({ "access_token": "planted-token", "token_type": "mac" })),
            ["mac"],
            ["bearer"],
            ["allow bearer tokens for this client"],
        ),
        Row::new(
            "35",
            "an error with status 200",
            body(json!({ "error": "invalid_scope", "error_description": "unknown scope" })),
            ["200", "invalid_scope"],
            ["expected a token"],
            ["scope"],
        ),
        Row::new(
            "36",
            "tokens that have expired already",
            expired_tokens(),
            ["expired", "WARN"],
            ["serves the waiting requests only"],
            ["check the clocks and the token's lifetime"],
        ),
        Row::new(
            "37",
            "too many token requests",
            faulty(Fault::status(429).header("retry-after", "7")),
            ["429", "7s"],
            ["expected a token"],
            ["fewer token requests"],
        ),
        Row::new("38", "a clock that is 20 minutes behind", wrong_clock(1200), ["WARN", "clock"], ["1200"], ["behind"]),
        Row::new(
            "39",
            "a clock that is 2 hours behind",
            wrong_clock(7200),
            ["7200 s behind"],
            ["3600"],
            ["set the clock"],
        ),
        Row::new(
            "own: outage with a code",
            "an outage with an OAuth error code",
            faulty(Fault::oauth_error(503, "invalid_grant")),
            ["503"],
            ["expected a token"],
            [],
        )
        .changes_nothing("the provider tries again by itself, and nothing has to change here"),
        Row::new(
            "own: wrong method",
            "a client that is refused with 403",
            faulty(Fault::status(403)),
            ["403"],
            ["expected a token"],
            ["client"],
        ),
        Row::new(
            "own: lifetime as a date",
            "a lifetime that is no number",
            {
                let world = World::new();
                world.server.issue(Tokens::opaque().expires_in("2030-01-01T00:00:00Z"));
                world.told(&world.client())
            },
            ["no error"],
            [],
            [],
        )
        .expects_nothing(UNKNOWN_LIFETIME)
        .changes_nothing(UNKNOWN_LIFETIME),
    ]
}

fn hanging() -> Told {
    let world = World::new();
    world.server.token_endpoint().always(Fault::hang());
    world.told_with_clock(&world.client(), |clock| clock.advance(Duration::from_secs(10)))
}
