//! A store that gives no answer: for how long the model's replica and the real source leave it out.
//!
//! Here a step of the model's clock is a second, because the pauses are seconds.

use super::*;
use crate::rules::STORE_PAUSES;

/// What a call takes that counts as slow. Quick failures need two in a row.
const SLOW: Duration = Duration::from_millis(60);

/// When the next flight begins.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Gap {
    AtOnce,
    BeforeThePauseEnds,
    AfterThePause,
}

/// What the store does, if it is asked.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Store {
    Silent,
    /// Its reads are answered, and what follows.
    Answers,
}

const CHOICES: [(Gap, Store); 6] = [
    (Gap::AtOnce, Store::Silent),
    (Gap::AtOnce, Store::Answers),
    (Gap::BeforeThePauseEnds, Store::Silent),
    (Gap::BeforeThePauseEnds, Store::Answers),
    (Gap::AfterThePause, Store::Silent),
    (Gap::AfterThePause, Store::Answers),
];

struct Pair {
    model: Replica,
    real: Real,
    /// In seconds, as the model counts.
    now: Tick,
    next: u8,
}

impl Pair {
    fn pass(&mut self, ticks: Tick) {
        let passes = Duration::from_secs(ticks.into());
        self.now += ticks;
        self.real.clock.advance(passes);
    }

    /// A flight without a token. Returns whether the store was asked, which must be the same in both.
    fn fly(&mut self, rules: &Rules, store: Store) -> bool {
        self.model.begins(rules, self.now, Reason::Missing);
        let mut flight = self.real.begin(Reason::Missing);
        let mut next = self.real.next(&mut flight, None);
        let mut is_asked = false;
        loop {
            let call = self.model.flight.unwrap().call;
            let (answer, reply) = match (call, &next) {
                (Call::Read, Next::Asked(Asked::Read)) if store == Store::Silent => {
                    is_asked = true;
                    self.real.clock.advance(SLOW);
                    (Answer::Down, Reply::Down)
                }
                (Call::Read, Next::Asked(Asked::Read)) => {
                    is_asked = true;
                    (Answer::Read(None), Reply::Read(None))
                }
                (Call::Lease { .. }, Next::Asked(Asked::Lease { .. })) => {
                    self.next += 1;
                    let granted = RealLeased::Granted(Fence::new(self.next.into()));
                    (Answer::Leased(Leased::Granted(self.next)), Reply::Leased(granted))
                }
                (Call::Exchange { .. }, Next::Asked(Asked::Exchange)) => {
                    let held = Held { number: self.next, until: self.now + LIFE };
                    (Answer::Exchanged(Some(held)), Reply::Token(self.next))
                }
                (Call::Save { .. }, Next::Asked(Asked::Save { .. })) => {
                    let saved = RealSaved::Saved(Version::new(self.next.into()));
                    (Answer::Saved(Saved::Done { again: false }), Reply::Saved(saved))
                }
                (call, Next::Asked(asked)) => panic!("the model calls {call:?}, the real one {asked:?}"),
                (call, Next::Ended(result)) => panic!("the real one ends with {result:?} before {call:?}"),
            };
            let ended = self.model.hears(rules, self.now, answer);
            next = self.real.next(&mut flight, Some(reply));
            if ended.is_some() {
                assert!(matches!(next, Next::Ended(Ok(_))), "the model ends");
                return is_asked;
            }
        }
    }
}

/// Plays these flights. Gives how often the store was asked.
fn play(rules: &Rules, keys: &SealingKeys, choices: &[(Gap, Store)]) -> usize {
    let (model, real) = (Replica { number: ITSELF, ..Replica::default() }, Real::new(keys));
    let mut pair = Pair { model, real, now: 0, next: 10 };
    let mut asked = 0;
    for (gap, store) in choices {
        let left = pair.model.circuit.open_until.saturating_sub(pair.now);
        match gap {
            Gap::AtOnce => {}
            // The real pause begins at the end of a slow call.
            Gap::BeforeThePauseEnds => pair.pass(left.saturating_sub(1)),
            Gap::AfterThePause => {
                pair.pass(left);
                pair.real.clock.advance(SLOW);
            }
        }
        asked += usize::from(pair.fly(rules, *store));
    }
    asked
}

fn play_all(rules: &Rules) -> (usize, usize) {
    const FLIGHTS: u32 = 5;
    let keys = Mint::new().keys;
    let (mut schedules, mut most) = (0, 0);
    for number in 0..CHOICES.len().pow(FLIGHTS) {
        let choices: Vec<_> =
            (0..FLIGHTS).map(|place| CHOICES[number / CHOICES.len().pow(place) % CHOICES.len()]).collect();
        most = most.max(play(rules, &keys, &choices));
        schedules += 1;
    }
    (schedules, most)
}

#[test]
fn the_model_and_the_real_source_leave_a_silent_store_out_alike() {
    let (schedules, most) = play_all(&SOUND);
    println!("{schedules} schedules of a store that is silent at times");
    assert_eq!((schedules, most), (7_776, 5), "it is asked as well");
    // To the longest pause, and once more.
    let keys = Mint::new().keys;
    let silent = [(Gap::AfterThePause, Store::Silent); STORE_PAUSES.len() + 1];
    assert_eq!(play(&SOUND, &keys, &silent), silent.len());
    let mut early: Vec<_> = silent.iter().map(|_| (Gap::AfterThePause, Store::Silent)).collect();
    early.push((Gap::BeforeThePauseEnds, Store::Silent));
    assert_eq!(play(&SOUND, &keys, &early), silent.len(), "not before its end");
}

#[test]
#[should_panic(expected = "the model calls")]
fn a_model_whose_pauses_do_not_double_differs() {
    play_all(&Rules { pauses_double: false, ..SOUND });
}

#[test]
#[should_panic(expected = "the model calls")]
fn a_model_that_asks_a_silent_store_each_time_differs() {
    play_all(&Rules { a_silent_store_is_left_out: false, ..SOUND });
}
