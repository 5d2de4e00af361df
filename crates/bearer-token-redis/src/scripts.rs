//! The four steps of the store as Lua scripts, for Redis 6 and Valkey 7.2 and newer.
//!
//! A key is one hash with the fields `record`, `version`, `until`, `fence` and `leased`. Times are microseconds of the
//! server's clock; Lua has them exactly, as they are below 2^53. Versions and fences are compared as strings.

use redis::Script;

/// What all scripts begin with.
///
/// A fence is the server's time, or the next number if that is greater. So fences grow even if a server lost
/// everything. The hash outlives its record and its lease by an hour, to refuse holders that were paused.
///
/// A field that is no whole number counts as absent, so the next save replaces it. Something else than a hash is left
/// alone. A record that is longer than any that is saved never leaves the server.
const COMMON: &str = r"
local key = KEYS[1]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local fields = redis.pcall('HMGET', key, 'record', 'version', 'until', 'fence', 'leased')
if fields.err then
    return string.find(fields.err, 'WRONGTYPE', 1, true) and {'foreign'} or fields
end
local record, version, ends, fence, leased = unpack(fields)
local function number(value) return string.format('%.0f', value) end
local function whole(text)
    local value = text and #text < 17 and string.match(text, '^%d+$') and tonumber(text)
    return value and value < 9007199254740992 and value or 0
end
ends, leased = whole(ends), whole(leased)
local function snapshot(name)
    if #record > 65536 then return {'large'} end
    return {name, record, version, number(ends - now)}
end
if not record or ends <= now or whole(version) == 0 then record, version = false, '0' end
local function keep(last)
    redis.call('PEXPIRE', key, number(math.ceil((last - now) / 1000) + 3600000))
end
";

/// `KEYS[1]`: nil, or `record`.
const READ: &str = "return record and snapshot('record') or false";

/// Arguments: the version that was seen, the microseconds of the lease.
const LEASE: &str = r"
if record and version ~= ARGV[1] then return snapshot('newer') end
if leased > now then return {'held', number(leased - now)} end
local granted = number(math.max(now, whole(fence) + 1))
local last = now + tonumber(ARGV[2])
redis.call('HSET', key, 'fence', granted, 'leased', number(last))
keep(record and math.max(last, ends) or last)
return {'granted', granted}
";

/// Arguments: the fence, the version that was seen, the record, the microseconds of its life.
const SAVE: &str = r"
if fence and fence ~= ARGV[1] then return {'fenced'} end
if record and version ~= ARGV[2] then return snapshot('changed') end
local last = now + tonumber(ARGV[4])
redis.call('HSET', key, 'record', ARGV[3], 'version', ARGV[1], 'until', number(last), 'fence', ARGV[1])
redis.call('HDEL', key, 'leased')
keep(last)
return {'saved'}
";

/// Argument: the fence.
const RELEASE: &str = "if fence == ARGV[1] then redis.call('HDEL', key, 'leased') end return {'released'}";

/// The scripts, with their hashes.
pub(crate) struct Scripts {
    pub(crate) read: Script,
    pub(crate) lease: Script,
    pub(crate) save: Script,
    pub(crate) release: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        let script = |body: &str| Script::new(&format!("{COMMON}{body}"));
        Scripts { read: script(READ), lease: script(LEASE), save: script(SAVE), release: script(RELEASE) }
    }
}

#[cfg(test)]
mod tests;
