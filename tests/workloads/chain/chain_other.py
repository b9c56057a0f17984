"""Part of chain.py that lies in a module of its own."""


class Caller:
    """Calls back through C: each call of a key function enters the interpreter anew."""

    def __init__(self, function):
        self.function = function

    def __call__(self, value):
        return self.function(
            value
        )


def recurse(depth, caller):
    if depth == 0:
        return sorted([3], key=caller)
    return recurse(depth - 1, caller)


def through_c(function):
    return list(map(lambda depth: recurse(depth, Caller(function)), [20]))
