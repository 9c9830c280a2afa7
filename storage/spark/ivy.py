"""Fetching single jars with Spark's own Ivy resolver, which knows where they are published.

A short-lived JVM resolves one coordinate at a time, without its dependencies. The resolver follows
`spark.jars.ivySettings` and `DEFAULT_ARTIFACT_REPOSITORY`, so a mirror is set as for Spark itself.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway

from storage.errors import TransientError
from storage.spark.java import JavaHome

Fetch = Callable[[str], Path]
"""Takes coordinates `group:artifact:version` and returns the fetched file."""

_CONNECT_MILLISECONDS = 15_000
_READ_MILLISECONDS = 60_000
_END_SECONDS = 5


class JarDownloadError(TransientError):
    """A jar could not be fetched."""


@contextmanager
def ivy_resolver(folder: Path, java: JavaHome) -> Iterator[Fetch]:
    """Start a JVM that fetches jars below `folder`, and end it with the block.

    What Spark and Ivy print goes to `folder/ivy.log`.

    Raises:
        JarDownloadError: The JVM did not start, or (from the yielded function) a jar was not found.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "ivy.log"
    with log.open("a") as output:
        gateway = _launch(java, output)
    try:
        _prepare(gateway.jvm, folder)
        yield lambda coordinates: _resolve(gateway.jvm, coordinates, log)
    finally:
        _end(gateway)


def _launch(java: JavaHome, output: Any) -> Any:
    settings = {
        "JAVA_HOME": str(java.home),
        "PYSPARK_SUBMIT_ARGS": "--driver-memory 256m pyspark-shell",
    }
    try:
        with _environment(settings, without=("SPARK_HOME", "SPARK_CONF_DIR")):
            return launch_gateway(  # type: ignore[no-untyped-call]
                popen_kwargs={"stdout": output, "stderr": subprocess.STDOUT}
            )
    except (OSError, PySparkException) as error:
        raise JarDownloadError(
            f"the JVM that fetches jars did not start on {java.home}: {error}",
            advice=f"See {output.name}",
        ) from error


def _resolve(jvm: Any, coordinates: str, log: Path) -> Path:
    uri = jvm.java.net.URI(f"ivy://{coordinates}?transitive=false")
    try:
        found = jvm.org.apache.spark.util.DependencyUtils.resolveMavenDependencies(uri)
        return Path(found.head())
    except Py4JError as error:
        raise JarDownloadError(
            f"{coordinates} could not be fetched: {_reason(error)}{_trouble(log)}",
            advice="Check the network (a proxy is taken from HTTPS_PROXY, certificates from "
            f"SSL_CERT_FILE), then run `make setup` again. What was tried is in {log}",
        ) from error


def _reason(error: Py4JError) -> str:
    java_exception = getattr(error, "java_exception", None)
    try:
        return str(java_exception.getMessage()) if java_exception else str(error)
    except Py4JError:
        return "the JVM ended"


def _trouble(log: Path) -> str:
    """Ivy's first word about a server: its exception says `not found` also when no one answered."""
    said = re.search(r"Server access error.*|Host \S+ not found", log.read_text(errors="replace"))
    return f" ({said[0]})" if said else ""


def _prepare(jvm: Any, folder: Path) -> None:
    properties = {
        "spark.jars.ivy": str(folder),
        "sun.net.client.defaultConnectTimeout": str(_CONNECT_MILLISECONDS),
        "sun.net.client.defaultReadTimeout": str(_READ_MILLISECONDS),
        **proxy_properties(getproxies()),
    }
    for name, value in properties.items():
        jvm.java.lang.System.setProperty(name, value)
    if jvm.java.lang.System.getProperty("javax.net.ssl.trustStore") is None:
        bundle = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
        if bundle and Path(bundle).is_file():
            _trust(jvm, bundle)


def proxy_properties(proxies: Mapping[str, str]) -> dict[str, str]:
    """The JVM's system properties for proxies as Python knows them (scheme to address)."""
    properties = {}
    for scheme in ("http", "https"):
        address = urlsplit(proxies.get(scheme, ""))
        if address.hostname:
            properties[f"{scheme}.proxyHost"] = address.hostname
            properties[f"{scheme}.proxyPort"] = str(address.port or 80)
    if properties and (excluded := proxies.get("no")):
        hosts = (host.strip() for host in excluded.split(","))
        properties["http.nonProxyHosts"] = "|".join(
            f"*{host}" if host.startswith(".") else host for host in hosts if host
        )
    return properties


def _trust(jvm: Any, bundle: str) -> None:
    """Trust the machine's own certificates; a runtime that came with its own list lacks them."""
    stream = jvm.java.io.FileInputStream(bundle)
    try:
        factory = jvm.java.security.cert.CertificateFactory.getInstance("X.509")
        store = jvm.java.security.KeyStore.getInstance(jvm.java.security.KeyStore.getDefaultType())
        store.load(None, None)
        for number, certificate in enumerate(factory.generateCertificates(stream)):
            store.setCertificateEntry(str(number), certificate)
    finally:
        stream.close()
    managers = jvm.javax.net.ssl.TrustManagerFactory
    trust = managers.getInstance(managers.getDefaultAlgorithm())
    trust.init(store)
    context = jvm.javax.net.ssl.SSLContext.getInstance("TLS")
    context.init(None, trust.getTrustManagers(), None)
    jvm.javax.net.ssl.SSLContext.setDefault(context)


def _end(gateway: Any) -> None:
    # A fetch that is cut off ends in py4j's own log as an error; the person has asked for it.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    process = gateway.proc
    process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    gateway.shutdown()


@contextmanager
def _environment(changes: Mapping[str, str], *, without: tuple[str, ...]) -> Iterator[None]:
    """Change the environment that the launcher copies, for the length of the block."""
    before = {name: os.environ.get(name) for name in (*changes, *without)}
    for name in without:
        os.environ.pop(name, None)
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
