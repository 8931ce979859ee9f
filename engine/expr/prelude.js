// Makes the engine's builtins what a template may use: bounded, in the workflow's time zone, with Java's string methods.
// native: the functions that Go provides, see natives.go.
(function (native) {
  'use strict';
  var apply = Reflect.apply, defineProperty = Object.defineProperty, getNames = Object.getOwnPropertyNames;

  function define(object, name, value) {
    defineProperty(object, name, {value: value, writable: true, enumerable: false, configurable: true});
  }

  // Frozen builtins would make their names read-only on every object that inherits them. Assigning to one makes an own
  // property instead, as if the builtin were not frozen.
  function keepAssignable(prototype, names) {
    names.forEach(function (name) {
      var value = prototype[name];
      defineProperty(prototype, name, {
        get: function () { return value; },
        set: function (own) {
          if (this === prototype) return;
          defineProperty(this, name, {value: own, writable: true, enumerable: true, configurable: true});
        },
        enumerable: false, configurable: true
      });
    });
  }

  // Built-in functions cannot be interrupted, so what they work on is bounded.

  function checkItems(list) {
    if (list !== null && list !== undefined && list.length > native.maxItems) {
      throw new RangeError('an array of ' + list.length + ' items is too long');
    }
  }

  function checkChars(n) {
    if (n > native.maxChars) throw new RangeError('a text of ' + n + ' characters is too long');
  }

  function guard(prototype, name, check) {
    var builtin = prototype[name];
    define(prototype, name, function () {
      check(this, arguments);
      return apply(builtin, this, arguments);
    });
  }

  function textLength(v) { return typeof v === 'string' ? v.length : 0; }

  ['slice', 'splice', 'reverse', 'sort', 'indexOf', 'lastIndexOf', 'shift', 'unshift', 'toLocaleString', 'every', 'some',
    'forEach', 'map', 'filter', 'reduce', 'reduceRight'].forEach(function (name) {
    guard(Array.prototype, name, checkItems);
  });
  guard(Array.prototype, 'concat', function (self, others) {
    checkItems(self);
    for (var i = 0; i < others.length; i++) checkItems(others[i]);
  });
  guard(Array.prototype, 'join', function (self, args) {
    checkItems(self);
    var total = self.length * (args[0] === undefined ? 1 : textLength(args[0]));
    for (var i = 0; i < self.length && total <= native.maxChars; i++) total += textLength(self[i]);
    checkChars(total);
  });
  guard(Function.prototype, 'apply', function (self, args) { checkItems(args[1]); });
  ['match', 'search'].forEach(function (name) {
    guard(String.prototype, name, function (self, args) {
      checkChars(textLength(self));
      if (!(args[0] instanceof RegExp)) native.checkRegExp(String(args[0]));
    });
  });
  ['concat', 'localeCompare', 'split', 'toLowerCase', 'toLocaleLowerCase', 'toUpperCase',
    'toLocaleUpperCase', 'trim'].forEach(function (name) {
    guard(String.prototype, name, function (self) { checkChars(textLength(self)); });
  });
  guard(String.prototype, 'replace', function (self, args) {
    var length = textLength(self), by = args[1];
    checkChars(length);
    if (typeof by !== 'string') return;
    var each = by.length + (by.split('$').length - 1) * length;
    checkChars(args[0] instanceof RegExp && args[0].global ? (length + 1) * each : length + each);
  });

  var parseJSON = JSON.parse;
  define(JSON, 'parse', function parse(text, reviver) {
    native.checkJSON(text = String(text));
    return parseJSON(text, reviver);
  });
  define(JSON, 'stringify', native.stringify);

  // Constructors: a wrapper shares the prototype, so that instanceof and constructor keep working.

  function replaceConstructor(name, wrapper) {
    var builtin = globalThis[name];
    defineProperty(wrapper, 'prototype', {value: builtin.prototype, writable: false});
    define(builtin.prototype, 'constructor', wrapper);
    define(globalThis, name, wrapper);
  }

  var BuiltinRegExp = RegExp;
  replaceConstructor('RegExp', function RegExp(pattern, flags) {
    if (typeof pattern === 'string') native.checkRegExp(pattern);
    if (this === undefined && pattern instanceof BuiltinRegExp && flags === undefined) return pattern;
    return new BuiltinRegExp(pattern, flags);
  });

  var BuiltinFunction = Function;
  replaceConstructor('Function', function Function() {
    for (var i = 0; i < arguments.length; i++) native.checkCode(String(arguments[i]));
    return apply(BuiltinFunction, undefined, arguments);
  });
  define(globalThis, 'eval', function (code) {
    if (typeof code !== 'string') return code;
    native.checkCode(code);
    return native.evaluate(code);
  });

  // Date in the workflow's time zone; native has the functions that depend on it.

  var BuiltinDate = Date, dates = Date.prototype;
  var getTime = dates.getTime, setTime = dates.setTime;

  function timeOf(v) {
    if (v !== null && (typeof v === 'object' || typeof v === 'function')) {
      if (v instanceof BuiltinDate) return getTime.call(v);
      var primitive = v.valueOf();
      v = primitive !== null && typeof primitive === 'object' ? v.toString() : primitive;
    }
    return typeof v === 'string' ? native.parseDate(v) : +v;
  }

  replaceConstructor('Date', function Date(year, month, day, hours, minutes, seconds, ms) {
    if (!(this instanceof BuiltinDate)) return new BuiltinDate().toString();
    switch (arguments.length) {
    case 0: return new BuiltinDate();
    case 1: return new BuiltinDate(timeOf(year));
    }
    return new BuiltinDate(apply(native.makeDate, undefined, arguments));
  });
  define(Date, 'UTC', BuiltinDate.UTC);
  define(Date, 'now', BuiltinDate.now);
  define(Date, 'parse', function parse(text) { return native.parseDate(String(text)); });
  getNames(native.getters).forEach(function (name) {
    var get = native.getters[name];
    define(dates, name, function () { return get(getTime.call(this)); });
  });
  getNames(native.setters).forEach(function (name) {
    var set = native.setters[name];
    define(dates, name, function () {
      var args = [getTime.call(this)];
      for (var i = 0; i < arguments.length; i++) args.push(+arguments[i]);
      return setTime.call(this, apply(set, undefined, args));
    });
  });

  // Java's string methods. A regular expression object instead of a text is JavaScript's own.

  function javaRegExp(pattern, prefix, suffix, more) {
    var java = native.javaPattern(String(pattern));
    native.checkRegExp(java.pattern);
    return new BuiltinRegExp(prefix + java.pattern + suffix, java.flags + more);
  }

  function replaceWith(text, regexp, by) {
    if (typeof by === 'function') return text.replace(regexp, by);
    by = String(by);
    checkChars((text.length + 1) * by.length);
    var size = 0;
    return text.replace(regexp, function () {
      var groups = [];
      for (var i = 0; i < arguments.length && typeof arguments[i] !== 'number'; i++) groups.push(arguments[i]);
      var part = native.javaReplacement(by, groups);
      checkChars(size += part.length);
      return part;
    });
  }

  define(String.prototype, 'replaceAll', function replaceAll(pattern, by) {
    var text = String(this);
    if (pattern instanceof BuiltinRegExp) return text.replace(pattern, by);
    return replaceWith(text, javaRegExp(pattern, '', '', 'g'), by);
  });
  define(String.prototype, 'replaceFirst', function replaceFirst(pattern, by) {
    return replaceWith(String(this), javaRegExp(pattern, '', '', ''), by);
  });
  define(String.prototype, 'matches', function matches(pattern) {
    return javaRegExp(pattern, '^(?:', ')$', '').test(String(this));
  });
  define(String.prototype, 'contains', function contains(other) { return String(this).indexOf(String(other)) >= 0; });
  define(String.prototype, 'equals', function equals(other) { return String(this) === other; });
  define(String.prototype, 'equalsIgnoreCase', function equalsIgnoreCase(other) {
    return typeof other === 'string' && String(this).toLowerCase() === other.toLowerCase();
  });
  define(String.prototype, 'isEmpty', function isEmpty() { return String(this) === ''; });
  define(Object.prototype, native.lengthMethod, function () { // length() is compiled to this
    return typeof this === 'string' || this instanceof String ? this.length : this.length();
  });

  define(globalThis, 'print', function print() {});
  keepAssignable(Object.prototype, ['constructor', 'toString', 'toLocaleString', 'valueOf', 'hasOwnProperty',
    'isPrototypeOf', 'propertyIsEnumerable']);
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].forEach(function (kind) {
    keepAssignable(kind.prototype, ['name', 'message']);
  });
})
