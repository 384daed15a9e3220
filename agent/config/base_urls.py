"""Where requests go: which base URLs are accepted, and what `OPENAI_BASE_URL` changes.

Plain http is accepted on loopback, and elsewhere only for a model without a key: a key would travel in the clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from agent.config.problems import ConfigError, Problem, describe
from agent.config.shapes import ModelConfig

OVERRIDE = "OPENAI_BASE_URL"
OVERRIDDEN_KEY = "OPENAI_API_KEY"


def effective_base_url(model: ModelConfig, env: Mapping[str, str]) -> str:
    """The base URL to call: `OPENAI_BASE_URL`, where set, for every model whose key is `OPENAI_API_KEY`.

    Raises ConfigError when the variable holds a URL that models.yaml could not hold either.
    """
    override = env.get(OVERRIDE, "")
    if not override or model.api_key_env != OVERRIDDEN_KEY:
        return model.base_url
    if expected := base_url_defect(override, with_key=True):
        raise ConfigError((Problem("environment", None, None, OVERRIDE, describe(override), expected),))
    return override


def base_url_defect(url: str, with_key: bool) -> str | None:
    """What was expected instead of `url`; None when it can be used."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "a URL"
    if parts.scheme not in ("http", "https") or not host or any(character.isspace() for character in url):
        return "an http or https URL with a host"
    if parts.username is not None or parts.password is not None:
        return "a URL without credentials (they belong into the variable that api_key_env names)"
    if parts.query or parts.fragment:
        return "a URL without query and fragment"
    if parts.scheme == "http" and with_key and not is_loopback(host):
        return "https (plain http to another machine would send the key in the clear)"
    return None


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its name or address; no name is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
