"""What can go wrong outside a kernel: each error is one sentence for the person who reads it."""


class NightloomError(Exception):
    """Any failure that the program foresaw; its text says what was found, what was expected, what to do."""


class BadInputError(NightloomError, ValueError):
    """Something a person gave cannot be used as it is."""


class RegionNotAlignedError(NightloomError):
    """A write would share a shard with another writer."""


class StoreError(NightloomError):
    """The store cannot be read or written."""


class BadPiecesError(NightloomError):
    """A tile computed in pieces did not write each value once."""


class InvalidProductError(NightloomError):
    """A finished array failed its validation and was not published."""


class DatabaseError(NightloomError):
    """The run database cannot be used."""


class DatabaseBusyError(DatabaseError):
    """The run database is locked or away now; waiting may help."""


class LeaseLostError(NightloomError):
    """Another run took over this one's work."""


class TilesFailedError(NightloomError):
    """Tiles that failed for good, with their indexes."""


class UnknownNameError(BadInputError):
    """A name that is not in a list of known ones."""

    def __init__(self, what: str, name: str, known: "list[str]") -> None:
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(sorted(known))}"
        super().__init__(f"there is no {what} called {name!r}; {hint}")
