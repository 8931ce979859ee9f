import digdag


def count(limit):
    """Arguments are parameters of the same name; what is stored, later tasks see."""
    digdag.env.store({"counted": limit})


def greet(greeting, session_time):
    print("%s from session %s" % (greeting, session_time))
