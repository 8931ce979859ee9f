package expr

import (
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"
	"github.com/dop251/goja/token"
)

// Limits of one expression: the parser recurses with the nesting.
const (
	maxCode    = 64 << 10
	maxNesting = 200
)

// An expression is compiled JavaScript: a function whose this is the scope.
type expression struct {
	program  *goja.Program
	mutates  bool // it may change objects that later texts would see, so its runtime is used up
	computes bool // it may look at a member of any name, which the search for names in mutates misses
}

const (
	prologue = "(function(){with(this){return ("
	epilogue = ")}})"
)

// compile reads code as one ECMAScript 5 expression. Its error is worded as JavaScript's.
func compile(code string) (*expression, error) {
	if err := checkSize(code); err != nil {
		return nil, err
	}
	program, err := goja.Parse("", prologue+code+epilogue, parser.WithDisableSourceMaps)
	if err != nil {
		return nil, syntaxError(err)
	}
	if !isOneReturn(program) {
		return nil, errors.New("SyntaxError: expected a single expression")
	}
	e := &expression{mutates: mentions(code, "eval", "Function", "constructor", "define", "etPrototypeOf", "__",
		"getOwn", "ocale", "lang", "relativeTime", "suppressDeprecation", "\\u", "\\x")}
	if err := inspect(reflect.ValueOf(program.Body), e.visit); err != nil {
		return nil, err
	}
	if e.program, err = goja.CompileAST(program, false); err != nil {
		return nil, syntaxError(err)
	}
	return e, nil
}

func mentions(code string, words ...string) bool {
	for _, word := range words {
		if strings.Contains(code, word) {
			return true
		}
	}
	return false
}

func checkSize(code string) error {
	if len(code) > maxCode {
		return errors.New("RangeError: the expression is longer than 64 KiB")
	}
	if nesting(code) > maxNesting {
		return fmt.Errorf("RangeError: the expression is nested more than %d deep", maxNesting)
	}
	return nil
}

// nesting is how deep brackets stand in one another, texts and comments included.
func nesting(code string) int {
	depth, deepest := 0, 0
	for i := range len(code) {
		switch code[i] {
		case '(', '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ')', ']', '}':
			depth--
		}
	}
	return deepest
}

func syntaxError(err error) error {
	message := err.Error()
	message = strings.TrimPrefix(message, "SyntaxError: ")
	if _, after, ok := strings.Cut(message, "(anonymous): Line "); ok {
		_, message, _ = strings.Cut(after, " ") // the position is that of the wrapped text
	}
	message, _, _ = strings.Cut(message, " (and ")
	return errors.New("SyntaxError: " + message)
}

// isOneReturn tells whether the wrapping is still what stands around the code.
func isOneReturn(program *ast.Program) bool {
	if len(program.Body) != 1 {
		return false
	}
	statement, ok := program.Body[0].(*ast.ExpressionStatement)
	if !ok {
		return false
	}
	function, ok := statement.Expression.(*ast.FunctionLiteral)
	if !ok || len(function.Body.List) != 1 {
		return false
	}
	with, ok := function.Body.List[0].(*ast.WithStatement)
	if !ok {
		return false
	}
	block, ok := with.Body.(*ast.BlockStatement)
	if !ok || len(block.List) != 1 {
		return false
	}
	_, ok = block.List[0].(*ast.ReturnStatement)
	return ok
}

// inspect calls visit for every node below v.
func inspect(v reflect.Value, visit func(node any) error) error {
	switch v.Kind() {
	case reflect.Interface:
		return inspect(v.Elem(), visit)
	case reflect.Pointer:
		if v.IsNil() || v.Type() == reflect.TypeFor[*file.File]() || v.Type() == reflect.TypeFor[*big.Int]() {
			return nil
		}
		if err := visit(v.Interface()); err != nil {
			return err
		}
		return inspect(v.Elem(), visit)
	case reflect.Slice:
		for i := range v.Len() {
			if err := inspect(v.Index(i), visit); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "DeclarationList" {
				continue // names the same nodes a second time
			}
			if err := inspect(v.Field(i), visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// visit refuses what ECMAScript 5 does not have, notes what the node may change, and turns a call of Java's length()
// into one that works on texts.
func (e *expression) visit(node any) error {
	if feature := beyondES5(node); feature != "" {
		return errors.New("SyntaxError: " + feature + " is not in ECMAScript 5")
	}
	switch node := node.(type) {
	case *ast.RegExpLiteral:
		if len(node.Pattern) > maxPattern { // the engine compiles it, although it is not the one that matches
			return fmt.Errorf("SyntaxError: the regular expression is longer than %d KiB", maxPattern>>10)
		}
	case *ast.CallExpression:
		if dot, ok := node.Callee.(*ast.DotExpression); ok && dot.Identifier.Name == "length" && len(node.ArgumentList) == 0 {
			dot.Identifier.Name = lengthMethod
		}
	}
	e.mutates = e.mutates || isMember(changed(node))
	e.computes = e.computes || isComputed(node)
	return nil
}

// changed returns what a node assigns to, counts up or down, or deletes; nil
// for a node that does none of these.
func changed(node any) ast.Expression {
	switch node := node.(type) {
	case *ast.AssignExpression:
		return node.Left
	case *ast.UnaryExpression:
		switch node.Operator {
		case token.INCREMENT, token.DECREMENT, token.DELETE:
			return node.Operand
		}
	case *ast.ForIntoExpression:
		return node.Expression
	}
	return nil
}

func isMember(target ast.Expression) bool {
	switch target.(type) {
	case *ast.DotExpression, *ast.BracketExpression:
		return true
	}
	return false
}

// isComputed tells whether the node reads a member whose name does not stand there.
func isComputed(node any) bool {
	bracket, ok := node.(*ast.BracketExpression)
	if !ok {
		return false
	}
	switch bracket.Member.(type) {
	case *ast.StringLiteral, *ast.NumberLiteral:
		return false
	}
	return true
}

func beyondES5(node any) string {
	switch node.(type) {
	case *ast.ArrowFunctionLiteral:
		return "an arrow function"
	case *ast.TemplateLiteral:
		return "a template literal"
	case *ast.ClassLiteral, *ast.ClassDeclaration, *ast.SuperExpression, *ast.PrivateDotExpression, *ast.MetaProperty:
		return "a class"
	case *ast.LexicalDeclaration, *ast.ForLoopInitializerLexicalDecl, *ast.ForDeclaration:
		return "let or const"
	case *ast.ForOfStatement:
		return "for…of"
	case *ast.SpreadElement:
		return "…"
	case *ast.ArrayPattern, *ast.ObjectPattern:
		return "destructuring"
	case *ast.YieldExpression, *ast.AwaitExpression:
		return "yield or await"
	case *ast.OptionalChain, *ast.Optional:
		return "optional chaining"
	case *ast.PropertyShort:
		return "a short property"
	}
	return beyondES5Detail(node)
}

func beyondES5Detail(node any) string {
	switch node := node.(type) {
	case *ast.PropertyKeyed:
		if node.Computed || node.Kind == ast.PropertyKindMethod {
			return "a computed or short property"
		}
	case *ast.FunctionLiteral:
		if node.Async || node.Generator {
			return "an async function or generator"
		}
	case *ast.ParameterList:
		return beyondES5Parameters(node)
	case *ast.BinaryExpression:
		if node.Operator == token.EXPONENT || node.Operator == token.COALESCE {
			return node.Operator.String()
		}
	case *ast.NumberLiteral:
		if _, ok := node.Value.(*big.Int); ok {
			return "a BigInt"
		}
	case *ast.RegExpLiteral:
		if strings.Trim(node.Flags, "gim") != "" {
			return "regular expression flag " + node.Flags
		}
	}
	return ""
}

func beyondES5Parameters(list *ast.ParameterList) string {
	if list.Rest != nil {
		return "a rest parameter"
	}
	for _, binding := range list.List {
		if binding.Initializer != nil {
			return "a default parameter"
		}
	}
	return ""
}
