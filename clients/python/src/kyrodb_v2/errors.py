"""The one error of this client, decoded from a call's status and its google.rpc details."""
from __future__ import annotations

import grpc

from ._proto import rpc_details_pb2, rpc_status_pb2, types_pb2

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class KyroError(Exception):
    """What the server refused, or why it could not be asked.

    code      the gRPC status
    reason    stable, UPPER_SNAKE_CASE, such as DIMENSION_MISMATCH; empty when no server answered
    message   names the field and the limit
    field     path of the offending field, where one is to blame
    retry_after   seconds, when trying again can help
    """

    def __init__(
        self, code: grpc.StatusCode, reason: str, message: str, field: str | None = None,
        retry_after: float | None = None,
    ):
        super().__init__(f"{code.name} {reason}: {message}" if reason else f"{code.name}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.field = field
        self.retry_after = retry_after

    @classmethod
    def from_call(cls, error: grpc.RpcError) -> KyroError:
        """Reads `grpc-status-details-bin`; without it, code and message alone remain."""
        code = error.code() or grpc.StatusCode.UNKNOWN
        message, reason, field, retry_after = error.details() or "", "", None, None
        for key, value in error.trailing_metadata() or ():
            if key != "grpc-status-details-bin":
                continue
            status = rpc_status_pb2.Status.FromString(value)
            message = status.message or message
            for detail in status.details:
                kind = detail.type_url.rsplit("/", 1)[-1]
                if kind == "google.rpc.ErrorInfo":
                    reason = rpc_details_pb2.ErrorInfo.FromString(detail.value).reason
                elif kind == "google.rpc.BadRequest":
                    violations = rpc_details_pb2.BadRequest.FromString(detail.value)
                    if violations.field_violations:
                        field = violations.field_violations[0].field
                elif kind == "google.rpc.RetryInfo":
                    delay = rpc_details_pb2.RetryInfo.FromString(detail.value).retry_delay
                    retry_after = delay.seconds + delay.nanos * 1e-9
        return cls(code, reason, message, field, retry_after)

    @classmethod
    def from_item(cls, error: types_pb2.ItemError) -> KyroError:
        code = _CODES.get(error.code, grpc.StatusCode.UNKNOWN)
        return cls(code, error.reason, error.message, error.field or None)
