//! A new sealing key, in three steps that reach the replicas one after another.

use super::*;

/// The steps from the key `KEY` to another one.
const NEW: &str = "ZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=";

fn steps() -> [String; 4] {
    [KEY.to_owned(), format!("{KEY}\n{NEW}\n{KEY}"), format!("{NEW}\n{KEY}"), NEW.to_owned()]
}

/// A process that has these keys.
fn replica(world: &World, keys: &str) -> Replica {
    let fleet = Fleet::builder(world.store.clone(), SealingKeys::new(keys)).build().unwrap();
    fleet.share(Client { server: world.server.clone(), credential: "the usual secret" }).unwrap().into()
}

#[tokio::test(start_paused = true)]
async fn replicas_in_neighbouring_steps_share_whichever_fetches() {
    let steps = steps();
    for (earlier, later) in [(0, 1), (1, 2)] {
        for order in [[earlier, later], [later, earlier]] {
            let world = World::new();
            for step in order {
                assert_eq!(world.token(&replica(&world, &steps[step]), FetchReason::Missing).await, 1, "{order:?}");
            }
            // A renewal by the one is adopted by the other.
            let [one, other] = order.map(|step| replica(&world, &steps[step]));
            world.token(&other, FetchReason::Missing).await;
            assert_eq!(world.token(&one, FetchReason::Requested).await, 2);
            assert_eq!(world.token(&other, FetchReason::Stale).await, 2, "{order:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_rotation_costs_one_request() {
    let world = World::new();
    for (step, expected) in steps().iter().zip([1, 1, 1, 2]) {
        assert_eq!(world.token(&replica(&world, step), FetchReason::Missing).await, expected, "{step}");
    }
}

/// A step is missing: the key seals before all replicas can open.
#[tokio::test(start_paused = true)]
async fn a_skipped_step_costs_requests_and_no_failures() {
    let (world, steps) = (World::new(), steps());
    let (old, new) = (replica(&world, &steps[0]), replica(&world, &steps[2]));
    for replica in [&old, &new] {
        assert_eq!(world.token(replica, FetchReason::Missing).await, 1);
    }
    assert_eq!(world.token(&new, FetchReason::Stale).await, 2);
    assert_eq!(world.token(&old, FetchReason::Stale).await, 3, "it cannot open the second");
    assert_eq!(world.token(&new, FetchReason::Stale).await, 3, "and this one opens the third");
}
