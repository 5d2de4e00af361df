//! The first request of a process: `cold_start NAME URL` prints the milliseconds from the start of the program to the
//! end of a request with a token from that endpoint, and the longest stretch for which a worker of the runtime was
//! busy.

use std::{
    cell::Cell,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use lab::{contenders, endpoint::Endpoint};
use nix::time::{ClockId, clock_gettime};
use tokio::{runtime, time};

thread_local! {
    static WOKEN: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn main() -> ExitCode {
    let started = Instant::now();
    let mut arguments = std::env::args().skip(1);
    let (name, url) = (arguments.next().expect("a name"), arguments.next().expect("a URL"));
    let longest = Arc::new(AtomicU64::new(0));
    let measured = longest.clone();
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_unpark(|| WOKEN.set(worked()))
        .on_thread_park(move || {
            let busy = worked().saturating_sub(WOKEN.get());
            measured.fetch_max(u64::try_from(busy.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        })
        .build()
        .expect("a runtime");
    let driver = runtime.block_on(contenders::cold(&name, &Endpoint::at(url)));
    // In a task, so a worker does it.
    let task = runtime.spawn(async move { time::timeout(Duration::from_secs(20), driver.send_one()).await });
    match runtime.block_on(task) {
        Ok(Ok(Ok(()))) => {
            let millis = started.elapsed().as_secs_f64() * 1e3;
            // The worker parks once its task has ended.
            std::thread::sleep(Duration::from_millis(20));
            println!("{millis} {}", longest.load(Ordering::Relaxed) as f64 / 1e3);
            ExitCode::SUCCESS
        }
        Ok(Ok(Err(failed))) => {
            eprintln!("{}", failed.0);
            ExitCode::FAILURE
        }
        Ok(Err(_)) => {
            eprintln!("no token within 20 s");
            ExitCode::FAILURE
        }
        Err(panic) => {
            eprintln!("{panic}");
            ExitCode::FAILURE
        }
    }
}

/// The processor time of this thread, because others may preempt it.
fn worked() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
