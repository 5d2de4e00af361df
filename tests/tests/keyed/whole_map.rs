//! Operations on all keys.

use bearer_token::ErrorKind;

use super::*;

#[tokio::test]
async fn a_warm_up_fetches_once_and_names_failures() {
    let bench = Bench::replying(|tenant| match tenant % 10 {
        0 => Err(Error::new(ErrorKind::Refused, "the tenant has left")),
        _ => Ok(AccessToken::new(format!("token-of-{tenant}")).expires_in(HOUR)),
    });
    let tenants = bench.tenants().build().unwrap();
    let mut failed: Vec<_> = tenants.warm_up(0..200, 16).await.into_iter().map(|(tenant, _)| tenant).collect();
    failed.sort_unstable();
    assert_eq!(failed, (0..200).step_by(10).collect::<Vec<_>>());
    assert_eq!(bench.fetches(), 200);
    let status = tenants.status(5);
    assert_eq!((status.fresh, status.cooling_down, status.failing.len()), (180, 20, 5));
}

#[tokio::test]
async fn all_tokens_can_be_rejected_at_once() {
    let bench = Bench::new();
    let tenants = bench.tenants().build().unwrap();
    assert!(tenants.warm_up(0..20, 20).await.is_empty());
    bench.clock.advance(60 * SECOND);
    assert_eq!(tenants.reject_all(), 20);
    assert!(tenants.warm_up(0..20, 20).await.is_empty());
    assert_eq!(bench.fetches(), 40);
}

#[tokio::test]
async fn providers_that_are_not_kept_are_built_again() {
    let bench = Bench::new();
    let tenants = bench.tenants().build().unwrap();
    assert!(tenants.warm_up(0..20, 20).await.is_empty());
    tenants.retain(|tenant, status| tenant % 2 == 0 && status.is_ready());
    assert_eq!(tenants.len(), 10);
    assert!(tenants.remove(&0));
    assert!(!tenants.remove(&0));
    secret(&tenants, 1).await.unwrap();
    secret(&tenants, 2).await.unwrap();
    assert_eq!((bench.fetches_of(1), bench.fetches_of(2)), (2, 1));
}

#[tokio::test]
async fn a_map_that_was_shut_down_gives_no_provider() {
    let bench = Bench::new();
    let tenants = bench.tenants().build().unwrap();
    let held = tenants.get(&1).unwrap();
    tenants.clone().shut_down();
    assert!(tenants.is_empty());
    let error = tenants.get(&1).unwrap_err();
    assert!(error.to_string().contains("was shut down") && !error.is_transient(), "{error}");
    assert_eq!(held.token().await.unwrap().secret(), "token-of-1", "a clone outside goes on");
}
