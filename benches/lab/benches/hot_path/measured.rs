//! The measurements of some contenders, and the bars that are the same for tokens of each length.

use lab::{
    contenders::{BY_HAND, LOOK, Profile, Role},
    report::Report,
    tools::{self, Allocated, Executed, Times},
};

/// Requests per turn: enough for the clock, few enough for a quiet moment.
pub const REQUESTS: u64 = 1_024;

/// The measurements of some contenders with tokens of one length.
pub struct Measured {
    pub rows: Vec<Row>,
    pub times: Times,
}

/// What is counted of one contender.
pub struct Row {
    pub profile: Profile,
    pub instructions: Result<Executed, String>,
    pub allocated: Result<Allocated, String>,
}

impl Measured {
    pub fn take(set: &str, profiles: Vec<Profile>, bytes: usize, processes: usize) -> Result<Self, String> {
        let counted = profiles.into_iter().map(|profile| Row {
            profile,
            instructions: tools::instructions(env!("CARGO_BIN_EXE_instructions"), profile.name),
            allocated: tools::allocations(env!("CARGO_BIN_EXE_allocations"), profile.name),
        });
        let rows = counted.collect();
        Ok(Measured { rows, times: tools::times(env!("CARGO_BIN_EXE_times"), set, bytes, processes, REQUESTS)? })
    }

    /// Without counting.
    pub fn timed(set: &str, profiles: Vec<Profile>, bytes: usize, processes: usize) -> Result<Self, String> {
        let uncounted = || "not counted".to_owned();
        let rows = profiles.into_iter().map(|profile| Row {
            profile,
            instructions: Err(uncounted()),
            allocated: Err(uncounted()),
        });
        let rows = rows.collect();
        Ok(Measured { rows, times: tools::times(env!("CARGO_BIN_EXE_times"), set, bytes, processes, REQUESTS)? })
    }

    pub fn position(&self, name: &str) -> usize {
        self.rows.iter().position(|row| row.profile.name == name).expect("everyone is there")
    }

    pub fn find(&self, role: Role) -> usize {
        self.rows.iter().position(|row| row.profile.role == role).expect("everyone is there")
    }

    pub fn base(&self, one: usize) -> usize {
        self.position(self.rows[one].profile.base)
    }

    /// Nanoseconds of a request, with its making.
    pub fn made(&self, one: usize) -> f64 {
        nanos(self.times.whole.median(|turns| turns.seconds(one)))
    }

    /// Nanoseconds of a request that was made before.
    pub fn bare(&self, one: usize) -> f64 {
        nanos(self.times.bare.median(|turns| turns.seconds(one)))
    }

    pub fn net(&self, one: usize) -> f64 {
        nanos(self.times.bare.median(|turns| turns.net(one, self.base(one))))
    }

    /// The ratio of net times, of each run.
    pub fn net_ratios(&self, one: usize, other: usize) -> Vec<f64> {
        self.times.bare.each(|turns| turns.net(one, self.base(one)) / turns.net(other, self.base(other)))
    }

    pub fn instructions(&self, one: usize) -> f64 {
        self.rows[one].instructions.as_ref().map_or(f64::NAN, Executed::total)
    }

    pub fn net_instructions(&self, one: usize) -> f64 {
        self.instructions(one) - self.instructions(self.base(one))
    }

    pub fn allocations(&self, one: usize) -> f64 {
        self.rows[one].allocated.as_ref().map_or(f64::NAN, |allocated| allocated.calls)
    }

    pub fn bytes(&self, one: usize) -> f64 {
        self.rows[one].allocated.as_ref().map_or(f64::NAN, |allocated| allocated.bytes)
    }

    /// The fastest peer that checks the expiry of its token.
    pub fn fastest_peer(&self) -> Option<usize> {
        let peers = (0..self.rows.len()).filter(|&one| {
            let Profile { role, checks_expiry, .. } = self.rows[one].profile;
            matches!(role, Role::Peer | Role::PeerByHand) && checks_expiry
        });
        peers.min_by(|&one, &other| self.net(one).total_cmp(&self.net(other)))
    }

    pub fn problems(&self, report: &mut Report) {
        for row in &self.rows {
            for problem in [row.instructions.as_ref().err(), row.allocated.as_ref().err()].into_iter().flatten() {
                report.text(format!("Not measured of {}: {problem}", row.profile.name));
            }
        }
    }

    /// The bars of the layer's times, which are the same for each length of tokens.
    pub fn time_bars(&self, report: &mut Report, key: &str, words: &str) {
        let [constant, look, by_hand, ours] =
            [self.find(Role::Static), self.position(LOOK), self.position(BY_HAND), self.find(Role::Ours)];
        report.at_most(
            &format!("layer-made{key}"),
            &format!("warm tower layer{words}, time by the static layer's, request and response made"),
            1.04,
            self.times.whole.each(|turns| turns.ratio(ours, constant)),
        );
        report.at_most(
            &format!("layer-bare{key}"),
            &format!("warm tower layer{words}, time by the static layer's, request and response not made"),
            1.2,
            self.times.bare.each(|turns| turns.ratio(ours, constant)),
        );
        report.at_most(
            &format!("layer-net{key}"),
            &format!("warm tower layer{words}, net time by that of a static layer that looks at the response"),
            1.4,
            self.net_ratios(ours, look),
        );
        report.at_most(
            &format!("authorize-net{key}"),
            &format!("{BY_HAND}{words}, net time by that of a static layer that looks at the response"),
            1.2,
            self.net_ratios(by_hand, look),
        );
    }
}

pub fn nanos(seconds: f64) -> f64 {
    seconds / REQUESTS as f64 * 1e9
}
