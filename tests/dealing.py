"""How tests are dealt out when several processes run them."""

from xdist.scheduler import LoadScopeScheduling


class ByFile(LoadScopeScheduling):
    """The tests of a file to one process, since they share what is costly to make, and those of the screens to one."""

    def _split_scope(self, nodeid: str) -> str:
        """What goes to one process together; which keys of the screens were pressed is known to none but that."""
        file = nodeid.partition("::")[0]
        return "tests/screens" if file.startswith("tests/screens/") else file
