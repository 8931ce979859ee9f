package api

import (
	"reflect"
	"strings"

	"gitdag/engine/params"
)

// schema is a JSON schema.
type schema map[string]any

// schemas holds those of wire types by name.
type schemas map[string]schema

// way is the direction in which a value goes. In a request a field that may be
// null may be missing, in an answer nothing is.
type way bool

const (
	asking    way = false
	answering way = true
)

// of returns the schema of a value of a wire type. That of a struct is a
// reference to one that is added.
func (all schemas) of(v any, to way) schema {
	switch v := v.(type) {
	case anyObject:
		return schema{"type": "object"}
	case binary:
		return schema{"type": "string", "format": "binary"}
	case listing:
		return schema{
			"type": "object", "required": []string{v.key},
			"properties": map[string]schema{v.key: {"type": "array", "items": all.of(v.of, to)}},
		}
	}
	return all.ofType(reflect.TypeOf(v), to)
}

var (
	idType      = reflect.TypeFor[ID]()
	instantType = reflect.TypeFor[Instant]()
	localType   = reflect.TypeFor[Local]()
	mapType     = reflect.TypeFor[*params.Map]()
)

func (all schemas) ofType(t reflect.Type, to way) schema {
	switch t {
	case idType:
		if to == asking {
			return schema{"type": []string{"string", "integer"}, "pattern": "^[0-9]+$"}
		}
		return schema{"type": "string", "pattern": "^[0-9]+$"}
	case instantType, localType:
		return schema{"type": "string", "format": "date-time"}
	case mapType:
		return schema{"type": "object"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return all.ofType(t.Elem(), to)
	case reflect.Slice:
		return schema{"type": "array", "items": all.ofType(t.Elem(), to)}
	case reflect.Struct:
		if _, known := all[t.Name()]; !known {
			all[t.Name()] = schema{} // ends a recursion
			all[t.Name()] = all.object(t, to)
		}
		return schema{"$ref": "#/components/schemas/" + t.Name()}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return schema{"type": "integer"}
	case reflect.String:
		return schema{"type": "string"}
	}
	return schema{}
}

// object returns the schema of a struct.
func (all schemas) object(t reflect.Type, to way) schema {
	properties, required := map[string]schema{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "" {
			continue
		}
		null := f.Tag.Get("schema") == "null" || f.Type.Kind() == reflect.Pointer && f.Type != mapType
		optional := f.Tag.Get("schema") == "optional" || rest == "omitempty" || null && to == asking
		properties[name] = all.ofType(f.Type, to)
		if null && rest != "omitempty" {
			properties[name] = orNull(properties[name])
		}
		if !optional {
			required = append(required, name)
		}
	}
	return schema{"type": "object", "required": required, "properties": properties}
}

// orNull lets a schema take null too.
func orNull(s schema) schema {
	switch kind := s["type"].(type) {
	case string:
		s["type"] = []string{kind, "null"}
	case []string:
		s["type"] = append(kind, "null")
	default:
		return schema{"anyOf": []schema{s, {"type": "null"}}}
	}
	return s
}
