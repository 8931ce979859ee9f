// Package expr evaluates ${…} in the texts of a task's parameters. It is the only importer of the JavaScript engine and
// carries moment.js 2.21.0. It knows values and texts, not tasks, files or secrets: ${secret:…} is left alone.
//
// Its invariant: only a params.Template is ever evaluated, and what comes out is data (L20). Nothing that one text does
// can be seen by another, or by another task. JavaScript starts only for a text that needs it; a plain reference such
// as ${a.b} gives the very same result without it, but for integers that no double can hold, which it gives as they are.
package expr
