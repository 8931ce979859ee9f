package operator

import (
	"context"
	"strings"

	"gitdag/engine/params"
)

// readContent reads the body of a request and of what type it is.
func (r *requestReader) readContent(ctx context.Context) error {
	content, _ := r.config.Lookup("content")
	if content == nil {
		return nil
	}
	format, err := contentFormat(r.config, content)
	if err != nil {
		return err
	}
	kind, err := params.Optional(r.config, "content_type", params.String, "")
	if err != nil {
		return err
	}
	given := kind != ""
	var text string
	switch format {
	case "form":
		kind, given = "application/x-www-form-urlencoded", true
		text, r.hasSecret, err = r.form(ctx, content)
	case "json":
		var filled any
		if filled, r.hasSecret, err = r.fillAll(ctx, content); err == nil {
			text = string(params.AppendJSON(nil, filled))
		}
		if !given {
			kind = "application/json"
		}
	default:
		if text, err = scalarContent(content); err == nil {
			text, r.hasSecret, err = fillIn(ctx, text, r.look)
		}
		if !given {
			kind = "plain/text" // as Digdag has it
		}
	}
	if err != nil {
		return err
	}
	r.body = []byte(text)
	if given || r.header.Get("Content-Type") == "" {
		r.header.Set("Content-Type", kind)
	}
	return nil
}

func contentFormat(config *params.Map, content any) (string, error) {
	format := "text"
	switch content.(type) {
	case *params.Map, params.List:
		format = "json"
	}
	format, err := params.Optional(config, "content_format", params.String, format)
	if err != nil {
		return "", err
	}
	switch format = strings.ToLower(format); format {
	case "text", "json", "form":
		return format, nil
	}
	return "", configError("Parameter 'content_format' must be text, json or form, not %s", sample(format))
}

func scalarContent(content any) (string, error) {
	text, wrong := params.String(content)
	if wrong != "" {
		return "", configError("Parameter 'content' cannot be sent as text: %s", sample(content))
	}
	return text, nil
}

func (r *requestReader) form(ctx context.Context, content any) (text string, private bool, err error) {
	fields, ok := content.(*params.Map)
	if !ok {
		return "", false, configError("Parameter 'content' cannot be sent as form, which takes an object: %s", sample(content))
	}
	return r.encode(ctx, "content", pairsOf(fields))
}

// fillAll fills in the secrets of the texts and names in a value.
func (r *requestReader) fillAll(ctx context.Context, v any) (filled any, found bool, err error) {
	if text, ok := params.Text(v); ok {
		return fillIn(ctx, text, r.look)
	}
	switch v := v.(type) {
	case *params.Map:
		out := params.NewMap(v.Len())
		for key, value := range v.All() {
			key, inKey, err := fillIn(ctx, key, r.look)
			if err != nil {
				return nil, false, err
			}
			value, inValue, err := r.fillAll(ctx, value)
			if err != nil {
				return nil, false, err
			}
			out.Set(key, value)
			found = found || inKey || inValue
		}
		return out, found, nil
	case params.List:
		out := make(params.List, len(v))
		for i, value := range v {
			value, inValue, err := r.fillAll(ctx, value)
			if err != nil {
				return nil, false, err
			}
			out[i] = value
			found = found || inValue
		}
		return out, found, nil
	}
	return v, false, nil
}
