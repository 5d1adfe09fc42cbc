-- Requests for wrk, and its results as one line of JSON. Arguments, after `--`:
--   fixed FILE            one request, its bytes as in FILE
--   each FILE PREFIX N    as FILE says, where @ stands for PREFIX and a number, never the same twice; N of them at most (0: no end)
--   ranks FILE DRAWS OFFSET N   likewise, where @ stands for a number from the file DRAWS (32 bits each, little-endian)
local mode, template, before, after, prefix, limit
local draws, position, count
local sent = 0

local function read(name)
  local file = assert(io.open(name, "rb"))
  local bytes = file:read("*a")
  file:close()
  return bytes
end

local function split(text)
  local at = assert(text:find("@", 1, true))
  return text:sub(1, at - 1), text:sub(at + 1)
end

-- wrk sleeps until its time is over, even when its threads have stopped: whoever sends a number of requests ends it. What
-- was sent last is asked for some more times, until all that came before has been answered.
local AFTERWARDS = 1000

local function finish()
  io.write(string.format(
    '\n{"requests":%d,"bytes":0,"seconds":0,"p50Micros":0,"p99Micros":0,"failed":0,"refused":0}\n', limit))
  io.flush()
  os.exit(0)
end

local function each()
  sent = sent + 1
  if limit > 0 and sent > limit + AFTERWARDS then finish() end
  return before .. prefix .. (limit > 0 and math.min(sent, limit) or sent) .. after
end

local function ranks()
  sent = sent + 1
  if limit > 0 and sent > limit + AFTERWARDS then finish() end
  local a, b, c = draws:byte(position * 4 + 1, position * 4 + 3)
  if limit == 0 or sent < limit then position = (position + 1) % count end
  return before .. (a + b * 256 + c * 65536) .. after
end

function init(args)
  mode = args[1]
  template = read(args[2])
  if mode == "fixed" then
    -- Without a global `request` wrk makes its request once, with wrk.format, and calls no Lua under load.
    wrk.format = function() return template end
  else
    before, after = split(template)
    if mode == "each" then
      prefix, limit = args[3], tonumber(args[4])
      request = each
    else
      draws = read(args[3])
      count = math.floor(#draws / 4)
      position = tonumber(args[4]) % count
      limit = tonumber(args[5])
      request = ranks
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"bytes":%d,"seconds":%.6f,"p50Micros":%d,"p99Micros":%d,"failed":%d,"refused":%d}\n',
    summary.requests, summary.bytes, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
