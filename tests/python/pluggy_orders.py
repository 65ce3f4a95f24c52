"""Writes tests/data/pluggy-orders.json: in which order real pluggy calls a few thousand random registrations.

    python tests/python/pluggy_orders.py tests/data/pluggy-orders.json

Needs `pluggy==1.7.0`. Each case is a string of one digit a registration, in the order of registering (1: tryfirst,
2: trylast, 4: wrapper, added up) and the list of the registrations' indices in the order in which they were called.
The order is what a real call did, not what pluggy's lists say.
"""

import json
import random
import sys

import pluggy

SEED = 20_250_701
CASES = 4_000
MOST = 12
TRYFIRST, TRYLAST, WRAPPER = 1, 2, 4


def main(path):
    assert pluggy.__version__ == "1.7.0", pluggy.__version__
    random_ = random.Random(SEED)
    # All sizes come equally often; every combination of flags up to two registrations comes for certain.
    small = [[]] + [[a] for a in range(8)] + [[a, b] for a in range(8) for b in range(8)]
    large = [[flags(random_) for _ in range(case % (MOST + 1))] for case in range(CASES - len(small))]
    with open(path, "w", encoding="utf-8") as out:
        out.write('{"pluggy":"%s","seed":%d,"cases":[\n' % (pluggy.__version__, SEED))
        lines = (json.dumps(["".join(map(str, case)), called(case)], separators=(",", ":")) for case in small + large)
        out.write(",\n".join(lines))
        out.write("\n]}\n")


def flags(random_):
    # About half of the registrations are plain, as in life: order among equals is where mistakes hide.
    return 0 if random_.random() < 0.4 else random_.randrange(8)


def called(case):
    """Registers one plugin a digit, calls the hook, and says who was called when."""
    manager = pluggy.PluginManager("order")
    manager.add_hookspecs(Specification)
    calls, teardowns = [], []
    for index, flags in enumerate(case):
        manager.register(plugin(index, flags, calls, teardowns), name=f"plugin-{index}")
    manager.hook.act()
    wrappers = [index for index in calls if case[index] & WRAPPER]
    assert teardowns == wrappers[::-1], (case, calls, teardowns)
    return calls


class Specification:
    @staticmethod
    @pluggy.HookspecMarker("order")
    def act():
        """The one hook."""


def plugin(index, flags, calls, teardowns):
    def act():
        calls.append(index)

    def act_around():
        calls.append(index)
        result = yield
        teardowns.append(index)
        return result

    wrapper = bool(flags & WRAPPER)
    marker = pluggy.HookimplMarker("order")
    mark = marker(tryfirst=bool(flags & TRYFIRST), trylast=bool(flags & TRYLAST), wrapper=wrapper)
    function = act_around if wrapper else act
    function.__name__ = "act"
    mark(function)
    return type("Plugin", (), {"act": staticmethod(function)})()


if __name__ == "__main__":
    main(sys.argv[1])
