"""The channel: security, and the API key that goes with every call."""
from __future__ import annotations

import ipaddress
import os

import grpc

OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


class _Bearer(
    grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor, grpc.StreamStreamClientInterceptor,
):
    """Adds the key to each call's metadata. (grpcio's own call credentials want TLS, also on
    loopback.)"""

    def __init__(self, key: str):
        self._entry = ("authorization", f"Bearer {key}")

    def _call(self, continuation, details, request):
        return continuation(
            details._replace(metadata=(*(details.metadata or ()), self._entry)), request)

    intercept_unary_unary = intercept_unary_stream = _call
    intercept_stream_unary = intercept_stream_stream = _call


def _is_local(target: str) -> bool:
    if target.startswith("unix:"):
        return True
    host = target.removeprefix("dns:").lstrip("/").rpartition(":")[0].strip("[]") or target
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def open_channel(
    target: str, credentials: grpc.ChannelCredentials | None, api_key: str | None,
    insecure: bool,
) -> grpc.Channel:
    """`api_key` None means that of KYRODB_API_KEY, if there is one; an empty one, none."""
    key = os.environ.get("KYRODB_API_KEY", "") if api_key is None else api_key
    key = key.strip()
    if credentials is None:
        if key and not insecure and not _is_local(target):
            raise ValueError(
                f"an API key would travel to {target} in plaintext: give credentials, or "
                "insecure=True if the network is trusted")
        channel = grpc.insecure_channel(target, options=OPTIONS)
    else:
        channel = grpc.secure_channel(target, credentials, options=OPTIONS)
    return grpc.intercept_channel(channel, _Bearer(key)) if key else channel
