//! A source whose credential is replaced by that of another account.

use super::*;
use crate::{CredentialInUse, HotSwap, TokenProvider, Value};

/// A client of an account. The server issues `account-1`, `account-2` and so on.
struct Account {
    server: Server,
    name: String,
    is_unknown: bool,
}

impl TokenSource for Account {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let token = self.server.clone().respond(cx).await?;
        let number = token.secret().trim_start_matches("MARKER-").to_owned();
        Ok(AccessToken::new(format!("{}-{number}", self.name)).expires_in(HOUR))
    }

    fn identity(&self, identity: &mut Identity) {
        identity.text("account", &self.name);
        if self.is_unknown {
            identity.unknown("user");
        }
        let name = self.name.clone();
        identity.credential(move |_| {
            let name = name.clone();
            Box::pin(async move { Ok(zeroize::Zeroizing::new(name.into_bytes())) })
        });
    }
}

fn account(world: &World, name: &str) -> Account {
    Account { server: world.server.clone(), name: name.to_owned(), is_unknown: name == "unknown" }
}

/// A replica that follows a file, and the provider's memory of it.
fn follower(world: &World, file: &tempfile::NamedTempFile) -> Replica {
    let server = world.server.clone();
    let swap = HotSwap::following(Value::file(file.path()), move |name| {
        Ok(Account { server: server.clone(), name: name.to_owned(), is_unknown: name == "unknown" })
    });
    world.fleet().share(swap.unwrap()).unwrap().into()
}

fn file_with(name: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), name).unwrap();
    file
}

async fn secret(world: &World, replica: &Replica, reason: FetchReason) -> String {
    world.fetch(replica, reason).await.unwrap().secret().to_owned()
}

fn refused() -> Error {
    Error::new(ErrorKind::Refused, "the server refused the client")
}

#[tokio::test(start_paused = true)]
async fn another_account_in_a_followed_file_has_another_record() {
    let world = World::new();
    let (file, other_file) = (file_with("alice"), file_with("alice"));
    let (replica, other) = (follower(&world, &file), follower(&world, &other_file));
    for replica in [&replica, &other] {
        assert_eq!(secret(&world, replica, FetchReason::Missing).await, "alice-1");
    }
    std::fs::write(file.path(), "bob").unwrap();
    assert_eq!(secret(&world, &replica, FetchReason::Requested).await, "bob-2");
    // The other replica has the old file still.
    let cold = other.another_provider();
    assert_eq!(secret(&world, &cold, FetchReason::Missing).await, "alice-1");
    assert_eq!(secret(&world, &other, FetchReason::Stale).await, "alice-3");
    std::fs::write(other_file.path(), "bob").unwrap();
    assert_eq!(secret(&world, &other.another_provider(), FetchReason::Missing).await, "bob-2", "they share again");
}

#[tokio::test(start_paused = true)]
async fn a_replaced_source_shares_with_replicas_that_had_it_from_the_start() {
    let world = World::new();
    let swap = HotSwap::new(account(&world, "alice"));
    let replica = Replica::from(world.fleet().share(swap.clone()).unwrap());
    swap.replace(account(&world, "bob"));
    assert_eq!(secret(&world, &replica, FetchReason::Missing).await, "bob-1");
    let alone = world.fleet().share(account(&world, "bob")).unwrap().into();
    assert_eq!(secret(&world, &alone, FetchReason::Missing).await, "bob-1");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_previous_account_is_not_shared() {
    let world = World::new();
    let swap = HotSwap::new(account(&world, "alice"));
    let provider = TokenProvider::builder(world.fleet().share(swap.clone()).unwrap());
    let provider = provider.platform(world.platform.clone()).build().unwrap();
    assert_eq!(provider.token().await.unwrap().secret(), "alice-1");
    swap.replace(account(&world, "bob"));
    world.server.fails_with(refused());
    assert_eq!(provider.refresh_now().await.unwrap().secret(), "alice-3", "the server does not know the new one yet");
    let bob = world.fleet().share(account(&world, "bob")).unwrap().into();
    assert_eq!(secret(&world, &bob, FetchReason::Missing).await, "bob-4", "and not alice-3");
    let alice = world.fleet().share(account(&world, "alice")).unwrap().into();
    assert_eq!(secret(&world, &alice, FetchReason::Missing).await, "alice-1");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_previous_secret_is_shared() {
    let world = World::new();
    let client = |credential| Client { server: world.server.clone(), credential };
    let swap = HotSwap::new(client("old"));
    let replica = Replica::from(world.fleet().share(swap.clone()).unwrap());
    swap.replace(client("new"));
    world.server.fails_with(refused());
    assert_eq!(world.token(&replica, FetchReason::Missing).await, 2);
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 2, "the account is the same");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_beside_an_outage_stops_no_replica_for_long() {
    let world = World::new();
    let client = |credential| Client { server: world.server.clone(), credential };
    let swap = HotSwap::new(client("old"));
    let replica = Replica::from(world.fleet().share(swap.clone()).unwrap());
    swap.replace(client("new"));
    world.server.fails_with(refused());
    world.server.fails_with(Error::new(ErrorKind::Unavailable, "HTTP 503"));
    assert!(world.fetch(&replica, FetchReason::Missing).await.unwrap_err().is_transient());
    // A replica that has the new secret as well.
    let other = world.replica_with("new");
    assert!(world.fetch(&other, FetchReason::Missing).await.unwrap_err().is_transient());
    world.pass(SECOND * 2).await;
    assert_eq!(world.token(&other, FetchReason::Missing).await, 3, "and not after the pause of a refusal");
}

#[tokio::test(start_paused = true)]
async fn a_new_credential_that_cannot_be_described_is_an_error() {
    let world = World::new();
    let file = file_with("alice");
    let replica = follower(&world, &file);
    secret(&world, &replica, FetchReason::Missing).await;
    std::fs::write(file.path(), "unknown").unwrap();
    let error = world.fetch(&replica, FetchReason::Stale).await.unwrap_err();
    assert_eq!(error.retry(), Retry::AfterChange);
    assert!(error.to_string().contains("(user)") && error.to_string().contains("Fleet::share_as"), "{error}");
    assert_eq!(world.server.requests(), 1);
    // A name stands for what cannot be described.
    let swap = HotSwap::new(account(&world, "unknown"));
    let named = Replica::from(world.fleet().share_as("a user", swap.clone()));
    assert_eq!(secret(&world, &named, FetchReason::Missing).await, "unknown-2");
    swap.replace(account(&world, "unknown"));
    assert_eq!(secret(&world, &named, FetchReason::Requested).await, "unknown-3");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_gone_keeps_no_replica_from_adopting() {
    let world = World::new();
    let (file, other_file) = (file_with("alice"), file_with("alice"));
    let (replica, other) = (follower(&world, &file), follower(&world, &other_file));
    secret(&world, &replica, FetchReason::Missing).await;
    drop(other_file);
    assert_eq!(secret(&world, &other, FetchReason::Missing).await, "alice-1");
}

#[tokio::test(start_paused = true)]
async fn the_status_says_which_credential_is_in_use() {
    let world = World::new();
    let provider = |source: Shared| TokenProvider::builder(source).platform(world.platform.clone()).build().unwrap();
    let swap = HotSwap::new(account(&world, "alice"));
    let swapped = provider(world.fleet().share(swap.clone()).unwrap());
    swapped.token().await.unwrap();
    assert!(matches!(swapped.status().credential, Some(CredentialInUse::Latest)));
    swap.replace(account(&world, "bob"));
    let status = swapped.status();
    assert!(matches!(status.credential, Some(CredentialInUse::Pending)), "nothing was tried yet");
    assert!(status.to_string().contains("; the latest credential has brought no token yet"), "{status}");
    world.server.fails_with(refused());
    assert_eq!(swapped.refresh_now().await.unwrap().secret(), "alice-3");
    let status = swapped.status();
    assert!(matches!(&status.credential, Some(CredentialInUse::Previous(error)) if error.kind() == ErrorKind::Refused));
    assert!(
        status.to_string().contains("the latest one was refused or is unusable: the server refused the client"),
        "{status}"
    );
    let other = provider(world.fleet().share(account(&world, "alice")).unwrap());
    assert!(other.status().credential.is_none(), "it has one that stays");
}
