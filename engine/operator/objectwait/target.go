package objectwait

import (
	"strings"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// target is the object that a task waits for.
type target struct{ scheme, bucket, object string }

func (o target) String() string { return o.scheme + "://" + o.bucket + "/" + o.object }

// readTarget reads the command BUCKET/OBJECT, or in its place the parameter `bucket` with
// the one that names the object. The command and a parameter are one too many, from
// wherever the parameter comes (O1).
func readTarget(t *operator.Task, config *params.Map, scheme, objectKey string) (target, error) {
	o := target{scheme: scheme}
	command, err := params.Optional(config, "_command", params.String, "")
	if err != nil {
		return o, err
	}
	if o.bucket, err = params.Optional(config, "bucket", params.String, ""); err != nil {
		return o, err
	}
	if o.object, err = params.Optional(config, objectKey, params.String, ""); err != nil {
		return o, err
	}
	if v, _ := config.Lookup("_command"); v == nil {
		if o.bucket == "" || o.object == "" {
			return o, operator.ConfigError("%s> needs BUCKET/OBJECT, or both parameters 'bucket' and '%s'", t.Type, objectKey)
		}
		return o, nil
	}
	for _, key := range []string{"bucket", objectKey} {
		if v, _ := config.Lookup(key); v == nil {
			continue
		}
		where := ""
		if !t.Local.Has(key) {
			where = ", which comes from outside of the task"
		}
		return o, operator.ConfigError("%s> takes either BUCKET/OBJECT or the parameters 'bucket' and '%s': there is also the parameter '%s'%s",
			t.Type, objectKey, key, where)
	}
	o.bucket, o.object, _ = strings.Cut(strings.TrimPrefix(command, scheme+"://"), "/")
	if o.bucket == "" || o.object == "" {
		return o, operator.ConfigError("%s> needs BUCKET/OBJECT, not %q", t.Type, command)
	}
	return o, nil
}
