package deploy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unit is the service file, by section and key; a repeated key keeps its last
// value.
func unit(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("gitdag.service")
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	section := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			keys[section+"."+key] = value
		}
	}
	return keys
}

// installedUnit is a copy of the service file whose program exists here.
func installedUnit(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("gitdag.service")
	if err != nil {
		t.Fatal(err)
	}
	const program = "ExecStart=/usr/local/bin/gitdag "
	if !strings.Contains(string(data), program) {
		t.Fatalf("gitdag.service has no %q", program)
	}
	path := filepath.Join(t.TempDir(), "gitdag.service")
	put(t, path, strings.Replace(string(data), program, "ExecStart=/bin/true ", 1))
	return path
}

func TestSystemdAcceptsTheUnit(t *testing.T) {
	need(t, "systemd-analyze")
	out, err := try(t.Context(), nil, "systemd-analyze", "verify", installedUnit(t))
	// An unknown key is only warned of.
	if err != nil || strings.Contains(out, "gitdag.service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// TestUnitIsHardened holds the exposure that systemd computes, 0 to 100, where
// a unit without any setting has 96.
func TestUnitIsHardened(t *testing.T) {
	need(t, "systemd-analyze")
	out, err := try(t.Context(), nil, "systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", installedUnit(t))
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

func TestUnitLetsTheAgentEndItsTasks(t *testing.T) {
	keys := unit(t)
	for key, want := range map[string]string{
		"Service.Type":      "notify",
		"Service.KillMode":  "mixed",
		"Service.OOMPolicy": "continue",
	} {
		if got := keys[key]; got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	stop, err := time.ParseDuration(keys["Service.TimeoutStopSec"])
	if err != nil || stop <= drain+killGrace {
		t.Errorf("TimeoutStopSec: got %q, want more than %s", keys["Service.TimeoutStopSec"], drain+killGrace)
	}
	if _, err := time.ParseDuration(keys["Service.WatchdogSec"]); err != nil {
		t.Errorf("WatchdogSec: got %q, want a duration", keys["Service.WatchdogSec"])
	}
}
