"""Routes of accounts, and the health check."""

from stand_ins.scicat.access import Access
from stand_ins.scicat.accounts import NEVER_SECONDS, Account, Accounts
from stand_ins.scicat.answers import Answer, JsonObject, bare_refusal, forbidden_resource
from stand_ins.scicat.call import Call
from stand_ins.scicat.routing import Route
from stand_ins.scicat.store import Store


class LoginRoutes:
    """Routes below ``/api/v3/auth`` and ``/api/v3/users``; v4 has none of them.

    Args:
        store: gives the times.
        accounts: who may log in.
        access: the rights.
    """

    def __init__(self, store: Store, accounts: Accounts, access: Access) -> None:
        self._store = store
        self._accounts = accounts
        self._access = access

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("POST", "v3/auth/login", self.log_in),
            Route("POST", "v3/auth/logout", self.log_out),
            Route("GET", "v3/auth/whoami", self.who_am_i),
            Route("POST", "v3/users/login", self.legacy_log_in),
            Route("POST", "v3/users/jwt", self.own_token),
            Route("POST", "v3/users/{id}/jwt", self.token_for),
            Route("GET", "v3/users/my/self", self.my_self),
            Route("GET", "v3/health", self.health),
        ]

    async def log_in(self, call: Call) -> Answer:
        """Give a token: 201, or 401 for wrong credentials."""
        who = self._accounts.log_in(call.payload.get("username"), call.payload.get("password"))
        if who is None:
            raise bare_refusal(401)
        token = self._accounts.issue_token(who)
        lifetime = self._accounts.token_lifetime_seconds
        body: JsonObject = {
            "access_token": token,
            "id": token,
            "expires_in": lifetime,
            "ttl": lifetime,
            "created": self._store.clock.now(),
            "userId": who.user_id,
            "user": who.describe(),
        }
        return Answer(201, body)

    async def legacy_log_in(self, _call: Call) -> Answer:
        """Answer 201 with no body and no token: the old route is there and of no use."""
        return Answer(201)

    async def log_out(self, _call: Call) -> Answer:
        """Say goodbye; the token stays valid."""
        return Answer(200, {"logout": "successful"})

    async def who_am_i(self, call: Call) -> Answer:
        """Tell who the caller is; an anonymous one gets 200 and no body."""
        who = call.account
        if who is None:
            return Answer(200)
        body = {
            "_id": who.user_id,
            "username": who.username,
            "email": who.email,
            "currentGroups": list(who.groups),
            "authStrategy": "local",
        }
        return Answer(200, body)

    async def my_self(self, call: Call) -> Answer:
        """Give the caller's account."""
        return Answer(200, _logged_in(call).describe())

    async def own_token(self, call: Call) -> Answer:
        """Give the caller another token."""
        return Answer(201, {"jwt": self._accounts.issue_token(_logged_in(call))})

    async def token_for(self, call: Call) -> Answer:
        """Give an admin a token of another account, for ever with ``expiresIn=never``."""
        owner = self._accounts.with_id(call.params["id"])
        if not self._access.is_admin(call.account) or owner is None:
            raise forbidden_resource()
        wish = call.payload.get("expiresIn") or "".join(call.arguments("expiresIn"))
        lifetime = NEVER_SECONDS if wish == "never" else None
        return Answer(201, {"jwt": self._accounts.issue_token(owner, lifetime)})

    async def health(self, _call: Call) -> Answer:
        """Say that all is well."""
        up = {"mongodb": {"status": "up"}}
        return Answer(200, {"status": "ok", "info": up, "error": {}, "details": up})


def _logged_in(call: Call) -> Account:
    if call.account is None:
        raise forbidden_resource()
    return call.account
