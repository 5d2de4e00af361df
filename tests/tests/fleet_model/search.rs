//! A breadth-first search through all states of a model, which keeps the shortest way to each.

use std::{
    fmt::{Debug, Write},
    hash::{BuildHasher, Hash},
};

use foldhash::quality::FixedState;
use hashbrown::HashTable;

/// A step, and the state after it or the property that the step breaks.
pub(crate) type Taken<M> = (<M as Model>::Step, Result<<M as Model>::State, Broken>);

/// What is searched.
pub(crate) trait Model: Sized {
    type State: Clone + Eq + Hash + Debug;
    type Step: Copy + Debug;

    fn starts(&self) -> Vec<Self::State>;

    /// Adds each step that is possible now.
    fn steps(&self, state: &Self::State, found: &mut Vec<Taken<Self>>);

    /// Whether a state without steps is the end, and not a deadlock.
    fn is_end(&self, state: &Self::State) -> bool;
}

/// A property that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) &'static str);

/// A search that found nothing.
#[derive(Debug)]
pub(crate) struct Explored<S> {
    pub(crate) states: Vec<S>,
    pub(crate) transitions: usize,
    pub(crate) depth: usize,
}

/// The shortest way to a broken property.
pub(crate) struct Counterexample {
    pub(crate) broken: &'static str,
    pub(crate) way: String,
    pub(crate) steps: usize,
}

impl Debug for Counterexample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, after {} steps:\n{}", self.broken, self.steps, self.way)
    }
}

/// Visits every state that can be reached. Whole states are compared, not their hashes.
pub(crate) fn explore<M: Model>(model: &M) -> Result<Explored<M::State>, Counterexample> {
    let hasher = FixedState::default();
    let mut states: Vec<M::State> = Vec::new();
    let mut from: Vec<Option<(usize, M::Step)>> = Vec::new();
    let mut known: HashTable<usize> = HashTable::new();
    let (mut found, mut transitions, mut depth) = (Vec::new(), 0, 0);
    let mut add = |state: M::State, states: &mut Vec<M::State>, way: Option<(usize, M::Step)>| {
        let hash = hasher.hash_one(&state);
        if known.find(hash, |index| states[*index] == state).is_none() {
            known.insert_unique(hash, states.len(), |index| hasher.hash_one(&states[*index]));
            states.push(state);
            from.push(way);
        }
        from.len()
    };
    let mut level_ends = 0;
    for start in model.starts() {
        level_ends = add(start, &mut states, None);
    }
    let mut next = 0;
    let mut failed = None;
    'search: while next < states.len() {
        if next == level_ends {
            (depth, level_ends) = (depth + 1, states.len());
        }
        let state = states[next].clone();
        model.steps(&state, &mut found);
        if found.is_empty() && !model.is_end(&state) {
            failed = Some((next, None, "nothing can happen any more"));
            break;
        }
        transitions += found.len();
        for (step, after) in found.drain(..) {
            match after {
                Ok(after) => drop(add(after, &mut states, Some((next, step)))),
                Err(Broken(what)) => {
                    failed = Some((next, Some(step), what));
                    break 'search;
                }
            }
        }
        next += 1;
    }
    let Some((at, last, broken)) = failed else { return Ok(Explored { states, transitions, depth }) };
    let mut way = Vec::new();
    let mut index = at;
    while let Some((before, step)) = from[index] {
        way.push((step, index));
        index = before;
    }
    let mut text = String::new();
    for (step, index) in way.iter().rev() {
        let _ = writeln!(text, "  {step:?}\n    {:?}", states[*index]);
    }
    if let Some(step) = last {
        let _ = writeln!(text, "  {step:?}");
    }
    Err(Counterexample { broken, way: text, steps: way.len() + usize::from(last.is_some()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up by one or by two; one number is bad, and one is a dead end.
    struct Counter {
        bad: u32,
        dead: u32,
    }

    impl Model for Counter {
        type State = u32;
        type Step = u32;

        fn starts(&self) -> Vec<u32> {
            vec![0]
        }

        fn steps(&self, state: &u32, found: &mut Vec<Taken<Self>>) {
            if *state == self.dead || *state == 100 {
                return;
            }
            for step in [1, 2] {
                let after = state + step;
                if after <= 100 {
                    found.push((step, if after == self.bad { Err(Broken("bad")) } else { Ok(after) }));
                }
            }
        }

        fn is_end(&self, state: &u32) -> bool {
            *state == 100
        }
    }

    #[test]
    fn all_states_are_visited_once() {
        let explored = explore(&Counter { bad: 101, dead: 101 }).unwrap();
        assert_eq!((explored.states.len(), explored.transitions, explored.depth), (101, 199, 50));
    }

    #[test]
    fn the_shortest_way_to_what_is_bad_is_found() {
        let counterexample = explore(&Counter { bad: 7, dead: 101 }).unwrap_err();
        assert_eq!((counterexample.broken, counterexample.steps), ("bad", 4));
    }

    #[test]
    fn a_dead_end_is_no_end() {
        let counterexample = explore(&Counter { bad: 101, dead: 9 }).unwrap_err();
        assert_eq!((counterexample.broken, counterexample.steps), ("nothing can happen any more", 5));
    }
}
