package expr

import (
	"strconv"
	"strings"

	"github.com/dop251/goja"

	"gitdag/engine/params"
)

// scope is the object whose members are the names of an expression. Values turn into JavaScript's when they are first
// looked at; what an expression assigns is kept for the later ones of its text.
type scope struct {
	vm      *goja.Runtime
	layers  layers
	values  map[string]goja.Value // looked at or assigned
	changed map[string]bool       // assigned or deleted
}

func (s *scope) reset() {
	s.layers = layers{}
	clear(s.values)
	clear(s.changed)
}

func (s *scope) Get(key string) goja.Value {
	if v, ok := s.values[key]; ok {
		return v
	}
	value, ok := s.layers.lookup(key)
	if !ok || s.changed[key] {
		return nil
	}
	v := toScript(s.vm, value)
	s.values[key] = v
	return v
}

func (s *scope) Set(key string, v goja.Value) bool {
	s.values[key] = v
	s.changed[key] = true
	return true
}

func (s *scope) Has(key string) bool {
	if _, ok := s.values[key]; ok {
		return true
	}
	_, ok := s.layers.lookup(key)
	return ok && !s.changed[key]
}

func (s *scope) Delete(key string) bool {
	delete(s.values, key)
	s.changed[key] = true
	return true
}

func (s *scope) Keys() []string {
	all := s.layers.outer.Clone()
	for key := range s.layers.built.All() {
		all.Set(key, nil)
	}
	for key := range s.changed {
		all.Delete(key)
	}
	for key := range s.values {
		all.Set(key, nil)
	}
	return all.Keys()
}

// toScript returns the JavaScript form of a parameter, as if it had been read from JSON.
func toScript(vm *goja.Runtime, value any) goja.Value {
	switch value := value.(type) {
	case nil:
		return goja.Null()
	case bool:
		return vm.ToValue(value)
	case params.Number:
		if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && n > -1<<53 && n < 1<<53 && n != 0 {
			return vm.ToValue(n)
		}
		return vm.ToValue(value.Float())
	case params.List:
		items := make([]any, len(value))
		for i, item := range value {
			items[i] = toScript(vm, item)
		}
		return vm.NewArray(items...)
	case *params.Map:
		object := vm.NewObject()
		for key, item := range value.All() {
			// Not Set, which would take __proto__ for the prototype.
			if err := object.DefineDataProperty(key, toScript(vm, item), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE); err != nil {
				panic(err)
			}
		}
		return object
	}
	text, _ := params.Text(value)
	return vm.ToValue(strings.ToValidUTF8(text, "\ufffd"))
}
