"""How a REST source authenticates: the ways of dlt's REST client, and tokens that are renewed.

Imported where a REST source is read, since dlt takes seconds to import.
"""

from __future__ import annotations

from typing import Any

from dlt.sources.helpers.requests import HTTPError, RequestException, Response, Session
from dlt.sources.helpers.rest_client.auth import (
    APIKeyAuth,
    AuthConfigBase,
    BearerTokenAuth,
    OAuth2ClientCredentials,
)

from storage import secrets
from storage.errors import TerminalError
from tasks.domain.spec import AuthKind, AuthSpec
from tasks.ingest.sources.rest.errors import UNAUTHORIZED, refusal, unreached


def authentication(auth: AuthSpec, session: Session, place: str) -> AuthConfigBase | None:
    """What signs each request.

    Raises:
        ConfigurationError: A secret is not set.
    """
    if auth.kind is AuthKind.none:
        return None
    if auth.kind is AuthKind.bearer:
        return BearerTokenAuth(token=secrets.reveal(auth.token))
    if auth.kind is AuthKind.api_key:
        key = secrets.reveal(auth.token)
        return APIKeyAuth(name=auth.name, api_key=key, location=auth.place.value)
    grant = {"grant_type": auth.kind.value}
    if auth.kind is AuthKind.refresh_token:
        grant["refresh_token"] = secrets.reveal(auth.refresh_token)
    made = RenewedToken(
        access_token_url=secrets.reveal(auth.token_url),
        client_id=secrets.reveal(auth.client_id),
        client_secret=secrets.reveal(auth.client_secret),
        access_token_request_data={**grant, **secrets.revealed(auth.fields)},
        session=session,
    )
    made.place = place
    return made


class RenewedToken(OAuth2ClientCredentials):
    """An access token that is asked for first, when it ends, and when the server no longer takes it.

    A token that the server never took is not renewed: the next one would be refused as well.
    """

    place = ""
    _taken = False

    def __call__(self, request: Any) -> Any:
        request.register_hook("response", self._renewed)
        return super().__call__(request)

    def obtain_token(self) -> None:
        failure = None
        try:
            super().obtain_token()
        except HTTPError as error:
            failure = refusal(f"{self.place}: the token endpoint", error.response)
        except RequestException as error:
            failure = unreached(f"{self.place}: the token endpoint", error)
        if failure is not None:
            raise failure  # out of the handler, whose error may hold what was sent
        secrets.keep(str(self.access_token))
        self._taken = False

    def parse_access_token(self, response_json: Any) -> str:
        token = response_json.get("access_token") if isinstance(response_json, dict) else None
        if not isinstance(token, str) or not token:
            raise TerminalError(
                f"{self.place}: the token endpoint gave no access token",
                advice="Check `rest.auth`: `token_url`, and that its answer has `access_token`.",
            )
        return token

    def _renewed(self, response: Response, **sent: Any) -> Response:
        """The answer, or that to the same request with a new token."""
        if response.status_code != UNAUTHORIZED:
            self._taken = True
        if response.status_code != UNAUTHORIZED or not self._taken:
            return response
        self.obtain_token()
        request = response.request
        request.headers["Authorization"] = f"Bearer {self.access_token}"
        again: Response = response.connection.send(request, **sent)
        again.history.append(response)
        again.request = request
        return again
