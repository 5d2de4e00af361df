#!/usr/bin/env python3
"""A second implementation of the policy, which plays the vectors in tests/vectors.

It shares no code with the crate. It has one thread, no locks and no network: only the rules. So the vectors are a
specification that two programs agree on. Their README describes the format.

    python3 tests/policy-model/model.py            # plays every vector
    python3 tests/policy-model/model.py FILE ...    # plays these

Times are integers in nanoseconds, so that no rounding hides a difference.
"""

import json
import pathlib
import sys
from dataclasses import dataclass, field, replace

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
FOREVER = 1 << 63
VERSION = 1
OUTCOME_FIELDS = {"token", "lifetime", "expires_at", "never_expires", "refresh_in", "error", "retry_after", "takes"}
DRAWS = {"lowest": 0.0, "highest": 1.0}


def nanos(seconds):
    return round(seconds * SECOND)


@dataclass(frozen=True)
class Moment:
    """A reading of both clocks."""

    monotonic: int
    wall: int

    def after(self, time):
        return Moment(self.monotonic + time, self.wall + time)

    def is_past(self, now):
        """Whichever clock is ahead decides: a machine that slept moves only the time of day."""
        return now.monotonic >= self.monotonic or now.wall >= self.wall

    def remaining(self, now):
        return max(0, min(self.monotonic - now.monotonic, self.wall - now.wall))


@dataclass(frozen=True)
class Backoff:
    first: int
    limit: int

    def after(self, failures):
        return min(self.first << min(max(failures - 1, 0), 31), self.limit)


@dataclass(frozen=True)
class Policy:
    """The defaults of the crate, and the pure arithmetic on them."""

    reserve: int = 10 * SECOND
    refresh_ahead: int = 900 * SECOND
    jitter: bool = True
    fetch_timeout: int = 10 * SECOND
    refresh_timeout: int = 10 * SECOND
    transient_backoff: Backoff = Backoff(SECOND, 60 * SECOND)
    terminal_backoff: Backoff = Backoff(5 * SECOND, 300 * SECOND)
    rejection_backoff: Backoff = Backoff(5 * SECOND, 300 * SECOND)
    retry_after_limit: int = 3600 * SECOND
    default_lifetime: int = 300 * SECOND
    max_lifetime: int = 30 * 24 * 3600 * SECOND

    @staticmethod
    def read(fields):
        values = {}
        for name, value in fields.items():
            if isinstance(value, dict):
                values[name] = Backoff(nanos(value.pop("first_seconds")), nanos(value.pop("limit_seconds")))
                refuse_unknown(name, value)
            elif name == "jitter":
                values[name] = value
            else:
                values[name.removesuffix("_seconds")] = nanos(value)
        return Policy(**values)

    def deadlines(self, issued, expiry, draw):
        """When a token is refreshed, and when it is sent for the last time."""
        kind, value = expiry
        if kind == "never":
            never = issued.after(FOREVER)
            return never, never
        lifetime = {"unknown": self.default_lifetime, "in": value}.get(kind)
        if kind == "at":
            lifetime = value - issued.wall
            if lifetime <= 0:
                # Earlier than any other end, so that it never looks like a later one.
                return Moment(0, -FOREVER), Moment(0, -FOREVER)
        lifetime = min(lifetime, self.max_lifetime)
        reserve = min(self.reserve, lifetime // 10)
        ahead = max(min(self.refresh_ahead, lifetime // 5), min(30 * SECOND, lifetime // 10 * 3), reserve)
        early = int(lifetime // 5 * draw) if self.jitter else 0
        return issued.after(lifetime - ahead - early), issued.after(lifetime - reserve)

    def hinted(self, refresh, issued, hint, draw):
        """The source's hint brings a refresh forward, and by no less than a minute after the issue."""
        early = int(hint // 5 * draw) if self.jitter else 0
        hinted = issued.after(max(hint - early, 60 * SECOND))
        return hinted if hinted.monotonic < refresh.monotonic else refresh

    def timeout(self, stale_for):
        if stale_for is None:
            return self.fetch_timeout
        return min(self.refresh_timeout, max(stale_for // 2, 5 * SECOND))

    def transient_wait(self, failures, draw):
        half = self.transient_backoff.after(failures) // 2
        return half + int(half * draw)

    def cool_down(self, failure, failures, draw):
        if failure.needs_change:
            return self.terminal_backoff.after(failures)
        return max(self.transient_wait(failures, draw), min(failure.retry_after, self.retry_after_limit))

    def cool_down_beside(self, failure, failures, draw, left):
        """The wait while a token still serves for `left`: it ends with the token."""
        return min(self.cool_down(failure, failures, draw), max(left, self.cool_down(failure, 1, draw)))


@dataclass(frozen=True)
class Failure:
    kind: str
    retry_after: int = 0
    needs_change: bool = False
    until: int = 0
    in_a_row: int = 0


@dataclass(frozen=True)
class Bearer:
    token: str
    generation: int
    refresh: Moment
    reserve: Moment

    def is_usable(self, now):
        return not self.reserve.is_past(now)

    def is_stale(self, now):
        return self.is_usable(now) and self.refresh.is_past(now)


@dataclass
class Flight:
    started: Moment
    deadline: int
    reason: str
    outcome: dict
    ends: int
    waiters: list = field(default_factory=list)


class Provider:
    """The rules of a provider: what is served, and when a fetch may start."""

    def __init__(self, policy, draw, source):
        self.policy, self.draw, self.source = policy, draw, source
        self.slot = self.suspect = self.flight = self.failure = None
        self.fetches = self.generations = 0
        self.nothing_new = self.quiet_until = 0
        self.renewal = Renewal(policy.rejection_backoff)

    def usable(self, now):
        return self.slot if self.slot and self.slot.is_usable(now) else None

    def is_cooling(self, now):
        return self.failure is not None and now.monotonic < self.failure.until

    def may_refresh(self, now):
        return self.flight is None and not self.is_cooling(now) and now.monotonic >= self.quiet_until

    def request(self, now):
        """The usable token that is there. A stale one is refreshed behind its back."""
        bearer = self.usable(now)
        if bearer and bearer.is_stale(now) and self.may_refresh(now):
            self.start("stale", bearer.reserve.remaining(now), now)
        return bearer

    def call(self, want, now):
        """Returns a bearer, a failure, or the flight that the caller waits for."""
        if want == "token":
            bearer = self.request(now)
            if bearer:
                return bearer
            if self.flight is None and self.is_cooling(now):
                return self.failure
        if self.flight is None:
            reason = "requested" if want == "refresh_now" else "rejected" if self.suspect else "missing"
            self.start(reason, None, now)
        return self.flight

    def reject(self, generation, now):
        if self.suspect:
            return "renewing" if self.suspect.generation == generation else "superseded"
        bearer = self.slot
        if bearer is None or bearer.generation != generation:
            return "superseded"
        if not bearer.is_usable(now):
            return "renewing"
        self.renewal.note(generation, now)
        if self.flight is None and (self.is_cooling(now) or not self.renewal.is_allowed(now)):
            return "declined"
        self.renewal.count()
        self.suspect, self.slot = bearer, None
        if self.flight is None:
            self.start("rejected", None, now)
        return "renewing"

    def start(self, reason, stale_for, now):
        self.fetches += 1
        outcome = self.source.pop(0) if self.source else {"takes": None}
        takes = outcome.get("takes", 0)
        deadline = now.monotonic + self.policy.timeout(stale_for)
        ends = FOREVER if takes is None else now.monotonic + nanos(takes)
        self.flight = Flight(now, deadline, reason, outcome, ends)

    def run(self, now):
        """Ends the flight if its fetch or its time has ended."""
        flight = self.flight
        if flight is None or now.monotonic < min(flight.ends, flight.deadline):
            return
        self.flight = None
        renewal = flight.reason == "rejected" or self.suspect is not None
        if flight.ends > flight.deadline:
            result = self.fail(Failure("timeout"), now)
        elif "error" in flight.outcome:
            after = flight.outcome.get("retry_after")
            needs_change = flight.outcome["error"] == "refused" and after is None
            result = self.fail(Failure(flight.outcome["error"], nanos(after or 0), needs_change), now)
        else:
            result = self.succeed(self.seal(flight), renewal, now)
        for waiter in flight.waiters:
            waiter.append(result)

    def seal(self, flight):
        outcome, expiry = flight.outcome, ("unknown", None)
        if outcome.get("never_expires"):
            expiry = ("never", None)
        elif "lifetime" in outcome:
            expiry = ("in", nanos(outcome["lifetime"]))
        elif "expires_at" in outcome:
            expiry = ("at", nanos(outcome["expires_at"]))
        self.generations += 1
        refresh, reserve = self.policy.deadlines(flight.started, expiry, self.draw)
        if "refresh_in" in outcome:
            refresh = self.policy.hinted(refresh, flight.started, nanos(outcome["refresh_in"]), self.draw)
        return Bearer(outcome["token"], self.generations, refresh, reserve)

    def succeed(self, bearer, renewal, now):
        last = self.suspect or self.slot
        is_same = last is not None and last.token == bearer.token
        is_later = last is None or bearer.reserve.wall > last.reserve.wall
        if is_same and is_later:
            # A rejection of the token stays a rejection of this one.
            in_service = replace(bearer, generation=last.generation)
        elif is_same and last.is_usable(now):
            in_service = last
        elif is_same:
            return self.fail(Failure("source"), now)
        elif last and not self.suspect and last.is_usable(now) and not bearer.is_usable(now):
            in_service = last
        else:
            in_service = bearer
        is_new = in_service.generation == bearer.generation
        self.nothing_new = 0 if is_later and is_new else self.nothing_new + 1
        is_fresh = in_service.is_usable(now) and not in_service.is_stale(now)
        wait = self.policy.transient_wait(self.nothing_new, self.draw)
        self.quiet_until = 0 if is_fresh else now.monotonic + wait
        if renewal:
            self.renewal.brought(in_service.generation, now)
        self.suspect = self.failure = None
        self.slot = in_service
        return in_service

    def fail(self, failure, now):
        in_a_row = self.failure.in_a_row + 1 if self.failure else 1
        serving = self.suspect or self.slot
        if serving and serving.is_usable(now):
            left = serving.reserve.remaining(now)
            wait = self.policy.cool_down_beside(failure, in_a_row, self.draw, left)
        else:
            wait = self.policy.cool_down(failure, in_a_row, self.draw)
        until = now.monotonic + wait
        until = max(until, self.failure.until if self.failure else 0)
        self.failure = replace(failure, until=until, in_a_row=in_a_row)
        if self.suspect:
            # A token that one endpoint refused is better than none.
            self.slot, self.suspect = self.suspect, None
            self.renewal.brought(self.slot.generation, now)
        return self.failure


class Renewal:
    """The pause between renewals that rejections force."""

    def __init__(self, backoff):
        self.backoff = backoff
        self.allowed_from = self.in_a_row = 0
        self.last = None
        self.is_young = False

    def is_allowed(self, now):
        return now.monotonic >= self.allowed_from

    def note(self, generation, now):
        if self.last is None or self.last[0] != generation:
            self.is_young = False
        else:
            self.is_young |= now.monotonic - self.last[1].monotonic < self.backoff.limit

    def count(self):
        self.in_a_row = self.in_a_row + 1 if self.is_young else 1

    def brought(self, generation, now):
        self.last, self.is_young = (generation, now), False
        self.allowed_from = now.monotonic + self.backoff.after(self.in_a_row)


class Player:
    """Plays a story, step by step."""

    def __init__(self, vector):
        self.now = Moment(0, 0)
        self.source, self.waiters, self.tickets = [], [], {}
        self.provider = Provider(Policy.read(vector.get("policy", {})), DRAWS[vector["draw"]], self.source)

    def advance(self, time, wall=0):
        self.now = Moment(self.now.monotonic + time, self.now.wall + time + wall)
        self.provider.run(self.now)

    def play(self, step):
        step = dict(step)
        step.pop("note", None)
        self.advance(nanos(step.pop("advance", 0)), nanos(step.pop("advance_wall", 0)))
        for outcome in step.pop("source", []):
            refuse_unknown("an outcome of the source", outcome.keys() - OUTCOME_FIELDS)
            self.source.append(outcome)
        call, expect = step.pop("call", None), dict(step.pop("expect"))
        refuse_unknown("step", step)
        seen = self.call(call) if call else {}
        self.provider.run(self.now)
        wanted = {name: value for name, value in expect.items() if name not in ("fetches", "next_attempt")}
        if seen != wanted:
            raise AssertionError(f"found {seen}; expected {wanted}")
        if self.provider.fetches != expect["fetches"]:
            raise AssertionError(f"found {self.provider.fetches} fetches; expected {expect['fetches']}")

    def call(self, call):
        if isinstance(call, dict):
            generation = self.tickets[call["reject"]]
            return {"rejection": self.provider.reject(generation, self.now)}
        if call == "waiters":
            seen = [self.see(waiter[0]) for waiter in self.waiters if waiter]
            assert seen and all(other == seen[0] for other in seen), f"found {seen}"
            self.waiters.clear()
            return seen[0]
        if call == "request":
            bearer = self.provider.request(self.now)
            return self.see(bearer) if bearer else {"waits": True}
        result = self.provider.call(call, self.now)
        if isinstance(result, Flight):
            waiter = []
            result.waiters.append(waiter)
            self.provider.run(self.now)
            if not waiter:
                self.waiters.append(waiter)
                return {"waits": True}
            result = waiter[0]
        return self.see(result)

    def see(self, result):
        if isinstance(result, Failure):
            return {"error": result.kind}
        self.tickets[result.token] = result.generation
        return {"token": result.token}


def refuse_unknown(where, fields):
    if fields:
        raise AssertionError(f"unknown fields in {where}: {sorted(fields)}")


def attempts(vector, played, time):
    """Whether a caller this long after the steps starts a fetch."""
    player = Player(json.loads(json.dumps(vector)))
    for step in played:
        player.play(step)
    before = player.provider.fetches
    player.advance(time)
    player.call("token")
    return player.provider.fetches > before


def play(vector):
    refuse_unknown("the vector", vector.keys() - {"version", "about", "policy", "draw", "steps"})
    if vector.get("version") != VERSION or not vector.get("steps"):
        raise AssertionError(f"expected steps, and version {VERSION}")
    player = Player(json.loads(json.dumps(vector)))
    for number, step in enumerate(vector["steps"]):
        try:
            player.play(step)
            attempt = step["expect"].get("next_attempt")
            if attempt is not None:
                played, attempt = vector["steps"][: number + 1], nanos(attempt)
                if attempt >= MILLISECOND and attempts(vector, played, attempt - MILLISECOND):
                    raise AssertionError("a fetch starts a millisecond before `next_attempt`")
                if not attempts(vector, played, attempt):
                    raise AssertionError("no fetch starts at `next_attempt`")
        except (AssertionError, KeyError) as problem:
            raise AssertionError(f"step {number}: {problem}") from problem
    return len(vector["steps"])


def main(names):
    directory = pathlib.Path(__file__).resolve().parent.parent / "vectors"
    files = [pathlib.Path(name) for name in names] or sorted(directory.glob("*.json"))
    failed = steps = 0
    for file in files:
        try:
            steps += play(json.loads(file.read_text(encoding="utf-8")))
        except AssertionError as problem:
            failed += 1
            print(f"{file.name}: {problem}", file=sys.stderr)
    print(f"policy model: {len(files) - failed} of {len(files)} vectors, {steps} steps")
    return 1 if failed or not steps else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
