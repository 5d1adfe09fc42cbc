# Failed assertions of a TAP stream, shortened to about `budget` lines: file, titles and diagnostics of each. An outer
# test that failed only because of an inner one is left out; a file that was ended from outside says so.
#
#   awk -v budget=60 -f .ci/failures.awk OUTPUT

function depth(line) { match(line, /^ */); return int(RLENGTH / 4) }
function cut(line, length_) { return length(line) > length_ ? substr(line, 1, length_) " …" : line }

# One more failure; the diagnostics that follow belong to it.
function failure(at, title,    text, i) {
  text = ""
  for (i = 0; i < at; i++) text = text path[i] " > "
  titles[++failures] = cut(text title, 900)
}

/^ *# Subtest: / {
  d = depth($0)
  sub(/^ *# Subtest: /, "")
  path[d] = $0
  open[d] = 1
  broken[d] = 0
  next
}

/^ *(not )?ok [0-9]+/ {
  d = depth($0)
  isBroken = /^ *not ok/ && !/ # (TODO|SKIP)/
  wasOuter = open[d]
  wasTold = wasOuter && broken[d]
  open[d] = 0
  if (!isBroken) { owner = 0; next }
  if (d > 0) broken[d - 1] = 1
  sub(/^ *not ok [0-9]+( - )?/, "")
  sub(/ # time=[0-9.]+ms$/, "")
  if (wasTold) {
    owner = 0
    # A file: what ended it may matter more than what failed in it.
    if (d == 0) file = $0
  } else {
    failure(d, $0)
    owner = failures
  }
  next
}

# Diagnostics are YAML between `---` and `...`.
/^ *---$/ && !inYaml { inYaml = 1; match($0, /^ */); indent = RLENGTH; isLeftOut = 0; next }
inYaml && /^ *\.\.\.$/ { match($0, /^ */); if (RLENGTH == indent) { inYaml = 0; owner = 0; file = ""; next } }
inYaml {
  line = substr($0, indent + 1)
  match(line, /^ */)
  # What says nothing beyond the title and the stack is left out, with all that is indented below it.
  if (!isLeftOut || RLENGTH <= leftOut) {
    leftOut = RLENGTH
    isLeftOut = line ~ /^ *(at|source|handles|tapCaught|stdio|cwd|externalID|command|args|jobId|compare):/
  }
  if (file != "" && line ~ /^signal: SIG/) titles[++failures] = file " was ended by " substr(line, 9)
  if (owner && !isLeftOut && lines[owner] < 40) told[owner, ++lines[owner]] = cut(line, 240)
  next
}

/^ *# test count\(/ { d = depth($0); text = $0; sub(/^ *# /, "", text); failure(d, text); owner = 0 }
/^TAP version/ { isTap = 1 }
/^# \{ total: / { isWhole = 1 }

END {
  if (isTap && !isWhole) {
    text = "the tests ended early, without a last line that counts them"
    for (d = 0; d in open && open[d]; d++) text = text (d ? " > " : "; still open: ") path[d]
    titles[++failures] = text
  }
  each = failures ? int(budget / failures) - 1 : 0
  shown = failures <= budget ? failures : budget - 1
  for (i = 1; i <= shown; i++) {
    print "- " titles[i]
    for (j = 1; j <= lines[i] && j <= each; j++) print "    " told[i, j]
    if (lines[i] > each && each > 0) print "    …"
  }
  if (shown < failures) print "- and " (failures - shown) " more"
}
