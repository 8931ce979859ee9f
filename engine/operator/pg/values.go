package pg

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"gitdag/engine/params"
)

// The types whose values are no texts.
const (
	boolOID    = 16
	int8OID    = 20
	int2OID    = 21
	int4OID    = 23
	oidOID     = 26
	float4OID  = 700
	float8OID  = 701
	numericOID = 1700
)

// parameter is a value as a parameter: a number, a boolean, null or a text.
func parameter(oid uint32, value []byte) any {
	if value == nil {
		return nil
	}
	switch oid {
	case boolOID:
		return string(value) == "t"
	case int2OID, int4OID, int8OID, oidOID, float4OID, float8OID, numericOID:
		if json.Valid(value) { // not NaN, nor an infinity
			return params.Number(value)
		}
	}
	return string(value)
}

// csvSink writes CSV: a header, lines that end in CRLF, quotes where they are needed only.
type csvSink struct {
	w      io.Writer
	fields []pgconn.FieldDescription
	line   strings.Builder
}

func (c *csvSink) columns(list []pgconn.FieldDescription) error {
	c.fields = append(c.fields, list...)
	for i := range list {
		c.field(i, list[i].Name)
	}
	return c.end()
}

func (c *csvSink) row(values [][]byte) error {
	for i, value := range values {
		switch {
		case value == nil:
			c.separate(i) // unlike an empty text, which is ""
		case c.fields[i].DataTypeOID == boolOID && string(value) == "t":
			c.field(i, "true")
		case c.fields[i].DataTypeOID == boolOID:
			c.field(i, "false")
		default:
			c.field(i, string(value))
		}
	}
	return c.end()
}

func (c *csvSink) separate(i int) {
	if i > 0 {
		c.line.WriteByte(',')
	}
}

func (c *csvSink) field(i int, text string) {
	c.separate(i)
	if strings.Contains(text, "\r") {
		text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	}
	if text != "" && !strings.ContainsAny(text, "\",\n") {
		c.line.WriteString(text)
		return
	}
	c.line.WriteString(`"` + strings.ReplaceAll(text, `"`, `""`) + `"`)
}

func (c *csvSink) end() error {
	c.line.WriteString("\r\n")
	_, err := io.WriteString(c.w, c.line.String())
	c.line.Reset()
	return err
}
