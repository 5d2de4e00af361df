//! What happens to a world: outages, clocks that are set, runtimes that go away, keys that are replaced.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bearer_token::{
    TokenProvider,
    jwt::KeyReader,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
};

use super::{
    callers::{Crowd, Handle},
    oracle::{Model, Oracle, Seen},
    server::{KeyFile, Mood, Said, Server, Watched, Wire},
    world::{Executor, NO_RUNTIME, Runtime, World, lock},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// How large a world is, and how long it lasts.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) callers: usize,
    pub(crate) pause: Duration,
    pub(crate) time: Duration,
}

struct Weather {
    plan: Plan,
    world: World,
    executor: Executor,
    crowd: Crowd,
    server: Arc<Server>,
    oracle: Arc<Oracle>,
    key_file: KeyFile,
    key: u64,
    providers: u64,
    runtimes: Vec<Runtime>,
    next_runtime: Runtime,
}

/// Lives through a plan. Gives what was seen, and the provider that is left. Panics with the first thing that is wrong.
pub(crate) fn live(plan: Plan) -> (Seen, TokenProvider) {
    let world = World::new(plan.seed);
    let (server, oracle) = (Arc::new(Server::new(world.clone())), Arc::new(Oracle::default()));
    let key_file = KeyFile::new();
    let handle = Arc::new(Mutex::new(Arc::new(handle(&world, &server, &oracle, &key_file, 1))));
    let crowd = Crowd {
        world: world.clone(),
        server: server.clone(),
        oracle: oracle.clone(),
        handle,
        pause: plan.pause,
        disturbed: Arc::new(AtomicU64::new(0)),
        over: Arc::new(AtomicBool::new(false)),
    };
    let executor = Executor::new(world.clone());
    let (runtimes, next_runtime) = (vec![NO_RUNTIME, 1, 2, 3], 4);
    let mut weather = Weather {
        plan,
        world,
        executor,
        crowd,
        server,
        oracle,
        key_file,
        key: 1,
        providers: 1,
        runtimes,
        next_runtime,
    };
    weather.pass();
    weather.model().forget();
    weather.server.forget();
    let provider = lock(&weather.crowd.handle).provider.clone();
    (weather.oracle.seen(), provider)
}

fn handle(world: &World, server: &Arc<Server>, oracle: &Arc<Oracle>, key: &KeyFile, provider: u64) -> Handle {
    let model = Arc::new(Model::new(world.clone(), oracle.clone()));
    let wire = Wire { server: server.clone(), model: model.clone(), provider };
    let key = KeyReader::new().read_file(&key.path).unwrap();
    let endpoint = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
        .client_auth(ClientAuth::client_secret_jwt("reports", key))
        .transport(wire)
        .build()
        .unwrap();
    let source = Watched { source: endpoint, model: model.clone(), world: world.clone() };
    let provider = TokenProvider::builder(source)
        .allow_origin("https://api.example.com")
        .platform(world.platform())
        .build()
        .unwrap();
    Handle { provider, model }
}

impl Weather {
    fn pass(&mut self) {
        for number in 0..self.plan.callers {
            self.join(self.runtimes[number % self.runtimes.len()]);
        }
        let end = self.world.moment().truth + self.plan.time;
        while self.world.moment().truth < end {
            let calm = self.world.about(4 * MINUTE);
            self.wait(calm);
            self.happen();
        }
        self.clear_up();
    }

    /// Everything is fixed. Then there is a token again, every caller is served, and no caller waits.
    fn clear_up(&mut self) {
        self.end_outage();
        self.executor.drive_again();
        self.key_file.hold(self.key);
        self.model().key_changed();
        self.server.recover(self.key);
        // The longest possible wait: what `Retry-After` can ask for.
        self.wait(HOUR + 5 * MINUTE);
        let before = self.oracle.seen();
        self.wait(2 * HOUR);
        let after = self.oracle.seen();
        assert!(after.refused == before.refused, "{}: requests are refused in fair weather", self.told());
        assert!(after.sent > before.sent, "{}: no request is sent", self.told());
        assert!(after.waited == before.waited, "{}: requests wait in fair weather", self.told());
        self.crowd.over.store(true, Ordering::Relaxed);
        self.wait(200 * HOUR);
        assert_eq!(self.executor.tasks(), 0, "{}: tasks are left", self.told());
    }

    fn told(&self) -> String {
        let Plan { seed, .. } = self.plan;
        format!("CHAOS_SEED={seed}, after {:?}", self.oracle.seen())
    }

    fn wait(&mut self, time: Duration) {
        let (oracle, seed) = (&self.oracle, self.plan.seed);
        self.executor.run_for(time, || {
            if let Some(wrong) = oracle.wrong() {
                panic!("CHAOS_SEED={seed}: {wrong}");
            }
        });
    }

    fn join(&mut self, runtime: Runtime) {
        let caller = self.crowd.clone().live();
        self.executor.spawn(runtime, Box::pin(caller));
    }

    fn model(&self) -> Arc<Model> {
        lock(&self.crowd.handle).model.clone()
    }

    fn between(&self, seconds: RangeInclusive<u64>) -> Duration {
        let (least, most) = seconds.into_inner();
        // As often below a minute as above.
        let span = Duration::from_secs(most - least);
        Duration::from_secs(least) + span.mul_f64((self.world.below(1_000) as f64 / 1_000.0).powi(3))
    }

    fn happen(&mut self) {
        match self.world.below(100) {
            0..18 => self.set_clocks(),
            18..40 => self.outage(),
            40..55 => self.other_lifetimes(),
            55..67 => self.api_changes_its_mind(),
            67..77 => self.replace_key(),
            77..88 => self.shut_a_runtime_down(),
            88..96 => self.stop_driving_a_runtime(),
            96 => self.replace_provider(),
            _ => self.crowd_gathers(),
        }
    }

    fn set_clocks(&mut self) {
        let step = self.between(1..=3 * 3_600);
        match self.world.below(3) {
            0 => self.world.suspend(step),
            1 => self.world.set_wall(|wall| wall + step),
            // A few times back to where it should be, so that it does not drift for ever.
            _ => self.world.set_wall(|wall| wall - step),
        }
    }

    fn outage(&mut self) {
        let retry_after = match self.world.below(4) {
            0 => Some(self.between(0..=7_200).as_secs()),
            _ => None,
        };
        let mood = self.world.pick(&[
            Mood::Slow,
            Mood::Away,
            Mood::Hangs,
            Mood::Busy { status: 503, retry_after },
            Mood::Busy { status: 429, retry_after },
            Mood::Busy { status: 500, retry_after },
            Mood::Garbage,
            Mood::Refuses,
        ]);
        let one_in = self.world.pick(&[1, 1, 1, 2, 5]);
        {
            let mut state = lock(&self.server.state);
            (state.mood, state.one_in) = (mood, one_in);
        }
        let complete = one_in == 1 && mood != Mood::Slow;
        if complete {
            self.model().outage_begins();
        }
        let time = self.between(1..=4_000);
        if self.world.one_in(3) {
            self.wait(time / 2);
            self.misfortune();
            self.wait(time / 2);
        } else {
            self.wait(time);
        }
        self.end_outage();
    }

    fn end_outage(&mut self) {
        self.model().outage_ends();
        let mut state = lock(&self.server.state);
        (state.mood, state.one_in) = (Mood::Fair, 1);
    }

    /// What comes on top of an outage.
    fn misfortune(&mut self) {
        match self.world.below(4) {
            0 => self.server.revoke_all(),
            1 => self.shut_a_runtime_down(),
            2 => self.set_clocks(),
            _ => self.crowd_gathers(),
        }
    }

    fn other_lifetimes(&mut self) {
        let said = self.world.pick(&[
            Said::Seconds(3_600),
            Said::Seconds(3_600),
            Said::Seconds(300),
            Said::Seconds(60),
            Said::Seconds(5),
            Said::Seconds(1),
            Said::Seconds(0),
            Said::Seconds(1 << 40),
            Said::Text(3_599),
            Said::Fraction(599.9),
            Said::Nothing,
            Said::Null,
            Said::Negative,
        ]);
        let sticky = self.world.one_in(4);
        let mut state = lock(&self.server.state);
        (state.lifetime, state.sticky) = (said, sticky);
    }

    fn api_changes_its_mind(&mut self) {
        if self.world.one_in(2) {
            return self.server.revoke_all();
        }
        let one_in = self.world.pick(&[1, 3, 20]);
        lock(&self.server.state).unjust = Some(one_in);
        let time = self.between(1..=2_000);
        self.wait(time);
        lock(&self.server.state).unjust = None;
    }

    /// Both sides get a new key, one after the other; the file is written in two halves, at times.
    fn replace_key(&mut self) {
        self.key += 1;
        let time = self.between(0..=900);
        if self.world.one_in(2) {
            lock(&self.server.state).key = self.key;
            self.wait(time);
        }
        if self.world.one_in(3) {
            self.key_file.hold_half(self.key);
            self.model().key_changed();
            self.wait(10 * SECOND);
        }
        self.key_file.hold(self.key);
        self.model().key_changed();
        if lock(&self.server.state).key != self.key {
            self.wait(time);
            lock(&self.server.state).key = self.key;
        }
    }

    /// Stops in the middle of something, and gives a runtime for which that may be a bad moment.
    fn in_the_middle(&mut self) -> Runtime {
        let until_spawned = self.world.one_in(2);
        let runtime = self.executor.run_steps(self.world.below(3_000), until_spawned);
        runtime.unwrap_or_else(|| self.world.pick(&self.runtimes[1..]))
    }

    fn shut_a_runtime_down(&mut self) {
        let runtime = self.in_the_middle();
        let place = self.runtimes.iter().position(|one| *one == runtime).unwrap();
        self.crowd.disturbed.fetch_add(2, Ordering::Relaxed);
        self.executor.shut_down(runtime);
        self.runtimes[place] = self.next_runtime;
        self.next_runtime += 1;
        for _ in 0..self.plan.callers / self.runtimes.len() {
            self.join(self.runtimes[place]);
        }
    }

    fn stop_driving_a_runtime(&mut self) {
        self.crowd.disturbed.fetch_add(1, Ordering::Relaxed);
        let runtime = self.in_the_middle();
        self.executor.stop_driving(runtime);
        let time = self.between(1..=600);
        self.wait(time);
        self.crowd.disturbed.fetch_add(1, Ordering::Relaxed);
        self.executor.drive_again();
    }

    /// The application drops its provider, while requests are on their way, and makes another one.
    fn replace_provider(&mut self) {
        self.providers += 1;
        let new = handle(&self.world, &self.server, &self.oracle, &self.key_file, self.providers);
        *lock(&self.crowd.handle) = Arc::new(new);
    }

    /// All callers arrive at once.
    fn crowd_gathers(&mut self) {
        for number in 0..self.plan.callers {
            let runtime = self.runtimes[number % self.runtimes.len()];
            let crowd = self.crowd.clone();
            self.executor.spawn(runtime, Box::pin(async move { crowd.call_once().await }));
        }
        self.wait(SECOND);
    }
}
