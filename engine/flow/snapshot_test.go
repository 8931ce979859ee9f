package flow

import (
	"bytes"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// busyState is a state with something of each kind in it.
func busyState(t testing.TB) []byte {
	t.Helper()
	s := newScript(t)
	s.play(`config slots=2

deploy
+w parallel every=1h
  +a
  +g retry=2,1h
    +x
  +h options={"_retry":"${n}"}
    +y
  +c
  +d
+v
  +a
reject bad w.dig:1:1: empty

start w sla=10m fail params={"k":"v"}
^sla
  +page

succeed +w+a store={"s":1} export={"e":2} reset=r
^sub
  +p
^check

fail +w+c boom

fail +w+g+x no

tick +10m

start v

undelivered 1 retry=1h down

deploy push=q commit=r1 keep=2
+x every=1h
  +a

deploy push=q commit=r2 keep=2
+x every=1h
  +b

deploy push=gone commit=r1
+x
  +a

delete gone

skip w to=05:00

backfill w from=01:00 count=3 name=again

config slots=2 max=1

clock +5h

crash

answer

answer
`)
	return s.encode(s.live)
}

func TestStateRoundTrips(t *testing.T) {
	want := busyState(t)
	s, err := Decode(bytes.NewReader(want), Config{}, newMemObjects())
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := s.Encode(&got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got %s, want %s", got.Bytes(), want)
	}
	for _, part := range []string{
		`"repo"`, `"project"`, `"schedule"`, `"session"`, `"attempt"`, `"block"`, `"alert"`, `"Backlog"`, `"k":"sla"`,
		`"Older"`, `"Archive"`, `"DeletedAt"`, `"After"`, `"Tries"`, `"Tree":{`,
	} {
		if !bytes.Contains(want, []byte(part)) {
			t.Errorf("the state has no %s", part)
		}
	}
}

func TestEncodeReportsAFailedWrite(t *testing.T) {
	s, err := Decode(bytes.NewReader(busyState(t)), Config{}, newMemObjects())
	if err != nil {
		t.Fatal(err)
	}
	closed, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	if err := s.Encode(closed); err == nil {
		t.Error("a write to a closed file succeeded")
	}
}

const (
	head       = `{"v":1,"last":{}}` + "\n"
	session1   = `{"session":{"ID":1,"Project":1,"Workflow":"w","Time":"2031-04-05T00:00:00Z"}}` + "\n"
	attempt1   = `{"attempt":{"Session":1,"Facts":{"ID":1},"CreatedAt":1}}` + "\n"
	workflow   = `"tree":{"tree":{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1,"g":true},{"n":"+a","p":0}]}}`
	static     = `{"block":{"k":"static","base":1,"at":1,` + workflow + `}}` + "\n"
	attemptRow = head + session1 + attempt1
)

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct{ what, data, want string }{
		{"nothing", ``, "line 1"},
		{"another version", `{"v":2,"last":{}}`, "format 2 is not known, only 1"},
		{"no version", `{"last":{}}`, "format 0"},
		{"a torn line", head + `{"repo":`, "line 2"},
		{"another field", head + `{"planet":1}`, "planet"},
		{"a schedule without its project", head + `{"schedule":{"ID":1,"Project":4}}`, "no project 4"},
		{"an attempt without its session", head + attempt1, "without its session"},
		{"an attempt without facts", head + session1 + `{"attempt":{"Session":1}}`, "without its session"},
		{"an attempt with unknown parameters", head + session1 + `{"attempt":{"Session":1,"Facts":{"ID":1,"Params":{"ref":"gone"}}}}`, "no map gone"},
		{"an attempt without tasks", attemptRow, "has no tasks"},
		{"an attempt that waits with an unknown tree", head + session1 + `{"attempt":{"Session":1,"Facts":{"ID":1},"Tree":{"ref":"gone"}}}`, "no tree gone"},
		{"tasks of an attempt that waits", head + session1 + strings.Replace(attempt1, `"CreatedAt"`, strings.Replace(workflow, "tree", "Tree", 1)+`,"CreatedAt"`, 1) + static, "without its attempt"},
		{"a block without its attempt", head + static, "without its attempt"},
		{"another kind of block", attemptRow + `{"block":{"k":"lego","base":1}}`, `block "lego"`},
		{"an unknown tree", attemptRow + `{"block":{"k":"static","base":1,"tree":{"ref":"gone"}}}`, "no tree gone"},
		{"a static block without a tree", attemptRow + `{"block":{"k":"static","base":1}}`, "without a tree"},
		{"two static blocks", attemptRow + static + static, "out of place"},
		{"no static block", attemptRow + `{"block":{"k":"round","base":1,"owner":1}}`, "out of place"},
		{"a block without its owner", attemptRow + static + `{"block":{"k":"round","base":9,"owner":5}}`, "no task 5"},
		{"a block on others' tasks", attemptRow + static + `{"block":{"k":"round","base":2,"owner":1}}`, "taken"},
		{"an error block without an _error", attemptRow + static + `{"block":{"k":"error","base":9,"owner":1}}`, "without a tree"},
		{"a check behind nothing", attemptRow + static + `{"block":{"k":"check","base":9,"owner":2,"behind":7,` + workflow + `}}`, "no task 7"},
		{"a row of another node", attemptRow + strings.Replace(static, `"at":1`, `"at":1,"rows":[{"n":5}]`, 1), "no node 5"},
		{"a row in another state", attemptRow + strings.Replace(static, `"at":1`, `"at":1,"rows":[{"n":1,"s":77}]`, 1), "state 77"},
		{"a row with an unknown state", attemptRow + strings.Replace(static, `"at":1`, `"at":1,"rows":[{"n":1,"m":{"state":{"ref":"gone"}}}]`, 1), "no map gone"},
		{"a row with an unknown error", attemptRow + strings.Replace(static, `"at":1`, `"at":1,"rows":[{"n":1,"m":{"failed":{"ref":"gone"}}}]`, 1), "no map gone"},
		{"a row with an unknown result", attemptRow + strings.Replace(static, `"at":1`, `"at":1,"rows":[{"n":1,"m":{"result":{"store":{"ref":"gone"}}}}]`, 1), "no map gone"},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := Decode(strings.NewReader(c.data), Config{}, newMemObjects())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

func FuzzDecodeEvent(f *testing.F) {
	objects := newMemObjects()
	for _, e := range everyEvent(f, objects) {
		line, err := EncodeEvent(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := DecodeEvent(line, objects)
		if err != nil {
			return
		}
		again, err := EncodeEvent(e)
		if err != nil {
			return // a time beyond what JSON can say
		}
		if _, err := DecodeEvent(again, objects); err != nil {
			t.Errorf("%s was read, but not %s: %v", line, again, err)
		}
	})
}

func FuzzDecodeTree(f *testing.F) {
	data, err := EncodeTree(sampleTree(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := DecodeTree(data)
		if err != nil {
			return
		}
		again, err := EncodeTree(tree)
		if err != nil {
			t.Fatalf("encode what was read from %s: %v", data, err)
		}
		if _, err := DecodeTree(again); err != nil {
			t.Errorf("%s was read, but not %s: %v", data, again, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(busyState(f))
	f.Add([]byte(attemptRow + static))
	objects := newMemObjects()
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(bytes.NewReader(data), Config{}, objects)
		if err != nil {
			return
		}
		_ = s.Encode(&bytes.Buffer{})
	})
}

// TestDecodeSurvivesDamage changes numbers and lines of a good state: what
// comes out is an error or a state, never a panic. Bytes changed at random
// hardly get past the JSON, which is what the fuzzing is for.
func TestDecodeSurvivesDamage(t *testing.T) {
	good := busyState(t)
	numbers := regexp.MustCompile(`[0-9]+`)
	read := 0
	for seed := range uint64(1500) {
		rng := rand.New(rand.NewPCG(seed, 2))
		lines := bytes.SplitAfter(bytes.Clone(good), []byte("\n"))
		for range 1 + rng.IntN(3) {
			i := 1 + rng.IntN(len(lines)-1)
			switch rng.IntN(6) {
			case 0:
				lines = slices.Delete(lines, i, i+1)
			case 1:
				lines = slices.Insert(lines, i, lines[rng.IntN(len(lines))])
			default:
				at := numbers.FindAllIndex(lines[i], -1)
				if len(at) == 0 {
					continue
				}
				where := at[rng.IntN(len(at))]
				other := strconv.Itoa([]int{0, 1, 2, 3, 5, 9, 12, 1 << 40}[rng.IntN(8)])
				lines[i] = slices.Concat(lines[i][:where[0]], []byte(other), lines[i][where[1]:])
			}
		}
		s, err := Decode(bytes.NewReader(bytes.Join(lines, nil)), Config{}, newMemObjects())
		if err != nil {
			continue
		}
		read++
		if err := s.Encode(&bytes.Buffer{}); err != nil {
			t.Errorf("seed %d: a state that was read cannot be written: %v", seed, err)
		}
	}
	if read < 150 {
		t.Errorf("only %d of the changed states could be read", read)
	}
}
