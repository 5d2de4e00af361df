//! Providers that share a token, and an API that refuses tokens: how many requests are refused, and what it costs.

use http::HeaderMap;

use super::*;
use crate::{Authorized, Destination, TokenProvider, token::Rejection};

const REPLICAS: usize = 10;
/// All tokens of an hour are stale then, whatever was drawn.
const STALE: Duration = Duration::from_secs(49 * 60);
/// Between two requests of a replica.
const BETWEEN: Duration = Duration::from_millis(100);

/// Replicas, and an API that refuses the tokens up to a number.
struct Fleet {
    world: World,
    providers: Vec<TokenProvider>,
    revoked: u32,
    /// Refused requests, for each replica.
    refused: Vec<usize>,
}

impl Fleet {
    /// Each replica has the first token.
    async fn new() -> Self {
        let world = World::new();
        let providers: Vec<_> = (0..REPLICAS).map(|_| provider(&world)).collect();
        for provider in &providers {
            provider.token().await.unwrap();
        }
        assert_eq!(world.server.requests(), 1);
        Fleet { world, providers, revoked: 0, refused: vec![0; REPLICAS] }
    }

    /// One request of a replica. Returns what its provider made of a refusal.
    async fn request(&mut self, number: usize) -> Option<Rejection> {
        let (provider, mut headers) = (&self.providers[number], HeaderMap::new());
        let destination = Destination::new("https", "api.example.com");
        let ticket = match provider.authorize_headers(destination, &mut headers).unwrap() {
            Authorized::Inserted(ticket) => ticket,
            _ => provider.token().await.unwrap().attach(&mut headers).unwrap(),
        };
        let token = headers["authorization"].to_str().unwrap().trim_start_matches("Bearer MARKER-").to_owned();
        if token.parse::<u32>().unwrap() > self.revoked {
            return None;
        }
        self.refused[number] += 1;
        Some(ticket.reject(&HeaderMap::new()))
    }

    /// Each replica sends requests for this time.
    async fn send_for(&mut self, time: Duration) {
        let until = self.world.now() + time;
        while self.world.now() < until {
            for number in 0..self.providers.len() {
                self.request(number).await;
            }
            self.world.pass(BETWEEN).await;
        }
    }

    /// The first replica refreshes, and no other has noticed yet.
    async fn refresh_one(&mut self) {
        self.world.pass(STALE).await;
        self.request(0).await;
        self.world.pass(BETWEEN).await;
        assert_eq!(self.world.server.requests(), 2);
    }

    fn revoke_all(&mut self) {
        self.revoked = u32::try_from(self.world.server.requests()).unwrap();
    }
}

fn provider(world: &World) -> TokenProvider {
    let shared = world.replica().source;
    TokenProvider::builder(shared)
        .allow_origin("https://api.example.com")
        .platform(world.platform.clone())
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_revocation_costs_one_exchange_and_one_refusal_each() {
    let mut fleet = Fleet::new().await;
    fleet.world.pass(SECOND * 60).await;
    fleet.revoke_all();
    fleet.send_for(SECOND * 10).await;
    assert_eq!((fleet.world.server.requests(), fleet.refused), (2, vec![1; REPLICAS]));
}

#[tokio::test(start_paused = true)]
async fn right_after_a_refresh_it_costs_one_refusal_more_and_no_pause() {
    let mut fleet = Fleet::new().await;
    fleet.refresh_one().await;
    fleet.revoke_all();
    // The others are refused with the old token, and take over the new one.
    for number in 1..REPLICAS {
        assert_eq!(fleet.request(number).await, Some(Rejection::Renewing));
    }
    fleet.world.pass(BETWEEN).await;
    assert_eq!(fleet.world.server.requests(), 2);
    // It was revoked as well.
    fleet.send_for(SECOND * 10).await;
    assert_eq!(fleet.world.server.requests(), 3, "one for the fleet");
    assert!(fleet.refused[0] == 1 && fleet.refused[1..].iter().all(|refused| *refused == 2), "{:?}", fleet.refused);
}

#[tokio::test(start_paused = true)]
async fn the_next_revocation_has_the_pause_of_an_exchanged_token() {
    let mut fleet = Fleet::new().await;
    fleet.refresh_one().await;
    fleet.revoke_all();
    fleet.send_for(SECOND).await;
    fleet.revoke_all();
    let before = fleet.world.now();
    while fleet.world.server.requests() == 3 {
        fleet.send_for(BETWEEN).await;
    }
    let waited = fleet.world.now() - before;
    assert!(waited > SECOND * 3 && waited <= SECOND * 5, "{waited:?}");
    fleet.send_for(SECOND).await;
    assert_eq!(fleet.world.server.requests(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_refuses_everything_costs_the_fleet_one_exchange_per_pause() {
    let mut fleet = Fleet::new().await;
    fleet.refresh_one().await;
    fleet.revoked = u32::MAX;
    let mut exchanges = Vec::new();
    for minute in 0..10 {
        let before = fleet.world.server.requests();
        fleet.send_for(SECOND * 60).await;
        exchanges.push(fleet.world.server.requests() - before);
        if minute == 4 {
            // A roll-out: new processes know of the pause from the record.
            fleet.providers = (0..REPLICAS).map(|_| provider(&fleet.world)).collect();
        }
    }
    // At once, and after 5, 10, 20, 40, 80, 160 and 300 s.
    assert!(exchanges.iter().sum::<usize>() <= 8 && exchanges[0] == 4, "{exchanges:?}");
}

#[tokio::test(start_paused = true)]
async fn the_pause_counts_from_the_exchange_in_all_replicas() {
    let mut fleet = Fleet::new().await;
    fleet.revoked = 2;
    assert_eq!(fleet.request(0).await, Some(Rejection::Renewing));
    fleet.world.pass(SECOND * 3).await;
    // It takes over the second token, which is refused as well, in the pause of the fleet.
    assert_eq!(fleet.request(1).await, Some(Rejection::Renewing));
    fleet.world.pass(BETWEEN).await;
    assert_eq!(fleet.request(1).await, Some(Rejection::Declined));
    fleet.world.pass(SECOND * 2).await;
    assert_eq!(fleet.request(1).await, Some(Rejection::Renewing));
    fleet.world.pass(BETWEEN).await;
    assert_eq!((fleet.request(1).await, fleet.world.server.requests()), (None, 3));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_good_begins_with_the_first_pause_again() {
    let mut fleet = Fleet::new().await;
    fleet.revoked = 1;
    fleet.send_for(SECOND).await;
    assert_eq!(fleet.world.server.requests(), 2);
    // It lived for longer than the longest pause.
    fleet.world.pass(SECOND * 301).await;
    fleet.revoked = 3;
    let before = fleet.world.now();
    while fleet.world.server.requests() < 4 {
        fleet.send_for(BETWEEN).await;
    }
    let waited = fleet.world.now() - before;
    assert!(waited > SECOND * 4 && waited <= SECOND * 6, "{waited:?}");
}

/// A fetch takes a time, and a source may bring an old token. The pause begins when the fetch has ended.
#[tokio::test(start_paused = true)]
async fn the_pause_does_not_count_from_the_issue_of_the_token() {
    let mut fleet = Fleet::new().await;
    fleet.revoked = 2;
    fleet.world.server.takes(SECOND * 6);
    assert_eq!(fleet.request(0).await, Some(Rejection::Renewing));
    fleet.world.pass(SECOND * 7).await;
    assert_eq!(fleet.world.server.requests(), 2);
    // The second token is 7 s old, and was saved a second ago.
    assert_eq!(fleet.request(1).await, Some(Rejection::Renewing));
    fleet.world.pass(BETWEEN).await;
    assert_eq!(fleet.request(1).await, Some(Rejection::Declined), "the first pause is 5 s");
    fleet.world.pass(SECOND * 4).await;
    assert_eq!(fleet.request(1).await, Some(Rejection::Renewing));
}
