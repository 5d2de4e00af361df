//! The table of states, row by row, and that an illegal combination is noticed.

use super::*;

type Step = (&'static str, fn(&Cache, &mut Vec<Arc<TokenFlight>>), Row);

fn first() -> Bearer {
    bearer("first", 0, HOUR)
}

/// Runs the steps on a new cache, and compares the row after each.
fn walk(steps: &[Step]) {
    let (cache, mut flights) = (cache(), Vec::new());
    assert_eq!(cache.now_in(), Row::Empty);
    for (number, (step, act, expected)) in steps.iter().enumerate() {
        act(&cache, &mut flights);
        assert_eq!(cache.now_in(), *expected, "after step {number}, {step}");
    }
}

const BEGIN: Step = ("begin", |cache, flights| flights.push(cache.begin(Want::Renewal, 0).flight), Row::Fetching);
const BRING: Step = ("bring", |cache, flights| cache.bring(&flights.pop().unwrap(), &first(), 0), Row::Serving);
const FAIL: Step = ("fail", |cache, flights| cache.fail(&flights.pop().unwrap(), outage(), 0), Row::Failed);
const ABANDON: Step = ("abandon", |cache, flights| assert!(cache.abandon(&flights.pop().unwrap(), at(0))), Row::Empty);

const fn to(step: Step, row: Row) -> Step {
    (step.0, step.1, row)
}

/// Rejects what is in service.
const REJECT: Step = (
    "reject",
    |cache, flights| {
        let generation = cache.in_service(0).expect("a bearer");
        let (rejection, start) = cache.reject(generation, at(0), silence);
        assert_eq!(rejection, Rejection::Renewing);
        flights.extend(start.map(|start| start.flight));
    },
    Row::Renewing,
);

/// Begins another flight in place of one that is overdue.
const REPLACE: Step = (
    "replace",
    |cache, flights| {
        flights.clear();
        flights.push(cache.begin(Want::Renewal, 60).flight);
    },
    Row::Fetching,
);

#[test]
fn transitions_lead_where_the_table_says() {
    walk(&[BEGIN, FAIL, BEGIN, to(ABANDON, Row::Failed), BEGIN, BRING]);
    walk(&[BEGIN, ABANDON, BEGIN, REPLACE, BRING]);
    let refresh = to(BEGIN, Row::Refreshing);
    walk(&[BEGIN, BRING, refresh, to(FAIL, Row::Serving), refresh, to(ABANDON, Row::Serving), refresh, BRING]);
    walk(&[BEGIN, BRING, refresh, to(REPLACE, Row::Refreshing), BRING]);
    // A rejection begins a renewal, or joins the refresh.
    walk(&[BEGIN, BRING, REJECT, BRING]);
    walk(&[BEGIN, BRING, refresh, REJECT, to(FAIL, Row::Serving)]);
    walk(&[BEGIN, BRING, REJECT, to(REPLACE, Row::Renewing), BRING]);
    walk(&[BEGIN, BRING, REJECT, to(ABANDON, Row::Withdrawn), to(BEGIN, Row::Renewing), BRING]);
    // During a cool-down, a withdrawn bearer is served again.
    let ask: Step = ("ask", |cache, _| assert!(cache.ask(0).is_ok()), Row::Serving);
    walk(&[BEGIN, BRING, refresh, to(FAIL, Row::Serving), refresh, REJECT, to(ABANDON, Row::Withdrawn), ask]);
    let resume: Step = (
        "resume",
        |cache, _| cache.resume_cool_down(Arc::new(Failure { error: outage(), until: u64::MAX, in_a_row: 1 })),
        Row::Failed,
    );
    walk(&[resume]);
}

#[test]
fn illegal_combinations_have_no_row() {
    type Break = fn(&Cache, &mut State);
    let broken: [(&str, Break); 5] = [
        ("a suspect that is in service", |_, state| state.suspect = Some(first())),
        ("a gate that is open during a flight", |cache, state| {
            let flight = Flight::new(Duration::from_secs(11));
            state.flight = Some(Current { flight, reason: FetchReason::Stale, challenges: None });
            cache.gate.store(0, Ordering::Relaxed);
        }),
        ("a gate that is open during a cool-down", |cache, _| {
            cache.failure.set(Some(Arc::new(Failure { error: outage(), until: 7, in_a_row: 1 })));
        }),
        ("a failure that is not counted", |cache, _| {
            cache.failure.set(Some(Arc::new(Failure { error: outage(), until: 0, in_a_row: 0 })));
        }),
        ("challenges about no bearer", |cache, state| {
            cache.slot.set(None);
            state.challenges = Some(Arc::default());
        }),
    ];
    for (case, break_it) in broken {
        let cache = Cache::serving(&first());
        let mut state = lock(&cache.state);
        assert_eq!(cache.row(&state), Some(Row::Serving));
        break_it(&cache, &mut state);
        assert_eq!(cache.row(&state), None, "{case}");
    }
}
