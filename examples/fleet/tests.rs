//! The bars of the table, as tests: the same fleets, whose instances send a request every two minutes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

/// 10,000 instances of the same second, through eleven cycles of their tokens.
const TOGETHER: Plan = Plan {
    instances: INSTANCES,
    lifetime: HOUR,
    time: Duration::from_secs(8 * 3_600),
    waves: None,
    outage: None,
    jitter: true,
    between: Duration::from_secs(120),
    sharing: None,
};

fn course(plan: &Plan) -> Course {
    let course = simulation::run(plan).unwrap();
    assert_eq!(course.unserved, 0, "a refresh is nothing that a request notices");
    course
}

#[test]
fn l40_ten_thousand_instances_that_start_together_spread_their_refreshes() {
    let course = course(&TOGETHER);
    let (first, tenth) = (course.first_cycle().unwrap(), course.tenth_cycle_on().unwrap());
    assert!(first <= 4.0, "first cycle: {first:.2} times the mean");
    assert!(tenth <= 2.0, "from the tenth cycle on: {tenth:.2} times the mean");
    // Each instance asks at most 1.5 times per lifetime, whatever it draws.
    assert!(course.mean() <= 1.5 * INSTANCES as f64 / 60.0, "{}", course.mean());
}

#[test]
fn l40_fleet_spreads_again_after_a_ten_minute_outage() {
    // Fewer instances, to save time: the peaks are slightly higher, and the bars are the same.
    let instances = 4_000;
    let until = 2 * HOUR + 10 * MINUTE;
    let course = course(&Plan { instances, outage: Some((2 * HOUR, until)), ..TOGETHER });
    // Instances whose refresh fell into the outage renew once each afterwards, and never all of the fleet.
    let refreshed = course.requests(until, until + 2 * MINUTE);
    assert!(refreshed < instances as u32 * 2 / 3, "{refreshed} requests in two minutes");
    let first = course.peak(until + HOUR / 2, until + 2 * HOUR).unwrap();
    let last = course.peak(until + 5 * HOUR, 8 * HOUR).unwrap();
    assert!(first <= 4.0, "in the cycles after it: {first:.2} times the mean");
    assert!(last <= 2.0, "five hours later: {last:.2} times the mean");
}

#[test]
fn without_the_draw_the_fleet_misses_its_bars() {
    let plan = Plan { instances: 100, time: 3 * HOUR, jitter: false, ..TOGETHER };
    assert!(course(&plan).first_cycle().unwrap() > 20.0);
}

#[test]
fn instances_that_share_make_one_request_per_lifetime() {
    let sharing = Some(Sharing { lost: u64::MAX / 4, down: None, revoked: Some(3 * HOUR) });
    let course = simulation::run(&Plan { instances: 1_000, time: 6 * HOUR, sharing, ..TOGETHER }).unwrap();
    assert_eq!(course.unserved, 0);
    // A lifetime of which between a half and nine tenths are used, and the revocation.
    let requests = course.requests(Duration::ZERO, 6 * HOUR);
    assert!((6..=13).contains(&requests), "{requests} token requests");
    assert_eq!(course.rejected, 1_000, "each instance learns of the revocation once");
}

#[test]
fn a_store_that_is_down_leaves_no_instance_without_a_token() {
    let sharing = Some(Sharing { lost: 1_000, down: Some((HOUR, 2 * HOUR)), revoked: None });
    let course = simulation::run(&Plan { instances: 1_000, time: 6 * HOUR, sharing, ..TOGETHER }).unwrap();
    assert_eq!(course.unserved, 0);
    let requests = course.requests(HOUR, 2 * HOUR + 10 * MINUTE);
    assert!((1_000..2_000).contains(&requests), "each instance is on its own: {requests}");
    // With the store, a lost call costs one request of its instance.
    for (from, until, most) in [(Duration::ZERO, HOUR, 20), (3 * HOUR, 6 * HOUR, 40)] {
        let requests = course.requests(from, until);
        assert!((1..=most).contains(&requests), "{requests} token requests from {from:?}");
    }
}
