//! Medians, and times measured in turns and runs.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Several runs of the same measurement.
///
/// A bar is judged by the median of the runs' medians, so one run on a lucky or unlucky machine decides nothing.
#[derive(Debug, Default)]
pub struct Runs(pub Vec<Turns>);

impl Runs {
    /// Measures this many times.
    pub fn take(runs: usize, mut run: impl FnMut() -> Turns) -> Self {
        Runs((0..runs).map(|_| run()).collect())
    }

    /// A number of each run.
    pub fn each(&self, number: impl Fn(&Turns) -> f64) -> Vec<f64> {
        self.0.iter().map(number).collect()
    }

    /// The median of that number.
    pub fn median(&self, number: impl Fn(&Turns) -> f64) -> f64 {
        median(self.each(number))
    }
}

/// Fewer rounds with `LAB_QUICK=1`, to see whether a bench works. The report of such a run is not for the document.
pub fn rounds(usual: usize) -> usize {
    if is_quick() { usual.div_ceil(20) } else { usual }
}

/// Whether this is a run with fewer rounds.
pub fn is_quick() -> bool {
    std::env::var_os("LAB_QUICK").is_some()
}

/// The middle value.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// The quantile of this share.
pub fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

/// The time that a piece of work takes.
pub fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// Seconds by contender and round.
///
/// Contenders take turns, so other load affects all of them. Compare them round by round.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Turns(Vec<Vec<f64>>);

impl Turns {
    /// Lets `count` contenders take turns for some rounds, and records their times. Each round starts with
    /// another contender.
    pub fn take(count: usize, rounds: usize, mut turn: impl FnMut(usize) -> Duration) -> Self {
        let mut seconds = vec![Vec::with_capacity(rounds); count];
        for round in 0..rounds {
            for position in 0..count {
                let contender = (position + round) % count;
                seconds[contender].push(turn(contender).as_secs_f64());
            }
        }
        Turns(seconds)
    }

    /// Further rounds of the same contestants.
    pub fn extend(&mut self, more: Turns) {
        self.0.resize(self.0.len().max(more.0.len()), Vec::new());
        for (seconds, more) in self.0.iter_mut().zip(more.0) {
            seconds.extend(more);
        }
    }

    /// The median time of one contender.
    pub fn seconds(&self, one: usize) -> f64 {
        median(self.0[one].iter().copied())
    }

    /// The median of `one / other`, round by round.
    pub fn ratio(&self, one: usize, other: usize) -> f64 {
        self.ratio_quantile(one, other, 0.5)
    }

    /// The quantile of `one / other`, round by round.
    pub fn ratio_quantile(&self, one: usize, other: usize, share: f64) -> f64 {
        quantile(self.0[one].iter().zip(&self.0[other]).map(|(one, other)| one / other), share)
    }

    /// How many times each contender had its turn.
    pub fn rounds(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }

    /// The median of `one - base`, round by round.
    pub fn net(&self, one: usize, base: usize) -> f64 {
        median(self.0[one].iter().zip(&self.0[base]).map(|(one, base)| one - base))
    }

    /// Half the distance between the quartiles, relative to the median: the noise of the machine.
    pub fn noise(&self, one: usize) -> f64 {
        let of = |share| quantile(self.0[one].iter().copied(), share);
        (of(0.75) - of(0.25)) / 2.0 / of(0.5)
    }
}
