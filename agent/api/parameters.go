package api

// parameter describes a parameter of the query.
type parameter struct {
	schema schema
	text   string
}

func textual(text string) parameter { return parameter{schema{"type": "string"}, text} }

func number(text string) parameter {
	return parameter{schema{"type": "integer", "minimum": 0}, text}
}

func flag(text string) parameter {
	return parameter{schema{"type": "boolean", "default": false}, text + "; true, 1 or yes"}
}

func choice(text string, of ...string) parameter {
	return parameter{schema{"type": "string", "enum": of}, text}
}

// parameters describes all that there are, by name.
func parameters() map[string]parameter {
	return map[string]parameter{
		"client":              textual("The version of the client, as in 0.10.5"),
		"count":               number("How many elements the page has at most; 100 if absent"),
		"direct_download":     textual("Ignored: nothing is kept elsewhere"),
		"exact":               flag("Whether task is the whole name"),
		"include_retried":     flag("Whether to list all attempts of a session"),
		"last_id":             number("The id of the last element of the page before"),
		"mode":                choice("Where the time is moved to", "second", "minute", "hour", "day", "schedule", "next_schedule"),
		"name":                textual("The exact name"),
		"name_pattern":        textual("A part of the name"),
		"offset":              number("How many bytes of the unpacked log to leave out"),
		"order":               choice("The order of the ids", "asc", "desc"),
		"page_size":           number("How many elements the page has at most; 100 if absent"),
		"project":             textual("The exact name of a project"),
		"repo":                textual("The name of a repository; all if absent"),
		"revision":            textual("The exact name of a revision; the live one if absent"),
		"schedule_from":       textual("When new and changed schedules begin: an ISO time with an offset; now if absent"),
		"search_project_name": flag("Whether name_pattern may also be a part of the project's name"),
		"session_time":        textual("An ISO time, with an offset or that of the workflow"),
		"task":                textual("The beginning of the full name of a task"),
		"workflow":            textual("The exact name of a workflow"),
	}
}
