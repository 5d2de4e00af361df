//! The protocols of shared tokens, in every order of events: three replicas, two lifetimes, every single fault.
//!
//! Each property has broken variants of its protocol, which must be found out.
#![allow(clippy::panic, clippy::unwrap_used, clippy::unreachable, reason = "a test fails by panicking")]

mod properties;
mod refresh;
mod replica;
mod rules;
mod search;
mod sound;
mod state;
mod store;
mod tie;
mod variants;
mod world;

use self::{
    rules::SOUND,
    world::{Fault, World},
};

/// No faults, no rejections, no outages: two lifetimes and the beginning of a third.
const QUIET: World = World {
    rules: SOUND,
    faults: &[],
    budget: 0,
    in_order: false,
    replicas: 3,
    troubles_at: None,
    skew: 0,
    revocations: 0,
    refuses_all: false,
    outages: 0,
    without_a_connection: 0,
    allowed: 0,
    until: 13,
    only: None,
    except: None,
};

/// One of these faults. A save that a pause delays makes the record live for longer than its token, by as much.
const fn one_of(faults: &'static [Fault]) -> World {
    World { faults, budget: 1, allowed: 1, until: 10, except: Some(properties::TOO_LONG), ..QUIET }
}

const EVERY_FAULT_OF_A_REPLICA: &[Fault] = &[Fault::Crash, Fault::Pause, Fault::LostReply, Fault::LostRequest];

/// A lease is left behind, and the store's clock is set back and right again. Two replicas, to their first refresh.
const RIGHT_AGAIN: World = World {
    budget: 3,
    in_order: true,
    replicas: 2,
    until: 8,
    only: Some(properties::WITHOUT),
    except: None,
    ..one_of(&[Fault::Crash, Fault::ClockBack, Fault::ClockAhead])
};

/// At the first refresh a lease is left behind, the store's clock is set back, and a token is revoked. Two replicas, beyond
/// the end of the first token.
const STAYS_BEHIND: World = World {
    budget: 2,
    in_order: true,
    replicas: 2,
    troubles_at: Some(6),
    revocations: 1,
    until: 13,
    only: Some(properties::ENDED),
    except: None,
    ..one_of(&[Fault::Crash, Fault::ClockBack])
};

/// One replica that needs a token again and again, and a store that is down for any time.
const SILENT: World = World {
    replicas: 1,
    refuses_all: true,
    until: 13,
    only: Some(properties::ASKED),
    except: None,
    ..one_of(&[Fault::StoreDown])
};
