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
    ├── TooSlow                         408   1008   the rest of a request does not come
    ├── Exists                          409   1008   the name or the id is taken by something else
    │   ├── OtherConfig
    │   ├── OtherBody
    │   ├── Taken
    │   └── Conflicting                            changed by somebody else at the same moment
    ├── TooLarge                        413   1009
    ├── UnsupportedEncoding             415   1003
    ├── HeadTooLarge                    431   1009   the address and the headers of a request
    ├── TooMany                         429   1013   a bound is reached; come again
    ├── Unavailable                     503   1013   the store is away; nothing was learnt, or it is safe to repeat
    │   └── StoreFull                   507
    └── Internal                        500   1011   our fault

The first line of a class's docstring is the title that people see; `detail` says what to do. Neither ever repeats
what was sent. `type` is stable: clients may compare it.
"""


class ServiceError(Exception):
    """The service could not do this"""

    status = 500
    close_code = 1011

    def __init__(self, detail: str, *, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.retry_after = retry_after

    @classmethod
    def slug(cls) -> str:
        """`UnknownStream` → `unknown-stream`."""
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in cls.__name__).lstrip("-")

    def problem(self) -> dict[str, object]:
        """The error as an RFC 9457 problem object."""
        problem: dict[str, object] = {
            "type": f"urn:nobacktrack:problem:{self.slug()}",
            "title": (self.__doc__ or "").splitlines()[0],
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

    status = 400
    close_code = 1007


class BadEvent(BadRequest):
    """The event does not fit this stream"""

    status = 422


class BadConfig(BadRequest):
    """The configuration is not possible"""

    status = 422


class Unauthorized(ServiceError):
    """A key is needed"""

    status = 401
    close_code = 1008


class Forbidden(ServiceError):
    """This is not allowed"""

    status = 403
    close_code = 1008


class NotFound(ServiceError):
    """There is nothing here"""

    status = 404
    close_code = 1008


class UnknownStream(NotFound):
    """There is no such stream"""


class UnknownEvent(NotFound):
    """There is no such event"""


class UnknownSnapshot(NotFound):
    """There is no such snapshot"""


class MethodNotAllowed(NotFound):
    """This cannot be done here"""

    status = 405


class TooSlow(ServiceError):
    """The request did not come in time"""

    status = 408
    close_code = 1008


class Exists(ServiceError):
    """This name is taken"""

    status = 409
    close_code = 1008


class OtherConfig(Exists):
    """The stream exists with another configuration"""


class OtherBody(Exists):
    """This id belongs to another event"""


class Taken(Exists):
    """Another one has this name"""


class Conflicting(Exists):
    """Somebody else was first"""


class TooLarge(ServiceError):
    """This is too large"""

    status = 413
    close_code = 1009


class UnsupportedEncoding(ServiceError):
    """The body is packed in a way that is not known here"""

    status = 415
    close_code = 1003


class HeadTooLarge(ServiceError):
    """The address and the headers are too large"""

    status = 431
    close_code = 1009


class TooMany(ServiceError):
    """There is too much of this at once"""

    status = 429
    close_code = 1013


class Unavailable(ServiceError):
    """The store does not answer"""

    status = 503
    close_code = 1013


class StoreFull(Unavailable):
    """The store is full"""

    status = 507


class Internal(ServiceError):
    """Something went wrong on our side"""
