package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gitdag/agent"
)

// TestSampleNamesEveryKey: docs/agent.yaml is where settings are documented, so
// each is in it, set or commented out.
func TestSampleNamesEveryKey(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "agent.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := agent.ParseConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range unset(reflect.ValueOf(config), "") {
		name := key[strings.LastIndex(key, ".")+1:]
		if !strings.Contains(string(data), "# "+name+": ") && !strings.Contains(string(data), "\n"+name+": ") {
			t.Errorf("docs/agent.yaml does not show %s", key)
		}
	}
}

// unset lists the keys that have the zero value: not given, or given as such.
func unset(v reflect.Value, at string) []string {
	switch v.Kind() {
	case reflect.Struct:
		var keys []string
		for i := range v.NumField() {
			if key := v.Type().Field(i).Tag.Get("yaml"); key != "-" {
				keys = append(keys, unset(v.Field(i), at+"."+key)...)
			}
		}
		return keys
	case reflect.Slice:
		if v.Len() > 0 && v.Index(0).Kind() == reflect.Struct {
			return common(v, at)
		}
	}
	if v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 {
		return []string{at}
	}
	return nil
}

// common lists the keys that no element of a list sets.
func common(list reflect.Value, at string) []string {
	count := map[string]int{}
	for i := range list.Len() {
		for _, key := range unset(list.Index(i), at) {
			count[key]++
		}
	}
	var keys []string
	for key, n := range count {
		if n == list.Len() {
			keys = append(keys, key)
		}
	}
	return keys
}
