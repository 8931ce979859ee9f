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
  ['concat', 'localeCompare', 'toLowerCase', 'toLocaleLowerCase', 'toUpperCase',
    'toLocaleUpperCase', 'trim'].forEach(function (name) {
    guard(String.prototype, name, function (self) { checkChars(textLength(self)); });
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
    if (this === undefined && pattern instanceof BuiltinRegExp && flags === undefined) return pattern;
    var source = pattern instanceof BuiltinRegExp ? pattern.source : pattern === undefined ? '' : String(pattern);
    if (flags === undefined) flags = pattern instanceof BuiltinRegExp ? flagsOf(pattern) + (pattern.global ? 'g' : '') : '';
    native.checkRegExp(source, flags = String(flags));
    return new BuiltinRegExp(source, flags);
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

  // Regular expressions: native.match finds the positions of the next match and of its groups, the rest is built on it.

  function flagsOf(regexp) { return (regexp.ignoreCase ? 'i' : '') + (regexp.multiline ? 'm' : ''); }

  function group(text, found, n) {
    return found[2 * n] < 0 ? undefined : text.substring(found[2 * n], found[2 * n + 1]);
  }

  function groups(text, found) {
    var list = [];
    for (var n = 0; 2 * n < found.length; n++) list.push(group(text, found, n));
    return list;
  }

  // eachMatch visits the matches of a pattern one behind the other, all or the first.
  function eachMatch(source, flags, text, all, visit) {
    var at = 0, found;
    while ((found = native.match(source, flags, text, at)) !== null) {
      visit(found);
      if (!all) return;
      at = found[1] > found[0] ? found[1] : found[1] + 1;
    }
  }

  // replaceMatches puts by(found) in the place of each match.
  function replaceMatches(source, flags, text, all, by) {
    var out = '', at = 0;
    eachMatch(source, flags, text, all, function (found) {
      out += text.substring(at, found[0]) + by(found);
      checkChars(out.length);
      at = found[1];
    });
    return out + text.substring(at);
  }

  // replacer is what a replacement of JavaScript, a function or a text with $, makes of a match.
  function replacer(text, by) {
    if (typeof by === 'function') {
      return function (found) { return String(apply(by, undefined, groups(text, found).concat(found[0], text))); };
    }
    by = String(by);
    return function (found) { return by.indexOf('$') < 0 ? by : expand(by, text, found); };
  }

  function expand(by, text, found) {
    var out = '', at = 0, dollar, count = found.length / 2, width, n;
    while ((dollar = by.indexOf('$', at)) >= 0) {
      out += by.substring(at, dollar);
      at = dollar + 2;
      switch (by.charAt(dollar + 1)) {
      case '$': out += '$'; break;
      case '&': out += group(text, found, 0); break;
      case '`': out += text.substring(0, found[0]); break;
      case "'": out += text.substring(found[1]); break;
      default:
        for (width = 2; width > 0; width--) {
          n = by.substr(dollar + 1, width);
          if (n.length === width && isDigits(n) && +n > 0 && +n < count) break;
        }
        if (width > 0) {
          n = group(text, found, +n);
          out += n === undefined ? '' : n;
        } else {
          out += '$';
        }
        at = dollar + 1 + width;
      }
      checkChars(out.length);
    }
    return out + by.substring(at);
  }

  function isDigits(text) {
    for (var i = 0; i < text.length; i++) {
      if (text.charAt(i) < '0' || text.charAt(i) > '9') return false;
    }
    return true;
  }

  function next(regexp, text) {
    var global = regexp.global, found = native.match(regexp.source, flagsOf(regexp), text, global ? +regexp.lastIndex : 0);
    if (global) regexp.lastIndex = found === null ? 0 : found[1];
    return found;
  }

  define(BuiltinRegExp.prototype, 'exec', function exec(value) {
    var text = String(value), found = next(this, text);
    if (found === null) return null;
    var result = groups(text, found);
    result.index = found[0];
    result.input = text;
    return result;
  });
  define(BuiltinRegExp.prototype, 'test', function test(value) { return next(this, String(value)) !== null; });

  function textOf(self) {
    if (self === null || self === undefined) throw new TypeError('there is no text to work on');
    return String(self);
  }

  function regExpOf(pattern) {
    return pattern instanceof BuiltinRegExp ? pattern : new RegExp(pattern);
  }

  define(String.prototype, 'match', function match(pattern) {
    var text = textOf(this), regexp = regExpOf(pattern), list = [];
    if (!regexp.global) return regexp.exec(text);
    regexp.lastIndex = 0;
    eachMatch(regexp.source, flagsOf(regexp), text, true, function (found) { list.push(group(text, found, 0)); });
    return list.length > 0 ? list : null;
  });
  define(String.prototype, 'search', function search(pattern) {
    var regexp = regExpOf(pattern), found = native.match(regexp.source, flagsOf(regexp), textOf(this), 0);
    return found === null ? -1 : found[0];
  });
  define(String.prototype, 'replace', function replace(pattern, by) {
    var text = textOf(this);
    if (pattern instanceof BuiltinRegExp) {
      if (pattern.global) pattern.lastIndex = 0;
      return replaceMatches(pattern.source, flagsOf(pattern), text, pattern.global, replacer(text, by));
    }
    pattern = String(pattern);
    var at = text.indexOf(pattern);
    if (at < 0) return text;
    var out = text.substring(0, at) + replacer(text, by)([at, at + pattern.length]) + text.substring(at + pattern.length);
    checkChars(out.length);
    return out;
  });

  var splitText = String.prototype.split;
  define(String.prototype, 'split', function split(by, limit) {
    var text = textOf(this), list = [], at = 0, from = 0, found, more;
    checkChars(text.length);
    if (!(by instanceof BuiltinRegExp)) return splitText.call(text, by, limit);
    limit = limit === undefined ? native.maxItems : limit >>> 0;
    if (text === '') return native.match(by.source, flagsOf(by), text, 0) === null ? [text].slice(0, limit) : [];
    while (list.length < limit && from < text.length) {
      found = native.match(by.source, flagsOf(by), text, from);
      if (found === null || found[0] >= text.length) break;
      if (found[1] === at) {
        from = found[0] + 1;
        continue;
      }
      more = groups(text, found);
      more[0] = text.substring(at, found[0]);
      apply(list.push, list, more);
      from = at = found[1];
    }
    list.push(text.substring(at));
    return list.slice(0, limit);
  });

  // Java's string methods. A regular expression object instead of a text is JavaScript's own.

  function javaReplace(text, pattern, all, by) {
    var java = native.javaPattern(String(pattern));
    return replaceMatches(java.pattern, java.flags, text, all, typeof by === 'function' ? replacer(text, by) : function (found) {
      return native.javaReplacement(String(by), groups(text, found));
    });
  }

  define(String.prototype, 'replaceAll', function replaceAll(pattern, by) {
    if (pattern instanceof BuiltinRegExp) return this.replace(pattern, by);
    return javaReplace(textOf(this), pattern, true, by);
  });
  define(String.prototype, 'replaceFirst', function replaceFirst(pattern, by) {
    return javaReplace(textOf(this), pattern, false, by);
  });
  define(String.prototype, 'matches', function matches(pattern) {
    var java = native.javaPattern(String(pattern));
    return native.match('^(?:' + java.pattern + ')$', java.flags, textOf(this), 0) !== null;
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

  // What is returned freezes all that can be reached from the names of the global object, so that no text can leave
  // anything behind in it. The global object itself is cleared by other means.
  var ownKeys = Reflect.ownKeys, getOwn = Object.getOwnPropertyDescriptor, getPrototype = Object.getPrototypeOf;
  var freeze = Object.freeze, Seen = Set;
  return function (global) {
    var seen = new Seen(), todo = [];
    function add(v) {
      if ((v === null || typeof v !== 'object') && typeof v !== 'function' || seen.has(v)) return;
      seen.add(v);
      todo.push(v);
    }
    add(global);
    while (todo.length > 0) {
      var object = todo.pop();
      if (object !== global) freeze(object);
      add(getPrototype(object));
      ownKeys(object).forEach(function (key) {
        var member = getOwn(object, key);
        add(member.value);
        add(member.get);
        add(member.set);
      });
    }
  };
})
