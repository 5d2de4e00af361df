//! What tenants share, and what they do not.

use super::*;

#[tokio::test]
async fn each_tenant_sends_its_own_token() {
    let bench = Bench::new();
    let tenants = bench.tenants().build().unwrap();
    assert_eq!(sent(&tenants, 1), None, "nothing is there yet");
    for tenant in [1, 2, 1] {
        assert_eq!(secret(&tenants, tenant).await.unwrap(), format!("token-of-{tenant}"));
        assert_eq!(sent(&tenants, tenant), Some(format!("Bearer token-of-{tenant}")));
    }
    assert_eq!((bench.builds(), bench.fetches(), tenants.len()), (2, 2, 2));
}

#[tokio::test]
async fn l39_a_key_is_its_whole_value_and_nothing_else() {
    let tenants = KeyedProviders::builder(|(tenant, audience): &(String, String)| {
        let token = format!("{tenant}/{audience}");
        let source = move |_cx: FetchContext| {
            let token = token.clone();
            async move { Ok(AccessToken::new(token)) }
        };
        Ok(TokenProvider::builder(source))
    })
    .build()
    .unwrap();
    let key = |tenant: &str, audience: &str| (tenant.to_owned(), audience.to_owned());
    // As one string these would be the same.
    for (tenant, audience) in [("a", "b/c"), ("a/b", "c"), ("", "a/b/c")] {
        let bearer = tenants.token(&key(tenant, audience)).unwrap().await.unwrap();
        assert_eq!(bearer.secret(), format!("{tenant}/{audience}"));
    }
    assert_eq!(tenants.len(), 3);
}

#[tokio::test]
async fn l04_a_hung_tenant_delays_no_other() {
    let bench = Bench::hanging(|tenant| tenant == 1);
    let tenants = bench.tenants().build().unwrap();
    let mut hung = tenants.token(&1).unwrap();
    assert!(poll_once(&mut hung).is_pending());
    assert_eq!(secret(&tenants, 2).await.unwrap(), "token-of-2");
    assert!(poll_once(&mut hung).is_pending());
}

#[tokio::test]
async fn a_stale_token_is_served_and_renewed_once() {
    let bench = Bench::new();
    let tenants = bench.tenants().build().unwrap();
    secret(&tenants, 1).await.unwrap();
    bench.clock.advance(58 * 60 * SECOND);
    for _ in 0..3 {
        assert!(sent(&tenants, 1).is_some());
    }
    while bench.fetches() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test]
async fn a_rejection_reaches_the_tenant_whose_token_it_was() {
    let bench = Bench::new();
    let tenants = bench.tenants().build().unwrap();
    let first = tenants.token(&1).unwrap().await.unwrap();
    secret(&tenants, 2).await.unwrap();
    bench.clock.advance(60 * SECOND);
    let _ = first.ticket().reject(&http::HeaderMap::new());
    secret(&tenants, 1).await.unwrap();
    secret(&tenants, 2).await.unwrap();
    assert_eq!((bench.fetches_of(1), bench.fetches_of(2)), (2, 1));
}
