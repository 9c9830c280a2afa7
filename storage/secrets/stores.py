"""Where the value of a secret is looked up: the environment, mounted files, AWS Secrets Manager.

A name says where: `env:NAME`, `file:NAME`, `aws:NAME` or `aws:NAME,KEY`. A plain name is looked up with what
`LAKEHOUSE_SECRETS` holds in front of it, and in the environment where that is not set.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from storage.errors import ConfigurationError, LakehouseError, TransientError

PREFIX_VARIABLE = "LAKEHOUSE_SECRETS"
MOUNTED = Path("/run/secrets")
"""Where container platforms mount secrets; relative names of files count from here."""
KEPT_SECONDS = 300.0
"""How long a secret of AWS is used before it is asked for again: a rotated one is taken up."""
_aws_values: dict[str, tuple[float, str]] = {}
_ASKING = threading.Lock()


def full_name(name: str) -> str:
    """The name with its store."""
    store, _, rest = name.partition(":")
    if rest and store in STORES:
        return name
    return os.environ.get(PREFIX_VARIABLE, "env:") + name


def looked_up(name: str) -> str:
    """The value of a secret.

    Raises:
        ConfigurationError: It is not set, or its store is not known or refuses.
        TransientError: Its store does not answer.
    """
    store, _, rest = full_name(name).partition(":")
    if store not in STORES:
        raise ConfigurationError(
            f"the secret {name}: {PREFIX_VARIABLE} names no store of secrets: {store!r}",
            advice=f"Begin it with one of {', '.join(f'{s}:' for s in STORES)}.",
        )
    return STORES[store](rest)


def missing(name: str) -> str:
    """Why a secret cannot be had, without its value; empty where it can."""
    try:
        looked_up(name)
    except LakehouseError as error:
        return error.message
    return ""


def _of_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigurationError(
            f"the secret {name} is not set", advice=f"Set the environment variable {name}."
        )
    return value


def _of_file(name: str) -> str:
    """The content of a file without the line feed at its end."""
    path = MOUNTED / name
    try:
        value = path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(
            f"the secret file:{name} cannot be read: {said}",
            advice=f"Mount it as {path}, readable by this user.",
        ) from None
    if not value:
        raise ConfigurationError(f"the secret file:{name} is empty", advice=f"Write it to {path}.")
    return value


def _of_aws(name: str) -> str:
    """A secret's string, or the value of a key where the string is a JSON object."""
    secret, _, key = name.partition(",")
    text = _aws_string(secret)
    if not key:
        return text
    try:
        value = json.loads(text)[key]
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"the secret aws:{secret} is not a JSON object with the key {key}",
            advice=f"Store it as an object with that key, or write aws:{secret} for its whole text.",
        ) from None
    return value if isinstance(value, str) else json.dumps(value)


def _aws_string(secret: str) -> str:
    with _ASKING:
        asked, text = _aws_values.get(secret, (0.0, ""))
        if not text or time.monotonic() - asked > KEPT_SECONDS:
            text = _ask_aws(secret)
            _aws_values[secret] = (time.monotonic(), text)
        return text


def _ask_aws(secret: str) -> str:
    """Ask Secrets Manager, with region, credentials and endpoint as AWS's own tools find them.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
    """
    from botocore.exceptions import (  # noqa: PLC0415 - half a second that others are spared
        BotoCoreError,
        ClientError,
        HTTPClientError,
    )
    from botocore.exceptions import ConnectionError as NoConnectionError  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    advice = "Check name, region and rights: aws secretsmanager describe-secret --secret-id ..."
    try:
        client = get_session().create_client("secretsmanager")
        return str(client.get_secret_value(SecretId=secret)["SecretString"])
    except (NoConnectionError, HTTPClientError) as error:
        raise TransientError(f"the secret aws:{secret}: Secrets Manager: {error}") from None
    except ClientError as error:
        told: Mapping[str, str] = error.response.get("Error", {})
        busy = told.get("Code") in ("ThrottlingException", "InternalServiceError")
        kind = TransientError if busy else ConfigurationError
        raise kind(f"the secret aws:{secret}: {told.get('Code', error)}", advice=advice) from None
    except BotoCoreError as error:
        raise ConfigurationError(f"the secret aws:{secret}: {error}", advice=advice) from None
    except KeyError:
        raise ConfigurationError(
            f"the secret aws:{secret} holds bytes, not text", advice="Store it as a string."
        ) from None


STORES: Mapping[str, Callable[[str], str]] = {
    "env": _of_environment,
    "file": _of_file,
    "aws": _of_aws,
}
