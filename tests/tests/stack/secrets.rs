//! L38: plants markers wherever a secret or untrusted input can be, runs the whole life cycle, and searches everything
//! that was printed or traced.

use std::collections::BTreeSet;

use bearer_token_testing::TestKey;

use self::{markers::Markers, shown::Shown, trace::Listener};
use crate::support::Adapter;

mod configurations;
mod dialects;
mod hostile;
mod life;
mod markers;
mod requests;
mod shown;
mod trace;
mod values;

/// The crates that may show no marker. Other crates only must not show secrets.
const OURS: [&str; 3] = ["bearer_token", "tower_bearer", "reqwest_bearer"];

const CLIENT_SECRET: &str = "MARK/client+secret=%&~ of its own";
const HMAC_SECRET: &str = "MARK-hmac-secret-that-is-longer-than-sixty-four-bytes-so-that-it-fits-any-hash";
const PARAMETER: &str = "MARK/parameter value?";
const HEADER: &str = "MARK-header-value";
const QUERY: &str = "MARK-query-value";
const USER: &str = "MARK-user-information";
const STATIC: &str = "MARK-static-token";
const SERVER_TEXT: &str = "MARK-text-of-the-server";
const PANIC: &str = "MARK-payload-of-a-panic";
const CLAIM: &str = "MARK-claim-value";

// shows: 6749/10.1 6749/10.3a 6750/5.3a 8693/6a 9110/17.16
#[tokio::test]
async fn l38_a_whole_life_cycle_shows_no_secret() {
    let listener = Listener::listen();
    let mut shown = Shown::default();
    // The markers that no crate may show, and those that only ours may not.
    let (mut secrets, mut markers) = (Markers::default(), Markers::default());
    for secret in [CLIENT_SECRET, HMAC_SECRET, STATIC] {
        secrets.plant(secret);
    }
    for text in [PARAMETER, HEADER, QUERY, USER, SERVER_TEXT, PANIC, CLAIM] {
        markers.plant(text);
    }
    let rsa = TestKey::rs256().unwrap();
    let ec = TestKey::es256().unwrap();
    for pem in [rsa.private_pem(), ec.private_pem()] {
        // Keys of one kind share their first line of base64.
        pem.lines()
            .skip(2)
            .filter(|line| !line.starts_with("---") && line.len() > 8)
            .for_each(|line| secrets.plant(line));
    }

    values::values(&mut shown, &rsa, &ec).await;
    configurations::configurations(&mut shown, &rsa);
    requests::requests(&mut shown).await;
    for adapter in Adapter::BOTH {
        for http2 in [false, true] {
            life::successes(&mut shown, &mut secrets, adapter, http2, &rsa, &ec).await;
        }
        hostile::failures(&mut shown, &mut secrets, adapter).await;
        hostile::panics(&mut shown, adapter).await;
    }
    Box::pin(dialects::dialects(&mut shown, &mut secrets)).await;
    drop(listener);
    markers.extend(&secrets);
    search(&markers, &secrets, &shown);
}

fn search(markers: &Markers, secrets: &Markers, shown: &Shown) {
    let mut found = BTreeSet::new();
    let mut seek = |sought: &Markers, place: &str, text: &str| {
        if let Some(marker) = sought.found_in(text) {
            let start = text.find(marker).unwrap_or_default().saturating_sub(60);
            let excerpt: String = text.chars().skip(start).take(200).collect();
            found.insert(format!("{place} shows {marker}: {excerpt}"));
        }
    };
    for (what, text) in &shown.0 {
        seek(markers, what, text);
    }
    let traced: BTreeSet<_> = trace::traced().iter().cloned().collect();
    let (mut from_us, mut from_others) = (0, BTreeSet::new());
    for (target, text) in &traced {
        let name = target.split("::").next().unwrap_or_default();
        if OURS.contains(&name) {
            from_us += 1;
            seek(markers, target, text);
        } else {
            from_others.insert(name);
            seek(secrets, target, text);
        }
    }
    assert!(found.is_empty(), "{} places: {:#?}", found.len(), found.iter().take(20).collect::<Vec<_>>());
    assert!(from_us > 10, "our own events are there: {from_us}");
    for message in ["could not fetch a token", "the API rejected a token", "ignoring changed certificates"] {
        assert!(traced.iter().any(|(_, text)| text.contains(message)), "no event says: {message}");
    }
    for name in ["h2", "hyper_util", "log"] {
        assert!(from_others.contains(name), "{name} is among {from_others:?}");
    }
}
