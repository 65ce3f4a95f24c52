"""Databases with tokens, made by the real systems, for the tests of `import`.

    import_fixtures.py django FILE       Djblets' and django-rest-knox' tokens in one SQLite database
    import_fixtures.py datasette FILE    datasette-auth-tokens' tokens; Datasette's secret is "secret"

Prints as JSON what was put there. Times are Unix seconds.
The versions that are needed stand in tests/src/python.rs; each system has an environment of its own.
"""

import asyncio
import datetime
import json
import sys

YEAR = 365 * 86_400


def django(path):
    import django
    from django.conf import settings

    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sites", "knox"],
        REST_KNOX={"TOKEN_PREFIX": "kx_"},
        SECRET_KEY="secret",
        USE_TZ=True,
        TIME_ZONE="Asia/Tokyo",
    )
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from djblets.webapi.models import BaseWebAPIToken

    class WebAPIToken(BaseWebAPIToken):
        class Meta(BaseWebAPIToken.Meta):
            app_label = "accounts"
            db_table = "accounts_webapitoken"

    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(WebAPIToken)
    users = {name: User.objects.create_user(name, password="password") for name in ("root", "rööt@example.org", "gone")}
    User.objects.filter(username="gone").update(is_active=False)
    return {
        "users": {name: user.pk for name, user in users.items()},
        "djblets": djblets(WebAPIToken, users),
        "knox": knox(users),
    }


def djblets(model, users):
    from django.utils import timezone

    now = timezone.now()
    vendor = {"token_generator_id": "vendor_checksum", "token_info": {"token_type": "rbp"}}
    policy = {"resources": {"*": {"allow": ["GET"]}, "review": {"42": {"block": ["*"]}}}}

    def make(user, **more):
        return model.objects.generate_token(users[user], **{**vendor, **more}).pk

    ids = {
        "plain": make("root"),
        "legacy": make(
            "root", token_generator_id="legacy_sha1", token_info={"user": users["root"], "attempt": 0}, note="Nötiz"
        ),
        "policy": make("rööt@example.org", policy=policy, extra_data={"team": ["a", "b"]}),
        "no_policy": make("root", policy=None),
        "expiring": make("root", expires=now + datetime.timedelta(seconds=YEAR, microseconds=1)),
        "expired": make("root", expires=now - datetime.timedelta(days=1)),
        "revoked": make("root"),
        "inactive": make("gone"),
        "used": make("root"),
        "faulty": make("root"),
        "no_json": make("root"),
    }
    model.objects.invalidate_token(model.objects.get(pk=ids["revoked"]).token, invalid_reason="it leaked")
    model.objects.filter(pk=ids["used"]).update(last_used=now)
    # What no Djblets writes any more, and what somebody else may have written.
    model.objects.filter(pk=ids["faulty"]).update(policy=json.dumps({"resources": {"user": ["GET"]}}))
    model.objects.filter(pk=ids["no_json"]).update(extra_data="[1]")
    tokens = {}
    for name, pk in ids.items():
        token = model.objects.get(pk=pk)
        tokens[name] = {
            "id": pk,
            "token": token.token,
            "token_generator_id": token.token_generator_id,
            "actor_id": token.user.username,
            "created_at": seconds(token.time_added),
            "updated_at": seconds(token.last_updated),
            "last_used_at": seconds(token.last_used),
            "expires_at": seconds(token.expires),
            "valid": token.valid,
            "invalid_at": seconds(token.invalid_date),
            "invalid_reason": token.invalid_reason,
            "note": token.note,
            "policy": token.policy or None,
            "extra": token.extra_data or None,
        }
    return tokens


def knox(users):
    from knox.models import AuthToken

    tokens = {}
    for name, (user, expiry) in {
        "expiring": ("root", datetime.timedelta(hours=10)),
        "eternal": ("rööt@example.org", None),
        "expired": ("root", datetime.timedelta(hours=-1)),
        "inactive": ("gone", None),
    }.items():
        instance, token = AuthToken.objects.create(users[user], expiry=expiry)
        tokens[name] = {
            "token": token,
            "token_key": instance.token_key,
            "actor_id": user,
            "created_at": seconds(instance.created),
            "expires_at": seconds(instance.expiry),
        }
    return tokens


def seconds(time):
    return None if time is None else int(time.timestamp())


async def datasette(path):
    from datasette.app import Datasette
    from datasette.tokens import TokenRestrictions
    from datasette_auth_tokens import make_expire_function

    app = Datasette(
        internal=path,
        memory=True,
        secret="secret",
        config={"plugins": {"datasette-auth-tokens": {"manage_tokens": True}}},
    )
    await app.invoke_startup()
    database = app.get_internal_database()
    restrictions = TokenRestrictions().allow_all("view-instance").allow_resource("docs", "pages", "insert-row")
    made = {
        "plain": await app.create_token("root", handler="dsatok"),
        "restricted": await app.create_token("rööt", handler="dsatok", restrictions=restrictions),
        "expiring": await app.create_token("root", handler="dsatok", expires_after=3600),
        "expired": await app.create_token("root", handler="dsatok", expires_after=10),
        "revoked": await app.create_token("root", handler="dsatok"),
        "empty": await app.create_token("root", handler="dsatok"),
    }

    async def change(name, what):
        number = app.unsign(made[name].removeprefix("dsatok_"), "dsatok")
        await database.execute_write(f"update _datasette_auth_tokens set {what} where id = ?", [number])

    await change("expired", "created_timestamp = created_timestamp - 100")
    await database.execute_write_fn(make_expire_function())
    await change("revoked", "token_status = 'R', ended_timestamp = 1700000000, description = 'Nötiz'")
    await change("empty", "permissions = '{}'")
    tokens = {}
    for name, token in made.items():
        # First: it notes the use.
        verified = await app.verify_token(token) is not None
        number = app.unsign(token.removeprefix("dsatok_"), "dsatok")
        rows = await database.execute("select * from _datasette_auth_tokens where id = ?", [number])
        tokens[name] = {"token": token, "row": dict(rows.first()), "verified": verified}
    # Numbers whose tokens are no rows.
    numbers = [0, 9, 10, 12345, 999_999_999_999, -1]
    tokens["numbers"] = {str(number): "dsatok_" + app.sign(number, "dsatok") for number in numbers}
    return tokens


if __name__ == "__main__":
    system, path = sys.argv[1:]
    print(json.dumps(django(path) if system == "django" else asyncio.run(datasette(path))))
