"""What can go wrong, as one tree; `api` and `ws` translate it at the edge and nothing else does.

    ServiceError                     status  close code
    ├── BadRequest                      400   1007   the bytes are not what they should be
    │   ├── BadEvent                    422          an event that cannot belong to this stream
    │   └── BadConfig                   422          a configuration that no learner can have
    ├── Unauthorized                    401   1008   no key, or none that is known
    ├── Forbidden                       403   1008   a key that may not; a page of another site; another name
    ├── NotFound                        404   1008   no such stream, route or method
    │   ├── UnknownStream
    │   ├── UnknownEvent
    │   ├── UnknownSnapshot
    │   └── MethodNotAllowed            405
    ├── RequestTimeout                  408   1008   the rest of a request does not come
    ├── Exists                          409   1008   the name or the id is taken by something else
    │   ├── ConfigMismatch
    │   ├── IdReused
    │   ├── Taken
    │   └── ConcurrentChange                       changed by somebody else at the same moment
    ├── TooLarge                        413   1009
    ├── UnsupportedEncoding             415   1003
    ├── HeadTooLarge                    431   1009   the address and the headers of a request
    ├── LimitReached                    429   1013   a bound is reached; come again
    ├── Unavailable                     503   1013   the store is away; nothing was learnt, or it is safe to repeat
    │   └── StoreFull                   507
    └── Internal                        500   1011   our fault

The first line of a class's docstring is the title that people see; `detail` says what to do. Neither ever repeats
what was sent. `type` is stable: clients may compare it. `shown` is one that may come, for the documentation; a class
that nobody raises has none.
"""

from typing import ClassVar, NamedTuple, Self


class Shown(NamedTuple):
    """What an error says beside what its class says."""

    detail: str
    field: str | None = None
    retry_after: int | None = None


class ServiceError(Exception):
    """The service could not do this"""

    slug: ClassVar[str] = "service-error"
    """Names the kind in `type` and in metrics; clients compare it, so it outlives the class's name."""
    status = 500
    close_code = 1011
    shown: ClassVar[Shown]

    def __init__(self, detail: str, *, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.retry_after = retry_after

    @classmethod
    def title(cls) -> str:
        """What people see first."""
        return (cls.__doc__ or "").splitlines()[0]

    @classmethod
    def example(cls) -> Self:
        """One that may come. A class that nobody raises has none."""
        return cls(**cls.shown._asdict())

    def problem(self) -> dict[str, object]:
        """The error as an RFC 9457 problem object."""
        problem: dict[str, object] = {
            "type": f"urn:nobacktrack:problem:{self.slug}",
            "title": self.title(),
            "status": self.status,
            "detail": self.detail,
        }
        if self.field is not None:
            problem["field"] = self.field
        if self.retry_after is not None:
            problem["retry_after"] = self.retry_after
        return problem


class BadRequest(ServiceError):
    """The request cannot be read"""

    slug = "bad-request"
    status = 400
    close_code = 1007
    shown = Shown("the body is not valid JSON in UTF-8 with finite numbers")


class BadEvent(BadRequest):
    """The event does not fit this stream"""

    slug = "bad-event"
    status = 422
    shown = Shown("y lacks load; send null for a value that is missing", field="y")


class BadConfig(BadRequest):
    """The configuration is not possible"""

    slug = "bad-config"
    status = 422
    shown = Shown("units must be between 1 and 4096")


class Unauthorized(ServiceError):
    """A key is needed"""

    slug = "unauthorized"
    status = 401
    close_code = 1008
    shown = Shown("send a key: Authorization: Bearer <key>")


class Forbidden(ServiceError):
    """This is not allowed"""

    slug = "forbidden"
    status = 403
    close_code = 1008
    shown = Shown("pages of other sites may not do this")


class NotFound(ServiceError):
    """Not found"""

    slug = "not-found"
    status = 404
    close_code = 1008
    shown = Shown("a stream's name is 1 to 64 letters, digits, _ or -")


class UnknownStream(NotFound):
    """There is no such stream"""

    slug = "unknown-stream"
    shown = Shown("create the stream first, with PUT /v1/streams/{stream}")


class UnknownEvent(NotFound):
    """There is no such event"""

    slug = "unknown-event"
    shown = Shown("no event with this id waits for a label, and none was learnt", field="id")


class UnknownSnapshot(NotFound):
    """There is no such snapshot"""

    slug = "unknown-snapshot"
    shown = Shown("the stream has no snapshot of that name")


class MethodNotAllowed(NotFound):
    """This cannot be done here"""

    slug = "method-not-allowed"
    status = 405
    shown = Shown("see /docs for the methods of this address")


class RequestTimeout(ServiceError):
    """The request did not come in time"""

    slug = "too-slow"
    status = 408
    close_code = 1008
    shown = Shown("the rest of the body did not come within 30 s")


class Exists(ServiceError):
    """This name is taken"""

    slug = "exists"
    status = 409
    close_code = 1008


class ConfigMismatch(Exists):
    """The stream exists with another configuration"""

    slug = "other-config"
    shown = Shown("the stream keeps its configuration; delete it first or use another name")


class IdReused(Exists):
    """This id belongs to another event"""

    slug = "other-body"
    shown = Shown("an event with this id and other values was learnt before", field="id")


class Taken(Exists):
    """Another one has this name"""

    slug = "taken"
    shown = Shown("there is a stream of that name already; choose another", field="name")


class ConcurrentChange(Exists):
    """Concurrent change"""

    slug = "conflicting"
    shown = Shown("the stream was made anew meanwhile; try again")


class TooLarge(ServiceError):
    """Payload too large"""

    slug = "too-large"
    status = 413
    close_code = 1009
    shown = Shown("a body may have at most 65536 bytes; send many events as application/x-ndjson")


class UnsupportedEncoding(ServiceError):
    """The body is packed in a way that is not known here"""

    slug = "unsupported-encoding"
    status = 415
    close_code = 1003
    shown = Shown("send the body as it is, or with Content-Encoding: gzip")


class HeadTooLarge(ServiceError):
    """The address and the headers are too large"""

    slug = "head-too-large"
    status = 431
    close_code = 1009
    shown = Shown("the address and the headers of a request may have at most 65536 bytes")


class LimitReached(ServiceError):
    """Limit reached"""

    slug = "too-many"
    status = 429
    close_code = 1013
    shown = Shown("the service has as many connections as it takes", retry_after=1)


class Unavailable(ServiceError):
    """The store does not answer"""

    slug = "unavailable"
    status = 503
    close_code = 1013
    shown = Shown("The store cannot be reached. Repeat with the same ids.", retry_after=1)


class StoreFull(Unavailable):
    """The store is full"""

    slug = "store-full"
    status = 507
    shown = Shown("The store has no room left: delete streams or give it more memory.", retry_after=10)


class Internal(ServiceError):
    """Something went wrong on our side"""

    slug = "internal"
    shown = Shown("the request failed; see the service's log")


class CommandError(Exception):
    """What ends a command: one line that says what is wrong and what the person at the keyboard can do."""
