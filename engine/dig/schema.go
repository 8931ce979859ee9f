package dig

import (
	"bytes"
	"strings"
)

// schema is a JSON Schema, or a part of one.
type schema = map[string]any

// Schema returns the JSON Schema (2020-12) of .dig files, for editors. Operators are the types that they suggest; others
// are allowed, since a project may bring its own. It is a bit stricter than [Load] where what Load passes over is a
// mistake, as an option of `_retry` that nothing reads.
func Schema(operators []string) ([]byte, error) {
	defs := valueSchemas()
	defs["task"] = schema{
		"description": "A task: a group of tasks, or what one operator does.",
		"if":          schema{"type": "array"},
		"then":        schema{"minItems": 1, "items": schema{"type": "object"}},
		"else":        ref("body"),
	}
	defs["body"] = schema{
		"type": "object",
		"if": schema{
			"required":   []string{disableKey},
			"properties": schema{disableKey: schema{"enum": []any{true, "true", "True"}}},
		},
		"else": schema{"if": hasOperator(), "then": ref("operator"), "else": ref("group")},
	}
	defs["group"] = closed(properties(onGroup), taskNames(false))
	defs["operator"] = operatorSchema(operators)
	defs["schedule"] = scheduleSchema()
	defs["sla"] = slaSchema()
	root := closed(properties(atTop), taskNames(true))
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "A Digdag workflow as gitdag reads it"
	root["type"] = "object"
	root["$defs"] = defs
	var text bytes.Buffer
	err := writeJSON(&text, root)
	return text.Bytes(), err
}

func ref(def string) schema { return schema{"$ref": "#/$defs/" + def} }

// closed is a mapping of the properties and of tasks, and of nothing else.
func closed(known schema, names string) schema {
	return schema{
		"properties":           known,
		"patternProperties":    schema{names: ref("task")},
		"additionalProperties": false,
	}
}

// properties are the keys of a level. An editor sees `!include :` as an empty key.
func properties(at level) schema {
	known := schema{
		"":   schema{"type": "string", "description": "With the tag !include: the file whose keys stand here."},
		"<<": schema{"type": []string{"object", "array"}},
	}
	if at == onOperator { // on a group only true makes sense, and then anything may stand beside it
		known[disableKey] = ref("flag")
	}
	for _, k := range keys {
		if k.at&at == 0 {
			continue
		}
		s := schema{}
		if k.value != "" {
			s = ref(k.value)
		}
		s["description"] = k.says
		known[k.name] = s
	}
	return known
}

// taskNames is the pattern of the keys that are tasks.
func taskNames(top bool) string {
	symbols := taskSymbols
	if top {
		symbols = strings.ReplaceAll(symbols, "^", "")
	}
	var class strings.Builder
	for _, r := range symbols {
		if strings.ContainsRune(`\]^-[`, r) {
			class.WriteByte('\\')
		}
		class.WriteRune(r)
	}
	return `^\+[A-Za-z0-9` + class.String() + `]*$`
}

const operatorKey = ">$"

// hasOperator holds for what is an operator task: it has `_type`, or not all of its keys are no operators.
func hasOperator() schema {
	return schema{"anyOf": []schema{
		{"required": []string{"_type"}},
		{"not": schema{"propertyNames": schema{"not": schema{"pattern": operatorKey}}}},
	}}
}

func operatorSchema(operators []string) schema {
	known, dependent := properties(onOperator), schema{}
	for _, name := range operators {
		key := name + ">"
		known[key] = schema{"description": "The operator " + key}
		read := schema{}
		for _, option := range options[name] {
			read[option] = schema{"description": "An option of " + key}
		}
		dependent[key] = schema{
			"properties": read,
			"propertyNames": schema{"anyOf": []schema{
				{"const": key},
				{"not": schema{"pattern": operatorKey}},
			}},
		}
	}
	return schema{
		"properties":        known,
		"patternProperties": schema{`^\+`: false},
		"dependentSchemas":  dependent,
	}
}

// valueSchemas are the definitions of values that are no tasks.
func valueSchemas() schema {
	number := schema{"type": []string{"integer", "string"}, "pattern": `^\s*-?\d+\s*$|\$\{`}
	text := schema{"type": []string{"string", "number", "boolean"}}
	return schema{
		"text":     text,
		"mapping":  schema{"type": []string{"object", "null"}},
		"flag":     schema{"enum": []any{true, false, "true", "True", "false", "False", nil}},
		"names":    schema{"type": "array", "items": schema{"type": "string"}},
		"labels":   schema{"type": []string{"object", "null"}, "additionalProperties": text},
		"duration": schema{"type": []string{"string", "null"}, "pattern": `^\s*(\d+\s*[dDhHmMsS]\s*)+$|\$\{`},
		"parallel": schema{"anyOf": []schema{
			{"type": "boolean"},
			{"type": "string", "pattern": `^\s*([Tt]rue|[Ff]alse)\s*$|\$\{`},
			{
				"type": "object", "required": []string{"limit"}, "additionalProperties": false,
				"properties": schema{"limit": number},
			},
		}},
		"retry": schema{"anyOf": []schema{
			number,
			{
				"type": "object", "required": []string{"limit"}, "additionalProperties": false,
				"properties": schema{
					"limit": number, "interval": number, "max_interval": number,
					"interval_type": schema{"type": "string", "pattern": `^([Cc]onstant|[Ee]xponential)$|\$\{`},
				},
			},
		}},
	}
}

// scheduleTypes are the types of schedules with the pattern of their values; those without one are counts.
var scheduleTypes = []struct{ name, pattern, says string }{
	{"hourly", `^-?\d+:-?\d+$`, "Each hour, at MM:SS."},
	{"daily", `^-?\d+:-?\d+:-?\d+$`, "Each day, at HH:MM:SS."},
	{"weekly", `^[^,]+,\s*-?\d+:-?\d+:-?\d+\s*$`, "Each week, at DDD,HH:MM:SS."},
	{"monthly", `^\d+,-?\d+:-?\d+:-?\d+$`, "Each month, at D,HH:MM:SS."},
	{"minutes_interval", "", "Each so many minutes of an hour."},
	{"seconds_interval", "", "Each so many seconds."},
	{"cron", `^(\s*[^\s|]+(\s+[^\s|]+){4}\s*(\||$))+$`, "Minute, hour, day of the month, month, day of the week."},
}

// scheduleOptions are the other keys of a schedule. Delay is for the types without a time of day, at for `_type` without
// `_command`.
func scheduleOptions() schema {
	date := schema{"type": "string", "pattern": `^\d{4}-\d\d-\d\d$`}
	return schema{
		"skip_on_overtime": ref("flag"), "skip_delayed_by": ref("duration"), "start": date, "end": date,
		"catch_up": schema{"enum": []string{"all", "last", "none"}},
		"delay":    schema{"type": []string{"integer", "string"}},
		"_type":    ref("text"), "_command": schema{}, "at": ref("text"),
	}
}

func scheduleSchema() schema {
	known := scheduleOptions()
	known[""], known["<<"] = schema{"type": "string"}, schema{"type": []string{"object", "array"}}
	oneOf := []schema{{"required": []string{"_type"}}, {"required": []string{""}}, {"required": []string{"<<"}}}
	for _, t := range scheduleTypes {
		value := schema{"type": "string", "pattern": t.pattern}
		if t.pattern == "" {
			value = schema{"type": []string{"integer", "string"}, "minimum": 1, "pattern": `^\s*\d+\s*$`}
		}
		value["description"] = t.says
		known[t.name+">"] = value
		oneOf = append(oneOf, schema{"required": []string{t.name + ">"}})
	}
	return schema{
		"type": []string{"object", "null"}, "properties": known, "additionalProperties": false,
		"if": schema{"type": "object"}, "then": schema{"anyOf": oneOf},
	}
}

func slaSchema() schema {
	clock := schema{"type": "string", "pattern": `^-?\d+:-?\d+(:-?\d+)?$`}
	own := schema{
		"time": clock, "duration": clock, "alert": ref("flag"), "fail": ref("flag"), "warn": schema{},
	}
	group := properties(onGroup)
	for name, s := range own {
		group[name] = s
	}
	return schema{
		"type":       []string{"object", "null"},
		"properties": own,
		"if":         schema{"type": "object"},
		"then": schema{
			"oneOf": []schema{{"required": []string{"time"}}, {"required": []string{"duration"}}},
			"if":    hasOperator(),
			"else":  closed(group, taskNames(false)),
		},
	}
}
