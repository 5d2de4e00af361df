//! What happens to the tenants, and what operators do with the map meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bearer_token::{KeyedProviders, ProviderState};

use super::tenants::{BOUND, Build, Fetch, Planted, Shared, TENANTS};

const MILLI: Duration = Duration::from_millis(1);

/// Makes trouble until it is over, and then ends all of it.
pub(crate) async fn trouble(course: Shared, maps: Vec<KeyedProviders<u64>>, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        course.sleep(MILLI * course.below(300) as u32).await;
        let map = &maps[course.below(maps.len() as u64) as usize];
        one_event(&course, map);
        let len = map.len();
        course.oracle.require(len <= BOUND, || format!("{len} providers, the bound is {BOUND}"));
    }
    for tenant in 0..TENANTS {
        course.change(tenant, |tenant| (tenant.build, tenant.fetch) = (Build::Works, Fetch::Works));
    }
}

fn one_event(course: &Shared, map: &KeyedProviders<u64>) {
    let tenant = course.below(TENANTS);
    match course.below(24) {
        0..4 => {
            let all = [Fetch::Fails, Fetch::Fails, Fetch::Refuses, Fetch::Hangs, Fetch::Panics];
            let fetch = all[course.below(all.len() as u64) as usize];
            course.change(tenant, |tenant| tenant.fetch = fetch);
        }
        4..8 => {
            let all = [Build::Fails, Build::Panics, Build::Nested, Build::IsOvertaken];
            let build = all[course.below(all.len() as u64) as usize];
            course.change(tenant, |tenant| tenant.build = build);
        }
        8..14 => {
            for tenant in (tenant..TENANTS).step_by(3) {
                course.change(tenant, |tenant| (tenant.build, tenant.fetch) = (Build::Works, Fetch::Works));
            }
        }
        14..16 => {
            let last = course.last_serial();
            course.change(tenant, |tenant| tenant.revoked = last);
        }
        16..18 => {
            course.oracle.saw("remove");
            course.replace_credential(map, tenant);
        }
        18 => {
            course.oracle.saw("retain");
            let (unwanted, rest) = (course.below(5), course.below(5));
            let is_removed = move |tenant: u64| tenant % 5 == unwanted || tenant % 7 == rest;
            let keep = |tenant: &u64| !is_removed(*tenant);
            course.oracle.removal(is_removed, || map.retain(|tenant, _| keep(tenant)));
        }
        19 => {
            course.oracle.saw("reject all");
            map.reject_all();
        }
        20..22 => {
            course.oracle.saw("swept");
            map.evict_idle();
        }
        22 => {
            let status = map.status(3);
            let all = status.fresh + status.stale + status.empty + status.cooling_down;
            let worst = status.failing.iter().map(|(_, status)| status.failures_in_a_row);
            course.oracle.require(worst.is_sorted_by(|one, next| one >= next), || format!("not the worst: {status:?}"));
            // A map of this size has one table, which is read at one moment.
            course.oracle.require(all <= BOUND, || format!("{all} states, the bound is {BOUND}"));
        }
        _ if course.planted == Planted::ForgottenCoolDown => {
            let failing = map.status(BOUND).failing.into_iter();
            for (tenant, _) in failing.filter(|(_, status)| status.state == ProviderState::CoolingDown) {
                map.remove(&tenant);
            }
        }
        _ => {}
    }
}
