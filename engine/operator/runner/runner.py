"""Calls what a py> task names:

    runner.py METHOD INPUT OUTPUT

INPUT holds the task's parameters as JSON, OUTPUT takes what the method asked for through the module digdag, or why it
failed. Works with Python 3.6 and newer; older ones get as far as saying so. A project's own modules come before
Python's, so what is imported late is imported by standard().
"""

import json
import os
import sys

Function, Method, Module = type(lambda: 0), type(json.JSONDecoder().decode), type(sys)
TAKES_ANY_KEYWORD = 0x08  # in the flags of a function's code
PROJECT = os.getcwd()


class Env(object):
    """digdag.env: what the task was given, and what it asks for. Its attributes are those of the module digdag_env."""

    def store(self, params={}, **more):
        """Set parameters for all later tasks."""
        self.store_params.update(params, **more)

    def export(self, params={}, **more):
        """Set parameters for the subtasks that are added here."""
        self.export_params.update(params, **more)

    def set_state(self, params={}, **more):
        """Kept for old scripts: a state goes nowhere."""
        self.state_params.update(params, **more)

    def add_subtask(self, function=None, **params):
        """Add a task that calls a function or a method, or one that a dictionary describes."""
        if callable(function):
            config = dict(params)
            config["py>"] = function.__module__ + "." + function.__qualname__
        elif function is None:
            config = params
        elif isinstance(function, dict):
            config = dict(function, **params)
        else:
            raise TypeError("add_subtask takes a function or a dictionary, not %r" % (function,))
        json.dumps(config)  # fails here, where the mistake is, not at the end
        self.subtask_config["+subtask%d" % self.subtask_index] = config
        self.subtask_index += 1


def install(params):
    """Make the modules digdag and digdag_env, and return digdag.env."""
    state, env, digdag = Module("digdag_env"), Env(), Module("digdag")
    env.__dict__ = state.__dict__  # whoever sets an attribute, both have it
    env.params = params
    env.subtask_config, env.export_params, env.store_params, env.state_params = {}, {}, {}, {}
    env.subtask_index = 0
    digdag.env, digdag.Env = env, Env
    sys.modules.update(digdag=digdag, digdag_env=state)
    return env


def open_project():
    """Let modules be found in the working directory first, and no longer beside this file."""
    if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]
    sys.path.insert(0, PROJECT)


def standard(name):
    """Import a module of Python's own, though the project may have one of that name, or of one that it needs."""
    path, sys.path[:] = sys.path[:], [entry for entry in sys.path if entry != PROJECT]
    try:
        return __import__(name)
    finally:
        sys.path[:] = path


def own_module(name):
    """Load a module of the project whose name Python has taken already; None if there is none.

    It does not take the place of the other one, which the whole process lives on.
    """
    if name not in sys.modules and name not in sys.builtin_module_names:
        return None
    path = os.path.join(PROJECT, name + ".py")
    if not os.path.isfile(path):
        return None
    module = Module(name)
    module.__file__ = path
    with open(path, "rb") as f:
        exec(compile(f.read(), path, "exec", dont_inherit=True), module.__dict__)
    return module


def find_module(path):
    """Import the longest beginning of path that is a module, and return it with the names that are left."""
    module = own_module(path[0])
    if module is not None:
        return module, path[1:]
    for n in range(max(len(path) - 1, 1), 0, -1):
        name = ".".join(path[:n])
        try:
            __import__(name)
            return sys.modules[name], path[n:]
        except ModuleNotFoundError as e:
            # Only a missing part of the name itself: what the module misses is its author's error.
            if n == 1 or not (name + ".").startswith((e.name or "?") + "."):
                raise


def find(command):
    """Return the module, class or other object that a command leads to, and the attribute of it that is meant."""
    path = command.split(".")
    if not all(path):
        raise ValueError("'%s' names no method: PACKAGE.[CLASS.]METHOD is expected" % command)
    owner, names = find_module(path)
    if not names:  # one word: the module's function or class of that name, or its run
        names = path if hasattr(owner, path[0]) else ["run"]
    for name in names[:-1]:
        owner = getattr(owner, name)
    return owner, names[-1]


def is_static(cls, name):
    for c in cls.__mro__:
        if name in c.__dict__:
            return isinstance(c.__dict__[name], staticmethod)
    return False


def run(command, params):
    owner, name = find(command)
    inside = isinstance(owner, type)
    target = getattr(owner, name, None) if inside else getattr(owner, name)
    if isinstance(target, type):
        target = construct(target, params).run
    elif inside and not is_static(owner, name):
        target = getattr(construct(owner, params), name)
    if not callable(target):
        raise TypeError("%s is not callable" % command)
    if type(target) not in (Function, Method) and type(getattr(target, "__call__", None)) is Method:
        target = target.__call__
    function, skip = (target.__func__, 1) if type(target) is Method else (target, 0)
    values, keywords = arguments(function, params, skip)
    target(*values, **keywords)


def construct(cls, params):
    if type(cls.__init__) is not Function:
        return cls()
    values, keywords = arguments(cls.__init__, params, 1)
    return cls(*values, **keywords)


def signature(function):
    """Return the names that a function takes, their last ones' defaults, the same of keywords, and whether it takes
    any other keyword. The module inspect knows all callables, but costs half a start of Python."""
    if type(function) is not Function or hasattr(function, "__signature__"):
        spec = standard("inspect").getfullargspec(function)
        return spec.args, spec.defaults or (), spec.kwonlyargs, spec.kwonlydefaults or {}, bool(spec.varkw)
    code = function.__code__
    names = code.co_varnames[:code.co_argcount]
    only = code.co_varnames[code.co_argcount:code.co_argcount + code.co_kwonlyargcount]
    takes_any = code.co_flags & TAKES_ANY_KEYWORD
    return names, function.__defaults__ or (), only, function.__kwdefaults__ or {}, bool(takes_any)


def arguments(function, params, skip):
    """Match what a function takes, after its first skip arguments, with parameters by name."""
    names, defaults, only, only_defaults, takes_any = signature(function)
    defaults = dict(zip(names[len(names) - len(defaults):], defaults))
    defaults.update(only_defaults)
    missing = [name for name in list(names[skip:]) + list(only) if name not in params and name not in defaults]
    if missing:
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError("%s() needs the parameter '%s', which is not set" % (name, "', '".join(missing)))
    values = [params[name] if name in params else defaults[name] for name in names[skip:]]
    if takes_any:
        only = [name for name in params if name not in names]
    return values, {name: params[name] for name in only if name in params}


def main(command, source, target):
    target = os.path.abspath(target)  # the method may go elsewhere
    try:
        if sys.version_info < (3, 6):
            raise RuntimeError("py> needs Python 3.6 or newer, and this is %s: set python: python3, for instance"
                               % sys.version.split()[0])
        env = install(read(source))
        open_project()
        for stream in sys.stdout, sys.stderr:
            if hasattr(stream, "reconfigure"):  # from Python 3.7 on
                stream.reconfigure(line_buffering=True)  # a log is followed while it grows
        run(command, env.params)
        answer = json.dumps({
            "subtask_config": env.subtask_config, "export_params": env.export_params, "store_params": env.store_params,
        }, allow_nan=False)
    except BaseException as error:
        trace = sys.exc_info()[2]
        while trace is not None and trace.tb_frame.f_code.co_filename == main.__code__.co_filename:
            trace = trace.tb_next  # of our frames there is nothing to learn
        error.__traceback__ = trace
        write(target, json.dumps({"error": describe(command, error, trace)}))
        sys.stdout.flush()
        sys.excepthook(type(error), error, trace)
        sys.exit(1)
    write(target, answer)


def describe(command, error, trace):
    """Return the form of an error in OUTPUT."""
    name = type(error).__name__
    try:
        message = str(error)
    except Exception:
        message = ""
    if isinstance(error, SystemExit):
        message = ("'%s' ended Python with the exit status %s, but must return or raise an exception. "
                   "Is it the method that was meant, or a program of that name?" % (command, error.code))
    try:
        lines = standard("traceback").format_exception(type(error), error, trace)
    except Exception:  # the project's modules are in the way of others
        lines = [name + ": " + message]
    return {"class": name, "message": message, "backtrace": [line.rstrip("\n") for line in lines]}


def read(source):
    with open(source, "rb") as f:
        return json.loads(f.read().decode("utf-8"))["params"]


def write(target, text):
    with open(target, "w") as f:
        f.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
elif __name__ == "__mp_main__":  # a process that multiprocessing began
    install(read(sys.argv[2]) if len(sys.argv) == 4 else {})
