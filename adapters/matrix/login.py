"""Signing in: by a token, or once by password. Which device we are is kept with the account, so
that its keys, and the keys that make sends repeatable, go on being ours after a restart."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import structlog

from adapters.matrix.client import Door
from adapters.matrix.config import MatrixConfig
from gateway.errors import BadConfig, Busy, Failed
from gateway.ports import Keep

log = structlog.get_logger(__name__)

_LOGIN = "login"
_DEVICE = "device"


class Login(msgspec.Struct, frozen=True):
    user: str
    device: str
    token: str


@dataclass(frozen=True, slots=True)
class Me:
    user: str
    device: str


class SignIn:
    def __init__(self, door: Door, config: MatrixConfig, keep: Keep) -> None:
        self._door = door
        self._config = config
        self._keep = keep

    async def sign_in(self) -> Me:
        """Sets the door's token. Raises `BadConfig`, `Retryable`."""
        if self._config.access_token is not None:
            self._door.token = self._config.access_token.get_secret_value().strip()
            return await self.whoami()
        if (login := await self.kept()) is not None:
            self._door.token = login.token
            try:
                return await self.whoami()
            except BadConfig as refused:
                log.warning("login_ended", reason=refused.reason)
        return await self.anew()

    async def kept(self) -> Login | None:
        """What the password got us before; not of another account."""
        raw = await self._keep.get(_LOGIN)
        login = msgspec.json.decode(raw, type=Login) if raw else None
        return login if login is not None and login.user == self._config.user else None

    async def whoami(self) -> Me:
        answer = await self._door.ask("GET", "/account/whoami")
        user, device = answer.get("user_id"), answer.get("device_id")
        if not isinstance(user, str):
            raise Failed("the homeserver does not say whose token it is")
        if self._config.user and user != self._config.user:
            raise BadConfig(
                "adapters.matrix.access_token",
                f"it is {user}'s, and not {self._config.user}'s",
                "change user or the token",
            )
        device = device if isinstance(device, str) else self._config.device_id
        if not device and self._config.encryption:
            raise BadConfig(
                "adapters.matrix.device_id",
                "the homeserver does not say which device the token is of",
                "give device_id, or encryption: false",
            )
        return Me(user, device)

    async def anew(self) -> Me:
        """By password, as a new device. `BadConfig` where there is none."""
        if self._config.password is None:
            raise BadConfig("adapters.matrix.password", "there is none to sign in with")
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self._config.user},
            "password": self._config.password.get_secret_value(),
            "initial_device_display_name": self._config.device_name,
        }
        self._door.token = ""
        try:
            answer = await self._door.ask("POST", "/login", body)
        except Failed as failure:
            raise BadConfig(
                "adapters.matrix.password",
                f"the homeserver does not accept it ({failure})",
                "check user and password; accounts with single sign-on need an access_token",
            ) from failure
        except Busy as busy:
            raise Busy(f"too many sign-ins: {busy}", after=busy.after) from busy
        login = msgspec.convert(
            {
                "user": answer.get("user_id"),
                "device": answer.get("device_id"),
                "token": answer.get("access_token"),
            },
            Login,
        )
        await self._keep.set(_LOGIN, msgspec.json.encode(login))
        self._door.token = login.token
        log.info("matrix_device_made", device=login.device)
        return Me(login.user, login.device)

    async def knows_keys(self, me: Me) -> str:
        """The fingerprint this device had when it was used last; empty when it is new."""
        raw = await self._keep.get(_DEVICE)
        known = msgspec.json.decode(raw, type=list[str]) if raw else []
        return known[2] if known[:2] == [me.user, me.device] else ""

    async def remember_keys(self, me: Me, fingerprint: str) -> None:
        await self._keep.set(_DEVICE, msgspec.json.encode([me.user, me.device, fingerprint]))

    async def sign_out(self) -> None:
        """Give the kept device up, whose keys are lost."""
        try:
            await self._door.ask("POST", "/logout", {})
        except (Failed, BadConfig):
            log.info("device_was_gone")
        await self._keep.remove(_LOGIN)
