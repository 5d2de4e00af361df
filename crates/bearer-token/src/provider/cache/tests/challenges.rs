//! What an API asks for when it refuses a bearer, and which fetch is told.

use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};

use super::*;

/// An API that asks for these claims.
fn asks(claims: &str) -> impl Fn() -> Option<Arc<[Challenge]>> + use<> {
    let line = format!(r#"Bearer error="insufficient_claims", claims="{claims}""#);
    let reply: HeaderMap = [(WWW_AUTHENTICATE, HeaderValue::try_from(line).unwrap())].into_iter().collect();
    move || Challenge::keep(&reply)
}

fn unread() -> Option<Arc<[Challenge]>> {
    panic!("the rejection is not accepted, and its challenges need not be read")
}

fn told(start: &StartFetch) -> Option<&str> {
    start.challenges.as_ref()?.first()?.parameter("claims")
}

/// The start that a rejection with these claims causes.
fn renew(cache: &Cache, bearer: &Bearer, claims: &str, seconds: u64) -> StartFetch {
    let (rejection, start) = cache.reject(bearer.generation(), at(seconds), asks(claims));
    assert_eq!(rejection, Rejection::Renewing);
    start.expect("a flight")
}

#[test]
fn only_the_fetch_after_a_rejection_gets_the_challenges() {
    let (first, second) = (bearer("first", 0, HOUR), bearer("second", 5, HOUR));
    let cache = Cache::serving(&first);
    let start = renew(&cache, &first, "a", 5);
    assert_eq!((start.reason, told(&start)), (FetchReason::Rejected, Some("a")));
    cache.bring(&start.flight, &second, 5);
    assert_eq!(told(&cache.begin(Want::Renewal, 6)), None);
    // The next rejection brings its own, or none.
    let cache = Cache::serving(&first);
    let start = renew(&cache, &first, "a", 5);
    cache.bring(&start.flight, &second, 5);
    assert_eq!(told(&renew(&cache, &second, "b", 10)), Some("b"));
    let cache = Cache::serving(&first);
    assert_eq!(told(&cache.renew(&first, 5)), None);
}

#[test]
fn challenges_are_read_only_of_rejections_that_are_accepted() {
    let (first, second) = (bearer("first", 0, HOUR), bearer("second", 5, HOUR));
    let cache = Cache::serving(&first);
    let start = renew(&cache, &first, "a", 5);
    // It is withdrawn already; another generation; superseded; declined.
    assert_eq!(cache.reject(first.generation(), at(5), unread).0, Rejection::Renewing);
    assert_eq!(cache.reject(second.generation(), at(5), unread).0, Rejection::Superseded);
    cache.bring(&start.flight, &second, 5);
    assert_eq!(cache.reject(first.generation(), at(5), unread).0, Rejection::Superseded);
    assert_eq!(cache.reject(second.generation(), at(6), unread).0, Rejection::Declined);
}

#[test]
fn after_an_abandoned_renewal_the_next_fetch_is_told() {
    let first = bearer("first", 0, HOUR);
    for want in [Want::Token, Want::Renewal] {
        let cache = Cache::serving(&first);
        let start = renew(&cache, &first, "a", 5);
        cache.abandon(&start.flight, at(5));
        assert_eq!(told(&cache.begin(want, 6)), Some("a"), "{want:?}");
        // One that is overdue is replaced, again and again.
        assert_eq!(told(&cache.begin(want, 17)), Some("a"), "{want:?}");
        let start = cache.begin(want, 28);
        assert_eq!(told(&start), Some("a"), "{want:?}");
        cache.bring(&start.flight, &bearer("second", 28, HOUR), 28);
        assert_eq!(told(&cache.begin(Want::Renewal, 29)), None);
    }
}

#[test]
fn challenges_of_a_failed_fetch_are_forgotten() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    let start = renew(&cache, &first, "unheard of", STALE);
    cache.fail(&start.flight, Error::new(ErrorKind::Refused, ""), STALE);
    let start = cache.begin(Want::Refresh, STALE + 5);
    assert_eq!((start.reason, told(&start)), (FetchReason::Stale, None));
    // Nor if it was abandoned, and the suspect came back.
    let cache = Cache::serving(&first);
    let flight = cache.begin(Want::Renewal, STALE).flight;
    cache.fail(&flight, Error::new(ErrorKind::Refused, ""), STALE);
    let flight = cache.begin(Want::Renewal, STALE).flight;
    assert_eq!(cache.reject(first.generation(), at(STALE), asks("a")).0, Rejection::Renewing);
    cache.abandon(&flight, at(STALE + 1));
    assert_eq!(cache.ask(STALE + 1), Ok(first.generation()));
    assert_eq!(told(&cache.begin(Want::Refresh, STALE + 5)), None);
}

#[test]
fn l29_a_flight_without_the_challenges_is_not_a_renewal() {
    let (first, second, third) = (bearer("1", 0, HOUR), bearer("2", STALE, HOUR), bearer("3", STALE, HOUR));
    let cache = Cache::serving(&first);
    let start = cache.begin(Want::Refresh, STALE);
    let (rejection, joined) = cache.reject(first.generation(), at(STALE), asks("a"));
    assert!(rejection == Rejection::Renewing && joined.is_none() && told(&start).is_none());
    cache.bring(&start.flight, &second, STALE);
    let start = renew(&cache, &second, "a", STALE);
    assert_eq!(told(&start), Some("a"));
    cache.bring(&start.flight, &third, STALE);
    // From here on the brake holds as ever.
    assert_eq!(cache.reject(third.generation(), at(STALE + 4), unread).0, Rejection::Declined);
    assert_eq!(told(&renew(&cache, &third, "b", STALE + 5)), Some("b"));
    // Without a word of the API, the flight that was joined is a renewal.
    let cache = Cache::serving(&first);
    let flight = cache.begin(Want::Refresh, STALE).flight;
    assert_eq!(cache.refused(&first, STALE), Rejection::Renewing);
    cache.bring(&flight, &second, STALE);
    assert_eq!(cache.refused(&second, STALE + 4), Rejection::Declined);
    assert_eq!(cache.refused(&second, STALE + 5), Rejection::Renewing);
}

#[test]
fn l09_the_fetch_after_a_too_short_bearer_is_told() {
    let cache = cache();
    for (seconds, before) in [(0, None), (1, Some("0")), (2, Some("1"))] {
        let start = cache.begin(Want::Token, seconds);
        assert_eq!((start.reason, told(&start)), (FetchReason::Missing, before));
        let short = bearer(&format!("{seconds}"), seconds, 0);
        cache.bring(&start.flight, &short, seconds);
        let claims = seconds.to_string();
        assert_eq!(cache.reject(short.generation(), at(seconds), asks(&claims)).0, Rejection::Renewing);
    }
    let start = cache.begin(Want::Token, 3);
    assert_eq!(told(&start), Some("2"));
    cache.fail(&start.flight, outage(), 3);
    assert_eq!(told(&cache.begin(Want::Token, 5)), None);
}

#[test]
fn a_rejection_without_challenges_removes_none() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    assert_eq!(cache.reject(first.generation(), at(HOUR), asks("a")).0, Rejection::Renewing);
    assert_eq!(cache.reject(first.generation(), at(HOUR), silence).0, Rejection::Renewing);
    assert_eq!(told(&cache.begin(Want::Token, HOUR)), Some("a"));
}
