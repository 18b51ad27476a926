"""Giving several things back: each is tried, whatever the others raise."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def raise_together(what: str, errors: Sequence[BaseException]) -> None:
    """Raises nothing, the only error, or all of them as a group with the first cause on top."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup(what, errors)


def close_all(closers: Iterable[Callable[[], object]], cause: BaseException | None = None) -> None:
    """Calls each closer in order. Raises `cause`, for which it is done, and what closers raised."""
    errors = [] if cause is None else [cause]
    for close in closers:
        try:
            close()
        except BaseException as error:
            errors.append(error)
    raise_together("closing failed", errors)
