"""Who may change silences over HTTP: whoever silences an alerter has switched it off.

A page that asks for a password or a client's certificate has asked already. Any other takes changes from this machine
only, and only under a name that cannot be a stranger's: a web page in somebody's browser here can make the name of its
own server mean 127.0.0.1 (DNS rebinding), but then that name is in the request.
"""

import ipaddress
from urllib.parse import urlsplit

from alerts.server_settings import is_loopback


def refusal(client: str, host: str) -> str:
    """Why a page that asks for nothing takes no change from ``client``, an address, that says ``Host: host``.

    Empty where it does.
    """
    if not is_loopback(_unmapped(client)):
        return "silences are taken from this machine only, unless alerter.web_config asks for a password or certificate"
    if not is_loopback(_name(host)):
        return "silences are taken under the name 127.0.0.1 or localhost only"
    return ""


def _unmapped(client: str) -> str:
    """An IPv4 address as such, where it came in by IPv6."""
    try:
        mapped = getattr(ipaddress.ip_address(client), "ipv4_mapped", None)
    except ValueError:
        return client
    return str(mapped) if mapped else client


def _name(host: str) -> str:
    """The host of a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
