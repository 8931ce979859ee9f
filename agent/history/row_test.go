package history

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"gitdag/engine/flow"
)

// fill gives every field below v a value that is its own.
func fill(t *testing.T, v reflect.Value, next *int64) {
	t.Helper()
	*next++
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Unix(*next*1_000_000, *next).In(time.FixedZone("", int(*next-10)*600))
		return
	case *mark:
		return // the kind of file
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), next)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), next)
	case reflect.Slice: // the parameters
		v.SetBytes([]byte(`{"key":"${value}"}`))
	case reflect.String:
		v.SetString(time.Unix(*next, 0).String())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(*next)
	case reflect.Uint64:
		v.SetUint(uint64(*next) << 40)
	default:
		t.Fatalf("a field of kind %s", v.Kind())
	}
}

// A row says all that the first line of a file does.
func TestRowsAreWhole(t *testing.T) {
	var every wireHead
	number := int64(0)
	for i, v := 1, reflect.ValueOf(&every).Elem(); i < v.NumField(); i++ { // without the mark
		fill(t, v.Field(i), &number)
	}
	heads := []*wireHead{&every, {}}
	for _, r := range []*flow.Record{full(), record(1, 1), record(2, 2, failed)} {
		h, err := headOf(r)
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, h)
	}
	for i, h := range heads {
		want, err := h.summary()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRow(encodeRow(h))
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "row", got, want)
		if got, want := got.Attempt.Commit.Time.Format(time.RFC3339Nano), want.Attempt.Commit.Time.Format(time.RFC3339Nano); got != want {
			t.Errorf("row %d: the commit's time is %s, want %s", i, got, want)
		}
	}
}

// A row that is cut, or longer than it should be, is an error.
func TestRowsThatAreCut(t *testing.T) {
	h, err := headOf(full())
	if err != nil {
		t.Fatal(err)
	}
	row := encodeRow(h)
	for n := range row {
		if _, err := decodeRow(row[:n]); err == nil {
			t.Errorf("%d bytes of %d are taken for a row", n, len(row))
		}
	}
	if _, err := decodeRow(append(row[:len(row):len(row)], 1)); err == nil {
		t.Error("a row with a byte more is taken for a row")
	}
}

// A damaged row fails what reads it and has the index made anew.
func TestDamagedRowHasTheIndexMadeAnew(t *testing.T) {
	dir := t.TempDir()
	h, _ := open(t, dir)
	put(t, h, record(1, 1), record(2, 2))
	if _, err := h.index.writer.Exec(`UPDATE attempt SET head = x'01' WHERE id = 2`); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Attempts(t.Context(), Query{Limit: 9}, true); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want %v", err, ErrDamaged)
	}
	shut(t, h)
	h, report := open(t, dir)
	if !report.Rebuilt {
		t.Error("the index was not made anew")
	}
	diff(t, "attempts", all(t, h), []uint64{2, 1})
}

func FuzzDecodeRow(f *testing.F) {
	h, err := headOf(full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodeRow(h))
	f.Fuzz(func(_ *testing.T, row []byte) { _, _ = decodeRow(row) })
}
