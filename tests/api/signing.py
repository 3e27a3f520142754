"""Signs what schemathesis sends to the generic hook; it loads this module by name."""

import time

import schemathesis
from requests import PreparedRequest
from requests.auth import AuthBase

from knowngood.api.signature import sign
from tests.api.served import SECRET

_TIMESTAMP = "X-Knowngood-Timestamp"


class Signed(AuthBase):
    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        now = int(time.time())
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else body
        # What was made wrong on purpose stays wrong.
        if request.headers.get(_TIMESTAMP, "0").isdecimal():
            request.headers[_TIMESTAMP] = str(now)
        request.headers["X-Knowngood-Signature"] = sign(SECRET, now, raw)
        return request


schemathesis.auth.set_from_requests(Signed()).apply_to(path="/v1/hooks/generic")
