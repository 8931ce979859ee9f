package operator_test

import (
	"fmt"
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// TestMissing shows what becomes of operators that gitdag does not have, those of
// Treasure Data (O15, O16), Redshift (O19, O20), EMR (O21) and BigQuery (O25) among
// them.
func TestMissing(t *testing.T) {
	p := newProject(t)
	way := "an executable operators/%s in the project can do its work, or a script with sh> or py> (config)"
	plugin := params.Of("plugin", params.Of("dependencies", []any{"com.example:snow:1"}))
	tests := []struct {
		visible   *params.Map
		typ, want string
	}{
		{nil, "td", "Unknown task type: td: gitdag does not support td>; "},
		{nil, "td_for_each", "Unknown task type: td_for_each: gitdag does not support td_for_each>; "},
		{nil, "bq_load", "Unknown task type: bq_load: gitdag does not support bq_load>; "},
		{nil, "redshift", "Unknown task type: redshift: gitdag does not support redshift>; "},
		{nil, "redshift_unload", "Unknown task type: redshift_unload: gitdag does not support redshift_unload>; "},
		{nil, "emr", "Unknown task type: emr: gitdag does not support emr>; "},
		{plugin, "snowflake", "Unknown task type: snowflake: gitdag cannot load plug-ins of the JVM, if it is of one; "},
		{params.Of("dependencies", []any{"a:b:1"}), "slack", "Unknown task type: slack: gitdag cannot load plug-ins of the JVM, if it is of one; "},
		{nil, "teleport", ""},
		{params.Of("plugin", "x", "dependencies", []any{}), "tdx", ""},
	}
	for _, tt := range tests {
		want := "Unknown task type: " + tt.typ + " (config)"
		if tt.want != "" {
			want = tt.want + fmt.Sprintf(way, tt.typ)
		}
		if got := operator.Missing(p.inherit(tt.visible, tt.typ+">", "x")).Error(); got != want {
			t.Errorf("%s: got\n  %s\nwant\n  %s", tt.typ, got, want)
		}
	}
}
