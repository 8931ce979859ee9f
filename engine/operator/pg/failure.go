package pg

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"gitdag/engine/operator"
)

// The errors of a server that mean something here.
const (
	undefinedTable       = "42P01"
	lockNotAvailable     = "55P03"
	serializationFailure = "40001"
	readOnlyTransaction  = "25006"
	activeTransaction    = "25001" // what was asked for cannot run in one
)

// code is the SQLSTATE of a server's error; empty if it is none.
func code(err error) string {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return server.Code
	}
	return ""
}

// failed is the failure of a task: what could not be done, and the reason in brackets. It
// is deliberate, so its text stands alone.
func failed(what string, err error, s script) *operator.Error {
	var failure *operator.Error
	if errors.As(err, &failure) {
		return failure
	}
	return &operator.Error{Message: what + " [" + reason(err, s) + "]"}
}

// reason is an error in one text; of a server's all that it says.
func reason(err error, s script) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s (SQLSTATE %s)", e.Severity, e.Message, e.Code)
	if line, column := s.place(int(e.Position)); line > 0 {
		fmt.Fprintf(&b, " at line %d, column %d", line, column)
	}
	for _, part := range []struct{ name, text string }{{"detail", e.Detail}, {"hint", e.Hint}} {
		if part.text != "" {
			b.WriteString("; " + part.name + ": " + part.text)
		}
	}
	if e.Code == activeTransaction {
		b.WriteString("; hint: with strict_transaction: false it runs outside of a transaction")
	}
	return b.String()
}

// place returns where in the author's text a character is, which is counted from 1 over
// the whole; 0 for none.
func (s script) place(position int) (line, column int) {
	position -= utf8.RuneCountInString(s.text[:s.ahead])
	own := []rune(s.text[s.ahead:])
	if position < 1 || position > len(own)+1 {
		return 0, 0
	}
	before := string(own[:position-1])
	return strings.Count(before, "\n") + 1, position - 1 - utf8.RuneCountInString(before[:strings.LastIndex(before, "\n")+1]) + 1
}
