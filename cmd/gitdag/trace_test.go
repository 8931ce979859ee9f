package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gitdag/engine/archive"
)

// traceCall is a call of Digdag's client, as it was recorded (server.md 1.11).
// {attempt} and its like are the ids of what the client was last shown; {now}
// has nanoseconds. Answer names a model, or a list of them.
type traceCall struct {
	call   string // method, what follows /api/, and behind a space the body
	status int
	answer string
}

type trace struct {
	command string
	calls   []traceCall
}

const (
	startBody  = `{"workflowId":"{workflow}","sessionTime":"{session time}","retryAttemptName":%s,"resume":%s,"params":{}}`
	atOnce     = "GET workflows/{workflow}/truncated_session_time?session_time={now}"
	byTheHour  = atOnce + "&mode=hour"
	byTheDay   = atOnce + "&mode=day"
	oneProject = "GET projects?name=tide"
	itsFlow    = "GET projects/{project}/workflows?name=w"
	itsTimer   = "GET projects/{project}/schedules?workflow=buoy"
)

func starting(name, resume string) string {
	return "PUT attempts " + fmt.Sprintf(startBody, name, resume)
}

// traces are the calls of each command of the client, 0.10.5.1, behind the
// version check that each begins with.
func traces() []trace {
	found := []traceCall{{oneProject, 200, "projects/project"}, {itsFlow, 200, "workflows/workflow"}}
	timed := append(slices.Clip(found), traceCall{byTheHour, 200, "session time"})
	attempt, timer := traceCall{"GET attempts/{attempt}", 200, "attempt"}, traceCall{itsTimer, 200, "schedules/schedule"}
	project := found[0]
	onADay := traceCall{"GET workflows/{workflow}/truncated_session_time?session_time=2031-04-05T00%3A00", 200, "session time"}
	fromLocal := traceCall{"GET workflows/{workflow}/truncated_session_time?session_time=2042-12-27T00%3A00", 200, "session time"}
	backfill := traceCall{`POST schedules/{schedule}/backfill {"fromTime":"{session time}","attemptName":"n","dryRun":%s,"count":null}`, 200, "attempts/attempt"}
	dry, wet := backfill, backfill
	dry.call, wet.call = fmt.Sprintf(backfill.call, "true"), fmt.Sprintf(backfill.call, "false")
	skip := func(body string, status int) traceCall {
		return traceCall{"POST schedules/{schedule}/skip " + body, status, map[int]string{200: "summary", 409: "error"}[status]}
	}
	return []trace{
		{"push tide -r r1 --schedule-from", []traceCall{{"PUT projects?project=tide&revision=r1&schedule_from=2042-12-29T00:00:00Z <archive>", 200, "project"}}},
		{"push tide -r r1", []traceCall{{"PUT projects?project=tide&revision=r1 <archive>", 409, "error"}}},
		{"push tide -r r2", []traceCall{{"PUT projects?project=tide&revision=r2 <archive>", 200, "project"}}},
		{"start tide w --session hourly", append(slices.Clip(timed), traceCall{starting("null", "null"), 200, "attempt"})},
		{"start tide w --session hourly", []traceCall{{starting("null", "null"), 409, "attempt"}}}, // within the same hour
		{"start tide w --session hourly --dry-run", timed},
		{"start tide w --session daily --dry-run", append(slices.Clip(found), traceCall{byTheDay, 200, "session time"})},
		{"start tide w --session now --dry-run", append(slices.Clip(found), traceCall{atOnce, 200, "session time"})},
		{"start tide w --session 2031-04-05", append(slices.Clip(found), onADay, traceCall{starting(`"named"`, "null"), 200, "attempt"})},
		{"start tide w --session 2031-04-05 --revision r1 --dry-run", []traceCall{
			project, {itsFlow + "&revision=r1", 200, "workflows/workflow"}, onADay,
		}},
		{"start tide ghost --session now", []traceCall{project, {"GET projects/{project}/workflows?name=ghost", 200, "workflows/"}}},
		{"log 1 -f", []traceCall{{"GET logs/{attempt}/files", 200, "files/file"}, {"GET logs/{attempt}/files/{file}", 200, "gzip"}, {"await attempts/{attempt}", 200, "attempt"}}},
		{"retry 1 --latest-revision --resume", []traceCall{
			attempt, found[1], {starting(`"again"`, `{"mode":"failed","mode":"failed","attemptId":"{attempt}"}`), 200, "attempt"}, {"await attempts/{attempt}", 200, "attempt"},
		}},
		{"retry 2 --revision r1 --resume-from +two", []traceCall{
			attempt,
			{itsFlow + "&revision=r1", 200, "workflows/workflow"},
			{starting(`"from"`, `{"mode":"from","mode":"from","from":"+two","attemptId":"{attempt}"}`), 200, "attempt"},
		}},
		{"retry 3 --keep-revision --all", []traceCall{attempt, {starting(`"all"`, "null"), 200, "attempt"}}},
		{"log 1 +w", []traceCall{{"GET logs/1/files?task=%2Bw", 200, "files/file"}, {"GET logs/1/files/{file}", 200, "gzip"}}},
		{"log 1 +w^sub", []traceCall{{"GET logs/1/files?task=%2Bw%5Esub", 200, "files/"}}},
		{"log 1 +w^failure-alert -f", []traceCall{
			{"GET logs/1/files?task=%2Bw%5Efailure-alert", 200, "files/file"},
			{"GET logs/1/files/{file}", 200, "gzip"},
			{"GET attempts/1", 200, "attempt"},
			{"GET attempts/1/tasks", 200, "tasks/task"},
		}},
		{"tasks 1", []traceCall{{"GET attempts/1/tasks", 200, "tasks/task"}}},
		{"kill 1", []traceCall{{"POST attempts/1/kill {}", 409, "error"}}},
		{"attempts", []traceCall{{"GET attempts", 200, "attempts/attempt"}, {"GET attempts?page_size=2&last_id=99", 200, "attempts/attempt"}}},
		{"attempts 1", []traceCall{{"GET sessions/1/attempts", 200, "attempts/attempt"}}},
		{"session 1", []traceCall{{"GET sessions/1", 200, "session"}}},
		{"sessions", []traceCall{{"GET sessions", 200, "sessions/session"}}},
		{"sessions tide", []traceCall{project, {"GET projects/{project}/sessions", 200, "sessions/session"}}},
		{"sessions tide w", []traceCall{project, {"GET projects/{project}/sessions?workflow=w", 200, "sessions/session"}}},
		{"workflows", []traceCall{{"GET workflows?count=100&order=asc", 200, "workflows/workflow"}}},
		{"workflows tide", []traceCall{project, {"GET projects/{project}/workflows", 200, "workflows/workflow"}}},
		{"projects", []traceCall{{"GET projects?count=100", 200, "projects/project"}}},
		{"schedules", []traceCall{{"GET schedules", 200, "schedules/schedule"}}},
		{"backfill tide buoy -d", []traceCall{project, timer, fromLocal, dry}},
		{"backfill 1", []traceCall{{"GET schedules/{schedule}", 200, "schedule"}, fromLocal, wet}},
		{"reschedule tide buoy -s 3", []traceCall{project, timer, skip(`{"fromTime":"2042-12-30T00:00:00Z","count":3,"nextTime":null,"nextRunTime":null,"dryRun":true}`, 200)}},
		{"reschedule 1 -t now", []traceCall{skip(`{"fromTime":null,"count":null,"nextTime":"{now}","nextRunTime":null,"dryRun":false}`, 409)}},
		{"disable tide", []traceCall{
			project,
			{"GET projects/{project}/schedules", 200, "schedules/schedule"},
			{"POST schedules/{schedule}/disable {}", 200, "summary"},
			{"GET projects/{project}/schedules?last_id={schedule}", 200, "schedules/"},
		}},
		{"enable tide", []traceCall{
			project,
			{"GET projects/{project}/schedules", 200, "schedules/schedule"},
			{"POST schedules/{schedule}/enable {}", 200, "summary"},
			{"GET projects/{project}/schedules?last_id={schedule}", 200, "schedules/"},
		}},
		{"disable tide buoy", []traceCall{project, timer, {"POST schedules/{schedule}/disable {}", 200, "summary"}}},
		{"enable 1", []traceCall{{"POST schedules/{schedule}/enable {}", 200, "summary"}}},
		{"download tide", []traceCall{project, {"GET projects/{project}/archive?revision={revision}", 200, "gzip"}}},
		{"secrets --project tide", []traceCall{project, {"GET projects/{project}/secrets", 200, "secrets/"}, {"DELETE projects/{project}/secrets/k", 200, "secret"}}},
		// There is no key to keep it with.
		{"secrets --project tide --set k=v", []traceCall{project, {`PUT projects/{project}/secrets/k {"value":"v"}`, 501, "error"}}},
		{"delete tide", []traceCall{project, {"DELETE projects/{project}", 200, "project"}}},
		{"projects tide", []traceCall{{oneProject, 200, "projects/"}}},
	}
}

// What Digdag's client asks is understood, and what it insists on in an answer
// is there.
func TestTracesOfDigdagsClient(t *testing.T) {
	s := &stockClient{t: t, address: newServing(t).address, shown: map[string]string{}}
	s.send("version", traceCall{"GET version", 200, "version"})
	for _, tr := range traces() {
		s.send(tr.command, traceCall{"GET version/check?client=0.10.5.1", 200, "version check"})
		for _, call := range tr.calls {
			s.send(tr.command, call)
		}
	}
}

// stockClient sends what Digdag's client does, and reads as it does.
type stockClient struct {
	t       *testing.T
	address string
	shown   map[string]string // the id of what was shown last, by model
}

func (s *stockClient) send(command string, call traceCall) {
	s.t.Helper()
	if rest, ok := strings.CutPrefix(call.call, "await "); ok {
		s.await(command, traceCall{"GET " + rest, call.status, call.answer})
		return
	}
	response, body := s.ask(call.call)
	if response.StatusCode != call.status {
		s.t.Fatalf("%s: %s: got status %d, want %d: %s", command, call.call, response.StatusCode, call.status, body)
	}
	if err := s.read(call.answer, response.Header.Get("Content-Type"), body); err != nil {
		s.t.Errorf("%s: %s: %v in %s", command, call.call, err, body)
	}
}

// await asks until the attempt is done.
func (s *stockClient) await(command string, call traceCall) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if _, body := s.ask(call.call); bytes.Contains(body, []byte(`"done":true`)) {
			s.send(command, call)
			return
		}
	}
	s.t.Fatalf("%s: %s: it is never done", command, call.call)
}

// ask sends a call and takes off what encoded the answer on its way.
func (s *stockClient) ask(text string) (*http.Response, []byte) {
	s.t.Helper()
	for name, value := range s.shown {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	text = strings.ReplaceAll(text, "{now}", time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z"))
	parts := append(strings.SplitN(text, " ", 3), "")
	body, content := []byte(parts[2]), "application/json"
	if parts[2] == "<archive>" {
		body, content = s.archive(), "application/gzip"
	}
	r, err := http.NewRequestWithContext(s.t.Context(), parts[0], "http://"+s.address+"/api/"+parts[1], bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("User-Agent", "DigdagClient/0.10.5.1")
	r.Header.Set("Accept-Encoding", "gzip, deflate")
	if len(body) > 0 {
		r.Header.Set("Content-Type", content)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	decoded := io.Reader(response.Body)
	if response.Header.Get("Content-Encoding") == "gzip" {
		if decoded, err = gzip.NewReader(response.Body); err != nil {
			s.t.Fatalf("%s: %v", text, err)
		}
	}
	answer, err := io.ReadAll(decoded)
	if err != nil {
		s.t.Fatalf("%s: %v", text, err)
	}
	return response, answer
}

func (s *stockClient) archive() []byte {
	s.t.Helper()
	dir := s.t.TempDir()
	writeFlows(s.t, dir)
	var packed bytes.Buffer
	if _, err := archive.Pack(&packed, dir, archive.PackOptions{}); err != nil {
		s.t.Fatal(err)
	}
	return packed.Bytes()
}

// insists is what the client cannot do without, by model (server.md 1.8).
var insists = map[string]string{
	"error": "message status", "version": "version", "version check": "serverVersion upgradeRecommended apiCompatible",
	"project":      "id name revision createdAt updatedAt archiveType",
	"workflow":     "id name project.id project.name revision timezone config",
	"session time": "project.id project.name revision sessionTime timezone",
	"schedule":     "id project.id workflow.id workflow.name nextRunTime nextScheduleTime",
	"summary":      "id project.id workflow.id workflow.name nextRunTime nextScheduleTime createdAt updatedAt",
	"session": "id project.id workflow.name sessionUuid sessionTime lastAttempt.id lastAttempt.done lastAttempt.success " +
		"lastAttempt.cancelRequested lastAttempt.params lastAttempt.createdAt",
	"attempt": "id project.id workflow.name sessionId sessionUuid sessionTime done success cancelRequested params createdAt",
	"task":    "id fullName config isGroup state exportParams storeParams stateParams updatedAt error",
	"file":    "fileName fileSize taskName fileTime agentId",
	"secret":  "key project.id project.name",
}

// read checks an answer and remembers what it shows.
func (s *stockClient) read(model, content string, body []byte) error {
	if model == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			_, err = io.Copy(io.Discard, z)
		}
		if err == nil && content != "application/gzip" {
			err = fmt.Errorf("it is of type %s", content)
		}
		return err
	}
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil {
		return err
	}
	list, model, isList := strings.Cut(model, "/")
	if !isList {
		return s.check(list, object)
	}
	entries, ok := object[list].([]any)
	if !ok || (model == "") != (len(entries) == 0) {
		return fmt.Errorf("got %d %s", len(entries), list)
	}
	for _, entry := range slices.Backward(entries) {
		if err := s.check(model, entry); err != nil {
			return err
		}
	}
	return nil
}

func (s *stockClient) check(model string, v any) error {
	object, _ := v.(map[string]any)
	for field := range strings.FieldsSeq(insists[model]) {
		value := any(object)
		for key := range strings.SplitSeq(field, ".") {
			inner, _ := value.(map[string]any)
			value = inner[key]
		}
		if err := checkValue(field, value); err != nil {
			return fmt.Errorf("%s: %w", model, err)
		}
	}
	s.remember(model, object)
	return nil
}

// forms are how values look, by the end of their names.
var forms = map[string]*regexp.Regexp{
	"id": regexp.MustCompile(`^\d+$`), "Id": regexp.MustCompile(`^\d+$`), "Uuid": regexp.MustCompile(`^[0-9a-f-]{36}$`),
	"At": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`), "RunTime": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
	"fileTime":         regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
	"sessionTime":      regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$`),
	"nextScheduleTime": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$`),
}

func checkValue(field string, value any) error {
	if value == nil {
		return fmt.Errorf("there is no %s", field)
	}
	if field == "agentId" {
		return nil
	}
	form := ""
	for end := range forms {
		if strings.HasSuffix(field, end) && len(end) > len(form) {
			form = end
		}
	}
	if text, ok := value.(string); form != "" && (!ok || !forms[form].MatchString(text)) {
		return fmt.Errorf("%s has the form of %v", field, value)
	}
	return nil
}

func (s *stockClient) remember(model string, object map[string]any) {
	text := func(key string) string { t, _ := object[key].(string); return t }
	switch model {
	case "project":
		s.shown["revision"] = text("revision")
	case "file":
		s.shown["file"] = text("fileName")
	case "session time":
		at, err := time.Parse(time.RFC3339, text("sessionTime"))
		if err != nil {
			s.t.Error(err)
		}
		s.shown[model] = at.UTC().Format(time.RFC3339)
	}
	if id, ok := object["id"].(string); ok {
		s.shown[model] = id
	}
	if workflow, ok := object["workflow"].(map[string]any); ok && model == "schedule" {
		s.shown["workflow"] = fmt.Sprint(workflow["id"])
	}
}
