"""Cannot be warmed up."""


def warm_up() -> None:
    raise ValueError("too cold")
