package params

import (
	"math"
	"strconv"
	"strings"
)

// IsInteger tells whether the literal has neither a fraction nor an exponent.
func (n Number) IsInteger() bool { return !strings.ContainsAny(string(n), ".eE") }

// Float returns the nearest double; what no double can hold becomes an infinity.
func (n Number) Float() float64 {
	f, _ := strconv.ParseFloat(string(n), 64) // a range error comes with the infinity
	return f
}

// Java writes the number as environment variables and text reads show it (L65): integers exactly, decimals in Java's
// notation, 1000.0 and 1.0E-7.
func (n Number) Java() string {
	if n.IsInteger() {
		return string(n)
	}
	f := n.Float()
	abs := math.Abs(f)
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case abs == 0 || abs >= 1e-3 && abs < 1e7:
		text := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	}
	mantissa, exponent := scientific(f)
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	return mantissa + "E" + strconv.Itoa(exponent)
}

// JavaScript writes the number as a template shows it: as a double, 1000, 1e-7 and 1e+21. A number beyond the doubles
// is null, as in the JSON that JavaScript writes.
func (n Number) JavaScript() string {
	f := n.Float()
	abs := math.Abs(f)
	switch {
	case math.IsInf(f, 0):
		return "null"
	case f == 0:
		return "0"
	case abs >= 1e-6 && abs < 1e21:
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	mantissa, exponent := scientific(f)
	if exponent > 0 {
		return mantissa + "e+" + strconv.Itoa(exponent)
	}
	return mantissa + "e" + strconv.Itoa(exponent)
}

// scientific splits f into its shortest mantissa and the exponent of ten.
func scientific(f float64) (string, int) {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	power, err := strconv.Atoi(exponent)
	if err != nil {
		panic("params: a float without an exponent")
	}
	return mantissa, power
}

// EnvText is v as a task's environment shows it: text as it is, anything else as JSON with numbers in Java's notation.
func EnvText(v any) string {
	if text, ok := Text(v); ok {
		return text
	}
	return string(AppendJSON(nil, javaNumbers(v)))
}

// javaNumbers rewrites the decimal literals of v; what has none is not copied.
func javaNumbers(v any) any {
	return mapLeaves(v, func(leaf any) any {
		if n, ok := leaf.(Number); ok {
			return Number(n.Java())
		}
		return leaf
	})
}
