package dig

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"gitdag/engine/params"
)

// The scalar rules of the dialect (language.md 2.1): YAML 1.1 with fewer booleans, no sexagesimal integers, no
// timestamps, and floats that do not start with a zero digit (L1).
var (
	binaryInt  = regexp.MustCompile(`^[-+]?0b[01_]+$`)
	octalInt   = regexp.MustCompile(`^[-+]?0[0-7_]+$`)
	decimalInt = regexp.MustCompile(`^[-+]?(0|[1-9][0-9_]*)$`)
	hexInt     = regexp.MustCompile(`^[-+]?0x[0-9a-fA-F_]+$`)
	pointFloat = regexp.MustCompile(`^[-+]?(\.[0-9][0-9_]*|[1-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?$`)
	base60     = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*$`)
	infinity   = regexp.MustCompile(`^[-+]?\.(inf|Inf|INF)$`)
	notANumber = regexp.MustCompile(`^\.(nan|NaN|NAN)$`)

	// explicitFloat is what !!float takes beyond that.
	explicitFloat = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?$`)
)

// maxDigits bounds a number's text: beyond it nothing sensible is meant, and conversions cost more than linear time.
const maxDigits = 1000

var errLongNumber = fmt.Errorf("a number of more than %d characters", maxDigits)

// plainScalar resolves an unquoted scalar without a tag.
func plainScalar(text string) (any, error) {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nil, nil
	case "true", "True":
		return true, nil
	case "false", "False":
		return false, nil
	}
	if strings.IndexByte("+-.0123456789", text[0]) < 0 {
		return params.Template(text), nil
	}
	v, ok, err := number(text)
	if !ok || err != nil {
		return params.Template(text), err
	}
	return v, nil
}

// number reads text as one of the dialect's numbers. Infinities and NaN become texts, since JSON has no such numbers.
func number(text string) (v any, ok bool, err error) {
	if v, ok, err = integer(text); ok {
		return v, ok, err
	}
	switch {
	case pointFloat.MatchString(text):
		v, err = float(text)
		return v, true, err
	case base60.MatchString(text):
		v, err = sexagesimal(text)
		return v, true, err
	case infinity.MatchString(text):
		if text[0] == '-' {
			return params.Template("-Infinity"), true, nil
		}
		return params.Template("Infinity"), true, nil
	case notANumber.MatchString(text):
		return params.Template("NaN"), true, nil
	}
	return nil, false, nil
}

func integer(text string) (v any, ok bool, err error) {
	base := 0
	switch {
	case decimalInt.MatchString(text):
		base = 10
	case octalInt.MatchString(text):
		base = 8
	case hexInt.MatchString(text):
		base = 16
	case binaryInt.MatchString(text):
		base = 2
	default:
		return nil, false, nil
	}
	if len(text) > maxDigits {
		return nil, true, errLongNumber
	}
	digits := strings.ReplaceAll(strings.TrimLeft(text, "+-"), "_", "")
	if base == 2 || base == 16 {
		digits = digits[2:]
	}
	n, isNumber := new(big.Int).SetString(digits, base)
	if !isNumber {
		return nil, false, nil
	}
	if text[0] == '-' {
		n.Neg(n)
	}
	return params.Number(n.String()), true, nil
}

// float makes a JSON number of a point or exponent form, digit for digit; what is too large for a double is the text
// Infinity, as elsewhere.
func float(text string) (any, error) {
	if len(text) > maxDigits {
		return nil, errLongNumber
	}
	text = strings.ReplaceAll(strings.TrimPrefix(text, "+"), "_", "")
	switch v, _ := strconv.ParseFloat(text, 64); {
	case math.IsInf(v, 1):
		return params.Template("Infinity"), nil
	case math.IsInf(v, -1):
		return params.Template("-Infinity"), nil
	case v == 0:
		return params.Number("0.0"), nil // an exponent like e-999999999 would hurt who computes with it exactly
	}
	minus := ""
	if strings.HasPrefix(text, "-") {
		minus, text = "-", text[1:]
	}
	mantissa, exponent := text, ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], text[i:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if fraction == "" && exponent == "" {
		fraction = "0" // it stays a decimal number, not an integer
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return params.Number(minus + whole + fraction + exponent), nil
}

// sexagesimal reads 1:30.5 as 90.5.
func sexagesimal(text string) (any, error) {
	if len(text) > maxDigits {
		return nil, errLongNumber
	}
	sum := 0.0
	for part := range strings.SplitSeq(strings.ReplaceAll(strings.TrimLeft(text, "+-"), "_", ""), ":") {
		v, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", text)
		}
		sum = sum*60 + v
	}
	if text[0] == '-' {
		sum = -sum
	}
	return float(strconv.FormatFloat(sum, 'g', -1, 64))
}

// taggedScalar reads a scalar with an explicit standard tag.
func taggedScalar(tag, text string) (any, error) {
	switch tag {
	case "!!str":
		return params.Template(text), nil
	case "!!null":
		return nil, nil
	case "!!bool":
		switch strings.ToLower(text) {
		case "true", "yes", "on":
			return true, nil
		case "false", "no", "off":
			return false, nil
		}
		return nil, fmt.Errorf("%q is not a boolean", text)
	case "!!int":
		if v, ok, err := integer(text); ok {
			return v, err
		}
		return nil, fmt.Errorf("%q is not an integer", text)
	case "!!float":
		if explicitFloat.MatchString(text) {
			return float(text)
		}
		if v, ok, err := number(text); ok {
			return v, err
		}
		return nil, fmt.Errorf("%q is not a number", text)
	case "!!binary":
		packed := strings.Join(strings.Fields(text), "")
		if _, err := base64.StdEncoding.DecodeString(packed); err != nil {
			return nil, errors.New("the text of !!binary is not base64")
		}
		return params.Template(packed), nil
	}
	return nil, fmt.Errorf("unknown tag %s", tag)
}

// keyText is the text that a resolved key is turned into: 0x10 is "16" and 1e3 is "1000.0". A null has none.
func keyText(v any) (string, bool) {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v), true
	case params.Number:
		return v.Java(), true
	}
	return params.Text(v)
}
